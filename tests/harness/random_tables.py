"""Tables of random types with random values, and what a server says they hold in the form of `shardmerge events --json`."""
from __future__ import annotations

import json
import random
import struct
from dataclasses import dataclass
from typing import Callable

from .servers import Server

LAX = "SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00'"
CHARSETS = {"latin1": "cp1252", "utf8mb3": "utf-8", "utf8mb4": "utf-8", "gbk": "gbk", "utf16": "utf-16-be", "ucs2": "utf-16-be", "cp1251": "cp1251",
            "sjis": "shift_jis", "utf32": "utf-32-be"}
ALPHABET = {"latin1": "aZ é€ß'\\\n", "cp1251": "aЯж'\"", "gbk": "a中文'\\x", "sjis": "a日本'", "ucs2": "aä中é'"}


@dataclass
class Column:
    name: str
    ddl: str
    kind: str  # how its value is compared: plain, float, double, bytes, text, member, bit, json
    value: Callable[[random.Random], object]
    minimal_number: bool = False  # ENUM, SET without names: a number


def _integer(r: random.Random) -> tuple:
    name, bits = r.choice([("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)])
    low, high = (0, 2**bits - 1) if r.random() < 0.5 else (-2**(bits - 1), 2**(bits - 1) - 1)
    return name + (" UNSIGNED" if low == 0 else ""), "plain", lambda x: x.choice([low, high, 0, x.randint(low, high), x.randint(low, high)])


def _decimal(r: random.Random) -> tuple:
    precision = r.randint(1, 65)
    scale = r.randint(0, min(30, precision))

    def value(x: random.Random) -> str:
        digits = "".join(x.choice("0123456789") for _ in range(x.randint(1, precision))).rjust(precision, x.choice("09"))
        whole, fraction = digits[:precision - scale] or "0", digits[precision - scale:]
        return x.choice(["", "-"]) + whole + ("." + fraction if fraction else "")

    return f"DECIMAL({precision},{scale})", "plain", value


def _floating(r: random.Random) -> tuple:
    single = r.random() < 0.5

    def value(x: random.Random) -> float:
        while True:
            v = struct.unpack("<f" if single else "<d", x.randbytes(4 if single else 8))[0] if x.random() < 0.7 else x.choice([0.0, 0.1, -1.5, 1e10, 123456.789])
            if abs(v) < (3e38 if single else 1e308) and v == v and (v == 0 or abs(v) > (1e-37 if single else 1e-307)):
                return v

    return ("FLOAT", "float", value) if single else ("DOUBLE", "double", value)


def _temporal(r: random.Random) -> tuple:
    fsp = r.randint(0, 6)
    suffix = f"({fsp})" if fsp else ""

    def fraction(x: random.Random) -> str:
        return "." + "".join(x.choice("0123456789") for _ in range(fsp)) if fsp else ""

    def clock(x: random.Random) -> str:
        return f"{x.randint(0, 23):02}:{x.randint(0, 59):02}:{x.randint(0, 59):02}{fraction(x)}"

    def date(x: random.Random, least: int = 0, most: int = 9999) -> str:
        return f"{x.randint(least, most):04}-{x.randint(1, 12):02}-{x.randint(1, 28):02}"

    kind = r.choice(["DATE", "TIME", "DATETIME", "TIMESTAMP", "YEAR"])
    if kind == "DATE":
        return "DATE", "plain", lambda x: x.choice([date(x), date(x), "0000-00-00", f"{x.randint(1, 9999):04}-00-00", f"{x.randint(1, 9999):04}-02-31"])
    if kind == "TIME":
        return "TIME" + suffix, "plain", lambda x: x.choice(["", "-"]) + f"{x.randint(0, 837):02}:{x.randint(0, 59):02}:{x.randint(0, 59):02}{fraction(x)}"
    if kind == "DATETIME":
        return "DATETIME" + suffix, "plain", lambda x: x.choice([f"{date(x)} {clock(x)}", "0000-00-00 00:00:00"])
    if kind == "TIMESTAMP":
        return f"TIMESTAMP{suffix} NULL DEFAULT NULL", "plain", lambda x: f"{date(x, 1971, 2037)} {clock(x)}"
    return "YEAR", "plain", lambda x: x.choice([0, 1901, 2155, x.randint(1901, 2155)])


def _text(r: random.Random) -> tuple:
    charset = r.choice(list(CHARSETS))
    letters = ALPHABET.get(charset, "aZ äß€中é'\\\"\n\t%")
    room = r.randint(1, 60)
    kind = r.choice([f"CHAR({room})", f"VARCHAR({room})", f"VARCHAR({room + 300})", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"])
    least = min(room, 60)
    return f"{kind} CHARACTER SET {charset}", "text", lambda x: "".join(x.choice(letters) for _ in range(x.randint(0, least)))


def _bytes(r: random.Random) -> tuple:
    room = r.randint(1, 200)
    kind = r.choice([f"BINARY({room})", f"VARBINARY({room})", f"VARBINARY({room + 300})", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"])
    return kind, "bytes", lambda x: x.choice([x.randbytes(x.randint(0, room)), b"", b"\0" * room, b"a\0" * (room // 2)])


def _members(r: random.Random) -> tuple:
    if r.random() < 0.5:
        names = [f"m{i}" if i % 7 else f"ä'{i}" for i in range(1, r.choice([3, 40, 255, 256, 400]) + 1)]
        kind, value = "ENUM", lambda x: x.choice(names)
    else:
        names = [f"s{i}" if i % 5 else f"é{i}" for i in range(1, r.choice([1, 8, 9, 17, 33, 64]) + 1)]
        kind, value = "SET", lambda x: ",".join(x.sample(names, x.randint(0, len(names))))
    quoted = ",".join("'" + n.replace("'", "''") + "'" for n in names)
    return f"{kind}({quoted}) CHARACTER SET utf8mb4", "member", value


def _bit(r: random.Random) -> tuple:
    n = r.randint(1, 64)
    return f"BIT({n})", "bit", lambda x: x.choice([0, 2**n - 1, x.getrandbits(n)])


def _json_value(x: random.Random, depth: int = 0):
    kinds = ["int", "float", "text", "null", "bool"] + (["list", "dict"] * 2 if depth < 4 else [])
    kind = x.choice(kinds)
    if kind == "int":
        return x.choice([0, -1, 255, 65536, -2**31, 2**63 - 1, 2**64 - 1, x.randint(-2**40, 2**40)])
    if kind == "float":
        return x.choice([0.5, 1e100, -1.25, x.random(), 6.02e23])
    if kind == "text":
        return "".join(x.choice("aZ äß€𝄞\"\\\n\t/\x01") for _ in range(x.randint(0, 30)))
    if kind == "list":
        return [_json_value(x, depth + 1) for _ in range(x.randint(0, 5))]
    if kind == "dict":
        return {f"k{x.randint(0, 99)}": _json_value(x, depth + 1) for _ in range(x.randint(0, 5))}
    return None if kind == "null" else x.random() < 0.5


def _json(r: random.Random) -> tuple:
    return "JSON", "json", lambda x: json.dumps(_json_value(x), ensure_ascii=x.random() < 0.5)


KINDS = (_integer, _decimal, _floating, _temporal, _text, _bytes, _members, _bit, _json)


class RandomTable:
    """One table with a BIGINT key `id` and columns of random types; written to with random statements."""

    def __init__(self, seed: int, server: Server, schema: str, name: str, n_columns: int):
        self.random, self.server, self.name, self.table = random.Random(f"{seed} {name}"), server, f"{schema}.{name}", f"`{schema}`.`{name}`"
        self.columns = []
        for i in range(n_columns):
            ddl, kind, value = self.random.choice(KINDS)(self.random)
            self.columns.append(Column(f"c{i}", ddl, kind, value))
        self.next_id, self.ids = 1, []

    def ddl(self) -> str:
        return f"CREATE TABLE {self.table} (id BIGINT NOT NULL PRIMARY KEY, " + ", ".join(f"{c.name} {c.ddl}" for c in self.columns) + ")"

    def _value(self, c: Column):
        return None if self.random.random() < 0.15 else c.value(self.random)

    def write(self, cur, steps: int) -> None:
        for _ in range(steps):
            what = self.random.random()
            if what < 0.5 or not self.ids:
                n = self.random.choice([1, 1, 5])
                rows = [[self.next_id + k, *(self._value(c) for c in self.columns)] for k in range(n)]
                cur.execute(f"INSERT INTO {self.table} VALUES " + ",".join(["(" + ",".join(["%s"] * len(rows[0])) + ")"] * n), [v for row in rows for v in row])
                self.ids += [row[0] for row in rows]
                self.next_id += n
            elif what < 0.9:
                some = self.random.sample(self.columns, self.random.randint(1, min(4, len(self.columns))))
                where = self.random.sample(self.ids, min(len(self.ids), self.random.choice([1, 1, 3])))
                cur.execute(f"UPDATE {self.table} SET " + ", ".join(f"{c.name} = %s" for c in some) + f" WHERE id IN ({','.join(map(str, where))})",
                            [self._value(c) for c in some])
            else:
                gone = self.ids.pop(self.random.randrange(len(self.ids)))
                cur.execute(f"DELETE FROM {self.table} WHERE id = {gone}")

    def _expression(self, c: Column, names: bool) -> str:
        q = f"`{c.name}`"
        return {"plain": f"CAST({q} AS CHAR)", "float": f"CAST({q} AS DOUBLE)", "double": q, "bytes": f"LOWER(HEX({q}))", "text": f"LOWER(HEX({q}))",
                "member": f"CAST({q} AS CHAR)" if names else f"{q} & 18446744073709551615", "bit": f"CAST({q} AS UNSIGNED)", "json": f"CAST({q} AS CHAR)"}[c.kind]

    def differences(self, state: dict, names: bool = True) -> str:
        """"" when the rows replayed from events (id → column → value as printed) are what the server selects. names: the
        binlog has names (FULL metadata); else columns are @1, @2 …"""
        conn = self.server.connect()
        with conn.cursor() as cur:
            cur.execute(LAX)
            cur.execute(f"SELECT CAST(id AS CHAR), {', '.join(self._expression(c, names) for c in self.columns)} FROM {self.table}")
            rows = {row[0]: row[1:] for row in cur.fetchall()}
        conn.close()
        if set(rows) != set(state):
            return f"{self.name}: rows {sorted(set(rows) ^ set(state))[:10]} are on one side only"
        for key, row in rows.items():
            for i, (c, want) in enumerate(zip(self.columns, row)):
                got = state[key][c.name if names else f"@{i + 2}"]
                if not self._equal(c, want, got):
                    return f"{self.name} id {key} {c.name} {c.ddl[:60]}: the server says {want!r}, the events {got!r}"
        return ""

    def _equal(self, c: Column, want, got) -> bool:
        if want is None or got is None:
            return want is None and got is None
        if c.kind == "float":
            return struct.pack("<f", want) == struct.pack("<f", float(got))
        if c.kind == "double":
            return struct.pack("<d", want) == struct.pack("<d", float(got))
        if c.kind in ("bytes", "text"):
            charset = c.ddl.split("CHARACTER SET ")[-1] if c.kind == "text" else "latin1"
            return want == (got["hex"] if isinstance(got, dict) else got.encode(CHARSETS[charset]).hex())
        return str(want) == got
