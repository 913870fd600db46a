"""The one typed configuration: schema defaults, `station.yaml`, `conf.d/*.yaml`; every fault at once.

`agent.config.live` (not imported here, it needs watchdog) keeps it current while the agent runs.
"""

from agent.config.layers import STATION_FILE, changed, load, station_path
from agent.config.retention import RetentionConfig
from agent.config.schema import Config, EraseConfig

__all__ = ["STATION_FILE", "Config", "EraseConfig", "RetentionConfig", "changed", "load", "station_path"]
