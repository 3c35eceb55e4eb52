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
# ports where a client logs in without EHLO, or though it is not told that it may: options of smtpd
OTHERS = {"any": "smtpd_banner=$myhostname", "exceptions": "smtpd_sasl_exceptions_networks=127.0.0.0/8", "helo": "smtpd_helo_required=yes",
          "hidden": "smtpd_discard_ehlo_keywords=auth", "dead": "smtpd_sasl_path=inet:127.0.0.1:9"}
SESSIONS = [["AUTH PLAIN " + PLAIN], ["HELO c.test", "AUTH PLAIN " + PLAIN], ["EHLO c.test", "AUTH PLAIN " + PLAIN], ["HELO c.test", "AUTH", "AUTH FOO"]]
MECHS = ["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL", "SCRAM-SHA-256"]


def talk(port, commands=("EHLO c.test", "AUTH PLAIN " + PLAIN)):
    raw = pombal.Raw(port)
    said = [raw.reply()]
    for command in [*commands, "QUIT"]:
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
    others = {name: pombal.free_port() for name in OTHERS}

    def lines():
        return "".join("127.0.0.1:%d inet n - n - - smtpd -o { smtpd_sasl_mechanism_filter = %s }\n" % pair for pair in zip(ports, FILTERS)) + "".join(
            "127.0.0.1:%d inet n - n - - smtpd -o { %s }\n" % (others[name], option.replace("=", " = ", 1)) for name, option in OTHERS.items())

    def all_said(names):
        return [talk(port) for port in ports], {name: [talk(others[name], commands) for commands in SESSIONS] for name in names}

    ours = pombal.Instance(main=main, master=lines() + "".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()))
    mine = all_said(OTHERS)
    ours.stop()
    theirs = RealPostfix(main, agents=RECEIVING_AGENTS, master=lambda where: lines()).start()
    other = all_said(name for name in OTHERS if name != "dead")
    yield ours, theirs, [mine[0], other[0]], [mine[1], other[1]]
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


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "dead"])
def test_clients_log_in_without_being_told_that_they_may(pair, name):
    """scanners and printers say HELO, and then AUTH"""
    mine, other = [[[re.sub("(?s)^250-.*", "ehlo", line) for line in said] for said in both[name]] for both in pair[3]]
    assert mine == other
    assert sum(line.startswith("235") for said in mine for line in said) == {"any": 3, "exceptions": 3, "helo": 2, "hidden": 0}[name]


def test_a_server_that_is_down_makes_no_password_wrong(pair):
    """Postfix's smtpd hangs up on all clients until the server is there again"""
    for said in pair[3][0]["dead"]:
        assert all(line[:3] in ("250", "454", "501", "221") for line in said) and any(line.startswith(("454 4.7.0 Temporary authentication failure: ")) for line in said), said
