"""A milter that does what a test tells it: packets of a length, a command and data. It remembers what it was sent.

Milter(*changes) asks for these changes at the end of each message. answers says what it does at other events: a letter of
a command to a packet, a list of packets, one of the deeds below, or a function of the packet that returns one of these."""
import socket, struct, threading, time

# what the server may not do without: add and change fields, body, recipients, sender
ACTIONS = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x40
QUARANTINE, RCPT_ARGS, SYMLIST = 0x20, 0x80, 0x100
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HDRS, NO_EOH, NO_UNKNOWN, NO_DATA = (
    0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x100, 0x200)
SKIP, RCPT_REJECTED, LEADING_SPACE = 0x400, 0x800, 0x100000
NR_HDR, NR_CONN, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA, NR_UNKNOWN, NR_EOH, NR_BODY = (
    0x80, 0x1000, 0x2000, 0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000)
GO_ON, ACCEPT, REJECT, TEMPFAIL, DISCARD, SHUTDOWN, PROGRESS, SKIP_REST = (
    b"c", b"a", b"r", b"t", b"d", b"4", b"p", b"s")
# deeds: close the connection, reset it, answer nothing until the other side closes
DIE, RESET, HANG = "die", "reset", "hang"
EVENTS = {"connect": b"C", "helo": b"H", "mail": b"M", "rcpt": b"R", "data": b"T", "unknown": b"U", "header": b"L", "eoh": b"N",
          "body": b"B", "eom": b"E"}


class Raw:
    """bytes that are no packet; dies: it closes the connection behind them"""

    def __init__(self, data, dies=False):
        self.data, self.dies = data, dies


def packet(data):
    return struct.pack(">I", len(data)) + data


def add_header(name, value):
    return b"h" + b"%s\0%s\0" % (name.encode(), value.encode())


def insert_header(index, name, value):
    return b"i" + struct.pack(">I", index) + b"%s\0%s\0" % (name.encode(), value.encode())


def change_header(index, name, value):
    return b"m" + struct.pack(">I", index) + b"%s\0%s\0" % (name.encode(), value.encode())


def add_rcpt(address):
    return b"+<%s>\0" % address.encode()


def add_rcpt_args(address, args):
    return b"2<%s>\0%s\0" % (address.encode(), args.encode())


def drop_rcpt(address):
    return b"-<%s>\0" % address.encode()


def change_sender(address, args=None):
    return b"e<%s>\0" % address.encode() + (b"" if args is None else args.encode() + b"\0")


def replace_body(text):
    return b"b" + text.encode()


def quarantine(reason):
    return b"q" + reason.encode() + b"\0"


def reply(text):
    return b"y" + text.encode() + b"\0"


class Milter:
    """offer: version, actions, protocol of its answer to the negotiation; None: what it was offered, with no flags of the
    protocol. symlists: lists of macros it wants, by the number of the stage. unix: a path to listen at, else at."""

    def __init__(self, *changes, answers={}, offer=(6, ACTIONS, 0), symlists={}, unix=None, at=("127.0.0.1", 0)):
        self.changes, self.answers_to, self.offer, self.symlists = changes, dict(answers), offer, symlists
        self.sessions = []  # of each connection: the packets that came
        self.open = []
        self.changed = threading.Condition()
        if unix:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(unix)
            self.listener.listen(50)
        else:
            self.listener = socket.create_server(at, backlog=50)
            self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream, seen = connection.makefile("rwb"), []
        with self.changed:
            self.sessions.append(seen)
            self.open.append(seen)
        try:
            while (head := stream.read(4)) and len(head) == 4:
                data = stream.read(struct.unpack(">I", head)[0])
                with self.changed:
                    seen.append(data)
                    self.changed.notify_all()
                if data[:1] == b"Q" or not self.do(connection, stream, self.answer(data)):
                    break
        except OSError:
            pass
        with self.changed:
            self.open.remove(seen)
            self.changed.notify_all()
        for end in (stream, connection):
            try:
                end.close()
            except OSError:
                pass

    def do(self, connection, stream, deed):
        """False: that was the end of the connection"""
        for one in deed if isinstance(deed, list) else [deed]:
            if one == HANG:
                stream.flush()
                while stream.read(4096):
                    pass
                return False
            if one == DIE:
                stream.flush()
                return False
            if one == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if isinstance(one, (int, float)):
                stream.flush()
                time.sleep(one)
            elif isinstance(one, Raw):
                stream.write(one.data)
                if one.dies:
                    stream.flush()
                    return False
            elif one is not None:
                stream.write(packet(one))
        stream.flush()
        return True

    def answer(self, data):
        command = data[:1]
        deed = self.answers_to.get(command)
        if callable(deed):
            deed = deed(data)
        if deed is not None:
            return deed
        if command == b"O":
            return self.negotiate(data)
        if command == b"E":
            return list(self.changes) + [b"c"]
        return [] if command in (b"D", b"A", b"Q", b"K") or self.silent(command) else [b"c"]

    def silent(self, command):
        """no answer is wanted, as it has said at the negotiation"""
        flags = {b"L": NR_HDR, b"C": NR_CONN, b"H": NR_HELO, b"M": NR_MAIL, b"R": NR_RCPT, b"T": NR_DATA, b"U": NR_UNKNOWN,
                 b"N": NR_EOH, b"B": NR_BODY}
        return self.offer is not None and flags.get(command, 0) & self.offer[2]

    def negotiate(self, data):
        version, actions, protocol = self.offer or struct.unpack(">III", data[1:13])[:2] + (0,)
        lists = b"".join(struct.pack(">I", stage) + names.encode() + b"\0" for stage, names in self.symlists.items())
        return [b"O" + struct.pack(">III", version, actions, protocol) + lists]

    def script(self, **answers):
        """from now on, by the names of EVENTS; what is not named goes on"""
        self.answers_to = {EVENTS[name]: deed for name, deed in answers.items()}

    def wait_idle(self, seconds=30):
        """until no connection is open"""
        with self.changed:
            assert self.changed.wait_for(lambda: not self.open, seconds), "connections are still open"

    def take(self):
        """what was sent since the last time, of each connection a list; macros of the parts are kept together"""
        with self.changed:
            sessions, self.sessions = self.sessions, [s for s in self.sessions if s in self.open]
        return sessions

    def close(self):
        self.listener.close()
