"""Rules of security groups that change, cut at every place, each process in turn.

A rule is added, the instance put into another group and back, the rule taken away; after each cut
the process is started again until all is quiet. At every moment the laboratory's world is held
against two sentences: no connected port is without its denies, and what is let through before and
after passes meanwhile.

EC2GW_STOP_EVERY=N cuts at every N-th place only (default 12).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.lab.console import Console
from tests.stop_points.test_cuts import EVERY, IMAGE, answered, rest
from tests.stop_points.trio import Trio
from translators.hyperv import acl

HOST, ZONE = "lab-a", "us-east-1a"
OUTSIDE, TCP = "203.0.113.7", 6
KEPT, ADDED, OTHER = 22, 80, 3389
DONE = ("InvalidPermission.Duplicate", "InvalidPermission.NotFound")
"""What is answered to a change that was carried out, and whose answer was lost."""


@dataclass(frozen=True)
class Subject:
    """An instance with a group, and another group."""

    trio: Trio
    instance_id: str
    address: str
    interface: str
    group: str
    other: str

    def lets(self, port: int) -> bool:
        return Console(self.trio.world).would_pass(
            HOST, self.instance_id, "Inbound", TCP, self.address, OUTSIDE, port, 50000
        )

    def ask(self, action: str, **request: Any) -> None:
        try:
            answered(self.trio, lambda: getattr(self.trio.ec2, action)(**request))
        except ClientError as error:
            if error.response["Error"]["Code"] not in DONE:
                raise

    def until(self, holds: Callable[[], bool], what: str) -> None:
        def seen() -> bool:
            assert unguarded(self.trio) == [], what
            assert self.lets(KEPT), what
            assert not self.lets(1), what
            return holds()

        self.trio.until(seen, what)


def unguarded(trio: Trio) -> list[str]:
    """Machines with a connected adapter that lacks one of the denies."""
    wanted = {(one.direction, one.remote) for one in acl.DENY}
    with trio.world.reading(HOST) as session:
        return [
            machine.name
            for machine in session.vms()
            for adapter in machine.nics
            if adapter.switch is not None
            and not wanted
            <= {
                (one.direction, one.remote_address)
                for one in adapter.acls
                if one.action == "Deny" and one.weight in acl.DENIES
            }
        ]


def tcp(*ports: int) -> list[dict[str, Any]]:
    ranges = [{"CidrIp": "0.0.0.0/0"}]
    return [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}
        for port in ports
    ]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    trio = Trio(tmp_path_factory.mktemp("trio"))
    try:
        yield prepare(trio)
    finally:
        trio.close()


def prepare(trio: Trio) -> Subject:
    ec2 = trio.ec2
    group = ec2.create_security_group(GroupName="web", Description="web")["GroupId"]
    other = ec2.create_security_group(GroupName="other", Description="other")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=tcp(KEPT, OTHER))
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=tcp(KEPT))
    [one] = ec2.run_instances(
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        SecurityGroupIds=[group],
        Placement={"AvailabilityZone": ZONE},
    )["Instances"]
    rest(trio, [one["InstanceId"]], "running")
    return Subject(
        trio,
        one["InstanceId"],
        one["PrivateIpAddress"],
        one["NetworkInterfaces"][0]["NetworkInterfaceId"],
        group,
        other,
    )


def change(subject: Subject, run: int) -> None:
    """One run, which ends as it began."""
    subject.ask("authorize_security_group_ingress", GroupId=subject.group, IpPermissions=tcp(ADDED))
    subject.until(lambda: subject.lets(ADDED), "one more is let in")
    for group, port, lost in (
        (subject.other, OTHER, ADDED),
        (subject.group, ADDED, OTHER),
    ):
        subject.ask(
            "modify_network_interface_attribute",
            NetworkInterfaceId=subject.interface,
            Groups=[group],
        )
        subject.until(
            lambda new=port, old=lost: subject.lets(new) and not subject.lets(old),  # type: ignore[misc]
            "it is in the other group",
        )
    subject.ask("revoke_security_group_ingress", GroupId=subject.group, IpPermissions=tcp(ADDED))
    subject.until(lambda: not subject.lets(ADDED), "one less is let in")


@pytest.mark.stop_points
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("process", ["api", "engine", "lab"])
def test_no_cut_opens_a_port_or_closes_what_stays(subject: Subject, process: str) -> None:
    trio = subject.trio
    base = {"api": 700_000, "engine": 800_000, "lab": 900_000}[process]
    trio.plan(base, "none", 0)
    change(subject, base)
    cuts, whole = 0, 0
    for run in itertools.count(base + 1):
        trio.plan(run, process, 1 + EVERY * (cuts + whole))
        change(subject, run)
        if trio.cut(run) is not None:
            cuts += 1
            continue
        whole += 1
        if whole == 2:
            break
    assert cuts > 0
    assert trio.deaths >= cuts
    print(f"{process}: cut at {cuts} places, never open, never shut")
