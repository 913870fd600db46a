-- When each clip that lies here was last read from the disk, whole; before that, when it was stored.
CREATE TABLE scrubs (
    clip INTEGER PRIMARY KEY REFERENCES clips (id),
    at   REAL NOT NULL
) STRICT;

-- Clips whose copy here was found to be not what was stored, until it is whole again.
CREATE TABLE rotten (
    clip  INTEGER PRIMARY KEY REFERENCES clips (id),
    event INTEGER NOT NULL REFERENCES events (seq)
) STRICT;
CREATE TRIGGER rotten_begin_with_an_event BEFORE INSERT ON rotten
WHEN NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND clip = NEW.clip AND kind = 'rotten')
BEGIN SELECT RAISE(ABORT, 'a copy is called rotten with an event of its own'); END;

-- While a copy is known to be rotten, no other one goes.
CREATE TRIGGER rotten_are_not_released BEFORE UPDATE OF state ON clips
WHEN NEW.state = 'released' AND EXISTS (SELECT 1 FROM rotten WHERE clip = OLD.id)
BEGIN SELECT RAISE(ABORT, 'what is rotten here is not released'); END;
CREATE TRIGGER rotten_are_not_erased BEFORE INSERT ON doomed
WHEN EXISTS (SELECT 1 FROM rotten r JOIN names n ON n.clip = r.clip WHERE n.id = NEW.name)
BEGIN SELECT RAISE(ABORT, 'what is rotten here is not erased from its recorder'); END;
