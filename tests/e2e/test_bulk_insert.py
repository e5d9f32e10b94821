"""Rows that MariaDB takes as values of a bulk INSERT are those it would have taken as text, for every type and value; and
what it refuses in bulk is decided by text, row by row where a row is at fault."""
import dataclasses

import pytest

from harness.values import LAX, make_tables, value_tables

from test_load_values import exact

LEAST = 20  # rows of a table: below 16 a batch is written as text anyway


def many(table):
    """The same table with its rows again under other keys, so that they are worth a bulk command; None: its key is no number."""
    rows = [r for r in table.rows if sum(len(v) for v in r if isinstance(v, (str, bytes))) < 100_000]
    if not all(isinstance(r[0], int) for r in rows):
        return None
    step, out = max(r[0] for r in rows) - min(r[0] for r in rows) + 1, []
    for k in range(-(-LEAST // len(rows))):
        out += [(r[0] + k * step, *r[1:]) for r in rows]
    return dataclasses.replace(table, rows=out) if max(r[0] for r in out) < 2**31 else None


def fill(server, schema: str, tables) -> None:
    """In one transaction: make_tables commits each row."""
    conn = server.connect(autocommit=False)
    with conn.cursor() as cur:
        cur.execute(LAX)
        for t in tables:
            for row in t.rows:
                cur.execute(t.insert(f"`{schema}`.`{t.name}`"), row)
    conn.commit()
    conn.close()


def bulk_commands(server) -> int:
    return int(server.query("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")[0][1])


@pytest.mark.parametrize("refused", [False, True], ids=["bulk", "refused"])
def test_every_value_in_bulk_and_as_text(scenario, refused):
    s, flavor = scenario, "mariadb"
    tables = [m for t in value_tables(flavor) if not t.refused and "AUTO_INCREMENT" not in t.columns.upper() for m in [many(t)] if m]
    assert len(tables) > 8
    s.make_downstream("mariadb")
    s.make_shards((flavor,))
    shard, downstream = s.shards[0], s.downstream
    shard.server.run(f"CREATE DATABASE `{shard.schema}` DEFAULT CHARACTER SET utf8mb4")
    make_tables(shard.server, shard.schema, tables, fill=False)
    fill(shard.server, shard.schema, tables)
    make_tables(downstream, s.target, tables, fill=False)
    s.write_task({t.name: t.name for t in tables}, extra={"task-mode": "all"})
    before = bulk_commands(downstream)
    s.runner.start(until="caught-up", **({"faults": "apply.prepare=error"} if refused else {}))
    assert s.runner.wait_exit(120) == 0, s.runner.log_tail()
    used = bulk_commands(downstream) - before
    assert refused or used >= 5, f"{used} bulk commands"
    assert ("applier.text" in s.runner.log()) == refused
    differences = []
    for t in tables:
        got, want = exact(downstream, s.target, t.name), exact(shard.server, shard.schema, t.name)
        assert len(got) == len(t.rows)
        for row, (x, y) in enumerate(zip(got, want, strict=True)):
            differences += [f"{t.name} row {row + 1} value {i}: arrived {str(p)[:80]}, source {str(q)[:80]}" for i, (p, q) in enumerate(zip(x, y)) if p != q]
    assert not differences, "\n".join(differences[:40])
