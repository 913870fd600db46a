-- An index whose condition names the state is written anew by every change of it, and the two that keep content and
-- names apart lie everywhere: half of what a step of a clip wrote. So they go by a column that hardly ever changes.

-- 0: merged or quarantined, so that another clip may have the same content and the same name
ALTER TABLE clips ADD COLUMN own INTEGER NOT NULL DEFAULT 1;
UPDATE clips SET own = 0 WHERE state IN ('merged', 'quarantined');

DROP INDEX clips_one_content;
CREATE UNIQUE INDEX clips_one_content ON clips (recorder, sha256)
    WHERE sha256 IS NOT NULL AND size > 0 AND partial = 0 AND own = 1;
DROP INDEX clips_one_key;
CREATE UNIQUE INDEX clips_one_key ON clips (key) WHERE key IS NOT NULL AND own = 1;

CREATE TRIGGER clips_step_aside AFTER UPDATE OF state ON clips
WHEN (OLD.state IN ('merged', 'quarantined')) <> (NEW.state IN ('merged', 'quarantined'))
BEGIN UPDATE clips SET own = NEW.state NOT IN ('merged', 'quarantined') WHERE id = NEW.id; END;
CREATE TRIGGER clips_begin_as_their_state_says BEFORE INSERT ON clips
WHEN NEW.own <> (NEW.state NOT IN ('merged', 'quarantined'))
BEGIN SELECT RAISE(ABORT, 'the state tells whether a clip is its own'); END;
CREATE TRIGGER clips_are_as_their_state_says BEFORE UPDATE OF own ON clips
WHEN NEW.own <> (NEW.state NOT IN ('merged', 'quarantined'))
BEGIN SELECT RAISE(ABORT, 'the state tells whether a clip is its own'); END;

-- What was counted of the tables. Few clips are in most states and nearly all in one: by averages, every question for
-- a few of them would look at all.
DROP TABLE IF EXISTS sqlite_stat1;
DROP TABLE IF EXISTS sqlite_stat4;
