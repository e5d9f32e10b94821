"""Where a snapshot stands. MariaDB keeps the answer in one variable of the whole server and hands it to another session that asks at the same time
(measured: one answer of 200 beside one other that asks all the time). A chunk that went by it would be older or newer than it says."""
import pytest

from harness.proxy import Proxy
from test_load_xa import copied

ASK = r"^SHOW STATUS LIKE 'binlog"


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("flavor", ["mariadb", "mariadb11"])
def test_the_answer_of_another_session(scenario, flavor, nth):
    """It stands behind a change that the snapshot does not see. By the real server's habit: now and then, not each time."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v INT)"}, (flavor,), task={"task-mode": "all"})
    server, schema = s.shards[0].server, s.shards[0].schema
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1), (2, 2)")
    with Proxy(server.host, server.port) as proxy:
        s.source_config(1)["from"].update(host=proxy.host, port=proxy.port)
        s.save()

        def change():
            server.run(f"UPDATE `{schema}`.t SET v = 20 WHERE id = 2")
            file, pos = server.query("SHOW MASTER STATUS")[0][:2]
            other.options["rows"] = [["Binlog_snapshot_file", file], ["Binlog_snapshot_position", pos]]

        proxy.call(ASK, change, nth)
        other = proxy.answer(ASK, ["Variable_name", "Value"], [], nth, 1)
        s.start()
        s.runner.wait_for("the copy", copied, 60)
        s.runner.wait_caught_up(60)
        assert other.fired.is_set() and s.rows("t") == [(1, 1), (2, 20)]
        s.runner.stop()


def test_never_the_same_twice(scenario):
    """Nothing is read by an answer that may be wrong: it is asked again, and told why the copy waits."""
    s = scenario.make_plain({"t": "(id INT PRIMARY KEY, v INT)"}, ("mariadb",), task={"task-mode": "all"})
    server = s.shards[0].server
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1)")
    with Proxy(server.host, server.port) as proxy:
        s.source_config(1)["from"].update(host=proxy.host, port=proxy.port)
        s.save()
        n = [1 << 30]

        def another():
            n[0] += 1
            other.options["rows"] = [["Binlog_snapshot_file", "binlog.000001"], ["Binlog_snapshot_position", n[0]]]

        call = proxy.call(ASK, another, times=0)
        other = proxy.answer(ASK, ["Variable_name", "Value"], [])
        s.start()
        s.runner.wait_for("the reason", lambda _: "does not answer the same" in s.runner.log())
        assert s.rows("t") == []
        other.times = call.times = 1
        s.runner.wait_for("the copy", copied, 60)
        assert s.rows("t") == [(1, 1)]
        s.runner.stop()
