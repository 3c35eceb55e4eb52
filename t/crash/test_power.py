"""The power goes at any moment: what was acknowledged is there when the suite starts again on what is left of the disk.

A scenario runs once, with all file operations recorded; from the record the images are built that a crash may leave
(image.py), and the suite is started on each of them. Then the same without one kind of sync after the other: then
something must be missing, or that sync is of no use or this test is.
"""
import imaplib, os, re, smtplib, time

import pytest

import disk, image, pombal
from pombal import wait_for

SLOW = bool(os.environ.get("POMBAL_SLOW"))
MAIN = disk.QUICK + """mail_session_linger = 0
mailbox_delivery_lock = fcntl
smtpd_sender_restrictions = check_sender_access inline:{held@elsewhere.test=HOLD}
"""
PARTS = ["queue", "mail", "box"]


class Scenario:
    """what was done, and the places in the record at which somebody was told that it is done"""

    def __init__(self, suite, kind):
        self.suite, self.kind = suite, kind
        self.disk = disk.Disk(suite, kind)
        suite.add_main(MAIN)
        suite.write("etc/aliases", "postmaster: alice\nteam: alice, bob\nbox: %s/box/box\nlist: :include:%s/etc/list\n"
                    % (suite.dir, suite.dir))
        suite.write("etc/list", "alice\nbob\n")
        suite.tool("postalias", "-c", suite.etc, "hash:%s/etc/aliases" % suite.dir)
        os.mkdir(suite.dir + "/box")
        os.chmod(suite.dir + "/box", 0o777)  # for the lock beside it
        open(suite.dir + "/box/box", "w").close()
        os.chmod(suite.dir + "/box/box", 0o666)
        suite.start()
        suite.send("alice", subject="before")
        suite.wait_mail("alice")
        suite.wait_queue_empty()
        suite.stop()
        self.tree = image.scan(suite.dir, PARTS)
        suite.start()
        self.acknowledged = []  # (place, user, mark)
        self.told = []  # (place, user, folder, uidvalidity, uid, mark)
        self.folders = []  # (place, user, folder, what LIST or LSUB has from then on)

    def send(self, users, mark, sender="sender@elsewhere.test", expect=None):
        before = self.disk.now()
        self.suite.send(users, subject="mark %s." % mark, sender=sender, body="text\n" * 20)
        for user in expect or users:
            self.acknowledged.append((self.said(before, b" queued as "), user, mark))

    def said(self, before, words):
        """where the record has the first such answer to a client"""
        return next(op.at for op in self.disk.log() if op.at >= before and op.call == "said" and words in op.data)

    def run(self):
        s = self.suite
        self.disk.record()
        self.send(["alice"], "one")
        s.wait_mail("alice", match="mark one")
        self.send(["team"], "two", expect=["alice", "bob"])
        self.send(["box"], "three")
        s.wait_queue_empty()
        # Refused by the agent: a report to alice.
        self.send(["nobody@elsewhere.invalid"], "four", sender="alice@" + s.domain, expect=["alice"])
        wait_for(lambda: any("four" in m.text for m in s.messages("alice")))
        self.dropped("five")
        self.read()
        self.send(["list"], "seven", expect=["alice", "bob"])
        self.held("eight", "-H")
        self.held("nine", "-r")
        self.change()
        self.delete_with_pop3()
        s.wait_queue_empty()
        self.disk.stop()
        self.end = self.disk.now()
        ops = self.disk.log()
        s.stop()
        self.record = image.Record(self.tree, ops, s.dir)

    def dropped(self, mark):
        s = self.suite
        s.tool("sendmail", "-f", "bob@" + s.domain, "alice@" + s.domain, input="Subject: mark %s.\n\ntext\n" % mark,
               env=self.disk.env)
        # When postdrop has ended, so has sendmail.
        last = [op for op in self.disk.log() if op.program == "postdrop"][-1]
        self.acknowledged.append((last.at + 1, "alice", mark))
        s.wait_mail("alice", match="mark " + mark)

    def read(self):
        """IMAP: numbers that a client was told, a folder made, a message moved"""
        c = self.suite.imap("alice")
        choose(c, "INBOX")
        self.look(c, "alice", "INBOX")
        before = self.disk.now()
        c.append("INBOX", r"(\Seen)", None, b"Subject: mark six.\r\n\r\ntext\r\n")
        self.acknowledged.append((self.said(before, b"APPENDUID"), "alice", "six"))
        self.look(c, "alice", "INBOX")
        self.done(c.create, "Kept", "list")
        self.done(c.subscribe, "Kept", "lsub")
        before = self.disk.now()
        c.copy("1:2", "Kept")
        self.copied = self.said(before, b"COPYUID")
        choose(c, "Kept")
        self.look(c, "alice", "Kept")
        c.logout()

    def done(self, command, folder, listed):
        """of alice's: a folder made, a subscription"""
        assert command(folder)[0] == "OK"
        self.folders.append((self.disk.now(), "alice", folder, listed))

    def held(self, mark, option):
        """the administrator lets it go on, or has cleanup make it anew"""
        s = self.suite
        self.send(["alice", "bob"], mark, sender="held@elsewhere.test")
        id = os.path.basename(wait_for(lambda: s.queue_files("hold"))[0])
        s.tool("postsuper", option, id, env=self.disk.env)
        s.tool("postkick", "public", "pickup", "W")
        s.tool("postqueue", "-f")
        s.wait_mail("alice", match="mark " + mark)
        s.wait_mail("bob", match="mark " + mark)

    def change(self):
        """IMAP: flags, a copy removed, one moved, a folder renamed"""
        c = self.suite.imap("alice")
        c.create("Other")
        choose(c, "Kept")
        c.store("1", "+FLAGS", r"(\Deleted $Mark)")
        c.uid("MOVE", "2", "Other")
        c.expunge()
        c.append("Other", None, None, b"Subject: mark other.\r\n\r\ntext\r\n")
        assert c.rename("Other", "Renamed")[0] == "OK"
        choose(c, "Renamed")
        self.look(c, "alice", "Renamed")
        c.logout()

    def delete_with_pop3(self):
        """a message that nobody misses; the others have to stay"""
        s = self.suite
        s.send(["bob"], subject="mark gone.")
        s.wait_mail("bob", match="mark gone")
        c = s.pop3("bob")
        last = c.stat()[0]
        assert any(b"mark gone." in line for line in c.top(last, 0)[1])
        c.dele(last)
        c.quit()

    def look(self, c, user, folder):
        for validity, uid, mark in numbers(c):
            self.told.append((self.disk.now(), user, folder, validity, uid, mark))


def choose(c, folder):
    """selects a folder; false if there is none"""
    if c.select(folder)[0] != "OK":
        return False
    c.validity = int(c.response("UIDVALIDITY")[1][0])
    return True


def numbers(c):
    """(uidvalidity, uid, mark) of all messages of the selected folder"""
    found = []
    _, data = c.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    for part in data:
        if isinstance(part, tuple):
            uid = int(re.search(rb"UID (\d+)", part[0]).group(1))
            mark = re.search(rb"mark (\w+)\.", part[1])
            found.append((c.validity, uid, mark.group(1).decode() if mark else "other"))
    return found


@pytest.fixture(scope="module", params=["ext4", "btrfs"])
def scenario(request):
    suite = pombal.Instance(start=False)
    s = Scenario(suite, request.param)
    try:
        s.run()
    except BaseException:
        print(suite.log())
        raise
    suite.start_env = {}
    yield s
    s.disk.close()
    suite.close()


def missing_marks(s, upto):
    """of what was acknowledged before that place: what is not where it belongs"""
    lost = []
    for at, user, mark in s.acknowledged:
        if at > upto:
            continue
        if user == "box":
            there = "mark %s." % mark in open(s.suite.dir + "/box/box").read()
        else:
            there = any("mark %s." % mark in m.text for m in s.suite.messages(user))
        if not there:
            lost.append((user, mark))
    return lost


def wrong_numbers(s, upto):
    """numbers that a client knows for one message and that are another one's now"""
    known = {(user, folder, validity, uid): mark for at, user, folder, validity, uid, mark in s.told if at <= upto}
    wrong = []
    for user, folder in {(k[0], k[1]) for k in known}:
        c = s.suite.imap(user)
        if not choose(c, folder):
            wrong.append((user, folder, "is gone"))
            c.logout()
            continue
        for validity, uid, mark in numbers(c):
            before = known.get((user, folder, validity, uid))
            if before not in (None, mark):
                wrong.append((user, folder, uid, before, mark))
        c.logout()
    return wrong


def wrong_folders(s, upto):
    wrong = []
    for at, user, folder, listed in s.folders:
        if at > upto:
            continue
        c = s.suite.imap(user)
        if getattr(c, listed)('""', folder)[1] == [None]:
            wrong.append((user, folder, listed))
        c.logout()
    return wrong


def faults(s, tree, upto):
    """starts the suite on an image; what is wrong then"""
    image.write(tree, s.suite.dir)
    if os.path.exists(s.suite.log_path):
        os.unlink(s.suite.log_path)
    s.suite.start()
    s.suite.tool("postsuper", "-H", "ALL")  # where it was not yet released
    def settled():
        return not missing_marks(s, upto) or not s.suite.queue_files()

    try:
        wait_for(settled)
        return missing_marks(s, upto) + wrong_numbers(s, upto) + wrong_folders(s, upto)
    finally:
        s.suite.stop()


def moments(s):
    """places in the record: where somebody was told something, and behind each operation"""
    told = sorted({t[0] for t in s.acknowledged + s.told + (s.folders if SLOW else [])})
    return told, [step[0].at + 1 for step in s.record.ops]


def kinds(s):
    """what of an image is there that need not be: (names, data, seed)"""
    found = [("sure", "sure", None), ("all", "sure", None), ("all", "all", None)]
    # One file is unlucky, all others have what was written to them. Where it is synced that is no image of its own.
    for program, pattern in SYNCS.values():
        unlucky = syncs_of(s.record, program, pattern)[1]
        found.append(("all", lambda inode, unlucky=unlucky: inode not in unlucky, None))
    return found + [("random", "random", n) for n in range(4 if SLOW else 1)]


def chosen(s, every):
    """(place, tree, kind) without doubles: all places at which somebody was told something, and every n-th other one"""
    told, others = moments(s)
    model, seen = image.Model(s.record, s.kind), set()
    for upto in told + others[::every]:
        for kind in kinds(s):
            tree = model.image(upto, *kind)
            k = (image.key(tree), told_by(s, upto))
            if k not in seen:
                seen.add(k)
                yield upto, tree, kind


def test_the_record_is_that_of_the_disk(scenario):
    """the model is right where nothing is lost: with all operations, the image is what lies on the disk"""
    s = scenario
    if s.kind == "btrfs":
        return  # the same record
    built = image.Model(s.record, s.kind).image(s.end, "all", "all")
    real = image.scan(s.suite.dir, PARTS)

    def files(tree):
        found = {}

        def walk(inode, path):
            node = tree.nodes[inode]
            if node.is_dir:
                for name, inner in node.names.items():
                    walk(inner, path + "/" + name)
            else:
                found[path] = node.data
        walk(tree.root, "")
        return {p: d for p, d in found.items() if "/pid/" not in p}

    built, real = files(built), files(real)
    # What was written after the record ended: the queue's and the folders' last breath.
    late = {p for p in set(built) ^ set(real)} | {p for p in built if real.get(p) != built[p]}
    late = {p for p in late if not re.search(r"pombal\.(journal|cache)|dovecot-keywords|/cur/|/new/", p)}
    assert not late, sorted(late)[:5]
    assert len(real) > 8


@pytest.mark.timeout(3000 if SLOW else 1500)
def test_nothing_acknowledged_is_missing_after_a_power_cut(scenario):
    tried = 0
    for upto, tree, kind in chosen(scenario, 3 if SLOW else 60):
        wrong = faults(scenario, tree, upto)
        assert not wrong, "%s, image %s at %d of %d: %s\n%s" % (scenario.kind, kind, upto, scenario.end, wrong, scenario.suite.log()[-3000:])
        tried += 1
    print("%s: %d images" % (scenario.kind, tried))
    assert tried >= 8


# program, what it syncs: a pattern of the file's name at that time
SYNCS = {
    "the queue file": ("cleanup", r"/incoming/"),
    "the message in the Maildir": ("virtual", r"/(tmp|new|cur)/"),
    "the journal of a delivery": ("virtual", r"pombal\.journal"),
    "the mbox": ("local", r"/box"),
    "the bounce log": ("bounce", r"/(bounce|defer)/"),
    "the dropped message": ("postdrop", r"/maildrop/"),
    "the message of APPEND": ("imap", r"/(tmp|new|cur)/"),
    "the journal of APPEND": ("imap", r"pombal\.journal"),
    "the name of CREATE": ("imap", r"/alice$"),
}


def names_of(tree, inode):
    return ["/%s/%s" % (d_name(tree, d), name) for d, node in tree.nodes.items() if node.is_dir
            for name, i in node.names.items() if i == inode]


def d_name(tree, inode):
    for node in tree.nodes.values():
        for name, i in node.names.items():
            if i == inode:
                return name
    return ""


def syncs_of(record, program, pattern):
    """(places, files) of the syncs that a program makes of files whose name then matches"""
    now, places, files = record.begin.copy(), set(), set()
    for step in record.ops:
        op = step[0]
        if op.call in image.NAMES:
            image.apply_name(now, step)
        elif op.call == "sync_begin" and op.program == program:
            if any(re.search(pattern, name) for name in names_of(now, op.inode)):
                places.add(op.at)
                files.add(op.inode)
    return places, files


def told_by(s, upto):
    """how much somebody had been told by then: if nothing, nothing can be missing"""
    return sum(t[0] <= upto for t in s.acknowledged + s.told + s.folders)


def without(s, ignored, unlucky):
    """(place, tree) of the images that only a disk has on which those syncs were not made: those in which most is
    likely to be missing first"""
    with_it, without_it = image.Model(s.record, s.kind), image.Model(s.record, s.kind, ignored)
    seen = set()
    for upto in sum(moments(s), []):
        for names, data in ("sure", "sure"), ("all", "sure"), ("all", unlucky):
            tree = without_it.image(upto, names, data)
            key = (image.key(tree), told_by(s, upto))
            if key[1] > 0 and key not in seen and key[0] != image.key(with_it.image(upto, names, data)):
                seen.add(key)
                yield upto, tree


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not SLOW, reason="with --slow")
@pytest.mark.parametrize("what", list(SYNCS))
def test_each_sync_is_needed(scenario, what):
    """taken out of the record, something acknowledged is missing in some image"""
    places, files = syncs_of(scenario.record, *SYNCS[what])
    assert places, "no such sync"

    def ignored(op):
        return op.at in places

    def others(inode):
        return inode not in files

    if scenario.kind != "ext4":
        pytest.skip("shown once")
    tried = 0
    for upto, tree in without(scenario, ignored, others):
        tried += 1
        if faults(scenario, tree, upto):
            print("%s: image %d" % (what, tried))
            return
    raise AssertionError("nothing is missing without it in %d images" % tried)
