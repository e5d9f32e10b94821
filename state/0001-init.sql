-- The state of one task. Written by the program only, one process at a time (the folder's lock file says which).
-- Look with the views; the tables are the program's own. Times: milliseconds since 1970-01-01 UTC.

CREATE TABLE migration (
    number     INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    applied_ms INTEGER NOT NULL,
    program    TEXT    NOT NULL
) STRICT;

-- One row: the identity that ties this folder to the downstream meta schema.
CREATE TABLE task (
    one                   INTEGER PRIMARY KEY CHECK (one = 1),
    name                  TEXT    NOT NULL,
    uuid                  TEXT    NOT NULL,
    fingerprint           TEXT    NOT NULL,           -- the part of the configuration that may not change
    checkpoint            INTEGER NOT NULL DEFAULT 0, -- ours, raised at every floor write
    downstream_checkpoint INTEGER NOT NULL DEFAULT 0, -- the highest seen in the downstream
    created_ms            INTEGER NOT NULL
) STRICT;

-- A shard table's durable identity in its group. AUTOINCREMENT: a number is never given twice.
CREATE TABLE member (
    member_no     INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id     TEXT    NOT NULL,
    schema_name   TEXT    NOT NULL,
    table_name    TEXT    NOT NULL,
    target_schema TEXT    NOT NULL,
    target_table  TEXT    NOT NULL,
    created_ms    INTEGER NOT NULL,
    UNIQUE (source_id, schema_name, table_name, target_schema, target_table)
) STRICT;

-- The definition of a member that holds from a point of its stream on; the highest version_no is the present one.
CREATE TABLE schema_version (
    version_no INTEGER PRIMARY KEY AUTOINCREMENT,
    member_no  INTEGER NOT NULL REFERENCES member (member_no),
    point      TEXT    NOT NULL,                      -- JSON, see v_sources for its keys
    definition TEXT    NOT NULL,                      -- JSON
    why        TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX schema_version_member ON schema_version (member_no, version_no);

-- A copy of the downstream's floor of each source: for people and for status while nothing runs. The downstream is
-- the truth for progress.
CREATE TABLE source_floor (
    source_id     TEXT    PRIMARY KEY,
    checkpoint    INTEGER NOT NULL,
    point         TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    error         TEXT    NOT NULL,                   -- JSON object, or empty
    rows_read     INTEGER NOT NULL,
    rows_applied  INTEGER NOT NULL,
    rows_filtered INTEGER NOT NULL,
    rows_held     INTEGER NOT NULL,
    rows_parked   INTEGER NOT NULL,
    rows_missed   INTEGER NOT NULL,
    rows_refused  INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL
) STRICT;

-- Pauses outlive a restart. source_id '' is the whole task.
CREATE TABLE pause (
    source_id TEXT    PRIMARY KEY,
    paused_by TEXT    NOT NULL,
    since_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
    run_no     INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch      INTEGER NOT NULL,                      -- the fence taken in the downstream
    version    TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms   INTEGER,
    outcome    TEXT,                                  -- NULL while it runs
    error      TEXT
) STRICT;

-- What happened, for operators. Only the newest are kept.
CREATE TABLE event (
    event_no  INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms     INTEGER NOT NULL,
    run_no    INTEGER,
    source_id TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    text      TEXT    NOT NULL
) STRICT;

CREATE VIEW v_sources AS
SELECT f.source_id AS source,
       CASE WHEN p.source_id IS NOT NULL THEN 'yes, by ' || p.paused_by ELSE 'no' END AS paused,
       f.state AS last_state,
       CASE WHEN json_valid(f.point) THEN f.point ->> '$.gtid' END AS gtid,
       CASE WHEN json_valid(f.point) THEN f.point ->> '$.file' END AS binlog_file,
       CASE WHEN json_valid(f.point) THEN f.point ->> '$.pos' END AS binlog_position,
       CASE WHEN json_valid(f.point) THEN f.point ->> '$.server' END AS server,
       f.rows_read,
       f.rows_applied,
       f.rows_filtered,
       f.rows_held,
       f.rows_parked,
       f.rows_missed,
       f.rows_refused,
       f.rows_read - f.rows_applied - f.rows_filtered - f.rows_held - f.rows_parked - f.rows_missed
           - f.rows_refused AS rows_unaccounted,
       CASE WHEN json_valid(f.error) THEN f.error ->> '$.code' END AS error_code,
       CASE WHEN json_valid(f.error) THEN f.error ->> '$.message' END AS error_message,
       CASE WHEN json_valid(f.error) THEN f.error ->> '$.remedy' END AS error_remedy,
       f.checkpoint,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.updated_ms / 1000.0, 'unixepoch') AS updated_utc
FROM source_floor AS f
LEFT JOIN pause AS p ON p.source_id IN (f.source_id, '')
GROUP BY f.source_id
ORDER BY f.source_id;

CREATE VIEW v_members AS
SELECT m.member_no AS member,
       m.source_id AS source,
       m.schema_name || '.' || m.table_name AS shard_table,
       m.target_schema || '.' || m.target_table AS target_table,
       (SELECT count(*) FROM schema_version AS v WHERE v.member_no = m.member_no) AS schema_versions,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.created_ms / 1000.0, 'unixepoch') AS known_since_utc
FROM member AS m
ORDER BY m.member_no;

CREATE VIEW v_schemas AS
SELECT m.source_id AS source,
       m.schema_name || '.' || m.table_name AS shard_table,
       m.target_schema || '.' || m.target_table AS target_table,
       v.version_no AS version,
       v.version_no = (SELECT max(w.version_no) FROM schema_version AS w WHERE w.member_no = v.member_no) AS is_present,
       v.why,
       CASE WHEN json_valid(v.point) THEN coalesce(v.point ->> '$.gtid', '') END AS from_gtid,
       CASE WHEN json_valid(v.point) THEN v.point ->> '$.file' END AS from_binlog_file,
       CASE WHEN json_valid(v.point) THEN v.point ->> '$.pos' END AS from_binlog_position,
       v.definition,
       strftime('%Y-%m-%dT%H:%M:%fZ', v.created_ms / 1000.0, 'unixepoch') AS recorded_utc
FROM schema_version AS v
JOIN member AS m ON m.member_no = v.member_no
ORDER BY v.member_no, v.version_no;

CREATE VIEW v_runs AS
SELECT r.run_no AS run,
       r.epoch,
       r.version AS program_version,
       r.pid,
       coalesce(r.outcome, 'running, or killed without a word') AS outcome,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.started_ms / 1000.0, 'unixepoch') AS started_utc,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_ms / 1000.0, 'unixepoch') AS ended_utc,
       round((coalesce(r.ended_ms, unixepoch() * 1000) - r.started_ms) / 1000.0, 1) AS seconds,
       CASE WHEN json_valid(r.error) THEN r.error ->> '$.code' END AS error_code,
       CASE WHEN json_valid(r.error) THEN r.error ->> '$.message' END AS error_message,
       CASE WHEN json_valid(r.error) THEN r.error ->> '$.remedy' END AS error_remedy
FROM run AS r
ORDER BY r.run_no;

CREATE VIEW v_events AS
SELECT e.event_no AS event,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0, 'unixepoch') AS at_utc,
       e.run_no AS run,
       e.source_id AS source,
       e.kind,
       e.text
FROM event AS e
ORDER BY e.event_no;
