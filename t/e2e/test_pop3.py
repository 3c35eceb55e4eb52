"""POP3 with real clients and rude ones: RFC 1939, RFC 2449, and what must not happen."""
import glob, os, poplib, re, shutil, signal, subprocess, time

import pytest

import pombal
from pombal import PATIENCE, Raw, wait_for


def put(suite, user, text, name=None, folder="new"):
    path = "%s/%s/%s" % (suite.maildir(user), folder, name or "%d.%d.test" % (time.time_ns(), os.getpid()))
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    owner = os.stat(suite.maildir(user))
    if pombal.IS_ROOT:
        os.chown(path, owner.st_uid, owner.st_gid)
    return path


def empty(suite, user):
    for f in glob.glob(suite.maildir(user) + "/new/*") + glob.glob(suite.maildir(user) + "/cur/*"):
        os.unlink(f)
    p = suite.pop3(user)
    assert p.stat() == (0, 0)
    p.quit()


def test_what_is_marked_goes_only_after_quit(suite):
    empty(suite, "alice")
    for i in range(3):
        put(suite, "alice", "Subject: %d\n\nbody\n" % i)
    p = suite.pop3()
    p.dele(1)
    p.close()  # no QUIT
    wait_for(lambda: "Connection closed" in suite.log())
    p = suite.pop3()
    assert p.stat()[0] == 3
    p.dele(2)
    p.rset()
    p.dele(1)
    assert p.stat()[0] == 2
    assert b"deleted" in p.quit()
    p = suite.pop3()
    assert p.stat()[0] == 2
    assert [p.retr(n)[1][0] for n in (1, 2)] == [b"Subject: 1", b"Subject: 2"]
    p.quit()


def test_dots_and_line_ends(suite):
    empty(suite, "alice")
    text = b"Subject: dots\n\n.\n..\n.a\n\nlast without end"
    put(suite, "alice", text)
    put(suite, "alice", text.replace(b"\n", b"\r\n"))
    put(suite, "alice", b"Subject: empty body\n\n")
    put(suite, "alice", b"no header end")
    put(suite, "alice", b"S: big\n\n" + b".x\n" * 40000)
    p = suite.pop3()
    want = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\nlast without end".split(b"\r\n")
    assert p.retr(1)[1] == want and p.retr(2)[1] == want
    assert p.retr(3)[1] == [b"Subject: empty body", b""]
    assert p.retr(4)[1] == [b"no header end"]
    assert p.retr(5)[1] == [b"S: big", b""] + [b".x"] * 40000
    assert p.list(5) == b"+OK 5 %d" % (len(b"S: big\r\n\r\n") + 4 * 40000)
    assert p.top(1, 0)[1] == [b"Subject: dots", b""]
    assert p.top(1, 2)[1] == [b"Subject: dots", b"", b".", b".."]
    assert p.top(1, 99)[1] == want
    p.quit()


def test_one_session_at_a_time(suite):
    first = suite.pop3("bob")
    second = suite.pop3("bob", login=False)
    second.user("bob")
    with pytest.raises(poplib.error_proto) as e:
        second.pass_(suite.password)
    assert b"[IN-USE]" in e.value.args[0]
    first.quit()
    suite.pop3("bob").quit()


def test_odd_files_do_not_keep_the_owner_out(suite):
    """what is no file is no message; a file that cannot be read is left out, and IMAP says why"""
    home = suite.add_user("odd")
    suite.reload()

    def odd(): # a reload is done in the background
        try:
            return suite.pop3("odd").quit()
        except poplib.error_proto:
            return False
    wait_for(odd)
    put(suite, "odd", "Subject: one\n\nbody\n", "1700000001.one.test")
    os.mkfifo(home + "/new/1700000002.fifo.test", 0o666)
    os.symlink("/nonexistent", home + "/new/1700000003.link.test")
    os.chmod(put(suite, "odd", "Subject: locked\n\nbody\n", "1700000004.locked.test:2,", "cur"), 0)
    put(suite, "odd", "Subject: two\n\nbody\n", "1700000005.two.test")
    p = suite.pop3("odd")
    assert [line.split()[0] for line in p.uidl()[1]] == [b"1", b"2"]
    assert p.stat()[0] == 2
    assert [p.retr(n)[1][0] for n in (1, 2)] == [b"Subject: one", b"Subject: two"]
    p.dele(2)
    p.quit()
    suite.wait_log("warning: user odd@.*left out: .*Permission denied")
    p = suite.pop3("odd")
    assert [p.retr(n)[1][0] for n in (1,)] == [b"Subject: one"]
    p.quit()
    c = Raw(suite.port("imap"))
    c.line()
    for command in ("LOGIN odd " + suite.password, "SELECT INBOX"):
        c.send("x %s\r\n" % command)
        assert c.until("x")[-1].startswith("x OK")
    c.send("x FETCH 1:* (FLAGS BODY.PEEK[])\r\n")
    answer = c.until("x")
    assert re.match(r"x NO \[SERVERBUG\] .*Permission denied", answer[-1])
    assert "* 2 FETCH (FLAGS ())" in answer and any("Subject: one" in line for line in answer)
    os.unlink(home + "/cur/1700000004.locked.test:2,")
    c.send("x FETCH 1:2 (FLAGS BODY.PEEK[])\r\n")
    assert c.until("x")[-1].startswith("x OK [EXPUNGEISSUED]")
    c.send("x NOOP\r\n")
    assert "* 2 EXPUNGE" in c.until("x")


def test_errors_are_told_and_do_no_harm(suite):
    empty(suite, "alice")
    put(suite, "alice", "Subject: x\n\n")
    r = Raw(suite.port("pop3"))
    assert r.line().startswith("+OK")

    def ask(text):
        r.send(text + "\r\n")
        return r.line()
    for bad in ("STAT", "PASS secret", "RETR 1", "", "FOO", "USER", "AUTH NOSUCH", "APOP", "APOP alice", "APOP alice zz"):
        assert ask(bad).startswith("-ERR"), bad
    assert ask("USER alice").startswith("+OK")
    assert ask("PASS wrong one").startswith("-ERR [AUTH]")
    assert ask("PASS secret").startswith("-ERR")  # USER must come again
    assert ask("user ALICE").startswith("+OK")
    assert ask("pass secret").startswith("+OK")
    for bad in ("RETR", "RETR 0", "RETR 2", "RETR x", "RETR -1", "RETR 99999999999", "LIST 2", "UIDL 0", "DELE 2", "TOP 1", "TOP 1 x",
                "FOO", "USER alice", "STLS"):
        assert ask(bad).startswith("-ERR"), bad
    assert ask("DELE 1").startswith("+OK")
    for bad in ("DELE 1", "RETR 1", "LIST 1", "UIDL 1", "TOP 1 0"):
        assert ask(bad).startswith("-ERR"), bad
    assert ask("RSET").startswith("+OK")
    assert ask("x" * 3000).startswith("-ERR")
    assert ask("NOOP").startswith("+OK")
    assert ask("QUIT").startswith("+OK")
    assert r.line() is None


def test_commands_may_come_ahead(suite):
    """RFC 2449 6.8 PIPELINING, also across the login"""
    empty(suite, "alice")
    put(suite, "alice", "Subject: x\n\n")
    r = Raw(suite.port("pop3"))
    r.line()
    r.send("USER alice\r\nPASS secret\r\nSTAT\r\nNOOP\r\nLIST\r\nQUIT\r\n")
    got = []
    while (line := r.line()) is not None:
        got.append(line)
    assert [g.split(" ")[0] for g in got] == ["+OK", "+OK", "+OK", "+OK", "+OK", "1", ".", "+OK"]


def test_tls_on_both_ports(suite):
    empty(suite, "alice")
    big = b"Subject: big\n\n" + b"0123456789012345678\n" * 50000
    put(suite, "alice", big)
    p = suite.pop3(tls=True)
    assert p.retr(1)[1] == big.rstrip(b"\n").split(b"\n")
    p.quit()
    p = suite.pop3(login=False)
    p.stls(suite.tls_context())
    p.user("alice")
    p.pass_(suite.password)
    assert p.stat()[0] == 1
    p.quit()


def test_nothing_said_before_tls_counts(suite):
    """RFC 2595 4: knowledge from before is discarded; commands sent ahead too"""
    r = Raw(suite.port("pop3"))
    r.line()
    r.send("STLS\r\nUSER alice\r\n")
    assert r.line().startswith("+OK")
    context = suite.tls_context()
    tls = context.wrap_socket(r.sock, server_hostname="localhost")
    tls.sendall(b"PASS secret\r\nNOOP\r\n")
    f = tls.makefile("rb")
    assert f.readline().startswith(b"-ERR")  # the USER of before was not heard
    assert f.readline().startswith(b"+OK")


def test_another_user_with_the_same_uid_is_out_of_reach(suite):
    """By Landlock: a session reaches its user's directory only, whatever lies in it"""
    empty(suite, "alice")
    theirs = put(suite, "bob", "Subject: private\n\nbob's secret\n")
    link = suite.maildir("alice") + "/cur/%d.link.test:2," % time.time_ns()
    os.symlink(theirs, link)
    try:
        p = suite.pop3("alice", login=False)
        p.user("alice")
        text = b""
        try:
            p.pass_(suite.password)
            for n in range(1, p.stat()[0] + 1):
                text += b"\n".join(p.retr(n)[1])
        except poplib.error_proto:
            pass
        assert b"secret" not in text
        p.close()
    finally:
        os.unlink(link)
        os.unlink(theirs)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_reads(suite):
    empty(suite, "alice")
    put(suite, "alice", "Subject: curl\n\nhello\n")
    for port, scheme, more in (("pop3", "pop3", []), ("pop3", "pop3", ["--ssl-reqd"]), ("pop3s", "pop3s", [])):
        for auth in ("", "AUTH=PLAIN", "AUTH=LOGIN", "AUTH=CRAM-MD5", "AUTH=+APOP"):
            options = ["--login-options", auth] if auth else []
            out = subprocess.run(["curl", "-sS", "--cacert", suite.dir + "/ca.pem", "-u", "alice:" + suite.password] + more + options
                                 + ["%s://localhost:%d/1" % (scheme, suite.port(port)), "--connect-to", "::127.0.0.1:"],
                                 capture_output=True, text=True, timeout=PATIENCE)
            assert "Subject: curl" in out.stdout, (scheme, auth, out.stderr, out.stdout)


@pytest.mark.skipif(not shutil.which("fetchmail"), reason="needs fetchmail")
def test_fetchmail_fetches_and_deletes(suite, tmp_path):
    empty(suite, "bob")
    for i in range(5):
        put(suite, "bob", "From: a@b.test\nTo: bob@%s\nSubject: f%d\n\n.dot\n" % (suite.domain, i))
    rc, box = tmp_path / "rc", tmp_path / "box"
    rc.write_text('poll localhost service %d protocol pop3 user "bob" password "%s" mda "cat >>%s" no keep\n'
                  % (suite.port("pop3"), suite.password, box))
    rc.chmod(0o600)
    r = subprocess.run(["fetchmail", "-f", str(rc), "--sslproto", "", "--nodetach", "--nosyslog", "-i", str(tmp_path / "ids"),
                        "--pidfile", str(tmp_path / "pid")], capture_output=True, text=True, timeout=PATIENCE,
                       env=dict(os.environ, HOME=str(tmp_path), FETCHMAILHOME=str(tmp_path)))
    assert r.returncode == 0, r.stdout + r.stderr
    got = box.read_text()
    assert got.count("\n.dot") == 5 and "Subject: f4" in got
    p = suite.pop3("bob")
    assert p.stat() == (0, 0)
    p.quit()


def test_ids_stay_the_same(suite):
    empty(suite, "alice")
    for i in range(3):
        put(suite, "alice", "Subject: u%d\n\n" % i)
    p = suite.pop3()
    before = p.uidl()[1]
    assert len(set(line.split()[1] for line in before)) == 3
    p.dele(1)
    p.quit()
    p = suite.pop3()
    assert [line.split()[1] for line in p.uidl()[1]] == [line.split()[1] for line in before[1:]]
    p.quit()


def test_a_mailbox_that_was_replaced_is_served_by_a_new_process(suite):
    """restored from a backup: another directory of the same name, outside of the old process' jail"""
    home = suite.maildir("bob")
    empty(suite, "bob")
    owner = os.stat(home)
    os.rename(home, home + ".old")
    shutil.copytree(home + ".old", home)
    if pombal.IS_ROOT:
        for path, _, files in os.walk(home):
            for name in [path] + [os.path.join(path, f) for f in files]:
                os.chown(name, owner.st_uid, owner.st_gid)
    put(suite, "bob", "Subject: after\n\n")
    p = suite.pop3("bob")
    assert p.stat()[0] == 1
    p.quit()
    suite.pop3("bob").quit()
    shutil.rmtree(home + ".old")


def test_who_comes_while_the_process_stops_is_told_so(make_suite):
    """passed to the process of the user just before it is told to stop: it goes on for nobody"""
    suite = make_suite()
    suite.pop3().quit()
    session = int(suite.wait_log(r"Login: user=<alice\b.*mpid=(\d+)")[0].group(1))
    os.kill(session, signal.SIGSTOP)
    late = Raw(suite.port("pop3"))
    late.send("USER alice\r\nPASS secret\r\n")
    suite.wait_log(r"Login: user=<alice\b.*mpid=%d\b" % session, 2)
    os.kill(session, signal.SIGTERM)
    os.kill(session, signal.SIGCONT)
    said = [late.line() for _ in range(5)]
    assert said[-2:] == ["-ERR Server shutting down.", None], said
    wait_for(lambda: not os.path.exists("/proc/%d" % session))


@pytest.mark.parametrize("form", ["%m", "%v", "%{guid}", "plain"])
def test_a_pop3_uidl_format_that_pop3_cannot_use_is_found_by_check(make_suite, form):
    """or all of the users' POP3 sessions would end at once after a reload that said nothing"""
    s = make_suite(main="pop3_uidl_format = %s\n" % form, start=False)
    r = s.tool("pombal", "check", check=False)
    assert r.returncode != 0 and "pop3_uidl_format" in r.stderr, r.stderr
