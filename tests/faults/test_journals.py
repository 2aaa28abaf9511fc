"""A host's journal that is damaged, and one that is kept short."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ec2gw.engine import keeping
from state.store import Store
from tests.faults.rig import SETTINGS, Rig, rig

JOURNAL = "C:\\ec2gw\\journal"


def lines(gateway: Rig, host: str) -> list[bytes]:
    with gateway.world.reading(host) as session:
        return session.content(JOURNAL).splitlines(keepends=True)


def tokens(gateway: Rig) -> int:
    return sum(line.startswith((b"B ", b"E ")) for h in ("lab-a",) for line in lines(gateway, h))


def test_a_damaged_journal_holds_changes_back_until_it_is_mended(
    store: Store, tmp_path: Path
) -> None:
    patient = dataclasses.replace(SETTINGS, journal_mended_after_seconds=1)
    with rig(store, tmp_path, patient) as gateway:
        gateway.start()
        (one,) = gateway.launch(1, Placement={"AvailabilityZone": "us-east-1a"})
        gateway.wait("running", one)
        gateway.stop()
        whole = lines(gateway, "lab-a")
        with gateway.world.changing("lab-a") as session:
            session.empty(JOURNAL)
            session.append(JOURNAL, b"".join([*whole[:3], b"B spoilt\n", *whole[3:]]))
        gateway.start()
        gateway.ask("TerminateInstances", InstanceIds=[one])
        gateway.wait("terminated", one)
        assert b"B spoilt\n" not in lines(gateway, "lab-a")
        assert gateway.vms() == []


def test_acknowledged_tokens_are_forgotten_in_time(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = gateway.launch(4, Placement={"AvailabilityZone": "us-east-1a"})
    gateway.wait("running", *ids)
    assert tokens(gateway) >= 2 * 2 * len(ids)
    monkeypatch.setattr(keeping, "_FORGET_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "_FORGET_TOGETHER", 1)
    gateway.until(lambda: tokens(gateway) == 0, "the journal holds no token")
    gateway.ask("TerminateInstances", InstanceIds=ids)
    gateway.wait("terminated", *ids)
