"""A private Postfix to compare with: own directory, queue and log, no port but those of the given services."""
import os, shutil, subprocess, tempfile

POSTFIX = shutil.which("postfix", path="/usr/sbin:/sbin:" + os.environ["PATH"])
# name, private, processes, program; what delivers is discard
SERVICES = (("pickup", "n", 1, "pickup"), ("cleanup", "n", 0, "cleanup"), ("qmgr", "n", 1, "qmgr"),
            ("rewrite", "-", "-", "trivial-rewrite"), ("bounce", "-", 0, "bounce"), ("defer", "-", 0, "bounce"),
            ("trace", "-", 0, "bounce"), ("verify", "-", 1, "verify"), ("proxymap", "-", "-", "proxymap"),
            ("error", "-", "-", "error"), ("retry", "-", "-", "error"), ("local", "-", "-", "discard"),
            ("virtual", "-", "-", "discard"), ("smtp", "-", "-", "discard"), ("relay", "-", "-", "discard"),
            ("anvil", "-", 1, "anvil"), ("tlsmgr", "-", 1, "tlsmgr"), ("discard", "-", "-", "discard"))


class RealPostfix:
    """main: main.cf; master(dir): lines of master.cf; prepare(dir): makes files before the start"""

    def __init__(self, main, master, prepare=lambda where: None):
        self.dir = tempfile.mkdtemp(prefix="postfix-compat-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.etc, self.log_path, self.queue = self.dir + "/etc", self.dir + "/log", self.dir + "/queue"
        for name in ("etc", "data", "queue"):
            os.mkdir("%s/%s" % (self.dir, name))
        shutil.chown(self.dir + "/data", "postfix")
        for name in ("postfix-files", "dynamicmaps.cf"):
            if os.path.exists("/etc/postfix/" + name):
                shutil.copy("/etc/postfix/" + name, self.etc)
        if os.path.isdir("/etc/postfix/dynamicmaps.cf.d"):
            shutil.copytree("/etc/postfix/dynamicmaps.cf.d", self.etc + "/dynamicmaps.cf.d")
        with open(self.etc + "/main.cf", "w") as f:
            f.write(main + "queue_directory = %s/queue\ndata_directory = %s/data\nmaillog_file = %s\n"
                    "maillog_file_prefixes = %s\nconfig_directory = %s\ninet_interfaces = 127.0.0.1\n"
                    "inet_protocols = ipv4\nsyslog_name = postfix\nmulti_instance_enable = yes\n"
                    "multi_instance_name = postfix-compat\n"
                    % (self.dir, self.dir, self.log_path, self.dir, self.etc))
        with open(self.etc + "/master.cf", "w") as f:
            f.write("".join(master(self.dir)))
            f.write("".join("%s unix %s - n - %s %s\n" % line for line in SERVICES))
            f.write("postlog unix-dgram n - n - 1 postlogd\n")
        prepare(self.dir)
        r = subprocess.run([POSTFIX, "-c", self.etc, "start"], capture_output=True, text=True)
        if r.returncode:
            said = r.stderr + self.log()
            self.close()
            raise AssertionError(said)

    def close(self):
        subprocess.run([POSTFIX, "-c", self.etc, "stop"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self):
        try:
            return open(self.log_path, errors="replace").read()
        except OSError:
            return ""
