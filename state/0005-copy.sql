-- How far the copy of a source's existing rows was: for status while nothing runs. The downstream is the truth.
ALTER TABLE source_floor ADD COLUMN copy TEXT NOT NULL DEFAULT ''; -- JSON object, or empty: nothing is copied
