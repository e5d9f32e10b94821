#!/usr/bin/python3
"""Makes fixtures/binlog/ anew from real servers: python3 tools/make_fixtures.py [NAME…]

Per fixture: NAME.binlog[.gz], and what the same server says of it, as the tests' oracle:
  NAME.rows.tsv[.gz]  the table in the end (SELECT); the first line names the columns and how they are to be compared
  NAME.columns.tsv    information_schema's columns
  NAME.events.tsv     SHOW BINLOG EVENTS
NAME.packets: what only a dump shows, as a server sent it (make_wire).
MANIFEST.json says for each which server, version, settings and SQL made it.

TSV: \\t \\n \\r \\\\ \\0 are escapes, \\N is NULL. Modes of a column: text (value_text's bytes), hex (upper-case hex of the raw bytes),
double (equal as a double), bytes (hex of a spatial value or VECTOR), uuid, inet4, inet6 (hex, blank, text).
"""
from __future__ import annotations

import gzip
import json
import shutil
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.harness import servers  # noqa: E402

OUT = ROOT / "fixtures" / "binlog"


@dataclass
class Fixture:
    name: str
    flavors: tuple
    sql: list
    session: list = field(default_factory=list)  # before the SQL, not in the binlog
    globals: dict = field(default_factory=dict)
    gzip: bool = False
    what: str = ""
    rows: bool = True  # the events can be decoded and replayed
    text_as_hex: bool = False  # text that no client could read


def insert(table: str, rows: list, columns: str = "") -> str:
    return f"INSERT INTO {table} {columns} VALUES " + ",\n".join(f"({', '.join(map(str, row))})" for row in rows)


def integers() -> list:
    types = [("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)]
    columns, rows = [], [[], [], [], [], []]
    for name, bits in types:
        columns += [f"{name[0]}{bits}s {name}", f"{name[0]}{bits}u {name} unsigned"]
        rows[0] += [-(2 ** (bits - 1)), 0]
        rows[1] += [2 ** (bits - 1) - 1, 2 ** bits - 1]
        rows[2] += [-1, 2 ** (bits - 1)]
        rows[3] += [0, 1]
        rows[4] += ["NULL", "NULL"]
    for i, row in enumerate(rows):
        row.insert(0, i + 1)
    return [f"CREATE TABLE t (id int primary key, {', '.join(columns)})", insert("t", rows)]


DECIMALS = [(1, 0), (5, 2), (9, 0), (9, 9), (10, 0), (10, 4), (18, 9), (20, 10), (30, 30), (38, 10), (65, 0), (65, 30)]


def decimals() -> list:
    values = ["0", "1", "-1", "0.5", "-0.5", "0.000000001", "-0.000000001"]
    columns = ["id int primary key"]
    for p, s in DECIMALS:
        columns += [f"d{p}_{s} decimal({p},{s})"]
    columns += ["du decimal(12,3) unsigned"]
    rows = []
    for n, v in enumerate(values):
        rows.append([n + 1] + [v] * len(DECIMALS) + [v.lstrip("-")])
    big = [("9" * (p - s) or "0") + ("." + "9" * s if s else "") for p, s in DECIMALS]
    rows.append([len(rows) + 1] + big + ["999999999.999"])
    rows.append([len(rows) + 1] + ["-" + b for b in big] + ["0.001"])
    mixed = [("1234567890" * 7)[: p - s] + ("." + ("0123456789" * 4)[:s] if s else "") if p > s else "." + ("0123456789" * 4)[:s]
             for p, s in DECIMALS]
    rows.append([len(rows) + 1] + mixed + ["100000000.010"])
    rows.append([len(rows) + 1] + ["-" + m for m in mixed] + ["10.1"])
    rows.append([len(rows) + 1] + ["NULL"] * (len(DECIMALS) + 1))
    return [f"CREATE TABLE t ({', '.join(columns)})", insert("t", rows)]


DOUBLES = ["0", "-0e0", "1", "-1", "0.1", "0.5", "1.5", "1e-5", "123456.789", "1e14", "1e15", "1e16", "123456789012345", "1234567890123456",
           "12345678901234567", "1e17", "1e20", "1e21", "1e22", "1.7976931348623157e308", "-1.7976931348623157e308",
           "2.2250738585072014e-308", "5e-324", "3.141592653589793", "2.718281828459045e-14", "1e-14", "1e-15", "1e-16", "0.0001",
           "9007199254740993", "4503599627370497.5", "0.30000000000000004", "100", "1000000", "5e-7", "1.2345678901234567e-7", "12.34",
           "99999999999999.99", "0.000001", "1e300", "6.02e23", "5.684341886080802e-14"]
FLOATS = ["0", "-0e0", "1", "0.1", "-0.1", "0.5", "3.4028234663852886e38", "-3.4028234663852886e38", "1.1754943508222875e-38",
          "1.401298464324817e-45", "16777217", "123456.789", "1e10", "1e20", "0.3333333333", "12.34", "1e-7"]


def floats() -> list:
    n = max(len(DOUBLES), len(FLOATS))
    rows = [[i + 1, DOUBLES[i % len(DOUBLES)], FLOATS[i % len(FLOATS)], abs(float(FLOATS[i % len(FLOATS)]))] for i in range(n)]
    rows.append([n + 1, "NULL", "NULL", "NULL"])
    return ["CREATE TABLE t (id int primary key, d double, f float, fu float unsigned)", insert("t", rows)]


def bits() -> list:
    widths = [1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64]
    rows = [[1] + ["0"] * len(widths), [2] + [str(2 ** w - 1) for w in widths], [3] + ["1"] * len(widths),
            [4] + [str(0xA5A5A5A5A5A5A5A5 & (2 ** w - 1)) for w in widths], [5] + ["NULL"] * len(widths)]
    years = ["0", "1901", "2155", "1999", "NULL"]
    for row, year in zip(rows, years):
        row.append(year)
    return [f"CREATE TABLE t (id int primary key, {', '.join(f'b{w} bit({w})' for w in widths)}, y year)", insert("t", rows)]


def temporals() -> list:
    columns = ["id int primary key", "d date"]
    for fsp in range(7):
        columns += [f"t{fsp} time({fsp})", f"dt{fsp} datetime({fsp})", f"ts{fsp} timestamp({fsp}) NULL"]

    def row(i, date, time, datetime, timestamp):
        return [i, date] + [time, datetime, timestamp] * 7

    rows = [
        row(1, "'2024-02-29'", "'00:00:00'", "'2024-02-29 00:00:00'", "'2024-02-29 00:00:00'"),
        row(2, "'9999-12-31'", "'838:59:59'", "'9999-12-31 23:59:59'", "'2038-01-19 03:14:07'"),
        row(3, "'1000-01-01'", "'-838:59:59'", "'1000-01-01 00:00:00'", "'1970-01-01 00:00:01'"),
        row(4, "'0000-00-00'", "'-00:00:01'", "'0000-00-00 00:00:00'", "'0000-00-00 00:00:00'"),
        row(5, "'2020-00-00'", "'-00:00:00.01'", "'2020-00-00 01:02:03.123456'", "'2001-09-09 01:46:40.123456'"),
        row(6, "'2020-11-00'", "'00:00:00.5'", "'2020-11-00 00:00:00.000001'", "'2000-02-29 23:59:59.900009'"),
        row(7, "'0001-01-01'", "'-00:00:00.5'", "'0001-01-01 00:00:00.1'", "'1999-12-31 23:59:59.1'"),
        row(8, "'2100-03-01'", "'-12:34:56.654321'", "'2100-03-01 12:34:56.654321'", "'2030-03-01 12:34:56.654321'"),
        row(9, "'1970-01-01'", "'123:45:06.789'", "'1970-01-01 00:00:00'", "'1972-12-31 23:59:59.000001'"),
        row(10, "'0000-01-01'", "'-00:00:00.000001'", "'0000-01-01 00:00:00'", "'2004-12-31 00:00:00'"),
        row(11, "NULL", "NULL", "NULL", "NULL"),
        row(12, "'2024-01-01'", "'-99:59:59.99'", "'2024-01-01 00:00:00.99'", "'2024-01-01 00:00:00.99'"),
    ]
    return [f"CREATE TABLE t ({', '.join(columns)})", insert("t", rows)]


def old_temporals() -> list:
    rows = [[1, "'00:00:00'", "'2024-02-29 12:34:56'", "'2024-02-29 12:34:56'"], [2, "'838:59:59'", "'9999-12-31 23:59:59'", "'2038-01-19 03:14:07'"],
            [3, "'-838:59:59'", "'0000-00-00 00:00:00'", "'0000-00-00 00:00:00'"], [4, "'-00:00:01'", "'1000-01-01 00:00:00'", "'1970-01-01 00:00:01'"],
            [5, "NULL", "NULL", "NULL"]]
    return ["CREATE TABLE t (id int primary key, t time, dt datetime, ts timestamp NULL)", insert("t", rows)]


def strings() -> list:
    columns = ["id int primary key", "c0 char(0)", "c10 char(10)", "c255 char(255)", "v10 varchar(10)", "v63 varchar(63)", "v64 varchar(64)",
               "v300 varchar(300)", "tt tinytext", "tx text", "mt mediumtext", "lt longtext", "u3 varchar(20) character set utf8mb3",
               "b4 binary(4)", "b255 binary(255)", "vb10 varbinary(10)", "vb300 varbinary(300)", "tb tinyblob", "bl blob", "mb mediumblob", "lb longblob"]
    every = "".join(f"{i:02x}" for i in range(256))
    rows = [
        [1] + ["''"] * (len(columns) - 1),
        [2, "''", "'abc'", "'äöü€𝄞'", "'ab  '", "'x'", "'y'", "repeat('ä',300)", "'tiny'", "'a\\'b\\\\c\"d\\n\\r\\t\\0\\Z%_'", "repeat('m',300)",
         "repeat('long',200)", "'ä€'", "x'00ff'", "x'01'", "x'0000'", f"x'{every}'", f"x'{every[:510]}'", f"x'{every}'", "x'00'", f"x'{every}{every}'"],
        [3] + ["NULL"] * (len(columns) - 1),
        [4, "''", "'trail   '", "repeat('€',255)", "repeat('€',10)", "repeat('€',63)", "repeat('a',64)", "repeat('a',256)", "repeat('t',255)", "' '",
         "'𝄞'", "''", "'u'", "x'61620000'", "repeat(x'ff',255)", "x'6162630000'", "repeat(x'27',300)", "x'5c'", "x'1a'", "x'0a0d'", "repeat(x'00',20)"],
    ]
    return [f"CREATE TABLE t ({', '.join(columns)})", insert("t", rows)]


def charsets() -> list:
    sets = ["latin1", "latin2", "cp1251", "gbk", "sjis", "utf16", "utf32", "ucs2", "ascii", "utf8mb3", "utf8mb4", "koi8r", "big5", "utf16le"]
    columns = [f"c_{s} varchar(20) character set {s}, t_{s} text character set {s}, f_{s} char(8) character set {s}" for s in sets]
    values = {"latin1": "'é€'", "latin2": "'ł'", "cp1251": "'я'", "gbk": "'中'", "sjis": "'日本'", "koi8r": "'я'", "big5": "'中'", "ascii": "'az'"}
    rows = [[1] + [v for s in sets for v in [values.get(s, "'ä€'")] * 3], [2] + ["''"] * (3 * len(sets)), [3] + ["NULL"] * (3 * len(sets))]
    return [f"CREATE TABLE t (id int primary key, {', '.join(columns)})", insert("t", rows)]


def enums() -> list:
    def members(n):
        return ", ".join(f"'m{i}'" for i in range(1, n + 1))

    columns = ["id int primary key", f"e3 enum('a','b','it''s')", f"e255 enum({members(255)})", f"e256 enum({members(256)})", f"e300 enum({members(300)})",
               "eu enum('ä','€','','x y')", "el enum('é','b') character set latin1", "ea enum('a','b') collate utf8mb4_bin",
               "s1 set('a')", f"s8 set({members(8)})", f"s9 set({members(9)})", f"s17 set({members(17)})", f"s33 set({members(33)})", f"s64 set({members(64)})",
               "sl set('x','y') character set latin1"]
    rows = [
        [1, "'a'", "'m1'", "'m1'", "'m1'", "'ä'", "'b'", "'a'", "'a'", "'m1'", "'m1'", "'m1'", "'m1'", "'m1'", "'x'"],
        [2, "'it''s'", "'m255'", "'m256'", "'m300'", "'x y'", "'b'", "'b'", "''", "255", "511", "131071", "8589934591", "18446744073709551615", "'x,y'"],
        [3] + ["NULL"] * 14,
        [4, "'b'", "'m128'", "'m255'", "'m257'", "'€'", "'b'", "'b'", "'a'", "'m8,m2'", "'m9'", "'m17,m3'", "'m33,m1'", "'m64,m1,m32'", "''"],
        [5, "2", "2", "2", "2", "3", "2", "2", "0", "0", "0", "0", "0", "0", "0"],
    ]
    return [f"CREATE TABLE t ({', '.join(columns)})", insert("t", rows)]


def json_zoo() -> list:
    values = ["null", "true", "false", "0", "-1", "32767", "-32768", "65535", "65536", "-32769", "2147483647", "-2147483648", "4294967295", "4294967296",
              "9223372036854775807", "-9223372036854775808", "18446744073709551615", '""', '"a"', '"\\u00e4\\u20ac\\ud834\\udd1e"',
              '"quote \\" backslash \\\\ slash / nl \\n cr \\r tab \\t bs \\b ff \\f ctrl \\u0001 \\u001f \\u007f nul \\u0000 end"', "[]", "{}",
              "[1, 2, 3]", '{"a": 1}', '{"bb": 1, "a": 2, "": 3, "ab": 4}', '[null, true, false, -1, 70000, 5000000000, 1.5, "x", [], {}]',
              '{"o": {"o": {"o": {"a": [[[[]]]]}}}}', '{"i16": -5, "u16": 40000, "i32": -70000, "u32": 3000000000, "i64": -5000000000, "lit": null}',
              "[" * 99 + "]" * 99, '"' + "x" * 130 + '"', json.dumps({f"key{i:03d}": i for i in range(300)}),
              '"it\'s"', "1.0", "1e2", "[1.0, 1e20, 1.5e-20]"]
    doubles = [v.replace("-0e0", "-0.0") for v in DOUBLES]
    out = ["CREATE TABLE t (id int primary key auto_increment, j json)"]
    quoted = ["'" + v.replace("\\", "\\\\").replace("'", "\\'") + "'" for v in values]
    out += [insert("t", [[v] for v in quoted], "(j)")]
    out += [insert("t", [[f"cast({v}e0 as json)" if "e" not in v else f"cast({v} as json)"] for v in doubles if v != "-0.0"], "(j)")]
    casts = ["json_array(repeat('y', 20000))", "json_quote(repeat('z', 16384))", "cast(-0e0 as json)", "cast(1.10 as json)", "cast(-123456789.987654321 as json)", "cast(0.000 as json)", "cast(cast(9 as decimal(65,30)) as json)",
             "cast(cast('2024-02-29' as date) as json)", "cast(cast('2024-02-29 12:34:56' as datetime) as json)",
             "cast(cast('2024-02-29 12:34:56.123456' as datetime(6)) as json)", "cast(cast('00:00:00' as time) as json)",
             "cast(cast('-838:59:59' as time) as json)", "cast(cast('-00:00:00.000001' as time(6)) as json)", "cast(cast('12:34:56.5' as time(1)) as json)",
             "cast(timestamp'2001-02-03 04:05:06' as json)", "cast(x'' as json)", "cast(x'00' as json)", "cast(x'0001' as json)", "cast(x'000102' as json)",
             "cast(repeat(x'ff', 100) as json)", "cast(b'1010' as json)", "cast(cast(2024 as year) as json)",
             "json_array(1.50, cast('2024-01-01' as date), cast(x'ab' as json), cast('10:00:00' as time), 1e0, true, null)",
             "json_object('d', 12.345, 't', cast('2024-01-01 00:00:00' as datetime), 'b', cast('abc' as binary))", "NULL", "st_asgeojson(st_geomfromtext('POINT(1 2)'))"]
    out += [insert("t", [[c] for c in casts], "(j)")]
    out += ["UPDATE t SET j = json_set(j, '$.a', 'longer than before') WHERE id IN (24, 26)", "UPDATE t SET j = json_remove(j, '$[1]') WHERE id = 25"]
    return out


def json_large() -> list:
    return ["CREATE TABLE t (id int primary key, j json)",
            insert("t", [[1, "json_object('big', repeat('x', 70000), 'i', 5, 'neg', -5, 'u32', 4294967295, 'i32', -2147483648, 'n', null, 'a', json_array(1, json_object('k', 2.5)))"],
                         [2, "json_array(repeat('y', 66000), 1, 100000, true, 'short')"], [3, "cast(concat('[', repeat('1,', 40000), '2]') as json)"]])]


def images() -> list:
    out = ["CREATE TABLE t (id int, k varchar(20) NOT NULL, n int, b blob, x text, primary key (id, k))"]
    for i, image in enumerate(["FULL", "MINIMAL", "NOBLOB"]):
        lo = i * 10
        out += [f"SET SESSION binlog_row_image = {image}",
                insert("t", [[lo + 1, "'a'", 1, "x'0001'", "'one'"], [lo + 2, "'b'", "NULL", "NULL", "NULL"], [lo + 3, "'c'", 3, "''", "'three'"],
                             [lo + 4, "'d'", 4, "'dd'", "'four'"]]),
                f"UPDATE t SET n = n + 100 WHERE id BETWEEN {lo + 1} AND {lo + 3}", f"UPDATE t SET x = 'changed', n = NULL WHERE id = {lo + 1}",
                f"UPDATE t SET b = x'ffff' WHERE id = {lo + 2}", f"UPDATE t SET id = {lo + 7} WHERE id = {lo + 3}", f"UPDATE t SET k = 'key' WHERE id = {lo + 1}",
                f"INSERT INTO t (id, k) VALUES ({lo + 8}, 'few')", f"DELETE FROM t WHERE id = {lo + 4}", f"INSERT INTO t (n, k, id) VALUES (5, 'mix', {lo + 9})"]
    return out


def metadata(flavor: str) -> list:
    invisible = "INVISIBLE"
    special = {"mysql": "v vector(4)", "mariadb": "cc varchar(100) compressed character set latin1, cb blob compressed, ct text compressed, ip inet6, u uuid"}[flavor]
    key = "PRIMARY KEY (id, l(5))"
    return [f"CREATE TABLE t (y year, g geometry, i tinyint unsigned, l varchar(30) character set latin1 not null, id bigint unsigned not null, p point, bi bit(3), {special}, "
            f"n decimal(5,2) unsigned, gg geometry, s smallint, e enum('x','y') character set latin1, tx text, bl blob, h int unsigned {invisible}, f float, d double, st set('q') collate utf8mb4_bin, "
            f"c char(5) character set utf16, bn binary(3), dt datetime, u8 varchar(5) character set utf8mb3, yy year, su mediumint unsigned, {key})",
            "INSERT INTO t (y, g, i, l, id, p, n, s, e, tx, f) VALUES (2000, st_geomfromtext('POINT(1 2)'), 255, 'l', 1, st_geomfromtext('POINT(3 4)'), 1.5, -1, 'x', 'text', 1.5)",
            "CREATE TABLE k (a int, b int unsigned, c int, primary key (c, a))", "INSERT INTO k VALUES (1, 2, 3)"]


def transactions(flavor: str) -> list:
    out = ["CREATE TABLE t (id int primary key, v varchar(20)) engine=innodb", "CREATE TABLE m (id int primary key) engine=myisam", "BEGIN", "INSERT INTO t VALUES (1, 'a')",
           "INSERT INTO t VALUES (2, 'b'), (3, 'c')", "UPDATE t SET v = 'z' WHERE id < 3", "COMMIT", "INSERT INTO m VALUES (1)", "ALTER TABLE t ADD COLUMN w int",
           "SET sql_mode = 'ANSI_QUOTES', time_zone = '+05:30'", "CREATE TABLE \"q t\" (\"ä\" timestamp default current_timestamp)", "DROP TABLE \"q t\"",
           "SET sql_mode = '', time_zone = '+00:00'", "XA START 'gtrid', 'bqual', 7", "INSERT INTO t (id, v) VALUES (9, 'xa')", "XA END 'gtrid', 'bqual', 7",
           "XA PREPARE 'gtrid', 'bqual', 7", "XA COMMIT 'gtrid', 'bqual', 7", "CREATE FUNCTION one() RETURNS int DETERMINISTIC RETURN 1", "DROP FUNCTION one"]
    if flavor == "mysql":
        for tag in ("", ":blue", ":a_tag_of_exactly_thirty_two_char"):
            out += [f"SET gtid_next = 'AUTOMATIC{tag}'", f"INSERT INTO t (id, v) VALUES ({20 + len(tag)}, 'tag')"]
        out += ["SET gtid_next = '5b1d0a6e-ffff-4000-8000-0000000000ff:blue:9223372036854775000'", "INSERT INTO t (id, v) VALUES (99, 'far')", "SET gtid_next = 'AUTOMATIC'"]
    else:
        for domain in (1, 4294967295):
            out += [f"SET gtid_domain_id = {domain}", f"INSERT INTO t (id, v) VALUES ({domain % 1000 + 20}, 'dom')"]
        out += ["SET gtid_domain_id = 0, gtid_seq_no = 5000000000", "INSERT INTO t (id, v) VALUES (99, 'far')"]
    out += ["FLUSH BINARY LOGS", "INSERT INTO t (id, v) VALUES (100, 'next file')"]
    return out


def payload() -> list:
    """Transactions of all kinds with binlog_transaction_compression; what is not compressed stands between them."""
    out = ["CREATE TABLE t (id int primary key, v text, b blob)", "CREATE TABLE m (id int primary key) engine=myisam",
           "SET binlog_transaction_compression = ON", "INSERT INTO t VALUES (1, repeat('x', 1000), x'0001')",
           insert("t", [[i, f"repeat('row {i} ', {i})", "NULL"] for i in range(2, 200)]), "UPDATE t SET v = concat(v, '!') WHERE id < 50",
           "DELETE FROM t WHERE id BETWEEN 60 AND 80", "BEGIN", "INSERT INTO t VALUES (300, 'a', 'b')", "SAVEPOINT s", "INSERT INTO t VALUES (303, 'c', 'd')", "ROLLBACK TO s",
           "UPDATE t SET id = 301 WHERE id = 300", "COMMIT", "INSERT INTO m VALUES (2)", "INSERT INTO t VALUES (302, repeat('large ', 50000), repeat(x'00', 300000))"]
    for level in (1, 22):
        out += [f"SET binlog_transaction_compression_level_zstd = {level}", f"INSERT INTO t VALUES ({310 + level}, repeat('level', 2000), NULL)"]
    out += ["XA START 'xa'", "INSERT INTO t VALUES (340, 'xa', NULL)", "XA END 'xa'", "XA PREPARE 'xa'", "XA COMMIT 'xa'",
            "XA START 'one'", "INSERT INTO t VALUES (341, 'one phase', NULL)", "XA END 'one'", "XA COMMIT 'one' ONE PHASE",
            "SET binlog_transaction_compression = OFF", "INSERT INTO t VALUES (342, 'plain', NULL)"]
    return out


def partial() -> list:
    """UPDATEs that a server writes as JSON diffs: replaced, added and removed members and cells, at many depths."""
    doc = ('{"a": "abcdefgh", "n": 12345678, "o": {"x": [1, 2, 3, {"y": "deep value"}], "z": null}, "quoted key": {"do.t": true, "q\\"uote": 1, "ä": "ü"},'
           ' "l": [10, 20, "thirty", [4, [5]]], "d": 1.5, "big": 9007199254740993, "e": {}, "s": ""}')
    quoted = "'" + doc.replace("\\", "\\\\") + "'"
    columns = "id int primary key auto_increment, j json, v varchar(20), k json"
    out = [f"CREATE TABLE t ({columns})", "SET binlog_row_value_options = 'PARTIAL_JSON'"]
    changes = ["json_set(j, '$.a', 'x')", "json_set(j, '$.o.x[1]', 'two')", "json_replace(j, '$.o.x[3].y', 'd')", "json_remove(j, '$.o.z')",
               "json_remove(j, '$.l[1]')", "json_set(j, '$.new', 'member')", "json_set(j, '$.l[9]', 'appended')", "json_set(j, '$.\"quoted key\".\"do.t\"', false)",
               "json_set(j, '$.\"quoted key\".\"q\\\\\"uote\"', 2)", "json_set(j, '$.\"quoted key\".ä', 'ö')", "json_set(j, '$.\"quoted key\".\"new key\"', 'n')",
               "json_set(json_remove(json_set(j, '$.a', 'b'), '$.n'), '$.o.x[0]', 100000, '$.e.inner', cast('[1]' as json))",
               "json_replace(j, '$.l[3][1][0]', 6)", "json_set(j, '$.d', cast(cast(1.25 as decimal(10,2)) as json))",
               "json_set(j, '$.s', cast(timestamp'2024-02-29 12:34:56.5' as json))", "json_remove(j, '$.l[0]', '$.l[0]', '$.o.x[3].y')",
               "json_set(j, '$.n', -1)", "json_set(j, '$.n', 5000000000)", "json_set(j, '$.big', null)", "json_set(j, '$.e', cast('{\"b\": 1, \"a\": [2]}' as json))",
               "json_set(j, '$.a', repeat('longer than before', 20))", "json_remove(j, '$.a', '$.n', '$.o', '$.l')", "json_set(j, '$.o.x[1]', cast('{\"k\": []}' as json), '$.o.x[1].k[0]', 7)"]
    out += [insert("t", [[quoted, "'v'", "'[1, {\"m\": \"cell\"}, 3]'"] for _ in changes] + [["NULL", "NULL", "'{\"only\": \"second\"}'"]], "(j, v, k)")]
    out += [f"UPDATE t SET j = {change} WHERE id = {i}" for i, change in enumerate(changes, 1)]
    out += ["UPDATE t SET j = json_set(j, '$.both', 1), k = json_set(k, '$[1].m', 'c'), v = 'w' WHERE id BETWEEN 2 AND 4", "UPDATE t SET k = json_remove(k, '$[0]') WHERE id = 5",
            f"UPDATE t SET k = json_set(k, '$.only', 'x') WHERE id = {len(changes) + 1}", "UPDATE t SET v = 'no json' WHERE id = 6",
            "UPDATE t SET j = json_set(j, '$.again', id), k = '{}' WHERE id < 12", "UPDATE t SET j = NULL WHERE id = 13", "UPDATE t SET id = 1000, j = json_set(j, '$.s', 'moved') WHERE id = 14",
            "INSERT INTO t (id, j) VALUES (2000, json_object('array', cast(concat('[', repeat('\"cell\",', 9999), '0]') as json), 'text', repeat('t', 70000)))",
            "UPDATE t SET j = json_set(j, '$.array[5000]', 'five thousand', '$.more', json_array(1)) WHERE id = 2000", "UPDATE t SET j = json_remove(j, '$.array[1]', '$.text') WHERE id = 2000",
            "SET binlog_transaction_compression = ON", "UPDATE t SET j = json_set(j, '$.packed', true) WHERE id BETWEEN 1 AND 8", "DELETE FROM t WHERE id = 7"]
    return out


def compressed() -> list:
    """log_bin_compress: rows, statements; and COMPRESSED columns."""
    return ["CREATE TABLE t (id int primary key, v text, cv varchar(100) compressed character set latin1, cb blob compressed, cl varchar(3000) compressed, ct mediumtext compressed"
            f" comment '{'a long comment ' * 20}')",
            "INSERT INTO t VALUES (1, repeat('x', 1000), 'short', 'b', NULL, ''), (2, '', repeat('é', 100), repeat(x'00ff', 1000), repeat('ä€', 1500), repeat('text', 30000))",
            "SET column_compression_zlib_wrap = ON", "INSERT INTO t VALUES (3, repeat('z', 5000), repeat('w', 100), repeat(x'0a', 70000), repeat('w', 2999), NULL)",
            "SET column_compression_zlib_wrap = OFF, column_compression_zlib_level = 9", "UPDATE t SET v = repeat('y', 1000), cb = repeat('q', 3000) WHERE id < 3",
            "BEGIN", insert("t", [[i, f"repeat('row {i} ', {i})", "'c'", f"repeat('blob', {i})", "''", "NULL"] for i in range(10, 100)]), "DELETE FROM t WHERE id > 80", "COMMIT",
            "SET SESSION binlog_row_image = MINIMAL", "UPDATE t SET cl = repeat('minimal', 100) WHERE id = 2", "UPDATE t SET v = NULL WHERE id = 3"]


def xa_zoo(flavor: str) -> list:
    """XA transactions that commit, roll back, commit at once, change nothing, use an xid again and cross each other."""
    def xa(xid, *sql, end=("PREPARE", "COMMIT")):
        return [f"XA START {xid}", *sql, f"XA END {xid}"] + [f"XA {e.replace(' ONE PHASE', '')} {xid}{' ONE PHASE' if 'ONE' in e else ''}" for e in end]

    def add(n):
        return f"INSERT INTO t VALUES ({n}, 'xa')"
    return ["CREATE TABLE t (id int primary key, v varchar(20))", "CREATE TABLE m (id int) engine=myisam", *xa("'a'", add(1), add(2)), *xa("'a'", add(3), end=("PREPARE", "ROLLBACK")),
            *xa("'one'", add(4), end=("COMMIT ONE PHASE",)), *xa("'never'", add(5), end=("ROLLBACK",)), *xa("'empty'"), *xa("'read'", "SELECT * FROM t FOR UPDATE"),
            *xa("x'00ff27', 'branch', 2147483647", add(6), "SAVEPOINT s", add(7), "ROLLBACK TO s", add(8)), *xa("'mixed'", "INSERT INTO m VALUES (1)", add(9)),
            *xa(f"'{'g' * 64}', '{'b' * 64}', 0", add(10)), *xa("'a'", add(11), end=("PREPARE",)), "@INSERT INTO fx.t VALUES (20, 'between')", "XA COMMIT 'a'",
            *xa("'mixed2'", "INSERT INTO m VALUES (2)", add(12), end=("ROLLBACK",))]


def two_phase_alter() -> list:
    return ["CREATE TABLE t (id int primary key, v varchar(20))", "INSERT INTO t VALUES (1, 'a'), (2, 'a')", "SET binlog_alter_two_phase = ON", "ALTER TABLE t ADD COLUMN w int, algorithm=copy",
            "?ALTER TABLE t ADD UNIQUE u (v), algorithm=copy", "ALTER TABLE t DROP COLUMN w", "INSERT INTO t VALUES (3, 'c')"]


def multi() -> list:
    """Statements over several tables: joined UPDATEs and DELETEs, triggers, table ids that change between and inside files."""
    return ["CREATE TABLE t (id int primary key, v varchar(20))", "CREATE TABLE a (id int primary key, w int)", "CREATE TABLE log (n int primary key auto_increment, id int)",
            "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO log (id) VALUES (NEW.id)", "INSERT INTO a VALUES (1, 10), (2, 20), (3, 30), (4, 40)",
            "INSERT INTO t SELECT id, concat('v', w) FROM a", "UPDATE t JOIN a USING (id) SET t.v = 'joined', a.w = a.w + 1 WHERE id < 3", "FLUSH TABLES",
            "UPDATE a JOIN t USING (id) SET a.w = a.w + 1, t.v = concat(t.v, '!') WHERE id > 1", "DELETE t, a FROM t JOIN a USING (id) WHERE id = 4", "BEGIN",
            "INSERT INTO t VALUES (5, 'five')", "INSERT INTO a VALUES (5, 50)", "UPDATE t, a SET t.v = 'six', a.w = 60 WHERE t.id = 5 AND a.id = 5", "COMMIT",
            "ALTER TABLE a ADD COLUMN x int", "UPDATE t JOIN a USING (id) SET t.v = 'last', a.x = 1 WHERE id = 1"]


def partitioned() -> list:
    """MySQL puts the partitions of a row into the extra data of its event."""
    return ["CREATE TABLE t (id int primary key, v varchar(20)) PARTITION BY HASH(id) PARTITIONS 4", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",
            "UPDATE t SET v = 'z' WHERE id = 2", "UPDATE t SET id = 7 WHERE id = 4", "DELETE FROM t WHERE id = 1"]


SHAPES = ["POINT(1.5 -2.25)", "LINESTRING(0 0,80 -80.25)", "POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 2,1 1))", "MULTIPOINT(0 0,1 1)",
          "MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)))", "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))"]


def spatial() -> list:
    rows = [[i * 10 + k, f"st_geomfromtext('{shape}', {srid})", "NULL", "'x'"] for i, shape in enumerate(SHAPES) for k, srid in enumerate((0, 4326, 3857))]
    return ["CREATE TABLE t (id int primary key, g geometry, p point, v varchar(5))", insert("t", rows),
            "INSERT INTO t VALUES (100, NULL, st_geomfromtext('POINT(3 4)', 4326), 'p')", "UPDATE t SET g = st_geomfromtext('POINT(7 8)', 3857) WHERE id < 3",
            "SET SESSION binlog_row_image = MINIMAL", "UPDATE t SET p = st_geomfromtext('POINT(-1 1)') WHERE id = 10", "UPDATE t SET g = NULL WHERE id = 11", "DELETE FROM t WHERE id = 12"]


def vectors(flavor: str) -> list:
    text, bare = ("string_to_vector", "vector") if flavor == "mysql" else ("vec_fromtext", "vector(3)")
    return [f"CREATE TABLE t (id int primary key, v vector(4), w {bare})",
            insert("t", [[1, f"{text}('[1.5,-2,3e-38,0]')", f"{text}('[0.1,0.2,0.3]')"], [2, "NULL", "NULL"], [3, f"{text}('[1,2,3,4]')", "NULL"]]),
            f"UPDATE t SET v = {text}('[9,8,7,6]') WHERE id = 2", "DELETE FROM t WHERE id = 3"]


def natives() -> list:
    """UUIDs of all versions and variants; addresses with runs of zeros at all places."""
    uuids = [f"00112233-4455-{v:x}677-{n:x}899-aabbccddee{v:x}{n:x}" for v in range(16) for n in range(16)]
    uuids += ["123e4567-e89b-12d3-a456-426655440000", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "018f3c1e-9b3a-7cc0-98c4-dc0c0c000000"]
    words = ["0", "1", "ffff", "0a0"]
    six = [":".join(words[(n >> 2 * w) * (3 + w) % 4 if n >> w & 1 else 0] for w in range(8)) for n in range(len(uuids) - 4)]
    six += ["::1.2.3.4", "::ffff:192.0.2.1", "::ffff:0:0", "2001:db8::ff00:42:8329"]
    rows = [[i, f"'{u}'", f"'{s}'", f"'{i % 256}.{i * 7 % 256}.{i % 3}.{i % 2 * 255}'"] for i, (u, s) in enumerate(zip(uuids, six))]
    return ["CREATE TABLE t (id int primary key, u uuid, i6 inet6, i4 inet4)", insert("t", rows), "INSERT INTO t (id) VALUES (900)",
            "UPDATE t SET u = NULL WHERE id = 3", "UPDATE t SET i4 = '9.9.9.9' WHERE id = 4"]


def errors() -> list:
    """What sessions without strict mode leave: ENUM number 0, cut text, zero dates."""
    return ["CREATE TABLE t (id int primary key, e enum('a','b'), ee enum('','b'), s set('x','y'), v varchar(3), d date)",
            insert("t", [[1, "'a'", "''", "'x'", "'abc'", "'2024-02-30'"], [2, "'nonsense'", "'nonsense'", "'y,nonsense'", "'abcdef'", "'nonsense'"], [3, "0", "0", "0", "''", "0"]])]


def broken(flavor: str) -> list:
    """Text that is none of its character set: the data file of a table with binary columns, put under one with text."""
    sets = {"utf8mb4": "61c328", "utf8mb3": "f09f9880", "gbk": "61ff20", "sjis": "8120", "utf16": "d8000061", "latin1": "818d8f909d", "ascii": "ff"}
    wide = {"utf8mb4": 4, "utf8mb3": 3, "gbk": 2, "sjis": 2, "utf16": 4}
    text = ", ".join(f"c_{s} varchar(40) character set {s} not null" for s in sets)
    plain = ", ".join(f"c_{s} varbinary({40 * wide.get(s, 1)}) not null" for s in sets)
    return [f"CREATE TABLE t (id int not null primary key, v int not null, {text}) engine=myisam", f"CREATE TABLE donor (id int not null primary key, v int not null, {plain}) engine=myisam",
            insert("t", [[i, i] + ["''"] * len(sets) for i in (1, 2)]), insert("donor", [[i, i] + [f"x'{b}'" for b in sets.values()] for i in (1, 2)]), "=donor t", "DROP TABLE donor",
            "UPDATE t SET v = v + 10"]


def hidden(flavor: str) -> list:
    columns = "a int, v int generated always as (a + 1) virtual, s varchar(10) invisible default 'dflt', st int generated always as (a * 2) stored, late int"
    first = ["SET sql_generate_invisible_primary_key = ON", f"CREATE TABLE t ({columns})"] if flavor == "mysql" else [f"CREATE TABLE t (id int primary key auto_increment, {columns})"]
    return first + ["INSERT INTO t (a) VALUES (1), (2), (3)", "INSERT INTO t (a, s, late) VALUES (4, 'said', 5)", "UPDATE t SET s = 'new' WHERE a = 2", "UPDATE t SET a = 30 WHERE a = 3",
                    "DELETE FROM t WHERE a = 1"]


def versioned() -> list:
    return ["CREATE TABLE t (id int primary key, v int, a timestamp(6) generated always as row start, b timestamp(6) generated always as row end, period for system_time (a, b))"
            " with system versioning", "CREATE TABLE other (id int primary key, v int) with system versioning", "INSERT INTO t (id, v) VALUES (1, 1), (2, 2)",
            "UPDATE t SET v = 5 WHERE id = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO other VALUES (1, 1)", "UPDATE other SET v = 2", "DELETE FROM other"]


def sequences() -> list:
    return ["CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 10 CACHE 5", "CREATE TABLE t (id int primary key, v int)",
            "INSERT INTO t VALUES (NEXTVAL(numbers), 1), (NEXTVAL(numbers), 2)", "SELECT SETVAL(numbers, 5000)", "INSERT INTO t VALUES (NEXTVAL(numbers), 3)"]


def value_fixtures(flavor: str) -> list:
    out = [
        Fixture("val_spatial", BOTH, spatial(), what="shapes of all kinds in three reference systems; MINIMAL images"),
        Fixture("val_errors", BOTH, errors(), what="values that lax sessions leave: ENUM number 0, cut text, zero dates"),
        Fixture("val_broken", BOTH, broken(flavor), text_as_hex=True, what="text that is none of its character set"),
        Fixture("val_hidden", BOTH, hidden(flavor), what="invisible and generated columns; on MySQL an invisible primary key that the server made"),
    ]
    if flavor == "mysql":
        return out + [Fixture("val_vector", BOTH, vectors(flavor), what="VECTOR")]
    return out + [
        Fixture("val_vector", ("mariadb11",), vectors(flavor), what="VECTOR"),
        Fixture("val_native", BOTH, natives(), what="UUID, INET4, INET6"),
        Fixture("val_versioned", BOTH, versioned(), rows=False, what="system-versioned tables: history rows, DELETE as UPDATE"),
        Fixture("val_sequence", BOTH, sequences(), what="rows of a sequence between those of a table"),
    ]


BOTH = ("mariadb", "mysql")


def fixtures(flavor: str) -> list:
    minimal = {"binlog_row_metadata": "MINIMAL"}
    out = [
        Fixture("integers", BOTH, integers(), what="all integer types, signed and unsigned, at their edges"),
        Fixture("integers_minimal", BOTH, integers(), globals=minimal, what="the same without column names"),
        Fixture("decimals", BOTH, decimals(), what="DECIMAL of many precisions"),
        Fixture("floats", BOTH, floats(), what="FLOAT and DOUBLE"),
        Fixture("bits", BOTH, bits(), what="BIT of all widths, YEAR"),
        Fixture("temporals", BOTH, temporals(), what="dates and times with 0 to 6 fraction digits, negative, zero and partial ones"),
        Fixture("strings", BOTH, strings(), what="CHAR to LONGBLOB"),
        Fixture("charsets", BOTH, charsets(), what="text in many charsets"),
        Fixture("enums", BOTH, enums(), what="ENUM and SET with up to 300 and 64 members"),
        Fixture("enums_minimal", BOTH, enums(), globals=minimal, what="the same without members"),
        Fixture("images", BOTH, images(), what="FULL, MINIMAL and NOBLOB row images, changed keys"),
        Fixture("images_nochecksum", BOTH, images(), globals={"binlog_checksum": "NONE"}, what="the same without checksums"),
        Fixture("metadata", BOTH, metadata(flavor), what="optional metadata over columns of all kinds", rows=False),
        Fixture("ev_xa", BOTH, xa_zoo(flavor), rows=False, what="XA transactions"),
        Fixture("ev_multi", BOTH, multi(), what="statements over several tables, triggers, table ids that change"),
        Fixture("transactions", BOTH, transactions(flavor), what="transactions, XA, GTIDs of many kinds; the second file of two"),
    ]
    if flavor == "mysql":
        out += [
            Fixture("json", BOTH, json_zoo(), gzip=True, what="JSON values of all kinds"),
            Fixture("json_large", BOTH, json_large(), gzip=True, what="JSON documents beyond 64 KiB"),
            Fixture("ev_payload", BOTH, payload(), gzip=True, what="TRANSACTION_PAYLOAD"),
            Fixture("ev_partitioned", BOTH, partitioned(), what="extra data of row events: partitions"),
            Fixture("ev_partial", BOTH, partial(), gzip=True, what="PARTIAL_UPDATE_ROWS with full images, some in a TRANSACTION_PAYLOAD"),
        ]
    else:
        out += [
            Fixture("old_temporals", BOTH, old_temporals(), globals={"mysql56_temporal_format": "OFF"}, what="TIME, DATETIME, TIMESTAMP in the form of MySQL 5.5"),
            Fixture("json", BOTH, ["CREATE TABLE t (id int primary key, j json)", "INSERT INTO t VALUES (1, '{\"b\": 1.0,  \"a\": \"\\\\u00e4\"}'), (2, '[]'), (3, NULL)"], what="JSON is text"),
            Fixture("ev_compressed", BOTH, compressed(), globals={"log_bin_compress": "ON", "log_bin_compress_min_len": 10}, gzip=True, what="compressed rows, statements and columns"),
            Fixture("ev_alter", BOTH, two_phase_alter(), what="START, COMMIT and ROLLBACK ALTER"),
        ]
    return out + value_fixtures(flavor)


def escape(v) -> str:
    if v is None:
        return "\\N"
    text = v.decode("utf8") if isinstance(v, bytes) else str(v)
    for a, b in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(a, b)
    return text


def write_tsv(path: Path, rows: list, zipped: bool) -> None:
    data = "".join("\t".join(escape(v) for v in row) + "\n" for row in rows).encode()
    write(path, data, zipped)


def write(path: Path, data: bytes, zipped: bool) -> None:
    for old in (path, path.with_name(path.name + ".gz")):
        old.unlink(missing_ok=True)
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(data, mtime=0))
    else:
        path.write_bytes(data)


def oracle_expression(column: tuple, members: bool) -> tuple[str, str]:
    name, dtype, charset = column
    q = f"`{name}`"
    if dtype in ("geometry", "point", "vector"):
        return "bytes", f"hex(cast({q} as binary))"
    if dtype in ("inet4", "inet6", "uuid"):
        return dtype, f"concat(hex({q}), ' ', {q})"
    if "blob" in dtype or "binary" in dtype:
        return "hex", f"hex({q})"
    if dtype == "bit":
        return "text", f"{q} + 0"
    if dtype in ("enum", "set"):
        if not members:
            return "text", f"cast({q} as unsigned)"
        return ("text", q) if charset.startswith("utf8") else ("hex", f"hex({q})")
    if dtype == "float":
        return "double", f"{q} + 0e0"
    if dtype == "json":
        return "text", q
    if charset and not charset.startswith("utf8") and charset != "ascii":
        return "hex", f"hex({q})"
    return "text", q


def oracle(conn, fixture: Fixture) -> tuple[list, list]:
    members = fixture.globals.get("binlog_row_metadata") != "MINIMAL"
    with conn.cursor() as cur:
        cur.execute("SELECT column_name, data_type, ifnull(character_set_name, '') FROM information_schema.columns"
                    " WHERE table_schema = 'fx' AND table_name = 't' ORDER BY ordinal_position")
        columns = list(cur.fetchall())
        mariadb = "mariadb" in conn.get_server_info().lower()
        ids = "collation_character_set_applicability c WHERE c.full_collation_name" if mariadb else "collations c WHERE c.collation_name"
        cur.execute(f"SELECT column_name, column_type, is_nullable, extra, (SELECT id FROM information_schema.{ids} = x.collation_name LIMIT 1)"
                    " FROM information_schema.columns x WHERE table_schema = 'fx' AND table_name = 't' ORDER BY ordinal_position")
        info = [["name", "type", "nullable", "extra", "collation"]] + [list(r) for r in cur.fetchall()]
        modes = [("hex", f"hex(`{c[0]}`)") if fixture.text_as_hex and c[2] else oracle_expression(c, members) for c in columns]
        cur.execute("SELECT " + ", ".join(m[1] for m in modes) + " FROM fx.t ORDER BY 1, 2")
        rows = [[f"{c[0]}:{m[0]}" for c, m in zip(columns, modes)]] + [list(r) for r in cur.fetchall()]
    return rows, info


def make(server, conn, fixture: Fixture) -> dict:
    flavor, kind = server.flavor, server.kind
    with conn.cursor() as cur:
        cur.execute("SET SESSION sql_mode = '', time_zone = '+00:00', sql_log_bin = 0")
        cur.execute("DROP DATABASE IF EXISTS fx")
        cur.execute("CREATE DATABASE fx CHARACTER SET utf8mb4")
        saved = {}
        for k, v in fixture.globals.items():
            cur.execute(f"SELECT @@global.{k}")
            saved[k] = cur.fetchone()[0]
            cur.execute(f"SET GLOBAL {k} = {v}")
    work = server.admin(conv={})
    with work.cursor() as cur:
        cur.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
        cur.execute("SET NAMES utf8mb4")
        cur.execute("SET SESSION sort_buffer_size = 67108864")  # large documents are sorted for the oracle
        cur.execute("USE fx")
        for s in fixture.session:
            cur.execute(s)
        cur.execute("FLUSH BINARY LOGS")
        for s in fixture.sql:
            if s.startswith("@"):  # from another session
                other = server.admin()
                other.cursor().execute(s[1:])
                other.close()
                continue
            if s.startswith("="):  # MyISAM: the second table gets the first one's data file
                donor, table = s[1:].split()
                cur.execute(f"FLUSH TABLES {donor}, {table}")
                for end in ("MYD", "MYI"):
                    shutil.copyfile(server.datadir / "fx" / f"{donor}.{end}", server.datadir / "fx" / f"{table}.{end}")
                cur.execute("FLUSH TABLES")
                continue
            if s.startswith("?"):  # fails
                try:
                    cur.execute(s[1:])
                except servers.pymysql.Error:
                    continue
                raise RuntimeError(f"did not fail: {s}")
            cur.execute(s)
        files = []
        file, _ = server.binlog_position()
        number = int(file.split(".")[1])
        want = [file] if fixture.name != "transactions" else [f"{file.split('.')[0]}.{number - 1:06d}", file]
        rows, info = oracle(work, fixture)
        cur.execute("FLUSH BINARY LOGS")
        for i, f in enumerate(want):
            cur.execute(f"SHOW BINLOG EVENTS IN '{f}'")
            events = [[r[1], r[2], r[4], r[5]] for r in cur.fetchall()]
            name = f"{kind}_{fixture.name}" + (f"_{i + 1}" if len(want) > 1 else "")
            data = (server.datadir / f).read_bytes()
            write(OUT / f"{name}.binlog", data, fixture.gzip)
            write_tsv(OUT / f"{name}.events.tsv", events, False)
            files.append(name)
        if fixture.rows:
            write_tsv(OUT / f"{kind}_{fixture.name}.rows.tsv", rows, fixture.gzip)
        write_tsv(OUT / f"{kind}_{fixture.name}.columns.tsv", info, False)
        cur.execute("SELECT @@global.gtid_executed" if flavor == "mysql" else "SELECT @@global.gtid_binlog_pos")
        gtids = cur.fetchone()[0]
    work.close()
    with conn.cursor() as cur:
        for k, v in saved.items():
            cur.execute(f"SET GLOBAL {k} = %s", (v,))
    return {"name": f"{kind}_{fixture.name}", "files": files, "what": fixture.what, "flavor": flavor, "rows": fixture.rows, "metadata":
            fixture.globals.get("binlog_row_metadata", "FULL"), "globals": fixture.globals, "gtids_after": gtids.replace("\n", ""), "sql": fixture.sql}


# What a server sends and no file holds: (name, kind of server, what, variables of the dump, flags of the dump, packets behind the last event)
WIRE = [
    ("wire_dummies", "mariadb", "what MariaDB sends to a replica of before GTIDs: USER_VAR and QUERY events in place of others", ["@mariadb_slave_capability = 1"], 0, 2),
    ("wire_heartbeats_v2", "mysql", "HEARTBEAT_V2, which a replica has to ask for", [], 2, 3),
]
WIRE_SQL = ["CREATE DATABASE db CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "CREATE TABLE db.a (id int primary key, v varchar(20))", "INSERT INTO db.a VALUES (1, 'one'), (2, 'two')",
            "UPDATE db.a SET v = 'zwei' WHERE id = 2"]


def make_wire(server, name: str, what: str, variables: list, flags: int, heartbeats: int) -> dict:
    """NAME.packets: events as COM_BINLOG_DUMP gives them, each behind its length (4 bytes, little-endian)."""
    server.run("DROP DATABASE IF EXISTS db")
    server.reset_binlogs()
    file, _ = server.binlog_position()
    server.run(*WIRE_SQL)
    _, end = server.binlog_position()
    conn = server.admin()
    with conn.cursor() as cur:
        for v in ["@master_binlog_checksum = 'CRC32'", "@source_binlog_checksum = 'CRC32'", "@master_heartbeat_period = 1000000000", "@source_heartbeat_period = 1000000000"] + variables:
            cur.execute(f"SET {v}")
    conn._execute_command(0x12, struct.pack("<IHI", 4, flags, 4099) + file.encode())
    packets, beats = [], 0
    while beats < heartbeats:
        packets.append(bytes(conn._read_packet()._data)[1:])
        beats += packets[-1][4] in (27, 41)
    conn._force_close()
    write(OUT / f"{name}.packets", b"".join(struct.pack("<I", len(p)) + p for p in packets), False)
    return {"name": name, "what": what, "flavor": server.flavor, "server": server.kind, "file": file, "end": end, "session": variables, "dump_flags": flags,
            "packets": len(packets), "sql": WIRE_SQL}


def main() -> None:
    only = set(sys.argv[1:])
    OUT.mkdir(parents=True, exist_ok=True)
    manifest_path = OUT / "MANIFEST.json"
    before = json.loads(manifest_path.read_text()) if only and manifest_path.exists() else {}
    old = {e["name"]: e for e in before.get("fixtures", [])}
    wire = {e["name"]: e for e in before.get("wire", [])}
    options = {"server_id": 17, "binlog_row_metadata": "FULL", "binlog_row_image": "FULL", "character_set_server": "utf8mb4"}
    out, about = dict(old), {}
    both = [servers.MariaDB(**options), servers.MySQL(binlog_rows_query_log_events="ON", **options), servers.MariaDB11(**options)]
    for server in servers.start_all(both):
        conn = server.admin()
        about[server.kind] = {"version": server.version, "options": server.options}
        for fixture in fixtures(server.flavor):
            if only and fixture.name not in only and f"{server.kind}_{fixture.name}" not in only:
                continue
            if server.kind == "mariadb11" and not fixture.name.startswith(("ev_", "transactions", "val_", "charsets", "temporals", "metadata")):
                continue
            if fixture.flavors == ("mariadb11",) and server.kind != "mariadb11":
                continue
            entry = make(server, conn, fixture)
            out[entry["name"]] = entry
            print(entry["name"], flush=True)
        conn.close()
        for name, kind, *rest in WIRE:
            if kind == server.kind and (not only or name in only):
                wire[name] = make_wire(server, name, *rest)
                print(name, flush=True)
        server.destroy()
    manifest = {"made_by": "tools/make_fixtures.py", "servers": about, "fixtures": [out[k] for k in sorted(out)], "wire": [wire[k] for k in sorted(wire)]}
    manifest_path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
