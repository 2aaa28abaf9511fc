"""RunInstances: what a launch writes, answers and wakes."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
from typing import Any

import pytest
import sqlalchemy as sa

from state import models
from state.store import Store
from tests.launches import GIB, NOW, Cloud
from translators.errors import Ec2Error
from translators.registry import ACTIONS
from translators.settings import Settings


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def subnet_in(cloud: Cloud, letter: str) -> models.Subnet:
    found = {row.zone[-1]: row for row in cloud.rows(models.Subnet)}
    made: models.Subnet = found[letter]
    return made


def test_a_launch_is_one_reservation_of_pending_instances(cloud: Cloud) -> None:
    answer = cloud.call("RunInstances", ImageId=cloud.image_id, MinCount=3, MaxCount=3)
    assert answer["ReservationId"].startswith("r-")
    assert answer["OwnerId"] == cloud.account_id
    assert [one["AmiLaunchIndex"] for one in answer["Instances"]] == [0, 1, 2]
    assert {one["State"]["Name"] for one in answer["Instances"]} == {"pending"}
    assert [row.id for row in cloud.rows(models.Reservation)] == [answer["ReservationId"]]


def test_what_a_launch_answers_is_what_describe_shows_next(cloud: Cloud) -> None:
    tags = [{"Key": "Name", "Value": "web"}, {"Key": "a", "Value": ""}]
    answer = cloud.call(
        "RunInstances",
        ImageId=cloud.image_id,
        MinCount=2,
        MaxCount=2,
        ClientToken="token",
        EbsOptimized=True,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    [described] = cloud.call("DescribeInstances")["Reservations"]
    assert described == answer


def test_the_intent_is_durable_and_the_hosts_are_woken(cloud: Cloud) -> None:
    cloud.run(2, Placement={"AvailabilityZone": "us-east-1b"})
    rows = cloud.rows(models.Instance)
    assert {(row.phase, row.generation, row.host_key) for row in rows} == {
        ("pending", 1, cloud.hosts["b"])
    }
    assert cloud.waken == {cloud.hosts["b"]}


def test_the_vm_is_as_the_type_and_the_image_say(cloud: Cloud) -> None:
    windows = cloud.image(platform="windows", generation=1, size_gib=30)
    [instance_id] = cloud.run(ImageId=windows, InstanceType="m5.large")
    row = cloud.instance(instance_id)
    assert (row.processors, row.memory_bytes) == (2, 8 * GIB)
    assert (row.platform, row.vm_generation) == ("windows", 1)
    [shown] = cloud.seen(instance_id)
    assert (shown["Platform"], shown["PlatformDetails"]) == ("windows", "Windows")
    assert shown["CurrentInstanceBootMode"] == "legacy-bios"
    [disk] = cloud.rows(models.Volume)
    assert (disk.size_gib, disk.state, disk.file_name) == (30, "creating", "root.vhdx")


def test_without_a_type_the_configured_default_is_taken(cloud: Cloud) -> None:
    assert cloud.seen(*cloud.run())[0]["InstanceType"] == "t3.micro"


def test_cpu_options_give_the_vm_fewer_processors(cloud: Cloud) -> None:
    [instance_id] = cloud.run(CpuOptions={"CoreCount": 1, "ThreadsPerCore": 1})
    assert cloud.instance(instance_id).processors == 1
    assert cloud.seen(instance_id)[0]["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 1}


def test_tags_go_to_what_they_are_for(cloud: Cloud) -> None:
    cloud.run(
        2,
        TagSpecifications=[
            {"ResourceType": kind, "Tags": [{"Key": "for", "Value": kind}]}
            for kind in ("instance", "volume", "network-interface")
        ],
    )
    tagged = {(tag.resource_type, tag.value) for tag in cloud.rows(models.Tag)}
    assert tagged == {(kind, kind) for kind in ("instance", "volume", "network-interface")}
    assert len(cloud.rows(models.Tag)) == 6


def test_the_public_key_outlives_its_pair(cloud: Cloud) -> None:
    def pair(session: Any) -> None:
        session.add(
            models.KeyPair(
                id="key-0123456789abcdef0",
                account_key=cloud.account_key,
                region="us-east-1",
                name="mine",
                type="ed25519",
                fingerprint="f",
                public_key="ssh-ed25519 AAAA mine",
                created_at=NOW,
            )
        )

    cloud.store.write(pair)
    [instance_id] = cloud.run(KeyName="mine")
    assert cloud.seen(instance_id)[0]["KeyName"] == "mine"
    assert cloud.instance(instance_id).options["PublicKey"] == "ssh-ed25519 AAAA mine"


def test_user_data_is_kept_decoded_whatever_breaks_its_lines(cloud: Cloud) -> None:
    plain = bytes(range(256)) * 64  # 16384 bytes, the most there may be
    [instance_id] = cloud.run(UserData=base64.encodebytes(plain).decode())
    assert cloud.instance(instance_id).user_data == plain


def test_what_changes_nothing_on_a_host_is_shown_as_chosen(cloud: Cloud) -> None:
    [instance_id] = cloud.run(
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        Monitoring={"Enabled": True},
        MaintenanceOptions={"AutoRecovery": "disabled"},
        CreditSpecification={"CpuCredits": "unlimited"},
        PrivateDnsNameOptions={"HostnameType": "resource-name"},
        InstanceInitiatedShutdownBehavior="terminate",
        DisableApiTermination=True,
        HibernationOptions={"Configured": False},
        EnclaveOptions={"Enabled": False},
        CapacityReservationSpecification={"CapacityReservationPreference": "none"},
        AdditionalInfo="x",
    )
    [shown] = cloud.seen(instance_id)
    assert shown["MetadataOptions"] == {
        "State": "pending",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
    }
    assert shown["Monitoring"] == {"State": "enabled"}
    assert shown["MaintenanceOptions"]["AutoRecovery"] == "disabled"
    assert shown["PrivateDnsName"] == f"{instance_id}.ec2.internal"
    row = cloud.instance(instance_id)
    assert (row.shutdown_behavior, row.disable_api_termination) == ("terminate", True)


# -- disks


def test_the_root_disk_may_be_larger_than_the_image(cloud: Cloud) -> None:
    [instance_id] = cloud.run(
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {"VolumeSize": 20, "VolumeType": "gp2", "DeleteOnTermination": False},
            },
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
            {"DeviceName": "/dev/sdc", "NoDevice": ""},
        ]
    )
    [disk] = cloud.rows(models.Volume)
    assert (disk.size_gib, disk.type, disk.iops, disk.throughput) == (20, "gp2", 100, None)
    assert disk.image_key is not None
    [mapping] = cloud.seen(instance_id)[0]["BlockDeviceMappings"]
    assert mapping["DeviceName"] == "/dev/sda1"
    assert mapping["Ebs"]["DeleteOnTermination"] is False


# -- networks


def test_an_interface_may_stand_for_subnet_and_groups(cloud: Cloud) -> None:
    subnet = subnet_in(cloud, "c")
    [group] = cloud.rows(models.SecurityGroup)
    [instance_id] = cloud.run(
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": subnet.id,
                "Groups": [group.id],
                "Description": "first",
                "PrivateIpAddress": "172.31.32.77",
            }
        ]
    )
    [shown] = cloud.seen(instance_id)
    assert (shown["SubnetId"], shown["PrivateIpAddress"]) == (subnet.id, "172.31.32.77")
    assert shown["SecurityGroups"] == [{"GroupId": group.id, "GroupName": "default"}]
    [interface] = shown["NetworkInterfaces"]
    assert interface["Description"] == "first"
    assert interface["Attachment"]["DeviceIndex"] == 0


def test_groups_may_be_named_in_the_default_vpc(cloud: Cloud) -> None:
    [shown] = cloud.seen(*cloud.run(SecurityGroups=["default"]))
    assert [group["GroupName"] for group in shown["SecurityGroups"]] == ["default"]


def test_a_zone_may_be_asked_for_by_its_id(cloud: Cloud) -> None:
    [shown] = cloud.seen(*cloud.run(Placement={"AvailabilityZoneId": "use1-az3"}))
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1c"


def test_an_empty_subnet_is_none(cloud: Cloud) -> None:
    [instance_id] = cloud.run(SubnetId="", Placement={"AvailabilityZone": "us-east-1b"})
    assert cloud.instance(instance_id).host_key == cloud.hosts["b"]


def test_an_address_chooses_its_subnet(cloud: Cloud) -> None:
    [shown] = cloud.seen(*cloud.run(PrivateIpAddress="172.31.33.7"))
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1c"
    assert shown["PrivateIpAddress"] == "172.31.33.7"


def test_addresses_and_macs_are_unique_on_a_network_across_accounts(cloud: Cloud) -> None:
    zone = {"AvailabilityZone": "us-east-1a"}
    cloud.run(5, Placement=zone)
    cloud.account_key, cloud.account_id = cloud.account("two")
    cloud.run(5, Placement=zone)
    rows = cloud.rows(models.NetworkInterface)
    assert len({row.account_key for row in rows}) == 2
    assert len({(row.network_key, row.private_ip) for row in rows}) == 10
    assert len({row.mac for row in rows}) == 10


def test_reserved_addresses_are_never_given_out(cloud: Cloud) -> None:
    key = cloud.networks["a"]
    cloud.update(models.Network, key, reserved=["172.31.0.5-172.31.0.20", "172.31.0.22"])
    cloud.run(4, Placement={"AvailabilityZone": "us-east-1a"})
    given = [row.private_ip for row in cloud.rows(models.NetworkInterface)]
    assert given == ["172.31.0.4", "172.31.0.21", "172.31.0.23", "172.31.0.24"]


def test_an_address_given_back_rests_until_the_others_were_used(cloud: Cloud) -> None:
    subnet = subnet_in(cloud, "a")
    cloud.update(models.Subnet, subnet.key, cidr="172.31.0.0/28")
    zone = {"AvailabilityZone": "us-east-1a"}
    first = cloud.run(2, Placement=zone)
    cloud.call("TerminateInstances", InstanceIds=first)
    cloud.found("removed", *first)
    given = [one["PrivateIpAddress"] for one in cloud.seen(*cloud.run(11, Placement=zone))]
    assert given[0] == "172.31.0.6"
    assert set(given) == {str(ipaddress.IPv4Address("172.31.0.4") + number) for number in range(11)}


def test_a_full_subnet_gives_what_it_has_or_refuses(cloud: Cloud) -> None:
    subnet = subnet_in(cloud, "a")
    cloud.update(models.Subnet, subnet.key, cidr="172.31.0.0/28")
    asked = {"ImageId": cloud.image_id, "SubnetId": subnet.id}
    answer = cloud.call("RunInstances", MinCount=1, MaxCount=15, **asked)
    assert len(answer["Instances"]) == 11
    with pytest.raises(Ec2Error) as caught:
        cloud.call("RunInstances", MinCount=1, MaxCount=1, **asked)
    assert caught.value.code == "InsufficientFreeAddressesInSubnet"


def test_where_no_network_is_configured_a_launch_says_so(cloud: Cloud) -> None:
    cloud.store.write(lambda session: session.execute(sa.delete(models.Subnet)))
    with pytest.raises(Ec2Error) as caught:
        cloud.run()
    assert caught.value.code == "MissingInput"
    assert caught.value.message.startswith("No subnets found for the default VPC 'vpc-")


# -- again


def replayed(cloud: Cloud, answer: dict[str, Any]) -> Any:
    replay = ACTIONS["ec2", "RunInstances"].replay
    assert replay is not None
    with cloud.store.read() as session:
        return replay(cloud.context(session), answer)


def test_a_replay_shows_the_instances_as_they_are_now(cloud: Cloud) -> None:
    answer = cloud.call("RunInstances", ImageId=cloud.image_id, MinCount=2, MaxCount=2)
    ids = [one["InstanceId"] for one in answer["Instances"]]
    cloud.found("launched", *ids)
    again = replayed(cloud, answer)
    assert again["ReservationId"] == answer["ReservationId"]
    assert [(one["InstanceId"], one["State"]["Name"]) for one in again["Instances"]] == [
        (ids[0], "running"),
        (ids[1], "running"),
    ]


def test_a_replay_of_what_is_terminated_is_refused(cloud: Cloud) -> None:
    answer = cloud.call("RunInstances", ImageId=cloud.image_id, MinCount=1, MaxCount=1)
    instance_id = answer["Instances"][0]["InstanceId"]
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    cloud.found("removed", instance_id)
    with pytest.raises(Ec2Error, match="associated with a terminated instance") as caught:
        replayed(cloud, answer)
    assert caught.value.code == "IdempotentInstanceTerminated"


def test_a_refused_launch_leaves_nothing(cloud: Cloud) -> None:
    cloud.settings = dataclasses.replace(cloud.settings, instance_limit=2)
    cloud.run(2)
    before = {model: len(cloud.rows(model)) for model in (models.Instance, models.Reservation)}
    with pytest.raises(Ec2Error) as caught:
        cloud.run()
    assert caught.value.code == "InstanceLimitExceeded"
    assert {model: len(cloud.rows(model)) for model in before} == before
