"""Tables of random keys, for what cuts tables along their keys; shards whose ids collide, copied while they change."""
from __future__ import annotations

import random
import threading

from .servers import Downstream
from .values import LAX

ROWS = 700


def _int(bits: int, unsigned: bool = False):
    low, high = (0, 2**bits - 1) if unsigned else (-2**(bits - 1), 2**(bits - 1) - 1)

    def make(r: random.Random):
        return r.choice([low, high, low + 1, high - 1, (low + high) // 2, r.randint(low, high), r.randint(low, high), min(high, r.randint(0, 50)), max(low, -r.randint(0, 50))])
    return make


def _raw(length: int, fixed: bool = False):
    def make(r: random.Random):
        n = length if fixed and r.random() < 0.5 else r.randint(0, length)
        alphabet = r.choice([b"\0", b"\0\xff", b"\0\1 ", b" a", bytes(range(256)), b"\xff\xfe"])
        return bytes(r.choice(alphabet) for _ in range(n))
    return make


def _date(r: random.Random) -> str:
    if r.random() < 0.1:
        return r.choice(["0000-00-00", "2024-00-00", "2024-02-00", "2024-02-31", "9999-12-31", "1000-01-01", "0001-01-01"])
    year = r.choice([1969, 1970, 1999, 2024, r.randint(1, 9999)])
    return f"{year:04}-{r.randint(1, 12):02}-{r.randint(1, 31):02}"


def _clock(r: random.Random, fsp: int, hours: int = 23) -> str:
    text = f"{r.randint(0, hours):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}"
    return text + (f".{r.randint(0, 10**fsp - 1):0{fsp}}" if fsp else "")


def _datetime(fsp: int):
    return lambda r: _date(r) + " " + _clock(r, fsp)


def _timestamp(fsp: int):
    def make(r: random.Random):
        if r.random() < 0.05:
            return r.choice(["0000-00-00 00:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07"])
        return f"{r.randint(1971, 2037)}-{r.randint(1, 12):02}-{r.randint(1, 28):02} " + _clock(r, fsp)
    return make


def _time(fsp: int):
    return lambda r: r.choice(["", "-"]) + _clock(r, fsp, r.choice([0, 1, 23, 837]))


def _near(values):
    return lambda r: r.choice(values)


# name → columns of the key: (type, maker of values)
KEYS = {
    **{f"s{bits}": [(word, _int(bits))] for word, bits in (("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64))},
    **{f"u{bits}": [(word + " UNSIGNED", _int(bits, True))] for word, bits in (("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64))},
    "year": [("YEAR", lambda r: r.choice([0, r.randint(1901, 2155)]))],
    "date": [("DATE", _date)],
    **{f"datetime{fsp}": [(f"DATETIME({fsp})", _datetime(fsp))] for fsp in (0, 1, 3, 6)},
    **{f"timestamp{fsp}": [(f"TIMESTAMP({fsp})", _timestamp(fsp))] for fsp in (0, 2, 6)},
    **{f"time{fsp}": [(f"TIME({fsp})", _time(fsp))] for fsp in (0, 3, 6)},
    "binary4": [("BINARY(4)", _raw(4, True))], "binary16": [("BINARY(16)", _raw(16, True))],
    "varbinary3": [("VARBINARY(3)", _raw(3))], "varbinary40": [("VARBINARY(40)", _raw(40))], "charbinary": [("VARCHAR(10) CHARACTER SET binary", _raw(10))],
    "two": [("INT", _near([1, 2, 3, 2**31 - 1, -2**31])), ("BIGINT UNSIGNED", _int(64, True))],
    "three": [("SMALLINT", _near([-1, 0, 1])), ("VARBINARY(4)", _raw(4)), ("DATETIME(3)", _datetime(3))],
    "four": [("DATE", _near(["2024-01-01", "2024-01-02"])), ("TIME(2)", _near(["-01:00:00.5", "00:00:00", "10:00:00"])), ("TINYINT UNSIGNED", _near([0, 254, 255])), ("BINARY(2)", _raw(2, True))],
    "partly": [("INT", _near(list(range(40)))), ("VARCHAR(20)", lambda r: "".join(r.choice("abcxyzÄ ") for _ in range(r.randint(0, 12))).strip())],
}


def make_key_tables(server: Downstream, schema: str, seed: int) -> None:
    """One table of each key with ROWS rows (fewer where the type has fewer values)."""
    conn = server.connect(autocommit=False)
    with conn.cursor() as cur:
        cur.execute(LAX)
        for name, columns in KEYS.items():
            r = random.Random(f"{seed}-{name}")
            names = [f"k{len(columns) - i}" for i in range(len(columns))]  # the key's order is not that of the names
            order = list(range(len(columns)))
            r.shuffle(order)  # nor that of the columns
            ddl = ", ".join(f"{names[i]} {columns[i][0]} NOT NULL" + (" DEFAULT '2001-01-01'" if columns[i][0].startswith("TIMESTAMP") else "") for i in order)
            cur.execute(f"CREATE TABLE `{schema}`.`{name}` (v INT, {ddl}, PRIMARY KEY ({', '.join(names)}))")
            sql = f"INSERT IGNORE INTO `{schema}`.`{name}` (v, {', '.join(names)}) VALUES (1{', %s' * len(columns)})"
            rows = [[maker(r) for _, maker in columns] for _ in range(ROWS)]
            cur.executemany(sql, rows)
            conn.commit()
            cur.execute(f"ANALYZE TABLE `{schema}`.`{name}`")
            cur.fetchall()
    conn.close()


# -- shards that count alone: table t (id, parent, name), the same ids in each of them --
SLOW_COPY = "load.before_send=delay:100@*"


def fill(s, rows: int, name: str = "n{i}") -> None:
    """Rows 1 … rows in every shard; each refers to the one before it. name: of the row's number i and the shard's n."""
    for shard in s.shards:
        values = ",".join(f"({i}, {i - 1 if i > 1 else 'NULL'}, '{name.format(i=i, n=shard.number)}')" for i in range(1, rows + 1))
        shard.server.run(f"INSERT INTO `{shard.schema}`.t (id, parent, name) VALUES {values}")


def copied(s, table: str = "t") -> int:
    """How many rows the target has; it may not be there yet."""
    there = s.downstream.query(f"SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{s.target}' AND TABLE_NAME = '{table}'")
    return s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.`{table}`") if there else 0


def kill_while_copying(s, before: int = 0) -> int:
    """Kill -9 when more rows than that have been copied, or all of them; returns how many are there then."""
    s.runner.wait_for("rows that are copied", lambda status: copied(s) > before or (before and (status["load"] or {}).get("state") == "done"), 60)
    s.runner.kill9()
    return copied(s)


def _change(s, number: int, rows: int, stop: threading.Event) -> None:
    rng, shard, new = random.Random(number), s.shards[number - 1], rows + 1
    while not stop.is_set():
        i = rng.randrange(1, rows + rows // 15)
        shard.server.run(rng.choice([f"UPDATE `{shard.schema}`.t SET name = 'c{rng.randrange(999)}' WHERE id = {i}",
                                     f"DELETE FROM `{shard.schema}`.t WHERE id = {i}",
                                     f"UPDATE `{shard.schema}`.t SET id = id + 100000 WHERE id = {i}",
                                     f"INSERT INTO `{shard.schema}`.t (id, parent, name) VALUES ({new}, {i}, 'new')"]))
        new += 1


def copy_while_changing(s, kills: int = 0, rows: int = 3000) -> None:
    """Existing rows are copied while the shards go on; the program is killed so often, each time with rows copied. Ends caught up."""
    fill(s, rows)
    stop, there = threading.Event(), 0
    threads = [threading.Thread(target=_change, args=(s, shard.number, rows, stop)) for shard in s.shards]
    s.start(faults=SLOW_COPY if kills else "")
    for t in threads:
        t.start()
    try:
        for left in range(kills, 0, -1):
            there = kill_while_copying(s, there)
            assert there > 0
            s.start(faults=SLOW_COPY if left > 1 else "")
        stop.wait(2)
    finally:
        stop.set()
        for t in threads:
            t.join()
    s.runner.wait_caught_up(120)


def map_of(s, table: str = "t") -> dict[tuple[str, int], int]:
    """The strategy remap: (source, old id) → new id, as the guide says to read it; each new id is given once."""
    registry = s.downstream.query(f"SELECT map_table, next_id FROM `{s.meta}`.sm_remap WHERE target_schema = '{s.target}' AND target_table = '{table}'")
    if not registry:
        return {}
    (name, next_id), = registry
    rows = s.downstream.query(f"SELECT m.source, i.old_id, i.new_id FROM `{s.meta}`.`{name}` i JOIN `{s.meta}`.sm_remap_member m ON m.member = i.member "
                              f"WHERE m.target_schema = '{s.target}' AND m.target_table = '{table}'")
    out = {(source, int(old)): new for source, old, new in rows}
    assert len(out) == len(rows) and len(set(out.values())) == len(rows), "the map is unique both ways"
    assert all(0 < new < next_id for new in out.values())
    return out
