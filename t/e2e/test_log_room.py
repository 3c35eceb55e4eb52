"""postlogd, and how many datagrams its socket has room for."""
import os, shutil, subprocess, sys

import pytest

from pombal import IS_ROOT

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.skipif(not IS_ROOT or not all(shutil.which(name) for name in ("unshare", "ip")), reason="makes a network")
def test_senders_of_lines_do_not_wait_for_postlogd():
    """it slept until their socket, which had room for ten, had long been full: when the kernel's setting had been changed after that
    was made, and when a user who logged a line each 4 ms kept it busy with the other one
    """
    r = subprocess.run(["unshare", "--net", sys.executable, HERE + "/log_room_world.py"], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stdout + r.stderr
    assert all(float(waiting) < 0.4 for waiting in r.stdout.split()), r.stdout
