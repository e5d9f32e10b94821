"""Key strategies while existing rows are copied and the stream runs: a row copied and a row streamed get the same key."""
import pytest

from harness.keys import SLOW_COPY, copied, copy_while_changing, fill, kill_while_copying, map_of

DDL = "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, parent INT NULL, name VARCHAR(20), KEY (parent))"
UNIQUE = DDL.replace(")", ") COLLATE utf8mb4_bin NOT NULL", 1).replace("KEY (parent)", "KEY (parent), UNIQUE KEY k_name (name)")
SELF = [{"column": "parent", "table": "t"}]
PROVENANCE = [{"column": "shard", "value": "${source}"}]
KEYS = {
    "stride": {"strategy": "stride", "shards": 16, "references": SELF},
    "partition-id": {"strategy": "partition-id", "instances": {"s1": 1, "s2": 2}, "references": SELF},
    "composite": {"strategy": "composite", "provenance": PROVENANCE},
    "plain-index": {"strategy": "plain-index", "provenance": PROVENANCE},
    "remap": {"strategy": "remap", "references": SELF},
}


def make(scenario, key, mode="all", ddl=DDL, chunk_rows=200, **kw):
    s = scenario.make_plain({"t": ddl}, targets=False, task={"task-mode": mode, "load": {"chunk-rows": chunk_rows}}, **kw)
    s.task["routes"]["r-t"]["key"] = key
    for instance in s.task["mysql-instances"]:
        instance.pop("meta", None)
    s.save()
    return s


def expected(s, strategy):
    """(shard, row as it is to be written); under remap, a row whose id has no other one yet gets None and is nowhere"""
    maps = map_of(s) if strategy == "remap" else {}
    new_id = {"stride": lambda n, i: i * 16 + n - 1, "partition-id": lambda n, i: n << 59 | i, "remap": lambda n, i: maps.get((f"s{n}", i))}.get(strategy, lambda n, i: i)
    return sorted(((f"s{shard.number}", new_id(shard.number, i), None if p is None else new_id(shard.number, p), v)
                   for shard in s.shards for i, p, v in shard.server.query(f"SELECT id, parent, name FROM `{shard.schema}`.t")), key=repr)


def merged(s, strategy, table=None):
    """The target's rows as expected() has them: where it has no shard, the row's own id says which."""
    table = table or f"`{s.target}`.t"
    if "shard" in [r[0] for r in s.downstream.query(f"SHOW COLUMNS FROM {table}")]:
        return sorted(s.downstream.query(f"SELECT shard, id, parent, name FROM {table}"), key=repr)
    by_map = {new: source for (source, _), new in map_of(s).items()}
    shard_of = {"stride": lambda i: f"s{i % 16 + 1}", "partition-id": lambda i: f"s{i >> 59}", "remap": lambda i: by_map[i]}[strategy]
    return sorted(((shard_of(i), i, p, v) for i, p, v in s.downstream.query(f"SELECT id, parent, name FROM {table}")), key=repr)


@pytest.mark.parametrize("flavors", [("mariadb", "mariadb"), ("mysql", "mysql")])
@pytest.mark.parametrize("strategy", [k for k in KEYS if k != "remap"])
@pytest.mark.parametrize("kill", [False, True])
def test_copy_and_stream_agree(scenario, strategy, flavors, kill):
    s = make(scenario, KEYS[strategy], flavors=flavors)
    copy_while_changing(s, kills=1 if kill else 0)
    assert merged(s, strategy) == expected(s, strategy)
    s.runner.stop()


@pytest.mark.parametrize("strategy,collision", [(k, c) for k in KEYS for c in ("ids", "park", "stop") if (k, c) != ("plain-index", "stop")])
def test_only_existing_rows(scenario, strategy, collision):
    """Copied and not followed, with a kill on the way: all ids collide, then some names, which no strategy for ids mends."""
    key = dict(KEYS[strategy])
    if strategy == "composite":
        key["global-keys"] = ["k_name"]
    if collision == "park":
        key.update({"on-collision": "conflict-table", "provenance": PROVENANCE})
    meet = collision != "ids" and strategy != "plain-index"
    s = make(scenario, key, mode="full", ddl=DDL if collision == "ids" else UNIQUE, chunk_rows=30)
    fill(s, 300, "n{i}-{n}")
    for number in (1, 2):
        s.shard_run(number, "UPDATE {s}.t SET name = CONCAT('same', id) WHERE id IN (7, 150, 290)" if collision != "ids" else "UPDATE {s}.t SET name = 'same'")
    s.start(faults=SLOW_COPY)
    if meet and collision == "stop":
        stopped_at_a_collision(s, strategy)
        return
    assert kill_while_copying(s) > 0
    s.start(until="caught-up")
    assert s.runner.wait_exit(90) == 0, s.runner.log_tail()
    want = expected(s, strategy)
    loses = [r for r in want if r[0] == "s2" and r[3].startswith("same")] if meet else []
    assert merged(s, strategy) == [r for r in want if r not in loses]
    if collision == "park":
        beside = s.downstream.value(f"SELECT parked_table FROM `{s.meta}`.sm_parked")
        assert merged(s, strategy, f"`{s.meta}`.`{beside}`") == loses


def stopped_at_a_collision(s, strategy):
    """Who came second stops, whatever was copied stays as it is, also over a restart; the other one is copied whole."""
    def stopped(status):  # what is kept of the run before does not count while this one starts
        return (status["running"] or not s.runner.running) and any(x["error"] and x["state"] == "paused-by-error" for x in status["sources"])

    for _ in range(2):
        status = s.runner.wait_for("a source to stop", stopped, 60)
        codes = {x["id"]: x["error"]["name"] for x in status["sources"] if x["error"]}
        assert set(codes.values()) == {"APPLY_COLLISION"}, codes
        s.runner.kill9()
        got, want = merged(s, strategy), expected(s, strategy)
        assert copied(s) and set(got) <= set(want) and len(set(got)) == len(got)
        names = [r[3] for r in got if r[3].startswith("same")]
        assert len(set(names)) == len(names), "one of two, not both"
        s.start()
