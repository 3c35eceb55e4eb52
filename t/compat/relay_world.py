"""Run by dns_world.result_of(): mail to next hops that the DNS does not know, or that are this host, in Pombal and Postfix.
Prints as JSON {"said": [[recipient, ours, theirs], ...], "warned": [[ours], [theirs]]}. Postfix calls lmtp_fallback_relay by
the name of smtp's."""
import re

from dns_world import world  # which makes the others known

import pombal
from sink import Sink

GONE = "[gone.good.test]"
DEAD = "[127.0.0.1]:9"  # nobody listens there
RELAY = "[Gone.good.test]:25"
# The transport's program, its options, and the next hop. Port 2525 takes mail, port 2626 by LMTP.
SCENES = {
    "gone": ("smtp", {}, GONE),
    "domain": ("smtp", {}, "gone.good.test"),
    "nodata": ("smtp", {}, "[text.good.test]"),
    "nullmx": ("smtp", {}, "null.test"),
    "loops": ("smtp", {}, "loops.test"),
    "listgone": ("smtp", {}, DEAD + ", " + GONE),
    "listdead": ("smtp", {}, GONE + ", " + DEAD),
    "relaygone": ("smtp", {"relayhost": GONE}, GONE),
    "relayport": ("smtp", {"relayhost": GONE}, GONE + ":25"),
    "relaydomain": ("smtp", {"relayhost": "gone.good.test"}, "gone.good.test"),
    "relaynull": ("smtp", {"relayhost": "null.test"}, "null.test"),
    "relayloops": ("smtp", {"relayhost": "loops.test"}, "loops.test"),
    "relaylist": ("smtp", {"relayhost": GONE + ", " + DEAD}, GONE + ", " + DEAD),
    "relaylisttakes": ("smtp", {"relayhost": DEAD + " [127.0.0.1]:2525"}, DEAD + " [127.0.0.1]:2525"),
    "relaydead": ("smtp", {"relayhost": DEAD}, DEAD),
    "relayrefuses": ("smtp", {"relayhost": "[127.0.0.1]:2727"}, "[127.0.0.1]:2727"),
    "fall": ("smtp", {"smtp_fallback_relay": GONE}, DEAD),
    "fallgone": ("smtp", {"smtp_fallback_relay": "[gone2.good.test]"}, GONE),
    "fallloops": ("smtp", {"smtp_fallback_relay": "loops.test"}, GONE),
    "falldead": ("smtp", {"smtp_fallback_relay": DEAD}, GONE),
    "fallrefuses": ("smtp", {"smtp_fallback_relay": "[127.0.0.1]:2727"}, GONE),
    "falltakes": ("smtp", {"smtp_fallback_relay": "[127.0.0.1]:2525"}, GONE),
    "falllist": ("smtp", {"smtp_fallback_relay": "%s, %s" % (GONE, DEAD)}, DEAD),
    "fallboth": ("smtp", {"relayhost": GONE, "smtp_fallback_relay": "[gone2.good.test]"}, GONE),
    "hostloops": ("smtp", {}, "[127.0.0.1]"),
    "hostloopsfall": ("smtp", {"smtp_fallback_relay": "[127.0.0.1]:2525"}, "[me.loops.test]:25"),
    "relayhostloops": ("smtp", {"relayhost": "[127.0.0.1]"}, "[127.0.0.1]"),
    "otherport": ("smtp", {}, "[127.0.0.1]:2525"),
    "loopsfall": ("smtp", {"smtp_fallback_relay": "[127.0.0.1]:2525"}, "loops.test"),
    "backup": ("smtp", {}, "backup.test"),
    "backupfall": ("smtp", {"smtp_fallback_relay": "[127.0.0.1]:2525"}, "backup.test"),
    "primaryfall": ("smtp", {"smtp_fallback_relay": "[127.0.0.1]:2525"}, "primary.test"),
    "lmtp": ("lmtp", {}, GONE),
    "lmtprelay": ("lmtp", {"relayhost": GONE}, GONE),
    "lmtpfall": ("lmtp", {"lmtp_fallback_relay": GONE}, DEAD),
    "lmtpunix": ("lmtp", {"lmtp_fallback_relay": GONE}, "unix:private/nobody"),
    "lmtpother": ("lmtp", {"smtp_fallback_relay": GONE}, GONE),
    "lmtptakes": ("lmtp", {"lmtp_fallback_relay": "[127.0.0.1]:2626"}, GONE),
}
ZONES = {
    "good.test": "mx A 127.0.0.2\ntext TXT \"no address\"\n",
    "null.test": "@ MX 0 .\n",
    "primary.test": "@ MX 10 other\nother A 127.0.0.9\n",
    "backup.test": "@ MX 10 other\n@ MX 20 me\nother A 127.0.0.9\nme A 127.0.0.1\n",
    "loops.test": "@ MX 10 me\nme A 127.0.0.1\n",
}
MAIN = """
myhostname = mx.here.test
mydomain = here.test
mydestination = here.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
relayhost = %s
transport_maps = inline:{%s}
smtp_dns_support_level = enabled
smtp_host_lookup = dns
smtp_connection_cache_on_demand = no
smtp_tls_security_level = none
""" % (RELAY, ", ".join("{%s.scene = %s:%s}" % (name, name, hop) for name, (_, _, hop) in SCENES.items()))


def lines_of_master():
    for name, (program, options, _) in SCENES.items():
        yield "%s unix - - n - - %s\n" % (name, program)
        yield from ("  -o { %s = %s }\n" % option for option in options.items())


def status(log, address):
    m = re.search(r"to=<%s>, relay=(.*?), delay=\S+, delays=\S+, (dsn=.*)$" % re.escape(address), log, re.M)
    return m and re.sub(r"queued as \w+", "queued as ID", ", ".join(m.groups()))


def act(ours, theirs, port):
    """one recipient for each scene, and one beyond all of them, for main.cf's relayhost"""
    to = ["x@%s.scene" % name for name in SCENES] + ["x@elsewhere.test"]
    sinks = [Sink(port=2525), Sink(port=2626, lmtp=True), Sink(port=2727, greeting="554 5.3.2 no")]
    ours.tool("sendmail", "-i", "-f", "<>", *to, input="Subject: x\n\nx\n")
    theirs.run("sendmail", "-C", theirs.etc, "-i", "-f", "<>", *to, input="Subject: x\n\nx\n")
    for log in (ours.log, theirs.log):
        pombal.wait_for(lambda: all(status(log(), a) for a in to))
    for s in sinks:
        s.close()
    return {"said": [[a, status(ours.log(), a), status(theirs.log(), a)] for a in to],
            "warned": [sorted(re.findall(r"warning: (?:smtp|lmtp)?(\S+ configuration problem)", log())) for log in (ours.log, theirs.log)]}


if __name__ == "__main__":
    world(ZONES, MAIN, "".join(lines_of_master()), act)
