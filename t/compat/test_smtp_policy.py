"""check_policy_service beside Postfix: what a service is told at each stage, and what its answers do: reply and log."""
import re, socket, ssl

import pytest

import pombal
from auth_server import AuthServer, at_path
from dns_world import TOOLS, result_of
from policy_service import PolicyService, reply
from policy_world import HAVE as HAVE_SERVICES
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs root and Debian's postfix")

LISTS = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn"]
NEWER = ["compatibility_level", "mail_version"]                                                    # Postfix has them from 3.8 on
SESSION = ["EHLO a<b>.test", "MAIL FROM:<a@x.test> SIZE=77 BODY=8BITMIME", "RCPT TO:<b@example.test>", 'RCPT TO:<"c d"@example.test>', "DATA",
           "Subject: x\r\n\r\nhello\r\n.", "VRFY v@example.test", "ETRN example.test", "EHLO z.test", "MAIL FROM:<>", "RCPT TO:<postmaster>",
           "RCPT TO:<o+x@example.test>", "DATA", "x: y\r\n\r\nsecond\r\n.", 'MAIL FROM:<"q q"@x.test>', "RCPT TO:<a%b@localhost>", "VRFY w@example.test", "DATA",
           "\r\nthird\r\n.", "MAIL FROM:<z@z.test>", "RSET", "VRFY foo", 'MAIL FROM:<"a>b<@"@x.test>', 'RCPT TO:<"a=b\\"c"@example.test>', "RSET", "QUIT"]
ANSWERS = ["", "OK", "ok anything", "RELAY", "12345", "DUNNO", "dunno text", "REJECT", "REJECT no such luck", "reject 5.1.1 as of a recipient", "REJECT 4.7.0 x", "DEFER",
           "DEFER later", "DEFER 4.1.8 a", "DEFER_IF_PERMIT", "DEFER_IF_PERMIT 5.7.1 maybe", "DEFER_IF_REJECT not now", "450 4.7.1 code", "450", "550 no code",
           "550 5.1.8 a=b", "421 4.7.0 bye", "521 5.7.1 gone", "599 x", "600 x", "WARN careful", "INFO look", "HOLD", "HOLD on", "DISCARD", "DISCARD it",
           "FILTER smtp:[127.0.0.1]:9", "FILTER nothing", "REDIRECT r@example.test", "REDIRECT nobody", "BCC b@example.test", "BCC nobody",
           "PREPEND X-A: b", "PREPEND nothing", "reject_unlisted_sender", "permit", "reject", "defer_if_permit", "warn_if_reject reject",
           "nonsense", "reject, permit"]
# list, service with smtpd_delay_reject = no, the commands
STAGES = [("client", True), ("helo", True), ("sender", True), ("client", False), ("recipient", False), ("relay", False), ("data", False), ("end_of_data", False), ("etrn", False)]


def settings(port, cert):
    lists = "".join("smtpd_%s_restrictions = check_policy_service { inet:127.0.0.1:%d, policy_context=%s, timeout=2s }%s\n"
                    % (name, port, name, ", reject_unauth_destination" if name == "relay" else "") for name in LISTS)
    return RECEIVING + lists + """
local_recipient_maps =
mynetworks = 127.0.0.9
disable_vrfy_command = no
fast_flush_domains =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/sasl
smtpd_tls_security_level = may
smtpd_tls_cert_file = %s
smtpd_tls_key_file = $smtpd_tls_cert_file
smtpd_tls_ask_ccert = yes
smtpd_tls_CAfile = %s
smtpd_tls_fingerprint_digest = sha256
smtpd_hard_error_limit = 100
smtpd_delay_reject = yes
""" % (cert, cert)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """two suites, each with the port of smtpd, that of the one without smtpd_delay_reject, its own service and a function for its log"""
    where = tmp_path_factory.mktemp("policy")
    pombal.os.chmod(where, 0o755)
    cert = str(where / "cert.pem")
    pombal.subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=client\\+é.test", "-utf8", "-keyout", cert,
                           "-out", str(where / "c.pem")], check=True, capture_output=True)
    open(cert, "a").write(open(where / "c.pem").read())
    services = [PolicyService(), PolicyService()]
    ours = pombal.Instance(main=settings(services[0].port, cert), master="".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()), start=False)
    early = pombal.free_port()
    ours.add_master("127.0.0.1:%d inet n - y - - smtpd\n  -o smtpd_delay_reject=no\n" % early)
    ours.start()
    sasl = [AuthServer(at_path(ours.queue + "/private/sasl"))]
    theirs, (port, other) = started(
        lambda ports: RealPostfix(settings(services[1].port, cert), agents=RECEIVING_AGENTS,
                                  master=lambda where: "127.0.0.1:%d inet n - n - - smtpd\n127.0.0.1:%d inet n - n - - smtpd\n -o smtpd_delay_reject=no\n" % ports),
        lambda: (pombal.free_port(), pombal.free_port()))
    sasl.append(AuthServer(at_path(theirs.queue + "/private/sasl")))
    yield [(ours.port("smtp"), early, services[0], ours.log), (port, other, services[1], theirs.log), cert]
    theirs.close()
    ours.close()
    for s in services + sasl:
        s.close()


def talk(port, commands, tls=None):
    raw = pombal.Raw(port)
    said = [raw.reply()]
    for command in commands:
        if command == "STARTTLS":
            said.append(raw.ask(command))
            raw.sock = tls.wrap_socket(raw.sock)
        elif said[-1] is not None and not (command.endswith(".") and "\n" in command and said[-1][:3] != "354"):
            said.append(raw.ask(command.encode("latin-1")))
    raw.close()
    return said


def told(requests):
    """without what is each suite's own; instances are numbered as they come"""
    names, out = [""], []
    for request in requests:
        r = {k: v for k, v in request.items() if k not in NEWER + ["connection", "raw", "client_port", "server_port", "queue_id"]}
        if r["instance"] not in names:
            assert re.fullmatch(r"[0-9a-f]+\.[0-9a-f]+\.[0-9a-f]+\.%x" % (len(names) - 1), r["instance"])
            names.append(r["instance"])
        r["instance"] = names.index(r["instance"])
        out.append(r)
    return out


def differing(ours, theirs):
    short = [["%s %s %s %s" % (r["protocol_state"], r["policy_context"], r["sender"], r["recipient"]) for r in side] for side in (ours, theirs)]
    assert short[0] == short[1], "\n".join([""] + ["%-60s| %s" % pair for pair in zip(*short)])
    return [(i, name, mine[name], other[name]) for i, (mine, other) in enumerate(zip(ours, theirs)) for name in mine if mine[name] != other[name]]


@pytest.mark.parametrize("early", [0, 1])
def test_a_service_is_told_the_same_in_the_same_order(pair, early):
    requests = []
    for side in pair[:2]:
        side[2].take()
        talk(side[early], SESSION)
        requests.append(side[2].take())
    ours, theirs = requests
    assert {tuple(r)[:-2] for r in ours} == {tuple(r)[:-2] + tuple(NEWER) for r in theirs}
    assert differing(told(ours), told(theirs)) == []
    assert {r["protocol_state"] for r in ours} == {"RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN"} | ({"CONNECT", "EHLO", "MAIL"} if early else set())
    assert all(r["queue_id"] == "" and r["mail_version"].startswith("3.") and r["compatibility_level"] == "3.6" for r in ours)
    assert all(r["server_port"] == str(pair[0][early]) for r in ours) and len({r["client_port"] for r in ours}) == 1


def test_a_service_is_told_of_tls_and_login(pair):
    tls = ssl._create_unverified_context()
    tls.load_cert_chain(pair[2])
    requests = []
    for side in pair[:2]:
        side[2].take()
        talk(side[0], ["EHLO x.test", "STARTTLS", "EHLO x.test", "AUTH PLAIN AGphbmUAc2VjcmV0", "MAIL FROM:<a@x.test> AUTH=b+2Bc@y.test", "RCPT TO:<b@example.test>",
                       "RSET", "MAIL FROM:<a@x.test> AUTH=<>", "RCPT TO:<b@example.test>", "QUIT"], tls)
        requests.append(side[2].take())
    ours, theirs = map(told, requests)
    assert differing(ours, theirs) == []
    first = ours[0]
    assert first["sasl_username"] == "jane" and first["sasl_sender"] == "b+2Bc@y.test" and first["ccert_subject"] == "client+2B+C3+A9.test"
    assert first["encryption_keysize"] == "256" and len(first["ccert_fingerprint"]) == 95 != first["ccert_pubkey_fingerprint"]


COMMANDS = ["EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@example.test>", "RCPT TO:<c@example.test>", "DATA", "Subject: x\r\n\r\n.", "RSET",
            "ETRN example.test", "VRFY v@example.test", "QUIT"]
# What is each suite's own
MASKS = [(r"queued as \w+", "queued"), (r"(?m)^\w+ +\d+ [\d:]+ \S+ ", ""), (r"\[\d+\]: ", ": "), (r"[0-9A-F]{9,}", "QID"), (r"127.0.0.1:\d+", "SERVICE"),
         (r"^(250 Queuing started|459 .*)$", "etrn"), (r"(?s)^250-mx.*", "ehlo"), (r"NOQUEUE|QID:", "ID:"), (r"ID::", "ID:")]


# What the two say in other words, or only one of them: what is wrong with an entry; that a list goes on behind its end; Postfix's
# second line about ETRN
SAID_OTHERWISE = "warning: (access table .* (requires|wants|has empty|has an empty) |restriction .* is ignored|unknown smtpd|reject: ETRN)"


def masked(text):
    for pattern, to in MASKS:
        text = re.sub(pattern, to, text)
    return text


def logged(log, before):
    """what smtpd has decided and what it warns of"""
    return [masked(line) for line in log[before:].splitlines() if re.search(r"smtpd\[\d+\]: (NOQUEUE|[0-9A-F]+: (?!client=)|warning)", line)
            and not re.search(SAID_OTHERWISE, line)]


@pytest.mark.parametrize("stage, early", STAGES)
def test_answers_do_the_same(pair, stage, early):
    wrong = []
    for action in ANSWERS:
        both = []
        # Postfix remembers what the list would defer of the sender for a VRFY behind the message, too.
        commands = COMMANDS[:-2] + COMMANDS[-1:] if stage == "sender" else COMMANDS
        for side in pair[:2]:
            side[2].answer = lambda request: reply(action if request["policy_context"] == stage else "DUNNO")
            before = len(side[3]())
            said = [masked(line or "closed") for line in talk(side[1 if early else 0], commands)]
            pombal.wait_for(lambda: "disconnect from" in side[3]()[before:])
            both.append((said, logged(side[3](), before)))
        if both[0] != both[1]:
            wrong.append(action)
            (mine, my_log), (other, other_log) = both
            before = masked(pair[0][3]())                                                          # the same warning is not said again for a while
            wrong += ["   ours   %s\n   theirs %s" % both for both in zip(mine, other) if both[0] != both[1]]
            wrong += ["   ours   " + line for line in my_log if line not in other_log]
            wrong += ["   theirs " + line for line in other_log if line not in (before if "warning" in line else my_log)]
            if wrong[-1] == action:
                wrong.pop()
    assert not wrong, "\n".join([""] + wrong)


@pytest.mark.skipif(not TOOLS or not HAVE_SERVICES, reason="needs postgrey, policyd-spf, knot and iproute2")
def test_services_of_debian_do_the_same():
    replies = result_of("policy_world.py")
    assert [what for what, ours, theirs in replies if [line.replace("ESMTP", "") for line in ours[1:]] != [line.replace("ESMTP", "") for line in theirs[1:]]] == [], replies
    said = {what: ours for what, ours, _ in replies}
    assert said["spf pass"][2].startswith("250 ") and said["spf fail"][2].startswith("550 5.7.23 <spf@here.test>: Recipient address rejected: Message rejected due to: SPF fail")
    assert said["grey first"][2].startswith("450 4.2.0 <grey@here.test>: Recipient address rejected: Greylisted") and said["grey again"][2].startswith("250 ")
    assert any("X-Greylist: ..." in line for line in said["grey fields"]) and sum("Received-SPF: Pass" in line for line in said["spf fields"]) == 1
