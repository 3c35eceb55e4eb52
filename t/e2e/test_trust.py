"""Who may ask whom: somebody has taken over one process of the suite, and tries everything.

For each role a child takes exactly the ids, groups and root directory that the process has, and sends every request of
every socket. Only what the table of lib/ipc/trust.c allows may be answered; doc/protocols.md shows the table.
"""
import array, grp, json, os, pwd, re, signal, socket, subprocess, sys, threading

import pytest

import pombal
from agents import Agent, MiniSuite, encode
from pombal import IS_ROOT, PATIENCE, wait_for

sys.path.insert(0, pombal.TOP + "/tools")
import mkprotocols

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="a plain user's processes all have his ids")
SCREEN = pombal.free_port()
SUITE_MASTER = ("command unix - n n - - pipe user=nobody argv=/bin/true\npassed pass - - n - - smtpd\n"
                "127.0.0.1:%d inet n - y - 1 postscreen\n" % SCREEN)
SUITE_MAIN = "command_destination_recipient_limit = 1\n"

PROGRAMS, RULES = mkprotocols.parse()
NUMBERS = {name: i for i, name in enumerate(mkprotocols.roles())}
# Asked by datagrams, with whatever command the administrator has named, or with a connection (below).
NO_REQUESTS = {"postlogd", "spawn", "smtpd"}
CHROOTED = {"smtpd", "postscreen", "smtp", "lmtp", "imapd", "pop3d"}
# Without any group of the mail owner's: what acts as other users.
NO_GROUPS = {"local", "virtual"}


# A message as queue file records, and the flag with which cleanup only pretends to take it.
MESSAGE = b"".join(t + bytes([len(d)]) + d for t, d in (
    (b"T", b"1795397122 236751"), (b"S", b"a@b.test"), (b"R", b"x@b.test"), (b"M", b""), (b"N", b"text"), (b"X", b""), (b"E", b"")))
THROW_AWAY = 8


def setting(suite, name):
    return re.search(r"^%s = (\S+)" % name, open(suite.etc + "/main.cf").read(), flags=re.M).group(1)


def gid_base(suite):
    for pid in suite.pids():
        words = open("/proc/%d/cmdline" % pid).read().split("\0")
        if "-G" in words:
            return int(words[words.index("-G") + 1])
    raise AssertionError("no process with -G")


class Place:
    """what a process is: ids, groups, root directory"""

    def __init__(self, uid, gid, groups=(), root="/"):
        self.uid, self.gid, self.groups, self.root = uid, gid, list(groups), root


def place_of_running(suite, name):
    """as the kernel has it; None if none runs"""
    for pid in suite.pids(name):
        try:
            lines = dict(line.split(":\t", 1) for line in open("/proc/%d/status" % pid).read().splitlines() if ":\t" in line)
            root = os.readlink("/proc/%d/root" % pid)
        except OSError:
            continue  # it has just ended
        gid = int(lines["Gid"].split()[1])
        if int(lines["PPid"]) == suite.master_pid() and gid == gid_base(suite) + NUMBERS[PROGRAMS[name][0]]:
            return Place(int(lines["Uid"].split()[1]), gid, [int(g) for g in lines["Groups"].split()], root)
    return None


def place_of(suite, name):
    owner = pwd.getpwnam(setting(suite, "mail_owner"))
    drop = grp.getgrnam(setting(suite, "setgid_group")).gr_gid
    nobody = pwd.getpwnam("nobody")
    others = {
        "tool": Place(nobody.pw_uid, drop, [nobody.pw_gid]),
        "local user": Place(nobody.pw_uid, nobody.pw_gid, [nobody.pw_gid]),
        "session": Place(pwd.getpwnam("pombalmail").pw_uid, pwd.getpwnam("pombalmail").pw_gid),
        "owner without a role": Place(owner.pw_uid, owner.pw_gid, [owner.pw_gid]),
    }
    if name in others:
        return others[name]
    running = place_of_running(suite, name)
    if running:
        return running
    role, uid = PROGRAMS[name]
    uid = {"TRUST_OWNER": owner.pw_uid, "TRUST_NETWORK": pwd.getpwnam("pombalnet").pw_uid, "TRUST_ROOT": 0}[uid]
    if name == "virtual":
        uid = owner.pw_uid  # all mailboxes share an owner
    groups = [] if name in NO_GROUPS else [owner.pw_gid]
    return Place(uid, gid_base(suite) + NUMBERS[role], groups, suite.queue if name in CHROOTED else "/")


def drop_capabilities(keep_dac):
    """what a process of the suite has after it was root: nothing, or for local what it needs of files"""
    import ctypes
    keep = 1 << 1 | 1 << 2 if keep_dac else 0
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(keep, keep, 0, 0, 0, 0)
    assert ctypes.CDLL(None).capset(header, data) == 0


def take_place(place, suite, what, keep_dac=False):
    """the result of what() in a child that has become that; what() sees the queue directory as its own"""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result = None
            signal.alarm(3 * PATIENCE)
            os.chdir(suite.queue)
            if place.root != "/":
                os.chroot(place.root)
                os.chdir("/")
            os.setgroups(place.groups)
            os.setresgid(place.gid, place.gid, place.gid)
            if place.uid == 0:
                drop_capabilities(keep_dac)
            else:
                os.setresuid(place.uid, place.uid, place.uid)
            result = what()
        except BaseException as e:
            result = "failed: %r" % e
        os.write(theirs, json.dumps(result).encode())
        os._exit(0)
    os.close(theirs)
    text = b""
    while more := os.read(ours, 65536):
        text += more
    os.close(ours)
    os.waitpid(pid, 0)
    result = json.loads(text)
    assert not str(result).startswith("failed: "), result
    return result


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(path)
    return s


def answer_of(path, data, fds=()):
    """the first bytes of the answer; b"" if there is none: disconnected; None: the socket cannot be reached"""
    try:
        s = dial(path)
    except PermissionError:
        return None
    try:
        if fds:
            s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        elif data:
            s.sendall(data)
        return s.recv(65536)
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        s.close()


def request(name, **more):
    return encode([("request", name)] + list(more.items()))


def is_answered(path, program, name):
    """does the program take this request? Of a trigger only the log knows"""
    if re.fullmatch("[A-Z]", name):
        try:
            with dial(path) as s:
                s.sendall(name.encode())
            return "ask the log"
        except PermissionError:
            return None
    if program == "cleanup":
        return bool(answer_of(path, request(name, flags=THROW_AWAY) + MESSAGE))
    return bool(answer_of(path, request(name) if name else b""))


def sockets_of(suite, program):
    found, lines = [], open(suite.etc + "/master.cf").read()
    for name, private, command in re.findall(r"^(\S+)\s+unix\s+(\S)\s+\S\s+\S\s+\S+\s+\S+\s+(\w+)", lines, flags=re.M):
        if command == program:
            found.append((("public/" if private == "n" else "private/") + name, name))
    assert found or program in NO_REQUESTS, program
    return found


def tries(suite):
    return [(path, service, program, name) for program, name, _, _ in RULES if program not in NO_REQUESTS
            for path, service in sockets_of(suite, program)]


@pytest.fixture(scope="module")
def asked(suite):
    """a suite with something in the queue, so that a list of it is not empty"""
    suite.add_main("defer_transports = smtp\nmax_idle = 3600s\n")  # on a slow machine there are minutes between two tests
    suite.reload()
    suite.send("alice")
    suite.wait_mail("alice")
    with suite.smtp("submission") as s:
        s.starttls(context=suite.tls_context())
        s.login("alice", suite.password)
        s.sendmail("alice@example.test", ["x@elsewhere.test"], "Subject: stays\r\n\r\nhere\r\n")
    wait_for(lambda: suite.queue_files("deferred"))
    return suite


def refused_in_log(suite, role, name, service):
    return re.search(r'refused: %s may not ask "%s" of %s$' % (role, name, service), suite.log(), flags=re.M)


def allowed_by_table(role, program, name):
    """a session of a text protocol is open to whoever may say some command of it; the service judges the commands"""
    if program == "authd":
        return any(role in askers for p, _, askers, _ in RULES if p == program)
    return any(role in askers for p, n, askers, _ in RULES if (p, n) == (program, name))


@pytest.mark.parametrize("role", sorted(set(PROGRAMS) - {"postlogd"}) + ["tool", "local user", "session", "owner without a role"])
def test_only_what_the_table_allows_is_answered(asked, role):
    all_tries = tries(asked)

    def everything():
        return [is_answered(path, program, name) for path, _, program, name in all_tries]

    answers = take_place(place_of(asked, role), asked, everything, keep_dac=role == "local")
    called = role if role in PROGRAMS else "tool"
    for (path, service, program, name), answered in zip(all_tries, answers):
        allowed = called in ("tool",) + tuple(PROGRAMS) and allowed_by_table(called, program, name)
        if answered == "ask the log":
            if not allowed:
                wait_for(lambda: refused_in_log(asked, called, name, service))
            continue
        if role in ("tool", "owner without a role") or role in PROGRAMS:
            assert bool(answered) == allowed or (answered is None and not allowed), (role, path, name)
        if role in ("local user", "session"):
            assert not answered, (role, path, name)
    # What the log had to tell: nothing that the table allows was refused.
    for _, service, program, name in all_tries:
        if name and allowed_by_table(called, program, name):
            assert not refused_in_log(asked, called, name, service), (role, name, service)


def test_roles_of_the_running_processes(asked):
    """each its group, and the uid of its kind: what the places above are made of"""
    with_session = asked.imap()
    owner, network = (pwd.getpwnam(n).pw_uid for n in (setting(asked, "mail_owner"), "pombalnet"))
    seen = set()
    for name, (role, kind) in PROGRAMS.items():
        place = place_of_running(asked, name)
        if place:
            seen.add(name)
            assert place.gid == gid_base(asked) + NUMBERS[role], name
            assert kind == "TRUST_ROOT" or place.uid == (network if kind == "TRUST_NETWORK" else owner), name
    with_session.logout()
    assert {"smtpd", "imapd", "cleanup", "qmgr", "authd", "mailbox", "imap", "virtual"} <= seen


def test_no_two_services_share_standard_error(asked):
    """it is a socket of postlogd, and any of them could shut it for all"""
    with_session = asked.imap()
    sockets = {}
    for pid in asked.pids():
        parent = int(open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[1])
        name = open("/proc/%d/comm" % pid).read().strip()
        if parent != asked.master_pid() or name == "postlogd":
            continue  # sessions and helpers share that of their parent, and their filter keeps them from it
        target = os.readlink("/proc/%d/fd/2" % pid)
        assert target.startswith("socket:") and sockets.setdefault(target, pid) == pid, name
    with_session.logout()
    assert len(sockets) > 6


# ---- what was found by attack

def test_a_path_is_no_queue_id(asked, tmp_path):
    """private/local opened ../../../../tmp/secret as root, delivered it and wrote into it"""
    secret = tmp_path / "secret"
    secret.write_bytes(b"R\x05games" * 10)
    os.chmod(secret, 0o600)
    before = secret.read_bytes()
    id = "../" * 12 + str(secret)[1:]
    text = request("deliver", queue_name="active", queue_id=id, nexthop="example.test", sender="evil@example.test",
                   data_offset=1, size=10, arrival_us=1, rcpt_at=7, rcpt="alice@example.test")
    for role in ("smtpd", "imapd", "smtp", "cleanup", "bounce", "authd", "owner without a role"):
        assert not take_place(place_of(asked, role), asked, lambda: (answer_of("private/local", text) or b"").decode())
    # Whoever is qmgr is told that this is none.
    answer = take_place(place_of(asked, "qmgr"), asked, lambda: answer_of("private/local", text).decode())
    assert "fail" in answer and "no queue id" in answer
    assert secret.read_bytes() == before
    for name, value in (("append", {"queue_id": id, "recipient": "a@b.test", "status": "5.0.0"}),
                        ("flush", {"queue_id": id}), ("warn", {"queue_id": id})):
        answer = take_place(place_of(asked, "qmgr"), asked,
                            lambda: answer_of("private/bounce", request(name, **value)).decode())
        assert "fail" in answer and "queue id" in answer, answer
    answer = take_place(place_of(asked, "tool"), asked,
                        lambda: answer_of("public/qmgr", request("flush_id", queue_id=id)).decode())
    assert "status\0ok\0" in answer and "count\0" + "0\0" in answer


def test_nobody_says_of_an_address_what_no_probe_has_asked(asked):
    id = asked.queue_files("deferred")[0].rpartition("/")[2]
    text = request("verified", queue_id=id, address="x@elsewhere.test", verdict="ok", text="good")
    for role in ("smtp", "lmtp", "pipe", "local"):
        for fds in [], [os.open(asked.queue_files("deferred")[0], os.O_RDWR)]:                     # a message, but no probe
            answer = take_place(place_of(asked, role), asked, lambda: answer_of("private/verify", text, fds).decode(), keep_dac=role == "local")
            assert "fail" in answer and "not your probe" in answer, answer
            for fd in fds:
                os.close(fd)


def test_no_session_without_a_password(asked):
    """private/imap opened any mailbox for whoever named it"""
    user = pwd.getpwnam("pombalmail")
    text = request("serve", service="imap", tag="x", client_address="1.2.3.4", flags=0, user="bob@example.test",
                   uid=user.pw_uid, gid=user.pw_gid, mail="maildir:" + asked.maildir("bob"))

    def ask():
        mine, theirs = socket.socketpair()
        other, _ = socket.socketpair()
        answer = answer_of("private/imap", text, [theirs.fileno(), other.fileno()])
        theirs.close()
        mine.settimeout(PATIENCE)
        return [(answer or b"").decode(), mine.recv(1000).decode()]

    for role in ("imapd", "pop3d", "smtpd", "smtp", "cleanup", "authd", "local", "owner without a role"):
        assert take_place(place_of(asked, role), asked, ask, keep_dac=role == "local") == ["", ""], role


def test_a_pass_service_takes_clients_from_root_and_postscreen_only(asked):
    """whoever hands over a connection says by it who the client is"""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)

        def hand_over():
            with socket.create_connection(listener.getsockname()) as mine:
                theirs, _ = listener.accept()
                with theirs:
                    answer = answer_of("private/passed", request("client"), [theirs.fileno()])
                mine.settimeout(PATIENCE)
                try:
                    return [answer is None, mine.recv(100).decode()]
                except ConnectionResetError:
                    return [answer is None, ""]

        for role in ("tool", "local user", "session", "owner without a role", "smtpd", "imapd", "cleanup", "smtp", "local"):
            assert take_place(place_of(asked, role), asked, hand_over, keep_dac=role == "local")[1] == "", role
        assert take_place(Place(0, 0), asked, hand_over, keep_dac=True)[1].startswith("220 ")
        assert take_place(place_of(asked, "postscreen"), asked, hand_over)[1].startswith("220 ")


@pytest.mark.parametrize("role,name", [("smtpd", "postfix/smtpd[1]"), ("smtpd", "postfix/pickup[%d]"), ("pickup", "postfix/smtpd[%d]"),
                                       ("bounce", "postfix/smtpd[%d]")])
def test_cleanup_logs_in_the_name_of_its_client_only(asked, role, name):
    """as any smtpd, in former times, or as a process that is none"""
    def ask():
        own = name.replace("%d", str(os.getpid())).encode()
        extra = b"".join(b"A" + bytes([len(a)]) + a for a in (b"log_as=" + own, b"log_text=client=forged-%s" % role.encode()))
        at = MESSAGE.index(b"M\0")
        return (answer_of("public/cleanup", request("submit", flags=THROW_AWAY) + MESSAGE[:at] + extra + MESSAGE[at:]) or b"").decode()

    assert "queue_id" in take_place(place_of(asked, role), asked, ask)
    asked.wait_log(r"cleanup\[\d+\]: warning: \w+: process \d+ says as %s: client=forged-%s" % (
        re.escape(name).replace("%d", r"\d+"), role))
    assert not re.search(r" postfix/(smtpd|pickup)\[\d+\]: \w+: client=forged", asked.log())


def waiting_message(suite):
    """(queue id, path) of a message that lies in deferred"""
    (path,) = suite.queue_files("deferred")
    return os.path.basename(path), path


def test_smtpd_cannot_have_a_message_sent_elsewhere(asked):
    id, path = waiting_message(asked)
    text = request("deliver", queue_name="active", queue_id=id, nexthop="[127.0.0.1]:9", sender="", rcpt_at=1, rcpt="evil@x.test")
    for role in ("smtpd", "imapd", "pop3d", "smtp", "bounce", "cleanup"):
        assert not take_place(place_of(asked, role), asked, lambda: (answer_of("private/smtp", text) or b"").decode()), role


@pytest.mark.parametrize("role", ["smtp", "lmtp", "virtual", "error", "cleanup"])
def test_the_log_of_a_message_is_written_by_whoever_has_its_file(role):
    """neither without the file nor with another one"""
    hold = threading.Event()
    with MiniSuite() as s, Agent(s, "fake", lambda d: hold.wait(PATIENCE) and "d") as agent:
        id = s.send("a@b.test")
        wait_for(lambda: agent.busy)
        log, path = "%s/bounce/%s" % (s.queue, id), "%s/active/%s" % (s.queue, id)
        if role == "cleanup":
            os.link(path, "%s/incoming/%s" % (s.queue, id))
        owner = pwd.getpwnam("postfix")
        place = Place({"smtp": pwd.getpwnam("pombalnet").pw_uid}.get(role, owner.pw_uid),
                      gid_base(s) + NUMBERS[PROGRAMS[role][0]], [owner.pw_gid])
        text = request("append", queue_id=id, recipient="a@b.test", status="5.0.0", action="failed", reason="I say so")
        right, wrong = os.open(path, os.O_RDWR), os.open(s.etc + "/main.cf", os.O_RDONLY)
        name = os.open(path, os.O_PATH)  # what knows only the name can have it: Landlock does not look at this
        for fds in ([], [wrong], [name]):
            answer = take_place(place, s, lambda: answer_of("private/bounce", text, fds).decode())
            assert "not your message" in answer and not os.path.exists(log), fds
        elsewhere = text.replace(b"reason\0", b"report_to\0evil@b.test\0reason\0", 1)
        assert elsewhere != text
        for other in (elsewhere, elsewhere.replace(b"append", b"append_owner", 1)):
            answer = take_place(place, s, lambda: (answer_of("private/bounce", other, [right]) or b"").decode())
            assert "\0ok\0" not in answer and not os.path.exists(log), answer
        answer = take_place(place, s, lambda: answer_of("private/bounce", text, [right]).decode())
        assert answer.split("\0")[:2] == ["status", "ok"] and os.path.exists(log)
        for fd in (right, wrong, name):
            os.close(fd)
        hold.set()


def test_an_agent_shows_its_file_wherever_that_was_moved():
    """by a new qmgr or the administrator; in maildrop it is another message's, and in corrupt nobody's"""
    hold = threading.Event()
    with MiniSuite() as s, Agent(s, "fake", lambda d: hold.wait(PATIENCE) and "d") as agent:
        id = s.send("a@b.test")
        wait_for(lambda: agent.busy)
        log, active = "%s/bounce/%s" % (s.queue, id), "%s/active/%s" % (s.queue, id)
        owner = pwd.getpwnam("postfix")
        place = Place(pwd.getpwnam("pombalnet").pw_uid, gid_base(s) + NUMBERS["SMTP"], [owner.pw_gid])
        text = request("append", queue_id=id, recipient="a@b.test", status="5.0.0", action="failed", reason="I say so")
        right, name = os.open(active, os.O_RDWR), os.open(active, os.O_PATH)
        read = os.open(active, os.O_RDONLY)
        for queue, taken in (("incoming", True), ("deferred/" + id[0], True), ("hold", True),
                             ("maildrop", False), ("corrupt", False)):
            path = "%s/%s/%s" % (s.queue, queue, id)
            if not os.path.isdir(os.path.dirname(path)):
                os.mkdir(os.path.dirname(path), 0o700)
                os.chown(os.path.dirname(path), owner.pw_uid, -1)
            os.rename(active, path)
            for fds in ([], [name], [read]):
                answer = take_place(place, s, lambda: answer_of("private/bounce", text, fds).decode())
                assert "not your message" in answer and not os.path.exists(log), (queue, fds)
            answer = take_place(place, s, lambda: answer_of("private/bounce", text, [right]).decode())
            assert (answer.split("\0")[:2] == ["status", "ok"]) == os.path.exists(log) == taken, queue
            if taken:
                os.unlink(log)
            os.rename(path, active)
        for fd in (right, name, read):
            os.close(fd)
        hold.set()


@pytest.mark.parametrize("shown", ["nothing", "another file"])
def test_an_announced_envelope_counts_only_with_the_file(shown):
    """else the envelope is what the file says"""
    with MiniSuite("default_transport = discard\nsmtpd_client_restrictions = check_client_access static:hold\n",
                   "discard unix - - n - - discard\nerror unix - - n - - error\n") as s:
        id = s.send("right@b.test")
        os.rename("%s/hold/%s" % (s.queue, id), "%s/incoming/%s" % (s.queue, id))
        owner = pwd.getpwnam("postfix")
        place = Place(owner.pw_uid, gid_base(s) + NUMBERS["CLEANUP"], [owner.pw_gid])
        other = os.open(s.etc + "/main.cf", os.O_RDONLY)
        text = request("arrived", queue_name="incoming", queue_id=id, sender="", rcpt_at=1, rcpt="evil@b.test")
        fds = [other] if shown == "another file" else []
        take_place(place, s, lambda: answer_of("public/qmgr", text, fds).decode())
        s.wait_log("%s: to=<right@b.test>.*status=sent" % id)
        s.wait_log("%s: removed" % id)
        assert "evil@" not in s.log()
        os.close(other)


def test_cleanup_cannot_put_a_message_in_the_place_of_another():
    """under the same id: it was moved over the other one when it was put off, and its log was the other one's"""
    with MiniSuite() as s, Agent(s, "fake", lambda d: "l"):
        id = s.send("a@b.test", sender="right@c.test")
        (old,) = wait_for(lambda: s.queue_files("deferred"))
        before = open(old, "rb").read()
        owner = pwd.getpwnam("postfix")
        place = Place(owner.pw_uid, gid_base(s) + NUMBERS["CLEANUP"], [owner.pw_gid])
        record = request("append", queue_id=id, recipient="a@b.test", status="5.0.0", action="failed", reason="I say so")
        arrived = request("arrived", queue_name="incoming", queue_id=id, sender="", rcpt_at=1, rcpt="evil@b.test")

        def attack():
            fd = os.open("incoming/" + id, os.O_RDWR | os.O_CREAT, 0o700)
            os.write(fd, before.replace(b"right@c.test", b"wrong@c.test"))
            return [answer_of("private/bounce", record, [fd]).decode(), answer_of("public/qmgr", arrived, [fd]).decode()]

        assert "not your message" in take_place(place, s, attack)[0]
        s.wait_log("%s: a second message with this id: moved to the corrupt queue" % id)
        assert open(old, "rb").read() == before and not s.queue_files("active")
        assert "evil@" not in s.log() and not os.path.exists("%s/bounce/%s" % (s.queue, id))


# ---- what each may never do, by its ids alone: the kernel refuses it whatever the jail says

def attempts(suite, queue_file, pids):
    def may(fn):
        try:
            fn()
            return True
        except OSError:
            return False

    mine = "" if os.path.exists("queue") else suite.queue  # chrooted: names of the host mean nothing
    return {
        "a queue file": may(lambda: open(queue_file)),
        "a mailbox": may(lambda: os.listdir(suite.maildir("bob"))),
        "/etc/shadow": may(lambda: open("/etc/shadow")),
        "the passwords": may(lambda: open(suite.etc + "/passwd")),
        "a private key": may(lambda: open(suite.etc + "/server.key")),
        "maildrop": may(lambda: os.close(os.open("maildrop/X", os.O_CREAT | os.O_WRONLY, 0o744))),
        "incoming": may(lambda: os.close(os.open("incoming/X", os.O_CREAT | os.O_WRONLY, 0o700))),
        "a socket's name": may(lambda: os.unlink("private/bounce")),
        "signal": [name for name, pid in pids.items() if may(lambda: os.kill(pid, 0))],
    }


@pytest.mark.parametrize("role", [name for name in PROGRAMS if PROGRAMS[name][1] == "TRUST_NETWORK"])
def test_what_speaks_with_strangers_reaches_no_mail_and_no_other_process(asked, role):
    session = asked.imap("bob")
    pids = {}
    for pid in asked.pids():
        name = open("/proc/%d/cmdline" % pid).read().split("\0")[0].rsplit("/", 1)[-1]
        if PROGRAMS.get(name, ("", "TRUST_NETWORK"))[1] != "TRUST_NETWORK":
            pids.setdefault(name, pid)
    pids["master"] = asked.master_pid()
    assert {"qmgr", "authd", "imap"} <= set(pids)
    _, path = waiting_message(asked)
    done = take_place(place_of(asked, role), asked, lambda: attempts(asked, path[len(asked.queue) + 1:], pids))
    session.logout()
    assert done.pop("signal") == []
    assert not any(done.values()), done


# ---- what each may never do, tried in its own jail: t/unit/attack.c is loaded into every daemon

SANITIZED = "asan" in subprocess.run(["ldd", pombal.BIN + "/qmgr"], capture_output=True, text=True).stdout
# Before a child of theirs has become the user, they may become anybody. No file is out of local's reach (CAP_DAC_OVERRIDE).
# The table of doc/security.md says so.
BECOMES = {"imap", "pop3"}
MAY = {
    "queue file": {"local", "qmgr", "bounce", "showq"},
    "connect": {"smtp", "lmtp"},
    "connect by a message": set(),
    "disconnect by the addresses of the queue's sockets": set(),
    "socket of the host": {"local"},  # a name service
    "mode of a queue file": set(),
    "mode of a socket": set(),
    "times of a queue file": {"qmgr"},
    "length of a queue file": set(),
    "lock of a table": {"cleanup", "local", "virtual", "imap", "pop3"},
    "create in incoming": {"local", "qmgr", "cleanup"},
    "create in deferred": {"local", "qmgr"},
    "create in active": {"local", "qmgr"},
    "create in bounce": {"local", "bounce"},
    "create in maildrop": {"local", "pickup"},
    "mailbox": {"local"},
    "become root": BECOMES,
    "become mail_owner": BECOMES,
    "qmgr's group": BECOMES,
    "/etc/shadow": {"local"},
    "passwords": {"local"},
    "private key": {"local"},
    "log": {"local"},
    "signal": set(),
    "trace": set(),
    "exec": set(),
}


def acts(s, queue_file, qmgr):
    owner = pwd.getpwnam(setting(s, "mail_owner")).pw_uid
    both = lambda verb, name: ["%s %s/%s" % (verb, s.queue, name), "%s %s" % (verb, name)]  # as host and as chroot see it
    name = queue_file[len(s.queue) + 1:]
    found = {"queue file": both("read", name), "mode of a queue file": both("mode", name), "times of a queue file": both("times", name),
             "length of a queue file": both("cut", name), "mode of a socket": both("mode", "private/bounce"),
             "lock of a table": ["lock %s/aliases.db" % s.etc], "connect": ["connect %d" % s.port("smtp")],
             "connect by a message": ["message %d" % s.port("smtp"), "messages %d" % s.port("smtp")],
             "disconnect by the addresses of the queue's sockets": ["disconnect -"],
             "/etc/shadow": ["read /etc/shadow"], "passwords": ["read %s/passwd" % s.etc], "private key": ["read %s/server.key" % s.etc],
             "log": ["write " + s.log_path], "mailbox": ["create %s/x" % s.maildir("bob")], "become root": ["become 0"],
             "become mail_owner": ["become %d" % owner], "qmgr's group": ["group %d" % (gid_base(s) + NUMBERS["QMGR"])],
             "socket of the host": ["dial %s/host-socket" % s.dir], "signal": ["signal %d" % qmgr], "trace": ["trace %d" % qmgr], "exec": ["exec /bin/true"]}
    for name in ("incoming", "deferred", "active", "bounce", "maildrop"):
        found["create in " + name] = both("create", name + "/not-a-queue-id")
    return found


def use_everything(s, screen):
    """mail through all programs; screen: postscreen's port"""
    s.send(["alice", "bob"])
    s.send("nobody-here@far.test")
    for to in ("a@pipe.test", "a@local.test", "a@error.test", "a@discard.test", "a@smtp.test", "a@lmtp.test"):
        s.tool("sendmail", "-f", "alice@example.test", to, input="Subject: x\n\nx\n")
    s.imap("alice").logout()
    s.pop3("alice").quit()
    pombal.Raw(screen).close()
    s.tool("mailq")
    answer_of(s.queue + "/private/verify", request("verify", address="a@local.test"))
    answer_of(s.queue + "/public/flush", request("flush_site", site="example.test"))


def test_forbidden_acts_fail_in_every_jail(make_suite):
    screen = pombal.free_port()
    s = make_suite(start=False, master=SUITE_MASTER.replace(":%d " % SCREEN, ":%d " % screen), main=(
        SUITE_MAIN + "transport_maps = inline:{pipe.test=command:,local.test=local:,error.test=error:no,discard.test=discard:,"
        "smtp.test=smtp:[127.0.0.1]:9,lmtp.test=lmtp:[127.0.0.1]:9}\n"))
    attack = s.dir + "/attack"
    os.mkdir(attack)
    s.add_main("import_environment = MAIL_CONFIG TZ ATTACK=%s LD_PRELOAD=%s/unit/attack.so "
               "ASAN_OPTIONS=verify_asan_link_order=0\n" % (attack, pombal.BUILD))
    s.start()
    use_everything(s, screen)
    host_socket = socket.socket(socket.AF_UNIX)
    host_socket.bind(s.dir + "/host-socket")
    host_socket.listen(100)
    os.chmod(s.dir + "/host-socket", 0o666)
    queue_file = wait_for(lambda: s.queue_files("deferred"))[0]
    wanted = acts(s, queue_file, s.pids("qmgr")[0])
    s.write("attack/acts", "\n".join(a for group in wanted.values() for a in group) + "\n")
    s.reload()
    use_everything(s, screen)
    programs = set(PROGRAMS) - {"spawn", "postlogd"}

    def results():
        found = {}
        for name in os.listdir(attack):
            text = open(attack + "/" + name).read()
            if name != "acts" and text.endswith("end\n") and len(text) > 10:
                found.setdefault(name.rsplit(".", 1)[0], text)
        return found if programs <= set(found) else None

    for program, text in wait_for(results).items():
        yes = {line.rsplit(" ", 1)[0] for line in text.splitlines() if line.endswith(" yes")}
        for what, ways in wanted.items():
            if SANITIZED and what in ("signal", "trace") and PROGRAMS[program][1] != "TRUST_NETWORK":
                continue  # the leak checker needs these calls
            if program in MAY[what]:
                continue
            assert not yes & set(ways), (program, what)
    # The attack works at all.
    assert "connect %d yes" % s.port("smtp") in results()["smtp"]
    for what in ("queue file", "times of a queue file"):
        assert any(w + " yes" in results()["qmgr"] for w in wanted[what])
