-- When a target vouched for a clip last. NULL: it is not asked again, as for clips that are not here any more.
ALTER TABLE deliveries ADD COLUMN asked REAL;
UPDATE deliveries SET asked = updated
    WHERE state = 'confirmed' AND clip IN (SELECT id FROM clips WHERE state <> 'released');
CREATE INDEX deliveries_to_ask ON deliveries (target, place, asked)
    WHERE state = 'confirmed' AND asked IS NOT NULL;
-- Transfers under way: everything else at a target that is half there is an orphan.
CREATE INDEX deliveries_under_way ON deliveries (target, token) WHERE state = 'sending';
