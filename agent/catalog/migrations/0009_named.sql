-- Events that name many clips: each of them is in the story of every clip that it names. They are few.

CREATE INDEX events_naming_clips ON events (seq) WHERE kind IN ('exported', 'sample-drawn');
