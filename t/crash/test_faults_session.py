"""As test_faults.py, for sessions of IMAP and POP3, and for what leads to one: the n-th call of a program fails. What a client
was told is true, no other message is touched, and the next connection goes on.
"""
import errno, glob, imaplib, itertools, os, poplib, re, signal, smtplib, subprocess, threading

import pytest

import disk, pombal
from pombal import wait_for

SLOW = bool(os.environ.get("POMBAL_SLOW"))
MAIN = disk.QUICK + "mail_session_linger = 0\n"
MOST = 400  # calls of one kind in one scenario: more means that the end was not noticed
CHANGES = {call: errno.ENOSPC for call in ("open", "write", "rename", "link", "unlink", "mkdir", "sync", "truncate")}
OTHERS = {"look": errno.EMFILE, "read": errno.EIO, "readdir": errno.EIO, "stat": errno.EIO, "lock": errno.ENOLCK,
          "malloc": errno.ENOMEM, "send": errno.ENOBUFS, "recv": errno.ENOMEM, "connect": errno.EAGAIN,
          "socket": errno.EMFILE, "accept": errno.EMFILE, "fork": errno.EAGAIN}


def some(call):
    """which calls fail: all of them with --slow, but of those for memory, which are thousands, each hundredth"""
    if call == "malloc":
        return range(1, 100 * MOST, 89 if SLOW else 1499)
    return range(1, 60 if call == "readdir" else MOST) if SLOW else [1, 2, 5, 13, 34, 89, 233]


@pytest.fixture(scope="module")
def faulty():
    suite = pombal.Instance(start=False)
    suite.disk = disk.Disk(suite)
    suite.add_main(MAIN)
    suite.start()
    suite.numbers = itertools.count(1)
    yield suite
    suite.disk.close()
    suite.close()


def fill(c, folder, marks):
    for mark in marks:
        text = "Subject: mark %s.\r\n\r\ntext\r\n" % mark
        assert c.append(folder, None, None, text.encode())[0] == "OK"


def look(c, folder):
    """flags by mark of the messages of a folder; null if there is none; no message may be there twice"""
    if c.select(folder, readonly=True)[0] != "OK":
        return None
    found = []
    for part in c.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
        if isinstance(part, tuple):
            found.append((re.search(rb"mark (\w+)", part[1]).group(1).decode(), part[0].decode()))
    assert len(found) == len(dict(found)), found
    return dict(found)


class Acts:
    """what a client does one after the other; said: what it was told: OK, NO, or nothing (the connection is gone)"""

    def __init__(self, suite, c, n):
        self.suite, self.c, self.said = suite, c, {}
        self.first, self.second, self.third, self.renamed = ["%s%d" % (name, n) for name in ("First", "Second", "Third", "New")]

    def prepare(self):
        for folder in (self.first, self.second):
            assert self.c.create(folder)[0] == "OK"
        fill(self.c, self.first, "abc")
        assert self.c.select(self.first)[0] == "OK"
        # Another program delivers: the session has to look at the directories.
        new = self.suite.maildir("alice", self.first) + "/new"
        path = self.suite.write(new[len(self.suite.dir) + 1:] + "/1.other", "Subject: mark d.\n\ntext\n")
        os.chown(path, os.stat(new).st_uid, os.stat(new).st_gid)

    def run(self):
        c = self.c
        acts = [("look", c.noop), ("flag", lambda: c.uid("STORE", "1", "+FLAGS", r"(\Flagged)")), ("copy", lambda: c.uid("COPY", "1", self.second)),
                ("move", lambda: c.uid("MOVE", "2", self.second)), ("delete", lambda: c.uid("STORE", "3", "+FLAGS", r"(\Deleted)")),
                ("expunge", c.expunge), ("create", lambda: c.create(self.third)),
                ("rename", lambda: c.rename(self.second, self.renamed)), ("remove", lambda: c.delete(self.third)), ("noop", c.noop)]
        try:
            for name, act in acts:
                self.said[name] = "gone"
                self.said[name] = act()[0]
        except (imaplib.IMAP4.abort, ConnectionError):
            pass  # but not to get no answer

    def check(self, c):
        said = self.said.get
        first, second, new = [look(c, f) for f in (self.first, self.second, self.renamed)]
        assert first is not None and (second is None) != (new is None), "a folder is gone, or there twice"
        assert said("rename") not in ("OK",) or new is not None
        assert said("rename") in ("OK", "gone") or second is not None
        second = new if second is None else second
        assert "a" in first and (said("flag") != "OK" or "Flagged" in first["a"])
        assert said("copy") != "OK" or "a" in second
        assert said("copy") != "NO" or "a" not in second
        assert "d" in first and ("b" in first or "b" in second)
        assert said("move") != "OK" or ("b" in second and "b" not in first)
        deleted = said("delete") in ("OK", "gone") and said("expunge") is not None
        assert "c" in first or deleted, "expunged, and nobody wanted it"
        assert said("expunge") != "OK" or said("delete") != "OK" or "c" not in first
        self.check_made(c)

    def check_made(self, c):
        there = look(c, self.third) is not None
        if self.said.get("remove") == "OK":
            assert not there
        elif self.said.get("create") == "OK" and self.said.get("remove") != "gone":
            assert there
        elif self.said.get("create") == "NO":
            assert not there and c.create(self.third)[0] == "OK"


def one_session(suite, call, nth, error, mode=disk.ERROR):
    """false: that call was not made"""
    c = suite.imap("alice")
    acts = Acts(suite, c, next(suite.numbers))
    acts.prepare()
    suite.disk.arm("imap", call, nth, error, mode)
    acts.run()
    fired = suite.disk.disarm()
    c.shutdown()
    other = suite.imap("alice")
    try:
        acts.check(other)
    except AssertionError as e:
        raise AssertionError("%s, number %d: %s; the client was told: %s" % (call, nth, e, acts.said)) from e
    for folder in (acts.first, acts.second, acts.third, acts.renamed):
        other.delete(folder)
    other.logout()
    assert fired or set(acts.said.values()) == {"OK"}, acts.said
    return fired


def each(suite, call, error, act):
    """how many calls failed"""
    fired = 0
    for nth in some(call):
        if not act(suite, call, nth, error):
            return fired
        fired += 1
    assert not SLOW or call in ("readdir", "malloc"), "no end of %s" % call
    return fired


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", [c for c in {**CHANGES, **OTHERS} if c not in ("connect", "socket", "accept", "fork")])
def test_what_an_imap_client_was_told_is_true(faulty, call):
    fired = each(faulty, call, {**CHANGES, **OTHERS}[call], one_session)
    print("imap %s: %d" % (call, fired))
    assert fired or call in ("truncate", "recv", "malloc", "readdir")


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", ["write", "rename", "sync", "unlink", "look", "readdir", "stat"])
def test_what_was_said_is_true_when_a_call_fails_from_then_on(faulty, call):
    fired = each(faulty, call, {**CHANGES, **OTHERS}[call], lambda s, call, nth, error: one_session(s, call, nth, error, disk.ERRORS))
    assert fired


@pytest.mark.timeout(3000)
@pytest.mark.skipif(not SLOW, reason="with --slow")
@pytest.mark.parametrize("mode", [disk.KILL, disk.KILL_AFTER], ids=["before", "after"])
def test_a_session_that_is_killed_at_any_operation_leaves_what_it_said(faulty, mode):
    assert each(faulty, "any", 0, lambda s, call, nth, error: one_session(s, call, nth, error, mode)) > 10


def put_dovecots_folder(suite, name):
    """two messages, which Dovecot has given numbers; as a host that moves has it"""
    folder = suite.maildir("alice", name)
    owner = os.stat(suite.maildir("alice"))
    files = {"maildirfolder": "", "dovecot-uidlist": "3 V1000 N13 Gabc\n11 :1.a\n12 :2.b\n", "dovecot-keywords": "0 Work\n",
             "cur/1.a:2,": "Subject: mark a.\n\n", "cur/2.b:2,a": "Subject: mark b.\n\n", "new/.": None, "tmp/.": None}
    for path, text in files.items():
        os.makedirs(os.path.dirname("%s/%s" % (folder, path)), exist_ok=True)
        if text is not None:
            suite.write("%s/%s" % (folder[len(suite.dir) + 1:], path), text)
    for path, _, names in os.walk(folder):
        for n in [path] + [path + "/" + n for n in names]:
            os.chown(n, owner.st_uid, owner.st_gid)


def one_move_from_dovecot(suite, call, nth, error):
    name = "Moved%d" % next(suite.numbers)
    put_dovecots_folder(suite, name)
    c = suite.imap("alice")
    suite.disk.arm("imap", call, nth, error)
    try:
        c.select(name)
    except (imaplib.IMAP4.abort, ConnectionError):
        pass
    fired = suite.disk.disarm()
    c.shutdown()
    c = suite.imap("alice")
    assert c.select(name)[0] == "OK"
    assert c.response("UIDVALIDITY")[1] == [b"1000"], (call, nth)
    found = b" ".join(c.uid("FETCH", "1:*", "(FLAGS)")[1])
    assert b"UID 11" in found and b"UID 12" in found and b"Work" in found, (call, nth, found)
    c.logout()
    return fired


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", ["look", "read", "stat"])
def test_numbers_of_dovecot_are_taken_over_whatever_fails(faulty, call):
    """else each client would load the folder again"""
    for nth in range(1, MOST):
        if not one_move_from_dovecot(faulty, call, nth, OTHERS[call]):
            break
    assert nth > 2


@pytest.fixture
def other_disk(faulty):
    """a folder on a file system of its own"""
    c, name = faulty.imap("alice"), "Disk%d" % next(faulty.numbers)
    assert c.create(name)[0] == "OK"
    c.logout()
    path = faulty.maildir("alice", name)
    owner = os.stat(path)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,uid=%d,gid=%d" % (owner.st_uid, owner.st_gid), "none", path]).returncode != 0:
        pytest.skip("no mounts here")
    yield name
    subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.skipif(not pombal.IS_ROOT, reason="mounts a file system")
def test_a_message_that_cannot_be_removed_is_not_moved(faulty, other_disk):
    """to another file system: it was in both folders, and the client was told OK"""
    for nth in range(1, MOST):
        c = faulty.imap("alice")
        folder, mark = "From%d" % next(faulty.numbers), "m%d" % nth
        assert c.create(folder)[0] == "OK"
        fill(c, folder, [mark, mark + "b"])
        c.select(folder)
        faulty.disk.arm("imap", "unlink", nth, errno.EIO)
        said = c.uid("MOVE", "1:2", other_disk)[0]
        fired = faulty.disk.disarm()
        c.logout()
        c = faulty.imap("alice")
        left, there = look(c, folder), look(c, other_disk)
        for m in (mark, mark + "b"):
            assert (m in left) != (m in there) and (said != "OK" or m in there), (nth, said, m, left, there)
        c.logout()
        if not fired:
            break
    assert nth > 2 and said == "OK"


def other_program_marks(suite, folder, there, process):
    """sets a flag of the second message as soon as it is copied, as Dovecot does"""
    wait_for(lambda: len(glob.glob(there + "/cur/*")) > 1, every=0.0005)
    os.kill(process, signal.SIGSTOP)
    os.rename(folder + "/cur/2.b:2,", folder + "/cur/2.b:2,F")
    os.kill(process, signal.SIGCONT)


@pytest.mark.skipif(not pombal.IS_ROOT, reason="mounts a file system")
def test_a_message_that_moves_is_gone_though_another_program_renames_it(faulty, other_disk):
    """to another file system, while the next message is copied: it came back as a new message"""
    name = "From%d" % next(faulty.numbers)
    c = faulty.imap("alice")
    assert c.create(name)[0] == "OK"
    folder, there = faulty.maildir("alice", name), faulty.maildir("alice", other_disk)
    owner = os.stat(folder)
    for base, size in ("1.a", 100), ("2.b", 100), ("3.c", 300 << 20):
        with open("%s/cur/%s:2," % (folder, base), "wb") as f:
            f.write(b"Subject: moves\n\n")
            f.truncate(size)
            os.fchown(f.fileno(), owner.st_uid, owner.st_gid)
    assert c.select(name)[1] == [b"3"]
    process, = [pid for pid in faulty.pids("imap") if os.stat("/proc/%d" % pid).st_uid == owner.st_uid]
    other = threading.Thread(target=other_program_marks, args=(faulty, folder, there, process))
    other.start()
    assert c.uid("MOVE", "1:*", other_disk)[0] == "OK"
    other.join()
    assert c.select(name)[1] == [b"0"] and os.listdir(folder + "/cur") == []
    assert c.select(other_disk)[1] == [b"3"]
    c.logout()


def one_pop3_session(suite, call, nth, error):
    """the first of three messages is removed"""
    c = suite.imap("bob")
    if c.select("INBOX")[1] != [b"0"]:
        c.store("1:*", "+FLAGS", r"(\Deleted)")
        c.expunge()
    fill(c, "INBOX", "abc")
    c.logout()
    p = suite.pop3("bob")
    suite.disk.arm("pop3", call, nth, error)
    said = "gone"
    try:
        p.dele(1)
        p.retr(2)
        p.quit()
        said = "OK"
    except poplib.error_proto as e:
        said = "ERR" if isinstance(e.args[0], bytes) else "gone"
    except (ConnectionError, EOFError):
        pass
    fired = suite.disk.disarm()
    p.close()
    c = suite.imap("bob")
    there = set(look(c, "INBOX"))
    c.logout()
    assert there >= {"b", "c"} and (said != "OK" or there == {"b", "c"}), (call, nth, said, there)
    assert fired or said == "OK"
    return fired


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", ["open", "write", "unlink", "sync", "look", "read", "stat", "lock", "malloc", "send"])
def test_what_a_pop3_client_was_told_is_true(faulty, call):
    each(faulty, call, {**CHANGES, **OTHERS}[call], one_pop3_session)


def one_login(suite, program, call, nth, error):
    """some clients may fail; false: the call was not made"""
    suite.disk.arm(program, call, nth, error)
    for way in (suite.imap, suite.pop3) * 2:
        try:
            c = way("bob")
            c.noop()
            (getattr(c, "logout", None) or c.quit)()
        except (OSError, EOFError, imaplib.IMAP4.error, poplib.error_proto):
            pass
    return suite.disk.disarm()


def works(suite):
    try:
        c = suite.imap("bob")
        good = c.select("INBOX")[0] == "OK"
        c.logout()
        p = suite.pop3("bob")
        p.stat()
        p.quit()
        return good
    except (OSError, EOFError, imaplib.IMAP4.error, poplib.error_proto):
        return False


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", ["look", "read", "stat", "malloc", "send", "recv", "connect", "socket", "accept", "fork"])
@pytest.mark.parametrize("program", ["authd", "mailbox", "imapd", "imap", "pop3d", "pop3"])
def test_a_login_that_fails_harms_no_other(faulty, program, call):
    for nth in [n for n in some(call) if SLOW or n in (1, 2, 1500)]:
        fired = one_login(faulty, program, call, nth, OTHERS[call])
        wait_for(lambda: works(faulty))
        if not fired or nth > 40 * (89 if call == "malloc" else 1):
            break
