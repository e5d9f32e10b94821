"""RENAME TABLE of shard tables: the member follows its table's name, and keeps what it is."""
import time

import pytest
from harness.sm import Failed
from test_ddl_policies import IDS, KEY, MIXES, alive, caught_up, held, locks, rows, start, wait_rows

MODES = ["pessimistic", "optimistic"]


def make(scenario, flavors=("mariadb", "mariadb"), downstream="mariadb", mode="pessimistic", tables=("t_1", "t_2"), keyed=False, gtid=True, **policies):
    """Each shard has the tables, which all go to one target `t`; `t_…` is routed, other names are not."""
    s = scenario
    s.make_downstream(downstream)
    s.make_shards(flavors)
    for shard in s.shards:
        shard.server.run(f"CREATE DATABASE `{shard.schema}`", *(f"CREATE TABLE `{shard.schema}`.`{t}` (id BIGINT PRIMARY KEY, v INT)" for t in tables),
                         f"CREATE TABLE `{shard.schema}`.other (id BIGINT PRIMARY KEY, v INT)")
    s.write_task({"t": "t_*", "other": "other"}, gtid=gtid, extra={"shard-mode": mode})
    s.task["routes"]["r-t"].update({k.replace("_", "-"): v for k, v in policies.items()})
    if keyed:
        key = {"strategy": "composite", "provenance": [{"column": "shard", "value": "${source}-${table}", "type": "VARCHAR(40)"}]}
        s.task["routes"]["r-t"]["key"] = key
        s.task["routes"]["r-other"]["key"] = KEY
    s.save()
    return s


def members(s):
    import sqlite3
    db = sqlite3.connect(f"file:{s.folder}/state/state.db?mode=ro", uri=True)
    return sorted(db.execute("SELECT shard_table, first_known_as, left_utc IS NOT NULL FROM v_members WHERE target_table LIKE '%.t'").fetchall())


def wait_operator(s):
    """The lock begins a moment after what lies behind the statement is merged, and after a start."""
    s.runner.wait_for("the lock to ask", lambda _: "operator" in locks(s), 60)


@pytest.mark.parametrize("how", ["RENAME TABLE {s}.t_1 TO {s}.t_9", "ALTER TABLE {s}.t_1 RENAME TO {s}.t_9"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_rename_inside_the_group(scenario, flavors, downstream, mode, how):
    """Its rows go on under the name, its provenance stays, it changes with the others, now and after a restart."""
    s = make(scenario, flavors, downstream, mode, keyed=True)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1), (2, 2)", "INSERT INTO {s}.t_2 VALUES (1, 10)")
    s.shard_run(1, how, "UPDATE {s}.t_9 SET v = 11 WHERE id = 1", "INSERT INTO {s}.t_9 VALUES (3, 3)", "DELETE FROM {s}.t_9 WHERE id = 2")
    s.shard_run(2, "INSERT INTO {s}.t_1 VALUES (1, 100)")
    caught_up(s)
    expected = [(1, 11, "s1-t_1"), (3, 3, "s1-t_1"), (1, 10, "s1-t_2"), (1, 100, "s2-t_1")]
    assert rows(s) == sorted(expected)
    s.runner.kill9()
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_9 VALUES (4, 4)", "ALTER TABLE {s}.t_9 ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t_9 VALUES (5, 5, 6)",
                "ALTER TABLE {s}.t_2 ADD COLUMN n INT DEFAULT 5")
    s.shard_run(2, *(f"ALTER TABLE {{s}}.{t} ADD COLUMN n INT DEFAULT 5" for t in ("t_1", "t_2")))
    caught_up(s)
    assert rows(s, cols="id, v, n, shard") == sorted([(i, v, 5, p) for i, v, p in expected] + [(4, 4, 5, "s1-t_1"), (5, 5, 6, "s1-t_1")])
    assert held(s) == []
    s.runner.stop()


def test_a_name_is_used_again(scenario):
    """The old name goes to a table made anew: another shard table, with the same name in the beginning."""
    s = make(scenario)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "RENAME TABLE {s}.t_1 TO {s}.t_3", "CREATE TABLE {s}.t_1 (id BIGINT PRIMARY KEY, v INT)",
                "INSERT INTO {s}.t_1 VALUES (2, 2)", "INSERT INTO {s}.t_3 VALUES (3, 3)")
    caught_up(s)
    assert rows(s, cols="id, v") == [(1, 1), (2, 2), (3, 3)]
    s.runner.kill9()
    start(s)
    s.shard_run(1, "UPDATE {s}.t_1 SET v = 22", "UPDATE {s}.t_3 SET v = v + 10")
    caught_up(s)
    assert rows(s, cols="id, v") == [(1, 11), (2, 22), (3, 13)]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_rename_of_several_and_to_a_name_that_is_free_again(scenario, flavors, downstream):
    s = make(scenario, flavors, downstream, on_drop="ignore")
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "INSERT INTO {s}.t_2 VALUES (2, 2)", "RENAME TABLE {s}.t_1 TO {s}.t_3, {s}.t_2 TO {s}.t_4",
                "UPDATE {s}.t_3 SET v = 10", "UPDATE {s}.t_4 SET v = 20", "DROP TABLE {s}.t_4", "RENAME TABLE {s}.t_3 TO {s}.t_4",
                "UPDATE {s}.t_4 SET v = 11", "INSERT INTO {s}.t_4 VALUES (3, 3)")
    caught_up(s)
    assert rows(s, cols="id, v") == [(1, 11), (2, 20), (3, 3)]
    s.runner.kill9()
    start(s)
    s.shard_run(1, "DELETE FROM {s}.t_4 WHERE id = 1", "ALTER TABLE {s}.t_4 ADD COLUMN n INT")
    s.shard_run(2, "ALTER TABLE {s}.t_1 ADD COLUMN n INT", "ALTER TABLE {s}.t_2 ADD COLUMN n INT")
    caught_up(s)
    assert rows(s, cols="id, v, n") == [(2, 20, None), (3, 3, None)]
    s.runner.stop()


def test_two_change_places(scenario):
    """Held, since nobody knows what was meant; skipped, each goes on under its new name."""
    s = make(scenario, keyed=True)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "INSERT INTO {s}.t_2 VALUES (2, 2)",
                "RENAME TABLE {s}.t_1 TO {s}.x, {s}.t_2 TO {s}.t_1, {s}.x TO {s}.t_2", "UPDATE {s}.t_2 SET v = 11", "UPDATE {s}.t_1 SET v = 22",
                "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1, "s1")], "other")
    wait_operator(s)
    assert rows(s) == [(1, 1, "s1-t_1"), (2, 2, "s1-t_2")]
    s.runner.kill9()
    start(s)
    wait_operator(s)
    for t in ("t_1", "t_2"):
        locks(s, "--decide", "skip", "--source", "s1", "--table", f"{s.shards[0].schema}.{t}", "--target", f"{s.target}.t", "--yes")
    caught_up(s)
    assert rows(s) == [(1, 11, "s1-t_1"), (2, 22, "s1-t_2")]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("policy", ["hold", "ignore", "delete-shard-rows"])
def test_rename_out_of_the_group(scenario, flavors, downstream, policy):
    s = make(scenario, flavors, downstream, keyed=True, on_rename_out=policy)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "INSERT INTO {s}.t_2 VALUES (2, 2)", "RENAME TABLE {s}.t_1 TO {s}.old_1",
                "INSERT INTO {s}.old_1 VALUES (3, 3)", "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1, "s1")], "other")
    if policy == "hold":
        wait_operator(s)
        wait_rows(s, [(1, 1, "s1-t_1"), (2, 2, "s1-t_2")])
        s.runner.kill9()
        start(s)
        wait_operator(s)
        locks(s, "--decide", "skip", "--source", "s1", "--table", f"{s.shards[0].schema}.t_1", "--target", f"{s.target}.t", "--yes")
    caught_up(s)
    assert rows(s) == ([] if policy == "delete-shard-rows" else [(1, 1, "s1-t_1")]) + [(2, 2, "s1-t_2")]
    s.shard_run(1, "INSERT INTO {s}.old_1 VALUES (4, 4)", "DROP TABLE {s}.old_1", "ALTER TABLE {s}.t_2 ADD COLUMN n INT")
    s.shard_run(2, "ALTER TABLE {s}.t_1 ADD COLUMN n INT", "ALTER TABLE {s}.t_2 ADD COLUMN n INT")
    caught_up(s)
    assert rows(s, cols="id, v, n, shard") == ([] if policy == "delete-shard-rows" else [(1, 1, None, "s1-t_1")]) + [(2, 2, None, "s1-t_2")]
    s.runner.stop()


def test_renamed_out_and_back_while_it_waits(scenario):
    """Rows written under the other name are the member's, too."""
    s = make(scenario, keyed=True)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "RENAME TABLE {s}.t_1 TO {s}.aside", "UPDATE {s}.aside SET v = 11",
                "INSERT INTO {s}.aside VALUES (2, 2)", "RENAME TABLE {s}.aside TO {s}.t_1", "INSERT INTO {s}.t_1 VALUES (3, 3)",
                "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1, "s1")], "other")
    wait_operator(s)
    locks(s, "--decide", "skip", "--source", "s1", "--table", f"{s.shards[0].schema}.t_1", "--target", f"{s.target}.t", "--yes")
    caught_up(s)
    assert rows(s) == [(1, 11, "s1-t_1"), (2, 2, "s1-t_1"), (3, 3, "s1-t_1")]
    s.runner.stop()


@pytest.mark.parametrize("how", ["RENAME TABLE {s}.fresh TO {s}.t_5", "ALTER TABLE {s}.fresh RENAME TO {s}.t_5",
                                 "RENAME TABLE {s}.t_1 TO {s}.old_1, {s}.fresh TO {s}.t_1"])
def test_rows_of_its_own_come_into_the_group(scenario, how):
    """They were never copied: the source stops before anything behind it is written."""
    s = make(scenario)
    start(s)
    s.shard_run(1, "CREATE TABLE {s}.fresh (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO {s}.fresh VALUES (1, 1)", "INSERT INTO {s}.t_1 VALUES (5, 5)", how,
                "INSERT INTO {s}.other VALUES (1, 1)")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "go on behind it" in error["remedy"]
    wait_rows(s, [(5, 5)], cols="id, v")
    assert rows(s, "other", "id, v") == []


@pytest.mark.parametrize("fault,times", [("ddl.step", 1), ("ddl.step", 2), ("ddl.lock", 1), ("ddl.lock", 2), ("ddl.lock", 3), ("ddl.round_floor", 1),
                                         ("ddl.round", 1), ("ddl.fork_end", 1), ("ddl.rejoin", 1), ("ddl.round_through", 1), ("apply.after_commit", 2), ("floor.before_commit", 4)])
@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
def test_killed_while_names_change(scenario, fault, times, gtid):
    s = make(scenario, gtid=gtid)
    try:
        start(s, f"{fault}=kill@{times}")
    except Failed:
        if s.runner.running:
            raise
        start(s)  # floors are written before there is anything to read, too
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "INSERT INTO {s}.t_2 VALUES (2, 2)", "RENAME TABLE {s}.t_1 TO {s}.t_3, {s}.t_2 TO {s}.t_4",
                "UPDATE {s}.t_3 SET v = v + 10", "UPDATE {s}.t_4 SET v = v + 20", "INSERT INTO {s}.t_3 VALUES (3, 3)", "RENAME TABLE {s}.t_4 TO {s}.t_1",
                "UPDATE {s}.t_1 SET v = v + 100", "CREATE TABLE {s}.t_4 (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO {s}.t_4 VALUES (4, 4)")
    time.sleep(1)
    alive(s)
    s.shard_run(1, "UPDATE {s}.t_3 SET v = v + 1000", "UPDATE {s}.t_4 SET v = v + 1000")
    caught_up(s)
    assert rows(s, cols="id, v") == [(1, 1011), (2, 122), (3, 1003), (4, 1004)]
    s.runner.stop()


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("times", [2, 4])
def test_a_round_is_ahead_of_the_names(scenario, times, gtid):
    """Killed inside a statement that renames two tables, with one of them on record: the round that begins behind it
    would be through long before the main stream, which has the rows before it to read again, comes to the statement."""
    s = make(scenario, gtid=gtid)
    start(s, f"ddl.step=kill@{times}")
    s.shard_run(1, *(f"INSERT INTO {{s}}.t_1 VALUES ({i}, 0)" for i in range(1, 11)), "INSERT INTO {s}.t_2 VALUES (50, 0)",
                "RENAME TABLE {s}.t_1 TO {s}.t_3, {s}.t_2 TO {s}.t_4", "UPDATE {s}.t_3 SET v = v + 1", "UPDATE {s}.t_4 SET v = v + 2",
                "RENAME TABLE {s}.t_4 TO {s}.t_1", "UPDATE {s}.t_1 SET v = v + 10", "CREATE TABLE {s}.t_4 (id BIGINT PRIMARY KEY, v INT)",
                "INSERT INTO {s}.t_4 VALUES (60, 7)", "UPDATE {s}.t_3 SET v = v + 100")
    s.runner.wait_exit()
    start(s, "source.event=delay:30@*")
    caught_up(s)
    assert rows(s, cols="id, v") == [(i, 101) for i in range(1, 11)] + [(50, 12), (60, 7)]
    s.runner.stop()


def test_renamed_while_the_program_was_down(scenario):
    """The servers list the new name before the stream has read how it came to it."""
    s = make(scenario, keyed=True)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "ALTER TABLE {s}.t_1 COMMENT 'x'")
    caught_up(s)
    s.runner.stop()
    s.shard_run(1, "UPDATE {s}.t_1 SET v = 2", "RENAME TABLE {s}.t_1 TO {s}.t_7", "UPDATE {s}.t_7 SET v = v + 10", "INSERT INTO {s}.t_7 VALUES (2, 2)",
                "INSERT INTO {s}.other VALUES (1, 1)")
    start(s)
    caught_up(s)
    assert rows(s) == [(1, 12, "s1-t_1"), (2, 2, "s1-t_1")]
    s.shard_run(1, *(f"ALTER TABLE {{s}}.{t} ADD COLUMN n INT" for t in ("t_7", "t_2")))
    s.shard_run(2, *(f"ALTER TABLE {{s}}.{t} ADD COLUMN n INT" for t in ("t_1", "t_2")))
    caught_up(s)
    assert rows(s, cols="id, v, n, shard") == [(1, 12, None, "s1-t_1"), (2, 2, None, "s1-t_1")]
    s.runner.stop()


@pytest.mark.parametrize("how,to", [("RENAME TABLE {s}.old_1 TO {s}.%s", "t_1"), ("ALTER TABLE {s}.old_1 RENAME TO {s}.%s", "t_1"),
                                    ("ALTER TABLE {s}.old_1 ADD COLUMN n INT, RENAME TO {s}.%s", "t_7"), ("ALTER TABLE {s}.old_1 RENAME TO {s}.%s", "other_7")])
def test_one_that_has_left_comes_back(scenario, how, to):
    """With rows that nobody followed, into its group or into another one: the source stops before anything behind it is written. What it is called
    outside of them concerns nobody."""
    s = make(scenario, on_rename_out="ignore")
    s.task["routes"]["r-other"]["table-pattern"] = "other*"
    s.task["block-allow-list"]["ours"]["do-tables"].append({"db-name": f"{s.unique}_s*", "tbl-name": "other_*"})
    s.save()
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "RENAME TABLE {s}.t_1 TO {s}.old_0", "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1)], "other", cols="id, v")
    s.runner.wait_for("the shard to leave", lambda _: "shard.left" in s.runner.log())
    s.shard_run(1, "ALTER TABLE {s}.old_0 RENAME TO {s}.old_1", "INSERT INTO {s}.old_1 VALUES (2, 2)", "INSERT INTO {s}.other VALUES (2, 2)")
    caught_up(s)
    s.shard_run(1, how % to, f"INSERT INTO {{s}}.{to} (id, v) VALUES (3, 3)", "INSERT INTO {s}.other VALUES (4, 4)")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "go on behind it" in error["remedy"], error
    assert rows(s, cols="id, v") == [(1, 1)] and rows(s, "other", "id, v") == [(1, 1), (2, 2)]
