"""Events that hold others, compressed events and JSON diffs, from live servers: the merged table is the union of the shards."""
import pytest

TABLES = ("kv", "uniq", "nokey", "strkey")
SMALL = {"split-transaction-rows": 300, "spill-bytes": "64KiB",
         "syncers": {"global": {"worker-count": 3, "batch": 50, "checkpoint-flush-interval": 1}}}
PACKED = {"mysql": {"binlog_transaction_compression": "ON"},
          "mariadb": {"log_bin_compress": "ON", "log_bin_compress_min_len": 10},
          "mariadb11": {"log_bin_compress": "ON", "log_bin_compress_min_len": 10}}


def union(s, table="t", columns="*"):
    return sorted(row for shard in s.shards for row in shard.server.query(f"SELECT {columns} FROM `{shard.schema}`.`{table}`"))


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("flavor", ["mysql", "mariadb", "mariadb11"])
def test_random_transactions_in_packed_form(scenario, flavor, gtid):
    """With transactions that spill and come in pieces, and a kill in the middle."""
    s = scenario.make((flavor, flavor), gtid=gtid, tables=TABLES, transactions=0, big_transaction_rows=1500, task=SMALL,
                      server_options=PACKED[flavor])
    s.work.run(30)
    s.start("apply.after_commit=kill@9")
    s.work.run(30)
    assert s.runner.wait_exit(60) == -9
    s.start()
    s.finish(120)


def test_newest_mariadb_as_it_is_installed(scenario):
    """Zero positions inside transactions; a restart goes on at the right place, by file:position too."""
    s = scenario.make(("mariadb11", "mariadb11"), gtid=False, tables=TABLES, transactions=0, task=SMALL)
    s.work.run(20)
    s.start()
    s.work.run(20)
    s.runner.wait_caught_up(60)
    s.runner.stop()
    s.work.run(20)
    s.start()
    s.finish(120)


def test_a_session_switches_while_it_runs(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v LONGTEXT)"}, ("mysql", "mysql"))
    s.start()
    for i, level in enumerate((1, 3, 22)):
        s.shard_run(1, f"INSERT INTO {{s}}.t VALUES ({i}, 'plain')", "SET SESSION binlog_transaction_compression = ON",
                    f"SET SESSION binlog_transaction_compression_level_zstd = {level}", f"INSERT INTO {{s}}.t VALUES ({100 + i}, REPEAT('x', 100000))",
                    f"UPDATE {{s}}.t SET v = CONCAT(v, '!') WHERE id <= {100 + i}", "SET SESSION binlog_transaction_compression = OFF",
                    f"DELETE FROM {{s}}.t WHERE id = {i - 1}")
    s.runner.wait_caught_up()
    assert s.rows("t") == union(s)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_an_event_beyond_16_mib(scenario, flavor, packed):
    """More than one packet of the protocol; packed, only what it inflates to is that large."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v LONGBLOB)"}, (flavor,), server_options=PACKED[flavor] if packed else {},
                            task={"memory-limit": "512MiB"})
    s.downstream.run("SET GLOBAL max_allowed_packet = 134217728")
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, REPEAT('0123456789abcdef', 1250000))", "INSERT INTO {s}.t VALUES (2, 'small')",
                "UPDATE {s}.t SET id = 3 WHERE id = 1")
    s.runner.wait_caught_up(60)
    digest = "id, LENGTH(v), SHA2(v, 256)"
    assert sorted(s.downstream.query(f"SELECT {digest} FROM `{s.target}`.t")) == union(s, columns=digest)


def test_compressed_columns(scenario):
    ddl = "(id BIGINT PRIMARY KEY, v VARCHAR(200) COMPRESSED, b LONGBLOB COMPRESSED, l TEXT COMPRESSED CHARACTER SET latin1)"
    plain = "(id BIGINT PRIMARY KEY, v VARCHAR(200), b LONGBLOB, l TEXT CHARACTER SET latin1)"
    s = scenario.make_plain({"t": ddl}, ("mariadb", "mariadb"), targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {plain}")
    s.start()
    for shard in (1, 2):
        at = shard * 100
        s.shard_run(shard, f"INSERT INTO {{s}}.t VALUES ({at}, 'short', 'b', 'é'), ({at + 1}, REPEAT('ä', 200), REPEAT(x'00ff', 40000), REPEAT('é', 5000)),"
                    f" ({at + 2}, '', NULL, '')", "SET column_compression_zlib_wrap = ON",
                    f"UPDATE {{s}}.t SET b = REPEAT('new', 1000) WHERE id = {at + 2}", "SET binlog_row_image = MINIMAL",
                    f"UPDATE {{s}}.t SET v = REPEAT('w', 150) WHERE id = {at}", f"DELETE FROM {{s}}.t WHERE id = {at + 1} AND v = ''")
    s.runner.wait_caught_up()
    digest = "id, HEX(v), SHA2(b, 256), HEX(l)"
    assert sorted(s.downstream.query(f"SELECT {digest} FROM `{s.target}`.t")) == union(s, columns=digest)


JSON_CHANGES = ["JSON_SET(j, '$.a', 'x')", "JSON_REMOVE(j, '$.n')", "JSON_SET(j, '$.new', CAST('[1, {\"k\": null}]' AS JSON))", "JSON_REPLACE(j, '$.o.l[1]', 2.5e0)",
                "JSON_SET(j, '$.o.l[9]', 'end')", "JSON_REMOVE(j, '$.o.l[0]', '$.a')", "JSON_SET(j, '$.\"q k\"', CAST(TIMESTAMP'2024-02-29 01:02:03' AS JSON))"]


@pytest.mark.parametrize("downstream", ["mysql", "mariadb"])
def test_json_diffs(scenario, downstream):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, j JSON, k JSON, v INT)"}, ("mysql", "mysql"), downstream=downstream)
    s.start()
    for shard in (1, 2):
        at = shard * 1000
        s.shard_run(shard, *(f"INSERT INTO {{s}}.t VALUES ({at + i}, '{{\"a\": \"long enough to be worth a diff\", \"n\": {i}, \"o\": {{\"l\": [1, 2, 3]}}}}', '[1, [2, 3]]', 0)"
                             for i in range(40)),
                    "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
                    *(f"UPDATE {{s}}.t SET j = {change} WHERE id % {len(JSON_CHANGES) + 1} = {i}" for i, change in enumerate(JSON_CHANGES)),
                    "UPDATE {s}.t SET j = JSON_SET(j, '$.both', id), k = JSON_SET(k, '$[1][0]', v), v = v + 1 WHERE id % 3 = 0",
                    "SET SESSION binlog_transaction_compression = ON", "UPDATE {s}.t SET k = JSON_REMOVE(k, '$[0]')")
    s.runner.wait_caught_up()
    columns = "id, CAST(j AS CHAR), CAST(k AS CHAR), v"
    assert sorted(s.downstream.query(f"SELECT {columns} FROM `{s.target}`.t")) == union(s, columns=columns)


def test_a_json_diff_without_its_document_stops(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, j JSON)"}, ("mysql",))
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, JSON_OBJECT('a', REPEAT('x', 1000), 'b', 1))", "SET SESSION binlog_row_image = 'MINIMAL'",
                "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'", "UPDATE {s}.t SET j = JSON_SET(j, '$.b', 2)")
    error = s.runner.wait_error("s1", "DECODE_PARTIAL")
    assert f"`{s.shards[0].schema}`.`t`" in error["message"] and "binlog." in error["message"], error
    assert "binlog_row_value_options" in error["remedy"]
