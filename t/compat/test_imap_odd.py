"""IMAP: odd but legal, or nearly legal, commands: what Dovecot takes is taken, and answered alike"""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]
from dovecot import HAVE
from imap_client import answers
from test_imap import Pair, play
import pombal

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


FETCHES = [
    'SELECT INBOX ',
    'NOOP ',
    'NOOP  ',
    'CAPABILITY ',
    'FETCH 1 FLAGS ',
    'FETCH 1 (FLAGS )',
    'FETCH 1 ( FLAGS)',
    'FETCH 1 ( FLAGS  UID )',
    'FETCH 1  FLAGS',
    'FETCH  1 FLAGS',
    'FETCH 1 (FLAGS UID)x',
    'FETCH 1 (FLAGS UID) ',
    'FETCH 1 ()',
    'FETCH 1 ((FLAGS))',
    'FETCH 1 (ALL)',
    'FETCH 1 (FLAGS ALL)',
    'FETCH 1 BODY [TEXT]',
    'FETCH 1 body.peek[ text]',
    'FETCH 1 body.peek[text ]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS ( Subject )]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject) ]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS(Subject)]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS Subject]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS ("")]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS (NIL)]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS ({7}\r\nSubject)]',
    'FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject Subject)]',
    'FETCH 1 BODY.PEEK[]<0.4294967295>',
    'FETCH 1 BODY.PEEK[]<0.4294967296>',
    'FETCH 1 BODY.PEEK[]<4294967296.10>',
    'FETCH 1 BODY.PEEK[]<18446744073709551615.10>',
    'FETCH 1 BODY.PEEK[]<18446744073709551616.10>',
    'FETCH 1 BODY.PEEK[]<00.010>',
    'FETCH 1 BODY.PEEK[]<1.2',
    'FETCH 1 BODY.PEEK[1]<0.5>x',
    'FETCH 1 BODY.PEEK[1.1.1.1]',
    'FETCH 1 BODY.PEEK[99999]',
    'FETCH 1 BODY.PEEK[1.HEADER.FIELDS]',
    'FETCH 1 RFC822.PEEK',
    'FETCH 1 RFC822.HEADER.LINES',
    'FETCH 1 RFC822.TEXT.PEEK',
    'FETCH 1 RFC822.HEADER[]',
    'FETCH 1 X-GM-MSGID',
    'FETCH 1 BODY[HEADER]<1.2>',
    'FETCH *:1 UID',
    'FETCH *:* UID',
    'FETCH 3:1 UID',
    'FETCH 1,1,1 UID',
    'FETCH 1,3:2,2:4 UID',
    'FETCH 1: UID',
    'FETCH ,1 UID',
    'FETCH 1:2:3 UID',
    'FETCH 1:*:* UID',
    'FETCH *,1 UID',
    'FETCH 0:1 UID',
    'FETCH 1:0 UID',
    'FETCH * UID',
    'FETCH 99 UID',
    'FETCH 1,99 UID',
    'FETCH 99:* UID',
    'FETCH 1:99 UID',
    'UID FETCH 99:* UID',
    'UID FETCH *:99999 UID',
    'UID FETCH 4294967295:* UID',
    'UID FETCH 4294967296 UID',
    'UID FETCH 1:4294967296 UID',
    'UID FETCH 0:* UID',
    'UID FETCH * FLAGS',
    'UID FETCH 1,1 FLAGS',
    'uid fetch 1 flags',
    'UID FETCH 2:1 (uid uid flags flags)',
    'FETCH "1" UID',
    'FETCH {1}\r\n1 UID',
    'FETCH 1 "FLAGS"',
    'FETCH 1 {5}\r\nFLAGS',
]

OTHERS = [
    'SELECT INBOX',
    'NOOP',
    'noop',
    'nOoP',
    'ID NIL',
    'ID ()',
    'ID ("name")',
    'ID ("name" NIL)',
    'ID ("name" "x" "os" "y")',
    'ID ("a" "b" "a" "b")',
    'STORE 1 FLAGS ()',
    'STORE 1 FLAGS \\Seen',
    'STORE 1 FLAGS \\Seen \\Flagged',
    'STORE 1 FLAGS (\\seen \\SEEN)',
    'STORE 1 flags (\\Seen)',
    'STORE 1 +FLAGS.silent (\\Seen)',
    'STORE 1 FLAGS.BOGUS (\\Seen)',
    'STORE 1 +FLAGS (\\*)',
    'STORE 1 +FLAGS (\\)',
    'STORE 1 +FLAGS ("quoted")',
    'STORE 1 +FLAGS (NIL)',
    'STORE 1 +FLAGS NIL',
    'STORE 1 +FLAGS ((\\Seen))',
    'STORE 1 +FLAGS ({3}\r\nabc)',
    'STORE 1 +FLAGS (key,comma)',
    'STORE 1 +FLAGS (1)',
    'STORE 1,2 +FLAGS (\\Seen)',
    'COPY 1 ""',
    'COPY 1 wORK',
    'COPY 1:2,2:1 Empty',
    'UID COPY 1:* nosuch',
    'COPY 1 inbox/x',
    'SELECT ""',
    'NOOP',
    'SELECT "INBOX"',
    'SELECT iNBOX',
    'EXAMINE INBOX ',
    'SELECT {5}\r\nINBOX',
    'SELECT {5+}\r\nINBOX',
    'SELECT "IN\\BOX"',
    'SELECT INBOX.',
    'SELECT .INBOX',
    'SELECT ../x',
    'SELECT "a/b"',
    'SELECT "Work..Deep"',
    'STATUS INBOX (MESSAGES MESSAGES)',
    'STATUS INBOX ( MESSAGES  UNSEEN )',
    'STATUS INBOX (MESSAGES,UNSEEN)',
    'STATUS "" (MESSAGES)',
    'STATUS INBOX (UIDNEXT UIDVALIDITY) ',
    'CREATE "a b" ',
    'CREATE Work',
    'CREATE "trail "',
    'LIST "" "trail*"',
    'STATUS "trail " (MESSAGES)',
    'CREATE inbox.below',
    'SUBSCRIBE inbox.below',
    'LSUB "" "*elow"',
    'LIST (SUBSCRIBED) "" "*elow"',
    'UNSUBSCRIBE Inbox.below',
    'LSUB "" "*elow"',
    'DELETE INBOX.below',
    'CREATE "x.y."',
    'CREATE ".x"',
    'CREATE "x..y"',
    'CREATE "a/b"',
    'CREATE "*"',
    'CREATE "%"',
    'CREATE "&"',
    'CREATE "&-"',
    'CREATE "&AOQ-&AOQ-"',
    'CREATE "&AGEAYg-"',
    'CREATE ~x',
    'CREATE INBOX.sub',
    'CREATE inbox.SUB2',
    'DELETE INBOX.sub',
    'DELETE "a b"',
    'DELETE Work.',
    'RENAME Work Work',
    'RENAME Work INBOX',
    'RENAME Work Work.x',
    'SUBSCRIBE ""',
    'SUBSCRIBE "a%"',
    'UNSUBSCRIBE nosuch',
    'SUBSCRIBE INBOX',
    'SUBSCRIBE inbox',
    'LSUB "" *',
    'EXPUNGE ',
    'UID EXPUNGE 1:*',
    'UID EXPUNGE 999',
    'UID EXPUNGE',
    'CHECK ',
    'CLOSE ',
    'CHECK',
    'UNSELECT',
    'SEARCH ALL',
    'FETCH 1 UID',
]


def test_fetch_with_odd_blanks_sets_and_numbers(pair):
    play(pair.fresh(), spaced(FETCHES))


def test_other_commands_with_odd_arguments(pair):
    play(pair.fresh(), ["ENABLE CONDSTORE"] + spaced(OTHERS))


CLIENTS = [
    'SELECT INBOX',
    'MYRIGHTS INBOX',
    'GETACL INBOX',
    'LISTRIGHTS INBOX x',
    'GETQUOTA ""',
    'GETQUOTAROOT INBOX',
    'NOSUCH',
    'X',
    'COMPRESS DEFLATE',
    'FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])',
    'UID FETCH 1:* (FLAGS)',
    'UID FETCH 1:5 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM TO)])',
    'FETCH 1 (BODY.PEEK[1.MIME] BODY.PEEK[1] BODY.PEEK[2.MIME])',
    'FETCH 1 (BODY.PEEK[]<0.100>)',
    'UID FETCH 11 (UID BODYSTRUCTURE BODY.PEEK[HEADER])',
    'FETCH 1 FULL',
    'FETCH 1 FAST',
    'FETCH 11 (BODY.PEEK[2.HEADER] BODY.PEEK[2.MIME])',
    'UID SEARCH UNSEEN UNDELETED',
    'UID SEARCH 1:* NOT DELETED',
    'SEARCH CHARSET UTF-8 SUBJECT "x"',
    'UID SEARCH CHARSET US-ASCII OR SUBJECT a FROM b',
    'SEARCH UID 1:* SINCE 1-Jan-2020',
    'SEARCH HEADER Message-ID <x@y>',
    'SEARCH ALL CHARSET UTF-8',
    'SEARCH (OR SEEN FLAGGED) NOT (DELETED DRAFT)',
    'SEARCH NOT (1:3,5)',
    'SEARCH 1:4294967295',
    'SEARCH UID *',
    'SEARCH UID 4294967295:*',
    'SEARCH 0',
    'SEARCH UID 0',
    'SEARCH LARGER 4294967296',
    'SEARCH LARGER -1',
    'SEARCH SUBJECT NIL',
    'SEARCH SUBJECT',
    'SEARCH HEADER Subject: a',
    'SEARCH SINCE "1-Jan-2020"',
    'SEARCH SINCE 01-Jan-2020',
    'SEARCH SINCE 1-jan-2020',
    'SEARCH SINCE 1-January-2020',
    'SEARCH SINCE 1-Jan-20',
    'SEARCH ON 1-Jan-1970',
    'SEARCH BEFORE 1-Jan-1960',
    'SEARCH OR 1 2',
    'SEARCH OR (1) (2) 3',
    'SEARCH NOT NOT 1',
    'SEARCH not seen',
    'SEARCH TEXT {3}\r\nabc SEEN',
    'SEARCH TEXT {3+}\r\nabc SEEN',
    'SEARCH CHARSET "UTF-8" ALL',
    'SEARCH CHARSET {5}\r\nUTF-8 ALL',
    'SEARCH CHARSET ISO-8859-1 SUBJECT x',
    'SEARCH CHARSET UTF-7 SUBJECT x',
    'SEARCH CHARSET UTF-8',
    'SEARCH CHARSET UTF-8 ',
    'SEARCH ( SEEN )',
    'SEARCH (SEEN',
    'SEARCH ((((SEEN))))',
    'SEARCH (SEEN)DRAFT',
    'SEARCH ((ALL)(SEEN))',
    'SEARCH OR (SEEN)(DRAFT)',
    'SEARCH NOT (SEEN)(DRAFT) 1:3',
    'SEARCH (SEEN)',
    'SEARCH (SEEN))',
    'SEARCH OR (SEEN)',
    'SEARCH OR (SEEN) )',
    'SEARCH "SEEN"',
    'SEARCH SEEN,FLAGGED',
    'SEARCH 1,2 ,3',
    'SEARCH TO "a" CC "b" BCC "c"',
    'UID SEARCH UID 1:10 UNSEEN',
    'UNSUBSCRIBE INBOX',
    'APPEND',
    'APPEND INBOX {5}\r\nabcde',
    'APPEND INBOX () {5}\r\nabcde',
    'APPEND "INBOX" ( \\Seen  \\Draft ) {5}\r\nabcde',
    'APPEND INBOX (\\Seen) "01-Jan-1970 00:00:00 +0000" {5}\r\nabcde',
    'APPEND INBOX "01-Jan-1970 00:00:01 +0000" {5}\r\nabcde',
    'APPEND INBOX " 1-Jan-1969 00:00:00 +0000" {5}\r\nabcde',
    'APPEND INBOX "1-Jan-2020 00:00:00 +0000" {5}\r\nabcde',
    'APPEND INBOX "01-Jan-2020 00:00:60 +0000" {5}\r\nabcde',
    'APPEND INBOX "01-Jan-2020 00:00:00" {5}\r\nabcde',
    'APPEND INBOX "01-Jan-2020 00:00:00 +1400" {5}\r\nabcde',
    'APPEND INBOX "31-Feb-2020 00:00:00 +0000" {5}\r\nabcde',
    'APPEND INBOX "01-Jan-2020 24:00:00 +0000" {5}\r\nabcde',
    'APPEND INBOX "01-Jan-2020 00:00:00 GMT" {5}\r\nabcde',
    'APPEND INBOX "01-Jan-9999 00:00:00 +0000" {5}\r\nabcde',
    'APPEND INBOX {0}\r\n',
    'APPEND INBOX "abcde"',
    'APPEND INBOX {5+}\r\nabcde',
    'APPEND INBOX  {5}\r\nabcde',
    'APPEND INBOX {5}\r\nabcde ',
    'APPEND INBOX (\\Recent) {5}\r\nabcde',
    'APPEND nosuch {5}\r\nabcde',
    'APPEND {5}\r\nINBOX {5}\r\nabcde',
    'NOOP',
    'CLOSE',
]


def test_what_clients_send_and_odd_forms_of_it(pair):
    play(pair.fresh(), spaced(CLIENTS))


def unasked(a):
    """flags that Dovecot tells of messages that are gone"""
    return a[0] == "fetch" and all(k == b"FLAGS" for k, _ in a[2]) or isinstance(a, bytes) and a.endswith(b"RECENT")


def test_what_another_session_has_expunged(pair):
    """FETCH, SEARCH, COPY and MOVE of messages that are gone"""
    fetched = ("BODY.PEEK[]", "(UID UID BODY.PEEK[] RFC822.SIZE)", "ENVELOPE", "(UID INTERNALDATE RFC822.SIZE BODYSTRUCTURE BODY BODY[TEXT] BODY[1] BODY.PEEK[HEADER.FIELDS (Subject)] ENVELOPE)")
    script = ["1: SELECT INBOX", "2: SELECT INBOX", "1: STORE 2,3,5 +FLAGS.SILENT (\\Deleted)", "1: EXPUNGE"]
    script += ["2: FETCH 2 " + item for item in fetched] + ["2: SEARCH SUBJECT nested", "2: SEARCH ALL", "2: SEARCH LARGER 1"]
    play(pair.fresh(2), script + ["2: COPY 2:4 Work", "2: NOOP", "2: UID COPY 2 Work", "2: UID FETCH 2 BODY.PEEK[]"], ignore=[unasked])
    play(pair.fresh(2), script + ["2: MOVE 2:4 Work", "2: NOOP"], ignore=[unasked])


@pytest.mark.parametrize("store", [
    "STORE 2 +FLAGS (\\Seen)", "STORE 2,3 +FLAGS (\\Seen)", "STORE 1:3 +FLAGS (\\Answered)", "STORE 1:3 +FLAGS.SILENT (\\Answered)", "STORE 2 FLAGS.SILENT (kw)",
    "STORE 1:* FLAGS (kw)", "STORE 2 -FLAGS (\\Seen)", "UID STORE 2 +FLAGS (\\Seen)", "UID STORE 1:3 +FLAGS (\\Seen)", "UID STORE 2,9999 +FLAGS.SILENT (\\Seen)",
    "UID STORE 9999 +FLAGS (\\Seen)", "STORE 4 +FLAGS (\\Seen)"])
def test_storing_flags_of_what_another_session_has_expunged(pair, store):
    script = ["1: SELECT INBOX", "2: SELECT INBOX", "1: STORE 2,3,5 +FLAGS.SILENT (\\Deleted)", "1: EXPUNGE"]
    play(pair.fresh(2), script + ["2: " + store, "2: NOOP", "1: NOOP", "2: FETCH 1:* (UID FLAGS)"], ignore=[unasked])


# Of a refused command: literals that the client sends without waiting are no commands.
REFUSED = [
    'APPEND nosuch {3+}\r\nabc {8+}\r\nx NOOP\r\n',
    'APPEND INBOX {3+}\r\nabcx {3+}\r\nabc {4+}\r\nabcd',
]
# No names: control characters. What cannot be created is no reason to try.
NAMES = ['CREATE "%s"' % n for n in ("a&AAEAAg-", "&AAk-", "&AAo-", "&AH8-", "&AIU-", "&ICg-", "&ICk-", "&AKA-", "&IBA-", "x&AAE-.y", "a\x7fb")]
NAMES += ['CREATE Fine', 'RENAME Fine "&AAE-"', 'SELECT INBOX', 'APPEND "&AOk" {3}\r\nabc', 'COPY 1 "&AOk"', 'MOVE 1 "&AOk"', 'COPY 1 nosuch', 'COPY 1 "&AOk-"']


def test_what_a_refused_command_brings_is_skipped(pair):
    play(pair.fresh(), spaced(REFUSED))


def test_names_that_no_folder_has(pair):
    play(pair.fresh(), spaced(NAMES))


@pytest.mark.parametrize("command", ["FOO {7+}\r\nb NOOP\r", "CAPABILITY {4+}\r\nabcd {7+}\r\nb NOOP\r"])
def test_what_a_refused_command_brings_before_login(pair, command):
    """Dovecot skips one literal"""
    raw = pombal.Raw(pair.ours.port("imap"))
    raw.line()
    raw.send("a %s\r\nc NOOP\r\n" % command)
    assert [line.split()[:2] for line in raw.until("c")] == [["a", "BAD"], ["c", "OK"]]
    raw.send("d FOO {100000+}\r\n")
    assert raw.line() == "* BYE Command too large." and raw.line() is None
    raw.close()


# Headers folded and commented, charsets that are not ASCII, parts that are no text, parts without a body, parameters without quotes.
MESSAGES = [
    b'Subject: folded\r\n\ttab across\r\nFrom: user-from@ (comment)domain.org\r\n\r\nbody\r\n',
    b'Subject: folded\r\n   three blanks\r\nFrom: <user-from (comment)@ (comment) domain.org>\r\n\r\nbody\r\n',
    b'Subject: two  blanks\tinside \r\nTo: "Quo\\"ted, Name" <q@example.org>, Group: a@b.example, =?utf-8?q?J=C3=BCrgen?= <j@x.example>;\r\n\r\nbody\r\n',
    b'Subject: =?utf-8?q?one?=\r\n =?utf-8?q?two?= three\r\n\tfour\r\nX-Long: a\r\n b\r\n\tc\r\n\r\nbody text over\r\ntwo lines\r\n',
    b'Subject: jp\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s$K$A$O\x1b(B plain\r\n',
    b'Subject: utf7\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nHi Mom -+Jjo--! +AGEAYg-\r\n',
    b'Subject: utf16\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-16be\r\nContent-Transfer-Encoding: base64\r\n\r\nAHYAZQByAHkAIABiAGkAZw==\r\n',
    b'Subject: sjis\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=shift_jis\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=83A=83B tail\r\n',
    b'Subject: bin\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntexty words\r\n--b\r\nContent-Type: application/octet-stream; name="attach-name.bin"\r\nContent-Disposition: attachment; filename==?utf-8?B?VGhp?=\r\n\r\nraw-binary-words\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\naGlkZGVuIHdvcmRz\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>he<b>llo</b> html&auml;<script>scripted</script></p><!-- comment -->\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mta-name\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner-subject\r\nX-In: inner-header\r\n\r\ninner-body\r\n--b--\r\nepilogue-words\r\n',
    b'Subject: only\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: header only\r\nX: y\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: header, empty line\r\n\r\n--b\r\nContent-Type: text/plain\r\n--b\r\nContent-Type: text/plain\r\n\r\n--b\r\n\r\n--b--\r\n',
    b'Subject: params\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==?utf-8?B?VGhp?=; x=y\r\nContent-Disposition: attachment; filename==?utf-8?Q?a_b=3D?= (c); size=3\r\n\r\nb\r\n',
    b'Subject: params2\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name="=?utf-8?B?VGhp?="\r\nContent-Disposition: attachment; filename==?utf-8?Q?a b?= =?utf-8?Q?c?=; z=1\r\n\r\nb\r\n',
    b'Subject: params3\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name=a=b?c; y=a/b; w=<x>; v=a@b; u=a:b; t=[1]; s==; r==a; q=x\\y\r\n\r\nb\r\n',
    b'Subject: plain8\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n\xc4\xe3\xba\xc3 ok\r\n',
    b'Subject: big5\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=big5\r\n\r\n\xa5\\\xaf\xe0 big\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==?u?q?a?=(c); x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==a/b;y=1; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name=="q"; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name== x; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==;z=1; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==a\r\n b; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name= =?u?q?a b?=; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name=?=; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name=??; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==?x; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==a,b; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name==(c)a; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name=a(c)b; x=y\r\n\r\nb\r\n',
    b'Subject: p\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name="a"b; c=d; x=y\r\n\r\nb\r\n',
    b"X-Fill: " + (b"x" * 70 + b"\r\n ") * 1200 + b"\r\nDate: Tue, 02 Jan 2024 00:30:00 +0100\r\nSubject: after long header\r\n\r\nb\r\n",
    b"Date: Tue, 02 Jan 2024 00:30:00 +0100\r\nX-Fill: " + (b"x" * 70 + b"\r\n ") * 1200 + b"\r\nSubject: long header\r\n\r\nb\r\n",
]

SEARCHES = [
    'SEARCH SUBJECT "folded tab"',
    'SEARCH SUBJECT "folded three"',
    'SEARCH SUBJECT "two blanks"',
    'SEARCH SUBJECT "blanks inside"',
    'SEARCH SUBJECT "onetwo three four"',
    'SEARCH SUBJECT "three four"',
    'SEARCH HEADER X-Long "a b c"',
    'SEARCH TEXT "folded tab"',
    'SEARCH TEXT "a b c"',
    'SEARCH TEXT "over two"',
    'SEARCH BODY "over two"',
    'SEARCH FROM user-from@domain.org',
    'SEARCH FROM domain.org',
    'SEARCH HEADER From user-from@domain.org',
    'SEARCH TO "Quo"',
    'SEARCH TO "q@example.org"',
    'SEARCH TO "\\"Quo"',
    'SEARCH TO "Group"',
    'SEARCH TO "a@b.example"',
    'SEARCH TO {7}\r\nJürgen',
    'SEARCH BODY "$3"',
    'SEARCH BODY "$B"',
    'SEARCH BODY {3}\r\nこ',
    'SEARCH BODY "Jjo"',
    'SEARCH BODY "Mom"',
    'SEARCH BODY "ab"',
    'SEARCH BODY "very big"',
    'SEARCH BODY "tail"',
    'SEARCH BODY "B tail"',
    'SEARCH BODY raw-binary-words',
    'SEARCH BODY "hidden words"',
    'SEARCH BODY texty',
    'SEARCH BODY "hello"',
    'SEARCH BODY "<b>"',
    'SEARCH BODY "scripted"',
    'SEARCH BODY "comment"',
    'SEARCH BODY {7}\r\nhtmlä',
    'SEARCH BODY "html&auml"',
    'SEARCH BODY "mta-name"',
    'SEARCH BODY inner-body',
    'SEARCH BODY epilogue-words',
    'SEARCH TEXT "image/png"',
    'SEARCH TEXT "raw-binary-words"',
    'SEARCH SENTON 2-Jan-2024',
    'SEARCH SENTSINCE 1-Jan-2024',
    'SEARCH SUBJECT "after long header"',
    'SEARCH SUBJECT "long header"',
    'SEARCH BODY "ok"',
    'SEARCH BODY "\\\\\\\\"',
    'SEARCH BODY "big"',
]
# Where more is found than by Dovecot: blanks as the client writes them, comments and headers as they stand (RFC 3501: the header contains the text), headers of parts.
MORE = [
    'SEARCH SUBJECT "folded\ttab"',
    'SEARCH SUBJECT "folded   three"',
    'SEARCH SUBJECT "two  blanks"',
    'SEARCH SUBJECT "blanks\tinside"',
    'SEARCH HEADER X-Long "b\tc"',
    'SEARCH FROM "(comment)"',
    'SEARCH FROM "comment"',
    'SEARCH TO "Quo\\"ted, Name"',
    'SEARCH TO "Name <q@example.org>"',
    'SEARCH BODY plain',
    'SEARCH BODY "A"',
    'SEARCH BODY "attach-name"',
    'SEARCH BODY inner-subject',
    'SEARCH BODY inner-header',
    'SEARCH BODY "Thi"',
    'SEARCH BODY "image/png"',
]


@pytest.fixture(scope="module")
def filled(pair):
    (clients,) = pair.fresh()
    for c in clients:
        for m in MESSAGES:
            assert b" OK " in c.command(b"APPEND Empty {%d}\r\n%s" % (len(m), m))[-1]
        c.command("SELECT Empty")
    return clients


def found(client, command):
    (kind, *numbers), _ = answers(client, command)
    assert kind == "search"
    return set(numbers)


@pytest.mark.parametrize("command", SEARCHES)
def test_search_of_odd_messages(filled, command):
    theirs, ours = [found(c, command) for c in filled]
    assert theirs == ours


@pytest.mark.parametrize("command", MORE)
def test_search_finds_what_dovecot_finds_and_more(filled, command):
    theirs, ours = [found(c, command) for c in filled]
    assert theirs < ours


HEADER_ONLY = [i + 1 for i, m in enumerate(MESSAGES) if b"header only" in m][0]


def test_parts_without_a_body(pair, filled):
    sections = ["1", "1.HEADER", "1.HEADER.FIELDS (X)", "1.TEXT", "1.MIME", "2", "2.HEADER", "2.TEXT", "3", "3.MIME", "4", "4.MIME", "5", "5.MIME", "1.1", "2.1"]
    play([filled], ["FETCH %d BODYSTRUCTURE" % HEADER_ONLY] + ["FETCH %d BODY.PEEK[%s]" % (HEADER_ONLY, s) for s in sections])


# No header at all, and empty lines in what follows.
BODIES = [b"\r\n\r\ntext\r\n", b"\n\ntext\n", b"\r\n\r\n", b"\n", b"\nSubject: text\n\nmore\n", b"\r\nSubject: text\r\n\r\nmore\r\n",
          b"\r\n" + b"line\r\n" * 1000 + b"\r\nmore\r\n", b"A: b\n\n\nmore\n\n", b"A: b\r\n\r\nC: d\n\nmore"]


def test_a_message_without_a_header_has_none(pair):
    (clients,) = pair.fresh()
    script = ["APPEND Empty {%d}\r\n%s" % (len(m), m.decode()) for m in BODIES] + ["SELECT Empty"]
    play([clients], script + ["FETCH 1:* " + item for item in ("BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "RFC822.HEADER", "BODY.PEEK[HEADER]<1.9>",
                                                               "BODY.PEEK[HEADER.FIELDS (Subject)]", "BODY.PEEK[HEADER.FIELDS.NOT (C)]")])


def test_envelopes_and_structures_of_odd_messages(filled):
    play([filled], ["FETCH 1:* ENVELOPE", "FETCH 1:* (BODYSTRUCTURE BODY)"])
