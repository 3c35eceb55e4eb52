"""What a power cut may leave, built from a record of file operations (disk.py).

The model of a file system, per mode:

    ext4    Operations on names, sizes cut, permissions and owners reach the disk in their order (the journal). A sync
            of a file makes sure of all of them up to the last one that concerned this file (or, for fdatasync, up to
            the last change of its size or of its names). Contents are sure up to the sync; what was written later may
            be there or not, in any order, and a file that was never synced may be empty.
    xfs     the same: a sync forces the log up to the file's last change, and so all that came before.
    btrfs   A sync makes sure of that file alone: its contents and its own names at that time; of a directory: the names
            in it, and the new names of what was renamed out of it. All else is as at the last full commit, for which
            nobody waits. (test_image.py compares this with the real one.)
"""
import os, random, shutil


class Tree:
    """names and contents; node: inode number -> Node"""

    def __init__(self):
        self.nodes = {}
        self.root = None

    def copy(self):
        t = Tree()
        t.root = self.root
        t.nodes = {i: n.copy() for i, n in self.nodes.items()}
        return t


class Node:
    def __init__(self, is_dir, mode, uid, gid, data=b""):
        self.is_dir, self.mode, self.uid, self.gid, self.data = is_dir, mode, uid, gid, data
        self.names = {}

    def copy(self):
        n = Node(self.is_dir, self.mode, self.uid, self.gid, self.data)
        n.names = dict(self.names)
        return n


def scan(top, parts):
    """the tree at the beginning, all of which is on the disk: the given parts of the folder top"""
    t = Tree()
    t.root = os.stat(top).st_ino
    t.nodes[t.root] = Node(True, 0o755, 0, 0)

    def add(path, parent, name):
        st = os.lstat(path)
        if os.path.isdir(path) and not os.path.islink(path):
            t.nodes[st.st_ino] = Node(True, st.st_mode & 0o7777, st.st_uid, st.st_gid)
            for inner in os.listdir(path):
                add(path + "/" + inner, st.st_ino, inner)
        elif os.path.isfile(path) and not os.path.islink(path):
            t.nodes[st.st_ino] = Node(False, st.st_mode & 0o7777, st.st_uid, st.st_gid, open(path, "rb").read())
        else:
            return  # sockets, fifos: master makes them
        t.nodes[parent].names[name] = st.st_ino

    for part in parts:
        add(top + "/" + part, t.root, part)
    return t


def write(tree, top):
    """makes the parts of top be the tree"""

    def put(inode, path):
        node = tree.nodes[inode]
        if node.is_dir:
            os.makedirs(path, exist_ok=True)
            for name, inner in node.names.items():
                put(inner, path + "/" + name)
        else:
            with open(path, "wb") as f:
                f.write(node.data)
        os.chown(path, node.uid, node.gid)
        os.chmod(path, node.mode)

    for name, inode in tree.nodes[tree.root].names.items():
        shutil.rmtree(top + "/" + name, ignore_errors=True)
        put(inode, top + "/" + name)


class Record:
    """the operations with their paths resolved: each is (op, (dir inode, name), (dir inode, name))"""

    def __init__(self, tree, ops, top):
        self.begin, self.top, self.ops = tree, top.rstrip("/"), []
        now = tree.copy()
        outside = os.stat("/").st_ino
        ids, fresh = {}, 1 << 60  # the number of a removed file is soon another one's
        for op in ops:
            step = [op, None, None]
            try:
                if op.path:
                    step[1] = self.place(now, ids.get(op.base, op.base), op.path, outside)
                if op.path2:
                    step[2] = self.place(now, ids.get(op.base2, op.base2), op.path2, outside)
            except KeyError:
                continue  # not in the parts that are looked at: the log, the data directory
            number, op.inode = op.inode, ids.get(op.inode, op.inode)
            if op.call in ("create", "mkdir") and now.nodes[step[1][0]].names.get(step[1][1]) != op.inode:
                fresh += 1
                ids[number] = op.inode = fresh
            if not op.path and op.inode not in now.nodes:
                continue
            self.ops.append(tuple(step))
            apply_name(now, step)

    def place(self, tree, base, path, outside):
        if path.startswith("/") and base == outside:
            if not path.startswith(self.top + "/"):
                raise KeyError(path)
            base, path = tree.root, path[len(self.top):]
        parts = [p for p in path.split("/") if p not in ("", ".")]
        for part in parts[:-1]:
            base = tree.nodes[base].names[part]
        if base not in tree.nodes:
            raise KeyError(path)
        return base, parts[-1]


def apply_name(t, step):
    """everything but contents"""
    op, a, b = step
    if op.call in ("create", "mkdir"):
        names = t.nodes[a[0]].names
        if names.get(a[1]) != op.inode:
            names[a[1]] = op.inode
            t.nodes[op.inode] = Node(op.call == "mkdir", op.offset, op.base2 >> 32, op.base2 & 0xffffffff)
    elif op.call in ("rename", "link"):
        inode = t.nodes[a[0]].names[a[1]]
        if op.call == "rename" and t.nodes[b[0]].names.get(b[1]) != inode:
            del t.nodes[a[0]].names[a[1]]
        t.nodes[b[0]].names[b[1]] = inode
    elif op.call in ("unlink", "rmdir"):
        t.nodes[a[0]].names.pop(a[1], None)
    elif op.call == "mode" and op.inode in t.nodes:
        t.nodes[op.inode].mode = op.offset
    elif op.call == "owner" and op.inode in t.nodes:
        t.nodes[op.inode].uid, t.nodes[op.inode].gid = op.offset >> 32, op.offset & 0xffffffff
    elif op.call == "truncate" and op.inode in t.nodes:
        node = t.nodes[op.inode]
        node.data = node.data[:op.offset]


NAMES = {"create", "mkdir", "rename", "link", "unlink", "rmdir", "mode", "owner", "truncate"}


def put_data(node, op):
    data = node.data.ljust(op.offset, b"\0")
    node.data = data[:op.offset] + op.data + data[op.offset + len(op.data):]


def touched(step, now):
    """inodes that an operation concerns"""
    op, a, b = step
    if op.call in ("create", "mkdir"):
        return {op.inode, a[0]}
    if op.call in ("rename", "link"):
        return {now.nodes[a[0]].names.get(a[1]), a[0], b[0]}
    if op.call in ("unlink", "rmdir"):
        return {now.nodes[a[0]].names.get(a[1]), a[0]}
    return {op.inode}


class Model:
    """walks a record once and answers for each place what is sure"""

    def __init__(self, record, mode, ignored=lambda sync: False):
        self.record, self.mode, self.ignored = record, mode, ignored

    def sure(self, upto):
        """(number of operations on names that are sure, {inode: index up to which its writes are sure}, synced)
        synced: [(index of the sync's begin, inode)] in order"""
        now, last, last_data = self.record.begin.copy(), {}, {}
        names, data, begun, synced = 0, {}, {}, []
        for i, step in enumerate(self.record.ops):
            op = step[0]
            if op.at >= upto:
                break
            if op.call in NAMES:
                for inode in touched(step, now):
                    last[inode] = i + 1
                    if op.call not in ("mode", "owner"):
                        last_data[inode] = i + 1
                apply_name(now, step)
            elif op.call == "write":
                # A longer file: its size is in the journal behind all that came before.
                node = now.nodes[op.inode]
                if op.offset + len(op.data) > len(node.data):
                    last[op.inode] = last_data[op.inode] = i + 1
                put_data(node, op)
            elif op.call == "sync_begin" and not self.ignored(op):
                sure_names = (last_data if op.data_only else last).get(op.inode, 0)
                begun[(op.pid, op.offset)] = (i, sure_names, op.inode)
            elif op.call == "sync_end" and (op.pid, op.offset) in begun:
                at, sure_names, inode = begun[(op.pid, op.offset)]
                data[inode] = max(at, data.get(inode, 0))
                names = max(names, sure_names)
                synced.append((at, inode))
        return names, data, synced

    def image(self, upto, names="sure", data="sure", seed=None):
        """names: sure (only what must be there), all, or random (with a seed). data: the same, or a function that says
        of a file whether what was written to it and not synced is there"""
        dice = random.Random(seed)
        lucky = {}  # a file whose unsynced writes are all there
        if data == "random":
            kept = lambda inode: lucky.setdefault(inode, dice.random() < 0.4) or dice.random() < 0.4
        else:
            kept = data if callable(data) else lambda inode: data == "all"
        sure_names, sure_data, synced = self.sure(upto)
        ops = [s for s in self.record.ops if s[0].at < upto]
        if self.mode == "btrfs":
            return self.logged(ops, synced, dice if names == "random" else None)
        limit = {"sure": sure_names, "all": len(ops), "random": dice.randint(sure_names, max(sure_names, len(ops)))}[names]
        t = self.record.begin.copy()
        for i, step in enumerate(ops):
            op = step[0]
            if op.call in NAMES and i < limit:
                apply_name(t, step)
            elif op.call == "write" and op.inode in t.nodes:
                if i < sure_data.get(op.inode, 0) or kept(op.inode):
                    put_data(t.nodes[op.inode], op)
        return t

    def logged(self, ops, synced, dice):
        """btrfs: a full commit at some time (here: at the beginning, or anywhere before the first sync that counts),
        and each synced file as it was then, with the names that it had"""
        commit = dice.randint(0, len(ops)) if dice else 0
        t, now = self.record.begin.copy(), self.record.begin.copy()
        at_sync, moved = {}, {}  # moved: by directory, what was renamed into another one
        for at, inode in synced:
            at_sync.setdefault(at, []).append(inode)
        for i, step in enumerate(ops):
            op = step[0]
            for inode in at_sync.get(i, []):
                self.log_inode(t, now, inode, moved.get(inode, ()))
            if op.call in NAMES:
                if op.call == "rename" and step[1][0] != step[2][0]:
                    moved.setdefault(step[1][0], set()).add(now.nodes[step[1][0]].names[step[1][1]])
                apply_name(now, step)
            elif op.call == "write" and op.inode in now.nodes:
                put_data(now.nodes[op.inode], op)
            if i + 1 == commit:
                t = now.copy()
        return t

    def log_inode(self, t, now, inode, moved):
        """moved: if it is a directory, what was renamed out of it"""
        node = now.nodes.get(inode)
        if node is None:
            return
        if node.is_dir:
            if inode in t.nodes:
                for child in node.names.values():
                    self.add_new(t, now, child)
                t.nodes[inode].names = dict(node.names)
                self.give_moved(t, now, moved)
            return
        t.nodes[inode] = node.copy()
        for d, dnode in list(t.nodes.items()):
            if dnode.is_dir:
                for name in [n for n, i in dnode.names.items() if i == inode and now.nodes[d].names.get(n) != inode]:
                    del dnode.names[name]
        self.give_names(t, now, inode)

    def give_moved(self, t, now, moved):
        """What was renamed out of a directory that is synced is not lost by that: btrfs commits all then, or has logged
        the new name. (Contents that were not synced may be missing all the same.)"""
        for inode in moved:
            if inode in now.nodes and inode not in t.nodes:
                t.nodes[inode] = now.nodes[inode].copy()
                t.nodes[inode].data, t.nodes[inode].names = b"", {}
            self.give_names(t, now, inode)

    def give_names(self, t, now, inode):
        """all that it has now, in directories that are there or come with it"""
        for d, dnode in now.nodes.items():
            if dnode.is_dir:
                for name, i in dnode.names.items():
                    if i == inode:
                        self.make_dirs(t, now, d)
                        t.nodes[d].names[name] = inode

    def add_new(self, t, now, inode):
        """with a directory comes what is new in it"""
        if inode in t.nodes:
            return
        t.nodes[inode] = now.nodes[inode].copy()
        for child in t.nodes[inode].names.values():
            self.add_new(t, now, child)

    def make_dirs(self, t, now, inode):
        """a file's names come with the directories that they are in, when those are new"""
        if inode in t.nodes:
            return
        node = now.nodes[inode].copy()
        node.names = {}
        t.nodes[inode] = node
        self.give_names(t, now, inode)


def key(tree):
    """equal for equal images"""
    def walk(inode):
        node = tree.nodes[inode]
        if not node.is_dir:
            return (node.data, node.mode)
        return tuple(sorted((name, walk(i)) for name, i in node.names.items()))
    return hash(walk(tree.root))
