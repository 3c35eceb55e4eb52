"""A queue of either suite is read and delivered by the other."""
import glob, os, re, shutil, smtplib, socket, subprocess

import pytest
import milter
from agents import Agent, MiniSuite, content
from pombal import BIN, wait_for
from real_postfix import HAVE, SendingPostfix, Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Debian's Postfix and root")
LONG = "L" * 5000


def fill(port, domain="far.test"):
    """messages of all kinds, each to somebody who cannot be reached now"""
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
        s.sendmail("plain@x.test", ["a+b@" + domain, "c@" + domain], "Subject: plain\r\n\r\none\r\n.dot\r\n%s\r\nend\r\n" % LONG)
        s.ehlo("cl.test")
        s.docmd("MAIL FROM:<dsn@x.test> RET=HDRS ENVID=QQ314159 BODY=8BITMIME")
        s.docmd("RCPT TO:<d+e@%s> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;orig@where.test" % domain)
        s.docmd("DATA")
        s.send(b"Subject: 8bit\r\n\r\n\xc3\xa9\r\n.\r\n")
        s.getreply()
        s.sendmail("", ["null@" + domain], "Subject: null\r\n\r\nx\r\n")
        s.sendmail("q@x.test", ['"a b"@' + domain], "Subject: quoted\r\n\r\nx\r\n")
        s.sendmail("many@x.test", ["m%d@%s" % (i, domain) for i in range(60)], "Subject: many\r\n\r\n" + "line\r\n" * 20000)


def files(queue):
    return sorted(p for p in glob.glob(queue + "/deferred/**", recursive=True) if os.path.isfile(p))


EXPECTED = {"plain@x.test": {"a+b@far.test", "c@far.test"}, "dsn@x.test": {"d+e@far.test"}, "": {"null@far.test"},
            "q@x.test": {'"a b"@far.test'}, "many@x.test": {"m%d@far.test" % i for i in range(60)}}


def postcats_agree(real, suite, paths, ways=([], ["-e"], ["-h"], ["-b"], ["-bh"], ["-o"], ["-d", "-o"], ["-v", "-e"])):
    for path in paths:
        for options in ways:
            theirs = real.run("postcat", *options, path)
            ours = subprocess.run([BIN + "/postcat", "-c", suite.etc] + options + [path], capture_output=True, text=True)
            assert ours.stdout == theirs.stdout, (path, options)
            assert ours.returncode == theirs.returncode


@pytest.mark.parametrize("long_ids", ["no", "yes"])
def test_postfixs_queue_is_delivered_by_ours(long_ids):
    with SendingPostfix(main="enable_long_queue_ids = %s\n" % long_ids) as real, MiniSuite(start=False) as s:
        real.start()
        wait_for(lambda: fill(real.port) or True)
        wait_for(lambda: len(files(real.queue)) == 5)
        listing = real.run("postqueue", "-p").stdout
        real.stop()
        postcats_agree(real, s, files(real.queue))
        s.add_main("queue_directory = %s\nenable_long_queue_ids = %s\n" % (real.queue, long_ids))
        s.queue = real.queue
        ours = s.tool("postqueue", "-p").stdout
        assert sorted(ours.split("\n")) == sorted(listing.split("\n"))
        # One recipient was delivered before: it must not be again.
        path = [p for p in files(real.queue) if b"m59@far.test" in open(p, "rb").read()][0]
        data = open(path, "rb").read()
        open(path, "wb").write(data.replace(b"R\x0cm59@far.test", b"D\x0cm59@far.test"))
        seen = {}

        def policy(d):
            seen.setdefault(d.sender, [set(), content(s, d), d.attrs])[0].update(d.to)
            return "d" * len(d.to)

        with Agent(s, "fake", policy):  # its socket is there before the daemons
            s.start()
            s.tool("postqueue", "-f")
            s.wait_queue_empty()
        EXPECT = {k: set(v) for k, v in EXPECTED.items()}
        EXPECT["many@x.test"].discard("m59@far.test")
        EXPECT["q@x.test"] = {"a b@far.test"}  # as it is told inside of the suite
        assert {k: v[0] for k, v in seen.items()} == EXPECT
        assert LONG in seen["plain@x.test"][1] and seen["many@x.test"][1].count("line\n") == 20000
        assert seen["dsn@x.test"][2]["envelope_id"] == "QQ314159" and seen["dsn@x.test"][2]["encoding"] == "8bit"
        assert not glob.glob(real.queue + "/defer/*/*")


@pytest.mark.parametrize("long_ids", ["no", "yes"])
def test_our_queue_is_delivered_by_postfix(long_ids):
    sink = Sink()
    main = "enable_long_queue_ids = %s\n" % long_ids
    with MiniSuite(main) as s, SendingPostfix(queue=s.queue, sink=sink.port, main=main) as real:
        with Agent(s, "fake", lambda d: "l" * len(d.to)):
            fill(s.smtp_port)
            wait_for(lambda: len(files(s.queue)) == 5)
            ours = s.tool("postqueue", "-p").stdout
        s.stop()
        postcats_agree(real, s, files(s.queue))
        real.start()
        wait_for(lambda: "daemon started" in real.log())
        theirs = real.run("postqueue", "-p").stdout
        assert sorted(theirs.split("\n")) == sorted(ours.split("\n"))
        # A flush that comes while Postfix's queue manager starts is lost: ask again.
        wait_for(lambda: real.log().count(": removed") == 5 or real.run("postqueue", "-f") is None, every=1)
        got = {}
        for sender, to, text in sink.mails:
            got.setdefault(sender, set()).update(to)
        assert got == EXPECTED
        text = [t for f, _, t in sink.mails if f == "plain@x.test"][0]
        assert "Subject: plain" in text and "\r\n..dot\r\n" in text
        assert not re.search("warning|fatal|corrupt", real.log()), real.log()
        assert not glob.glob(s.queue + "/defer/*/*")
    sink.close()


def test_a_fresh_message_in_incoming_is_taken_over_both_ways():
    """what was accepted in the last moment before the change"""
    sink = Sink()
    with MiniSuite() as s, SendingPostfix(queue=s.queue, sink=sink.port) as real:
        id = s.send("a@far.test")
        s.stop()
        assert s.queue_files("active") or s.queue_files("incoming") or s.queue_files("deferred")
        real.start()
        wait_for(lambda: sink.mails or real.run("postqueue", "-f") is None, every=1)
        wait_for(lambda: "%s: removed" % id in real.log())
        real.stop()
    sink.close()


def test_logs_of_deferred_mail_serve_both():
    """what one suite put off is returned by the other with the reason that the first one wrote"""
    with SendingPostfix() as real, MiniSuite(start=False) as s:
        real.start()
        with smtplib.SMTP("127.0.0.1", real.port, timeout=60) as c:
            c.sendmail("s@x.test", ["a@far.test"], "Subject: x\r\n\r\nx\r\n")
        wait_for(lambda: files(real.queue))
        real.stop()
        id = os.path.basename(files(real.queue)[0])
        s.add_main("queue_directory = %s\n" % real.queue)
        s.queue = real.queue
        s.tool("postsuper", "-e", id)
        reports = []

        def policy(d):
            reports.append(content(s, d))
            return "d"

        with Agent(s, "fake", policy):  # its socket is there before the daemons
            s.start()
            s.tool("postqueue", "-f")
            wait_for(lambda: reports)
            assert "Connection refused" in reports[0] and "Final-Recipient: rfc822; a@far.test" in reports[0]
            s.wait_log("%s: removed" % id)


def record(type, text):
    n, length = len(text), b""
    while n > 127:
        length += bytes([n & 127 | 128])
        n >>= 7
    return type + length + bytes([n]) + text


def old_file(path, owner):
    """a file of a Postfix of long ago: no attributes, and recipients behind the content; one of them is done"""
    early = record(b"T", b"1700000000") + record(b"S", b"s@x.test") + record(b"R", b"early@far.test") + record(b"D", b"done1@far.test")
    content = b"".join(record(b"N", line) for line in (b"Subject: old", b"", b"body")) + record(b"X", b"")
    late = record(b"A", b"notify_flags=1") + record(b"O", b"orig@far.test") + record(b"R", b"late1@far.test") + \
        record(b"O", b"gone@far.test") + record(b"D", b"done2@far.test") + record(b"R", b"late2@far.test") + record(b"E", b"")
    with open(path, "wb") as f:
        f.write(record(b"C", b"%15d" % len(content)) + early + record(b"M", b"") + content + late)
    os.chmod(path, 0o700)
    os.chown(path, owner.st_uid, owner.st_gid)


def test_recipients_behind_the_content_survive_a_requeue():
    seen = []
    for ours in (True, False):
        sink = Sink()
        with (MiniSuite(start=False) if ours else SendingPostfix(sink=sink.port)) as s:
            s.start()
            if ours:
                s.add_main("default_transport = smtp:[127.0.0.1]:%d\n" % sink.port)
                s.add_master("smtp unix - - n - - smtp\n")
                s.tool("pombal", "reload")
            old_file(s.queue + "/hold/ABCDE12345", os.stat(s.queue + "/hold"))
            run = s.tool if ours else s.run
            run("postsuper", "-r", "ABCDE12345")
            wait_for(lambda: run("postkick", "public", "pickup", "W", check=False) and
                     {r for m in sink.mails for r in m[1]} >= {"early@far.test", "late1@far.test", "late2@far.test"}, every=0.5)
            assert all("Subject: old" in m[2] for m in sink.mails)
            seen.append(sorted(r for m in sink.mails for r in m[1]))
        sink.close()
    assert seen[0] == seen[1] == ["early@far.test", "late1@far.test", "late2@far.test"]


def test_both_postcats_follow_edits_in_place(tmp_path):
    """the file is made by a unit test: headers put in, changed and removed, another sender and body"""
    path = str(tmp_path / "edited")
    subprocess.run([os.path.dirname(BIN) + "/unit/test_qedit"], env=dict(os.environ, QEDIT_KEEP=path), check=True, capture_output=True)
    with SendingPostfix() as real, MiniSuite(start=False) as s:
        postcats_agree(real, s, [path], ([], ["-e"], ["-h"], ["-b"], ["-bh"], ["-o"], ["-v"]))
        text = real.run("postcat", path).stdout
        assert "sender: again@x.test" in text and "\nTop: y\nTop: x\nThird: 1\nSubject: s\n folded\nA: 3\nB: 2\nC: 1\nD: 1\n\ntwo\n" in text


def test_what_a_milter_changed_in_postfixs_queue_is_read_and_delivered():
    """fields put in, changed, removed; another sender and body; recipients come and go; also those that a header_checks BCC adds"""
    body = "".join("other line %d\r\n" % i for i in range(3000))
    m = milter.Milter(milter.insert_header(0, "X-Top", "1"), milter.insert_header(2, "X-Third", "a\n b"), milter.add_header("X-Last", "z"),
                      milter.change_header(1, "Subject", "other"), milter.change_header(2, "X-Twice", ""), milter.change_header(1, "X-Long", "short"),
                      milter.change_header(1, "X-Top", "2"), milter.add_header("X-Last", "again"), milter.change_header(9, "X-New", "there"),
                      milter.change_sender("other@x.test"), milter.add_rcpt("added@far.test"), milter.drop_rcpt("one@far.test"),
                      milter.add_rcpt("late@far.test"), milter.drop_rcpt("added@far.test"), milter.replace_body(body))
    main = "smtpd_milters = inet:127.0.0.1:%d\nmilter_default_action = tempfail\nheader_checks = regexp:{{/^X-Bcc/ BCC copy@far.test}}\n" % m.port
    with SendingPostfix(main=main) as real, MiniSuite(start=False) as s:
        real.start()
        with smtplib.SMTP("127.0.0.1", real.port, timeout=60) as c:
            c.sendmail("s@x.test", ["one@far.test", "two@far.test"],
                       "X-Bcc: y\r\nSubject: s\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Long: %s\r\n\tfolded\r\n\r\nfirst\r\n%s" % ("l" * 900, "line\r\n" * 3000))
        wait_for(lambda: len(files(real.queue)) == 1)
        listing = real.run("postqueue", "-p").stdout
        real.stop()
        postcats_agree(real, s, files(real.queue), ([], ["-e"], ["-h"], ["-b"], ["-bh"], ["-o"], ["-v"]))
        text = real.run("postcat", "-bh", files(real.queue)[0]).stdout
        s.add_main("queue_directory = %s\n" % real.queue)
        s.queue = real.queue
        assert sorted(s.tool("postqueue", "-p").stdout.split("\n")) == sorted(listing.split("\n"))
        sink = Sink()
        s.add_main("default_transport = smtp:[127.0.0.1]:%d\n" % sink.port)
        s.add_master("smtp unix - - n - - smtp\n")
        s.start()
        s.tool("postqueue", "-f")
        s.wait_queue_empty()
        sink.close()
        assert {x[0] for x in sink.mails} == {"other@x.test"}
        assert sorted(r for x in sink.mails for r in x[1]) == ["copy@far.test", "late@far.test", "two@far.test"]
        assert all(x[2].replace("\r\n", "\n") == text for x in sink.mails), sink.mails[0][2][:500]
        assert "X-Third: a\n b\n" in text and "X-Last: z\n" in text and "X-New: there\n" in text and text.endswith("other line 2999\n")
        assert "X-Long: short\n" in text and "X-Twice: 1\n" in text and "X-Twice: 2" not in text
    m.close()


EDIT = 64  # SUBMIT_EDIT
POINTER = 17  # bytes of such a record


def submit(suite, flags, body):
    """hands a message to cleanup as smtpd does"""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(suite.queue + "/public/cleanup")
    s.sendall(b"request\0submit\0flags\0%d\0\0" % flags + record(b"A", b"rewrite_context=remote") + record(b"S", b"s@x.test") + record(b"R", b"one@far.test") + record(b"M", b"") +
              b"".join(record(b"N", line) for line in [b"Subject: s", b"X-Long: " + b"l" * 300, b"\tfolded"] + body) + record(b"X", b"") + record(b"E", b""))
    assert b"status\0ok" in s.recv(1000)
    s.close()


def go_on(data, at):
    """the place of the empty gap behind that record and its padding"""
    size = 2 + data[at + 1]
    at += size if data[at + size:at + size + 1] != b"w" else size + 2 + data[at + size + 1]
    assert data[at:at + POINTER] == b"p\x0f%15d" % 0
    return at


def fill_gap(data, gap, records):
    """what is put into a gap stands at the end of the file and leads back; the gap leads to it"""
    to, behind = len(data), gap + POINTER
    return data[:gap] + b"p\x0f%15d" % to + data[behind:] + records + b"p\x0f%15d" % behind


@pytest.mark.parametrize("body", [[b"", b"first"] + [b"line"] * 3000, [b"no empty line"], [b""], []])
def test_the_gaps_that_cleanup_leaves_can_be_filled(body):
    """for whoever may change a message: both postcats and both suites pass over them, and follow what is put in"""
    sink = Sink()
    with MiniSuite(start=False) as s, SendingPostfix(queue=s.queue, sink=sink.port) as real:
        s.add_main("default_transport = smtp:[127.0.0.1]:%d\ndefer_transports = smtp\n" % sink.port)
        s.add_master("smtp unix - - n - - smtp\n")
        s.start()
        submit(s, 0, body)
        wait_for(lambda: len(files(s.queue)) == 1)
        plain = open(files(s.queue)[0], "rb").read()
        for _ in range(2):
            submit(s, EDIT, body)
        wait_for(lambda: len(files(s.queue)) == 3)
        left, filled = [p for p in files(s.queue) if b"p\x0f" in open(p, "rb").read()]
        data = open(filled, "rb").read()
        data = data[:34] + b"%15d" % 2 + data[49:]  # recipients, in the record of sizes
        data = fill_gap(data, go_on(data, data.index(record(b"R", b"one@far.test"))), record(b"O", b"two@far.test") + record(b"R", b"two@far.test"))
        open(filled, "wb").write(fill_gap(data, go_on(data, data.index(record(b"N", b"\tfolded"))), record(b"N", b"X-Added: 1")))
        s.stop()
        postcats_agree(real, s, files(s.queue), ([], ["-e"], ["-h"], ["-b"], ["-bh"], ["-o"], ["-v"]))
        text = {p: real.run("postcat", "-bh", p).stdout for p in files(s.queue)}
        assert b"p\x0f" not in plain
        assert text[left] == [text[p] for p in text if p not in (left, filled)][0]
        assert text[filled] == re.sub("\tfolded\n", "\tfolded\nX-Added: 1\n", text[left])
        real.start()
        wait_for(lambda: len([r for m in sink.mails for r in m[1]]) >= 4 or real.run("postqueue", "-f") is None, every=1)
        wait_for(lambda: real.log().count(": removed") == 3)
        assert not re.search("warning|fatal|corrupt", real.log()), real.log()
        sent = [(r, "X-Added: 1" in m[2]) for m in sink.mails for r in m[1]]
        assert sorted(sent) == [("one@far.test", False), ("one@far.test", False), ("one@far.test", True), ("two@far.test", True)]
        assert {m[2].replace("X-Added: 1\r\n", "").replace("\r\n", "\n") for m in sink.mails} == {text[left]}
    sink.close()
