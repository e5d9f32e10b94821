"""Two shards that claim one key: detected, never overwritten. What only looks like it: let through."""
import pytest

ONE = {"t": "(id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_unicode_ci NULL, v INT, UNIQUE KEY k_u (u))"}


def settle(s, number, *statements):
    """Statements on a shard, and waiting until they are merged."""
    s.shard_run(number, *statements)
    s.runner.wait_caught_up()


def expect_collision(s, source, *words):
    error = s.runner.wait_error(source, "APPLY_COLLISION")
    text = error["message"]
    for shard in s.shards:
        assert f"s{shard.number}" in text, f"the collision's message does not name source s{shard.number}: {text}"
    for word in words:
        assert word in text, f"the collision's message lacks {word!r}: {text}"
    return error


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_same_primary_key(scenario, downstream):
    s = scenario.make_plain(ONE, downstream=downstream)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (2, 'b', 20)", "INSERT INTO {s}.t VALUES (1, 'c', 30)", "INSERT INTO {s}.t VALUES (3, 'd', 40)")
    expect_collision(s, "s2", f"{s.unique}_s2", f"{s.target}")
    assert s.rows("t") == [(1, "a", 10), (2, "b", 20)], "the first shard's row must stand, what came before is merged, what comes after waits"
    settle_one = s.runner.source("s1")
    assert settle_one["state"] == "streaming" and not settle_one["error"], "the other source must go on"
    s.shard_run(1, "UPDATE {s}.t SET v = 11 WHERE id = 1")
    s.runner.wait_for("the other source to go on", lambda _: s.rows("t")[0] == (1, "a", 11))


def test_a_unique_key_beside_the_primary(scenario):
    """Equal under the target's collation: 'ß' and 'SS'."""
    s = scenario.make_plain(ONE)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'straße', 1)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (2, 'STRASSE', 2)")
    expect_collision(s, "s2")
    assert s.rows("t") == [(1, "straße", 1)]


@pytest.mark.parametrize("statement", ["UPDATE {s}.t SET id = 1 WHERE id = 2", "UPDATE {s}.t SET u = 'a' WHERE id = 2"])
def test_an_update_into_the_other_shards_key(scenario, statement):
    s = scenario.make_plain(ONE)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t VALUES (2, 'b', 20)")
    s.shard_run(2, statement)
    expect_collision(s, "s2")
    assert s.rows("t") == [(1, "a", 10), (2, "b", 20)]


def test_a_collision_inside_a_batch_spares_its_neighbours(scenario):
    """Hundreds of good rows around one bad one; a transaction is merged whole or not at all."""
    s = scenario.make_plain(ONE)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (5000, 'x', 1)")
    s.shard_run(2, *(f"INSERT INTO {{s}}.t VALUES ({i}, NULL, 1), ({i + 1}, NULL, 1)" for i in range(0, 400, 2)),
                "INSERT INTO {s}.t VALUES (4999, NULL, 2), (5000, NULL, 2), (5001, NULL, 2)",
                "INSERT INTO {s}.t VALUES (6000, NULL, 3)")
    expect_collision(s, "s2")
    ids = [r[0] for r in s.rows("t", "id, v")]
    assert ids == list(range(400)) + [5000], f"{len(ids)} rows, the last {ids[-4:]}"


def test_the_shards_own_deletion_of_the_other_row_is_no_collision(scenario):
    """A row moves from one shard to the other: DELETE here, INSERT there, in whatever order they arrive."""
    s = scenario.make_plain(ONE, task={"collision-grace": "60s"})
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10), (2, 'b', 20)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    s.runner.wait_for("the second shard to wait", lambda st: len(st["sources"]) == 2 and st["sources"][1].get("waiting_for_freed_key"))
    s.shard_run(1, "DELETE FROM {s}.t WHERE id = 1")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, "a", 10), (2, "b", 20)]
    s.runner.wait_for("no error", lambda st: st["sources"][1]["error"] is None)


def test_many_moves_between_shards(scenario):
    s = scenario.make_plain(ONE, task={"collision-grace": "60s"})
    s.start()
    settle(s, 1, *(f"INSERT INTO {{s}}.t VALUES ({i}, 'k{i}', 0)" for i in range(20)))
    for round_no in range(3):  # a row that comes back before its first move is merged has no order that anybody could know
        here, there = (1, 2) if round_no % 2 == 0 else (2, 1)
        for i in range(20):
            insert = f"INSERT INTO {{s}}.t VALUES ({i}, 'k{i}', {round_no * 100 + i})"
            delete = f"DELETE FROM {{s}}.t WHERE id = {i}"
            steps = [(there, insert), (here, delete)]
            for number, statement in steps if i % 2 else reversed(steps):
                s.shard_run(number, statement)
        s.runner.wait_caught_up(60)
    expected = sorted(r for x in s.shards for r in x.server.query(f"SELECT * FROM `{x.schema}`.t"))
    assert s.rows("t") == expected


def test_resume_after_the_key_was_changed(scenario):
    s = scenario.make_plain(ONE)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 'c', 30)", "UPDATE {s}.t SET v = 31 WHERE id = 1")
    expect_collision(s, "s2")
    s.shard_run(1, "UPDATE {s}.t SET id = 7 WHERE id = 1")
    s.runner.wait_for("the freed key", lambda _: s.rows("t")[0][0] == 7)
    s.runner.resume("s2")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, "c", 31), (7, "a", 10)]


def test_a_collision_survives_a_restart(scenario):
    """Stopped stays stopped after kill -9; nothing is overwritten by the restart."""
    s = scenario.make_plain(ONE)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 'c', 30)")
    expect_collision(s, "s2")
    s.runner.kill9()
    s.start()
    expect_collision(s, "s2")
    assert s.rows("t") == [(1, "a", 10)]


@pytest.mark.parametrize("statement", ["UPDATE {s}.t SET v = 99 WHERE id = 1", "DELETE FROM {s}.t WHERE id = 1"])
def test_a_missed_row_stops(scenario, statement):
    s = scenario.make_plain(ONE)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10), (2, 'b', 20)")
    s.downstream.run(f"DELETE FROM `{s.target}`.t WHERE id = 1")
    s.shard_run(1, statement, "INSERT INTO {s}.t VALUES (3, 'c', 30)")
    error = s.runner.wait_error("s1", "APPLY_MISSED")
    assert f"{s.unique}_s1" in error["message"], error
    assert s.rows("t") == [(2, "b", 20)], "nothing after the missed row may be applied"


def test_missed_rows_on_record(scenario):
    s = scenario.make_plain(ONE, task={"on-missing-row": "record"})
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)")
    s.downstream.run(f"DELETE FROM `{s.target}`.t WHERE id IN (1, 2)")
    settle(s, 1, "UPDATE {s}.t SET v = v + 1", "DELETE FROM {s}.t WHERE id = 2")
    assert s.rows("t") == [(3, "c", 31)]
    counters = s.runner.source("s1")["counters"]
    assert counters["missed"] == 3, f"two UPDATEs and one DELETE met no row: {counters}"
    missed = s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_missed")
    assert missed == 3, "the images of missed rows are kept downstream"
    s.finish()


def test_an_update_that_changes_nothing_downstream_is_not_missed(scenario):
    """The target has the new values already (CLIENT_FOUND_ROWS)."""
    s = scenario.make_plain(ONE)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    s.downstream.run(f"UPDATE `{s.target}`.t SET v = 11")
    settle(s, 1, "UPDATE {s}.t SET v = 11 WHERE id = 1")
    assert s.rows("t") == [(1, "a", 11)]
    s.finish()


def test_a_keyless_row_that_is_missing_is_missed(scenario):
    s = scenario.make_plain({"n": "(a INT, b VARCHAR(10))"})
    s.start()
    settle(s, 1, "INSERT INTO {s}.n VALUES (1, 'x'), (1, 'x'), (2, NULL)")
    s.downstream.run(f"DELETE FROM `{s.target}`.n WHERE a = 2")
    s.shard_run(1, "DELETE FROM {s}.n WHERE a = 2")
    s.runner.wait_error("s1", "APPLY_MISSED")
    assert s.rows("n") == [(1, "x"), (1, "x")]


def two_tables(scenario, task):
    s = scenario.make_plain({"t_1": ONE["t"]}, targets=False, task=task)
    for number in (1, 2):
        s.shard_run(number, f"CREATE TABLE {{s}}.t_2 {ONE['t']}")
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {ONE['t']}")
    s.write_task({"t": "t_*"}, extra=task)
    s.start()
    return s


def test_the_other_sides_table_has_another_name_now(scenario):
    s = two_tables(scenario, {"shard-mode": "pessimistic"})
    settle(s, 2, "INSERT INTO {s}.t_1 VALUES (1, 'a', 10)")
    settle(s, 2, "RENAME TABLE {s}.t_1 TO {s}.t_7")
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 'b', 20)")
    expect_collision(s, "s1", f"the other side is s2 {s.unique}_s2.t_7")


def test_a_table_that_cannot_be_asked(scenario):
    """It is gone, which nobody has read of: the source's other tables are asked."""
    s = two_tables(scenario, {})
    for number, table in ((2, "t_1"), (2, "t_2")):
        settle(s, number, f"INSERT INTO {{s}}.{table} VALUES ({10 * int(table[2:])}, '{table}', 1)")
    s.shard_run(2, "SET SESSION sql_log_bin = 0", "DROP TABLE {s}.t_2")
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (10, 'b', 20)")
    error = expect_collision(s, "s1", f"the other side is s2 {s.unique}_s2.t_1")
    assert f"could not be asked: s2 {s.unique}_s2.t_2" in error["message"], error
