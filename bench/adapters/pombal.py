"""Pombal: a private instance of the build that MAILSUITE names (build/release). Variants: "" (many
sessions in a process), "one" (sessions_per_process = 1: one client in a process, as Postfix)."""
import glob, os, time
from suite import *


class Adapter(Suite):
    name = "pombal"
    has_smtp = has_imap = has_pop3 = True

    def available(self):
        built = os.environ.get("MAILSUITE")
        if not built:
            return "set MAILSUITE to the directory of the built suite"
        if not os.path.exists(built + "/bin/master"):
            return "%s/bin/master is not there: build the suite first" % built

    def start(self):
        r, self.bin = self.root, os.environ["MAILSUITE"] + "/bin"
        self.etc, self.queue, data = (self.mkdir(d) for d in ("etc", "queue", "data"))
        import shutil
        shutil.chown(data, "postfix", "postfix")
        self.mkdir("log", mode=0o777)
        self.mkdir("mail", UID, GID)
        self.write("etc/boxes", "".join("%s@%s %s/\n" % (user(n), DOMAIN, user(n)) for n in range(USERS + 1)))
        self.write("etc/passwd", "".join("%s:{PLAIN}%s:%d:%d::%s/mail/%s::\n" % (user(n), PASSWORD, UID, GID, r, user(n))
                                         for n in range(USERS + 1)))
        one = "sessions_per_process = 1" if self.variant == "one" else ""
        self.write("etc/main.cf", f"""
compatibility_level = 3.6
queue_directory = {self.queue}
data_directory = {data}
command_directory = {self.bin}
daemon_directory = {self.bin}
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.example
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {r}/log/pombal.log
maillog_file_prefixes = {r}
biff = no
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {r}/mail
virtual_mailbox_maps = texthash:{self.etc}/boxes
virtual_uid_maps = static:{UID}
virtual_gid_maps = static:{GID}
virtual_mailbox_limit = 0
relay_domains = {RELAY_DOMAIN}
transport_maps = inline:{{ {RELAY_DOMAIN}=smtp:[127.0.0.1]:{self.sink_port} }}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 120
in_flow_delay = 0
initial_destination_concurrency = 20
default_destination_concurrency_limit = 40
message_size_limit = 52428800
mailbox_size_limit = 0
smtpd_tls_security_level = none
smtp_tls_security_level = none
auth_passdb = passwd-file:{self.etc}/passwd
auth_mechanisms = plain login
mail_location = maildir:{r}/mail/%n
first_valid_uid = 1000
mail_max_userip_connections = 0
{one}
""")
        self.write("etc/master.cf", self.services())
        self.run(self.bin + "/pombal", "-c", self.etc, "start")

    def services(self):
        """conf/master.cf with our ports, and as many sessions as the peers are given"""
        ports = {"smtp": self.smtp_port, "imap": self.imap_port, "pop3": self.pop3_port}
        out = []
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        skip = False
        for line in open(top + "/conf/master.cf"):
            f = line.split()
            if line[:1].isspace() or line.startswith("#") or not f:
                if not skip and not line.startswith("#"):
                    out.append(line)
                continue
            skip = f[1] == "inet" and f[0] not in ports
            if skip:
                continue
            if f[1] == "inet":
                f[0] = "127.0.0.1:%d" % ports[f[0]]
                f[6] = "1200"
            f[4] = "n"
            out.append(" ".join(f) + "\n")
        return "".join(out)

    def stop(self):
        try:
            self.run(self.bin + "/pombal", "-c", self.etc, "stop")
        except RuntimeError:
            pass  # it had stopped
        for _ in range(100):
            if not self.cg or not self.cg.pids():
                break
            time.sleep(0.1)

    def cold(self, n):
        for f in glob.glob(self.maildir(n) + "/pombal.*"):
            os.unlink(f)

    def queue_empty(self):
        for name in ("incoming", "active", "deferred", "maildrop"):
            for _, _, files in os.walk(self.queue + "/" + name):
                if files:
                    return False
        return True
