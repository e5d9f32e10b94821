"""What a review found by trying: orders inside one source, packets beyond the bound, servers that do not answer."""
import os
import signal
import time

import pytest

ROW = "(id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(20))"
BLOB = {"t": "(id BIGINT NOT NULL PRIMARY KEY, u INT UNIQUE, b LONGBLOB)"}


def two_tables_of_one_source(s):
    s.make_downstream("mariadb")
    s.make_shards(("mariadb",))
    shard = s.shards[0]
    shard.server.run(f"CREATE DATABASE `{shard.schema}`", *(f"CREATE TABLE `{shard.schema}`.t_{i} {ROW}" for i in (1, 2)))
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {ROW}")
    s.write_task({"t": "t_*"}, extra={"collision-grace": "2s"})
    s.start()


def union(s):
    shard = s.shards[0]
    return sorted(row for i in (1, 2) for row in shard.server.query(f"SELECT * FROM `{shard.schema}`.t_{i}"))


MOVE = ("INSERT INTO {s}.t_1 VALUES (5, 'a')", "UPDATE {s}.t_1 SET v = 'b' WHERE id = 5", "DELETE FROM {s}.t_2 WHERE id = 5")


@pytest.mark.parametrize("in_one", [True, False], ids=["one transaction", "three transactions"])
def test_a_row_that_changes_while_it_moves_keeps_its_last_value(scenario, in_one):
    s = scenario
    two_tables_of_one_source(s)
    s.shard_run(1, "INSERT INTO {s}.t_2 VALUES (5, 'old')")
    s.runner.wait_caught_up()
    s.shard_run(1, *(("BEGIN", *MOVE, "COMMIT") if in_one else MOVE))
    s.runner.wait_caught_up()
    assert s.rows("t") == union(s), "the UPDATE of the moved row was applied to the other table's row"


@pytest.mark.parametrize("size", [3_000_000, 14_000_000])
def test_an_update_beyond_the_packet_stops_its_source_only(scenario, size):
    """14 MB: the server cuts the connection without an answer, which must not look like a passing loss."""
    s = scenario
    s.make_plain(BLOB, flavors=("mariadb", "mariadb"), task={"retry-max": 8})
    before = s.downstream.value("SELECT @@global.max_allowed_packet")
    s.shards[0].server.run("SET GLOBAL max_allowed_packet = 134217728")
    s.downstream.run("SET GLOBAL max_allowed_packet = 1048576")
    try:
        s.start()
        s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1, 'x')")
        s.runner.wait_caught_up()
        s.shard_run(1, f"UPDATE {{s}}.t SET b = REPEAT('y', {size}) WHERE id = 1")
        s.runner.wait_error("s1", "APPLY_TOO_LARGE", 30)
        s.shard_run(2, "INSERT INTO {s}.t VALUES (2, 2, 'z')")
        s.runner.wait_for("the other source to go on", lambda _: len(s.rows("t")) == 2)
    finally:
        s.downstream.run(f"SET GLOBAL max_allowed_packet = {before}")


def end_within(s, seconds):
    began = time.monotonic()
    os.kill(s.runner.process.pid, signal.SIGTERM)
    s.runner.wait_exit(seconds)
    return time.monotonic() - began


def test_a_stop_ends_beside_a_silent_downstream(scenario):
    s = scenario
    s.make_plain({"t": ROW}, flavors=("mariadb",))
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'a')")
    s.runner.wait_caught_up()
    os.kill(s.downstream.pid, signal.SIGSTOP)
    try:
        s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 'b')")
        time.sleep(2)
        end_within(s, 40)
    finally:
        os.kill(s.downstream.pid, signal.SIGCONT)
    s.start()
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, "a"), (2, "b")]


def test_a_stop_ends_while_a_silent_source_is_asked_for_a_key(scenario):
    s = scenario
    tables = [f"t_{i}" for i in range(12)]
    s.make_downstream("mariadb")
    s.make_shards(("mariadb", "mariadb"))
    for shard in s.shards:
        shard.server.run(f"CREATE DATABASE `{shard.schema}`", *(f"CREATE TABLE `{shard.schema}`.`{t}` {ROW}" for t in tables))
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {ROW}")
    s.write_task({"t": "t_*"}, extra={"collision-grace": "1s"})
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t_0 VALUES (1, 'a')")
    s.runner.wait_caught_up()
    pid = s.shards[0].server.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        s.shard_run(2, "INSERT INTO {s}.t_0 VALUES (1, 'b')")
        time.sleep(3)
        end_within(s, 30)
    finally:
        os.kill(pid, signal.SIGCONT)
