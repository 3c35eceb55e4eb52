"""Letters to the postmaster about sessions: what happens when they cannot go, or would be too many. t/compat/test_notices.py has the rest."""
import os, re, signal

import pombal


def refused(port):
    """a session that would have a letter; how it ended"""
    raw = pombal.Raw(port)
    raw.reply()
    said = [raw.ask(c) for c in ("EHLO client.test", "FOO", "QUIT")]
    raw.close()
    return said[-1]


def test_few_sessions_wait_for_cleanup_because_of_a_letter(make_suite):
    s = make_suite(main="notify_classes = protocol\nerror_notice_recipient = alice@example.test\n")
    s.send("alice", subject="first")
    s.wait_mail("alice")
    cleanup, = s.pids("cleanup")
    os.kill(cleanup, signal.SIGSTOP)
    try:
        assert [refused(s.port("smtp")) for _ in range(9)] == ["221 2.0.0 Bye"] * 9
        s.wait_log(r"warning: postmaster notify: 5 letters wait for cleanup already: there is none about unknown\[127\.0\.0\.1\]")
    finally:
        os.kill(cleanup, signal.SIGCONT)
    letters = s.wait_mail("alice", 5, match="SMTP server: errors from unknown")
    assert all(re.search(r" In:  FOO\n Out: 500 5\.5\.2 ", m.get_payload()) for m in letters)
    assert refused(s.port("smtp"))
    s.wait_mail("alice", 6, match="SMTP server: errors from unknown")


def test_a_long_session_has_a_letter_before_its_end_and_forgets(make_suite):
    s = make_suite(main="notify_classes = protocol\nerror_notice_recipient = alice@example.test\nsmtpd_history_flush_threshold = 10\n")
    raw = pombal.Raw(s.port("smtp"))
    raw.reply()
    for command in ["EHLO client.test", "FOO first"] + ["NOOP"] * 10 + ["RSET"]:
        raw.ask(command)
    first, = s.wait_mail("alice", match="errors from")
    assert "In:  FOO first" in first.get_payload()
    for command in ["BAR second", "QUIT"]:
        raw.ask(command)
    raw.close()
    text = s.wait_mail("alice", 2, match="errors from")[1].get_payload()
    assert "In:  BAR second" in text and "FOO" not in text
