"""`make demo-keys`: two MariaDB shards whose orders and items both start at id 1, merged under key strategies, one name that collides, the cut-over, and the proof."""
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.demo import _Pool, bold, say, step  # noqa: E402
from harness.servers import MariaDB, new_folder, start_all  # noqa: E402
from harness.sm import Failed, Scenario  # noqa: E402
from harness.workload import Shard  # noqa: E402

DDL = {"orders": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(20) NOT NULL)",
       "items": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL, what VARCHAR(20), KEY (order_id))",
       "mails": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, mail VARCHAR(40) NOT NULL, UNIQUE KEY (mail))",
       "people": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, boss INT NULL, name VARCHAR(20) NOT NULL)",
       "names": "(name VARCHAR(20) NOT NULL PRIMARY KEY, score INT NOT NULL)"}
SHARD = [{"column": "shard", "value": "${source}"}]
STRIDE = {"strategy": "stride", "shards": 16}
KEYS = {"orders": STRIDE, "items": {**STRIDE, "references": [{"column": "order_id", "table": "orders"}]},
        "mails": {"strategy": "composite", "provenance": SHARD},
        "people": {"strategy": "remap", "references": [{"column": "boss", "table": "people"}]},
        "names": {"strategy": "error", "on-collision": "conflict-table", "provenance": SHARD}}


def rows(s: Scenario, table: str) -> None:
    for row in s.rows(table):
        say("  " + " | ".join(str(v) for v in row))


def play(s: Scenario) -> None:
    s.make_downstream()
    for shard in s.shards:
        shard.server.run(f"CREATE DATABASE `{shard.schema}`", *(f"CREATE TABLE `{shard.schema}`.{t} {d}" for t, d in DDL.items()))
    s.write_task({t: t for t in DDL}, extra={"task-mode": "all"})
    for instance in s.task["mysql-instances"]:
        instance.pop("meta")
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.orders (customer) VALUES ('ann of {n}'), ('bob of {n}')",
                    "INSERT INTO {s}.items (order_id, what) VALUES (1, 'pen'), (2, 'ink')", "INSERT INTO {s}.mails (mail) VALUES ('ann@example.org')",
                    f"INSERT INTO {{s}}.people (id, boss, name) VALUES (1, 2, 'ann of {n}'), (2, NULL, 'boss of {n}')",
                    f"INSERT INTO {{s}}.names VALUES ('ann', {n}), ('only {n}', 0)")
    step("both shards count from 1; what the census says (without a strategy so far)")
    s.save()
    print(s.runner.verb("route", "--census").stdout)
    step("with a strategy for each: the targets that fit")
    for table, key in KEYS.items():
        s.task["routes"][f"r-{table}"]["key"] = key
    s.save()
    print(s.runner.verb("route", "--ddl").stdout)
    step("copy and stream, with changes of ids and a kill -9 between")
    s.start()
    s.runner.wait_caught_up()
    s.shard_run(1, "UPDATE {s}.orders SET id = 7 WHERE id = 2", "UPDATE {s}.items SET order_id = 7 WHERE order_id = 2")
    s.runner.kill9()
    s.shard_run(2, "INSERT INTO {s}.orders (customer) VALUES ('eve of 2')", "INSERT INTO {s}.items (order_id, what) VALUES (3, 'cup')")
    s.start()
    s.runner.wait_caught_up()
    for table in DDL:
        say(f"{s.target}.{table}:")
        rows(s, table)
    step("the proof: every item is beside the order it belonged to on its shard")
    good = True
    for n, shard in enumerate(s.shards):
        there = sorted(shard.server.query(f"SELECT o.customer, i.what FROM `{shard.schema}`.items i JOIN `{shard.schema}`.orders o ON o.id = i.order_id"))
        here = sorted(s.downstream.query(f"SELECT o.customer, i.what FROM `{s.target}`.items i JOIN `{s.target}`.orders o ON o.id = i.order_id "
                                         f"WHERE o.customer LIKE '%of {n + 1}'"))
        good = good and there == here
        say(f"s{n + 1}: {len(there)} pairs on the shard, {len(here)} merged: " + (bold("equal") if there == here else f"DIFFERENT: {there} {here}"))
    step("new ids: who had which one on its shard stands in the map, and every boss is still the boss")
    (name,), = s.downstream.query(f"SELECT map_table FROM `{s.meta}`.sm_remap WHERE target_table = 'people'")
    for row in s.downstream.query(f"SELECT m.source, i.old_id, i.new_id, p.name, b.name FROM `{s.meta}`.`{name}` i JOIN `{s.meta}`.sm_remap_member m "
                                  f"ON m.member = i.member AND m.target_table = 'people' JOIN `{s.target}`.people p ON p.id = i.new_id "
                                  f"LEFT JOIN `{s.target}`.people b ON b.id = p.boss ORDER BY i.new_id"):
        say("  " + " | ".join(str(v) for v in row))
        good = good and (row[4] is None or row[4] == row[3].replace("ann", "boss"))
    step("one name on both shards: the first shard's row is merged, the other is parked, and comes in when the name is free")
    print(s.runner.verb("conflicts", "--show").stdout)
    s.shard_run(2, "UPDATE {s}.names SET score = 22 WHERE name = 'ann'")
    s.shard_run(1, "DELETE FROM {s}.names WHERE name = 'ann'")
    s.runner.wait_caught_up()
    rows(s, "names")
    good = good and ("ann", 22, "s2") in s.rows("names")
    s.runner.stop()
    step("cut-over: the application counts on in the merged tables")
    s.start(until="caught-up")
    s.runner.wait_exit()
    done = s.runner.verb("finish", "--yes")
    print(done.stdout)
    s.downstream.run(f"INSERT INTO `{s.target}`.orders (customer) VALUES ('zoe, merged')")
    rows(s, "orders")
    good = good and done.returncode == 0 and s.rows("orders")[-1][1] == "zoe, merged"
    if not good:
        raise Failed("the merged tables do not agree with the shards")


def main() -> int:
    step("starting two MariaDB shards and one downstream")
    one, two, down = start_all([MariaDB("shard1"), MariaDB("shard2"), MariaDB("downstream")])
    s = Scenario(_Pool(**{"down-mariadb": down}), "demo", new_folder())
    s.shards = [Shard(one, "demo_s1", 1), Shard(two, "demo_s2", 2)]
    try:
        play(s)
        return 0
    except Failed as e:
        print(f"\nThe demo failed: {e}", file=sys.stderr)
        return 1
    finally:
        s.close()


if __name__ == "__main__":
    sys.exit(main())
