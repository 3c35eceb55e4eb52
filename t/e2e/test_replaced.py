"""What processes found at their start and cannot see by its name any more (a chroot, Landlock): directories that are replaced,
links that are pointed elsewhere. Each is noticed, and nothing is lost or refused meanwhile."""
import os, re, smtplib, socket, ssl, subprocess

import pytest

from agents import Agent, MiniSuite, content
from pombal import IS_ROOT, Raw, wait_for


def log_in(suite, password):
    r = Raw(suite.port("imap"))
    assert "OK" in r.line()
    r.send("a LOGIN bob %s\r\n" % password)
    answer = r.until("a")[-1]
    r.close()
    return answer


def replace(path):
    """the same contents in another directory, as after a deployment or a restored backup"""
    subprocess.run(["cp", "-a", path, path + ".new"], check=True)
    os.rename(path, path + ".old")
    os.rename(path + ".new", path)


def point(link, to):
    os.symlink(to, link + ".new")
    os.rename(link + ".new", link)


@pytest.fixture
def users(make_suite):
    """a passwd file in a directory of its own, with a name by way of a link, too"""
    suite = make_suite(start=False)
    lines = open(suite.etc + "/passwd").read()
    for name, password in (("a", "secret"), ("b", "changed")):
        suite.write("%s/passwd" % name, re.sub(r"^(bob[^:]*):[^:]*:", r"\1:{PLAIN}%s:" % password, lines, flags=re.M), mode=0o644)
        os.chmod("%s/%s" % (suite.dir, name), 0o755)
    os.symlink("a", suite.dir + "/current")
    os.mkdir(suite.dir + "/links")
    os.symlink("../a/passwd", suite.dir + "/links/passwd")
    return suite


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_the_directory_of_a_passwd_file_is_replaced(users, mode):
    users.add_main("auth_passdb = passwd-file:%s/a/passwd\n" % users.dir)
    os.chmod(users.dir + "/a/passwd", mode)
    users.start()
    assert log_in(users, "secret").startswith("a OK")
    replace(users.dir + "/a")
    for _ in range(3):  # none is put off
        assert log_in(users, "secret").startswith("a OK")
    assert "AUTHENTICATIONFAILED" in log_in(users, "wrong")
    users.wait_log(r"authd\[\d+\]: the directory of \S+/a/passwd has changed -- restarting")


def test_the_directory_of_the_table_of_auth_userdb_is_replaced(users):
    """which is asked when the ticket of a login is redeemed: that can be done once"""
    users.add_main("auth_passdb = passwd-file:%s/b/passwd\nauth_userdb = passwd-file:%s/a/passwd\n" % (users.dir, users.dir))
    users.start()
    users.imap("alice").logout()  # authd is there
    replace(users.dir + "/a")
    assert log_in(users, "changed").startswith("a OK")
    users.wait_log(r"authd\[\d+\]: the directory of \S+/a/passwd has changed -- restarting")


@pytest.mark.parametrize("name,link,to", [("current/passwd", "current", "b"), ("links/passwd", "links/passwd", "../b/passwd")])
def test_a_link_to_a_passwd_file_is_pointed_elsewhere(users, name, link, to):
    users.add_main("auth_passdb = passwd-file:%s/%s\n" % (users.dir, name))
    users.start()
    assert log_in(users, "secret").startswith("a OK")
    point("%s/%s" % (users.dir, link), to)
    assert log_in(users, "changed").startswith("a OK")
    assert "AUTHENTICATIONFAILED" in log_in(users, "secret")


def test_virtual_mailbox_base_is_replaced(make_suite):
    suite = make_suite()
    suite.send("alice", subject="before")
    suite.wait_mail("alice", match="^before")
    replace(suite.dir + "/mail")
    for subject in ("one", "two"):
        suite.send("alice", subject=subject)
        suite.wait_mail("alice", match="^" + subject)
    assert "status=deferred" not in suite.log()
    assert re.search(r"virtual\[\d+\]: \S+/mail has changed -- restarting", suite.log())


@pytest.mark.skipif(not IS_ROOT, reason="mounts a file system")
def test_virtual_mailbox_base_is_mounted_later(make_suite):
    suite = make_suite()
    base = suite.dir + "/mail"
    suite.send("alice", subject="before")
    suite.wait_mail("alice", match="^before")
    subprocess.run(["cp", "-a", base, base + ".copy"], check=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", base]).returncode != 0:
        pytest.skip("no mounts here")
    try:
        subprocess.run(["cp", "-a", base + ".copy/.", base], check=True)
        suite.send("alice", subject="after")
        suite.wait_mail("alice", match="^after")
        suite.stop()
    finally:
        subprocess.run(["umount", "-l", base], check=True)
    assert "status=deferred" not in suite.log()


def test_the_directory_of_the_reasons_is_replaced():
    """the queue manager could not remove those of the attempt before: a report had them all"""
    def policy(d):
        if d.sender == "":
            reports.append(content(s, d))
        return "l" if d.sender else "d"

    reports = []
    soon = "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n"
    with MiniSuite(soon) as s, Agent(s, "fake", policy) as agent:
        id = s.send("a@far.test", sender="sender@back.test")
        wait_for(lambda: s.queue_files("deferred"))
        replace(s.queue + "/defer")
        s.wait_log(r"qmgr\[\d+\]: defer has changed -- restarting")
        seen = len(agent.seen)
        wait_for(lambda: len(agent.seen) > seen + 2)
        s.tool("postsuper", "-f", id)
        wait_for(lambda: reports)
        assert reports[0].count("Final-Recipient:") == 1, reports


def certificate(suite, cert, key):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)


def shown(suite, service):
    """the certificate, with no verification"""
    with socket.create_connection(("127.0.0.1", suite.port(service))) as s:
        with ssl._create_unverified_context().wrap_socket(s) as t:
            return ssl.DER_cert_to_PEM_cert(t.getpeercert(True))


def see_renewal(suite, renew, new):
    services = ("submissions", "imaps", "pop3s")
    old = {s: shown(suite, s) for s in services}
    renew()
    new = open(new).read()
    assert all(old[s] != new for s in services)
    for s in services:  # a client each time: no process is idle
        wait_for(lambda: shown(suite, s) == new, every=0.2)
    assert "TLS is not available" not in suite.log()


def test_a_renewed_certificate_is_shown(make_suite):
    suite = make_suite(start=False)
    cert, key = suite.dir + "/own/cert.pem", suite.dir + "/own/key.pem"
    os.mkdir(suite.dir + "/own", 0o700)
    certificate(suite, cert, key)
    suite.add_main("smtpd_tls_cert_file = %s\nsmtpd_tls_key_file = %s\n" % (cert, key))
    suite.start()

    def renew():
        certificate(suite, cert + ".new", key + ".new")
        os.rename(key + ".new", key)
        os.rename(cert + ".new", cert)
    see_renewal(suite, renew, cert)


def test_a_certificate_renewed_by_certbot_is_shown(make_suite):
    """live/HOST/NAME.pem is a link to ../../archive/HOST/NAME1.pem; live and archive are closed to all but root"""
    suite = make_suite(start=False)
    live, archive = suite.dir + "/live/mx", suite.dir + "/archive/mx"
    os.makedirs(live)
    os.makedirs(archive)
    os.chmod(suite.dir + "/live", 0o700)
    os.chmod(suite.dir + "/archive", 0o700)
    names = ("privkey", "fullchain")
    for n in "12":
        certificate(suite, "%s/fullchain%s.pem" % (archive, n), "%s/privkey%s.pem" % (archive, n))

    def link(n):
        for name in names:
            point("%s/%s.pem" % (live, name), "../../archive/mx/%s%s.pem" % (name, n))
    link("1")
    suite.add_main("smtpd_tls_cert_file = %s/fullchain.pem\nsmtpd_tls_key_file = %s/privkey.pem\n" % (live, live))
    suite.start()
    see_renewal(suite, lambda: link("2"), archive + "/fullchain2.pem")


def test_tables_below_a_link_are_those_that_it_leads_to(make_suite):
    """smtpd is in a chroot; cleanup and qmgr are not, and qmgr lives as long as the suite"""
    suite = make_suite(start=False)
    maps = {"virtual": ("team@example.test alice@example.test", "team@example.test bob@example.test"),
            "access": ("spam.test OK", "spam.test REJECT blocked"), "transport": ("far.test discard:", "far.test error:no more")}
    for n in "12":
        for name, lines in maps.items():
            path = suite.write("maps%s/%s" % (n, name), lines[n == "2"] + "\n")
            os.chmod(os.path.dirname(path), 0o755)
            suite.tool("postmap", "hash:" + path)
    os.symlink("maps1", suite.dir + "/current")
    table = "hash:%s/current/" % suite.dir
    suite.add_main("virtual_alias_maps = %svirtual\nsmtpd_sender_restrictions = check_sender_access %saccess\n"
                   "transport_maps = %stransport\n" % (table, table, table))
    suite.start()
    suite.send("team", subject="before", sender="x@spam.test")
    suite.wait_mail("alice", match="^before")
    far = lambda: suite.tool("sendmail", "-f", "bob@example.test", "x@far.test", input="Subject: x\n\ntext\n")
    far()
    suite.wait_log(r"to=<x@far\.test>.*status=sent")
    point(suite.dir + "/current", "maps2")

    def refused():
        try:
            suite.send("alice", subject="spam", sender="x@spam.test")
        except smtplib.SMTPSenderRefused:
            return True
        except smtplib.SMTPRecipientsRefused:
            return True
    wait_for(refused, every=0.2)
    suite.send("team", subject="after")
    suite.wait_mail("bob", match="^after")
    far()
    suite.wait_log(r"to=<x@far\.test>.*status=bounced")
    assert "after" not in [m["Subject"] for m in suite.messages("alice")]


def test_a_mailbox_that_is_a_link_out_of_the_base_is_told_of(make_suite):
    """nothing is delivered through it, and neither check nor the log is silent about the cause"""
    suite = make_suite()
    for name in ("carol", "erin"):
        home = suite.add_user(name)
        os.makedirs(suite.dir + "/disk2", exist_ok=True)
        os.chmod(suite.dir + "/disk2", 0o755)
        link = home if name == "carol" else home + "/cur"
        os.rename(link, suite.dir + "/disk2/" + name)
        os.symlink(suite.dir + "/disk2/" + name, link)
    check = suite.tool("pombal", "check")
    assert re.search(r"virtual_mailbox_base = \S+: a link leads from \S+/carol/ out of it \(1 such mailboxes\)", check.stderr), check.stderr
    suite.reload()
    for name, where in (("carol", "carol/"), ("erin", "erin/cur")):
        suite.send(name)
        suite.wait_log(r"virtual\[\d+\]: warning: recipient %s@example\.test: a link leads from \S+/%s out of virtual_mailbox_base" % (
            name, where))
        suite.wait_log(r"to=<%s@example\.test>.*status=deferred" % name)
