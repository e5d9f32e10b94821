"""The harness itself: servers, fault proxy, workloads and oracle do what the other tests rely on."""
import re
import threading
import time

import pymysql
import pytest

from harness.oracle import assert_counters, assert_merged, compare, table_rows
from harness.proxy import FORBIDDEN, Proxy
from harness.servers import MariaDB, PASSWORD, USER
from harness.sm import FAULT_POINTS, ROOT
from harness.workload import Shard, Workload


@pytest.fixture(params=["mariadb", "mysql"])
def server(request, pool):
    return pool.get("harness-" + request.param, request.param)


@pytest.fixture
def table(server, unique):
    server.run(f"CREATE DATABASE {unique}", f"CREATE TABLE {unique}.t (id INT PRIMARY KEY, v LONGTEXT)")
    yield f"{unique}.t"
    server.run(f"DROP DATABASE {unique}")


@pytest.fixture
def proxy(server):
    with Proxy(server.host, server.port) as p:
        yield p


def through(proxy, **kw):
    return pymysql.connect(host=proxy.host, port=proxy.port, user=USER, password=PASSWORD, charset="utf8mb4",
                           autocommit=None, **kw)


def run(conn, *statements):
    with conn.cursor() as cur:
        for s in statements:
            cur.execute(s)
        return cur.fetchall()


def test_passes_everything_through(server, proxy, table):
    conn = through(proxy)
    big = "x" * (17 * 1024 * 1024)
    run(conn, "BEGIN", f"INSERT INTO {table} VALUES (1, 'a'), (2, NULL)", "COMMIT")
    with conn.cursor() as cur:
        cur.execute(f"INSERT INTO {table} VALUES (3, %s)", (big,))
        cur.execute("COMMIT")
        cur.execute(f"SELECT id, v FROM {table} ORDER BY id")
        assert cur.fetchall() == ((1, "a"), (2, None), (3, big))
        with pytest.raises(pymysql.err.IntegrityError):
            cur.execute(f"INSERT INTO {table} VALUES (1, 'again')")
        cur.execute(f"SELECT COUNT(*) FROM {table}")
        assert cur.fetchone() == (3,)
    conn.ping()
    conn.close()
    assert proxy.count(r"^INSERT") == 3 and proxy.count(FORBIDDEN) == 0


def test_multi_statements_and_warnings(server, proxy, table):
    conn = through(proxy, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
    with conn.cursor() as cur:
        cur.execute(f"INSERT INTO {table} VALUES (1, 'a'); SELECT 7; SELECT 8, 9; INSERT INTO {table} VALUES (2, 'b')")
        assert cur.nextset() and cur.fetchall() == ((7,),)
        assert cur.nextset() and cur.fetchall() == ((8, 9),)
        assert cur.nextset() and cur.rowcount == 1
        assert not cur.nextset()
    conn.commit()
    assert server.value(f"SELECT COUNT(*) FROM {table}") == 2


def test_drop_after_commit_leaves_the_commit(server, proxy, table):
    rule = proxy.drop_after("COMMIT", nth=2)
    conn = through(proxy)
    run(conn, "BEGIN", f"INSERT INTO {table} VALUES (1, 'a')", "COMMIT", "BEGIN", f"INSERT INTO {table} VALUES (2, 'b')")
    with pytest.raises(pymysql.err.OperationalError):
        run(conn, "COMMIT")
    rule.wait(5)
    assert poll(lambda: server.value(f"SELECT COUNT(*) FROM {table}") == 2)


def test_drop_before_commit_loses_the_transaction(server, proxy, table):
    proxy.drop_before("COMMIT")
    conn = through(proxy)
    run(conn, "BEGIN", f"INSERT INTO {table} VALUES (1, 'a')")
    with pytest.raises(pymysql.err.OperationalError):
        run(conn, "COMMIT")
    time.sleep(0.2)
    assert server.value(f"SELECT COUNT(*) FROM {table}") == 0


def test_held_commit_comes_after_the_client_is_gone(server, proxy, table):
    rule = proxy.hold_commit(seconds=30)
    conn = through(proxy)
    run(conn, "BEGIN", f"INSERT INTO {table} VALUES (1, 'a')")
    with pytest.raises(pymysql.err.OperationalError):
        run(conn, "COMMIT")
    rule.wait(5)
    assert server.value(f"SELECT COUNT(*) FROM {table}") == 0, "a plain read must still see the old value"
    other = server.connect()
    seen = []

    def locking_read():
        with other.cursor() as cur:
            cur.execute(f"SELECT COUNT(*) FROM {table} FOR UPDATE")
            seen.append(cur.fetchone()[0])

    reader = threading.Thread(target=locking_read)
    reader.start()
    time.sleep(0.3)
    assert not seen, "a locking read must wait for the held commit"
    rule.release.set()
    reader.join(10)
    assert rule.options["done"].wait(5) and seen == [1]


def test_errors_at_statement_and_commit(server, proxy, table):
    proxy.error(r"^INSERT", 1213, "40001", "Deadlock found")
    proxy.error("COMMIT", 9007, "HY000", "Write conflict", nth=1)
    conn = through(proxy)
    run(conn, "BEGIN")
    with pytest.raises(pymysql.err.OperationalError) as e:
        run(conn, f"INSERT INTO {table} VALUES (1, 'a')")
    assert e.value.args == (1213, "Deadlock found")
    run(conn, "BEGIN", f"INSERT INTO {table} VALUES (1, 'a')")
    with pytest.raises(pymysql.err.MySQLError) as e:
        run(conn, "COMMIT")
    assert e.value.args == (9007, "Write conflict")
    assert server.value(f"SELECT COUNT(*) FROM {table}") == 0, "a COMMIT that failed must be rolled back on the server"
    run(conn, "BEGIN", f"INSERT INTO {table} VALUES (1, 'a')", "COMMIT")
    assert server.value(f"SELECT COUNT(*) FROM {table}") == 1


def test_answers_from_a_script(proxy):
    proxy.answer(r"TIDB_VERSION\(\)", ["TIDB_VERSION()", "n"], [["Release Version: v8.5.0", None]])
    proxy.server_version = "8.0.11-TiDB-v8.5.0"
    conn = through(proxy)
    assert run(conn, "SELECT TIDB_VERSION()") == (("Release Version: v8.5.0", None),)
    assert conn.get_server_info() == "8.0.11-TiDB-v8.5.0"
    assert run(conn, "SELECT 1") == ((1,),)


def test_size_limits(server, proxy, table):
    proxy.limit(bytes_per_transaction=5000, bytes_per_statement=3000)
    conn = through(proxy)
    run(conn, "BEGIN", f"INSERT INTO {table} VALUES (1, '{'x' * 2000}')", f"INSERT INTO {table} VALUES (2, '{'x' * 2000}')")
    with pytest.raises(pymysql.err.MySQLError) as e:
        run(conn, f"INSERT INTO {table} VALUES (3, '{'x' * 2000}')")
    assert e.value.args[0] == 8004
    run(conn, "BEGIN")
    with pytest.raises(pymysql.err.MySQLError) as e:
        run(conn, f"INSERT INTO {table} VALUES (3, '{'x' * 4000}')")
    assert e.value.args[0] == 8025
    assert server.value(f"SELECT COUNT(*) FROM {table}") == 0


def test_cut_and_heal(server, proxy, table):
    conn = through(proxy, read_timeout=30)
    proxy.cut()
    done = threading.Event()

    def insert():
        run(conn, f"INSERT INTO {table} VALUES (1, 'a')", "COMMIT")
        done.set()

    threading.Thread(target=insert, daemon=True).start()
    assert not done.wait(0.7), "the statement went through a cut network"
    with pytest.raises(pymysql.err.OperationalError):
        through(proxy, connect_timeout=1, read_timeout=1)
    proxy.heal()
    assert done.wait(10), "the statement did not go on after the network was back"


def test_close_and_refuse(proxy):
    conn = through(proxy)
    proxy.refuse()
    proxy.close_all()
    with pytest.raises(pymysql.err.OperationalError):
        run(conn, "SELECT 1")
    with pytest.raises(pymysql.err.OperationalError):
        through(proxy, connect_timeout=2)
    proxy.listen()
    assert run(through(proxy), "SELECT 1") == ((1,),)


def test_stalled_statement_goes_on_without_its_client(server, proxy, table):
    rule = proxy.stall(r"^ALTER", seconds=0.1)
    conn = through(proxy)
    with pytest.raises(pymysql.err.OperationalError):
        run(conn, f"ALTER TABLE {table} ADD COLUMN w INT")
    rule.wait(5)
    assert poll(lambda: len(server.query(f"SHOW COLUMNS FROM {table}")) == 3)


def test_binlog_stream_through_the_proxy(pool, unique):
    """A native replica follows its source through the proxy, over a cut and a dropped connection."""
    source = pool.get("harness-mariadb", "mariadb")
    replica = MariaDB("replica").start()
    try:
        with Proxy(source.host, source.port) as proxy:
            replica.run(f"SET GLOBAL gtid_slave_pos = '{source.gtid()}'",
                        f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={proxy.port}, MASTER_USER='{USER}', "
                        f"MASTER_PASSWORD='{PASSWORD}', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos", "START SLAVE")
            source.run(f"CREATE DATABASE {unique}", f"CREATE TABLE {unique}.t (id INT PRIMARY KEY, v TEXT)")
            replica.wait_replica_of(source, 20)
            proxy.drop_stream_after(100000)
            for i in range(20):
                source.run(f"INSERT INTO {unique}.t VALUES ({i}, REPEAT('x', 20000))")
            replica.wait_replica_of(source, 20)
            proxy.cut()
            source.run(f"INSERT INTO {unique}.t VALUES (100, 'late')")
            time.sleep(0.5)
            assert replica.value(f"SELECT COUNT(*) FROM {unique}.t") == 20
            proxy.heal()
            replica.wait_replica_of(source, 20)
            assert replica.value(f"SELECT COUNT(*) FROM {unique}.t") == 21
    finally:
        replica.destroy()
        source.run(f"DROP DATABASE IF EXISTS {unique}")


def test_a_killed_server_keeps_what_was_committed(server, table):
    server.run(f"INSERT INTO {table} VALUES (1, 'a')")
    port = server.port
    server.restart(hard=True)
    assert server.port == port and server.value(f"SELECT COUNT(*) FROM {table}") == 1


def poll(condition, timeout=10):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_workload_and_oracle_against_a_native_replica(pool, unique, flavor):
    """Random writes replicated by the server itself: the oracle must find them equal, and must see a changed row."""
    source = pool.get("harness-" + flavor, flavor)
    replica = type(source)("replica").start()
    try:
        if flavor == "mariadb":
            replica.run(f"SET GLOBAL gtid_slave_pos = '{source.gtid()}'")
        else:
            replica.run(f"SET GLOBAL gtid_purged = '{source.gtid()}'")
        replica.replicate_from(source)
        work = Workload([Shard(source, f"{unique}_s1", 1), Shard(source, f"{unique}_s2", 2)], transactions=250)
        work.create()
        work.run()
        replica.wait_replica_of(source, 60)
        for base in work.options.tables:
            for server, table in work.sources_of(base):
                assert compare(replica, table, [(server, table)]) == ""
            assert any(table_rows(s, t) for s, t in work.sources_of(base)), f"the workload left {base} empty"
        replica.stop_replica()
        work.create_targets(replica, f"{unique}_m")
        for base in work.options.tables:
            for _, table in work.sources_of(base):
                replica.run(f"SET time_zone='+00:00', sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'",
                            f"INSERT INTO {unique}_m.{base} SELECT * FROM {table}")
        assert_merged(replica, f"{unique}_m", work)
        replica.run(f"UPDATE {unique}_m.kv SET v = v + 1000000 LIMIT 1")
        text = compare(replica, f"{unique}_m.kv", work.sources_of("kv"))
        assert "differs" in text and "v: expected" in text, text
        replica.run(f"DELETE FROM {unique}_m.nokey LIMIT 1", f"INSERT INTO {unique}_m.nokey VALUES (-5, 'y', 1)")
        text = compare(replica, f"{unique}_m.nokey", work.sources_of("nokey"))
        assert "1 missing, 1 too many" in text, text
    finally:
        replica.destroy()
        source.run(f"DROP DATABASE IF EXISTS {unique}_s1", f"DROP DATABASE IF EXISTS {unique}_s2")


def test_a_seed_gives_the_same_statements(pool, unique):
    source = pool.get("harness-mariadb", "mariadb")
    results = []
    for n in (1, 2):
        work = Workload([Shard(source, f"{unique}_{n}", 1)], seed=4711, transactions=60)
        work.create()
        work.run()
        results.append([table_rows(source, table) for base in ("kv", "uniq", "comp", "types") for _, table in work.sources_of(base)])
        source.run(f"DROP DATABASE {unique}_{n}")
    assert results[0] == results[1]


def test_counters_that_do_not_add_up_are_found():
    good = {"sources": [{"id": "a", "counters": dict(read=6, applied=1, filtered=1, held=1, parked=1, missed=1, refused=1, loaded=0)}]}
    assert_counters(good)
    bad = {"sources": [{"id": "a", "counters": dict(read=7, applied=1, filtered=1, held=1, parked=1, missed=1, refused=1, loaded=0)}]}
    with pytest.raises(AssertionError, match="source a: read 7 != 6"):
        assert_counters(bad)


def test_every_fault_point_is_passed_through():
    """Each point stands at one place of the program; the crash matrix passes it, or a unit test does by its name."""
    places: dict[str, list[str]] = {}
    for path in (ROOT / "src").rglob("*.c"):
        for name in re.findall(r'\bFAULT\("([^"]*)"\)', path.read_text()):
            places.setdefault(name, []).append(path.name)
    assert all(len(files) == 1 for files in places.values()), places
    units = "".join(path.read_text() for path in (ROOT / "tests/unit").rglob("*.c"))
    untested = {name for name in places if name not in FAULT_POINTS and f"{name}=" not in units}
    assert places and not untested, f"in no test: {untested}"
    assert set(FAULT_POINTS) <= set(places), f"not in the program: {set(FAULT_POINTS) - set(places)}"
