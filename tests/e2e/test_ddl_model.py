"""The tracker's model of a table against the servers: after every statement that a server takes, the definition that the
program made of it equals the one that information_schema tells, field by field."""
import gzip
import os
import random
import re
import subprocess
from pathlib import Path

import pymysql
import pytest

from harness.ddl_generator import Generator

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("SHARDMERGE_TOOLS", ROOT / "build/release/harness")) / "ddl_model"
STATEMENTS = int(os.environ.get("SHARDMERGE_DDL_STATEMENTS", "250"))
FLAVORS = ["mariadb", "mysql"]


def chosen_seed() -> int:
    """The same in every plain run, so that a rare corner of the servers stops nobody; SHARDMERGE_ROUNDS looks for more."""
    fixed = 1 if "SHARDMERGE_ROUNDS" not in os.environ else random.SystemRandom().randrange(10**6)
    return int(os.environ.get("SHARDMERGE_SEED", fixed))


class Model:
    """The program behind a pipe."""

    def __init__(self, server, schema: str, table: str):
        version = [int(x) for x in re.match(r"(\d+)\.(\d+)\.(\d+)", server.version).groups()]
        collation = server.value(f"SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{schema}'")
        implicit = server.value("SELECT @@explicit_defaults_for_timestamp") == 0
        self.process = subprocess.Popen(
            [str(TOOL), server.flavor, str(version[0] * 10000 + version[1] * 100 + version[2]), str(server.socket_path), server.user, server.password,
             schema, table, collation, "1" if implicit else "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, verb: str, arg: str = "") -> tuple[bool, str]:
        data = arg.encode()
        self.process.stdin.write(f"{verb} {len(data)}\n".encode() + data)
        self.process.stdin.flush()
        head = self.process.stdout.readline().split()
        assert head, "the program ended"
        return head[0] == b"ok", self.process.stdout.read(int(head[1])).decode(errors="replace")

    def must(self, verb: str, arg: str = "") -> str:
        ok, text = self.ask(verb, arg)
        assert ok, f"{verb}: {text}"
        return text

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def look(cursor, generator: Generator, schema: str) -> None:
    """What the next statement may name."""
    def names(sql: str) -> list[str]:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]
    where = f"WHERE TABLE_SCHEMA = '{schema}' AND TABLE_NAME = 't'"
    generator.columns = names(f"SELECT COLUMN_NAME FROM information_schema.COLUMNS {where} ORDER BY ORDINAL_POSITION")
    generator.keys = names(f"SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS {where} ORDER BY 1")
    generator.checks = names(f"SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS {where} AND CONSTRAINT_TYPE = 'CHECK' ORDER BY 1")
    generator.foreign = names(f"SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS {where} AND CONSTRAINT_TYPE = 'FOREIGN KEY' ORDER BY 1")
    generator.partitions = names(f"SELECT PARTITION_NAME FROM information_schema.PARTITIONS {where} AND PARTITION_NAME IS NOT NULL GROUP BY PARTITION_NAME ORDER BY 1")


def shown(cursor, schema: str, other: str) -> list[str]:
    """SHOW CREATE TABLE, levelled: keys in one order, without what can be said in several ways (charsets, partitions)."""
    cursor.execute(f"SHOW CREATE TABLE `{schema}`.t")
    text = cursor.fetchone()[1].replace(f"`{schema}`.", "").replace(f"`{other}`.", "")
    text = re.sub(r"(?s)\n(/\*!\d+)? ?PARTITION BY .*", "", text)
    text = re.sub(r" CHARACTER SET \w+| COLLATE[ =]\w+", "", text)  # compared field by field
    text = re.sub(r"_\w+('[^']*')", r"\1", text)
    text = re.sub(r"DEFAULT '(-?[\d.]+)'", r"DEFAULT \1", text)
    text = re.sub(r"-\((\d+)\)", r"-\1", text).replace("DEFAULT localtimestamp(", "DEFAULT current_timestamp(")
    text = re.sub(r" AUTO_INCREMENT=\d+", "", text)
    text = text.replace(" USING BTREE", "")
    text = re.sub(r"(?m)^(  `[^\n]*) DEFAULT NULL", r"\1", text)  # MySQL tells a default that was dropped from none; its views do not
    lines = [line.rstrip(",") for line in text.split("\n")]
    return sorted(lines[1:-1]) + lines[-1:]


class Found(AssertionError):
    """The model and the server differ."""


def follow(server, unique, seed: int, statements: int, found: list[str] | None = None) -> dict:
    """With found, differences are collected there and a new table is begun."""
    rng = random.Random(seed)
    schema, other = f"{unique}_m", f"{unique}_o"
    counts = {"taken": 0, "refused": 0, "plans": 0, "steps": 0}
    conn = server.connect()
    cursor = conn.cursor()
    for name in (schema, other):
        cursor.execute(f"CREATE DATABASE `{name}`")
    cursor.execute("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'")
    for name in (schema, other):
        cursor.execute(f"CREATE TABLE `{name}`.parent (id INT PRIMARY KEY)")
    cursor.execute(f"USE `{schema}`")
    generator = Generator(rng, server.flavor, "t", "parent")
    model = Model(server, schema, "t")
    history: list[str] = []
    try:
        while counts["taken"] < statements:
            if not generator.columns or rng.random() < 0.04:
                cursor.execute("DROP TABLE IF EXISTS t")
                model.must("apply", "DROP TABLE IF EXISTS t")
                history.clear()
                sql = generator.create()
            else:
                sql = generator.statement()
            mode = rng.choice(SQL_MODES)
            if "ANSI_QUOTES" in mode:
                sql = generator.ansi(sql)
            set_mode(cursor, model, mode)
            try:
                cursor.execute(sql)
            except pymysql.Error:
                counts["refused"] += 1
                if not history:
                    generator.columns = []
                continue
            finally:
                set_mode(cursor, None, SQL_MODES[0])
            history.append(sql)
            counts["taken"] += 1
            where = f"seed {seed}, statement {counts['taken']} under '{mode}':\n" + ";\n".join(history[-6:])
            try:
                check(cursor, model, schema, other, rng, sql, counts, where)
                if rng.random() < 0.05:
                    take_twin(cursor, model, where)
            except Found as e:
                if found is None:
                    raise
                found.append(str(e))
                model.must("load")
                generator.columns = []
                continue
            look(cursor, generator, schema)
    finally:
        model.close()
        for name in (schema, other):
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
        conn.close()
    return counts


# Statements carry their session's mode; most are strict.
SQL_MODES = ["STRICT_TRANS_TABLES"] * 6 + ["STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES", "STRICT_TRANS_TABLES,ANSI_QUOTES", "REAL_AS_FLOAT,STRICT_TRANS_TABLES", ""]
MODE_BITS = {"STRICT_TRANS_TABLES": 0x200000, "STRICT_ALL_TABLES": 0x400000, "NO_BACKSLASH_ESCAPES": 0x100000, "ANSI_QUOTES": 4, "REAL_AS_FLOAT": 1, "": 0}


def set_mode(cursor, model: Model | None, mode: str) -> None:
    cursor.execute(f"SET SESSION sql_mode = '{mode}'")
    if model:
        model.must("mode", str(sum(MODE_BITS[word] for word in mode.split(","))))


def take_twin(cursor, model: Model, where: str) -> None:
    """CREATE TABLE … LIKE; the twin goes on in the table's place."""
    cursor.execute("CREATE TABLE twin LIKE t")
    model.must("like", "CREATE TABLE twin LIKE t")
    difference = model.must("compare")
    cursor.execute("DROP TABLE t")
    cursor.execute("RENAME TABLE twin TO t")
    model.must("apply", "RENAME TABLE twin TO t")
    difference = difference or model.must("compare")
    if difference:
        raise Found(f"LIKE: {difference}\n{where}")


def check(cursor, model: Model, schema: str, other: str, rng: random.Random, sql: str, counts: dict, where: str) -> None:
    """The model follows the statement that the server has run."""
    ok, text = model.ask("apply", sql)
    if not ok:
        raise Found(f"{text}\n{where}")
    difference = model.must("compare")
    if difference:
        raise Found(f"{difference}\n{where}")
    difference = model.must("json")
    if difference:
        raise Found(f"JSON: {difference}\n{where}")
    if rng.random() < 0.5:
        check_plan(cursor, model, other, rng, counts, where)
        check_create(cursor, model, schema, other, where)


def check_plan(cursor, model: Model, other: str, rng: random.Random, counts: dict, where: str) -> None:
    """The planned statements turn another table into the model's; after each of them the server has what was predicted."""
    cursor.execute(f"SHOW TABLES FROM `{other}` LIKE 't'")
    if not cursor.fetchone() or rng.random() >= 0.7:
        return
    ok, text = model.ask("plan", other)
    if not ok:
        return
    counts["plans"] += 1
    for number, statement in enumerate(filter(None, text.split("\0"))):
        try:
            cursor.execute(statement)
        except pymysql.Error as e:
            if e.args[0] in EXPECTED:
                return
            raise Found(f"the server refuses the plan: {e}\n{statement}\n{where}") from e
        counts["steps"] += 1
        difference = model.must("planned", f"{other} {number}")
        if difference:
            raise Found(f"planned: {difference}\n{statement}\n{where}")


def check_create(cursor, model: Model, schema: str, other: str, where: str) -> None:
    """The CREATE TABLE written from the model makes the same table."""
    cursor.execute(f"DROP TABLE IF EXISTS `{other}`.t")
    text = model.must("create", other)
    try:
        cursor.execute(text)
    except pymysql.Error as e:
        raise Found(f"the server refuses: {e}\n{text}\n{where}") from e
    difference = model.must("made", other)
    if difference:
        raise Found(f"made: {difference}\n{text}\n{where}")
    was, now = shown(cursor, schema, other), shown(cursor, other, schema)
    if was != now:
        difference = [f"shard {x}" for x in was if x not in now] + [f"made  {x}" for x in now if x not in was]
        raise Found("\n".join(difference) + f"\n{where}")


# Column changes that no server can do in one step between two unrelated tables.
EXPECTED = {1054, 1060, 1178, 1488, 1674,  1061, 1068, 1069, 1072, 1075, 1089, 1091, 1101, 1118, 1170, 1171, 1210, 1215, 1235, 1265, 1292, 1366, 1367, 1411, 1503, 1505, 1506, 1526,
            1553, 1659, 1822, 1826, 1828, 1829, 1832, 1833, 1834, 1846, 1901, 1904, 1905, 3105, 3106, 3107, 3108, 3109, 3110, 3780, 3822, 3837, 3855, 3959,
            4161, 1064, 1067}


def fixture_statements(path: Path) -> list[str]:
    """DDL on tables of the binlog that an events file tells of."""
    opened = gzip.open if path.suffix == ".gz" else open
    out = []
    with opened(path, "rt", encoding="utf-8") as f:
        for line in f:
            fields = line.rstrip("\n").split("\t")
            text = fields[3].replace("\\n", "\n") if len(fields) > 3 and fields[1] == "Query" else ""
            text = re.sub(r"^use `fx`; ", "", text)
            if re.match(r"(?i)(create|alter|drop|rename|truncate)\s+(table|sequence)\b", text):
                out.append(text)
    return out


def follow_fixture(server, path: Path) -> int:
    """Each table of the file in a model of its own."""
    conn = server.connect()
    cursor = conn.cursor()
    cursor.execute("DROP DATABASE IF EXISTS fx")
    cursor.execute("CREATE DATABASE fx")
    cursor.execute("USE fx")
    models: dict[str, Model] = {}
    compared = 0
    try:
        for sql in fixture_statements(path):
            mode = "STRICT_TRANS_TABLES,ANSI_QUOTES" if '"' in sql else ""
            set_mode(cursor, None, mode)
            try:
                cursor.execute(sql)
            except pymysql.Error as e:
                assert e.args[0] in (1030, 1050, 1051, 1060, 1061, 1062, 1091, 1286, 4127), f"{path.name}: {e}\n{sql}"
                continue
            name = re.match(r'(?i)\w+\s+\w+\s+[`"]?(q t|\w+)', sql)[1]
            model = models.setdefault(name, Model(server, "fx", name)) if name not in models else models[name]
            set_mode(cursor, model, mode)
            ok, text = model.ask("apply", sql)
            assert ok, f"{path.name}: {text}\n{sql}"
            if "sequence" in sql.lower():
                continue
            difference = model.must("compare")
            assert not difference, f"{path.name}: {difference}\n{sql}"
            compared += 1
    finally:
        for model in models.values():
            model.close()
        cursor.execute("DROP DATABASE fx")
        conn.close()
    return compared


@pytest.mark.parametrize("flavor", FLAVORS)
def test_model_follows_the_fixtures(pool, flavor):
    server = pool.get("ddl_" + flavor, flavor)
    paths = sorted(p for p in (ROOT / "fixtures/binlog").glob("*.events.tsv*") if p.name.split("_")[0] == flavor)
    compared = sum(follow_fixture(server, p) for p in paths)
    print(compared)
    assert compared >= 20


# Changes that the target's server refuses for what else is in its table, or for the rows that may be in it.
REFUSED = EXPECTED | {4078, 1071, 1074, 1075, 1171, 1292, 1366, 1709, 3152, 3837}


def follow_across(source, target, unique, seed: int, statements: int, found: list[str] | None = None) -> dict:
    """A shard's random history on one server; every few statements a target on the other follows. After each statement that
    the target runs, the definition that its server tells has the fingerprint that was predicted: what a restart relies on."""
    rng = random.Random(seed)
    schema, target_schema = f"{unique}_a", f"{unique}_b"
    counts = {"taken": 0, "made": 0, "unmade": 0, "changes": 0, "steps": 0, "impossible": 0, "refused": 0}
    conns = [source.connect(), target.connect()]
    cursor, there = (c.cursor() for c in conns)
    for c, name in ((cursor, schema), (there, target_schema)):
        c.execute(f"CREATE DATABASE `{name}`")
        c.execute("SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'")
        c.execute(f"USE `{name}`")
    cursor.execute("CREATE TABLE parent (id INT PRIMARY KEY)")
    generator = Generator(rng, source.flavor, "t", "parent")
    model = Model(source, schema, "t")
    version = [int(x) for x in re.match(r"(\d+)\.(\d+)\.(\d+)", target.version).groups()]
    model.must("target", f"{target.flavor} {version[0] * 10000 + version[1] * 100 + version[2]} {target.socket_path} {target.user} {target.password}")
    history: list[str] = []
    try:
        while counts["taken"] < statements:
            if not generator.columns or rng.random() < 0.05:
                begin(cursor, there, model, generator, schema, target_schema, counts)
                history.clear()
                continue
            sql = generator.statement()
            try:
                cursor.execute(sql)
            except pymysql.Error:
                continue
            history.append(sql)
            counts["taken"] += 1
            look(cursor, generator, schema)
            where = f"seed {seed}, statement {counts['taken']}:\n" + ";\n".join(history[-6:])
            ok, text = model.ask("apply", sql)
            try:
                if not ok:
                    raise Found(f"{text}\n{where}")
                if rng.random() < 0.6 and not change(there, model, target_schema, counts, where):
                    generator.columns = []
            except Found as e:
                if found is None:
                    raise
                found.append(str(e))
                model.must("load")
                generator.columns = []
    finally:
        model.close()
        for c, name in zip(conns, (schema, target_schema)):
            c.cursor().execute(f"DROP DATABASE IF EXISTS `{name}`")
            c.close()
    return counts


def begin(cursor, there, model: Model, generator: Generator, schema: str, target_schema: str, counts: dict) -> None:
    """A new table on the shard, and the target made from its definition."""
    for c in (cursor, there):
        c.execute("DROP TABLE IF EXISTS t")
    model.must("apply", "DROP TABLE IF EXISTS t")
    sql = generator.create()
    generator.columns = []
    try:
        cursor.execute(sql)
    except pymysql.Error:
        return
    model.must("apply", sql)
    ok, text = model.ask("make", target_schema)
    try:
        if not ok:
            raise pymysql.Error(text)
        there.execute(text)
    except pymysql.Error:
        counts["unmade"] += 1
        return
    counts["made"] += 1
    look(cursor, generator, schema)


def change(there, model: Model, schema: str, counts: dict, where: str) -> bool:
    """False: the target cannot follow; another table must be taken."""
    ok, text = model.ask("change", schema)
    counts["changes"] += 1
    if not ok:
        counts["impossible"] += 1
        return False
    for number, statement in enumerate(filter(None, text.split("\0"))):
        try:
            there.execute(statement)
        except pymysql.Error as e:
            if e.args[0] not in REFUSED:
                raise Found(f"the server refuses: {e}\n{statement}\n{where}") from e
            counts["refused"] += 1
            return False
        counts["steps"] += 1
        difference = model.must("planned", f"{schema} {number}")
        if difference:
            raise Found(f"{difference}\n{statement}\n{where}")
    model.must("settle")
    return True


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("flavor", FLAVORS + ["mariadb11"])
def test_model_follows_the_server(pool, unique, flavor):
    seed = chosen_seed()
    server = pool.get("ddl_" + flavor, flavor)
    print(f"SHARDMERGE_SEED={seed}")
    counts = follow(server, unique, seed, STATEMENTS)
    print(counts)
    assert counts["taken"] >= STATEMENTS


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("target", FLAVORS)
@pytest.mark.parametrize("source", FLAVORS)
def test_target_becomes_what_was_predicted(pool, unique, source, target):
    seed = chosen_seed()
    print(f"SHARDMERGE_SEED={seed}")
    counts = follow_across(pool.get("ddl_" + source, source), pool.get("ddl_" + target, target), unique, seed, STATEMENTS // 4)
    print(counts)
    assert counts["steps"] > counts["refused"] + counts["impossible"]
