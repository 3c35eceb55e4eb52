"""Rewriting and resolving: the same answers as Postfix's trivial-rewrite, asked by its own protocol.

Postfix's daemon is run alone (-S), once for each question, on a private configuration."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

TRIVIAL = "/usr/lib/postfix/sbin/trivial-rewrite"
BUILD = os.environ.get("POMBAL_BUILD", os.path.join(os.path.dirname(__file__), "../../build/dev"))
pytestmark = pytest.mark.skipif(
    not os.path.exists(TRIVIAL) or os.geteuid() != 0, reason="needs Postfix, and root to run it"
)

BASE = """
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
myhostname = mail.example.com
mydomain = example.com
mydestination = $myhostname, localhost.$mydomain, localhost, local.test, btree.test
inet_interfaces = 127.0.0.1
relay_domains = relay.test
virtual_alias_domains = va.test
virtual_alias_maps = inline:{{a@va.test=alice@local.test}}
virtual_mailbox_domains = vm.test
virtual_mailbox_maps = inline:{{u@vm.test=u/}}
recipient_delimiter = +
"""
VARIANTS = {
    "plain": "",
    "relayhost": "relayhost = [relay.host]:25\n",
    "transports": "transport_maps = inline:{{sub.example.org = smtp:[x]},{.dot.org = :[y]},"
    "{u@t.org = error:5.7.1 no},{t.org = slow},{e.org=error},{r.org=retry:later},{vm.test=lmtp:unix:x},"
    "{n.org=:},{* = star:},{mail.example.com=x:y},{va.test=smtp:z},{u@ext.org=extm:}}\n"
    "relayhost = rh\n",
    "parents": "transport_maps = inline:{{dot.org = p},{.dd.org=q}}\n"
    "parent_domain_matches_subdomains = transport_maps, relay_domains\n",
    "dots": "relay_domains = .relay.test\nparent_domain_matches_subdomains =\nmyorigin = origin.test\n",
    "sender": "sender_dependent_relayhost_maps = inline:{{s@x.y=[srh]},{@z.y=[zrh]},{<>=nullrh},{d@x.y=DUNNO}}\n"
    "sender_dependent_default_transport_maps = inline:{{s@x.y=sdt:hop},{<>=nt},{d@x.y=dunno}}\n"
    "relayhost = [rh]\n",
    "nohack": "allow_percent_hack = no\nswap_bangpath = no\nresolve_dequoted_address = no\n",
    "noorigin": "append_at_myorigin = no\nappend_dot_mydomain = yes\nremote_header_rewrite_domain = remote.inv\n",
    "numeric": "resolve_numeric_domain = yes\nresolve_null_domain = yes\nallow_min_user = yes\n"
    "append_dot_mydomain = yes\nempty_address_recipient = nobody\n",
    "moved": "relocated_maps = inline:{{gone@local.test=new@x.y},{@old.org=no more},{gone2=away}}\n"
    "default_transport = smtp:[d]\nlocal_transport = lmtp:unix:/x\nvirtual_transport = virtual:v\n",
    "patterns": "transport_maps = regexp:{{/^(.*)@bar$$/ slow:$$1},{/^(.*)@relay.test$$/ fixed:x}}\n"
    "relocated_maps = regexp:{{/^(gone.*)@local.test$$/ to $$1}}\n",
    "sender_patterns": "sender_dependent_relayhost_maps = regexp:{{/^(.*)@x.y$$/ [$$1]},{/^(.*)@z.y$$/ [zrh]}}\n"
    "sender_dependent_default_transport_maps = regexp:{{/^(.*)@q.r$$/ slow:$$1},{/^(.*)@x.y$$/ slow:x}}\n",
    "broken": "relay_domains = fail:x\n",
    "broken2": "transport_maps = fail:x\n",
}
ADDRESSES = """
foo foo@bar foo@bar. foo@bar.. foo@ @ @bar foo@. user%host user%a%b a!b a!b!c a!b@c a%b@c
a%b@local.test a!b@local.test a!b%c@local.test a@b@local.test a@b@c a%b%local.test@local.test
foo@localhost foo@localhost. foo@localhost.example.com foo@LOCAL.TEST FOO@mail.example.com
foo@[127.0.0.1] foo@[127.0.0.2] foo@[IPv6:::1] foo@[1.2.3 foo@[1.2.3.4] foo@[bad] foo@1.2.3.4 foo@127.0.0.1
foo@relay.test foo@sub.relay.test foo@va.test a@va.test foo@vm.test u+x@vm.test foo@sub.vm.test
foo@example.org foo@sub.example.org foo@a.dot.org foo@dot.org foo@a.b.dot.org u@t.org v@t.org e@e.org r@r.org
n@n.org x@a.dd.org x@dd.org u+e@ext.org gone@local.test gone+x@local.test gone2@mail.example.com any@old.org
-foo@bar -foo@local.test foo@-bar foo@bar- foo@b_r foo@b*r foo@b..r foo@.b "@a:b@c" @a,@b:foo@local.test
foo%bar@ foo%local.test foo%localhost@localhost %foo !foo foo! foo% % ! foo!@local.test foo%@local.test
@local.test @localhost %@local.test !@local.test foo+bar@local.test +@local.test foo@local.test@local.test
a!local.test!foo local.test!foo local.test!a!foo@local.test foo@123 foo@123.45 foo@xn--a.b MAILER-DAEMON
foo@a.example.com foo@example.com root postmaster@local.test foo@UPPER.Relay.TEST
""".split()
# What a path or header parser has taken care of before, in this suite, and broken literals.
NOT_COMPARED = {"@", "foo@[1.2.3", '"@a:b@c"', "@a,@b:foo@local.test"}
ADDRESSES = [a for a in ADDRESSES if a not in NOT_COMPARED]
SENDERS = ["<>", "s@x.y", "s+e@x.y", "q@z.y", "d@x.y", "other@q.r"]


def wire(conf, **attrs):
    """One question to Postfix's daemon: attributes, each with a zero byte."""
    ours, theirs = socket.socketpair()
    proc = subprocess.Popen(
        [TRIVIAL, "-S"], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
        env={"MAIL_CONFIG": conf, "PATH": "/usr/bin:/bin"},
    )
    theirs.close()
    ours.settimeout(20)
    ours.sendall(b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in attrs.items()) + b"\0")
    data = b""
    while not data.endswith(b"\0\0"):
        more = ours.recv(65536)
        if not more:
            break
        data += more
    ours.close()
    proc.wait()
    words = data.decode().split("\0")
    return dict(zip(words[0:-2:2], words[1:-2:2]))


def postfix_rewrite(conf, context, address):
    return wire(conf, request="rewrite", rule=context, address=address)["address"]


def postfix_resolve(conf, sender, address):
    a = wire(conf, request="resolve", sender="" if sender == "<>" else sender, address=address)
    flags = int(a["flags"])
    if flags & 8:
        return "fail"
    if flags & 4:
        return "error"
    kind = {256: "local", 512: "alias", 1024: "virtual", 2048: "relay", 4096: "default"}[flags & 0x1F00]
    return "%s|%s|%s|%s%s" % (a["transport"], a["nexthop"], a["recipient"], kind, " routed" if flags & 2 else "")


def ours(conf, questions):
    text = "".join(q + "\n" for q in questions)
    out = subprocess.run([BUILD + "/unit/route_ask", "-c", conf], input=text, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    lines = out.stdout.splitlines()
    assert len(lines) == len(questions)
    return ["error" if line.endswith(" error") else line for line in lines]


@pytest.fixture
def configured(request):
    tmp_path = pathlib.Path(tempfile.mkdtemp(prefix="route-compat-", dir="/tmp"))
    os.chmod(tmp_path, 0o755)  # Postfix's own user must get there
    conf = tmp_path / "etc"
    for d in (conf, tmp_path / "spool/private", tmp_path / "spool/pid", tmp_path / "data"):
        d.mkdir(parents=True)
    (conf / "main.cf").write_text(BASE.format(dir=tmp_path) + VARIANTS[request.param])
    (conf / "master.cf").write_text("")
    yield str(conf)
    shutil.rmtree(tmp_path, ignore_errors=True)


def differences(questions, mine, theirs):
    return "\n".join("%s: ours %r, Postfix %r" % d for d in zip(questions, mine, theirs) if d[1] != d[2])


@pytest.mark.parametrize("configured", ["plain", "dots", "nohack", "noorigin"], indirect=True)
@pytest.mark.parametrize("context", ["local", "remote"])
def test_addresses_are_rewritten_as_postfix_does(configured, context):
    questions = ["rewrite %s %s" % (context, a) for a in ADDRESSES]
    theirs = [postfix_rewrite(configured, context, a) for a in ADDRESSES]
    assert differences(questions, ours(configured, questions), theirs) == ""


@pytest.mark.parametrize("configured", ["plain"], indirect=True)
@pytest.mark.parametrize("text", ["mail.example.org\n", "mail.example.org", "mail.example.org\nother.example.org\n"])
def test_myorigin_is_the_first_line_of_a_file_as_in_debians_postfix(configured, text):
    with open(configured + "/mailname", "w") as f:
        f.write(text)
    with open(configured + "/main.cf", "a") as f:
        f.write("myorigin = %s/mailname\n" % configured)
    addresses = ["user", "user@", "user@example.com", '"a b"']
    theirs = [postfix_rewrite(configured, "local", a) for a in addresses]
    assert theirs[0] == "user@mail.example.org"
    questions = ["rewrite local " + a for a in addresses]
    assert differences(questions, ours(configured, questions), theirs) == ""


@pytest.mark.parametrize("configured", [v for v in VARIANTS if not v.startswith("sender")], indirect=True)
def test_addresses_are_resolved_as_postfix_does(configured):
    questions = ["resolve <> %s" % a for a in ADDRESSES]
    theirs = [postfix_resolve(configured, "<>", a) for a in ADDRESSES]
    assert differences(questions, ours(configured, questions), theirs) == ""


@pytest.mark.parametrize("configured", ["sender", "sender_patterns"], indirect=True)
def test_the_sender_chooses_as_in_postfix(configured):
    questions = ["resolve %s %s" % (s, a) for s in SENDERS for a in ("foo@bar.org", "x@relay.test", "x@local.test")]
    theirs = [postfix_resolve(configured, *q.split()[1:]) for q in questions]
    assert differences(questions, ours(configured, questions), theirs) == ""
