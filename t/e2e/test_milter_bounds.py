"""What milters may make of a message has bounds, and passing one is an answer to the client, with nothing in the queue."""
import glob, os, sys, tempfile

import pytest

import pombal

sys.path.append(pombal.TOP + "/t/compat")
import milter  # noqa: E402

MAIN = """
smtpd_milters = inet:127.0.0.1:%d
milter_default_action = accept
message_size_limit = 100000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
cleanup_memory_limit = 1048576
"""


@pytest.fixture(scope="module")
def world():
    one = milter.Milter(offer=None)
    s = pombal.Instance(main=MAIN % one.port)
    yield s, one
    s.close()
    one.close()


def message(raw, content="Subject: x\r\n\r\nbody\r\n."):
    """the reply to its end"""
    for line in ("MAIL FROM:<a@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA"):
        raw.ask(line)
    return raw.ask(content)


def send(s, one, *changes, then=None):
    """the reply to the end of the message; with then, also that to a second one of the session, of which the filter says so"""
    one.script(eom=list(changes) + [milter.GO_ON])
    raw = pombal.Raw(s.port("smtp"))
    raw.reply()
    raw.ask("EHLO client.test")
    replies = [message(raw)]
    if then:
        one.script(eom=[then])
        replies.append(message(raw))
    raw.ask("QUIT")
    raw.close()
    return replies if then else replies[0]


def nothing_left(s):
    return not [p for q in ("incoming", "active", "deferred", "hold") for p in glob.glob("%s/%s/**" % (s.queue, q), recursive=True) if os.path.isfile(p)]


@pytest.mark.parametrize("what,changes,reply", [
    ("a body beyond message_size_limit", [milter.replace_body("x" * 70 + "\r\n")] * 2000, "552 5.3.4"),
    ("a body that grows beyond it in one packet", [milter.replace_body("x" * 150000)], "552 5.3.4"),
    ("fields beyond it", [milter.add_header("X-A", "y" * 900)] * 150, "552 5.3.4"),
    ("too many changes", [milter.insert_header(0, "X", "y")] * 600, "451 4.3.0"),
    ("too many removals of nothing", [milter.change_header(1, "X-None", "")] * 600, "451 4.3.0"),
    ("recipients beyond cleanup_memory_limit", [milter.add_rcpt("%03d%s@example.test" % (i, "r" * 4000)) for i in range(400)], "452 4.3.1"),
    ("an address of a megabyte", [milter.change_sender("x" * 900000 + "@y.test")], "5"),
    ("a field without a name", [milter.add_header("", "x")], "451 4.3.5"),
])
def test_bounds(world, what, changes, reply):
    """the filter has not failed: it is asked of the next message as ever"""
    s, one = world
    got, then = send(s, one, *changes, then=milter.REJECT)
    assert got.startswith(reply), got
    assert then.startswith("550 5.7.1"), then
    assert nothing_left(s)


def test_many_changes_of_a_long_header_let_others_run(world):
    """each reads it from its beginning"""
    s, one = world
    one.script(eom=[milter.change_header(1, "X-None", "")] * 450 + [milter.GO_ON])
    raw = pombal.Raw(s.port("smtp"))
    raw.reply()
    raw.ask("EHLO client.test")
    assert message(raw, "a:b\r\n" * 19000 + "\r\n.").startswith("250")
    raw.close()
    s.look_at_turns()
    assert not s.faults


def test_after_a_refusal_the_next_message_is_changed_as_before(world):
    s, one = world
    assert send(s, one, milter.add_header("", "x")).startswith("451")
    assert send(s, one, milter.change_header(1, "Subject", "changed")).startswith("250")
    s.wait_mail("alice", match="changed")


def test_a_message_without_recipients_is_taken_and_gone(world):
    """as in Postfix"""
    s, one = world
    assert send(s, one, milter.drop_rcpt("alice@example.test")).startswith("250")
    pombal.wait_for(lambda: nothing_left(s))


@pytest.mark.skipif(not pombal.IS_ROOT, reason="a plain user's daemons have no root directory of their own")
@pytest.mark.parametrize("where", ["below the queue directory", "on the host"])
def test_non_smtpd_milters_by_their_sockets(make_suite, where):
    """a path outside of the queue directory takes cleanup out of it, as chroot n in master.cf says; nothing else does"""
    s = make_suite(start=False)
    host = tempfile.TemporaryDirectory(prefix="pombal-milter-")  # pytest's own belong to root alone
    home = s.queue + "/filters" if where.startswith("below") else host.name
    os.makedirs(home, exist_ok=True)
    os.chmod(home, 0o755)
    one = milter.Milter(milter.change_header(1, "Subject", "seen"), offer=None, unix=home + "/one")
    os.chmod(home + "/one", 0o777)
    s.add_main("non_smtpd_milters = unix:%s\n" % ("filters/one" if where.startswith("below") else home + "/one"))
    s.start()
    s.tool("sendmail", "-f", "a@elsewhere.test", "alice@example.test", input="Subject: x\n\nx\n")
    s.wait_mail("alice", match="seen")
    assert os.readlink("/proc/%d/root" % s.pids("cleanup")[0]) == (s.queue if where.startswith("below") else "/")
    one.close()
    host.cleanup()
