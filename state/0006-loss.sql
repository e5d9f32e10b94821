-- Shard tables that leave their target, come back, and get other names.
ALTER TABLE member ADD COLUMN origin_schema TEXT NOT NULL DEFAULT ''; -- the name it was first known by; empty: still its name
ALTER TABLE member ADD COLUMN origin_table TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN left_ms INTEGER NOT NULL DEFAULT 0;     -- when it left its target; 0: it is in

DROP VIEW v_members;
CREATE VIEW v_members AS
SELECT m.member_no AS member,
       m.source_id AS source,
       m.schema_name || '.' || m.table_name AS shard_table,
       m.target_schema || '.' || m.target_table AS target_table,
       CASE WHEN m.origin_table <> '' THEN m.origin_schema || '.' || m.origin_table END AS first_known_as,
       (SELECT count(*) FROM schema_version AS v WHERE v.member_no = m.member_no) AS schema_versions,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.created_ms / 1000.0, 'unixepoch') AS known_since_utc,
       CASE WHEN m.left_ms > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', m.left_ms / 1000.0, 'unixepoch') END AS left_utc
FROM member AS m
ORDER BY m.member_no;

DROP VIEW v_held;
CREATE VIEW v_held AS
SELECT f.source_id AS source,
       m.schema_name || '.' || m.table_name AS shard_table,
       CASE WHEN f.finished AND f.to_point = '' THEN 'given up' WHEN f.finished THEN 'written' WHEN f.round = 0 THEN 'waiting'
            ELSE 'catching up' END AS state,
       f.from_point ->> '$.gtid' AS from_gtid,
       f.from_point ->> '$.file' AS from_file,
       f.from_point ->> '$.pos' AS from_position,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.created_ms / 1000.0, 'unixepoch') AS since_utc
FROM fork AS f
JOIN member AS m ON m.member_no = f.member_no
ORDER BY f.fork_no;
