#!/usr/bin/python3
"""Robots keep postscreen busy: does a good client's mail still pass? Ours beside Postfix's.

  bench/postscreen.py [--clients N] [--mails N]

N idle clients (10,000, or as many as the limit of open files allows) wait for their greeting. Meanwhile a client that
postscreen_access_list permits delivers mail, one after the other. Told are: the time until all robots were there, the
memory and CPU time of postscreen, and the median and the longest time from connecting to the 250 of a mail.
Needs root and Debian's postfix; build/release is measured (POMBAL_BUILD names another build).
"""
import argparse, os, resource, socket, statistics, sys, time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("POMBAL_BUILD", TOP + "/build/release")
sys.path[:0] = [TOP + "/t/e2e", TOP + "/t/compat"]
sys.dont_write_bytecode = True

import pombal  # noqa: E402
from real_postfix import RECEIVING, RECEIVING_AGENTS, RealPostfix  # noqa: E402

GOOD = "127.0.9.1"
SETTINGS = RECEIVING + """
local_recipient_maps =
mynetworks = 127.0.9.0/24
smtpd_tls_security_level = none
postscreen_greet_wait = 600s
postscreen_client_connection_count_limit = 0
postscreen_pre_queue_limit = %d
"""
LINES = "127.0.0.1:%d inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n"


def most_clients(wanted):
    """the suite's processes have the same limit, and need some for themselves"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, hard - 500)


def robots(port, n):
    """idle clients from many addresses, so that each finds a port"""
    found = []
    for i in range(n):
        found.append(socket.create_connection(("127.0.0.1", port), 60, source_address=("127.0.%d.%d" % (20 + i // 5000, 1 + i % 200), 0)))
    for sock in found:  # the first half of the greeting: it has been taken
        sock.recv(100)
    return found


def deliver(port):
    """seconds from connecting to 250"""
    begin = time.monotonic()
    c = pombal.Raw(port, source=GOOD)
    assert c.reply().startswith("220 ")
    for command in ("EHLO x", "MAIL FROM:<a@elsewhere.test>", "RCPT TO:<b@example.test>", "DATA", "Subject: s\r\n\r\ntext\r\n."):
        said = c.ask(command)
        assert said[0] in "23", said
    took = time.monotonic() - begin
    c.ask("QUIT")
    c.close()
    return took


def pid_of(name, parent):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                fields = f.read().rsplit(")", 1)
            if fields[0].split("(", 1)[1] == name and int(fields[1].split()[1]) == parent:
                return int(pid)
        except OSError:
            continue  # it has just ended


def figures(pid):
    """memory in MB, CPU time in seconds"""
    rows = dict(line.split(":", 1) for line in open("/proc/%d/smaps_rollup" % pid).read().splitlines()[1:])
    ticks = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[11:13]
    return int(rows["Pss"].split()[0]) / 1024, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def measure(name, suite, port, clients, mails):
    pombal.wait_for(lambda: pombal.answers(port))
    alone = statistics.median(deliver(port) for _ in range(mails))
    begin = time.monotonic()
    idle = robots(port, clients)
    opened = time.monotonic() - begin
    times = sorted(deliver(port) for _ in range(mails))
    memory, cpu = figures(pid_of("postscreen", suite.master_pid()))
    print("%-8s %6d robots in %5.1f s; postscreen has %6.1f MB, used %5.2f s CPU; a mail takes %.1f ms, alone %.1f ms, at most %.1f ms"
          % (name, clients, opened, memory, cpu, statistics.median(times) * 1000, alone * 1000, times[-1] * 1000), flush=True)
    for sock in idle:
        sock.close()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clients", type=int, default=10000)
    options.add_argument("--mails", type=int, default=50)
    args = options.parse_args()
    n = most_clients(args.clients)
    port = pombal.free_port()
    with RealPostfix(SETTINGS % (n + 100), agents=RECEIVING_AGENTS, master=lambda where: LINES % port) as theirs:
        theirs.start()
        measure("Postfix", theirs, port, n, args.mails)
    port = pombal.free_port()
    ours = pombal.Instance(main=SETTINGS % (n + 100), master=LINES % port + "virtual unix - n n - - discard\nlocal unix - n n - - discard\n")
    try:
        measure("Pombal", ours, port, n, args.mails)
    finally:
        ours.close()
