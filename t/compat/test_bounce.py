"""Delivery reports beside those of Postfix's bounce daemon: the same messages that cannot go on, the same reports."""
import email, re

import pytest

import pombal
from real_postfix import HAVE, RealPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

HEADER = "From: a@example.test\nTo: x@example.test\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.test>\n"
LOCAL = HEADER + "Subject: local\n\nbody é\n.\nend\n"
CHECKS = "/^Subject: local/ REJECT 5.7.9 no such subject\n/^end/ REJECT no end\n"
# name: (parameters, recipients, text)
REFUSED = {
    "hops": ("", ["r@x.test"], "Received: x\n" * 60 + LOCAL),
    "two": ("", ["r@x.test", "q@x.test"], "Received: x\n" * 60 + LOCAL),
    "header": ("header_checks = regexp:$config_directory/checks\n", ["r@x.test"], LOCAL),
    "body": ("body_checks = regexp:$config_directory/checks\n", ["r@x.test"], LOCAL + "more\n"),
    "large": ("bounce_size_limit = 200\n", ["r@x.test"], "Received: x\n" * 60 + LOCAL),
}
MAIN = "smtp_tls_security_level = none\ninet_protocols = ipv4\nmyhostname = real.test\nmyorigin = real.test\nhopcount_limit = 20\n" \
       "default_transport = smtp:[127.0.0.1]:%d\nrelay_transport = $default_transport\nsmtputf8_enable = no\n"


def masked(text):
    for pattern, instead in ((r"[0-9A-F]{6,}\.\d+/real\.test", "BOUNDARY"), (r"<\d+\.[0-9A-F]{6,}@", "<ID@"),
                             (r"(?m)^((?:Arrival-)?Date|Will-Retry-Until): .*[+-]\d{4} \(\w+\)$", r"\1: DATE"),
                             (r"Queue-ID: \w+", "Queue-ID: ID"), (r"(?m)^\tid \w+; .*$", "\tid ID; DATE"),
                             (r"\]:\d+", "]:PORT")):
        text = re.sub(pattern, instead, text)
    return text.rstrip("\n")


def parts_of(report):
    """what programs read of a report: its header, the types of its parts, the fields, the original; and the text"""
    message = email.message_from_string(report.decode("latin-1"))
    header = {n: masked(v) for n, v in message.items() if n not in ("Received", "Date", "Content-Transfer-Encoding")}
    parts = message.get_payload()
    rest = [masked("".join(str(p) for p in part.get_payload()) if isinstance(part.get_payload(), list) else part.get_payload())
            for part in parts]
    types = [(p.get_content_type(), p["Content-Description"]) for p in parts]
    return {"header": header, "types": types, "fields": rest[1], "original": rest[2:], "text": rest[0]}


def ours_of(send, main="", count=1):
    sink = Sink()
    suite = pombal.Instance(main=MAIN % sink.port + main, start=False)
    try:
        suite.write("etc/checks", CHECKS)
        suite.start()
        send(suite, lambda *a, **k: suite.tool("sendmail", *a, **k))
        pombal.wait_for(lambda: len(sink.messages) >= count)
        return [parts_of(m) for m in sink.messages]
    finally:
        suite.close()
        sink.close()


def theirs_of(send, main="", count=1):
    sink = Sink()
    try:
        with RealPostfix(main=MAIN % sink.port + "smtp_host_lookup = native\nsmtp_dns_support_level = disabled\n" + main) as real:
            with open(real.etc + "/checks", "w") as f:
                f.write(CHECKS)
            real.start()
            send(real, lambda *a, **k: real.run("sendmail", "-C", real.etc, *a, **k))
            pombal.wait_for(lambda: len(sink.messages) >= count)
            return [parts_of(m) for m in sink.messages]
    finally:
        sink.close()


@pytest.mark.parametrize("case", REFUSED)
def test_local_mail_that_is_refused_comes_back(case):
    main, rcpts, text = REFUSED[case]

    def send(_, sendmail):
        sendmail("-i", "-f", "s@sender.test", *rcpts, input=text)
    ours, theirs = ours_of(send, main), theirs_of(send, main)
    for part in ("header", "types", "fields", "original"):
        assert ours[0][part] == theirs[0][part]
    assert ("body" in ours[0]["original"][0]) == (case in ("hops", "two"))
