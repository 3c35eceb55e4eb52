"""ETRN, and the lists of flush."""
import os, re

import pombal

SUITE_MAIN = """
relay_domains = later.test
relay_recipient_maps =
transport_maps = inline:{ { later.test = smtp:[127.0.0.1]:1 } }
smtpd_error_sleep_time = 0
"""


def ask(suite, *commands):
    raw = pombal.Raw(suite.port("smtp"))
    raw.reply()
    return [raw.ask(command) for command in ("EHLO c.test",) + commands + ("QUIT",)][1:-1]


def attempts(suite, address):
    return len(re.findall(r"to=<%s>, .*status=deferred" % re.escape(address), suite.log()))


def list_of(suite):
    path = suite.queue + "/flush/later_test"
    return open(path).read().split() if os.path.exists(path) else []


def test_etrn_tries_what_waits_for_a_site(suite):
    suite.send("x@later.test")
    pombal.wait_for(lambda: attempts(suite, "x@later.test") == 1 and suite.queue_files("deferred"))
    waiting = [path.rpartition("/")[2] for path in suite.queue_files("deferred")]
    pombal.wait_for(lambda: list_of(suite) == waiting)
    for n in (2, 3):                                                                               # what waits again is listed again
        assert ask(suite, "ETRN Later.test") == ["250 Queuing started"]
        pombal.wait_for(lambda: attempts(suite, "x@later.test") == n and suite.queue_files("deferred"))
        pombal.wait_for(lambda: list_of(suite) == waiting)
    assert ask(suite, "ETRN other.test") == ["459 <other.test>: service unavailable"]
    for n, command in ((4, ("postqueue", "-s", "later.test")), (5, ("sendmail", "-qRlater.test"))):
        suite.tool(*command)
        pombal.wait_for(lambda: attempts(suite, "x@later.test") == n and suite.queue_files("deferred"))


def test_a_list_names_no_other_file_and_does_no_harm(suite):
    with open(suite.queue + "/flush/later_test", "a") as f:
        f.write("../../etc/passwd\nnonsense\n\n" + "A" * 12 + "\n")
    before = len(suite.log())
    assert ask(suite, "ETRN later.test", "ETRN later.test") == ["250 Queuing started"] * 2
    pombal.wait_for(lambda: not [w for w in list_of(suite) if w == "nonsense"])
    assert "panic" not in suite.log()[before:]


def test_without_the_service_a_client_comes_later(make_suite):
    s = make_suite(main=SUITE_MAIN, start=False)
    s.write("etc/master.cf", re.sub(r"(?m)^flush .*\n", "", s.read("etc/master.cf")))
    s.start()
    s.send("x@later.test")
    pombal.wait_for(lambda: attempts(s, "x@later.test") == 1)
    assert ask(s, "ETRN later.test") == ["458 Unable to queue messages"]
    s.wait_log("warning: unable to talk to fast flush service")
