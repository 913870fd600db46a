-- What the station erases from recorders: each list is committed before the first of its files goes.
CREATE TABLE erasures (
    id       INTEGER PRIMARY KEY REFERENCES events (seq),   -- of the event that tells the list
    recorder TEXT    NOT NULL,
    fs_id    TEXT    NOT NULL,
    docking  INTEGER NOT NULL REFERENCES dockings (id),
    ended    INTEGER REFERENCES events (seq)  -- of the certificate; NULL: to be ended when the card comes back
) STRICT;
CREATE INDEX erasures_open ON erasures (recorder, fs_id) WHERE ended IS NULL;

CREATE TABLE doomed (
    erasure INTEGER NOT NULL REFERENCES erasures (id),
    name    INTEGER NOT NULL REFERENCES names (id),
    fate    TEXT    NOT NULL DEFAULT '',      -- '': not known yet · erased, gone · why it was left
    PRIMARY KEY (erasure, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX doomed_unknown ON doomed (name) WHERE fate = '';

-- The certificate of the erasure that took it off the card. A fact about that copy, not a state of the clip.
ALTER TABLE names ADD COLUMN erased INTEGER REFERENCES events (seq);

CREATE TRIGGER erasures_begin_with_an_event BEFORE INSERT ON erasures
WHEN NEW.ended IS NOT NULL OR EXISTS (SELECT 1 FROM erasures WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'erasing')
BEGIN SELECT RAISE(ABORT, 'an erasure begins with an event of its own'); END;
CREATE TRIGGER erasures_end_with_an_event BEFORE UPDATE ON erasures
WHEN NEW.id IS NOT OLD.id OR NEW.recorder IS NOT OLD.recorder OR NEW.fs_id IS NOT OLD.fs_id
  OR NEW.docking IS NOT OLD.docking OR OLD.ended IS NOT NULL
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.ended AND kind = 'erased'
                    AND json_extract(body, '$.erasing') = OLD.id)
BEGIN SELECT RAISE(ABORT, 'an erasure ends once, with an event of its own'); END;
CREATE TRIGGER erasures_are_not_deleted BEFORE DELETE ON erasures
BEGIN SELECT RAISE(ABORT, 'an erasure is never deleted'); END;
CREATE TRIGGER doomed_are_whole_and_safe BEFORE INSERT ON doomed
WHEN NEW.fate <> '' OR NOT EXISTS (SELECT 1 FROM erasures WHERE id = NEW.erasure AND ended IS NULL)
  OR NOT EXISTS (SELECT 1 FROM names n JOIN clips c ON c.id = n.clip WHERE n.id = NEW.name AND c.partial = 0
                    AND c.sha256 IS NOT NULL AND c.state IN ('stored', 'uploading', 'uploaded', 'confirmed'))
BEGIN SELECT RAISE(ABORT, 'only what is safe elsewhere is erased'); END;
CREATE TRIGGER doomed_are_not_rewritten BEFORE UPDATE ON doomed
WHEN NEW.erasure IS NOT OLD.erasure OR NEW.name IS NOT OLD.name OR OLD.fate <> ''
BEGIN SELECT RAISE(ABORT, 'what became of a file is said once'); END;
CREATE TRIGGER doomed_are_not_deleted BEFORE DELETE ON doomed
BEGIN SELECT RAISE(ABORT, 'what was to be erased stays on its list'); END;
