-- Who may log in, and which machines may ask. What is secret stands here alone, as a hash, and in no event: an account that
-- comes back with a lost catalog is locked until somebody sets its password, a token has to be made anew.

CREATE TABLE accounts (
    name     TEXT    PRIMARY KEY,
    role     TEXT    NOT NULL CHECK (role IN ('officer', 'custodian', 'reviewer', 'inspector', 'administrator')),
    units    TEXT    NOT NULL CHECK (json_valid(units)),   -- names, as the roster writes them; [] bounds nothing
    officer  TEXT    NOT NULL,                              -- number of the officer whose account it is; '' of others
    password TEXT,                                          -- its hash; NULL: nobody can log in
    removed  INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1) AND (removed = 0 OR password IS NULL)),
    event    INTEGER NOT NULL REFERENCES events (seq)       -- of the last change
) STRICT, WITHOUT ROWID;

CREATE TRIGGER accounts_begin_with_an_event BEFORE INSERT ON accounts
WHEN NEW.password IS NOT NULL OR NEW.removed <> 0 OR EXISTS (SELECT 1 FROM accounts WHERE name = NEW.name)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND kind = 'account-set'
                    AND json_extract(body, '$.account') = NEW.name)
BEGIN SELECT RAISE(ABORT, 'an account begins with an event of its own'); END;
CREATE TRIGGER accounts_change_with_an_event BEFORE UPDATE ON accounts
WHEN NEW.name IS NOT OLD.name OR NEW.event <= OLD.event
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND json_extract(body, '$.account') = OLD.name
                    AND kind IN ('account-set', 'account-password', 'account-removed')
                    AND kind = CASE
                        WHEN NEW.removed THEN 'account-removed'
                        WHEN NEW.role IS NOT OLD.role OR NEW.units IS NOT OLD.units OR NEW.officer IS NOT OLD.officer
                          OR OLD.removed THEN 'account-set'
                        WHEN NEW.password IS NOT OLD.password THEN 'account-password'
                        ELSE kind END)
BEGIN SELECT RAISE(ABORT, 'an account changes only with an event of its own'); END;
CREATE TRIGGER accounts_are_not_deleted BEFORE DELETE ON accounts
BEGIN SELECT RAISE(ABORT, 'an account is removed with an event, never deleted'); END;

CREATE TABLE tokens (
    id      INTEGER PRIMARY KEY REFERENCES events (seq),    -- of the event that tells of it
    name    TEXT    NOT NULL,
    hash    BLOB    UNIQUE,                                 -- SHA-256; NULL: nobody can use it any more
    expires REAL,                                           -- seconds since the epoch
    used    TEXT    NOT NULL DEFAULT '',                    -- the last day, local; '': never
    revoked INTEGER REFERENCES events (seq)
) STRICT;
CREATE UNIQUE INDEX tokens_one_name ON tokens (name) WHERE revoked IS NULL;

CREATE TRIGGER tokens_begin_with_an_event BEFORE INSERT ON tokens
WHEN NEW.revoked IS NOT NULL OR EXISTS (SELECT 1 FROM tokens WHERE id = NEW.id)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.id AND kind = 'token-made'
                    AND json_extract(body, '$.token') = NEW.name)
BEGIN SELECT RAISE(ABORT, 'a token begins with an event of its own'); END;
CREATE TRIGGER tokens_are_revoked_with_an_event BEFORE UPDATE ON tokens
WHEN NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name OR NEW.expires IS NOT OLD.expires OR OLD.revoked IS NOT NULL
  OR (NEW.hash IS NOT OLD.hash AND NEW.revoked IS NULL)
  OR (NEW.revoked IS NOT NULL AND (NEW.hash IS NOT NULL
      OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.revoked AND kind = 'token-revoked'
                        AND json_extract(body, '$.made') = OLD.id)))
BEGIN SELECT RAISE(ABORT, 'a token is revoked once, with an event of its own, and never rewritten'); END;
CREATE TRIGGER tokens_are_not_deleted BEFORE DELETE ON tokens
BEGIN SELECT RAISE(ABORT, 'a token is never deleted'); END;
