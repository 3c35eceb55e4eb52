import os, sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pombal


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        for value in item.funcargs.values():
            if isinstance(value, pombal.Instance):
                outcome.get_result().sections.append(("maillog", value.log()[-8000:]))


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

    yield make
    for s in made:
        s.close()
