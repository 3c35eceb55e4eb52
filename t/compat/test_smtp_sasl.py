"""Which mechanisms smtpd offers and takes, and where it asks: beside Postfix, with an authentication server that both ask over TCP."""
import base64, re, socket

import pytest

import pombal
from auth_server import AuthServer
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs root and Debian's postfix")

PLAIN = base64.b64encode(b"\0jane\0secret").decode()
# each is a port of its own: what the filter is there
FILTERS = ["!external, static:rest", "", "plain", "PLAIN, cram-md5", "!login, static:all", "scram-sha-256", "nosuch", "inline:{ login=yes, external=no }", "/etc/hostname", "plain !plain",
           "pcre:{{/^(?!plain)/ x}}"]
MECHS = ["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL", "SCRAM-SHA-256"]


def talk(port):
    raw = pombal.Raw(port)
    said = [raw.reply()]
    for command in ["EHLO c.test", "AUTH PLAIN " + PLAIN, "QUIT"]:
        try:
            said.append(raw.ask(command) or "")
        except OSError:
            said.append("")
    raw.close()
    return said[1:]


def offered(reply):
    return {m for m in re.findall(r"^250[- ]AUTH (.*)$", reply, re.M) for m in m.split()}


@pytest.fixture(scope="module")
def pair():
    server = AuthServer(socket.create_server(("127.0.0.1", 0)), MECHS)
    main = RECEIVING + "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_security_options =\nsmtpd_tls_security_level = none\nsmtpd_tls_auth_only = no\n" \
        "smtpd_sasl_path = inet:127.0.0.1:%d\nsmtpd_sasl_authenticated_header = no\n" % server.listener.getsockname()[1]
    ports = [pombal.free_port() for _ in FILTERS]

    def lines():
        return "".join("127.0.0.1:%d inet n - n - - smtpd -o { smtpd_sasl_mechanism_filter = %s }\n" % pair for pair in zip(ports, FILTERS))

    ours = pombal.Instance(main=main, master=lines() + "".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()))
    said = [[talk(port) for port in ports]]
    ours.stop()
    theirs = RealPostfix(main, agents=RECEIVING_AGENTS, master=lambda where: lines()).start()
    said.append([talk(port) for port in ports])
    yield ours, theirs, said
    theirs.close()
    ours.close()
    server.close()


def test_the_same_mechanisms_are_offered(pair):
    """where none is left, Postfix's smtpd does not start: so it does with an empty filter, too, which its manual calls no filter"""
    ours, theirs = pair[2]
    for mechs, mine, other in zip(FILTERS, ours, theirs):
        assert offered(mine[0]) == offered(other[0]) or not other[0], mechs
    assert sum(not s[0] for s in theirs) == 3 and "smtpd_sasl_mechanism_filter discards all mechanisms" in pair[1].log()
    assert [len(offered(s[0])) for s in ours] == [4, 5, 1, 2, 4, 1, 0, 2, 0, 1, 4]


def test_only_what_is_offered_is_taken(pair):
    """Postfix takes what it does not offer, too"""
    for mechs, said in zip(FILTERS, pair[2][0]):
        assert said[0].startswith("250-") and said[1].startswith("235 2.7.0 ") == ("PLAIN" in offered(said[0])), (mechs, said)
    assert len(re.findall("warning: smtpd_sasl_mechanism_filter discards all mechanisms in 'PLAIN LOGIN CRAM-MD5 EXTERNAL SCRAM-SHA-256'", pair[0].log())) == 2
