"""`make demo`: two MariaDB shards full of rows, one downstream, live writes, a kill -9 in the copy and one in the stream, and the
proof at the end.

Everything lives in a temporary folder and on free ports of the loopback, and is gone afterwards."""
from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.oracle import compare  # noqa: E402
from harness.servers import MariaDB, new_folder, start_all  # noqa: E402
from harness.sm import Failed, Scenario, binary  # noqa: E402
from harness.workload import Shard, Workload  # noqa: E402

TABLES = ("kv", "uniq", "nokey")
SECONDS = float(os.environ.get("SHARDMERGE_DEMO_SECONDS", 6))  # of live writes before and after the kill of the stream
ROWS = int(os.environ.get("SHARDMERGE_DEMO_ROWS", 400000))     # that are there before, over both shards
COLOR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if COLOR else text


def step(text: str) -> None:
    print("\n" + bold(f"==> {text}"), flush=True)


def say(text: str) -> None:
    print("    " + text, flush=True)


def show_progress(s: Scenario, seconds: float) -> None:
    """Once a second: what status says of each source."""
    end = time.monotonic() + seconds
    while True:
        status = s.runner.status()
        parts = []
        for source in status["sources"]:
            c = source["counters"]
            lag = source.get("lag_ms")
            parts.append(f"{source['id']}: {source['state']}, {c['applied']} applied, {c['filtered']} filtered"
                         + (f", {c['loaded']} in the copy already" if c.get("loaded") else "") + (f", lag {lag / 1000:.1f} s" if isinstance(lag, (int, float)) else ""))
        written = s.work.transactions
        merged = sum(s.downstream.value(f"SELECT COUNT(*) FROM {s.target}.{t}") for t in TABLES)
        say(f"shards have committed {written} transactions | {' | '.join(parts)} | merged tables hold {merged} rows")
        if time.monotonic() >= end:
            return
        time.sleep(1)


def fill(shard: Shard, rows: int) -> None:
    """Rows that are there before anybody looks: most of them in kv, some with two unique keys, a few without any key."""
    first = shard.id0 + 5 * 10**11  # far from the ids that the writers take
    conn = shard.server.connect(database=shard.schema)
    with conn.cursor() as c:
        for i in range(2):
            for at in range(0, rows * 4 // 10, 20000):
                last = min(at + 20000, rows * 4 // 10) - 1
                c.execute(f"INSERT INTO kv_{i} SELECT {first} + 2 * seq + {i}, seq, REPEAT(MD5(seq), 3) FROM seq_{at}_to_{last}")
            c.execute(f"INSERT INTO uniq_{i} SELECT {first} + 2 * seq + {i}, {first} + 2 * seq + {i}, CONCAT('{shard.letters}old-{i}-', seq), seq"
                      f" FROM seq_1_to_{rows // 10}")
            c.execute(f"INSERT INTO nokey_{i} SELECT seq % 20, CONCAT('twice ', seq % 30), seq / 8 FROM seq_1_to_60")
        c.execute("ANALYZE TABLE " + ", ".join(f"{t}_{i}" for t in TABLES for i in range(2)))
        c.fetchall()
    conn.close()


def show_copy(s: Scenario, until: float = 101, timeout: float = 120) -> dict:
    """How far the copy is, until so many percent, or all of it."""
    end = time.monotonic() + timeout
    while True:
        status = s.runner.status()
        load = status.get("load") or {}
        if load.get("state") in ("loading", "done"):
            left = load.get("eta_s")
            say(f"copied {load['rows']:>8,} of about {load['rows_estimated']:,} rows, {load.get('percent') or 0:5.1f} %, {load['rows_per_s']:>7,.0f} rows/s"
                + (f", about {left} s left" if left is not None and load["state"] == "loading" else "")
                + f" | the shards have committed {s.work.transactions} transactions meanwhile")
            if load["state"] == "done" or (load.get("percent") or 0) >= until:
                return load
        if time.monotonic() > end:
            raise Failed(f"the copy is not done after {timeout} s\n{s.runner.log_tail()}")
        time.sleep(0.7)


def streaming(status: dict) -> bool:
    return bool(status["sources"]) and all(x["state"] == "streaming" for x in status["sources"])


class _Pool:
    """What Scenario needs of a pool: servers that are there already."""

    def __init__(self, **servers):
        self.servers = servers

    def get(self, name, _flavor):
        return self.servers[name]


def main() -> int:
    program = binary()
    begin = time.monotonic()
    print(bold("shardmerge demo: two shards, one table, exactly once"))
    step("starting two MariaDB shards and one downstream")
    one, two, down = start_all([MariaDB("shard1"), MariaDB("shard2"), MariaDB("downstream")])
    folder = new_folder()
    for label, server in (("shard s1", one), ("shard s2", two), ("downstream", down)):
        say(f"{label:10}  127.0.0.1:{server.port}  MariaDB {server.version}  in {server.folder}")
    s = Scenario(_Pool(**{"down-mariadb": down}), "demo", folder)
    try:
        return play(s, one, two, program, begin)
    except Failed as e:
        print(f"\nThe demo failed: {e}", file=sys.stderr)
        return 1
    finally:
        s.close()


def play(s: Scenario, one: MariaDB, two: MariaDB, program: str, begin: float) -> int:
    s.make_downstream()
    s.shards = [Shard(one, "demo_s1", 1), Shard(two, "demo_s2", 2)]
    s.work = Workload(s.shards, tables=TABLES, transactions=0, pause_s=0.003, big_transactions=0)
    s.work.create()
    for shard in s.shards:
        fill(shard, ROWS // len(s.shards))
    path = s.write_task({t: f"{t}_*" for t in TABLES}, extra={"task-mode": "all", "load": {"readers": 2, "chunk-rows": 5000}})
    for instance in s.task["mysql-instances"]:
        instance.pop("meta")
    s.save()
    held = sum(server.value(f"SELECT COUNT(*) FROM {table}") for base in TABLES for server, table in s.work.sources_of(base))
    say("on each shard: kv_0, kv_1, uniq_0, uniq_1, nokey_0, nokey_1 (no key at all), and `skipped`, which no rule takes")
    say(f"they hold {held:,} rows already; nothing is merged yet, the target tables do not even exist")
    say(f"task file {path}:")
    for line in path.read_text().splitlines():
        if line.startswith(("name:", "task-mode:", "meta-schema:", "state-dir:", "allow-keyless")):
            say("  " + line)
    for base in TABLES:
        say(f"  route demo_s*.{base}_* -> {s.target}.{base}")

    step("before anything runs: shardmerge check")
    done = s.runner.verb("check")
    if done.returncode != 0:
        raise Failed(f"check ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    for line in done.stdout.partition("\ncopy\n")[2].splitlines():
        if line.strip():
            say(line.strip())

    step("both shards are being written; shardmerge run copies what is there and joins it to what comes")
    say(f"{program} run {path}")
    s.work.start()
    s.start()
    load = show_copy(s, until=35)

    step(f"kill -9 {s.runner.pid}, in the middle of the copy; the shards go on writing")
    s.runner.kill9()
    say("the process is dead")
    time.sleep(1)

    step("the same command again: what was copied stays copied, the rest follows")
    s.start()
    again = show_copy(s)
    say(f"all {again['rows']:,} rows are there; {load['rows']:,} of them from before the kill")

    step("the stream goes on by itself")
    s.runner.wait_for("the stream to run", streaming, 30)
    show_progress(s, SECONDS)

    step(f"kill -9 {s.runner.pid}, in the middle of the stream")
    s.runner.kill9()
    time.sleep(1)
    say(f"meanwhile the shards have committed {s.work.transactions} transactions")

    step("the same command again: it goes on where the downstream says it was")
    s.start()
    s.runner.wait_for("the stream to run", streaming, 20)
    show_progress(s, SECONDS)

    step("the shards stop writing; waiting until everything is merged")
    s.work.stop()
    status = s.runner.wait_caught_up(60)
    for source in status["sources"]:
        c = source["counters"]
        say(f"{source['id']}: changes read {c['read']} = applied {c['applied']} + in the copy already {c['loaded']} + filtered {c['filtered']}"
            f" + held {c['held']} + parked {c['parked']} + missed {c['missed']} + refused {c['refused']}")
    s.runner.stop()

    step("the proof: every merged table against the union of its shard tables, row by row")
    good = True
    for base in TABLES:
        sources = s.work.sources_of(base)
        difference = compare(s.downstream, f"`{s.target}`.`{base}`", sources)
        rows = [server.value(f"SELECT COUNT(*) FROM {table}") for server, table in sources]
        merged = s.downstream.value(f"SELECT COUNT(*) FROM {s.target}.{base}")
        say(f"{base:6} {' + '.join(f'{n:,}' for n in rows)} = {sum(rows):,} rows on the shards, {merged:,} merged: "
            + (bold("equal, with multiplicities") if not difference else "DIFFERENT\n" + difference))
        good = good and not difference
    print()
    print(bold(f"{'merged == union of the shards' if good else 'FAILED'}: {s.work.transactions} transactions, two kill -9, "
               f"{time.monotonic() - begin:.0f} s. Servers and files are removed now."))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
