"""A change of a target that parks losers, made by half: what may be decided then, and tables beside it that somebody has taken away."""
import json
import time

import pytest
from harness.sm import has_code
from test_conflicts_ddl import DDL, FIRST, KEYS, MODES, TARGET, beside, check, columns_of, decide, listed, lock_of, make, parked, settle, start, target, three, wait_asked

NARROW = "ALTER TABLE {s}.t MODIFY COLUMN w VARCHAR(3) NULL"


def half_made(scenario, mode="pessimistic"):
    """The target has changed; a parked row does not fit, so what stands beside it has not."""
    s = make(scenario, mode)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET w = 'far too long' WHERE w = 'x'")
    for number in (1, 2):
        s.shard_run(number, NARROW)
    assert beside(s) in wait_asked(s)
    return s


def choose(s, *words):
    done = s.runner.verb("locks", "--decide", *words, "--yes")
    return done.returncode, done.stdout + done.stderr


def choose_in_time(s, *words):
    """While the target is being changed nothing is decided."""
    end = time.monotonic() + 60
    while "is being changed" in (said := choose(s, *words))[1] and time.monotonic() < end:
        time.sleep(0.1)
    assert said[0] == 0, said


def fit(s):
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET w = 'x' WHERE w = 'far too long'")


@pytest.mark.parametrize("restart", [False, True])
def test_only_what_ends_it_may_be_decided(scenario, restart):
    s = half_made(scenario)
    if restart:
        s.runner.kill9()
        s.start()
        wait_asked(s)
    before = target(s), parked(s), lock_of(s)["members"]
    for words in (["skip", "--source", "s1"], ["recopy", "--source", "s1"], ["accept", "--source", "s2"], ["detach", "--source", "s2"],
                  ["replace", "--source", "s1", "--sql", "ALTER TABLE t ADD COLUMN q INT"]):
        code, said = choose(s, *words)
        assert code == 2 and "was made by half" in said and "decide retry" in said and beside(s) in said, said
    assert before == (target(s), parked(s), lock_of(s)["members"])
    fit(s)
    assert choose(s, "retry")[0] == 0
    check(s, KEYS)
    decide(s, "keep", listed(s)["rows"][0]["id"])
    s.runner.stop()


@pytest.mark.parametrize("mode", MODES)
def test_changed_back_by_hand_and_skipped(scenario, mode):
    """As the remedy says: the target is changed back, the task started again, the steps left out. Then everything goes on, and a later change is made."""
    s = half_made(scenario, mode)
    fit(s)
    s.downstream.run(f"ALTER TABLE `{s.target}`.t MODIFY COLUMN w VARCHAR(20) NULL")
    s.runner.stop()
    s.start()
    wait_asked(s)
    for number in (1, 2):
        choose_in_time(s, "skip", "--source", f"s{number}")
        s.shard_run(number, f"INSERT INTO {{s}}.t (id, u, w) VALUES (9, 'late', '{number}')")
    check(s, KEYS)
    assert "varchar(20)" in str(s.downstream.query(f"SHOW CREATE TABLE `{s.target}`.t"))
    s.runner.stop()
    start(s)
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7, DROP INDEX k_u", f"INSERT INTO {{s}}.t (id, w) VALUES (10, 'n{number}')")
    check(s, [("id",)])
    s.runner.stop()


def test_ended_by_hand_it_is_not_in_the_middle_any_more(scenario):
    """Taken as it is, the target is what it is: a later change may give a column the name of another."""
    s = half_made(scenario)
    fit(s)
    for table in (beside(s), beside(s).replace("sm_parked_", "sm_decided_")):
        s.downstream.run(f"ALTER TABLE `{s.meta}`.`{table}` MODIFY COLUMN w VARCHAR(3) NULL")
    choose_in_time(s, "give-up")
    check(s, KEYS)
    s.runner.stop()
    start(s)
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t DROP COLUMN v, ADD COLUMN v INT DEFAULT 5")
    check(s, KEYS)
    s.runner.stop()


def test_in_the_middle_until_it_is_ended_by_hand(scenario):
    """Jobs that follow it and do not begin change nothing of that, nor does a start; what an operator takes as it is does, for all that comes."""
    swap = "RENAME COLUMN v TO w, RENAME COLUMN w TO v"
    s = make(scenario, ddl=DDL.replace("v INT", "v VARCHAR(20)"), target=TARGET.replace("v INT", "v VARCHAR(20)"))
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET at = 99999 WHERE at = 6")
    for number in (1, 2):
        s.shard_run(number, f"ALTER TABLE {{s}}.t {swap}, MODIFY COLUMN at TINYINT NULL")
    assert beside(s) in wait_asked(s)
    s.downstream.run(f"UPDATE `{s.meta}`.`{beside(s)}` SET at = 6 WHERE at = 99999")
    for _ in range(2):
        choose_in_time(s, "retry")
        s.runner.wait_for("it asks again", lambda st: "was left in the middle" in json.dumps([t["lock"] for t in st["targets"]]), 60)
        s.runner.stop()
        s.start()
        wait_asked(s)
    for _, table in three(s)[1:]:
        s.downstream.run(f"ALTER TABLE `{s.meta}`.`{table}` {swap}, MODIFY COLUMN at TINYINT NULL")
    wait_asked(s)
    choose_in_time(s, "give-up")
    check(s, KEYS)
    for number in (1, 2):
        s.shard_run(number, f"ALTER TABLE {{s}}.t {swap}")
    check(s, KEYS)
    s.runner.stop()


@pytest.mark.parametrize("which", [1, 2])
def test_a_table_beside_it_is_taken_away_in_the_middle(scenario, which):
    s = make(scenario)
    start(s, faults="ddl.sent=kill@1")
    settle(s, 1, "INSERT INTO {s}.t (id, u) VALUES (1, 'a')")
    settle(s, 2, "INSERT INTO {s}.t (id, u) VALUES (2, 'b')")
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7, DROP INDEX k_u, ADD UNIQUE KEY k_w (w)")
    assert s.runner.wait_exit(60) == -9
    assert "n" in columns_of(s, s.target, "t")
    s.downstream.run(f"DROP TABLE `{s.meta}`.`{three(s)[which][1]}`")
    s.start()
    assert s.runner.wait_exit(60) == 2 and has_code(s.runner.log(), "STATE_BEHIND"), s.runner.log_tail()
    s.downstream.run(f"DELETE FROM `{s.meta}`.sm_parked")  # the operator goes on without it
    s.start()
    assert "leads elsewhere" in (said := wait_asked(s)) and "--decide release" in said, said
    choose_in_time(s, "release", "--source", "s1")
    check(s, [("id",), ("w",)])
    s.runner.stop()


@pytest.mark.parametrize("column", ["sm_id BIGINT UNSIGNED NOT NULL DEFAULT 0", "sm_side INT NULL", "SM_Pinned TINYINT(1) NOT NULL DEFAULT 0"])
def test_a_column_with_a_name_of_the_bookkeeping_asks(scenario, column):
    s = make(scenario)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    before = target(s), parked(s)
    for number in (1, 2):
        s.shard_run(number, f"ALTER TABLE {{s}}.t ADD COLUMN {column}")
    said = wait_asked(s)
    assert "bookkeeping" in said, said
    assert before == (target(s), parked(s))
    s.runner.stop()
