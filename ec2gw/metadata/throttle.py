"""How often one may ask: a bucket for each that asks, which fills again by itself.

Source: EC2 User Guide, "Query throttling" of instance metadata.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

RATE_PER_SECOND: Final = 100.0
BURST: Final = 500.0
"""cloud-init asks 52 times in two seconds, and no agent comes near this."""
_KEPT: Final = 16_384
"""Of those who asked last; whoever was forgotten has a full bucket again."""


class Throttle:
    def __init__(self, rate: float = RATE_PER_SECOND, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def admits(self, who: Hashable, now: float) -> bool:
        """Take one from the bucket, if one is left; `now` is of a clock that nobody sets."""
        left, then = self._buckets.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        admitted = left >= 1
        self._buckets[who] = (left - 1 if admitted else left, now)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        return admitted
