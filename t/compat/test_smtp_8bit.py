"""8-bit mail to servers that take 7 bits only, beside Postfix's SMTP client: the same mail, the same received bytes."""
import re

import pytest

import pombal
from real_postfix import HAVE, SendingPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

VERSION, EIGHT = "MIME-Version: 1.0\n", "Content-Transfer-Encoding: 8bit\n"
TEXT = "Content-Type: text/plain; charset=utf-8\n"


def mixed(boundary, kind="mixed"):
    return "Content-Type: multipart/%s; boundary=%s\n" % (kind, boundary)


def nested(depth):
    return VERSION + EIGHT + mixed("0") + "\n" + "".join(
        "--%d\n" % i + EIGHT + mixed(str(i + 1)) + "\n" for i in range(depth - 1)) + "é=\n--%d\n" % (depth - 1) + EIGHT + "\né=\n"


CASES = {
    "text": VERSION + TEXT + EIGHT + "X-After: y\n\nHéllo = wörld \n.\n..\ntab\t\nFrom x\n \n\n" + "é" * 60 + "\n" +
            "".join("x" * n + "\n" + "y" * n + "é\n" + "z" * n + " \n" for n in range(70, 80)) + "last\n",
    "undeclared": VERSION + TEXT + "\nHéllo =\n",
    "plain": "Subject: x\n\nHéllo =\n",
    "header": "Subject: é\n\nHello =\n",
    "headers": VERSION + EIGHT + "Subject: é\n\nHéllo =\n",
    "mixed": VERSION + mixed('"b b"') + EIGHT + "\npré=\n--b b\n" + TEXT + EIGHT + "\nHéllo\n\n--b b\n"
             "Content-Transfer-Encoding: 8bit (x)\nContent-Type: text/html\n\nplain = only\n--b b\n\nno field é=\n--b b\n"
             "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b b\nContent-Transfer-Encoding: binary\n\n"
             "bin é\n--b b--\nepi é=\n",
    "inner": VERSION + mixed("bb") + "\n--bb\n" + EIGHT + "\nHéllo\n--bb--\n",
    "message": VERSION + "Content-Type: message/rfc822\n" + EIGHT + "\nFrom: é\nSubject: é\n" + VERSION + mixed("x") + EIGHT +
               "\n--x\n" + TEXT + "Content-Transfer-Encoding:\n 8BIT\n\né\n--x\nContent-Type: message/global\n" + EIGHT +
               "\nSubject: é\n\né\n--x--\n",
    "bare": VERSION + "Content-Type: message/rfc822\n" + EIGHT + "\nFrom: é\n\né=\n",
    "digest": VERSION + mixed("x", "digest") + EIGHT + "\n--x\n\nSubject: é\n" + VERSION + EIGHT + "\né\n--x\n" + EIGHT +
              "\nSubject: é\n" + VERSION + EIGHT + "\né\n--x--\n",
    "unknown": VERSION + "Content-Transfer-Encoding: x-foo\n\né=\n",
    "twice": VERSION + "Content-Transfer-Encoding: 7bit\n" + EIGHT + "Content-Transfer-Encoding: base64\n\né=\n",
    "unended": VERSION + mixed("x") + EIGHT + "\n--x\n" + EIGHT + mixed("xx", "alternative") + "\n--xx  \n" + EIGHT +
               "\né\n--xxy\n" + EIGHT + "\né\n--x\n" + EIGHT + "\nbody é\n",
    "long": VERSION + EIGHT + "\n" + "é" * 5000 + "\n" + "a " * 3000 + "\n",
    "boundary": VERSION + EIGHT + mixed("b" * 70) + "\n--" + "b" * 70 + "\n" + EIGHT + "\né\n--" + "b" * 20 + "c\n" + EIGHT +
                "\né\n--" + "b" * 70 + "--\n",
    "open": VERSION + EIGHT + "\né no end ",
    "empty": VERSION + EIGHT + "X-A: é\n",
    "deep": nested(7),
    "toodeep": nested(8),
    # Ours says what version the field is of; Postfix leaves that out.
    "versionless": TEXT + EIGHT + "\nHéllo\n",
}
MAIN = "smtp_tls_security_level = none\ninet_protocols = ipv4\nsmtputf8_enable = no\nmime_boundary_length_limit = 20\n" \
       "mime_nesting_limit = 5\ntransport_maps = texthash:$config_directory/transport\n"
HEADER = "From: a@example.test\nTo: x@example.test\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.test>\n"


class Side:
    def __init__(self):
        self.sinks = {name: Sink(ehlo=[]) for name in CASES}
        self.transport = "".join("%s.test smtp:[127.0.0.1]:%d\n" % (n, s.port) for n, s in self.sinks.items())

    def received(self, name):
        return re.sub(rb"^Received:.*\n(?:[ \t].*\n)*", b"", self.sinks[name].messages[0], flags=re.M).decode()

    def close(self):
        for s in self.sinks.values():
            s.close()


def status_of(log, name):
    m = re.search(r"to=<x@%s\.test>.* (dsn=.*)" % name, log)
    return m and re.sub(r"(queued as )\w+|\]:\d+", r"\1", m.group(1))


@pytest.fixture(scope="module")
def sides():
    ours, theirs = Side(), Side()
    suite = pombal.Instance(start=False, main=MAIN)
    suite.write("etc/transport", ours.transport)
    suite.start()
    with SendingPostfix(main=MAIN + "smtp_host_lookup = native\nsmtp_dns_support_level = disabled\n") as real:
        with open(real.etc + "/transport", "w") as f:
            f.write(theirs.transport)
        real.start()
        for name, text in CASES.items():
            suite.tool("sendmail", "-i", "-f", "<>", "x@%s.test" % name, input=HEADER + text)
            real.run("sendmail", "-C", real.etc, "-i", "-f", "<>", "x@%s.test" % name, input=HEADER + text)
        for log in (suite.log, real.log):
            pombal.wait_for(lambda: all(status_of(log(), name) for name in CASES))
        yield suite, ours, real, theirs
    suite.close()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("case", CASES)
def test_log_line_is_the_same(sides, case):
    suite, _, real, _ = sides
    assert status_of(suite.log(), case) == status_of(real.log(), case)


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("toodeep", "versionless")])
def test_received_bytes_are_the_same(sides, case):
    _, ours, _, theirs = sides
    assert ours.received(case) == theirs.received(case)


def test_a_version_is_added(sides):
    _, ours, _, theirs = sides
    assert ours.received("versionless").replace(VERSION, "") == theirs.received("versionless")
    assert ours.received("versionless").count(VERSION) == 1


def test_too_deep_nesting_is_not_sent(sides):
    _, ours, _, theirs = sides
    assert not ours.sinks["toodeep"].messages and not theirs.sinks["toodeep"].messages


def test_conversion_can_be_switched_off(make_suite):
    sink = Sink(ehlo=[])
    suite = make_suite(main="disable_mime_output_conversion = yes\nsmtp_tls_security_level = none\n"
                       "default_transport = smtp:[127.0.0.1]:%d\nrelay_transport = $default_transport\n" % sink.port)
    suite.tool("sendmail", "-i", "-f", "<>", "x@text.test", input=HEADER + CASES["text"])
    suite.wait_log("to=<x@text.test>.*status=sent")
    assert CASES["text"].split("\n\n", 1)[1].rstrip("\n") == sink.messages[0].decode().split("\n\n", 1)[1].rstrip("\n")
    sink.close()


def test_a_server_with_8bitmime_gets_it_as_it_is(make_suite):
    sink = Sink(ehlo=["8BITMIME"])
    suite = make_suite(main="smtp_tls_security_level = none\ndefault_transport = smtp:[127.0.0.1]:%d\n" % sink.port)
    suite.tool("sendmail", "-i", "-f", "<>", "x@text.test", input=HEADER + CASES["mixed"])
    suite.wait_log("to=<x@text.test>.*status=sent")
    assert EIGHT in sink.messages[0].decode() and "bin é" in sink.messages[0].decode()
    sink.close()
