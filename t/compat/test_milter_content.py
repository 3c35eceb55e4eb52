"""What milters see of a message, and may do to it: beside Postfix the delivered message and envelope, the reply, the log, and each packet that a
milter was sent."""
import difflib, re

import pytest
import milter as m
from milter_content_world import Side, mask, own_received, seen
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Debian's Postfix and root")

HEADER = (b"Received: from a by b\r\nSubject: s\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Fold: a\r\n\tb\r\n c\r\nX-Tight:v\r\nX-Wide:   v\r\n"
          b"X-Empty:\r\nFrom: a@x.test\r\nTo: b@x.test\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-Id: <1@x>\r\n")
PLAIN = HEADER + b"\r\nfirst\r\n.dot\r\n\r\nlast\r\n"
GO_ON = [b"c"]


def change(index, name, value):
    return [m.change_header(index, name, value)]


def add(name, value):
    return [m.add_header(name, value)]


# what the first milter answers at the end of the message, and what the second one
EDITS = {
    "nothing": ([], []),
    "insert above all": ([m.insert_header(0, "X-Top", "1")], []),
    "then the Received field below ours is the first": ([m.insert_header(0, "X-Top", "1")], change(1, "Received", "changed")),
    "ours is no second one": ([m.insert_header(0, "X-Top", "1")] + change(2, "Received", "changed"), []),
    "a Received field above ours is the first": ([m.insert_header(0, "Received", "mine")] + change(1, "Received", "changed"), []),
    "insert below ours": ([m.insert_header(1, "Received", "mine")], []),
    "insert third": ([m.insert_header(2, "X-Third", "1")], []),
    "insert far below": ([m.insert_header(99, "X-Far", "1")], []),
    "change the first Received field": (change(1, "Received", "changed"), []),
    "number 0 is number 1": (change(0, "Received", "changed"), change(0, "Subject", "changed")),
    "a second Received field is added": (change(2, "Received", "changed"), []),
    "change the second": (change(2, "X-Twice", "changed"), []),
    "change a third that is not there": (change(3, "X-Twice", "changed"), []),
    "names have no case": (change(1, "SUBJECT", "changed"), []),
    "remove": (change(1, "X-Twice", ""), []),
    "remove both": (change(1, "X-Twice", "") + change(1, "X-Twice", ""), []),
    "remove what is not there": (change(1, "X-None", ""), []),
    "remove a folded one": (change(1, "X-Fold", ""), []),
    "remove all Received fields but ours": (change(1, "Received", ""), change(1, "Received", "")),
    "add a folded one": (add("X-A", "a\n\tb\n c\nd"), []),
    "add with CR LF": (add("X-A", "a\r\n\tb\r\n c"), []),
    "add one that ends in LF": (add("X-A", "a\n"), []),
    "an empty line ends no header": (add("X-A", "a\n\nb"), []),
    "add with a bare CR": (add("X-A", "a\rb"), []),
    "add 8 bit": ([b"hX-A\0\xc3\xa9\0"], []),
    "add with blanks in front": (add("X-A", "  a"), []),
    "add an empty one": (add("X-A", ""), []),
    "add a long one": (add("X-A", "l" * 5000), []),
    "add a very long one": (add("X-A", "l" * 200000), []),
    "a name with a blank": (add("X A", "1"), []),
    "a name with a colon": (add("X:A", "1"), []),
    "no name": (add("", "1"), []),
    "a name with LF": (add("X-A\nX-B", "1"), []),
    "both add": (add("X-A", "1"), add("X-B", "2")),
    "add, change, change, add": (add("X-A", "1") + change(1, "X-A", "2"), change(1, "X-A", "3") + add("X-A", "4")),
    "add and remove": (add("X-A", "1") + change(1, "X-A", ""), add("X-B", "2")),
    "many": ([m.insert_header(i % 7, "X-%d" % i, "v") for i in range(100)], change(1, "X-50", "w") + change(1, "X-51", "")),
    "body": ([m.replace_body("new\r\nbody\r\n")], []),
    "body with LF": ([m.replace_body("new\n.body\n")], []),
    "body without an end of line": ([m.replace_body("new\r\nbody")], []),
    "body in pieces": ([m.replace_body(p) for p in ("ne", "w\r", "\nb", "\r\n.\r\nx\r\n")], []),
    "body and then something else": ([m.replace_body("one\r\n")] + add("X-A", "1"), []),
    "body, something, body": ([m.replace_body("one\r\n")] + add("X-A", "1") + [m.replace_body("two\r\n")], []),
    "both replace the body": ([m.replace_body("one\r\n")], [m.replace_body("two\r\n")]),
    "empty body": ([m.replace_body("")], []),
    "body with a bare CR": ([m.replace_body("a\rb\r\n")], []),
    "large body": ([m.replace_body("line %s\r\n" % ("x" * 90) * 600), m.replace_body("more\r\n" * 10000)], []),
    "body of a long line": ([m.replace_body("y" * 20000 + "\r\n")], []),
    "body with CR and LF of a full record in two pieces": ([m.replace_body("x" * 2047 + "\r"), m.replace_body("\nnext\r\n")], []),
    "body with CR behind a full record": ([m.replace_body("x" * 2048 + "\r"), m.replace_body("\nnext\r\n")], []),
    "8 bit body": ([b"b\xc3\xa9\r\n"], []),
    "sender": ([m.change_sender("other@x.test")], []),
    "sender with a copy": ([m.change_sender("boss@x.test")], [m.change_sender("boss@x.test")]),
    "null sender": ([b"e<>\0"], []),
    "sender without <>": ([b"eother@x.test\0"], []),
    "quoted sender": ([b'e<"a b"@x.test>\0'], []),
    "sender again and again": ([m.change_sender("o1@x.test"), m.change_sender("o2@x.test")], [m.change_sender("o3@x.test")]),
    "sender with words behind it": ([b"e<a@b.test> foo\0"], []),
    "sender with arguments": ([m.change_sender("other@x.test", "RET=HDRS ENVID=abc SIZE=100")], []),
    "recipient": ([m.add_rcpt("new@far.test")], []),
    "recipient without <>": ([b"+new@far.test\0"], []),
    "no recipient": ([b"+<>\0"], []),
    "recipient that is an alias": ([m.add_rcpt("alias@far.test")], []),
    "recipient with a canonical form": ([m.add_rcpt("canonical@far.test")], []),
    "recipient with arguments": ([m.add_rcpt_args("new@far.test", "NOTIFY=NEVER ORCPT=rfc822;x@y.test")], []),
    "recipient with wrong arguments": ([m.add_rcpt_args("new@far.test", "NOTIFY=WHAT ORCPT=x FOO=bar")], []),
    "drop": ([m.drop_rcpt("one@far.test")], []),
    "drop in other letters": ([m.drop_rcpt("ONE@far.test")], []),
    "drop who is not there": ([m.drop_rcpt("none@far.test")], []),
    "drop an alias": ([m.drop_rcpt("expanded@far.test")], []),
    "drop what an alias became": ([m.drop_rcpt("e1@far.test")], []),
    "drop and add": ([m.drop_rcpt("one@far.test"), m.add_rcpt("one@far.test")], []),
    "drop all": ([m.drop_rcpt("one@far.test"), m.drop_rcpt("expanded@far.test")], []),
    "add and drop": ([m.add_rcpt("new@far.test")], [m.drop_rcpt("new@far.test")]),
    "quarantine": ([m.quarantine("bad")], []),
    "quarantine without a reason": ([m.quarantine("")], []),
    "progress": ([m.PROGRESS] + add("X-A", "1") + [m.PROGRESS], []),
    "all at once": ([m.insert_header(0, "X-Top", "1")] + change(1, "Subject", "other") + change(1, "X-Fold", "") + add("X-A", "1") +
                    [m.change_sender("other@x.test"), m.add_rcpt("new@far.test"), m.drop_rcpt("one@far.test"), m.replace_body("new\r\n")],
                    change(1, "X-A", "2") + [m.drop_rcpt("new@far.test"), m.change_sender("third@x.test"), m.replace_body("newer\r\n")]),
    "check: warn": (add("X-Warn", "1"), []),
    "check: ignore": (add("X-Ignore", "1") + add("X-Next", "1"), []),
    "check: reject": (add("X-Reject", "1"), []),
    "check: reject later": (add("X-Later", "1"), []),
    "check: hold": (add("X-Hold", "1"), []),
    "check: discard": (add("X-Discard", "1"), []),
    "check: redirect": (add("X-Redirect", "1"), []),
    "check: bcc": (add("X-Bcc-Me", "1"), []),
    "check: replace": (add("X-Replace", "1"), []),
    "check: prepend": (add("X-Prepend", "1"), []),
    "check: insert": ([m.insert_header(1, "X-Reject", "1")], []),
    "check: change, reject": (change(1, "Subject", "reject me"), []),
    "check: change, ignore": (change(1, "Subject", "ignore me"), []),
}
# what the first milter answers instead of "go on"
ANSWERS = {
    "edit, then the second rejects": (add("X-A", "1"), b"r"), "reject": (b"r", []), "tempfail": (b"t", []), "discard": (b"d", []),
    "accept": (b"a", add("X-B", "1")), "shutdown": (b"4", []), "reply": (m.reply("550 5.7.1 no way"), []),
    "reply without an enhanced code": (m.reply("550 no way"), []), "reply later": (m.reply("451 4.7.1 later"), []),
    "reply and close": (m.reply("421 4.7.1 go"), []), "reply of two lines": (m.reply("550-5.7.1 a\r\n550 5.7.1 b"), []),
    "reply with percents": (m.reply("550 5.7.1 100%% no"), []), "no reply code for a refusal": (m.reply("250 ok"), []),
    "die": ("die", []), "edit and die": ([m.add_header("X-A", "1"), "die"], []), "edit and nonsense": ([m.add_header("X-A", "1"), b"Zxx"], []),
    "reset": ("reset", []),
}
# answers at other events
EVENTS = {
    "reject a field": {"header": b"r"}, "tempfail at the end of the header": {"eoh": b"t"}, "reject the body": {"body": b"r"},
    "discard at a field": {"header": b"d"}, "accept at a field": {"header": b"a"}, "accept at the body": {"body": b"a"},
    "reply at the body": {"body": m.reply("554 5.7.1 no")}, "skip the rest of the body": {"body": m.SKIP_REST},
    "die at a field": {"header": "die"}, "die at the end of the header": {"eoh": "die"}, "die at the body": {"body": "die"},
    "accept at DATA": {"data": b"a"}, "accept at RCPT": {"rcpt": b"c", "mail": b"a"}, "quarantine at the body": {"body": [m.quarantine("x"), b"c"]},
}
CONTENTS = {
    "no body": HEADER, "only an empty line": HEADER + b"\r\n", "nothing": b"", "no header": b"\r\nbody\r\n", "no empty line": b"Subject: s\r\nbody\r\n",
    "8 bit": b"Subject: \xc3\xa9\r\n\r\n\xe9\r\n", "one long line": b"Subject: s\r\n\r\n" + b"x" * 5000 + b"\r\n",
    "a long field": b"Subject: " + b"s" * 3000 + b"\r\n\r\nx\r\n", "folded far": b"X-Refs: a" + b"\r\n\tb" * 300 + b"\r\n\r\nx\r\n",
    "large": b"Subject: s\r\n\r\n" + b"".join(b"line %d\r\n" % i for i in range(20000)),
    "a chunk to the byte": b"Subject: s\r\n\r\n" + b"x" * 533 + b"\r\n" + b"".join(b"%062d\r\n" % i for i in range(1016)),
    "an end of line between chunks": b"Subject: s\r\n\r\n" + b"x" * 532 + b"\r\n" + b"".join(b"%062d\r\n" % i for i in range(1020)),
    "dots": b"Subject: s\r\n\r\n.\r\n..\r\n...\r\n", "a mailbox line": b"From x Tue\r\nSubject: s\r\n\r\nx\r\n", "blanks": b"Subject : s\r\nX-Tab:\tv\r\nX-Both: \tv\r\n\r\n \r\n\t\r\n",
}
OFFERS = {
    "leading space": (6, 0x1ff, m.LEADING_SPACE), "no header": (6, 0x1ff, m.NO_HDRS), "no end of the header": (6, 0x1ff, m.NO_EOH),
    "no body": (6, 0x1ff, m.NO_BODY), "silent": (6, 0x1ff, m.NR_HDR | m.NR_EOH | m.NR_BODY), "version 2": (2, 0x3f, 0),
    "nothing but the end": (6, 0x1ff, m.NO_HDRS | m.NO_EOH | m.NO_BODY), "skip": (6, 0x1ff, m.SKIP),
}
# Where we differ, and why; doc/receiving.md has it for administrators.
DIFFERENT = {
    "add with a bare CR": "Postfix passes it on; here it becomes a blank, as all of them do",
    "body with a bare CR": "the same",
    "add a very long one": "Postfix cuts it at 60,000 bytes; here it is cut at header_size_limit",
    "add with CR LF": "Postfix passes the CR on",
    "a name with a blank": "Postfix shows the next milter that the body begins there; here it is a field, as programs read it",
    "a name with LF": "the same",
    "quarantine": "Postfix does not ask the next milter; here it can still refuse the message, or change it",
    "quarantine without a reason": "the same",
    "quarantine at the body": "the same",
    "check: discard": "the same",
    "recipient with wrong arguments": "other words in the log",
    "no name": "Postfix makes a line of it that is no field; here the message is refused",
    "shutdown": "Postfix tells the client that the message was taken, and drops it",
}
WORDS = (  # of the log, that nobody looks for
    (r"Application error|lost connection|Connection reset by peer|Success", "LOST"),
    (r"\?+550 5\.7\.1 b|\?b", " b"),
    (r"unexpected filter response \(unknown filter reply\)|reply 90 is not one of the protocol", "NONSENSE"),
    (r"Milter request to add multi-sender|more than one address from a milter", "MANY"),
    (r"milter_header/body_checks prepend", "milter_header_checks prepend"),
)


@pytest.fixture(scope="module")
def sides():
    both = [Side(True), Side(False)]
    yield both
    for side in both:
        side.close()


def script(answer):
    if isinstance(answer, list) and "die" not in answer and b"Zxx" not in answer:
        answer = answer + GO_ON
    return {"eom": answer}


def log_of(side, id):
    lines = [line for line in side.server.log().splitlines() if ": %s: milter" % id in line or (id in line and "warning" in line)]
    lines = [re.sub(r"^.*? postfix/(\w+)\[\d+\]", r"\1", mask(line, id)) for line in lines]
    for pattern, word in WORDS:
        lines = [re.sub(pattern, word, line) for line in lines]
    return [line for line in lines if "ESMTP" not in line.split("proto=")[0] or "warning" not in line]


def run(side, cases):
    """of each case the reply, what the milters saw, the log, and what was delivered"""
    results = {}
    for name, (content, scripts) in cases.items():
        reply, packets = side.send(content, scripts)
        results[name] = [reply, packets]
    ids = {name: (re.search(r"queued as (\w+)", r[0]) or [None, None])[1] for name, r in results.items()}
    side.wait_done([id for id in ids.values() if id])
    log = side.server.log()
    for name, (reply, packets) in results.items():
        id = ids[name] or (re.findall(rb"i\0(\w+)\0", b"".join(packets[0])) or [b""])[-1].decode()
        mails = sorted((sender, sorted(to), own_received(text)) for sender, to, text in side.sink.mails
                       if re.search(r"\bid %s;" % id, text)) if id else []
        got = {}
        for sender, to, text in mails:
            got.setdefault((sender, mask(text, id)), []).extend(to)
        results[name] = {"reply": mask(reply, id), "seen": [seen(p, id) for p in packets], "log": log_of(side, id) if id else [],
                         "held": "%s: milter-hold" % id in log, "mails": sorted((k, sorted(v)) for k, v in got.items())}
    return results


def flat(value):
    return [line for part in value for line in flat(part)] if isinstance(value, (list, tuple)) else [str(value)]


def show(a, b):
    """the first lines in which they differ"""
    lines = [line[:300] for line in difflib.unified_diff(flat(b), flat(a), "theirs", "ours", n=0, lineterm="")]
    return "\n".join(lines[:12])


def compare(sides, cases):
    ours, theirs = [run(side, cases) for side in sides]
    different = [(name, what, ours[name][what], theirs[name][what]) for name in cases for what in ours[name]
                 if ours[name][what] != theirs[name][what] and name not in DIFFERENT]
    for name, what, a, b in different:
        print("== %s: %s\n%s" % (name, what, show(a, b)))
    names = [(name, what) for name, what, *_ in different]
    assert not names
    same = [name for name in cases if name in DIFFERENT and ours[name] == theirs[name]]
    assert not same, same
    return ours


def test_edits(sides):
    compare(sides, {name: (PLAIN, [script(a), script(b)]) for name, (a, b) in EDITS.items()})


def test_answers_at_the_end(sides):
    compare(sides, {name: (PLAIN, [script(a), script(b)]) for name, (a, b) in ANSWERS.items()})


def test_answers_at_other_events(sides):
    compare(sides, {name: (PLAIN, [answers, script(add("X-B", "2"))]) for name, answers in EVENTS.items()})


def test_what_header_checks_have_decided_milters_do_not_see(sides):
    compare(sides, {word: (b"Subject: %s\r\n\r\nx\r\n" % word.encode(), [script(add("X-A", "1")), {}])
                    for word in ("pass", "redirect", "hold", "discard", "refuse", "copy")})


def test_what_milters_see_of_any_message(sides):
    compare(sides, {name: (content, [{}, {}]) for name, content in CONTENTS.items()})


@pytest.mark.parametrize("offer", sorted(OFFERS))
def test_what_milters_negotiate_about_content(sides, offer):
    for side in sides:
        side.milters[0].offer = OFFERS[offer]
    try:
        compare(sides, {"message": (PLAIN, [script(add("X-A", "  1")), script([])]),
                        "large": (CONTENTS["large"], [{"body": m.SKIP_REST} if offer == "skip" else {}, {}])})
    finally:
        for side in sides:
            side.milters[0].offer = None
