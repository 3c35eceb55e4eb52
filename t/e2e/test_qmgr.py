"""The queue: what the queue manager does with what agents say, reports, recovery, and the administrator's tools."""
import email, fcntl, glob, json, os, re, signal, socket, subprocess, threading, time

import pytest
from agents import Agent, MiniSuite, content, encode, receive
from pombal import BIN, IS_ROOT, PATIENCE, wait_for

SOON = "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n"


def domain_of(d):
    return d.to[0].split("@")[1]


def only(agent, count=1):
    """the first count deliveries, when they are there"""
    return wait_for(lambda: agent.seen[:count] if len(agent.seen) >= count else None)


def test_a_delivered_message_is_removed_and_the_agent_is_told_all_of_it():
    with MiniSuite() as s, Agent(s, "fake") as agent:
        id = s.send("User+Tag@far.test", mail=["RET=HDRS", "ENVID=QQ1"], rcpt=["NOTIFY=SUCCESS,DELAY",
                                                                           "ORCPT=rfc822;o@far.test"])
        s.wait_log("%s: removed" % id)
        assert re.search(r"qmgr\[\d+\]: %s: from=<sender@far.test>, size=\d+, nrcpt=1 \(queue active\)" % id, s.log())
        d = agent.seen[0]
        assert d.nexthop == "far.test" and d.to == ["User+Tag@far.test"]
        assert d.attrs["envelope_id"] == "QQ1" and d.attrs["ret_flags"] == "2"
        assert d.rcpts[0]["rcpt_notify"] == "10" and d.rcpts[0]["rcpt_orcpt"] == "rfc822;o@far.test"
        assert not s.queue_files() and not glob.glob(s.queue + "/defer/*/*")


def test_a_deferred_message_waits_and_comes_back():
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l") as agent:
        id = s.send("a@far.test")
        path = wait_for(lambda: s.queue_files("deferred"))[0]
        assert os.path.relpath(path, s.queue) == "deferred/%s/%s" % (id[0], id)
        assert 200 < os.stat(path).st_mtime - time.time() <= 300
        listing = json.loads(s.tool("postqueue", "-j").stdout)
        assert listing["queue_name"] == "deferred" and listing["queue_id"] == id
        assert listing["recipients"] == [{"address": "a@far.test", "delay_reason": "said no"}]
        out = s.tool("postqueue", "-p").stdout
        assert id in out and "(said no)" in out and out.endswith("-- 0 Kbytes in 1 Request.\n")
        agent.policy = lambda d: "d"
        s.tool("postqueue", "-i", id)
        s.wait_log("%s: removed" % id)
        s.wait_queue_empty()
        assert s.tool("postqueue", "-p").stdout == "Mail queue is empty\n"
        assert not glob.glob(s.queue + "/defer/*/*")


def test_flush_takes_everything_or_one_site():
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l") as agent:
        for to in ("a@one.test", "a@two.test", "a@two.test"):
            s.send(to)
        wait_for(lambda: len(s.queue_files("deferred")) == 3)
        agent.policy = lambda d: "d"
        s.tool("postqueue", "-s", "two.test")
        s.wait_log("removed", 2)
        assert len(s.queue_files("deferred")) == 1
        s.tool("postqueue", "-f")
        s.wait_log("removed", 3)


def test_each_recipient_has_its_own_fate_and_the_sender_is_told_once():
    reports = []

    def policy(d):
        if d.sender == "":
            reports.append((d.to, email.message_from_string(content(s, d))))
            return "d" * len(d.to)
        return "".join({"no": "b", "later": "l"}.get(a.split("@")[0], "d") for a in d.to)

    with MiniSuite() as s, Agent(s, "fake", policy) as agent:
        id = s.send(["yes@far.test", "no@far.test", "later@far.test"], body="the original text\r\n")
        wait_for(lambda: reports)
        wait_for(lambda: s.queue_files("deferred"))
        to, report = reports[0]
        assert to == ["sender@far.test"]
        assert report["Subject"] == "Undelivered Mail Returned to Sender"
        assert "MAILER-DAEMON@" in report["From"] and report["Auto-Submitted"] == "auto-replied"
        assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
        text, status, original = report.get_payload()
        assert "<no@far.test>: said no" in text.get_payload()
        message, rcpt = status.get_payload()
        assert message["Reporting-MTA"] == "dns; mail.queue.test" and message["X-Postfix-Queue-ID"] == id
        assert rcpt["Final-Recipient"] == "rfc822; no@far.test" and rcpt["Status"] == "5.1.1" and rcpt["Action"] == "failed"
        assert original.get_content_type() == "message/rfc822"
        assert "the original text" in original.get_payload(0).get_payload()
        s.wait_log("%s: sender non-delivery notification: [0-9A-F]+" % id)
        assert not os.path.exists("%s/bounce/%s" % (s.queue, id))
        # Only the one that is left is tried again.
        s.tool("postqueue", "-i", id)
        last = wait_for(lambda: [d for d in agent.seen if d.id == id][1:])[0]
        assert last.to == ["later@far.test"]


def test_a_report_about_a_report_goes_to_the_postmaster_or_nowhere():
    for classes, expected in (("resource", 0), ("2bounce", 1), ("bounce", 1)):
        with MiniSuite("notify_classes = %s\n" % classes) as s:
            with Agent(s, "fake", lambda d: "b" if d.sender == "" else "d") as agent:
                id = s.send("a@far.test", sender="")
                s.wait_log("%s: removed" % id)
                s.wait_queue_empty()
                copies = [d for d in agent.seen if d.id != id]
                assert len(copies) == expected
                for d in copies:
                    assert d.to == ["postmaster@mail.queue.test"] or d.to == ["postmaster@queue.test"]
                    assert d.sender.startswith("double-bounce@")


def test_what_is_too_old_is_returned():
    reports = []

    def policy(d):
        if d.sender == "":
            reports.append(email.message_from_string(content(s, d)))
            return "d"
        return "l"

    with MiniSuite(SOON + "maximal_queue_lifetime = 2s\n") as s, Agent(s, "fake", policy):
        id = s.send("a@far.test")
        s.wait_log("%s: from=<sender@far.test>, status=expired, returned to sender" % id)
        s.wait_log("%s: removed" % id)
        wait_for(lambda: reports)
        rcpt = reports[0].get_payload(1).get_payload(1)
        assert rcpt["Action"] == "failed" and rcpt["Status"] == "4.2.1"
        s.wait_queue_empty()
        assert not glob.glob(s.queue + "/defer/*/*")


def test_a_delay_is_told_once():
    reports = []

    def policy(d):
        if d.sender == "":
            reports.append(email.message_from_string(content(s, d)))
            return "d"
        return "l"

    with MiniSuite(SOON + "delay_warning_time = 1s\n") as s, Agent(s, "fake", policy) as agent:
        id = s.send("a@far.test")
        s.wait_log("%s: sender delay notification: " % id)
        wait_for(lambda: reports)
        assert reports[0]["Subject"] == "Delayed Mail (still being retried)"
        rcpt = reports[0].get_payload(1).get_payload(1)
        assert rcpt["Action"] == "delayed" and rcpt["Will-Retry-Until"]
        tries = len([d for d in agent.seen if d.id == id])
        wait_for(lambda: len([d for d in agent.seen if d.id == id]) >= tries + 2)
        assert len(reports) == 1


def test_dsn_wishes_are_obeyed():
    reports = []

    def policy(d):
        if d.sender == "":
            reports.append(email.message_from_string(content(s, d)))
            return "d"
        return {"never": "b", "trace": "t"}[d.to[0].split("@")[0]]

    with MiniSuite() as s, Agent(s, "fake", policy):
        id = s.send("never@far.test", rcpt=["NOTIFY=NEVER"])
        s.wait_log("%s: removed" % id)
        id = s.send("trace@far.test", rcpt=["NOTIFY=SUCCESS"], mail=["ENVID=abc"])
        s.wait_log("%s: sender delivery status notification: " % id)
        wait_for(lambda: reports)
        s.wait_queue_empty()
        assert len(reports) == 1 and reports[0]["Subject"] == "Successful Mail Delivery Report"
        message, rcpt = reports[0].get_payload(1).get_payload()
        assert message["Original-Envelope-Id"] == "abc" and rcpt["Action"] == "delivered"


def test_concurrency_and_recipients_per_delivery_are_bounded():
    def policy(d):
        wait_for(lambda: agent.most >= 2)
        return "d" * len(d.to)

    main = "fake_destination_recipient_limit = 2\nfake_destination_concurrency_limit = 4\n"
    with MiniSuite(main + "fake_initial_destination_concurrency = 2\n") as s, Agent(s, "fake", policy) as agent:
        id = s.send(["u%d@far.test" % i for i in range(30)])
        s.wait_log("%s: removed" % id)
        assert sorted(a for d in agent.seen for a in d.to) == sorted("u%d@far.test" % i for i in range(30))
        assert max(len(d.to) for d in agent.seen) == 2
        assert 2 <= agent.most <= 4


def test_a_service_has_no_more_deliveries_than_processes():
    def policy(d):
        wait_for(lambda: agent.most >= 3)
        return "d" * len(d.to)

    with MiniSuite(master="few unix - - n - 3 discard\n") as s:
        s.add_main("transport_maps = inline:{far.test=few:}\nfew_destination_recipient_limit = 1\n")
        s.stop()
        s.start()
        with Agent(s, "few", policy) as agent:
            id = s.send(["u%d@far.test" % i for i in range(20)])
            s.wait_log("%s: removed" % id)
            assert agent.most == 3


def test_a_site_that_cannot_be_reached_is_left_alone():
    def policy(d):
        return ("l", "4.4.1", "connect to it: refused") if domain_of(d) == "dead.test" else "d"

    with MiniSuite() as s, Agent(s, "fake", policy) as agent:
        ids = []
        for i in range(8):
            ids.append(s.send("u%d@dead.test" % i))
            wait_for(lambda: len(s.queue_files("deferred")) == len(ids))
        assert len(agent.seen) < 8
        s.wait_log(r"%s: to=<u7@dead.test>, relay=none, delay=\S+, delays=\S+, dsn=4.4.1, status=deferred "
                   r"\(delivery temporarily suspended: connect to it: refused\)" % ids[7])
        # Flushing forgets it.
        agent.policy = lambda d: "d"
        s.tool("postqueue", "-f")
        s.wait_log("removed", 8)


def test_an_agent_that_dies_is_asked_again_and_then_left_alone():
    died = []

    def policy(d):
        died.append(d.id)
        return None if len(died) == 1 or "always" in d.to[0] else "d"

    with MiniSuite() as s, Agent(s, "fake", policy) as agent:
        id = s.send("once@far.test")
        s.wait_log("%s: removed" % id)
        assert died == [id, id]
        id = s.send("always@far.test")
        s.wait_log(r"%s: to=<always@far.test>, relay=none, .*dsn=4.3.0, status=deferred \(mail transport unavailable\)" % id)
        wait_for(lambda: s.queue_files("deferred"))


def test_what_an_agent_had_done_before_it_died_is_not_asked_of_it_again():
    asked = []

    def policy(d):
        asked.append(d.to)
        for rcpt, fate in zip(d.rcpts, "bdd" if len(asked) > 1 else "bd"):
            agent.end(d, rcpt, fate, "said no")
        return None

    with MiniSuite() as s, Agent(s, "fake", policy) as agent:
        id = s.send(["bad@far.test", "good@far.test", "late@far.test", "last@far.test"], sender="")
        s.wait_log("%s: removed" % id)
        assert asked == [["bad@far.test", "good@far.test", "late@far.test", "last@far.test"], ["late@far.test", "last@far.test"]]
        assert not s.queue_files("bounce")  # it was flushed


def test_a_record_waits_for_the_lock_of_the_log():
    def policy(d):
        path = "%s/bounce/%s" % (s.queue, d.id)
        log = open(path, "a")
        os.chmod(path, 0o600)
        owner = os.stat(s.queue + "/bounce")
        os.chown(path, owner.st_uid, owner.st_gid)
        fcntl.flock(log, fcntl.LOCK_EX)
        threading.Timer(4, log.close).start()
        return "b"

    with MiniSuite() as s, Agent(s, "fake", policy) as agent:
        id = s.send("bad@far.test", sender="")
        s.wait_log("%s: removed" % id)
        assert len(agent.seen) == 1  # and the record was written when it asked


def test_a_transport_that_is_not_there_defers():
    with MiniSuite("default_transport = nowhere\n") as s:
        id = s.send("a@far.test")
        s.wait_log(r"%s: to=<a@far.test>, .*dsn=4.3.0, status=deferred \(mail transport unavailable\)" % id)


def test_an_impossible_address_bounces_and_defer_transports_wait():
    with MiniSuite("defer_transports = fake\n") as s, Agent(s, "fake") as agent:
        id = s.send("a@far.test")
        s.wait_log(r"%s: to=<a@far.test>, relay=none, .*dsn=4.3.2, status=deferred \(deferred transport\)" % id)
        assert not agent.seen


def test_a_full_active_queue_takes_turns():
    go = []

    def policy(d):
        wait_for(lambda: go)
        return "d"

    with MiniSuite("qmgr_message_active_limit = 3\n") as s, Agent(s, "fake", policy):
        ids = [s.send("u%d@far%d.test" % (i, i)) for i in range(12)]
        wait_for(lambda: len(s.queue_files("active")) == 3)
        assert len(s.queue_files("incoming")) == 9
        go.append(1)
        s.wait_log("removed", 12)
        assert len(set(re.findall(r"(\w+): removed", s.log()))) == len(ids)


def test_long_lists_are_taken_in_batches():
    main = "qmgr_message_recipient_limit = 20\nfake_destination_recipient_limit = 5\n"
    with MiniSuite(main) as s, Agent(s, "fake", lambda d: "d" * len(d.to)) as agent:
        to = ["u%d@far%d.test" % (i, i % 7) for i in range(130)]
        id = s.send(to)
        # The announcement may be above the limit: then the file is read.
        s.wait_log("%s: removed" % id)
        assert sorted(a for d in agent.seen for a in d.to) == sorted(to)


def test_a_transport_holds_no_more_recipients_than_its_limit():
    """the first batch is as large as all memory allows, since transports are not known before it is read"""
    main = "qmgr_message_recipient_limit = 20\nqmgr_message_recipient_minimum = 2\nfake_recipient_limit = 8\n"
    with MiniSuite(main) as s, Agent(s, "fake", lambda d: "d" * len(d.to)) as agent:
        for to in (["u%d@far.test" % i for i in range(50)], ["v%d@far.test" % i for i in range(50)]):
            agent.seen.clear()
            id = s.send(to)
            s.wait_log("%s: removed" % id)
            assert sorted(a for d in agent.seen for a in d.to) == sorted(to)
            assert [len(d.to) for d in agent.seen] == [20, 8, 8, 8, 6]


def test_local_limits_are_one_recipient_and_two_deliveries_of_each():
    def policy(d):
        wait_for(lambda: agent.most >= 2 or len(d.to) > 1)
        return "d" * len(d.to)

    with MiniSuite("transport_maps = inline:{far.test=local:}\n") as s, Agent(s, "local", policy) as agent:
        ids = [s.send(["busy@far.test", "busy@far.test", "other@far.test"]) for _ in range(6)]
        for id in ids:
            s.wait_log("%s: removed" % id)
        assert all(len(d.to) == 1 for d in agent.seen)
        assert agent.most <= 4, "two of each user"
    with MiniSuite("transport_maps = inline:{far.test=local:}\nlocal_destination_recipient_limit = 3\n") as s, \
            Agent(s, "local", policy) as agent:
        id = s.send(["u%d@far.test" % i for i in range(6)])
        s.wait_log("%s: removed" % id)
        assert [len(d.to) for d in agent.seen] == [3, 3]


def test_a_small_message_overtakes_a_large_list():
    def policy(d):
        wait_for(lambda: len(agent.seen) <= 10 or known)
        return "d"

    known = []
    main = "transport_maps = inline:{far.test=few:, other.test=few:}\nfew_destination_recipient_limit = 1\n"
    with MiniSuite(main, "few unix - - n - 2 discard\n") as s, Agent(s, "few", policy) as agent:
        large = s.send(["u%d@far.test" % i for i in range(150)])
        only(agent, 10)
        small = s.send("quick@other.test")
        s.wait_log("%s: from=" % small)
        known.append(small)
        s.wait_log("%s: removed" % large)
        order = [d.id for d in agent.seen]
        assert order.index(small) < 100, order.index(small)


def test_mail_under_way_survives_the_queue_managers_death():
    go = []

    def policy(d):
        wait_for(lambda: go)
        return "d"

    with MiniSuite() as s, Agent(s, "fake", policy) as agent:
        ids = [s.send("u%d@far%d.test" % (i, i)) for i in range(5)]
        only(agent, 5)
        os.kill(s.pids("qmgr")[0], signal.SIGKILL)
        go.append(1)
        for id in ids:
            s.wait_log("%s: removed" % id)


def test_accepted_mail_survives_the_death_of_all_processes():
    with MiniSuite() as s:
        ids = [s.send("u%d@far.test" % i) for i in range(10)]
        for pid in s.pids() + [s.master_pid()]:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not s.master_pid())
        s.start()
        with Agent(s, "fake") as agent:
            s.tool("postqueue", "-f")
            for id in ids:
                s.wait_log("%s: removed" % id)
            assert {d.to[0] for d in agent.seen} == {"u%d@far.test" % i for i in range(10)}


def test_reload_loses_nothing():
    reloads = []

    def policy(d):
        before = len(reloads)
        wait_for(lambda: len(reloads) in (3, before + 1))
        return "d"

    with MiniSuite(SOON) as s, Agent(s, "fake", policy) as agent:
        ids = []
        for _ in range(3):
            had = len(agent.seen)
            ids += [s.send("u@far%d.test" % i) for i in range(5)]
            wait_for(lambda: len(agent.seen) > had)
            s.reload()
            reloads.append(1)
        for id in ids:
            s.wait_log("%s: removed" % id)


def test_the_administrator_holds_releases_deletes_and_expires():
    with MiniSuite() as s, Agent(s, "fake", lambda d: "d" if d.sender == "" else "l") as agent:
        ids = [s.send("u%d@far.test" % i) for i in range(4)]
        wait_for(lambda: len(s.queue_files("deferred")) == 4)
        out = s.tool("postsuper", "-h", "ALL").stderr
        assert out == "postsuper: Placed on hold: 4 messages\n"
        assert len(s.queue_files("hold")) == 4
        assert "%s!" % ids[0] in s.tool("postqueue", "-p").stdout
        out = s.tool("postsuper", "-H", ids[0]).stderr
        assert out.endswith("postsuper: %s: released from hold\npostsuper: Released from hold: 1 message\n" % ids[0])
        assert len(s.queue_files("deferred")) == 1
        out = s.tool("postsuper", "-d", "-", "-d", "!", input="%s\n\n%s\n" % (ids[1], ids[2])).stderr
        assert "Deleted: 2 messages" in out and "invalid mail queue id: !" in out
        assert not glob.glob("%s/defer/*/%s" % (s.queue, ids[1]))
        s.tool("postsuper", "-f", ids[3])
        assert '"forced_expire": true' in s.tool("postqueue", "-j").stdout
        s.tool("postqueue", "-i", ids[3])
        s.wait_log("%s: from=<sender@far.test>, status=force-expired, returned to sender" % ids[3])
        s.wait_log("%s: removed" % ids[3])
        assert s.tool("postsuper", "-d", "AAAAAAAAAA").stderr.endswith("postsuper: Deleted: 0 messages\n")
        assert s.tool("postsuper", "-d", "X", "nowhere", check=False).returncode == 1


class Spoiled:
    """a directory of the queue that nothing can be put into"""

    def __init__(self, suite, name):
        self.path = suite.queue + "/" + name

    def __enter__(self):
        os.rename(self.path, self.path + ".away")
        open(self.path, "w").close()

    def __exit__(self, *what):
        os.unlink(self.path)
        os.rename(self.path + ".away", self.path)


def test_a_file_that_cannot_be_moved_is_not_left_in_active():
    """a full or read-only disk: once there is room again it is moved, without a restart"""
    with MiniSuite("transport_retry_time = 1s\n") as s, Agent(s, "fake", lambda d: "l"):
        s.send("a@far.test")
        wait_for(lambda: s.queue_files("deferred")) # qmgr has its jail around the real directory
        with Spoiled(s, "deferred"):
            id = s.send("a@far.test")
            s.wait_log(r"qmgr\[\d+\]: warning: %s: rename active/%s to deferred/" % (id, id))
        wait_for(lambda: [p for p in s.queue_files("deferred") if id in p])
        assert not s.queue_files("active")


def test_without_a_place_for_new_mail_the_client_hears_why():
    with MiniSuite() as s, Agent(s, "fake"):
        s.wait_log("%s: removed" % s.send("a@far.test"))
        with Spoiled(s, "incoming"):
            for _ in range(3):
                with pytest.raises(AssertionError, match="create queue file: "):
                    s.send("b@far.test")
        s.wait_log("%s: removed" % s.send("c@far.test"))
        assert not re.search("cleanup.* (exit status|killed)", s.log())


def test_misplaced_files_are_put_right():
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l"):
        id = s.send("a@far.test")
        path = wait_for(lambda: s.queue_files("deferred"))[0]
        s.stop()
        path_of_log = "%s/defer/%s/%s" % (s.queue, id[0], id)
        os.rename(path, s.queue + "/deferred/ABCDE12345")
        os.makedirs(s.queue + "/defer/A", exist_ok=True)
        os.chown(s.queue + "/defer/A", os.stat(path_of_log).st_uid, -1)
        os.rename(path_of_log, s.queue + "/defer/A/ABCDE12345")
        open(s.queue + "/incoming/1.2", "w").close()
        os.utime(s.queue + "/incoming/1.2", (0, 0))
        s.tool("postsuper")
        new = s.queue_files("deferred")[0]
        name = os.path.basename(new)
        assert int(name[5:], 16) == os.stat(new).st_ino and os.path.basename(os.path.dirname(new)) == name[0]
        assert os.path.exists("%s/defer/%s/%s" % (s.queue, name[0], name))
        assert not os.path.exists(s.queue + "/incoming/1.2")
        assert os.path.basename(new) in s.tool("postqueue", "-p").stdout  # without the mail system


def put_log(s, path, rcpt):
    """as bounce writes it"""
    owner = os.stat(s.queue + "/bounce")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write("\n<%s>: no\nrecipient=%s\nstatus=5.1.1\naction=failed\nreason=no\n\n" % (rcpt, rcpt))
    for name in (path, os.path.dirname(path)):
        os.chown(name, owner.st_uid, owner.st_gid)


def hashed_otherwise(s):
    """a suite with a message that waits, and its id; hash_queue_depth is another one from now on"""
    id = s.send(["a@far.test", "b@far.test", "c@far.test"], sender="sender@back.test")
    wait_for(lambda: s.queue_files("deferred"))
    put_log(s, "%s/bounce/%s/%s" % (s.queue, id[0], id), "b@far.test")
    s.add_main("hash_queue_depth = 2\n")
    return id


HASHED = "hash_queue_names = deferred defer bounce\n"


def test_a_log_that_stands_in_two_places_becomes_one():
    """it was begun again in its new place: the suite starts, and nobody is forgotten"""
    def policy(d):
        if d.sender == "":
            reports.append(email.message_from_string(content(s, d)))
        return ("d" if d.sender == "" else "l") * len(d.to)

    reports = []
    with MiniSuite(HASHED) as s, Agent(s, "fake", policy):
        id = hashed_otherwise(s)
        s.stop()
        for log in ("bounce", "defer"):
            put_log(s, "%s/%s/%s/%s/%s" % (s.queue, log, id[0], id[1], id), "c@far.test")
        s.start()
        assert not glob.glob(s.queue + "/defer/?/" + id)
        s.tool("postqueue", "-f")
        wait_for(lambda: reports)
        assert named_in(reports) == [("b@far.test", "5.1.1"), ("c@far.test", "5.1.1")]


def test_a_reload_puts_files_where_the_new_settings_look_for_them():
    reports = []
    with MiniSuite(HASHED) as s, Agent(s, "fake", lambda d: "l" * len(d.to)) as agent:
        id = hashed_otherwise(s)
        s.reload()
        agent.policy = lambda d: d.sender == "" and reports.append(email.message_from_string(content(s, d))) or "d" * len(d.to)
        wait_for(lambda: s.tool("postqueue", "-i", id) and len(agent.seen) > 1)
        wait_for(lambda: reports)
        assert named_in(reports) == [("b@far.test", "5.1.1")]


def test_what_is_put_off_after_a_reload_is_found_by_its_id():
    """the queue manager of before the reload waits for a delivery, and puts the file where it knows"""
    def policy(d):
        assert go.wait(PATIENCE)
        return "l" * len(d.to)

    go = threading.Event()
    with MiniSuite(HASHED) as s, Agent(s, "fake", policy) as agent:
        id = s.send("a@far.test")
        wait_for(lambda: agent.seen)
        s.add_main("hash_queue_depth = 2\n")
        s.reload()
        go.set()
        wait_for(lambda: glob.glob("%s/deferred/?/?/%s" % (s.queue, id)))
        s.tool("postqueue", "-i", id)
        wait_for(lambda: len(agent.seen) == 2 and s.queue_files("deferred"))
        assert "Deleted: 1 message" in s.tool("postsuper", "-d", id).stderr


def waits(p):
    """for something other than a child; or it has ended"""
    return p.poll() is not None or "nanosleep" in open("/proc/%d/wchan" % p.pid).read()


def test_what_is_recorded_before_master_has_reloaded_is_put_right_too():
    """a bounce process that has not heard of the new settings"""
    with MiniSuite(HASHED) as s, Agent(s, "fake", lambda d: "l"):
        id = hashed_otherwise(s)
        os.kill(s.master_pid(), signal.SIGSTOP)
        p = subprocess.Popen([BIN + "/pombal", "-c", s.etc, "reload"])
        wait_for(lambda: waits(p))
        put_log(s, "%s/bounce/%s/%s" % (s.queue, id[0], id), "c@far.test")
        os.kill(s.master_pid(), signal.SIGCONT)
        assert p.wait(PATIENCE) == 0
        assert not glob.glob(s.queue + "/bounce/?/" + id) and glob.glob(s.queue + "/bounce/?/?/" + id)


def has_open(pid, path):
    try:
        return path in [os.readlink(fd) for fd in glob.glob("/proc/%d/fd/*" % pid)]
    except OSError:
        return False


def test_a_log_that_is_being_written_becomes_one_with_all_that_is_written():
    """a bounce process of before the reload writes to the log that postsuper adds to the other one"""
    with MiniSuite(HASHED) as s, Agent(s, "fake", lambda d: "l"):
        id = hashed_otherwise(s)
        s.stop()
        old, new = ["%s/bounce/%s/%s" % (s.queue, d, id) for d in (id[0], id[0] + "/" + id[1])]
        put_log(s, new, "c@far.test")
        with open(old, "a") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            p = subprocess.Popen([BIN + "/postsuper", "-c", s.etc, "-s"])
            wait_for(lambda: p.poll() is not None or has_open(p.pid, old))
            log.write("\n<d@far.test>: no\nrecipient=d@far.test\nstatus=5.1.1\naction=failed\nreason=no\n\n")
        assert p.wait(PATIENCE) == 0
        assert re.findall("recipient=(.)@", open(new).read()) == ["c", "b", "d"] and not os.path.exists(old)


def test_a_record_is_not_written_to_a_log_that_is_gone():
    """its writer waits for the lock as another removes the file"""
    def policy(d):
        path = "%s/bounce/%s" % (s.queue, d.id)
        put_log(s, path, "a@far.test")
        with open(path) as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            writer = threading.Thread(target=agent.end, args=(d, d.rcpts[0], "b", "no"))
            writer.start()
            wait_for(lambda: any(has_open(pid, path) for pid in s.pids("bounce")))
            os.unlink(path)
        writer.join()
        written.append(open(path).read() if os.path.exists(path) else "")
        return "l" * len(d.to)

    written = []
    with MiniSuite() as s, Agent(s, "fake", policy) as agent:
        s.send("b@far.test")
        wait_for(lambda: written)
        assert "recipient=b@far.test" in written[0]


def test_what_waits_in_active_is_found_where_the_settings_before_had_put_it():
    """a reload with another hash_queue_names, before postsuper has come to the active queue"""
    def policy(d):
        begun.set()
        end.wait(PATIENCE)
        return "d" if d.id == ids[0] else "l"

    ids, begun, end = [], threading.Event(), threading.Event()
    with MiniSuite("default_destination_concurrency_limit = 1\ninitial_destination_concurrency = 1\n") as s, Agent(s, "fake", policy):
        ids.append(s.send("a@far.test"))
        begun.wait(PATIENCE)
        ids.append(s.send("b@far.test"))
        wait_for(lambda: os.path.exists("%s/active/%s" % (s.queue, ids[1])))
        s.add_main("hash_queue_names = active deferred defer\n")
        os.kill(s.master_pid(), signal.SIGHUP)
        s.wait_log("reload")
        end.set()
        s.wait_log("%s: removed" % ids[0])
        wait_for(lambda: [p for p in s.queue_files("deferred") if ids[1] in p])


@pytest.mark.skipif(not IS_ROOT, reason="gives files away")
def test_files_of_another_owner_are_told():
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l"):
        s.send("a@far.test")
        path = wait_for(lambda: s.queue_files("deferred"))[0]
        s.stop()
        assert "not owned" not in s.tool("postsuper").stderr
        os.chown(path, 12345, -1)
        told = s.tool("postsuper").stderr
        assert re.search("warning: not owned by [a-z]+: %s: chown " % re.escape(path), told) and told.count("not owned") == 1, told
        for i in range(12):
            with open("%s/hold/ABCDE1234%X" % (s.queue, i), "w") as f:
                os.chown(f.fileno(), 12345, -1)
        told = s.tool("postsuper", check=False).stderr
        assert told.count("/hold/") == 10 and re.search("not owned by [a-z]+: 2 more files below .*/hold", told), told


def test_a_damaged_file_is_put_aside():
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l"):
        id = s.send("a@far.test")
        path = wait_for(lambda: s.queue_files("deferred"))[0]
        with open(path, "r+b") as f:
            f.seek(100)
            f.write(b"\xff" * 50)
        s.tool("postqueue", "-f")
        wait_for(lambda: s.queue_files("corrupt"))
        s.wait_log("%s: .*corrupt" % id)


def test_a_requeued_message_goes_through_cleanup_again():
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l" * len(d.to)) as agent:
        id = s.send(["a@far.test", "b@far.test"], mail=["ENVID=QQ1"], rcpt=["NOTIFY=NEVER"])
        wait_for(lambda: s.queue_files("deferred"))
        agent.policy = lambda d: "d" * len(d.to)
        out = s.tool("postsuper", "-r", id).stderr
        assert out.endswith("postsuper: %s: requeued\npostsuper: Requeued: 1 message\n" % id)
        s.tool("postkick", "public", "pickup", "W")
        s.wait_queue_empty()
        last = agent.seen[-1]
        assert last.id != id and last.to == ["a@far.test", "b@far.test"] and last.sender == "sender@far.test"
        assert last.attrs["envelope_id"] == "QQ1" and last.rcpts[0]["rcpt_notify"] == "1"
        assert not glob.glob(s.queue + "/defer/*/*")


def test_a_requeued_message_whose_recipients_are_done_is_finished():
    """its delivery ended while postsuper -r took it away"""
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l" * len(d.to)):
        id = s.send(["a@far.test", "b@far.test"])
        path = wait_for(lambda: s.queue_files("deferred"))[0]
        data = open(path, "rb").read()
        for name in (b"a@far.test", b"b@far.test"):
            assert data.count(b"R\x0a" + name) == 1
            data = data.replace(b"R\x0a" + name, b"D\x0a" + name)
        with open(path, "r+b") as f:
            f.write(data)
        s.tool("postsuper", "-r", id)
        s.tool("postkick", "public", "pickup", "W")
        s.wait_log(r"pickup\[\d+\]: %s: all recipients are done: removed$" % id)
        assert not s.queue_files() and not s.queue_files("corrupt")


def test_a_requeued_message_may_have_records_longer_than_new_mail():
    """an address that an alias gave, a line from when line_length_limit was larger"""
    address, line = "x" * 5000 + "@far.test", "y" * 10000
    main = "line_length_limit = 20000\nvirtual_alias_maps = inline:{{a@far.test=%s}}\n" \
           "virtual_alias_address_length_limit = 30000\n" % address
    contents = []
    with MiniSuite(main) as s, Agent(s, "fake", lambda d: "l") as agent:
        id = s.send("a@far.test", body=line + "\r\n")
        wait_for(lambda: s.queue_files("deferred"))
        s.add_main("line_length_limit = 2048\n")
        s.reload()
        agent.policy = lambda d: contents.append(content(s, d)) or "d"
        s.tool("postsuper", "-r", id)
        s.tool("postkick", "public", "pickup", "W")
        wait_for(lambda: contents)
        assert agent.seen[-1].to == [address] and contents[0].endswith("\n" + line + "\n")
        s.wait_queue_empty()
        assert not s.queue_files("corrupt")


def test_an_agent_that_cannot_start_is_put_off_and_its_mail_expires():
    """it dies before it takes a request: its mail is deferred with a reason, and goes back in the end"""
    main = "service_throttle_time = 1s\ntransport_retry_time = 1s\nqueue_run_delay = 1s\nminimal_backoff_time = 1s\n" \
           "maximal_backoff_time = 1s\nmaximal_queue_lifetime = 6s\npombal_accept_missing = nosuchprogram\ntransport_maps = inline:{dead.test=dead}\n"
    with MiniSuite(main, "dead unix - - n - - nosuchprogram\n") as s, Agent(s, "fake") as agent:
        id = s.send("a@dead.test")
        s.wait_log(r"%s: to=<a@dead.test>, relay=none, .*status=deferred \(mail transport unavailable\)" % id)
        wait_for(lambda: "mail transport unavailable" in s.tool("postqueue", "-p").stdout)
        s.send("b@far.test")
        wait_for(lambda: any(d.to == ["b@far.test"] for d in agent.seen))  # others are not held up
        s.wait_log("%s: from=<sender@far.test>, status=expired, returned to sender" % id)
        wait_for(lambda: any(d.to == ["sender@far.test"] for d in agent.seen))
        s.wait_queue_empty()


def test_a_message_whose_report_is_due_is_not_requeued():
    """its recipients are done: under the new queue id nobody would know of the report"""
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l" * len(d.to)):
        id = s.send("a@far.test")
        path = wait_for(lambda: s.queue_files("deferred"))[0]
        log = "%s/bounce/%s" % (s.queue, id)
        open(log, "w").write("\n<a@far.test>: no\nrecipient=a@far.test\nstatus=5.0.0\naction=failed\nreason=no\n\n")
        r = s.tool("postsuper", "-r", "ALL", check=False)
        assert r.returncode == 1 and "%s: cannot be requeued" % id in r.stderr
        assert os.path.exists(path) and os.path.exists(log)


def test_a_destination_with_a_rate_delay_gets_one_at_a_time():
    times = []

    def policy(d):
        times.append(time.monotonic())
        return "d"

    with MiniSuite("fake_destination_rate_delay = 1s\n") as s, Agent(s, "fake", policy) as agent:
        for _ in range(3):
            s.send("a@far.test")
        s.wait_log("removed", 3)
        assert all(b - a > 0.9 for a, b in zip(times, times[1:])) and agent.most == 1


def test_a_content_filter_gets_everything():
    with MiniSuite("content_filter = fake:[127.0.0.1]:10025\n") as s, Agent(s, "fake", lambda d: "d" * len(d.to)) as agent:
        s.send(["a@far.test", "b@queue.test"])
        d = only(agent)[0]
        assert d.nexthop == "[127.0.0.1]:10025" and d.to == ["a@far.test", "b@queue.test"]


def test_quoted_addresses_are_quoted_in_logs_and_reports():
    reports = []

    def policy(d):
        if d.sender == "":
            reports.append(email.message_from_string(content(s, d)))
            return "d"
        return "b"

    with MiniSuite() as s, Agent(s, "fake", policy):
        id = s.send('"a b"@far.test', sender='"s t"@far.test')
        s.wait_log('%s: from=<"s t"@far.test>' % id)
        wait_for(lambda: reports)
        assert reports[0]["To"] == '"s t"@far.test'
        assert reports[0].get_payload(1).get_payload(1)["Final-Recipient"] == 'rfc822; "a b"@far.test'


ALL_AGENTS = """
local unix - n n - - local
virtual unix - n n - - virtual
error unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
pipe unix - n n - - pipe user=%s argv=/bin/true
""" % ("games" if IS_ROOT else os.getuid())


def test_a_message_that_is_gone_is_no_broken_transport():
    """postsuper -d, -h and -r take files away while they wait for their turn"""
    hold = threading.Event()
    with MiniSuite("default_destination_concurrency_limit = 1\ninitial_destination_concurrency = 1\n") as s:
        with Agent(s, "fake", lambda d: hold.wait(PATIENCE) and "d" * len(d.rcpts)) as agent:
            first = s.send("a@far.test")
            wait_for(lambda: agent.busy)
            gone, last = s.send("b@far.test"), s.send("c@far.test")
            for id in (gone, last):
                s.wait_log("%s: from=.*queue active" % id)
            s.tool("postsuper", "-d", gone)
            hold.set()
            s.wait_log(r"postfix/qmgr\[\d+\]: warning: %s: open active/%s: No such file" % (gone, gone))
            for id in (first, last):
                s.wait_log("%s: removed" % id)
            assert [d.id for d in agent.seen] == [first, last]


def test_agents_deliver_no_file_that_they_are_not_given():
    """neither by a name, nor one of another queue: the message stays, the agent goes on"""
    with MiniSuite("default_transport = pipe\n", ALL_AGENTS) as s:
        for name in ("local", "virtual", "error", "discard", "smtp", "pipe"):
            for queue, id, said in (("active", "0123456789A", "the queue file is missing"),
                                    ("hold", "0123456789B", "not in the active queue")):
                with socket.socket(socket.AF_UNIX) as c:
                    c.settimeout(PATIENCE)
                    c.connect("%s/private/%s" % (s.queue, name))
                    c.sendall(encode([("request", "deliver"), ("queue_name", queue), ("queue_id", id),
                                      ("rcpt_at", 1), ("rcpt", "a@far.test")]))
                    assert dict(receive(c)) == {"status": "ok", "fates": "l"}, name
                s.wait_log(r"postfix/%s\[\d+\]: warning: %s: malformed request: .*%s" % (name, id, said))
        id = s.send("b@far.test")
        s.wait_log("%s: removed" % id)


def named_in(reports):
    """the recipients of all reports, with their status"""
    return sorted((p["Final-Recipient"].split("; ")[1], p["Status"]) for r in reports
                  for p in r.get_payload(1).get_payload()[1:])


def reporting(s, main=""):
    """an agent that keeps the reports it is given"""
    reports = []
    return reports, Agent(s, "fake", lambda d: reports.append(email.message_from_string(content(s, d))) or "d")


NEVER_SENT = "transport_maps = inline:{far.test=slow:}\ndefer_transports = slow\n"


def test_a_report_names_recipients_whose_record_could_not_be_written():
    with MiniSuite(SOON + NEVER_SENT + "maximal_queue_lifetime = 1s\nbounce_report_recipient_limit = 2\n") as s:
        reports, agent = reporting(s)
        with agent, Spoiled(s, "defer"):
            id = s.send(["a@far.test", "b@far.test", "c@far.test"], sender="sender@back.test")
            s.wait_log("%s: removed" % id)
            wait_for(lambda: len(named_in(reports)) == 3)
            assert named_in(reports) == [(a + "@far.test", "4.4.7") for a in "abc"]
            assert len(reports) == 2


def test_a_report_of_a_forced_expiry_names_those_without_a_record():
    with MiniSuite(NEVER_SENT) as s:
        reports, agent = reporting(s)
        with agent:
            id = s.send(["a@far.test", "b@far.test"], sender="sender@back.test")
            wait_for(lambda: s.queue_files("deferred"))
            path, = glob.glob(s.queue + "/defer/*/" + id)
            text = open(path).read()
            assert text.count("\n<") == 2
            open(path, "w").write(text[:text.rindex("\n<") + 20])  # half of the last record
            s.tool("postsuper", "-f", id)
            s.tool("postqueue", "-f")
            s.wait_log("%s: removed" % id)
            wait_for(lambda: len(named_in(reports)) == 2)
            assert [a for a, _ in named_in(reports)] == ["a@far.test", "b@far.test"]
            assert not glob.glob(s.queue + "/defer/*/*")


def test_a_report_after_a_crash_names_nobody_who_has_got_the_mail():
    """whose reason of the attempt before stands in the defer log until the next one"""
    def first_hangs(d):
        if len(few.seen) > 1:
            return "l"
        wait_for(lambda: len(few.seen) > 1)
        return None

    reports = []
    def second_is_taken(d):
        if d.sender == "":
            reports.append(email.message_from_string(content(s, d)))
        return "l" if len(fake.seen) == 1 else "d"

    with MiniSuite("transport_maps = inline:{b.test=few:}\n") as s, Agent(s, "few", first_hangs) as few, \
            Agent(s, "fake", second_is_taken) as fake:
        id = s.send(["a@a.test", "b@b.test"], sender="sender@back.test")
        (log,) = wait_for(lambda: glob.glob(s.queue + "/defer/*/" + id))
        only(few)
        os.kill(s.pids("qmgr")[0], signal.SIGKILL)
        wait_for(lambda: s.queue_files("deferred"))
        assert "b@b.test" in open(log).read() and "a@a.test" not in open(log).read()
        s.tool("postsuper", "-f", id)
        s.tool("postqueue", "-f")
        s.wait_log("%s: removed" % id)
        wait_for(lambda: reports)
        assert named_in(reports) == [("b@b.test", "4.2.1")]


def test_a_redirected_message_is_redirected_once():
    """also if its queue manager ends before it has heard of the delivery"""
    def stop_listening(d):
        os.kill(s.pids("qmgr")[0], signal.SIGSTOP)
        return "d"

    with MiniSuite("header_checks = regexp:$config_directory/checks\n", start=False) as s, \
            Agent(s, "fake", stop_listening) as agent:
        s.write("etc/checks", "/^Subject: test/ REDIRECT r@far.test\n")
        s.start()
        id = s.send(["a@far.test", "b@far.test", "c@far.test"])
        (d,) = only(agent)
        at, path = d.rcpts[0]["rcpt_at"], "%s/active/%s" % (s.queue, id)
        wait_for(lambda: open(path, "rb").read()[at:at + 1] == b"D")
        agent.policy = lambda d: "d"
        os.kill(s.pids("qmgr")[0], signal.SIGKILL)
        s.wait_log("%s: removed" % id)
        assert [d.to for d in agent.seen] == [["r@far.test"]]


@pytest.mark.parametrize("main", ["smtpd_sender_restrictions = check_sender_access inline:{{sender@far.test=REDIRECT r@far.test}}\n",
                                  "header_checks = regexp:$config_directory/checks\n"], ids=["client", "content"])
def test_a_redirected_message_that_is_requeued_is_not_redirected_again(main):
    """its delivery ended while postsuper -r took it away"""
    with MiniSuite(main, start=False) as s, Agent(s, "fake", lambda d: "l") as agent:
        s.write("etc/checks", "/^Subject: test/ REDIRECT r@far.test\n")
        s.start()
        id = s.send(["a@far.test", "b@far.test"])
        (path,) = wait_for(lambda: s.queue_files("deferred"))
        assert agent.seen[0].to == ["r@far.test"]
        with open(path, "r+b") as f:
            f.seek(agent.seen[0].rcpts[0]["rcpt_at"])
            f.write(b"D")
        s.tool("postsuper", "-r", id)
        s.tool("postkick", "public", "pickup", "W")
        s.wait_log(r"pickup\[\d+\]: %s: all recipients are done: removed$" % id)
        assert not s.queue_files() and len(agent.seen) == 1


REASON = "no %s no" % ("x" * 5000)
MANY_FIELDS = "".join("X-%d: %s\r\n" % (i, "x" * 300) for i in range(90))
# message_size_limit: recipients, header, body, messages that the report takes, the end of the original in each
LARGE_REPORTS = {
    100000: (30, "", "text\r\n", range(4, 9), "text"),
    30000: (1, "", ("x" * 70 + "\r\n") * 400, [1], "From: sender@back.test"),
    30001: (1, MANY_FIELDS, "text\r\n", [1], "x" * 300),
    3000: (2, "", "text\r\n", [2], ""),
}


@pytest.mark.parametrize("limit", LARGE_REPORTS)
def test_a_report_is_not_lost_though_all_of_it_would_be_too_large(limit):
    """several messages, less of the original, and what is said of one recipient in any case"""
    n, headers, body, messages, original = LARGE_REPORTS[limit]
    if limit < 2 * len(REASON) and not IS_ROOT:
        pytest.skip("cleanup knows who bounce is by ids that need root")
    with MiniSuite(SOON + "message_size_limit = %d\n" % limit) as s:
        reports = []

        def policy(d):
            if d.sender == "":
                reports.append(content(s, d))
                return "d"
            return "b" * len(d.to), None, REASON

        with Agent(s, "fake", policy):
            id = s.send(["r%02d@far.test" % i for i in range(n)], "sender@back.test", body, headers=headers)
            s.wait_log("%s: removed" % id)
            s.wait_queue_empty()
    read = [email.message_from_string(r) for r in reports]
    assert named_in(read) == [("r%02d@far.test" % i, "5.1.1") for i in range(n)]
    assert len(reports) in messages
    assert all(len(r) <= limit for r in reports) or limit < 2 * len(REASON)
    for r in read:
        text = r.as_string().rstrip()
        assert text.endswith("--%s--" % r.get_boundary())
        assert text.rpartition("\n--")[0].rstrip().endswith(original)


@pytest.mark.parametrize("what", ["non-delivery", "delay"])
def test_a_copy_that_the_postmaster_cannot_get_is_no_reason_to_tell_the_sender_again(what):
    fate, main = ("b", "") if what == "non-delivery" else ("l", "delay_warning_time = 1s\n")
    main += "notify_classes = bounce, delay\nbounce_notice_recipient = a@round.test\ndelay_notice_recipient = a@round.test\n" \
            "virtual_alias_maps = inline:{{a@round.test = b@round.test}, {b@round.test = a@round.test}}\n"
    with MiniSuite(SOON + main) as s, Agent(s, "fake", lambda d: "d" if d.sender == "" else fate) as agent:
        id = s.send("a@far.test")
        s.wait_log("%s: postmaster %s notification failed: " % (id, what))
        if what == "delay":  # and is tried again
            tried = sum(d.id == id for d in agent.seen)
            wait_for(lambda: sum(d.id == id for d in agent.seen) >= tried + 3)
            fate = "d"
        s.wait_log("%s: removed" % id)
        s.wait_queue_empty()
        assert sum(d.sender == "" for d in agent.seen) == 1


def test_qmgr_and_pickup_as_fifos_deliver_at_once():
    fifos = "pickup fifo n - n 600 1 pickup\nqmgr fifo n - n 600 1 qmgr\n"
    with MiniSuite("queue_run_delay = 600s\n", start=False) as s:
        path = s.etc + "/master.cf"
        kept = [line for line in open(path) if not line.startswith(("pickup ", "qmgr "))]
        open(path, "w").write("".join(kept) + fifos)
        s.start()
        with Agent(s, "fake") as agent:
            id = s.send("a@far.test")
            s.wait_log("%s: removed" % id)
            s.tool("sendmail", "-i", "b@far.test", input="Subject: x\n\n")
            wait_for(lambda: len(agent.seen) == 2)
