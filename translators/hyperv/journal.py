"""The agent's journal on a host, as its driver keeps it short and whole.

Source: docs/architecture.md, "The life of an instance"; the agent's own function, in files.ps1.
"""

from __future__ import annotations

from collections.abc import Sequence

from translators.hyperv.host import Argument, Call, Plan


def compact(tokens: Sequence[str], damaged_lines: int = 0) -> Plan:
    """Drop tokens that will never be sent again, and so many damaged lines.

    Floors, the epoch and running tokens stay. Needs no token of its own: done twice is done once.
    """
    parameters: dict[str, Argument] = {"Tokens": list(tokens)}
    if damaged_lines:
        parameters["Damaged"] = damaged_lines
    call = Call("Agent\\Compress-Journal", parameters, keep="journal", take={"kept": "Kept:int"})
    return Plan("compact-journal", (call,))
