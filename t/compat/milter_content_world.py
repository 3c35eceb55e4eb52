"""Two servers, ours and Postfix, each with two milters of its own: what they show to milters, and what they make of the answers."""
import re, smtplib

import milter
from agents import MiniSuite
from pombal import wait_for
from real_postfix import SendingPostfix, Sink

# all that may be asked for; a server leaves out what it does not know
MACROS = ("i j _ {auth_authen} {auth_author} {auth_type} {client_addr} {client_name} {client_ptr} {mail_addr} {mail_host} "
          "{rcpt_addr} {rcpt_host} {daemon_name} {daemon_addr} {foo}")
MAIN = """
myhostname = mx.example.test
mydestination = example.test
default_transport = smtp:[127.0.0.1]:%(sink)d
smtp_connection_cache_on_demand = no
smtpd_peername_lookup = no
smtpd_milters = inet:127.0.0.1:%(one)d, inet:127.0.0.1:%(two)d
milter_default_action = tempfail
milter_end_of_header_macros = %(macros)s
milter_end_of_data_macros = $milter_end_of_header_macros
milter_header_checks = regexp:$config_directory/checks
header_checks = regexp:$config_directory/before
virtual_alias_maps = texthash:$config_directory/virtual
recipient_canonical_maps = texthash:$config_directory/canonical
sender_bcc_maps = inline:{ { boss@x.test = archive@far.test } }
"""
CHECKS = "\n".join("/^X-%s/ %s" % line for line in (
    ("Warn", "WARN text"), ("Ignore", "IGNORE"), ("Reject", "REJECT no"), ("Later", "REJECT 4.7.1 later"), ("Hold", "HOLD text"),
    ("Discard", "DISCARD text"), ("Redirect", "REDIRECT red@far.test"), ("Bcc-Me", "BCC bcc@far.test"), ("Replace", "REPLACE X-Replaced: 2"),
    ("Prepend", "PREPEND X-Prepended: 2"), ("Changed-Ignore", "IGNORE"))) + "\n/^Subject: ignore/ IGNORE\n/^Subject: reject/ REJECT subject\n"
BEFORE = "".join("/^Subject: %s/ %s\n" % line for line in (
    ("pass", "PASS"), ("redirect", "REDIRECT red@far.test"), ("hold", "HOLD"), ("discard", "DISCARD"), ("refuse", "REJECT no"), ("copy", "BCC bcc@far.test")))
FILES = {"checks": CHECKS, "before": BEFORE, "canonical": "canonical@far.test other@far.test\n",
         "virtual": "alias@far.test v1@far.test, v2@far.test\nexpanded@far.test e1@far.test, e2@far.test\n"}
SENDER, RCPTS = "s@x.test", ["one@far.test", "expanded@far.test"]
QUEUE_ID = r"\b[0-9A-F]{9,14}\b"


class Side:
    def __init__(self, ours, main=""):
        self.sink, self.milters = Sink(), [milter.Milter(offer=None), milter.Milter(offer=None)]
        values = {"sink": self.sink.port, "one": self.milters[0].port, "two": self.milters[1].port, "macros": MACROS}
        if ours:
            self.server = MiniSuite(MAIN % values + main, master="smtp unix - - n - - smtp\n", start=False)
        else:
            self.server = SendingPostfix(sink=self.sink.port, main=MAIN % values + main)
        self.port = self.server.smtp_port if ours else self.server.port
        self.ours = ours
        for name, text in FILES.items():
            with open(self.server.etc + "/" + name, "w") as f:
                f.write(text)
        self.server.start()
        wait_for(self.answers)

    def answers(self):
        try:
            smtplib.SMTP("127.0.0.1", self.port, timeout=60).close()
            return True
        except OSError:
            return False

    def send(self, content, scripts):
        """what the client hears, and what each milter saw, in the order of packets"""
        for m, script in zip(self.milters, scripts):
            m.wait_idle()
            m.script(**script)
            m.take()
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=60) as client:
            client.ehlo()
            client.docmd("MAIL FROM:<%s>" % SENDER)
            for rcpt in RCPTS:
                client.docmd("RCPT TO:<%s>" % rcpt)
            client.docmd("DATA")
            client.send(re.sub(rb"(?m)^\.", b"..", content) + b".\r\n")
            code, text = client.getreply()
        return "%d %s" % (code, text.decode()), [[p for s in m.take() for p in s] for m in self.milters]

    def wait_done(self, ids):
        for id in ids:
            wait_for(lambda: re.search("%s: (removed|(milter-(header-)?)?(hold|discard|reject):)" % id, self.server.log()))

    def close(self):
        self.server.close()
        self.sink.close()
        for m in self.milters:
            m.close()


def mask(text, id):
    text = text.replace(id, "ID") if id else re.sub(QUEUE_ID, "ID", text)
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", "PORT", text)
    return re.sub(r"<\d{14}\.ID@|\w{3}, +\d+ \w{3} \d{4} \d\d:\d\d:\d\d", "WHEN", text)


def own_received(text):
    """the field that the server has put in front of it"""
    return re.sub(r"Received: from client\.test .*\r\n(\s.*\r\n)+", "OURS\r\n", text)


def seen(packets, id):
    """from the header on; macros as a set of names and values, without ours alone"""
    out = []
    content = False
    for p in packets:
        content = content or p[:2] == b"DL" or p[:1] == b"L" or p[:2] in (b"DN", b"DB", b"DE")
        if not content or p[:1] in (b"A", b"Q"):
            continue
        text = mask(p.decode("latin-1"), id)
        if p[:1] == b"D":
            words = text[2:].split("\0")
            text = "D" + text[1] + str(sorted(w for w in zip(words[::2], words[1::2]) if w[0] != "v"))
        out.append(text)
    return out
