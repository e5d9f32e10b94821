"""docs/reference/edge-cases.md: every case is listed, and what a row names exists. Needs no server."""
import json
import re

from harness.sm import ROOT

PAGE = ROOT / "docs/reference/edge-cases.md"
COUNTS = {"E": 32, "T": 10, "V": 34, "D": 56, "R": 4, "O": 48}
CELLS = {letter: 5 if letter in "ETV" else 4 for letter in COUNTS}  # only what is read has bytes


def rows(letters: str = "".join(COUNTS)) -> list[list[str]]:
    table = [line for line in PAGE.read_text().splitlines() if re.match(rf"\| [{letters}]\d+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_every_case_is_listed_once_in_order():
    assert [row[0] for row in rows()] == [f"{letter}{i}" for letter, n in COUNTS.items() for i in range(1, n + 1)]
    assert all(len(row) == CELLS[row[0][0]] and all(row) for row in rows())


def test_every_test_exists():
    texts, missing = {}, []
    for row in rows():
        names = re.findall(r"`([^`]+)`", row[3])
        assert names, f"{row[0]} has no test"
        for name in names:
            path, _, test = name.partition("::")
            if path not in texts:
                file = ROOT / path
                texts[path] = file.read_text() if file.exists() else ""
            pattern = rf"^def {test}\(" if path.endswith(".py") else rf"^START_TEST\({test}\)"
            if not re.search(pattern, texts[path], re.M):
                missing.append(f"{row[0]}: {name}")
            elif path.endswith(".c") and not re.search(rf"tcase_add\w+\(.*\b{test}\b", texts[path]):
                missing.append(f"{row[0]}: {name} is not run")
    assert not missing, missing


def test_every_fixture_exists():
    manifest = json.loads((ROOT / "fixtures/binlog/MANIFEST.json").read_text())
    known = {f["name"]: f for f in manifest["fixtures"]}
    missing, wire = [], {f["name"] for f in manifest["wire"]}
    for row in rows("ETV"):
        names = row[4].replace("`", "").split()
        for name in names:
            if name == "live" or name in wire and (ROOT / f"fixtures/binlog/{name}.packets").exists():
                continue
            if name not in known:
                missing.append(f"{row[0]}: {name}")
                continue
            for file in known[name]["files"]:
                if not any((ROOT / f"fixtures/binlog/{file}.binlog{end}").exists() for end in ("", ".gz")):
                    missing.append(f"{row[0]}: {file}.binlog")
    assert not missing, missing


def test_every_value_fixture_is_named():
    """Bytes that were made for a case stand in its row."""
    named = {name for row in rows("ETV") for name in row[4].replace("`", "").split()}
    made = {f["name"] for f in json.loads((ROOT / "fixtures/binlog/MANIFEST.json").read_text())["fixtures"] if "_val_" in f["name"] or "_ev_" in f["name"]}
    assert not made - named, made - named
