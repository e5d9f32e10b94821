"""on-collision: conflict-table: the loser of a collision is parked, the winner is the same whatever arrived first."""
import json
import random
import threading
import time

import pytest
from harness.proxy import Proxy

UNIQUE = "(id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) NULL, v INT, UNIQUE KEY k_u (u))"
TARGET = "(shard VARCHAR(20) NOT NULL, id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) NULL, v INT, UNIQUE KEY k_u (u))"
KEY = {"strategy": "error", "on-collision": "conflict-table", "provenance": [{"column": "shard", "value": "${source}"}]}
COLUMNS = "shard, id, u, v"


def make(scenario, shards=2, downstream="mariadb", flavor="mariadb", mode="incremental", **task):
    s = scenario.make_plain({"t": UNIQUE}, flavors=(flavor,) * shards, downstream=downstream, targets=False, task={"task-mode": mode, **task})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {TARGET}")
    s.task["routes"]["r-t"]["key"] = KEY
    if mode != "incremental":
        for instance in s.task["mysql-instances"]:
            instance.pop("meta", None)
    s.save()
    return s


def parked_table(s):
    return s.downstream.value(f"SELECT parked_table FROM `{s.meta}`.sm_parked WHERE target_table = 't'")


def parked(s):
    name = parked_table(s)
    return sorted(s.downstream.query(f"SELECT {COLUMNS} FROM `{s.meta}`.`{name}`"), key=repr) if name else []


def model(s):
    """Who is in the target, who is parked: by what the shards hold now, and their order in the task."""
    inside, outside, ids, names = [], [], set(), set()
    for shard in s.shards:
        mine = [(f"s{shard.number}", *row) for row in shard.server.query(f"SELECT id, u, v FROM `{shard.schema}`.t ORDER BY id")]
        wins = [r for r in mine if r[1] not in ids and (r[2] is None or r[2].lower() not in names)]
        outside += [r for r in mine if r not in wins]
        inside += wins
        ids |= {r[1] for r in wins}
        names |= {r[2].lower() for r in wins if r[2] is not None}
    return sorted(inside, key=repr), sorted(outside, key=repr)


def check(s):
    s.runner.wait_caught_up(90)
    inside, outside = model(s)
    assert sorted(s.rows("t", COLUMNS), key=repr) == inside, "the target is not what the shards' order says"
    assert parked(s) == outside, "other rows are parked than lost"
    status = s.runner.status()
    target = next(t for t in status["targets"] if t["table"] == "t")
    assert target["parked"] == len(outside), f"status counts {target['parked']} parked rows, {len(outside)} are"
    for source in status["sources"]:
        c = source["counters"]
        assert c["read"] == c["applied"] + c["filtered"] + c["missed"] + c["parked"] + c["loaded"], c
        assert c["missed"] == 0, c
    return status


def settle(s, number, *statements):
    s.shard_run(number, *statements)
    s.runner.wait_caught_up()


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
@pytest.mark.parametrize("first", [1, 2])
def test_the_order_of_the_shards_decides(scenario, first, downstream):
    s = make(scenario, downstream=downstream)
    s.start()
    for number in (first, 3 - first):
        settle(s, number, f"INSERT INTO {{s}}.t VALUES (1, 'a', {number * 10})")
        check(s)
    assert s.rows("t", "v", "id") == [(10,)], "s1's row is in the target"
    settle(s, 2, "INSERT INTO {s}.t VALUES (2, 'b', 21)")
    settle(s, 2, "UPDATE {s}.t SET v = v + 1 WHERE id = 1")  # the loser's change
    check(s)
    settle(s, 1, "UPDATE {s}.t SET v = 99 WHERE id = 1")
    check(s)
    settle(s, 1, "DELETE FROM {s}.t WHERE id = 1")  # lets the loser in
    check(s)
    assert s.rows("t", "shard", "id") == [("s2",), ("s2",)]
    settle(s, 1, "INSERT INTO {s}.t VALUES (5, 'B', 1)")  # by the other key, another spelling: puts 2 out
    check(s)
    settle(s, 2, "DELETE FROM {s}.t WHERE id = 2")
    check(s)
    s.runner.stop()


def test_an_update_loses_and_comes_back(scenario):
    s = make(scenario)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t VALUES (2, 'b', 20)")
    settle(s, 2, "UPDATE {s}.t SET u = 'a' WHERE id = 2")
    check(s)
    assert len(parked(s)) == 1
    settle(s, 2, "UPDATE {s}.t SET u = 'c' WHERE id = 2")
    check(s)
    assert not parked(s)
    settle(s, 2, "UPDATE {s}.t SET id = 1 WHERE id = 2")
    settle(s, 1, "UPDATE {s}.t SET id = 7 WHERE id = 1")
    check(s)
    assert not parked(s)
    s.runner.stop()


def test_a_chain_of_rows_moves_in_one_transaction(scenario):
    """s1's row leaves: s2's comes in and puts s3's out, which lets s4's in."""
    s = make(scenario, shards=4)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 1)")
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'b', 2)")
    settle(s, 3, "INSERT INTO {s}.t VALUES (3, 'b', 3)")
    settle(s, 4, "INSERT INTO {s}.t VALUES (3, 'd', 4)")
    check(s)
    assert [r[0] for r in s.rows("t", "shard", "id")] == ["s1", "s3"]
    settle(s, 1, "DELETE FROM {s}.t")
    check(s)
    assert [r[0] for r in s.rows("t", "shard", "id")] == ["s2", "s4"]
    settle(s, 1, "INSERT INTO {s}.t VALUES (8, 'b', 1)")
    check(s)
    assert [r[0] for r in s.rows("t", "shard", "id")] == ["s4", "s1"] and len(parked(s)) == 2
    s.runner.stop()


def churn(s, number, rng, keys, stop=None, count=0):
    """Random changes of one shard among few keys, so that most of them collide with another shard's."""
    shard = s.shards[number - 1]
    conn = shard.server.connect()
    done = 0
    with conn.cursor() as cur:
        while (stop and not stop.is_set()) or done < count:
            done += 1
            cur.execute("BEGIN")
            for _ in range(rng.choice([1, 1, 2, 5])):
                i, u, v = rng.randrange(keys), rng.choice([None, *(f"k{n}" for n in range(keys))]), rng.randrange(10**6)
                statement, args = rng.choice([
                    (f"INSERT IGNORE INTO `{shard.schema}`.t VALUES (%s, %s, %s)", (i, u, v)),
                    (f"INSERT IGNORE INTO `{shard.schema}`.t VALUES (%s, %s, %s)", (i, u, v)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET v = %s WHERE id = %s", (v, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET u = %s WHERE id = %s", (u, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET id = %s WHERE id = %s", (rng.randrange(keys), i)),
                    (f"DELETE FROM `{shard.schema}`.t WHERE id = %s", (i,)),
                ])
                cur.execute(statement, args)
            cur.execute(rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
    conn.close()


def run_churn(s, seed, keys, seconds, between=None, churn=churn):
    """All shards at once."""
    stop = threading.Event()
    threads = [threading.Thread(target=churn, args=(s, n.number, random.Random(f"{seed}-{n.number}"), keys, stop)) for n in s.shards]
    for t in threads:
        t.start()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.3)
            if between:
                between()
    finally:
        stop.set()
        for t in threads:
            t.join()


@pytest.mark.parametrize("shards,downstream,keys", [(2, "mariadb", 12), (3, "mariadb", 40), (2, "mysql", 12)])
def test_random_collisions_agree_with_the_model(scenario, shards, downstream, keys):
    seed = random.randrange(10**6)
    print("seed", seed)
    s = make(scenario, shards=shards, downstream=downstream)
    s.start()
    for round_no in range(3):
        run_churn(s, f"{seed}-{round_no}", keys, 3)
        check(s)
    s.runner.stop()


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_random_collisions_and_kill_9(scenario, downstream):
    """Killed while rows are parked, put out and let in; the same as without."""
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    s = make(scenario, downstream=downstream)
    s.start()

    def kill():
        if rng.random() < 0.4:
            s.runner.kill9()
            s.start(faults=rng.choice(["", "", "parked.put_out=kill@5", "apply.after_commit=kill@30", "apply.before_commit=kill@40", "apply.after_commit=error@20"]))
        elif not s.runner.running:
            s.start()

    for round_no in range(2):
        run_churn(s, f"{seed}-{round_no}", 12, 5, kill)
        s.runner.kill9()
        s.start()
        check(s)
    s.runner.stop()


@pytest.mark.parametrize("point", ["parked.put_out", "apply.after_rows", "apply.before_commit", "apply.after_commit"])
@pytest.mark.parametrize("action", ["kill", "error"])
def test_a_row_is_put_out_once(scenario, point, action):
    """Killed, or the connection lost, around the transaction that puts a row out and lets another one in."""
    s = make(scenario, shards=3)
    s.start()
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'a', 2)")
    settle(s, 3, "INSERT INTO {s}.t VALUES (3, 'a', 3)")
    s.runner.stop()
    s.start(faults=f"{point}={action}@1")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'b', 1)")
    if action == "kill":
        assert s.runner.wait_exit() == -9
        s.start()
    check(s)
    assert s.rows("t", "shard", "id") == [("s1",), ("s3",)] and len(parked(s)) == 1
    s.runner.stop()


@pytest.mark.parametrize("downstream,flavor", [("mariadb", "mariadb"), ("mysql", "mysql")])
@pytest.mark.parametrize("kill", [False, True])
def test_existing_rows_and_the_stream(scenario, downstream, flavor, kill):
    """Both shards are full of colliding rows before the first start, and go on changing while they are copied."""
    seed = random.randrange(10**6)
    print("seed", seed)
    s = make(scenario, downstream=downstream, flavor=flavor, mode="all", load={"chunk-rows": 50})
    for shard in s.shards:
        rng = random.Random(f"{seed}-{shard.number}-rows")
        rows = ",".join(f"({i}, {rng.choice(['NULL', repr(f'n{rng.randrange(10**6)}_{i}'), repr(f'k{i}')])}, {i})" for i in range(400) if rng.random() < 0.7)
        shard.server.run(f"INSERT INTO `{shard.schema}`.t VALUES {rows}")
    s.start()

    def again():
        if kill:
            s.runner.kill9()
            s.start()

    run_churn(s, seed, 400, 3, again if kill else None)
    check(s)
    s.runner.stop()


def test_two_shards_arrive_far_apart(scenario):
    """One is paused while the other goes on: who is in the target is decided by what they hold, not by when it came."""
    seed = random.randrange(10**6)
    print("seed", seed)
    s = make(scenario, shards=2)
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


def test_composite_with_a_global_key(scenario):
    """The target is created; ids never meet, the e-mail addresses of two shards do."""
    s = scenario.make_plain({"t": UNIQUE}, targets=False)
    s.task["routes"]["r-t"]["key"] = {**KEY, "strategy": "composite", "global-keys": ["k_u"]}
    s.save()
    s.start()
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'a', 20), (2, 'b', 21)")
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'b', 10), (2, 'c', 11)")
    assert s.rows("t", "shard, id, u", "1, 2") == [("s1", 1, "b"), ("s1", 2, "c"), ("s2", 1, "a")]
    settle(s, 2, "UPDATE {s}.t SET u = 'c' WHERE id = 1")
    assert s.rows("t", "shard, id, u", "1, 2") == [("s1", 1, "b"), ("s1", 2, "c")]
    assert len(parked(s)) == 2
    settle(s, 1, "UPDATE {s}.t SET u = NULL")
    assert s.rows("t", "shard, id, u", "1, 2") == [("s1", 1, None), ("s1", 2, None), ("s2", 1, "c"), ("s2", 2, "b")]
    assert parked(s) == []
    s.runner.stop()


def test_stride_with_colliding_names(scenario):
    """Ids are rewritten, also in rows that are parked."""
    s = scenario.make_plain({"t": UNIQUE}, targets=False)
    s.task["routes"]["r-t"]["key"] = {**KEY, "strategy": "stride", "shards": 4}
    s.save()
    s.start()
    settle(s, 2, "INSERT INTO {s}.t VALUES (5, 'x', 20)")
    settle(s, 1, "INSERT INTO {s}.t VALUES (5, 'X', 10)")
    assert len(parked(s)) == 1 and parked(s)[0][1] // 4 == 5
    settle(s, 2, "UPDATE {s}.t SET id = 6, v = 7 WHERE id = 5")
    settle(s, 1, "DELETE FROM {s}.t")
    rows = s.rows("t", "shard, id, u, v")
    assert len(rows) == 1 and rows[0][1] // 4 == 6 and rows[0][2:] == ("x", 7) and parked(s) == []
    s.runner.stop()


def test_tables_of_one_source_by_their_names(scenario):
    """Two shard tables on one server: the name decides, and a row that moves between them is in one place."""
    s = scenario.make_plain({"t_b": UNIQUE, "t_a": UNIQUE}, flavors=("mariadb",), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {TARGET}")
    s.task["routes"] = {"r": {"schema-pattern": f"{s.unique}_s*", "table-pattern": "t_*", "target-schema": s.target, "target-table": "t",
                              "key": {**KEY, "provenance": [{"column": "shard", "value": "${table}"}]}}}
    s.task["mysql-instances"][0]["route-rules"] = ["r"]
    s.save()
    s.start()
    settle(s, 1, "INSERT INTO {s}.t_b VALUES (1, 'a', 1)")
    settle(s, 1, "INSERT INTO {s}.t_a VALUES (1, 'a', 2)")
    assert s.rows("t", "shard, v") == [("t_a", 2)] and parked(s)[0][0] == "t_b"
    settle(s, 1, "BEGIN", "DELETE FROM {s}.t_a", "UPDATE {s}.t_b SET v = 3", "INSERT INTO {s}.t_a VALUES (1, 'z', 4)", "COMMIT")
    assert s.rows("t", "shard, v") == [("t_a", 4)] and parked(s)[0][3] == 3
    settle(s, 1, "DELETE FROM {s}.t_a")
    assert s.rows("t", "shard, v") == [("t_b", 3)] and parked(s) == []
    s.runner.stop()


def test_images_of_the_key_alone(scenario):
    """binlog_row_image=MINIMAL: what an UPDATE or DELETE frees is not in the binlog."""
    s = scenario.make_plain({"t": UNIQUE}, targets=False, server_options={"binlog_row_image": "MINIMAL"})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {TARGET}")
    s.task["routes"]["r-t"]["key"] = KEY
    s.save()
    seed = random.randrange(10**6)
    print("seed", seed)
    s.start()
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'a', 1), (2, 'b', 2)")
    settle(s, 1, "INSERT INTO {s}.t VALUES (7, 'b', 3)")
    check(s)
    settle(s, 1, "DELETE FROM {s}.t")
    check(s)
    run_churn(s, seed, 12, 3)
    check(s)
    s.runner.stop()


def test_the_verb_lists_and_shows(scenario):
    s = make(scenario)
    done = s.runner.verb("conflicts")
    assert done.returncode == 0 and "no target parks" in done.stdout, done.stderr
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 10), (2, NULL, 11)")
    done = s.runner.verb("conflicts", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["parked"] == 0
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'secret', 20), (3, 'A', 21), (4, 'ok', 22)")
    done = s.runner.verb("conflicts", "--json", "--show")
    target = json.loads(done.stdout)["targets"][0]
    assert done.returncode == 1 and target["parked"] == 2 and len(target["rows"]) == 2
    first, second = target["rows"]
    assert first["source"] == "s2" and first["table"] == "t" and first["row"] == {"shard": "s2", "id": "1", "u": "secret", "v": "20"}
    assert first["winners"] == [{"key": "PRIMARY", "row": {"shard": "s1", "id": "1", "u": "a", "v": "10"}}]
    assert [w["key"] for w in second["winners"]] == ["k_u"]
    human = s.runner.verb("conflicts")
    assert human.returncode == 1 and "2 rows are parked" in human.stdout and "secret" not in human.stdout, "values only when asked for"
    assert "secret" in s.runner.verb("conflicts", "--show").stdout
    assert len(json.loads(s.runner.verb("conflicts", "--json", "--limit", "1").stdout)["targets"][0]["rows"]) == 1
    s.runner.stop()
    assert s.runner.verb("conflicts").returncode == 1, "without the process as well"
    early = json.loads(s.runner.verb("finish", "--json").stdout)
    assert early["refused"] and "2 rows are parked" in " ".join(early["warnings"]), early


def test_rows_of_nobody_stop(scenario):
    """A row in the target that no shard has: nobody can say who wins."""
    s = make(scenario)
    s.downstream.run(f"INSERT INTO `{s.target}`.t VALUES ('somebody', 1, 'a', 1)")
    s.start()
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 'z', 10)")
    s.runner.wait_error("s2", "APPLY_COLLISION")
    assert s.rows("t", COLUMNS) == [("somebody", 1, "a", 1)]


@pytest.mark.parametrize("key,code", [
    ({"strategy": "error", "on-collision": "conflict-table"}, "CONFIG_MISSING"),
    ({**KEY, "on-collision": "keep-first"}, "CONFIG_MISSING"), ({**KEY, "on-collision": "keep-newest"}, "CONFIG_MISSING"),
    ({**KEY, "provenance": [{"column": "shard", "value": "all"}]}, "KEY_STRATEGY"),
])
def test_what_cannot_be_sound_is_refused(scenario, key, code):
    s = make(scenario)
    s.task["routes"]["r-t"]["key"] = key
    s.save()
    s.start()
    assert s.runner.wait_exit() == 2
    assert code in s.runner.log(), s.runner.log_tail()


def test_a_schema_change_stops_the_source_where_nobody_follows_it(scenario):
    """Without shard-mode; with it: test_conflicts_ddl.py."""
    s = make(scenario)
    s.start()
    settle(s, 1, "INSERT INTO {s}.t VALUES (1, 'a', 1)")
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'b', 2)")
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t ADD COLUMN w INT NOT NULL DEFAULT 5", "UPDATE {s}.t SET v = v + 10")
    s.runner.wait_error("s1", "SOURCE_DDL")
    assert s.rows("t", COLUMNS) == [("s1", 1, "a", 1)] and len(parked(s)) == 1
    assert [c[0] for c in s.downstream.query(f"SHOW COLUMNS FROM `{s.target}`.t")] == ["shard", "id", "u", "v"]


def test_a_prefix_key_is_refused(scenario):
    s = make(scenario)
    s.downstream.run(f"ALTER TABLE `{s.target}`.t ADD UNIQUE KEY k_p (u(3))")
    s.start()
    assert s.runner.wait_exit() == 2
    assert "NOT_SUPPORTED" in s.runner.log() and "prefix" in s.runner.log(), s.runner.log_tail()


@pytest.mark.parametrize("mode", ["incremental", "all"])
def test_the_row_of_a_source_that_cannot_be_reached(scenario, mode):
    """Its row in the target is known as its own: s1's comes before it."""
    s = make(scenario, mode=mode)
    server = s.shards[1].server
    proxy = Proxy(server.host, server.port).start()
    s.closers.append(proxy.stop)
    address = s.source_config(2)["from"]
    address.pop("socket", None)
    address["host"], address["port"] = proxy.host, proxy.port
    s.save()
    s.start()
    settle(s, 2, "INSERT INTO {s}.t VALUES (1, 'b', 20)")
    s.runner.stop()
    proxy.refuse()
    proxy.close_all()
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'a', 10)")
    s.runner.wait_for("its row to be put out", lambda st: parked(s) or (st["running"] and any(x["state"] == "paused-by-error" for x in st["sources"])), 60)
    assert parked(s) == [("s2", 1, "b", 20)], s.runner.log_tail()
    assert s.rows("t", COLUMNS) == [("s1", 1, "a", 10)]
    proxy.listen()
    check(s)
    s.runner.stop()
