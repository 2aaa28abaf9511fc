"""What is decided of a disk from outside on its host, for each thing that the host may say."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.store import Store
from tests import rows
from tests.unit.test_snapshot_steps import INTENT
from translators import steps, transfers
from translators.ec2 import transfers as ways
from translators.ec2.snapshots import verifying
from translators.ec2.snapshots.intents import Sight
from translators.ec2.snapshots.kind import Snapshots
from translators.hyperv import transfer, vhd
from translators.hyperv.host import HostFault
from translators.settings import GIB, Settings

NOW = rows.NOW
PATH = "snapshots/snap-1.vhdx"
VERIFYING = dataclasses.replace(
    INTENT, phase="verifying", size_gib=8, machine=None, point=None, since=NOW, now=NOW
)
WHOLE = vhd.Disk("VHDX", "Dynamic", 8 * GIB, 4 * 2**20, 512, "0" * 36, attached=False)


def decided(**disk: Any) -> steps.Decision:
    return verifying.verify(VERIFYING, Sight(header=dataclasses.replace(WHOLE, **disk)))


def said(fault: HostFault, seconds: float = 1.0) -> steps.Decision:
    late = dataclasses.replace(VERIFYING, now=NOW + dt.timedelta(seconds=seconds))
    return verifying.verify(late, Sight(refused=fault))


def fault(identifier: str, *codes: str) -> HostFault:
    return HostFault(f"{identifier},Microsoft.Vhd.PowerShell.Cmdlets.GetVHD", "NotSpecified", codes)


# -- verified


@pytest.mark.parametrize("type_", ["Dynamic", "Fixed"])
def test_a_whole_disk_of_the_size_that_was_told_is_verified(type_: str) -> None:
    assert decided(type=type_) == steps.Rest("verified")


def test_a_disk_of_a_broken_size_is_made_as_large_as_its_volumes() -> None:
    found = decided(size_bytes=7 * GIB + 512)
    assert isinstance(found, steps.Do)
    [call] = found.plan.calls
    assert call.cmdlet == "Hyper-V\\Resize-VHD"
    assert call.parameters["SizeBytes"] == 8 * GIB


@pytest.mark.parametrize(
    ("disk", "why"),
    [
        ({"format": "VHD"}, "not a VHDX"),
        ({"type": "Differencing"}, "part of another disk"),
        ({"size_bytes": 9 * GIB}, "not as large"),
        ({"size_bytes": 7 * GIB}, "not as large"),
        ({"size_bytes": 0}, "not as large"),
    ],
)
def test_what_is_another_disk_than_was_told_is_refused(disk: dict[str, Any], why: str) -> None:
    found = decided(**disk)
    assert isinstance(found, steps.Rest)
    assert (found.found, found.reason is not None and why in found.reason[1]) == ("refused", True)


@pytest.mark.parametrize(
    "answer",
    [
        fault("InvalidParameter"),
        fault("OperationFailed", "0x80070570"),
        fault("OperationFailed", "0x80070002"),
        fault("OperationFailed", "0xC03A0004"),
        fault("OperationFailed", "0xc03a001a"),
    ],
    ids=lambda one: f"{one.identifier} {' '.join(one.hresult)}",
)
def test_what_its_host_surely_cannot_read_is_refused_at_once(answer: HostFault) -> None:
    found = said(answer)
    assert isinstance(found, steps.Rest)
    assert found.found == "refused"


def test_a_host_in_trouble_of_its_own_is_asked_again_for_a_while() -> None:
    trouble = fault("OperationFailed", "0x800706BA")
    assert isinstance(said(trouble), steps.Wait)
    assert isinstance(said(trouble, 119), steps.Wait)
    found = said(trouble, 121)
    assert isinstance(found, steps.Rest)
    assert found.reason is not None
    assert found.reason[1].endswith("reads no virtual disk in it: 0x800706BA]")


@pytest.mark.parametrize("passing", [fault("ObjectInUse"), fault("OperationFailed", "0x80070020")])
def test_a_file_that_something_else_has_open_is_waited_for(passing: HostFault) -> None:
    assert isinstance(said(passing, 3600), steps.Wait)


# -- on its way


def intent(session: Session, key: int) -> ways.Intent:
    found = ways.Transfers().load(session, key, Settings(), NOW)
    assert found is not None
    return found


def offered(session: Session, host_key: int) -> models.Transfer:
    return transfers.offer(session, PATH, host_key, length_bytes=5, sha256="0" * 64, now=NOW)


def test_what_is_offered_is_fetched_and_never_sent(store: Store) -> None:
    def work(session: Session) -> None:
        on = rows.ground(session)
        row = offered(session, on.host)
        assert transfers.was_offered(row)
        [due] = ways.Transfers().due(session, on.host, NOW)
        assert due.key == row.key
        found = intent(session, row.key)
        assert (found.phase, found.host_key) == ("receiving", on.host)
        assert (found.length_bytes, found.digest) == (5, "0" * 64)

    store.write(work)


def test_an_offer_that_failed_is_ended_on_its_host_and_then_forgotten(store: Store) -> None:
    def work(session: Session) -> None:
        on = rows.ground(session)
        row = offered(session, on.host)
        kind = ways.Transfers()
        kind.settle(session, intent(session, row.key), steps.Rest("failed"), NOW)
        assert row.phase == "ending"
        ending = intent(session, row.key)
        running = transfer.Task(1, "Running", 3, "")
        cleared = ways.end(ending, transfer.Sight(running, False, True))
        assert isinstance(cleared, steps.Do)
        assert cleared.plan.purpose == "clear-transfer"
        gone = ways.end(ending, transfer.Sight(None, False, True))
        assert gone == steps.Rest("ended")
        kind.settle(session, ending, gone, NOW)
        assert session.scalars(sa.select(models.Transfer.key)).all() == []

    store.write(work)


def test_what_goes_between_hosts_is_asked_for_anew_where_it_failed(store: Store) -> None:
    def work(session: Session) -> None:
        on = rows.ground(session)
        other = rows.host(session, "host-2", letter="b")
        row = transfers.ask(session, PATH, on.host, other, NOW)
        assert not transfers.was_offered(row)
        transfers.withdraw(session, PATH, NOW)
        assert (row.phase, row.generation) == ("sending", 1)  # another way is left alone
        kind = ways.Transfers()
        kind.settle(session, intent(session, row.key), steps.Rest("failed"), NOW)
        assert row.phase == "failed"
        again = transfers.ask(session, PATH, on.host, other, NOW)
        assert (again.key, again.phase) == (row.key, "sending")

    store.write(work)


def test_a_file_that_may_still_come_is_not_removed_before(store: Store) -> None:
    def work(session: Session) -> None:
        on = rows.ground(session)
        row = offered(session, on.host)
        disk = models.Snapshot(
            id="snap-1",
            account_key=on.account,
            region="us-east-1",
            state="error",
            phase="failing",
            phase_since=NOW,
            size_gib=1,
            started_at=NOW,
            volume_id="vol-ffffffff",
            host_key=on.host,
            file_name=PATH,
        )
        session.add(disk)
        session.flush()
        kind = Snapshots()
        for phase in ("failing", "deleting"):
            for of_transfer in ("receiving", "ending"):
                disk.phase, row.phase = phase, of_transfer
                session.flush()
                assert kind.due(session, on.host, NOW) == []
                assert kind.load(session, disk.key, Settings(), NOW) is None
        transfers.forget(session, PATH, on.host)
        [due] = kind.due(session, on.host, NOW)
        assert due.key == disk.key
        assert kind.load(session, disk.key, Settings(), NOW) is not None

    store.write(work)
