"""Shards add a column with different values for the rows that were there, then agree on its definition: every row of the merged table has the
value that its own shard has."""
import os
import random

import pytest
from harness.oracle import assert_counters
from harness.proxy import Proxy
from harness.sm import has_code
from test_ddl_policies import IDS, KEY, MIXES, MODES, caught_up, held, locks, start, wait_rows

T = {"t": "(id BIGINT PRIMARY KEY, v INT, seen DATETIME NOT NULL DEFAULT '2001-01-01' ON UPDATE CURRENT_TIMESTAMP)", "other": "(id BIGINT PRIMARY KEY, v INT)"}
BY_IDS = {"strategy": "partition-id", "instances": {"s1": 1, "s2": 2}}


def make(scenario, flavors=("mariadb", "mariadb"), downstream="mariadb", mode="pessimistic", key=KEY, **task):
    s = scenario.make_plain(T, flavors, downstream, targets=False, task={"shard-mode": mode, **task})
    for route in s.task["routes"].values():
        route["key"] = key
    s.save()
    return s


def both(s, statement):
    for n in (1, 2):
        s.shard_run(n, statement)


def many(a, b):
    return "INSERT INTO {s}.t (id, v) VALUES " + ", ".join(f"({i}, {i})" for i in range(a, b + 1))


def rows(s, cols):
    return sorted(s.downstream.query(f"SELECT {cols}, shard FROM `{s.target}`.t"), key=repr)


def union(s, cols):
    return sorted((row + (f"s{sh.number}",) for sh in s.shards for row in sh.server.query(f"SELECT {cols} FROM `{sh.schema}`.t")), key=repr)


def merged(s, cols="id, v, seen, c"):
    status = caught_up(s)
    assert rows(s, cols) == union(s, cols)
    assert held(s) == []
    return status


def lock_is_gone(s):
    s.runner.wait_for("the lock to close", lambda st: not any(t["lock"] for t in st["targets"]), 60)


def differ(s):
    """Rows of before, rows in between that bring values of their own, and rows behind; more than a batch. The second shard's wait until the first has
    the same definition."""
    both(s, many(1, 2300))
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 2", "INSERT INTO {s}.t (id, v) VALUES (3001, 1)", "INSERT INTO {s}.t (id, v, c) VALUES (3002, 1, 77)",
                "UPDATE {s}.t SET v = -v WHERE id IN (3, 1500)", "UPDATE {s}.t SET c = id WHERE id IN (4, 1000, 1001)", "DELETE FROM {s}.t WHERE id IN (5, 2299)",
                "UPDATE {s}.t SET c = NULL WHERE id = 6", "ALTER TABLE {s}.t ALTER COLUMN c SET DEFAULT 1", "INSERT INTO {s}.t (id, v) VALUES (5, 55), (3003, 1)",
                "INSERT INTO {s}.other VALUES (2, 2)")
    s.shard_run(1, "INSERT INTO {s}.t (id, v) VALUES (3001, 1)", "UPDATE {s}.t SET v = 0 WHERE id = 7", "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 1",
                "INSERT INTO {s}.t (id, v) VALUES (3003, 1)", "UPDATE {s}.t SET c = 9 WHERE id = 8", "INSERT INTO {s}.other VALUES (1, 1)")


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("mode", MODES)
def test_every_shard_keeps_its_own_values(scenario, flavors, downstream, mode):
    s = make(scenario, flavors, downstream, mode)
    start(s)
    differ(s)
    assert_counters(merged(s))
    lock_is_gone(s)
    assert "rows.refilled" in s.runner.log()
    both(s, "UPDATE {s}.t SET v = 5, c = c + 1 WHERE id < 20")
    merged(s)
    s.runner.kill9()
    start(s)
    both(s, "ALTER TABLE {s}.t ADD COLUMN d INT DEFAULT 3")
    merged(s, "id, v, seen, c, d")
    s.runner.stop()


@pytest.mark.parametrize("mode", MODES)
def test_the_first_to_arrive_counts_and_the_other_keeps_its_values(scenario, mode):
    """The other way round: optimistic, the target has the first one's column before the second runs its own."""
    s = make(scenario, mode=mode)
    start(s)
    both(s, many(1, 1100))
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN c VARCHAR(20) NOT NULL DEFAULT 'one'", "INSERT INTO {s}.t (id, v) VALUES (2001, 1)", "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1, "s1")], "other")
    if mode == "optimistic":
        s.runner.wait_for("the target's column", lambda _: (2001,) in s.downstream.query(f"SELECT id FROM `{s.target}`.t"))
    s.shard_run(2, "INSERT INTO {s}.t (id, v) VALUES (2002, 1)", "ALTER TABLE {s}.t ADD COLUMN c VARCHAR(20) NOT NULL DEFAULT 'it''s \\\\ ä'",
                "INSERT INTO {s}.t (id, v) VALUES (2003, 1)", "ALTER TABLE {s}.t ALTER COLUMN c SET DEFAULT 'one'", "INSERT INTO {s}.t (id, v) VALUES (2004, 1)")
    merged(s)
    lock_is_gone(s)
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_each_its_own_moment_and_null(scenario, flavors, downstream):
    """DEFAULT now() is another moment on each shard; one lets old rows have NULL, one a value; a third column is dropped and added again on one alone."""
    s = make(scenario, flavors, downstream)
    start(s)
    both(s, many(1, 20))
    for sh, more in zip(s.shards, ("ADD COLUMN n INT, ADD COLUMN z INT", "ADD COLUMN n INT NOT NULL DEFAULT 4, DROP COLUMN v")):
        with sh.server.connect() as conn, conn.cursor() as cur:
            cur.execute("SET time_zone = '+00:00'")
            cur.execute(f"SET timestamp = {1700000000 + 1000 * sh.number}")
            cur.execute(f"ALTER TABLE `{sh.schema}`.t ADD COLUMN c TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD COLUMN d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), {more}")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN v INT AFTER id, ADD COLUMN z INT, MODIFY COLUMN n INT", "INSERT INTO {s}.t (id, v) VALUES (21, 5)", "UPDATE {s}.t SET v = 6 WHERE id = 2")
    merged(s, "id, v, seen, c, d, n, z")
    lock_is_gone(s)
    assert len({r[0] for r in s.downstream.query(f"SELECT c FROM `{s.target}`.t WHERE id < 21")}) == 2
    s.runner.stop()


def test_what_nobody_can_compute_waits(scenario):
    """uuid(): only the shard knows its rows' values. Refill and recopy are refused in words; nothing is written meanwhile; accept ends it."""
    s = make(scenario)
    start(s)
    both(s, many(1, 5))
    both(s, "ALTER TABLE {s}.t ADD COLUMN c CHAR(36) DEFAULT (uuid())")
    both(s, "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1, "s1"), (1, 1, "s2")], "other")
    s.runner.wait_for("the lock", lambda st: any(t["lock"] and t["lock"]["state"] == "data-differs" for t in st["targets"]))
    for decision, code in (("refill", "LOCK_DECISION"), ("recopy", "NOT_SUPPORTED")):
        done = s.runner.verb("locks", "--decide", decision, "--source", "s2", "--table", f"{s.shards[1].schema}.t", "--target", f"{s.target}.t", "--yes")
        assert done.returncode != 0 and has_code(done.stdout + done.stderr, code), done.stdout + done.stderr
    assert [r[0] for r in s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.t")] == [10]
    locks(s, "--decide", "accept", "--source", "s1", "--table", f"{s.shards[0].schema}.t", "--target", f"{s.target}.t", "--yes")
    both(s, "INSERT INTO {s}.t (id, v) VALUES (6, 6)")
    caught_up(s)
    assert rows(s, "id, v") == union(s, "id, v")
    s.runner.stop()


def test_rows_told_apart_by_their_ids(scenario):
    s = make(scenario, key=BY_IDS)
    start(s)
    differ(s)
    caught_up(s)
    lock_is_gone(s)
    own = sorted((row for sh in s.shards for row in sh.server.query(f"SELECT v, seen, c FROM `{sh.schema}`.t")), key=repr)
    assert sorted(s.downstream.query(f"SELECT v, seen, c FROM `{s.target}`.t"), key=repr) == own
    s.runner.stop()


KILLS = [("ddl.refill_set", 1), ("ddl.refill_set", 3), ("ddl.refill_batch", 1), ("ddl.refilled", 1), ("ddl.altered", 1), ("ddl.lock", 5), ("ddl.lock", 7), ("ddl.lock", 9)]


@pytest.mark.parametrize("mode,fault,times", [("pessimistic", *k) for k in KILLS] + [("optimistic", *k) for k in KILLS[1::3]])
def test_killed_while_rows_are_set(scenario, mode, fault, times):
    s = make(scenario, mode=mode)
    start(s, f"{fault}=kill@{times}")
    differ(s)
    merged(s)
    assert s.runner.runs > 1, "it was not killed"
    both(s, "UPDATE {s}.t SET c = c + 1 WHERE id < 2000")
    merged(s)
    s.runner.stop()


@pytest.mark.parametrize("cut", ["drop_before", "drop_after"])
def test_goes_on_where_the_connection_was_lost(scenario, cut):
    """In the fourth batch of rows, before or after the server had set them: those of the first three are not set again."""
    s = make(scenario)
    proxy = Proxy(s.downstream.host, s.downstream.port).start()
    s.closers.append(proxy.stop)
    s.task["target-database"].update(host=proxy.host, port=proxy.port)
    s.save()
    start(s)
    s.shard_run(2, many(1, 5500))
    caught_up(s)
    batch = rf"UPDATE `{s.target}`.`t` SET `c` = "
    rule = getattr(proxy, cut)(batch, nth=4)
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 2", "ALTER TABLE {s}.t ALTER COLUMN c SET DEFAULT 1")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 1")
    merged(s)
    assert rule.seen == 7, "six batches, one of them twice"
    sent = [x.text for x in proxy.find(batch)]
    assert sent[3] == sent[4] and len(set(sent)) == 6, sent
    assert "rows.refilled" in s.runner.log() and "rows=5500" in s.runner.log(), s.runner.log_tail()
    s.runner.stop()


@pytest.mark.parametrize("mode", MODES)
def test_while_the_table_is_copied(scenario, mode):
    """What is copied in part gets its values too; what is read later has them."""
    s = make(scenario, mode=mode, **{"task-mode": "all", "load": {"chunk-rows": 50, "readers": 2, "rows-per-second": 700}})
    both(s, many(1, 2300))
    s.start()
    s.runner.wait_for("rows to be copied", lambda _: bool(s.downstream.query("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't'", (s.target,)))
                      and s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.t")[0][0] > 300)
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 2", "UPDATE {s}.t SET v = -v WHERE id IN (3, 2000)", "UPDATE {s}.t SET c = id WHERE id IN (4, 2001)",
                "ALTER TABLE {s}.t ALTER COLUMN c SET DEFAULT 1", "INSERT INTO {s}.t (id, v) VALUES (3003, 1)")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 1", "INSERT INTO {s}.t (id, v) VALUES (3003, 1)")
    merged(s)
    lock_is_gone(s)
    s.runner.stop()


def changes(rng, shards):
    """For each shard its statements: the same columns and indexes in the end, with other values for the rows that were there. An index comes with the
    column, or behind it."""
    lists = [[] for _ in range(shards)]
    for n in range(3):
        indexed = rng.random() < 0.7
        for i, own in enumerate(lists):
            value, index = rng.choice([None, 1, 2, 3, i + 10]), rng.choice([[", ADD INDEX (v)", ""], ["", ", ADD INDEX (v)"]]) if indexed else ["", ""]
            own.append(f"ADD COLUMN c{n} INT" + (f" DEFAULT {value}" if value else "") + index[0])
            own.append(f"MODIFY COLUMN c{n} INT DEFAULT 1" + index[1])
    return lists


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("mode", MODES)
def test_random(scenario, flavors, downstream, mode):
    seed = os.environ.get("SHARDMERGE_SEED", str(random.randrange(10**9)))
    print(f"seed {seed}")
    rng = random.Random(f"{seed}-{mode}")
    s = make(scenario, (*flavors, flavors[0]), downstream, mode)
    for sh in s.shards:
        s.shard_run(sh.number, "INSERT INTO {s}.t (id, v) VALUES " + ", ".join(f"({i}, {i})" for i in range(1, 40)))
    start(s)
    lists, ids = changes(rng, len(s.shards)), [40] * len(s.shards)
    kills = sorted(rng.sample(range(10, 90), 2))
    for n in range(10**6):
        left = [i for i, own in enumerate(lists) if own]
        if not left:
            break
        if n in kills:
            s.runner.kill9()
            start(s)
        i = rng.randrange(len(lists))
        if lists[i] and rng.random() < 0.3:
            s.shard_run(i + 1, f"ALTER TABLE {{s}}.t {lists[i].pop(0)}")
            continue
        ids[i] += 1
        columns = [c for c, in s.shards[i].server.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't'",
                                                        (s.shards[i].schema,)) if c not in ("id", "seen")]
        some = rng.choice(columns) if columns else "id"
        s.shard_run(i + 1, *rng.sample([f"INSERT INTO {{s}}.t (id) VALUES ({ids[i]})", f"UPDATE {{s}}.t SET {some} = {some} + 100 WHERE id = {rng.randrange(1, ids[i])} AND '{some}' <> 'id'",
                                        f"DELETE FROM {{s}}.t WHERE id = {rng.randrange(1, ids[i])}"], 2))
    merged(s, "id, v, seen, c0, c1, c2")
    lock_is_gone(s)
    s.runner.stop()
