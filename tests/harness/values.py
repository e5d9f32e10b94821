"""Tables of every column type with their edge values, for what reads rows: one idea a table, one value a cell.

A table is (name, definition without the parentheses, rows of SQL literals); the first column is its key, ascending."""
from __future__ import annotations

from dataclasses import dataclass, field

from .workload import TYPE_COLUMNS, TYPE_VALUES, TYPES

# what lets every stored value in: zero, partial and impossible dates, ENUM 0
LAX = "SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00'"


@dataclass(frozen=True)
class ValueTable:
    name: str
    columns: str
    names: tuple[str, ...]  # of the columns that are written
    rows: list[tuple]       # values for %s
    options: str = "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"
    before: tuple[str, ...] = ()  # statements around CREATE TABLE
    after: tuple[str, ...] = ()
    refused: bool = False  # the values are read, and then stop the source by design
    expressions: dict = field(default_factory=dict)  # column → what stands for its value instead of %s

    def create(self, name: str) -> str:
        return f"CREATE TABLE {name} ({self.columns}) {self.options}"

    def insert(self, name: str) -> str:
        names = ",".join("`" + n.replace("`", "``").replace("%", "%%") + "`" for n in self.names)
        return f"INSERT INTO {name} ({names}) VALUES ({','.join(self.expressions.get(n, '%s') for n in self.names)})"


def _columnwise(name: str, columns: list[tuple[str, str, list]], **kw) -> ValueTable:
    """One column of each definition and its values; row i takes each column's i-th value, shorter lists start again."""
    depth = max(len(values) for _, _, values in columns)
    rows = [tuple([i + 1] + [values[i % len(values)] for _, _, values in columns]) for i in range(depth)]
    ddl = "id INT NOT NULL PRIMARY KEY, " + ", ".join(f"`{n}` {d}" for n, d, _ in columns)
    return ValueTable(name, ddl, ("id", *[n for n, _, _ in columns]), rows, **kw)


def _integers() -> ValueTable:
    columns = []
    for word, bits in (("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)):
        low, high, top = -2**(bits - 1), 2**(bits - 1) - 1, 2**bits - 1
        columns += [(f"s{bits}", word, [low, -1, 0, 1, high, None]), (f"u{bits}", f"{word} UNSIGNED", [0, 1, high, high + 1, top, None]),
                    (f"z{bits}", f"{word}(5) ZEROFILL", [0, 7, high, top]), (f"n{bits}", f"{word} NOT NULL DEFAULT 5", [low, 0, high])]
    columns += [("b", "BOOLEAN", [0, 1, None]), ("y", "YEAR", [0, 1901, 1970, 2000, 2155, None])]
    return _columnwise("integers", columns)


def _decimals() -> ValueTable:
    columns = []
    for precision, scale in ((1, 0), (1, 1), (9, 0), (9, 9), (10, 0), (10, 2), (18, 9), (19, 10), (20, 0), (27, 13), (38, 38 - 8), (65, 0), (65, 30), (30, 30)):
        whole, digits = precision - scale, "9" * precision
        most = (digits[:whole] or "0") + ("." + digits[whole:] if scale else "")
        least = "0" + ("." + "0" * (scale - 1) + "1" if scale else "")
        columns.append((f"d{precision}_{scale}", f"DECIMAL({precision},{scale})", [most, "-" + most, "0", least, "-" + least, None, "0.5", "-0.25"]))
    columns += [("z", "DECIMAL(12,4) ZEROFILL", ["0", "0.0001", "12345678.9876"]), ("u", "DECIMAL(12,4) UNSIGNED", ["0", "99999999.9999"])]
    return _columnwise("decimals", columns)


def _floats() -> ValueTable:
    singles = [0.0, -0.0, 1.1, 3.4028234e38, -3.4028234e38, 1.17549435e-38, 1e-45, 16777217.0, 0.1, 123456.789, 1 / 3, None]
    doubles = [0.0, -0.0, 0.1, 1.7976931348623157e308, -1.7976931348623157e308, 2.2250738585072014e-308, 5e-324, 1 / 3, 1e22, 123456789012345680.0, None]
    return _columnwise("floats", [("f", "FLOAT", singles), ("fu", "FLOAT UNSIGNED", [0.0, 0.7, 1e38]), ("f73", "FLOAT(7,3)", [1.0005, 1234.5678, -9999.999]),
                                  ("f20", "FLOAT(20)", singles), ("f50", "FLOAT(50)", doubles), ("d", "DOUBLE", doubles), ("du", "DOUBLE UNSIGNED", [0.0, 1e300]),
                                  ("d104", "DOUBLE(10,4)", [1.00005, 999999.9999])])


def _bits() -> ValueTable:
    return _columnwise("bits", [(f"b{n}", f"BIT({n})", [0, 1, 2**n - 1, 2**(n - 1), None]) for n in range(1, 65)])


def _temporals(flavor: str) -> ValueTable:
    dates = ["1000-01-01", "9999-12-31", "0000-00-00", "2024-02-29", "2024-00-00", "2024-02-31", "2023-02-30", "0000-01-01", "0001-01-01", "1969-12-31", None]
    clocks = ["-838:59:59", "838:59:59", "00:00:00", "-00:00:01", "24:00:00", "-25:01:01", "12:34:56.789123", "-12:34:56.789123", "00:00:00.5", "-00:00:00.5",
              "-00:00:00.000001", "838:59:58.999999", "-838:59:58.999999", "99:59:59.99", None]
    moments = ["1000-01-01 00:00:00", "9999-12-31 23:59:59", "0000-00-00 00:00:00", "2024-00-00 00:00:00", "2024-02-31 12:00:00", "2024-11-00 01:02:03.123456",
               "2024-02-29 12:34:56.789123", "2024-01-01 00:00:00.000001", "1969-12-31 23:59:59.999999", None]
    stamps = ["1970-01-01 00:00:01", "2038-01-19 03:14:07", "2024-03-31 01:30:00.123456", "0000-00-00 00:00:00", "2000-02-29 23:59:59.999999",
              "2024-10-27 00:30:00.5", "1972-02-29 00:00:00.000001", "2001-09-09 01:46:40", None]
    columns = [("d", "DATE", dates)]
    for fsp in range(7):
        columns += [(f"t{fsp}", f"TIME({fsp})", clocks), (f"dt{fsp}", f"DATETIME({fsp})", moments), (f"ts{fsp}", f"TIMESTAMP({fsp}) NULL", stamps)]
    return _columnwise("temporals", columns)


_CHARSETS = {"latin1": "é€ÿ", "latin2": "łž", "cp1251": "яЖ", "cp1250": "ž", "koi8r": "яЖ", "gbk": "中文", "sjis": "日本ｱ", "cp932": "日本", "big5": "中", "ujis": "日本", "euckr": "한",
             "gb2312": "中", "utf16": "ä€𝄞", "utf32": "ä€𝄞", "ucs2": "ä€", "utf16le": "ä€𝄞", "ascii": "az", "utf8mb3": "ä€", "utf8mb4": "ä€𝄞😀", "hebrew": "א", "greek": "λ", "tis620": "ก",
             "swe7": "a", "cp850": "é", "macroman": "é", "hp8": "é", "dec8": "é"}


def _charsets(kind: str) -> ValueTable:
    columns = []
    for charset, text in _CHARSETS.items():
        values = [text, "", "a", "a ", "  ", text + " ", " " + text, None]
        if kind in ("ENUM", "SET"):
            definition, values = f"{kind}('a','{text}','z') CHARACTER SET {charset}", ["a", text, "z", None]
        else:
            definition = f"{kind} CHARACTER SET {charset}"
        columns.append((f"c_{charset}", definition, values))
    return _columnwise("charsets_" + kind.split("(")[0].lower() + "".join(c for c in kind if c.isdigit()), columns)


def _lengths() -> ValueTable:
    texts = ["", "a", "ab  ", "ä€𝄞", "tab\t\n\r\0\x1a'\"\\`%", None]
    def sized(n, unit="x"):
        return [t for t in texts if t is None or len(t) <= n] + [unit * n, unit * (n - 1) if n else ""]
    columns = [("c0", "CHAR(0)", ["", None]), ("c1", "CHAR(1)", sized(1)), ("c63", "CHAR(63)", sized(63, "𝄞")), ("c64", "CHAR(64)", sized(64, "𝄞")),
               ("c255", "CHAR(255)", sized(255, "€")), ("l255", "CHAR(255) CHARACTER SET latin1", sized(255)[:1] + ["y" * 255]),
               ("v0", "VARCHAR(0)", ["", None]), ("v63", "VARCHAR(63)", sized(63, "𝄞")), ("v64", "VARCHAR(64)", sized(64, "𝄞")),
               ("v255", "VARCHAR(255) CHARACTER SET latin1", ["", "y" * 255]), ("v256", "VARCHAR(256) CHARACTER SET latin1", ["", "y" * 256]),
               ("v3000", "VARCHAR(3000)", sized(3000, "ß")), ("tt", "TINYTEXT", ["", "t" * 255, None]), ("tx", "TEXT", ["", "ü" * 30000, None]),
               ("mt", "MEDIUMTEXT", ["", "m" * 70000, None]), ("lt", "LONGTEXT", ["", "l" * 100000, None])]
    return _columnwise("lengths", columns, options="DEFAULT CHARSET=utf8mb4")


def _bytes() -> ValueTable:
    raw = [b"", b"\0", b"abc", b"abc\0\0", b"\0abc", b" ", b"abc  ", b"\xff" * 4, None]
    every = bytes(range(256))
    columns = [("b0", "BINARY(0)", [b"", None]), ("b1", "BINARY(1)", [b"", b"\0", b" ", b"\xff", None]), ("b16", "BINARY(16)", raw), ("b255", "BINARY(255)", raw + [every[:255], b"\0" * 255]),
               ("nb", "BINARY(4) NOT NULL DEFAULT 'x'", [b"", b"\0\0\0\1", b"a"]), ("vb0", "VARBINARY(0)", [b"", None]), ("vb255", "VARBINARY(255)", raw + [every[1:]]),
               ("vb256", "VARBINARY(256)", raw + [every]), ("vb5000", "VARBINARY(5000)", raw + [every * 19]), ("cb", "CHAR(8) CHARACTER SET binary", raw),
               ("vcb", "VARCHAR(8) CHARACTER SET binary", raw), ("tb", "TINYBLOB", raw + [b"\xfe" * 255]), ("bl", "BLOB", raw + [every * 255]),
               ("mb", "MEDIUMBLOB", raw + [every * 260]), ("lb", "LONGBLOB", raw + [every * 400])]
    return _columnwise("bytes", columns)


def _members() -> ValueTable:
    many = ",".join(f"'m{i}'" for i in range(300))
    sets = {n: ",".join(f"'s{i}'" for i in range(n)) for n in (1, 8, 9, 16, 17, 24, 25, 32, 33, 63, 64)}
    columns = [("e", "ENUM('a','B','ß','with ''quote','')", ["a", "B", "ß", "with 'quote", "", None]), ("e255", f"ENUM({many[:many.index(',' + chr(39) + 'm255')]})", ["m0", "m254"]),
               ("e256", f"ENUM({many[:many.index(',' + chr(39) + 'm256')]})", ["m0", "m255"]), ("e300", f"ENUM({many})", ["m0", "m299", None]),
               ("en", "ENUM('x','y') NOT NULL", ["x", "y"])]
    columns += [(f"s{n}", f"SET({members})", ["", "s0", f"s{n - 1}", members.replace("'", ""), None]) for n, members in sets.items()]
    return _columnwise("members", columns)


def _no_members() -> ValueTable:
    """The error value of ENUM, number 0."""
    return _columnwise("no_members", [("e", "ENUM('a','')", ["a", "", "no member", None]), ("en", "ENUM('x','y') NOT NULL", ["no member", "y"])], refused=True)


def _odd() -> list[ValueTable]:
    wide = [(f"c{i}", "TINYINT NULL", [None if i % 3 == 0 else i, i, None]) for i in range(100)]
    generated = ValueTable("generated", "id INT NOT NULL PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL, st INT GENERATED ALWAYS AS (a * 2) STORED, t VARCHAR(20), "
                           "vt VARCHAR(30) GENERATED ALWAYS AS (CONCAT(t, '!')) VIRTUAL, hidden INT DEFAULT 3 INVISIBLE, z INT, KEY k_v (v)", ("id", "a", "t", "hidden", "z"),
                           [(1, 5, "x", 1, 1), (2, None, None, None, None), (3, -7, "", 0, 9)])
    names = ValueTable("names", "id INT NOT NULL PRIMARY KEY, `select` INT, `a``b` VARCHAR(10), `ä 中` INT, `50%%` ENUM('x','y')".replace("%%", "%"),
                       ("id", "select", "a`b", "ä 中", "50%"), [(1, 1, "x", 2, "y"), (2, None, None, None, None)])
    composite = ValueTable("composite", "a INT NOT NULL, b VARBINARY(20) NOT NULL, c DATE NOT NULL, v TEXT, PRIMARY KEY (b, a)", ("a", "b", "c", "v"),
                           [(1, b"x", "2024-01-01", "x"), (2, b"x\0", "2024-01-02", "y"), (3, b"", "2024-01-03", None)])
    huge = ValueTable("huge", "id INT NOT NULL PRIMARY KEY, before_it INT, body LONGBLOB, note LONGTEXT, after_it INT", ("id", "before_it", "body", "note", "after_it"),
                      [(1, 7, b"\x00\x01\x02\xfd" * (4 << 20), "n", 8), (2, 7, b"", "ä" * (9 << 20), 8), (3, 7, b"\xff" * ((16 << 20) - 1), None, 8), (4, None, None, None, None)])
    return [_columnwise("wide", wide), generated, names, composite, huge]


def _everything() -> ValueTable:
    """The workload's table, one row a value."""
    rows = []
    for at, column in enumerate(TYPE_COLUMNS):
        for value in [None, *TYPE_VALUES[column]]:
            rows.append(tuple([len(rows) + 1] + [value if i == at else None for i in range(len(TYPE_COLUMNS))]))
    return ValueTable("everything", TYPES, ("id", *TYPE_COLUMNS), rows)


def _old_temporals() -> ValueTable:
    clocks = ["00:00:00", "838:59:59", "-838:59:59", "-00:00:01", None]
    moments = ["2024-02-29 12:34:56", "9999-12-31 23:59:59", "0000-00-00 00:00:00", "1000-01-01 00:00:00", "2024-02-31 00:00:00", None]
    stamps = ["2024-02-29 12:34:56", "2038-01-19 03:14:07", "0000-00-00 00:00:00", "1970-01-01 00:00:01", None]
    return _columnwise("old_temporals", [("t", "TIME", clocks), ("dt", "DATETIME", moments), ("ts", "TIMESTAMP NULL", stamps)],
                       before=("SET GLOBAL mysql56_temporal_format = OFF",), after=("SET GLOBAL mysql56_temporal_format = ON",))


_SHAPES = ["POINT(1.5 -2.25)", "LINESTRING(0 0,80 -80.25)", "POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 2,1 1))", "MULTIPOINT(0 0,1 1)",
           "MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)))", "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))", None]
_UUIDS = ["123e4567-e89b-12d3-a456-426655440000", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
          "018f3c1e-9b3a-7cc0-98c4-dc0c0c070000", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "1ec9414c-232a-6b00-b3c8-9f6bdeced846", None]


def _native(flavor: str) -> list[ValueTable]:
    """Types that not every server has, and those with a form of their own."""
    spatial = [(f"g{srid}", "GEOMETRY", _SHAPES) for srid in (0, 4326, 3857)] + [("p", "POINT", _SHAPES[:1] + [None]), ("po", "POLYGON", _SHAPES[2:3])]
    texts = {f"g{srid}": f"ST_GeomFromText(%s, {srid})" for srid in (0, 4326, 3857)} | {"p": "ST_GeomFromText(%s)", "po": "ST_GeomFromText(%s)"}
    out = [_columnwise("spatial", spatial, expressions=texts)]
    if flavor == "mysql":
        vectors = ["[1.5,-2,3e-38,0]", "[0.1]", "[0,0,0]", None]
        return out + [_columnwise("vectors", [("v", "VECTOR(4)", vectors), ("w", "VECTOR", vectors)],
                                  expressions={"v": "STRING_TO_VECTOR(%s)", "w": "STRING_TO_VECTOR(%s)"})]
    return out + [_columnwise("native", [("u", "UUID", _UUIDS), ("un", "UUID NOT NULL", _UUIDS[:-1]), ("i6", "INET6", ["::", "::1", "1::", "ffff::", "2001:db8::ff00:42:8329", "::1.2.3.4", None]),
                                         ("i4", "INET4", ["0.0.0.0", "255.255.255.255", "10.0.0.0", "1.2.3.4", None])])]


def value_tables(flavor: str) -> list[ValueTable]:
    out = [_integers(), _decimals(), _floats(), _bits(), _temporals(flavor), _lengths(), _bytes(), _members(), _no_members(), _everything(), *_odd()]
    out += [_charsets(kind) for kind in ("CHAR(12)", "VARCHAR(20)", "TEXT", "ENUM", "SET")]
    out += _native(flavor)
    return out + ([_old_temporals()] if flavor == "mariadb" else [])


def make_tables(server, schema: str, tables: list[ValueTable], suffix: str = "", create: bool = True, fill: bool = True, at_once: bool = False) -> None:
    """Creates and fills them; each row is a transaction, or (at_once) each table."""
    conn = server.connect(autocommit=True)
    with conn.cursor() as cur:
        cur.execute(LAX)
        for table in tables:
            name = f"`{schema}`.`{table.name}{suffix}`"
            if create:
                for statement in (*table.before, table.create(name), *table.after):
                    cur.execute(statement)
            sql = table.insert(name)
            if at_once:
                cur.execute("BEGIN")
            for row in table.rows if fill else ():
                cur.execute(sql, row)
            if at_once:
                cur.execute("COMMIT")
    conn.close()
