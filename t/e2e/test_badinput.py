"""What is wrong gets a clear answer, and nothing is lost."""
import os, re, shutil, smtplib, socket, subprocess, sys, time

import pytest

import pombal

sys.path.append(pombal.TOP + "/t/compat")
import milter  # noqa: E402

SUITE_MAIN = "smtpd_timeout = 20s\nmessage_size_limit = 200000\nsmtpd_hard_error_limit = 8\n"


def smtp(suite):
    raw = pombal.Raw(suite.port("smtp"))
    assert raw.reply().startswith("220 ")
    assert raw.ask("EHLO client.test").startswith("250")
    return raw


def envelope(raw, to="alice@example.test"):
    assert raw.ask("MAIL FROM:<a@elsewhere.test>").startswith("250")
    assert raw.ask("RCPT TO:<%s>" % to).startswith("250")
    assert raw.ask("DATA").startswith("354")


# ---- SMTP

def test_smtp_over_long_command_is_refused_and_the_session_goes_on(suite):
    raw = smtp(suite)
    assert raw.ask("MAIL FROM:<" + "a" * 5000 + "@x.test>")[:1] == "5"
    assert raw.ask("NOOP").startswith("250")
    raw.close()


def test_smtp_an_endless_line_does_not_grow_the_process(suite):
    raw = smtp(suite)
    for _ in range(200):
        raw.send(b"x" * 65536)
    raw.send("\r\n")
    assert raw.reply()[:1] in "45"
    raw.close()


@pytest.mark.parametrize("command", [b"\x00\x00", b"MAIL FROM:<a\x00b@x.test>", b"\xff\xfe\xfd", b"EHLO\r", b" ",
                                     b"MAIL", b"MAIL FROM", b"MAIL FROM:<a@b", b"RCPT TO:<<a@b>>", b"DATA now", b"STARTTLS x", b"AUTH"])
def test_smtp_garbage_gets_5yz_and_the_session_goes_on(suite, command):
    raw = smtp(suite)
    assert raw.ask(command)[:1] == "5"
    assert raw.ask("NOOP").startswith("250")
    raw.close()


@pytest.mark.parametrize("ending", ["\n.\n", "\r.\r", "\r\n.\r", "\r\n.\n", "\n.\r\n", "\r.\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n"])
def test_smtp_bare_cr_or_lf_never_ends_a_message(suite, ending):
    raw = smtp(suite)
    envelope(raw)
    mark = "smuggle%d" % abs(hash(ending))
    raw.send("Subject: %s\r\n\r\nbefore" % mark + ending +
             "MAIL FROM:<evil@elsewhere.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: second %s\r\n\r\nx\r\n.\r\n" % mark)
    answer = raw.reply()
    assert answer[:1] in "245"
    rest = raw.ask("NOOP")
    assert rest is None or rest[:1] in "245"
    raw.close()
    if answer.startswith("2"):
        suite.wait_mail("alice", match=mark)
    suite.wait_queue_empty()
    assert not [m for m in suite.messages("bob") if "second " + mark in (m["Subject"] or "")]


def test_smtp_commands_before_tls_are_not_taken_as_inside_it(suite):
    raw = smtp(suite)
    raw.send("STARTTLS\r\nRSET\r\nMAIL FROM:<evil@elsewhere.test>\r\n")
    assert raw.reply()[:1] in "25"
    try:
        tls = suite.tls_context().wrap_socket(raw.sock, server_hostname="localhost")
        tls.sendall(b"NOOP\r\n")
        tls.settimeout(5)
        assert tls.recv(1000).count(b"250") <= 1
    except OSError:
        pass  # refused: as good


def test_smtp_too_large_a_message_is_refused_early_and_late(suite):
    raw = smtp(suite)
    assert raw.ask("MAIL FROM:<a@elsewhere.test> SIZE=300000").startswith("552 5.3.4")
    envelope(raw)
    raw.send(("y" * 70 + "\r\n") * 4000 + ".\r\n")
    assert raw.reply().startswith("552 5.3.4")
    assert raw.ask("NOOP").startswith("250")
    raw.close()
    suite.wait_queue_empty()


def test_smtp_too_many_errors_end_the_session(suite):
    raw = smtp(suite)
    answers = []
    try:
        for _ in range(12):
            answers.append(raw.ask("BOGUS"))
    except OSError:
        pass  # closed under our hands
    assert [a for a in answers if a and a.startswith("421 4.7.0")]
    suite.wait_log(r"too many errors after")


def test_smtp_half_a_message_is_forgotten(suite):
    raw = smtp(suite)
    envelope(raw)
    raw.send("Subject: half\r\n\r\nnever ends")
    raw.close()
    suite.wait_log(r"lost connection after DATA .*from \S+\[127\.0\.0\.1\]")
    suite.wait_queue_empty()
    assert not [m for m in suite.messages("alice") if m["Subject"] == "half"]


def test_smtp_8bit_and_nul_content_arrives_or_is_refused_whole(suite):
    raw = smtp(suite)
    envelope(raw)
    raw.send(b"Subject: eightbit\r\n\r\n\x80\xff\xfe g\xc3\xbc\r\n" + b"z" * 50000 + b"\r\n.\r\n")
    assert raw.reply().startswith("250")
    raw.close()
    body = suite.wait_mail("alice", match="eightbit")[0].get_payload(decode=True)
    assert b"\x80\xff\xfe g\xc3\xbc\n" in body and b"z" * 50000 in body.replace(b"\n ", b"").replace(b"\n", b"")


# ---- POP3 and IMAP

@pytest.mark.parametrize("data", [b"\x00\xff\r\n", b"USER " + b"a" * 70000 + b"\r\n", b"PASS\r\n", b"RETR 1\r\n", b"APOP x y\r\n", b"AUTH FOO\r\n",
                                  b"USER a\x00b\r\n", b"\r\n"])
def test_pop3_garbage_before_login_is_an_error(suite, data):
    raw = pombal.Raw(suite.port("pop3"))
    assert raw.line().startswith("+OK")
    raw.send(data)
    answer = raw.line()
    assert answer is None or answer.startswith(("-ERR", "+OK")) and not (data.startswith(b"RETR") and answer.startswith("+OK"))
    raw.close()
    assert suite.pop3("alice").quit().startswith(b"+OK")


@pytest.mark.parametrize("command", ["RETR", "RETR 0", "RETR 99999", "RETR x", "RETR 4294967297", "DELE -1", "TOP 1", "TOP 1 -1", "LIST x", "UIDL \x01",
                                     "NOOP" + "x" * 4000, "STAT?", "", "DELE 18446744073709551617"])
def test_pop3_garbage_after_login_is_an_error_and_the_session_goes_on(suite, command):
    raw = pombal.Raw(suite.port("pop3"))
    raw.line()
    for line in ("USER alice", "PASS " + suite.password):
        raw.send(line + "\r\n")
        assert raw.line().startswith("+OK")
    raw.send(command + "\r\n")
    assert raw.line().startswith("-ERR")
    raw.send("NOOP\r\n")
    assert raw.line().startswith("+OK")
    raw.send("QUIT\r\n")
    assert raw.line().startswith("+OK")
    raw.close()


@pytest.mark.parametrize("data", [b"\x00\r\n", b"a\r\n", b"a LOGIN\r\n", b"a LOGIN {99999999999}\r\n", b"a LOGIN {10000000}\r\n", b"* BAD x\r\n",
                                  b"a " + b"x" * 200000 + b"\r\n", b"a SELECT INBOX\r\n", b"a LOGIN \"x\r\n", b"a AUTHENTICATE FOO\r\n", b"\xff\xfe\r\n"])
def test_imap_garbage_before_login_is_answered_with_bad_no_or_bye(suite, data):
    raw = pombal.Raw(suite.port("imap"))
    assert raw.line().startswith("* OK")
    raw.send(data)
    answer = raw.line()
    assert answer is None or re.match(r"(\*|\S+) (BAD|NO|BYE)", answer), answer
    raw.close()
    assert suite.imap("alice").logout()[0] == "BYE"


def test_an_endless_list_before_login_ends_the_connection(suite):
    raw = pombal.Raw(suite.port("imap"))
    raw.line()
    raw.send(b'a ID ("x" {10+}\r\n' + b"0123456789 {10+}\r\n" * 58 + b"0123456789)\r\n")
    assert raw.until("a")[-1].startswith("a OK")
    raw.send(b'b ID ("x" {10+}\r\n' + b"0123456789 {10+}\r\n" * 1000)
    assert raw.line().startswith("* BYE")
    raw.close()


def imap(suite):
    raw = pombal.Raw(suite.port("imap"))
    raw.line()
    raw.send("l LOGIN alice %s\r\n" % suite.password)
    assert raw.until("l")[-1].startswith("l OK")
    raw.send("s SELECT INBOX\r\n")
    assert raw.until("s")[-1].startswith("s OK")
    return raw


@pytest.mark.parametrize("command", ["FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH 1:x FLAGS", "FETCH * (BODY[", "FETCH 1 BODY[1.0.x]", "SEARCH", "SEARCH FOO",
                                     "SEARCH " + "(" * 3000 + "ALL" + ")" * 3000, "STORE 1 FLAGS", "STORE 1 +FLAGS (\\Bogus",
                                     "UID", "UID FROB 1", "COPY 1", "SELECT", "SELECT \"a", "LIST \"\"", "STATUS INBOX", "STATUS INBOX (FOO)",
                                     "CREATE ../../etc", "CREATE \"a/../../b\"", "RENAME INBOX", "APPEND INBOX", "APPEND INBOX {5}x",
                                     "FETCH 4294967296 FLAGS", "FETCH 1 (FLAGS", "FROB", "\x01\x02"])
def test_imap_garbage_after_login_is_bad_or_no_and_the_session_goes_on(suite, command):
    raw = imap(suite)
    raw.send("x " + command + "\r\n")
    answer = raw.until("x")
    assert re.match(r"(x|\*) (BAD|NO)", answer[-1]), answer
    raw.send("y NOOP\r\n")
    assert raw.until("y")[-1].startswith("y OK")
    raw.close()


def test_imap_a_literal_over_the_limit_is_refused_without_losing_the_connection(suite):
    raw = imap(suite)
    raw.send("x APPEND INBOX {99999999999}\r\n")
    assert re.match(r"x (BAD|NO)", raw.until("x")[-1])
    raw.send("y APPEND INBOX {4000000000}\r\n")
    assert re.match(r"y (BAD|NO)", raw.until("y")[-1])
    raw.send("z NOOP\r\n")
    assert raw.until("z")[-1].startswith("z OK")
    raw.close()


def test_imap_half_an_append_leaves_nothing(suite):
    before = len(suite.messages("alice"))
    raw = imap(suite)
    raw.send("x APPEND INBOX {1000}\r\n")
    assert raw.line().startswith("+")
    raw.send("Subject: torn\r\n\r\n")
    raw.close()
    fresh = suite.imap("alice")
    fresh.select("INBOX")
    assert fresh.search(None, "SUBJECT", "torn")[1][0] == b""
    fresh.logout()
    assert len(suite.messages("alice")) == before
    tmp = suite.maildir("alice") + "/tmp"
    pombal.wait_for(lambda: not os.listdir(tmp))


# ---- tables and configuration

def test_a_missing_table_defers_and_says_so(make_suite):
    suite = make_suite(main="virtual_alias_maps = hash:/nonexistent/virtual\n")
    raw = smtp(suite)
    raw.ask("MAIL FROM:<a@elsewhere.test>")
    assert raw.ask("RCPT TO:<alice@example.test>").startswith("451 4.3.0")
    raw.close()
    suite.wait_log(r"(warning|error): .*hash:/nonexistent/virtual")


def test_a_table_older_than_its_source_is_named_in_the_log(suite):
    source = suite.etc + "/aliases"
    before, later = os.stat(source).st_mtime, time.time() + 3600  # what was saved a moment ago is no mistake yet
    os.utime(source, (later, later))
    suite.reload()
    suite.send("team", subject="stale table")
    suite.wait_mail("bob", match="stale table")
    suite.wait_log(r"warning: database \S*/aliases\.db is older than source file \S*/aliases")
    os.utime(source, (before, before))


@pytest.mark.parametrize("line,words", [
    ("smtpd_timeout = soon", ["main.cf", "smtpd_timeout", "soon"]),
    ("message_size_limit = -5", ["main.cf", "message_size_limit", "-5"]),
    ("smtpd_sasl_auth_enable = maybe", ["main.cf", "smtpd_sasl_auth_enable", "maybe"]),
    ("myhostname", ["main.cf", "line", "myhostname"]),
    ("mynetworks = ${a", ["main.cf", "mynetworks"]),
])
def test_a_typing_error_in_main_cf_is_named(make_suite, line, words):
    suite = make_suite(main=line + "\n", start=False)
    r = suite.tool("pombal", "start", check=False)
    assert r.returncode != 0
    for word in words:
        assert word in r.stderr + r.stdout + suite.log(), (word, r.stderr)
    assert suite.master_pid() is None


@pytest.mark.parametrize("line,words", [
    ("smtp inet n - n -", ["master.cf", "line"]),
    ("smtp ine n - n - - smtpd", ["master.cf", "ine"]),
    ("x unix n - n x - smtpd", ["master.cf", "x"]),
    ("y unix - - maybe - - smtpd", ["master.cf", "maybe"]),
])
def test_a_typing_error_in_master_cf_is_named(make_suite, line, words):
    suite = make_suite(start=False)
    with open(suite.etc + "/master.cf", "a") as f:
        f.write(line + "\n")
    r = suite.tool("pombal", "start", check=False)
    assert r.returncode != 0
    for word in words:
        assert word in r.stderr + r.stdout + suite.log(), (word, r.stderr)


def fill(path):
    """a file as large as the disk allows"""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    for size in (65536, 4096, 512):
        try:
            while True:
                os.write(fd, b"\0" * size)
        except OSError:
            pass
    os.close(fd)


def assert_452(suite):
    raw = smtp(suite)
    for command in ("MAIL FROM:<a@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA"):
        answer = raw.ask(command)
        if answer.startswith("4"):
            break
    else:
        raw.send("Subject: no room\r\n\r\n" + ("x" * 70 + "\r\n") * 2000 + ".\r\n")
        answer = raw.reply()
    assert answer.startswith("452 4.3.1"), answer
    raw.close()


@pytest.mark.parametrize("limit, to", [
    ("virtual_mailbox_limit", "alice@example.test"),
    pytest.param("mailbox_size_limit", "nobody@localhost", marks=pytest.mark.skipif(not pombal.IS_ROOT, reason="delivers as another user")),
])
@pytest.mark.parametrize("message_limit", ["100000", "0"])
def test_a_mailbox_limit_below_that_of_messages_loses_no_mail(make_suite, limit, to, message_limit):
    agent = "local unix - n n - - local\n" if limit == "mailbox_size_limit" else ""
    suite = make_suite(main="local_recipient_maps =\n", master=agent, start=False)
    if agent:
        suite.add_main("local_transport = local:$myhostname\nmailbox_transport =\n")
    suite.add_main("mail_spool_directory = %s/spool\nmessage_size_limit = %s\n" % (suite.dir, message_limit))
    os.mkdir(suite.dir + "/spool")
    os.chmod(suite.dir + "/spool", 0o1777)
    suite.add_main(limit + " = 0\n")
    suite.start()
    suite.add_main(limit + " = 50000\n")
    said = r"main.cf, line \d+: %s = 50000: .*message_size_limit" % limit
    for command in ("check", "reload"):
        r = suite.tool("pombal", command, check=False)
        assert r.returncode == 1 and re.search(said, r.stderr), r.stderr
    suite.send(to, subject="kept", body="x" * 60000 + "\n")  # the agent starts now, with what was accepted
    suite.wait_log(r"to=<%s>.* status=sent" % re.escape(to))
    suite.wait_queue_empty()


def test_a_limit_of_messages_above_the_default_of_mailboxes_is_only_odd(make_suite):
    suite = make_suite(main="virtual_mailbox_limit = 0\n", start=False)
    path = suite.etc + "/main.cf"
    text = re.sub(r"^mailbox_size_limit.*\n", "", open(path).read(), flags=re.M)
    open(path, "w").write(text + "message_size_limit = 100000000\n")
    r = suite.tool("pombal", "check")
    assert ("warning: " in r.stderr and "mailbox_size_limit" in r.stderr) == bool(re.search(r"^local\s+unix", open(suite.etc + "/master.cf").read(), flags=re.M))


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root to mount a tmpfs")
def test_a_full_disk_refuses_with_452_and_keeps_what_was_taken(make_suite):
    suite = make_suite(main="queue_minfree = 0\nmessage_size_limit = 300000\n", start=False)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", suite.queue], check=True)
    try:
        suite.tool("pombal", "check", check=False)
        suite.start()
        suite.send("alice", subject="while there is room")
        suite.wait_mail("alice", match="while there is room")
        fill(suite.queue + "/filler")
        assert_452(suite)
        os.unlink(suite.queue + "/filler")
        suite.send("alice", subject="room again")
        suite.wait_mail("alice", match="room again")
        assert not [m for m in suite.messages("alice") if m["Subject"] == "no room"]
        suite.wait_queue_empty()
    finally:
        suite.stop()
        subprocess.run(["umount", suite.queue], check=True)


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root to mount a tmpfs")
@pytest.mark.parametrize("lines", [1, 3000])
def test_a_disk_that_is_full_when_milters_are_asked_is_no_answer_of_theirs(make_suite, lines):
    """the client heard 451 of a file that cannot be read back, and so did the log, as of a milter's refusal"""
    one = milter.Milter(milter.add_header("X-Added", "x" * 5000))
    suite = make_suite(main="message_size_limit = 300000\nsmtpd_milters = inet:127.0.0.1:%d\n" % one.port, start=False)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", suite.queue], check=True)
    try:
        suite.tool("pombal", "check", check=False)
        suite.start()
        raw = smtp(suite)
        for command in ("MAIL FROM:<a@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA"):
            assert raw.ask(command)[0] in "23"
        fill(suite.queue + "/filler")
        raw.send("Subject: no room\r\n\r\n" + ("x" * 70 + "\r\n") * lines + ".\r\n")
        assert raw.reply() == "452 4.3.1 Error: Insufficient system storage"
        suite.wait_log(r"NOQUEUE: reject: END-OF-MESSAGE from \S+: 452 4\.3\.1 Insufficient system storage; ")
        assert "milter-reject" not in suite.log()
        os.unlink(suite.queue + "/filler")
        suite.send("alice", subject="room again")
        assert suite.wait_mail("alice", match="room again")[0]["X-Added"]
        suite.wait_queue_empty()
        raw.close()
    finally:
        suite.stop()
        subprocess.run(["umount", suite.queue], check=True)
        one.close()


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root to mount a tmpfs")
def test_with_the_whole_instance_on_a_full_disk_every_server_answers(make_suite):
    suite = make_suite(main="queue_minfree = 0\nmessage_size_limit = 300000\nmax_idle = 1s\n", start=False)
    kept = suite.dir + ".kept"
    os.rename(suite.dir, kept)
    os.mkdir(suite.dir)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "none", suite.dir], check=True)
    try:
        subprocess.run(["cp", "-a", kept + "/.", suite.dir], check=True)
        suite.start()
        suite.send("alice", subject="while there is room")
        suite.wait_mail("alice", match="while there is room")
        suite.wait_queue_empty()
        suite.stop()
        fill(suite.dir + "/filler")
        os.truncate(suite.dir + "/filler", os.path.getsize(suite.dir + "/filler") - 40960) # for the log and master's pid
        suite.start()
        fill(suite.dir + "/filler2") # from here on the log has no room, either
        for _ in range(3):
            assert_452(suite)
            imap = suite.imap("alice")
            assert imap.select("INBOX")[0] == "OK"
            assert b"while there is room" in imap.fetch("1", "(BODY[])")[1][0][1]
            assert imap.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"y" * 200000)[0] == "NO"
            imap.logout()
            pop3 = suite.pop3("alice")
            assert pop3.stat()[0] == 1
            pop3.quit()
        for name in ("/filler", "/filler2"):
            os.unlink(suite.dir + name)
        suite.send("alice", subject="room again")
        suite.wait_mail("alice", match="room again")
        suite.wait_queue_empty()
        assert not re.search(r"killed by signal|panic", suite.log())
    finally:
        suite.stop()
        subprocess.run(["umount", suite.dir], check=True)
        shutil.rmtree(kept, ignore_errors=True)


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root to mount a tmpfs")
def test_a_full_mailbox_disk_defers_and_delivers_later(make_suite):
    suite = make_suite(main="queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n", start=False)
    owner = os.stat(suite.maildir("alice"))
    kept = suite.dir + "/kept"
    os.rename(suite.dir + "/mail", kept)
    os.mkdir(suite.dir + "/mail")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755,uid=%d,gid=%d" % (owner.st_uid, owner.st_gid), "none", suite.dir + "/mail"], check=True)
    try:
        subprocess.run(["cp", "-a", kept + "/.", suite.dir + "/mail/"], check=True)
        suite.start()
        fill(suite.dir + "/mail/filler")
        suite.send("alice", subject="for a full disk", body="x" * 70 + "\n")
        suite.wait_log(r"to=<alice@example\.test>.* dsn=4\.\d\.\d, status=deferred")
        os.unlink(suite.dir + "/mail/filler")
        suite.wait_mail("alice", match="for a full disk")
        suite.wait_queue_empty()
    finally:
        suite.stop()
        subprocess.run(["umount", suite.dir + "/mail"], check=True)



class Disk:
    """a small ext4 in a file, mounted over a directory whose contents move there"""

    def __init__(self, where):
        self.where, self.image = where, where + ".img"
        with open(self.image, "wb") as f:
            f.truncate(16 << 20)
        self.run("mkfs.ext4", "-q", "-F", self.image)
        os.rename(where, where + ".kept")
        os.mkdir(where)
        try:
            self.mount()
        except subprocess.CalledProcessError:
            pytest.skip("no loop device")
        os.rmdir(where + "/lost+found")
        self.run("cp", "-a", where + ".kept/.", where)

    def run(self, *words):
        subprocess.run(words, check=True, capture_output=True, env=dict(os.environ, PATH="/usr/sbin:/sbin:/usr/bin:/bin"))

    def mount(self):
        self.run("mount", "-o", "loop", self.image, self.where)

    def fail(self):
        """as after an error of the device: read-only from now on, also what is open"""
        self.run("mount", "-o", "remount,abort", self.where)

    def repair(self):
        self.run("umount", self.where)
        subprocess.run(["/sbin/fsck.ext4", "-fy", self.image], capture_output=True)
        self.mount()


SOON = "queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n"


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root to mount")
def test_on_a_read_only_mailbox_disk_mail_is_read_and_new_mail_waits(make_suite):
    suite = make_suite(main=SOON, start=False)
    disk = Disk(suite.dir + "/mail")
    try:
        suite.start()
        suite.send("alice", subject="before")
        suite.wait_mail("alice", match="before")
        imap = suite.imap("alice")
        assert imap.select("INBOX")[0] == "OK"
        disk.fail()
        suite.send("alice", subject="meanwhile")
        suite.wait_log(r"to=<alice@example\.test>.* dsn=4\.3\.0, status=deferred .*Read-only file system")
        assert b"before" in imap.fetch("1", "(BODY[])")[1][0][1]
        assert imap.store("1", "+FLAGS", "\\Deleted")[0] == "NO"
        assert imap.append("INBOX", None, None, b"Subject: x\r\n\r\nx")[0] == "NO"
        pop3 = suite.pop3("alice")
        assert b"Subject: before" in pop3.retr(1)[1]
        pop3.quit()
        suite.stop()
        disk.repair()
        suite.start()
        suite.wait_mail("alice", match="meanwhile")
        suite.wait_queue_empty()
    finally:
        suite.stop()
        disk.run("umount", disk.where)


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root to mount")
def test_on_a_read_only_queue_disk_mail_is_refused_with_451_and_read(make_suite):
    suite = make_suite(main=SOON + "message_size_limit = 1000000\n", start=False)
    disk = Disk(suite.queue)
    try:
        suite.start()
        suite.send("alice", subject="before")
        suite.wait_mail("alice", match="before")
        suite.wait_queue_empty()
        disk.fail()
        for _ in range(3):
            with pytest.raises(smtplib.SMTPDataError, match="451.*4.3.0 .*Read-only file system"):
                suite.send("alice", subject="refused")
        r = suite.tool("sendmail", "alice@example.test", input="Subject: x\n\nx\n", check=False)
        assert r.returncode == 75 and "Read-only file system" in r.stderr
        imap = suite.imap("alice")
        assert imap.select("INBOX")[0] == "OK"
        imap.logout()
        assert not re.search("exit status|killed by", suite.log())
        suite.stop()
        disk.repair()
        suite.start()
        suite.send("alice", subject="after")
        suite.wait_mail("alice", match="after")
    finally:
        suite.stop()
        disk.run("umount", disk.where)
