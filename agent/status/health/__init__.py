"""What is wrong with the station, one small file per check.

A check looks at what others found out already; it never waits, asks the network or reads a medium.
"""

from agent.status.health.board import HealthBoard
from agent.status.health.issue import Check, Issue, Severity

__all__ = ["Check", "HealthBoard", "Issue", "Severity"]
