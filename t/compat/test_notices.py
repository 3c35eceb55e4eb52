"""Letters to the postmaster about sessions (notify_classes), beside Postfix: which refusals belong to which class, and what the letter says.

One instance of each with a port for each class. Each session tells its name at EHLO, so that its letter is known."""
import email, re

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RealPostfix, started
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

CLASSES = ["bounce", "data", "policy", "protocol", "resource", "software"]
MAIN = RECEIVING + """
local_recipient_maps = inline:{ alice=x bob=x }
mynetworks = 10.0.0.0/8
message_size_limit = 5000
relay_domains = relay.test
relay_recipient_maps = fail:x
hopcount_limit = 3
smtpd_recipient_limit = 2
smtpd_hard_error_limit = 5
smtpd_client_connection_rate_limit = 0
smtpd_relay_restrictions = reject_unauth_destination
smtpd_sender_restrictions = check_sender_access inline:{ { no@x.test=REJECT go } { later@x.test=DEFER } { odd@x.test=foo_bar }
    { fail@x.test=failing } }
smtpd_restriction_classes = failing
failing = check_client_access fail:x
virtual_alias_maps = inline:{ { loop@example.test = loop@example.test, x@loop.test } { x@loop.test = y@loop.test, loop@example.test } }
header_checks = inline:{ { x = x } }
default_transport = smtp:[127.0.0.1]:SINK
inet_protocols = ipv4
smtp_tls_security_level = none
bounce_notice_recipient = bounces@far.test
"""
OK, TO = "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>"
SESSIONS = {
    "good": [OK, TO, "DATA", "Subject: x\r\n\r\nx\r\n.", "QUIT"],
    "syntax": ["FOO", "QUIT"],
    "helo": ["HELO", "QUIT"],
    "order": ["RCPT TO:<alice@example.test>", "QUIT"],
    "nested": [OK, OK, "QUIT"],
    "option": [OK + " FOO=BAR", "QUIT"],
    "address": ["MAIL FROM:<a b>", "QUIT"],
    "unknown": [OK, "RCPT TO:<nobody@example.test>", "QUIT"],
    "relay": [OK, "RCPT TO:<x@far.test>", "QUIT"],
    "refused": ["MAIL FROM:<no@x.test>", TO, "QUIT"],
    "deferred": ["MAIL FROM:<later@x.test>", TO, "QUIT"],
    "odd": ["MAIL FROM:<odd@x.test>", TO, "QUIT"],
    "table": ["MAIL FROM:<fail@x.test>", TO, "QUIT"],
    "maps": [OK, "RCPT TO:<x@relay.test>", "QUIT"],
    "no_recipients": [OK, "DATA", "QUIT"],
    "many_recipients": [OK, TO, "RCPT TO:<bob@example.test>", "RCPT TO:<alice@example.test>", "QUIT"],
    "big": [OK + " SIZE=100000", "QUIT"],
    "too_big": [OK, TO, "DATA", "Subject: x\r\n\r\n" + ("x" * 70 + "\r\n") * 100 + ".", "QUIT"],
    "hops": [OK, TO, "DATA", "Received: x\r\n" * 6 + "Subject: x\r\n\r\nx\r\n.", "QUIT"],
    "errors": ["FOO"] * 5,
    "vrfy": ["VRFY nobody@example.test", "QUIT"],
    "bdat": [OK, TO, "BDAT x"],
    "etrn": ["ETRN far.test", "QUIT"],
    "http": ["GET / HTTP/1.0"],
    "auth": ["AUTH PLAIN AGEAYg==", "QUIT"],
    "tls": ["STARTTLS", "QUIT"],
    "lost": [OK, TO],
    "lost_refused": ["MAIL FROM:<no@x.test>", TO],
    "two": ["FOO", "MAIL FROM:<no@x.test>", TO, "RSET", "QUIT"],
    "long": ["NOOP " + "word " * 40, "FOO", "QUIT"],
}


class Suite:
    def __init__(self, suite, ports, sink):
        self.suite, self.ports, self.sink = suite, ports, sink

    def play(self):
        """all sessions on all ports; the letters: (class, session): message"""
        for kind, port in self.ports.items():
            for number, (name, commands) in enumerate(SESSIONS.items()):
                raw = pombal.Raw(port)
                raw.reply()
                try:
                    for command in ["EHLO %s.test" % name] + commands:
                        if raw.ask(command) is None:
                            break
                except OSError:  # the server has hung up
                    pass
                raw.close()
        sessions = len(SESSIONS) * len(self.ports)
        pombal.wait_for(lambda: len(re.findall(r"smtpd\[\d+\]: disconnect from unknown", self.suite.log())) >= sessions)
        tool = getattr(self.suite, "tool", None) or self.suite.run
        pombal.wait_for(lambda: "Mail queue is empty" in tool("postqueue", "-p").stdout)
        found = {}
        for to, text in zip(self.rcpts(), self.sink.messages):
            message = email.message_from_bytes(text)
            name = re.search(r"In:  EHLO (\w+)\.test", message.get_payload())
            key = to[:to.index("@")], name.group(1) if name else message["Subject"]
            assert key not in found, key
            found[key] = message
        return found

    def rcpts(self):
        return [re.search("<(.*?)>", c).group(1) for c in self.sink.commands if c.startswith("RCPT")]


def services(ports, queue_minfree="queue_minfree=0"):
    for kind, port in ports.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n  -o notify_classes=%s\n  -o error_notice_recipient=%s@far.test\n" % (port, kind.split("_")[0], kind)
        if kind.endswith("_full"):
            yield "  -o queue_minfree=1125899906842623\n"


def free_ports():
    return {kind: pombal.free_port() for kind in CLASSES + ["resource_full"]}


@pytest.fixture(scope="module")
def letters():
    sinks = [Sink(), Sink()]
    ours_ports, theirs = free_ports(), None
    ours = pombal.Instance(main=MAIN.replace("SINK", str(sinks[0].port)) + "smtp_connection_reuse_count_limit = 1\n", start=False)
    try:
        for agent in ("local", "relay"):
            ours.add_master("%s unix - - n - - discard\n" % agent)
        ours.add_main("virtual_transport = discard\nlocal_transport = discard\nsmtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("discard unix - - n - - discard\n" + "".join(services(ours_ports)))
        ours.start()
        theirs, ports = started(lambda ports: RealPostfix(MAIN.replace("SINK", str(sinks[1].port)) + "smtp_host_lookup = native\nsmtp_dns_support_level = disabled\n",
            agents=dict(local="discard", virtual="discard", relay="discard"), master=lambda where: services(ports)), free_ports)
        yield [Suite(s, p, sink).play() for s, p, sink in ((ours, ours_ports, sinks[0]), (theirs, ports, sinks[1]))]
    finally:
        if theirs:
            theirs.close()
        ours.close()
        for s in sinks:
            s.close()


@pytest.mark.parametrize("kind", CLASSES[1:] + ["bounces", "resource_full"])
def test_the_same_sessions_are_reported(letters, kind):
    ours, theirs = [sorted(name for to, name in found if to == kind) for found in letters]
    if kind in ("data", "policy"):  # a failed access table counts as policy there, against postconf(5)
        assert ("table" in ours) == (kind == "data")
        ours, theirs = [[name for name in names if name != "table"] for names in (ours, theirs)]
    assert ours == theirs and (theirs or kind == "resource")


def masked(message):
    text = message.get_payload().replace("\r", "")
    text = re.sub(r"queued as \w+", "queued as ID", text).replace("AGEAYg==", "...")  # a password, left out here
    return text.split("\n"), message["Subject"], message["From"], message["To"]


def test_letters_say_the_same(letters):
    ours, theirs = letters
    assert "AGEAYg==" not in ours["protocol", "auth"].get_payload()
    common = sorted(set(ours) & set(theirs))
    assert len(common) > 20
    wrong = [(key, a, b) for key in common for a, b in zip(masked(ours[key]), masked(theirs[key])) if a != b]
    assert not wrong, wrong[:3]
