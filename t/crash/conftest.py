import importlib.util, os, sys

E2E = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e")
sys.path.insert(0, E2E)
spec = importlib.util.spec_from_file_location("e2e_conftest", E2E + "/conftest.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
make_suite, suite = module.make_suite, module.suite
pytest_runtest_makereport = module.pytest_runtest_makereport
pytest_collection_modifyitems = module.pytest_collection_modifyitems
