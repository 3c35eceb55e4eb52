"""FUTURERELEASE (RFC 4865): mail that its sender wants to be delivered later."""
import datetime, os, re, time

import pytest

import pombal

A_DAY = 86400


@pytest.fixture(scope="module")
def world():
    s = pombal.Instance(start=False)
    s.submission, s.hides, s.filters = (pombal.free_port() for _ in range(3))
    s.add_main("queue_run_delay = 1s\nmaximal_queue_lifetime = 1s\nminimal_backoff_time = 1s\n")
    entry = "127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_future_release_limit=1d\n  -o smtpd_reject_unlisted_recipient=no\n"
    s.add_master(entry % s.submission + entry % s.hides + "  -o smtpd_discard_ehlo_keywords=futurerelease\n" + entry % s.filters + "  -o smtpd_proxy_filter=127.0.0.1:1\n")
    s.start()
    yield s
    s.close()


def begin(port, ehlo="EHLO x"):
    raw = pombal.Raw(port)
    raw.reply()
    return raw, raw.ask(ehlo)


def send(world, params, to="alice@example.test", subject="x"):
    """the queue id"""
    raw, _ = begin(world.submission)
    for command in ("MAIL FROM:<bob@example.test> " + params, "RCPT TO:<%s>" % to):
        assert raw.ask(command)[:3] == "250"
    raw.ask("DATA")
    said = raw.ask("Subject: %s\r\n\r\nx\r\n." % subject)
    raw.close()
    return said.split()[-1]


def where(world, queue_id):
    return [q for q in ("incoming", "active", "deferred") if os.path.exists("%s/%s/%s" % (world.queue, q, queue_id))
            or os.path.exists("%s/%s/%s/%s" % (world.queue, q, queue_id[0], queue_id))]


def test_it_is_offered_with_the_longest_time(world):
    raw, said = begin(world.submission)
    (line,) = re.findall(r"^250.FUTURERELEASE (.*)$", said, flags=re.M)
    longest, until = line.split()
    assert longest == "86400"
    assert 0 <= time.time() + A_DAY - datetime.datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp() < 600
    raw.close()


@pytest.mark.parametrize("port", ["smtp", "hides", "filters"])
def test_where_it_is_not_offered_nobody_can_ask(world, port):
    raw, said = begin(world.port("smtp") if port == "smtp" else getattr(world, port))
    assert "FUTURERELEASE" not in said
    assert raw.ask("MAIL FROM:<a@x.test> HOLDFOR=1") == "555 5.5.4 Unsupported option: HOLDFOR=1"
    raw.close()


@pytest.mark.parametrize("params, reply", [
    ("HOLDFOR=86401", "554 5.5.4 Release is too far in the future: at most 86400 seconds"),
    ("HOLDUNTIL=2999-01-01T00:00:00Z", "554 5.5.4 Release is too far in the future: at most 86400 seconds"),
    ("HOLDFOR=", "501 5.5.4 Bad HOLDFOR parameter syntax"), ("HOLDFOR", "501 5.5.4 Bad HOLDFOR parameter syntax"),
    ("HOLDFOR=-1", "501 5.5.4 Bad HOLDFOR parameter syntax"), ("HOLDFOR=1h", "501 5.5.4 Bad HOLDFOR parameter syntax"),
    ("HOLDFOR=0000000001", "501 5.5.4 Bad HOLDFOR parameter syntax"), ("HOLDUNTIL=tomorrow", "501 5.5.4 Bad HOLDUNTIL parameter syntax"),
    ("HOLDFOR=1 HOLDUNTIL=2020-01-01T00:00:00Z", "501 5.5.4 Bad HOLDUNTIL parameter syntax"), ("HOLDFOR=1 HOLDFOR=1", "501 5.5.4 Bad HOLDFOR parameter syntax"),
    ("HOLDUNTIL=2020-01-01T00:00:00Z", "250 2.1.0 Ok"), ("HOLDFOR=0", "250 2.1.0 Ok"), ("holdfor=86400", "250 2.1.0 Ok"),
])
def test_what_may_be_asked(world, params, reply):
    raw, _ = begin(world.submission)
    assert raw.ask("MAIL FROM:<a@x.test> " + params) == reply
    raw.close()


def test_neither_flush_nor_restart_releases_it_early(world):
    queue_id = send(world, "HOLDFOR=80000", subject="tomorrow")
    world.wait_log(r"qmgr\[\d+\]: %s: held for future release at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$" % queue_id)
    pombal.wait_for(lambda: where(world, queue_id) == ["deferred"])
    world.tool("postqueue", "-f")
    world.wait_log(queue_id + ": held for future release", count=2)
    pombal.wait_for(lambda: where(world, queue_id) == ["deferred"])
    world.stop()
    world.start()
    world.tool("postqueue", "-i", queue_id)
    world.wait_log(queue_id + ": held for future release", count=3)
    assert not re.search(queue_id + ": (from|to)=<.*(queue active|status=)", world.log())
    world.tool("postsuper", "-r", queue_id)
    world.tool("postkick", "public", "pickup", "W")
    new = world.wait_log(r"pickup\[\d+\]: (\w+): uid=\d+ from=<bob@example.test>")[0].group(1)
    world.wait_log(new + ": held for future release")
    world.tool("postsuper", "-d", new)


def test_it_is_delivered_when_its_time_has_come(world):
    before = time.time()
    queue_id = send(world, "HOLDFOR=2", subject="in a moment")
    world.wait_log(queue_id + ": held for future release")
    (mail,) = world.wait_mail("alice", match="^in a moment$")
    assert time.time() >= before + 1  # of a second that had begun

    queue_id = send(world, "HOLDUNTIL=2020-01-01T00:00:00Z", subject="long ago")
    world.wait_mail("alice", match="^long ago$")
    assert queue_id + ": held" not in world.log()


def test_its_lifetime_begins_with_its_release_and_its_report_names_the_request(world):
    """maximal_queue_lifetime is shorter than the time it is held for"""
    queue_id = send(world, "HOLDFOR=3", to="nobody-there@example.test", subject="nowhere")
    world.wait_log(queue_id + ": held for future release")
    world.wait_log(queue_id + r": to=<nobody-there@example\.test>.*status=bounced \(unknown user")
    mail = world.wait_mail("bob", match="Undelivered")[0]
    assert "\nFuture-Release-Request: for;3\n" in mail.text
