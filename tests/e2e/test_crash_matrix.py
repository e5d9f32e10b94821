"""kill -9 at every fault point, restart, and the merged table is what it would have been without.

Which passage of a point is hit comes from the printed seed."""
import os
import random
import time

import pytest

from harness.sm import FAULT_POINTS

ROUNDS = int(os.environ.get("SHARDMERGE_ROUNDS", "1"))
SMALL = {"split-transaction-rows": 300, "spill-bytes": "64KiB",
         "syncers": {"global": {"worker-count": 3, "batch": 50, "checkpoint-flush-interval": 1}}}
TABLES = ("kv", "uniq", "nokey", "strkey")
EARLY = {"source.start": 1, "source.connect": 1, "start.after_epoch": 1, "scout.event": 1, "start.definitions": 1, "start.final": 1, "store.checkpoint": 2, "floor.before_commit": 2, "floor.after_commit": 2, "spill.write": 1}


def prepare(scenario, flavors=("mariadb", "mysql"), downstream="mariadb", seed=None, **kw):
    return scenario.make(flavors, downstream, seed=seed, tables=TABLES, transactions=0, big_transaction_rows=1500, task=SMALL, **kw)


@pytest.mark.parametrize("round_no", range(ROUNDS))
@pytest.mark.parametrize("point", [p for p in FAULT_POINTS if not p.startswith(("apply.prepare", "ddl.", "decision.", "eject.", "load.", "loss.", "parked.", "recopy.", "remap.", "xa."))])
def test_kill_and_restart(scenario, point, round_no):
    s = prepare(scenario)
    passage = EARLY.get(point) or random.Random(s.work.seed + point).randrange(1, 40)
    print(f"{point}=kill@{passage}")
    s.work.run(40)
    s.start(f"{point}=kill@{passage}")
    s.work.options.pause_s = 0.003
    s.work.start()  # until it has died: the passage comes for certain
    status = wait_end(s, 90)
    assert status == -9, f"{point} was not passed {passage} times: exit status {status}\n{s.runner.log_tail()}"
    s.start()
    s.work.stop()
    s.finish(120)


@pytest.mark.parametrize("point", ["apply.after_rows", "apply.before_commit", "apply.after_commit", "apply.before_ack", "floor.after_commit"])
def test_kill_again_and_again(scenario, point):
    """Four kills of one task before it may finish."""
    s = prepare(scenario)
    s.work.run(60)
    s.work.options.pause_s = 0.003
    chance = random.Random(s.work.seed)
    for _ in range(4):
        s.start(f"{point}=kill@{chance.randrange(1, 3 if point.startswith('floor.') else 6)}")  # a floor comes once a second
        s.work.start()  # until it has died: the passage comes for certain
        status = wait_end(s, 90)
        s.work.stop()
        assert status == -9, f"{point} was not passed: exit status {status}\n{s.runner.log_tail()}"
    s.start()
    s.finish(120)


@pytest.mark.parametrize("point", ["source.connect", "source.read", "spill.write", "apply.begin", "apply.after_rows", "apply.before_commit",
                                   "apply.after_commit", "floor.before_commit", "floor.after_commit"])
def test_error_at_the_point(scenario, point):
    """The point fails as the real thing would; the program mends itself, or stops with a class that says who must act
    and then goes on after a restart."""
    s = prepare(scenario)
    s.work.run(40)
    s.start(f"{point}=error@{EARLY.get(point, 5)}")
    s.work.run(20)
    try:
        s.runner.wait_caught_up(90)
    except AssertionError:
        state = s.runner.status()
        assert any(x["error"] for x in state["sources"]) or not s.runner.running, f"hangs without an error: {state}"
        s.runner.kill9()
        s.start()
    s.finish(120)


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_killed_at_random_moments(scenario, downstream):
    s = prepare(scenario, downstream=downstream)
    s.work.options.pause_s = 0.01
    s.work.start()
    chance = random.Random(s.work.seed)
    for _ in range(5):
        s.start()
        time.sleep(chance.uniform(0.15, 1.5))
        s.runner.kill9()
    s.work.stop()
    s.start()
    s.finish(120)


@pytest.mark.parametrize("point", ["eject.begin", "eject.acked"])
def test_kill_during_an_eject(scenario, point):
    """A collision ejects its source; the program dies in the middle of it. After the other shard gave up the key, all is well."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)")
    s.start()
    s.runner.wait_caught_up()
    s.runner.stop()
    s.start(f"{point}=kill")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (100, 1)", "INSERT INTO {s}.t VALUES (1, 99)")
    s.shard_run(1, "UPDATE {s}.t SET v = v + 10")
    assert wait_end(s, 90) == -9, f"{point} was not reached by a collision\n{s.runner.log_tail()}"
    s.start()
    s.runner.wait_error("s2", "APPLY_COLLISION")
    assert dict(s.rows("t"))[1] in (1, 11), "the row of the first shard was overwritten"
    if not s.runner.running:
        s.start()
    s.shard_run(1, "DELETE FROM {s}.t WHERE id = 1")
    s.runner.wait_for("the first shard's DELETE", lambda _: 1 not in dict(s.rows("t")))
    s.runner.verb("resume", "--source", "s2")
    s.runner.wait_caught_up(60)
    assert list(s.rows("t")) == [(1, 99), (2, 12), (100, 1)]


def wait_end(s, timeout):
    """Exit status, or None when it still runs after the time-out."""
    try:
        return s.runner.wait_exit(timeout)
    except AssertionError:
        return None
