#!/usr/bin/python3
"""What it costs to decide about a mail: ours beside Postfix's, in turns.

  bench/receiving.py [--mails N] [--rounds N] [--only NAME[,NAME]]

plain         a mail to a domain of ours; its delivery is thrown away, here and below
milter        a milter looks at everything and adds a field
policy        a policy service is asked at RCPT
restrictions  twenty restrictions, and then four DNS block lists, none of which has the client (a local zone)

Told are the CPU time of all processes of the suite for 1000 mails (its control group; milter, policy service and name server
stand outside) and mails a second, medians of the rounds. Needs root, Debian's postfix, knot and iproute2; build/release is
measured (POMBAL_BUILD names another build). It runs in a network and mount namespace of its own.
"""
import argparse, os, statistics, subprocess, sys, time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("POMBAL_BUILD", TOP + "/build/release")
sys.path[:0] = [TOP + "/bench", TOP + "/t/e2e", TOP + "/t/compat"]
sys.dont_write_bytecode = True

import pombal  # noqa: E402
import real_postfix  # noqa: E402
from dns import Dns  # noqa: E402
from dns_world import readable  # noqa: E402
from milter import Milter, add_header  # noqa: E402
from policy_service import PolicyService  # noqa: E402
from suite import Cgroup  # noqa: E402

SESSIONS = 10
MAIN = real_postfix.RECEIVING + """
local_recipient_maps =
mynetworks = 127.0.9.0/24
smtp_dns_support_level = enabled
smtpd_tls_security_level = none
smtpd_peername_lookup = yes
default_process_limit = 120
smtpd_client_connection_rate_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
"""
LISTS = ["one.list.test", "two.list.test", "three.list.test", "four.list.test"]
RESTRICTIONS = """
smtpd_delay_reject = yes
smtpd_client_restrictions = permit_mynetworks, check_client_access cidr:NETWORKS, reject_unknown_reverse_client_hostname,
    reject_unknown_client_hostname
smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, reject_unknown_helo_hostname,
    check_helo_access inline:{liar.test=REJECT}
smtpd_sender_restrictions = permit_mynetworks, reject_non_fqdn_sender, reject_unknown_sender_domain, check_sender_access inline:{spam.test=REJECT},
    check_sender_mx_access cidr:NETWORKS
smtpd_recipient_restrictions = permit_mynetworks, reject_non_fqdn_recipient, reject_unauth_pipelining, reject_unauth_destination,
    check_recipient_access inline:{closed@example.test=REJECT}, %s, permit
""" % ", ".join("reject_rbl_client " + name for name in LISTS)
ZONES = {
    "good.test": "@ MX 10 mx\nmx A 127.0.0.1\n",
    "127.in-addr.arpa": "1.0.0 PTR mx.good.test.\n",
    **{name: "" for name in LISTS},
}


class Counted:
    """what is started between begin() and started() is counted, and all its children"""

    def __init__(self, name):
        self.group = Cgroup("receiving." + name)
        assert self.group.path, "no control group can be made"

    def begin(self):
        self.group.join()

    def started(self):
        with open(os.path.dirname(self.group.path) + "/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))


def send(port, mails):
    """seconds"""
    begin = time.monotonic()
    subprocess.run(["smtp-source", "-4", "-M", "mx.good.test", "-f", "sender@good.test", "-t", "u@example.test", "-s", str(SESSIONS),
                    "-m", str(mails), "-l", "5120", "127.0.0.1:%d" % port], check=True, timeout=600)
    return time.monotonic() - begin


def measure(start, mails):
    """(CPU seconds for 1000 mails, mails a second) of a suite that start() starts: (suite, port)"""
    count = Counted("x")
    count.begin()
    try:
        suite, port = start()
    finally:
        count.started()
    try:
        pombal.wait_for(lambda: pombal.answers(port))
        send(port, 3 * SESSIONS)
        removed(suite, 3 * SESSIONS)
        before = count.group.cpu()
        took = send(port, mails)
        removed(suite, 3 * SESSIONS + mails)
        return (count.group.cpu() - before) * 1000 / mails, mails / took
    finally:
        suite.close()
        count.group.close()


def removed(suite, mails):
    pombal.wait_for(lambda: suite.log().count(": removed") >= mails, 120)


def start_postfix(settings):
    port = pombal.free_port()
    suite = real_postfix.RealPostfix(MAIN + settings, agents=real_postfix.RECEIVING_AGENTS,
                                     master=lambda where: "127.0.0.1:%d inet n - n - - smtpd\n" % port)
    suite.start()
    return suite, port


def start_pombal(settings):
    suite = pombal.Instance(main=MAIN + settings + "dns_servers =\n", master="virtual unix - n n - - discard\nlocal unix - n n - - discard\n")
    return suite, suite.port("smtp")


def scenarios(networks):
    milter = Milter(add_header("X-Looked-At", "yes"))
    policy = PolicyService()
    yield "plain", ""
    yield "milter", "smtpd_milters = inet:127.0.0.1:%d\nmilter_default_action = tempfail\n" % milter.port
    yield "policy", ("smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, check_policy_service inet:127.0.0.1:%d\n"
                     % policy.port)
    yield "restrictions", RESTRICTIONS.replace("NETWORKS", networks)


def run(args):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with readable("nameserver 127.0.0.1\n") as resolv, readable("192.0.2.0/24 REJECT\n") as networks:
        subprocess.run(["mount", "--bind", resolv.name, "/etc/resolv.conf"], check=True)
        dns = Dns(ZONES, 53)
        try:
            print("%-13s %24s %24s %6s" % ("", "Postfix CPU s/1000 (1/s)", "Pombal CPU s/1000 (1/s)", "CPU"))
            for name, settings in scenarios(networks.name):
                if args.only and name not in args.only.split(","):
                    continue
                rounds = [(measure(lambda: start_postfix(settings), args.mails), measure(lambda: start_pombal(settings), args.mails))
                          for _ in range(args.rounds)]
                theirs, ours = ([statistics.median(figure) for figure in zip(*side)] for side in zip(*rounds))
                print("%-13s %15.2f (%6.0f) %15.2f (%6.0f) %6.2f" % (name, *theirs, *ours, ours[0] / theirs[0]), flush=True)
        finally:
            dns.close()
            subprocess.run(["umount", "/etc/resolv.conf"], check=True)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mails", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default="")
    if os.environ.get("RECEIVING_INSIDE"):
        run(options.parse_args())
    else:
        options.parse_args()
        os.execvpe("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv], dict(os.environ, RECEIVING_INSIDE="1"))
