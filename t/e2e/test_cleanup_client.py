"""What a client of cleanup can make it keep is bounded: a broken smtpd must not fill the memory of the host."""
import socket

import pytest

import pombal

QUIET = "cleanup_memory_limit = 2000000\n"


def record(kind, body):
    n, head = len(body), kind
    while True:
        group, n = n & 127, n >> 7
        head += bytes([group | (128 if n else 0)])
        if not n:
            return head + body


@pytest.fixture(scope="module")
def suite():
    s = pombal.Instance(main=QUIET)
    yield s
    s.close()


def submit(suite, records):
    """the answer to a submission; "" if cleanup hung up without one"""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(suite.queue + "/public/cleanup")
    answer = b""
    try:
        s.sendall(b"request\0submit\0flags\0000\0\0")
        for r in records:
            s.sendall(r)
    except (BrokenPipeError, ConnectionResetError):
        pass
    try:
        s.shutdown(socket.SHUT_WR)
        while b"\0\0" not in answer:
            piece = s.recv(65536)
            if not piece:
                break
            answer += piece
    except OSError:
        pass
    s.close()
    return answer.decode()


def resident(suite):
    return sum(int(line.split()[1]) for pid in suite.pids("cleanup") for line in open("/proc/%d/status" % pid) if line.startswith("VmRSS"))


@pytest.mark.parametrize("name", ["received_before", "received_after", "log_as", "log_text"])
def test_what_is_said_once_cannot_be_said_again(suite, name):
    r = record(b"A", name.encode() + b"=" + b"x" * 59000)
    answer = submit(suite, [r, r, record(b"S", b""), record(b"R", b"a@b"), record(b"M", b""), record(b"X", b""), record(b"E", b"")])
    assert "came twice" in answer


# what is sent again and again; each makes cleanup keep something
KEPT = {
    "headers": record(b"A", b"prepend=X-A: " + b"x" * 50000),
    "recipients": record(b"R", b"%d@x.test"),
    "original_recipients": record(b"A", b"dsn_orig_rcpt=rfc822;" + b"x" * 900) + record(b"O", b"y" * 900) + record(b"R", b"%d@x.test"),
    "full_names": record(b"F", b"x" * 50000),
    "filters": record(b"L", b"smtp:" + b"x" * 50000),
    "redirects": record(b">", b"x" * 50000 + b"@x.test"),
    "attributes": record(b"A", b"sasl_username=" + b"x" * 50000),
}


@pytest.mark.parametrize("what", sorted(KEPT))
def test_every_byte_that_is_kept_counts(suite, what):
    submit(suite, [record(b"S", b"")])
    before = resident(suite)
    one = KEPT[what]
    rcpt = record(b"R", b"%d@x.test")
    many = (one.replace(rcpt, record(b"R", b"%07d@x.test" % i)) for i in range(min(20_000_000 // len(one), 30_000)))
    answer = submit(suite, [record(b"T", b"1795397122 0"), record(b"S", b"s@x.test"), *many])
    assert "4.3.1" in answer or "too many" in answer or answer == ""
    assert resident(suite) - before < 120000  # KiB, with all that ASan adds


def test_a_message_with_many_recipients_passes(suite):
    records = [record(b"T", b"1795397122 0"), record(b"S", b"")] + [record(b"R", b"r%d@discard.test" % i) for i in range(1500)]
    assert "ok" in submit(suite, records + [record(b"M", b""), record(b"N", b"Subject: x"), record(b"X", b""), record(b"E", b"")])


def with_id(suite):
    """a submission of which smtpd wants to know the id early; socket and id"""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(suite.queue + "/public/cleanup")
    s.sendall(b"request\0submit_milters\0flags\0000\0\0")
    answer = b""
    while not answer.endswith(b"\0\0"):
        answer += s.recv(1000)
    assert answer.startswith(b"status\0ok\0queue_id\0")
    return s, answer.split(b"\0")[3].decode()


ENVELOPE = record(b"T", b"1795397122 0") + record(b"S", b"") + record(b"R", b"a@discard.test")
STATE = b"inet:one\t1000\t1000\t3\t6\t0\t0\t\t\n"  # of a milter: lib/milter/milter_state.c
CONTENT = record(b"M", b"") + record(b"N", b"Subject: x") + record(b"X", b"") + record(b"E", b"")


def test_the_id_is_told_before_the_message_has_come(suite):
    s, id = with_id(suite)
    s.sendall(ENVELOPE + CONTENT)
    assert ("queue_id\0%s\0" % id).encode() in s.recv(1000)
    s.close()


@pytest.mark.parametrize("what", ["no descriptor", "a file", "twice", "not asked for"])
def test_connections_to_milters_are_sockets_and_come_once(suite, what):
    if what == "not asked for":
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(suite.queue + "/public/cleanup")
        s.sendall(b"request\0submit\0flags\000128\0\0")
    else:
        s, _ = with_id(suite)
    s.sendall(ENVELOPE)
    ours, theirs = socket.socketpair()
    for _ in range(2 if what == "twice" else 1):
        with open("/dev/null") as null:
            fds = {"no descriptor": [], "a file": [null.fileno()]}.get(what, [theirs.fileno()])
            socket.send_fds(s, [record(b"m", STATE)], fds)
    s.sendall(CONTENT)
    assert b"why_code\0004.3.0\0why_text\0internal protocol error: connections to milters" in s.recv(1000)
    for x in (s, ours, theirs):
        x.close()
