"""Broken configurations and broken streams: each ends with its code, its place and a remedy; never passed over."""
import base64
import subprocess
import time

import pytest
import yaml

from harness.proxy import Proxy
from harness.servers import MariaDB
from harness.sm import ROOT, STOPPED, Runner, binary, has_code

T = {"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT)"}
FOLDER = ROOT / "fixtures/bad/config"


def expected_problems() -> dict[str, list[tuple[str, str]]]:
    """File → [(code, "line:column")], from the folder's table."""
    out: dict[str, list[tuple[str, str]]] = {}
    for line in (FOLDER / "EXPECTED").read_text().splitlines():
        name, code, place = line.split("\t")[:3]
        out.setdefault(name, []).append((code, place))
    return out


EXPECTED = expected_problems()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_broken_configurations(name):
    done = subprocess.run([binary(), "run", str(FOLDER / name)], capture_output=True, text=True, errors="replace", timeout=30)
    text = done.stdout + done.stderr
    assert done.returncode == 2, f"{name}: exit status {done.returncode}, expected 2\n{text}"
    for code, place in EXPECTED[name]:
        assert any(f"{name}:{place}" in line and code in line for line in text.splitlines()), \
            f"{name}: no line with {code} at {name}:{place} in\n{text}"


def test_there_are_enough_of_them():
    assert len(EXPECTED) >= 40 and set(EXPECTED) == {p.name for p in FOLDER.glob("*.yaml")}


def problem(s, source, *codes, timeout=30):
    """The source stops, or the program ends, with one of the codes; returns the text of the error."""
    def stopped(status):
        return not s.runner.running or any(x["id"] == source and x["error"] and x["state"] in STOPPED for x in status["sources"])

    try:
        status = s.runner.wait_for(f"{source} to stop with {' or '.join(codes)}", stopped, timeout)
        error = next((x["error"] for x in status["sources"] if x["id"] == source), None)
    except AssertionError:
        if s.runner.running:
            raise
        error = None
    if error:
        assert any(has_code(error, c) for c in codes), f"{source} stopped with {error}, expected {codes}"
        assert error["remedy"], f"no remedy: {error}"
        return error["message"]
    assert not s.runner.running, f"{source} has no error and the program runs on"
    assert s.runner.exit_status in (1, 2, 3), f"exit status {s.runner.exit_status}\n{s.runner.log_tail()}"
    assert any(has_code(s.runner.log(), c) for c in codes), f"expected {codes} in\n{s.runner.log_tail()}"
    return s.runner.log()


@pytest.mark.parametrize("statement", [
    "ALTER TABLE {s}.t ADD COLUMN w INT", "DROP TABLE {s}.t", "TRUNCATE TABLE {s}.t", "RENAME TABLE {s}.t TO {s}.other",
    "CREATE INDEX k_v ON {s}.t (v)", "CREATE OR REPLACE VIEW {s}.t2 AS SELECT 1", "DROP DATABASE {s}",
    "/* a comment */ alter /*!50000 table */ {s}.t comment 'x'",
])
def test_schema_change_of_a_routed_table(scenario, statement):
    """Stops before it: what came before is merged, what comes after is not."""
    s = scenario.make_plain(T, ("mariadb",))
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 2)", statement)
    if "VIEW" in statement:  # a view is no table: it passes
        s.shard_run(1, "INSERT INTO {s}.t VALUES (3, 3)")
        s.runner.wait_caught_up()
        assert len(s.rows("t")) == 3
        return
    text = problem(s, "s1", "SOURCE_DDL")
    words = statement.replace("{s}", "").split()
    assert words[-1].strip("'") in text or words[0] in text, f"the statement is not in the message: {text}"
    assert [r[0] for r in s.rows("t")] == [1, 2]


def test_schema_change_of_a_routed_table_on_mysql(scenario):
    s = scenario.make_plain(T, ("mysql",))
    s.start()
    s.runner.wait_caught_up()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)", "ALTER TABLE {s}.t ADD COLUMN w INT", "INSERT INTO {s}.t VALUES (2, 2, 2)")
    problem(s, "s1", "SOURCE_DDL")
    assert [r[0] for r in s.rows("t", "id")] == [1]


def test_create_table_that_a_rule_matches(scenario):
    """It is followed; one that drops another before is not."""
    s = scenario.make_plain({"t_1": T["t"]}, ("mariadb",))
    s.write_task({"t_1": "t_*"})
    s.start()
    s.runner.wait_caught_up()
    s.shard_run(1, "INSERT INTO {s}.t_1 VALUES (1, 1)", "CREATE TABLE {s}.t_2 (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO {s}.t_2 VALUES (2, 2)")
    s.runner.wait_caught_up()
    assert s.rows("t_1") == [(1, 1), (2, 2)]
    s.shard_run(1, "CREATE OR REPLACE TABLE {s}.t_2 (id BIGINT PRIMARY KEY, v INT)")
    problem(s, "s1", "SOURCE_DDL")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_other_ddl_and_administration_pass(scenario, flavor):
    s = scenario.make_plain(T, (flavor,))
    s.start()
    s.shard_run(1, "CREATE TABLE {s}.elsewhere (a INT)", "ALTER TABLE {s}.elsewhere ADD b INT", "ANALYZE TABLE {s}.t", "FLUSH TABLES",
                f"CREATE USER 'u{s.unique}'@'%' IDENTIFIED BY 'secret-Word1'", f"DROP USER 'u{s.unique}'@'%'",
                "DROP TABLE {s}.elsewhere", "CREATE TEMPORARY TABLE {s}.t3 (a INT)", "FLUSH BINARY LOGS", "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 1)]
    assert "secret" not in s.runner.log()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize("statement", ["INSERT INTO {s}.t VALUES (9, 9)", "UPDATE {s}.t SET v = 5 WHERE id = 1", "DELETE FROM {s}.t WHERE id = 1"])
def test_statement_format(scenario, flavor, statement):
    s = scenario.make_plain(T, (flavor,))
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.shard_run(1, "SET SESSION binlog_format = 'STATEMENT'", statement)
    problem(s, "s1", "SOURCE_STATEMENT")
    assert s.rows("t") == [(1, 1)]


def test_a_table_without_a_key_and_no_opt_in(scenario):
    s = scenario.make_plain({"n": "(a INT, b INT)"}, ("mariadb",), task={"allow-keyless-tables": False})
    s.start()
    s.shard_run(1, "INSERT INTO {s}.n VALUES (1, 1)")
    text = problem(s, "s1", "APPLY_TARGET", "TRACK_TARGET", "NOT_SUPPORTED")
    assert "allow-keyless-tables" in text or "key" in text, text


@pytest.mark.parametrize("column", ["FLOAT", "DOUBLE"])
def test_a_keyless_table_with_inexact_columns(scenario, column):
    s = scenario.make_plain({"n": f"(a INT, b {column})"}, ("mariadb",))
    s.start()
    s.shard_run(1, "INSERT INTO {s}.n VALUES (1, 0.1)")
    problem(s, "s1", "APPLY_TARGET", "TRACK_TARGET", "NOT_SUPPORTED")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
def test_purged_binlog(scenario, flavor, gtid):
    s = scenario.make_plain(T, (flavor,), gtid=gtid, server_options={"max_connections": 90})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)", "FLUSH BINARY LOGS", "INSERT INTO {s}.t VALUES (2, 2)", "FLUSH BINARY LOGS")
    server = s.shards[0].server
    last = server.binlog_position()[0]
    for _ in range(100):  # MariaDB purges a file only after InnoDB has written what was in it
        s.shard_run(1, f"PURGE BINARY LOGS TO '{last}'")
        if server.query("SHOW BINARY LOGS")[0][0] == last:
            break
        time.sleep(0.2)
    assert server.query("SHOW BINARY LOGS")[0][0] == last, f"not purged: {server.query('SHOW BINARY LOGS')}"
    s.start()
    problem(s, "s1", "SOURCE_PURGED")
    assert s.rows("t") == []


@pytest.mark.parametrize("where", ["source", "downstream"])
def test_wrong_password(scenario, where):
    s = scenario.make_plain(T, ("mariadb",))
    (s.source_config(1)["from"] if where == "source" else s.task["target-database"])["password"] = "not-the-Password1"
    s.save()
    s.start()
    problem(s, "s1", "DB_ACCESS_DENIED")
    assert "not-the-Password1" not in s.runner.log()


@pytest.mark.parametrize("where", ["source", "downstream"])
def test_a_password_encrypted_by_dmctl(scenario, where):
    s = scenario.make_plain(T, ("mariadb",))
    password = base64.b64encode(bytes(range(16)) + b"@" + bytes(range(16))).decode()
    (s.source_config(1)["from"] if where == "source" else s.task["target-database"])["password"] = password
    s.save()
    s.start()
    problem(s, "s1", "DB_ACCESS_DENIED")
    assert "dmctl" in s.runner.log() and "password-env" in s.runner.log(), s.runner.log_tail()
    for verb in ("check", "route") if where == "source" else ("check",):
        done = s.runner.verb(verb)
        text = done.stdout + done.stderr
        assert "dmctl" in text and "password-file" in text and password not in text, text


def test_nobody_listens(scenario):
    s = scenario.make_plain(T, ("mariadb",), task={"retry-max": 3})
    s.source_config(1)["from"]["port"] = 1
    s.save()
    s.start()
    problem(s, "s1", "DB_CONNECT")


def test_duplicate_server_id(scenario, pool):
    """A native replica of the shard has the number the source file asks for: told apart from a lost connection."""
    s = scenario.make_plain(T, ("mariadb",))
    replica = MariaDB("duplicate").start()
    try:
        replica.replicate_from(s.shards[0].server)
        s.source_config(1)["server-id"] = replica.number
        s.save()
        s.start()

        def seen(status):
            error = status["sources"] and status["sources"][0]["error"]
            return error and has_code(error, "SOURCE_SERVER_ID")

        try:
            s.runner.wait_for("the clash of server ids to be named", seen, 30)
        except AssertionError:
            assert has_code(s.runner.log(), "SOURCE_SERVER_ID"), s.runner.log_tail()
    finally:
        replica.destroy()


def test_a_free_server_id_is_chosen(scenario):
    """Two tasks and a native replica on one shard, none of which names a server id."""
    s = scenario.make_plain(T, ("mariadb",))
    replica = MariaDB("beside").start()
    schema = s.shards[0].schema
    try:
        replica.run("SET sql_log_bin = 0", f"CREATE DATABASE {schema}", f"CREATE TABLE {schema}.t {T['t']}",
                    f"SET GLOBAL gtid_slave_pos = '{s.shards[0].server.gtid()}'")
        replica.replicate_from(s.shards[0].server)
        s.start()
        other = Runner(s.folder / "other.yaml")
        task = {**s.task, "name": s.unique + "o", "state-dir": str(s.folder / "state2"),
                "routes": {"r-t": {**s.task["routes"]["r-t"], "target-schema": s.target + "2"}}}
        other.task_path.write_text(yaml.safe_dump(task, sort_keys=False))
        other.task_path.chmod(0o600)
        s.downstream.run(f"CREATE DATABASE {s.target}2")
        s._made.append((s.downstream, s.target + "2"))
        s.closers.append(other.kill9)
        other.start()
        for i in range(20):
            s.shard_run(1, f"INSERT INTO {{s}}.t VALUES ({i}, 1)")
        s.runner.wait_caught_up()
        other.wait_caught_up()
        replica.wait_replica_of(s.shards[0].server, 20)
        assert len(s.rows("t")) == 20 and s.downstream.value(f"SELECT COUNT(*) FROM {s.target}2.t") == 20
    finally:
        replica.destroy()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("more", [False, True], ids=["fewer", "more"])
def test_reset_of_the_binlogs(scenario, flavor, gtid, more):
    """Another history with the same server identity, also when it is longer than the one before."""
    s = scenario.make_plain(T, (flavor,), gtid=gtid, server_options={"max_connections": 91})
    s.start()
    s.shard_run(1, *(f"INSERT INTO {{s}}.t VALUES ({i}, 1)" for i in range(10)))
    s.runner.wait_caught_up()
    s.runner.stop()
    s.shards[0].server.reset_binlogs()
    for i in range(60 if more else 2):
        s.shard_run(1, f"INSERT INTO {{s}}.t VALUES ({100 + i}, 2)")
    s.start()
    problem(s, "s1", "SOURCE_HISTORY", "SOURCE_PURGED", *(() if more else ("SOURCE_PROTOCOL",)))
    assert len(s.rows("t")) == 10, "rows of another history were merged"


def test_a_gtid_set_of_another_server(scenario):
    s = scenario.make_plain(T, ("mysql",))
    s.instance(1)["meta"] = {"binlog-gtid": "11111111-2222-3333-4444-555555555555:1-100"}
    s.save()
    s.start()
    problem(s, "s1", "SOURCE_HISTORY", "SOURCE_PURGED")


def test_a_mariadb_gtid_that_is_not_there(scenario):
    s = scenario.make_plain(T, ("mariadb",))
    s.instance(1)["meta"] = {"binlog-gtid": "0-77-999999999"}
    s.save()
    s.start()
    problem(s, "s1", "SOURCE_HISTORY", "SOURCE_PURGED")


@pytest.mark.parametrize("position", [{"binlog-name": "binlog.000999", "binlog-pos": 4}, {"binlog-name": "binlog.000001", "binlog-pos": 2000000000}])
def test_a_position_that_is_not_there(scenario, position):
    s = scenario.make_plain(T, ("mariadb",), gtid=False)
    s.instance(1)["meta"] = position
    s.save()
    s.start()
    problem(s, "s1", "SOURCE_PURGED", "SOURCE_HISTORY", "SOURCE_PROTOCOL")


def test_a_position_inside_an_event(scenario):
    s = scenario.make_plain(T, ("mariadb",), gtid=False)
    s.instance(1)["meta"]["binlog-pos"] += 7
    s.save()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.start()
    problem(s, "s1", "SOURCE_PURGED", "SOURCE_HISTORY", "SOURCE_PROTOCOL", "SOURCE_SETTING", "CORRUPT")
    assert s.rows("t") == []


def test_gtids_out_of_order(scenario):
    s = scenario.make_plain(T, ("mariadb",), server_options={"gtid_strict_mode": "OFF"})
    s.start()
    s.shard_run(1, "SET SESSION gtid_seq_no = 900000000", "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up()
    s.shard_run(1, "SET SESSION gtid_seq_no = 800000000", "INSERT INTO {s}.t VALUES (2, 2)")
    problem(s, "s1", "SOURCE_GTID_ORDER")


def test_no_binlog(scenario, pool):
    s = scenario.make_plain(T, ("mariadb",))
    dark = MariaDB("dark", log_bin=None, skip_log_bin=True, binlog_row_metadata=None).start()
    try:
        s.source_config(1)["from"]["port"] = dark.port
        s.save()
        s.start()
        problem(s, "s1", "SOURCE_SETTING", "SOURCE_PURGED", "SOURCE_HISTORY")
    finally:
        dark.destroy()


def test_the_other_flavor(scenario):
    s = scenario.make_plain(T, ("mariadb",))
    s.source_config(1)["flavor"] = "mysql"
    s.save()
    s.start()
    problem(s, "s1", "CONFIG_VALUE", "SOURCE_SETTING", "GTID_SYNTAX")


@pytest.mark.parametrize("ddl,what", [
    ("CREATE TABLE {d}.t (id BIGINT PRIMARY KEY, v INT) ENGINE=MyISAM", "transactional"),
    ("CREATE TABLE {d}.t (id BIGINT PRIMARY KEY)", "column"),
    ("CREATE TABLE {d}.t (id BIGINT PRIMARY KEY, v INT, w INT NOT NULL)", "column"),
    ("CREATE VIEW {d}.t AS SELECT 1 AS id, 2 AS v", "view"),
])
def test_targets_that_do_not_fit(scenario, ddl, what):
    s = scenario.make_plain(T, ("mariadb",), targets=False)
    s.downstream.run(ddl.replace("{d}", f"`{s.target}`"))
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.start()
    problem(s, "s1", "APPLY_TARGET", "TRACK_TARGET")


def test_a_trigger_on_the_target(scenario):
    s = scenario.make_plain(T, ("mariadb",))
    s.downstream.run(f"CREATE TRIGGER `{s.target}`.tr BEFORE INSERT ON `{s.target}`.t FOR EACH ROW SET NEW.v = 0")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.start()
    text = problem(s, "s1", "APPLY_TARGET", "TRACK_TARGET")
    assert "trigger" in text.lower(), text


def test_a_missing_target_and_no_leave_to_create_it(scenario):
    s = scenario.make_plain(T, ("mariadb",), targets=False, task={"create-tables": False})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.start()
    problem(s, "s1", "APPLY_TARGET", "TRACK_TARGET", "DB_SCHEMA")


def test_damaged_bytes_on_the_way(scenario):
    """One flipped byte inside an event: the checksum finds it, the stream is read again, nothing wrong is merged."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v TEXT)"}, ("mariadb",))
    proxy = Proxy(s.shards[0].server.host, s.shards[0].server.port).start()
    s.closers.append(proxy.stop)
    s.source_config(1)["from"].update(host=proxy.host, port=proxy.port)
    s.save()
    proxy.damage_stream(b"find-this-text", b"find-thAs-text")
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'find-this-text')", "INSERT INTO {s}.t VALUES (2, 'x')")
    s.runner.wait_caught_up(60)
    assert s.rows("t") == [(1, "find-this-text"), (2, "x")]
    assert proxy.damaged == 1, "the byte was never flipped: the test proved nothing"


def test_downstream_user_without_the_right_to_create_the_meta_schema(scenario):
    s = scenario.make_plain(T, ("mariadb",))
    user = f"u{s.unique}"
    s.downstream.run(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'Pw-1-x'", f"GRANT ALL ON `{s.target}`.* TO '{user}'@'%'")
    s.task["target-database"].update(user=user, password="Pw-1-x")
    s.save()
    s.start()
    text = problem(s, "s1", "APPLY_META", "DB_ACCESS_DENIED")
    s.downstream.run(f"DROP USER '{user}'@'%'")
    assert "GRANT" in text or "GRANT" in s.runner.log(), f"no GRANT is printed: {text}"


def test_a_source_user_without_replication_rights(scenario):
    s = scenario.make_plain(T, ("mysql",))
    user = f"u{s.unique}"
    server = s.shards[0].server
    server.run(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'Pw-1-x'", f"GRANT SELECT ON *.* TO '{user}'@'%'")
    s.source_config(1)["from"].update(user=user, password="Pw-1-x")
    s.save()
    s.start()
    problem(s, "s1", "DB_ACCESS_DENIED")
    server.run(f"DROP USER '{user}'@'%'")
