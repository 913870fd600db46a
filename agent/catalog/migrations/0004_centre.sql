-- What each docking brought, for the centre, whatever lies behind it.
CREATE INDEX clips_of_docking ON clips (docking);
CREATE INDEX dockings_by_start ON dockings (started);
-- Released clips: the centre alone has them, and a few of them are asked for every day.
CREATE INDEX clips_released ON clips (id) WHERE state = 'released';
-- Since when a target does not have a clip any more that was released. NULL: as far as is known it has it.
ALTER TABLE deliveries ADD COLUMN gone REAL;
CREATE INDEX deliveries_gone ON deliveries (target, clip) WHERE gone IS NOT NULL;
