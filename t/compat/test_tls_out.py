"""TLS of the SMTP and LMTP client beside Postfix's: the same certificates at the same places, in a chroot and without.
Compared is how each delivery ended, and what the log says of the server's certificate."""
import os, re, shutil, smtplib, ssl, subprocess

import pytest

import pombal
from real_postfix import HAVE, SendingPostfix
from sink import Sink

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

# name: (program, chroot, settings without the program's prefix, what the server is)
PATH = "tls_CApath=%(cas)s"
NOBODY = "tls_CApath=%(share)s"  # no name in it is a hash
POLICY = "tls_policy_maps=inline:{ { [127.0.0.1]:%(port)d = verify match=localhost protocols=TLSv1.2 } }"
LOGIN = ["sasl_auth_enable=yes", "sasl_password_maps=inline:{ { [127.0.0.1]:%(port)d = user:pass } }",
         "sasl_security_options=noplaintext, noanonymous", "sasl_tls_security_options=noplaintext, noanonymous"]
VERIFIED = LOGIN + ["sasl_tls_verified_security_options=noanonymous"]
EC = ["tls_eccert_file=%(ec)s/cert.pem", "tls_eckey_file=%(ec)s/key.pem", "tls_security_level=encrypt"]
MUST = ["tls_security_level=encrypt"]
ONLY = "ECDHE-ECDSA-AES128-GCM-SHA256"
ANONYMOUS = "AECDH-AES256-SHA"
EXCLUDE = "tls_exclude_ciphers=" + ONLY
LISTED = "tls_policy_maps=inline:{ { [127.0.0.1]:%%(port)d = %s } }"
SCENES = {
    "path": ("smtp", "n", [PATH], {}),
    "pathjail": ("smtp", "y", [PATH], {}),
    "lmtppath": ("lmtp", "n", [PATH], {}),
    "lmtpjail": ("lmtp", "y", [PATH], {}),
    "unhashed": ("smtp", "n", [NOBODY], {}),
    "nobody": ("smtp", "n", [], {}),
    "policy": ("smtp", "n", [PATH, POLICY], {}),
    "policyjail": ("smtp", "y", [PATH, POLICY], {}),
    "default": ("smtp", "n", [NOBODY, "tls_append_default_CA=yes"], {}),
    "defaultno": ("smtp", "n", [NOBODY, "tls_append_default_CA=no"], {}),
    "defaultonly": ("smtp", "n", ["tls_append_default_CA=yes"], {}),
    "login": ("smtp", "n", [PATH] + VERIFIED, {"logs_in": True}),
    "lmtplogin": ("lmtp", "n", [PATH] + VERIFIED, {"logs_in": True}),
    "loginlike": ("smtp", "n", [PATH] + LOGIN, {"logs_in": True}),  # as without a verified certificate
    "loginmay": ("smtp", "n", [PATH, "tls_security_level=may"] + VERIFIED, {"logs_in": True}),
    "ec": ("smtp", "n", EC, {"asks": True}),
    "eclmtp": ("lmtp", "n", EC, {"asks": True}),
    "ecjail": ("smtp", "y", EC, {"asks": True}),
    "ecmissing": ("smtp", "n", ["tls_security_level=encrypt"], {"asks": True}),
    "ecpolicy": ("smtp", "y", EC + [PATH, POLICY], {"asks": True}),
    "deep": ("smtp", "n", [PATH], {"chain": True}),
    "deep1": ("smtp", "y", [PATH, "tls_scert_verifydepth=1"], {"chain": True}),
    "deep0": ("smtp", "n", [PATH, "tls_scert_verifydepth=0"], {"chain": True}),
    "deeplmtp": ("lmtp", "n", [PATH, "tls_scert_verifydepth=0"], {"chain": True}),
    "shallow": ("smtp", "n", [PATH, "tls_scert_verifydepth=0"], {}),
    "excluded": ("smtp", "n", MUST + [EXCLUDE], {"cipher": ONLY}),
    "excludedlmtp": ("lmtp", "n", MUST + [EXCLUDE], {"cipher": ONLY}),
    "excludedpolicy": ("smtp", "n", [EXCLUDE, LISTED % "encrypt protocols=TLSv1.2"], {"cipher": ONLY}),
    "excludedmust": ("smtp", "n", ["tls_mandatory_exclude_ciphers=" + ONLY, LISTED % "encrypt ciphers=high"], {"cipher": ONLY}),
    "excludedmay": ("smtp", "n", ["tls_mandatory_exclude_ciphers=" + ONLY, LISTED % "may ciphers=high"], {"cipher": ONLY}),
    "excludedelse": ("smtp", "n", [EXCLUDE, "tls_mandatory_exclude_ciphers=" + ONLY, LISTED % "encrypt exclude=RC4"], {"cipher": ONLY}),
    "nullmay": ("smtp", "n", ["tls_security_level=may", "tls_ciphers=null"], {"cipher": "ECDHE-ECDSA-NULL-SHA"}),
    "anonymousmay": ("smtp", "n", ["tls_security_level=may"], {"cipher": ANONYMOUS}),
    "anonymousmust": ("smtp", "n", MUST, {"cipher": ANONYMOUS}),
    "anonymouspolicy": ("smtp", "n", [LISTED % "encrypt ciphers=high"], {"cipher": ANONYMOUS}),
    "anonymouschecked": ("smtp", "n", [PATH], {"cipher": ANONYMOUS}),
    "anonymousprint": ("smtp", "n", [LISTED % "fingerprint match=aa"], {"cipher": ANONYMOUS}),
    "anonymousfirst": ("smtp", "n", MUST, {"cipher": ANONYMOUS + ":ECDHE-ECDSA-AES256-GCM-SHA384"}),
    "anonymousout": ("smtp", "n", MUST + ["tls_exclude_ciphers=aNULL"], {"cipher": ANONYMOUS}),
    "ecbeside": ("smtp", "n", EC + ["tls_cert_file=%(rsa)s/cert.pem", "tls_key_file=%(rsa)s/key.pem"], {"asks": True}),
}
MAIN = """inet_protocols = ipv4
smtp_tls_security_level = verify
lmtp_tls_security_level = verify
smtp_tls_verify_cert_match = localhost
lmtp_tls_verify_cert_match = localhost
smtp_tls_loglevel = 1
lmtp_tls_loglevel = 1
smtpd_tls_security_level = may
smtpd_tls_cert_file = %(rsa)s/cert.pem
smtpd_tls_key_file = %(rsa)s/key.pem
smtpd_tls_eccert_file = %(ec)s/cert.pem
smtpd_tls_eckey_file = %(ec)s/key.pem
transport_maps = texthash:$config_directory/transport
import_environment = MAIL_CONFIG TZ PATH=/usr/bin:/bin SSL_CERT_DIR=%(cas)s
"""


def make_authorities(directory, ca):
    """as Debian's: cas has links by hash, to links, to files elsewhere"""
    paths = {name: directory + "/" + name for name in ("cas", "share", "ec", "rsa")}
    for path in paths.values():
        os.makedirs(path)
    for name, key in (("ec", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("rsa", ["rsa:2048"])):
        subprocess.run(["openssl", "req", "-x509", "-newkey"] + key + ["-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout",
                        paths[name] + "/key.pem", "-out", paths[name] + "/cert.pem"], check=True, capture_output=True)
    shutil.copy(ca, paths["share"] + "/ca.crt")
    os.symlink(paths["share"] + "/ca.crt", paths["cas"] + "/ca.pem")
    subprocess.run(["openssl", "rehash", paths["cas"]], check=True)
    return dict(paths, etc=directory + "/etc", chain=make_chain(directory, directory + "/etc/ca.key", ca))


def make_chain(directory, key, ca):
    """a server's key and certificate, and those of two authorities between it and ca"""
    made = directory + "/chain"
    authority = "basicConstraints=critical,CA:TRUE"
    for name, by, extension in (("upper", (ca, key), authority),
                                ("lower", (made + ".upper.pem", made + ".upper.key"), authority),
                                ("leaf", (made + ".lower.pem", made + ".lower.key"), "subjectAltName=DNS:localhost")):
        path = "%s.%s" % (made, name)
        with open(path + ".ext", "w") as f:
            f.write(extension)
        for command in ("req -newkey rsa:2048 -nodes -keyout %s.key -out %s.csr -subj /CN=%s" % (path, path, name),
                        "x509 -req -in %s.csr -CA %s -CAkey %s -set_serial 1 -days 2 -extfile %s.ext -out %s.pem" % ((path,) + by + (path, path))):
            subprocess.run(["openssl"] + command.split(), check=True, capture_output=True)
    with open(made + ".pem", "w") as f:
        f.write("".join(open("%s.%s" % (made, part)).read() for part in ("leaf.key", "leaf.pem", "lower.pem", "upper.pem")))
    return made + ".pem"


def server_context(paths, asks=False, chain=False, cipher=None):
    """asks: for a certificate, and takes only that with the elliptic curve; chain: its own is signed by an authority that the
    trusted one has signed; cipher: the only one that it has"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*(paths["chain"],) if chain else (paths["etc"] + "/server.pem", paths["etc"] + "/server.key"))
    if asks:
        context.load_verify_locations(paths["ec"] + "/cert.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the client hears of it in the handshake
    if cipher:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(cipher + ":@SECLEVEL=0")
    return context


class Side:
    """the servers of one side, and its lines of transport and master.cf"""

    def __init__(self, paths):
        self.sinks, self.transport, self.master = [], "", ""
        for name, (program, chroot, settings, server) in SCENES.items():
            sink = Sink(tls=server_context(paths, **{k: v for k, v in server.items() if k != "logs_in"}), lmtp=program == "lmtp", replies={"AUTH": "235 2.7.0 ok"},
                        ehlo=["8BITMIME"] + ["AUTH PLAIN"] * ("logs_in" in server))
            self.sinks.append(sink)
            self.transport += "%s.test %s:[127.0.0.1]:%d\n" % (name, name, sink.port)
            self.master += "%s unix - - %s - - %s\n" % (name, chroot, program)
            for setting in settings:
                prefix = "" if setting.startswith("tls_append") else program + "_"
                self.master += "  -o { %s%s }\n" % (prefix, setting % dict(paths, port=sink.port))

    def close(self):
        for sink in self.sinks:
            sink.close()


def end_of(log, name):
    m = re.search(r"to=<a@%s\.test>, .*(dsn=\S+, status=\w+) " % name, log)
    return m and m.group(1)


def certificate_of(log, side, name):
    port = side.sinks[list(SCENES).index(name)].port
    m = re.search(r"(\w+) TLS connection established to 127\.0\.0\.1\[127\.0\.0\.1\]:%d: (TLSv\S+)" % port, log)
    return m and m.groups()


@pytest.fixture(scope="module")
def sides():
    suite = pombal.Instance(start=False)
    paths = make_authorities(suite.dir, suite.dir + "/ca.pem")
    ours, theirs = Side(paths), Side(paths)
    suite.add_main(MAIN % paths + "relay_domains = regexp:%s\n" % suite.write("etc/relay", "/\\.test$/ yes\n"))
    suite.add_master(ours.master)
    suite.write("etc/transport", ours.transport)
    suite.start()
    with SendingPostfix(main=MAIN % paths) as real:
        with open(real.etc + "/transport", "w") as f:
            f.write(theirs.transport)
        with open(real.etc + "/master.cf", "a") as f:
            f.write(theirs.master)
        shutil.copytree(paths["cas"], real.queue + paths["cas"]) # as Debian's start script: files, no links
        real.start()
        for name in SCENES:
            suite.tool("sendmail", "-i", "-f", "<>", "a@%s.test" % name, input="Subject: x\n\nx\n")
            real.run("sendmail", "-C", real.etc, "-i", "-f", "<>", "a@%s.test" % name, input="Subject: x\n\nx\n")
        for log in (suite.log, real.log):
            pombal.wait_for(lambda: all(end_of(log(), name) for name in SCENES))
        yield suite, ours, real, theirs
    suite.close()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("name", SCENES)
def test_ends_as_with_postfix(sides, name):
    suite, ours, real, theirs = sides
    assert end_of(suite.log(), name) == end_of(real.log(), name)
    assert certificate_of(suite.log(), ours, name) == certificate_of(real.log(), theirs, name)


def test_the_certificates_are_really_looked_at(sides):
    log, ours = sides[0].log(), sides[1]
    trusted = [name for name in SCENES if (certificate_of(log, ours, name) or ["none"])[0] == "Verified"]
    assert trusted == ["path", "pathjail", "lmtppath", "lmtpjail", "policy", "policyjail", "default", "login", "lmtplogin", "loginlike",
                       "ecpolicy", "deep", "deep1", "shallow"]


def test_plain_passwords_go_to_verified_servers_only(sides):
    for side in (sides[1], sides[3]):
        asked = [name for name, sink in zip(SCENES, side.sinks) if any(c.startswith("AUTH") for c in sink.commands)]
        assert asked == ["login", "lmtplogin"]


def test_a_client_certificate_with_an_elliptic_curve_is_shown(sides):
    log = sides[0].log()
    sent = [name for name in SCENES if "asks" in SCENES[name][3] and "status=sent" in end_of(log, name)]
    assert sent == ["ec", "eclmtp", "ecjail", "ecpolicy", "ecbeside"]


def ciphers_of(sides, wanted):
    """whom each server shows itself as, to a client that has only these"""
    shown = []
    for port in (sides[0].port("smtp"), sides[2].port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(wanted)
        client = smtplib.SMTP("127.0.0.1", port)
        client.starttls(context=context)
        shown.append((client.sock.cipher(), client.sock.getpeercert(binary_form=True)))
        client.close()
    return shown


@pytest.mark.parametrize("kind", ["ECDSA", "aRSA"])
def test_the_server_shows_the_certificate_that_the_client_can_use(sides, kind):
    mine, theirs = ciphers_of(sides, kind)
    assert mine == theirs


def test_the_server_always_shows_a_certificate(sides):
    """Postfix has ciphers without one, which every scanner reports; nobody needs them of a server that has a certificate"""
    with pytest.raises(ssl.SSLError):
        ciphers_of(sides, ANONYMOUS + ":@SECLEVEL=0")
