"""Central storage as others make it: the real servers that the targets are tested with, and a bad network."""
