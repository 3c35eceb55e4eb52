"""A private instance of Debian's Postfix: queue, configuration and log below one folder, no network."""
import glob, os, re, shutil, subprocess, tempfile, time

SBIN = "/usr/lib/postfix/sbin"
MASTER = """
pickup    unix  n - n 1 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
proxymap  unix  - - n - - proxymap
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
postlog   unix-dgram n - n - 1 postlogd
"""


def available():
    return os.path.exists(SBIN + "/master") and os.geteuid() == 0


class Postfix:
    def __init__(self, main, master=""):
        self.dir = tempfile.mkdtemp(prefix="postfix-compat-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.etc, self.log_path = self.dir + "/etc", self.dir + "/maillog"
        os.mkdir(self.etc)
        with open(self.etc + "/main.cf", "w") as f:
            f.write(
                "compatibility_level = 3.6\nqueue_directory = %s/spool\ndata_directory = %s/data\n"
                "maillog_file = %s\nmaillog_file_prefixes = /tmp\ninet_interfaces = 127.0.0.1\n"
                "multi_instance_enable = no\nimport_environment = MAIL_CONFIG PATH=/usr/bin:/bin\n%s"
                % (self.dir, self.dir, self.log_path, main)
            )
        with open(self.etc + "/master.cf", "w") as f:
            f.write(MASTER + master)
        os.mkdir(self.dir + "/data")
        shutil.chown(self.dir + "/data", "postfix")
        os.mkdir(self.dir + "/spool")
        self.run("postfix", "start")

    def run(self, tool, *args, input=None, check=True):
        env = {"MAIL_CONFIG": self.etc, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        # Nothing below may hold a pipe of ours open: the daemons live on.
        with tempfile.TemporaryFile("w+") as out:
            r = subprocess.run([tool] + list(args), input=input, text=True, stdout=out, stderr=out, env=env)
            out.seek(0)
            r.stdout = out.read()
        assert not check or r.returncode == 0, r.stdout
        return r

    def log(self):
        try:
            return open(self.log_path, errors="replace").read()
        except OSError:
            return ""

    def queue_files(self):
        return [p for d in ("maildrop", "incoming", "active") for p in glob.glob("%s/spool/%s/*" % (self.dir, d)) if os.path.isfile(p)]

    def close(self):
        self.run("postfix", "stop", check=False)
        for _ in range(200):
            if not os.path.exists(self.dir + "/spool/pid/master.pid") or not alive(self.dir + "/spool/pid/master.pid"):
                break
            time.sleep(0.05)
        shutil.rmtree(self.dir, ignore_errors=True)


def alive(pid_file):
    try:
        os.kill(int(open(pid_file).read()), 0)
        return True
    except (OSError, ValueError):
        return False


STATUS = re.compile(
    r"(\w+): to=<([^>]*)>,(?: orig_to=<([^>]*)>,)? relay=([^,]+), .*?dsn=([\d.]+), status=(\w+) \((.*)\)$", re.M)


def outcomes(log, mask=()):
    """(to, orig_to, relay, dsn, status, text) of each recipient, queue ids masked"""
    found = []
    for m in STATUS.finditer(log):
        text = re.sub(r"(forwarded as|queued as) \w+", r"\1 ID", m.group(7)).rstrip()
        for pattern, to in mask:
            text = re.sub(pattern, to, text)
        found.append((m.group(2), m.group(3), m.group(4), m.group(5), m.group(6), text))
    return sorted(found, key=str)
