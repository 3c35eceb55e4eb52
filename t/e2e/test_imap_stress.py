"""Many clients on one folder: each keeps a model of what it was told, and every response must fit it. RFC 3501 5.2, 7.4.1"""
import random
import re
import socket
import threading

import pytest

import pombal

CLIENTS = 10
COMMANDS = 60
PATIENCE = 60
MESSAGE = "From: stress@example.test\r\nSubject: %d\r\n\r\nbody %d\r\n"


class Wrong(Exception):
    pass


class Model:
    """A client that believes only what it is told. uids[n - 1]: of message n, None: not heard yet"""

    def __init__(self, port, user, password, seed):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.buffer = b""
        self.random = random.Random(seed)
        self.uids, self.flags = [], {}
        self.last_uid = self.uidnext = 0
        self.tag = 0
        self.selected = self.may_expunge = False
        self.searched = None
        self.log = []
        self.line()
        self.do("LOGIN %s %s" % (user, password))

    def close(self):
        self.sock.close()

    def fill(self):
        more = self.sock.recv(1 << 16)
        if not more:
            raise Wrong("connection ended")
        self.buffer += more

    def line(self):
        whole = b""
        while True:
            while b"\r\n" not in self.buffer:
                self.fill()
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            whole += line
            literal = re.search(rb"\{(\d+)\}$", line)
            if not literal:
                return whole.decode("latin-1")
            while len(self.buffer) < int(literal[1]):
                self.fill()
            whole += self.buffer[:int(literal[1])]
            self.buffer = self.buffer[int(literal[1]):]

    def check(self, good, line, text):
        if not good:
            raise Wrong("%s: %r after %r" % (text, line[:200], self.log[-12:]))

    def untagged(self, line):
        found = re.match(r"\* (\d+) (EXISTS|EXPUNGE|FETCH|RECENT)(.*)", line, re.S)
        if found:
            getattr(self, "on_" + found[2].lower())(int(found[1]), found[3], line)
        elif line.startswith("* SEARCH"):
            self.searched = [int(n) for n in line.split()[2:]]
        elif line.startswith("* OK [UIDNEXT "):
            self.uidnext = int(line[14:].split("]")[0])
        self.check(not line.startswith(("* BAD", "* NO", "* BYE")), line, "untagged trouble")

    def on_exists(self, n, rest, line):
        self.check(n >= len(self.uids), line, "EXISTS below the number of messages")
        self.uids += [None] * (n - len(self.uids))

    def on_recent(self, n, rest, line):
        self.check(n <= len(self.uids), line, "more recent messages than there are")

    def on_expunge(self, n, rest, line):
        self.check(self.may_expunge, line, "EXPUNGE when none is allowed")
        self.check(1 <= n <= len(self.uids), line, "EXPUNGE of no message")
        del self.uids[n - 1]

    def on_fetch(self, n, rest, line):
        self.check(1 <= n <= len(self.uids), line, "FETCH of no message")
        uid = re.search(r"\bUID (\d+)", rest)
        if uid:
            uid = int(uid[1])
            self.check(self.uids[n - 1] in (None, uid), line, "the uid has changed from %r" % self.uids[n - 1])
            self.uids[n - 1] = uid
            known = [u for u in self.uids if u is not None]
            self.check(known == sorted(set(known)), line, "uids do not ascend: %r" % known)

    def do(self, command, literal=None):
        """the tagged response's text"""
        self.tag += 1
        tag = "t%d" % self.tag
        name = command.split()[0]
        self.may_expunge = self.selected and name not in ("FETCH", "STORE", "SEARCH")
        self.log.append(command[:60])
        self.sock.sendall(("%s %s\r\n" % (tag, command)).encode())
        while True:
            line = self.line()
            self.log.append(line[:60])
            if line.startswith("+"):
                self.sock.sendall(literal + b"\r\n")
            elif line.startswith("* "):
                self.untagged(line)
            else:
                self.check(line.startswith(tag + " "), line, "not the tag %s" % tag)
                self.check(" BAD" not in line[:len(tag) + 5], line, "refused")
                return line[len(tag) + 1:]

    def select(self):
        self.selected = True
        self.uids = []
        self.check(self.do("SELECT Stress").startswith("OK [READ-WRITE]"), "", "cannot select")

    # What clients do, in any order.

    def fetch(self):
        if self.uids:
            low, high = sorted(self.random.choices(range(1, len(self.uids) + 1), k=2))
            self.do("FETCH %d:%d (UID FLAGS)" % (low, high))

    def fetch_bodies(self):
        if self.uids:
            self.do("FETCH %d (UID BODY.PEEK[])" % self.random.randrange(1, len(self.uids) + 1))

    def uid_fetch(self):
        self.do("UID FETCH 1:* (FLAGS)")
        heard = [u is not None for u in self.uids]  # what came since stands at the end
        self.check(heard == sorted(heard, reverse=True), "", "a message was not told of by UID FETCH 1:*")

    def store(self):
        if self.uids:
            n = self.random.randrange(1, len(self.uids) + 1)
            self.do("STORE %d %sFLAGS%s (%s)" % (n, self.random.choice("+-"), self.random.choice(("", ".SILENT")), self.random.choice(("\\Seen", "\\Flagged", "\\Deleted", "word"))))

    def uid_store(self):
        known = [u for u in self.uids if u]
        if known:
            self.do("UID STORE %d +FLAGS (\\Deleted)" % self.random.choice(known))

    def expunge(self):
        self.do("EXPUNGE")

    def append(self):
        text = (MESSAGE % (self.tag, self.tag)).encode()
        answer = self.do("APPEND Stress (\\Seen) {%d}" % len(text), text)
        self.check(re.match(r"OK \[APPENDUID \d+ \d+\]", answer), answer, "not appended")

    def copy(self):
        if self.uids:
            n = self.random.randrange(1, len(self.uids) + 1)
            answer = self.do("COPY %d:%d Stress" % (n, min(n + 2, len(self.uids))))
            self.check(answer.startswith(("OK [COPYUID", "NO [EXPUNGEISSUED]")), answer, "neither copied nor gone")

    def move(self):
        if len(self.uids) > 20:
            self.do("UID MOVE %d:%d Other" % (self.uids[0] or 1, self.uids[0] or 1))

    def search(self):
        self.do(self.random.choice(("SEARCH SEEN", "SEARCH UNDELETED", "SEARCH SUBJECT 1", "SEARCH ALL")))
        self.check(all(1 <= n <= len(self.uids) for n in self.searched), "", "SEARCH found no message of ours")

    def idle(self):
        self.tag += 1
        self.may_expunge = True
        self.sock.sendall(b"t%d IDLE\r\n" % self.tag)
        while not self.line_of_idle().startswith("+"):
            pass
        self.sock.sendall(b"DONE\r\n")
        while not self.line_of_idle().startswith("t%d OK" % self.tag):
            pass

    def line_of_idle(self):
        line = self.line()
        self.log.append(line[:60])
        if line.startswith("* "):
            self.untagged(line)
        return line

    def noop(self):
        self.do("NOOP")

    def reselect(self):
        self.select()

    ACTS = ([fetch, fetch_bodies, uid_fetch, store, store, uid_store, append, append, copy, search, idle, noop] * 2) + [expunge, move, reselect]

    def act(self):
        self.random.choice(self.ACTS)(self)


def run(client, trouble):
    try:
        client.select()
        for _ in range(COMMANDS):
            client.act()
    except Exception as e:
        trouble.append("%s: %s" % (type(e).__name__, e))


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_clients_on_one_folder_are_told_the_same_story(make_suite, seed):
    name = "stress"
    suite = make_suite(main="mail_max_userip_connections = 20\n", start=False)
    suite.add_user(name)
    suite.start()
    setup = suite.imap(name)
    for folder in ("Stress", "Other"):
        assert setup.create(folder)[0] == "OK"
    for i in range(30):
        assert setup.append("Stress", None, None, (MESSAGE % (i, i)).encode())[0] == "OK"
    setup.logout()
    clients = [Model(suite.port("imap"), name, suite.password, seed * 100 + i) for i in range(CLIENTS)]
    trouble = []
    threads = [threading.Thread(target=run, args=(c, trouble)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not trouble, "\n".join(trouble)
    # All see the same in the end, and as one that comes anew does.
    fresh = Model(suite.port("imap"), name, suite.password, 0)
    for c in clients + [fresh]:
        if c is fresh:
            c.select()
        c.noop()
        c.uid_fetch()
    assert all(c.uids == fresh.uids for c in clients)
    assert not fresh.uids or fresh.uidnext > fresh.uids[-1]
    for c in clients + [fresh]:
        c.close()

