"""The whole way of a message: in over SMTP or sendmail, home to a Maildir, read over IMAP and POP3."""
import os, re, subprocess

import pytest

import pombal
from pombal import wait_for

SUITE_MAIN = ""


def test_a_list_s_owner_is_told_of_its_command_and_the_writer_of_the_rest(make_suite):
    """a message to two lists whose commands fail, and to nobody: each is told of what is theirs, once"""
    s = make_suite(start=False, main="mydestination = lists.test\nmyorigin = lists.test\nlocal_transport = local\nvirtual_mailbox_domains = example.test\n"
                                     "local_recipient_maps =\nalias_maps = hash:$config_directory/lists\n")
    s.tool("postalias", s.write("etc/lists", 'post: "|echo wrong; exit 69"\nowner-post: bob@example.test\n'
                                             'other: "|exit 69"\nowner-other: carol@example.test\n'))
    s.add_user("carol")
    s.start()
    s.tool("sendmail", "-f", "alice@example.test", "-V", "writers-id", "-N", "failure", "post@lists.test", "nobody@lists.test", "other@lists.test",
           input="Subject: to the list\n\nbody\n")
    told = {user: s.wait_mail(user)[0].get_payload()[1].as_string() for user in ("alice", "bob", "carol")}
    s.wait_queue_empty()
    assert [len(s.messages(user)) for user in told] == [1, 1, 1]
    for user, sender, rcpt in (("alice", "alice@example.test", "nobody"), ("bob", "owner-post@lists.test", "post"), ("carol", "owner-other@lists.test", "other")):
        assert re.findall("Final-Recipient: (.*)", told[user]) == ["rfc822; %s@lists.test" % rcpt]
        assert "X-Postfix-Sender: rfc822; %s\n" % sender in told[user]
        assert ("Original-Envelope-Id: writers-id" in told[user]) == (user == "alice")


def test_what_failed_for_good_is_reported_though_another_member_waits(make_suite):
    """at once, and not with the next attempt"""
    s = make_suite(start=False, main="mydestination = lists.test\nmyorigin = lists.test\nlocal_transport = local\nvirtual_mailbox_domains = example.test\n"
                                     "local_recipient_maps =\nalias_maps = hash:$config_directory/lists\n")
    s.tool("postalias", s.write("etc/lists", 'both: "|exit 75", "|exit 69"\n'))
    s.start()
    s.tool("sendmail", "-f", "alice@example.test", "both@lists.test", input="Subject: to both\n\nbody\n")
    report = s.wait_mail("alice")[0].get_payload()[1].as_string()
    assert re.findall("Status: (.*)", report) == ["5.3.0"]
    assert s.log().count("status=deferred") == 1 and len(s.queue_files("deferred")) == 1


def test_the_log_tells_of_a_message_in_the_order_of_its_life(suite):
    """whoever reads it forgets a message at \"removed\""""
    for i in range(20):
        suite.send(["alice", "bob", "team"], subject="order %d" % i)
    suite.wait_queue_empty()
    suite.wait_log(r": removed$", 20)
    lives = {}
    for id, text in re.findall(r"\]: ([0-9A-Za-z]{6,}): (.*)$", suite.log(), flags=re.M):
        lives.setdefault(id, []).append(re.match(r"removed|\w[\w-]*=", text)[0])
    assert len(lives) == 20
    for life in lives.values():
        assert life[:3] == ["client=", "message-id=", "from="] and set(life[3:-1]) == {"to="} and life[-1] == "removed", life


def test_smtp_to_maildir_to_imap_and_pop3(suite):
    suite.send("alice", subject="whole way", body="line one\n.dot\n\nlast\n")
    message = suite.wait_mail("alice", match="whole way")[0]
    assert message.get_payload() == "line one\n.dot\n\nlast\n"
    assert message["Delivered-To"] == "alice@example.test"
    assert message["Return-Path"] == "<sender@elsewhere.test>"
    imap = suite.imap("alice")
    assert imap.select("INBOX")[0] == "OK"
    number = imap.search(None, "SUBJECT", '"whole way"')[1][0].split()[-1]
    text = imap.fetch(number, "(BODY.PEEK[TEXT])")[1][0][1]
    assert text == b"line one\r\n.dot\r\n\r\nlast\r\n"
    imap.logout()
    pop = suite.pop3("alice")
    count = pop.stat()[0]
    assert b"Subject: whole way" in b"\n".join(b"\n".join(pop.retr(n)[1]) for n in range(1, count + 1))
    pop.quit()


def test_log_lines_are_postfix_s(suite):
    suite.send("bob", subject="log lines", headers="Message-ID: <log-1@elsewhere.test>\r\n")
    suite.wait_mail("bob", match="log lines")
    queue_id = suite.wait_log(r"postfix/cleanup\[\d+\]: (\w+): message-id=<log-1@elsewhere\.test>")[0].group(1)
    stamp = r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ "
    suite.wait_log(stamp + r"postfix/smtpd\[\d+\]: connect from \S+\[127\.0\.0\.1\]$")
    suite.wait_log(stamp + r"postfix/smtpd\[\d+\]: %s: client=\S+\[127\.0\.0\.1\]$" % queue_id)
    suite.wait_log(stamp + r"postfix/qmgr\[\d+\]: %s: from=<sender@elsewhere\.test>, size=\d+, nrcpt=1 \(queue active\)$" % queue_id)
    suite.wait_log(stamp + r"postfix/\w+\[\d+\]: %s: to=<bob@example\.test>, relay=\w+, delay=[\d.]+, "
                   r"delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2\.0\.0, status=sent \(" % queue_id)
    suite.wait_log(stamp + r"postfix/qmgr\[\d+\]: %s: removed$" % queue_id)
    suite.wait_log(stamp + r"postfix/smtpd\[\d+\]: disconnect from \S+\[127\.0\.0\.1\] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5$")
    suite.wait_queue_empty()


def test_an_alias_reaches_every_member_once(suite):
    suite.send("team", subject="to the team")
    suite.wait_mail("alice", match="to the team")
    suite.wait_mail("bob", match="to the team")
    suite.wait_queue_empty()
    assert len([m for m in suite.messages("alice") if m["Subject"] == "to the team"]) == 1


def test_an_alias_for_nobody_is_done_but_not_without_a_word(make_suite):
    s = make_suite()
    s.write("nobody", "# no entry\n")
    s.write("itself", ":include:%s/itself\n" % s.dir)
    with open(s.etc + "/aliases", "a") as f:
        f.write('nobody1: ":include:%s/nobody"\nitself: ":include:%s/itself"\nsome: ":include:%s/nobody", alice\n'
                % (s.dir, s.dir, s.dir))
    s.tool("newaliases")
    for name in ("nobody1", "itself", "some"):
        s.tool("sendmail", "-f", "bob@example.test", name + "@example.test", input="Subject: %s\n\ntext\n" % name)
    s.wait_log(r": removed$", 3)
    for name in ("nobody1", "itself"):
        s.wait_log(r"local\[\d+\]: warning: \w+: no recipient in what <%s@example\.test> expands to$" % name)
        s.wait_log(r"local\[\d+\]: \w+: to=<%s@example\.test>, .*dsn=2\.0\.0, status=sent \(discarded: " % name)
    assert len(s.wait_mail("alice")) == 1
    assert "discarded" not in "".join(line for line in s.log().splitlines() if "some@" in line)


def test_sendmail_takes_recipients_from_the_header_and_drops_bcc(suite):
    suite.tool("sendmail", "-t", "-f", "bob@example.test",
               input="To: alice@example.test\nBcc: bob@example.test\nSubject: by sendmail\n\nhello\n")
    for user in ("alice", "bob"):
        message = suite.wait_mail(user, match="by sendmail")[0]
        assert message["Bcc"] is None
        assert message["Message-Id"] and message["Date"] and message["From"]


def test_unknown_recipient_is_refused_at_rcpt(suite):
    raw = pombal.Raw(suite.port("smtp"))
    assert raw.reply().startswith("220 mail.example.test ESMTP")
    assert raw.ask("EHLO x").startswith("250-mail.example.test")
    assert raw.ask("MAIL FROM:<a@elsewhere.test>") == "250 2.1.0 Ok"
    assert raw.ask("RCPT TO:<nobody-here@example.test>").startswith(
        "550 5.1.1 <nobody-here@example.test>: Recipient address rejected: User unknown in local recipient table")
    raw.ask("QUIT")
    suite.wait_log(r"NOQUEUE: reject: RCPT from \S+\[127\.0\.0\.1\]: 550 5\.1\.1 <nobody-here@example\.test>: Recipient address rejected")


def test_nobody_relays_without_permission(make_suite):
    suite = make_suite(main="mynetworks = 192.0.2.1/32\n")
    raw = pombal.Raw(suite.port("smtp"))
    raw.reply()
    raw.ask("EHLO x")
    raw.ask("MAIL FROM:<a@elsewhere.test>")
    assert raw.ask("RCPT TO:<b@third.test>").startswith("454 4.7.1 <b@third.test>: Relay access denied")
    assert raw.ask("RCPT TO:<alice@example.test>") == "250 2.1.5 Ok"
    raw.close()
    with suite.smtp("submission") as s:
        s.starttls(context=suite.tls_context())
        s.login("alice@example.test", suite.password)
        assert s.rcpt is not None
        s.ehlo()
        assert s.docmd("MAIL FROM:<alice@example.test>")[0] == 250
        assert s.docmd("RCPT TO:<b@third.test>")[0] == 250


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_submission_with_tls_and_every_mechanism(suite, mechanism):
    with suite.smtp("submissions") as s:
        s.ehlo()
        assert mechanism in s.esmtp_features["auth"].split()
        s.user, s.password = "alice@example.test", suite.password
        how = {"PLAIN": s.auth_plain, "LOGIN": s.auth_login, "CRAM-MD5": s.auth_cram_md5}[mechanism]
        assert s.auth(mechanism, how)[0] == 235
        s.sendmail("alice@example.test", ["bob@example.test"], "Subject: signed in with %s\r\n\r\nx\r\n" % mechanism)
    suite.wait_mail("bob", match="signed in with " + mechanism)
    suite.wait_log(r"client=\S+, sasl_method=%s, sasl_username=alice@example\.test" % mechanism)


def test_wrong_password_is_refused_and_logged(suite):
    with suite.smtp("submissions") as s:
        s.ehlo()
        assert s.docmd("AUTH PLAIN", "AGFsaWNlQGV4YW1wbGUudGVzdABodW50ZXIy")[0] == 535
    suite.wait_log(r"warning: \S+\[127\.0\.0\.1\]: SASL PLAIN authentication failed")
    assert "hunter2" not in suite.log()


def test_recipient_delimiter_reaches_the_user(suite):
    suite.send("alice+lists@example.test", subject="extended")
    suite.wait_mail("alice", match="extended")


def test_what_is_for_nobody_bounces_to_the_sender(make_suite):
    suite = make_suite(main="local_recipient_maps =\n")
    suite.send("ghost", subject="to a ghost", sender="bob@example.test")
    report = suite.wait_mail("bob", match="Undelivered Mail Returned to Sender")[0]
    assert report.get_content_type() == "multipart/report"
    status = report.get_payload()[1]
    assert status.get_content_type() == "message/delivery-status"
    assert "Final-Recipient: rfc822; ghost@example.test" in str(status)
    assert re.search(r"Status: 5\.1\.1", str(status)) and "Action: failed" in str(status)
    assert "to a ghost" in str(report.get_payload()[2])
    assert report["Return-Path"] == "<>"
    suite.wait_log(r"to=<ghost@example\.test>,.* dsn=5\.1\.1, status=bounced")
    suite.wait_queue_empty()


CHECKS = "/^X-Hold:/ HOLD look at it\n/^X-Bad:/ REJECT no such thing\n"


def test_local_mail_that_is_held_and_then_refused_comes_back(make_suite):
    suite = make_suite(start=False)
    suite.write("etc/checks", CHECKS)
    suite.add_main("header_checks = regexp:%s/etc/checks\n" % suite.dir)
    suite.start()
    suite.tool("sendmail", "-f", "alice@example.test", "bob@example.test", input="Subject: both\nX-Hold: 1\nX-Bad: 1\n\ntext\n")
    report = suite.wait_mail("alice", match="Undelivered")[0].as_string()
    assert "no such thing" in report and "Subject: both" in report
    suite.wait_queue_empty()
    pombal.wait_for(lambda: not any(suite.queue_files(name) for name in ("maildrop", "hold", "corrupt")))


def test_a_report_that_cannot_be_handed_in_leaves_no_record_behind(make_suite):
    """each attempt has its own queue id: its record would be told to whoever gets that id again"""
    suite = make_suite(start=False)
    suite.write("etc/checks", CHECKS)
    round = "virtual_alias_maps = inline:{{a@example.test=b@example.test},{b@example.test=a@example.test}}\n"
    suite.add_main("header_checks = regexp:%s/etc/checks\n%s" % (suite.dir, round))
    suite.start()
    suite.tool("sendmail", "-f", "a@example.test", "bob@example.test", "alice@example.test", input="X-Bad: 1\n\ntext\n")
    for attempt in 1, 2:
        suite.wait_log("cleanup.*: no report of ", attempt)
        assert os.listdir(suite.queue + "/bounce") == []
        suite.tool("postkick", "public", "pickup", "W")
    suite.add_main("virtual_alias_maps = inline:{{a@example.test=alice@example.test}}\n")
    suite.reload()
    suite.tool("postkick", "public", "pickup", "W")
    report = suite.wait_mail("alice", match="Undelivered")[0].as_string()
    assert report.count("Final-Recipient:") == 2
    pombal.wait_for(lambda: not suite.queue_files("maildrop"))
    assert len(re.findall("cleanup.* status=bounced ", suite.log())) == 2
    assert os.listdir(suite.queue + "/bounce") == []


def test_a_list_that_is_its_own_owner_gets_one_report_and_not_reports_for_ever(make_suite):
    """Postfix sends the report to the list in the owner's name, and so the next one, until the disk is full"""
    s = make_suite()
    with open(s.etc + "/aliases", "a") as f:
        f.write("lost: nosuch1\nowner-lost: lost\n")
    s.tool("newaliases")
    s.tool("sendmail", "-f", "bob@example.test", "lost@example.test", input="Subject: to a list\n\ntext\n")
    report = s.wait_log(r"bounce\[\d+\]: \w+: sender non-delivery notification: (\w+)$")[0].group(1)
    copy = s.wait_log(r"local\[\d+\]: %s: to=<owner-lost@example\.test>, .*status=sent \(forwarded as (\w+)\)$" % report)[0].group(1)
    s.wait_log(r"qmgr\[\d+\]: %s: from=<>, " % copy)
    s.wait_log(r"\]: %s: to=<nosuch1@example\.test>, .*status=bounced" % copy)
    s.wait_log(r"qmgr\[\d+\]: %s: removed$" % copy)
    s.wait_queue_empty()
    assert s.log().count("sender non-delivery notification") == 1


def test_swaks_and_curl_send(suite):
    subprocess.run(["swaks", "--server", "127.0.0.1:%d" % suite.port("submission"), "-tls", "--tls-ca-path", suite.dir + "/ca.pem",
                    "--auth", "PLAIN", "--auth-user", "alice@example.test", "--auth-password", suite.password,
                    "--from", "alice@example.test", "--to", "bob@example.test", "--header", "Subject: by swaks"],
                   check=True, stdout=subprocess.DEVNULL, timeout=60)
    suite.wait_mail("bob", match="by swaks")
    subprocess.run(["curl", "-sS", "--url", "smtps://localhost:%d" % suite.port("submissions"), "--cacert", suite.dir + "/ca.pem",
                    "--user", "bob@example.test:" + suite.password, "--mail-from", "bob@example.test",
                    "--mail-rcpt", "alice@example.test", "-T", "-"], input=b"Subject: by curl\r\n\r\nhello\r\n", check=True, timeout=60)
    suite.wait_mail("alice", match="by curl")


def test_curl_and_fetchmail_read(suite):
    suite.send("bob", subject="for other readers")
    suite.wait_mail("bob", match="for other readers")
    for url in ("imaps://localhost:%d/INBOX;MAILINDEX=1" % suite.port("imaps"), "pop3s://localhost:%d/1" % suite.port("pop3s"),
                "imap://127.0.0.1:%d/INBOX;MAILINDEX=1" % suite.port("imap")):
        out = subprocess.run(["curl", "-sS", "--cacert", suite.dir + "/ca.pem", "--user", "bob:" + suite.password, "--url", url],
                             capture_output=True, timeout=60)
        assert out.returncode == 0, out.stderr
        assert b"Subject:" in out.stdout
    rc = suite.write("fetchmailrc", "poll localhost protocol IMAP port %d user \"bob\" password \"%s\" ssl sslcertfile \"%s/ca.pem\" "
                     "keep fetchall mda \"cat >> %s/fetched\"\n" % (suite.port("imaps"), suite.password, suite.dir, suite.dir), 0o600)
    subprocess.run(["fetchmail", "-f", rc, "-i", suite.dir + "/ids", "--pidfile", suite.dir + "/fetchmail.pid", "-s"], timeout=60,
                   env=dict(os.environ, FETCHMAILHOME=suite.dir, HOME=suite.dir), check=True)
    assert "for other readers" in open(suite.dir + "/fetched").read()


def test_a_thousand_recipients_and_a_large_message(suite):
    big = "".join("%06d %s\n" % (i, "x" * 70) for i in range(40000))
    suite.send("alice", subject="three megabytes", body=big)
    assert suite.wait_mail("alice", match="three megabytes")[0].get_payload() == big
    suite.wait_queue_empty()


def test_plus_mail_in_the_queue_is_listed_and_flushed(make_suite):
    port = pombal.free_port()
    suite = make_suite(main="relay_domains = later.test\ntransport_maps = inline:{ later.test=smtp:[127.0.0.1]:%d }\n" % port)
    suite.send("x@later.test", subject="waits")
    suite.wait_log(r"to=<x@later\.test>, relay=none, .*status=deferred \(connect to 127\.0\.0\.1\[127\.0\.0\.1\]:%d: Connection refused\)" % port)
    listing = pombal.wait_for(lambda: (lambda out: out if "Connection refused" in out else None)(suite.tool("mailq").stdout))
    assert re.search(r"^-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------$", listing, flags=re.M)
    assert "sender@elsewhere.test" in listing and "x@later.test" in listing
    queue_id = re.search(r"^([0-9A-Za-z]+) +\d+ ", listing, flags=re.M).group(1)
    assert "waits" in suite.tool("postcat", "-q", queue_id).stdout
    assert '"queue_name": "deferred"' in suite.tool("postqueue", "-j").stdout
    sink = subprocess.Popen(["smtp-sink", "127.0.0.1:%d" % port, "10"] if os.getuid() else
                            ["smtp-sink", "-u", "nobody", "127.0.0.1:%d" % port, "10"])
    try:
        pombal.wait_for(lambda: pombal.answers(port))
        suite.tool("postqueue", "-f")
        suite.wait_log(queue_id + r": to=<x@later\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent" % port)
        suite.wait_queue_empty()
        assert "Mail queue is empty" in suite.tool("mailq").stdout
    finally:
        sink.terminate()
        sink.wait()


def test_a_success_is_reported_of_an_alias_that_reached_some_of_its_members(make_suite):
    s = make_suite()
    with open(s.etc + "/aliases", "a") as f:
        f.write("both: alice, nosuch\n")
    s.tool("newaliases")
    s.tool("sendmail", "-N", "success,failure", "-f", "bob@example.test", "both@example.test", input="Subject: both\n\ntext\n")
    reports = [m.get_payload()[1].as_string() for m in s.wait_mail("bob", 2)]
    assert sorted(a for r in reports for a in re.findall(r"^Action: (\w+)", r, re.M)) == ["delivered", "failed"]
    s.wait_queue_empty()
    assert not s.queue_files("trace") and not s.queue_files("bounce")


def test_mail_that_expires_in_a_mailbox_transport_is_reported_once(make_suite):
    """the records of the transport are known as those of the recipient"""
    s = make_suite(main="mailbox_transport_maps = inline:{root=lmtp:unix:private/nothere}\n")
    s.tool("sendmail", "-f", "bob@example.test", "root@example.test", input="Subject: waits\n\ntext\n")
    s.wait_log(r"to=<root@example\.test>, .*status=deferred")
    wait_for(lambda: s.queue_files("deferred"))
    s.tool("postsuper", "-e", "ALL")
    s.tool("postqueue", "-f")
    s.wait_log("returned to sender")
    s.wait_queue_empty()
    report = s.wait_mail("bob")[0].get_payload()[1].as_string()
    assert re.findall(r"^Action: (\w+)", report, re.M) == ["failed"] and "nothere" in report
    assert len(s.messages("bob")) == 1
