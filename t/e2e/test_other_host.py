"""Passwords in clear are for this host and for TLS. The other host is a network namespace that the test makes (root)."""
import base64, ctypes, hashlib, hmac, os, re, shutil, socket, subprocess, threading

import pytest

from pombal import Instance, PATIENCE, Raw

CLONE_NEWNET = 0x40000000


class OtherHost:
    """a namespace with one link to here: we are .1, it is .2 of a network for benchmarks (RFC 2544)"""

    def __init__(self):
        self.name = "pmb%d" % os.getpid()
        self.here, self.there = ("198.18.%d.%d" % (os.getpid() % 250, n) for n in (1, 2))

    def open(self):
        """what went wrong, or None"""
        a, b = self.name + "a", self.name + "b"
        for command in ("ip netns add " + self.name, "ip link add %s type veth peer name %s netns %s" % (a, b, self.name),
                        "ip addr add %s/30 dev %s" % (self.here, a), "ip link set %s up" % a,
                        "ip -n %s addr add %s/30 dev %s" % (self.name, self.there, b), "ip -n %s link set %s up" % (self.name, b)):
            r = subprocess.run(command.split(), capture_output=True, text=True)
            if r.returncode:
                return command + ": " + r.stderr.strip()
        return None

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def socket(self):
        """a socket belongs to the namespace of the thread that made it"""
        made = []

        def make():
            with open("/run/netns/" + self.name) as f:
                if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.socket())
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert made, "setns failed"
        made[0].settimeout(PATIENCE)
        return made[0]


class Client(Raw):
    def __init__(self, host, port, other=None):
        self.sock = other.socket() if other else socket.socket()
        self.sock.settimeout(PATIENCE)
        self.sock.connect((host, port))
        self.pending = b""

    def tagged(self, command):
        self.send("a " + command + "\r\n")
        return self.until("a")

    def multi(self, command):
        """POP3: the lines up to the dot"""
        self.send(command + "\r\n")
        lines = []
        while (line := self.line()) not in (".", None):
            lines.append(line)
        return lines

    def start_tls(self, context):
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")


@pytest.fixture(scope="module")
def other():
    if os.getuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and ip(8)")
    host = OtherHost()
    wrong = host.open()
    if wrong:
        host.close()
        pytest.skip("no network namespace to be had: " + wrong)
    yield host
    host.close()


@pytest.fixture(scope="module")
def suite(other):
    s = Instance(start=False)
    s.add_master("".join("%s:%d inet n - n - - %s\n" % (other.here, s.port(name), program) for name, program in (
        ("imap", "imapd"), ("pop3", "pop3d"),
        ("smtp", "smtpd\n -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes -o smtpd_tls_security_level=may"))))
    s.start()
    yield s
    s.close()


def plain(user, password):
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()


def cram(challenge, user, password):
    digest = hmac.new(password.encode(), base64.b64decode(challenge), "md5").hexdigest()
    return base64.b64encode(("%s %s" % (user, digest)).encode()).decode()


def test_imap(suite, other):
    c = Client(other.here, suite.port("imap"), other)
    for caps in (c.line(), c.tagged("CAPABILITY")[0]):
        words = re.findall(r"[^][ ]+", caps)
        assert "LOGINDISABLED" in words and "STARTTLS" in words and "AUTH=CRAM-MD5" in words
        assert "AUTH=PLAIN" not in words and "AUTH=LOGIN" not in words
    for command in ("LOGIN alice secret", "LOGIN alice wrong", "LOGIN {5+}\r\nalice {6+}\r\nsecret",
                    "AUTHENTICATE PLAIN " + plain("alice", "secret")):
        assert c.tagged(command)[-1].startswith("a NO [PRIVACYREQUIRED]"), command
    assert c.tagged("STARTTLS")[-1].startswith("a OK")
    c.start_tls(suite.tls_context())
    caps = c.tagged("CAPABILITY")[0].split()
    assert "LOGINDISABLED" not in caps and "AUTH=PLAIN" in caps
    assert c.tagged("LOGIN alice secret")[-1].startswith("a OK")
    assert c.tagged("SELECT INBOX")[-1].startswith("a OK")
    c.close()
    suite.wait_log("Login: user=<alice@example.test>")
    assert "secret" not in suite.log()


def test_imap_without_the_password_in_clear(suite, other):
    c = Client(other.here, suite.port("imap"), other)
    c.line()
    c.send("a AUTHENTICATE CRAM-MD5\r\n")
    c.send(cram(c.line()[2:], "alice", "secret") + "\r\n")
    assert c.until("a")[-1].startswith("a OK")
    c.close()


def test_pop3(suite, other):
    c = Client(other.here, suite.port("pop3"), other)
    stamp = re.search(r"<.*>", c.line()).group()
    caps = c.multi("CAPA")
    assert "STLS" in caps and "USER" not in caps
    assert not [line for line in caps if line.startswith("SASL") and ({"PLAIN", "LOGIN"} & set(line.split()))]
    for command in ("USER alice", "PASS secret", "AUTH PLAIN " + plain("alice", "secret")):
        assert c.ask(command).startswith("-ERR"), command
    assert c.ask("STLS").startswith("+OK")
    c.start_tls(suite.tls_context())
    assert "USER" in c.multi("CAPA")
    assert c.ask("USER alice").startswith("+OK")
    assert c.ask("PASS secret").startswith("+OK")
    assert c.ask("STAT").startswith("+OK")
    assert c.ask("QUIT").startswith("+OK")
    c = Client(other.here, suite.port("pop3"), other)  # the digest may be seen
    stamp = re.search(r"<.*>", c.line()).group()
    assert c.ask("APOP alice " + hashlib.md5((stamp + "secret").encode()).hexdigest()).startswith("+OK")
    assert c.ask("QUIT").startswith("+OK")


def test_smtp_with_tls_auth_only(suite, other):
    c = Client(other.here, suite.port("smtp"), other)
    c.reply()
    caps = c.ask("EHLO other.example")
    assert "STARTTLS" in caps and "AUTH" not in caps
    for command in ("AUTH PLAIN " + plain("alice", "secret"), "AUTH LOGIN"):
        assert c.ask(command).startswith("538 5.7.0"), command
    assert c.ask("STARTTLS").startswith("220")
    c.start_tls(suite.tls_context())
    assert re.search(r"AUTH .*\bPLAIN\b", c.ask("EHLO other.example"))
    assert c.ask("AUTH PLAIN " + plain("alice", "secret")).startswith("235")
    assert c.ask("QUIT").startswith("221")


def test_this_host_by_its_own_address(suite, other):
    """from and to the same address is as good as the loopback"""
    c = Client(other.here, suite.port("imap"))
    assert "LOGINDISABLED" not in c.line()
    assert c.tagged("LOGIN alice secret")[-1].startswith("a OK")
    c.close()
    c = Client(other.here, suite.port("pop3"))
    c.line()
    assert "USER" in c.multi("CAPA")
    c.close()
