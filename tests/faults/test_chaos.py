"""A short run of the chaos that `scripts/test chaos` makes long; and that it would show a fault.

EC2GW_TEST_CHAOS says how many orders (60), EC2GW_TEST_CHAOS_SEED which seed (1).
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab.agent.journal import Journal
from tests import figures
from tests.faults import chaos

COUNT = int(os.environ.get("EC2GW_TEST_CHAOS", "60"))
SEED = int(os.environ.get("EC2GW_TEST_CHAOS_SEED", "1"))


@pytest.mark.timeout(120 + COUNT)
def test_in_chaos_every_order_is_carried_out_once(tmp_path: Path) -> None:
    verdict = chaos.run(tmp_path / "data", COUNT, SEED)
    figures.tell(str(verdict))
    assert verdict.orders.total() >= COUNT
    assert verdict.plans > COUNT / 2
    assert verdict.is_good, str(verdict)


def test_on_hosts_that_forget_tokens_it_would_show_what_ran_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Journal.begin

    def forgetful(journal: Journal, wanted: Any, *given: Any) -> Any:
        return begin(journal, dataclasses.replace(wanted, token=None), *given)

    monkeypatch.setattr(Journal, "begin", forgetful)
    with chaos.prepared(tmp_path / "data", SEED) as run:
        for faults in run.gateway.laboratory.faults.values():
            for nth in range(2, 60, 2):
                faults.plan("after", "Receive", nth=nth)
        for _ in range(6):
            run.launch()
        run.gateway.until(lambda: run.mishaps.twice() != [], "something runs twice")
