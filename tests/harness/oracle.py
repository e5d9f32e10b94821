"""What must be true at the end: the merged table holds the union of the shard tables, with multiplicities, and the
counters add up. Rows are compared in an exact textual form that the servers themselves render, per column type."""
from __future__ import annotations

import json
from collections import Counter

from .servers import Downstream

# information_schema DATA_TYPE → expression; {c} is the quoted column
_TEXT = "IF(LENGTH({c}) > 400, CONCAT('len ', LENGTH({c}), ' sha ', SHA2(CONVERT({c} USING utf8mb4), 256)), HEX(CONVERT({c} USING utf8mb4)))"
_BLOB = "IF(LENGTH({c}) > 400, CONCAT('len ', LENGTH({c}), ' sha ', SHA2({c}, 256)), HEX({c}))"
_CHAR = "CAST({c} AS CHAR)"
_RENDER = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year", "date", "time", "datetime", "timestamp"), _CHAR),
    **dict.fromkeys(("float", "double"), "CAST({c} AS DOUBLE)"),  # all digits; compared as the number it is
    "bit": "CAST({c} AS UNSIGNED)",
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), _TEXT),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _BLOB),
    **dict.fromkeys(("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection",
                     "geomcollection", "vector"), "HEX(CAST({c} AS BINARY))"),
    **dict.fromkeys(("uuid", "inet4", "inet6"), "CONCAT({c}, ' ', HEX({c}))"),
    **dict.fromkeys(("enum", "set"), "HEX(CONVERT({c} USING utf8mb4))"),
    "json": "CAST({c} AS CHAR)",
}


def _columns(server: Downstream, table: str) -> list[tuple[str, str, bool]]:
    """(name, data type, in the primary key) of a `schema`.`table`, in order."""
    schema, name = table.replace("`", "").split(".")
    rows = server.query("SELECT column_name, data_type, column_key FROM information_schema.columns "
                        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position", (schema, name))
    if not rows:
        raise AssertionError(f"there is no table {table} on {server.host}:{server.port}")
    return [(n, t.lower(), k == "PRI") for n, t, k in rows]


def _is_json(server: Downstream, table: str) -> set[str]:
    """Columns that hold JSON: by type on MySQL; on MariaDB JSON is LONGTEXT with a CHECK json_valid."""
    if server.flavor != "mariadb":
        return {n for n, t, _ in _columns(server, table) if t == "json"}
    text = server.query(f"SHOW CREATE TABLE {table}")[0][1].lower()
    return {n for n, t, _ in _columns(server, table) if t == "longtext" and f"json_valid(`{n.lower()}`)" in text}


def _canonical_json(text: str | None) -> str | None:
    if text is None:
        return None
    out = json.dumps(json.loads(text), sort_keys=True, ensure_ascii=True)
    return out if len(out) < 400 else f"json of {len(out)}, {hash(out)}"


def table_rows(server: Downstream, table: str, columns: list[str] | None = None, where: str = "",
               jsons: set[str] | None = None) -> Counter:
    """All rows of a table as a multiset of tuples of exact texts (None for NULL), in the order of `columns`. The
    columns in `jsons` (None: those the table says) are compared as JSON values."""
    known = {n: t for n, t, _ in _columns(server, table)}
    names = columns or list(known)
    jsons = _is_json(server, table) if jsons is None else jsons
    parts = []
    for name in names:
        if known[name] not in _RENDER:
            raise AssertionError(f"{table}.{name}: the oracle cannot render {known[name]}")
        parts.append(("CAST({c} AS CHAR)" if name in jsons else _RENDER[known[name]]).format(c=f"`{name}`"))
    conn = server.connect()
    try:
        with conn.cursor() as cur:
            cur.execute("SET time_zone = '+00:00'")
            cur.execute(f"SELECT {', '.join(parts)} FROM {table}" + (f" WHERE {where}" if where else ""))
            rows = cur.fetchall()
    finally:
        conn.close()
    at_json = {i for i, n in enumerate(names) if n in jsons}
    return Counter(tuple(_plain(v, i in at_json) for i, v in enumerate(row)) for row in rows)


def _plain(value, is_json: bool) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if is_json:
        return _canonical_json(value)
    return repr(value) if isinstance(value, float) else str(value)


def _describe(names: list[str], row: tuple) -> str:
    return "(" + ", ".join(f"{n}={v if v is None or len(v) < 60 else v[:60] + '…'}" for n, v in zip(names, row)) + ")"


def differences(expected: Counter, got: Counter, names: list[str], key: list[str], limit: int = 8) -> str:
    """"" when equal; else a readable list: lost rows, rows too many, and rows of one key that differ by column."""
    lost, extra = expected - got, got - expected
    if not lost and not extra:
        return ""
    lines = [f"{sum(expected.values())} rows expected, {sum(got.values())} found; "
             f"{sum(lost.values())} missing, {sum(extra.values())} too many"]
    at = [names.index(k) for k in key]
    by_key: dict[tuple, list[tuple]] = {}
    for row in extra:
        by_key.setdefault(tuple(row[i] for i in at), []).append(row)
    shown = 0
    for row in lost:
        twins = by_key.get(tuple(row[i] for i in at), []) if at else []
        if shown >= limit:
            break
        shown += 1
        if twins:
            other = twins.pop()
            wrong = [f"{n}: expected {_short(a)}, found {_short(b)}" for n, a, b in zip(names, row, other) if a != b]
            lines.append(f"  differs {_describe(key, tuple(row[i] for i in at))}: " + "; ".join(wrong))
        else:
            lines.append(f"  missing {lost[row]} x {_describe(names, row)}")
    rest = [row for rows in by_key.values() for row in rows]
    lines += [f"  too many {extra[row]} x {_describe(names, row)}" for row in rest[:limit]]
    return "\n".join(lines)


def _short(value: str | None) -> str:
    return "NULL" if value is None else value if len(value) < 80 else value[:80] + "…"


def _without_negative_zero(rows: Counter) -> Counter:
    out: Counter = Counter()
    for row, n in rows.items():
        out[tuple("0.0" if v == "-0.0" else v for v in row)] += n
    return out


def compare(downstream: Downstream, target: str, sources: list[tuple[Downstream, str]], where: str = "") -> str:
    """"" when target holds exactly the union of the source tables, else the first differences. A MariaDB target cannot
    hold -0.0 in a FLOAT or DOUBLE, whatever the statement; MySQL can."""
    columns = _columns(sources[0][0], sources[0][1])
    names, key = [n for n, _, _ in columns], [n for n, _, k in columns if k]
    jsons = _is_json(downstream, target).union(*(_is_json(server, table) for server, table in sources))
    expected: Counter = Counter()
    for server, table in sources:
        expected += table_rows(server, table, names, jsons=jsons)
    if downstream.flavor == "mariadb":
        expected = _without_negative_zero(expected)
    text = differences(expected, table_rows(downstream, target, names, where, jsons), names, key)
    return f"{target} is not the union of its {len(sources)} shard tables: {text}" if text else ""


def assert_merged(downstream: Downstream, schema: str, workload) -> None:
    """Every target of a workload equals the union of its shard tables."""
    problems = [compare(downstream, f"`{schema}`.`{base}`", workload.sources_of(base)) for base in workload.options.tables]
    problems = [p for p in problems if p]
    assert not problems, f"workload seed {workload.seed}\n" + "\n".join(problems)


ENDS = ("applied", "filtered", "held", "parked", "missed", "refused", "loaded")


def assert_counters(status: dict, settled: bool = True) -> None:
    """read = applied + filtered + held + parked + missed + refused, for every source. settled: nothing is under way."""
    for source in status["sources"]:
        counters = source["counters"]
        missing = {"read", *ENDS} - set(counters)
        assert not missing, f"source {source['id']}: status lacks the counters {sorted(missing)}: {counters}"
        total = sum(counters[k] for k in ENDS)
        if settled:
            assert counters["read"] == total, f"source {source['id']}: read {counters['read']} != {total}, the sum of {counters}"
        else:
            assert counters["read"] >= total, f"source {source['id']}: read {counters['read']} < {total}, the sum of {counters}"
