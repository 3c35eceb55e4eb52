"""What processes found at their start and cannot see by its name any more (a chroot, Landlock): directories that are replaced,
links that are pointed elsewhere. Each is noticed, and nothing is lost or refused meanwhile."""
import os, re, smtplib, socket, ssl, subprocess

import pytest

from pombal import IS_ROOT, Raw, wait_for


def replace(path):
    """the same contents in another directory, as after a deployment or a restored backup"""
    subprocess.run(["cp", "-a", path, path + ".new"], check=True)
    os.rename(path, path + ".old")
    os.rename(path + ".new", path)


def test_virtual_mailbox_base_is_replaced(make_suite):
    suite = make_suite()
    suite.send("alice", subject="before")
    suite.wait_mail("alice", match="^before")
    replace(suite.dir + "/mail")
    for subject in ("one", "two"):
        suite.send("alice", subject=subject)
        suite.wait_mail("alice", match="^" + subject)
    assert "status=deferred" not in suite.log()
    assert re.search(r"virtual\[\d+\]: \S+/mail has changed -- restarting", suite.log())


@pytest.mark.skipif(not IS_ROOT, reason="mounts a file system")
def test_virtual_mailbox_base_is_mounted_later(make_suite):
    suite = make_suite()
    base = suite.dir + "/mail"
    suite.send("alice", subject="before")
    suite.wait_mail("alice", match="^before")
    subprocess.run(["cp", "-a", base, base + ".copy"], check=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", base]).returncode != 0:
        pytest.skip("no mounts here")
    try:
        subprocess.run(["cp", "-a", base + ".copy/.", base], check=True)
        suite.send("alice", subject="after")
        suite.wait_mail("alice", match="^after")
        suite.stop()
    finally:
        subprocess.run(["umount", "-l", base], check=True)
    assert "status=deferred" not in suite.log()
