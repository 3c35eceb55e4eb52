"""The SMTP and LMTP client against servers that are told what to answer."""
import os, re, shutil, socket, ssl, subprocess, threading, time

import pytest

import pombal
from sink import Sink

MASTER = """lmtp unix - - n - - lmtp
slow unix - - n - - smtp
  -o smtp_helo_timeout=1s
  -o smtp_data_done_timeout=1s
secure unix - - n - - smtp
  -o smtp_tls_security_level=verify
  -o smtp_tls_CAfile=%(ca)s
  -o smtp_tls_loglevel=1
renewed unix - - n - - smtp
  -o smtp_tls_security_level=verify
  -o smtp_tls_CAfile=%(ca)s.2
must unix - - n - - smtp
  -o smtp_tls_security_level=encrypt
login unix - - n - - smtp
  -o smtp_sasl_auth_enable=yes
  -o smtp_sasl_security_options=noanonymous
  -o smtp_sasl_password_maps=inline:{{127.0.0.1=user:pass:word}}
plainless unix - - n - - smtp
  -o smtp_sasl_auth_enable=yes
  -o smtp_sasl_password_maps=inline:{{127.0.0.1=user:pass:word}}
short unix - - n - - smtp
  -o smtp_line_length_limit=50
away unix - - n - - smtp
  -o smtp_bind_address=192.0.2.99
faithful unix - - n - - smtp
  -o smtp_bind_address=192.0.2.99
  -o smtp_bind_address_enforce=yes
may unix - - n - - smtp
  -o smtp_tls_security_level=may
policy unix - - n - - smtp
  -o smtp_tls_policy_maps=texthash:%(policies)s
"""


SLOTS = 80
TRANSPORTS = ("smtp", "lmtp", "slow", "secure", "renewed", "must", "login", "plainless", "short", "may", "policy", "away", "faithful")


@pytest.fixture(scope="module")
def suite():
    """domains N-TRANSPORT.test go to port N of the list; N-two.test to it and the next one; N-unix.test over LMTP"""
    s = pombal.Instance(start=False, main="minimal_backoff_time = 300s\nqueue_run_delay = 300s\n"
                        "transport_maps = texthash:$config_directory/transport\n")
    s.ports, s.next = [pombal.free_port() for _ in range(SLOTS)], 0
    lines = ["nosuch.test smtp:[nosuch.invalid]:25"]
    for n, port in enumerate(s.ports):
        lines += ["n%d-%s.test %s:[%s]:%d" % (n, t, t, "localhost" if t in ("secure", "renewed") else "127.0.0.1", port) for t in TRANSPORTS]
        lines += ["n%d-two.test smtp:[127.0.0.1]:%d, [127.0.0.1]:%d" % (n, port, s.ports[(n + 1) % SLOTS]),
                  "n%d-unix.test lmtp:unix:private/test-lmtp" % n, "n%d-long.test lmtp:unix:private/test-long" % n]
    s.write("etc/transport", "\n".join(lines) + "\n")
    s.add_main("relay_domains = regexp:%s\n" % s.write("etc/relay", "/\\.test$/ yes\n"))
    s.add_master(MASTER % {"ca": s.dir + "/ca.pem", "policies": s.write("etc/policies", "# none yet\n")})
    shutil.copy(s.dir + "/ca.pem", s.dir + "/ca.pem.2")
    s.start()
    s.write("etc/policies", "127.0.0.1 may exclude=%s\n" % ("MD5:" * 300))  # with which it would not start
    yield s
    s.close()


class Route:
    def __init__(self, suite, slot, transport="smtp", domain=None):
        self.suite, self.domain = suite, domain or "n%d-%s.test" % (slot, transport)

    def send(self, *users, **kw):
        return self.suite.send([u + "@" + self.domain for u in users], sender=kw.pop("sender", "alice@example.test"), **kw)

    def wait(self, user, rest):
        return self.suite.wait_log(r"[sl]mtp\[\d+\]: \w+: to=<%s@%s>, %s" % (user, re.escape(self.domain), rest), seconds=20)[0].group(0)


@pytest.fixture
def sink(suite):
    made = []

    def make(**kw):
        if "path" not in kw:
            kw["port"] = suite.ports[suite.next]
        made.append(Sink(**kw))
        made[-1].slot = suite.next
        suite.next += 1
        return made[-1]
    yield make
    for s in made:
        s.close()


def free_slot(suite):
    suite.next += 1
    return suite.next - 1


def route_to(suite, s, transport="smtp"):
    return Route(suite, s.slot, transport)


def test_sent_with_pipelining_in_one_packet(suite, sink):
    s = sink()
    r = route_to(suite, s)
    r.send("a", "b", subject="pipelined", body=".\n..x\nend\n")
    line = r.wait("a", "")
    assert re.search(r"relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2\.0\.0, "
                     r"status=sent \(250 2\.0\.0 Ok: queued as SINK1\)$" % s.port, suite.wait_log(r"to=<a@%s>.*" % r.domain)[0].group(0)), line
    r.wait("b", r"relay=.*status=sent")
    assert len(s.messages) == 1 and s.messages[0].endswith(b"\n.\n..x\nend")
    burst = [b for b in s.bursts if b.startswith(b"MAIL")][0]
    assert re.match(rb"MAIL FROM:<alice@example\.test> SIZE=\d+\r\nRCPT TO:<a@.*>\r\nRCPT TO:<b@.*>\r\nDATA\r\n$", burst)


def test_without_extensions_one_command_at_a_time(suite, sink):
    s = sink(replies={"EHLO": "500 what?"})
    r = route_to(suite, s)
    r.send("a")
    r.wait("a", r".*dsn=2\.0\.0, status=sent")
    assert [c.split(" ")[0] for c in s.commands][:5] == ["EHLO", "HELO", "MAIL", "RCPT", "DATA"]
    assert not any(b"\r\nRCPT" in b for b in s.bursts)
    assert s.commands[2] == "MAIL FROM:<alice@example.test>"


def test_each_recipient_has_its_own_fate(suite, sink):
    s = sink(replies={"RCPT TO:<no@": "550 5.1.1 <no>: unknown", "RCPT TO:<later@": "450 4.2.1 later"})
    home = sink()
    back = route_to(suite, home)
    r = route_to(suite, s)
    r.send("yes", "no", "later", subject="fates", sender="alice@" + back.domain)
    r.wait("yes", r".*status=sent")
    r.wait("no", r".*dsn=5\.1\.1, status=bounced \(host 127\.0\.0\.1\[127\.0\.0\.1\] said: 550 5\.1\.1 <no>: unknown "
                 r"\(in reply to RCPT TO command\)\)")
    r.wait("later", r".*dsn=4\.2\.1, status=deferred \(host .* said: 450 4\.2\.1 later \(in reply to RCPT TO command\)\)")
    pombal.wait_for(lambda: home.messages)
    assert b"Remote-MTA: dns; 127.0.0.1" in home.messages[0] and b"Diagnostic-Code: smtp; 550 5.1.1 <no>: unknown" in home.messages[0]


def test_all_recipients_refused_ends_the_transaction_cleanly(suite, sink):
    s = sink(replies={"RCPT": ["550 no", "550 no", "250 ok"], "DATA": ["354 go on", "354 go on"]})
    r = route_to(suite, s)
    r.send("a", "b")
    r.wait("a", r".*dsn=5\.0\.0, status=bounced")
    r.wait("b", r".*dsn=5\.0\.0, status=bounced")
    assert s.messages == []
    r.send("c")
    r.wait("c", r".*status=sent")
    assert len(s.messages) == 1


def test_refused_sender_and_content(suite, sink):
    for stage, reply, code, status, said in (
            ("MAIL", "550 5.7.1 go away", r"5\.7\.1", "bounced", "MAIL FROM"),
            ("MAIL", "451 4.7.1 greylisted", r"4\.7\.1", "deferred", "MAIL FROM"),
            ("DATA", "550 5.7.2 no data", r"5\.7\.2", "bounced", "DATA"),
            (".", "554 5.7.3 spam", r"5\.7\.3", "bounced", "end of DATA"),
            (".", "452 4.3.1 disk full", r"4\.3\.1", "deferred", "end of DATA")):
        s = sink(replies={stage: reply})
        r = route_to(suite, s)
        r.send("a", "b")
        for user in "ab":
            r.wait(user, r".*dsn=%s, status=%s \(host \S+ said: %s \(in reply to %s command\)\)" % (code, status, reply, said))


@pytest.mark.parametrize("greeting,dsn,text", [
    ("554 5.3.2 closed", r"4\.3\.2", r"host \S+ refused to talk to me: 554 5\.3\.2 closed"),
    ("421 busy", r"4\.0\.0", r"host \S+ refused to talk to me: 421 busy"),
    ("close", r"4\.4\.2", r"lost connection with \S+ while receiving the initial server greeting"),
    ("silent", r"4\.4\.2", r"conversation with \S+ timed out while receiving the initial server greeting"),
    ("hello?", r"4\.4\.2", r"lost connection with \S+ while receiving the initial server greeting"),
    ("120 wait", r"4\.5\.0", r"host \S+ sent a malformed reply"),
])
def test_servers_that_do_not_want_to_talk(suite, sink, greeting, dsn, text):
    s = sink(greeting=greeting)
    r = route_to(suite, s, "slow")
    r.send("a")
    r.wait("a", r"relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*dsn=%s, status=deferred \(%s" % (s.port, dsn, text))


def test_a_long_reply_is_cut_and_not_dropped(suite, sink):
    s = sink(replies={"RCPT": "550 5.1.1 no such user" + " at all" * 3000})
    r = route_to(suite, s)
    r.send("a")
    r.wait("a", r".*dsn=5\.1\.1, status=bounced \(host \S+ said: 550 5\.1\.1 no such user at all at all")


@pytest.mark.skipif(not pombal.IS_ROOT, reason="local needs root")
def test_an_address_that_is_too_long_becomes_no_other():
    s = Sink()
    suite = pombal.Instance(start=False, main="default_transport = smtp:[127.0.0.1]:%d\nrelay_domains = far.test\nrelay_transport = "
                            "$default_transport\nalias_maps = texthash:$config_directory/aliases\nmydestination = local.test\n" % s.port)
    try:
        suite.write("etc/aliases", "long %s@far.test\n" % ("a" * 4200))
        suite.start()
        suite.tool("sendmail", "-i", "-f", "<>", "long@local.test", "b@far.test", input="Subject: x\n\n")
        suite.wait_log(r"to=<a{400}.*dsn=5\.1\.3, status=bounced \(the recipient address is too long\)")
        suite.wait_log(r"to=<b@far\.test>.*dsn=2\.0\.0, status=sent")
        assert [c for c in s.commands if c.startswith("RCPT")] == ["RCPT TO:<b@far.test>"]
    finally:
        suite.close()
        s.close()


@pytest.mark.parametrize("piece", [b"x" * 65536, b"220-go on\r\n" * 6000])
def test_an_endless_reply_is_not_read_to_its_end(suite, piece):
    slot, sent = free_slot(suite), []

    def serve(listener):
        client, _ = listener.accept()
        with client:
            client.sendall(b"220-")
            try:
                while sum(sent) < 1 << 30:
                    sent.append(client.send(piece))
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", suite.ports[slot])) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        r = Route(suite, slot)
        r.send("a")
        r.wait("a", r".*dsn=4\.5\.0, status=deferred \(host \S+ sent an over-long reply while receiving the initial")
        server.join(20)
    assert not server.is_alive() and sum(sent) < 64 << 20  # what the kernel's buffers hold, not what time allows


@pytest.mark.parametrize("stage,text", [
    ("EHLO", "performing the EHLO handshake"), ("MAIL", "sending MAIL FROM"), ("RCPT", "sending RCPT TO"),
    ("DATA", "sending DATA command"), (".", "sending end of data -- message may be sent more than once")])
def test_lost_connections_defer(suite, sink, stage, text):
    s = sink(replies={stage: "close"})
    r = route_to(suite, s)
    r.send("a")
    line = r.wait("a", r".*dsn=4\.4\.2, status=deferred \(lost connection with \S+ while %s\)" % text)
    assert "conn_use" not in line  # it was the first delivery there


def test_silence_after_the_content_defers(suite, sink):
    s, over = sink(), threading.Event()
    s.pick_old = s.pick
    r = route_to(suite, s, "slow")
    s.pick = lambda line: (over.wait(60), "250 late")[1] if line.startswith(".") else s.pick_old(line)
    r.send("a")
    r.wait("a", r".*dsn=4\.4\.2, status=deferred \(conversation with \S+ timed out while sending end of data")
    over.set()


def test_nobody_there(suite):
    slot = free_slot(suite)
    port = suite.ports[slot]
    r = Route(suite, slot)
    r.send("a")
    r.wait("a", r"relay=none, .*dsn=4\.4\.1, status=deferred \(connect to 127\.0\.0\.1\[127\.0\.0\.1\]:%d: Connection refused\)" % port)


def test_an_address_that_this_host_does_not_have_is_not_waited_for(suite, sink):
    s = sink()
    r = route_to(suite, s, "away")
    r.send("a")
    r.wait("a", r".*status=sent")
    suite.wait_log(r"warning: smtp_connect_addr: bind 192\.0\.2\.99.*: Cannot assign requested address")


def test_an_address_that_is_insisted_on_is_waited_for(suite, sink):
    s = sink()
    r = route_to(suite, s, "faithful")
    r.send("a")
    r.wait("a", r".*status=deferred \(connect to \S+: Cannot assign requested address\)")
    assert s.messages == []


def test_no_such_host(suite):
    r = Route(suite, 0, domain="nosuch.test")
    r.send("a")
    r.wait("a", r"relay=none, .*dsn=5\.4\.4, status=bounced \(Host or domain name not found")


def test_next_destination_is_tried(suite, sink):
    slot = free_slot(suite)
    s = sink()
    r = Route(suite, slot, "two")
    r.send("a")
    r.wait("a", r"relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % s.port)


def test_temporary_refusal_goes_to_the_next_destination(suite, sink):
    first, second = sink(replies={"RCPT TO:<a@": "450 4.2.0 not me"}), sink()
    r = Route(suite, first.slot, "two")
    r.send("a", "b")
    r.wait("a", r"relay=\S+:%d, .*status=sent" % second.port)
    r.wait("b", r"relay=\S+:%d, .*status=sent" % first.port)


def test_connection_is_used_again(suite, sink):
    s = sink()
    r = route_to(suite, s)
    for i in range(3):
        r.send("u%d" % i)
        r.wait("u%d" % i, r".*status=sent")
    r.wait("u2", r".*conn_use=3, ")
    assert s.connections == 1


def test_idle_connection_that_died_is_replaced(suite, sink):
    s = sink(replies={"MAIL": ["250 ok", "close", "250 ok"]})
    r = route_to(suite, s)
    r.send("a")
    r.wait("a", r".*status=sent")
    r.send("b")
    r.wait("b", r".*status=sent")
    assert s.connections == 2
    assert not re.search(r"lost connection with 127.0.0.1\[127.0.0.1\] while sending MAIL FROM.*%s" % r.domain, suite.log())


class Talker(Sink):
    def serve(self, client):
        self.client = client
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is said is there at once
        super().serve(client)


@pytest.mark.parametrize("ehlo", [["PIPELINING"], []])
def test_what_a_server_says_unasked_is_no_reply_to_the_next_message(suite, ehlo):
    """all its replies would be taken for those of the commands behind: the refusal of one recipient for another's"""
    slot = free_slot(suite)
    s = Talker({"RCPT TO:<bad": "550 5.1.1 no such user"}, ehlo=ehlo, port=suite.ports[slot])
    try:
        r = Route(suite, slot)
        r.send("a")
        r.wait("a", r".*status=sent")
        s.client.sendall(b"250 2.0.0 Ok once more\r\n")
        r.send("bad", "good")
        r.wait("bad", r".*dsn=5\.1\.1, status=bounced")
        r.wait("good", r".*status=sent")
        assert s.connections == 2 and len(s.messages) == 2
    finally:
        s.close()


@pytest.mark.parametrize("stage, replies, greeting", [
    ("performing the EHLO handshake", {}, "220 sink.test ESMTP\n220 sink.test ESMTP"),
    ("sending MAIL FROM", {"EHLO": "250-sink.test\n250 PIPELINING\n250 PIPELINING"}, "220 sink.test ESMTP"),
])
def test_a_reply_before_its_command_defers(suite, sink, stage, replies, greeting):
    s = sink(replies=dict(replies, **{"RCPT TO:<bad": "550 5.1.1 no such user"}), greeting=greeting)
    r = route_to(suite, s)
    r.send("bad", "good")
    for user in ("bad", "good"):
        r.wait(user, r".*dsn=4\.5\.0, status=deferred \(host 127\.0\.0\.1\[127\.0\.0\.1\] sent an unasked reply while %s: 2" % stage)


def test_an_unasked_reply_may_fill_the_buffer(suite, sink):
    """the largest one, up to its last byte, with digits"""
    path = suite.queue + "/private/test-long"                    # of its own: its message is tried again when nobody listens any more
    long = ["250-X" + "a" * 993] * 61 + ["250-X" + "a" * 433]  # what is read with less room
    assert sum(len(line) + 2 for line in long) == (4 + 8 + 16 + 32) * 1024
    s = sink(lmtp=True, path=path, replies={"LHLO": "\n".join(long + ["250 OK", "1" * 70000])})
    os.chmod(path, 0o666)
    r = Route(suite, s.slot, "long")
    r.send("a")
    r.wait("a", r".*dsn=4\.5\.0, status=deferred \(host \S+\[private/test-long\] sent an unasked reply while sending MAIL FROM: 1")
    s.close()
    os.unlink(path)


def test_idle_connection_is_ended_with_quit(suite, sink):
    s = sink()
    r = route_to(suite, s)
    r.send("a")
    r.wait("a", r".*status=sent")
    pombal.wait_for(lambda: "QUIT" in s.commands, 10)


def test_too_large_for_the_server(suite, sink):
    s = sink(ehlo=["SIZE 500"])
    r = route_to(suite, s)
    r.send("a", body="x" * 70 + "\n" + "y" * 500 + "\n")
    r.wait("a", r".*dsn=5\.3\.4, status=bounced \(message size \d+ exceeds size limit 500 of server ")


def test_dsn_is_passed_on(suite, sink):
    s = sink(ehlo=["DSN", "PIPELINING"])
    r = route_to(suite, s)
    with suite.smtp() as c:
        c.ehlo()
        c.mail("alice@example.test", ["RET=HDRS", "ENVID=QQ314159"])
        c.rcpt("a@" + r.domain, ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;orig@x.test"])
        c.data("Subject: x\r\n\r\nx\r\n")
    r.wait("a", r".*status=sent")
    assert any(c.startswith("MAIL") and "ENVID=QQ314159" in c and "RET=HDRS" in c for c in s.commands)
    assert any("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;orig@x.test" in c for c in s.commands)


def test_long_lines_are_folded_and_many_recipients_fit(suite, sink):
    s = sink()
    r = route_to(suite, s, "short")
    users = ["recipient-with-a-long-name-%03d" % i for i in range(120)]
    r.send(*users, body="z" * 120 + "\n")
    for u in (users[0], users[-1]):
        r.wait(u, r".*status=sent")
    assert b"z" * 50 + b"\n " + b"z" * 49 + b"\n " + b"z" * 21 in s.messages[0]
    assert len([c for c in s.commands if c.startswith("RCPT")]) == 120


@pytest.fixture
def tls(suite):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    text = open(suite.etc + "/main.cf").read()
    names = {n: re.search(r"^smtpd_tls_%s_file *= *(\S+)" % n, text, re.M) for n in ("cert", "key")}
    path = {n: m.group(1).replace("$config_directory", suite.etc) for n, m in names.items() if m}
    context.load_cert_chain(path["cert"], path.get("key"))
    return context


def test_tls_with_a_verified_certificate(suite, sink, tls):
    s = sink(tls=tls)
    r = Route(suite, s.slot, "secure")
    r.send("a")
    r.wait("a", r".*status=sent")
    suite.wait_log(r"Verified TLS connection established to localhost\[127\.0\.0\.1\]:%d: TLSv1\.3 with cipher TLS_AES_256_GCM_SHA384 "
                   r"\(256/256 bits\) key-exchange \S+ server-signature" % s.port)
    assert [c.split(" ")[0] for c in s.commands][:3] == ["EHLO", "STARTTLS", "EHLO"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_a_server_with_an_old_version_of_tls_gets_its_mail(suite, sink, tls):
    """smtp_tls_mandatory_protocols allows it; else it would wait until it is returned"""
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    r = Route(suite, sink(tls=tls).slot, "secure")
    r.send("a")
    r.wait("a", r".*status=sent")
    suite.wait_log(r"TLS connection established to localhost\[127\.0\.0\.1\]:\d+: TLSv1\.1 with cipher")


def test_certificate_of_somebody_else_is_refused(suite, sink, tls, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-out", tmp_path / "c",
                    "-subj", "/CN=localhost", "-days", "2"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    s = sink(tls=context)
    r = Route(suite, s.slot, "secure")
    r.send("a")
    r.wait("a", r".*dsn=4\.7\.5, status=deferred \(Server certificate not trusted\)")
    assert s.messages == []


def test_a_ca_file_that_changes_is_noticed(suite, sink, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-out", tmp_path / "c",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    s = sink(tls=context)
    r = Route(suite, s.slot, "renewed")
    r.send("before")
    r.wait("before", r".*dsn=4\.7\.5, status=deferred \(Server certificate not trusted\)")
    os.replace(shutil.copy(tmp_path / "c", suite.dir + "/ca.new"), suite.dir + "/ca.pem.2")

    def arrives():
        suite.tool("postqueue", "-f")
        return re.search(r"to=<before@%s>.*status=sent" % r.domain, suite.log())
    pombal.wait_for(arrives, every=0.3)
    suite.wait_log(r"smtp\[\d+\]: a TLS certificate has changed -- restarting")


def test_tls_that_is_required_but_not_offered(suite, sink):
    s = sink()
    r = route_to(suite, s, "must")
    r.send("a")
    r.wait("a", r".*dsn=4\.7\.4, status=deferred \(TLS is required, but was not offered by host ")


def test_tls_that_is_required_but_refused(suite, sink):
    s = sink(ehlo=["STARTTLS"], replies={"STARTTLS": "454 4.7.0 not now"})
    r = route_to(suite, s, "must")
    r.send("a")
    r.wait("a", r".*dsn=4\.7\.4, status=deferred \(TLS is required, but host \S+ refused to start TLS: 454 4\.7\.0 not now\)")


def test_a_server_that_closes_instead_of_tls(suite, sink):
    s = sink(ehlo=["STARTTLS"], replies={"STARTTLS": "421 4.3.2 busy"})
    r = route_to(suite, s, "may")
    r.send("a")
    r.wait("a", r"relay=127\S+, .*dsn=4\.4\.2, status=deferred \(host \S+ refused to start TLS: 421 4\.3\.2 busy\)")


def test_a_tls_policy_that_is_too_long_is_not_obeyed_in_part(suite, sink):
    r = route_to(suite, sink(), "policy")
    r.send("a")
    r.wait("a", r".*dsn=4\.7\.5, status=deferred \(client TLS configuration problem: a list is too long\)")


def test_login_with_plain_and_login(suite, sink):
    s = sink(ehlo=["AUTH PLAIN LOGIN"], replies={"AUTH": "235 2.7.0 ok"})
    r = route_to(suite, s, "login")
    r.send("a")
    r.wait("a", r".*status=sent")
    assert "AUTH PLAIN AHVzZXIAcGFzczp3b3Jk" in s.commands
    s = sink(ehlo=["AUTH LOGIN"], replies={"AUTH LOGIN": "334 VXNlcm5hbWU6", "dXNlcg==": "334 UGFzc3dvcmQ6", "cGFzczp3b3Jk": "235 ok"})
    r = route_to(suite, s, "login")
    r.send("a")
    r.wait("a", r".*status=sent")


def test_any_code_of_the_right_class_is_a_yes(suite, sink):
    s = sink(ehlo=["AUTH LOGIN"], replies={"AUTH LOGIN": "354 VXNlcm5hbWU6", "dXNlcg==": "334 UGFzc3dvcmQ6", "cGFzczp3b3Jk": "250 ok"})
    r = route_to(suite, s, "login")
    r.send("a")
    r.wait("a", r".*status=sent")


def test_login_that_fails_defers(suite, sink):
    s = sink(ehlo=["AUTH PLAIN"], replies={"AUTH": "535 5.7.8 wrong"})
    r = route_to(suite, s, "login")
    r.send("a")
    r.wait("a", r".*dsn=4\.7\.8, status=deferred \(SASL authentication failed; server \S+ said: 535 5\.7\.8 wrong\)")
    assert s.messages == []


def test_plaintext_mechanisms_are_not_used_by_default(suite, sink):
    s = sink(ehlo=["AUTH PLAIN LOGIN"], replies={"AUTH": "235 2.7.0 ok"})
    r = route_to(suite, s, "plainless")
    r.send("a")
    r.wait("a", r".*dsn=4\.7\.0, status=deferred \(SASL authentication failed; cannot authenticate to server \S+: no mechanism available\)")


def test_lmtp_answers_per_recipient(suite, sink):
    s = sink(lmtp=True, replies={".RCPT TO:<full@": "552 5.2.2 mailbox full", ".RCPT TO:<busy@": "451 4.3.0 busy"})
    r = Route(suite, s.slot, "lmtp")
    r.send("ok", "full", "busy")
    r.wait("ok", r"relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*dsn=2\.0\.0, status=sent" % s.port)
    r.wait("full", r".*dsn=5\.2\.2, status=bounced \(host .* said: 552 5\.2\.2 mailbox full \(in reply to end of DATA command\)\)")
    r.wait("busy", r".*dsn=4\.3\.0, status=deferred \(host .* said: 451 4\.3\.0 busy")
    assert s.commands[0].startswith("LHLO ")


def test_lmtp_over_a_unix_socket(suite, sink):
    path = suite.queue + "/private/test-lmtp"
    s = sink(lmtp=True, path=path)
    os.chmod(path, 0o666)
    r = Route(suite, s.slot, "unix")
    r.send("a")
    r.wait("a", r"relay=\S+\[private/test-lmtp\], .*status=sent")
    pombal.wait_for(lambda: "QUIT" in s.commands)
    s.close()
    os.unlink(path)
    r.send("b")
    r.wait("b", r"relay=none, .*dsn=4\.4\.1, status=deferred \(connect to \S+\[private/test-lmtp\]: No such file or directory\)")


def test_stray_cr_is_not_sent(suite, sink):
    s = sink()
    r = route_to(suite, s)
    suite.tool("sendmail", "-i", "-f", "alice@example.test", "a@" + r.domain, input="Subject: x\n\nab\rcd\r\n.\r\nend\n")
    r.wait("a", r".*status=sent")
    assert all(not re.search(rb"\r(?!\n)", b) for b in s.bursts)
    assert len(s.messages) == 1 and s.messages[0].endswith(b"end")


def test_a_kept_connection_is_not_used_where_another_tls_policy_holds(make_suite):
    """the same server by two names of the next hop: what may go in plain text to one must not to the other"""
    s = Sink()
    suite = make_suite(start=False, main="relay_domains = plain.test must.test\nsmtp_connection_cache_time_limit = 60s\n"
                       "transport_maps = texthash:$config_directory/transport\n"
                       "smtp_tls_policy_maps = texthash:$config_directory/policies\n")
    suite.write("etc/transport", "plain.test smtp:[127.0.0.1]:%d\nmust.test smtp:127.0.0.1:%d\n" % (s.port, s.port))
    suite.write("etc/policies", "[127.0.0.1]:%d none\n127.0.0.1:%d encrypt\n" % (s.port, s.port))
    suite.start()
    suite.send(["a@plain.test"], sender="alice@example.test")
    suite.wait_log(r"to=<a@plain\.test>, .*status=sent")
    suite.send(["a@must.test"], sender="alice@example.test")
    suite.wait_log(r"to=<a@must\.test>, .*status=deferred \(TLS is required, but was not offered")
    assert len(s.messages) == 1
    s.close()


def test_relayhost_may_name_several_hosts(make_suite):
    s = Sink()
    try:
        suite = make_suite(main="relayhost = [127.0.0.1]:%d, [127.0.0.1]:%d\nmynetworks = 127.0.0.0/8\n" % (pombal.free_port(), s.port))
        suite.send("x@elsewhere.test")
        suite.wait_log(r"to=<x@elsewhere\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % s.port)
    finally:
        s.close()
