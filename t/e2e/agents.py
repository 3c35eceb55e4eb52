"""A suite without delivery agents of its own: only mail coming in and the queue; and agents that do what a test says.

    with MiniSuite() as s, Agent(s, "fake") as agent: ...
"""
import os, pwd, shutil, signal, smtplib, socket, subprocess, tempfile, threading

import pombal

MASTER = """
127.0.0.1:%(port)d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """
compatibility_level = 3.6
queue_directory = %(dir)s/queue
data_directory = %(dir)s/data
daemon_directory = %(bin)s
command_directory = %(bin)s
mail_owner = %(owner)s
setgid_group = %(group)s
myhostname = mail.queue.test
mydomain = queue.test
mydestination = queue.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
maillog_file = %(dir)s/log/maillog
maillog_file_prefixes = /tmp
alias_maps =
alias_database =
local_recipient_maps =
default_transport = fake
relay_transport = fake
local_transport = fake
smtpd_peername_lookup = no
notify_classes =
"""


AGENTS = "fake", "few", "local"  # what tests may call theirs
QUEUE = []  # a tar archive of an empty one


class MiniSuite(pombal.Instance):
    def __init__(self, main="", master="", start=True):
        self.faults, self.start_env, self.parsed = [], {}, {}
        self.dir = tempfile.mkdtemp(prefix="pombal-queue-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.etc, self.queue, self.log_path = self.dir + "/etc", self.dir + "/queue", self.dir + "/log/maillog"
        self.smtp_port, self.domain = pombal.free_port(), "queue.test"
        owner = "postfix" if pombal.IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
        group = "postdrop" if pombal.IS_ROOT else str(os.getgid())
        values = {"dir": self.dir, "bin": pombal.BIN, "port": self.smtp_port, "owner": owner, "group": group}
        for name in ("etc", "queue", "data", "log"):
            os.mkdir(self.dir + "/" + name, 0o700 if name == "data" else 0o755)
        if pombal.IS_ROOT:
            os.chown(self.dir + "/data", pwd.getpwnam(owner).pw_uid, -1)
            os.chown(self.dir + "/log", pwd.getpwnam(owner).pw_uid, -1)
        self.write("etc/main.cf", MAIN % values)
        self.write("etc/master.cf", MASTER % values)
        self.places = pombal.PLACES.findall(self.read("etc/main.cf"))
        self.make_queue()
        self.add_main(main)
        self.add_master(master)
        if start:
            self.start()

    def make_queue(self):
        if not QUEUE:
            pombal.make_queue(self.etc)
            os.unlink(self.log_path)
            QUEUE.append(pombal.archive(self.queue))
        else:
            pombal.unpack(self.queue, QUEUE[0])
        # A daemon connects to the sockets that are there when it starts, and to no others: Agent comes later.
        for name in AGENTS:
            with socket.socket(socket.AF_UNIX) as place:
                place.bind("%s/private/%s" % (self.queue, name))

    def start(self):
        self.tool(*self.start_command(), env=self.start_env)
        pombal.wait_for(lambda: self.listens("smtp"))

    def port(self, name):
        return self.smtp_port

    def send(self, to, sender="sender@far.test", body="text\r\n", mail=(), rcpt=(), headers=""):
        """one message; mail and rcpt are ESMTP parameters. The queue id."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=pombal.PATIENCE) as s:
            s.ehlo("client.test")
            assert s.mail(sender, list(mail))[0] == 250
            for a in [to] if isinstance(to, str) else to:
                code, text = s.rcpt(a, list(rcpt))
                assert code == 250, text
            code, text = s.data("Subject: test\r\n" + headers + "\r\n" + body)
            assert code == 250, text
            return text.split()[-1].decode()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        if what[0] is not None:
            print(self.log()[-12000:])
        self.close()


def receive(sock):
    """one message of attributes as a list of pairs; None at the end of the connection"""
    data = b""
    while True:
        parts = data.split(b"\0")
        at, pairs = 0, []
        while at + 1 < len(parts):
            if parts[at] == b"":
                return pairs
            if at + 2 >= len(parts):
                break
            pairs.append((parts[at].decode(), parts[at + 1].decode("utf-8", "replace")))
            at += 2
        more = sock.recv(65536)
        if not more:
            return None
        data += more


def encode(pairs):
    return b"".join(b"%s\0%s\0" % (k.encode(), str(v).encode()) for k, v in pairs) + b"\0"


def external(address):
    """as it stands in logs and reports: quoted where it must be"""
    local, at, domain = address.rpartition("@")
    return '"%s"@%s' % (local, domain) if " " in local else address


class Delivery:
    """what qmgr asked an agent to do"""

    def __init__(self, pairs):
        self.rcpts, self.attrs = [], {}
        for name, value in pairs:
            if name == "rcpt_at":
                self.rcpts.append({"rcpt_at": int(value)})
            elif self.rcpts:
                self.rcpts[-1][name] = value
            else:
                self.attrs[name] = value
        self.id, self.sender = self.attrs["queue_id"], self.attrs.get("sender", "")
        self.nexthop = self.attrs.get("nexthop", "")
        self.to = [r["rcpt"] for r in self.rcpts]


class Agent:
    """private/<name>; policy(delivery) gives the fates as letters, a (fates, site code, site text), or None to die"""

    def __init__(self, suite, name, policy=lambda d: "d" * len(d.to)):
        self.suite, self.policy, self.seen, self.lock = suite, policy, [], threading.Lock()
        self.busy = self.most = 0
        self.listener = socket.socket(socket.AF_UNIX)
        path = "%s/private/%s" % (suite.queue, name)
        if os.path.exists(path):
            os.unlink(path)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(100)
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
        try:
            while (pairs := receive(sock)) is not None:
                d = Delivery(pairs)
                with self.lock:
                    self.seen.append(d)
                    self.busy += 1
                    self.most = max(self.most, self.busy)
                result = self.policy(d)
                with self.lock:
                    self.busy -= 1
                if result is None:
                    break
                sock.sendall(self.answer(d, result))
        except OSError:
            pass
        finally:
            sock.close()

    def answer(self, d, result):
        fates, code, text = result if isinstance(result, tuple) else (result, None, None)
        for rcpt, fate in zip(d.rcpts, fates):
            self.end(d, rcpt, fate, text or "said no")
        site = [("site", 1), ("why_code", code), ("why_text", text)] if code else []
        return encode([("status", "ok"), ("fates", fates)] + site)

    def end(self, d, rcpt, fate, text):
        service = {"b": "bounce", "l": "defer", "t": "trace"}.get(fate)
        status = {"b": "5.1.1", "l": "4.2.1", "t": "2.0.0"}.get(fate)
        action = {"b": "failed", "l": "delayed", "t": "delivered"}.get(fate)
        if service:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(pombal.PATIENCE)
                s.connect("%s/private/%s" % (self.suite.queue, service))
                s.sendall(encode([("request", "append"), ("queue_id", d.id), ("recipient", external(rcpt["rcpt"])),
                                  ("dsn_orig_rcpt", rcpt.get("rcpt_orcpt", "")), ("offset", rcpt["rcpt_at"]),
                                  ("notify_flags", rcpt.get("rcpt_notify", 0)), ("status", status), ("action", action),
                                  ("reason", text)]))
                assert dict(receive(s))["status"] == "ok"
        if fate != "l" and rcpt["rcpt_at"]:
            with self.lock, open("%s/active/%s" % (self.suite.queue, d.id), "r+b") as f:
                f.seek(rcpt["rcpt_at"])
                kind = f.read(1)
                assert kind in b"RD"  # D: a queue manager that was killed had asked for the same
                f.seek(rcpt["rcpt_at"])
                f.write(b"D")

    def close(self):
        # A thread that still waits in accept() would take connections of whoever gets its descriptor next.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


def content(suite, d):
    """the message that a delivery is about, as text; call it in the policy, while the file is there"""
    out, at = [], int(d.attrs["data_offset"])
    data = open("%s/active/%s" % (suite.queue, d.id), "rb").read()
    while True:
        kind, at = data[at:at + 1], at + 1
        n = shift = 0
        while True:
            byte, at = data[at], at + 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if kind not in (b"N", b"L"):
            return b"".join(out).decode("utf-8", "replace")
        out.append(data[at:at + n] + (b"\n" if kind == b"N" else b""))
        at += n
