"""force_mime_input_conversion: what is stored, and what checks and milters see, of 8-bit messages."""
import re, subprocess

import pytest

import pombal

SERVICES = {
    "plain": [],
    "checks": ["header_checks=regexp:{{/^Content-Transfer-Encoding: quoted-printable/ REPLACE X-Seen: yes}}", "body_checks=regexp:{{/^caf=C3=A9/ REPLACE seen} {/[^ -~]/ REJECT 8-bit}}"],
    "strict": ["strict_8bitmime_body=yes"],
    "nested": ["mime_nesting_limit=2"],
    "unended": ["non_empty_end_of_header_action=reject"],
    "off": ["disable_mime_input_processing=yes"],
    "chars": ["message_strip_characters=\\351", "message_reject_characters=\\001"],
}
H = "From: a@x.test\r\nTo: b@x.test\r\nMessage-Id: <m@x.test>\r\nDate: Mon, 23 Nov 2026 02:11:38 +0000\r\nMIME-Version: 1.0\r\n"
CTE = "Content-Transfer-Encoding: "
EIGHT = H + CTE + "8bit\r\n\r\ncaf\xc3\xa9 = x \r\n..dot\r\n\r\nend\r\n"
PARTS = H + "Content-Type: multipart/mixed; boundary=b\r\n" + CTE + "8bit\r\n\r\n--b\r\n" + CTE + "8bit\r\n\r\n\xc3\xa9\r\n--b\r\n\r\nplain =\r\n--b--\r\n"


@pytest.fixture(scope="module")
def suite():
    ports = {name: pombal.free_port() for name in SERVICES}
    suite = pombal.Instance(start=False)
    suite.ports = ports
    suite.add_main("force_mime_input_conversion = yes\nlocal_recipient_maps =\nsmtpd_recipient_restrictions = check_client_access static:hold\nsmtpd_peername_lookup = no\n"
                   "mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
    with open(suite.etc + "/master.cf", "a") as f:
        for name, options in SERVICES.items():
            f.write("127.0.0.1:%d inet n - n - - smtpd\n  -o cleanup_service_name=cleanup-%s\ncleanup-%s unix n - n - 0 cleanup\n" % (ports[name], name, name))
            f.write("".join("  -o { %s = %s }\n" % tuple(option.split("=", 1)) for option in options))
    suite.start()
    yield suite
    suite.close()


def send(suite, service, text, args=" BODY=8BITMIME"):
    pombal.wait_for(lambda: pombal.answers(suite.ports[service]))
    raw = pombal.Raw(suite.ports[service])
    raw.reply()
    for command in ("EHLO client.test", "MAIL FROM:<s@x.test>" + args, "RCPT TO:<r@example.test>", "DATA"):
        assert raw.ask(command)[0] in "23"
    raw.send(text.encode("latin-1") + b".\r\n")
    reply = raw.reply()
    raw.close()
    return reply


def kept(suite, reply, what="-bh"):
    path = "%s/hold/%s" % (suite.queue, re.search(r"queued as (\w+)", reply).group(1))
    return subprocess.run([pombal.BIN + "/postcat", "-c", suite.etc, what, path], capture_output=True).stdout.decode("latin-1")


def content(suite, service, text, **how):
    return re.sub(r"\AReceived:.*\n(?:[ \t].*\n)*|(?<=Message-Id: <)\d+\.\w+|(?<=Date: ).* \(UTC\)", "", kept(suite, send(suite, service, text, **how)))


def test_a_text_is_quoted(suite):
    assert content(suite, "plain", EIGHT) == H.replace("\r", "") + CTE + "quoted-printable\n\ncaf=C3=A9 =3D x=20\n.dot\n\nend\n"


def test_the_next_server_is_told_what_is_left(suite):
    assert "encoding=7bit" in kept(suite, send(suite, "plain", EIGHT), "-e")
    assert "encoding=8bit" in kept(suite, send(suite, "plain", H + "\r\n\xe9\r\n"), "-e")


def test_only_the_part_that_is_8_bit_is_quoted(suite):
    got = content(suite, "plain", PARTS)
    assert got.endswith("\n" + CTE + "7bit\n\n--b\n" + CTE + "quoted-printable\n\n=C3=A9\n--b\n\nplain =\n--b--\n")


@pytest.mark.parametrize("text", [H + "\r\n\xe9 = x \r\n", H + CTE + "7bit\r\n\r\na=\r\n", H + CTE + "base64\r\n\r\nYQ==\r\n", H, H + "no header\r\n",
                                  H + "X: " + "y" * 5000 + "\r\n z\r\n\r\n" + "b" * 9000 + "\r\n", "", "\r\n", "a\r\nb\r\n"])
def test_all_else_stays(suite, text):
    assert content(suite, "plain", text) == content(suite, "off", text)


def test_nothing_is_converted_without_mime_processing(suite):
    assert "caf\xc3\xa9 = x \n" in content(suite, "off", EIGHT)


def test_a_long_line_becomes_short_ones(suite):
    got = content(suite, "plain", H + CTE + "8bit\r\n\r\n" + "\xe9x" * 5000 + "\r\nend\r\n").split("\n\n", 1)[1]
    lines = got.split("\n")
    assert max(map(len, lines)) <= 76 and lines[-2:] == ["end", ""] and got.replace("=\n", "") == "=E9x" * 5000 + "\nend\n"


def test_checks_see_what_is_converted(suite):
    reply = send(suite, "checks", H + CTE + "8bit\r\n\r\ncaf\xc3\xa9\r\n\xe9\r\n")
    assert "X-Seen: yes\n\nseen\n=E9\n" in kept(suite, reply)
    assert send(suite, "checks", H + "\r\n\xe9\r\n").startswith("550 5.7.1 8-bit")


def test_what_is_declared_is_no_fault(suite):
    assert send(suite, "strict", EIGHT).startswith("250 ") and send(suite, "strict", PARTS).startswith("250 ")
    assert send(suite, "strict", H + "\r\n\xe9\r\n") == "550 5.6.0 improper use of 8-bit data in message body"


def test_parts_that_are_nested_too_deep_are_refused(suite):
    deep = H + "".join("Content-Type: multipart/x; boundary=l%d\r\n\r\n--l%d\r\n" % (i, i) for i in range(6)) + "\r\nb\r\n"
    assert send(suite, "nested", deep) == "550 5.6.0 MIME nesting exceeds safety limit"
    assert send(suite, "plain", deep).startswith("250 ")


def test_a_header_without_an_end_stays_one(suite):
    assert send(suite, "unended", H + CTE + "8bit\r\nno header \xe9\r\n") == "550 5.6.0 message header was not terminated by empty line"
    assert CTE + "quoted-printable\n\nno header =E9\n" in content(suite, "plain", H + CTE + "8bit\r\nno header \xe9\r\n")


@pytest.mark.parametrize("line, quoted", [("caf\xe9: x: y", "caf=E9=3A x=3A y"), ("a\x01b: x", "a=01b=3A x")])
def test_a_line_that_is_no_field_does_not_become_one(suite, line, quoted):
    text = H + CTE + "8bit\r\n" + line + "\r\n\r\nbody: \xe9\r\n"
    assert content(suite, "plain", text).endswith("\n" + CTE + "quoted-printable\n\n" + quoted + "\n\nbody: =E9\n")
    assert send(suite, "unended", text) == "550 5.6.0 message header was not terminated by empty line"


def test_characters_are_looked_at_before(suite):
    assert content(suite, "chars", H + CTE + "8bit\r\n\r\na\xe9b\xea\r\n").endswith("\n\nab=EA\n")
    assert send(suite, "chars", H + CTE + "8bit\r\n\r\na\x01b\r\n").startswith("550 5.7.1 disallowed character")


def test_stray_line_ends_make_no_lines(suite):
    assert content(suite, "plain", H + CTE + "8bit\r\n\r\na\rb\r\n").endswith("\n\na b\n")
