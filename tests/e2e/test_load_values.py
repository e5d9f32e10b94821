"""A row that is copied and the same row from the stream are the same, bit for bit: in what is read (images against the
binlog's), in the keys that cut tables, and in what arrives."""
import os
import random
import subprocess
from pathlib import Path

import pytest

from harness.keys import make_key_tables
from harness.sm import ROOT, STOPPED
from harness.values import make_tables, value_tables

flavors = pytest.mark.parametrize("flavor", ["mariadb", "mysql"])


def tool(name: str, *args) -> str:
    """Runs a program of tests/harness/*.c; its last line."""
    path = Path(os.environ.get("SHARDMERGE_TOOLS", ROOT / "build/release/harness")) / name
    assert path.exists(), f"{path} is not there: run make e2e, or set SHARDMERGE_TOOLS"
    done = subprocess.run([path, *map(str, args)], capture_output=True, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, f"{name} {args}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout.splitlines()[-1]


def endpoint(server) -> tuple:
    return server.socket_path, server.user, server.password


@pytest.fixture
def schema(pool, unique, flavor):
    """(server, empty schema)"""
    server = pool.get(f"shard1-{flavor}", flavor)
    server.run(f"CREATE DATABASE `{unique}` DEFAULT CHARACTER SET utf8mb4")
    yield server, unique
    server.run(f"DROP DATABASE `{unique}`")


@flavors
def test_streamed_statements(pool, flavor):
    """Early ends, errors among the rows, values beyond 16 MiB, lost connections."""
    assert tool("stmt_check", *endpoint(pool.get(f"shard1-{flavor}", flavor))) == "0 faults"


@flavors
def test_images_are_those_of_the_binlog(schema, flavor):
    server, name = schema
    server.flush_binlog()
    binlog = server.datadir / server.binlog_position()[0]
    tables = value_tables(flavor)
    make_tables(server, name, tables)
    said = tool("image_check", flavor, *endpoint(server), name, binlog)
    assert said == f"{len(tables)} tables, {sum(len(t.rows) for t in tables)} rows, 0 differences"


@flavors
def test_keys_sort_and_select_like_the_server(schema, flavor):
    server, name = schema
    seed = int(os.environ.get("SHARDMERGE_SEED", random.randrange(10**9)))
    print(f"seed {seed}")
    make_key_tables(server, name, seed)
    assert tool("key_check", flavor, *endpoint(server), name, seed).endswith(" 0 faults")


def exact(server, schema: str, table: str) -> list[tuple]:
    """All rows in forms that hide nothing: bytes as they are stored, bytes as utf8mb4, members by number, floats whole."""
    columns = server.query("SELECT column_name, data_type, character_set_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
                           "ORDER BY ordinal_position", (schema, table))
    parts = []
    for name, kind, charset in columns:
        c = "`" + name.replace("`", "``") + "`"
        stored = f"IF(LENGTH({c}) > 400, SHA2({c}, 256), HEX({c}))"
        kind = kind.lower()
        if kind in ("float", "double"):
            parts += [f"CAST({c} AS DOUBLE)", f"CAST({c} AS CHAR)"]
        elif kind in ("enum", "set"):
            parts += [f"CAST({c} AS UNSIGNED)", f"HEX({c})"]
        elif kind == "bit":
            parts += [f"HEX({c})"]
        elif kind == "json":
            parts += [f"HEX(CAST({c} AS CHAR))", f"JSON_TYPE({c})"]
        elif charset:
            parts += [stored, f"LENGTH({c})", f"SHA2(CONVERT({c} USING utf8mb4), 256)"]
        elif kind in ("date", "time", "datetime", "timestamp", "year", "decimal", "tinyint", "smallint", "mediumint", "int", "bigint"):
            parts += [f"CAST({c} AS CHAR)"]
        else:
            parts += [stored, f"LENGTH({c})"]
    conn = server.connect()
    with conn.cursor() as cur:
        cur.execute("SET time_zone = '+00:00'")
        cur.execute(f"SELECT {', '.join(parts)} FROM `{schema}`.`{table}` ORDER BY 1")
        rows = list(cur.fetchall())
    conn.close()
    return rows


@flavors
def test_copied_and_streamed_rows_agree(scenario, flavor):
    """Twins of every table: one is filled before the task and copied, one after its start and streamed."""
    s = scenario
    tables = [t for t in value_tables(flavor) if not t.refused]
    s.make_downstream(flavor)
    s.make_shards((flavor,))
    shard = s.shards[0]
    shard.server.run(f"CREATE DATABASE `{shard.schema}` DEFAULT CHARACTER SET utf8mb4")
    make_tables(shard.server, shard.schema, tables, "_copied", at_once=True)
    make_tables(shard.server, shard.schema, tables, "_streamed", fill=False)
    for suffix in ("_copied", "_streamed"):
        make_tables(s.downstream, s.target, tables, suffix, fill=False)
    names = [t.name + suffix for t in tables for suffix in ("_copied", "_streamed")]
    s.write_task({n: n for n in names}, extra={"task-mode": "all", "load": {"chunk-rows": 3, "readers": 2}})
    s.start()

    def copied(status):
        errors = [source["error"] for source in status["sources"] if source["error"] and source["state"] in STOPPED]
        assert not errors, errors
        return (status["load"] or {}).get("state") == "done"

    s.runner.wait_for("the copy to be done", copied, timeout=120)
    make_tables(shard.server, shard.schema, tables, "_streamed", create=False)
    status = s.runner.wait_caught_up(120)
    assert status["load"]["rows"] == sum(len(t.rows) for t in tables), status["load"]
    differences = []
    for t in tables:
        a, b, want = (exact(server, schema, t.name + suffix) for server, schema, suffix in (
            (s.downstream, s.target, "_copied"), (s.downstream, s.target, "_streamed"), (shard.server, shard.schema, "_copied")))
        assert len(a) == len(t.rows), f"{t.name}: {len(a)} rows arrived"
        for row, (x, y, z) in enumerate(zip(a, b, want, strict=True)):
            differences += [f"{t.name} row {row + 1} value {i}: copied {str(p)[:80]}, streamed {str(q)[:80]}, source {str(r)[:80]}"
                            for i, (p, q, r) in enumerate(zip(x, y, z)) if not p == q == r]
    assert not differences, "\n".join(differences[:40])
    s.runner.stop()
