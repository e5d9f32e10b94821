#!/usr/bin/python3
"""Packs of fuzzing inputs: tests/fuzz/corpus/<harness>.pack holds the inputs that reach the most code, the smallest first.

  tools/fuzz_corpus.py unpack PACK FOLDER          one file an input, named by its SHA-1
  tools/fuzz_corpus.py pack FOLDER PACK [BYTES]    at most BYTES (180000), the smallest inputs first

To bring one up to date: `make fuzz` leaves what it found in build/fuzz/corpus/<harness>; libFuzzer's -merge=1 -use_counters=0 into
a copy of build/fuzz/seeds/<harness> picks what reaches code that the seeds do not; `pack` those. An input that has crashed stays in.
A pack is for each input 4 bytes length, little-endian, then its bytes."""
from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path


def unpack(pack: Path, folder: Path) -> int:
    data, at, n = pack.read_bytes(), 0, 0
    folder.mkdir(parents=True, exist_ok=True)
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        one = data[at + 4:at + 4 + size]
        if len(one) != size:
            sys.exit(f"{pack} is cut off")
        (folder / hashlib.sha1(one).hexdigest()).write_bytes(one)
        at, n = at + 4 + size, n + 1
    return n


def pack(folder: Path, out: Path, most: int) -> int:
    inputs = sorted({p.read_bytes() for p in folder.iterdir() if p.is_file()}, key=lambda b: (len(b), b))
    data, n = bytearray(), 0
    for one in inputs:
        if len(data) + 4 + len(one) > most:
            break
        data += struct.pack("<I", len(one)) + one
        n += 1
    if not n:
        sys.exit(f"{folder} holds no input")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data)
    return n


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "unpack":
        print(unpack(Path(sys.argv[2]), Path(sys.argv[3])), "inputs")
    elif len(sys.argv) in (4, 5) and sys.argv[1] == "pack":
        print(pack(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) == 5 else 180_000), "inputs")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
