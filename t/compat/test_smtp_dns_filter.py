"""smtpd_dns_reply_filter and smtp_dns_reply_filter, beside Postfix."""
import pytest

from dns_world import TOOLS, result_of
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE or not TOOLS, reason="needs root, Debian's postfix, knot and iproute2")


@pytest.fixture(scope="module")
def found():
    return result_of("dns_filter_world.py")


@pytest.mark.parametrize("what", ["smtpd", "smtp"])
def test_the_same_is_refused_and_delivered(found, what):
    wrong = ["%s\n   ours   %s\n   theirs %s" % (name, ours, theirs) for name, ours, theirs in found[what] if ours != theirs]
    assert not wrong, "\n".join([""] + wrong)


def test_the_same_records_are_ignored(found):
    assert found["ignored"][0] == found["ignored"][1]
