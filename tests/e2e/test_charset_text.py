"""Text of the servers' character sets, against the servers themselves: no character may be taken for another one. What the program does not
convert it refuses; of the usual ones that is little."""
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONVERTER = r"""
#include <stdio.h>
#include "model/charset_text.h"
static void print(bool ok, Str s)
{
    printf("\t%s", ok ? "" : "-");
    for (size_t i = 0; ok && i < s.len; i++) printf("%02X", (unsigned char)s.ptr[i]);
}
int main(void)
{
    char name[20], hex[20];
    while (scanf("%19s %19s", name, hex) == 2) {
        char bytes[8];
        unsigned n = 0, b;
        for (; sscanf(hex + 2 * n, "%2x", &b) == 1; n++) bytes[n] = (char)b;
        Arena arena = {0};
        const Charset *c = charset_by_name(str_of(name));
        Str text, back;
        bool ok = charset_text_to_utf8(c, str_make(bytes, n), &arena, &text);
        printf("%s", hex);
        print(ok, text);
        ok = ok && charset_text_from_utf8(c, text, &arena, &back);
        print(ok, back);
        puts("");
        arena_done(&arena);
    }
    return 0;
}
"""
SINGLE = ["latin1", "latin2", "latin5", "latin7", "dec8", "cp850", "cp852", "cp866", "cp1250", "cp1251", "cp1256", "cp1257", "hp8", "koi8r", "koi8u",
          "hebrew", "tis620", "greek", "armscii8", "keybcs2", "macce", "macroman", "geostd8"]
# how many of the server's characters may be refused
MULTI = {"gbk": 0, "gb2312": 0, "big5": 400, "sjis": 1, "cp932": 0, "ujis": 1900, "eucjpms": 100, "euckr": 0, "gb18030": 200}


@pytest.fixture(scope="module")
def converter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("charsets")
    (folder / "convert.c").write_text(CONVERTER)
    sources = [ROOT / "src" / name for name in ("model/charset.c", "model/charset_text.c", "base/arena.c", "base/str.c", "base/check.c")]
    subprocess.run(["cc", "-O1", "-std=gnu17", "-D_GNU_SOURCE", f"-I{ROOT}/src", folder / "convert.c", *sources, "-o", folder / "convert"], check=True)

    def convert(charset, characters):
        text = "".join(f"{charset} {c.hex().upper()}\n" for c in characters)
        out = subprocess.run([folder / "convert"], input=text, check=True, capture_output=True, text=True).stdout
        return {bytes.fromhex(c): (utf8, back) for c, utf8, back in (line.split("\t") for line in out.splitlines())}

    return convert


def of_server(cur, charset, characters):
    """The characters that the server has, in UTF-8; bytes that are none become ? or U+FFFD there."""
    cur.execute("DELETE FROM c")
    for at in range(0, len(characters), 5000):
        cur.execute("INSERT INTO c VALUES " + ",".join(f"(x'{c.hex()}')" for c in characters[at:at + 5000]))
    cur.execute(f"SELECT b, CHAR_LENGTH(CONVERT(b USING {charset})), HEX(CONVERT(CONVERT(b USING {charset}) USING utf8mb4)), "
                f"CONVERT(CONVERT(b USING {charset}) USING binary) = b FROM c")
    return {b: utf8 for b, length, utf8, same in cur.fetchall() if length == 1 and same and utf8 != "EFBFBD" and (utf8 != "3F" or b == b"?")}


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_no_character_is_taken_for_another(pool, unique, converter, flavor):
    of = pool.get("charsets_" + flavor, flavor)
    known = {name for name, in of.query("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS")}
    of.run(f"CREATE DATABASE {unique}")
    conn = of.connect(database=unique)
    cur = conn.cursor()
    cur.execute("SET SESSION sql_mode = ''")
    cur.execute("CREATE TEMPORARY TABLE c (b VARBINARY(4)) ENGINE=MEMORY")
    single = [bytes([b]) for b in range(256)]
    double = [bytes([a, b]) for a in range(0x80, 256) for b in range(0x30, 256)]
    triple = [bytes([0x8F, a, b]) for a in range(0xA1, 255) for b in range(0xA1, 255)]
    for charset in [*SINGLE, *MULTI]:
        if charset not in known:
            continue
        characters = single + (double if charset in MULTI else []) + (triple if charset in ("ujis", "eucjpms") else [])
        ours, server = converter(charset, characters), of_server(cur, charset, characters)
        wrong = {c.hex(): (ours[c][0], utf8) for c, utf8 in server.items() if ours[c][0] not in (utf8, "-")}
        assert not wrong, f"{charset}: {len(wrong)}: {dict(list(wrong.items())[:10])}"
        refused = [c.hex() for c in server if ours[c][0] == "-"]
        assert len(refused) <= MULTI.get(charset, 0), f"{charset}: {len(refused)} refused: {refused[:10]}"
        # back: another character of the set may stand for the same one
        assert all(back == "-" or ours[bytes.fromhex(back)][0] == utf8 for utf8, back in ours.values() if utf8 != "-"), charset
        assert sum(back == "-" for c, (utf8, back) in ours.items() if utf8 != "-" and c in server) <= MULTI.get(charset, 0), charset
    conn.close()
    of.run(f"DROP DATABASE {unique}")
