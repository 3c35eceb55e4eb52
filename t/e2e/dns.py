"""A real name server (knot) for tests, on a loopback address, with the zones that a test gives it."""
import os, shutil, signal, subprocess, tempfile

from pombal import wait_for, free_port


class Dns:
    """zones: {"a.test": "@ MX 10 mx.a.test.\\nmx A 127.0.0.2\\n"}; a new text for a zone takes effect with set()"""

    def __init__(self, zones, port=0):
        self.dir = tempfile.mkdtemp(prefix="pombal-dns-", dir="/tmp")
        self.port = port or free_port()
        self.serial = 1
        self.names = sorted(zones)
        for name, text in zones.items():
            self.write(name, text)
        conf = ("server:\n  rundir: %s\n  listen: 127.0.0.1@%d\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
                "database:\n  storage: %s\nlog:\n  - target: %s/log\n    any: warning\n"
                "template:\n  - id: default\n    storage: %s\n    zonefile-load: whole\n    journal-content: none\nzone:\n"
                % (self.dir, self.port, self.dir, self.dir, self.dir))
        conf += "".join("  - domain: %s\n    file: %s.zone\n" % (n, n) for n in self.names)
        with open(self.dir + "/knot.conf", "w") as f:
            f.write(conf)
        self.process = None
        self.start()

    @property
    def server(self):
        return "127.0.0.1:%d" % self.port

    def write(self, name, text):
        with open("%s/%s.zone" % (self.dir, name), "w") as f:
            f.write("$ORIGIN %s.\n$TTL 5\n@ SOA ns hostmaster %d 60 60 3600 5\n@ NS ns\nns A 127.0.0.1\n%s" % (name, self.serial, text))

    def set(self, name, text):
        self.serial += 1
        self.write(name, text)
        self.control("zone-reload", name)

    def control(self, *words):
        return subprocess.run(["knotc", "-c", self.dir + "/knot.conf", "-b", *words], capture_output=True, text=True)

    def start(self):
        self.process = subprocess.Popen(["knotd", "-c", self.dir + "/knot.conf"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for(self.answers)

    def answers(self):
        import socket
        query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"".join(
            bytes([len(p)]) + p.encode() for p in self.names[0].split(".")) + b"\x00\x00\x06\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            try:
                s.sendto(query, ("127.0.0.1", self.port))
                return s.recv(512)[3] & 15 == 0
            except OSError:
                return False

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
