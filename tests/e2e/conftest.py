"""Servers live for the whole session and are shared; every test has its own schemas, named after it. Only some run at a
time: those that no test of the present file has asked for are removed when there are many, and made anew when asked."""
import itertools
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import servers, sm  # noqa: E402

servers.in_memory = True
_numbers = itertools.count(1)


class Pool:
    """Servers by name, started when first asked for; a test that stopped one gets it started again."""

    MOST = 4  # that run at a time, of those that the present file's tests have not asked for
    LEAST_MB = 8 << 10  # left of memory, below which none of those stays: the other processes have as many

    def __init__(self):
        self._servers: dict[str, servers.Server] = {}
        self._asked_in: dict[str, str] = {}  # by server name: the test file that asked last
        self.file = ""

    def get(self, name: str, flavor: str, **options) -> servers.Server:
        return self.get_all([(name, flavor, options)])[0]

    def get_all(self, wanted: list[tuple[str, str, dict]]) -> list[servers.Server]:
        out = []
        for name, flavor, options in wanted:
            server = self._servers.get(name)
            if server is None:
                server = self._servers[name] = servers.make(flavor, name, **options)
            self._asked_in[name] = self.file
            out.append(server)
        idle = [s for s in out if not s.running]
        if idle:
            self._make_room()
        servers.start_all(idle)
        return out

    def _make_room(self) -> None:
        others = [s for name, s in self._servers.items() if s.running and self._asked_in[name] != self.file]
        most = self.MOST if servers.available_mb() > self.LEAST_MB else 0
        for server in others[:max(0, len(others) - most)]:
            self.forget(server)

    def forget(self, server: servers.Server) -> None:
        self._servers = {k: v for k, v in self._servers.items() if v is not server}
        server.destroy()

    def close(self) -> None:
        for server in self._servers.values():
            server.destroy()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Tests are given out one by one, so that all processes end together: of the file that the process is at, whose servers run there; then of a
    file that nobody is at; then of the one with most left."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class FileByFile(LoadScopeScheduling):
        def __init__(self, *args):
            super().__init__(*args)
            self.at = {}

        def _split_scope(self, nodeid):
            return nodeid

        def _assign_work_unit(self, node):
            left = Counter(nodeid.split("::")[0] for nodeid in self.workqueue)
            if self.at.get(node) not in left:
                others = set(self.at.values())
                self.at[node] = next((file for file in left if file not in others), left.most_common(1)[0][0])
            self.workqueue.move_to_end(next(nodeid for nodeid in self.workqueue if nodeid.split("::")[0] == self.at[node]), last=False)
            super()._assign_work_unit(node)

    return FileByFile(config, log)


# What takes longest comes first: the last files to be begun are short.
LONGEST = ("test_load", "test_ddl_copy", "test_conflicts_policies", "test_conflicts", "test_load_values", "test_crash_matrix", "test_conflicts_resolve", "test_ddl_behind",
           "test_network", "test_load_adverse", "test_remap", "test_target_ddl", "test_ddl_model", "test_bulk_insert", "test_memory", "test_load_memory")


def pytest_collection_modifyitems(items):
    tests = Counter(item.module.__name__ for item in items)
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (place.get(item.module.__name__, len(LONGEST)), -tests[item.module.__name__], item.module.__name__))


@pytest.fixture(scope="session")
def pool():
    out = Pool()
    yield out
    out.close()


@pytest.fixture(scope="module", autouse=True)
def _file_of_the_pool(pool, request):
    pool.file = request.module.__name__


@pytest.fixture
def unique():
    """A schema name prefix that no other test uses."""
    return f"x{os.getpid() % 10000}_{next(_numbers)}"


class Failures:
    """A line for each failure as soon as it is known, among the dots: with the seed, also when what follows at the end is cut."""

    def __init__(self, config):
        self.plugins = config.pluginmanager

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        terminal = self.plugins.get_plugin("terminalreporter")  # comes after this one
        if not report.failed or terminal is None:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        error = (crash.message if crash else str(report.longrepr)).strip().split("\n")[0][:300]
        seed = re.search(r"^seed (\S+)", report.capstdout, re.M)
        terminal.write_line(f"\nFAILED {report.nodeid}: " + (f"seed {seed[1]}: " if seed else "") + error)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # the process that writes the terminal
        config.pluginmanager.register(Failures(config), "failures-at-once")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "rep_" + call.when, outcome.get_result())


@pytest.fixture
def scenario(request, pool, unique, tmp_path):
    """A fresh Scenario; its program is killed and its schemas are dropped at the end, and a failure shows its log."""
    out = sm.Scenario(pool, unique, tmp_path, servers.downstream_from_env())
    yield out
    report = getattr(request.node, "rep_call", None)
    if report is not None and report.failed and out.runner is not None:
        print(f"--- task file\n{out.runner.task_path.read_text()}")
        for n in range(1, out.runner.runs + 1):
            path = out.runner.task_path.parent / f"run{n}.log"
            if path.exists():
                print(f"--- log of run {n}\n" + "\n".join(path.read_text(errors='replace').splitlines()[-60:]))
    out.close()
