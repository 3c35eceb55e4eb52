"""Messages with faults in their MIME, through Postfix's cleanup and ours: what the client hears, what is logged."""
import itertools, re, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

COMMON = RECEIVING + """
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_client_access static:hold
"""
SERVICES = {
    "none": [],
    "header": ["strict_7bit_headers=yes"],
    "body": ["strict_8bitmime_body=yes"],
    "both": ["strict_8bitmime=yes"],
    "domain": ["strict_mime_encoding_domain=yes"],
    "all": ["strict_8bitmime=yes", "strict_mime_encoding_domain=yes", "mime_nesting_limit=2"],
    "off": ["strict_8bitmime=yes", "strict_mime_encoding_domain=yes", "disable_mime_input_processing=yes"],
    "checks": ["strict_8bitmime=yes", "header_checks=regexp:{{/^X-Pass:/ PASS} {/^X-Reject:/ REJECT}}"],
    "undetected": ["detect_8bit_encoding_header=no"],
    "unended": ["non_empty_end_of_header_action=reject"],
    "added": ["non_empty_end_of_header_action=add_header"],
}
COUNT = itertools.count(251)
OURS_ONLY = ("unended", "added")  # Debian's Postfix is older

H = "From: a@x.test\r\nTo: b@x.test\r\nMessage-Id: <m@x.test>\r\nDate: Mon, 23 Nov 2026 02:11:38 +0000\r\n"
CTE = "Content-Transfer-Encoding: "
MULTI = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n%s\r\n%s--b--\r\nend\r\n"
MESSAGES = {
    "plain": H + "\r\nb\r\n",
    "header_8bit": H + "Subject: caf\xe9 \xfc\r\n and more\r\n\r\nb\r\n",
    "header_8bit_folded": H + "Subject: a\r\n caf\xe9 " + "x" * 200 + "\r\n\r\nb\r\n",
    "header_8bit_twice": H + "Subject: \xe9\r\nX-Other: \xe9\r\n\r\nb\r\n",
    "body_8bit": H + "\r\ncaf\xe9\r\n",
    "body_8bit_late": H + "\r\n" + "b\r\n" * 5000 + "x" * 3000 + "\xe9\r\n",
    "body_declared": H + CTE + "8bit\r\n\r\ncaf\xe9\r\n",
    "body_binary": H + CTE + "Binary\r\n\r\ncaf\xe9\r\n",
    "body_7bit": H + CTE + "7bit\r\n\r\ncaf\xe9\r\n",
    "body_qp": H + CTE + "quoted-printable\r\n\r\ncaf\xe9\r\n",
    "body_base64": H + CTE + "base64\r\n\r\ncaf\xe9\r\n",
    "body_odd": H + CTE + "x-odd\r\n\r\ncaf\xe9\r\n",
    "body_comment": H + CTE + "(a) 8bit (b)\r\n\r\ncaf\xe9\r\n",
    "body_two": H + CTE + "8bit\r\n" + CTE + "7bit\r\n\r\ncaf\xe9\r\n",
    "both_8bit": H + "Subject: \xe9\r\n\r\ncaf\xe9\r\n",
    "no_blank": H + "no header \xe9\r\n\r\nb\r\n",
    "part_header": H + MULTI % ("", "--b\r\nX: \xe9\r\n\r\nb\r\n"),
    "part_body": H + MULTI % ("", "--b\r\n\r\n\xe9\r\n"),
    "part_declared": H + MULTI % (CTE + "8bit\r\n", "--b\r\n" + CTE + "8bit\r\n\r\n\xe9\r\n"),
    "part_declared_outside": H + MULTI % (CTE + "8bit\r\n", "--b\r\n\r\n\xe9\r\n"),
    "part_after": H + MULTI % ("", "--b\r\n" + CTE + "8bit\r\n\r\n\xe9\r\n--b\r\n\r\n\xe9\r\n"),
    "part_boundary": H + MULTI % ("", "--b\r\n\r\nb\r\n--b \xe9\r\n\r\nb\r\n"),
    "preamble": H + MULTI % (CTE + "8bit\r\n", "\xe9\r\n--b\r\n\r\nb\r\n"),
    "epilogue": H + MULTI % (CTE + "8bit\r\n", "--b\r\n\r\nb\r\n--b--\r\n\xe9\r\n"),
    "part_no_header": H + MULTI % (CTE + "8bit\r\n", "--b\r\n" + CTE + "8bit\r\ngarbage \xe9\r\n\xe9\r\n"),
    "nested_header": H + "Content-Type: message/rfc822\r\n" + CTE + "8bit\r\n\r\nSubject: \xe9\r\n\r\nb\r\n",
    "nested_body": H + "Content-Type: message/rfc822\r\n" + CTE + "8bit\r\n\r\nSubject: b\r\n\r\n\xe9\r\n",
    "nested_declared": H + "Content-Type: message/rfc822\r\n" + CTE + "8bit\r\n\r\nSubject: b\r\n" + CTE + "8bit\r\n\r\n\xe9\r\n",
    "deep": H + "".join("Content-Type: multipart/x; boundary=l%d\r\n\r\n--l%d\r\n" % (i, i) for i in range(6)) + "\r\nb\r\n",
    "deep_8bit": H + "".join("Content-Type: multipart/x; boundary=l%d\r\nX: \xe9\r\n\r\n--l%d\r\n" % (i, i) for i in range(6)) + "\r\n\xe9\r\n",
    "digest": H + "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n" + CTE + "base64\r\n\r\nSubject: a\r\n\r\nb\r\n--b--\r\n",
    "pass": H + "X-Pass: 1\r\nSubject: \xe9\r\n\r\n\xe9\r\n",
    "reject": H + "Subject: \xe9\r\nX-Reject: 1\r\n\r\n\xe9\r\n",
    **{"type_%s_%s" % (kind, cte): H + "Content-Type: " + kind.replace("_", "/") + "; boundary=b\r\n" + CTE + cte + "\r\n\r\n--b\r\n\r\nb\r\n--b--\r\n"
       for kind in ("multipart_mixed", "message_rfc822", "message_partial", "message_external-body", "message_global", "message_news",
                    "message_delivery-status", "text_plain", "multipart", "message")
       for cte in ("7bit", "8bit", "binary", "base64", "quoted-printable", "odd")},
}


def wanted(service, name):
    """not each message through each service"""
    if name.startswith("type_"):
        return service == "domain"
    if name in ("pass", "reject"):
        return service == "checks"
    return service not in ("checks", "undetected") + OURS_ONLY


CASES = sorted((service, name) for service in SERVICES for name in MESSAGES if wanted(service, name))


def service_lines(ports, services):
    for name in services:
        yield ("127.0.0.1:%d inet n - n - - smtpd\n    -o cleanup_service_name=cleanup-%s\ncleanup-%s unix n - n - 0 cleanup\n"
               % (ports[name], name, name))
        for option in SERVICES[name]:
            yield "    -o { %s = %s }\n" % tuple(option.split("=", 1))


@pytest.fixture(scope="module")
def ours():
    ports = {name: pombal.free_port() for name in SERVICES}
    suite = pombal.Instance(start=False)
    try:
        suite.add_main(COMMON + "smtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(suite.etc + "/master.cf", "a") as f:
            f.write("".join(service_lines(ports, SERVICES)))
        suite.start()
        yield suite, ports
    finally:
        suite.close()


@pytest.fixture(scope="module")
def theirs():
    known = [name for name in SERVICES if name not in OURS_ONLY]
    suite, ports = started(lambda p: RealPostfix(COMMON, agents=RECEIVING_AGENTS, master=lambda where: service_lines(p, known)),
                           lambda: {name: pombal.free_port() for name in known})
    yield suite, ports
    suite.close()


def send(suite, port, text, full=False, args=""):
    """the reply to the content, and the lines of the log about it"""
    pombal.wait_for(lambda: pombal.answers(port))
    source = "127.7.%d.%d" % divmod(next(COUNT), 250)
    raw = pombal.Raw(port, source=source)
    raw.reply()
    for command in ("EHLO client.test", "MAIL FROM:<s@x.test>" + args, "RCPT TO:<r@example.test>"):
        assert raw.ask(command)[0] == "2"
    assert raw.ask("DATA")[0] == "3"
    raw.send(text.encode("latin-1") + b".\r\n")
    reply = raw.reply()
    raw.send(b"QUIT\r\n")
    raw.reply()
    raw.close()
    log = pombal.wait_for(lambda: "disconnect from unknown[%s]" % source in (text := suite.log()) and text)
    faults = re.findall(r": \w+: (reject: (?:mime-error|header).*)\[%s\](.*)" % re.escape(source), log)
    return reply if full else re.sub(r"queued as \w+", "queued", reply), faults


@pytest.mark.parametrize("service,name", CASES)
def test_strict(ours, theirs, service, name):
    got, want = [send(suite, ports[service], MESSAGES[name]) for suite, ports in (ours, theirs)]
    assert got == want


def kept(suite, reply, what="-bh"):
    """the content of a message that is held"""
    path = "%s/hold/%s" % (suite.queue, re.search(r"queued as (\w+)", reply).group(1))
    return subprocess.run(["postcat", what, path], capture_output=True).stdout.decode("latin-1")


@pytest.mark.parametrize("args", ["", " BODY=7BIT", " BODY=8BITMIME"])
@pytest.mark.parametrize("name", ["plain", "body_declared", "part_declared", "nested_declared"])
@pytest.mark.parametrize("service", ["none", "undetected"])
def test_what_the_next_server_is_told(ours, theirs, service, name, args):
    got, want = ["encoding=8bit" in kept(suite, send(suite, ports[service], MESSAGES[name], True, args)[0], "-e") for suite, ports in (ours, theirs)]
    assert got == want


UNENDED = [("no header\r\nb\r\n", "no header"), (": b\r\n", ": b"), ("A B: c\r\n", "A B: c")]


@pytest.mark.parametrize("text,line", UNENDED)
def test_a_header_without_an_end_is_refused(ours, text, line):
    suite, ports = ours
    reply, faults = send(suite, ports["unended"], H + text)
    assert reply == "550 5.6.0 message header was not terminated by empty line"
    assert faults == [("reject: mime-error message header was not terminated by empty line: %s from unknown" % line,
                       "; from=<s@x.test> to=<r@example.test>")]


@pytest.mark.parametrize("text", ["", "\r\n", "\r\nno header\r\n", "X: y\r\n\r\n: b\r\n"])
def test_a_header_with_an_end_is_taken(ours, text):
    suite, ports = ours
    assert send(suite, ports["unended"], H + text) == ("250 2.0.0 Ok: queued", [])


@pytest.mark.parametrize("text,line", UNENDED)
def test_a_header_without_an_end_is_told(ours, text, line):
    suite, ports = ours
    reply, faults = send(suite, ports["added"], H + text, full=True)
    assert faults == []
    assert ("\nMIME-Error: message header was not terminated by empty line\n\n" + line) in kept(suite, reply)


def test_a_header_with_an_end_has_no_such_field(ours):
    suite, ports = ours
    assert "MIME-Error" not in kept(suite, send(suite, ports["added"], H + "\r\nno header\r\n", full=True)[0])
