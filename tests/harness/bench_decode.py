"""`make bench-decode`: decoding of binlogs, in memory, on one core, against libmariadb's own row decoding and mariadb-binlog on the
same files.

One MariaDB writes two binlogs: bulk INSERTs of 1000 rows of 190 bytes, and as many transactions of one such row. Each program
reads them several times; CPU seconds of the best of three runs count. The line that sums it up:

    bench decode bulk_mb_s=N rows_s=N tx_s=N peer_mb_s=N ratio=N.NN

bulk_mb_s, rows_s: the bulk file, checksums verified, rows split into their columns. tx_s: the same of the one-row transactions.
peer_mb_s: libmariadb's mariadb_rpl_extract_rows on the bulk file's events, which it has read before, without checksums. ratio: ours
against that, without checksums on both sides. What a thread really does with a transaction is `assembled` in the lines before.

Sizes: SHARDMERGE_BENCH_ROWS rows of each kind (default 200000 of bulk, a quarter as transactions).
"""
from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import bench_stream  # noqa: E402
from harness.bench_stream import say  # noqa: E402
from harness.servers import MariaDB, PASSWORD, USER  # noqa: E402

ROWS = int(os.environ.get("SHARDMERGE_BENCH_ROWS", 200000))
PROGRAM = Path(os.environ.get("SHARDMERGE_BENCH_DECODE", "build/release/bench/bench_decode"))
DDL = bench_stream.DDL.replace(" CHAR(", " VARCHAR(")  # libmariadb cannot read a CHAR that may have more than 255 bytes
KEEP = os.environ.get("SHARDMERGE_BENCH_KEEP")  # a folder: the two files are copied there, for a profiler
DIGITS = "LPAD(FLOOR(RAND() * 100000000000), 11, '0')"
VALUES = f"FLOOR(RAND() * 100000), CONCAT_WS('-', {', '.join([DIGITS] * 10)}), CONCAT_WS('-', {', '.join([DIGITS] * 5)})"


def record(server: MariaDB, name: str, *statements: str) -> Path:
    """The statements in a binlog of their own, which begins with its table."""
    server.run("RESET MASTER", f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t {DDL}")
    conn = server.connect(database=name)
    with conn.cursor() as cur:
        for s in statements:
            cur.execute(s)
    conn.close()
    file, _ = server.binlog_position()
    server.run("FLUSH BINARY LOGS")
    return server.datadir / file


def figures(line: str) -> dict[str, float]:
    return {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", line)}


def run(*command: str) -> dict[str, dict[str, float]]:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return {line.split()[0]: figures(line) for line in done.stdout.splitlines()}


def mariadb_binlog(path: Path, *options: str) -> float:
    """MB/s of CPU time, best of three."""
    best = 0.0
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["mariadb-binlog", *options, str(path)], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = max(best, path.stat().st_size / 1e6 / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return best


def measure(server: MariaDB, name: str, path: Path) -> tuple[dict, dict]:
    ours = run(str(PROGRAM), str(path), "3")
    peer = run(str(PROGRAM), "--peer", str(server.socket_path), USER, PASSWORD, path.name)["peer"]
    for depth, f in [*ours.items(), ("libmariadb", peer)]:
        counts = f" rows_s={f['rows_s']:.0f} tx_s={f['tx_s']:.0f}" if f["rows_s"] > 1000 else ""
        say(f"{name} {depth} mb_s={f['mb_s']:.0f}{counts}")
    if ours["all"]["rows"] != peer["rows"] * 3 or ours["assembled"]["rows"] != ours["all"]["rows"]:
        raise SystemExit(f"{name}: the programs have not read the same rows: {ours} {peer}")
    say(f"{name} mariadb-binlog mb_s={mariadb_binlog(path):.0f} verbose_mb_s={mariadb_binlog(path, '--base64-output=decode-rows', '-v'):.0f}")
    return ours, peer


def main() -> None:
    server = MariaDB("bench").start()
    try:
        bulk = [f"INSERT INTO t SELECT seq, {VALUES} FROM seq_{at + 1}_to_{min(at + 1000, ROWS)}" for at in range(0, ROWS, 1000)]
        path = record(server, "bulk", *bulk)
        if KEEP:
            (Path(KEEP) / "bulk.binlog").write_bytes(path.read_bytes())
        ours, peer = measure(server, "bulk", path)
        path = record(server, "tx", f"BEGIN NOT ATOMIC FOR i IN 1..{ROWS // 4} DO INSERT INTO t SELECT i, {VALUES}; END FOR; END")
        if KEEP:
            (Path(KEEP) / "tx.binlog").write_bytes(path.read_bytes())
        single, _ = measure(server, "tx", path)
        say(f"bench decode bulk_mb_s={ours['all']['mb_s']:.0f} rows_s={ours['all']['rows_s']:.0f} tx_s={single['all']['tx_s']:.0f} "
            f"peer_mb_s={peer['mb_s']:.0f} ratio={ours['rows']['mb_s'] / peer['mb_s']:.2f}")
    finally:
        server.destroy()


if __name__ == "__main__":
    main()
