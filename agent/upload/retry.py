"""How long to wait after a failure, as data."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds. Each failure in a row multiplies the wait by `factor`, up to `cap`; up to `jitter` of a
    wait is left to chance, so that stations that failed together do not come back together."""

    first: float = 2.0
    factor: float = 2.0
    cap: float = 900.0
    jitter: float = 0.5
    patience: float = 3600.0  # the longest wait that a target may ask for

    def delay(self, failures: int, rng: random.Random, retry_after: float | None = None) -> float:
        """The wait after `failures` in a row (1 or more), never shorter than `retry_after` asks for."""
        # The exponent is bounded so that a million failures do not overflow a float.
        whole = min(self.cap, self.first * self.factor ** min(failures - 1, 64))
        wait = whole * (1 - self.jitter * rng.random())
        return wait if retry_after is None else max(wait, min(retry_after, self.patience))
