"""The station's disk image and its updates, from Debian's packages and the locks alone."""
