"""pipe, error, retry and discard, named in transport_maps."""
import os, time

import pytest

import pombal

USER = "games" if pombal.IS_ROOT else str(os.getuid())


@pytest.fixture(scope="module")
def suite():
    s = pombal.Instance(start=False)
    os.mkdir(s.dir + "/out")
    os.chmod(s.dir + "/out", 0o1777)
    s.write("bin/save", '#!/bin/sh\nd=%s/out\n[ "$1" = "-f" ] || exit 64\necho "$@" > $d/args; id -u > $d/uid; cat > $d/mail\n'
            % s.dir, 0o755)
    s.write("bin/fail", "#!/bin/sh\nread x\necho not now\nexit 75\n", 0o755)
    s.add_master(
        "save unix - n n - - pipe\n  flags=DRhu.> user=%s argv=%s/bin/save -f ${sender} -- ${user} ${extension} ${domain} ${nexthop} a;b\n"
        "fail unix - n n - - pipe\n  user=%s argv=%s/bin/fail\n"
        "nouser unix - n n - - pipe user=nosuchuser argv=/bin/cat\n"
        "quoted unix - n n - - pipe\n  flags=q chroot=/ user=%s argv=%s/bin/save -f ${recipient} ${user}\n"
        "full unix - n n - - pipe user=%s argv=/bin/sh -c {echo 4.2.2 full; exit 1}\n"
        "slow unix - n n - - pipe user=%s argv=/bin/sleep 40\n"
        % (USER, s.dir, USER, s.dir, USER, s.dir, USER, USER))
    s.add_main("transport_maps = inline:{{save.test=save:hop},{fail.test=fail},{error.test=error:5.7.9 never},"
               "{retry.test=retry:4.1.9 later},{gone.test=discard:silently},{nouser.test=nouser},{quoted.test=quoted},{full.test=full},{slow.test=slow}}\nrecipient_delimiter = +\n"
               "save_destination_recipient_limit = 1\nrelay_domains = save.test fail.test retry.test error.test gone.test nouser.test quoted.test full.test slow.test\n")
    s.start()
    yield s
    s.close()


def test_a_command_gets_arguments_and_message_as_flags_say(suite):
    suite.send("Us.er+Ext@Save.Test", body=".dot\nFrom x\nlast\n")
    suite.wait_log(r"to=<Us\.er\+Ext@Save\.Test>, relay=save, .*dsn=2\.0\.0, status=sent \(delivered via save service\)")
    read = lambda name: open(suite.dir + "/out/" + name).read()
    assert read("args") == "-f sender@elsewhere.test -- us.er ext save.test hop a;b\n"
    if pombal.IS_ROOT:
        assert read("uid") == "5\n"
    mail = read("mail")
    assert mail.startswith("Return-Path: <sender@elsewhere.test>\nDelivered-To: Us.er+Ext@Save.Test\nReceived: ")
    assert mail.endswith("\n\n..dot\n>From x\nlast\n")


def test_exit_status_and_output_decide(suite):
    suite.send("x@fail.test")
    suite.wait_log(r"to=<x@fail\.test>, relay=fail, .*dsn=4\.3\.0, status=deferred \(temporary failure\. Command output: not now\)")


def test_agents_that_deliver_nothing(suite):
    suite.send("x@gone.test")
    suite.tool("sendmail", "x@retry.test", input="Subject: e\n\nx\n")
    suite.wait_log(r"to=<x@retry\.test>, relay=none, .*dsn=4\.1\.9, status=deferred \(later\)")
    suite.wait_log(r"to=<x@gone\.test>, relay=none, .*dsn=2\.0\.0, status=sent \(silently\)")
    suite.tool("sendmail", "-f", "alice@example.test", "x@error.test", input="Subject: e\n\nx\n")
    suite.wait_log(r"to=<x@error\.test>, relay=none, .*dsn=5\.7\.9, status=bounced \(never\)")
    suite.wait_mail("alice", match="Undelivered")


def test_a_code_in_the_output_decides_whatever_the_status_is(suite):
    suite.send("x@full.test")
    suite.wait_log(r"to=<x@full\.test>, relay=full, .*dsn=4\.2\.2, status=deferred \(full\)")


def test_only_whole_addresses_are_quoted(suite):
    suite.send('"a b"@quoted.test')
    suite.wait_log(r'to=<"a b"@quoted\.test>, relay=quoted, .*dsn=2\.0\.0')
    assert open(suite.dir + "/out/args").read() == '-f "a b"@quoted.test a b\n'


def test_a_transport_whose_command_cannot_start_puts_mail_off_with_the_reason(suite):
    suite.send("x@nouser.test")
    suite.wait_log(r"to=<x@nouser\.test>, relay=nouser, .*dsn=4\.3\.0, status=deferred \(mail system configuration error: "
                   r"user=nosuchuser: unknown username\)")
    pombal.wait_for(lambda: "nosuchuser" in suite.tool("postqueue", "-p").stdout)
    suite.send("y@nouser.test")
    suite.wait_log(r"to=<y@nouser\.test>, .*status=deferred")


def test_stop_ends_commands_quickly_and_without_a_word_about_their_mail(suite):
    """the last test of the file: the suite is stopped"""
    if pombal.IS_ROOT:
        suite.add_main("alias_maps = texthash:%s\nmydestination = local.test\n"
                       % suite.write("etc/aliases", 'slow "|sleep 40"\n'))
        suite.reload()
        suite.tool("sendmail", "-i", "-f", "s@far.test", "slow@local.test", input="Subject: x\n\nx\n")
    suite.send("x@slow.test")
    pombal.wait_for(lambda: len(suite.pids("sleep")) == (2 if pombal.IS_ROOT else 1))
    before = len(suite.log())
    start = time.monotonic()
    suite.tool("pombal", "stop")
    pombal.wait_for(lambda: not suite.master_pid(), 20)
    assert time.monotonic() - start < 15
    said = suite.log()[before:]
    assert "status=" not in said and "warning" not in said and "panic" not in said, said
