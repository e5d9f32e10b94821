"""The journal of changes of targets: whatever it has forgotten, mixed up or half told is run twice, or not at all."""
from harness.proxy import Proxy
from test_conflicts_ddl import KEYS, check, make, parked, settle, start, target

PLAIN = "(id BIGINT PRIMARY KEY, a INT, b INT)"
OTHERS = 1000


def wait_filled(s):
    for n in (1, 2):
        s.shard_run(n, *(f"INSERT INTO {{s}}.{t} VALUES ({n}, {n}0, {n}00)" for t in s.tables))
    s.runner.wait_caught_up(60)


def plain(scenario, tables=("t",)):
    s = scenario.make_plain({t: PLAIN for t in tables}, task={"shard-mode": "pessimistic"})
    s.tables = tables
    return s


def check_rows(s):
    for t in s.tables:
        want = sorted(r for shard in s.shards for r in shard.server.query(f"SELECT id, a, b FROM `{shard.schema}`.{t}"))
        assert sorted(s.downstream.query(f"SELECT id, a, b FROM `{s.target}`.{t}")) == want


def test_a_job_nobody_was_told_of_does_not_run_twice(scenario):
    """Others have many rows in the journal, with higher numbers; the program dies between the journal's end of the job and the lock's."""
    s = plain(scenario)
    s.start(faults="ddl.altered=kill@1")
    wait_filled(s)
    rows = ",".join(f"('{s.unique}', {2**56 + n}, 0, 'x', 'y', 'z', 0, 'done', 1, 1, UTC_TIMESTAMP() - INTERVAL 30 DAY)" for n in range(OTHERS))
    s.downstream.run(f"INSERT INTO `{s.meta}`.sm_ddl (task, job, n, target_schema, target_table, statement, repeatable, state, attempts, epoch, planned) VALUES {rows}")
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t RENAME COLUMN a TO b, RENAME COLUMN b TO a")
    assert s.runner.wait_exit(60) == -9
    s.start()
    s.runner.wait_caught_up(60)
    check_rows(s)
    s.runner.stop()


def test_targets_whose_names_have_one_hash(scenario):
    scenario.target = "shop"  # the hash is of these very names
    s = plain(scenario, ("orders_1495", "orders_2167"))
    s.start()
    wait_filled(s)
    for n in (1, 2):
        s.shard_run(n, *(f"ALTER TABLE {{s}}.{t} ADD UNIQUE KEY k_a (a)" for t in s.tables))
    s.runner.wait_caught_up(60)
    for n in (1, 2):
        s.shard_run(n, *(f"ALTER TABLE {{s}}.{t} RENAME COLUMN a TO b, RENAME COLUMN b TO a" for t in s.tables))
    s.runner.wait_caught_up(60)
    check_rows(s)
    for t in s.tables:
        assert s.downstream.query(f"SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = '{t}' AND INDEX_NAME = 'k_a'") == [("b",)]
    jobs = s.downstream.query(f"SELECT target_table, COUNT(DISTINCT job), SUM(state = 'done') = COUNT(*) FROM `{s.meta}`.sm_ddl GROUP BY 1 ORDER BY 1")
    assert jobs == [(t, 2, 1) for t in s.tables]
    places = s.downstream.query(f"SELECT DISTINCT job >> 32 FROM `{s.meta}`.sm_ddl ORDER BY 1")
    assert len(places) == 2 and places[1][0] == places[0][0] + 1, "these names do not meet any more: find others"
    s.runner.stop()


def test_killed_while_rows_are_let_back(scenario):
    """A new key is refused once; the row that had left for it is back when the program dies. The start makes the key, and asks nobody."""
    s = make(scenario)
    proxy = Proxy(s.downstream.host, s.downstream.port).start()
    s.closers.append(proxy.stop)
    s.task["target-database"].update(host=proxy.host, port=proxy.port)
    s.save()
    start(s, faults="parked.rekey_in=kill@2")  # once when the row has left, once when it is back
    for n in (1, 2):
        settle(s, n, f"INSERT INTO {{s}}.t (id, u, v, w) VALUES ({n}, 'u{n}', {n}, 'x')")
    rows = target(s)
    proxy.error(r"^/\* shardmerge .*ADD UNIQUE", 1062, "23000", "Duplicate entry 'x' for key 'k_w'")
    for n in (1, 2):
        s.shard_run(n, "ALTER TABLE {s}.t ADD UNIQUE KEY k_w (w)")
    assert s.runner.wait_exit(60) == -9
    assert target(s) == rows and not parked(s), "it was not killed where it should have been"
    start(s)
    check(s, [*KEYS, ("w",)])
    assert len(parked(s)) == 1
    s.runner.stop()
