"""What the owner of a domain can make long in the DNS: exchangers, addresses, answers."""
import ipaddress, re, socketserver, struct, threading

import pytest

import pombal
from pombal import Raw
from dns import Dns

MANY = "".join("@ MX 10 m%d\n" % i + "".join("m%d A 127.%d.%d.1\n" % (i, 1 + i, k) for k in range(250)) +
               "".join("m%d AAAA fd00::%x:%x\n" % (i, 1 + i, k) for k in range(490)) for i in range(60))
# Answers that are short enough to be kept.
FIFTY = "".join("@ MX 10 m%d\n" % i + "".join("m%d A 127.%d.1.%d\nm%d AAAA fd00::%x:%x\n" % (i, 1 + i, k, i, 1 + i, k) for k in range(50)) for i in range(90))


def name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".") if p) + b"\0"


class Odd:
    """a name server that answers in any order, over TCP; records: {(name, type): [data]}"""

    def __init__(self, records):
        self.records, self.asked = records, []
        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self.handler(True))
        self.port = self.tcp.server_address[1]
        self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", self.port), self.handler(False))
        for server in (self.tcp, self.udp):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def handler(self, tcp):
        odd = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                if not tcp:
                    self.request[1].sendto(odd.answer(self.request[0], False), self.client_address)
                    return
                file = self.request.makefile("rb")
                while head := file.read(2):
                    reply = odd.answer(file.read(struct.unpack("!H", head)[0]), True)
                    self.request.sendall(struct.pack("!H", len(reply)) + reply)

        return Handler

    def answer(self, query, tcp):
        end = query.index(b"\0", 12) + 5
        asked = re.sub(rb"[\0-\x1f]", b".", query[13:end - 5]).decode(), query[end - 3]
        found = self.records.get(asked, [])
        if tcp or not found:
            self.asked.append(asked)
        whole = b"".join(b"\xc0\x0c\0" + query[end - 3:end - 2] + b"\0\1" + struct.pack("!IH", 3600, len(d)) + d for d in found)
        return (query[:2] + (b"\x81\x80" if tcp or not found else b"\x83\x80") + b"\0\1" +
                struct.pack("!H", len(found) if tcp else 0) + b"\0\0\0\0" + query[12:end] + (whole if tcp else b""))

    def close(self):
        for server in (self.tcp, self.udp):
            server.shutdown()
            server.server_close()


def mx(preference, exchanger):
    return struct.pack("!H", preference) + name(exchanger)


def suite_with(server, port):
    return pombal.Instance(
        main="dns_servers = %s\nsmtp_dns_support_level = enabled\nsmtp_host_lookup = dns\nsmtp_tcp_port = %d\n"
             "inet_protocols = all\nsmtp_mx_session_limit = 1\nsmtp_mx_address_limit = 1\nsmtpd_delay_reject = no\n"
             "smtpd_sender_restrictions = reject_unknown_sender_domain\nsmtpd_peername_lookup = no\n" % (server, port))


def test_many_addresses_cost_their_number():
    dns, port = Dns({"many.test": MANY}), pombal.free_port()
    suite = suite_with(dns.server, port)
    try:
        suite.send("x@many.test", sender="")
        suite.wait_log(r"many\.test has more than 1000 addresses")
        suite.wait_log(r"to=<x@many\.test>.* status=deferred")
    finally:
        suite.close()  # fails if a turn took long
        dns.close()


def test_a_filter_of_many_patterns_does_not_hold_up_others():
    """for the second mail the DNS has answered all: no wait gives others a turn; the suite's end looks at the longest turn"""
    dns, port = Dns({"many.test": FIFTY}), pombal.free_port()
    suite = suite_with(dns.server, port)
    try:
        suite.add_main("smtp_dns_reply_filter = pcre:%s\n" % suite.write("etc/patterns", "".join("/^host%d.*\\.test\\. / IGNORE\n" % i for i in range(2000))))
        suite.reload()
        for to in ("x", "y"):
            suite.send(to + "@many.test", sender="")
            suite.wait_log(r"to=<%s@many\.test>.* status=deferred" % to)
    finally:
        dns.close()
        suite.close()


@pytest.fixture(scope="module")
def odd():
    server = Odd({
        ("best.test", 15): [mx(20, "a.best.test")] * 150 + [mx(10, "z.best.test")],
        ("a.best.test", 1): [ipaddress.ip_address("127.0.0.4").packed],
        ("z.best.test", 1): [ipaddress.ip_address("127.0.0.3").packed],
        ("long.test", 15): [mx(k, "%s.m%d.test" % ("x" * 60, k)) for k in range(100)],
        ("short.test", 15): [mx(10, "mx.short.test")],
    })
    yield server
    server.close()


def test_of_many_exchangers_the_best_are_tried(odd):
    port = pombal.free_port()
    suite = suite_with("127.0.0.1:%d" % odd.port, port)
    try:
        suite.send("x@best.test", sender="")
        suite.wait_log(r"to=<x@best\.test>.* status=deferred \(connect to z\.best\.test\[127\.0\.0\.3\]:%d: Connection refused" % port)
    finally:
        suite.close()


def test_long_answers_are_not_kept(odd):
    suite = suite_with("127.0.0.1:%d" % odd.port, 25)
    try:
        c = Raw(suite.port("smtp"))
        c.reply()
        c.ask("EHLO a")
        for domain in ["long.test", "short.test"] * 3:
            assert c.ask("MAIL FROM:<a@%s>" % domain).startswith("250")
            c.ask("RSET")
        c.close()
        assert odd.asked.count(("long.test", 15)) == 3 and odd.asked.count(("short.test", 15)) == 1
    finally:
        suite.close()


@pytest.mark.parametrize("n, said", [(100, 0), (101, 1)])
def test_addresses_that_an_access_table_is_not_asked_about_are_in_the_log(make_suite, n, said):
    dns = Dns({"many.test": "".join("@ A 127.1.1.%d\n" % i for i in range(1, 1 + n))})
    try:
        s = make_suite(main="dns_servers = %s\nsmtpd_sender_restrictions = check_sender_a_access inline:{ { 127.9.9.9 = REJECT } }\n" % dns.server)
        raw = Raw(s.port("smtp"))
        raw.reply(), raw.ask("HELO x"), raw.ask("MAIL FROM:<a@many.test>")
        assert raw.ask("RCPT TO:<alice@example.test>").startswith("250 ")
        raw.close()
        s.wait_log(r"smtpd\[\d+\]: disconnect from .* rcpt=1 ")
        assert len(re.findall(r"warning: check_sender_a_access: many\.test has more than 100 addresses: the others are not looked at", s.log())) == said
    finally:
        dns.close()


def test_many_hosts_with_many_addresses_do_not_hold_up_others_while_an_access_table_is_asked(make_suite):
    """at the second recipient the DNS has answered all: no wait gives others a turn; the suite's end looks at the longest turn"""
    dns = Dns({"many.test": FIFTY})
    try:
        s = make_suite(main="dns_servers = %s\n" % dns.server, start=False)
        patterns = s.write("etc/patterns", "".join("/^host%d.*\\.test$/ REJECT\n" % i for i in range(2000)))
        s.add_main("smtpd_sender_restrictions = check_sender_mx_access pcre:%s\n" % patterns)
        s.start()
        raw = Raw(s.port("smtp"))
        raw.reply(), raw.ask("HELO x"), raw.ask("MAIL FROM:<a@many.test>")
        assert [raw.ask("RCPT TO:<alice@example.test>")[:4] for _ in range(3)] == ["250 "] * 3
        raw.close()
    finally:
        dns.close()
