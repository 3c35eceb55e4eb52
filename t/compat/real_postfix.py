"""A private Postfix, Debian's own, on a queue directory that may be somebody else's. Needs root."""
import os, pwd, shutil, socket, subprocess, tempfile, threading

import pombal

HAVE = os.path.exists("/usr/lib/postfix/sbin/master") and pombal.IS_ROOT
MASTER = """
127.0.0.1:%(port)d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """
compatibility_level = 3.6
queue_directory = %(queue)s
data_directory = %(dir)s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = real.test
mydomain = real.test
mydestination = real.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
maillog_file = %(dir)s/maillog
maillog_file_prefixes = /tmp
alias_maps =
alias_database =
local_recipient_maps =
default_transport = smtp:[127.0.0.1]:%(sink)d
relay_transport = smtp:[127.0.0.1]:%(sink)d
smtp_connection_cache_on_demand = no
import_environment = MAIL_CONFIG TZ
"""


class RealPostfix:
    def __init__(self, queue=None, sink=9, main=""):
        self.dir = tempfile.mkdtemp(prefix="pombal-real-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.etc, self.queue, self.port = self.dir + "/etc", queue or self.dir + "/queue", pombal.listen_port()
        for path in (self.etc, self.dir + "/data", self.queue):
            os.makedirs(path, exist_ok=True)
        os.chown(self.dir + "/data", pwd.getpwnam("postfix").pw_uid, -1)
        values = {"dir": self.dir, "queue": self.queue, "port": self.port, "sink": sink}
        open(self.etc + "/main.cf", "w").write(MAIN % values + main)
        open(self.etc + "/master.cf", "w").write(MASTER % values)
        for name in ("postfix-files", "dynamicmaps.cf", "post-install", "postfix-script"):
            if os.path.exists("/etc/postfix/" + name):
                shutil.copy("/etc/postfix/" + name, self.etc)

    def run(self, name, *args, input=None, check=True):
        r = subprocess.run(["/usr/sbin/" + name] + list(args), input=input, capture_output=True, text=True, timeout=60,
                           env=dict(os.environ, MAIL_CONFIG=self.etc))
        assert not check or r.returncode == 0, r.stdout + r.stderr
        return r

    def start(self):
        self.run("postfix", "-c", self.etc, "start")

    def stop(self):
        self.run("postfix", "-c", self.etc, "stop", check=False)

    def log(self):
        try:
            return open(self.dir + "/maillog").read()
        except OSError:
            return ""

    def __enter__(self):
        return self

    def __exit__(self, *what):
        if what[0] is not None:
            print(self.log()[-30000:])
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


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
