"""All shards drop their tables, the target goes with them, and shards make theirs again: the target is made again, as it
was, for the first of them."""
import time

import pytest
from test_ddl_policies import IDS, KEY, MIXES, MODES, caught_up, has_table, held, locks, make, rows, start, wait_rows

WITH_N = "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT, n INT NOT NULL DEFAULT 5)"


def wait_gone(s, timeout=60):
    end = time.monotonic() + timeout
    while has_table(s):
        assert time.monotonic() < end, s.runner.log_tail()
        if not s.runner.running:
            s.runner.start()
        time.sleep(0.05)


def of_target(s):
    """The target's columns and indexes."""
    columns = s.downstream.query("SELECT LOWER(COLUMN_NAME), LOWER(DATA_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s "
                                 "AND TABLE_NAME = 't' ORDER BY ORDINAL_POSITION", (s.target,))
    keys = s.downstream.query("SELECT DISTINCT LOWER(INDEX_NAME) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't' "
                              "ORDER BY 1", (s.target,))
    return [f"{n} {t}" for n, t in columns], [k for k, in keys]


def dropped(scenario, flavors, downstream, mode="pessimistic", faults="", keyed=False):
    s = make(scenario, flavors, downstream, mode, keyed=keyed, on_drop="apply-when-all")
    if not keyed:  # what the target alone has
        s.downstream.run(f"ALTER TABLE `{s.target}`.t MODIFY v BIGINT, ADD COLUMN note VARCHAR(20) NOT NULL DEFAULT 'none', ADD INDEX own (note, v)")
    start(s, faults)
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, 1)")
        s.shard_run(n, "DROP TABLE {s}.t")
    return s


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restart", [False, True], ids=["runs", "restarts"])
def test_made_for_the_first(scenario, flavors, downstream, mode, restart):
    """With another definition than before; the second shard comes later, and is not waited for."""
    s = dropped(scenario, flavors, downstream, mode)
    wait_gone(s)
    if restart:
        s.runner.stop()
        start(s)
    s.shard_run(1, WITH_N, "INSERT INTO {s}.t VALUES (11, 1, 1)", "UPDATE {s}.t SET v = 2")
    caught_up(s)
    assert rows(s, cols="id, v, n, note") == [(11, 2, 1, "none")]
    assert of_target(s) == (["id bigint", "v bigint", "n int", "note varchar"], ["own", "primary"])
    if restart:
        s.runner.kill9()
        start(s)
    s.shard_run(2, WITH_N, "INSERT INTO {s}.t VALUES (12, 1, 1)")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (21, 1, 1)")
    caught_up(s)
    assert rows(s, cols="id, v, n, note") == [(11, 2, 1, "none"), (12, 1, 1, "none"), (21, 1, 1, "none")]
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t DROP COLUMN n, ADD COLUMN m INT DEFAULT 7", f"INSERT INTO {{s}}.t VALUES (3{n}, 3, 3)")
    caught_up(s)
    assert rows(s, cols="id, v, m") == [(11, 2, 7), (12, 1, 7), (21, 1, 7), (31, 3, 3), (32, 3, 3)]
    assert held(s) == []
    s.runner.stop()


@pytest.mark.parametrize("flavors,downstream", MIXES, ids=IDS)
def test_again_and_again_with_provenance(scenario, flavors, downstream):
    s = make(scenario, flavors, downstream, on_drop="apply-when-all")
    start(s)
    for turn in (1, 2, 3):
        for n in (1, 2):
            s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({turn}, {n})")
        caught_up(s)
        assert rows(s) == [(turn, 1, "s1"), (turn, 2, "s2")]
        for n in (1, 2):
            s.shard_run(n, "DROP TABLE {s}.t")
        wait_gone(s)
        if turn == 2:
            s.runner.kill9()
            start(s)
        for n in (2, 1):
            s.shard_run(n, "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO {s}.t VALUES (7, 7)", "DELETE FROM {s}.t WHERE id = 7")
    caught_up(s)
    assert rows(s) == []
    s.runner.stop()


@pytest.mark.parametrize("mode", MODES)
def test_the_second_differs(scenario, mode):
    """As it is with any two shards: what has a join goes on in optimistic mode, and waits in pessimistic."""
    s = dropped(scenario, MIXES[0][0], "mariadb", mode)
    wait_gone(s)
    s.shard_run(1, WITH_N, "INSERT INTO {s}.t VALUES (11, 1, 1)")
    caught_up(s)
    s.shard_run(2, "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO {s}.t VALUES (12, 1)", "INSERT INTO {s}.other VALUES (5, 5)")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (21, 1, 1)")
    both = [(11, 1, 1), (12, 1, 5), (21, 1, 1)]
    wait_rows(s, [(5, 5)], "other", "id, v")
    wait_rows(s, both if mode == "optimistic" else [r for r in both if r[0] != 12], cols="id, v, n")
    assert mode == "optimistic" or held(s) == ["t"]
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 5")
    caught_up(s)
    assert rows(s, cols="id, v, n") == both
    s.runner.stop()


@pytest.mark.parametrize("alike", [True, False])
def test_made_by_hand(scenario, alike):
    """The same table is taken; another one is nobody's but the operator's to judge."""
    s = dropped(scenario, MIXES[1][0], "mysql", keyed=True)
    wait_gone(s)
    s.runner.wait_for("the lock to know it", lambda _: s.runner.log().count("shard.left") == 2)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id BIGINT NOT NULL, v INT, shard VARCHAR(20) COLLATE utf8mb4_bin NOT NULL, "
                     f"PRIMARY KEY ({'shard, id' if alike else 'id, shard'})) {'COLLATE utf8mb4_0900_bin' if not alike else ''}")
    before = of_target(s)
    s.shard_run(1, "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO {s}.t VALUES (11, 1)")
    s.runner.wait_for("the table to be judged", lambda _: "somebody else changed" in s.runner.log() or (has_table(s) and rows(s)))
    if "somebody else changed" in s.runner.log():
        assert rows(s) == []
        locks(s, "--decide", "retry", "--target", f"{s.target}.t", "--yes")
    caught_up(s)
    assert rows(s) == [(11, 1, "s1")] and of_target(s) == before
    s.runner.stop()


FAULTS = [("ddl.kept", 1), ("ddl.intent", 1), ("ddl.sent", 1), ("ddl.altered", 1), ("ddl.planned", 2), ("ddl.intent", 2), ("ddl.sent", 2), ("ddl.done", 2),
          ("ddl.intent", 3), ("ddl.sent", 3), ("ddl.altered", 2), ("ddl.lock", 6), ("ddl.lock", 7), ("ddl.lock", 8), ("ddl.lock", 9)]


@pytest.mark.parametrize("fault,times", FAULTS, ids=[f"{f}-{n}" for f, n in FAULTS])
def test_killed_on_the_way(scenario, fault, times):
    """The first makes its table again at once, before the target has gone."""
    s = dropped(scenario, MIXES[0][0], "mariadb", "optimistic" if times % 2 else "pessimistic", f"{fault}=kill@{times}")
    s.shard_run(1, WITH_N, "INSERT INTO {s}.t VALUES (11, 1, 1)")
    end = time.monotonic() + 60
    while (not has_table(s) or of_target(s)[0][2:3] != ["n int"]) and time.monotonic() < end:
        if not s.runner.running:
            s.runner.start()
        time.sleep(0.05)
    s.shard_run(2, WITH_N, "INSERT INTO {s}.t VALUES (12, 1, 1)", "UPDATE {s}.t SET v = 2")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (21, 1, 1)")
    caught_up(s)
    assert rows(s, cols="id, v, n, note") == [(11, 1, 1, "none"), (12, 2, 1, "none"), (21, 1, 1, "none")]
    assert of_target(s) == (["id bigint", "v bigint", "n int", "note varchar"], ["own", "primary"])
    s.runner.stop()
