"""Rows that foreign keys change: merged where the source logs them, refused where it does not."""
import pytest

from harness.sm import has_code

T = {"t": "(id BIGINT PRIMARY KEY, p INT)"}


def make(scenario, flavor, **options):
    s = scenario.make_plain(T, (flavor,), server_options=options)
    s.shard_run(1, "CREATE TABLE {s}.parent (id INT PRIMARY KEY)", "INSERT INTO {s}.parent VALUES (1), (2)",
                "ALTER TABLE {s}.t ADD FOREIGN KEY (p) REFERENCES {s}.parent (id) ON DELETE CASCADE ON UPDATE CASCADE")
    s.write_task({"t": "t"})
    return s


def test_a_server_that_logs_cascades(scenario):
    s = make(scenario, "mysql", innodb_native_foreign_keys="OFF")
    s.start()
    s.shard_run(1, "INSERT INTO {s}.t VALUES (1, 1), (2, 2), (3, 2)", "UPDATE {s}.parent SET id = 5 WHERE id = 2",
                "DELETE FROM {s}.parent WHERE id = 1")
    s.runner.wait_caught_up()
    assert s.rows("t", "id, p") == [(2, 5), (3, 5)]


@pytest.mark.parametrize("flavor, options", [("mysql", {"innodb_native_foreign_keys": "ON"}), ("mariadb", {})])
def test_a_server_that_does_not(scenario, flavor, options):
    s = make(scenario, flavor, **options)
    s.start()
    s.runner.wait_exit(60)
    assert has_code(s.runner.log(), "NOT_SUPPORTED") and "CASCADE" in s.runner.log(), s.runner.log_tail()
