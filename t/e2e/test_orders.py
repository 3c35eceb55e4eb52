"""What access tables and filters order, where it is not cleanup that does it: with a before-queue filter; and recipients that are the same."""
import re, socket, threading

import pytest

import pombal
from filter import Filter

ORDERS = {"discard": "DISCARD", "hold": "HOLD", "redirect": "REDIRECT bob@example.test", "filter": "FILTER smtp:[127.0.0.1]:9", "bcc": "BCC bob@example.test"}


@pytest.fixture(scope="module")
def s():
    ports = {name: pombal.free_port() for name in ("back", "end", "data", "once", "late")}
    filter = Filter(lambda: ports["back"])
    table = "check_sender_access inline:{ %s }" % ", ".join("{ %s@x.test = %s }" % o for o in ORDERS.items())
    proxy = " -o smtpd_proxy_filter=127.0.0.1:%d" % filter.port
    s = pombal.Instance(start=False, main="virtual_alias_maps = inline:{ { both@example.test = alice@example.test, bob@example.test } }\n", master=
                        "127.0.0.1:%(back)d inet n - n - - smtpd -o smtpd_authorized_xforward_hosts=127.0.0.1\n" % ports +
                        "127.0.0.1:%d inet n - n - - smtpd%s -o { smtpd_end_of_data_restrictions = %s }\n" % (ports["end"], proxy, table) +
                        "127.0.0.1:%d inet n - n - - smtpd%s -o { smtpd_data_restrictions = %s }\n" % (ports["data"], proxy, table) +
                        "127.0.0.1:%(late)d inet n - n - - smtpd -o { smtpd_end_of_data_restrictions = check_sender_access texthash:$config_directory/late }\n" % ports +
                        "127.0.0.1:%(once)d inet n - n - - smtpd -o cleanup_service_name=once\nonce unix n - n - 0 cleanup -o enable_original_recipient=no\n" % ports)
    s.ports, s.filter = ports, filter
    s.write("etc/late", "".join("%d@x.test REDIRECT %s@example.test\n" % (n, "b" * n) for n in (1000, 70000, 200000)))
    s.start()
    yield s
    s.close()
    filter.close()


def send(s, port, sender, rcpts, subject, text="text"):
    raw = pombal.Raw(s.ports[port])
    raw.reply()
    said = [raw.ask(c) for c in ["EHLO c.test", "MAIL FROM:<%s>" % sender] + ["RCPT TO:<%s>" % r for r in rcpts] + ["DATA"]][-1]
    if said.startswith("354"):
        said = raw.ask("Subject: %s\r\n\r\n%s\r\n." % (subject, text))
    raw.close()
    return said


@pytest.mark.parametrize("port", ["end", "data"])
def test_an_order_that_the_queue_alone_can_obey_is_not_passed_over(s, port):
    """the client hears 451; what is to be thrown away is"""
    before = len(s.filter.seen)
    said = {name: send(s, port, name + "@x.test", ["alice@example.test"], "%s %s" % (name, port)) for name in ORDERS}
    assert {name: reply[:9] for name, reply in said.items()} == {**dict.fromkeys(ORDERS, "451 4.3.5"), "discard": "250 2.0.0"}, said
    assert send(s, port, "other@x.test", ["alice@example.test"], "passes " + port).startswith("250 ")
    s.wait_mail("alice", match="^passes " + port)
    s.wait_queue_empty()
    subjects = [m["Subject"] for user in ("alice", "bob") for m in s.messages(user)]
    assert [t for t in subjects if t.endswith(port)] == ["passes " + port]
    assert [c for _, c in s.filter.seen[before:] if b"passes" not in c] == []


@pytest.mark.parametrize("text", ["short", "long line\r\n" * 10000])
def test_a_late_order_that_does_not_fit_is_not_left_out(s, text):
    """also if cleanup has got the content already"""
    for n in (70000, 200000):
        subject = "late %d %d" % (n, len(text))
        assert send(s, "late", "%d@x.test" % n, ["alice@example.test"], subject, text).startswith("552 5.3.4 ")
    assert send(s, "late", "1000@x.test", ["alice@example.test"], "goes elsewhere", text).startswith("250 ")
    assert send(s, "late", "other@x.test", ["alice@example.test"], "stays %d" % len(text), text).startswith("250 ")
    s.wait_mail("alice", match="^stays %d$" % len(text))
    s.wait_queue_empty()
    assert [m["Subject"] for m in s.messages("alice") if m["Subject"].startswith(("late", "goes"))] == []


def test_the_same_mailbox_gets_one_copy_without_original_recipients(s):
    """as in Postfix, however it was reached"""
    assert send(s, "once", "o@x.test", ["alice@example.test", "both@example.test", "alice@example.test"], "once").startswith("250 ")
    s.wait_mail("bob", match="^once$")
    s.wait_queue_empty()
    assert len([m for m in s.messages("alice") if m["Subject"] == "once"]) == 1


def test_a_long_reply_of_the_filter_counts(s):
    """a line of more than 512 bytes is against RFC 5321, but it says that the mail is taken"""
    s.filter.give_back, plain = lambda commands, content: "250 2.0.0 " + "x" * 5000, s.filter.give_back
    try:
        reply = send(s, "end", "long@x.test", ["alice@example.test"], "long")
    finally:
        s.filter.give_back = plain
    assert reply.startswith("250 2.0.0 xxxx"), reply
