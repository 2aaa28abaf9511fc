"""A changed type reaches the VM when the instance starts again, whatever is lost on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.store import Store
from tests.faults.rig import SETTINGS, Rig, rig
from tests.launches import GIB
from translators.settings import InstanceType

LARGE = InstanceType("m5.large", 4, 3 * 1024)
HOST = "lab-a"
ZONE = {"Placement": {"AvailabilityZone": "us-east-1a"}}


@pytest.fixture
def gateway(store: Store, tmp_path: Path) -> Iterator[Rig]:
    types = {**SETTINGS.instance_types, LARGE.name: LARGE}
    with rig(store, tmp_path, dataclasses.replace(SETTINGS, instance_types=types)) as made:
        made.start()
        yield made


def stopped(gateway: Rig) -> str:
    [instance_id] = gateway.launch(1, **ZONE)
    gateway.wait("running", instance_id)
    assert size(gateway) == (2, GIB)
    gateway.ask("StopInstances", InstanceIds=[instance_id], Force=True)
    gateway.wait("stopped", instance_id)
    return instance_id


def size(gateway: Rig) -> tuple[int, int]:
    """Processors and memory of the one VM there is, as the laboratory's world has them."""
    with gateway.world.reading(HOST) as session:
        [vm] = session.vms()
    return vm.processors, vm.memory_startup


def modify(gateway: Rig, instance_id: str, **request: Any) -> None:
    gateway.ask("ModifyInstanceAttribute", InstanceId=instance_id, **request)


def test_a_stopped_instance_starts_with_the_processors_and_memory_of_its_new_type(
    gateway: Rig,
) -> None:
    one = stopped(gateway)
    modify(gateway, one, InstanceType={"Value": LARGE.name})
    assert size(gateway) == (2, GIB)
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    assert size(gateway) == (4, 3 * GIB)
    gateway.assert_exactly(running=[one])


def test_messages_lost_on_the_way_leave_one_vm_of_the_new_size(gateway: Rig) -> None:
    one = stopped(gateway)
    faults = gateway.laboratory.faults[HOST]
    faults.lose(0.2, seed=5)
    for kind, wanted in ((LARGE.name, (4, 3 * GIB)), ("t3.micro", (2, GIB))):
        modify(gateway, one, InstanceType={"Value": kind})
        gateway.ask("StartInstances", InstanceIds=[one])
        gateway.wait("running", one)
        gateway.assert_exactly(running=[one])
        assert size(gateway) == wanted
        gateway.ask("StopInstances", InstanceIds=[one], Force=True)
        gateway.wait("stopped", one)
    assert faults.lost > 0


def test_an_administrators_other_size_gives_way_to_the_types_at_the_next_start(
    gateway: Rig,
) -> None:
    one = stopped(gateway)
    with gateway.world.changing(HOST) as session:
        [vm] = session.vms()
        vm.processors, vm.memory_startup = 8, 2 * GIB
        session.put_vm(vm)
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    assert size(gateway) == (2, GIB)
