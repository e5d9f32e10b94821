"""After cut-over the application counts in the merged tables itself: the next id is above all there is."""
import json

import pytest

COUNTS = "(id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT)"
PLAIN = "(a INT NOT NULL PRIMARY KEY, v INT)"


def finish(s, *args):
    done = s.runner.verb("finish", "--json", *args)
    answer = json.loads(done.stdout)
    return done.returncode, answer, {t["table"]: t for t in answer.get("targets", [])}


def caught_up(s):
    s.start(until="caught-up")
    assert s.runner.wait_exit() == 0, s.runner.log_tail()


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_the_next_id_is_above_all(scenario, downstream):
    s = scenario.make_plain({"t": COUNTS, "p": PLAIN}, downstream=downstream)
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t (id, v) VALUES (1, 1), (2, 2)", "INSERT INTO {s}.p VALUES (1, 1)")
    s.runner.wait_caught_up()
    s.shard_run(2, "INSERT INTO {s}.t (id, v) VALUES (3, 3)", "UPDATE {s}.t SET id = 5000 WHERE id = 3")
    s.runner.wait_caught_up()
    s.runner.stop()
    status, answer, targets = finish(s)
    assert status == 1 and answer["refused"] and "--until caught-up" in " ".join(answer["warnings"]), answer
    assert targets["t"]["highest"] == 5000 and targets["t"]["next"] == 5001
    caught_up(s)
    status, answer, targets = finish(s)
    assert status == 0 and answer["preview"] and not answer["refused"], answer
    assert targets["p"]["state"] == "no-auto-increment"
    assert targets["t"]["state"] in ("to-set", "ready")
    status, answer, targets = finish(s, "--yes")
    assert status == 0 and targets["t"]["state"] in ("set", "ready") and targets["t"]["present"] >= 5001, answer
    s.downstream.run(f"INSERT INTO `{s.target}`.t (v) VALUES (9)")
    assert max(r[0] for r in s.rows("t")) >= 5001
    status, _, targets = finish(s, "--yes")
    assert status == 0 and targets["t"]["state"] == "ready", "a second time nothing is left to do"


@pytest.mark.parametrize("downstream", ["mariadb", "mysql"])
def test_a_target_that_was_made_without_it_gets_it_back(scenario, downstream):
    """Row 0 stays row 0."""
    s = scenario.make_plain({"t": "(id INT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'it''s the id', v INT, PRIMARY KEY (id))"},
                            downstream=downstream, targets=False)
    s.shard_run(1, "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "INSERT INTO {s}.t (id, v) VALUES (0, 1), (70, 2)")
    s.task["task-mode"] = "all"
    for instance in s.task["mysql-instances"]:
        instance.pop("meta", None)
    s.save()
    caught_up(s)
    assert s.rows("t") == [(0, 1), (70, 2)]
    status, answer, targets = finish(s)
    assert status == 0 and targets["t"]["state"] == "to-set" and "MODIFY `id`" in targets["t"]["statement"], answer
    assert "AUTO_INCREMENT" not in s.downstream.query(f"SHOW CREATE TABLE `{s.target}`.t")[0][1], "a preview changes nothing"
    status, answer, targets = finish(s, "--yes")
    assert status == 0 and targets["t"]["state"] == "set", answer
    s.downstream.run(f"INSERT INTO `{s.target}`.t (v) VALUES (3)")
    assert s.rows("t") == [(0, 1), (70, 2), (71, 3)]
    text = s.downstream.query(f"SHOW CREATE TABLE `{s.target}`.t")[0][1]
    assert "it''s the id" in text, text


def test_too_early_is_refused(scenario):
    s = scenario.make_plain({"t": COUNTS})
    assert s.runner.verb("finish", "--json").returncode == 2, "there is no state yet"
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t (v) VALUES (1)")
    s.runner.wait_caught_up()
    done = s.runner.verb("finish", "--yes")
    assert done.returncode == 2 and "STORE_LOCKED" in done.stderr, done.stderr
    status, answer, _ = finish(s)
    assert status == 1 and "runs" in answer["warnings"][0], answer
    s.runner.stop()
    caught_up(s)
    s.shard_run(2, "INSERT INTO {s}.t (id, v) VALUES (900, 1)")
    status, answer, targets = finish(s, "--yes")
    assert status == 1 and answer["refused"] and "s2" in " ".join(answer["warnings"]), answer
    assert "s1" not in " ".join(answer["warnings"])
    assert targets["t"]["state"] in ("to-set", "ready")
    status, answer, targets = finish(s, "--yes", "--force")
    assert status == 0 and targets["t"]["state"] in ("set", "ready"), answer


def test_parked_rows_have_their_ids(scenario):
    """They may come in later, so that no id of theirs is the application's."""
    s = scenario.make_plain({"t": "(id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, u VARCHAR(20) NOT NULL, UNIQUE KEY (u))"}, targets=False)
    s.downstream.run(f"CREATE TABLE `{s.target}`.t (shard VARCHAR(20) NOT NULL, id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, u VARCHAR(20) NOT NULL, UNIQUE KEY (u))")
    s.task["routes"]["r-t"]["key"] = {"strategy": "error", "on-collision": "conflict-table", "provenance": [{"column": "shard", "value": "${source}"}]}
    s.save()
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 'x'), (2, 'y')")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (700, 'x'), (900, 'y')")
    s.runner.wait_caught_up()
    number = next(r["id"] for r in json.loads(s.runner.verb("conflicts", "--json", "--show").stdout)["targets"][0]["rows"] if r["row"]["id"] == "900")
    s.runner.stop()
    caught_up(s)
    status, answer, targets = finish(s)
    assert status == 1 and "2 rows are parked" in " ".join(answer["warnings"]) and targets["t"]["next"] == 901, answer
    s.start()
    s.runner.wait_caught_up()
    done = s.runner.verb("conflicts", "--decide", "rename", "--id", str(number), "--value", "id=10", "--value", "u=z", "--yes")
    assert done.returncode == 0, done.stderr
    s.runner.stop()
    caught_up(s)
    status, answer, targets = finish(s, "--yes", "--force")
    assert status == 0 and targets["t"]["next"] == 901, (answer, "900 comes back when the decision is undone")
    s.downstream.run(f"INSERT INTO `{s.target}`.t (shard, u) VALUES ('app', 'new')")
    assert max(r[1] for r in s.rows("t")) == 901


@pytest.mark.parametrize("change", ["DROP TABLE `{meta}`.sm_parked", "INSERT INTO `{meta}`.sm_parked VALUES ('{task}', '{target}', 't', 'sm_parked_gone')"])
def test_a_meta_schema_of_another_version(scenario, change):
    """Before rows could be parked; or the empty table beside the target was dropped."""
    s = scenario.make_plain({"t": COUNTS})
    s.shard_run(1, "INSERT INTO {s}.t (id, v) VALUES (70, 2)")
    caught_up(s)
    s.downstream.run(change.format(meta=s.meta, task=s.unique, target=s.target))
    status, answer, targets = finish(s, "--yes")
    assert status == 0 and targets["t"]["next"] == 71, answer


def test_no_room_is_told(scenario):
    s = scenario.make_plain({"t": "(id TINYINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT)"})
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t (id, v) VALUES (127, 1)")
    s.runner.wait_caught_up()
    s.runner.stop()
    caught_up(s)
    status, answer, targets = finish(s, "--yes")
    assert status == 1 and targets["t"]["state"] == "problem" and "wider" in targets["t"]["why"], answer
    human = s.runner.verb("finish")
    assert human.returncode == 1 and "wider" in human.stdout and "127" in human.stdout
