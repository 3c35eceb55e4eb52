"""Ports where mail comes back: from content filters, proxies, and clients that speak for others, beside Postfix.

One instance of each suite, with a port for every set of options below. Replies and log lines must agree, but for
DIFFERENT, where each difference has its reason."""
import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started
from test_smtp import BODY, GO, answers, play

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

COMMON = RECEIVING + """
local_recipient_maps = inline:{ alice=x bob=x postmaster=x }
mynetworks = 10.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_hard_error_limit = 1000
smtpd_client_connection_rate_limit = 0
disable_vrfy_command = no
"""

# name: options of the service
SERVICES = {
    "no_checks": ["receive_override_options=no_unknown_recipient_checks,no_milters", "smtpd_reject_unlisted_sender=yes"],
    "no_explicit": ["receive_override_options=no_unknown_recipient_checks", "smtpd_recipient_restrictions=reject_unlisted_recipient,reject_unlisted_sender"],
    "denied": ["smtpd_delay_reject=no", "smtpd_client_restrictions=reject"],
}

TRANSCRIPTS = {
    **{name: (name, ["EHLO x", "MAIL FROM:<nobody@example.test>", "RCPT TO:<nobody@example.test>", "RCPT TO:<alice@example.test>", "RSET",
                     "VRFY nobody@example.test", "QUIT"]) for name in ("no_checks", "no_explicit")},
    "denied": ("denied", GO + ["RCPT TO:<alice@example.test>", "FOO", "NOOP", "EHLO \xff", "RSET", "DATA", "QUIT"]),
}

# (transcript, command): why the replies differ
DIFFERENT = {}


def service_lines(ports):
    for name, options in SERVICES.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name]
        for option in options:
            yield "    -o { %s = %s }\n" % tuple(option.split("=", 1))


def free_ports():
    return {name: pombal.free_port() for name in SERVICES}


@pytest.fixture(scope="module")
def both():
    ours_ports, theirs = free_ports(), None
    ours = pombal.Instance(start=False)
    try:
        ours.add_main(COMMON + "smtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(service_lines(ours_ports)))
        ours.start()
        theirs, theirs_ports = started(lambda ports: RealPostfix(COMMON, agents=RECEIVING_AGENTS, master=lambda where: service_lines(ports)),
                                       free_ports)
        pombal.wait_for(lambda: answers(ours_ports["denied"]) and answers(theirs_ports["denied"]))
        yield (ours, ours_ports), (theirs, theirs_ports)
    finally:
        if theirs:
            theirs.close()
        ours.close()


@pytest.mark.parametrize("name", sorted(TRANSCRIPTS))
def test_transcript(both, name):
    service, commands = TRANSCRIPTS[name]
    (_, ours), (_, theirs) = both
    got, want = play(ours[service], commands), play(theirs[service], commands)
    wrong = ["%.100r\n   ours   %s\n   theirs %s" % (g[0], g[1], w[1]) for g, w in zip(got, want)
             if g != w and (name, g[0]) not in DIFFERENT]
    assert not wrong and len(got) == len(want), "\n".join([""] + wrong)
