"""The receiving side: limits, timeouts, access actions, logins, TLS, and what is logged of them."""
import base64, hashlib, hmac, os, re, socket, ssl, subprocess, time

import pytest

import pombal
from dns import Dns

PORTS = {}
SERVICES = {
    "impatient": ["smtpd_timeout=1s"],
    "few": ["smtpd_client_connection_count_limit=2", "smtpd_client_event_limit_exceptions="],
    "strict": ["smtpd_forbid_bare_newline=reject", "smtpd_forbid_bare_newline_exclusions=", "mynetworks="],
    "slow": ["smtpd_soft_error_limit=2", "smtpd_error_sleep_time=1s"],
    "junk": ["smtpd_junk_command_limit=3", "smtpd_hard_error_limit=2"],
    "auth_only": ["smtpd_tls_auth_only=yes"],
    "owner": ["smtpd_sender_login_maps=inline:{{alice@example.test=alice@example.test}}", "mynetworks=",
              "smtpd_sender_restrictions=reject_sender_login_mismatch",
              "smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination"],
    "actions": ["smtpd_sender_restrictions=check_sender_access inline:{{hold@x.test=HOLD for a look} {gone@x.test=DISCARD} "
                "{filter@x.test=FILTER discard:x} {redirect@x.test=REDIRECT bob@example.test} {pre@x.test=PREPEND X-Pre: yes} "
                "{bcc@x.test=BCC bob@example.test}}"],
    "broken_tls": ["smtpd_tls_chain_files=", "smtpd_tls_cert_file=@WHERE@/gone.pem", "smtpd_tls_key_file=@WHERE@/gone.pem"],
    "lost_words": ["smtpd_discard_ehlo_keyword_address_maps=fail:x"],
    "wrapped": ["smtpd_tls_wrappermode=yes"],
    "wrapped_old": ["smtpd_tls_wrappermode=yes", "smtpd_tls_protocols=>=TLSv1"],
    "silent_auth": ["smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no", "smtpd_sasl_path=inet:127.0.0.1:@SILENT@", "smtpd_sasl_handshake_timeout=1s"],
    "enforced": ["smtpd_tls_security_level=encrypt", "smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no"],
    "whole": ["smtpd_per_request_deadline=yes", "smtpd_timeout=2s", "smtpd_min_data_rate=2000"],
    "by_packet": ["smtpd_per_request_deadline=no", "smtpd_timeout=2s"],
    "stressed": ["stress=yes", "smtpd_timeout=2s"],
    "handshake": ["smtpd_starttls_timeout=2s", "smtpd_tls_wrappermode=yes"],
    "many_prepends": ["message_size_limit=500000", "cleanup_service_name=cleanup-large", "smtpd_sender_restrictions=" + "check_sender_access $pre_table " * 60],
    "relay": ["mynetworks=", "smtpd_relay_restrictions=permit_mynetworks,permit_sasl_authenticated,reject_unauth_destination"],
}


@pytest.fixture(scope="module")
def suite():
    listener = socket.create_server(("127.0.0.1", 0))
    silent = str(listener.getsockname()[1])
    s = pombal.Instance(start=False, main="message_size_limit = 100000\nline_length_limit = 2048\n"
                        "pre_table = inline:{{pre@x.test=PREPEND X-Pre: %s}}\n" % ("y" * 4000))
    for name, options in SERVICES.items():
        PORTS[name] = pombal.free_port()
        s.add_master("127.0.0.1:%d inet n - n - - smtpd\n" % PORTS[name] +
                     "".join("    -o { %s = %s }\n" % tuple(o.replace("@WHERE@", s.dir).replace("@SILENT@", silent).split("=", 1)) for o in options))
    s.add_master("cleanup-large unix n - n - 0 cleanup\n    -o message_size_limit=500000\n")
    gone = s.dir + "/gone.pem"  # there for the check at start, and not when the service starts
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                    "-keyout", gone, "-out", gone + ".crt"], check=True, capture_output=True)
    open(gone, "a").write(open(gone + ".crt").read())
    s.start()
    os.unlink(gone)
    yield s
    s.close()
    listener.close()


def talk(suite, service=None, hello=True):
    raw = pombal.Raw(PORTS.get(service) or suite.port(service or "smtp"))
    assert raw.reply().startswith("220 ")
    if hello:
        assert raw.ask("EHLO client.test").startswith("250")
    return raw


def put(raw, sender="s@x.test", rcpt="alice@example.test", text="Subject: x\r\n\r\nx\r\n"):
    for command in ("MAIL FROM:<%s>" % sender, "RCPT TO:<%s>" % rcpt):
        assert raw.ask(command).startswith("250"), command
    assert raw.ask("DATA").startswith("354")
    raw.send(text + ".\r\n")
    reply = raw.reply()
    assert reply.startswith("250 2.0.0 Ok: queued as "), reply
    return reply.split()[-1]


def test_a_table_of_keywords_that_fails_gives_nothing_away(suite):
    """whether the client may log in or ask for reports is not known: later"""
    raw = pombal.Raw(PORTS["lost_words"])
    assert re.match(r"421 4\.3\.0 \S+ Server local data error$", raw.reply())
    assert raw.line() is None


# ---- limits

def test_timeout_says_421_and_is_logged(suite):
    raw = talk(suite, "impatient")
    assert raw.reply() == "421 4.4.2 mail.example.test Error: timeout exceeded"
    assert raw.line() is None
    suite.wait_log(r"timeout after EHLO from \S+\[127\.0\.0\.1\]$")


def test_timeout_inside_the_content(suite):
    raw = talk(suite, "impatient")
    raw.ask("MAIL FROM:<s@x.test>"), raw.ask("RCPT TO:<alice@example.test>"), raw.ask("DATA")
    raw.send("half\r\n")
    assert raw.reply().startswith("421 4.4.2")
    suite.wait_log(r"timeout after DATA \(6 bytes\) from ")


def test_lost_connection_is_logged_with_the_command(suite):
    raw = talk(suite)
    raw.ask("MAIL FROM:<s@x.test>")
    raw.close()
    suite.wait_log(r"lost connection after MAIL from \S+\[127\.0\.0\.1\]$")


def test_log_lines_that_administrators_look_for(make_suite):
    suite = make_suite(main="soft_bounce = yes\nlocal_recipient_maps =\nsmtpd_end_of_data_restrictions = check_sender_access inline:{no@x.test=reject}\n")
    raw = talk(suite, "smtp")
    with pytest.raises(AssertionError, match="454 4.7.1 "):
        put(raw, "no@x.test", "nobody@example.test")
    suite.wait_log(r"reject: END-OF-MESSAGE from \S+: 454 4\.7\.1 ")
    put(raw, "yes@x.test", "nobody@example.test")
    suite.wait_log(r"to=<nobody@example.test>, .*dsn=4\.1\.1, status=SOFTBOUNCE \(")
    suite.add_main("queue_minfree = 1125899906842624")
    suite.reload()
    pombal.wait_for(lambda: talk(suite, "smtp").ask("MAIL FROM:<yes@x.test>").startswith("452 4.3.1"))
    suite.wait_log(r"warning: not enough free space in mail queue: \d+ bytes and \d+ files, ")


def test_too_many_sessions_of_one_client(suite):
    first, second = talk(suite, "few"), talk(suite, "few")
    third = pombal.Raw(PORTS["few"])
    assert third.reply() == "421 4.7.0 mail.example.test Error: too many connections from 127.0.0.1"
    first.ask("QUIT")
    assert first.line() is None
    pombal.wait_for(lambda: pombal.Raw(PORTS["few"]).reply().startswith("220"))
    second.close()


def test_junk_commands_become_errors(suite):
    raw = talk(suite, "junk")
    replies = []
    for _ in range(8):
        replies.append(raw.ask("NOOP"))
        if replies[-1] is None or replies[-1].startswith("421"):
            break
    assert replies[-1] == "421 4.7.0 mail.example.test Error: too many errors"


def test_errors_slow_the_replies_down(suite):
    raw = talk(suite, "slow")
    raw.ask("FOO"), raw.ask("FOO")
    began = time.monotonic()
    raw.ask("FOO")
    assert time.monotonic() - began > 0.9
    raw.close()


def test_content_over_the_limit_is_552_and_the_session_goes_on(suite):
    raw = talk(suite)
    raw.ask("MAIL FROM:<s@x.test>"), raw.ask("RCPT TO:<alice@example.test>"), raw.ask("DATA")
    raw.send(("x" * 98 + "\r\n") * 1100 + ".\r\n")
    assert raw.reply() == "552 5.3.4 Error: message file too big"
    put(raw)
    raw.close()


def test_a_long_line_arrives_whole(suite):
    raw = talk(suite)
    queue_id = put(raw, text="Subject: long\r\n\r\n" + "y" * 60000 + "\r\n")
    raw.close()
    message = suite.wait_mail("alice", match="long")[0]
    assert message.get_payload().replace("\n ", "").replace("\n", "") == "y" * 60000
    assert queue_id


def test_many_recipients(suite):
    raw = talk(suite)
    raw.ask("MAIL FROM:<s@x.test>")
    raw.send("".join("RCPT TO:<alice+%d@example.test>\r\n" % i for i in range(1100)))
    replies = [raw.reply() for _ in range(1100)]
    assert replies.count("250 2.1.5 Ok") == 1000
    assert replies.count("452 4.5.3 Error: too many recipients") == 100
    raw.close()


# ---- order and framing

def test_pipelined_session_in_one_packet(suite):
    raw = talk(suite, hello=False)
    raw.send("EHLO x\r\n")
    assert raw.reply().startswith("250")
    raw.send("MAIL FROM:<s@x.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n")
    assert [raw.reply()[:3] for _ in range(4)] == ["250", "250", "550", "354"]
    raw.send("Subject: piped\r\n\r\nx\r\n.\r\nRSET\r\nQUIT\r\n")
    assert [raw.reply()[:3] for _ in range(3)] == ["250", "250", "221"]
    suite.wait_mail("alice", match="piped")


def test_talking_before_the_reply_to_data_ends_the_session(suite):
    raw = talk(suite)
    raw.send("MAIL FROM:<s@x.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: early\r\n\r\nx\r\n.\r\n")
    assert [raw.reply()[:3] for _ in range(2)] == ["250", "250"]
    assert raw.reply() == "554 5.5.0 Error: SMTP protocol synchronization"
    assert raw.line() is None
    suite.wait_log(r"improper command pipelining after DATA from \S+: Subject: early")


def test_bytes_one_by_one(suite):
    raw = talk(suite)
    for byte in b"MAIL FROM:<s@x.test>\r\nRCPT TO:<alice@example.test>\r\n":
        raw.send(bytes([byte]))
    assert [raw.reply()[:3] for _ in range(2)] == ["250"] * 2
    raw.ask("DATA")
    for byte in b"Subject: slow bytes\r\n\r\n..\r\nx\r\n.\r\n":
        raw.send(bytes([byte]))
    assert raw.reply().startswith("250")
    assert suite.wait_mail("alice", match="slow bytes")[0].get_payload() == ".\nx\n"
    raw.close()


def test_bare_lf_in_commands_is_accepted_by_default(suite):
    raw = talk(suite, hello=False)
    for command in ("EHLO x\n", "MAIL FROM:<s@x.test>\n"):
        raw.send(command)
        assert raw.reply().startswith("250")
    raw.close()


def test_bare_lf_is_refused_when_so_configured(suite):
    raw = talk(suite, "strict", hello=False)
    raw.send("EHLO x\n")
    assert raw.reply() == "550 5.5.2 mail.example.test Error: bare <LF> received"
    assert raw.line() is None
    raw = talk(suite, "strict")
    raw.ask("MAIL FROM:<s@x.test>"), raw.ask("RCPT TO:<alice@example.test>"), raw.ask("DATA")
    raw.send("Subject: x\r\n\r\na\nb\r\n.\r\n")
    assert raw.reply() == "550 5.5.2 mail.example.test Error: bare <LF> received"
    assert raw.line() is None


def test_http_is_shown_the_door(suite):
    raw = talk(suite, hello=False)
    assert raw.ask("GET / HTTP/1.1").startswith("221 2.7.0")
    assert raw.line() is None
    suite.wait_log(r"warning: non-SMTP command from \S+\[127\.0\.0\.1\]: GET / HTTP/1\.1$")


# ---- relaying and access actions

def test_strangers_cannot_relay(suite):
    raw = talk(suite, "relay")
    raw.ask("MAIL FROM:<s@x.test>")
    for rcpt in ("x@elsewhere.test", "x%elsewhere.test@example.test", "elsewhere.test!x@example.test", "@example.test:x@elsewhere.test",
                 "x@[10.1.2.3]", '"x@elsewhere.test"@example.test'):
        assert raw.ask("RCPT TO:<%s>" % rcpt)[:3] in ("554", "550"), rcpt
    raw.close()
    suite.wait_log(r"NOQUEUE: reject: RCPT from \S+\[127\.0\.0\.1\]: 554 5\.7\.1 <x@elsewhere\.test>: Relay access denied; "
                   r"from=<s@x\.test> to=<x@elsewhere\.test> proto=ESMTP helo=<client\.test>$")


def test_hold(suite):
    queue_id = put(talk(suite, "actions"), "hold@x.test")
    pombal.wait_for(lambda: os.path.exists("%s/hold/%s" % (suite.queue, queue_id)))
    suite.wait_log(r"NOQUEUE: hold: RCPT from \S+: <hold@x\.test>: Sender address for a look; from=<hold@x\.test>")
    suite.tool("postsuper", "-d", queue_id)


def test_discard(suite):
    queue_id = put(talk(suite, "actions"), "gone@x.test", text="Subject: thrown away\r\n\r\n")
    suite.wait_log(r"NOQUEUE: discard: RCPT from ")
    suite.wait_queue_empty()
    assert not [m for m in suite.messages("alice") if m["Subject"] == "thrown away"] and queue_id


def test_filter(suite):
    queue_id = put(talk(suite, "actions"), "filter@x.test")
    suite.wait_log(r"postfix/discard\[\d+\]: %s: to=<alice@example\.test>" % queue_id)


def test_redirect(suite):
    put(talk(suite, "actions"), "redirect@x.test", text="Subject: redirected\r\n\r\n")
    suite.wait_mail("bob", match="redirected")


def test_prepend(suite):
    put(talk(suite, "actions"), "pre@x.test", text="Subject: prepended\r\n\r\n")
    message = suite.wait_mail("alice", match="prepended")[0]
    assert message["X-Pre"] == "yes"
    names = message.keys()
    assert names.index("X-Pre") < names.index("Received")


def test_bcc_sends_one_more_copy(suite):
    put(talk(suite, "actions"), "bcc@x.test", text="Subject: copied\r\n\r\n")
    suite.wait_mail("alice", match="copied"), suite.wait_mail("bob", match="copied")
    suite.wait_log(r"NOQUEUE: bcc: RCPT from \S+: <bcc@x\.test>: Sender address triggers BCC bob@example\.test; from=<bcc@x\.test>")


def test_more_than_a_buffer_of_prepended_fields_arrives_whole(suite):
    put(talk(suite, "many_prepends"), "pre@x.test", text="Subject: much above\r\n\r\n")
    message = suite.wait_mail("alice", match="much above")[0]  # 240 KB of them
    assert [len(v) for v in message.get_all("X-Pre")] == [4000] * 60


# ---- time

def trickle(raw, data, pause=0.25, seconds=20):
    """sends it byte by byte; how long the server let us, or None if it took all"""
    begin = time.monotonic()
    raw.sock.settimeout(pause)
    for byte in data:
        if time.monotonic() - begin > seconds:
            break
        try:
            raw.sock.sendall(bytes([byte]))
            if not raw.sock.recv(4096):
                return time.monotonic() - begin
            return time.monotonic() - begin  # 421
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - begin
    return None


@pytest.mark.parametrize("service", ["whole", "stressed"])
def test_a_command_that_comes_in_drops_is_cut_off(suite, service):
    assert 1.5 < trickle(talk(suite, service), b"NOOP" + b"x" * 200)


def test_a_slow_command_is_taken_without_a_deadline(suite):
    assert trickle(talk(suite, "by_packet"), b"NOOP" + b"x" * 20) is None


def test_content_below_the_least_rate_is_cut_off_and_faster_content_is_not(suite):
    for rate, cut in ((40, True), (8000, False)):
        raw = talk(suite, "whole")
        for command in ("MAIL FROM:<s@x.test>", "RCPT TO:<alice@example.test>", "DATA"):
            raw.ask(command)
        begin, ended = time.monotonic(), False
        raw.sock.settimeout(0.5)
        while time.monotonic() - begin < 5 and not ended:
            try:
                raw.sock.sendall(b"x" * (rate // 2 - 2) + b"\r\n")
                raw.sock.recv(4096)
                ended = True
            except TimeoutError:
                pass
            except OSError:
                ended = True
        assert ended == cut, rate
        raw.close()


def test_a_tls_handshake_in_drops_is_cut_off(suite):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500
    assert 1.5 < trickle(pombal.Raw(PORTS["handshake"]), hello)


# ---- logging in

def plain(user, password):
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()


def test_auth_plain_login_cram(suite):
    raw = talk(suite, "submission")
    context = suite.tls_context()
    raw.ask("STARTTLS")
    raw.sock = context.wrap_socket(raw.sock, server_hostname="localhost")
    assert "AUTH " in raw.ask("EHLO x")
    assert raw.ask("AUTH PLAIN " + plain("alice", "wrong")).startswith("535 5.7.8 Error: authentication failed")
    assert raw.ask("AUTH LOGIN").startswith("334 ")
    assert raw.ask("*") == "501 5.7.0 Authentication aborted"
    assert raw.ask("AUTH PLAIN ===").startswith("5")
    assert raw.ask("AUTH FOO").startswith("535 5.7.8 Error: authentication failed: Invalid authentication mechanism")
    assert raw.ask("AUTH").startswith("501 5.5.4")
    challenge = raw.ask("AUTH CRAM-MD5")
    digest = hmac.new(b"secret", base64.b64decode(challenge[4:]), hashlib.md5).hexdigest()
    assert raw.ask(base64.b64encode(("alice " + digest).encode()).decode()) == "235 2.7.0 Authentication successful"
    assert raw.ask("AUTH PLAIN " + plain("alice", "secret")) == "503 5.5.1 Error: already authenticated"
    raw.close()
    warning = r"warning: \S+\[127\.0\.0\.1\]: SASL "  # Postfix's, with what it knows of the user
    suite.wait_log(warning + r"PLAIN authentication failed: .+, sasl_username=alice\S*$")
    suite.wait_log(warning + r"LOGIN authentication aborted$")
    suite.wait_log(warning + r"FOO authentication failed: Invalid authentication mechanism, sasl_username=\(unavailable\)$")


def test_each_thing_that_log_watchers_count_is_in_the_log(make_suite):
    suite = make_suite(main="smtpd_tls_auth_only = no\nsmtpd_client_connection_count_limit = 1\nsmtpd_client_event_limit_exceptions =\n")
    suite.wait_log("disconnect from ")  # of the fixture, which has looked whether somebody listens
    for n in (1, 2, 3):
        raw = talk(suite, "smtp")
        assert raw.ask("AUTH PLAIN " + plain("alice", "wrong")).startswith("535")
        assert pombal.Raw(suite.port("smtp")).reply().startswith("421 4.7.0")
        assert raw.ask("GET / HTTP/1.0").startswith("221")
        raw.close()
        pombal.wait_for(lambda: suite.log().count(" auth=0/1 ") == n)
    limit = "Connection concurrency limit exceeded: 2 from unknown[127.0.0.1] for service 127.0.0.1:%d" % suite.port("smtp")
    for text in ("unknown[127.0.0.1]: SASL PLAIN authentication failed: ", "non-SMTP command from unknown[127.0.0.1]: GET /", limit):
        assert suite.log().count("warning: " + text) == 3, text


def test_auth_is_hidden_without_tls_when_so_configured(suite):
    raw = talk(suite, "auth_only", hello=False)
    assert "AUTH" not in raw.ask("EHLO x")
    assert raw.ask("AUTH PLAIN " + plain("alice", "secret")).startswith("538 5.7.0")
    raw.close()


def test_an_authentication_service_that_hangs_does_not_keep_mail(suite):
    """long before smtpd_timeout, after which the client would have gone"""
    raw = talk(suite, "silent_auth", hello=False)
    assert "AUTH" not in raw.ask("EHLO client.test")
    suite.wait_log("warning: no mechanisms to offer: authentication service inet:127.0.0.1:[0-9]+ does not answer")
    assert raw.ask("AUTH PLAIN " + plain("alice", "secret")).startswith("454 4.7.0")
    put(raw)
    raw.close()


def test_sender_must_belong_to_the_login(suite):
    raw = talk(suite, "owner")
    raw.ask("MAIL FROM:<alice@example.test>")
    assert raw.ask("RCPT TO:<bob@example.test>") == "553 5.7.1 <alice@example.test>: Sender address rejected: not logged in"
    raw.ask("RSET")
    assert raw.ask("AUTH PLAIN " + plain("bob", "secret")).startswith("235")
    raw.ask("MAIL FROM:<alice@example.test>")
    assert raw.ask("RCPT TO:<bob@example.test>") == \
        "553 5.7.1 <alice@example.test>: Sender address rejected: not owned by user bob@example.test"
    raw.close()


def test_a_login_may_relay_and_stands_in_the_log(suite):
    raw = talk(suite, "relay")
    assert raw.ask("AUTH PLAIN " + plain("alice", "secret")).startswith("235")
    raw.ask("MAIL FROM:<alice@example.test>")
    assert raw.ask("RCPT TO:<x@elsewhere.test>").startswith("250")
    raw.ask("RSET")
    queue_id = put(raw, "alice@example.test", "bob@example.test", "Subject: logged in\r\n\r\n")
    raw.close()
    suite.wait_log(r"%s: client=\S+\[127\.0\.0\.1\], sasl_method=PLAIN, sasl_username=alice@example\.test$" % queue_id)
    assert "with ESMTPA id" in suite.wait_mail("bob", match="logged in")[0]["Received"]


def test_where_tls_is_required_no_password_is_taken_before_it(suite):
    raw = talk(suite, "enforced")
    assert "AUTH" not in raw.ask("EHLO x")
    assert raw.ask("AUTH PLAIN " + plain("alice", "secret")).startswith("530 5.7.0 Must issue a STARTTLS")
    raw.ask("STARTTLS")
    raw.sock = suite.tls_context().wrap_socket(raw.sock, server_hostname="localhost")
    assert "AUTH " in raw.ask("EHLO x")
    raw.close()


def start_is_refused(make_suite, main, words):
    suite = make_suite(main=main, start=False)
    r = suite.tool("pombal", "start", check=False)
    suite.stop()
    assert r.returncode and re.search(words, r.stderr), r.stderr


def test_cyrus_sasl_is_refused_with_what_to_do(make_suite):
    start_is_refused(make_suite, "smtpd_sasl_type = cyrus\nsmtpd_sasl_auth_enable = yes\n", "smtpd_sasl_type = cyrus is not supported: set .*private/auth")


@pytest.mark.parametrize("list_", ["permit, reject_unauth_destination", "permit_mynetworks, permit, reject", "warn_if_reject reject_unauth_destination",
                                   "warn_if_reject, reject", "open, permit", "permit_mynetworks"])
def test_smtpd_does_not_start_when_nothing_keeps_strangers_from_relaying(make_suite, list_):
    start_is_refused(make_suite, "smtpd_restriction_classes = open\nopen = permit_mynetworks, permit, reject\nsmtpd_relay_restrictions = %s\n"
                "smtpd_recipient_restrictions =\n" % list_, "specify at least one working instance")


# ---- TLS

def test_starttls_forgets_what_was_said_before(suite):
    raw = talk(suite)
    assert raw.ask("MAIL FROM:<s@x.test>").startswith("250")
    assert raw.ask("STARTTLS") == "220 2.0.0 Ready to start TLS"
    raw.sock = suite.tls_context().wrap_socket(raw.sock, server_hostname="localhost")
    assert raw.ask("RCPT TO:<alice@example.test>") == "503 5.5.1 Error: need MAIL command"
    assert "STARTTLS" not in raw.ask("EHLO x")
    assert raw.ask("STARTTLS") == "554 5.5.1 Error: TLS already active"
    put(raw, text="Subject: by tls\r\n\r\n")
    raw.close()
    assert "with ESMTPS id" in suite.wait_mail("alice", match="by tls")[0]["Received"]


def test_commands_behind_starttls_end_the_session(suite):
    raw = talk(suite)
    raw.send("STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n")
    assert raw.reply() == "554 5.5.0 Error: SMTP protocol synchronization"
    assert raw.line() is None


def test_unreadable_certificate_says_454_and_mail_flows_on(suite):
    raw = talk(suite, "broken_tls")
    assert raw.ask("STARTTLS") == "454 4.7.0 TLS not available due to local problem"
    put(raw)
    raw.close()
    suite.wait_log(r"TLS is not available: .*/gone.pem")


def test_tls_from_the_first_byte(suite):
    raw = pombal.Raw(PORTS["wrapped"], tls=suite.tls_context())
    assert raw.reply().startswith("220 ")
    assert "STARTTLS" not in raw.ask("EHLO x")
    raw.close()
    plain_client = pombal.Raw(PORTS["wrapped"])
    plain_client.send("EHLO x\r\n")
    assert not (plain_client.reply() or "").startswith("2")
    plain_client.close()


def greeted_with(port, context):
    """the session's TLS version and cipher; None: no handshake"""
    try:
        raw = pombal.Raw(port, tls=context)
    except (ssl.SSLError, ConnectionError):
        return None
    assert raw.reply().startswith("220 ")
    agreed = raw.sock.version(), raw.sock.cipher()[0]
    raw.close()
    return agreed


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_versions_that_the_parameter_allows_are_spoken(suite):
    """whatever level OpenSSL has by default; without the parameter none that RFC 8996 forbids"""
    old = suite.tls_context()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    assert greeted_with(PORTS["wrapped_old"], old)[0] == "TLSv1.1"
    assert greeted_with(PORTS["wrapped"], old) is None


def test_the_servers_order_of_ciphers_counts(suite):
    agreed = set()
    for wish in ("AES128-GCM-SHA256", "AES256-GCM-SHA384"), ("AES256-GCM-SHA384", "AES128-GCM-SHA256"):
        client = suite.tls_context()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        client.set_ciphers(":".join("ECDHE-%s-%s" % (key, cipher) for cipher in wish for key in ("ECDSA", "RSA")))
        agreed.add(greeted_with(PORTS["wrapped"], client))
    assert len(agreed) == 1 and None not in agreed, agreed


# ---- what goes into the queue

def test_dsn_parameters_reach_the_queue(suite):
    raw = talk(suite, "actions")
    assert raw.ask("MAIL FROM:<hold@x.test> RET=HDRS ENVID=a+2Bb BODY=8BITMIME").startswith("250")
    assert raw.ask("RCPT TO:<alice@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2By@z.test").startswith("250")
    raw.ask("DATA")
    raw.send("Subject: x\r\n\r\n.\r\n")
    queue_id = raw.reply().split()[-1]
    shown = suite.tool("postcat", "-q", queue_id).stdout
    for text in ("envelope_id=a+b", "ret_flags=2", "notify_flags=6", "dsn_orig_rcpt=rfc822;x+y@z.test", "encoding=8bit"):
        assert text in shown, text
    suite.tool("postsuper", "-d", queue_id)
    raw.close()


def test_half_a_queue_file_is_never_left(suite):
    raw = talk(suite)
    raw.ask("MAIL FROM:<s@x.test>"), raw.ask("RCPT TO:<alice@example.test>"), raw.ask("DATA")
    raw.send(("x" * 98 + "\r\n") * 900)  # more than is kept in memory before it goes on to cleanup
    raw.close()
    suite.wait_log(r"lost connection after DATA \(9\d\d\d\d bytes\) from ")
    pombal.wait_for(lambda: not os.listdir(suite.queue + "/incoming"))


# ---- names

@pytest.fixture
def world(make_suite):
    dns = Dns({"good.test": "@ MX 10 mx\nmx A 127.0.0.1\n", "null.test": "@ MX 0 .\n",
               "127.in-addr.arpa": "1.0.0 PTR mx.good.test.\n"})
    try:
        s = make_suite(main="dns_servers = %s\nsmtpd_peername_lookup = yes\nmynetworks =\n"
                       "smtpd_sender_restrictions = reject_unknown_sender_domain\n"
                       "smtpd_helo_restrictions = reject_unknown_helo_hostname\n"
                       "smtpd_client_restrictions = reject_unknown_client_hostname\n" % dns.server)
        yield dns, s
    finally:
        dns.close()


def test_restrictions_that_ask_the_dns(world):
    dns, suite = world
    raw = pombal.Raw(suite.port("smtp"))
    raw.reply()

    def rcpt(sender, helo="mx.good.test"):
        raw.ask("RSET"), raw.ask("EHLO " + helo), raw.ask("MAIL FROM:<%s>" % sender)
        return raw.ask("RCPT TO:<alice@example.test>")

    assert rcpt("a@good.test") == "250 2.1.5 Ok"
    assert rcpt("a@nowhere.good.test") == "450 4.1.8 <a@nowhere.good.test>: Sender address rejected: Domain not found"
    assert rcpt("a@null.test") == "550 5.7.27 <a@null.test>: Sender address rejected: Domain null.test does not accept mail (nullMX)"
    assert rcpt("a@good.test", "no.good.test") == "450 4.7.1 <no.good.test>: Helo command rejected: Host not found"
    dns.stop()
    assert rcpt("a@other.good.test").startswith("450 4")
    raw.close()
    suite.wait_log(r"connect from (mx\.good\.test|localhost)\[127\.0\.0\.1\]$")
