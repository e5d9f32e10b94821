"""Key strategies in the stream: both shards count their ids from 1, and nothing collides."""
import pytest

DDL = {"t": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, parent INT NULL, name VARCHAR(20), KEY (parent))"}
BIG = {"t": "(id BIGINT NOT NULL PRIMARY KEY, parent BIGINT NULL, name VARCHAR(20), KEY (parent))"}
PROVENANCE = [{"column": "shard", "value": "${source}"}, {"column": "origin", "value": "${schema}.${table}", "type": "VARCHAR(130)"}]


def make(scenario, key, ddl=None, targets=False, flavors=("mariadb", "mariadb"), downstream="mariadb", route=None, **kw):
    s = scenario.make_plain(ddl or DDL, flavors=flavors, downstream=downstream, targets=targets, **kw)
    for rule in s.task["routes"].values():
        if key is not None:
            rule["key"] = key
        rule.update(route or {})
    s.save()
    return s


def write(s, number):
    s.shard_run(number,
                "INSERT INTO {s}.t (id, parent, name) VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 3, 'd')",
                "UPDATE {s}.t SET name = CONCAT(name, '!') WHERE id IN (1, 3)",
                "DELETE FROM {s}.t WHERE id = 2",
                "UPDATE {s}.t SET id = 9, parent = 4 WHERE id = 3",
                "BEGIN", "INSERT INTO {s}.t (id, name) VALUES (7, 'gone')", "DELETE FROM {s}.t WHERE id = 7", "COMMIT")


EXPECTED = [(1, None, "a!"), (4, 3, "d"), (9, 4, "c!")]


def stride(n, shards, v):
    return None if v is None else v * shards + n


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_stride(scenario, downstream):
    key = {"strategy": "stride", "shards": 16, "references": [{"column": "parent", "table": "t"}]}
    s = make(scenario, key, downstream=downstream)
    s.start()
    for number in (1, 2):
        write(s, number)
    s.runner.wait_caught_up()
    rows = s.rows("t")
    got = sorted((r[0] % 16, r) for r in rows)
    want = sorted((n, (stride(n, 16, i), stride(n, 16, p), v)) for n in (0, 1) for i, p, v in EXPECTED)
    assert got == want, rows
    s.runner.stop()


def test_stride_numbers_outlive_restarts(scenario):
    """A third shard table and a kill between: the numbers given stay."""
    key = {"strategy": "stride", "shards": 4}
    s = make(scenario, key)
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t (id, name) VALUES (1, 'one')")
    s.shard_run(2, "INSERT INTO {s}.t (id, name) VALUES (1, 'two')")
    s.runner.wait_caught_up()
    before = {r[2]: r[0] for r in s.rows("t")}
    s.runner.kill9()
    s.task["sources"].reverse()
    s.task["mysql-instances"].reverse()
    s.save()
    s.start()
    s.shard_run(1, "UPDATE {s}.t SET name = 'ONE' WHERE id = 1", "INSERT INTO {s}.t (id, name) VALUES (2, 'three')")
    s.shard_run(2, "UPDATE {s}.t SET name = 'TWO' WHERE id = 1")
    s.runner.wait_caught_up()
    after = {r[2]: r[0] for r in s.rows("t")}
    assert after["ONE"] == before["one"] and after["TWO"] == before["two"] and after["three"] == before["one"] + 4, (before, after)


@pytest.mark.parametrize("flavors", [("mariadb", "mariadb"), ("mysql", "mysql")])
def test_partition_id(scenario, flavors):
    key = {"strategy": "partition-id", "instances": {"s1": 1, "s2": 2}, "references": [{"column": "parent", "table": "t"}]}
    s = make(scenario, key, flavors=flavors)
    s.start()
    for number in (1, 2):
        write(s, number)
    s.runner.wait_caught_up()
    want = sorted((n << 59 | i, None if p is None else n << 59 | p, v) for n in (1, 2) for i, p, v in EXPECTED)
    assert s.rows("t") == want


def test_dms_column_mappings_run_as_they_are(scenario):
    s = scenario.make_plain(DDL, targets=False)
    for n in (1, 2):
        s.task.setdefault("column-mappings", {})[f"m{n}"] = {
            "schema-pattern": f"{s.unique}_s*", "table-pattern": "t", "source-column": "id", "target-column": "id",
            "expression": "partition id", "arguments": [str(n), f"{s.unique}_s", ""]}
        s.instance(n)["column-mapping-rules"] = [f"m{n}"]
    s.save()
    s.start()
    for number in (1, 2):
        write(s, number)
    s.runner.wait_caught_up()
    want = sorted((n << 59 | n << 52 | i, p, v) for n in (1, 2) for i, p, v in EXPECTED)
    assert s.rows("t") == want


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
@pytest.mark.parametrize("strategy", ["composite", "plain-index"])
def test_provenance(scenario, strategy, downstream):
    s = make(scenario, {"strategy": strategy, "provenance": PROVENANCE}, downstream=downstream)
    s.start()
    for number in (1, 2):
        write(s, number)
    s.runner.wait_caught_up()
    got = sorted(s.rows("t", "shard, origin, id, parent, name", "1, 3"))
    want = sorted((f"s{n}", f"{s.unique}_s{n}.t", i, p, v) for n in (1, 2) for i, p, v in EXPECTED)
    assert got == want
    s.runner.kill9()
    s.start()
    s.shard_run(1, "DELETE FROM {s}.t WHERE id = 9", "UPDATE {s}.t SET name = 'only here' WHERE id = 1")
    s.runner.wait_caught_up()
    want = sorted(("s1", 1, "only here") if w[0] == "s1" and w[2] == 1 else (w[0], w[2], w[4]) for w in want if w[:3:2] != ("s1", 9))
    assert sorted(s.rows("t", "shard, id, name")) == want
