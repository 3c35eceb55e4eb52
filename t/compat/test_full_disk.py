"""A queue without room, beside Postfix: the same replies at MAIL, and room that is left for reports and local mail."""
import os, re, subprocess

import pytest

import pombal
from real_postfix import HAVE, RECEIVING, RECEIVING_AGENTS, RealPostfix, started

pytestmark = pytest.mark.skipif(not HAVE, reason="needs Postfix, and root to run it")

MAIN = RECEIVING + "local_recipient_maps =\nmynetworks = 127.0.0.0/8\nmessage_size_limit = 4000000\nsmtpd_tls_security_level = none\n"
# options of a service; bytes that are free; is MAIL taken?
CASES = {
    "room": ([], 7_000_000, True),
    "less_than_half_again": ([], 5_000_000, False),
    "small_messages": (["message_size_limit=3000000"], 5_000_000, True),
    "any_size": (["message_size_limit=0"], 100_000, True),
    "minfree": (["queue_minfree=8000000"], 7_000_000, False),
}
NAMES = sorted(CASES)


def service_lines(ports):
    for name in NAMES:
        yield "127.0.0.1:%d inet n - n - - smtpd\n" % ports[name] + "".join("  -o %s\n" % o for o in CASES[name][0])


def free_ports():
    return {name: pombal.free_port() for name in NAMES}


def mount(where):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "none", where], check=True)


@pytest.fixture(scope="module")
def both():
    """(suite, ports, queue) of each; the queue is a small disk"""
    real = ours = None
    mounted = []
    try:
        ours, ours_ports = pombal.Instance(main=MAIN, start=False), free_ports()
        kept = pombal.archive(ours.queue)
        mount(ours.queue), mounted.append(ours.queue)
        pombal.unpack(ours.queue, kept)
        with open(ours.etc + "/master.cf", "a") as f:
            f.write("".join(service_lines(ours_ports)))
        ours.start()

        def make(ports):
            made = RealPostfix(MAIN, agents=RECEIVING_AGENTS, master=lambda where: service_lines(ports))
            mount(made.queue), mounted.append(made.queue)
            return made
        real, ports = started(make, free_ports)
        yield [(ours, ours_ports, ours.queue), (real, ports, real.queue)]
    finally:
        for suite in (real, ours):
            if suite:
                suite.stop()
        for where in mounted:
            subprocess.run(["umount", where], check=True)
        for suite in (real, ours):
            if suite:
                suite.close()


def leave_free(queue, size):
    """a file that takes the rest"""
    fs = os.statvfs(queue)
    with open(queue + "/filler", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, fs.f_bavail * fs.f_frsize - size)


def at_mail(suite, ports, queue, name):
    leave_free(queue, CASES[name][1])
    try:
        raw = pombal.Raw(ports[name])
        raw.reply()
        raw.ask("EHLO client.test")
        start = len(suite.log())
        said = raw.ask("MAIL FROM:<s@x.test>")
        raw.close()
        if said[0] == "4":
            pombal.wait_for(lambda: "disconnect from" in suite.log()[start:])
        log = suite.log()[start:]
        return said, re.findall(r"smtpd\[\d+\]: (NOQUEUE: .*)", log), "warning: not enough free space in mail queue: " in log
    finally:
        os.unlink(queue + "/filler")


@pytest.mark.parametrize("name", NAMES)
def test_room_for_half_a_message_more_than_the_largest(both, name):
    ours, theirs = [at_mail(*side, name) for side in both]
    assert ours == theirs
    assert ours[0][:3] == ("250" if CASES[name][2] else "452")
