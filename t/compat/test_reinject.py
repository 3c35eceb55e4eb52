"""Ports where mail comes back: from content filters, proxies, and clients that speak for others, beside Postfix.

One instance of each suite, with a port for every set of options below. Replies and log lines must agree, but for
DIFFERENT, where each difference has its reason."""
import re, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started
from sink import Sink
from test_smtp import BODY, GO, answers, lines_of, play

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

COMMON = RECEIVING + """
local_recipient_maps = inline:{ alice=x bob=x postmaster=x }
mynetworks = 10.0.0.0/8
inet_protocols = all
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_hard_error_limit = 1000
smtpd_client_connection_rate_limit = 0
disable_vrfy_command = no
smtp_tls_security_level = none
"""
XCLIENT, XFORWARD = "smtpd_authorized_xclient_hosts=127.0.0.0/8", "smtpd_authorized_xforward_hosts=127.0.0.0/8"
TLS = ["smtpd_tls_cert_file=DIR/cert.pem", "smtpd_tls_key_file=DIR/key.pem"]

# name: options of the service
SERVICES = {
    "plain": [],
    "no_checks": ["receive_override_options=no_unknown_recipient_checks,no_milters", "smtpd_reject_unlisted_sender=yes"],
    "no_explicit": ["receive_override_options=no_unknown_recipient_checks", "smtpd_recipient_restrictions=reject_unlisted_recipient,reject_unlisted_sender"],
    "denied": ["smtpd_delay_reject=no", "smtpd_client_restrictions=reject"],
    "xforward": [XFORWARD],
    "xclient": [XCLIENT, XFORWARD],
    "xclient_ports": [XCLIENT, XFORWARD, "smtpd_client_port_logging=yes"],
    "xclient_early": [XCLIENT, "smtpd_delay_reject=no", "smtpd_client_restrictions=check_client_access inline:{ { 10.9.9.9=REJECT bad } }"],
    "xclient_tls": [XCLIENT, XFORWARD, "smtpd_tls_security_level=encrypt"] + TLS,
    "xclient_names": [XCLIENT, "smtpd_recipient_restrictions=check_reverse_client_hostname_access inline:{ { rev.test=REJECT rev } { name.test=REJECT name } "
                      "{ unknown=REJECT unknown } }, check_client_access inline:{ { name.test=REJECT client } }, reject_unknown_reverse_client_hostname, reject_unknown_client_hostname"],
    "xclient_hidden": [XCLIENT, XFORWARD, "smtpd_discard_ehlo_keywords=xclient,xforward"],
    "before": ["smtpd_proxy_filter=127.0.0.1:SINK"],
    "adjust": ["smtpd_proxy_filter=inet:127.0.0.1:SINK", "smtpd_proxy_options=speed_adjust", "smtpd_proxy_ehlo=before.test"],
    "nobody": ["smtpd_proxy_filter=127.0.0.1:9"],
    "nobody_adjust": ["smtpd_proxy_filter=127.0.0.1:9", "smtpd_proxy_options=speed_adjust"],
    "haproxy": ["smtpd_upstream_proxy_protocol=haproxy"],
    "early": ["smtpd_upstream_proxy_protocol=haproxy", "smtpd_forbid_unauth_pipelining=no", "smtpd_recipient_restrictions=reject_unauth_pipelining"],
    "early_refused": ["smtpd_upstream_proxy_protocol=haproxy", "smtpd_forbid_unauth_pipelining=yes"],
    "filter": ["content_filter=scan:[127.0.0.1]:SINK", XCLIENT, XFORWARD],
}

LONG = "a" * 300
# what is said of a client, with XFORWARD and with XCLIENT
SAID = """NAME=spike.test|NAME=a+20b|NAME=-x|NAME=a..b|NAME=a_b|NAME=[UNAVAILABLE]|NAME=[tempunavail]|NAME=[1.2.3.4]|NAME=1.2.3.4|NAME=x,ADDR=1.2.3.4|
    NAME=|NAME|=|=x|FOO=bar|ADDR=1.2.3|ADDR=::1|ADDR=IPV6:1.2.3.4|ADDR=[TEMPUNAVAIL]|ADDR=fe80::1|PORT=0|PORT=x|PORT=[UNAVAILABLE]|PORT=[TEMPUNAVAIL]|
    PORT=0025|PORT=+31|PROTO=FOO|PROTO=esmtp|PROTO=SMTP|PROTO=[UNAVAILABLE]|PROTO=LONG|HELO=a(b|HELO=a+28b+0d|HELO=[1.2.3.4]|HELO=LONG|HELO=[TEMPUNAVAIL]|
    IDENT=a b|IDENT=x+zz|IDENT=[TEMPUNAVAIL]|IDENT=LONG|SOURCE=local|SOURCE=foo|SOURCE=[UNAVAILABLE]|LOGIN=x+20y|LOGIN=[UNAVAILABLE]|LOGIN=LONG|
    REVERSE_NAME=x|REVERSE_NAME=-x|REVERSE_NAME=[TEMPUNAVAIL]|DESTADDR=1.2.3|DESTADDR=1.2.3.4|DESTADDR=[UNAVAILABLE]|DESTPORT=x|DESTPORT=[UNAVAILABLE]|
    HELO=x  PROTO=ESMTP""".replace("LONG", LONG).replace("\n    ", "").split("|")
RCPT = ["MAIL FROM:<s@x.test>", "RCPT TO:<nobody@example.test>", "RCPT TO:<x@far.test>", "RSET"]


def names(*said):
    found = []
    for words in said:
        found += ["XCLIENT " + words, "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "RSET"]
    return found


TRANSCRIPTS = {
    **{name: (name, ["EHLO x", "MAIL FROM:<nobody@example.test>", "RCPT TO:<nobody@example.test>", "RCPT TO:<alice@example.test>", "RSET",
                     "VRFY nobody@example.test", "QUIT"]) for name in ("no_checks", "no_explicit")},
    "denied": ("denied", GO + ["RCPT TO:<alice@example.test>", "FOO", "NOOP", "RSET", "DATA", "QUIT"]),
    "not_authorized": ("plain", ["EHLO x", "XFORWARD NAME=x", "XCLIENT NAME=x", "XFORWARD", "XCLIENT", "MAIL FROM:<s@x.test>", "XFORWARD", "XCLIENT", "QUIT"]),
    "xforward_values": ("xforward", ["EHLO x", "XFORWARD"] + ["XFORWARD " + s for s in SAID + ["ADDR=IPV6:::1", "ADDR=ipv6:::ffff:1.2.3.4"]] + ["QUIT"]),
    "xclient_values": ("xclient", ["EHLO x", "XCLIENT"] + ["XCLIENT " + s for s in SAID] + ["NOOP", "xclient name=y", "QUIT"]),
    "xclient_is_another": ("xclient", ["EHLO x", "XCLIENT ADDR=10.1.1.1", "XCLIENT NAME=x", "EHLO x"] + RCPT + ["XFORWARD NAME=x", "QUIT"]),
    "xclient_ipv6": ("xclient", ["XCLIENT ADDR=IPV6:2001:db8::1", "XCLIENT NAME=x"] + RCPT + ["QUIT"]),
    "xclient_nowhere": ("xclient", ["EHLO x", "XCLIENT ADDR=[UNAVAILABLE] NAME=a.test", "XCLIENT NAME=x", "EHLO x"] + RCPT + ["QUIT"]),
    "xclient_in_mail": ("xclient", GO + ["XCLIENT NAME=x", "XFORWARD NAME=x", "RSET", "XCLIENT NAME=x", "MAIL FROM:<s@x.test>", "QUIT"]),
    "xclient_is_denied": ("xclient_early", ["EHLO x", "XCLIENT NAME=spike.test", "XCLIENT ADDR=10.9.9.9 HELO=foo", "EHLO x", "MAIL FROM:<s@x.test>",
                                            "XCLIENT ADDR=127.0.0.1", "NOOP", "QUIT"]),
    "xclient_login": ("xclient", ["EHLO x", "XCLIENT LOGIN=alice", "AUTH PLAIN", "EHLO y", "AUTH PLAIN", "MAIL FROM:<s@x.test> AUTH=<>", "RSET",
                                  "XCLIENT PORT=1", "MAIL FROM:<s@x.test>", "QUIT"]),
    "xclient_before_tls": ("xclient_tls", ["EHLO x", "XCLIENT NAME=x", "XFORWARD NAME=x", "QUIT"]),
    "xclient_hidden": ("xclient_hidden", ["EHLO x", "XCLIENT NAME=x", "XFORWARD NAME=x", "EHLO x", "QUIT"]),
    "xclient_names": ("xclient_names", names("NAME=name.test", "NAME=[UNAVAILABLE]", "NAME=[TEMPUNAVAIL]", "NAME=other.test", "REVERSE_NAME=rev.test",
                                             "NAME=other.test REVERSE_NAME=[TEMPUNAVAIL]", "NAME=[TEMPUNAVAIL] REVERSE_NAME=good.test",
                                             "NAME=[UNAVAILABLE] REVERSE_NAME=good.test", "NAME=good.test REVERSE_NAME=[UNAVAILABLE]") + ["QUIT"]),
}

# (transcript, command): why the replies differ
ANOTHER = "whom XCLIENT has named is another client, who has not the proxy's rights"
DIFFERENT = {
    ("xclient_is_another", "EHLO x"): ANOTHER, ("xclient_is_another", "XFORWARD NAME=x"): ANOTHER, ("xclient_nowhere", "EHLO x"): ANOTHER,
}


def make_files(where):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mx.example.test",
                    "-keyout", where + "/key.pem", "-out", where + "/cert.pem"], check=True, capture_output=True)


def service_lines(ports, where, sink):
    yield "scan unix - - n - 10 smtp\n    -o smtp_send_xforward_command=yes\n    -o disable_dns_lookups=yes\n    -o smtp_connection_cache_on_demand=no\n"
    for name, options in SERVICES.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name]
        for option in options:
            yield "    -o { %s = %s }\n" % tuple(option.replace("DIR", where).replace("SINK", str(sink)).split("=", 1))


def free_ports():
    return {name: pombal.free_port() for name in SERVICES}


XWORDS = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"


class Suite:
    """one of the two, its ports, and the filter to which it sends"""

    def __init__(self, suite, ports, sink):
        self.suite, self.ports, self.sink = suite, ports, sink


@pytest.fixture(scope="module")
def both():
    sinks = [Sink(ehlo=("PIPELINING", XWORDS, "8BITMIME", "DSN")) for _ in range(2)]
    ours_ports, theirs = free_ports(), None
    ours = pombal.Instance(start=False)
    try:
        make_files(ours.dir)
        ours.add_main(COMMON + "smtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(service_lines(ours_ports, ours.dir, sinks[0].port)))
        ours.start()
        theirs, theirs_ports = started(lambda ports: RealPostfix(
            COMMON, agents=RECEIVING_AGENTS, prepare=make_files, master=lambda where: service_lines(ports, where, sinks[1].port)), free_ports)
        pombal.wait_for(lambda: answers(ours_ports["plain"]) and answers(theirs_ports["plain"]))
        yield Suite(ours, ours_ports, sinks[0]), Suite(theirs, theirs_ports, sinks[1])
    finally:
        if theirs:
            theirs.close()
        ours.close()
        for s in sinks:
            s.close()


@pytest.mark.parametrize("name", sorted(TRANSCRIPTS))
def test_transcript(both, name):
    service, commands = TRANSCRIPTS[name]
    ours, theirs = both
    got, want = play(ours.ports[service], commands), play(theirs.ports[service], commands)
    wrong = ["%.100r\n   ours   %s\n   theirs %s" % (g[0], g[1], w[1]) for g, w in zip(got, want)
             if g != w and (name, g[0]) not in DIFFERENT]
    assert not wrong and len(got) == len(want), "\n".join([""] + wrong)


MAIL = ["MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "DATA", BODY]
# service, commands
LOGGED = [
    ("xforward", ["EHLO x", "XFORWARD NAME=a.test ADDR=1.2.3.4 PORT=99", "XFORWARD PROTO=LMTP HELO=h.test IDENT=ABC SOURCE=REMOTE"] + MAIL + MAIL + ["QUIT"]),
    ("xforward", ["EHLO x", "XFORWARD NAME=a.test"] + MAIL + ["XFORWARD ADDR=1.2.3.4"] + MAIL + ["XFORWARD PORT=1"] + MAIL + ["QUIT"]),
    ("xforward", ["EHLO x", "XFORWARD IDENT=a(b+20@"] + MAIL + ["XFORWARD SOURCE=LOCAL"] + MAIL + ["XFORWARD NAME=a IDENT=b", "RSET"] + MAIL +
     ["XFORWARD NAME=a IDENT=b", "EHLO y"] + MAIL + ["XFORWARD NAME=a", "MAIL FROM:<@@>"] + MAIL + ["QUIT"]),
    ("xclient", ["EHLO x", "XCLIENT NAME=c.test ADDR=10.1.1.1 HELO=hh PROTO=ESMTP LOGIN=alice"] + MAIL + ["EHLO y"] + MAIL + ["RCPT TO:<x@y.test>", "QUIT"]),
    ("xclient_ports", ["EHLO x", "XCLIENT PORT=77 LOGIN=alice", "EHLO z", "XFORWARD NAME=a IDENT=b"] + MAIL + ["XCLIENT NAME=[UNAVAILABLE]"] + MAIL + ["QUIT"]),
    ("xclient_early", ["EHLO x", "XCLIENT ADDR=10.9.9.9", "EHLO x", "QUIT"]),
    ("xclient", ["EHLO x", "XCLIENT HELO=other"] + RCPT + ["XCLIENT PORT=3"] + RCPT + ["XCLIENT PROTO=ESMTP"] + RCPT + ["QUIT"]),
]


def session_lines(suite, port, commands, source):
    """what was logged of a session from an address of its own. A command that begins the session again is none that succeeded
    for Postfix's count, so XCLIENT is left out there."""
    play(port, commands, source)
    own = lambda: [line for line in suite.log().split("\n") if "[%s]" % source in line or "[%s]" % source in before.get(pid(line), "")]
    pid = lambda line: (re.search(r"smtpd\[(\d+)\]", line) or [None, None])[1]
    before = {}
    pombal.wait_for(lambda: re.search(r"connect from unknown\[%s\]" % re.escape(source), suite.log()))
    first = next(line for line in suite.log().split("\n") if re.search(r"smtpd\[\d+\]: connect from unknown\[%s\]" % re.escape(source), line))
    process, start = pid(first), suite.log().index(first)
    ended = lambda: re.search(r"smtpd\[%s\]: disconnect from .*" % process, suite.log()[start:])
    end = pombal.wait_for(ended).end()
    ids = re.findall(r"smtpd\[%s\]: (\w+): client=" % process, suite.log()[start:start + end])
    pombal.wait_for(lambda: all("%s: message-id=" % id in suite.log() for id in ids))
    text = suite.log()[start:]
    found = [line for line in text[:end].split("\n") if pid(line) == process]
    found += [line for line in text.split("\n") if re.search(r"cleanup\[\d+\]: (%s): " % "|".join(ids or ["-"]), line)]
    return [re.sub(r" xclient=\S+| commands=.*|(?<=\]):\d{4,5}\b", "", line) for line in lines_of("\n".join(found))]


@pytest.mark.parametrize("number", range(len(LOGGED)))
def test_log_lines_are_the_same(both, number):
    service, commands = LOGGED[number]
    got, want = [session_lines(s.suite, s.ports[service], commands, "127.0.4.%d" % (number + 1)) for s in both]
    assert len(want) > 2 and got == want


# What a session says of its mail, and what a filter is told
FORWARDED = [
    [],
    ["XCLIENT ADDR=9.9.9.9 NAME=foo.test PORT=12 HELO=a(b+20+2B+3Dx", "EHLO y"],
    ["XCLIENT ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE]"],
    ["XFORWARD ADDR=9.9.9.9 NAME=foo.test PORT=12 HELO=h.test IDENT=XX99 SOURCE=REMOTE PROTO=LMTP"],
    ["XFORWARD NAME=[UNAVAILABLE]"],
    ["XFORWARD ADDR=IPV6:2001:DB8:0::1"],
    ["XFORWARD HELO=foo"],
    ["XFORWARD IDENT=a(b+20+28d"],
    ["XFORWARD SOURCE=LOCAL"],
    ["XFORWARD SOURCE=REMOTE"],
]


def forwarded(s, said):
    """the commands that the filter got before MAIL; ports and ids masked"""
    before = len(s.sink.messages)
    play(s.ports["filter"], ["EHLO client.test"] + said + MAIL + ["QUIT"])
    pombal.wait_for(lambda: len(s.sink.messages) > before)
    at = max(i for i, c in enumerate(s.sink.commands) if c.startswith("MAIL"))
    found = []
    while at > 0 and s.sink.commands[at - 1].startswith("XFORWARD"):
        at -= 1
        found.insert(0, re.sub(r"IDENT=[0-9A-F]{8,}", "IDENT=ID", re.sub(r"PORT=\d{4,}", "PORT=N", s.sink.commands[at])))
    return [c.replace("+3D", "=") for c in found]  # Postfix leaves = as it is


@pytest.mark.parametrize("number", range(len(FORWARDED)))
def test_a_filter_is_told_the_same(both, number):
    got, want = [forwarded(s, FORWARDED[number]) for s in both]
    if "XCLIENT ADDR" in "".join(FORWARDED[number]):  # Postfix completes headers as those of the proxy
        want[-1] = want[-1].replace("LOCAL", "REMOTE")
    assert want and got == want


# What the filter offers and answers
FILTERS = [dict(ehlo=("XFORWARD NAME", "8BITMIME")), dict(ehlo=("XFORWARD", "8BITMIME")), dict(ehlo=("8BITMIME",)),
           dict(ehlo=("PIPELINING", XWORDS), replies={"XFORWARD": "501 5.5.4 what"}), dict(ehlo=(XWORDS,), replies={"XFORWARD": "421 4.3.2 no"})]


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_a_filter_that_wants_less_gets_less(both, number):
    seen = []
    for s in both:
        old = s.sink.ehlo, s.sink.replies
        s.sink.ehlo, s.sink.replies = list(FILTERS[number]["ehlo"]), FILTERS[number].get("replies", {})
        try:
            start = len(s.suite.log())
            before = len(s.sink.commands)
            play(s.ports["filter"], ["EHLO client.test", "XFORWARD NAME=foo.test"] + MAIL + ["QUIT"])
            pombal.wait_for(lambda: re.search(r"smtp\[\d+\]: .*status=", s.suite.log()[start:]))
            status = re.search(r"dsn=\S+ status=\w+", s.suite.log()[start:])[0]
            warned = re.findall(r"warning: host \S+ said: .*", s.suite.log()[start:])
            commands = [re.sub(r"IDENT=\S+", "IDENT=ID", c) for c in s.sink.commands[before:] if c.startswith("XFORWARD")]
            seen.append((status, [re.sub(r":\d+| \(in reply.*", "", w) for w in warned], commands))
        finally:
            s.sink.ehlo, s.sink.replies = old
            s.suite.tool("postsuper", "-d", "ALL") if hasattr(s.suite, "tool") else s.suite.run("postsuper", "-d", "ALL")
    assert seen[0] == seen[1]


class Filtering:
    """both filters, for a time, with these replies and keywords"""

    def __init__(self, both, replies, ehlo):
        self.both, self.replies, self.ehlo = both, replies, ehlo

    def __enter__(self):
        self.old = [(s.sink.replies, s.sink.ehlo) for s in self.both]
        for s in self.both:
            s.sink.replies, s.sink.ehlo = dict(self.replies), list(self.ehlo)

    def __exit__(self, *what):
        for s, old in zip(self.both, self.old):
            s.sink.replies, s.sink.ehlo = old


TWO = ["EHLO client.test", "MAIL FROM:<s@x.test> BODY=8BITMIME RET=HDRS ENVID=e", "RCPT TO: <alice@example.test> NOTIFY=NEVER ORCPT=rfc822;a+2Bb@c",
       "RCPT TO:<nobody@example.test>", "rcpt to:<bob@example.test>", "DATA", "Subject: x\r\n\r\n..dot\r\n."]
OFFERS = ("PIPELINING", XWORDS, "8BITMIME", "DSN")
# what the filter answers, and offers
BEFORE = {
    "takes": ({}, OFFERS),
    "no_xforward": ({}, ("8BITMIME",)),
    "some_xforward": ({}, ("XFORWARD NAME HELO",)),
    "ehlo": ({"EHLO": "550 5.5.5 what"}, OFFERS),
    "xforward": ({"XFORWARD": "550 5.5.5 what"}, OFFERS),
    "mail": ({"MAIL": "550 5.7.1 not you"}, OFFERS),
    "first_rcpt": ({"RCPT TO: <alice": "450 4.7.1 not alice"}, OFFERS),
    "second_rcpt": ({"RCPT TO:<bob": "450 4.7.1 not bob"}, OFFERS),
    "data": ({"DATA": "550 5.7.1 not data"}, OFFERS),
    "content": ({".": "550 5.7.1 not this"}, OFFERS),
    "lines": ({".": "550-5.7.1 not\n550 5.7.1 this"}, OFFERS),
    "later": ({".": "451 4.7.1 not now"}, OFFERS),
    "closes": ({".": "421 4.3.2 not now"}, OFFERS),
    "leaves": ({".": "close"}, OFFERS),
    "leaves_at_rcpt": ({"RCPT": "close"}, OFFERS),
    "leaves_at_data": ({"DATA": "close"}, OFFERS),
}


def before_queue(s, service, source):
    """what the client and the filter were told, and the log"""
    start, commands, messages = len(s.suite.log()), len(s.sink.commands), len(s.sink.messages)
    said = []
    raw = pombal.Raw(s.ports[service], source=source)
    raw.reply()
    for command in TWO + ["NOOP"]:
        said.append((command[:20], raw.ask(command)) if not command.startswith("EHLO") else raw.ask(command)[:3])
        if said[-1][1] is None or (command == "DATA" and said[-1][1][0] != "3"):
            break
    raw.close()
    log = lambda: s.suite.log()[start:]
    pombal.wait_for(lambda: re.search(r"disconnect from \S+\[%s\]" % re.escape(source), log()))
    lines = re.findall(r"smtpd\[\d+\]: (NOQUEUE: client.*|proxy-.*|warning: .*)", log())
    mask = lambda t: re.sub(r"queued as \w+", "queued as ID", re.sub(r"127\.0\.0\.1:\d+", "FILTER", re.sub(r"PORT=\d+", "PORT=N", t)))
    clean = lambda message: re.sub(rb"[A-Z][a-z]{2}, .*\d{4}.*", b"DATE", message).replace(b"(Pombal)", b"(Postfix)")
    return ([(t[0], mask(t[1] or "")) if isinstance(t, tuple) else t for t in said], [mask(c) for c in s.sink.commands[commands:] if c != "QUIT"],
            [clean(m) for m in s.sink.messages[messages:]], list(dict.fromkeys(mask(l) for l in lines)))


@pytest.mark.parametrize("service", ["before", "adjust"])
@pytest.mark.parametrize("name", BEFORE)
def test_a_filter_before_the_queue(both, name, service):
    with Filtering(both, *BEFORE[name]):
        ours, theirs = [before_queue(s, service, "127.0.7.%d" % (list(BEFORE).index(name) + 1)) for s in both]
    for what in range(3 if name == "lines" else 4):  # ours logs a reply as one line
        assert ours[what] == theirs[what]


@pytest.mark.parametrize("service", ["nobody", "nobody_adjust"])
def test_no_filter_before_the_queue(both, service):
    ours, theirs = [before_queue(s, service, "127.0.7.99") for s in both]
    assert ours == theirs


@pytest.mark.parametrize("service", ["before", "adjust"])
@pytest.mark.parametrize("replies", [{"MAIL": "354 go"}, {"RCPT": "354 go"}, {"DATA": "250 2.0.0 taken"}, {".": "354 go on"}, {"EHLO": "354 what"}])
def test_a_filter_that_answers_out_of_turn_takes_nothing(both, service, replies):
    with Filtering(both, replies, OFFERS):
        said = before_queue(both[0], service, "127.0.7.98")[0]
    assert [t for t in said if t[0][:4] in ("RCPT", "rcpt", "DATA", "Subj") and "451 4.3.0" in t[1]]
    assert not [t for t in said if t[0][:4] == "Subj" and t[1][0] in "23"] and not [t for t in said if t[0] == "DATA" and t[1][0] == "2"]


V2 = "\r\n\r\n\0\r\nQUIT\n"
FOUR = "\1\2\3\4\x7f\0\0\1\0c\0\x19"
HEADERS = ["PROXY TCP4 1.2.3.4 127.0.0.1 99 25\r\n", "PROXY TCP6 ::1 ::2 99 25\r\n", "PROXY UNKNOWN\r\n", "PROXY UNKNOWN 1.2.3.4 127.0.0.1 99 25\r\n",
           "PROXY TCP4 1.2.3.4 127.0.0.1 99\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 99 25\n", "PROXY TCP4 1.2.3.4 127.0.0.1 0 25\r\n",
           "PROXY TCP4 1.2.3.4 127.0.0.1 70000 25\r\n", "PROXY  TCP4 1.2.3.4 127.0.0.1 99 25\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 99 25 x\r\n", "EHLO x\r\n",
           V2 + "\x20\0\0\0", V2 + "\x21\x11\0\x0c" + FOUR, V2 + "\x21\x11\0\x0f" + FOUR + "\4\0\0", V2 + "\x21\x12\0\x0c" + FOUR,
           V2 + "\x21\x31\0\x0c" + FOUR, V2 + "\x31\x11\0\x0c" + FOUR, V2 + "\x22\x11\0\x0c" + FOUR, V2 + "\x21\x11\0\x0b" + FOUR[:-1],
           V2 + "\x20\x11\0\x0c" + FOUR]


@pytest.mark.parametrize("number", range(len(HEADERS)))
def test_the_header_of_a_proxy(both, number):
    seen = []
    for s in both:
        start = len(s.suite.log())
        raw = pombal.Raw(s.ports["haproxy"])
        raw.send(HEADERS[number].encode("latin-1"))
        seen.append([raw.reply()])
        pombal.wait_for(lambda: re.search(r"smtpd\[\d+\]: connect from", s.suite.log()[start:]))
        seen[-1].append(re.search(r"smtpd\[\d+\]: (connect from .*)", s.suite.log()[start:])[1])
        raw.close()
        pombal.wait_for(lambda: re.search(r"smtpd\[\d+\]: disconnect from", s.suite.log()[start:]))
    assert seen[0] == seen[1]


ENVELOPE = "MAIL FROM:<s@x.test>\r\nRCPT TO:<alice@example.test>\r\n"
# Pieces, with the number of replies after which the next one is sent; the first comes together with the proxy's header, so
# what it has is there before the greeting.
EARLY = [[("EHLO x\r\n\t " + ENVELOPE, 4)], [("QUIT\r\n", 2)], [("", 1), ("EHLO x\r\n", 1), ("NOOP\r\n" + ENVELOPE, 3)], [("", 1), ("EHLO x\r\n", 1), ("RSET\r\n" + ENVELOPE, 3)],
         [("", 1), ("HELO x\r\n", 1), (ENVELOPE, 2)], [("", 1), ("EHLO x\r\n", 1), ("VRFY alice@example.test\r\nQUIT\r\n", 2)]]


@pytest.mark.parametrize("number", range(len(EARLY)))
@pytest.mark.parametrize("service", ["early", "early_refused"])
def test_who_does_not_wait_for_a_reply(both, service, number):
    client, seen = "1.2.%d.%d" % (service == "early", number), []
    for s in both:
        raw, said = pombal.Raw(s.ports[service]), []
        raw.send("PROXY TCP4 %s 127.0.0.1 99 25\r\n" % client + EARLY[number][0][0])
        for text, replies in EARLY[number]:
            if text is not EARLY[number][0][0]:
                raw.send(text)
            said += [(raw.reply() or "gone").split("\n")[0] for _ in range(replies)]
        raw.close()
        pombal.wait_for(lambda: "disconnect from unknown[%s]" % client in s.suite.log())
        seen.append((said, lines_of("\n".join(line for line in s.suite.log().split("\n") if "[%s]" % client in line and ": client=" not in line))))
    assert seen[0] == seen[1]
