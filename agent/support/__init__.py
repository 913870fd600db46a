"""The support bundle: all that a maintainer needs to see of a station, with nobody's name in it.

Gathered first, whole and in memory; then everything that names a person, a recorder or a recording, or is
a secret, is covered; then it is written. What is covered has the same stand-in wherever it occurs in one
bundle, and another one in the next: the key of the stand-ins is thrown away.
"""
