"""`shardmerge events`: what it prints equals what the servers' own tools print, and what the tables hold; windows and filters;
files that are cut, damaged, encrypted; a live source."""
import gzip
import json
import os
import random
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from harness import events
from harness.random_tables import LAX, RandomTable
from harness.sm import ROOT, binary

FIXTURES = ROOT / "fixtures/binlog"
NAMES = sorted(p.name for p in FIXTURES.glob("*.binlog*"))
# mysqlbinlog ends a row at a spatial column
TOOL_GIVES_UP = {"mysql_metadata.binlog", "mysql_val_spatial.binlog"}
SEED = int(os.environ.get("SHARDMERGE_SEED") or random.randrange(2**32))


def plain_file(name: str, folder: Path) -> Path:
    path = FIXTURES / name
    if path.suffix != ".gz":
        return path
    out = folder / name[:-3]
    out.write_bytes(gzip.decompress(path.read_bytes()))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_every_fixture_says_what_the_servers_tool_says(name, tmp_path):
    path = plain_file(name, tmp_path)
    lines, status, said = events.read_events(path, check=False)
    assert status == 0, said
    summary = lines[-1]["summary"]
    assert summary["problems"] == 0 and summary["rows"] == sum(x.get("type") == "ROW" for x in lines)
    if name in TOOL_GIVES_UP:
        assert b"Don't know how to handle column type" in events.run_tool("mysql", path)
        return
    compared, _ = events.compare_with_tool("mysql" if name.startswith("mysql") else "mariadb", path, lines)
    assert compared > 0 or summary["rows"] == 0


@pytest.fixture
def written(pool, unique):
    """Runs a workload on a server; gives the binlog file it was written to."""
    made = []

    def run(flavor: str, metadata: str, image: str, work) -> tuple[object, Path]:
        server = pool.get(f"events-{flavor}-{metadata}-{image}", flavor, binlog_row_metadata=metadata, binlog_row_image=image)
        server.run(f"CREATE DATABASE IF NOT EXISTS `{unique}` DEFAULT CHARACTER SET utf8mb4")
        made.append(server)
        server.flush_binlog()
        file, _ = server.binlog_position()
        conn = server.connect()
        with conn.cursor() as cur:
            cur.execute(LAX)
            work(server, cur)
        conn.close()
        server.flush_binlog()
        return server, server.datadir / file

    yield run
    for server in made:
        server.run(f"DROP DATABASE IF EXISTS `{unique}`")


@pytest.mark.parametrize("metadata,image", [("FULL", "FULL"), ("MINIMAL", "FULL"), ("FULL", "MINIMAL")])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_random_tables(written, unique, flavor, metadata, image):
    """Random types, random rows: events = the server's own tool, and the events applied in order = SELECT."""
    print(f"SHARDMERGE_SEED={SEED}")
    tables = []

    def work(server, cur):
        tables.extend(RandomTable(SEED, server, unique, f"t{i}", 12) for i in range(6))
        for t in tables:
            cur.execute(t.ddl())
            t.write(cur, 40)

    server, path = written(flavor, metadata, image, work)
    lines, _, _ = events.read_events(path)
    compared, skipped = events.compare_with_tool(flavor, path, lines)
    assert compared > 3000 and skipped == 0, f"seed {SEED}: {compared} values compared, {skipped} not"
    for t in tables:
        difference = t.differences(events.replay(lines, t.name, "id" if metadata == "FULL" else "@1"), names=metadata == "FULL")
        assert not difference, f"seed {SEED}: {difference}"


# -- windows and filters, on one file -----------------------------------------------------------------------------------------------

FILE = FIXTURES / "mariadb_transactions_1.binlog"


def places(lines: list[dict]) -> list[int]:
    return [x["pos"] for x in lines if "pos" in x and x["type"] != "ROW"]


def test_windows_by_position():
    whole, _, _ = events.read_events(FILE)
    at = places(whole)
    some, _, _ = events.read_events(FILE, "--from", f"{FILE.name}:{at[5]}", "--until", f"{FILE.name}:{at[9]}")
    assert places(some) == at[5:9]
    some, _, _ = events.read_events(FILE, "--from", str(at[5]), "--limit", "2")
    assert places(some) == at[5:7]
    _, status, said = events.read_events(FILE, "--from", str(at[5] + 1), check=False)
    assert status == 2 and f"{at[5]}" in said and "no event begins there" in said
    _, status, said = events.read_events(FILE, "--from", "elsewhere.000009:4", check=False)
    assert status == 2 and "was not met" in said


def test_windows_by_gtid_and_time():
    whole, _, _ = events.read_events(FILE)
    gtids = list(dict.fromkeys(x["gtid"] for x in whole if x.get("gtid")))
    some, _, _ = events.read_events(FILE, "--from", gtids[1], "--until", gtids[2])
    assert list(dict.fromkeys(x["gtid"] for x in some if "gtid" in x)) == gtids[1:3]
    assert [x for x in some if "pos" in x] == [x for x in whole if x.get("gtid") in gtids[1:3] and x["type"] not in ("STOP", "ROTATE")]
    times = [x["time"] for x in whole if x.get("time")]
    none, _, _ = events.read_events(FILE, "--until", "2020-01-01")
    assert places(none) == []
    everything, _, _ = events.read_events(FILE, "--from", min(times), "--until", "2099-12-31 23:59")
    assert places(everything) == places(whole)
    _, status, said = events.read_events(FILE, "--from", "yesterday", check=False)
    assert status == 2 and "FILE:POS" in said


def test_filters_by_table_and_rows():
    whole, _, _ = events.read_events(FILE)
    some, _, _ = events.read_events(FILE, "--table", "fx.m")
    assert some[:-1] and all(x.get("table") == "m" or "m" in x.get("sql", "") for x in some[:-1])
    assert [x for x in some if x.get("type") == "ROW"] == [x for x in whole if x.get("type") == "ROW" and x["table"] == "m"]
    only, _, _ = events.read_events(FILE, "--rows", "--table", "f?.~^m$")
    assert only[:-1] == [x for x in whole if x.get("type") == "ROW" and x["table"] == "m"]
    none, _, _ = events.read_events(FILE, "--no-rows")
    assert not [x for x in none if x.get("type") == "ROW"] and places(none) == places(whole)
    assert sum(x.get("rows", 0) for x in none if "type" in x) == whole[-1]["summary"]["rows"]
    _, status, said = events.read_events(FILE, "--table", "f*x.t", check=False)
    assert status == 2 and "SM-1701" in said


def test_for_people():
    done = subprocess.run([binary(), "events", str(FIXTURES / "mariadb_bits.binlog")], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert "0-17-10 WRITE_ROWS_V1 fx.t rows=5 statement_end\n    + id=1 b1=0 " in done.stdout
    assert done.stdout.endswith("5 rows, 0 not read\n")
    done = subprocess.run([binary(), "events", str(FIXTURES / "mariadb_charsets.binlog"), "--rows"], capture_output=True, text=True)
    assert "c_latin1=_latin1 x'e980'" in done.stdout and "c_utf8mb4='ä€'" in done.stdout and "c_latin1=NULL" in done.stdout


def test_several_files_and_standard_input():
    second = FIXTURES / "mariadb_transactions_2.binlog"
    both, _, _ = events.read_events(FILE, second)
    one, _, _ = events.read_events(FILE)
    two, _, _ = events.read_events(second)
    assert both[:-1] == one[:-1] + two[:-1]
    piped, _, _ = events.read_events("-", stdin=FILE.read_bytes())
    assert [{**x, "file": ""} for x in piped[:-1]] == [{**x, "file": ""} for x in one[:-1]]


def test_a_reader_that_leaves_early():
    done = subprocess.run(f"{binary()} events {FILE} | head -1", shell=True, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1 and done.stderr == ""


# -- bad files ----------------------------------------------------------------------------------------------------------------------


def test_a_half_written_event(tmp_path):
    data = FILE.read_bytes()
    whole, _, _ = events.read_events(FILE)
    for cut in (10, 30):
        path = tmp_path / "cut.000001"
        path.write_bytes(data[:places(whole)[-1] + cut])
        lines, status, said = events.read_events(path, check=False)
        assert status == 3 and "the file ends inside this event" in said and f"cut.000001:{places(whole)[-1]}" in said
        assert lines[-1]["summary"]["problems"] == 1 and "SM-1402" in json.dumps(lines[-2])
        assert places(lines)[:-1] == places(whole)[:-1]
    path.write_bytes(data + b"\0" * 100)
    _, status, said = events.read_events(path, check=False)
    assert status == 3 and "zero bytes" in said


def test_a_damaged_event(tmp_path):
    """Shown raw with the reason; what follows is shown as well."""
    whole, _, _ = events.read_events(FILE)
    data, at = bytearray(FILE.read_bytes()), places(whole)[4]
    data[at + 25] ^= 1
    path = tmp_path / "bad.000001"
    path.write_bytes(data)
    lines, status, said = events.read_events(path, check=False)
    assert status == 3 and "wrong CRC32" in said and f"bad.000001:{at}" in said
    bad = [x for x in lines if "error" in x]
    assert len(bad) == 1 and bad[0]["pos"] == at and bad[0]["raw_bytes"] > 0 and bad[0]["raw"]
    assert places(lines) == places(whole)


def with_type(data: bytes, at: int, kind: int) -> bytes:
    """The event at `at` as one of another type, with a right checksum."""
    size = struct.unpack_from("<I", data, at + 9)[0]
    event = bytearray(data[at:at + size])
    event[4] = kind
    event[-4:] = struct.pack("<I", zlib.crc32(bytes(event[:-4])))
    return data[:at] + bytes(event) + data[at + size:]


def test_an_event_that_nobody_knows(tmp_path):
    whole, _, _ = events.read_events(FILE)
    at = next(x["pos"] for x in whole if x.get("type") == "XID")
    path = tmp_path / "new.000001"
    path.write_bytes(with_type(FILE.read_bytes(), at, 99))
    for extra in ((), ("--table", "no.such"), ("--rows",)):
        lines, status, said = events.read_events(path, *extra, check=False)
        assert status == 3 and "type 99" in said, f"{extra}: {said}"
        bad = [x for x in lines if "error" in x]
        assert len(bad) == 1 and bad[0]["type"] == "UNKNOWN_99" and len(bad[0]["raw"]) == 16


def test_rows_without_their_table_map(tmp_path):
    whole, _, _ = events.read_events(FILE)
    at = next(x["pos"] for x in whole if x.get("type") == "TABLE_MAP")
    path = tmp_path / "lost.000001"
    path.write_bytes(with_type(FILE.read_bytes(), at, 36))
    lines, status, said = events.read_events(path, check=False)
    assert status == 3 and "no TABLE_MAP was read" in said
    assert lines[-1]["summary"]["problems"] >= 1


def test_files_that_are_no_binlog(tmp_path):
    for head, text in ((b"\xfdbin" + b"x" * 600, "encrypted"), (b"#!/bin/sh\n", "no binlog"), (b"", "no binlog"), (b"\xfeb", "no binlog")):
        path = tmp_path / "x"
        path.write_bytes(head)
        _, status, said = events.read_events(path, check=False)
        assert status == 3 and text in said, f"{head[:10]}: {status} {said}"
    _, status, said = events.read_events(tmp_path / "missing", check=False)
    assert status == 3 and "No such file" in said


def test_an_encrypted_file_of_mariadb(tmp_path):
    """START_ENCRYPTION in front of bytes that mean nothing."""
    whole, _, _ = events.read_events(FILE)
    data, at = FILE.read_bytes(), places(whole)[1]
    body = bytes([1]) + struct.pack("<I", 7) + b"n" * 12
    head = struct.pack("<IBIIIH", 1, 164, 17, 19 + len(body) + 4, at + 19 + len(body) + 4, 0)
    event = head + body
    path = tmp_path / "secret.000001"
    path.write_bytes(data[:at] + event + struct.pack("<I", zlib.crc32(event)) + os.urandom(500))
    lines, status, said = events.read_events(path, check=False)
    assert status == 3 and "encrypted this file" in said and "--source" in said
    assert lines[1]["type"] == "START_ENCRYPTION" and lines[1]["key_version"] == 7


def test_a_relay_log(pool, unique, tmp_path):
    source, replica = pool.get_all([("events-source", "mariadb", {}), ("events-replica", "mariadb", {"relay_log": "relay"})])
    replica.replicate_from(source)
    source.run(f"CREATE DATABASE `{unique}`", f"CREATE TABLE `{unique}`.t (id INT PRIMARY KEY, v TEXT)", f"INSERT INTO `{unique}`.t VALUES (1, 'x'), (2, 'y')")
    replica.wait_replica_of(source)
    logs = sorted(p for p in replica.datadir.glob("relay.0*"))
    lines, _, _ = events.read_events(*logs)
    rows = [x for x in lines if x.get("type") == "ROW"]
    assert [r["after"] for r in rows] == [{"id": "1", "v": "x"}, {"id": "2", "v": "y"}]
    assert any(x.get("relay_log") for x in lines) and any(x.get("upstream_end") for x in lines)
    replica.stop_replica()
    source.run(f"DROP DATABASE `{unique}`")


# -- a live source ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_live(scenario, flavor):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v VARCHAR(20))"}, (flavor,))
    server, schema = s.shards[0].server, s.shards[0].schema
    file, pos = server.binlog_position()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'a')")
    first = server.gtid()
    server.flush_binlog()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 'b')", "UPDATE {s}.t SET v = 'c' WHERE id = 1")
    if flavor == "mysql":
        first = first.rsplit(",", 1)[-1].rsplit(":", 1)[0] + ":" + first.rsplit("-", 1)[-1]

    def live(*args):
        done = s.runner.verb("events", "--source", "s1", "--json", "--rows", "--table", f"{schema}.t", *args)
        assert done.returncode == 0, done.stderr
        return [x["after"] for x in map(json.loads, done.stdout.splitlines()) if "after" in x]

    everything = [{"id": "1", "v": "a"}, {"id": "2", "v": "b"}, {"id": "1", "v": "c"}]
    assert live("--from", f"{file}:{pos}") == everything
    assert live() == everything[1:], "the newest file"
    assert live("--from", first) == everything
    assert live("--from", first, "--until", first) == everything[:1]
    assert live("--from", "2020-01-01") == everything
    assert live("--from", "2099-01-01") == []
    assert live("--from", f"{file}:{pos}", "--limit", "2") == everything[:2]
    done = s.runner.verb("events", "--source", "nobody")
    assert done.returncode == 2 and "s1" in done.stderr and "SM-2201" in done.stderr
    done = s.runner.verb("events")
    assert done.returncode == 3 and "no binlog" in done.stderr and "--source" in done.stderr


def test_live_does_not_drive_out_the_running_task(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"}, ("mariadb",))
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up()
    done = s.runner.verb("events", "--source", "s1", "--rows")
    assert done.returncode == 0 and "+ id=1 v=1" in done.stdout, done.stdout + done.stderr
    s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 2)")
    s.runner.wait_caught_up()
    assert "SM-1303" not in s.runner.log(), s.runner.log_tail()
