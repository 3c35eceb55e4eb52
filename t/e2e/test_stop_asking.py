"""A stop while a mail filter or a policy service is asked: it has not failed, so its default action is no answer. Clients are told
to come later, and nothing is taken unfiltered, nor bounced."""
import sys
from concurrent.futures import ThreadPoolExecutor

import pombal
from policy_service import PolicyService

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


def seen(one, letter):
    return sum(p[:1] == letter for session in one.sessions for p in session)


def test_a_stop_is_no_failure_of_those_who_are_asked():
    at_mail, at_end = (milter.Milter(offer=None, answers={letter: milter.HANG}) for letter in (b"M", b"E"))
    policy = PolicyService(lambda request: lambda sock: bool(sock.recv(1)))
    ports = {name: pombal.free_port() for name in ("mail", "end", "policy")}
    s = pombal.Instance(start=False, main="non_smtpd_milters = { inet:127.0.0.1:%d, default_action=reject }\n" % at_end.port)
    s.add_master("".join("127.0.0.1:%d inet n - y - - smtpd\n    -o { %s }\n" % (ports[name], option) for name, option in (
        ("mail", "smtpd_milters = { inet:127.0.0.1:%d, default_action=reject }" % at_mail.port),
        ("end", "smtpd_milters = { inet:127.0.0.1:%d, default_action=accept }" % at_end.port),
        ("policy", "smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:%d, default_action=REJECT }" % policy.port))))
    s.start()
    try:
        s.tool("sendmail", "-f", "alice@example.test", "alice@example.test", input="Subject: local\n\nx\n")
        with ThreadPoolExecutor(3) as pool:
            said = {name: pool.submit(session, port) for name, port in ports.items()}
            pombal.wait_for(lambda: seen(at_mail, b"M") == 1 and seen(at_end, b"E") == 2 and policy.requests)
            s.stop()
        assert {name: reply.result()[:3] for name, reply in said.items()} == {"mail": "421", "policy": "421", "end": "451"}
        assert len(s.queue_files("maildrop")) == 1
        assert not [q for q in ("incoming", "active", "deferred", "hold") if s.queue_files(q)]
    finally:
        s.close()
        for one in (at_mail, at_end, policy):
            one.close()
