"""Key strategies while existing rows are copied and the stream runs: a row copied and a row streamed get the same key."""
import random
import threading

import pytest

DDL = {"t": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, parent INT NULL, name VARCHAR(20), KEY (parent))"}
PROVENANCE = [{"column": "shard", "value": "${source}"}]
KEYS = {
    "stride": {"strategy": "stride", "shards": 16, "references": [{"column": "parent", "table": "t"}]},
    "partition-id": {"strategy": "partition-id", "instances": {"s1": 1, "s2": 2}, "references": [{"column": "parent", "table": "t"}]},
    "composite": {"strategy": "composite", "provenance": PROVENANCE},
    "plain-index": {"strategy": "plain-index", "provenance": PROVENANCE},
}


def expected(s, strategy):
    rows = []
    for n, shard in enumerate(s.shards):
        for i, p, v in shard.server.query(f"SELECT id, parent, name FROM `{shard.schema}`.t"):
            if strategy == "stride":
                rows.append((i * 16 + n, None if p is None else p * 16 + n, v))
            elif strategy == "partition-id":
                rows.append(((n + 1) << 59 | i, None if p is None else (n + 1) << 59 | p, v))
            else:
                rows.append((f"s{n + 1}", i, p, v))
    return sorted(rows, key=repr)


def merged(s, strategy):
    columns = "id, parent, name" if strategy in ("stride", "partition-id") else "shard, id, parent, name"
    return sorted(s.rows("t", columns), key=repr)


@pytest.mark.parametrize("flavors", [("mariadb", "mariadb"), ("mysql", "mysql")])
@pytest.mark.parametrize("strategy", KEYS)
@pytest.mark.parametrize("kill", [False, True])
def test_copy_and_stream_agree(scenario, strategy, flavors, kill):
    s = scenario.make_plain(DDL, flavors=flavors, targets=False,
                            task={"task-mode": "all", "load": {"chunk-rows": 200}})
    s.task["routes"]["r-t"]["key"] = KEYS[strategy]
    for instance in s.task["mysql-instances"]:
        instance.pop("meta", None)
    s.save()
    for number in (1, 2):
        s.shard_run(number, "INSERT INTO {s}.t (id, parent, name) VALUES " +
                    ",".join(f"({i}, {i - 1 if i > 1 else 'NULL'}, 'n{i}')" for i in range(1, 3001)))
    stop = threading.Event()

    def churn(number):
        rng, shard, new = random.Random(number), s.shards[number - 1], 3001
        while not stop.is_set():
            i = rng.randrange(1, 3200)
            shard.server.run(rng.choice([f"UPDATE `{shard.schema}`.t SET name = 'c{rng.randrange(999)}' WHERE id = {i}",
                                         f"DELETE FROM `{shard.schema}`.t WHERE id = {i}",
                                         f"UPDATE `{shard.schema}`.t SET id = id + 100000 WHERE id = {i}",
                                         f"INSERT INTO `{shard.schema}`.t (id, parent, name) VALUES ({new}, {i}, 'new')"]))
            new += 1

    threads = [threading.Thread(target=churn, args=(n,)) for n in (1, 2)]
    s.start()
    for t in threads:
        t.start()
    if kill:
        s.runner.wait_for("some rows", lambda _: True)
        s.runner.kill9()
        s.start()
    stop.wait(2)
    stop.set()
    for t in threads:
        t.join()
    s.runner.wait_caught_up(90)
    assert merged(s, strategy) == expected(s, strategy)
    s.runner.stop()
