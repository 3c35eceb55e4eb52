"""smtpd_log_access_permit_actions: the same lines about what lets a request pass as in Postfix's log."""
import itertools, re

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

ALL = "smtpd_log_access_permit_actions=static:all"
RCPT = "smtpd_recipient_restrictions="
# name: options of smtpd, beside those of COMMON
SERVICES = {
    "off": [RCPT + "permit_mynetworks,permit"],
    "all": [ALL, "smtpd_client_restrictions=permit_mynetworks", "smtpd_helo_restrictions=permit_inet_interfaces",
            "smtpd_sender_restrictions=permit", RCPT + "permit_auth_destination", "smtpd_data_restrictions=permit_mynetworks",
            "smtpd_end_of_data_restrictions=permit"],
    "at_once": [ALL, "smtpd_delay_reject=no", "smtpd_client_restrictions=permit_mynetworks", "smtpd_helo_restrictions=permit",
                "smtpd_sender_restrictions=permit"],
    "some": ["smtpd_log_access_permit_actions=permit_mynetworks, OK", "smtpd_client_restrictions=permit_mynetworks", "smtpd_helo_restrictions=permit",
             "smtpd_sender_restrictions=check_sender_access inline:{{s@x.test=OK}}"],
    "but": ["smtpd_log_access_permit_actions=!permit_mynetworks, static:all", "smtpd_client_restrictions=permit_mynetworks",
            "smtpd_helo_restrictions=permit"],
    "listed": ["smtpd_log_access_permit_actions=inline:{{permit_mynetworks=x} {ok=x}}", "smtpd_client_restrictions=permit_mynetworks",
               "smtpd_helo_restrictions=check_helo_access static:OK", "smtpd_sender_restrictions=check_sender_access static:ok"],
    "file": ["smtpd_log_access_permit_actions=DIR/actions", "smtpd_client_restrictions=permit_mynetworks", "smtpd_helo_restrictions=permit"],
    "tables": [ALL, "smtpd_client_restrictions=check_client_access static:OK", "smtpd_helo_restrictions=check_helo_access static:relay",
               "smtpd_sender_restrictions=check_sender_access inline:{{s@x.test=12345}}", RCPT + "check_recipient_access static:{Ok and more}"],
    "discard": [ALL, "smtpd_sender_restrictions=check_sender_access static:DISCARD", RCPT + "permit"],
    "in_table": [ALL, "smtpd_sender_restrictions=check_sender_access static:{permit_mynetworks}", RCPT + "check_recipient_access static:permit"],
    "class": [ALL, "smtpd_restriction_classes=trusted", "trusted=permit_mynetworks", RCPT + "trusted"],
    "dunno": [ALL, "smtpd_client_restrictions=check_client_access static:DUNNO", RCPT + "check_recipient_access static:dunno"],
    "deferred": [ALL, "smtpd_recipient_restrictions=check_client_access static:{DEFER_IF_PERMIT later},permit"],
    "warned": [ALL, RCPT + "warn_if_reject,reject,permit_mynetworks"],
    "capitals": [ALL, RCPT + "Permit_MyNetworks"],
    "naked": [ALL, "smtpd_helo_restrictions=permit_naked_ip_address"],
}
COMMON = RECEIVING + """
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unauth_destination
"""
COUNT = itertools.count(251)
DIALOGUES = {
    "message": ["EHLO c.test", "MAIL FROM:<s@x.test>", "RCPT TO:<r@example.test>", "RCPT TO:<q@example.test>", "DATA", "Subject: x\r\n\r\nb\r\n."],
    "null_sender": ["HELO 127.0.0.1", "MAIL FROM:<>", "RCPT TO:<r@example.test>", "RSET"],
    "other": ["EHLO c.test", "MAIL FROM:<t@x.test>", "RCPT TO:<\"a b\"@example.test>", "RSET"],
}


def service_lines(ports, where):
    for name, options in SERVICES.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name]
        for option in options:
            yield "    -o { %s = %s }\n" % tuple(option.replace("DIR", where).split("=", 1))


def make_files(where):
    open(where + "/actions", "w").write("permit_mynetworks\nnosuch\n")


def free_ports():
    return {name: pombal.free_port() for name in SERVICES}


@pytest.fixture(scope="module")
def both():
    ports = [free_ports(), None]
    ours, theirs = pombal.Instance(start=False), None
    try:
        make_files(ours.dir)
        ours.add_main(COMMON + "smtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        ours.add_master("".join("%s unix - - n - - %s\n" % agent for agent in RECEIVING_AGENTS.items()))
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(service_lines(ports[0], ours.dir)))
        ours.start()
        theirs, ports[1] = started(lambda p: RealPostfix(COMMON, agents=RECEIVING_AGENTS, prepare=make_files,
                                                         master=lambda where: service_lines(p, where)), free_ports)
        yield (ours, ports[0]), (theirs, ports[1])
    finally:
        if theirs:
            theirs.close()
        ours.close()


def said(suite, port, dialogue):
    pombal.wait_for(lambda: pombal.answers(port))
    source = "127.8.%d.%d" % divmod(next(COUNT), 250)
    raw = pombal.Raw(port, source=source)
    replies = [raw.reply()[:3]] + [re.sub("queued as .*", "", raw.ask(command)) for command in dialogue + ["QUIT"]][1:]
    raw.close()
    log = pombal.wait_for(lambda: "disconnect from unknown[%s]" % source in (text := suite.log()) and text)
    lines = re.findall(r": \w+: ((?:permit|reject|reject_warning|discard): \w+ from unknown\[%s\]: .*)" % re.escape(source), log)
    # Postfix shows the addresses that lists are about without quotes
    return [[text.replace(source, "SOURCE").replace(suite.dir, "DIR").replace('"', "") for text in texts] for texts in (replies, lines)]


@pytest.mark.parametrize("dialogue", DIALOGUES)
@pytest.mark.parametrize("service", SERVICES)
def test_permit(both, service, dialogue):
    if service == "deferred" and "DATA" in DIALOGUES[dialogue]:
        pytest.skip("no message is taken there")
    got, want = [said(suite, ports[service], DIALOGUES[dialogue]) for suite, ports in both]
    assert got == want
    assert service in ("off", "dunno", "deferred", "naked") or "permit: " in "".join(want[1])
