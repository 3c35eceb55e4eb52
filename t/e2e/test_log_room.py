"""postlogd, how many datagrams its socket has room for, and what it still reads when it ends."""
import os, re, shutil, signal, socket, subprocess, sys

import pytest

from agents import MiniSuite
from pombal import BIN, IS_ROOT, PATIENCE, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.skipif(not IS_ROOT or not all(shutil.which(name) for name in ("unshare", "ip")), reason="makes a network")
def test_senders_of_lines_do_not_wait_for_postlogd():
    """it slept until their socket, which had room for ten, had long been full: when the kernel's setting had been changed after that
    was made, and when a user who logged a line each 4 ms kept it busy with the other one
    """
    r = subprocess.run(["unshare", "--net", sys.executable, HERE + "/log_room_world.py"], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stdout + r.stderr
    assert all(float(waiting) < 0.4 for waiting in r.stdout.split()), r.stdout


def is_told_to_end(pid):
    """SIGTERM is pending, or it has gone"""
    try:
        return int(re.search(r"ShdPnd:\s*(\w+)", open("/proc/%d/status" % pid).read()).group(1), 16) >> (signal.SIGTERM - 1) & 1
    except (OSError, AttributeError):
        return True


def test_what_came_before_a_stop_is_written():
    """master took postlogd for a process whose parent had ended, and killed it"""
    with MiniSuite() as s:
        s.send("a@far.test")
        postlogd, = s.pids("postlogd")
        os.kill(postlogd, signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.connect(s.queue + "/public/postlog")
            to.send(b"test[%d]: last word" % os.getpid())
        stop = subprocess.Popen([BIN + "/pombal", "-c", s.etc, "stop"])
        wait_for(lambda: is_told_to_end(postlogd), PATIENCE)
        if os.path.exists("/proc/%d" % postlogd):
            os.kill(postlogd, signal.SIGCONT)
        assert stop.wait(PATIENCE) == 0
        assert "last word" in s.log()
