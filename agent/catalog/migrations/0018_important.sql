-- Important clips are few, and looked for often: without these a page looks through the thousands between them.

CREATE INDEX clips_important_by_time ON clips (recorded_at) WHERE important = 1;
CREATE INDEX labels_important ON labels (important) WHERE important = 1;
