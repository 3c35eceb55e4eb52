"""What each running process may do, read from the kernel: the process table of the design.

That a profile holds is tried call by call in t/unit/test_jail.c; here, that each daemon is in one.
"""
import glob, grp, os, pwd, re, socket

import pytest

from pombal import IS_ROOT, wait_for

CAP = {"chown": 0, "dac_override": 1, "dac_read_search": 2, "setgid": 6, "setuid": 7}
BECOMES = {"setgid", "setuid"}
# Programs that stay root, to become their users, and the capabilities that they keep.
ROOTS = {
    "local": BECOMES | {"chown", "dac_override", "dac_read_search"},
    "pop3": BECOMES,
    "imap": BECOMES,
}
# What speaks with strangers: network_owner.
NETWORK = {"smtpd", "postscreen", "smtp", "imapd", "pop3d"}
# What forks sessions has the number of its role as uid, which owns nothing.
FORKS = {"pop3", "imap"}
# Whatever master.cf says.
IN_QUEUE = {"qmgr", "cleanup", "bounce", "showq", "pickup", "error", "discard", "postlogd", "mailbox", "verify", "flush"}
# Helpers that run commands or ask system libraries; they read nothing from outside.
HELPERS = {"local", "pipe", "authd"}


def status(pid):
    found = {}
    for line in open("/proc/%d/status" % pid):
        name, value = line.split(":", 1)
        found[name] = value.split()
    return found


def program(pid):
    return open("/proc/%d/cmdline" % pid).read().split("\0")[0].rsplit("/", 1)[-1]


def options(pid):
    return open("/proc/%d/cmdline" % pid).read().split("\0")


def parent(pid):
    return int(open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[1])


@pytest.fixture(scope="module")
def processes(suite):
    """one process of each program, after mail went through all of them; pid to name"""
    suite.send(["alice", "team"])
    suite.wait_mail("alice", 2)
    sessions = [suite.imap(), suite.pop3("bob")]
    found = {}
    for pid in suite.pids():
        try:
            found[pid] = program(pid)
        except OSError:
            continue  # it has just ended
    assert {"smtpd", "cleanup", "qmgr", "authd", "imapd", "pop3d"} <= set(found.values())
    yield found
    for s in sessions:
        getattr(s, "logout", getattr(s, "quit", None))()


def mail_owner(suite):
    return pwd.getpwnam(re.search(r"^mail_owner = (\S+)", open(suite.etc + "/main.cf").read(), flags=re.M).group(1))


def direct(suite, processes):
    master = suite.master_pid()
    return {pid: name for pid, name in processes.items() if parent(pid) == master}


def test_every_daemon_is_filtered(suite, processes):
    for pid, name in direct(suite, processes).items():
        s = status(pid)
        assert s["Seccomp"] == ["2"], name
        assert s["NoNewPrivs"] == ["1"], name


def test_every_descendant_is_filtered_but_for_the_command_helpers(suite, processes):
    master = suite.master_pid()
    for pid, name in processes.items():
        if parent(pid) != master and name not in HELPERS:
            assert status(pid)["Seccomp"] == ["2"], name


def test_capabilities_are_those_of_the_table(suite, processes):
    for pid, name in direct(suite, processes).items():
        expected = ROOTS.get(name, set()) if IS_ROOT else set()
        mask = sum(1 << CAP[c] for c in expected)
        s = status(pid)
        assert int(s["CapEff"][0], 16) == mask, name
        assert int(s["CapPrm"][0], 16) == mask, name
        if IS_ROOT:
            assert int(s["CapBnd"][0], 16) == 0, name


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_nobody_else_is_root(suite, processes):
    """what speaks with strangers has a uid of its own, apart from what holds mail"""
    owner, network = (str(pwd.getpwnam(n).pw_uid) for n in (mail_owner(suite).pw_name, "pombalnet"))
    for pid, name in direct(suite, processes).items():
        if name != "virtual":  # see below
            uid = status(pid)["Gid"][0] if name in FORKS else "0" if name in ROOTS else network if name in NETWORK else owner
            assert status(pid)["Uid"] == [uid] * 4, name


def base_of_roles(suite, processes):
    (base,) = {options(pid)[options(pid).index("-G") + 1] for pid in direct(suite, processes)}
    return int(base)


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_every_program_has_a_group_of_its_own(suite, processes):
    """by which the others know who asks; the mail owner's groups stay beside it, for sockets of other programs"""
    base, seen = base_of_roles(suite, processes), {}
    for pid, name in direct(suite, processes).items():
        gid = status(pid)["Gid"]
        assert name == "virtual" or len(set(gid)) == 1, name
        assert base < int(gid[0]) < base + 32, name
        assert seen.setdefault(gid[0], name) == name
        with pytest.raises(KeyError):
            grp.getgrgid(int(gid[0]))
        groups = {int(g) for g in status(pid)["Groups"]}
        assert groups == (set() if name in ("local", "virtual") else {mail_owner(suite).pw_gid}), name
    assert len(set(seen.values())) == len(seen)


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_without_the_account_network_processes_get_a_number_of_nobody(make_suite):
    suite = make_suite(main="network_owner = nobody-has-this-name\n")
    suite.send("alice")
    suite.wait_mail("alice")
    (uid,) = {status(p)["Uid"][0] for p in suite.pids() if program(p) in NETWORK}
    assert int(uid) > 60000
    for find in (pwd.getpwuid, grp.getgrgid):
        with pytest.raises(KeyError):
            find(int(uid))
    assert "network_owner: there is no user nobody-has-this-name" in suite.tool("pombal", "check").stderr


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_sockets_are_open_for_those_who_may_ask(suite, processes):
    """private/ for the mail owner's group; a socket for that group where a network process may ask, else not"""
    owner, drop = mail_owner(suite), grp.getgrnam("pombaldrop").gr_gid
    expected = {"private": (owner.pw_gid, 0o710), "public": (drop, 0o2711), "public/cleanup": (owner.pw_gid, 0o660), "public/flush": (owner.pw_gid, 0o660),
                "public/qmgr": (drop, 0o660), "public/pickup": (drop, 0o660), "public/showq": (drop, 0o660)}
    for name in os.listdir(suite.queue + "/private"):
        if name == "postlog":
            continue  # of root alone: t/e2e/test_jail.py
        asked = name in ("auth", "mailbox", "bounce", "defer", "trace", "verify")
        expected["private/" + name] = (owner.pw_gid, 0o660 if asked else 0o600)
    for name, (gid, mode) in expected.items():
        st = os.stat(suite.queue + "/" + name)
        assert (st.st_uid, st.st_gid, oct(st.st_mode & 0o7777)) == (owner.pw_uid, gid, oct(mode)), name


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_directories_of_postfix_are_opened_as_far_as_needed(make_suite):
    suite = make_suite(start=False)
    for name, mode, gid in (("private", 0o700, 0), ("public", 0o2710, grp.getgrnam("pombaldrop").gr_gid)):
        os.chown(suite.queue + "/" + name, mail_owner(suite).pw_uid, gid)
        os.chmod(suite.queue + "/" + name, mode)
    suite.start()
    assert "mode" not in suite.tool("pombal", "check").stderr
    suite.send("alice")
    suite.wait_mail("alice")


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
@pytest.mark.parametrize("maps", ["static:%d", "inline:{@v.test=%d}"])
def test_virtual_is_not_root_where_all_mailboxes_share_an_owner(make_suite, maps):
    suite = make_suite(main="virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = inline:{{u@v.test=u/},{box@v.test=box}}\n"
                       "virtual_uid_maps = %s\nvirtual_gid_maps = %s\n" % (maps % 5000, maps % 5001), start=False)
    boxes = suite.dir + "/boxes"
    os.mkdir(boxes)
    os.chown(boxes, 5000, 5001)
    suite.add_main("virtual_mailbox_base = %s\n" % boxes)
    suite.start()
    suite.send(["u@v.test", "box@v.test"])
    for address in ("u", "box"):
        suite.wait_log(r"to=<%s@v\.test>.*status=sent" % address)
    suite.wait_queue_empty()
    assert len(os.listdir(boxes + "/u/new")) == 1
    for path in ("u/new", "box", "u/new/" + os.listdir(boxes + "/u/new")[0]):
        assert (os.stat(boxes + "/" + path).st_uid, os.stat(boxes + "/" + path).st_gid) == (5000, 5001)
    owner = mail_owner(suite)
    (pid,) = [p for p in suite.pids() if program(p) == "virtual"]
    s = status(pid)
    if "inline" in maps:
        assert s["Uid"] == [str(owner.pw_uid)] * 4 and s["Groups"] == []
        assert int(s["CapPrm"][0], 16) == sum(1 << CAP[c] for c in BECOMES)
        return
    assert s["Uid"] == [str(u) for u in (owner.pw_uid, owner.pw_uid, 5000, owner.pw_uid)]
    role = s["Gid"][0]
    assert int(role) > 60000 and s["Gid"] == [role, role, "5001", role]
    assert s["Groups"] == [] and all(int(s[c][0], 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"))


@pytest.mark.skipif(not IS_ROOT, reason="only root may chroot")
def test_chroot_is_as_master_cf_says(suite, processes):
    for pid, name in direct(suite, processes).items():
        expected = suite.queue if "-C" in options(pid) or name in IN_QUEUE else "/"
        assert os.readlink("/proc/%d/root" % pid) == expected, name
    assert any("-C" in options(pid) for pid in processes)


def test_no_daemon_listens_but_on_what_master_gave(suite, processes):
    """every TCP socket in state LISTEN belongs to master, too"""
    def inodes(pid):
        found = set()
        for fd in glob.glob("/proc/%d/fd/*" % pid):
            try:
                found.add(os.readlink(fd))
            except OSError:
                pass
        return found

    listening = {"socket:[%s]" % line.split()[9] for table in ("tcp", "tcp6") for line in open("/proc/net/" + table)
                 if line.split()[3] == "0A"}
    of_master = inodes(suite.master_pid())
    for pid, name in processes.items():
        assert not (inodes(pid) & listening) - of_master, name


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_check_finds_a_login_socket_that_smtpd_cannot_open(make_suite):
    """Dovecot's, of mode 0600: enough for the mail owner, that smtpd is no longer"""
    suite = make_suite(main="smtpd_sasl_path = private/dovecot\n", start=False)
    suite.tool("pombal", "check")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(suite.queue + "/private/dovecot")
        for mode, said in ((0o600, True), (0o660, False), (0o666, False)):
            os.chmod(suite.queue + "/private/dovecot", mode)
            assert ("smtpd_sasl_path" in suite.tool("pombal", "check").stderr) == said


@pytest.mark.skipif(not IS_ROOT, reason="a plain user stays what he is")
def test_a_socket_of_another_program_after_a_reload_is_open_for_others(make_suite):
    suite = make_suite(master="x unix - - n - - discard\nold fifo n - n - - pickup\n")
    mode = lambda name: oct(os.stat(suite.queue + "/" + name).st_mode & 0o7777)
    assert mode("private/x") == "0o600" and mode("public/old") == "0o660"
    suite.add_master("x unix - - n - - bounce\n")
    suite.reload()
    wait_for(lambda: mode("private/x") == "0o660")
    assert mode("public/old") == "0o660"
