"""What lies behind a lock: it may be much, and may wait long. Memory stays bounded, and nothing else waits."""
import os
import time

import pytest

MEGABYTES = 5000 if os.environ.get("SHARDMERGE_HUGE_FILE") else 250
T = {"t": "(id BIGINT PRIMARY KEY, v INT, w MEDIUMBLOB)", "other": "(id BIGINT PRIMARY KEY, v INT)"}


def make(scenario, mode, flavor, **task):
    s = scenario.make_plain(T, (flavor, flavor), flavor, task={"shard-mode": mode, **task})
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    return s


def wait_value(s, sql, want, timeout=60):
    end = time.monotonic() + timeout
    while (got := s.downstream.value(sql)) != want:
        assert time.monotonic() < end, f"{sql}: {got}, not {want}\n{s.runner.log_tail()}"
        time.sleep(0.05)


def sums(server, table):
    return server.query(f"SELECT COUNT(*), SUM(id), SUM(v), SUM(CRC32(w)) FROM {table}")[0]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_a_lock_with_much_behind_it(scenario, flavor):
    """One shard alters and writes on for as much as MEGABYTES; its other table keeps flowing, and memory does not grow with what waits."""
    s = make(scenario, "pessimistic", flavor)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 'before')", "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1000001, 1, 'before')")
    chunk = 0
    for chunk in range(1, MEGABYTES // 10 + 1):
        s.shard_run(1, f"INSERT INTO {{s}}.t (id, v, w) SELECT {chunk} * 100 + n, {chunk}, REPEAT(UNHEX(SHA2({chunk} * 100 + n, 256)), 31250) FROM (SELECT 0 n"
                       f"{''.join(f' UNION SELECT {i}' for i in range(1, 10))}) x",
                    f"UPDATE {{s}}.t SET v = v + 1 WHERE id = {chunk} * 100 + 3", f"DELETE FROM {{s}}.t WHERE id = {chunk} * 100 + 4",
                    f"INSERT INTO {{s}}.other VALUES ({chunk}, {chunk})")
    wait_value(s, f"SELECT COUNT(*) FROM `{s.target}`.other", chunk, 240)
    wait_value(s, f"SELECT COUNT(*) FROM `{s.target}`.t", 2)
    status = s.runner.status()
    assert not status["caught_up"], "caught up, while rows are held"
    held = s.runner.rss_peak_kb() / 1024
    s.runner.kill9()
    s.runner.start()
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", "INSERT INTO {s}.t VALUES (1000002, 2, 'after', 8)")
    s.runner.wait_caught_up(60 + MEGABYTES)
    written = s.runner.rss_peak_kb() / 1024
    for shard, low, high in ((s.shards[0], 0, 1000000), (s.shards[1], 1000001, 2000000)):
        mine = sums(shard.server, f"`{shard.schema}`.t")
        assert sums(s.downstream, f"(SELECT * FROM `{s.target}`.t WHERE id BETWEEN {low} AND {high}) y") == mine
    assert held < 200 and written < 400, f"{held:.0f} MB while held, {written:.0f} MB when it was written"
    s.runner.stop()


@pytest.mark.parametrize("mode", ["pessimistic", "optimistic"])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_the_targets_change_takes_long(scenario, flavor, mode):
    """Somebody reads the target for seconds, and its ALTER waits for them: the members' rows wait, the other table's do not."""
    s = make(scenario, mode, flavor)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 'before')")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (11, 1, 'before')")
    s.runner.wait_caught_up()
    reader = s.downstream.connect(autocommit=False)
    with reader.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(f"SELECT COUNT(*) FROM `{s.target}`.t")
        for n in (1, 2):
            s.shard_run(n, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", f"INSERT INTO {{s}}.t VALUES ({n}02, 2, 'after', {n})")
        s.runner.wait_for("the target's change waits", lambda st: "target.changes" in s.runner.log(), 30)
        for i in range(40):
            s.shard_run(1 + i % 2, f"INSERT INTO {{s}}.other VALUES ({i}, {i})", f"INSERT INTO {{s}}.t VALUES ({i}000, 3, 'late', 9)")
            time.sleep(0.05)
        wait_value(s, f"SELECT COUNT(*) FROM `{s.target}`.other", 40)
        cursor.execute(f"SELECT COUNT(*) FROM `{s.target}`.t")  # by the connection that has the table: any other waits behind the ALTER
        assert cursor.fetchone()[0] == 2, "rows were written while the target changed"
    reader.commit()
    reader.close()
    s.runner.wait_caught_up()
    want = sorted(r for shard in s.shards for r in shard.server.query(f"SELECT * FROM `{shard.schema}`.t"))
    assert list(s.rows("t")) == want
    s.runner.stop()


def test_held_rows_that_cannot_be_written(scenario):
    """Somebody took a row out of the target: the shard's update of it, held so far, meets none. Status says so; other tables go on; resume goes on."""
    s = make(scenario, "pessimistic", "mariadb")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 'before')")
    s.runner.wait_caught_up()
    s.downstream.run(f"DELETE FROM `{s.target}`.t WHERE id = 1")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", "UPDATE {s}.t SET v = 2 WHERE id = 1")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7")
    status = s.runner.wait_for("the stop to be told", lambda st: st["sources"][0]["state"] == "paused-by-error")
    error = status["sources"][0]["error"]
    assert error["name"] == "APPLY_MISSED" and "rows that were held" in error["message"], error
    assert not status["caught_up"]
    s.shard_run(1, "INSERT INTO {s}.other VALUES (1, 1)")
    wait_value(s, f"SELECT COUNT(*) FROM `{s.target}`.other", 1)
    s.downstream.run(f"INSERT INTO `{s.target}`.t (id, v, w) VALUES (1, 1, 'before')")
    s.runner.resume("s1")
    s.runner.wait_caught_up()
    assert s.downstream.query(f"SELECT id, v FROM `{s.target}`.t") == [(1, 2)]
    s.runner.stop()


@pytest.mark.parametrize("mode", ["pessimistic", "optimistic"])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_a_new_table_that_changes_before_its_first_row(scenario, flavor, mode):
    """What migration tools do: the target is made with the table's first definition, and follows."""
    s = scenario.make_plain(T, (flavor, flavor), flavor, targets=False, task={"shard-mode": mode, "create-tables": True})
    for n in (1, 2):
        s.shard_run(n, "DROP TABLE {s}.t")
    s.write_task({"t": "t", "other": "other"}, extra={"shard-mode": mode, "create-tables": True})
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    for n in (1, 2):
        s.shard_run(n, "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT)", "ALTER TABLE {s}.t ADD COLUMN w INT NOT NULL DEFAULT 5",
                    f"INSERT INTO {{s}}.t VALUES ({n}, {n}, {n})")
    s.runner.wait_caught_up()
    assert sorted(s.downstream.query(f"SELECT id, v, w FROM `{s.target}`.t")) == [(1, 1, 1), (2, 2, 2)]
    s.runner.stop()


@pytest.mark.parametrize("mode", ["pessimistic", "optimistic"])
def test_a_table_made_when_the_others_have_changed(scenario, mode):
    """Made and altered as the others were long ago: nothing of it was there, so nobody has to decide about its rows."""
    s = scenario.make_plain(T, ("mariadb", "mysql"), "mariadb", targets=False, task={"shard-mode": mode, "create-tables": True})
    for n in (1, 2):
        s.shard_run(n, "DROP TABLE {s}.t")
    s.write_task({"t": "t", "other": "other"}, extra={"shard-mode": mode, "create-tables": True})
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    for n in (1, 2):
        s.shard_run(n, "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT)", f"INSERT INTO {{s}}.t VALUES ({10 * n}, {n})",
                    "ALTER TABLE {s}.t ADD COLUMN w INT NOT NULL DEFAULT 5", f"INSERT INTO {{s}}.t VALUES ({n}, {n}, {n})")
        s.runner.wait_caught_up()
        target = next(t for t in s.runner.status()["targets"] if t["table"] == "t")
        assert target["lock"] is None, target["lock"]
    assert sorted(s.downstream.query(f"SELECT id, v, w FROM `{s.target}`.t")) == [(1, 1, 1), (2, 2, 2), (10, 1, 5), (20, 2, 5)]
    s.runner.stop()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_killed_twice_while_held_rows_are_written(scenario, flavor):
    """What a killed process had written of a round is remembered until the round's own floor has passed it: also when the next process is killed
    before it wrote any of it, and after the main stream's floor moved."""
    s = make(scenario, "pessimistic", flavor)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7")
    conn = s.shards[0].server.connect(database=s.shards[0].schema, autocommit=True)
    with conn.cursor() as c:
        for i in range(1500):  # a row written again is told: it is there already, or there no more
            c.execute(f"INSERT INTO t VALUES ({2 * i}, {i}, 'w', 1), ({2 * i + 1}, {i}, 'w', 1)")
            c.execute(f"DELETE FROM t WHERE id = {2 * i}")
    conn.close()
    s.runner.wait_for("it to be held", lambda st: len(st["sources"]) == 2 and st["sources"][0]["state"] == "waiting-for-lock" and st["sources"][0]["in_flight"] == 0)
    s.runner.kill9()

    def interval(seconds):
        s.task["syncers"]["global"]["checkpoint-flush-interval"] = seconds
        s.save()

    def rounds_floor():
        return s.downstream.value(f"SELECT point FROM `{s.meta}`.sm_floor WHERE stream = 's1#1'")

    s.task["syncers"]["global"]["batch"] = 10
    interval(600)
    s.start("apply.before_commit=delay:200@*")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7")
    end = time.monotonic() + 60
    while s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.t") < 200:
        assert time.monotonic() < end, s.runner.log_tail()
        time.sleep(0.01)
    floor = rounds_floor()
    s.runner.kill9()
    written = s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_applied")
    assert written > 0 and rounds_floor() == floor, "the round's floor has moved: nothing is above it"
    interval(1)
    s.start("apply.before_commit=delay:600000@*")
    s.runner.wait_for("the round to go on", lambda st: "source.resumed" in s.runner.log() and "s1#1" in s.runner.log())
    checkpoint = s.downstream.value(f"SELECT point FROM `{s.meta}`.sm_floor WHERE stream = 's1'")
    s.shard_run(1, "CREATE TABLE {s}.not_ours (id INT)")
    end = time.monotonic() + 30
    while s.downstream.value(f"SELECT point FROM `{s.meta}`.sm_floor WHERE stream = 's1'") == checkpoint:
        assert time.monotonic() < end, s.runner.log_tail()
        time.sleep(0.01)
    s.runner.kill9()
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_applied") == written, "what was written above the floor is forgotten"
    s.start()
    s.runner.wait_caught_up()
    assert s.downstream.query(f"SELECT COUNT(*), SUM(v) FROM `{s.target}`.t") == s.shards[0].server.query(f"SELECT COUNT(*), SUM(v) FROM `{s.shards[0].schema}`.t")
    s.runner.stop()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_a_fork_is_not_begun_among_rows_that_are_read_again(scenario, flavor):
    """The floor is low because one row cannot be written; what lies above it is. After a kill the stream reads all that again, slowly, when the other
    shard's ALTER asks for the target: the first shard's rows wait from behind all that had been written, or they would be written twice."""
    s = scenario.make_plain({"t": "(id INT, v INT)", "other": "(id INT PRIMARY KEY, v INT)"}, (flavor, flavor), flavor, task={"shard-mode": "optimistic"})
    s.task["syncers"]["global"]["checkpoint-flush-interval"] = 600
    s.save()
    s.start()
    s.shard_run(1, "INSERT INTO {s}.other VALUES (1, 1)")
    s.runner.wait_caught_up()
    blocker = s.downstream.connect(autocommit=False)
    s.closers.append(blocker.close)
    with blocker.cursor() as c:
        c.execute(f"SELECT v FROM `{s.target}`.other WHERE id = 1 FOR UPDATE")
        s.shard_run(1, "UPDATE {s}.other SET v = 2 WHERE id = 1")
        s.runner.wait_for("the row's wait", lambda st: any(x["in_flight"] for x in st["sources"]))
        for first in (1000, 2000):  # many rows wait behind it; then another applier gets what comes
            s.shard_run(1, "INSERT INTO {s}.other VALUES " + ", ".join(f"({i}, {i})" for i in range(first, first + 400)))
        s.shard_run(1, *(f"INSERT INTO {{s}}.t VALUES ({i}, {i})" for i in range(40)))
        wait_value(s, f"SELECT COUNT(*) FROM `{s.target}`.t", 40)
        s.runner.kill9()
    blocker.rollback()
    above = s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_applied")
    assert above > 0, "the floor is not low"
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", "INSERT INTO {s}.t VALUES (50, 50, 50)")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", "INSERT INTO {s}.t VALUES (51, 51, 51)")
    s.start("assemble.before_deliver=delay:100@*")
    s.runner.wait_caught_up()
    want = sorted(r for shard in s.shards for r in shard.server.query(f"SELECT * FROM `{shard.schema}`.t"))
    assert sorted(s.downstream.query(f"SELECT * FROM `{s.target}`.t")) == want
    assert s.downstream.query(f"SELECT COUNT(*), SUM(v) FROM `{s.target}`.other") == s.shards[0].server.query(f"SELECT COUNT(*), SUM(v) FROM `{s.shards[0].schema}`.other")
    s.runner.stop()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_taken_back_before_a_step_that_is_on_record(scenario, flavor):
    """Killed when a second change was on record while a round ran. The main stream reads again from far before it, takes the member back there,
    and comes to the change: its rows wait from there."""
    s = make(scenario, "pessimistic", flavor, syncers={"global": {"worker-count": 4, "batch": 1, "checkpoint-flush-interval": 600}})
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", *(f"INSERT INTO {{s}}.t VALUES ({i}, {i}, 'w', 1)" for i in range(5)))
    s.runner.wait_for("it to be held", lambda st: len(st["sources"]) == 2 and st["sources"][0]["state"] == "waiting-for-lock" and st["sources"][0]["in_flight"] == 0)
    s.runner.kill9()
    s.start("ddl.round=delay:600000")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7")
    s.runner.wait_for("the round to be on record", lambda st: "lock.closed" in s.runner.log() and s.downstream.value(
        f"SELECT COUNT(*) FROM `{s.meta}`.sm_floor WHERE stream = 's1#1'") == 1)
    s.shard_run(1, *(f"INSERT INTO {{s}}.other VALUES ({i}, {i})" for i in range(60)), "ALTER TABLE {s}.t ADD COLUMN m INT NOT NULL DEFAULT 8",
                "INSERT INTO {s}.t VALUES (100, 100, 'w', 2, 3)", "UPDATE {s}.t SET m = 4 WHERE id < 3")
    s.runner.wait_for("the second change", lambda st: "ADD COLUMN m" in s.runner.log())
    s.runner.kill9()
    s.start("source.event=delay:10@*")
    s.runner.wait_for("the member to be taken back", lambda st: "catch-up.ended" in s.runner.log(), 90)
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN m INT NOT NULL DEFAULT 8", "INSERT INTO {s}.t VALUES (1000, 1, 'w', 2, 3)")
    s.runner.wait_caught_up()
    assert list(s.rows("t")) == sorted(r for shard in s.shards for r in shard.server.query(f"SELECT * FROM `{shard.schema}`.t"))
    s.runner.stop()


@pytest.mark.parametrize("fault", ["ddl.done=kill@1", "ddl.intent=kill@2", "ddl.sent=kill@2"])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_killed_between_two_statements_of_one_change(scenario, flavor, fault):
    """What rows get in a new column is not its default by now: the target takes two statements. A plan made anew between them would
    take the column for one that the target always had."""
    s = make(scenario, "pessimistic", flavor)
    for n, fill in ((1, 3), (2, 4)):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, 1, 'w')", f"ALTER TABLE {{s}}.t ADD COLUMN n INT DEFAULT {fill}",
                    "ALTER TABLE {s}.t ALTER COLUMN n SET DEFAULT 1", f"INSERT INTO {{s}}.t (id, v) VALUES ({n}2, 2)")
    s.runner.wait_for("the difference", lambda st: any(x["lock"] and x["lock"]["state"] == "data-differs" for x in st["targets"]))
    s.runner.stop()
    s.start(fault)
    s.runner.wait_for("the difference again", lambda st: any(x["lock"] and x["lock"]["state"] == "data-differs" for x in st["targets"]))
    s.runner.verb("locks", "--decide", "accept", "--source", "s1", "--yes")
    s.runner.wait_exit(60)
    assert "SET DEFAULT" in s.runner.log() or "MODIFY COLUMN" in s.runner.log(), "the target takes one statement"
    s.start()
    s.runner.wait_caught_up()
    rows = dict(s.downstream.query(f"SELECT id, n FROM `{s.target}`.t"))
    assert rows[12] == rows[22] == 1 and rows[1] == rows[2] and rows[1] in (3, 4), rows
    assert s.downstream.value("SELECT COLUMN_DEFAULT FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '%s' AND TABLE_NAME = 't' AND COLUMN_NAME = 'n'" % s.target) == "1"
    s.runner.stop()
