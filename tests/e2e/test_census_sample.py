"""A census beyond the number of values that are compared one by one: a sample, with its error."""
import json


def test_a_sample_estimates_within_its_error(scenario):
    s = scenario.make_plain({"t": "(id INT NOT NULL PRIMARY KEY)"}, targets=False)
    s.shard_run(1, "USE {s}", "INSERT INTO {s}.t SELECT seq FROM seq_1_to_1050000", "ANALYZE TABLE {s}.t")
    s.shard_run(2, "USE {s}", "INSERT INTO {s}.t SELECT seq FROM seq_1000001_to_2050000", "ANALYZE TABLE {s}.t")
    done = s.runner.verb("route", "--census", "--json", timeout=300)
    assert done.returncode == 1, (done.returncode, done.stderr)
    t = json.loads(done.stdout)["targets"][0]
    key = next(k for k in t["keys"] if k["name"] == "PRIMARY")
    assert key["exact"] is False and 0 < key["error"] < 20000, key
    assert abs(key["collisions"] - 50000) <= 2 * key["error"], key
    (pair,) = t["overlaps"]
    assert (pair["from"], pair["to"]) == (1000001, 1050000) and not pair["exact"] and abs(pair["collisions"] - 50000) <= 2 * pair["error"], pair
    assert t["ranges_overlap"] and t["recommended"] != "error", t
