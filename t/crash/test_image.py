"""The model of btrfs says what btrfs does. With --slow, as root, each case is also tried on a file system of that kind: it
is copied at the moment of the power cut, and mounted again.
"""
import os, shutil, subprocess, types

import pytest

import image

SLOW = bool(os.environ.get("POMBAL_SLOW"))
DIRS = ["tmp", "new", "cur"]
# what was there, what is done, what is left: contents by path
CASES = {
    "nothing is synced": ({"new/a": "A"}, [("rename", "new/a", "cur/a")], {"new/a": "A"}),
    "renamed, the old directory synced": (
        {"new/a": "A"}, [("rename", "new/a", "cur/a"), ("sync", "new")], {"cur/a": "A"}),
    "written, renamed, the old directory synced": (
        {}, [("write", "new/a", "A"), ("sync", "new/a"), ("rename", "new/a", "cur/a"), ("sync", "new")], {"cur/a": "A"}),
    "the old directory synced before and after": (
        {"new/a": "A"}, [("write", "new/b", "B"), ("sync", "new/b"), ("sync", "new"), ("rename", "new/a", "cur/a"),
                         ("write", "new/c", "C"), ("sync", "new/c"), ("sync", "new")],
        {"cur/a": "A", "new/b": "B", "new/c": "C"}),
    "synced, then renamed": (
        {}, [("write", "tmp/a", "A"), ("sync", "tmp/a"), ("rename", "tmp/a", "new/a")], {"tmp/a": "A"}),
    "contents that were not synced": (
        {}, [("write", "tmp/a", "A"), ("rename", "tmp/a", "new/a"), ("sync", "tmp")], {"new/a": ""}),
    "a link is no rename": (
        {"tmp/a": "A"}, [("link", "tmp/a", "new/a"), ("unlink", "tmp/a"), ("sync", "tmp")], {}),
}


def act(top, step):
    what, path = step[0], top + "/" + step[1]
    if what == "write":
        open(path, "w").write(step[2])
    elif what == "sync":
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    elif what == "unlink":
        os.unlink(path)
    else:
        getattr(os, what)(path, top + "/" + step[2])


def prepare(top, before):
    for name in DIRS:
        os.mkdir(top + "/" + name)
    for path, text in before.items():
        open(top + "/" + path, "w").write(text)


def op(at, call, **values):
    fields = dict(at=at, call=call, pid=1, path="", path2="", base=0, base2=0, inode=0, offset=0, data=b"", data_only=0)
    return types.SimpleNamespace(**{**fields, **values})


def recorded(top, step, at):
    """does it, and tells it as disk.c would"""
    base = os.stat(top).st_ino
    if step[0] in ("sync", "unlink"):
        found = os.stat(top + "/" + step[1]).st_ino
        act(top, step)
        if step[0] == "unlink":
            return [op(at, "unlink", base=base, path=step[1])]
        return [op(at, "sync_begin", inode=found, offset=at), op(at + 1, "sync_end", inode=found, offset=at)]
    act(top, step)
    if step[0] == "write":
        st = os.stat(top + "/" + step[1])
        return [op(at, "create", base=base, path=step[1], inode=st.st_ino, offset=st.st_mode & 0o7777),
                op(at + 1, "write", inode=st.st_ino, data=step[2].encode())]
    return [op(at, step[0], base=base, path=step[1], base2=base, path2=step[2])]


def contents(tree):
    return {"%s/%s" % (d, name): tree.nodes[inode].data.decode() for d in DIRS
            for name, inode in tree.nodes[tree.nodes[tree.root].names[d]].names.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_model_says_what_is_left(name, tmp_path):
    before, steps, left = CASES[name]
    top, ops = str(tmp_path), []
    prepare(top, before)
    tree = image.scan(top, DIRS)
    for step in steps:
        ops += recorded(top, step, 10 * len(ops) + 1)
    model = image.Model(image.Record(tree, ops, top), "btrfs")
    assert contents(model.image(1 << 30)) == left


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.fixture
def mount(tmp_path):
    """mounts a file at a directory"""
    place = tmp_path / "mnt"
    place.mkdir()
    mounted = []

    def mount(path):
        if mounted:
            run("umount", mounted.pop())
        if path:
            run("mount", "-o", "loop,commit=300", str(path), str(place))
            mounted.append(str(place))
        return str(place)
    yield mount
    mount(None)


@pytest.mark.skipif(not SLOW or os.getuid() != 0 or not shutil.which("mkfs.btrfs"), reason="with --slow, root, btrfs-progs")
@pytest.mark.parametrize("name", CASES)
def test_btrfs_itself_leaves_the_same(name, mount, tmp_path):
    before, steps, left = CASES[name]
    disk, cut = tmp_path / "disk", tmp_path / "cut"
    with open(disk, "wb") as f:
        f.truncate(256 << 20)
    run("mkfs.btrfs", "-q", str(disk))
    top = mount(disk)
    prepare(top, before)
    os.sync()
    for step in steps:
        act(top, step)
    shutil.copy(disk, cut)
    top = mount(cut)
    assert {"%s/%s" % (d, n): open("%s/%s/%s" % (top, d, n)).read() for d in DIRS for n in os.listdir(top + "/" + d)} == left
