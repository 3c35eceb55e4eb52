"""As dns_world.py, for postscreen. Each client has an address of its own, by which its lines are found in the log.
Prints [[what, ours, theirs], ...]; each of the two is what the client read, and what was logged of it."""
import os, re, signal, socket, sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e"]

import pombal  # noqa: E402
from dns_world import world  # noqa: E402

SETTINGS = """
myhostname = mx.here.test
mydomain = here.test
mydestination = here.test
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.9.0/24
smtpd_banner = mx.here.test ESMTP
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtpd_forbid_unauth_pipelining = no
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = reject_unauth_destination
postscreen_greet_wait = 1s
"""
DEEP = "-o postscreen_pipelining_enable=yes -o postscreen_non_smtp_command_enable=yes -o postscreen_bare_newline_enable=yes "
# Postfix starts a process of dnsblog for each question, and what comes after the wait does not count.
SITES = "-o { postscreen_dnsbl_sites = list.test=127.0.0.[2..4]*2, other.test, good.test*-4, nobody.answers.example*9 } -o postscreen_dnsbl_threshold=2 -o postscreen_greet_wait=8s "
SERVICES = {
    "plain": "",
    "greet_drop": "-o postscreen_greet_action=drop",
    "greet_enforce": "-o postscreen_greet_action=enforce",
    "no_banner": "-o postscreen_greet_action=enforce -o postscreen_greet_banner=",
    "access": "-o { postscreen_access_list = permit_mynetworks, inline:{127.0.24.1=permit 127.0.24.2=reject 127.0.24.3=dunno}, dunno, reject } -o postscreen_denylist_action=drop",
    "deny_enforce": "-o postscreen_access_list=reject -o postscreen_denylist_action=enforce",
    "deny_ignore": "-o postscreen_access_list=reject",
    "old_words": "-o { postscreen_access_list = inline:{127.0.27.1=permit}, reject } -o postscreen_blacklist_action=drop -o respectful_logging=no",
    "deep": DEEP + "-o postscreen_command_count_limit=60",
    "deep_drop": DEEP + "-o postscreen_bare_newline_action=drop -o postscreen_pipelining_action=drop",
    "deep_enforce": DEEP + "-o postscreen_bare_newline_action=enforce -o postscreen_non_smtp_command_action=enforce -o postscreen_command_count_limit=5",
    "deep_ignore": DEEP + "-o postscreen_non_smtp_command_action=ignore -o postscreen_pipelining_action=ignore",
    "helo": DEEP + "-o postscreen_helo_required=yes -o postscreen_discard_ehlo_keywords=dsn,etrn",
    "time": DEEP + "-o postscreen_command_time_limit=1s",
    "veto": "-o { postscreen_allowlist_interfaces = !127.0.0.1, static:all }",
    "one": "-o postscreen_client_connection_count_limit=1",
    "few": "-o postscreen_pre_queue_limit=10",
    "proxy": "-o postscreen_upstream_proxy_protocol=haproxy -o postscreen_upstream_proxy_timeout=1s",
    "footer": DEEP + "-o { postscreen_reject_footer = see $client_address $server_name\\nask us }",
    "footer_joined": DEEP + "-o { postscreen_reject_footer = \\c for $client_address }",
    "footer_table": DEEP + "-o { postscreen_reject_footer_maps = regexp:{{/^502/ not here}} }",
    "filter": DEEP + "-o { postscreen_command_filter = regexp:{{/^HALLO (.*)/ EHLO $$1} {/^RCPT TO:.*/ RCPT TO:<other@there.test>}} }",
    "soft": "-o soft_bounce=yes -o postscreen_greet_action=enforce",
    "list": SITES,
    "list_drop": SITES + "-o postscreen_dnsbl_action=drop",
    "list_enforce": SITES + DEEP + "-o postscreen_dnsbl_action=enforce -o postscreen_dnsbl_reply_map=inline:{list.test=shown.test}",
    "list_good": SITES + DEEP + "-o postscreen_dnsbl_allowlist_threshold=-4",
}
ZONES = {"list.test": "1.3.0.127 A 127.0.0.2\n2.3.0.127 A 127.0.0.9\n5.3.0.127 A 127.0.0.4\n6.3.0.127 A 127.0.0.2\n",
         "other.test": "2.3.0.127 A 127.0.0.9\n3.3.0.127 A 127.0.0.1\n5.3.0.127 A 192.0.2.1\n",
         "good.test": "4.3.0.127 A 127.0.0.2\n6.3.0.127 A 127.0.0.2\n"}
MAIL = ["EHLO x.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "QUIT"]
# What a client sends: a line, or bytes as they are. "" waits for the greeting, which is sent by itself; "wait" for the end.
CASES = [
    ("plain", 1, ["", "HELO x", "QUIT"]), ("plain", 1, ["", "HELO x", "QUIT"]),
    ("plain", 2, [b"HELO \x01\"\\\xff\t\r\n", "QUIT"]), ("plain", 2, ["", "QUIT"]),
    ("plain", 3, ["close"]),
    ("greet_drop", 1, ["HELO early"]), ("greet_drop", 1, ["HELO again"]), ("greet_drop", 2, ["", "QUIT"]), ("greet_drop", 3, [b"x" * 2000]),
    ("greet_enforce", 1, ["HELO early"] + MAIL), ("greet_enforce", 2, ["HELO early", "close"]), ("greet_enforce", 3, [""] + MAIL[:3] + ["QUIT"]),
    ("no_banner", 1, ["HELO early"] + MAIL), ("no_banner", 2, [""] + MAIL),
    ("access", 1, ["", "QUIT"]), ("access", 2, ["wait"]), ("access", 3, ["", "QUIT"]), ("access", 4, ["", "QUIT"]), ("access", 4, ["", "QUIT"]),
    ("access", "127.0.9.9", ["", "QUIT"]),
    ("deny_enforce", 1, [""] + MAIL), ("deny_enforce", 1, [""] + MAIL), ("deny_ignore", 1, [""] + MAIL), ("deny_ignore", 1, [""] + MAIL),
    ("old_words", 1, ["", "QUIT"]), ("old_words", 2, ["wait"]),
    ("deep", 1, ["", "EHLO x", "HELO", "EHLO ", "HELO c l", "NOOP x", "RSET x", "VRFY", "VRFY a", "ETRN", "ETRN a", "HELP", "AUTH PLAIN x", "STARTTLS", "EXPN x",
                 "RCPT TO:<a@b>", "MAIL FROM:a@b c", "MAIL FROM:<x@y>", "RCPT FROM:<a>", "RCPT TO:", "RCPT TO:<\"a b\"@c.test> NOTIFY=NEVER", "RCPT TO: a@b.test X",
                 "RCPT TO:<>", "rcpt to:<@x:a@b>", "", "foo bar", "ehlo z", "rcpt to:<a@b>", "mail from:<>", "rcpt to:<q@r>", "QUIT x"]),
    ("deep", 1, ["", "HELO x", "QUIT"]),
    ("deep", 2, ["", "HELO x", "DATA"]), ("deep", 3, ["", "HELO x", "MAIL FROM:<a@b>", "DATA"]), ("deep", 4, ["", "HELO x", "close"]), ("deep", 4, ["", "HELO x", "QUIT"]),
    ("deep", 5, ["", "x" * 3000]), ("deep", 6, ["", "MAIL", "RCPT", "MAIL FROM:<a@b>", "RCPT x", "RCPT TO:<" + "b" * 300 + "@c.test>", "QUIT"]),
    ("deep", 7, ["", b"\rNOOP\r\n"]), ("deep", 8, ["", b"NOOP\xff\r\n"]), ("deep", 9, ["", "HELO x", "Subject: x"]),
    ("deep", 10, ["", b"EHLO x\r\nNOOP\r\n", "RSET", "QUIT"]), ("deep", 11, ["", b"EHLO x\n", "MAIL FROM:<a@b>", b"RCPT TO:<c@d>\n", "QUIT"]), ("deep", 11, ["", "QUIT"]),
    ("deep", 12, ["", "EHLO x", "BDAT"]), ("deep", 13, ["", "EHLO x", "BDAT 5 LAST"]), ("deep", 14, ["", "EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", b"BDAT 5 LAST\r\nabcde"]),
    ("deep_drop", 1, ["", b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"]), ("deep_drop", 1, ["", b"EHLO x\n"]), ("deep_drop", 1, ["", "GET / HTTP"]),
    ("deep_drop", 1, [""] + MAIL), ("deep_drop", 1, ["", "QUIT"]),
    ("deep_enforce", 1, ["", "EHLO x", "GET /", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "QUIT"]), ("deep_enforce", 2, ["", b"EHLO x\n"] + MAIL[1:]),
    ("deep_enforce", 3, [""] + ["NOOP"] * 6), ("deep_enforce", 4, ["", b"EHLO x\r\nNOOP\r\n", "RSET"] + MAIL[1:]), ("deep_enforce", 5, [""] + ["FOO"] * 6),
    ("deep_enforce", 6, [""] + ["NOOP"] * 5 + ["QUIT"]),
    ("deep_ignore", 1, ["", "GET /", b"EHLO x\r\nNOOP\r\n", "RSET"] + MAIL[1:]), ("deep_ignore", 1, ["", "QUIT"]),
    ("helo", 1, ["", "MAIL FROM:<a@b>", "EHLO x", "VRFY a", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "QUIT"]),
    ("time", 1, ["", "wait"]), ("time", 2, ["", "HELO x", b"NOO", "wait"]),
    ("veto", 1, [""] + MAIL), ("veto", 1, ["", "QUIT"]),
    ("footer", 1, [""] + MAIL[:3] + ["FOO", "DATA"]), ("footer_joined", 1, [""] + MAIL[:3] + ["FOO", "QUIT"]), ("footer_table", 1, [""] + MAIL[:3] + ["FOO", "QUIT"]),
    ("filter", 1, ["", "HALLO x.test"] + MAIL[1:]),
    ("soft", 1, ["HELO early"] + MAIL),
    ("list", "127.0.3.1", ["", "QUIT"]), ("list", "127.0.3.9", ["", "QUIT"]), ("list", "127.0.3.9", ["", "QUIT"]),
    ("list_drop", "127.0.3.1", ["wait"]), ("list_drop", "127.0.3.2", ["", "QUIT"]), ("list_drop", "127.0.3.5", ["wait"]), ("list_drop", "127.0.3.6", ["", "QUIT"]),
    ("list_enforce", "127.0.3.1", [""] + MAIL), ("list_enforce", "127.0.3.5", [""] + MAIL), ("list_enforce", "127.0.3.9", [""] + MAIL),
    ("list_good", "127.0.3.4", ["", "QUIT"]), ("list_good", "127.0.3.4", ["", "QUIT"]),
]


def connect(port, client):
    sock = socket.create_connection(("127.0.0.1", port), 20, source_address=(client, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_reply(sock, all_of_it=False):
    """lines as "250 text" up to the last one of a reply, or to the end, which is a line"""
    text = b""
    try:
        while all_of_it or not re.search(rb"(?:^|\n)\d\d\d [^\n]*\n$", text):
            more = sock.recv(4096)
            if not more:
                text += b"EOF\n"
                break
            text += more
    except ConnectionResetError:
        text += b"EOF\n"
    lines = [(line[:3] + " " + line[4:]).strip() for line in text.decode("latin-1").splitlines()]
    return [line for line in lines if line[4:].split(" ")[0] != "AUTH"]


def talk(port, client, steps):
    """all lines that the client reads; how many packets they come in may differ"""
    sock, said = connect(port, client), []
    for i, step in enumerate(steps):
        if step == "close" or said[-1:] == ["EOF"]:
            break
        try:
            if isinstance(step, bytes):
                sock.sendall(step)
            elif step != "wait" and (step or i > 0):
                sock.sendall(step.encode("latin-1") + b"\r\n")
            said += read_reply(sock, step in ("wait", "QUIT"))
        except OSError:
            said.append("EOF")
    sock.close()
    return said


def lines_of(log, service, client):
    """what postscreen said of it, without what differs each time"""
    found = re.findall(r"S/%s/postscreen\[\d+\]: (.*\[%s\].*)" % (service, re.escape(client)), log)
    found = [re.sub(r"(\[127\.[\d.]+\]):\d+", r"\1", line) for line in found]
    return [re.sub(r"( after) [\d.]+ from", r"\1 T from", line).rstrip() for line in found]


def one_after_another(suite, ports, service, client, sessions):
    """each begins when what the one before has left behind is in the log, and so in the cache"""
    ended, said = r"DISCONNECT \[%s\]|smtpd\[\d+\]: connect from unknown\[%s\]" % (re.escape(client), re.escape(client)), []
    for steps in sessions:
        before = len(re.findall(ended, suite.log()))
        said.append(talk(ports[service], client, steps))
        pombal.wait_for(lambda: len(re.findall(ended, suite.log())) > before)
    return said


def crowd(suite, ports):
    """limits that need several clients at a time"""
    said = {}
    first = connect(ports["one"], "127.0.4.1")
    read_some = first.recv(100)
    said["one connection"] = [read_some.decode(), talk(ports["one"], "127.0.4.1", ["wait"])]
    first.close()
    many = [connect(ports["few"], "127.0.4.%d" % n) for n in range(10, 19)]
    [sock.recv(100) for sock in many]
    said["few clients"] = talk(ports["few"], "127.0.4.30", ["wait"])
    [sock.close() for sock in many]
    pombal.wait_for(lambda: "leaving STRESS mode" in suite.log())
    said["stress"] = sorted(re.findall(r"(\w+ STRESS mode with \d+ connections)", suite.log()))
    for what, line in (("proxy v1", b"PROXY TCP4 127.0.5.1 127.0.5.2 4711 25\r\n"), ("proxy wrong", b"HELO there my dear\r\n"), ("proxy silent", b""),
                       ("proxy v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([127, 0, 5, 3, 127, 0, 5, 4, 1, 2, 0, 25])),
                       ("proxy and pregreet", b"PROXY TCP4 127.0.5.5 127.0.5.2 4711 25\r\nHELO early\r\n")):
        said[what] = talk(ports["proxy"], "127.0.4.40", [line, "QUIT"])
    pombal.wait_for(lambda: re.search(r"smtpd\[\d+\]: connect from unknown\[127\.0\.5\.5\]", suite.log()))
    said["clients of smtpd"] = sorted(set(re.findall(r"smtpd\[\d+\]: connect from (unknown\[127\.0\.5\.\d+\])", suite.log())))
    said["log of few"] = lines_of(suite.log(), "few", "127.0.4.30")
    said["log of one"] = sorted(lines_of(suite.log(), "one", "127.0.4.1"))
    for n in (1, 3, 5):
        said["log of proxy %d" % n] = lines_of(suite.log(), "proxy", "127.0.5.%d" % n)
    return said


def run_all(suite, ports):
    sessions = {}
    for service, client, steps in CASES:
        client = client if isinstance(client, str) else "127.0.%d.%d" % (20 + list(SERVICES).index(service), client)
        sessions.setdefault((service, client), []).append(steps)
    with ThreadPoolExecutor(16) as pool:
        jobs = {key: pool.submit(one_after_another, suite, ports, *key, steps) for key, steps in sessions.items()}
        said = {" ".join(key): job.result() for key, job in jobs.items()}
    log = suite.log()
    both = {" ".join(key): [said[" ".join(key)], lines_of(log, *key)] for key in sessions}
    both["lists"] = [[], sorted(set(re.findall(r"(?:postscreen|dnsblog)\[\d+\]: (addr .* listed by domain .*)", log)))]
    return {**both, **{what: [text, []] for what, text in crowd(suite, ports).items()}}


def services(ports):
    text = "smtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n"
    return text + "".join("127.0.0.1:%d inet n - n - 1 postscreen -o syslog_name=S/%s -o postscreen_cache_map=btree:$data_directory/c_%s %s\n"
                          % (ports[name], name, name, options) for name, options in SERVICES.items())


def act(ours, theirs, port):
    results = []
    for suite in ours, theirs:
        ports = {name: pombal.free_port() for name in SERVICES}
        if suite is ours:
            suite.add_master(services(ports))
            suite.reload()
        else:
            with open(theirs.etc + "/master.cf", "a") as f:
                f.write(services(ports))
            os.kill(theirs.master_pid(), signal.SIGHUP)
        pombal.wait_for(lambda: listens(ports))
        results.append(run_all(suite, ports))
    return [[what, results[0][what], results[1][what]] for what in results[0]]


def listens(ports):
    there = {int(line.split()[1].split(":")[1], 16) for line in open("/proc/net/tcp").read().splitlines()[1:] if line.split()[3] == "0A"}
    return set(ports.values()) <= there


if __name__ == "__main__":
    world(ZONES, SETTINGS, "", act)
