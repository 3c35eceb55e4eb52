"""Mail filters from the connection to the delivered message: one session, one connection; filters that die at every point."""
import os, stat, sys

import pytest

import pombal
from filter import Filter

sys.path.append(pombal.TOP + "/t/compat")
import milter  # noqa: E402
from milter import DIE, GO_ON, HANG, REJECT  # noqa: E402

FROM, TO = "a@elsewhere.test", "alice@example.test"
MESSAGE = "Subject: %s\r\n\r\n" + "a line of the body\r\n" * 100


@pytest.fixture(scope="module")
def world():
    s = pombal.Instance(start=False)
    one = milter.Milter(offer=None)
    os.makedirs(s.queue + "/filters", exist_ok=True)
    os.chmod(s.queue + "/filters", 0o755)
    local = milter.Milter(offer=None, unix=s.queue + "/filters/one")
    os.chmod(s.queue + "/filters/one", 0o777)
    ports = {name: pombal.free_port() for name in ("accept", "tempfail", "unix", "named", "held", "xclient", "none", "before", "back")}
    before = Filter(lambda: ports["back"])
    s.add_main("milter_content_timeout = 2s\nmilter_command_timeout = 2s\n")
    entry = "inet:127.0.0.1:%d" % one.port
    s.add_master("".join("127.0.0.1:%d inet n - y - - smtpd\n    -o { %s }\n" % (ports[name], option) for name, option in (
        ("accept", "smtpd_milters = { %s, default_action=accept }" % entry), ("tempfail", "smtpd_milters = { inet:localhost:%d, default_action=tempfail }" % one.port),
        ("unix", "smtpd_milter_maps = inline:{ { 127.0.0.1 = unix:/filters/one } }"),
        ("named", "smtpd_milter_maps = inline:{ { 127.0.0.1 = { inet:localhost:amanda, default_action=accept } } }"), ("back", "smtpd_milters ="),
        ("xclient", "smtpd_milters = %s }\n    -o { smtpd_authorized_xclient_hosts = 127.0.0.0/8" % entry),
        ("none", "smtpd_milters = %s }\n    -o { receive_override_options = no_milters" % entry),
        ("before", "smtpd_milters = %s }\n    -o { smtpd_proxy_filter = 127.0.0.1:%d" % (entry, before.port)), ("held", "smtpd_end_of_data_restrictions = check_sender_access inline:{ %s=HOLD }" % FROM))))
    s.start()
    yield s, ports, one, local
    s.close()
    one.close()
    local.close()
    before.listener.close()


def session(port, messages):
    """the reply to each message's end"""
    raw, said = pombal.Raw(port), []
    raw.reply()
    raw.ask("EHLO client.test")
    for text in messages:
        for command in ("MAIL FROM:<%s>" % FROM, "RCPT TO:<%s>" % TO, "DATA"):
            reply = raw.ask(command)
        said.append(raw.ask(text + ".") if reply.startswith("354") else reply)
        if not reply.startswith("354"):
            raw.ask("RSET")
    raw.ask("QUIT")
    raw.close()
    return said


def with_changes(one, *changes):
    one.wait_idle()
    one.changes = changes
    one.script()
    one.take()


def test_a_table_names_a_port_by_its_service(world):
    """/etc/services is not to be seen from where the table is asked: nobody listens there, but that is no fault of the table"""
    s, ports, one, local = world
    raw = pombal.Raw(ports["named"])
    assert raw.reply().startswith("220 ") and raw.ask("EHLO client.test").startswith("250-")
    raw.close()
    assert "connect to Milter service inet:localhost:amanda: " in s.log()


@pytest.mark.parametrize("service", ["accept", "unix"])
def test_messages_of_a_session_go_over_one_connection(world, service):
    s, ports, one, local = world
    filter = local if service == "unix" else one
    with_changes(filter, milter.add_header("X-Seen", "by " + service))
    names = ["%s %d" % (service, n) for n in range(3)]
    assert all(r.startswith("250 2.0.0 Ok: queued") for r in session(ports[service], [MESSAGE % n for n in names]))
    for name in names:
        (mail,) = s.wait_mail("alice", match="^%s$" % name)
        assert mail["X-Seen"] == "by " + service
    filter.wait_idle()
    (packets,) = filter.take()
    commands = b"".join(p[:1] for p in packets if p[:1] != b"D")
    assert commands.count(b"C") == 1 and commands.count(b"E") == 3 and commands.endswith(b"Q") and commands.count(b"A") == 3


def test_a_message_that_is_given_up_is_told(world):
    _, ports, one, _ = world
    with_changes(one)
    raw = pombal.Raw(ports["accept"])
    raw.reply()
    for command in ("EHLO x", "MAIL FROM:<%s>" % FROM, "RSET", "MAIL FROM:<%s>" % FROM, "RCPT TO:<%s>" % TO):
        raw.ask(command)
    raw.close()
    one.wait_idle()
    (packets,) = one.take()
    assert b"".join(p[:1] for p in packets if p[:1] != b"D") == b"OCHMAMRAQ"


def letters(packets):
    """the events: no macros, and not what ends a message"""
    return b"".join(p[:1] for p in packets if p[:1] not in (b"D", b"A"))


def test_whom_xclient_names_is_a_new_client_for_filters(world):
    _, ports, one, _ = world
    with_changes(one)
    raw = pombal.Raw(ports["xclient"])
    raw.reply()
    raw.ask("EHLO proxy.test")
    assert raw.ask("XCLIENT NAME=second.test ADDR=10.1.1.1")[:3] == "220"
    for command in ("EHLO second.test", "MAIL FROM:<%s>" % FROM, "QUIT"):
        raw.ask(command)
    raw.close()
    one.wait_idle()
    first, second = one.take()
    assert letters(first) == b"OCHQ" and letters(second) == b"OCHMQ"
    (connect,) = [p for p in second if p[:1] == b"C"]
    assert connect.startswith(b"Csecond.test\0") and b"10.1.1.1" in connect


@pytest.mark.parametrize("event", ["connect", "helo"])
def test_a_quarantine_of_the_session_holds_each_message(world, event):
    s, ports, one, _ = world
    with_changes(one)
    one.script(**{event: [milter.quarantine("why"), GO_ON]})
    for said in session(ports["accept"], [MESSAGE % ("held at " + event)] * 2):
        assert os.path.exists("%s/hold/%s" % (s.queue, said.split()[-1])), said
    one.script()
    assert not os.path.exists("%s/hold/%s" % (s.queue, session(ports["accept"], [MESSAGE % "free"])[0].split()[-1]))


@pytest.mark.parametrize("event", ["mail", "eom"])
def test_a_long_reply_of_a_filter_reaches_the_client(world, event):
    """as long as libmilter makes them; RFC 5321 4.5.3.1.5 allows 512 bytes a line, and what is cut shows it"""
    _, ports, one, _ = world
    lines = ["550%s5.7.1 line %02d %s" % ("-" if n < 32 else " ", n, "x" * 200) for n in range(1, 33)]
    for text, want in (("\r\n".join(lines), "\n".join(lines)), ("550 5.7.1 " + "y" * 980, "550 5.7.1 " + "y" * 497 + "...")):
        with_changes(one)
        one.script(**{event: milter.reply(text)})
        raw = pombal.Raw(ports["accept"])
        raw.reply()
        said = raw.ask("EHLO client.test")
        for command in ("MAIL FROM:<%s>" % FROM, "RCPT TO:<%s>" % TO, "DATA", MESSAGE % "refused" + "."):
            if said[0] in "23":
                said = raw.ask(command)
        raw.close()
        assert said == want


def test_no_milters_keeps_them_out(world):
    s, ports, one, _ = world
    with_changes(one)
    one.script(mail=REJECT)
    (said,) = session(ports["none"], [MESSAGE % "unfiltered"])
    assert said.startswith("250 2.0.0") and one.take() == []
    s.wait_mail("alice", match="^unfiltered$")


def test_content_of_a_before_queue_filter_is_not_shown_to_milters(world):
    s, ports, one, _ = world
    with_changes(one)
    (said,) = session(ports["before"], [MESSAGE % "through the filter"])
    assert said.startswith("250"), said
    s.wait_mail("alice", match="^through the filter$")
    one.wait_idle()
    (packets,) = one.take()
    assert letters(packets) == b"OCHMRTQ"


POINTS = ["negotiate", "connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "eom"]


@pytest.mark.parametrize("service", ["accept", "tempfail"])
def test_a_milter_dies_at_every_point(world, service):
    s, ports, one, _ = world
    milter.EVENTS.setdefault("negotiate", b"O")
    for point in POINTS:
        with_changes(one)
        one.script(**{point: DIE})
        (said,) = session(ports[service], [MESSAGE % ("%s dies at %s" % (service, point))])
        if service == "tempfail":
            # refused at MAIL or RCPT, the client is told again at DATA that there is no such command
            assert said.startswith(("451 4.7.1", "503", "554 5.5.1")), (point, said)
        else:
            assert said.startswith("250 2.0.0"), (point, said)
            s.wait_mail("alice", match="accept dies at " + point)
    assert not [m for m in s.messages("alice") if m["Subject"].startswith("tempfail")]


def test_what_is_half_changed_is_never_accepted(world):
    s, ports, one, _ = world
    for name, end in (("dies", DIE), ("lies", b"Z"), ("hangs", HANG), ("refuses", REJECT)):
        with_changes(one)
        one.script(eom=[milter.add_header("X-Half", "1"), milter.add_rcpt("bob@example.test"), end])
        (said,) = session(ports["accept"], [MESSAGE % ("half " + name)])
        assert said.startswith("550 5.7.1" if end == REJECT else "451 4.7.1"), (name, said)
    assert not [m for m in s.messages("alice") if m["Subject"].startswith("half")]
    assert not [n for n in os.listdir(s.queue + "/incoming") if stat.S_ISREG(os.stat(s.queue + "/incoming/" + n).st_mode)]


def test_what_a_milter_says_unasked_is_no_answer_to_the_next_event(world):
    s, ports, one, _ = world
    with_changes(one)
    one.script(eom=[GO_ON, GO_ON])
    first, second = session(ports["tempfail"], [MESSAGE % "unasked 1", MESSAGE % "unasked 2"])
    assert first.startswith("250") and not second.startswith("250"), second
    s.wait_log(r"warning: milter inet:localhost:\d+: the connection was closed, or it said what it was not asked for")


def test_a_large_message_is_held_by_a_restriction_at_its_end(world):
    """it is on its way to cleanup before that is decided"""
    s, ports, _, _ = world
    for name, size in (("small", 1), ("large", 3000)):
        (said,) = session(ports["held"], ["Subject: held %s\r\n\r\n" % name + "x" * 78 + "\r\n" + ("y" * 78 + "\r\n") * size])
        queue_id = said.split()[-1]
        assert os.path.exists("%s/hold/%s" % (s.queue, queue_id)), (name, said)
