"""A target with parked rows whose schema changes, or has changed, while sources do not answer at the start: it parks all the same."""
import pytest
from harness.proxy import Proxy
from test_conflicts_ddl import FIRST, KEYS, MANY, MODES, check, decide, in_force, make, parked, row_of, settle, start
from test_conflicts_resolve import beside


def behind_proxies(scenario, mode="pessimistic", **options):
    s = make(scenario, mode, **options)
    s.proxies = {shard.number: Proxy(shard.server.host, shard.server.port).start() for shard in s.shards}
    for number, proxy in s.proxies.items():
        s.closers.append(proxy.stop)
        s.source_config(number)["from"].update(host=proxy.host, port=proxy.port)
    s.save()
    return s


def start_without(s, *numbers):
    for number in numbers:
        s.proxies[number].refuse()
        s.proxies[number].close_all()
    s.start()
    s.runner.wait_for("sources to be missed", lambda _: all(f"trying again source=s{n} " in s.runner.log() for n in numbers))


def come_back(s):
    for proxy in s.proxies.values():
        proxy.listen()


def journal(s):
    return [r[0] for r in s.downstream.query(f"SELECT state FROM `{s.meta}`.sm_ddl")]


def wait_journal(s):
    s.runner.wait_for("the job to end", lambda _: journal(s) and set(journal(s)) == {"done"}, 60)


@pytest.mark.parametrize("mode", MODES)
def test_no_source_answers_behind_a_change(scenario, mode):
    """Rows of one shard do not meet another's, which has their keys."""
    s = behind_proxies(scenario, mode)
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    for number in (1, 2):
        s.shard_run(number, "ALTER TABLE {s}.t ADD COLUMN n INT NOT NULL DEFAULT 7")
    check(s, KEYS)
    s.runner.stop()
    start_without(s, 1, 2)
    s.shard_run(2, "UPDATE {s}.t SET v = 99 WHERE id = 1", "DELETE FROM {s}.t WHERE id = 4", "INSERT INTO {s}.t (id, u) VALUES (2, 'lost')")
    come_back(s)
    check(s, KEYS)
    assert [r[:2] for r in parked(s) if r[3] == 99] == [("s2", 1)], "its own row is changed, where it is parked"
    s.runner.stop()


# Away while the job goes on: nobody, so that places are taken by what the state folder knows; or one of both.
@pytest.mark.parametrize("away,point", [((1, 2), "ddl.sent=kill@1"), ((2,), "ddl.intent=kill@4"), ((1, 2), "ddl.locked=kill@1")])
def test_a_job_goes_on_while_sources_are_away(scenario, away, point):
    s = behind_proxies(scenario)
    start(s, faults=point)
    s.shard_run(1, FIRST[1], "INSERT INTO {s}.t (id, u, v, w, at) VALUES (10, 'j', 1, 'z', 5), (21, 'm', 1, 'v', 5)")
    s.shard_run(2, FIRST[2], "INSERT INTO {s}.t (id, u, v, w, at) VALUES (20, 'k', 1, 'v', 5)")
    for shard in (1, 2):
        s.shard_run(shard, f"ALTER TABLE {{s}}.t {MANY}", f"INSERT INTO {{s}}.t (id, u, n, w) VALUES (50, 'e', 3, 'w{shard}')")
    assert s.runner.wait_exit(60) == -9
    start_without(s, *away)
    wait_journal(s)
    assert all(len(parked(s)) > 1 for _ in away)
    come_back(s)
    check(s, [("id",), ("w",)])
    assert len(journal(s)) == 5
    s.runner.stop()


@pytest.mark.parametrize("point", ["ddl.locked=kill@1", "ddl.kept=kill@1", "ddl.sent=kill@1", "ddl.sent=kill@2"])
def test_killed_while_all_three_go(scenario, point):
    """No shard table is there any more at the start."""
    s = make(scenario, key={"on-drop": "apply-when-all"})
    start(s)
    for number in (1, 2):
        settle(s, number, FIRST[number])
    decide(s, "keep", row_of(s, "s2", id=1))
    assert parked(s) and in_force(s) == 2
    tables = {beside(s), beside(s).replace("sm_parked_", "sm_decided_"), "t"}
    s.runner.stop()
    s.start(faults=point)
    for number in (1, 2):
        s.shard_run(number, "DROP TABLE {s}.t")
    assert s.runner.wait_exit(60) == -9
    s.start()
    s.runner.wait_caught_up()
    there = {r[0] for r in s.downstream.query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (%s, %s)", (s.target, s.meta))}
    assert not there & tables
    s.runner.stop()
