-- What is due at each target, in the order in which it goes there: else each look for the next clip of one
-- target would pass over all that wait for another one, which may be away for days.

-- Whose clips are kept in `waiting`, and for which place behind the name.
CREATE TABLE followed (
    target TEXT PRIMARY KEY,
    place  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE waiting (
    target    TEXT    NOT NULL,
    urgency   INTEGER NOT NULL,
    important INTEGER NOT NULL,
    docking   INTEGER NOT NULL,
    clip      INTEGER NOT NULL,
    PRIMARY KEY (target, urgency DESC, important DESC, docking, clip)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_of_clip ON waiting (clip, target);

-- The rule itself; the table above is what it gives, kept up to date by the triggers below.
CREATE VIEW due AS
    SELECT f.target, c.urgency, c.important, c.docking, c.id AS clip
    FROM clips c CROSS JOIN followed f
    WHERE c.state IN ('stored', 'uploading', 'uploaded')
      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.clip = c.id AND d.target = f.target
                         AND d.place = f.place AND d.state IN ('confirmed', 'rejected'));

CREATE TRIGGER clips_come_to_wait AFTER INSERT ON clips
WHEN NEW.state IN ('stored', 'uploading', 'uploaded')
BEGIN INSERT INTO waiting SELECT * FROM due WHERE clip = NEW.id; END;
CREATE TRIGGER clips_wait_elsewhere AFTER UPDATE OF state, urgency, important, docking ON clips
WHEN (OLD.state IN ('stored', 'uploading', 'uploaded')) <> (NEW.state IN ('stored', 'uploading', 'uploaded'))
  OR (OLD.urgency, OLD.important, OLD.docking) <> (NEW.urgency, NEW.important, NEW.docking)
BEGIN
    DELETE FROM waiting WHERE clip = NEW.id;
    INSERT INTO waiting SELECT * FROM due WHERE clip = NEW.id;
END;

CREATE TRIGGER deliveries_end_the_wait AFTER INSERT ON deliveries
WHEN NEW.state IN ('confirmed', 'rejected')
BEGIN
    DELETE FROM waiting WHERE clip = NEW.clip AND target = NEW.target;
    INSERT INTO waiting SELECT * FROM due WHERE clip = NEW.clip AND target = NEW.target;
END;
CREATE TRIGGER deliveries_change_the_wait AFTER UPDATE OF state, place ON deliveries
WHEN (OLD.state IN ('confirmed', 'rejected')) <> (NEW.state IN ('confirmed', 'rejected'))
  OR OLD.place <> NEW.place
BEGIN
    DELETE FROM waiting WHERE clip = NEW.clip AND target = NEW.target;
    INSERT INTO waiting SELECT * FROM due WHERE clip = NEW.clip AND target = NEW.target;
END;
CREATE TRIGGER deliveries_gone_wait_again AFTER DELETE ON deliveries
BEGIN
    DELETE FROM waiting WHERE clip = OLD.clip AND target = OLD.target;
    INSERT INTO waiting SELECT * FROM due WHERE clip = OLD.clip AND target = OLD.target;
END;
