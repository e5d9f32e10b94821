"""A table of parked rows, or of decisions about them, that is gone: a start does not make an empty one in its place as if nothing had been there."""
import re

import pytest
from harness.sm import has_code
from test_conflicts_resolve import beside, check_sound, make, parked, settle


def collide(s):
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    settle(s, 2, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'b', 20)")
    assert len(parked(s)) == 1


def refused(s, table):
    s.start()
    assert s.runner.wait_exit(60) == 2
    log = s.runner.log()
    assert has_code(log, "STATE_BEHIND") and f"{s.meta}.{table} is not there" in log, s.runner.log_tail()
    return re.findall(r"DELETE FROM [^;]*", log)[-1]


@pytest.mark.parametrize("lost", ["sm_parked_", "sm_decided_"])
def test_gone_with_what_stood_there(scenario, lost):
    s = make(scenario)
    collide(s)
    s.runner.stop()
    table = beside(s).replace("sm_parked_", lost)
    s.downstream.run(f"RENAME TABLE `{s.meta}`.`{table}` TO `{s.meta}`.kept")
    refused(s, table)
    s.downstream.run(f"RENAME TABLE `{s.meta}`.kept TO `{s.meta}`.`{table}`")
    s.start()
    s.runner.wait_caught_up()
    assert len(parked(s)) == 1, "restored, nothing is lost"
    settle(s, 1, "DELETE FROM {s}.t WHERE id = 1")
    check_sound(s)
    settle(s, 1, "INSERT INTO {s}.t (id, u, v) VALUES (1, 'a', 10)")
    s.runner.stop()
    s.downstream.run(f"DROP TABLE `{s.meta}`.`{table}`")
    refused(s, table)
    s.downstream.run(refused(s, table))
    s.start()
    s.runner.wait_caught_up()
    assert len(parked(s)) == (lost != "sm_parked_"), "the operator goes on without them"
    s.runner.stop()
    s.start()
    s.runner.wait_caught_up()
    s.runner.stop()


@pytest.mark.parametrize("half", [False, True])
def test_killed_before_they_are_on_record(scenario, half):
    """Also when only the first of the two was made by then."""
    s = make(scenario)
    s.runner.wait_caught_up()
    s.runner.stop()
    tables = (beside(s), beside(s).replace("sm_parked_", "sm_decided_"))
    s.downstream.run(f"DELETE FROM `{s.meta}`.sm_parked", *(f"DROP TABLE `{s.meta}`.`{t}`" for t in tables))
    s.start(faults="parked.made=kill@1")
    assert s.runner.wait_exit(60) == -9
    assert s.downstream.query(f"SELECT * FROM `{s.meta}`.sm_parked") == []
    if half:
        s.downstream.run(f"DROP TABLE `{s.meta}`.`{tables[1]}`")
    s.start()
    collide(s)
    check_sound(s)
    s.runner.stop()


@pytest.mark.parametrize("table", ["sm_parked", "sm_applied", "sm_ddl"])
def test_a_table_of_the_meta_schema(scenario, table):
    """The register of parked rows went with them; or what was written beyond the floor; or what has become of schema changes."""
    s = make(scenario)
    collide(s)
    s.runner.stop()
    s.downstream.run(f"RENAME TABLE `{s.meta}`.{table} TO `{s.meta}`.kept")
    s.start()
    assert s.runner.wait_exit(60) == 2
    log = s.runner.log()
    assert has_code(log, "STATE_BEHIND") and f"{s.meta}.{table} is not there" in log and "restore the meta schema" in log, s.runner.log_tail()
    s.downstream.run(f"RENAME TABLE `{s.meta}`.kept TO `{s.meta}`.{table}")
    s.start()
    s.runner.wait_caught_up()
    assert len(parked(s)) == 1
    check_sound(s)
    s.runner.stop()


def test_a_record_for_people_may_go(scenario):
    s = make(scenario)
    s.runner.wait_caught_up()
    s.runner.stop()
    s.downstream.run(f"DROP TABLE `{s.meta}`.sm_missed")
    s.start()
    s.runner.wait_caught_up()
    s.runner.stop()
    assert s.downstream.query(f"SELECT * FROM `{s.meta}`.sm_missed") == []
