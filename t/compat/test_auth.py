"""Dovecot's authentication protocol, both ends against the real ones: our authd with Debian's smtpd
and with our client, the real Dovecot with our client; the same answers for the same users."""
import base64
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

import pytest

from dovecot import HAVE, Dovecot, free_port

BUILD = os.environ.get("POMBAL_BUILD", os.path.join(os.path.dirname(__file__), "../../build/dev"))
BUILD = os.path.abspath(BUILD)
IS_ROOT = os.getuid() == 0
PATIENCE = 150

SCHEMES = ["CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "BLF-CRYPT", "DES-CRYPT", "PLAIN", "CLEARTEXT", "SHA",
           "SHA1", "SHA256", "SHA512", "SSHA", "SSHA256", "SSHA512", "SMD5", "LDAP-MD5", "PLAIN-MD5", "DIGEST-MD5",
           "CRAM-MD5", "HMAC-MD5", "PBKDF2", "SSHA.hex", "SSHA256.b64", "SHA512.HEX", "PLAIN.b64"]


def wait_for(what):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def answers(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


class Authd:
    """our authd alone, by hand, on a socket of its own"""

    def __init__(self, passwd, mechanisms="plain login cram-md5 apop"):
        self.dir = tempfile.mkdtemp(prefix="pombal-authd-", dir="/tmp")
        for d in ("etc", "queue/private"):
            os.makedirs(self.dir + "/" + d)
        for d in ("", "/queue", "/queue/private"):
            os.chmod(self.dir + d, 0o755)
        self.passwd = self.dir + "/etc/passwd"
        self.write(passwd)
        me = "postfix" if IS_ROOT else subprocess.getoutput("id -un")
        with open(self.dir + "/etc/main.cf", "w") as f:
            f.write(f"""compatibility_level = 3.6
queue_directory = {self.dir}/queue
data_directory = {self.dir}
mail_owner = {me}
myhostname = mail.example.test
auth_passdb = passwd-file:{self.passwd}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_request_timeout = 300
first_valid_uid = 1
""")
        self.auth = self.dir + "/queue/private/auth"
        self.err = open(self.dir + "/err", "w+")
        self.process = subprocess.Popen([BUILD + "/bin/authd", "-c", self.dir + "/etc", "-n", "auth", "-l", "private/auth"],
                                        stderr=self.err)
        wait_for(lambda: answers(self.auth))

    def write(self, passwd):
        with open(self.passwd + ".new", "w") as f:
            f.write(passwd)
        os.chmod(self.passwd + ".new", 0o644)
        os.rename(self.passwd + ".new", self.passwd)

    def log(self):
        return open(self.dir + "/err", errors="replace").read()

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        shutil.rmtree(self.dir, ignore_errors=True)


def ask(path, *lines):
    r = subprocess.run([BUILD + "/unit/auth_ask", path], input="\n".join(lines), capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 0, r.stderr
    return r.stdout.splitlines()


def hashes():
    made = []
    for i, scheme in enumerate(SCHEMES):
        cmd = ["doveadm", "pw", "-s", scheme, "-u", "u%d@d.test" % i, "-p", "secret%d" % i]
        line = subprocess.run(cmd, capture_output=True, text=True, check=True).stdout.strip()
        made.append("u%d@d.test:%s:1000:1000::/nonexistent::" % (i, line))
    return "\n".join(made) + """
crypt@d.test:$1$p2ftNigQ$/LfAZWMcwrHiKpCm6dkQ2.:1000:1000::/nonexistent::
any@d.test::1000:1000::/nonexistent::nopassword
empty@d.test::1000:1000::/nonexistent::
here@d.test:{PLAIN}x:1000:1000::/nonexistent::allow_nets=127.0.0.0/8
there@d.test:{PLAIN}x:1000:1000::/nonexistent::allow_nets=10.0.0.0/8
nodomain:{PLAIN}x:1000:1000::/nonexistent::
# comment@d.test:{PLAIN}x:1000:1000::/nonexistent::
"""


ATTEMPTS = (["PLAIN u%d@d.test secret%d" % (i, i) for i in range(len(SCHEMES))]
            + ["LOGIN u%d@d.test wrong" % i for i in range(len(SCHEMES))]
            + ["CRAM-MD5 u%d@d.test secret%d" % (i, i) for i in range(len(SCHEMES))]
            + ["PLAIN U6@D.test secret6", "LOGIN u6@d.test secret6", "CRAM-MD5 U6@d.TEST secret6", "PLAIN nobody@d.test x",
               "PLAIN any@d.test whatever", "PLAIN empty@d.test x", "PLAIN here@d.test x", "PLAIN there@d.test x",
               "PLAIN nodomain x", "LOGIN NoDomain x", "PLAIN bad/name x", "PLAIN comment@d.test x", "PLAIN a%b x", "PLAIN #x x",
               "LOGIN nobody x", "CRAM-MD5 nobody x"])


@pytest.mark.skipif(not HAVE or not IS_ROOT, reason="needs Dovecot, and root to run it")
def test_the_same_users_get_in_as_with_dovecot():
    passwd = hashes()
    theirs, ours = Dovecot(passwd), Authd(passwd)
    try:
        expected, got = ask(theirs.auth, *ATTEMPTS), ask(ours.auth, *ATTEMPTS)
        differ = [(a, e, g) for a, e, g in zip(ATTEMPTS, expected, got) if e.split()[:2] != g.split()[:2]]
        # DES and MD5 hashes may be of the form that our crypt(3) knows too; nothing else may differ.
        assert differ == []
        assert sum(g.startswith("ok") for g in got) > len(SCHEMES)
        assert set(ask(theirs.auth, "mechs")[0].split()) == set(ask(ours.auth, "mechs")[0].split()) == {"PLAIN", "LOGIN", "CRAM-MD5"}
    finally:
        theirs.close()
        ours.close()


def test_a_changed_table_is_used_at_once():
    ours = Authd("al:{PLAIN}one\n")
    try:
        assert ask(ours.auth, "PLAIN al one", "PLAIN bo x") == ["ok al", "denied "]
        ours.write("al:{PLAIN}two\nbo:{PLAIN}x\n")
        end = time.monotonic() + PATIENCE
        while ask(ours.auth, "PLAIN al two", "PLAIN bo x") != ["ok al", "ok bo"]:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert ask(ours.auth, "PLAIN al one") == ["denied "]
    finally:
        ours.close()


def test_logged_is_the_user_and_never_the_password():
    ours = Authd("al:{PLAIN}right-one\n")
    try:
        ask(ours.auth, "PLAIN al wrong-one", "LOGIN al wrong-two", "PLAIN who wrong-three", "PLAIN al right-one")
        text = ours.log()
        assert "passwd-file(al,127.0.0.1): smtp login by PLAIN failed: wrong password" in text
        assert "passwd-file(who,127.0.0.1): smtp login by PLAIN failed: unknown user" in text
        assert "-one" not in text and "-two" not in text and "-three" not in text
    finally:
        ours.close()


def converse(path, *pieces):
    """raw bytes to authd; what comes back until it closes or 0.5 s pass"""
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.settimeout(PATIENCE)
    got = b""
    while b"\nDONE\n" not in got:
        got += s.recv(65536)
    got = b""
    for piece in pieces:
        s.sendall(piece)
    s.shutdown(socket.SHUT_WR)
    while True:
        more = s.recv(65536)
        if not more:
            return got
        got += more


def test_what_is_out_of_order_ends_the_connection():
    ours = Authd("al:{PLAIN}x\n")
    plain = base64.b64encode(b"\0al\0x").decode()
    hello = b"VERSION\t1\t1\nCPID\t1\n"
    auth = "AUTH\t1\tPLAIN\tservice=smtp\tresp=%s\n" % plain
    try:
        assert converse(ours.auth, hello, auth.encode()).startswith(b"OK\t1\tuser=al")
        for bad in (auth.encode(), b"CPID\t1\n", b"VERSION\t2\t0\n" + auth.encode(), hello + b"CPID\t2\n" + auth.encode(),
                    hello + b"REQUEST\t1\tx\tservice=imap\n", hello + b"AUTH\n", hello + b"OK\t1\n", b"\0\n",
                    hello + b"AUTH\t1\tPLAIN\tservice=\001q\n", hello + b"A" * 20000 + b"\n"):
            assert converse(ours.auth, bad) == b"", bad
        # Unknown commands are of a newer protocol; a mechanism that is not offered fails alone.
        assert converse(ours.auth, hello, b"NEW\tx\n", auth.encode()).startswith(b"OK\t1")
        assert converse(ours.auth, hello, auth.replace("PLAIN", "GSSAPI").encode()).startswith(b"FAIL\t1")
        assert converse(ours.auth, hello, b"AUTH\t1\tPLAIN\tservice=smtp\tresp=!!\n").startswith(b"FAIL\t1")
        assert b"USER" not in converse(ours.auth, b"VERSION\t1\t1\nREQUEST\t1\tguess\tservice=imap\n")
    finally:
        ours.close()


def test_a_token_is_good_once_and_for_its_service():
    ours = Authd("al:{PLAIN}x:1000:1000::/home/al::\n")
    plain = base64.b64encode(b"\0al\0x").decode()

    def token(service):
        line = "VERSION\t1\t1\nCPID\t1\nAUTH\t1\tPLAIN\tservice=%s\tresp=%s\n" % (service, plain)
        answer = converse(ours.auth, line.encode()).decode().strip().split("\t")
        return dict(a.split("=", 1) for a in answer if "=" in a).get("token")

    def ask(word, text, service):
        line = "VERSION\t1\t1\n%s\t7\t%s\tservice=%s\n" % (word, text, service)
        return converse(ours.auth, line.encode()).decode().strip()

    def ticket(service):
        answer = ask("EXCHANGE", token(service), service)
        assert answer.startswith("TICKET\t7\tal\tticket=")
        return answer.split("=")[1]
    try:
        assert token("smtp") is None
        t = ticket("imap")
        assert ask("REQUEST", t, "imap").startswith("USER\t7\tal\tuid=")
        assert ask("REQUEST", t, "imap") == "NOTFOUND\t7"
        t = token("pop3")
        assert ask("EXCHANGE", t, "imap") == "NOTFOUND\t7"
        assert ask("EXCHANGE", t, "pop3") == "NOTFOUND\t7"  # spent
        assert ask("REQUEST", token("pop3"), "pop3") == "NOTFOUND\t7"  # not shown
        assert "mail=maildir:/home/al/Maildir" in ask("REQUEST", ticket("pop3"), "pop3")
    finally:
        ours.close()


SLOW = "{PBKDF2}$1$x$200000$0000000000000000000000000000000000000000"


def test_a_client_that_does_not_read_loses_its_connection_only():
    """slow hashes are checked for it while its socket is full"""
    ours = Authd("".join("u%d:%s\n" % (i, SLOW) for i in range(60)) + "al:{PLAIN}x\n")
    hello = b"VERSION\t1\t1\nCPID\t1\n"
    slow = b"".join(b"AUTH\t%d\tPLAIN\tservice=smtp\trip=127.0.0.%d\tresp=%s\n" % (
        100000 + i, i, base64.b64encode(b"\0u%d\0right" % i)) for i in range(60))
    refused = b"".join(b"AUTH\t%d\tNOSUCH\tservice=smtp\n" % i for i in range(1, 5000))
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(ours.auth)
            s.settimeout(PATIENCE)
            s.sendall(hello + slow)
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                for _ in range(100):
                    s.sendall(refused)
        assert "does not read its answers: more than auth_answer_limit (65536) bytes wait" in ours.log()
        plain = base64.b64encode(b"\0al\0x")
        assert converse(ours.auth, hello, b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain + b"\n").startswith(b"OK\t1\tuser=al")
        assert ours.process.poll() is None
    finally:
        ours.close()


def test_a_client_that_reads_late_gets_every_answer_whole():
    """those of the workers, too, which come while others are being written"""
    ours = Authd("".join("u%d:%s\n" % (i, SLOW) for i in range(60)))
    n = 800
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(ours.auth)
            s.settimeout(PATIENCE)
            s.sendall(b"VERSION\t1\t1\nCPID\t1\n")
            s.sendall(b"".join(b"AUTH\t%d\tPLAIN\tservice=smtp\trip=127.0.0.%d\tresp=%s\n" % (
                100000 + i, i, base64.b64encode(b"\0u%d\0wrong" % i)) for i in range(60)))
            s.sendall(b"".join(b"AUTH\t%d\tNOSUCH\tservice=smtp\n" % i for i in range(1, n)))
            lines, rest = [], b""
            while len(lines) < n - 1 + 60:
                rest += s.recv(1000)
                *more, rest = rest.split(b"\n")
                lines += [x for x in more if not re.match(rb"(VERSION|MECH|SPID|CUID|COOKIE|DONE)\b", x)]
            numbers = sorted(int(re.fullmatch(rb"FAIL\t(\d+)(\t.*)?", x).group(1)) for x in lines)
            assert numbers == list(range(1, n)) + list(range(100000, 100060))
    finally:
        ours.close()


@pytest.mark.skipif(not IS_ROOT, reason="the owner of a file may always read it")
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_table_that_only_root_may_read_never_answers_from_what_it_was(mode):
    ours = Authd("al:{PLAIN}old0\n")
    hello = b"VERSION\t1\t1\nCPID\t1\n"

    def login(password):
        plain = base64.b64encode(b"\0al\0" + password.encode())
        return converse(ours.auth, hello, b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain + b"\n")
    try:
        for i in range(5):
            with open(ours.passwd + ".new", "w") as f:
                f.write("al:{PLAIN}old%d\n" % (i + 1))
            os.chmod(ours.passwd + ".new", mode)
            os.rename(ours.passwd + ".new", ours.passwd)
            assert login("old%d" % i).startswith(b"FAIL\t1\tuser=al")
            assert login("old%d" % (i + 1)).startswith(b"OK\t1\tuser=al")
        assert ours.process.poll() is None
        with open(ours.passwd, "w") as f:  # in place
            f.write("al:{PLAIN}last\n")
        assert login("old5").startswith(b"FAIL\t1\tuser=al")
        assert login("last").startswith(b"OK\t1\tuser=al")
        os.unlink(ours.passwd)
        assert b"\ttemp" in login("last")
    finally:
        ours.close()


def test_what_is_wrong_in_a_table_is_told_with_its_line():
    ours = Authd("# users\nal:{PLAIN}x\nbo\ncy:{NOSUCH}x\n")
    try:
        assert 'passwd, line 3: nobody can log in with it: it has no colon after the name' in ours.log()
        assert ours.log().count('passwd, line 4: nobody can log in with it: unknown password scheme "NOSUCH"') == 1
    finally:
        ours.close()


@pytest.mark.skipif(not IS_ROOT or not os.path.exists("/usr/lib/postfix/sbin/smtpd"), reason="needs Postfix, and root to run it")
def test_debians_smtpd_asks_our_authd():
    ours, port = Authd("al@d.test:{SHA512-CRYPT}%s\n" % subprocess.run(
        ["doveadm", "pw", "-s", "SHA512-CRYPT", "-p", "secret"], capture_output=True, text=True).stdout.strip()[14:]
        + "cram@d.test:{PLAIN}secret\n"), free_port()
    d = tempfile.mkdtemp(prefix="pombal-postfix-", dir="/tmp")
    os.chmod(d, 0o755)
    os.makedirs(d + "/etc")
    for sub in ("spool", "data"):
        os.makedirs(d + "/" + sub)
    shutil.chown(d + "/data", "postfix")
    shutil.copy("/etc/postfix/dynamicmaps.cf", d + "/etc/") if os.path.exists("/etc/postfix/dynamicmaps.cf") else None
    with open(d + "/etc/main.cf", "w") as f:
        f.write(f"""compatibility_level = 3.6
queue_directory = {d}/spool
data_directory = {d}/data
maillog_file = {d}/log
maillog_file_prefixes = {d}
myhostname = real.example.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {ours.auth}
smtpd_peername_lookup = no
alias_maps =
local_recipient_maps =
""")
    with open(d + "/etc/master.cf", "w") as f:
        f.write(f"127.0.0.1:{port} inet n - n - - smtpd\npostlog unix-dgram n - n - 1 postlogd\n"
                "anvil unix - - n - 1 anvil\nrewrite unix - - n - - trivial-rewrite\n")
    subprocess.run(["postfix", "-c", d + "/etc", "start"], check=True, capture_output=True)
    try:
        def up():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        wait_for(up)
        for user, mechs in (("al@d.test", ("PLAIN", "LOGIN")), ("cram@d.test", ("PLAIN", "LOGIN", "CRAM-MD5"))):
            for mech in mechs:
                with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as s:
                    s.ehlo("client.test")
                    assert set(s.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN", "CRAM-MD5"}
                    s.user, s.password = user, "secret"
                    method = {"PLAIN": s.auth_plain, "LOGIN": s.auth_login, "CRAM-MD5": s.auth_cram_md5}[mech]
                    assert s.auth(mech, method)[0] == 235
                    s.quit()
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as s:
            with pytest.raises(smtplib.SMTPAuthenticationError) as e:
                s.login("al@d.test", "wrong")
            assert e.value.smtp_code == 535
            assert s.login("al@d.test", "secret")[0] == 235
    finally:
        subprocess.run(["postfix", "-c", d + "/etc", "stop"], capture_output=True)
        ours.close()
        shutil.rmtree(d, ignore_errors=True)
