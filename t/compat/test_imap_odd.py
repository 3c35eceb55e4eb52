"""IMAP: odd but legal, or nearly legal, commands: what Dovecot takes is taken, and answered alike"""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]
from dovecot import HAVE
from test_imap import Pair, play

pytestmark = pytest.mark.skipif(not HAVE, reason="Dovecot is not installed")


@pytest.fixture(scope="module")
def pair():
    p = Pair()
    yield p
    p.close()


def spaced(lines):
    """too many refused ones in a row would end the connection"""
    return [x for line in lines for x in (line, "NOOP")]


LISTS = [
    'SUBSCRIBE Work.Deep',
    'SUBSCRIBE Sent',
    'SUBSCRIBE Work',
    'CREATE New.Sub.Leaf',
    'SUBSCRIBE New.Sub.Leaf',
    'CREATE Gone',
    'SUBSCRIBE Gone',
    'DELETE Gone',
    'LIST (SPECIAL-USE) "" "*"',
    'LIST (SPECIAL-USE) "" "%"',
    'LIST "" "*" RETURN (SPECIAL-USE)',
    'LIST "" "*" RETURN ()',
    'LIST "" "*" RETURN (CHILDREN)',
    'LIST "" "*" RETURN (SUBSCRIBED)',
    'LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)',
    'LIST "" "%" RETURN (SPECIAL-USE CHILDREN)',
    'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN))',
    'LIST "" "*" RETURN (STATUS (MESSAGES) SPECIAL-USE)',
    'LIST "" "%" RETURN (STATUS (MESSAGES UIDNEXT))',
    'LIST "" "*" RETURN (STATUS)',
    'LIST "" "*" RETURN (STATUS ())',
    'LIST "" "*" RETURN (BOGUS)',
    'LIST "" "*" BOGUS',
    'LIST "" "*" RETURN',
    'LIST "" "*" RETURN SPECIAL-USE',
    'LIST () "" "*"',
    'LIST (SUBSCRIBED) "" "*"',
    'LIST (SUBSCRIBED) "" "%"',
    'LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN)',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" "New%"',
    'LIST (RECURSIVEMATCH) "" "%"',
    'LIST (REMOTE) "" "*"',
    'LIST (REMOTE SUBSCRIBED) "" "*"',
    'LIST (SPECIAL-USE SUBSCRIBED) "" "*"',
    'LIST (SPECIAL-USE RECURSIVEMATCH) "" "%"',
    'LIST (BOGUS) "" "*"',
    'LIST "" ("Work" "Sent")',
    'LIST "" ("Work*" "%")',
    'LIST "" ("Work" "Work*")',
    'LIST "" ()',
    'LIST "" (INBOX "Work" nosuch) RETURN (SUBSCRIBED)',
    'LIST (SUBSCRIBED) "" ("*" "%")',
    'LIST "" "" RETURN (CHILDREN)',
    'LIST (SUBSCRIBED) "" ""',
    'LIST "" ("" "*")',
    'LIST "" {1}\r\n*',
    'LIST {0}\r\n "*"',
    'LIST "" "*" RETURN (SPECIAL-USE )',
    'LIST ( SPECIAL-USE ) "" "*"',
    'list (special-use) "" * return (special-use)',
    'LIST "" "New" RETURN (CHILDREN)',
    'LIST "" "New*" RETURN (CHILDREN SUBSCRIBED)',
    'LIST "" "Work" RETURN (STATUS (MESSAGES RECENT UIDVALIDITY))',
    'LIST "" "New" RETURN (STATUS (MESSAGES))',
    'LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES))',
    'LIST (SPECIAL-USE) "" "*" RETURN (STATUS (MESSAGES))',
    'LSUB (SUBSCRIBED) "" "*"',
    'LIST "Work." "*" RETURN (CHILDREN)',
    'LIST "" "Gone"',
    'LIST "" * ',
    'LIST "" NIL',
    'LIST "" "*" RETURN (CHILDREN) x',
]


def test_list_extended(pair):
    play(pair.fresh(), spaced(LISTS))
