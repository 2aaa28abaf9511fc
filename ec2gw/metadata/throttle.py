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
_TOLD_AGAIN_SECONDS: Final = 60.0
_KEPT: Final = 16_384
"""Of those who asked last; whoever was forgotten has a full bucket again."""


class _Bucket:
    __slots__ = ("left", "then", "told")

    def __init__(self, left: float, then: float) -> None:
        self.left = left
        self.then = then
        self.told = -_TOLD_AGAIN_SECONDS + then


class Throttle:
    """Times are of a clock that nobody sets."""

    def __init__(self, rate: float = RATE_PER_SECOND, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def admits(self, who: Hashable, now: float) -> bool:
        """Take one from the bucket, if one is left."""
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(self._burst, now)
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(who)
        bucket.left = min(self._burst, bucket.left + (now - bucket.then) * self._rate)
        bucket.then = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True

    def is_to_be_told(self, who: Hashable, now: float) -> bool:
        """Tell whether it is worth a line that it was not admitted; not again for a minute."""
        bucket = self._buckets.get(who)
        if bucket is None or now < bucket.told + _TOLD_AGAIN_SECONDS:
            return False
        bucket.told = now
        return True
