"""What the network and the servers do to us: cuts, restarts, lost COMMITs, held COMMITs, deadlocks, TiDB's codes."""
import threading
import time

import pytest

from harness.proxy import Proxy

TABLES = ("kv", "uniq", "nokey")


def with_downstream_proxy(scenario, **kw):
    s = scenario.make(tables=kw.pop("tables", TABLES), transactions=0, **kw)
    proxy = Proxy(s.downstream.host, s.downstream.port).start()
    s.closers.append(proxy.stop)
    s.task["target-database"].update(host=proxy.host, port=proxy.port)
    s.save()
    return s, proxy


def begin(s):
    """Runs, streams, and has written its first transactions: what is broken from here on is broken at work."""
    s.start()
    s.work.run(5)
    s.runner.wait_caught_up()


def work_until_met(s, rule, transactions=40):
    """What is applied late comes in few statements and commits: until the rule has been met, and all is merged."""
    for _ in range(10):
        s.work.run(transactions)
        s.runner.wait_caught_up()
        if rule.fired.is_set():
            break
    s.finish()
    rule.wait(1)


def with_source_proxy(scenario, **kw):
    s = scenario.make(tables=TABLES, transactions=0, **kw)
    proxy = Proxy(s.shards[0].server.host, s.shards[0].server.port).start()
    s.closers.append(proxy.stop)
    s.source_config(1)["from"].update(host=proxy.host, port=proxy.port)
    s.save()
    return s, proxy


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_connection_lost_after_commit(scenario, downstream):
    """The COMMIT arrives, its answer does not: it must not be applied again (also for tables without a key)."""
    s, proxy = with_downstream_proxy(scenario, downstream=downstream)
    begin(s)
    rules = [proxy.drop_after("COMMIT", nth=n) for n in (3, 9, 15)]
    work_until_met(s, rules[0], 60)


def test_connection_lost_before_commit(scenario):
    s, proxy = with_downstream_proxy(scenario)
    begin(s)
    rules = [proxy.drop_before("COMMIT", nth=n) for n in (3, 9, 15)]
    work_until_met(s, rules[0], 60)


def test_connection_lost_inside_a_transaction(scenario):
    s, proxy = with_downstream_proxy(scenario)
    begin(s)
    rule = proxy.drop_after(r"^(INSERT|UPDATE|DELETE)\b.*_merged", nth=7)
    work_until_met(s, rule)


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_commit_held_while_the_same_process_reconnects(scenario, downstream):
    """The connection ends in COMMIT and the server commits 3 s later: only a locking read tells the truth."""
    s, proxy = with_downstream_proxy(scenario, downstream=downstream)
    begin(s)
    rule = proxy.hold_commit(seconds=3, nth=4)
    work_until_met(s, rule)


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_commit_of_a_killed_process_comes_late(scenario, downstream):
    """kill -9 while the downstream still holds its COMMIT; the next start must wait for it and count it."""
    s, proxy = with_downstream_proxy(scenario, downstream=downstream)
    s.start()
    s.work.run(20)
    s.runner.wait_caught_up()
    rule = proxy.hold_commit(seconds=4, pattern=r"^COMMIT", nth=2, close_client=False)
    s.work.start(30)
    rule.wait(20)
    s.runner.kill9()
    s.start()
    s.work.join()
    s.finish(120)
    assert rule.options["done"].is_set(), "the held COMMIT was never let go: the test proved nothing"


@pytest.mark.parametrize("statement", range(3, 60, 8))
def test_connection_lost_while_starting(scenario, statement):
    """The n-th statement of a start loses its connection: tried again, or ended with a class that says so and whole."""
    s, proxy = with_downstream_proxy(scenario, tables=("kv",), big_transactions=0)
    s.work.run(10)
    proxy.drop_after(r".", nth=statement)
    s.start()
    try:
        s.runner.wait_caught_up(90)
    except AssertionError:
        assert not s.runner.running and s.runner.exit_status == 3, s.runner.log_tail()
        s.start()
    s.finish()


def test_network_cut_to_the_downstream(scenario):
    s, proxy = with_downstream_proxy(scenario)
    begin(s)
    s.work.run(20)
    proxy.cut()
    s.work.run(20)
    time.sleep(2)
    proxy.close_all()
    proxy.heal()
    s.finish(120)


def test_downstream_unreachable_for_a_while(scenario):
    s, proxy = with_downstream_proxy(scenario)
    begin(s)
    s.work.run(20)
    proxy.refuse()
    proxy.close_all()
    s.work.run(20)
    time.sleep(2)
    assert s.runner.running, f"the program gave up at once\n{s.runner.log_tail()}"
    proxy.listen()
    s.finish(120)


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_network_cut_to_a_source(scenario, flavor):
    s, proxy = with_source_proxy(scenario, flavors=(flavor, flavor))
    begin(s)
    s.work.run(20)
    proxy.drop_stream_after(3000)
    s.work.run(20)
    proxy.cut()
    s.work.run(20)
    time.sleep(1.5)
    proxy.close_all()
    proxy.heal()
    s.finish(120)
    assert s.runner.runs == 1


def test_a_silent_network_is_noticed(scenario):
    """Nothing is closed, nothing comes: heartbeats stay away, the source connects again when it can."""
    s, proxy = with_source_proxy(scenario)
    s.start()
    s.work.run(10)
    s.runner.wait_caught_up()
    before = proxy.connections
    proxy.cut()
    s.work.run(10)
    time.sleep(8)
    proxy.heal()
    s.finish(120)
    assert proxy.connections > before, "the dead connection was not given up in 8 s with a heartbeat of 1 s"


@pytest.mark.parametrize("hard", [False, True], ids=["shutdown", "kill"])
@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_downstream_restart(scenario, downstream, hard):
    s = scenario.make(downstream=downstream, tables=TABLES, transactions=0)
    if not hasattr(s.downstream, "restart"):
        pytest.skip("SHARDMERGE_DOWNSTREAM names a server that is not ours to restart")
    begin(s)
    s.work.options.pause_s = 0.01
    s.work.start(80)
    time.sleep(0.7)
    s.downstream.restart(hard=hard)
    s.work.join()
    s.finish(120)


@pytest.mark.parametrize("hard", [False, True], ids=["shutdown", "kill"])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
def test_upstream_restart(scenario, flavor, hard, gtid):
    s = scenario.make((flavor, flavor), tables=TABLES, transactions=0, gtid=gtid)
    begin(s)
    s.work.run(25)
    s.shards[0].server.restart(hard=hard)
    s.work.run(25)
    s.finish(120)


def test_deadlocks_and_lock_waits_made_by_others(scenario):
    """Another session of the downstream locks target rows; the program waits, tries again, and loses nothing."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"}, flavors=("mariadb",))
    s.shard_run(1, "INSERT INTO {s}.t VALUES " + ",".join(f"({i}, 0)" for i in range(50)))
    s.start()
    s.runner.wait_caught_up()
    stop = threading.Event()

    def locker():
        n = 0
        while not stop.is_set():
            conn = s.downstream.connect(autocommit=False)
            try:
                with conn.cursor() as cur:
                    n += 1
                    cur.execute(f"SELECT * FROM `{s.target}`.t WHERE id = {(n * 7) % 50} FOR UPDATE")
                    time.sleep(0.05)
                    cur.execute(f"SELECT * FROM `{s.target}`.t WHERE id = {(n * 3) % 50} FOR UPDATE")
                conn.rollback()
            except Exception:
                pass  # the deadlock's victim was this session
            finally:
                conn.close()

    thread = threading.Thread(target=locker, daemon=True)
    thread.start()
    try:
        for n in range(60):
            a, b = (n * 3) % 50, (n * 7) % 50
            s.shard_run(1, f"UPDATE {{s}}.t SET v = v + 1 WHERE id IN ({a}, {b})")
    finally:
        time.sleep(1)
        stop.set()
        thread.join()
    s.runner.wait_caught_up(60)
    assert s.rows("t") == list(s.shards[0].server.query(f"SELECT * FROM `{s.shards[0].schema}`.t ORDER BY 1"))


@pytest.mark.parametrize("errno,sqlstate,text", [
    (1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"),
    (1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"),
    (9007, "HY000", "Write conflict, txnStartTS=1, conflictStartTS=2, key={} [try again later]"),
    (8028, "HY000", "Information schema is changed during the execution of the statement [try again later]"),
    (9002, "HY000", "TiKV server timeout"),
])
def test_errors_to_try_again(scenario, errno, sqlstate, text):
    s, proxy = with_downstream_proxy(scenario)
    begin(s)
    at_row = proxy.error(r"^(INSERT|UPDATE|DELETE)\b.*_merged", errno, sqlstate, text, nth=5, times=2, rollback=True)
    at_commit = proxy.error("COMMIT", errno, sqlstate, text, nth=6, times=2)
    work_until_met(s, at_commit)
    at_row.wait(1)


def test_an_unknown_error_stops(scenario):
    """Never tried again in silence: the source stops and says the server's number."""
    s, proxy = with_downstream_proxy(scenario, flavors=("mariadb",), tables=("kv",))
    proxy.error(r"^INSERT\b.*_merged", 3999, "HY000", "something nobody has seen", times=0)
    s.start()
    s.work.run(10)
    error = s.runner.wait_error("s1", "DB_SERVER")
    assert "3999" in error["message"], error


def test_size_limits_of_the_downstream(scenario):
    """TiDB's 8004 for a batch: smaller batches are tried; nothing is lost."""
    s, proxy = with_downstream_proxy(scenario, tables=("kv",), big_transactions=1, big_transaction_rows=2000)
    proxy.limit(bytes_per_transaction=256 * 1024)
    s.task["syncers"]["global"]["batch"] = 5000
    s.task["split-transaction-rows"] = 500
    s.save()
    s.work.run(60)
    s.start()
    s.finish(120)
