"""What happens at a bound: each has an answer, which is never silence, and the session or the mail goes on."""
import base64, re, time

import pytest

import pombal
from pombal import Instance, Raw, TOP


@pytest.fixture(scope="module")
def suite():
    s = Instance(main="imap_search_keys = 200\nimap_set_limit = 300\nmaildir_keyword_limit = 64\n"
                      "imap_max_line_length = 8192\n")
    s.send("alice", subject="one")
    s.wait_mail("alice")
    yield s
    s.close()


def x(n):
    return "x" * n


def plain(user, password):
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()


# ---- SMTP: the last command gets the answer, and NOOP behind it 250

MAIL = "MAIL FROM:<a@x.test>"


@pytest.mark.parametrize("commands, answer", [
    (["EHLO " + x(1000)], "250"),  # line_length_limit
    (["EHLO " + x(2100)], "500 5.5.2"),
    (["EHLO " + x(100000)], "500 5.5.2"),
    (["EHLO a", "MAIL FROM:<a@%s.test>" % x(63)], "250"),  # RFC 1035 2.3.4
    (["EHLO a", "MAIL FROM:<a@%s.test>" % x(64)], "501 5.1.7"),
    (["EHLO a", "MAIL FROM:<a@%s>" % ".".join([x(63)] * 5)], "501 5.1.7"),
    (["EHLO a", MAIL + " SIZE=0"], "250"),
    (["EHLO a", MAIL + " SIZE=10240000"], "250"),  # message_size_limit
    (["EHLO a", MAIL + " SIZE=10240001"], "552 5.3.4"),
    (["EHLO a", MAIL + " SIZE=9223372036854775807"], "552 5.3.4"),
    (["EHLO a", MAIL + " SIZE=9223372036854775808"], "501 5.5.4"),
    (["EHLO a", MAIL + " SIZE=" + "9" * 100], "501 5.5.4"),
    (["EHLO a", MAIL + " SIZE=-1"], "501 5.5.4"),
    (["EHLO a", MAIL + " SIZE="], "501 5.5.4"),
    (["EHLO a", MAIL + " BODY=" + x(100)], "555 5.5.4"),
    (["EHLO a", MAIL + " RET=" + x(1000)], "501 5.5.4"),
    (["EHLO a", MAIL + " " + x(1000)], "555 5.5.4"),
    (["EHLO a", MAIL, "RCPT TO:<alice@example.test> NOTIFY=" + x(1000)], "501 5.5.4"),
    (["EHLO a", MAIL, "RCPT TO:<alice@example.test> ORCPT=" + x(1000)], "501 5.5.4"),
])
def test_smtp(suite, commands, answer):
    c = Raw(suite.port("smtp"))
    c.reply()
    replies = [c.ask(command) for command in commands + ["NOOP"]]
    assert replies[-2].startswith(answer) and replies[-1].startswith("250")
    c.close()


def test_a_session_keeps_one_name_of_helo(make_suite):
    s = make_suite()
    c = Raw(s.port("smtp"))
    c.reply()

    def grown(name):
        def memory():
            return sum(int(line.split()[1]) for pid in s.pids("smtpd") for line in open("/proc/%d/status" % pid) if line.startswith("RssAnon"))
        before = memory()
        for _ in range(50):  # mail forgives the many commands without
            assert c.ask("EHLO a").startswith("250")
            for _ in range(95):
                assert c.ask("HELO " + name).startswith("250")
            assert [c.ask(q)[:3] for q in (MAIL, "RCPT TO:<alice@example.test>", "DATA", "Subject: x\r\n\r\nx\r\n.")] == ["250", "250", "354", "250"]
        return memory() - before

    grown("a")
    short, long = grown("a"), grown(x(255))
    c.close()
    assert long < short + 500  # in KiB; 50 * 95 names would be 1,200


@pytest.mark.parametrize("response, answer", [
    (plain("alice@example.test", "secret"), "235"),
    (plain("alice@example.test", x(1024)), "535 5.7.8"),  # as long as a password may be
    (plain("alice@example.test", x(1025)), "535 5.7.8"),
    (plain(x(1025), "secret"), "535 5.7.8"),
    (plain(x(9000), x(100)), "535 5.7.8"),
    (x(12288), "535 5.7.8"),  # smtpd_sasl_response_limit; no base64
    (x(12289), "500"),
    (x(100000), "500"),
])
def test_a_sasl_response(suite, response, answer):
    c = Raw(suite.port("submissions"), tls=suite.tls_context())
    c.reply()
    c.ask("EHLO a")
    assert c.ask("AUTH PLAIN").startswith("334")
    assert c.ask(response).startswith(answer)
    assert c.ask("NOOP").startswith("250")
    c.close()


# ---- IMAP and POP3 before login

@pytest.mark.parametrize("length, imap, pop3", [
    (1024, "a NO", "-ERR [AUTH]"), (1025, "a NO", "-ERR [AUTH]"), (60000, "a NO", "-ERR [AUTH]"),
    (70000, "* BYE Line too long.", "-ERR Line too long."),  # login_max_line_length
])
def test_a_name_and_a_password_at_login(suite, length, imap, pop3):
    for name, password in ((x(length), "secret"), ("alice@example.test", x(length))):
        c = Raw(suite.port("imap"))
        c.line()
        c.send("a LOGIN %s %s\r\n" % (name, password))
        assert c.until("a")[-1].startswith(imap)
        c.close()
        c = Raw(suite.port("pop3s"), tls=suite.tls_context())
        c.line()
        c.send("USER %s\r\n" % name)
        answer = c.line()
        if answer == "+OK":
            c.send("PASS %s\r\n" % password)
            answer = c.line()
        assert answer.startswith(pop3)
        c.close()


# ---- POP3

@pytest.mark.parametrize("command, answer", [
    ("LIST 1", "+OK 1 "), ("LIST 0", "-ERR There's no message 0."), ("LIST 2", "-ERR There's no message 2."),
    ("LIST 4294967295", "-ERR There's no message"), ("LIST 4294967296", "-ERR Invalid message number."),
    ("LIST " + "1" * 1019, "-ERR Invalid message number."), ("LIST " + "1" * 1020, "-ERR Input line too long."),
    ("LIST " + "1" * 100000, "-ERR Input line too long."), ("TOP 1 4294967296", "+OK"),
    (x(1000), "-ERR Unknown command."),
])
def test_pop3(suite, command, answer):
    c = Raw(suite.port("pop3s"), tls=suite.tls_context())
    c.line()
    for login in ("USER alice@example.test", "PASS secret"):
        c.send(login + "\r\n")
        assert c.line().startswith("+OK")
    c.send(command + "\r\nNOOP\r\nQUIT\r\n")
    assert c.line().startswith(answer)
    lines = list(iter(c.line, None))  # to the end: the next session finds the mailbox free
    assert lines[-2] == "+OK"
    c.close()


# ---- IMAP

LITERAL = "z CREATE taken-for-a-command\r\n"


@pytest.mark.parametrize("before", [
    "a SEARCH SUBJECT %s" % x(9000), "a APPEND INBOX {5+}\r\nA: b\n%s" % x(9000),
    "a LIST \"\" {9000+}\r\n%s %s" % (x(9000), x(9000)), "a APPEND INBOX {104857601}%s" % x(9000),
    "a SEARCH SUBJECT %s {3+}\r\nabc%s" % (x(4000), x(9000)),
])
@pytest.mark.parametrize("pause", [False, True])
def test_the_literal_behind_a_line_that_is_too_long_is_no_command(suite, before, pause):
    c = suite.imap()
    for piece in (before[:-3], before[-3:], " {%d" % len(LITERAL), "+}\r", "\n" + LITERAL, "\r\nb NOOP\r\n"):
        c.send(piece.encode())
        if pause:
            time.sleep(0.02)  # so that it is read in pieces
    lines = c.readline(), c.readline()
    assert lines[0].startswith(b"a BAD") and lines[1].startswith(b"b OK"), lines
    c.logout()


@pytest.mark.parametrize("command, answer", [
    ("CREATE " + x(254), "OK"),  # the file system's, with the dot
    ("SELECT " + x(255), "NO [CANNOT]"), ("CREATE " + x(255), "NO [CANNOT]"), ("CREATE " + x(5000), "NO [CANNOT]"),
    ("SUBSCRIBE " + x(255), "NO"), ("RENAME INBOX " + x(255), "NO [CANNOT]"), ("DELETE " + x(1000), "NO [CANNOT]"),
    ("STATUS %s (MESSAGES)" % x(1000), "NO [CANNOT]"), ("COPY 1 " + x(1000), "NO"), ("LIST \"\" " + x(5000), "OK"),
    ("STORE 1 +FLAGS " + x(50), "OK"), ("STORE 1 +FLAGS " + x(51), "NO [CANNOT]"),  # mail_max_keyword_length
    ("SEARCH KEYWORD " + x(5000), "OK"),
    ("UID FETCH 1:4294967295 FLAGS", "OK"), ("UID FETCH 4294967296 FLAGS", "BAD"), ("FETCH 0 FLAGS", "BAD"),
    ("UID FETCH %s FLAGS" % ",".join(["1"] * 300), "OK"), ("UID FETCH %s FLAGS" % ",".join(["1"] * 301), "BAD"),
    ("SEARCH " + "SEEN " * 198 + "SEEN", "OK"), ("SEARCH " + "SEEN " * 199 + "SEEN", "BAD"),  # AND is a key, too
    ("SEARCH " + "(" * 100 + "SEEN" + ")" * 100, "OK"), ("SEARCH " + "(" * 101 + "SEEN" + ")" * 101, "BAD"),
    ("SEARCH " + "NOT " * 199 + "SEEN", "OK"), ("SEARCH SUBJECT " + x(5000), "OK"),
    ("SEARCH LARGER 9223372036854775807", "OK"), ("SEARCH LARGER 9223372036854775808", "BAD"),
    ("SEARCH SINCE 1-Jan-9999", "OK"), ("SEARCH SINCE 1-Jan-10000", "BAD"), ("SEARCH BEFORE 31-Dec-1969", "OK"),
    ("FETCH 1 (%s)" % " ".join(["FLAGS"] * 200), "OK"), ("FETCH 1 (%s)" % " ".join(["FLAGS"] * 201), "BAD"),
    ("FETCH 1 BODY.PEEK[%s]" % ".".join(["1"] * 100), "OK"), ("FETCH 1 BODY.PEEK[%s]" % ".".join(["1"] * 101), "BAD"),
    ("FETCH 1 BODY.PEEK[4294967295]", "OK"), ("FETCH 1 BODY.PEEK[4294967296]", "BAD"), ("FETCH 1 BODY.PEEK[0]", "BAD"),
    ("FETCH 1 BODY.PEEK[HEADER.FIELDS (%s)]" % " ".join(["a"] * 200), "OK"),
    ("FETCH 1 BODY.PEEK[HEADER.FIELDS (%s)]" % " ".join(["a"] * 201), "BAD"),
    ("FETCH 1 BODY.PEEK[HEADER.FIELDS (%s)]" % x(5000), "OK"),
    ("FETCH 1 BODY.PEEK[]<0.1>", "OK"), ("FETCH 1 BODY.PEEK[]<0.0>", "BAD"),
    ("FETCH 1 BODY.PEEK[]<9223372036854775807.9223372036854775807>", "OK"),
    ("FETCH 1 BODY.PEEK[]<9223372036854775808.1>", "BAD"),
    ("LIST \"\" (%s)" % " ".join(["a"] * 1000), "OK"), ("LIST \"\" (%s)" % " ".join(["a"] * 1001), "BAD"),
    ("LIST \"\" " + "*%" * 2000, "OK"), (x(8000), "BAD"), (x(8191), "BAD [TOOBIG]"),  # imap_max_line_length, with the tag
    ("LOGIN {9000}", "BAD [TOOBIG]"), ("SELECT {99999999999999999999}", "BAD"),
    ("APPEND INBOX {104857601}", "NO [TOOBIG]"), ("APPEND INBOX {0}", "NO"),  # imap_append_limit
])
def test_imap(suite, command, answer):
    c = Raw(suite.port("imap"))
    c.line()
    c.send("a LOGIN alice@example.test secret\r\nb SELECT INBOX\r\n")
    assert c.until("b")[-1].startswith("b OK")
    c.send("c %s\r\nd NOOP\r\n" % command)
    assert c.until("c")[-1].startswith("c " + answer)
    assert c.until("d")[-1].startswith("d OK")
    c.close()


def imap(suite, user="alice"):
    c = Raw(suite.port("imap"))
    c.line()
    c.send("a LOGIN %s@example.test secret\r\n" % user)
    c.until("a")
    return c


def ask(c, command):
    c.send("b %s\r\n" % command)
    return c.until("b")


def test_keywords_of_a_folder(suite):
    suite.send("bob")  # alice's message has a keyword from the tests above
    suite.wait_mail("bob")
    c = imap(suite, "bob")
    ask(c, "CREATE kw")
    ask(c, "SELECT INBOX")
    ask(c, "COPY 1 kw")
    ask(c, "SELECT kw")
    for n, answer in ((63, "OK"), (65, "NO [LIMIT]"), (64, "OK"), (65, "NO [LIMIT]")):  # maildir_keyword_limit
        assert ask(c, "STORE 1 +FLAGS (%s)" % " ".join("k%d" % i for i in range(n)))[-1].startswith("b " + answer)
    assert len(ask(c, "FETCH 1 FLAGS")[0].split(" k")) == 64
    c.close()


def test_folders(make_suite):
    s = make_suite(start=False, main="mail_folder_limit = 4\nmail_auto_folders =\n")
    s.add_user("few")
    s.start()
    c = imap(s, "few")
    for name, answer in (("a", "OK"), ("b", "OK"), ("c", "OK"), ("d", "NO [LIMIT]"), ("a", "NO")):  # INBOX is one
        assert ask(c, "CREATE " + name)[-1].startswith("b " + answer)
    assert [len(ask(c, 'LIST "" *')), len(ask(c, 'LSUB "" *'))] == [5, 1]
    c.close()
    s.add_main("mail_folder_limit = 3\n")
    s.stop()
    s.start()
    c = imap(s, "few")
    answer = ask(c, 'LIST "" *')
    assert len(answer) == 4 and answer[-1].startswith("b NO [LIMIT]")
    assert ask(c, "NOOP")[-1].startswith("b OK")
    s.wait_log(r"imap\[\d+\]: warning: user few@example.test: there are more folders than mail_folder_limit")
    c.close()


def test_a_header_that_envelope_is_made_of(make_suite):
    s = make_suite(main="mime_header_limit = 1000\n")
    long = "".join(" a%d@x.test,\r\n" % i for i in range(200))
    s.send("alice", subject="behind", headers="Cc: a@x.test,\r\n%s b@x.test\r\nBcc2: x\r\nIn-Reply-To: <late>\r\n" % long)
    s.wait_mail("alice")
    c = imap(s)
    ask(c, "SELECT INBOX")
    envelope = ask(c, "FETCH 1 ENVELOPE")[0]
    assert '"behind"' in envelope and '"a1"' in envelope and '"a199"' not in envelope and "late" not in envelope
    assert "late" in "".join(ask(c, "FETCH 1 BODY.PEEK[HEADER]")) and ask(c, "SEARCH HEADER In-Reply-To late")[0] == "* SEARCH 1"
    s.wait_log(r"warning: folder INBOX of \S+: what is behind mime_header_limit in the header of a message is not in its ENVELOPE")
    c.close()


def test_a_field_that_a_check_replaces_leaves_the_bounds_of_others(make_suite):
    s = make_suite(main="header_size_limit = 1048000\nheader_checks = pcre:{{/^X-R:/ REPLACE X-R: new}}\n")
    s.send("alice", headers="X-R: old\r\nX-Long: a\r\n" + (" " + x(998) + "\r\n") * 1200)
    m = s.wait_mail("alice")[0]
    assert m["X-R"] == "new" and 1040000 < len(m["X-Long"]) <= 1050000


def test_all_addresses_of_an_alias_get_the_mail(make_suite):
    """1,000 addresses (virtual_alias_expansion_limit) of 12 words each are more than header_address_token_limit"""
    one = '"One of" Many (a man) <a%d.b@x.test>'
    s = make_suite(start=False, main="virtual_alias_maps = texthash:$config_directory/virtual\ndefault_transport = discard\n"
                                     "virtual_alias_domains = v.test\n")
    s.write("etc/virtual", "all@v.test %s\nmore@v.test %s\n" % (
        ", ".join(one % i for i in range(1000)), ", ".join(one % i for i in range(1001))))
    s.start()
    s.send("all@v.test")
    s.wait_log(r"nrcpt=1000 \(queue active\)")
    c = Raw(s.port("smtp"))
    c.reply()
    for command in ("EHLO a", MAIL, "RCPT TO:<more@v.test>"):
        c.ask(command)
    c.ask("DATA")
    assert c.ask("A: b\r\n\r\n.").startswith("451 4.6.0 Alias expansion error")
    c.close()


def test_a_long_list_does_not_keep_other_deliveries(make_suite):
    """with all on one line, a line for each, blanks between them; make_suite looks for long turns. What stands in quotes is no group."""
    many = 30000
    lists = {"quoted": '"a:"@x.test,' * many, "lines": "a@x.test\n" * many, "blanks": "a@x.test " * many, "comments": "()" * 600000 + " a@x.test"}
    s = make_suite(start=False, main="mydestination = lists.test\nmyorigin = lists.test\nlocal_transport = local\nlocal_recipient_maps =\n"
                                     "default_transport = discard\nalias_maps = hash:$config_directory/lists\n")
    files = {name: s.write("lists/" + name, text) for name, text in lists.items()}
    s.tool("postalias", s.write("etc/lists", "".join("%s: :include:%s\n" % f for f in files.items())))
    s.start()
    for name in lists:
        s.tool("sendmail", "-f", "alice@example.test", name + "@lists.test", input="Subject: to many\n\nbody\n")
    for name in ("quoted", "lines", "blanks"):
        s.wait_log(r"to=<%s@lists.test>, .*status=sent \(forwarded as" % name)
    s.wait_log(r"to=<comments@lists.test>, .*status=bounced \(mail system configuration error: an entry is too long\)")


# At their highest these would keep mail waiting or out of the queue, or exclude all users.
WAITING = {"auth_failure_delay", "smtpd_error_sleep_time", "queue_minfree", "message_size_limit", "virtual_minimum_uid",
           "first_valid_uid", "first_valid_gid", "default_destination_rate_delay", "default_transport_rate_delay"}


def highest():
    """lines for main.cf: every number and time at the most that is taken"""
    text = open(TOP + "/lib/conf/params.def").read()
    for kind, name, high in re.findall(r'^P\((INT|TIME), (\w+), "[^"]*", \d+, (\d+),', text, flags=re.M):
        if name not in WAITING:
            yield "%s = %s%s\n" % (name, high if int(high) else 2147483647, "s" if kind == "TIME" else "")


def test_with_every_parameter_at_its_highest_mail_is_passed_on_and_read(make_suite):
    s = make_suite(main="".join(highest()))
    s.send("alice")
    s.wait_mail("alice")
    c = imap(s)
    assert ask(c, "SELECT INBOX")[-1].startswith("b OK") and "hello" in ask(c, "FETCH 1 ENVELOPE")[0]
    assert ask(c, "SEARCH TEXT hello")[0] == "* SEARCH 1"
    c.close()
    p = s.pop3()
    assert p.stat()[0] == 1
    p.quit()
    s.send("a@unknown.invalid", sender="alice@example.test")
    assert "Undelivered" in s.wait_mail("alice", 2)[1]["Subject"]
    assert s.tool("pombal", "check").returncode == 0


# The last second of a 32-bit number with and without sign, the next one, and what four digits of a year can say.
DATES = ["01-Jan-1970 00:00:00 +0000", "31-Dec-1969 23:59:59 +0000", "19-Jan-2038 03:14:07 +0000", "19-Jan-2038 03:14:08 +0000",
         "07-Feb-2106 06:28:15 +0000", "07-Feb-2106 06:28:16 +0000", "01-Mar-2400 00:00:00 +0000", "31-Dec-9999 23:59:59 +0000"]


def test_dates_before_and_behind_what_32_bits_hold(make_suite):
    s = make_suite(main="import_environment = MAIL_CONFIG TZ=UTC LANG=C\n")
    c = imap(s)
    for date in DATES:
        text = "Date: %s %s %s %s\r\n\r\nx\r\n" % tuple(date.replace("-", " ", 2).split(" ", 3)[i] for i in (0, 1, 2, 3))
        c.send('b APPEND INBOX "%s" {%d+}\r\n%s\r\n' % (date, len(text), text))
        assert c.until("b")[-1].startswith("b OK")
    c.close()

    def told():
        c = imap(s)
        ask(c, "SELECT INBOX")
        lines = ask(c, "FETCH 1:* INTERNALDATE")[:-1]
        found = {key: ask(c, "SEARCH " + key)[0] for key in (
            "SINCE 20-Jan-2038", "BEFORE 1-Jan-1970", "ON 7-Feb-2106", "SENTSINCE 1-Jan-2400", "SENTBEFORE 19-Jan-2038", "SENTON 31-Dec-9999")}
        c.close()
        return [re.search('"(.*)"', line).group(1) for line in lines], found
    expected = (DATES, {"SINCE 20-Jan-2038": "* SEARCH 5 6 7 8", "BEFORE 1-Jan-1970": "* SEARCH 2", "ON 7-Feb-2106": "* SEARCH 5 6",
                        "SENTSINCE 1-Jan-2400": "* SEARCH 7 8", "SENTBEFORE 19-Jan-2038": "* SEARCH 1 2", "SENTON 31-Dec-9999": "* SEARCH 8"})
    assert told() == expected
    s.stop()
    s.start()
    assert told() == expected  # from the journal


@pytest.mark.parametrize("date, answer", [
    ("31-Dec-9999 23:59:59 +2359", "OK"), ("31-Dec-9999 23:59:60 +0000", None), ("29-Feb-2100 00:00:00 +0000", "OK"),
    ("29-Feb-2000 00:00:00 +0000", "OK"), ("00-Jan-2000 00:00:00 +0000", "OK"), ("01-Jan-10000 00:00:00 +0000", "BAD"),
    ("31-Dec-9999 24:00:00 +0000", "BAD"), ("00-Jan-0000 00:00:00 +0000", "BAD"),
    ("01-Jan-2000 24:00:00 +0000", "OK"), ("01-Jan-2000 00:00:00 +9999", None), ("01-Jan-0000 00:00:00 +0000", None)])
def test_the_date_of_an_append(suite, date, answer):
    c = imap(suite)
    c.send('b APPEND Drafts "%s" {6+}\r\nA: b\r\n\r\n' % date)
    reply = c.until("b")[-1]
    assert reply.startswith("b " + answer) if answer else re.match("b (OK|BAD)", reply)
    assert ask(c, "NOOP")[-1].startswith("b OK")
    c.close()


def test_search_tells_parts_apart_as_fetch_does(make_suite):
    s = make_suite(main="mime_part_limit = 3\n")
    part = "--b\nContent-Transfer-Encoding: base64\n\n%s\n"
    words = ["first", "second", "third"]
    s.send("alice", headers="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
           body="".join(part % base64.b64encode(("the %s word" % w).encode()).decode() for w in words) + "--b--\n")
    s.wait_mail("alice")
    c = s.imap()
    c.select()
    assert c.fetch("1", "(BODYSTRUCTURE)")[1][0].count(b'"base64"') == 2
    assert [c.search(None, "BODY", '"the %s word"' % w)[1][0] for w in words] == [b"1", b"1", b""]
    c.logout()


# ---- the queue

def test_mailq_knows_why_each_of_many_recipients_waits(make_suite):
    s = make_suite(main="default_transport = retry:not today\n")
    count = 2500
    s.tool("sendmail", "-f", "a@example.test", *["u%d@far.test" % i for i in range(count)], input="Subject: x\n\nx\n")
    s.wait_log("status=deferred", count=count)
    pombal.wait_for(lambda: s.queue_files("deferred"))
    assert s.tool("postqueue", "-j").stdout.count('"delay_reason": "not today"') == count
    listed = s.tool("postqueue", "-p").stdout
    assert listed.count("(not today)") < 10 and listed.count("@far.test") == count  # as in Postfix: once for those that follow each other


def test_what_a_transport_table_names_stops_no_other_mail(make_suite):
    rows = {"n%d" % n: x(n) + ":" for n in (1, 98, 99, 500, 968, 1000, 65536, 65537, 1 << 20)}
    rows.update(("h%d" % n, "retry:" + x(n)) for n in (1, 500, 65536, 65537, (1 << 20) - 6, 1 << 20))
    s = make_suite(main="transport_maps = hash:$config_directory/transport\nminimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n", start=False)
    s.write(s.etc + "/transport", "".join("%s.test %s\n" % row for row in rows.items()))
    s.tool("postmap", "hash:" + s.etc + "/transport")
    s.start()
    for name in rows:
        s.tool("sendmail", "-f", "a@example.test", "u@%s.test" % name, input="Subject: x\n\nx\n")
    for name in rows:
        s.wait_log(r"to=<u@%s\.test>.* status=deferred" % name)
    s.send("alice")
    s.wait_mail("alice")
    assert not re.search("(fatal|panic): ", s.log())


def test_an_address_that_leads_round_and_round_is_reported(make_suite):
    s = make_suite(main="mydestination = z, $mydomain\n")
    s.tool("sendmail", "-f", "alice@example.test", "a" + "%z" * 1500 + "@z", input="Subject: x\n\nx\n")
    report = s.wait_mail("alice", match="Undelivered Mail Returned to Sender")[0].as_string()
    assert "bad address syntax" in report and "%z%z%z" in report
    s.wait_queue_empty()


def test_an_address_that_is_too_long_to_be_reported_is_refused(make_suite):
    rows = {"bcc%d@example.test" % n: x(n) + "@far.test" for n in (32000, 33000, 66000, 1000000)}
    s = make_suite(main="recipient_bcc_maps = hash:$config_directory/bcc\nlocal_recipient_maps =\ndefault_transport = retry:x\n", start=False)
    s.write(s.etc + "/bcc", "".join("%s %s\n" % row for row in rows.items()))
    s.tool("postmap", "hash:" + s.etc + "/bcc")
    for name in rows:
        s.add_user(name.split("@")[0])
    s.start()
    answers = []
    for name in rows:
        c = Raw(s.port("smtp"))
        c.reply()
        c.ask("EHLO a")
        answers.append([c.ask(q)[:3] for q in (MAIL, "RCPT TO:<%s>" % name, "DATA", "Subject: x\r\n\r\nx\r\n.")][-1])
        c.close()
    assert answers == ["250", "552", "552", "552"]
    s.wait_log(r"to=<xxx.* status=deferred")
    assert "service failure" not in s.log()


def test_what_cleanup_does_not_take_is_refused_with_a_reason(make_suite):
    s = make_suite(main="smtpd_recipient_restrictions = check_recipient_access inline:{{alice@example.test=PREPEND X: $long}, "
                        "{bob@example.test=FILTER x:$long}}, permit_mynetworks, reject\nlong = %s\n" % x(70000))
    for user in ("alice", "bob"):
        c = Raw(s.port("smtp"))
        c.reply()
        c.ask("EHLO a")
        answers = [c.ask(q) for q in (MAIL, "RCPT TO:<%s@example.test>" % user, "DATA", "Subject: x\r\n\r\nx\r\n.", "NOOP")]
        assert answers[-2].startswith("552 5.3.4") and "is too long" in answers[-2] and answers[-1].startswith("250")
        c.close()
