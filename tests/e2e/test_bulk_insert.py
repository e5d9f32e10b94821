"""Rows that MariaDB takes as values of a bulk INSERT are those it would have taken as text, bit for bit, for every type and
value, copied and streamed, from both kinds of source; and what it refuses in bulk is decided by text, row by row where a
row is at fault."""
import dataclasses
import re

import pytest

from harness.oracle import compare
from harness.sm import STOPPED, Runner
from harness.values import LAX, ValueTable, make_tables, value_tables

from test_load_values import exact

LEAST = 40    # rows of a table: below 16 a batch is written as text anyway
LONGEST = 2 << 20  # bytes of a row
TEXT_FAULT = "apply.prepare=error"
# what has no bulk form (apply/rowbulk.h): text of other charsets, JSON numbers, spatial values, native types
TEXT_ONLY = {"everything", "lengths", "spatial", "native", "charsets_char12", "charsets_varchar20", "charsets_text"}
flavors = pytest.mark.parametrize("flavor", ["mariadb", "mysql"])


def own_tables() -> list[ValueTable]:
    """What the common tables mix with columns that send a table as text: utf8 text, bytes, large values, NULL everywhere."""
    sizes = [0, 1, 249, 250, 251, 252, 65535, 65536, 1 << 20]
    blobs = [(i + 1, b"\x00\xfe\xff'\\\x1a"[i % 6:i % 6 + 1] * n, "ü" * (n // 2), None if i % 2 else "t" * min(n, 255)) for i, n in enumerate(sizes)]
    blobs.append((len(sizes) + 1, None, None, None))
    texts = ["", "a", "ab  ", "  ", "ä€𝄞", "tab\t\n\r\0\x1a'\"\\`%_", "e\u0301\ufffd", "\ufeff", "\uffff", "x" * 250, "x" * 251, "😀" * 63, None]
    raw = [b"", b"\0", b"abc\0\0", b"\0abc", b" ", b"abc  ", b"\xff" * 8, b"\xc3\x28\xed\xa0\x80", bytes(range(200)), None]
    own = [("a", f"CHAR(255)", texts), ("v", "VARCHAR(300)", texts), ("n", "VARCHAR(300) NOT NULL DEFAULT 'x'", texts[:-1]), ("m3", "VARCHAR(300) CHARACTER SET utf8mb3", ["", "ä€", "a ", None]),
           ("b", "BINARY(255)", raw), ("b8", "BINARY(8)", raw[:7] + [None]), ("vb", "VARBINARY(300)", raw), ("tt", "TINYTEXT", texts[:6]), ("bl", "BLOB", raw),
           ("nb", "BINARY(4) NOT NULL DEFAULT 'x'", [b"", b"\0\0\0\1", b"a"])]
    rows = [tuple([i + 1] + [values[i % len(values)] for _, _, values in own]) for i in range(LEAST)]
    plain = ValueTable("plain", "id BIGINT UNSIGNED NOT NULL PRIMARY KEY, " + ", ".join(f"{n} {d}" for n, d, _ in own), ("id", *[n for n, _, _ in own]), rows)
    top = [(2**64 - 1 - i, 2**64 - 1 - i, -2**63 + i, 2**63 + i) for i in range(LEAST)]
    nulls = [(i + 1, *[None] * 6) for i in range(LEAST)]
    return [plain, ValueTable("blobs", "id INT NOT NULL PRIMARY KEY, b LONGBLOB, t LONGTEXT, s VARCHAR(255)", ("id", "b", "t", "s"), blobs),
            ValueTable("top", "id BIGINT UNSIGNED NOT NULL PRIMARY KEY, u BIGINT UNSIGNED, s BIGINT, w BIGINT UNSIGNED", ("id", "u", "s", "w"), top[::-1]),
            ValueTable("nulls", "id INT NOT NULL PRIMARY KEY, i INT, d DECIMAL(65,30), t TIME(6), x TEXT, b BIT(7), f DOUBLE", ("id", "i", "d", "t", "x", "b", "f"), nulls)]


def many(table):
    """The same table with its rows again under other keys, so that they are worth a bulk command."""
    rows = [r for r in table.rows if sum(len(v) for v in r if isinstance(v, (str, bytes))) < LONGEST]
    step, out = max(r[0] for r in rows) - min(r[0] for r in rows) + 1, []
    for k in range(-(-LEAST // len(rows))):
        out += [(r[0] + k * step, *r[1:]) for r in rows]
    return dataclasses.replace(table, rows=out)


def many_tables(flavor: str) -> list[ValueTable]:
    absent = {"vectors"}  # MariaDB 10.11 has no such type
    return [many(t) for t in value_tables(flavor) + own_tables() if not t.refused and t.name not in absent]


def fill(server, schema: str, tables, suffix: str) -> None:
    """A transaction a table: make_tables commits each row."""
    conn = server.connect(autocommit=False)
    with conn.cursor() as cur:
        cur.execute(LAX)
        for t in tables:
            for row in t.rows:
                cur.execute(t.insert(f"`{schema}`.`{t.name}{suffix}`"), row)
            conn.commit()
    conn.close()


class Prepared:
    """Which tables of a schema are written by prepared INSERTs, by the server's own log."""

    def __init__(self, server, schema: str):
        self.server, self.schema = server, schema
        server.run("SET GLOBAL log_output='TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log=ON")

    def tables(self) -> set[str]:
        found = self.server.query("SELECT DISTINCT LEFT(CONVERT(argument USING utf8mb4), 200) FROM mysql.general_log WHERE command_type = 'Prepare'")
        names = [re.match(rf"INSERT INTO `{self.schema}`\.`(.*?)`\(", a) for a, in found]
        return {m[1] for m in names if m}

    def stop(self):
        self.server.run("SET GLOBAL general_log=OFF", "SET GLOBAL log_output='FILE'", "TRUNCATE mysql.general_log")


def second_task(s, tables: dict, extra: dict) -> Runner:
    """The same sources into another schema, by a program of its own."""
    first = (s.task, s.target, s.meta, s.runner, s.folder)
    s.target, s.meta, s.runner, s.folder = s.target + "2", s.meta + "2", None, s.folder / "second"
    s.folder.mkdir()
    s._made += [(s.downstream, s.target), (s.downstream, s.meta)]
    s.downstream.run(f"CREATE DATABASE `{s.target}` DEFAULT CHARACTER SET utf8mb4")
    s.write_task(tables, extra=extra)
    runner = s.runner
    s.closers.append(runner.kill9)
    s.task, s.target, s.meta, s.runner, s.folder = first
    return runner


def copied(status) -> bool:
    errors = [source["error"] for source in status["sources"] if source["error"] and source["state"] in STOPPED]
    assert not errors, errors
    return (status["load"] or {}).get("state") == "done"


@flavors
def test_every_value_in_bulk_and_as_text(scenario, flavor):
    s, suffixes = scenario, ("_copied", "_streamed")
    tables = many_tables(flavor)
    s.make_downstream("mariadb")
    s.make_shards((flavor,))
    shard, downstream = s.shards[0], s.downstream
    shard.server.run(f"CREATE DATABASE `{shard.schema}` DEFAULT CHARACTER SET utf8mb4")
    for suffix in suffixes:
        make_tables(shard.server, shard.schema, tables, suffix, fill=False)
    fill(shard.server, shard.schema, tables, "_copied")
    names = {t.name + x: t.name + x for t in tables for x in suffixes}
    extra = {"task-mode": "all"}
    s.write_task(names, extra=extra)
    text, text_target = second_task(s, names, {**extra, "name": s.unique + "b"}), s.target + "2"
    for suffix in suffixes:
        make_tables(downstream, s.target, tables, suffix, fill=False)
        make_tables(downstream, text_target, tables, suffix, fill=False)
    log = Prepared(downstream, s.target)
    try:
        s.runner.start()
        text.start(faults=TEXT_FAULT)
        for runner in (s.runner, text):
            runner.wait_for("the copy to be done", copied, timeout=240)
        fill(shard.server, shard.schema, tables, "_streamed")
        for runner in (s.runner, text):
            runner.wait_caught_up(240)
            runner.stop()
        prepared = log.tables()
    finally:
        log.stop()
    assert "applier.text" in text.log() and "applier.text" not in s.runner.log(), s.runner.log_tail()
    for suffix in suffixes:
        went = {n.removesuffix(suffix) for n in prepared if n.endswith(suffix)}
        assert {t.name for t in tables} - went == {t.name for t in tables} & TEXT_ONLY, (suffix, sorted(went))
    differences = []
    for t in tables:
        for suffix in suffixes:
            name = t.name + suffix
            got, want = exact(downstream, s.target, name), exact(downstream, text_target, name)
            assert len(got) == len(want) == len(t.rows), f"{name}: {len(got)} rows in bulk, {len(want)} as text, {len(t.rows)} written"
            for row, (x, y) in enumerate(zip(got, want, strict=True)):
                differences += [f"{name} row {row + 1} value {i}: bulk {str(p)[:80]}, text {str(q)[:80]}" for i, (p, q) in enumerate(zip(x, y)) if p != q or repr(p) != repr(q)]
            if flavor == "mariadb":
                source = exact(shard.server, shard.schema, name)
                differences += [f"{name} row {row + 1}: bulk is not the source's" for row, (x, y) in enumerate(zip(got, source, strict=True)) if x != y]
            elif t.name != "names":  # which compare does not quote. It takes -0 for 0: MySQL keeps the sign, MariaDB stores none by any way
                said = compare(downstream, f"`{s.target}`.`{name}`", [(shard.server, f"`{shard.schema}`.`{name}`")])
                differences += [f"{name}: {said}"] if said else []
    assert not differences, "\n".join(differences[:60])


DEFECTS = {
    "duplicate": ("(id INT PRIMARY KEY, u INT, v VARCHAR(50), UNIQUE KEY k (u))", "(id INT PRIMARY KEY, u INT, v VARCHAR(50), UNIQUE KEY k (u))",
                  ["INSERT INTO {t} VALUES (900, 25, 'of another')"], "25, 'x'"),
    "too-long": ("(id INT PRIMARY KEY, u INT, v VARCHAR(50))", "(id INT PRIMARY KEY, u INT, v VARCHAR(50), CHECK (CHAR_LENGTH(v) < 9))", [], "25, 'beyond what it takes'"),
    "null": ("(id INT PRIMARY KEY, u INT, v VARCHAR(50))", "(id INT PRIMARY KEY, u INT, v VARCHAR(50), CHECK (v IS NOT NULL))", [], "25, NULL"),
    "enum": ("(id INT PRIMARY KEY, u INT, v ENUM('x',''))", "(id INT PRIMARY KEY, u INT, v ENUM('x',''))", [], "25, 'no member'"),
}


@pytest.mark.parametrize("defect", DEFECTS)
@flavors
def test_a_row_at_fault_is_named_as_text_names_it(scenario, flavor, defect):
    """The row in the middle of forty; the same code, words, place and rows that arrived, with and without bulk."""
    s, (shard_ddl, target_ddl, before, bad) = scenario, DEFECTS[defect]
    s.make_plain({"t": shard_ddl}, (flavor,), targets=False)
    text, targets = second_task(s, {"t": "t"}, {"name": s.unique + "b"}), (s.target, s.target + "2")
    for target in targets:
        s.downstream.run(f"CREATE TABLE `{target}`.t {target_ddl}", *(x.replace("{t}", f"`{target}`.t") for x in before))
    s.runner.start()
    text.start(faults=TEXT_FAULT)
    values = ",".join(f"({i}, {bad})" if i == 25 else f"({i}, {i}, 'x')" for i in range(1, 41))
    conn = s.shards[0].server.connect(autocommit=True)
    with conn.cursor() as cur:
        cur.execute(LAX)
        cur.execute(f"INSERT INTO `{s.shards[0].schema}`.t VALUES {values}")
    conn.close()
    said = []
    for runner, target in ((s.runner, targets[0]), (text, targets[1])):
        status = runner.wait_for("the source to stop", lambda x: any(i["error"] and i["state"] in STOPPED for i in x["sources"]), timeout=60)
        error = status["sources"][0]["error"]
        said.append((error["code"], error["message"].replace(target, "T"), error["remedy"].replace(target, "T"), s.downstream.query(f"SELECT id FROM `{target}`.t ORDER BY 1")))
    assert said[0] == said[1]
    assert "INSERT" in said[0][1] and ", row 24," in said[0][1], said[0]  # counted from 0


def test_other_columns_of_a_target_meet_no_old_statement(scenario):
    """Columns are added first, dropped, swapped by name and made of another type between bulk commands."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, a INT, b VARCHAR(20))"}, ("mysql",), task={"shard-mode": "pessimistic"})
    s.start()
    s.runner.wait_for("streaming", lambda x: x["sources"] and x["sources"][0]["state"] == "streaming")
    shard, n = s.shards[0], 0

    def insert(columns, row):
        nonlocal n
        s.shard_run(1, f"INSERT INTO {{s}}.t ({columns}) VALUES " + ",".join(f"({i}, {row})" for i in range(n + 1, n + 41)))
        n += 40

    insert("id, a, b", "7, 'x'")
    for alter, columns, row in (("ADD COLUMN c INT NULL FIRST", "id, a, b, c", "8, 'y', 9"), ("ADD COLUMN d VARCHAR(20) NULL AFTER c", "id, a, b, c, d", "1, 'z', 2, 'dd'"),
                                ("DROP COLUMN d", "id, a, b, c", "11, 'w', 12"), ("MODIFY COLUMN a BIGINT", "id, a, b, c", "8000000000, 'y', 9"),
                                ("ADD COLUMN d BIGINT NULL FIRST", "id, a, b, c, d", "1, 'z', 2, 3")):
        s.shard_run(1, f"ALTER TABLE {{s}}.t {alter}")
        insert(columns, row)
    s.runner.wait_caught_up(90)
    assert s.rows("t", "id, a, b, c, d") == list(shard.server.query(f"SELECT id, a, b, c, d FROM `{shard.schema}`.t ORDER BY 1"))
    # behind the program's back, and with a lost connection between
    s.downstream.run(f"ALTER TABLE `{s.target}`.t MODIFY COLUMN b VARCHAR(40) FIRST")
    insert("id, a, b, c, d", "21, 'm', 22, 23")
    s.runner.wait_caught_up(90)
    ids = s.downstream.query("SELECT id FROM information_schema.processlist WHERE info IS NULL AND command = 'Sleep'")
    for i, in ids:
        s.downstream.run(f"KILL {i}") if (i,) in s.downstream.query("SELECT id FROM information_schema.processlist") else None
    insert("id, a, b, c, d", "31, 'k', 32, 33")
    s.runner.wait_caught_up(90)
    assert s.rows("t", "id, a, b, c, d") == list(shard.server.query(f"SELECT id, a, b, c, d FROM `{shard.schema}`.t ORDER BY 1"))
    assert "applier.text" not in s.runner.log()
    s.runner.stop()


def test_commands_stay_below_the_largest_packet(scenario):
    """Narrow columns take nine times their image: a command ends before the row that is beyond the packet, and bulk goes on."""
    ddl = f"(id INT PRIMARY KEY, {', '.join(f'c{i} TINYINT NOT NULL' for i in range(1000))})"
    s = scenario.make_plain({"t": ddl}, ("mariadb",))
    most = s.downstream.query("SELECT @@GLOBAL.max_allowed_packet")[0][0]
    s.downstream.run("SET GLOBAL max_allowed_packet = 63488")
    try:
        s.start()
        row = ",".join(["-128"] * 1000)
        s.shard_run(1, "INSERT INTO {s}.t VALUES " + ",".join(f"({i},{row})" for i in range(1, 61)))
        s.runner.wait_caught_up(90)
        s.runner.stop()
    finally:
        s.downstream.run(f"SET GLOBAL max_allowed_packet = {most}")
    assert "applier.text" not in s.runner.log(), s.runner.log_tail()
    assert s.rows("t", "COUNT(*), SUM(c0), SUM(c999)") == [(60, -7680, -7680)]
