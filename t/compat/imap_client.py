"""A plain IMAP client for comparisons: whole responses with their literals, and their normal form."""
import re
import socket

PATIENCE = 60


class Client:
    def __init__(self, port, user, password):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.buffer = b""
        self.count = 0
        self.greeting = self.response()
        assert b" OK " in self.command("LOGIN %s %s" % (user, password))[-1]

    def close(self):
        self.sock.close()

    def fill(self):
        more = self.sock.recv(1 << 16)
        if not more:
            raise EOFError(repr(self.buffer[:200]))
        self.buffer += more

    def response(self):
        """one response: a line, with the literals in it"""
        whole = b""
        while True:
            while b"\r\n" not in self.buffer:
                self.fill()
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            whole += line
            literal = re.search(rb"\{(\d+)\}$", line)
            if not literal:
                return whole
            n = int(literal[1])
            while len(self.buffer) < n:
                self.fill()
            whole += b"\r\n" + self.buffer[:n]
            self.buffer = self.buffer[n:]

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("utf-8"))

    def command(self, text):
        """text may hold literals as {n}CRLF; they are sent after the continuation request"""
        self.count += 1
        tag = b"t%d" % self.count
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        found = []
        pieces = re.split(rb"(\{\d+\}\r\n)", tag + b" " + data + b"\r\n")
        self.send(pieces[0] + (pieces[1] if len(pieces) > 1 else b""))
        at = 2
        while True:
            r = self.response()
            if r.startswith(b"+") and at < len(pieces):
                self.send(pieces[at] + (pieces[at + 1] if at + 1 < len(pieces) else b""))
                at += 2
                continue
            found.append(r)
            if r.startswith(tag + b" ") or r.startswith(b"* BYE") and self.ended():
                return found
            if r.startswith(b"+"):
                return found

    def ended(self):
        self.sock.settimeout(2)
        try:
            self.fill()
        except (EOFError, OSError):
            return True
        finally:
            self.sock.settimeout(PATIENCE)
        return False


def parse(data):
    """the words of a response: bytes, None, lists; atoms and strings look alike, literals too"""
    pos = 0

    def word():
        nonlocal pos
        if data[pos:pos + 1] == b"(":
            pos += 1
            items = []
            while data[pos:pos + 1] != b")":
                if pos >= len(data):
                    raise ValueError("open list: %r" % data)
                if data[pos:pos + 1] == b" ":
                    pos += 1
                else:
                    items.append(word())
            pos += 1
            return items
        if data[pos:pos + 1] == b'"':
            out = b""
            pos += 1
            while data[pos:pos + 1] != b'"':
                if data[pos:pos + 1] == b"\\":
                    pos += 1
                out += data[pos:pos + 1]
                pos += 1
            pos += 1
            return ("s", out)
        literal = re.match(rb"\{(\d+)\}\r\n", data[pos:])
        if literal:
            start = pos + literal.end()
            pos = start + int(literal[1])
            return ("s", data[start:pos])
        atom = re.match(rb"(?:[^ ()\[\"]|\[[^\]]*\](?:<\d+>)?)+", data[pos:])
        if not atom:
            raise ValueError("at %r" % data[pos:pos + 50])
        pos += atom.end()
        return atom[0].upper() if atom[0].upper() == b"NIL" else atom[0]

    words = []
    while pos < len(data):
        if data[pos:pos + 1] == b" ":
            pos += 1
        else:
            words.append(word())
    return words


def freeze(x):
    return tuple(freeze(i) for i in x) if isinstance(x, list) else x


def section(name):
    """BODY[HEADER.FIELDS (A B)]: without quotes and case, as one key"""
    return name.upper().replace(b'"', b"")


def normal(r):
    """a form in which two servers' responses are equal if they say the same; None: left out"""
    if re.match(rb"\* OK \[(HIGHESTMODSEQ|NOMODSEQ)", r) or r.startswith((b"* CAPABILITY", b"* ID", b"* ENABLED")):
        return None
    tagged = re.match(rb"(\S+) (OK|NO|BAD|BYE|PREAUTH)(?: \[([A-Z-]+)([^\]]*)\])?", r)
    if tagged and tagged[1] != b"*" or tagged and not r.startswith(b"* OK ["):
        # texts are free; these codes are extra information that RFC 3501 does not know
        code = tagged[3] if tagged[3] in (b"TRYCREATE", b"READ-ONLY", b"READ-WRITE", b"APPENDUID", b"COPYUID", b"BADCHARSET") else None
        data = re.sub(rb"^ \d+", b" V", tagged[4]) if code in (b"APPENDUID", b"COPYUID") else b""
        return (tagged[1][:1], tagged[2], code, data)
    m = re.match(rb"\* OK \[(\w+)(?: (.*?))?\] ", r)
    if m:
        if m[1] in (b"UIDVALIDITY",):
            return ("ok", m[1])
        if m[1] == b"COPYUID":
            return ("ok", m[1], re.sub(rb"^\d+", b"V", m[2]))
        if m[1] == b"PERMANENTFLAGS":
            return ("ok", m[1], frozenset(m[2].strip(b"()").lower().split()))
        return ("ok", m[1], m[2])
    m = re.match(rb"\* (\d+) FETCH ", r)
    if m:
        items = parse(r[m.end():])[0]
        pairs = {}
        for key, value in zip(items[::2], items[1::2]):
            key = section(key)
            pairs[key] = frozenset(v.lower() for v in value) if key == b"FLAGS" else freeze(value)
        pairs.pop(b"MODSEQ", None)
        return ("fetch", int(m[1]), frozenset(pairs.items()))
    m = re.match(rb"\* (LIST|LSUB) \((.*?)\) ", r)
    if m:
        attributes = set(m[2].lower().split()) - {b"\\marked", b"\\unmarked"}
        return (m[1], frozenset(attributes), freeze([w[1] if isinstance(w, tuple) else w for w in parse(r[m.end():])]))
    if r.startswith(b"* FLAGS"):
        return ("flags", frozenset(r[9:-1].lower().split()))
    if r.startswith(b"* STATUS"):
        words = parse(r[9:])
        pairs = dict(zip(words[1][::2], words[1][1::2]))
        pairs.pop(b"UIDVALIDITY", None)
        return ("status", words[0], frozenset(pairs.items()))
    if r.startswith(b"* SEARCH"):
        return ("search",) + tuple(sorted(int(n) for n in r[9:].split() if n.isdigit()))
    return r


def answers(client, command):
    return [n for n in map(normal, client.command(command)) if n is not None]
