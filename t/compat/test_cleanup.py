"""The same messages through Postfix's cleanup and ours: envelope, header and body of the queue files are compared.

The messages are held, so that the files can be read; Postfix's postcat reads both."""
import os, re, shutil, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

COMMON = RECEIVING + """
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_client_access static:hold
"""

# name: options of the cleanup service
SERVICES = {
    "plain": [],
    "remote": [],
    "canonical": ["canonical_maps=inline:{ alice=alice.a { bob@old.test=bob@new.test } { @gone.test=@here.test } { loop=loop } }",
                  "sender_canonical_maps=inline:{ { sender@x.test=changed@y.test } }",
                  "recipient_canonical_maps=inline:{ { rcpt@x.test=changed@z.test } }"],
    "classes": ["canonical_maps=inline:{ { a@x.test=b@x.test } }", "canonical_classes=envelope_recipient,header_sender"],
    "virtual": ["virtual_alias_maps=inline:{ { team@x.test=a@x.test, b@x.test } { a@x.test=a@x.test, copy@x.test } { list@x.test="
                "team@x.test, c@x.test } { round@x.test=about@x.test } { about@x.test=round@x.test } { @all.test=catch@x.test } "
                "{ @dom.test=@other.test } { plain=someone } { ext@x.test=target@x.test } { blanks@x.test=p@x.test  q@x.test r } "
                "{ mixed@x.test=p@x.test (one) q@x.test, Some One <r@x.test> s@x.test } }"],
    "limits": ["virtual_alias_recursion_limit=5", "virtual_alias_expansion_limit=3", "virtual_alias_address_length_limit=40",
               "virtual_alias_maps=inline:{ { a4@x.test=a3@x.test } { a3@x.test=a2@x.test } { a2@x.test=a1@x.test } "
               "{ a1@x.test=a0@x.test } { a5@x.test=a4@x.test } { three@x.test=a@x.test, b@x.test, c@x.test } "
               "{ four@x.test=three@x.test, d@x.test } { far@x.test=ok@x.test, " + "y" * 50 + "@x.test } "
               "{ same@x.test=b0@x.test, twin@x.test } { twin@x.test=b0@x.test } { self@x.test=c0@x.test, SELF@x.test } }"],
    "canonical_loop": ["canonical_maps=inline:{ { a@x.test=b@x.test } { b@x.test=a@x.test } }"],
    "masquerade": ["masquerade_domains=x.test !keep.example.test example.test", "masquerade_exceptions=root"],
    "bcc": ["always_bcc=archive@x.test", "sender_bcc_maps=inline:{ { s@x.test=from@x.test } }",
            "recipient_bcc_maps=inline:{ { r@x.test=to@x.test } }"],
    "missing": ["always_add_missing_headers=yes", "undisclosed_recipients_header=To: undisclosed-recipients:;"],
    "drop": ["message_drop_headers=x-secret, bcc"],
    "small_header": ["header_size_limit=300"],
    "strip": ["message_strip_characters=\\0", "message_reject_characters=\\001"],
    "hops": ["hopcount_limit=5"],
    "checks": ["header_checks=regexp:DIR/header", "body_checks=regexp:DIR/body"],
    "no_received": ["header_checks=regexp:DIR/received", "hopcount_limit=4"],
    "parts": ["header_checks=regexp:DIR/header", "mime_header_checks=regexp:DIR/mime", "nested_header_checks=regexp:DIR/nested",
              "body_checks=regexp:DIR/body", "body_checks_size_limit=40", "mime_nesting_limit=3"],
    "no_parts": ["header_checks=regexp:DIR/mime", "body_checks=regexp:DIR/body", "disable_mime_input_processing=yes"],
    "no_mime": ["header_checks=regexp:DIR/mime", "mime_header_checks="],
}
FILES = {
    "header": """/^Subject: no/ REJECT not this
/^Subject: later/ REJECT 4.7.0 come again
/^Subject: bare/ REJECT
/^X-Ignore:/ IGNORE
/^X-Strip:/ STRIP as ordered
/^X-Warn:/ WARN oh
/^X-Info: (.*)/ INFO saw $1
/^X-Replace: (.*)/ REPLACE X-Replaced: $1!
/^X-Prepend:/ PREPEND X-Before: yes
/^X-Filter:/ FILTER discard:x
/^X-Redirect:/ REDIRECT other@x.test
/^X-Odd:/ FROBNICATE
/^X-Multi: one.*two/ REPLACE X-Multi: found
/^X-Bcc: (.*)/ BCC $1
/^X-Pass:/ PASS enough
/^X-Hold:/ HOLD
/^X-No-Text: 1/ REPLACE
/^X-No-Text: 2/ PREPEND
/^X-Bad-Text: 1/ REPLACE no field
/^X-Bad-Text: 2/ PREPEND no field
/^X-Bad-Code:/ REJECT 2.0.0 fine
/^Content-Type:.*name=.*exe/ REJECT no programs
/^X-Part:/ REJECT only in parts
""",
    "received": """/^Received: from .*by mx.*(for <.*>)/ REPLACE X-Was: received $1
/^Received:/ IGNORE
""",
    "mime": """/^Content-Type:.*name=.*exe/ REJECT no programs
/^Content-Disposition:/ IGNORE
/^MIME-Version:/ PREPEND X-Mime: yes
/^X-Part: (.*)/ REPLACE X-Part-Seen: $1
""",
    "nested": """/^Subject: (.*)/ REPLACE Subject: within $1
/^Content-/ REJECT never asked
""",
    "body": """/^forbidden/ REJECT 5.7.9 not in here
/^ignored/ IGNORE
/^replaced/ REPLACE instead
/^prepended/ PREPEND before
""",
}
LOCAL = "permit_mynetworks"

H = "From: a@x.test\r\nTo: b@x.test\r\nMessage-Id: <m@x.test>\r\nDate: Mon, 23 Nov 2026 02:11:38 +0000\r\nSubject: s\r\n"
MULTI = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\nX-Part: no\r\n%s"
# name: (service, sender, recipients, message)
MESSAGES = {
    "complete": ("plain", "s@x.test", ["r@x.test"], H + "\r\nbody\r\n"),
    "two_rcpts": ("plain", "s@x.test", ["r@x.test", "q@x.test", "r@x.test"], H + "\r\nbody\r\n"),
    "empty_message": ("plain", "s@x.test", ["r@x.test"], ""),
    "no_header": ("plain", "s@x.test", ["r@x.test"], "just text\r\nmore: text\r\n"),
    "only_header": ("plain", "s@x.test", ["r@x.test"], H),
    "blank_first": ("plain", "s@x.test", ["r@x.test"], "\r\nbody\r\n"),
    "missing_local": ("plain", "s", ["r"], "Subject: x\r\n\r\nbody\r\n"),
    "missing_null_sender": ("plain", "", ["r"], "Subject: x\r\n\r\nbody\r\n"),
    "missing_resent": ("plain", "s@x.test", ["r"], "Resent-To: q\r\nSubject: x\r\n\r\nbody\r\n"),
    "missing_remote": ("remote", "s@x.test", ["r@x.test"], "Subject: x\r\n\r\nbody\r\n"),
    "missing_always": ("missing", "s@x.test", ["r@x.test"], "Subject: x\r\n\r\nbody\r\n"),
    "addresses": ("plain", "s", ["r"], "From: alice\r\nTo: bob, \"C D\" <cd>, e@host, f@x.test (F),\r\n  g (G)\r\n"
                  "Cc: group: h, i@x.test;, <j>\r\nReply-To: k@h.test\r\nSender: \"l m\"@x.test\r\nSubject: a: b@c\r\n" + H[16:] + "\r\nb\r\n"),
    "two_ats": ("plain", "s@x.test", ["r@x.test"], "From: a@b.test@c.test\r\nTo: X <d@e.test@f.test>, g@h.test@i.test\r\nCc: j@k.test@l\r\n" + H[30:] + "\r\nb\r\n"),
    "addresses_remote": ("remote", "s", ["r"], "From: alice\r\nTo: bob\r\n" + H[16:] + "\r\nb\r\n"),
    "routes": ("plain", "s%x.test@example.test", ["x.test!r", "<@a.test:r@b.test>", "r%c.test"], H + "\r\nb\r\n"),
    "dropped": ("plain", "s@x.test", ["r@x.test"], H + "Bcc: z@x.test\r\nContent-Length: 5\r\nReturn-Path: <q@x.test>\r\nResent-Bcc: y\r\n"
                "\r\nb\r\n"),
    "dropped_other": ("drop", "s@x.test", ["r@x.test"], H + "X-Secret: 1\r\nBcc: z@x.test\r\nContent-Length: 5\r\n\r\nb\r\n"),
    "folded": ("plain", "s@x.test", ["r@x.test"], H + "X-Long: one\r\n two\r\n\tthree\r\nX-Empty:\r\nX-Blank: \r\n \r\nX-Space : y\r\n\r\nb\r\n"),
    "long_line": ("plain", "s@x.test", ["r@x.test"], H + "X-Long: " + "y" * 5000 + "\r\n\r\n" + "z" * 9000 + "\r\n"),
    "long_header": ("small_header", "s@x.test", ["r@x.test"], H + "X-Long: a\r\n" + " bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n" * 20 + "X-After: c\r\n\r\nb\r\n"),
    "not_a_header": ("plain", "s@x.test", ["r@x.test"], "Subject: x\r\nnot a header\r\nTo: late@x.test\r\n\r\nb\r\n"),
    "8bit": ("plain", "s@x.test", ["r@x.test"], H + "\r\ncaf\xe9 \xff\r\n"),
    "8bit_header": ("plain", "s@x.test", ["r@x.test"], H + "X-A: caf\xc3\xa9\r\n\r\nb\r\n"),
    "nul": ("plain", "s@x.test", ["r@x.test"], H + "X-A: a\x00b\r\n\r\na\x00b\r\n"),
    "strip": ("strip", "s@x.test", ["r@x.test"], H + "\r\na\x00b\x00\r\n"),
    "reject": ("strip", "s@x.test", ["r@x.test"], H + "\r\na\x01b\r\n"),
    "dots": ("plain", "s@x.test", ["r@x.test"], H + "\r\n..\r\n..x\r\n...\r\n"),
    "canonical": ("canonical", "sender@x.test", ["alice", "bob@old.test", "x@gone.test", "rcpt@x.test", "alice+e", "loop"],
                  "From: sender@x.test\r\nTo: Alice <alice>, bob@old.test, rcpt@x.test, any@gone.test\r\n" + H[16 + 14:] + "\r\nb\r\n"),
    "canonical_classes": ("classes", "a@x.test", ["a@x.test"], "From: a@x.test\r\nTo: a@x.test\r\n" + H[30:] + "\r\nb\r\n"),
    "virtual": ("virtual", "s@x.test", ["team@x.test"], H + "\r\nb\r\n"),
    "virtual_blanks": ("virtual", "s@x.test", ["blanks@x.test", "mixed@x.test"], H + "\r\nb\r\n"),
    "stray_brackets": ("plain", "s", ["r"], "From: a@x.test>\r\nTo: b>\r\nCc: c@x.test>\r\n" + H[30:] + "\r\nb\r\n"),
    "blanks": ("plain", "s", ["r"], "From: one two@x.test\r\nTo: a@x.test b@x.test\r\nCc: a (A)  b c.d@h <e@x.test> <f@x.test>\r\n"
               "Reply-To: n o <p@x.test> q r\r\n" + H[30:] + "\r\nb\r\n"),
    "virtual_nested": ("virtual", "s@x.test", ["list@x.test"], H + "\r\nb\r\n"),
    "virtual_catch": ("virtual", "s@x.test", ["any@all.test", "u@dom.test", "plain", "none@x.test"], H + "\r\nb\r\n"),
    "virtual_ext": ("virtual", "s@x.test", ["ext+y@x.test", "u+z@dom.test", "a+q@all.test"], H + "\r\nb\r\n"),
    "virtual_loop": ("virtual", "s@x.test", ["round@x.test"], H + "\r\nb\r\n"),
    "virtual_deep": ("limits", "s@x.test", ["a4@x.test"], H + "\r\nb\r\n"),
    "virtual_too_deep": ("limits", "s@x.test", ["a5@x.test"], H + "\r\nb\r\n"),
    "virtual_broad": ("limits", "s@x.test", ["three@x.test"], H + "\r\nb\r\n"),
    "virtual_too_broad": ("limits", "s@x.test", ["four@x.test"], H + "\r\nb\r\n"),
    "virtual_too_long": ("limits", "s@x.test", ["far@x.test"], H + "\r\nb\r\n"),
    "virtual_same": ("limits", "s@x.test", ["same@x.test", "self@x.test"], H + "\r\nb\r\n"),
    "canonical_loop": ("canonical_loop", "a@x.test", ["a@x.test"], "From: c@x.test\r\nTo: d@x.test\r\n" + H[30:] + "\r\nb\r\n"),
    "masquerade": ("masquerade", "a@host.x.test", ["b@host.x.test"], "From: a@host.x.test\r\nTo: b@deep.host.x.test, root@host.x.test, "
                   "c@keep.example.test, d@sub.keep.example.test, e@host.example.test, f@x.test\r\n" + H[30:] + "\r\nb\r\n"),
    "bcc": ("bcc", "s@x.test", ["r@x.test", "q@x.test"], H + "\r\nb\r\n"),
    "hops": ("hops", "s@x.test", ["r@x.test"], "Received: x\r\n" * 3 + H + "\r\nb\r\n"),
    "too_many_hops": ("hops", "s@x.test", ["r@x.test"], "Received: x\r\n" * 4 + H + "\r\nb\r\n"),
    "stray_cr": ("plain", "s@x.test", ["r@x.test"], H + "X-A: a\rb\r\n\r\na\rb\r\n"),
    # at each place of lines that are shorter and longer than what is looked at in one step
    "stray_cr_anywhere": ("plain", "s@x.test", ["r@x.test"], H + "\r\n" + "".join(
        "a" * at + "\r" + "b" * (length - at) + "\r\n" for length in (1, 7, 15, 16, 17, 32, 40) for at in range(length))),
    **{"8bit_at_%d_of_%d" % (at, length): ("plain", "s@x.test", ["r@x.test"], H + "\r\n" + "a" * at + "\xe4" + "b" * (length - at - 1)
                                           + "\r\n") for at, length in ((0, 1), (14, 15), (0, 16), (15, 16), (16, 17), (20, 40))},
    "checks": ("checks", "s@x.test", ["r@x.test"], H + "X-Ignore: a\r\nX-Strip: b\r\nX-Warn: c\r\nX-Info: d\r\nX-Replace: e\r\n"
               "X-Prepend: f\r\nX-Odd: g\r\nX-Multi: one\r\n two\r\n\r\nignored\r\nreplaced\r\nprepended\r\nend\r\n"),
    "checks_reject": ("checks", "s@x.test", ["r@x.test"], "Subject: no\r\n\r\n"),
    "checks_later": ("checks", "s@x.test", ["r@x.test"], "Subject: later\r\n\r\n"),
    "checks_bare": ("checks", "s@x.test", ["r@x.test"], "Subject: bare\r\n\r\n"),
    "checks_body": ("checks", "s@x.test", ["r@x.test"], H + "\r\nforbidden\r\n"),
    "checks_filter": ("checks", "s@x.test", ["r@x.test"], H + "X-Filter: 1\r\nX-Redirect: 1\r\n\r\nb\r\n"),
    "checks_bcc": ("checks", "s@x.test", ["r@x.test"], H + "X-Bcc: c1@x.test\r\nX-Bcc: c2\r\nX-Bcc: c1@x.test\r\nX-Filter: 1\r\n\r\nb\r\n"),
    "checks_pass": ("checks", "s@x.test", ["r@x.test"], H + "X-Warn: 1\r\nX-Pass: 1\r\nX-Strip: stays\r\n\r\nforbidden\r\n"),
    "checks_redirect_ends": ("checks", "s@x.test", ["r@x.test"], H + "X-Redirect: 1\r\nX-Strip: stays\r\n\r\nforbidden\r\n"),
    "checks_no_text": ("checks", "s@x.test", ["r@x.test"], H + "X-No-Text: 1\r\nX-No-Text: 2\r\nX-Bad-Text: 1\r\nX-Bad-Text: 2\r\n\r\nb\r\n"),
    "checks_bad_code": ("checks", "s@x.test", ["r@x.test"], H + "X-Bad-Code: 1\r\n\r\nb\r\n"),
    "checks_no_blank": ("checks", "s@x.test", ["r@x.test"], H + "replaced\r\nignored\r\n\r\nreplaced\r\n"),
    "checks_exe": ("checks", "s@x.test", ["r@x.test"], H + MULTI % "--b\r\nContent-Type: x/y;\r\n name=a.exe\r\n\r\nMZ\r\n--b--\r\n"),
    "checks_exe_in_body": ("checks", "s@x.test", ["r@x.test"], H + MULTI % "--b\r\n\r\nContent-Type: x/y; name=a.exe\r\n--b--\r\nContent-Type: x/y; name=a.exe\r\n"),
    "checks_part_default": ("checks", "s@x.test", ["r@x.test"], H + MULTI % "--b\r\nX-Part: 1\r\n\r\n--b--\r\n"),
    "received_dropped": ("no_received", "s@x.test", ["r@x.test", "q@x.test"], H + "\r\nb\r\n"),
    "received_replaced": ("no_received", "s@x.test", ["r@x.test"], "Received: by a\r\n" + H + "\r\nb\r\n"),
    "received_counts": ("no_received", "s@x.test", ["r@x.test"], "Received: by a\r\n" * 5 + H + "\r\nb\r\n"),
    "parts": ("parts", "s@x.test", ["r@x.test"], H + MULTI % ("--b\r\nX-Part: 1\r\n  2\r\nContent-Disposition: x\r\nSubject: kept\r\nX-Long: " + "z" * 5000 +
              "\r\n\r\nreplaced\r\nX-Part: body\r\n" + "y" * 40 + "\r\nignored too late\r\n--b\r\nX-Part : 3\r\nno header\r\nX-Part: 4\r\n--b\r\n\r\nreplaced again\r\n"
              "--b--\r\nX-Part: end\r\nforbidden too late?" + "\r\n")),
    "parts_nested": ("parts", "s@x.test", ["r@x.test"], H + MULTI % ("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: a\r\nX-Part: n\r\nReceived: x\r\n"
                     "Content-Type: multipart/digest; boundary=\"c d\"\r\nMIME-Version: 1.0\r\n\r\nSubject: not\r\n--c d\r\nX-Part: p\r\n\r\nSubject: b\r\n\r\n"
                     "Subject: not\r\n--c d--\r\nSubject: not\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nSubject: not\r\n--b--\r\n")),
    "parts_message": ("parts", "s@x.test", ["r@x.test"], H + "Content-Type: message/rfc822\r\n\r\nSubject: a\r\nContent-Type: text/x\r\n\r\nSubject: b\r\n"),
    **{"parts_global_" + cte: ("parts", "s@x.test", ["r@x.test"], H + MULTI % ("--b\r\nContent-Type: Message/Global\r\nContent-Transfer-Encoding: " + cte +
                               "\r\n\r\nSubject: a\r\nX-Part: n\r\nContent-Type: text/x\r\n\r\nSubject: b\r\n--b--\r\n"))
       for cte in ("7bit", "8bit", "binary", "base64", "quoted-printable", "odd")},
    "parts_global": ("parts", "s@x.test", ["r@x.test"], H + "Content-Type: message/global\r\n\r\nSubject: a\r\nContent-Type: text/x\r\n\r\nSubject: b\r\n"),
    **{"parts_" + kind: ("parts", "s@x.test", ["r@x.test"], H + "Content-Type: " + kind + "\r\n\r\nSubject: a\r\nX-Part: n\r\n\r\nSubject: b\r\n")
       for kind in ("message/global-headers", "message/partial", "message/external-body", "message/news", "message/http", "message", "text/rfc822-headers")},
    "parts_base64_message": ("parts", "s@x.test", ["r@x.test"], H + MULTI % "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nSubject: a\r\n\r\nb\r\n--b--\r\n"),
    "parts_two_boundaries": ("parts", "s@x.test", ["r@x.test"], H + "Content-Type: multipart/x; boundary=p; boundary=q\r\n\r\n--p\r\nX-Part: 1\r\n\r\n--q\r\nX-Part: 2\r\n\r\n--p--\r\nX\r\n"),
    "parts_no_subtype": ("parts", "s@x.test", ["r@x.test"], H + "Content-Type: multipart; boundary=p\r\n\r\n--pq\r\nX-Part: 1\r\n\r\n--p--\r\n"),
    "parts_unended": ("parts", "s@x.test", ["r@x.test"], H + MULTI % "--b\r\nX-Part: 1\r\n"),
    "parts_exe": ("parts", "s@x.test", ["r@x.test"], H + "Content-Type: x/y; name=z.exe\r\n\r\n"),
    "parts_deep": ("parts", "s@x.test", ["r@x.test"], H + "".join("Content-Type: multipart/x; boundary=l%d\r\n\r\n--l%d\r\n" % (i, i) for i in range(6)) + "\r\nb\r\n"),
    "parts_not_too_deep": ("parts", "s@x.test", ["r@x.test"], H + "".join("Content-Type: multipart/x; boundary=l%d\r\n\r\n--l%d\r\n" % (i, i) for i in range(5)) + "\r\nb\r\n"),
    "no_parts": ("no_parts", "s@x.test", ["r@x.test"], H + MULTI % "--b\r\nX-Part: 1\r\n\r\nreplaced\r\n--b--\r\n"),
    "no_mime": ("no_mime", "s@x.test", ["r@x.test"], H + MULTI % "--b\r\nX-Part: 1\r\nContent-Type: x/y; name=z.exe\r\n\r\nx\r\n--b--\r\n"),
    "long_first_line": ("plain", "s@x.test", ["r@x.test"], "y" * 150000 + "\r\nMore: 1\r\n\r\nb\r\n"),
    "long_first_line_colon": ("plain", "s@x.test", ["r@x.test"], "y" * 3000 + ": " + "z" * 110000 + "\r\nMore: 1\r\n\r\nb\r\n"),
    "long_later_line": ("plain", "s@x.test", ["r@x.test"], H + "no header " * 20000 + "\r\nMore: 1\r\n\r\nb\r\n"),
    "long_blank_line": ("plain", "s@x.test", ["r@x.test"], " " * 5000 + "x\r\nMore: 1\r\n\r\nb\r\n"),
    "huge_header": ("plain", "s@x.test", ["r@x.test"], H + "X-A: " + "y" * 150000 + "\r\nX-After: 1\r\n\r\nb\r\n"),
    "huge_folded": ("plain", "s@x.test", ["r@x.test"], H + "X-A: a\r\n" + (" " + "y" * 990 + "\r\n") * 150 + "X-After: 1\r\n\r\nb\r\n"),
    "huge_to": ("plain", "s@x.test", ["r"], "To: a,\r\n" + " bbbbbbbbbb@x.test,\r\n" * 1200 + H[30:] + "\r\nb\r\n"),
    "limit_in_line": ("small_header", "s@x.test", ["r@x.test"], H + "X-A: " + "y" * 3000 + "\r\n more\r\n\tmore\r\nX-B: " + "z" * 290 + "\r\n" + " c\r\n" * 5 + "X-D:\r\n\r\nb\r\n"),
    "from_line": ("plain", "s@x.test", ["r@x.test"], "From a@x Tue May 10 11:12:13 2026\r\n>From b\r\n>>From  c\r\n" + H + "From d\r\n\r\n>From e\r\n"),
    "from_line_only": ("plain", "s@x.test", ["r@x.test"], "From a@x Tue May 10 11:12:13 2026\r\n"),
    "from_line_body": ("plain", "s@x.test", ["r@x.test"], "\r\nFrom a@x Tue\r\n"),
    "from_line_folded": ("plain", "s@x.test", ["r@x.test"], ">From a@x Tue\r\n go on\r\n" + H + "\r\nb\r\n"),
    "blank_begins": ("plain", "s@x.test", ["r@x.test"], " blank\r\n" + H + "\r\nb\r\n"),
    "tab_begins": ("plain", "s@x.test", ["r@x.test"], "\t\r\n" + H + "\r\nb\r\n"),
    "odd_rcpts": ("plain", "s@x.test", ['"a b"@x.test', '"a@b"@x.test', "a..b@x.test"], H + "\r\nb\r\n"),
}

# Where the queue files differ on purpose.
DIFFERENT = {
    # Postfix keeps the source route in what it calls the original recipient (RFC 5321 C: to be ignored).
    "routes": lambda lines: [line.replace("@a.test:r@b.test", "r@b.test") for line in lines],
    # always_bcc stands before the content here, behind it there.
    "bcc": sorted,
    # A local part with two dots needs quotes (RFC 5321 4.1.2), also in a report.
    "odd_rcpts": lambda lines: [line.replace('"a..b"', "a..b") for line in lines],
    # An address that nothing changes stays as it is written.
    "two_ats": lambda lines: [line.replace('"', "") for line in lines],
    # C strings end a header at a zero byte; here it passes as any other.
    "nul": lambda lines: ["X-A: a\0b" if line == "X-A: a" else line for line in lines],
}


def service_lines(ports, where):
    for name, options in SERVICES.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n    -o cleanup_service_name=cleanup-%s\n" % (ports[name], name)
        if name in ("remote", "missing"):
            yield "    -o local_header_rewrite_clients=\n"
        else:
            yield "    -o local_header_rewrite_clients=%s\n" % LOCAL
        yield "cleanup-%s unix n - n - 0 cleanup\n" % name
        for option in options:
            yield "    -o { %s = %s }\n" % tuple(option.replace("DIR", where).split("=", 1))


def make_files(where):
    for name, text in FILES.items():
        open("%s/%s" % (where, name), "w").write(text)


def free_ports():
    return {name: pombal.free_port() for name in SERVICES}


@pytest.fixture(scope="module")
def both():
    ports = [free_ports(), None]
    ours, theirs = pombal.Instance(start=False), None
    try:
        make_files(ours.dir)
        ours.add_main(COMMON + "pombal_accept_missing = unknown_action\nsmtpd_tls_security_level = none\nsmtpd_sasl_auth_enable = no\n")
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(service_lines(ports[0], ours.dir)))
        ours.start()
        theirs, ports[1] = started(lambda p: RealPostfix(COMMON, agents=RECEIVING_AGENTS, prepare=make_files,
                                                         master=lambda where: service_lines(p, where)), free_ports)
        for port in (ports[0]["plain"], ports[1]["plain"]):
            pombal.wait_for(lambda: answers(port))
        yield (ours, ports[0]), (theirs, ports[1])
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


def send(suite, port, sender, rcpts, text, source=None):
    """the reply to the content, and what postcat shows of the file"""
    raw = pombal.Raw(port, source=source)
    raw.reply()
    for command in ["EHLO client.test", "MAIL FROM:<%s>" % sender] + ["RCPT TO:%s" % (r if r[0] == "<" else "<%s>" % r) for r in rcpts]:
        reply = raw.ask(command)
        assert reply[0] == "2", command + ": " + reply
    assert raw.ask("DATA")[0] == "3"
    raw.send(text.encode("latin-1") + b".\r\n")
    reply = raw.reply()
    raw.close()
    m = re.search(r"queued as (\w+)", reply)
    if not m:
        return reply.split("\n")
    path = "%s/hold/%s" % (suite.queue, m.group(1))
    shown = subprocess.run(["postcat", "-o", path], capture_output=True).stdout.decode("latin-1")
    os.unlink(path)
    return mask(shown, m.group(1))


def mask(shown, queue_id):
    shown = shown.replace(queue_id, "ID")
    shown = re.sub(r"\d{14}\.ID@", "TIME.ID@", shown)
    shown = re.sub(r"[A-Z][a-z]{2}, +\d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000 \(UTC\)", "DATE", shown)
    lines, content, header = [], False, False
    for line in shown.split("\n"):
        line = re.sub(r"^ *\d+ (regular_text: )?", "", line)
        if line.startswith("***"):
            content = header = "MESSAGE CONTENTS" in line
            lines.append(line.split(" /")[0])
        elif header and line[:1] in (" ", "\t"):
            lines[-1] += " " + line.strip()  # what was rewritten is folded anew by Postfix and left as it was here
        elif content or re.match(r"(sender|recipient|original_recipient|content_filter|redirect_to): |named_attribute: (dsn_orig_rcpt|notify_flags)=", line):
            header = header and line != ""
            lines.append(line)
    return lines


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_message(both, name):
    service, sender, rcpts, text = MESSAGES[name]
    got, want = [send(suite, ports[service], sender, rcpts, text) for suite, ports in both]
    if name in DIFFERENT:
        got, want = DIFFERENT[name](got), DIFFERENT[name](want)
    assert got == want


def warnings(suite, source):
    """about messages from this address: those of other tests may come late"""
    log = suite.log()
    ids = re.findall(r": (\w+): client=\w+\[%s\]" % re.escape(source), log)
    return {text for id, text in re.findall(r"warning: (\w+): (unreasonable \S+ (?:map [a-z ]+ for|result) \S+)", log) if id in ids}


UNREASONABLE = ["virtual_loop", "virtual_too_deep", "virtual_too_broad", "virtual_too_long", "canonical_loop"]


@pytest.mark.parametrize("name", UNREASONABLE)
def test_unreasonable_maps_are_told_in_the_log(both, name):
    service, sender, rcpts, text = MESSAGES[name]
    source = "127.0.4.%d" % (UNREASONABLE.index(name) + 1)
    found = []
    for suite, ports in both:
        send(suite, ports[service], sender, rcpts, text, source)
        found.append(pombal.wait_for(lambda: warnings(suite, source)))
    assert found[0] == found[1]
