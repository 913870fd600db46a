"""The published interface, `/api/v1`: what programs ask of a station, and what people may have it do.

Every route says by which right it opens (`agent.access`), and its description is made from the code itself:
`/api/v1/openapi.json`.
"""

from agent.web.api.app import api
from agent.web.api.asked import Asked

__all__ = ["Asked", "api"]
