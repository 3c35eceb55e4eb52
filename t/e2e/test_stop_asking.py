"""A stop while a mail filter, a policy service or a filter before the queue is asked: it has not failed, so its default action is no
answer, and the log has no refusal. Clients are told to come later, and nothing is taken unfiltered, nor bounced."""
import re, sys, threading
from concurrent.futures import ThreadPoolExecutor

import pombal
from policy_service import PolicyService
from sink import Sink

sys.path.append(pombal.TOP + "/t/compat")
import milter  # noqa: E402

LINES = ("EHLO client.test", "MAIL FROM:<a@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA", "Subject: x\r\n\r\nbody\r\n.")


def session(port):
    """the last reply"""
    raw = pombal.Raw(port)
    reply = raw.reply()
    for line in LINES:
        if reply[0] in "23":
            reply = raw.ask(line)
    raw.close()
    return reply


class HangingSink(Sink):
    """a filter before the queue that does not answer a command that begins so"""

    def __init__(self, command):
        self.command, self.hangs, self.ends = command, threading.Event(), threading.Event()
        super().__init__()

    def pick(self, line):
        if line.startswith(self.command):
            self.hangs.set()
            self.ends.wait(pombal.PATIENCE)
        return super().pick(line)

    def close(self):
        self.ends.set()
        super().close()


def seen(one, letter):
    return sum(p[:1] == letter for session in one.sessions for p in session)


def test_a_stop_is_no_failure_of_those_who_are_asked():
    at_mail, at_end = (milter.Milter(offer=None, answers={letter: milter.HANG}) for letter in (b"M", b"E"))
    policy = PolicyService(lambda request: lambda sock: bool(sock.recv(1)))
    at_rcpt, at_dot = HangingSink("RCPT"), HangingSink(".")
    ports = {name: pombal.free_port() for name in ("mail", "end", "policy", "rcpt", "dot")}
    s = pombal.Instance(start=False, main="non_smtpd_milters = { inet:127.0.0.1:%d, default_action=reject }\n" % at_end.port)
    s.add_master("".join("127.0.0.1:%d inet n - y - - smtpd\n    -o { %s }\n" % (ports[name], option) for name, option in (
        ("mail", "smtpd_milters = { inet:127.0.0.1:%d, default_action=reject }" % at_mail.port),
        ("end", "smtpd_milters = { inet:127.0.0.1:%d, default_action=accept }" % at_end.port),
        ("policy", "smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:%d, default_action=REJECT }" % policy.port),
        ("rcpt", "smtpd_proxy_filter = 127.0.0.1:%d" % at_rcpt.port), ("dot", "smtpd_proxy_filter = 127.0.0.1:%d" % at_dot.port))))
    s.start()
    try:
        s.tool("sendmail", "-f", "alice@example.test", "alice@example.test", input="Subject: local\n\nx\n")
        with ThreadPoolExecutor(5) as pool:
            said = {name: pool.submit(session, port) for name, port in ports.items()}
            pombal.wait_for(lambda: seen(at_mail, b"M") == 1 and seen(at_end, b"E") == 2 and policy.requests and at_rcpt.hangs.is_set() and at_dot.hangs.is_set())
            s.stop()
        codes = {name: reply.result()[:3] for name, reply in said.items()}
        assert codes.pop("end") in ("421", "451")  # whether cleanup was faster
        assert codes == dict.fromkeys(codes, "421")
        assert not re.findall(r".*(?:reject|warning: .*proxy).*", s.log())
        assert len(s.queue_files("maildrop")) == 1
        assert not [q for q in ("incoming", "active", "deferred", "hold") if s.queue_files(q)]
    finally:
        s.close()
        for one in (at_mail, at_end, policy, at_rcpt, at_dot):
            one.close()
