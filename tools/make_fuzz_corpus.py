#!/usr/bin/python3
"""Seeds for the fuzzers of tests/fuzz, made from fixtures/ and rules/: tools/make_fuzz_corpus.py FOLDER

Writes FOLDER/<harness>/<name> for every tests/fuzz/fuzz_<harness>.c, in the form that harness reads (its first comment
says which). Names are the content's SHA-1, as libFuzzer gives them. `make fuzz-replay` runs all of them; tests/fuzz/corpus
holds what reaches further (tools/fuzz_corpus.py).
"""
from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import struct
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/harness"))
from ddl_generator import Generator  # noqa: E402

FORMAT_DESCRIPTION, TABLE_MAP, QUERY, PAYLOAD, QUERY_COMPRESSED = 15, 19, 2, 40, 165
ROWS = {20, 21, 22, 23, 24, 25, 30, 31, 32, 39, *range(166, 172)}
COMPRESSED_ROWS = range(166, 172)
GTID_SETS = {35: 0, 163: 1}  # type: flavor bit of fuzz_gtid
MAGIC, HEADER = 4, 19
JSON, WRITE_V2 = 245, 30
DDL = re.compile(rb"\s*(create|alter|drop|rename|truncate)\b", re.I)


class Out:
    def __init__(self, folder: Path):
        self.folder, self.count = folder, {}

    def add(self, harness: str, data: bytes) -> None:
        path = self.folder / harness / hashlib.sha1(data).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.count[harness] = self.count.get(harness, 0) + 1


def read(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def events(data: bytes):
    """(type, flags, whole event, body without checksum) of a binlog file."""
    at, tail = MAGIC, 0
    while at + HEADER <= len(data):
        kind, size, flags = data[at + 4], struct.unpack_from("<I", data, at + 9)[0], struct.unpack_from("<H", data, at + 17)[0]
        whole = data[at:at + size]
        if kind == FORMAT_DESCRIPTION:
            tail = 4 if whole[-5] == 1 else 0
        yield kind, flags, whole, whole[HEADER:len(whole) - tail]
        at += size


def lenenc(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 251:
        return first, at + 1
    n = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[at + 1:at + 1 + n], "little"), at + 1 + n


def columns(body: bytes) -> tuple[bytes, bytes]:
    """Types and metadata of a TABLE_MAP body."""
    at = 8
    at += body[at] + 2
    at += body[at] + 2
    n, at = lenenc(body, at)
    types = body[at:at + n]
    length, at = lenenc(body, at + n)
    return types, body[at:at + length]


def images(kind: int, body: bytes) -> tuple[int, bytes, bytes]:
    """Number of columns, present bitmap, row images of an uncompressed ROWS body."""
    at = 8
    if kind in (30, 31, 32, 169, 170, 171):
        at += struct.unpack_from("<H", body, at)[0]
    n, at = lenenc(body, at)
    width = (n + 7) // 8
    present = body[at:at + width]
    at += width * (2 if kind in (24, 31, 167, 170) else 1)
    return n, present, body[at:]


def from_binlog(out: Out, data: bytes, mariadb: bool) -> None:
    out.add("event", data[MAGIC:MAGIC + 30000])
    assembled, types, metas, head, statements = bytearray([2 + mariadb]), b"", b"", b"", []
    for kind, flags, whole, body in events(data):
        if len(body) < 0x10000:
            assembled += bytes([kind, 1 if flags & 0x80 else 0]) + struct.pack("<H", len(body)) + body
        if kind == FORMAT_DESCRIPTION:
            head = whole
        elif kind == TABLE_MAP:
            out.add("table_map", bytes([mariadb]) + body)
            types, metas = columns(body)
            out.add("event", head + whole)
        elif kind in (20, 21, 22, 23, 24, 25, 30, 31, 32) and types:
            n, present, rows = images(kind, body)
            if n == len(types) and n < 128:
                padded = metas.ljust(2 * n, b"\0")
                out.add("row", bytes([n]) + b"".join(types[i:i + 1] + padded[2 * i:2 * i + 2] for i in range(n)) + present + rows[:4000])
            if types == bytes([3, JSON]) and kind == WRITE_V2:
                from_json_rows(out, rows)
        elif kind == PAYLOAD:
            out.add("payload", b"\0" + body)
        elif kind == QUERY_COMPRESSED:
            out.add("payload", b"\2" + body)
        elif kind in COMPRESSED_ROWS:
            _, _, record = images(kind, body)
            out.add("payload", b"\1" + record)
        elif kind in GTID_SETS:
            out.add("gtid", bytes([2 | GTID_SETS[kind]]) + body)
        elif kind == QUERY:
            skip = 13 + struct.unpack_from("<H", body, 11)[0] + body[8] + 1
            out.add("scan", bytes([0 if mariadb else 4]) + body[skip:])
            if DDL.match(body[skip:]):
                statements.append(body[skip:])
        if kind not in (FORMAT_DESCRIPTION, TABLE_MAP) and kind not in ROWS:
            out.add("event", head + whole)
    out.add("assemble", bytes(assembled[:60000]))
    for i in range(0, len(statements), 8):
        out.add("ddl", bytes([not mariadb]) + b";\n".join(statements[i:i + 8]))


def from_json_rows(out: Out, rows: bytes) -> None:
    """Full images of (id INT, j JSON)."""
    at = 0
    while at < len(rows):
        nulls, at = rows[at], at + 5
        if not nulls & 2:
            n = struct.unpack_from("<I", rows, at)[0]
            out.add("json", rows[at + 4:at + 4 + n][:5000])
            at += 4 + n


def payload_pieces(out: Out) -> None:
    text = b"abc" * 50
    for wrap, bits in ((0x80, 15), (0x88, -15)):
        packed = zlib.compressobj(6, zlib.DEFLATED, bits)
        data = packed.compress(text) + packed.flush()
        out.add("payload", b"\3" + bytes([wrap | 1, len(text)]) + data)
    out.add("payload", b"\3\0plain")
    document = bytes.fromhex("000100") + bytes.fromhex("0d000b000100") + b"\x0c\x0c\x00a" + b"\x01x"
    for diffs in (b"\0\3$.a\3\x0c\1y", b"\1\3$.b\3\x05\1\0", b"\2\3$.a"):
        out.add("payload", b"\4" + struct.pack("<H", len(document)) + document + diffs)


def gtid_texts(out: Out) -> None:
    uuid, other = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "00000000-0000-0000-0000-00000000000f"
    for text in (f"{uuid}:1-5\n{uuid}:3-9:11", f"{uuid}:1:3:5-7,{other}:tag_1:1-9\n{uuid}:tag:2", f"\n{other}:1-9223372036854775806", f"{uuid}:1 , \n {other}:1:a:2"):
        out.add("gtid", b"\0" + text.encode())
    for text in ("0-1-25,1-2-9\n0-3-26", "\n4294967295-4294967295-18446744073709551615", "7-1-1\n"):
        out.add("gtid", b"\1" + text.encode())


def texts(out: Out) -> None:
    for path in [*ROOT.glob("fixtures/config/**/*.yaml"), *ROOT.glob("fixtures/bad/**/*.yaml"), *ROOT.glob("rules/**/*.yaml")]:
        out.add("config", path.read_bytes())
    for line in (ROOT / "fixtures/ddl/scan-cases.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            out.add("scan", b"\0" + line.split(" ==> ")[0].encode())
            out.add("scan", b"\7" + line.split(" ==> ")[0].encode())
            if "TABLE_DDL" in line:
                words = line.split(" ==> ")[0].split()
                flags = 1 * ("@mysql" in words) | 2 * ("@ansi" in words) | 4 * ("@nbe" in words)
                text = " ".join(w for w in words if not re.fullmatch("@(mysql|ansi|nbe)", w))
                start = b"" if text.lower().startswith("create table") else b"CREATE TABLE t (a INT, b INT);\n"
                out.add("ddl", bytes([flags]) + start + text.encode())
    for pattern, target, name in (("~^shop_([0-9]+)$", "shop_$1", "shop_12"), ("orders_?[0-9]*", "orders", "orders_a1x"), ("[!a-c]x*", "t", "dx"),
                                  ("~(?<a>.)(b)?", "${a}-$2", "ab"), ("~^(a+)+$", "x$1", "aaaaaaaaaaaaaaaaaaaab")):
        lists = "a.s.t\nb.`s.1`.t2\ns.t\n"
        out.add("route", f"{pattern}\n{target}\n{name}\n{lists}".encode())


def random_ddl(out: Out) -> None:
    """Random tables and changes, of the generator that the schema tracker is held against real servers with."""
    for seed in range(60):
        flavor = ("mariadb", "mysql")[seed % 2]
        g = Generator(random.Random(seed), flavor, "t", "parent")
        g.columns = ["a", "b", "c", "id"]
        text = ";\n".join([g.create(), *(g.statement() for _ in range(6))])
        out.add("ddl", bytes([seed % 2 | 8 * (seed % 3 == 0)]) + text.encode())


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = Out(Path(sys.argv[1]))
    manifest = json.loads((ROOT / "fixtures/binlog/MANIFEST.json").read_text())
    for fixture in manifest["fixtures"]:
        for name in fixture["files"]:
            path = next(p for p in (ROOT / f"fixtures/binlog/{name}.binlog{z}" for z in ("", ".gz")) if p.exists())
            from_binlog(out, read(path), fixture["flavor"] == "mariadb")
    gtid_texts(out)
    payload_pieces(out)
    texts(out)
    random_ddl(out)
    for harness, n in sorted(out.count.items()):
        print(f"{harness:12} {n} seeds")


if __name__ == "__main__":
    main()
