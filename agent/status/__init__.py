"""The live picture of the station. Reads snapshots of every room, changes none."""
