"""The key strategy remap: new ids by a durable map, in the copy and in the stream, with references, over kills."""
import json
import random
import threading
import time
from collections import Counter

import pytest

from harness.keys import copy_while_changing, map_of

DDL = {"t": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, parent INT NULL, name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, KEY (parent))"}
SELF = {"strategy": "remap", "references": [{"column": "parent", "table": "t"}]}
REMAP = {"strategy": "remap"}


def make(scenario, keys, ddl=None, full=False, **kw):
    """keys: table → key map, or one for all tables. full: existing rows are copied, and the stream goes on from there."""
    task = {**({"task-mode": "all", "load": {"chunk-rows": 200}} if full else {}), **kw.pop("task", {})}
    s = scenario.make_plain(ddl or DDL, targets=kw.pop("targets", False), task=task, **kw)
    for rule in s.task["routes"].values():
        key = keys.get(rule["target-table"]) if "strategy" not in keys else keys
        if key:
            rule["key"] = key
    if full:
        for instance in s.task["mysql-instances"]:
            instance.pop("meta", None)
    s.save()
    return s


def shard_rows(s, table="t", columns="id, parent, name"):
    for shard in s.shards:
        for row in shard.server.query(f"SELECT {columns} FROM `{shard.schema}`.`{table}`"):
            yield f"s{shard.number}", row


def expected(s, ids: dict[int, dict], table="t", columns="id, parent, name", plain_zero=()):
    """The shards' rows, joined with the maps. ids: position of the column → map."""
    out = []
    for source, row in shard_rows(s, table, columns):
        out.append(tuple(v if i not in ids or v is None or (v == 0 and i in plain_zero) else ids[i][source, v] for i, v in enumerate(row)))
    return sorted(out, key=repr)


def check(s, table="t"):
    m = map_of(s, table)
    want, got = expected(s, {0: m, 1: m}, table), sorted(s.rows(table, "id, parent, name"), key=repr)
    assert got == want, (len(got), len(want), [r for r in got if r not in want][:5], [r for r in want if r not in got][:5])
    return m


def write(s, number):
    s.shard_run(number,
                "INSERT INTO {s}.t (id, parent, name) VALUES (2, 1, 'b'), (3, 2, 'c'), (1, NULL, 'a'), (4, 3, 'd')",
                "UPDATE {s}.t SET name = CONCAT(name, '!') WHERE id IN (1, 3)",
                "DELETE FROM {s}.t WHERE id = 2",
                "UPDATE {s}.t SET id = 9, parent = 4 WHERE id = 3",
                "BEGIN", "INSERT INTO {s}.t (id, name) VALUES (7, 'gone')", "DELETE FROM {s}.t WHERE id = 7", "COMMIT")


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
@pytest.mark.parametrize("flavors", [("mariadb", "mariadb", "mariadb"), ("mysql", "mariadb")])
def test_stream(scenario, flavors, downstream):
    s = make(scenario, SELF, flavors=flavors, downstream=downstream)
    s.start()
    numbers = range(1, len(flavors) + 1)
    for number in numbers:
        write(s, number)
    s.runner.wait_caught_up()
    before = check(s)
    assert len(s.rows("t")) == 3 * len(flavors) and {old for _, old in before} == {1, 2, 3, 4, 7, 9}
    s.runner.kill9()
    s.start()
    for number in numbers:
        s.shard_run(number, "DELETE FROM {s}.t WHERE id = 4", "INSERT INTO {s}.t VALUES (4, 9, 'again'), (10, 4, 'new'), (2, NULL, 'back')",
                    "UPDATE {s}.t SET name = 'A' WHERE id = 1")
    s.runner.wait_caught_up()
    after = check(s)
    assert {k: v for k, v in after.items() if k in before} == before, "an id keeps its new one"
    assert len(after) == len(before) + len(flavors)
    s.runner.stop()


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
@pytest.mark.parametrize("flavors", [("mariadb", "mariadb"), ("mysql", "mysql")])
@pytest.mark.parametrize("kill", [False, True])
def test_copy_and_stream_agree(scenario, flavors, downstream, kill):
    s = make(scenario, SELF, full=True, flavors=flavors, downstream=downstream)
    copy_while_changing(s, kills=2 if kill else 0)
    check(s)
    s.runner.stop()


def test_only_existing_rows(scenario):
    s = make(scenario, SELF, full=True)
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t (id, parent, name) VALUES " +
                    ",".join(f"({i * number}, {(i - 1) * number if i > 1 else 'NULL'}, 'n{i}')" for i in range(1, 2001)))
    s.start(until="caught-up")
    assert s.runner.wait_exit(120) == 0
    m = check(s)
    assert sorted(m.values()) == list(range(1, 4001)), "no number is left out where nothing failed"


FAMILY = {
    "orders": "(id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, prev_id INT UNSIGNED NULL, first_item INT NULL)",
    "items": "(order_id INT UNSIGNED NOT NULL, id INT NOT NULL, what VARCHAR(20), PRIMARY KEY (order_id, id), KEY (id))",
    "parts": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id INT UNSIGNED NULL, item_id INT NULL, KEY (order_id, item_id))",
    "notes": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, about INT UNSIGNED NOT NULL DEFAULT 0)",
}
FAMILY_KEYS = {
    "orders": {"strategy": "remap", "references": [{"column": "prev_id", "table": "orders"}, {"column": "first_item", "table": "items"}]},
    "items": {"strategy": "remap", "column": "id"},
    "parts": REMAP,
    "notes": {"strategy": "remap", "references": [{"column": "about", "table": "orders"}]},
}


def check_family(s):
    maps = {t: map_of(s, t) for t in FAMILY}
    o, i = maps["orders"], maps["items"]
    for table, columns, ids, zero in (("orders", "id, prev_id, first_item", {0: o, 1: o, 2: i}, (2,)), ("items", "order_id, id, what", {0: o, 1: i}, ()),
                                      ("parts", "id, order_id, item_id", {0: maps["parts"], 1: o, 2: i}, ()),
                                      ("notes", "id, about", {0: maps["notes"], 1: o}, (1,))):
        want, got = expected(s, ids, table, columns, zero), sorted(s.rows(table, columns), key=repr)
        assert got == want, (table, got, want)
    return maps


def make_family(scenario, **kw):
    s = make(scenario, FAMILY_KEYS, ddl=FAMILY, **kw)
    for shard in s.shards:
        shard.server.run(f"ALTER TABLE `{shard.schema}`.items ADD CONSTRAINT fk1 FOREIGN KEY (order_id) REFERENCES orders (id)",
                         f"ALTER TABLE `{shard.schema}`.parts ADD CONSTRAINT fk2 FOREIGN KEY (order_id, item_id) REFERENCES items (order_id, id)")
        if "meta" in s.instance(shard.number):
            s.instance(shard.number)["meta"] = s.start_point(shard.server, True)
    s.save()
    return s


@pytest.mark.parametrize("flavors", [("mariadb", "mariadb"), ("mysql", "mysql")])
def test_references(scenario, flavors):
    """By foreign key and by rule: a child before its parent, an UPDATE of the key, a self-reference, a circle of tables, a
    composite one, 0 as "none", a reference to a row that never comes."""
    s = make_family(scenario, flavors=flavors)
    s.start()
    for number in (1, 2):
        s.shard_run(number, "SET foreign_key_checks = 0",
                    "INSERT INTO {s}.parts (id, order_id, item_id) VALUES (1, 3, 5), (2, NULL, 5), (3, 77, 88)",
                    "INSERT INTO {s}.notes (id, about) VALUES (1, 3), (2, 0), (3, 1)",
                    "INSERT INTO {s}.items (order_id, id, what) VALUES (3, 5, 'pen'), (3, 6, 'ink')",
                    "INSERT INTO {s}.orders (id, prev_id, first_item) VALUES (3, 3, 5), (1, NULL, NULL), (8, 1, 0)",
                    "UPDATE {s}.items SET order_id = 1 WHERE id = 5", "UPDATE {s}.parts SET order_id = 1 WHERE id = 1",
                    "UPDATE {s}.orders SET id = 20, prev_id = 20 WHERE id = 3", "UPDATE {s}.items SET order_id = 20 WHERE order_id = 3",
                    "UPDATE {s}.notes SET about = 20 WHERE id = 1", "DELETE FROM {s}.orders WHERE id = 8")
    s.runner.wait_caught_up()
    maps = check_family(s)
    assert ("s1", 77) in maps["orders"] and ("s2", 88) in maps["items"], "what is only referred to has its id already"
    s.runner.kill9()
    s.start()
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.orders (id) VALUES (8), (77)", "INSERT INTO {s}.items (order_id, id, what) VALUES (77, 88, 'late')")
    s.runner.wait_caught_up()
    after = check_family(s)
    assert all(after[t].items() >= maps[t].items() for t in FAMILY)
    assert s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.parts p JOIN `{s.target}`.items i ON i.order_id = p.order_id AND i.id = p.item_id "
                              f"WHERE i.what = 'late'") == [(2,)]


def family_writer(s, number, rng, stop):
    shard = s.shards[number - 1]
    run = shard.server.run
    while not stop.is_set():
        o, i, p = rng.randrange(1, 40), rng.randrange(1, 60), rng.randrange(1, 400)
        with_checks_off = [rng.choice([
            f"INSERT IGNORE INTO `{shard.schema}`.orders VALUES ({o}, {rng.choice(['NULL', o, 1])}, {rng.choice([0, 'NULL', i])})",
            f"INSERT IGNORE INTO `{shard.schema}`.items VALUES ({o}, {i}, 'w{p}')", f"DELETE FROM `{shard.schema}`.orders WHERE id = {o}",
            f"INSERT IGNORE INTO `{shard.schema}`.parts VALUES ({p}, {o}, {i})", f"UPDATE IGNORE `{shard.schema}`.items SET order_id = {o} WHERE id = {i}",
            f"DELETE FROM `{shard.schema}`.items WHERE id = {i}", f"UPDATE IGNORE `{shard.schema}`.orders SET id = {rng.randrange(1, 40)} WHERE id = {o}",
            f"INSERT IGNORE INTO `{shard.schema}`.notes VALUES ({p}, {rng.choice([0, o])})"]) for _ in range(rng.randrange(1, 6))]
        run("SET foreign_key_checks = 0", "BEGIN", *with_checks_off, "COMMIT")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mode", ["incremental", "all"])
def test_random_family(scenario, seed, mode):
    """Random changes among few ids by both shards, eight appliers that meet the same new ids at once, kills between. Some
    INSERTs are refused by the shard's keys and are not logged. In `items` an id is not unique: the map has it once."""
    s = make_family(scenario, full=mode == "all")
    s.task["syncers"]["global"]["worker-count"] = 8
    s.save()
    stop = threading.Event()
    threads = [threading.Thread(target=family_writer, args=(s, n, random.Random(seed * 10 + n), stop)) for n in (1, 2)]
    s.start()
    for t in threads:
        t.start()
    try:
        for _ in range(3):
            stop.wait(1.5)
            s.runner.kill9()
            s.start()
        stop.wait(1)
    finally:
        stop.set()
        for t in threads:
            t.join()
    s.runner.wait_caught_up(120)
    check_family(s)
    s.runner.stop()


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("point", ["remap.made@1", "remap.before_commit@1", "remap.before_commit@3", "remap.after_commit@2", "remap.after_commit@4",
                                   "apply.begin@2", "apply.after_rows@2", "apply.before_commit@1", "apply.after_commit@2"])
def test_every_step_may_be_the_last(scenario, point, action, downstream):
    name, passage = point.split("@")
    s = make(scenario, SELF, downstream=downstream)
    s.start(faults=f"{name}={action}@{passage}")
    for number in (1, 2):
        for first in range(0, 60, 20):
            s.shard_run(number, "INSERT INTO {s}.t (id, parent, name) VALUES " + ",".join(f"({first + i}, {first + i + 7}, 'v{i}')" for i in range(1, 21)))
    more = 100
    while action == "kill" and s.runner.running and more < 400:  # until the passage has come
        s.shard_run(2, f"INSERT INTO {{s}}.t (id, parent, name) VALUES ({more}, {more + 200}, 'more')")
        more += 1
        time.sleep(0.1)
    if action == "kill":
        assert s.runner.wait_exit(60) == -9
        s.start()
    s.shard_run(1, "UPDATE {s}.t SET id = id + 1000 WHERE id <= 5", "DELETE FROM {s}.t WHERE id BETWEEN 10 AND 20")
    s.runner.wait_caught_up(90)
    m = check(s)
    assert sorted(m.values()) == list(range(1, len(m) + 1)), "what did not commit gave no number away"
    s.runner.stop()


def test_a_replaced_process_gives_no_numbers(scenario):
    """The epoch in sm_remap fences: a process of an older epoch cannot allocate any more."""
    s = make(scenario, SELF)
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, NULL, 'a')")
    s.runner.wait_caught_up()
    s.downstream.run(f"UPDATE `{s.meta}`.sm_remap SET epoch = epoch + 1000")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 1, 'b')")
    assert s.runner.wait_exit(60) not in (0, -9)
    assert "epoch" in s.runner.log() and len(s.rows("t")) == 1 and len(map_of(s)) == 1


def test_a_lost_connection_is_nothing(scenario):
    s = make(scenario, SELF)
    s.start()
    for i in range(1, 40):
        s.shard_run(1 + i % 2, f"INSERT INTO {{s}}.t VALUES ({i}, {i + 1}, 'x')")
        if i % 10 == 0:
            for (pid,) in s.downstream.query("SELECT id FROM information_schema.PROCESSLIST WHERE db IS NULL AND id <> CONNECTION_ID() "
                                             f"AND user = '{s.task['target-database']['user']}'"):
                try:
                    s.downstream.run(f"KILL {pid}")
                except Exception:  # it has ended by itself
                    pass
    s.runner.wait_caught_up()
    check(s)


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_ids_of_every_size(scenario, downstream):
    """Negative, 0 and the highest unsigned one; each is an id like any other."""
    ddl = {"u": "(id BIGINT UNSIGNED NOT NULL PRIMARY KEY, v INT)", "i": "(id BIGINT NOT NULL PRIMARY KEY, v INT)",
           "y": "(id TINYINT NOT NULL PRIMARY KEY, v INT)"}
    s = make(scenario, REMAP, ddl=ddl, downstream=downstream)
    s.start()
    ids = {"u": [0, 1, 2**63 - 1, 2**63, 2**64 - 1], "i": [-2**63, -1, 0, 1, 2**63 - 1], "y": [-128, -1, 0, 127]}
    for number in (1, 2):
        s.shard_run(number, "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", *(f"INSERT INTO {{s}}.{t} VALUES ({i}, {n})" for t in ids for n, i in enumerate(ids[t])),
                    *(f"UPDATE {{s}}.{t} SET v = v + 10 WHERE id = {i}" for t in ids for i in ids[t][1:]))
    s.runner.wait_caught_up()
    for t in ids:
        m = map_of(s, t)
        assert {old for _, old in m} == set(ids[t]) and len(m) == 2 * len(ids[t])
        assert sorted(s.rows(t)) == expected(s, {0: m}, t, "id, v") or sorted(s.rows(t)) == sorted(expected(s, {0: m}, t, "id, v"))
    s.runner.kill9()
    s.start()
    for t in ids:
        s.shard_run(2, *(f"DELETE FROM {{s}}.{t} WHERE id = {i}" for i in ids[t]))
    s.runner.wait_caught_up()
    assert [len(s.rows(t)) for t in ids] == [5, 5, 4]


def test_a_full_column_stops_and_goes_on_when_it_is_wider(scenario):
    ddl = {"t": "(id INT NOT NULL PRIMARY KEY, parent INT NULL, name VARCHAR(20))"}
    s = make(scenario, SELF, ddl=ddl)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id TINYINT UNSIGNED NOT NULL PRIMARY KEY, parent INT NULL, name VARCHAR(20))")
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t (id, name) VALUES " + ",".join(f"({i}, 'x')" for i in range(1, 201)))
    s.runner.wait_caught_up()
    s.shard_run(2, "INSERT INTO {s}.t (id, name) VALUES " + ",".join(f"({i}, 'x')" for i in range(1, 101)))
    error = s.runner.wait_error("s2", "KEY_RANGE")
    assert "`id`" in error["message"] and "255" in error["message"] and "BIGINT" in error["remedy"], error
    s.shard_run(1, "UPDATE {s}.t SET name = 'y' WHERE id = 3")
    s.runner.wait_for("the other source to go on", lambda _: "y" in [r[2] for r in s.rows("t")])
    assert len(s.rows("t")) == 200
    s.runner.stop()
    s.downstream.run(f"ALTER TABLE `{s.target}`.t MODIFY id BIGINT NOT NULL")
    s.start()
    s.runner.wait_caught_up()
    check(s)


def test_ids_that_are_no_integers_are_refused(scenario):
    s = make(scenario, {"strategy": "remap", "column": "id"}, ddl={"t": "(id CHAR(36) NOT NULL PRIMARY KEY, v INT)"})
    done = s.runner.verb("route")
    assert done.returncode != 0 and "only plain integer columns" in done.stdout + done.stderr, done.stdout + done.stderr
    s.start()
    assert s.runner.wait_exit() != 0
    assert "only plain integer columns" in s.runner.log()


def test_a_target_that_does_not_fit_is_refused(scenario):
    s = make(scenario, SELF)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id VARCHAR(20) NOT NULL PRIMARY KEY, parent INT NULL, name VARCHAR(20))")
    done = s.runner.verb("check")
    out = done.stdout + done.stderr
    assert done.returncode != 0 and "remap" in out and "MODIFY COLUMN `id` BIGINT" in out, out


def test_one_reference_for_all_shard_tables_or_none(scenario):
    """A foreign key on one shard alone would give the column new ids there, and old ones elsewhere."""
    ddl = {"orders": "(id INT NOT NULL PRIMARY KEY, v INT)", "items": "(id INT NOT NULL PRIMARY KEY, order_id INT NULL, UNIQUE KEY (order_id))"}
    s = make(scenario, REMAP, ddl=ddl)
    s.shards[0].server.run(f"ALTER TABLE `{s.shards[0].schema}`.items ADD FOREIGN KEY (order_id) REFERENCES orders (id)")
    s.instance(1)["meta"] = s.start_point(s.shards[0].server, True)  # behind the change
    s.save()
    s.start()
    assert s.runner.wait_exit() != 0
    assert "declare the reference for both" in s.runner.log()


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_ids_start_above_what_the_target_holds_and_finish_above_the_map(scenario, downstream):
    s = make(scenario, SELF, full=True, downstream=downstream)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, parent BIGINT NULL, name VARCHAR(20))",
                     f"INSERT INTO `{s.target}`.t VALUES (500, NULL, 'old')")
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t VALUES (1, 77, 'a'), (2, 1, 'b')")
    s.start(until="caught-up")
    assert s.runner.wait_exit() == 0
    m = map_of(s)
    assert min(m.values()) == 501 and len(m) == 6
    done = s.runner.verb("finish", "--json", "--yes")
    target, = json.loads(done.stdout)["targets"]
    assert done.returncode == 0 and target["next"] == max(m.values()) + 1 == 507, done.stdout
    s.downstream.run(f"INSERT INTO `{s.target}`.t (name) VALUES ('of the application')")
    new = [r[0] for r in s.rows("t") if r[2] == "of the application"]
    assert new == [507], "nothing that a row refers to is given to another row"


@pytest.mark.parametrize("definition,first", [("(id BIGINT NOT NULL PRIMARY KEY, v INT)", 501), ("(v INT NOT NULL, w BIGINT NOT NULL, PRIMARY KEY (v, w))", 0)])
def test_ids_of_a_shard_table_that_is_not_there(scenario, definition, first):
    """A reference comes before its target's first row: the map begins above what the target holds all the same, or not at all."""
    s = make(scenario, {"c": {**REMAP, "references": [{"column": "t_id", "table": "t", "of": "t_1"}]}}, ddl={"c": "(id INT NOT NULL PRIMARY KEY, t_id INT NULL)"})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {definition}", f"INSERT INTO `{s.target}`.t VALUES (500, 500)")
    s.task["routes"]["r-t"] = {"schema-pattern": f"{s.unique}_s*", "table-pattern": "t_*", "target-schema": s.target, "target-table": "t", "key": REMAP}
    for instance in s.task["mysql-instances"]:
        instance["route-rules"].append("r-t")
    s.task["block-allow-list"]["ours"]["do-tables"].append({"db-name": f"{s.unique}_s*", "tbl-name": "t_*"})
    s.save()
    s.start()
    s.shard_run(1, "INSERT INTO {s}.c VALUES (1, 7), (2, 8)")
    if first:
        s.runner.wait_caught_up()
        assert sorted(map_of(s).values()) == [first, first + 1]
        assert sorted(s.rows("c", "id, t_id")) == sorted(expected(s, {0: map_of(s, "c"), 1: map_of(s)}, "c", "id, t_id"))
    else:
        assert s.runner.wait_exit(60) > 0
        log = s.runner.log()
        assert "KEY_STRATEGY" in log and "which of its columns holds their ids is not known" in log and "name the column" in log, log
        assert s.rows("c") == [] and map_of(s) == {}


def test_another_unique_key_still_collides(scenario):
    s = make(scenario, REMAP, ddl={"t": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, mail VARCHAR(40) NOT NULL, UNIQUE KEY (mail))"})
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'a@x'), (2, 'b@x')")
    s.runner.wait_caught_up()
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 'c@x')", "INSERT INTO {s}.t VALUES (2, 'a@x')")
    s.runner.wait_error("s2", "APPLY_COLLISION")
    assert [r[1] for r in s.rows("t", "*", "mail")] == ["a@x", "b@x", "c@x"]
    s.shard_run(1, "DELETE FROM {s}.t WHERE id = 1")
    s.runner.wait_for("the first source to go on", lambda _: len(s.rows("t")) == 2)
    assert s.runner.verb("resume", "--source", "s2").returncode == 0
    s.runner.wait_caught_up()
    assert sorted(s.rows("t", "id, mail")) == sorted(expected(s, {0: map_of(s)}, "t", "id, mail"))


def test_losers_are_parked_with_their_new_ids(scenario):
    s = make(scenario, {**REMAP, "on-collision": "conflict-table", "provenance": [{"column": "shard", "value": "${source}"}]},
             ddl={"t": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, mail VARCHAR(40) NOT NULL, UNIQUE KEY (mail))"})
    s.start()
    for number in (2, 1):
        s.shard_run(number, f"INSERT INTO {{s}}.t VALUES (1, 'same@x'), (2, 'own{number}@x')")
    s.runner.wait_caught_up()
    m = map_of(s)
    assert sorted(s.rows("t", "shard, id, mail")) == [("s1", m["s1", 1], "same@x"), ("s1", m["s1", 2], "own1@x"), ("s2", m["s2", 2], "own2@x")]
    s.shard_run(1, "DELETE FROM {s}.t WHERE id = 1")
    s.runner.wait_caught_up()
    assert sorted(s.rows("t", "shard, id, mail")) == [("s1", m["s1", 2], "own1@x"), ("s2", m["s2", 1], "same@x"), ("s2", m["s2", 2], "own2@x")]


def test_tables_without_a_key(scenario):
    s = make(scenario, {"t": {"strategy": "remap", "column": "id"}}, ddl={"t": "(id INT NULL, v INT)"})
    s.start()
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t VALUES (1, 1), (1, 1), (NULL, 2), (3, 3)", "DELETE FROM {s}.t WHERE id = 1 LIMIT 1",
                    "UPDATE {s}.t SET id = 5 WHERE id IS NULL", "UPDATE {s}.t SET v = 33 WHERE id = 3")
    s.runner.wait_caught_up()
    m = map_of(s)
    assert Counter(s.rows("t")) == Counter(expected(s, {0: m}, "t", "id, v"))


def test_minimal_row_images(scenario):
    s = make(scenario, SELF)
    s.start()
    for number in (1, 2):
        s.shard_run(number, "SET SESSION binlog_row_image = 'MINIMAL'", "INSERT INTO {s}.t (id, parent, name) VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 2, 'c')",
                    "UPDATE {s}.t SET name = 'B' WHERE id = 2", "UPDATE {s}.t SET parent = 3 WHERE id = 1", "UPDATE {s}.t SET id = 30 WHERE id = 3",
                    "DELETE FROM {s}.t WHERE id = 2")
    s.runner.wait_caught_up()
    check(s)


def test_a_new_shard_table_and_a_renamed_source_order(scenario):
    """Tables that appear later get numbers of their own; the order of the sources in the task means nothing."""
    s = make(scenario, {"t": {**REMAP, "references": [{"column": "parent", "table": "t", "of": "${table}"}]}})
    for rule in s.task["routes"].values():
        rule["table-pattern"] = "t*"
    s.task["block-allow-list"]["ours"]["do-tables"][0]["tbl-name"] = "t*"
    s.save()
    s.start()
    write(s, 1)
    s.runner.wait_caught_up()
    before = map_of(s)
    s.runner.kill9()
    s.task["sources"].reverse()
    s.task["mysql-instances"].reverse()
    s.save()
    s.start()
    write(s, 2)
    s.shard_run(1, "UPDATE {s}.t SET name = 'z' WHERE id = 1")
    s.runner.wait_caught_up()
    after = check(s)
    assert after.items() >= before.items() and len(after) == 2 * len(before)


def test_a_renamed_shard_table_keeps_its_entries(scenario):
    """A map knows a shard table by its first name, also for references that come later."""
    ddl = {"t1": "(id INT NOT NULL PRIMARY KEY, v VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)"}
    s = make(scenario, REMAP, ddl=ddl, task={"shard-mode": "pessimistic"})
    rule = s.task["routes"].pop("r-t1")
    rule.update({"table-pattern": "t?", "target-table": "t"})
    child = {**{k: v for k, v in rule.items() if k != "key"}, "table-pattern": "child", "target-table": "child", "key": dict(REMAP)}
    s.task["routes"] = {"r-t": rule, "r-child": child}
    for instance in s.task["mysql-instances"]:
        instance["route-rules"] = ["r-t", "r-child"]
    s.task["block-allow-list"]["ours"]["do-tables"] = [{"db-name": f"{s.unique}_s*", "tbl-name": "*"}]
    s.save()
    s.start()
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t1 VALUES (1, 'a'), (2, 'b')")
    s.runner.wait_caught_up()
    before = map_of(s)
    for n in (1, 2):
        s.shard_run(n, "RENAME TABLE {s}.t1 TO {s}.t2", "INSERT INTO {s}.t2 VALUES (3, 'c')", "DELETE FROM {s}.t2 WHERE id = 1",
                    "UPDATE {s}.t2 SET v = 'B' WHERE id = 2")
    s.runner.wait_caught_up()
    s.runner.kill9()
    s.start()
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t2 VALUES (1, 'again')",
                    "CREATE TABLE {s}.child (id INT NOT NULL PRIMARY KEY, t_id INT, FOREIGN KEY (t_id) REFERENCES {s}.t2 (id))",
                    "INSERT INTO {s}.child VALUES (1, 2), (2, 3)")
    s.runner.wait_caught_up()
    m, c = map_of(s), map_of(s, "child")
    assert m.items() >= before.items() and len(m) == 6
    assert sorted(s.rows("t", "id, v")) == sorted(expected(s, {0: m}, "t2", "id, v"))
    assert sorted(s.rows("child", "id, t_id")) == sorted(expected(s, {0: c, 1: m}, "child", "id, t_id"))


def test_census_and_ddl(scenario):
    s = make(scenario, SELF)
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t (name) VALUES ('a'), ('b')")
    census = s.runner.verb("route", "--census", "--json")
    target, = json.loads(census.stdout)["targets"]
    verdict, = [v for v in target["strategies"] if v["strategy"] == "remap"]
    assert census.returncode == 0 and target["strategy"] == "remap" and verdict["fits"], census.stdout
    ddl = s.runner.verb("route", "--ddl")
    assert ddl.returncode == 0 and "`id` bigint" in ddl.stdout and "`parent` bigint" in ddl.stdout and "sm_remap" in ddl.stdout, ddl.stdout
