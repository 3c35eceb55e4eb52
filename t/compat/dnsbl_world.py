"""As dns_world.py, for restrictions that ask DNS lists. Prints [[what, ours, theirs], ...]"""
import os, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

from dns_world import SETTINGS, ask_both, readable, world  # noqa: E402

LIST = """
2.0.0.127 A 127.0.0.2
2.0.0.127 TXT "listed: see http://list.test/2"
3.0.0.127 A 127.0.0.3
3.0.0.127 A 127.0.0.10
3.0.0.127 TXT "first"
3.0.0.127 TXT "second"
4.0.0.127 A 127.0.0.4
5.0.0.127 A 192.0.2.255
5.0.0.127 TXT "two" "strings of one"
bad.good.test A 127.0.0.2
bad.good.test TXT "%s"
mx.good.test A 127.0.1.2
other.good.test A 127.0.0.9
7.0.0.127 CNAME 2.0.0.127
8.0.0.127 TXT "only text"
9.0.0.127 A 127.0.0.2
9.0.0.127 TXT "bl\\195\\182d \\009tab"
""" % ("x" * 200)
ZONES = {
    "list.test": LIST,
    "good.test": "@ MX 10 mx\nmx A 127.0.0.2\nother A 127.0.0.9\nbad A 127.0.0.3\n",
    "127.in-addr.arpa": "2.0.0 PTR mx.good.test.\n3.0.0 PTR bad.good.test.\n4.0.0 PTR other.good.test.\n",
}
REJECT = ["list.test", "list.test=127.0.0.2", "list.test=127.0.0.3", "list.test=127.0.0.10", "list.test=127.0.0.[2..4]", "list.test=127.0.[0;1].[2;9..10]",
          "list.test=127.[0..255].0.4", "list.test=192.0.2.255", "nobody.answers.example", "reply.list.test", "LIST.test"]
NAMED = ["list.test", "list.test=127.0.1.2", "list.test=127.0.0.9"]


def lists():
    """name of a class: its restrictions"""
    n = 0
    for entry in REJECT:
        yield "reject_rbl_client " + entry
    for kind in ("client", "helo", "sender", "recipient", "reverse_client"):
        for entry in NAMED:
            yield "reject_rhsbl_%s %s" % (kind, entry)
    for kind in ("dnswl", "rhswl"):
        for entry in ("list.test", "list.test=127.0.0.2", "nobody.answers.example"):
            yield "permit_%s_client %s, reject" % (kind, entry)
    yield "reject_rbl_client list.test=127.0.0.9, reject_rbl_client list.test=127.0.0.3, reject_rbl_client list.test"
    yield "warn_if_reject reject_rbl_client list.test, reject_rbl_client list.test=127.0.0.4"
    yield "reject_maps_rbl"
    yield "permit_dnswl_client nobody.answers.example, reject_rbl_client list.test"
    for t in range(len(TEMPLATES)):
        yield "reject_rbl_client list.test=%s" % ("127.0.0.[%s]" % ";".join(["2"] * (t + 2)))
        yield "reject_rhsbl_sender list.test=%s" % ("127.0.0.[%s]" % ";".join(["2"] * (t + 2)))


TEMPLATES = ["554 $rbl_class|$rbl_code|$rbl_domain|$rbl_reason|$rbl_what", "450 4.7.0 later", "550 5.1.1 as of a recipient", "550 5.1.8 as of a sender",
             "521 gone", "$rbl_code 5.7.9 $client|$client_address|$client_name|$reverse_client_name|$helo_name", "554 ${rbl_reason?yes}${rbl_reason:no}|${helo_name?{a}:{b}}",
             "554 $sender|$sender_name|$sender_domain|$recipient|$recipient_name|$recipient_domain", "no code", "554", "554 ", "554 4.7.1 mixed", "454 5.7.1 mixed",
             "654 what", "250 fine", "554 $nosuch|$myhostname", "554  two blanks", "554-5.7.1 dash", "5545 5.7.1 four", "554 $rbl_txt|$rbl_domain"]


def main_cf(classes, replies):
    """replies: a file of templates, of which we refuse some at start, unless told not to"""
    named = {"class_%d" % i: text for i, text in enumerate(classes)}
    return SETTINGS + """
relay_domains = good.test
mynetworks = 127.0.0.1
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_restriction_classes = %s
smtpd_recipient_restrictions = check_recipient_access inline:{%s}, permit
rbl_reply_maps = texthash:%s
maps_rbl_domains = good.test, list.test nobody.answers.example
pombal_accept_missing = unknown_action
%s
""" % (" ".join(named), ", ".join("%s@here.test=%s" % (n, n) for n in named) + ", good.test=class_%d" % classes.index("reject_rhsbl_recipient list.test"),
       replies,
       "\n".join("%s = %s" % named_ for named_ in named.items()))


def questions(classes):
    for i, text in enumerate(classes):
        rcpt = "class_%d@here.test" % i
        if "[2;2" in text:                                                                         # it is about the template
            yield text, "127.0.0.9", "x.test", '"a b"@bad.good.test', rcpt
        elif "rbl_client" in text or "maps_rbl" in text or "dnswl" in text or "rhswl" in text:
            for client in (2, 3, 4, 5, 6, 7, 8, 9):
                yield "%s | client %d" % (text, client), "127.0.0.%d" % client, "x.test", "a@other.test", rcpt
        elif "_client" in text:
            for client in (2, 3, 4, 6):
                yield "%s | client %d" % (text, client), "127.0.0.%d" % client, "x.test", "a@other.test", rcpt
        elif "helo" in text:
            for helo in ("mx.good.test", "bad.good.test", "other.good.test", "BAD.good.test", "[127.0.0.2]", "127.0.0.2", "x", "a..b", "bad.good.test."):
                yield "%s | helo %s" % (text, helo), "127.0.0.6", helo, "a@other.test", rcpt
        elif "sender" in text:
            for sender in ("a@bad.good.test", "a@mx.good.test", "", "a", "a@[127.0.0.2]", '"a b"@bad.good.test', "a@BAD.good.test", "a@127.0.0.2", "a%bad.good.test",
                           "a@other.good.test", '"x@y"@bad.good.test'):
                yield "%s | sender %s" % (text, sender), "127.0.0.6", "x.test", sender, rcpt
    for rcpt in ("a@bad.good.test", "b@mx.good.test", '"a b"@bad.good.test', "postmaster@bad.good.test"):
        yield "recipient " + rcpt, "127.0.0.6", "x.test", "a@other.test", rcpt


if __name__ == "__main__":
    classes = list(lists())
    with readable("".join("list.test=127.0.0.[%s] %s\n" % (";".join(["2"] * (t + 2)), text) for t, text in enumerate(TEMPLATES))) as f:
        world(ZONES, main_cf(classes, f.name), "", lambda ours, theirs, port: ask_both(questions(classes), ours, port))
