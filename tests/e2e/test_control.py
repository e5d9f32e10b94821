"""One task, one process: second processes, forgotten ones, pause and resume, status without a process, changed task files."""
import json
import os
import shutil
import signal
import time

import pytest

from harness.oracle import assert_counters
from harness.proxy import Proxy
from harness.sm import Runner, has_code

TABLES = ("kv", "nokey")


def second(s, **changes):
    """Another runner for the same task; changes replace keys of its task file."""
    import yaml
    folder = s.folder / f"second{len(s.closers)}"
    folder.mkdir()
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump({**s.task, **changes}, sort_keys=False))
    path.chmod(0o600)
    other = Runner(path)
    s.closers.append(other.kill9)
    return other


def test_a_second_process_is_refused(scenario):
    s = scenario.make(tables=TABLES, transactions=0)
    s.start()
    s.work.run(10)
    s.runner.wait_caught_up()
    other = second(s)
    other.start()
    assert other.wait_exit(20) == 2, other.log_tail()
    assert has_code(other.log(), "STORE_LOCKED") and str(s.runner.pid) in other.log(), other.log_tail()
    s.work.run(10)
    s.finish()


def test_a_forgotten_process_is_fenced(scenario):
    """The same task started elsewhere with a copy of the state: the first one may not write a single row more."""
    s = scenario.make(tables=TABLES, transactions=0)
    s.start()
    s.work.run(20)
    s.runner.wait_caught_up()
    os.kill(s.runner.pid, signal.SIGSTOP)
    shutil.copytree(s.folder / "state", s.folder / "state2", ignore=shutil.ignore_patterns("*.sock"))
    other = second(s, **{"state-dir": str(s.folder / "state2")})
    other.start()
    s.work.run(20)
    other.wait_caught_up()
    os.kill(s.runner.pid, signal.SIGCONT)
    s.work.run(20)
    status = s.runner.wait_exit(60)
    assert status == 3 and has_code(s.runner.log(), "APPLY_FENCED"), f"exit status {status}\n{s.runner.log_tail()}"
    other.wait_caught_up()
    s.check_merged()
    other.stop()


def test_a_process_fenced_with_its_commit_under_way(scenario):
    """The old process is stopped before COMMIT, the new one takes over, the old COMMIT must fail or be waited for."""
    s = scenario.make(tables=TABLES, transactions=0)
    proxy = Proxy(s.downstream.host, s.downstream.port).start()
    s.closers.append(proxy.stop)
    mine = dict(s.task["target-database"])
    s.task["target-database"].update(host=proxy.host, port=proxy.port)
    s.task["syncers"]["global"]["checkpoint-flush-interval"] = 600  # none while the COMMIT is held: a copied state would be behind it
    s.save()
    s.start()
    s.work.run(10)
    s.runner.wait_caught_up()
    rule = proxy.hold_commit(seconds=600, nth=1, close_client=False)
    s.work.run(10)
    rule.wait(20)
    shutil.copytree(s.folder / "state", s.folder / "state2", ignore=shutil.ignore_patterns("*.sock"))
    other = second(s, **{"state-dir": str(s.folder / "state2"), "target-database": mine})
    other.start()
    raises_the_epoch = f"SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE%{s.meta}%sm_progress% SET epoch = %'"
    other.wait_for("the new process to wait for the COMMIT", lambda _: s.downstream.value(raises_the_epoch) > 0, 60)
    rule.release.set()
    s.work.run(10)
    s.runner.wait_exit(60)
    assert has_code(s.runner.log(), "APPLY_FENCED"), s.runner.log_tail()
    other.wait_caught_up(60)
    s.check_merged()
    other.stop()


def test_pause_and_resume_one_source(scenario):
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"})
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_caught_up()
    done = s.runner.verb("pause", "--source", "s1")
    assert done.returncode == 0, done.stderr
    s.runner.wait_for("s1 to be paused", lambda st: st["sources"][0]["state"] == "paused-by-user")
    s.shard_run(1, "INSERT INTO {s}.t VALUES (2, 2)")
    s.shard_run(2, "INSERT INTO {s}.t VALUES (3, 3)")
    s.runner.wait_for("the other source to go on", lambda _: (3, 3) in s.rows("t"))
    time.sleep(0.5)
    assert (2, 2) not in s.rows("t"), "a paused source went on"
    s.runner.stop()
    s.start()
    s.runner.wait_for("the pause to outlive a restart", lambda st: st["running"] and st["sources"][0]["state"] == "paused-by-user")
    assert s.runner.verb("resume", "--source", "s1").returncode == 0
    s.runner.wait_caught_up()
    assert s.rows("t") == [(1, 1), (2, 2), (3, 3)]
    s.runner.stop()


def test_pause_the_whole_task_under_load(scenario):
    s = scenario.make(tables=TABLES, transactions=0)
    s.work.options.pause_s = 0.01
    s.start()
    s.runner.wait_for("the task to run", lambda st: st["running"])
    s.work.start(60)
    for _ in range(3):
        time.sleep(0.4)
        assert s.runner.verb("pause").returncode == 0
        s.runner.wait_for("all sources to be paused", lambda st: all(x["state"] == "paused-by-user" for x in st["sources"]))
        assert s.runner.verb("resume").returncode == 0
    s.work.join()
    s.finish()


def test_unknown_source(scenario):
    s = scenario.make(tables=("kv",), transactions=0)
    s.start()
    s.runner.wait_caught_up()
    done = s.runner.verb("pause", "--source", "nobody")
    assert done.returncode == 2 and has_code(done.stderr + done.stdout, "OPS_NO_SUCH_SOURCE"), f"{done.returncode} {done.stderr}"


def test_stop(scenario):
    s = scenario.make(tables=TABLES, transactions=0)
    s.work.run(30)
    s.start()
    done = s.runner.wait_for("the task to run", lambda st: st["running"] and st["state"] != "starting") and s.runner.verb("stop")
    assert done.returncode == 0, done.stderr
    assert s.runner.wait_exit(30) == 0, s.runner.log_tail()
    assert s.runner.verb("pause").returncode == 2, "pause of a task that does not run"
    s.start()
    s.finish()


def test_status_without_a_process(scenario):
    s = scenario.make(tables=TABLES, transactions=0)
    s.start()
    s.work.run(20)
    live = s.finish()
    offline = s.runner.status()
    assert offline["task"] == s.unique and offline["state"] == "stopped", offline
    for a, b in zip(live["sources"], offline["sources"]):
        assert a["counters"] == b["counters"], "counters differ between the running task and its stores"
    assert_counters(offline)
    text = s.runner.verb("status").stdout
    assert "s1" in text and "s2" in text, text


def test_status_after_a_kill(scenario):
    s = scenario.make(tables=TABLES, transactions=0)
    s.start()
    s.work.run(20)
    s.runner.wait_caught_up()
    s.runner.kill9()
    status = s.runner.status()
    assert status["state"] != "streaming", f"a killed task is shown as running: {status['state']}"
    assert_counters(status)


def test_counters_survive_kills(scenario):
    """Durable counters count exactly what the floor covers: after any number of kills they equal those of one run."""
    s = scenario.make(tables=TABLES, transactions=0)
    s.work.options.pause_s = 0.003
    for n in range(4):
        s.start(f"apply.after_commit=kill@{3 + n}" if n < 3 else "")
        if n == 3:
            s.work.run(20)
            break
        s.work.start()  # until it has died: the third commit comes for certain
        assert s.runner.wait_exit(90) == -9, s.runner.log_tail()
        s.work.stop()
    status = s.finish()
    for source, shard in zip(status["sources"], s.shards):
        counters = source["counters"]
        assert counters["applied"] > 0 and counters["read"] == counters["applied"] + counters["filtered"], counters
        file, pos = shard.server.binlog_position()
        assert source["position"]["file"] == file, source["position"]
    fresh = second(s, name=s.unique + "f", **{"state-dir": str(s.folder / "fresh"), "meta-schema": s.meta + "2"})
    s._made.append((s.downstream, s.meta + "2"))
    s.downstream.run(*(f"DELETE FROM `{s.target}`.`{t}`" for t in TABLES))
    fresh.start()
    once = fresh.wait_caught_up()
    s.check_merged()
    assert [x["counters"] for x in once["sources"]] == [x["counters"] for x in status["sources"]]
    fresh.stop()


@pytest.mark.parametrize("mode", ["all", "incremental"])
def test_a_first_start_that_was_refused_binds_nobody(scenario, mode):
    """A wrong rule is told at the first start; corrected, the task begins, and only from then on it is bound to its file."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, v INT)"}, ("mariadb", "mysql"), task={"task-mode": mode, "create-tables": False})
    for n in (1, 2):
        s.shard_run(n, f"INSERT INTO {{s}}.t VALUES ({n}, {n})")
    good, route = s.target, s.task["routes"]["r-t"]
    route["target-table"] = "wrong"
    s.save()
    s.start()
    assert s.runner.wait_exit(30) == 3, s.runner.log_tail()
    assert has_code(s.runner.log(), "TRACK_TARGET"), s.runner.log_tail()
    route["target-table"] = "t"
    s.save()
    s.start()
    s.runner.wait_caught_up()
    assert list(s.rows("t")) == [(1, 1), (2, 2)]
    s.runner.stop()
    route["target-schema"] = good + "_2"
    s.save()
    s.start()
    assert s.runner.wait_exit(30) == 2 and has_code(s.runner.log(), "STATE_TASK_CHANGED"), s.runner.log_tail()


@pytest.mark.parametrize("key,value", [("routes", "target"), ("meta-schema", "other"), ("case-sensitive", True)])
def test_a_changed_task_file_is_refused(scenario, key, value):
    s = scenario.make(tables=("kv",), transactions=0)
    s.start()
    s.work.run(5)
    s.finish()
    if key == "routes":
        s.task["routes"]["r-kv"]["target-table"] = "kv2"
    elif key == "meta-schema":
        s.task[key] = s.meta + "2"
        s._made.append((s.downstream, s.meta + "2"))
    else:
        s.task[key] = value
    s.save()
    s.start()
    assert s.runner.wait_exit(20) == 2, s.runner.log_tail()
    assert has_code(s.runner.log(), "STATE_TASK_CHANGED"), s.runner.log_tail()
    assert {"routes": "kv2", "meta-schema": s.meta + "2", "case-sensitive": "case"}[key] in s.runner.log(), "the difference is not shown"


def test_what_may_change(scenario):
    s = scenario.make(tables=TABLES, transactions=0)
    s.start()
    s.work.run(10)
    s.finish()
    s.task["syncers"]["global"].update({"worker-count": 2, "batch": 17})
    s.task.update({"memory-limit": "64MiB", "split-transaction-rows": 77, "collision-grace": "2s", "on-missing-row": "record"})
    s.save()
    s.start()
    s.work.run(10)
    s.finish()


def test_a_lost_state_folder(scenario):
    """The downstream knows the task, the state folder is new: refused with the remedies, nothing is applied twice."""
    s = scenario.make(tables=TABLES, transactions=0)
    s.start()
    s.work.run(10)
    s.finish()
    shutil.rmtree(s.folder / "state")
    s.start()
    assert s.runner.wait_exit(20) == 2, s.runner.log_tail()
    assert has_code(s.runner.log(), "STATE_BEHIND"), s.runner.log_tail()
    s.check_merged()


def test_a_downstream_restored_from_an_old_backup(scenario):
    """The meta schema is behind the state folder."""
    s = scenario.make(tables=("kv",), transactions=0)
    s.start()
    s.work.run(10)
    s.finish()
    backup = {t: s.downstream.query(f"SELECT * FROM `{s.meta}`.`{t}`") for (t,) in
              s.downstream.query("SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'", (s.meta,))}
    s.start()
    s.work.run(10)
    s.finish()
    conn = s.downstream.connect()
    with conn.cursor() as cur:
        for table, rows in backup.items():
            cur.execute(f"DELETE FROM `{s.meta}`.`{table}`")
            for row in rows:
                cur.execute(f"INSERT INTO `{s.meta}`.`{table}` VALUES ({', '.join(['%s'] * len(row))})", row)
    conn.close()
    s.start()
    assert s.runner.wait_exit(20) == 2, f"a downstream that is behind went unnoticed\n{s.runner.log_tail()}"
    assert has_code(s.runner.log(), "STATE_BEHIND"), s.runner.log_tail()


def test_json_log_lines(scenario):
    s = scenario.make(tables=("kv",), transactions=0)
    s.start(extra=("--log-format", "json"))
    s.work.run(5)
    s.finish()
    lines = [x for x in s.runner.log().splitlines() if x.strip()]
    assert lines, "no log"
    for line in lines:
        json.loads(line)
    assert any("task.started" in x for x in lines), lines[:5]


def test_check_verb(scenario):
    s = scenario.make(tables=("kv",), transactions=0)
    done = s.runner.verb("check")
    assert done.returncode == 0, f"check of a good task: {done.stdout}{done.stderr}"
    s.downstream.run(f"CREATE TRIGGER `{s.target}`.tr BEFORE INSERT ON `{s.target}`.kv FOR EACH ROW SET NEW.v = 0")
    done = s.runner.verb("check")
    assert done.returncode == 1 and "trigger" in (done.stdout + done.stderr).lower(), f"{done.returncode} {done.stdout}{done.stderr}"


def test_sigint_and_sigterm_under_load(scenario):
    s = scenario.make(tables=TABLES, transactions=0)
    s.work.options.pause_s = 0.005
    s.work.start()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        s.start()
        s.runner.wait_for("the task to run", lambda st: st["running"])
        time.sleep(0.8)
        os.kill(s.runner.pid, sig)
        assert s.runner.wait_exit(30) == 0, s.runner.log_tail()
    s.work.stop()
    s.start()
    s.finish()
