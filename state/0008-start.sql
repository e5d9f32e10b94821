-- Where the stream of a source begins, and with it the definitions of its tables: both are true together. Until the
-- first progress is written it is tentative: another start makes it anew.
CREATE TABLE source_start (
    source_id  TEXT    PRIMARY KEY,
    point      TEXT    NOT NULL,                       -- JSON, see v_sources for its keys
    final      INTEGER NOT NULL DEFAULT 0,             -- 1: the stream has begun there
    created_ms INTEGER NOT NULL
) STRICT;

CREATE VIEW v_starts AS
SELECT s.source_id AS source,
       CASE WHEN s.final THEN 'begun' ELSE 'tentative' END AS state,
       CASE WHEN json_valid(s.point) THEN coalesce(s.point ->> '$.gtid', '') END AS gtid,
       CASE WHEN json_valid(s.point) THEN s.point ->> '$.file' END AS binlog_file,
       CASE WHEN json_valid(s.point) THEN s.point ->> '$.pos' END AS binlog_position,
       strftime('%Y-%m-%dT%H:%M:%fZ', s.created_ms / 1000.0, 'unixepoch') AS recorded_utc
FROM source_start AS s
ORDER BY s.source_id;
