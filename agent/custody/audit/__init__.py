"""Everything that the logs say, compared with everything that the catalog says."""
