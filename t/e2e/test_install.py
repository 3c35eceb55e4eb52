"""What "cmake --install" puts where: the tree is complete, works from there, and leaves configuration alone."""
import fcntl, os, shutil, subprocess

import pytest

import pombal

BUILD = os.path.dirname(pombal.BIN)
pytestmark = pytest.mark.skipif(not os.path.exists(BUILD + "/cmake_install.cmake") or not shutil.which("cmake"), reason="no build tree")


def install(to, prefix="/usr"):
    """The files that it put there. All installations write to the build tree: one at a time."""
    with open(BUILD + "/install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True, timeout=120,
                       env=dict(os.environ, DESTDIR=str(to)))
        return open(BUILD + "/install_manifest.txt").read().split()


def postconf(name):
    return subprocess.run([pombal.BIN + "/postconf", "-dh", name], capture_output=True, text=True, check=True).stdout.strip()


def test_an_installed_tree_serves_mail(tmp_path, make_suite):
    os.chmod(tmp_path, 0o755)
    install(tmp_path)
    daemons, commands = str(tmp_path) + postconf("daemon_directory"), str(tmp_path) + postconf("command_directory")
    for name in os.listdir(pombal.BIN):
        places = [d + "/" + name for d in (daemons, commands, str(tmp_path) + "/usr/bin")]
        assert sum(os.path.exists(p) for p in places) == 1, name
    for parameter in ("sendmail_path", "mailq_path", "newaliases_path"):
        assert os.path.exists(str(tmp_path) + postconf(parameter))
    suite = make_suite(start=False)
    text = open(suite.etc + "/main.cf").read().replace(pombal.BIN, "@")
    assert "@" in text
    suite.write("etc/main.cf", text.replace("daemon_directory = @", "daemon_directory = " + daemons)
                .replace("command_directory = @", "command_directory = " + commands))
    suite.start()
    subprocess.run([commands + "/sendmail", "-C", suite.etc, "-f", "s@x.test", "alice@example.test"], check=True, timeout=60,
                   input=b"Subject: installed\n\nx\n")
    suite.wait_mail("alice", match="installed")
    running = {os.readlink("/proc/%d/exe" % pid) for pid in suite.pids()}
    assert running and all(exe.startswith(daemons + "/") for exe in running)


def test_manual_pages_and_configuration(tmp_path):
    os.makedirs(tmp_path / "etc/postfix")
    (tmp_path / "etc/postfix/main.cf").write_text("# mine\n")
    install(tmp_path)
    assert (tmp_path / "etc/postfix/main.cf").read_text() == "# mine\n"
    assert (tmp_path / "etc/postfix/main.cf.dist").read_text() == open(pombal.TOP + "/conf/main.cf").read()
    assert not os.path.exists(tmp_path / "etc/postfix/master.cf.dist")
    for file in ("etc/postfix/master.cf", "etc/aliases"):
        assert (tmp_path / file).read_text() == open(pombal.TOP + "/conf/" + os.path.basename(file)).read()
    for page in ("man1/postconf.1", "man1/sendmail.1", "man5/postconf.5", "man8/smtpd.8", "man8/qmgr.8"):
        assert (tmp_path / "usr/share/man" / page).read_text().startswith(".TH ")


def test_what_is_installed_can_be_taken_away(tmp_path):
    """As doc/from-postfix-and-dovecot.md says: everything in the list but /etc."""
    for path in install(tmp_path):
        if not path.startswith("/etc/"):
            os.unlink(str(tmp_path) + path)
    left = [os.path.join(d, f)[len(str(tmp_path)):] for d, _, files in os.walk(tmp_path) for f in files]
    assert sorted(left) == ["/etc/aliases", "/etc/postfix/main.cf", "/etc/postfix/master.cf"]


def test_the_unit_starts_what_is_installed(tmp_path):
    install(tmp_path, "/opt/mail")
    unit = (tmp_path / "opt/mail/lib/systemd/system/pombal.service").read_text()
    started = [line.split("=")[1].split()[0] for line in unit.split("\n") if line.startswith("Exec")]
    assert len(started) == 3 and set(started) == {"/opt/mail/sbin/pombal"}
    assert os.access(str(tmp_path) + started[0], os.X_OK) and "Type=notify" in unit


@pytest.mark.skipif(not shutil.which("systemctl"), reason="no systemd")
def test_enabled_the_unit_is_postfix_too(tmp_path):
    """for whatever says "systemctl reload postfix"; the unit of a postfix package may still be there"""
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(pombal.TOP + "/conf/pombal.service", units)
    (units / "postfix.service").write_text("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
    subprocess.run(["systemctl", "--root", str(tmp_path), "enable", "pombal.service"], check=True, capture_output=True, timeout=60)
    assert os.readlink(tmp_path / "etc/systemd/system/postfix.service").endswith("/pombal.service")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
def test_systemd_understands_the_unit(tmp_path):
    unit = open(pombal.TOP + "/conf/pombal.service").read().replace("/usr/sbin/", pombal.BIN + "/")
    (tmp_path / "pombal.service").write_text(unit)
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / "pombal.service")], capture_output=True,
                       text=True, timeout=60)
    assert "pombal.service" not in r.stderr, r.stderr
