"""What an operator needs that docs/reference/edge-cases.md names and no other file has."""
import json

T = {"t": "(id BIGINT PRIMARY KEY, v INT)"}


def findings(s):
    return json.loads(s.runner.verb("check", "--json").stdout)["findings"]


def says(s, level, where, words):
    return any(f["level"] == level and f["where"] == where and words in f["what"] for f in findings(s))


def test_lag_of_a_source_that_stands(scenario):
    """0 when there is nothing left; of a source that an error has stopped it grows. Such a source can be paused: a restart leaves it alone."""
    s = scenario.make_plain(T)
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up()
    s.runner.wait_for("no lag", lambda st: [x["lag_ms"] for x in st["sources"]] == [0, 0])
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1, 2)")
    s.runner.wait_error("s2", "APPLY_COLLISION")
    first = s.runner.source("s2")["lag_ms"]
    s.runner.wait_for("the lag to grow", lambda st: st["sources"][1]["lag_ms"] > first)
    s.runner.pause("s2")
    s.shard_run(1, "DELETE FROM {s}.t")
    s.runner.stop()
    s.start()
    s.runner.wait_for("the pause to outlive a restart", lambda st: st["running"] and st["sources"] and st["sources"][1]["state"] == "paused-by-user")
    s.runner.resume("s2")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 2)]
    s.runner.stop()


def test_check_looks_at_what_the_servers_are_set_to(scenario):
    s = scenario.make_plain(T)
    changes = [(s.shards[0].server, "binlog_row_image", "'MINIMAL'"), (s.shards[0].server, "binlog_expire_logs_seconds", "3600"),
               (s.downstream, "max_allowed_packet", "1048576")]
    before = [repr(server.value(f"SELECT @@GLOBAL.{name}")) for server, name, _ in changes]
    try:
        for server, name, value in changes:
            server.run(f"SET GLOBAL {name} = {value}")
        assert says(s, "warn", "source s1", "binlog_row_image is MINIMAL")
        assert says(s, "warn", "source s1", "binlog files are kept for 1 hours")
        assert says(s, "warn", "downstream", "max_allowed_packet is 1048576 bytes")
    finally:
        for (server, name, _), value in zip(changes, before):
            server.run(f"SET GLOBAL {name} = {value}")


def test_connections_of_the_readers(scenario):
    """At most two for each reader: on MariaDB the second one keeps the definition while a snapshot is taken."""
    readers = 2
    s = scenario.make_plain(T, ("mariadb",), task={"task-mode": "all", "shard-mode": "pessimistic", "load": {"readers": readers, "chunk-rows": 20, "rows-per-second": 200}})
    server, user = s.shards[0].server, f"{s.unique}_u"
    server.run(f"INSERT INTO `{s.shards[0].schema}`.t VALUES " + ", ".join(f"({i}, 1)" for i in range(1500)),
               f"CREATE USER {user}@'%' IDENTIFIED BY 'x'", f"GRANT ALL ON *.* TO {user}@'%'")
    try:
        s.source_config(1)["from"].update(user=user, password="x")
        s.save()
        s.start()
        seen, mine = [], f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{user}' AND COMMAND <> 'Binlog Dump'"

        def look(status):
            state = (status["load"] or {}).get("state")
            if state == "loading":
                seen.append(server.value(mine))
            return state == "done"

        s.runner.wait_for("the copy", look, 60)
        assert max(seen) >= 2 * readers, seen
        assert max(seen) <= 2 * readers + 2, f"more than the readers', one of status and one of the coordinator: {seen}"
        s.runner.wait_for("the readers to leave", lambda _: server.value(mine) == 0)
        s.runner.stop()
    finally:
        server.run(f"DROP USER {user}@'%'")
