"""The log: from committed events to entries, a tree, signed heads, and what of them leaves the station."""
