"""conflicts --decide: an operator keeps, swaps or renames a parked row; it holds over later operations, restarts and kill -9."""
import json
import random
import threading
import time

import pytest

DDL = "(id BIGINT NOT NULL PRIMARY KEY, u VARCHAR(20) NULL, v INT, at TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), UNIQUE KEY k_u (u))"
TARGET = DDL.replace("(id", "(shard VARCHAR(20) NOT NULL, id", 1)
PROVENANCE = [{"column": "shard", "value": "${source}"}]
KEY = {"strategy": "error", "on-collision": "conflict-table", "provenance": PROVENANCE}
COLUMNS = "shard, id, u, v, at"


def make(scenario, shards=2, downstream="mariadb", flavor="mariadb", key=KEY, **options):
    s = scenario.make_plain({"t": DDL}, flavors=(flavor,) * shards, downstream=downstream, targets=False, **options)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {TARGET}")
    s.task["routes"]["r-t"]["key"] = key
    s.save()
    s.start()
    return s


def settle(s, number, *statements):
    s.shard_run(number, *statements)
    s.runner.wait_caught_up()


def listed(s):
    return json.loads(s.runner.verb("conflicts", "--json", "--show").stdout)["targets"][0]


def parked(s):
    name = s.downstream.value(f"SELECT parked_table FROM `{s.meta}`.sm_parked WHERE target_table = 't'")
    return sorted(s.downstream.query(f"SELECT shard, id, u, v FROM `{s.meta}`.`{name}`"), key=repr)


def row_of(s, shard, **values):
    found = [r for r in listed(s)["rows"] if r["source"] == shard and all(r["row"][k] == str(v) for k, v in values.items())]
    assert len(found) == 1, found
    return found[0]["id"]


def decide(s, what, id, *sets, yes=True, code=0):
    args = ["--decide", what, "--id", str(id)]
    for one in sets:
        args += ["--value", one]
    done = s.runner.verb("conflicts", *args, *(["--yes"] if yes else []))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def target(s):
    return sorted(s.rows("t", "shard, id, u, v"), key=repr)


def check_sound(s):
    """Every row of every shard is in one place, with its shard's values in what was not renamed; nobody is parked without reason."""
    s.runner.wait_caught_up(90)
    inside, outside = s.rows("t", COLUMNS), s.downstream.query(f"SELECT {COLUMNS} FROM `{s.meta}`.`{beside(s)}`")
    shards = sorted([(f"s{n.number}", v, at) for n in s.shards for v, at in n.server.query(f"SELECT v, at FROM `{n.schema}`.t")], key=repr)
    assert sorted([(r[0], r[3], r[4]) for r in inside + outside], key=repr) == shards, "a row is lost, doubled or changed"
    ids, names = {r[1] for r in inside}, {r[2].lower() for r in inside if r[2] is not None}
    for r in outside:
        assert r[1] in ids or (r[2] is not None and r[2].lower() in names), f"{r[:3]} waits for nothing"
    status = s.runner.status()
    assert next(t for t in status["targets"] if t["table"] == "t")["parked"] == len(outside)
    for source in status["sources"]:
        c = source["counters"]
        assert c["read"] == c["applied"] + c["filtered"] + c["missed"] + c["parked"] + c["loaded"] and c["missed"] == 0, c


def beside(s):
    return s.downstream.value(f"SELECT parked_table FROM `{s.meta}`.sm_parked WHERE target_table = 't'")


def in_force(s):
    return s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.`{beside(s).replace('sm_parked_', 'sm_decided_')}`")


@pytest.mark.parametrize("downstream,flavor", [("mariadb", "mariadb"), ("mysql", "mysql")])
def test_keep_holds_against_the_order(scenario, downstream, flavor):
    s = make(scenario, downstream=downstream, flavor=flavor)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    id = row_of(s, "s2", id=1)
    preview = decide(s, "keep", id, yes=False)
    assert "takes its keys" in preview and "with --yes it does" in preview and "leaves the target: a row of source s1" in preview, preview
    assert target(s) == [("s1", 1, "a", 10)] and in_force(s) == 0, "a preview changes nothing"
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_decision") == 0
    assert "done" in decide(s, "keep", id)
    assert target(s) == [("s2", 1, "b", 20)] and parked(s) == [("s1", 1, "a", 10)]
    n, what, by, moment = s.downstream.query(f"SELECT n, decision, decided_by, decided FROM `{s.meta}`.sm_decision")[0]
    assert (n, what) == (1, "keep") and by and moment
    assert "is parked beside it" in decide(s, "keep", id, code=2), "asked again: it is not parked any more"
    assert listed(s)["decisions"][0]["kept"] is True
    for _ in range(2):  # and once more behind a restart
        settle(s, 1, "UPDATE {s}.t SET v = v + 1")
        settle(s, 2, "UPDATE {s}.t SET v = v + 1")
        check_sound(s)
        assert [r[0] for r in target(s)] == ["s2"]
        s.runner.kill9()
        s.start()
        s.runner.wait_caught_up()
    settle(s, 1, "UPDATE {s}.t SET u = 'b'", "UPDATE {s}.t SET id = 7")  # loses by the other key now
    check_sound(s)
    assert [r[0] for r in target(s)] == ["s2"]
    settle(s, 2, "UPDATE {s}.t SET id = 8")  # the decision follows the row
    settle(s, 1, "UPDATE {s}.t SET id = 8, u = 'z'")
    check_sound(s)
    assert target(s) == [("s2", 8, "b", 22)] and in_force(s) == 2
    settle(s, 2, "DELETE FROM {s}.t")  # ends it
    check_sound(s)
    assert [r[0] for r in target(s)] == ["s1"] and in_force(s) == 0
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (8, 'b', 1)")  # another row with the same keys
    check_sound(s)
    assert [r[0] for r in target(s)] == ["s1"]
    s.runner.stop()


def test_further_claimants_lose_against_a_kept_row(scenario):
    s = make(scenario, shards=3)
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 20)")
    settle(s, 3, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'c', 30)")
    decide(s, "keep", row_of(s, "s3", id=1))
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'x', 10), (2, 'c', 11)")
    check_sound(s)
    assert target(s) == [("s3", 1, "c", 30)] and len(parked(s)) == 3
    # s2 is kept against s3 by swap alone
    two = row_of(s, "s2", id=1)
    assert "decision 1 keeps the row in its place" in decide(s, "keep", two, code=2)
    assert "decision 1, which kept the row in its place, ends" in decide(s, "swap", two)
    check_sound(s)
    assert sorted(target(s)) == [("s1", 2, "c", 11), ("s2", 1, "a", 20)], "s3 leaves, s1 takes its other key"
    assert [d["source"] for d in listed(s)["decisions"]] == ["s2"]
    number = listed(s)["decisions"][0]["decision"]
    assert "decision 2 ends" in decide(s, "undo", number)
    check_sound(s)
    assert sorted(target(s)) == [("s1", 1, "x", 10), ("s1", 2, "c", 11)] and in_force(s) == 0
    assert "not in force" in decide(s, "undo", number, code=2)
    s.runner.stop()


def test_a_row_that_loses_by_one_key_and_wins_by_another(scenario):
    s = make(scenario, shards=3)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    settle(s, 3, "INSERT INTO {s}.t (id, u, v) VALUES (3, 'b', 30)")
    assert target(s) == [("s1", 1, "a", 10), ("s3", 3, "b", 30)]
    preview = decide(s, "keep", row_of(s, "s2", id=1), yes=False)
    assert "source s1" in preview and "source s3" in preview, preview
    decide(s, "keep", row_of(s, "s2", id=1))
    check_sound(s)
    assert target(s) == [("s2", 1, "b", 20)] and len(parked(s)) == 2
    settle(s, 2, "UPDATE {s}.t SET u = 'q'")
    check_sound(s)
    assert target(s) == [("s2", 1, "q", 20), ("s3", 3, "b", 30)]
    s.runner.stop()


@pytest.mark.parametrize("downstream,flavor,options", [("mariadb", "mariadb", {}), ("mysql", "mysql", {}), ("mariadb", "mariadb", {"server_options": {"binlog_row_image": "MINIMAL"}})])
def test_rename_holds_for_later_changes(scenario, downstream, flavor, options):
    s = make(scenario, downstream=downstream, flavor=flavor, **options)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10), (5, 'five', 11)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20), (2, 'c', 21)")
    id = row_of(s, "s2", id=1)
    for sets, words in ([["id=5"], "the value is taken"], [["id=2"], "the value is taken"], [["id=1"], "the value is taken"], [["v=5"], "cannot be renamed"], [["shard=x"], "cannot be renamed"],
                        [["id=1.5"], ""], [["id=x"], ""], [["id=007"], "stored as another"], [[], "no column is named"], [["id=9", "id=10"], "named twice"], [["u=free"], "key `PRIMARY` is taken, too"], [["nonsense"], "COLUMN=VALUE"]):
        args = [x for one in sets for x in ("--value", one)]
        refused = s.runner.verb("conflicts", "--decide", "rename", "--id", str(id), *args, "--yes")
        assert refused.returncode > 1 and words in refused.stderr, refused.stderr
    assert in_force(s) == 0
    preview = decide(s, "rename", id, "id=1001", yes=False)
    assert "column id is written as 1001" in preview, preview
    decide(s, "rename", id, "id=1001")
    check_sound(s)
    assert target(s) == [("s1", 1, "a", 10), ("s1", 5, "five", 11), ("s2", 1001, "b", 20), ("s2", 2, "c", 21)] and not parked(s)
    settle(s, 2, "UPDATE {s}.t SET v = 22 WHERE id = 1")
    settle(s, 2, "UPDATE {s}.t SET u = 'd' WHERE id = 1")
    check_sound(s)
    assert ("s2", 1001, "d", 22) in target(s) and ("s1", 1, "a", 10) in target(s)
    s.runner.kill9()
    s.start()
    settle(s, 2, "UPDATE {s}.t SET v = 23 WHERE id = 1")
    settle(s, 1, "DELETE FROM {s}.t WHERE id = 1")  # its own key is free: it stays renamed
    check_sound(s)
    assert ("s2", 1001, "d", 23) in target(s)
    settle(s, 2, "UPDATE {s}.t SET u = 'five' WHERE id = 1")  # loses by its other key, keeps its new one
    check_sound(s)
    assert parked(s) == [("s2", 1001, "five", 23)]
    settle(s, 2, "UPDATE {s}.t SET u = 'e' WHERE id = 1")
    check_sound(s)
    assert ("s2", 1001, "e", 23) in target(s)
    settle(s, 2, "UPDATE {s}.t SET id = 77 WHERE id = 1")  # the shard renames it itself
    check_sound(s)
    assert ("s2", 77, "e", 23) in target(s) and in_force(s) == 0
    settle(s, 2, "DELETE FROM {s}.t WHERE id = 77")
    check_sound(s)
    assert target(s) == [("s1", 5, "five", 11), ("s2", 2, "c", 21)]
    s.runner.stop()


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_the_shard_uses_the_new_value_itself(scenario, downstream):
    """A renamed row and a row of the same shard with that very key are two rows: no statement meets the wrong one."""
    s = make(scenario, downstream=downstream)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    decide(s, "rename", row_of(s, "s2", id=1), "id=1001")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1001, 'n', 40)")  # has it: the renamed one waits
    check_sound(s)
    assert target(s) == [("s1", 1, "a", 10), ("s2", 1001, "n", 40)] and parked(s) == [("s2", 1001, "b", 20)]
    settle(s, 2, "UPDATE {s}.t SET v = 41 WHERE id = 1001", "UPDATE {s}.t SET v = 21 WHERE id = 1")
    check_sound(s)
    assert target(s) == [("s1", 1, "a", 10), ("s2", 1001, "n", 41)] and parked(s) == [("s2", 1001, "b", 21)]
    settle(s, 2, "DELETE FROM {s}.t WHERE id = 1001")
    check_sound(s)
    assert target(s) == [("s1", 1, "a", 10), ("s2", 1001, "b", 21)]
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1001, 'one', 50)")  # another shard takes it: the native one is parked, and is not the renamed one
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1001, 'n', 42)")
    check_sound(s)
    settle(s, 2, "UPDATE {s}.t SET v = 43 WHERE id = 1001", "UPDATE {s}.t SET v = 22 WHERE id = 1")
    check_sound(s)
    assert parked(s) == [("s2", 1001, "b", 22), ("s2", 1001, "n", 43)]
    settle(s, 2, "BEGIN", "DELETE FROM {s}.t WHERE id = 1", "INSERT INTO {s}.t (id, u, v) VALUES (1, 'fresh', 1)", "COMMIT")
    check_sound(s)
    assert parked(s) == [("s2", 1, "fresh", 1), ("s2", 1001, "n", 43)] and in_force(s) == 0
    s.runner.stop()


def test_undo_of_a_rename(scenario):
    s = make(scenario)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 20)")
    assert "key `k_u` is taken, too" in decide(s, "rename", row_of(s, "s2", id=1), "id=9", code=2)
    decide(s, "rename", row_of(s, "s2", id=1), "id=9", "u=nine")
    assert target(s) == [("s1", 1, "a", 10), ("s2", 9, "nine", 20)]
    settle(s, 2, "UPDATE {s}.t SET u = 'own' WHERE id = 1")  # one of two renamed columns is the shard's again
    assert target(s) == [("s1", 1, "a", 10), ("s2", 9, "own", 20)] and in_force(s) == 2
    decide(s, "undo", 1)
    check_sound(s)
    assert target(s) == [("s1", 1, "a", 10)] and parked(s) == [("s2", 1, "own", 20)] and in_force(s) == 0
    decide(s, "keep", row_of(s, "s2", id=1))
    assert target(s) == [("s2", 1, "own", 20)] and parked(s) == [("s1", 1, "a", 10)]
    check_sound(s)
    s.runner.stop()


def test_keep_under_keep_newest(scenario):
    s = make(scenario, key={**KEY, "on-collision": "keep-newest", "collision-column": "at"})
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    assert [r[0] for r in target(s)] == ["s2"]
    decide(s, "keep", row_of(s, "s1", id=1))
    settle(s, 2, "UPDATE {s}.t SET v = 21")  # newer, and stays out
    check_sound(s)
    assert target(s) == [("s1", 1, "a", 10)]
    decide(s, "undo", 1)
    check_sound(s)
    assert target(s) == [("s2", 1, "b", 21)]
    s.runner.stop()


@pytest.mark.parametrize("what,point", [("keep", "parked.put_out"), ("keep", "decision.before_commit"), ("keep", "decision.after_commit"), ("rename", "decision.before_commit"), ("rename", "decision.after_commit"), ("rename", "decision.row_locked")])
@pytest.mark.parametrize("action", ["kill", "error"])
def test_a_decision_is_made_once(scenario, point, action, what):
    s = make(scenario, shards=2)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    id = row_of(s, "s2", id=1)
    s.runner.stop()
    s.start(faults=f"{point}={action}@1")
    s.runner.wait_caught_up()
    sets = ["--value", "id=9"] if what == "rename" else []
    done = s.runner.verb("conflicts", "--decide", what, "--id", str(id), *sets, "--yes")
    if action == "kill":
        assert done.returncode != 0 and s.runner.wait_exit() == -9
        s.start()
        s.runner.wait_caught_up()
        made = s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_decision")
        assert made == (1 if point == "decision.after_commit" else 0)
        if not made:
            assert in_force(s) == 0 and target(s) == [("s1", 1, "a", 10)], "nothing of it is there"
            done = s.runner.verb("conflicts", "--decide", what, "--id", str(id), *sets, "--yes")
            assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 0, done.stderr
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_decision") == 1 and in_force(s) == 2
    assert s.runner.verb("conflicts", "--decide", what, "--id", str(id), *sets, "--yes").returncode == 2, "asked again"
    settle(s, 1, "UPDATE {s}.t SET v = v + 1")
    settle(s, 2, "UPDATE {s}.t SET v = v + 1")
    check_sound(s)
    assert target(s) == ([("s2", 1, "b", 21)] if what == "keep" else [("s1", 1, "a", 11), ("s2", 9, "b", 21)])
    s.runner.stop()


def churn(s, number, rng, keys, stop):
    shard = s.shards[number - 1]
    conn = shard.server.connect()
    with conn.cursor() as cur:
        while not stop.is_set():
            cur.execute("BEGIN")
            for _ in range(rng.choice([1, 1, 2, 5])):
                i, u, v = rng.randrange(keys), rng.choice([None, *(f"k{n}" for n in range(keys))]), rng.randrange(10**6)
                statement, args = rng.choice([
                    (f"INSERT IGNORE INTO `{shard.schema}`.t (id, u, v) VALUES (%s, %s, %s)", (i, u, v)),
                    (f"INSERT IGNORE INTO `{shard.schema}`.t (id, u, v) VALUES (%s, %s, %s)", (i, u, v)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET v = %s WHERE id = %s", (v, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET v = %s WHERE id = %s", (v, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET u = %s WHERE id = %s", (u, i)),
                    (f"UPDATE IGNORE `{shard.schema}`.t SET id = %s WHERE id = %s", (rng.randrange(keys), i)),
                    (f"DELETE FROM `{shard.schema}`.t WHERE id = %s", (i,)),
                ])
                cur.execute(statement, args)
            cur.execute(rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
            time.sleep(rng.random() * 0.01)
    conn.close()


@pytest.mark.parametrize("downstream,shards,kill", [("mariadb", 2, False), ("mariadb", 3, True), ("mysql", 2, True)])
def test_random_decisions_among_random_changes(scenario, downstream, shards, kill):
    """Decisions come while the shards go on, some renaming to keys that the shards use themselves; killed in between. Then every row is in one place."""
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    s = make(scenario, shards=shards, downstream=downstream)
    keys, stop, made = 14, threading.Event(), {"keep": 0, "swap": 0, "rename": 0, "undo": 0}
    threads = [threading.Thread(target=churn, args=(s, n.number, random.Random(f"{seed}-{n.number}"), keys, stop)) for n in s.shards]
    for t in threads:
        t.start()
    try:
        begun = time.monotonic()
        while (took := time.monotonic() - begun) < 25 or took < 90 and not (made["keep"] + made["swap"] and made["rename"]):
            if kill and rng.random() < 0.1:
                s.runner.kill9()
                s.start(faults=rng.choice(["", "decision.after_commit=kill@3", "decision.before_commit=kill@2", "parked.put_out=kill@40"]))
                continue
            if not s.runner.running:
                s.start()
            listing = s.runner.verb("conflicts", "--json", "--show")
            found = json.loads(listing.stdout)["targets"] if listing.returncode in (0, 1) else []
            if not found:
                continue
            what = rng.choice(["keep", "swap", "rename", "rename", "undo"])
            among = found[0]["decisions"] if what == "undo" else found[0]["rows"]
            if not among:
                continue
            one = rng.choice(among)
            args = ["--decide", what, "--id", str(one["decision"] if what == "undo" else one["id"])]
            if what == "rename":
                args += ["--value", f"id={rng.choice([rng.randrange(keys), 100 + rng.randrange(keys)])}", "--value", f"u=x{rng.randrange(10**6)}"]
            done = s.runner.verb("conflicts", *args, "--yes")
            made[what] += done.returncode == 0
    finally:
        stop.set()
        for t in threads:
            t.join()
    print("made", made)
    s.runner.kill9() if s.runner.running else None
    s.start()
    check_sound(s)
    assert made["keep"] + made["swap"] > 0 and made["rename"] > 0, made
    for d in listed(s)["decisions"]:
        decide(s, "undo", d["decision"])
    assert in_force(s) == 0
    check_sound(s)
    inside, ids, names = [], set(), set()  # without decisions the order of the shards says it all
    for shard in s.shards:
        mine = [(f"s{shard.number}", *r) for r in shard.server.query(f"SELECT id, u, v FROM `{shard.schema}`.t")]
        wins = [r for r in mine if r[1] not in ids and (r[2] is None or r[2] not in names)]
        inside += wins
        ids |= {r[1] for r in wins}
        names |= {r[2] for r in wins if r[2] is not None}
    assert target(s) == sorted(inside, key=repr)
    s.runner.stop()


@pytest.mark.parametrize("strategy", [{"strategy": "stride", "shards": 4}, {"strategy": "remap"}])
def test_rows_with_rewritten_ids(scenario, strategy):
    """Ids never meet, names do: decided rows are found by the ids that are written."""
    s = scenario.make_plain({"t": DDL}, targets=False)
    s.task["routes"]["r-t"]["key"] = {**KEY, **strategy}
    s.save()
    s.start()
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (5, 'x', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (5, 'x', 20)")
    assert [r[0] for r in target(s)] == ["s1"] and len(parked(s)) == 1
    for sets in (["id=999", "u=y"], ["u=y", "ID=999"]):
        refused = decide(s, "rename", listed(s)["rows"][0]["id"], *sets, code=2)
        assert "cannot be renamed" in refused and "key strategy" in refused and "rename another column" in refused, refused
    assert in_force(s) == 0
    decide(s, "rename", listed(s)["rows"][0]["id"], "u=y")
    settle(s, 2, "UPDATE {s}.t SET v = 21")
    settle(s, 2, "UPDATE {s}.t SET id = 6")
    check_sound(s)
    assert [(r[0], *r[2:]) for r in target(s)] == [("s1", "x", 10), ("s2", "y", 21)] and not parked(s)
    settle(s, 1, "UPDATE {s}.t SET u = 'z'")
    decide(s, "undo", 1)
    check_sound(s)
    assert [(r[0], *r[2:]) for r in target(s)] == [("s1", "z", 10), ("s2", "x", 21)]
    settle(s, 1, "UPDATE {s}.t SET u = 'x'")
    decide(s, "keep", listed(s)["rows"][0]["id"])
    settle(s, 2, "UPDATE {s}.t SET id = 9, v = 22")
    settle(s, 1, "UPDATE {s}.t SET id = 8, v = 11")
    check_sound(s)
    assert [(r[0], *r[2:]) for r in target(s)] == [("s2", "x", 22)] and [(r[0], *r[2:]) for r in parked(s)] == [("s1", "x", 11)]
    settle(s, 2, "DELETE FROM {s}.t")
    check_sound(s)
    assert [r[0] for r in target(s)] == ["s1"] and in_force(s) == 0
    s.runner.stop()


def waiting(s):
    """Transactions of the downstream that wait for a row beside the target."""
    number = beside(s).removeprefix("sm_parked_")
    return s.downstream.value("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE %s", (f"%{number}%",))


def wait_until(condition, what, timeout=40):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"{what}: not after {timeout} s"
        time.sleep(0.3)  # who asks for INNODB_TRX more often than ten times a second gets the same answer for ever


def test_a_change_that_waits_for_a_decision(scenario):
    """It looked for decisions before there was one, and stood at the row's lock until the row was somewhere else."""
    s = make(scenario)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    id = row_of(s, "s2", id=1)
    holder = s.downstream.connect()
    done = []
    with holder.cursor() as cur:
        cur.execute("BEGIN")
        cur.execute(f"SELECT sm_id FROM `{s.meta}`.`{beside(s)}` WHERE sm_id = {id} FOR UPDATE")
        thread = threading.Thread(target=lambda: done.append(s.runner.verb("conflicts", "--decide", "rename", "--id", str(id), "--value", "id=9", "--yes")))
        thread.start()
        wait_until(lambda: waiting(s) == 1, "the decision waits for the row")
        s.shard_run(2, "UPDATE {s}.t SET v = 21")
        wait_until(lambda: waiting(s) == 2, "the shard's change waits behind it")
        assert not done
        cur.execute("ROLLBACK")
    thread.join()
    holder.close()
    assert done[0].returncode == 0, done[0].stderr
    check_sound(s)
    assert target(s) == [("s1", 1, "a", 10), ("s2", 9, "b", 21)]
    s.runner.stop()


def test_a_preview_and_a_refusal_cost_the_appliers_nothing(scenario):
    s = make(scenario)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    decide(s, "keep", row_of(s, "s2", id=1), yes=False)
    decide(s, "rename", row_of(s, "s2", id=1), "id=1", code=2)
    decided = beside(s).replace("sm_parked_", "sm_decided_")
    s.downstream.run(f"RENAME TABLE `{s.meta}`.`{decided}` TO `{s.meta}`.away")  # whoever looks for decisions now fails
    settle(s, 1, "UPDATE {s}.t SET v = 11")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (2, 'c', 21)")
    s.downstream.run(f"RENAME TABLE `{s.meta}`.away TO `{s.meta}`.`{decided}`")
    check_sound(s)
    s.runner.stop()


def test_no_number_is_given_twice(scenario):
    """Also when the clock was ahead once, and what had a number then has gone."""
    s = make(scenario)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    s.runner.stop()
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET sm_id = sm_id + 1000000000000000")
    s.start()
    s.runner.wait_caught_up()
    last = row_of(s, "s2", id=1)
    settle(s, 2, "DELETE FROM {s}.t")
    s.runner.kill9()
    s.start()
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    assert row_of(s, "s2", id=1) > last > 10**15
    check_sound(s)
    s.runner.stop()


def test_what_is_asked_wrongly(scenario):
    s = make(scenario)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    id = row_of(s, "s2", id=1)
    assert "no such decision" in decide(s, "release", id, code=2)
    assert "no row 999 is parked" in decide(s, "keep", 999, code=2)
    assert "--value goes with --decide rename alone" in decide(s, "keep", id, "id=4", code=2)
    assert "is missing" in s.runner.verb("conflicts", "--decide", "keep", "--yes").stderr
    assert "no target a.b parks" in s.runner.verb("conflicts", "--decide", "keep", "--id", str(id), "--target", "a.b").stderr
    done = s.runner.verb("conflicts", "--decide", "keep", "--id", str(id), "--target", f"{s.target}.t", "--json")
    assert done.returncode == 0 and "takes its keys" in json.loads(done.stdout)["words"]
    s.runner.stop()
    assert s.runner.verb("conflicts", "--decide", "keep", "--id", str(id), "--yes").returncode != 0, "nobody runs the task"
