"""tls_eecdh_auto_curves, tls_ffdhe_auto_groups and the lists of cipher grades beside Postfix: what is agreed on."""
import re, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs root and Debian's postfix")

# Settings of a server: which groups it has; the third of them is Postfix's only since 3.8
SERVERS = {"usual": "", "one": "-o tls_eecdh_auto_curves=secp384r1", "anticipates": "-o { tls_eecdh_auto_curves = nosuch X25519MLKEM768 prime256v1 X25519 }",
           "fields": "-o tls_eecdh_auto_curves=nosuch"}
# and which ciphers: of TLS 1.2, since those of 1.3 are always there
GRADES = {"medium": "-o tls_medium_cipherlist=ECDHE-ECDSA-AES128-GCM-SHA256", "high": "-o smtpd_tls_ciphers=high -o tls_high_cipherlist=ECDHE-ECDSA-CHACHA20-POLY1305",
          "other": "-o tls_high_cipherlist=ECDHE-ECDSA-AES128-GCM-SHA256", "excluded": "-o tls_medium_cipherlist=ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA256 "
          "-o smtpd_tls_exclude_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256"}
CLIENTS = ["X25519:P-384", "P-384:X25519", "P-256", "ffdhe2048", "P-256:X25519"]


def agreed(port, groups):
    r = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-starttls", "smtp", "-groups", groups, "-brief"], input=b"QUIT\r\n", capture_output=True,
                       timeout=pombal.PATIENCE)
    found = re.search(rb"Server Temp Key: (.*)", r.stderr)
    return found and found.group(1).decode()


def cipher(port):
    r = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-starttls", "smtp", "-tls1_2", "-cipher", "ALL:@SECLEVEL=0", "-brief"], input=b"QUIT\r\n",
                       capture_output=True, timeout=pombal.PATIENCE)
    found = re.search(rb"Ciphersuite: (.*)", r.stderr)
    return found and found.group(1).decode()


def test_the_same_group_is_agreed_on():
    main = RECEIVING + "smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\nmaillog_file_prefixes = /tmp\n"
    ports = {name: pombal.free_port() for name in (*SERVERS, *GRADES)}

    def lines():
        return "".join("127.0.0.1:%d inet n - n - - smtpd %s\n" % (ports[name], options) for name, options in (*SERVERS.items(), *GRADES.items()))

    ours = pombal.Instance(main=main, master=lines() + "".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()))
    pem = re.search(r"smtpd_tls_chain_files *= *(\S+)|smtpd_tls_cert_file *= *(\S+)", ours.read("etc/main.cf"))
    try:
        mine = {(s, c): agreed(ports[s], c) for s in SERVERS for c in CLIENTS}
        log, ciphers = ours.log(), [{g: cipher(ports[g]) for g in GRADES}]
        files = "".join(line + "\n" for line in ours.read("etc/main.cf").splitlines() if re.match(r"smtpd_tls_(cert|key|chain)_files? *=", line))
        assert pem and files
        ours.stop()
        theirs = RealPostfix(main + files, agents=RECEIVING_AGENTS, master=lambda where: lines()).start()
        other = {(s, c): agreed(ports[s], c) for s in SERVERS for c in CLIENTS}
        ciphers.append({g: cipher(ports[g]) for g in GRADES})
        theirs.close()
    finally:
        ours.close()
    assert {k: v for k, v in mine.items() if k[0] != "fields" and k[1] != "ffdhe2048"} == {k: v for k, v in other.items() if k[0] != "fields" and k[1] != "ffdhe2048"}
    assert mine["usual", "X25519:P-384"].startswith("X25519") and mine["one", "X25519:P-384"].startswith("ECDH, secp384r1") and mine["one", "P-256"] is None
    assert mine["usual", "ffdhe2048"] == mine["fields", "ffdhe2048"] == "DH, 2048 bits" and mine["fields", "P-256"] is None
    assert "key-exchange DHE" in log and "key-exchange X25519" in log and "key-exchange ECDHE (P-384)" in log
    assert ciphers[0] == ciphers[1]
    assert [ciphers[0][g] for g in ("medium", "high", "other")] == ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384"], ciphers
