"""Key strategies: ids that are no integers, and unique keys of the whole or of one shard each."""
import pytest

SHARD = [{"column": "shard", "value": "${source}"}]
USERS = {"users": "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, mail VARCHAR(40) NOT NULL, nick VARCHAR(20) NOT NULL, "
                  "UNIQUE KEY uk_mail (mail), UNIQUE KEY uk_nick (nick))"}
ID_TYPES = ["CHAR(36)", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "BINARY(16)", "DECIMAL(20,0)", "UUID"]


def make(scenario, key, ddl, **kw):
    s = scenario.make_plain(ddl, targets=False, **kw)
    for rule in s.task["routes"].values():
        rule["key"] = key
    s.save()
    return s


@pytest.mark.parametrize("id_type", ID_TYPES)
@pytest.mark.parametrize("strategy", [{"strategy": "stride", "shards": 8}, {"strategy": "partition-id", "instances": {"s1": 1, "s2": 2}},
                                      {"strategy": "remap"}], ids=lambda k: k["strategy"])
def test_only_integers_are_rewritten(scenario, strategy, id_type):
    s = make(scenario, {**strategy, "column": "id"}, {"t": f"(id {id_type} NOT NULL PRIMARY KEY, v INT)"})
    for verb in (("route",), ("check",)):
        done = s.runner.verb(*verb)
        out = done.stdout + done.stderr
        assert done.returncode != 0 and "only plain integer columns are rewritten" in out, (verb, out)
    s.start()
    assert s.runner.wait_exit() != 0 and "only plain integer columns are rewritten" in s.runner.log() and "composite" in s.runner.log()
    assert not s.downstream.query(f"SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{s.target}' AND TABLE_NAME = 't'")


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("id_type", ID_TYPES)
@pytest.mark.parametrize("strategy", ["composite", "plain-index"])
def test_provenance_takes_any_key(scenario, strategy, id_type, full):
    ids = {"DECIMAL(20,0)": ["5", "99999999999999999999"], "UUID": [f"'{n}0000000-0000-1000-8000-00000000000{n}'" for n in (1, 2)],
           "BINARY(16)": ["x'0102030405060708090a0b0c0d0e0f00'", "x'ff000000000000000000000000000000'"]}.get(id_type, ["'a'", "'b'"])
    s = make(scenario, {"strategy": strategy, "provenance": SHARD}, {"t": f"(id {id_type} NOT NULL PRIMARY KEY, v INT)"},
             task={"task-mode": "all"} if full else {})
    if full:
        for instance in s.task["mysql-instances"]:
            instance.pop("meta")
        s.save()
        for n in (1, 2):
            s.shard_run(n, *(f"INSERT INTO {{s}}.t VALUES ({i}, {n})" for i in ids))
    s.start()
    if not full:
        for n in (1, 2):
            s.shard_run(n, *(f"INSERT INTO {{s}}.t VALUES ({i}, {n})" for i in ids))
    s.runner.wait_caught_up()
    assert sorted(s.rows("t", "shard, v")) == [("s1", 1), ("s1", 1), ("s2", 2), ("s2", 2)]
    s.runner.kill9()
    s.start()
    s.shard_run(1, f"UPDATE {{s}}.t SET v = 10 WHERE id = {ids[0]}", f"DELETE FROM {{s}}.t WHERE id = {ids[1]}")
    s.shard_run(2, f"DELETE FROM {{s}}.t WHERE id = {ids[0]}")
    s.runner.wait_caught_up()
    assert sorted(s.rows("t", "shard, v")) == [("s1", 10), ("s2", 2)]


def users(s, n):
    s.shard_run(n, f"INSERT INTO {{s}}.users VALUES (1, 'ann@x', 'ann{n}'), (2, 'bob{n}@x', 'bob')")


def test_unique_within_the_shard_by_default(scenario):
    s = make(scenario, {"strategy": "composite", "provenance": SHARD}, USERS)
    s.start()
    for n in (1, 2):
        users(s, n)
    s.runner.wait_caught_up()
    assert sorted(s.rows("users", "shard, id, mail, nick")) == sorted((f"s{n}", i, m, k) for n in (1, 2) for i, m, k in
                                                                   ((1, "ann@x", f"ann{n}"), (2, f"bob{n}@x", "bob")))


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_a_global_key_stays_unique_over_all_shards(scenario, downstream):
    s = make(scenario, {"strategy": "composite", "provenance": SHARD, "global-keys": ["uk_mail"]}, USERS, downstream=downstream)
    ddl = s.runner.verb("route", "--ddl").stdout
    assert "UNIQUE KEY `uk_mail` (`mail`)" in ddl and "UNIQUE KEY `uk_nick` (`nick`,`shard`)" in ddl, ddl
    s.start()
    users(s, 1)
    s.runner.wait_caught_up()
    s.shard_run(2, "INSERT INTO {s}.users VALUES (1, 'eve@x', 'bob')")
    s.runner.wait_caught_up()
    assert len(s.rows("users")) == 3, "id and nick are unique within the shard"
    s.shard_run(2, "INSERT INTO {s}.users VALUES (2, 'ann@x', 'other')")
    error = s.runner.wait_error("s2", "APPLY_COLLISION")
    assert "`uk_mail`" in error["message"], error
    s.shard_run(1, "UPDATE {s}.users SET mail = 'ann@y' WHERE id = 1")
    s.runner.wait_for("the first shard's change", lambda _: "ann@y" in [r[0] for r in s.rows("users", "mail")])
    assert s.runner.verb("resume", "--source", "s2").returncode == 0
    s.runner.wait_caught_up()
    assert sorted(s.rows("users", "shard, id, mail")) == [("s1", 1, "ann@y"), ("s1", 2, "bob1@x"), ("s2", 1, "eve@x"), ("s2", 2, "ann@x")]


def test_a_target_without_the_global_key_is_refused(scenario):
    s = make(scenario, {"strategy": "composite", "provenance": SHARD, "global-keys": ["uk_mail"]}, USERS)
    s.downstream.run(f"CREATE TABLE `{s.target}`.users (id INT NOT NULL, mail VARCHAR(40) NOT NULL, nick VARCHAR(20) NOT NULL, shard VARCHAR(64) NOT NULL, "
                     f"PRIMARY KEY (id, shard), UNIQUE KEY uk_nick (nick, shard))")
    done = s.runner.verb("check")
    assert done.returncode != 0 and "ADD UNIQUE KEY `uk_mail` (`mail`)" in done.stdout + done.stderr, done.stdout


def test_plain_keys_name_what_is_no_longer_unique(scenario):
    s = make(scenario, {"strategy": "plain-index", "provenance": SHARD, "plain-keys": ["PRIMARY", "uk_nick"]}, USERS)
    ddl = s.runner.verb("route", "--ddl").stdout
    assert "UNIQUE KEY `uk_mail` (`mail`)" in ddl and "PRIMARY KEY" not in ddl and "KEY `uk_nick` (`nick`,`shard`)" in ddl, ddl
    s.start()
    s.shard_run(1, "INSERT INTO {s}.users VALUES (1, 'ann@x', 'nick')")
    s.runner.wait_caught_up()
    s.shard_run(2, "INSERT INTO {s}.users VALUES (1, 'bob@x', 'nick')")
    s.runner.wait_caught_up()
    s.shard_run(2, "UPDATE {s}.users SET nick = 'new' WHERE id = 1")
    s.shard_run(1, "DELETE FROM {s}.users WHERE id = 1")
    s.runner.wait_caught_up()
    assert s.rows("users", "shard, id, mail, nick") == [("s2", 1, "bob@x", "new")]
    s.shard_run(1, "INSERT INTO {s}.users VALUES (5, 'bob@x', 'five')")
    assert "`uk_mail`" in s.runner.wait_error("s1", "APPLY_COLLISION")["message"]
