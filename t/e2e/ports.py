"""Ports for tests: below those of outgoing connections, and never one that another test process has chosen too."""
import fcntl, os, random, socket

FIRST, LAST = 10000, 31000  # net.ipv4.ip_local_port_range begins at 32768
# One byte of this file stands for each port; whoever has it locked may listen there. The locks end with the process.
BOOK = os.open("/tmp/pombal-test-ports.%d" % os.getuid(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
CLAIMED = set()


def claim(port):
    """true if nobody listens there on any address, and no other test has chosen it"""
    if port in CLAIMED:
        return False
    try:
        fcntl.lockf(BOOK, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    CLAIMED.add(port)
    try:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            with socket.socket(socket.AF_INET, kind) as s:
                s.bind(("0.0.0.0", port))
        return True
    except OSError:
        return False


def free_port():
    """a port that nobody else gets until this process ends"""
    while True:
        port = random.randrange(FIRST, LAST)
        if claim(port):
            return port


def free_base(offsets):
    """a number that makes a port of one's own with each of the offsets"""
    while True:
        base = random.randrange(FIRST, LAST)
        if all(claim(base + offset) for offset in offsets):
            return base
