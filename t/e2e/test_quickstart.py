"""The first command of the README, as a newcomer and as a script types it."""
import imaplib, os, shutil, subprocess, tempfile

import pytest

import pombal


@pytest.fixture
def place():
    directory = tempfile.mkdtemp(prefix="pombal-e2e-", dir="/tmp")
    os.chmod(directory, 0o755)
    yield directory + "/q"
    if os.path.exists(directory + "/q/etc/main.cf"):
        quickstart("stop", "--dir", directory + "/q")
    shutil.rmtree(directory, ignore_errors=True)


def quickstart(*args, **env):
    return subprocess.run([pombal.TOP + "/quickstart"] + list(args), capture_output=True, text=True, timeout=170,
                          env=dict(os.environ, POMBAL_BIN=pombal.BIN, **env))


def test_shows_mail_read_and_says_what_runs_the_second_time(place):
    base = pombal.free_base()
    first = quickstart("--dir", place, "--port-base", str(base), "--password", "pw")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "The first pigeon has come home." in first.stdout
    assert "Subject: hello over SMTP" in first.stdout
    assert "+OK" in first.stdout and "a OK" in first.stdout
    for text in (str(base + 993), "alice@example.test", place + "/ca.pem", place + "/log/maillog", "quickstart stop"):
        assert text in first.stdout
    again = quickstart("--dir", place)
    assert again.returncode == 0 and "running already" in again.stdout and str(base + 993) in again.stdout
    stopped = quickstart("stop", "--dir", place)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "Nothing is running" in quickstart("stop", "--dir", place).stdout


def test_options_for_scripts_give_the_promised_layout(place):
    base = pombal.free_base()
    r = quickstart("--dir", place, "--port-base", str(base), "--domain", "other.test", "--password", "pw", "--no-demo")
    assert r.returncode == 0, r.stdout + r.stderr
    for path in ("ca.pem", "etc/main.cf", "etc/master.cf", "etc/aliases", "etc/passwd", "queue", "mail", "log/maillog"):
        assert os.path.exists(place + "/" + path)
    assert "alice@other.test:{PLAIN}pw:" in open(place + "/etc/passwd").read()
    for offset in pombal.OFFSETS.values():
        raw = pombal.Raw(base + offset)
        if offset not in (465, 995, 993):
            assert raw.line()
        raw.close()


@pytest.mark.skipif(not pombal.IS_ROOT, reason="makes accounts")
def test_two_may_make_the_accounts_at_the_same_time(place, tmp_path):
    """an account is not there when it is looked for the first time, and made by somebody else before it is made"""
    fake = tmp_path / "getent"
    fake.write_text("#!/bin/sh\n[ -e %s/$2 ] || { : > %s/$2; exit 2; }\nexec /usr/bin/getent \"$@\"\n" % (tmp_path, tmp_path))
    fake.chmod(0o755)
    r = quickstart("--dir", place, "--no-start", "--port-base", str(pombal.free_base()), PATH="%s:%s" % (tmp_path, os.environ["PATH"]))
    assert r.returncode == 0, r.stdout + r.stderr
    assert (tmp_path / "pombalnet").exists()


@pytest.mark.parametrize("args,words", [
    (["--port-base", "x"], "a number from 1000 to 64000"),
    (["--domain", "a b"], "a domain name"),
    (["--frobnicate"], 'what is "--frobnicate"?'),
    (["--password", "a:b"], "no colons"),
])
def test_a_wrong_option_is_named(place, args, words):
    r = quickstart("--dir", place, *args)
    assert r.returncode == 1 and words in r.stderr


def test_a_taken_port_is_named(place):
    import socket
    base = pombal.free_base()
    with socket.socket() as s:
        s.bind(("127.0.0.1", base + 143))
        s.listen()
        r = quickstart("--dir", place, "--port-base", str(base), "--no-demo")
        assert r.returncode == 1 and "port %d" % (base + 143) in r.stderr


@pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root to become somebody else")
def test_works_as_a_plain_user():
    directory = tempfile.mkdtemp(prefix="pombal-e2e-", dir="/tmp")
    os.chmod(directory, 0o755)
    bin_copy = directory + "/bin"
    shutil.copytree(pombal.BIN, bin_copy)  # the clone may be where nobody may look
    for name in ("quickstart", "conf", "t/packages"):
        source = pombal.TOP + "/" + name
        os.makedirs(os.path.dirname(directory + "/top/" + name), exist_ok=True)
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, directory + "/top/" + name)
    os.makedirs(directory + "/work")
    os.chown(directory + "/work", 65534, 65534)
    base = pombal.free_base()
    run = lambda *args: subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", directory + "/top/quickstart", *args, "--dir", directory + "/work/q"],
        capture_output=True, text=True, timeout=170, cwd="/", env=dict(os.environ, POMBAL_BIN=bin_copy, HOME=directory + "/work"))
    try:
        r = run("--port-base", str(base))
        assert r.returncode == 0, r.stdout + r.stderr
        assert "The first pigeon has come home." in r.stdout
    finally:
        print(run("stop").stdout)
        shutil.rmtree(directory, ignore_errors=True)


# ---- what root must not be made to do

@pytest.mark.skipif(not pombal.IS_ROOT, reason="a plain user can only harm himself")
@pytest.mark.parametrize("kind", ["link", "link in it", "link of a file", "somebody's", "somebody's above", "writable"])
def test_a_directory_that_others_rule_is_refused(kind):
    outer = tempfile.mkdtemp(prefix="pombal-e2e-", dir="/tmp")
    os.chmod(outer, 0o755)
    place, victim = outer + "/q", outer + "/victim"
    os.mkdir(victim)
    open(victim + "/main.cf", "w").write("precious")
    try:
        if kind == "link":
            os.symlink(victim, place)
        elif kind == "somebody's above":
            os.mkdir(outer + "/home")
            os.chown(outer + "/home", 65534, 65534)
            place = outer + "/home/q"
        elif kind == "writable":
            os.mkdir(outer + "/all")
            os.chmod(outer + "/all", 0o777)
            place = outer + "/all/q"
        else:
            os.mkdir(place)
            if kind == "somebody's":
                os.chown(place, 65534, 65534)
            elif kind == "link in it":
                os.symlink(victim, place + "/etc")
            else:
                os.mkdir(place + "/etc")
                os.symlink(victim + "/main.cf", place + "/etc/main.cf")
        r = quickstart("--dir", place, "--no-start")
        assert r.returncode == 1 and ("link" in r.stderr or "of your own" in r.stderr), r.stderr
        assert open(victim + "/main.cf").read() == "precious" and os.listdir(victim) == ["main.cf"]
    finally:
        shutil.rmtree(outer)


def test_certificates_are_such_that_programs_take_them(place):
    assert quickstart("--dir", place, "--no-start").returncode == 0

    def text(path):
        return subprocess.run(["openssl", "x509", "-in", path, "-noout", "-text"], capture_output=True, text=True).stdout
    leaf, ca = text(place + "/etc/server.pem"), text(place + "/ca.pem")
    assert "TLS Web Server Authentication" in leaf and "Digital Signature" in leaf and "CA:FALSE" in leaf
    assert "Certificate Sign" in ca and "CA:TRUE" in ca
    check = subprocess.run(["openssl", "x509", "-in", place + "/etc/server.pem", "-noout", "-checkend", str(398 * 86400)])
    assert check.returncode == 1  # it ends before


def test_submission_takes_passwords_only_inside_tls(suite):
    raw = pombal.Raw(suite.port("submission"))
    raw.reply()
    assert "AUTH" not in raw.ask("EHLO x")
    assert raw.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==").startswith(("530", "538"))
    assert raw.ask("MAIL FROM:<a@x.test>").startswith("530 5.7.0 Must issue a STARTTLS command first")
    raw.close()


def test_folders_are_parted_as_programs_expect(place):
    base = pombal.free_base()
    assert quickstart("--dir", place, "--port-base", str(base), "--password", "pw", "--no-demo").returncode == 0
    c = imaplib.IMAP4("127.0.0.1", base + 143)
    c.login("alice", "pw")
    assert c.create("Work/Old")[0] == "OK"
    assert any(b'"/" Work/Old' in line for line in c.list()[1])
    assert os.path.isdir(place + "/mail/example.test/alice/.Work.Old")
    c.logout()
