"""New unique keys on a target that parks losers: rows that share one are found by its values, of whatever type, in pieces, and nobody else waits for that."""
import pytest
from harness.proxy import Proxy
from test_conflicts_ddl import FIRST, KEYS, beside, check, make, parked, settle, start

# column: type, the value of row i, how many
TYPES = {
    "c_int": ("BIGINT UNSIGNED", "18446744073709551615 - seq", 20),
    "c_neg": ("INT", "-seq", 20),
    "c_dec": ("DECIMAL(20,5)", "-seq / 7", 20),
    "c_float": ("FLOAT", "seq / 10", 20),
    "c_double": ("DOUBLE", "seq / 3 * 1e30", 20),
    "c_bit": ("BIT(9)", "500 - seq", 20),
    "c_enum": ("ENUM('z','b','a','''')", "seq", 4),
    "c_set": ("SET('z','b','a')", "seq", 6),
    "c_bytes": ("VARBINARY(20)", "CONCAT(UNHEX('00FF27'), CHAR(seq), '\\\\')", 20),
    "c_fixed": ("BINARY(4)", "CHAR(200 + seq)", 20),
    "c_date": ("DATE", "DATE('2020-01-01') + INTERVAL seq DAY", 20),
    "c_moment": ("DATETIME(6)", "TIMESTAMP('2020-01-01') + INTERVAL seq MICROSECOND", 20),
    "c_stamp": ("TIMESTAMP(3) NULL", "TIMESTAMP('2020-01-01') + INTERVAL seq SECOND", 20),
    "c_time": ("TIME(2)", "SEC_TO_TIME(-3600 + seq / 4)", 20),
    "c_year": ("YEAR", "1990 + seq", 20),
    "c_latin": ("VARCHAR(20) CHARACTER SET latin1", "CONCAT('é''\\\\', seq)", 20),
    "c_fold": ("VARCHAR(20) COLLATE utf8mb4_general_ci", "CONCAT(IF({shard} = 1, 'ä ', 'A '), seq)", 20),
    "c_many": ("VARCHAR(20) COLLATE utf8mb4_general_ci", "CONCAT('m', seq)", 505),
}
PAIRS = 260


def fill(shard, number):
    """Each row has a value in one of the columns, and shares it with one row of the other shard; some share two together."""
    at, out = number * 10**6, []
    for column, (_, value, n) in TYPES.items():
        out.append(f"INSERT INTO {{s}}.t (id, {column}) SELECT {at} + seq, {value.replace('{shard}', str(number))} FROM {{s}}.numbers WHERE seq <= {n}")
        at += 10**4
    # 20 values of `a`, each with 13 of `b`; every second pair is the other shard's, too
    out.append(f"INSERT INTO {{s}}.t (id, a, b) SELECT {at} + seq, CONCAT('pair ', {number} * seq % 20), {number} * seq FROM {{s}}.numbers WHERE seq <= {PAIRS}")
    return out


def keys_added():
    return ", ".join([f"ADD UNIQUE KEY k_{c} ({c})" for c in TYPES] + ["ADD UNIQUE KEY k_pair (a, b)"])


@pytest.mark.parametrize("downstream,flavor", [("mariadb", "mariadb"), ("mysql", "mysql")])
def test_rows_that_share_a_new_key_are_found_by_values_of_any_type(scenario, downstream, flavor):
    columns = ", ".join(f"{c} {t}{'' if 'NULL' in t else ' NULL'}" for c, (t, _, _) in TYPES.items())
    ddl = f"(id BIGINT NOT NULL PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_unicode_ci NULL, b BIGINT NULL, {columns})"
    s = make(scenario, downstream=downstream, flavor=flavor, ddl=ddl, target=ddl.replace("(id", "(shard VARCHAR(20) NOT NULL, id", 1))
    for shard in s.shards:
        s.shard_run(shard.number, "CREATE TABLE {s}.numbers (seq INT PRIMARY KEY)", "INSERT INTO {s}.numbers VALUES " + ",".join(f"({i})" for i in range(1, 506)),
                    *fill(shard, shard.number))
    start(s)
    s.runner.wait_caught_up()
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.t") == 2 * (sum(n for _, _, n in TYPES.values()) + PAIRS)
    for shard in s.shards:
        s.shard_run(shard.number, f"ALTER TABLE {{s}}.t {keys_added()}")
    s.runner.wait_caught_up(90)
    shared = sum(n for _, _, n in TYPES.values()) + PAIRS // 2
    lost = s.downstream.query(f"SELECT COUNT(*), COUNT(DISTINCT sm_source), MIN(sm_source) FROM `{s.meta}`.`{beside(s)}`")
    assert lost == [(shared, 1, "s2")], lost
    assert s.downstream.value(f"SELECT COUNT(*) FROM `{s.target}`.t") == 2 * (sum(n for _, _, n in TYPES.values()) + PAIRS) - shared
    unique = s.downstream.value("SELECT COUNT(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't' AND NON_UNIQUE = 0", (s.target,))
    assert unique == len(TYPES) + 2
    assert not s.downstream.value("SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't' AND INDEX_NAME LIKE 'sm!_%%' ESCAPE '!'", (s.target,))
    s.runner.stop()


SEARCH = r"^SELECT .* HAVING COUNT\(\*\) > 1 ORDER BY"


def test_nobody_waits_for_the_search_nor_it_for_a_silent_network(scenario):
    """While rows are looked for that share the new key, the task's row is free; an answer that never comes is not waited for."""
    s = make(scenario)
    proxy = Proxy(s.downstream.host, s.downstream.port).start()
    s.closers.append(proxy.stop)
    s.task["target-database"].update(host=proxy.host, port=proxy.port)
    s.save()
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    searched = proxy.stall(SEARCH, seconds=600, kill_client=False)
    for shard in (1, 2):
        s.shard_run(shard, "INSERT INTO {s}.t (id, u, w) VALUES ({n}, 'k{n}', 'q')".replace("{n}", str(shard + 70)), "ALTER TABLE {s}.t ADD UNIQUE KEY k_w (w)")
    searched.wait(60)
    assert s.downstream.query(f"SELECT COUNT(*) FROM `{s.meta}`.sm_task FOR UPDATE WAIT 3")  # a checkpoint may have it for a moment, the search would for longer
    locks = proxy.count("GET_LOCK")
    s.runner.wait_for("another session of the change", lambda _: proxy.count("GET_LOCK") > locks, 60)
    searched.release.set()  # the server sees the end of the first one, too
    check(s, [*KEYS, ("w",)])
    assert ("s2", 72) in [r[:2] for r in parked(s)]
    statement = s.downstream.query(f"SELECT state, attempts FROM `{s.meta}`.sm_ddl WHERE statement LIKE 'DO %'")
    assert statement == [("done", 2)], statement
    s.runner.stop()


NEW_KEYS = {  # the column, what else both sides have, the change, a row of each shard; the keys afterwards
    "an index stands there": ("u VARCHAR(20) NULL, KEY i_w (w)", "ADD UNIQUE KEY k_w (w)", ("w", "'q'", "'q'"), ("w",)),
    "rounded": ("u DECIMAL(10,2) NULL", "MODIFY COLUMN u DECIMAL(10,1) NULL", ("u", "1.21", "1.19"), ("u",)),
    "computed otherwise": ("u INT AS (v + 1) STORED", "MODIFY COLUMN u INT AS (v DIV 2) STORED", ("v", "10", "11"), ("u",)),
}


@pytest.mark.parametrize("downstream,flavor", [("mariadb", "mariadb"), ("mysql", "mysql")])
@pytest.mark.parametrize("kind", NEW_KEYS)
def test_rows_that_come_to_share_a_key(scenario, kind, downstream, flavor):
    """Whatever makes them share it: they leave the target before the key comes."""
    column, change, (name, *values), key = NEW_KEYS[kind]
    ddl = f"(id BIGINT NOT NULL PRIMARY KEY, v INT, w VARCHAR(20) NULL, {column}, UNIQUE KEY k_u (u))"
    s = make(scenario, downstream=downstream, flavor=flavor, ddl=ddl, target=ddl.replace("(id", "(shard VARCHAR(20) NOT NULL, id", 1))
    start(s)
    for number, value in enumerate(values, 1):
        settle(s, number, f"INSERT INTO {{s}}.t (id, {name}) VALUES ({number}, {value})")
    assert not parked(s)
    for number in (1, 2):
        s.shard_run(number, f"ALTER TABLE {{s}}.t {change}")
    check(s, list(dict.fromkeys([*KEYS, key])))
    assert [r[:2] for r in parked(s)] == [("s2", 2)]
    s.runner.stop()
