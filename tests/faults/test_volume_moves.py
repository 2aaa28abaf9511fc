"""Volumes that hold data and follow their instance's host: the bytes arrive, once, and whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.console import Console
from state import models
from state.store import Store
from tests.faults.test_transfers import Carriage
from tests.faults.test_volumes import attach, drives, made, rest, row, running

WORD = "written by a guest"


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Carriage]:
    """A cloud whose zone a has two hosts; what is launched goes to lab-a until told otherwise."""
    cloud = Carriage(store, tmp_path)
    try:
        cloud.update(models.Host, cloud.hosts["b"], zone_letter="a")
        cloud.start()
        only(cloud, "a")
        yield cloud
    finally:
        cloud.close()


def only(cloud: Carriage, letter: str) -> None:
    """Let new things go to that host alone."""
    for one in "ab":
        state = "active" if one == letter else "draining"
        cloud.update(models.Host, cloud.hosts[one], state=state)


def written(cloud: Carriage) -> str:
    """Make a volume on lab-a that a guest wrote to; it is free again."""
    instance_id, one = running(cloud), made(cloud, 2)
    attach(cloud, one, instance_id)
    rest(cloud, one, "in-use")
    Console(cloud.world).guest_writes("lab-a", instance_id, WORD, location=5)
    cloud.ask("DetachVolume", VolumeId=one)
    rest(cloud, one, "available")
    return one


def holders(cloud: Carriage, volume_id: str) -> dict[str, str]:
    """Host -> what the volume's file holds there, of the hosts that have one."""
    path = f"C:\\ec2gw\\volumes\\{volume_id}.vhdx"
    console = Console(cloud.world)
    return {
        host: console.disk_content(host, path)
        for host in ("lab-a", "lab-b")
        if path in cloud.files(host)
    }


def test_a_written_volume_is_carried_to_the_host_of_the_instance(two: Carriage) -> None:
    one = written(two)
    only(two, "b")
    there = running(two)
    assert two.instance(there).host_key == two.hosts["b"]
    attach(two, one, there)
    rest(two, one, "in-use")
    assert drives(two, "lab-b") == {0: "root", 5: one}
    [(host, content)] = holders(two, one).items()
    assert host == "lab-b"
    assert WORD in content
    found = row(two, one)
    assert found is not None
    assert found.host_key == two.hosts["b"]
    assert two.rows(models.Transfer) == []


def test_a_volume_that_is_detached_on_its_way_arrives_and_is_free_there(two: Carriage) -> None:
    one = written(two)
    only(two, "b")
    there = running(two)
    two.close_depot()
    attach(two, one, there)
    answer = two.ask("DetachVolume", VolumeId=one)
    assert answer["State"] == "detaching"
    assert list(holders(two, one)) == ["lab-a"]
    two.open_depot()
    rest(two, one, "available")
    [(host, content)] = holders(two, one).items()
    assert host == "lab-b"
    assert WORD in content
    assert drives(two, "lab-b") == {0: "root"}


def test_an_instance_that_ends_before_its_volume_came_lets_it_come_whole(two: Carriage) -> None:
    one = written(two)
    only(two, "b")
    there = running(two)
    two.close_depot()
    attach(two, one, there)
    two.ask("TerminateInstances", InstanceIds=[there])
    two.wait("terminated", there)
    two.open_depot()
    rest(two, one, "available")
    [(_host, content)] = holders(two, one).items()
    assert WORD in content
