"""A shard table is emptied, dropped or renamed while it is copied: what was copied of it goes from the target where the policy of its
route says so, what was not is read later as it is then."""
import time

import pytest
from harness.oracle import assert_counters
from test_ddl_copy import FLAVORS, LOAD, MODES, SLOWLY, T, Writers, alive, copied, is_held, seed_of, stop_writers, wait_copied
from test_ddl_policies import KEY, has_table, locks

GONE = {"on-truncate": "delete-shard-rows", "on-drop": "delete-shard-rows", "on-rename-out": "delete-shard-rows"}
ALL = {"on-truncate": "apply-when-all", "on-drop": "apply-when-all", "on-drop-partition": "apply-when-all"}


def make(scenario, flavor, seed, mode="pessimistic", policies=None, keyed=True, gtid=True, tables=None, writers=True, load=None):
    tables = tables or T
    s = scenario.make_plain(tables, (flavor, flavor), "mysql" if flavor == "mysql" else "mariadb", gtid=gtid, targets=False,
                            task={"task-mode": "all", "shard-mode": mode, "load": {**LOAD, **(load or {})}})
    for t in tables:
        if keyed:
            s.task["routes"][f"r-{t}"]["key"] = KEY
    s.task["routes"]["r-t"].update(GONE if policies is None else policies)
    s.save()
    s.writers = [Writers(x, seed) for x in s.shards]
    for w in s.writers:
        w.fill()
        if writers:
            w.start()
    return s


def expected(s, cols="id, v, w"):
    return sorted(((*r, f"s{x.number}") for x in s.shards if x.server.query("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND "
                   "TABLE_NAME = 't'", (x.schema,)) for r in x.server.query(f"SELECT {cols} FROM `{x.schema}`.t")), key=repr)


def same(s, cols="id, v, w"):
    got, want = sorted(s.rows("t", f"{cols}, shard"), key=repr), expected(s, cols)
    assert got == want, f"only merged {[r for r in got if r not in want][:8]}, only shards {[r for r in want if r not in got][:8]}"


def settle(s, cols="id, v, w", timeout=120):
    """Also when the program dies of a fault on the way."""
    stop_writers(s)
    end = time.monotonic() + timeout
    while True:
        alive(s)
        try:
            status = s.runner.wait_caught_up(max(1, end - time.monotonic()))
            break
        except AssertionError:
            if s.runner.running:
                raise
    assert status["load"]["state"] == "done", status["load"]
    same(s, cols)
    assert_counters(status)
    s.runner.stop()
    return status


def until_copied(s, n, rows):
    end = time.monotonic() + 60
    while time.monotonic() < end and copied(s, f"s{n}")[0] < rows:
        alive(s)
        time.sleep(0.05)


@pytest.mark.parametrize("flavor,mode", [("mariadb", "pessimistic"), ("mysql", "optimistic"), ("mysql", "pessimistic")])
def test_truncated_in_the_middle(scenario, flavor, mode):
    """Twice; the rows that come in between have the ids of those that went."""
    s = make(scenario, flavor, seed_of(), mode, gtid=mode == "pessimistic")
    s.start()
    wait_copied(s, 1, 150)
    s.shard_run(1, "TRUNCATE TABLE {s}.t")
    wait_copied(s, 2, 300)
    s.shard_run(1, "TRUNCATE TABLE {s}.t", "INSERT IGNORE INTO {s}.t (id, v) VALUES (1000000, 1), (1000003, 2), (1002000, 3)")
    s.shard_run(2, "TRUNCATE TABLE {s}.t")
    settle(s)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_truncated_by_all(scenario, flavor):
    """It waits, frozen; when both did it, the target is emptied, and the copies go on."""
    s = make(scenario, flavor, seed_of(), policies=ALL)
    s.start(**SLOWLY)
    wait_copied(s, 1, 50)
    s.shard_run(1, "TRUNCATE TABLE {s}.t")
    s.runner.wait_for("held", is_held, 60)
    wait_copied(s, 2, 100)
    s.runner.kill9()
    s.start()
    s.runner.wait_for("held still", is_held, 60)
    said = locks(s, "--decide", "skip", "--source", "s1", "--target", f"{s.target}.t")
    stay = s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.t WHERE shard = 's1'")[0][0]
    assert f"it is copied in part: {copied(s, 's1')[0]} rows of it that were copied before the statement stay" in said and stay, said
    s.shard_run(2, "TRUNCATE TABLE {s}.t")
    settle(s)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_dropped_in_the_middle_and_made_again(scenario, flavor):
    """It leaves, its copy with it; made again, changes of ids that were copied are written, the others are in what is read."""
    s = make(scenario, flavor, seed_of())
    s.start()
    wait_copied(s, 1, 150)
    s.writers[0].stop()
    made = s.shards[0].server.query(f"SHOW CREATE TABLE `{s.shards[0].schema}`.t")[0][1]
    s.shard_run(1, "DROP TABLE {s}.t")
    s.runner.wait_for("the shard to leave", lambda _: "shard.left" in s.runner.log(), 60)
    assert not s.downstream.query(f"SELECT 1 FROM `{s.target}`.t WHERE shard = 's1'")
    s.writers = s.writers[1:]
    s.runner.kill9()
    s.start()
    s.shard_run(1, made.replace("CREATE TABLE `t`", "CREATE TABLE {s}.t"), "INSERT INTO {s}.t (id, v) VALUES (1000000, 1), (1000003, 2), (1002000, 3)",
                "UPDATE {s}.t SET v = 7 WHERE id = 1000003", "UPDATE {s}.t SET id = 1002001 WHERE id = 1000000")
    settle(s)


def test_made_again_with_another_key(scenario):
    """The ranges that were copied of the one before cannot be told in it: nothing behind the statement is written."""
    s = make(scenario, "mariadb", seed_of(), writers=False)
    s.start(**SLOWLY)
    wait_copied(s, 1, 17)
    s.shard_run(1, "DROP TABLE {s}.t", "CREATE TABLE {s}.t (id BIGINT NOT NULL, v INT NOT NULL, w VARCHAR(40), PRIMARY KEY (v, id))")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "copied in part" in error["message"] and "CREATE TABLE" in error["message"], error


@pytest.mark.parametrize("flavor", FLAVORS)
def test_dropped_by_all(scenario, flavor):
    """The target goes; nobody reads tables that are not there."""
    s = make(scenario, flavor, seed_of(), policies=ALL, writers=False)
    s.start()
    for n in (1, 2):
        wait_copied(s, n, 150 * n)
        s.shard_run(n, "DROP TABLE {s}.t")
    end = time.monotonic() + 60
    while has_table(s) and time.monotonic() < end:
        time.sleep(0.1)
    assert not has_table(s), s.runner.log_tail()
    s.shard_run(1, "INSERT INTO {s}.other VALUES (5, 5)")
    for _ in range(2):
        status = s.runner.wait_caught_up()
        assert status["load"]["state"] == "done", status["load"]
        s.runner.kill9()
        s.start()
    assert list(s.downstream.query(f"SELECT v FROM `{s.target}`.other WHERE id = 5 AND shard = 's1'")) == [(5,)]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_renamed_in_the_middle(scenario, flavor):
    """Inside its group nothing else changes; out of it, what was copied goes, and it leaves."""
    s = make(scenario, flavor, seed_of(), writers=False)
    s.task["routes"]["r-t"]["table-pattern"] = "t*"
    s.task["block-allow-list"]["ours"]["do-tables"].append({"db-name": f"{s.unique}_s*", "tbl-name": "t_*"})
    s.save()
    s.start()
    for n in (1, 2):
        wait_copied(s, n, 150 * n)
    s.shard_run(1, "UPDATE {s}.t SET v = v + 1", "RENAME TABLE {s}.t TO {s}.t_9", "UPDATE {s}.t_9 SET v = v + 1", "INSERT INTO {s}.t_9 (id, v) VALUES (5, 5)")
    s.shard_run(2, "RENAME TABLE {s}.t TO {s}.gone_2", "UPDATE {s}.gone_2 SET v = v + 1")
    s.runner.kill9()
    s.start()
    status = s.runner.wait_caught_up(120)
    assert status["load"]["state"] == "done", status["load"]
    assert sorted(s.rows("t", "id, v, shard")) == sorted((*r, "s1") for r in s.shards[0].server.query(f"SELECT id, v FROM `{s.shards[0].schema}`.t_9"))
    s.runner.stop()


@pytest.mark.parametrize("policy", ["hold", "ignore"])
def test_refused_where_half_a_table_would_stay(scenario, policy):
    """It stops before the statement; with a policy that is exact it goes on."""
    s = make(scenario, "mariadb", seed_of(), policies={"on-truncate": policy})
    s.start(**SLOWLY)
    wait_copied(s, 1, 50)
    s.shard_run(1, "TRUNCATE TABLE {s}.t")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "copied in part" in error["message"] and "on-truncate" in error["remedy"], error
    s.runner.stop()
    s.task["routes"]["r-t"]["on-truncate"] = "delete-shard-rows"
    s.save()
    s.start()
    settle(s)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_held_while_nothing_is_copied(scenario, flavor):
    """The lock asks, as always: whatever is decided, the rows are read later."""
    s = make(scenario, flavor, seed_of(), policies={}, writers=False)
    s.task["retry-max"] = 600
    s.save()
    s.start("load.connect=error@*")
    s.runner.wait_for("streaming", lambda st: len(st["sources"]) == 2 and all(x["state"] == "loading" for x in st["sources"]))
    s.shard_run(1, "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t (id, v) VALUES (5, 5)")
    s.runner.wait_for("held", is_held, 60)
    s.runner.kill9()
    s.start()
    s.runner.wait_for("held still", is_held, 60)
    locks(s, "--decide", "skip", "--source", "s1", "--target", f"{s.target}.t", "--yes")
    settle(s)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_partition_goes(scenario, flavor):
    """Of all shards: the target's goes, and each copy goes on with the rest."""
    parts = " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (1000900), PARTITION p1 VALUES LESS THAN MAXVALUE)"
    tables = {**T, "t": T["t"] + parts}
    s = scenario.make_plain(tables, (flavor, flavor), "mysql" if flavor == "mysql" else "mariadb",
                            task={"task-mode": "all", "shard-mode": "pessimistic", "load": LOAD})
    s.task["routes"]["r-t"].update(ALL)
    s.save()
    for x in s.shards:
        Writers(x, 1).fill()
    s.start()
    for n in (1, 2):
        wait_copied(s, n, 150)
        s.shard_run(n, "ALTER TABLE {s}.t DROP PARTITION p0", "UPDATE {s}.t SET v = v + 1")
    status = s.runner.wait_caught_up(120)
    assert status["load"]["state"] == "done", status["load"]
    want = sorted(r for x in s.shards for r in x.server.query(f"SELECT id, v FROM `{x.schema}`.t"))
    assert sorted(s.rows("t", "id, v")) == want
    assert_counters(status)
    s.runner.stop()


FAULTS = ["ddl.step=kill@1", "ddl.lock=kill@2", "ddl.lock=kill@4", "loss.deleted=kill@1", "loss.done=kill@1", "ddl.round=kill@1", "ddl.round_over=kill@1",
          "load.before_send=kill@40", "apply.after_commit=kill@60"]


@pytest.mark.parametrize("fault", FAULTS)
def test_killed(scenario, fault):
    s = make(scenario, FLAVORS[len(fault) % 2], seed_of(), MODES[len(fault) // 2 % 2])
    s.start(fault)
    until_copied(s, 1, 150)
    s.shard_run(1, "TRUNCATE TABLE {s}.t")
    until_copied(s, 2, 200)
    s.shard_run(2, "TRUNCATE TABLE {s}.t")
    settle(s)


@pytest.mark.parametrize("fault", ["ddl.sent=kill", "ddl.altered=kill", "ddl.round_over=kill"])
def test_killed_while_the_target_is_emptied(scenario, fault):
    s = make(scenario, FLAVORS[len(fault) % 2], seed_of(), policies=ALL)
    s.start(fault)
    for n in (1, 2):
        until_copied(s, n, 150 * n)
        s.shard_run(n, "TRUNCATE TABLE {s}.t")
    settle(s)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_name_is_used_again(scenario, flavor):
    """Two shard tables that had the same name first, each copied once, whatever is killed."""
    s = make(scenario, flavor, seed_of(), writers=False, policies={}, load={"rows-per-second": 0})
    s.task["routes"]["r-t"]["table-pattern"] = "t*"
    s.task["block-allow-list"]["ours"]["do-tables"].append({"db-name": f"{s.unique}_s*", "tbl-name": "t_*"})
    del s.task["routes"]["r-t"]["key"]
    s.save()
    s.start()
    s.runner.wait_caught_up(60)
    s.shard_run(1, "RENAME TABLE {s}.t TO {s}.t_9", "UPDATE {s}.t_9 SET v = v + 1", f"CREATE TABLE {{s}}.t {T['t']}",
                "INSERT INTO {s}.t (id, v) VALUES (5, 5), (6, 6)")
    s.runner.wait_caught_up(60)
    for _ in range(2):
        s.runner.kill9()
        s.start()
        s.shard_run(1, "UPDATE {s}.t SET v = v + 1", "UPDATE {s}.t_9 SET v = v + 1")
        s.runner.wait_caught_up(60)
    x, y = s.shards
    want = sorted((*r, "") for sh, t in ((x, "t"), (x, "t_9"), (y, "t")) for r in sh.server.query(f"SELECT id, v FROM `{sh.schema}`.{t}"))
    assert sorted((*r, "") for r in s.rows("t", "id, v")) == want
    s.runner.stop()
