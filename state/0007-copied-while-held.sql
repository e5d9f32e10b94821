ALTER TABLE fork_total ADD COLUMN loaded INTEGER NOT NULL DEFAULT 0; -- of rows held once: those that the copy will read
