-- What a recorder's next docking is compared with, and what that comparison found missing.

-- 1: what is on the card names other recorders, too.
ALTER TABLE dockings ADD COLUMN conflict INTEGER NOT NULL DEFAULT 0;
-- 1: every file on the card was listed, and what was not there any more is marked so.
ALTER TABLE dockings ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
-- 1: it was asked what is missing, and what was found is told.
ALTER TABLE dockings ADD COLUMN judged INTEGER NOT NULL DEFAULT 0;
UPDATE dockings SET judged = 1 WHERE ended IS NOT NULL;  -- nobody noted then what was on the cards
CREATE INDEX dockings_to_judge ON dockings (id) WHERE judged = 0;

-- The docking that listed the card without this name; NULL: as far as is known it is still on it.
ALTER TABLE names ADD COLUMN gone INTEGER REFERENCES dockings (id);
CREATE INDEX names_gone ON names (gone) WHERE gone IS NOT NULL;
CREATE INDEX clips_by_number ON clips (recorder, sequence) WHERE sequence IS NOT NULL;

-- What was known of a recorder when its last docking was judged. JSON, of agent.custody.
CREATE TABLE judged (
    recorder TEXT PRIMARY KEY,
    known    TEXT NOT NULL CHECK (json_valid(known))
) STRICT, WITHOUT ROWID;

CREATE TABLE findings (
    id       INTEGER PRIMARY KEY REFERENCES events (seq),  -- of the event that tells it
    rule     TEXT    NOT NULL,
    recorder TEXT    NOT NULL,
    docking  INTEGER NOT NULL REFERENCES dockings (id),
    facts    TEXT    NOT NULL CHECK (json_valid(facts)),
    found_at REAL    NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('open', 'here', 'elsewhere', 'explained')),
    event    INTEGER NOT NULL REFERENCES events (seq),     -- of the last change of state
    looked   TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(looked))  -- {target: {at, left}}: in vain
) STRICT;
CREATE INDEX findings_of_recorder ON findings (recorder, id);
CREATE INDEX findings_open ON findings (recorder) WHERE state = 'open';

CREATE TRIGGER findings_begin_with_an_event BEFORE INSERT ON findings
WHEN NEW.event <> NEW.id OR NEW.state <> 'open'
  OR EXISTS (SELECT 1 FROM findings WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'finding')
BEGIN SELECT RAISE(ABORT, 'a finding begins with an event of its own'); END;
CREATE TRIGGER findings_change_with_an_event BEFORE UPDATE OF state, event ON findings
WHEN NEW.event <= OLD.event
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND kind = 'finding-' || NEW.state
                    AND json_extract(body, '$.finding') = OLD.id)
BEGIN SELECT RAISE(ABORT, 'a finding changes its state only with an event of its own'); END;
CREATE TRIGGER findings_are_not_rewritten BEFORE UPDATE OF id, rule, recorder, docking, facts, found_at ON findings
BEGIN SELECT RAISE(ABORT, 'a finding is never rewritten'); END;
CREATE TRIGGER findings_are_not_deleted BEFORE DELETE ON findings
BEGIN SELECT RAISE(ABORT, 'a finding is never deleted'); END;
