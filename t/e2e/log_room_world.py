"""For test_log_room.py, in a network of its own: prints which part of its time a sender of lines to postlogd waits for room; when the
kernel's setting has been changed, and when a user logs at the same time, to the other socket.
"""
import socket, subprocess, threading, time

from agents import MiniSuite
from pombal import PATIENCE, wait_for

LINES, WORK = 3000, 0.0002


def put_setting(n):
    with open("/proc/sys/net/unix/max_dgram_qlen", "w") as f:
        f.write("%d" % n)


def without_cpu(s):
    """seconds in which postlogd could have run, but others did"""
    return int(open("/proc/%d/schedstat" % s.pids("postlogd")[0]).read().split()[1]) / 1e9


def waiting(s):
    begin, waited, without_cpu_before = time.monotonic(), 0, without_cpu(s)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.connect(s.queue + "/private/postlog")
        for _ in range(LINES):
            now = time.monotonic()
            to.send(b"<22>0 1 test: line")
            sent = time.monotonic()
            waited += sent - now
            while time.monotonic() < sent + WORK:
                pass
    return (waited + without_cpu_before - without_cpu(s)) / (time.monotonic() - begin)


def send_slowly(s, end):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.connect(s.queue + "/public/postlog")
        while not end.wait(20 * WORK):
            to.send(b"<22>0 1 test: line of a user")


def waiting_beside_a_user(s):
    end = threading.Event()
    user = threading.Thread(target=send_slowly, args=(s, end))
    user.start()
    try:
        return waiting(s)
    finally:
        end.set()
        user.join()


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    put_setting(10)
    with MiniSuite() as s:
        before = s.pids("postlogd")
        put_setting(512)
        s.reload()
        wait_for(lambda: s.pids("postlogd") not in ([], before), PATIENCE)
        print(waiting(s), waiting_beside_a_user(s))
