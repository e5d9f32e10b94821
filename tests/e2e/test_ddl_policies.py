"""A shard's table is dropped or emptied: what becomes of its rows in the merged table, by the policy of its route."""
import time

import pytest
from harness.oracle import assert_counters

MODES = ["pessimistic", "optimistic"]
MIXES = [(("mariadb", "mariadb"), "mariadb"), (("mysql", "mysql"), "mysql")]
IDS = ["mariadb", "mysql"]
KEY = {"strategy": "composite", "provenance": [{"column": "shard", "value": "${source}", "type": "VARCHAR(20)"}]}
T = {"t": "(id BIGINT PRIMARY KEY, v INT)", "other": "(id BIGINT PRIMARY KEY, v INT)"}


def make(scenario, flavors=("mariadb", "mariadb"), downstream="mariadb", mode="pessimistic", keyed=True, **policies):
    s = scenario.make_plain(T, flavors, downstream, targets=not keyed, task={"shard-mode": mode})
    s.task["routes"]["r-t"].update({k.replace("_", "-"): v for k, v in policies.items()})
    if keyed:
        for route in s.task["routes"].values():
            route["key"] = KEY
    s.save()
    return s


def start(s, faults=""):
    s.start(faults)
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] in ("streaming", "waiting-for-lock") for x in st["sources"]))


def alive(s):
    if not s.runner.running:
        s.runner.start()


def caught_up(s, timeout=90):
    """Also when the program dies of a fault on the way."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if not s.runner.running:
            s.runner.start()
        try:
            return s.runner.wait_caught_up(max(1, end - time.monotonic()))
        except AssertionError:
            if s.runner.running:
                raise
    pytest.fail("not caught up\n" + s.runner.log_tail())


def rows(s, table="t", cols="id, v, shard"):
    return sorted(s.downstream.query(f"SELECT {cols} FROM `{s.target}`.`{table}`"))


def wait_rows(s, expected, table="t", cols="id, v, shard", timeout=40):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        got = rows(s, table, cols)
        if got == sorted(expected):
            return
        time.sleep(0.1)
    pytest.fail(f"{table}: {got}, not {expected}\n{s.runner.log_tail()}")


def has_table(s, table="t"):
    return bool(s.downstream.query("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", (s.target, table)))


def held(s):
    return [h["table"] for x in s.runner.status()["sources"] for h in x.get("held", [])]


def locks(s, *args):
    done = s.runner.verb("locks", *args)
    assert done.returncode == 0 or not args, done.stdout + done.stderr  # the list says by its status that something waits
    return done.stdout


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("mode", MODES)
def test_truncate_is_ignored(scenario, flavors, downstream, mode):
    s = make(scenario, flavors, downstream, mode, on_truncate="ignore")
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)", "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (3, 3)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 10)")
    caught_up(s)
    assert rows(s) == [(1, 1, "s1"), (1, 10, "s2"), (2, 2, "s1"), (3, 3, "s1")]
    assert held(s) == []
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("mode", MODES)
def test_truncate_deletes_the_rows_of_that_shard(scenario, flavors, downstream, mode):
    """More rows than a batch, others' rows between them, and rows with the same ids behind it."""
    s = make(scenario, flavors, downstream, mode, on_truncate="delete-shard-rows")
    start(s)
    many = ", ".join(f"({i}, {i})" for i in range(1, 2501))
    s.shard_run(1, f"INSERT INTO {{s}}.t VALUES {many}")
    s.shard_run(2, f"INSERT INTO {{s}}.t VALUES {many}")
    s.shard_run(1, "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (2, -2), (9999, 1)", "INSERT INTO {s}.other VALUES (1, 1)")
    caught_up(s)
    assert rows(s) == sorted([(i, i, "s2") for i in range(1, 2501)] + [(2, -2, "s1"), (9999, 1, "s1")])
    assert rows(s, "other") == [(1, 1, "s1")]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_truncate_applies_when_all_have_truncated(scenario, flavors, downstream):
    s = make(scenario, flavors, downstream, on_truncate="apply-when-all")
    start(s)
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)")
    s.shard_run(1, "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (5, 5)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (3, 3)", "INSERT INTO {s}.other VALUES (2, 2)")
    wait_rows(s, [(2, 2, "s2")], "other")
    wait_rows(s, [(1, 1, "s1"), (2, 2, "s1"), (1, 1, "s2"), (2, 2, "s2"), (3, 3, "s2")])
    s.shard_run(2, "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (6, 6)")
    caught_up(s)
    assert rows(s) == [(5, 5, "s1"), (6, 6, "s2")]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy", ["ignore", "delete-shard-rows"])
def test_a_dropped_shard_leaves(scenario, flavors, downstream, mode, policy):
    """It holds nobody up any more, now and after a restart; made again, it takes part again."""
    s = make(scenario, flavors, downstream, mode, on_drop=policy)
    start(s)
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)")
    s.shard_run(1, "DROP TABLE {s}.t", "INSERT INTO {s}.other VALUES (1, 1)")
    caught_up(s)
    kept = [(1, 1, "s1"), (2, 2, "s1")] if policy == "ignore" else []
    assert rows(s) == sorted(kept + [(1, 1, "s2"), (2, 2, "s2")])
    s.runner.wait_for("the shard to leave", lambda _: "shard.left" in s.runner.log())
    s.runner.stop()
    start(s)
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t VALUES (3, 3, 3)")
    caught_up(s)
    assert rows(s, cols="id, v, n, shard") == sorted([(i, v, 5, sh) for i, v, sh in kept] + [(1, 1, 5, "s2"), (2, 2, 5, "s2"), (3, 3, 3, "s2")])
    s.shard_run(1, "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT, n INT DEFAULT 5)", "INSERT INTO {s}.t VALUES (7, 7, 7)",
                "UPDATE {s}.t SET v = 8")
    caught_up(s)
    assert (7, 8, 7, "s1") in rows(s, cols="id, v, n, shard")
    s.runner.stop()
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (9, 9, 9)")
    caught_up(s)
    assert (9, 9, 9, "s1") in rows(s, cols="id, v, n, shard")
    assert held(s) == []
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_made_again_like_another_table(scenario, flavors, downstream):
    """The statement does not tell the definition; the server does. A kill behind it reads it again."""
    s = make(scenario, flavors, downstream, on_drop="delete-shard-rows")
    s.shard_run(1, "CREATE TABLE {s}.model (id BIGINT PRIMARY KEY, v INT)")
    start(s, "ddl.step=kill@3")
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)")
    s.shard_run(1, "DROP TABLE {s}.t", "CREATE TABLE {s}.t LIKE {s}.model", "INSERT INTO {s}.t VALUES (2, 20), (3, 30)", "UPDATE {s}.t SET v = 31 WHERE id = 3")
    caught_up(s)
    assert rows(s) == sorted([(1, 1, "s2"), (2, 2, "s2"), (2, 20, "s1"), (3, 31, "s1")])
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5")
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5", "INSERT INTO {s}.t VALUES (4, 4, 4)")
    caught_up(s)
    assert rows(s, cols="id, v, n, shard") == sorted([(1, 1, 5, "s2"), (2, 2, 5, "s2"), (2, 20, 5, "s1"), (3, 31, 5, "s1"), (4, 4, 4, "s1")])
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_drop_applies_when_all_have_dropped(scenario, flavors, downstream):
    s = make(scenario, flavors, downstream, keyed=False, on_drop="apply-when-all")
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, 1)")
    s.shard_run(1, "DROP TABLE {s}.t")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (22, 1)", "INSERT INTO {s}.other VALUES (2, 2)")
    wait_rows(s, [(2, 2)], "other", "id, v")
    wait_rows(s, [(1, 1), (2, 1), (22, 1)], cols="id, v")
    s.shard_run(2, "DROP TABLE {s}.t")
    end = time.monotonic() + 40
    while has_table(s) and time.monotonic() < end:
        time.sleep(0.1)
    assert not has_table(s), s.runner.log_tail()
    s.shard_run(2, "INSERT INTO {s}.other VALUES (3, 3)")
    caught_up(s)
    assert rows(s, "other", "id, v") == [(2, 2), (3, 3)]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_drop_database_is_a_drop_of_each_table(scenario, flavors, downstream):
    s = make(scenario, flavors, downstream, on_drop="delete-shard-rows")
    s.task["routes"]["r-other"]["on-drop"] = "ignore"
    s.save()
    start(s)
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES (1, 1)", "INSERT INTO {s}.other VALUES (1, 1)")
    s.shard_run(1, "DROP DATABASE {s}")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (2, 2)")
    caught_up(s)
    assert rows(s) == [(1, 1, "s2"), (2, 2, "s2")]
    assert rows(s, "other") == [(1, 1, "s1"), (1, 1, "s2")]
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT", "ALTER TABLE {s}.other ADD COLUMN n INT")
    caught_up(s)
    s.runner.stop()


@pytest.mark.parametrize("mode", MODES)
def test_hold_asks_and_the_decision_frees(scenario, mode):
    s = make(scenario, mode=mode)
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)", "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (2, 2)", "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1, "s1")], "other")
    wait_rows(s, [(1, 1, "s1")])
    s.runner.wait_for("the lock to ask", lambda st: "operator" in locks(s))
    locks(s, "--decide", "skip", "--source", "s1", "--table", f"{s.shards[0].schema}.t", "--target", f"{s.target}.t", "--yes")
    caught_up(s)
    assert rows(s) == [(1, 1, "s1"), (2, 2, "s1")]
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_a_detached_shard_stays_away(scenario, flavors, downstream):
    """Rows that it held and all later ones are given up; the others agree without it, now and after a restart."""
    s = make(scenario, flavors, downstream)
    start(s)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, {n})")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 1", "INSERT INTO {s}.t VALUES (22, 2, 2)", "INSERT INTO {s}.other VALUES (1, 1)")
    wait_rows(s, [(1, 1, "s2")], "other")
    s.runner.wait_for("the lock", lambda st: any(t["lock"] for t in st["targets"]))
    locks(s, "--decide", "detach", "--source", "s1", "--table", f"{s.shards[0].schema}.t", "--target", f"{s.target}.t", "--yes")
    s.runner.wait_for("the others to go on", lambda st: not st["sources"][1].get("held"))
    s.shard_run(1, "INSERT INTO {s}.t VALUES (3, 3)", "INSERT INTO {s}.other VALUES (3, 3)")
    caught_up(s)
    assert rows(s, cols="id, v, n, shard") == [(1, 1, 1, "s1"), (2, 2, 1, "s2"), (22, 2, 2, "s2")]
    s.runner.kill9()
    start(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (4, 4)", "ALTER TABLE {s}.t DROP COLUMN v", "INSERT INTO {s}.other VALUES (4, 4)")
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN m INT DEFAULT 3", "INSERT INTO {s}.t VALUES (23, 2, 2, 2)")
    status = caught_up(s)
    assert rows(s, cols="id, v, n, m, shard") == [(1, 1, 1, 3, "s1"), (2, 2, 1, 3, "s2"), (22, 2, 2, 3, "s2"), (23, 2, 2, 2, "s2")]
    assert rows(s, "other") == [(1, 1, "s2"), (3, 3, "s1"), (4, 4, "s1")]
    assert_counters(status)
    s.runner.stop()


def test_detached_while_its_rows_go(scenario):
    """What is not deleted yet stays: no more than the batch under way goes."""
    s = make(scenario, on_truncate="delete-shard-rows")
    start(s, "loss.batch=delay:2000@*")
    many = ", ".join(f"({i}, {i})" for i in range(1, 10001))
    s.shard_run(1, f"INSERT INTO {{s}}.t VALUES {many}", "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (1, -1)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_for("rows to go", lambda _: 0 < len(rows(s)) < 10000 and "rows.go" in s.runner.log())
    locks(s, "--decide", "detach", "--source", "s1", "--table", f"{s.shards[0].schema}.t", "--target", f"{s.target}.t", "--yes")
    caught_up(s)
    left = [r for r in rows(s) if r[2] == "s1"]
    assert len(left) % 1000 == 0 and 0 < len(left) < 10000, len(left)
    s.shard_run(2, "INSERT INTO {s}.t VALUES (2, 2)")
    s.runner.kill9()
    caught_up(s)
    assert rows(s) == sorted(left + [(1, 1, "s2"), (2, 2, "s2")])
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", [MIXES[0]], ids=IDS[:1])
@pytest.mark.parametrize("fault,times", [("loss.deleted", 1), ("loss.deleted", 2), ("loss.batch", 1), ("loss.done", 1), ("ddl.lock", 2), ("ddl.lock", 3),
                                         ("ddl.lock", 4), ("ddl.lock", 5), ("ddl.step", 1), ("ddl.round", 1), ("ddl.round_through", 1), ("ddl.fork_end", 1), ("ddl.rejoin", 1)])
@pytest.mark.parametrize("what", ["truncate", "drop"])
def test_killed_while_rows_go(scenario, flavors, downstream, fault, times, what):
    """Rows written behind the statement have the ids of those that go: none of them may go with them."""
    s = make(scenario, flavors, downstream, on_truncate="delete-shard-rows", on_drop="delete-shard-rows")
    many = ", ".join(f"({i}, {i})" for i in range(1, 1501))
    start(s, f"{fault}=kill@{times}")
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES {many}")
    again = ["TRUNCATE TABLE {s}.t"] if what == "truncate" else ["DROP TABLE {s}.t", "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT)"]
    s.shard_run(1, *again, "INSERT INTO {s}.t VALUES (1, -1), (700, -7), (1500, -15)")
    s.shard_run(2, "UPDATE {s}.t SET v = 0 WHERE id <= 2")
    expected = sorted([(i, i if i > 2 else 0, "s2") for i in range(1, 1501)] + [(1, -1, "s1"), (700, -7, "s1"), (1500, -15, "s1")])
    caught_up(s)
    assert rows(s) == expected
    s.shard_run(1, "DELETE FROM {s}.t WHERE id = 700")
    caught_up(s)
    assert rows(s) == [r for r in expected if r != (700, -7, "s1")]
    s.runner.stop()


@pytest.mark.parametrize("fault", ["ddl.intent", "ddl.sent", "ddl.done", "ddl.altered", "ddl.lock"])
def test_killed_while_the_target_is_emptied(scenario, fault):
    s = make(scenario, on_truncate="apply-when-all")
    start(s, f"{fault}=kill")
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES (1, 1)", "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (5, 5)")
    caught_up(s)
    assert rows(s) == [(5, 5, "s1"), (5, 5, "s2")]
    s.runner.stop()
