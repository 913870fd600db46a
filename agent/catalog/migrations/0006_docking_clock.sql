-- Whether the clock could be trusted as a recorder was docked: what a period counts from. A sidecar tells it,
-- too, so that it outlives a lost catalog.
ALTER TABLE dockings ADD COLUMN clock_trusted INTEGER NOT NULL DEFAULT 0;
UPDATE dockings SET clock_trusted = 1 FROM
    (SELECT json_extract(body, '$.docking') AS docking FROM events WHERE kind = 'docked' AND clock_trusted = 1)
    AS trusted
    WHERE dockings.id = trusted.docking;
