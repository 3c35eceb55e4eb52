"""The log by syslog: its daemon comes late, and is restarted."""
import json, os, re, subprocess, sys

import pytest

import pombal

HERE = os.path.dirname(os.path.abspath(__file__))
pytestmark = pytest.mark.skipif(not pombal.IS_ROOT, reason="needs root, for a /dev of its own")


@pytest.fixture(scope="module")
def world():
    r = subprocess.run(["unshare", "--mount", sys.executable, HERE + "/syslog_world.py"], capture_output=True, text=True, timeout=170)
    assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
    return json.loads(r.stdout.splitlines()[-1])


def test_every_process_goes_on_with_the_new_daemon(world):
    """in its jail, most of them with another root directory, and without being restarted"""
    lines = "\n".join(world["lines"][1])
    assert world["before"] == world["after"]
    for name in ("smtpd", "cleanup", "qmgr", "virtual"):
        said = {int(pid) for pid in re.findall(r"postfix/%s\[(\d+)\]: " % name, lines)}
        assert said and said <= set(world["before"][name]), name


def test_lost_lines_are_counted_and_told(world):
    told = [re.search(r"warning: (\d+) lines of the log were dropped", line) for line in world["lines"][1]]
    assert sum(int(m.group(1)) for m in told if m) >= 4


def test_lines_have_the_facility_of_main_cf(world):
    levels = {line[:line.index(">") + 1] for lines in world["lines"] for line in lines}
    assert levels <= {"<158>", "<156>", "<155>"} and "<158>" in levels, levels  # local3: info, warning, error
