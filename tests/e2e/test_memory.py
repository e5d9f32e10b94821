"""Memory is bounded however many shards and however large a transaction. SHARDMERGE_BIG_MB sets the size (default 400;
the full measurement is 2048)."""
import os

BIG_MB = int(os.environ.get("SHARDMERGE_BIG_MB", "400"))
LIMIT_MB = 300


def test_sixteen_shards_and_one_huge_transaction(scenario):
    s = scenario.make_plain({"big": "(id BIGINT NOT NULL PRIMARY KEY, body LONGBLOB NOT NULL)"}, ("mariadb",) * 16)
    conn = s.shards[0].server.connect(autocommit=False)
    rows, size = BIG_MB // 2, 2 << 20
    with conn.cursor() as cur:
        cur.execute("BEGIN")
        for i in range(rows):
            cur.execute(f"INSERT INTO `{s.shards[0].schema}`.big VALUES ({i}, REPEAT(CHAR({65 + i % 26}), {size}))")
    conn.commit()
    conn.close()
    for shard in s.shards[1:]:
        s.shard_run(shard.number, *(f"INSERT INTO {{s}}.big VALUES ({shard.id0 + i}, REPEAT('y', 100000))" for i in range(20)))
    s.start()
    s.runner.wait_caught_up(600)
    peak = s.runner.rss_peak_kb() / 1024
    print(f"peak resident memory {peak:.0f} MB: 16 shards, one transaction of {BIG_MB} MB")
    expected = s.shards[0].server.query(f"SELECT COUNT(*), SUM(LENGTH(body)), SUM(CRC32(body)) FROM `{s.shards[0].schema}`.big")
    got = s.downstream.query(f"SELECT COUNT(*), SUM(LENGTH(body)), SUM(CRC32(body)) FROM `{s.target}`.big WHERE id < {10**12}")
    assert got == expected
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.big") == rows + 15 * 20
    assert peak < LIMIT_MB, f"peak resident memory {peak:.0f} MB, limit {LIMIT_MB} MB"
    s.runner.stop()


def test_many_small_rows_in_one_transaction(scenario):
    """A spilled transaction of 300,000 rows next to a busy shard."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL PRIMARY KEY, v INT, s VARCHAR(100))"}, task={"memory-limit": "64MiB"})
    s.start()
    s.shard_run(1, "CREATE TABLE {s}.digits (d INT)", "INSERT INTO {s}.digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
    s.shard_run(1, "INSERT INTO {s}.t SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d, 1, REPEAT('s', 50) "
                   "FROM {s}.digits a, {s}.digits b, {s}.digits c, {s}.digits d, {s}.digits e, {s}.digits f WHERE f.d < 3")
    s.shard_run(2, *(f"INSERT INTO {{s}}.t VALUES ({10**9 + i}, 2, 'x')" for i in range(300)))
    s.runner.wait_caught_up(180)
    peak = s.runner.rss_peak_kb() / 1024
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.t") == 300300
    assert peak < LIMIT_MB, f"peak resident memory {peak:.0f} MB"
    s.runner.stop()
