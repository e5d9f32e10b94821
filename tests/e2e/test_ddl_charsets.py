"""Schema changes from clients of other character sets than UTF-8: latin1 is the default of MySQL 5.7's, some tools say SET NAMES binary. What the
target becomes is what the shard's own SHOW CREATE TABLE says."""
import pytest

FLAVORS = ["mariadb", "mysql"]
# what the client says, and how Python writes the statement's bytes
CLIENTS = {"latin1": "latin1", "binary": "utf-8", "gbk": "gbk", "utf8mb3": "utf-8", "cp1250": "cp1250", "sjis": "shift_jis", "koi8r": "koi8-r"}
WORDS = {"sjis": ("表示", "ソ", "能\\'"), "koi8r": ("имя", "ё", "Ж\\'")}  # of which in sjis one byte is a backslash
KEY = {"strategy": "composite", "provenance": [{"column": "shard", "value": "${source}", "type": "VARCHAR(20)"}]}
BODY = "(id BIGINT NOT NULL PRIMARY KEY, v INT)"


def client(s, number, names, *statements):
    """Statements on one shard from a client of that character set."""
    shard = s.shards[number - 1]
    conn = shard.server.connect()
    try:
        conn.query(f"SET NAMES {names}")
        for statement in statements:
            conn.query(statement.replace("{s}", f"`{shard.schema}`").encode(CLIENTS[names]))
    finally:
        conn.close()


def make(scenario, flavor, mode="pessimistic", keyed=False, **policies):
    s = scenario.make_plain({"t": BODY}, (flavor, flavor), flavor, targets=False, task={"shard-mode": mode})
    route = s.task["routes"]["r-t"]
    route.update({"table-pattern": "t*", **policies})
    if keyed:
        route["key"] = KEY
    s.task["block-allow-list"]["ours"]["do-tables"][0]["tbl-name"] = "t*"
    s.save()
    s.start()
    s.runner.wait_for("streaming", lambda st: st["sources"] and all(x["state"] == "streaming" for x in st["sources"]))
    return s


def definition(server, schema, table="t"):
    """The columns and keys of SHOW CREATE TABLE; MySQL also says what the table says already, if the statement did."""
    text = server.query(f"SHOW CREATE TABLE `{schema}`.`{table}`")[0][1].replace(" CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci", "")
    return [line.strip().rstrip(",") for line in text.splitlines()[1:-1]]


def caught_up(s):
    s.runner.wait_caught_up(60)
    assert [x["error"] for x in s.runner.status()["sources"] if x["error"]] == []


def rows(s, cols="id, v"):
    return sorted(s.downstream.query(f"SELECT {cols} FROM `{s.target}`.t"))


def as_shards(s, table="t"):
    caught_up(s)
    want = definition(s.shards[0].server, s.shards[0].schema, table)
    assert definition(s.shards[1].server, s.shards[1].schema, table) == want
    assert definition(s.downstream, s.target) == want
    return want


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("names", CLIENTS)
def test_alter(scenario, flavor, names):
    name, letter, quoted = WORDS.get(names, ("café", "é", "ü\\'"))
    s = make(scenario, flavor)

    def both(*statements):
        for n in (1, 2):
            client(s, n, names, *statements)
        return as_shards(s)

    both("ALTER TABLE {s}.t ADD COLUMN n INT DEFAULT 5")
    both(f"ALTER TABLE {{s}}.t ADD COLUMN `{name}` VARCHAR(9) DEFAULT '{letter}' COMMENT '{quoted}', ADD l VARCHAR(20) CHARACTER SET utf8mb4 DEFAULT '{quoted}'")
    both(f"ALTER TABLE {{s}}.t MODIFY COLUMN `{name}` VARCHAR(12) NOT NULL DEFAULT '{letter}{letter}' COMMENT '{letter}'")
    both(f"ALTER TABLE {{s}}.t RENAME COLUMN `{name}` TO `{letter}`", f"CREATE INDEX `i{letter}` ON {{s}}.t (`{letter}`)")
    got = both(f"ALTER TABLE {{s}}.t ADD e ENUM('{letter}', 'b') DEFAULT '{letter}' COMMENT '{letter}', ADD f SET('{letter}', 'b') NOT NULL DEFAULT 'b,{letter}'")
    assert any(f"KEY `i{letter}` (`{letter}`)" in line for line in got)
    assert any(f"enum('{letter}','b')" in line and f"DEFAULT '{letter}' COMMENT '{letter}'" in line for line in got)
    for n in (1, 2):
        client(s, n, names, f"INSERT INTO {{s}}.t (id, `{letter}`) VALUES ({n}, '{letter}{letter}')")
    caught_up(s)
    assert rows(s, f"id, n, `{letter}`, l, e, f") == [(n, 5, letter * 2, quoted.replace("\\", ""), letter, f"{letter},b") for n in (1, 2)]
    both(f"DROP INDEX `i{letter}` ON {{s}}.t", f"ALTER TABLE {{s}}.t DROP COLUMN `{letter}`, DROP e")


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("names,statement", [
    ("latin1", "ADD a VARCHAR(9) DEFAULT _latin1'é', ADD b VARCHAR(9) DEFAULT _utf8mb4'Ã©', ADD c VARCHAR(9) DEFAULT N'Ã©'"),
    ("latin1", "ADD a VARCHAR(9) CHARACTER SET cp850 DEFAULT 'é', ADD b ENUM('é', 'ü') CHARACTER SET latin1 DEFAULT 'ü'"),
    ("latin1", "ADD a VARCHAR(9) CHARACTER SET ucs2 DEFAULT 'é', ADD b VARCHAR(9) DEFAULT _binary'ab'"),
    ("utf8mb3", "ADD a VARCHAR(9) DEFAULT _latin1'é', ADD b VARCHAR(9) DEFAULT _latin1 x'E9', ADD c VARCHAR(9) DEFAULT _ucs2 x'00E9'"),
    ("utf8mb3", "ADD a VARCHAR(9) CHARACTER SET latin1 DEFAULT x'E9', ADD b VARCHAR(9) CHARACTER SET latin1 DEFAULT 0xE9, ADD c VARCHAR(9) DEFAULT x'C3A9'"),
    ("utf8mb3", "ADD a ENUM(x'E9', 'b') CHARACTER SET latin1 DEFAULT x'E9', ADD b VARCHAR(9) CHARACTER SET latin1 DEFAULT b'11101001'"),
    ("binary", "ADD a VARCHAR(9) CHARACTER SET latin1 DEFAULT 'é' COMMENT 'é', ADD b ENUM('é', 'b') CHARACTER SET latin1 DEFAULT 'é', ADD c VARCHAR(9) DEFAULT 'é'"),
    ("binary", "ADD a VARCHAR(9) CHARACTER SET ucs2 DEFAULT 'ab'"),
    ("latin1", "ADD a VARBINARY(9) DEFAULT 'Ã©', ADD b VARBINARY(9) DEFAULT _utf8mb4'Ã©', ADD c BIT(16) DEFAULT 'é', ADD d BINARY(2) NOT NULL DEFAULT 'Ã¼'"),
], ids=["introduced", "other-columns", "wide-columns", "introduced-utf8", "hex", "hex-members", "bytes", "wide-bytes", "columns-of-bytes"])
def test_literals(scenario, flavor, names, statement):
    literals(make(scenario, flavor), names, statement)


def test_bytes_that_are_no_text(scenario):
    """MariaDB does not tell such defaults of its columns."""
    literals(make(scenario, "mysql"), "latin1", "ADD a VARBINARY(9) DEFAULT 'é', ADD b BINARY(2) NOT NULL DEFAULT 'éü', ADD c VARBINARY(9) NOT NULL DEFAULT x'E9'")


def literals(s, names, statement):
    for n in (1, 2):
        client(s, n, names, "ALTER TABLE {s}.t " + statement, f"INSERT INTO {{s}}.t (id) VALUES ({n})")
    as_shards(s)
    names_of = [c for c, in s.downstream.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s ORDER BY 1", (s.target,))]
    cols = ", ".join(f"`{c}`" for c in names_of)
    assert rows(s, cols) == sorted(row for x in s.shards for row in x.server.query(f"SELECT {cols} FROM `{x.schema}`.t"))


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("names", ["latin1", "binary", "gbk", "utf8mb3"])
@pytest.mark.parametrize("mode", ["pessimistic", "optimistic"])
def test_a_new_shard_table(scenario, flavor, names, mode):
    s = make(scenario, flavor, mode)
    client(s, 1, names, f"CREATE TABLE {{s}}.`té` {BODY}", "INSERT INTO {s}.`té` VALUES (50, 1), (51, 1)", "UPDATE {s}.`té` SET v = 2")
    client(s, 2, names, f"CREATE TABLE {{s}}.t_6 {BODY}", "INSERT INTO {s}.t_6 VALUES (60, 1)")
    caught_up(s)
    assert rows(s) == [(50, 2), (51, 2), (60, 1)]
    add = "ADD `é` VARCHAR(9) DEFAULT 'é'"
    client(s, 1, names, f"ALTER TABLE {{s}}.t {add}", f"ALTER TABLE {{s}}.`té` {add}")
    client(s, 2, names, f"ALTER TABLE {{s}}.t {add}", f"ALTER TABLE {{s}}.t_6 {add}", "RENAME TABLE {s}.t_6 TO {s}.`tü`", "INSERT INTO {s}.`tü` (id) VALUES (61)")
    as_shards(s)
    assert rows(s, "id, v, `é`") == [(50, 2, "é"), (51, 2, "é"), (60, 1, "é"), (61, None, "é")]


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("names", ["latin1", "binary", "gbk", "utf8mb3"])
@pytest.mark.parametrize("policy", ["ignore", "delete-shard-rows"])
def test_made_again(scenario, flavor, names, policy):
    """The shard table leaves, and is made again."""
    s = make(scenario, flavor, keyed=True, **{"on-drop": policy, "on-truncate": "delete-shard-rows"})
    for n in (1, 2):
        s.shard_run(n, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)")
    caught_up(s)
    client(s, 2, names, "TRUNCATE TABLE {s}.t", "INSERT INTO {s}.t VALUES (3, 3)")
    client(s, 1, names, "DROP TABLE {s}.t")
    s.runner.wait_for("the table to leave", lambda _: "shard.left" in s.runner.log())
    client(s, 1, names, "CREATE TABLE {s}.t (id BIGINT NOT NULL PRIMARY KEY, v INT)", "INSERT INTO {s}.t VALUES (7, 7), (8, 8)", "UPDATE {s}.t SET v = 9 WHERE id = 7")
    caught_up(s)
    kept = [(1, 1, "s1"), (2, 2, "s1")] if policy == "ignore" else []
    assert rows(s, "id, v, shard") == sorted(kept + [(3, 3, "s2"), (7, 9, "s1"), (8, 8, "s1")])


@pytest.mark.parametrize("flavor", FLAVORS)
def test_written_by_the_server(scenario, flavor):
    """CREATE TABLE … SELECT is written out by the servers in UTF-8, with the client's character set beside it."""
    s = make(scenario, flavor)
    client(s, 1, "latin1", "CREATE TABLE {s}.`té` (PRIMARY KEY (id)) SELECT 70 AS id, 1 AS v")
    caught_up(s)
    assert rows(s) == [(70, 1)]


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("statement", ["ALTER TABLE {s}.t COMMENT '\x81'", "CREATE TABLE {s}.t_7 " + BODY + " COMMENT '\x81'"], ids=["alter", "create"])
@pytest.mark.parametrize("routed", [True, False])
def test_what_cannot_be_read(scenario, flavor, statement, routed):
    """A byte that is no character: to the server it is a question mark."""
    s = make(scenario, flavor)
    if not routed:
        statement = statement.replace("{s}.t", "{s}.x")
        s.shard_run(1, f"CREATE TABLE {{s}}.x {BODY}")
    shard = s.shards[0]
    conn = shard.server.connect()
    conn.query("SET NAMES cp1250")
    conn.query(statement.replace("{s}", f"`{shard.schema}`").encode("latin1"))
    conn.close()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    if not routed:
        caught_up(s)
        assert rows(s) == [(1, 1)]
        return
    error = s.runner.wait_error("s1", "SOURCE_DDL")
    assert "cannot be read in its character set cp1250" in error["message"] and shard.schema in error["message"]
    assert "utf8mb4" in error["remedy"]
    assert rows(s) == []
