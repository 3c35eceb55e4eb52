"""A private suite for a test: configuration by ./quickstart, free ports, ended by pid, logs shown on failure.

    def test_x(suite):                    # shared by the tests of a file; make_suite for one of your own
        suite.smtp().sendmail(...)
        suite.wait_log(r"status=sent")
"""
import email, glob, imaplib, os, poplib, re, shutil, signal, smtplib, socket, ssl, struct, subprocess, tempfile, time

import ports
from ports import free_port

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POMBAL_BUILD", TOP + "/build/dev")
BIN = BUILD + "/bin"
IS_ROOT = os.getuid() == 0
OFFSETS = {"smtp": 25, "submission": 587, "submissions": 465, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993}
# Slow machines and sanitizers: how long a test waits for what must come.
PATIENCE = 60
# CPU time that one turn of a process's loop may take: so long does a client wait for another one. Sanitizers are slower.
TURN_MS = 100 if BUILD.endswith("release") else 600
# Leaks are looked for by the unit tests, and in test_sendmail.py: at the end of each process of a test they cost as much again as
# its start. Nor is it kept who allocated: with import_environment and ASAN_OPTIONS=malloc_context_size=30 reports say it again.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0:malloc_context_size=0")
# lib/service/metrics.h: one page for each process
PAGE = 4096
PAGE_HEAD = struct.Struct("=Iiq64s32sIIIIQQQII")
# What ./quickstart makes: the ports begin here, where nobody listens.
MODEL_BASE = 10000
# By domain and password: the directory that a model was in, and a tar archive of it.
MODELS = {}
# Directories of the queue that postsuper mends.
MESSAGES = ("maildrop", "incoming", "active", "deferred", "hold", "bounce", "defer", "trace", "corrupt", "flush", "saved")
RELOADED = re.compile(r"reload -- version|the old configuration stays in force")
# Where these are in main.cf, everything is where it was in the model.
PLACES = re.compile(r"^(?:\w+_directory|mail_owner|setgid_group|maillog_file\w*) *=.*$", re.M)


def free_base():
    return ports.free_base(OFFSETS.values())


def archive(directory):
    return subprocess.run(["tar", "-C", directory, "-c", "."], check=True, capture_output=True).stdout


def unpack(directory, text):
    subprocess.run(["tar", "-C", directory, "-xp"], check=True, input=text)


def make_queue(etc):
    """the queue's directories, by pombal check; of all services only one tries its start"""
    os.rename(etc + "/master.cf", etc + "/master.cf.all")
    with open(etc + "/master.cf", "w") as f:
        f.write("postlog unix-dgram n - n - 1 postlogd\n")
    subprocess.run([BIN + "/pombal", "-c", etc, "check"], check=True, capture_output=True)
    os.rename(etc + "/master.cf.all", etc + "/master.cf")


def make_model(model, domain, password):
    """an instance that is never started, with the queue's directories, as a tar archive"""
    os.chmod(model, 0o755)
    subprocess.run([TOP + "/quickstart", "--dir", model, "--port-base", str(MODEL_BASE), "--domain", domain, "--password", password,
                    "--no-start"], check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, POMBAL_BIN=BIN))
    make_queue(model + "/etc")
    os.unlink(model + "/log/maillog")
    return archive(model)


def copy_model(where, base, domain, password):
    """makes an instance in the directory where; that of each domain once, in a process of the tests, and copies of it"""
    if (domain, password) not in MODELS:
        with tempfile.TemporaryDirectory(prefix="pombal-model-", dir="/tmp") as model:
            MODELS[domain, password] = model, make_model(model, domain, password)
    model, text = MODELS[domain, password]
    unpack(where, text)
    for name in ("main.cf", "master.cf", "passwd"):
        path = where + "/etc/" + name
        with open(path) as f:
            text = f.read().replace(model, where)
        with open(path, "w") as f:
            f.write(with_ports(text, MODEL_BASE, base))


def with_ports(text, old, new):
    """master.cf's text, of an instance whose ports begin there"""
    for offset in OFFSETS.values():
        text = text.replace("127.0.0.1:%d " % (old + offset), "127.0.0.1:%d " % (new + offset))
    return text


def number_of_files(*texts):
    """by which pombal(1) tells master which main.cf and master.cf it has checked: conf_snapshot_number()"""
    h = 2166136261
    for text in texts:
        for byte in text + b"\xff":
            h = (h ^ byte) * 16777619 & 0xffffffff
    return (h | 1) >> 1


def where_from(pid):
    """the directory of its program; null: it has ended, or is not to be seen"""
    try:
        return os.path.dirname(os.readlink("/proc/%d/exe" % pid))
    except OSError:
        return None


def runs(pid):
    """does it, or has it ended, whether or not its parent has heard?"""
    try:
        text = open("/proc/%d/stat" % pid).read()
        return text[text.rindex(")") + 2] not in "ZX"
    except OSError:
        return False


def wait_for(what, seconds=PATIENCE, every=0.02):
    """the first true result of what(); AssertionError after so long"""
    end = time.monotonic() + seconds
    while True:
        result = what()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError("waited %d s in vain for %s" % (seconds, getattr(what, "__name__", what)))
        time.sleep(every)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False


class Instance:
    """main: lines for main.cf; master: lines for master.cf; a service named again replaces the old one"""
    def __init__(self, main="", master="", domain="example.test", password="secret", start=True):
        self.dir = tempfile.mkdtemp(prefix="pombal-e2e-", dir="/tmp")
        self.faults = []
        os.chmod(self.dir, 0o755)
        self.domain, self.password = domain, password
        self.start_env = {}  # of the programs of the suite, beside what they have
        self.etc, self.queue = self.dir + "/etc", self.dir + "/queue"
        self.log_path = self.dir + "/log/maillog"
        self.base = free_base()
        copy_model(self.dir, self.base, domain, password)
        self.places = PLACES.findall(self.read("etc/main.cf"))
        self.parsed = {}
        if "POMBAL_HOSTILE_WAITS" in os.environ:  # lib/task/task.h
            self.add_main("import_environment = MAIL_CONFIG TZ LANG=C POMBAL_HOSTILE_WAITS\n")
        # Tests do not ask the machine's name servers, and wait for nothing. Folder names are Dovecot's, whose default
        # the separator is.
        self.add_main("smtpd_peername_lookup = no\nsmtp_dns_support_level = disabled\nsmtp_host_lookup = native\n"
                      "smtpd_error_sleep_time = 0\nauth_failure_delay = 0\nmail_separator = .\nnotify_classes =\n")
        self.add_main(main)
        self.add_master(master)
        if start:
            self.start()

    # ---- configuration
    def write(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def read(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read()

    def add_main(self, text):
        """later lines win; an old line of the same name is removed, so that nothing is said twice"""
        path = self.etc + "/main.cf"
        old = open(path).read()
        for name in re.findall(r"^([a-z0-9_]+) *=", text, flags=re.M):
            old = re.sub(r"^%s *=.*\n(?:[ \t]+.*\n)*" % re.escape(name), "", old, flags=re.M)
        open(path, "w").write(old + text.rstrip("\n") + "\n")

    def add_master(self, text):
        path = self.etc + "/master.cf"
        old = open(path).read()
        for name, kind in re.findall(r"^(\S+)\s+(inet|unix|fifo|pass|unix-dgram)\s", text, flags=re.M):
            old = re.sub(r"^%s\s+%s\s.*\n(?:[ \t]+.*\n)*" % (re.escape(name), kind), "", old, flags=re.M)
        open(path, "w").write(old + text.rstrip("\n") + "\n")

    def add_user(self, name, password=None, domain=None):
        """one more mailbox, readable by the running instance after a reload"""
        domain = domain or self.domain
        first = open(self.etc + "/passwd").readline().rstrip("\n").split(":")
        home = "%s/mail/%s/%s" % (self.dir, domain, name)
        os.makedirs(home, exist_ok=True)
        for sub in ("cur", "new", "tmp"):
            os.makedirs(home + "/" + sub, exist_ok=True)
        if IS_ROOT:
            for folder in [os.path.dirname(home), home] + [home + "/" + s for s in ("cur", "new", "tmp")]:
                os.chown(folder, int(first[2]), int(first[3]))
        with open(self.etc + "/passwd", "a") as f:
            f.write("%s@%s:{PLAIN}%s:%s:%s::%s::\n" % (name, domain, password or self.password, first[2], first[3], home))
        with open(self.etc + "/mailboxes", "a") as f:
            f.write("%s@%s %s/%s/\n" % (name, domain, domain, name))
        return home

    # ---- life
    def tool(self, name, *args, input=None, check=True, env=None):
        """runs a tool of the suite on this instance; the completed process, text"""
        r = subprocess.run([BIN + "/" + name] + list(args), input=input, capture_output=True, text=True, timeout=PATIENCE,
                           env=dict(os.environ, MAIL_CONFIG=self.etc, **(env or {})))
        if check and r.returncode:
            raise AssertionError("%s %s: exit %d\n%s%s" % (name, " ".join(args), r.returncode, r.stdout, r.stderr))
        return r

    def master_pid(self):
        try:
            pid = int(open(self.queue + "/pid/master.pid").read())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def pids(self, program=None):
        """processes of this instance: the descendants of its master, by name"""
        master, found = self.master_pid(), []
        parents = {}
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                text = open(stat).read()
            except OSError:
                continue
            name = text[text.index("(") + 1:text.rindex(")")]
            parents[int(text.split()[0])] = (int(text[text.rindex(")") + 2:].split()[1]), name)
        for pid, (parent, name) in parents.items():
            up = parent
            while up in parents and up != master:
                up = parents[up][0]
            if up == master and master and (program is None or name == program[:15]):
                found.append(pid)
        return sorted(found)

    def state(self):
        """its processes, and what each is doing: for a report of a failure"""
        master = self.master_pid()
        lines = ["master %s" % (master or "is gone")]
        for pid in self.pids() if master else []:
            try:
                status = open("/proc/%d/stat" % pid).read()
                wchan = open("/proc/%d/wchan" % pid).read()
            except OSError:
                continue
            name, rest = status[status.index("(") + 1:].rsplit(")", 1)
            lines.append("%s[%d] %s %s, %s ticks" % (name, pid, rest.split()[0], wchan, rest.split()[11]))
        return "\n".join(lines)

    def start(self):
        for _ in range(5):
            r = self.tool(*self.start_command(), check=False, env=self.start_env)
            if r.returncode == 0:
                break
            if "Address already in use" not in self.log():
                raise AssertionError("pombal start: exit %d\n%s%s" % (r.returncode, r.stderr, self.log()[-3000:]))
            self.move()
        wait_for(lambda: self.listens("smtp"))  # it does already, as all others: then master has started what it starts at once, too

    def checked(self):
        """The number of main.cf and master.cf, by which pombal(1) tells master that their services have tried their start; None if
        the suite is not in its usual place. Tests save that, 24 processes with sanitizers, unless they are about it, and then
        they run pombal(1). Master checks the rest of the configuration itself."""
        main, master = self.read("etc/main.cf"), self.read("etc/master.cf")
        return number_of_files(main.encode(), master.encode()) if PLACES.findall(main) == self.places else None

    def mend_queue(self):
        """as pombal start and reload do; there is nothing to mend in an empty one"""
        if any(files for name in MESSAGES for _, _, files in os.walk(self.queue + "/" + name)):
            self.tool("postsuper")

    def start_command(self):
        number = self.checked()
        if number is None:
            return "pombal", "start"
        self.mend_queue()
        return "master", "-c", self.etc, "-w", "-C", str(number)

    def move(self):
        """to other ports: somebody was faster"""
        os.rename(self.log_path, self.log_path + ".moved")
        old, self.base = self.base, free_base()
        text = with_ports(self.read("etc/master.cf"), old, self.base)
        self.write("etc/master.cf", text)

    def listens(self, name):
        return answers(self.port(name))

    def pages(self):
        """what each process counts: its pid, when it started, ..., with the fields of PAGE_HEAD"""
        try:
            setting = re.search(r"^data_directory = (.*)$", open(self.etc + "/main.cf").read(), flags=re.M)
            text = open((setting.group(1) if setting else self.dir + "/data") + "/metrics", "rb").read()
        except OSError:
            return []
        pages = [PAGE_HEAD.unpack_from(text, at) for at in range(0, len(text), PAGE)]
        return [p for p in pages if p[1]]

    def taking_clients(self):
        """the processes that still take new clients, by pid and time of start"""
        return {p[1:3] for p in self.pages() if not p[7] and os.path.exists("/proc/%d" % p[1])}

    def reload(self):
        """waits for its end, and until none of the old processes takes a client any more; fails if master refuses the configuration"""
        number, told, old = self.checked(), len(RELOADED.findall(self.log())), self.taking_clients()
        if number is None:
            result = self.tool("pombal", "reload")
            wait_for(lambda: not old & self.taking_clients())
            return result
        pid_file = self.queue + "/pid/master.pid"
        before = os.stat(pid_file).st_mtime_ns
        subprocess.run(["/bin/kill", "-q", str(number), "-HUP", str(self.master_pid())], check=True)
        wait_for(lambda: os.stat(pid_file).st_mtime_ns != before)
        last = self.wait_log(RELOADED.pattern, told + 1)[-1]
        assert "reload -- version" in last.group(), self.log()[-3000:]
        self.mend_queue()
        wait_for(lambda: not old & self.taking_clients())

    def look_at_turns(self):
        """keeps in self.faults what took too long or too much stack, of processes that run or have ended"""
        for (_, pid, _, _, program, _, _, _, _, _, _, cpu_us, stack, stack_size) in self.pages():
            who = "%s[%d]" % (program.rstrip(b"\0").decode(), pid)
            if cpu_us > TURN_MS * 1000:
                self.faults.append("%s: a turn of the loop took %d ms of CPU time" % (who, cpu_us // 1000))
            if stack * 2 > stack_size:
                self.faults.append("%s: %d bytes of a stack of %d were used" % (who, stack, stack_size))

    def stop(self):
        """until none of its processes is left: what they were on can be unmounted. What a command has started goes on."""
        self.look_at_turns()
        master = self.master_pid()
        if master:
            children = [pid for pid in self.pids() if where_from(pid) == where_from(master)]
            os.kill(master, signal.SIGTERM)  # as pombal(1) does
            try:
                wait_for(lambda: not any(map(runs, [master] + children)), 20)
            except AssertionError:
                for pid in filter(runs, self.pids() + [master]):
                    os.kill(pid, signal.SIGKILL)
            self.look_at_turns()  # what sessions that ended only now have told their parents

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not getattr(self, "faults", None), self.faults

    # ---- looking
    def log(self):
        try:
            return open(self.log_path, errors="replace").read()
        except OSError:
            return ""

    def wait_log(self, pattern, count=1, seconds=PATIENCE):
        """the matches of pattern in the log, when there are at least count"""
        def logged():
            found = list(re.finditer(pattern, self.log(), flags=re.M))
            return found if len(found) >= count else None
        logged.__name__ = "log line " + pattern
        return wait_for(logged, seconds)

    def maildir(self, user, folder=""):
        return "%s/mail/%s/%s%s" % (self.dir, self.domain, user, "/." + folder if folder else "")

    def message(self, path):
        """(time, email object) of a file in a Maildir, which nobody changes any more: it is read and parsed once. Its text is what
        stands in the file."""
        st = os.stat(path)
        key = st.st_ino, st.st_mtime_ns, st.st_size
        if key not in self.parsed:
            with open(path, "rb") as f:
                content = f.read()
            self.parsed[key] = email.message_from_bytes(content)
            self.parsed[key].text = content.decode("latin-1")
        return st.st_mtime_ns, self.parsed[key]

    def messages(self, user, folder=""):
        """the messages in a Maildir, as email objects, oldest first"""
        found = []
        for sub in ("new", "cur"):
            for path in glob.glob("%s/%s/*" % (self.maildir(user, folder), sub)):
                try:
                    found.append(self.message(path))
                except OSError:
                    pass  # moved by a session meanwhile: the next look finds it
        return [m for _, m in sorted(found, key=lambda one: (one[0], one[1].text))]

    def wait_mail(self, user, count=1, folder="", match=None, seconds=PATIENCE):
        """the messages of user, when at least count (whose subject matches) are there"""
        def arrived():
            found = [m for m in self.messages(user, folder) if match is None or re.search(match, m["Subject"] or "")]
            return found if len(found) >= count else None
        arrived.__name__ = "mail for " + user
        return wait_for(arrived, seconds)

    def queue_files(self, name=None):
        """paths of messages; what a writer that died has left unfinished ("123.456") is none"""
        if name:
            return [os.path.join(d, f) for d, _, files in os.walk(os.path.join(self.queue, name)) for f in files if "." not in f]
        # There and back again: so a message that moves meanwhile, back to incoming at a start or out of hold, is seen.
        names = ["maildrop", "incoming", "active", "deferred", "hold"]
        paths = [p for n in names + names[-2::-1] for p in self.queue_files(n)]
        return list({os.path.basename(p): p for p in paths}.values())

    def wait_queue_empty(self, seconds=PATIENCE):
        def empty_queue():
            return not self.queue_files()
        return wait_for(empty_queue, seconds)

    # ---- clients
    def port(self, name):
        return self.base + OFFSETS[name]

    def tls_context(self):
        return ssl.create_default_context(cafile=self.dir + "/ca.pem")

    def smtp(self, name="smtp"):
        if name == "submissions":
            return smtplib.SMTP_SSL("127.0.0.1", self.port(name), timeout=PATIENCE, context=self.tls_context())
        return smtplib.SMTP("127.0.0.1", self.port(name), timeout=PATIENCE)

    def imap(self, user="alice", tls=False, login=True):
        if tls:
            c = imaplib.IMAP4_SSL("127.0.0.1", self.port("imaps"), ssl_context=self.tls_context(), timeout=PATIENCE)
        else:
            c = imaplib.IMAP4("127.0.0.1", self.port("imap"), timeout=PATIENCE)
        if login:
            c.login(user, self.password)
        return c

    def pop3(self, user="alice", tls=False, login=True):
        if tls:
            c = poplib.POP3_SSL("127.0.0.1", self.port("pop3s"), context=self.tls_context(), timeout=PATIENCE)
        else:
            c = poplib.POP3("127.0.0.1", self.port("pop3"), timeout=PATIENCE)
        if login:
            c.user(user)
            c.pass_(self.password)
        return c

    def send(self, to, subject="hello", body="text\n", sender="sender@elsewhere.test", headers=""):
        """one message over SMTP; to: an address or a list"""
        to = [to] if isinstance(to, str) else to
        to = [a if "@" in a else "%s@%s" % (a, self.domain) for a in to]
        text = "From: %s\r\nTo: %s\r\nSubject: %s\r\n%s\r\n%s" % (
            sender, ", ".join(to), subject, headers, body.replace("\n", "\r\n"))
        with self.smtp() as s:
            return s.sendmail(sender, to, text.encode())


class Raw:
    """a rude client: sends bytes as they are, reads lines with a limit on the wait"""

    def __init__(self, port, host="127.0.0.1", tls=None, source=None):
        self.sock = socket.create_connection((host, port), PATIENCE, source_address=(source, 0) if source else None)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.pending = b""

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """the next line without its end; None at the end of the connection"""
        while b"\n" not in self.pending:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.pending += more
        line, self.pending = self.pending.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def read(self, n):
        while len(self.pending) < n:
            more = self.sock.recv(65536)
            if not more:
                break
            self.pending += more
        data, self.pending = self.pending[:n], self.pending[n:]
        return data

    def reply(self):
        """an SMTP reply, all its lines joined with \\n"""
        lines = []
        while True:
            line = self.line()
            if line is None:
                return "\n".join(lines) or None
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def ask(self, command):
        self.send(command + "\r\n" if isinstance(command, str) else command + b"\r\n")
        return self.reply()

    def until(self, tag):
        """IMAP: lines up to the tagged one, with literals left in"""
        lines = []
        while True:
            line = self.line()
            if line is None:
                return lines
            m = re.search(r"\{(\d+)\}$", line)
            if m:
                line += "\r\n" + self.read(int(m.group(1))).decode("latin-1")
            lines.append(line)
            if line.startswith(tag + " "):
                return lines

    def close(self):
        self.sock.close()
