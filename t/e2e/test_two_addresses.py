"""A filter or policy service whose host has two addresses, of which the first never answers: the second is asked in time."""
import contextlib, socket, sys

import pytest

import pombal
from dns import Dns
from policy_service import PolicyService

sys.path.append(pombal.TOP + "/t/compat")
import milter  # noqa: E402


@contextlib.contextmanager
def silent(port):
    """a listener whose queue is full: a connection to it is neither taken nor refused"""
    with contextlib.ExitStack() as open_sockets:
        hole = open_sockets.enter_context(socket.socket())
        hole.bind(("127.0.0.2", port))
        hole.listen(0)
        for _ in range(4):
            filler = open_sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))
        yield


@pytest.fixture(scope="module")
def world():
    names = Dns({"two.test": "@ A 127.0.0.2\n@ A 127.0.0.3\n"})
    at = {"milter": pombal.free_port(), "policy": pombal.free_port()}
    one = milter.Milter(offer=None, at=("127.0.0.3", at["milter"]))
    policy = PolicyService(at=("127.0.0.3", at["policy"]))
    ports = {name: pombal.free_port() for name in at}
    s = pombal.Instance(start=False, main="dns_servers = %s\n" % names.server)
    s.add_master("".join("127.0.0.1:%d inet n - n - - smtpd\n    -o { %s }\n" % (ports[name], option) for name, option in (
        ("milter", "smtpd_milters = { inet:two.test:%d, connect_timeout=2s, default_action=tempfail }" % at["milter"]),
        ("policy", "smtpd_recipient_restrictions = check_policy_service { inet:two.test:%d, timeout=2s, try_limit=1 }" % at["policy"]))))
    s.start()
    with silent(at["milter"]), silent(at["policy"]):
        yield s, ports
    s.close()
    one.close()
    policy.close()
    names.stop()


@pytest.mark.parametrize("what", ["milter", "policy"])
def test_an_address_that_never_answers_does_not_take_all_the_time(world, what):
    """the addresses come in any order, so more than once"""
    s, ports = world
    for _ in range(4):
        raw = pombal.Raw(ports[what])
        raw.reply()
        said = [raw.ask(line) for line in ("EHLO client.test", "MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>")]
        raw.close()
        assert said[-1].startswith("250"), said
