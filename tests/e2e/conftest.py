"""Servers live for the whole session and are shared; every test has its own schemas, named after it. Only some run at a
time: those that no test of the present file has asked for are stopped when there are many, and come back when asked."""
import itertools
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import servers, sm  # noqa: E402

_numbers = itertools.count(1)


class Pool:
    """Servers by name, started when first asked for; a test that stopped one gets it started again."""

    MOST = 8  # that run at a time, of those that the present file's tests have not asked for

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
        for server in others[:max(0, len(others) - self.MOST)]:
            server.stop()

    def forget(self, server: servers.Server) -> None:
        self._servers = {k: v for k, v in self._servers.items() if v is not server}
        server.destroy()

    def close(self) -> None:
        for server in self._servers.values():
            server.destroy()


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
