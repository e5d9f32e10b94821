"""The copy as people see it: status, log lines, and the throttles of the command line."""
from __future__ import annotations

import json

ROWS = 3000  # per shard


def make(scenario, **load):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v VARCHAR(100))", "words": "(w VARCHAR(20) PRIMARY KEY)"},
                            task={"task-mode": "all", "load": {"readers": 2, "chunk-rows": 100, **load}})
    for shard in s.shards:
        rows = ", ".join(f"({shard.number * 100000 + i}, REPEAT('x', 50))" for i in range(ROWS))
        shard.server.run(f"INSERT INTO {shard.schema}.t VALUES {rows}", f"INSERT INTO {shard.schema}.words VALUES ('w{shard.number}')")
        shard.server.query(f"ANALYZE TABLE {shard.schema}.t, {shard.schema}.words")
    return s


def some_rows(status: dict) -> bool:
    load = status.get("load") or {}
    return load.get("state") == "loading" and 300 <= load["rows"] < 2 * ROWS


def test_a_throttled_copy_is_shown_and_goes_on_without_the_throttle(scenario):
    s = make(scenario)
    s.start(extra=("--rows-per-second", "150"))
    status = s.runner.wait_for("some chunks", lambda x: some_rows(x) and {r["source"] for r in x["load"]["readers"]} == {"s1", "s2"})
    load = status["load"]
    assert status["state"] == "loading" and not status["caught_up"], status["state"]
    assert 0 < load["percent"] < 100 and load["rows_estimated"] >= load["rows"] and load["bytes"] > 0, load
    assert {t["phase"] for t in load["tables"]} <= {"waiting", "copying", "unit", "following"}
    assert {(t["source"], t["table"]) for t in load["tables"]} == {(f"s{i}", t) for i in (1, 2) for t in ("t", "words")}
    assert all(t["target_schema"] == s.target and t["target_table"] == t["table"] for t in load["tables"])
    assert {r["source"] for r in load["readers"]} == {"s1", "s2"} and len(load["readers"]) == 4
    text = s.runner.verb("status").stdout
    assert "\nCOPY  " in text and "rows/s" in text and "4 tables: " in text and "READERS  s1: " in text, text
    assert "s1:" in text and ".t  " in text and f"{s.target}.t" in text, text
    s.runner.stop()

    kept = s.runner.verb("status").stdout  # nobody runs: how far it was
    assert "COPY  stopped at " in kept and " of 4 tables are copied" in kept and "rows/s" not in kept, kept
    assert s.runner.status()["load"]["state"] == "stopped"
    s.start()
    status = s.finish()
    assert status["load"]["state"] == "done" and status["load"]["rows"] == 2 * ROWS + 2, status["load"]
    assert s.rows("t", "COUNT(*), MIN(id), MAX(id)") == [(2 * ROWS, 100000, 200000 + ROWS - 1)]


def test_a_finished_copy_is_one_line_and_the_throttle_of_the_file_counts(scenario):
    s = make(scenario, **{"rows-per-second": 150})
    s.start(extra=("--log-format", "json"))
    s.runner.wait_for("some chunks", some_rows, 30)
    s.runner.wait_for("the log to tell", lambda _: "load.progress" in s.runner.log(), 30)
    line = next(x for x in map(json.loads, s.runner.log().splitlines()) if x["event"] == "load.progress")
    assert line["rows"] >= 0 and line["rows_estimated"] >= line["rows"] and "eta_s" in line, line
    status = s.runner.wait_caught_up(60)
    text = s.runner.verb("status").stdout
    assert f"\nCOPY  done  {2 * ROWS + 2:,} rows, " in text and "READERS" not in text, text
    assert status["load"]["state"] == "done"
    s.runner.stop()


def test_no_chunk_is_begun_behind_max_lag(scenario):
    """The downstream is locked, and the queues are short: the stream cannot go on reading, and the copy waits for it."""
    s = make(scenario, **{"rows-per-second": 100})
    s.task["syncers"]["global"].update({"queue-size": 4, "batch": 5})
    s.save()
    s.start(extra=("--max-lag", "2s"))
    s.runner.wait_for("some chunks", some_rows, 30)
    conn = s.downstream.connect()
    with conn.cursor() as cur:
        cur.execute(f"LOCK TABLES {s.target}.t READ")
        s.shard_run(1, *(f"INSERT INTO {{s}}.t VALUES ({i}, 'late')" for i in range(1, 301)))
        held = s.runner.wait_for("the copy to be held back",
                                 lambda x: any(r["state"] == "held back by max-lag" for r in x["load"]["readers"]), 40)
        assert held["load"]["state"] == "loading"
        cur.execute("UNLOCK TABLES")
    conn.close()
    s.runner.stop()
    s.start(extra=("--rows-per-second", "0"))
    s.finish()
    assert s.rows("t", "COUNT(*)") == [(2 * ROWS + 300,)]
