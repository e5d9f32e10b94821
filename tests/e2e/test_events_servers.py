"""Edge cases that only a server can show: files that it encrypts, table ids that it uses again, tables that changed behind the
binlog, files beyond 4 GiB; and what is held counts."""
import json
import os
import subprocess
import time

import pytest

from harness import events
from harness.oracle import assert_counters
from harness.sm import binary

T = "(id BIGINT PRIMARY KEY, v VARCHAR(40))"


@pytest.fixture
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text("1;" + "0123456789abcdef" * 4 + "\n")
    return path


def test_a_server_that_encrypts_its_binlog(scenario, key_file):
    """MariaDB with encrypt_binlog: the stream is plain, a live source too; the file is refused by name, from START_ENCRYPTION on."""
    s = scenario.make_plain({"t": T}, ("mariadb",), server_options={"plugin_load_add": "file_key_management", "file_key_management_filename": str(key_file),
                                                                    "encrypt_binlog": "ON"})
    server = s.shards[0].server
    try:
        assert server.value("SELECT @@encrypt_binlog") == 1
        file, _ = server.binlog_position()
        s.start()
        s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'a secret word')")
        server.flush_binlog()
        s.shard_run(1, "UPDATE {s}.t SET v = 'another one' WHERE id = 1", "INSERT INTO {s}.t VALUES (2, 'b')")
        s.runner.wait_caught_up()
        assert list(s.rows("t")) == [(1, "another one"), (2, "b")]
        s.runner.stop()
        path = server.datadir / file
        assert b"a secret word" not in path.read_bytes(), "the server did not encrypt the file"
        lines, status, said = events.read_events(path, check=False)
        assert status == 3 and "encrypted this file" in said and "--source" in said, said
        started = [x for x in lines if x.get("type") == "START_ENCRYPTION"]
        assert len(started) == 1 and started[0]["key_version"] == 1
        assert not [x for x in lines if x.get("type") == "ROW"]
        live = s.runner.verb("events", "--source", "s1", "--json", "--from", f"{file}:4")
        assert live.returncode == 0, live.stdout + live.stderr
        rows = [x["after"] for x in map(json.loads, live.stdout.splitlines()) if x.get("type") == "ROW" and "after" in x]
        assert {"id": "1", "v": "a secret word"} in rows and {"id": "2", "v": "b"} in rows
    finally:
        scenario.close()
        scenario._made.clear()
        scenario.pool.forget(server)


def table_ids(server, file: str) -> dict[int, set[str]]:
    """Table id → the tables that it stands for, in one file."""
    lines, _, _ = events.read_events(server.datadir / file)
    out: dict[int, set[str]] = {}
    for x in lines:
        if x.get("type") == "TABLE_MAP":
            out.setdefault(x["table_id"], set()).add(x["table"])
    return out


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_several_tables_in_a_statement_and_ids_used_again(scenario, flavor):
    """Joined UPDATEs and DELETEs; after a restart the same ids mean other tables, and the stream goes on over it."""
    tables = {name: T for name in ("a", "b", "c")}
    s = scenario.make_plain(tables, (flavor,), downstream="mariadb", server_options={"max_connections": 93})
    server = s.shards[0].server
    server.restart()  # what a server opens while it starts takes ids as well: both lives begin alike
    s.start()
    s.shard_run(1, *(f"INSERT INTO {{s}}.{t} VALUES (1, '{t}'), (2, '{t}'), (3, '{t}')" for t in tables),
                "UPDATE {s}.a JOIN {s}.b USING (id) JOIN {s}.c USING (id) SET a.v = 'joined', b.v = 'joined', c.v = concat(a.v, b.v) WHERE id < 3",
                "DELETE {s}.a, {s}.c FROM {s}.a JOIN {s}.c USING (id) WHERE id = 3")
    s.runner.wait_caught_up()
    before = table_ids(server, server.binlog_position()[0])
    server.restart()
    s.shard_run(1, *(f"INSERT INTO {{s}}.{t} VALUES (7, 'after')" for t in reversed(tables)),
                "UPDATE {s}.c JOIN {s}.b USING (id) SET c.v = 'again', b.v = 'again' WHERE id > 1")
    s.runner.wait_caught_up()
    after = table_ids(server, server.binlog_position()[0])
    assert any(i in after and before[i] != after[i] for i in before), f"no id was used again for another table: {before} {after}"
    for t in tables:
        assert list(s.rows(t)) == list(server.query(f"SELECT * FROM `{s.shards[0].schema}`.{t} ORDER BY id")), t
    s.runner.stop()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_another_number_of_columns(scenario, flavor):
    """A column that came without the binlog: the source stops, names both lists, and writes nothing of it."""
    s = scenario.make_plain({"t": T}, (flavor,), downstream="mariadb")
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'x')")
    s.runner.wait_caught_up()
    s.shard_run(1, "SET SESSION sql_log_bin = 0", "ALTER TABLE {s}.t ADD COLUMN unseen INT", "SET SESSION sql_log_bin = 1", "INSERT INTO {s}.t VALUES (2, 'y', 5)")
    error = s.runner.wait_error("s1", "TRACK_MISMATCH")
    assert "3 columns" in error["message"] and "(id,v,unseen)" in error["message"] and "(id,v)" in error["message"], error
    assert list(s.rows("t")) == [(1, "x")]


def test_every_row_ends_in_one_counter(scenario):
    """received = applied + filtered + held + refused, with none of them 0: one shard waits for a schema change of the other, which
    stops at rows of another table than is known."""
    s = scenario.make_plain({"t": T, "other": T}, ("mariadb", "mariadb"), task={"shard-mode": "pessimistic"})
    for n in (1, 2):
        s.shard_run(n, f"CREATE TABLE {{s}}.noise {T}")
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'a'), (2, 'b')", "INSERT INTO {s}.noise VALUES (1, ''), (2, ''), (3, '')",
                "ALTER TABLE {s}.t ADD COLUMN n INT", "INSERT INTO {s}.t VALUES (3, 'c', 3), (4, 'd', 4), (5, 'e', 5)", "UPDATE {s}.t SET n = 1 WHERE id = 1",
                "INSERT INTO {s}.other VALUES (1, 'passes')")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (101, 'x'), (102, 'y')", "INSERT INTO {s}.noise VALUES (1, '')", "SET SESSION sql_log_bin = 0",
                "ALTER TABLE {s}.other ADD COLUMN unseen INT", "SET SESSION sql_log_bin = 1", "INSERT INTO {s}.other VALUES (101, '', 1), (102, '', 2)")
    s.runner.wait_error("s2", "TRACK_MISMATCH")
    want = {"s1": {"read": 10, "applied": 3, "filtered": 3, "held": 4}, "s2": {"read": 3, "applied": 2, "filtered": 1, "held": 0}}

    def settled(status):
        return all({k: x["counters"][k] for k in want[x["id"]]} == want[x["id"]] for x in status["sources"])

    status = s.runner.wait_for(f"the counters {want}", settled)
    assert_counters(status)
    received = {"s1": 10, "s2": 5}  # as the servers wrote them; the two behind s2's stop are refused, and nothing of them is counted as read
    refused = {k: received[k] - next(x for x in status["sources"] if x["id"] == k)["counters"]["read"] for k in received}
    assert refused == {"s1": 0, "s2": 2}
    assert sorted(s.rows("t")) == [(1, "a"), (2, "b"), (101, "x"), (102, "y")] and list(s.rows("other")) == [(1, "passes")]


@pytest.mark.skipif(not os.environ.get("SHARDMERGE_HUGE_FILE"), reason="SHARDMERGE_HUGE_FILE=1: writes 9 GB and takes minutes")
def test_a_file_beyond_4_gib(scenario):
    """One transaction makes a binlog file of more than 4 GiB: what stands behind is read at its place, from the server and from the file."""
    s = scenario.make_plain({"t": T}, ("mariadb",), server_options={"plugin_load_add": "ha_blackhole", "max_binlog_cache_size": 8 << 30})
    server, schema = s.shards[0].server, s.shards[0].schema
    try:
        server.run(f"CREATE TABLE {schema}.big (id INT, v LONGBLOB) ENGINE=BLACKHOLE")
        s.start()
        server.flush_binlog()
        file, _ = server.binlog_position()
        began = time.monotonic()
        s.shard_run(1, "BEGIN", "INSERT INTO {s}.big SELECT seq, REPEAT('x', 15000000) FROM {s}.seq_1_to_300", "INSERT INTO {s}.t VALUES (1, 'behind')", "COMMIT",
                    "INSERT INTO {s}.t VALUES (2, 'next file')")
        path = server.datadir / file
        size = path.stat().st_size
        assert size > 2**32, size
        written = time.monotonic()
        s.runner.wait_caught_up(600)
        print(f"{size} bytes: written in {written - began:.0f} s, merged in {time.monotonic() - written:.0f} s")
        assert list(s.rows("t")) == [(1, "behind"), (2, "next file")]
        assert_counters(s.runner.status())
        s.runner.stop()
        done = subprocess.run([binary(), "events", str(path), "--json", "--rows", "--table", f"{schema}.t"], capture_output=True, text=True)
        rows = [x for x in map(json.loads, done.stdout.splitlines()) if x.get("type") == "ROW"]
        assert done.returncode == 0 and len(rows) == 1 and rows[0]["after"] == {"id": "1", "v": "behind"} and rows[0]["pos"] > 2**32, done.stdout + done.stderr
        live = s.runner.verb("events", "--source", "s1", "--json", "--rows", "--table", f"{schema}.t", "--from", f"{file}:4", timeout=600)
        again = [x for x in map(json.loads, live.stdout.splitlines()) if x.get("type") == "ROW"]
        assert live.returncode == 0 and again[0]["pos"] == rows[0]["pos"] and len(again) == 2, live.stdout + live.stderr
        there = s.runner.verb("events", "--source", "s1", "--from", f"{file}:{rows[0]['pos']}", "--limit", "1", timeout=600)  # read from the file's head
        assert there.returncode == 0 and f"{file}:{rows[0]['pos']}-" in there.stdout, there.stdout + there.stderr
        s.task.update({"name": s.unique + "p", "state-dir": str(s.folder / "state2")})
        s.source_config(1)["enable-gtid"] = False
        s.instance(1)["meta"] = {"binlog-name": file, "binlog-pos": rows[0]["pos"]}
        s.save()
        s.start()
        error = s.runner.wait_error("s1", "NOT_SUPPORTED")
        assert f"{file}:{rows[0]['pos']}" in error["message"] and "GTID" in error["message"] + error["remedy"], error
    finally:
        scenario.close()
        scenario._made.clear()
        scenario.pool.forget(server)
