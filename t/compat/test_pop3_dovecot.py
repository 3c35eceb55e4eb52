"""The same POP3 script to Dovecot and to ours, on copies of one Maildir: the same answers, but for the
words behind +OK and -ERR."""
import os
import random
import re
import shutil
import subprocess

import pytest

import pombal
from dovecot import HAVE, Dovecot

pytestmark = pytest.mark.skipif(not HAVE or os.getuid() != 0, reason="needs Dovecot, and root to run it")

MESSAGES = [
    b"From: a@b\nSubject: one\n\nhello\n",
    b"From: a@b\r\nSubject: CRLF\r\n\r\n.dot\r\n..two\r\n\r\nend\r\n",
    b"Subject: no end of line\n\nlast",
    b"Subject: only a header\n",
    b"no header at all",
    b"Subject: empty body\n\n",
    b"\nbody without a header\n",
    # Not on the first line of all: Dovecot 2.3.19 does not double that dot.
    b"Subject: dots\n.\n..\n.\n\n.\n",
    b"Subject: long\n\n" + b"x" * 20000 + b"\n" + b".y\n" * 5000,
    b"Subject: 8bit \xff\xfe\n\n\xc3\xa4\x80\n",
    b"Subject: lone CR\n\na\rb\r\r\nc\r",
    b"Subject: NUL\n\na\0b\n",
]
SCRIPT = ["STAT", "LIST", "UIDL", "LIST 1", "LIST 13", "LIST 0", "LIST x", "UIDL 2", "UIDL 99", "NOOP", "RSET", "FOO", "RETR", "RETR 0",
          "RETR 99", "TOP 1", "TOP 1 x", "TOP 99 1", "DELE", "DELE 99", "DELE 3", "DELE 3", "RETR 3", "LIST 3", "STAT", "LIST", "UIDL",
          "TOP 3 1", "RSET", "STAT"]
SCRIPT += ["RETR %d" % n for n in range(1, len(MESSAGES) + 1)]
SCRIPT += ["TOP %d %d" % (n, k) for n in range(1, len(MESSAGES) + 1) for k in (0, 1, 2, 100)]
SCRIPT += ["DELE 1 2", "DELE 1,2", "RETR 1 x", "LIST 1 2", "UIDL 1 x", "TOP 1 1 x", "TOP 1 99999999999", "STAT"]
# Errors end the connection when they come in a row only.
SCRIPT += ["XLAST 1", "NOOP"] * 25
SCRIPT += ["DELE 2", "DELE 4", "QUIT"]
MULTILINE = re.compile(r"^(LIST|UIDL|RETR \S+|TOP \S+ \S+)$")


def fill(folder, uid, gid):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(folder + "/" + sub, exist_ok=True)
    random.seed(7)
    for i, text in enumerate(MESSAGES):
        sub, flags = ("new", "") if i % 2 else ("cur", ":2," + random.choice(["", "S", "RS"]))
        with open("%s/%s/17000000%02d.M%dP1.host%s" % (folder, sub, i, i, flags), "wb") as f:
            f.write(text)
    subprocess.run(["chown", "-R", "%d:%d" % (uid, gid), folder], check=True)


def take_over(folder, uid, gid):
    """uids and uidvalidity as a Dovecot before us gave them, so that UIDL agrees"""
    with open(folder + "/dovecot-uidlist", "w") as f:
        f.write("3 V1700000000 N%d G0123456789abcdef0123456789abcdef\n" % (len(MESSAGES) + 1))
        for i in range(len(MESSAGES)):
            f.write("%d :17000000%02d.M%dP1.host\n" % (i + 1, i, i))
    shutil.chown(folder + "/dovecot-uidlist", uid, gid)


def run(port, script):
    r = pombal.Raw(port)
    r.line()
    answers = []
    for command in ["USER alice", "PASS secret"] + script:
        r.send(command + "\r\n")
        first = r.line()
        answer = [first.split(" ")[0]]
        if command == "STAT" or re.match(r"(LIST|UIDL) \d+$", command):
            answer = [first if first.startswith("+OK") else "-ERR"]
        if first.startswith("+OK") and MULTILINE.match(command):
            while (line := r.line()) != ".":
                assert line is not None, command
                answer.append(line)
        answers.append((command, answer))
    assert r.line() is None
    return answers


def test_the_same_script_gives_the_same_answers(suite):
    owner = os.stat(suite.maildir("alice"))
    uid, gid = owner.st_uid, owner.st_gid
    theirs = Dovecot("alice:{PLAIN}secret:%d:%d::/nonexistent::\n" % (uid, gid), uid=uid, gid=gid)
    try:
        for folder in (theirs.mail + "/alice", suite.maildir("alice")):
            fill(folder, uid, gid)
            take_over(folder, uid, gid)
        for script in (SCRIPT, ["STAT", "LIST", "UIDL", "RETR 2", "QUIT"]):
            expected, got = run(theirs.pop3, script), run(suite.port("pop3"), script)
            for e, g in zip(expected, got):
                assert e == g, "Dovecot first"
    finally:
        theirs.close()


@pytest.mark.parametrize("form", ["%g", "%f", "%Mf", "%v.%u", "%u", "%08Xv%08Xu", "%Uf-%-5.3v", "%5.0f", "x%%%010u"])
def test_unique_ids_are_the_same_in_each_format(make_suite, form):
    s = make_suite(main="pop3_uidl_format = %s\n" % form)
    owner = os.stat(s.maildir("alice"))
    theirs = Dovecot("alice:{PLAIN}secret::::::\n", uid=owner.st_uid, gid=owner.st_gid, more="protocol pop3 {\n  pop3_uidl_format = %s\n}\n" % form)
    try:
        os.chown(theirs.mail, owner.st_uid, owner.st_gid)
        answers = []
        for folder, port in ((theirs.mail + "/alice", theirs.pop3), (s.maildir("alice"), s.port("pop3"))):
            fill(folder, owner.st_uid, owner.st_gid)
            take_over(folder, owner.st_uid, owner.st_gid)
            answers.append(run(port, ["UIDL", "UIDL 3", "QUIT"]))
        assert answers[0] == answers[1]
    finally:
        theirs.close()
