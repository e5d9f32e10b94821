"""An answer that does not come whole is an error, wherever the connection ends in it; it is never a result with fewer rows."""
import os
import subprocess
from pathlib import Path

import pytest

from harness.proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("SHARDMERGE_TOOLS", ROOT / "build/release/harness")) / "conn_check"
ROWS = "SELECT n, REPEAT('x', 20) FROM (SELECT 1 n UNION SELECT 2 UNION SELECT 3) t"


def outcome(proxy, server, how, sql):
    assert TOOL.exists(), f"{TOOL} is not there: run make e2e, or set SHARDMERGE_TOOLS"
    done = subprocess.run([TOOL, proxy.host, str(proxy.port), server.user, server.password, how, sql], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("how,sql,whole", [("query", ROWS, "rows 3"), ("stream", ROWS, "rows 3"), ("exec", ROWS, "done"), ("query", f"SELECT 1; {ROWS}", "rows 1"), ("exec", f"DO 0; {ROWS}", "done")],
                         ids=["query", "stream", "exec", "query-of-two", "exec-of-two"])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
def test_an_answer_that_is_cut(pool, flavor, how, sql, whole):
    server = pool.get("conn-" + flavor, flavor)
    with Proxy(server.host, server.port) as proxy:
        rule = proxy.cut_answer("REPEAT", at=1 << 20)
        assert outcome(proxy, server, how, sql) == whole
        size = rule.options["size"]
        places = range(0, size, max(1, size // 60))
        outcomes = {}
        for at in places:
            proxy.clear()
            proxy.cut_answer("REPEAT", at=at)
            outcomes[at] = outcome(proxy, server, how, sql)
    wrong = {at: o for at, o in outcomes.items() if o != "DB_LOST"}
    assert not wrong, f"cut at these bytes of {size}: {wrong}"


@pytest.mark.parametrize("taken_for", ["mariadb", "mysql"])
@pytest.mark.parametrize("flavor", ["mariadb", "mysql", "mariadb11"])
def test_a_server_says_who_it_is_whatever_it_is_taken_for(pool, flavor, taken_for):
    server = pool.get("conn-" + flavor, flavor)
    want = server.uuid() if flavor == "mysql" else f"server_id:{server.number}"
    assert outcome(server, server, "identity", taken_for) == want
