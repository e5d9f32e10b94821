"""Real MariaDB and MySQL servers in temporary folders, on free ports of the loopback.

MariaDB comes from the system's package. MySQL comes from a Debian tree under $SHARDMERGE_CACHE/sid (default
/var/cache/shardmerge/sid) and runs inside it with chroot, so its data folder lies in the tree's srv/; a newer MariaDB
("mariadb11") comes from $SHARDMERGE_CACHE/trixie in the same way.

Data folders are initialised once per process and flavor, then copied. Nothing outlives the process that started it:
servers get SIGKILL when it dies (PR_SET_PDEATHSIG), atexit kills them by pid and removes their folders, and a later
process sweeps up the folders whose owner is gone. Servers are therefore spawned from the main thread only.
"""
from __future__ import annotations

import atexit
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import pymysql
import pymysql.cursors

CHROOT = Path(os.environ.get("SHARDMERGE_CACHE", "/var/cache/shardmerge")) / "sid"
CHROOT_MARIADB = CHROOT.parent / "trixie"
TMP = Path(os.environ.get("SHARDMERGE_TMP", "/tmp"))
PREFIX = "smtest-"
USER, PASSWORD = "sm", "sm-Pw.1"  # may do everything, from everywhere on this machine

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_folders: list[Path] = []
_servers: list["Server"] = []
_templates: dict[str, Path] = {}
_ids = iter(range(101, 100000))


class HarnessError(RuntimeError):
    """A server could not be started or did something the harness did not expect."""


def die_with_parent() -> None:
    """preexec_fn: the child gets SIGKILL when its parent's thread ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sweep(base: Path) -> None:
    """Removes what a killed process left: folders named smtest-<pid>-… whose owner is gone, and servers in them."""
    for folder in base.glob(PREFIX + "*"):
        owner = folder.name[len(PREFIX):].split("-")[0]
        if not owner.isdigit() or _alive(int(owner)):
            continue
        for pidfile in folder.rglob("*.pid"):
            text = pidfile.read_text().strip()
            if not text.isdigit():
                continue
            try:
                cmdline = Path(f"/proc/{text}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if folder.name in cmdline:
                os.kill(int(text), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


_swept: set[Path] = set()


def new_folder(base: Path = TMP) -> Path:
    """A folder that is removed when the process ends."""
    base.mkdir(parents=True, exist_ok=True)
    if base not in _swept:
        _swept.add(base)
        _sweep(base)
    path = base / f"{PREFIX}{os.getpid()}-{secrets.token_hex(3)}"
    path.mkdir(mode=0o755)
    _folders.append(path)
    return path


def remove_folder(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if path in _folders:
        _folders.remove(path)


@atexit.register
def _cleanup() -> None:
    for server in list(_servers):
        server.kill()
    if os.environ.get("SHARDMERGE_KEEP"):
        print("kept:", *_folders, file=sys.stderr)
        return
    for folder in list(_folders):
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Downstream:
    """The address of a server that the harness did not start (or of one it did)."""

    flavor: str  # "mariadb", "mysql" or "tidb"
    host: str
    port: int
    user: str
    password: str

    def connect(self, **kw) -> pymysql.Connection:
        args = dict(host=self.host, port=self.port, user=self.user, password=self.password, charset="utf8mb4",
                    autocommit=True, connect_timeout=10)
        args.update(kw)
        return pymysql.connect(**args)

    def query(self, sql: str, args=None) -> list[tuple]:
        conn = self.connect()
        try:
            with conn.cursor() as cur:
                cur.execute(sql, args)
                return list(cur.fetchall())
        finally:
            conn.close()

    def value(self, sql: str, args=None):
        rows = self.query(sql, args)
        return rows[0][0] if rows else None

    def run(self, *statements: str) -> None:
        conn = self.connect()
        try:
            with conn.cursor() as cur:
                for statement in statements:
                    cur.execute(statement)
        finally:
            conn.close()

    @property
    def version(self) -> str:
        return self.value("SELECT VERSION()")


class Server(Downstream):
    """One server process. Options are the server's own, with - or _; value True means --name, None removes a default."""

    binary = ""

    @property
    def kind(self) -> str:
        """What `make` calls it: the flavor, and which of its servers where there are several."""
        return self.flavor

    def __init__(self, flavor: str, name: str = "", durable: bool = False, **options):
        super().__init__(flavor, "127.0.0.1", 0, USER, PASSWORD)
        self.number = next(_ids)
        self.name = name or f"{flavor}{self.number}"
        self.durable = durable
        self.options = {k.replace("_", "-"): v for k, v in options.items()}
        self.process: subprocess.Popen | None = None
        self.folder: Path | None = None
        self.server_uuid = ""
        self._users_made = False

    # -- what a flavor says ---------------------------------------------------------------------------------------
    def _new_folder(self) -> Path:
        raise NotImplementedError

    def _command(self, options: list[str]) -> list[str]:
        raise NotImplementedError

    def _inside(self, path: Path) -> str:
        """The path as the server sees it."""
        return str(path)

    def _defaults(self) -> dict:
        raise NotImplementedError

    def template(self) -> Path:
        raise NotImplementedError

    # -- life -----------------------------------------------------------------------------------------------------
    @property
    def datadir(self) -> Path:
        return self.folder / "data"

    @property
    def socket_path(self) -> Path:
        return self.folder / "s.sock"

    @property
    def error_log(self) -> Path:
        return self.folder / "error.log"

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def spawn(self) -> "Server":
        """Starts the process; wait_ready must follow. Several may be spawned before the first is waited for."""
        if threading.current_thread() is not threading.main_thread():
            raise HarnessError("servers are spawned from the main thread (they die with the thread that made them)")
        if self.running:
            return self
        if self.folder is None:
            template = self.template()
            self.folder = self._new_folder()
            subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(self.datadir)], check=True)
            (self.datadir / "auto.cnf").unlink(missing_ok=True)
            (self.folder / "tmp").mkdir(mode=0o777)
        if self not in _servers:
            _servers.append(self)
        self.port = self.port or free_port()
        options = self._defaults()
        options["tmpdir"] = self._inside(self.folder / "tmp")  # its own: a server that starts removes what it finds there
        options.update(self.options)
        args = []
        for key, value in options.items():
            if value is None:
                continue
            args.append(f"--{key}" if value is True else f"--{key}={value}")
        with open(self.folder / "stdout.log", "ab") as out:
            self.process = subprocess.Popen(self._command(args), stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            cwd="/", preexec_fn=die_with_parent)
        (self.folder / "server.pid").write_text(str(self.process.pid))
        return self

    def wait_ready(self, timeout: float = 60) -> "Server":
        end = time.monotonic() + timeout
        last: Exception | None = None
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise HarnessError(f"{self.name}: ended with {self.process.returncode} while starting\n{self.first_errors()}\n{self.log_tail()}")
            try:
                conn = self.admin(connect_timeout=2)
            except (pymysql.Error, OSError) as e:
                last = e
                time.sleep(0.05)
                continue
            try:
                self._make_users(conn)
            finally:
                conn.close()
            return self
        raise HarnessError(f"{self.name}: not ready after {timeout} s: {last}\n{self.log_tail()}")

    def start(self, timeout: float = 60) -> "Server":
        return self.spawn().wait_ready(timeout)

    def stop(self, timeout: float = 60) -> None:
        """A clean shutdown."""
        if not self.running:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()

    def restart(self, hard: bool = False, **options) -> "Server":
        """Same port, same data; options change what the server was started with."""
        self.kill() if hard else self.stop()
        self.options.update({k.replace("_", "-"): v for k, v in options.items()})
        return self.start()

    def destroy(self) -> None:
        self.kill()
        if self in _servers:
            _servers.remove(self)
        if self.folder is not None:
            remove_folder(self.folder)
            self.folder = None

    def freeze(self) -> None:
        """SIGSTOP: the server is there and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self, lines: int = 30) -> str:
        text = ""
        for path in (self.folder / "stdout.log", self.error_log):
            if path.exists():
                text += "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) + "\n"
        return text

    def first_errors(self, lines: int = 5) -> str:
        """What the error log first complains of, from the last start on: the cause of what its end says; and what the machine has left."""
        text = self.error_log.read_text(errors="replace") if self.error_log.exists() else ""
        text = text[max(text.rfind("starting as process"), 0):]
        disk = shutil.disk_usage(self.folder).free >> 20
        memory = next(int(line.split()[1]) >> 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
        return "\n".join([line for line in text.splitlines() if "ERROR" in line][:lines] + [f"left: {disk} MB of disk, {memory} MB of memory"])

    # -- connections ----------------------------------------------------------------------------------------------
    def admin(self, **kw) -> pymysql.Connection:
        """root, through the socket."""
        args = dict(unix_socket=str(self.socket_path), user="root", password="", charset="utf8mb4", autocommit=True,
                    connect_timeout=10)
        args.update(kw)
        return pymysql.connect(**args)

    def connect(self, **kw) -> pymysql.Connection:
        """The harness's own user, through the socket: works with every authentication plugin and no TLS."""
        args = dict(unix_socket=str(self.socket_path), user=self.user, password=self.password, charset="utf8mb4",
                    autocommit=True, connect_timeout=10)
        args.update(kw)
        return pymysql.connect(**args)

    def _make_users(self, conn: pymysql.Connection) -> None:
        if not self._users_made:
            with conn.cursor() as cur:
                cur.execute("SET sql_log_bin=0")
                cur.execute(f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
                cur.execute(f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION")
            self._users_made = True
        self.connect().close()  # fills MySQL's password cache, so that clients without TLS get in with the fast exchange

    # -- binlog ---------------------------------------------------------------------------------------------------
    def binlog_position(self) -> tuple[str, int]:
        conn = self.admin(cursorclass=pymysql.cursors.DictCursor)
        try:
            with conn.cursor() as cur:
                for sql in self._position_statements:
                    try:
                        cur.execute(sql)
                    except pymysql.Error:
                        continue
                    row = cur.fetchone()
                    if row:
                        return row["File"], int(row["Position"])
            raise HarnessError(f"{self.name}: the binlog is off")
        finally:
            conn.close()

    def gtid(self) -> str:
        """The GTID set (MySQL) or position (MariaDB: all domains) that the server has written."""
        raise NotImplementedError

    _position_statements = ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS")

    def reset_binlogs(self) -> None:
        raise NotImplementedError

    def flush_binlog(self) -> None:
        self.run("FLUSH BINARY LOGS")

    def rss_peak_kb(self) -> int:
        return process_kb(self.pid, "VmHWM")


class MariaDB(Server):
    def __init__(self, name: str = "", **options):
        super().__init__("mariadb", name, **options)

    def template(self) -> Path:
        if "mariadb" not in _templates:
            folder = new_folder()
            tool = shutil.which("mariadb-install-db")
            if not tool:
                raise HarnessError("mariadb-install-db is missing: run make deps-install")
            (folder / "tmp").mkdir(mode=0o777)
            done = subprocess.run([tool, "--no-defaults", "--user=root", f"--datadir={folder / 'data'}", "--skip-test-db",
                                   f"--tmpdir={folder / 'tmp'}",  # its own: a server that starts removes what it finds there
                                   "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise HarnessError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
            _templates["mariadb"] = folder / "data"
        return _templates["mariadb"]

    def _new_folder(self) -> Path:
        return new_folder()

    def _command(self, options: list[str]) -> list[str]:
        binary = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        return [binary, "--no-defaults", *options]

    def _defaults(self) -> dict:
        out = {"user": "root", "datadir": self.datadir, "socket": self.socket_path, "port": self.port,
               "bind-address": "127.0.0.1", "pid-file": self.folder / "own.pid", "log-error": self.error_log,
               "skip-name-resolve": True, "skip-slave-start": True, "performance-schema": "OFF",
               "innodb-buffer-pool-size": "128M",
               "innodb-log-file-size": "16M", "max-connections": 300, "max-allowed-packet": "64M", "server-id": self.number,
               "log-bin": "binlog", "binlog-format": "ROW", "binlog-row-metadata": "FULL", "binlog-row-image": "FULL",
               "binlog-checksum": "CRC32", "log-slave-updates": "ON", "gtid-strict-mode": "ON",
               "character-set-server": "utf8mb4", "innodb-lock-wait-timeout": 20, "slave-net-timeout": 10}
        if self.durable:
            out.update({"innodb-flush-log-at-trx-commit": 1, "sync-binlog": 1})
        else:  # 2, not 0: a killed server loses nothing, only a killed machine would
            out.update({"innodb-flush-log-at-trx-commit": 2, "sync-binlog": 0, "innodb-flush-method": "nosync",
                        "innodb-doublewrite": "OFF", "innodb-use-native-aio": "OFF"})  # the kernel's contexts are few
        return out

    def gtid(self) -> str:
        return self.value("SELECT @@gtid_binlog_pos")

    def reset_binlogs(self) -> None:
        self.run("RESET MASTER")

    def replicate_from(self, master: "Server", name: str = "", gtid: bool = True, file: str = "", pos: int = 4) -> None:
        """Makes this server a native replica of master (a named connection when name is given)."""
        label = f" '{name}'" if name else ""
        where = "MASTER_USE_GTID=slave_pos" if gtid else f"MASTER_LOG_FILE='{file}', MASTER_LOG_POS={pos}"
        self.run(f"CHANGE MASTER{label} TO MASTER_HOST='127.0.0.1', MASTER_PORT={master.port}, MASTER_USER='{master.user}',"
                 f" MASTER_PASSWORD='{master.password}', MASTER_CONNECT_RETRY=1, {where}", f"START SLAVE{label}")

    def wait_replica_of(self, master: "Server", timeout: float = 60) -> None:
        got = self.value("SELECT MASTER_GTID_WAIT(%s, %s)", (master.gtid(), timeout))
        if got != 0:
            raise HarnessError(f"{self.name}: not at {master.gtid()} after {timeout} s: {self.query('SHOW ALL SLAVES STATUS')}")

    def stop_replica(self) -> None:
        self.run("STOP ALL SLAVES")


class MariaDB11(MariaDB):
    """MariaDB 11.8, in a Debian tree of its own. Its flavor is "mariadb"."""

    kind = "mariadb11"

    def template(self) -> Path:
        if "mariadb11" not in _templates:
            if not (CHROOT_MARIADB / "usr/sbin/mariadbd").exists():
                raise HarnessError(f"no MariaDB under {CHROOT_MARIADB}: run make deps-install")
            folder = new_folder(CHROOT_MARIADB / "srv")
            (folder / "tmp").mkdir(mode=0o777)
            done = subprocess.run(["chroot", str(CHROOT_MARIADB), "mariadb-install-db", "--no-defaults", "--user=root", "--force",
                                   f"--datadir={self._inside(folder / 'data')}", "--skip-test-db",
                                   f"--tmpdir={self._inside(folder / 'tmp')}",
                                   "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise HarnessError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
            _templates["mariadb11"] = folder / "data"
        return _templates["mariadb11"]

    def _inside(self, path: Path) -> str:
        return "/" + str(Path(path).relative_to(CHROOT_MARIADB))

    def _new_folder(self) -> Path:
        return new_folder(CHROOT_MARIADB / "srv")

    def _command(self, options: list[str]) -> list[str]:
        return ["chroot", str(CHROOT_MARIADB), "/usr/sbin/mariadbd", "--no-defaults", *options]

    def _defaults(self) -> dict:
        out = super()._defaults()
        out.update({"datadir": self._inside(self.datadir), "socket": self._inside(self.socket_path),
                    "pid-file": self._inside(self.folder / "own.pid"), "log-error": self._inside(self.error_log)})
        if "innodb-flush-method" in out:  # what that stood for has options of its own here
            del out["innodb-flush-method"]
        return out


class MySQL(Server):
    def __init__(self, name: str = "", gtid: bool = True, **options):
        super().__init__("mysql", name, **options)
        self.gtid_mode = gtid

    @staticmethod
    def _binary() -> list[str]:
        if not (CHROOT / "usr/sbin/mysqld").exists():
            raise HarnessError(f"no MySQL under {CHROOT}: run make deps-install")
        return ["chroot", str(CHROOT), "/usr/sbin/mysqld", "--no-defaults", "--user=root", "--mysqlx=OFF"]

    def template(self) -> Path:
        if "mysql" not in _templates:
            folder = new_folder(CHROOT / "srv")
            done = subprocess.run([*self._binary(), "--initialize-insecure", f"--datadir={self._inside(folder / 'data')}",
                                   "--innodb-redo-log-capacity=32M", f"--log-error={self._inside(folder / 'error.log')}"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise HarnessError(f"mysqld --initialize failed:\n{(folder / 'error.log').read_text()[-2000:]}{done.stderr}")
            _templates["mysql"] = folder / "data"
        return _templates["mysql"]

    def _inside(self, path: Path) -> str:
        return "/" + str(path.relative_to(CHROOT))

    def _new_folder(self) -> Path:
        return new_folder(CHROOT / "srv")

    def _command(self, options: list[str]) -> list[str]:
        return [*self._binary(), *options]

    def _defaults(self) -> dict:
        out = {"datadir": self._inside(self.datadir), "socket": self._inside(self.socket_path), "port": self.port,
               "bind-address": "127.0.0.1", "pid-file": self._inside(self.folder / "own.pid"),
               "log-error": self._inside(self.error_log), "secure-file-priv": "", "skip-name-resolve": "ON",
               "innodb-buffer-pool-size": "128M", "innodb-redo-log-capacity": "32M", "max-connections": 300,
               "max-allowed-packet": "64M", "server-id": self.number, "log-bin": "binlog", "binlog-row-metadata": "FULL",
               "binlog-row-image": "FULL", "binlog-checksum": "CRC32", "log-replica-updates": "ON", "skip-replica-start": "ON",
               "gtid-mode": "ON" if self.gtid_mode else "OFF",
               "enforce-gtid-consistency": "ON" if self.gtid_mode else "OFF", "innodb-lock-wait-timeout": 20,
               "replica-net-timeout": 10}
        if self.durable:
            out.update({"innodb-flush-log-at-trx-commit": 1, "sync-binlog": 1})
        else:
            out.update({"innodb-flush-log-at-trx-commit": 2, "sync-binlog": 0, "innodb-flush-method": "nosync",
                        "innodb-doublewrite": "OFF", "innodb-use-native-aio": "OFF"})  # the kernel's contexts are few
        return out

    def gtid(self) -> str:
        return self.value("SELECT @@global.gtid_executed").replace("\n", "")

    def uuid(self) -> str:
        return self.value("SELECT @@server_uuid")

    def reset_binlogs(self) -> None:
        self.run("RESET BINARY LOGS AND GTIDS")

    def replicate_from(self, master: "Server", name: str = "", gtid: bool = True, file: str = "", pos: int = 4) -> None:
        channel = f" FOR CHANNEL '{name}'" if name else ""
        where = "SOURCE_AUTO_POSITION=1" if gtid else f"SOURCE_LOG_FILE='{file}', SOURCE_LOG_POS={pos}"
        self.run(f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={master.port}, SOURCE_USER='{master.user}',"
                 f" SOURCE_PASSWORD='{master.password}', SOURCE_CONNECT_RETRY=1, GET_SOURCE_PUBLIC_KEY=1, {where}{channel}",
                 f"START REPLICA{channel}")

    def wait_replica_of(self, master: "Server", timeout: float = 60) -> None:
        got = self.value("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", (master.gtid(), timeout))
        if got != 0:
            raise HarnessError(f"{self.name}: not at {master.gtid()} after {timeout} s: {self.query('SHOW REPLICA STATUS')}")

    def stop_replica(self) -> None:
        self.run("STOP REPLICA")


def make(flavor: str, name: str = "", **options) -> Server:
    """flavor: "mariadb", "mysql", or "mariadb11", which is a MariaDB 11.8."""
    return {"mariadb": MariaDB, "mysql": MySQL, "mariadb11": MariaDB11}[flavor](name, **options)


def start_all(servers: list[Server]) -> list[Server]:
    """Spawns all, then waits for all."""
    for server in servers:
        server.spawn()
    for server in servers:
        server.wait_ready()
    return servers


def downstream_from_env() -> Downstream | None:
    """SHARDMERGE_DOWNSTREAM=mysql://user:password@host:port: the suite runs against that server (a TiDB, say)."""
    text = os.environ.get("SHARDMERGE_DOWNSTREAM")
    if not text:
        return None
    url = urlparse(text)
    out = Downstream("mysql", url.hostname, url.port or 4000, unquote(url.username or "root"), unquote(url.password or ""))
    version = out.version
    out.flavor = "tidb" if "tidb" in version.lower() else "mariadb" if "mariadb" in version.lower() else "mysql"
    return out


def process_kb(pid: int, field: str) -> int:
    """A field of /proc/PID/status in kB: VmRSS, VmHWM (peak)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def process_cpu_s(pid: int) -> float:
    """User and system seconds of a running process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
