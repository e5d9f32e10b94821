-- What a target was that was dropped because all its shard tables were: it is made again like that.
CREATE TABLE dropped_target (
    target_schema TEXT    NOT NULL,
    target_table  TEXT    NOT NULL,
    definition    TEXT    NOT NULL,                    -- JSON, as it was before DROP TABLE
    dropped_ms    INTEGER NOT NULL,
    PRIMARY KEY (target_schema, target_table)
) STRICT;

CREATE VIEW v_dropped_targets AS
SELECT t.target_schema || '.' || t.target_table AS target_table,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.dropped_ms / 1000.0, 'unixepoch') AS since_utc
FROM dropped_target AS t
ORDER BY 1;
