"""check_policy_service: what happens when a service does not do what it should, who has which connection, and what check refuses."""
import os, re, time
from concurrent.futures import ThreadPoolExecutor

import pytest

import pombal
from policy_service import PolicyService, reply

SETTINGS = "timeout=1s, try_limit=1, { default_action = 450 4.7.0 nobody answers }"
# What a service does instead of an answer, and what the log says of it
SILENT = {
    "hangs": (lambda sock: time.sleep(30), "timed out"),
    "half": (lambda sock: sock.sendall(b"action=ok") or time.sleep(30), "timed out"),
    "drips": (lambda sock: drip(sock), "timed out"),
    "closes": (None, "lost connection"),
    "leaves": (lambda sock: sock.sendall(b"action=ok\n") and False, "lost connection"),
    "line": (b"action=" + b"x" * 20000 + b"\n\n", "the reply is too long"),
    "lines": (b"a=b\n" * 5000, "the reply is too long"),
    "zero": (b"action=ok\0\n\n", "the reply has a control character"),
    "control": (b"action=PREPEND A: b\rC: d\n\n", "the reply has a control character"),
    "word": (b"ok\n\n", "a line of the reply is not name=value"),
    "other": (b"reaction=ok\n\n", "the reply has no action"),
    "empty": (b"\n", "the reply has no action"),
}


def drip(sock):
    for c in b"action=" + b"x" * 200:
        sock.sendall(bytes([c]))
        time.sleep(0.2)


def say(request):
    """by the recipient: "550" or any other action, or one of SILENT"""
    word = request["recipient"].split("@")[0]
    return SILENT[word][0] if word in SILENT else reply(request["sender"].split("@")[0].replace("_", " "))


@pytest.fixture(scope="module")
def service():
    s = PolicyService(say)
    yield s
    s.close()


SCRIPT = """while read -r line; do [ -n "$line" ] || printf 'action=550 5.7.1 asked as %s\\n\\n' "$(id -un)"; done"""


@pytest.fixture(scope="module")
def suite(service):
    at = "inet:127.0.0.1:%d" % service.port
    classes = {"plain": at, "silent": "{ %s, %s }" % (at, SETTINGS), "once": "{ %s, request_limit=1 }" % at,
               "brief": "{ %s, { max_idle = 1s } }" % at,
               "again": "{ inet:localhost:%d, try_limit=3 }" % service.port, "spawned": "unix:private/policy", "local": "unix:/sockets/policy",
               "nested": "{ unix:nosuch, try_limit=1, default_action=nested }", "loop": at}
    tables = {name: name for name in classes} | {name: "silent" for name in SILENT}
    s = pombal.Instance(
        main="mynetworks = 127.0.0.9\nlocal_recipient_maps =\nsmtpd_restriction_classes = %s\n%s\n"
             "smtpd_recipient_restrictions = reject_unauth_destination, check_recipient_access inline:{ %s }\n"
             % (" ".join(classes), "\n".join("%s = check_policy_service %s" % item for item in classes.items()),
                ", ".join("%s@example.test=%s" % item for item in tables.items()))
             + "smtpd_end_of_data_restrictions = check_policy_service { %s, policy_context=end }\n" % at,
        start=False)
    s.add_user("bob")
    s.add_master("policy unix - n n - 0 spawn\n  user=nobody argv=/bin/sh %s\n" % s.write("policy.sh", SCRIPT))
    os.mkdir(s.queue + "/sockets")
    s.start()
    yield s
    s.close()


class Client(pombal.Raw):
    def __init__(self, suite, sender="dunno@x.test"):
        super().__init__(suite.port("smtp"))
        self.reply()
        self.ask("EHLO client.test")
        self.ask("MAIL FROM:<%s>" % sender)

    def rcpt(self, name):
        return self.ask("RCPT TO:<%s@example.test>" % name)


def rcpt(suite, name, sender="dunno@x.test"):
    client = Client(suite, sender)
    said = client.rcpt(name)
    client.close()
    return said


def test_a_service_that_does_not_answer_ends_in_the_default_action_in_time(suite):
    def ask(name):
        began = time.monotonic()
        return name, rcpt(suite, name), time.monotonic() - began

    with ThreadPoolExecutor(len(SILENT)) as pool:
        for name, said, took in pool.map(ask, SILENT):
            assert said == "450 4.7.0 <%s@example.test>: Recipient address rejected: nobody answers" % name
            assert took < 10, name
    for name, (_, text) in SILENT.items():
        suite.wait_log(r"smtpd\[\d+\]: warning: problem talking to server 127.0.0.1:\d+: " + text)


def test_a_failure_is_followed_by_another_attempt(suite, service):
    failures = [None, b"nonsense\n\n"]
    service.answer = lambda request: failures.pop() if failures else reply("reject at last")
    try:
        assert rcpt(suite, "again") == "554 5.7.1 <again@example.test>: Recipient address rejected: at last"
    finally:
        service.answer = say


def test_a_connection_that_the_service_has_closed_is_replaced_at_once(suite, service):
    assert rcpt(suite, "plain").startswith("250 ")
    before, lines = service.connections, len(re.findall("problem talking", suite.log()))
    service.drop()
    assert rcpt(suite, "plain", "550_gone@x.test") == "550 5.7.1 <plain@example.test>: Recipient address rejected: gone"
    assert service.connections == before + 1 and len(re.findall("problem talking", suite.log())) == lines


def test_what_comes_behind_a_reply_is_not_the_next_reply(suite, service):
    service.answer = lambda request: reply("dunno") + reply("reject")
    try:
        client = Client(suite)
        assert [client.rcpt("plain")[:3] for _ in range(3)] == ["250"] * 3
        client.close()
    finally:
        service.answer = say


def test_a_message_has_its_connection_to_itself_until_it_ends(suite, service):
    service.take()
    one, two = Client(suite), Client(suite)
    for client in (one, two, one, two):
        assert client.rcpt("plain").startswith("250 ")
    first, second, *rest = [r["connection"] for r in service.take()]
    assert first != second and rest == [first, second]
    one.ask("RSET")
    one.ask("MAIL FROM:<dunno@y.test>")
    two.rcpt("plain")
    one.rcpt("plain")
    requests = service.take()
    assert [r["connection"] for r in requests] == [second, first]
    assert requests[0]["instance"] != requests[1]["instance"]
    one.close(), two.close()


def test_a_connection_is_used_as_often_as_its_limit_says(suite, service):
    client = Client(suite)
    service.take()
    for name in ("once", "once", "plain", "plain"):
        client.rcpt(name)
    a, b, c, d = [r["connection"] for r in service.take()]
    assert a != b and c == d
    client.close()


def test_a_connection_that_nobody_needs_is_closed(suite, service):
    rcpt(suite, "brief")
    number = service.take()[-1]["connection"]
    pombal.wait_for(lambda: number in service.closed)


@pytest.mark.skipif(not pombal.IS_ROOT, reason="spawn runs commands as somebody else")
def test_a_service_of_spawn_is_asked_through_private(suite):
    assert rcpt(suite, "spawned") == "550 5.7.1 <spawned@example.test>: Recipient address rejected: asked as nobody"


def test_a_socket_below_the_queue_directory_is_found_there(suite):
    local = PolicyService(lambda request: reply("550 5.7.1 from %s" % request["recipient"]), path=suite.queue + "/sockets/policy")
    assert rcpt(suite, "local") == "550 5.7.1 <local@example.test>: Recipient address rejected: from local@example.test"
    local.close()


def test_a_default_action_that_does_not_answer_either_is_deferred(suite):
    assert rcpt(suite, "nested") == "451 4.3.5 <nested@example.test>: Recipient address rejected: Server configuration problem"


def test_a_service_that_sends_smtpd_in_a_circle_is_cut_off(suite):
    assert rcpt(suite, "loop", "loop@x.test") == "451 4.3.5 Server configuration error"
    suite.wait_log("classes are nested too deep")


@pytest.mark.parametrize("action", ["check_policy_service inet:127.0.0.1:1", "nonsense", "check_policy_service"])
def test_a_reply_may_not_lead_to_what_main_cf_does_not_name(suite, service, action):
    service.answer = lambda request: reply(action)
    try:
        assert rcpt(suite, "plain") == "451 4.3.5 Server configuration error"
    finally:
        service.answer = say


@pytest.mark.parametrize("size", [10, 200000])
def test_an_order_at_the_end_of_a_message_is_carried_out(suite, service, size):
    """also when most of the message has gone to cleanup before"""
    orders = {"redirect": "REDIRECT bob@example.test", "bcc": "BCC bob@example.test", "hold": "HOLD it", "discard": "DISCARD it", "filter": "FILTER error:filtered away"}
    for name, order in orders.items():
        service.answer = lambda request: reply(order if request["policy_context"] == "end" else "dunno")
        suite.send("alice", subject="%s %d" % (name, size), body="x\n" * (size // 2), sender=name + "@x.test")
    service.answer = say
    suite.wait_mail("bob", match="redirect %d" % size), suite.wait_mail("bob", match="bcc %d" % size), suite.wait_mail("alice", match="bcc %d" % size)
    pombal.wait_for(lambda: len(suite.queue_files("hold")) == (1 if size == 10 else 2))
    suite.wait_log("discard: END-OF-MESSAGE from .*<END-OF-MESSAGE>: End-of-data it; from=<discard@x.test>", 1 if size == 10 else 2)
    suite.wait_log(r"to=<alice@example.test>, .*status=bounced \(filtered away\)", 1 if size == 10 else 2)
    assert [m["Subject"] for m in suite.messages("alice") if str(size) in m["Subject"].split()] == ["bcc %d" % size]


WRONG = {
    "": "wants a value behind it", "inet": "inet:host:port or unix:path is wanted", "udp:127.0.0.1:1": "or unix:path is wanted", "inet:": "there is no port",
    "inet:127.0.0.1:": "is not host:port", "inet:127.0.0.1:70000": 'there is no port "70000"', "unix:": "the path of a socket has 1 to 107 bytes",
    "unix:" + "x" * 108: "the path of a socket has", "{}": "or unix:path is wanted", "{ unix:x, timeout }": '"timeout" is not name=value',
    "{ unix:x, timeout=0 }": "timeout = 0: wants a time of 1 or more", "{ unix:x, try_limit=many }": "try_limit = many: wants a number of 1 or more",
    "{ unix:x, { timeout = 1y } }": "timeout = 1y: wants a time", "{ unix:x, smtpd_policy_service_timeout=1s }": "there is no setting",
    "{ unix:x, default_action=wait }": '"wait" is neither an action nor a restriction', "{ unix:x, default_action= }": "default_action is empty",
    "unix:x, { unix:y }": '"{ unix:y }" is no restriction',
}


def test_check_refuses_what_is_no_policy_service(make_suite):
    s = make_suite(start=False)
    s.add_main("".join("class%d = check_policy_service %s\n" % (i, text) for i, text in enumerate(WRONG))
               + "smtpd_restriction_classes = %s\n" % " ".join("class%d" % i for i in range(len(WRONG))))
    r = s.tool("pombal", "check", check=False)
    assert r.returncode == 1
    for i, said in enumerate(WRONG.values()):
        assert len(re.findall(r"main\.cf, line \d+: class%d: .*%s" % (i, re.escape(said)), r.stderr)) == 1, (said, r.stderr)
    assert len(re.findall(r"main\.cf, line", r.stderr)) == len(WRONG), r.stderr


def test_check_refuses_a_table_with_a_service_that_no_list_has(make_suite):
    s = make_suite(start=False)
    table = s.write("etc/table", "a@b.test check_policy_service inet:127.0.0.1:1\nc@d.test check_policy_service inet:127.0.0.1:2\n")
    s.add_main("smtpd_sender_restrictions = check_sender_access texthash:%s\nsmtpd_data_restrictions = check_policy_service inet:127.0.0.1:1\n" % table)
    r = s.tool("pombal", "check", check=False)
    assert r.returncode == 1 and "check_policy_service inet:127.0.0.1:2, which no list" in r.stderr and "127.0.0.1:1," not in r.stderr, r.stderr


def test_check_refuses_a_default_action_that_is_none(make_suite):
    s = make_suite(start=False)
    s.add_main("smtpd_policy_service_default_action = wait\n")
    r = s.tool("pombal", "check", check=False)
    assert r.returncode == 1 and re.search(r'main\.cf, line \d+: smtpd_policy_service_default_action = wait: "wait" is neither', r.stderr), r.stderr
