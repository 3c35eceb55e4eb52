"""IMAP sessions through real clients, and what happens while they are open"""
import imaplib
import os
import re
import shutil
import subprocess
import time

import pytest

import pombal

MESSAGE = b"From: me@example.test\r\nTo: alice@example.test\r\nSubject: %s\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\n%s\r\n"


def ok(result):
    kind, data = result
    assert kind == "OK", (kind, data)
    return data


USERS = 21


@pytest.fixture(scope="module")
def suite():
    s = pombal.Instance(start=False)
    for i in range(USERS):
        s.add_user("im%d" % i)
    s.start()
    s.users = iter(range(USERS))
    yield s
    s.close()


@pytest.fixture
def user(suite):
    """a user for one test alone, so that tests do not see each other's mail"""
    return "im%d" % next(suite.users)


def test_a_session_with_every_command(suite, user):
    c = suite.imap(user)
    for folder in ("Projects", "Projects.Old", "Drafts2"):
        ok(c.create(folder))
    ok(c.subscribe("Projects"))
    assert b"Projects" in b" ".join(ok(c.lsub()))
    names = b" ".join(ok(c.list()))
    assert b"Projects.Old" in names and b"INBOX" in names and b"\\HasChildren" in names
    for i in range(5):
        ok(c.append("Projects", r"(\Seen)" if i % 2 else None, imaplib.Time2Internaldate(1700000000 + i), MESSAGE % (b"m%d" % i, b"body %d" % i)))
    assert ok(c.select("Projects")) == [b"5"]
    assert ok(c.search(None, "UNSEEN")) == [b"1 3 5"]
    assert ok(c.search("UTF-8", "SUBJECT", "m3")) == [b"4"]
    data = ok(c.fetch("2", "(FLAGS UID RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE BODY[TEXT])"))
    assert b"body 1\r\n" == data[0][1] and b'"m1"' in data[0][0] and b"\\Seen" in data[0][0]
    ok(c.store("1:2", "+FLAGS", r"(\Deleted $Work)"))
    ok(c.copy("3", "Drafts2"))
    ok(c.uid("MOVE", "4", "Projects.Old"))
    ok(c.expunge())
    assert ok(c.uid("SEARCH", "ALL")) == [b"3 5"]
    ok(c.check())
    assert b"MESSAGES 1" in ok(c.status("Drafts2", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)"))[0]
    ok(c.close())
    ok(c.rename("Projects", "Done"))
    assert ok(c.select("Done.Old", readonly=True)) == [b"1"]
    ok(c.unselect())
    ok(c.unsubscribe("Projects"))
    ok(c.delete("Done.Old"))
    ok(c.namespace())
    ok(c.noop())
    c.logout()


def raw(suite, user, select="SELECT INBOX"):
    """a connection whose answers are lists of lines"""
    c = pombal.Raw(suite.port("imap"))
    c.line()

    def command(text):
        c.send("x %s\r\n" % text)
        lines = []
        while not lines or not lines[-1].startswith("x "):
            lines.append(c.line())
        assert lines[-1].startswith("x OK"), lines
        return lines[:-1]
    command("LOGIN %s %s" % (user, suite.password))
    command(select)
    return command


def foreign(suite, user, names, seconds=1600000000):
    """files that another program put into a Maildir that no session has opened yet"""
    d = suite.maildir(user)
    owner = os.stat(d)
    for i, name in enumerate(names):
        path = d + "/" + name
        with open(path, "wb") as f:
            f.write(b"From: a@example.test\nSubject: %d\n\nbody %d\n" % (i, i))
        os.chown(path, owner.st_uid, owner.st_gid)
        os.utime(path, (seconds + i, seconds + i))


def test_a_message_that_changed_often_is_told_once(suite, user):
    foreign(suite, user, ["cur/%d.a:2,S" % i for i in range(4)])
    a, b = raw(suite, user), raw(suite, user)
    for _ in range(3):
        a("STORE 2 +FLAGS (\\Flagged)")
        a("STORE 2:3 -FLAGS (\\Seen)")
        a("STORE 2 +FLAGS.SILENT (\\Seen $Work)")
    assert [x for x in b("NOOP") if "FETCH" in x] == ["* 2 FETCH (FLAGS (\\Flagged \\Seen $Work))", "* 3 FETCH (FLAGS ())"]
    assert b("NOOP") == []
    a("COPY 1 INBOX")
    a("STORE 5 +FLAGS (\\Deleted)")
    assert [x for x in b("NOOP") if "RECENT" not in x] == ["* 5 EXISTS"]


def test_the_date_of_a_foreign_file_stays_once_told(suite, user):
    names = ["cur/1.a:2,", "new/2.b"]
    foreign(suite, user, names)
    c = suite.imap(user)
    ok(c.select())
    told = ok(c.fetch("1", "(INTERNALDATE)"))
    foreign(suite, user, [names[0]], 1500000000)
    assert ok(c.search(None, "BEFORE", "1-Jan-2019")) == [b""]
    c.logout()
    c = suite.imap(user)
    ok(c.select())
    assert ok(c.fetch("1", "(INTERNALDATE)")) == told
    assert ok(c.search(None, "SINCE", "1-Jan-2019")) == [b"1 2"]
    c.logout()


def test_a_maildir_that_cannot_be_written_can_be_read(suite, user):
    foreign(suite, user, ["cur/1.a:2,S", "new/2.b"])
    d = suite.maildir(user)
    for sub in ("", "/cur", "/new", "/tmp"):
        os.chmod(d + sub, 0o555)
    try:
        c = suite.imap(user)
        assert ok(c.select(readonly=True)) == [b"2"]
        assert b"body 1" in ok(c.fetch("2", "(FLAGS INTERNALDATE ENVELOPE BODY.PEEK[TEXT])"))[0][1]
        assert b"MESSAGES 2" in ok(c.status("INBOX", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"))[0]
        ok(c.unselect())
        assert ok(c.select(readonly=True)) == [b"2"]
        kind, data = c.append("INBOX", None, None, MESSAGE % (b"no", b"x"))
        assert kind == "NO" and b"[NOPERM]" in data[0]
        c.logout()
    finally:
        for sub in ("", "/cur", "/new", "/tmp"):
            os.chmod(d + sub, 0o700)
    assert not os.path.exists(d + "/pombal.journal")
    c = suite.imap(user)
    assert ok(c.select()) == [b"2"]
    ok(c.append("INBOX", None, None, MESSAGE % (b"yes", b"x")))
    c.logout()


def test_tls_and_starttls(suite, user):
    for c in (suite.imap(user, tls=True), suite.imap(user, login=False)):
        if c.port == suite.port("imap"):
            ok(c.starttls(ssl_context=suite.tls_context()))
            ok(c.login(user, suite.password))
        ok(c.append("INBOX", None, None, MESSAGE % (b"tls", b"x" * 200000)))
        ok(c.select())
        assert len(ok(c.fetch("1", "(BODY.PEEK[])"))[0][1]) > 200000
        c.logout()


def test_mail_that_arrives_wakes_an_idle_connection(suite, user):
    c = suite.imap(user)
    c.select()
    c.send(b"i IDLE\r\n")
    while not c.readline().startswith(b"+"):
        pass
    suite.send(user, subject="news")
    line = b""
    while not line.endswith(b"EXISTS\r\n"):
        line = c.readline()
    assert line == b"* 1 EXISTS\r\n"
    c.send(b"DONE\r\n")
    while not c.readline().startswith(b"i OK"):
        pass
    assert b"news" in ok(c.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])"))[0][1]
    c.logout()


def test_all_connections_of_a_user_share_a_process(suite, user):
    first = suite.imap(user)
    before = suite.pids("imap")
    others = [suite.imap(user) for _ in range(4)]
    assert suite.pids("imap") == before
    for c in others:
        c.select()
    first.append("INBOX", None, None, MESSAGE % (b"shared", b"x"))
    for c in others:
        assert ok(c.noop()) and c.untagged_responses["EXISTS"][-1] == b"1"
    for c in [first] + others:
        c.logout()


def test_another_program_changes_the_maildir(suite, user):
    c = suite.imap(user)
    c.append("INBOX", None, None, MESSAGE % (b"one", b"x"))
    c.select()
    home = suite.maildir(user)
    name = [n for d in ("new", "cur") for n in os.listdir(home + "/" + d)][0]
    sub = "new" if os.path.exists(home + "/new/" + name) else "cur"
    shutil.copy(home + "/" + sub + "/" + name, home + "/tmp/1700000001.other.host")
    os.chown(home + "/tmp/1700000001.other.host", os.stat(home).st_uid, os.stat(home).st_gid)
    os.rename(home + "/tmp/1700000001.other.host", home + "/new/1700000001.other.host")
    pombal.wait_for(lambda: c.noop() and c.untagged_responses.get("EXISTS", [b""])[-1] == b"2")
    assert b"one" in ok(c.fetch("2", "(BODY[HEADER.FIELDS (SUBJECT)])"))[0][1]
    c.logout()


def test_what_is_too_large_is_refused(make_suite):
    s = make_suite(main="imap_append_limit = 100000\nimap_max_line_length = 20000\n")
    c = s.imap()
    kind, data = c.append("INBOX", None, None, b"x" * 100001)
    assert kind == "NO" and b"TOOBIG" in data[0]
    ok(c.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * 90000))
    c.select()
    with pytest.raises(imaplib.IMAP4.error):
        c.search(None, "SUBJECT", '"' + "x" * 30000 + '"')
    c.literal = b"y" * 40000
    with pytest.raises((imaplib.IMAP4.error, imaplib.IMAP4.abort)):
        kind, data = c.uid("SEARCH", "CHARSET", "UTF-8", "TEXT")
        raise imaplib.IMAP4.error(data)
    ok(c.noop())
    c.logout()


def test_a_refused_append_takes_its_literal_with_it(suite, user):
    c = pombal.Raw(suite.port("imap"))
    c.line()
    c.send("l LOGIN %s %s\r\n" % (user, suite.password))
    c.line()
    for arguments in ("INBOX (\\Bogus)", "INBOX (\\Recent)", "INBOX (\\Seen (x))", 'INBOX "garbage"', "(\\Seen)", "nosuch"):
        c.send("a APPEND %s {9+}\r\nz LOGOUT\r\r\nb NOOP\r\n" % arguments)
        found = []
        while not found or not found[-1].startswith("b "):
            found.append(c.line())
        assert found[0].split(" ")[:2] in (["a", "BAD"], ["a", "NO"]) and len(found) == 2, (arguments, found)
    c.close()


def test_a_keyword_has_a_bounded_length(suite, user):
    c = pombal.Raw(suite.port("imap"))
    c.line()

    def command(text):
        c.send("x %s\r\n" % text)
        return c.until("x")[-1]
    command("LOGIN %s %s" % (user, suite.password))
    append = "APPEND INBOX (%s) {14+}\r\nSubject: x\r\n\r\n"
    assert command(append % ("k" * 50)).startswith("x OK")
    assert command(append % ("k" * 51)).startswith("x NO [CANNOT]")
    assert command(append % ("k" * 60000)).startswith("x NO [CANNOT]")
    assert command("SELECT INBOX").startswith("x OK")
    assert command("STORE 1 +FLAGS (%s)" % ("j" * 50)).startswith("x OK")
    assert command("STORE 1 +FLAGS (%s)" % ("j" * 51)).startswith("x NO [CANNOT]")
    assert command('APPEND INBOX "31-Nul-2020 10:00:00 +0000" {14+}\r\nSubject: x\r\n\r\n').startswith("x BAD")
    assert command("FETCH 1:* UID").startswith("x OK")


def test_search_knows_character_sets_in_the_jail(make_suite):
    c = make_suite().imap()
    ok(c.append("INBOX", None, None, "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\n\u041f\u0440\u0438\u0432\u0435\u0442\r\n".encode()))
    c.select()
    for charset in ("KOI8-R", "windows-1251", "UTF-8"):
        c.literal = "\u043f\u0440\u0438\u0432\u0435\u0442".encode(charset)
        assert ok(c.search(charset, "BODY")) == [b"1"], charset
    kind, data = c.search("X-NONE", "BODY", "x")
    assert kind == "NO" and b"BADCHARSET" in data[0]
    c.logout()


def test_curl(suite, user, tmp_path):
    text = tmp_path / "mail"
    text.write_bytes(MESSAGE % (b"curl", b"from curl"))
    base = ["curl", "-sS", "--fail", "-u", "%s:%s" % (user, suite.password)]
    url = "imap://127.0.0.1:%d" % suite.port("imap")
    run = lambda *args: subprocess.run(base + list(args), check=True, capture_output=True, timeout=pombal.PATIENCE).stdout
    run("-T", str(text), url + "/INBOX")
    assert b"INBOX" in run(url)
    assert run(url + "/INBOX/;UID=1").replace(b"\r\n", b"\n") == text.read_bytes().replace(b"\r\n", b"\n")
    assert b"curl" in run(url + "/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert b"* SEARCH 1" in run(url + "/INBOX?SUBJECT%20curl")
    assert b"\\Flagged" in run(url + "/INBOX", "-X", "STORE 1 +FLAGS (\\Flagged)")
    assert b"MESSAGES 1" in run(url, "-X", "STATUS INBOX (MESSAGES)")
    run("--ssl-reqd", "--cacert", suite.dir + "/ca.pem", "imap://localhost:%d/INBOX" % suite.port("imap"), "-X", "NOOP", "--resolve",
        "localhost:%d:127.0.0.1" % suite.port("imap"))


@pytest.mark.skipif(not shutil.which("mbsync"), reason="isync is not installed")
def test_mbsync_both_ways(suite, user, tmp_path):
    c = suite.imap(user)
    for i in range(10):
        ok(c.append("INBOX", None, None, MESSAGE % (b"s%d" % i, b"x")))
    ok(c.create("Sub"))
    (tmp_path / "mail").mkdir()
    (tmp_path / "rc").write_text("""
IMAPAccount a
Host 127.0.0.1
Port %d
User %s
Pass %s
SSLType None
AuthMechs LOGIN

IMAPStore remote
Account a

MaildirStore local
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel c
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
""" % (suite.port("imap"), user, suite.password, tmp_path, tmp_path))
    sync = lambda: subprocess.run(["mbsync", "-c", str(tmp_path / "rc"), "-a"], check=True, capture_output=True, timeout=pombal.PATIENCE)
    local = lambda: [str(p) for d in ("cur", "new") for p in (tmp_path / "mail" / "INBOX" / d).iterdir()]
    sync()
    assert len(local()) == 10 and (tmp_path / "mail" / "Sub").is_dir()
    mine = sorted(local())
    os.unlink(mine[0])
    seen = mine[1].replace("/new/", "/cur/")
    os.rename(mine[1], seen.split(":2,")[0] + ":2,S")
    new = tmp_path / "mail" / "INBOX" / "new" / "1700000000.1.here"
    new.write_bytes((MESSAGE % (b"local", b"y")).replace(b"\r\n", b"\n"))
    sync()
    ok(c.select())
    assert len(ok(c.search(None, "ALL"))[0].split()) == 10
    assert len(ok(c.search(None, "SEEN"))[0].split()) == 1
    assert len(ok(c.search(None, "SUBJECT", "local"))[0].split()) == 1
    c.store("1", "+FLAGS", r"(\Deleted)")
    c.expunge()
    sync()
    assert len(local()) == 9
    c.logout()


# What real mail programs send, beyond what the tests above do.
CLIENTS = [
    'ID ("name" "Thunderbird" "version" "115.0")', "ID NIL", "CAPABILITY", "NAMESPACE", 'LIST "" "*"', 'LSUB "" "*"', 'LIST "" "%"', 'LIST "" "INBOX"',
    "ENABLE CONDSTORE", "STATUS INBOX (UIDNEXT MESSAGES UNSEEN RECENT)", 'SELECT "INBOX"', "UID fetch 1:* (FLAGS)", "UID FETCH 1:2 (UID RFC822.SIZE FLAGS "
    "BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])",
    "UID fetch 1 (UID RFC822.SIZE BODY.PEEK[])", "FETCH 1:* (FLAGS UID)", "UID FETCH 1 (BODY.PEEK[]<0.32768>)", "UID SEARCH UNSEEN", "UID SEARCH RETURN",
    "UID SEARCH UNDELETED SINCE 1-Jan-2020", "SEARCH UNDELETED", 'UID SEARCH HEADER Message-ID "<x@y>"', 'SEARCH CHARSET UTF-8 TEXT "x"', "UID STORE 1 +Flags (\\Seen)",
    "UID STORE 1 +FLAGS.SILENT ($MDNSent)", "UID STORE 1 -FLAGS.SILENT (\\Seen $Forwarded)", 'UID COPY 1 "INBOX"', "UID EXPUNGE 1", "CHECK", "EXPUNGE", "UNSELECT",
    "EXAMINE INBOX", "FETCH 1:1 (UID ENVELOPE BODYSTRUCTURE FLAGS INTERNALDATE RFC822.SIZE)", "FETCH 1 (RFC822.HEADER RFC822.SIZE UID FLAGS INTERNALDATE)",
    "FETCH 1 BODY.PEEK[TEXT]", "FETCH 1 BODY.PEEK[1.MIME]", "UID FETCH 1:* (UID FLAGS)", "CLOSE", 'SUBSCRIBE "INBOX"', 'UNSUBSCRIBE "INBOX"', "NOOP", "LOGOUT",
]


def test_commands_of_real_clients(suite, user):
    suite.send(user, subject="first")
    suite.send(user, subject="second")
    suite.wait_mail(user, 2)
    c = pombal.Raw(suite.port("imap"))
    c.line()
    c.send("x LOGIN %s %s\r\n" % (user, suite.password))
    assert c.line().startswith("x OK")
    for i, command in enumerate(CLIENTS):
        c.send("a%d %s\r\n" % (i, command))
        while True:
            line = c.line()
            literal = re.search(r"\{(\d+)\}$", line)
            if literal:
                c.read(int(literal[1]))
            elif line.startswith("a%d " % i):
                break
        expected = "BAD" if command == "UID SEARCH RETURN" else "OK"
        assert line.split(" ")[1] == expected, (command, line)


def test_an_idle_connection_that_stays_silent_is_told_goodbye(make_suite):
    s = make_suite(main="imap_timeout = 2s\n")
    c = pombal.Raw(s.port("imap"))
    c.line()
    c.send("x LOGIN alice %s\r\n" % s.password)
    c.line()
    assert c.line().startswith("* BYE")
    assert c.line() is None


def test_sessions_outlive_a_reload_and_are_told_when_all_stops(make_suite):
    s = make_suite()
    c = s.imap()
    c.select()
    s.reload()
    d = s.imap()
    ok(d.append("INBOX", None, None, MESSAGE % (b"after the reload", b"x")))
    pombal.wait_for(lambda: c.noop() and c.untagged_responses.get("EXISTS", [b""])[-1] == b"1")
    ok(c.fetch("1", "(ENVELOPE)"))
    s.stop()
    assert c.readline().startswith(b"* BYE")


def test_an_append_in_two_writes_does_not_wait_for_a_delayed_ack(suite, user):
    """imaplib writes the literal and the CRLF behind it apart, with Nagle's algorithm: 40 ms each if the literal is not acknowledged at once"""
    c = suite.imap(user)
    took = []
    for i in range(15):
        start = time.monotonic()
        ok(c.append("INBOX", None, None, MESSAGE % (b"quick %d" % i, b"x")))
        took.append(time.monotonic() - start)
    assert min(took) < 0.035, took


def test_a_long_search_tells_how_far_it_is(suite):
    """the client of a search that takes minutes must not take the server for dead"""
    s = pombal.Instance(main="imap_search_notify_interval = 0s\n", start=False)
    try:
        s.add_user("patient")
        s.start()
        c = s.imap("patient")
        for i in range(3):
            ok(c.append("INBOX", None, None, MESSAGE % (b"m%d" % i, b"x")))
        ok(c.select("INBOX"))
        for _ in range(8):
            ok(c.copy("1:*", "INBOX"))
            ok(c.noop())
        ok(c.search(None, "SUBJECT", "m1"))
        c.send(b"x1 SEARCH " + b"NOT SUBJECT other " * 50 + b"SUBJECT m1\r\n")
        lines = []
        while not lines or not lines[-1].startswith(b"x1 "):
            lines.append(c.readline())
        told = [line for line in lines if line.startswith(b"* OK Searched ")]
        assert told and all(re.fullmatch(rb"\* OK Searched \d+% of the mailbox, ETA \d+:\d\d\r\n", line) for line in told), lines
    finally:
        s.close()


def copies(c, folder, times):
    """twice as many messages each time"""
    for _ in range(times):
        ok(c.copy("1:*", folder))
        ok(c.noop())


def test_a_copyuid_of_thousands_of_uids_is_told_whole(suite, user):
    c = suite.imap(user)
    ok(c.create("Target"))
    for i in range(4):
        ok(c.append("INBOX", None, None, MESSAGE % (b"m%d" % i, b"x")))
    ok(c.select("INBOX"))
    copies(c, "INBOX", 10)
    odd = range(1, 4097, 2)
    answer = ok(c.uid("COPY", ",".join(map(str, odd)), "Target"))[0]
    code = answer or c.untagged_responses["COPYUID"][-1]
    found = re.search(rb"(\d+) ([\d,:]+) ([\d,:]+)", code)
    assert found and found[2] == b",".join(b"%d" % uid for uid in odd) and found[3] == b"1:%d" % len(odd), code[:200]


def bytes_read(suite):
    read = 0
    for pid in suite.pids("imap"):
        try:
            read += int(re.search(r"rchar: (\d+)", open("/proc/%d/io" % pid).read())[1])
        except OSError:
            pass  # another user's session, which has ended
    return read


@pytest.mark.parametrize("section", ["2", "", "TEXT"])
def test_a_large_part_fetched_in_pieces_is_read_once(suite, user, section):
    """the connection keeps the parts of the last message, and where the last piece began"""
    body = b"".join(b"%07d %s\n" % (i, b"x" * 60) for i in range(60000))
    message = b"Subject: large\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\nContent-Type: text/plain\n\n" + body + b"--b--\n"
    c = suite.imap(user)
    ok(c.append("INBOX", None, None, message.replace(b"\n", b"\r\n")))
    ok(c.select("INBOX", readonly=True))
    whole = ok(c.fetch("1", "(BODY.PEEK[%s])" % section))[0][1]
    before, pieces, step = bytes_read(suite), [], 50000
    while not pieces or len(pieces[-1]) == step:
        pieces.append(ok(c.fetch("1", "(BODY.PEEK[%s]<%d.%d>)" % (section, step * len(pieces), step)))[0][1])
    assert b"".join(pieces) == whole
    assert bytes_read(suite) - before < 6 * len(whole)
    # Not in order, too.
    for at in (2000000, 10, 100000, 99999, len(whole) - 5):
        assert ok(c.fetch("1", "(BODY.PEEK[%s]<%d.1000>)" % (section, at)))[0][1] == whole[at:at + 1000]
