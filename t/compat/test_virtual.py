"""virtual(8): the same table of mailboxes and the same mail; what the log says and what arrives where is Postfix's."""
import os, pwd, re, shutil, tempfile

import pytest

import pombal
from real_postfix import HAVE, RealPostfix

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Debian's Postfix, and root to run it")

USER = pwd.getpwnam("games")
# recipient: mailbox below the base. What has no "/" at its end is a file.
TABLE = {"dir": "dir/", "file": "file", "deep": "a/b/c/", "ext+x": "extended/", "ext": "ext/", "dots": "dots/./x/", "twice": "twice//", "abs": "/abs/",
         "link": "link/", "base": ".", "isdir": "isdir", "nodir": "nodir/file", "symlink": "symlink", "hard": "hard", "locked": "locked/file"}
RECIPIENTS = ["dir", "DIR", "dir+tag", "file", "file", "deep", "ext+x", "ext+y", "ext", "dots", "twice", "abs", "link", "base", "isdir", "nodir", "symlink",
              "hard", "locked", "nobody", "any@catch.test", "any+x@catch.test"]
MESSAGE = "From: f@x.test\nTo: t@x.test\nMessage-Id: <1@x>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nFrom here\nend\n"


def prepare(out):
    os.makedirs(out + "/box/isdir")
    os.makedirs(out + "/box/locked")
    os.makedirs(out + "/box/real")
    for path in ("/box", "/box/real"):
        os.chmod(out + path, 0o777)
    for name in ("target", "hard"):
        open(out + "/box/" + name, "w").close()
        shutil.chown(out + "/box/" + name, "games")
    os.symlink("real", out + "/box/link")
    os.symlink("target", out + "/box/symlink")
    os.link(out + "/box/hard", out + "/box/hard2")
    with open(out + "/table", "w") as f:
        f.write("".join("%s@v.test %s\n" % line for line in TABLE.items()) + "@catch.test all/\n")


def settings(out):
    return ("myhostname = mx.test\nmyorigin = mx.test\nmydestination =\nrecipient_delimiter = +\nlocal_recipient_maps =\nalias_maps =\n"
            "default_transport = discard\nvirtual_alias_maps =\nvirtual_mailbox_domains = v.test, catch.test\nvirtual_minimum_uid = 1\n"
            "virtual_mailbox_limit = 100000000\nvirtual_mailbox_maps = texthash:%s/table\nvirtual_mailbox_base = %s/box\n"
            "virtual_uid_maps = static:%d\nvirtual_gid_maps = static:%d\n" % (out, out, USER.pw_uid, USER.pw_gid))


def outcomes(log, out):
    found = re.findall(r": to=<([^>]*@(?:v|catch)\.test)>, relay=virtual, .*?dsn=([\d.]+), status=(\w+) \((.*)\)$", log, flags=re.M)
    return sorted((to, dsn, status, text.replace(out, "OUT")) for to, dsn, status, text in found)


def contents(out):
    found = []
    for folder, _, names in os.walk(out + "/box"):
        for name in names:
            if name.startswith("pombal") or "/." in folder:
                continue
            path = os.path.join(folder, name)
            with open(path) as f:
                text = re.sub(r"^Received:.*\n(?:[ \t].*\n)*", "Received\n", f.read(), flags=re.M)
            text = re.sub(r"^From (\S+)  .*", r"From \1  DATE", text, flags=re.M)
            where = folder if folder.endswith("/new") else path
            found.append((os.path.relpath(where, out), os.stat(path).st_uid, text))
    return sorted(found)


def delivered(run, log, out):
    for to in RECIPIENTS:
        run("sendmail", "-i", "-f", "f@x.test", to if "@" in to else to + "@v.test", input=MESSAGE)
    pombal.wait_for(lambda: len(outcomes(log(), out)) >= len(RECIPIENTS))
    return outcomes(log(), out), contents(out)


@pytest.fixture(scope="module")
def both():
    base = tempfile.mkdtemp(prefix="virtual-compat-", dir="/tmp")
    os.chmod(base, 0o755)
    theirs, mine = base + "/theirs", base + "/ours"
    for out in (theirs, mine):
        prepare(out)
    ours = pombal.Instance(main=settings(mine))
    try:
        got = delivered(ours.tool, ours.log, mine)
        with RealPostfix(settings(theirs)) as real:
            real.start()
            yield got, delivered(real.run, real.log, theirs)
    finally:
        ours.close()
        shutil.rmtree(base, ignore_errors=True)


@pytest.mark.parametrize("what", ["log", "mailboxes"])
def test_the_same_mail_arrives_or_waits(both, what):
    mine, theirs = [side[("log", "mailboxes").index(what)] for side in both]
    assert [i for i in mine if i not in theirs] == [] == [i for i in theirs if i not in mine]
    assert len(mine) == len(theirs)
