"""kill -9 of random daemons under load: every acknowledged message is found where it belongs, at least once."""
import os, random, re, signal, smtplib, threading, time

import pytest

import pombal

SLOW = bool(os.environ.get("POMBAL_SLOW"))
FAST_QUEUE = """queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
service_throttle_time = 1s
maximal_queue_lifetime = 1h
"""


class Load(threading.Thread):
    """sends numbered messages until told to stop; remembers those that were answered with 250"""

    def __init__(self, suite, name, users):
        super().__init__(daemon=True)
        self.suite, self.tag, self.users = suite, name, users
        self.acknowledged, self.tries, self.halt = [], 0, threading.Event()

    def run(self):
        while not self.halt.is_set():
            try:
                with smtplib.SMTP("127.0.0.1", self.suite.port("smtp"), timeout=20) as s:
                    for _ in range(20):
                        if self.halt.is_set():
                            break
                        self.one(s)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)  # the daemon was killed: as a client would, try again

    def one(self, s):
        user, mark = random.choice(self.users), "%s-%d" % (self.tag, self.tries)
        self.tries += 1
        body = "Subject: mark %s\r\n\r\n%s\r\n" % (mark, "payload " * random.choice([1, 10, 1000]))
        s.sendmail("tester@elsewhere.test", ["%s@%s" % (user, self.suite.domain)], body)
        self.acknowledged.append((user, mark))


def marks(suite, user):
    return re.findall(r"mark (\S+)", " ".join(m["Subject"] or "" for m in suite.messages(user)))


def check_all_arrived(suite, loads):
    sent = [a for load in loads for a in load.acknowledged]
    assert len(sent) > 20
    suite.wait_queue_empty(120)
    for user in ("alice", "bob"):
        have = marks(suite, user)
        lost = {mark for who, mark in sent if who in (user, "team")} - set(have)
        assert not lost, "%d of %d acknowledged messages are missing for %s: %s" % (len(lost), len(sent), user, sorted(lost)[:5])
        print("%s: %d acknowledged, %d copies" % (user, len(sent), len(have)))


def check_mailboxes_are_sound(suite):
    """after it all, IMAP shows each file once, with a UID of its own"""
    for user in ("alice", "bob"):
        imap = suite.imap(user)
        count = int(imap.select("INBOX")[1][0])
        assert count == len(suite.messages(user))
        uids = imap.uid("SEARCH", None, "ALL")[1][0].split()
        assert len(set(uids)) == count
        imap.logout()


@pytest.mark.timeout(1500 if SLOW else 300)
def test_no_acknowledged_message_is_lost_when_daemons_are_killed(make_suite):
    suite = make_suite(main=FAST_QUEUE)
    loads = [Load(suite, "load%d" % i, ["alice", "bob", "team"]) for i in range(3)]
    for load in loads:
        load.start()
    kills = 0
    while kills < (1000 if SLOW else 40) or any(len(load.acknowledged) < 20 for load in loads):
        time.sleep(random.uniform(0.05, 0.6))  # so that they are hit at any point of their work
        victims = suite.pids()
        if victims:
            try:
                os.kill(random.choice(victims), signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass
    for load in loads:
        load.halt.set()
    for load in loads:
        load.join(60)
    check_all_arrived(suite, loads)
    check_mailboxes_are_sound(suite)


@pytest.mark.timeout(1500 if SLOW else 300)
def test_no_acknowledged_message_is_lost_when_all_is_killed_at_once(make_suite):
    suite = make_suite(main=FAST_QUEUE)
    loads = [Load(suite, "all%d" % i, ["alice", "bob", "team"]) for i in range(3)]
    for load in loads:
        load.start()
    for _ in range(20 if SLOW else 4):
        had = [len(load.acknowledged) for load in loads]
        pombal.wait_for(lambda: all(len(load.acknowledged) >= n + 7 for load, n in zip(loads, had)), 120)
        time.sleep(random.uniform(0, 1))  # so that they are hit at any point of their work
        for pid in [suite.master_pid()] + suite.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        pombal.wait_for(lambda: not suite.master_pid())
        suite.start()
    for load in loads:
        load.halt.set()
    for load in loads:
        load.join(60)
    check_all_arrived(suite, loads)
    check_mailboxes_are_sound(suite)
