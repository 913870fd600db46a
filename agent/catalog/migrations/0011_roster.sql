-- Rosters, as the configuration gave them. The last one is in force; what one before it says of officers' units and
-- of sources protects until it is over, and then only its digest is kept, in its event.
CREATE TABLE rosters (
    id    INTEGER PRIMARY KEY REFERENCES events (seq),   -- of the event that tells it
    lines TEXT    NOT NULL CHECK (json_valid(lines)),    -- [[recorder, officer, unit, source, from, to], …]
    over  INTEGER REFERENCES events (seq)
) STRICT;
CREATE INDEX rosters_standing ON rosters (id) WHERE over IS NULL;

CREATE TRIGGER rosters_begin_with_an_event BEFORE INSERT ON rosters
WHEN NEW.over IS NOT NULL OR EXISTS (SELECT 1 FROM rosters WHERE id >= NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'roster-changed')
BEGIN SELECT RAISE(ABORT, 'a roster begins with an event of its own'); END;
CREATE TRIGGER rosters_end_with_an_event BEFORE UPDATE ON rosters
WHEN NEW.id IS NOT OLD.id OR OLD.over IS NOT NULL OR NEW.lines <> '[]'
  OR NOT EXISTS (SELECT 1 FROM rosters WHERE id > OLD.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.over AND kind = 'roster-over'
                    AND json_extract(body, '$.roster') = OLD.id)
BEGIN SELECT RAISE(ABORT, 'a roster ends once, with an event of its own, after another one came'); END;
CREATE TRIGGER rosters_are_not_deleted BEFORE DELETE ON rosters
BEGIN SELECT RAISE(ABORT, 'a roster is never deleted'); END;

-- When a recorder was here last.
CREATE INDEX dockings_of_recorder ON dockings (recorder, id);
