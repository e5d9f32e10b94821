"""Shards change a table while it is copied, and write to it: the rest of the copy goes on with the new schema, and the merged
table is the union of the shards."""
from __future__ import annotations

import os
import random
import threading
import time

import pymysql
import pytest

from harness.oracle import assert_counters
from harness.sm import Failed

ROWS = 900
T = {"t": "(id BIGINT PRIMARY KEY, v INT NOT NULL DEFAULT 1, w VARCHAR(40), KEY iw (w))",
     "nokey": "(a INT, b VARCHAR(30))", "other": "(id BIGINT PRIMARY KEY, v INT)"}
LOAD = {"chunk-rows": 17, "readers": 2, "rows-per-second": 250}
SLOWLY = {"extra": ("--rows-per-second", "50")}  # the copy is not through before a change is read, nor before a test has seen it
MODES = ["pessimistic", "optimistic"]
FLAVORS = ["mariadb", "mysql"]
TRANSIENT = (1205, 1213, 1412)  # lock wait, deadlock, the definition has changed


def seed_of(given=None) -> str:
    seed = str(given if given is not None else os.environ.get("SHARDMERGE_SEED", random.randrange(10**9)))
    print(f"seed {seed}")
    return seed


class Writers:
    """One shard's writers: inserts, updates, deletes and rows that move along the key, by the columns that no test takes away."""

    def __init__(self, shard, seed, rows=ROWS, threads=2, pause=0.004):
        self.shard, self.rows, self.pause = shard, rows, pause
        self.base = shard.number * 10**6
        self.end, self.errors, self.changes = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.run, args=(f"{seed}-{shard.number}-{i}",)) for i in range(threads)]

    def fill(self):
        conn = self.shard.server.connect(database=self.shard.schema)
        with conn.cursor() as c:
            c.executemany("INSERT INTO t (id, v, w) VALUES (%s, %s, %s)", [(self.base + 3 * i, i % 50, f"w{i}") for i in range(self.rows)])
            c.executemany("INSERT INTO nokey VALUES (%s, %s)", [(i % 7, f"n{i % 5}") for i in range(40)])
            c.executemany("INSERT INTO other VALUES (%s, %s)", [(self.base + i, i) for i in range(60)])
        conn.commit()
        conn.close()

    def one(self, c, chance):
        i = self.base + chance.randrange(3 * self.rows)
        kind = chance.randrange(11)
        if kind < 3:
            c.execute("UPDATE t SET v = (v + 1) %% 100 WHERE id BETWEEN %s AND %s", (i, i + 5))
        elif kind < 5:
            c.execute("INSERT IGNORE INTO t (id, v) VALUES (%s, %s)", (i, chance.randrange(90)))
        elif kind < 7:
            c.execute("DELETE FROM t WHERE id = %s", (i,))
        elif kind < 9:  # it moves, mostly far away
            c.execute("UPDATE IGNORE t SET id = %s WHERE id = %s", (self.base + chance.randrange(3 * self.rows), i))
        elif kind == 9:
            c.execute("INSERT INTO other VALUES (%s, 1) ON DUPLICATE KEY UPDATE v = v + 1", (self.base + chance.randrange(200),))
        else:
            c.execute("INSERT INTO nokey (a, b) VALUES (%s, 'new')", (chance.randrange(9),))
            c.execute("DELETE FROM nokey WHERE a = %s LIMIT 1", (chance.randrange(9),))

    def run(self, seed):
        chance = random.Random(seed)
        conn = self.shard.server.connect(database=self.shard.schema)
        try:
            while not self.end.is_set():
                try:
                    with conn.cursor() as c:
                        for _ in range(chance.randrange(1, 5)):
                            self.one(c, chance)
                    conn.rollback() if chance.random() < 0.1 else conn.commit()
                    self.changes += 1
                except pymysql.err.OperationalError as e:
                    if e.args[0] not in TRANSIENT:
                        raise
                    conn.rollback()
                time.sleep(self.pause)
        except Exception as e:  # told by stop()
            self.errors.append(e)
        finally:
            conn.close()

    def start(self):
        for t in self.threads:
            t.start()

    def stop(self):
        self.end.set()
        for t in self.threads:
            t.join()
        assert not self.errors, self.errors
        assert self.changes, "nothing was written"


def make(scenario, flavors, seed, mode="pessimistic", downstream="mariadb", tables=T, load=None, gtid=True, writers=True, **task):
    s = scenario.make_plain(tables, flavors, downstream, gtid=gtid,
                            task={"task-mode": "all", "shard-mode": mode, "load": {**LOAD, **(load or {})}, **task})
    s.writers = [Writers(x, seed) for x in s.shards]
    for w in s.writers:
        w.fill()
        if writers:
            w.start()
    return s


def stop_writers(s):
    for w in s.writers:
        if w.threads[0].ident:
            w.stop()


def copied(s, source, table="t"):
    """Rows that are copied, and the phase."""
    try:
        for x in (s.runner.status()["load"] or {}).get("tables", []):
            if x["source"] == source and x["table"] == table:
                return x["rows"], x["phase"]
    except Failed:
        if s.runner.running:  # it is starting: the state folder is not ready to be read
            return 0, "waiting"
        raise
    return 0, "waiting"


def wait_copied(s, n, rows, timeout=60):
    """Until so many of the shard's rows are copied. Mostly not all are: a copy that was quicker than the test is no fault of it."""
    def there(_):
        got, phase = copied(s, f"s{n}")
        return got >= rows or phase == "following"
    s.runner.wait_for(f"{rows} rows of shard {n}", there, timeout)


def is_held(status):
    return any(x["phase"] == "held" for x in (status["load"] or {}).get("tables", []))


def wait_begun(s):
    """Until both shards' streams go on, and their copies, which may be through already."""
    def begun(st):
        return st["running"] and len(st["sources"]) == 2 and all(x["state"] in ("loading", "streaming", "waiting-for-lock") for x in st["sources"])
    s.runner.wait_for("the copies", begun)


def union(s, table, names):
    cols = ", ".join(f"`{n}`" for n in names)
    return sorted((r for x in s.shards for r in x.server.query(f"SELECT {cols} FROM `{x.schema}`.`{table}`")), key=repr)


def columns(server, schema, table):
    return [r[0] for r in server.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND "
                                       "TABLE_NAME = %s ORDER BY ORDINAL_POSITION", (schema, table))]


def same(s, table="t"):
    names = columns(s.downstream, s.target, table)
    assert sorted(names) == sorted(columns(s.shards[0].server, s.shards[0].schema, table))
    got = sorted(s.rows(table, ", ".join(f"`{n}`" for n in names)), key=repr)
    want = union(s, table, names)
    assert got == want, f"{table} {names}: only merged {[r for r in got if r not in want][:8]}, only shards {[r for r in want if r not in got][:8]}"


def alive(s):
    if not s.runner.running:
        assert s.runner.exit_status == -9, s.runner.log_tail()
        s.runner.start()


def settle(s, timeout=120, tables=("t", "nokey", "other"), dies=False):
    """dies: of a fault, on the way."""
    stop_writers(s)
    end = time.monotonic() + timeout
    while True:
        if dies:
            alive(s)
        try:
            status = s.runner.wait_caught_up(max(1, end - time.monotonic()))
            break
        except AssertionError:
            if s.runner.running or not dies:
                raise
    assert status["load"]["state"] == "done", status["load"]
    for table in tables:
        same(s, table)
    assert_counters(status)
    s.runner.stop()
    return status


CHANGES = {
    "add": "ADD COLUMN n INT NOT NULL DEFAULT 7",
    "add-first": "ADD COLUMN n VARCHAR(9) DEFAULT 'x' FIRST",
    "drop": "DROP COLUMN w",
    "modify": "MODIFY COLUMN v BIGINT NOT NULL DEFAULT 2",
    "rename": "RENAME COLUMN w TO x",
    "again": "DROP COLUMN w, ADD COLUMN w VARCHAR(40)",
    "key-wider": "MODIFY COLUMN id BIGINT NOT NULL FIRST, CHANGE COLUMN w x VARCHAR(60)",
    "index": "ADD INDEX iv (v), DROP INDEX iw",
    "unique": "ADD UNIQUE KEY uvi (v, id)",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("kind", CHANGES)
def test_one_change_in_the_middle(scenario, kind, flavor, mode):
    s = make(scenario, (flavor, flavor), seed_of(), mode)
    s.start()
    for n, rows in ((1, 150), (2, 300)):
        wait_copied(s, n, rows)
        s.shard_run(n, f"ALTER TABLE {{s}}.t {CHANGES[kind]}")
    settle(s)


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flavors", [("mariadb", "mysql"), ("mysql", "mysql")], ids=["mixed", "mysql"])
def test_before_the_first_chunk(scenario, flavors, mode, gtid):
    """The readers wait: the first change finds nothing copied, the second some."""
    s = make(scenario, flavors, seed_of(), mode, gtid=gtid)
    s.start("load.after_snapshot=delay:3000@*" if flavors[0] == "mysql" else "load.in_snapshot=delay:1500@*")
    wait_begun(s)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 3 AFTER id")
    time.sleep(2)
    s.runner.kill9()
    s.start()
    wait_copied(s, 1, 100)
    s.shard_run(1, "ALTER TABLE {s}.t DROP COLUMN w")
    s.shard_run(2, "ALTER TABLE {s}.t DROP COLUMN w")
    settle(s)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flavor", FLAVORS)
def test_one_change_after_the_other(scenario, flavor, mode):
    """Also while the rest is copied after the one before, and on one shard long before the other."""
    s = make(scenario, (flavor, flavor), seed_of(), mode)
    s.start(**(SLOWLY if mode == "pessimistic" else {}))
    wait_copied(s, 1, 50 if mode == "pessimistic" else 120)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN a INT NOT NULL DEFAULT 5")
    time.sleep(0.3)
    s.shard_run(1, "ALTER TABLE {s}.t MODIFY COLUMN a BIGINT NOT NULL DEFAULT 6", "UPDATE {s}.t SET a = 9 WHERE v = 4")
    if mode == "pessimistic":
        status = s.runner.wait_for("the held table", lambda st: is_held(st) and any(h["table"] == "t" for h in st["sources"][0]["held"]), 60)
        assert status["load"]["state"] == "loading" and not status["caught_up"], status["load"]
        s.runner.stop()
        s.start()
    wait_copied(s, 2, 300)
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN a INT NOT NULL DEFAULT 5", "ALTER TABLE {s}.t MODIFY COLUMN a BIGINT NOT NULL DEFAULT 6")
    s.runner.wait_for("the copy to go on", lambda st: st["running"] and not is_held(st), 60)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t RENAME COLUMN w TO x", "INSERT INTO {s}.t (id, v, x, a) VALUES (%d, 1, 'last', 2)" % (n * 10**7))
    settle(s)


def test_another_shard_changes(scenario):
    """Optimistic: the target grows for one shard, while the other is copied; its rows wait for a moment, and its copy with them."""
    s = make(scenario, ("mariadb", "mysql"), seed_of(), "optimistic")
    s.start()
    for i in range(4):
        wait_copied(s, 2, 100 + 100 * i)
        s.shard_run(1, f"ALTER TABLE {{s}}.t ADD COLUMN c{i} INT DEFAULT {i}")
    for i in range(4):
        s.shard_run(2, f"ALTER TABLE {{s}}.t ADD COLUMN c{i} INT DEFAULT {i}")
    settle(s)


FAULTS = ["ddl.step=kill@1", "ddl.step=kill@2", "ddl.fork_end=kill@1", "ddl.round_floor=kill@1", "ddl.round=kill@1", "ddl.round_through=kill@1",
          "ddl.round_over=kill@1", "ddl.altered=kill@1", "ddl.sent=kill@1", "ddl.lock=kill@3", "load.before_send=kill@20", "load.before_send=kill@60",
          "load.after_read=kill@30", "load.after_read=kill@70", "apply.after_commit=kill@40", "apply.before_ack=kill@90", "floor.before_commit=kill@6"]


@pytest.mark.parametrize("fault", FAULTS)
def test_killed(scenario, fault):
    seed = seed_of()
    mode, flavor = random.Random(seed + fault).choice([(m, f) for m in MODES for f in FLAVORS])
    print(mode, flavor)
    s = make(scenario, (flavor, flavor), seed, mode)
    s.start(fault)
    changes = ["ADD COLUMN a INT NOT NULL DEFAULT 3", "DROP COLUMN w"]
    for k, change in enumerate(changes):
        for n in (1, 2):
            end = time.monotonic() + 30
            while time.monotonic() < end and copied(s, f"s{n}")[0] < 100 + 250 * k:
                alive(s)
                time.sleep(0.05)
            s.shard_run(n, f"ALTER TABLE {{s}}.t {change}")
            time.sleep(0.2)
            alive(s)
    settle(s, dies=True)


def test_paused_and_killed_while_held(scenario):
    s = make(scenario, ("mariadb", "mariadb"), seed_of())
    s.start(**SLOWLY)
    wait_copied(s, 1, 50)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN a INT")
    s.runner.wait_for("held", is_held, 60)
    s.runner.pause("s1")
    s.runner.wait_for("paused", lambda st: st["sources"][0]["state"] == "paused-by-user")
    s.runner.kill9()
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN a INT")
    s.start(**SLOWLY)
    s.runner.wait_for("both", lambda st: st["running"] and st["sources"] and st["sources"][0]["state"] == "paused-by-user")
    time.sleep(0.5)
    s.runner.resume("s1")
    s.runner.wait_for("copying", lambda st: copied(s, "s1")[1] in ("copying", "following"), 60)
    s.runner.kill9()
    s.start()
    settle(s)


@pytest.mark.parametrize("moment", [0.0, 1.2])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flavor", FLAVORS)
def test_tables_without_a_key(scenario, flavor, mode, moment):
    """Units: read whole, or thrown away whole; one that is under way is written to its end in the shape it was read in."""
    tables = {"nokey": "(a INT, b VARCHAR(30), c VARCHAR(600))", "txt": "(k VARCHAR(40) NOT NULL PRIMARY KEY, v INT, c VARCHAR(600))"}
    s = scenario.make_plain(tables, (flavor, flavor), task={"task-mode": "all", "shard-mode": mode, "load": {"readers": 1, "chunk-bytes": "64KiB"},
                                                            "memory-limit": "16MiB"})
    for x in s.shards:
        conn = x.server.connect(database=x.schema)
        with conn.cursor() as c:
            c.executemany("INSERT INTO nokey VALUES (%s, %s, %s)", [(i % 90, "b", "c" * 500) for i in range(9000)])
            c.executemany("INSERT INTO txt VALUES (%s, %s, %s)", [(f"{x.number}-{i}", i, "d" * 500) for i in range(9000)])
        conn.commit()
        conn.close()
    s.start("load.unit_read=delay:1000@*;apply.before_commit=delay:30@*")
    wait_begun(s)
    time.sleep(moment)
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.nokey VALUES (%d, 'x', 'y')" % n, "ALTER TABLE {s}.nokey ADD COLUMN d INT NOT NULL DEFAULT 4 FIRST",
                    "DELETE FROM {s}.nokey WHERE a = 5 LIMIT 1", "ALTER TABLE {s}.txt MODIFY COLUMN v BIGINT, ADD COLUMN n INT DEFAULT 2",
                    "UPDATE {s}.txt SET v = v + 1 WHERE v < 50", "DELETE FROM {s}.txt WHERE v BETWEEN 60 AND 70")
    time.sleep(0.3)
    s.runner.kill9()
    s.start()
    s.runner.wait_caught_up(120)
    same(s, "nokey")
    same(s, "txt")
    s.runner.stop()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_made_and_altered_while_it_runs(scenario, flavor):
    """A shard table that comes while the task runs, and changes before, with and after its first rows."""
    s = make(scenario, (flavor, flavor), seed_of(), "pessimistic", tables={**T, "t_2": T["t"]}, writers=False)
    s.task["routes"]["r-t"]["table-pattern"] = "t*"
    s.task["block-allow-list"]["ours"]["do-tables"].append({"db-name": f"{s.unique}_s*", "tbl-name": "t*"})
    del s.task["routes"]["r-t_2"]
    for i in s.task["mysql-instances"]:
        i["route-rules"].remove("r-t_2")
    s.save()
    s.start()
    wait_copied(s, 1, 100)
    for n in (1, 2):
        made = s.shards[n - 1].server.query(f"SHOW CREATE TABLE `{s.shards[n - 1].schema}`.t")[0][1]
        s.shard_run(n, made.replace("CREATE TABLE `t`", "CREATE TABLE {s}.t_3"), "ALTER TABLE {s}.t_3 ADD COLUMN a INT NOT NULL DEFAULT 8 AFTER id",
                    "INSERT INTO {s}.t_3 (id, v) VALUES (%d, 1), (%d, 2)" % (n * 100, n * 100 + 1), "UPDATE {s}.t_3 SET v = 7 WHERE id = %d" % (n * 100))
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t ADD COLUMN a INT NOT NULL DEFAULT 8 AFTER id", "ALTER TABLE {s}.t_2 ADD COLUMN a INT NOT NULL DEFAULT 8 AFTER id",
                    "INSERT INTO {s}.t_2 (id, a, v) VALUES (%d, 3, 3)" % (n * 100 + 50))
    s.runner.wait_caught_up(120)
    want = sorted((r for x in s.shards for t in ("t", "t_2", "t_3") for r in x.server.query(f"SELECT id, a, v, w FROM `{x.schema}`.`{t}`")), key=repr)
    assert sorted(s.rows("t", "id, a, v, w"), key=repr) == want
    s.runner.stop()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_the_key_it_is_copied_by_changes(scenario, flavor):
    """Refused, with nothing lost; put back, the source goes on."""
    s = make(scenario, (flavor, "mariadb"), seed_of(), writers=False)
    s.start(**SLOWLY)
    wait_copied(s, 1, 17)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n BIGINT NOT NULL FIRST", "UPDATE {s}.t SET n = id", "ALTER TABLE {s}.t DROP PRIMARY KEY, ADD PRIMARY KEY (n)")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "copied in part" in error["message"] and "DROP PRIMARY KEY" in error["message"], error
    assert s.runner.source("s2")["state"] in ("loading", "streaming", "waiting-for-lock")


def test_a_snapshot_of_the_task_cannot_follow(scenario):
    s = make(scenario, ("mariadb", "mariadb"), seed_of(), writers=False, load={"consistency": "snapshot"})
    s.start(**SLOWLY)
    wait_copied(s, 1, 17)
    # the snapshot holds the definition of a table that was read: the change comes when the program stops
    other = threading.Thread(target=lambda: s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT"))
    other.start()
    s.runner.stop()
    other.join()
    s.start(**SLOWLY)
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "snapshot" in error["message"], error


@pytest.mark.parametrize("flavor", FLAVORS)
def test_an_older_snapshot_shows_new_columns(scenario, flavor):
    """MariaDB, and MySQL for names that change places: a snapshot taken before an ALTER and read after it gives other values. The
    definition is kept while a snapshot is taken, so that no chunk mixes the two."""
    s = make(scenario, (flavor, flavor), seed_of(), writers=False, gtid=False, load={"chunk-rows": 200, "rows-per-second": 0})
    s.start("load.after_snapshot=delay:700@*" if flavor == "mysql" else "load.in_snapshot=delay:700@*")
    wait_begun(s)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t DROP COLUMN v, ADD COLUMN v INT NOT NULL DEFAULT 77 AFTER id")
    settle(s)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flavors,downstream", [(("mariadb", "mariadb"), "mariadb"), (("mysql", "mysql"), "mysql")], ids=["mariadb", "mysql"])
def test_random_changes(scenario, flavors, downstream, mode, seed):
    """Both shards go through the same changes, each at its own pace, killed now and then."""
    seed = seed_of(seed)
    rng = random.Random(seed)
    s = make(scenario, flavors, seed, mode, downstream)
    s.start()
    for n in (1, 2):
        wait_copied(s, n, 1)  # before that a change is one from before the task, and the target has to have it
    changes, free, names = [], ["w"], 0
    for _ in range(4):
        kind = rng.choice(["add", "drop", "rename", "modify", "index"] if free else ["add"])
        names += 1
        if kind == "add":
            changes.append(f"ADD COLUMN c{names} VARCHAR(20) DEFAULT 'd{names}'" + rng.choice(["", " FIRST", " AFTER id"]))
            free.append(f"c{names}")
        elif kind == "drop":
            changes.append(f"DROP COLUMN {free.pop(rng.randrange(len(free)))}")
        elif kind == "rename":
            changes.append(f"RENAME COLUMN {free.pop(rng.randrange(len(free)))} TO c{names}")
            free.append(f"c{names}")
        elif kind == "modify":
            changes.append(f"MODIFY COLUMN {rng.choice(free)} VARCHAR({60 + names})")
        else:
            changes.append(f"ADD INDEX i{names} ({rng.choice(free)})")
    print(changes)
    left = {1: list(changes), 2: list(changes)}
    while any(left.values()):
        n = rng.choice([n for n in left if left[n]])
        time.sleep(rng.random() * 1.2)
        s.shard_run(n, f"ALTER TABLE {{s}}.t {left[n].pop(0)}")
        if rng.random() < 0.3:
            s.runner.kill9()
            s.start()
    settle(s, 180)
