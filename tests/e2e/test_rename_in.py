"""A table with rows of its own is renamed into a group: it is copied from there on, and followed."""
import random
import threading
import time

import pymysql
import pytest
from harness.oracle import assert_counters
from test_ddl_copy import FLAVORS, MODES, TRANSIENT, seed_of

T = "(id BIGINT PRIMARY KEY, v INT NOT NULL DEFAULT 1, w VARCHAR(40))"
ROWS = 500
HOWS = ["RENAME TABLE {s}.fresh TO {s}.t_5", "ALTER TABLE {s}.fresh RENAME TO {s}.t_5"]


class Writer(threading.Thread):
    """Writes one table, under whichever of its names it has."""

    def __init__(self, shard, base, names, seed):
        super().__init__()
        self.shard, self.base, self.names, self.chance = shard, base, names, random.Random(seed)
        self.end, self.error, self.changes = threading.Event(), None, 0

    def one(self, c, name):
        i = self.base + self.chance.randrange(3 * ROWS)
        kind = self.chance.randrange(5)
        if kind == 0:
            c.execute(f"INSERT IGNORE INTO {name} (id, v) VALUES (%s, %s)", (i, i % 90))
        elif kind == 1:
            c.execute(f"DELETE FROM {name} WHERE id = %s", (i,))
        elif kind == 2:
            c.execute(f"UPDATE IGNORE {name} SET id = %s WHERE id = %s", (self.base + self.chance.randrange(3 * ROWS), i))
        else:
            c.execute(f"UPDATE {name} SET v = (v + 1) %% 100 WHERE id BETWEEN %s AND %s", (i, i + 9))

    def run(self):
        conn = self.shard.server.connect(database=self.shard.schema)
        try:
            while not self.end.is_set():
                try:
                    with conn.cursor() as c:
                        for _ in range(self.chance.randrange(1, 4)):
                            self.one(c, self.names[0])
                    conn.commit()
                    self.changes += 1
                except pymysql.err.MySQLError as e:
                    conn.rollback()
                    if e.args[0] == 1146:
                        self.names = self.names[1:] + self.names[:1]
                    elif e.args[0] not in TRANSIENT:
                        raise
                time.sleep(0.004)
        except Exception as e:  # told by stop()
            self.error = e
        finally:
            conn.close()

    def stop(self):
        self.end.set()
        self.join()
        assert not self.error, self.error
        assert self.changes, "nothing was written"


def make(scenario, flavor, seed, mode="pessimistic", gtid=True, fresh=T, writers=True, load=None, **task):
    s = scenario
    s.make_downstream("mysql" if flavor == "mysql" else "mariadb")
    s.make_shards((flavor, flavor))
    for x in s.shards:
        x.server.run(f"CREATE DATABASE `{x.schema}`", f"CREATE TABLE `{x.schema}`.t_1 {T}", f"CREATE TABLE `{x.schema}`.other (id INT PRIMARY KEY)")
    s.shards[0].server.run(f"CREATE TABLE `{s.shards[0].schema}`.fresh {fresh}")
    s.writers = []
    for x, name, base in ((s.shards[0], "t_1", 0), (s.shards[1], "t_1", 10**6), (s.shards[0], "fresh", 2 * 10**6)):
        conn = x.server.connect(database=x.schema)
        with conn.cursor() as c:
            c.executemany(f"INSERT INTO {name} (id, v, w) VALUES (%s, %s, %s)", [(base + 3 * i, i % 50, "x") for i in range(ROWS)])
        conn.commit()
        conn.close()
        s.writers.append(Writer(x, base, ["fresh", "t_5"] if name == "fresh" else [name], f"{seed}-{base}"))
    s.write_task({"t": "t_*", "other": "other"}, gtid=gtid,
                 extra={"task-mode": "all", "shard-mode": mode, "load": {"chunk-rows": 17, "readers": 2, **(load or {})}, **task})
    for w in s.writers if writers else []:
        w.start()
    return s


def stop_writers(s):
    for w in s.writers:
        if w.ident and not w.end.is_set():
            w.stop()


TABLES = ((0, "t_1"), (1, "t_1"), (0, "t_5"))


def settle(s, cols="id, v, w", tables=TABLES, timeout=90):
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
    got = sorted(s.rows("t", cols), key=repr)
    want = sorted((r for n, t in tables for r in s.shards[n].server.query(f"SELECT {cols} FROM `{s.shards[n].schema}`.{t}")), key=repr)
    assert got == want, f"only merged {[r for r in got if r not in want][:8]}, only shards {[r for r in want if r not in got][:8]}"
    assert_counters(status)
    return status


def alive(s):
    if not s.runner.running:
        assert s.runner.exit_status == -9, s.runner.log_tail()
        s.runner.start()


def everywhere(s, change, t5="t_5"):
    s.shard_run(1, f"ALTER TABLE {{s}}.t_1 {change}", f"ALTER TABLE {{s}}.{t5} {change}")
    s.shard_run(2, f"ALTER TABLE {{s}}.t_1 {change}")


def streaming(s):
    s.runner.wait_for("streaming", lambda st: len(st["sources"]) == 2 and all(x["state"] == "streaming" for x in st["sources"]), 60)


def loading(s, rows=100):
    s.runner.wait_for("copying", lambda st: (st["load"] or {}).get("rows", 0) >= rows, 60)


@pytest.mark.parametrize("when,how,flavor,mode", [
    ("streams", HOWS[0], "mariadb", "pessimistic"), ("streams", HOWS[1], "mysql", "optimistic"), ("copies", HOWS[1], "mariadb", "optimistic"),
    ("copies", HOWS[0], "mysql", "pessimistic"), ("locked", HOWS[0], "mariadb", "optimistic"), ("locked", HOWS[1], "mysql", "pessimistic")])
def test_renamed_in(scenario, when, how, flavor, mode):
    """With changes of its rows before and behind; it changes with the others then, also behind a kill. Locked: the group has
    agreed on a change before."""
    s = make(scenario, flavor, seed_of(), mode, gtid=how == HOWS[0], load={"rows-per-second": 300} if when == "copies" else {})
    if when == "locked":
        s.shard_run(1, "ALTER TABLE {s}.fresh ADD COLUMN n INT NOT NULL DEFAULT 3")
    s.start()
    if when == "copies":
        loading(s)
    else:
        streaming(s)
    if when == "locked":
        for n in (1, 2):
            s.shard_run(n, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
        s.runner.wait_for("both agree", lambda _: "lock.closed" in s.runner.log(), 60)
    s.shard_run(1, how)
    if mode == "optimistic":
        s.runner.kill9()
        s.start()
    if when != "locked":
        s.shard_run(1, "ALTER TABLE {s}.t_5 ADD COLUMN n INT NOT NULL DEFAULT 3")
        for n in (1, 2):
            s.shard_run(n, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
    time.sleep(0.2)
    s.runner.kill9()
    s.start()
    everywhere(s, "ADD COLUMN k VARCHAR(9) DEFAULT 'k'")  # nothing that could not be undone before it was read
    s.runner.wait_for("the copy of it", lambda st: any(x["table"] == "t_5" and x["phase"] == "following" for x in st["load"]["tables"]), 60)
    everywhere(s, "DROP COLUMN w")
    settle(s, "id, v, n, k")
    s.runner.stop()


FAULTS = ["ddl.entered=kill@1", "ddl.step=kill@1", "load.after_read=kill@3", "load.before_send=kill@1", "load.before_send=kill@10", "apply.after_commit=kill@5",
          "apply.before_ack=kill@20", "floor.before_commit=kill@2", "floor.before_commit=kill@4"]


@pytest.mark.parametrize("fault,locked", [(f, bool(i % 2)) for i, f in enumerate(FAULTS)] + [(f, not i % 2) for i, f in enumerate(FAULTS[:2])])
def test_killed(scenario, fault, locked):
    """Exactly one copy, whatever was written when it died: the statement is read again, or lies before the floor."""
    flavor = FLAVORS[(len(fault) + locked) % 2]
    s = make(scenario, flavor, seed_of())
    s.start()
    streaming(s)
    if locked:
        s.shard_run(1, "ALTER TABLE {s}.fresh ADD COLUMN n INT NOT NULL DEFAULT 3")
        for n in (1, 2):
            s.shard_run(n, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
        s.runner.wait_for("both agree", lambda _: "lock.closed" in s.runner.log(), 60)
    s.runner.stop()
    s.start(fault)
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] in ("streaming", "loading") for x in st["sources"])) if "ddl" in fault else None
    s.shard_run(1, HOWS[0])
    end = time.monotonic() + 20
    while s.runner.running and time.monotonic() < end and (s.runner.running and "ddl" in fault or time.monotonic() < end - 18):
        time.sleep(0.05)
    alive(s)
    settle(s)
    s.runner.kill9()
    s.start()
    everywhere(s, "ADD COLUMN m INT DEFAULT 5")
    settle(s, "id, v, w, m")
    s.runner.stop()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_while_the_program_was_down(scenario, flavor):
    """The servers list the name before the stream has read how it came to it; altered and renamed once more since."""
    s = make(scenario, flavor, seed_of())
    s.start()
    streaming(s)
    s.runner.stop()
    s.shard_run(1, HOWS[0])
    s.shard_run(1, "ALTER TABLE {s}.t_5 ADD COLUMN n INT NOT NULL DEFAULT 3")
    s.start()
    s.shard_run(1, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
    s.shard_run(2, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
    settle(s, "id, v, w, n")
    s.runner.stop()


def test_its_definition_has_to_be_given(scenario):
    """It lost an index since: nobody knows what it looked like, until an operator says so."""
    fresh = T[:-1] + ", KEY iw (w))"
    s = make(scenario, "mariadb", seed_of(), fresh=fresh, writers=False)
    s.start()
    streaming(s)
    s.runner.stop()
    s.shard_run(1, HOWS[0], "UPDATE {s}.t_5 SET v = v + 1", "ALTER TABLE {s}.t_5 DROP INDEX iw", "UPDATE {s}.t_5 SET v = v + 1")
    s.start()
    error = s.runner.wait_error("s1", "TRACK_START")
    assert "--set" in error["remedy"] and "t_5" in error["message"], error
    s.runner.stop()
    sql = s.folder / "t_5.sql"
    sql.write_text(f"CREATE TABLE t_5 {fresh}")
    done = s.runner.verb("schema", "--source", "s1", "--table", f"{s.shards[0].schema}.t_5", "--set", str(sql), "--yes")
    if done.returncode:
        done = s.runner.verb("schema", "--source", "s1", "--table", f"{s.shards[0].schema}.t_5", "--set", str(sql), "--force", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    s.start()
    settle(s)
    everywhere(s, "DROP COLUMN w")
    settle(s, "id, v")
    s.runner.stop()


def test_a_definition_that_does_not_fit(scenario):
    """Without a lock the target has to hold it; changed by hand, the source goes on. With one the lock decides."""
    s = make(scenario, "mariadb", seed_of(), "optimistic", fresh=T.replace("(id", "(extra INT NOT NULL DEFAULT 7, id"), writers=False)
    s.start()
    streaming(s)
    s.shard_run(1, HOWS[0])
    error = s.runner.wait_error("s1", "TRACK_TARGET")
    assert "extra" in error["message"], error
    s.runner.stop()
    s.start()  # the others work on
    s.shard_run(2, "INSERT INTO {s}.other VALUES (7)")
    s.runner.wait_error("s1", "TRACK_TARGET")
    s.runner.stop()
    s.downstream.run(f"ALTER TABLE `{s.target}`.t ADD COLUMN extra INT NULL")
    s.start()
    settle(s)
    s.runner.stop()


@pytest.mark.parametrize("mode", MODES)
def test_the_lock_decides(scenario, mode):
    """It comes with a column that the others do not have yet."""
    s = make(scenario, "mariadb", seed_of(), mode)
    s.start()
    streaming(s)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t_1 ADD INDEX iv (v)")
    s.runner.wait_for("both agree", lambda _: "lock.closed" in s.runner.log(), 60)
    s.shard_run(1, "ALTER TABLE {s}.fresh ADD INDEX iv (v), ADD COLUMN n INT NOT NULL DEFAULT 3", HOWS[0])
    if mode == "pessimistic":
        s.runner.wait_for("held", lambda st: any(h["table"] == "t_5" for h in st["sources"][0]["held"]), 60)
    s.runner.kill9()
    s.start()
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
    settle(s, "id, v, w, n")
    s.runner.stop()


REFUSED = {
    "incremental": ({"task-mode": "incremental"}, [HOWS[0]], "copies no rows"),
    "snapshot": ({"load": {"consistency": "snapshot"}}, [HOWS[0]], "one snapshot"),
    "left": ({}, ["DROP TABLE {s}.t_1", "RENAME TABLE {s}.fresh TO {s}.t_1"], "has left with"),
    "places": ({}, ["RENAME TABLE {s}.t_1 TO {s}.old_1, {s}.fresh TO {s}.t_1"], "bears"),
    "other-group": ({}, ["RENAME TABLE {s}.other TO {s}.t_7"], "rows of its own"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(scenario, kind):
    """Nothing behind the statement is written."""
    task, statements, words = REFUSED[kind]
    s = make(scenario, "mariadb", seed_of(), writers=False, **task)
    s.task["routes"]["r-t"].update({"on-drop": "ignore", "on-rename-out": "ignore"})
    s.save()
    s.start()
    streaming(s)
    s.shard_run(1, *statements, "INSERT INTO {s}.other VALUES (9)" if kind != "other-group" else "INSERT INTO {s}.t_7 VALUES (9)")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert words in error["message"] + error["remedy"], error
    assert "go on behind it" in error["remedy"], error
    assert kind == "incremental" and not s.downstream.query("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'other'", (s.target,)) \
        or not list(s.rows("other"))
