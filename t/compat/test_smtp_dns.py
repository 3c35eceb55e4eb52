"""Restrictions that ask the DNS, with a null MX, aliases and names that are lost, beside Postfix."""
import pytest

from dns_world import TOOLS, result_of
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE or not TOOLS, reason="needs root, Debian's postfix, knot and iproute2")


@pytest.fixture(scope="module")
def replies():
    return result_of("dns_world.py")


def test_the_same_names_are_refused_in_the_same_words(replies):
    wrong = ["%s\n   ours   %s\n   theirs %s" % (what, ours, theirs) for what, ours, theirs in replies
             if [text.replace('"', "") for text in ours[1:]] != [text.replace('"', "") for text in theirs[1:]]]  # Postfix shows no quotes
    assert not wrong, "\n".join([""] + wrong)


def test_a_null_mx_is_no_reason_to_refuse_helo(replies):
    """RFC 7505: such a domain takes no mail, but it exists. Of a sender it says that no answer could reach him"""
    said = {what: ours[2] for what, ours, _ in replies}
    assert said["helo null.test"].startswith("250 ")
    assert said["sender null.test"] == "550 5.7.27 <a@null.test>: Sender address rejected: Domain null.test does not accept mail (nullMX)"
    assert said["recipient null.test"] == "556 5.1.10 <b@null.test>: Recipient address rejected: Domain null.test does not accept mail (nullMX)"
