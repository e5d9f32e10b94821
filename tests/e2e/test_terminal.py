"""`run` at a terminal: the live page, signals, and what the other verbs say beside it."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from harness.sm import binary

DDL = {"t": "(id INT PRIMARY KEY, v INT)"}
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """The program in a pseudo terminal of 24 lines and 100 columns; everything it writes is kept."""

    def __init__(self, *command: str, **environment: str):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env={**env, "TERM": "xterm", **environment})
        os.close(slave)
        self.text = ""

    def read(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                return
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the program has closed its side
                return
            if not data:
                return
            self.text += data.decode(errors="replace")

    def read_until(self, pattern: str, timeout: float = 90) -> None:
        end = time.monotonic() + timeout
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f"no {pattern!r} on the terminal:\n{ANSI.sub('', self.text)[-3000:]}"
            self.read(0.2)

    def end(self, timeout: float = 30) -> int:
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.1)
        status = self.process.wait(timeout=1)
        self.read(0.5)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal():
    made = []

    def make(*command, **environment):
        made.append(Terminal(*command, **environment))
        return made[-1]

    yield make
    for t in made:
        t.close()


@pytest.fixture
def s(scenario):
    return scenario.make_plain(DDL)


def test_the_live_page(s, terminal):
    t = terminal(binary(), "run", str(s.runner.task_path))
    t.read_until("streaming")
    s.shards[0].server.run(f"INSERT INTO `{s.shards[0].schema}`.t VALUES (1, 1), (2, 2)")
    t.read_until(r"all +2 = +2 \+")
    assert "\x1b[?25l" in t.text, "the cursor is not hidden"
    assert "\x1b[32mstreaming" in t.text, "no colours"
    assert re.search(r"\x1b\[\d+A\r\x1b\[J", t.text), "the page is not redrawn in place"
    assert "task.started" in t.text, "log lines do not come through"
    page = [line for line in ANSI.sub("", t.text).replace("\r", "").split("\n") if not re.match(r"\d{4}-", line)]
    assert max(map(len, page)) <= 100, "the page is wider than the terminal"
    t.process.send_signal(signal.SIGINT)
    assert t.end() == 0
    assert t.text.rindex("\x1b[?25h") > t.text.rindex("\x1b[?25l"), "the cursor stays hidden"


def test_no_color_and_plain(s, terminal):
    t = terminal(binary(), "run", str(s.runner.task_path), NO_COLOR="1")
    t.read_until("streaming")
    t.process.send_signal(signal.SIGTERM)
    assert t.end() == 0
    assert "\x1b[32m" not in t.text and "\x1b[31m" not in t.text
    t = terminal(binary(), "run", str(s.runner.task_path), "--plain")
    t.read_until("task.started")
    t.process.send_signal(signal.SIGTERM)
    assert t.end() == 0
    assert "\x1b" not in t.text and "task.progress" in t.text


def test_a_second_signal_ends_at_once_and_nothing_is_lost(s, terminal):
    """The downstream holds a lock that the applier waits for: a clean stop cannot finish."""
    t = terminal(binary(), "run", str(s.runner.task_path))
    t.read_until("streaming")
    holder = s.downstream.connect()
    with holder.cursor() as c:
        c.execute("BEGIN")
        c.execute(f"INSERT INTO `{s.target}`.t VALUES (7, 0)")
        s.shards[0].server.run(f"INSERT INTO `{s.shards[0].schema}`.t VALUES (7, 7)")
        until = time.monotonic() + 60
        while not s.downstream.value("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"):
            assert time.monotonic() < until, "nobody waits for the lock"
            t.read(0.2)  # asked more often, the server would not look anew
        t.process.send_signal(signal.SIGTERM)
        t.read_until("task.stopping")
        t.process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        status = t.end()
        c.execute("ROLLBACK")
    holder.close()
    assert status in (0, 128 + signal.SIGTERM)
    assert time.monotonic() - begin < 10
    assert "\x1b[?25h" in t.text
    s.runner.start()
    s.runner.wait_caught_up()
    assert s.downstream.query(f"SELECT id, v FROM `{s.target}`.t") == [(7, 7)]
    s.runner.stop()


def test_a_start_that_hangs_can_be_stopped(s, terminal):
    s.task["target-database"] = {"host": "127.0.0.1", "port": 1, "user": "x", "password": ""}
    s.save()
    t = terminal(binary(), "run", str(s.runner.task_path), "--plain")
    t.read_until("source.retry")
    t.process.send_signal(signal.SIGTERM)
    assert t.end(30) in (0, 3), "neither stopped nor failed by itself"


def test_state_dir_replaces_the_task_file(s, terminal):
    state = s.task["state-dir"]
    s.runner.start()
    s.runner.wait_caught_up()
    done = subprocess.run([binary(), "status", "--state-dir", state, "--json"], capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)["running"] is True
    s.runner.wait_for("s2 to stream", lambda status: status["sources"][1]["state"] == "streaming")
    done = subprocess.run([binary(), "pause", "--state-dir", state, "--source", "s1"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "paused s1\n")
    done = subprocess.run([binary(), "status", "--state-dir", state], capture_output=True, text=True)
    assert re.search(r"s1 +paused-by-user", done.stdout) and re.search(r"s2 +streaming", done.stdout), done.stdout
    done = subprocess.run([binary(), "stop", "--state-dir", state], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    with open(os.path.join(state, "lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # stop comes back when the state folder is free
    assert s.runner.wait_exit(20) == 0
    done = subprocess.run([binary(), "status", "--state-dir", state], capture_output=True, text=True)
    assert "no process runs" in done.stdout and re.search(r"s1 +paused-by-user", done.stdout), done.stdout
    done = subprocess.run([binary(), "status", "--state-dir", state + "-nowhere"], capture_output=True, text=True)
    assert done.returncode == 2 and "SM-2004" in done.stderr


def test_wait_says_no_in_time(s, terminal):
    s.runner.start()
    s.runner.wait_caught_up()
    assert s.runner.verb("pause", "--source", "s1").returncode == 0
    s.shards[0].server.run(f"INSERT INTO `{s.shards[0].schema}`.t VALUES (1, 1)")
    begin = time.monotonic()
    done = s.runner.verb("status", "--wait", "caught-up", "--timeout", "2")
    assert done.returncode == 1 and "time is up" in done.stdout
    assert 2 <= time.monotonic() - begin < 60
    s.runner.stop()
