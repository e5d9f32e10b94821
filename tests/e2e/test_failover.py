"""The shard's server dies and the source goes on with a replica whose files and positions differ: by GTID, exactly."""
import pytest

from harness import servers
from harness.sm import endpoint

TABLES = ("kv", "uniq", "nokey")


@pytest.fixture(params=["mariadb", "mysql"])
def pair(request):
    """A primary and its native replica, both fresh: the replica has written other binlog files of its own."""
    primary, replica = servers.start_all([servers.make(request.param, "primary"), servers.make(request.param, "replica")])
    if request.param == "mariadb":
        replica.run("SET GLOBAL gtid_domain_id = 0")
    replica.run("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    replica.replicate_from(primary)
    yield primary, replica
    primary.destroy()
    replica.destroy()


def make(s, primary):
    """A scenario of one shard on the primary of the pair."""
    from harness.workload import Shard, Workload
    s.make_downstream()
    s.shards = [Shard(primary, f"{s.unique}_s1", 1)]
    s.work = Workload(s.shards, tables=TABLES, transactions=0)
    s.work.create()
    s.work.create_targets(s.downstream, s.target)
    s.write_task({base: f"{base}_*" for base in TABLES})


def promote(s, replica):
    """The replica is the shard's server now, for the workload and for the task file."""
    replica.stop_replica()
    s.shards[0].server = replica
    s.source_config(1)["from"] = endpoint(replica)
    s.save()


def test_failover_between_two_runs(scenario, pair):
    primary, replica = pair
    s = scenario
    make(s, primary)
    s.start()
    s.work.run(40)
    s.runner.wait_caught_up()
    s.runner.stop()
    s.work.run(20)
    replica.wait_replica_of(primary)
    primary.kill()
    promote(s, replica)
    s.work.run(20)
    s.start()
    s.finish(120)


def test_failover_after_kill_with_work_under_way(scenario, pair):
    """Transactions above the floor are recognised on the other server by identity."""
    primary, replica = pair
    s = scenario
    make(s, primary)
    s.work.run(60)
    s.start("apply.after_commit=kill@1")  # the backlog may be one batch
    s.runner.wait_exit(90)
    replica.wait_replica_of(primary)
    primary.kill()
    promote(s, replica)
    s.start()
    s.work.run(20)
    s.finish(120)


def test_failover_under_a_fixed_address(scenario, pair):
    """A proxy is the address; it points to the replica from one moment on, the program runs all the time."""
    from harness.proxy import Proxy
    primary, replica = pair
    s = scenario
    make(s, primary)
    proxy = Proxy(primary.host, primary.port).start()
    s.closers.append(proxy.stop)
    s.source_config(1)["from"].update(host=proxy.host, port=proxy.port)
    s.save()
    s.start()
    s.work.run(40)
    replica.wait_replica_of(primary)
    proxy.server_port = replica.port
    primary.kill()
    proxy.close_all()
    replica.stop_replica()
    s.shards[0].server = replica
    s.work.run(30)
    s.finish(120)
    assert s.runner.runs == 1


def test_a_replica_that_is_behind_is_refused(scenario, pair):
    """It lacks transactions that are merged already: going on would lose its new ones or double the old."""
    primary, replica = pair
    s = scenario
    make(s, primary)
    s.work.run(20)
    replica.wait_replica_of(primary)
    replica.stop_replica()
    s.start()
    s.work.run(20)
    s.runner.wait_caught_up()
    s.runner.stop()
    primary.kill()
    promote(s, replica)
    replica.run(f"INSERT INTO `{s.shards[0].schema}`.skipped (v) VALUES ('new history')")
    s.start()
    s.runner.wait_error("s1", "SOURCE_HISTORY")
