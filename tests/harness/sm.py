"""Runs shardmerge: writes task files in DM's form, starts and kills the program, asks its status.

The program is $SHARDMERGE_BIN, by default build/release/shardmerge of this tree."""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import yaml

from .oracle import assert_counters, assert_merged
from .servers import Downstream, Server, die_with_parent, process_kb
from .workload import Shard, Workload

ROOT = Path(__file__).resolve().parents[2]

# Every fault point of the program that the crash matrix goes through.
FAULT_POINTS = (
    "source.start", "source.connect", "source.read", "source.event", "assemble.before_deliver", "spill.write", "dispatch.before_enqueue",
    "apply.begin", "apply.after_rows", "apply.before_commit", "apply.after_commit", "apply.before_ack", "parked.made", "parked.put_out", "parked.rekey_found", "parked.rekey_parked", "parked.rekey_out", "parked.rekey_in",
    "decision.row_locked", "decision.before_commit", "decision.after_commit", "remap.made",
    "remap.before_commit", "remap.after_commit", "floor.before_commit",
    "floor.after_commit", "store.checkpoint", "start.after_epoch", "scout.event", "start.definitions", "start.final", "eject.begin", "eject.acked", "eject.holders",
    "xa.before_sync", "xa.after_rename", "xa.before_remove",
    "ddl.step", "ddl.fork_end", "ddl.rejoin", "ddl.round_floor", "ddl.round", "ddl.round_through", "ddl.round_over", "ddl.lock", "ddl.decision", "ddl.decided", "ddl.altered", "ddl.given_up",
    "loss.deleted", "loss.batch", "loss.done", "ddl.refill_set", "ddl.refill_batch", "ddl.refilled",
    "ddl.entered", "ddl.kept", "recopy.cleared", "recopy.forgotten",
    "ddl.locked", "ddl.planned", "ddl.intent", "ddl.sent", "ddl.done", "apply.prepare",
    "load.connect", "load.in_snapshot", "load.after_snapshot", "load.after_read", "load.before_send", "load.unit_read",
)
STOPPED = ("paused-by-error", "failed", "stopped")


def binary() -> str:
    path = os.environ.get("SHARDMERGE_BIN", str(ROOT / "build/release/shardmerge"))
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not there: run make, or set SHARDMERGE_BIN")
    return path


def error_codes() -> dict[str, tuple[str, str, int]]:
    """NAME → ("SM-1234", class, exit status), from the program's own table."""
    text = (ROOT / "src/base/err.def").read_text()
    return {m[1]: (f"SM-{m[2]}", m[3].lower().replace("_", "-"), int(m[4]))
            for m in re.finditer(r"^X\((\w+), (\d+), (\w+), (\d+),", text, re.M)}


def has_code(text_or_error, name: str) -> bool:
    """Does a message, or the error object of a status, carry the code of that name?"""
    number = error_codes()[name][0]
    if isinstance(text_or_error, dict):
        return text_or_error.get("code") in (number, name) or text_or_error.get("name") == name
    return number in (text_or_error or "")


class Failed(AssertionError):
    """The program did something a test did not expect; carries the end of its log."""


class Runner:
    """One `shardmerge run` process at a time for one task file; may be started again."""

    def __init__(self, task_path: Path, env: dict[str, str] | None = None, args: tuple[str, ...] = ()):
        self.task_path, self.env, self.args = Path(task_path), dict(env or {}), args
        self.process: subprocess.Popen | None = None
        self.runs = 0
        self.rusage = None
        self.exit_status: int | None = None

    @property
    def log_path(self) -> Path:
        return self.task_path.parent / f"run{self.runs}.log"

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self, faults: str = "", until: str = "", extra: tuple[str, ...] = (), env: dict[str, str] | None = None) -> "Runner":
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start from the main thread: the program dies with the thread that started it")
        assert not self.running, "it runs already"
        self.runs += 1
        environment = {**os.environ, **self.env, **(env or {})}
        environment.pop("SHARDMERGE_FAULTS", None)
        if faults:
            environment["SHARDMERGE_FAULTS"] = faults
        command = [binary(), "run", str(self.task_path), "--plain", *self.args, *extra]
        if until:
            command += ["--until", until]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            env=environment, preexec_fn=die_with_parent)
        self.exit_status = None
        return self

    def _reap(self, block: bool) -> bool:
        """True when the process has ended."""
        if self.process is None or self.exit_status is not None:
            return True
        pid, status, rusage = os.wait4(self.process.pid, 0 if block else os.WNOHANG)
        if pid == 0:
            return False
        self.rusage = rusage
        self.exit_status = os.waitstatus_to_exitcode(status)
        self.process.returncode = self.exit_status
        return True

    @property
    def running(self) -> bool:
        return not self._reap(False)

    def wait_exit(self, timeout: float = 60) -> int:
        """Exit status; negative: the signal it died from."""
        end = time.monotonic() + timeout
        while not self._reap(False):
            if time.monotonic() > end:
                raise Failed(f"the program still runs after {timeout} s\n{self.log_tail()}")
            time.sleep(0.02)
        return self.exit_status

    def kill9(self) -> None:
        if self.process is not None and self.running:
            os.kill(self.process.pid, signal.SIGKILL)
            self._reap(True)

    def stop(self, timeout: float = 60) -> None:
        """SIGTERM; the end must be clean."""
        if not self.running:
            raise Failed(f"the program has ended by itself with status {self.exit_status}\n{self.log_tail()}")
        os.kill(self.process.pid, signal.SIGTERM)
        status = self.wait_exit(timeout)
        if status != 0:
            raise Failed(f"SIGTERM: exit status {status}, expected 0\n{self.log_tail()}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        return f"--- end of the log of run {self.runs}:\n" + "\n".join(self.log().splitlines()[-lines:])

    def rss_peak_kb(self) -> int:
        """Peak resident memory of the running process, or of the one that has ended."""
        return process_kb(self.pid, "VmHWM") if self.running else self.rusage.ru_maxrss

    # -- other verbs ----------------------------------------------------------------------------------------------
    def verb(self, verb: str, *args: str, timeout: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run([binary(), verb, str(self.task_path), *args], capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, **self.env})

    def _ask_while_it_runs(self, verb: str, *args: str, timeout: float) -> tuple[int | None, str]:
        """Exit status and answer of a verb that waits; None when the program has ended before it answered (the verb would go on waiting for another)."""
        with tempfile.TemporaryFile("w+") as answer:
            process = subprocess.Popen([binary(), verb, str(self.task_path), *args], stdout=answer, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                       env={**os.environ, **self.env}, preexec_fn=die_with_parent)
            end = time.monotonic() + timeout
            try:
                while process.poll() is None and self.running and time.monotonic() < end:
                    time.sleep(0.01)
                if process.poll() is None and self.running:
                    raise Failed(f"{verb} {' '.join(args)} does not answer within {timeout:.0f} s\n{self.log_tail()}")
            finally:
                ended = process.poll() is not None
                if not ended:
                    process.kill()
                process.wait()
            answer.seek(0)
            return (process.returncode, answer.read()) if ended else (None, "")

    def pause(self, source_id: str, timeout: float = 60) -> None:
        """Until it rests: the verb itself gives up before a slow machine is done."""
        self._again("pause", source_id, timeout)

    def resume(self, source_id: str, timeout: float = 60) -> None:
        self._again("resume", source_id, timeout)

    def _again(self, verb: str, source_id: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while (done := self.verb(verb, "--source", source_id)).returncode == 3 and time.monotonic() < end:
            time.sleep(0.1)
        assert done.returncode == 0, f"{verb} {source_id}: {done.stdout}{done.stderr}\n{self.log_tail()}"

    def status(self) -> dict:
        done = self.verb("status", "--json")
        try:
            status = json.loads(done.stdout)
            status["sources"]
            return status
        except (ValueError, KeyError):
            raise Failed(f"status --json: exit status {done.returncode}, no status: {done.stdout[:500]!r} {done.stderr[:2000]}\n"
                         f"{self.log_tail()}") from None

    def source(self, source_id: str) -> dict:
        for source in self.status()["sources"]:
            if source["id"] == source_id:
                return source
        raise Failed(f"status does not list the source {source_id}")

    def wait_for(self, what: str, condition, timeout: float = 30) -> dict:
        """Polls status until condition(status) is true; when the program has ended, what status says then stands."""
        end = time.monotonic() + timeout
        last: dict | None = None
        while time.monotonic() < end:
            running = self.running
            try:
                last = self.status()
                if condition(last):
                    return last
            except Failed:
                if not running:
                    raise
            if not running:
                raise Failed(f"waiting for {what}: the program has ended with status {self.exit_status}\n{self.log_tail()}")
            time.sleep(0.1)
        raise Failed(f"waiting for {what}: not after {timeout} s\nstatus: {json.dumps(last, indent=1)}\n{self.log_tail()}")

    def wait_caught_up(self, timeout: float = 60) -> dict:
        """Every source's floor has reached the end its server had at the moment of the call."""
        end = time.monotonic() + timeout
        while True:
            if not self.running:
                raise Failed(f"the program has ended with status {self.exit_status} before it caught up\n{self.log_tail()}")
            left = end - time.monotonic()
            if left <= 0:
                raise Failed(f"not caught up after {timeout} s\nstatus: {json.dumps(self.status(), indent=1)}\n{self.log_tail()}")
            returncode, answer = self._ask_while_it_runs("status", "--wait", "caught-up", "--timeout", str(max(1, int(left))), "--json", timeout=left + 30)
            if returncode is None:
                continue
            if returncode == 0:
                status = json.loads(answer)
                assert status["caught_up"] is True, f"--wait caught-up ended with 0, but caught_up is {status['caught_up']}"
                return status
            try:
                bad = [s for s in json.loads(answer)["sources"] if s["error"] and s["state"] in STOPPED]
            except (ValueError, KeyError):
                bad = []
            if bad:
                raise Failed(f"sources have stopped: {json.dumps(bad, indent=1)}\n{self.log_tail()}")
            time.sleep(0.1)

    def wait_error(self, source_id: str, code: str, timeout: float = 40) -> dict:
        """Waits until the source has stopped, and checks the code; returns its error. The program may end with it."""
        def stopped(status):
            """The folder's answer, while the program has not opened its socket, is about the run before."""
            return (status["running"] or not self.running) and any(s["id"] == source_id and s["error"] and s["state"] in STOPPED for s in status["sources"])

        status = self.wait_for(f"source {source_id} to stop with {code}", stopped, timeout)
        error = next(s["error"] for s in status["sources"] if s["id"] == source_id)
        assert has_code(error, code), f"source {source_id} stopped with {error}, expected {code} {error_codes()[code][0]}"
        assert error.get("message") and error.get("remedy"), f"an error without message or remedy: {error}"
        return error


def endpoint(server: Downstream, **kw) -> dict:
    return {"host": server.host, "port": server.port, "user": server.user, "password": server.password, **kw}


class Scenario:
    """Shards, downstream, workload, task file and program of one test."""

    def __init__(self, pool, unique: str, folder: Path, downstream_env: Downstream | None = None):
        self.pool, self.unique, self.folder, self.downstream_env = pool, unique, Path(folder), downstream_env
        self.shards: list[Shard] = []
        self.downstream: Downstream | None = None
        self.work: Workload | None = None
        self.task: dict = {}
        self.runner: Runner | None = None
        self.target = f"{unique}_merged"
        self.meta = f"{unique}_meta"
        self._made: list[tuple[Downstream, str]] = []
        self.closers: list = []

    # -- making ---------------------------------------------------------------------------------------------------
    def make_downstream(self, flavor: str = "mariadb") -> Downstream:
        self.downstream = self.downstream_env or self.pool.get(f"down-{flavor}", flavor)
        self._made += [(self.downstream, self.target), (self.downstream, self.meta)]
        self.downstream.run(f"CREATE DATABASE IF NOT EXISTS `{self.target}` DEFAULT CHARACTER SET utf8mb4")
        return self.downstream

    def make_shards(self, flavors, **options) -> list[Shard]:
        """flavors: one per shard. Servers are shared with other tests; options make servers of their own kind."""
        kind = "".join(f"-{k}={v}" for k, v in sorted(options.items()))
        servers = self.pool.get_all([(f"shard{i}-{f}{kind}", f, options) for i, f in enumerate(flavors, 1)])
        self.shards = [Shard(s, f"{self.unique}_s{i}", i) for i, s in enumerate(servers, 1)]
        self._made += [(s.server, s.schema) for s in self.shards]
        return self.shards

    def make(self, flavors=("mariadb", "mariadb"), downstream: str = "mariadb", gtid: bool = True, seed=None,
             task: dict | None = None, server_options: dict | None = None, create_targets: bool = True, **workload) -> "Scenario":
        """Everything for a merge of a random workload, up to the task file; nothing is written or run yet."""
        self.make_downstream(downstream)
        self.make_shards(flavors, **(server_options or {}))
        self.work = Workload(self.shards, seed, **workload)
        self.work.create()
        if create_targets:
            self.work.create_targets(self.downstream, self.target)
        self.write_task({base: f"{base}_*" for base in self.work.options.tables}, gtid=gtid, extra=task)
        return self

    def make_plain(self, ddl: dict[str, str], flavors=("mariadb", "mariadb"), downstream: str = "mariadb", gtid: bool = True,
                   task: dict | None = None, targets: bool = True, server_options: dict | None = None) -> "Scenario":
        """For hand-written rows: ddl is table → definition (from the parenthesis on), the same in every shard and the
        target, whose name it keeps."""
        self.make_downstream(downstream)
        self.make_shards(flavors, **(server_options or {}))
        for shard in self.shards:
            shard.server.run(f"CREATE DATABASE `{shard.schema}` DEFAULT CHARACTER SET utf8mb4",
                             *(f"CREATE TABLE `{shard.schema}`.`{t}` {d}" for t, d in ddl.items()))
        if targets:
            self.downstream.run(*(f"CREATE TABLE `{self.target}`.`{t}` {d}" for t, d in ddl.items()))
        self.write_task({t: t for t in ddl}, gtid=gtid, extra=task)
        return self

    def start_point(self, server: Server, gtid: bool) -> dict:
        if gtid:
            return {"binlog-gtid": server.gtid()}
        file, pos = server.binlog_position()
        return {"binlog-name": file, "binlog-pos": pos}

    def write_task(self, tables: dict[str, str], gtid: bool = True, extra: dict | None = None) -> Path:
        """tables: target table → pattern of the shard tables. The streams start where the servers are now. Keys of
        `extra` replace those of the task; None removes one."""
        routes = {f"r-{t}": {"schema-pattern": f"{self.unique}_s*", "table-pattern": p, "target-schema": self.target,
                             "target-table": t} for t, p in tables.items()}
        allow = [{"db-name": f"{self.unique}_s*", "tbl-name": p} for p in tables.values()]
        self.task = {
            "name": self.unique, "task-mode": "incremental", "meta-schema": self.meta,
            "target-database": endpoint(self.downstream),
            "mysql-instances": [{"source-id": f"s{s.number}", "meta": self.start_point(s.server, gtid), "block-allow-list": "ours",
                                 "route-rules": list(routes), "syncer-config-name": "global"} for s in self.shards],
            "sources": [{"source-id": f"s{s.number}", "enable-gtid": gtid, "from": endpoint(s.server)} for s in self.shards],
            "routes": routes, "block-allow-list": {"ours": {"do-tables": allow}},
            "syncers": {"global": {"worker-count": 4, "batch": 500, "checkpoint-flush-interval": 1}},
            "state-dir": str(self.folder / "state"), "collision-grace": "1s", "allow-keyless-tables": True, "retry-max": 60,
        }
        self.task.update(extra or {})
        self.task = {k: v for k, v in self.task.items() if v is not None}
        return self.save()

    def save(self) -> Path:
        """Writes self.task; the runner stays the same."""
        path = self.folder / "task.yaml"
        path.write_text(yaml.safe_dump(self.task, sort_keys=False, allow_unicode=True))
        path.chmod(0o600)
        if self.runner is None:
            self.runner = Runner(path)
        return path

    def source_config(self, number: int) -> dict:
        return next(s for s in self.task["sources"] if s["source-id"] == f"s{number}")

    def instance(self, number: int) -> dict:
        return next(i for i in self.task["mysql-instances"] if i["source-id"] == f"s{number}")

    # -- running --------------------------------------------------------------------------------------------------
    def start(self, faults: str = "", **kw) -> Runner:
        return self.runner.start(faults, **kw)

    def finish(self, timeout: float = 90, stop: bool = True) -> dict:
        """Caught up, merged = union, counters add up, clean stop."""
        status = self.runner.wait_caught_up(timeout)
        self.check_merged()
        assert_counters(status)
        if stop:
            self.runner.stop()
        return status

    def check_merged(self) -> None:
        if self.work is not None:
            assert_merged(self.downstream, self.target, self.work)

    def rows(self, table: str, columns: str = "*", order: str = "1") -> list[tuple]:
        return self.downstream.query(f"SELECT {columns} FROM `{self.target}`.`{table}` ORDER BY {order}")

    def shard_run(self, number: int, *statements: str) -> None:
        """Statements on one shard, `{s}` stands for its schema."""
        shard = self.shards[number - 1]
        shard.server.run(*(t.replace("{s}", f"`{shard.schema}`") for t in statements))

    def close(self) -> None:
        if self.runner is not None:
            self.runner.kill9()
        for closer in self.closers:
            closer()
        for server, schema in self._made:
            try:
                server.run(f"DROP DATABASE IF EXISTS `{schema}`")
            except Exception as e:  # a test may have left the server down: the next one starts it again
                print(f"could not drop {schema}: {e!r}")
