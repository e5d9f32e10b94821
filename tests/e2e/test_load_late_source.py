"""A source that cannot be reached when the task starts: all of its tables are copied once it can be."""
import select
import socket
import threading

import pytest
from harness.proxy import Proxy
from test_ddl_copy import FLAVORS, seed_of
from test_rename_in import make, settle


@pytest.mark.parametrize("begun", [False, True], ids=["anew", "again"])
@pytest.mark.parametrize("flavor,follows", [(FLAVORS[0], False), (FLAVORS[1], True)])
def test_reached_later(scenario, flavor, begun, follows):
    """Also those of which no row changes. The shards that can be reached go on meanwhile."""
    s = make(scenario, flavor, seed_of(), writers=False, load={"rows-per-second": 150})
    server = s.shards[1].server
    proxy = Proxy(server.host, server.port).start()
    s.closers.append(proxy.stop)
    address = s.source_config(2)["from"]
    address.pop("socket", None)
    address["host"], address["port"] = proxy.host, proxy.port
    if not follows:
        del s.task["shard-mode"]
    s.save()
    if begun:
        s.start()
        s.runner.wait_for("a part", lambda st: any(t["source"] == "s2" and t["rows"] >= 50 for t in (st["load"] or {}).get("tables", [])), 60)
        s.runner.kill9()
    proxy.refuse()
    proxy.close_all()
    s.start()
    s.runner.wait_for("the first", lambda st: len(st["sources"]) == 2 and st["sources"][0]["state"] in ("loading", "streaming"), 60)
    s.shard_run(2, "INSERT INTO {s}.t_1 (id, v) VALUES (5000000, 1)", "UPDATE {s}.t_1 SET v = v + 1 WHERE id < 1000030")
    proxy.listen()
    s.runner.wait_for("the second", lambda st: st["sources"][1]["state"] in ("loading", "streaming"), 60)
    settle(s, tables=((0, "t_1"), (1, "t_1")))
    s.runner.stop()


class Silent:
    """Takes connections and says nothing; knows which are open still."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        self.taken = 0
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        try:
            while True:
                conn, _ = self.listener.accept()
                self.open = [*self.open, conn]
                self.taken += 1
        except OSError:
            return

    def still_open(self):
        def is_open(conn):
            readable, _, _ = select.select([conn], [], [], 0)
            return not readable or conn.recv(1, socket.MSG_PEEK) != b""
        self.open = [c for c in self.open if is_open(c)]
        return list(self.open)

    def stop(self):
        self.listener.close()
        for conn in self.open:
            conn.close()


@pytest.mark.parametrize("begun", [False, True], ids=["anew", "again"])
def test_silent_while_others_go_on(scenario, begun):
    """Whoever waits for one source's answer, the others begin, rest and go on."""
    s = make(scenario, "mariadb", seed_of(), writers=False, load={"rows-per-second": 150})
    silent = Silent()
    s.closers.append(silent.stop)
    address = s.source_config(2)["from"]
    there = dict(address)
    if begun:
        s.start()
        s.runner.wait_for("a part", lambda st: any(t["source"] == "s2" and t["rows"] >= 50 for t in (st["load"] or {}).get("tables", [])), 60)
        s.runner.kill9()
    address.pop("socket", None)
    address["host"], address["port"] = "127.0.0.1", silent.port
    s.save()
    s.start()
    s.runner.wait_for("the first", lambda st: len(st["sources"]) == 2 and st["sources"][0]["state"] in ("loading", "streaming"), 90)
    for verb, state in (("pause", "paused-by-user"), ("resume", "loading streaming")):
        for _ in range(8):
            assert s.runner.verb("resume" if verb == "pause" else "pause", "--source", "s1").returncode == 0
            s.runner.wait_for("the state before", lambda st: (st["sources"][0]["state"] == "paused-by-user") == (verb == "resume"), 60)
            taken = silent.taken
            s.runner.wait_for("a question", lambda _: silent.taken > taken, 60)
            asked = silent.still_open()
            assert s.runner.verb(verb, "--source", "s1").returncode == 0
            s.runner.wait_for(state, lambda st: st["sources"][0]["state"] in state.split(), 60)
            if set(asked) & set(silent.still_open()):
                break
        else:
            pytest.fail(f"{verb} waits for the source that does not answer\n{s.runner.log_tail()}")
    s.runner.stop()
    s.source_config(2)["from"] = there
    s.save()
    s.start()
    settle(s, tables=((0, "t_1"), (1, "t_1")))
    s.runner.stop()


@pytest.mark.parametrize("task_mode", ["all", "incremental"])
def test_others_have_changed_meanwhile(scenario, task_mode):
    """Nothing of its table is written before its target's lock lets it in: then its rows have its own values."""
    s = make(scenario, "mariadb", seed_of(), writers=False, load={"rows-per-second": 0})
    server = s.shards[1].server
    if task_mode == "incremental":
        for n in (1, 2):
            s.shard_run(n, "DELETE FROM {s}.t_1", "DELETE FROM {s}.other")
            s.instance(n)["meta"] = s.start_point(s.shards[n - 1].server, True)
        s.task["task-mode"] = task_mode
        del s.task["load"]
    proxy = Proxy(server.host, server.port).start()
    s.closers.append(proxy.stop)
    address = s.source_config(2)["from"]
    address.pop("socket", None)
    address["host"], address["port"] = proxy.host, proxy.port
    s.save()
    proxy.refuse()
    s.start()
    s.runner.wait_for("the first", lambda st: len(st["sources"]) == 2 and st["sources"][0]["state"] == "streaming", 60)
    s.shard_run(1, "ALTER TABLE {s}.t_1 ADD COLUMN c INT NOT NULL DEFAULT 7", "INSERT INTO {s}.t_1 (id, v, c) VALUES (5, 5, 5)")
    s.runner.wait_for("the target to change", lambda _: "lock.closed" in s.runner.log(), 60)
    s.shard_run(2, "INSERT INTO {s}.t_1 (id, v) VALUES (5000000, 1), (5000001, 1)", "UPDATE {s}.t_1 SET v = v + 1 WHERE id < 1000030 OR id = 5000000")
    proxy.listen()
    s.runner.wait_for("the lock to wait", lambda st: any(t["lock"] and t["lock"]["state"] == "waiting" for t in st["targets"]), 60)
    s.runner.kill9()
    s.start()
    s.runner.wait_for("held", lambda st: any(x.get("held") for x in st["sources"]), 60)
    assert [r for r in s.rows("t", "id") if r[0] >= 5000000] == []
    s.shard_run(2, "ALTER TABLE {s}.t_1 ADD COLUMN c INT NOT NULL DEFAULT 9", "INSERT INTO {s}.t_1 (id, v) VALUES (5000002, 1)", "UPDATE {s}.t_1 SET v = 5 WHERE id = 5000001",
                "ALTER TABLE {s}.t_1 ALTER COLUMN c SET DEFAULT 7", "INSERT INTO {s}.t_1 (id, v) VALUES (5000003, 1)")
    s.runner.wait_caught_up(60)
    want = sorted(r for x in s.shards for r in x.server.query(f"SELECT id, v, c FROM `{x.schema}`.t_1"))
    got = sorted(s.rows("t", "id, v, c"))
    assert got == want, f"only merged {[r for r in got if r not in want][:8]}, only shards {[r for r in want if r not in got][:8]}"
    s.runner.stop()


def unreachable(s):
    """The second source, until the proxy listens."""
    server = s.shards[1].server
    proxy = Proxy(server.host, server.port).start()
    s.closers.append(proxy.stop)
    address = s.source_config(2)["from"]
    address.pop("socket", None)
    address["host"], address["port"] = proxy.host, proxy.port
    s.save()
    proxy.refuse()
    return proxy


def start_without_it(s):
    s.start()
    s.runner.wait_for("the first", lambda st: len(st["sources"]) == 2 and st["sources"][0]["state"] == "streaming", 60)


@pytest.mark.parametrize("change", ["CHANGE b c INT", "DROP COLUMN b"])
def test_others_have_dropped_its_column(scenario, change):
    """Its table lacks nothing: it has not come to the change yet."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, a INT, b INT)"}, task={"shard-mode": "pessimistic"})
    proxy = unreachable(s)
    start_without_it(s)
    s.shard_run(1, f"ALTER TABLE {{s}}.t {change}")
    s.runner.wait_for("the target to change", lambda _: "lock.closed" in s.runner.log(), 60)
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1001, 1, 2)")
    proxy.listen()
    s.runner.wait_for("the lock to wait", lambda st: st["sources"][1]["state"] == "waiting-for-lock", 60)
    s.shard_run(2, f"ALTER TABLE {{s}}.t {change}")
    s.runner.wait_caught_up()
    assert s.rows("t") == ([(1001, 1, 2)] if "CHANGE" in change else [(1001, 1)])
    s.runner.stop()


@pytest.mark.parametrize("mode", ["all", "incremental"])
def test_a_target_that_does_not_fit(scenario, mode):
    """The remedy is told in full."""
    s = scenario.make_plain({"t": "(id BIGINT PRIMARY KEY, a INT)"}, task={"task-mode": mode})
    for n in (1, 2):
        if mode == "all":
            del s.instance(n)["meta"]
    s.shard_run(2, "DROP TABLE {s}.t", "CREATE TABLE {s}.t (id BIGINT PRIMARY KEY, a INT, x INT)")
    if mode == "incremental":
        s.instance(2)["meta"] = s.start_point(s.shards[1].server, True)
    proxy = unreachable(s)
    start_without_it(s)
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    s.runner.wait_for("its row", lambda _: s.rows("t", "id") == [(1,)])
    s.shard_run(2, "INSERT INTO {s}.t VALUES (1001, 1, 3)")
    proxy.listen()
    statement, again = s.runner.wait_error("s2", "TRACK_TARGET", 60)["remedy"].split("; ")
    assert "start the task again" in again
    s.downstream.run(statement)
    s.runner.stop()
    s.start()
    s.runner.wait_caught_up()
    assert s.rows("t", "id, a, x") == [(1, 1, None), (1001, 1, 3)]
    s.runner.stop()
