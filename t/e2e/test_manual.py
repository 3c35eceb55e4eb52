"""The manual pages that tools/mkman.py makes: complete, and true where that can be tried."""
import glob, os, re, subprocess, sys

import pytest

import pombal

MKMAN = pombal.TOP + "/tools/mkman.py"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    to = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, MKMAN, str(to)], check=True, capture_output=True, timeout=60)
    return {name: (to / name).read_text() for name in os.listdir(to)}


def parameters(page):
    """name to help, as a reader has them"""
    text = page.split(".SH PARAMETERS\n")[1].split('.SH "PARAMETERS WITHOUT')[0].replace("\\-", "-").replace("\\e", "\\")
    entries = re.split(r"^\.TP\n\\fB(\w+)\\fR.*\n", text, flags=re.M)[1:]
    return dict(zip(entries[::2], entries[1::2]))


def postconf(*args):
    return subprocess.run([pombal.BIN + "/postconf", *args], capture_output=True, text=True, check=True).stdout


def test_postconf_5_explains_every_parameter_in_sentences(pages):
    explained = parameters(pages["postconf.5"])
    declared = open(pombal.TOP + "/lib/conf/params.def").read()
    names = [n.lstrip("_") for n in re.findall(r"^P\(\w+, (\w+),", declared, flags=re.M)]
    assert sorted(explained) == sorted(names)
    short = [n for n, text in explained.items() if len(text.split(".br")[0].split()) < 5]
    assert not short
    assert not [n for n, text in explained.items() if text.split("\n.br")[0].rstrip()[-1] != "."]


def restrictions():
    """The names in the tables of smtpd's files."""
    found = []
    for path in glob.glob(pombal.TOP + "/smtpd/smtpd_*.c"):
        for table in re.findall(r"struct restriction_def \w+\[\] = {\n(.*?)\n};", open(path).read(), flags=re.S):
            found += re.findall(r'^ +{"(\w+)"', table, flags=re.M)
    assert len(found) > 40
    return found


def test_each_restriction_is_named_where_it_can_be_used(pages):
    known = restrictions()
    old = {"permit_naked_ip_address", "reject_unknown_address", "reject_invalid_hostname", "reject_non_fqdn_hostname", "reject_unknown_client", "reject_unknown_hostname"}
    lists = " ".join(text for name, text in parameters(pages["postconf.5"]).items() if name.endswith("_restrictions"))
    assert known and not [r for r in known if r not in old and not re.search(r"\b%s\b" % r, lists)]


def test_parameters_that_are_named_exist(pages):
    """Words of a help text that look like parameters are parameters, restrictions or the like."""
    explained = parameters(pages["postconf.5"])
    known = set(postconf("-dH").split()) | set(explained)
    for name, text in explained.items():
        for word in re.findall(r"\b(?:smtpd?|lmtp|virtual|mail|mailbox|maillog|login|auth|qmgr)_[a-z_]+[a-z]\b", text):
            assert word in known, (name, word)


# ---- the pages of doc/man5: their examples are tried

PAGES = sorted(os.listdir(pombal.TOP + "/doc/man5"))


def blocks(page):
    """(kind, argument, text) of each example"""
    text = open(pombal.TOP + "/doc/man5/" + page).read()
    return [(kind, rest.strip(), body) for kind, rest, body in re.findall(r"(?ms)^```(\S*)(.*?)\n(.*?)^```$", text)]


def environment(tmp_path):
    """a configuration with nothing in it but defaults, and our programs first in the path"""
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "etc/main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "etc/master.cf").write_text("")
    return dict(os.environ, MAIL_CONFIG=str(tmp_path / "etc"), PATH=pombal.BIN + ":" + os.environ["PATH"])


@pytest.mark.parametrize("page", PAGES)
def test_commands_answer_as_the_page_shows(page, tmp_path):
    env = environment(tmp_path)
    for kind, argument, body in blocks(page):
        if kind == "file":
            (tmp_path / argument).write_text(body)
        if kind == "console":
            for command, expected in re.findall(r"(?m)^\$ (.*)\n((?:(?!\$ ).*\n)*)", body):
                r = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
                assert (r.returncode, r.stdout, r.stderr) == (0, expected, ""), command


@pytest.mark.parametrize("page", PAGES)
def test_settings_of_the_page_are_understood(page, tmp_path):
    env = environment(tmp_path)
    run = lambda *a: subprocess.run([pombal.BIN + "/postconf", *a], env=env, capture_output=True, text=True, timeout=60)
    for kind, _, body in blocks(page):
        if kind == "main.cf":
            (tmp_path / "etc/main.cf").write_text("compatibility_level = 3.6\n" + body)
            r = run("-n")
            assert r.returncode == 0 and r.stderr == "" and len(r.stdout.split("\n")) > 2
        if kind == "master.cf":
            (tmp_path / "etc/master.cf").write_text(body)
            r = run("-M")
            services = [line for line in body.split("\n") if line and not line.startswith(" ")]
            assert r.returncode == 0 and r.stderr == ""
            assert len([line for line in r.stdout.split("\n") if line and not line.startswith(" ")]) == len(services)


@pytest.mark.parametrize("page", PAGES)
def test_parameters_that_the_page_names_exist(page):
    text = open(pombal.TOP + "/doc/man5/" + page).read()
    known = set(postconf("-dH").split())
    others = set(restrictions()) | {"pcre_table", "smtpd_access_maps", "allow_nets", "default_action"}
    words = re.findall(r"\b(?:smtpd|virtual|auth|bounce|mail|local|relay|default|first|last|pcre|body|access_map|allow|alias|canonical)_[a-z_]+[a-z]\b", text)
    units = re.compile(r"_(seconds|minutes|hours|days|weeks)$")
    assert not [w for w in words if units.sub("", w) not in known | others and "relay_" + w not in known]


def test_every_restriction_and_action_has_its_place(pages):
    pages = {name: text.replace("\\fB", "") for name, text in pages.items()}
    known = restrictions()
    assert known and not [r for r in known if not re.search(r"\b%s\b" % r, pages["restrictions.5"])]
    for page, source in (("access.5", "smtpd/smtpd_access.c"), ("header_checks.5", "qmgr/cleanup_checks.c")):
        actions = re.findall(r'{"([A-Z_]+)", act_', open(pombal.TOP + "/" + source).read())
        assert actions and not [a for a in actions if not re.search(r"\b%s\b" % a, pages[page])]


def test_pages_that_are_referred_to_exist(pages):
    text = "".join(pages.values()).replace("\\-", "-")
    ours = {n.rpartition(".")[0] for n in pages} | {"postfix", "mailq", "newaliases", "lmtp"}
    system = {"crypt", "mv", "passwd", "sd_notify", "doveadm-sync", "syslog", "execve", "sysexits", "procmail", "vacation"}
    named = set(re.findall(r"\b([a-z][a-z_-]+)\([158]\)", text))
    assert not sorted(named - ours - system)
