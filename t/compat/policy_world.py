"""As dns_world.py, with policy services of Debian: policyd-spf, which spawn runs, and a postgrey for each suite. Prints
[[what, ours, theirs], ...]: replies, and the fields that the services have put in front of held messages."""
import os, re, shutil, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]

import pombal  # noqa: E402
from dns_world import SETTINGS, ask, readable, world  # noqa: E402

HAVE = all(shutil.which(name) for name in ("postgrey", "policyd-spf"))
ZONES = {
    "spf.test": "pass TXT \"v=spf1 ip4:127.0.0.2 -all\"\nfail TXT \"v=spf1 ip4:192.0.2.1 -all\"\nsoft TXT \"v=spf1 ~all\"\nnone A 127.0.0.9\nbroken TXT \"v=spf1 ip4:nonsense\"\n",
    "127.in-addr.arpa": "2.0.0 PTR mx.spf.test.\n",
}
MAIN = SETTINGS + """
mynetworks = 127.0.0.1
smtpd_restriction_classes = spf grey
spf = check_policy_service unix:private/spf, check_recipient_access static:HOLD
grey = check_policy_service { unix:grey/socket, timeout=10s }, check_recipient_access static:HOLD
spf_time_limit = 3600
smtpd_recipient_restrictions = reject_unauth_destination, check_recipient_access inline:{spf@here.test=spf, grey@here.test=grey}
"""


def postgrey(suite):
    where = suite.queue + "/grey"
    os.mkdir(where)
    shutil.chown(where, "nobody")
    process = subprocess.Popen(["postgrey", "--unix=" + where + "/socket", "--dbdir=" + where, "--delay=2", "--user=nobody", "--group=nogroup"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pombal.wait_for(lambda: os.path.exists(where + "/socket"))
    os.chmod(where + "/socket", 0o666)
    return process


def put_in_front(suite, port, sender, rcpts):
    """the fields above the trace field of a message that is held"""
    raw = pombal.Raw(port, source="127.0.0.2")
    raw.reply()
    said = [raw.ask(c) for c in ["HELO mx.spf.test", "MAIL FROM:<%s>" % sender] + ["RCPT TO:<%s>" % r for r in rcpts] + ["DATA", "Subject: x\r\n\r\nx\r\n."]]
    queue_id = re.search(r"queued as (\w+)", said[-1]).group(1)
    run = suite.tool if hasattr(suite, "tool") else suite.run
    header = run("postcat", "-hq", queue_id).stdout.split("Received: from")[0]
    return re.sub(r"delayed \d+ seconds|; [A-Z][a-z][a-z], .*|receiver=\S+", "...", header).split("\n")


def act(ours, theirs, port):
    services = [postgrey(ours), postgrey(theirs)]
    found = []
    try:
        sides = [(ours, ours.port("smtp")), (theirs, port)]
        for name in ("pass", "fail", "soft", "none", "broken"):
            found.append(["spf " + name] + [ask(p, "127.0.0.2", "mx.spf.test", "a@%s.spf.test" % name, "spf@here.test") for _, p in sides])
        found.append(["spf fields"] + [put_in_front(s, p, "a@pass.spf.test", ["spf@here.test", "spf@here.test"]) for s, p in sides])
        found.append(["grey first"] + [ask(p, "127.0.0.2", "mx.spf.test", "a@x.test", "grey@here.test") for _, p in sides])
        time.sleep(3)                                                                              # what postgrey wants to see
        found.append(["grey fields"] + [put_in_front(s, p, "a@x.test", ["grey@here.test"]) for s, p in sides])
        found.append(["grey again"] + [ask(p, "127.0.0.2", "mx.spf.test", "a@x.test", "grey@here.test") for _, p in sides])
    finally:
        for service in services:
            service.terminate()
            service.wait()
    return found


if __name__ == "__main__":
    with readable("debugLevel = 1\nTestOnly = 1\nHELO_reject = False\nMail_From_reject = Fail\nPermError_reject = True\nskip_addresses = 10.0.0.0/8\n") as conf:
        world(ZONES, MAIN, "spf unix - n n - 0 spawn\n  user=nobody argv=/usr/bin/policyd-spf %s\n" % conf.name, act)
