#!/usr/bin/env python3
"""Checks the direction of #include between the folders of src/, from the one table below.

A folder may include its own headers, those of the folders named in its row, and of all below them. A library's header
may be included only where LIBRARIES says. Prints each breach as file:line and exits 1 when there is one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

# folder: the folders right below it. What those may use, it may use as well.
FOLDERS: dict[str, list[str]] = {
    "base": [],
    "model": ["base"],
    "db": ["model"],
    "config": ["db"],
    "decode": ["db"],
    "ddl": ["db"],
    "route": ["db"],
    "track": ["decode", "ddl", "db", "route"],
    "lock": ["track"],
    # stages: threads of their own, never include each other
    "source": ["track", "decode", "ddl", "config", "route"],
    "merge": ["track", "decode", "ddl", "config", "route"],
    "apply": ["track", "decode", "ddl", "config", "route"],
    "load": ["track", "decode", "ddl", "config", "route"],
    "store": ["track", "decode", "ddl", "config", "route"],
    "pipeline": ["source", "merge", "apply", "load", "store", "lock"],
    "ops": ["pipeline"],
    "main": ["ops"],
}

# header (regular expression): the folders that may include it.
LIBRARIES: dict[str, list[str]] = {
    r"mysql\.h|mariadb_.*\.h|errmsg\.h|mysqld_error\.h": ["db", "source"],
    r"sqlite3\.h": ["store"],
    r"yaml\.h": ["config"],
    r"pcre2\.h": ["route"],
    r"xxhash\.h|zlib\.h|zstd\.h": ["base", "model", "db", "decode", "track", "source", "apply", "load"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def reachable(folder: str) -> set[str]:
    out: set[str] = set()
    todo = [folder]
    while todo:
        at = todo.pop()
        if at not in out:
            out.add(at)
            todo += FOLDERS[at]
    return out


def folder_of(path: Path, src: Path) -> str:
    parts = path.relative_to(src).parts
    return parts[0] if len(parts) > 1 else "main"


def breaches_of(path: Path, src: Path) -> list[str]:
    folder = folder_of(path, src)
    if folder not in FOLDERS:
        return [f"{path}:1: folder {folder} is not in the table of tools/deps.py"]
    allowed = reachable(folder)
    out = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        own, system = match.groups()
        if own:
            target = own.split("/")[0] if "/" in own else ""
            if target not in FOLDERS:
                out.append(f'{path}:{number}: "{own}" is not written as folder/file')
            elif target not in allowed:
                out.append(f"{path}:{number}: {folder} may not include {own}")
        else:
            for pattern, folders in LIBRARIES.items():
                if re.fullmatch(pattern, system) and folder not in folders:
                    out.append(f"{path}:{number}: <{system}> belongs to {', '.join(folders)} only")
    return out


def main() -> int:
    src = Path(__file__).resolve().parents[1] / "src"
    files = sorted(p for p in src.rglob("*") if p.suffix in (".c", ".h", ".def"))
    breaches = [b for f in files for b in breaches_of(f, src)]
    for breach in breaches:
        print(breach)
    print(f"deps: {len(files)} files, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
