"""Random samples for inspection, that anybody can draw again, and what the inspections found."""
