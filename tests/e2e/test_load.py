"""Existing rows first: the copy joined to the stream under writes. Merged = union, whatever is cut when."""
import threading

import pytest

TABLES = ("kv", "uniq", "strkey", "comp", "types", "nokey")
SMALL = {"chunk-rows": 9, "readers": 3}


def background(work, transactions):
    thread = threading.Thread(target=work.run, args=(transactions,))
    thread.start()
    return thread


def make(scenario, flavors, downstream="mariadb", gtid=True, load=None, **kw):
    task = {"task-mode": "all", "load": load or SMALL, **kw.pop("task", {})}
    kw.setdefault("tables", TABLES)
    return scenario.make(flavors, downstream, gtid=gtid, task=task, tables_per_shard=2, **kw)


@pytest.mark.parametrize("gtid", [True, False], ids=["gtid", "position"])
@pytest.mark.parametrize("flavors,downstream", [(("mariadb", "mariadb"), "mariadb"), (("mysql", "mysql"), "mysql"),
                                                (("mariadb", "mysql"), "mariadb")],
                         ids=["mariadb", "mysql", "mixed"])
def test_rows_that_are_there_and_rows_that_come(scenario, flavors, downstream, gtid):
    s = make(scenario, flavors, downstream, gtid, transactions=300)
    s.work.run(100)
    writer = background(s.work, 200)
    s.start()
    writer.join()
    status = s.finish(120)
    assert status["load"]["state"] == "done", status["load"]
    assert all(t["phase"] == "following" for t in status["load"]["tables"]), status["load"]["tables"]
    assert status["load"]["rows"] > 0, "nothing was copied"


def test_nothing_to_copy_and_nothing_comes(scenario):
    s = make(scenario, ("mariadb",), transactions=1)
    s.start()
    status = s.finish()
    assert status["load"]["state"] == "done"


def test_full_ends_by_itself(scenario):
    s = make(scenario, ("mariadb", "mysql"), transactions=60, task={"task-mode": "full"})
    s.work.run(60)
    s.start()
    assert s.runner.wait_exit(90) == 0, s.runner.log_tail()
    s.check_merged()
