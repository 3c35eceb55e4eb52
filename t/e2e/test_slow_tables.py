"""Tables of thousands of patterns: one message with many addresses does not hold up the others. The suite's end looks at the longest turn."""
import pytest

from pombal import Raw

PATTERNS = "".join("/^host%d.*\\.test$/ x@y.test\n" % i for i in range(5000))


def start(make_suite, parameter):
    s = make_suite(start=False)
    s.add_main("default_transport = discard\nmynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\n%s:%s\n" % (parameter, s.write("etc/patterns", PATTERNS)))
    s.start()
    return s


@pytest.mark.parametrize("parameter", ["canonical_maps = pcre", "recipient_bcc_maps = pcre", "transport_maps = pcre"])
def test_of_recipients(make_suite, parameter):
    s = start(make_suite, parameter)
    raw = Raw(s.port("smtp"))
    raw.reply(), raw.ask("EHLO x"), raw.ask("MAIL FROM:<>")
    assert {raw.ask("RCPT TO:<u%d@d%d.example>" % (i, i))[:4] for i in range(1000)} == {"250 "}
    raw.ask("DATA")
    assert raw.ask("Subject: x\r\n\r\nx\r\n.").startswith("250 ")
    raw.close()
    s.wait_log(": removed")


def test_of_commands_that_come_at_once(make_suite):
    s = start(make_suite, "smtpd_recipient_restrictions = check_recipient_access pcre")
    raw = Raw(s.port("smtp"))
    raw.reply(), raw.ask("EHLO x"), raw.ask("MAIL FROM:<>")
    raw.send("".join("RCPT TO:<u%d@d%d.example>\r\n" % (i, i) for i in range(1000)).encode())
    assert {raw.reply()[:4] for _ in range(1000)} == {"250 "}
    raw.close()


def test_of_addresses_in_a_header(make_suite):
    s = start(make_suite, "canonical_maps = pcre")
    s.tool("sendmail", "-f", "a@x.test", "to@elsewhere.example", input="To: %s\n\nx\n" % ",\n ".join("u%d@d%d.example" % (i, i) for i in range(2500)))
    s.wait_log(": removed")
