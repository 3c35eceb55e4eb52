"""postlogd, and how many datagrams its socket has room for."""
import os, shutil, subprocess, sys

import pytest

from pombal import IS_ROOT

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.skipif(not IS_ROOT or not all(shutil.which(name) for name in ("unshare", "ip")), reason="makes a network")
def test_the_kernel_s_setting_counts_for_sockets_that_are_made_later():
    """postlogd slept until its old socket, which had room for ten, had long been full, and senders waited"""
    r = subprocess.run(["unshare", "--net", sys.executable, HERE + "/log_room_world.py"], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stdout + r.stderr
    assert float(r.stdout) < 0.45, r.stdout
