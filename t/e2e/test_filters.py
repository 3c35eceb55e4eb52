"""Mail that goes through content filters and proxies: out to the filter, back on a port of its own, and who the client is then."""
import os, re, shutil, smtplib, subprocess

import pytest

import pombal
from filter import Filter
from pombal import wait_for

# As amavis' README.postfix has it.
AMAVIS = """
smtp-amavis unix - - n - 2 smtp
    -o smtp_data_done_timeout=1200
    -o smtp_send_xforward_command=yes
    -o disable_dns_lookups=yes
    -o max_use=20
127.0.0.1:%(back)d inet n - n - - smtpd
    -o content_filter=
    -o local_recipient_maps=
    -o relay_recipient_maps=
    -o smtpd_restriction_classes=
    -o smtpd_delay_reject=no
    -o smtpd_client_restrictions=permit_mynetworks,reject
    -o smtpd_helo_restrictions=
    -o smtpd_sender_restrictions=
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
    -o smtpd_data_restrictions=reject_unauth_pipelining
    -o smtpd_end_of_data_restrictions=
    -o mynetworks=127.0.0.0/8
    -o smtpd_error_sleep_time=0
    -o smtpd_soft_error_limit=1001
    -o smtpd_hard_error_limit=1000
    -o smtpd_client_connection_count_limit=0
    -o smtpd_client_connection_rate_limit=0
    -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_milters
    -o smtpd_authorized_xforward_hosts=127.0.0.0/8
127.0.0.1:%(before)d inet n - n - - smtpd
    -o content_filter=
    -o receive_override_options=
    -o smtpd_proxy_filter=127.0.0.1:%(filter)d
127.0.0.1:%(adjust)d inet n - n - - smtpd
    -o content_filter=
    -o receive_override_options=
    -o smtpd_proxy_filter=127.0.0.1:%(filter)d
    -o smtpd_proxy_options=speed_adjust
    -o smtpd_proxy_hold_limit=1000
"""
MAIN = """
content_filter = smtp-amavis:[127.0.0.1]:%(filter)d
receive_override_options = no_address_mappings
virtual_alias_maps = inline:{ { info@example.test = alice@example.test } }
recipient_bcc_maps = inline:{ { bob@example.test = alice@example.test } }
header_checks = regexp:$config_directory/checks
"""


@pytest.fixture(scope="module")
def filtered():
    ports = {name: pombal.free_port() for name in ("back", "before", "adjust")}
    filter = Filter(lambda: ports["back"])
    ports["filter"] = filter.port
    s = pombal.Instance(start=False, main=MAIN % ports, master=AMAVIS % ports)
    s.write("etc/checks", "/^Subject: check/ PREPEND X-Checked: yes\n")
    s.ports, s.filter = ports, filter
    s.start()
    yield s
    s.close()
    filter.close()


def one(s, user, subject):
    """the one message with that subject, when it is there and the queue is empty"""
    found = s.wait_mail(user, match="^%s$" % subject)
    s.wait_queue_empty()
    assert len([m for m in s.messages(user) if m["Subject"] == subject]) == len(found) == 1
    return found[0]


def test_each_thing_is_done_once_around_the_filter(filtered):
    filtered.send("info", subject="check one", sender="x@elsewhere.test")
    m = one(filtered, "alice", "check one")
    assert m.get_all("X-Scanned") == ["yes"] and m.get_all("X-Checked") == ["yes"]
    commands, _ = filtered.filter.seen[-1]
    assert "RCPT TO:<info@example.test> ORCPT=rfc822;info@example.test" in commands  # not the alias' target
    assert m["X-Original-To"] == "info@example.test" and m["Delivered-To"] == "alice@example.test"


def test_the_log_after_the_filter_tells_where_mail_came_from(filtered):
    with smtplib.SMTP("127.0.0.1", filtered.port("smtp"), local_hostname="client.test", source_address=("127.0.5.7", 0)) as c:
        c.sendmail("x@elsewhere.test", ["alice@example.test"], "Subject: origin\r\n\r\n")
    one(filtered, "alice", "origin")
    first = filtered.wait_log(r"(\w+): client=unknown\[127\.0\.5\.7\]$")[0][1]
    filtered.wait_log(r": client=\S+, orig_queue_id=%s, orig_client=unknown\[127\.0\.5\.7\]$" % first)
    (client, session) = [c for c in filtered.filter.seen[-1][0] if c.startswith("XFORWARD")]
    assert re.fullmatch(r"XFORWARD ADDR=127\.0\.5\.7 PORT=\d+", client)
    assert session == "XFORWARD PROTO=ESMTP HELO=client.test IDENT=%s SOURCE=REMOTE" % first


def test_mail_of_local_users_is_filtered_too(filtered):
    filtered.tool("sendmail", "-f", "alice@example.test", "bob@example.test", input="Subject: from here\n\n")
    assert one(filtered, "bob", "from here")["X-Scanned"] == "yes"
    assert one(filtered, "alice", "from here")["X-Scanned"] == "yes"  # the copy is made behind the filter, once
    assert [c for c in filtered.filter.seen[-1][0] if c.startswith("XFORWARD")][0].endswith("SOURCE=LOCAL")


def test_what_the_filter_refuses_comes_back_to_the_sender(filtered):
    filtered.send("bob", subject="bad", body="virus\n", sender="alice@example.test")
    filtered.wait_log(r"to=<bob@example.test>, .*dsn=5\.7\.0, status=bounced \(host 127\.0\.0\.1\[127\.0\.0\.1\] said: 554 5\.7\.0 Reject, virus")
    report = filtered.wait_mail("alice", match="Undelivered")[-1]
    assert "X-Scanned" not in report  # a bounce is no mail from outside


def test_requests_for_reports_survive_the_filter(filtered):
    with filtered.smtp() as c:
        c.sendmail("alice@example.test", ["bob@example.test"], "Subject: report\r\n\r\n", mail_options=["ENVID=e+2B1", "RET=HDRS"],
                   rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;b+2Bx@old.test"])
    one(filtered, "bob", "report")
    commands, _ = filtered.filter.seen[-1]
    assert "MAIL FROM:<alice@example.test> ENVID=e+2B1 RET=HDRS" in [re.sub(r" (SIZE|BODY)=\S+", "", c) for c in commands]
    assert "RCPT TO:<bob@example.test> NOTIFY=SUCCESS ORCPT=rfc822;b+2Bx@old.test" in commands
    report = filtered.wait_mail("alice", match="Successful")[-1]
    fields = report.get_payload(1).as_string()
    assert "Original-Envelope-Id: e+1" in fields.replace("+2B", "+") and "Original-Recipient: rfc822;b+x@old.test" in fields.replace("rfc822; ", "rfc822;").replace("+2B", "+")


def test_a_process_that_has_served_its_time_loses_nothing(filtered):
    """max_use=20"""
    before = len(filtered.filter.seen)
    for n in range(25):
        filtered.send("bob", subject="many %d" % n)
    filtered.wait_mail("bob", 25, match="^many")
    filtered.wait_queue_empty()
    assert len(filtered.filter.seen) == before + 25
    assert sorted(m["Subject"] for m in filtered.messages("bob") if m["Subject"].startswith("many")) == sorted("many %d" % n for n in range(25))


# ---- before the queue

@pytest.mark.parametrize("port", ["before", "adjust"])
def test_a_filter_before_the_queue_decides_while_the_client_waits(filtered, port):
    with smtplib.SMTP("127.0.0.1", filtered.ports[port]) as c:
        c.sendmail("x@elsewhere.test", ["info@example.test"], "Subject: good %s\r\n\r\n.dot\r\n" % port)
        m = one(filtered, "alice", "good " + port)
        assert m["X-Scanned"] == "yes" and m.get_payload().startswith(".dot")
        with pytest.raises(smtplib.SMTPDataError) as e:
            c.sendmail("x@elsewhere.test", ["bob@example.test"], "Subject: bad\r\n\r\nvirus\r\n")
        assert e.value.smtp_code == 554 and e.value.smtp_error == b"5.7.0 Reject, virus"
        big = "Subject: big %s\r\n\r\n" % port + ("x" * 70 + "\r\n") * 5000
        c.sendmail("x@elsewhere.test", ["bob@example.test"], big)
    assert len(one(filtered, "bob", "big " + port).get_payload()) == 5000 * 71


@pytest.mark.parametrize("port", ["before", "adjust"])
def test_no_line_ends_for_the_filter_that_did_not_for_us(filtered, port):
    raw = pombal.Raw(filtered.ports[port])
    raw.reply()
    for command in ("EHLO x", "MAIL FROM:<x@y.test>", "RCPT TO:<bob@example.test>", "DATA"):
        assert raw.ask(command)[0] in "23"
    assert raw.ask("Subject: stray %s\r\n\r\na\r.\r\rb\n.\nc\r\n." % port)[:3] == "250"
    raw.close()
    assert filtered.filter.seen[-1][1].endswith(b"\r\n\r\na .  b\r\n\r\nc\r\n.\r\n")


@pytest.mark.parametrize("port, most", [("before", 1), ("adjust", 0)])
def test_a_slow_client_occupies_the_filter_or_does_not(filtered, port, most):
    wait_for(lambda: filtered.filter.active == 0)
    raw = pombal.Raw(filtered.ports[port])
    raw.reply()
    for command in ("EHLO x", "MAIL FROM:<x@y.test>", "RCPT TO:<bob@example.test>", "DATA"):
        assert raw.ask(command)[0] in "23"
    raw.send("Subject: half\r\n")
    assert filtered.filter.active == most
    before = len(filtered.filter.seen)
    raw.close()  # in the middle of the content
    filtered.wait_log(r"lost connection after DATA \(\d+ bytes\) from")
    wait_for(lambda: filtered.filter.active == 0)
    assert len(filtered.filter.seen) == before
    raw = pombal.Raw(filtered.ports[port])
    raw.close()


# ---- proxies

HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen v1
    bind 127.0.0.1:%(v1)d
    server s 127.0.0.1:%(plain)d send-proxy check inter 200
listen v2
    bind 127.0.0.1:%(v2)d
    server s 127.0.0.1:%(plain)d send-proxy-v2 check inter 200
listen tls
    bind 127.0.0.1:%(v2tls)d
    server s 127.0.0.1:%(tls)d send-proxy-v2
"""
PROXIED = """
127.0.0.1:%(plain)d inet n - n - - smtpd
    -o smtpd_upstream_proxy_protocol=haproxy
    -o smtpd_upstream_proxy_timeout=2s
    -o smtpd_client_connection_count_limit=3
127.0.0.1:%(tls)d inet n - n - - smtpd
    -o smtpd_upstream_proxy_protocol=haproxy
    -o smtpd_tls_wrappermode=yes
"""


@pytest.fixture(scope="module")
def proxied():
    ports = {name: pombal.free_port() for name in ("plain", "tls", "v1", "v2", "v2tls")}
    s = pombal.Instance(master=PROXIED % ports)
    s.ports = ports
    yield s
    s.close()


@pytest.fixture(scope="module")
def haproxy(proxied):
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if not program:
        pytest.skip("needs Debian's haproxy")
    p = subprocess.Popen([program, "-db", "-f", proxied.write("etc/haproxy.cfg", HAPROXY % proxied.ports)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        try:
            return pombal.Raw(proxied.ports["v1"]).close() is None
        except OSError:
            return False
    wait_for(listens)
    yield proxied
    p.terminate()
    p.wait()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_tells_who_the_client_is(haproxy, version):
    source = "127.0.6.%s" % version[1]
    with smtplib.SMTP("127.0.0.1", haproxy.ports[version], source_address=(source, 0)) as c:
        c.sendmail("x@elsewhere.test", ["alice@example.test"], "Subject: by %s\r\n\r\n" % version)
    assert "[%s]" % source in haproxy.wait_mail("alice", match="by " + version)[0]["Received"]
    haproxy.wait_log(r" connect from \S+\[%s\]" % re.escape(source))


def test_tls_from_the_first_byte_works_behind_haproxy(haproxy):
    with smtplib.SMTP_SSL("127.0.0.1", haproxy.ports["v2tls"], context=haproxy.tls_context(), source_address=("127.0.6.9", 0)) as c:
        assert c.ehlo("x")[0] == 250
    haproxy.wait_log(r" disconnect from \S+\[127\.0\.6\.9\] ehlo=1")


def test_the_limit_of_connections_counts_clients_and_not_the_proxy(proxied):
    def client(n):
        raw = pombal.Raw(proxied.ports["plain"])
        raw.send("PROXY TCP4 10.0.0.%d 127.0.0.1 99 25\r\n" % n)
        return raw, raw.reply()
    clients = [client(n) for n in (1, 1, 1, 2, 2, 1)]
    assert [reply[:3] for _, reply in clients] == ["220"] * 5 + ["421"]
    for raw, _ in clients:
        raw.close()


@pytest.mark.parametrize("said", ["EHLO x\r\n", "PROXY UNKNOWN\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 99\r\n", "", "PROXY TCP4"])
def test_without_a_header_nobody_is_served(proxied, said):
    raw = pombal.Raw(proxied.ports["plain"])
    raw.send(said)
    assert re.fullmatch(r"421 4\.3\.0 \S+ Server local error", raw.reply())
    assert raw.line() is None
    raw.close()


# ---- XCLIENT

SUITE_MASTER = """
127.0.0.1:%d inet n - n - - smtpd
    -o smtpd_authorized_xclient_hosts=127.0.0.1
    -o smtpd_client_connection_count_limit=2
    -o smtpd_recipient_restrictions=permit_mynetworks,permit_sasl_authenticated,reject
    -o mynetworks=10.0.0.0/8
    -o smtpd_relay_restrictions=
""" % (XPORT := pombal.free_port())


def xclient(said, source=None):
    raw = pombal.Raw(XPORT, source=source)
    raw.reply()
    return raw, raw.ask("XCLIENT " + said)


def test_a_proxy_may_have_any_number_of_connections_and_each_client_two(suite):
    idle = []
    for _ in range(4):
        raw = pombal.Raw(XPORT)
        assert raw.reply()[:3] == "220"
        idle.append(raw)
    clients = [xclient("ADDR=192.0.2.%d" % n) for n in (1, 1, 2, 1)]
    assert [reply[:3] for _, reply in clients] == ["220", "220", "220", "421"]
    for raw in idle + [raw for raw, _ in clients]:
        raw.close()


def test_nothing_is_left_of_the_client_before(suite):
    raw, reply = xclient("ADDR=127.0.0.1 NAME=first.test LOGIN=alice HELO=one PROTO=ESMTP")
    assert reply[:3] == "220"
    assert raw.ask("MAIL FROM:<a@b.test>")[:3] == "250" and raw.ask("RCPT TO:<x@far.test>")[:3] == "250"
    assert raw.ask("RSET")[:3] == "250"
    assert raw.ask("XCLIENT NAME=second.test")[:3] == "220"
    assert raw.ask("MAIL FROM:<a@b.test>")[:3] == "250" and raw.ask("RCPT TO:<x@far.test>")[:3] == "554"  # no login any more
    assert raw.ask("RSET")[:3] == "250"
    assert raw.ask("XCLIENT ADDR=10.1.1.1")[:3] == "220"
    assert raw.ask("MAIL FROM:<a@b.test>")[:3] == "250" and raw.ask("RCPT TO:<x@far.test>")[:3] == "250"  # mynetworks
    assert raw.ask("RSET")[:3] == "250"
    assert raw.ask("XCLIENT NAME=third.test")[:3] == "550"  # 10.1.1.1 is no proxy
    raw.close()
