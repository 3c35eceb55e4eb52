"""doc/from-postfix-and-dovecot.md, tried: Postfix's master.cf with the lines of the page, Dovecot's users and Maildirs."""
import imaplib
import os
import poplib
import pwd
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]
import pombal
from dovecot import HAVE, Dovecot

POSTFIX_MASTER = "/etc/postfix/master.cf.proto"
pytestmark = pytest.mark.skipif(not HAVE or os.getuid() != 0 or not os.path.exists(POSTFIX_MASTER),
                                reason="needs root, Dovecot and Postfix's master.cf")
PAGE = open(pombal.TOP + "/doc/from-postfix-and-dovecot.md").read()


def block(kind):
    return re.search(r"```%s\n(.*?)```" % re.escape(kind), PAGE, flags=re.S)[1]


def crypted(password):
    return subprocess.run(["openssl", "passwd", "-6", password], capture_output=True, text=True, check=True).stdout.strip()


def on_ports(master_cf, ports):
    for name, port in ports.items():
        master_cf = re.sub(r"^%s +inet" % name, "127.0.0.1:%d inet" % port, master_cf, flags=re.M)
    return master_cf


class Moved:
    """a host whose virtual users Dovecot has served, and Pombal on its data"""

    def __init__(self):
        self.ours = pombal.Instance(start=False)
        self.owner = pwd.getpwnam("pombalmail")
        self.hosts = self.ours.dir + "/vhosts/example.test"
        os.makedirs(self.hosts)
        for d in (os.path.dirname(self.hosts), self.hosts):
            os.chown(d, self.owner.pw_uid, self.owner.pw_gid)
        self.users = "carol@example.test:%s::::::\n" % crypted("secret")
        self.theirs = Dovecot(self.users, mechanisms="plain", mail=self.hosts, uid=self.owner.pw_uid, gid=self.owner.pw_gid)
        self.before = self.fill()
        self.theirs.close()
        self.configure()
        self.ours.start()

    def fill(self):
        c = imaplib.IMAP4("127.0.0.1", self.theirs.imap, timeout=pombal.PATIENCE)
        c.login("carol@example.test", "secret")
        for text in ("one", "two", "three"):
            assert c.append("INBOX", r"(\Flagged work)" if text == "two" else "", None, b"Subject: %s\r\n\r\nx\r\n" % text.encode())[0] == "OK"
        c.create("Sent")
        c.subscribe("Sent")
        c.append("Sent", r"(\Seen)", None, b"Subject: sent\r\n\r\nx\r\n")
        c.select("INBOX")
        c.store("1", "+FLAGS", r"(\Deleted)")
        c.expunge()
        p = poplib.POP3("127.0.0.1", self.theirs.pop3, timeout=pombal.PATIENCE)
        p.user("carol@example.test")
        p.pass_("secret")
        self.uidl = p.uidl()[1]
        p.quit()
        seen = look(c)
        c.logout()
        return seen

    def configure(self):
        s = self.ours
        ports = {name: s.port(name) for name in ("smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps")}
        master_cf = "".join(line for line in open(POSTFIX_MASTER) if not line.startswith("#"))
        master_cf = re.sub(r"^(maildrop|uucp|ifmail|bsmtp|scalemail-backend|mailman) .*\n(?: .*\n)*", "", master_cf, flags=re.M)
        master_cf = re.sub(r"^postlog .*\n", "", master_cf, flags=re.M)  # the page has it, too
        s.write("etc/master.cf", on_ports(master_cf + block("master.cf"), ports))
        s.write("etc/users", self.users, 0o600)
        s.write("etc/vmailbox", "carol@example.test example.test/carol/\n")
        s.add_main(block("main.cf") + f"""
auth_passdb = passwd-file:{s.etc}/users
mail_uid = {self.owner.pw_name}
mail_gid = {self.owner.pw_gid}
mydestination = localhost
local_recipient_maps =
mailbox_transport =
virtual_transport = virtual
virtual_mailbox_domains = example.test
virtual_mailbox_base = {s.dir}/vhosts
virtual_mailbox_maps = hash:{s.etc}/vmailbox
virtual_uid_maps = static:{self.owner.pw_uid}
virtual_gid_maps = static:{self.owner.pw_gid}
mail_location = maildir:{s.dir}/vhosts/%d/%n
""")
        s.tool("postmap", "hash:%s/vmailbox" % s.etc)

    def close(self):
        self.ours.close()


def look(c):
    """what a client remembers: subscriptions, and per folder the UIDVALIDITY and uid, flags, subject of each message"""
    seen = {"lsub": sorted(line.split()[-1] for line in c.lsub()[1] if line)}
    for folder in ("INBOX", "Sent"):
        c.select(folder, readonly=True)
        validity = c.response("UIDVALIDITY")[1]
        data = c.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        flat = b" ".join(part for item in data for part in (item if isinstance(item, tuple) else (item,)))
        messages = [(u, sorted(set(f.split()) - {rb"\Recent"}), t.strip())
                    for u, f, t in re.findall(rb"UID (\d+) FLAGS \((.*?)\).*?Subject: (.*?)\r\n", flat)]
        seen[folder] = (validity, messages)
    return seen


@pytest.fixture(scope="module")
def moved():
    m = Moved()
    yield m
    m.close()


def login(s):
    c = imaplib.IMAP4("127.0.0.1", s.port("imap"), timeout=pombal.PATIENCE)
    c.login("carol@example.test", "secret")
    return c


def test_a_client_sees_the_mailbox_as_dovecot_left_it(moved):
    assert len(moved.before["INBOX"][1]) == 2
    assert look(login(moved.ours)) == moved.before


def test_pop3_clients_fetch_nothing_twice(moved):
    p = poplib.POP3("127.0.0.1", moved.ours.port("pop3"), timeout=pombal.PATIENCE)
    p.user("carol@example.test")
    p.pass_("secret")
    assert p.uidl()[1][:2] == moved.uidl
    p.quit()


def test_mail_for_virtual_users_arrives_in_that_mailbox(moved):
    moved.ours.send("carol@example.test", subject="after the move")
    c = login(moved.ours)
    pombal.wait_for(lambda: b"after the move" in str(c.select("INBOX") and c.fetch("1:*", "(BODY.PEEK[HEADER])")[1]).encode())


def test_check_is_content_with_postfix_master_cf_and_the_lines(moved):
    r = moved.ours.tool("pombal", "check", check=False)
    assert r.returncode == 0, r.stderr
    assert "error" not in r.stderr and "fatal" not in r.stderr


def test_the_lines_are_those_of_our_own_master_cf():
    ours = open(pombal.TOP + "/conf/master.cf").read()
    squeeze = lambda line: " ".join(line.split())
    lines = {squeeze(line) for line in ours.split("\n")}
    added = [squeeze(line) for line in block("master.cf").split("\n") if line]
    column = lambda line: line.replace(" - n - ", " - - - ").replace(" n - n - ", " n - - - ")
    assert not [line for line in added if line not in lines and column(line) not in {column(x) for x in lines}]


def test_system_users_become_a_passwd_file(tmp_path):
    script = block("sh")
    password = crypted("pw")
    (tmp_path / "shadow").write_text("root:%s:1::::::\ndaemon:*:1::::::\ndave:%s:1::::::\nnologin:!:1::::::\n" % (password, password))
    (tmp_path / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\n"
                                     "dave:x:1000:1001:Dave:/home/dave:/bin/sh\nnologin:x:1002:1002::/home/n:/bin/sh\n")
    script = script.replace("/etc/shadow", "shadow").replace("/etc/passwd", "passwd").replace("/etc/postfix/passwd", "users")
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True)
    assert (tmp_path / "users").read_text() == "dave:%s:1000:1001::/home/dave::\n" % password
    assert os.stat(tmp_path / "users").st_mode & 0o777 == 0o600
