"""S3 as the centre: requests of our own, signed with SigV4; parts are those of the clip's manifest."""
