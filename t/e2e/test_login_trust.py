"""A session exists only for a token that authd gave for a password: what a process of the suite that is broken into cannot do.

The tests speak as such a process: with its ids, on the sockets in private/.
"""
import array, base64, contextlib, os, pwd, signal, socket, time

import pytest

from pombal import IS_ROOT, wait_for

SUITE_MAIN = "first_valid_uid = 3\n"


def ids_of(suite, program):
    """uid, gid and other groups of a running program"""
    with open("/proc/%d/status" % suite.pids(program)[0]) as f:
        status = dict(line.split(":", 1) for line in f.read().splitlines())
    return int(status["Uid"].split()[1]), int(status["Gid"].split()[1]), [int(g) for g in status["Groups"].split()]


@contextlib.contextmanager
def acting_as(suite, program):
    """what is connected inside has the ids of that program, by which the others know who asks"""
    if not IS_ROOT:
        yield
        return
    if not suite.pids(program):
        suite.imap().logout()
        suite.pop3().quit()
    uid, gid, groups = ids_of(suite, program)
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def connect(suite, name, program):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    with acting_as(suite, program):
        s.connect(suite.queue + "/private/" + name)
    return s


class Auth:
    """a connection to authd: lines as lists of fields"""

    def __init__(self, suite, program, hello="VERSION\t1\t1\n"):
        self.sock = connect(suite, "auth", program)
        self.file = self.sock.makefile("rb")
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(hello.encode())
        while (line := self.line()) and line[0] != "DONE":
            if line[0] == "SPID":
                self.pid = int(line[1])

    def line(self):
        try:
            text = self.file.readline().decode()
        except ConnectionResetError:
            text = ""
        return text.rstrip("\n").split("\t") if text else None

    def ask(self, *fields):
        """the answer; none if the connection ends, now or before"""
        try:
            self.sock.sendall(("\t".join(fields) + "\n").encode())
        except ConnectionError:
            return None
        return self.line()


def get_token(suite, user="alice", service="imap"):
    front = Auth(suite, "imapd", "VERSION\t1\t1\nCPID\t%d\n" % os.getpid())
    plain = base64.b64encode(("\0%s\0%s" % (user, suite.password)).encode()).decode()
    answer = front.ask("AUTH", "1", "PLAIN", "service=" + service, "secured", "rip=127.0.0.1", "resp=" + plain)
    assert answer[0] == "OK", answer
    front.sock.close()
    return [f for f in answer if f.startswith("token=")][0][6:]


def get_ticket(suite, token, service="imap"):
    answer = Auth(suite, "mailbox").ask("EXCHANGE", "1", token, "service=" + service)
    assert answer[0] == "TICKET", answer
    return answer[3][len("ticket="):], answer[2]


class Session:
    """a request to the broker or to imap, with what its client would see"""

    def __init__(self, suite, where, *attrs, service="imap", program=None):
        sock = connect(suite, where, program or ("imapd" if where == "mailbox" else "mailbox"))
        mine, theirs = socket.socketpair()
        pair = socket.socketpair()
        fixed = (("service", service), ("tag", "x"), ("client_address", "127.0.0.1"), ("session", "abc"), ("flags", "2"))
        message = b"".join(n.encode() + b"\0" + str(v).encode() + b"\0" for n, v in attrs + fixed) + b"\0"
        fds = [theirs.fileno()] + ([pair[1].fileno()] if where != "mailbox" else [])
        sock.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        fields = sock.recv(4000).decode().split("\0")
        self.answer = dict(zip(fields[::2], fields[1::2]))
        theirs.close()
        pair[1].close()
        self.broker, self.client = pair[0], mine
        self.client.settimeout(60)
        sock.close()

    def opened(self):
        """whether the client is greeted; what it reads else is the end"""
        said = self.client.recv(200)
        assert said == b"" or said.startswith(b"x OK"), said
        return said != b""


def serve(suite, user, ticket, *more, where="imap"):
    return Session(suite, where, ("request", "serve"), ("user", user), ("ticket", ticket), *more)


def refused(session):
    return session.answer["status"] != "ok" and not session.opened()


def test_nobody_gets_a_session_by_naming_a_user(suite):
    mine = pwd.getpwuid(os.getuid())
    words = (("uid", 12345 if IS_ROOT else mine.pw_uid), ("gid", 12345 if IS_ROOT else mine.pw_gid),
             ("mail", "maildir:" + suite.maildir("alice")))
    assert refused(Session(suite, "imap", ("request", "serve"), ("user", "alice@example.test"), *words))
    suite.wait_log(r'imap\[\d+\]: warning: request "serve" of the mailbox broker is malformed or not allowed')
    assert refused(serve(suite, "alice@example.test", "0000" + "x" * 32, *words))
    suite.wait_log(r"authd\[\d+\]: warning: a session ticket is refused: unknown, or used already")
    suite.wait_log(r"imap\[\d+\]: warning: no session for user alice@example.test from 127.0.0.1: ")


def test_a_token_of_a_front_is_no_ticket(suite):
    token = get_token(suite)
    assert refused(serve(suite, "alice@example.test", token))
    suite.wait_log(r"a session ticket is refused: the mailbox broker has not shown it")
    # Whoever misuses it has used it.
    assert refused(Session(suite, "mailbox", ("request", "open"), ("token", token)))


def test_a_token_opens_one_session(suite):
    token = get_token(suite)
    first = Session(suite, "mailbox", ("request", "open"), ("token", token))
    assert first.answer["status"] == "ok" and first.opened()
    assert refused(Session(suite, "mailbox", ("request", "open"), ("token", token)))
    suite.wait_log(r"a login token is refused: unknown, or used already")
    first.client.close()


def test_a_ticket_opens_one_session_of_its_user(suite):
    ticket, user = get_ticket(suite, get_token(suite))
    assert user == "alice@example.test"
    first = serve(suite, user, ticket)
    assert first.answer["status"] == "ok" and first.opened()
    assert refused(serve(suite, user, ticket))
    first.client.close()
    ticket, user = get_ticket(suite, get_token(suite))
    assert refused(serve(suite, "bob@example.test", ticket))
    suite.wait_log(r"no session for user bob@example.test from 127.0.0.1: the ticket is for user alice@example.test")


def test_tokens_and_tickets_are_for_one_service(suite):
    assert refused(Session(suite, "mailbox", ("request", "open"), ("token", get_token(suite)), service="pop3"))
    suite.wait_log(r"a login token is refused: it is for another service")
    ticket, user = get_ticket(suite, get_token(suite))
    assert refused(Session(suite, "pop3", ("request", "serve"), ("user", user), ("ticket", ticket), service="pop3"))
    suite.wait_log(r"a session ticket is refused: it is for another service")
    # Nor is imap asked for a session of pop3.
    ticket, user = get_ticket(suite, get_token(suite, service="pop3"), service="pop3")
    assert refused(Session(suite, "imap", ("request", "serve"), ("user", user), ("ticket", ticket), service="pop3"))


@pytest.mark.skipif(not IS_ROOT, reason="one uid for all")
@pytest.mark.parametrize("program", ["cleanup", "qmgr", "mailbox"])
def test_who_does_not_start_sessions_learns_nothing_of_a_ticket(suite, program):
    suite.send("alice")  # these run
    ticket, user = get_ticket(suite, get_token(suite))
    assert Auth(suite, program).ask("REQUEST", "1", ticket, "service=imap") is None
    answer = Auth(suite, "imap").ask("REQUEST", "1", ticket, "service=imap")
    assert answer[:3] == ["USER", "1", user]


@pytest.mark.skipif(not IS_ROOT, reason="one uid for all")
@pytest.mark.parametrize("program", ["cleanup", "qmgr", "imapd"])
def test_who_is_not_the_broker_exchanges_no_token(suite, program):
    suite.send("alice")
    assert Auth(suite, program).ask("EXCHANGE", "1", get_token(suite), "service=imap") is None


@pytest.mark.skipif(not IS_ROOT, reason="one uid for all")
@pytest.mark.parametrize("program", ["imapd", "smtpd"])
def test_network_processes_do_not_reach_what_starts_sessions(suite, program):
    suite.smtp().quit()
    with pytest.raises(PermissionError):
        connect(suite, "imap", program)


def test_a_connection_asks_one_kind_of_question(suite):
    auth = Auth(suite, "imapd", "VERSION\t1\t1\nCPID\t1\n")
    assert auth.ask("EXCHANGE", "1", "x", "service=imap") is None
    auth = Auth(suite, "mailbox")
    assert auth.ask("EXCHANGE", "1", "x", "service=imap")[0] == "NOTFOUND"
    assert auth.ask("REQUEST", "2", "x", "service=imap") is None


def test_who_can_say_nothing_more_is_not_waited_for(suite):
    """it is known before the attempt has begun that the response which it will want is not to come"""
    auth = Auth(suite, "imapd", "VERSION\t1\t1\nCPID\t%d\n" % os.getpid())
    os.kill(auth.pid, signal.SIGSTOP)
    wait_for(lambda: open("/proc/%d/stat" % auth.pid).read().rsplit(")", 1)[1].split()[0] == "T")
    auth.sock.sendall(b"AUTH\t1\tLOGIN\tservice=imap\tsecured\n")
    auth.sock.shutdown(socket.SHUT_WR)
    os.kill(auth.pid, signal.SIGCONT)
    assert [auth.line()[0] for _ in range(2)] == ["CONT", "FAIL"]
    assert auth.line() is None


def test_whose_last_word_came_with_the_end_is_answered(suite):
    """the end is read before the attempt has seen the response"""
    auth = Auth(suite, "imapd", "VERSION\t1\t1\nCPID\t%d\n" % os.getpid())
    auth.sock.sendall(b"AUTH\t1\tPLAIN\tservice=imap\tsecured\n")
    assert auth.line()[0] == "CONT"
    os.kill(auth.pid, signal.SIGSTOP)
    auth.sock.sendall(b"CONT\t1\t%s\n" % base64.b64encode(b"\0alice\0" + suite.password.encode()))
    auth.sock.shutdown(socket.SHUT_WR)
    os.kill(auth.pid, signal.SIGCONT)
    assert auth.line()[:2] == ["OK", "1"]
    assert auth.line() is None


def test_tokens_and_tickets_end_with_their_time(make_suite):
    suite = make_suite(main="login_token_lifetime = 1s\n")

    def ticket_in_time():
        try:
            return get_ticket(suite, get_token(suite))
        except AssertionError:
            return None  # a busy machine took longer than a token lives

    def wait_over():
        over = time.monotonic() + 1.1
        wait_for(lambda: time.monotonic() > over)

    # One after the other: a new one may take the place of one that is over, of which then nothing is known.
    token = get_token(suite)
    wait_over()
    assert refused(Session(suite, "mailbox", ("request", "open"), ("token", token)))
    suite.wait_log(r"a login token is refused: it is older than login_token_lifetime")
    ticket, user = wait_for(ticket_in_time)
    wait_over()
    assert refused(serve(suite, user, ticket))
    suite.wait_log(r"a session ticket is refused: it is older than login_token_lifetime")


@pytest.mark.skipif(not IS_ROOT, reason="ids do not change")
@pytest.mark.parametrize("ids,text", [("0:0", r"uid 0 is outside of first_valid_uid and last_valid_uid"),
                                      ("2:4000", r"uid 2 is outside of first_valid_uid and last_valid_uid"),
                                      ("4000:0", r"gid 0 is outside of first_valid_gid")])
def test_no_session_of_a_system_user(suite, ids, text):
    name = "system%s" % ids.replace(":", "x")
    with open(suite.etc + "/passwd", "a") as f:
        f.write("%s@example.test:{PLAIN}secret:%s::%s::\n" % (name, ids, suite.maildir("alice")))

    def known():
        try:
            return get_token(suite, name)
        except AssertionError:
            return None
    token = wait_for(known)
    assert refused(Session(suite, "mailbox", ("request", "open"), ("token", token)))
    suite.wait_log(r"%s@example.test has logged in but has no mailbox: %s" % (name, text))
