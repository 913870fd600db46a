"""The text of a scrape, as the scraper asked for it."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from agent.status.metrics.collector import StationCollector
from agent.status.metrics.measured import Measured
from agent.status.snapshot import Sources

#: What the Accept header says, or "" → (body, Content-Type)
Exposition = Callable[[str], tuple[bytes, str]]


def exposition(sources: Sources, measured: Measured) -> Exposition:
    """A registry of our own: nothing gets into it but what is written here."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StationCollector(sources, measured))
    ProcessCollector(registry=registry)

    def told(accept: str) -> tuple[bytes, str]:
        encode, media_type = choose_encoder(accept)
        return encode(registry), media_type

    return told
