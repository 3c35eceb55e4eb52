"""VERP beside Postfix: a sender for each recipient, asked for with XVERP or sendmail -XV; its reports; and queues that change hands."""
import os, re, smtplib, threading

import pytest

import pombal
from agents import Agent, MiniSuite
from pombal import wait_for
from real_postfix import HAVE, RECEIVING, RealPostfix, SendingPostfix, Sink as TakesAll, merge, smtpd_lines, started
from sink import Sink
from test_bounce import parts_of
from test_queue import files, postcats_agree
from test_smtp import answers, play

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

MAIN = merge(RECEIVING, """
myhostname = real.test
mydestination =
default_transport = smtp:[127.0.0.1]:%d
relay_transport = $default_transport
mynetworks = 127.0.0.0/8
virtual_alias_maps = inline:{ { team@far.test = one@far.test, two@far.test } }
smtp_tls_security_level = none
smtp_host_lookup = native
smtp_dns_support_level = disabled
""")
VERP = "smtpd_authorized_verp_clients=127.0.0.0/8"
SERVICES = {"plain": [], "verp": [VERP], "old": ["authorized_verp_clients=127.0.0.1"], "others": ["smtpd_authorized_verp_clients=!127.0.0.1, 127.0.0.0/8"],
            "minus": [VERP, "default_verp_delimiters=-+"], "filter": [VERP, "verp_delimiter_filter=._", "default_verp_delimiters=._"]}
LIST = "MAIL FROM:<list@list.test> "
ROWS = [(service, ["EHLO x", LIST + params, "RSET", "MAIL FROM:<> " + params]) for service, params in [
    ("verp", "XVERP"), ("verp", "xverp=+="), ("verp", "XVERP=--"), ("verp", "XVERP="), ("verp", "XVERP=+"), ("verp", "XVERP=+=+"), ("verp", "XVERP=.."), ("verp", "XVERPX"),
    ("verp", "XVERP=+= XVERP=-="), ("verp", "XVERP SIZE=10 XVERP=."), ("plain", "XVERP"), ("plain", "XVERP=+="), ("old", "XVERP"), ("others", "XVERP"), ("minus", "XVERP"),
    ("filter", "XVERP"), ("filter", "XVERP=__"), ("filter", "XVERP=+=")]]


def free_ports():
    return {name: pombal.free_port() for name in SERVICES}


class Pairs(Sink):
    """has no bad@ and no worse@; .pairs are those of sender and recipient"""
    def __init__(self):
        self.pairs, self.sender = [], threading.local()
        super().__init__({"RCPT TO:<bad@": "550 5.1.1 no", "RCPT TO:<worse@": "550 5.1.1 no"}, ehlo=("DSN",))

    def pick(self, line):
        verb, address = re.match(r"(\w*)[^<]*(<.*?>)?", line).groups()
        if verb == "MAIL":
            self.sender.address = address
        elif verb == "RCPT":
            self.pairs.append((self.sender.address, address, " NOTIFY=NEVER" in line))
        return super().pick(line)


class World:
    """each suite with a server of its own behind it"""
    def __init__(self, more=""):
        self.sinks = [Pairs() for _ in range(2)]
        ports = free_ports()
        self.ours = pombal.Instance(start=False)
        self.both = [(self.ours, ports, self.sinks[0], self.ours.tool)]
        self.ours.add_main(MAIN % self.sinks[0].port + "smtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n" + more)
        self.ours.add_master("".join(smtpd_lines(SERVICES, ports)))
        self.ours.start()
        theirs, ports = started(lambda p: RealPostfix(MAIN % self.sinks[1].port + more, master=lambda where: smtpd_lines(SERVICES, p)), free_ports)
        self.both.append((theirs, ports, self.sinks[1], lambda name, *a, **k: theirs.run(name, *(["-C", theirs.etc] if name == "sendmail" else []), *a, **k)))
        wait_for(lambda: all(answers(one[1]["plain"]) for one in self.both))

    def close(self):
        for suite, *_ in self.both:
            suite.close()
        for sink in self.sinks:
            sink.close()


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_replies(world, row):
    service, commands = ROWS[row]
    ours, theirs = [play(ports[service], commands) for _, ports, _, _ in world.both]
    assert ours == theirs
    assert ("XVERP" in ours[1][1].replace("\n", " ").split()) == (service not in ("plain", "others"))


def by_smtp(suite, ports, to, service="verp", params="XVERP", notify=""):
    with smtplib.SMTP("127.0.0.1", ports[service], timeout=pombal.PATIENCE) as s:
        s.ehlo("x")
        assert s.docmd(LIST + params)[0] == 250
        for rcpt in to:
            assert s.docmd("RCPT TO:<%s>%s" % (rcpt, notify))[0] == 250
        s.data(b"Subject: x\r\n\r\nx\r\n")


def is_empty(suite):
    return not [f for q in ("maildrop", "incoming", "active", "deferred") for _, _, names in os.walk(suite.queue + "/" + q) for f in names]


def sent(world, send):
    """[(envelopes, reports)] of ours and theirs"""
    results = []
    for suite, ports, sink, tool in world.both:
        del sink.pairs[:], sink.messages[:]
        send(suite, ports, tool)
        wait_for(lambda: is_empty(suite))
        reports = sorted((parts_of(m) for m in sink.messages if b"multipart/report" in m), key=lambda r: (r["header"]["To"], r["fields"]))
        for report in reports:
            report["fields"] = sorted(report["fields"].strip("\n").split("\n\n"))  # deliveries end in any order
            report["original"] = [re.sub(r"id \w+;\n\t.*", "id ID; DATE", part) for part in report["original"]]
        results.append((sorted(sink.pairs), [{k: r[k] for k in ("header", "types", "fields", "original")} for r in reports]))
    return results


WAYS = {
    "each": lambda s, p, t: by_smtp(s, p, ["one@far.test", "two@far.test", '"a b"@far.test', "x+y@far.test"]),
    "delimiters": lambda s, p, t: by_smtp(s, p, ["one@far.test", "x+y@far.test"], params="XVERP=-+"),
    "default": lambda s, p, t: by_smtp(s, p, ["one@far.test"], service="minus"),
    "alias": lambda s, p, t: by_smtp(s, p, ["team@far.test"]),
    "plain": lambda s, p, t: by_smtp(s, p, ["one@far.test", "two@far.test"], params=""),
    "bad": lambda s, p, t: by_smtp(s, p, ["bad@far.test", "one@far.test"]),
    "worse": lambda s, p, t: by_smtp(s, p, ["bad@far.test", "worse@far.test"]),
    "never": lambda s, p, t: by_smtp(s, p, ["bad@far.test"], notify=" NOTIFY=NEVER"),
    "sendmail": lambda s, p, t: t("sendmail", "-XV", "-f", "list@list.test", "one@far.test", "bad@far.test", input="Subject: x\n\nx\n"),
    "sendmail_delimiters": lambda s, p, t: t("sendmail", "-XV=-", "-f", "list@list.test", "one@far.test", input="Subject: x\n\nx\n"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_goes_out_and_what_comes_back(world, way):
    (ours, our_reports), (theirs, their_reports) = sent(world, WAYS[way])
    assert ours == theirs and ours
    assert our_reports == their_reports
    assert len(our_reports) == {"bad": 1, "worse": 2, "sendmail": 1}.get(way, 0)
    if way == "bad":
        assert our_reports[0]["header"]["To"] == "list+bad=far.test@list.test"


@pytest.mark.parametrize("disabled, told", [("yes", ["list@list.test", "pm@far.test"]),
                                            ("no", ["list+bad=far.test@list.test", "list+worse=far.test@list.test", "pm@far.test", "pm@far.test"])])
def test_the_postmaster_has_a_copy_of_each_report(disabled, told):
    w = World("disable_verp_bounces = %s\nnotify_classes = bounce\nbounce_notice_recipient = pm@far.test\n" % disabled)
    try:
        (ours, our_reports), (theirs, their_reports) = sent(w, WAYS["worse"])
        assert (ours, our_reports) == (theirs, their_reports)
        assert [report["header"]["To"] for report in our_reports] == told
    finally:
        w.close()


@pytest.mark.parametrize("args", [["-XVx"], ["-XV.."], ["-XV+=+"], ["-XV", "-f", ""], ["-XV", "-f", "<>"], ["-Xfile"], ["-XV=-", "-bv", "-f", "list@list.test"]])
def test_what_sendmail_refuses(world, args):
    said = []
    for suite, _, _, tool in world.both:
        r = tool("sendmail", *args, "one@far.test", input="Subject: x\n\nx\n", check=False)
        said.append((r.returncode, re.sub(r"^\S*sendmail: ", "", r.stderr)))
        wait_for(lambda: is_empty(suite))
    assert said[0] == said[1]


def put_in(port):
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
        s.sendmail("list@list.test", ["one@far.test", "two@far.test"], "Subject: x\r\n\r\nx\r\n", ["XVERP=-="])


WANTED = {("list-one=far.test@list.test", "one@far.test"), ("list-two=far.test@list.test", "two@far.test")}
MAY = "smtpd_authorized_verp_clients = 127.0.0.1\n"


def test_postfixs_queue_is_delivered_by_ours():
    seen = set()

    def policy(d):
        seen.update((d.sender, to) for to in d.to)
        return "d" * len(d.to)

    with SendingPostfix(main=MAY) as real, MiniSuite(start=False) as s:
        real.start()
        wait_for(lambda: answers(real.port))
        put_in(real.port)
        wait_for(lambda: len(files(real.queue)) == 1)
        real.stop()
        postcats_agree(real, s, files(real.queue), ([], ["-e"]))
        s.add_main("queue_directory = %s\n" % real.queue)
        s.queue = real.queue
        with Agent(s, "fake", policy):  # its socket is there before the daemons
            s.start()
            s.tool("postqueue", "-f")
            s.wait_queue_empty()
    assert seen == WANTED


def test_our_queue_is_delivered_by_postfix():
    sink = TakesAll()
    with MiniSuite(MAY) as s, SendingPostfix(queue=s.queue, sink=sink.port) as real:
        with Agent(s, "fake", lambda d: "l" * len(d.to)):
            put_in(s.smtp_port)
            wait_for(lambda: len(files(s.queue)) == 1)
        s.stop()
        postcats_agree(real, s, files(s.queue), ([], ["-e"]))
        real.start()
        wait_for(lambda: "daemon started" in real.log())
        wait_for(lambda: real.log().count(": removed") == 1 or real.run("postqueue", "-f") is None, every=1)
        assert {(sender, rcpt) for sender, to, _ in sink.mails for rcpt in to} == WANTED
    sink.close()
