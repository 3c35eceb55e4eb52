"""The n-th call fails, for every n up to the end of a small scenario: nothing acknowledged is lost, nothing is bounced or
reported as sent because of it, and the suite goes on.
"""
import errno, fcntl, glob, imaplib, itertools, os, shutil, smtplib

import pytest

import disk, pombal
from pombal import wait_for

SLOW = bool(os.environ.get("POMBAL_SLOW"))
MAIN = disk.QUICK + """mailbox_delivery_lock = fcntl
"""
MOST = 200  # calls of one kind in one scenario: more means that the end was not noticed


@pytest.fixture(scope="module")
def faulty():
    suite = pombal.Instance(start=False)
    suite.disk = disk.Disk(suite)
    suite.add_main(MAIN)
    suite.add_master("pickup unix n - n 1 1 pickup\n")  # what it could not take it looks for again soon
    suite.write("etc/aliases", "postmaster: alice\nteam: alice, bob\nbox: %s/box/box\n"
                'command: "|cat >> %s/box/command"\nlist: :include:%s/list\n' % ((suite.dir,) * 3))
    suite.write("list", "alice\nbob\n")
    suite.tool("postalias", "-c", suite.etc, "hash:%s/etc/aliases" % suite.dir)
    os.mkdir(suite.dir + "/box")
    os.chmod(suite.dir + "/box", 0o777)
    open(suite.dir + "/box/box", "w").close()
    os.chmod(suite.dir + "/box/box", 0o666)
    suite.start()
    suite.numbers = itertools.count(1)
    yield suite
    suite.disk.close()
    suite.close()


def in_box(suite, mark):
    return mark in open(suite.dir + "/box/box").read()


def reported(suite, mark):
    """a report came to alice, and the message with it: it may be all that is left of it"""
    return any("Subject: " + mark in m.text and nobody(mark) in m.text and "Undelivered" in (m["Subject"] or "")
               for m in suite.messages("alice"))


def everywhere(suite, mark):
    """the message is in the two mailboxes and the mbox, and alice knows of the address that there is not"""
    subjects = [[m["Subject"] for m in suite.messages(user)] for user in ("alice", "bob")]
    return all(mark in s for s in subjects) and in_box(suite, mark) and reported(suite, mark)


def nobody(mark):
    return mark + "x@elsewhere.invalid"


def over_smtp(suite, mark):
    """sends one message; true if it was taken. A fault is never a reason to refuse it for good."""
    try:
        suite.send(["team", "box", nobody(mark)], subject=mark, sender="alice@" + suite.domain)
        return True
    except smtplib.SMTPResponseException as e:
        assert 400 <= e.smtp_code < 500, e
    except smtplib.SMTPRecipientsRefused as e:
        assert all(400 <= code < 500 for code, _ in e.recipients.values()), e
    except (smtplib.SMTPServerDisconnected, OSError):
        pass
    return False


def by_sendmail(suite, mark):
    r = suite.tool("sendmail", "-f", "alice@" + suite.domain, "team@" + suite.domain, "box@" + suite.domain,
                   nobody(mark), input="Subject: %s\n\ntext\n" % mark, check=False, env=suite.disk.env)
    return r.returncode == 0


def deliver(suite, way, program, call, nth, error, mode):
    """one scenario with one fault; false when it did not happen: there are no more calls"""
    mark = "mark-%s-%s-%d-%d." % (program, call, nth, next(suite.numbers))
    suite.disk.arm(program, call, nth, error, mode)
    taken = way(suite, mark)
    if taken:
        try:
            wait_for(lambda: everywhere(suite, mark))
        except AssertionError:
            raise AssertionError("%s was taken and is not everywhere; in the queue: %s" % (mark, suite.queue_files()))
    # Refused mail may have been stored all the same (a lost answer): that is no loss.
    wait_for(lambda: not suite.queue_files("active") and not suite.queue_files("incoming"))
    return suite.disk.disarm()


def every(suite, way, program, call, error=errno.EIO, mode=disk.ERROR, step=1):
    fired = 0
    for nth in range(1, MOST, step):
        if not deliver(suite, way, program, call, nth, error, mode):
            break
        fired += 1
    else:
        raise AssertionError("no end of %s by %s" % (call, program))
    assert deliver(suite, over_smtp, "nobody", "any", 1, 0, disk.ERROR) is False  # and it goes on
    return fired


CALLS = [("cleanup", "write"), ("cleanup", "rename"), ("cleanup", "sync"), ("cleanup", "open"),
         ("qmgr", "rename"), ("qmgr", "unlink"), ("qmgr", "open"),
         ("virtual", "open"), ("virtual", "write"), ("virtual", "rename"), ("virtual", "sync"),
         ("local", "open"), ("local", "write"), ("local", "sync"),
         ("bounce", "open"), ("bounce", "write"), ("bounce", "sync"), ("bounce", "unlink")]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("program,call", CALLS, ids=lambda v: v)
def test_a_call_that_fails_loses_nothing(faulty, program, call):
    fired = every(faulty, over_smtp, program, call)
    if SLOW:
        every(faulty, over_smtp, program, call, errno.ENOSPC)
    print("%s %s: %d" % (program, call, fired))
    assert fired >= 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", ["qmgr", "virtual", "local", "bounce", "error"])
def test_what_cannot_be_read_once_is_read_again(faulty, program):
    every(faulty, over_smtp, program, "read")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", ["cleanup", "virtual", "bounce"])
def test_a_short_write_loses_nothing(faulty, program):
    assert every(faulty, over_smtp, program, "write", 0, disk.SHORT) >= 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("program,call", [("postdrop", "open"), ("postdrop", "write"), ("postdrop", "rename"), ("postdrop", "sync"),
                                          ("pickup", "unlink"), ("pickup", "open"), ("pickup", "read")], ids=lambda v: v)
def test_mail_that_sendmail_took_arrives(faulty, program, call):
    every(faulty, by_sendmail, program, call)


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not SLOW, reason="with --slow")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("program", ["cleanup", "qmgr", "virtual", "local", "bounce"])
def test_a_process_killed_at_any_operation_loses_nothing(faulty, program, after):
    assert every(faulty, over_smtp, program, "any", 0, disk.KILL_AFTER if after else disk.KILL) >= 2


@pytest.mark.timeout(900)
@pytest.mark.parametrize("call", ["open", "write", "rename", "sync"])
def test_what_append_says_is_true(faulty, call):
    """OK: the message is there, once. NO: it is not. The connection, or the next one, goes on"""
    fired = 0
    for nth in range(1, MOST):
        mark = "append-%s-%d." % (call, nth)
        c = faulty.imap("bob")
        c.select("INBOX")
        faulty.disk.arm("imap", call, nth, errno.ENOSPC)
        try:
            said = c.append("INBOX", None, None, ("Subject: %s\r\n\r\ntext\r\n" % mark).encode())[0]
        except imaplib.IMAP4.abort:
            said = "gone"
        happened = faulty.disk.disarm()
        other = faulty.imap("bob")
        other.select("INBOX")
        found = other.search(None, "SUBJECT", mark)[1][0].split()
        other.logout()
        assert {"OK": len(found) == 1, "NO": len(found) == 0, "gone": True}[said], (nth, said, found)
        if not happened:
            break
        fired += 1
    assert fired >= 1 and said == "OK"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("program,call", [("master", "fork"), ("smtpd", "accept"), ("imap", "fork"), ("imapd", "accept")],
                         ids=lambda v: v)
def test_a_connection_that_cannot_be_served_harms_no_other(faulty, program, call):
    for nth in range(1, 4):
        faulty.disk.arm(program, call, nth, errno.EAGAIN if call == "fork" else errno.EMFILE)
        for _ in range(4):
            try:
                with faulty.smtp() as s:
                    s.noop()
                faulty.imap("bob").logout()
            except (OSError, imaplib.IMAP4.error, imaplib.IMAP4.abort, smtplib.SMTPException):
                pass
        faulty.disk.disarm()
    wait_for(lambda: deliver(faulty, over_smtp, "nobody", "any", 1, 0, disk.ERROR) is False)
    faulty.imap("bob").logout()


def test_what_cannot_be_removed_from_maildrop_is_not_taken_twice(faulty):
    faulty.disk.arm("pickup", "unlink", 1, errno.EIO, disk.ERRORS)
    assert by_sendmail(faulty, "stays.")
    faulty.wait_log("maildrop/.*remove.*Input/output error", count=3)
    faulty.disk.disarm()
    wait_for(lambda: everywhere(faulty, "stays.") and not faulty.queue_files())
    assert [m["Subject"] for m in faulty.messages("bob")].count("stays.") == 1


def is_open(suite, program, path):
    links = [link for pid in suite.pids(program) for link in glob.glob("/proc/%d/fd/*" % pid)]
    return any(os.path.exists(link) and os.path.samefile(link, path) for link in links)


def test_a_mailbox_that_is_replaced_while_it_is_locked_gets_the_message(faulty):
    """a mail reader writes a new file beside it, and renames that: what is added to the old one is lost"""
    box = faulty.dir + "/box/box"
    with open(box, "r+") as old:
        fcntl.lockf(old, fcntl.LOCK_EX)
        faulty.send("box", subject="replaced.")
        wait_for(lambda: is_open(faulty, "local", box))
        shutil.copy(box, box + ".new")
        os.chmod(box + ".new", 0o666)
        os.rename(box + ".new", box)
    wait_for(lambda: in_box(faulty, "replaced."))
    faulty.wait_queue_empty()
