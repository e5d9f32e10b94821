"""What an operator asks about schema changes: schema, ddl, locks; and the definition of a table where its stream begins."""
import json
import re
import sqlite3

import pytest
from harness.sm import has_code

FLAVORS = ["mariadb", "mysql"]


def make(scenario, flavors, tables, server_options=None, **extra):
    return scenario.make_plain(tables, flavors, flavors[0], task={"shard-mode": "pessimistic", **extra}, server_options=server_options)


def running(s):
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))


def answer(s, *args, status=0):
    done = s.runner.verb(*args, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_schema_is_given_where_the_stream_begins(scenario, flavor, tmp_path):
    """The source stops before a row of an unknown shape; the definition is checked, set, and the row is right."""
    s = make(scenario, (flavor,), {"t": "(id BIGINT PRIMARY KEY, a INT, b INT)"}, {"binlog_row_metadata": "MINIMAL"}, **{"shard-mode": "optimistic"})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 10, 20)", "ALTER TABLE {s}.t DROP COLUMN a", "ALTER TABLE {s}.t ADD COLUMN a INT",
                "INSERT INTO {s}.t (id, a, b) VALUES (2, 11, 22)")
    s.start()
    s.runner.wait_error("s1", "TRACK_START")
    name = f"{s.shards[0].schema}.t"
    right, wrong = tmp_path / "right.sql", tmp_path / "wrong.sql"
    engine = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=" + s.shards[0].server.query(
        f"SELECT TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{s.shards[0].schema}'")[0][0]
    right.write_text(f"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b INT) {engine};\n")
    wrong.write_text(f"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b BIGINT) {engine}")
    give = ("schema", "--source", "s1", "--table", name, "--set")
    busy = s.runner.verb(*give, str(right), "--yes")
    assert busy.returncode != 0 and has_code(busy.stderr, "STORE_LOCKED"), busy.stderr
    s.runner.stop()
    bad = s.runner.verb(*give, str(wrong), "--yes")
    assert bad.returncode == 1 and "bigint" in bad.stdout and "nothing was changed" in bad.stdout, bad.stdout + bad.stderr
    only = s.runner.verb(*give, str(right))
    assert only.returncode == 0 and "DROP COLUMN a" in only.stdout and "with --yes" in only.stdout, only.stdout + only.stderr
    assert answer(s, "schema", "--source", "s1")[0]["versions"] == []
    done = answer(s, *give, str(right), "--yes")
    assert done["shown"] and done["set"], done
    running(s)
    s.runner.wait_caught_up(60)
    shard = s.shards[0]
    assert list(s.rows("t", "id, a, b")) == sorted(shard.server.query(f"SELECT id, a, b FROM `{shard.schema}`.t"))
    assert s.rows("t", "id, b")[0] == (1, 20)
    versions = answer(s, "schema", "--table", name)[0]["versions"]
    assert [v["number"] for v in versions] == [0, 1, 2] and versions[0]["why"].startswith("set by "), versions
    assert "DROP COLUMN a" in versions[1]["statement"] and "`a`" not in versions[1]["definition"] and "`a`" in versions[2]["definition"]
    assert versions[1]["from"], "where it holds from"
    late = s.runner.verb("schema", "--table", name)
    assert late.returncode == 0 and "version 2" in late.stdout and "CREATE TABLE" in late.stdout, late.stdout
    s.runner.stop()
    late = s.runner.verb(*give, str(right), "--yes")
    assert late.returncode == 2 and "history" in late.stderr, late.stderr


@pytest.mark.parametrize("flavor", FLAVORS)
def test_journal_and_locks_tell_what_happened(scenario, flavor):
    s = make(scenario, (flavor, flavor), {"t": "(id BIGINT PRIMARY KEY, v INT)", "u": "(id BIGINT PRIMARY KEY, v INT)"})
    running(s)
    none = s.runner.verb("ddl")
    assert none.returncode == 0 and "no statement" in none.stdout, none.stdout + none.stderr
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT", "INSERT INTO {s}.t VALUES (1, 1, 1)")
    s.runner.wait_for("the lock", lambda st: any(t["lock"] for t in st["targets"]))
    locks = s.runner.verb("locks", "--target", f"{s.target}.t", "--json")
    assert locks.returncode == 1, locks.stdout
    lock = json.loads(locks.stdout)[0]
    assert lock["state"] == "waiting" and {m["state"] for m in lock["members"]} == {"held", "behind"}, lock
    held = next(m for m in lock["members"] if m["state"] == "held")
    assert "n" in held["difference"] and "ALTER TABLE" in lock["ddl"][0]
    shown = s.runner.verb("locks", "--decide", "release", "--source", "s1", "--table", f"{s.shards[0].schema}.t")
    assert shown.returncode == 0 and "with --yes" in shown.stdout, shown.stdout + shown.stderr
    assert answer(s, "ddl") == []
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN n INT", "INSERT INTO {s}.t VALUES (2, 2, 2)")
    s.runner.wait_caught_up(60)
    rows = answer(s, "ddl", "--target", f"{s.target}.t")
    assert [r["state"] for r in rows] == ["done"] and "ADD COLUMN" in rows[0]["statement"] and "`n`" in rows[0]["statement"], rows
    assert "n" in rows[0]["change"] and rows[0]["ended"] and rows[0]["error"] is None and rows[0]["attempts"] == 1
    assert answer(s, "ddl", "--target", f"{s.target}.u") == []
    # two shards that collide under a new unique key: the target refuses, and says it everywhere
    s.shard_run(1, "INSERT INTO {s}.u VALUES (1, 5)", "ALTER TABLE {s}.u ADD UNIQUE KEY uv (v)")
    s.shard_run(2, "INSERT INTO {s}.u VALUES (2, 5)", "ALTER TABLE {s}.u ADD UNIQUE KEY uv (v)")
    s.runner.wait_for("the refusal", lambda st: any(t["lock"] and t["lock"]["state"] == "operator" for t in st["targets"]), 60)
    failed = answer(s, "ddl", "--target", f"{s.target}.u", status=1)
    assert failed[0]["state"] == "failed" and "uv" in failed[0]["error"], failed
    words = s.runner.verb("ddl", "--target", f"{s.target}.u", "--limit", "1")
    assert words.returncode == 1 and "--decide retry" in words.stdout and "failed" in words.stdout, words.stdout
    s.shard_run(2, "UPDATE {s}.u SET v = 6 WHERE id = 2")
    s.downstream.run(f"UPDATE `{s.target}`.u SET v = 6 WHERE id = 2")
    retry = s.runner.verb("locks", "--target", f"{s.target}.u", "--decide", "retry", "--yes")
    assert retry.returncode == 0, retry.stdout + retry.stderr
    s.runner.wait_for("no lock", lambda st: not any(t["lock"] for t in st["targets"]), 60)
    assert answer(s, "ddl", "--target", f"{s.target}.u", "--limit", "1", status=0)[0]["state"] == "done"
    s.runner.wait_caught_up(60)
    s.runner.stop()
    floors = {r[0] for r in s.downstream.query(f"SELECT stream FROM `{s.meta}`.sm_floor")}
    assert floors == {"s1", "s2"}, "floors of rounds that are over go with them"
    assert answer(s, "ddl", "--limit", "1")[0]["state"] == "done", "without a process, too"


def test_floor_of_a_round_goes_though_the_program_is_killed(scenario):
    s = make(scenario, ("mariadb", "mariadb"), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.start(faults="ddl.round_over=kill@1")
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t ADD COLUMN n INT", f"INSERT INTO {{s}}.t VALUES ({n}, {n}, {n})")
    assert s.runner.wait_exit(60) < 0
    left = {r[0] for r in s.downstream.query(f"SELECT stream FROM `{s.meta}`.sm_floor")}
    assert any("#" in x for x in left), left
    s.start()
    s.runner.wait_caught_up(60)
    s.runner.stop()
    left = {r[0] for r in s.downstream.query(f"SELECT stream FROM `{s.meta}`.sm_floor")}
    assert left == {"s1", "s2"}, left
    assert [r[0] for r in s.rows("t")] == [1, 2]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_check_asks_for_what_changes_a_target(scenario, flavor):
    s = make(scenario, (flavor,), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    user = f"{s.unique}_c"
    s.downstream.run(f"CREATE USER `{user}`@`%` IDENTIFIED BY 'pw-Check.1'",
                     f"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `{s.target}`.* TO `{user}`@`%`",
                     f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `{s.meta}`.* TO `{user}`@`%`")
    try:
        s.task["target-database"].update(user=user, password="pw-Check.1")
        s.save()
        bad = s.runner.verb("check")
        assert bad.returncode == 1 and "ALTER, CREATE, INDEX, DROP is not granted" in bad.stdout, bad.stdout + bad.stderr
        assert f"GRANT ALTER, CREATE, INDEX, DROP ON `{s.target}`.* TO" in bad.stdout
        s.downstream.run(f"GRANT ALTER, CREATE, INDEX, DROP ON `{s.target}`.* TO `{user}`@`%`")
        assert "is not granted" not in s.runner.verb("check").stdout
    finally:
        s.downstream.run(f"DROP USER `{user}`@`%`")


@pytest.mark.parametrize("flavor", FLAVORS)
def test_status_says_who_waits_and_how_long_its_binlog_is_kept(scenario, flavor):
    s = make(scenario, (flavor, flavor), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    server = s.shards[0].server
    kept = server.query("SELECT @@GLOBAL.binlog_expire_logs_seconds")[0][0]
    server.run("SET GLOBAL binlog_expire_logs_seconds = 3600")
    try:
        running(s)
        s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT", "INSERT INTO {s}.t VALUES (1, 1, 1)")

        def held(st):
            return [h for x in st["sources"] for h in x.get("held", [])]

        status = s.runner.wait_for("what is kept", lambda st: any(h["binlog"] == "expires" for h in held(st)), 90)
        one = held(status)[0]
        assert 3000 < one["binlog_left_s"] <= 3600 and one["state"] == "held", one
        text = s.runner.verb("status").stdout
        assert "LOCKS" in text and f"waits for s2 {s.shards[1].schema}.t" in text and "HELD" in text, text
        assert re.search(r"its binlog is kept for another (5\d|60) min", text), text
        s.runner.stop()
    finally:
        server.run(f"SET GLOBAL binlog_expire_logs_seconds = {kept}")


def again(s):
    s.start()
    s.runner.wait_for("the streams", lambda st: st["sources"] and all(x["state"] in ("streaming", "waiting-for-lock") for x in st["sources"]))


def state_of(s, table="t"):
    return next((t["lock"]["state"] for t in s.runner.status()["targets"] if t["table"] == table and t["lock"]), "closed")


def wait_lock(s, state, table="t", timeout=60):
    s.runner.wait_for(f"a lock that is {state}", lambda st: any(t["table"] == table and (t["lock"] or {"state": "closed"})["state"] == state
                                                                for t in st["targets"]), timeout)


def failed(s, table="t"):
    """Two shards get a unique key under which their rows collide: the target refuses it."""
    running(s)
    failed_rows(s, table)


def failed_rows(s, table="t"):
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.{table} VALUES ({n}, 5)", f"ALTER TABLE {{s}}.{table} ADD UNIQUE KEY uv (v), ADD COLUMN n INT",
                    f"INSERT INTO {{s}}.{table} VALUES ({n}0, {n}0, {n})")
    wait_lock(s, "operator", table)


def decisions(s):
    with sqlite3.connect(f"file:{s.folder}/state/state.db?mode=ro", uri=True) as db:
        return db.execute("SELECT decision, asked_by, outcome FROM lock_decision ORDER BY 1").fetchall()


def union(s, table="t"):
    return sorted(r for shard in s.shards for r in shard.server.query(f"SELECT * FROM `{shard.schema}`.`{table}`"))


@pytest.mark.parametrize("flavor", FLAVORS)
def test_retry_plans_from_what_the_target_is_now(scenario, flavor):
    """The operator has changed the target by hand since the statement failed: what is there already is not done again."""
    s = make(scenario, (flavor, flavor), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    failed(s)
    s.shard_run(2, "UPDATE {s}.t SET v = 6 WHERE id = 2")
    s.downstream.run(f"UPDATE `{s.target}`.t SET v = 6 WHERE id = 2",
                     f"ALTER TABLE `{s.target}`.t ADD COLUMN n INT, ADD COLUMN extra INT DEFAULT 3, MODIFY v BIGINT")
    done = s.runner.verb("ddl", "--decide", "retry", "--target", f"{s.target}.t", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    s.runner.wait_caught_up(60)
    assert state_of(s) == "closed"
    assert [r[:3] for r in s.rows("t", "id, v, n")] == union(s)
    rows = answer(s, "ddl")
    assert [r["state"] for r in rows] == ["done", "skipped"] and "`n`" not in rows[0]["statement"] and "uv" in rows[0]["statement"], rows
    with pytest.raises(Exception, match="1062|Duplicate"):
        s.downstream.run(f"INSERT INTO `{s.target}`.t (id, v) VALUES (99, 5)")
    s.runner.stop()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_failed_statement_is_given_up(scenario, flavor):
    s = make(scenario, (flavor, flavor), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    failed(s)
    only = s.runner.verb("ddl", "--decide", "skip")
    assert only.returncode == 0 and "take the target as it is" in only.stdout and "with --yes" in only.stdout, only.stdout + only.stderr
    assert [r["state"] for r in answer(s, "ddl", status=1)] == ["failed"] and decisions(s) == []
    # the target lacks a column of its shards: it is not taken
    done = s.runner.verb("ddl", "--decide", "skip", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    lock = s.runner.wait_for("a refusal", lambda st: any("as it is" in ((t["lock"] or {}).get("failed") or "") for t in st["targets"]), 60)["targets"][0]["lock"]
    assert lock["state"] == "operator" and "`n`" in lock["failed"] and "give-up" in lock["choices"], lock
    assert [r["state"] for r in answer(s, "ddl")] == ["skipped"]
    s.shard_run(1, "UPDATE {s}.t SET v = 7 WHERE id = 10")
    s.downstream.run(f"ALTER TABLE `{s.target}`.t ADD COLUMN n INT")
    s.runner.kill9()
    again(s)
    assert state_of(s) == "operator"
    done = s.runner.verb("locks", "--decide", "give-up", "--target", f"{s.target}.t", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    s.runner.wait_caught_up(60)
    assert state_of(s) == "closed" and list(s.rows("t", "id, v, n")) == union(s)
    assert [d[0] for d in decisions(s)] == ["give-up", "give-up"] and all(d[1] and "take the target" in d[2] for d in decisions(s))
    # what follows is planned from the target without the key
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t DROP KEY uv, ADD COLUMN m INT DEFAULT 4", f"INSERT INTO {{s}}.t VALUES ({n}00, 5, 1, 2)")
    s.runner.wait_caught_up(60)
    assert list(s.rows("t", "id, v, n, m")) == union(s)
    none = s.runner.verb("ddl", "--decide", "skip", "--target", f"{s.target}.t", "--yes")
    assert none.returncode != 0 and "no statement of the target failed" in none.stderr, none.stdout + none.stderr
    s.runner.stop()


@pytest.mark.parametrize("fault", ["ddl.decision", "ddl.decided", "ddl.given_up", "ddl.altered@2"])
def test_killed_while_a_statement_is_given_up(scenario, fault):
    s = make(scenario, ("mariadb", "mariadb"), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    point, _, times = fault.partition("@")
    s.start(faults=f"{point}=kill@{times or 1}")
    failed_rows(s)
    s.downstream.run(f"ALTER TABLE `{s.target}`.t ADD COLUMN n INT")
    s.runner.verb("ddl", "--decide", "skip", "--yes")
    assert s.runner.wait_exit(60) < 0
    recorded = 0 if point == "ddl.decision" else 1
    assert len(decisions(s)) == recorded, "a decision and what it does are one"
    again(s)
    if not recorded:
        assert state_of(s) == "operator"
        assert s.runner.verb("ddl", "--decide", "skip", "--yes").returncode == 0
    s.runner.wait_caught_up(60)
    assert state_of(s) == "closed" and len(decisions(s)) == 1
    assert list(s.rows("t", "id, v, n")) == union(s)
    assert [r["state"] for r in answer(s, "ddl")] == ["skipped"]
    s.runner.stop()


@pytest.mark.parametrize("point", ["ddl.decision", "ddl.decided"])
def test_a_decision_is_kept_with_what_it_does(scenario, point):
    s = make(scenario, ("mariadb", "mariadb"), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.start(faults=f"{point}=kill")
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    s.shard_run(1, "ALTER TABLE {s}.t ADD COLUMN n INT", "INSERT INTO {s}.t VALUES (1, 1, 1)")
    wait_lock(s, "waiting")
    release = ("locks", "--decide", "release", "--source", "s1", "--yes")
    assert s.runner.verb(*release).returncode != 0
    assert s.runner.wait_exit(60) < 0
    recorded = point == "ddl.decided"
    assert len(decisions(s)) == recorded
    again(s)
    if not recorded:
        assert state_of(s) == "waiting"
        assert s.runner.verb(*release).returncode == 0
    s.runner.wait_caught_up(60)
    assert list(s.rows("t", "id, v, n")) == [(1, 1, 1)] and [d[0] for d in decisions(s)] == ["release"]
    s.runner.stop()


@pytest.mark.parametrize("flavor,mode,fault", [("mariadb", "pessimistic", ""), ("mysql", "optimistic", ""), ("mariadb", "optimistic", "ddl.decided"),
                                               ("mysql", "pessimistic", "ddl.decision"), ("mariadb", "pessimistic", "ddl.decision"),
                                               ("mysql", "pessimistic", "ddl.decided")])
def test_another_statement_counts(scenario, flavor, mode, fault):
    """What one shard ran was not meant: the target gets what the operator says, and its rows go there by their names."""
    s = make(scenario, (flavor, flavor), {"t": "(id BIGINT PRIMARY KEY, v INT, w VARCHAR(40))"}, **{"shard-mode": mode})
    s.start(faults=f"{fault}=kill" if fault else "")
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 'a')", "ALTER TABLE {s}.t ADD COLUMN c INT NOT NULL DEFAULT 7, ADD COLUMN x INT, RENAME COLUMN w TO name",
                "INSERT INTO {s}.t VALUES (2, 2, 'b', 22, 0)")
    wait_lock(s, "waiting")
    meant = "ADD COLUMN c BIGINT NOT NULL DEFAULT 5, ADD COLUMN d INT DEFAULT 9, RENAME COLUMN w TO label"
    decide = ("locks", "--decide", "replace", "--source", "s1", "--sql")
    for sql, code, words in [(f"ALTER TABLE `{s.target}`.t ADD COLUMN c DATE", "LOCK_DECISION", "do not fit"), ("DROP TABLE t", "USAGE", "ALTER TABLE"),
                             ("ALTER TABLE t DROP COLUMN nothing", "DDL_APPLY", "nothing"), ("ALTER TABLE u ADD COLUMN c INT", "USAGE", "neither"),
                             ("ALTER TABLE t ADD COLUMN", "DDL_SYNTAX", "--sql")]:
        bad = s.runner.verb(*decide, sql, "--yes")
        assert bad.returncode != 0 and has_code(bad.stderr, code) and words in bad.stderr, bad.stdout + bad.stderr
    only = s.runner.verb(*decide, f"ALTER TABLE `{s.target}`.t {meant}")
    assert only.returncode == 0 and "counts as" in only.stdout and "`x` is left out" in only.stdout and "with --yes" in only.stdout, only.stdout + only.stderr
    assert decisions(s) == [] and state_of(s) == "waiting"
    done = s.runner.verb(*decide, f"ALTER TABLE `{s.target}`.t {meant}", "--yes")
    if fault:
        assert s.runner.wait_exit(60) < 0
        again(s)
    if fault == "ddl.decision":
        assert decisions(s) == []
        done = s.runner.verb(*decide, "ALTER TABLE t ADD COLUMN c BIGINT NOT NULL DEFAULT 5, ADD COLUMN d INT DEFAULT 9",
                             "--sql", "ALTER TABLE t RENAME COLUMN w TO label", "--yes")
    assert done.returncode == 0 or fault == "ddl.decided", done.stdout + done.stderr
    assert [(d[0], meant.split(",")[0] in d[2]) for d in decisions(s)] == [("replace", True)]
    s.shard_run(2, "INSERT INTO {s}.t VALUES (101, 1, 'x')", "ALTER TABLE {s}.t " + meant, "INSERT INTO {s}.t VALUES (102, 2, 'y', 6, 8)")
    s.shard_run(1, "UPDATE {s}.t SET name = 'c', x = 5 WHERE id = 1", "INSERT INTO {s}.t VALUES (3, 3, 'd', 33, 1)")
    s.runner.wait_caught_up(60)
    assert state_of(s) == "closed"
    expected = [(1, 1, "c", 7, 9), (2, 2, "b", 22, 9), (3, 3, "d", 33, 9), (101, 1, "x", 5, 9), (102, 2, "y", 6, 8)]
    assert list(s.rows("t", "id, v, label, c, d")) == expected
    s.runner.kill9()
    again(s)
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t ADD COLUMN e INT DEFAULT 4, DROP COLUMN v")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (4, 'e', 44, 2, 3)", "DELETE FROM {s}.t WHERE id = 2")
    s.runner.wait_caught_up(60)
    assert state_of(s) == "closed"
    assert list(s.rows("t", "id, label, c, d, e")) == [(i, w, c, d, 4) for i, _, w, c, d in expected[:1]] + \
        [(3, "d", 33, 9, 4), (4, "e", 44, 9, 3), (101, "x", 5, 9, 4), (102, "y", 6, 8, 4)]
    s.runner.stop()


def test_killed_while_the_target_is_looked_at_before_a_retry(scenario):
    s = make(scenario, ("mariadb", "mariadb"), {"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.start(faults="ddl.given_up=kill")
    failed_rows(s)
    s.shard_run(2, "UPDATE {s}.t SET v = 6 WHERE id = 2")
    s.downstream.run(f"UPDATE `{s.target}`.t SET v = 6 WHERE id = 2", f"ALTER TABLE `{s.target}`.t ADD COLUMN n INT")
    s.runner.verb("ddl", "--decide", "retry", "--yes")  # it may die before it has answered
    assert s.runner.wait_exit(60) < 0
    again(s)
    assert [d[0] for d in decisions(s)] == ["retry"]
    s.runner.wait_caught_up(60)
    assert state_of(s) == "closed" and list(s.rows("t", "id, v, n")) == union(s)
    assert [r["state"] for r in answer(s, "ddl")] == ["done", "skipped"]
    s.runner.stop()
