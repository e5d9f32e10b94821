"""Random workloads over shards, from one printed seed.

Each shard is (server, schema, number); its tables are written by one thread with a Random of its own, so a seed gives
the same statements whatever the timing. Keys are disjoint between shards by construction: ids begin at
number * 10**12 (BIGINT) or number * 10**7 (INT), string keys with the shard's letters. The workload keeps a model of
the live keys, which a rolled back transaction restores.

Tables (`TABLES`): each is one idea of what may go wrong. `skipped` is written along and must never be merged.
"""
from __future__ import annotations

import datetime
import random
import threading
import time
from dataclasses import dataclass, field

import pymysql

from .servers import Server


@dataclass(frozen=True)
class Table:
    name: str
    ddl: str  # the part in parentheses and the options
    keyless: bool = False
    flavors: tuple[str, ...] = ("mariadb", "mysql")

    def create(self, schema: str, name: str | None = None) -> str:
        return f"CREATE TABLE `{schema}`.`{name or self.name}` {self.ddl}"


def _table(name: str, body: str, **kw) -> Table:
    return Table(name, f"({body}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci", **kw)


# every type of the decoder; values in TYPE_VALUES
TYPES = """
 id BIGINT NOT NULL PRIMARY KEY,
 c_tiny TINYINT NULL, c_utiny TINYINT UNSIGNED NULL, c_small SMALLINT NULL, c_usmall SMALLINT UNSIGNED NULL,
 c_medium MEDIUMINT NULL, c_umedium MEDIUMINT UNSIGNED NULL, c_int INT NULL, c_uint INT UNSIGNED NULL,
 c_big BIGINT NULL, c_ubig BIGINT UNSIGNED NULL, c_bool BOOLEAN NULL,
 c_float FLOAT NULL, c_double DOUBLE NULL, c_dec DECIMAL(65,30) NULL, c_dec2 DECIMAL(10,2) NULL, c_dec3 DECIMAL(9,9) NULL,
 c_bit1 BIT(1) NULL, c_bit BIT(33) NULL, c_bit64 BIT(64) NULL, c_year YEAR NULL, c_date DATE NULL,
 c_time TIME NULL, c_time3 TIME(3) NULL, c_time6 TIME(6) NULL, c_datetime DATETIME NULL, c_datetime1 DATETIME(1) NULL,
 c_datetime6 DATETIME(6) NULL, c_ts TIMESTAMP NULL, c_ts2 TIMESTAMP(2) NULL, c_ts6 TIMESTAMP(6) NULL,
 c_char CHAR(30) NULL, c_varchar VARCHAR(200) NULL, c_varlong VARCHAR(3000) NULL, c_latin VARCHAR(50) CHARACTER SET latin1 NULL,
 c_binary BINARY(16) NULL, c_varbinary VARBINARY(300) NULL, c_tinytext TINYTEXT NULL, c_text TEXT NULL,
 c_mediumtext MEDIUMTEXT NULL, c_longtext LONGTEXT NULL, c_tinyblob TINYBLOB NULL, c_blob BLOB NULL,
 c_mediumblob MEDIUMBLOB NULL, c_longblob LONGBLOB NULL, c_enum ENUM('a','B','ß','with ''quote','') NULL,
 c_set SET('x','y','z','ä','w') NULL, c_json JSON NULL
"""
_TEXTS = ["", "a", "A", "ß", "ss", "é", "e\u0301", "a ", " a", "\t\n\r\0\x1a", "it's \"quoted\" \\ `", "𝄞😀", "%_", "中文"]
_BYTES = [b"", b"\0", b"\xff" * 9, bytes(range(256)), b"'\"\\\x1a\n", b"abc\0\0"]
TYPE_VALUES: dict[str, list] = {
    "c_tiny": [-128, -1, 0, 127], "c_utiny": [0, 128, 255], "c_small": [-32768, 32767], "c_usmall": [0, 65535],
    "c_medium": [-8388608, -1, 8388607], "c_umedium": [0, 16777215], "c_int": [-2147483648, 2147483647, 0],
    "c_uint": [0, 2147483648, 4294967295], "c_big": [-2**63, 2**63 - 1, 0], "c_ubig": [0, 2**63, 2**64 - 1],
    "c_bool": [0, 1], "c_float": [0.0, -0.0, 1.1, 3.4028234e38, -1.17549435e-38, 1e-45, 16777217.0, 0.1, 123456.789],
    "c_double": [0.0, -0.0, 0.1, 1.7976931348623157e308, -2.2250738585072014e-308, 1 / 3, 1e22, 123456789012345680.0],
    "c_dec": ["0", "-0.000000000000000000000000000001", "99999999999999999999999999999999999.999999999999999999999999999999",
              "-12345678901234567890.123456789"],
    "c_dec2": ["0.00", "-99999999.99", "99999999.99", "-0.01", "12.30"], "c_dec3": ["0.999999999", "-0.000000001", "0"],
    "c_bit1": [0, 1], "c_bit": [0, 1, 2**33 - 1, 2**32], "c_bit64": [0, 2**64 - 1, 2**63], "c_year": [1901, 2155, 0, 2024],
    "c_date": ["1000-01-01", "9999-12-31", "0000-00-00", "2024-02-29", "2024-00-00", "2024-02-31"],
    "c_time": ["-838:59:59", "838:59:59", "00:00:00", "-00:00:01"],
    "c_time3": ["-838:59:58.999", "838:59:58.999", "-00:00:00.001", "12:34:56.780"],
    "c_time6": ["-00:00:00.000001", "-12:34:56.000001", "838:59:58.999999", "00:00:00.500000"],
    "c_datetime": ["1000-01-01 00:00:00", "9999-12-31 23:59:59", "0000-00-00 00:00:00", "2024-03-31 02:30:00"],
    "c_datetime1": ["2024-01-01 00:00:00.9", "9999-12-31 23:59:59.9"],
    "c_datetime6": ["2024-01-01 00:00:00.000001", "1000-01-01 00:00:00.999999", "9999-12-31 23:59:59.999999"],
    "c_ts": ["1970-01-01 00:00:01", "2038-01-19 03:14:07", "2024-03-31 01:30:00"],
    "c_ts2": ["1970-01-01 00:00:01.01", "2038-01-19 03:14:07.99"],
    "c_ts6": ["1970-01-01 00:00:01.000001", "2038-01-19 03:14:07.999999", "2024-10-27 00:30:00.5"],
    "c_char": _TEXTS, "c_varchar": _TEXTS + ["x" * 200, "ä" * 200], "c_varlong": _TEXTS + ["ß" * 3000], "c_latin": ["", "ß", "é", "ÿ", "a"],
    "c_binary": [b"", b"abc", b"\0" * 16, b"\xff" * 16, b"a\0b\0"], "c_varbinary": _BYTES, "c_tinytext": _TEXTS + ["t" * 255],
    "c_text": _TEXTS + ["ü" * 30000], "c_mediumtext": _TEXTS + ["m" * 70000], "c_longtext": _TEXTS + ["l" * 100000],
    "c_tinyblob": [b"", b"\0" * 255], "c_blob": _BYTES + [b"\xfe" * 65535], "c_mediumblob": _BYTES + [b"\x80" * 66000],
    "c_longblob": _BYTES + [b"\x00\x01" * 40000], "c_enum": ["a", "B", "ß", "with 'quote", ""],
    "c_set": ["", "x", "x,y,z", "ä,w", "x,y,z,ä,w"],
    "c_json": ['{}', '[]', 'null', 'true', '0', '-1', '1.5', '"a\\"b\\u00e4"', '{"a": [1, 2, {"b": null}], "c": "x"}',
               '[18446744073709551615, -9223372036854775808, 0.1, 1e100]', '{"k%d": "v"}', '"' + "j" * 70000 + '"',
               '{"deep": [[[[[[1]]]]]], "": ""}'],
}
TYPE_COLUMNS = list(TYPE_VALUES)

TABLES = {t.name: t for t in (
    _table("kv", "id BIGINT NOT NULL PRIMARY KEY, v INT NOT NULL, s VARCHAR(100), KEY k_v (v)"),
    _table("uniq", "id BIGINT NOT NULL PRIMARY KEY, u1 BIGINT NULL, u2 VARCHAR(40) NULL, v INT, UNIQUE KEY k_u1 (u1), UNIQUE KEY k_u2 (u2)"),
    _table("strkey", "k VARCHAR(60) NOT NULL PRIMARY KEY, v INT"),
    _table("binkey", "k VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, p VARBINARY(20) NOT NULL, v INT, PRIMARY KEY (k, p)"),
    _table("nokey", "a INT, b VARCHAR(50), c DECIMAL(10,3)", keyless=True),
    _table("comp", "a INT NOT NULL, b VARCHAR(20) NOT NULL, c DATE NOT NULL, v INT, PRIMARY KEY (a, b, c), UNIQUE KEY k_av (a, v)"),
    _table("big", "id BIGINT NOT NULL PRIMARY KEY, body LONGBLOB, note MEDIUMTEXT"),
    _table("types", TYPES),
    _table("auto", "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"),
)}
SKIPPED = _table("skipped", "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100)")


@dataclass
class Shard:
    server: Server
    schema: str
    number: int

    @property
    def id0(self) -> int:
        return self.number * 10**12

    @property
    def int0(self) -> int:
        return self.number * 10**7

    @property
    def letters(self) -> str:
        return f"{chr(ord('c') + self.number // 20)}{chr(ord('c') + self.number % 20)}-"


@dataclass
class Options:
    tables: tuple[str, ...] = tuple(TABLES)
    transactions: int = 150      # per shard
    big_row_bytes: int = 1 << 20
    huge_row_bytes: int = 5 << 20
    huge_rows: int = 1           # per shard
    big_transaction_rows: int = 2000
    big_transactions: int = 1    # per shard
    tables_per_shard: int = 2    # NAME_0, NAME_1 … of one shard go to the same target
    pause_s: float = 0.0         # between transactions
    skipped: bool = True


class Stop(Exception):
    pass


@dataclass
class _State:
    """Live keys of one physical table."""

    keys: list = field(default_factory=list)
    rows: dict = field(default_factory=dict)  # what an operation needs to know of a row


class ShardWriter:
    """One shard's thread: random transactions against its tables."""

    def __init__(self, shard: Shard, seed: str, options: Options):
        self.shard, self.options = shard, options
        self.random = random.Random(f"{seed}/{shard.number}")
        self.conn: pymysql.Connection | None = None
        self.state: dict[str, _State] = {}
        self.counter = 0
        self.done = 0
        self.undo: list = []
        self.error: BaseException | None = None
        self.huge_left, self.big_left = options.huge_rows, options.big_transactions
        for base in options.tables:
            for i in range(options.tables_per_shard):
                self.state[f"{base}_{i}"] = _State()

    # -- tools ----------------------------------------------------------------------------------------------------
    def connect(self) -> None:
        self.conn = self.shard.server.connect(autocommit=False)
        self.sql("SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00'")

    def sql(self, statement: str, args=None) -> None:
        with self.conn.cursor() as cur:
            cur.execute(statement, args)

    def t(self, table: str) -> str:
        return f"`{self.shard.schema}`.`{table}`"

    def next_id(self) -> int:
        self.counter += 1
        return self.shard.id0 + self.counter

    def put(self, table: str, key, row=None) -> None:
        state = self.state[table]
        assert key not in state.rows
        state.keys.append(key)
        state.rows[key] = row
        self.undo.append(lambda: self._drop(state, key))

    def drop(self, table: str, key):
        state = self.state[table]
        row = state.rows[key]
        self._drop(state, key)

        def back():
            state.keys.append(key)
            state.rows[key] = row

        self.undo.append(back)
        return row

    @staticmethod
    def _drop(state: _State, key) -> None:
        at = state.keys.index(key) if len(state.keys) < 5000 else None
        if at is None:
            at = state.keys.index(key, max(0, len(state.keys) - 200)) if key in state.keys[-200:] else state.keys.index(key)
        state.keys[at] = state.keys[-1]
        state.keys.pop()
        del state.rows[key]

    def change(self, table: str, key, row) -> None:
        state = self.state[table]
        old, state.rows[key] = state.rows[key], row
        self.undo.append(lambda: state.rows.__setitem__(key, old))

    def some(self, table: str):
        keys = self.state[table].keys
        return keys[self.random.randrange(len(keys))] if keys else None

    def rewind(self, mark: int) -> None:
        while len(self.undo) > mark:
            self.undo.pop()()

    # -- one transaction ------------------------------------------------------------------------------------------
    def transaction(self) -> None:
        r = self.random
        self.undo.clear()
        self.sql("BEGIN")
        if self.big_left and r.random() < 3 / max(1, self.options.transactions):
            self.big_left -= 1
            self.big_transaction()
        else:
            for _ in range(r.choice((1, 1, 1, 2, 3, 5, 12))):
                self.operation()
                if r.random() < 0.08:
                    self.savepoint()
        if self.options.skipped and r.random() < 0.3:
            self.sql(f"INSERT INTO {self.t('skipped')} (v) VALUES (%s)", ("s" * r.randrange(100),))
        if r.random() < 0.08:
            self.conn.rollback()
            self.rewind(0)
        else:
            self.conn.commit()
        self.undo.clear()
        self.done += 1

    def savepoint(self) -> None:
        mark = len(self.undo)
        self.sql("SAVEPOINT s1")
        for _ in range(self.random.randrange(1, 4)):
            self.operation()
        if self.random.random() < 0.7:
            self.sql("ROLLBACK TO SAVEPOINT s1")
            self.rewind(mark)
            if self.random.random() < 0.5:
                self.operation()
        elif self.random.random() < 0.5:
            self.sql("RELEASE SAVEPOINT s1")

    def operation(self) -> None:
        base = self.random.choice(self.options.tables)
        table = f"{base}_{self.random.randrange(self.options.tables_per_shard)}"
        getattr(self, "op_" + base)(table)

    def big_transaction(self) -> None:
        for base in ("kv", "nokey"):
            if base not in self.options.tables:
                continue
            table, left = f"{base}_0", self.options.big_transaction_rows
            while left > 0:
                n = min(500, left)
                left -= n
                rows = []
                for _ in range(n):
                    if base == "kv":
                        key = self.next_id()
                        self.put(table, key)
                        rows.append(f"({key}, {self.random.randrange(1000)}, 'bulk')")
                    else:
                        self.counter += 1
                        rows.append(f"({self.shard.int0 + self.counter}, 'bulk', 1.5)")
                self.sql(f"INSERT INTO {self.t(table)} VALUES {','.join(rows)}")
            if base == "kv":
                self.sql(f"UPDATE {self.t(table)} SET v = v + 1 WHERE s = 'bulk'")
            return

    # -- what is done to each table -------------------------------------------------------------------------------
    def op_kv(self, table: str) -> None:
        r, key, n = self.random, self.some(table), self.random.random()
        if key is None or n < 0.4:
            rows = []
            for _ in range(r.choice((1, 1, 2, 20))):
                key = self.next_id()
                self.put(table, key)
                rows.append((key, r.randrange(1000), r.choice((None, "", "x", "text " * r.randrange(15)))))
            with self.conn.cursor() as cur:
                cur.executemany(f"INSERT INTO {self.t(table)} (id, v, s) VALUES (%s, %s, %s)", rows)
        elif n < 0.7:
            self.sql(f"UPDATE {self.t(table)} SET v = %s, s = %s WHERE id = %s", (r.randrange(1000), f"u{r.randrange(99)}", key))
        elif n < 0.8:  # key change; every third time back and forth in one transaction
            new = self.next_id()
            self.drop(table, key)
            self.sql(f"UPDATE {self.t(table)} SET id = %s WHERE id = %s", (new, key))
            if r.random() < 0.33:
                self.sql(f"UPDATE {self.t(table)} SET id = %s WHERE id = %s", (key, new))
                self.put(table, key)
            else:
                self.put(table, new)
        elif n < 0.88:  # delete and the same key again
            self.sql(f"DELETE FROM {self.t(table)} WHERE id = %s", (key,))
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, 'again')", (key, r.randrange(1000)))
        elif n < 0.92 and self.options.tables_per_shard > 1:
            self.move(table, key)
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE id = %s", (key,))

    def move(self, table: str, key) -> None:
        """To the shard's other table of the same target: INSERT there, then DELETE here, or the other way round."""
        base, i = table.rsplit("_", 1)
        other = f"{base}_{(int(i) + 1) % self.options.tables_per_shard}"
        insert = f"INSERT INTO {self.t(other)} SELECT * FROM {self.t(table)} WHERE id = {key}"
        delete = f"DELETE FROM {self.t(table)} WHERE id = {key}"
        row = self.drop(table, key)
        self.put(other, key, row)
        if self.random.random() < 0.6:
            self.sql(insert)
            self.sql(delete)
        else:
            self.sql(f"CREATE TEMPORARY TABLE IF NOT EXISTS `{self.shard.schema}`.`tmp_move` LIKE {self.t(table)}")
            self.sql(f"INSERT INTO `{self.shard.schema}`.`tmp_move` SELECT * FROM {self.t(table)} WHERE id = {key}")
            self.sql(delete)
            self.sql(f"INSERT INTO {self.t(other)} SELECT * FROM `{self.shard.schema}`.`tmp_move` WHERE id = {key}")
            self.sql(f"DELETE FROM `{self.shard.schema}`.`tmp_move` WHERE id = {key}")

    def op_uniq(self, table: str) -> None:
        r, key, n = self.random, self.some(table), self.random.random()
        other = self.some(table)
        if key is None or n < 0.3:
            key = self.next_id()
            u1 = r.choice((None, self.next_id()))
            u2 = r.choice((None, f"{self.shard.letters}{self.next_id()}-ß"))
            self.put(table, key, (u1, u2))
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s, %s)", (key, u1, u2, r.randrange(100)))
        elif n < 0.45:  # spelling only: equal under the collation, another row image
            u1, u2 = self.state[table].rows[key]
            if u2 is not None:
                u2 = u2.upper() if u2 != u2.upper() else u2.lower()
                u2 = u2.replace("SS", "ß") if r.random() < 0.5 else u2
            self.change(table, key, (u1, u2))
            self.sql(f"UPDATE {self.t(table)} SET u2 = %s, v = v + 1 WHERE id = %s", (u2, key))
        elif n < 0.8 and other != key:
            self.swap(table, key, other)
        elif n < 0.9:  # a value goes to another row through DELETE and INSERT
            u1, u2 = self.drop(table, key)
            new = self.next_id()
            self.put(table, new, (u1, u2))
            self.sql(f"DELETE FROM {self.t(table)} WHERE id = %s", (key,))
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s, 7)", (new, u1, u2))
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE id = %s", (key,))

    def swap(self, table: str, a, b) -> None:
        """Two rows exchange both unique values, in one transaction, through NULL, a free value, or DELETE + INSERT."""
        (a1, a2), (b1, b2) = self.state[table].rows[a], self.state[table].rows[b]
        self.change(table, a, (b1, b2))
        self.change(table, b, (a1, a2))
        way = self.random.random()
        update = f"UPDATE {self.t(table)} SET u1 = %s, u2 = %s WHERE id = %s"
        if way < 0.4:
            steps = [(update, (None, None, a)), (update, (a1, a2, b)), (update, (b1, b2, a))]
        elif way < 0.7:
            steps = [(update, (-self.next_id(), f"{self.shard.letters}tmp{self.next_id()}", a)), (update, (a1, a2, b)), (update, (b1, b2, a))]
        else:
            insert = f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s, 1)"
            steps = [(f"DELETE FROM {self.t(table)} WHERE id IN (%s, %s)", (a, b)), (insert, (a, b1, b2)), (insert, (b, a1, a2))]
        for statement, args in steps:
            self.sql(statement, args)

    _SPELLINGS = (("a", "A", "á"), ("ß", "ss", "SS"), ("é", "E", "e\u0301"), ("x",), ("ﬀ", "ff"), ("z ", "Z"), ("ä", "AE"))

    def op_strkey(self, table: str) -> None:
        """Keys that are equal under the collation follow each other: the old spelling goes, the new one comes."""
        r, key, n = self.random, self.some(table), self.random.random()
        if key is None or n < 0.35:
            slot = self.next_id()
            key = (slot, r.randrange(len(self._SPELLINGS)))
            text = self._spell(table, key)
            self.put(table, key, text)
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s)", (text, r.randrange(100)))
            return
        text = self.state[table].rows[key]
        if n < 0.6:
            new = self._spell(table, key)
            self.change(table, key, new)
            if r.random() < 0.5:
                self.sql(f"UPDATE {self.t(table)} SET k = %s, v = v + 1 WHERE k = %s", (new, text))
            else:
                self.sql(f"DELETE FROM {self.t(table)} WHERE k = %s", (text,))
                self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s)", (new, r.randrange(100)))
        elif n < 0.8:
            self.sql(f"UPDATE {self.t(table)} SET v = v + 1 WHERE k = %s", (text,))
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE k = %s", (text,))

    def _spell(self, table: str, key) -> str:
        slot, family = key
        return f"{self.shard.letters}{slot}-{table[-1]}-{self.random.choice(self._SPELLINGS[family])}"

    def op_binkey(self, table: str) -> None:
        r, key, n = self.random, self.some(table), self.random.random()
        if key is None or n < 0.5:
            key = (f"{self.shard.letters}{r.choice('aAßé')}{self.next_id()}", r.choice((b"", b"\0", b"\0\0", b"\xff\xfe")))
            self.put(table, key)
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s)", (*key, r.randrange(100)))
        elif n < 0.8:
            new = (key[0] if r.random() < 0.5 else f"{self.shard.letters}{self.next_id()}", key[1] + b"\0" if len(key[1]) < 10 else b"")
            if new in self.state[table].rows:
                return
            self.drop(table, key)
            self.put(table, new)
            self.sql(f"UPDATE {self.t(table)} SET k = %s, p = %s WHERE k = %s AND p = %s", (*new, *key))
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE k = %s AND p = %s", key)

    def op_nokey(self, table: str) -> None:
        """Rows are many of a kind: LIMIT 1 picks any of the equal ones."""
        r, n = self.random, self.random.random()
        a, b = self.shard.int0 + r.randrange(6), r.choice((None, "x", "X", "ß"))
        if n < 0.55:
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s)", (a, b, r.choice((None, "1.5", "-0.001"))))
        elif n < 0.8:
            self.sql(f"UPDATE {self.t(table)} SET b = %s, c = c + 1 WHERE a = %s LIMIT 1", (b, a))
        else:
            self.sql(f"DELETE FROM {self.t(table)} WHERE a = %s LIMIT 2", (a,))

    def op_comp(self, table: str) -> None:
        r, key, n = self.random, self.some(table), self.random.random()
        if key is None or n < 0.45:
            self.counter += 1
            day = datetime.date(1000, 1, 1) + datetime.timedelta(days=r.randrange(3000000))
            key = (self.shard.int0 + self.counter % 500, f"{self.counter}{r.choice(('a', 'A', 'ß', ''))}", day)
            self.put(table, key)
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s, %s)", (*key, self.counter))
        elif n < 0.6:
            self.sql(f"UPDATE {self.t(table)} SET v = NULL WHERE a = %s AND b = %s AND c = %s", key)
        elif n < 0.8:
            self.counter += 1
            new = (key[0], f"{self.counter}k", key[2])
            self.drop(table, key)
            self.put(table, new)
            self.sql(f"UPDATE {self.t(table)} SET b = %s, v = %s WHERE a = %s AND b = %s AND c = %s", (new[1], self.counter, *key))
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE a = %s AND b = %s AND c = %s", key)

    def op_big(self, table: str) -> None:
        r, key, n = self.random, self.some(table), self.random.random()
        if n > 0.25:  # big rows are rare, or they are all there is
            return self.op_big_small(table, key)
        size = r.randrange(self.options.big_row_bytes)
        if self.huge_left and r.random() < 0.3:
            self.huge_left -= 1
            size = self.options.huge_row_bytes
        body = r.randbytes(min(size, 4096)) * (size // 4096 + 1)
        if key is None or n < 0.15:
            key = self.next_id()
            self.put(table, key)
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s)", (key, body[:size], "big"))
        else:
            self.sql(f"UPDATE {self.t(table)} SET body = %s WHERE id = %s", (body[:size], key))

    def op_big_small(self, table: str, key) -> None:
        r, n = self.random, self.random.random()
        if key is None or n < 0.5:
            key = self.next_id()
            self.put(table, key)
            self.sql(f"INSERT INTO {self.t(table)} VALUES (%s, %s, %s)", (key, r.choice((None, b"", b"\0\xff'\\")), "n" * r.randrange(300)))
        elif n < 0.8:
            self.sql(f"UPDATE {self.t(table)} SET note = CONCAT(COALESCE(note, ''), 'x') WHERE id = %s", (key,))
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE id = %s", (key,))

    def op_types(self, table: str) -> None:
        r, key, n = self.random, self.some(table), self.random.random()
        if key is None or n < 0.5:
            key = self.next_id()
            self.put(table, key)
            columns = r.sample(TYPE_COLUMNS, r.randrange(1, len(TYPE_COLUMNS)))
            self.sql(f"INSERT INTO {self.t(table)} (id, {', '.join(columns)}) VALUES (%s{', %s' * len(columns)})",
                     (key, *(self.type_value(c) for c in columns)))
        elif n < 0.85:
            columns = r.sample(TYPE_COLUMNS, r.randrange(1, 8))
            self.sql(f"UPDATE {self.t(table)} SET {', '.join(c + ' = %s' for c in columns)} WHERE id = %s",
                     (*(self.type_value(c) for c in columns), key))
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE id = %s", (key,))

    def type_value(self, column: str):
        return None if self.random.random() < 0.15 else self.random.choice(TYPE_VALUES[column])

    def op_auto(self, table: str) -> None:
        r, key, n = self.random, self.some(table), self.random.random()
        if key is None or n < 0.5:
            key = self.next_id()
            self.put(table, key)
            self.sql(f"INSERT INTO {self.t(table)} (id, v) VALUES (%s, %s)", (key, r.randrange(100)))
        elif n < 0.8:
            self.sql(f"UPDATE {self.t(table)} SET v = v + 1 WHERE id = %s", (key,))
        else:
            self.drop(table, key)
            self.sql(f"DELETE FROM {self.t(table)} WHERE id = %s", (key,))


class Workload:
    """All shards of a test: creates their tables, writes to them, knows which target each table goes to."""

    def __init__(self, shards: list[Shard], seed: int | str | None = None, **options):
        self.seed = str(seed if seed is not None else random.SystemRandom().randrange(10**9))
        self.shards, self.options = shards, Options(**options)
        self.writers = [ShardWriter(s, self.seed, self.options) for s in shards]
        self.threads: list[threading.Thread] = []
        self._stop = threading.Event()
        print(f"    workload: seed {self.seed}, {len(shards)} shards, tables {', '.join(self.options.tables)}", flush=True)

    def create(self) -> None:
        """Schemas and tables on the shards; before the start points are taken."""
        for shard in self.shards:
            shard.server.run(f"CREATE DATABASE `{shard.schema}` DEFAULT CHARACTER SET utf8mb4")
            statements = [TABLES[b].create(shard.schema, f"{b}_{i}") for b in self.options.tables
                          for i in range(self.options.tables_per_shard)]
            if self.options.skipped:
                statements.append(SKIPPED.create(shard.schema))
            shard.server.run(*statements)

    def create_targets(self, downstream, schema: str) -> None:
        downstream.run(f"CREATE DATABASE IF NOT EXISTS `{schema}` DEFAULT CHARACTER SET utf8mb4",
                       *(TABLES[b].create(schema) for b in self.options.tables))

    def sources_of(self, base: str) -> list[tuple[Server, str]]:
        """(server, schema.table) of every shard table that is merged into target `base`."""
        return [(s.server, f"`{s.schema}`.`{base}_{i}`") for s in self.shards for i in range(self.options.tables_per_shard)]

    # -- running --------------------------------------------------------------------------------------------------
    def _write(self, writer: ShardWriter, transactions: int | None) -> None:
        try:
            writer.connect()
            end = None if transactions is None else writer.done + transactions
            while not self._stop.is_set() and (end is None or writer.done < end):
                writer.transaction()
                if self.options.pause_s:
                    time.sleep(self.options.pause_s)
        except BaseException as e:
            writer.error = e
        finally:
            if writer.conn is not None:
                writer.conn.close()

    def start(self, transactions: int | None = None) -> "Workload":
        """Writes in the background, one thread per shard; None: until stop()."""
        self._stop.clear()
        self.threads = [threading.Thread(target=self._write, args=(w, transactions), daemon=True) for w in self.writers]
        for thread in self.threads:
            thread.start()
        return self

    def join(self) -> None:
        for thread in self.threads:
            thread.join()
        self.threads = []
        for writer in self.writers:
            if writer.error is not None:
                raise RuntimeError(f"workload seed {self.seed}, shard {writer.shard.number}, "
                                   f"transaction {writer.done}: {writer.error!r}") from writer.error

    def stop(self) -> None:
        self._stop.set()
        self.join()

    def run(self, transactions: int | None = None) -> None:
        self.start(self.options.transactions if transactions is None else transactions)
        self.join()

    @property
    def transactions(self) -> int:
        return sum(w.done for w in self.writers)
