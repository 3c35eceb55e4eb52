"""postscreen beside Postfix's: what each client reads, and each line that is logged of it."""
import pytest

from dns_world import TOOLS, result_of
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE or not TOOLS, reason="needs root, Debian's postfix, knot and iproute2")


@pytest.fixture(scope="module")
def results():
    return {what: (ours, theirs) for what, ours, theirs in result_of("postscreen_world.py")}


def test_clients_read_the_same_and_the_log_says_the_same(results):
    wrong = ["%s\n   ours   %s\n   theirs %s" % (what, ours, theirs) for what, (ours, theirs) in results.items() if ours != theirs]
    assert not wrong, "\n".join([""] + wrong)


@pytest.mark.parametrize("words", [
    "PASS NEW", "PASS OLD", "PREGREET", "HANGUP after", "before SMTP handshake", "after SMTP handshake", "DENYLISTED", "ALLOWLISTED", "BLACKLISTED", "WHITELISTED",
    "ALLOWLIST VETO", "DNSBL rank", "listed by domain", "COMMAND PIPELINING", "BARE NEWLINE", "NON-SMTP COMMAND", "COMMAND COUNT LIMIT", "COMMAND TIME LIMIT", "COMMAND LENGTH LIMIT",
    "NOQUEUE: reject: RCPT", "DATA without valid RCPT", "replacing command", "too many connections", "all screening ports busy", "entering STRESS mode"])
def test_all_of_it_has_happened(results, words):
    """so that the comparison above is about something"""
    assert any(words in repr(ours) for ours, _ in results.values())
