"""One address, many spellings: whatever restriction looks at it, Postfix and Pombal give the same reply.

A table that forbids bob@example.test must not be evaded by "bob", "bob@example.test." or "example.test!bob"; one that lets
mail for example.test pass must not let x%elsewhere.test@example.test pass. One port for each list of restrictions."""
import base64

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started
from test_auth import Authd
from test_smtp import answers

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

COMMON = RECEIVING + """
relay_domains = relay.test
virtual_mailbox_domains = box.test
virtual_mailbox_maps = inline:{ u@box.test=u/ }
local_recipient_maps = inline:{ alice=x bob=x ceo=x }
mynetworks = 10.0.0.0/8
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_junk_command_limit = 1000
smtpd_client_connection_rate_limit = 0
smtpd_forbid_unauth_pipelining = no
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_security_options =
smtpd_tls_auth_only = no
smtpd_tls_security_level = none
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_sender_login_maps = inline:{ { alice@example.test=alice@example.test } { bob@example.test=bob@example.test } { @relay.test=bob@example.test }
    { ceo=bob@example.test,alice@example.test } }
smtpd_restriction_classes = c_permit
c_permit = permit
"""

# Each entry of a table has a text of its own, so that the reply tells which one was found.
SENDERS = "inline:{ { bad@ok.test=REJECT full } { evil.test=REJECT domain } { .evil.test=REJECT parent } { bob@=REJECT user } " \
          "{ alice+x@example.test=REJECT extended } { alice@example.test=REJECT bare } { <>=REJECT null } { box.test=OK } }"
RCPTS = "inline:{ { bob@example.test=REJECT full } { alice+x@example.test=REJECT extended } { alice@example.test=REJECT bare } { user@=REJECT user } " \
        "{ relay.test=REJECT domain } { .relay.test=REJECT parent } }"
LISTS = {
    "sender": ["smtpd_sender_restrictions=check_sender_access " + SENDERS],
    "sender_parents": ["smtpd_sender_restrictions=check_sender_access inline:{ { evil.test=REJECT } }", "parent_domain_matches_subdomains=smtpd_access_maps"],
    "sender_dot_only": ["smtpd_sender_restrictions=check_sender_access inline:{ { .evil.test=REJECT } { 1.2.3.4=REJECT } { .3.4=REJECT } }",
                        "parent_domain_matches_subdomains="],
    "sender_null": ["smtpd_sender_restrictions=check_sender_access inline:{ { nobody@here=REJECT } { <>=OK } }", "smtpd_null_access_lookup_key=nobody@here"],
    "sender_pattern": ["smtpd_sender_restrictions=check_sender_access regexp:DIR/patterns"],
    "sender_rcpt": ["smtpd_sender_restrictions=check_recipient_access " + RCPTS],
    "rcpt": ["smtpd_recipient_restrictions=check_recipient_access " + RCPTS],
    "rcpt_pattern": ["smtpd_recipient_restrictions=check_recipient_access regexp:DIR/patterns"],
    "rcpt_no_delimiter": ["recipient_delimiter=", "smtpd_recipient_restrictions=check_recipient_access " + RCPTS],
    "rcpt_ok": ["smtpd_relay_restrictions=check_recipient_access inline:{ { example.test=OK } { box.test=OK } { relay.test=OK } },reject_unauth_destination"],
    "rcpt_class": ["smtpd_relay_restrictions=check_recipient_access inline:{ { example.test=c_permit } { relay.test=permit } },reject_unauth_destination"],
    "rcpt_ok_sender": ["smtpd_relay_restrictions=check_sender_access inline:{ { example.test=OK } },reject_unauth_destination"],
    "rcpt_trusted": ["allow_untrusted_routing=yes",
                     "smtpd_relay_restrictions=check_recipient_access inline:{ { example.test=OK } },reject_unauth_destination"],
    "auth_destination": ["smtpd_relay_restrictions=permit_auth_destination,reject"],
    "unauth_destination": ["smtpd_relay_restrictions=reject_unauth_destination"],
    "unlisted_rcpt": ["smtpd_relay_restrictions=reject_unlisted_recipient,reject_unauth_destination"],
    "unlisted_sender": ["smtpd_sender_restrictions=reject_unlisted_sender"],
    "mismatch": ["smtpd_sender_restrictions=reject_sender_login_mismatch"],
    "known_mismatch": ["smtpd_sender_restrictions=reject_known_sender_login_mismatch"],
    "auth_mismatch": ["smtpd_sender_restrictions=reject_authenticated_sender_login_mismatch"],
    "unauth_mismatch": ["smtpd_sender_restrictions=reject_unauthenticated_sender_login_mismatch"],
    "helo": ["smtpd_helo_restrictions=check_helo_access inline:{ { evil.test=REJECT full } { .evil.test=REJECT parent } { [1.2.3.4]=REJECT literal } "
             "{ .3.4=REJECT numeric } { 1.2.3.5=REJECT address } }"],
    "helo_dots": ["parent_domain_matches_subdomains=", "smtpd_helo_restrictions=check_helo_access inline:{ { .test=REJECT } }"],
    "helo_parents": ["parent_domain_matches_subdomains=smtpd_access_maps", "smtpd_helo_restrictions=check_helo_access inline:{ { evil.test=REJECT } { 3.4=REJECT } }"],
    "no_auth": ["smtpd_discard_ehlo_keywords=auth"],
    "failing": ["smtpd_sender_restrictions=check_sender_access fail:x"],
}

SENDER = ["", "a@ok.test", "bad@ok.test", "bad@ok.test.", "bad%ok.test", "ok.test!bad", "bad", "BAD@OK.Test", "bad+x@ok.test", "bad+x@ok.test.", "a@evil.test", "a@evil.test.",
          "a%evil.test", "evil.test!a", "a@sub.evil.test", "a@sub.evil.test.", "a@x.sub.evil.test", "a@evil.test..", "x%evil.test@example.test",
          "evil.test!x@example.test", '"x@evil.test"@example.test', "bad%ok.test@localhost", "bob", "bob@any.test", "bob+y@any.test", "bob@example.test", "bob@example.test.",
          "bob%example.test", "example.test!bob", "bob@localhost", "bob@[127.0.0.1]", "bob@mx.example.test", "Bob@Example.Test", "alice", "alice+x",
          "alice+x@example.test", "alice+y@example.test", "alice+x@example.test.", "alice@example", "ceo", "ceo@example.test.", "nobody", "nobody@example.test.",
          "u@box.test", "u@box.test.", "none@box.test.", "box.test!u", "box.test!none", "any@relay.test.", "relay.test!any", "x@1.2.3.4", "x@[1.2.3.4]", "@a.test:bad@ok.test",
          "@a.test,@b.test:bob@example.test", '"bob"@example.test', '"bob+y"@example.test.', 'x%bob@example.test', "postmaster", "a!b!bob", "nobody@here"]
RCPT = ["bob@example.test", "bob@example.test.", "bob", "Bob@EXAMPLE.test", "bob%example.test", "example.test!bob", "bob%example.test@example.test",
        "example.test!bob@example.test", '"bob@example.test"@example.test', '"bob%example.test"@example.test', '"example.test!bob"@example.test', "bob+x", "bob+x@example.test.", "bob@localhost",
        "bob@[127.0.0.1]", "bob@mx.example.test", '"bob"@example.test', "@a.test:bob@example.test", "alice", "alice+x", "alice+y@example.test", "alice+x%example.test",
        "alice@example.test", "user@box.test", "user+z@box.test.", "user@example.test", "user", "box.test!user", "u@box.test", "box.test!u", "x@relay.test", "x@relay.test.", "x@sub.relay.test",
        "x%relay.test", "relay.test!x", "x%elsewhere.test@relay.test", "elsewhere.test!x@relay.test", '"x@elsewhere.test"@relay.test', "x@elsewhere.test", "x%elsewhere.test@example.test",
        "elsewhere.test!x@example.test", '"x@elsewhere.test"@example.test', '"x%elsewhere.test"@example.test', '"elsewhere.test!x"@example.test', "x%elsewhere.test@box.test",
        "x%elsewhere.test", "elsewhere.test!x", "@elsewhere.test:x@example.test", "@example.test:x@elsewhere.test", "x%elsewhere.test%example.test", "x%y%elsewhere.test@relay.test",
        '"q b"@example.test', '"q b"', "nobody@example.test.", "nobody"]
HELO = ["evil.test", "evil.test.", "EVIL.test", "sub.evil.test", "sub.evil.test.", ".evil.test", "evil.test..", "evil..test", "[1.2.3.4]", "1.2.3.4", "1.2.3.5", "1.2.3.5.",
        "5.1.2.3.4", "x.3.4", ".test", "..test", "a..test", ".evil..test", "[IPv6:1.2.3.4]", "evil.test]", "a.b.c.evil.test"]


def make_files(where):
    with open(where + "/patterns", "w") as f:
        f.write("/^bob@example\\.test$/ REJECT folded\n/^(Bob|BOB)@/i REJECT capital\n/^(.*)@evil\\.test$/ REJECT pattern $1\n/%|!/ REJECT routed\n")


def service_lines(ports, where, auth):
    for name, options in LISTS.items():
        yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name]
        for option in options + ["smtpd_sasl_path=" + auth]:
            yield "    -o { %s = %s }\n" % tuple(option.replace("DIR", where).split("=", 1))


@pytest.fixture(scope="module")
def both():
    def free_ports():
        return {name: pombal.free_port() for name in LISTS}

    ours_ports = free_ports()
    ours, theirs = pombal.Instance(start=False), None
    authd = Authd("alice@example.test:{PLAIN}secret:1000:1000::/nonexistent::\n")
    try:
        make_files(ours.dir)
        ours.add_main(COMMON)
        ours.add_master("".join(service_lines(ours_ports, ours.dir, "private/auth")))
        ours.start()
        theirs, theirs_ports = started(lambda ports: RealPostfix(COMMON, agents=RECEIVING_AGENTS, prepare=make_files,
                                                                 master=lambda where: service_lines(ports, where, authd.auth)), free_ports)
        pombal.wait_for(lambda: answers(ours_ports["rcpt"]) and answers(theirs_ports["rcpt"]))
        yield ours_ports, theirs_ports
    finally:
        if theirs:
            theirs.close()
        authd.close()
        ours.close()


def sessions(name):
    """the commands of each"""
    if name.startswith("helo"):
        return [sum([["HELO " + h, "MAIL FROM:<s@ok.test>", "RCPT TO:<alice@example.test>", "RSET"] for h in HELO], [])]
    if name.startswith(("rcpt", "auth_dest", "unauth_dest", "unlisted_rcpt", "sender_rcpt")):
        return [["EHLO x", "MAIL FROM:<s@ok.test>"] + ["RCPT TO:<%s>" % a for a in RCPT] + ["VRFY <%s>" % a for a in RCPT]]
    senders = sum([["MAIL FROM:<%s>" % a, "RCPT TO:<alice>", "RCPT TO:<x@elsewhere.test>", "RSET"] for a in SENDER], [])
    login = ["AUTH PLAIN " + base64.b64encode(b"\0alice@example.test\0secret").decode()]
    return [["EHLO x"] + senders, ["EHLO x"] + login + senders] if "mismatch" in name else [["EHLO x"] + senders]


def play(port, commands):
    """all at once, for speed"""
    raw = pombal.Raw(port)
    raw.reply()
    raw.send("".join(c + "\r\n" for c in commands))
    said = [raw.reply() for _ in commands]
    raw.close()
    return [text.replace('"', "") for text in said]  # Postfix leaves out the quotes of a local part


@pytest.mark.parametrize("name", sorted(set(LISTS) - {"no_auth"}))
def test_every_spelling_has_the_same_reply(both, name):
    ours, theirs = both
    wrong = []
    for commands in sessions(name):
        got, want = play(ours[name], commands), play(theirs[name], commands)
        about = ""
        for command, g, w in zip(commands, got, want):
            about = command if command.startswith(("MAIL", "HELO")) else about
            if g != w and not command.startswith("EHLO"):
                wrong.append("%s, %s\n   ours   %s\n   theirs %s" % (about, command, g, w))
    assert not wrong, "\n".join([""] + wrong)


def test_a_login_that_is_not_announced_is_refused(both):
    commands = ["EHLO x", "AUTH PLAIN " + base64.b64encode(b"\0alice@example.test\0secret").decode(), "AUTH", "MAIL FROM:<s@ok.test> AUTH=<>"]
    got, want = [play(ports["no_auth"], commands) for ports in both]
    assert got[1:] == want[1:] and got[1].startswith("503 5.5.1"), (got, want)
