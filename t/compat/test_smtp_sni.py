"""tls_server_sni_maps beside Postfix: which certificate a client sees who asks for a name, and what is logged."""
import re, smtplib, ssl, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs root and Debian's postfix")

# name that is asked for: the certificate that is wanted, and whether the log has the name
NAMES = {"": ("own", False), "a.test": ("a", True), "A.Test": ("a", True), "x.a.test": ("own", False), "b.test": ("b", True), "x.b.test": ("b", True), "x.y.b.test": ("b", True),
         "c17.test": ("c", True), "un.known": ("own", False), "both.test": ("ec", True), "t.test": ("a", True)}

# A client is in postscreen's own engine if its behaviour there is looked at.
SCREEN = """127.0.0.1:%d inet n - n - 1 postscreen
  -o postscreen_access_list=
  -o postscreen_pipelining_enable=yes
smtpd pass - - n - - smtpd
tlsproxy unix - - n - 0 tlsproxy
dnsblog unix - - n - 0 dnsblog
"""


def certificate(where, name, kind):
    path = "%s/%s.pem" % (where, name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", kind] + (["-pkeyopt", "ec_paramgen_curve:prime256v1"] if kind == "ec" else []) +
                   ["-nodes", "-days", "2", "-subj", "/CN=cert-" + name, "-keyout", path, "-out", path + ".crt"], check=True, capture_output=True)
    with open(path, "a") as f:
        f.write(open(path + ".crt").read())
    return path


def seen(port, name):
    """the name in the certificate that a client is shown; None: there was no handshake"""
    tls = ssl._create_unverified_context()
    with smtplib.SMTP("127.0.0.1", port, timeout=pombal.PATIENCE) as s:
        s.ehlo("c.test")
        s.docmd("STARTTLS")
        try:
            sock = tls.wrap_socket(s.sock, server_hostname=name or None)
        except (ssl.SSLError, ConnectionError):
            s.sock = s.file = None
            return None
        s.sock = s.file = None
        shown = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=sock.getpeercert(True), check=True, capture_output=True).stdout
        sock.close()
        return re.search(rb"cert-(\w+)", shown).group(1).decode()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    where = tmp_path_factory.mktemp("sni")
    pombal.os.chmod(where, 0o755)
    for name in ("own", "a", "b", "c", "rsa", "ec"):
        certificate(where, name, "ec" if name == "ec" else "rsa:2048")
    (where / "patterns").write_text(r"/^c[0-9]+\.test$/ %s/c.pem" % where + "\n")
    (where / "text").write_text("t.test %s/a.pem\n" % where)
    main = RECEIVING + """
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_tls_chain_files = %s/own.pem
tls_server_sni_maps = hash:$config_directory/sni, pcre:%s/patterns, texthash:%s/text
postscreen_tls_security_level = may
postscreen_greet_wait = 1s
postscreen_cache_map =
maillog_file_prefixes = /tmp
""" % (where, where, where)
    screens = [pombal.free_port(), pombal.free_port()]
    table = "a.test {0}/a.pem\nb.test {0}/b.pem\n.b.test {0}/b.pem\nboth.test {0}/rsa.pem, {0}/ec.pem\n".format(where)

    def prepare(etc, postmap):
        with open(etc + "/sni", "w") as f:
            f.write(table)
        postmap("-F", "hash:%s/sni" % etc)

    ours = pombal.Instance(start=False, main=main, master="".join("%s unix - - n - - %s\n" % a for a in RECEIVING_AGENTS.items()) + SCREEN % screens[0])
    prepare(ours.etc, lambda *words: ours.tool("postmap", *words))
    ours.start()
    theirs, port = started(lambda port: RealPostfix(main, agents=RECEIVING_AGENTS, master=lambda where: "127.0.0.1:%d inet n - n - - smtpd\n" % port + SCREEN % screens[1],
                                                    prepare=lambda where: prepare(where + "/etc", lambda *w: subprocess.run(["postmap", *w], check=True))), pombal.free_port)
    theirs.port, ours.screen, theirs.screen = port, *screens
    yield ours, theirs, {"ours": {n: seen(ours.port("smtp"), n) for n in NAMES}, "theirs": {n: seen(port, n) for n in NAMES}}
    theirs.close()
    ours.close()


def test_the_same_names_are_shown_the_same_certificates(pair):
    wanted = {name: cert for name, (cert, _) in NAMES.items()}
    assert pair[2] == {"ours": wanted, "theirs": wanted}


def test_the_log_has_the_name_that_was_found(pair):
    for suite in pair[:2]:
        pombal.wait_for(lambda: len(re.findall("TLS connection established", suite.log())) == len(NAMES))
        found = re.findall(r"Anonymous TLS connection established from unknown\[127\.0\.0\.1\] to (\S+): TLSv1\.3 with cipher", suite.log())
        assert found == [name for name, (_, logged) in NAMES.items() if logged], suite.log()
        assert re.findall(r"TLS SNI (\S+) from unknown\[127\.0\.0\.1\] not matched, using default chain", suite.log()) == ["x.a.test", "un.known"]


def test_postscreen_shows_the_same(pair):
    names = ["", "a.test", "un.known", "both.test"]
    for suite in pair[:2]:
        before = len(suite.log())
        assert {name: seen(suite.screen, name) for name in names} == {name: NAMES[name][0] for name in names}, suite.log()[before:]
        pombal.wait_for(lambda: len(re.findall("TLS connection established", suite.log()[before:])) == len(names))
        log = suite.log()[before:]
        assert re.findall(r"Anonymous TLS connection established from \S+ to (\S+): TLSv1", log) == ["a.test", "both.test"], log
        assert re.findall(r"TLS SNI (\S+) from \S+ not matched, using default chain", log) == ["un.known"], log


def test_a_chain_that_cannot_be_shown_ends_the_handshake(pair):
    ours, theirs, _ = pair
    for etc, port in (ours.etc, ours.port("smtp")), (theirs.etc, theirs.port):
        subprocess.run([pombal.BIN + "/postmap", "-c", ours.etc, "-i", "hash:%s/sni" % etc], input=b"fails.test bm8ga2V5\n", check=True)
        pombal.wait_for(lambda: seen(port, "fails.test") is None)
    assert re.search(r"SSL_accept error from unknown\[127\.0\.0\.1\]: TLS: there is no private key", ours.log())


def test_check_refuses_a_chain_that_cannot_be_shown(pair, tmp_path):
    ours = pair[0]
    lines = {"nokey.test": ("own.pem.crt", "a certificate without a private key before it"), "other.test": ("mixed", "the private key is not that of the certificate behind it"),
             "empty.test": ("void", "there is no private key"), "key.test": ("half", "a private key without a certificate behind it")}
    where = re.search(r"smtpd_tls_chain_files = (.*)/own.pem", ours.read("etc/main.cf")).group(1)
    key = re.search("-----BEGIN PRIVATE KEY-----.*-----END PRIVATE KEY-----\n", open(where + "/a.pem").read(), re.S).group()
    for name, text in ("mixed", key + open(where + "/b.pem.crt").read()), ("void", "nothing\n"), ("half", key):
        with open("%s/%s" % (where, name), "w") as f:
            f.write(text)
    before = ours.read("etc/main.cf")
    for kind in "inline:{ %s }" % ", ".join("%s=%s/%s" % (n, where, f) for n, (f, _) in lines.items()), "texthash:%s/etc/wrong" % ours.dir:
        ours.write("etc/wrong", "".join("%s %s/%s\n" % (n, where, f) for n, (f, _) in lines.items()))
        ours.add_main("tls_server_sni_maps = " + kind)
        r = ours.tool("pombal", "check", check=False)
        assert r.returncode == 1
        for name, (_, said) in lines.items():
            assert re.search(r"main\.cf, line \d+: tls_server_sni_maps = .*%s: TLS: %s" % (re.escape(name), said), r.stderr), (said, r.stderr)
        ours.write("etc/main.cf", before)
