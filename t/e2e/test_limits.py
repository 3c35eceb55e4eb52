"""LIMITS (RFC 9422): what servers say of it the client obeys, and smtpd says its own."""
import pytest

import pombal
from sink import Sink

LIMITS = {"two": "RCPTMAX=2", "once": "RCPTMAX=2 MAILMAX=1", "twice": "MAILMAX=2 RCPTMAX=1", "odd": "RCPTMAX=0 MAILMAX=x", "hidden": "RCPTMAX=1", "refuses": "RCPTMAX=2", "lmtp": "RCPTMAX=2 MAILMAX=1"}


@pytest.fixture(scope="module")
def world():
    s = pombal.Instance(start=False)
    s.sinks = {name: Sink(ehlo=("PIPELINING", "LIMITS " + words), address="127.0.0.2" if name == "hidden" else "127.0.0.1", lmtp=name == "lmtp",
                          replies={"RCPT TO:<r1@": "550 5.1.1 no"} if name == "refuses" else {}) for name, words in LIMITS.items()}
    s.announces = pombal.free_port()
    s.write("etc/transport", "".join("%s.test %s:[%s]:%d\n" % (name, "lmtp" if name == "lmtp" else "smtp", "127.0.0.2" if name == "hidden" else "127.0.0.1", sink.port)
                                     for name, sink in s.sinks.items()))
    s.add_main("transport_maps = texthash:$config_directory/transport\nsmtp_discard_ehlo_keyword_address_maps = inline:{ 127.0.0.2=limits }\n"
               "smtp_destination_recipient_limit = 50\nsmtp_connection_cache_on_demand = no\n")
    s.add_master("lmtp unix - - n - - lmtp\n127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_announce_limits=yes\n  -o smtpd_recipient_limit=7\n" % s.announces)
    s.start()
    yield s
    s.close()
    for sink in s.sinks.values():
        sink.close()


def send(world, name, count=5):
    """the groups of recipients, one for each transaction, and how many connections there were"""
    world.tool("sendmail", "-f", "", *["r%d@%s.test" % (i, name) for i in range(count)], input="Subject: %s\n\nx\n" % name)
    for i in range(count):
        world.wait_log(r"to=<r%d@%s\.test>.* status=" % (i, name))
    sink, groups = world.sinks[name], []
    for command in sink.commands:
        if command.startswith("MAIL"):
            groups.append([])
        elif command.startswith("RCPT"):
            groups[-1].append(command[9:11])
    return groups, sink.connections


@pytest.mark.parametrize("name, groups, connections", [
    ("two", [["r0", "r1"], ["r2", "r3"], ["r4"]], 1),
    ("once", [["r0", "r1"], ["r2", "r3"], ["r4"]], 3),
    ("twice", [["r0"], ["r1"], ["r2"], ["r3"], ["r4"]], 3),
    ("lmtp", [["r0", "r1"], ["r2", "r3"], ["r4"]], 3),
    ("odd", [["r0", "r1", "r2", "r3", "r4"]], 1),
    ("hidden", [["r0", "r1", "r2", "r3", "r4"]], 1),
    ("refuses", [["r0", "r1"], ["r2", "r3"], ["r4"]], 1),
])
def test_the_client_obeys(world, name, groups, connections):
    assert send(world, name) == (groups, connections)
    status = "status=bounced" if name == "refuses" else "status=sent"
    world.wait_log(r"to=<r1@%s\.test>.* %s" % (name, status))
    world.wait_log(r"to=<r4@%s\.test>.* status=sent" % name)


def test_what_is_hidden_is_logged(world):
    send(world, "hidden")
    world.wait_log("discarding EHLO keywords: LIMITS")


def test_smtpd_says_its_own(world):
    raw = pombal.Raw(world.announces)
    raw.reply()
    assert "250-LIMITS RCPTMAX=7" in raw.ask("EHLO x").split("\n")
    other = pombal.Raw(world.port("smtp"))
    other.reply()
    assert "LIMITS" not in other.ask("EHLO x")
