"""A reload disturbs nobody: no refused connection, no temporary failure, no message lost or delivered twice."""
import base64, collections, hmac, os, poplib, re, signal, threading, time

import pytest

from agents import MiniSuite
from pombal import PATIENCE, wait_for
from sink import Sink

SENDERS, READERS, RELOADS = 20, 2, 25
TEXT = "From: a@elsewhere.test\r\nTo: alice@example.test\r\nSubject: %s\r\n\r\n%s"
# What an administrator would be alarmed by. Nothing of the kind is due to a reload.
ALARM = re.compile(r"warning:|fatal:|panic:|error:|reset by peer|[Bb]roken pipe|exit status|skipped, still")


class Crowd:
    """threads that work until told to stop; what goes wrong is kept"""

    def __init__(self):
        self.stop, self.wrong, self.done, self.threads = threading.Event(), [], collections.Counter(), []

    def add(self, what, *args):
        def run():
            n = 0
            while not self.stop.is_set():
                n += 1
                try:
                    what(n, *args)
                    self.done[what.__name__] += 1
                except Exception as e:  # whatever a client sees
                    self.wrong.append("%s: %r" % (what.__name__, e))
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(120)
            assert not t.is_alive()


def warnings(suite):
    return [line for line in suite.log().splitlines() if ALARM.search(line)]


def reload_often(suite, crowd, enough):
    """each a little after the last one is done, and until everybody has done something"""
    count = 0
    while count < RELOADS or not enough():
        suite.reload()
        count += 1
        assert count < 20 * RELOADS, (crowd.done, crowd.wrong[:5])
        suite.wait_log("reload -- version", count)
        time.sleep(0.3)


def subjects(suite, user):
    return collections.Counter(m["Subject"] for m in suite.messages(user))


@pytest.mark.timeout(900)  # the slower the machine, the more mail there is to look through
def test_storm_of_mail_and_logins_during_reloads(make_suite):
    suite = make_suite()
    for i in range(READERS):
        suite.add_user("reader%d" % i)
        suite.add_user("popper%d" % i)
    suite.reload()
    crowd, sent, lock = Crowd(), [], threading.Lock()

    def accepted(subject):
        with lock:
            sent.append(subject)

    def keep_sending(n, who):
        """several messages over one connection; one of them larger than any buffer on the way"""
        with suite.smtp() as s:
            for i in range(5):
                subject = "%d-%d-%d" % (who, n, i)
                body = "text\r\n" if i != 3 or who % 4 else ("x" * 70 + "\r\n") * 6000
                s.sendmail("a@elsewhere.test", ["alice@example.test"], TEXT % (subject, body))
                accepted(subject)

    def submit_locally(n, who):
        subject = "local-%d-%d" % (who, n)
        text = "From: a@example.test\nTo: alice@example.test\nSubject: %s\n\ntext\n" % subject
        suite.tool("sendmail", "-i", "-f", "a@example.test", "alice@example.test", input=text)
        accepted(subject)

    def read_imap(n, user):
        c = suite.imap(user, tls=n % 2 == 0)
        assert c.select()[0] == "OK"
        c.logout()

    def read_pop3(n, user):
        c = suite.pop3(user, tls=n % 2 == 0)
        assert c.stat() == (0, 0)
        c.quit()

    for who in range(SENDERS):
        crowd.add(keep_sending, who)
    crowd.add(submit_locally, 0)
    for i in range(READERS):
        crowd.add(read_imap, "reader%d@example.test" % i)
        crowd.add(read_pop3, "popper%d@example.test" % i)
    try:
        reload_often(suite, crowd, lambda: len(crowd.done) == 4 or crowd.wrong)
    finally:
        crowd.end()
    assert collections.Counter(crowd.wrong) == {}
    wait_for(lambda: len(subjects(suite, "alice")) >= len(sent), 120)
    suite.wait_queue_empty()
    got = subjects(suite, "alice")
    assert sorted(got) == sorted(sent)
    assert {s: n for s, n in got.items() if n != 1} == {}
    assert warnings(suite) == []
    print("sent %d, %s" % (len(sent), dict(crowd.done)))


class SlowSink(Sink):
    """answers the end of the content when it may"""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def pick(self, line):
        if line == ".":
            assert self.go.wait(PATIENCE)
        return super().pick(line)


def to_sink(make_suite, sink, main=""):
    return make_suite(main=main + "mydestination =\nrelay_domains = example.test\nrelay_recipient_maps =\n"
                      "transport_maps = inline:{example.test=smtp:[127.0.0.1]:%d}" % sink.port)


def test_deliveries_under_way_are_finished_and_not_repeated(make_suite):
    sink = SlowSink()
    suite = to_sink(make_suite, sink)
    try:
        for i in range(40):
            suite.send("user%d" % i, subject=str(i))
            if i % 4 == 0:
                suite.reload()
                sink.go.set()
            if i % 4 == 1:
                sink.go.clear()
        sink.go.set()
        suite.wait_queue_empty()
        found = collections.Counter(re.search(rb"^Subject: (\d+)", m, re.M).group(1).decode() for m in sink.messages)
        assert found == collections.Counter(str(i) for i in range(40))
        assert len(suite.wait_log(r"status=sent", 40)) == 40
        assert warnings(suite) == []
    finally:
        sink.close()


def test_a_delivery_under_way_keeps_its_name_when_long_names_end(make_suite):
    """under another name nobody would know that it is done: it would go out again"""
    sink = SlowSink()
    suite = to_sink(make_suite, sink, "enable_long_queue_ids = yes\n")
    try:
        with suite.smtp() as c:
            c.ehlo()
            c.mail("alice@example.test")
            c.docmd("RCPT", "TO:<slow@example.test> NOTIFY=SUCCESS")
            id = c.data(b"Subject: slow\r\n\r\ntext\r\n")[1].split()[-1].decode()
        wait_for(lambda: sink.messages)
        suite.add_main("enable_long_queue_ids = no")
        suite.reload()
        assert suite.tool("postqueue", "-p").stdout.count(id) == 1
        sink.go.set()
        suite.wait_log(r"%s: to=<slow@example\.test>.* status=sent" % id)
        suite.wait_queue_empty()
        assert len(sink.messages) == 2  # the message, once, and the report
    finally:
        sink.close()


def end_qmgr(suite):
    """its successor leaves what is being delivered in deferred"""
    (pid,) = suite.pids("qmgr")
    os.kill(pid, signal.SIGKILL)
    suite.wait_log(r"skipped, still being delivered")
    wait_for(lambda: suite.queue_files("deferred"))


def test_a_delivery_that_outlives_its_queue_manager(make_suite):
    """slower than the queue manager waits at a reload: its successor leaves it to the agent, and does not repeat it"""
    sink = SlowSink()
    suite = to_sink(make_suite, sink)
    try:
        suite.send("slow")
        wait_for(lambda: sink.messages)
        suite.reload()
        suite.wait_log(r"skipped, still being delivered")
        sink.go.set()
        suite.wait_log(r"to=<slow@example\.test>.* status=sent")
        suite.tool("postqueue", "-f")
        suite.wait_queue_empty()
        assert len(sink.messages) == 1
    finally:
        sink.close()


@pytest.mark.parametrize("reply, report", [(None, "relayed"), ("550 5.7.1 no", "failed")])
def test_the_report_of_a_delivery_that_outlives_its_queue_manager(make_suite, reply, report):
    """the agent's record is taken although the file is in deferred by then: no second copy, and the report is sent"""
    sink = SlowSink()
    suite = to_sink(make_suite, sink)
    if reply:
        sink.replies["."] = [reply, "250 2.0.0 Ok"]
    try:
        with suite.smtp() as c:
            c.ehlo()
            c.mail("alice@example.test")
            c.docmd("RCPT", "TO:<slow@example.test> NOTIFY=SUCCESS,FAILURE")
            assert c.data(b"Subject: slow\r\n\r\ntext\r\n")[0] == 250
        wait_for(lambda: sink.messages)
        end_qmgr(suite)
        sink.go.set()
        suite.wait_log(r"to=<slow@example\.test>.* status=%s" % ("bounced" if reply else "sent"))
        suite.tool("postqueue", "-f")
        suite.wait_queue_empty()
        assert len(sink.messages) == 2  # the message, once, and the report
        assert re.search(rb"Action: " + report.encode(), sink.messages[1])
    finally:
        sink.close()


def test_a_member_of_an_alias_gets_one_copy_if_another_one_outlives_the_queue_manager():
    with MiniSuite("alias_maps = texthash:$config_directory/team\nlocal_transport = local\n",
                   "local unix - n n - - local\n", start=False) as suite:
        out = suite.dir + "/out"
        os.mkdir(out)
        os.chmod(out, 0o1777)
        command = "touch %s/begun; while [ ! -e %s/go ]; do sleep 0.05; done; exit 67" % (out, out)
        suite.write("etc/team", 'team %s/box, "|%s"\n' % (out, command))
        suite.start()
        suite.send("team@queue.test")
        wait_for(lambda: os.path.exists(out + "/begun"))
        end_qmgr(suite)
        suite.write("out/go", "")
        suite.wait_log(r"status=bounced \(user unknown\)")
        suite.tool("postqueue", "-f")
        suite.wait_log(r"sender non-delivery notification")
        assert open(out + "/box").read().count("Subject: test") == 1


def test_a_changed_table_disturbs_nobody(make_suite):
    """each process that has the table open ends; the next message and login find its successor, with the new table"""
    suite = make_suite(start=False)
    table = suite.write("etc/virtual", "")
    suite.add_main("virtual_alias_maps = texthash:%s" % table)
    suite.start()
    crowd, passwd = Crowd(), open(suite.etc + "/passwd").read()

    def keep_sending(n):
        with suite.smtp() as s:
            for i in range(10):
                s.sendmail("a@elsewhere.test", ["alice@example.test"], TEXT % ("%d" % n, "x"))

    def log_in(n):
        suite.imap(tls=n % 2 == 0).logout()

    def replace(path, text):
        with open(path + ".new", "w") as f:
            f.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    for _ in range(5):
        crowd.add(keep_sending)
    crowd.add(log_in)
    try:
        for i in range(20):
            replace(table, "new%d@example.test bob@example.test\n" % i)
            replace(suite.etc + "/passwd", passwd + "new%d@example.test:{PLAIN}new:%d:%d::/nonexistent::\n" % (i, 1000, 1000))
            suite.send("new%d" % i, subject="new %d" % i)  # refused if somebody still had the old table
        wait_for(lambda: len(crowd.done) == 2 or crowd.wrong)
    finally:
        crowd.end()
    assert collections.Counter(crowd.wrong) == {}
    assert len(suite.wait_mail("bob", 20)) == 20
    suite.wait_queue_empty()
    assert len(suite.messages("alice")) == 10 * crowd.done["keep_sending"]
    assert warnings(suite) == []


def cram_md5(challenge, user, password):
    digest = hmac.new(password.encode(), base64.b64decode(challenge), "md5").hexdigest()
    return base64.b64encode(("%s %s" % (user, digest)).encode()).decode()


def test_logins_that_began_before_the_reload(make_suite):
    """a client may take its time between two steps, longer than a process waits for who says nothing"""
    suite = make_suite(main="auth_mechanisms = plain login cram-md5 apop")
    user, password = "alice@example.test", suite.password
    imap, pop3, smtp = suite.imap(login=False), suite.pop3(login=False), suite.smtp()
    smtp.ehlo()
    smtp_challenge = smtp.docmd("AUTH", "CRAM-MD5")[1].decode()
    pop3._putcmd("AUTH LOGIN")
    assert pop3._getline()[0] == b"+ VXNlcm5hbWU6"
    challenges = []

    def answer(challenge):
        challenges.append(base64.b64encode(challenge).decode())
        suite.reload()
        suite.wait_log(r"reload -- version")
        time.sleep(6)
        return base64.b64decode(cram_md5(challenges[0], user, password)).decode()

    assert imap.authenticate("CRAM-MD5", answer)[0] == "OK"
    pop3._putcmd(base64.b64encode(user.encode()).decode())
    assert pop3._getline()[0] == b"+ UGFzc3dvcmQ6"
    pop3._putcmd(base64.b64encode(password.encode()).decode())
    assert pop3._getline()[0].startswith(b"+OK")
    assert smtp.docmd(cram_md5(smtp_challenge, user, password))[0] == 235
    assert warnings(suite) == []


def test_an_apop_greeting_from_before_the_reload(make_suite):
    """it names a connection to a process that has ended; another client's stamp is still refused"""
    suite = make_suite(main="auth_mechanisms = plain apop")
    suite.pop3("bob").quit()
    first, second = suite.pop3(login=False), suite.pop3(login=False)
    before = suite.pids("authd")
    suite.reload()
    wait_for(lambda: not set(before) & set(suite.pids("authd")))
    assert first.apop("alice", suite.password).startswith(b"+OK")
    second.welcome = suite.pop3(login=False).welcome
    try:
        second.apop("bob", suite.password)
        assert False
    except poplib.error_proto as e:
        assert b"[AUTH]" in e.args[0]
    assert warnings(suite) == []
