"""CREATE TABLE … SELECT makes a shard table: the statement and its rows are one transaction of the binlog."""
import pytest
from test_ddl_copy import FLAVORS, MODES, seed_of
from test_rename_in import make, settle, streaming

MADE = "CREATE TABLE {s}.t_5 (PRIMARY KEY (id)) AS SELECT id + 8000000 AS id, v, w%s FROM {s}.t_1"


def union(s, cols="id, v, w"):
    """Rows that a task which copies nothing has in the target: those of the new table."""
    return sorted(s.shards[0].server.query(f"SELECT {cols} FROM `{s.shards[0].schema}`.t_5"), key=repr)


@pytest.mark.parametrize("task,locked,flavor", [("incremental", False, "mariadb"), ("incremental", True, "mysql"), ("all", True, "mariadb"),
                                                ("all", False, "mysql")])
def test_made_with_rows(scenario, task, locked, flavor):
    s = make(scenario, flavor, seed_of(), gtid=not locked, writers=False, **{"task-mode": task})
    s.start()
    streaming(s)
    for n in (1, 2) if locked else ():
        s.shard_run(n, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
    if locked:
        s.runner.wait_for("both agree", lambda _: "lock.closed" in s.runner.log(), 60)
        s.runner.stop()
        s.start("ddl.step=kill@1")
    s.shard_run(1, MADE % (", n" if locked else ""), "UPDATE {s}.t_5 SET v = v + 1", "DELETE FROM {s}.t_5 WHERE id > 8000900")
    if locked:
        s.runner.wait_exit()
        s.start()
    if task == "all":
        settle(s)
    else:
        s.runner.wait_caught_up(60)
        assert sorted(s.rows("t", "id, v, w"), key=repr) == union(s)
    s.runner.kill9()
    s.start()
    s.shard_run(1, "UPDATE {s}.t_5 SET v = v + 1")
    s.runner.wait_caught_up(60)
    assert [r for r in sorted(s.rows("t", "id, v, w"), key=repr) if 8000000 <= r[0] < 8999999] == union(s)
    s.runner.stop()


@pytest.mark.parametrize("flavor,mode", list(zip(FLAVORS, MODES)))
def test_made_while_the_group_waits(scenario, flavor, mode):
    """Its rows are held with those of the shard that went ahead, from the statement on, whose transaction they are of."""
    s = make(scenario, flavor, seed_of(), mode, writers=False, **{"task-mode": "incremental"})
    s.start("ddl.step=kill@2")
    streaming(s)
    s.shard_run(1, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3", MADE % ", n", "UPDATE {s}.t_5 SET v = v + 1")
    s.runner.wait_exit()
    s.start()
    s.shard_run(1, "DELETE FROM {s}.t_5 WHERE id > 8000900")
    s.shard_run(2, "ALTER TABLE {s}.t_1 ADD COLUMN n INT NOT NULL DEFAULT 3")
    s.runner.wait_caught_up(60)
    assert sorted(s.rows("t", "id, v, w, n"), key=repr) == union(s, "id, v, w, n")
    s.runner.stop()
