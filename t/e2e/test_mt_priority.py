"""MT-PRIORITY (RFC 6710): who may say how urgent mail is, and that the urgent goes first."""
import re, threading

import pytest

import pombal
from sink import Sink


class Gate(Sink):
    """holds the message of first@ until the gate is open"""
    def __init__(self, **kw):
        self.gate, self.waits = threading.Event(), threading.Event()
        super().__init__(**kw)

    def pick(self, line):
        if line.startswith("MAIL FROM:<first@"):
            self.waits.set()
            self.gate.wait(pombal.PATIENCE)
        return super().pick(line)


@pytest.fixture(scope="module")
def world():
    s = pombal.Instance(start=False)
    s.knows, s.ignores = Gate(ehlo=("MT-PRIORITY STANAG4406",)), Sink()
    s.mine, s.strangers, s.filters = (pombal.free_port() for _ in range(3))
    s.write("etc/transport", "knows.test smtp:[127.0.0.1]:%d\nignores.test smtp:[127.0.0.1]:%d\nlater.test smtp:[127.0.0.1]:1\n" % (s.knows.port, s.ignores.port))
    s.add_main("transport_maps = texthash:$config_directory/transport\nsmtp_destination_concurrency_limit = 1\nsmtp_destination_recipient_limit = 2\n"
               "mynetworks = 127.0.0.2\nsmtpd_relay_restrictions = check_sender_access static:OK, reject\n")
    entry = "127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_mt_priority_enable=yes\n"
    s.add_master(entry % s.mine + "  -o mynetworks=127.0.0.1\n" + entry % s.strangers + entry % s.filters + "  -o smtpd_proxy_filter=127.0.0.1:1\n")
    s.start()
    yield s
    s.close()
    s.knows.close()
    s.ignores.close()


def begin(port):
    raw = pombal.Raw(port)
    raw.reply()
    return raw, raw.ask("EHLO x")


def send(port, sender, params="", to=("x@knows.test",)):
    """the queue id"""
    raw, _ = begin(port)
    for command in ["MAIL FROM:<%s>%s" % (sender, params)] + ["RCPT TO:<%s>" % r for r in to]:
        assert raw.ask(command)[:3] == "250"
    raw.ask("DATA")
    said = raw.ask("Subject: x\r\n\r\nx\r\n.")
    raw.close()
    return said.split()[-1]


@pytest.mark.parametrize("service, params, reply", [
    ("mine", "MT-PRIORITY=4", "250 2.1.0 Ok"), ("mine", "mt-priority=-9", "250 2.1.0 Ok"), ("mine", "MT-PRIORITY=9", "250 2.3.6 4 is the new priority of the message"),
    ("strangers", "MT-PRIORITY=1", "250 2.3.6 0 is the new priority of the message"), ("strangers", "MT-PRIORITY=-1", "250 2.1.0 Ok"),
    ("strangers", "MT-PRIORITY=0", "250 2.1.0 Ok"), ("mine", "MT-PRIORITY=10", "501 5.5.4 Bad MT-PRIORITY parameter syntax"),
    ("mine", "MT-PRIORITY", "501 5.5.4 Bad MT-PRIORITY parameter syntax"), ("mine", "MT-PRIORITY=x", "501 5.5.4 Bad MT-PRIORITY parameter syntax"),
    ("mine", "MT-PRIORITY=1 MT-PRIORITY=1", "501 5.5.4 Bad MT-PRIORITY parameter syntax"),
    ("filters", "MT-PRIORITY=1", "555 5.5.4 Unsupported option: MT-PRIORITY=1"), ("smtp", "MT-PRIORITY=1", "555 5.5.4 Unsupported option: MT-PRIORITY=1"),
])
def test_what_is_granted(world, service, params, reply):
    raw, said = begin(world.port("smtp") if service == "smtp" else getattr(world, service))
    assert ("MT-PRIORITY" in re.split(r"\n?250[- ]", said)) == (service in ("mine", "strangers"))
    assert raw.ask("MAIL FROM:<a@x.test> " + params) == reply
    raw.close()


def test_the_urgent_goes_first_and_a_restart_knows_it(world):
    """One delivery at a time. Of several recipients, two go together."""
    send(world.mine, "first@x.test")
    assert world.knows.waits.wait(pombal.PATIENCE)
    wanted = [("none1", ""), ("low", " MT-PRIORITY=-3"), ("none2", " MT-PRIORITY=0"), ("high", " MT-PRIORITY=4"), ("high2", " MT-PRIORITY=4"), ("higher", " MT-PRIORITY=2")]
    for name, params in wanted:
        queue_id = send(world.mine, name + "@x.test", params, to=["%d@knows.test" % n for n in range(2)])
        world.wait_log(queue_id + ": from=.*queue active")
    world.knows.gate.set()
    pombal.wait_for(lambda: len(world.knows.messages) >= 7)
    said = [re.match(r"MAIL FROM:<(\w+)@x\.test>(?:.*( MT-PRIORITY=\S+))?", c).groups() for c in world.knows.commands if c.startswith("MAIL")]
    assert said == [("first", None), ("high", " MT-PRIORITY=4"), ("high2", " MT-PRIORITY=4"), ("higher", " MT-PRIORITY=2"), ("none1", None), ("none2", None), ("low", " MT-PRIORITY=-3")]
    assert len([c for c in world.knows.commands if c.startswith("RCPT")]) == 13


def test_a_server_that_does_not_know_it_is_not_told_and_the_trace_field_tells(world):
    send(world.mine, "a@x.test", " MT-PRIORITY=3", to=["x@ignores.test"])
    pombal.wait_for(lambda: world.ignores.messages)
    assert not [c for c in world.ignores.commands if "PRIORITY" in c]
    text = str(world.ignores.messages[-1])
    assert re.search(r"for <x@ignores\.test> PRIORITY 3; ", text), text


def test_what_was_put_off_keeps_its_priority(world):
    queue_id = send(world.mine, "a@x.test", " MT-PRIORITY=-2", to=["x@later.test"])
    world.wait_log(queue_id + ": to=<x@later.test>.*status=deferred")
    assert "named_attribute: mt_priority=-2" in pombal.wait_for(lambda: world.tool("postcat", "-q", queue_id, check=False).stdout)
    world.write("etc/transport", "later.test smtp:[127.0.0.1]:%d\n" % world.knows.port)
    world.reload()
    world.tool("postqueue", "-i", queue_id)
    pombal.wait_for(lambda: [c for c in world.knows.commands if c.startswith("MAIL FROM:<a@x.test>") and c.endswith("MT-PRIORITY=-2")])


def test_an_alias_keeps_it(world):
    world.knows.gate.set()
    world.write("etc/transport", "knows.test smtp:[127.0.0.1]:%d\n" % world.knows.port)
    world.write("etc/names", "away x@knows.test\n")
    world.add_main("alias_maps = texthash:$config_directory/names\nmydestination = there.test\nlocal_recipient_maps =\nlocal_transport = local\n")
    world.add_master("local unix - n n - - local\n")
    world.reload()
    send(world.mine, "alias@x.test", " MT-PRIORITY=3", to=["away@there.test"])
    pombal.wait_for(lambda: [c for c in world.knows.commands if c.startswith("MAIL FROM:<alias@x.test>") and c.endswith(" MT-PRIORITY=3")])
