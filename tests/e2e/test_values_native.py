"""Types that not every server has, and values that are not what their type says: they arrive exactly, go elsewhere in a
form that keeps them, or stop with a name and a remedy."""
import shutil

import pytest

from harness.oracle import compare
from harness.sm import STOPPED, has_code

LAX = "SET SESSION sql_mode='', time_zone='+00:00'"
PAIRS = [("mariadb", "mariadb"), ("mysql", "mysql"), ("mysql", "mariadb"), ("mariadb", "mysql"), ("mariadb11", "mysql"), ("mysql", "mariadb11")]
pairs = pytest.mark.parametrize("flavor, downstream", PAIRS)


def write(shard, *statements):
    """As an application without strict mode would."""
    conn = shard.server.connect()
    with conn.cursor() as cur:
        cur.execute(LAX)
        cur.execute(f"USE `{shard.schema}`")
        for statement in statements:
            cur.execute(statement)
    conn.close()


def merged_is_shard(s, table="t"):
    shard = s.shards[0]
    difference = compare(s.downstream, f"`{s.target}`.`{table}`", [(shard.server, f"`{shard.schema}`.`{table}`")])
    assert not difference, difference


def texts(server, schema, table, expressions, order="id"):
    return server.query(f"SELECT {expressions} FROM `{schema}`.`{table}` ORDER BY {order}")


SHAPES = ["POINT(1.5 -2.25)", "LINESTRING(0 0,1e10 -1e-10)", "POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 2,1 1))", "MULTIPOINT(0 0,1 1)",
          "MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)))", "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))"]
SPATIAL = ("(id INT PRIMARY KEY, g GEOMETRY, p POINT, l LINESTRING, po POLYGON, mp MULTIPOINT, ml MULTILINESTRING, mo MULTIPOLYGON, "
           "gc GEOMETRYCOLLECTION, v INT)")


@pairs
def test_spatial_types(scenario, flavor, downstream):
    """SRID and coordinates, by the bytes that the servers store."""
    s = scenario.make_plain({"t": SPATIAL}, (flavor,), downstream)
    s.start()
    rows = []
    for i, shape in enumerate(SHAPES):
        for k, srid in enumerate((0, 4326, 3857)):
            wkt = shape.replace("1e10 -1e-10", "80 -80.25") if srid == 4326 else shape
            rows.append(f"INSERT INTO t (id, g, v) VALUES ({i * 10 + k}, ST_GeomFromText('{wkt}', {srid}), 1)")
    each = ", ".join(f"ST_GeomFromText('{shape}')" for shape in SHAPES)
    write(s.shards[0], *rows, f"INSERT INTO t (id, p, l, po, mp, ml, mo, gc) VALUES (100, {each})",
          "INSERT INTO t (id) VALUES (101)", "UPDATE t SET g = ST_GeomFromText('POINT(7 8)', 3857) WHERE id < 10",
          "UPDATE t SET g = NULL WHERE id = 11", "UPDATE t SET v = 2 WHERE id = 20", "DELETE FROM t WHERE id = 30")
    s.runner.wait_caught_up()
    merged_is_shard(s)


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_spatial_types_as_bytes(scenario, flavor):
    """Where the target has none: LONGBLOB holds SRID and WKB."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, g GEOMETRY)"}, (flavor,), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, g LONGBLOB)")
    s.start()
    write(s.shards[0], *(f"INSERT INTO t VALUES ({i}, ST_GeomFromText('{shape}', 4326))" for i, shape in enumerate(SHAPES) if "1e10" not in shape),
          "INSERT INTO t VALUES (50, NULL)")
    s.runner.wait_caught_up()
    shard = s.shards[0]
    assert texts(s.downstream, s.target, "t", "id, HEX(g)") == texts(shard.server, shard.schema, "t", "id, HEX(g)")


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_spatial_column_in_a_table_without_a_key(scenario, flavor):
    s = scenario.make_plain({"t": "(g GEOMETRY, v INT)"}, (flavor,), flavor)
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (ST_GeomFromText('POINT(1 2)', 4326), 1), (ST_GeomFromText('POINT(2 1)', 4326), 2), (NULL, 3)",
          "UPDATE t SET v = 9 WHERE v = 2", "DELETE FROM t WHERE v = 1")
    s.runner.wait_caught_up()
    merged_is_shard(s)


def test_vector_between_mysql_servers(scenario):
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v VECTOR(4), w VECTOR)"}, ("mysql",), "mysql")
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, STRING_TO_VECTOR('[1.5,-2,3e-38,0]'), STRING_TO_VECTOR('[0.1]')), (2, NULL, NULL)",
          "INSERT INTO t VALUES (3, STRING_TO_VECTOR('[1]'), STRING_TO_VECTOR(CONCAT('[', REPEAT('1,', 2047), '2]')))",
          "UPDATE t SET v = STRING_TO_VECTOR('[9,8,7]') WHERE id = 2", "DELETE FROM t WHERE id = 1")
    s.runner.wait_caught_up()
    merged_is_shard(s)


@pytest.mark.parametrize("flavor, downstream", [("mariadb11", "mariadb11"), ("mysql", "mariadb11"), ("mariadb11", "mysql")])
def test_vector_of_both_families(scenario, flavor, downstream):
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v VECTOR(4))"}, (flavor,), downstream)
    s.start()
    text = "STRING_TO_VECTOR" if flavor == "mysql" else "VEC_FromText"
    write(s.shards[0], f"INSERT INTO t VALUES (1, {text}('[1.5,-2,3e-38,0]')), (2, NULL), (3, {text}('[1,2,3,4]'))",
          f"UPDATE t SET v = {text}('[9,8,7,6]') WHERE id = 2", "DELETE FROM t WHERE id = 3")
    s.runner.wait_caught_up()
    merged_is_shard(s)


def test_vector_that_the_target_refuses(scenario):
    """MySQL takes fewer numbers than the column has dimensions, MariaDB does not: stop, nothing is filled up."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v VECTOR(4))"}, ("mysql",), "mariadb11")
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, STRING_TO_VECTOR('[1,2,3,4]'))", "INSERT INTO t VALUES (2, STRING_TO_VECTOR('[1,2]'))")
    s.runner.wait_for("the source to stop", lambda status: any(x["error"] and x["state"] in STOPPED for x in status["sources"]))
    assert s.rows("t", "id") == [(1,)]


def test_vector_as_bytes(scenario):
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v VECTOR(4))"}, ("mysql",), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, v VARBINARY(16))")
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, STRING_TO_VECTOR('[1.5,-2,3e-38,0]')), (2, NULL)")
    s.runner.wait_caught_up()
    shard = s.shards[0]
    assert texts(s.downstream, s.target, "t", "id, HEX(v)") == texts(shard.server, shard.schema, "t", "id, HEX(v)")


ADDRESSES6 = ["::", "::1", "1::", "ffff::", "2001:db8::ff00:42:8329", "::1.2.3.4", "::ffff:192.0.2.1", "fe80::1:0:0:1", "0:0:1::", "1:2:3:4:5:6:7:8",
              "1:0:0:2:0:0:0:3", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:0", "1:0:3:4:5:6:7:8", "::ffff:0:0", "::0.0.1.0", "0:0:0:0:0:1:0:0", "abcd:ef01::0a00:0"]
UUIDS = ["123e4567-e89b-12d3-a456-426655440000", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
         "018f3c1e-9b3a-7cc0-98c4-dc0c0c070000", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "1ec9414c-232a-6b00-b3c8-9f6bdeced846",
         "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "320c3d4d-cc00-875b-8ec9-32d5f69181c0", "12345678-1234-0234-0234-123456789abc"]
UUIDS += [f"00112233-4455-{v:x}677-{n:x}899-aabbccddeeff" for v in range(16) for n in range(16)]


def write_native(s):
    rows = [f"({i}, '{UUIDS[i % len(UUIDS)]}', '{ADDRESSES6[i % len(ADDRESSES6)]}', '{i % 256}.{i // 3 % 256}.0.{i % 7}')" for i in range(len(UUIDS))]
    write(s.shards[0], "INSERT INTO t VALUES " + ", ".join(rows), "INSERT INTO t (id) VALUES (900), (901)",
          f"UPDATE t SET u = '{UUIDS[0]}', i6 = '{ADDRESSES6[4]}' WHERE id = 900", "UPDATE t SET u = NULL, i6 = NULL, i4 = NULL WHERE id = 5",
          "DELETE FROM t WHERE id = 7")


NATIVE = "(id INT PRIMARY KEY, u UUID, i6 INET6, i4 INET4)"


@pytest.mark.parametrize("flavor, downstream", [("mariadb", "mariadb"), ("mariadb", "mariadb11"), ("mariadb11", "mariadb")])
def test_uuid_and_inet_between_mariadb_servers(scenario, flavor, downstream):
    s = scenario.make_plain({"t": NATIVE}, (flavor,), downstream)
    s.start()
    write_native(s)
    s.runner.wait_caught_up()
    merged_is_shard(s)


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_uuid_and_inet_as_text_and_as_bytes(scenario, downstream):
    """The text is what the shard's own SELECT gives; the bytes what its HEX gives."""
    s = scenario.make_plain({"t": NATIVE, "b": NATIVE}, ("mariadb",), downstream, targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, u CHAR(36) CHARACTER SET ascii, i6 VARCHAR(45), i4 VARCHAR(15))",
                     f"CREATE TABLE `{s.target}`.b (id INT PRIMARY KEY, u BINARY(16), i6 VARBINARY(16), i4 BINARY(4))")
    s.start()
    write_native(s)
    shard = s.shards[0]
    write(shard, "INSERT INTO b SELECT * FROM t")
    s.runner.wait_caught_up()
    assert texts(s.downstream, s.target, "t", "id, u, i6, i4") == [
        tuple(v if v is None or isinstance(v, int) else str(v) for v in row) for row in texts(shard.server, shard.schema, "t", "id, CAST(u AS CHAR), CAST(i6 AS CHAR), CAST(i4 AS CHAR)")]
    assert texts(s.downstream, s.target, "b", "id, HEX(u), HEX(i6), HEX(i4)") == texts(shard.server, shard.schema, "b", "id, HEX(u), HEX(i6), HEX(i4)")


def test_uuid_as_the_primary_key(scenario):
    """Rows of two shards, found again by their UUID."""
    s = scenario.make_plain({"t": "(u UUID PRIMARY KEY, i6 INET6 NOT NULL UNIQUE, v INT)"}, ("mariadb", "mariadb"))
    s.start()
    for number, shard in enumerate(s.shards, 1):
        for i in range(20):
            write(shard, f"INSERT INTO t VALUES ('{number:08x}-0000-1000-8000-{i:012x}', '::{number}:{i:x}', {i})")
        write(shard, "UPDATE t SET v = v + 100 WHERE v % 2", "DELETE FROM t WHERE v < 5",
              f"UPDATE t SET u = '{number:08x}-0000-7000-8000-000000000099' WHERE v = 8", "UPDATE t SET i6 = '::ffff:1.2.3.4' WHERE v = 10 AND u < '00000002'")
    s.runner.wait_caught_up()
    difference = compare(s.downstream, f"`{s.target}`.t", [(x.server, f"`{x.schema}`.t") for x in s.shards])
    assert not difference, difference


COMPRESSED = ("(id INT PRIMARY KEY, v VARCHAR(300) COMPRESSED, s VARCHAR(20) COMPRESSED CHARACTER SET latin1, t TEXT COMPRESSED CHARACTER SET latin1, "
              "b BLOB COMPRESSED, vb VARBINARY(255) COMPRESSED, mb MEDIUMBLOB COMPRESSED, n INT)")


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
@pytest.mark.parametrize("metadata", ["FULL", "MINIMAL"])
def test_compressed_columns(scenario, downstream, metadata):
    s = scenario.make_plain({"t": COMPRESSED}, ("mariadb",), downstream, targets=False,
                            server_options={} if metadata == "FULL" else {"binlog_row_metadata": "MINIMAL"})
    s.downstream.run(f"CREATE TABLE `{s.target}`.t " + COMPRESSED.replace(" COMPRESSED", ""))
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, REPEAT('xä', 150), 'é', REPEAT('äöü', 1000), REPEAT(x'00ff', 500), REPEAT('v', 255), REPEAT('m', 70000), 1)",
          "INSERT INTO t VALUES (2, '', '', '', '', '', '', 2), (3, 'short', 'a', 'ä', 'b', x'00', 'm', 3), (4, NULL, NULL, NULL, NULL, NULL, NULL, 4)",
          "SET SESSION column_compression_zlib_wrap = ON", "INSERT INTO t VALUES (5, REPEAT('w', 300), '', REPEAT('w', 9000), REPEAT('w', 9000), '', REPEAT('w', 300000), 5)",
          "UPDATE t SET n = n + 10", "UPDATE t SET t = REPEAT('z', 500), v = 'now short' WHERE id IN (1, 4)", "DELETE FROM t WHERE id = 3")
    s.runner.wait_caught_up()
    merged_is_shard(s)


def test_json_keeps_decimals(scenario):
    """A number that only a DECIMAL holds keeps all its digits; MySQL would read it from text as a double."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, j JSON)"}, ("mysql",), "mysql")
    s.start()
    values = ["JSON_ARRAY(1.10, 123456789012345678901234567890.123456789, CAST('2024-02-29' AS DATE), 1e0, true, null, CAST(x'ab' AS BINARY), "
              "18446744073709551615, -9223372036854775808, -0e0, 1.0, 1e100)",
              "JSON_OBJECT('a''b\\\\\"c', JSON_ARRAY(JSON_OBJECT('d', 0.10)), 'e', 'text with 1.10', 'ä', NULL, '', '\\n')", "CAST(5.50 AS JSON)",
              "CAST(99999999999999999999999999 AS JSON)", "CAST(-0.000 AS JSON)", "JSON_ARRAY(CAST('-838:59:59.000001' AS TIME(6)), 0.1, 1.5)",
              "JSON_ARRAY('1.10', '[1.10]', JSON_ARRAY(), JSON_OBJECT(), 1.10)", "NULL"]
    write(s.shards[0], *(f"INSERT INTO t VALUES ({i}, {v})" for i, v in enumerate(values)),
          "UPDATE t SET j = JSON_SET(j, '$[0]', 2.20) WHERE id = 0")
    s.runner.wait_caught_up()
    shard = s.shards[0]
    query = "id, HEX(CAST(j AS CHAR))"
    assert texts(s.downstream, s.target, "t", query) == texts(shard.server, shard.schema, "t", query)
    kinds = "JSON_TYPE(JSON_EXTRACT(j, '$[0]')), JSON_TYPE(JSON_EXTRACT(j, '$[1]'))"
    assert s.downstream.query(f"SELECT {kinds} FROM `{s.target}`.t WHERE id = 0") == [("DECIMAL", "DECIMAL")]


def stopped_with(s, code, *words):
    error = s.runner.wait_error("s1", code)
    text = f"{error['message']} {error['remedy']}"
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"
    return text


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_enum_error_value(scenario, flavor):
    """What an application without strict mode leaves behind: no statement in strict mode writes it."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, e ENUM('a','b'), v INT)"}, (flavor,), flavor)
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, 'a', 1)", "INSERT INTO t VALUES (2, 'nonsense', 2)")
    stopped_with(s, "DECODE_VALUE", "`e`", "error value", "UPDATE")
    assert "nonsense" not in s.runner.log()
    assert s.rows("t") == [(1, "a", 1)]


def test_enum_error_value_in_a_text_column(scenario):
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, e ENUM('a','b'))"}, ("mariadb",), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, e VARCHAR(10))")
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, 'a'), (2, 'nonsense'), (3, NULL)")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, "a"), (2, ""), (3, None)]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize("charset, broken", [("utf8mb4", "61c328"), ("utf8mb3", "f09f9880"), ("gbk", "61ff20"), ("sjis", "8120"), ("utf16", "d8000061")])
def test_broken_text(scenario, flavor, charset, broken):
    """Bytes that are no text of their character set stop the source: column named, value not shown, nothing replaced. No
    statement stores such bytes today; files of old servers hold them. Here a MyISAM table gets the data file of another."""
    ddl = "(id INT NOT NULL PRIMARY KEY, v INT NOT NULL, c {}(40) {}) ENGINE=MyISAM"
    s = scenario.make_plain({"t": ddl.format("VARCHAR", f"CHARACTER SET {charset}")}, (flavor,), flavor, targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {ddl.format('VARCHAR', f'CHARACTER SET {charset}').replace('MyISAM', 'InnoDB')}")
    shard = s.shards[0]
    width = {"utf8mb4": 4, "utf8mb3": 3, "utf16": 4}.get(charset, 2)
    write(shard, f"CREATE TABLE donor {ddl.format('VARBINARY', '').replace('(40)', f'({40 * width})')}", f"INSERT INTO donor VALUES (1, 1, x'{broken}')",
          "INSERT INTO t VALUES (1, 1, '')", "FLUSH TABLES t, donor")
    folder = shard.server.datadir / shard.schema
    shutil.copyfile(folder / "donor.MYD", folder / "t.MYD")
    shutil.copyfile(folder / "donor.MYI", folder / "t.MYI")
    write(shard, "FLUSH TABLES")
    assert shard.server.value(f"SELECT HEX(c) FROM `{shard.schema}`.t").lower() == broken
    s.downstream.run(f"INSERT INTO `{s.target}`.t VALUES (1, 1, '')")
    s.write_task({"t": "t"})
    s.start()
    write(shard, "UPDATE t SET v = 2")
    error = s.runner.wait_error("s1", "DB_VALUE")
    assert "column" in error["message"] and "`c`" in error["message"].replace("'", "`"), error
    assert broken not in str(error).lower() + s.runner.log().lower()
    assert s.downstream.query(f"SELECT id, v, c FROM `{s.target}`.t") == [(1, 1, "")]


def test_date_into_datetime(scenario):
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, d DATE)"}, ("mariadb",), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, d DATETIME(3))")
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, '2024-02-29'), (2, '0000-00-00'), (3, '2024-00-00'), (4, NULL), (5, '9999-12-31')",
          "UPDATE t SET d = '1000-01-01' WHERE id = 5")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, CAST(d AS CHAR)") == [(1, "2024-02-29 00:00:00.000"), (2, "0000-00-00 00:00:00.000"), (3, "2024-00-00 00:00:00.000"), (4, None),
                                                  (5, "1000-01-01 00:00:00.000")]


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_old_temporal_types(scenario, downstream):
    """The form of before MySQL 5.6, which MariaDB still writes when told to."""
    ddl = "(id INT PRIMARY KEY, t TIME, d DATETIME, ts TIMESTAMP NULL, dt DATE)"
    s = scenario.make_plain({"t": ddl}, ("mariadb",), downstream, server_options={"mysql56_temporal_format": "OFF"})
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, '-838:59:59', '9999-12-31 23:59:59', '2038-01-19 03:14:07', '2024-02-29')",
          "INSERT INTO t VALUES (2, '00:00:00', '0000-00-00', 0, '0000-00-00'), (3, '-00:00:01', '2024-00-00 01:02:03', '1970-01-01 00:00:01', '2024-02-00')",
          "INSERT INTO t (id) VALUES (4)", "UPDATE t SET t = '12:34:56' WHERE id = 4", "DELETE FROM t WHERE id = 1")
    s.runner.wait_caught_up()
    merged_is_shard(s)


def test_generated_invisible_primary_key(scenario):
    """MySQL adds my_row_id to tables without a key: in the binlog, not in SELECT *. One shard: the numbers are its own."""
    s = scenario.make_plain({"t": "(a INT, b VARCHAR(10))"}, ("mysql",), "mysql", targets=False)
    shard = s.shards[0]
    write(shard, "SET sql_generate_invisible_primary_key = ON", "DROP TABLE t", "CREATE TABLE t (a INT, b VARCHAR(10))")
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (my_row_id BIGINT UNSIGNED NOT NULL PRIMARY KEY INVISIBLE, a INT, b VARCHAR(10))")
    s.write_task({"t": "t"})
    s.start()
    write(shard, "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (1, 'x')", "UPDATE t SET b = 'z' WHERE a = 2", "DELETE FROM t WHERE a = 1 LIMIT 1")
    s.runner.wait_caught_up()
    assert s.rows("t", "my_row_id, a, b") == list(shard.server.query(f"SELECT my_row_id, a, b FROM `{shard.schema}`.t ORDER BY 1"))


def test_generated_invisible_primary_key_that_the_target_has_not(scenario):
    s = scenario.make_plain({"t": "(a INT NOT NULL, b VARCHAR(10))"}, ("mysql",), "mysql", targets=False)
    shard = s.shards[0]
    write(shard, "SET sql_generate_invisible_primary_key = ON", "DROP TABLE t", "CREATE TABLE t (a INT NOT NULL, b VARCHAR(10))")
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (a INT NOT NULL PRIMARY KEY, b VARCHAR(10))")
    s.write_task({"t": "t"})
    s.start()
    write(shard, "INSERT INTO t VALUES (1, 'x'), (2, 'y')", "UPDATE t SET b = 'z' WHERE a = 2", "DELETE FROM t WHERE a = 1")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(2, "z")]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_invisible_and_generated_columns(scenario, flavor):
    """Invisible columns are written like others; generated ones are the target's business."""
    ddl = ("(id INT PRIMARY KEY, hidden INT {0} DEFAULT 7, v INT AS (id + 1) VIRTUAL {0}, st INT AS (id * 2) STORED, late VARCHAR(10) {0})")
    s = scenario.make_plain({"t": ddl.format("INVISIBLE")}, (flavor,), flavor)
    s.start()
    write(s.shards[0], "INSERT INTO t (id) VALUES (1), (2)", "INSERT INTO t (id, hidden, late) VALUES (3, 9, 'x')", "UPDATE t SET hidden = 8 WHERE id = 2",
          "DELETE FROM t WHERE id = 1")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, hidden, v, st, late") == [(2, 8, 3, 4, None), (3, 9, 4, 6, "x")]


VERSIONED = ["(id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
             "(id INT PRIMARY KEY, v INT, a TIMESTAMP(6) GENERATED ALWAYS AS ROW START, b TIMESTAMP(6) GENERATED ALWAYS AS ROW END, "
             "PERIOD FOR SYSTEM_TIME (a, b)) WITH SYSTEM VERSIONING"]


@pytest.mark.parametrize("ddl", VERSIONED)
def test_system_versioned_table_is_refused(scenario, ddl):
    """By check and before the first row: its DELETEs are UPDATEs in the binlog, its old rows INSERTs."""
    s = scenario.make_plain({"t": ddl}, ("mariadb",), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, v INT)")
    done = s.runner.verb("check")
    assert done.returncode == 1 and "system-versioned" in done.stdout and "DROP SYSTEM VERSIONING" in done.stdout, done.stdout
    s.start()
    assert s.runner.wait_exit() == 2
    assert has_code(s.runner.log(), "NOT_SUPPORTED") and "DROP SYSTEM VERSIONING" in s.runner.log(), s.runner.log()


def test_system_versioned_target(scenario):
    """It keeps the history of the merged rows."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v INT)"}, ("mariadb",), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING")
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, 1), (2, 2)", "UPDATE t SET v = 9 WHERE id = 1", "DELETE FROM t WHERE id = 2")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 9)]


def test_sequence_beside_a_routed_table(scenario):
    """NEXTVAL writes rows of the sequence: filtered while no rule matches it."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v INT)"}, ("mariadb",))
    shard = s.shards[0]
    write(shard, "CREATE SEQUENCE numbers")
    s.write_task({"t": "t"})
    s.start()
    write(shard, "INSERT INTO t VALUES (NEXTVAL(numbers), 1), (NEXTVAL(numbers), 2)", "SELECT SETVAL(numbers, 5000)", "INSERT INTO t VALUES (NEXTVAL(numbers), 3)")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 1), (2, 2), (5001, 3)]


def test_sequence_that_a_rule_matches(scenario):
    """Never a table: it is left out of the routes, and its rows are filtered."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v INT)"}, ("mariadb",))
    shard = s.shards[0]
    write(shard, "CREATE SEQUENCE t_numbers")
    s.write_task({"t": "t*"})
    s.start()
    write(shard, "INSERT INTO t VALUES (NEXTVAL(t_numbers), 1)", "INSERT INTO t VALUES (NEXTVAL(t_numbers), 2)")
    status = s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 1), (2, 2)]
    assert status["sources"][0]["counters"]["filtered"] > 0


def test_check_names_types_that_the_downstream_has_not(scenario):
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, u UUID)"}, ("mariadb",), "mysql", targets=False, task={"create-tables": True})
    done = s.runner.verb("check")
    assert done.returncode == 1, done.stdout
    assert "no type uuid" in done.stdout and "BINARY(16)" in done.stdout, done.stdout
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (id INT PRIMARY KEY, u CHAR(20))")
    done = s.runner.verb("check")
    assert done.returncode == 1 and "`u`" in done.stdout and "CHAR(36)" in done.stdout, done.stdout


COPIED = {
    "mariadb": ("(id INT PRIMARY KEY, u UUID, i6 INET6, i4 INET4, g GEOMETRY, c VARCHAR(300) COMPRESSED, cb BLOB COMPRESSED, x VARCHAR(10) CHARACTER SET sjis, "
                "h INT INVISIBLE, d DATE, e ENUM('a','b'), s SET('x','y'), b BIT(64), y YEAR)",
                "('123e4567-e89b-12d3-a456-426655440000', '::ffff:1.2.3.4', '10.0.0.0', ST_GeomFromText('POINT(1 2)', 4326), REPEAT('cä', 100), x'00ff', '日本', 5, "
                "'2024-00-00', 'b', 'x,y', 18446744073709551615, 0)"),
    "mysql": ("(id INT PRIMARY KEY, v VECTOR(3), g GEOMETRY, p POINT SRID 4326, j JSON, x VARCHAR(10) CHARACTER SET gbk, h INT INVISIBLE, d DATE, b BIT(64), y YEAR)",
              "(STRING_TO_VECTOR('[1,2,3]'), ST_GeomFromText('LINESTRING(0 0,1 1)'), ST_GeomFromText('POINT(1 2)', 4326), "
              "JSON_ARRAY(1.10, 123456789012345678901234567890, 0.1, JSON_OBJECT('a', 2.50)), '中文', 5, '2024-00-00', 18446744073709551615, 0)"),
}


@pytest.mark.parametrize("flavor", ["mariadb", "mysql", "mariadb11"])
def test_copied_and_streamed_rows_are_the_same(scenario, flavor):
    ddl, values = COPIED[flavor.rstrip("1")]
    s = scenario.make_plain({"t": ddl}, (flavor,), flavor, task={"task-mode": "all"})
    shard = s.shards[0]
    names = [row[0] for row in shard.server.query("SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = 't' "
                                                  "ORDER BY ordinal_position", (shard.schema,))]
    columns = ", ".join(f"`{n}`" for n in names)
    rows = [f"INSERT INTO t ({columns}) VALUES ({{}}, {values[1:]}", f"INSERT INTO t ({columns}) VALUES ({{}}" + ", NULL" * (len(names) - 1) + ")"]
    write(shard, *(row.format(i) for i, row in enumerate(rows)))
    s.start()
    s.runner.wait_caught_up()
    write(shard, *(row.format(i + 10) for i, row in enumerate(rows)))
    s.runner.wait_caught_up()
    merged_is_shard(s)
    assert len(s.rows("t", "id")) == 4


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_targets_are_created_with_all_types(scenario, flavor):
    columns = {"mariadb": "u UUID, i4 INET4, i6 INET6 NOT NULL DEFAULT '::1', c VARCHAR(100) COMPRESSED, gc GEOMETRYCOLLECTION, p POINT NOT NULL",
               "mysql": "v VECTOR(3), gc GEOMCOLLECTION, p POINT NOT NULL SRID 4326, j JSON"}[flavor]
    s = scenario.make_plain({"t": f"(id INT PRIMARY KEY, {columns})"}, (flavor,), flavor, targets=False, task={"create-tables": True})
    s.start()
    write(s.shards[0], "INSERT INTO t (id, p) VALUES (1, ST_GeomFromText('POINT(1 2)', 4326))")
    s.runner.wait_caught_up()
    merged_is_shard(s)


@pytest.mark.parametrize("flavor, zone", [("mariadb", "+05:30"), ("mysql", "-08:00")])
def test_time_zones_of_the_servers_do_not_count(scenario, flavor, zone):
    """TIMESTAMPs are moments: written in one zone, read in another, the same in UTC."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, ts TIMESTAMP(3) NULL, dt DATETIME(3))"}, (flavor,), flavor, server_options={"default_time_zone": zone})
    s.start()
    shard = s.shards[0]
    shard.server.run(f"INSERT INTO `{shard.schema}`.t VALUES (1, '2024-07-01 00:00:00.123', '2024-07-01 00:00:00.123')",
                     f"INSERT INTO `{shard.schema}`.t VALUES (2, '2024-01-01 00:00:00', NULL)", f"UPDATE `{shard.schema}`.t SET ts = ts + INTERVAL 1 SECOND WHERE id = 2")
    s.runner.wait_caught_up()
    assert shard.server.value("SELECT @@time_zone") == zone
    exact = "id, UNIX_TIMESTAMP(ts), CAST(dt AS CHAR)"
    assert s.rows("t", exact) == texts(shard.server, shard.schema, "t", exact)


@pytest.mark.parametrize("metadata", ["FULL", "MINIMAL"])
def test_hidden_hash_columns(scenario, metadata):
    """MariaDB logs the hash of a unique key over long text as a column that no SELECT shows."""
    ddl = "(id INT PRIMARY KEY, a TEXT, b BLOB, v INT, UNIQUE KEY u (a), UNIQUE KEY w (b))"
    s = scenario.make_plain({"t": ddl}, ("mariadb",), server_options={} if metadata == "FULL" else {"binlog_row_metadata": "MINIMAL"})
    s.start()
    write(s.shards[0], "INSERT INTO t VALUES (1, 'one', x'01', 1), (2, REPEAT('two', 1000), x'02', 2), (3, NULL, NULL, 3)", "UPDATE t SET a = 'ONE more', v = 5 WHERE id = 1",
          "DELETE FROM t WHERE id = 3")
    s.runner.wait_caught_up()
    merged_is_shard(s)
