"""The command that programs send with: sendmail, mailq, newaliases, postdrop."""
import os, re, shutil, signal, subprocess

import pytest

import pombal

SUITE_MAIN = "message_size_limit = 100000\n"


def sendmail(suite, *args, text="Subject: x\n\nbody\n", status=0):
    r = suite.tool("sendmail", *args, input=text, check=False)
    assert r.returncode == status, r.stderr
    return r


def test_recipients_of_the_command_line(suite):
    sendmail(suite, "-f", "s@x.test", "alice@example.test", "bob, alice", text="Subject: by command line\n\nbody\n")
    for user in ("alice", "bob"):
        message = suite.wait_mail(user, match="by command line")[0]
        assert message["Return-Path"] == "<s@x.test>"
        assert message["From"] and message["Date"] and message["Message-Id"]
        assert "from userid %d" % os.getuid() in message["Received"]


def test_pickup_logs_the_user(suite):
    sendmail(suite, "-f", "s@x.test", "alice")
    suite.wait_log(r"postfix/pickup\[\d+\]: \w+: uid=%d from=<s@x\.test>$" % os.getuid())


def test_a_dot_ends_the_message_unless_i(suite):
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: dot\n\nbefore\n.\nafter\n")
    assert suite.wait_mail("alice", match="^dot$")[0].get_payload() == "before\n"
    sendmail(suite, "-i", "-f", "s@x.test", "alice", text="Subject: nodot\n\nbefore\n.\nafter\n")
    assert suite.wait_mail("alice", match="^nodot$")[0].get_payload() == "before\n.\nafter\n"
    sendmail(suite, "-oi", "-f", "s@x.test", "alice", text="Subject: oidot\n\nbefore\n.\nafter\n")
    assert suite.wait_mail("alice", match="^oidot$")[0].get_payload() == "before\n.\nafter\n"


def test_full_name_and_line_ends(suite):
    sendmail(suite, "-F", "Ann O. Body", "-f", "s@x.test", "alice", text="Subject: named\r\n\r\nline\r\n")
    message = suite.wait_mail("alice", match="^named")[0]
    assert message["From"] == '"Ann O. Body" <s@x.test>'
    assert message.get_payload() == "line\n"


def test_t_with_resent_fields_takes_only_those(suite):
    sendmail(suite, "-t", "-f", "s@x.test", text="Resent-To: bob@example.test\nTo: alice@example.test\nSubject: resent\n\nx\n")
    suite.wait_mail("bob", match="^resent")
    suite.wait_queue_empty()
    assert not [m for m in suite.messages("alice") if m["Subject"] == "resent"]


def test_mbox_line_in_front_is_dropped(suite):
    sendmail(suite, "alice", text="From someone Mon Jan  1 00:00:00 2024\nSubject: from line\n\nx\n")
    suite.wait_mail("alice", match="from line")


def test_no_header_and_no_text(suite):
    sendmail(suite, "-f", "s@x.test", "bob", text="only text\n")
    assert pombal.wait_for(lambda: [m for m in suite.messages("bob") if m.get_payload() == "only text\n"])
    sendmail(suite, "-f", "s@x.test", "bob", text="")


def test_wrong_use_is_75_as_with_postfix(suite):
    assert "Recipient addresses must be specified" in sendmail(suite, status=75).stderr
    assert "No recipient addresses found" in sendmail(suite, "-t", text="Subject: x\n\nx\n", status=75).stderr
    sendmail(suite, "-bz", status=75)


def test_mail_goes_out_although_its_report_is_asked_for_wrongly(suite):
    r = sendmail(suite, "-N", "sometimes", "-R", "half", "-f", "s@x.test", "alice", text="Subject: no such report\n\nx\n")
    assert "bad -N option value -- ignored" in r.stderr and "bad -R option value -- ignored" in r.stderr
    suite.wait_mail("alice", match="no such report")


def test_what_the_world_passes_is_accepted(suite):
    sendmail(suite, "-om", "-oem", "-odb", "-oo", "-m", "-U", "-h", "3", "-L", "tag", "-O", "A=b", "-B8BITMIME",
             "-Am", "-G", "-R", "hdrs", "-N", "never", "-V", "envelope", "-f", "s@x.test", "alice")


def test_a_message_over_the_limit_is_69(suite):
    assert "message file too big" in sendmail(suite, "alice", text="Subject: x\n\n" + "x" * 80 * 2000, status=69).stderr


def test_a_queue_that_cannot_be_written_is_75(suite):
    os.rename(suite.queue + "/maildrop", suite.queue + "/elsewhere")
    try:
        sendmail(suite, "alice", status=75)
    finally:
        os.rename(suite.queue + "/elsewhere", suite.queue + "/maildrop")


def test_bs_speaks_smtp(suite):
    r = suite.tool("sendmail", "-bs", input="EHLO x\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
                   "Subject: by bs\r\n\r\n..dot\r\n.\r\nFOO\r\nQUIT\r\n")
    codes = [line[:3] for line in r.stdout.split("\n") if line[3:4] == " "]
    assert codes == ["220", "250", "250", "250", "354", "250", "500", "221"]
    assert re.search(r"^250 2\.0\.0 Ok: queued as [0-9A-Za-z]{6,}$", r.stdout, re.M)  # the file in maildrop
    assert suite.wait_mail("alice", match="by bs")[0].get_payload() == ".dot\n"


def test_bs_keeps_what_is_asked_for_a_report(suite):
    suite.tool("sendmail", "-bs", input="EHLO x\r\nMAIL FROM:<bob@example.test> RET=HDRS ENVID=Q+2B1 BODY=8BITMIME\r\n"
               "RCPT TO:<alice@example.test> NOTIFY=SUCCESS ORCPT=rfc822;first@x.test\r\nDATA\r\nSubject: asks\r\n\r\nsecret \u00e9\r\n.\r\nQUIT\r\n")
    report = suite.wait_mail("bob", match="Successful Mail Delivery Report")[0].as_string()
    assert "Original-Envelope-Id: Q+1" in report and "Original-Recipient: rfc822;first@x.test" in report
    assert "Subject: asks" in report and "secret" not in report


def test_bv_asks_without_a_message(suite):
    """nobody needs to end its input: it is not read"""
    end, other_end = os.pipe()
    try:
        subprocess.run([pombal.BIN + "/sendmail", "-bv", "-f", "bob@example.test", "alice@example.test"], stdin=end, check=True,
                       stdout=subprocess.DEVNULL, timeout=pombal.PATIENCE, env=dict(os.environ, MAIL_CONFIG=suite.etc))
    finally:
        os.close(end), os.close(other_end)
    report = suite.wait_mail("bob", match="Mail Delivery Status Report")[0].as_string()
    assert "Action: deliverable" in report and "Subject: probe" in report and not [m for m in suite.messages("alice") if m["Subject"] == "probe"]


def memory_of(suite, *args):
    """of a sendmail with these arguments, in KB"""
    p = subprocess.Popen([pombal.BIN + "/sendmail", *args], stdout=subprocess.DEVNULL, env=dict(os.environ, MAIL_CONFIG=suite.etc))
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    assert p.returncode == 0
    return used.ru_maxrss


def test_bv_with_many_addresses_takes_little_memory(make_suite):
    """each was added to a copy of all that stood before it"""
    s = make_suite(start=False)
    s.tool("pombal", "check")
    addresses = ["user%04d@example.test" % i for i in range(4000)]
    assert memory_of(s, "-bv", "-f", "bob", *addresses) < memory_of(s, "-bv", "-f", "bob", *addresses[:1]) + 50000


def test_bp_and_mailq_list_the_queue(suite):
    suite.wait_queue_empty()
    assert "Mail queue is empty" in suite.tool("sendmail", "-bp").stdout
    assert "Mail queue is empty" in suite.tool("mailq").stdout


@pytest.mark.skipif(pombal.BUILD.endswith("release"), reason="needs AddressSanitizer")
def test_tools_leak_nothing(suite):
    leaks = {"ASAN_OPTIONS": "detect_leaks=1"}
    suite.write("etc/table", "a b\n")
    table = "hash:%s/etc/table" % suite.dir
    suite.tool("sendmail", "-t", input="To: alice\nSubject: leaks\n\nx\n", env=leaks)
    suite.wait_mail("alice", match="^leaks$")
    suite.tool("sendmail", "-f", "s@x.test", "nobody@[127.0.0.9]", input="Subject: stays\n\nx\n", env=leaks)
    name = os.path.basename(pombal.wait_for(lambda: suite.queue_files("deferred"))[0])
    for command in (["postconf", "-n"], ["postconf", "-d"], ["postconf", "-x", "myhostname"], ["postconf", "-M"], ["postconf", "-m"],
                    ["postconf", "-e", "relay_domains ="], ["postmap", table], ["postmap", "-q", "a", table], ["postmap", "-s", table],
                    ["postalias", "hash:%s/aliases" % suite.etc], ["postqueue", "-p"], ["postqueue", "-j"], ["postqueue", "-f"],
                    ["postcat", "-q", name], ["postsuper", "-h", name], ["postsuper", "-d", name], ["postsuper"],
                    ["postlog", "-t", "postfix/test", "words"], ["postkick", "public", "qmgr", "D"],
                    ["pombal", "status"], ["pombal", "check"]):
        suite.tool(*command, env=leaks)


def test_newaliases_makes_the_database(suite):
    with open(suite.etc + "/aliases", "a") as f:
        f.write("fresh: bob\n")
    suite.tool("newaliases")
    assert suite.tool("postalias", "-q", "fresh", "hash:%s/aliases" % suite.etc).stdout.strip() == "bob"
    other = "hash:" + suite.write("etc/others", "other: bob\n")
    suite.tool("newaliases", "-oA" + other)
    assert suite.tool("postalias", "-q", "other", other).stdout.strip() == "bob"


def test_postdrop_refuses_what_is_no_message(suite):
    for text in ("", "garbage", "N\x03abc", "S\x01xM\x00", "S\x01xR\x01yM\x00X\x00"):
        r = suite.tool("postdrop", "-r", "-c", suite.etc, input=text, check=False)
        assert r.returncode == 65, (text, r.stdout)
    assert not [f for f in os.listdir(suite.queue + "/maildrop") if "." not in f]


def test_a_damaged_maildrop_file_goes_to_corrupt(suite):
    path = suite.queue + "/maildrop/ABCDEF123"
    with open(path, "w") as f:
        f.write("S\x03s@xR\x05aliceM\x00Zoops")
    os.chmod(path, 0o744)
    suite.tool("postkick", "public", "pickup", "W")
    pombal.wait_for(lambda: os.path.exists(suite.queue + "/corrupt/ABCDEF123"))
    suite.wait_log(r"warning: maildrop/ABCDEF123: .*: moved to the corrupt queue")


def test_mail_waits_in_maildrop_while_the_system_is_down(make_suite):
    suite = make_suite()
    suite.stop()
    suite.tool("sendmail", "-f", "s@x.test", "alice", input="Subject: waited\n\nx\n")
    assert len(suite.queue_files("maildrop")) == 1
    listed = suite.tool("postqueue", "-j").stdout
    assert '"queue_name": "maildrop"' in listed and '"sender": "s@x.test", "recipients": [{"address": "alice"}]' in listed
    suite.start()
    suite.wait_mail("alice", match="waited")


def test_pickup_that_starts_while_maildrop_is_away_takes_mail_later(make_suite):
    """its jail must have the directory: without it no later mail would ever be taken"""
    suite = make_suite()
    old = pombal.wait_for(lambda: suite.pids("pickup"))
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: before\n\nx\n")
    suite.wait_mail("alice", match="^before")
    os.rename(suite.queue + "/maildrop", suite.queue + "/elsewhere")
    os.kill(old[0], signal.SIGKILL)
    suite.wait_log(r"postfix/pickup\[\d+\]: fatal: jail: open maildrop: No such file or directory")
    os.rename(suite.queue + "/elsewhere", suite.queue + "/maildrop")
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: after\n\nx\n")
    suite.wait_mail("alice", match="^after")


def replace(suite, queue):
    path = suite.queue + "/" + queue
    st = os.stat(path)
    os.rename(path, path + ".old")
    os.mkdir(path)
    os.chown(path, st.st_uid, st.st_gid)
    os.chmod(path, st.st_mode)


def test_an_active_queue_that_was_replaced_is_used(make_suite):
    suite = make_suite()
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: before\n\nx\n")
    suite.wait_mail("alice", match="^before")
    suite.wait_queue_empty()
    replace(suite, "active")
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: after\n\nx\n")
    suite.wait_log(r"postfix/qmgr\[\d+\]: active has changed -- restarting")
    suite.wait_mail("alice", match="^after")


def test_mailq_is_not_empty_because_a_queue_was_replaced(make_suite):
    """its process may reach the old directory only, where nothing is any more: a new one answers"""
    suite = make_suite(main="header_checks = regexp:{{/^Subject: waits/ HOLD}}\n")
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: waits\n\nx\n")
    pombal.wait_for(lambda: suite.queue_files("hold"))
    assert "alice@" in suite.tool("mailq").stdout
    replace(suite, "hold")
    for name in os.listdir(suite.queue + "/hold.old"):
        os.rename("%s/hold.old/%s" % (suite.queue, name), "%s/hold/%s" % (suite.queue, name))
    assert "alice@" in suite.tool("mailq").stdout


def test_a_queue_directory_that_was_replaced_is_used(make_suite):
    """the jail is a directory's, not a name's: only a new process reaches the new one"""
    suite = make_suite()
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: before\n\nx\n")
    suite.wait_mail("alice", match="^before")
    for queue in ("maildrop", "incoming"):
        replace(suite, queue)
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: after\n\nx\n")

    def arrived():
        suite.tool("postkick", "public", "pickup", "W")
        suite.tool("postkick", "public", "qmgr", "I")
        return [m for m in suite.messages("alice") if m["Subject"] == "after"]
    pombal.wait_for(arrived, every=1)
    for program, what in (("pickup", "maildrop"), ("cleanup", "incoming"), ("qmgr", "incoming")):
        suite.wait_log(r"postfix/%s\[\d+\]: %s has changed -- restarting" % (program, what))


def test_a_queue_that_cannot_be_read_is_told(make_suite):
    suite = make_suite()
    for queue, service, reason in (("maildrop", "pickup", "W"), ("incoming", "qmgr", "I"), ("deferred", "qmgr", "D")):
        path = suite.queue + "/" + queue
        mode = os.stat(path).st_mode
        os.chmod(path, 0)
        suite.tool("postkick", "public", service, reason)
        suite.wait_log(r"postfix/%s\[\d+\]: warning: the %s queue cannot be read to its end: mail waits there" % (service, queue))
        os.chmod(path, mode)


def test_a_long_line_is_whole_whatever_a_line_may_be(make_suite):
    suite = make_suite(main="line_length_limit = 200000\nmessage_size_limit = 1000000\n")
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: long\n\n%s\n" % ("x" * 150000))
    assert suite.wait_mail("alice", match="^long")[0].get_payload().replace("\n", "").count("x") == 150000


def wait_report(suite, about):
    """the report to alice that gives back the message with this in it; other tests have reports, too"""
    def report():
        return next((text for text in map(str, suite.messages("alice")) if "multipart/report" in text and about in text), None)
    return pombal.wait_for(report)


def test_a_loop_is_reported_to_the_sender(suite):
    sendmail(suite, "-f", "alice@example.test", "bob", text="Received: x\n" * 60 + "Subject: round and round\n\nx\n")
    report = wait_report(suite, "round and round")
    assert "Status: 5.4.0" in report and "too many hops" in report


# ---- what a local user may not do

def as_nobody(suite, program, *args, env=None, input=""):
    """runs a copy of a tool that everybody can reach; set-gid to nobody's own other group"""
    return subprocess.run([program, *args], input=input, capture_output=True, text=True, user=65534, group=65534, extra_groups=[],
                          env={"PATH": "/usr/bin:/bin", **(env or {})}, timeout=60)


@pytest.fixture
def reachable(suite, tmp_path_factory):
    """the commands in a directory that everybody can read; the set-gid bit on those that have it when installed"""
    folder = suite.dir + "/commands"
    if not os.path.isdir(folder):
        shutil.copytree(pombal.BIN, folder, symlinks=True)
        os.chmod(folder, 0o755)
        for name in ("postdrop", "postqueue", "postlog"):
            os.chown(folder + "/" + name, 0, 12345)
            os.chmod(folder + "/" + name, 0o2755)
    return folder


def test_what_follows_the_first_recipient_is_a_recipient(suite):
    """no option: sendmail is run with addresses that strangers have made"""
    marker = suite.dir + "/ran"
    evil = suite.write("evil/main.cf", "command_directory = %s/evil\nqueue_directory = %s\n" % (suite.dir, suite.queue))
    suite.write("evil/postdrop", "#!/bin/sh\ntouch %s\n" % marker, 0o755)
    sendmail(suite, "-f", "s@x.test", "-i", "alice", "-C" + os.path.dirname(evil), text="Subject: behind\n\nx\n")
    suite.wait_mail("alice", match="^behind")
    assert not os.path.exists(marker)
    suite.wait_log(r"to=<-C/[^>]*> *|to=<-C")


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_full_name_is_one_line(suite, how):
    name = "A\nBcc: bob@example.test\r\n\nbody" + how
    args = ["-F", name] if how == "option" else []
    suite.tool("sendmail", *args, "-f", "s@x.test", "alice", input="Subject: name %s\n\nx\n" % how,
               env={"NAME": name} if how == "environment" else {})
    m = suite.wait_mail("alice", match="^name " + how)[0]
    assert m.get_payload() == "x\n"
    assert m["Bcc"] is None and "body" + how in m["From"]


def test_an_envelope_id_is_one_line(suite):
    sendmail(suite, "-f", "alice@example.test", "-V", "id\nBcc: bob@example.test", "nobody-here@example.test", text="Subject: envid\n\nx\n")
    report = wait_report(suite, "Subject: envid")
    assert "Original-Envelope-Id" in report and "\nBcc: bob" not in report


def test_a_line_of_any_length_arrives_whole(suite):
    suite_limit = suite.tool("postconf", "-h", "message_size_limit").stdout.strip()
    line = "x" * 90000
    sendmail(suite, "-f", "s@x.test", "alice", text="Subject: long line\n\n%s\nend\n" % line)
    assert suite.wait_mail("alice", match="^long line")[0].get_payload().replace("\n", "") == line + "end"
    r = sendmail(suite, "-f", "s@x.test", "alice", text="Subject: too long\n\n%s\n" % ("y" * 2000000), status=69)
    assert "too big" in r.stderr, (r.stderr, suite_limit)


def test_t_takes_all_addresses_of_a_folded_field(make_suite):
    suite = make_suite()
    many = ",\n ".join("u%d@example.test" % i for i in range(3000))
    sendmail(suite, "-t", "-f", "s@x.test", text="To: %s\nSubject: many\n\nx\n" % many)
    suite.wait_log(r"nrcpt=3000 \(queue active\)")


def test_an_address_that_is_too_long_is_an_error(suite):
    for args in (["-f", "x" * 40000 + "@x.test", "alice"], ["-f", "s@x.test", "y" * 40000 + "@x.test"]):
        r = sendmail(suite, *args, status=65)
        assert "longer than" in r.stderr


def test_fatal_errors_are_in_the_log(suite):
    sendmail(suite, "-bz", status=75)
    suite.wait_log(r"postfix/sendmail\[\d+\]: fatal: unsupported: -bz")


@pytest.mark.skipif(not pombal.IS_ROOT, reason="runs commands as another user")
def test_who_may_look_at_the_queue(make_suite):
    suite = make_suite(main="authorized_mailq_users = root\nauthorized_flush_users = !nobody, static:all\n", start=False)
    for folder in (suite.dir, suite.etc):
        os.chmod(folder, 0o755)
    program = suite.dir + "/postqueue"
    shutil.copy(pombal.BIN + "/postqueue", program)
    for args, what in ((["-p"], "view the mail queue"), (["-j"], "view the mail queue"), (["-f"], "flush the mail queue"),
                       (["-i", "ABCDEF123"], "flush the mail queue"), (["-s", "example.test"], "flush the mail queue")):
        r = as_nobody(suite, program, "-c", suite.etc, *args)
        assert r.returncode == 69 and "User nobody(65534) is not allowed to " + what in r.stderr, (args, r)


@pytest.mark.skipif(not pombal.IS_ROOT, reason="root is one of the users")
def test_root_may_not_submit_where_it_is_excluded(make_suite):
    suite = make_suite(main="authorized_submit_users = !root, static:all\n", start=False)
    r = suite.tool("sendmail", "-f", "a@x.test", "alice", input="Subject: x\n\nx\n", check=False)
    assert r.returncode == 77 and "not allowed to submit mail" in r.stderr, r
    assert not os.path.isdir(suite.queue + "/maildrop") or os.listdir(suite.queue + "/maildrop") == []


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs set-gid commands")
@pytest.mark.parametrize("program,args", [("postqueue", ["-p"]), ("postdrop", []), ("postlog", ["hello"])])
def test_a_set_gid_command_takes_no_configuration_from_its_user(suite, reachable, program, args):
    for more, env in ((["-c", suite.etc], {}), ([], {"MAIL_CONFIG": suite.etc})):
        r = as_nobody(suite, reachable + "/" + program, *more, *args, env=env)
        # Either the directory is not listed, or there is no main.cf that could list it.
        assert r.returncode != 0 and re.search(r"alternate_config_directories|/etc/postfix", r.stdout + r.stderr), r


def test_a_zero_byte_cuts_no_header_field(suite):
    sendmail(suite, "-t", "-f", "s@x.test", text="X-First: a\0b\n c\nTo: al\0ice@example.test, bob@example.test\nSubject: zero\n\nx\n")
    message = suite.wait_mail("bob", match="^zero")[0]
    assert message["X-First"].startswith("a") and message["X-First"].endswith("b\n c")
