"""strict-optimistic-shard-mode: a change without a lossless join stops its source before it, at each start and resume, until somebody decides."""
import pytest

from harness.sm import has_code

T = {"t": "(id BIGINT PRIMARY KEY, v INT)", "other": "(id BIGINT PRIMARY KEY, v INT)"}
STRICT = {"shard-mode": "optimistic", "strict-optimistic-shard-mode": True}
RENAME = "ALTER TABLE {s}.t CHANGE v r INT"


def stopped(s, times):
    """Has s1 stopped that often in this process, and is nothing behind its statement done?"""
    s.runner.wait_for("the stop", lambda st: s.runner.log().count("source.stopped") >= times and st["sources"][0]["state"] == "paused-by-error")
    source = s.runner.status()["sources"][0]
    assert has_code(source["error"], "LOCK_CLASH") and "renamed" in source["error"]["message"], source["error"]
    assert source["counters"]["held"] == 0 and source["counters"]["read"] == source["counters"]["applied"] == 1, source["counters"]
    assert s.rows("other") == [] and s.rows("t") == [(1, 1), (101, 1)]
    return source["position"]


def clash(scenario, flavor):
    s = scenario.make_plain(T, (flavor, flavor), flavor, task=STRICT)
    s.start()
    s.shard_run(2, "INSERT INTO {s}.t VALUES (101, 1)")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up(30)
    s.shard_run(1, RENAME, "INSERT INTO {s}.t (id, r) VALUES (2, 2)", "INSERT INTO {s}.other VALUES (1, 1)")
    return s, stopped(s, 1)


def restarts(s, place):
    s.runner.kill9()
    s.start()
    assert stopped(s, 1) == place
    s.runner.verb("resume", "--source", "s1")
    assert stopped(s, 2) == place


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_stops_until_it_is_skipped(scenario, flavor):
    s, place = clash(scenario, flavor)
    restarts(s, place)
    done = s.runner.verb("locks", "--decide", "skip", "--source", "s1", "--yes")
    assert done.returncode == 0, done.stderr
    s.runner.verb("resume", "--source", "s1")
    s.runner.wait_caught_up(30)
    assert s.rows("other") == [(1, 1)]
    assert s.rows("t") == [(1, 1), (2, 2), (101, 1)]
    s.shard_run(1, "ALTER TABLE {s}.t CHANGE r v INT", "INSERT INTO {s}.t VALUES (3, 3)")
    s.runner.wait_caught_up(30)
    assert s.rows("t") == [(1, 1), (2, 2), (3, 3), (101, 1)]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_stops_until_it_is_released(scenario, flavor):
    s, place = clash(scenario, flavor)
    done = s.runner.verb("locks", "--decide", "release", "--source", "s1", "--yes")
    assert done.returncode == 0, done.stderr
    s.runner.kill9()  # a decision is durable; a start goes on by itself
    s.start()
    s.shard_run(2, "INSERT INTO {s}.t VALUES (102, 2)", RENAME, "INSERT INTO {s}.t (id, r) VALUES (103, 3)")
    s.runner.wait_caught_up(30)
    assert s.downstream.query(f"SELECT id, r FROM `{s.target}`.t ORDER BY id") == [(1, 1), (2, 2), (101, 1), (102, 2), (103, 3)]
    assert s.rows("other") == [(1, 1)]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize("then", ["undone", "everywhere"])
def test_waits_when_it_is_switched_off(scenario, flavor, then):
    s, place = clash(scenario, flavor)
    s.runner.stop()
    s.task["strict-optimistic-shard-mode"] = False
    s.save()
    s.start()
    s.runner.wait_for("what is not held", lambda _: s.rows("other") == [(1, 1)])
    if then == "undone":
        s.shard_run(1, "ALTER TABLE {s}.t CHANGE r v INT")
    else:
        s.shard_run(2, RENAME)
    s.runner.wait_caught_up(30)
    column = "v" if then == "undone" else "r"
    assert s.downstream.query(f"SELECT id, {column} FROM `{s.target}`.t ORDER BY id") == [(1, 1), (2, 2), (101, 1)]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_follows_what_has_a_join(scenario, flavor):
    s = scenario.make_plain(T, (flavor, flavor), flavor, task=STRICT)
    s.start()
    s.runner.wait_caught_up(30)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN a INT", "INSERT INTO {s}.t VALUES (1, 1, 1)", "ALTER TABLE {s}.t ADD COLUMN b INT",
                "INSERT INTO {s}.t VALUES (2, 2, 2, 2)", "INSERT INTO {s}.other VALUES (1, 1)")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN b INT", "INSERT INTO {s}.t VALUES (101, 1, 1)", "ALTER TABLE {s}.t DROP COLUMN b")
    s.runner.wait_caught_up(40)
    assert s.downstream.query(f"SELECT id, v, a, b FROM `{s.target}`.t ORDER BY id") == [(1, 1, 1, None), (2, 2, 2, 2), (101, 1, None, 1)]
