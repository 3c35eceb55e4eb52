"""What a sender asked for of reports, behind an alias; and recipients that differ in the case of letters that ASCII has not. Beside
Postfix: what the next server hears."""
import re

import pytest

import pombal
from real_postfix import HAVE, SendingPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

MAIN = "smtp_tls_security_level = none\ninet_protocols = ipv4\nmyhostname = real.test\nmydomain = real.test\nmyorigin = real.test\n" \
       "mydestination = real.test\nlocal_recipient_maps =\nalias_database =\nalias_maps = texthash:$config_directory/list\n" \
       "default_transport = smtp:[127.0.0.1]:%d\nrelay_transport = $default_transport\nsmtpd_relay_restrictions = permit_mynetworks, reject\n" \
       "mynetworks = 127.0.0.0/8\nlocal_transport = local\nvirtual_alias_maps = inline:{ { one@bücher.test = x@far.test } { öl@bücher.test = x@far.test } }\n" \
       "virtual_alias_domains = bücher.test\nsmtp_connection_cache_on_demand = no\n"
ALIASES = "a x@far.test\ntwo x@far.test, y@far.test\nlist x@far.test\nowner-list own@far.test\nüber Ä@far.test, ä@far.test\n"
# parameters of MAIL, recipients with theirs
CASES = {
    "all": ("RET=HDRS ENVID=abc", ["<a@real.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@x.test"]),
    "success": ("RET=FULL", ["<a@real.test> NOTIFY=SUCCESS"]),
    "never": ("ENVID=abc", ["<a@real.test> NOTIFY=NEVER"]),
    "none": ("", ["<a@real.test>"]),
    "two": ("RET=HDRS ENVID=abc", ["<two@real.test> NOTIFY=FAILURE,DELAY"]),
    "case": ("SMTPUTF8", ["<one@bücher.test>", "<ONE@BÜCHER.test>", "<öl@bücher.test>", "<ÖL@bücher.test>"]),
    "case_of_aliases": ("SMTPUTF8", ["<über@real.test>"]),
}


def heard(suite, sink, port, name):
    """the commands of MAIL and RCPT, sorted, and so are their parameters"""
    params, rcpts = CASES[name]
    start = len(sink.commands)
    raw = pombal.Raw(port)
    raw.reply()
    raw.ask("EHLO client.test")
    commands = ["MAIL FROM:<%s@x.test> %s" % (name, params)] + ["RCPT TO:" + r for r in rcpts] + ["DATA", "Subject: x\r\n\r\nx\r\n."]
    said = [raw.ask(c.encode()) for c in commands]
    raw.close()
    assert [s[0] for s in said] == ["2"] * (len(rcpts) + 1) + ["3", "2"], said
    tool = getattr(suite, "tool", None) or suite.run
    pombal.wait_for(lambda: "Mail queue is empty" in tool("postqueue", "-p").stdout)
    found = []
    for command in sink.commands[start:]:
        if re.match("MAIL FROM:<>|RCPT TO:<%s@x.test>" % name, command):  # a report
            continue
        if command.startswith(("MAIL", "RCPT")):
            words = [w for w in command.split(" ") if not w.startswith(("SIZE=", "BODY="))]
            found.append(words[:2] + sorted(words[2:]))
    return sorted(found)


@pytest.fixture(scope="module")
def both():
    words = ("8BITMIME", "SMTPUTF8", "DSN")
    sinks = [Sink(ehlo=words), Sink(ehlo=words)]
    suite = pombal.Instance(start=False, main=MAIN % sinks[0].port)
    try:
        suite.add_master("local unix - n n - - local\n")
        suite.write("etc/list", ALIASES)
        suite.start()
        with SendingPostfix(main=MAIN % sinks[1].port + "smtp_host_lookup = native\nsmtp_dns_support_level = disabled\n") as real:
            with open(real.etc + "/list", "w") as f:
                f.write(ALIASES)
            real.start()
            pombal.wait_for(lambda: pombal.answers(real.port))
            yield (suite, sinks[0], suite.port("smtp")), (real, sinks[1], real.port)
    finally:
        suite.close()
        for s in sinks:
            s.close()


@pytest.mark.parametrize("name", CASES)
def test_the_next_server_hears_the_same(both, name):
    ours, theirs = [heard(*side, name) for side in both]
    assert ours == theirs and theirs
