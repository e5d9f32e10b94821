"""A unique value leaves a shard table whose rows are held, and comes in at another one that is free: its source waits."""
import time

import pytest
from harness.proxy import Proxy
from harness.sm import has_code
from test_ddl_policies import caught_up, locks, rows, start, wait_rows

T = {"t": "(id BIGINT PRIMARY KEY, u INT NOT NULL, v INT, UNIQUE KEY u (u))", "other": "(id BIGINT PRIMARY KEY, v INT)"}
COLS = "id, u, v, n"


def make(scenario, flavors=("mariadb", "mariadb"), downstream="mariadb", mode="pessimistic"):
    s = scenario.make_plain(T, flavors, downstream, task={"shard-mode": mode})
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 100, 1), (2, 200, 1)", "INSERT INTO {s}.other VALUES (1, 1)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (11, 110, 1)")
    caught_up(s)
    return s


def wait_behind(s, source="s2", who="s1"):
    """The source says whom it waits for, and the held one's lock stays as it is."""
    def waits(status):
        x = next(x for x in status["sources"] if x["id"] == source)
        return x["state"] == "waiting-for-lock" and x["error"] and has_code(x["error"], "LOCK_KEY")

    status = s.runner.wait_for("the source to wait for held rows", waits, 60)
    error = next(x for x in status["sources"] if x["id"] == source)["error"]
    assert f"rows of {who} {s.shards[0].schema}.t" in error["message"] and "release" in error["remedy"], error
    return error


def decide(s, what, table="t"):
    locks(s, "--decide", what, "--source", "s1", "--table", f"{s.shards[0].schema}.{table}", "--target", f"{s.target}.t", "--yes")


@pytest.mark.parametrize("flavors,downstream", [(("mariadb", "mariadb"), "mariadb"), (("mysql", "mysql"), "mysql")], ids=["mariadb", "mysql"])
@pytest.mark.parametrize("how", ["UPDATE {s}.t SET u = 101 WHERE id = 1", "DELETE FROM {s}.t WHERE id = 1"], ids=["update", "delete"])
def test_the_held_shard_waits_for_the_one_that_waits_for_it(scenario, flavors, downstream, how):
    """Its own ALTER lies behind the row that waits: releasing the held one frees both."""
    s = make(scenario, flavors, downstream)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", how, "INSERT INTO {s}.other VALUES (2, 2)")
    wait_rows(s, [(1, 1), (2, 2)], "other", "id, v")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (12, 100, 2)", "UPDATE {s}.t SET v = 3 WHERE id = 12", "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5",
                "INSERT INTO {s}.t VALUES (13, 130, 2, 7)")
    wait_behind(s)
    s.runner.kill9()
    start(s)
    wait_behind(s)
    assert rows(s, cols="id, u, v") == [(1, 100, 1), (2, 200, 1), (11, 110, 1)]
    decide(s, "release")
    caught_up(s)
    first = [(1, 101, 1, 5)] if how.startswith("UPDATE") else []
    assert rows(s, cols=COLS) == first + [(2, 200, 1, 5), (11, 110, 1, 5), (12, 100, 3, 5), (13, 130, 2, 7)]
    s.runner.wait_for("no error", lambda st: all(x["error"] is None for x in st["sources"]))
    s.runner.stop()


@pytest.mark.parametrize("mode", ["pessimistic", "optimistic"])
def test_it_goes_on_when_the_held_rows_are_written(scenario, mode):
    """The value is handed on twice, and comes back."""
    s = make(scenario, mode=mode)
    s.shard_run(1, "ALTER TABLE {s}.t CHANGE v w INT", "UPDATE {s}.t SET u = 101 WHERE id = 1", "INSERT INTO {s}.other VALUES (2, 2)")
    wait_rows(s, [(1, 1), (2, 2)], "other", "id, v")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (12, 100, 2)", "UPDATE {s}.t SET u = 120 WHERE id = 12", "INSERT INTO {s}.t VALUES (13, 100, 3)")
    wait_behind(s)
    decide(s, "skip")
    caught_up(s)
    assert rows(s, cols="id, u") == [(1, 101), (2, 200), (11, 110), (12, 120), (13, 100)]
    s.runner.stop()


def test_a_value_that_both_have_is_a_collision(scenario):
    s = make(scenario)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT", "UPDATE {s}.t SET v = 9 WHERE id = 1", "INSERT INTO {s}.other VALUES (2, 2)")
    wait_rows(s, [(1, 1), (2, 2)], "other", "id, v")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (12, 100, 2)")
    s.runner.wait_error("s2", "APPLY_COLLISION")
    assert f"s1 {s.shards[0].schema}.t" in s.runner.source("s2")["error"]["message"]


def test_between_two_tables_of_one_source(scenario):
    """The source that waits is the one whose held rows are read again."""
    s = scenario
    s.make_downstream()
    s.make_shards(["mariadb"])
    s.shards[0].server.run(f"CREATE DATABASE `{s.shards[0].schema}`", *(f"CREATE TABLE `{s.shards[0].schema}`.{t} {T['t']}" for t in ("t_1", "t_2")))
    s.write_task({"t": "t_*"}, extra={"shard-mode": "pessimistic"})
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 100, 1)", "ALTER TABLE {s}.t_1 ADD COLUMN n INT DEFAULT 5", "DELETE FROM {s}.t_1",
                "INSERT INTO {s}.t_2 VALUES (2, 100, 2)", "ALTER TABLE {s}.t_2 ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t_1 VALUES (3, 300, 3, 3)",
                "UPDATE {s}.t_2 SET n = 6")
    s.runner.wait_for("the source to wait for itself", lambda st: st["sources"][0]["error"] and has_code(st["sources"][0]["error"], "LOCK_KEY"), 60)
    decide(s, "release", "t_1")
    caught_up(s)
    assert rows(s, cols=COLS) == [(2, 100, 2, 6), (3, 300, 3, 3)]
    s.runner.stop()


def wait_floor(s, source, old, timeout=40):
    """The source's floor, as it is stored, is another than `old`."""
    end = time.monotonic() + timeout
    while (floor := s.downstream.value(f"SELECT point FROM `{s.meta}`.sm_floor WHERE stream = %s", (source,))) == old:
        assert time.monotonic() < end, f"the floor of {source} stands\n{s.runner.log_tail()}"
        time.sleep(0.05)
    return floor


def test_others_go_on_while_a_shard_does_not_answer(scenario):
    """Who holds the key is asked of every shard, and one of them cannot be reached: floors of the others move, during the first try and all later ones."""
    s = scenario.make_plain(T, ("mariadb",) * 3, task={"shard-mode": "pessimistic", "retry-max": 600})  # of s3, which is away for as long as this takes
    proxies = {n: Proxy(s.shards[n - 1].server.host, s.shards[n - 1].server.port).start() for n in (1, 3)}
    for n, proxy in proxies.items():
        s.closers.append(proxy.stop)
        s.source_config(n)["from"].update(host=proxy.host, port=proxy.port)
    s.save()
    start(s, "eject.holders=delay:600000@2")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 100, 1)", "INSERT INTO {s}.other VALUES (1, 1)")
    caught_up(s)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", "DELETE FROM {s}.t WHERE id = 1", "INSERT INTO {s}.other VALUES (2, 2)")
    wait_rows(s, [(1, 1), (2, 2)], "other", "id, v")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (12, 100, 2)")
    proxies[1].call(r"SELECT COUNT\(\*\) FROM .*`t` WHERE", lambda: None).wait(60)  # the third shard's turn
    floor = wait_floor(s, "s1", None)
    s.shard_run(1, "INSERT INTO {s}.other VALUES (3, 3)")
    floor = wait_floor(s, "s1", floor)
    assert "SM-1655" not in s.runner.log() and s.runner.source("s2")["error"] is None, "it does not ask any more: the test proved nothing"
    s.runner.kill9()
    start(s)
    proxies[3].cut()
    wait_behind(s)
    s.runner.wait_for("a try when s3 is away", lambda st: "could not be asked: s3" in ((st["sources"][1]["error"] or {}).get("message") or ""), 90)
    for i in range(4, 6):  # tries go on behind these
        s.shard_run(1, f"INSERT INTO {{s}}.other VALUES ({i}, {i})")
        floor = wait_floor(s, "s1", floor)
    decide(s, "release")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5")
    proxies[3].heal()
    s.shard_run(3, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5")
    caught_up(s)
    assert rows(s, cols=COLS) == [(12, 100, 2, 5)]
    s.runner.stop()
