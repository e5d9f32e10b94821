"""`shardmerge check`: what it finds on real servers, and that it leaves nothing behind."""
import json

import pytest


def check(s, status):
    done = s.runner.verb("check", "--json")
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    report = json.loads(done.stdout)
    assert report["ok"] == (status == 0)
    for level in ("ok", "note", "warn", "fail"):
        assert report["counts"][level] == sum(f["level"] == level for f in report["findings"])
    return report["findings"]


def find(findings, level, *words):
    found = [f for f in findings if f["level"] == level and all(w in json.dumps(f, ensure_ascii=False) for w in words)]
    assert found, f"no {level} that says {words} in:\n" + "\n".join(str(f) for f in findings if f["level"] != "ok")
    return found[0]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_a_good_task_passes_and_nothing_stays(scenario, flavor):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"}, flavors=(flavor, flavor), downstream=flavor, targets=False)
    before = s.downstream.query("SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2")
    findings = check(s, 0)
    find(findings, "ok", f"`{s.target}`.`t`", "will be created")
    assert s.downstream.query("SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2") == before
    assert not (s.folder / "state" / "state.db").exists()
    human = s.runner.verb("check")
    assert human.returncode == 0 and "0 failures" in human.stdout, human.stdout


def test_missing_privileges_come_with_their_grant(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    shard, user = s.shards[0], s.unique
    shard.server.run(f"CREATE USER {user}@'%' IDENTIFIED BY 'x'", f"GRANT SELECT ON `{shard.schema}`.* TO {user}@'%'")
    s.downstream.run(f"CREATE USER {user}@'%' IDENTIFIED BY 'x'", f"GRANT SELECT, INSERT, TRIGGER ON `{s.target}`.* TO {user}@'%'")
    try:
        s.source_config(1)["from"].update(user=user, password="x")
        s.task["target-database"].update(user=user, password="x")
        s.save()
        findings = check(s, 1)
        dump = find(findings, "fail", "source s1", "REPLICATION SLAVE")
        assert dump["remedy"] == f"GRANT REPLICATION SLAVE ON *.* TO '{user}'@'%'"
        find(findings, "fail", "source s1", "BINLOG MONITOR")
        meta = find(findings, "fail", "downstream", s.meta)
        assert f"ON `{s.meta}`.* TO '{user}'@'%'" in meta["remedy"]
        find(findings, "fail", f"`{s.target}`.`t`", "command denied", "GRANT SELECT, INSERT, UPDATE, DELETE")
        assert not [f for f in findings if f["level"] == "fail" and f["where"] == "source s2"]
    finally:
        shard.server.run(f"DROP USER {user}@'%'")
        s.downstream.run(f"DROP USER {user}@'%'")


def test_targets_that_cannot_be_written(scenario):
    tables = {name: "(id BIGINT PRIMARY KEY, v VARCHAR(20))" for name in ("narrow", "fewer", "triggered", "isam", "keyless", "child")}
    s = scenario.make_plain(tables, targets=False, task={"allow-keyless-tables": False})
    s.downstream.run(f"CREATE TABLE {s.target}.narrow (id INT PRIMARY KEY, v VARCHAR(20))",
                     f"CREATE TABLE {s.target}.fewer (id BIGINT PRIMARY KEY)",
                     f"CREATE TABLE {s.target}.triggered (id BIGINT PRIMARY KEY, v VARCHAR(20))",
                     f"CREATE TRIGGER {s.target}.tr BEFORE INSERT ON {s.target}.triggered FOR EACH ROW SET NEW.v = NEW.v",
                     f"CREATE TABLE {s.target}.isam (id BIGINT PRIMARY KEY, v VARCHAR(20)) ENGINE=MyISAM",
                     f"CREATE TABLE {s.target}.keyless (id BIGINT NOT NULL, v VARCHAR(20))",
                     f"CREATE TABLE {s.target}.child (id BIGINT PRIMARY KEY, v VARCHAR(20), FOREIGN KEY (id) REFERENCES {s.target}.narrow2 (id))"
                     .replace("narrow2", "triggered"))
    findings = check(s, 1)
    find(findings, "fail", "`narrow`", "it is narrower", "MODIFY COLUMN `id` bigint")
    find(findings, "fail", "`fewer`", "no column `v`", "ADD COLUMN `v` varchar(20)")
    find(findings, "fail", "`triggered`", "triggers")
    find(findings, "fail", "`isam`", "MyISAM")
    find(findings, "fail", "`keyless`", "allow-keyless-tables")
    find(findings, "fail", "`child`", "foreign keys")


def test_a_cascade_that_is_not_logged(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, p INT)"})
    shard, user = s.shards[0], s.unique
    shard.server.run(f"CREATE TABLE {shard.schema}.parent (id INT PRIMARY KEY)",
                     f"ALTER TABLE {shard.schema}.t ADD FOREIGN KEY (p) REFERENCES {shard.schema}.parent (id) ON DELETE CASCADE",
                     f"CREATE USER {user}@'%' IDENTIFIED BY 'x'", f"GRANT SELECT ON `{shard.schema}`.* TO {user}@'%'",
                     f"GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO {user}@'%'")
    try:
        find(check(s, 1), "fail", f"{shard.schema}.t", "ON … CASCADE")
        s.source_config(1)["from"].update(user=user, password="x")
        s.save()
        find(check(s, 1), "fail", f"{shard.schema}.t", "ON … CASCADE")  # MariaDB hides its rules from this user
        shard.server.run(f"CREATE TABLE {shard.schema}.u LIKE {shard.schema}.t", f"DROP TABLE {shard.schema}.t",
                         f"RENAME TABLE {shard.schema}.u TO {shard.schema}.t",
                         f"ALTER TABLE {shard.schema}.t ADD FOREIGN KEY (p) REFERENCES {shard.schema}.parent (id)")
        assert not [f for f in check(s, 0) if "CASCADE" in f["what"]]
    finally:
        shard.server.run(f"DROP USER {user}@'%'")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_start_points_and_settings(scenario, flavor):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"}, flavors=(flavor, flavor), gtid=False)
    s.instance(1)["meta"] = {"binlog-name": "none.000001", "binlog-pos": 4}
    s.instance(2)["meta"]["binlog-pos"] = 1 << 40
    s.source_config(2)["server-id"] = int(s.shards[1].server.value("SELECT @@server_id"))
    s.save()
    findings = check(s, 1)
    find(findings, "fail", "source s1", "none.000001 is not on the server")
    find(findings, "fail", "source s2", "is behind the end of")
    find(findings, "fail", "source s2", "is the server's own")
    gtid = "0-1-999999999999" if flavor == "mariadb" else "11111111-2222-3333-4444-555555555555:1-5"
    s.instance(1)["meta"] = {"binlog-gtid": gtid}
    s.source_config(1)["enable-gtid"] = True
    s.save()
    find(check(s, 1), "fail", "source s1", "has GTIDs that the server has not")


def test_a_server_that_is_away_is_a_finding(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.source_config(2)["from"]["port"] = 1
    s.save()
    findings = check(s, 1)
    find(findings, "fail", "source s2", "DB_CONNECT")
    find(findings, "ok", "source s1", "log_bin is ON")


@pytest.mark.parametrize("mode", ["incremental", "all"])
def test_xa_transactions_on_mysql(scenario, mode):
    """MySQL tells prepared transactions only to who has XA_RECOVER_ADMIN; then they are named, with what to do."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"}, flavors=("mysql",), downstream="mariadb", targets=False, task={"task-mode": mode})
    shard, user, xid = s.shards[0], s.unique, f"{s.unique}_x"
    shard.server.run(f"CREATE USER {user}@'%' IDENTIFIED BY 'x'", f"GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}@'%'")
    prepared = False
    try:
        s.source_config(1)["from"].update(user=user, password="x")
        s.save()
        denied = find(check(s, 0), "warn" if mode == "all" else "note", "source s1", "XA_RECOVER_ADMIN")
        assert "GRANT XA_RECOVER_ADMIN" in denied["remedy"]
        shard.server.run(f"GRANT XA_RECOVER_ADMIN ON *.* TO {user}@'%'")
        find(check(s, 0), "ok", "source s1", "no XA transaction is prepared")
        conn = shard.server.connect(database=shard.schema)
        with conn.cursor() as cur:
            for statement in (f"XA START '{xid}'", "INSERT INTO t VALUES (1, 1)", f"XA END '{xid}'", f"XA PREPARE '{xid}'"):
                cur.execute(statement)
        prepared = True
        conn.close()
        named = find(check(s, 0), "warn", "source s1", "1 XA transactions are prepared now", xid.encode().hex())
        assert "XA ROLLBACK" in named["remedy"]
        assert ("the copy does not begin" if mode == "all" else "stops where that transaction ends") in json.dumps(named)
    finally:
        if prepared:
            shard.server.run(f"XA ROLLBACK '{xid}'")
        shard.server.run(f"DROP USER {user}@'%'")


def test_a_copy_from_mysql_without_xa_recover_admin(scenario):
    """The privilege is advice: a user without it copies and follows."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"}, flavors=("mysql",), downstream="mariadb", task={"task-mode": "all"})
    shard, user = s.shards[0], s.unique
    shard.server.run(f"CREATE USER {user}@'%' IDENTIFIED BY 'x'", f"GRANT SELECT, LOCK TABLES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}@'%'")
    try:
        s.source_config(1)["from"].update(user=user, password="x")
        s.save()
        s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
        s.start()
        s.runner.wait_caught_up()
        s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 2)")
        s.runner.wait_caught_up()
        assert list(s.rows("t")) == [(1, 1), (2, 2)]
        s.runner.stop()
    finally:
        shard.server.run(f"DROP USER {user}@'%'")
