"""Restrictions that look at the client's certificate, beside Postfix: who is let through, and in which words the others are refused."""
import re, ssl, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started
from test_smtp_policy import talk

pytestmark = pytest.mark.skipif(not HAVE, reason="needs root and Debian's postfix")

CLIENTS = ["known", "stranger", "none", "plain"]
CLASSES = {
    "all": "permit_tls_all_clientcerts, reject", "relay": "permit_tls_clientcerts, reject", "both": "check_ccert_access texthash:{0}/both",
    "cert": "check_ccert_access {{ texthash:{0}/both, search_order=cert_fingerprint }}",
    "pubkey": "check_ccert_access {{ texthash:{0}/both {{ search_order = pubkey_fingerprint }} }}",
    "turned": "check_ccert_access {{ texthash:{0}/both, {{ search_order = pubkey_fingerprint cert_fingerprint }} }}",
    "open": "check_ccert_access static:OK, reject", "shut": "check_ccert_access static:REJECT",
}


def certificate(where, name):
    path = "%s/%s.pem" % (where, name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=%s.test" % name, "-keyout", path,
                    "-out", path + ".crt"], check=True, capture_output=True)
    with open(path, "a") as f:
        f.write(open(path + ".crt").read())
    prints = []
    for what in ["-in", path + ".crt", "-outform", "DER"], ["-in", path + ".crt", "-noout", "-pubkey"]:
        out = subprocess.run(["openssl", "x509"] + what, check=True, capture_output=True).stdout
        if b"BEGIN" in out:
            out = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=out, check=True, capture_output=True).stdout
        digest = subprocess.run(["openssl", "dgst", "-sha256", "-c"], input=out, check=True, capture_output=True).stdout.decode().split("= ")[1].strip()
        prints.append(digest.upper())
    return path, prints


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    where = tmp_path_factory.mktemp("certs")
    pombal.os.chmod(where, 0o755)
    known, prints = certificate(where, "known")
    stranger, other = certificate(where, "stranger")
    (where / "both").write_text("%s DUNNO\n%s REJECT by its key\n%s 450 4.7.9 by its certificate\n" % (prints[1].lower(), other[1].lower(), prints[0].lower()))
    (where / "relay").write_text("%s x\n" % other[1].lower())
    main = RECEIVING + """
local_recipient_maps =
mynetworks = 127.0.0.9
smtpd_tls_security_level = may
smtpd_tls_cert_file = %s
smtpd_tls_key_file = $smtpd_tls_cert_file
smtpd_tls_CAfile = %s.crt
smtpd_tls_ask_ccert = yes
smtpd_tls_fingerprint_digest = sha256
smtpd_tls_received_header = yes
relay_clientcerts = texthash:%s/relay
smtpd_restriction_classes = %s
%s
smtpd_recipient_restrictions = reject_unauth_destination, check_recipient_access inline:{%s, held@example.test=HOLD}
""" % (known, known, where, " ".join("class_" + c for c in CLASSES), "\n".join("class_%s = %s" % (c, text.format(where)) for c, text in CLASSES.items()),
       ", ".join("%s@example.test=class_%s" % (c, c) for c in CLASSES))
    ours = pombal.Instance(main=main, master="".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()))
    theirs, port = started(lambda port: RealPostfix(main, agents=RECEIVING_AGENTS, master=lambda where: "127.0.0.1:%d inet n - n - - smtpd\n" % port), pombal.free_port)
    said, traces = {}, {}
    for client in CLIENTS:
        tls = ssl._create_unverified_context()
        if client in ("known", "stranger"):
            tls.load_cert_chain(known if client == "known" else stranger)
        begin = [] if client == "plain" else ["STARTTLS", "EHLO c.test"]
        commands = ["EHLO c.test"] + begin + ["MAIL FROM:<a@x.test>"] + ["RCPT TO:<%s@example.test>" % c for c in CLASSES]
        for side, at in ("ours", ours.port("smtp")), ("theirs", port):
            for name, reply in zip(CLASSES, talk(at, commands, tls)[-len(CLASSES):]):
                said.setdefault((client, name), {})[side] = reply
            talk(at, commands[:1 + len(begin)] + ["MAIL FROM:<a@x.test>", "RCPT TO:<held@example.test>", "DATA", "Subject: %s\r\n\r\nx\r\n." % client], tls)
    for side, suite, postcat in ("ours", ours, ours.tool), ("theirs", theirs, theirs.run):
        held = [pombal.os.path.join(d, f) for d, _, files in pombal.os.walk(suite.queue + "/hold") for f in files]
        for text in [postcat("postcat", "-h", path).stdout for path in held]:
            lines = re.findall(r"^\t(\((?:using|No|Client).*(?:\n\t .*)*)", text, re.M)
            traces.setdefault(re.search("Subject: (.*)", text).group(1), {})[side] = lines
    theirs.close()
    ours.close()
    return said, traces


@pytest.fixture(scope="module")
def traces(world):
    return world[1]


@pytest.fixture(scope="module")
def replies(world):
    return world[0]


def test_the_same_certificates_let_the_same_clients_through(replies):
    wrong = ["%s: %s | %s" % (who, r["ours"], r["theirs"]) for who, r in replies.items() if r["ours"] != r["theirs"]]
    assert not wrong, "\n".join(wrong)


def test_each_restriction_has_let_somebody_through_and_refused_somebody(replies):
    for name in CLASSES:
        assert {replies[client, name]["ours"][:1] for client in CLIENTS} >= {"2"}, name
        assert {replies[client, name]["ours"][:1] for client in CLIENTS} & {"4", "5"}, name
    assert replies["stranger", "relay"]["ours"].startswith("250 ") and replies["known", "relay"]["ours"].startswith("554 ")
    assert re.fullmatch(r"450 4.7.9 <known.test>: Client certificate rejected: by its certificate", replies["known", "both"]["ours"])


def test_the_trace_field_tells_of_tls_and_certificate(traces):
    wrong = ["%s: %s | %s" % (who, t["ours"], t["theirs"]) for who, t in traces.items() if t["ours"] != t["theirs"]]
    assert not wrong, "\n".join(wrong)
    assert len(traces) == len(CLIENTS) and [len(traces[c]["ours"]) for c in CLIENTS] == [2, 2, 2, 0], traces
