"""One Maildir, served by Dovecot and by ours in turn: no number is given twice, none changes its message."""
import imaplib
import os
import re
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]
import pombal
from dovecot import HAVE, Dovecot

pytestmark = pytest.mark.skipif(not HAVE, reason="Dovecot is not installed")


class Both:
    """both servers over the same mailboxes, of one user at a time"""

    def __init__(self):
        self.ours = pombal.Instance(start=False)
        for i in range(4):
            self.ours.add_user("u%d" % i)
        self.ours.start()
        uid, gid = map(int, open(self.ours.etc + "/passwd").readline().split(":")[2:4])
        self.theirs = Dovecot("".join("u%d:{PLAIN}secret::::::\n" % i for i in range(4)), mechanisms="plain",
                              mail="%s/mail/%s" % (self.ours.dir, self.ours.domain), uid=uid, gid=gid)
        self.used = 0

    def close(self):
        self.theirs.close()
        self.ours.close()


@pytest.fixture(scope="module")
def both():
    b = Both()
    yield b
    b.close()


class Mailbox:
    """what was seen of a user's folders; whoever gives a number twice is found out"""

    def __init__(self, both):
        self.both, self.user = both, "u%d" % both.used
        both.used += 1
        self.seen, self.validity, self.last = {}, {}, {}
        self.path = both.ours.maildir(self.user)

    def open(self, server, folder="INBOX"):
        if server == "ours":
            c = self.both.ours.imap(self.user)
        else:
            c = imaplib.IMAP4("127.0.0.1", self.both.theirs.imap, timeout=pombal.PATIENCE)
            c.login(self.user, "secret")
        assert c.select(folder)[0] == "OK"
        return c

    def look(self, c, folder="INBOX"):
        """{uid: (subject, flags)}, checked against all that was seen before"""
        validity = int(c.status(folder, "(UIDVALIDITY)")[1][0].split()[-1].rstrip(b")"))
        now = {}
        for r in c.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(r, tuple):
                uid = int(re.search(rb"UID (\d+)", r[0])[1])
                flags = set(re.search(rb"FLAGS \(([^)]*)\)", r[0])[1].split()) - {b"\\Recent"}
                subject = re.search(rb"Subject: (\S+)", r[1])[1].decode()
                now[uid] = (subject, flags)
                assert self.seen.setdefault((folder, validity, uid), subject) == subject
        new = {u for u in now if (folder, validity, u) not in self.last}
        self.last.update({(folder, validity, u): 1 for u in new})
        self.validity[folder] = validity
        return now

    def add(self, c, subject, folder="INBOX", flags=None):
        assert c.append(folder, flags, None, b"Subject: %s\r\n\r\nbody\r\n" % subject.encode())[0] == "OK"

    def subjects(self, seen):
        return [seen[uid][0] for uid in sorted(seen)]


def test_numbers_flags_and_keywords_stay_there_and_back(both):
    m = Mailbox(both)
    c = m.open("theirs")
    for word in ("a", "b", "c"):
        m.add(c, word)
    c.store("1", "+FLAGS", "(\\Seen first)")
    c.noop()
    first = m.look(c)
    validity = m.validity["INBOX"]
    c.logout()

    c = m.open("ours")
    assert m.look(c) == first and m.validity["INBOX"] == validity
    m.add(c, "d", flags="(\\Flagged second)")
    both.ours.send(m.user + "@" + both.ours.domain, subject="e")
    both.ours.wait_queue_empty()
    c.noop()
    c.store("2", "+FLAGS", "(\\Deleted)")
    c.expunge()
    second = m.look(c)
    assert m.subjects(second) == ["a", "c", "d", "e"]
    c.logout()

    for turn in range(3):
        c = m.open("theirs")
        assert m.look(c) == second and m.validity["INBOX"] == validity
        m.add(c, "t%d" % turn)
        c.store("1", "+FLAGS", "(word%d)" % turn)
        c.store("2", "+FLAGS", "(\\Deleted)")
        c.expunge()
        c.noop()
        second = m.look(c)
        c.logout()
        c = m.open("ours")
        assert m.look(c) == second and m.validity["INBOX"] == validity
        m.add(c, "o%d" % turn)
        both.ours.send(m.user + "@" + both.ours.domain, subject="s%d" % turn)
        both.ours.wait_queue_empty()
        c.noop()
        c.store("%d" % len(second), "+FLAGS", "(\\Deleted)")
        c.expunge()
        second = m.look(c)
        c.logout()


def test_a_folder_made_by_ours_is_continued_by_dovecot(both):
    m = Mailbox(both)
    c = m.open("theirs")
    m.add(c, "a")
    c.logout()
    c = m.open("ours")
    assert c.create("Sub")[0] == "OK" and c.copy("1", "Sub")[0] == "OK"
    m.add(c, "b", "Sub")
    c.select("Sub")
    ours = m.look(c, "Sub")
    c.logout()
    c = m.open("theirs", "Sub")
    assert m.look(c, "Sub") == ours
    m.add(c, "c", "Sub")
    c.noop()
    theirs = m.look(c, "Sub")
    c.logout()
    c = m.open("ours", "Sub")
    assert m.look(c, "Sub") == theirs
    assert len({v for (f, v, u) in m.seen if f == "Sub"}) == 1
    c.logout()


def test_a_mailbox_copied_ahead_and_again_at_the_switch_gives_no_number_twice(both):
    """rsync ahead, a look with ours, then the newer state of the old host"""
    m = Mailbox(both)
    old = m.path + ".old"
    c = m.open("theirs")
    for word in ("a", "b"):
        m.add(c, word)
    before = m.look(c)
    c.logout()
    shutil.copytree(m.path, old, copy_function=shutil.copy2)
    c = m.open("ours")  # the look: it numbers a message of its own
    m.add(c, "mine")
    assert m.subjects(m.look(c)) == ["a", "b", "mine"]
    c.logout()
    shutil.move(m.path, m.path + ".new")
    shutil.move(old, m.path)
    stat = os.stat(m.path + ".new")
    for top, dirs, files in os.walk(m.path):
        for name in dirs + files + ["."]:
            os.chown(os.path.join(top, name), stat.st_uid, stat.st_gid)
    c = m.open("theirs")  # meanwhile, on the old host
    m.seen = {k: v for k, v in m.seen.items() if v != "mine"}
    for word in ("c", "d"):
        m.add(c, word)
    c.noop()
    theirs = m.look(c)
    c.logout()
    # The second copy, on top of the first.
    for name in ("dovecot-uidlist", "dovecot.index", "dovecot.index.log"):
        if os.path.exists(m.path + "/" + name):
            os.replace(m.path + "/" + name, m.path + ".new/" + name)
    for sub in ("new", "cur"):
        for name in os.listdir(m.path + "/" + sub):
            if not os.path.exists("%s.new/%s/%s" % (m.path, sub, name)):
                os.rename("%s/%s/%s" % (m.path, sub, name), "%s.new/%s/%s" % (m.path, sub, name))
    shutil.rmtree(m.path)
    shutil.move(m.path + ".new", m.path)
    c = m.open("ours")
    now = m.look(c)
    assert sorted(m.subjects(now)) == ["a", "b", "c", "d", "mine"]
    assert len(before) == 2 and len(theirs) == 4
    c.logout()
