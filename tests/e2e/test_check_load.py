"""`check` of a task that copies existing rows: how much, how long, what is in the way, with the GRANT to run."""
from __future__ import annotations

import json

import pytest

from test_check_verb import check, find


def report(s, status: int) -> dict:
    done = s.runner.verb("check", "--json")
    assert done.returncode == status, f"exit status {done.returncode}:\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def copying(scenario, ddl: dict[str, str], flavors=("mariadb", "mariadb"), gtid=True, targets=True, **task):
    s = scenario.make_plain(ddl, flavors=flavors, gtid=gtid, targets=targets, task={"task-mode": "all", **task})
    for instance in s.task["mysql-instances"]:
        instance.pop("meta")
    s.save()
    return s


def analyze(s, *tables: str) -> None:
    for shard in s.shards:
        shard.server.query(f"ANALYZE TABLE {', '.join(f'{shard.schema}.{t}' for t in tables)}")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_what_there_is_to_copy(scenario, flavor):
    s = copying(scenario, {"t": "(id BIGINT PRIMARY KEY, v VARCHAR(200))", "words": "(w VARCHAR(50) PRIMARY KEY, v INT)"},
                flavors=(flavor, flavor))
    for shard in s.shards:
        rows = ", ".join(f"({shard.number * 100000 + i}, REPEAT('x', 200))" for i in range(2000))
        shard.server.run(f"INSERT INTO {shard.schema}.t VALUES {rows}",
                         f"INSERT INTO {shard.schema}.words VALUES ('a{shard.number}', 1), ('b{shard.number}', 2)")
    analyze(s, "t", "words")
    got = report(s, 0)
    load = got["load"]
    assert 3000 <= load["rows"] <= 6000 and load["bytes"] >= 3000 * 200, load
    assert load["seconds"] >= 1 and load["seconds"] == max(load["read_seconds"], load["write_seconds"]), load
    assert [x["id"] for x in load["sources"]] == ["s1", "s2"]
    for source in load["sources"]:
        assert source["tables"] == 2 and source["units"] == 1 and source["read_rows_per_s"] > 0, source
    targets = {t["table"]: t for t in load["targets"]}
    assert targets["t"]["units"] == [] and targets["t"]["shard_tables"] == 2 and 3000 <= targets["t"]["rows"] <= 6000
    assert [u["table"] for u in targets["words"]["units"]] == ["words", "words"]
    findings = got["findings"]
    find(findings, "note", "`words`", "2 of its shard tables have no key to cut them along", "integer, date, time or binary")
    find(findings, "ok", "copy", "rows")
    find(findings, "ok", "copy", "estimate:")
    find(findings, "ok", "source s1", "without a lock")
    if flavor == "mysql":
        find(findings, "note", "source s1", "tables without a usable key: LOCK TABLES")
    text = s.runner.verb("check").stdout
    assert "rows, " in text and "in all, by the servers' statistics" in text and "(an assumption:" in text


def test_nothing_of_it_where_nothing_is_copied(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY)"})
    got = report(s, 0)
    assert got["load"] is None
    assert not [f for f in got["findings"] if f["where"] == "copy"]


def test_a_target_that_holds_rows_and_a_start_point(scenario):
    s = copying(scenario, {"t": "(id BIGINT PRIMARY KEY)"})
    s.downstream.run(f"INSERT INTO {s.target}.t VALUES (1)")
    s.instance(1)["meta"] = s.start_point(s.shards[0].server, True)
    s.save()
    findings = check(s, 0)
    find(findings, "warn", "`t`", "holds rows already", "empty it")
    find(findings, "note", "source s1", "meta is not used in this mode")


def with_user(s, number: int, *grants: str) -> str:
    """The source connects as a user with these grants; `{s}` stands for the schema."""
    shard, user = s.shards[number - 1], f"{s.unique}u"
    shard.server.run(f"CREATE USER {user}@'%' IDENTIFIED BY 'x'",
                     *(f"GRANT {g.format(s=f'`{shard.schema}`')} TO {user}@'%'" for g in grants))
    s.closers.append(lambda: shard.server.run(f"DROP USER IF EXISTS {user}@'%'"))
    s.source_config(number)["from"].update(user=user, password="x")
    s.save()
    return user


def test_mariadb_needs_only_select(scenario):
    s = copying(scenario, {"t": "(id BIGINT PRIMARY KEY)", "words": "(w VARCHAR(50) PRIMARY KEY)"})
    with_user(s, 1, "SELECT ON {s}.*", "REPLICATION SLAVE, BINLOG MONITOR ON *.*")
    find(check(s, 0), "ok", "source s1", "a snapshot tells its binlog position")


def test_a_table_that_cannot_be_read(scenario):
    s = copying(scenario, {"t": "(id BIGINT PRIMARY KEY)"})
    user = with_user(s, 1, "INSERT ON {s}.*", "REPLICATION SLAVE, BINLOG MONITOR ON *.*")
    found = find(check(s, 1), "fail", "source s1", "1 tables cannot be read")
    assert f"GRANT SELECT ON `{s.shards[0].schema}`.* TO '{user}'@'%'" in found["remedy"]


def test_mysql_without_gtid_needs_lock_tables(scenario):
    s = copying(scenario, {"t": "(id BIGINT PRIMARY KEY)"}, flavors=("mysql", "mysql"), gtid=False)
    user = with_user(s, 1, "SELECT ON {s}.*", "REPLICATION SLAVE, REPLICATION CLIENT ON *.*")
    found = find(check(s, 1), "fail", "source s1", "LOCK TABLES is not granted")
    assert f"GRANT LOCK TABLES ON `{s.shards[0].schema}`.* TO '{user}'@'%'" in found["remedy"]
    assert "enable-gtid: true" in found["remedy"]
    s.shards[0].server.run(f"GRANT LOCK TABLES ON `{s.shards[0].schema}`.* TO {user}@'%'")
    find(check(s, 0), "note", "source s1", "LOCK TABLES … READ is held")


def test_mysql_with_gtid_locks_only_tables_without_a_key(scenario):
    s = copying(scenario, {"t": "(id BIGINT PRIMARY KEY)", "words": "(w VARCHAR(50) PRIMARY KEY)"}, flavors=("mysql", "mysql"))
    with_user(s, 1, "SELECT ON {s}.*", "REPLICATION SLAVE, REPLICATION CLIENT ON *.*")
    findings = check(s, 1)
    found = find(findings, "fail", "source s1", "tables without a usable key need it")
    assert ".words" in found["what"] and ".t" not in found["what"]
    find(findings, "ok", "source s1", "between two GTID positions")

