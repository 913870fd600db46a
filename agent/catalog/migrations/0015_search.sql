-- What people look for, newest recordings first. In an index each row's id follows by itself.

CREATE INDEX clips_by_time ON clips (recorded_at);
CREATE INDEX clips_of_recorder_by_time ON clips (recorder, recorded_at);
CREATE INDEX clips_of_officer_by_time ON clips (officer, recorded_at);
CREATE INDEX clips_in_state_by_time ON clips (state, recorded_at);
CREATE INDEX labels_of_officer ON labels (officer) WHERE officer <> '';
CREATE INDEX labels_of_category ON labels (category) WHERE category <> '';
