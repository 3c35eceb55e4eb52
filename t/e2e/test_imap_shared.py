"""Two connections of a user share a process and its folders: what one does while the other waits for its client"""
import os
import socket
import time

import pytest

import pombal

MESSAGES = 3000


def fill(suite, user, first, count, text):
    d = suite.maildir(user)
    owner = os.stat(d)
    for i in range(first, first + count):
        path = "%s/cur/%d.M%dP1.host:2," % (d, 1700000000 + i, i)
        with open(path, "w") as f:
            f.write(text % i)
        os.chown(path, owner.st_uid, owner.st_gid)


class Client(pombal.Raw):
    def __init__(self, suite, user="alice", receive=None):
        self.sock, self.pending = socket.socket(), b""
        if receive:  # before connecting: so much fits into the kernel, no more
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.sock.settimeout(pombal.PATIENCE)
        self.sock.connect(("127.0.0.1", suite.port("imap")))
        self.line()
        self.ok("LOGIN %s %s" % (user, suite.password))

    def command(self, text):
        self.send("x %s\r\n" % text)
        return self.until("x")

    def ok(self, text):
        lines = self.command(text)
        assert lines and lines[-1].startswith("x OK"), (text[:60], lines[-1:])
        return lines

    def append(self, text):
        return self.ok("APPEND INBOX {%d+}\r\n%s" % (len(text), text))

    def wait_until_answer_is_stuck(self, count):
        """what has been sent fills the buffers: the session waits in the middle of an answer"""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < 0.3:
            self.sock.setblocking(False)
            try:
                now = len(self.sock.recv(1 << 20, socket.MSG_PEEK))
            except BlockingIOError:
                now = 0
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.02)
        self.sock.settimeout(pombal.PATIENCE)
        assert seen < count, "the answer is too short for this test"


@pytest.fixture
def suite(make_suite):
    return make_suite()


def test_cached_texts_go_out_while_the_cache_is_mapped_anew(suite):
    subject = "S" * 1500
    fill(suite, "alice", 0, MESSAGES, "From: a@b.test\nSubject: " + subject + "\nMessage-ID: <%d@x.test>\n\nbody\n")
    b = Client(suite)
    b.ok("SELECT INBOX")
    b.ok("FETCH 1:* ENVELOPE")  # fills the cache
    b.ok("SELECT INBOX")
    a = Client(suite, receive=4096)
    a.ok("SELECT INBOX")
    a.send("y FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\n")
    a.wait_until_answer_is_stuck(MESSAGES * 1500)
    for _ in range(10):
        b.append("From: a@b.test\r\nSubject: %s\r\n\r\nb\r\n" % ("Q" * 60000))
        b.ok("UID FETCH * ENVELOPE")
    answer = a.until("y")
    assert answer and answer[-1].startswith("y OK"), answer[-1:]
    texts = [line for line in answer if " FETCH (" in line]
    assert len(texts) >= MESSAGES
    assert all(subject in line for line in texts)


def test_flags_are_told_while_messages_come(suite):
    count = 12000
    fill(suite, "alice", 0, count, "Subject: %d\n\nbody\n")
    b = Client(suite)
    b.ok("SELECT INBOX")
    a = Client(suite, receive=4096)
    a.ok("SELECT INBOX")
    # Lines of less than what is kept free for the start of the next: it is there that the session waits.
    keywords = " ".join("%s%d" % ("k" * 48, i) for i in range(8))
    b.ok("STORE 1:* +FLAGS.SILENT (\\Seen %s)" % keywords)
    a.send("y NOOP\r\n")
    a.wait_until_answer_is_stuck(count * len(keywords))
    fill(suite, "alice", count, count, "Subject: %d\n\nbody\n")
    b.ok("NOOP")
    told = a.until("y")
    assert told and told[-1].startswith("y OK"), told[-1:]
    flags = [line for line in told if " FETCH (" in line]
    assert len(flags) == count
    assert all("\\Seen " in line and keywords in line for line in flags)


def large(first, count):
    """a message of two parts, the second one of count lines"""
    return ("Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + first +
            "\r\n--b\r\n\r\n" + ("y" * 70 + "\r\n") * count + "--b--\r\n")


def test_a_message_is_taken_apart_once_for_all_items(suite):
    c = Client(suite)
    c.append(large("part", 150000))
    c.ok("SELECT INBOX")
    c.ok("FETCH 1 BODY.PEEK[1]")

    def seconds(items):
        start = time.monotonic()
        answer = c.ok("FETCH 1 (%s)" % " ".join(["BODY.PEEK[1]"] * items))
        assert " ".join(answer).count("part") == items
        return time.monotonic() - start
    one = min(seconds(1) for _ in range(5))
    assert min(seconds(150) for _ in range(2)) < 40 * one + 0.5


def test_what_takes_long_lets_others_of_the_user_run(suite):
    a, b = Client(suite), Client(suite)
    a.append(large("part", 100000))
    for c in (a, b):
        c.ok("SELECT INBOX")
    # There and back: the place of the last piece is of no use. So many that they are not done while b has a few turns.
    fetch = "FETCH 1 (%s)\r\n" % " ".join(["BODY.PEEK[2]<7000000.10>", "BODY.PEEK[2]<0.10>"] * 100)
    a.send("".join("%s %s" % (tag, fetch) for tag in ["x"] * 7 + ["y"]))
    for _ in range(2):
        b.ok("NOOP")
    a.sock.setblocking(False)
    try:
        assert b"y OK" not in a.sock.recv(1 << 20, socket.MSG_PEEK)
    except BlockingIOError:
        pass
    a.sock.settimeout(pombal.PATIENCE)
    assert a.until("y")[-1].startswith("y OK")
