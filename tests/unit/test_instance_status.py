"""DescribeInstanceStatus: health as the last survey saw it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.errors import Ec2Error
from translators.settings import Settings


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def running(cloud: Cloud, **look: Any) -> str:
    """Launch one instance in zone a that runs since an hour, and was last seen so."""
    [instance_id] = cloud.run(Placement={"AvailabilityZone": "us-east-1a"})
    cloud.found("launched", instance_id)
    key = cloud.instance(instance_id).key
    seen = {"vm_state": "Running", "heartbeat": "OkApplicationsUnknown", **look}
    cloud.store.write(
        lambda session: session.merge(
            models.Look(instance_key=key, changed_at=NOW, addresses=[], **seen)
        )
    )
    cloud.now = NOW + dt.timedelta(hours=1)
    for host in cloud.hosts.values():
        cloud.update(models.Host, host, surveyed_at=cloud.now)
    return instance_id


def judged(cloud: Cloud, **request: Any) -> dict[str, Any]:
    answer = cloud.call("DescribeInstanceStatus", **request)
    [one] = answer["InstanceStatuses"]
    assert isinstance(one, dict)
    return one


def test_a_healthy_instance_is_ok_in_every_check(cloud: Cloud) -> None:
    instance_id = running(cloud)
    passed = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
    assert judged(cloud) == {
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az1",
        "Operator": {"Managed": False},
        "Events": [],
        "InstanceId": instance_id,
        "InstanceState": {"Code": 16, "Name": "running"},
        "InstanceStatus": passed,
        "SystemStatus": passed,
        "AttachedEbsStatus": passed,
    }


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        ({"heartbeat": "OkApplicationsHealthy"}, "ok"),
        ({"heartbeat": "LostCommunication"}, "impaired"),
        ({"heartbeat": "Error"}, "impaired"),
        ({"heartbeat": "NoContact", "answered_at": NOW}, "impaired"),
        ({"heartbeat": "NoContact"}, "insufficient-data"),
        ({"heartbeat": "Disabled"}, "insufficient-data"),
        ({"heartbeat": None}, "insufficient-data"),
        ({"vm_state": "Paused", "heartbeat": "OkApplicationsHealthy"}, "impaired"),
    ],
)
def test_the_heartbeat_is_the_instance_status(
    cloud: Cloud, look: dict[str, Any], expected: str
) -> None:
    running(cloud, **look)
    shown = judged(cloud)
    assert shown["InstanceStatus"]["Status"] == expected
    assert shown["SystemStatus"]["Status"] == "ok"
    [detail] = shown["InstanceStatus"]["Details"]
    assert detail.get("ImpairedSince") == (NOW if expected == "impaired" else None)


@pytest.mark.parametrize("heartbeat", ["NoContact", "LostCommunication", None])
def test_a_guest_that_just_started_is_given_time(cloud: Cloud, heartbeat: str | None) -> None:
    running(cloud, heartbeat=heartbeat, answered_at=NOW)
    cloud.now = NOW + dt.timedelta(minutes=4)
    assert judged(cloud)["InstanceStatus"]["Status"] == "initializing"


def test_a_guest_that_its_host_started_again_is_given_time(cloud: Cloud) -> None:
    running(cloud, heartbeat="NoContact", answered_at=NOW)
    assert judged(cloud)["InstanceStatus"]["Status"] == "impaired"
    booted = cloud.now - dt.timedelta(minutes=4)
    cloud.update(models.Host, cloud.hosts["a"], boot_time=booted)
    assert judged(cloud)["InstanceStatus"]["Status"] == "initializing"


def test_of_a_vm_that_its_host_does_not_show_nothing_is_said(cloud: Cloud) -> None:
    running(cloud, vm_state=None, heartbeat=None)
    shown = judged(cloud)
    for member in ("SystemStatus", "AttachedEbsStatus", "InstanceStatus"):
        assert shown[member]["Status"] == "insufficient-data"


def test_a_host_out_of_sight_impairs_the_system_and_hides_the_guest(cloud: Cloud) -> None:
    running(cloud)
    cloud.update(models.Host, cloud.hosts["a"], reachable=False, surveyed_at=NOW)
    shown = judged(cloud)
    assert shown["SystemStatus"] == {
        "Status": "impaired",
        "Details": [{"Name": "reachability", "Status": "failed", "ImpairedSince": NOW}],
    }
    assert shown["InstanceStatus"]["Status"] == "insufficient-data"


def test_an_old_survey_says_nothing_of_now(cloud: Cloud) -> None:
    running(cloud)
    cloud.now += dt.timedelta(minutes=4)
    assert judged(cloud)["SystemStatus"]["Status"] == "impaired"


def test_a_full_disk_of_the_host_impairs_system_and_disks(cloud: Cloud) -> None:
    running(cloud, vm_state="PausedCritical", heartbeat="Paused")
    shown = judged(cloud)
    for member in ("SystemStatus", "AttachedEbsStatus", "InstanceStatus"):
        assert shown[member]["Status"] == "impaired"
        assert shown[member]["Details"][0]["ImpairedSince"] == NOW


def test_what_does_not_run_is_left_out_unless_all_are_asked_for(cloud: Cloud) -> None:
    [instance_id] = cloud.run()
    assert cloud.call("DescribeInstanceStatus")["InstanceStatuses"] == []
    named = {"InstanceIds": [instance_id]}
    assert cloud.call("DescribeInstanceStatus", **named)["InstanceStatuses"] == []
    shown = judged(cloud, IncludeAllInstances=True, **named)
    assert shown["InstanceState"]["Name"] == "pending"
    assert shown["InstanceStatus"] == {"Status": "not-applicable", "Details": []}


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("availability-zone", "us-east-1a", "us-east-1b"),
        ("availability-zone-id", "use1-az1", "use1-az2"),
        ("instance-state-name", "running", "stopped"),
        ("instance-state-code", "16", "80"),
        ("instance-status.status", "impaired", "ok"),
        ("instance-status.reachability", "failed", "passed"),
        ("system-status.status", "ok", "impaired"),
        ("system-status.reachability", "passed", "failed"),
        ("attached-ebs-status.status", "ok", "impaired"),
        ("operator.managed", "false", "true"),
    ],
)
def test_filters_find_by_what_is_shown(cloud: Cloud, name: str, value: str, other: str) -> None:
    running(cloud, heartbeat="LostCommunication")
    for values, count in (([value], 1), ([other], 0), (["*"], 1)):
        found = cloud.call("DescribeInstanceStatus", Filters=[{"Name": name, "Values": values}])
        assert len(found["InstanceStatuses"]) == count


def test_pages_go_through_all_that_run(cloud: Cloud) -> None:
    ids = cloud.run(6)
    cloud.found("launched", *ids)
    first = cloud.call("DescribeInstanceStatus", MaxResults=5)
    rest = cloud.call("DescribeInstanceStatus", MaxResults=5, NextToken=first["NextToken"])
    seen = [*first["InstanceStatuses"], *rest["InstanceStatuses"]]
    assert [one["InstanceId"] for one in seen] == ids
    assert "NextToken" not in rest


def test_at_most_a_hundred_ids_may_be_named(cloud: Cloud) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.call("DescribeInstanceStatus", InstanceIds=["i-0123456789abcdef0"] * 101)
    assert caught.value.code == "InvalidRequest"
    assert caught.value.message == (
        "101 exceeds the maximum number of instance IDs that can be specificied (100). "
        "Please specify fewer than 100 instance IDs."
    )


def test_an_unknown_id_is_refused(cloud: Cloud) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.call("DescribeInstanceStatus", InstanceIds=["i-0123456789abcdef0"])
    assert caught.value.code == "InvalidInstanceID.NotFound"
