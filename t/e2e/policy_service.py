"""A policy service (SMTPD_POLICY_README) that a test scripts: it records what it is asked, and answers or misbehaves as it is told."""
import os, socket, threading


def reply(action):
    return b"action=" + action.encode() + b"\n\n"


class PolicyService:
    """answer(request): bytes to send; None: the connection is closed without an answer; a function is called with the socket, and
    true if the connection stays open. requests: all that came, as dictionaries in the order of their attributes; "connection" is which
    one it came by, "raw" its bytes. closed: the connections that are over."""

    def __init__(self, answer=lambda request: reply("dunno"), path=None, mode=0o666, at=("127.0.0.1", 0)):
        self.answer, self.path, self.requests, self.connections, self.open = answer, path, [], 0, set()
        self.lock, self.closed = threading.Lock(), set()
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            os.chmod(path, mode)
            self.listener.listen(64)
        else:
            self.listener = socket.create_server(at)
            self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(sock)
                number = self.connections
            threading.Thread(target=self.serve, args=(sock, number), daemon=True).start()

    def serve(self, sock, number):
        f = sock.makefile("rb")
        try:
            while self.one(sock, f, number):
                pass
        except OSError:
            pass
        with self.lock:
            self.open.discard(sock)
            self.closed.add(number)
        f.close()
        sock.close()

    def one(self, sock, f, number):
        """serves a request; false: the connection is over"""
        lines = []
        for line in iter(f.readline, b"\n"):
            if not line.endswith(b"\n"):
                return False
            lines.append(line)
        request = dict(line[:-1].decode("utf-8", "surrogateescape").split("=", 1) for line in lines)
        request.update(connection=number, raw=b"".join(lines))
        with self.lock:
            self.requests.append(request)
        answer = self.answer(request)
        if callable(answer):
            return answer(sock)
        if answer is not None:
            sock.sendall(answer)
        return answer is not None

    def take(self):
        """the requests so far, which are then forgotten"""
        with self.lock:
            taken, self.requests = self.requests, []
        return taken

    def drop(self):
        """closes the connections that are open"""
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was faster

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()
        self.drop()
        if self.path:
            os.unlink(self.path)
