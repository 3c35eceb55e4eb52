"""As much of Dovecot's authentication server as PLAIN needs; takes every password."""
import os, socket, threading


def at_path(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(10)
    return listener


class AuthServer:
    """listener: a socket; mechs: what it offers"""

    def __init__(self, listener, mechs=("PLAIN",)):
        self.listener, self.mechs = listener, mechs
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        sock.sendall(b"VERSION\t1\t1\n" + b"".join(b"MECH\t%s\tplaintext\n" % m.encode() for m in self.mechs) + b"SPID\t1\nCUID\t1\nCOOKIE\t%s\nDONE\n" % (b"0" * 32))
        try:
            for line in sock.makefile("rb"):
                if line.startswith(b"AUTH\t"):
                    sock.sendall(b"OK\t%s\tuser=jane\n" % line.split(b"\t")[1])
        except OSError:
            pass
        sock.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
