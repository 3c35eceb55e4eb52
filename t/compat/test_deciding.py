"""What smtpd decides beside Postfix's, in one running pair of suites: each case is a port of both with options of its own in
master.cf, and sessions whose replies and log lines are compared."""
import itertools, re, ssl

import pytest

import pombal
from dns_world import TOOLS, result_of
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs root and Debian's postfix")

HELLO = ["EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@example.test>"]
MESSAGE = ["DATA", "Subject: x\r\n\r\nhello\r\n."]
LIMITED = "smtpd_client_event_limit_exceptions="
VERIFY = ["smtpd_recipient_restrictions=reject_unverified_recipient,permit_mynetworks,reject", "address_verify_poll_delay=1s", "address_verify_poll_count=20"]
# name: options, sessions
CASES = {
    "connection rate": ([LIMITED, "smtpd_client_connection_rate_limit=2"], [["QUIT"], ["EHLO c.test", "QUIT"], ["QUIT"], ["QUIT"]]),
    "connection rate, exception": (["smtpd_client_connection_rate_limit=1"], [["QUIT"], ["EHLO c.test", "QUIT"], ["QUIT"]]),
    "message rate": ([LIMITED, "smtpd_client_message_rate_limit=2"],
                     [HELLO + ["RSET", "MAIL FROM:", "MAIL FROM:<a@x.test> FOO=1", "MAIL FROM:<a@x.test>", "MAIL FROM:<a@x.test>", "RCPT TO:<b@example.test>", "QUIT"], HELLO + ["QUIT"]]),
    "recipient rate": ([LIMITED, "smtpd_client_recipient_rate_limit=2"],
                       [HELLO + ["RCPT TO:", "RCPT TO:<b@elsewhere.test>", "RCPT TO:<c@example.test>", "RCPT TO:<d@example.test>"] + MESSAGE + ["QUIT"], HELLO + ["QUIT"]]),
    "auth rate": ([LIMITED, "smtpd_client_auth_rate_limit=2", "smtpd_sasl_auth_enable=no"], [["EHLO c.test", "AUTH", "AUTH X", "AUTH PLAIN", "AUTH PLAIN AGEAYg==", "QUIT"]]),
    "tls rate": ([LIMITED, "smtpd_client_new_tls_session_rate_limit=1"],
                 [["EHLO c.test", "STARTTLS", "EHLO c.test", "QUIT"], ["EHLO c.test", "STARTTLS", "EHLO c.test"], ["EHLO c.test", "STARTTLS", "NOOP", "QUIT"]]),
    "statistics": ([LIMITED, "smtpd_sasl_auth_enable=no"] + ["smtpd_client_%s_rate_limit=100" % what for what in ("message", "recipient", "new_tls_session", "auth")], []),
    "unverified recipient": (VERIFY, [["EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<good@example.test>", "RCPT TO:<x@never.test>", "RCPT TO:<x@later.test>",
                                       "RCPT TO:<x@never.test>", "RCPT TO:<postmaster>", "QUIT"]]),
    "unverified recipient, codes": (VERIFY + ["unverified_recipient_reject_code=550", "unverified_recipient_defer_code=451"],
                                    [["EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<y@never.test>", "RCPT TO:<y@later.test>", "QUIT"]]),
    "unverified recipient, reason": (VERIFY + ["unverified_recipient_reject_code=550", "unverified_recipient_reject_reason=not known there", "unverified_recipient_tempfail_action=defer"],
                                     [["EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<z@never.test>", "RCPT TO:<z@later.test>", "QUIT"]]),
    "unverified recipient, noted": (VERIFY + ["unverified_recipient_reject_code=250", "unverified_recipient_defer_code=250"],
                                    [["EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<w@never.test>", "RCPT TO:<w@later.test>", "QUIT"]]),
    "unverified sender": (["smtpd_sender_restrictions=reject_unverified_sender", "unverified_sender_reject_code=553"] + VERIFY[1:],
                          [["EHLO c.test", "MAIL FROM:<x@never.test>", "RCPT TO:<b@example.test>", "RSET", "MAIL FROM:<x@later.test>", "RCPT TO:<b@example.test>", "RSET",
                            "MAIL FROM:<good@example.test>", "RCPT TO:<b@example.test>", "RSET", "MAIL FROM:<>", "RCPT TO:<b@example.test>", "QUIT"]]),
    "unverified sender, at once": (["smtpd_sender_restrictions=reject_unverified_sender", "smtpd_delay_reject=no"] + VERIFY[1:],
                                   [["EHLO c.test", "MAIL FROM:<v@never.test>", "MAIL FROM:<v@later.test>", "RCPT TO:<b@example.test>", "QUIT"]]),
    "etrn": ([], [["EHLO c.test", "ETRN etrn.test", "ETRN a.etrn.test", "ETRN ETRN.test", "ETRN other.test", "ETRN [127.0.0.1]", "ETRN @etrn.test", "ETRN", "QUIT"]]),
    "etrn, restrictions": (["smtpd_etrn_restrictions=check_etrn_access inline:{ { etrn.test = REJECT not you } },permit_mynetworks,reject"],
                           [["EHLO c.test", "ETRN etrn.test", "ETRN a.etrn.test", "ETRN other.test", "MAIL FROM:<a@x.test>", "ETRN etrn.test", "QUIT"]]),
    "command filter": (["smtpd_command_filter=pcre:{ {/^FROB (.*)/ NOOP} {/^rcpt to:.*!/ RCPT TO:<b@example.test>} {/^MAIL (.*>)x/ MAIL $$1} }"],
                       [["EHLO c.test", "FROB x", "  frob y", "MAIL FROM:<a@x.test>x", "RCPT TO:<b!c>", "NOOP", "QUIT"]]),
    "command filter that fails": (["smtpd_command_filter=pcre:/nosuch"], [["EHLO c.test", "QUIT"]]),
    "reject footer": (["smtpd_reject_footer=For help at $server_name: $client_address and $$5\\nline two"],
                      [["EHLO c.test", "RCPT TO:<b@example.test>", "MAIL FROM:<a@x.test>", "RCPT TO:<x@never.test>", "RCPT TO:<b@example.test>", "FROB", "QUIT"]]),
    "reject footer, same line": (["smtpd_reject_footer=\\c. Ask ${server_name}", "smtpd_reject_footer_maps=pcre:{ {/^554 5.7.1/ only for this, $$$$server_name} }",
                                  "smtpd_recipient_restrictions=check_recipient_access inline:{ { no@example.test = REJECT } },permit_mynetworks,reject"],
                                 [["EHLO c.test", "RCPT TO:<b@example.test>", "MAIL FROM:<a@x.test>", "RCPT TO:<no@example.test>", "VRFY x", "QUIT"]]),
    "tempfail action": (["reject_tempfail_action=defer", "smtpd_recipient_restrictions=permit_mx_backup,permit_mynetworks,reject"],
                        [["EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@example.test>", "RCPT TO:<b@[127.0.0.1]>", "QUIT"]]),
    "several": ([LIMITED, "smtpd_client_connection_rate_limit=1", "smtpd_client_message_rate_limit=1", "smtpd_client_recipient_rate_limit=1"],
                [HELLO + ["RCPT TO:<c@example.test>", "RSET", "MAIL FROM:<>", "QUIT"], ["QUIT"]]),
}
# name: pairs of replies or log lines, ours and theirs, that are known to differ
DIFFERENT = {
    # ours has the reason
    "command filter that fails": [('postfix/smtpd: warning: pcre:/nosuch lookup error for "EHLO c.test": open /nosuch: No such file or directory',
                                   'postfix/smtpd: warning: pcre:/nosuch lookup error for "EHLO c.test"')],
    # Postfix hangs up before it has sent the reply
    "tls rate": [("421 4.7.0 mx.example.test Error: too many new TLS sessions from unknown[127.0.0.1]", "closed")],
}
SETTINGS = RECEIVING + """
local_recipient_maps =
mynetworks = 127.0.0.0/8
fast_flush_domains = etrn.test
smtpd_tls_security_level = may
smtpd_tls_cert_file = %s
smtpd_tls_key_file = $smtpd_tls_cert_file
smtpd_tls_session_cache_timeout = 0
smtpd_hard_error_limit = 100
transport_maps = inline:{ { never.test = error:5.1.1 nobody of that name }, { later.test = retry:4.2.2 come again } }
anvil_status_update_time = 1s
header_checks = pcre:{ {/^Subject: never/ REJECT not this} {/^Subject: later/ REJECT 4.7.0 not now} }
body_checks = pcre:{ {/^badword/ REJECT 5.7.9 a bad word} }
mime_nesting_limit = 1
message_reject_characters = \\001
hopcount_limit = 3
"""
# contents that cleanup refuses
REFUSED = ["Subject: never\r\n\r\nx", "Subject: later\r\n\r\nx", "Subject: x\r\n\r\nbadword", "Subject: x\r\n\r\na\1b\r\nc\1d", "Received: a\r\n" * 5 + "\r\nx",
           "MIME-Version: 1.0\r\n" + "".join("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(6)) + "\r\nx"]


def services(ports, chroot):
    return "".join("127.0.0.1:%d inet n - %s - - smtpd\n%s" % (port, chroot, "".join(" -o { %s }\n" % o.replace("=", " = ", 1) for o in options))
                   for port, (options, _) in zip(ports, CASES.values()))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """for each suite the ports of the cases, and its log"""
    where = tmp_path_factory.mktemp("deciding")
    pombal.os.chmod(where, 0o755)
    cert = str(where / "cert.pem")
    pombal.subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=server.test", "-keyout", cert,
                           "-out", str(where / "c.pem")], check=True, capture_output=True)
    open(cert, "a").write(open(where / "c.pem").read())
    free = lambda: [pombal.free_port() for _ in CASES]
    ours = pombal.Instance(main=SETTINGS % cert, master="".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()), start=False)
    mine = free()
    ours.add_master(services(mine, "y"))
    ours.start()
    theirs, other = started(lambda ports: RealPostfix(SETTINGS % cert, agents=RECEIVING_AGENTS, master=lambda where: services(ports, "n")), free)
    yield [(dict(zip(CASES, mine)), ours.log), (dict(zip(CASES, other)), theirs.log)]
    theirs.close()
    ours.close()


def talk(port, commands):
    raw = pombal.Raw(port)
    said = [raw.reply()]
    for command in commands:
        if said[-1] is None or (command.endswith(".") and "\n" in command and said[-1][:3] != "354"):
            continue
        said.append(raw.ask(command))
        if command == "STARTTLS" and said[-1][:3] == "220":
            raw.sock = ssl._create_unverified_context().wrap_socket(raw.sock)
    raw.close()
    return said


# What is each suite's own
MASKS = [(r"queued as \w+", "queued"), (r"(?m)^\w+ +\d+ [\d:]+ \S+ ", ""), (r"\[\d+\]: ", ": "), (r"127.0.0.1:\d+", "SERVICE"), (r"(?s)^250-mx.*", "ehlo"),
         (r"NOQUEUE|(: )[0-9A-F]{9,}", r"\1ID"), (r"\[127.0.0.1\]:\d+", "[127.0.0.1]")]


def masked(text):
    for pattern, to in MASKS:
        text = re.sub(pattern, to, text)
    return text


def logged(log, before):
    """what smtpd has decided and what it warns of"""
    return [masked(line) for line in log[before:].splitlines() if re.search(r"smtpd\[\d+\]: ((NOQUEUE|[0-9A-F]{6,}): (?!client=)|warning|disconnect)", line)]


def session(side, name, commands):
    before = len(side[1]())
    said = [masked(line or "closed") for line in talk(side[0][name], commands)]
    pombal.wait_for(lambda: "disconnect from" in side[1]()[before:])
    return said, logged(side[1](), before)


@pytest.mark.parametrize("name", CASES)
def test_replies_and_log_are_the_same(pair, name):
    for commands in CASES[name][1]:
        ours, theirs = [session(side, name, commands) for side in pair]
        both = list(itertools.zip_longest(ours[0] + [""] + ours[1], theirs[0] + [""] + theirs[1]))
        wrong = ["ours   %s\ntheirs %s\n" % p for p in both if p[0] != p[1] and p not in DIFFERENT.get(name, ())]
        assert wrong == [], "\n".join([""] + wrong)


def refusals(log, client):
    """of the content; MIME errors are logged without the protocol there, and hops without the client"""
    lines = [masked(line) for line in log.splitlines() if "rejected: hopcount" in line or (client in line and re.search("reject: (?!RCPT)", line))]
    return [re.sub(r"(mime-error .* to=<[^ ]*>) proto=.*", r"\1", line) for line in lines]


@pytest.mark.parametrize("n", range(len(REFUSED)))
def test_one_line_tells_what_content_was_refused(pair, n):
    """of cleanup, so that whoever counts refusals counts each once"""
    client, told = "127.0.6.%d" % (n + 1), []
    for ports, log in pair:
        before = len(log())
        raw = pombal.Raw(ports["etrn"], source=client)
        said = [raw.reply()] + [raw.ask(c) for c in HELLO + ["DATA", REFUSED[n] + "\r\n."]]
        raw.close()
        pombal.wait_for(lambda: "disconnect from unknown[%s]" % client in log()[before:])
        told.append((said[-1], refusals(log()[before:], client)))
    assert told[0] == told[1] and len(told[0][1]) == 1, told


STATISTICS = ["connection rate 2/60s", "connection count 1", "message rate 2/60s", "recipient rate 2/60s", "newtls rate 1/60s", "auth rate 1/60s", r"cache size \d+"]


def test_highest_rates_are_logged(pair):
    commands = HELLO + ["RCPT TO:<c@example.test>", "RSET", "MAIL FROM:<>", "RSET", "AUTH PLAIN AGEAYg==", "STARTTLS", "QUIT"]
    for ports, log in pair:
        before = len(log())
        talk(ports["statistics"], ["QUIT"])
        talk(ports["statistics"], commands)
        wanted = [r"(anvil|smtpd)\[\d+\]: statistics: max %s%s at [A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d\n" % (
            line, "" if line.startswith("cache") else r" for \(127.0.0.1:%d:127.0.0.1\)" % ports["statistics"]) for line in STATISTICS]
        missing = lambda: [w for w in wanted if not re.search(w, log()[before:])]
        pombal.wait_for(lambda: not missing())


@pytest.mark.skipif(not TOOLS, reason="needs knot and iproute2")
def test_the_same_domains_are_backed_up():
    replies = result_of("mx_backup_world.py")
    # Postfix shows no quotes; why a name is not found each resolver says in its own words.
    plain = lambda text: re.sub(r"(Unable to look up mail exchanger (information|host [^:]*)): .*", r"\1", text.replace('"', ""))
    wrong = ["%s\n   ours   %s\n   theirs %s" % (what, ours[2], theirs[2]) for what, ours, theirs in replies if plain(ours[2]) != plain(theirs[2])]
    assert not wrong, "\n".join([""] + wrong)
    permitted = [what.split("@")[1].split(".")[0] for what, ours, _ in replies if what.endswith("b.test") and ours[2].startswith("250 ")]
    assert "backup" in permitted and "foreign" not in permitted, permitted
