"""As dns_world.py, with smtpd_dns_reply_filter and smtp_dns_reply_filter. Prints {"smtpd": [[what, ours, theirs], ...], "smtp": the same,
"ignored": [ours, theirs]}: replies, what became of mail, which records the log says were ignored."""
import os, re, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]

import pombal  # noqa: E402
from dns_world import SETTINGS, ask_both, world  # noqa: E402
from sink import Sink  # noqa: E402

ZONES = {
    "f.test": "@ MX 10 mx\nmx A 127.0.0.2\ngone A 127.0.0.2\nnomx MX 10 gone\nnomxa MX 10 gone\nnomxa A 127.0.0.2\nonlya A 127.0.0.9\ntwo MX 10 first\n"
              "two MX 20 mx\nfirst A 127.0.0.9\nhalf MX 10 halfmx\nhalfmx A 127.0.0.9\nhalfmx A 127.0.0.2\nnoaddr MX 10 noaddrmx\nnoaddrmx A 127.0.0.9\n"
              "odd A 127.0.0.2\ncapital A 127.0.0.2\nalias CNAME aliased\naliased A 127.0.0.9\nnone TXT x\n",
    "list.test": "2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"dropped\"\n3.0.0.127 A 127.0.0.3\n3.0.0.127 TXT \"said\"\n4.0.0.127 A 127.0.0.4\n4.0.0.127 A 127.0.0.10\n"
                 "4.0.0.127 TXT \"this one\"\n5.0.0.127 A 127.0.0.5\n5.0.0.127 TXT \"not this one\"\n",
    "127.in-addr.arpa": "2.0.0 PTR gone.f.test.\n",
}
FILTER = """regexp:{{/^nomxa?\\.f\\.test\\. [0-9]+ IN MX 10 gone\\.f\\.test\\.$/ IGNORE} {/ IN A 127\\.0\\.0\\.9$/ ignore} {/^two\\.f\\.test\\..* MX 10 first\\.f\\.test\\.$/ IGNORE this}
 {/^odd\\.f\\.test\\./ FROBNICATE} {/^CAPITAL\\.F\\.TEST\\./ IGNORE} {/^2\\.0\\.0\\.127\\.list\\.test\\. [0-9]+ IN A 127\\.0\\.0\\.2$/ IGNORE}
 {/^4\\.0\\.0\\.127.* A 127\\.0\\.0\\.4$/ IGNORE} {/ TXT not this one$/ IGNORE}}"""
NAMES = ["f.test", "nomx.f.test", "nomxa.f.test", "onlya.f.test", "two.f.test", "half.f.test", "noaddr.f.test", "odd.f.test", "capital.f.test", "alias.f.test",
         "none.f.test", "nosuch.f.test"]
KINDS = {"sender": "reject_unknown_sender_domain", "helo": "reject_unknown_helo_hostname", "list": "reject_rbl_client list.test",
         "narrow": "reject_rbl_client list.test=127.0.0.[2..9]", "good": "permit_dnswl_client list.test, reject", "name": "reject_unknown_client_hostname"}
MAIN = SETTINGS + """
mynetworks = 127.0.0.0/8
relay_domains = f.test
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_restriction_classes = %s
smtpd_recipient_restrictions = check_recipient_access inline:{%s}, reject_unknown_recipient_domain, permit
smtpd_dns_reply_filter = %s
smtp_dns_reply_filter = $smtpd_dns_reply_filter
smtp_tls_security_level = none
smtp_address_preference = ipv4
unknown_address_reject_code = 550
unknown_hostname_reject_code = 550
pombal_accept_missing = unknown_action
%s
""" % (" ".join("class_" + kind for kind in KINDS), ", ".join("%s@here.test=class_%s" % (kind, kind) for kind in KINDS), FILTER.replace("\n", "").replace("$", "$$"),
       "".join("class_%s = %s\n" % pair for pair in KINDS.items()))


def questions():
    for name in NAMES:
        yield "sender " + name, "127.0.0.1", "x", "a@" + name, "sender@here.test"
        yield "recipient " + name, "127.0.0.1", "x", "a@f.test", "b@" + name
        yield "helo " + name, "127.0.0.1", name, "a@f.test", "helo@here.test"
    for n in (2, 3, 4, 5, 6):
        for kind in ("list", "narrow", "good", "name"):
            yield "%s %d" % (kind, n), "127.0.0.%d" % n, "x", "a@f.test", kind + "@here.test"


def fate(log, name):
    m = re.search(r"to=<b@%s>, relay=(.*?), delay=\S+, delays=\S+, (dsn=.*)$" % re.escape(name), log, re.M)
    return m and re.sub(r"queued as \w+", "queued", " ".join(m.groups()))


def ignored(log):
    return sorted(set(re.sub(r" \d+ IN", " IN", line) for line in re.findall(r"ignoring DNS RR: (.*)", log)))


def act(ours, theirs, port):
    sinks = [Sink(address=address, port=25) for address in ("127.0.0.2", "127.0.0.9")]
    replies = ask_both(questions(), ours, port)
    to = ["b@" + name for name in NAMES]
    ours.tool("sendmail", "-f", "a@f.test", *to, input="Subject: x\n\n")
    theirs.run("sendmail", "-C", theirs.etc, "-f", "a@f.test", *to, input="Subject: x\n\n")
    for log in (ours.log, theirs.log):
        pombal.wait_for(lambda: all(fate(log(), name) for name in NAMES))
    for sink in sinks:
        sink.close()
    return {"smtpd": replies, "smtp": [[name, fate(ours.log(), name), fate(theirs.log(), name)] for name in NAMES],
            "ignored": [ignored(ours.log()), ignored(theirs.log())],
            "warned": [sorted(set(re.findall(r"warning: (?:\w+: )?(.*(?:drops all|filter ).*)", log))) for log in (ours.log(), theirs.log())]}


if __name__ == "__main__":
    world(ZONES, MAIN, "", act)
