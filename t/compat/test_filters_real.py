"""OpenDMARC and rspamd as milters, one behind the other, beside Postfix: what each decides is said to the client and done to the mail."""
import pytest

from dns_world import TOOLS, result_of
from filters_world import TOOLS as FILTERS
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE or not TOOLS or not FILTERS, reason="needs root, Debian's postfix, knot, iproute2, opendmarc and rspamd")


@pytest.fixture(scope="module")
def rows():
    return {what: (ours, theirs) for what, ours, theirs in result_of("filters_world.py")}


def test_the_replies_and_the_mail_are_those_of_postfix(rows):
    for what, (ours, theirs) in rows.items():
        assert ours == theirs, what


def test_opendmarc_marks_what_passes_and_refuses_what_is_forged(rows):
    assert any("dmarc=pass" in str(field) for field in rows["good"][0])
    assert any("spf=pass" in str(field) for field in rows["good"][0])
    assert rows["forged"][0][-1] == "550 5.7.1 rejected by DMARC policy for strict.test"


def test_rspamd_refuses_marks_and_renames(rows):
    assert rows["spam"][0][-1].startswith("554 5.7.1 ")
    assert "X-Spam: Yes" in rows["marked"][0] and "X-Spam: Yes" not in rows["good"][0]
    assert any(str(field).startswith("Subject: [spam] s") for field in rows["renamed"][0])
    assert rows["large"][0][3].startswith("250 ")
