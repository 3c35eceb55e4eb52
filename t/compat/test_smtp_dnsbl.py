"""Restrictions that ask DNS block lists and welcome lists, beside Postfix: whom they refuse, and in which words."""
import pytest

from dns_world import TOOLS, result_of
from real_postfix import HAVE

pytestmark = pytest.mark.skipif(not HAVE or not TOOLS, reason="needs root, Debian's postfix, knot and iproute2")

# Postfix takes only the first string of a TXT record, and a HELO name that ends in a dot is in no list.
DIFFERENT = {"twostrings of one": "two", "554 5.7.1 Service unavailable; Helo command [bad.good.test.] blocked using list.test; " + "x" * 200: "250 2.1.5 Ok"}


@pytest.fixture(scope="module")
def replies():
    return result_of("dnsbl_world.py")


def as_theirs(text):
    for mine, other in DIFFERENT.items():
        text = text.replace(mine, other)
    return text.replace('"', "")                                                                   # Postfix shows no quotes


def test_the_same_clients_and_addresses_are_refused_in_the_same_words(replies):
    wrong = ["%s\n   ours   %s\n   theirs %s" % (what, ours, theirs) for what, ours, theirs in replies
             if [as_theirs(text) for text in ours[1:]] != [text.replace('"', "") for text in theirs[1:]]]
    assert not wrong, "\n".join([""] + wrong)


def test_each_kind_of_list_has_refused_and_let_pass(replies):
    """so that the comparison above is about something"""
    for kind in ("reject_rbl_client", "reject_rhsbl_client", "reject_rhsbl_reverse_client", "reject_rhsbl_helo", "reject_rhsbl_sender",
                 "permit_dnswl_client", "permit_rhswl_client"):
        codes = {ours[2][:3] for what, ours, _ in replies if what.startswith(kind) and not what.startswith(kind + " nobody")}
        assert {"250", "554"} <= codes, (kind, codes)
    said = {what: ours[2] for what, ours, _ in replies}
    assert said["recipient a@bad.good.test"].startswith("554 5.7.1 Service unavailable; Recipient address [a@bad.good.test] blocked using list.test")
    assert said["reject_rbl_client nobody.answers.example | client 2"].startswith("250 ")          # a list that does not answer refuses nobody
    assert said["permit_dnswl_client nobody.answers.example, reject | client 2"].startswith("450 4.7.1 <")
