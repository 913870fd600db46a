"""tus 1.0 as the centre: requests of our own, each PATCH one part of the clip's manifest."""
