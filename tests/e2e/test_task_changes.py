"""A task file that changes while the task is under way: what would lose or bend rows is refused, and nothing is lost when it is set back."""
import random

import pytest
from harness.sm import has_code
from test_load import WAYS, settle, storm

T = {"t": "(id BIGINT PRIMARY KEY, v INT, w INT)", "other": "(id BIGINT PRIMARY KEY, v INT)"}
SHARDS = {"strategy": "composite", "provenance": [{"column": "shard", "value": "${source}", "type": "VARCHAR(20)"}]}


def make(scenario, flavor, key=None, mode="pessimistic", **rule):
    s = scenario.make_plain(T, (flavor, flavor), targets=not key, task={"shard-mode": mode})
    s.task["routes"]["r-t"].update(rule)
    for r in s.task["routes"].values() if key else ():
        r["key"] = key
    s.save()
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    return s


def start_as(s, mode):
    """The task is stopped and started with this shard-mode; none: without it."""
    if s.runner.running:
        s.runner.stop()
    s.task.pop("shard-mode", None)
    if mode:
        s.task["shard-mode"] = mode
    s.save()
    s.start()


def refused(s, *words):
    assert s.runner.wait_exit(30) == 2, s.runner.log_tail()
    log = s.runner.log()
    assert has_code(log, "STATE_TASK_CHANGED") and "set shard-mode back" in log, s.runner.log_tail()
    assert all(w in log for w in words), (words, s.runner.log_tail())


@pytest.mark.parametrize("mode,back", [("pessimistic", "optimistic"), ("optimistic", "pessimistic")])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_shard_mode_taken_out_while_rows_are_held(scenario, flavor, mode, back):
    s = make(scenario, flavor, mode=mode)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 1)", "ALTER TABLE {s}.t RENAME COLUMN v TO n", "INSERT INTO {s}.t VALUES (2, 2, 2), (3, 3, 3)")
    s.runner.wait_for("held rows", lambda st: any(x["counters"]["held"] == 2 for x in st["sources"]))
    start_as(s, None)
    refused(s, f"{s.shards[0].schema}.t of source s1", f"held for the target {s.target}.t")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (4, 4, 4)")
    s.start()
    refused(s, "are held for")
    start_as(s, back)
    s.shard_run(2, "ALTER TABLE {s}.t RENAME COLUMN v TO n")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, n, w") == [(i, i, i) for i in (1, 2, 3, 4)]


def test_shard_mode_taken_out_when_a_table_has_left(scenario):
    s = make(scenario, "mariadb", SHARDS, **{"on-drop": "ignore"})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 1)", "DROP TABLE {s}.t")
    s.runner.wait_for("leaving", lambda _: "shard.left" in s.runner.log())
    s.runner.wait_caught_up()
    s.runner.stop()
    del s.task["routes"]["r-t"]["on-drop"]
    start_as(s, None)
    refused(s, f"{s.shards[0].schema}.t of source s1 has left the target {s.target}.t")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_shard_mode_taken_out_when_all_is_closed(scenario, flavor):
    """Where the binlog does not name columns, v and w would be taken one for the other without the history."""
    s = make(scenario, flavor)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t MODIFY v INT AFTER w", f"INSERT INTO {{s}}.t (id, v, w) VALUES ({n}, 7, 8)")
    s.runner.wait_caught_up()
    s.runner.wait_for("the lock's end", lambda st: "lock.closed" in s.runner.log())
    start_as(s, None)
    refused(s, "schema change of table", "was followed", "MODIFY v INT AFTER w")
    start_as(s, "optimistic")
    s.shard_run(1, "INSERT INTO {s}.t (id, v, w) VALUES (3, 7, 8)")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, v, w") == [(i, 7, 8) for i in (1, 2, 3)]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_shard_mode_taken_out_when_nothing_was_followed(scenario, flavor):
    """Tables that were made since are no change. The first one stops its source, and is followed once shard-mode is set again."""
    s = scenario.make_plain(T, (flavor, flavor), task={"shard-mode": "pessimistic"})
    s.task["routes"]["r-t"]["table-pattern"] = "t*"
    s.task["block-allow-list"]["ours"]["do-tables"][0]["tbl-name"] = "t*"
    s.save()
    s.start()
    s.runner.wait_caught_up()
    s.shard_run(1, "CREATE TABLE {s}.t_2 (id BIGINT PRIMARY KEY, w INT, v INT)", "INSERT INTO {s}.t_2 (id, v, w) VALUES (1, 7, 8)")
    s.runner.wait_caught_up()
    start_as(s, None)
    s.shard_run(1, "INSERT INTO {s}.t_2 (id, v, w) VALUES (2, 7, 8)", "INSERT INTO {s}.t (id, v, w) VALUES (3, 7, 8)", "UPDATE {s}.t_2 SET v = 9 WHERE id = 1")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, v, w") == [(1, 9, 8), (2, 7, 8), (3, 7, 8)]
    s.shard_run(1, "ALTER TABLE {s}.t_2 ADD INDEX i (v)", "INSERT INTO {s}.t_2 (id, v, w) VALUES (4, 7, 8)")
    s.runner.wait_error("s1", "SOURCE_DDL")
    start_as(s, "pessimistic")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, v, w") == [(1, 9, 8), (2, 7, 8), (3, 7, 8), (4, 7, 8)]


# -- references by foreign keys ---------------------------------------------------------------------------------------
def test_foreign_keys_switched_off(scenario):
    """items finds the ids of orders, which are rewritten, by its foreign key alone."""
    s = scenario
    s.make_downstream()
    s.make_shards(("mariadb", "mariadb"))
    for shard in s.shards:
        shard.server.run(f"CREATE DATABASE `{shard.schema}` DEFAULT CHARACTER SET utf8mb4",
                         f"CREATE TABLE `{shard.schema}`.orders (id BIGINT PRIMARY KEY, v INT)",
                         f"CREATE TABLE `{shard.schema}`.items (code VARCHAR(20) PRIMARY KEY, order_id BIGINT, "
                         f"CONSTRAINT fk1 FOREIGN KEY (order_id) REFERENCES orders (id))")
    s.write_task({"orders": "orders", "items": "items"})
    s.task["routes"]["r-orders"]["key"] = {"strategy": "stride", "shards": 4}
    s.save()

    def fill(order):
        for n in (1, 2):
            s.shard_run(n, f"INSERT INTO {{s}}.orders VALUES ({order}, {n})", f"INSERT INTO {{s}}.items VALUES ('c{n}_{order}', {order})")

    def joined():
        return s.downstream.query(f"SELECT i.code, o.v FROM `{s.target}`.items i LEFT JOIN `{s.target}`.orders o ON o.id = i.order_id ORDER BY 1")

    s.start()
    fill(7)
    s.runner.wait_caught_up()
    s.runner.stop()
    s.task["routes"]["r-items"]["key"] = {"foreign-keys": False}
    s.save()
    fill(9)
    s.start()
    assert s.runner.wait_exit(30) == 2, s.runner.log_tail()
    assert has_code(s.runner.log(), "STATE_TASK_CHANGED") and "without foreign keys" in s.runner.log(), s.runner.log_tail()
    del s.task["routes"]["r-items"]["key"]
    s.save()
    s.start()
    s.runner.wait_caught_up()
    assert joined() == [("c1_7", 1), ("c1_9", 1), ("c2_7", 2), ("c2_9", 2)]


# -- the order of rules -----------------------------------------------------------------------------------------------
def test_rules_in_another_order(scenario):
    """Both match, and lead to one target: the first says what the rows are marked with."""
    s = scenario.make_plain({"t": T["t"]}, targets=False)
    rule = s.task["routes"]["r-t"]
    rule["key"] = SHARDS
    s.task["routes"]["r-more"] = {**rule, "schema-pattern": f"{s.unique}*", "key": {**SHARDS, "provenance": [{"column": "shard", "value": "x${source}", "type": "VARCHAR(20)"}]}}
    for instance in s.task["mysql-instances"]:
        instance["route-rules"] = ["r-t", "r-more"]
    s.save()
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 1)")
    s.runner.wait_caught_up()
    s.runner.stop()
    for instance in s.task["mysql-instances"]:
        instance["route-rules"] = ["r-more", "r-t"]
    s.save()
    s.start()
    assert s.runner.wait_exit(30) == 2 and has_code(s.runner.log(), "STATE_TASK_CHANGED"), s.runner.log_tail()
    for instance in s.task["mysql-instances"]:
        instance["route-rules"] = ["r-t", "r-more"]
    s.save()
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 2, 2)", "UPDATE {s}.t SET v = 9 WHERE id = 1")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, v, shard") == [(1, 9, "s1"), (2, 2, "s1")]


# -- what says how, not what ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["mariadb", "mysql-gtid"])
def test_run_settings_change_between_kills(scenario, way):
    """How rows are copied, cut and gathered may change at any moment, under writes."""
    flavors, gtid, options = WAYS[way]
    s = storm(scenario, flavors, gtid, rows=400, server_options=options)
    chance = random.Random(str(s.storms[0].shard.schema))
    s.task.pop("syncers", None)
    for instance in s.task["mysql-instances"]:
        instance.pop("syncer-config-name", None)
    for i in range(4):
        s.task["load"] = {"consistency": ["chunk", "snapshot"][i % 2], "chunk-rows": chance.choice([7, 15, 40]), "readers": chance.choice([1, 2, 4])}
        s.task["split-transaction-rows"] = chance.choice([1, 2, 5, 1000])
        s.task["mysql-instances"][0]["syncer"] = {"worker-count": chance.choice([1, 2, 5]), "batch": chance.choice([1, 10, 500])}
        start_as(s, [None, "pessimistic", "optimistic"][i % 3])
        s.runner.wait_for("a part", lambda st: st["load"] and st["load"]["rows"] > 150 * i)
        s.runner.kill9()
    s.start()
    settle(s)
