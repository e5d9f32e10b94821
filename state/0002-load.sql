-- Row changes that the copy of existing rows already contains are counted on their own.
ALTER TABLE source_floor ADD COLUMN rows_loaded INTEGER NOT NULL DEFAULT 0;

DROP VIEW v_sources;
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
       f.rows_loaded,
       f.rows_read - f.rows_applied - f.rows_filtered - f.rows_held - f.rows_parked - f.rows_missed
           - f.rows_refused - f.rows_loaded AS rows_unaccounted,
       CASE WHEN json_valid(f.error) THEN f.error ->> '$.code' END AS error_code,
       CASE WHEN json_valid(f.error) THEN f.error ->> '$.message' END AS error_message,
       CASE WHEN json_valid(f.error) THEN f.error ->> '$.remedy' END AS error_remedy,
       f.checkpoint,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.updated_ms / 1000.0, 'unixepoch') AS updated_utc
FROM source_floor AS f
LEFT JOIN pause AS p ON p.source_id IN (f.source_id, '')
GROUP BY f.source_id
ORDER BY f.source_id;
