"""Capacity: where instances go, and what is answered when they go nowhere."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import models, recovering
from state.store import Store
from tests.launches import GIB, NOW, Cloud
from translators.ec2.instances import placement
from translators.ec2.instances.placement import Need, Room
from translators.errors import Ec2Error
from translators.settings import Settings

A_ZONE = {"AvailabilityZone": "us-east-1a"}


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def host(cloud: Cloud, letter: str, **columns: Any) -> None:
    cloud.update(models.Host, cloud.hosts[letter], **columns)


def fits(cloud: Cloud, **request: Any) -> int:
    """How many of at most 100 micro instances fit into zone a."""
    asked = {"ImageId": cloud.image_id, "MinCount": 1, "MaxCount": 100, "Placement": A_ZONE}
    return len(cloud.call("RunInstances", **{**asked, **request})["Instances"])


def test_memory_is_never_promised_twice(cloud: Cloud) -> None:
    assert fits(cloud) == 30  # 32 GiB less the host's own 2
    with pytest.raises(Ec2Error) as caught:
        cloud.run(Placement=A_ZONE)
    assert (caught.value.code, caught.value.status) == ("InsufficientInstanceCapacity", 500)
    assert caught.value.message == (
        "We currently do not have sufficient t3.micro capacity in the Availability Zone you "
        "requested (us-east-1a). Our system will be working on provisioning additional capacity. "
        "You can currently get t3.micro capacity by not specifying an Availability Zone in your "
        "request or choosing us-east-1b, us-east-1c."
    )


def test_memory_of_others_on_the_host_counts(cloud: Cloud) -> None:
    host(cloud, "a", foreign_vms=3, foreign_memory_bytes=20 * GIB)
    assert fits(cloud) == 10


def test_processors_are_shared_up_to_the_configured_measure(cloud: Cloud) -> None:
    cloud.settings = dataclasses.replace(cloud.settings, processor_overcommit=0.5)
    assert fits(cloud) == 4  # 16 * 0.5 processors of 2 each


def test_a_type_with_more_processors_than_the_host_fits_nowhere(cloud: Cloud) -> None:
    for letter in "abc":
        host(cloud, letter, processors=1)
    with pytest.raises(Ec2Error) as caught:
        cloud.run()
    assert caught.value.code == "InsufficientInstanceCapacity"


def test_a_host_holds_no_more_vms_than_hyper_v_allows(cloud: Cloud) -> None:
    host(cloud, "a", foreign_vms=placement.MOST_VMS - 2)
    assert fits(cloud) == 2


def test_each_new_disk_needs_room_for_the_whole_of_it(cloud: Cloud) -> None:
    host(cloud, "a", free_disk_bytes=50 * GIB)
    disk = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20}}]
    assert fits(cloud, BlockDeviceMappings=disk) == 2
    assert fits(cloud) == 1  # 8 of the 10 that the launches under way leave


@pytest.mark.parametrize(
    "columns",
    [{"state": "draining"}, {"reachable": False}, {"surveyed_at": None}, {"switches": ["other"]}],
)
def test_a_host_that_cannot_be_launched_on_has_no_room(
    cloud: Cloud, columns: dict[str, Any]
) -> None:
    for letter in "abc":
        host(cloud, letter, **columns)
    with pytest.raises(Ec2Error) as caught:
        cloud.run()
    assert (caught.value.code, caught.value.status) == ("InsufficientInstanceCapacity", 500)


@pytest.mark.parametrize("doubt", [{"recovering": True}, {"confirmed": False}])
def test_nothing_is_launched_before_a_host_has_confirmed_the_state(
    cloud: Cloud, doubt: dict[str, bool]
) -> None:
    def doubted(session: Any) -> None:
        session.add(models.Deployment(id="d", created_at=NOW, **doubt))

    cloud.store.write(doubted)
    with pytest.raises(Ec2Error) as caught:
        cloud.run()
    assert (caught.value.code, caught.value.status) == ("Unavailable", 503)
    cloud.store.write(recovering.end)
    cloud.run()


def test_without_a_zone_the_one_with_the_most_room_is_taken(cloud: Cloud) -> None:
    host(cloud, "a", memory_bytes=4 * GIB)
    host(cloud, "c", memory_bytes=64 * GIB)
    [shown] = cloud.seen(*cloud.run())
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1c"


def test_a_launch_stays_in_one_zone_and_is_as_large_as_fits(cloud: Cloud) -> None:
    asked = {"ImageId": cloud.image_id, "MinCount": 1, "MaxCount": 40}
    answer = cloud.call("RunInstances", **asked)
    assert len(answer["Instances"]) == 30
    assert len({one["SubnetId"] for one in answer["Instances"]}) == 1


def test_instances_spread_over_the_hosts_of_a_zone(cloud: Cloud) -> None:
    host(cloud, "b", zone_letter="a")
    cloud.run(10, Placement=A_ZONE)
    assert sorted(Counter(row.host_key for row in cloud.rows(models.Instance)).values()) == [5, 5]


def test_a_stopped_instance_gives_its_room_away_and_asks_again_to_start(cloud: Cloud) -> None:
    assert fits(cloud) == 30
    ids = [one["InstanceId"] for one in cloud.seen()]
    cloud.found("launched", *ids)
    cloud.call("StopInstances", InstanceIds=ids[:2])
    cloud.found("stopped", *ids[:2])
    assert fits(cloud) == 2
    with pytest.raises(Ec2Error) as caught:
        cloud.call("StartInstances", InstanceIds=ids[:1])
    assert (caught.value.code, caught.value.status) == ("InsufficientInstanceCapacity", 500)
    assert caught.value.message == "Insufficient capacity."
    assert cloud.instance(ids[0]).phase == "stopped"
    cloud.call("TerminateInstances", InstanceIds=ids[2:3])
    cloud.found("removed", ids[2])
    cloud.call("StartInstances", InstanceIds=ids[:1])
    assert cloud.instance(ids[0]).phase == "starting"


def test_a_batch_of_starts_fits_whole_or_not_at_all(cloud: Cloud) -> None:
    ids = cloud.run(2, Placement=A_ZONE)
    cloud.found("launched", *ids)
    cloud.call("StopInstances", InstanceIds=ids)
    cloud.found("stopped", *ids)
    host(cloud, "a", memory_bytes=3 * GIB)
    with pytest.raises(Ec2Error):
        cloud.call("StartInstances", InstanceIds=ids)
    assert {cloud.instance(one).phase for one in ids} == {"stopped"}
    cloud.call("StartInstances", InstanceIds=ids[:1])


def test_a_start_waits_for_a_host_out_of_reach(cloud: Cloud) -> None:
    [instance_id] = cloud.run(Placement=A_ZONE)
    cloud.found("launched", instance_id)
    cloud.call("StopInstances", InstanceIds=[instance_id])
    cloud.found("stopped", instance_id)
    host(cloud, "a", reachable=False)
    cloud.call("StartInstances", InstanceIds=[instance_id])
    assert cloud.instance(instance_id).phase == "starting"


ROOMS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 24), st.integers(0, 10), st.integers(0, 40)),
    max_size=5,
)


@given(ROOMS, st.integers(1, 4), st.integers(1, 4), st.integers(0, 5), st.integers(1, 30))
def test_placing_never_overfills_a_host_nor_leaves_room_unused(
    sizes: list[tuple[int, int, int, int]], memory: int, processors: int, disk: int, most: int
) -> None:
    need = Need(processors, memory)
    rooms = [
        Room(key, "a", 8, memory_left, processors_left, vms, disk_left)
        for key, (memory_left, processors_left, vms, disk_left) in enumerate(sizes)
    ]
    placed = placement.place(rooms, need, disk, most)
    counted = Counter(placed)
    for key, (memory_left, processors_left, vms, disk_left) in enumerate(sizes):
        count = counted[key]
        assert count * memory <= memory_left
        assert count * processors <= processors_left
        assert count * disk <= disk_left
        assert count <= vms
    assert len(placed) == most or not any(room.fits(need, disk) for room in rooms)
