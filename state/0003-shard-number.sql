-- The number that a shard table has among those of its target, for the key strategy stride: id × shards + number.
-- Given once; a table that leaves keeps its number, so that its rows downstream keep their ids.
CREATE TABLE shard_number (
    member_no     INTEGER PRIMARY KEY REFERENCES member (member_no),
    target_schema TEXT    NOT NULL,
    target_table  TEXT    NOT NULL,
    number        INTEGER NOT NULL,
    UNIQUE (target_schema, target_table, number)
) STRICT;

CREATE VIEW v_shard_numbers AS
SELECT n.target_schema || '.' || n.target_table AS target_table,
       n.number,
       m.source_id AS source,
       m.schema_name || '.' || m.table_name AS shard_table
FROM shard_number AS n
JOIN member AS m ON m.member_no = n.member_no
ORDER BY n.target_schema, n.target_table, n.number;
