-- Schema changes of shard tables, the forks of members that are held, and the locks of targets.

-- One statement of one shard table, numbered from 1. Read again from the binlog, it is known by its identity.
CREATE TABLE shard_step (
    step_no    INTEGER PRIMARY KEY AUTOINCREMENT,      -- the order in which they were read
    member_no  INTEGER NOT NULL REFERENCES member (member_no),
    number     INTEGER NOT NULL,
    identity   TEXT    NOT NULL,
    transact   TEXT    NOT NULL,                       -- JSON: the transaction it is
    point      TEXT    NOT NULL,                       -- JSON: the stream's point before it
    kind       TEXT    NOT NULL,
    change     TEXT    NOT NULL,                       -- JSON: definitions before and after, lineage, statement
    told       INTEGER NOT NULL DEFAULT 0,             -- 1: the lock knows it
    created_ms INTEGER NOT NULL,
    UNIQUE (member_no, number),
    UNIQUE (member_no, identity)
) STRICT;

-- The part of a source's stream in which the rows of one member are not the main stream's: from one point on, up to
-- another once that is known. They are read again by a stream of their own, in rounds.
CREATE TABLE fork (
    fork_no    INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id  TEXT    NOT NULL,
    member_no  INTEGER NOT NULL REFERENCES member (member_no),
    from_point TEXT    NOT NULL,
    to_point   TEXT    NOT NULL,                       -- empty: not known yet
    needs      INTEGER NOT NULL,                       -- the version of the rows it begins with
    round      INTEGER NOT NULL DEFAULT 0,             -- 0: it waits
    finished   INTEGER NOT NULL DEFAULT 0,             -- 1: all of it is written
    created_ms INTEGER NOT NULL
) STRICT;

-- What the streams of forks have done in finished rounds.
CREATE TABLE fork_total (
    source_id  TEXT    PRIMARY KEY,
    last_round INTEGER NOT NULL,
    applied    INTEGER NOT NULL,
    parked     INTEGER NOT NULL,
    missed     INTEGER NOT NULL
) STRICT;

CREATE TABLE shard_lock (
    target_schema TEXT    NOT NULL,
    target_table  TEXT    NOT NULL,
    state         TEXT    NOT NULL,                    -- closed, waiting, data-differs, releasing, operator
    lock          TEXT    NOT NULL,                    -- JSON: everything
    explained     TEXT    NOT NULL,                    -- JSON: for people
    updated_ms    INTEGER NOT NULL,
    PRIMARY KEY (target_schema, target_table)
) STRICT;

-- Decisions of operators: asked for, then done by the running task or refused by it.
CREATE TABLE lock_decision (
    decision_no   INTEGER PRIMARY KEY AUTOINCREMENT,
    target_schema TEXT    NOT NULL,
    target_table  TEXT    NOT NULL,
    decision      TEXT    NOT NULL,
    member_no     INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    asked_by      TEXT    NOT NULL,
    asked_ms      INTEGER NOT NULL,
    outcome       TEXT    NOT NULL
) STRICT;

CREATE VIEW v_locks AS
SELECT l.target_schema || '.' || l.target_table AS target_table,
       l.state,
       e.value ->> '$.source' AS source,
       e.value ->> '$.table' AS shard_table,
       e.value ->> '$.state' AS shard_state,
       e.value ->> '$.difference' AS difference,
       e.value ->> '$.waits_for' AS waits_for,
       strftime('%Y-%m-%dT%H:%M:%fZ', l.updated_ms / 1000.0, 'unixepoch') AS updated_utc
FROM shard_lock AS l, json_each(l.explained, '$.members') AS e
ORDER BY 1, 3, 4;

CREATE VIEW v_schema_changes AS
SELECT s.step_no,
       m.source_id AS source,
       m.schema_name || '.' || m.table_name AS shard_table,
       s.number,
       s.kind,
       s.change ->> '$.statement' AS statement,
       s.point ->> '$.gtid' AS gtid,
       s.point ->> '$.file' AS binlog_file,
       s.point ->> '$.pos' AS binlog_position,
       strftime('%Y-%m-%dT%H:%M:%fZ', s.created_ms / 1000.0, 'unixepoch') AS read_utc
FROM shard_step AS s
JOIN member AS m ON m.member_no = s.member_no
ORDER BY s.step_no;

CREATE VIEW v_held AS
SELECT f.source_id AS source,
       m.schema_name || '.' || m.table_name AS shard_table,
       CASE WHEN f.round = 0 THEN 'waiting' WHEN f.finished THEN 'written' ELSE 'catching up' END AS state,
       f.from_point ->> '$.gtid' AS from_gtid,
       f.from_point ->> '$.file' AS from_file,
       f.from_point ->> '$.pos' AS from_position,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.created_ms / 1000.0, 'unixepoch') AS since_utc
FROM fork AS f
JOIN member AS m ON m.member_no = f.member_no
ORDER BY f.fork_no;
