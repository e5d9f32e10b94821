"""Key strategies: what is refused, references, DM's extract columns, other definitions downstream, and what is said before a run."""
import json
import shutil

import pytest

DDL = {"t": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, parent INT NULL, name VARCHAR(20), KEY (parent))"}


def with_key(s, key, table="t"):
    s.task["routes"][f"r-{table}"]["key"] = key
    s.save()


def test_an_id_beyond_the_width_is_refused_before_it_is_written(scenario):
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT)"}, targets=False)
    with_key(s, {"strategy": "partition-id", "instances": {"s1": 1, "s2": 2}, "instance-bits": 32, "schema-bits": 20, "table-bits": 1})
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1023, 1)")
    s.runner.wait_caught_up()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (5, 5), (987654321, 2)")
    error = s.runner.wait_error("s1", "KEY_RANGE")
    assert f"{s.unique}_s1.t" in error["message"] and "`id`" in error["message"] and "987654321" not in error["message"], error
    assert s.rows("t") == [(1 << 31 | 1023, 1)], "the transaction is refused as a whole"
    s.shard_run(2, "INSERT INTO {s}.t VALUES (5, 7)")
    s.runner.wait_for("the other source to go on", lambda _: (2 << 31 | 5, 7) in s.rows("t"))


def test_a_negative_id_is_refused_by_partition_id_and_taken_by_stride(scenario):
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT)"}, targets=False)
    with_key(s, {"strategy": "stride", "shards": 8})
    s.start()
    for number in (1, 2):
        s.shard_run(number, "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "INSERT INTO {s}.t VALUES (-7, 1), (0, 2)")
    s.runner.wait_caught_up()
    got = sorted(r[0] for r in s.rows("t"))
    assert len(set(got)) == 4 and sorted(i // 8 for i in got) == [-7, -7, 0, 0], got


def test_references_by_foreign_key_and_by_rule(scenario):
    """A child before its parent, an UPDATE of the key, a self-reference, 0 as "none"."""
    ddl = {"orders": "(id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, prev_id INT UNSIGNED NULL)",
           "items": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, order_id INT UNSIGNED NOT NULL, KEY (order_id))",
           "notes": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, about INT UNSIGNED NOT NULL DEFAULT 0)"}
    s = scenario.make_plain(ddl, targets=False)
    for shard in s.shards:
        shard.server.run(f"ALTER TABLE `{shard.schema}`.items ADD CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES orders (id)")
    stride = {"strategy": "stride", "shards": 32}
    with_key(s, {**stride, "references": [{"column": "prev_id", "table": "orders"}]}, "orders")
    with_key(s, stride, "items")
    with_key(s, {**stride, "references": [{"column": "about", "table": f"{s.target}.orders"}]}, "notes")
    for instance, shard in zip(s.task["mysql-instances"], s.shards):
        instance["meta"] = s.start_point(shard.server, True)
    s.save()
    s.start()
    for number in (1, 2):
        s.shard_run(number, "SET foreign_key_checks = 0", "INSERT INTO {s}.items (id, order_id) VALUES (1, 3)",
                    "INSERT INTO {s}.notes (id, about) VALUES (1, 3), (2, 0)",
                    "INSERT INTO {s}.orders (id, prev_id) VALUES (1, NULL), (3, 1)",
                    "UPDATE {s}.items SET order_id = 1 WHERE id = 1", "UPDATE {s}.orders SET id = 8 WHERE id = 3",
                    "UPDATE {s}.notes SET about = 8 WHERE id = 1")
    s.runner.wait_caught_up()
    join = s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.items i JOIN `{s.target}`.orders o ON o.id = i.order_id "
                              f"WHERE o.id DIV 32 = 1")
    assert join == [(2,)]
    assert s.downstream.query(f"SELECT COUNT(*) FROM `{s.target}`.orders a JOIN `{s.target}`.orders b ON b.id = a.prev_id "
                              f"WHERE a.id MOD 32 = b.id MOD 32") == [(2,)]
    about = [r[0] for r in s.rows("notes", "about")]
    assert sorted(a // 32 for a in about) == [0, 0, 8, 8] and about.count(0) == 2, about
    s.runner.kill9()
    s.start()
    s.shard_run(1, "DELETE FROM {s}.notes WHERE id = 1")
    s.runner.wait_caught_up()
    assert len(s.rows("notes")) == 3


def test_dms_extract_columns(scenario):
    s = scenario.make_plain({"t": "(id INT NOT NULL PRIMARY KEY, v INT)"}, targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT NOT NULL, v INT, c_table VARCHAR(20), c_schema VARCHAR(20) NOT NULL, "
                     f"c_source VARCHAR(20) NOT NULL, PRIMARY KEY (id, c_schema, c_source))")
    s.task["routes"]["r-t"].update({"extract-table": {"table-regexp": "^(x)$", "target-column": "c_table"},
                                    "extract-schema": {"schema-regexp": "_(s)(.*)$", "target-column": "c_schema"},
                                    "extract-source": {"source-regexp": "(.*)", "target-column": "c_source"}})
    s.save()
    s.start()
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)", "UPDATE {s}.t SET v = 9 WHERE id = 1", "DELETE FROM {s}.t WHERE id = 2")
    s.runner.wait_caught_up()
    assert s.rows("t", order="5") == [(1, 9, "", "s1", "s1"), (1, 9, "", "s2", "s2")]


def test_more_and_fewer_columns_downstream(scenario):
    s = scenario.make_plain({"t": "(id INT NOT NULL PRIMARY KEY, v INT, junk VARCHAR(5))"}, targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (own BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, id INT NOT NULL UNIQUE, v INT, "
                     f"more INT NOT NULL DEFAULT 7)")
    done = s.runner.verb("check", "--json")
    assert "junk" in done.stdout
    s.task["routes"]["r-t"]["drop-columns"] = ["junk"]
    s.save()
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 'x'), (2, 2, 'y')", "UPDATE {s}.t SET junk = 'z', v = 5 WHERE id = 2", "DELETE FROM {s}.t WHERE id = 1")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, v, more") == [(2, 5, 7)]


@pytest.mark.parametrize("downstream,flavor", [("mariadb", "mysql"), ("mysql", "mariadb")])
def test_more_columns_downstream_while_copying(scenario, downstream, flavor):
    """What the shards lack gets its default, copied or streamed, is computed, or counts by itself; it is the application's from then on."""
    s = scenario.make_plain({"t": "(id INT NOT NULL PRIMARY KEY, v INT, junk VARCHAR(5))"}, flavors=(flavor, flavor), downstream=downstream, targets=False,
                            task={"task-mode": "all", "load": {"chunk-rows": 20}})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (made DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, more INT NOT NULL DEFAULT 7, v INT, twice INT GENERATED ALWAYS AS (v * 2) STORED, "
                     "id BIGINT NOT NULL PRIMARY KEY, note VARCHAR(10) DEFAULT 'x''y', seen BIGINT GENERATED ALWAYS AS (id + 1) VIRTUAL, gone INT NULL, own BIGINT NOT NULL AUTO_INCREMENT UNIQUE)")
    with_key(s, {"strategy": "stride", "shards": 2})
    for instance in s.task["mysql-instances"]:
        instance.pop("meta", None)
    s.save()
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t VALUES " + ",".join(f"({i}, {i * 10 + number}, 'j')" for i in range(1, 101)))
    refused = s.runner.verb("run", "--until", "caught-up")
    assert refused.returncode != 0 and "junk" in refused.stdout + refused.stderr and "ADD COLUMN `junk`" in refused.stdout + refused.stderr, refused.stderr
    assert s.rows("t") == [] and s.runner.verb("check").returncode == 1, "a column that has nowhere to go is refused before the first row"
    shutil.rmtree(s.task["state-dir"])  # a rule is part of what a task remembers
    s.task["routes"]["r-t"]["drop-columns"] = ["junk"]
    s.save()
    s.start()
    s.runner.wait_for("rows that are copied", lambda _: len(s.rows("t")) > 0)
    s.downstream.run(f"UPDATE `{s.target}`.t SET more = 99, note = 'app' WHERE v = 11")
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t VALUES (101, 1, 'j'), (102, 2, 'j')", "UPDATE {s}.t SET v = -v WHERE id IN (1, 101)", "DELETE FROM {s}.t WHERE id = 102",
                    "UPDATE {s}.t SET id = 200 WHERE id = 50")
    s.runner.wait_caught_up()
    want = [(i * 2 + n, v, v * 2, i * 2 + n + 1) for n, shard in enumerate(s.shards) for i, v in shard.server.query(f"SELECT id, v FROM `{shard.schema}`.t")]
    assert sorted(s.rows("t", "id, v, twice, seen")) == sorted(want)
    extra = s.rows("t", "v, more, note, gone, made IS NOT NULL, own")
    assert {r[1:5] for r in extra if r[0] != -11} == {(7, "x'y", None, 1)} and len({r[5] for r in extra}) == len(want)
    assert [r[1:4] for r in extra if r[0] == -11] in ([(99, "app", None)], [(7, "x'y", None)]), "an UPDATE of the shard leaves it alone"
    s.downstream.run(f"UPDATE `{s.target}`.t SET more = 98 WHERE v = -11")
    s.shard_run(1, "UPDATE {s}.t SET v = -999 WHERE id = 1")
    s.runner.wait_caught_up()
    assert [r[0] for r in s.rows("t", "more, v") if r[1] == -999] == [98]
    s.runner.stop()


def test_what_does_not_fit_is_refused_with_the_alter(scenario):
    s = scenario.make_plain(DDL)
    with_key(s, {"strategy": "composite", "provenance": [{"column": "shard", "value": "${source}"}]})
    for _ in range(2):  # each ALTER that is named, run
        done = json.loads(s.runner.verb("route", "--ddl", "--json").stdout)["targets"][0]
        assert done["exists"] and not done["fits"] and done["alter"].startswith("ALTER TABLE"), done
        s.downstream.run(done["alter"])
    done = json.loads(s.runner.verb("route", "--ddl", "--json").stdout)["targets"][0]
    assert done["fits"], done
    s.start()
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t (id, name) VALUES (1, 'a')")
    s.runner.wait_caught_up()
    assert sorted(s.rows("t", "id, shard")) == [(1, "s1"), (1, "s2")]


def test_two_shards_with_one_share_are_refused(scenario):
    s = scenario.make_plain(DDL, targets=False)
    with_key(s, {"strategy": "partition-id", "instances": {"s1": 1, "s2": 1}})
    done = s.runner.verb("run", "--until", "caught-up")
    assert done.returncode != 0 and "KEY_SHARE" in done.stderr + done.stdout or "SM-1709" in done.stderr + done.stdout, done.stderr


def test_check_names_undeclared_references(scenario):
    s = scenario.make_plain({"orders": "(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, replaced_by INT NULL, flags_id TINYINT)",
                             "items": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, billing_order_id INT NOT NULL, n INT, order_id TINYINT, declared_order_id INT NOT NULL)"}, targets=False)
    for table in ("orders", "items"):
        with_key(s, {"strategy": "stride", "shards": 8, **({"references": [{"column": "declared_order_id", "table": "orders"}]} if table == "items" else {})}, table)
    findings = json.loads(s.runner.verb("check", "--json").stdout)["findings"]
    hits = sorted(f["what"].split("`")[1] for f in findings if "looks like a reference" in f["what"])
    assert hits == ["billing_order_id", "replaced_by"], findings
    assert all("references" in f["remedy"] for f in findings if "looks like a reference" in f["what"])


def test_census(scenario):
    s = scenario.make_plain({"t": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, mail VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL, UNIQUE KEY mail (mail))"},
                            flavors=("mariadb", "mariadb"), targets=False)
    s.shard_run(1, "INSERT INTO {s}.t VALUES " + ",".join(f"({i}, 'one{i}')" for i in range(1, 1001)))
    s.shard_run(2, "INSERT INTO {s}.t VALUES " + ",".join(f"({i}, 'two{i}')" for i in range(901, 1501)), "UPDATE {s}.t SET mail = 'ONE5' WHERE id = 1500")
    done = s.runner.verb("route", "--census", "--json")
    assert done.returncode == 1, (done.returncode, done.stderr)
    t = json.loads(done.stdout)["targets"][0]
    keys = {k["name"]: k for k in t["keys"]}
    assert keys["PRIMARY"]["collisions"] == 100 and keys["PRIMARY"]["exact"] and keys["mail"]["collisions"] == 1, keys
    assert t["ranges_overlap"] and t["recommended"] == "composite", t
    (pair,) = t["overlaps"]
    assert [x["source"] for x in pair["shards"]] == ["s1", "s2"] and (pair["from"], pair["to"]) == (901, 1000) and pair["collisions"] == 100 and pair["exact"], pair
    fits = {v["strategy"]: v["fits"] for v in t["strategies"]}
    assert fits == {"error": False, "partition-id": False, "stride": False, "composite": True, "plain-index": True, "remap": False}, t
    s.shard_run(2, "UPDATE {s}.t SET mail = 'fine' WHERE id = 1500")
    t = json.loads(s.runner.verb("route", "--census", "--json").stdout)["targets"][0]
    assert t["recommended"] in ("stride", "partition-id"), t
    human = s.runner.verb("route", "--census").stdout
    assert "recommended: " in human and "PRIMARY: 100 values" in human, human
    assert f"s1 {s.unique}_s1.t and s2 {s.unique}_s2.t: both from 901 to 1000, 100 ids in both" in human, human
    s.shard_run(2, "ALTER TABLE {s}.t ADD nick VARCHAR(50) NULL, ADD UNIQUE KEY nick (nick)")
    t = json.loads(s.runner.verb("route", "--census", "--json").stdout)["targets"][0]
    nick = next(k for k in t["keys"] if k["name"] == "nick")
    assert nick["looked_at"] and nick["lack_it"] == 1 and t["recommended"] == "composite", t
