-- Slots that are not used, until somebody says otherwise.

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
