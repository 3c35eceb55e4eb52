"""pipe(8): the same master.cf and the same mail; what the command gets, arguments and message, is Postfix's."""
import os, re, shutil, tempfile

import pytest

import pombal
from real_postfix import HAVE, RealPostfix

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Debian's Postfix, and root to run it")

SHOW = '#!/bin/sh\nto=$1; shift\n{ for a; do printf "[%s]\\n" "$a"; done; pwd; cat; } > $to.tmp && mv $to.tmp $to\n'
MACROS = "${sender} ${recipient} ${original_recipient} ${user} ${extension} ${mailbox} ${domain} ${nexthop}"
# name: (attributes, sender, recipient)
SERVICES = {
    "fold": ("flags=DRhu", "VERP=Us.Er+X=Far.Test@List.Test", "Us.Er+Ext@Fold.test"),
    "quoted": ("flags=Rqhu", "A b@X.Test", '"Q u+E"@Quoted.test'),
    "null": ("flags=DRhu", "<>", "n@null.test"),
    "empty": ("null_sender= flags=FR", "<>", "n@empty.test"),
    "other": ("null_sender=Nobody@X flags=FRuh", "<>", "n@other.test"),
    "all": ("flags=DORX.> eol=\\r\\n", "S@X.Test", "r@all.test"),
    "spaces": ("", "two words@x.test", '"a b c"@spaces.test'),
    "directory": ("directory=/tmp flags=B", "s@x.test", "r@directory.test"),
}
MESSAGE = "From: f@x.test\nDelivered-To: other@x.test\nMessage-Id: <1@x>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nFrom here\n.\n..dots\nend"
MAIN = "myhostname = mx.test\nmyorigin = mx.test\nmydestination =\nrecipient_delimiter = +\nrelay_domains =\nalias_maps =\n" + \
    "".join("%s_destination_recipient_limit = 1\n" % name for name in SERVICES) + \
    "transport_maps = inline:{ %s }\n" % " ".join("{ %s.test = %s:HopTo }" % (name, name) for name in SERVICES)


def services(out):
    return "".join("%s unix - n n - - pipe\n    %s user=games argv=%s/show %s/%s %s\n" % (name, s[0], out, out, name, MACROS)
                   for name, s in SERVICES.items())


def place(base, name):
    out = base + "/" + name
    os.mkdir(out)
    os.chmod(out, 0o1777)
    with open(out + "/show", "w") as f:
        f.write(SHOW)
    os.chmod(out + "/show", 0o755)
    return out


def received(run, out):
    for _, sender, recipient in SERVICES.values():
        run("sendmail", "-i", "-f", sender, recipient, input=MESSAGE)
    pombal.wait_for(lambda: all(os.path.exists("%s/%s" % (out, name)) for name in SERVICES))
    found = {}
    for name in SERVICES:
        with open("%s/%s" % (out, name), newline="") as f:
            text = f.read()
        text = re.sub(r"^Received:.*\n(?:[ \t].*\n)*", "Received\n", text, flags=re.M)
        text = re.sub(r"^From (\S+)  .*", r"From \1  DATE", text, flags=re.M)
        found[name] = re.sub(r"^/tmp/pombal-\S+/queue$", "QUEUE", text, flags=re.M)
    return found


@pytest.fixture(scope="module")
def both():
    base = tempfile.mkdtemp(prefix="pipe-compat-", dir="/tmp")
    os.chmod(base, 0o755)
    theirs, mine = place(base, "theirs"), place(base, "ours")
    ours = pombal.Instance(main=MAIN, master=services(mine))
    try:
        got = received(ours.tool, mine)
        with RealPostfix(MAIN, master=lambda where: services(theirs)) as real:
            real.start()
            yield got, received(real.run, theirs)
    finally:
        ours.close()
        shutil.rmtree(base, ignore_errors=True)


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_gets_the_same(both, name):
    mine, theirs = both
    assert mine[name] == theirs[name]
