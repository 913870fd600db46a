"""The station's agent: from a docked recorder to a confirmed copy in central storage."""
