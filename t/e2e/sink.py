"""An SMTP or LMTP server for tests that does what it is told: replies per command, rude ends, TLS, AUTH."""
import socket, ssl, threading


class Sink:
    """replies: {"RCPT TO:<bad@x>": "550 5.1.1 no", "MAIL": "close", ...}: the longest key that begins the command
    decides; a reply may be a list (one after the other, the last for ever), "close" (hang up) or "silent".
    ehlo: keywords. Commands are kept in .commands, contents in .messages, connections counted in .connections."""

    def __init__(self, replies=None, ehlo=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 1000000"), lmtp=False,
                 path=None, greeting="220 sink.test ESMTP", tls=None, address="127.0.0.1", port=0):
        self.replies, self.ehlo, self.lmtp, self.greeting, self.tls = dict(replies or {}), list(ehlo), lmtp, greeting, tls
        self.commands, self.messages, self.connections, self.bursts = [], [], 0, []
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((address, port))
        self.socket.listen(50)
        self.port = None if path else self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def pick(self, line):
        keys = [k for k in self.replies if line.upper().startswith(k.upper())]
        if not keys:
            return None
        key = max(keys, key=len)
        reply = self.replies[key]
        if isinstance(reply, list):
            return reply.pop(0) if len(reply) > 1 else reply[0]
        return reply

    def serve(self, client):
        try:
            self.session(client)
        except (OSError, EOFError):
            pass
        finally:
            client.close()

    def session(self, client):
        buffer, rcpts, secure = b"", [], False

        def line():
            nonlocal buffer
            while b"\r\n" not in buffer:
                got = client.recv(65536)
                if not got:
                    raise EOFError
                self.bursts.append(got)
                buffer += got
            text, buffer = buffer.split(b"\r\n", 1)
            return text

        def say(text):
            client.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")

        if self.greeting == "close":
            return
        if self.greeting == "silent":
            return line()
        say(self.greeting)
        if not self.greeting.startswith("2"):
            return
        while True:
            command = line().decode("utf-8", "replace")
            self.commands.append(command)
            verb = command.split(" ")[0].upper()
            reply = self.pick(command)
            if reply == "close":
                return
            if reply == "silent":
                line()
                return
            if reply:
                say(reply)
            elif verb in ("EHLO", "LHLO"):
                words = ["sink.test"] + self.ehlo + (["STARTTLS"] if self.tls and not secure else [])
                say("\n".join("250%s%s" % ("-" if i + 1 < len(words) else " ", w) for i, w in enumerate(words)))
            elif verb == "STARTTLS" and self.tls:
                say("220 2.0.0 go")
                client, secure = self.tls.wrap_socket(client, server_side=True), True
                buffer = b""
            elif verb == "QUIT":
                say("221 2.0.0 Bye")
                return
            elif verb == "DATA":
                say("354 go" if rcpts else "554 5.5.1 no valid recipients")
            else:
                say("250 2.0.0 Ok")
            if reply and not reply.startswith(("2", "3")):
                continue
            if verb == "MAIL":
                rcpts = []
            elif verb == "RCPT":
                rcpts.append(command)
            elif verb == "DATA" and (rcpts or reply):
                content = []
                while True:
                    text = line()
                    if text == b".":
                        break
                    content.append(text[1:] if text.startswith(b".") else text)
                if rcpts:
                    self.messages.append(b"\n".join(content))
                for rcpt in (rcpts if self.lmtp else [""]):
                    reply = self.pick("." + rcpt) or self.pick(".") or "250 2.0.0 Ok: queued as SINK%d" % len(self.messages)
                    if reply == "close":
                        return
                    say(reply)
                rcpts = []
