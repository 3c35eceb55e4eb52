"""local_login_sender_maps: which senders postdrop lets a local user have, as Postfix's."""
import os, pwd, shutil, subprocess

import pytest

import pombal
from agents import MiniSuite
from real_postfix import HAVE, RealPostfix

pytestmark = pytest.mark.skipif(not HAVE or not shutil.which("setpriv"), reason="needs Postfix, root and setpriv")

NAMELESS = next(uid for uid in range(54321, 60000) if uid not in [p.pw_uid for p in pwd.getpwall()])
MAPS = {
    "usual": None,
    "empty": "",
    "none": "inline:{nobody=*}",
    "all": "inline:{root=*}",
    "one": "inline:{root=root@x.test}",
    "list": "inline:{{root = root@x.test, bare  @y.test,Other@X.test}}",
    "null": "inline:{{root = <> root}}",
    "domain": "inline:{root=@x.test}",
    "star_inside": "inline:{{root = *@x.test r*}}",
    "uid": "inline:{uid:%d=u@x.test}" % NAMELESS,
    "second": "inline:{nobody=a@x.test},inline:{root=b@x.test}",
    "pattern": "pcre:{{/(.+)/ $1 $1@x.test}}",
    "capitals": "inline:{ROOT=root@x.test}",
}
SENDERS = {"usual": ["", "root"], "empty": ["", "root"], "none": ["", "root@x.test"], "all": ["", "x@y.test"], "one": ["root@x.test", "ROOT@X.TEST", "root", ""],
           "list": ["", "root+ext@x.test", "bare", "bare+ext", "any@y.test", "any@sub.y.test", "other@x.test", "@y.test", "+x@y.test", "a@x.test@y.test"],
           "null": ["", "root", "<>", "root@"], "domain": ["a@x.test", "a b@x.test", "x.test", "a@b@x.test", "@x.test", ""], "star_inside": ["a@x.test", "root", "*@x.test", "r*"],
           "uid": ["u@x.test", "v@x.test"], "second": ["a@x.test", "b@x.test"], "pattern": ["root", "root@x.test", "other"], "capitals": ["root@x.test"]}
KEYS = {"null key": ("inline:{{root = empty}}", "empty"), "null key, not listed": ("inline:{{root = <>}}", "empty")}


def records(sender):
    return b"".join(kind + bytes([len(text)]) + text for kind, text in
                    ((b"S", sender.encode()), (b"R", b"r@example.test"), (b"M", b""), (b"N", b"text"), (b"X", b""), (b"E", b"")))


def drop(suite, program, user, sender):
    """may he? True, or what is said"""
    before = [] if user == "root" else ["setpriv", "--reuid", user, "--regid", "postdrop", "--clear-groups"]
    r = subprocess.run(before + [program, "-c", suite.etc], input=records(sender), capture_output=True, timeout=60, env=dict(os.environ, MAIL_CONFIG=suite.etc))
    said = (r.stdout + r.stderr).decode()
    if "not authorized" in said:
        return said[said.index("not authorized"):].strip("\0\n")
    assert r.returncode == 0, said
    return True


@pytest.fixture(scope="module")
def both():
    main = "recipient_delimiter = +\nalias_maps =\nalias_database =\nmyhostname = same.test\ndefault_transport = discard\n"
    with RealPostfix(main) as real, MiniSuite(main) as ours:
        yield ours, real.start()


def settings(suite, text):
    path = suite.etc + "/main.cf"
    kept = open(path).read().split("# below: of the test\n")[0]
    with open(path, "w") as f:
        f.write(kept + "# below: of the test\n" + text)


def compared(both, text, users, senders):
    ours, real = both
    for suite in both:
        settings(suite, text)
    asked = [(user, sender) for user in users for sender in senders]
    return [[drop(suite, program, *a) for a in asked] for suite, program in ((ours, pombal.BIN + "/postdrop"), (real, "/usr/sbin/postdrop"))], asked


@pytest.mark.parametrize("name", MAPS)
def test_senders(both, name):
    text = "" if MAPS[name] is None else "local_login_sender_maps = %s\n" % MAPS[name]
    (got, want), asked = compared(both, text, ["root", str(NAMELESS)] if name in ("usual", "uid", "pattern") else ["root"], SENDERS[name])
    assert dict(zip(asked, got)) == dict(zip(asked, want))


@pytest.mark.parametrize("name", KEYS)
def test_the_key_of_the_null_sender(both, name):
    (got, want), asked = compared(both, "local_login_sender_maps = %s\nempty_address_local_login_sender_maps_lookup_key = %s\n" % KEYS[name], ["root"], ["", "empty"])
    assert dict(zip(asked, got)) == dict(zip(asked, want))


def test_what_becomes_another_address_has_no_extension(both):
    """Postfix lets a user who may be root send as root+x@boss.test"""
    senders = ["root+x%boss.test", "root+x!boss.test"]
    (got, want), _ = compared(both, "local_login_sender_maps = inline:{root=root}\n", ["root"], senders)
    assert got == ["not authorized to use sender='%s'" % s for s in senders] and want == [True, True]


def test_nobody_sends_if_the_table_is_not_there(both):
    ours, _ = both
    settings(ours, "local_login_sender_maps = texthash:/nonexistent/file\n")
    r = subprocess.run([pombal.BIN + "/postdrop", "-c", ours.etc], input=records("root"), capture_output=True, timeout=60)
    assert r.returncode == 75 and b"local_login_sender_maps: lookup error" in r.stdout


def test_sendmail_tells_the_user(both):
    ours, _ = both
    settings(ours, "local_login_sender_maps = inline:{root=root@x.test}\n")
    r = subprocess.run([pombal.BIN + "/sendmail", "-f", "boss@x.test", "r@example.test"], input="Subject: x\n\n", capture_output=True, text=True,
                       timeout=60, env=dict(os.environ, MAIL_CONFIG=ours.etc))
    assert r.returncode == 77 and "not authorized to use sender='boss@x.test'" in r.stderr
