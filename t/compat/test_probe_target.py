"""Where probes end (smtp_address_verify_target, lmtp_address_verify_target) beside Postfix's clients: commands and log lines."""
import re

import pytest

import pombal
from real_postfix import HAVE, SendingPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

BARE = {"ehlo": []}
# name: arguments of the server
SERVERS = {
    "taken": {},
    "bare": BARE,
    "rcpt5": {"replies": {"RCPT": "550 5.1.1 nobody"}},
    "rcpt4": {"replies": {"RCPT": "450 4.2.0 not now"}, **BARE},
    "data5": {"replies": {"DATA": "554 5.7.1 nobody after all"}},
    "data5bare": {"replies": {"DATA": "550-5.1.1 nobody\n550 5.1.1 after all"}, **BARE},
    "data4": {"replies": {"DATA": "451 4.3.0 not now"}},
    "datacut": {"replies": {"DATA": "close"}, **BARE},
    "mail5": {"replies": {"MAIL": "550 5.7.1 no probes"}},
}
SCENES = ["%s-%s-%s" % (program, target, name) for program in ("smtp", "lmtp") for target in ("rcpt", "data") for name in SERVERS]
MAIN = "smtp_tls_security_level = none\ninet_protocols = ipv4\ntransport_maps = texthash:$config_directory/transport\n"
MASTER = "".join("%s-%s unix - - n - - %s\n  -o %s_address_verify_target=%s\n" % (program, target, program, program, target)
                 for program in ("smtp", "lmtp") for target in ("rcpt", "data"))


class Side:
    def __init__(self):
        self.sinks, self.transport = {}, ""
        for scene in SCENES:
            program, target, name = scene.split("-")
            self.sinks[scene] = Sink(lmtp=program == "lmtp", **SERVERS[name])
            self.transport += "%s.test %s-%s:[127.0.0.1]:%d\n" % (scene, program, target, self.sinks[scene].port)

    def close(self):
        for sink in self.sinks.values():
            sink.close()


def line_of(log, scene):
    m = re.search(r"to=<a@%s.test>, relay=(.*?), delay=\S+, delays=\S+, (dsn=.*)$" % scene, log, re.M)
    # Here the reason of "deliverable" begins with the server
    return m and re.sub(r"\]:\d+", "]:PORT", " ".join(m.groups())).replace("(delivery via %s: " % re.sub(r":\d+", ":PORT", m.group(1)), "(")


def commands_of(sink):
    return [re.sub(r"^(EHLO|HELO|LHLO) .*|(?<=SIZE=)\d+", r"\1", c).strip() for c in sink.commands if not c.startswith(("QUIT", "RSET"))]


@pytest.fixture(scope="module")
def sides():
    ours, theirs = Side(), Side()
    suite = pombal.Instance(start=False, main=MAIN, master=MASTER)
    suite.write("etc/transport", ours.transport)
    suite.start()
    with SendingPostfix(main=MAIN + "smtp_host_lookup = native\nsmtp_dns_support_level = disabled\n") as real:
        with open(real.etc + "/transport", "w") as f:
            f.write(theirs.transport)
        with open(real.etc + "/master.cf", "a") as f:
            f.write(MASTER)
        real.start()
        to = ["a@%s.test" % scene for scene in SCENES]
        suite.tool("sendmail", "-bv", "-f", "root@probe.test", *to, input="")
        real.run("sendmail", "-C", real.etc, "-bv", "-f", "root@probe.test", *to, input="")
        for log in (suite.log, real.log):
            pombal.wait_for(lambda: all(line_of(log(), scene) for scene in SCENES))
        yield suite, ours, real, theirs
    suite.close()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("scene", SCENES)
def test_log_line_is_the_same(sides, scene):
    suite, _, real, _ = sides
    assert line_of(suite.log(), scene) == line_of(real.log(), scene)


@pytest.mark.parametrize("scene", SCENES)
def test_commands_are_the_same(sides, scene):
    _, ours, _, theirs = sides
    assert commands_of(ours.sinks[scene]) == commands_of(theirs.sinks[scene])


@pytest.mark.parametrize("scene", SCENES)
def test_no_message_arrives(sides, scene):
    _, ours, _, _ = sides
    assert ours.sinks[scene].messages == []
