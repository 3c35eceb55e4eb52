"""master and the daemon skeleton, with a daemon that only repeats lines (t/unit/echod.c)"""
import os, pwd, re, shutil, signal, socket, stat, subprocess, tempfile, threading, time

import pytest

from pombal import BIN, BUILD, IS_ROOT, free_port, wait_for

PROGRAMS = ["master", "pombal", "postlog", "postkick", "postlogd", "postsuper", "spawn"]


def is_gone(pid):
    """ended; its parent may not have looked yet"""
    try:
        return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class Suite:
    def __init__(self, master="", main=""):
        self.dir = tempfile.mkdtemp(prefix="pombal-master-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        for sub in ("etc", "log", "bin"):
            os.mkdir(self.dir + "/" + sub)
        for program in PROGRAMS:
            os.symlink(BIN + "/" + program, self.dir + "/bin/" + program)
        for program in ("echod", "askd"):
            os.symlink(BUILD + "/unit/echod", self.dir + "/bin/" + program)
        self.port = free_port()
        self.queue = self.dir + "/queue"
        owner = "nobody" if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
        group = "nogroup" if IS_ROOT else str(os.getgid())
        with open(self.dir + "/etc/main.cf", "w") as f:
            f.write("""compatibility_level = 3.6
queue_directory = {0}/queue
data_directory = {0}/data
command_directory = {0}/bin
daemon_directory = {0}/bin
mail_owner = {1}
setgid_group = {2}
default_privs = {4}
maillog_file = {0}/log/maillog
maillog_file_prefixes = {0}
inet_interfaces = 127.0.0.1
{3}
""".format(self.dir, owner, group, main, "daemon" if IS_ROOT else owner))
        self.master_cf(master or "127.0.0.1:%d inet n - y - - echod" % self.port)

    def master_cf(self, text):
        with open(self.dir + "/etc/master.cf", "w") as f:
            log = "" if "postlog " in text else "postlog unix-dgram n - n - 1 postlogd\n"
            f.write(text.replace("PORT", str(self.port)) + "\n" + log)

    def add_main(self, text):
        """later lines win"""
        with open(self.dir + "/etc/main.cf", "a") as f:
            f.write(text + "\n")

    def pombal(self, command, check=True):
        r = subprocess.run([self.dir + "/bin/pombal", "-c", self.dir + "/etc", command], capture_output=True, text=True, timeout=60)
        if check:
            assert r.returncode == 0, r.stderr
        return r

    def start(self):
        self.pombal("start")
        return self

    def pid(self):
        try:
            pid = int(open(self.queue + "/pid/master.pid").read())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def children(self, log=False):
        """pids; log: of the log's writer, else of all others"""
        found = []
        pid = self.pid()
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    name, rest = open("/proc/%s/stat" % entry).read().rsplit(")", 1)
                except OSError:
                    continue
                stat = rest.split()
                if pid and int(stat[1]) == pid and stat[0] != "Z" and name.endswith("(postlogd") == log:
                    found.append(int(entry))
        return found

    def log(self):
        try:
            return open(self.dir + "/log/maillog").read()
        except OSError:
            return ""

    def wait_log(self, pattern, count=1, seconds=30):
        def logged():
            return len(re.findall(pattern, self.log(), flags=re.M)) >= count
        logged.__name__ = pattern
        wait_for(logged, seconds)

    def dial(self, port=None, timeout=20, again=ConnectionRefusedError):
        """a reload opens its sockets only after its line in the log"""
        def client():
            try:
                return Client(port or self.port, timeout)
            except again:
                return None
        return wait_for(client)

    def close(self):
        if self.pid():
            self.pombal("stop", check=False)  # which kills what does not end; the file's pid may be another's by now
        shutil.rmtree(self.dir, ignore_errors=True)


class Client:
    def __init__(self, port, timeout):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.sock.makefile("rw", newline="")
        self.greeting = self.file.readline()

    def ask(self, text):
        self.file.write(text + "\r\n")
        self.file.flush()
        return self.file.readline().strip()

    def pid(self):
        return int(self.ask("pid").split()[0])

    def close(self):
        self.file.close()
        self.sock.close()


@pytest.fixture
def make():
    made = []

    def make_one(*args, **kw):
        made.append(Suite(*args, **kw))
        return made[-1]

    yield make_one
    for s in made:
        s.close()


def test_start_serves_and_stop_ends_everything(make):
    s = make().start()
    c = s.dial()
    assert c.greeting.startswith("hello 127.0.0.1")
    assert c.ask("one") == "one"
    status = s.pombal("status")
    assert "is running: PID: %d" % s.pid() in status.stderr
    assert re.search(r"echod +\d+ +1 +100 ", status.stdout)
    processes = [s.pid()] + s.children()
    s.pombal("stop")
    assert c.file.readline().strip() == "shutting down"
    for pid in processes:
        wait_for(lambda: is_gone(pid), 5)
    assert s.pombal("status", check=False).returncode == 1
    assert s.pombal("stop", check=False).returncode == 1
    assert "daemon started -- version" in s.log()
    assert "terminating on signal 15" in s.log()


def test_a_second_master_is_refused(make):
    s = make().start()
    r = s.pombal("start", check=False)
    assert r.returncode == 1 and "already running" in r.stderr
    command = [s.dir + "/bin/master", "-c", s.dir + "/etc"]
    assert subprocess.run(command + ["-t"]).returncode == 1
    r = subprocess.run(command + ["-s"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1
    assert s.dial().ask("x") == "x"
    s.pombal("stop")
    assert subprocess.run(command + ["-t"]).returncode == 0


def test_abort_is_quick_even_with_clients(make):
    s = make().start()
    clients = [s.dial() for _ in range(5)]
    children = s.children()
    s.pombal("abort")
    assert not s.pid()
    for pid in children:
        wait_for(lambda: is_gone(pid), 5)
    for c in clients:
        assert c.file.read() == ""


def test_processes_hear_of_a_reload_though_who_started_the_suite_ignores_the_signal(make):
    """as nohup does: a process that starts at the reload would stay, with the old configuration"""
    s = make()
    subprocess.run(["sh", "-c", "trap '' HUP INT TERM; exec \"$@\"", "sh", s.dir + "/bin/pombal", "-c", s.dir + "/etc", "start"],
                   check=True, capture_output=True, timeout=60)
    pid = s.dial().pid()
    with open("/proc/%s/status" % pid) as f:
        ignored = int(re.search(r"^SigIgn:\s+(\w+)$", f.read(), flags=re.M).group(1), 16)
    assert [n for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM) if ignored >> (n - 1) & 1] == []


def test_reload_keeps_sessions_and_refuses_nobody(make):
    s = make().start()
    old = s.dial()
    first = old.pid()
    stop, failures, served = threading.Event(), [], []

    def hammer():
        while not stop.is_set():
            try:
                c = s.dial()
                served.append(c.pid())
                c.close()
            except (OSError, ValueError) as e:
                failures.append(repr(e))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    for n in range(1, 6):
        s.pombal("reload")
        s.wait_log("reload -- version", n)
        already = len(served)
        wait_for(lambda: len(served) > already + 20)
    stop.set()
    for t in threads:
        t.join()
    assert not failures
    assert len(set(served)) > 1
    assert old.pid() == first
    assert s.dial().pid() != first
    old.close()
    wait_for(lambda: is_gone(first))


def test_reload_takes_services_away_and_adds_others(make):
    other = free_port()
    s = make().start()
    c = s.dial()
    s.master_cf("127.0.0.1:%d inet n - n - - echod" % other)
    s.pombal("reload")
    s.wait_log("reload --")
    assert s.dial(other).ask("new") == "new"
    assert c.ask("still") == "still"
    wait_for(lambda: is_closed(s.port))  # the old process has heard of it, too


def is_closed(port):
    try:
        socket.create_connection(("127.0.0.1", port), 20).close()
        return False
    except ConnectionRefusedError:
        return True


def test_reload_with_a_mistake_keeps_the_old_configuration(make):
    s = make().start()
    s.master_cf("127.0.0.1:PORT inet n - y - many echod")
    r = s.pombal("reload", check=False)
    assert r.returncode == 1 and "master.cf, line 1" in r.stderr
    os.kill(s.pid(), signal.SIGHUP)
    s.wait_log("the old configuration stays in force")
    assert s.dial().ask("x") == "x"


ROOT_ONLY = pytest.mark.skipif(not IS_ROOT, reason="only for root's processes")


@pytest.mark.parametrize("line, said", [
    ("inet_protocols = ipv9", r"main.cf, line \d+: inet_protocols = ipv9: .*ipv4"),
    ("inet_protocols = ipv5, ipv4", "none of: all, ipv4, ipv6"),
    ("inet_interfaces = 300.1.2.3", "inet_interfaces = 300.1.2.3: host 300.1.2.3: "),
    ("inet_interfaces = nosuch.host.invalid", "inet_interfaces = nosuch.host.invalid: "),
    ("inet_interfaces = 192.0.2.77", "no interface of this machine"),
    ("inet_interfaces = all, 127.0.0.1", "must stand alone"),
    ("inet_interfaces = ::1\ninet_protocols = ipv4", "not of the inet_protocols"),
    ("myhostname = bad_host!", "myhostname = bad_host!: .*is not a host name"),
    ("myhostname = 1.2.3.4", "is not a host name"),
    ("mydomain = bad,host", "is not a host name"),
    pytest.param("default_privs = root", "default_privs = root: a user without rights", marks=ROOT_ONLY),
    pytest.param("default_privs = nosuch", "default_privs = nosuch: there is no such user", marks=ROOT_ONLY),
    pytest.param("default_privs = $mail_owner", "same user as mail_owner", marks=ROOT_ONLY),
])
def test_a_wrong_value_is_refused_by_check_reload_and_start(make, line, said):
    s = make("127.0.0.1:PORT inet n - y - - echod\n%d inet n - y - - echod" % free_port()).start()
    s.add_main(line)
    for command in ("check", "reload"):
        r = s.pombal(command, check=False)
        assert r.returncode == 1 and re.search(r"/etc/main\.cf, line \d+: ", r.stderr) and re.search(said, r.stderr), r.stderr
    os.kill(s.pid(), signal.SIGHUP)
    s.wait_log("the old configuration stays in force")
    assert s.dial().ask("x") == "x"
    s.pombal("stop")
    assert s.pombal("start", check=False).returncode == 1
    r = subprocess.run([s.dir + "/bin/master", "-c", s.dir + "/etc", "-s"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and "configuration error" in s.log()


def test_a_wrong_option_of_a_service_is_refused(make):
    s = make().start()
    for option, said in (("max_idle=soon", "max_idle = soon: "), ("inet_protocols=ipv9", "inet_protocols = ipv9: ")):
        s.master_cf("127.0.0.1:PORT inet n - y - - echod -o " + option)
        r = s.pombal("check", check=False)
        assert r.returncode == 1 and re.search(r"master.cf, line 1: service \S+: " + said, r.stderr), r.stderr
        assert s.pombal("reload", check=False).returncode == 1
        os.kill(s.pid(), signal.SIGHUP)
        s.wait_log(r"master\[\d+\]: error: .*: service \S+: " + said)
    assert s.dial().ask("x") == "x"


def test_a_service_that_is_there_twice_is_told(make):
    s = make("127.0.0.1:PORT inet n - y - - nosuch\n127.0.0.1:PORT inet n - y - - echod").start()
    assert s.dial().ask("x") == "x"
    said = r"master.cf, line 1: duplicate entry for service 127.0.0.1:%d \(inet\) -- using the last entry" % s.port
    assert re.search(r"master\[\d+\]: warning: .*" + said, s.log())
    r = s.pombal("check")
    assert re.search(said, r.stderr)


@pytest.mark.parametrize("after, main", [
    ("PORT inet n - y - - echod", ""),
    (":PORT inet n - y - - echod", "inet_interfaces = [127.0.0.1]"),
    ("localhost:PORT inet n - y - - echod", "inet_protocols = ipv4"),
    ("PORT inet n - y - - echod", "inet_interfaces = all"),
])
def test_a_reload_moves_the_port_to_a_service_of_another_name(make, after, main):
    s = make().start()
    old = s.dial()
    first = old.pid()

    def served_anew():
        try:
            return s.dial().pid() != first
        except (OSError, IndexError, ValueError): # in the queue of a socket of all addresses that gives way to one of one
            return False

    for count, (text, line) in enumerate([(after, main), ("127.0.0.1:PORT inet n - y - - echod", "inet_interfaces = 127.0.0.1")] * 2):
        s.master_cf(text)
        s.add_main(line)
        s.pombal("reload")
        s.wait_log("reload -- version", count + 1)
        wait_for(served_anew)
    assert old.ask("still") == "still"
    assert "already in use" not in s.log()


def test_a_configuration_directory_may_be_relative(make):
    s = make()
    for command in ("start", "reload", "status", "check", "stop"):
        r = subprocess.run([s.dir + "/bin/pombal", "-c", "etc", command], cwd=s.dir, capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        if command != "stop":
            assert s.dial().ask("x") == "x"


def test_what_dies_is_restarted(make):
    s = make().start()
    c = s.dial()
    first = c.pid()
    assert c.ask("crash") == ""
    second = s.dial()
    assert second.pid() != first
    s.wait_log(r"warning: process .*/echod pid %d killed by signal 9" % first)


def test_a_crash_loop_is_throttled_and_recovers(make):
    s = make(main="service_throttle_time = 2s").start()
    fail = s.queue + "/fail"
    open(fail, "w").close()
    with pytest.raises(OSError):
        c = s.dial(timeout=4)
        assert c.greeting == ""
        raise OSError
    started = len(re.findall("fatal: told to fail", s.log()))
    assert 1 <= started <= 5
    s.wait_log("echod: bad command startup -- throttling")
    os.unlink(fail)
    assert s.dial(timeout=20).ask("well") == "well"


def test_wakeup_and_wakeup_if_used(make):
    s = make("early unix n - y 1 1 askd\nlate unix n - y 1? 1 askd").start()
    s.wait_log(r"askd\[\d+\]: woken: W", 2)
    assert len(s.children()) == 1
    kick = [s.dir + "/bin/postkick", "-c", s.dir + "/etc", "public", "late", "W"]
    subprocess.run(kick, check=True)
    wait_for(lambda: len(s.children()) == 2)


def test_one_process_fills_before_the_second_starts(make):
    s = make("127.0.0.1:PORT inet n - y - 5 echod -o sessions_per_process=2").start()
    clients = [s.dial() for _ in range(5)]
    pids = [c.pid() for c in clients]
    assert pids[0] == pids[1] and pids[2] == pids[3]
    assert len(set(pids)) == 3
    s.wait_log('has reached its process limit "5"')
    waiting = socket.create_connection(("127.0.0.1", s.port), 20)
    waiting.settimeout(0.3)
    with pytest.raises(socket.timeout):
        waiting.recv(1)
    clients[2].close()
    waiting.settimeout(20)
    assert waiting.recv(5) == b"hello"
    waiting.close()


def test_one_client_per_process_as_postfix_does(make):
    s = make(main="sessions_per_process = 1").start()
    clients = [s.dial() for _ in range(4)]
    pids = [c.pid() for c in clients]
    assert len(set(pids)) == 4
    clients[1].close()
    wait_for(lambda: s.dial().pid() in pids)


def test_an_idle_process_ends(make):
    s = make(main="max_idle = 1s").start()
    c = s.dial()
    pid = c.pid()
    c.close()
    wait_for(lambda: is_gone(pid), 10)
    assert s.dial().ask("x") == "x"


def test_a_process_is_replaced_after_max_use(make):
    s = make(main="max_use = 3\nsessions_per_process = 2").start()
    pids = []
    for _ in range(14):
        c = s.dial()
        pids.append(c.pid())
        c.close()
    assert 2 <= len(set(pids)) <= 3


def test_the_death_of_master_ends_its_processes(make):
    s = make().start()
    clients = [s.dial() for _ in range(3)]
    children = s.children()
    os.kill(s.pid(), signal.SIGKILL)
    for pid in children:
        wait_for(lambda: is_gone(pid))
    for c in clients:
        assert c.file.read() in ("", "shutting down\r\n")
    s.start()
    assert s.dial().ask("again") == "again"


def test_foreground_and_service_manager(make):
    s = make(main="maillog_file = /dev/stdout\nmaillog_file_prefixes = /dev/stdout")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(s.dir + "/notify")
    os.chmod(s.dir + "/notify", 0o666)
    manager.settimeout(30)
    p = subprocess.Popen([s.dir + "/bin/pombal", "-c", s.dir + "/etc", "start-fg"], stdout=subprocess.PIPE, text=True,
                         env=dict(os.environ, NOTIFY_SOCKET=s.dir + "/notify"))
    assert manager.recv(1000).decode().split("\n")[0] == "READY=1"
    assert s.dial().ask("x") == "x"
    os.kill(p.pid, signal.SIGHUP)
    assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert manager.recv(1000) == b"READY=1"
    os.kill(p.pid, signal.SIGTERM)
    assert manager.recv(1000) == b"STOPPING=1"
    out, _ = p.communicate(timeout=30)
    assert p.returncode == 0
    assert "daemon started" in out and "terminating on signal 15" in out


def test_a_taken_port_is_said_clearly(make):
    s = make()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", s.port))
        taken.listen()
        r = s.pombal("start", check=False)
    assert r.returncode == 1
    assert re.search(r"fatal: inet: service 127.0.0.1:%d: bind .*Address already in use" % s.port, s.log())


@pytest.mark.parametrize("soft, hard", [(40, 4096), (40, 40)])
def test_a_low_limit_of_descriptors_is_raised_or_said(make, soft, hard):
    s = make()
    r = subprocess.run(["prlimit", "--nofile=%d:%d" % (soft, hard), s.dir + "/bin/pombal", "-c", s.dir + "/etc", "start"],
                       capture_output=True, text=True, timeout=60)
    if hard == soft:
        assert r.returncode == 1
        assert re.search(r"fatal: .*need \d+ descriptors at least, but \"ulimit -n\" .* allows 40", s.log())
    else:
        assert r.returncode == 0, r.stderr
        c = s.dial()
        c.ask("hello")
        limits = open("/proc/%d/limits" % s.children()[0]).read()
        assert re.search(r"Max open files +4096 +4096", limits)


def test_check_makes_directories_and_says_what_is_wrong(make):
    s = make("127.0.0.1:PORT inet n - y - - nosuch", main="alias_maps = hash:/nonexistent/aliases\npombal_accept_missing = nosuch")
    r = s.pombal("check")
    assert os.path.isdir(s.queue + "/deferred")
    assert "bin/nosuch is not there yet" in r.stderr
    assert "postalias hash:/nonexistent/aliases" in r.stderr
    os.chmod(s.queue + "/private", 0o777)
    r = s.pombal("check")
    assert re.search("chmod 7[01]0 %s/private" % s.queue, r.stderr)
    with open(s.dir + "/etc/main.cf", "a") as f:
        f.write("max_idle = soon\n")
    r = s.pombal("check", check=False)
    assert r.returncode == 1 and "max_idle" in r.stderr and "main.cf, line" in r.stderr


def test_a_log_directory_that_is_missing_is_said(make):
    s = make()
    shutil.rmtree(s.dir + "/log")
    r = s.pombal("start", check=False)
    assert r.returncode == 1 and "mkdir -p" in r.stderr


@pytest.mark.skipif(not IS_ROOT, reason="needs two users")
def test_tools_of_plain_users_log_through_postlogd(make):
    s = make("postlog unix-dgram n - n - 1 postlogd").start()
    os.chmod(s.queue + "/public", 0o711)  # stands for the set-gid tools
    subprocess.run([s.dir + "/bin/postlog", "-c", s.dir + "/etc", "-t", "mine", "a line"], user=65534, group=65534, extra_groups=[],
                   check=True)
    s.wait_log(r"mine\[\d+\]: a line$")


def test_a_forbidden_call_ends_only_that_process(make):
    s = make().start()
    assert s.dial().ask("mkdir") == ""
    s.wait_log(r"echod\[\d+\]: error: system call mkdir .* not allowed")
    s.wait_log(r"killed by signal 31")
    assert s.dial().ask("x") == "x"


def test_requests_are_answered_over_a_channel(make):
    s = make("ask unix - - y - 0 askd").start()
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(20)
    c.connect(s.queue + "/private/ask")
    for n in range(3):
        c.sendall(b"request\0echo\0text\0%d\0\0" % n)
        assert c.recv(1000).startswith(b"text\0%d\0pid\0" % n)
    c.close()


def test_spawn_runs_a_command_for_each_client(make):
    user = "games" if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
    s = make("127.0.0.1:PORT inet n n n - 0 spawn user=%s argv=/bin/sh -c {read x; id -un; echo $x; exit 3}" % user).start()
    for n in range(3):
        with socket.create_connection(("127.0.0.1", s.port), 20) as c:
            c.sendall(b"word %d\n" % n)
            assert c.makefile().read() == "%s\nword %d\n" % (user, n)
    s.wait_log("spawn.*warning: command /bin/sh exit status 3")


@pytest.mark.skipif(not IS_ROOT, reason="needs root to refuse it")
def test_spawn_refuses_root(make):
    s = make("127.0.0.1:PORT inet n n n - 0 spawn user=root argv=/bin/id")
    r = s.pombal("start", check=False)
    assert r.returncode == 1 and "commands never run as root" in r.stderr


def test_a_lone_service_never_has_two_processes(make):
    s = make("postlog unix-dgram n - n - 1 postlogd").start()
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    to.connect(s.queue + "/public/postlog")
    seen, most = set(), 0
    for n in range(4):
        to.send(b"line %d" % n)
        s.wait_log(r"\]: uid \d+ says: line %d$" % n)
        children = s.children(log=True)
        most = max(most, len(children))
        seen.update(children)
        s.pombal("reload")
        s.wait_log("reload --", n + 1)
    assert most == 1
    assert len(seen) >= 2


@pytest.mark.parametrize("first, second", [("PORT", "127.0.0.1:PORT"), ("127.0.0.1:PORT", "PORT")])
def test_a_service_on_all_addresses_and_one_on_a_single_address(make, first, second):
    """as with Postfix: a client goes to the service with its address"""
    s = make("%s inet n - y - - echod\n%s inet n - y - - echod" % (first, second), main="inet_interfaces = all\ninet_protocols = ipv4")
    s.start()
    assert s.dial().ask("x") == "x"
    s.master_cf("%s inet n - y - - echod" % second)
    s.pombal("reload")
    s.wait_log("reload --")
    # The service that goes may take a client along that it has not accepted yet.
    assert s.dial(again=(ConnectionRefusedError, ConnectionResetError)).ask("x") == "x"
    s.master_cf("%s inet n - y - - echod\n%s inet n - y - - echod" % (first, second))
    s.pombal("reload")
    s.wait_log("reload --", 2)
    assert s.dial().ask("x") == "x"
    s.pombal("stop")
    with socket.socket() as other:  # of another program, it is still in the way
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", s.port))
        other.listen()
        assert s.pombal("start", check=False).returncode == 1
        assert "Address already in use" in s.log()


def test_a_fifo_and_a_socket_take_each_others_place(make):
    """master.cf said "fifo" before and says "unix" now, or the other way round"""
    s = make("127.0.0.1:PORT inet n - y - - echod\nknock unix n - y - 0 echod").start()
    path = s.queue + "/public/knock"
    assert stat.S_ISSOCK(os.lstat(path).st_mode)
    s.pombal("stop")
    for kind, is_kind in (("fifo", stat.S_ISFIFO), ("unix", stat.S_ISSOCK), ("fifo", stat.S_ISFIFO), ("unix-dgram", stat.S_ISSOCK)):
        if os.path.lexists(path):
            os.unlink(path)
        if kind == "fifo":
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(path)
        else:
            os.mkfifo(path)
        s.master_cf("127.0.0.1:PORT inet n - y - - echod\nknock %s n - y - 0 echod" % kind)
        s.start()
        assert is_kind(os.lstat(path).st_mode), kind
        s.pombal("stop")
