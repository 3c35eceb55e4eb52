"""More than the suite can take: the limit per client over all processes, stress when a service is full, mail that comes
in faster than it goes out; and what a crash leaves in the queue."""
import os, re, signal, subprocess, threading, time

import pytest

import pombal
from sink import Sink

ALONE = "    -o sessions_per_process=1\n"
COUNTED = "    -o smtpd_client_connection_count_limit=3\n    -o smtpd_client_event_limit_exceptions=\n"
TOO_MANY = "421 4.7.0 mail.example.test Error: too many connections from 127.0.0.1"


def with_service(make_suite, maxproc, options):
    suite, port = make_suite(start=False), pombal.free_port()
    suite.add_master("127.0.0.1:%d inet n - n - %s smtpd\n%s" % (port, maxproc, options))
    suite.start()
    return suite, port


def greeted(port):
    raw = pombal.Raw(port)
    reply = raw.reply()
    if not reply.startswith("220 "):
        raw.close()
        return reply
    return raw


def test_limit_of_one_client_holds_over_all_processes(make_suite):
    suite, port = with_service(make_suite, "10", ALONE + COUNTED)
    inside = [greeted(port) for _ in range(3)]
    assert greeted(port) == TOO_MANY
    inside.pop().ask("QUIT")
    inside.append(pombal.wait_for(lambda: isinstance(raw := greeted(port), pombal.Raw) and raw))
    # A reload changes nothing of it: the old processes serve, the new ones count theirs.
    suite.reload()
    assert greeted(port) == TOO_MANY
    # What a killed process had is forgotten, as soon as another one starts.
    begun, ended = [re.findall(r"smtpd\[(\d+)\]: %s from" % what, suite.log()) for what in ("connect", "disconnect")]
    pid = next(pid for pid in begun if pid not in ended)
    os.kill(int(pid), signal.SIGKILL)
    inside.append(pombal.wait_for(lambda: isinstance(raw := greeted(port), pombal.Raw) and raw))
    assert greeted(port) == TOO_MANY
    for raw in inside:
        raw.close()


def test_silent_clients_are_dropped_when_the_service_is_full(make_suite):
    suite, port = with_service(make_suite, "3", "    -o sessions_per_process=2\n    -o { smtpd_timeout = ${stress?{1}:{300}}s }\n")
    silent = [greeted(port) for _ in range(2)]
    silent[1].ask("EHLO silent.test")
    silent.append(greeted(port))  # the last that has room: from now on there is stress
    began = time.monotonic()
    late = greeted(port)  # waits until there is room again
    assert isinstance(late, pombal.Raw)
    assert time.monotonic() - began < pombal.PATIENCE / 2
    assert late.ask("EHLO late.test").startswith("250")
    for raw in silent:
        assert raw.reply() == "421 4.4.2 mail.example.test Error: timeout exceeded"
    suite.wait_log(r"has reached its process limit \"3\"")
    suite.wait_log(r"timeout after CONNECT from")
    # In force for new sessions, too, also in new processes.
    fresh = greeted(port)
    assert fresh.reply() == "421 4.4.2 mail.example.test Error: timeout exceeded"


MAIL = "MAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
# What each keeps the server waiting for: bytes at once, then those that come one a second for ever.
SLOW = {
    "connect": (b"", b""),
    "half a command": (b"EHLO slow", b""),
    "a command in drops": (b"NOOP ", b"x"),
    "half of the content": (MAIL.encode() + b"Subject: x\r\n\r\nhalf a line", b""),
    "content in drops": (MAIL.encode() + b"Subject: x\r\n\r\n", b"x"),
    "half of a handshake": (b"STARTTLS\r\n", b""),
    "a handshake in drops": (b"STARTTLS\r\n", b"\x16"),
}
MANY = 110


class Slow:
    """one of many clients that want the port for themselves"""

    def __init__(self, port, kind):
        self.raw, self.kind, (begin, self.drop) = greeted(port), kind, SLOW[kind]
        assert isinstance(self.raw, pombal.Raw), self.raw
        if begin:
            assert self.raw.ask("EHLO slow.test").startswith("250")
        for line in begin.splitlines(keepends=True):
            self.raw.send(line)
            if line.endswith(b"\r\n") and not line.startswith(b"Subject") and line != b"\r\n":
                assert self.raw.reply()[:1] in "23"
        if "handshake" in kind:
            self.raw.send(b"\x16\x03\x01\x02")  # the head of a record of 512 bytes
        self.open = True

    def go_on(self):
        try:
            self.raw.send(self.drop)
        except OSError:
            self.open = False


def test_slow_clients_do_not_keep_the_port(make_suite):
    """110 of them, of all kinds, have all the room there is: after a while there is room again, while they go on"""
    suite, port = with_service(make_suite, str(MANY), "".join("    -o { %s = %s }\n" % o for o in (
        ("smtpd_timeout", "${stress?{2}:{300}}s"), ("smtpd_starttls_timeout", "${stress?{2}:{300}}s"),
        ("sessions_per_process", "20"), ("smtpd_client_connection_count_limit", "0"))))
    slow = [Slow(port, list(SLOW)[i % len(SLOW)]) for i in range(MANY)]
    over = threading.Event()

    def trickle():
        while not over.wait(1):
            for s in slow:
                if s.drop and s.open:
                    s.go_on()

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        began = time.monotonic()
        late = greeted(port)
        assert isinstance(late, pombal.Raw) and time.monotonic() - began < pombal.PATIENCE / 2
        assert late.ask("EHLO late.test").startswith("250")
        late.close()
        for s in slow:  # each kind: not only the silent ones made room
            s.raw.sock.settimeout(pombal.PATIENCE)
            try:
                while s.raw.sock.recv(4096):
                    pass
            except ConnectionResetError:
                pass
            except TimeoutError:
                raise AssertionError(s.kind)
    finally:
        over.set()
        thread.join()


def test_who_wants_no_stress_has_none(make_suite):
    suite, port = with_service(make_suite, "1", "    -o stress=\n    -o { smtpd_timeout = ${stress?{1}:{300}}s }\n")
    silent = greeted(port)
    suite.wait_log(r"has reached its process limit \"1\"")
    time.sleep(2)  # nothing is to happen
    assert silent.ask("NOOP").startswith("250")


def took(suite, **kw):
    began = time.monotonic()
    suite.send("alice", **kw)
    return time.monotonic() - began


@pytest.mark.parametrize("delay", [1, 0])
def test_clients_are_slowed_down_when_mail_comes_in_faster_than_it_goes_out(make_suite, delay):
    """The queue manager takes no more than two messages, and those stay: the others lie in incoming."""
    sink = Sink(greeting="silent")
    suite = make_suite(main="qmgr_message_active_limit = 2\nin_flow_delay = %d\nmydestination =\nrelay_domains = example.test\n"
                       "relay_recipient_maps =\ntransport_maps = inline:{example.test=smtp:[127.0.0.1]:%d}" % (delay, sink.port))
    try:
        def slowed_down():
            return all(took(suite) >= 1 for _ in range(3))  # the machine alone may delay one
        if delay == 1:
            pombal.wait_for(slowed_down)
        else:
            assert not slowed_down()
        assert suite.queue_files("incoming") or delay == 0
    finally:
        sink.close()


def test_start_removes_what_a_dead_writer_left(make_suite):
    suite = make_suite(start=False)
    suite.tool("pombal", "check")
    dead = subprocess.Popen(["true"])
    dead.wait()
    stat = os.stat(suite.queue + "/incoming")

    def temporary(name, pid, age):
        path = "%s/%s/%s.%d" % (suite.queue, name, "123456", pid)
        open(path, "w").write("half a file")
        os.chown(path, stat.st_uid, stat.st_gid)
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    gone = [temporary("incoming", dead.pid, 7200), temporary("hold", dead.pid, 7200), temporary("maildrop", os.getpid(), 100000)]
    left = [temporary("incoming", os.getpid(), 7200), temporary("maildrop", dead.pid, 60)]
    suite.start()
    assert [os.path.exists(p) for p in gone + left] == [False] * 3 + [True] * 2
    suite.wait_log(r"removed temporary file incoming/123456\.%d" % dead.pid)
