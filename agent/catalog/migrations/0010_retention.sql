CREATE INDEX clips_confirmed ON clips (id) WHERE state = 'confirmed';

-- Labels, cases and holds: what people say about recordings, and what they want kept whatever the rules say.

-- What people said last of a clip. '' and NULL: nobody said anything.
CREATE TABLE labels (
    clip        INTEGER PRIMARY KEY REFERENCES clips (id),
    category    TEXT    NOT NULL DEFAULT '',
    case_number TEXT    NOT NULL DEFAULT '',
    important   INTEGER CHECK (important IN (0, 1)),
    officer     TEXT    NOT NULL DEFAULT '',
    note        TEXT    NOT NULL DEFAULT '',          -- digest of a text beside the log
    event       INTEGER NOT NULL REFERENCES events (seq)
) STRICT;
CREATE INDEX labels_of_case ON labels (case_number) WHERE case_number <> '';

CREATE TRIGGER labels_begin_with_an_event BEFORE INSERT ON labels
WHEN NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND clip = NEW.clip AND kind = 'labelled')
BEGIN SELECT RAISE(ABORT, 'a label needs an event of its own'); END;
CREATE TRIGGER labels_change_with_an_event BEFORE UPDATE ON labels
WHEN NEW.clip IS NOT OLD.clip OR NEW.event <= OLD.event
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND clip = NEW.clip AND kind = 'labelled')
BEGIN SELECT RAISE(ABORT, 'a label changes only with an event of its own'); END;
CREATE TRIGGER labels_are_not_deleted BEFORE DELETE ON labels
BEGIN SELECT RAISE(ABORT, 'a label is never deleted'); END;

-- Cases that were closed; every other one is open. Opened again: closed = 0.
CREATE TABLE cases (
    number TEXT    PRIMARY KEY,
    closed INTEGER NOT NULL CHECK (closed IN (0, 1)),
    event  INTEGER NOT NULL REFERENCES events (seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER cases_begin_with_an_event BEFORE INSERT ON cases
WHEN NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND json_extract(body, '$.case') = NEW.number
                    AND kind = CASE NEW.closed WHEN 1 THEN 'case-closed' ELSE 'case-opened' END)
BEGIN SELECT RAISE(ABORT, 'a case is closed and opened with an event of its own'); END;
CREATE TRIGGER cases_change_with_an_event BEFORE UPDATE ON cases
WHEN NEW.number IS NOT OLD.number OR NEW.event <= OLD.event
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND json_extract(body, '$.case') = NEW.number
                    AND kind = CASE NEW.closed WHEN 1 THEN 'case-closed' ELSE 'case-opened' END)
BEGIN SELECT RAISE(ABORT, 'a case is closed and opened with an event of its own'); END;

CREATE TABLE holds (
    id     INTEGER PRIMARY KEY REFERENCES events (seq),   -- of the event that set it
    scope  TEXT    NOT NULL CHECK (scope IN ('clip', 'recorder', 'officer', 'case')),
    value  TEXT    NOT NULL,                               -- a clip's id, a recorder's or an officer's number, a case
    since  TEXT    NOT NULL DEFAULT '',                    -- of an officer: recordings from then on, local time
    until  TEXT    NOT NULL DEFAULT '',                    -- and up to then; '' bounds nothing
    lifted INTEGER REFERENCES events (seq)                 -- NULL: in force
) STRICT;
CREATE INDEX holds_in_force ON holds (id) WHERE lifted IS NULL;

CREATE TRIGGER holds_begin_with_an_event BEFORE INSERT ON holds
WHEN NEW.lifted IS NOT NULL OR EXISTS (SELECT 1 FROM holds WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'held')
BEGIN SELECT RAISE(ABORT, 'a hold begins with an event of its own'); END;
CREATE TRIGGER holds_are_lifted_with_an_event BEFORE UPDATE ON holds
WHEN NEW.id IS NOT OLD.id OR NEW.scope IS NOT OLD.scope OR NEW.value IS NOT OLD.value
  OR NEW.since IS NOT OLD.since OR NEW.until IS NOT OLD.until OR OLD.lifted IS NOT NULL
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.lifted AND kind = 'hold-lifted'
                    AND json_extract(body, '$.hold') = OLD.id)
BEGIN SELECT RAISE(ABORT, 'a hold is lifted once, with an event of its own, and never rewritten'); END;
CREATE TRIGGER holds_are_not_deleted BEFORE DELETE ON holds
BEGIN SELECT RAISE(ABORT, 'a hold is never deleted'); END;

-- What the rules were, as the configuration gave them. Those that are not over protect together.
CREATE TABLE rulesets (
    id    INTEGER PRIMARY KEY REFERENCES events (seq),   -- of the event that tells it
    rules TEXT    NOT NULL CHECK (json_valid(rules)),
    state TEXT    NOT NULL CHECK (state IN ('waiting', 'in-force', 'over')),
    event INTEGER NOT NULL REFERENCES events (seq)       -- of the last change of state
) STRICT;
CREATE TRIGGER rulesets_begin_with_an_event BEFORE INSERT ON rulesets
WHEN NEW.event <> NEW.id OR NEW.state = 'over' OR EXISTS (SELECT 1 FROM rulesets WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'rules-' || NEW.state)
BEGIN SELECT RAISE(ABORT, 'rules begin with an event of their own'); END;
CREATE TRIGGER rulesets_change_with_an_event BEFORE UPDATE ON rulesets
WHEN NEW.id IS NOT OLD.id OR NEW.rules IS NOT OLD.rules OR NEW.event <= OLD.event OR OLD.state = 'over'
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND kind = 'rules-' || NEW.state
                    AND json_extract(body, '$.ruleset') = OLD.id)
BEGIN SELECT RAISE(ABORT, 'rules change only with an event of their own'); END;
CREATE TRIGGER rulesets_are_not_deleted BEFORE DELETE ON rulesets
BEGIN SELECT RAISE(ABORT, 'rules are never deleted'); END;

-- Clips that were released, whose files are still to be removed: the decision is committed before the deed.
CREATE TABLE removals (clip INTEGER PRIMARY KEY REFERENCES clips (id)) STRICT;
CREATE TRIGGER removals_are_of_released_clips BEFORE INSERT ON removals
WHEN NOT EXISTS (SELECT 1 FROM clips WHERE id = NEW.clip AND state = 'released')
BEGIN SELECT RAISE(ABORT, 'only what was released is removed'); END;

-- When a target last told, or showed, the very digest of a clip: before its copy here goes, it does so again.
ALTER TABLE deliveries ADD COLUMN proved REAL;
-- 1: it is to do so the next time that it is asked.
ALTER TABLE deliveries ADD COLUMN prove INTEGER NOT NULL DEFAULT 0;
