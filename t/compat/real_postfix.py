"""A private Postfix, Debian's own: directory, queue, configuration and log below one folder. Needs root."""
import os, shutil, signal, socket, subprocess, tempfile, threading

import pombal

MASTER = "/usr/lib/postfix/sbin/master"
HAVE = os.path.exists(MASTER) and pombal.IS_ROOT
QUEUE = []  # a tar archive of an empty queue
SERVICES = {
    "pickup": "n - n 60 1 pickup", "cleanup": "n - n - 0 cleanup", "qmgr": "n - n 300 1 qmgr",
    "rewrite": "- - n - - trivial-rewrite", "bounce": "- - n - 0 bounce", "defer": "- - n - 0 bounce",
    "trace": "- - n - 0 bounce", "verify": "- - n - 1 verify", "flush": "n - n 1000? 0 flush",
    "proxymap": "- - n - - proxymap", "showq": "n - n - - showq", "smtp": "- - n - - smtp", "relay": "- - n - - smtp",
    "error": "- - n - - error", "retry": "- - n - - error", "discard": "- - n - - discard", "local": "- n n - - local",
    "virtual": "- n n - - virtual", "anvil": "- - n - 1 anvil", "scache": "- - n - 1 scache", "tlsmgr": "- - n - 1 tlsmgr",
}
MAIN = """
compatibility_level = 3.6
queue_directory = %(queue)s
data_directory = %(dir)s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = %(dir)s/maillog
maillog_file_prefixes = /tmp
import_environment = MAIL_CONFIG TZ PATH=/usr/bin:/bin
"""
# What takes mail for example.test and discards it, in the tests that compare smtpd and cleanup. Both suites read it.
RECEIVING_AGENTS = dict.fromkeys(("local", "virtual", "smtp", "relay"), "discard")
RECEIVING = """
compatibility_level = 3.6
myhostname = mx.example.test
mydomain = example.test
myorigin = example.test
mydestination = example.test, localhost
alias_maps =
recipient_delimiter = +
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
"""
SENDING = """
myhostname = real.test
mydomain = real.test
mydestination = real.test
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
default_transport = smtp:[127.0.0.1]:%d
relay_transport = smtp:[127.0.0.1]:%d
smtp_connection_cache_on_demand = no
"""


def merge(settings, more):
    """main.cf's text, with those of the second in the place of the first's"""
    names = [line.split("=")[0].strip() for line in more.splitlines() if "=" in line]
    return "".join(line + "\n" for line in settings.splitlines() if line.split("=")[0].strip() not in names) + more


class RealPostfix:
    """main: settings; queue: a queue that is there already; agents: what delivers in their place ({"smtp": "discard"});
    master(dir): further lines of master.cf; prepare(dir): makes files before the start"""

    def __init__(self, main="", queue=None, agents={}, master=lambda where: "", prepare=lambda where: None):
        self.dir = tempfile.mkdtemp(prefix="pombal-real-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.etc, self.queue = self.dir + "/etc", queue or self.dir + "/queue"
        for path in (self.etc, self.dir + "/data", self.queue):
            os.makedirs(path, exist_ok=True)
        shutil.chown(self.dir + "/data", "postfix")
        for name in ("postfix-files", "dynamicmaps.cf", "post-install", "postfix-script"):
            if os.path.exists("/etc/postfix/" + name):
                shutil.copy("/etc/postfix/" + name, self.etc)
        if os.path.isdir("/etc/postfix/dynamicmaps.cf.d"):
            shutil.copytree("/etc/postfix/dynamicmaps.cf.d", self.etc + "/dynamicmaps.cf.d")
        services = {**SERVICES, **{name: "- - n - - " + program for name, program in agents.items()}}
        with open(self.etc + "/main.cf", "w") as f:
            f.write(merge(MAIN % {"dir": self.dir, "queue": self.queue}, main))
        with open(self.etc + "/master.cf", "w") as f:
            f.write("".join(master(self.dir)))
            f.write("".join("%s unix %s\n" % line for line in services.items()))
            f.write("postlog unix-dgram n - n - 1 postlogd\n")
        prepare(self.dir)

    def run(self, name, *args, input=None, check=True):
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err: # no pipe: the daemons would keep it open
            r = subprocess.run([os.path.join("/usr/sbin", name)] + list(args), input=input, text=True, stdout=out, stderr=err, timeout=180,
                               env=dict(os.environ, MAIL_CONFIG=self.etc, PATH="/usr/sbin:/usr/bin:/sbin:/bin"))
            out.seek(0), err.seek(0)
            r.stdout, r.stderr = out.read(), err.read()
        assert not check or r.returncode == 0, r.stdout + r.stderr + self.log()
        return r

    def start(self):
        """an empty queue is a copy of one that postfix has made and looked at, which takes two seconds of CPU time"""
        if os.listdir(self.queue):
            self.run("postfix", "start")
            return self
        if not QUEUE:
            self.run("postfix", "check")
            QUEUE.append(subprocess.run(["tar", "-C", self.queue, "-c", "."], check=True, capture_output=True).stdout)
        else:
            subprocess.run(["tar", "-C", self.queue, "-xp"], check=True, input=QUEUE[0])
        self.run(MASTER, "-w")
        return self

    def master_pid(self):
        try:
            with open(self.queue + "/pid/master.pid") as f:
                pid = int(f.read())
            return pid if os.readlink("/proc/%d/cwd" % pid) == self.queue else None
        except (OSError, ValueError):
            return None

    def stop(self):
        pid = self.master_pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
            pombal.wait_for(lambda: not self.master_pid())

    def log(self):
        try:
            return open(self.dir + "/maillog", errors="replace").read()
        except OSError:
            return ""

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        if what[0] is not None:
            print(self.log()[-30000:])
        self.close()


def smtpd_lines(services, ports):
    """of master.cf: a port of smtpd for each, with its options ("parameter=value")"""
    for name, options in services.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name]
        for option in options:
            yield "    -o { %s = %s }\n" % tuple(option.split("=", 1))


def started(make, free_ports):
    """make(ports) started, and its ports: again with others where somebody was faster"""
    for left in (4, 3, 2, 1, 0):
        ports = free_ports()
        real = make(ports)
        try:
            return real.start(), ports
        except AssertionError:
            taken = "Address already in use" in real.log()
            real.close()
            if not taken or left == 0:
                raise


class SendingPostfix(RealPostfix):
    """takes mail on self.port and sends all of it to a server on the port sink"""

    def __init__(self, queue=None, sink=9, main=""):
        self.port = pombal.free_port()
        super().__init__(merge(SENDING % (sink, sink), main), queue,
                         master=lambda where: "127.0.0.1:%d inet n - n - - smtpd\n" % self.port)


class Sink:
    """an SMTP server that takes everything and remembers it"""

    def __init__(self):
        self.mails = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        f = sock.makefile("rwb")

        def say(text):
            f.write(text + b"\r\n")
            f.flush()

        say(b"220 sink.test ESMTP")
        sender, to = None, []
        for line in f:
            verb = line[:4].upper()
            if verb == b"EHLO":
                say(b"250-sink.test\r\n250-8BITMIME\r\n250 DSN")
            elif verb == b"MAIL":
                sender, to = line[line.index(b"<") + 1:line.index(b">")].decode(), []
                say(b"250 ok")
            elif verb == b"RCPT":
                to.append(line[line.index(b"<") + 1:line.index(b">")].decode())
                say(b"250 ok")
            elif verb == b"DATA":
                say(b"354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += f.readline()
                self.mails.append((sender, to, text[:-3].decode("latin-1")))
                say(b"250 ok")
            elif verb == b"QUIT":
                say(b"221 bye")
                break
            else:
                say(b"250 ok")
        sock.close()

    def close(self):
        # A thread that still waits in accept() would take connections of whoever gets its descriptor next.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()
