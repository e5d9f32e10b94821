"""Schema changes of shards: the merged table follows, nothing but its rows waits, nothing is lost."""
import time

import pytest
from harness.sm import Failed

T = {"t": "(id BIGINT PRIMARY KEY, v INT, w VARCHAR(40))", "other": "(id BIGINT PRIMARY KEY, v INT)"}
MODES = ["pessimistic", "optimistic"]
MIXES = [(("mariadb", "mariadb"), "mariadb"), (("mysql", "mysql"), "mysql"), (("mariadb", "mysql"), "mariadb")]
IDS = ["-".join(f) + "-to-" + d for f, d in MIXES]


def make(scenario, mode="pessimistic", flavors=("mariadb", "mariadb"), downstream="mariadb", gtid=True, **extra):
    return scenario.make_plain(T, flavors, downstream, gtid=gtid, task={"shard-mode": mode, **extra})


def start(s, faults="", **kw):
    """The definitions of the shards are those at the start: changes come when it runs."""
    s.start(faults, **kw)
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))


def columns(s, table="t"):
    return [r[0] for r in s.downstream.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND "
                                             "TABLE_NAME = %s ORDER BY ORDINAL_POSITION", (s.target, table))]


def union(s, cols="id, v, w", table="t"):
    return sorted(r for shard in s.shards for r in shard.server.query(f"SELECT {cols} FROM `{shard.schema}`.`{table}`"))


def caught_up(s, timeout=60):
    return s.runner.wait_caught_up(timeout)


def wait_rows(s, table, n, timeout=30):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        got = s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.`{table}`")[0][0]
        if got == n:
            return
        time.sleep(0.05)
    pytest.fail(f"{table}: {got} rows, not {n}\n{s.runner.log_tail()}")


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_add_column_on_one_shard_after_the_other(scenario, flavors, downstream, mode, gtid):
    s = make(scenario, mode, flavors, downstream, gtid)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 'a')", "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7",
                "INSERT INTO {s}.t VALUES (2, 2, 'b', 22)", "UPDATE {s}.t SET v = 11 WHERE id = 1", "INSERT INTO {s}.other VALUES (1, 1)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (101, 1, 'c')", "INSERT INTO {s}.other VALUES (101, 1)")
    wait_rows(s, "other", 2)
    if mode == "pessimistic":
        wait_rows(s, "t", 2)
        assert "n" not in columns(s), "the target changed before the shards agreed"
        assert not s.runner.status()["caught_up"], "caught up, while rows are held"
    else:
        wait_rows(s, "t", 3)
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", "INSERT INTO {s}.t VALUES (102, 2, 'd', 33)")
    caught_up(s)
    assert columns(s) == ["id", "v", "w", "n"]
    assert list(s.rows("t")) == union(s, "*")
    s.runner.stop()


ALTERS = {
    "drop": ("DROP COLUMN w", "INSERT INTO {s}.t (id, v) VALUES ({id}, {id})"),
    "rename": ("RENAME COLUMN w TO x", "INSERT INTO {s}.t (id, v, x) VALUES ({id}, {id}, 'x')"),
    "widen": ("MODIFY COLUMN v BIGINT", "INSERT INTO {s}.t (id, v) VALUES ({id}, 99999999999)"),
    "index": ("ADD INDEX iv (v)", "INSERT INTO {s}.t (id, v) VALUES ({id}, 5)"),
    "unique": ("ADD UNIQUE KEY uv (v)", "INSERT INTO {s}.t (id, v) VALUES ({id}, {id})"),
    "default": ("ALTER COLUMN v SET DEFAULT 9", "INSERT INTO {s}.t (id) VALUES ({id})"),
    "several": ("ADD COLUMN a INT, DROP COLUMN w, ADD COLUMN b VARCHAR(5) DEFAULT 'x' AFTER id", "INSERT INTO {s}.t (id, v, a) VALUES ({id}, 1, 2)"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ALTERS)
def test_kinds_of_changes(scenario, kind, mode):
    """Every shard makes the change, with rows before, between and after it on both sides."""
    alter, insert = ALTERS[kind]
    s = make(scenario, mode)
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}00, {n}, 'before')")
    s.shard_run(1, f"ALTER TABLE {{s}}.t {alter}", insert.replace("{id}", "1001"), "UPDATE {s}.t SET v = v + 10 WHERE id = 100")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (201, 21, 'behind')", "INSERT INTO {s}.other VALUES (2, 2)")
    wait_rows(s, "other", 1)
    s.shard_run(2, f"ALTER TABLE {{s}}.t {alter}", insert.replace("{id}", "2001"), "DELETE FROM {s}.t WHERE id = 201")
    caught_up(s)
    own = s.shards[0].server.query(f"SHOW COLUMNS FROM `{s.shards[0].schema}`.t")
    assert columns(s) == [r[0] for r in own]
    assert list(s.rows("t")) == union(s, "*")
    locks = s.runner.verb("locks")
    assert locks.returncode == 0 and "closed" in locks.stdout, locks.stdout + locks.stderr
    s.runner.stop()


FAULTS = ["ddl.step", "ddl.fork_end", "ddl.round_floor", "ddl.round", "ddl.round_through", "ddl.lock", "ddl.altered", "ddl.intent", "ddl.sent",
          "apply.after_commit", "floor.before_commit"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", FAULTS)
def test_killed_while_schemas_change(scenario, fault, mode):
    s = make(scenario, mode)
    times = {"ddl.step": 2, "ddl.lock": 2, "apply.after_commit": 2, "floor.before_commit": 5}
    try:
        start(s, faults=f"{fault}=kill@{times.get(fault, 1)}")
    except Failed:
        if s.runner.running:
            raise
        start(s)  # floors are written before there is anything to read, too

    def alive():
        if not s.runner.running:
            s.runner.start()

    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}00, {n}, 'before')", "ALTER TABLE {s}.t ADD COLUMN a INT NOT NULL DEFAULT 3",
                    f"INSERT INTO {{s}}.t VALUES ({n}01, {n}, 'after', 4)", f"INSERT INTO {{s}}.other VALUES ({n}, {n})")
        time.sleep(0.5)
        alive()
    s.shard_run(1, "ALTER TABLE {s}.t DROP COLUMN w", "INSERT INTO {s}.t VALUES (102, 1, 5)")
    time.sleep(0.3)
    alive()
    s.shard_run(2, "UPDATE {s}.t SET v = 77", "ALTER TABLE {s}.t DROP COLUMN w", "UPDATE {s}.t SET a = a + 1")
    end = time.monotonic() + 60
    while s.runner.running and time.monotonic() < end:
        time.sleep(0.2)
        if s.runner.running and s.runner.status()["caught_up"]:
            break
    alive()
    caught_up(s)
    assert list(s.rows("t")) == union(s, "*")
    assert list(s.rows("other")) == union(s, "*", "other")
    s.runner.stop()
