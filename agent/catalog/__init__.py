"""The catalog: what the station knows of every clip, in SQLite, with one writer.

A stage never calls the next one: it commits a state here. Whatever is not committed did not happen.
"""

from agent.catalog.database import Catalog

__all__ = ["Catalog"]
