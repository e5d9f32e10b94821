"""Schema changes of shards: the merged table follows, nothing but its rows waits, nothing is lost."""
import time

import pytest

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
