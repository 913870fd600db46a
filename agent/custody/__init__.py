"""Custody: what happened to every recording, and what is missing, so that anyone can check it."""
