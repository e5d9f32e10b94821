"""Existing rows first: the copy joined to the stream under writes. Merged = union, whatever is cut when."""
import os
import random
import threading
import time

import pymysql
import pytest

from harness.oracle import assert_counters
from harness.sm import has_code

TABLES = ("kv", "uniq", "strkey", "comp", "types", "nokey")
SMALL = {"chunk-rows": 9, "readers": 3}


def background(work, transactions):
    thread = threading.Thread(target=work.run, args=(transactions,))
    thread.start()
    return thread


def make(scenario, flavors, downstream="mariadb", gtid=True, load=None, **kw):
    task = {"task-mode": "all", "load": load or SMALL, **kw.pop("task", {})}
    kw.setdefault("tables", TABLES)
    return scenario.make(flavors, downstream, gtid=gtid, task=task, tables_per_shard=2, **kw)


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("flavors,downstream", [(("mariadb", "mariadb"), "mariadb"), (("mysql", "mysql"), "mysql"),
                                                (("mariadb", "mysql"), "mariadb")],
                         ids=["mariadb", "mysql", "mixed"])
def test_rows_that_are_there_and_rows_that_come(scenario, flavors, downstream, gtid):
    s = make(scenario, flavors, downstream, gtid, transactions=300)
    s.work.run(100)
    writer = background(s.work, 200)
    s.start()
    writer.join()
    status = s.finish(120)
    assert status["load"]["state"] == "done", status["load"]
    assert all(t["phase"] == "following" for t in status["load"]["tables"]), status["load"]["tables"]
    assert status["load"]["rows"] > 0, "nothing was copied"


def test_nothing_to_copy_and_nothing_comes(scenario):
    s = make(scenario, ("mariadb",), transactions=1)
    s.start()
    status = s.finish()
    assert status["load"]["state"] == "done"


def test_full_ends_by_itself(scenario):
    s = make(scenario, ("mariadb", "mysql"), transactions=60, task={"task-mode": "full"})
    s.work.run(60)
    s.start()
    assert s.runner.wait_exit(90) == 0, s.runner.log_tail()
    s.check_merged()


# -- under a storm of changes -----------------------------------------------------------------------------------------
STORM = "(id BIGINT NOT NULL PRIMARY KEY, u INT NULL UNIQUE, v VARCHAR(200), n INT NOT NULL DEFAULT 0)"
TEXT = "(k VARCHAR(60) NOT NULL PRIMARY KEY, v VARCHAR(2000), n INT NOT NULL DEFAULT 0)"
PAIR = "(a INT NOT NULL, b VARBINARY(20) NOT NULL, v VARCHAR(200), n INT NOT NULL DEFAULT 0, PRIMARY KEY (a, b))"


class Storm:
    """Writers that change, delete, insert again and move the same few rows of one shard, hundreds of times a second."""

    PAUSE_S = 0.003  # without it, most of the test would be the servers' work for the writers

    def __init__(self, shard, seed, rows, threads=3):
        self.shard, self.rows = shard, rows
        self.base = shard.number * 10**6
        self.end = threading.Event()
        self.errors = []
        self.changes = 0
        self.threads = [threading.Thread(target=self.write, args=(f"{seed}-{shard.number}-{i}",)) for i in range(threads)]

    def fill(self):
        conn = self.shard.server.connect(database=self.shard.schema)
        with conn.cursor() as c:
            ids = [self.base + 3 * i for i in range(self.rows)]
            c.executemany("INSERT INTO storm (id, u, v) VALUES (%s, %s, %s)", [(i, i, "x" * (i % 150)) for i in ids])
            c.executemany("INSERT INTO txt (k, v) VALUES (%s, %s)", [(f"{self.shard.number}-{i:x}", "t" * (i % 900)) for i in ids])
            c.executemany("INSERT INTO pair (a, b, v) VALUES (%s, %s, %s)", [(self.base + i % 17, b"%d\0" % i, "p") for i in ids])
        conn.commit()
        conn.close()

    def one(self, c, chance):
        i = self.base + chance.randrange(3 * self.rows)
        kind = chance.randrange(10)
        if kind < 3:
            c.execute("UPDATE storm SET n = n + 1, v = REPEAT('y', %s) WHERE id BETWEEN %s AND %s", (chance.randrange(150), i, i + 6))
        elif kind == 3:
            c.execute("DELETE FROM storm WHERE id = %s", (i,))
        elif kind < 6:
            c.execute("INSERT INTO storm (id, u, v) VALUES (%s, %s, 'z') ON DUPLICATE KEY UPDATE n = n + 10", (i, i))
        elif kind == 6:  # the row moves to another range
            c.execute("UPDATE IGNORE storm SET id = %s, n = n + 100 WHERE id = %s", (self.base + chance.randrange(3 * self.rows), i))
        elif kind == 7:
            c.execute("UPDATE txt SET n = n + 1 WHERE k = %s", (f"{self.shard.number}-{i:x}",))
            c.execute("INSERT IGNORE INTO txt (k, v) VALUES (%s, 'new')", (f"{self.shard.number}-{i:x}",))
        elif kind == 8:
            c.execute("DELETE FROM pair WHERE a = %s LIMIT 1", (self.base + i % 17,))
            c.execute("INSERT IGNORE INTO pair (a, b, v) VALUES (%s, %s, 'q')", (self.base + i % 17, b"%d" % i))
        else:
            c.execute("UPDATE IGNORE pair SET a = a + 1, n = n + 1 WHERE a = %s LIMIT 2", (self.base + i % 17,))

    def write(self, seed):
        chance = random.Random(seed)
        conn = self.shard.server.connect(database=self.shard.schema)
        try:
            while not self.end.is_set():
                try:
                    with conn.cursor() as c:
                        for _ in range(chance.randrange(1, 6)):
                            self.one(c, chance)
                    conn.rollback() if chance.random() < 0.1 else conn.commit()
                    self.changes += 1
                except pymysql.err.OperationalError as e:
                    if e.args[0] not in (1205, 1213):
                        raise
                    conn.rollback()
                time.sleep(self.PAUSE_S)
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


def storm(scenario, flavors, gtid=True, rows=600, load=None, server_options=None, **task):
    seed = os.environ.get("SHARDMERGE_SEED", str(random.randrange(10**9)))
    print(f"seed {seed}")
    s = scenario.make_plain({"storm": STORM, "txt": TEXT, "pair": PAIR}, flavors, gtid=gtid, server_options=server_options,
                            task={"task-mode": "all", "load": load or {"chunk-rows": 15, "readers": 3}, **task})
    s.storms = [Storm(shard, seed, rows) for shard in s.shards]
    for x in s.storms:
        x.fill()
        x.start()
    return s


def settle(s, timeout=120):
    for x in s.storms:
        x.stop()
    s.runner.wait_caught_up(timeout)
    for table, key in (("storm", "id"), ("txt", "k"), ("pair", "a, b")):
        there = sorted(r for shard in s.shards for r in shard.server.query(f"SELECT * FROM `{shard.schema}`.`{table}`"))
        merged = sorted(s.rows(table))
        assert merged == there, f"{table}: only in the shards {list(set(there) - set(merged))[:5]}, only merged {list(set(merged) - set(there))[:5]}"
    status = s.runner.status()
    assert_counters(status)
    s.runner.stop()
    return status


WAYS = {"mariadb": (("mariadb", "mariadb"), True, {}), "mysql-gtid": (("mysql", "mysql"), True, {}),
        "mysql-position": (("mysql", "mysql"), False, {"gtid": False})}


@pytest.mark.parametrize("way", WAYS)
def test_storm(scenario, way):
    flavors, gtid, options = WAYS[way]
    s = storm(scenario, flavors, gtid, server_options=options)
    s.start()
    s.runner.wait_for("the copy", lambda x: (x["load"] or {}).get("state") == "done", 90)
    time.sleep(1)
    status = settle(s)
    assert sum(x["counters"]["loaded"] for x in status["sources"]) > 0, "no change met the copy"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", ["load.after_snapshot", "load.after_read", "load.before_send", "apply.after_rows", "apply.before_commit",
                                   "apply.after_commit", "apply.before_ack", "floor.before_commit", "floor.after_commit"])
def test_killed_while_copying(scenario, way, point):
    flavors, gtid, options = WAYS[way]
    s = storm(scenario, flavors[:1], gtid, rows=400, server_options=options)
    chance = random.Random(s.storms[0].shard.schema)
    for _ in range(3):
        s.start(f"{point}=kill@{chance.randrange(1, 4 if point.startswith('floor.') else 9)}")  # a floor comes once a second
        try:
            s.runner.wait_exit(20)
        except AssertionError:
            break
    s.runner.kill9()
    s.start()
    settle(s)


@pytest.mark.parametrize("point", ["load.connect", "load.after_snapshot", "load.after_read", "load.unit_read", "apply.after_commit"])
def test_error_while_copying(scenario, point):
    s = storm(scenario, ("mariadb",), rows=300)
    s.start(f"{point}=error@2")
    settle(s)


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_killed_at_random_moments_while_copying(scenario, flavor):
    s = storm(scenario, (flavor, flavor), rows=1500)
    chance = random.Random(str(s.storms[0].shard.schema))
    for _ in range(5):
        s.start()
        time.sleep(chance.random() * 1.5)
        s.runner.kill9()
    s.start()
    settle(s)


# -- tables without a usable key, through a file ----------------------------------------------------------------------
@pytest.mark.parametrize("kill", ["", "load.unit_read=kill@1", "apply.after_commit=kill@2", "apply.before_commit=kill@3"])
@pytest.mark.parametrize("way", WAYS)
def test_a_text_key_larger_than_memory_allows(scenario, way, kill):
    """chunk-bytes makes the table larger than a chunk: its snapshot goes to a file, and a restart goes on from it."""
    flavors, gtid, options = WAYS[way]
    s = storm(scenario, flavors[:1], gtid, rows=20000, load={"chunk-bytes": "64KiB", "readers": 2}, server_options=options)
    if kill:
        s.start(kill)
        s.runner.wait_exit(120)
    s.start()
    settle(s)


# -- one snapshot of everything ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("kill", ["", "load.after_read=kill@5", "apply.after_commit=kill@4"])
@pytest.mark.parametrize("way", WAYS)
def test_consistency_snapshot(scenario, way, kill):
    flavors, gtid, options = WAYS[way]
    s = storm(scenario, flavors[:1], gtid, rows=400, load={"consistency": "snapshot", "chunk-rows": 20, "readers": 2}, server_options=options)
    if kill:
        s.start(kill)
        s.runner.wait_exit(120)
    s.start()
    s.runner.wait_for("the copy", lambda x: (x["load"] or {}).get("state") == "done", 90)
    time.sleep(0.5)
    settle(s)


# -- collisions, new tables -------------------------------------------------------------------------------------------
def test_the_same_key_in_two_shards_is_told_with_both_sides(scenario):
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT)"}, task={"task-mode": "all"})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1), (7, 1)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (7, 2), (9, 2)")
    s.start()
    stopped = {}

    def one_stopped(status):
        stopped.update({x["id"]: x["error"] for x in status["sources"] if x["error"] and x["state"] == "paused-by-error"})
        return stopped
    s.runner.wait_for("the collision", one_stopped, 40)
    (loser, error), = stopped.items()
    other = "s2" if loser == "s1" else "s1"
    assert has_code(error, "APPLY_COLLISION"), error
    assert "copying existing rows" in error["message"] and f"the other side is {other}" in error["message"], error
    s.runner.wait_for("the other source", lambda x: all(y["state"] == "streaming" for y in x["sources"] if y["id"] == other))
    s.shard_run(int(loser[1]), "UPDATE {s}.t SET id = id + 100")
    assert s.runner.verb("resume").returncode == 0
    s.runner.wait_caught_up(60)
    assert len(s.rows("t")) == 4


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_a_row_that_moves_between_shards_while_they_are_copied(scenario, flavor):
    """The grace: the other shard's DELETE is on its way."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT)"}, (flavor, flavor),
                            task={"task-mode": "all", "collision-grace": "20s", "load": {"chunk-rows": 5, "readers": 1}})
    rows = ", ".join(f"({i}, 1)" for i in range(1, 200))
    s.shard_run(1, f"INSERT INTO {{s}}.t VALUES {rows}")
    s.start()
    s.runner.wait_for("the first chunks", lambda x: (x["load"] or {}).get("rows", 0) > 0)
    for i in range(1, 200, 3):
        s.shard_run(1, f"DELETE FROM {{s}}.t WHERE id = {i}")
        s.shard_run(2, f"INSERT INTO {{s}}.t VALUES ({i}, 2)")
    s.runner.wait_caught_up(90)
    assert len(s.rows("t")) == 199 and sum(r[1] for r in s.rows("t")) == 199 + 67


@pytest.mark.parametrize("mode", ["all", "incremental"])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_a_shard_table_made_while_the_task_runs(scenario, flavor, mode):
    body = "(id BIGINT NOT NULL PRIMARY KEY, v INT)"
    s = scenario.make_plain({"t": body}, (flavor, flavor), task={"task-mode": mode})
    s.task["routes"]["r-t"]["table-pattern"] = "t*"
    s.task["block-allow-list"]["ours"]["do-tables"][0]["tbl-name"] = "t*"
    s.save()
    if mode == "all":
        s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.start()
    s.runner.wait_caught_up()
    for month in range(1, 31):
        s.shard_run(1 + month % 2, f"CREATE TABLE {{s}}.t_{month} {body}", f"INSERT INTO {{s}}.t_{month} VALUES ({month * 10}, 0), ({month * 10 + 1}, 1)",
                    f"UPDATE {{s}}.t_{month} SET v = v + 1")
    s.runner.wait_caught_up(90)
    s.runner.stop()
    s.start()  # what was followed from its CREATE is not copied again
    s.shard_run(1, "INSERT INTO {s}.t_2 VALUES (29, 5)")
    s.runner.wait_caught_up(60)
    assert len(s.rows("t")) == 61 + (mode == "all"), s.rows("t")
    assert sum(r[1] for r in s.rows("t") if r[0] > 9) == 30 * 3 + 5
