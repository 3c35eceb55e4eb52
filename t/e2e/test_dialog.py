"""Each file of dialog/ is a conversation that must pass, line by line.

  connect: imap            the service (smtp, submission, pop3, imap); also "connect: imap alice" after a login
  mail: alice S 120        a message with these Maildir flags (- for none) and virtual size comes into alice's mailbox
  mail: alice S @x.eml     the message in dialog/x.eml does
  C: text                  the client sends; $APOP is the digest of the greeting's stamp and the password
  S: text                  the next line of the server; <...> stands for anything, also for nothing
  S+: text                 one of the next lines; those before it may be anything
  S?: text                 like S: for lines that may come in any order with their S?: neighbours
"""
import glob, hashlib, os, re, time

import pytest

import pombal

FILES = sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dialog", "*.txt")))


def pattern(text):
    return re.compile("".join(".*" if part.startswith("<") and part.endswith(">") and len(part) > 2 and not re.match(r"<\S+@\S+>$", part)
                              else re.escape(part) for part in re.split(r"(<[^<>]*>)", text)) + r"\s*$")


def message(size):
    if size.startswith("@"):
        return open(os.path.join(os.path.dirname(FILES[0]), size[1:])).read()
    size = int(size)
    head = "Subject: message of %d octets\r\nFrom: a@elsewhere.test\r\n\r\n" % size
    text = head + "x" * (size - len(head) - 2) + "\r\n"
    assert len(text) == size, "too small for a message: %d" % size
    return text.replace("\r\n", "\n")


def put_message(suite, user, flags, size):
    folder = suite.maildir(user)
    path = "%s/%s/%d.%s.test" % (folder, "new" if flags == "-" else "cur", time.time_ns(), suite.dir[-6:])
    path += "" if flags == "-" else ":2," + flags
    with open(path, "w") as f:
        f.write(message(size))
    owner = os.stat(folder)
    if pombal.IS_ROOT:
        os.chown(path, owner.st_uid, owner.st_gid)


class Talk:
    def __init__(self, suite):
        self.suite, self.raw, self.greeting, self.seen = suite, None, "", []

    def connect(self, service, user=None):
        self.raw = pombal.Raw(self.suite.port(service))
        if user:
            self.raw.line()
            self.raw.send("login LOGIN %s %s\r\n" % (user, self.suite.password))
            assert self.raw.until("login")[-1].startswith("login OK")

    def client(self, text):
        stamp = re.search(r"<[^<>]+>", "\n".join(self.seen[:1]))
        if stamp:
            text = text.replace("$APOP", hashlib.md5((stamp.group() + self.suite.password).encode()).hexdigest())
        self.raw.send(text + "\r\n")

    def line(self):
        line = self.raw.line()
        assert line is not None, "the connection ended after: %s" % self.seen[-3:]
        self.seen.append(line)
        return line


@pytest.mark.parametrize("path", FILES, ids=[os.path.basename(f)[:-4] for f in FILES])
def test_dialog(make_suite, path):
    suite = make_suite(main="smtpd_peername_lookup = no\nrelay_domains = relay.test\n")
    talk, waiting = Talk(suite), []
    for number, row in enumerate(open(path).read().split("\n"), 1):
        kind, _, text = row.partition(":")
        text = text[1:] if text.startswith(" ") else text
        where = "%s:%d" % (os.path.basename(path), number)
        if kind != "S?" and waiting:
            while waiting:
                line = talk.line()
                match = next((p for p in waiting if p.match(line)), None)
                assert match, "%s: unexpected: %s" % (where, line)
                waiting.remove(match)
        if kind == "connect":
            talk.connect(*text.split())
        elif kind == "mail":
            user, flags, size = text.split()
            put_message(suite, user, flags, size)
        elif kind == "C":
            talk.client(text)
        elif kind == "S":
            line = talk.line()
            assert pattern(text).match(line), "%s: wanted %r, got %r" % (where, text, line)
        elif kind == "S+":
            while not pattern(text).match(talk.line()):
                pass
        elif kind == "S?":
            waiting.append(pattern(text))
        else:
            assert not row.strip() or row.startswith("#"), "%s: what is this?" % where
    talk.raw.close()
