"""`make demo`: two MariaDB shards, one downstream, live writes, kill -9 in the middle, and the proof at the end.

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
SECONDS = float(os.environ.get("SHARDMERGE_DEMO_SECONDS", 10))  # of live writes before and after the kill
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
                         + (f", lag {lag / 1000:.1f} s" if isinstance(lag, (int, float)) else ""))
        written = s.work.transactions
        merged = sum(s.downstream.value(f"SELECT COUNT(*) FROM {s.target}.{t}") for t in TABLES)
        say(f"shards have committed {written} transactions | {' | '.join(parts)} | merged tables hold {merged} rows")
        if time.monotonic() >= end:
            return
        time.sleep(1)


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
    s.work.create_targets(s.downstream, s.target)
    path = s.write_task({t: f"{t}_*" for t in TABLES})
    say("on each shard: kv_0, kv_1, uniq_0, uniq_1, nokey_0, nokey_1 (no key at all), and `skipped`, which no rule takes")
    say(f"task file {path}:")
    for line in path.read_text().splitlines():
        if line.startswith(("name:", "task-mode:", "meta-schema:", "state-dir:", "allow-keyless")):
            say("  " + line)
    for base in TABLES:
        say(f"  route demo_s*.{base}_* -> {s.target}.{base}")

    step("writing to both shards, and merging them: shardmerge run")
    say(f"{program} run {path}")
    s.work.start()
    s.start()
    s.runner.wait_for("the stream to run", streaming, 20)
    show_progress(s, SECONDS)

    step(f"kill -9 {s.runner.pid}, in the middle of it; the shards go on writing")
    s.runner.kill9()
    say("the process is dead")
    time.sleep(2)
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
        say(f"{source['id']}: read {c['read']} = applied {c['applied']} + filtered {c['filtered']} + held {c['held']} + parked {c['parked']}"
            f" + missed {c['missed']} + refused {c['refused']}")
    s.runner.stop()

    step("the proof: every merged table against the union of its shard tables, row by row")
    good = True
    for base in TABLES:
        sources = s.work.sources_of(base)
        difference = compare(s.downstream, f"`{s.target}`.`{base}`", sources)
        rows = [server.value(f"SELECT COUNT(*) FROM {table}") for server, table in sources]
        merged = s.downstream.value(f"SELECT COUNT(*) FROM {s.target}.{base}")
        say(f"{base:6} {' + '.join(map(str, rows))} = {sum(rows)} rows on the shards, {merged} merged: "
            + (bold("equal, with multiplicities") if not difference else "DIFFERENT\n" + difference))
        good = good and not difference
    print()
    print(bold(f"{'merged == union of the shards' if good else 'FAILED'}: {s.work.transactions} transactions, one kill -9, "
               f"{time.monotonic() - begin:.0f} s. Servers and files are removed now."))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
