"""A milter that asks for the changes it was made with, at the end of each message: packets of a length, a command and data."""
import socket, struct, threading

# what the server may not do without: add and change fields, body, recipients, sender
ACTIONS = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x40


def add_header(name, value):
    return b"h" + b"%s\0%s\0" % (name.encode(), value.encode())


def insert_header(index, name, value):
    return b"i" + struct.pack(">I", index) + b"%s\0%s\0" % (name.encode(), value.encode())


def change_header(index, name, value):
    return b"m" + struct.pack(">I", index) + b"%s\0%s\0" % (name.encode(), value.encode())


def add_rcpt(address):
    return b"+<%s>\0" % address.encode()


def drop_rcpt(address):
    return b"-<%s>\0" % address.encode()


def change_sender(address):
    return b"e<%s>\0" % address.encode()


def replace_body(text):
    return b"b" + text.encode()


class Milter:
    def __init__(self, *changes):
        self.changes = changes
        self.listener = socket.create_server(("127.0.0.1", 0))
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
        stream = connection.makefile("rwb")
        while (head := stream.read(4)) and len(head) == 4:
            packet = stream.read(struct.unpack(">I", head)[0])
            for answer in self.answers(packet[:1]):
                stream.write(struct.pack(">I", len(answer)) + answer)
            stream.flush()
            if packet[:1] == b"Q":
                break
        stream.close()
        connection.close()

    def answers(self, command):
        if command == b"O":
            return [b"O" + struct.pack(">III", 6, ACTIONS, 0)]
        if command == b"E":
            return list(self.changes) + [b"c"]
        return [] if command in (b"D", b"A", b"Q", b"K") else [b"c"]

    def close(self):
        self.listener.close()
