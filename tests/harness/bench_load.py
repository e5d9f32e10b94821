"""`make bench`, second part: the copy of existing rows, against mydumper and myloader on the same data in the same run.

Two MariaDB shards hold several tables each, with disjoint ids. Each way copies all of them into one table of a fresh MariaDB:

- shardmerge: `task-mode: all`, from the start of the process until it has caught up (its end included);
- the peer: mydumper of both shards at once, then myloader into the merged table with as many threads as shardmerge has
  appliers. Its files get the merged table's name in between; that time does not count.

Both orders are run, so that neither profits from being second. A myloader that ends with a deadlock between its own threads
is run again; only the run that succeeds counts. Then the best rate at which that downstream takes the same rows
at all, with as many connections: LOAD DATA LOCAL INFILE from ready files, and an array-bound INSERT from memory. Only ratios
count: machines drift. On a machine with other work to do the wall clock says little; the CPU seconds of all who take part
(tool, sources, downstream) say what a quiet one would do.

Sizes: SHARDMERGE_BENCH_LOAD rows over both shards (default 600000; SHARDMERGE_BENCH=full: 2000000), SHARDMERGE_BENCH_TABLES per
shard (default 3), SHARDMERGE_BENCH_LOAD_RUNS pairs of runs (default 1), SHARDMERGE_BENCH_LOAD_FLUSH the downstream's
innodb_flush_log_at_trx_commit (default 1), SHARDMERGE_BENCH_WORKERS the appliers. SHARDMERGE_BENCH_PARTS=ours,peer,best
chooses the parts.
"""
from __future__ import annotations

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.bench_stream import BATCH, DDL, FULL, WORKERS, Result, digests, downstream, say  # noqa: E402
from harness.servers import MariaDB, PASSWORD, USER, new_folder, process_cpu_s, remove_folder, start_all  # noqa: E402
from harness.sm import Runner, binary, endpoint  # noqa: E402

ROWS = int(os.environ.get("SHARDMERGE_BENCH_LOAD", 2000000 if FULL else 600000))
TABLES = int(os.environ.get("SHARDMERGE_BENCH_TABLES", 3))
RUNS = int(os.environ.get("SHARDMERGE_BENCH_LOAD_RUNS", 1))
FLUSH = int(os.environ.get("SHARDMERGE_BENCH_LOAD_FLUSH", 1))
PARTS = os.environ.get("SHARDMERGE_BENCH_PARTS", "ours,peer,best").split(",")
SHARDS = (1, 2)
FILE_ROWS = 50000  # of one file of the peer and of LOAD DATA
BULK = Path(os.environ.get("SHARDMERGE_BENCH_INSERT", "build/release/bench/bench_insert"))


def schema(shard: int) -> str:
    return f"load_{shard}"


def fill(shards: dict[int, MariaDB]) -> int:
    """Makes the tables of both shards and returns the number of rows."""
    per_table = ROWS // len(shards) // TABLES
    digits = "LPAD(FLOOR(RAND() * 100000000000), 11, '0')"
    for n, server in shards.items():
        server.run(f"CREATE DATABASE {schema(n)}")
        conn = server.connect(database=schema(n))
        with conn.cursor() as cur:
            cur.execute(f"SET @@rand_seed1 = {n}, @@rand_seed2 = {n + 7}")
            for t in range(TABLES):
                first = 1 + (n * 100 + t) * 1_000_000_000
                cur.execute(f"CREATE TABLE sbtest_{t} {DDL}")
                for at in range(0, per_table, 20000):
                    last = min(at + 20000, per_table) - 1
                    cur.execute(f"INSERT INTO sbtest_{t} SELECT {first} + seq, FLOOR(RAND() * {per_table}), CONCAT_WS('-', {', '.join([digits] * 10)}), "
                                f"CONCAT_WS('-', {', '.join([digits] * 5)}) FROM seq_{at}_to_{last}")
            cur.execute("ANALYZE TABLE " + ", ".join(f"sbtest_{t}" for t in range(TABLES)))
            cur.fetchall()
        conn.close()
    return per_table * TABLES * len(shards)


def target() -> MariaDB:
    server = downstream(FLUSH, local_infile="ON")
    server.run("CREATE DATABASE merged", f"CREATE TABLE merged.sbtest {DDL}")
    return server


def check(server: MariaDB, expected: list[int], who: str) -> None:
    got = digests(server, ["merged.sbtest"])
    if got != expected:
        raise SystemExit(f"{who}: the merged table is not the union of the shards: {got} != {expected}")


def run_shardmerge(shards: dict[int, MariaDB], expected: list[int]) -> Result:
    import yaml
    server, folder = target(), new_folder()
    try:
        task = {
            "name": "bench-load", "task-mode": "all", "target-database": endpoint(server),
            "mysql-instances": [{"source-id": f"s{n}", "block-allow-list": "ours", "route-rules": ["all"], "syncer-config-name": "global"} for n in shards],
            "sources": [{"source-id": f"s{n}", "enable-gtid": True, "from": endpoint(s)} for n, s in shards.items()],
            "routes": {"all": {"schema-pattern": "load_*", "table-pattern": "sbtest_*", "target-schema": "merged", "target-table": "sbtest"}},
            "block-allow-list": {"ours": {"do-dbs": ["load_*"]}},
            "syncers": {"global": {"worker-count": WORKERS, "batch": BATCH}}, "state-dir": str(folder / "state"),
        }
        path = folder / "task.yaml"
        path.write_text(yaml.safe_dump(task, sort_keys=False))
        path.chmod(0o600)
        runner = Runner(path)
        cpu = process_cpu_s(server.pid)
        begin = time.monotonic()
        runner.start(until="caught-up")
        status = runner.wait_exit(1200)
        seconds = time.monotonic() - begin
        if status != 0:
            raise SystemExit(f"shardmerge ended with {status}\n{runner.log_tail()}")
        usage = runner.rusage
        check(server, expected, "shardmerge")
        return Result(seconds, usage.ru_utime + usage.ru_stime, process_cpu_s(server.pid) - cpu, usage.ru_maxrss / 1024)
    finally:
        server.destroy()
        remove_folder(folder)


def account(server: MariaDB) -> list[str]:
    return ["--host=127.0.0.1", f"--port={server.port}", f"--user={USER}", f"--password={PASSWORD}"]


class Deadlock(Exception):
    """myloader gave up because its threads waited for each other."""


def finish(processes: list[subprocess.Popen], what: str) -> None:
    for p in processes:
        out, _ = p.communicate()
        if b"Deadlock found" in out:
            raise Deadlock(what)
        if p.returncode != 0 or b"CRITICAL" in out:
            raise SystemExit(f"{what} failed with {p.returncode}:\n{out.decode(errors='replace')[-2000:]}")


def start(command: list[str], **kw) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)


def dump(shards: dict[int, MariaDB], folder: Path) -> None:
    finish([start(["mydumper", *account(s), f"--database={schema(n)}", f"--outputdir={folder / str(n)}", f"--threads={WORKERS}",
                   f"--rows={FILE_ROWS}", "--trx-consistency-only"]) for n, s in shards.items()], "mydumper")


def rename(folder: Path) -> Path:
    """The files of both dumps as data files of merged.sbtest, without their CREATE statements."""
    into, n = folder / "merged", 0
    into.mkdir()
    for file in sorted(folder.glob("[0-9]*/*")):
        name = re.fullmatch(r"load_\d+\.(sbtest_\d+)(\.\d+)?\.sql", file.name)
        if name:
            old, new = f"INSERT INTO `{name[1]}`".encode(), b"INSERT INTO `sbtest`"
            data = file.read_bytes().replace(old, new)
            assert new in data, f"{file} holds no INSERT of its table"
            (into / f"merged.sbtest.{n:05}.sql").write_bytes(data)
            n += 1
    shutil.copy(folder / "1" / "metadata", into / "metadata")
    return into


def run_peer(shards: dict[int, MariaDB], expected: list[int]) -> Result:
    for _ in range(5):
        try:
            return run_peer_once(shards, expected)
        except Deadlock:
            say("  run    peer       deadlock between threads of myloader, run again")
    raise SystemExit("myloader ends with deadlocks")


def run_peer_once(shards: dict[int, MariaDB], expected: list[int]) -> Result:
    server, folder = target(), new_folder()
    try:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = process_cpu_s(server.pid)
        begin = time.monotonic()
        dump(shards, folder)
        dumped = time.monotonic() - begin
        files = rename(folder)
        begin = time.monotonic()
        finish([start(["myloader", *account(server), f"--directory={files}", "--database=merged", f"--threads={WORKERS}"])], "myloader")
        seconds = dumped + time.monotonic() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        check(server, expected, "mydumper and myloader")
        return Result(seconds, own, process_cpu_s(server.pid) - cpu, 0)
    finally:
        server.destroy()
        remove_folder(folder)


def row_files(shards: dict[int, MariaDB], folder: Path) -> list[Path]:
    """All rows as text files of at most FILE_ROWS rows, those of the shards in turn."""
    parts: dict[int, list[Path]] = {n: [] for n in shards}
    for n, s in shards.items():
        for t in range(TABLES):
            whole = folder / f"{n}-{t}.txt"
            s.run(f"SELECT id, k, c, pad FROM {schema(n)}.sbtest_{t} ORDER BY id INTO OUTFILE '{whole}'")
            subprocess.run(["split", "-l", str(FILE_ROWS), "-d", "-a", "4", str(whole), f"{whole}."], check=True)
            whole.unlink()
            parts[n] += sorted(folder.glob(f"{n}-{t}.txt.*"))
    lists = list(parts.values())
    return [p for i in range(max(map(len, lists))) for x in lists for p in x[i:i + 1]]


def load_data(server: MariaDB, files: list[Path]) -> float:
    """LOAD DATA LOCAL INFILE on WORKERS connections."""
    def client(mine: list[Path]) -> subprocess.Popen:
        sql = "".join(f"LOAD DATA LOCAL INFILE '{f}' INTO TABLE merged.sbtest (id, k, c, pad);" for f in mine)
        return start(["mariadb", "--no-defaults", "--local-infile=1", *account(server), "-e", sql])

    begin = time.monotonic()
    finish([client(files[i::WORKERS]) for i in range(WORKERS)], "LOAD DATA")
    return time.monotonic() - begin


def array_insert(server: MariaDB, files: list[Path], rows: int) -> float:
    """Array-bound INSERT of so many rows a statement, 20000 rows a transaction, on WORKERS connections."""
    done = subprocess.run([str(BULK), "127.0.0.1", str(server.port), USER, PASSWORD, "merged.sbtest", str(WORKERS), str(rows), str(20000 // rows),
                           *map(str, files)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"array INSERT failed: {done.stderr[-2000:]}")
    return float(done.stdout)


def run_best(shards: dict[int, MariaDB], expected: list[int], rows: int) -> float:
    """The best rate, in rows a second."""
    folder = new_folder()
    best = 0.0
    ways = {"LOAD DATA": load_data, "array INSERT, 1000 rows": lambda s, f: array_insert(s, f, 1000),
            "array INSERT, 5000 rows": lambda s, f: array_insert(s, f, 5000)}
    try:
        folder.chmod(0o777)
        files = row_files(shards, folder)
        for name, way in ways.items():
            server = target()
            try:
                cpu = process_cpu_s(server.pid)
                seconds = way(server, files)
                cpu = process_cpu_s(server.pid) - cpu
                check(server, expected, name)
                say(f"  best   {name:24} {rows / seconds:9.0f} rows/s  {seconds:6.1f} s  downstream cpu {cpu:5.1f} s")
                best = max(best, rows / seconds)
            finally:
                server.destroy()
    finally:
        remove_folder(folder)
    return best


def show(name: str, run: int, rows: int, r: Result, sources_cpu_s: float) -> None:
    say(f"  run {run} {name:10} {r.rate(rows):9.0f} rows/s  {r.seconds:6.1f} s  cpu {r.cpu_s:5.1f} s  downstream cpu {r.server_cpu_s:5.1f} s"
        f"  sources cpu {sources_cpu_s:4.1f} s"
        + (f"  peak {r.peak_mb:5.0f} MB" if r.peak_mb else ""))


def main() -> None:
    binary()
    shards = {n: MariaDB(f"shard{n}", gtid_domain_id=n, innodb_buffer_pool_size="512M", innodb_log_file_size="256M", max_binlog_size="1G")
              for n in SHARDS}
    start_all(list(shards.values()))
    rows = fill(shards)
    expected = [sum(x) for x in zip(*(digests(s, [f"{schema(n)}.sbtest_{t}" for t in range(TABLES)]) for n, s in shards.items()))]
    say(f"load: {rows} rows in {len(shards)} shards x {TABLES} tables into one table; fresh MariaDB {shards[1].version} for each run, binlog off, flush {FLUSH}; "
        f"{WORKERS} appliers, {WORKERS} threads of mydumper (each shard) and of myloader, {WORKERS} connections for the best")
    ways = {name: run for name, run in (("peer", run_peer), ("shardmerge", run_shardmerge)) if {"peer": "peer", "shardmerge": "ours"}[name] in PARTS}
    results: dict[str, list[Result]] = {name: [] for name in ways}
    cpu: dict[str, float] = {name: 0.0 for name in ways}
    for run in range(2 * RUNS):
        order = list(ways) if run % 2 == 0 else list(reversed(ways))
        for name in order:
            before = sum(process_cpu_s(s.pid) for s in shards.values())
            results[name].append(ways[name](shards, expected))
            of_sources = sum(process_cpu_s(s.pid) for s in shards.values()) - before
            cpu[name] += of_sources + results[name][-1].cpu_s + results[name][-1].server_cpu_s
            show(name, run + 1, rows, results[name][-1], of_sources)
    rates = {name: rows / statistics.mean(r.seconds for r in done) for name, done in results.items()}
    best = run_best(shards, expected, rows) if "best" in PARTS else 0
    ours, peer = rates.get("shardmerge", 0), rates.get("peer", 0)
    if ours and peer:
        say(f"bench load shardmerge={ours:.0f} peer={peer:.0f} ratio={ours / peer:.2f}")
        say(f"bench load-cpu us_a_row shardmerge={cpu['shardmerge'] / RUNS / 2 / rows * 1e6:.1f} peer={cpu['peer'] / RUNS / 2 / rows * 1e6:.1f} "
            f"ratio={cpu['peer'] / cpu['shardmerge']:.2f}")
        say(f"bench load peak_mb={max(r.peak_mb for r in results['shardmerge']):.0f} cpu_s={min(r.cpu_s for r in results['shardmerge']):.1f}")
    if ours and best:
        say(f"bench load-best best={best:.0f} ratio={ours / best:.2f}")


if __name__ == "__main__":
    main()
