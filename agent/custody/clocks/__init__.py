"""How far a recorder's clock is off, and how it drifts."""
