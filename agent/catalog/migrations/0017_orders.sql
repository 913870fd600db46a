-- What people order: slots that are not used until somebody says otherwise, and issues of the station's health that
-- somebody knows of.

CREATE TABLE stopped_slots (
    id   INTEGER PRIMARY KEY REFERENCES events (seq),       -- of the event that tells of it
    slot TEXT    NOT NULL,
    used INTEGER REFERENCES events (seq)                    -- of the order to use it again
) STRICT;
CREATE UNIQUE INDEX stopped_slots_one_slot ON stopped_slots (slot) WHERE used IS NULL;

CREATE TRIGGER stopped_slots_begin_with_an_event BEFORE INSERT ON stopped_slots
WHEN NEW.used IS NOT NULL OR EXISTS (SELECT 1 FROM stopped_slots WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'slot-stopped'
                    AND json_extract(body, '$.slot') = NEW.slot)
BEGIN SELECT RAISE(ABORT, 'a slot is stopped with an event of its own'); END;
CREATE TRIGGER stopped_slots_are_used_with_an_event BEFORE UPDATE ON stopped_slots
WHEN NEW.id IS NOT OLD.id OR NEW.slot IS NOT OLD.slot OR OLD.used IS NOT NULL
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.used AND kind = 'slot-used'
                    AND json_extract(body, '$.stopped') = OLD.id)
BEGIN SELECT RAISE(ABORT, 'a slot is used again with an event of its own'); END;
CREATE TRIGGER stopped_slots_are_not_deleted BEFORE DELETE ON stopped_slots
BEGIN SELECT RAISE(ABORT, 'that a slot was stopped is never deleted'); END;

CREATE TABLE acknowledgements (
    id       INTEGER PRIMARY KEY REFERENCES events (seq),   -- of the event that tells of it, and who did it
    key      TEXT    NOT NULL,
    subject  TEXT    NOT NULL,                              -- what tells two issues of one key apart
    severity TEXT    NOT NULL,                              -- that it had then
    ended    INTEGER REFERENCES events (seq)
) STRICT;
CREATE UNIQUE INDEX acknowledgements_one_issue ON acknowledgements (key, subject) WHERE ended IS NULL;

CREATE TRIGGER acknowledgements_begin_with_an_event BEFORE INSERT ON acknowledgements
WHEN NEW.ended IS NOT NULL OR EXISTS (SELECT 1 FROM acknowledgements WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'issue-acknowledged'
                    AND json_extract(body, '$.key') = NEW.key AND json_extract(body, '$.subject') = NEW.subject
                    AND json_extract(body, '$.severity') = NEW.severity)
BEGIN SELECT RAISE(ABORT, 'an issue is acknowledged with an event of its own'); END;
CREATE TRIGGER acknowledgements_end_with_an_event BEFORE UPDATE ON acknowledgements
WHEN NEW.id IS NOT OLD.id OR NEW.key IS NOT OLD.key OR NEW.subject IS NOT OLD.subject
  OR NEW.severity IS NOT OLD.severity OR OLD.ended IS NOT NULL
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.ended AND kind = 'acknowledgement-ended'
                    AND json_extract(body, '$.acknowledged') = OLD.id)
BEGIN SELECT RAISE(ABORT, 'an acknowledgement ends with an event of its own'); END;
CREATE TRIGGER acknowledgements_are_not_deleted BEFORE DELETE ON acknowledgements
BEGIN SELECT RAISE(ABORT, 'an acknowledgement is never deleted'); END;
