"""Run in a network namespace of its own, whose loopback interface has some more addresses: from which one do Pombal and
Postfix connect? Prints as JSON [[settings and family, ours, theirs], ...]."""
import json, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]

import pombal  # noqa: E402
from real_postfix import RealPostfix  # noqa: E402
from sink import Sink  # noqa: E402

# of the smtp client, each in a service of its own
SETTINGS = [
    "inet_interfaces=10.1.0.2",
    "inet_interfaces={10.1.0.2, 127.0.0.1}",
    "inet_interfaces={10.1.0.2, 10.1.0.2}",
    "inet_interfaces=127.0.0.1",
    "inet_interfaces=all",
    "inet_interfaces=10.1.0.2 proxy_interfaces=10.1.0.3",
    "inet_interfaces=10.1.0.2 smtp_bind_address=10.1.0.3",
    "inet_interfaces={10.1.0.2, fd00::2}",
    "inet_interfaces={10.1.0.2, fd00::2, fd00::3}",
]
MAIN = """
inet_protocols = all
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
transport_maps = texthash:$config_directory/transport
"""


class Listener(Sink):
    """remembers who has connected"""

    def __init__(self, address):
        self.seen, self.address = [], address
        super().__init__(address=address)

    def serve(self, client):
        self.seen.append(client.getpeername()[0])
        super().serve(client)


class Side:
    def __init__(self):
        self.listeners, self.transport, self.master = {}, "", ""
        for n, settings in enumerate(SETTINGS):
            options = re.findall(r"(\w+)=({[^}]*}|\S+)", settings)
            self.master += "s%d unix - - n - - smtp\n" % n + "".join("  -o { %s = %s }\n" % (k, v.strip("{}")) for k, v in options)
            for address, family in (("10.1.0.1", 4), ("fd00::1", 6)):
                listener = self.listeners["a@s%d-v%d.test" % (n, family)] = Listener(address)
                self.transport += "s%d-v%d.test s%d:[%s]:%d\n" % (n, family, n, address, listener.port)

    def sources(self):
        pombal.wait_for(lambda: all(listener.seen for listener in self.listeners.values()))
        return [listener.seen[0] for listener in self.listeners.values()]


def ask_ours():
    side = Side()
    suite = pombal.Instance(start=False, main=MAIN, master=side.master)
    try:
        suite.write("etc/transport", side.transport)
        suite.start()
        for address in side.listeners:
            suite.tool("sendmail", "-f", "<>", address, input="Subject: x\n\nx\n")
        return side.sources()
    finally:
        suite.close()


def ask_theirs():
    side = Side()
    main = "myhostname = real.test\nmydestination =\nlocal_recipient_maps =\nalias_maps =\n" + MAIN
    with RealPostfix(main=main, master=lambda where: side.master) as real:
        with open(real.etc + "/transport", "w") as f:
            f.write(side.transport)
        real.start()
        for address in side.listeners:
            real.run("sendmail", "-C", real.etc, "-f", "<>", address, input="Subject: x\n\nx\n")
        return side.sources()


def main():
    for command in ("link set lo up", "addr add 10.1.0.1/32 dev lo", "addr add 10.1.0.2/32 dev lo", "addr add 10.1.0.3/32 dev lo",
                    "addr add fd00::1/128 dev lo nodad", "addr add fd00::2/128 dev lo nodad", "addr add fd00::3/128 dev lo nodad"):
        subprocess.run(["ip"] + command.split(), check=True)
    names = ["%s, IPv%d" % (settings, family) for settings in SETTINGS for family in (4, 6)]
    print(json.dumps(list(zip(names, ask_ours(), ask_theirs()))))


if __name__ == "__main__":
    main()
