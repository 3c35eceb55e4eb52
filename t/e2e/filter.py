"""A content filter in the manner of amavis: takes mail by SMTP, marks it, and gives it back by SMTP, with the envelope as it came."""
import socket, threading


class Filter:
    """back(): the port where mail goes back. Content that contains "virus" is refused. .seen has (commands, content) of each message,
    .active and .most how many connections there are and were at a time."""

    def __init__(self, back, offers=("PIPELINING", "8BITMIME", "DSN", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")):
        self.back, self.offers, self.seen, self.active, self.most = back, offers, [], 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with self.lock:
            self.active += 1
            self.most = max(self.most, self.active)
        try:
            with client, client.makefile("rb") as lines:
                self.session(client, lines)
        except OSError:
            pass
        finally:
            with self.lock:
                self.active -= 1

    def session(self, client, lines):
        say = lambda text: client.sendall(text.encode() + b"\r\n")
        commands = []
        say("220 filter.test ESMTP")
        for line in lines:
            line = line.rstrip(b"\r\n").decode("latin-1")
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                say("\r\n".join("250-" + word for word in ("filter.test",) + self.offers) + "\r\n250 SIZE")
            elif verb == "QUIT":
                return say("221 2.0.0 Bye")
            elif verb == "DATA":
                say("354 go")
                content = b""
                while not content.endswith(b"\r\n.\r\n"):
                    more = lines.readline()
                    if not more:
                        return
                    content += more
                self.seen.append((commands, content))
                say("554 5.7.0 Reject, virus" if b"virus" in content else self.give_back(commands, content))
                commands = []
            else:
                commands.append(line)
                say("250 2.0.0 Ok")

    def give_back(self, commands, content):
        with socket.create_connection(("127.0.0.1", self.back())) as s, s.makefile("rb") as replies:
            def ask(text):
                s.sendall(text if isinstance(text, bytes) else text.encode("latin-1") + b"\r\n")
                lines = [replies.readline().decode()]
                while lines[-1][3:4] == "-":
                    lines.append(replies.readline().decode())
                return "".join(lines).rstrip()
            replies.readline()
            offered = ask("EHLO filter.test")
            for command in commands + ["DATA"]:
                verb = command.split(" ")[0].upper()
                if verb == "RSET" or (verb == "XFORWARD" and verb not in offered):
                    continue
                reply = ask(command)
                if reply[0] not in "23":
                    return reply
            return ask(b"X-Scanned: yes\r\n" + content)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
