"""Run in a network and mount namespace of its own: Pombal and Postfix ask the same name server on port 53, and are asked the
same. Prints both's replies as JSON: [[what, ours, theirs], ...]. Postfix asks only the servers of /etc/resolv.conf."""
import json, os, re, shutil, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = all(shutil.which(name) for name in ("unshare", "ip", "knotd"))
sys.path[:0] = [HERE, HERE + "/../e2e"]

import pombal  # noqa: E402
from dns import Dns  # noqa: E402
from real_postfix import RealPostfix  # noqa: E402

ZONES = {
    "good.test": "@ MX 10 mx\nmx A 127.0.0.2\nonly A 127.0.0.2\nlost MX 10 nobody\nalias CNAME good.test.\ntext TXT \"no address\"\n"
                 "nullsub MX 0 .\ntonull CNAME nullsub\ndeadalias CNAME nobody\nhalf MX 10 nobody\nhalf MX 20 mx\nother A 127.0.0.9\n",
    "null.test": "@ MX 0 .\n@ A 127.0.0.2\nsub A 127.0.0.2\n",
    "127.in-addr.arpa": "2.0.0 PTR mx.good.test.\n3.0.0 PTR nobody.good.test.\n5.0.0 PTR other.good.test.\n6.0.0 PTR text.good.test.\n7.0.0 PTR 1.2.3.4.\n",
}
NAMES = ["good.test", "only.good.test", "nobody.good.test", "lost.good.test", "half.good.test", "alias.good.test", "tonull.good.test",
         "deadalias.good.test", "text.good.test", "null.test", "sub.null.test", "nosuch.null.test", "nobody.answers.example"]
RESTRICTIONS = ["reject_unknown_sender_domain", "reject_unknown_helo_hostname", "reject_unknown_client_hostname",
                "reject_unknown_reverse_client_hostname", "reject_unknown_address"]
SETTINGS = """
myhostname = mx.here.test
mydomain = here.test
myorigin = $myhostname
mydestination = here.test
local_recipient_maps =
alias_maps =
alias_database =
smtpd_peername_lookup = yes
smtp_dns_support_level = enabled
smtp_host_lookup = dns
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 2000
"""
MAIN = SETTINGS + """
relay_domains = relay.null.test
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_restriction_classes = naked, %s
naked = permit_naked_ip_address, reject
smtpd_recipient_restrictions = check_recipient_access inline:{naked@here.test=naked, %s}, reject_unknown_recipient_domain, permit
%s
""" % (" ".join(RESTRICTIONS).replace("reject_", "class_"),
       ", ".join("%s@here.test=%s" % (r, r.replace("reject_", "class_")) for r in RESTRICTIONS),
       "\n".join("%s = %s" % (r.replace("reject_", "class_"), r) for r in RESTRICTIONS))


def questions():
    """what it is about, the client's address, HELO, sender, recipient"""
    for name in NAMES:
        yield "sender " + name, "127.0.0.2", "x", "a@" + name, RESTRICTIONS[0] + "@here.test"
        yield "address " + name, "127.0.0.2", "x", "a@" + name, RESTRICTIONS[4] + "@here.test"
        yield "recipient " + name, "127.0.0.2", "x", "a@good.test", "b@" + name
        yield "helo " + name, "127.0.0.2", name, "a@good.test", RESTRICTIONS[1] + "@here.test"
    for name in ("good.test", "nosuch.null.test", "null.test"):
        for address in ("a@" + name + ".", "a%" + name, name + "!a", "a%" + name + "@here.test", '"a@' + name + '"@here.test', "a%here.test@" + name, "A@" + name.upper()):
            yield "sender " + address, "127.0.0.2", "x", address, RESTRICTIONS[0] + "@here.test"
            yield "recipient " + address, "127.0.0.2", "x", "a@good.test", address
    for address in ("a@relay.null.test", "a", "a@here.test", "a@here"):
        yield "sender " + address, "127.0.0.2", "x", address, RESTRICTIONS[0] + "@here.test"
        yield "recipient " + address, "127.0.0.2", "x", "a@good.test", address
    for helo in ("[127.0.0.2]", "[127.0.0]", "127.0.0.2", "x", "bad_name", "a..b"):
        yield "helo " + helo, "127.0.0.2", helo, "a@good.test", RESTRICTIONS[1] + "@here.test"
    for helo in ("127.0.0.2", "::1", "2001:db8::1", "127.0.0", "127.0.0.256", "1", ":", ".", "[127.0.0.2]", "x", "a.b"):
        yield "naked " + helo, "127.0.0.2", helo, "a@good.test", "naked@here.test"
    for n in (2, 3, 4, 5, 6, 7):
        yield "client %d" % n, "127.0.0.%d" % n, "x", "a@good.test", RESTRICTIONS[2] + "@here.test"
        yield "reverse client %d" % n, "127.0.0.%d" % n, "x", "a@good.test", RESTRICTIONS[3] + "@here.test"
    yield "literal", "127.0.0.2", "x", "a@[127.0.0.2]", RESTRICTIONS[0] + "@here.test"
    yield "null sender", "127.0.0.2", "x", "", RESTRICTIONS[0] + "@here.test"


def ask(port, client, helo, sender, rcpt):
    raw = pombal.Raw(port, source=client)
    raw.reply()
    said = [raw.ask("HELO " + helo), raw.ask("MAIL FROM:<%s>" % sender), raw.ask("RCPT TO:<%s>" % rcpt)]
    raw.close()
    return said


def ask_both(questions, ours, port):
    """[[what, ours, theirs], ...]; several at a time, because many of Postfix's sessions wait for a second"""
    asked = list(questions)
    with ThreadPoolExecutor(8) as pool:
        replies = [list(pool.map(lambda q, at=at: ask(at, *q[1:]), asked)) for at in (ours.port("smtp"), port)]
    return [[what[0], mine, other] for what, mine, other in zip(asked, *replies)]


def readable(text):
    """a file with this text that everybody may read; gone when it is closed"""
    f = tempfile.NamedTemporaryFile("w")
    f.write(text)
    f.flush()
    os.chmod(f.name, 0o644)
    return f


def port_answers(port):
    try:
        pombal.Raw(port).close()
        return True
    except OSError:
        return False


def world(zones, main, master, act):
    """prints as JSON what act(ours, theirs, port) returns: both suites run, in the namespaces; port: of Postfix's smtpd"""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with readable("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n") as resolv:
        subprocess.run(["mount", "--bind", resolv.name, "/etc/resolv.conf"], check=True)
        dns = Dns(zones, 53)
        ours = pombal.Instance(start=False)
        port = pombal.free_port()
        theirs = RealPostfix(main, master=lambda where: "127.0.0.1:%d inet n - n - - smtpd\n%s" % (port, master))
        try:
            ours.add_main(main + "dns_servers =\n")
            ours.add_master(master)
            ours.start()
            theirs.start()
            pombal.wait_for(lambda: port_answers(port))
            print(json.dumps(act(ours, theirs, port)))
        finally:
            theirs.close()
            ours.close()
            dns.close()
        subprocess.run(["umount", "/etc/resolv.conf"], check=True)


def result_of(script):
    """what such a script prints, for the test that runs it"""
    r = subprocess.run(["unshare", "--net", "--mount", sys.executable, HERE + "/" + script], capture_output=True, text=True, timeout=280)
    assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
    return json.loads(r.stdout.splitlines()[-1])


def warnings(suite):
    """what is logged of names that have not the client's address"""
    return sorted(set(re.findall(r"warning: ((?:numeric )?hostname.*)", suite.log())))


def act(ours, theirs, port):
    rows = ask_both(questions(), ours, port)
    return rows + [["warnings", warnings(ours), warnings(theirs)]]


if __name__ == "__main__":
    world(ZONES, MAIN, "", act)
