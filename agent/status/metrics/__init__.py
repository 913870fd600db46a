"""What a Prometheus server reads of the station. docs/metrics.md explains every name (a test keeps it so).

`Measured` is whom to ask beside the snapshot's sources, the collector asks, the exposition writes it down.
Nothing here waits for a recorder, a target or a commit: a scrape is answered while all of them hang.
"""

from agent.status.metrics.exposition import Exposition, exposition
from agent.status.metrics.measured import Measured, Scrubbed

__all__ = ["Exposition", "Measured", "Scrubbed", "exposition"]
