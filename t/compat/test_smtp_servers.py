"""check_*_a_access, check_*_mx_access and check_*_ns_access, beside Postfix: which hosts behind a name are looked up, and what is said of them."""
import pytest

from dns_world import TOOLS, result_of
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE or not TOOLS, reason="needs root, Debian's postfix, knot and iproute2")

# Spellings of a name that another host would reach all the same: Postfix looks nothing up for these.
DIFFERENT = {"helo mx good.test.": "554 5.7.1 <good.test.>: Helo command rejected: the exchanger",
             "sender mx a%good.test@here.test": "554 5.7.1 <a%good.test@here.test>: Sender address rejected: the exchanger",
             "sender mx a@good.test.": "554 5.7.1 <a@good.test.>: Sender address rejected: the exchanger"}


@pytest.fixture(scope="module")
def replies():
    return result_of("servers_world.py")


def test_the_same_hosts_are_looked_up_and_refused_in_the_same_words(replies):
    wrong = ["%s\n   ours   %s\n   theirs %s" % (what, ours, theirs) for what, ours, theirs in replies if what not in DIFFERENT and
             [text.replace('"', "") for text in ours[1:]] != [text.replace('"', "") for text in theirs[1:]]]
    assert not wrong, "\n".join([""] + wrong)
    assert {what: ours[2] for what, ours, _ in replies if what in DIFFERENT} == DIFFERENT


def test_each_kind_has_refused_and_let_pass_and_never_says_ok(replies):
    """so that the comparison above is about something"""
    said = {what: ours[2] for what, ours, _ in replies}
    for what in "a", "mx", "ns":
        for kind in "client", "reverse_client_hostname", "helo", "sender", "recipient":
            codes = {text[:3] for name, text in said.items() if name.startswith("check_%s_%s_access " % (kind, what))}
            assert "250" in codes and codes & {"450", "554"}, (kind, what, codes)
    for name in "check_sender_mx_access ok.good.test", "check_helo_ns_access www.ok.test":
        assert said[name] == "451 4.3.5 Server configuration error"
