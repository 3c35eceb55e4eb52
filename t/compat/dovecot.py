"""A private Dovecot for comparisons: users of a passwd-file, Maildirs, the authentication socket."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from ports import free_port

HAVE = shutil.which("dovecot") is not None


class Dovecot:
    """passwd: text of the passwd-file; mail: directory below which %n is a user's Maildir"""

    def __init__(self, passwd, mail=None, mechanisms="plain login cram-md5 apop", uid=0, gid=0, more=""):
        self.dir = tempfile.mkdtemp(prefix="pombal-dovecot-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.mail = mail or self.dir + "/mail"
        os.makedirs(self.mail, exist_ok=True)
        self.pop3, self.imap = free_port(), free_port()
        with open(self.dir + "/passwd", "w") as f:
            f.write(passwd)
        os.chmod(self.dir + "/passwd", 0o644)
        self.conf = self.dir + "/dovecot.conf"
        me = "root" if os.getuid() == 0 else subprocess.getoutput("id -un")
        login = "" if os.getuid() == 0 else "default_login_user = %s\ndefault_internal_user = %s\n" % (me, me)
        with open(self.conf, "w") as f:
            f.write(f"""
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.dir}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = no
{login}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
mail_location = maildir:{self.mail}/%n
first_valid_uid = 1
mail_uid = {uid or os.getuid()}
mail_gid = {gid or os.getgid()}
passdb {{
  driver = passwd-file
  args = {self.dir}/passwd
}}
userdb {{
  driver = passwd-file
  args = {self.dir}/passwd
  default_fields = uid={uid or os.getuid()} gid={gid or os.getgid()} home={self.dir}/home/%n
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
{more}
""")
        subprocess.run(["dovecot", "-c", self.conf], check=True)
        self.auth = self.dir + "/run/auth-client"

    def log(self):
        try:
            return open(self.dir + "/log", errors="replace").read()
        except OSError:
            return ""

    def close(self):
        try:
            pid = int(open(self.dir + "/run/master.pid").read())
        except (OSError, ValueError):
            pid = None
        if pid:
            os.kill(pid, signal.SIGTERM)
            for _ in range(200):
                try:
                    os.kill(pid, 0)
                except OSError:
                    break
                time.sleep(0.05)
        shutil.rmtree(self.dir, ignore_errors=True)
