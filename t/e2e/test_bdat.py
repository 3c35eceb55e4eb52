"""BDAT: chunks become the same message as DATA, and nothing in the content of either ends a message here or at the next hop."""
import itertools, re

import pytest

import pombal
from sink import Sink

ENDS = {"lf_lf": b"\n.\n", "cr_cr": b"\r.\r", "cr_lf": b"\r.\n", "lf_cr": b"\n.\r", "lf_crlf": b"\n.\r\n", "crlf_lf": b"\r\n.\n", "cr_crlf": b"\r.\r\n",
        "crlf_cr": b"\r\n.\r", "nul_before": b"\r\n\0.\r\n", "nul_behind": b"\r\n.\0\r\n"}
HIDDEN = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
GO = "MAIL FROM:<s@x.test>\r\nRCPT TO:<%s>\r\n"


@pytest.fixture(scope="module")
def world():
    """.hop takes mail for hop.test, .filter is the before-queue filter of the port "filtered"; "small" takes small messages"""
    s = pombal.Instance(start=False)
    s.hop, s.filter = Sink(), Sink(ehlo=("8BITMIME",))
    s.ports = {name: pombal.free_port() for name in ("filtered", "small")}
    s.add_main("transport_maps = inline:{ hop.test=smtp:[127.0.0.1]:%d }\nrelay_domains = hop.test\nrelay_recipient_maps =\n" % s.hop.port)
    with open(s.etc + "/master.cf", "a") as f:
        f.write("127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_proxy_filter=127.0.0.1:%d\n" % (s.ports["filtered"], s.filter.port))
        f.write("127.0.0.1:%d inet n - n - - smtpd\n  -o message_size_limit=1000\n  -o smtpd_bdat_discard_limit=5000\n" % s.ports["small"])
    s.start()
    yield s
    s.close()
    s.hop.close()
    s.filter.close()


def session(port):
    raw = pombal.Raw(port)
    raw.reply()
    raw.ask("EHLO x")
    return raw


def begin(raw, rcpt="alice@example.test"):
    raw.send(GO % rcpt)
    assert [raw.reply()[:3], raw.reply()[:3]] == ["250", "250"]


def send_bdat(raw, content, sizes):
    """in chunks of these sizes, over and over; the last reply"""
    sizes = itertools.cycle(sizes)
    while True:
        n = next(sizes)
        chunk, content = content[:n], content[n:]
        raw.send(b"BDAT %d%s\r\n" % (len(chunk), b"" if content else b" LAST") + chunk)
        reply = raw.reply()
        if not content:
            return reply
        assert reply == "250 2.0.0 Ok: %d bytes" % len(chunk)


def send_data(raw, content):
    assert raw.ask("DATA").startswith("354")
    raw.send(re.sub(rb"(?m)^\.", b"..", content) + b"\r\n.\r\n")
    return raw.reply()


def test_chunks_of_any_size_are_the_message(world):
    content = b"Subject: bdat\r\nFrom: s@x.test\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@x.test>\r\nX-Long: " + b"l" * 5000 + b"\r\n folded\r\n\r\n.\r\n..\r\nFrom x\r\n" + b"y" * 70000 + b"\r\nlast\r\n"
    raw = session(world.port("smtp"))
    begin(raw)
    assert send_data(raw, content[:-2]).startswith("250 2.0.0 Ok: queued as ")
    for sizes in ([len(content)], [1] * 50 + [100000], [7, 3000], [22, 5000, 1]):
        begin(raw)
        assert re.match(r"250 2.0.0 Ok: \d+ bytes queued as \w+$", send_bdat(raw, content, sizes))
    assert raw.ask("QUIT").startswith("221")
    found = {re.sub(rb"(?s)^.*?(?=Subject:)", b"", m[m.index(b"Subject: bdat"):]) for m in texts(world, 5, "Subject: bdat")}
    assert len(found) == 1 and b"\n.\n..\n" in found.pop()


def texts(world, count, mark):
    """the messages of alice that have it, as bytes"""
    def read():
        found = [m.text.encode("latin-1") for m in world.messages("alice")]
        return [text for text in found if mark.encode() in text]
    pombal.wait_for(lambda: len(read()) >= count)
    return read()


@pytest.mark.parametrize("how", ["data", "bdat"])
@pytest.mark.parametrize("name", sorted(ENDS))
def test_nothing_else_ends_a_message(world, name, how):
    """neither here, nor at the server that it is sent to"""
    mark = "Subject: %s %s" % (name, how)
    content = mark.encode() + b"\r\n\r\ntext" + ENDS[name] + HIDDEN
    raw, before = session(world.port("smtp")), len(world.hop.bursts)
    for rcpt in ("alice@example.test", "x@hop.test"):
        begin(raw, rcpt)
        if how == "bdat":
            reply = send_bdat(raw, content, [len(mark) + 9, 1])
        else: # dots are not doubled: it is about what the server takes for the end
            assert raw.ask("DATA").startswith("354")
            raw.send(content + b"\r\n.\r\n")
            reply = raw.reply()
        assert reply.startswith("250 2.0.0 Ok"), reply
    assert raw.ask("NOOP") == "250 2.0.0 Ok"
    raw.close()
    assert b"smuggled" in texts(world, 1, mark)[0]
    pombal.wait_for(lambda: any(mark.encode() in m for m in world.hop.messages))
    assert not any(m.startswith(b"Subject: smuggled") for m in world.hop.messages)
    wire = b"".join(world.hop.bursts[before:])
    assert not re.search(rb"[^\r]\n|\r[^\n]|\0", wire)


def test_a_refused_chunk_is_thrown_away_within_a_bound(world):
    raw = session(world.ports["small"])
    begin(raw)
    raw.send(b"BDAT 4000\r\n" + b"z" * 4000)
    assert raw.reply() == "552 5.3.4 Chunk exceeds message size limit"
    assert raw.ask("RSET") == "250 2.0.0 Ok"
    begin(raw)
    raw.send(b"BDAT 999999999999 LAST\r\n" + b"z" * 100)
    assert raw.reply() == "552 5.3.4 Chunk exceeds message size limit"
    assert raw.reply() is None
    world.wait_log("a refused chunk of 999999999999 bytes is not read")


def test_a_before_queue_filter_gets_data(world):
    raw = session(world.ports["filtered"])
    begin(raw)
    assert send_bdat(raw, b"Subject: filtered\r\n\r\n.dot\r\nno end", [5]).startswith("250 2.0.0 Ok: queued as SINK")
    text = world.filter.messages[0]
    assert text.endswith(b"Subject: filtered\n\n.dot\nno end") and "DATA" in world.filter.commands and not any("BDAT" in c for c in world.filter.commands)
    begin(raw)
    raw.send(b"BDAT 5\r\nhello")
    assert raw.reply() == "250 2.0.0 Ok: 5 bytes"
    raw.close()
    world.wait_log("lost connection after BDAT")
    assert len(world.filter.messages) == 1
