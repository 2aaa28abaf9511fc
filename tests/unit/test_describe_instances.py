"""DescribeInstances: views, reservations, filters, pages, and what is forgotten when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.ec2.instances import filters, views
from translators.errors import Ec2Error
from translators.filters import never
from translators.registry import ACTIONS
from translators.settings import Settings
from translators.views import Fragments


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def terminated(cloud: Cloud, count: int = 1) -> list[str]:
    ids = cloud.run(count)
    cloud.found("launched", *ids)
    cloud.call("TerminateInstances", InstanceIds=ids)
    cloud.found("removed", *ids)
    return ids


def ids_of(shown: list[dict[str, Any]]) -> list[str]:
    return [one["InstanceId"] for one in shown]


def test_instances_are_grouped_by_launch_oldest_first(cloud: Cloud) -> None:
    first, second = cloud.run(2), cloud.run(1)
    reservations = cloud.call("DescribeInstances")["Reservations"]
    assert [ids_of(one["Instances"]) for one in reservations] == [first, second]
    assert {one["OwnerId"] for one in reservations} == {cloud.account_id}


def test_lists_are_references_that_share_one_load(cloud: Cloud) -> None:
    cloud.run()
    cloud.run()
    with cloud.store.read() as session:
        answer: Any = ACTIONS["ec2", "DescribeInstances"].handler(cloud.context(session), {})
    lists = [reservation["Instances"] for reservation in answer["Reservations"]]
    assert all(isinstance(one, Fragments) for one in lists)
    assert lists[0].load is lists[1].load


def test_whatever_changes_the_view_raises_the_version(cloud: Cloud) -> None:
    [instance_id] = cloud.run()
    row = cloud.instance(instance_id)
    [interface] = cloud.rows(models.NetworkInterface)
    [volume] = cloud.rows(models.Volume)
    changes: list[Callable[[], None]] = [
        lambda: cloud.update(models.NetworkInterface, interface.key, description="x"),
        lambda: cloud.update(models.Volume, volume.key, attachment_state="attached"),
        lambda: cloud.update(models.Instance, row.key, monitoring=True),
        lambda: cloud.found("launched", instance_id),
    ]
    for change in changes:
        before = cloud.instance(instance_id).version
        change()
        assert cloud.instance(instance_id).version > before


def test_another_account_sees_nothing_of_it(cloud: Cloud) -> None:
    ids = cloud.run()
    cloud.account_key, cloud.account_id = cloud.account("two")
    assert cloud.seen() == []
    with pytest.raises(Ec2Error) as caught:
        cloud.seen(*ids)
    assert caught.value.code == "InvalidInstanceID.NotFound"


def test_a_running_instance_has_its_disk_and_interface_attached(cloud: Cloud) -> None:
    [instance_id] = cloud.run()
    cloud.found("launched", instance_id)
    [shown] = cloud.seen(instance_id)
    assert shown["State"] == {"Code": 16, "Name": "running"}
    [mapping] = shown["BlockDeviceMappings"]
    assert mapping["DeviceName"] == shown["RootDeviceName"]
    assert mapping["Ebs"]["Status"] == "attached"
    [interface] = shown["NetworkInterfaces"]
    assert interface["Attachment"]["Status"] == "attached"
    assert interface["PrivateIpAddress"] == shown["PrivateIpAddress"]
    assert shown["MetadataOptions"]["State"] == "applied"


def test_private_names_are_those_of_the_region(cloud: Cloud) -> None:
    [instance_id] = cloud.run(PrivateIpAddress="172.31.0.9")
    [shown] = cloud.seen(instance_id)
    assert shown["PrivateDnsName"] == "ip-172-31-0-9.ec2.internal"
    with cloud.store.read() as session:
        ctx = cloud.context(session)
        ctx.region = "eu-central-1"
        [elsewhere] = views.load(ctx, [cloud.instance(instance_id).key]).values()
    assert elsewhere["PrivateDnsName"] == "ip-172-31-0-9.eu-central-1.compute.internal"


# -- terminated


def test_a_terminated_instance_has_lost_its_network_but_not_its_tags(cloud: Cloud) -> None:
    tags = [{"Key": "Name", "Value": "gone"}]
    ids = cloud.run(TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    cloud.call("TerminateInstances", InstanceIds=ids)
    cloud.found("removed", *ids)
    [shown] = cloud.seen(*ids)
    assert shown["State"] == {"Code": 48, "Name": "terminated"}
    assert shown["Tags"] == tags
    assert shown["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    for member in ("VpcId", "SubnetId", "PrivateIpAddress", "SourceDestCheck"):
        assert member not in shown
    for member in ("BlockDeviceMappings", "NetworkInterfaces", "SecurityGroups"):
        assert shown[member] == []
    assert shown["PrivateDnsName"] == ""


def test_a_terminated_instance_is_forgotten_after_an_hour(cloud: Cloud) -> None:
    [instance_id] = terminated(cloud)
    cloud.now = NOW + dt.timedelta(minutes=59)
    assert ids_of(cloud.seen()) == [instance_id]
    cloud.now = NOW + dt.timedelta(minutes=61)
    assert cloud.seen() == []
    with pytest.raises(Ec2Error) as caught:
        cloud.seen(instance_id)
    assert caught.value.message == f"The instance ID '{instance_id}' does not exist"


# -- pages


def test_pages_count_instances_and_may_part_a_launch(cloud: Cloud) -> None:
    ids = cloud.run(7) + cloud.run(5)
    first = cloud.call("DescribeInstances", MaxResults=5)
    assert [len(one["Instances"]) for one in first["Reservations"]] == [5]
    second = cloud.call("DescribeInstances", MaxResults=5, NextToken=first["NextToken"])
    assert [len(one["Instances"]) for one in second["Reservations"]] == [2, 3]
    last = cloud.call("DescribeInstances", MaxResults=5, NextToken=second["NextToken"])
    assert "NextToken" not in last
    pages = [first, second, last]
    seen = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
    assert ids_of(seen) == ids


def test_ids_do_not_go_with_pages(cloud: Cloud) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.seen(*cloud.run(), MaxResults=5)
    assert caught.value.code == "InvalidParameterCombination"
    assert caught.value.message == (
        "The parameter instancesSet cannot be used with the parameter maxResults"
    )


def test_fewer_than_five_results_cannot_be_asked_for(cloud: Cloud) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.seen(MaxResults=4)
    assert caught.value.code == "InvalidParameterValue"


# -- filters


def matched(cloud: Cloud, name: str, *values: str) -> list[str]:
    return ids_of(cloud.seen(Filters=[{"Name": name, "Values": list(values)}]))


def test_every_filter_finds_by_what_the_view_shows(cloud: Cloud) -> None:
    """Filter by the value that the one instance shows, and by another."""
    tags = [
        {"ResourceType": kind, "Tags": [{"Key": "Name", "Value": kind}]}
        for kind in ("instance", "network-interface")
    ]
    [instance_id] = cloud.run(
        ClientToken="token", TagSpecifications=tags, Placement={"AvailabilityZone": "us-east-1b"}
    )
    cloud.found("launched", instance_id)
    [reservation] = cloud.call("DescribeInstances")["Reservations"]
    [one] = reservation["Instances"]
    [interface] = one["NetworkInterfaces"]
    [disk] = one["BlockDeviceMappings"]
    stamp = "2026-01-02T03:04:05.000Z"
    shown = {
        "architecture": one["Architecture"],
        "availability-zone": "us-east-1b",
        "availability-zone-id": "use1-az2",
        "block-device-mapping.attach-time": stamp,
        "block-device-mapping.delete-on-termination": "true",
        "block-device-mapping.device-name": disk["DeviceName"],
        "block-device-mapping.status": "attached",
        "block-device-mapping.volume-id": disk["Ebs"]["VolumeId"],
        "boot-mode": one["BootMode"],
        "capacity-reservation-specification.capacity-reservation-preference": "open",
        "client-token": "token",
        "current-instance-boot-mode": one["CurrentInstanceBootMode"],
        "ebs-optimized": "false",
        "ena-support": "true",
        "enclave-options.enabled": "false",
        "hibernation-options.configured": "false",
        "hypervisor": one["Hypervisor"],
        "image-id": one["ImageId"],
        "instance-id": instance_id,
        "instance-state-code": "16",
        "instance-state-name": "running",
        "instance-type": one["InstanceType"],
        "instance.group-id": one["SecurityGroups"][0]["GroupId"],
        "instance.group-name": one["SecurityGroups"][0]["GroupName"],
        "launch-index": "0",
        "launch-time": stamp,
        "maintenance-options.auto-recovery": "default",
        "metadata-options.http-endpoint": "enabled",
        "metadata-options.http-protocol-ipv4": "enabled",
        "metadata-options.http-protocol-ipv6": "disabled",
        "metadata-options.http-put-response-hop-limit": "1",
        "metadata-options.http-tokens": "optional",
        "metadata-options.instance-metadata-tags": "disabled",
        "metadata-options.state": "applied",
        "monitoring-state": "disabled",
        "network-interface.addresses.primary": "true",
        "network-interface.addresses.private-dns-name": interface["PrivateDnsName"],
        "network-interface.addresses.private-ip-address": interface["PrivateIpAddress"],
        "network-interface.attachment.attach-time": stamp,
        "network-interface.attachment.attachment-id": interface["Attachment"]["AttachmentId"],
        "network-interface.attachment.delete-on-termination": "true",
        "network-interface.attachment.device-index": "0",
        "network-interface.attachment.instance-id": instance_id,
        "network-interface.attachment.instance-owner-id": cloud.account_id,
        "network-interface.attachment.network-card-index": "0",
        "network-interface.attachment.status": "attached",
        "network-interface.availability-zone": "us-east-1b",
        "network-interface.group-id": interface["Groups"][0]["GroupId"],
        "network-interface.group-name": interface["Groups"][0]["GroupName"],
        "network-interface.mac-address": interface["MacAddress"],
        "network-interface.network-interface-id": interface["NetworkInterfaceId"],
        "network-interface.operator.managed": "false",
        "network-interface.owner-id": interface["OwnerId"],
        "network-interface.private-dns-name": interface["PrivateDnsName"],
        "network-interface.private-ip-address": interface["PrivateIpAddress"],
        "network-interface.requester-managed": "false",
        "network-interface.source-dest-check": "true",
        "network-interface.status": interface["Status"],
        "network-interface.subnet-id": interface["SubnetId"],
        "network-interface.tag-key": "Name",
        "network-interface.tag-value": "network-interface",
        "network-interface.vpc-id": interface["VpcId"],
        "network-performance-options.bandwidth-weighting": "default",
        "operator.managed": "false",
        "owner-id": reservation["OwnerId"],
        "platform-details": one["PlatformDetails"],
        "private-dns-name": one["PrivateDnsName"],
        "private-dns-name-options.enable-resource-name-dns-a-record": "false",
        "private-dns-name-options.enable-resource-name-dns-aaaa-record": "false",
        "private-dns-name-options.hostname-type": "ip-name",
        "private-ip-address": one["PrivateIpAddress"],
        "reservation-id": reservation["ReservationId"],
        "root-device-name": one["RootDeviceName"],
        "root-device-type": one["RootDeviceType"],
        "source-dest-check": "true",
        "subnet-id": one["SubnetId"],
        "tag-key": "Name",
        "tag:Name": "instance",
        "tenancy": one["Placement"]["Tenancy"],
        "usage-operation": one["UsageOperation"],
        "usage-operation-update-time": stamp,
        "virtualization-type": one["VirtualizationType"],
        "vpc-id": one["VpcId"],
    }
    for name, value in shown.items():
        assert matched(cloud, name, value) == [instance_id], name
        assert matched(cloud, name, "other", "0000") == [], name
    # key-name, network-interface.description, reason and the reasons' codes are not set here.
    unset = {"key-name", "network-interface.description", "platform", "reason"}
    unset |= {"state-reason-code", "state-reason-message"}
    for name in filters.FILTERS.keys() - shown.keys() - unset:
        assert filters.FILTERS[name] is never, name
        assert matched(cloud, name, "*") == [], name


def test_filters_find_what_is_set_only_at_times(cloud: Cloud) -> None:
    windows = cloud.image(platform="windows")
    [instance_id] = cloud.run(
        ImageId=windows, NetworkInterfaces=[{"DeviceIndex": 0, "Description": "first"}]
    )
    assert matched(cloud, "platform", "windows") == [instance_id]
    assert matched(cloud, "network-interface.description", "fir*") == [instance_id]
    assert matched(cloud, "state-reason-code", "pending") == [instance_id]
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    assert matched(cloud, "state-reason-code", "Client.*") == [instance_id]
    assert matched(cloud, "state-reason-message", "*User initiated*") == [instance_id]
    assert matched(cloud, "reason", "User initiated (2026-*") == [instance_id]
    cloud.found("removed", instance_id)
    assert matched(cloud, "instance-state-name", "terminated") == [instance_id]
    assert matched(cloud, "vpc-id", "vpc-*") == []


def test_chosen_options_are_found_in_place_of_the_defaults(cloud: Cloud) -> None:
    [instance_id] = cloud.run(
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 3},
        MaintenanceOptions={"AutoRecovery": "disabled"},
        PrivateDnsNameOptions={
            "HostnameType": "resource-name",
            "EnableResourceNameDnsARecord": True,
        },
        Monitoring={"Enabled": True},
    )
    for name, value in {
        "metadata-options.http-tokens": "required",
        "metadata-options.http-put-response-hop-limit": "3",
        "maintenance-options.auto-recovery": "disabled",
        "private-dns-name-options.hostname-type": "resource-name",
        "private-dns-name-options.enable-resource-name-dns-a-record": "true",
        "private-dns-name": f"{instance_id}.ec2.internal",
        "monitoring-state": "enabled",
    }.items():
        assert matched(cloud, name, value) == [instance_id], name


def test_filters_narrow_each_other_and_the_ids(cloud: Cloud) -> None:
    first, second = cloud.run(2)
    cloud.found("launched", first)
    running = {"Name": "instance-state-name", "Values": ["running"]}
    assert ids_of(cloud.seen(first, second, Filters=[running])) == [first]
    assert matched(cloud, "instance-state-name", "pending", "running") == [first, second]
    other = {"Name": "launch-index", "Values": ["1"]}
    assert cloud.seen(Filters=[running, other]) == []


def test_an_unknown_filter_is_refused(cloud: Cloud) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.seen(Filters=[{"Name": "instance-color", "Values": ["red"]}])
    assert caught.value.code == "InvalidParameterValue"
    assert caught.value.message == "The filter 'instance-color' is invalid"
