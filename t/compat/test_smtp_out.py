"""The SMTP and LMTP client beside Postfix's: the same servers, the same mail; the to= log lines and the commands that
the servers saw are compared. Ports, delays and queue ids are masked."""
import os, re

import pytest

import pombal
from real_postfix import HAVE, SendingPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

# name: (transport, arguments of the server, recipients)
SCENES = {
    "plain": ("smtp", {}, ["a"]),
    "many": ("smtp", {}, ["a", "b", "c"]),
    "helo": ("smtp", {"replies": {"EHLO": "502 5.5.1 no"}}, ["a", "b"]),
    "bare": ("smtp", {"ehlo": []}, ["a", "b"]),
    "size": ("smtp", {"ehlo": ["SIZE 300"]}, ["a"]),
    "dsn": ("smtp", {"ehlo": ["DSN", "PIPELINING"]}, ["a"]),
    "rcpt5": ("smtp", {"replies": {"RCPT TO:<b@": "550 5.1.1 no b"}}, ["a", "b"]),
    "rcpt4": ("smtp", {"replies": {"RCPT TO:<b@": "450 4.2.0 not now"}}, ["a", "b"]),
    "rcpt421": ("smtp", {"replies": {"RCPT TO:<b@": "421 4.3.2 not that one"}}, ["a", "b", "c"]),
    "pipe421": ("smtp", {"replies": {"RCPT TO:<b@": "421 4.3.2 not that one"}, "ehlo": ["PIPELINING"]}, ["a", "b", "c"]),
    "norcpt": ("smtp", {"replies": {"RCPT": "554 no"}}, ["a", "b"]),
    "emptydot": ("smtp", {"replies": {".": "\n250 2.0.0 taken"}, "ehlo": []}, ["a", "b"]),
    "emptygreet": ("smtp", {"greeting": "\nhello there\n220 mx.test ESMTP", "ehlo": []}, ["a"]),
    "noise": ("smtp", {"replies": {"RCPT": "550-no\nwhat\n\n550 really"}, "ehlo": []}, ["a"]),
    "codes": ("smtp", {"replies": {"RCPT": "250-yes\n550 5.1.1 no"}, "ehlo": []}, ["a"]),
    "codes4": ("smtp", {"replies": {"RCPT": "550-5.1.1 no\n451 4.1.2 later"}, "ehlo": []}, ["a"]),
    "codes5": ("smtp", {"replies": {"RCPT": "450-4.1.1 later\n550 5.1.2 no"}, "ehlo": []}, ["a"]),
    "said": ("smtp", {"replies": {"RCPT": "\n".join("550-5.7.26 %02d of a long explanation, and an address to read more at" % i
                                                    for i in range(20)) + "\n550 5.7.26 end"}}, ["a"]),
    "old": ("smtp", {"replies": {"RCPT": "550 unknown user"}, "ehlo": []}, ["a"]),
    "lines": ("smtp", {"replies": {"RCPT": "550-5.1.1 line one\n550 5.1.1 line two"}}, ["a"]),
    "mail5": ("smtp", {"replies": {"MAIL": "553 5.1.8 sender"}}, ["a", "b"]),
    "mail4": ("smtp", {"replies": {"MAIL": "451 4.7.1 slowly"}}, ["a", "b"]),
    "data5": ("smtp", {"replies": {"DATA": "554 5.7.0 no"}}, ["a"]),
    "dot5": ("smtp", {"replies": {".": "554 5.7.1 spam"}}, ["a", "b"]),
    "dot4": ("smtp", {"replies": {".": "452 4.3.1 full"}}, ["a"]),
    "greet5": ("smtp", {"greeting": "554 5.3.2 no"}, ["a"]),
    "greet4": ("smtp", {"greeting": "450 4.3.2 no"}, ["a"]),
    "greetcut": ("smtp", {"greeting": "close"}, ["a"]),
    "ehlo4": ("smtp", {"replies": {"EHLO": "421 4.3.2 no"}}, ["a"]),
    "ehlo450": ("smtp", {"replies": {"EHLO": "450 4.3.2 what"}}, ["a"]),
    "ehlo554": ("smtp", {"replies": {"EHLO": "554 5.3.2 what"}}, ["a"]),
    "ehlohelo": ("smtp", {"replies": {"EHLO": "450 4.3.2 what", "HELO": "450 4.3.2 not now"}}, ["a"]),
    "mailcut": ("smtp", {"replies": {"MAIL": "close"}}, ["a"]),
    "rcptcut": ("smtp", {"replies": {"RCPT": "close"}, "ehlo": []}, ["a"]),
    "datacut": ("smtp", {"replies": {".": "close"}}, ["a"]),
    "dead": ("smtp", None, ["a"]),
    "lmtp": ("lmtp", {"lmtp": True}, ["a", "b"]),
    "lmtp5": ("lmtp", {"lmtp": True, "replies": {".RCPT TO:<b@": "552 5.2.2 full"}}, ["a", "b"]),
    "lmtphelo": ("lmtp", {"replies": {"LHLO": "500 5.5.1 what"}}, ["a"]),
}
MAIN = "smtp_tls_security_level = none\ninet_protocols = ipv4\n"
MESSAGE = "From: alice@example.test\nTo: x@example.test\nSubject: scene\nMessage-ID: <1@example.test>\n" \
          "Date: Mon, 2 Nov 2026 10:00:00 +0000\n\nHello\n.\n..\n" + "long " * 300 + "\nend\n"


class Side:
    def __init__(self):
        self.sinks, self.transport = {}, ""
        for name, (transport, args, _) in SCENES.items():
            self.sinks[name] = Sink(**args) if args is not None else None
            port = self.sinks[name].port if args is not None else pombal.free_port()
            self.transport += "%s.test %s:[127.0.0.1]:%d\n" % (name, transport, port)

    def close(self):
        for s in self.sinks.values():
            if s:
                s.close()


def masked(text):
    text = re.sub(r"\]:\d+", "]:PORT", text)
    text = re.sub(r"message size \d+", "message size N", text)
    return re.sub(r"queued as \w+", "queued as ID", text)


def line_of(log, address):
    m = re.search(r"to=<%s>, relay=(.*?), (?:conn_use=\d+, )?delay=\S+, delays=\S+, (dsn=.*)$" % re.escape(address), log, re.M)
    return m and masked("%s %s" % m.groups())


def commands_of(sink):
    if sink is None:
        return None
    return [re.sub(r"SIZE=\d+", "SIZE=N", re.sub(r"^(EHLO|HELO|LHLO) .*", r"\1 name", c)) for c in sink.commands
            if not c.startswith(("QUIT", "RSET"))]


@pytest.fixture(scope="module")
def sides():
    ours, theirs = Side(), Side()
    addresses = ["%s@%s.test" % (u, name) for name, scene in SCENES.items() for u in scene[2]]
    suite = pombal.Instance(start=False, main=MAIN + "transport_maps = texthash:$config_directory/transport\n",
                            master="lmtp unix - - n - - lmtp\n")
    suite.write("etc/transport", ours.transport)
    suite.add_main("relay_domains = regexp:%s\n" % suite.write("etc/relay", "/\\.test$/ yes\n"))
    suite.start()
    with SendingPostfix(main=MAIN + "transport_maps = texthash:$config_directory/transport\nsmtp_host_lookup = native\n"
                     "smtp_dns_support_level = disabled\nsmtp_connection_cache_on_demand = no\n") as real:
        with open(real.etc + "/transport", "w") as f:
            f.write(theirs.transport)
        with open(real.etc + "/master.cf", "a") as f:
            f.write("lmtp unix - - n - - lmtp\n")
        real.start()
        for name, scene in SCENES.items():
            to = ["%s@%s.test" % (u, name) for u in scene[2]]
            suite.tool("sendmail", "-i", "-f", "<>", *to, input=MESSAGE)
            real.run("sendmail", "-C", real.etc, "-i", "-f", "<>", *to, input=MESSAGE)
        for log in (suite.log, real.log):
            pombal.wait_for(lambda: all(line_of(log(), a) for a in addresses))
        yield suite, ours, real, theirs
    suite.close()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("scene", SCENES)
def test_log_line_is_the_same(sides, scene):
    suite, _, real, _ = sides
    for user in SCENES[scene][2]:
        address = "%s@%s.test" % (user, scene)
        assert line_of(suite.log(), address) == line_of(real.log(), address)


@pytest.mark.parametrize("scene", SCENES)
def test_commands_are_the_same(sides, scene):
    _, ours, _, theirs = sides
    assert commands_of(ours.sinks[scene]) == commands_of(theirs.sinks[scene])


@pytest.mark.parametrize("scene", [s for s in SCENES if SCENES[s][1] == {}])
def test_content_is_the_same(sides, scene):
    _, ours, _, theirs = sides

    def body(sink):
        return [re.sub(rb"^Received:.*\n(?:[ \t].*\n)*", b"", m, flags=re.M).split(b"\n\n", 1)[1] for m in sink.messages]
    assert body(ours.sinks[scene]) == body(theirs.sinks[scene])


def test_a_broken_line_is_logged_once_for_a_message(sides):
    suite, _, real, _ = sides
    found = [re.findall(r"postfix/([sl]mtp)\[\d+\]: \w+: (breaking line > 998 bytes with <CR><LF>SPACE)$", side.log(), re.M) for side in (suite, real)]
    assert len(found[0]) > 10 and sorted(found[0]) == sorted(found[1])
