"""Why a disk from outside is not taken: one sentence, for whoever asked for it.

Refused is final: asking again gives the same answer. Cancelled is nobody's fault.
"""

from __future__ import annotations


class Refused(Exception):
    """The disk is not taken."""


class NoRoom(Refused):
    """It does not fit on the gateway."""


class Missing(Refused):
    """Something is not installed on the gateway."""


class Cancelled(Exception):
    """Nobody wants it any more."""
