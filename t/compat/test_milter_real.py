"""Real filters: OpenDKIM signs what goes out and verifies what comes in. Each byte that it is shown, and each that is delivered, counts."""
import re, shutil, signal, smtplib, subprocess

import pytest
from agents import MiniSuite
from pombal import free_port, wait_for
from real_postfix import Sink

pytestmark = pytest.mark.skipif(not shutil.which("opendkim", path="/usr/sbin:/usr/bin"), reason="needs opendkim")
SIGN = "Mode s\nDomain example.test\nSelector sel\nKeyFile %s/sel.private\nInternalHosts 0.0.0.0/0\nCanonicalization simple/simple\n"
VERIFY = "Mode v\nAlwaysAddARHeader yes\nTestDNSData %s/dns\n"
MESSAGES = {
    "plain": "Subject: s\r\nFrom: a@example.test\r\nTo: b@x.test\r\n\r\nbody\r\n",
    "folded, blanks, dots": "Subject:  two  blanks\r\n\tand a tab \r\nFrom: A B\r\n <a@example.test>\r\nTo:b@x.test\r\nX: \r\n\r\n.\r\n..dots\r\n\r\n  \r\nend \r\n\r\n\r\n",
    "empty": "From: a@example.test\r\nTo: b@x.test\r\nSubject: s\r\n\r\n",
    "large": "From: a@example.test\r\nTo: b@x.test\r\nSubject: s\r\n\r\n" + "".join("line %d %s\r\n" % (i, "x" * (i % 70)) for i in range(5000)),
    "long lines": "From: a@example.test\r\nTo: b@x.test\r\nSubject: s\r\n\r\n" + ("y" * 900 + "\r\n") * 200,
}


class OpenDkim:
    def __init__(self, where, name, text):
        self.port = free_port()
        path = "%s/%s.conf" % (where, name)
        with open(path, "w") as f:
            f.write(text % where + "Socket inet:%d@127.0.0.1\nBackground no\nSyslog no\nRequireSafeKeys no\nPidFile %s/%s.pid\n" % (self.port, where, name))
        self.process = subprocess.Popen(["/usr/sbin/opendkim", "-f", "-x", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    where = str(tmp_path_factory.mktemp("dkim"))
    subprocess.run(["openssl", "genrsa", "-out", where + "/sel.private", "2048"], check=True, capture_output=True)
    key = subprocess.run(["openssl", "rsa", "-in", where + "/sel.private", "-pubout"], check=True, capture_output=True, text=True).stdout
    with open(where + "/dns", "w") as f:
        f.write("sel._domainkey.example.test v=DKIM1; k=rsa; p=%s\n" % "".join(line for line in key.splitlines() if "-" not in line))
    sink, port = Sink(), free_port()
    signer, verifier = OpenDkim(where, "sign", SIGN), OpenDkim(where, "verify", VERIFY)
    entry = "inet:127.0.0.1:%d"
    s = MiniSuite("default_transport = smtp:[127.0.0.1]:%d\nsmtpd_milters = %s\nnon_smtpd_milters = $smtpd_milters\nmilter_default_action = tempfail\n"
                  % (sink.port, entry % signer.port), start=False,
                  master="smtp unix - - n - - smtp\n127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_milters=%s\n" % (port, entry % verifier.port))
    s.start()
    wait_for(lambda: signer.process.poll() is None)
    yield s, port, sink
    s.close()
    sink.close()
    signer.close()
    verifier.close()


def send(port, text):
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as c:
        c.sendmail("a@example.test", ["b@x.test"], text)


def arrived(sink):
    wait_for(lambda: sink.mails)
    return re.sub(r"(?m)^\.\.", ".", sink.mails.pop()[2])


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_what_opendkim_has_signed_it_verifies_behind_two_servers(world, name):
    s, port, sink = world
    wait_for(lambda: send(s.smtp_port, MESSAGES[name]) is None)
    signed = arrived(sink)
    assert "DKIM-Signature:" in signed, signed[:2000]
    send(port, signed)
    verified = arrived(sink)
    assert "dkim=pass" in verified, verified[:2000]


def test_mail_from_sendmail_is_signed(world):
    s, port, sink = world
    s.tool("sendmail", "-i", "-f", "a@example.test", "b@x.test", input="Subject: s\nFrom: a@example.test\n\nx\n")
    signed = arrived(sink)
    assert "DKIM-Signature:" in signed, signed
    send(port, signed)
    assert "dkim=pass" in arrived(sink)


def test_a_changed_message_fails(world):
    s, port, sink = world
    send(s.smtp_port, MESSAGES["plain"])
    send(port, arrived(sink).replace("body", "other"))
    assert "dkim=fail" in arrived(sink)
