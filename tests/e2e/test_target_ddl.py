"""Changes of a target's definition, by the journal that survives everybody's crash: each statement reaches the server once,
whoever is killed, and what cannot be decided is left to an operator."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("SHARDMERGE_TOOLS", ROOT / "build/release/harness")) / "target_ddl"
FLAVORS = ["mariadb", "mysql"]
SENT = r"^/\* shardmerge "  # a statement of the journal itself; its text is also written into the journal
BASE = "(id INT NOT NULL PRIMARY KEY, a VARCHAR(20) NOT NULL, b INT DEFAULT NULL, KEY kb (b)) DEFAULT CHARSET=utf8mb4"
WANT = ("(id BIGINT NOT NULL PRIMARY KEY, a VARCHAR(40) NOT NULL, c DATETIME(3) DEFAULT NULL COMMENT 'new', e INT NOT NULL DEFAULT 7, "
        "UNIQUE KEY ua (a)) DEFAULT CHARSET=utf8mb4")


class Target:
    """One server, one schema with `t` (the target), `base` (as it was) and `want` (as it shall be), and the tool."""

    def __init__(self, server, unique: str, base: str = BASE, want: str = WANT):
        self.server, self.schema, self.meta, self.task = server, f"{unique}_d", f"{unique}_m", f"{unique}_task"
        self.port = 0  # of a proxy
        self.running: list[subprocess.Popen] = []
        server.run(f"CREATE DATABASE `{self.schema}`", "SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = ON")
        for name, definition in (("t", base), ("base", base), ("want", want)):
            server.run(f"CREATE TABLE `{self.schema}`.{name} {definition}")
        server.run(f"INSERT INTO `{self.schema}`.t (id, a, b) VALUES (1, 'one', 1), (2, 'two', NULL)")
        self.binlog = server.binlog_position()
        self.epoch = self.start()

    def command(self, verb: str, **args) -> list[str]:
        where = [f"socket={self.server.socket_path}", "host=127.0.0.1", f"port={self.port}"]
        known = {"verb": verb, "user": self.server.user, "password": self.server.password, "meta": self.meta, "task": self.task,
                 "schema": self.schema, "table": "t", "base": "base", "want": "want", "job": 1}
        if verb not in ("start", "history", "pending"):
            known["epoch"] = self.epoch
        known.update(args)
        return [str(TOOL), *where, *(f"{k}={v}" for k, v in known.items())]

    def begin(self, verb: str = "run", faults: str = "", **args) -> subprocess.Popen:
        environment = dict(os.environ)
        environment.pop("SHARDMERGE_FAULTS", None)
        if faults:
            environment["SHARDMERGE_FAULTS"] = faults
        process = subprocess.Popen(self.command(verb, **args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        self.running.append(process)
        return process

    def call(self, verb: str = "run", status: int = 0, timeout: float = 60, **args) -> str:
        process = self.begin(verb, **args)
        out, _ = process.communicate(timeout=timeout)
        assert process.returncode == status, f"exit {process.returncode}\n{out}"
        return out

    def start(self) -> int:
        return int(self.call("start").splitlines()[0])

    def history(self) -> list[dict]:
        """Newest first."""
        out = []
        for line in self.call("history").splitlines()[:-1]:
            m = re.match(r"(\d+)\.(\d+) (\w+) attempts=(\d+) epoch=(\d+) before=(\d) after=(\d) ended=(\d) (.*)", line)
            if m:
                out.append({"job": int(m[1]) % 2**32, "n": int(m[2]), "state": m[3], "attempts": int(m[4]), "epoch": int(m[5]), "ended": m[8] == "1", "statement": m[9]})
        return out

    def states(self, job: int = 1) -> list[str]:
        return [r["state"] for r in reversed(self.history()) if r["job"] == job]

    def number(self, job: int = 1) -> int:
        """The job's number in the journal, which holds the place of its target."""
        return self.server.value(f"SELECT MAX(job) FROM `{self.meta}`.sm_ddl WHERE task = '{self.task}' AND target_table = 't' AND job & 0xffffffff = {job}") or job

    def sent(self, job: int = 1) -> dict[int, int]:
        """How often each statement of the job reached the server."""
        job = self.number(job)
        rows = self.server.query("SELECT argument FROM mysql.general_log WHERE command_type = 'Query' AND argument LIKE "
                                 f"'/* shardmerge % job {job}.% */ %`{self.schema}`%'")
        out: dict[int, int] = {}
        for (text,) in rows:
            text = text.decode() if isinstance(text, bytes) else text
            n = int(re.match(rf"/\* shardmerge \S+ job {job}\.(\d+) \*/", text)[1])
            out[n] = out.get(n, 0) + 1
        return out

    def definition(self, table: str = "t") -> str:
        text = self.server.query(f"SHOW CREATE TABLE `{self.schema}`.`{table}`")[0][1]
        text = re.sub(r"CREATE TABLE `\w+`", "CREATE TABLE x", text)
        return re.sub(r"(?m)^(  .*?) CHARACTER SET \w+ COLLATE \w+", r"\1", text)  # MySQL shows what was written although it is the table's

    def is_as_wanted(self) -> None:
        assert self.definition() == self.definition("want")

    def executed(self, job: int = 1) -> dict[int, int]:
        """How often the server did each statement of the job: by its binlog, where what failed does not stand."""
        job = self.number(job)
        out: dict[int, int] = {}
        begin_file, begin_pos = self.binlog
        for row in self.server.query("SHOW BINARY LOGS"):
            if row[0] < begin_file:
                continue
            start = f" FROM {begin_pos}" if row[0] == begin_file else ""
            for event in self.server.query(f"SHOW BINLOG EVENTS IN '{row[0]}'{start}"):
                m = re.search(rf"/\* shardmerge \S+ job {job}\.(\d+) \*/ (?:ALTER|CREATE|DROP|TRUNCATE) TABLE `{self.schema}`", event[5])
                if m and event[2] in ("Query", "Query_event"):
                    out[int(m[1])] = out.get(int(m[1]), 0) + 1
        return out

    def once(self, steps: int, job: int = 1, sends: tuple[int, ...] = (1,)) -> None:
        """Everything is done, each statement was executed once; and sent so often."""
        assert self.states(job) == ["done"] * steps
        assert self.executed(job) == {n: 1 for n in range(steps)}
        sent = self.sent(job)
        assert sorted(sent) == list(range(steps)) and set(sent.values()) <= set(sends), sent

    def fill(self, rows: int) -> int:
        """So many rows more: changing them takes the server a while. Returns how many there are."""
        digits = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
        joins = " ".join(f"JOIN {digits} d{i}" for i in range(1, 6))
        number = "+".join(f"d{i}.d*{10 ** i}" for i in range(6))
        self.server.run(f"INSERT INTO `{self.schema}`.t SELECT n, CONCAT('row ', n), n FROM (SELECT 100 + {number} AS n FROM {digits} d0 {joins}) x WHERE n < 100 + {rows}")
        return self.server.value(f"SELECT COUNT(*) FROM `{self.schema}`.t")

    def wait_line(self, process: subprocess.Popen, start: str) -> str:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if line.startswith(start):
                return line
        raise AssertionError(f"no line {start!r}:\n{''.join(seen)}")

    def wait_running(self, timeout: float = 20) -> int:
        """The id of the connection that runs the first job's first statement."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            rows = self.server.query("SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()",
                                     (f"/* shardmerge %job {self.number()}.0%`{self.schema}`%",))
            if rows:
                return rows[0][0]
            time.sleep(0.02)
        raise AssertionError("nothing runs")

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
        if self.server.running:
            self.server.run("SET GLOBAL general_log = OFF", f"DROP DATABASE IF EXISTS `{self.schema}`", f"DROP DATABASE IF EXISTS `{self.meta}`")


class Blocker:
    """A transaction that has read the target: an ALTER waits for its end."""

    def __init__(self, target: Target):
        self.conn = target.server.connect(autocommit=False)
        with self.conn.cursor() as cur:
            cur.execute(f"SELECT * FROM `{target.schema}`.t LIMIT 1")
            cur.fetchall()

    def release(self) -> None:
        self.conn.rollback()
        self.conn.close()


@pytest.fixture(params=FLAVORS)
def target(request, pool, unique):
    out = Target(pool.get(f"ddl-{request.param}", request.param), unique)
    yield out
    out.close()


def two_steps(target: Target) -> dict:
    """TRUNCATE, then the ALTER."""
    return {"rows": "truncate;"}


def test_create_change_and_drop(target):
    s = target
    s.server.run(f"DROP TABLE `{s.schema}`.t")
    out = s.call(base="", want="base", job=1)
    assert "running 0/1" in out and "finished 1/1" in out
    assert s.definition() == s.definition("base")
    s.call(job=2)
    s.is_as_wanted()
    s.call(job=3, want="", base="want")
    assert not s.server.query(f"SHOW TABLES FROM `{s.schema}` LIKE 't'")
    for job in (1, 2):
        s.once(1, job)
    assert s.states(3) == ["done"] and s.sent(3) == {0: 1}  # a DROP stands in the binlog in the server's own words
    rows = s.history()
    assert [r["job"] for r in rows] == [3, 2, 1] and all(r["ended"] and r["attempts"] == 1 for r in rows)
    s.call(job=3, want="", base="want")  # again: the journal knows it, nothing is sent
    assert s.sent(3) == {0: 1}
    assert s.call("pending").split() == ["ok"]


def test_many_statements(target):
    """One clause each, as TiDB needs them."""
    s = target
    s.call(dialect="tidb")
    steps = len(s.states())
    assert steps >= 6
    s.is_as_wanted()
    s.once(steps)
    assert [r["n"] for r in s.history()] == list(range(steps - 1, -1, -1))


@pytest.mark.parametrize("point", ["ddl.locked", "ddl.planned", "ddl.intent", "ddl.sent", "ddl.done"])
@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("passage", [1, 2])
def test_a_crash_at_any_point(target, point, action, passage):
    if point == "ddl.planned" and passage == 2:
        passage = 1
    s = target
    args = two_steps(s)
    process = s.begin(faults=f"{point}={action}@{passage}", **args)
    out, _ = process.communicate(timeout=30)
    if action == "kill":
        assert process.returncode == -signal.SIGKILL, out
        if point in ("ddl.intent", "ddl.sent"):
            assert s.states()[passage - 1] == "intent"
        assert (s.call("pending").split() == ["ok"]) == ((point, passage) in (("ddl.locked", 1), ("ddl.done", 2)))
        s.epoch = s.start()
        out = s.call(**args)
    else:  # tries again by itself
        assert process.returncode == 0, out
        assert "retrying" in out and f"fault {point}" in out
    s.is_as_wanted()
    assert s.server.value(f"SELECT COUNT(*) FROM `{s.schema}`.t") == 0
    sent = s.sent()
    if point == "ddl.sent" and passage == 1:  # TRUNCATE looks alike before and after: it may run twice
        assert sent == {0: 2, 1: 1} and s.executed() == {0: 2, 1: 1}
        assert s.states() == ["done", "done"]
    else:
        s.once(2)


def test_our_process_is_killed_while_the_server_copies_rows(target, unique):
    """The server goes on without us: it is waited for, and found done. MariaDB's copy must last until the second process has looked: if it
    did not, the next one has more rows. MySQL's is made to wait for its end."""
    for fresh, rows in enumerate((150000, 500000, 1000000)):
        s = Target(target.server, f"{unique}_{fresh}") if fresh else target
        try:
            if killed_while_it_copies(s, s.fill(rows)):
                return
        finally:
            if fresh:
                s.close()
    raise AssertionError("the copy was over each time before the second process looked")


def killed_while_it_copies(s: Target, rows: int) -> bool:
    """False: the copy was over before the second process looked."""
    first = s.begin()
    connection = s.wait_running()
    state, blocker = "", None
    while "copy" not in state:
        found = s.server.query("SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = %s AND INFO IS NOT NULL", (connection,))
        if not found:
            return False
        state = found[0][0] or ""
    if s.server.flavor == "mysql":
        blocker = Blocker(s)
    first.kill()
    first.wait()
    s.epoch = s.start()
    second = s.begin()
    lines = []
    while not lines or not lines[-1].startswith(("waiting-lock", "finished")):
        lines.append(second.stdout.readline())
        assert lines[-1], lines
    looked = lines[-1].startswith("waiting-lock")
    assert f"connection={connection}" in lines[-1] if looked else blocker is None, lines
    if blocker:
        assert s.sent() == {0: 1} and s.states() == ["intent"]
        blocker.release()
    assert second.wait(120) == 0
    s.is_as_wanted()
    s.once(1)
    assert s.history()[0]["attempts"] == 1 and s.history()[0]["epoch"] == s.epoch
    assert s.server.value(f"SELECT COUNT(*) FROM `{s.schema}`.t") == rows
    return looked


def test_our_process_is_killed_while_its_statement_waits(target):
    """For others on the table: MySQL goes on waiting, MariaDB sees within a second that the client is gone and gives the
    statement up, which is then sent again."""
    s = target
    blocker = Blocker(s)
    first = s.begin()
    connection = s.wait_running()
    first.kill()
    first.wait()
    s.epoch = s.start()
    second = s.begin()
    if s.server.flavor == "mysql":
        assert f"connection={connection}" in s.wait_line(second, "waiting-lock")
        assert s.sent() == {0: 1}
    assert s.states() == ["intent"]
    blocker.release()
    assert second.wait(30) == 0
    s.is_as_wanted()
    s.once(1, sends=(1,) if s.server.flavor == "mysql" else (1, 2))
    assert s.history()[0]["epoch"] == s.epoch


def test_the_connection_is_lost_while_the_server_alters(target):
    s = target
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        blocker = Blocker(s)
        proxy.stall(SENT, seconds=0.5, kill_client=True)
        process = s.begin()
        s.wait_line(process, "retrying")
        s.wait_line(process, "waiting-lock")
        blocker.release()
        assert process.wait(30) == 0
        s.port = 0
    s.is_as_wanted()
    s.once(1)


def test_the_answer_is_lost(target):
    s = target
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        proxy.drop_after(SENT)
        assert "retrying" in s.call()
        s.port = 0
    s.is_as_wanted()
    s.once(1)


def test_the_answer_never_comes(target):
    """The network is dead and says nothing, the server has finished: the statement is not waited for for ever."""
    s = target
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        blocker = Blocker(s)
        process = s.begin(watch=100)
        s.wait_running()
        proxy.cut()
        blocker.release()
        s.wait_line(process, "retrying")
        proxy.heal()
        assert process.wait(60) == 0
        s.port = 0
    s.is_as_wanted()
    s.once(1)


def test_the_session_is_gone_without_a_word(target):
    """Only the statement's own connection is dead: the server's list of sessions tells."""
    s = target
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        blocker = Blocker(s)
        rule = proxy.stall(SENT, seconds=600, kill_client=False)
        process = s.begin(watch=100)
        s.wait_line(process, "running 0/1")
        s.wait_line(process, "running 0/1")  # seen by the watch
        blocker.release()
        s.wait_line(process, "retrying")
        rule.release.set()
        assert process.wait(60) == 0
        s.port = 0
    s.is_as_wanted()
    s.once(1)


SETTLE = "DO /* parked rows take their places under the new keys */ 0"


@pytest.mark.parametrize("whole", [True, False], ids=["network", "session"])
def test_the_network_falls_silent_while_rows_are_moved(target, whole):
    """A step that moves rows asks the server again and again; nothing is closed, nothing comes: it begins anew on another connection."""
    s = target
    s.server.run(f"CREATE TABLE `{s.schema}`.go (v INT)", f"INSERT INTO `{s.schema}`.go VALUES (1)")
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        process = s.begin(watch=100, want="t", sql=SETTLE, repeatable=1, settle=f"SELECT v + SLEEP(0.02) FROM `{s.schema}`.go")
        end = time.monotonic() + 60
        while proxy.count("SLEEP") < 20 and time.monotonic() < end:
            time.sleep(0.02)
        assert s.states() == ["intent"]
        if whole:
            proxy.cut()
        else:
            proxy.stall("SLEEP", seconds=600, kill_client=False)
        s.server.run(f"UPDATE `{s.schema}`.go SET v = 0")
        s.wait_line(process, "retrying")
        proxy.heal()
        proxy.release_all()
        assert process.wait(60) == 0
        s.port = 0
    assert s.states() == ["done"] and s.history()[0]["attempts"] == 2
    assert not s.sent(), "what is no statement is never sent"


def test_a_session_that_is_at_work_is_let_be(target):
    """Longer than a dead one would be given: many short statements, and one long one."""
    s = target
    s.server.run(f"CREATE TABLE `{s.schema}`.go (v INT)", f"INSERT INTO `{s.schema}`.go VALUES (1)")
    process = s.begin(watch=50, want="t", sql=SETTLE, repeatable=1, settle=f"SELECT v + SLEEP(IF(v = 2, 3, 0.01)) FROM `{s.schema}`.go")
    time.sleep(2.5)
    s.server.run(f"UPDATE `{s.schema}`.go SET v = 2")
    time.sleep(2.5)
    s.server.run(f"UPDATE `{s.schema}`.go SET v = 0")
    assert process.wait(60) == 0
    assert s.history()[0]["attempts"] == 1


@pytest.mark.parametrize("moment", [r"GET_LOCK", r"sm_task.*FOR UPDATE", r"INSERT INTO .*sm_ddl", r"state = 'intent'", r"state = 'done'", "COMMIT",
                                    r"information_schema"])
def test_the_connection_is_lost_around_it(target, moment):
    s = target
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        for nth, drop in ((1, proxy.drop_before), (2, proxy.drop_after)):
            drop(moment, nth=nth)
        s.call()
        s.port = 0
    s.is_as_wanted()
    s.once(1)


@pytest.mark.parametrize("errno,state", [(1317, "70100"), (1205, "HY000"), (1213, "40001"), (1927, "70100")])
def test_errors_that_decide_nothing(target, errno, state):
    s = target
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        proxy.error(SENT, errno, state, "interrupted", times=2)
        out = s.call()
        assert out.count("retrying") == 2 and "interrupted" in out
        s.port = 0
    s.once(1)
    assert s.history()[0]["attempts"] == 3
    s.is_as_wanted()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_the_server_is_killed_while_it_alters(pool, unique, flavor):
    server = pool.get(f"ddl-killed-{flavor}", flavor)
    s = Target(server, unique)
    server.run("SET GLOBAL general_log = OFF")
    try:
        before = s.fill(150000)
        process = s.begin(watch=50)
        s.wait_running()
        blocker = Blocker(s)  # it cannot end before the kill
        if flavor == "mariadb":  # it tells how far it is
            assert any(int(s.wait_line(process, "running").split("percent=")[1].split()[0]) > 0 for _ in range(1200))
        time.sleep(0.3)
        server.kill()
        blocker.conn.close()
        s.wait_line(process, "retrying")
        server.start()
        assert process.wait(120) == 0
        s.is_as_wanted()
        assert s.states() == ["done"]
        assert server.value(f"SELECT COUNT(*) FROM `{s.schema}`.t") == before
        assert server.value(f"SELECT SUM(e) FROM `{s.schema}`.t") == 7 * before
    finally:
        s.close()


def test_somebody_else_changes_the_table(target):
    s = target
    process = s.begin(faults="ddl.intent=kill")
    process.wait(30)
    s.server.run(f"ALTER TABLE `{s.schema}`.t ADD COLUMN foreign_thing INT, DROP COLUMN b")
    out = s.call(status=1)
    assert "error DDL_DIFFERS operator" in out and f"{s.schema}.t" in out
    assert "has column foreign_thing int" in out and "lacks column b int" in out
    assert "--decide retry" in out
    assert s.sent() == {} and s.states() == ["intent"]
    assert "neither as before nor as after" in s.server.value(f"SELECT error FROM `{s.meta}`.sm_ddl")
    s.server.run(f"ALTER TABLE `{s.schema}`.t DROP COLUMN foreign_thing, ADD COLUMN b INT DEFAULT NULL AFTER a, ADD KEY kb (b)")
    s.call()
    s.is_as_wanted()
    s.once(1)


def test_somebody_else_did_it_already(target):
    s = target
    process = s.begin(faults="ddl.intent=kill")
    process.wait(30)
    s.server.run(f"DROP TABLE `{s.schema}`.t", f"CREATE TABLE `{s.schema}`.t LIKE `{s.schema}`.want")
    s.call()
    assert s.states() == ["done"] and s.sent() == {}


@pytest.mark.parametrize("equal", [True, False])
def test_already_exists_while_it_is_sent(target, equal):
    """1060 and the like count only with the definition that was meant."""
    s = target
    s.server.run(f"DROP TABLE `{s.schema}`.want", f"CREATE TABLE `{s.schema}`.want LIKE `{s.schema}`.base",
                 f"ALTER TABLE `{s.schema}`.want ADD COLUMN c VARCHAR(10) NOT NULL DEFAULT ''")
    with Proxy(s.server.host, s.server.port).start() as proxy:
        s.port = proxy.port
        rule = proxy.delay(SENT, seconds=600)
        process = s.begin(watch=600000)  # a session that is idle for long would be given up
        rule.wait(60)
        s.port = 0
        assert s.states() == ["intent"]
        s.server.run(f"ALTER TABLE `{s.schema}`.t ADD COLUMN c VARCHAR({10 if equal else 9}) NOT NULL DEFAULT ''")
        rule.release.set()
        out, _ = process.communicate(timeout=30)
    if equal:
        assert process.returncode == 0 and s.states() == ["done"]
        s.is_as_wanted()
    else:
        assert "error DDL_REFUSED operator" in out and "(1060)" in out
        assert s.states() == ["failed"]
    assert s.sent() == {0: 1}


@pytest.mark.parametrize("kind", ["collision", "too long", "null"])
def test_rows_that_do_not_fit(target, kind):
    s = target
    bad, want, hint = {
        "collision": ("(3, 'SECRET', 1), (4, 'SECRET', 1)", "ADD UNIQUE KEY ua (a)", "collide"),
        "too long": ("(3, 'SECRET and longer', 1)", "MODIFY a VARCHAR(10) NOT NULL", "do not fit"),
        "null": ("(3, 'SECRET', NULL)", "MODIFY b INT NOT NULL", "--decide retry")}[kind]
    s.server.run(f"INSERT INTO `{s.schema}`.t VALUES {bad}", f"DROP TABLE `{s.schema}`.want", f"CREATE TABLE `{s.schema}`.want LIKE `{s.schema}`.base",
                 f"ALTER TABLE `{s.schema}`.want {want}")
    out = s.call(status=1)
    assert "error DDL_REFUSED operator" in out and hint in out and "SECRET" not in out
    assert s.states() == ["failed"]
    assert s.definition() == s.definition("base")
    s.server.run(f"DELETE FROM `{s.schema}`.t WHERE id > 3 OR CHAR_LENGTH(a) > 10 OR b IS NULL")
    s.call()
    s.is_as_wanted()
    assert s.states() == ["done"] and s.sent() == {0: 2}


def test_an_operator_skips(target):
    s = target
    s.server.run(f"INSERT INTO `{s.schema}`.t VALUES (3, 'one', 1)")
    s.call(status=1, **two_steps(s) | {"rows": ""})
    assert s.call("pending").splitlines()[0] == f"{s.number()} {s.schema}.t"
    assert s.call("skip").splitlines() == ["1", "ok"]
    assert s.states() == ["skipped"]
    s.call()
    assert s.sent() == {0: 1} and s.definition() == s.definition("base")
    assert s.call("skip").splitlines() == ["0", "ok"]


def test_nobody_skips_what_still_runs(target):
    s = target
    blocker = Blocker(s)
    process = s.begin()
    s.wait_running()
    assert "error DB_RETRY" in s.call("skip", status=1)
    blocker.release()
    assert process.wait(30) == 0
    s.once(1)


def test_an_older_process_does_nothing(target):
    s = target
    old = s.epoch
    s.epoch = s.start()
    out = s.call(status=1, epoch=old)
    assert "error APPLY_FENCED stop-task" in out
    assert "error APPLY_FENCED" in s.call("skip", status=1, epoch=old)
    assert s.sent() == {} and s.history() == []
    assert s.definition() == s.definition("base")


def test_taken_over_while_the_server_alters(target):
    """The old process must not record what it did; the new one finds it."""
    s = target
    blocker = Blocker(s)
    first = s.begin(**two_steps(s) | {"rows": ""})
    s.wait_running()
    s.epoch = s.start()
    second = s.begin()
    s.wait_line(second, "waiting-lock")
    blocker.release()
    out, _ = first.communicate(timeout=30)
    assert first.returncode == 1 and "error APPLY_FENCED" in out
    assert second.wait(30) == 0
    s.is_as_wanted()
    s.once(1)
    assert s.history()[0]["epoch"] == s.epoch


def test_what_looks_alike_on_both_sides(target):
    s = target
    sql = f"ALTER TABLE `{s.schema}`.t COMMENT=''"
    args = {"want": "base", "sql": sql}
    s.call(job=1, **args)  # not sent yet: it runs
    assert s.sent(1) == {0: 1}
    process = s.begin(faults="ddl.intent=kill", job=2, **args)
    process.wait(30)
    out = s.call(status=1, job=2, **args)
    for _ in range(2):  # it does not become clearer by asking again
        assert "error DDL_DIFFERS operator" in out and "looks alike before and after" in out
        out = s.call(status=1, job=2, **args)
    assert s.sent(2) == {} and s.states(2) == ["intent"]
    process = s.begin(faults="ddl.sent=kill", job=3, repeatable=1, **args)
    process.wait(30)
    s.call(job=3, repeatable=1, **args)
    assert s.sent(3) == {0: 2} and s.states(3) == ["done"]


def test_a_statement_that_makes_something_else(target):
    s = target
    out = s.call(status=1, sql=f"ALTER TABLE `{s.schema}`.t ADD COLUMN other INT")
    assert "error DDL_DIFFERS operator" in out and "ran, but" in out and "has column other int" in out
    assert s.states() == ["intent"] and s.sent() == {0: 1}


def test_the_plan_is_the_journals(target):
    s = target
    process = s.begin(faults="ddl.done=kill@2", dialect="tidb")
    process.wait(30)
    states = s.states()
    assert states[:2] == ["done", "done"] and set(states[2:]) == {"planned"}
    s.server.run(f"CREATE TABLE `{s.schema}`.now LIKE `{s.schema}`.t")
    assert "error DDL_JOURNAL stop-task" in s.call(status=1, base="now", want="base")
    s.call(base="now")  # made anew from the live table: leads to the same end, the journal's statements run
    s.is_as_wanted()
    s.once(len(states))


@pytest.mark.parametrize("phase", ["lock", "alter", "retry"])
def test_cancelled(target, phase):
    s = target
    blocker = Blocker(s)
    other = s.begin() if phase == "lock" else None
    if other:
        s.wait_running()
    proxy = Proxy(s.server.host, s.server.port).start() if phase == "retry" else None
    if proxy:
        s.port = proxy.port
        proxy.error(r"GET_LOCK", 1205, "HY000", "later", times=0)
    process = s.begin()
    s.wait_line(process, {"lock": "waiting-lock", "alter": "running", "retry": "retrying"}[phase])
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "error CANCELLED" in out
    assert time.monotonic() - began < 9  # of the 10 s that one try for the lock lasts
    if proxy:
        s.port = 0
        proxy.stop()
    blocker.release()
    if other:
        assert other.wait(30) == 0
    s.call()
    s.is_as_wanted()
    s.once(1, sends=(1, 2))


JOURNAL = "task, job, n, target_schema, target_table, statement, repeatable, state, attempts, epoch, planned"


def old_jobs(s, first: int, count: int, schema: str, table: str) -> None:
    rows = ",".join(f"('{s.task}', {first + n}, 0, '{schema}', '{table}', 'c', 0, 'done', 1, 1, NOW())" for n in range(count))
    s.server.run(f"INSERT INTO `{s.meta}`.sm_ddl ({JOURNAL}) VALUES {rows}")


def jobs_of(s, table: str) -> list[int]:
    return [r[0] % 2**32 for r in s.server.query(f"SELECT job FROM `{s.meta}`.sm_ddl WHERE task = '{s.task}' AND target_table = '{table}' ORDER BY job")]


def test_old_rows_go(target):
    s = target
    s.call(job=5000)
    old_jobs(s, s.number(5000) - 4900, 300, s.schema, "t")
    old_jobs(s, 2**56, 300, "x", "y")  # another target's, with higher numbers
    s.server.run(f"UPDATE `{s.meta}`.sm_ddl SET state = 'failed' WHERE job = {s.number(5000) - 4800}")
    s.server.run(f"INSERT INTO `{s.meta}`.sm_ddl ({JOURNAL}) VALUES ('another', {s.number(5000) - 4900}, 0, '{s.schema}', 't', 'c', 0, 'done', 1, 1, NOW())")
    s.server.run(f"CREATE TABLE `{s.schema}`.third LIKE `{s.schema}`.want", f"ALTER TABLE `{s.schema}`.third ADD COLUMN z INT")
    s.call(job=5001, base="want", want="third")
    assert jobs_of(s, "t") == [*range(200, 400), 5000, 5001]  # nothing from the oldest unfinished job on
    s.server.run(f"UPDATE `{s.meta}`.sm_ddl SET state = 'done' WHERE state = 'failed'")
    s.call(job=5002, base="third", want="want")
    assert jobs_of(s, "t") == [*range(203, 400), 5000, 5001, 5002]
    assert len(jobs_of(s, "y")) == 300 and s.server.value(f"SELECT COUNT(*) FROM `{s.meta}`.sm_ddl WHERE task = 'another'") == 1
    assert len(s.call("history", limit=10).splitlines()) == 11


def test_a_job_is_known_beside_many_of_other_targets(target):
    """The last job of a target is known until the next one, however many rows others have."""
    s = target
    for first in (2**16, 2**56 + 2**16):
        old_jobs(s, first, 1100, "x", "y")
    s.call(job=7)
    s.call(job=7)
    s.once(len(s.states(7)), 7)


def test_targets_whose_numbers_meet(target):
    """Their names have one hash: neither one's jobs are taken for the other's, nor are those of the tables beside them."""
    s = target
    s.call(job=1)
    number = s.number()
    for kind in ("other", f"sm_parked_{'0' * 16}"):
        schema = s.schema if kind == "other" else s.meta
        s.server.run(f"UPDATE `{s.meta}`.sm_ddl SET target_schema = '{schema}', target_table = '{kind}'")  # it was another target's that stands in our place
        s.server.run(f"DROP TABLE `{s.schema}`.t", f"CREATE TABLE `{s.schema}`.t LIKE `{s.schema}`.base")
        s.call(job=1)
        s.is_as_wanted()
        assert s.number() == number + 2**32
        assert s.call("skip", job=1, wait=1).split()[0] == "0"
        s.call(job=1)
        assert s.sent() == {0: 1} and s.states() == ["done"] * 2
        s.server.run(f"DELETE FROM `{s.meta}`.sm_ddl WHERE job = {number}", f"UPDATE `{s.meta}`.sm_ddl SET job = {number}", "TRUNCATE mysql.general_log")


def test_rows_move_again_before_a_refused_statement(target):
    """They were let back when it was refused: by half, where the program died meanwhile."""
    s = target
    s.server.run(f"CREATE TABLE `{s.schema}`.go (v INT)", f"INSERT INTO `{s.schema}`.go VALUES (0)",
                 f"UPDATE `{s.schema}`.t SET a = 'one'", f"CREATE TABLE `{s.schema}`.unique_a LIKE `{s.schema}`.base", f"ALTER TABLE `{s.schema}`.unique_a ADD UNIQUE KEY k_a (a)")
    args = {"want": "unique_a", "settled": 1, "settle": f"SELECT v FROM `{s.schema}`.go"}
    assert "error DDL_REFUSED" in s.call(status=1, **args)
    assert s.states() == ["planned", "failed"]
    s.server.run(f"UPDATE `{s.schema}`.t SET a = id")
    s.call(**args)
    assert s.states() == ["done", "done"]
    assert [r["attempts"] for r in s.history()] == [2, 2]
    assert s.call("skip", wait=1).split()[0] == "0"


# -- TiDB's jobs, played by the proxy: our reaction, not TiDB's behaviour ---------------------------------------------

def play_tidb(proxy: Proxy) -> None:
    proxy.answer(r"TIDB_VERSION\(\)", ["v"], [["Release Version: v8.5.0"]])
    proxy.answer(r"SET SESSION tidb_", ["v"], [])
    proxy.answer(r"BEGIN PESSIMISTIC", ["v"], [])


@pytest.mark.parametrize("history", [[["running"]], [["none"], ["queueing"], ["cancelled"]], [["rollback done"]], []])
def test_tidb_jobs_are_waited_for(pool, unique, history):
    s = Target(pool.get("ddl-mariadb", "mariadb"), unique)
    try:
        with Proxy(s.server.host, s.server.port).start() as proxy:
            s.port = proxy.port
            play_tidb(proxy)
            jobs = proxy.answer(r"information_schema.DDL_JOBS", ["STATE"], [])
            process = s.begin(faults="ddl.intent=kill")
            process.wait(30)
            jobs.options["rows"] = history
            process = s.begin()
            if any(h[0] not in ("cancelled", "rollback done", "synced") for h in history):
                s.wait_line(process, "waiting-job")
                assert s.sent() == {}
                s.server.run(f"DROP TABLE `{s.schema}`.t", f"CREATE TABLE `{s.schema}`.t LIKE `{s.schema}`.want")
                jobs.options["rows"] = [["synced"]]
                expect = {}
            else:
                expect = {0: 1}
            assert process.wait(30) == 0
            asked = proxy.find(r"FROM information_schema.DDL_JOBS")
            assert f"/* shardmerge 11111111-2222-3333-4444-555555555555 job {s.number()}.0 */" in asked[-1].text
            s.port = 0
        assert s.sent() == expect and s.states() == ["done"]
        s.is_as_wanted()
    finally:
        s.close()
