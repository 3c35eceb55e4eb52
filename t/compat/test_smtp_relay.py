"""Next hops that are not there, or are this host: which of them are mistakes of the configuration, beside Postfix. Mail waits
until such a mistake is put right, while mail to a domain that is not there comes back at once."""
import pytest

from dns_world import TOOLS, result_of
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE or not TOOLS, reason="needs root, Debian's postfix, knot and iproute2")


@pytest.fixture(scope="module")
def result():
    return result_of("relay_world.py")


def test_the_same_mail_waits(result):
    wrong = ["%s\n   ours   %s\n   theirs %s" % (to, ours, theirs) for to, ours, theirs in result["said"] if ours != theirs]
    assert not wrong, "\n".join([""] + wrong)


def test_the_same_parameters_are_blamed(result):
    ours, theirs = result["warned"]
    assert ours == theirs
