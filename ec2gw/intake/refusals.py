"""Why a disk from outside is not taken: one sentence, for whoever asked for it.

Refused      the disk, or where it lies; asking again gives the same answer
NoRoom       the gateway's own disk is full
Missing      the gateway lacks a program
Cancelled    its owner does not want it any more
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
