"""`shardmerge route`: what would go where, live and from a list, for people and as JSON."""
import json

import yaml


def test_live_route_of_a_good_task(scenario):
    s = scenario.make(tables=("kv", "uniq"), transactions=0)
    done = s.runner.verb("route")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for shard in s.shards:
        assert f"{shard.schema}" in done.stdout
    assert f"{s.target}" in done.stdout and "kv_0" in done.stdout and "r-kv" in done.stdout, done.stdout
    done = s.runner.verb("route", "--json")
    assert done.returncode == 0
    text = json.dumps(json.loads(done.stdout))
    assert "skipped" in text and "kv_1" in text and "r-uniq" in text


def test_route_touches_nothing(scenario):
    s = scenario.make(tables=("kv",), transactions=0, create_targets=False)
    s.runner.verb("route")
    assert s.downstream.query("SELECT table_name FROM information_schema.tables WHERE table_schema IN (%s, %s)", (s.target, s.meta)) == []
    assert not (s.folder / "state" / "state.db").exists()


def test_columns_that_differ_are_found(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.shard_run(2, "ALTER TABLE {s}.t ADD COLUMN w VARCHAR(10)")
    done = s.runner.verb("route")
    assert done.returncode == 1, f"a shard with another column went unnoticed\n{done.stdout}{done.stderr}"
    assert "w" in done.stdout and f"{s.unique}_s2" in done.stdout, done.stdout


def test_a_rule_that_matches_nothing(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.task["routes"]["r-none"] = {"schema-pattern": "nobody_*", "table-pattern": "t", "target-schema": s.target, "target-table": "t"}
    for instance in s.task["mysql-instances"]:
        instance["route-rules"].append("r-none")
    s.save()
    done = s.runner.verb("route")
    assert done.returncode == 1 and "r-none" in done.stdout, f"{done.returncode} {done.stdout} {done.stderr}"


def test_ambiguous_rules(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.task["routes"]["r-other"] = dict(s.task["routes"]["r-t"], **{"target-table": "other"})
    for instance in s.task["mysql-instances"]:
        instance["route-rules"].append("r-other")
    s.save()
    done = s.runner.verb("route")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "r-t" in done.stdout and "r-other" in done.stdout, done.stdout
    s.start()
    assert s.runner.wait_exit(30) == 2, "run must refuse an ambiguous table"
    assert "SM-1702" in s.runner.log(), s.runner.log_tail()


def test_an_offline_list(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.task["routes"] = {"months": {"schema-pattern": "~^tenant_([a-z]+)$", "table-pattern": "~^orders_\\d{6}$", "target-schema": "all_$1", "target-table": "orders"}}
    s.task["block-allow-list"] = {"ours": {"do-dbs": ["~^tenant_"]}}
    for instance in s.task["mysql-instances"]:
        instance["route-rules"] = ["months"]
    s.save()
    names = s.folder / "names"
    names.write_text("s1.tenant_a.orders_202401\ns1.tenant_a.orders_202402\ns2.tenant_b.orders_202401\ns2.other.x\n")
    done = s.runner.verb("route", "--tables", str(names), "--json")
    text = json.dumps(json.loads(done.stdout))
    assert "all_a" in text and "all_b" in text and "months" in text, f"{done.returncode} {done.stdout} {done.stderr}"
    assert yaml.safe_load(s.runner.task_path.read_text())["name"] == s.unique


def test_verbs_that_connect_to_no_server_need_no_password(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    for endpoint in [s.task["target-database"], s.source_config(1)["from"]]:
        del endpoint["password"]
        endpoint["password-env"] = f"{s.unique.upper()}_NOT_SET"
    s.save()
    names = s.folder / "names"
    names.write_text(f"s1.{s.shards[0].schema}.t\n")
    done = s.runner.verb("route", "--tables", str(names))
    assert "SM-1205" not in done.stderr and "r-t" in done.stdout, f"{done.returncode} {done.stdout} {done.stderr}"
    for verb in ("status", "pause", "resume", "stop"):
        done = s.runner.verb(verb)
        assert "password" not in done.stderr and "SM-12" not in done.stderr, f"{verb}: {done.stderr}"
    for verb in ("run", "check", "route"):
        done = s.runner.verb(verb)
        assert done.returncode == 2 and "SM-1205" in done.stderr, f"{verb}: {done.returncode} {done.stderr}"
