"""XA transactions: rows wait at PREPARE for their end, over kills of the program and of the server."""
import random
import time
from pathlib import Path

import pytest

ROW = {"t": "(id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(40))"}


def union(s):
    return sorted(row for shard in s.shards for row in shard.server.query(f"SELECT * FROM `{shard.schema}`.t"))


def prepare(s, number, xid, *statements):
    """A session that prepares xid and goes."""
    shard = s.shards[number - 1]
    conn = shard.server.connect()
    with conn.cursor() as cur:
        cur.execute(f"XA START '{xid}'")
        for statement in statements:
            cur.execute(statement.replace("{s}", f"`{shard.schema}`"))
        cur.execute(f"XA END '{xid}'")
        cur.execute(f"XA PREPARE '{xid}'")
    shard.server.close_and_wait(conn)


def end(s, number, verb, xid):
    """From another session; the server may still be taking leave of the one that prepared."""
    for _ in range(100):
        try:
            s.shards[number - 1].server.run(f"XA {verb} '{xid}'")
            return
        except Exception as e:
            last = e
            time.sleep(0.05)
    raise last


def files(s):
    return list(Path(s.task["state-dir"]).glob("*.xa"))


def settle(s):
    """Files go when the floor has passed the end of their transactions and another XA event comes, or at a start."""
    for _ in range(3):  # a stop may come before the last floor is written: then some are read, and kept, once more
        s.runner.stop()
        s.start()
        s.runner.wait_caught_up()
        if not files(s):
            return
    raise AssertionError(files(s))


FLAVORS = ["mysql", "mariadb", "mariadb11"]


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("flavor", FLAVORS)
def test_killed_between_prepare_and_end(scenario, flavor, gtid):
    s = scenario.make_plain(ROW, (flavor, flavor), gtid=gtid)
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'before')")
    a, b = f"{s.unique}a", f"{s.unique}b"
    prepare(s, 1, a, "INSERT INTO {s}.t VALUES (2, 'commit'), (3, 'commit')", "UPDATE {s}.t SET v = 'changed' WHERE id = 1")
    prepare(s, 2, b, "INSERT INTO {s}.t VALUES (20, 'roll back')")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, "before")], "rows that are only prepared were applied"
    assert len(files(s)) == 2
    s.runner.kill9()
    s.shards[0].server.restart(hard=True)
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (4, 'between')")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, "before"), (4, "between")]
    s.runner.kill9()
    for shard in s.shards:  # the files with the PREPAREs go: only what the program has kept knows their rows
        shard.server.flush_binlog()
        if gtid:
            shard.server.run(f"PURGE BINARY LOGS TO '{shard.server.binlog_position()[0]}'")
    end(s, 1, "COMMIT", a)
    end(s, 2, "ROLLBACK", b)
    s.start()
    s.runner.wait_caught_up()
    assert s.rows("t") == union(s) == [(1, "changed"), (2, "commit"), (3, "commit"), (4, "between")]
    counters = [x["counters"] for x in s.runner.status()["sources"]]
    assert [c["read"] for c in counters] == [5, 0], "each row counts once, at its COMMIT"
    settle(s)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_the_ways_to_end(scenario, flavor):
    s = scenario.make_plain(ROW, (flavor,))
    s.start()
    x = s.unique
    s.shard_run(1, f"XA START '{x}', 'branch', 7", "INSERT INTO {s}.t VALUES (1, 'one phase')", f"XA END '{x}', 'branch', 7", f"XA COMMIT '{x}', 'branch', 7 ONE PHASE",
                f"XA START '{x}'", "INSERT INTO {s}.t VALUES (2, 'never prepared')", f"XA END '{x}'", f"XA ROLLBACK '{x}'",
                f"XA START '{x}'", "INSERT INTO {s}.t VALUES (3, 'first')", "SAVEPOINT a", "INSERT INTO {s}.t VALUES (4, 'gone')", "ROLLBACK TO a",
                f"XA END '{x}'", f"XA PREPARE '{x}'", f"XA COMMIT '{x}'",
                f"XA START '{x}'", "UPDATE {s}.t SET v = 'again' WHERE id = 3", f"XA END '{x}'", f"XA PREPARE '{x}'", f"XA ROLLBACK '{x}'",
                f"XA START '{x}'", f"XA END '{x}'", f"XA PREPARE '{x}'", f"XA COMMIT '{x}'")
    s.runner.wait_caught_up()
    assert s.rows("t") == union(s) == [(1, "one phase"), (3, "first")]
    settle(s)


def test_prepared_before_the_start_stops(scenario):
    s = scenario.make_plain(ROW, ("mysql",))
    prepare(s, 1, s.unique, "INSERT INTO {s}.t VALUES (1, 'x')")
    s.write_task({"t": "t"})
    s.start()
    end(s, 1, "COMMIT", s.unique)
    error = s.runner.wait_error("s1", "SOURCE_XA")
    assert s.unique.encode().hex() in error["message"] and "PREPARE" in error["remedy"], error


@pytest.mark.parametrize("point", ["xa.before_sync", "xa.after_rename", "xa.before_remove", "assemble.before_deliver", "apply.after_commit"])
@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_kills_in_an_xa_workload(scenario, flavor, point):
    """Transactions that overlap, with xids used again; killed at the point again and again."""
    s = scenario.make_plain(ROW, (flavor, flavor), server_options={"binlog_transaction_compression": "ON"} if flavor == "mysql" else {},
                            task={"split-transaction-rows": 20, "syncers": {"global": {"worker-count": 3, "batch": 10, "checkpoint-flush-interval": 1}}})
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print(f"seed {seed}")
    open_xids = {1: {}, 2: {}}
    next_id = [0]

    def step():
        n = chance.choice((1, 2))
        mine = open_xids[n]
        if mine and (len(mine) > 5 or chance.random() < 0.5):
            xid = chance.choice(sorted(mine))
            del mine[xid]
            end(s, n, chance.choice(("COMMIT", "COMMIT", "ROLLBACK")), xid)
            return
        free = [x for x in (f"{s.unique}-{i}" for i in range(8)) if x not in mine]
        xid, rows = chance.choice(free), chance.choice((1, 3, 60))
        first = next_id[0]
        next_id[0] += rows
        prepare(s, n, xid, "INSERT INTO {s}.t VALUES " + ", ".join(f"({2 * (first + i) + n - 1}, '{xid}')" for i in range(rows)))
        mine[xid] = True

    for _ in range(3):
        s.start(f"{point}=kill@{chance.randrange(1, 8)}")
        for _ in range(25):
            step()
        try:
            s.runner.wait_exit(5)
        except AssertionError:
            s.runner.kill9()
    s.start()
    for n in (1, 2):
        for xid in sorted(open_xids[n]):
            end(s, n, "COMMIT", xid)
    s.runner.wait_caught_up(60)
    assert s.rows("t") == union(s)
    total = sum(x["counters"]["read"] for x in s.runner.status()["sources"])
    assert total == len(union(s)), "every row of a committed transaction counts once"
    settle(s)
