-- The clock ledger: by how many seconds a recorder's clock can have been ahead of this station's at a docking.
CREATE TABLE clock_offsets (
    docking  INTEGER PRIMARY KEY REFERENCES dockings (id),
    recorder TEXT NOT NULL,
    at       REAL NOT NULL,      -- when it was docked, seconds since the epoch
    low      REAL NOT NULL,      -- at least so far ahead; behind where negative
    high     REAL                -- at most; NULL: nothing bounds it
) STRICT;
CREATE INDEX clock_offsets_of_recorder ON clock_offsets (recorder, at);
