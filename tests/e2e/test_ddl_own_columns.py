"""Columns that the target has and the shards have not: of its own, or those of shard tables that have left. No value in them
is lost, and none is taken for a shard's that is not."""
from decimal import Decimal

import pytest
from test_ddl_copy import columns
from test_ddl_policies import IDS, MIXES, T, caught_up, locks, rows, start


def wait_asks(s, *words):
    s.runner.wait_for("the lock to ask", lambda _: "operator" in locks(s), 60)
    text = locks(s)
    for word in words:
        assert word in text, text


def decide(s, what):
    done = s.runner.verb("locks", "--decide", what, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def type_of(s, column):
    return s.downstream.value("SELECT column_type FROM information_schema.columns WHERE table_schema = %s AND table_name = 't' AND column_name = %s",
                              (s.target, column)).split("(")[0]


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("by_hand", ["values", "renamed"])
def test_the_target_has_a_column_of_that_name(scenario, flavors, downstream, by_hand):
    """Rows that were there have its default, not what the shards' rows got."""
    s = scenario.make_plain(T, flavors, downstream, task={"shard-mode": "optimistic"})
    s.downstream.run(f"ALTER TABLE `{s.target}`.t ADD COLUMN c INT DEFAULT 0")
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, 0)")
    caught_up(s)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 5", f"INSERT INTO {{s}}.t VALUES (1{n}, 0, 7)")
    wait_asks(s, "column `c` of its own")
    if by_hand == "values":
        s.downstream.run(f"UPDATE `{s.target}`.t SET c = 5")
        decide(s, "give-up")
    else:
        s.downstream.run(f"ALTER TABLE `{s.target}`.t CHANGE c mine INT DEFAULT 0")
        decide(s, "retry")
    caught_up(s)
    assert rows(s, cols="id, v, c") == [(1, 0, 5), (2, 0, 5), (11, 0, 7), (12, 0, 7)]
    assert ("mine" in columns(s.downstream, s.target, "t")) == (by_hand == "renamed")
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_prepared_for_a_column_that_comes(scenario, flavors, downstream):
    """Its default is what the shards' rows get: nothing to ask."""
    s = scenario.make_plain(T, flavors, downstream, task={"shard-mode": "pessimistic"})
    s.downstream.run(f"ALTER TABLE `{s.target}`.t ADD COLUMN c BIGINT NOT NULL DEFAULT 5, ADD COLUMN d INT")
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, 0)", "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 5, ADD COLUMN d INT",
                    f"INSERT INTO {{s}}.t VALUES (1{n}, 0, 7, 8)")
    caught_up(s)
    assert rows(s, cols="id, v, c, d") == [(1, 0, 5, None), (2, 0, 5, None), (11, 0, 7, 8), (12, 0, 7, 8)]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_a_conversion_of_a_wider_column(scenario, flavors, downstream):
    """The shards' values were rounded; the target's have room for more digits, and would keep them."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v DECIMAL(10,4))"}, flavors, downstream, task={"shard-mode": "pessimistic"})
    s.downstream.run(f"ALTER TABLE `{s.target}`.t MODIFY v DECIMAL(20,6)")
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, 1.2345)", "ALTER TABLE {s}.t MODIFY v DECIMAL(10,2)", f"INSERT INTO {{s}}.t VALUES (1{n}, 6.78)")
    wait_asks(s, "column `v` of the target is decimal(20,6)")
    assert rows(s, cols="id, v") == [(1, Decimal("1.2345")), (2, Decimal("1.2345"))]
    s.downstream.run(f"ALTER TABLE `{s.target}`.t MODIFY v DECIMAL(10,2)")
    decide(s, "retry")
    caught_up(s)
    assert rows(s, cols="id, v") == [(1, Decimal("1.23")), (2, Decimal("1.23")), (11, Decimal("6.78")), (12, Decimal("6.78"))]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("how", ["DROP TABLE {s}.t", "detach"])
def test_what_a_shard_table_leaves_behind(scenario, flavors, downstream, how):
    """Its rows stay, and so do a column that it alone had and a type that it alone needed; also when the others drop and narrow
    theirs, after a restart."""
    s = scenario.make_plain(T, flavors, downstream, task={"shard-mode": "optimistic"})
    s.task["routes"]["r-t"]["on-drop"] = "ignore"
    s.save()
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 0)", "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 5, MODIFY v BIGINT",
                "INSERT INTO {s}.t VALUES (11, 5000000000, 7)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (2, 0)")
    caught_up(s)
    left = [(1, 0, 5), (11, 5000000000, 7)]
    assert rows(s, cols="id, v, c") == [left[0], (2, 0, 5), left[1]]
    if how == "detach":
        done = s.runner.verb("locks", "--decide", "detach", "--source", "s1", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        s.shard_run(1, how)
    s.runner.wait_for("the shard to leave", lambda _: "shard.left" in s.runner.log(), 60)
    s.shard_run(2, "INSERT INTO {s}.t VALUES (3, 1)")
    caught_up(s)
    s.runner.stop()
    start(s)
    s.shard_run(2, "ALTER TABLE {s}.t MODIFY v SMALLINT, ADD COLUMN d INT DEFAULT 4", "INSERT INTO {s}.t VALUES (4, 2, 9)")
    caught_up(s)
    assert rows(s, cols="id, v, c, d") == sorted([(*r, 4) for r in left] + [(2, 0, 5, 4), (3, 1, 5, 4), (4, 2, 5, 9)])
    assert type_of(s, "v") == "bigint"
    # another column of that name: the values of the one that left have to go somewhere first
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 6", "INSERT INTO {s}.t VALUES (5, 3, 9, 8)")
    wait_asks(s, "holds values of shard tables that have left")
    s.downstream.run(f"ALTER TABLE `{s.target}`.t CHANGE c c_of_1 INT")
    decide(s, "retry")
    caught_up(s)
    assert rows(s, cols="id, v, c_of_1, d, c") == sorted([(*r, 4, 6) for r in left] + [(2, 0, 5, 4, 6), (3, 1, 5, 4, 6), (4, 2, 5, 9, 6), (5, 3, None, 9, 8)])
    s.shard_run(2, "ALTER TABLE {s}.t DROP COLUMN v")
    caught_up(s)
    assert rows(s, cols="id, v")[0] == (1, 0), "a column that the shard table had when it left"
    s.runner.stop()


def left_alone(s, *statements):
    """The first shard's table has run these, and has left."""
    s.task["routes"]["r-t"]["on-drop"] = "ignore"
    s.save()
    start(s)
    s.shard_run(1, *statements)
    s.shard_run(2, "INSERT INTO {s}.t VALUES (2, 0)")
    caught_up(s)
    s.shard_run(1, "DROP TABLE {s}.t")
    s.runner.wait_for("the shard to leave", lambda _: "shard.left" in s.runner.log(), 60)


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_left_under_another_name(scenario, flavors, downstream):
    """It renamed its column before it left; the other one adds one of the first name, and keeps its own values."""
    s = scenario.make_plain(T, flavors, downstream, task={"shard-mode": "optimistic"})
    left_alone(s, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 5", "ALTER TABLE {s}.t CHANGE c d INT DEFAULT 5", "INSERT INTO {s}.t VALUES (1, 0, 7)")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN c INT DEFAULT 5", "INSERT INTO {s}.t VALUES (3, 1, 42)", "UPDATE {s}.t SET c = 43 WHERE id = 2")
    caught_up(s)
    assert rows(s, cols="id, v, c, d") == [(1, 0, 5, 7), (2, 0, 43, 5), (3, 1, 42, 5)]
    s.shard_run(2, "ALTER TABLE {s}.t MODIFY c BIGINT", "UPDATE {s}.t SET c = 5000000000 WHERE id = 3")
    caught_up(s)
    assert rows(s, cols="id, v, c, d") == [(1, 0, 5, 7), (2, 0, 43, 5), (3, 1, 5000000000, 5)]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("then,c", [("ALTER TABLE {s}.t ADD COLUMN c INT", 42), ("ALTER TABLE {s}.t ADD COLUMN c VARCHAR(10)", "x")], ids=["narrower", "text"])
def test_left_with_digits(scenario, flavors, downstream, then, c):
    """It rounded its values before it left: nobody rounds them once more. No type holds them and a text: the lock asks."""
    s = scenario.make_plain(T, flavors, downstream, task={"shard-mode": "optimistic"})
    left_alone(s, "ALTER TABLE {s}.t ADD COLUMN c DECIMAL(10,4)", "INSERT INTO {s}.t VALUES (1, 0, 1.2345)", "ALTER TABLE {s}.t MODIFY c DECIMAL(10,2)")
    s.shard_run(2, then, f"INSERT INTO {{s}}.t VALUES (3, 1, '{c}')")
    if c == "x":
        wait_asks(s, "holds values of shard tables that have left")
        s.downstream.run(f"ALTER TABLE `{s.target}`.t CHANGE c old_c DECIMAL(10,2)")
        decide(s, "retry")
    caught_up(s)
    got = rows(s, cols="id, c")
    assert got == [(1, None if c == "x" else Decimal("1.23")), (2, None), (3, c)]
    s.runner.stop()


COMPUTED = {"t": "(id BIGINT PRIMARY KEY, v INT, g INT AS (v + 1) STORED)"}


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("mode", ["pessimistic", "optimistic"])
def test_computed_otherwise(scenario, flavors, downstream, mode):
    """The target computes a generated column as the shards do, in rows that were there, too."""
    s = scenario.make_plain(COMPUTED, flavors, downstream, task={"shard-mode": mode})
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t (id, v) VALUES ({n}, 10)")
    caught_up(s)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t MODIFY g INT AS (v * 2) STORED", f"INSERT INTO {{s}}.t (id, v) VALUES (1{n}, 20)")
    caught_up(s)
    assert rows(s, cols="id, v, g") == [(1, 10, 20), (2, 10, 20), (11, 20, 40), (12, 20, 40)]
    changes = f"SELECT COUNT(*) FROM `{s.meta}`.sm_ddl"
    assert s.downstream.value(changes) == 1
    for n in (1, 2):  # in other words it is no change
        s.shard_run(n, "ALTER TABLE {s}.t MODIFY g INT AS (( `v` * 2 )) STORED", f"INSERT INTO {{s}}.t (id, v) VALUES (2{n}, 30)")
    caught_up(s)
    assert s.downstream.value(changes) == 1
    assert rows(s, cols="id, v, g")[-2:] == [(21, 30, 60), (22, 30, 60)]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("by_hand", ["values", "generated"])
def test_computed_otherwise_where_the_target_has_values(scenario, flavors, downstream, by_hand):
    """Its rows would keep what they hold: the lock asks."""
    s = scenario.make_plain(COMPUTED, flavors, downstream, task={"shard-mode": "pessimistic"})
    s.downstream.run(f"ALTER TABLE `{s.target}`.t DROP COLUMN g, ADD COLUMN g INT")
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t (id, v) VALUES ({n}, 10)")
    caught_up(s)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t MODIFY g INT AS (v * 2) STORED", f"INSERT INTO {{s}}.t (id, v) VALUES (1{n}, 20)")
    wait_asks(s, "column `g` of the target is an ordinary one")
    if by_hand == "values":
        s.downstream.run(f"UPDATE `{s.target}`.t SET g = v * 2")
        decide(s, "give-up")
    else:
        s.downstream.run(f"ALTER TABLE `{s.target}`.t DROP COLUMN g, ADD COLUMN g INT AS (v * 2) STORED")
        decide(s, "retry")
    caught_up(s)
    assert rows(s, cols="id, v, g") == [(1, 10, 20), (2, 10, 20), (11, 20, 40), (12, 20, 40)]
    s.runner.stop()
