"""As test_faults.py, for what happens to a message behind its first attempt: it is put off and tried again, held, released,
requeued, expired; and for the tools that write a file anew.
"""
import errno, os, shutil

import pytest

import disk, pombal
from agents import Agent, MiniSuite, content
from pombal import wait_for
from test_faults import MAIN, MOST, SLOW
from sink import Sink


@pytest.fixture(scope="module")
def faulty():
    suite = pombal.Instance(start=False)
    suite.disk = disk.Disk(suite)
    suite.sink_port = pombal.free_port()
    suite.add_main(MAIN + "transport_maps = inline:{later.test=smtp:[127.0.0.1]:%d}\nrelay_domains = later.test\n"
                   "smtp_connection_cache_on_demand = no\n" % suite.sink_port)
    suite.start()
    yield suite
    suite.disk.close()
    suite.close()


def in_queue(suite, *names):
    return [os.path.basename(p) for name in names for p in suite.queue_files(name)]


def waiting(suite, mark):
    """a message that its destination does not take yet: its queue id"""
    suite.send("r@later.test", subject=mark)
    wait_for(lambda: in_queue(suite, "deferred"))
    return in_queue(suite, "deferred")[0]


def arrives(suite, mark):
    with_sink = Sink(port=suite.sink_port)
    try:
        wait_for(lambda: any(mark in str(m) for m in with_sink.messages))
    finally:
        with_sink.close()
    suite.wait_queue_empty()


def test_a_deferred_message_is_delivered_though_a_call_of_the_queue_manager_fails(faulty):
    """moved, opened, read, given a new time: whatever fails, it stays in the queue and goes on"""
    for call in ("open", "read", "rename", "utime", "unlink"):
        for nth in range(1, MOST):
            mark = "later-%s-%d." % (call, nth)
            waiting(faulty, mark)
            faulty.disk.arm("qmgr", call, nth, errno.EIO)
            faulty.tool("postqueue", "-f")
            arrives(faulty, mark)
            assert not faulty.queue_files("corrupt")
            if not faulty.disk.disarm():
                break
        assert nth > 1, call


@pytest.mark.parametrize("call", ["open", "read"])
def test_what_the_client_cannot_read_is_sent_later(faulty, call):
    for nth in range(1, MOST):
        mark = "smtp-%s-%d." % (call, nth)
        waiting(faulty, mark)
        faulty.disk.arm("smtp", call, nth, errno.EIO)
        faulty.tool("postqueue", "-f")
        arrives(faulty, mark)
        if not faulty.disk.disarm():
            break


def test_a_mark_that_cannot_be_written_is_a_second_copy_and_no_loss(faulty):
    waiting(faulty, "mark.")
    faulty.disk.arm("smtp", "write", 1, errno.EIO)
    faulty.tool("postqueue", "-f")
    arrives(faulty, "mark.")
    assert faulty.disk.disarm()
    faulty.wait_log("cannot mark <r@later.test> as done")


@pytest.mark.parametrize("call", ["rename", "utime", "chmod"])
def test_what_postsuper_cannot_do_it_says(faulty, call):
    """exit status 1, a line that says why, and the message is where it was"""
    id, fired = waiting(faulty, "super-%s." % call), 0
    for args, after in (["-h", id], "hold"), (["-H", id], "deferred"), (["-h", id], "hold"), (["-e", id], "hold"):
        faulty.disk.arm("postsuper", call, 1, errno.EIO)
        r = faulty.tool("postsuper", *args, check=False, env=faulty.disk.env)
        if faulty.disk.disarm():
            fired += 1
            assert r.returncode == 1 and "%s: cannot be" % id in r.stderr and "Input/output error" in r.stderr, r
        else:
            assert r.returncode == 0, r
        # It may have been done with the second look, and taken from there.
        assert in_queue(faulty, "hold", "deferred", "active") == [id]
        if in_queue(faulty, after) != [id]:
            faulty.tool("postsuper", *args)
    assert fired
    faulty.disk.arm("postsuper", call, 1, errno.EIO)
    r = faulty.tool("postsuper", "-r", id, check=False, env=faulty.disk.env)
    assert not faulty.disk.disarm() or r.returncode == 1
    assert in_queue(faulty, "hold", "maildrop") == [id]
    if in_queue(faulty, "hold"):
        faulty.tool("postsuper", "-r", id)
    faulty.tool("postkick", "public", "pickup", "W")
    arrives(faulty, "super-%s." % call)


def test_start_up_repairs_that_fail_lose_nothing(faulty):
    id = waiting(faulty, "repair.")
    path = faulty.queue_files("deferred")[0]
    wrong = os.path.join(os.path.dirname(os.path.dirname(path)), "0", id)  # in the wrong place
    os.makedirs(os.path.dirname(wrong), exist_ok=True)
    owner = os.stat(faulty.queue + "/deferred")
    os.chown(os.path.dirname(wrong), owner.st_uid, owner.st_gid)
    for call in ("link", "unlink"):
        if faulty.queue_files("deferred") == [path]:
            os.rename(path, wrong)
        faulty.disk.arm("postsuper", call, 1, errno.EIO)
        faulty.tool("postsuper", "-s", check=False, env=faulty.disk.env)
        faulty.disk.disarm()
        assert len(in_queue(faulty, "deferred")) >= 1
    faulty.tool("postsuper", "-s")
    arrives(faulty, "repair.")


def copied(path):
    """as a backup leaves it that was played back: its inode is not that of its name. The old file, open: so nothing gets
    that inode again"""
    old, st = open(path), os.stat(path)
    shutil.copy2(path, path + ".copy")
    os.chown(path + ".copy", st.st_uid, st.st_gid)
    os.rename(path + ".copy", path)
    return old


@pytest.mark.parametrize("call,modes", [("stat", "one all"), ("link", "one all"), ("readdir", "one all"), ("unlink", "one")])
def test_start_up_repairs_that_fail_forget_no_report(faulty, call, modes):
    """a message waits for one recipient, and the report of another one could not be handed in yet"""
    user = "owed-%s@elsewhere.invalid" % call
    faulty.send("r@later.test", subject="owed-%s." % call, sender="alice@" + faulty.domain)
    wait_for(lambda: in_queue(faulty, "deferred"))
    wait_for(lambda: faulty.tool("postsuper", "-h", "ALL") and in_queue(faulty, "hold"))
    faulty.stop()
    path, = faulty.queue_files("hold")
    log, owner = faulty.queue + "/bounce/", os.stat(path)
    with open(log + os.path.basename(path), "w") as f:
        f.write("\n<%s>: no\nrecipient=%s\nstatus=5.1.1\naction=failed\nreason=no\n\n" % (user, user))
    os.chown(f.name, owner.st_uid, owner.st_gid)
    old = []
    for nth in range(1, 10):
        for mode in modes.split():
            before = in_queue(faulty, "hold")
            old.append(copied(faulty.queue_files("hold")[0]))
            faulty.disk.arm("postsuper", call, nth, errno.EIO, {"one": disk.ERROR, "all": disk.ERRORS}[mode])
            r = faulty.tool("postsuper", "-s", check=False, env=faulty.disk.env)
            faulty.disk.disarm()
            assert os.listdir(log) == in_queue(faulty, "hold"), (nth, mode, r)
            assert r.returncode == 1 or in_queue(faulty, "hold") != before, (nth, mode, r)
    faulty.tool("postsuper", "-s")
    assert os.listdir(log) == in_queue(faulty, "hold")
    faulty.start()
    faulty.tool("postsuper", "-H", "ALL")
    arrives(faulty, "owed-%s." % call)
    wait_for(lambda: any(user in m.text for m in faulty.messages("alice")))


TABLE_FAULTS = [(call, errno.ENOSPC, disk.ERROR) for call in ("open", "write", "sync", "rename", "chmod", "truncate")] + [
    ("look", errno.EMFILE, disk.ERROR), ("read", errno.EIO, disk.ERROR), ("stat", errno.EIO, disk.ERROR),
    ("malloc", errno.ENOMEM, disk.ERROR), ("write", 0, disk.SHORT), ("write", errno.ENOSPC, disk.ERRORS), ("any", 0, disk.KILL)]


@pytest.mark.parametrize("call,error,mode", TABLE_FAULTS, ids=lambda v: str(v))
@pytest.mark.parametrize("tool", ["postmap", "postalias", "postconf"])
def test_a_tool_that_cannot_write_leaves_the_old_file(faulty, tool, call, error, mode):
    source = faulty.dir + "/etc/table"
    table = "hash:" + source
    key = {"postmap": "a", "postalias": "a"}.get(tool)
    text = {"postmap": "a %s\n", "postalias": "a: %s\n"}

    def change(value):
        if key is None:
            return faulty.tool(tool, "-e", "smtpd_banner=%s" % value, check=False, env=faulty.disk.env)
        open(source, "w").write(text[tool] % value)
        return faulty.tool(tool, table, check=False, env=faulty.disk.env)

    def current():
        args = ["-h", "smtpd_banner"] if key is None else ["-q", key, table]
        return faulty.tool(tool, *args).stdout.strip()

    assert change("old").returncode == 0 and current() == "old"
    for nth in range(1, 100 * MOST, (1 if SLOW else 4) * (211 if call == "malloc" else 1)):
        faulty.disk.arm(tool, call, nth, error, mode)
        r = change("new%d" % nth)
        if not faulty.disk.disarm():
            assert r.returncode == 0 and current() == "new%d" % nth
            break
        assert current() in (["new%d" % nth] if r.returncode == 0 else ["old", "new%d" % nth]), (nth, r)
        assert change("old").returncode == 0
    left = [n for n in os.listdir(faulty.dir + "/etc") if "tmp" in n or n.endswith("~")]
    assert not left or mode == disk.KILL or call in ("unlink", "malloc"), left
    for name in left:
        os.unlink(faulty.dir + "/etc/" + name)


def test_mail_goes_on_when_the_log_cannot_be_written(faulty):
    for nth in range(1, 5):
        faulty.disk.arm("postlogd", "write", nth, errno.ENOSPC)
        faulty.send("alice", subject="log-%d." % nth)
        faulty.wait_mail("alice", match="log-%d." % nth)
        faulty.wait_queue_empty()
        faulty.disk.disarm()
    faulty.send("alice", subject="logged")
    faulty.wait_mail("alice", match="logged")


def test_a_message_that_qmgr_cannot_open_is_deferred_with_a_line_for_each_recipient(faulty):
    faulty.disk.arm("qmgr", "open", 1, errno.EIO)
    faulty.send(["a@later.test", "b@later.test"], subject="open.")
    for user in "ab":
        faulty.wait_log(r"to=<%s@later.test>.*status=deferred \(open active/.*Input/output error" % user)
    assert faulty.disk.disarm()
    arrives(faulty, "open.")


def test_what_cannot_be_taken_out_of_the_active_queue_is_found_there(faulty):
    """it can be moved there, not opened, and not moved back"""
    id = waiting(faulty, "behind.")
    path = faulty.queue_files("deferred")[0]
    owner = os.stat(path)
    os.chown(path, 0, 0)
    os.chmod(path, 0o700)
    faulty.disk.arm("qmgr", "rename", 2, errno.EIO)
    faulty.tool("postqueue", "-f")
    faulty.wait_log("%s: rename active/%s to deferred.*Input/output error" % (id, id))
    assert faulty.disk.disarm()
    for _ in range(2):  # it may be on its way
        for path in faulty.queue_files():
            os.chown(path, owner.st_uid, owner.st_gid)
    arrives(faulty, "behind.")


def test_a_record_that_was_not_synced_is_taken_back(faulty):
    """the recipient is tried again then, and not reported twice"""
    faulty.disk.arm("bounce", "sync", 1, errno.EIO)
    faulty.send("r@elsewhere.invalid", subject="once.", sender="alice@" + faulty.domain)
    faulty.wait_log(r"to=<r@elsewhere.invalid>.*status=deferred \(bounce failed\)")
    assert faulty.disk.disarm()
    faulty.tool("postqueue", "-f")
    report = faulty.wait_mail("alice", match="Undelivered")[-1].text
    assert report.count("Final-Recipient:") == 1, report
    faulty.wait_queue_empty()


def test_a_success_that_cannot_be_noted_is_no_success(faulty):
    """who asked to be told is told, though it costs a second copy"""
    faulty.disk.arm("bounce", "write", 1, errno.EIO)
    with faulty.smtp() as s:
        s.sendmail("bob@" + faulty.domain, ["alice@" + faulty.domain], "Subject: told.\r\n\r\ntext\r\n",
                   rcpt_options=["NOTIFY=SUCCESS"])
    faulty.wait_log(r"to=<alice@.*status=deferred \(trace service failed\)")
    assert faulty.disk.disarm()
    faulty.tool("postqueue", "-f")
    faulty.wait_mail("bob", match="Successful")
    assert len(faulty.wait_mail("alice", match="told.")) == 2
    faulty.wait_queue_empty()


@pytest.mark.parametrize("call", ["open", "look", "read", "readdir", "stat", "malloc", "rename", "link", "unlink", "mkdir", "utime"])
@pytest.mark.parametrize("args", [["-s"], ["-p"], ["-h", "ALL"], ["-H", "ALL"], ["-r", "ALL"]], ids=lambda v: v[0])
def test_postsuper_loses_no_message_whatever_fails(faulty, args, call):
    mark = "whole-%s-%s." % (args[0], call)
    waiting(faulty, mark)
    few = (1, 1000) if call == "malloc" else (1, 5)
    for nth in few if not SLOW else range(1, MOST * 10, 501) if call == "malloc" else range(1, MOST):
        if args[0] == "-H":
            faulty.tool("postsuper", "-h", "ALL")
        faulty.disk.arm("postsuper", call, nth, errno.EIO, disk.ERRORS if call == "readdir" else disk.ERROR)
        r = faulty.tool("postsuper", *args, check=False, env=faulty.disk.env)
        fired = faulty.disk.disarm()
        assert r.returncode in (0, 1), (nth, r)
        wait_for(lambda: len(faulty.queue_files()) == 1)
        if args[0] == "-h" and r.returncode == 0:
            assert in_queue(faulty, "hold"), (nth, r)
        if args[0] == "-r":
            faulty.tool("postsuper", "-H", "ALL")
            faulty.tool("postkick", "public", "pickup", "W")
            wait_for(lambda: in_queue(faulty, "deferred"))
        if not fired:
            break
    faulty.tool("postsuper", "-H", "ALL")
    arrives(faulty, mark)


@pytest.mark.parametrize("call", ["connect", "socket", "send", "malloc", "look", "stat"])
def test_what_postqueue_cannot_do_it_says(faulty, call):
    """nothing is lost by it, and no half list is taken for all there is"""
    mark = "queue-%s." % call
    id = waiting(faulty, mark)
    for nth in range(1, MOST * 10, 301 if SLOW else 1501) if call == "malloc" else range(1, 30, 1 if SLOW else 5):
        fired = False
        for args in ["-p"], ["-j"], ["-f"]:
            faulty.disk.arm("postqueue", call, nth, errno.ENOMEM)
            r = faulty.tool("postqueue", *args, check=False, env=faulty.disk.env)
            fired |= faulty.disk.disarm()
            assert r.returncode != 0 or args == ["-f"] or id in r.stdout, (nth, args, r)
            assert r.returncode == 0 or r.stderr, (nth, args, r)
        if not fired:
            break
    arrives(faulty, mark)


def test_what_was_reported_is_not_reported_again_though_its_log_stays(faulty):
    """the message itself waits for another recipient, and is tried again and again"""
    faulty.disk.arm("bounce", "unlink", 1, errno.EIO)
    faulty.send(["r@later.test", "x@elsewhere.invalid"], subject="reported once.", sender="alice@" + faulty.domain)
    reports = lambda: [m for m in faulty.messages("alice") if "x@elsewhere.invalid" in m.text]
    wait_for(reports)
    wait_for(faulty.disk.fired)  # the record is removed when the report has gone
    faulty.disk.disarm()
    tried = len(faulty.wait_log("to=<r@later.test>.*status=deferred"))
    faulty.tool("postqueue", "-f")
    faulty.wait_log("to=<r@later.test>.*status=deferred", tried + 2)
    arrives(faulty, "reported once.")
    assert len(reports()) == 1


def test_a_mark_that_cannot_be_read_does_not_make_a_failure_of_a_delivery():
    """a recipient who has got the mail stands in the log of an earlier attempt: the report waits until its mark can be read"""
    def policy(d):
        if d.sender == "":
            reports.append(content(s, d))
        return ("l" if d.sender else "d") * len(d.to)

    s = MiniSuite("minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n", start=False)
    s.disk, reports = disk.Disk(s), []
    s.start()
    with Agent(s, "fake", policy) as agent:
        for nth in range(1, MOST):
            id = s.send(["done@far.test", "b@far.test"], sender="sender@back.test")
            wait_for(lambda: s.queue_files("deferred"))
            s.tool("postsuper", "-h", id)
            done, = [int(r["rcpt_at"]) for d in agent.seen for r in d.rcpts if d.id == id and r["rcpt"] == "done@far.test"]
            with open(s.queue_files("hold")[0], "r+b") as f:
                f.seek(done)
                f.write(b"D")
            s.disk.arm("bounce", "read", nth, errno.EIO)
            s.tool("postsuper", "-f", id)
            wait_for(lambda: s.tool("postqueue", "-f") and not s.queue_files(), every=0.2)
            assert reports and all("Final-Recipient: rfc822; b@far.test" in r for r in reports)
            assert not any("Final-Recipient: rfc822; done@far.test" in r for r in reports), nth
            del reports[:]
            if not s.disk.disarm():
                break
    assert nth > 5
    s.disk.close()
    s.close()


@pytest.mark.parametrize("call", ["look", "read"])
def test_what_an_agent_had_done_is_not_asked_again_though_the_mark_cannot_be_read(call):
    """it dies when one of two recipients is done"""
    def policy(d):
        if len(d.to) < 2 or d.id in died:
            return "d" * len(d.to)
        died.append(d.id)
        s.disk.arm("qmgr", call, nth, errno.EIO)
        with open("%s/active/%s" % (s.queue, d.id), "r+b") as f:
            f.seek(d.rcpts[0]["rcpt_at"])
            f.write(b"D")
        return None

    s, died = MiniSuite(disk.QUICK, start=False), []
    s.disk = disk.Disk(s)
    s.start()
    with Agent(s, "fake", policy) as agent:
        for nth in range(1, MOST):
            id = s.send(["a@far.test", "b@far.test"])
            s.wait_log("%s: removed" % id)
            seen = [d.to for d in agent.seen if d.id == id]
            assert seen[0] == ["a@far.test", "b@far.test"] and seen[1:] == [["b@far.test"]], (nth, seen)
            if not s.disk.disarm():
                break
    assert nth > 1
    s.disk.close()
    s.close()


def test_what_waits_in_active_is_found_though_it_moves_while_it_is_looked_for():
    """postsuper brings files into their places after a reload: a walk may have been where they go to, and end without having met them"""
    s = MiniSuite("default_destination_rate_delay = 1h\n", start=False)
    s.disk = disk.Disk(s)
    s.start()
    with Agent(s, "fake") as agent:
        s.send("a@far.test")
        id = s.send("a@far.test")
        wait_for(lambda: s.queue_files("active") and not s.queue_files("incoming"))
        s.disk.arm("qmgr", "end_of_active", 1, errno.ENOENT)
        s.reload()
        wait_for(lambda: id in [d.id for d in agent.seen])
        assert s.disk.disarm()
    s.disk.close()
    s.close()
