"""Tables of a running suite: changed, missing, broken; and the mailboxes that virtual's tables name."""
import os, pwd, re, signal, subprocess

import pytest

import pombal


def test_a_table_that_postmap_has_changed_counts_for_the_next_message(make_suite):
    s = make_suite(start=False)
    aliases = "first: alice\n"
    s.write("etc/al", aliases)
    s.add_main("alias_maps = hash:%s/al\nlocal_recipient_maps =\n" % s.etc)
    s.tool("postalias", "hash:%s/al" % s.etc)
    s.start()
    s.send("first", subject="m0")
    s.wait_mail("alice", 1)
    for i in range(10):
        aliases += "name%d: alice\n" % i
        s.write("etc/al", aliases)
        s.tool("postalias", "hash:%s/al" % s.etc)
        s.send("name%d" % i, subject="m%d" % i)
    s.wait_mail("alice", 11)
    assert "unknown user" not in s.log()
    s.wait_log(r"postfix/local\[\d+\]: table hash:\S+/al has changed -- restarting")


def test_a_missing_table_puts_mail_off_and_is_told(make_suite):
    s = make_suite(main="local_recipient_maps =\nmailbox_transport =\n", start=False)
    s.add_main("alias_maps = hash:%s/nosuch\n" % s.etc)
    s.start()
    s.send("anybody")
    s.wait_log(r"to=<anybody@example\.test>.*dsn=4\.3\.0, status=deferred \(alias database unavailable\)")
    s.wait_log(r"error: open database %s/nosuch\.db: No such file or directory" % s.etc)
    pombal.wait_for(lambda: s.queue_files("deferred"))
    s.write("etc/nosuch", "anybody: alice@virtual.test\n")
    s.write("etc/mailboxes2", "alice@virtual.test a/\n")
    s.tool("postalias", "hash:%s/nosuch" % s.etc)
    s.tool("postqueue", "-f")
    s.wait_log(r"to=<anybody@example\.test>.*status=(sent|bounced)|to=<alice@virtual\.test>")


def test_a_table_that_could_not_be_read_once_is_no_reason_to_wait_for_ever(make_suite):
    """also by a process that lives as long as the suite"""
    s = make_suite(main="transport_retry_time = 2s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n", start=False)
    s.add_main("transport_maps = hash:%s/routes\n" % s.etc)
    s.add_master("qmgr unix n - - 1 1 qmgr\n")
    s.write("etc/routes", "far.test discard:\n")
    s.tool("postmap", "hash:%s/routes" % s.etc)
    good = open(s.etc + "/routes.db", "rb").read()
    with open(s.etc + "/routes.db", "r+b") as f:  # in the middle of being written
        f.truncate(100)
    s.start()
    s.tool("sendmail", "-f", "bob@example.test", "someone@far.test", input="Subject: x\n\ntext\n")
    s.wait_log(r"to=<someone@far\.test>.*status=deferred \(Temporary lookup failure\)")
    with open(s.etc + "/routes.db", "r+b") as f:
        f.write(good)
    s.wait_log(r"to=<someone@far\.test>, .*status=sent")


def test_a_table_whose_directory_comes_later_is_found(make_suite):
    """not mounted yet when qmgr starts, which lives as long as the suite"""
    s = make_suite(main="transport_retry_time = 2s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n", start=False)
    s.add_main("transport_maps = hash:%s/later/routes\n" % s.dir)
    s.add_master("qmgr unix n - - 1 1 qmgr\n")
    s.start()
    s.tool("sendmail", "-f", "bob@example.test", "someone@far.test", input="Subject: x\n\ntext\n")
    s.wait_log(r"to=<someone@far\.test>.*status=deferred \(Temporary lookup failure\)")
    s.write("later/routes", "far.test discard:\n")
    os.chmod(s.dir + "/later", 0o755)
    s.tool("postmap", "hash:%s/later/routes" % s.dir)
    s.wait_log(r"to=<someone@far\.test>, .*status=sent")


def test_a_recipient_table_that_fails_is_not_an_unknown_user(make_suite):
    s = make_suite(main="local_recipient_maps = fail:always\n")
    c = pombal.Raw(s.port("smtp"))
    c.reply()
    c.ask("EHLO x")
    c.ask("MAIL FROM:<>")
    assert c.ask("RCPT TO:<nobody@example.test>").startswith("451 4.3.0")
    c.close()


VIRTUAL = """virtual_mailbox_domains = v.test, other.test
virtual_mailbox_maps = inline:{{u@v.test=v/u/},{@other.test=other/all/},{box@v.test=v/box},{bad@v.test=../../x/},{noid@v.test=v/n/}}
virtual_alias_domains = alias.test
virtual_alias_maps = inline:{{@alias.test=@v.test},{many@v.test=u@v.test any@other.test}}
virtual_mailbox_limit = 0
recipient_delimiter = +
"""


@pytest.fixture
def virtual(make_suite):
    ids = "@v.test %d\n@other.test %d\nu@v.test %d\n"
    uids = (5, 6, 7) if pombal.IS_ROOT else (os.getuid(),) * 3
    gids = (60, 12, 7) if pombal.IS_ROOT else (os.getgid(),) * 3
    s = make_suite(main=VIRTUAL, start=False)
    s.add_main("virtual_uid_maps = texthash:%s\nvirtual_gid_maps = texthash:%s\n"
               % (s.write("etc/uids", ids % uids), s.write("etc/gids", ids % gids)))
    os.mkdir(s.dir + "/boxes")
    os.chmod(s.dir + "/boxes", 0o1777)
    s.add_main("virtual_mailbox_base = %s/boxes\n" % s.dir)
    s.start()
    return s


def read_all(folder):
    new = folder + "/new"
    return [open(new + "/" + f).read() for f in sorted(os.listdir(new))] if os.path.isdir(new) else []


def test_virtual_mailboxes_catch_all_and_domain_aliases(virtual):
    s = virtual
    os.makedirs(s.dir + "/boxes/v", exist_ok=True)
    os.makedirs(s.dir + "/boxes/other", exist_ok=True)
    for d in ("v", "other"):
        os.chmod(s.dir + "/boxes/" + d, 0o1777)
    s.send(["u@v.test", "U+ext@v.test", "u@alias.test", "many@v.test", "anything@other.test", "box@v.test"],
           body="From me\nx\n")
    s.wait_queue_empty()
    assert len(read_all(s.dir + "/boxes/v/u")) == 4  # u is named four times: u, U+ext, and by alias and many
    assert len(read_all(s.dir + "/boxes/other/all")) == 2
    mbox = open(s.dir + "/boxes/v/box").read()
    assert re.match(r"From sender@elsewhere\.test  \w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\nReturn-Path: <sender@elsewhere\.test>\n"
                    r"X-Original-To: box@v\.test\nDelivered-To: box@v\.test\n", mbox)
    assert "\n\n>From me\nx\n\n" in mbox
    if pombal.IS_ROOT:
        owner = lambda path: (os.stat(s.dir + "/boxes/" + path).st_uid, os.stat(s.dir + "/boxes/" + path).st_gid)
        assert owner("v/u/new") == (7, 7)
        assert owner("other/all/new") == (6, 12)
        assert owner("v/box") == (5, 60)
    assert s.wait_log(r"relay=virtual, .*dsn=2\.0\.0, status=sent \(delivered to mailbox\)")


def test_what_virtual_s_tables_must_not_say(virtual):
    s = virtual
    with open(s.etc + "/uids", "a") as f:
        f.write("noid@v.test 0\n")  # with which it would not start
    with s.smtp() as c:
        c.ehlo()
        c.mail("x@elsewhere.test")
        assert c.rcpt("nobody@v.test")[0] == 550
    s.send("bad@v.test")
    s.send("noid@v.test")
    s.wait_log(r"to=<bad@v\.test>.*dsn=4\.3\.5, status=deferred \(mail system configuration error\)")
    s.wait_log(r"to=<noid@v\.test>.*dsn=4\.3\.5, status=deferred \(mail system configuration error\)")
    s.wait_log(r"warning: recipient noid@v\.test: bad uid 0 in virtual_uid_maps")
    assert not os.path.exists(s.dir + "/x")


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs accounts to be delivered to")
def test_commands_run_as_the_recipient_and_are_bounded(make_suite):
    s = make_suite(main="local_recipient_maps =\nmailbox_transport =\ncommand_time_limit = 1s\nlocal_time_limit = 1s\n"
                   "mailbox_command = id -u; yes | head -c 300000; exit 69\n", start=False)
    s.write("etc/al", 'slow: "|sleep 100"\nroot: root\n')
    s.add_main("alias_maps = hash:%s/al\n" % s.etc)
    s.tool("postalias", "hash:%s/al" % s.etc)
    s.start()
    s.send("games")
    found = s.wait_log(r"to=<games@example\.test>.*status=bounced \(service unavailable\. Command output: 5 y y.*")
    assert len(found[0].group(0)) < 3000
    s.send("slow")
    s.wait_log(r"to=<slow@example\.test>.*status=deferred \(Command time limit exceeded")
    s.send("root")  # as default_privs, never as root
    s.wait_log(r"to=<root@example\.test>.*status=bounced \(service unavailable\. Command output: %d y y" % pwd.getpwnam("nobody").pw_uid)


def test_after_the_end_of_its_command_helper_an_agent_is_replaced(make_suite):
    """also while a command runs: nothing waits for a process that is no more"""
    s = make_suite(main="minimal_backoff_time = 1s\nqueue_run_delay = 1s\n", start=False)
    s.write("etc/aliases", 'postmaster: alice\nquick: "|cat > /dev/null"\nslow: "|sleep 30"\n')
    s.tool("postalias", "-c", s.etc, "hash:%s/etc/aliases" % s.dir)
    s.start()
    s.send("quick")
    s.wait_log(": removed")
    s.send("slow")
    helper = pombal.wait_for(lambda: [p for p in s.pids("local") if any("sleep" in open("/proc/%s/comm" % c).read() for c in children(p))])[0]
    os.kill(helper, signal.SIGKILL)
    s.wait_log(r"local\[\d+\]: error: the command helper has died")
    s.wait_log(r"to=<slow@example\.test>.*status=deferred \(cannot run sleep: ")
    s.send("quick")
    s.wait_log(r"to=<quick@example\.test>.*status=sent", 2)


def children(pid):
    try:
        return open("/proc/%d/task/%d/children" % (pid, pid)).read().split()
    except OSError:
        return []


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root, for an /etc/nsswitch.conf of its own")
@pytest.mark.parametrize("nsswitch, hidden", [
    ("passwd: files", None), ("passwd:\tfiles systemd\nshadow: sss", None), ("# passwd: sss\npasswd: files # sss", None),
    ("passwd: files [NOTFOUND=continue] sss", "sss"), ("passwd: [ SUCCESS=return NOTFOUND=continue ] files winbind", "winbind"),
])
def test_whether_an_account_exists_is_not_decided_where_a_service_lists_none(make_suite, nsswitch, hidden):
    s = make_suite(start=False)
    path = s.write("nsswitch.conf", nsswitch + "\n")

    def ask(user):
        return subprocess.run(["unshare", "--mount", "sh", "-c", "mount --bind %s /etc/nsswitch.conf && exec %s/postmap -q %s unix:passwd.byname"
                               % (path, pombal.BIN, user)], capture_output=True, text=True, timeout=60, env=dict(os.environ, MAIL_CONFIG=s.etc))
    assert ask("daemon").stdout.startswith("daemon:")
    r = ask("nosuchuser")
    assert r.returncode == 1 and r.stdout == ""
    assert ("fatal: " in r.stderr) == bool(hidden), r.stderr
    assert hidden is None or 'table unix:passwd.byname: "%s" does not list its accounts' % hidden in r.stderr
