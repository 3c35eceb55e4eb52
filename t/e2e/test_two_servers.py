"""Two complete servers that find each other through a real name server: mail both ways, a bounce, a deferral
that recovers."""
import pytest

import pombal
from dns import Dns

ZONE_A = "@ MX 10 mx\nmx A 127.0.0.2\n"
ZONE_B = "@ MX 10 dead\n@ MX 20 mx\nmx A 127.0.0.3\ndead A 127.0.0.4\n"


@pytest.fixture(scope="module")
def world():
    dns = Dns({"a.test": ZONE_A, "b.test": ZONE_B, "null.test": "@ MX 0 .\n"})
    port = pombal.free_port()
    servers = []
    try:
        for domain, address in (("a.test", "127.0.0.2"), ("b.test", "127.0.0.3")):
            servers.append(pombal.Instance(
                domain=domain,
                main="dns_servers = %s\ndns_cache_size = 0\ndns_timeout = 1s\nsmtp_dns_support_level = enabled\nsmtp_host_lookup = dns\nsmtp_tcp_port = %d\n"
                     "smtp_bind_address = 127.0.0.1\nqueue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n"
                     "smtp_connect_timeout = 5s\n" % (dns.server, port),
                master="%s:%d inet n - n - - smtpd\n" % (address, port)))
        yield dns, servers[0], servers[1], port
    finally:
        for server in servers:
            server.close()
        dns.close()


def test_mail_goes_both_ways_through_mx(world):
    dns, a, b, port = world
    a.send("alice@b.test", subject="from a to b", sender="alice@a.test")
    message = b.wait_mail("alice", match="from a to b")[0]
    assert [h for h in message.get_all("Received") if "mail.a.test" in h and "mail.b.test" in h]
    # the preferred host is dead; the second one took it
    a.wait_log(r"connect to dead\.b\.test\[127\.0\.0\.4\]:%d: Connection refused" % port)
    a.wait_log(r"to=<alice@b\.test>, relay=mx\.b\.test\[127\.0\.0\.3\]:%d, .*dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as \w+\)" % port)
    b.send("bob@a.test", subject="from b to a", sender="bob@b.test")
    a.wait_mail("bob", match="from b to a")


def test_tls_is_used_where_the_other_side_offers_it(world):
    dns, a, b, port = world
    a.send("bob@b.test", subject="encrypted", sender="alice@a.test")
    message = b.wait_mail("bob", match="encrypted")[0]
    assert "with ESMTPS" in " ".join(message.get_all("Received"))


def test_unknown_user_there_comes_back_as_a_report(world):
    dns, a, b, port = world
    a.send("nobody@b.test", subject="lost", sender="alice@a.test")
    report = a.wait_mail("alice", match="Undelivered Mail Returned to Sender")[0]
    assert "5.1.1" in str(report.get_payload()[1])
    assert "Remote-MTA: dns; mx.b.test" in str(report.get_payload()[1])


def test_no_such_domain_bounces_and_null_mx_too(world):
    dns, a, b, port = world
    before = len(a.messages("bob"))
    a.send("x@nowhere.a.test", subject="no such name", sender="bob@a.test")
    a.wait_log(r"to=<x@nowhere\.a\.test>,.* dsn=5\.4\.4, status=bounced \(Host or domain name not found")
    a.send("x@null.test", subject="null mx", sender="bob@a.test")
    a.wait_log(r"to=<x@null\.test>,.* dsn=5\.1\.0, status=bounced \(Domain null\.test does not accept mail \(nullMX\)\)")
    a.wait_mail("bob", before + 2)


def test_a_deferral_recovers(world):
    dns, a, b, port = world
    b.stop()
    a.send("alice@b.test", subject="when you are back", sender="alice@a.test")
    a.wait_log(r"to=<alice@b\.test>,.* status=deferred \(connect to mx\.b\.test\[127\.0\.0\.3\]:%d: Connection refused\)" % port)
    b.start()
    b.wait_mail("alice", match="when you are back")
    a.wait_queue_empty()


def test_dead_dns_defers_and_recovers(world):
    dns, a, b, port = world
    dns.stop()
    a.send("bob@b.test", subject="no names for now", sender="alice@a.test")
    a.wait_log(r"to=<bob@b\.test>,.* dsn=4\.4\.3, status=deferred \(Host or domain name not found\. Name service error for name=b\.test")
    dns.start()
    b.wait_mail("bob", match="no names for now")
    a.wait_queue_empty()
