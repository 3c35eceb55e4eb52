"""reject_unverified_recipient and what verify keeps; t/compat/test_deciding.py has the replies."""
import os, re, time

import pombal
from sink import Sink

SUITE_MAIN = """
smtpd_recipient_restrictions = reject_unverified_recipient, reject_unauth_destination
address_verify_poll_delay = 1s
address_verify_poll_count = 20
unverified_recipient_reject_code = 550
transport_maps = inline:{ { never.test = smtp:[127.0.0.1]:1 } }
address_verify_transport_maps = inline:{ { never.test = error:5.1.1 nobody there } }
address_verify_sender = probes
address_verify_sender_ttl = 1000s
relay_domains = never.test
relay_recipient_maps =
"""


def rcpt(suite, address):
    raw = pombal.Raw(suite.port("smtp"))
    raw.reply()
    said = [raw.ask(command) for command in ("EHLO c.test", "MAIL FROM:<a@elsewhere.test>", "RCPT TO:<%s>" % address, "QUIT")]
    return said[2]


def probes(suite):
    return re.findall(r"qmgr\[\d+\]: \w+: from=<(probes\w*@[^>]*)>", suite.log())


def test_probes_take_their_own_way_and_are_not_delivered(suite):
    assert rcpt(suite, "x@never.test") == "550 5.1.1 <x@never.test>: Recipient address rejected: undeliverable address: nobody there"
    assert rcpt(suite, "alice@example.test").startswith("250 ")
    suite.wait_queue_empty()
    assert suite.messages("alice") == []
    suite.wait_log(r"to=<alice@example.test>, .*status=deliverable")
    senders = probes(suite)
    assert len(senders) == 2 and all(re.fullmatch(r"probes[0-9B-DF-HJ-NP-TV-Z]+@example\.test", s) for s in senders)
    assert rcpt(suite, senders[0]).startswith("250 ")                                              # who asks back may not be asked back
    assert len(probes(suite)) == 2


def test_what_was_found_out_outlives_the_process(suite):
    rcpt(suite, "x@never.test")
    before = len(probes(suite))
    suite.stop()
    data = suite.tool("postconf", "-hx", "data_directory").stdout.strip()
    path = os.path.join(data, "verify_cache.txt")
    assert "x@never.test 2:0:" in open(path).read() and os.stat(path).st_mode & 0o777 == 0o600
    suite.start()
    assert rcpt(suite, "x@never.test").startswith("550 5.1.1 ")
    assert len(probes(suite)) == before


def test_a_full_cache_is_written_without_keeping_anybody(make_suite):
    """whoever asks would wait for the whole file: close() looks at the longest turn of each process"""
    suite = make_suite(start=False, main=SUITE_MAIN + "address_verify_cache_cleanup_interval = 1s\n")
    path, now = os.path.join(suite.dir, "data", "verify_cache.txt"), int(time.time())
    with open(path, "w") as f:
        f.writelines("%d@never.test %d:0:%d:%s\n" % (i, 2 if i else 0, now, "x" * 300) for i in range(30000))
    before = os.stat(path)
    suite.start()
    assert rcpt(suite, "0@never.test").startswith("250 ")
    pombal.wait_for(lambda: os.stat(path).st_ino != before.st_ino)
    assert os.stat(path).st_size == before.st_size


def test_a_probe_of_an_address_in_utf8_says_so(make_suite):
    """smtputf8_autodetect_classes has verify: a server that knows the address refuses it from who does not ask for SMTPUTF8"""
    sink = Sink(ehlo=("SMTPUTF8",))
    s = make_suite(main="smtpd_recipient_restrictions = reject_unverified_recipient, reject_unauth_destination\naddress_verify_poll_delay = 1s\n"
                        "address_verify_poll_count = 20\nrelay_domains = there.test\nrelay_recipient_maps =\n"
                        "transport_maps = inline:{ { there.test = smtp:[127.0.0.1]:%d } }\n" % sink.port)
    raw = pombal.Raw(s.port("smtp"))
    raw.reply()
    said = [raw.ask(command.encode()) for command in ("EHLO c.test", "MAIL FROM:<a@elsewhere.test> SMTPUTF8", "RCPT TO:<josé@there.test>")]
    assert said[2].startswith("250 "), said
    assert [c for c in sink.commands if c.startswith("MAIL ")][0].endswith("> SMTPUTF8") and "RCPT TO:<josé@there.test>" in sink.commands
    raw.close()
    sink.close()


def test_local_users_are_told_with_sendmail(suite):
    suite.tool("sendmail", "-bv", "-f", "alice@example.test", "x@never.test", "alice@example.test")
    report = suite.wait_mail("alice")[0].as_string()
    assert "Action: deliverable" in report and "Action: undeliverable" in report and "Mail Delivery Status Report" in report
