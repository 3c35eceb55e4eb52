import os, sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pombal


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for value in item.funcargs.values():
        for instance in getattr(value, "made", [value]):  # make_suite's, or one
            if isinstance(instance, pombal.Instance):
                report.sections.append(("maillog", instance.log()[-8000:]))
                report.sections.append(("processes", instance.state()))
                note_failure(item.nodeid, call.excinfo, instance)


def note_failure(name, excinfo, instance):
    """for t/run, which prints it at its end, where a log that is cut in the middle still has it"""
    with open(os.path.join(pombal.BUILD, "failures"), "a") as f:
        f.write("%s\n%s\n%s\n%s\n" % (name, str(excinfo.value)[:300], instance.state(), "\n".join(instance.log().splitlines()[-8:])[-1500:]))


# The files that take longest, in this order. They begin first: the tests of a file stay together (t/run), and a long file at
# the end would keep one process busy and the others waiting.
LONGEST = ["e2e/test_%s.py" % name for name in (
    "conf", "configurations", "reload", "master", "login", "trust", "qmgr", "badinput", "bounds", "jail", "sendmail", "postscreen",
    "quickstart", "smtpd", "mailflow", "pop3", "imap_shared", "tables", "replaced", "dialog", "sandbox", "imap", "stress", "policy",
    "smtp_client", "local_user", "dns_bounds", "milter_bounds", "dnsbl", "install", "two_servers", "syslog")] + ["compat/test_%s.py" % name for name in (
    "postscreen", "postconf", "postmap", "queue", "local", "cleanup", "smtp_out", "smtp", "tls_out", "route", "smtp_relay", "smtp_dnsbl", "auth",
    "imap_odd", "bounce", "smtp_dns", "imap", "there_and_back")] + ["crash/test_%s.py" % name for name in ("power", "faults_queue", "faults_mail")]


def pytest_collection_modifyitems(items):
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get("/".join(item.path.parts[-2:]), len(place)))


def pytest_make_parametrize_id(val):
    """Short names for long input: pytest hands a test's name to every child in its environment, which has a limit."""
    return repr(val[:40]) + "..." if isinstance(val, (bytes, str)) and len(val) > 40 else None


@pytest.fixture(scope="module")
def suite(request):
    """an instance that the tests of a file share; SUITE_MAIN and SUITE_MASTER of the file are its settings"""
    s = pombal.Instance(main=getattr(request.module, "SUITE_MAIN", ""), master=getattr(request.module, "SUITE_MASTER", ""))
    yield s
    s.close()


@pytest.fixture
def make_suite():
    """make_suite(main=..., master=...): an instance for one test"""
    made = []

    def make(**kw):
        made.append(pombal.Instance(**kw))
        return made[-1]

    make.made = made
    yield make
    for s in made:
        s.close()
