"""Edge cases of schema changes that docs/reference/edge-cases.md names and no other file has."""
import pytest
from harness.sm import has_code

T = "(id BIGINT PRIMARY KEY, v INT, e ENUM('a', 'b'))"
MODES = ["pessimistic", "optimistic"]


def make(scenario, tables=("t_1", "t_2"), flavors=("mariadb", "mariadb"), mode="pessimistic", **extra):
    s = scenario
    s.make_downstream("mariadb")
    s.make_shards(flavors)
    for shard in s.shards:
        shard.server.run(f"CREATE DATABASE `{shard.schema}` DEFAULT CHARACTER SET utf8mb4", *(f"CREATE TABLE `{shard.schema}`.{t} {T}" for t in tables))
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {T}")
    s.write_task({"t": "t_*"}, extra={"shard-mode": mode, **extra})
    return s


def start(s):
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))


def union(s, cols, tables=("t_1", "t_2")):
    return sorted(r for shard in s.shards for t in tables for r in shard.server.query(f"SELECT {cols} FROM `{shard.schema}`.{t}"))


@pytest.mark.parametrize("mode", MODES)
def test_two_changes_of_one_table_and_rows_between_them(scenario, mode):
    """Two shard tables of one source: the rows of the first between its two changes come in, though the second makes both at once."""
    s = make(scenario, flavors=("mariadb",), mode=mode)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1, 'a')", "ALTER TABLE {s}.t_1 ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t_1 VALUES (2, 2, 'b', 6)",
                "UPDATE {s}.t_1 SET v = 10, n = 7 WHERE id = 1", "ALTER TABLE {s}.t_1 ADD COLUMN m INT DEFAULT 8", "INSERT INTO {s}.t_1 VALUES (3, 3, 'a', 9, 9)",
                "INSERT INTO {s}.t_2 VALUES (101, 1, 'a')", "ALTER TABLE {s}.t_2 ADD COLUMN n INT DEFAULT 5", "ALTER TABLE {s}.t_2 ADD COLUMN m INT DEFAULT 8",
                "INSERT INTO {s}.t_2 VALUES (102, 2, 'b', 1, 2)")
    s.runner.wait_caught_up(60)
    assert list(s.rows("t")) == union(s, "*")
    assert "closed" in s.runner.verb("locks").stdout
    s.runner.stop()


def test_enum_lists_that_grow_apart(scenario):
    """The target takes the members of both lists; values go by their names, not by their numbers."""
    s = make(scenario, tables=("t_1",), mode="optimistic")
    start(s)
    s.shard_run(1, "ALTER TABLE {s}.t_1 MODIFY e ENUM('a', 'b', 'c')", "INSERT INTO {s}.t_1 VALUES (1, 1, 'c')")
    s.shard_run(2, "ALTER TABLE {s}.t_1 MODIFY e ENUM('a', 'b', 'd')", "INSERT INTO {s}.t_1 VALUES (2, 2, 'd')")
    s.runner.wait_for("both", lambda _: len(s.rows("t")) == 2, 60)
    assert s.rows("t") == [(1, 1, "c"), (2, 2, "d")]
    assert {r[0] for r in s.downstream.query("SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND COLUMN_NAME = 'e'", (s.target,))} <= \
        {"enum('a','b','c','d')", "enum('a','b','d','c')"}
    s.runner.stop()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_create_of_a_table_that_is_there_and_like_it(scenario, flavor):
    s = make(scenario, tables=("t_1",), flavors=(flavor,))
    start(s)
    s.shard_run(1, "CREATE TABLE IF NOT EXISTS {s}.t_1 (other INT PRIMARY KEY)", "INSERT INTO {s}.t_1 VALUES (1, 1, 'a')",
                "CREATE TABLE {s}.t_9 LIKE {s}.t_1", "INSERT INTO {s}.t_9 VALUES (9, 9, 'b')")
    s.runner.wait_caught_up(60)
    assert list(s.rows("t")) == union(s, "*", ("t_1", "t_9"))
    assert any(t["members"] == 2 for t in s.runner.status()["targets"]), s.runner.status()["targets"]
    s.runner.stop()


TOOLS = {
    "gh-ost": ["CREATE /* gh-ost */ TABLE {s}._t_1_gho LIKE {s}.t_1", "ALTER /* gh-ost */ TABLE {s}._t_1_gho ADD COLUMN n INT",
               "CREATE /* gh-ost */ TABLE {s}._t_1_del (id INT AUTO_INCREMENT PRIMARY KEY) COMMENT='ghost-cut-over-sentry'",
               "INSERT /* gh-ost */ IGNORE INTO {s}._t_1_gho (id, v, e) (SELECT id, v, e FROM {s}.t_1)", "DROP TABLE {s}._t_1_del",
               "RENAME /* gh-ost */ TABLE {s}.t_1 TO {s}._t_1_del, {s}._t_1_gho TO {s}.t_1"],
    "pt-online-schema-change": ["CREATE TABLE {s}._t_1_new LIKE {s}.t_1", "ALTER TABLE {s}._t_1_new ADD COLUMN n INT",
                                "CREATE TRIGGER {s}.pt_osc_ins AFTER INSERT ON {s}.t_1 FOR EACH ROW REPLACE INTO {s}._t_1_new (id, v, e) VALUES (NEW.id, NEW.v, NEW.e)",
                                "INSERT LOW_PRIORITY IGNORE INTO {s}._t_1_new (id, v, e) SELECT id, v, e FROM {s}.t_1",
                                "INSERT INTO {s}.t_1 VALUES (3, 3, 'a')", "RENAME TABLE {s}.t_1 TO {s}._t_1_old, {s}._t_1_new TO {s}.t_1"],
}


@pytest.mark.parametrize("mode", [None, "pessimistic"])
@pytest.mark.parametrize("tool", TOOLS)
def test_online_schema_change(scenario, tool, mode):
    """Nothing of the shadow table is merged; the source stops before the swap, with everything before it written."""
    s = make(scenario, tables=("t_1",), mode=mode)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1, 'a'), (2, 2, 'b')", *TOOLS[tool], "INSERT INTO {s}.t_1 (id, v) VALUES (4, 4)")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "RENAME" in error["message"], error
    assert [r[0] for r in s.rows("t", "id")] == ([1, 2] if tool == "gh-ost" else [1, 2, 3])
    s.shard_run(2, "INSERT INTO {s}.t_1 VALUES (11, 1, 'a')")
    s.runner.wait_for("the other source to go on", lambda _: s.rows("t", "id")[-1] == (11,))
    s.runner.stop()


@pytest.mark.parametrize("what", ["rules", "sources"])
def test_the_task_file_stays_while_a_lock_waits(scenario, what):
    s = make(scenario, tables=("t_1",))
    start(s)
    s.shard_run(1, "ALTER TABLE {s}.t_1 ADD COLUMN n INT")
    s.runner.wait_for("the lock", lambda st: any(t["lock"] for t in st["targets"]))
    s.runner.stop()
    if what == "rules":
        s.task["routes"]["r-t"]["table-pattern"] = "t_1"
    else:
        s.task["mysql-instances"].pop()
        s.task["sources"].pop()
    s.save()
    s.start()
    assert s.runner.wait_exit(30) == 2 and has_code(s.runner.log(), "STATE_TASK_CHANGED"), s.runner.log_tail()


@pytest.mark.parametrize("mode", MODES)
def test_shard_mode_may_be_set_later(scenario, mode):
    """A source that has stopped before a schema change goes on with it."""
    s = make(scenario, tables=("t_1",), mode=None)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1, 'a')", "ALTER TABLE {s}.t_1 ADD COLUMN n INT DEFAULT 3", "INSERT INTO {s}.t_1 VALUES (2, 2, 'b', 2)")
    assert "shard-mode" in s.runner.wait_error("s1", "SOURCE_DDL")["remedy"]
    s.runner.stop()
    s.task["shard-mode"] = mode
    s.save()
    s.start()
    s.shard_run(2, "INSERT INTO {s}.t_1 VALUES (11, 1, 'a')", "ALTER TABLE {s}.t_1 ADD COLUMN n INT DEFAULT 3", "INSERT INTO {s}.t_1 VALUES (12, 2, 'b', 2)")
    s.runner.wait_caught_up(60)
    assert list(s.rows("t")) == union(s, "*", ("t_1",))
    s.runner.stop()


def test_targets_that_differ_only_by_case(scenario):
    """The start is refused; a shard table that comes later stops its source."""
    s = make(scenario, tables=("t_1",))
    s.task["routes"]["r-big"] = {**s.task["routes"]["r-t"], "table-pattern": "u_*", "target-table": "T"}
    s.task["block-allow-list"]["ours"]["do-tables"].append({"db-name": f"{s.unique}_s*", "tbl-name": "u_*"})
    for instance in s.task["mysql-instances"]:
        instance["route-rules"].append("r-big")
    s.save()
    start(s)
    s.shard_run(1, f"CREATE TABLE {{s}}.u_1 {T}", "INSERT INTO {s}.u_1 VALUES (1, 1, 'a')")
    s.runner.wait_error("s1", "ROUTE_CASE")
    s.runner.stop()


def test_a_unique_key_over_an_expression(scenario):
    """One row gives up the value that the next one takes, with several appliers."""
    key = "(id BIGINT PRIMARY KEY, v INT, UNIQUE KEY k ((v % 1000)))"
    s = scenario.make_plain({"t": key}, ("mysql", "mysql"), "mysql")
    start(s)
    for n in (1, 2):
        s.shard_run(n, *(x for i in range(150) for x in (f"INSERT INTO {{s}}.t VALUES ({1000 * n + i}, {1000 * i + n})", f"DELETE FROM {{s}}.t WHERE id = {1000 * n + i}")),
                    f"INSERT INTO {{s}}.t VALUES ({n}, {n})")
    s.runner.wait_caught_up(60)
    assert s.rows("t") == [(1, 1), (2, 2)]
    s.runner.stop()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_another_primary_key(scenario, flavor):
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL, v INT NOT NULL, PRIMARY KEY (id))"}, (flavor, flavor), flavor, task={"shard-mode": "pessimistic"})
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, 1)", "ALTER TABLE {s}.t DROP PRIMARY KEY, ADD PRIMARY KEY (v, id)", f"INSERT INTO {{s}}.t VALUES ({n}, 2)",
                    f"UPDATE {{s}}.t SET v = 5 WHERE id = {n} AND v = 1", f"DELETE FROM {{s}}.t WHERE id = {n} AND v = 2")
    s.runner.wait_caught_up(60)
    assert list(s.rows("t")) == union(s, "*", ("t",))
    assert [r[0] for r in s.downstream.query("SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't' AND INDEX_NAME = 'PRIMARY' "
                                             "ORDER BY SEQ_IN_INDEX", (s.target,))] == ["v", "id"]
    s.runner.stop()


def test_what_a_made_target_has_not(scenario):
    """The statement's comment says what is left out; `route` shows it before."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT, CHECK (v > 0), p POINT NOT NULL, SPATIAL KEY sp (p), FULLTEXT KEY ft (w), w TEXT)"}, targets=False)
    shown = s.runner.verb("route").stdout
    assert "index `sp` left out" in shown and "CHECK" not in shown and "FULLTEXT KEY `ft`" in shown, shown
