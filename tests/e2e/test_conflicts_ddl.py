"""Shards change their schemas while rows are parked beside the target: the three tables follow, every row keeps its place or takes the one it has now."""
import json
import random
import time

import pytest
from harness.sm import Failed
from test_conflicts_resolve import beside, decide, in_force, listed, row_of

DDL = "(id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) NULL, v INT, w VARCHAR(20) NULL, at BIGINT NULL, UNIQUE KEY k_u (u))"
TARGET = DDL.replace("(id", "(shard VARCHAR(20) NOT NULL, id", 1)
PROVENANCE = [{"column": "shard", "value": "${source}"}]
MODES = ["pessimistic", "optimistic"]


def make(scenario, mode="pessimistic", policy="conflict-table", shards=2, downstream="mariadb", flavor="mariadb", target=TARGET, ddl=DDL, key=None, **task):
    s = scenario.make_plain({"t": ddl}, flavors=(flavor,) * shards, downstream=downstream, targets=False, task={"shard-mode": mode, **task})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {target}")
    s.policy = policy
    column = {"collision-column": "at"} if policy.startswith("keep") else {}
    s.task["routes"]["r-t"]["key"] = {"strategy": "error", "on-collision": policy, "provenance": PROVENANCE, **column}
    s.task["routes"]["r-t"].update(key or {})
    s.save()
    return s


def start(s, faults=""):
    s.start(faults)
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))


def settle(s, number, *statements):
    s.shard_run(number, *statements)
    s.runner.wait_caught_up()


def columns_of(s, schema, table):
    return [r[0] for r in s.downstream.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
                                             "ORDER BY ORDINAL_POSITION", (schema, table))]


def types_of(s, schema, table):
    return dict(s.downstream.query("SELECT COLUMN_NAME, CONCAT_WS(' ', COLUMN_TYPE, IS_NULLABLE, COLLATION_NAME, COLUMN_DEFAULT) FROM information_schema.COLUMNS "
                                   "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", (schema, table)))


def keys_of(s, schema, table, unique=True):
    rows = s.downstream.query("SELECT INDEX_NAME, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s "
                              "AND TABLE_NAME = %s AND NON_UNIQUE = %s GROUP BY INDEX_NAME", (schema, table, 0 if unique else 1))
    return {r[1] for r in rows}


def shard_columns(s):
    return [c for c in columns_of(s, s.target, "t") if c != "shard"]


def model(s, keys):
    """Who is in the target, who is parked: by what the shards hold, with these unique keys; no decisions."""
    columns = shard_columns(s)
    rows = []
    for shard in s.shards:
        rows += [(f"s{shard.number}", *r) for r in shard.server.query(f"SELECT {', '.join(columns)} FROM `{shard.schema}`.t")]
    if s.policy.startswith("keep"):
        at = 1 + columns.index("at")
        known = sorted([r for r in rows if r[at] is not None], key=lambda r: r[at], reverse=s.policy == "keep-newest")
        rows = known + [r for r in rows if r[at] is None]
    inside, outside, taken = [], [], set()
    for row in rows:
        values = dict(zip(["shard", *columns], row))
        mine = {(k, tuple(str(values[c]).lower() for c in k)) for k in keys if all(values[c] is not None for c in k)}
        if mine & taken:
            outside.append(row)
            continue
        inside.append(row)
        taken |= mine
    return sorted(inside, key=repr), sorted(outside, key=repr)


def parked(s):
    columns = ["shard", *shard_columns(s)]
    return sorted(s.downstream.query(f"SELECT {', '.join(columns)} FROM `{s.meta}`.`{beside(s)}`"), key=repr)


def target(s):
    return sorted(s.rows("t", ", ".join(["shard", *shard_columns(s)])), key=repr)


def check_tables(s, keys):
    """The tables beside the target have its columns, and its keys as ordinary indexes."""
    own = columns_of(s, s.target, "t")
    wanted = {",".join(k) for k in keys}
    assert keys_of(s, s.target, "t") == wanted
    for table in (beside(s), beside(s).replace("sm_parked_", "sm_decided_")):
        there = columns_of(s, s.meta, table)
        assert [c for c in there if not c.startswith("sm_")] == own, there
        of_target, of_beside = types_of(s, s.target, "t"), types_of(s, s.meta, table)
        assert {c: of_beside[c] for c in own} == of_target
        assert wanted <= keys_of(s, s.meta, table, unique=False) | {k for k in wanted if k == "sm_id"}


def check(s, keys, decisions=False):
    s.runner.wait_caught_up(90)
    check_tables(s, keys)
    if not decisions:
        inside, outside = model(s, keys)
        assert target(s) == inside, "the target is not what the order says"
        assert parked(s) == outside, "other rows are parked than lost"
    status = s.runner.status()
    assert next(t for t in status["targets"] if t["table"] == "t")["parked"] == len(parked(s))
    assert all(source["counters"]["missed"] == 0 for source in status["sources"])


FIRST = {1: "INSERT INTO {s}.t (id, u, v, w, at) VALUES (1, 'a', 10, 'x', 5), (2, 'b', 10, 'y', 5), (3, NULL, 10, NULL, 5)",
         2: "INSERT INTO {s}.t (id, u, v, w, at) VALUES (1, 'c', 20, 'x', 6), (4, 'b', 20, 'z', 6), (5, 'e', 20, NULL, NULL)"}
KEYS = [("id",), ("u",)]

# name: statement, an INSERT that loses or wins behind it, the unique keys afterwards
ALTERS = {
    "add": ("ADD COLUMN n INT NOT NULL DEFAULT 7 AFTER u", "INSERT INTO {s}.t (id, u, v, n) VALUES (6, 'f', {v}, {v}), ({i}, 'g', 1, 1)", KEYS),
    "drop": ("DROP COLUMN w", "INSERT INTO {s}.t (id, u, v) VALUES (6, 'f', {v}), ({i}, 'g', 1)", KEYS),
    "rename": ("RENAME COLUMN v TO value", "INSERT INTO {s}.t (id, u, value) VALUES (6, 'f', {v}), ({i}, 'g', 1)", KEYS),
    "rename-key": ("RENAME COLUMN u TO name", "INSERT INTO {s}.t (id, name, v) VALUES (6, 'f', {v}), ({i}, 'g', 1)", [("id",), ("name",)]),
    "widen": ("MODIFY COLUMN u VARCHAR(60) NULL, MODIFY COLUMN v BIGINT NULL", "INSERT INTO {s}.t (id, u, v) VALUES (6, REPEAT('f', 50), {v}99999999), ({i}, 'g', 1)", KEYS),
    "charset": ("MODIFY COLUMN w VARCHAR(20) CHARACTER SET latin1 NULL", "INSERT INTO {s}.t (id, u, w) VALUES (6, 'f', 'é'), ({i}, 'g', '1')", KEYS),
    "unique": ("ADD UNIQUE KEY k_w (w)", "INSERT INTO {s}.t (id, u, v, w) VALUES (6, 'f', {v}, 'q'), ({i}, 'g', 1, 'r{i}')", [("id",), ("u",), ("w",)]),
    "plain": ("DROP INDEX k_u", "INSERT INTO {s}.t (id, u, v) VALUES (6, 'f', {v}), ({i}, 'g', 1)", [("id",)]),
    "new-unique": ("ADD COLUMN n INT NULL, ADD UNIQUE KEY k_n (n, w), DROP INDEX k_u", "INSERT INTO {s}.t (id, n, w) VALUES (6, 5, 'f'), ({i}, 5, 'g')", [("id",), ("n", "w")]),
    "index": ("ADD INDEX i_v (v)", "INSERT INTO {s}.t (id, u, v) VALUES (6, 'f', {v}), ({i}, 'g', 1)", KEYS),
}


def run_change(s, kind, number, i):
    alter, insert, _ = ALTERS[kind]
    s.shard_run(number, f"ALTER TABLE {{s}}.t {alter}", insert.replace("{v}", str(number)).replace("{i}", str(i)),
                "UPDATE {s}.t SET at = 9 WHERE id IN (1, 2)", "DELETE FROM {s}.t WHERE id = 3")


# Every kind in both modes and on both servers, each of them once.
KINDS = [(kind, MODES[n % 2], ("mariadb", "mysql")[(i + n) % 2]) for i, kind in enumerate(ALTERS) for n in ((0, 1) if kind in ("add", "unique", "new-unique", "rename-key") else (i % 2,))]


@pytest.mark.parametrize("kind,mode,server", KINDS, ids=["-".join(k) for k in KINDS])
def test_kinds_of_changes(scenario, kind, mode, server):
    downstream = flavor = server
    policy = "keep-newest" if kind in ("add", "unique", "plain") else "conflict-table"
    s = make(scenario, mode, policy, downstream=downstream, flavor=flavor)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    check(s, KEYS)
    assert parked(s), "some lose at first"
    keys = ALTERS[kind][2]
    run_change(s, kind, 1, 100)
    settle_behind = "INSERT INTO {s}.t (id, u, at) VALUES (7, 'late', 1)"
    s.shard_run(2, settle_behind)
    run_change(s, kind, 2, 200)
    check(s, keys)
    locks = s.runner.verb("locks")
    assert locks.returncode == 0 and "closed" in locks.stdout, locks.stdout + locks.stderr
    settle(s, 1, "DELETE FROM {s}.t WHERE id = 1")  # parked rows come in, in the new shape
    check(s, keys)
    s.runner.stop()
    s.start()  # and a start finds the tables as they should be
    check(s, keys)
    settle(s, 2, "DELETE FROM {s}.t WHERE id IN (6, 2)", "UPDATE {s}.t SET id = 3 WHERE id = 5")
    settle(s, 1, "DELETE FROM {s}.t WHERE id = 6")
    check(s, keys)
    s.runner.stop()


@pytest.mark.parametrize("mode", MODES)
def test_a_fill_that_is_not_the_default(scenario, mode):
    """Parked rows get what the shards' rows got, and later ones the column's default."""
    s = make(scenario, mode)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7", "ALTER TABLE {s}.t ALTER COLUMN n SET DEFAULT 9",
                    "INSERT INTO {s}.t (id, u) VALUES (50, 'both')")
    check(s, KEYS)
    assert {r[-1] for r in parked(s)} == {7, 9}
    s.runner.stop()


# -- decisions -----------------------------------------------------------------------------------------------------------


def change_all(s, alter):
    for shard in s.shards:
        s.shard_run(shard.number, f"ALTER TABLE {{s}}.t {alter}")
    s.runner.wait_caught_up()


def values(s, columns):
    return sorted(s.rows("t", columns), key=repr)


@pytest.mark.parametrize("mode,downstream,flavor", [("pessimistic", "mariadb", "mariadb"), ("optimistic", "mysql", "mysql")])
def test_decisions_about_rows_of_both_shapes(scenario, mode, downstream, flavor):
    s = make(scenario, mode, downstream=downstream, flavor=flavor)
    start(s)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v, w) VALUES (1, 'a', 10, 'x'), (2, 'b', 11, 'y'), (3, 'c', 12, NULL)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v, w) VALUES (1, 'd', 20, 'p'), (2, 'e', 21, 'q'), (30, 'c', 22, 'r')")
    decide(s, "keep", row_of(s, "s2", id=1))
    decide(s, "rename", row_of(s, "s2", id=2), "id=900")
    three = row_of(s, "s2", id=30)
    change_all(s, "ADD COLUMN n INT NOT NULL DEFAULT 5, RENAME COLUMN u TO name")
    change_all(s, "MODIFY COLUMN name VARCHAR(80) NULL, DROP COLUMN v")
    check(s, [("id",), ("name",)], decisions=True)
    assert values(s, "shard, id, name, w, n") == [("s1", 2, "b", "y", 5), ("s1", 3, "c", None, 5), ("s2", 1, "d", "p", 5), ("s2", 900, "e", "q", 5)]
    # rows parked before the change, decided about behind it
    decide(s, "keep", three)
    assert values(s, "shard, id, name, w, n")[1:] == [("s2", 1, "d", "p", 5), ("s2", 30, "c", "r", 5), ("s2", 900, "e", "q", 5)]
    settle(s, 2, "UPDATE {s}.t SET n = 6, w = 'k'")  # each finds its row, renamed and kept ones too
    assert values(s, "shard, id, name, w, n") == [("s1", 2, "b", "y", 5), ("s2", 1, "d", "k", 6), ("s2", 30, "c", "k", 6), ("s2", 900, "e", "k", 6)]
    # parked in the new shape
    settle(s, 1, "INSERT INTO {s}.t (id, name, w, n) VALUES (30, 'z', 'new', 1)")
    assert "decision 3 keeps the row in its place" in decide(s, "keep", row_of(s, "s1", id=30), code=2)
    decide(s, "swap", row_of(s, "s1", id=30))
    assert ("s1", 30, "z", "new", 1) in values(s, "shard, id, name, w, n")
    for number in (2, 4):
        decide(s, "undo", number)
    decide(s, "undo", 1)
    assert in_force(s) == 0
    check(s, [("id",), ("name",)])
    s.runner.stop()


def test_a_decision_follows_its_row_through_a_key_that_is_new(scenario):
    """The new key's columns were no key columns when the decision was made, and have other values since."""
    s = make(scenario, shards=3)
    start(s)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v, w) VALUES (1, 'a', 10, 'one'), (2, 'b', 11, 'two')")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v, w) VALUES (1, 'd', 20, 'three'), (4, 'e', 21, 'two')")
    settle(s, 3, "INSERT INTO {s}.t (id, u, v, w) VALUES (9, 'f', 30, 'four'), (2, 'g', 31, 'six')")
    decide(s, "keep", row_of(s, "s2", id=1))
    decide(s, "rename", row_of(s, "s3", id=2), "id=77")
    settle(s, 2, "UPDATE {s}.t SET w = 'four' WHERE id = 1")
    settle(s, 3, "UPDATE {s}.t SET w = 'seven' WHERE id = 2")
    change_all(s, "ADD UNIQUE KEY k_w (w)")
    # kept: it wins 'four' against s3, though s1 ranks before s2 by id 1
    assert values(s, "shard, id, w") == [("s1", 2, "two"), ("s2", 1, "four"), ("s3", 77, "seven")]
    assert sorted((r[0], r[1]) for r in parked(s)) == [("s1", 1), ("s2", 4), ("s3", 9)]
    assert in_force(s) == 4
    decided = beside(s).replace("sm_parked_", "sm_decided_")
    assert {r[0] for r in s.downstream.query(f"SELECT w FROM `{s.meta}`.`{decided}`")} == {"four", "seven"}
    decide(s, "rename", row_of(s, "s2", id=4), "w=free")
    assert ("s2", 4, "free") in values(s, "shard, id, w")
    settle(s, 3, "UPDATE {s}.t SET w = 'eight' WHERE id = 2")
    assert ("s3", 77, "eight") in values(s, "shard, id, w")
    for number in (1, 2, 3):
        decide(s, "undo", number)
    check(s, [("id",), ("u",), ("w",)])
    s.runner.stop()


# -- killed --------------------------------------------------------------------------------------------------------------

MANY = "ADD COLUMN n INT NOT NULL DEFAULT 7, DROP INDEX k_u, ADD UNIQUE KEY k_w (w)"  # target, beside, beside, rows, target
POINTS = [("ddl.planned", 1), ("ddl.intent", 2), *(("ddl.sent", n) for n in range(1, 5)), ("ddl.done", 3), ("ddl.done", 4), ("parked.rekey_out", 1),
          ("parked.rekey_in", 1), ("ddl.altered", 1), ("parked.rekey_found", 1), ("parked.rekey_parked", 1)]


@pytest.mark.parametrize("point,passage", POINTS, ids=[f"{p}-{n}" for p, n in POINTS])
def test_killed_at_every_point(scenario, point, passage):
    number = POINTS.index((point, passage))
    flavor = "mysql" if number % 2 else "mariadb"
    s = make(scenario, MODES[number // 2 % 2], downstream=flavor, flavor=flavor)
    start(s, faults=f"{point}=kill@{passage}")
    s.shard_run(1, FIRST[1], "INSERT INTO {s}.t (id, u, v, w, at) VALUES (10, 'j', 1, 'z', 5), (11, 'k', 1, 'zz', 5), (21, 'm', 1, 'v', 5)")
    s.shard_run(2, FIRST[2], "INSERT INTO {s}.t (id, u, v, w, at) VALUES (20, 'k', 1, 'v', 5), (22, 'nn', 1, 'zz', 5)")
    for shard in (1, 2):
        s.shard_run(shard, f"ALTER TABLE {{s}}.t {MANY}", f"INSERT INTO {{s}}.t (id, u, n, w) VALUES (50, 'e', 3, 'w{shard}')")
    assert s.runner.wait_exit(60) == -9
    s.start()
    check(s, [("id",), ("w",)])
    states = s.downstream.query(f"SELECT state, attempts FROM `{s.meta}`.sm_ddl")
    assert {r[0] for r in states} == {"done"}, states
    assert s.runner.verb("locks").returncode == 0
    s.runner.stop()


# The unique keys behind all of them are id and u.
STEPS = ["ADD UNIQUE KEY k_w (w)", "ADD COLUMN n INT NOT NULL DEFAULT 3", "DROP INDEX k_u", "RENAME COLUMN v TO value, MODIFY COLUMN u VARCHAR(40) NULL",
         "ADD UNIQUE KEY k_u (u)", "DROP INDEX k_w, DROP COLUMN n"]


def some_changes(rng, keys=9):
    for _ in range(rng.randrange(1, 6)):
        i, u, w, at = rng.randrange(keys), rng.choice(["NULL", *(f"'u{n}'" for n in range(keys))]), rng.choice(["NULL", *(f"'w{n}'" for n in range(keys))]), rng.choice(["NULL", *range(6)])
        yield rng.choice([f"INSERT IGNORE INTO {{s}}.t (id, u, w, at) VALUES ({i}, {u}, {w}, {at})", f"INSERT IGNORE INTO {{s}}.t (id, u, w, at) VALUES ({i}, {u}, {w}, {at})",
                          f"UPDATE IGNORE {{s}}.t SET u = {u}, at = {at} WHERE id = {i}", f"UPDATE IGNORE {{s}}.t SET w = {w} WHERE id = {i}",
                          f"UPDATE IGNORE {{s}}.t SET id = {rng.randrange(keys)} WHERE id = {i}", f"DELETE FROM {{s}}.t WHERE id = {i}"])


@pytest.mark.parametrize("policy,mode,server", [("conflict-table", "pessimistic", "mariadb"), ("keep-newest", "optimistic", "mysql")])
def test_random_changes_of_rows_and_schemas_and_kill_9(scenario, policy, mode, server):
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    s = make(scenario, mode, policy, shards=3, downstream=server, flavor=server)
    start(s)
    done = [0, 0, 0]
    while min(done) < len(STEPS):
        n = rng.randrange(3)
        s.shard_run(n + 1, *some_changes(rng))
        if done[n] < len(STEPS) and rng.random() < 0.5:
            alter = STEPS[done[n]]
            shared = [f"DELETE FROM {{s}}.t USING {{s}}.t JOIN {{s}}.t b ON {{s}}.t.{c} = b.{c} AND {{s}}.t.id > b.id" for c in "uw" if f"({c})" in alter]
            s.shard_run(n + 1, *shared, f"ALTER TABLE {{s}}.t {alter}")
            done[n] += 1
        if rng.random() < 0.06:
            s.runner.kill9()
            s.start(faults=rng.choice(["", "", "ddl.sent=kill@2", "parked.rekey_in=kill@1", "parked.rekey_out=kill@1", "apply.after_commit=kill@9"]))
        if not s.runner.running:
            s.start()
    if not s.runner.running:
        s.start()
    end = time.monotonic() + 120
    while True:  # one that is killed by its fault is started again
        try:
            s.runner.wait_caught_up(max(1, end - time.monotonic()))
            break
        except Failed:
            if s.runner.running or s.runner.exit_status != -9:
                raise
            s.start()
    check(s, KEYS)
    s.runner.stop()


# -- what stops and asks -------------------------------------------------------------------------------------------------


def lock_of(s):
    return next(t for t in s.runner.status()["targets"] if t["table"] == "t")["lock"]


def wait_asked(s):
    s.runner.wait_for("the operator is asked", lambda st: any((t["lock"] or {}).get("state") == "operator" for t in st["targets"]), 90)
    return json.dumps(lock_of(s))


def three(s):
    return [(s.target, "t"), (s.meta, beside(s)), (s.meta, beside(s).replace("sm_parked_", "sm_decided_"))]


REFUSED = {
    "row-key": ("conflict-table", "DROP PRIMARY KEY, ADD PRIMARY KEY (id, v)", "finds its rows, gets other columns"),
    "order-renamed": ("keep-newest", "RENAME COLUMN at TO moment", "`at` gets another name"),
    "order-dropped": ("keep-first", "DROP COLUMN at", "`at` is dropped"),
    "order-text": ("keep-first", "MODIFY COLUMN at VARCHAR(30) NULL", "cannot be ranked"),
    "prefix": ("conflict-table", "ADD UNIQUE KEY k_p (w(3))", "prefix of a column"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_followed_asks_before_anything_changes(scenario, kind):
    policy, alter, why = REFUSED[kind]
    s = make(scenario, policy=policy)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    before = [types_of(s, *t) for t in three(s)], [keys_of(s, *t) for t in three(s)], target(s), parked(s)
    for number in (1, 2):
        s.shard_run(number, f"ALTER TABLE {{s}}.t {alter}")
    assert why in wait_asked(s), lock_of(s)
    assert before == ([types_of(s, *t) for t in three(s)], [keys_of(s, *t) for t in three(s)], target(s), parked(s))
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_ddl") == 0
    decide(s, "keep", listed(s)["rows"][0]["id"])  # nothing is changed: decisions go on
    s.runner.stop()


def test_by_hand_and_given_up(scenario):
    """A change that is not followed is made by hand on the three tables; give-up looks at all of them, and rows take their places."""
    s = make(scenario)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t DROP PRIMARY KEY, ADD PRIMARY KEY (id, v), DROP INDEX k_u")
    assert "by hand" in wait_asked(s)
    s.runner.stop()
    s.downstream.run(f"ALTER TABLE `{s.target}`.t DROP PRIMARY KEY, MODIFY v INT NOT NULL, ADD PRIMARY KEY (id, v), DROP INDEX k_u")
    s.start()
    assert "by hand" in wait_asked(s)
    s.downstream.run(f"ALTER TABLE `{s.meta}`.`{beside(s)}` ADD COLUMN extra INT")
    assert s.runner.verb("locks", "--decide", "give-up", "--yes").returncode == 0
    s.runner.wait_caught_up(60)
    inside, outside = model(s, [("id", "v")])
    assert target(s) == inside and parked(s) == outside == []
    s.runner.stop()


def test_a_renamed_column_that_leaves_its_key_asks(scenario):
    s = make(scenario)
    start(s)
    settle(s, 1, "INSERT INTO {s}.t (id, u) VALUES (1, 'a')")
    settle(s, 2, "INSERT INTO {s}.t (id, u) VALUES (2, 'a')")
    decide(s, "rename", row_of(s, "s2", id=2), "u=b")
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t DROP INDEX k_u")
    assert "decision 1 renames column `u`" in wait_asked(s)
    assert values(s, "shard, id, u") == [("s1", 1, "a"), ("s2", 2, "b")]
    decide(s, "undo", 1)
    assert parked(s)[0][:3] == ("s2", 2, "a")
    assert s.runner.verb("locks", "--decide", "retry", "--yes").returncode == 0
    check(s, [("id",)])
    assert values(s, "shard, id, u") == [("s1", 1, "a"), ("s2", 2, "a")], "its key is free"
    s.runner.stop()


@pytest.mark.parametrize("restart", [False, True])
def test_a_parked_row_that_does_not_fit(scenario, restart):
    """The target has changed, what stands beside it not: nothing is written there, no decision made, until it is mended and tried again."""
    s = make(scenario)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET w = 'far too long' WHERE w = 'x'")
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t MODIFY COLUMN w VARCHAR(3) NULL, RENAME COLUMN v TO value")
    said = wait_asked(s)
    assert beside(s) in said, said
    if restart:
        s.runner.kill9()
        s.start()
        wait_asked(s)
    assert "value" in columns_of(s, s.target, "t") and "value" not in columns_of(s, s.meta, beside(s))
    found = listed(s)["rows"]  # shows what both have
    assert "its definition is being changed, or could not be" in decide(s, "keep", found[0]["id"], code=2)
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET w = 'x' WHERE w = 'far too long'")
    assert s.runner.verb("locks", "--decide", "retry", "--yes").returncode == 0
    check(s, KEYS)
    decide(s, "keep", listed(s)["rows"][0]["id"])
    s.runner.stop()


def test_left_in_the_middle_with_names_that_change_places(scenario):
    """From the target alone it cannot be told whether two columns have changed places: not planned anew, by hand it goes on."""
    s = make(scenario, ddl=DDL.replace("v INT", "v VARCHAR(20)"), target=TARGET.replace("v INT", "v VARCHAR(20)"))
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET at = 99999 WHERE at = 6")
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t RENAME COLUMN v TO w, RENAME COLUMN w TO v, MODIFY COLUMN at TINYINT NULL")
    assert beside(s) in wait_asked(s)
    swapped = target(s)
    assert ("s1", 1, "a", "10", "x", 5) in swapped, "the target's columns have their new names"
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET at = 6 WHERE at = 99999")
    assert s.runner.verb("locks", "--decide", "retry", "--yes").returncode == 0
    s.runner.wait_for("it asks again", lambda st: "was left in the middle" in json.dumps([t["lock"] for t in st["targets"]]), 90)
    assert target(s) == swapped, "nothing has changed places again"
    for _, table in three(s)[1:]:
        s.downstream.run(f"ALTER TABLE `{s.meta}`.`{table}` RENAME COLUMN v TO w, RENAME COLUMN w TO v, MODIFY COLUMN at TINYINT NULL")
    assert s.runner.verb("locks", "--decide", "give-up", "--yes").returncode == 0
    check(s, KEYS)
    s.runner.stop()


def test_what_a_decision_remembers_keeps_no_change_back(scenario):
    """A decided row has been filled since: NOT NULL fits it."""
    s = make(scenario, target=TARGET.replace("at BIGINT NULL", "at BIGINT NULL, moved TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP"),
             ddl=DDL.replace("at BIGINT NULL", "at BIGINT NULL, moved TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP"))
    start(s)
    settle(s, 1, "INSERT INTO {s}.t (id, u) VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    settle(s, 2, "INSERT INTO {s}.t (id, u) VALUES (1, 'd'), (2, 'e'), (3, 'f')")
    decide(s, "keep", row_of(s, "s2", id=1))
    decide(s, "rename", row_of(s, "s2", id=2), "id=900")
    decide(s, "keep", row_of(s, "s2", id=3))
    for number in (1, 2):
        s.shard_run(number, "UPDATE {s}.t SET v = 5, moved = '2020-01-01 00:00:00'", "ALTER TABLE {s}.t MODIFY COLUMN v INT NOT NULL")
    check(s, KEYS, decisions=True)
    assert values(s, "shard, id, u, v") == [("s1", 2, "b", 5), ("s2", 1, "d", 5), ("s2", 3, "f", 5), ("s2", 900, "e", 5)]
    known = s.downstream.query(f"SELECT sm_id, sm_side, id, u, v, moved = '2020-01-01 00:00:00' FROM `{s.meta}`.`{three(s)[2][1]}` ORDER BY 1, 2")
    assert known == [(1, 0, 1, "d", 5, 1), (1, 1, 1, "d", 5, 1), (2, 0, 2, "e", 5, 1), (2, 1, 900, "e", 5, 1), (3, 0, 3, "f", 5, 1), (3, 1, 3, "f", 5, 1)]
    for number in (3, 2, 1):
        decide(s, "undo", number)
    check(s, KEYS)
    s.runner.stop()


def test_a_new_key_that_is_given_up_on_the_shards(scenario):
    """Rows that left the target for it come back, as long as it is not there and when it does not come at all."""
    s = make(scenario, ddl=DDL.replace("w VARCHAR(20)", "w VARCHAR(20) COLLATE utf8mb4_bin"), target=TARGET.replace("w VARCHAR(20)", "w VARCHAR(20) COLLATE utf8mb4_general_ci"))
    start(s)
    settle(s, 1, "INSERT INTO {s}.t (id, u, w) VALUES (1, 'a', 'x'), (2, 'b', 'X'), (3, 'c', 'y')")
    settle(s, 2, "INSERT INTO {s}.t (id, u, w) VALUES (2, 'd', 'q'), (5, 'e', 'y')")
    before = target(s), parked(s)
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t ADD UNIQUE KEY k_w (w)")
    assert "two rows of one shard table have one key" in wait_asked(s)
    assert (target(s), parked(s)) == before, "nobody is out for a key that is not there"
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t DROP KEY k_w")
    end = time.monotonic() + 60
    while (lock_of(s) or {"state": "closed"})["state"] != "closed" and time.monotonic() < end:  # one that comes too early meets the key again
        s.runner.verb("locks", "--decide", "retry", "--yes")
    check(s, KEYS)
    assert not keys_of(s, s.target, "t", unique=False), "nothing of the way there is left"
    s.runner.stop()


def test_rows_of_one_shard_table_that_share_the_new_key_ask(scenario):
    """Equal to the target's collation alone; the unique key waits, the rest is done."""
    s = make(scenario, ddl=DDL.replace("w VARCHAR(20)", "w VARCHAR(20) COLLATE utf8mb4_bin"), target=TARGET.replace("w VARCHAR(20)", "w VARCHAR(20) COLLATE utf8mb4_general_ci"))
    start(s)
    settle(s, 1, "INSERT INTO {s}.t (id, w) VALUES (1, 'x'), (2, 'X')")
    settle(s, 2, "INSERT INTO {s}.t (id, w) VALUES (2, 'q')")
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t ADD UNIQUE KEY k_w (w)")
    assert "two rows of one shard table have one key" in wait_asked(s)
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET w = 'Y' WHERE w COLLATE utf8mb4_bin = 'X'",
                     f"UPDATE `{s.target}`.t SET w = 'Y' WHERE w COLLATE utf8mb4_bin = 'X'")
    assert s.runner.verb("locks", "--decide", "retry", "--yes").returncode == 0
    s.runner.wait_caught_up(60)
    check_tables(s, [("id",), ("u",), ("w",)])
    assert not {k for k in keys_of(s, s.target, "t", unique=False)}, "nothing of the way there is left"
    s.runner.stop()


# -- tables that go ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["TRUNCATE", "DROP"])
def test_apply_when_all(scenario, what, mode):
    """What is parked goes with the target's rows, and decisions about them."""
    s = make(scenario, mode, key={"on-drop": "apply-when-all", "on-truncate": "apply-when-all"})
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    decide(s, "keep", row_of(s, "s2", id=1))
    assert parked(s) and in_force(s) == 2
    for number in (1, 2):
        s.shard_run(number, f"{what} TABLE {{s}}.t")
        if what == "TRUNCATE":
            s.shard_run(number, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'n', {n})".replace("{n}", str(number)))
    s.runner.wait_caught_up()
    if what == "TRUNCATE":
        assert in_force(s) == 0
        check(s, KEYS)
        assert len(parked(s)) == 1
    else:
        there = {r[0] for r in s.downstream.query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (%s, %s)", (s.target, s.meta))}
        assert not {t for t in there if t == "t" or t.startswith(("sm_parked_", "sm_decided_")) and t != "sm_parked_number"}, there
        assert next(t for t in s.runner.status()["targets"] if t["table"] == "t")["parked"] == 0
        assert s.runner.verb("conflicts").returncode == 0
        if mode == "optimistic":  # the tables beside it are found missing by a start, or by the job that makes the target again
            s.runner.stop()
            start(s)
        for number in (1, 2):
            s.shard_run(number, f"CREATE TABLE {{s}}.t {DDL.replace('v INT', 'v BIGINT')}", f"INSERT INTO {{s}}.t (id, u, v) VALUES (1, 'n', {number})")
        check(s, KEYS)
        assert len(parked(s)) == 1
    s.runner.stop()
