"""What a process that is broken into cannot do to the others: the log, signals, files of root.

What each filter refuses is tried call by call in t/unit/test_jail.c; here, that the running suite is so.
"""
import ctypes, glob, os, re, signal, socket, struct, subprocess, time

import pytest

from pombal import BIN, IS_ROOT, wait_for


def program(pid):
    return open("/proc/%d/cmdline" % pid).read().split("\0")[0].rsplit("/", 1)[-1]


def parent(pid):
    return int(open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[1])


def status(pid, name):
    return re.search(r"^%s:\s+(.*)$" % name, open("/proc/%d/status" % pid).read(), flags=re.M).group(1)


def has_open(pid, path):
    found = []
    for fd in glob.glob("/proc/%d/fd/*" % pid):
        try:
            if os.readlink(fd) == path:
                found.append(fd)
        except OSError:
            pass
    return found


def sessions(suite, name):
    """forked session processes of the program"""
    return [p for p in suite.pids(name) if parent(p) != suite.master_pid()]


# On a slow machine there are minutes between two tests, and they look at processes that are there.
SUITE_MAIN = "max_idle = 3600s\n"


@pytest.fixture(scope="module")
def busy(suite):
    """mail went through all programs, and there are two sessions"""
    suite.send(["alice", "team"])
    suite.wait_mail("alice", 2)
    clients = [suite.imap(), suite.pop3("bob")]
    yield suite
    clients[0].logout()
    clients[1].quit()


# ---- the log

def test_only_its_writer_and_master_have_the_log_open(busy):
    having = {program(pid) for pid in busy.pids() if has_open(pid, busy.log_path)}
    assert having == {"postlogd"}
    assert len(busy.pids()) > 8


def test_the_writer_has_it_for_appending(busy):
    (pid,) = busy.pids("postlogd")
    for fd in has_open(pid, busy.log_path):
        flags = int(re.search(r"flags:\s+(\d+)", open(fd.replace("/fd/", "/fdinfo/")).read()).group(1), 8)
        assert flags & os.O_APPEND and flags & os.O_ACCMODE == os.O_WRONLY


@pytest.mark.skipif(not IS_ROOT, reason="all processes are the same user")
def test_nobody_but_root_may_open_the_daemons_socket(suite):
    path = suite.queue + "/private/postlog"
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.stat(path).st_uid == 0


def public_line(suite, text, **user):
    """sends a line as another program would, from a process of its own; its pid"""
    code = "import os, socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.connect(sys.argv[1])\n" \
           "s.send(sys.argv[2].replace('PID', str(os.getpid())).encode())\nprint(os.getpid())"
    os.chmod(suite.queue + "/public", 0o711)  # stands for the set-gid tools
    os.chmod(suite.queue + "/public/postlog", 0o666)
    r = subprocess.run(["/usr/bin/python3", "-c", code, suite.queue + "/public/postlog", text], capture_output=True, text=True,
                       check=True, **user)
    return int(r.stdout)


@pytest.mark.skipif(not IS_ROOT, reason="root may say anything; others must be somebody else")
def test_a_plain_user_cannot_write_lines_of_daemons_or_of_other_processes(suite):
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    pid = public_line(suite, "mine[PID]: good", **nobody)
    suite.wait_log(r"^\w+ [ \d]\d [\d:]{8} \S+ mine\[%d\]: good$" % pid)
    pid = public_line(suite, "postfix/smtpd[PID]: forged one", **nobody)
    suite.wait_log(r"^\w+ [ \d]\d [\d:]{8} \S+ [^ /]+\[%d\]: uid 65534 says: postfix/smtpd\[%d\]: forged one$" % (pid, pid))
    pid = public_line(suite, "mine[1]: forged two", **nobody)
    suite.wait_log(r"\[%d\]: uid 65534 says: mine\[1\]: forged two$" % pid)
    pid = public_line(suite, "mine[PID]: x\nNov 29 10:00:00 host postfix/smtpd[1]: forged three", **nobody)
    suite.wait_log(r"\[%d\]: uid 65534 says: Nov 29 10:00:00 host postfix/smtpd\[1\]: forged three$" % pid)
    assert not re.search(r"^\S+ +\S+ \S+ \S+ (postfix/smtpd|mine)\[\d+\]: forged", suite.log(), flags=re.M)


def test_the_log_goes_on_after_it_was_renamed(make_suite):
    suite = make_suite()
    client = suite.smtp()  # of a process that began with the old file
    old = suite.log_path + ".1"
    os.rename(suite.log_path, old)
    suite.reload()
    suite.wait_log(r"master\[\d+\]: reload --")
    wait_for(lambda: [p for p in suite.pids("postlogd") if has_open(p, suite.log_path)])
    client.quit()
    suite.wait_log(r"disconnect from .* quit=1")
    suite.send("alice")
    suite.wait_log(r"to=<alice@\S+>.*status=sent")
    assert "status=sent" not in open(old).read()


def test_no_line_of_a_stop_is_lost(make_suite):
    suite = make_suite()
    clients = [suite.smtp() for _ in range(20)]
    suite.stop()
    log = suite.log()
    assert len(re.findall(r"smtpd\[\d+\]: connect from", log)) >= len(clients)
    ends = len(re.findall(r"smtpd\[\d+\]: disconnect from", log))
    assert ends == len(re.findall(r"smtpd\[\d+\]: connect from", log))


def test_no_line_is_lost_when_postlogd_is_killed(make_suite):
    suite = make_suite()
    (pid,) = suite.pids("postlogd")
    os.kill(pid, signal.SIGKILL)
    with suite.smtp() as s:
        for n in range(15):
            s.helo("a%d.test" % n)
            s.mail("x%d@y.test" % n)
            s.rcpt("nobody%d@example.test" % n)
            s.rset()
    for n in range(15):
        suite.wait_log(r"NOQUEUE: reject: RCPT .*to=<nobody%d@example.test>" % n)


def test_check_and_reload_refuse_a_log_file_that_nobody_would_write(make_suite):
    suite = make_suite()
    path = suite.etc + "/master.cf"
    text = open(path).read()
    open(path, "w").write(re.sub(r"^postlog.*\n", "", text, flags=re.M))
    for command in ("check", "reload"):
        r = suite.tool("pombal", command, check=False)
        assert r.returncode == 1 and "postlog unix-dgram n - n - 1 postlogd" in r.stderr, r.stderr
    suite.send("alice")
    suite.wait_log(r"status=sent")  # nothing has changed
    open(path, "w").write(text)


# ---- helpers

def kept(pid):
    """what an intruder in it could use: sockets, files"""
    found = {}
    for fd in glob.glob("/proc/%d/fd/*" % pid):
        if int(os.path.basename(fd)) > 2:
            try:
                found[os.path.basename(fd)] = os.readlink(fd)
            except OSError:
                pass
    return found


def test_the_helpers_of_authd_have_nothing_of_its_own(busy):
    """no listening socket, no channel to master, no tokens of logins"""
    (authd,) = [p for p in busy.pids("authd") if parent(p) == busy.master_pid()]
    helpers = [p for p in busy.pids("authd") if p != authd]
    assert len(helpers) >= 2
    for pid in helpers:
        assert len(kept(pid)) <= 2, kept(pid)  # the log, and the socket of questions
        maps = open("/proc/%d/maps" % pid).read()
        assert "memfd:pombal" not in maps and "/metrics" not in maps
    assert "memfd:pombal" in open("/proc/%d/maps" % authd).read()


@pytest.mark.skipif(not IS_ROOT, reason="only root needs the reader")
def test_the_helpers_of_authd_are_nobody_and_their_supervisors_too(busy):
    (authd,) = [p for p in busy.pids("authd") if parent(p) == busy.master_pid()]
    helpers = [p for p in busy.pids("authd") if p != authd]
    supervisors = [p for p in helpers if parent(p) == authd]
    assert len(supervisors) == 2 and len(helpers) > 2
    owner = os.stat(busy.queue + "/active").st_uid
    readers = 0
    for pid in helpers:
        reads = int(status(pid, "CapEff"), 16) == 1 << 2  # any file: CAP_DAC_READ_SEARCH
        readers += reads
        assert set(status(pid, "Uid").split()) == {str(2**32 - 3 if reads else owner)}
        assert "0" not in status(pid, "Gid").split() + status(pid, "Groups").split()
        assert reads or int(status(pid, "CapPrm"), 16) == 0
        assert int(status(pid, "CapBnd"), 16) == 0 and status(pid, "NoNewPrivs") == "1"
        assert status(pid, "Seccomp_filters") == ("1" if pid in supervisors else "2")
    assert readers == 2  # one, and its supervisor


@pytest.mark.skipif(not IS_ROOT, reason="only root needs the reader")
@pytest.mark.parametrize("is_link", [False, True])
def test_a_table_of_root_is_read_again_after_the_reader_has_died(make_suite, is_link):
    """in the jail of the supervisor, which also knows where a link leads"""
    suite = make_suite(start=False)
    path = suite.etc + "/passwd"
    if is_link:
        os.mkdir(suite.dir + "/elsewhere", 0o755)
        os.rename(path, suite.dir + "/elsewhere/users")
        os.symlink("../elsewhere/users", path)
        path = suite.dir + "/elsewhere/users"
    os.chmod(path, 0o600)
    suite.start()
    suite.imap("alice").logout()
    (reader,) = [p for p in suite.pids("authd") if int(status(p, "CapEff"), 16) and status(p, "Seccomp_filters") == "2"]
    os.kill(reader, signal.SIGKILL)
    suite.wait_log("table reader: a helper process has ended with signal 9; starting another")
    with open(path + ".new", "w") as f:
        f.write(re.sub(r"^alice@.*\n", "", open(path).read(), flags=re.M))
    os.chmod(path + ".new", 0o600)
    os.rename(path + ".new", path)
    with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
        suite.imap("alice")
    suite.imap("bob").logout()


# ---- sessions and what forks them

def test_a_session_has_a_second_filter_and_no_rights(busy):
    found = sessions(busy, "imap") + sessions(busy, "pop3")
    assert len(found) == 2
    for pid in found:
        assert status(pid, "Seccomp_filters") == "2", program(pid)
        assert all(int(status(pid, c), 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"))


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_what_forks_sessions_owns_nothing(busy):
    for name in ("imap", "pop3"):
        (pid,) = [p for p in busy.pids(name) if parent(p) == busy.master_pid()]
        uid = int(status(pid, "Uid").split()[0])
        assert uid not in {os.stat(p).st_uid for p in (busy.dir, busy.queue, busy.queue + "/active", busy.maildir("alice"))}
        assert int(status(pid, "CapEff"), 16) == 1 << 6 | 1 << 7  # setgid, setuid


# ---- master

def descriptor_of(pid, fd):
    """the same socket in this process: what code in that one could do, we do"""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    copy = libc.syscall(438, process, fd, 0)
    os.close(process)
    assert copy >= 0, os.strerror(ctypes.get_errno())
    return copy


def listening(pid, port):
    """its descriptor of the listening socket; port: or the path"""
    for fd in sorted(int(n) for n in os.listdir("/proc/%d/fd" % pid)):
        copy = descriptor_of(pid, fd)
        try:
            with socket.socket(fileno=copy) as s:
                if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and port in (s.getsockname(), s.getsockname()[1]):
                    return s.detach()
        except OSError:
            continue
    raise AssertionError("process %d does not listen on %d" % (pid, port))


@pytest.mark.skipif(not IS_ROOT, reason="takes descriptors of other processes")
@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("interfaces", ["127.0.0.1", "all"])
def test_the_end_of_an_intruder_leaves_the_port_open(make_suite, connected, interfaces):
    """he can disconnect the listening socket, which is master's and that of all processes, too, and connect it elsewhere"""
    suite = make_suite(main="inet_interfaces = %s\n" % interfaces)
    suite.smtp().quit()
    (pid,) = suite.pids("smtpd")
    fd = listening(pid, suite.port("smtp"))
    os.kill(pid, signal.SIGSTOP)  # else it sees that nobody can come any more, and may have ended before all is done
    nothing = ctypes.create_string_buffer(16)  # AF_UNSPEC
    assert ctypes.CDLL(None).connect(fd, nothing, 16) == 0
    if connected:
        with socket.create_server(("127.0.0.1", 0)) as elsewhere, socket.socket(fileno=os.dup(fd)) as s:
            s.connect_ex(elsewhere.getsockname())  # under way: it does not block, and stays so
            elsewhere.accept()[0].close()
    os.close(fd)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: suite.listens("smtp"))
    suite.wait_log(r"error: \S+:%d: process \d+ has closed the socket for all: it is open again" % suite.port("smtp"))
    suite.smtp().quit()


@pytest.mark.skipif(not IS_ROOT, reason="takes descriptors of other processes")
@pytest.mark.parametrize("how", [socket.SHUT_RDWR, socket.SHUT_RD])
def test_the_end_of_an_intruder_leaves_the_sockets_open(make_suite, how):
    """he can shut those with a path: then nobody can connect, and there must be a new one"""
    suite = make_suite(main="sessions_per_process = 1\n")
    suite.send("alice")
    clients = [suite.smtp(), suite.smtp()]
    for c in clients:
        c.ehlo("x.test"), c.mail("a@x.test"), c.rcpt("alice@" + suite.domain), c.docmd("DATA")
        c.send(b"Subject: x\r\n\r\n" + b"x\r\n" * 300000)  # cleanup has it while it comes
    (pid, other) = wait_for(lambda: len(suite.pids("cleanup")) == 2 and suite.pids("cleanup"))
    for c in clients:
        c.send(b".\r\n")
        assert c.getreply()[0] == 250
        c.quit()
    suite.wait_mail("alice", 3)
    path = suite.queue + "/public/cleanup"
    before = os.stat(path)
    with socket.socket(fileno=listening(pid, "public/cleanup")) as s:
        s.shutdown(how)
    with pytest.raises(ConnectionRefusedError):
        socket.socket(socket.AF_UNIX).connect(path)
    os.kill(pid, signal.SIGKILL)
    suite.wait_log(r"error: public/cleanup: process %d has closed the socket for all: it is open again" % pid)
    after = os.stat(path)
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
    wait_for(lambda: other not in suite.pids("cleanup"))  # which has the old socket
    suite.send("alice")
    suite.wait_mail("alice", 4)


@pytest.mark.skipif(not IS_ROOT, reason="takes descriptors of other processes")
@pytest.mark.parametrize("word", [b"A", b"S"])
def test_no_intruder_keeps_a_service_at_one_process(make_suite, word):
    """by telling master, as qmgr or authd does, that there must not be two"""
    suite = make_suite(main="sessions_per_process = 1\n")
    clients = [suite.smtp()]
    running = suite.pids("smtpd")
    status = descriptor_of(running[0], 3)
    os.write(status, word)
    os.close(status)
    clients += [suite.smtp() for _ in range(len(running) + 1)]
    for c in clients:
        assert c.noop()[0] == 250
        c.quit()


@pytest.mark.skipif(not IS_ROOT, reason="takes descriptors of other processes")
def test_no_process_can_put_a_filter_on_a_listening_socket(busy):
    (pid,) = busy.pids("imapd")
    with socket.socket(fileno=listening(pid, busy.port("imap"))) as s:
        none_passes = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
        program = struct.pack("HL", 1, ctypes.addressof(none_passes))
        with pytest.raises(PermissionError):
            s.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER


def test_a_service_on_many_addresses_starts(make_suite):
    suite = make_suite(start=False)
    many = ["127.%d.0.1" % n for n in range(1, 151)]
    suite.add_main("inet_interfaces = 127.0.0.1, %s" % ", ".join(many))
    port = suite.base + 14
    suite.add_master("%d inet n - n - - smtpd" % port)
    suite.start()
    for address in (many[0], many[-1]):
        with socket.create_connection((address, port), 60) as c:
            assert c.recv(100).startswith(b"220 ")


def test_a_program_that_cannot_start_is_throttled_whatever_was_in_its_page(make_suite):
    suite = make_suite(start=False)
    name = suite.dir + "/bin"
    os.mkdir(name)
    for path in glob.glob(BIN + "/*"):
        os.symlink(path, name + "/" + os.path.basename(path))
    suite.add_main("daemon_directory = %s" % name)
    suite.start()
    for _ in range(3):
        suite.smtp().quit()
    os.unlink(name + "/smtpd")
    os.symlink("/bin/false", name + "/smtpd")
    for pid in suite.pids("smtpd"):
        os.kill(pid, signal.SIGHUP)
    wait_for(lambda: not suite.pids("smtpd"))
    with socket.create_connection(("127.0.0.1", suite.port("smtp")), 60):
        suite.wait_log(r"bad command startup -- throttling", 2)
        began = time.monotonic()
        suite.wait_log(r"bad command startup -- throttling", 3)
        assert time.monotonic() - began > 1  # the pause has doubled
        assert len(re.findall("bad command startup", suite.log())) < 10


@pytest.mark.skipif(not IS_ROOT, reason="needs a system user's delivery")
def test_stop_does_not_end_what_a_command_has_started(make_suite):
    suite = make_suite(start=False)
    pidfile = suite.dir + "/pids/daemon"
    os.mkdir(os.path.dirname(pidfile))
    os.chmod(os.path.dirname(pidfile), 0o777)
    suite.add_main("mydestination = local.test\nalias_maps = inline:{{x=\"|setsid sh -c 'echo $$$$ >%s.new; mv %s.new %s; "
                   "exec sleep 300' >/dev/null 2>&1 &\"}}\nlocal_recipient_maps =\n" % (pidfile, pidfile, pidfile))
    suite.start()
    suite.send("x@local.test")
    wait_for(lambda: os.path.exists(pidfile))
    pid = int(open(pidfile).read())
    suite.wait_log("status=sent")
    began = time.monotonic()
    suite.stop()
    assert time.monotonic() - began < 15
    try:
        assert open("/proc/%d/comm" % pid).read() == "sleep\n"
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_waiting_command_does_not_keep_a_stop_busy(make_suite):
    suite = make_suite(start=False)
    mark = suite.dir + "/marks"
    os.mkdir(mark)
    os.chmod(mark, 0o777)
    suite.add_main("mydestination = local.test\nalias_maps = inline:{{x=\"|touch %s/on; sleep 60\"}}\nlocal_recipient_maps =\n" % mark)
    suite.start()
    suite.send("x@local.test")
    wait_for(lambda: os.path.exists(mark + "/on"))
    (pid,) = [p for p in suite.pids("local") if parent(p) == suite.master_pid()]
    cpu = open("/proc/%d/stat" % pid)
    suite.tool("pombal", "stop")
    assert "killed by signal 9" not in suite.log()
    assert "waits again and again" not in suite.log()
    cpu.close()
