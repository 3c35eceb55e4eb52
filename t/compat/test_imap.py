"""IMAP: the same commands on copies of the same Maildir to Dovecot and to ours, answers compared"""
import glob
import os
import pwd
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]
import pombal
from dovecot import HAVE, Dovecot
from imap_client import Client, answers

pytestmark = pytest.mark.skipif(not HAVE, reason="Dovecot is not installed")

NESTED = b"""From: Outer <outer@example.org>
To: "Quoted \\"Name\\"" <a@b.example>, =?utf-8?q?J=C3=BCrgen?= <j@example.org>, group: one@x.example, two@x.example;
Cc: undisclosed-recipients:;
Subject: nested =?iso-8859-1?q?subj=E9ct?=
Date: Tue, 2 Jan 2024 03:04:05 +0100
Message-ID: <nested@example.org>
In-Reply-To: <previous@example.org>
X-Folded: one
\ttwo
   three
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"; charset*=utf-8''%e2%82%ac
Content-Language: en, de
Content-Location: http://example.org/x

preamble
--outer
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: quoted-printable
Content-ID: <part1@example.org>
Content-Description: first part
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

H=C3=A4llo needle-in-qp
second line
--outer
Content-Type: message/rfc822
Content-Disposition: attachment; filename="inner message.eml"

From: Inner <inner@example.org>
Subject: inner
Date: Wed, 3 Jan 2024 00:00:00 +0000
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

plain inner text
--inner
Content-Type: text/html; charset=us-ascii

<p>html inner</p>
--inner--
inner epilogue
--outer
Content-Type: application/octet-stream; name*0="long"; name*1=".bin"
Content-Transfer-Encoding: base64
Content-Disposition: inline; size=12; filename*=utf-8''b%C3%A4r.bin

bmVlZGxlLWluLWI2NA==
--outer
Content-Type: multipart/digest; boundary=digest

--digest

From: d1@example.org
Subject: digest one

d1 body
--digest

From: d2@example.org

d2 body

--digest--
--outer--
epilogue
"""

ODD = [
    b"Subject: only a header\n",
    b"\nno header at all\n",
    b"\n",
    b"no colon line\nSubject: after it\n\nbody\n",
    b"From: a@example.org\nSubject: no end of line\n\nbody without newline",
    b"From: a@example.org\r\nSubject: crlf file\r\n\r\nline one\r\nline two\r\n",
    b"From: mixed@example.org\nSubject: mixed ends\n\none\r\ntwo\nthree\r\n",
    b"From: broken <\nTo: <>, @, \"x\" (comment), a@b (c), <@r.example:x@y.example>\nDate: garbage\n\nx\n",
    b"Subject: =?utf-8?b?w6TDtsO8?= Umlaute\nFrom: =?utf-8?q?=C3=84?= <ae@example.org>\nContent-Type: text/plain; charset=utf-8\n\n\xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac\n",
    b"Subject: latin\nContent-Type: text/plain; charset=iso-8859-1\n\n\xe4\xf6\xfc\n",
    b"Subject: bad multipart\nContent-Type: multipart/mixed; boundary=x\n\nno parts here\n",
    b"Subject: unclosed\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\npart one\n--x\nContent-Type: text/html\n\npart two\n",
    b"Subject: no boundary\nContent-Type: multipart/mixed\n\ntext\n",
    b"Subject: bad type\nContent-Type: nonsense\n\ntext\n",
    b"Subject: empty type\nContent-Type:\n\ntext\n",
    b"Subject: tabs\tand \"quotes\" and \\backslash\nReply-To: \"back\\\\slash\" <b@example.org>\nSender: s@example.org\n\nx\n",
    b"Subject: " + b"long " * 400 + b"\nTo: " + b", ".join(b"user%d@example.org" % i for i in range(100)) + b"\n\nx\n",
    b"Subject: dots\nFrom: dots@example.org\n\n.\n..\nFrom line\n>From line\n",
    b"Subject: multi\nReceived: one\nReceived: two\nSUBJECT: twice\nTo: a@x.example\nTo: b@x.example\n\nx\n",
    b"Subject: rfc822 in b64\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKeQo=\n",
    b"Subject: nested boundary\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n--ab--\n--a\n\ny\n--a--\n",
    b"From: x\n" + b"Subject: folded\n and\n\tfolded\n\nbody\n",
    b"Subject: nul\n\na\x00b\n",
    b"Subject: nul \x00 in the header\nFrom: n\x00 <n@n.org>\n\nx\n",
    b"Subject: an original with UTF-8\nContent-Type: multipart/mixed; boundary=g\n\n--g\nContent-Type: message/global\n\nSubject: inner \xc3\xa4\nFrom: a@example.org\n\nbody\n--g--\n",
    b"Date: Mon, 1 Jan 2024 23:30:00 -0500\nSubject: zone\nFrom: zone@example.org\n\nx\n",
]


def messages():
    here = [open(f, "rb").read().replace(b"\r\n", b"\n") for f in sorted(glob.glob(HERE + "/../data/mime-rfc/*.eml"))]
    return here + [NESTED] + ODD


USERS = 80
FLAGS = ["", "S", "RS", "F", "T", "DFRST", "D"]


def make_maildir(path, uid, gid):
    """fixed names, flags and times: both servers number them alike"""
    for folder in ("", "/.Work", "/.Work.Deep", "/.Empty", "/.Drafts", "/.Sent", "/.Junk", "/.Trash"):
        for sub in ("cur", "new", "tmp"):
            os.makedirs(path + folder + "/" + sub)
        if folder:
            open(path + folder + "/maildirfolder", "w").close()
    texts = messages()
    for folder, which in (("", texts), ("/.Work", texts[:3])):
        for i, text in enumerate(which):
            name = "%d.M%06dP1.host" % (1700000000 + i * 43200, i)
            full = "%s%s/cur/%s:2,%s" % (path, folder, name, FLAGS[i % len(FLAGS)])
            with open(full, "wb") as f:
                f.write(text)
            os.utime(full, (1700000000 + i * 43200,) * 2)
    for top, dirs, files in os.walk(path):
        for name in [top] + [os.path.join(top, f) for f in files]:
            os.chown(name, uid, gid)


class Pair:
    """both servers, each with one Maildir a test"""

    def __init__(self):
        self.ours = pombal.Instance(main="imap_timeout = 300s\n", start=False)
        for i in range(USERS):
            self.ours.add_user("u%d" % i)
        self.ours.start()
        entry = open(self.ours.etc + "/passwd").readline().split(":")
        self.uid, self.gid = int(entry[2]), int(entry[3])
        self.n = 0
        users = "".join("u%d:{PLAIN}secret::::::\n" % i for i in range(USERS))
        self.theirs = Dovecot(users, mechanisms="plain", uid=self.uid, gid=self.gid, more="""
namespace inbox {
  mailbox Drafts {
    special_use = \\Drafts
  }
  mailbox Sent {
    special_use = \\Sent
  }
  mailbox Junk {
    special_use = \\Junk
  }
  mailbox Trash {
    special_use = \\Trash
  }
}
protocol imap {
  mail_max_userip_connections = 1000
}
""")
        os.chown(self.theirs.mail, self.uid, self.gid)
        self.clients = []

    def fresh(self, connections=1):
        """a new user with the same Maildir at both: [(theirs, ours), ...] connections"""
        name = "u%d" % self.n
        self.n += 1
        shutil.rmtree(self.ours.maildir(name))
        make_maildir(self.ours.maildir(name), self.uid, self.gid)
        make_maildir("%s/%s" % (self.theirs.mail, name), self.uid, self.gid)
        pairs = [(Client(self.theirs.imap, name, "secret"), Client(self.ours.port("imap"), name, "secret"))
                 for _ in range(connections)]
        self.clients += [c for pair in pairs for c in pair]
        return pairs

    def close(self):
        for c in self.clients:
            c.close()
        self.theirs.close()
        self.ours.close()


@pytest.fixture(scope="module")
def pair():
    p = Pair()
    yield p
    p.close()


DEVIATIONS = {
    "SELECT a b": "RFC 3501: BAD, arguments invalid",
    "EXPUNGE": "in a folder opened with EXAMINE: NO, as RFC 3501 6.4.3 has it",
    "STORE 1 +FLAGS (\\Seen)": "in a folder opened with EXAMINE: NO [READ-ONLY]",
    "RENAME INBOX Old": "RFC 3501 6.3.5; Dovecot cannot do it with Maildir",
    "STATUS Old (MESSAGES)": "the same", "STATUS INBOX (MESSAGES)": "the same",
    'LIST "" New*': "RFC 3501 6.3.4: a deleted folder with folders below is \\Noselect", 'LIST "" Renamed*': "the same",
    "SEARCH KEYWORD x": "a keyword is not defined by searching for it", "UID SEARCH KEYWORD x": "the same",
    "NOOP x": "arguments that no command has: BAD", "CLOSE x": "the same", "EXPUNGE x": "the same", "ENABLE": "the same", "ID": "the same",
    "FETCH 1 BODY[0]": "RFC 3501 9: nz-number", "FETCH 1 BODY[]<0>": "RFC 3501 9: two numbers", "FETCH 1 BODY[]<0.0>": "RFC 3501 9: nz-number",
    "SEARCH BEFORE 32-Jan-2024": "no such day", 'SEARCH BODY "digest one"': "headers of a message inside are part of the body",
    "SEARCH SENTBEFORE 2-Jan-2024": "a message without a date does not match",
    'UID SEARCH BODY "digest one"': "the same", "UID SEARCH SENTBEFORE 2-Jan-2024": "the same",
    "FETCH 1:* BODY.PEEK[HEADER.FIELDS.NOT (Received To From)]": "RFC 3501 6.4.5: the empty line is always there",
}


def play(pairs, script, ignore=()):
    """each line: a command, for the first connection or after "2: " for the second; all answers at once"""
    theirs, ours = [], []
    for line in script:
        which, text = 0, line
        if isinstance(line, str) and line[:3] in ("1: ", "2: "):
            which, text = int(line[0]) - 1, line[3:]
        for client, seen in zip(pairs[which], (theirs, ours)):
            got = [a for a in answers(client, text) if not any(i(a) for i in ignore)]
            seen.append((line, sorted(got[:-1], key=repr) if text.upper().startswith(("LIST", "LSUB")) else got[:-1], got[-1:]))
    different = [(t, o) for t, o in zip(theirs, ours) if t != o and t[0] not in DEVIATIONS]
    report = "\n".join("%.300r\n  theirs %s\n  ours   %s" % (t[0], *difference(t[1] + t[2], o[1] + o[2])) for t, o in different[:12])
    assert not different, "%d of %d differ:\n%s" % (len(different), len(script), report)


def difference(theirs, ours):
    """what only one of them says; of a FETCH response the items that differ"""
    def show(x, others):
        for y in others:
            if x[0] == y[0] == "fetch" and x[1] == y[1]:
                return "%d: %.600r" % (x[1], sorted(x[2] - y[2], key=repr))
        return "%.600r" % (x,)
    only = lambda a, b: [show(x, b) for x in a if x not in b][:6] or ["(order)"]
    return only(theirs, ours), only(ours, theirs)


def test_select_and_status(pair):
    play(pair.fresh(), [
        "NOOP", "CHECK", "SELECT INBOX", "SELECT inbox", "EXAMINE INBOX", "SELECT Work", "CLOSE", "CHECK", "SELECT Work.Deep",
        "UNSELECT", "UNSELECT", "SELECT nonexistent", "FETCH 1 FLAGS", "SELECT INBOX", "SELECT nonexistent", "FETCH 1 FLAGS",
        "STATUS Work (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)", "STATUS INBOX (messages)", "STATUS nope (MESSAGES)",
        "STATUS Work MESSAGES", "STATUS Work ()", "STATUS Work (BOGUS)", "STATUS", "STATUS Work", "SELECT", "SELECT a b",
        'SELECT "Work"', "SELECT {4}\r\nWork", "EXAMINE Empty", "FETCH 1 FLAGS", "FETCH 1:* FLAGS", "UID FETCH 1:* FLAGS", "SEARCH ALL",
        "UID SEARCH 1:*", "STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "CLOSE", "SELECT Empty", "UID FETCH * (FLAGS)", "EXPUNGE", "CLOSE"])


def test_syntax_errors(pair):
    wrong = [
        "BOGUS", "", "   ", "NOOP", "UID", "UID BOGUS 1", "UID NOOP", "NOOP x", "FETCH 1 FLAGS", "SELECT INBOX", "FETCH", "FETCH 1", "FETCH 0 FLAGS",
        "FETCH 1000 FLAGS", "FETCH 1:1000 FLAGS", "FETCH a FLAGS", "FETCH 1,, FLAGS", "FETCH 1: FLAGS", "FETCH 1 BOGUS", "FETCH 1 (FLAGS",
        "FETCH 1 FLAGS)", "FETCH 1 (FLAGS UID", "FETCH 1 BODY[", "FETCH 1 BODY[BOGUS]", "FETCH 1 BODY[0]", "FETCH 1 BODY[1.]",
        "FETCH 1 BODY[MIME]", "FETCH 1 BODY[]<0>", "FETCH 1 BODY[]<0.0>", "FETCH 1 BODY[HEADER.FIELDS]", "FETCH 1 BODY[HEADER.FIELDS ()]",
        "FETCH 4294967296 FLAGS", "UID FETCH 0 FLAGS", "UID FETCH 99999 FLAGS", "UID FETCH 4294967295 FLAGS", "STORE 1", "STORE 1 BOGUS (\\Seen)",
        "STORE 1 FLAGS (\\Bogus)", "STORE 1 FLAGS (\\Recent)", "STORE 1 FLAGS (\\Seen", "STORE 1000 +FLAGS (\\Seen)", "COPY 1", "COPY 1 nope",
        "COPY 1000 Work", "SEARCH", "SEARCH BOGUS", "SEARCH NOT", "SEARCH OR SEEN", "SEARCH (SEEN", "SEARCH SEEN)", "SEARCH ()", "SEARCH 1000",
        "SEARCH BEFORE yesterday", "SEARCH BEFORE 32-Jan-2024", "SEARCH LARGER x", "SEARCH HEADER", "SEARCH HEADER Subject", "SEARCH CHARSET",
        "SEARCH CHARSET x-bogus SUBJECT a", "LOGIN a b", "AUTHENTICATE PLAIN", "STARTTLS", "CREATE", "DELETE", "RENAME a", "SUBSCRIBE",
        "LIST", 'LIST ""', "APPEND", "APPEND Work", "ENABLE", "ID", "EXPUNGE x", "UID EXPUNGE", "CLOSE x", "NOOP"]
    play(pair.fresh(), [line for text in wrong for line in (text, "NOOP")])  # too many in a row end the connection


ITEMS = ["FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "ALL", "FAST", "FULL", "RFC822.HEADER",
         "(FLAGS UID)", "(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From To Subject Date)])", "(BODY.PEEK[])", "BODY.PEEK[HEADER]",
         "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER.FIELDS (\"SUBJECT\")]", "BODY.PEEK[HEADER.FIELDS.NOT (Received To From)]",
         "BODY.PEEK[HEADER.FIELDS (Received X-Folded)]", "BODY.PEEK[HEADER.FIELDS (Nonexistent)]", "BODY.PEEK[]<0.10>", "BODY.PEEK[]<5.1000000>",
         "BODY.PEEK[]<1000000.5>", "BODY.PEEK[TEXT]<3.7>", "BODY.PEEK[HEADER]<2.9>", "BODY.PEEK[HEADER.FIELDS (Subject)]<4.5>", "body.peek[text]",
         "(flags internaldate rfc822.size envelope)", "(FLAGS FLAGS)", "(BODY BODYSTRUCTURE)"]


@pytest.mark.parametrize("item", ITEMS)
def test_fetch_all_messages(pair, item):
    play(pair.fresh(), ["EXAMINE INBOX", "FETCH 1:* " + item, "UID FETCH 1:3,5,30:* " + item])


def test_fetch_parts(pair):
    # Messages 9 and 31 have an encoded message/rfc822, which the standard forbids; parts of what has no parts are left out, too.
    paths = [("1:8,10:30,32:*", p) for p in "12345"] + [("11", p) for p in ("2.1", "2.2", "2.3", "4.1", "4.2", "4.3", "2.9")] + [("1", "3.1"), ("1", "3.2")]
    texts = ("MIME", "HEADER", "TEXT", "HEADER.FIELDS (Subject From)", "HEADER.FIELDS.NOT (Subject)")
    script = ["EXAMINE INBOX"]
    for which, path in paths:
        script += ["FETCH %s BODY.PEEK[%s]" % (which, path)] + ["FETCH %s BODY.PEEK[%s.%s]" % (which, path, t) for t in texts]
    script += ["FETCH 11 BODY.PEEK[2.1]<3.10>", "FETCH 11 BODY.PEEK[2.HEADER]<0.20>", "FETCH 11 (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2.2.MIME])"]
    play(pair.fresh(), script)


def test_fetch_sets_seen(pair):
    play(pair.fresh(), ["SELECT INBOX", "FETCH 1 BODY[TEXT]", "FETCH 1 FLAGS", "FETCH 2,3 (FLAGS BODY[])", "FETCH 4 RFC822", "FETCH 5 RFC822.TEXT",
                        "FETCH 6 RFC822.HEADER", "UID FETCH 7:8 BODY[1]", "FETCH 1:10 FLAGS", "FETCH 4 RFC822", "FETCH 9 (BODY[HEADER] UID)",
                        "NOOP", "EXAMINE INBOX", "FETCH 10 BODY[]", "FETCH 10 FLAGS"])


def test_store(pair):
    play(pair.fresh(), [
        "SELECT INBOX", "STORE 1 +FLAGS (\\Flagged)", "STORE 1:3 FLAGS (\\Seen \\Answered)", "STORE 2 -FLAGS (\\Seen)", "STORE 2 -FLAGS.SILENT (\\Answered)",
        "STORE 3 +FLAGS.SILENT \\Deleted", "STORE 4 +FLAGS \\Draft \\Seen", "STORE 5 FLAGS ()", "FETCH 1:5 FLAGS", "UID STORE 6,7 +FLAGS (\\Flagged)",
        "STORE 1 +FLAGS (keyword)", "STORE 2 +FLAGS ($Forwarded Other)", "FETCH 1:2 FLAGS", "STORE 1 -FLAGS (KEYWORD)", "SEARCH KEYWORD other",
        "SEARCH UNKEYWORD other FLAGGED", "UID STORE 99999 +FLAGS (\\Seen)", "STORE 1 +FLAGS ()", "NOOP",
        "EXAMINE INBOX", "STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "FETCH 1 FLAGS", "SELECT INBOX", "FETCH 1:* FLAGS"])


def test_expunge_copy_move(pair):
    play(pair.fresh(), [
        "SELECT Work", "SELECT Empty", "SELECT INBOX", "STORE 2,4:6 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 4", "UID SEARCH ALL", "EXPUNGE", "UID SEARCH ALL", "FETCH 1:4 (UID FLAGS)",
        "COPY 1:2 Work", "UID COPY 7 Work", "UID COPY 99999 Work", "COPY 1 nosuch", "STATUS Work (MESSAGES UIDNEXT)", "MOVE 1 Work", "UID MOVE 8,9 Empty",
        "MOVE 1 nosuch", "NOOP", "UID SEARCH ALL", "COPY 1 INBOX", "NOOP", "FETCH * (UID FLAGS)", "SELECT Work", "UID SEARCH ALL", "FETCH 1:* FLAGS",
        "STORE 1 +FLAGS (\\Deleted)", "CLOSE", "SELECT Work", "UID SEARCH ALL", "EXAMINE Empty", "FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)",
        "SELECT Empty", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "UNSELECT", "SELECT Empty", "EXPUNGE", "UID SEARCH ALL"],
        ignore=[lambda a: isinstance(a, bytes) and a.endswith(b"RECENT")])  # told with EXISTS only


SEARCHES = """ALL|ANSWERED|UNANSWERED|DELETED|UNDELETED|DRAFT|UNDRAFT|FLAGGED|UNFLAGGED|SEEN|UNSEEN|NOT SEEN|NOT NOT SEEN
1|1:5|*|5:2|1,3,5:7|NOT 1:5|UID 1:5|UID 99999|UID 3 SEEN|SEEN FLAGGED|OR SEEN FLAGGED|OR (SEEN FLAGGED) (DELETED DRAFT)|OR OR SEEN DRAFT DELETED
(SEEN)|(SEEN NOT (FLAGGED))|(1:5 (SEEN))|SUBJECT a|SUBJECT "inner"|SUBJECT NESTED|SUBJECT subj|FROM example|TO "b.example"|CC undisclosed|BCC x
HEADER Subject ""|HEADER X-Folded ""|HEADER X-Folded two|HEADER "Message-ID" "<nested@example.org>"|HEADER Nonexistent x|HEADER Received two
BODY hello|BODY "needle-in-qp"|BODY needle-in-b64|BODY "html inner"|BODY preamble|BODY "digest one"|TEXT subject|TEXT "needle-in-qp"|TEXT nested|TEXT "d2 body"
BEFORE 15-Nov-2023|ON 15-Nov-2023|SINCE 15-Nov-2023|BEFORE "15-nov-2023"|SINCE 1-Dec-2023|NOT BEFORE 20-Nov-2023|SENTBEFORE 2-Jan-2024|SENTON 2-Jan-2024
SENTSINCE 2-Jan-2024|SENTON 1-Jan-2024|SENTON 3-Jan-2024|LARGER 500|SMALLER 500|LARGER 0|SMALLER 0|LARGER 100 SMALLER 1000|LARGER 4294967295
CHARSET UTF-8 ALL|CHARSET US-ASCII SUBJECT inner|CHARSET utf-8 SUBJECT {2}~ä|CHARSET UTF-8 BODY {2}~ä|CHARSET UTF-8 BODY {3}~€
CHARSET UTF-8 TEXT {6}~äöü|CHARSET UTF-8 SUBJECT {6}~ÄÖÜ|SUBJECT {5}~inner|KEYWORD x|UNKEYWORD x|NEW|OLD|RECENT|UNDELETED SUBJECT "folded and"
FROM "Jürgen"|TO {7}~Jürgen|BODY ""|SUBJECT ""|TEXT "From line"|BODY "line two"|BODY "one\\\\two"|TEXT "long long long"|SUBJECT "\\"quotes\\""|BODY "bmVl\""""


def test_search(pair):
    keys = [k.replace("~", "\r\n") for k in SEARCHES.replace("\n", "|").split("|")]
    play(pair.fresh(), ["EXAMINE INBOX"] + ["SEARCH " + k for k in keys] + ["UID SEARCH " + k for k in keys[:40]])


def test_list(pair):
    play(pair.fresh(), [
        'LIST "" ""', 'LIST "" *', 'LIST "" %', 'LIST "" "Work.%"', 'LIST "" Work*', 'LIST "" W%', 'LIST "Work." %', 'LIST "Work" *', 'LIST "" INBOX', 'LIST "" inbox',
        'LIST "" iNbOx*', 'LIST "" *e*', 'LIST "" %.%', 'LIST "" nosuch', 'LIST "" "*"', 'LSUB "" *', "SUBSCRIBE Work.Deep", "SUBSCRIBE Sent", "SUBSCRIBE nosuch",
        'LSUB "" *', 'LSUB "" %', 'LSUB "" Work', 'LSUB "" Work.%', "UNSUBSCRIBE Sent", "UNSUBSCRIBE Sent", 'LSUB "" *', "NAMESPACE",
        "CREATE New", "CREATE New.Sub.Leaf", "CREATE New", "CREATE INBOX", "CREATE Folder.", "CREATE &AOQ-", 'CREATE "with space"', 'CREATE ""', 'LIST "" *',
        "DELETE New", 'LIST "" New*', "DELETE New.Sub.Leaf", 'LIST "" New*', "DELETE INBOX", "DELETE nosuch", "RENAME Work Renamed", 'LIST "" *',
        "STATUS Renamed (MESSAGES)", "STATUS Renamed.Deep (MESSAGES)", "RENAME nosuch x", "RENAME Renamed Sent", "RENAME INBOX Old", "STATUS Old (MESSAGES)",
        "STATUS INBOX (MESSAGES)", "DELETE Renamed", 'LIST "" Renamed*', 'LIST "" &AOQ-', 'SELECT &AOQ-', "DELETE &AOQ-"])


def test_append(pair):
    text = "From: a@b.example\r\nSubject: appended\r\n\r\nbody\r\n"
    literal = "{%d}\r\n%s" % (len(text), text)
    play(pair.fresh(), [
        "SELECT Work", "SELECT INBOX", "APPEND Work " + literal, "APPEND Work (\\Seen \\Flagged word) " + literal, 'APPEND Work "14-Jul-2021 02:03:04 -0700" ' + literal,
        'APPEND Work (\\Draft) " 1-Feb-2022 00:00:00 +0000" ' + literal, "APPEND nosuch " + literal, "APPEND Work () " + literal,
        'APPEND Work "garbage" ' + literal, "APPEND Work (\\Bogus) " + literal, "APPEND Work (\\Seen \\Recent word) " + literal, "STATUS Work (MESSAGES UIDNEXT)", "SELECT Work", "FETCH 4:* (UID FLAGS RFC822.SIZE BODY.PEEK[] ENVELOPE BODYSTRUCTURE)", "FETCH 6:7 INTERNALDATE",
        "APPEND Work " + literal, "NOOP", "APPEND INBOX {4}\r\nx\r\ny", "APPEND INBOX {3}\r\nabc", "APPEND INBOX {5}\r\na\0b\r\n", "SELECT INBOX", "FETCH * (RFC822.SIZE BODY[])"])


def test_a_subject_of_several_lines(pair):
    commands = ["SELECT INBOX"]
    for subject in ("x\r\n ", "x  \r\n\t", "\r\n ", "x\r\n y \r\n ", "\r\n x", "x\r\n \r\n y", 'a "q" \\ b', "a\tb\r\n\tc"):
        text = "Subject: " + subject + "\r\nIn-Reply-To: <a>\r\n \r\n <b> \r\n\r\nb"
        commands += ["APPEND INBOX {%d}\r\n%s" % (len(text), text), "FETCH * ENVELOPE"]
    play(pair.fresh(), commands)


def test_two_connections_see_each_other(pair):
    play(pair.fresh(2), [
        "1: SELECT INBOX", "2: SELECT INBOX", "1: STORE 1 +FLAGS (\\Flagged)", "2: NOOP", "2: STORE 2 +FLAGS.SILENT (\\Seen)", "1: NOOP",
        "1: STORE 3,5 +FLAGS.SILENT (\\Deleted)", "2: NOOP", "1: EXPUNGE", "2: FETCH 1 FLAGS", "2: NOOP", "2: UID SEARCH ALL", "2: COPY 1 INBOX", "2: NOOP", "1: NOOP",
        "1: STORE 1 +FLAGS.SILENT (shared)", "2: NOOP", "2: SEARCH KEYWORD shared",
        "1: STORE 1 +FLAGS.SILENT (\\Answered)", "1: STORE 1:2 -FLAGS.SILENT (\\Seen)", "1: STORE 1 +FLAGS.SILENT (\\Seen)", "1: STORE 1 -FLAGS (\\Answered)",
        "2: NOOP", "2: NOOP", "2: CLOSE", "1: LOGOUT"],
        ignore=[lambda a: a[0] in (b"*",) or isinstance(a, bytes) and a.endswith(b"RECENT")])


def test_idle(pair):
    (theirs, ours), (theirs2, ours2) = pair.fresh(2)
    for client, other in ((theirs, theirs2), (ours, ours2)):
        client.command("SELECT INBOX")
        other.command("SELECT INBOX")
        assert client.command("IDLE")[-1].startswith(b"+")
        other.command("STORE 1 +FLAGS (\\Flagged)")
        while not client.response().startswith(b"* 1 FETCH"):
            pass
        other.command("COPY 1 INBOX")
        while b"EXISTS" not in client.response():
            pass
        other.command("STORE 2 +FLAGS.SILENT (\\Deleted)")
        other.command("EXPUNGE")
        while not client.response() == b"* 2 EXPUNGE":
            pass
        client.send("DONE\r\n")
        while not client.response().split(b" ")[1:2] == [b"OK"]:
            pass
        assert client.command("NOOP")[-1].split(b" ")[1] == b"OK"


def test_pipelined_and_literal_plus(pair):
    (clients,) = pair.fresh()
    for c in clients:
        c.send("a SELECT INBOX\r\nb FETCH 1 FLAGS\r\nc APPEND Work {5+}\r\nx: y\n\r\nd STATUS {4+}\r\nWork (MESSAGES)\r\ne LOGOUT\r\n")
        tagged = []
        while len(tagged) < 5:
            r = c.response()
            if not r.startswith(b"*"):
                tagged.append(r.split(b" ")[:2])
        assert sorted(tagged) == [[t, b"OK"] for t in (b"a", b"b", b"c", b"d", b"e")]


def test_the_messages_of_the_mime_standards(pair):
    """what Dovecot answered to these, kept as data, so that this test needs no Dovecot of that version"""
    name = "u%d" % pair.n
    pair.n += 1
    c = Client(pair.ours.port("imap"), name, "secret")
    from imap_client import normal
    files = sorted(glob.glob(HERE + "/../data/mime-rfc/*.eml"))
    for f in files:
        text = open(f, "rb").read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert b" OK" in c.command(b"APPEND INBOX {%d}\r\n%s" % (len(text), text))[-1]
    c.command("SELECT INBOX")
    c.close()


def test_bounds(pair):
    """too long, too deep, too large: an answer, and the connection goes on"""
    (_, ours), = pair.fresh()
    ours.command("SELECT INBOX")
    for text in ("SEARCH " + "(" * 500 + "SEEN" + ")" * 500, "SEARCH " + "NOT " * 3000 + "SEEN", "FETCH 1 (" + "FLAGS " * 5000 + "UID)",
                 "FETCH 1 BODY[" + "1." * 300 + "1]", "FETCH 1 BODY.PEEK[HEADER.FIELDS (" + "x " * 1000 + "y)]", "SEARCH SUBJECT {99999999}\r\n",
                 "SELECT " + "x" * 3000, "CREATE " + "a." * 500 + "b", "APPEND INBOX {99999999999}\r\n", "STORE 1 +FLAGS (" + "k" * 3000 + ")",
                 "FETCH " + "1," * 20000 + "1 UID", "SEARCH " + "x" * 100000):
        r = ours.command(text)[-1]
        assert b" BAD" in r or b" NO" in r or b" OK" in r, (text[:60], r)
        assert ours.command("NOOP")[-1].split(b" ")[1] == b"OK", text[:60]
