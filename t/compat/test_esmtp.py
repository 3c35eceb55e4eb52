"""SMTP extensions at the server, beside Postfix: one table of transcripts, played to one instance of each.

A row is name: (service, steps). A step is a command; bytes, sent as they are; or (n, bytes) which get n replies. Code, enhanced
code and text of each reply must be the same, and so must the log lines of rows in LOGGED."""
import re

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, smtpd_lines, started
from test_smtp import answers, lines_of

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

COMMON = RECEIVING + """
local_recipient_maps = inline:{ { alice = x } { josé = x } }
relay_domains = relay.test, bücher.test
relay_recipient_maps =
smtpd_hard_error_limit = 100
smtpd_forbid_unauth_pipelining = no
disable_vrfy_command = no
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
mynetworks = 10.0.0.0/8
"""
SERVICES = {
    "plain": [],
    "small": ["message_size_limit=2000"],
    "hidden": ["smtpd_discard_ehlo_keywords=chunking"],
    "quiet": ["smtpd_discard_ehlo_keywords=chunking,silent-discard"],
    "at_data": ["smtpd_data_restrictions=reject"],
    "at_end": ["smtpd_end_of_data_restrictions=reject"],
    "pipelining": ["smtpd_data_restrictions=reject_unauth_pipelining"],
    "strict": ["strict_smtputf8=yes"],
    "no_utf8": ["smtputf8_enable=no"],
    "hidden_utf8": ["smtpd_discard_ehlo_keywords=smtputf8"],
    "short_lines": ["line_length_limit=512"],
    "helo_first": ["smtpd_helo_required=yes"],
}
MAIL, RCPT = "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>"
GO = ["EHLO x", MAIL, RCPT]


def bdat(content, last=False, size=None):
    return b"BDAT %d%s\r\n" % (len(content) if size is None else size, b" LAST" if last else b"") + content


def last(content):
    return bdat(content, True)


def pieces(*commands):
    """in one piece, with a reply to each"""
    return len(commands), b"".join(c if isinstance(c, bytes) else c.encode() + b"\r\n" for c in commands)


BDAT = {
    "accepted": ("plain", GO + [bdat(b"a\r\nb"), last(b"\r\n"), "QUIT"]),
    "one": ("plain", GO + [last(b"Subject: x\r\n\r\ny\n"), "QUIT"]),
    "empty": ("plain", GO + [last(b""), "NOOP"]),
    "no_end_of_line": ("plain", GO + [bdat(b"abcd"), last(b"abcd")]),
    "one_byte_each": ("plain", GO + [bdat(b"a")] * 3 + [last(b"\r")] + GO[1:] + [bdat(bytes([c])) for c in b"x: y\r\n\r\n"] + [last(b"z")]),
    "null": ("plain", GO + ["BDAT 0", "BDAT 0 LAST", MAIL, RCPT, bdat(b"abc"), "BDAT 0", "RSET", MAIL]),
    "null_no_mail": ("plain", ["EHLO x", "BDAT 0 LAST", "BDAT 0", bdat(b"abc"), MAIL, last(b""), MAIL]),
    "no_mail": ("plain", ["EHLO x", last(b"hello"), "NOOP", bdat(b"abc"), MAIL, RCPT, "DATA", bdat(b"abc"), last(b"abc"), MAIL, RCPT, last(b"abc")]),
    "no_rcpt": ("plain", ["EHLO x", MAIL, last(b"hello"), RCPT, last(b"hello"), MAIL, bdat(b"abc"), MAIL, RCPT, "DATA", bdat(b"x"), "NOOP", last(b""), MAIL, RCPT]),
    "bad_rcpt_pipelined": ("plain", ["EHLO x", pieces(MAIL, "RCPT TO:<x@elsewhere.test>", bdat(b"abcd"), last(b"efgh"), "NOOP", MAIL), "QUIT"]),
    "pipelined": ("plain", ["EHLO x", pieces(MAIL, RCPT, bdat(b"abcd"), last(b"efgh"), MAIL, RCPT, last(b"x\r\n"), "NOOP", "QUIT")]),
    "pipelined_restriction": ("pipelining", ["EHLO x", pieces(MAIL, RCPT, bdat(b"abcd"), last(b"efgh"), "NOOP"), "QUIT"]),
    "after_helo": ("plain", ["HELO x", MAIL, RCPT, last(b"xx"), "NOOP"]),
    "data_within": ("plain", GO + [bdat(b"a\r\nb"), "DATA", "DATA x", MAIL, RCPT, "RCPT", "VRFY alice", "ETRN x.test", "FOO", "NOOP", last(b"\r\n"), "NOOP"]),
    "rset": ("plain", GO + [bdat(b"a\r\nb"), "RSET", last(b"abcd"), MAIL, RCPT, last(b"xx")]),
    "ehlo": ("plain", GO + [bdat(b"a\r\nb"), "EHLO y", last(b"abcd"), MAIL, RCPT, last(b"xx")]),
    "quit": ("plain", GO + [bdat(b"a\r\nb"), "QUIT"]),
    "after_last": ("plain", GO + [last(b"xx"), last(b"xx"), "DATA"]),
    "case_and_zeros": ("plain", GO + [b"bdat  0000000000000000000002   last \r\nxx", "NOOP"]),
    **{"malformed_%d" % i: ("plain", start + [line, "NOOP"]) for i, (start, line) in enumerate([
        (GO, "BDAT"), (GO, "BDAT x"), (GO, "BDAT 1 2"), (GO, "BDAT 1 LAST x"), (GO, "BDAT -1"), (GO, "BDAT +1"), (GO, "BDAT 1x"), (GO, "BDAT LAST"),
        (GO, "BDAT 99999999999999999999 LAST"), (["EHLO x"], "BDAT"), (GO + [bdat(b"abc")], "BDAT 0x1 LAST"), (["EHLO x", bdat(b"abc")], "BDAT x")])},
    "too_big": ("small", GO + [bdat(b"a" * 998 + b"\r\n"), bdat(b"b" * 1498 + b"\r\n"), bdat(b"abc"), last(b"\r\n"), "NOOP"]),
    "too_big_at_once": ("small", GO + [last(b"a" * 3000), "NOOP", MAIL, RCPT, last(b"x")]),
    "too_big_then_rset": ("small", GO + [bdat(b"a" * 3000), MAIL, RCPT, "DATA", bdat(b"b" * 3000), "RSET", MAIL, RCPT, last(b"x")]),
    "too_big_at_the_end": ("small", GO + [bdat(b"a" * 1990), bdat(b"b" * 10), last(b"c"), "NOOP"]),
    "refused_at_data": ("at_data", GO + [bdat(b"abcd"), "RCPT TO:<alice@example.test>", last(b"abcd"), "NOOP"]),
    "refused_at_data_again": ("at_data", GO + [last(b"abcd"), "NOOP", MAIL, RCPT, last(b"abcd"), "NOOP"]),
    "refused_at_end": ("at_end", GO + [bdat(b"abcd"), last(b"abcd"), "NOOP"]),
    "hidden": ("hidden", GO + [last(b"xx")]),
    "hidden_malformed": ("quiet", ["EHLO x", "BDAT x", "NOOP"]),
    "zero_bytes": ("plain", GO + [last(b"a\0b\r\n.")]),
    "dots": ("plain", GO + [last(b"x: y\r\n\r\n.\r\n..\r\n.")]),
    "bare_lf": ("plain", GO + [last(b"x: y\n\n.\nQUIT\r\n")]),
    "long_lines": ("short_lines", GO + [bdat(b"x: y\r\n\r\n" + b"z" * 1200), last(b"zz")]),
    "binary": ("plain", ["EHLO x", "MAIL FROM:<s@x.test> BODY=BINARYMIME", "MAIL FROM:<s@x.test> BODY=8BITMIME", RCPT, last(b"\xc3\xa4")]),
}
ASKS = "MAIL FROM:<s@x.test> SMTPUTF8"
LONG = "ä" * 70
UTF8 = {
    "asked": ("plain", ["EHLO x", "MAIL FROM:<josé@x.test> SMTPUTF8", "RCPT TO:<josé@example.test>", "RCPT TO:<u@bücher.test>", "RCPT TO:<u@ä.test>", "DATA", "x: y\r\n\r\n."]),
    "not_asked": ("plain", ["EHLO x", "MAIL FROM:<josé@x.test>", "RCPT TO:<josé@example.test>", "RCPT TO:<u@bücher.test>", "RSET", "MAIL FROM:<u@bücher.test>", "RSET",
                            "MAIL FROM:<u@bücher.test> SMTPUTF8", RCPT, last(b"abc")]),
    "parameter": ("plain", ["EHLO x", "MAIL FROM:<s@x.test> SMTPUTF8=1", "MAIL FROM:<s@x.test> SMTPUTF8=", "MAIL FROM:<s@x.test> SMTPUTF8 SMTPUTF8", "RSET",
                            "MAIL FROM:<s@x.test> smtputf8 BODY=7BIT", "RCPT TO:<alice@example.test> SMTPUTF8", b"RCPT TO:<al\xffice@example.test>\r\n", "RSET",
                            "MAIL FROM:<s@bücher.test> BODY=8BITMIME SMTPUTF8", "RSET", "MAIL FROM:<> SMTPUTF8", "RSET", "MAIL FROM:<s@bücher.test> SMTPUTF8=1"]),
    "vrfy": ("plain", ["EHLO x", "VRFY josé", "VRFY alice SMTPUTF8", "VRFY josé@example.test SMTPUTF8", "VRFY u@bücher.test", "VRFY u@bücher.test SMTPUTF8",
                       "VRFY alice@example.test SMTPUTF8 x", "VRFY alice FOO", "VRFY SMTPUTF8", "VRFY"]),
    "strict": ("strict", ["EHLO x", "MAIL FROM:<josé@x.test>", MAIL, "RCPT TO:<josé@example.test>", "RCPT TO:<u@bücher.test>", "RSET", "MAIL FROM:<josé@x.test> SMTPUTF8",
                          "RCPT TO:<josé@example.test>", "VRFY josé@example.test", "VRFY josé@example.test SMTPUTF8", "VRFY u@bücher.test"]),
    "off": ("no_utf8", ["EHLO x", "MAIL FROM:<josé@x.test> SMTPUTF8", "MAIL FROM:<josé@x.test>", "RCPT TO:<josé@example.test>", "RCPT TO:<u@bücher.test>", "VRFY alice SMTPUTF8"]),
    "hidden": ("hidden_utf8", ["EHLO x", "MAIL FROM:<josé@x.test> SMTPUTF8", "MAIL FROM:<josé@x.test>", "VRFY alice SMTPUTF8"]),
    "helo": ("plain", ["HELO x", "MAIL FROM:<josé@x.test> SMTPUTF8", RCPT, last(b"x")]),
    "orcpt": ("plain", ["EHLO jörg.test", ASKS, "RCPT TO:<alice@example.test> ORCPT=utf-8;josé@x.test", "RCPT TO:<alice@example.test> ORCPT=utf-8;jos\\x{E9}@x.test",
                        "RCPT TO:<alice@example.test> ORCPT=rfc822;josé@x.test", "RSET", MAIL, "RCPT TO:<alice@example.test> ORCPT=utf-8;josé@x.test", "DATA", "."]),
    "domains": ("plain", ["EHLO x", ASKS] + ["RCPT TO:<a@%s>" % d for d in (
        "ä..test", "xn--.test", "-ä.test", "™.test", LONG + ".test", "ｂ.test", "EXÄMPLE.test", "exämple.test", "bücher.TEST", "BÜCHER.test", "xn--bcher-kva.test", "ä.test.", "ä b.test",
        "日本語。test", "[ä]", "ä_b.test", "a\u200db.test")] + ["RCPT TO:<\u202ea@x.test>", "RCPT TO:<JOSÉ@example.test>"]),
}
OTHERS = {
    "auth_parameter": ("plain", ["EHLO x"] + [c for value in ("=<>", "=a+40b.test", "=", "", "=a+4", "=a+3Cb", "=a AUTH=b", "=<> SIZE=1") for c in (MAIL + " AUTH" + value, "RSET")]
                       + [MAIL + " AUTH=a+40b.test", RCPT, "DATA", "."]),
    "helo_first": ("helo_first", ["ETRN relay.test", "ETRN", "VRFY alice", MAIL, RCPT, "DATA", "NOOP", "HELO x", "ETRN x.test"]),
}
ROWS = {**OTHERS, **{"utf8_" + name: row for name, row in UTF8.items()}, **{"bdat_" + name: row for name, row in BDAT.items()}}
# Postfix counts lines of more than line_length_limit as several.
DIFFERENT = {("utf8_domains", "RCPT TO:<a@a\u200db.test>\r\n".encode()): "IDNA2008 forbids the joiner here (RFC 5892 A.2), Postfix's library lets it pass",
             ("bdat_long_lines", b"BDAT 2 LAST\r\nzz"): "one line, so two bytes fewer for its end"}
LOGGED = ["utf8_asked", "utf8_not_asked", "utf8_vrfy", "utf8_strict"] + ["bdat_" + name for name in ("accepted", "no_mail", "malformed_0", "too_big", "refused_at_data", "refused_at_end", "hidden", "null", "data_within")]


def free_ports():
    return {name: pombal.free_port() for name in SERVICES}


@pytest.fixture(scope="module")
def both():
    ours_ports, theirs = free_ports(), None
    ours = pombal.Instance(start=False)
    try:
        ours.add_main(COMMON + "smtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(smtpd_lines(SERVICES, ours_ports)))
        ours.start()
        theirs, theirs_ports = started(lambda ports: RealPostfix(COMMON, agents=RECEIVING_AGENTS, master=lambda where: smtpd_lines(SERVICES, ports)), free_ports)
        pombal.wait_for(lambda: answers(ours_ports["plain"]) and answers(theirs_ports["plain"]))
        yield (ours, ours_ports), (theirs, theirs_ports)
    finally:
        if theirs:
            theirs.close()
        ours.close()


def mask(reply):
    if reply is None:
        return "(closed)"
    return re.sub(r"queued as [0-9A-F]+", "queued as ID", reply)


def play(port, steps, source=None):
    raw, said = pombal.Raw(port, source=source), []
    raw.reply()
    for step in steps:
        count, data = step if isinstance(step, tuple) else (1, step)
        data = (data + "\r\n").encode() if isinstance(data, str) else data
        try:
            raw.send(data)
            for _ in range(count):
                said.append((data, mask(raw.reply())))
        except OSError:
            said.append((data, "(closed)"))
        if said[-1][1] == "(closed)":
            break
    raw.close()
    return said


@pytest.mark.parametrize("name", sorted(ROWS))
def test_replies(both, name):
    service, steps = ROWS[name]
    (_, ours), (_, theirs) = both
    got, want = play(ours[service], steps), play(theirs[service], steps)
    wrong = ["%.60r\n   ours   %s\n   theirs %s" % (g[0], g[1], w[1]) for g, w in zip(got, want) if g != w and (name, g[0]) not in DIFFERENT]
    assert not wrong and len(got) == len(want), "\n".join([""] + wrong)


@pytest.mark.parametrize("name", LOGGED)
def test_log_lines(both, name):
    """from an address of its own: lines of other sessions may come late"""
    source, logs = "127.0.3.%d" % (LOGGED.index(name) + 1), []
    for suite, ports in both:
        play(ports[ROWS[name][0]], ROWS[name][1], source)
        pombal.wait_for(lambda: "disconnect from unknown[%s]" % source in suite.log())
        ids = re.findall(r"smtpd\[\d+\]: (\w+): client=unknown\[%s\]" % re.escape(source), suite.log())
        own = [line for line in suite.log().split("\n") if "[%s]" % source in line or any(" %s: " % id in line for id in ids)]
        logs.append([re.sub(r"(warning: )ID: ", r"\1", line) for line in lines_of("\n".join(own)) if line.startswith("smtpd") and "lost connection" not in line])
    # Ours takes the queue id with the content, so that a refused message has none.
    ours, theirs = [[line for line in log if not re.search(r"smtpd: ID: client=", line)] for log in logs]
    assert [line.replace("NOQUEUE", "ID") for line in ours] == [line.replace("NOQUEUE", "ID") for line in theirs]
