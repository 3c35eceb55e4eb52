"""Mail with SMTPUTF8 beside Postfix: who sends it with the parameter, who returns it and how the report looks, what the queue file says."""
import re

import pytest

import pombal
from real_postfix import HAVE, SendingPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

MAIN = "smtp_tls_security_level = none\ninet_protocols = ipv4\ntransport_maps = texthash:$config_directory/transport\n" \
       "virtual_alias_maps = inline:{ { list@real.test = a@old.test, josé@new.test } }\nmyhostname = real.test\nmydomain = real.test\n" \
       "mydestination = real.test\nlocal_recipient_maps =\nalias_maps =\nsmtpd_relay_restrictions = permit_mynetworks, reject\n" \
       "mynetworks = 127.0.0.0/8\nremote_header_rewrite_domain =\n"
SINKS = {"old": ("8BITMIME",), "new": ("8BITMIME", "SMTPUTF8"), "seven": (), "bücher": ("8BITMIME", "SMTPUTF8"), "back": ("8BITMIME", "SMTPUTF8"), "oldback": ("8BITMIME",), "no": ("8BITMIME", "SMTPUTF8")}
ASCII, UTF8 = "Subject: x\r\n\r\nx\r\n", "Subject: é\r\n\r\né\r\n"
# name: (parameters of MAIL, sender's domain, local part of sender, recipient, content)
CASES = {
    "plain_to_old": ("", "back", "s", "a@old.test", ASCII),
    "header_to_old": ("BODY=8BITMIME", "back", "s", "a@old.test", UTF8),
    "rcpt_to_old": ("", "back", "s", "é@old.test", ASCII),
    "sender_to_new": ("", "back", "é", "a@new.test", ASCII),
    "asked_to_old": ("SMTPUTF8", "back", "s", "a@old.test", ASCII),
    "asked_to_new": ("SMTPUTF8", "back", "s", "a@new.test", ASCII),
    "asked_header_to_old": ("SMTPUTF8 BODY=8BITMIME", "back", "s", "a@old.test", UTF8),
    "asked_header_to_new": ("SMTPUTF8 BODY=8BITMIME", "back", "s", "a@new.test", UTF8),
    "asked_header_to_seven": ("SMTPUTF8 BODY=8BITMIME", "back", "s", "a@seven.test", UTF8),
    "asked_sender_to_old": ("SMTPUTF8", "back", "é", "a@old.test", ASCII),
    "asked_rcpt_to_old": ("SMTPUTF8", "back", "s", "é@old.test", ASCII),
    "asked_rcpt_to_new": ("SMTPUTF8", "back", "s", "é@new.test", ASCII),
    "asked_domain": ("SMTPUTF8", "back", "s", "a@bücher.test", ASCII),
    "asked_headers_only": ("SMTPUTF8 BODY=8BITMIME RET=HDRS", "back", "s", "a@old.test", UTF8),
    "refused": ("", "back", "s", "a@no.test", ASCII),
    "asked_refused": ("SMTPUTF8", "back", "s", "a@no.test", ASCII),
    "asked_rcpt_refused": ("SMTPUTF8 RET=FULL", "back", "s", "é@no.test", ASCII),
    "report_to_old": ("SMTPUTF8", "oldback", "é", "a@old.test", ASCII),
    "alias": ("SMTPUTF8 BODY=8BITMIME", "back", "s", "list@real.test", ASCII),
}


class Side:
    def __init__(self):
        self.sinks = {name: Sink(ehlo=words, replies={"RCPT": "550 5.1.1 no"} if name == "no" else {}) for name, words in SINKS.items()}
        self.transport = "".join("%s.test smtp:[127.0.0.1]:%d\n" % (name, s.port) for name, s in self.sinks.items())

    def close(self):
        for s in self.sinks.values():
            s.close()


def send(port, name):
    params, domain, local, rcpt, content = CASES[name]
    raw = pombal.Raw(port)
    raw.reply()
    raw.ask("EHLO client.test")
    said = [raw.ask("MAIL FROM:<%s-%s@%s.test> %s" % (local, name, domain, params)), raw.ask("RCPT TO:<%s>" % rcpt), raw.ask("DATA")]
    raw.send(("From: <a@b.test>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@b.test>\r\n" % name + content + ".\r\n").encode())
    said.append(raw.reply())
    assert [s[:3] for s in said] == ["250", "250", "354", "250"], said
    return said[3].split()[-1]


def ends(log, id):
    return "%s: removed" % id in log


def lines(log, id):
    """how each delivery ended, and the report"""
    found = re.findall(r"%s: to=<(.*?)>.* (dsn=.*)" % id, log)
    report = re.findall(r"%s: sender non-delivery notification: (\w+)" % id, log)
    return sorted((to, re.sub(r"(queued as )\w+|\]:\d+", r"\1", how)) for to, how in found), report


@pytest.fixture(scope="module")
def sides():
    ours, theirs = Side(), Side()
    suite = pombal.Instance(start=False, main=MAIN)
    suite.write("etc/transport", ours.transport)
    suite.start()
    with SendingPostfix(main=MAIN + "smtp_host_lookup = native\nsmtp_dns_support_level = disabled\n") as real:
        with open(real.etc + "/transport", "w") as f:
            f.write(theirs.transport)
        real.start()
        results = {}
        for which, log, port in (("ours", suite.log, suite.port("smtp")), ("theirs", real.log, real.port)):
            pombal.wait_for(lambda: pombal.answers(port))
            ids = {name: send(port, name) for name in CASES}
            pombal.wait_for(lambda: all(ends(log(), id) for id in ids.values()))
            reports = sum([lines(log(), id)[1] for id in ids.values()], [])
            pombal.wait_for(lambda: all(ends(log(), id) for id in reports))
            results[which] = {name: lines(log(), id) for name, id in ids.items()}, {r: lines(log(), r) for r in reports}
        yield suite, ours, theirs, results
    suite.close()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("name", CASES)
def test_it_ends_the_same(sides, name):
    _, _, _, results = sides
    (ours, our_reports), (theirs, their_reports) = results["ours"], results["theirs"]
    assert ours[name][0] == theirs[name][0]
    assert [our_reports[id][0] for id in ours[name][1]] == [their_reports[id][0] for id in theirs[name][1]]


@pytest.mark.parametrize("name", CASES)
def test_mail_is_said_the_same(sides, name):
    _, ours, theirs, _ = sides
    said = [sorted(re.sub(r" SIZE=\d+", "", c) for s in side.sinks.values() for c in s.commands if c.startswith("MAIL FROM") and "-%s@" % name in c)
            for side in (ours, theirs)]
    if name in EIGHT_BIT:
        said[0] = [command.replace(" BODY=8BITMIME", "") for command in said[0]]
    assert said[0] == said[1]


# Ours sees itself that the trace field has 8-bit text, with the recipient's address.
EIGHT_BIT = ("rcpt_to_old", "asked_rcpt_to_new", "asked_domain", "asked_rcpt_refused")


def report_shape(side, name):
    """header fields of the parts, and types of addresses, in the report of a case"""
    for s in side.sinks.values():
        for m in s.messages:
            text = m.decode("utf-8", "replace")
            if "Message-ID: <%s@b.test>" % name in text and "multipart/report" in text:
                return [line for line in text.split("\n") if re.match(r"Content-(Type|Transfer-Encoding|Description)|X-.*-Sender|(Final|Original)-Recipient|\treport-type", line)]
    return None


@pytest.mark.parametrize("name", [name for name in CASES if "to_old" in name or "only" in name or "seven" in name or "refused" in name])
def test_the_report_has_the_same_shape(sides, name):
    _, ours, theirs, _ = sides
    got, want = [report_shape(side, name) for side in (ours, theirs)]
    assert (got is None) == (want is None)
    if "sender" in name: # Postfix has a backslash before each byte of it
        got, want = [[line for line in part if "-Sender: " not in line] for part in (got, want)]
    assert got is None or [re.sub(r'boundary=.*', "", line).replace("Pombal", "Postfix") for line in got] == [re.sub(r'boundary=.*', "", line) for line in want]
