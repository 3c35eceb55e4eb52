"""Before login: the fronts of IMAP and POP3, authd's delays, the way to the session."""
import base64, os, re, shutil, signal, subprocess, threading, time

import pytest

from pombal import Raw, wait_for


def greet(suite, name="imap", tls=None):
    r = Raw(suite.port(name), tls=tls)
    assert "OK" in r.line()
    return r


def ask(r, text, tag="a"):
    r.send("%s %s\r\n" % (tag, text))
    return r.until(tag)


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_imap_before_login(suite):
    r = greet(suite)
    caps = ask(r, "CAPABILITY")[0]
    for word in ("IMAP4rev1", "SASL-IR", "LITERAL+", "STARTTLS", "AUTH=PLAIN", "AUTH=CRAM-MD5"):
        assert word in caps
    assert "LOGINDISABLED" not in caps
    assert ask(r, "NOOP")[-1].startswith("a OK")
    assert ask(r, 'ID ("name" "x" "version" NIL)')[0].startswith("* ID (")
    assert ask(r, "ID NIL")[-1].startswith("a OK")
    for bad in ("SELECT INBOX", "FOO", "LOGIN", "LOGIN alice", 'LOGIN "alice', "LOGIN alice secret more", "LOGIN (alice) x", "ID",
                "ID (", "AUTHENTICATE", "NOOP x", "STARTTLS x", "LOGIN {x}", "LOGIN {99999}"):
        assert ask(r, bad)[-1].startswith("a BAD"), bad
    r.send("\r\n+ x\r\nnotag\r\n{ NOOP\r\n")
    assert all(r.line().startswith("* BAD") for _ in range(4))
    assert ask(r, "LOGOUT") == ["* BYE Logging out", "a OK Logout completed."]
    assert r.line() is None


@pytest.mark.parametrize("user", ["alice", "ALICE", "alice@example.test"])
@pytest.mark.parametrize("form", ["%(u)s %(p)s", '"%(u)s" "%(p)s"', "{%(n)d+}\r\n%(u)s {%(m)d+}\r\n%(p)s", '%(u)s {%(m)d+}\r\n%(p)s'])
def test_login_in_all_forms(suite, user, form):
    r = greet(suite)
    values = dict(u=user, p=suite.password, n=len(user), m=len(suite.password))
    assert ask(r, "LOGIN " + form % values)[-1].startswith("a OK")
    assert ask(r, "NOOP", "b")[-1].startswith("b OK")
    r.close()


def test_login_with_literals_that_wait(suite):
    r = greet(suite)
    r.send("a LOGIN {5}\r\n")
    assert r.line().startswith("+")
    r.send("alice {6}\r\n")
    assert r.line().startswith("+")
    r.send("secret\r\n")
    assert r.until("a")[-1].startswith("a OK")
    r.close()


def test_commands_behind_the_login_reach_the_session(suite):
    r = greet(suite)
    r.send("a LOGIN alice secret\r\nb NOOP\r\nc LOGOUT\r\n")
    assert r.until("c")[-1].startswith("c OK")
    assert r.line() is None


def test_authenticate(suite):
    r = greet(suite)
    r.send("a AUTHENTICATE PLAIN\r\n")
    assert r.line() == "+ "
    r.send("*\r\n")
    assert r.line().startswith("a BAD")
    assert ask(r, "AUTHENTICATE PLAIN !!")[-1].startswith("a NO")
    assert ask(r, "AUTHENTICATE NOSUCH")[-1].startswith("a NO")
    assert ask(r, "AUTHENTICATE APOP")[-1].startswith("a NO")
    assert ask(r, "AUTHENTICATE PLAIN " + b64("bob\0alice\0secret"))[-1].startswith("a NO [AUTHORIZATIONFAILED]")
    assert ask(r, "AUTHENTICATE PLAIN " + b64("\0alice\0secret"))[-1].startswith("a OK")
    r.close()
    r = greet(suite)
    r.send("a AUTHENTICATE LOGIN\r\n")
    assert base64.b64decode(r.line()[2:]) == b"Username:"
    r.send(b64("alice") + "\r\n")
    assert base64.b64decode(r.line()[2:]) == b"Password:"
    r.send(b64("secret") + "\r\n")
    assert r.until("a")[-1].startswith("a OK")
    r.close()
    c = suite.imap(login=False)
    assert c.login_cram_md5("alice", "secret")[0] == "OK"
    c.logout()


def test_wrong_passwords_end_the_connection(suite):
    r = greet(suite)
    for i in range(5):
        assert ask(r, "LOGIN alice wrong%d" % i)[-1].startswith("a NO [AUTHENTICATIONFAILED]")
    assert r.line().startswith("* BYE")
    assert r.line() is None
    suite.wait_log(r"authd\[\d+\]: passwd-file\(alice@example.test,127.0.0.1\): imap login by PLAIN failed: wrong password")
    assert "wrong4" not in suite.log()


@pytest.mark.parametrize("char", ["v", '\\"'])
def test_the_largest_id_is_taken_before_login(suite, char):
    """RFC 2971 3.3: 30 pairs, names of 30 octets, values of 1,024; the tag may be long, too"""
    r = greet(suite)
    pairs = ['"%s" "%s"' % (("n%d" % i).ljust(30, "x"), char * (1024 if i else 1000)) for i in range(30)]
    assert ask(r, "ID (%s)" % " ".join(pairs))[-1].startswith("a OK")
    r.send("b ID (" + " ".join("{30+}\r\n%s {1024+}\r\n%s" % ("n" * 30, "v" * 1024) for _ in range(30)) + ")\r\n")
    assert r.until("b")[-1].startswith("b OK")
    assert ask(r, "LOGIN alice secret", "c")[-1].startswith("c OK")
    r.close()


def test_too_long_lines_and_too_many_commands(suite):
    r = greet(suite)
    r.send("a " + "x" * 70000 + "\r\n")
    assert "BYE" in r.line()
    r = greet(suite)
    for _ in range(201):
        r.send("a NOOP\r\n")
    lines = []
    while (line := r.line()) is not None:
        lines.append(line)
    assert lines[-1].startswith("* BYE") and len(lines) <= 202
    r = greet(suite)
    r.send("a LOGIN {500000+}\r\n")
    assert "BYE" in r.line()
    assert r.line() is None


def test_starttls_forgets_what_came_before(suite):
    r = greet(suite)
    r.send("a STARTTLS\r\nb LOGIN alice secret\r\n")
    assert r.line().startswith("a OK")
    tls = suite.tls_context().wrap_socket(r.sock, server_hostname="localhost")
    tls.sendall(b"c CAPABILITY\r\n")
    f = tls.makefile("rb")
    line = f.readline()
    assert line.startswith(b"* CAPABILITY") and b"STARTTLS" not in line
    assert f.readline().startswith(b"c OK")
    tls.sendall(b"d STARTTLS\r\n")
    assert f.readline().startswith(b"d BAD")
    tls.sendall(b"e LOGIN alice secret\r\ne2 NOOP\r\n")
    assert f.readline().startswith(b"e OK")
    assert f.readline().startswith(b"e2 OK")


def test_a_relayed_session_does_not_block(suite):
    """a client that sends much and reads late: both directions of the relay must flow"""
    c = suite.imap(tls=True)
    text = b"Subject: x\r\n\r\n" + b"x" * 3000000 + b"\r\n"
    assert c.append("INBOX", None, None, text)[0] == "OK"
    n = c.select("INBOX")[1][0].decode()
    for i in range(5):
        c.send(b"f%d FETCH %s BODY[]\r\n" % (i, n.encode()))
    c.send(b"g APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
    got = 0
    while True:
        line = c.readline()
        assert line, "the connection ended"
        m = re.search(rb"\{(\d+)\}\r\n$", line)
        if m:
            got += len(c.read(int(m.group(1))))
        if line.startswith(b"g OK"):
            break
    assert got == 5 * len(text)
    c.logout()


def test_all_connections_of_a_user_are_one_process(suite):
    suite.imap("alice").logout()  # the process that forks sessions is there from now on
    before = len(suite.pids("imap"))
    conns = [suite.imap("bob") for _ in range(5)] + [suite.imap("bob", tls=True)]
    assert len(suite.pids("imap")) <= before + 1
    for c in conns:
        assert c.select("INBOX")[0] == "OK"
    for c in conns:
        c.logout()
    # The process waits for the next login, which it then serves.
    pids = suite.pids("imap")
    suite.imap("bob").logout()
    assert suite.pids("imap") == pids


def test_many_logins_at_once(suite):
    errors = []

    def run():
        try:
            for _ in range(5):
                c = suite.imap("alice")
                c.noop()
                c.logout()
        except Exception as e:
            errors.append(e)
    threads = [threading.Thread(target=run) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []


def test_the_limit_of_connections(make_suite):
    suite = make_suite(main="mail_max_userip_connections = 2\nmail_session_linger = 1\n",
                       master="pop3 unix - n n - - pop3\n  -o mail_max_userip_connections=1\n")
    a, b = suite.imap(), suite.imap()
    r = greet(suite)
    answer = ask(r, "LOGIN alice secret")[-1]
    assert answer.startswith("a NO [LIMIT]") and "mail_max_userip_connections" in answer
    suite.wait_log(r"imap\[\d+\]: imap: Disconnected: Maximum number of connections from user\+IP exceeded "
                   r"\(mail_max_userip_connections=2\): user=<alice@example.test>, rip=127.0.0.1, session=<\w+>")
    suite.imap("bob").logout()
    p, r = suite.pop3(), greet(suite, "pop3")
    r.send("USER alice\r\nPASS secret\r\n")
    assert r.line() == "+OK"
    assert r.line().startswith("-ERR [IN-USE] Maximum number of connections")
    p.quit()
    a.logout()
    b.logout()
    wait_for(lambda: len(suite.pids("imap")) == 1)  # only what forks: linger is over
    suite.imap().logout()


def test_the_limit_of_connections_is_one_of_networks(make_suite):
    """as one user with an IPv6 network, who has an address for each connection"""
    suite = make_suite(main="mail_max_userip_connections = 2\nlogin_client_ipv4_prefix_length = 24\n")

    def from_address(address):
        c = Raw(suite.port("imap"), source=address)
        c.line()
        return c, ask(c, "LOGIN alice secret")[-1]

    logins = [from_address("127.0.0.%d" % i) for i in (1, 2, 3)] + [from_address("127.0.1.1")]
    assert [answer[:10].split(" [")[0] for _, answer in logins] == ["a OK", "a OK", "a NO", "a OK"]
    for c, _ in logins:
        c.close()


def silent(suite, name, count):
    return [greet(suite, name) for _ in range(count)]


def ended(connections):
    """those to which something was said, and what"""
    said = {}
    for c in connections:
        c.sock.setblocking(False)
        try:
            said[c] = c.sock.recv(1000).decode()
        except BlockingIOError:
            pass
    return said


@pytest.mark.parametrize("name,bye", [("imap", "* BYE Too many connections"), ("pop3", "-ERR Too many connections")])
def test_a_full_front_ends_the_oldest_that_has_not_logged_in(make_suite, name, bye):
    """five connections at a time, three in a process: a silent one goes for each that comes, nobody who has logged in"""
    suite = make_suite(main="sessions_per_process = 3\n", start=False)
    suite.add_master("127.0.0.1:%d inet n - n - 5 %sd\n" % (suite.port(name), name))
    suite.start()
    inside = greet(suite, name)
    inside.send("a STARTTLS\r\n" if name == "imap" else "STLS\r\n")
    assert "OK" in inside.line()
    inside.sock = suite.tls_context().wrap_socket(inside.sock, server_hostname="localhost")
    inside.send("a LOGIN bob secret\r\n" if name == "imap" else "USER bob\r\nPASS secret\r\n")
    while "ogged in" not in inside.line():
        pass
    waiting = silent(suite, name, 4)
    waiting.append(greet(suite, name))
    suite.wait_log(r"imap-login: Disconnected: Connection queue full \(no auth attempts in \d+ secs\)|pop3-login: Disconnected: Connection queue full")
    said = wait_for(lambda: ended(waiting))
    assert len(said) == 1 and list(said.values())[0].startswith(bye), said
    assert waiting[-1] not in said
    waiting = [c for c in waiting if c not in said]
    (suite.imap() if name == "imap" else suite.pop3()).noop()
    assert not ended(waiting[-1:])
    inside.send("b NOOP\r\n" if name == "imap" else "NOOP\r\n")
    assert "OK" in inside.line()
    suite.wait_log(r'service "127.0.0.1:%d" .* has reached its process limit "5"' % suite.port(name))
    for c in waiting + [inside]:
        c.close()


def test_who_never_speaks_tls_does_not_fill_the_front(make_suite):
    suite = make_suite(start=False)
    suite.add_master("127.0.0.1:%d inet n - n - 2 imapd\n  -o imap_tls_wrappermode=yes\n" % suite.port("imaps"))
    suite.start()
    mute = [Raw(suite.port("imaps")) for _ in range(4)]
    c = suite.imap(tls=True)
    assert c.noop()[0] == "OK"
    suite.wait_log(r"imap: TLS handshake with 127.0.0.1 failed: .*cancelled", count=3)
    c.logout()
    for m in mute:
        m.close()


def test_connections_of_one_address_before_login(make_suite):
    suite = make_suite(main="sessions_per_process = 2\nlogin_client_connection_count_limit = 3\nlogin_client_event_limit_exceptions =\n")
    inside = [suite.imap("alice", tls=tls) for tls in (False, True)]  # these have logged in
    waiting = silent(suite, "imap", 3)
    r = Raw(suite.port("imap"))
    assert r.line() == "* BYE Too many connections from your address."
    assert r.line() is None
    suite.wait_log(r"more than login_client_connection_count_limit \(3\) connections from 127.0.0.1 that have not logged in")
    assert ask(waiting[0], "LOGIN bob secret")[-1].startswith("a OK")
    waiting.append(greet(suite))
    for c in waiting:
        c.close()
    for c in inside:
        c.logout()


@pytest.mark.parametrize("line, said", [
    ("auth_mechanisms = plain nosuch", r'auth_mechanisms = plain nosuch: unknown mechanism "nosuch"'),
    ("auth_passdb = pam", r'auth_passdb = pam: "pam" is not a table of users that this suite has'),
    ("auth_userdb = sql:/x", r'auth_userdb = sql:/x: "sql:/x" is not a table of users that this suite has'),
    ("auth_passdb = passwd-file:/nosuch/file", r"auth_passdb = .*: open passwd-file /nosuch/file: No such file"),
    ("auth_passdb = passwd-file:relative", r"auth_passdb = .*: the path must begin with /"),
    ("auth_default_pass_scheme = NOSUCH", r"auth_default_pass_scheme = NOSUCH: unknown password scheme"),
    ("mail_uid = nosuch-user", r"mail_uid: unknown user nosuch-user"),
])
def test_what_authd_would_refuse_check_and_reload_refuse(suite, line, said):
    suite.imap().logout()  # authd runs, and has read the configuration
    before = open(suite.etc + "/main.cf").read()
    try:
        suite.add_main(line)
        for command in ("check", "reload"):
            r = suite.tool("pombal", command, check=False)
            assert r.returncode == 1 and re.search(said, r.stderr), r.stderr
    finally:
        os.replace(suite.write("etc/main.cf.before", before), suite.etc + "/main.cf")
    suite.imap().logout()


def test_limits_of_users_that_are_not_enforced_are_refused(make_suite):
    suite = make_suite()
    before = open(suite.etc + "/passwd").read()
    try:
        with open(suite.etc + "/passwd", "a") as f:
            f.write("q@example.test:{PLAIN}x:::::: userdb_quota_rule=*:storage=1M\nbroken\n")
        r = suite.tool("pombal", "check", check=False)
        assert r.returncode == 1
        assert re.search(r"passwd, line \d+: userdb_quota_rule would not be enforced; .*pombal_accept_missing", r.stderr), r.stderr
        said = re.findall(r"passwd, line \d+: nobody can log in with it: it has no colon after the name", r.stderr)
        assert len(said) == 1 and r.stderr.count("userdb_quota_rule would not be enforced") == 1, r.stderr
        assert suite.tool("pombal", "reload", check=False).returncode == 1
        suite.add_main("pombal_accept_missing = userdb_quota_rule")
        assert suite.tool("pombal", "check", check=False).returncode == 0
    finally:
        os.replace(suite.write("etc/passwd.before", before), suite.etc + "/passwd")


def failed_logins(suite):
    """how a client may end after it has failed: by itself, politely, too often, in POP3"""
    r = greet(suite)
    ask(r, "LOGIN bo wrong")
    r.close()
    r = greet(suite)
    ask(r, "LOGIN bo wrong")
    ask(r, "LOGOUT")
    r.close()
    r = greet(suite)
    for _ in range(5):
        ask(r, "LOGIN bo wrong")
    r.close()
    r = greet(suite, "pop3")
    r.send("USER bo\r\nPASS wrong\r\n")
    assert r.line() == "+OK" and r.line().startswith("-ERR")
    r.close()


ELEMENTS = r"user=<bo@example.test>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, secured, session=<\w+>$"


def test_log_lines_are_those_of_dovecot(suite):
    failed_logins(suite)
    for line in (r"imap-login: Disconnected: Connection closed \(auth failed, 1 attempts in \d+ secs\): " + ELEMENTS,
                 r"imap-login: Disconnected: Aborted login by logging out \(auth failed, 1 attempts in \d+ secs\): " + ELEMENTS,
                 r"imap-login: Disconnected: Too many wrong passwords \(auth failed, 5 attempts in \d+ secs\): " + ELEMENTS,
                 r"pop3-login: Disconnected: Connection closed \(auth failed, 1 attempts in \d+ secs\): " + ELEMENTS):
        suite.wait_log(r" dovecot\[\d+\]: " + line)
    r = greet(suite)
    r.close()
    suite.wait_log(r"imap-login: Disconnected: Connection closed \(no auth attempts in \d+ secs\): user=<>, rip=127.0.0.1, ")
    r = greet(suite)
    r.send("a AUTHENTICATE PLAIN\r\n")
    assert r.line() == "+ "
    r.close()
    suite.wait_log(r"\(client didn't finish SASL auth, waited \d+ secs\): user=<>, method=PLAIN, rip=")
    r = greet(suite)
    ask(r, "AUTHENTICATE NOSUCH")
    r.close()
    suite.wait_log(r"\(tried to use unsupported auth mechanism\): user=<>, method=NOSUCH, rip=")
    for tls, word in ((False, "secured"), (True, "TLS")):
        line = (r" dovecot\[\d+\]: imap-login: Login: user=<bob@example.test>, method=PLAIN, rip=127.0.0.1, "
                r"lip=127.0.0.1, mpid=(\d+), %s, session=<\w+>$" % word)
        before = len(re.findall(line, suite.log(), flags=re.M))  # by other tests, in processes that may have ended
        client = suite.imap("bob", tls=tls)
        running = suite.pids("imap")
        client.logout()
        (*_, found) = suite.wait_log(line, before + 1)
        assert int(found.group(1)) in running


@pytest.mark.skipif(not shutil.which("fail2ban-regex"), reason="needs fail2ban")
def test_fail2bans_filter_for_dovecot_finds_failed_logins(make_suite):
    suite = make_suite()
    failed_logins(suite)
    suite.wait_log(r"-login: Disconnected: .*auth failed, ", count=4)
    r = subprocess.run(["fail2ban-regex", suite.log_path, "/etc/fail2ban/filter.d/dovecot.conf"], capture_output=True, text=True, timeout=60)
    assert re.search(r"\b4 matched\b", r.stdout), r.stdout


def test_no_session_without_the_program(make_suite):
    """A dead end behind the login is told as temporary, and mends itself"""
    suite = make_suite()
    for pid in suite.pids("imap"):
        os.kill(pid, signal.SIGKILL)
    suite.imap().logout()
    for name in ("authd", "mailbox"):
        for pid in suite.pids(name)[:1]:
            os.kill(pid, signal.SIGKILL)

        def works():
            try:
                suite.imap().logout()
                return True
            except Exception:
                return False
        wait_for(works)


def test_a_login_that_was_given_up_gets_no_session_later(make_suite):
    """the program was only slow: front and session would both read from the client's socket"""
    suite = make_suite(main="auth_request_timeout = 2\n")
    suite.imap("bob").logout()  # starts the program
    r, slow = greet(suite), suite.pids("imap")
    for pid in slow:
        os.kill(pid, signal.SIGSTOP)
    r.send("a LOGIN alice secret\r\n")
    said = r.until("a")
    for pid in slow:
        os.kill(pid, signal.SIGCONT)
    assert said[-1].startswith("a NO [UNAVAILABLE]")
    assert r.line().startswith("* BYE")
    assert r.line() is None
    suite.wait_log(r"imap-login: Disconnected: No session .*user=<alice")


def test_reload_keeps_sessions_and_changes_users(make_suite):
    suite = make_suite()
    c = suite.imap()
    p = suite.pop3("bob")
    suite.add_user("carol")
    suite.reload()
    assert c.noop()[0] == "OK" and p.noop() == b"+OK"

    def carol():
        try:
            suite.imap("carol").logout()
            return True
        except Exception:
            return False
    wait_for(carol)
    assert c.select("INBOX")[0] == "OK"
    c.logout()
    p.quit()


def test_stop_says_goodbye(make_suite):
    suite = make_suite()
    c = greet(suite)
    assert ask(c, "LOGIN alice secret")[-1].startswith("a OK")
    suite.stop()
    assert "BYE" in c.line()
    assert c.line() is None
    wait_for(lambda: not suite.pids("imap"))


def test_a_wrong_password_takes_time_and_more_each_time(make_suite):
    suite = make_suite(main="auth_failure_delay = 1\nauth_failure_delay_max = 2\n")
    r, took = greet(suite), []
    for word in ("LOGIN alice wrong", "LOGIN nobody wrong", "LOGIN alice wrong"):
        start = time.monotonic()
        assert ask(r, word)[-1].startswith("a NO")
        took.append(time.monotonic() - start)
    assert took[0] >= 0.9 and took[1] >= 1.9 and took[2] >= 1.9
    start = time.monotonic()
    suite.imap("bob").logout()  # others are not held up
    assert time.monotonic() - start < 1.5 * max(1, took[0])
