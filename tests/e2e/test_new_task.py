"""Past a place that cannot be read (docs/guide/operating.md): a task with a new name goes on from the floors of the old one, on the same
targets. Remedies of a task that has begun."""
import json
import re

import pytest

KEY = {"strategy": "composite", "provenance": [{"column": "shard", "value": "${source}", "type": "VARCHAR(20)"}]}
T = {"t": "(id BIGINT PRIMARY KEY, v INT)", "other": "(id BIGINT PRIMARY KEY, v INT)"}


def make(scenario, flavor, gtid=True, **task):
    s = scenario.make_plain(T, (flavor, flavor), flavor, gtid=gtid, targets=False, task={"task-mode": "all", **task})
    for route in s.task["routes"].values():
        route["key"] = KEY
    s.save()
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)", "INSERT INTO {s}.other VALUES (1, 1)")
    s.start()
    s.runner.wait_caught_up(40)
    return s


def write(s, at):
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({at}, {n})", "UPDATE {s}.t SET v = v + 1", "DELETE FROM {s}.t WHERE id = 1",
                    f"INSERT INTO {{s}}.t VALUES (1, {at})", f"INSERT INTO {{s}}.other VALUES ({at}, 1)")


def floors(s, gtid):
    """What status prints of the stopped task, as `meta`, by source."""
    s.runner.stop()
    assert s.downstream.query(f"SELECT COUNT(*) FROM `{s.meta}`.sm_applied WHERE task = '{s.task['name']}'") == [(0,)]
    table = s.runner.verb("status").stdout
    if gtid:
        return {n: {"binlog-gtid": re.search(rf"^s{n}\s.*?(\S+) \(\S+:\d+\)", table, re.M).group(1)} for n in (1, 2)}
    places = {n: re.search(rf"^s{n}\s.*?(\S+):(\d+)$", table, re.M) for n in (1, 2)}
    return {n: {"binlog-name": p.group(1), "binlog-pos": int(p.group(2))} for n, p in places.items()}


def behind(s, floor, error):
    """The floor of s1 and the transaction that the error names."""
    if "binlog-name" in floor:
        file, pos = re.search(r"source s1, (\S+?):(\d+)", error["message"]).groups()
        events = s.runner.verb("events", "--source", "s1", "--from", f"{floor['binlog-name']}:{floor['binlog-pos']}", "--json").stdout
        end = next(e for e in map(json.loads, events.splitlines()) if e.get("type") == "XID" and e["file"] == file and e["pos"] > int(pos))
        return {"binlog-name": file, "binlog-pos": end["end"]}
    gtid, was = re.search(r"GTID ([^\s:]+-\d+|\S+:\d+):", error["message"]).group(1), floor["binlog-gtid"]
    if ":" in gtid:
        return {"binlog-gtid": f"{was},{gtid}"}
    return {"binlog-gtid": ",".join([g for g in was.split(",") if g.split("-")[0] != gtid.split("-")[0]] + [gtid])}


def anew(s, starts):
    s.task.update({"name": s.task["name"] + "_2", "task-mode": "incremental", "state-dir": s.task["state-dir"] + "_2"})
    for n, start in starts.items():
        s.instance(n)["meta"] = start


def compare(s, *tables):
    for t in tables:
        union = [(*r, f"s{n}") for n in (1, 2) for r in s.shards[n - 1].server.query(f"SELECT * FROM `{s.shards[n - 1].schema}`.{t}")]
        assert sorted(s.downstream.query(f"SELECT id, v, shard FROM `{s.target}`.{t}")) == sorted(union)


def unreadable(s, table):
    """A change that is in the binlog as a statement: its rows are not."""
    write(s, 10)
    s.shard_run(1, "SET SESSION binlog_format = 'STATEMENT'", f"UPDATE {{s}}.{table} SET v = v + 100", "SET SESSION binlog_format = 'ROW'")
    write(s, 20)
    return s.runner.wait_error("s1", "SOURCE_STATEMENT")


@pytest.mark.parametrize("gtid", [True, False])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_behind_the_place(scenario, flavor, gtid):
    s = make(scenario, flavor, gtid)
    error = unreadable(s, "t")
    at = floors(s, gtid)
    s.downstream.run(f"UPDATE `{s.target}`.t SET v = v + 100 WHERE shard = 's1'")  # its rows, by hand
    anew(s, {1: behind(s, at[1], error), 2: at[2]})
    s.save()
    s.start()
    write(s, 30)
    s.runner.wait_caught_up(40)
    compare(s, "t", "other")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_without_the_table(scenario, flavor):
    s = make(scenario, flavor, **{"shard-mode": "pessimistic"})
    unreadable(s, "other")
    anew(s, floors(s, True))
    s.task["block-allow-list"]["ours"]["do-tables"].pop()
    s.save()
    s.start()
    write(s, 30)
    s.runner.wait_caught_up(40)
    compare(s, "t")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_shard_mode_is_switched_on(scenario, flavor):
    s = make(scenario, flavor)
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT", "INSERT INTO {s}.t VALUES (7, 7, 7)")
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "shard-mode" in error["remedy"] and "start again" in error["remedy"]
    s.runner.stop()
    s.task["shard-mode"] = "pessimistic"
    s.save()
    s.start()
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT")
    s.runner.wait_caught_up(40)
    assert sorted(s.downstream.query(f"SELECT id, n, shard FROM `{s.target}`.t WHERE n IS NOT NULL")) == [(7, 7, "s1")]


@pytest.mark.parametrize("drop,code", [("DROP TABLE {s}.t_9", "TRACK_START"), ("SET sql_log_bin = 0; DROP TABLE {s}.t_9", "TRACK_NO_TABLE")])
def test_the_definition_of_a_table_that_is_gone(scenario, drop, code):
    """Its rows are read by the definition that is given."""
    s = scenario.make_plain({"t": T["t"]}, ("mariadb", "mariadb"), "mariadb", task={"shard-mode": "pessimistic"})
    s.task["routes"]["r-t"].update({"table-pattern": "t*", "on-drop": "ignore"})
    s.task["block-allow-list"]["ours"]["do-tables"][0]["tbl-name"] = "t*"
    s.shard_run(1, "CREATE TABLE {s}.t_9 (id BIGINT PRIMARY KEY, v INT)")
    s.instance(1)["meta"] = s.start_point(s.shards[0].server, True)
    s.shard_run(1, "INSERT INTO {s}.t_9 VALUES (9, 9)", *drop.split("; "))
    s.save()
    s.start()
    error = s.runner.wait_error("s1", code)
    assert f"--table {s.shards[0].schema}.t_9 --set FILE" in error["remedy"], error
    s.runner.stop()
    path = s.folder / "t_9.sql"
    path.write_text("CREATE TABLE t_9 (id BIGINT PRIMARY KEY, v INT)")
    done = s.runner.verb("schema", "--source", "s1", "--table", f"{s.shards[0].schema}.t_9", "--set", str(path), "--force", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    s.start()
    s.runner.wait_caught_up(30)
    assert s.rows("t") == [(9, 9)]


def test_the_definition_before_a_change_that_the_binlog_lacks(scenario):
    """SM-1502: an index came without a statement in the binlog, and goes with one."""
    s = scenario.make_plain({"t": T["t"]}, ("mariadb", "mariadb"), "mariadb", task={"shard-mode": "pessimistic"})
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up(30)
    s.shard_run(1, "SET sql_log_bin = 0", "ALTER TABLE {s}.t ADD KEY k (v)", "SET sql_log_bin = 1", "ALTER TABLE {s}.t DROP KEY k",
                "INSERT INTO {s}.t VALUES (2, 2)")
    error = s.runner.wait_error("s1", "DDL_APPLY")
    assert "shardmerge schema --set FILE" in error["remedy"], error
    s.runner.stop()
    path = s.folder / "t.sql"
    path.write_text("CREATE TABLE t (id BIGINT PRIMARY KEY, v INT, KEY k (v))")
    done = s.runner.verb("schema", "--source", "s1", "--table", f"{s.shards[0].schema}.t", "--set", str(path), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    s.start()
    s.runner.wait_caught_up(30)
    assert s.rows("t") == [(1, 1), (2, 2)]
