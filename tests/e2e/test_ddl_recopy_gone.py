"""A shard's table is to be copied again, and goes before its rows have left the merged table: they stay, for they are all that there is of it."""
import pytest
from test_ddl_policies import IDS, MIXES, caught_up, locks
from test_ddl_recopy import change, columns, copy_all, make, merged, recopy, run
from test_ddl_refill import lock_is_gone, rows, union

GONE = {"renamed": "RENAME TABLE {s}.t TO {s}.gone_2", "dropped": "DROP TABLE {s}.t"}


def until_said(s, words):
    s.runner.wait_for(words, lambda st: any(t["lock"] and words in str(t["lock"]) for t in st["targets"]), 60)


def decided_and_gone(s, how):
    """The target cannot change, so that the decision waits, until the shard's table has gone."""
    copy_all(s)
    change(s, "converted")
    caught_up_rows = rows(s, "id, v, w, d")
    with s.downstream.connect(database=s.target) as conn, conn.cursor() as c:
        c.execute("LOCK TABLES t READ")
        assert recopy(s, 2, "--yes").returncode == 0
        s.runner.wait_for("the target to be about to change", lambda _: "target.changes" in s.runner.log())
        s.shard_run(2, GONE[how])
        s.runner.wait_for("the statement to be read", lambda _: s.runner.log().count("schema.changed") >= 4)
        c.execute("UNLOCK TABLES")
    until_said(s, "it was to be copied again, and is gone")
    assert [r for r in rows(s, "id, v, w, d") if r[-1] == "s2"] == [r for r in caught_up_rows if r[-1] == "s2"]


@pytest.mark.parametrize("how,flavors,downstream", [("renamed", *MIXES[0]), ("renamed", *MIXES[1]), ("dropped", *MIXES[0])])
def test_it_goes_while_the_target_changes(scenario, how, flavors, downstream):
    s = make(scenario, flavors, downstream)
    decided_and_gone(s, how)
    s.runner.kill9()
    s.start()
    until_said(s, "it was to be copied again, and is gone")
    stay = [r for r in rows(s, "id, v, w, d") if r[-1] == "s2"]
    locks(s, "--decide", "detach", "--source", "s2", "--table", f"{s.shards[1].schema}.t", "--target", f"{s.target}.t", "--yes")
    s.shard_run(1, "UPDATE {s}.t SET v = 7 WHERE v = 8")
    caught_up(s)
    lock_is_gone(s)
    own = [(*r, "s1") for r in s.shards[0].server.query(f"SELECT id, v, w, d FROM `{s.shards[0].schema}`.t")]
    assert rows(s, "id, v, w, d") == sorted(own + stay, key=repr)
    s.runner.stop()


def test_it_comes_back(scenario):
    """Under its name, with rows that changed meanwhile: it is copied then."""
    s = make(scenario)
    decided_and_gone(s, "renamed")
    s.shard_run(2, "UPDATE {s}.gone_2 SET v = 5 WHERE v = 6", "RENAME TABLE {s}.gone_2 TO {s}.t", "INSERT INTO {s}.t (id, v) VALUES (77000077, 7)")
    s.runner.wait_for("its rows to go", lambda _: "rows.cleared" in s.runner.log(), 60)
    until_said(s, "skip or release it")
    locks(s, "--decide", "skip", "--source", "s2", "--target", f"{s.target}.t", "--yes")
    for w in s.writers:
        w.end.set()
    merged(s, columns("converted"))
    lock_is_gone(s)
    s.runner.stop()
