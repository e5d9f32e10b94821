"""A source that rests (paused, stopped by an error) holds up nobody: targets change for the others, and it goes on as it was left."""
import sqlite3
import time

import pytest
from harness.proxy import Proxy
from test_ddl_copy import columns, copied, wait_copied
from test_ddl_policies import T, caught_up, make, rows, start


def wait_column(s, name, timeout=60):
    end = time.monotonic() + timeout
    while name not in columns(s.downstream, s.target, "t"):
        if time.monotonic() > end:
            pytest.fail(f"the target has no column {name}\n{s.runner.verb('locks').stdout}\n{s.runner.log_tail()}")
        time.sleep(0.1)


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_paused_in_the_middle_of_its_copy(scenario, flavor):
    """The others' change reaches the target; the rest of its copy, and its own change, come afterwards."""
    s = scenario.make_plain(T, (flavor, flavor), task={"task-mode": "all", "shard-mode": "optimistic",
                                                       "load": {"chunk-rows": 10, "readers": 1}})
    many = [(1000 * n + i, i) for n in (1, 2) for i in range(1, 21 if n == 1 else 301)]
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES " + ", ".join(f"({i}, {v})" for i, v in many if i // 1000 == n))
    s.start(extra=("--rows-per-second", "20"))
    wait_copied(s, 1, 20)
    wait_copied(s, 2, 20)
    s.runner.pause("s2")
    assert copied(s, "s2")[0] < 300
    s.shard_run(2, "UPDATE {s}.t SET v = -1 WHERE id IN (2001, 2300)", "INSERT INTO {s}.t VALUES (2500, 5)")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t VALUES (1500, 1, 9)")
    wait_column(s, "n")
    assert s.runner.source("s2")["state"] == "paused-by-user"
    s.runner.resume("s2")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", "UPDATE {s}.t SET n = 6 WHERE id = 2299")
    s.runner.wait_for("its own change", lambda _: s.runner.log().count("schema.changed") == 2, 60)
    s.runner.stop()
    s.start()  # with the rest at once
    caught_up(s)
    expected = {i: (i, v, 5) for i, v in many} | {1500: (1500, 1, 9), 2500: (2500, 5, 5), 2001: (2001, -1, 5), 2300: (2300, -1, 5), 2299: (2299, 299, 6)}
    assert rows(s, cols="id, v, n") == sorted(expected.values())
    s.runner.stop()


@pytest.mark.parametrize("how", ["paused", "failed"])
def test_in_the_middle_of_a_round(scenario, how):
    """Its held rows are being read again, slowly, when it comes to rest."""
    s = scenario.make_plain(T, task={"shard-mode": "optimistic"})
    start(s, "ddl.round=kill")
    s.shard_run(2, "INSERT INTO {s}.other VALUES (1, 1)", "INSERT INTO {s}.t VALUES (900, 0)")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN a INT DEFAULT 1", *(f"INSERT INTO {{s}}.t VALUES ({i}, 0, 0)" for i in range(25)))
    s.runner.wait_exit()
    s.start("source.event=delay:50@*")
    s.runner.wait_for("the round", lambda _: "source=s1#1" in s.runner.log())
    if how == "paused":
        s.runner.pause("s1")
    else:
        s.shard_run(1, "INSERT INTO {s}.other VALUES (1, 2)")
        s.runner.wait_error("s1", "APPLY_COLLISION")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN b INT DEFAULT 2", "INSERT INTO {s}.t VALUES (901, 0, 3)")
    wait_column(s, "b")
    assert s.runner.source("s1")["state"].startswith("paused")
    if how == "failed":
        s.shard_run(2, "DELETE FROM {s}.other")
        s.runner.wait_for("the row to go", lambda _: rows(s, "other", "id") == [])
    s.runner.resume("s1")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN b INT DEFAULT 2")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN a INT DEFAULT 1")
    caught_up(s)
    assert rows(s, cols="id, v, a, b") == [(i, 0, 0, 2) for i in range(25)] + [(900, 0, 1, 2), (901, 0, 1, 3)]
    s.runner.stop()


def test_failed_when_taken_back(scenario):
    """The main stream has taken the table back, and waits for a round that has failed on one of its last rows."""
    s = scenario.make_plain(T, task={"shard-mode": "optimistic"})
    start(s, "ddl.round=kill")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (900, 0)")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN a INT DEFAULT 1", *(f"INSERT INTO {{s}}.t VALUES ({i}, 0, 0)" for i in range(905, 925)))
    s.runner.wait_exit()
    s.start("source.event=delay:80@*")
    with sqlite3.connect(f"file:{s.folder}/state/state.db?mode=ro", uri=True) as db:
        s.runner.wait_for("the table to be taken back", lambda _: db.execute("SELECT count(*) FROM fork WHERE to_point <> ''").fetchone() == (1,))
    s.downstream.run(f"INSERT INTO `{s.target}`.t VALUES (924, -1, -1)")  # in a row's way
    s.shard_run(1, "INSERT INTO {s}.t VALUES (930, 0, 0)")
    s.runner.wait_for("the collision", lambda _: "APPLY_COLLISION" in s.runner.log())
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN b INT DEFAULT 2", "INSERT INTO {s}.t VALUES (901, 0, 3)")
    wait_column(s, "b")
    s.downstream.run(f"DELETE FROM `{s.target}`.t WHERE id = 924")
    s.runner.resume("s1")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN b INT DEFAULT 2")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN a INT DEFAULT 1")
    caught_up(s)
    assert rows(s, cols="id, v, a, b") == [(900, 0, 1, 2), (901, 0, 1, 3)] + [(i, 0, 0, 2) for i in range(905, 925)] + [(930, 0, 0, 2)]
    s.runner.stop()


def reached_by_proxy(s, number):
    """The program reaches that source through it."""
    server = s.shards[number - 1].server
    proxy = Proxy(server.host, server.port).start()
    s.closers.append(proxy.stop)
    address = s.source_config(number)["from"]
    address.pop("socket", None)
    address["host"], address["port"] = proxy.host, proxy.port
    s.save()
    return proxy


def known(s, number):
    source = s.runner.source(f"s{number}")
    return source["position"], source["counters"]


@pytest.mark.parametrize("how", ["paused", "unreachable"])
def test_not_once_in_a_whole_process(scenario, how):
    """Where it stands is what it was; a table that comes and changes meanwhile is read as it was then."""
    s = make(scenario, ("mariadb", "mariadb"), keyed=False)
    s.task["routes"]["r-t"]["table-pattern"] = s.task["block-allow-list"]["ours"]["do-tables"][0]["tbl-name"] = "t*"
    proxy = reached_by_proxy(s, 2)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1001, 1)")
    s.runner.wait_caught_up()
    if how == "paused":
        s.runner.pause("s2")
    s.runner.stop()
    before = known(s, 2)
    assert before[0]["gtid"] and before[1]["applied"] == 1, before
    if how == "unreachable":
        proxy.refuse()
        proxy.close_all()
    s.start()
    s.runner.wait_for("the first", lambda st: st["running"] and st["sources"] and st["sources"][0]["state"] == "streaming")
    assert known(s, 2) == before
    s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 1)")
    s.runner.wait_for("its row, stored", lambda st: st["sources"][0]["counters"]["applied"] == 2)
    s.runner.stop()
    assert known(s, 2) == before
    with sqlite3.connect(f"file:{s.folder}/state/state.db?mode=ro", uri=True) as db:
        assert before[0]["gtid"] in db.execute("SELECT point FROM source_floor WHERE source_id = 's2'").fetchone()[0]
    s.shard_run(2, "CREATE TABLE {s}.t_2 (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO {s}.t_2 VALUES (2001, 7)",
                "ALTER TABLE {s}.t_2 MODIFY v INT FIRST", "INSERT INTO {s}.t_2 (id, v) VALUES (2002, 8)")
    proxy.listen()
    s.start()
    if how == "paused":
        s.runner.wait_for("the state", lambda st: st["running"] and st["sources"] and st["sources"][1]["state"] == "paused-by-user")
        s.runner.resume("s2")
    caught_up(s)
    assert rows(s, cols="id, v") == [(1, 1), (2, 1), (1001, 1), (2001, 7), (2002, 8)]
    s.runner.stop()


def test_paused_before_its_round(scenario):
    """The others' change lets its held rows be written: not before it is resumed."""
    s = make(scenario, ("mariadb", "mariadb"), keyed=False)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)", "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t VALUES (2, 1, 3)")
    s.runner.wait_for("the held row, and all before it written", lambda st: st["sources"][0]["counters"]["held"] == 1
                      and st["sources"][0]["in_flight"] == 0 and st["sources"][0]["position"] == st["sources"][0]["read_position"])
    s.runner.pause("s1")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t VALUES (1002, 1, 3)")
    s.runner.wait_for("the other's row", lambda st: st["sources"][1]["counters"]["applied"] == 1)
    s.runner.stop()
    assert "held rows are read again source=s1" not in s.runner.log(), s.runner.log_tail()
    assert rows(s, cols="id, v, n") == [(1, 1, 5), (1002, 1, 3)]
    s.start()
    s.runner.wait_for("the state", lambda st: st["running"] and st["sources"] and st["sources"][0]["state"] == "paused-by-user")
    s.runner.resume("s1")
    caught_up(s)
    assert rows(s, cols="id, v, n") == [(1, 1, 5), (2, 1, 3), (1002, 1, 3)]
    s.runner.stop()
