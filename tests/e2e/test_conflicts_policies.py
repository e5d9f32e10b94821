"""on-collision: keep-first and keep-newest by a column of the rows, and one policy for the whole task."""
import random
import time

import pytest
from test_conflicts import run_churn

DDL = "(id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) NULL, v INT, at {type} NULL, UNIQUE KEY k_u (u))"
TARGET = "(shard VARCHAR(20) NOT NULL, id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) NULL, v INT, at {type} NULL, UNIQUE KEY k_u (u))"
PROVENANCE = [{"column": "shard", "value": "${source}"}]
COLUMNS = "shard, id, u, v, at"


def make(scenario, policy, shards=2, downstream="mariadb", flavor="mariadb", mode="incremental", type="BIGINT", key=None, **task):
    s = scenario.make_plain({"t": DDL.format(type=type)}, flavors=(flavor,) * shards, downstream=downstream, targets=False, task={"task-mode": mode, **task})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {TARGET.format(type=type)}")
    s.policy = policy
    s.task["routes"]["r-t"]["key"] = key or {"strategy": "error", "on-collision": policy, "collision-column": "at", "provenance": PROVENANCE}
    if mode != "incremental":
        for instance in s.task["mysql-instances"]:
            instance.pop("meta", None)
    s.save()
    return s


def parked(s):
    name = s.downstream.value(f"SELECT parked_table FROM `{s.meta}`.sm_parked WHERE target_table = 't'")
    return sorted(s.downstream.query(f"SELECT {COLUMNS} FROM `{s.meta}`.`{name}`"), key=repr)


def model(s):
    """Who is in the target, who is parked: by what the shards hold now."""
    rows = []
    for shard in s.shards:
        rows += [(shard.number, (f"s{shard.number}", *row)) for row in shard.server.query(f"SELECT id, u, v, at FROM `{shard.schema}`.t")]
    rows.sort(key=lambda r: r[0])
    if s.policy != "conflict-table":
        known = sorted([r for r in rows if r[1][4] is not None], key=lambda r: r[1][4], reverse=s.policy == "keep-newest")  # equal ones keep their order
        rows = known + [r for r in rows if r[1][4] is None]
    inside, outside, ids, names = [], [], set(), set()
    for _, row in rows:
        if row[1] in ids or (row[2] is not None and row[2].lower() in names):
            outside.append(row)
            continue
        inside.append(row)
        ids.add(row[1])
        if row[2] is not None:
            names.add(row[2].lower())
    return sorted(inside, key=repr), sorted(outside, key=repr)


def check(s):
    s.runner.wait_caught_up(90)
    inside, outside = model(s)
    assert sorted(s.rows("t", COLUMNS), key=repr) == inside, "the target is not what the column says"
    assert parked(s) == outside, "other rows are parked than lost"
    status = s.runner.status()
    assert next(t for t in status["targets"] if t["table"] == "t")["parked"] == len(outside)
    for source in status["sources"]:
        c = source["counters"]
        assert c["read"] == c["applied"] + c["filtered"] + c["missed"] + c["parked"] + c["loaded"] and c["missed"] == 0, c


def settle(s, number, *statements):
    s.shard_run(number, *statements)
    s.runner.wait_caught_up()


TYPES = {"BIGINT": lambda n: str(n - 3), "BIGINT UNSIGNED": str, "DATE": lambda n: f"'2026-01-{n + 1:02}'", "DATETIME(6)": lambda n: f"'2026-01-01 00:00:00.{n:06}'",
         "DATETIME": lambda n: f"'2026-01-01 00:{n:02}:00'", "TIMESTAMP(3)": lambda n: f"'2026-11-01 23:59:59.{n:03}'", "TINYINT": lambda n: str(n - 3)}


@pytest.mark.parametrize("policy,first,type", [(policy, first, "BIGINT") for policy in ("keep-first", "keep-newest") for first in (1, 2)]
                         + [("keep-newest" if n % 2 else "keep-first", 1 + n // 2 % 2, type) for n, type in enumerate(TYPES) if n])
def test_the_column_decides_whoever_arrives_first(scenario, policy, first, type):
    value, null = TYPES[type], "NULL"
    s = make(scenario, policy, type=type)
    s.start()
    for number in (first, 3 - first):  # s1 has the lower value
        settle(s, number, f"INSERT INTO {{s}}.t VALUES (1, 'a', {number * 10}, {value(number)}), (2, 'b', 1, {value(5)}), (3, NULL, 1, {value(5) if number == 2 else null})")
        check(s)
    winner = 1 if policy == "keep-first" else 2
    assert s.rows("t", "id, shard", "id") == [(1, f"s{winner}"), (2, "s1"), (3, "s2")], "lower or higher, the first shard of equal ones, NULL loses"
    loser = 3 - winner
    better = value(0) if policy == "keep-first" else value(9)
    settle(s, loser, f"UPDATE {{s}}.t SET at = {better} WHERE id = 1")  # the parked row puts the other out
    check(s)
    assert s.rows("t", "shard", "id")[0] == (f"s{loser}",)
    settle(s, loser, "UPDATE {s}.t SET at = NULL WHERE id = 1")  # the row in the target gives way, by an UPDATE without another key
    check(s)
    assert s.rows("t", "shard", "id")[0] == (f"s{winner}",)
    settle(s, winner, "DELETE FROM {s}.t WHERE id = 1")
    check(s)
    settle(s, winner, f"INSERT INTO {{s}}.t VALUES (1, 'a', 99, {better})")
    check(s)
    s.runner.stop()


def churn(s, number, rng, keys, stop=None, count=0):
    """Random changes of one shard among few keys and few values of the column."""
    shard = s.shards[number - 1]
    conn = shard.server.connect()
    done = 0
    with conn.cursor() as cur:
        while (stop and not stop.is_set()) or done < count:
            done += 1
            cur.execute("BEGIN")
            for _ in range(rng.choice([1, 1, 2, 5])):
                i, u, v, at = rng.randrange(keys), rng.choice([None, *(f"k{n}" for n in range(keys))]), rng.randrange(10**6), rng.choice([None, *range(9)])
                statement, args = rng.choice([
                    (f"INSERT IGNORE INTO `{shard.schema}`.t VALUES (%s, %s, %s, %s)", (i, u, v, at)),
                    (f"INSERT IGNORE INTO `{shard.schema}`.t VALUES (%s, %s, %s, %s)", (i, u, v, at)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET v = %s WHERE id = %s", (v, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET at = %s WHERE id = %s", (at, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET at = %s, v = %s WHERE u = %s", (at, v, u)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET u = %s WHERE id = %s", (u, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET id = %s WHERE id = %s", (rng.randrange(keys), i)),
                    (f"DELETE FROM `{shard.schema}`.t WHERE id = %s", (i,)),
                ])
                cur.execute(statement, args)
            cur.execute(rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
    conn.close()


@pytest.mark.parametrize("policy,shards,downstream,keys", [("keep-first", 2, "mariadb", 12), ("keep-newest", 3, "mariadb", 30), ("keep-newest", 2, "mysql", 12)])
def test_random_changes_agree_with_the_model(scenario, policy, shards, downstream, keys):
    seed = random.randrange(10**6)
    print("seed", seed)
    s = make(scenario, policy, shards=shards, downstream=downstream)
    s.start()
    for round_no in range(3):
        run_churn(s, f"{seed}-{round_no}", keys, 3, churn=churn)
        check(s)
    s.runner.stop()


@pytest.mark.parametrize("policy,downstream", [("keep-newest", "mariadb"), ("keep-first", "mysql")])
def test_random_changes_and_kill_9(scenario, policy, downstream):
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    s = make(scenario, policy, downstream=downstream)
    s.start()

    def kill():
        if rng.random() < 0.4:
            s.runner.kill9()
            s.start(faults=rng.choice(["", "", "parked.put_out=kill@5", "apply.after_commit=kill@30", "apply.before_commit=kill@40", "apply.after_commit=error@20"]))
        elif not s.runner.running:
            s.start()

    for round_no in range(2):
        run_churn(s, f"{seed}-{round_no}", 12, 5, kill, churn=churn)
        s.runner.kill9()
        s.start()
        check(s)
    s.runner.stop()


@pytest.mark.parametrize("policy,downstream,flavor,kill", [("keep-newest", "mariadb", "mariadb", True), ("keep-first", "mysql", "mysql", False)])
def test_existing_rows_and_the_stream(scenario, policy, downstream, flavor, kill):
    """Rows that are copied and rows that are streamed rank alike."""
    seed = random.randrange(10**6)
    print("seed", seed)
    s = make(scenario, policy, downstream=downstream, flavor=flavor, mode="all", load={"chunk-rows": 50})
    for shard in s.shards:
        rng = random.Random(f"{seed}-{shard.number}-rows")
        rows = ",".join(f"({i}, {rng.choice(['NULL', repr(f'k{i}')])}, {i}, {rng.randrange(9)})" for i in range(400) if rng.random() < 0.7)
        shard.server.run(f"INSERT INTO `{shard.schema}`.t VALUES {rows}")
    s.start()

    def again():
        if kill:
            s.runner.kill9()
            s.start()

    run_churn(s, seed, 400, 3, again, churn=churn)
    check(s)
    s.runner.stop()


@pytest.mark.parametrize("policy", ["keep-first", "keep-newest"])
def test_two_shards_arrive_far_apart(scenario, policy):
    seed = random.randrange(10**6)
    print("seed", seed)
    s = make(scenario, policy)
    s.start()
    s.runner.wait_caught_up()
    for round_no, late in enumerate((1, 2)):
        s.runner.pause(f"s{late}")
        for shard in s.shards:
            churn(s, shard.number, random.Random(f"{seed}-{round_no}-{shard.number}"), 15, count=200)
        time.sleep(1)
        s.runner.resume(f"s{late}")
        check(s)
    s.runner.stop()


def test_a_column_that_the_server_sets(scenario):
    """updated_at ON UPDATE CURRENT_TIMESTAMP, and images of the key alone: the newest by the clock of the shards."""
    ddl = "(id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) NULL, v INT, at TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), UNIQUE KEY k_u (u))"
    s = scenario.make_plain({"t": ddl}, targets=False, server_options={"binlog_row_image": "MINIMAL"})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {ddl.replace('(id', '(shard VARCHAR(20) NOT NULL, id', 1)}")
    s.policy = "keep-newest"
    s.task["routes"]["r-t"]["key"] = {"strategy": "error", "on-collision": "keep-newest", "collision-column": "at", "provenance": PROVENANCE}
    s.save()
    s.start()
    for number in (1, 2, 1, 2):
        settle(s, number, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 0), (2, 'b', 0) ON DUPLICATE KEY UPDATE v = v + 1")
        check(s)
        assert s.rows("t", "shard") == [(f"s{number}",)] * 2
    settle(s, 1, "UPDATE {s}.t SET id = 7 WHERE id = 2")
    check(s)
    settle(s, 2, "UPDATE {s}.t SET u = 'z' WHERE id = 2")
    check(s)
    assert not [r for r in parked(s) if r[1] != 1]
    s.runner.stop()


KEEP = {"strategy": "error", "on-collision": "keep-newest", "collision-column": "at", "provenance": PROVENANCE}


@pytest.mark.parametrize("key,type,code,words", [
    ({"strategy": "error", "on-collision": "keep-newest", "provenance": PROVENANCE}, "BIGINT", "CONFIG_MISSING", "collision-column"),
    ({"strategy": "error", "on-collision": "keep-first", "collision-column": "at"}, "BIGINT", "CONFIG_MISSING", "provenance"),
    ({"strategy": "error", "on-collision": "conflict-table", "collision-column": "at", "provenance": PROVENANCE}, "BIGINT", "CONFIG_VALUE", "compares no column"),
    ({**KEEP, "collision-column": "gone"}, "BIGINT", "KEY_STRATEGY", "is not there"),
    (KEEP, "VARCHAR(20)", "KEY_STRATEGY", "no values that can be ranked"),
    (KEEP, "DOUBLE", "KEY_STRATEGY", "no values that can be ranked"),
])
def test_what_cannot_be_sound_is_refused(scenario, key, type, code, words):
    s = make(scenario, "keep-newest", key=key, type=type)
    s.start()
    assert s.runner.wait_exit() == 2
    assert code in s.runner.log() and words in s.runner.log(), s.runner.log_tail()


# -- one policy for the whole task --


def test_the_task_decides_where_the_rule_does_not(scenario):
    s = make(scenario, "keep-newest", key={"strategy": "error", "provenance": PROVENANCE}, **{"on-collision": "keep-newest", "collision-column": "at"})
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 1, 5)")
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'a', 2, 6)")
    check(s)
    assert s.rows("t", "shard") == [("s2",)]
    s.runner.stop()


def test_the_rule_wins_over_the_task(scenario):
    s = make(scenario, "conflict-table", key={"strategy": "error", "on-collision": "conflict-table", "provenance": PROVENANCE},
             **{"on-collision": "keep-newest", "collision-column": "at"})
    s.start()
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'a', 2, 6)")
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 1, 5)")
    assert s.rows("t", "shard") == [("s1",)] and len(parked(s)) == 1
    s.runner.stop()


def test_a_rule_may_stop(scenario):
    s = make(scenario, "stop", key={"strategy": "error", "on-collision": "stop", "provenance": PROVENANCE}, **{"on-collision": "conflict-table", "collision-grace": "0s"})
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 1, 5)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 'a', 2, 6)")
    s.runner.wait_error("s2", "APPLY_COLLISION")


@pytest.mark.parametrize("key", [None, {"strategy": "error"}])
def test_the_task_asks_every_rule_for_provenance(scenario, key):
    s = make(scenario, "conflict-table", **{"on-collision": "conflict-table"})
    if key:
        s.task["routes"]["r-t"]["key"] = key
    else:
        del s.task["routes"]["r-t"]["key"]
    s.save()
    s.start()
    assert s.runner.wait_exit() == 2
    assert "CONFIG_MISSING" in s.runner.log() and "r-t" in s.runner.log(), s.runner.log_tail()


def test_the_policy_cannot_change_later(scenario):
    s = make(scenario, "keep-newest")
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 1, 5)")
    s.runner.stop()
    s.task["routes"]["r-t"]["key"]["on-collision"] = "keep-first"
    s.save()
    s.start()
    assert s.runner.wait_exit() != 0
    assert "STATE_TASK_CHANGED" in s.runner.log(), s.runner.log_tail()
