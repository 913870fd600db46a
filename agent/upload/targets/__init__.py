"""Targets: the places that keep clips. They import `agent.model` and `agent.errors` only."""
