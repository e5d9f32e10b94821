"""Random workloads over all table kinds. The seed is printed; SHARDMERGE_SEED repeats one, SHARDMERGE_ROUNDS runs more."""
import os

import pytest

ROUNDS = int(os.environ.get("SHARDMERGE_ROUNDS", "1"))
SEED = os.environ.get("SHARDMERGE_SEED")
SETS = [
    (("mariadb", "mariadb"), "mariadb"),
    (("mysql", "mysql"), "mysql"),
    (("mariadb", "mysql", "mariadb"), "mariadb"),
]


@pytest.mark.parametrize("round_no", range(ROUNDS))
@pytest.mark.parametrize("flavors,downstream", SETS, ids=["-".join(f) + "-to-" + d for f, d in SETS])
def test_everything_at_once(scenario, flavors, downstream, round_no):
    """All tables, big rows, a big transaction split in pieces and spilled, keyless tables, swaps, moves, savepoints."""
    seed = f"{SEED}" if SEED else None
    s = scenario.make(flavors, downstream, seed=seed, transactions=0, big_transaction_rows=3000,
                      task={"split-transaction-rows": 1000, "spill-bytes": "64KiB"})
    s.work.run(100)
    s.start()
    s.work.run(80)
    s.finish(180)


@pytest.mark.parametrize("workers,batch", [(1, 1), (8, 5), (2, 5000)])
def test_any_number_of_appliers(scenario, workers, batch):
    s = scenario.make(seed=SEED, tables=("kv", "uniq", "strkey", "nokey", "comp"), transactions=100,
                      task={"syncers": {"global": {"worker-count": workers, "batch": batch, "checkpoint-flush-interval": 1}}})
    s.start()
    s.work.run()
    s.finish(120)


def test_the_number_of_appliers_may_change(scenario):
    """Killed with 6 appliers, resumed with 1, then with 3."""
    s = scenario.make(seed=SEED, tables=("kv", "uniq", "nokey"), transactions=0)
    for workers in (6, 1, 3):
        s.task["syncers"]["global"]["worker-count"] = workers
        s.save()
        s.start()
        s.work.run(30)
        s.runner.kill9()
    s.start()
    s.finish(120)


def test_hot_rows(scenario):
    """Few rows, changed again and again by both tables of a shard: order per key must hold across appliers."""
    s = scenario.make_plain({"hot": "(id BIGINT PRIMARY KEY, n BIGINT, u BIGINT, UNIQUE KEY k_u (u))"},
                            task={"syncers": {"global": {"worker-count": 8, "batch": 20, "checkpoint-flush-interval": 1}}})
    s.start()
    for number in (1, 2):
        base = number * 1000
        s.shard_run(number, *(f"INSERT INTO {{s}}.hot VALUES ({base + i}, 0, {base + i})" for i in range(5)))
    for i in range(150):
        for number in (1, 2):
            base = number * 1000
            s.shard_run(number, f"UPDATE {{s}}.hot SET n = n + 1 WHERE id = {base + i % 5}",
                        f"UPDATE {{s}}.hot SET u = u + 100000 WHERE id = {base + i % 3}")
    s.runner.wait_caught_up(60)
    expected = sorted(r for x in s.shards for r in x.server.query(f"SELECT * FROM `{x.schema}`.hot"))
    assert list(s.rows("hot")) == expected
    s.runner.stop()
