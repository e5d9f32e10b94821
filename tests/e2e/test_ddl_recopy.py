"""A shard's rows of before a schema change are not what the merged table can get by itself: the shard's table is copied again, while everybody goes on
writing, and the merged table is the union of the shards again."""
import json
import time

import pytest
from harness.oracle import assert_counters
from harness.sm import has_code
from test_ddl_copy import Writers, seed_of
from test_ddl_policies import IDS, KEY, MIXES, caught_up, held, locks
from test_ddl_refill import lock_is_gone, rows, union

T = {"t": "(id BIGINT PRIMARY KEY, v INT NOT NULL DEFAULT 1, w VARCHAR(40), d DECIMAL(10,2) NOT NULL DEFAULT 1.23)", "other": "(id BIGINT PRIMARY KEY, v INT)"}
ROWS = 1200
LOAD = {"chunk-rows": 50, "readers": 2, "rows-per-second": 2000}

# what the two shards run; who is copied again
KINDS = {
    "uuid": (["ADD COLUMN c CHAR(36) DEFAULT (uuid())"], ["ADD COLUMN c CHAR(36) DEFAULT (uuid())"], (2, 1)),
    "converted": (["ADD COLUMN c DOUBLE DEFAULT 1"], ["ADD COLUMN c FLOAT DEFAULT 0.1", "MODIFY COLUMN c DOUBLE DEFAULT 1"], (2,)),
    "narrowed": (["MODIFY COLUMN d DECIMAL(10,1) NOT NULL DEFAULT 1"], ["MODIFY COLUMN d DECIMAL(10,0) NOT NULL DEFAULT 1", "MODIFY COLUMN d DECIMAL(10,1) NOT NULL DEFAULT 1"],
                 (2,)),
    "emptied": ([], ["TRUNCATE"], (2,)),
    "made again": ([], ["DROP", "CREATE"], (2,)),
}


class Busy(Writers):
    """Rows that come, change, move and go, of t alone; a table that is not there for a moment is no fault."""

    def fill(self):
        with self.shard.server.connect(database=self.shard.schema) as conn, conn.cursor() as c:
            c.executemany("INSERT INTO t (id, v, w, d) VALUES (%s, %s, %s, %s)", [(self.base + 3 * i, i % 50, f"w{i}", f"{i % 90}.{i % 100:02}") for i in range(self.rows)])
            conn.commit()

    def one(self, c, chance):
        i = self.base + chance.randrange(3 * self.rows)
        c.execute(*chance.choice([
            ("UPDATE t SET v = (v + 1) %% 100 WHERE id BETWEEN %s AND %s", (i, i + 5)), ("INSERT IGNORE INTO t (id, v) VALUES (%s, %s)", (i, chance.randrange(90))),
            ("DELETE FROM t WHERE id = %s", (i,)), ("UPDATE IGNORE t SET id = %s WHERE id = %s", (self.base + chance.randrange(3 * self.rows), i)),
            ("INSERT INTO other VALUES (%s, 1) ON DUPLICATE KEY UPDATE v = v + 1", (self.base + chance.randrange(200),))]))


def make(scenario, flavors=("mariadb", "mariadb"), downstream="mariadb", mode="pessimistic", load=None, **task):
    s = scenario.make_plain(T, flavors, downstream, targets=False, task={"task-mode": "all", "shard-mode": mode, "load": {**LOAD, **(load or {})}, **task})
    for route in s.task["routes"].values():
        route["key"] = KEY
    s.save()
    seed = seed_of()
    s.writers = [Busy(x, seed, ROWS) for x in s.shards]
    for w in s.writers:
        w.fill()
    return s


def copy_all(s):
    s.start()
    caught_up(s)


def run(s, n, change):
    sh = s.shards[n - 1]
    if change == "TRUNCATE":
        sh.server.run(f"TRUNCATE TABLE `{sh.schema}`.t")
    elif change == "DROP":
        sh.server.run(f"DROP TABLE `{sh.schema}`.t")
    elif change == "CREATE":
        sh.server.run(f"CREATE TABLE `{sh.schema}`.t {T['t']}")
    else:
        sh.server.run(f"ALTER TABLE `{sh.schema}`.t {change}")


def change(s, kind):
    """Until the lock asks. Rows in between and behind, by hand: the writers know nothing of a table that goes."""
    for n in (1, 2):
        for statement in KINDS[kind][n - 1]:
            run(s, n, statement)
            if statement != "DROP":
                s.shard_run(n, *(f"INSERT IGNORE INTO {{s}}.t (id, v) VALUES ({n * 10**7 + i}, {i})" for i in range(20)))
        if n == 1:  # whose changes the other's are compared with
            s.runner.wait_for("the first shard's changes", lambda _: s.runner.log().count("schema.changed") >= len(KINDS[kind][0]), 60)
    state = "operator" if kind in ("emptied", "made again") else "data-differs"

    def asks(lock):  # it asks about a table that is gone, too: one that is made again has to be read to its end
        return lock["state"] == state and (kind != "made again" or any(m["ddl"] and m["ddl"][-1].startswith("CREATE") for m in lock["members"]))
    s.runner.wait_for("the lock to ask", lambda st: any(t["lock"] and asks(t["lock"]) for t in st["targets"]), 60)


def wait_differs(s):
    s.runner.wait_for("the lock to ask", lambda st: any(t["lock"] and t["lock"]["state"] == "data-differs" for t in st["targets"]), 60)


def recopy(s, n, *more):
    return s.runner.verb("locks", "--decide", "recopy", "--source", f"s{n}", "--table", f"{s.shards[n - 1].schema}.t", "--target", f"{s.target}.t", *more)


def merged(s, cols="id, v, w, d", timeout=90):
    for w in s.writers:
        if w.threads[0].ident and not w.end.is_set():
            w.stop()
    status = caught_up(s, timeout)
    assert status["load"]["state"] == "done", status["load"]
    got, want = rows(s, cols), union(s, cols)
    assert got == want, f"only merged {[r for r in got if r not in want][:8]}, only shards {[r for r in want if r not in got][:8]}"
    assert held(s) == []
    return status


def columns(kind):
    return "id, v, w, d" + (", c" if kind in ("uuid", "converted") else "")


@pytest.mark.parametrize("kind,flavors,downstream,mode", [("uuid", *MIXES[0], "pessimistic"), ("converted", *MIXES[0], "optimistic"), ("converted", *MIXES[1], "pessimistic"),
                                                         ("narrowed", *MIXES[1], "optimistic"), ("emptied", *MIXES[0], "pessimistic"), ("emptied", *MIXES[1], "optimistic"),
                                                         ("made again", *MIXES[0], "optimistic")])
def test_the_rows_are_the_shards_own(scenario, kind, flavors, downstream, mode):
    s = make(scenario, flavors, downstream, mode)
    copy_all(s)
    change(s, kind)
    for w in s.writers:
        w.start()
    for n in KINDS[kind][2]:
        said = recopy(s, n)
        assert said.returncode == 0 and "its table is copied as it is then; it had about 12" in said.stdout, said.stdout + said.stderr
    for n in KINDS[kind][2]:
        done = recopy(s, n, "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
    s.runner.wait_for("the rows to go", lambda _: s.runner.log().count("rows.cleared") == len(KINDS[kind][2]))
    status = merged(s, columns(kind))
    assert_counters(status)
    lock_is_gone(s)
    for n in (1, 2):
        run(s, n, "ADD COLUMN e INT DEFAULT 5")
        s.shard_run(n, "UPDATE {s}.t SET v = 7 WHERE v = 8")
    merged(s, columns(kind) + ", e")
    s.runner.kill9()
    s.start()
    s.shard_run(2, "UPDATE {s}.t SET v = 9 WHERE v = 7", "DELETE FROM {s}.t WHERE v = 3")
    merged(s, columns(kind) + ", e")
    s.runner.stop()


FAULTS = ["ddl.decided", "loss.deleted", "loss.batch", "recopy.cleared", "recopy.forgotten", "loss.done", "ddl.round_floor", "ddl.round", "ddl.round_through", "ddl.round_over",
          "load.before_send@2", "apply.before_commit@4", "apply.after_commit@4"]


@pytest.mark.parametrize("kind,flavors,downstream,mode", [("emptied", *MIXES[0], "pessimistic"), ("converted", *MIXES[1], "optimistic")])
def test_killed_at_every_step(scenario, kind, flavors, downstream, mode):
    s = make(scenario, flavors, downstream, mode)
    copy_all(s)
    change(s, kind)
    s.runner.stop()
    for w in s.writers:
        w.pause = 0.03  # they go on through all starts
        w.start()
    for at, fault in enumerate(FAULTS):
        name, _, times = fault.partition("@")
        s.start(f"{name}=kill@{times or 1}")
        if not at:
            s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] in ("streaming", "waiting-for-lock") for x in st["sources"]))
            recopy(s, 2, "--yes")
        assert s.runner.wait_exit(60) == -9, f"not killed at {fault}"
    s.start()
    merged(s, columns(kind), 240)
    lock_is_gone(s)
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_another_change_while_it_is_copied_again(scenario, flavors, downstream):
    s = make(scenario, flavors, downstream)
    copy_all(s)
    change(s, "converted")
    s.runner.stop()
    s.start(extra=("--rows-per-second", "150"))
    wait_differs(s)
    for w in s.writers:
        w.start()
    assert recopy(s, 2, "--yes").returncode == 0

    def again(st):
        return any(x["table"] == "t" and x["source"] == "s2" and 0 < x["rows"] < ROWS and x["phase"] == "copying" for x in st["load"]["tables"])
    status = s.runner.wait_for("some of it to be copied again", again, 60)
    assert status["load"]["state"] == "loading" and not status["caught_up"]
    for n in (2, 1):
        run(s, n, "ADD COLUMN e INT NOT NULL DEFAULT 4")
        s.shard_run(n, "UPDATE {s}.t SET e = 6 WHERE v = 5")
    merged(s, "id, v, w, d, c, e")
    lock_is_gone(s)
    s.runner.stop()


def test_where_it_cannot_be(scenario):
    """Nothing is copied by this task; a snapshot of the task; a table that is gone; nobody is held. Each says what to do."""
    s = make(scenario, **{"task-mode": "incremental"})
    s.start()
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN c INT")
    s.runner.wait_for("the lock", lambda st: any(t["lock"] for t in st["targets"]))
    done = recopy(s, 2, "--yes")
    assert done.returncode != 0 and has_code(done.stdout + done.stderr, "NOT_SUPPORTED") and "detach the shard table" in done.stdout + done.stderr, done.stdout + done.stderr
    s.runner.stop()


def test_the_binlog_that_its_rows_wait_in_is_purged(scenario):
    """Nothing of it is deleted: its rows could not be passed over. Detached, it holds nobody up."""
    s = make(scenario)
    copy_all(s)
    server = s.shards[1].server
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN c CHAR(36) DEFAULT (uuid())", "INSERT INTO {s}.t (id) VALUES (99999999)", "FLUSH BINARY LOGS",
                "INSERT INTO {s}.other VALUES (99999, 1)", "FLUSH BINARY LOGS", "INSERT INTO {s}.other VALUES (99998, 1)")
    last = server.binlog_position()[0]
    s.runner.wait_for("the floor behind it", lambda st: st["sources"][1].get("held") and st["sources"][1]["position"]["file"] == last, 60)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN c CHAR(36) DEFAULT (uuid())")
    wait_differs(s)
    s.runner.stop()
    for _ in range(100):  # MariaDB purges a file only after InnoDB has written what was in it
        server.run(f"PURGE BINARY LOGS TO '{last}'")
        if server.query("SHOW BINARY LOGS")[0][0] == last:
            break
        time.sleep(0.2)
    s.start()
    s.runner.wait_for("the purge to be seen", lambda st: any(h["binlog"] == "purged" for x in st["sources"] for h in x.get("held", [])), 60)
    assert "PURGED: restore it, or detach the table" in s.runner.verb("status").stdout
    done = recopy(s, 2, "--yes")
    assert done.returncode != 0 and has_code(done.stdout + done.stderr, "LOCK_DECISION") and "is purged" in done.stdout + done.stderr, done.stdout + done.stderr
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.t WHERE shard = 's2'") == ROWS
    locks(s, "--decide", "detach", "--source", "s2", "--table", f"{s.shards[1].schema}.t", "--target", f"{s.target}.t", "--yes")
    assert recopy(s, 1, "--yes").returncode == 0
    caught_up(s)
    only = [r for r in union(s, "id, v, w, d, c") if r[-1] == "s1"]
    assert [r for r in rows(s, "id, v, w, d, c") if r[-1] == "s1"] == only
    assert held(s) == []
    s.runner.stop()


def test_a_full_copy_ends_when_it_is_through(scenario):
    s = make(scenario, **{"task-mode": "full"})
    s.start(extra=("--rows-per-second", "100"))
    s.runner.wait_for("rows", lambda st: st["load"] and st["load"]["rows"] > 100)
    for n, statements in ((1, KINDS["converted"][0]), (2, KINDS["converted"][1])):
        for statement in statements:
            run(s, n, statement)
    wait_differs(s)
    s.runner.stop()
    s.start()  # with the rest at once
    wait_differs(s)
    assert recopy(s, 2, "--yes").returncode == 0
    assert s.runner.wait_exit(90) == 0
    assert rows(s, "id, v, w, d, c") == union(s, "id, v, w, d, c")


def test_the_choice_is_shown(scenario):
    s = make(scenario)
    copy_all(s)
    change(s, "emptied")
    lock = next(x for x in json.loads(s.runner.verb("locks", "--json").stdout) if x["table"] == "t")
    assert "recopy" in lock["choices"], lock
    locks(s, "--decide", "recopy", "--source", "s2", "--yes")
    merged(s)
    s.runner.stop()


PARTED = "(id BIGINT PRIMARY KEY, v INT NOT NULL DEFAULT 1, w VARCHAR(40), d DECIMAL(10,2) NOT NULL DEFAULT 1.23) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE)"


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_rows_that_came_by_an_exchange(scenario, flavors, downstream):
    """With a table that is not routed, whichever of the two is partitioned; also under a policy that ignores partitions that go: those rows came."""
    s = scenario.make_plain({"t": PARTED, "other": T["t"]}, flavors, downstream, targets=False, task={"task-mode": "all", "shard-mode": "pessimistic"})
    for route in s.task["routes"].values():
        route.update({"key": KEY, "on-drop-partition": "ignore"})
    s.save()
    for n in (1, 2):
        s.shard_run(n, "CREATE TABLE {s}.plain " + T["t"], "CREATE TABLE {s}.parted " + PARTED, *(f"INSERT INTO {{s}}.{t} (id, v) VALUES (1, {n}), (2, {n}), (200, {n})" for t in ("t", "other")))
    s.start()
    caught_up(s)
    s.shard_run(2, "INSERT INTO {s}.plain (id, v) VALUES (7, 77)", "INSERT INTO {s}.parted (id, v) VALUES (8, 88), (9, 99)", "ALTER TABLE {s}.t EXCHANGE PARTITION p0 WITH TABLE {s}.plain",
                "DELETE FROM {s}.other WHERE id > 100", "ALTER TABLE {s}.parted EXCHANGE PARTITION p0 WITH TABLE {s}.other",
                *(f"UPDATE {{s}}.{t} SET v = v + 1" for t in ("t", "other")), "INSERT INTO {s}.t (id, v) VALUES (3, 3)")
    s.runner.wait_for("both locks to ask", lambda st: sum(bool(t["lock"]) and t["lock"]["state"] == "operator" for t in st["targets"]) == 2)
    assert [r[0] for r in s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.t")] == [6]
    for table in ("t", "other"):
        locks(s, "--decide", "recopy", "--source", "s2", "--target", f"{s.target}.{table}", "--yes")
    assert_counters(caught_up(s))
    for table in ("t", "other"):
        got = sorted(s.downstream.query(f"SELECT id, v, shard FROM `{s.target}`.{table}"))
        assert got == sorted(row + (f"s{sh.number}",) for sh in s.shards for row in sh.server.query(f"SELECT id, v FROM `{sh.schema}`.{table}")), table
    assert [r[0] for r in s.downstream.query(f"SELECT v FROM `{s.target}`.t WHERE id = 7 AND shard = 's2'")] == [78]
    assert held(s) == []
    s.runner.stop()


def test_a_table_that_is_copied_as_a_unit_while_its_source_is_paused(scenario):
    """Through a file, as its key cannot be cut; by positions; decided while the source rests."""
    s = scenario.make_plain({"t": "(id VARCHAR(30) PRIMARY KEY, v INT)"}, targets=False, gtid=False, task={"task-mode": "all", "shard-mode": "pessimistic", "load": {"chunk-bytes": "64KiB"}})
    for route in s.task["routes"].values():
        route["key"] = KEY
    s.save()
    s.writers = []
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES " + ", ".join(f"('k{i}-{'x' * 20}', {i})" for i in range(3000)))
    s.start()
    caught_up(s)
    for n in (1, 2):
        for statement in KINDS["converted"][n - 1]:
            run(s, n, statement)
        s.shard_run(n, "UPDATE {s}.t SET v = v + 1 WHERE v % 3 = 0", "INSERT INTO {s}.t (id, v) VALUES ('zz', 5)", "DELETE FROM {s}.t WHERE v = 4")
    wait_differs(s)
    s.runner.pause("s2")
    assert recopy(s, 2, "--yes").returncode == 0
    for i in range(20):
        s.shard_run(2, f"UPDATE {{s}}.t SET v = v + 1, c = {i} WHERE v % 7 = {i % 7}", f"DELETE FROM {{s}}.t WHERE v = {50 + i}", f"INSERT INTO {{s}}.t (id, v) VALUES ('y{i}', 5)")
    s.runner.resume("s2")
    merged(s, "id, v, c")
    lock_is_gone(s)
    s.runner.kill9()
    s.start()
    s.shard_run(2, "UPDATE {s}.t SET v = v + 1 WHERE v % 3 = 0")
    merged(s, "id, v, c")
    s.runner.stop()
