"""DNS block lists: several are asked side by side, each once a command, and what a slow or dead one costs."""
import re, socket, struct, threading

import pytest

import pombal

LISTS = ["l%d.test" % i for i in range(4)]


class Together:
    """a name server that answers nobody before it has been asked for as many names as `at`: whoever asks one after the other waits for ever"""

    def __init__(self, at, listed=()):
        self.at, self.listed, self.asked = at, set(listed), []
        self.held = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.server = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            if query == b"end":
                return
            end = query.index(b"\0", 12) + 5
            name = re.sub(rb"[\0-\x1f]", b".", query[13:end - 5]).decode()
            self.asked.append((name, query[end - 3]))
            found = name in self.listed and query[end - 3] == 1
            answer = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 0, 4) + b"\x7f\0\0\2" if found else b""
            self.held.append((query[:2] + (b"\x81\x80" if name in self.listed else b"\x81\x83") + b"\0\1\0" + bytes([found]) + b"\0\0\0\0" +
                              query[12:end] + answer, client))
            if len({n for n, _ in self.asked}) >= self.at:
                for reply, to in self.held:
                    self.socket.sendto(reply, to)
                self.held = []

    def close(self):
        self.socket.sendto(b"end", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


def suite_with(make_suite, server, restrictions, more=""):
    return make_suite(main="dns_servers = %s\nsmtpd_peername_lookup = no\nmynetworks =\nsmtpd_relay_restrictions = reject_unauth_destination\n"
                      "smtpd_recipient_restrictions = %s\n%s" % (server.server, restrictions, more))


def rcpt(suite, *addresses):
    raw = pombal.Raw(suite.port("smtp"))
    raw.reply(), raw.ask("HELO x"), raw.ask("MAIL FROM:<a@sender.test>")
    said = [raw.ask("RCPT TO:<%s>" % a) for a in addresses]
    raw.close()
    return said


def test_the_lists_of_one_parameter_are_asked_side_by_side(make_suite):
    dns = Together(at=5, listed=["1.0.0.127.l3.test"])
    try:
        s = suite_with(make_suite, dns, ", ".join("reject_rbl_client " + name for name in LISTS) + ", reject_rhsbl_sender dbl.test")
        assert rcpt(s, "alice@example.test") == ["554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using l3.test"]
        assert {n for n, _ in dns.asked} == {"1.0.0.127." + name for name in LISTS} | {"sender.test.dbl.test"}
    finally:
        dns.close()


def test_a_name_is_asked_once_a_command_also_without_a_cache(make_suite):
    dns = Together(at=1, listed=["1.0.0.127.l0.test"])
    try:
        s = suite_with(make_suite, dns, ", ".join("reject_rbl_client l0.test=127.0.0.%d" % n for n in (3, 4, 5)), "dns_cache_size = 0\n")
        assert rcpt(s, "alice@example.test", "bob@example.test") == ["250 2.1.5 Ok"] * 2
        assert dns.asked == [("1.0.0.127.l0.test", 1)] * 2
    finally:
        dns.close()


def test_a_list_that_does_not_answer_refuses_nobody_and_is_named_in_the_log(make_suite):
    dns = Together(at=100)
    try:
        s = suite_with(make_suite, dns, "reject_rbl_client l0.test, reject_rbl_client l1.test, permit_dnswl_client l2.test, reject_unauth_destination",
                       "dns_timeout = 1s\n")
        assert rcpt(s, "alice@example.test") == ["250 2.1.5 Ok"]
        for name in LISTS[:3]:
            s.wait_log(r"smtpd\[\d+\]: warning: 1\.0\.0\.127\.%s: RBL lookup error: " % name)
    finally:
        dns.close()


def test_a_client_that_leaves_while_lists_are_asked_leaves_nothing_behind(make_suite):
    dns = Together(at=100)
    try:
        s = suite_with(make_suite, dns, "reject_unlisted_recipient, reject_rbl_client l0.test, reject_rbl_client l1.test", "dns_timeout = 1s\n")
        raw = pombal.Raw(s.port("smtp"))
        raw.reply(), raw.ask("HELO x"), raw.ask("MAIL FROM:<a@sender.test>")
        raw.send("RCPT TO:<alice@example.test>\r\n")
        pombal.wait_for(lambda: len(dns.asked) >= 2)
        raw.close()
        s.wait_log(r"smtpd\[\d+\]: disconnect from .* mail=1 ")
        assert rcpt(s, "nobody@example.test")[0].startswith("550 5.1.1 ")
    finally:
        dns.close()


@pytest.mark.parametrize("list_", ["reject_rhsbl_sender a..b", "reject_rbl_client l0.test=127.0.0.300", "permit_dnswl_client a..b",
                                   "sleep 0, reject_rhsbl_helo a..b"])
def test_what_is_no_list_in_the_result_of_a_table_is_a_configuration_error(make_suite, list_):
    """check tells it; this is a table that has changed since"""
    s = make_suite(main="smtpd_sender_restrictions = check_sender_access inline:{ { a@sender.test = %s } }\npombal_accept_missing = unknown_action\n" % list_)
    assert rcpt(s, "alice@example.test") == ["451 4.3.5 Server configuration error"]
    s.wait_log(r'smtpd\[\d+\]: warning: restriction %s: "%s" is no DNS list$' % tuple(map(re.escape, list_.split()[-2:])))


def test_behind_rcpt_a_welcome_list_permits_also_what_leaves_this_host(make_suite):
    """whether it may leave was decided at RCPT; with one recipient, lists at DATA are about it"""
    dns = Together(at=1, listed=["1.0.0.127.l0.test"])
    try:
        s = suite_with(make_suite, dns, "permit_mynetworks, permit_dnswl_client l0.test, reject", "mynetworks = 127.0.0.2\nsmtpd_data_restrictions = permit_dnswl_client l0.test, reject\n"
                       "smtpd_relay_restrictions = check_recipient_access inline:{ { b@elsewhere.test = OK } }, reject_unauth_destination\n")
        assert rcpt(s, "b@elsewhere.test", "alice@example.test") == ["554 5.7.1 <b@elsewhere.test>: Recipient address rejected: Access denied", "250 2.1.5 Ok"]
        s.add_main("smtpd_recipient_restrictions =\n")
        s.reload()
        pombal.wait_for(lambda: rcpt(s, "b@elsewhere.test") == ["250 2.1.5 Ok"])
        raw = pombal.Raw(s.port("smtp"))
        raw.reply(), raw.ask("HELO x"), raw.ask("MAIL FROM:<a@sender.test>"), raw.ask("RCPT TO:<b@elsewhere.test>")
        assert raw.ask("DATA").startswith("354 ")
        raw.close()
    finally:
        dns.close()
