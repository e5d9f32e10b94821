"""`shardmerge events` against what others say of the same binlog: the servers' own tools (-v), and the table itself.

A row of a binlog is (schema.table, change, before, after): before and after map a column's number (from 0) to a value.
Values are brought to one form by `Table.common` (ours) and `Table.peer` (a tool's text), by the column's type."""
from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

from . import servers
from .sm import binary

SKIP = object()  # the tool does not say it

EPOCH_ZERO = "0000-00-00 00:00:00"


def read_events(*args, stdin: bytes | None = None, check: bool = True) -> tuple[list[dict], int, str]:
    """The objects that `events --json` prints, its exit status and standard error."""
    done = subprocess.run([binary(), "events", "--json", *map(str, args)], input=stdin, capture_output=True)
    lines = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    if check and done.returncode != 0:
        raise AssertionError(f"events {args}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return lines, done.returncode, done.stderr.decode(errors="replace")


@dataclass
class Row:
    table: str
    change: str
    before: dict
    after: dict
    place: str = ""


class Table:
    """What a TABLE_MAP line says of a table's columns."""

    def __init__(self, line: dict):
        self.columns = line["columns"]
        self.index = {c["name"]: i for i, c in enumerate(self.columns)}

    def _bytes(self, value) -> bytes:
        return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode("utf-8")

    def _member(self, number: int, value) -> int:
        members = self.columns[number].get("members")
        return int(value) if members is None else 0 if value == "" and "" not in members else members.index(value) + 1

    def _members(self, number: int, value) -> int:
        members = self.columns[number].get("members")
        if members is None:
            return int(value)
        text = self._bytes(value)
        names = [self._bytes(m) for m in members]
        return sum(1 << names.index(part) for part in text.split(b",")) if text else 0

    def common(self, number: int, value):
        """Our value in the common form."""
        kind = self.columns[number]["type"].split("(")[0].replace(" UNSIGNED", "")
        if value is None:
            return None
        if isinstance(value, dict) and "signed" in value:
            return {int(value["signed"]), int(value["unsigned"])}
        if kind in ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "BIT"):
            return int(value)
        if kind == "YEAR":
            return int(value) or 1900
        if kind == "DECIMAL":
            return Decimal(value)
        if kind in ("FLOAT", "DOUBLE"):
            return float(value)
        if kind == "ENUM":
            return self._member(number, value)
        if kind == "SET":
            return self._members(number, value)
        if kind == "TIMESTAMP":
            return value if value.startswith(EPOCH_ZERO) else _unix(value)
        if kind in ("DATE", "TIME", "DATETIME"):
            return value
        out = self._bytes(value)
        return out.rstrip(b"\0") if kind in ("BINARY",) else out

    def peer(self, flavor: str, number: int, text: bytes, ours):
        """A tool's text in the common form; SKIP where the tool cannot say it. ours: to be compared with."""
        column = self.columns[number]
        kind = column["type"].split("(")[0].replace(" UNSIGNED", "")
        if text == b"NULL":
            return None
        if text == b"" or re.match(rb"JSON_|@\d", text):
            return SKIP  # a diff, which we show applied
        if "COMPRESSED" in kind:
            return SKIP  # the tool shows the packed bytes
        if kind in ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"):
            pair = re.fullmatch(rb"(-?\d+)(?: \((\d+)\))?", text)
            both = {int(g) for g in pair.groups() if g}
            if isinstance(ours, set):
                return ours if ours == both else both
            return ours if ours in both else both
        if kind == "BIT":
            return int(text[2:-1], 2)
        if kind == "YEAR":
            return int(text)
        if kind == "ENUM":  # the error value 0 is shown as '', which may be a member too
            return ours if int(text) == 0 and column.get("members", [""] * 99)[ours - 1] == "" else int(text)
        if kind == "SET":  # bytes from the lowest, eight bits each
            bits = text[2:-1]
            return int.from_bytes(bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)), "little")
        if kind == "DECIMAL":
            return Decimal(text.decode())
        if kind == "FLOAT":  # the tools print six digits of the stored value, ours are the shortest that tell it
            stored = struct.unpack("<f", struct.pack("<f", ours))[0]
            return ours if "%g" % stored == "%g" % float(text) else float(text)
        if kind == "DOUBLE":
            return float(text)
        if kind == "TIMESTAMP":
            stamp = text.decode().strip("'")
            seconds, _, fraction = stamp.partition(".")
            return EPOCH_ZERO + ("." + fraction if fraction else "") if int(seconds) == 0 else stamp
        if kind == "DATE":
            return text.decode().strip("'").replace(":", "-")
        if kind in ("TIME", "DATETIME"):
            return text.decode().strip("'")
        if kind == "VECTOR" and flavor == "mysql":
            floats = struct.unpack(f"<{len(ours) // 4}f", ours)
            return ours if text == b"[" + b",".join(b"%.5e" % x for x in floats) + b"]" else text
        forms = [ours]
        if kind == "JSON" and ours[:1] == b'"':
            forms.append(json.loads(ours).encode("utf-8", "surrogatepass"))  # a string alone stands without its quotes
        return ours if text in [quote(flavor, f) for f in forms] else text


def _unix(text: str) -> str:
    whole, _, fraction = text.partition(".")
    seconds = int(datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
    return f"{seconds}.{fraction}" if fraction else str(seconds)


def quote(flavor: str, value: bytes) -> bytes:
    """A text as the flavor's tool writes it. MariaDB's leaves quotes and backslashes as they are, so that its form cannot be
    read back; it is compared as written."""
    if flavor != "mysql":
        return b"'" + b"".join(b"\\x%02x" % b if b < 0x20 else bytes([b]) for b in value) + b"'"
    plain = {0x27: b"\\'", 0x5C: b"\\\\", 0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x08: b"\\b", 0x0C: b"\\f"}
    return b"'" + b"".join(plain.get(b) or (b"\\x%02x" % b if b < 0x20 else bytes([b])) for b in value) + b"'"


def our_rows(lines: list[dict]) -> tuple[list[Row], dict[str, Table]]:
    tables: dict[str, Table] = {}
    out = []
    for line in lines:
        if line.get("type") == "TABLE_MAP" and "columns" in line:
            tables[f"{line['schema']}.{line['table']}"] = Table(line)
        if line.get("type") != "ROW":
            continue
        name = f"{line['schema']}.{line['table']}"
        t = tables[name]
        images = [{t.index[c]: t.common(t.index[c], v) for c, v in line.get(k, {}).items()} for k in ("before", "after")]
        out.append(Row(name, line["change"], *images, place=f"{line['file']}:{line['pos']} row {line['row']}"))
    return out, tables


_HEAD = re.compile(rb"### (INSERT INTO|UPDATE|DELETE FROM) `((?:[^`]|``)*)`\.`((?:[^`]|``)*)`\s*$")
_CHANGE = {b"INSERT INTO": "insert", b"UPDATE": "update", b"DELETE FROM": "delete"}


def tool_rows(text: bytes) -> list[tuple[str, str, dict, dict]]:
    """(table, change, before, after) with the tool's texts, from the output of -v."""
    out, image = [], None
    for line in text.split(b"\n"):
        if not line.startswith(b"###"):
            continue
        head = _HEAD.match(line)
        if head:
            name = b".".join(g.replace(b"``", b"`") for g in head.groups()[1:]).decode()
            out.append((name, _CHANGE[head[1]], {}, {}))
            image = None
        elif line.rstrip() == b"### WHERE":
            image = out[-1][2]
        elif line.rstrip() == b"### SET":
            image = out[-1][3]
        else:
            cell = re.match(rb"###   @(\d+)=(.*?)\s*$", line, re.S)
            if cell and image is not None:  # else a statement, or the rest of a diff
                image[int(cell[1]) - 1] = cell[2]
    return out


def run_tool(flavor: str, path: Path) -> bytes:
    """`mariadb-binlog -v`, or `mysqlbinlog -v` in MySQL's tree."""
    options = ["--no-defaults", "-v", "--base64-output=decode-rows"]
    if flavor != "mysql":
        tool = shutil.which("mariadb-binlog")
        if not tool:
            raise AssertionError("mariadb-binlog is missing: run make deps-install")
        command = [tool, *options, str(path)]
    else:
        folder = servers.new_folder(servers.CHROOT / "srv")
        shutil.copy(path, folder / "binlog")
        command = ["chroot", str(servers.CHROOT), "mysqlbinlog", *options, "/" + str((folder / "binlog").relative_to(servers.CHROOT))]
    done = subprocess.run(command, capture_output=True, env={"TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"})
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def compare_with_tool(flavor: str, path: Path, lines: list[dict]) -> tuple[int, int]:
    """Asserts that both say the same of every row; returns how many values were compared, and how many the tool cannot say."""
    ours, tables = our_rows(lines)
    theirs = tool_rows(run_tool(flavor, path))
    assert len(ours) == len(theirs), f"{path}: {len(ours)} rows, the tool says {len(theirs)}"
    compared = skipped = 0
    for row, (name, change, before, after) in zip(ours, theirs):
        assert (row.table, row.change) == (name, change), f"{path} {row.place}: {row.table} {row.change}, the tool says {name} {change}"
        for what, mine, peer in (("before", row.before, before), ("after", row.after, after)):
            assert sorted(mine) == sorted(peer), f"{path} {row.place} {what}: columns {sorted(mine)}, the tool says {sorted(peer)}"
            for number, value in mine.items():
                other = tables[name].peer(flavor, number, peer[number], value)
                if other is SKIP:
                    skipped += 1
                    continue
                compared += 1
                assert same(other, value), (f"{path} {row.place} {what} column {number} {tables[name].columns[number]}: "
                                            f"{value!r}, the tool says {peer[number][:200]!r}")
    return compared, skipped


def same(a, b) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    return a == b


def replay(lines: list[dict], table: str, key: str) -> dict:
    """The rows (column → value, as printed) that a table holds in the end, by its key; every before image must be there."""
    state: dict = {}
    for line in lines:
        if line.get("type") != "ROW" or f"{line['schema']}.{line['table']}" != table:
            continue
        place = f"{line['file']}:{line['pos']} row {line['row']}"
        before, after = line.get("before"), line.get("after")
        old: dict = {}
        if before is not None:
            assert before[key] in state, f"{place}: a before image of no row"
            old = state.pop(before[key])
            wrong = {c: (v, old[c]) for c, v in before.items() if old[c] != v}
            assert not wrong, f"{place}: the before image differs from the row: {wrong}"
        if after is not None:
            row = {**old, **after}
            assert row[key] not in state, f"{place}: the row is there already"
            state[row[key]] = row
    return state
