"""Shards of both flavors into targets of both flavors, from GTID and from position: merged = union, counters add up."""
import pytest

from harness.sm import Failed

MIXES = [
    (("mariadb", "mariadb"), "mariadb"),
    (("mysql", "mysql"), "mysql"),
    (("mariadb", "mysql"), "mariadb"),
    (("mysql", "mariadb"), "mysql"),
    (("mariadb", "mariadb"), "mysql"),
    (("mysql", "mysql"), "mariadb"),
]
TABLES = ("kv", "uniq", "strkey", "comp", "types")


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("flavors,downstream", MIXES, ids=["-".join(f) + "-to-" + d for f, d in MIXES])
def test_two_shards_become_one_table(scenario, flavors, downstream, gtid):
    s = scenario.make(flavors, downstream, gtid=gtid, tables=TABLES, transactions=60, tables_per_shard=1)
    s.work.run(40)  # waits in the binlogs
    s.start()
    s.work.run(20)  # comes live
    status = s.finish()
    assert {x["id"] for x in status["sources"]} == {"s1", "s2"}
    assert all(x["counters"]["applied"] > 0 for x in status["sources"]), "a source has applied nothing"
    assert all(x["counters"]["filtered"] > 0 for x in status["sources"]), "`skipped` was written, but nothing counts as filtered"
    assert {x["table"] for x in status["targets"]} == set(TABLES)
    if gtid:
        assert all(x["position"]["gtid"] for x in status["sources"]), "status shows no GTID"


@pytest.mark.parametrize("metadata", ["FULL", "MINIMAL"])
@pytest.mark.parametrize("image", ["FULL", "NOBLOB", "MINIMAL"])
def test_row_images_and_metadata(scenario, image, metadata):
    s = scenario.make(("mariadb",), tables=("kv", "uniq", "comp", "types", "big"), transactions=60, tables_per_shard=1, huge_rows=0,
                      server_options={"binlog_row_image": image, "binlog_row_metadata": metadata})
    s.start()
    s.work.run()
    s.finish()


@pytest.mark.parametrize("image", ["NOBLOB", "MINIMAL"])
def test_row_images_of_mysql(scenario, image):
    s = scenario.make(("mysql",), tables=("kv", "uniq", "comp", "types"), transactions=60, tables_per_shard=1,
                      server_options={"binlog_row_image": image, "binlog_row_metadata": "MINIMAL"})
    s.start()
    s.work.run()
    s.finish()


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_without_checksums(scenario, flavor):
    s = scenario.make((flavor,), tables=("kv", "comp"), transactions=40, tables_per_shard=1, server_options={"binlog_checksum": "NONE"})
    s.start()
    s.work.run()
    s.finish()


def test_mysql_without_gtid(scenario):
    s = scenario.make(("mysql", "mysql"), gtid=False, tables=("kv", "uniq"), transactions=60, server_options={"gtid": False})
    s.start()
    s.work.run()
    s.finish()


def test_three_shards(scenario):
    s = scenario.make(("mariadb", "mysql", "mariadb"), tables=("kv", "uniq", "nokey"), transactions=60)
    s.start()
    s.work.run()
    s.finish()


def test_sixteen_shards(scenario):
    s = scenario.make(("mariadb",) * 16, tables=("kv", "uniq"), transactions=25, tables_per_shard=1, big_transactions=0)
    s.start()
    s.work.run()
    s.finish(120)


def test_log_rotation_and_restarts(scenario):
    """New binlog files in the middle, and three clean stops: nothing is lost or doubled."""
    s = scenario.make(("mariadb", "mysql"), tables=("kv", "nokey"), transactions=0)
    for _ in range(3):
        s.start()
        s.work.run(15)
        for shard in s.shards:
            shard.server.flush_binlog()
        s.work.run(15)
        s.finish()


def test_targets_are_created_where_shards_agree(scenario):
    s = scenario.make(("mariadb", "mariadb"), tables=("kv", "uniq", "types", "auto"), transactions=40, create_targets=False)
    s.start()
    s.work.run()
    s.finish()
    ddl = s.downstream.query(f"SHOW CREATE TABLE `{s.target}`.`auto`")[0][1]
    assert "PRIMARY KEY" in ddl, ddl


def test_until_caught_up_ends_by_itself(scenario):
    s = scenario.make(tables=("kv",), transactions=30)
    s.work.run()
    s.start(until="caught-up")
    assert s.runner.wait_exit(60) == 0, s.runner.log_tail()
    s.check_merged()


def test_a_tiny_queue_with_delays_never_deadlocks(scenario):
    s = scenario.make(("mariadb", "mariadb"), tables=("kv", "uniq", "nokey"), transactions=60,
                      task={"syncers": {"global": {"worker-count": 3, "batch": 3, "queue-size": 2, "checkpoint-flush-interval": 1}}})
    s.start("apply.before_commit=delay:7@*;dispatch.before_enqueue=delay:2@*;source.event=delay:1@*")
    s.work.run()
    s.finish(120)


def test_no_statement_that_hides_a_collision(scenario):
    """REPLACE, INSERT IGNORE and their like never reach the downstream."""
    from harness.proxy import FORBIDDEN, Proxy
    s = scenario.make(tables=("kv", "uniq", "strkey", "nokey", "comp"), transactions=80)
    with Proxy(s.downstream.host, s.downstream.port) as proxy:
        s.task["target-database"].update(host=proxy.host, port=proxy.port)
        s.save()
        s.start()
        s.work.run()
        s.finish()
        bad = [x.text for x in proxy.find(FORBIDDEN) if f"{s.meta}" not in x.text]
        assert not bad, f"sent: {bad[:3]}"
        upserts = [x.text for x in proxy.find(r"^INSERT\s+INTO.*ON\s+DUPLICATE\s+KEY") if s.meta not in x.text]
        assert not [u for u in upserts if "`uniq`" in u or "`comp`" in u], \
            f"an upsert on a table with a second unique key: {upserts[:3]}"


def test_tls_on_both_sides(scenario):
    """MySQL makes its own certificates; a CA in `security` makes the connection encrypted and checked."""
    s = scenario.make(("mysql",), "mysql", tables=("kv",), transactions=20)
    ca = s.folder / "ca.pem"
    ca.write_bytes((s.shards[0].server.datadir / "ca.pem").read_bytes())
    s.source_config(1)["from"]["security"] = {"ssl-ca": str(ca)}
    s.save()
    s.start()
    s.work.run()
    try:
        s.runner.wait_caught_up()
    except Failed as e:  # the server's own certificate does not carry its address: refused is right, plain would be wrong
        assert "SM-1903" in str(e), e
        assert s.shards[0].server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%%'") == 0
        return
    s.finish()
