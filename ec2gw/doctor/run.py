"""Tries the probes one after another and cleans up behind them, whatever happens.

Source: docs/operations.md, "Proving a host".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ec2gw.doctor import catalogue
from ec2gw.doctor.bench import Bench
from ec2gw.doctor.probe import FAILS, HOLDS, UNTRIED, NotSo, NotTried, Outcome, Probe, Verdict
from ec2gw.winrm import session
from translators.hyperv import host as port

_LONGEST = 500


class Interrupted(Exception):
    """Whoever ran it wanted it to end; what was tried, and the clean-up, are in `outcomes`."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        super().__init__("interrupted")
        self.outcomes = outcomes


def prove(
    bench: Bench,
    *,
    slow: bool = False,
    tell: Callable[[Outcome], None] = lambda outcome: None,
    probes: Sequence[Probe] | None = None,
) -> list[Outcome]:
    """Try every probe, or these; `tell` hears of each outcome at once.

    :raises Interrupted: after the clean-up
    """
    outcomes: dict[str, Outcome] = {}

    def take(probe: Probe, outcome: Outcome) -> None:
        outcomes[probe.name] = outcome
        tell(outcome)

    interrupted = False
    try:
        for probe in catalogue.PROBES if probes is None else probes:
            take(probe, _tried(bench, probe, outcomes, slow=slow))
    except KeyboardInterrupt:
        interrupted = True
    finally:  # also after a fault of our own
        take(catalogue.CLEAN_UP, _tried(bench, catalogue.CLEAN_UP, outcomes, slow=slow))
    if interrupted:
        raise Interrupted(list(outcomes.values()))
    return list(outcomes.values())


def _tried(bench: Bench, probe: Probe, before: dict[str, Outcome], *, slow: bool) -> Outcome:
    why = _reason_not_to(probe, before, slow=slow)
    if why or probe.run is None:
        return Outcome(probe, UNTRIED, why)
    bench.errors, bench.measured = [], {}
    began = time.monotonic()
    verdict: Verdict = FAILS
    try:
        found = probe.run(bench)
        verdict = HOLDS
    except NotTried as reason:
        verdict, found = UNTRIED, str(reason)
    except NotSo as otherwise:
        found = str(otherwise)
    except port.Failed as failed:
        found = f"{failed.error.id} ({failed.error.category}): {failed.error.text}"
    except port.HostError as error:
        found = f"{type(error).__name__}: {error}"
    except session.LinkError as error:
        found = f"{type(error).__name__}: {error}"
    except (LookupError, ValueError, TypeError) as error:
        found = f"an answer that cannot be read: {type(error).__name__}: {error}"
    return Outcome(
        probe,
        verdict,
        found[:_LONGEST],
        time.monotonic() - began,
        dict(bench.measured),
        tuple(bench.errors),
    )


def _reason_not_to(probe: Probe, before: dict[str, Outcome], *, slow: bool) -> str:
    if probe.run is None:
        return probe.why
    if probe.slow and not slow:
        return "it takes minutes: --slow"
    for name in probe.needs:
        if name not in before or before[name].verdict != HOLDS:
            return f"{name}: {before[name].verdict if name in before else UNTRIED}"
    return ""
