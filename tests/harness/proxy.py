"""The fault proxy: speaks MySQL's client protocol between a client and a real server, and breaks it on purpose.

It works per connection in lockstep: one command from the client, the rules, the server's whole answer, the next
command. After COM_BINLOG_DUMP it passes bytes. TLS and compression are taken out of the server's greeting.

It proves the client's reaction, not the behaviour of the server whose errors it plays.

    proxy = Proxy(server.host, server.port).start()
    proxy.drop_after("COMMIT", nth=3)              the 3rd COMMIT reaches the server; the client never learns
    proxy.drop_before("COMMIT")                    the client's connection ends, the server never sees it
    proxy.cut_answer("SELECT", at=70)              the client gets 70 bytes of the answer, and its connection ends
    proxy.hold_commit(seconds=4)                   the client is gone; the server gets its COMMIT 4 s later
    proxy.stall(r"ALTER TABLE", kill_client=True)  the server goes on with it, the client's connection ends
    proxy.error(r"INSERT", 1213, "40001", "…")     the statement is not forwarded, the client gets this answer
    proxy.error("COMMIT", 9007, "HY000", "…")      a COMMIT that fails is rolled back on the server
    proxy.limit(bytes_per_transaction=…)           TiDB's size limits
    proxy.answer(r"TIDB_VERSION\\(\\)", ["v"], [["…"]])
    proxy.cut() / proxy.heal()                     nothing passes, nothing is closed
    proxy.close_all()                              every connection is reset
    proxy.refuse() / proxy.listen()                nobody can connect
    proxy.statements, proxy.count(r"REPLACE"), proxy.find(…)
"""
from __future__ import annotations

import re
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from .servers import free_port

CLIENT_COMPRESS = 1 << 5
CLIENT_SSL = 1 << 11
CLIENT_DEPRECATE_EOF = 1 << 24
CLIENT_ZSTD = 1 << 26
MARIADB_CACHE_METADATA = 1 << 4  # of the extended capabilities: would change how results are framed
MARIADB_EXTENDED_METADATA = 1 << 3
SERVER_MORE_RESULTS = 0x0008

COM_QUIT, COM_INIT_DB, COM_QUERY, COM_FIELD_LIST, COM_STATISTICS = 0x01, 0x02, 0x03, 0x04, 0x09
COM_CHANGE_USER, COM_BINLOG_DUMP, COM_STMT_PREPARE, COM_STMT_EXECUTE = 0x11, 0x12, 0x16, 0x17
COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE, COM_STMT_FETCH, COM_BINLOG_DUMP_GTID = 0x18, 0x19, 0x1C, 0x1E
COM_STMT_BULK_EXECUTE = 0xFA
_NO_ANSWER = {COM_QUIT, COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE}
_WITH_RESULT = {COM_QUERY, COM_STMT_EXECUTE, COM_STMT_BULK_EXECUTE}
_KEEP_TEXT = 300  # bytes of each statement that are recorded

_COMMIT = re.compile(r"\s*(?:/\*.*?\*/\s*)?COMMIT\b", re.I | re.S)
_BEGIN = re.compile(r"\s*(?:/\*.*?\*/\s*)?(?:BEGIN|START\s+TRANSACTION)\b", re.I | re.S)
_END = re.compile(r"\s*(?:/\*.*?\*/\s*)?(?:COMMIT|ROLLBACK)\b(?!\s+TO)", re.I | re.S)


class _Closed(Exception):
    """One side of the connection has ended, or a rule ended it."""


@dataclass
class Statement:
    connection: int
    command: int
    text: str  # the first bytes; of an EXECUTE the prepared text
    size: int
    at: float


@dataclass
class Rule:
    """What happens to the nth statement that matches, and to `times` of them from there (0: all)."""

    pattern: re.Pattern
    action: str
    nth: int = 1
    times: int = 1
    options: dict = field(default_factory=dict)
    seen: int = 0
    fired: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout: float = 30) -> None:
        """Until the rule has been met once."""
        if not self.fired.wait(timeout):
            raise AssertionError(f"no statement matched {self.pattern.pattern!r} (occurrence {self.nth}) within {timeout} s; "
                                 f"{self.seen} seen")

    def _takes(self) -> bool:
        self.seen += 1
        return self.seen >= self.nth and (self.times == 0 or self.seen < self.nth + self.times)


def _lenenc(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[at + 1:at + 1 + width], "little"), at + 1 + width


def _lenenc_str(data: bytes) -> bytes:
    n = len(data)
    if n < 0xFB:
        return bytes([n]) + data
    if n < 1 << 16:
        return b"\xfc" + struct.pack("<H", n) + data
    return b"\xfd" + struct.pack("<I", n)[:3] + data


def _status_of_ok(payload: bytes) -> int:
    _, at = _lenenc(payload, 1)
    _, at = _lenenc(payload, at)
    return struct.unpack_from("<H", payload, at)[0]


class _Connection:
    def __init__(self, proxy: "Proxy", number: int, client: socket.socket):
        self.proxy, self.number = proxy, number
        self.client: socket.socket | None = client
        self.server: socket.socket | None = None
        self.deprecate_eof = False
        self.extended_metadata = False
        self.capabilities = 0
        self.streaming = False
        self.prepared: dict[int, str] = {}
        self.last_prepared = ""
        self.transaction_bytes = 0
        self.thread = threading.Thread(target=self._run, name=f"proxy-{number}", daemon=True)

    # -- bytes ----------------------------------------------------------------------------------------------------
    def _ready(self, sock: socket.socket) -> None:
        """Until sock can be read. While the server is waited for, the client's end is noticed too."""
        while True:
            self.proxy._pass_gate()
            watched = [sock]
            if sock is self.server and self.client is not None:
                watched.append(self.client)
            try:
                readable, _, _ = select.select(watched, [], [], 0.5)
            except (OSError, ValueError):
                raise _Closed from None
            if self.proxy._cut.is_set():
                continue
            if sock in readable:
                return
            if self.client in readable and self._client_gone():
                raise _Closed
            if self.client in readable:  # pipelined commands wait in the socket
                select.select([sock], [], [], 0.05)

    def _client_gone(self) -> bool:
        try:
            return self.client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _recv(self, sock: socket.socket, n: int) -> bytes:
        parts, left = [], n
        while left:
            self._ready(sock)
            try:
                got = sock.recv(min(left, 1 << 20))
            except OSError:
                raise _Closed from None
            if not got:
                raise _Closed
            parts.append(got)
            left -= len(got)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _packet(self, sock: socket.socket) -> tuple[bytes, bytes]:
        """One logical packet: (payload, all bytes with headers). Joins those of 16 MiB and more."""
        payload, raw = [], []
        while True:
            header = self._recv(sock, 4)
            length = int.from_bytes(header[:3], "little")
            body = self._recv(sock, length) if length else b""
            payload.append(body)
            raw += [header, body]
            if length < 0xFFFFFF:
                return b"".join(payload), b"".join(raw)

    def _send(self, sock: socket.socket | None, data: bytes) -> None:
        if sock is None:
            return
        self.proxy._pass_gate()
        try:
            sock.sendall(data)
        except OSError:
            raise _Closed from None

    def _to_client(self, payload: bytes, seq: int) -> None:
        self._send(self.client, struct.pack("<I", len(payload))[:3] + bytes([seq & 0xFF]) + payload)

    # -- life -----------------------------------------------------------------------------------------------------
    def close_client(self) -> None:
        self._close("client")

    def close(self) -> None:
        self._close("client")
        self._close("server")

    def _close(self, which: str) -> None:
        sock, _ = getattr(self, which), setattr(self, which, None)
        if sock is None:
            return
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST: as after a kill
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()

    def _run(self) -> None:
        try:
            self.proxy._pass_gate()
            self.server = socket.create_connection((self.proxy.server_host, self.proxy.server_port), timeout=10)
            self.server.settimeout(None)
            for sock in (self.client, self.server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._handshake()
            while True:
                self._command()
        except (_Closed, OSError, AttributeError, TypeError):
            pass  # a socket was taken away under us: that is what this proxy is for
        finally:
            self.close()
            self.proxy._forget(self)

    def _handshake(self) -> None:
        payload, raw = self._packet(self.server)
        if payload[0] != 10:
            self._send(self.client, raw)
            raise _Closed
        body = bytearray(payload)
        at = body.index(0, 1) + 1 + 4 + 8 + 1
        low = struct.unpack_from("<H", body, at)[0] & ~(CLIENT_SSL | CLIENT_COMPRESS)
        struct.pack_into("<H", body, at, low & 0xFFFF)
        high_at = at + 2 + 1 + 2
        high = struct.unpack_from("<H", body, high_at)[0] & ~(CLIENT_ZSTD >> 16)
        struct.pack_into("<H", body, high_at, high & 0xFFFF)
        ext_at = high_at + 2 + 1 + 6
        if not low & 1 and len(body) >= ext_at + 4:  # MariaDB: CLIENT_MYSQL off, extended capabilities present
            ext = struct.unpack_from("<I", body, ext_at)[0] & ~MARIADB_CACHE_METADATA
            struct.pack_into("<I", body, ext_at, ext)
        if self.proxy.server_version is not None:
            end = body.index(0, 1)
            body = body[:1] + self.proxy.server_version.encode() + body[end:]
        self._to_client(bytes(body), 0)
        payload, raw = self._packet(self.client)
        self.capabilities = struct.unpack_from("<I", payload)[0]
        if self.capabilities & CLIENT_SSL:
            raise _Closed
        self.deprecate_eof = bool(self.capabilities & CLIENT_DEPRECATE_EOF)
        if not self.capabilities & 1 and len(payload) >= 32:  # a MariaDB client at a MariaDB server
            self.extended_metadata = bool(struct.unpack_from("<I", payload, 28)[0] & MARIADB_EXTENDED_METADATA)
        self._send(self.server, raw)
        self._authenticate()

    def _authenticate(self) -> None:
        """Passes packets both ways until the server says OK or ERR."""
        while True:
            self.proxy._pass_gate()
            readable, _, _ = select.select([self.server, self.client], [], [], 0.5)
            if self.client in readable:
                self._send(self.server, self._packet(self.client)[1])
            if self.server in readable:
                payload, raw = self._packet(self.server)
                self._send(self.client, raw)
                if payload[0] == 0x00:
                    return
                if payload[0] == 0xFF:
                    raise _Closed

    # -- commands -------------------------------------------------------------------------------------------------
    def _command(self) -> None:
        payload, raw = self._packet(self.client)
        code, text = payload[0], self._text(payload)
        self.proxy._record(Statement(self.number, code, text, len(payload), time.monotonic()))
        if code in (COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID):
            self._send(self.server, raw)
            self._stream()
            raise _Closed
        if code == COM_STMT_PREPARE:
            self._send(self.server, raw)
            self._prepare_answer(payload[1:].decode("utf-8", "replace"))
            return
        if code in _WITH_RESULT and self._rules(text, payload, raw):
            return
        self._send(self.server, raw)
        if code == COM_CHANGE_USER:
            self._authenticate()
        elif code in _WITH_RESULT:
            self._result(self.client)
        elif code == COM_STMT_FETCH or code == COM_FIELD_LIST:
            self._rows(self.client)
        elif code not in _NO_ANSWER:
            self._send(self.client, self._packet(self.server)[1])

    def _text(self, payload: bytes) -> str:
        code = payload[0]
        if code == COM_QUERY:
            return payload[1:1 + 4096].decode("utf-8", "replace")
        if code in (COM_STMT_EXECUTE, COM_STMT_BULK_EXECUTE):
            number = struct.unpack_from("<I", payload, 1)[0]
            return self.last_prepared if number == 0xFFFFFFFF else self.prepared.get(number, "?")
        if code == COM_STMT_PREPARE:
            return payload[1:1 + 4096].decode("utf-8", "replace")
        return ""

    def _rules(self, text: str, payload: bytes, raw: bytes) -> bool:
        """True when the statement has been dealt with."""
        if _BEGIN.match(text):
            self.transaction_bytes = 0
        self.transaction_bytes += len(payload)
        refusal = self.proxy._over_limit(len(payload), self.transaction_bytes)
        if refusal and not _END.match(text):
            self._roll_back_server()
            self._error(*refusal)
            return True
        for rule in self.proxy._matching(text):
            rule.fired.set()
            if getattr(self, "_do_" + rule.action)(rule, raw):
                return True
        return False

    def _do_delay(self, rule: Rule, raw: bytes) -> bool:
        rule.release.wait(rule.options["seconds"])
        return False

    def _do_call(self, rule: Rule, raw: bytes) -> bool:
        rule.options["function"]()
        return False

    def _do_drop_before(self, rule: Rule, raw: bytes) -> bool:
        raise _Closed

    def _do_drop_after(self, rule: Rule, raw: bytes) -> bool:
        self._send(self.server, raw)
        self.close_client()
        self._result(None)
        raise _Closed

    def _do_cut_answer(self, rule: Rule, raw: bytes) -> bool:
        answer: list[bytes] = []
        self._send(self.server, raw)
        self._result(None, answer)
        rule.options["size"] = len(b"".join(answer))
        self._send(self.client, b"".join(answer)[:rule.options["at"]])
        raise _Closed

    def _do_hold(self, rule: Rule, raw: bytes) -> bool:
        if rule.options["close_client"]:
            self.close_client()
        rule.release.wait(rule.options["seconds"])
        if self.client is not None and self._client_gone():
            self.close_client()
        self._send(self.server, raw)
        self._result(self.client)
        rule.options["done"].set()
        if self.client is None:
            raise _Closed
        return True

    def _do_stall(self, rule: Rule, raw: bytes) -> bool:
        self._send(self.server, raw)
        if rule.options["kill_client"]:
            rule.release.wait(rule.options["seconds"])
            self.close_client()
            self._result(None)
            raise _Closed
        answer: list[bytes] = []
        self._result(None, answer)
        rule.release.wait(rule.options["seconds"])
        self._send(self.client, b"".join(answer))
        return True

    def _do_error(self, rule: Rule, raw: bytes) -> bool:
        if rule.options["rollback"]:
            self._roll_back_server()
        self._error(rule.options["errno"], rule.options["sqlstate"], rule.options["text"])
        return True

    def _do_answer(self, rule: Rule, raw: bytes) -> bool:
        columns, rows = rule.options["columns"], rule.options["rows"]
        self._to_client(bytes([len(columns)]), 1)
        seq = 2
        for name in columns:
            definition = (_lenenc_str(b"def") + _lenenc_str(b"") * 3 + _lenenc_str(name.encode()) * 2
                          + (_lenenc_str(b"") if self.extended_metadata else b"") + b"\x0c" + struct.pack("<HIBHB", 45, 1 << 16, 253, 0, 0) + b"\0\0")
            self._to_client(definition, seq)
            seq += 1
        if not self.deprecate_eof:
            self._to_client(b"\xfe\0\0\x02\0", seq)
            seq += 1
        for row in rows:
            self._to_client(b"".join(b"\xfb" if v is None else _lenenc_str(str(v).encode()) for v in row), seq)
            seq += 1
        self._to_client(b"\xfe\0\0\x02\0\0\0" if self.deprecate_eof else b"\xfe\0\0\x02\0", seq)
        return True

    def _error(self, errno: int, sqlstate: str, text: str) -> None:
        self._to_client(b"\xff" + struct.pack("<H", errno) + b"#" + sqlstate.encode() + text.encode(), 1)

    def _roll_back_server(self) -> None:
        body = b"\x03ROLLBACK"
        self._send(self.server, struct.pack("<I", len(body))[:3] + b"\0" + body)
        self._result(None)

    # -- answers --------------------------------------------------------------------------------------------------
    def _forward(self, to: socket.socket | None, keep: list[bytes] | None) -> bytes:
        payload, raw = self._packet(self.server)
        if keep is not None:
            keep.append(raw)
        self._send(to, raw)
        return payload

    def _rows(self, to: socket.socket | None, keep: list[bytes] | None = None) -> int:
        """Passes packets up to the one that ends a row set; returns the server status in it (0 after ERR)."""
        while True:
            payload = self._forward(to, keep)
            if payload[:1] == b"\xff":
                return 0
            if payload[:1] == b"\xfe" and len(payload) < 0xFFFFFF:
                if self.deprecate_eof:
                    return _status_of_ok(payload)
                if len(payload) < 9:
                    return struct.unpack_from("<H", payload, 3)[0]

    def _result(self, to: socket.socket | None, keep: list[bytes] | None = None) -> None:
        while True:
            payload = self._forward(to, keep)
            if payload[0] == 0xFF:
                if payload[1:3] == b"\xff\xff":  # MariaDB: how far a long statement is; more follows
                    continue
                return
            if payload[0] == 0x00:
                if _status_of_ok(payload) & SERVER_MORE_RESULTS:
                    continue
                return
            if payload[0] == 0xFB:  # LOCAL INFILE: not used by anybody we test
                raise _Closed
            columns, _ = _lenenc(payload, 0)
            for _ in range(columns):
                self._forward(to, keep)
            if not self.deprecate_eof:
                self._forward(to, keep)
            if not self._rows(to, keep) & SERVER_MORE_RESULTS:
                return

    def _prepare_answer(self, text: str) -> None:
        payload = self._forward(self.client, None)
        if payload[0] != 0x00:
            return
        number, columns, params = struct.unpack_from("<IHH", payload, 1)
        self.prepared[number] = self.last_prepared = text[:4096]
        for count in (params, columns):
            for _ in range(count):
                self._forward(self.client, None)
            if count and not self.deprecate_eof:
                self._forward(self.client, None)

    # -- binlog dump ----------------------------------------------------------------------------------------------
    def _stream(self) -> None:
        self.streaming = True
        while True:
            self.proxy._pass_gate()
            readable, _, _ = select.select([self.server, self.client], [], [], 0.5)
            if self.proxy._cut.is_set():
                continue
            if self.client in readable:
                data = self.client.recv(1 << 16)
                if not data:
                    raise _Closed
                self._send(self.server, data)
            if self.server in readable:
                data = self.server.recv(1 << 18)
                if not data:
                    raise _Closed
                data = self.proxy._damage(data)
                allowed = self.proxy._stream_allowance(len(data))
                self._send(self.client, data[:allowed])
                if allowed < len(data):
                    raise _Closed


class Proxy:
    """One listening port in front of one server. Use as a context manager or call stop()."""

    def __init__(self, server_host: str, server_port: int):
        self.server_host, self.server_port = server_host, server_port
        self.host, self.port = "127.0.0.1", 0
        self.server_version: str | None = None  # set: what the greeting says instead of the server's own
        self.statements: deque[Statement] = deque(maxlen=200000)
        self.connections = 0
        self._rules_list: list[Rule] = []
        self._open: set[_Connection] = set()
        self._lock = threading.Lock()
        self._cut = threading.Event()
        self._uncut = threading.Event()
        self._uncut.set()
        self._listener: socket.socket | None = None
        self._limits: dict[str, tuple] = {}
        self._stream_left: int | None = None
        self._damage_rule: tuple[bytes, bytes] | None = None
        self.damaged = 0

    # -- life -----------------------------------------------------------------------------------------------------
    def start(self) -> "Proxy":
        self.listen()
        return self

    def stop(self) -> None:
        self.heal()
        self.release_all()
        self.refuse()
        self.close_all()

    def __enter__(self) -> "Proxy":
        return self.start() if self._listener is None else self

    def __exit__(self, *_exc) -> None:
        self.stop()

    def listen(self) -> None:
        """Takes connections (again), always on the same port."""
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = self.port or free_port()
        listener.bind((self.host, self.port))
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="proxy-accept", daemon=True).start()

    def refuse(self) -> None:
        """Nobody can connect; open connections stay."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                connection = _Connection(self, self.connections, client)
                self._open.add(connection)
            connection.thread.start()

    def _forget(self, connection: _Connection) -> None:
        with self._lock:
            self._open.discard(connection)

    def close_all(self) -> None:
        """Resets every connection, both sides."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.close()

    def close_streams(self) -> None:
        """Resets the connections that a binlog runs through."""
        with self._lock:
            connections = [c for c in self._open if c.streaming]
        for connection in connections:
            connection.close()

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    # -- the network ----------------------------------------------------------------------------------------------
    def cut(self) -> None:
        """Nothing passes in either direction, nothing is closed, new connections hang: an unplugged cable."""
        self._uncut.clear()
        self._cut.set()

    def heal(self) -> None:
        self._cut.clear()
        self._uncut.set()

    def _pass_gate(self) -> None:
        self._uncut.wait()

    def drop_stream_after(self, n_bytes: int) -> None:
        """The binlog stream ends after so many more bytes, most likely inside an event. Once."""
        with self._lock:
            self._stream_left = n_bytes

    def _stream_allowance(self, wanted: int) -> int:
        with self._lock:
            if self._stream_left is None:
                return wanted
            if wanted <= self._stream_left:
                self._stream_left -= wanted
                return wanted
            allowed, self._stream_left = self._stream_left, None
            return allowed

    def damage_stream(self, old: bytes, new: bytes) -> None:
        """Replaces these bytes by others of the same length in a binlog stream. Once; `damaged` counts."""
        assert len(old) == len(new)
        with self._lock:
            self._damage_rule = (old, new)

    def _damage(self, data: bytes) -> bytes:
        with self._lock:
            if self._damage_rule is None or self._damage_rule[0] not in data:
                return data
            old, new = self._damage_rule
            self._damage_rule = None
            self.damaged += 1
        return data.replace(old, new, 1)

    # -- rules ----------------------------------------------------------------------------------------------------
    def _add(self, pattern: str, action: str, nth: int, times: int, **options) -> Rule:
        compiled = _COMMIT if pattern == "COMMIT" else re.compile(pattern, re.I | re.S)
        rule = Rule(compiled, action, nth, times, options)
        with self._lock:
            self._rules_list.append(rule)
        return rule

    def drop_before(self, pattern: str, nth: int = 1, times: int = 1) -> Rule:
        """Both connections end; the server never sees the statement."""
        return self._add(pattern, "drop_before", nth, times)

    def drop_after(self, pattern: str, nth: int = 1, times: int = 1) -> Rule:
        """The server gets and finishes the statement; the client's connection ends as soon as it was forwarded."""
        return self._add(pattern, "drop_after", nth, times)

    def cut_answer(self, pattern: str, at: int, nth: int = 1, times: int = 1) -> Rule:
        """The client gets the first `at` bytes of the server's answer, then the connection ends; rule.options["size"] is the whole answer's size."""
        return self._add(pattern, "cut_answer", nth, times, at=at)

    def hold_commit(self, seconds: float = 4, pattern: str = "COMMIT", nth: int = 1, close_client: bool = True) -> Rule:
        """The statement reaches the server only after `seconds` (or rule.release.set()), even though the client is
        long gone: a server that holds the COMMIT of a killed process. rule.options["done"] is set after it."""
        return self._add(pattern, "hold", nth, 1, seconds=seconds, close_client=close_client, done=threading.Event())

    def stall(self, pattern: str, seconds: float = 1, kill_client: bool = True, nth: int = 1, times: int = 1) -> Rule:
        """The server gets the statement at once; after `seconds` the client's connection ends (kill_client) or the
        client gets the answer that late."""
        return self._add(pattern, "stall", nth, times, seconds=seconds, kill_client=kill_client)

    def delay(self, pattern: str, seconds: float, nth: int = 1, times: int = 0) -> Rule:
        """The statement is forwarded `seconds` late."""
        return self._add(pattern, "delay", nth, times, seconds=seconds)

    def error(self, pattern: str, errno: int, sqlstate: str, text: str, nth: int = 1, times: int = 1,
              rollback: bool | None = None) -> Rule:
        """The statement is not forwarded; the client gets this error. rollback: the server's transaction is rolled
        back as well (default: at COMMIT, and for 1213)."""
        if rollback is None:
            rollback = pattern == "COMMIT" or errno == 1213
        return self._add(pattern, "error", nth, times, errno=errno, sqlstate=sqlstate, text=text, rollback=rollback)

    def answer(self, pattern: str, columns: list[str], rows: list[list], nth: int = 1, times: int = 0) -> Rule:
        """A result from a script instead of the server's."""
        return self._add(pattern, "answer", nth, times, columns=columns, rows=rows)

    def call(self, pattern: str, function, nth: int = 1, times: int = 1) -> Rule:
        """Calls function() before the statement is forwarded (kill a process at this very moment, say)."""
        return self._add(pattern, "call", nth, times, function=function)

    def limit(self, bytes_per_transaction: int | None = None, bytes_per_statement: int | None = None) -> None:
        """TiDB's limits: 8004 Transaction is too large, 8025 entry too large. None lifts one."""
        self._limits = {"transaction": (bytes_per_transaction, 8004, "Transaction is too large, size: %d"),
                        "statement": (bytes_per_statement, 8025, "entry too large, the max entry size is %d")}

    def _over_limit(self, statement: int, transaction: int) -> tuple[int, str, str] | None:
        for key, size in (("statement", statement), ("transaction", transaction)):
            bound, errno, text = self._limits.get(key, (None, 0, ""))
            if bound is not None and size > bound:
                return errno, "HY000", text % size
        return None

    def _matching(self, text: str) -> list[Rule]:
        with self._lock:
            return [r for r in self._rules_list if r.pattern.search(text) and r._takes()]

    def release_all(self) -> None:
        with self._lock:
            for rule in self._rules_list:
                rule.release.set()

    def clear(self) -> None:
        """Forgets the rules and limits."""
        self.release_all()
        with self._lock:
            self._rules_list = []
        self._limits = {}

    # -- what was sent --------------------------------------------------------------------------------------------
    def _record(self, statement: Statement) -> None:
        statement.text = statement.text[:_KEEP_TEXT]
        self.statements.append(statement)

    def find(self, pattern: str) -> list[Statement]:
        """Recorded statements (texts and prepared ones) whose first bytes match."""
        compiled = re.compile(pattern, re.I | re.S)
        return [s for s in list(self.statements) if compiled.search(s.text)]

    def count(self, pattern: str) -> int:
        return len(self.find(pattern))


FORBIDDEN = r"^\s*(/\*.*?\*/\s*)?(REPLACE\b|INSERT\s+(LOW_PRIORITY\s+|HIGH_PRIORITY\s+|DELAYED\s+)*IGNORE\b|UPDATE\s+IGNORE\b|LOAD\s+DATA)"
"""What is never sent for replicated rows."""
