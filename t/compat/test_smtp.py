"""The same SMTP transcripts, played to Postfix and to Pombal: replies and log lines are compared.

One instance of each, with a port for every set of options below. Code, enhanced code and text of each reply must
agree, but for DIFFERENT, where each difference has its reason. Queue ids are masked."""
import os, re, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

COMMON = RECEIVING + """
relay_domains = relay.test
relay_recipient_maps = inline:{ known@relay.test=x }
virtual_alias_domains = alias.test
virtual_alias_maps = inline:{ { info@alias.test = alice@example.test } { @catch.test = bob@example.test } }
transport_maps = inline:{ { err@relay.test=error:some text } { err2@relay.test=error:5.2.3 some text } { err4@relay.test=
    error:4.2.3 some text } { later@relay.test=retry:wait } { later2@relay.test=retry:4.2.3 wait } { later5@relay.test=
    retry:5.2.3 wait } { bare@relay.test=error: } { err@example.test=error:gone } { shut.test=error:5.1.2 shut } }
virtual_mailbox_domains = box.test
virtual_mailbox_maps = inline:{ u@box.test=u/ }
local_recipient_maps = inline:{ alice=x bob=x postmaster=x }
mynetworks = 10.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_hard_error_limit = 100
disable_vrfy_command = no
default_transport = smtp
smtpd_client_connection_rate_limit = 0
smtpd_forbid_unauth_pipelining = yes
smtpd_helo_required = no
smtpd_sender_login_maps = inline:{ { owned@example.test = alice } }
smtpd_restriction_classes = class_one, class_two, class_etrn
class_etrn = check_etrn_access inline:{ in.test=REJECT }
class_one = check_sender_access inline:{ one@x.test=REJECT }, class_two
class_two = check_sender_access inline:{ two@x.test=REJECT }
"""

# name: options of the service
SERVICES = {
    "plain": [],
    "mine": ["mynetworks=127.0.0.0/8"],
    "helo": ["smtpd_helo_required=yes"],
    "early": ["smtpd_delay_reject=no", "smtpd_client_restrictions=permit_mynetworks",
              "smtpd_helo_restrictions=reject_invalid_helo_hostname,reject_non_fqdn_helo_hostname",
              "smtpd_sender_restrictions=reject_non_fqdn_sender"],
    "late": ["smtpd_helo_restrictions=reject_invalid_helo_hostname,reject_non_fqdn_helo_hostname",
             "smtpd_sender_restrictions=reject_non_fqdn_sender",
             "smtpd_recipient_restrictions=reject_non_fqdn_recipient"],
    "closed": ["smtpd_client_restrictions=reject"],
    "put_off": ["smtpd_client_restrictions=defer"],
    "sender": ["smtpd_reject_unlisted_sender=yes"],
    "unlisted": ["smtpd_reject_unlisted_recipient=no"],
    "defer_relay": ["smtpd_relay_restrictions=defer_unauth_destination"],
    "strict": ["strict_rfc821_envelopes=yes", "disable_vrfy_command=yes"],
    "small": ["message_size_limit=5000", "smtpd_recipient_limit=2"],
    "errors": ["smtpd_hard_error_limit=3"],
    "access": ["smtpd_sender_restrictions=check_sender_access inline:{ { ok@x.test=OK } { no@x.test=REJECT } "
               "{ why@x.test=REJECT because so } { code@x.test=REJECT 5.7.9 because } { later@x.test=DEFER } "
               "{ later2@x.test=DEFER 4.2.0 wait } { 451@x.test=451 4.4.4 hm } { 554@x.test=554 gone } "
               "{ dunno@x.test=DUNNO } { num@x.test=1234 } { text@x.test=550 5.1.8 no } { warn@x.test=WARN oh } "
               "{ info@x.test=INFO ah } { defif@x.test=DEFER_IF_PERMIT } { defrej@x.test=DEFER_IF_REJECT } "
               "{ dom.test=REJECT dom } { .sub.test=REJECT sub } { user@=REJECT user } { <>=REJECT null } "
               "{ list@x.test=reject_unauth_destination,reject } { class@x.test=class_one } "
               "{ bad@x.test=foo_bar } },class_one"],
    "client": ["smtpd_client_restrictions=check_client_access inline:{ { 127.0.0.1=REJECT go away } }"],
    "client_net": ["smtpd_client_restrictions=check_client_access cidr:DIR/nets"],
    "helo_map": ["smtpd_helo_restrictions=check_helo_access inline:{ { evil.test=REJECT } { good.test=OK } }"],
    "rcpt_map": ["smtpd_recipient_restrictions=check_recipient_access inline:{ { alice@example.test=REJECT x } "
                 "{ bob@=DEFER y } { relay.test=554 5.7.0 z } }"],
    "failing": ["smtpd_sender_restrictions=check_sender_access fail:x"],
    "warn": ["smtpd_sender_restrictions=warn_if_reject,reject,permit"],
    "data": ["smtpd_data_restrictions=reject"],
    "no_relay": ["smtpd_relay_restrictions=reject"],
    "nothing": ["smtpd_recipient_restrictions=reject"],
    "end": ["smtpd_end_of_data_restrictions=reject"],
    "data_pipe_allowed": ["smtpd_data_restrictions=reject_unauth_pipelining", "smtpd_forbid_unauth_pipelining=no"],
    "rcpt_pipe": ["smtpd_recipient_restrictions=reject_unauth_pipelining", "smtpd_forbid_unauth_pipelining=no"],
    "data_pipe": ["smtpd_data_restrictions=reject_unauth_pipelining"],
    "codes": ["reject_code=541", "access_map_reject_code=553", "relay_domains_reject_code=555",
              "unknown_local_recipient_reject_code=450", "smtpd_sender_restrictions=check_sender_access "
              "inline:{ { no@x.test=REJECT } }"],
    "multi_bounce_rcpt": ["smtpd_recipient_restrictions=reject_multi_recipient_bounce", "multi_recipient_bounce_reject_code=553"],
    "multi_bounce_data": ["smtpd_data_restrictions=reject_multi_recipient_bounce"],
    "multi_bounce_end": ["smtpd_end_of_data_restrictions=reject_multi_recipient_bounce"],
    "etrn_map": ["smtpd_etrn_restrictions=check_etrn_access inline:{ { no.test=REJECT go } { sub.test=450 4.7.0 later } { list.test=defer } { ok.test=OK } },reject"],
    "discard": ["smtpd_sender_restrictions=check_sender_access inline:{ { d@x.test=DISCARD } }",
                "smtpd_recipient_restrictions=check_recipient_access inline:{ { bob@example.test=REJECT } { trap@example.test=DISCARD } }"],
    "etrn_early": ["smtpd_client_restrictions=check_etrn_access inline:{ { no.test=REJECT go } }",
                   "smtpd_etrn_restrictions=check_client_access inline:{ { 127.0.0.1=class_etrn } },"
                   "check_etrn_access inline:{ { ok.test=OK } },reject"],
    "list_results": ["smtpd_sender_restrictions=check_sender_access inline:{ { d@x.test=sleep 0, defer } { r@x.test=sleep 0, reject } }",
                     "smtpd_helo_restrictions=check_helo_access inline:{ { h.test=sleep 0, reject } { c.test=class_one, defer } }",
                     "smtpd_client_restrictions=check_reverse_client_hostname_access inline:{ { 127.0.0.1=DUNNO } { unknown=DUNNO } { localhost=DUNNO } }"],
    "reverse_ok": ["smtpd_client_restrictions=check_reverse_client_hostname_access inline:{ { 127.0.0.1=OK } }"],
    "reverse_no": ["smtpd_client_restrictions=check_reverse_client_hostname_access inline:{ { 127.0.0.1=REJECT no } }"],
    "soft": ["soft_bounce=yes"],
    "plaintext": ["smtpd_sender_restrictions=reject_plaintext_session"],
    "tls": ["smtpd_tls_security_level=encrypt", "smtpd_tls_cert_file=DIR/cert.pem", "smtpd_tls_key_file=DIR/key.pem"],
    "may": ["smtpd_tls_security_level=may", "smtpd_tls_cert_file=DIR/cert.pem", "smtpd_tls_key_file=DIR/key.pem"],
    "no_dsn": ["smtpd_discard_ehlo_keywords=dsn"],
    "no_dsn_map": ["smtpd_discard_ehlo_keyword_address_maps=inline:{ 127.0.0.1=dsn }"],
    "no_words": ["smtpd_discard_ehlo_keywords=silent-discard,size,8bitmime,vrfy,etrn,enhancedstatuscodes,pipelining"],
    "no_starttls": ["smtpd_discard_ehlo_keywords=starttls", "smtpd_tls_security_level=may", "smtpd_tls_cert_file=DIR/cert.pem", "smtpd_tls_key_file=DIR/key.pem"],
    "only_tls": ["smtpd_discard_ehlo_keywords=starttls", "smtpd_tls_security_level=encrypt", "smtpd_tls_cert_file=DIR/cert.pem", "smtpd_tls_key_file=DIR/key.pem"],
    "hidden": ["smtpd_discard_ehlo_keywords=dsn,etrn", "smtpd_noop_commands=frob"],
    "hidden_map": ["smtpd_discard_ehlo_keyword_address_maps=cidr:DIR/hide"],
    "classes": ["smtpd_sender_restrictions=class_one"],
    "helo_invalid": ["smtpd_helo_restrictions=reject_invalid_helo_hostname"],
    "helo_fqdn": ["smtpd_helo_restrictions=reject_non_fqdn_helo_hostname"],
    "sender_fqdn": ["smtpd_sender_restrictions=reject_non_fqdn_sender"],
    "rcpt_fqdn": ["smtpd_relay_restrictions=reject_unauth_destination", "smtpd_recipient_restrictions=reject_non_fqdn_recipient"],
    "rcpt_fqdn_first": ["mynetworks=127.0.0.0/8", "smtpd_relay_restrictions=reject_non_fqdn_recipient,permit_mynetworks,reject"],
    "no_origin": ["append_at_myorigin=no", "append_dot_mydomain=no", "mynetworks=127.0.0.0/8", "smtpd_recipient_restrictions=reject_non_fqdn_recipient"],
    "canonical": ["smtpd_reject_unlisted_sender=yes", "sender_canonical_maps=inline:{ { away@example.test=x@y.test } { @there.example.test=x@y.test } }",
                  "canonical_maps=inline:{ { both@example.test=x@y.test } }", "recipient_canonical_maps=inline:{ { rcpt@example.test=x@y.test } }"],
    "codes_client": ["smtpd_client_restrictions=check_client_access inline:{ { 127.0.0.1=REJECT 5.1.1 go } }"],
    "codes_helo": ["smtpd_helo_restrictions=check_helo_access inline:{ { h1.test=REJECT 5.1.1 go } { h2.test=450 4.1.8 go } "
                   "{ h3.test=550 5.7.1 go } { h4.test=DEFER 4.1.3 go } { h5.test=DEFER_IF_PERMIT 4.1.3 go } }"],
    "codes_sender": ["smtpd_sender_restrictions=check_sender_access inline:{ %s }" % " ".join("{ s%d@x.test=REJECT 5.1.%d no } { d%d@x.test=DEFER 4.1.%d no }" % (i, i, i, i) for i in range(10))],
    "codes_rcpt": ["smtpd_recipient_restrictions=check_recipient_access inline:{ %s }" % " ".join("{ r%d@example.test=REJECT 5.1.%d no }" % (i, i) for i in range(10))],
    "odd_actions": ["smtpd_sender_restrictions=check_sender_access inline:{ { bcc@x.test=BCC } { bcc2@x.test=BCC nobody } { bcc3@x.test=BCC copy@x.test } "
                    "{ redir@x.test=REDIRECT nobody } { filter@x.test=FILTER } { prepend@x.test=PREPEND } { prepend2@x.test=PREPEND no field } "
                    "{ 421@x.test=421 4.3.2 bye } { 521@x.test=521 5.3.2 bye } { 2x@x.test=2.0.0 odd } { 250@x.test=250 fine } { 600@x.test=600 } "
                    "{ 399@x.test=399 text } { 12@x.test=12 } { dot@x.test=550 } { dsn@x.test=550 5.1.1 } { dsn4@x.test=550 4.1.1 x } { rej4@x.test=REJECT 4.1.1 x } "
                    "{ def5@x.test=DEFER 5.1.1 x } { relay@x.test=RELAY } { lower@x.test=reject why } { pass@x.test=PASS } { strip@x.test=STRIP } }"],
}

GO = ["EHLO client.test", "MAIL FROM:<s@x.test>"]
BODY = "Subject: x\r\n\r\ntext\r\n."


def senders(*names):
    found = ["EHLO client.test"]
    for name in names:
        found += ["MAIL FROM:<%s>" % name, "RCPT TO:<alice@example.test>", "RSET"]
    return found


# Domains that nobody can send mail to, options of commands, what is no mailbox. RFC 5321 4.1.2, 4.1.3
ADDRESSES = """a@b..c a@-b.c a@b-.c a@LONG.c a@b_c.d a@[1.2.3] a@[ipv6:zz] a@[1.2.3.4] a@[ipv6:::1] a@.b a@b. a@b.. a@1.2.3 a@1.2.3.4
    a@1234 a@ a@b!c b!c a%b a%b..c -f@relay.test -f -f@example.test "-f"@relay.test a-f@relay.test a@b,c@d a..b@x.test .a@x.test
    a.@x.test a@x.test. "a@b"@x.test a;b@c.test a@b*c.d a@b/c.d a@x.test>x a@] a@#1 @ @@ x:a;@x.test""".replace("LONG", "x" * 70).split()
# Not addresses by RFC 5321 4.1.2, which Postfix repairs as it does in headers.
REPAIRED = """@x.test a@b@c a@x.test@x.test "a"@"x.test" a(c)@x.test a@x.test(c) a@[127.0.0.1 a@@b "a@b" a:b@c.test
    a\\@b@x.test""".split()
# Brackets around brackets, blanks inside them; what is empty or glued to quotes is no address.
BRACKETS = ["<<s@x.test>>", "< s@x.test>", "<s@x.test >", "<  <s@x.test > >", "< >", '<"">', '""', '<@x.test:"">', '<"">x', '<"a"b@x.test>', '<a"b"@x.test>',
            '<"a""b"@x.test>', '<a."b".c@x.test>']
# What browsers, and clients that never heard 354, send.
HEADERS = ["Host: x", "Subject: x", "Received:x", "X-Long-Name:", "RCPT:<x>", ":x", "<x>", "x :y"]

HELOS = """1.2.3.4 1.2.3 1234 ::1 1:2::3 [1.2.3.4] [1.2.3] [IPv6:::1] [::1] [ipv6:1::g] [] [ a. a.. a.b. .a a..b -a.b a-.b a_b a.b_c a!b x.1 1.x
    xn--bcher-kva.test LONG.test localhost client.test . a.b.c.d.e.f""".replace("LONG", "x" * 64).split()
FQDN = """bare bare@ alice@localhost alice@example alice@example. alice@example.test. alice@[127.0.0.1] alice@[1.2.3.4] alice@1.2.3.4 "a b"@example.test
    a!b a%b alice%example.test x@y!z example.test!alice postmaster postmaster@ Postmaster alice""".split()
ORCPTS = """rfc822;SRS0=ab=cd@x rfc822;a@b rfc822; ;a@b rfc822 x;y rfc822;a+3Db rfc822;a+3 rfc822;a+zz rfc822;a+ rfc822;a+3db utf-8;a@b rfc822;a=b
    RFC822;x RFC822;a+20b rfc822;a+00b rfc822;;x a+b;c rfc822;LONG rfc822;a;b""".replace("LONG", "y" * 600).split()
ENVIDS = ["a=b", "a+3Db", "a+3", "a+zz", "+", "a+00b", "y" * 101, "y" * 100, "a+20b", "a@b=c;d"]

# name: (service, commands)
TRANSCRIPTS = {
    "syntax": ("plain", """FOO|HELO|EHLO|HELO a b|MAIL|MAIL FROM|MAIL FROM:|MAIL FROM:x|MAIL FROM:<x|RSET|RSET x|
        MAIL FROM:<x@y> FOO|MAIL FROM:<x@y> SIZE=abc|MAIL FROM:<x@y> BODY=9BIT|MAIL FROM:<x@y> FOO=BAR|MAIL FROM:<@@>|
        MAIL FROM:<a b@c>|MAIL FROM:<a@b> RET=FOO|RCPT TO:<alice@example.test>|RSET|DATA|MAIL FROM:<>|MAIL FROM:<>|DATA|
        RCPT|RCPT TO|RCPT TO:|RCPT TO:<>|RCPT TO:<x@y|RCPT TO:<nobody@example.test>|
        RCPT TO:<alice@example.test> NOTIFY=FOO|RCPT TO:<alice@example.test> NOTIFY=NEVER,SUCCESS|QUIT"""),
    "esmtp": ("plain", """EHLO client.test|RCPT TO:<alice@example.test>|DATA|MAIL FROM:<@a,@b:x@y> BODY=8BITMIME SIZE=100|
        RCPT TO:<alice@example.test> ORCPT=foo|RCPT TO:<alice@example.test> FOO=bar|RCPT TO:<alice@example.test> FOO|
        RCPT TO:<alice@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c|RCPT TO:<postmaster>|RCPT TO:<Postmaster>|
        RCPT TO:<@x:alice@example.test>|RCPT TO:<alice@[127.0.0.1]>|RCPT TO:<alice+ext@example.test>|
        RCPT TO:<"alice"@example.test>|EXPN x|NOOP|NOOP x y|AUTH PLAIN|STARTTLS|STARTTLS x|TURN|SEND x|DATA x|RSET|QUIT"""),
    "vrfy": ("plain", """VRFY|VRFY alice|VRFY nobody@example.test|VRFY alice@elsewhere.test|VRFY <alice@example.test>|
        VRFY <alice@example.test> x|QUIT"""),
    "etrn": ("plain", "EHLO x|ETRN|ETRN a b|ETRN !x|MAIL FROM:<>|ETRN example.test|QUIT"),
    "utf8": ("plain", [b"HELO \x80", b"MAIL FROM:<caf\xe9@x.test>", b"FOO \xff", "NOOP", "QUIT"]),
    "case": ("plain", "ehlo client.test|mail from:<s@x.test> size=10|rcpt to: <ALICE@Example.TEST>|Rset|quit"),
    "blanks": ("plain", "EHLO client.test|MAIL FROM: <s@x.test>|RCPT TO:  <alice@example.test>|RSET|MAIL FROM:<s@x.test>  SIZE=1|QUIT"),
    "order": ("plain", """MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|EHLO again|RCPT TO:<alice@example.test>|
        MAIL FROM:<s@x.test>|HELO x|DATA|MAIL FROM:<s@x.test>|RSET|DATA|RCPT TO:<alice@example.test>|NOOP|QUIT"""),
    "helo_then_data": ("plain", "HELO x|DATA|MAIL FROM:<s@x.test>|DATA|QUIT"),
    "dsn": ("plain", """EHLO x|MAIL FROM:<s@x.test> RET=HDRS ENVID=abc+2Bd|RCPT TO:<alice@example.test> NOTIFY=NEVER|
        RCPT TO:<alice@example.test> NOTIFY=|RCPT TO:<alice@example.test> ORCPT=rfc822;x@y NOTIFY=FAILURE|RSET|
        MAIL FROM:<s@x.test> RET=FULL|RSET|MAIL FROM:<s@x.test> ENVID=|MAIL FROM:<s@x.test> RET=|RSET|QUIT"""),
    "relay": ("plain", GO + """RCPT TO:<x@elsewhere.test>|RCPT TO:<known@relay.test>|RCPT TO:<unknown@relay.test>|
        RCPT TO:<x@sub.relay.test>|RCPT TO:<info@alias.test>|RCPT TO:<none@alias.test>|RCPT TO:<u@box.test>|
        RCPT TO:<u+x@box.test>|RCPT TO:<none@box.test>|RCPT TO:<x@[10.1.2.3]>|RCPT TO:<alice%elsewhere.test@example.test>|
        RCPT TO:<elsewhere.test!alice@example.test>|RCPT TO:<alice@localhost>|RCPT TO:<alice>|RCPT TO:<nobody>|
        RCPT TO:<"x@elsewhere.test"@example.test>|RCPT TO:<any@catch.test>|DATA|QUIT""".split("|")),
    "mine": ("mine", GO + "RCPT TO:<x@elsewhere.test>|RCPT TO:<nobody@example.test>|RCPT TO:<x@[10.1.2.3]>|QUIT".split("|")),
    **{"multi_" + at: ("multi_bounce_" + at, "EHLO x|MAIL FROM:<>|RCPT TO:<alice@example.test>|RCPT TO:<bob@example.test>|DATA|RSET|MAIL FROM:<>|"
                       "RCPT TO:<alice@example.test>|RSET|MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|RCPT TO:<bob@example.test>|QUIT") for at in ("rcpt", "data")},
    "multi_end": ("multi_bounce_end", ["EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.test>", "RCPT TO:<bob@example.test>", "DATA", BODY, "QUIT"]),
    "etrn_access": ("etrn_map", "EHLO x|ETRN no.test|ETRN a.no.test|ETRN sub.test|ETRN x.sub.test|ETRN list.test|ETRN other.test|QUIT"),
    "discard": ("discard", sum([["EHLO x" if f == "d" else "NOOP", "MAIL FROM:<%s@x.test>" % f, "RCPT TO:<bob@example.test>", "RCPT TO:<x@elsewhere.test>", "RCPT TO:<trap@example.test>",
                                 "RCPT TO:<nobody@example.test>", "RCPT TO:<x@elsewhere.test>", "RSET"] for f in ("d", "e")], []) + ["QUIT"]),
    "etrn_early": ("etrn_early", "EHLO x|ETRN no.test|ETRN in.test|ETRN other.test|MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|QUIT".split("|")),
    "what_lists_of_tables_are_about": ("list_results", sum([["EHLO " + h, "MAIL FROM:<%s@x.test>" % f, "RCPT TO:<alice@example.test>", "RSET"]
                                                            for h in ("h.test", "c.test", "x") for f in "drx"], [])),
    "reverse_may_not_permit": ("reverse_ok", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "reverse_name": ("reverse_no", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "defer_relay": ("defer_relay", GO + "RCPT TO:<x@elsewhere.test>|RCPT TO:<alice@example.test>|QUIT".split("|")),
    "unlisted": ("unlisted", GO + "RCPT TO:<nobody@example.test>|RCPT TO:<unknown@relay.test>|QUIT".split("|")),
    "unlisted_sender": ("sender", senders("nobody@example.test", "alice@example.test", "x@elsewhere.test", "none@box.test",
                                           "none@alias.test", "")),
    "bad_rcpts": ("mine", GO + ["RCPT TO:<%s>" % a for a in ADDRESSES + REPAIRED + ["a b@x.test"]] + ["QUIT"]),
    "bad_senders": ("mine", GO[:1] + sum([["MAIL FROM:<%s>" % a, "RSET"] for a in ADDRESSES + REPAIRED], []) + ["QUIT"]),
    "brackets_at_rcpt": ("mine", GO + ["RCPT TO:" + a for a in BRACKETS] + ["QUIT"]),
    "brackets_at_mail": ("mine", GO[:1] + sum([["MAIL FROM:" + a, "RSET"] for a in BRACKETS], []) + ["QUIT"]),
    **{"header_%d" % i: ("plain", ["EHLO x", h, "NOOP"]) for i, h in enumerate(HEADERS)},
    "notify_lists": ("plain", GO + ["RCPT TO:<alice@example.test> NOTIFY=" + n for n in ("SUCCESS,", ",DELAY", "SUCCESS,,DELAY", ",", "NEVER,", "SUCCESS,x")]),
    "errors_at_rcpt": ("mine", GO + ["RCPT TO:<%s>" % a for a in """err@relay.test err2@relay.test err4@relay.test later@relay.test
        later2@relay.test later5@relay.test bare@relay.test err@example.test x@shut.test double-bounce@shut.test
        postmaster@shut.test double-bounce@example.test Double-Bounce""".split()] + ["QUIT"]),
    "unlisted_sender_of_several": ("sender", GO[:1] + ["MAIL FROM:<nobody@example.test>", "RCPT TO:<alice@example.test>", "RCPT TO:<bob@example.test>",
                                                       "RCPT TO:<nobody@example.test>", "DATA", "QUIT"]),
    "errors_of_senders": ("sender", senders("err@relay.test", "err2@relay.test", "later@relay.test", "later5@relay.test",
                                            "err@example.test")),
    "postmaster_alone": ("nothing", GO + "RCPT TO:<postmaster>|RCPT TO:<PostMaster>|RCPT TO:<postmaster@example.test>|RCPT TO:<postmaster@>|"
                         "QUIT".split("|")),
    "postmaster_of_nobody": ("no_relay", GO + "RCPT TO:<postmaster>|RCPT TO:<postmaster@example.test>|QUIT".split("|")),
    "postmaster_closed": ("closed", GO + "RCPT TO:<postmaster>|RCPT TO:<postmaster@example.test>|RCPT TO:<double-bounce@example.test>|QUIT".split("|")),
    "verify_sender": ("nothing", GO + "RCPT TO:<double-bounce@example.test>|RCPT TO:<double-bounce>|"
                      "RCPT TO:<double-bounce@mx.example.test>|RCPT TO:<alice@example.test>|QUIT".split("|")),
    "helo_required": ("helo", "MAIL FROM:<s@x.test>|HELO x|MAIL FROM:<s@x.test>|QUIT"),
    "early_helo": ("early", "HELO a_b!|HELO localhost|HELO [127.0.0.1]|HELO [foo]|HELO client.test|MAIL FROM:<x>|MAIL FROM:<x@y>|"
                            "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|QUIT"),
    "late_helo": ("late", "HELO a_b!|MAIL FROM:<x@y>|RCPT TO:<alice@example.test>|HELO localhost|MAIL FROM:<s@x.test>|"
                          "RCPT TO:<alice@example.test>|HELO client.test|MAIL FROM:<x>|RCPT TO:<alice@example.test>|RSET|"
                          "MAIL FROM:<s@x.test>|RCPT TO:<alice>|RCPT TO:<alice@example.test>|RCPT TO:<postmaster>|QUIT"),
    "closed": ("closed", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "put_off": ("put_off", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "strict": ("strict", "EHLO x|MAIL FROM:s@x.test|MAIL FROM:<s@x.test>|RCPT TO:alice@example.test|VRFY alice|RCPT TO:<alice@example.test>|QUIT"),
    "size": ("small", "EHLO x|MAIL FROM:<s@x.test> SIZE=5001|MAIL FROM:<s@x.test> SIZE=4000|RCPT TO:<alice@example.test>|RSET|QUIT"),
    "too_big": ("small", GO + ["RCPT TO:<alice@example.test>", "DATA", "Subject: x\r\n\r\n" + ("x" * 70 + "\r\n") * 100 + ".", "QUIT"]),
    "many_rcpts": ("small", GO + ["RCPT TO:<alice@example.test>"] * 4 + ["DATA", BODY, "QUIT"]),
    "errors": ("errors", ["FOO"] * 6),
    "mail": ("plain", GO + ["RCPT TO:<alice@example.test>", "RCPT TO:<nobody@example.test>", "DATA", BODY] +
             GO[1:] + ["RCPT TO:<bob@example.test>", "DATA", BODY, "QUIT"]),
    "null_sender": ("plain", ["EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA", BODY, "QUIT"]),
    "access": ("access", senders("ok@x.test", "no@x.test", "why@x.test", "code@x.test", "later@x.test", "later2@x.test",
                                 "451@x.test", "554@x.test", "dunno@x.test", "num@x.test", "text@x.test", "warn@x.test",
                                 "info@x.test", "defif@x.test", "a@dom.test", "a@x.dom.test", "a@sub.test", "a@x.sub.test",
                                 "user@any.test", "user+x@any.test", "", "list@x.test", "class@x.test", "one@x.test",
                                 "two@x.test", "no+ext@x.test", "NO@X.TEST", "bad@x.test") + ["QUIT"]),
    "defer_if_reject": ("access", ["EHLO x", "MAIL FROM:<defrej@x.test>", "RCPT TO:<x@elsewhere.test>",
                                   "RCPT TO:<alice@example.test>", "QUIT"]),
    "client_access": ("client", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "client_cidr": ("client_net", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "helo_access": ("helo_map", "HELO evil.test|MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|HELO good.test|"
                                "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|HELO sub.evil.test|MAIL FROM:<s@x.test>|"
                                "RCPT TO:<alice@example.test>|QUIT"),
    "rcpt_access": ("rcpt_map", GO + "RCPT TO:<alice@example.test>|RCPT TO:<alice+x@example.test>|RCPT TO:<bob@example.test>|"
                    "RCPT TO:<known@relay.test>|QUIT".split("|")),
    "failing_table": ("failing", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "warn_if_reject": ("warn", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "data_restriction": ("data", GO + ["RCPT TO:<alice@example.test>", "DATA", "RSET", "QUIT"]),
    "end_restriction": ("end", GO + ["RCPT TO:<alice@example.test>", "DATA", BODY, "QUIT"]),
    "data_pipelining": ("data_pipe", GO + ["RCPT TO:<alice@example.test>", "DATA", BODY, "QUIT"]),
    "codes": ("codes", senders("no@x.test", "s@x.test") + ["MAIL FROM:<s@x.test>", "RCPT TO:<nobody@example.test>",
                                                         "RCPT TO:<x@elsewhere.test>", "QUIT"]),
    "soft_bounce": ("soft", GO + ["RCPT TO:<nobody@example.test>", "RCPT TO:<x@elsewhere.test>", "FOO", "QUIT"]),
    "plaintext": ("plaintext", GO + ["RCPT TO:<alice@example.test>", "QUIT"]),
    "tls_required": ("tls", "HELO x|EHLO x|NOOP|MAIL FROM:<s@x.test>|RSET|DATA|VRFY x|QUIT"),
    "tls_offered": ("may", "EHLO x|STARTTLS x|MAIL FROM:<s@x.test>|QUIT"),
    "hidden": ("hidden", "EHLO x|FROB|QUIT"),
    **{name: (name, """EHLO x|MAIL FROM:<s@x.test> RET=HDRS|MAIL FROM:<s@x.test> RET=ODD|MAIL FROM:<s@x.test> ENVID=x|MAIL FROM:<s@x.test> ENVID=|MAIL FROM:<s@x.test>|
        RCPT TO:<alice@example.test> NOTIFY=NEVER|RCPT TO:<alice@example.test> NOTIFY=ODD|RCPT TO:<alice@example.test> ORCPT=rfc822;x@y|
        RCPT TO:<alice@example.test> ORCPT=x|RCPT TO:<alice@example.test> FOO=x NOTIFY=NEVER|RCPT TO:<alice@example.test>|QUIT""") for name in ("no_dsn", "no_dsn_map")},
    "no_words": ("no_words", "EHLO x|MAIL FROM:<s@x.test> SIZE=100 BODY=8BITMIME|RCPT TO:<alice@example.test>|RSET|VRFY alice|QUIT"),
    "no_starttls": ("no_starttls", "EHLO x|STARTTLS|STARTTLS x|MAIL FROM:<s@x.test>|QUIT"),
    "only_tls": ("only_tls", "EHLO x|STARTTLS|MAIL FROM:<s@x.test>|QUIT"),
    "hidden_map": ("hidden_map", "EHLO x|QUIT"),
    "classes": ("classes", senders("one@x.test", "two@x.test", "three@x.test") + ["QUIT"]),
    **{"helo_" + kind: ("helo_" + kind, sum([["HELO " + h, "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "RSET"] for h in HELOS], []) + ["QUIT"])
       for kind in ("invalid", "fqdn")},
    "sender_fqdn": ("sender_fqdn", senders(*FQDN) + ["QUIT"]),
    "rcpt_fqdn": ("rcpt_fqdn", GO + ["RCPT TO:<%s>" % a for a in FQDN] + ["QUIT"]),
    "rcpt_fqdn_first": ("rcpt_fqdn_first", GO + ["RCPT TO:<%s>" % a for a in FQDN] + ["QUIT"]),
    "no_origin": ("no_origin", GO + ["RCPT TO:<%s>" % a for a in FQDN] + ["QUIT"]),
    "sender_canonical": ("canonical", senders("away@example.test", "both@example.test", "rcpt@example.test", "nobody@example.test", "x@there.example.test", "away+x@example.test")),
    "codes_client": ("codes_client", GO + ["RCPT TO:<alice@example.test>"]),
    "codes_helo": ("codes_helo", sum([["HELO h%d.test" % i, "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "RSET"] for i in range(1, 6)], [])),
    "codes_sender": ("codes_sender", senders(*["%s%d@x.test" % (k, i) for k in "sd" for i in range(10)])),
    "codes_rcpt": ("codes_rcpt", GO + ["RCPT TO:<r%d@example.test>" % i for i in range(10)]),
    **{"odd_" + a: ("odd_actions", senders(a + "@x.test")) for a in "bcc bcc2 bcc3 redir filter prepend prepend2 421 521 2x 250 600 399 12 dot dsn dsn4 rej4 def5 "
       "relay lower pass strip".split()},
    "orcpt": ("mine", GO + ["RCPT TO:<alice@example.test> ORCPT=" + o for o in ORCPTS] + ["QUIT"]),
    "envids": ("plain", ["EHLO x"] + sum([["MAIL FROM:<s@x.test> ENVID=" + e, "RSET"] for e in ENVIDS], []) + ["QUIT"]),
}

# (transcript, command): why the replies differ
DIFFERENT = {
    **{("bad_rcpts", "RCPT TO:<%s>" % a): "RFC 5321 4.1.2" for a in REPAIRED},
    **{("bad_senders", "MAIL FROM:<%s>" % a): "RFC 5321 4.1.2" for a in REPAIRED},
}


def make_files(where):
    open(where + "/nets", "w").write("127.0.0.0/8 REJECT 5.7.8 not this net\n")
    open(where + "/hide", "w").write("127.0.0.0/8 pipelining, size\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=mx.example.test", "-keyout", where + "/key.pem", "-out", where + "/cert.pem"], check=True,
                   capture_output=True)


def service_lines(ports, where):
    for name, options in SERVICES.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name]
        for option in options:
            parameter, value = option.replace("DIR", where).split("=", 1)
            yield "    -o { %s = %s }\n" % (parameter, value)


def free_ports():
    return {name: pombal.free_port() for name in SERVICES}


@pytest.fixture(scope="module")
def both():
    ours_ports = free_ports()
    ours = pombal.Instance(start=False)
    theirs = None
    try:
        make_files(ours.dir)
        ours.add_main(COMMON + "pombal_accept_missing = unknown_action\nsmtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(service_lines(ours_ports, ours.dir)))
        ours.start()
        theirs, theirs_ports = started(lambda ports: RealPostfix(COMMON, agents=RECEIVING_AGENTS, prepare=make_files,
                                                                 master=lambda where: service_lines(ports, where)), free_ports)
        pombal.wait_for(lambda: answers(ours_ports["plain"]) and answers(theirs_ports["plain"]))
        yield (ours, ours_ports), (theirs, theirs_ports)
    finally:
        if theirs:
            theirs.close()
        ours.close()


def answers(port):
    try:
        raw = pombal.Raw(port)
        greeting = raw.reply()
        raw.close()
        return greeting
    except OSError:
        return None


def mask(reply):
    if reply is None:
        return "(closed)"
    reply = re.sub(r"queued as [0-9A-F]+", "queued as ID", reply)
    reply = re.sub(r"(221 2\.7\.0 Error: ).*", r"\1not SMTP", reply)  # each in words of its own
    keep = [line for line in reply.split("\n") if line[4:] != "REQUIRETLS"]
    return "\n".join(line[:3] + " " + line[4:] for line in keep)


def play(port, commands, source=None):
    raw = pombal.Raw(port, source=source)
    said = [("", mask(raw.reply()))]
    for command in commands:
        try:
            said.append((command, mask(raw.ask(command))))
        except OSError:
            said.append((command, "(closed)"))
        if said[-1][1] == "(closed)":
            break
    raw.close()
    return said


def split(commands):
    return [c.strip() for c in commands.split("|")] if isinstance(commands, str) else commands


@pytest.mark.parametrize("name", sorted(TRANSCRIPTS))
def test_transcript(both, name):
    service, commands = TRANSCRIPTS[name]
    (_, ours), (_, theirs) = both
    got, want = play(ours[service], split(commands)), play(theirs[service], split(commands))
    wrong = ["%.60r\n   ours   %s\n   theirs %s" % (g[0], g[1], w[1]) for g, w in zip(got, want)
             if g != w and (name, g[0]) not in DIFFERENT]
    assert not wrong and len(got) == len(want), "\n".join([""] + wrong)


# What the client sends in one piece, or before it has been greeted: RFC 2920 3.1. "" waits for the greeting.
IN_ONE = {
    "smtp_mail_to_data": ["", "HELO x", "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|DATA"],
    "smtp_mail_and_rcpt": ["", "HELO x", "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>", "DATA"],
    "smtp_rcpt_and_data": ["", "HELO x", "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>|DATA"],
    "smtp_noops": ["", "HELO x", "NOOP|NOOP", "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "DATA"],
    "smtp_helo": ["", "HELO x|MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "DATA"],
    "smtp_without_helo": ["", "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>", "DATA"],
    "smtp_before_helo": ["", "NOOP|NOOP", "EHLO x", "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "DATA"],
    "esmtp_mail_to_data": ["", "EHLO x", "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>|DATA"],
    "esmtp_ehlo": ["", "EHLO x|MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "DATA"],
    "esmtp_then_smtp": ["", "EHLO x", "HELO x", "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>", "DATA"],
    "esmtp_vrfy": ["", "EHLO x", "VRFY alice|NOOP", "MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "DATA"],
    "esmtp_two_mails": ["", "EHLO x", "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>", "DATA", "x\r\n.|RSET", "MAIL FROM:<s@x.test>|RCPT TO:<alice@example.test>", "DATA"],
}


def play_pieces(port, pieces):
    raw, said = pombal.Raw(port), []
    for piece in pieces:
        try:
            if piece:
                raw.send("".join(command + "\r\n" for command in piece.split("|")))
        except OSError:
            said.append("(closed)")
        for _ in piece.split("|"):
            said.append(mask(raw.reply()))
        if said[-1] == "(closed)":
            break
    raw.close()
    return said


@pytest.mark.parametrize("service", ["data_pipe_allowed", "rcpt_pipe", "plain"])
@pytest.mark.parametrize("name", sorted(IN_ONE))
def test_what_comes_in_one_piece(both, name, service):
    (_, ours), (_, theirs) = both
    got, want = [play_pieces(ports[service], IN_ONE[name]) for ports in (ours, theirs)]
    assert got == want


MAIL = b"MAIL FROM:<s@x.test>\r\nRCPT TO:<alice@example.test>\r\n"
# Sessions that end too early, and what is no command: what is sent, and how many replies there are.
ENDS = {
    "nothing": [], "quit": [(b"EHLO x\r\n", 1), (b"QUIT\r\n", 1)], "mail": [(b"EHLO x\r\n", 1), (MAIL, 2)],
    "data": [(b"EHLO x\r\n", 1), (MAIL + b"DATA\r\n", 3), (b"Subject: x\r\n\r\nabc\r\n", 0)],
    "chunk": [(b"EHLO x\r\n", 1), (MAIL, 2), (b"BDAT 100\r\nabc", 0)], "chunks": [(b"EHLO x\r\n", 1), (MAIL, 2), (b"BDAT 3\r\nabc", 1)],
    "chunk_noop": [(b"EHLO x\r\n", 1), (MAIL, 2), (b"BDAT 3\r\nabc", 1), (b"NOOP\r\n", 1)], "chunk_bad": [(b"EHLO x\r\n", 1), (MAIL, 2), (b"BDAT x\r\n", 1)],
    "chunk_null": [(b"EHLO x\r\n", 1), (MAIL, 2), (b"BDAT 0\r\n", 1)],
    "bad_text": [(b"EHLO x\r\n", 1), (b"\xff\r\n", 1), (b"\r\n", 1), (b"  \r\n", 1), (b"NOOP \xff\r\n", 1), (b"FOO\r\n", 1), (b"QUIT\r\n", 1)],
    "early": [(b"EHLO x\r\nNOOP \\\t\x01\r\n", 1)], "junk": [(b"EHLO x\r\n", 1)] + [(b"NOOP\r\n", 1)] * 103 + [(b"QUIT\r\n", 1)],
}


@pytest.mark.parametrize("name", sorted(ENDS))
def test_the_end_of_a_session_is_logged(both, name):
    source, logs = "127.0.7.%d" % (list(ENDS).index(name) + 1), []
    for suite, ports in both:
        raw = pombal.Raw(ports["plain"], source=source)
        raw.reply()
        for piece, replies in ENDS[name]:
            raw.send(piece)
            [raw.reply() for _ in range(replies)]
        raw.close()
        pombal.wait_for(lambda: "disconnect from unknown[%s]" % source in suite.log())
        own = [line for line in suite.log().split("\n") if "[%s]" % source in line and ": client=" not in line and "/smtpd[" in line]
        logs.append(lines_of("\n".join(own)))
    assert logs[0] == logs[1]


LOGGED = [["EHLO x", "MAIL FROM:<-x@example.test>", "MAIL FROM:<s@x.test>", "RCPT TO:<a@b..c>", "RCPT TO:<a@b c> x", "RCPT TO:<>"],
          GO + ["RCPT TO:<x@elsewhere.test>", "RCPT TO:<nobody@example.test>", "RCPT TO:<alice@example.test>", "DATA", BODY, "QUIT"],
          ["HELO x", "MAIL FROM:<>", "RCPT TO:<x@elsewhere.test>", "FOO", "RSET", "NOOP"],
          ["EHLO x", "MAIL FROM:<s@x.test> SIZE=99999999999", "QUIT"],
          ["HELO a(b)<c>;\"d\\@e", "MAIL FROM:<>", "RCPT TO:<x@elsewhere.test>", "EHLO x>, proto=SMTP  \t y", "MAIL FROM:<>", "RCPT TO:<x@elsewhere.test>", "QUIT"],
          ["EHLO x", "MAIL FROM:<s@x.test> AUTH=<>", "RSET", "MAIL FROM:<s@x.test> AUTH=<a@b>", "RSET", "MAIL FROM:<s@x.test> AUTH=x@y", "RSET", "MAIL FROM:<s@x.test> AUTH"]]


def lines_of(log):
    found = []
    for line in log.split("\n"):
        m = re.search(r" postfix/(smtpd|cleanup)\[\d+\]: (.*)", line)
        if m and "listens" not in line:
            text = re.sub(r"\b(?:[0-9A-F]{6,}|NOQUEUE): ", "ID: ", m.group(2))
            text = re.sub(r"message-id=<\d+\.[0-9A-F]+@", "message-id=<TIME.ID@", text)
            found.append("%s: %s" % (m.group(1), text))
    return sorted(found, key=lambda line: line.split(":")[0])  # each process in its own order


@pytest.mark.parametrize("number", range(len(LOGGED)))
def test_log_lines_are_the_same(both, number):
    """from an address of its own: lines of other sessions may come late"""
    source, logs = "127.0.3.%d" % (number + 1), []
    for suite, ports in both:
        play(ports["plain"], LOGGED[number], source)
        pombal.wait_for(lambda: "disconnect from unknown[%s]" % source in suite.log())
        ids = re.findall(r"smtpd\[\d+\]: (\w+): client=unknown\[%s\]" % re.escape(source), suite.log())
        pombal.wait_for(lambda: all("%s: message-id=" % id in suite.log() for id in ids))
        own = [line for line in suite.log().split("\n") if "[%s]" % source in line or any(" %s: " % id in line for id in ids)]
        assert len(own) > 2
        logs.append(lines_of("\n".join(own)))
    assert logs[0] == logs[1], [suite.log()[-3000:] for suite, _ in both]
