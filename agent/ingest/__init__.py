"""Ingest: lists a recorder, copies what is new, proves each copy from the disk, seals it.

`collect` is the algorithm; nothing is called done here before it is committed in the catalog.
"""
