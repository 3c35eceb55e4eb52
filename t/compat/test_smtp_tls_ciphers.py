"""tls_high_cipherlist and tls_medium_cipherlist beside Postfix: which cipher is agreed on."""
import re, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix

pytestmark = pytest.mark.skipif(not HAVE, reason="needs root and Debian's postfix")

# Options of a server. Its certificate has an EC key.
SERVERS = {
    "usual": "",
    "high": "-o smtpd_tls_ciphers=high",
    "one": "-o tls_medium_cipherlist=ECDHE-ECDSA-AES128-GCM-SHA256",
    "one_high": "-o smtpd_tls_ciphers=high -o tls_high_cipherlist=ECDHE-ECDSA-CHACHA20-POLY1305",
    "other_grade": "-o tls_high_cipherlist=ECDHE-ECDSA-CHACHA20-POLY1305",
    "mandatory": "-o smtpd_tls_security_level=encrypt -o smtpd_tls_mandatory_ciphers=high -o tls_high_cipherlist=ECDHE-ECDSA-AES256-GCM-SHA384",
    "excluded": "-o { tls_medium_cipherlist = ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384 } -o smtpd_tls_exclude_ciphers=AES256",
    "ordered": "-o { tls_medium_cipherlist = ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256 } -o tls_preempt_cipherlist=yes",
    "low": "-o smtpd_tls_ciphers=low -o tls_medium_cipherlist=ECDHE-ECDSA-AES128-GCM-SHA256",
}
CLIENTS = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
           "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"]


def agreed(port, ciphers):
    r = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-starttls", "smtp", "-tls1_2", "-cipher", ciphers, "-brief"], input=b"QUIT\r\n",
                       capture_output=True, timeout=pombal.PATIENCE)
    found = re.search(rb"Ciphersuite: (.*)", r.stderr)
    return found and found.group(1).decode()


def test_the_same_cipher_is_agreed_on():
    main = RECEIVING + "smtpd_tls_security_level = may\ntls_preempt_cipherlist = no\nmaillog_file_prefixes = /tmp\n"
    ports = {name: pombal.free_port() for name in SERVERS}

    def lines():
        return "".join("127.0.0.1:%d inet n - n - - smtpd %s\n" % (ports[name], options) for name, options in SERVERS.items())

    ours = pombal.Instance(main=main, master=lines() + "".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()))
    try:
        mine = {(s, c): agreed(ports[s], c) for s in SERVERS for c in CLIENTS}
        files = "".join(line + "\n" for line in ours.read("etc/main.cf").splitlines() if re.match(r"smtpd_tls_(cert|key|chain)_files? *=", line))
        assert files
        ours.stop()
        with RealPostfix(main + files, agents=RECEIVING_AGENTS, master=lambda where: lines()) as theirs:
            theirs.start()
            other = {(s, c): agreed(ports[s], c) for s in SERVERS for c in CLIENTS}
    finally:
        ours.close()
    # Postfix 3.8 and later take "low" for "medium"; Debian's is older.
    assert {k: v for k, v in mine.items() if k[0] != "low"} == {k: v for k, v in other.items() if k[0] != "low"}
    assert {c: mine["low", c] for c in CLIENTS} == {c: mine["one", c] for c in CLIENTS}
    assert mine["one", CLIENTS[1]] is None and mine["one", CLIENTS[0]] == CLIENTS[0] and mine["ordered", CLIENTS[-1]] == CLIENTS[2]


def test_a_list_that_openssl_does_not_know_is_refused():
    suite = pombal.Instance(main="smtpd_tls_security_level = may\ntls_medium_cipherlist = nosuch\n", start=False)
    try:
        r = suite.tool("pombal", "check", check=False)
        assert r.returncode != 0 and "no cipher match" in r.stdout + r.stderr
    finally:
        suite.close()
