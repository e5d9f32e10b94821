"""Real MariaDB and MySQL servers in temporary folders, on free ports of the loopback.

MariaDB comes from the system's package. MySQL comes from a Debian tree under $SHARDMERGE_CACHE/sid (default
/var/cache/shardmerge/sid) and runs with the tree's own loader and libraries; a newer MariaDB ("mariadb11") comes from
$SHARDMERGE_CACHE/trixie in the same way. Their first data folder is made inside the tree with chroot.

Data folders are initialised once per run and flavor (the processes of one pytest-xdist run share them), then copied. Nothing outlives the process that started it:
servers get SIGKILL when it dies (PR_SET_PDEATHSIG), atexit kills them by pid and removes their folders, and a later
process sweeps up the folders whose owner is gone. Servers are therefore spawned from the main thread only.
"""
from __future__ import annotations

import atexit
import ctypes
import fcntl
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
SHM = Path("/dev/shm")
ROOM_MB = 12 << 10  # left of memory, where a server's folder may be made in it: folders grow, and some tests need gigabytes
PREFIX = "smtest-"
USER, PASSWORD = "sm", "sm-Pw.1"  # may do everything, from everywhere on this machine

# The tests set this: servers that need not survive the machine keep their data in memory while there is room. To a schema
# change, dozens of files are made durable: on a disk that others use that is most of a test's time.
in_memory = False

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_folders: list[Path] = []
_servers: list["Server"] = []
_port_marks: dict[int, socket.socket] = {}
_templates: dict[str, Path] = {}
_ids = iter(range(101, 100000))


class HarnessError(RuntimeError):
    """A server could not be started or did something the harness did not expect."""


def die_with_parent() -> None:
    """preexec_fn: the child gets SIGKILL when its parent's thread ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def free_port() -> int:
    """A port that stays this process's, also while nobody listens on it: below those that the system gives to connections, and marked by an
    abstract socket, so that no other process of a run takes it."""
    while True:
        port, mark = 10000 + secrets.randbelow(22000), socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0{PREFIX}port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _port_marks[port] = mark
        return port


def leave_port(port: int) -> None:
    """Others may take it."""
    if port in _port_marks:
        _port_marks.pop(port).close()


def available_mb() -> int:
    """Memory that the machine has left."""
    return next(int(line.split()[1]) >> 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))


def _place() -> Path:
    """Where a server's folder is to be made."""
    if in_memory and "SHARDMERGE_TMP" not in os.environ and SHM.is_dir() and shutil.disk_usage(SHM).free >> 20 > ROOM_MB and available_mb() > ROOM_MB:
        return SHM
    return TMP


def _of_tree(tree: Path, program: str) -> list[str]:
    """A server of a Debian tree, started from outside of it by its own loader: its data may be anywhere."""
    loader = next(path for folder in ("lib64", "lib") for path in sorted((tree / folder).glob("ld-linux-*.so.*")))
    libraries = ":".join(str(path) for path in sorted((tree / "usr/lib").glob("*-linux-gnu*")))
    return [str(loader), "--library-path", libraries, str(tree / "usr/sbin" / program)]


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
        try:  # others may sweep the same folder
            pidfiles = list(folder.rglob("*.pid"))
        except OSError:
            continue
        for pidfile in pidfiles:
            try:
                text = pidfile.read_text().strip()
                if text.isdigit() and folder.name in Path(f"/proc/{text}/cmdline").read_bytes().decode(errors="replace"):
                    os.kill(int(text), signal.SIGKILL)
            except OSError:
                continue
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


def _template(flavor: str, base: Path, make) -> Path:
    """The data folder that make(folder) initialises in folder/data, once a run; another process of the run may be at it."""
    if flavor not in _templates:
        owner = os.getppid() if os.environ.get("PYTEST_XDIST_WORKER") else os.getpid()
        folder = base / f"{PREFIX}{owner}-template-{flavor}"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "made").exists():
                for part in ("data", "tmp"):
                    shutil.rmtree(folder / part, ignore_errors=True)
                (folder / "tmp").mkdir(mode=0o777)
                make(folder)
                (folder / "made").touch()
        _templates[flavor] = folder / "data"
    return _templates[flavor]


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
    mine = [folder for base in (TMP, CHROOT / "srv", CHROOT_MARIADB / "srv") for folder in base.glob(f"{PREFIX}{os.getpid()}-template-*")]
    for folder in [*_folders, *mine]:
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
    def _command(self, options: list[str]) -> list[str]:
        raise NotImplementedError

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
            self.folder = new_folder(TMP if self.durable else _place())
            subprocess.run(["cp", "-a", "--reflink=auto", "--sparse=always", str(template), str(self.datadir)], check=True)
            (self.datadir / "auto.cnf").unlink(missing_ok=True)
            (self.folder / "tmp").mkdir(mode=0o777)
        if self not in _servers:
            _servers.append(self)
        self.port = self.port or free_port()
        options = self._defaults()
        options["tmpdir"] = self.folder / "tmp"  # its own: a server that starts removes what it finds there
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
        leave_port(self.port)
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
        return "\n".join([line for line in text.splitlines() if "ERROR" in line][:lines] + [f"left: {disk} MB of disk, {available_mb()} MB of memory"])

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

    def close_and_wait(self, conn: pymysql.Connection, asker: pymysql.Connection | None = None) -> None:
        """Closes a connection and waits until the server has taken leave of it: what it prepared (XA) may be ended by others then. MariaDB
        loses a transaction whose XA COMMIT comes before."""
        number, mine = conn.thread_id(), asker or self.connect()
        conn.close()
        end = time.monotonic() + 60
        with mine.cursor() as cur:
            while cur.execute("SELECT 1 FROM information_schema.processlist WHERE id = %s", (number,)):
                if time.monotonic() > end:
                    raise HarnessError(f"{self.name}: connection {number} does not end")
                time.sleep(0.002)
        if asker is None:
            mine.close()

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
        def make(folder: Path) -> None:
            tool = shutil.which("mariadb-install-db")
            if not tool:
                raise HarnessError("mariadb-install-db is missing: run make deps-install")
            done = subprocess.run([tool, "--no-defaults", "--user=root", f"--datadir={folder / 'data'}", "--skip-test-db",
                                   f"--tmpdir={folder / 'tmp'}",  # its own: a server that starts removes what it finds there
                                   "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise HarnessError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")

        return _template("mariadb", TMP, make)

    def _command(self, options: list[str]) -> list[str]:
        binary = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        return [binary, "--no-defaults", *options]

    def _defaults(self) -> dict:
        out = {"user": "root", "datadir": self.datadir, "socket": self.socket_path, "port": self.port,
               "bind-address": "127.0.0.1", "pid-file": self.folder / "own.pid", "log-error": self.error_log,
               "skip-name-resolve": True, "skip-slave-start": True, "performance-schema": "OFF",
               "innodb-buffer-pool-size": "64M",
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
        def make(folder: Path) -> None:
            if not (CHROOT_MARIADB / "usr/sbin/mariadbd").exists():
                raise HarnessError(f"no MariaDB under {CHROOT_MARIADB}: run make deps-install")
            inside = "/" / folder.relative_to(CHROOT_MARIADB)
            done = subprocess.run(["chroot", str(CHROOT_MARIADB), "mariadb-install-db", "--no-defaults", "--user=root", "--force",
                                   f"--datadir={inside / 'data'}", "--skip-test-db", f"--tmpdir={inside / 'tmp'}",
                                   "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise HarnessError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")

        return _template("mariadb11", CHROOT_MARIADB / "srv", make)

    def _command(self, options: list[str]) -> list[str]:
        usr = CHROOT_MARIADB / "usr"
        return [*_of_tree(CHROOT_MARIADB, "mariadbd"), "--no-defaults", f"--basedir={usr}", f"--plugin-dir={usr / 'lib/mysql/plugin'}",
                f"--lc-messages-dir={usr / 'share/mariadb'}", f"--character-sets-dir={usr / 'share/mariadb/charsets'}", *options]

    def _defaults(self) -> dict:
        out = super()._defaults()
        if "innodb-flush-method" in out:  # what that stood for has options of its own here
            del out["innodb-flush-method"]
        return out


class MySQL(Server):
    def __init__(self, name: str = "", gtid: bool = True, **options):
        super().__init__("mysql", name, **options)
        self.gtid_mode = gtid

    def template(self) -> Path:
        def make(folder: Path) -> None:
            if not (CHROOT / "usr/sbin/mysqld").exists():
                raise HarnessError(f"no MySQL under {CHROOT}: run make deps-install")
            inside = "/" / folder.relative_to(CHROOT)
            done = subprocess.run(["chroot", str(CHROOT), "/usr/sbin/mysqld", "--no-defaults", "--user=root", "--initialize-insecure",
                                   f"--datadir={inside / 'data'}", "--innodb-redo-log-capacity=32M", "--innodb-flush-method=nosync",
                                   "--innodb-doublewrite=OFF", f"--log-error={inside / 'error.log'}"], capture_output=True, text=True)
            if done.returncode != 0:
                raise HarnessError(f"mysqld --initialize failed:\n{(folder / 'error.log').read_text()[-2000:]}{done.stderr}")

        return _template("mysql", CHROOT / "srv", make)

    def _command(self, options: list[str]) -> list[str]:
        usr = CHROOT / "usr"
        return [*_of_tree(CHROOT, "mysqld"), "--no-defaults", "--user=root", "--mysqlx=OFF", f"--basedir={usr}",
                f"--plugin-dir={usr / 'lib/mysql/plugin'}", f"--lc-messages-dir={usr / 'share/mysql'}",
                f"--character-sets-dir={usr / 'share/mysql/charsets'}", *options]

    def _defaults(self) -> dict:
        out = {"datadir": self.datadir, "socket": self.socket_path, "port": self.port,
               "bind-address": "127.0.0.1", "pid-file": self.folder / "own.pid",
               "log-error": self.error_log, "secure-file-priv": "", "skip-name-resolve": "ON", "performance-schema": "OFF",
               "innodb-buffer-pool-size": "64M", "innodb-redo-log-capacity": "32M", "max-connections": 300,
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
