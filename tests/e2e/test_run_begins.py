"""A stream whose run fails while it is being begun."""
T = {"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT)"}


def make(scenario, **task):
    s = scenario.make_plain(T, flavors=("mariadb",), task={"task-mode": "all", "load": {"readers": 1}, **task})
    del s.instance(1)["meta"]
    s.save()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)")
    return s


def test_the_copy_fails_before_the_binlog_is_read(scenario):
    """What ends the run came too early for the other thread to see: nothing else is written that would wake it."""
    s = make(scenario, **{"retry-max": 1})
    s.start("load.connect=error@*;source.start=delay:4000@1")
    s.runner.wait_for("the run to end", lambda _: "SOURCE_SETTING" in s.runner.log() and s.runner.source("s1")["state"] == "paused-by-error", 20)
    assert s.runner.verb("pause", "--source", "s1").returncode == 0
    s.runner.stop()
    s.start()
    s.runner.wait_for("the state", lambda st: st["running"] and st["sources"] and st["sources"][0]["state"] == "paused-by-user")
    s.runner.resume("s1")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 1), (2, 2)]
    s.runner.stop()


def test_rows_are_on_their_way(scenario):
    """The binlog cannot be read, and a chunk waits for a lock in the target: a resume waits for it."""
    s = make(scenario)
    blocker = s.downstream.connect(database=s.target, autocommit=False)
    s.closers.append(blocker.close)
    with blocker.cursor() as c:
        c.execute("INSERT INTO t VALUES (2, 99)")
    s.start("source.start=delay:3000@1;source.start=error@1")
    s.runner.wait_for("the failure", lambda _: "no thread could be started" in s.runner.log(), 30)
    s.runner.resume("s1")
    blocker.rollback()
    s.runner.wait_error("s1", "IO")
    s.runner.resume("s1")
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 1), (2, 2)]
    s.runner.stop()
