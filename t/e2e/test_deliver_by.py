"""DELIVERBY (RFC 2852): mail that is to be delivered by a time, or else returned, or its sender told."""
import re, time

import pytest

import pombal
from sink import Sink

LATER = {"RCPT": "450 4.2.0 not now"}


@pytest.fixture(scope="module")
def world():
    s = pombal.Instance(start=False)
    s.sinks = {"knows": Sink(ehlo=("DELIVERBY", "DSN")), "slow": Sink(ehlo=("DELIVERBY 5000",)), "quick": Sink(ehlo=("DELIVERBY 10,x=y",)),
               "ignores": Sink(ehlo=("DSN",)), "old": Sink(), "busy": Sink(LATER, ehlo=("DELIVERBY", "DSN"))}
    s.write("etc/transport", "".join("%s.test smtp:[127.0.0.1]:%d\n" % (name, sink.port) for name, sink in s.sinks.items()))
    with open(s.etc + "/aliases", "a") as f:
        f.write("forward: x@ignores.test\nforwards: x@knows.test\nlist: x@ignores.test\nowner-list: bob\n")
    s.tool("newaliases")
    s.submission, s.hides, s.filters, s.later = (pombal.free_port() for _ in range(4))
    s.add_main("transport_maps = texthash:$config_directory/transport\nqueue_run_delay = 1s\nminimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n"
               "smtpd_recipient_restrictions = check_recipient_access inline:{{alice+held@example.test=HOLD}}\nrecipient_delimiter = +\n")
    entry = "127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_deliver_by_minimum=2s\n  -o smtpd_reject_unlisted_recipient=no\n"
    s.add_master(entry % s.submission + "  -o smtpd_future_release_limit=1d\n" + entry % s.hides + "  -o smtpd_discard_ehlo_keywords=deliverby\n"
                 + entry % s.filters + "  -o smtpd_proxy_filter=127.0.0.1:1\n" + entry % s.later + "  -o content_filter=smtp:127.0.0.1:1\n")
    s.start()
    yield s
    s.close()
    for sink in s.sinks.values():
        sink.close()


def begin(port):
    raw = pombal.Raw(port)
    raw.reply()
    return raw, raw.ask("EHLO x")


def send(world, by, to, notify="", subject="x"):
    """the queue id; by: the value of BY"""
    raw, _ = begin(world.submission)
    for command in ("MAIL FROM:<bob@example.test> BY=" + by, "RCPT TO:<%s>%s" % (to, notify and " NOTIFY=" + notify)):
        assert raw.ask(command)[:3] == "250"
    raw.ask("DATA")
    said = raw.ask("Subject: %s\r\n\r\nx\r\n." % subject)
    raw.close()
    return said.split()[-1]


def report(world, queue_id):
    """the one about this message that bob gets: its fields for programs"""
    def arrived():
        return [m.get_payload()[1].as_string() for m in world.messages("bob") if "X-Postfix-Queue-ID: %s\n" % queue_id in m.text]
    (text,) = pombal.wait_for(arrived)
    return text


def reports(world, queue_id):
    """after all of them have been written"""
    world.wait_log(queue_id + ": removed$")
    ids = re.findall(queue_id + r": sender [\w -]+ notification: (\w+)", world.log())
    for id in ids:
        world.wait_log(id + ": removed$")
    return ids


def field(text, name):
    return re.findall("^%s: (.*)$" % name, text, flags=re.M)


def commands(sink, verb):
    return [c for c in sink.commands if c.startswith(verb)]


@pytest.mark.parametrize("service", ["smtp", "hides", "filters", "later"])
def test_where_it_is_not_offered_nobody_can_ask(world, service):
    raw, said = begin(world.port("smtp") if service == "smtp" else getattr(world, service))
    assert "DELIVERBY" not in said
    assert raw.ask("MAIL FROM:<a@x.test> BY=10;R") == "555 5.5.4 Unsupported option: BY=10;R"
    raw.close()


def test_it_is_offered_with_the_shortest_time(world):
    raw, said = begin(world.submission)
    assert re.findall(r"^250.DELIVERBY (.*)$", said, flags=re.M) == ["2"]
    raw.close()


BAD = "501 5.5.4 Bad BY parameter syntax"
EARLY = "501 5.5.4 Release is later than the time of BY"


@pytest.mark.parametrize("params, reply", [
    ("BY=2;R", "250 2.1.0 Ok"), ("by=+120;rt", "250 2.1.0 Ok"), ("BY=-999999999;N", "250 2.1.0 Ok"), ("BY=0;NT", "250 2.1.0 Ok"), ("BY=1;N", "250 2.1.0 Ok"),
    ("BY=1;R", "555 5.5.4 The time of BY is too short: at least 2 seconds"), ("BY=0;R", BAD), ("BY=-1;RT", BAD), ("BY", BAD), ("BY=", BAD),
    ("BY=10", BAD), ("BY=10;", BAD), ("BY=10;T", BAD), ("BY=10;RX", BAD), ("BY=1000000000;N", BAD), ("BY=1m;R", BAD), ("BY=10;R BY=10;R", BAD),
    ("HOLDFOR=100 BY=50;N", EARLY), ("BY=50;R HOLDFOR=100", EARLY), ("HOLDUNTIL=2020-01-01T00:00:00Z BY=5;R", "250 2.1.0 Ok"), ("BY=500;R HOLDFOR=100", "250 2.1.0 Ok"),
])
def test_what_may_be_asked(world, params, reply):
    raw, _ = begin(world.submission)
    assert raw.ask("MAIL FROM:<a@x.test> " + params) == reply
    raw.close()


def test_the_next_server_hears_what_is_left(world):
    sink = world.sinks["knows"]
    for by, mode in (("5000;R", "R"), ("5000;nt", "NT"), ("-5;N", "N")):
        del sink.commands[:]
        begun = time.time()
        queue_id = send(world, by, "x@knows.test")
        sent = pombal.wait_for(lambda: commands(sink, "MAIL"))[0]
        ended = time.time()
        (left, said), asked = re.search(r" BY=(-?\d+);(\w+)", sent).groups(), int(by.split(";")[0])
        assert said == mode and asked - (ended - begun) - 1 <= int(left) <= asked
        told = reports(world, queue_id)
        assert commands(sink, "RCPT") == ["RCPT TO:<x@knows.test> ORCPT=rfc822;x@knows.test"]
        assert len(told) == (mode == "NT")
        if told:
            text = report(world, queue_id)
            assert (field(text, "Action"), field(text, "Status")) == (["relayed"], ["2.0.0"])
            assert len(field(text, "Deliver-By-Date")) == len(field(text, "Arrival-Date")) == 1


def test_who_forbids_reports_gets_no_trace(world):
    assert reports(world, send(world, "5000;NT", "x@knows.test", "NEVER")) == []
    assert reports(world, send(world, "5000;NT", "x@knows.test", "FAILURE")) != []


@pytest.mark.parametrize("by, to, code, why", [
    ("100;R", "ignores", "5.3.3", r"DELIVERBY is required, but was not offered by host"),
    ("100;R", "slow", "5.4.7", r"host 127\.0\.0\.1\[127\.0\.0\.1\] does not promise delivery within less than 5000 seconds"),
])
def test_what_a_server_cannot_promise_is_returned_unsent(world, by, to, code, why):
    del world.sinks[to].commands[:]
    queue_id = send(world, by, "x@%s.test" % to)
    world.wait_log(queue_id + r": to=<x@%s\.test>.* dsn=%s, status=bounced \(%s" % (to, re.escape(code), why))
    text = report(world, queue_id)
    assert (field(text, "Action"), field(text, "Status")) == (["failed"], [code]) and field(text, "Deliver-By-Date")
    assert commands(world.sinks[to], "EHLO") and not commands(world.sinks[to], "MAIL")


def test_a_server_that_promises_it_soon_enough_gets_it(world):
    send(world, "5000;R", "x@quick.test")
    pombal.wait_for(lambda: world.sinks["quick"].messages)


@pytest.mark.parametrize("notify, asked, told", [
    ("", "FAILURE,DELAY", 1), ("SUCCESS", "SUCCESS,DELAY", 1), ("FAILURE", "FAILURE,DELAY", 1), ("NEVER", "NEVER", 0)])
def test_a_server_that_does_not_know_it_is_asked_for_the_delay_instead(world, notify, asked, told):
    sink = world.sinks["ignores"]
    del sink.commands[:]
    queue_id = send(world, "5000;N", "x@ignores.test", notify)
    (rcpt,) = pombal.wait_for(lambda: commands(sink, "RCPT"))
    assert rcpt == "RCPT TO:<x@ignores.test> NOTIFY=%s ORCPT=rfc822;x@ignores.test" % asked
    assert not [c for c in sink.commands if " BY=" in c]
    assert len(reports(world, queue_id)) == told
    if told:
        assert field(report(world, queue_id), "Action") == ["relayed"]


def test_after_its_time_nobody_is_told_of_a_relay(world):
    assert reports(world, send(world, "-1;N", "x@old.test")) == []
    assert len(reports(world, send(world, "5000;N", "x@old.test"))) == 1


def test_what_is_late_is_returned(world):
    sink = world.sinks["busy"]
    queue_id = send(world, "3;R", "x@busy.test", subject="in three seconds")
    world.wait_log(queue_id + r": to=<x@busy\.test>.*status=deferred \(host .* 450 4\.2\.0 not now")
    assert "named_attribute: deliver_by=" in world.tool("postcat", "-q", queue_id, check=False).stdout
    world.wait_log(queue_id + r": to=<x@busy\.test>, relay=none, .*dsn=5\.4\.7, status=bounced \(delivery time expired\)$")
    text = report(world, queue_id)
    assert (field(text, "Action"), field(text, "Status")) == (["failed"], ["5.4.7"]) and field(text, "Deliver-By-Date")
    assert len(commands(sink, "RCPT")) == 1
    world.wait_log(queue_id + ": removed$")
    assert reports(world, send(world, "2;R", "x@busy.test", "NEVER")) == []


def test_who_wants_to_know_of_a_delay_is_told_once_and_it_goes_on(world):
    queue_id = send(world, "2;N", "x@busy.test")
    world.wait_log(queue_id + r": sender delay notification: ")
    text = report(world, queue_id)
    assert (field(text, "Action"), field(text, "Status")) == (["delayed"], ["4.4.7"])
    assert len(field(text, "Deliver-By-Date")) == len(field(text, "Will-Retry-Until")) == 1
    world.wait_log(queue_id + ": to=<x@busy.test>.*status=deferred", count=2)
    world.tool("postqueue", "-i", queue_id)
    world.wait_log(queue_id + ": to=<x@busy.test>.*status=deferred", count=3)
    world.tool("postqueue", "-i", queue_id)
    world.wait_log(queue_id + ": to=<x@busy.test>.*status=deferred", count=4)
    assert world.log().count(queue_id + ": sender delay notification: ") == 1
    world.tool("postsuper", "-d", queue_id)


def test_who_wants_no_delay_reports_gets_none(world):
    queue_id = send(world, "2;N", "x@busy.test", "FAILURE")
    world.wait_log(queue_id + ": to=<x@busy.test>.*status=deferred", count=2)
    world.tool("postqueue", "-i", queue_id)
    world.wait_log(queue_id + ": to=<x@busy.test>.*status=deferred", count=3)
    assert queue_id + ": sender delay" not in world.log()
    world.tool("postsuper", "-d", queue_id)


def test_a_mailbox_gets_it_in_time_and_not_late(world):
    send(world, "5000;R", "alice@example.test", subject="in time")
    world.wait_mail("alice", match="^in time$")
    queue_id = send(world, "2;R", "alice+held@example.test", subject="too late")
    over = time.time() + 2
    pombal.wait_for(lambda: time.time() > over)  # the clock is what decides
    world.tool("postsuper", "-H", queue_id)
    world.wait_log(queue_id + r": to=<alice\+held@example\.test>.*dsn=5\.4\.7, status=bounced \(delivery time expired\)$")
    assert not [m for m in world.messages("alice") if m["Subject"] == "too late"]


def test_it_goes_with_what_is_forwarded_and_ends_at_a_list(world):
    sink = world.sinks["knows"]
    del sink.commands[:]
    send(world, "5000;R", "forwards@example.test")
    assert re.search(r" BY=\d+;R$", pombal.wait_for(lambda: commands(sink, "MAIL"))[0].split(" ENVID")[0])
    queue_id = send(world, "5000;R", "forward@example.test")
    new = world.wait_log(queue_id + r": to=<forward@example\.test>.*\(forwarded as (\w+)\)")[0].group(1)
    world.wait_log(new + r": to=<x@ignores\.test>.*dsn=5\.3\.3, status=bounced")
    queue_id = send(world, "5000;R", "list@example.test")
    new = world.wait_log(queue_id + r": to=<list@example\.test>.*\(forwarded as (\w+)\)")[0].group(1)
    world.wait_log(new + r": to=<x@ignores\.test>.*status=sent")
