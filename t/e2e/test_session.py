"""The process of a user: it stays for the next connection, and does not stay in a directory that is gone."""
import os, shutil

import pombal


def sessions(suite):
    """pids of processes that serve a user"""
    out = []
    for pid in suite.pids("imap"):
        if os.stat("/proc/%d" % pid).st_uid or not pombal.IS_ROOT:
            out.append(pid)
    return out


def test_the_next_login_finds_the_same_process(suite):
    suite.imap("alice").logout()
    first = sessions(suite)
    suite.imap("alice").logout()
    assert sessions(suite) == first


def test_two_connections_of_a_user_share_a_process_and_see_each_other(suite):
    one, two = suite.imap("bob"), suite.imap("bob")
    one.select("INBOX")
    two.select("INBOX")
    two.append("INBOX", None, None, b"Subject: between us\r\n\r\nx\r\n")
    one.noop()
    assert one.response("EXISTS")[1] != [None]
    one.logout()
    two.logout()


def test_a_mail_directory_that_was_replaced_is_served_by_a_new_process(suite):
    imap = suite.imap("alice")
    imap.select("INBOX")
    imap.logout()
    owner = os.stat(suite.maildir("alice"))
    shutil.rmtree(suite.maildir("alice"))
    again = suite.imap("alice")  # makes it anew
    assert again.append("INBOX", None, None, b"Subject: fresh start\r\n\r\nx\r\n")[0] == "OK"
    again.logout()
    assert [m["Subject"] for m in suite.messages("alice")] == ["fresh start"]
    assert os.stat(suite.maildir("alice")).st_uid == owner.st_uid
