"""Run in a mount namespace of its own, with a /dev of its own: an instance that logs to syslog, whose daemon comes late and
is restarted. Prints as JSON what a test wants to look at."""
import json, os, re, socket, subprocess, sys, tempfile, threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pombal  # noqa: E402


def own_dev():
    """with the devices of the old one, and without its log"""
    place = tempfile.mkdtemp(prefix="pombal-dev-", dir="/tmp")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        subprocess.run(["cp", "-a", "/dev/" + name, place], check=True)
    os.symlink("/proc/self/fd", place + "/fd")
    os.mkdir(place + "/shm")
    os.chmod(place + "/shm", 0o1777)
    subprocess.run(["mount", "--move", place, "/dev"], check=True)
    os.rmdir(place)


class Syslogd:
    def __init__(self):
        self.lines = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while True:
            line = self.socket.recv(65536).decode(errors="replace")
            if line == "the end":
                return
            self.lines.append(line)

    def find(self, pattern):
        found = (re.search(pattern, line) for line in list(self.lines))
        return next((m for m in found if m), None)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"the end", "/dev/log")
        self.reader.join()
        self.socket.close()
        os.unlink("/dev/log")


def until(daemon, pattern, act):
    """does something again and again, until the daemon has a line of it"""
    def logged():
        act()
        return daemon.find(pattern)
    return pombal.wait_for(logged, every=0.2)


def main():
    own_dev()
    i = pombal.Instance(start=False, main="maillog_file =\nsyslog_facility = local3\n")
    daemons = []
    try:
        i.start()
        daemons.append(Syslogd())  # it comes late
        until(daemons[0], r"smtpd\[\d+\]: connect from", lambda: pombal.Raw(i.port("smtp")).close())
        smtp, imap = pombal.Raw(i.port("smtp")), i.imap("alice")
        smtp.reply()
        until(daemons[0], r"status=sent", lambda: i.send("alice", subject="before"))
        pids = {name: i.pids(name) for name in ("smtpd", "qmgr", "cleanup", "virtual", "imapd")}
        daemons[0].close()
        n = len(i.messages("alice"))
        i.send("alice", subject="nobody hears of it")
        i.wait_mail("alice", n + 1)
        daemons.append(Syslogd())
        for name in ("smtpd", "cleanup", "qmgr", "virtual"):
            until(daemons[1], name + r"\[\d+\]: warning: \d+ lines of the log were dropped: the syslog daemon was away", lambda: i.send("alice"))
        imap.logout()
        smtp.close()
        pombal.wait_for(lambda: daemons[1].find(r"postfix/imap\[\d+\]: user=<alice@.*: Logged out"))
        print(json.dumps({"before": pids, "lines": [d.lines for d in daemons],
                          "after": {name: i.pids(name) for name in pids}}))
    finally:
        i.close()
        daemons[-1].close()


if __name__ == "__main__":
    main()
