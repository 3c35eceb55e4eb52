"""postscreen in a suite of ours: the way to smtpd, the cache, TLS, limits, and what check says. Beside Postfix: t/compat/test_postscreen.py"""
import re, ssl, subprocess

import pytest

import pombal
from pombal import wait_for

MAIN = """
mynetworks = 127.0.9.0/24
postscreen_greet_wait = 1s
smtpd_client_connection_count_limit = 0
pombal_accept_missing = unknown_action
"""
SERVICES = {
    "quick": "-o postscreen_greet_banner=",                                                        # no test is left
    "waits": "",
    "deep": "-o postscreen_pipelining_enable=yes",
    "list": "-o { postscreen_access_list = texthash:%s/etc/access } -o postscreen_denylist_action=drop",
    "must": "-o postscreen_access_list=reject -o postscreen_denylist_action=enforce -o postscreen_tls_security_level=encrypt "
            "-o tlsproxy_tls_loglevel=1 -o tls_eecdh_auto_curves=secp384r1",
    "foot": "-o postscreen_access_list=reject -o postscreen_denylist_action=enforce -o postscreen_greet_banner= "
            "-o { postscreen_reject_footer = from $sender for $support, HELO {$helo_name} } -o support=$myhostname",
    "full": "-o postscreen_post_queue_limit=5 -o postscreen_access_list=permit -o smtpd_service_name=nobody",
}


def services(ports, where):
    text = "smtpd pass - - n - - smtpd\nnobody pass - - n - 1 smtpd -o sessions_per_process=1\ndnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n"
    return text + "".join("127.0.0.1:%d inet n - n - 1 postscreen -o syslog_name=S/%s %s %s\n"
                          % (ports[name], name, "" if name == "quick" else "-o postscreen_cache_map=btree:$data_directory/c_" + name,
                             options.replace("%s", where)) for name, options in SERVICES.items())


@pytest.fixture(scope="module")
def screened():
    suite = pombal.Instance(main=MAIN, start=False)
    suite.write("etc/access", "127.0.8.1 permit\n127.0.8.2 reject\n127.0.8.3 rejekt\n")
    suite.ports = {name: pombal.free_port() for name in SERVICES}
    suite.add_master(services(suite.ports, suite.dir))
    suite.start()
    yield suite
    suite.close()


def client(suite, name, address="127.0.0.1"):
    return pombal.Raw(suite.ports[name], source=address)


def lines(suite, address):
    return re.findall(r"postscreen\[\d+\]: (\w+(?: \w+)?) \[%s\]" % re.escape(address), suite.log())


def test_mail_passes_and_smtpd_knows_the_client(screened):
    c = client(screened, "waits", "127.0.6.1")
    assert "220 " in c.reply()
    for command in ("EHLO x", "MAIL FROM:<a@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA", "Subject: s\r\n\r\ntext\r\n."):
        assert c.ask(command)[0] in "23"
    c.ask("QUIT")
    screened.wait_mail("alice")
    assert re.search(r"smtpd\[\d+\]: connect from unknown\[127\.0\.6\.1\]", screened.log())
    assert lines(screened, "127.0.6.1") == ["CONNECT from", "PASS NEW"]


def test_what_was_sent_too_early_is_not_lost(screened):
    """it is only looked at: smtpd answers it"""
    c = client(screened, "waits", "127.0.6.2")
    c.send(b"EHLO early\r\n")
    assert "\n220 " in c.reply() and "250-DSN" in c.reply()
    screened.wait_log(r"PREGREET 12 after \S+ from \[127\.0\.6\.2\]:\d+: EHLO early")


def test_the_cache_survives_reload_and_restart(screened):
    """also a crash: what has been found out is in the file before the client is passed on"""
    c = client(screened, "waits", "127.0.6.3")
    c.reply()
    for change in (screened.reload, lambda: (screened.stop(), screened.start())):
        change()
        before = len(re.findall(r"PASS OLD \[127\.0\.6\.3\]", screened.log()))
        client(screened, "waits", "127.0.6.3").reply()
        screened.wait_log(r"PASS OLD \[127\.0\.6\.3\]", before + 1)
    with open(screened.dir + "/data/c_waits.clients") as f:
        known = [line for line in f.read().splitlines() if line.startswith("127.0.6.3 ")]
    assert re.fullmatch(r"127\.0\.6\.3 \d{10};1;1;1;1 *", known[0]) and len(known[0]) == 127


def test_what_postfix_has_found_out_is_taken_over(screened):
    subprocess.run([pombal.BIN + "/postmap", "-c", screened.etc, "-i", "btree:%s/data/c_old" % screened.dir], check=True,
                   input="127.0.6.4 2000000000;1;0;0;0\n127.0.6.5 1;1;0;0;0\n_LAST_CACHE_CLEANUP_COMPLETED_ 1\nnonsense 1;2\n", text=True)
    port = pombal.free_port()
    screened.add_master("127.0.0.1:%d inet n - n - 1 postscreen -o syslog_name=S/old -o postscreen_cache_map=btree:$data_directory/c_old\n" % port)
    screened.reload()
    pombal.Raw(port, source="127.0.6.4").reply()
    screened.wait_log(r"S/old/postscreen\[\d+\]: PASS OLD \[127\.0\.6\.4\]")
    assert re.search(r"c_old: 2 clients of Postfix's postscreen are known", screened.log())
    assert re.search(r"S/old/postscreen\[\d+\]: cache btree:\S+/c_old full cleanup: retained=1 dropped=1 entries", screened.log())


def test_no_two_services_have_one_cache(screened):
    port = pombal.free_port()
    screened.add_master("127.0.0.1:%d inet n - n - 1 postscreen -o postscreen_cache_map=btree:$data_directory/c_deep\n" % port)
    screened.reload()
    client(screened, "deep", "127.0.6.7").reply()
    pombal.Raw(port).close()
    screened.wait_log(r"fatal: \S+/c_deep\.clients: in use by another service: each needs a postscreen_cache_map of its own")
    screened.write("etc/master.cf", "".join(line for line in screened.read("etc/master.cf").splitlines(True) if not line.startswith("127.0.0.1:%d " % port)))
    screened.reload()


def test_a_table_denies_and_its_unknown_words_are_told(screened):
    assert "220 " in client(screened, "list", "127.0.8.1").reply()
    assert client(screened, "list", "127.0.8.2").reply() == "521 5.3.2 Service currently unavailable"
    client(screened, "list", "127.0.8.3").reply()
    screened.wait_log(r'postscreen_access_list: "rejekt" is no word of an access list')


def test_tls_in_a_session_with_the_engine(screened):
    c = client(screened, "must", "127.0.6.6")
    c.reply()
    assert "250-STARTTLS" in c.ask("EHLO x")
    assert c.ask("MAIL FROM:<a@b.test>") == "530 5.7.0 Must issue a STARTTLS command first"
    assert c.ask("STARTTLS") == "220 2.0.0 Ready to start TLS"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    inside = context.wrap_socket(c.sock)
    said = b""
    for command, end in ((b"EHLO x\r\n", b"250 CHUNKING\r\n"), (b"MAIL FROM:<a@b.test>\r\n", b"Ok\r\n"), (b"RCPT TO:<c@d.test>\r\n", b"unavailable\r\n")):
        inside.sendall(command)
        said = b""
        while not said.endswith(end):
            said += inside.recv(4096)
        assert b"STARTTLS" not in said
    assert said == b"550 5.3.2 Service currently unavailable\r\n"
    screened.wait_log(r"postscreen\[\d+\]: Anonymous TLS connection established from \[127\.0\.6\.6\]:\d+: TLSv1\.3 .* key-exchange ECDHE \(P-384\)")


@pytest.mark.parametrize("said", ["$mail_version", "${mynetworks}", "$sender", "$sender$sender$sender", "$", "$$", "${", "x" * 500 + "$" * 500,
                                  r"\n" * 300, r"\c"])
def test_what_a_client_says_is_no_template(screened, said):
    """a footer may name it: what it is itself made of is neither looked up nor taken for a name"""
    c = client(screened, "foot")
    c.reply()
    c.ask("HELO {%s}" % said[:200])
    assert c.ask("MAIL FROM:<%s@b.test>" % said).startswith("250 ")
    reply = c.ask("RCPT TO:<c@d.test>")
    first, footer = reply.split("\n")
    assert first == "550-5.3.2 Service currently unavailable"
    assert footer == "550 5.3.2 from %s@b.test for %s, HELO {{%s}}" % (said, screened.read("etc/main.cf").split("myhostname = ")[1].split()[0], said[:200])


def greeted(c):
    try:
        return c.sock.recv(100).startswith(b"220 ")
    except BlockingIOError:
        return False


def test_when_smtpd_takes_nobody_the_client_is_told(screened):
    """the one process of the service has the one session that it may have; five more wait; the seventh goes away"""
    first = client(screened, "full", "127.0.6.10")
    assert "220 " in first.reply()
    waiting = [client(screened, "full", "127.0.6.%d" % n) for n in range(11, 16)]
    screened.wait_log(r"ALLOWLISTED \[127\.0\.6\.1[1-5]\]", 5)
    assert client(screened, "full", "127.0.6.16").reply() == "421 4.3.2 All server ports are busy"
    first.close()
    for c in waiting:
        c.sock.setblocking(False)
    wait_for(lambda: any(greeted(c) for c in waiting))                                             # whoever came first
    [c.close() for c in waiting]


def test_nobody_but_postscreen_passes_connections_to_smtpd(screened):
    """the table says so (t/e2e/test_trust.py asks it by all roles)"""
    assert "| `smtpd` | `pass` | postscreen |" in open(pombal.TOP + "/doc/protocols.md").read()


@pytest.mark.parametrize("line,said", [
    ("postscreen_greet_action = block", '"block" is none of: ignore, enforce, drop'),
    ("postscreen_dnsbl_sites = list.test*many", 'behind "*" a number is wanted'),
    ("postscreen_dnsbl_sites = list.test=127.0.0.300", "four numbers from 0 to 255"),
    ("postscreen_access_list = permit_all", "permit, permit_mynetworks, reject, dunno or type:table is wanted"),
    ("postscreen_cache_map = memory", "type:/path is wanted"),
    ("postscreen_upstream_proxy_protocol = nginx", "is none of: haproxy"),
    ("postscreen_tls_security_level = secure", "is none of: none, may, encrypt"),
    ("postscreen_greet_wait = soon", "postscreen_greet_wait"),
    ("postscreen_allowlist_interfaces = 127.0.0.1/99", "postscreen_allowlist_interfaces"),
])
def test_check_refuses_what_cannot_work(screened, line, said):
    before = screened.read("etc/main.cf")
    screened.add_main(line + "\n")
    try:
        r = screened.tool("pombal", "check", check=False)
        assert r.returncode != 0 and said in r.stderr and line.split(" ")[0] in r.stderr and "main.cf, line" in r.stderr, r.stderr
    finally:
        screened.write("etc/main.cf", before)
