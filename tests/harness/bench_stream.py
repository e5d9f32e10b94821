"""`make bench`: the stream against a native MariaDB multi-source replica, on one recorded workload.

Two MariaDB shards write bulk inserts and small OLTP transactions (sysbench) into their binlogs. Then, one after the other
and each into a fresh MariaDB: a native replica follows both (two named connections, 8 parallel threads, optimistic, two
databases, nothing merged), and shardmerge merges both into one table. Only the ratio counts: machines drift.

Sizes: SHARDMERGE_BENCH_BULK and SHARDMERGE_BENCH_OLTP row changes over both shards (default 400000 and 240000;
SHARDMERGE_BENCH=full: 800000 and 480000). SHARDMERGE_BENCH_RUNS repeats (the median counts), SHARDMERGE_BENCH_FLUSH=1,2
chooses the downstream's innodb_flush_log_at_trx_commit, SHARDMERGE_BENCH_WORKERS the appliers.
"""
from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.servers import MariaDB, PASSWORD, USER, new_folder, process_cpu_s, start_all  # noqa: E402
from harness.sm import Runner, binary, endpoint  # noqa: E402

FULL = os.environ.get("SHARDMERGE_BENCH") == "full"
BULK = int(os.environ.get("SHARDMERGE_BENCH_BULK", 800000 if FULL else 400000))
OLTP = int(os.environ.get("SHARDMERGE_BENCH_OLTP", 480000 if FULL else 240000))
RUNS = int(os.environ.get("SHARDMERGE_BENCH_RUNS", 1))
FLUSH = [int(x) for x in os.environ.get("SHARDMERGE_BENCH_FLUSH", "1,2").split(",")]
WORKERS = int(os.environ.get("SHARDMERGE_BENCH_WORKERS", 4))
BATCH = int(os.environ.get("SHARDMERGE_BENCH_BATCH", 5000))
FIRST = {1: 1, 2: 1_000_000_001}
SCHEMA = {1: "shard_a", 2: "shard_b"}
DDL = ("(id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', "
       "pad CHAR(60) NOT NULL DEFAULT '', KEY k_1 (k)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci")
DIGEST = "COUNT(*), COALESCE(SUM(id), 0), COALESCE(SUM(k), 0), COALESCE(SUM(CRC32(c)), 0), COALESCE(SUM(CRC32(pad)), 0)"


@dataclass
class Result:
    seconds: float
    cpu_s: float       # of the tool; of the peer: of the server, which is the tool
    server_cpu_s: float
    peak_mb: float

    def rate(self, changes: int) -> float:
        return changes / self.seconds


def say(text: str) -> None:
    print(text, flush=True)


def record(shards: dict[int, MariaDB]) -> dict[int, str]:
    """Writes the workload into the binlogs; returns the GTID positions it begins behind."""
    begins = {}
    for n, server in shards.items():
        server.run(f"CREATE DATABASE {SCHEMA[n]}", f"CREATE TABLE {SCHEMA[n]}.sbtest1 {DDL}")
        begins[n] = server.gtid()
    per_shard = BULK // 2
    for n, server in shards.items():
        conn = server.connect(database=SCHEMA[n])
        with conn.cursor() as cur:
            digits = "LPAD(FLOOR(RAND() * 100000000000), 11, '0')"
            cur.execute(f"SET @@rand_seed1 = {n}, @@rand_seed2 = {n + 7}")
            for at in range(0, per_shard, 1000):
                last = min(at + 1000, per_shard) - 1
                cur.execute(f"INSERT INTO {SCHEMA[n]}.sbtest1 SELECT {FIRST[n]} + seq, FLOOR(RAND() * {per_shard}), "
                            f"CONCAT_WS('-', {', '.join([digits] * 10)}), CONCAT_WS('-', {', '.join([digits] * 5)}) FROM seq_{at}_to_{last}")
        conn.close()
    events = OLTP // 2 // 4
    lua = Path(__file__).with_name("oltp_write.lua")
    running = [(n, subprocess.Popen(
        ["sysbench", str(lua), f"--mysql-socket={server.socket_path}", f"--mysql-user={USER}", f"--mysql-password={PASSWORD}",
         f"--mysql-db={SCHEMA[n]}", "--threads=4", f"--events={events}", "--time=0", "--rand-seed=4711", f"--first-id={FIRST[n]}",
         f"--table-size={per_shard}", "--db-ps-mode=disable", "run"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for n, server in shards.items()]
    for n, process in running:
        out, _ = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"sysbench on shard {n} failed:\n{out[-2000:]}")
    return begins


def downstream(flush: int, **options) -> MariaDB:
    return MariaDB("downstream", log_bin=None, skip_log_bin=True, log_slave_updates=None, binlog_row_metadata=None,
                   innodb_flush_log_at_trx_commit=flush, innodb_flush_method=None, innodb_doublewrite="ON",
                   innodb_buffer_pool_size="1G", innodb_log_file_size="512M", server_id=90000, gtid_strict_mode="OFF", **options).start()


def digests(server: MariaDB, tables: list[str]) -> list[int]:
    rows = [server.query(f"SELECT {DIGEST} FROM {t}")[0] for t in tables]
    return [sum(int(r[i]) for r in rows) for i in range(5)]


def run_peer(shards: dict[int, MariaDB], begins: dict[int, str], flush: int, expected: list[int]) -> Result:
    server = downstream(flush, slave_parallel_threads=8, slave_parallel_mode="optimistic", slave_parallel_max_queued="16M")
    try:
        for schema in SCHEMA.values():
            server.run(f"CREATE DATABASE {schema}", f"CREATE TABLE {schema}.sbtest1 {DDL}")
        server.run(f"SET GLOBAL gtid_slave_pos = '{','.join(begins.values())}'")
        want = {gtid for s in shards.values() for gtid in s.gtid().split(",")}
        cpu = process_cpu_s(server.pid)
        for n, shard in shards.items():
            server.run(f"CHANGE MASTER 's{n}' TO MASTER_HOST='127.0.0.1', MASTER_PORT={shard.port}, MASTER_USER='{USER}', "
                       f"MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos")
        begin = time.monotonic()
        server.run("START ALL SLAVES")
        conn = server.connect()
        with conn.cursor() as cur:
            while True:
                cur.execute("SELECT @@gtid_slave_pos")
                if want <= set(cur.fetchone()[0].split(",")):
                    break
                if time.monotonic() - begin > 1200:
                    raise SystemExit(f"the replica does not arrive: {server.query('SHOW ALL SLAVES STATUS')}")
                time.sleep(0.02)
        seconds = time.monotonic() - begin
        result = Result(seconds, process_cpu_s(server.pid) - cpu, process_cpu_s(server.pid) - cpu, server.rss_peak_kb() / 1024)
        server.stop_replica()
        got = digests(server, [f"{x}.sbtest1" for x in SCHEMA.values()])
        if got != expected:
            raise SystemExit(f"the replica holds other rows than its sources: {got} != {expected}")
        return result
    finally:
        server.destroy()


def run_shardmerge(shards: dict[int, MariaDB], begins: dict[int, str], flush: int, expected: list[int]) -> Result:
    import yaml
    server = downstream(flush)
    folder = new_folder()
    try:
        server.run("CREATE DATABASE merged", f"CREATE TABLE merged.sbtest1 {DDL}")
        task = {
            "name": "bench", "task-mode": "incremental", "target-database": endpoint(server),
            "mysql-instances": [{"source-id": f"s{n}", "meta": {"binlog-gtid": begins[n]}, "block-allow-list": "ours", "route-rules": ["all"],
                                 "syncer-config-name": "global"} for n in shards],
            "sources": [{"source-id": f"s{n}", "enable-gtid": True, "from": endpoint(s)} for n, s in shards.items()],
            "routes": {"all": {"schema-pattern": "shard_*", "table-pattern": "sbtest*", "target-schema": "merged", "target-table": "sbtest1"}},
            "block-allow-list": {"ours": {"do-dbs": ["shard_*"]}},
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
        result = Result(seconds, usage.ru_utime + usage.ru_stime, process_cpu_s(server.pid) - cpu, usage.ru_maxrss / 1024)
        got = digests(server, ["merged.sbtest1"])
        if got != expected:
            raise SystemExit(f"the merged table is not the union of the shards: {got} != {expected}")
        return result
    finally:
        server.destroy()


def middle(results: list[Result]) -> Result:
    seconds = statistics.median_low([r.seconds for r in results])
    return next(r for r in results if r.seconds == seconds)


def main() -> None:
    binary()
    shards = {n: MariaDB(f"shard{n}", gtid_domain_id=n, innodb_buffer_pool_size="512M", innodb_log_file_size="256M",
                         max_binlog_size="1G") for n in FIRST}
    start_all(list(shards.values()))
    say(f"recording {BULK} bulk inserts and {OLTP} OLTP row changes on two shards …")
    begin = time.monotonic()
    begins = record(shards)
    changes = BULK + OLTP
    size = sum(int(row[1]) for s in shards.values() for row in s.query("SHOW BINARY LOGS"))
    expected = [sum(x) for x in zip(*(digests(s, [f"{SCHEMA[n]}.sbtest1"]) for n, s in shards.items()))]
    say(f"recorded in {time.monotonic() - begin:.0f} s: {changes} row changes, {size / 1e6:.0f} MB of binlog, MariaDB {shards[1].version}")
    say(f"downstream: fresh MariaDB for each run, binlog off, buffer pool 1G, doublewrite on; appliers {WORKERS}, batch {BATCH}; peer: 8 threads, optimistic, slave_parallel_max_queued 16M (its default of 128K is slower)")
    durable = None
    for flush in FLUSH:
        peer, ours = [], []
        for run in range(RUNS):
            peer.append(run_peer(shards, begins, flush, expected))
            ours.append(run_shardmerge(shards, begins, flush, expected))
            for name, r in (("peer", peer[-1]), ("shardmerge", ours[-1])):
                say(f"  flush={flush} run {run + 1} {name:10} {r.rate(changes):9.0f} changes/s  {r.seconds:6.1f} s  cpu {r.cpu_s:5.1f} s"
                    f"  downstream cpu {r.server_cpu_s:5.1f} s  peak {r.peak_mb:5.0f} MB")
        a, b = middle(ours), middle(peer)
        durable = durable or (a, b)
        say(f"flush={flush}: shardmerge {a.rate(changes):.0f} changes/s, {a.cpu_s:.1f} CPU s ({a.cpu_s / changes * 1e6:.2f} us a change), {a.peak_mb:.0f} MB; "
            f"peer {b.rate(changes):.0f} changes/s, {b.cpu_s:.1f} CPU s, {b.peak_mb:.0f} MB; ratio {a.rate(changes) / b.rate(changes):.2f}")
    a, b = durable
    say(f"bench stream shardmerge={a.rate(changes):.0f} peer={b.rate(changes):.0f} ratio={a.rate(changes) / b.rate(changes):.2f}")
    say(f"bench stream peak_mb={a.peak_mb:.0f} cpu_s={a.cpu_s:.1f}")


if __name__ == "__main__":
    main()
