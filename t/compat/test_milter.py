"""Milters up to DATA, beside Postfix: for every event, action and default action the same replies, log lines and packets."""
import itertools, struct

import pytest

import milter
from milter import ACCEPT, DIE, DISCARD, GO_ON, HANG, PROGRESS, REJECT, RESET, SHUTDOWN, SKIP_REST, TEMPFAIL, Raw, reply
from milter_world import both_sides
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

MAIN = """
local_recipient_maps = inline:{ alice=x bob=x }
mynetworks = 10.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{ bob@example.test=REJECT }
smtpd_hard_error_limit = 100
smtpd_junk_command_limit = 100
disable_vrfy_command = no
milter_default_action = tempfail
"""
ALL_MACROS = ("j _ v i {i} {auth_type} {auth_authen} {auth_author} {client_addr} {client_name} {client_port} {client_ptr} {client_resolve} "
              "{client_connections} {daemon_addr} {daemon_name} {daemon_port} {mail_addr} {mail_host} {mail_mailer} {rcpt_addr} {rcpt_host} "
              "{rcpt_mailer} {tls_version} {cipher} {nothing}, {given} given2 {other}")
STAGES = "connect helo mail rcpt data end_of_header end_of_data unknown_command".split()
DEFAULTS = ["accept", "reject", "tempfail", "quarantine"]


def services(one, two):
    every = ["milter_%s_macros = %s" % (stage, ALL_MACROS) for stage in STAGES]
    found = {"plain": ["smtpd_milters = " + one], "two": ["smtpd_milters = %s, %s" % (one, two)],
             "macros": ["smtpd_milters = " + one, "milter_macro_daemon_name = ORIGINATING"] + every +
                       ["milter_macro_defaults = given=a,{given2 = b c},{other}=d"],
             "disabled": ["smtpd_milters = " + one, "smtpd_milter_maps = inline:{127.0.9=disABLE}"],
             "replaced": ["smtpd_milters = " + one, "smtpd_milter_maps = cidr:{{127.0.0.0/8 %s}}" % two],
             "early": ["smtpd_milters = " + one, "smtpd_delay_reject = no", "smtpd_helo_restrictions = reject",
                       "smtpd_sender_restrictions = check_sender_access inline:{ gone@x.test=DISCARD }"],
             "closed": ["smtpd_milters = " + one, "smtpd_delay_reject = no", "smtpd_client_restrictions = reject"],
             "nobody": ["smtpd_milters = inet:127.0.0.1:1"]}
    for version in (2, 3, 4, 6):
        found["v%d" % version] = ["smtpd_milters = { %s, protocol=%d }" % (one, version)]
    for action in DEFAULTS:
        found[action] = ["smtpd_milters = { %s, default_action=%s, command_timeout=1, { connect_timeout = 1s } }" % (one, action)]
    return found


@pytest.fixture(scope="module")
def both():
    yield from both_sides(MAIN, services, 2)


sources = ("127.0.%d.%d" % (10 + n // 250, 1 + n % 250) for n in itertools.count())
MESSAGE = "Subject: s\r\n\r\nbody\r\n."
SESSION = ["HELO c", "FOO bar", "NOOP", "VRFY alice", "MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>", "RCPT TO:<no@example.test>",
           "RCPT TO:<bob@example.test>", "RCPT TO:<postmaster>", "DATA"]
# no command follows where content might be expected
FULL = SESSION + [MESSAGE, "MAIL FROM:<b@x.test>", "RCPT TO:<alice@example.test>", "RSET", "QUIT"]


def compare(both, service, commands, script={}, other={}, offer=None, symlists={}):
    """the differences, in words"""
    source, seen = next(sources), []
    for side in both:
        for one, answers in zip(side.filters, (script, other)):
            one.script(**answers)
            one.offer, one.symlists = offer, symlists
        seen.append(side.play(service, commands, source))
    wrong = []
    for what, ours, theirs in zip(("replies", "log", "packets"), *seen):
        if ours != theirs:
            wrong.append("%s\n  ours   %s\n  theirs %s" % ((what,) + first_difference(ours, theirs)))
    return seen[0], wrong


def first_difference(ours, theirs):
    """of lists within lists"""
    for a, b in itertools.zip_longest(ours, theirs):
        if a != b:
            deeper = isinstance(a, (list, tuple)) and isinstance(b, (list, tuple))
            return first_difference(a, b) if deeper else (a, b)


ACTIONS = {"accept": ACCEPT, "reject": REJECT, "tempfail": TEMPFAIL, "discard": DISCARD, "shutdown": SHUTDOWN, "550": reply("550 5.7.1 no way"),
           "lines": reply("450-4.7.1 one\r\n450 4.7.1 two"), "421": reply("421 4.7.1 bye"), "no status": reply("554 text only"), "skip": SKIP_REST,
           "progress": [PROGRESS, GO_ON], "percent": reply("550 5.7.1 100%% sure")}
EVENTS = ["connect", "helo", "mail", "rcpt", "data", "unknown"]


def until_refused(event, action):
    """where DATA is refused, no content follows"""
    return FULL if event != "data" or action in ("accept", "discard", "skip", "progress") else SESSION + ["RSET", "QUIT"]


@pytest.mark.parametrize("event", EVENTS)
def test_every_action_at_every_event(both, event):
    wrong = []
    for name, action in ACTIONS.items():
        if event == "unknown" and name in ("accept", "discard"):
            continue  # Postfix's smtpd ends with a panic
        wrong += [event + " " + name + " " + w for w in compare(both, "plain", until_refused(event, name), {event: action})[1]]
    assert not wrong, "\n".join(wrong)


LIES = {"dies": DIE, "resets": RESET, "unknown word": b"Z", "rest": b"cxx", "edit": milter.add_header("a", "b"), "empty packet": Raw(b"\0\0\0\0"),
        "half a packet": Raw(b"\0\0\0\x09c", dies=True), "negotiates": b"O" + bytes(12)}
NONSENSE = {"bad code": reply("250 ok"), "no code": reply("foo bar"), "no text": reply("550"), "other status": reply("550 4.7.1 x"), "empty": reply("")}
# Postfix's own words for these end in ours, or say less
WORDS_DIFFER = {"unknown word", "rest", "edit", "empty packet", "half a packet", "negotiates"}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("default", DEFAULTS)
def test_a_milter_that_dies_or_lies_leaves_its_default_action(both, event, default):
    wrong = []
    for name, lie in LIES.items():
        if event == "connect" and name == "resets":
            continue  # the reset may be seen while connecting
        commands = FULL if event != "data" or default in ("accept", "quarantine") else SESSION + ["RSET", "QUIT"]
        (_, log, _), found = compare(both, default, commands, {event: lie})
        if name in WORDS_DIFFER:
            found = [w for w in found if not w.startswith("log")]
        assert any("milter NAME" in line for line in log), (event, name, log)
        wrong += ["%s %s %s" % (event, name, w) for w in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("default", DEFAULTS)
def test_a_malformed_reply_is_answered_with_451_where_the_default_refuses(both, default):
    wrong = []
    for event, name in [("connect", "no code"), ("mail", "no text"), ("rcpt", "empty"), ("mail", "bad code"), ("data", "other status")]:
        passes = event != "data" or default in ("accept", "quarantine")
        (said, _, _), found = compare(both, default, FULL if passes else SESSION + ["RSET", "QUIT"], {event: NONSENSE[name]})
        assert any(line.startswith("451 4.3.5") for line in said) == (default in ("reject", "tempfail")), said
        wrong += ["%s %s %s" % (event, name, w) for w in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("event", ["negotiate", "connect", "mail", "data"])
def test_a_milter_that_hangs_leaves_its_default_action_in_its_time(both, event):
    milter.EVENTS.setdefault("negotiate", b"O")
    for default in ("tempfail",):
        commands = FULL if event != "data" or default == "accept" else SESSION + ["RSET", "QUIT"]
        _, wrong = compare(both, default, commands, {event: HANG})
        wrong = [w for w in wrong if event != "negotiate" or not w.startswith("log")]
        assert not wrong, "\n".join(wrong)


def offers():
    terms = lambda v, a, p, more=b"": b"O" + struct.pack(">III", v, a, p) + more  # noqa: E731
    return {"too new": terms(7, 0x1ff, 0), "too much": terms(6, 0x3ff, 0), "unknown flags": terms(6, 0x1ff, 0x200000), "short": b"O\0\0\0\6",
            "half a list": terms(6, 0x1ff, 0, b"\0"), "no answer to it": b"c", "lists": terms(6, 0x1ff, 0, b"\0\0\0\3{rcpt_addr} v\0\0\0\0\0j\0"),
            "empty list": terms(6, 0x1ff, 0, b"\0\0\0\3\0"), "unknown list": terms(6, 0x1ff, 0, b"\0\0\0\x09v\0"),
            "nothing wanted": terms(6, 0x1ff, 0x7f | 0x300), "no events of the envelope": terms(6, 0x1ff, 0xf | 0x300),
            "old": terms(2, 0x3f, 0x7f), "three": terms(3, 0x3f, 0), "four": terms(4, 0x3f, 0)}


def test_every_answer_to_the_negotiation(both):
    milter.EVENTS.setdefault("negotiate", b"O")
    wrong = []
    for name, answer in offers().items():
        found = compare(both, "plain", FULL, {"negotiate": answer})[1]
        wrong += [name + " " + w for w in found if not (w.startswith("log") and name in ("short", "half a list", "unknown list"))]
    assert not wrong, "\n".join(wrong)


def test_every_flag_of_the_negotiation(both):
    silent = (milter.NR_CONN | milter.NR_HELO | milter.NR_MAIL | milter.NR_RCPT | milter.NR_DATA | milter.NR_UNKNOWN | milter.NR_HDR |
              milter.NR_EOH | milter.NR_BODY)
    wrong = []
    for flag in [1 << bit for bit in range(21)] + [silent, silent | milter.RCPT_REJECTED]:
        wrong += ["%#x %s" % (flag, w) for w in compare(both, "plain", FULL, offer=(6, 0x1ff, flag))[1]]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("version", [2, 3, 4, 6])
def test_older_versions_see_what_they_know(both, version):
    _, wrong = compare(both, "v%d" % version, FULL)
    assert not wrong, "\n".join(wrong)


def test_macros_have_the_same_values(both):
    commands = ["FOO", "HELO a", "MAIL FROM:<Al.Ice@X.test> SIZE=100", "RCPT TO:<x@example.test>", "RCPT TO:<alice@example.test>", "RCPT TO:<ALICE+ext@example.test>",
                "BAR", "DATA", MESSAGE, "MAIL FROM:<>", "RCPT TO:<postmaster>", "RSET", "QUIT"]
    (_, _, packets), wrong = compare(both, "macros", commands, offer=(6, 0x1ff, milter.RCPT_REJECTED))
    assert not wrong, "\n".join(wrong)
    sent = {name for packet in packets[0][0] if isinstance(packet, tuple) and packet[0][:1] == b"D" for name, _ in packet[1]}
    assert {b"{given}", b"given2", b"{other}", b"{daemon_name}", b"{mail_host}", b"{rcpt_mailer}"} <= sent and b"{nothing}" not in sent


def test_arguments_are_sent_as_the_client_wrote_them(both):
    commands = ["EHLO a.b", "MAIL FROM:a@x.test size=1 body=8BITMIME", "RCPT TO:alice@example.test NOTIFY=NEVER   ORCPT=rfc822;x@y", "RSET",
                "MAIL FROM: <\"a b\"@x.test>   SIZE=1 ", "RCPT TO:<> ", "RCPT TO:<alice@example.test> FOO=x", "RCPT TO: <Alice@example.test>", "HELO again",
                "MAIL FROM:<@r.test:b@x.test>", "RCPT TO:<@r.test:alice@example.test>", "EHLO x", "RSET", "rset", "vrfy", "xyz", "QUIT"]
    _, wrong = compare(both, "plain", commands)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("event", EVENTS)
def test_the_first_that_refuses_decides(both, event):
    wrong = []
    for one, two in ((REJECT, TEMPFAIL), (GO_ON, REJECT), (ACCEPT, reply("550 5.7.1 two")), (DIE, REJECT)):
        if event == "unknown" and one == ACCEPT:
            continue
        wrong += compare(both, "two", SESSION[:-1] + ["RSET", "QUIT"], {event: one}, {event: two})[1]
    assert not wrong, "\n".join(wrong)


def test_a_table_names_other_milters_or_none(both):
    for service, source_matters in (("disabled", True), ("replaced", False), ("plain", False)):
        (_, _, packets), wrong = compare(both, service, FULL)
        assert not wrong, "\n".join(wrong)
        if service == "replaced":
            assert not packets[0] and packets[1]


def test_what_restrictions_refuse_filters_do_not_see(both):
    for service in ("early", "closed"):
        (_, _, packets), wrong = compare(both, service, ["EHLO c", "MAIL FROM:<a@x.test>", "RSET", "MAIL FROM:<gone@x.test>", "RCPT TO:<alice@example.test>", "QUIT"])
        assert not [w for w in wrong if w.startswith("packets")], "\n".join(wrong)


def test_a_milter_that_is_not_there(both):
    _, wrong = compare(both, "nobody", FULL)
    assert not wrong, "\n".join(wrong)


def test_enough_of_a_message_is_not_enough_of_the_session(both):
    """the next message is judged by the new name"""
    (_, _, packets), wrong = compare(both, "plain", ["EHLO good.test", "MAIL FROM:<a@x.test>", "EHLO evil.test", "MAIL FROM:<>", "QUIT"], {"mail": ACCEPT})
    assert not wrong, "\n".join(wrong)
    assert b"Hevil.test\0" in packets[0][0]


def test_filters_are_told_of_no_vrfy(both):
    commands = ["HELO c", "MAIL FROM:<a@x.test>", "VRFY alice@example.test", "VRFY bob@example.test", "RCPT TO:<alice@example.test>", "RSET", "QUIT"]
    for script in ({}, {"rcpt": reply("550 5.7.9 no")}):
        _, wrong = compare(both, "plain", commands, script, offer=(6, 0x1ff, milter.RCPT_REJECTED))
        assert not wrong, "\n".join(wrong)
