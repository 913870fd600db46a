-- Clips, their names on recorders, their bytes, their way to each target, and every step as an event.
-- Nothing here is ever deleted or silently rewritten: triggers refuse it, from any connection.

CREATE TABLE events (
    seq           INTEGER PRIMARY KEY,
    clip          INTEGER,                 -- NULL: not about one clip
    kind          TEXT    NOT NULL,
    body          TEXT    NOT NULL CHECK (json_valid(body)),
    at            REAL    NOT NULL,        -- seconds since the epoch
    boot_id       TEXT    NOT NULL,
    clock_trusted INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_clip ON events (clip, seq) WHERE clip IS NOT NULL;

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END;
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END;

CREATE TABLE dockings (
    id       INTEGER PRIMARY KEY,
    slot     TEXT NOT NULL,
    recorder TEXT NOT NULL,
    fs_id    TEXT NOT NULL,
    officer  TEXT NOT NULL,
    started  REAL NOT NULL,
    ended    REAL,
    outcome  TEXT                          -- collected, incomplete, pulled, failed, interrupted
) STRICT;
CREATE INDEX dockings_open ON dockings (id) WHERE ended IS NULL;

CREATE TABLE clips (
    id          INTEGER PRIMARY KEY,       -- the sequence number of its first event
    state       TEXT    NOT NULL,
    event       INTEGER NOT NULL REFERENCES events (seq),  -- of the last change of state
    recorder    TEXT    NOT NULL,
    fs_id       TEXT    NOT NULL,
    path        BLOB    NOT NULL,          -- raw bytes, as on the recorder
    size        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    docking     INTEGER NOT NULL REFERENCES dockings (id),
    seen_at     REAL    NOT NULL,
    kind        TEXT    NOT NULL,
    important   INTEGER NOT NULL,
    assigned    INTEGER NOT NULL,          -- 0: the recorder is not known
    officer     TEXT    NOT NULL,
    sequence    INTEGER,
    recorded_at TEXT,                      -- the recorder's local time, no zone
    time_source TEXT    NOT NULL,
    name_parsed INTEGER NOT NULL,
    partial     INTEGER NOT NULL DEFAULT 0,  -- 1: ranges of it could not be read
    key         TEXT,                      -- its name in the store and at the centre
    sha256      BLOB,
    merged_into INTEGER REFERENCES clips (id),
    stored_at   REAL
) STRICT;
CREATE INDEX clips_by_state ON clips (state, recorder, fs_id);
CREATE INDEX clips_of_recorder ON clips (recorder, id);
CREATE INDEX clips_to_upload ON clips (important DESC, seen_at, id)
    WHERE state IN ('stored', 'uploading', 'uploaded');
-- One content of one recorder is one clip; empty and damaged files never stand for another.
CREATE UNIQUE INDEX clips_one_content ON clips (recorder, sha256)
    WHERE sha256 IS NOT NULL AND size > 0 AND partial = 0 AND state NOT IN ('merged', 'quarantined');
CREATE UNIQUE INDEX clips_one_key ON clips (key)
    WHERE key IS NOT NULL AND state NOT IN ('merged', 'quarantined');

CREATE TABLE manifests (
    clip       INTEGER PRIMARY KEY REFERENCES clips (id),
    part_size  INTEGER NOT NULL,
    parts      BLOB    NOT NULL,           -- SHA-256 of each part, 32 bytes each, in order
    sm3        BLOB,
    unreadable TEXT    NOT NULL            -- JSON [[offset, length], …]
) STRICT;

-- Every name under which a recorder showed a clip. samples: SHA-256 over 4 KiB at head, middle and
-- tail, known once the clip is stored; they tell two files apart that share everything before.
CREATE TABLE names (
    id       INTEGER PRIMARY KEY,
    recorder TEXT    NOT NULL,
    fs_id    TEXT    NOT NULL,
    path     BLOB    NOT NULL,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    samples  BLOB,
    clip     INTEGER NOT NULL REFERENCES clips (id)
) STRICT;
CREATE INDEX names_on_recorder ON names (recorder, fs_id, path);
CREATE INDEX names_of_clip ON names (clip);

CREATE TABLE deliveries (
    clip    INTEGER NOT NULL REFERENCES clips (id),
    target  TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    token   TEXT    NOT NULL,
    place   TEXT    NOT NULL DEFAULT '',   -- which store was behind the target's name
    receipt TEXT,                          -- JSON, what the target said
    problem TEXT,                          -- JSON {key, params} of the last failure
    updated REAL    NOT NULL,
    PRIMARY KEY (clip, target)
) STRICT, WITHOUT ROWID;

-- A change of state needs its own event, committed with it.
CREATE TRIGGER clips_begin_with_an_event BEFORE INSERT ON clips
WHEN EXISTS (SELECT 1 FROM clips WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events
                  WHERE seq = NEW.event AND clip = NEW.id AND json_extract(body, '$.to') = NEW.state
                    AND json_extract(body, '$.from') IS NULL)
BEGIN SELECT RAISE(ABORT, 'a clip begins with an event of its own'); END;
CREATE TRIGGER clips_change_with_an_event BEFORE UPDATE OF id, state, event ON clips
WHEN NEW.id IS NOT OLD.id
  OR NEW.event <= OLD.event
  OR NOT EXISTS (SELECT 1 FROM events
                  WHERE seq = NEW.event AND clip = OLD.id AND json_extract(body, '$.to') = NEW.state
                    AND json_extract(body, '$.from') = OLD.state)
BEGIN SELECT RAISE(ABORT, 'a clip changes its state only with an event of its own'); END;
CREATE TRIGGER clips_are_not_deleted BEFORE DELETE ON clips
BEGIN SELECT RAISE(ABORT, 'a clip is never deleted'); END;

-- Counting a million rows at every look at the screen would be too slow.
CREATE TABLE clip_counts (
    state TEXT    PRIMARY KEY,
    clips INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER clips_counted AFTER INSERT ON clips
BEGIN
    INSERT INTO clip_counts VALUES (NEW.state, 1, NEW.size)
        ON CONFLICT (state) DO UPDATE SET clips = clips + 1, bytes = bytes + NEW.size;
END;
CREATE TRIGGER clips_recounted AFTER UPDATE OF state, size ON clips
BEGIN
    UPDATE clip_counts SET clips = clips - 1, bytes = bytes - OLD.size WHERE state = OLD.state;
    INSERT INTO clip_counts VALUES (NEW.state, 1, NEW.size)
        ON CONFLICT (state) DO UPDATE SET clips = clips + 1, bytes = bytes + NEW.size;
END;

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
