"""The manual pages that tools/mkman.py makes: complete, and true where that can be tried."""
import os, re, subprocess, sys

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


def test_each_restriction_is_named_where_it_can_be_used(pages):
    known = re.findall(r'^ +{"(\w+)", RESTRICTION', open(pombal.TOP + "/lib/conf/restrictions.c").read(), flags=re.M)
    old = {"reject_invalid_hostname", "reject_non_fqdn_hostname", "reject_unknown_client", "reject_unknown_hostname"}
    lists = " ".join(text for name, text in parameters(pages["postconf.5"]).items() if name.endswith("_restrictions"))
    assert known and not [r for r in known if r not in old and not re.search(r"\b%s\b" % r, lists)]


def test_parameters_that_are_named_exist(pages):
    """Words of a help text that look like parameters are parameters, restrictions or the like."""
    explained = parameters(pages["postconf.5"])
    known = set(postconf("-dH").split()) | set(explained)
    for name, text in explained.items():
        for word in re.findall(r"\b(?:smtpd?|lmtp|virtual|mail|mailbox|maillog|login|auth|qmgr)_[a-z_]+[a-z]\b", text):
            assert word in known, (name, word)
