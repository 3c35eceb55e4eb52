"""Maildirs that cannot be opened: what the senders of their mail are told, beside Postfix's local and virtual."""
import os, pwd, re, shutil

import pytest

import pombal
from real_postfix import HAVE, RealPostfix

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

MAIN = """myhostname = mail.real.test
mydomain = real.test
myorigin = real.test
mydestination = local.test
local_recipient_maps =
alias_maps =
alias_database =
virtual_mailbox_domains = virtual.test
virtual_mailbox_base = {dir}/virtual
virtual_minimum_uid = 1
virtual_mailbox_maps = {maps}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_alias_maps =
virtual_transport = virtual
local_transport = local
mailbox_transport =
home_mailbox =
mail_spool_directory = {dir}/local/
mailbox_command =
transport_maps =
default_transport = discard:gone
smtp_tls_security_level = none
"""
# a folder's name is that of the user whose mail it is
USERS = {"games": "nothing is wrong", "sys": "the name is a file's", "bin": "not to be entered", "proxy": "new/ is a file",
         "uucp": "not to be written", "news": "below a file", "www-data": "a dangling link", "backup": "a loop of links"}


def make(at, user, owner):
    if user == "sys":
        open(at, "w").close()
    elif user == "www-data":
        os.symlink("/nonexistent/folder", at)
    elif user == "backup":
        os.symlink(at, at)
    elif user not in ("games", "news"):
        for sub in ("", "/tmp", "/new", "/cur"):
            os.mkdir(at + sub)
            os.chown(at + sub, owner.pw_uid, owner.pw_gid)
            os.chmod(at + sub, 0o500 if user == "uucp" else 0o700)
    if user == "proxy":
        os.rmdir(at + "/new")
        open(at + "/new", "w").close()
    if user == "bin":
        os.chmod(at, 0)


def prepare(top):
    games = pwd.getpwnam("games")
    os.mkdir(top)
    for domain in ("local", "virtual"):
        os.mkdir("%s/%s" % (top, domain))
        os.chmod("%s/%s" % (top, domain), 0o1777)
        for user in USERS:
            make("%s/%s/%s" % (top, domain, user), user, pwd.getpwnam(user) if domain == "local" else games)
    return games.pw_uid, games.pw_gid


def settings(top):
    uid, gid = prepare(top)
    maps = "inline:{%s}" % ", ".join("{%s@virtual.test=%s/}" % (u, u if u != "news" else "sys/news") for u in USERS)
    return MAIN.format(dir=top, uid=uid, gid=gid, maps=maps)


def outcomes(suite, sendmail):
    rcpts = ["%s@%s.test" % (u, d) for u in USERS for d in ("virtual", "local") if (u, d) != ("news", "local")]
    for r in rcpts:
        sendmail("-i", "-f", "from@elsewhere.test", r, input="Subject: s\n\ntext\n")
    found = lambda: re.findall(r"to=<([\w-]+@(?:local|virtual)\.test)>,.*? dsn=([\d.]+), status=(\w+) \(", suite.log())
    pombal.wait_for(lambda: {f[0] for f in found()} == set(rcpts))
    return {r: (dsn, status) for r, dsn, status in found()}


def test_the_sender_is_told_as_postfix_tells(make_suite):
    tops = ["/tmp/pombal-broken-%d-%s" % (os.getpid(), n) for n in ("theirs", "ours")]
    try:
        with RealPostfix(settings(tops[0])) as real:
            real.start()
            theirs = outcomes(real, lambda *a, **k: real.run("sendmail", *a, **k))
            print(re.findall(r"to=<.*", real.log()))
        suite = make_suite(main=settings(tops[1]))
        ours = outcomes(suite, lambda *a, **k: suite.tool("sendmail", *a, **k))
        print(re.findall(r"to=<.*", suite.log()))
    finally:
        for top in tops:
            shutil.rmtree(top, ignore_errors=True)
    later = {r: status for r, (dsn, status) in theirs.items() if dsn.startswith("4")}
    assert {r: ours[r] if r not in later else later[r] for r in ours} == {r: theirs[r] if r not in later else later[r] for r in theirs}
    assert all(ours[r][1] == status for r, status in later.items())
