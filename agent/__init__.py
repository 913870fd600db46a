"""The station's agent: from a docked recorder to a confirmed copy in central storage."""

__version__ = "0.1.0"
