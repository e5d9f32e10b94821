"""Where histories begin: the definition with which a row is read was true where the row stands, or its source stops."""
import threading
import time

import pytest
from harness.sm import has_code

T = {"t": "(id BIGINT PRIMARY KEY, v INT, w VARCHAR(40))"}
FLAVORS = ["mariadb", "mysql"]
HOW = [("mariadb", True), ("mariadb", False), ("mysql", True), ("mysql", False)]
IDS = [f + ("-gtid" if g else "-position") for f, g in HOW]


def make(scenario, flavor, gtid=True, follow=True, tables=None, metadata="FULL", **extra):
    task = {"shard-mode": "optimistic"} if follow else {}
    return scenario.make_plain(tables or T, (flavor,), flavor, gtid=gtid, task={**task, **extra},
                               server_options={} if metadata == "FULL" else {"binlog_row_metadata": metadata})


def union(s, cols="*", table="t"):
    return sorted(r for x in s.shards for r in x.server.query(f"SELECT {cols} FROM `{x.schema}`.`{table}`"))


def end(s):
    s.runner.wait_caught_up(60)
    s.runner.stop()


@pytest.mark.parametrize("flavor,gtid", HOW, ids=IDS)
def test_changes_since_the_start_are_undone(scenario, flavor, gtid):
    """Added and renamed columns, new keys: the statements tell what was there before."""
    s = make(scenario, flavor, gtid)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 10, 'before')",
                "ALTER TABLE {s}.t ADD COLUMN a INT NOT NULL DEFAULT 7 AFTER id, ADD INDEX iv (v)",
                "INSERT INTO {s}.t VALUES (2, 70, 20, 'between')",
                "ALTER TABLE {s}.t RENAME COLUMN v TO x, ADD UNIQUE KEY ux (x)",
                "INSERT INTO {s}.t VALUES (3, 71, 30, 'after')", "ALTER TABLE {s}.t ADD COLUMN v INT DEFAULT 5",
                "UPDATE {s}.t SET w = 'all'")
    s.start()
    end(s)
    assert list(s.rows("t", "id, a, x, w, v")) == union(s, "id, a, x, w, v")


@pytest.mark.parametrize("flavor,gtid", HOW, ids=IDS)
@pytest.mark.parametrize("follow", [True, False], ids=["follow", "stop"])
def test_a_row_of_an_unknown_shape_stops_its_source(scenario, flavor, gtid, follow):
    """Columns of one type change places under the same names' number: MINIMAL metadata cannot tell, so nobody may guess."""
    s = make(scenario, flavor, gtid, follow, {"t": "(id BIGINT PRIMARY KEY, a INT, b INT)", "other": "(id INT PRIMARY KEY)"}, "MINIMAL")
    s.shard_run(1, "INSERT INTO {s}.other VALUES (1)", "INSERT INTO {s}.t VALUES (1, 10, 20)", "ALTER TABLE {s}.t DROP COLUMN a",
                "ALTER TABLE {s}.t ADD COLUMN a INT", "INSERT INTO {s}.t VALUES (2, 22, 11)")
    s.start()
    error = s.runner.wait_error("s1", "TRACK_START")
    assert "DROP COLUMN a" in error["message"] and "--set FILE" in error["remedy"], error
    assert list(s.rows("t")) == []
    assert list(s.rows("other")) == [(1,)], "what came before the row is there"
    s.runner.stop()


@pytest.mark.parametrize("flavor,gtid", HOW, ids=IDS)
def test_full_metadata_tells_what_statements_do_not(scenario, flavor, gtid):
    """Dropped and altered columns, and columns that change places: the binlog names what the rows before had."""
    s = make(scenario, flavor, gtid, True, {"t": "(id BIGINT PRIMARY KEY, a INT, b INT, c VARCHAR(20), KEY kb (b))"})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 10, 20, 'x')", "INSERT INTO {s}.t VALUES (2, 11, 21, 'y')",
                "ALTER TABLE {s}.t DROP COLUMN a, ADD INDEX kc (c)", "INSERT INTO {s}.t VALUES (3, 22, 'z')", "ALTER TABLE {s}.t ADD COLUMN a INT",
                "ALTER TABLE {s}.t MODIFY COLUMN b BIGINT", "ALTER TABLE {s}.t CHANGE COLUMN c d VARCHAR(60), DROP INDEX kc",
                "INSERT INTO {s}.t VALUES (4, 5000000000, 'long', 7)", "UPDATE {s}.t SET b = b + 1 WHERE id < 3")
    s.start()
    end(s)
    assert list(s.rows("t", "id, b, d, a")) == union(s, "id, b, d, a")


@pytest.mark.parametrize("flavor", FLAVORS)
def test_full_metadata_does_not_name_indexes(scenario, flavor):
    """A unique key that went: nobody knows over what it was, so no row of then is written."""
    s = make(scenario, flavor, True, True, {"t": "(id BIGINT PRIMARY KEY, a INT, b INT, UNIQUE KEY u (a))"})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 10, 20)", "ALTER TABLE {s}.t DROP INDEX u, DROP COLUMN b")
    s.start()
    error = s.runner.wait_error("s1", "TRACK_START")
    assert "DROP INDEX u" in error["message"], error
    assert list(s.rows("t")) == []
    s.runner.stop()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_tables_made_since_the_start(scenario, flavor):
    """CREATE TABLE, LIKE, DROP IF EXISTS in front, and more changes behind it."""
    s = make(scenario, flavor, tables={"t": T["t"], "n": "(id INT PRIMARY KEY, a INT)", "l": "(id INT PRIMARY KEY, a INT)"})
    sh = s.shards[0]
    sh.server.run(*(f"DROP TABLE `{sh.schema}`.`{t}`" for t in "nl"))
    s.task["mysql-instances"][0]["meta"] = s.start_point(sh.server, True)
    s.save()
    s.shard_run(1, "DROP TABLE IF EXISTS {s}.n", "CREATE TABLE {s}.n (id INT PRIMARY KEY, a INT)", "INSERT INTO {s}.n VALUES (1, 1)",
                "ALTER TABLE {s}.n DROP COLUMN a", "ALTER TABLE {s}.n ADD COLUMN a INT", "INSERT INTO {s}.n VALUES (2, 2)",
                "CREATE TABLE {s}.m (id INT PRIMARY KEY, a INT)", "CREATE TABLE {s}.l LIKE {s}.m", "INSERT INTO {s}.l VALUES (1, 5)",
                "CREATE TABLE IF NOT EXISTS {s}.t (nothing INT)", "INSERT INTO {s}.t VALUES (1, 1, 'x')")
    s.start()
    end(s)
    assert list(s.rows("l")) == [(1, 5)] and list(s.rows("t")) == [(1, 1, "x")]
    assert [r[0] for r in s.rows("n")] == [1, 2] and s.rows("n", "a")[-1][0] == 2


@pytest.mark.parametrize("flavor,gtid", HOW, ids=IDS)
def test_start_now_while_schemas_change(scenario, flavor, gtid):
    """Nobody says where to begin: the present, which moves while ALTERs go on. Columns swap their names all the time, so a
    definition that is one statement off puts values into the wrong column."""
    s = make(scenario, flavor, gtid, tables={"t": "(id BIGINT PRIMARY KEY, a INT, b INT)"})
    del s.task["mysql-instances"][0]["meta"]
    s.save()
    sh = s.shards[0]
    stop = threading.Event()
    n = [0]

    def writer():
        conn = sh.server.connect(database=sh.schema)
        with conn.cursor() as cur:
            while not stop.is_set():
                n[0] += 1
                cur.execute(f"INSERT INTO t (id, a, b) VALUES ({n[0]}, {n[0]}, -{n[0]})")
                cur.execute("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a")
                cur.execute(f"INSERT INTO t (id, a, b) VALUES ({n[0]} + 1000000, {n[0]}, -{n[0]})")
                time.sleep(0.05)
        conn.close()

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        s.start()
        s.runner.wait_for("rows", lambda st: st["sources"] and st["sources"][0]["counters"]["applied"] + st["sources"][0]["counters"]["held"] > 20, 60)
    finally:
        stop.set()
        thread.join()
    s.runner.wait_caught_up(120)
    rows = list(s.rows("t", "id, a, b"))
    first = min(r[0] % 1000000 for r in rows)
    assert len(rows) > 20
    assert rows == [r for r in union(s, "id, a, b") if r in rows or r[0] % 1000000 > first]
    s.runner.stop()


@pytest.mark.parametrize("fault", ["start.definitions", "start.final", "start.after_epoch", "floor.before_commit"])
def test_killed_at_the_start(scenario, fault):
    """Position and definitions are kept together: killed, changed, started again."""
    s = make(scenario, "mariadb", tables={"t": "(id BIGINT PRIMARY KEY, a INT, b INT)"})
    del s.task["mysql-instances"][0]["meta"]
    s.save()
    s.start(faults=f"{fault}=kill@1")
    assert s.runner.wait_exit(30) < 0
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 10, 20)", "ALTER TABLE {s}.t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
                "INSERT INTO {s}.t (id, a, b) VALUES (2, 11, 22)")
    s.start()
    s.runner.wait_caught_up(60)
    s.shard_run(1, "INSERT INTO {s}.t (id, a, b) VALUES (3, 12, 23)")
    s.runner.wait_caught_up(60)
    got = s.rows("t", "id, a, b")
    want = [r for r in union(s, "id, a, b")]
    assert list(got) == want[-len(got):] and (3, 12, 23) in got, (got, want)
    s.runner.stop()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_what_a_statement_leaves_to_its_session_and_database(scenario, flavor):
    """The database's charset, explicit_defaults_for_timestamp."""
    s = make(scenario, flavor, tables={"t": T["t"], "n": "(id INT PRIMARY KEY, w VARCHAR(9) CHARACTER SET utf8mb4, gone INT)"})
    sh = s.shards[0]
    sh.server.run(f"DROP TABLE `{sh.schema}`.n", f"ALTER DATABASE `{sh.schema}` CHARACTER SET latin1")
    s.task["mysql-instances"][0]["meta"] = s.start_point(sh.server, True)
    s.save()
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and st["sources"][0]["state"] == "streaming")
    s.shard_run(1, "CREATE TABLE {s}.n (id INT PRIMARY KEY, w VARCHAR(9), gone INT)", "INSERT INTO {s}.n VALUES (1, '\u00e9\u00fc', 1)",
                "ALTER TABLE {s}.n DROP COLUMN gone", "SET SESSION explicit_defaults_for_timestamp = OFF",
                "ALTER TABLE {s}.n ADD COLUMN ts TIMESTAMP", "INSERT INTO {s}.n (id, w) VALUES (2, '\u00f6')")
    end(s)
    assert [tuple(r) for r in s.rows("n", "id, w")] == [(1, "\u00e9\u00fc"), (2, "\u00f6")]
    done = s.runner.verb("schema", "--table", f"{sh.schema}.n")
    assert "latin1" in done.stdout and "NOT NULL DEFAULT" in done.stdout.split("ADD COLUMN ts")[1], done.stdout


@pytest.mark.parametrize("how", ["signal", "request"])
@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_stop_ends_the_look_through_the_binlog(scenario, flavor, how):
    """A slow source: to read what lies between the start position and now would take minutes."""
    s = make(scenario, flavor)
    s.shard_run(1, *[f"INSERT INTO {{s}}.t VALUES ({i}, {i}, 'x')" for i in range(400)])
    s.start(faults="scout.event=delay:200@*")
    s.runner.wait_for("the start", lambda st: st.get("running") and st["state"] == "starting")
    if how == "signal":
        s.runner.stop(30)
    else:
        done = s.runner.verb("stop", timeout=30)
        assert done.returncode == 0 and s.runner.wait_exit(30) == 0, done.stdout + done.stderr
    assert "task.stopped" in s.runner.log() and "task.failed" not in s.runner.log(), s.runner.log_tail()
    s.start()
    end(s)
    assert list(s.rows("t")) == union(s)
