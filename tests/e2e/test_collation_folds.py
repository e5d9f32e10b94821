"""The collation table and what the program believes of equality, against the servers themselves.

Two values that a collation calls equal must have equal folded bytes: a fold may be too coarse, never too fine."""
import itertools
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRINTER = r"""
#include <stdio.h>
#include "model/charset.h"
int main(void)
{
    for (int f = FLAVOR_MYSQL; f <= FLAVOR_MARIADB; f++)
        for (uint32_t id = 1; id < 4096; id++) {
            const Collation *c = charset_by_collation_id((Flavor)f, id);
            if (c) printf("%s\t%u\t%s\t%s\t%u\t%d\n", flavor_name((Flavor)f), id, c->charset->name.ptr, c->name.ptr, c->charset->max_len, charset_key_fold(c));
        }
    return 0;
}
"""
BYTES, BIN_PAD, ASCII_CI, UNKNOWN = 1, 2, 3, 4


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """(flavor, id) → charset, collation, bytes a character, fold; as the program has it."""
    folder = tmp_path_factory.mktemp("folds")
    (folder / "print.c").write_text(PRINTER)
    sources = [ROOT / "src" / name for name in ("model/charset.c", "base/str.c", "base/check.c")]
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", f"-I{ROOT}/src", folder / "print.c", *sources, "-o", folder / "print"], check=True)
    out = {}
    for line in subprocess.run([folder / "print"], check=True, capture_output=True, text=True).stdout.splitlines():
        flavor, number, charset, collation, max_len, fold = line.split("\t")
        out[flavor, int(number)] = (charset, collation, int(max_len), int(fold))
    assert {BYTES, BIN_PAD, ASCII_CI, UNKNOWN} == {fold for *_, fold in out.values()}
    return out


def collations(server, flavor):
    if flavor == "mariadb":
        sql = """SELECT a.id, a.character_set_name, a.full_collation_name, s.maxlen FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY a
                 JOIN information_schema.CHARACTER_SETS s USING (character_set_name)"""
    else:
        sql = """SELECT c.id, c.character_set_name, c.collation_name, s.maxlen FROM information_schema.COLLATIONS c
                 JOIN information_schema.CHARACTER_SETS s USING (character_set_name)"""
    return {row[0]: tuple(row[1:]) for row in server.query(sql)}


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_every_collation_of_the_server_is_known(pool, table, flavor):
    server = pool.get("folds_" + flavor, flavor)
    theirs = collations(server, flavor)
    assert len(theirs) > 200
    wrong = {number: (row, table.get((flavor, number))) for number, row in theirs.items() if table.get((flavor, number), ())[:3] != row}
    assert not wrong, f"ids that mean something else: {dict(list(wrong.items())[:10])}"


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_no_fold_is_too_fine(pool, unique, table, flavor):
    server = pool.get("folds_" + flavor, flavor)
    printable = [chr(i) for i in range(32, 127)]
    strings = set(printable) | {a + b for a in printable for b in printable}
    strings |= {"".join(x) for x in itertools.product("abcdehilnsyz", repeat=3)}
    lower = str.maketrans({c: c.lower() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
    rows = [(s, s.translate(lower).rstrip(" "), s.rstrip(" ")) for s in sorted(strings)]
    column = "VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin"
    server.run(f"CREATE DATABASE {unique}", f"CREATE TABLE {unique}.f (s {column}, ascii_ci {column}, bin_pad {column})")
    conn = server.connect()
    try:
        with conn.cursor() as cursor:
            for i in range(0, len(rows), 2000):
                cursor.executemany(f"INSERT INTO {unique}.f VALUES (%s, %s, %s)", rows[i:i + 2000])
            conn.commit()
            too_fine, checked = [], 0
            for number, (charset, collation, _) in sorted(collations(server, flavor).items()):
                fold = table[flavor, number][3]
                if fold not in (BIN_PAD, ASCII_CI):
                    continue
                folded = "ascii_ci" if fold == ASCII_CI else "bin_pad"
                cursor.execute(f"""SELECT COUNT(*) FROM (SELECT CONVERT(s USING {charset}) COLLATE {collation} AS k, COUNT(DISTINCT {folded}) AS n
                                   FROM {unique}.f GROUP BY k HAVING n > 1) x""")
                checked += 1
                if cursor.fetchone()[0]:
                    too_fine.append(collation)
    finally:
        conn.close()
        server.run(f"DROP DATABASE {unique}")
    assert checked > 60
    assert not too_fine, f"these call strings equal that the program tells apart: {too_fine}"


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_ascii_supersets(pool, table, flavor):
    """Bytes below 0x80 are ASCII wherever a fold relies on it."""
    server = pool.get("folds_" + flavor, flavor)
    relied_on = {charset for (f, _), (charset, _, _, fold) in table.items() if f == flavor and fold in (BIN_PAD, ASCII_CI)}
    present = {row[0] for row in server.query("SELECT character_set_name FROM information_schema.CHARACTER_SETS")}
    text = bytes(range(128))
    for charset in sorted(relied_on & present):
        got = server.value(f"SELECT HEX(CONVERT(_{charset} X'{text.hex()}' USING utf8mb4))")
        assert got.lower() == text.hex(), charset
