-- What somebody asked for goes first. 1: the clips of this recorder; 2: this very clip.
ALTER TABLE clips ADD COLUMN urgency INTEGER NOT NULL DEFAULT 0;
-- What a docking still brings takes it over.
ALTER TABLE dockings ADD COLUMN urgency INTEGER NOT NULL DEFAULT 0;
-- By docking, which is the order of the deadlines. Dockings count up: no clock, however wrong, lets a clip
-- jump ahead of others or wait for ever.
DROP INDEX clips_to_upload;
CREATE INDEX clips_to_upload ON clips (urgency DESC, important DESC, docking, id)
    WHERE state IN ('stored', 'uploading', 'uploaded');
-- 1: the target had confirmed the clip, did not have it any more, and does not have it yet.
ALTER TABLE deliveries ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET lost = 1 WHERE state <> 'confirmed' AND EXISTS
    (SELECT 1 FROM events e WHERE e.clip = deliveries.clip AND e.kind = 'lost-at-target'
        AND json_extract(e.body, '$.target') = deliveries.target);
CREATE INDEX deliveries_lost ON deliveries (target) WHERE lost = 1;
