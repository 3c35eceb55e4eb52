"""As dns_world.py, for check_*_a_access, check_*_mx_access and check_*_ns_access. Prints [[what, ours, theirs], ...]"""
import os, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

from dns_world import SETTINGS, ask_both, readable, world  # noqa: E402

ZONES = {
    "good.test": "@ MX 10 mx\nmx A 127.0.0.9\nonly A 127.0.0.8\nplain A 127.0.0.40\nnet A 127.0.7.1\nlost MX 10 nobody\nok MX 10 mxok\nmxok A 127.0.0.40\n"
                 "two MX 10 plain\ntwo MX 20 mx\ndunno MX 10 mxdunno\ndunno MX 20 mx\nmxdunno A 127.0.0.9\nalias CNAME only\nalias2 CNAME two\nbyaddr MX 10 plain9\n"
                 "plain9 A 127.0.0.9\nsub NS nsx.evil.test.\nsix AAAA ::1\nmany A 127.0.0.40\nmany A 127.0.0.9\ntext TXT \"x\"\nclass MX 10 mxclass\nmxclass A 127.0.0.40\ndiscard MX 10 mxdiscard\nmxdiscard A 127.0.0.40\n"
                 "numeric MX 10 127.0.0.9\n",
    "null.test": "@ MX 0 .\n@ A 127.0.0.9\n",
    "evil.test": "@ NS nsx\n@ A 127.0.0.40\nnsx A 127.0.0.66\nmx MX 10 nsx\nhost A 127.0.0.41\n",
    "deep.evil.test": "@ NS ns.other.test.\n@ A 127.0.0.40\nx A 127.0.0.40\n",
    "ok.test": "@ NS nsok.ok.test.\nnsok A 127.0.0.40\n@ A 127.0.0.40\n",
    "127.in-addr.arpa": "2.0.0 PTR only.good.test.\n3.0.0 PTR mx.evil.test.\n4.0.0 PTR good.test.\n8.0.0 PTR only.good.test.\n9.0.0 PTR mx.good.test.\n"
                        "41.0.0 PTR host.evil.test.\n5.0.0 PTR mxok.good.test.\n40.0.0 PTR plain.good.test.\n10.0.0 PTR mxdiscard.good.test.\n",
}
TABLE = """mx.good.test REJECT the exchanger
127.0.0.9 450 4.7.9 the address
127.0.0.8 554 only
127.0.7 REJECT a network
mxok.good.test OK
mxdunno.good.test DUNNO
nsx.evil.test REJECT the name server
127.0.0.66 REJECT its address
nsok.ok.test OK
::1 REJECT six
gone.good.test REJECT a name that there is not
mxclass.good.test reject_unauth_destination, defer
mxdiscard.good.test DISCARD
"""
NAMES = ["good.test", "only.good.test", "plain.good.test", "net.good.test", "lost.good.test", "ok.good.test", "two.good.test", "dunno.good.test", "alias.good.test",
         "alias2.good.test", "byaddr.good.test", "sub.good.test", "x.sub.good.test", "six.good.test", "many.good.test", "text.good.test", "class.good.test", "discard.good.test",
         "numeric.good.test", "nobody.good.test", "gone.good.test", "x.gone.good.test", "null.test", "evil.test", "mx.evil.test", "host.evil.test", "deep.evil.test", "x.deep.evil.test", "no.deep.evil.test",
         "ok.test", "www.ok.test", "nobody.answers.example", "test"]
KINDS = ["check_%s_%s_access" % (about, what) for about in ("client", "reverse_client_hostname", "helo", "sender", "recipient") for what in ("a", "mx", "ns")]
KINDS += ["check_reverse_client_hostname_access"]
MAIN = SETTINGS + """
inet_protocols = all
mynetworks = 127.0.0.1
smtpd_relay_restrictions = permit
smtpd_restriction_classes = %s
smtpd_recipient_restrictions = check_recipient_access inline:{%s}, check_recipient_access inline:{%s}, reject_unauth_destination
%s
"""


def main_cf(table):
    rcpt = [k for k in KINDS if "recipient" in k]
    return MAIN % (" ".join("class_" + k for k in KINDS), ", ".join("%s@here.test=class_%s" % (k, k) for k in KINDS),
                   ", ".join("%s@%s=class_%s" % (k, n, k) for k in rcpt for n in NAMES + ["[127.0.0.9]", "[127.0.0.40]"]),
                   "\n".join("class_%s = %s texthash:%s, permit" % (k, k, table) for k in KINDS))


def questions():
    """what it is about, the client's address, HELO, sender, recipient"""
    for kind in KINDS:
        to = kind + "@here.test"
        if "client" in kind:
            for client in (2, 3, 4, 5, 6, 8, 9, 10, 40, 41):
                yield "%s %d" % (kind, client), "127.0.0.%d" % client, "x", "a@x.test", to
            continue
        for name in NAMES + ["[127.0.0.9]", "[127.0.0.40]"]:
            helo, sender, rcpt = [name if word in kind else None for word in ("helo", "sender", "recipient")]
            yield kind + " " + name, "127.0.0.7", helo or "x", "a@" + (sender or "x.test"), "%s@%s" % (kind, rcpt) if rcpt else to
    for helo in ("127.0.0.9", "a..b", "[IPv6:::1]", "[127.0.0]", "bad_name!", "good.test."):
        for what in "a", "mx", "ns":
            yield "helo %s %s" % (what, helo), "127.0.0.7", helo, "a@x.test", "check_helo_%s_access@here.test" % what
    for sender in ("", "a", "a@GOOD.test", '"a b"@good.test', "a%good.test@here.test", "a@good.test.", "a@here.test"):
        for what in "a", "mx", "ns":
            yield "sender %s %s" % (what, sender), "127.0.0.7", "x", sender, "check_sender_%s_access@here.test" % what


if __name__ == "__main__":
    with readable(TABLE) as f:
        world(ZONES, main_cf(f.name), "", lambda ours, theirs, port: ask_both(questions(), ours, port))
