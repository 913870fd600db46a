-- When a target vouched for a clip last. NULL: it is not asked again, as for clips that are not here any more.
ALTER TABLE deliveries ADD COLUMN asked REAL;
-- 1: what lies at the target was read, and is not what the target says of it: it is sent anew and read back.
ALTER TABLE deliveries ADD COLUMN distrusted INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET asked = updated
    WHERE state = 'confirmed' AND clip IN (SELECT id FROM clips WHERE state <> 'released');
CREATE TRIGGER clips_that_leave_are_not_asked_for AFTER UPDATE OF state ON clips
WHEN NEW.state NOT IN ('stored', 'uploading', 'uploaded', 'confirmed', 'rejected')
BEGIN UPDATE deliveries SET asked = NULL WHERE clip = NEW.id AND asked IS NOT NULL; END;
CREATE INDEX deliveries_to_ask ON deliveries (target, place, asked)
    WHERE state = 'confirmed' AND asked IS NOT NULL;
-- Transfers under way: everything else at a target that is half there is an orphan.
CREATE INDEX deliveries_under_way ON deliveries (target, token) WHERE state = 'sending';
