"""Milters of mail that no smtpd has taken, beside Postfix: what they are told, and what becomes of the message."""
import difflib, glob, os, re

import pytest
import milter as m
from agents import MiniSuite
from milter_content_world import mask
from pombal import wait_for
from real_postfix import HAVE, SendingPostfix, Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Debian's Postfix and root")
MACROS = ("i j _ {auth_authen} {auth_type} {client_addr} {client_name} {client_port} {client_ptr} {mail_addr} {mail_host} {rcpt_addr} "
          "{rcpt_host} {daemon_name} {daemon_addr} {daemon_port}")
MAIN = """
myhostname = mx.example.test
mydestination = example.test
non_smtpd_milters = inet:127.0.0.1:%d
internal_mail_filter_classes = bounce
milter_default_action = tempfail
default_transport = smtp:[127.0.0.1]:%d
transport_maps = inline:{gone.test=error:no}
virtual_alias_maps = inline:{alias@far.test=v1@far.test}
""" + "".join("milter_%s_macros = %s\n" % (stage, MACROS) for stage in ("connect", "helo", "mail", "rcpt", "data", "end_of_header", "end_of_data"))
# what the milter says; then the words of the log, behind a submission, that end the matter
CASES = {
    "nothing": ({}, "removed"), "edits": ({"eom": [m.add_header("X-A", "1"), m.change_sender("other@y.test"), m.drop_rcpt("one@far.test"), b"c"]}, "removed"),
    "tempfail at HELO": ({"helo": b"t"}, "milter-reject"), "refuse a recipient": ({"rcpt": b"r"}, "message not accepted, try again later"),
    "refuse another one": ({"rcpt": m.reply("450 4.7.1 later")}, "message not accepted, try again later"),
    "discard": ({"data": b"d"}, "milter-discard"), "accept": ({"mail": b"a"}, "removed"), "tempfail": ({"eom": b"t"}, "milter-reject"),
    "quarantine": ({"eom": [m.quarantine("x"), b"c"]}, "milter-hold"), "die": ({"eom": "die"}, "milter-reject"),
}


class Side:
    def __init__(self, ours):
        self.sink, self.milter, self.ours = Sink(), m.Milter(offer=None), ours
        main = MAIN % (self.milter.port, self.sink.port)
        self.server = (MiniSuite(main, master="smtp unix - - n - - smtp\nerror unix - - n - - error\n", start=False) if ours
                       else SendingPostfix(sink=self.sink.port, main=main))
        self.server.start()
        wait_for(lambda: "daemon started" in self.server.log() or ours)

    def sendmail(self, sender, *to):
        args = ("-i", "-f", sender) + to
        text = "Subject: s\nFrom: a@x.test\n\nx\n.y\n"
        return self.server.tool("sendmail", *args, input=text) if self.ours else self.server.run("sendmail", "-C", self.server.etc, *args, input=text)

    def run(self, script, until):
        self.milter.wait_idle()
        self.milter.script(**script)
        self.milter.take()
        self.sink.mails.clear()
        for path in glob.glob(self.server.queue + "/maildrop/*"):
            os.unlink(path)
        before = len(self.server.log())
        self.sendmail("s@x.test", "one@far.test", "alias@far.test")
        wait_for(lambda: until in self.server.log()[before:])
        wait_for(lambda: until != "milter-discard" or not glob.glob(self.server.queue + "/maildrop/*"))
        self.milter.wait_idle()
        packets = [p for s in self.milter.take() for p in s if p[:1] not in (b"A", b"O")]
        log = [re.sub(r"^.*? postfix/(\w+)\[\d+\]", r"\1", mask(line, None)) for line in self.server.log()[before:].splitlines()
               if re.search("milter-|configuration error|not accepted", line)]
        mails = sorted((sender, sorted(to), re.sub(r"(?m)^(Received|\s|Message-Id|Date).*\r?\n", "", text)) for sender, to, text in self.sink.mails)
        return {"seen": [show(p) for p in packets], "log": log, "mails": mails, "waits": len(glob.glob(self.server.queue + "/maildrop/*"))}

    def close(self):
        self.server.close()
        self.sink.close()
        self.milter.close()


def show(packet):
    text = mask(packet.decode("latin-1"), None)
    if packet[:1] != b"D":
        return text
    words = text[2:].split("\0")
    return text[:2] + str(sorted(w for w in zip(words[::2], words[1::2]) if w[0] != "v"))


@pytest.fixture(scope="module")
def sides():
    both = [Side(True), Side(False)]
    yield both
    for side in both:
        side.close()


@pytest.mark.parametrize("case", sorted(CASES))
def test_mail_of_local_programs(sides, case):
    ours, theirs = [side.run(*CASES[case]) for side in sides]
    for what in ours:
        print("\n".join(line[:300] for line in difflib.unified_diff([str(x) for x in flat(theirs[what])], [str(x) for x in flat(ours[what])], n=0, lineterm="")))
    assert ours == theirs


def flat(value):
    return value if isinstance(value, list) else [value]


def test_delivery_reports_are_shown_if_main_cf_says_so(sides):
    """what is added to them, and the envelope that the milter is told"""
    got = []
    for side in sides:
        side.milter.wait_idle()
        for path in glob.glob(side.server.queue + "/maildrop/*"):
            os.unlink(path)
        side.milter.script(eom=[m.add_header("X-Seen", "1"), b"c"])
        side.milter.take()
        side.sink.mails.clear()
        side.sendmail("s@far.test", "nobody@gone.test")
        wait_for(lambda: any(not sender for sender, *_ in side.sink.mails))
        side.milter.wait_idle()
        report = [s for s in side.milter.take() if b"M\0" in s][0]
        mail = [text for sender, to, text in side.sink.mails if not sender and to == ["s@far.test"]][0]
        got.append(([show(p) for p in report if p[:1] in (b"C", b"H", b"M", b"R", b"T") or p[:4] == b"LRec"], "X-Seen: 1\r\n" in mail))
    assert got[0] == got[1]
    assert got[0][1]
