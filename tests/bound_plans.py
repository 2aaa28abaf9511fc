"""Binds every plan that the translators make in any test, against every version of Windows.

Source: docs/architecture.md, "Tests".
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from ec2gw.lab.binding import VERSIONS, bind_plan
from translators.hyperv import host

ROW = ("plans made within tests, whole", f"{len(VERSIONS)} tables of cmdlets, 2016 to 2025")
"""What they count as, in the table of `scripts/test truth`."""


@pytest.fixture(autouse=True)
def every_plan_binds(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Fail the test whose translators made a plan that some host would not bind.

    Plans that a test makes by itself are its own affair: they may be wrong on purpose.
    """
    made: list[host.Plan] = []
    build = host.Plan.__init__

    def build_and_keep(plan: host.Plan, *arguments: object, **named: object) -> None:
        build(plan, *arguments, **named)  # type: ignore[arg-type]
        maker = sys._getframe(1).f_globals.get("__name__", "")
        if maker.startswith("translators."):
            made.append(plan)
            request.node.user_properties.append(("truth", (*ROW, 1, 0, 0)))

    monkeypatch.setattr(host.Plan, "__init__", build_and_keep)
    yield
    problems = {str(problem) for plan in made for problem in bind_plan(plan)}
    assert not problems, "\n".join(sorted(problems))
