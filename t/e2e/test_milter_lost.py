"""smtpd and cleanup while a filter is asked about the content: one of them takes long, or goes."""
import os, signal, sys, threading

import pytest

import pombal

sys.path.append(pombal.TOP + "/t/compat")
import milter  # noqa: E402


@pytest.fixture(scope="module")
def world():
    one, port = milter.Milter(offer=None), pombal.free_port()
    s = pombal.Instance(start=False)
    s.add_master("127.0.0.1:%d inet n - y - - smtpd\n    -o { smtpd_milters = { inet:127.0.0.1:%d, default_action=accept } }\n"
                 "    -o ipc_timeout=2s\n" % (port, one.port))
    s.start()
    yield s, one, port
    s.close()
    one.close()


def begin(port, subject):
    """the session, whose message has been sent, but for its end"""
    raw = pombal.Raw(port)
    raw.reply()
    for line in ("EHLO client.test", "MAIL FROM:<a@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA"):
        raw.ask(line)
    raw.send("Subject: %s\r\n\r\nbody\r\n" % subject)
    return raw


def asked(one):
    return sum(p[:1] == b"E" for session in one.sessions for p in session)


def test_a_filter_may_take_longer_than_ipc_timeout(world):
    """cleanup would take the message of which the client was told to try again"""
    s, one, port = world
    one.script(eom=[3, milter.ACCEPT])
    raw = begin(port, "slow")
    reply = raw.ask(".")
    raw.close()
    assert reply.startswith("250"), reply
    assert len(s.wait_mail("alice", match="^slow$")) == 1


def stopped_at_end(one, answer):
    """what lets the filter go on"""
    event = threading.Event()
    one.wait_idle()
    one.script(eom=lambda _: (event.wait(60), answer)[1])
    one.take()
    return event


def test_nothing_is_taken_when_smtpd_has_gone_meanwhile(world):
    s, one, port = world
    event = stopped_at_end(one, milter.ACCEPT)
    raw = begin(port, "gone")
    raw.send(".\r\n")
    pombal.wait_for(lambda: asked(one) == 1)
    for pid in s.pids("smtpd"):
        os.kill(pid, signal.SIGKILL)
        s.wait_log("smtpd pid %d killed by signal 9" % pid)
    raw.close()
    event.set()
    s.wait_log("not accepted: the client has gone while milters were asked")
    pombal.wait_for(lambda: not s.queue_files("incoming"))
    assert not [m for m in s.messages("alice") if m["Subject"] == "gone"]


def test_a_late_verdict_is_no_answer_to_the_next_message(world):
    s, one, port = world
    event = stopped_at_end(one, milter.REJECT)
    raw = begin(port, "first")
    raw.send(".\r\n")
    pombal.wait_for(lambda: asked(one) == 1)
    for pid in s.pids("cleanup"):
        os.kill(pid, signal.SIGKILL)
    assert raw.reply().startswith("451 4.3.0")
    event.set()
    one.script()
    assert raw.ask("MAIL FROM:<b@elsewhere.test>").startswith("421 4.3.0")
    raw.close()
