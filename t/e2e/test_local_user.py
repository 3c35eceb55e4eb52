"""A local user without rights: what he hands to the set-gid tools, and how he starts them."""
import os, resource, signal, subprocess

import pytest

import pombal
from pombal import IS_ROOT, wait_for
from sink import Sink

NOBODY = 65534


def records(*pairs):
    """queue file records of a new message, as sendmail writes them"""
    def length(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + length(n >> 7)
    return b"".join(t.encode() + length(len(d)) + d for t, d in
                    pairs + (("M", b""), ("N", b"Subject: x"), ("N", b""), ("N", b"text"), ("X", b""), ("E", b"")))


def drop(suite, data, **more):
    return subprocess.run([pombal.BIN + "/postdrop", "-r", "-c", suite.etc], input=data, capture_output=True, timeout=pombal.PATIENCE,
                          **more)


# ---- what records say

@pytest.fixture(scope="module")
def sink():
    s = Sink(ehlo=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"))
    yield s
    s.close()


EVIL = b"\r\nRCPT TO:<evil@x.test>\r\n"
RECORDS = {
    "sender": (("S", b"a" + EVIL + b"@b.test"), ("R", b"to@sink.test")),
    "recipient": (("S", b"a@b.test"), ("R", b"to" + EVIL + b"@sink.test")),
    "recipient's domain": (("S", b"a@b.test"), ("R", b"to@sink.test" + EVIL)),
    "original recipient's type": (("S", b"a@b.test"), ("A", b"dsn_orig_rcpt=x" + EVIL + b";to@sink.test"), ("R", b"to@sink.test")),
    "original recipient": (("S", b"a@b.test"), ("A", b"dsn_orig_rcpt=rfc822;x" + EVIL), ("R", b"to@sink.test")),
    "envelope id": (("A", b"envelope_id=x" + EVIL), ("S", b"a@b.test"), ("R", b"to@sink.test")),
    "full name": (("F", b"x\nRCPT TO:<evil@x.test>"), ("S", b"a@b.test"), ("R", b"to@sink.test")),
}


@pytest.mark.parametrize("what", RECORDS)
def test_no_record_of_a_local_message_becomes_a_command_or_a_header_field(suite, sink, what):
    suite.add_main("default_transport = smtp:[127.0.0.1]:%d\nundisclosed_recipients_header = To: undisclosed-recipients:;\n" % sink.port)
    suite.reload()
    del sink.commands[:], sink.messages[:]
    before = suite.log().count(": removed")
    assert drop(suite, records(*RECORDS[what])).returncode == 0
    suite.wait_log(": removed", before + 1)
    assert not [c for c in sink.commands if c.startswith("RCPT TO:<evil")], sink.commands
    assert not [line for m in sink.messages for line in m.split(b"\n") if line.startswith((b"RCPT TO", b"\rRCPT"))], sink.messages


@pytest.mark.parametrize("sender", [b"a\nX-Evil: 1@b.test", b"\"a\n\nFrom x@b.test\n\"@b.test"])
def test_no_sender_of_a_local_message_becomes_a_line_of_the_mailbox(suite, sender):
    before = len(suite.messages("alice"))
    assert drop(suite, records(("S", sender), ("R", b"alice@example.test"))).returncode == 0
    suite.wait_mail("alice", before + 1)
    for text in suite.messages("alice"):
        text = text if isinstance(text, bytes) else str(text).encode()
        assert b"\nX-Evil" not in text and b"\nFrom x" not in text, text


@pytest.mark.parametrize("name", ["log_as=postfix/smtpd[1]", "log_text=client=forged", "sasl_username=boss", "log_client_address=9.9.9.9",
                                  "prepend=X-Evil: 1", "received_before=X-Evil: 1", "log_ident=X1", "create_time=1"])
def test_a_local_user_sets_no_attribute_that_the_suite_sets(suite, name):
    seen = suite.log().count(": removed")
    before = len(suite.messages("bob"))
    assert drop(suite, records(("A", name.encode()), ("S", b"a@b.test"), ("R", b"bob@example.test"))).returncode == 0
    suite.wait_mail("bob", before + 1)
    suite.wait_log(": removed", seen + 1)
    for word in ("forged", "boss", "9.9.9.9", "smtpd[1]"):
        assert word not in suite.log()
    assert "X-Evil" not in "".join(str(m) for m in suite.messages("bob"))


SENDER, RCPT = ("S", b"a@b.test"), ("R", b"bob@example.test")


def attributes(n):
    return tuple(("A", b"envelope_id=%d" % i) for i in range(n))


def test_what_can_never_be_taken_is_not_tried_for_ever(make_suite):
    """and with it each new local mail would have to wait"""
    suite = make_suite()
    for text, wrong in (("two senders", (SENDER, SENDER, RCPT)), ("no sender in front of a recipient", (RCPT,)),
                        ("no sender in front of a recipient", (RCPT, SENDER)), ("no sender", ()), ("no recipients specified", (SENDER,)),
                        ("too many attributes", attributes(100) + (SENDER, RCPT))):
        dropped = drop(suite, records(*wrong))
        assert dropped.returncode == 0
        id = dropped.stdout.decode().strip()
        suite.wait_log("pickup.*: warning: maildrop/%s: %s: moved to the corrupt queue" % (id, text))
        wait_for(lambda: [f for f in suite.queue_files("corrupt") if f.endswith(id)])
        assert not [f for f in suite.queue_files("maildrop") if f.endswith(id)]
    assert drop(suite, records(*attributes(99), ("A", b"encoding=7bit"), SENDER, RCPT)).returncode == 0
    suite.wait_mail("bob")


def test_one_with_too_many_recipients_is_not_tried_for_ever(make_suite):
    suite = make_suite(main="cleanup_memory_limit = 2000000\n")
    many = tuple(("R", b"r%d@discard.test" % i) for i in range(100000))  # more than is on the way when cleanup knows
    assert drop(suite, records(SENDER, *many)).returncode == 0
    suite.wait_log("pickup.*: warning: maildrop/.*: message needs too much memory: see cleanup_memory_limit: moved to the corrupt queue")
    wait_for(lambda: len(suite.queue_files("corrupt")) == 1 and not suite.queue_files("maildrop"))
    assert drop(suite, records(SENDER, RCPT)).returncode == 0
    suite.wait_mail("bob")


# ---- how tools are started

def closed(*fds):
    def act():
        for fd in fds:
            os.close(fd)
    return act


@pytest.mark.parametrize("fds", [(1,), (2,), (1, 2)])
def test_with_closed_descriptors_nothing_but_records_gets_into_a_queue_file(suite, fds):
    """the file would be descriptor 1 or 2, and the queue id or a warning would be written into it"""
    before = len(suite.messages("carol")) if os.path.isdir(suite.maildir("carol")) else 0
    seen = suite.log().count(": removed")
    done = subprocess.run([pombal.BIN + "/postdrop", "-r", "-v", "-c", suite.etc], input=records(("S", b"a@b.test"), ("R", b"bob@example.test")),
                          preexec_fn=closed(*fds), timeout=pombal.PATIENCE, stdout=None if 1 in fds else subprocess.DEVNULL)
    assert done.returncode == 0
    suite.wait_log(": removed", seen + 1)
    assert "corrupt" not in suite.log() and not suite.queue_files("corrupt")


# ---- what lies in a mailbox

IN_MAILBOX = ("pombal.journal", "pombal.journal.new", "pombal.cache", "pombal.cache.new", "pombal.uidvalidity", "pombal.lock", "subscriptions",
              "subscriptions.new", "dovecot-uidlist", "dovecot-uidlist.tmp", "dovecot-keywords", "dovecot-keywords.tmp", "maildirfolder")


@pytest.mark.parametrize("name", IN_MAILBOX)
def test_a_fifo_in_a_mailbox_holds_up_nobody(suite, name):
    """whoever opens it waits for the other end, and with him all that his process delivers and serves"""
    path = suite.maildir("alice") + "/" + name
    owner = os.stat(suite.maildir("alice"))
    if os.path.lexists(path):
        os.unlink(path)
    os.mkfifo(path)
    os.chown(path, owner.st_uid, owner.st_gid)
    before = len(suite.messages("bob"))
    suite.send("alice")
    suite.send("bob")
    suite.wait_mail("bob", before + 1)
    c = suite.imap("alice")
    c.sock.settimeout(pombal.PATIENCE)
    for ask in (c.select, c.lsub, lambda: c.subscribe("INBOX"), lambda: c.status("INBOX", "(MESSAGES)"), c.logout):
        ask()
    os.unlink(path)
