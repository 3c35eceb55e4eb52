"""From which address of this host mail goes out, beside Postfix: inet_interfaces, smtp_bind_address."""
import json, os, shutil, subprocess, sys

import pytest

from real_postfix import HAVE

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = all(shutil.which(name) for name in ("unshare", "ip"))
pytestmark = pytest.mark.skipif(not HAVE or not TOOLS, reason="needs root, Debian's postfix and iproute2")


def test_the_only_address_of_inet_interfaces_is_used_for_sending_too():
    r = subprocess.run(["unshare", "--net", sys.executable, HERE + "/source_world.py"], capture_output=True, text=True, timeout=280)
    assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
    answers = json.loads(r.stdout.splitlines()[-1])
    wrong = ["%s\n   ours   %s\n   theirs %s" % tuple(a) for a in answers if a[1] != a[2]]
    assert not wrong, "\n".join([""] + wrong)
    assert answers[0][1] == "10.1.0.2"
