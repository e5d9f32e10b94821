"""The copy of existing rows needs bounded memory: however many tables there are, and however large their rows."""
from harness.sm import Runner

LIMIT_MB = 320
TABLES = 1000
BODY = 15 << 20  # with the statement around it, within the servers' max_allowed_packet of 16 MiB
ROWS = 11  # a shard: 330 MB of both, more than the limit


def peak_of(runner: Runner) -> float:
    assert runner.wait_exit(300) == 0, runner.log_tail()
    return runner.rusage.ru_maxrss / 1024


def test_a_thousand_tables(scenario):
    """A few rows in each; all tables routed into one."""
    s = scenario
    s.make_downstream()
    s.make_shards(("mariadb",))
    shard = s.shards[0]
    ddl = "(id BIGINT NOT NULL PRIMARY KEY, s VARCHAR(100) NOT NULL)"
    conn = shard.server.connect(autocommit=True)
    with conn.cursor() as cur:
        cur.execute(f"CREATE DATABASE `{shard.schema}`")
        for i in range(TABLES):
            cur.execute(f"CREATE TABLE `{shard.schema}`.t_{i:04} {ddl}")
        cur.execute("BEGIN")
        for i in range(TABLES):
            cur.execute(f"INSERT INTO `{shard.schema}`.t_{i:04} VALUES ({i * 10}, 'a'), ({i * 10 + 1}, 'b')")
        cur.execute("COMMIT")
    conn.close()
    s.downstream.run(f"CREATE TABLE `{s.target}`.merged {ddl}")
    s.write_task({"merged": "t_*"}, extra={"task-mode": "all"})
    s.runner.start(until="caught-up")
    peak = peak_of(s.runner)
    print(f"peak resident memory {peak:.0f} MB: {TABLES} tables")
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.merged") == 2 * TABLES
    assert s.downstream.value(f"SELECT SUM(id) FROM `{s.target}`.merged") == 10 * TABLES * (TABLES - 1) + TABLES
    assert peak < LIMIT_MB


def test_rows_of_15_megabytes(scenario):
    """Two shards, rows near the servers' packet. A reader and an applier need a few rows each, beside memory-limit (128 MiB)."""
    s = scenario.make_plain({"big": "(id BIGINT NOT NULL PRIMARY KEY, body LONGBLOB NOT NULL)"}, task={"task-mode": "all", "load": {"readers": 2}})
    for shard in s.shards:
        s.shard_run(shard.number, *(f"INSERT INTO {{s}}.big VALUES ({shard.id0 + i}, REPEAT(CHAR({65 + i}), {BODY}))" for i in range(ROWS)))
    s.start(until="caught-up")
    peak = peak_of(s.runner)
    print(f"peak resident memory {peak:.0f} MB: {2 * ROWS} rows of {BODY >> 20} MiB")
    rows = sorted(r for shard in s.shards for r in shard.server.query(f"SELECT id, LENGTH(body), CRC32(body) FROM `{shard.schema}`.big"))
    assert sorted(s.downstream.query(f"SELECT id, LENGTH(body), CRC32(body) FROM `{s.target}`.big")) == rows
    assert peak < LIMIT_MB
