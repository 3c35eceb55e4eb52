"""As test_faults.py, for the calls that change no file: no memory, no descriptor, no process, a disk or a peer that does not
answer. A daemon may end because of it; what was acknowledged arrives.
"""
import errno, os, shutil, smtplib

import pytest

import disk
from agents import MiniSuite
from pombal import IS_ROOT, wait_for
from test_faults import SLOW, by_sendmail, deliver, faulty, over_smtp

ERRORS = {"look": errno.EMFILE, "read": errno.EIO, "readdir": errno.EIO, "stat": errno.EIO, "lock": errno.ENOLCK,
          "malloc": errno.ENOMEM, "send": errno.ENOBUFS, "recv": errno.ENOMEM, "connect": errno.EAGAIN,
          "socket": errno.EMFILE, "accept": errno.EMFILE, "fork": errno.EAGAIN}
DAEMONS = ["smtpd", "cleanup", "qmgr", "virtual", "local", "bounce", "smtp"]


def some(call):
    """which calls fail: all of the first with --slow, but of those for memory, which are thousands, each hundredth"""
    if call == "malloc":
        return range(1, 8000, 97) if SLOW else [300, 1700]
    return range(1, 40) if SLOW else [1, 4]


def each(suite, way, program, call):
    fired = 0
    for nth in some(call):
        if not deliver(suite, way, program, call, nth, ERRORS[call], disk.ERROR):
            break
        fired += 1
    assert deliver(suite, over_smtp, "nobody", "any", 1, 0, disk.ERROR) is False  # and it goes on
    return fired


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", ERRORS if SLOW else ["look", "stat", "malloc", "send", "socket"])
@pytest.mark.parametrize("program", DAEMONS)
def test_a_daemon_that_lacks_something_loses_nothing(faulty, program, call):
    print("%s %s: %d" % (program, call, each(faulty, over_smtp, program, call)))


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", [c for c in ERRORS if SLOW or c in ("stat", "malloc", "fork", "send")])
@pytest.mark.parametrize("program", ["sendmail", "postdrop", "pickup"])
def test_mail_that_sendmail_took_arrives_though_something_lacks(faulty, program, call):
    each(faulty, by_sendmail, program, call)


def command_has(suite, mark):
    path = suite.dir + "/box/command"
    return os.path.exists(path) and mark in open(path).read()


@pytest.mark.timeout(3000 if SLOW else 600)
@pytest.mark.parametrize("call", [c for c in ERRORS if c not in ("readdir", "accept") and (SLOW or c not in ("malloc", "look", "lock"))])
def test_commands_and_lists_go_on_after_a_fault(faulty, call):
    """a command whose end nobody hears of, or a list that cannot be looked at, is no reason to bounce or to wait for ever"""
    for nth in some(call) if call == "malloc" else range(1, 40 if SLOW else 12):
        mark, before = "command-%s-%d." % (call, nth), len(faulty.log())
        faulty.disk.arm("local", call, nth, ERRORS[call])
        faulty.tool("sendmail", "-f", "alice@" + faulty.domain, "command@" + faulty.domain, "list@" + faulty.domain,
                    input="Subject: %s\n\ntext\n" % mark)
        wait_for(lambda: command_has(faulty, mark) and all(mark in [m["Subject"] for m in faulty.messages(u)] for u in ("alice", "bob")))
        wait_for(lambda: not any(faulty.queue_files(q) for q in ("active", "incoming", "deferred")))
        assert "status=bounced" not in faulty.log()[before:]
        if not faulty.disk.disarm():
            break


@pytest.mark.skipif(not IS_ROOT, reason="local delivers as other users")
def test_what_cannot_be_looked_at_is_neither_missing_nor_forbidden():
    """a .forward and the link that it names: the mail waits, and is neither in the mailbox nor returned"""
    s = MiniSuite("local_transport = local\nmail_spool_directory = $config_directory/../spool\n"
                  "forward_path = $config_directory/../forward/$user\n" + disk.QUICK, "local unix - n n - - local\n", start=False)
    try:
        for name, mode in (("spool", 0o1777), ("forward", 0o755), ("out", 0o755)):
            os.mkdir(s.dir + "/" + name)
            os.chmod(s.dir + "/" + name, mode)
        target = s.write("out/target", "", 0o666)
        os.symlink(target, s.dir + "/out/link")
        shutil.chown(s.write("forward/games", s.dir + "/out/link\n"), "games")
        s.disk = disk.Disk(s)
        s.start()
        for nth in range(1, 40):
            mark = "mark-%d." % nth
            s.disk.arm("local", "stat", nth, errno.EIO)
            s.send("games@queue.test", body=mark + "\r\n")
            wait_for(lambda: mark in open(target).read())
            s.wait_queue_empty()
            if not s.disk.disarm():
                break
        assert nth > 3 and os.listdir(s.dir + "/spool") == [] and "status=bounced" not in s.log()
        s.disk.close()
    finally:
        s.close()


@pytest.mark.skipif(not IS_ROOT, reason="local delivers as other users")
def test_a_maildir_that_cannot_be_made_now_does_not_return_the_mail():
    """it is named in a .forward file, and the disk is full"""
    s = MiniSuite("local_transport = local\nforward_path = $config_directory/../forward/$user\n" + disk.QUICK,
                  "local unix - n n - - local\n", start=False)
    try:
        for name in ("forward", "out"):
            os.mkdir(s.dir + "/" + name)
        shutil.chown(s.dir + "/out", "games")
        shutil.chown(s.write("forward/games", s.dir + "/out/box/\n"), "games")
        s.disk = disk.Disk(s)
        s.start()
        for nth in range(1, 10):
            s.disk.arm("local", "mkdir", nth, errno.ENOSPC, disk.ERRORS)
            s.send("games@queue.test", sender="")
            s.wait_log(r"to=<games@queue.test>.*status=", 2 * nth - 1)
            fired = s.disk.disarm()
            s.wait_queue_empty()
            assert "status=bounced" not in s.log(), nth
            assert len(os.listdir(s.dir + "/out/box/new")) == 1
            shutil.rmtree(s.dir + "/out/box")
            if not fired:
                break
        assert nth > 2
        s.disk.close()
    finally:
        s.close()


@pytest.fixture
def spool():
    """local delivers to a spool directory where users may write"""
    s = MiniSuite("local_transport = local\nmail_spool_directory = $config_directory/../spool\n", "local unix - n n - - local\n",
                  start=False)
    os.mkdir(s.dir + "/spool")
    os.chmod(s.dir + "/spool", 0o1777)
    s.disk = disk.Disk(s)
    s.start()
    yield s
    s.disk.close()
    s.close()


def each_call_fails(suite, call, look):
    """one message after the other, until all is done without a fault"""
    for nth in range(1, 40):
        suite.disk.arm("local", call, nth, errno.EIO)
        suite.send("games@queue.test", sender="")
        suite.wait_log(r"to=<games@queue.test>.*status=", nth)
        look()
        if not suite.disk.disarm():
            break
    assert nth > 2


@pytest.mark.skipif(not IS_ROOT, reason="local delivers as other users")
def test_in_a_spool_that_cannot_be_looked_at_nothing_is_done_as_root(spool):
    """with the rights of users a file of root's cannot be opened; as root it was given away"""
    mailbox = spool.write("spool/games", "", 0o600)

    def still_of_root():
        assert os.stat(mailbox).st_uid == 0
    each_call_fails(spool, "stat", still_of_root)
    assert "cannot look at the directory of mailbox" in spool.log()


@pytest.mark.skipif(not IS_ROOT, reason="local delivers as other users")
def test_a_spool_that_is_not_there_is_told_to_the_sender(spool):
    os.rmdir(spool.dir + "/spool")
    spool.send("games@queue.test", sender="")
    spool.wait_log(r"to=<games@queue.test>.*dsn=5.2.0, status=bounced .*No such file or directory")


@pytest.mark.skipif(not IS_ROOT, reason="local delivers as other users")
def test_behind_half_a_message_a_new_one_begins_a_line(spool):
    """also if the end of the mailbox cannot be read: then the mail waits"""
    half = "From a\n\nhalf a line"
    mailbox = spool.write("spool/games", half, 0o600)
    shutil.chown(mailbox, "games")

    def not_a_part_of_it():
        with open(mailbox, "r+") as f:
            assert f.read() == half or f.seek(len(half)) and f.read().startswith("\n\nFrom ")
            f.truncate(len(half))
    each_call_fails(spool, "read", not_a_part_of_it)


@pytest.mark.timeout(3000 if SLOW else 300)
def test_what_sendmail_took_without_memory_is_whole(faulty):
    for nth in range(1, 400, 1 if SLOW else 9):
        mark, long = "whole-%d" % nth, "x" * 300000
        faulty.disk.arm("sendmail", "malloc", nth, errno.ENOMEM)
        r = faulty.tool("sendmail", "-f", "alice@" + faulty.domain, "bob@" + faulty.domain, check=False, env=faulty.disk.env,
                        input="Subject: %s\n\nshort\n%s\nend\n" % (mark, long))
        if not faulty.disk.disarm():
            break
        if r.returncode == 0:
            assert faulty.wait_mail("bob", match=mark + "$")[0].get_payload() == "short\n%s\nend\n" % long, nth


@pytest.mark.timeout(3000 if SLOW else 300)
@pytest.mark.parametrize("call", ["look", "read", "readdir", "stat", "lock", "connect", "socket", "fork"])
def test_a_reload_that_fails_can_be_repeated(faulty, call):
    """master goes on with what it has, and what it serves arrives"""
    for nth in some(call) if SLOW else [2]:
        faulty.disk.arm("master", call, nth, ERRORS[call])
        faulty.tool("pombal", "reload", check=False)
        fired = faulty.disk.disarm()
        assert faulty.master_pid()
        faulty.tool("pombal", "reload")
        assert deliver(faulty, over_smtp, "nobody", "any", 1, 0, disk.ERROR) is False
        if not fired:
            break
