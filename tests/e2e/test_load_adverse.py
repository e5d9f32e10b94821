"""The copy against the odds: keys that are compared in part, another server behind the address, tables without transactions, throttles that meet,
a stream that never rests."""
from __future__ import annotations

import threading
import time

import pytest

from harness import servers
from harness.oracle import assert_counters
from harness.proxy import Proxy
from harness.sm import has_code
from harness.workload import Shard

FLAVORS = pytest.mark.parametrize("flavor", ["mariadb", "mysql"])


def same_rows(s, table: str, key: str) -> None:
    there = sorted(r for shard in s.shards for r in shard.server.query(f"SELECT * FROM `{shard.schema}`.`{table}`"))
    merged = sorted(s.rows(table, order=key))
    assert merged == there, f"only in the shards {sorted(set(there) - set(merged))[:5]}, only merged {sorted(set(merged) - set(there))[:5]}"


def settled(s, table: str, key: str, timeout: float = 120) -> dict:
    status = s.runner.wait_caught_up(timeout)
    same_rows(s, table, key)
    assert_counters(status)
    s.runner.stop()
    return status


def through_a_proxy(s, proxy) -> None:
    """The first source."""
    s.source_config(1)["from"].update(host=proxy.host, port=proxy.port)
    s.save()


def held_chunks(proxy, table: str):
    """Chunks of the table wait, in their snapshots, for the rule's release before their rows are read."""
    return proxy.delay(rf"FROM `\w+`\.`{table}`.* WHERE .* ORDER BY ", seconds=250)


class Writer:
    """Statements of one shard, in a circle, until stop(); `{i}` counts."""

    def __init__(self, shard, *statements: str, pause: float = 0.003):
        self.shard, self.statements, self.pause = shard, statements, pause
        self.end, self.errors = threading.Event(), []
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        conn = self.shard.server.connect(database=self.shard.schema, autocommit=True)
        try:
            with conn.cursor() as c:
                i = 0
                while not self.end.is_set():
                    c.execute(self.statements[i % len(self.statements)].replace("{i}", str(i)))
                    i += 1
                    time.sleep(self.pause)
        except Exception as e:  # told by stop()
            self.errors.append(e)
        finally:
            conn.close()

    def stop(self) -> None:
        self.end.set()
        self.thread.join()
        assert not self.errors, self.errors


# -- rows that share what is comparable of their key --------------------------------------------------------------------
@FLAVORS
def test_a_key_that_begins_with_a_number_and_ends_with_text(scenario, flavor):
    """Chunks are cut by the number alone. What changes while a chunk is read is put to its own row, not to a neighbour's."""
    s = scenario.make_plain({"p": "(tenant INT NOT NULL, name VARCHAR(30) NOT NULL, v VARCHAR(30), PRIMARY KEY (tenant, name))"}, (flavor,),
                            task={"task-mode": "all", "load": {"chunk-rows": 25, "readers": 2}})
    s.shard_run(1, *(f"INSERT INTO {{s}}.p VALUES ({t}, CONCAT('n', {n}), 'old')" for t in range(1, 9) for n in range(6)))
    with Proxy(s.shards[0].server.host, s.shards[0].server.port) as proxy:
        through_a_proxy(s, proxy)
        rule = held_chunks(proxy, "p")
        s.start()
        rule.wait(60)
        for t in range(1, 9):
            s.shard_run(1, f"UPDATE {{s}}.p SET v = 'new' WHERE tenant = {t} AND name = 'n1'", f"DELETE FROM {{s}}.p WHERE tenant = {t} AND name = 'n2'",
                        f"INSERT INTO {{s}}.p VALUES ({t}, 'n2', 'again'), ({t}, 'more', 'new')", f"UPDATE {{s}}.p SET name = 'N3' WHERE tenant = {t} AND name = 'n3'",
                        f"DELETE FROM {{s}}.p WHERE tenant = {t} AND name = 'n4'")
        rule.release.set()
        settled(s, "p", "1, 2")


@FLAVORS
def test_a_storm_over_a_key_that_ends_with_text(scenario, flavor):
    s = scenario.make_plain({"p": "(tenant INT NOT NULL, name VARCHAR(30) NOT NULL, v INT, PRIMARY KEY (tenant, name))"}, (flavor,),
                            task={"task-mode": "all", "load": {"chunk-rows": 40, "readers": 3}})
    rows = ", ".join(f"({i % 40}, 'n{i}', 0)" for i in range(1200))
    s.shard_run(1, f"INSERT INTO {{s}}.p VALUES {rows}")
    writers = [Writer(s.shards[0], f"UPDATE p SET v = v + 1 WHERE tenant = {w} + {{i}} % 37", "DELETE FROM p WHERE tenant = {i} % 40 ORDER BY v DESC LIMIT 1",
                      f"INSERT IGNORE INTO p VALUES ({{i}} % 40, 'w{w}{{i}}', 1)", "UPDATE p SET name = UPPER(name) WHERE tenant = {i} % 40 LIMIT 2",
                      "UPDATE IGNORE p SET tenant = ({i} + 7) % 40 WHERE tenant = {i} % 40 LIMIT 2") for w in range(3)]
    s.start()
    s.runner.wait_for("the copy", lambda x: (x["load"] or {}).get("state") == "done", 120)
    for w in writers:
        w.stop()
    settled(s, "p", "1, 2")


# -- another server behind the same address -----------------------------------------------------------------------------
@pytest.fixture(params=["mariadb", "mysql"])
def pair(request):
    """A primary and its replica, whose binlog files have other names' numbers and positions."""
    primary, replica = servers.start_all([servers.make(request.param, "primary"), servers.make(request.param, "replica")])
    if request.param == "mariadb":
        replica.run("SET GLOBAL gtid_domain_id = 0")
    replica.run("FLUSH BINARY LOGS", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    replica.replicate_from(primary)
    yield primary, replica
    primary.destroy()
    replica.destroy()


def test_readers_that_meet_another_server_than_the_stream(scenario, pair):
    """The address leads new connections to the replica, while the stream still comes from the primary: positions of the one say nothing about the other."""
    primary, replica = pair
    s = scenario
    s.make_downstream("mariadb")
    s.shards = [Shard(primary, f"{s.unique}_s1", 1)]
    ddl = "(id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)"
    primary.run(f"CREATE DATABASE `{s.shards[0].schema}`", f"CREATE TABLE `{s.shards[0].schema}`.t {ddl}")
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {ddl}")
    rows = ", ".join(f"({i}, 0)" for i in range(1, 2001))
    s.shard_run(1, f"INSERT INTO {{s}}.t VALUES {rows}")
    replica.wait_replica_of(primary)
    s.write_task({"t": "t"}, extra={"task-mode": "all", "load": {"chunk-rows": 50, "readers": 2, "rows-per-second": 500}})
    with Proxy(primary.host, primary.port) as proxy:
        through_a_proxy(s, proxy)
        writer = Writer(s.shards[0], "UPDATE t SET v = v + 1 WHERE id = {i} % 2000", "DELETE FROM t WHERE id = 1000 + {i} % 900",
                        "INSERT INTO t VALUES (5000 + {i}, 1)", pause=0.005)
        s.start()
        s.runner.wait_for("some chunks", lambda x: (x["load"] or {}).get("rows", 0) > 100)
        proxy.server_port = replica.port
        for connection in list(proxy._open):  # all but the stream
            if not connection.streaming:
                connection.close()
        time.sleep(3)
        assert s.runner.running, s.runner.log_tail()
        writer.stop()
        replica.wait_replica_of(primary)  # before the stream comes to it: else it lacks what was merged already
        proxy.close_all()
        settled(s, "t", "1")
        assert "source.stopped" not in s.runner.log(), s.runner.log_tail()


# -- throttles that meet -------------------------------------------------------------------------------------------------
@FLAVORS
def test_max_lag_with_a_snapshot_of_the_task(scenario, flavor):
    """The stream waits for rows to be copied, and so falls behind: that must not hold the copy back."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)"}, (flavor,),
                            task={"task-mode": "all", "load": {"consistency": "snapshot", "chunk-rows": 20, "readers": 1, "rows-per-second": 200, "max-lag": "1s"}})
    rows = ", ".join(f"({i}, 0)" for i in range(1, 1001))
    s.shard_run(1, f"INSERT INTO {{s}}.t VALUES {rows}")
    s.start()
    s.runner.wait_for("some chunks", lambda x: (x["load"] or {}).get("rows", 0) > 20)
    s.shard_run(1, "UPDATE {s}.t SET v = 1 WHERE id > 900")
    settled(s, "t", "1")


# -- tables without transactions -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@FLAVORS
def test_tables_without_transactions(scenario, flavor, gtid):
    """No snapshot holds for them: each chunk is read under a lock of its table."""
    plain = "(id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL, w VARCHAR(100)) ENGINE=MyISAM"
    s = scenario.make_plain({"t": plain, "words": "(w VARCHAR(40) NOT NULL PRIMARY KEY, n INT) ENGINE=MyISAM"}, (flavor,), gtid=gtid, targets=False,
                            task={"task-mode": "all", "load": {"chunk-rows": 25, "readers": 2}})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL, w VARCHAR(100))",
                     f"CREATE TABLE `{s.target}`.words (w VARCHAR(40) NOT NULL PRIMARY KEY, n INT)")
    rows, words = ", ".join(f"({i}, 0, 'x')" for i in range(1, 1001)), ", ".join(f"('w{i}', 0)" for i in range(200))
    s.shard_run(1, f"INSERT INTO {{s}}.t VALUES {rows}", f"INSERT INTO {{s}}.words VALUES {words}")
    writers = [Writer(s.shards[0], "UPDATE t SET v = v + 1 WHERE id BETWEEN {i} % 1000 AND {i} % 1000 + 30", "DELETE FROM t WHERE id = {i} * 7 % 1000",
                      "INSERT IGNORE INTO t VALUES ({i} * 3 % 1000, 5, 'back')", f"INSERT INTO t VALUES (1000000 * {w} + {{i}}, 1, 'new')",
                      "UPDATE words SET n = n + 1 WHERE w = CONCAT('w', {i} % 200)") for w in (1, 2)]
    s.start()
    s.runner.wait_for("the copy", lambda x: (x["load"] or {}).get("state") == "done", 120)
    for w in writers:
        w.stop()
    same_after = settled(s, "t", "1")
    same_rows(s, "words", "1")
    assert sum(x["counters"]["loaded"] for x in same_after["sources"]) > 0, "no change met the copy"


# -- a source that is never at rest --------------------------------------------------------------------------------------
@FLAVORS
def test_full_ends_while_others_write(scenario, flavor):
    """What was committed when the last table was copied is there; what came later is nobody's business."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)"}, (flavor, flavor), task={"task-mode": "full"})
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES " + ", ".join(f"({n * 10**6 + i}, 0)" for i in range(500)))
    writers = [Writer(shard, f"UPDATE t SET v = v + 1 WHERE id = {shard.number * 10**6} + {{i}} % 500") for shard in s.shards for _ in range(2)]
    s.start()
    try:
        assert s.runner.wait_exit(120) == 0, s.runner.log_tail()
    finally:
        for w in writers:
            w.stop()
    assert s.rows("t", "COUNT(*)") == [(1000,)]


def test_what_is_kept_says_how_it_ended(scenario):
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)"}, ("mariadb",),
                            task={"task-mode": "full", "load": {"chunk-rows": 20, "readers": 1}})
    s.shard_run(1, "INSERT INTO {s}.t VALUES " + ", ".join(f"({i}, 0)" for i in range(500)))
    s.start(extra=("--rows-per-second", "20"))
    s.runner.wait_for("some chunks", lambda x: (x["load"] or {}).get("rows", 0) > 0)
    s.runner.stop()
    kept = s.runner.status()
    assert kept["state"] == "stopped"
    s.start()
    assert s.runner.wait_exit(120) == 0, s.runner.log_tail()
    done = s.runner.verb("status")
    assert done.returncode == 0 and ": finished (no process runs" in done.stdout, done.stdout
    assert "COPY  done  500 rows" in done.stdout, done.stdout
    status = s.runner.status()
    assert status["state"] == "finished" and status["load"]["state"] == "done" and status["load"]["rows"] == 500, status


def test_the_mode_of_a_task_that_has_begun(scenario):
    """Rows that were never copied cannot be had by another word in the file."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL)"}, ("mariadb",))
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.start()
    s.runner.wait_caught_up()
    s.runner.stop()
    s.task["task-mode"] = "all"
    s.save()
    s.start()
    assert s.runner.wait_exit(20) == 2
    assert has_code(s.runner.log(), "STATE_TASK_CHANGED"), s.runner.log_tail()
    assert "whether existing rows are copied is decided when a task begins" in s.runner.log() and "set task-mode back" in s.runner.log(), s.runner.log_tail()
    s.task["task-mode"] = "incremental"
    s.save()
    s.start()
    s.runner.wait_caught_up()
    s.runner.stop()


@FLAVORS
def test_a_copy_that_others_hold_up_keeps_its_stream(scenario, flavor):
    """The server gives up on a client that does not read for net_write_timeout: ours has good reason to."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v LONGBLOB)"}, (flavor,))
    server = s.shards[0].server
    before = server.value("SELECT @@global.net_write_timeout")
    server.run("SET GLOBAL net_write_timeout = 2")
    try:
        s.task["memory-limit"] = "64MiB"
        s.task["syncers"]["global"].update({"queue-size": 4, "batch": 5})
        s.save()
        s.start()
        s.runner.wait_caught_up()
        conn = s.downstream.connect()
        with conn.cursor() as cur:
            cur.execute(f"LOCK TABLES {s.target}.t READ")
            for i in range(60):
                s.shard_run(1, f"INSERT INTO {{s}}.t VALUES ({i}, REPEAT('x', 2000000))")
            time.sleep(8)
            cur.execute("UNLOCK TABLES")
        conn.close()
        status = s.runner.wait_caught_up(60)
        assert status["sources"][0]["reconnects"] == 0, status["sources"][0]
        assert s.rows("t", "COUNT(*)") == [(60,)]
    finally:
        server.run(f"SET GLOBAL net_write_timeout = {before}")


# -- the index -----------------------------------------------------------------------------------------------------------
@FLAVORS
def test_chunks_of_a_key_beside_the_primary_are_ranges_of_its_index(scenario, flavor):
    """The primary key is text, so the table is cut along its unique number: by that index, never by a scan and a sort."""
    s = scenario.make_plain({"t": "(k VARCHAR(30) NOT NULL PRIMARY KEY, n INT NOT NULL, v VARCHAR(50), UNIQUE KEY by_n (n))"}, (flavor,),
                            task={"task-mode": "all", "load": {"chunk-rows": 50, "readers": 1}})
    rows = ", ".join(f"('k{i}', {i * 7 % 1000}, 'x')" for i in range(1000))
    s.shard_run(1, f"INSERT INTO {{s}}.t VALUES {rows}")
    server = s.shards[0].server
    server.query(f"ANALYZE TABLE `{s.shards[0].schema}`.t")
    with Proxy(server.host, server.port) as proxy:
        through_a_proxy(s, proxy)
        s.start()
        settled(s, "t", "1")
        chunks = [x.text for x in proxy.find(r"SELECT .* FORCE INDEX \(`by_n`\) WHERE .*`n` > ")]
    assert len(chunks) > 5, "the table was not read along the key"
    for text in chunks[1:-1:5]:
        plan = server.query("EXPLAIN " + text.replace("?", "0"))
        assert "by_n" in str(plan) and "sort" not in str(plan).lower(), plan


# -- memory --------------------------------------------------------------------------------------------------------------
def test_a_row_that_changes_all_the_time_while_its_chunk_waits(scenario):
    """Each change of it is put into the chunk in memory; what it replaces must not stay."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v MEDIUMTEXT)"}, ("mysql",),
                            task={"task-mode": "all", "memory-limit": "16MiB", "load": {"chunk-rows": 20, "readers": 1, "chunk-bytes": "256KiB"}})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'a'), (2, 'b')")
    with Proxy(s.shards[0].server.host, s.shards[0].server.port) as proxy:
        through_a_proxy(s, proxy)
        rule = held_chunks(proxy, "t")
        s.start()
        rule.wait(60)
        before = s.runner.rss_peak_kb()
        for i in range(300):
            s.shard_run(1, f"UPDATE {{s}}.t SET v = REPEAT('{i % 10}', {400000 + i}) WHERE id = 1")
        rule.release.set()
        settled(s, "t", "1")
    grown = (s.runner.rss_peak_kb() - before) // 1024
    assert grown < 90, f"the images stayed: {grown} MB more, of 120 MB that were written"
