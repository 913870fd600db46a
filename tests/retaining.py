"""Retention as a configuration file says it."""

from typing import Any

from agent.config import RetentionConfig
from agent.config.units import FROM_FILE


def config(**said: Any) -> RetentionConfig:
    return RetentionConfig.model_validate(said, context=FROM_FILE)
