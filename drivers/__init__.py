"""Drivers: one file per recorder family. They import `agent.model` and `agent.errors` only."""
