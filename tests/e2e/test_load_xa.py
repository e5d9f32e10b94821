"""A copy beside XA transactions: those that end while rows are read, and those that are prepared when it begins."""
import threading
import time

import pymysql
import pytest

from harness.oracle import assert_counters
from harness.proxy import Proxy
from harness.sm import error_codes

ROW = "(id BIGINT NOT NULL PRIMARY KEY, n INT NOT NULL)"
TEXT = "(k VARCHAR(40) NOT NULL PRIMARY KEY, n INT NOT NULL)"


def roll_back_all(s):
    """Left behind, they would hold the schemas' locks."""
    for shard in s.shards:
        for _, gtrid_len, _, data in shard.server.query("XA RECOVER"):
            data = data.decode("latin1") if isinstance(data, bytes) else data
            if data[:gtrid_len].startswith(s.unique):
                shard.server.run(f"XA ROLLBACK '{data[:gtrid_len]}'")


class XaWriters:
    """XA transactions that change a row of every table, each committed by another connection: on MariaDB such a COMMIT stands
    in the binlog some time before its rows can be seen."""

    def __init__(self, s, tables, threads=2):
        self.s, self.tables, self.end, self.errors, self.commits = s, tables, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(threads)]

    def write(self, lane):
        shard = self.s.shards[lane % len(self.s.shards)]
        try:
            committer, n = shard.server.connect(), 0
            while not self.end.is_set():
                n += 1
                self.one(shard, committer, f"{self.s.unique}-{lane}-{n % 50}", lane, n)
        except Exception as e:
            self.errors.append(e)

    def one(self, shard, committer, xid, lane, n):
        conn = shard.server.connect(database=shard.schema)
        with conn.cursor() as cur:
            cur.execute(f"XA START '{xid}'")
            for i, table in enumerate(self.tables):
                row = "id = %s", (i * 1000 + lane,)
                if table.startswith("txt"):
                    row = "k = %s", (f"{i}-{lane}",)
                cur.execute(f"UPDATE {table} SET n = n + 1 WHERE {row[0]}", row[1])
            cur.execute(f"XA END '{xid}'")
            cur.execute(f"XA PREPARE '{xid}'")
        shard.server.close_and_wait(conn, committer)
        time.sleep(0.02)  # prepared for a while
        verb = "COMMIT" if n % 10 else "ROLLBACK"
        for _ in range(2000):
            try:
                with committer.cursor() as cur:
                    cur.execute(f"XA {verb} '{xid}'")
                self.commits += verb == "COMMIT"
                return
            except pymysql.err.MySQLError as e:  # the server has not let go of the connection that prepared it
                last = e
                time.sleep(0.001)
        raise last

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for t in self.threads:
            t.join()


def make(scenario, flavor, gtid=True, units=2):
    """Thirty tables with few rows, each a chunk of its own, and some that are read as units."""
    s = scenario.make_plain({}, (flavor,), gtid=gtid)
    tables = [f"t_{i}" for i in range(30)] + [f"txt_{i}" for i in range(units)]
    for i, table in enumerate(tables):
        text = table.startswith("txt")
        key = (lambda lane: f"'{i}-{lane}'") if text else (lambda lane: i * 1000 + lane)
        s.shard_run(1, f"CREATE TABLE {{s}}.{table} {TEXT if text else ROW}",
                    f"INSERT INTO {{s}}.{table} VALUES " + ", ".join(f"({key(lane)}, 0)" for lane in range(20)))
    s.downstream.run(f"CREATE TABLE `{s.target}`.t {ROW}", f"CREATE TABLE `{s.target}`.txt {TEXT}")
    s.write_task({"t": "t_*", "txt": "txt_*"}, gtid=gtid, extra={"task-mode": "all", "load": {"readers": 2}})
    s.closers.append(lambda: roll_back_all(s))
    return s, tables


def copied(status):
    return (status.get("load") or {}).get("state") == "done"


def check(s, tables):
    for target in ("t", "txt"):
        merged = set(s.rows(target))
        shards = {row for t in tables if t.startswith(target + "_") for row in s.shards[0].server.query(f"SELECT * FROM `{s.shards[0].schema}`.`{t}`")}
        assert merged == shards, f"{target}: lost {sorted(shards - merged)[:5]}, too many {sorted(merged - shards)[:5]}"


@pytest.mark.parametrize("flavor,gtid", [("mariadb", True), ("mariadb11", False), ("mysql", True), ("mysql", False)])
def test_xa_transactions_that_end_while_rows_are_read(scenario, flavor, gtid):
    s, tables = make(scenario, flavor, gtid)
    with XaWriters(s, tables) as writers:
        while writers.commits <= 10 and not writers.errors:  # they are at it when the copy begins
            time.sleep(0.01)
        s.start()
        s.runner.wait_for("the copy", copied, 120)
    assert not writers.errors and writers.commits > 10, (writers.errors, writers.commits)
    status = s.runner.wait_caught_up(60)
    check(s, tables)
    assert_counters(status)


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_prepared_when_the_copy_begins(scenario, flavor):
    """The copy waits, visibly, until the transaction has ended; then all its rows are there."""
    s, tables = make(scenario, flavor)
    shard, xid = s.shards[0], f"{s.unique}-open"
    conn = shard.server.connect(database=shard.schema)
    with conn.cursor() as cur:
        for statement in (f"XA START '{xid}'", "INSERT INTO t_0 VALUES (999, 7)", f"XA END '{xid}'", f"XA PREPARE '{xid}'"):
            cur.execute(statement)
    shard.server.close_and_wait(conn)
    s.start()
    name, _, _ = error_codes()["SOURCE_XA_OPEN"]
    waiting = s.runner.wait_for("the error", lambda status: any(name in str(x["error"]) for x in status["sources"]))
    error = waiting["sources"][0]["error"]
    assert xid.encode().hex() in error["message"] and "XA ROLLBACK" in error["remedy"], error
    assert s.rows("t") == []
    shard.server.run(f"XA COMMIT '{xid}'")
    s.runner.wait_for("the copy", copied, 60)
    s.runner.wait_caught_up(60)
    assert (999, 7) in s.rows("t")
    check(s, tables)


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_prepared_and_committed_between_two_looks(scenario, flavor):
    """Neither look at what is prepared sees it, and it stands before the start: the stream would meet its XA COMMIT."""
    s, tables = make(scenario, flavor)
    server, schema, xid = s.shards[0].server, s.shards[0].schema, f"{s.unique}-hole"

    def prepare():
        conn = server.connect(database=schema)
        with conn.cursor() as cur:
            for x in (f"XA START '{xid}'", "INSERT INTO t_0 VALUES (999, 7)", f"XA END '{xid}'", f"XA PREPARE '{xid}'"):
                cur.execute(x)
        server.close_and_wait(conn)

    done = []
    with Proxy(server.host, server.port) as proxy:
        s.source_config(1)["from"].update(host=proxy.host, port=proxy.port)
        s.save()

        def look():
            """Before the first XA RECOVER is forwarded; the next status is asked between the looks."""
            if not done:
                done.append(proxy.call(r"^SHOW (BINARY LOG|MASTER|BINLOG) STATUS", prepare))
            elif len(done) == 1 and done[0].fired.is_set():
                done.append(True)
                server.run(f"XA COMMIT '{xid}'")

        proxy.call(r"^XA RECOVER", look, times=0)
        s.start()
        s.runner.wait_for("the copy", copied, 60)
        s.runner.wait_caught_up(60)
        assert len(done) == 2
        check(s, tables)
        s.runner.stop()
