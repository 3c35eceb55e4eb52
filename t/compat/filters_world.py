"""As dns_world.py, with the filters of Debian that providers have: OpenDMARC and then rspamd, as milters of both suites. Prints
[[what, ours, theirs], ...]: the replies to a message, and the fields that its copy has at the next server."""
import os, re, shutil, signal, socket, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]

import pombal  # noqa: E402
from dns_world import SETTINGS, world  # noqa: E402
from real_postfix import Sink  # noqa: E402

DMARC, RSPAMD = 8893, 11332
TOOLS = all(shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("opendmarc", "rspamd"))
ZONES = {
    "good.test": "@ MX 10 mx\nmx A 127.0.0.2\n@ TXT \"v=spf1 ip4:127.0.0.2 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n",
    "strict.test": "@ MX 10 mx\nmx A 127.0.0.9\n@ TXT \"v=spf1 ip4:127.0.0.9 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n",
    "127.in-addr.arpa": "2.0.0 PTR mx.good.test.\n",
}
MAIN = SETTINGS + """
mydestination =
mynetworks = 127.0.9.0/24
relay_domains = here.test
relay_transport = smtp:[127.0.0.1]:%%d
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_milters = inet:127.0.0.1:%d, inet:127.0.0.1:%d
milter_default_action = tempfail
milter_protocol = 6
milter_mail_macros = i {mail_addr} {client_addr} {client_name} {auth_authen}
""" % (DMARC, RSPAMD)
DMARC_CONF = """
Socket inet:%d@127.0.0.1
AuthservID here.test
TrustedAuthservIDs here.test
IgnoreHosts %s/nobody
RejectFailures true
SPFSelfValidate true
SPFIgnoreResults true
Syslog false
Background false
PidFile %s/dmarc.pid
"""
# No rules: its start takes a second then and not half a minute. The patterns for tests are built in.
RSPAMD_CONF = """
options { pidfile = "%%s/rspamd.pid"; filters = ""; dns { nameserver = ["127.0.0.1:53"]; } enable_test_patterns = true; disable_hyperscan = true; }
logging { type = "file"; filename = "%%s/rspamd.log"; level = "warning"; }
worker "rspamd_proxy" { bind_socket = "127.0.0.1:%d"; milter = yes; count = 1; upstream "local" { default = yes; self_scan = yes; } }
metric "default" { actions { reject = 15; add_header = 6; rewrite_subject = 7; } subject = "[spam] %%%%s"; }
""" % RSPAMD
GTUBE = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
TEXT = "From: %s\r\nTo: b@here.test\r\nSubject: s\r\nMessage-Id: <1@good.test>\r\nDate: Tue, 01 Dec 2026 12:00:00 +0000\r\n\r\n%s\r\n"
MAILS = {
    "good": ("a@good.test", TEXT % ("a@good.test", "text")),
    "forged": ("a@good.test", TEXT % ("a@strict.test", "text")),
    "spam": ("a@good.test", TEXT % ("a@good.test", "X" + GTUBE)),
    "marked": ("a@good.test", TEXT % ("a@good.test", "Y" + GTUBE)),
    "renamed": ("a@good.test", TEXT % ("a@good.test", "Z" + GTUBE)),
    "large": ("a@good.test", TEXT % ("a@good.test", "a line of text\r\n" * 20000)),
}


def filters(where):
    """both, started; they write below where"""
    open(where + "/nobody", "w").close()
    with open(where + "/dmarc.conf", "w") as f:
        f.write(DMARC_CONF % (DMARC, where, where))
    with open(where + "/rspamd.conf", "w") as f:
        f.write(RSPAMD_CONF % (where, where))
    programs = [["/usr/sbin/opendmarc", "-f", "-c", where + "/dmarc.conf"], ["/usr/bin/rspamd", "-f", "-i", "-c", where + "/rspamd.conf"]]
    with open(where + "/out", "w") as out:
        started = [subprocess.Popen(program, stdout=out, stderr=out, start_new_session=True) for program in programs]
    for port in (DMARC, RSPAMD):
        pombal.wait_for(lambda: connects(port))
    return started


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def send(port, sender, text):
    raw = pombal.Raw(port, source="127.0.0.2")
    raw.reply()
    said = [raw.ask(command) for command in ("EHLO mx.good.test", "MAIL FROM:<%s>" % sender, "RCPT TO:<b@here.test>", "DATA")]
    said = said[1:] + [raw.ask(text + ".")]
    raw.close()
    return [re.sub(r"queued as \w+", "queued", reply) for reply in said]


def fields(message):
    """those that filters have put in or could have changed, and the length of the body"""
    head, _, body = message.partition("\r\n\r\n")
    found = re.findall(r"(?mi)^((?:authentication-results|x-|received-spf|subject|from|to)[^:]*:.*(?:\r\n[ \t].*)*)", head)
    return sorted(re.sub(r"\s+", " ", field) for field in found) + [len(body)]


def conversations(sink, ports):
    for what, (sender, text) in MAILS.items():
        row = [what]
        for port in ports:
            said = send(port, sender, text)
            if said[-1].startswith("250 "):
                pombal.wait_for(lambda: sink.mails)
                said += fields(sink.mails.pop()[2])
            row.append(said)
        yield row


def act(sink, where):
    """the filters start here, where the name server runs: rspamd asks it for this machine's name and waits"""
    def with_suites(ours, theirs, port):
        started = filters(where)
        try:
            return list(conversations(sink, [ours.port("smtp"), port]))
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
                process.wait()
    return with_suites


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="pombal-filters-", dir="/tmp") as where:
        sink = Sink()
        try:
            world(ZONES, MAIN % sink.port, "", act(sink, where))
        finally:
            sink.close()
