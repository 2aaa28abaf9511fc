"""A state that was put back from a copy: it destroys nothing, doubles nothing, and learns the rest.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md, whose table is walked here.
"""

from __future__ import annotations

import base64
import copy as copying
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ec2gw.lab.console import Console
from state import models, recovering
from state.store import Store
from tests.faults.rig import Rig
from tests.faults.test_moves import carry
from translators.hyperv import vm

A, B, C = "lab-a", "lab-b", "lab-c"
ZONE = {"Placement": {"AvailabilityZone": "us-east-1a"}}


class Restored(Rig):
    """A rig whose state can be copied and put back; hosts and their journals go on."""

    def copy(self) -> Path:
        """Copy the state as it is, as a snapshot of the gateway's own machine has it."""
        target = self.data / "copy.sqlite3"
        with (
            closing(sqlite3.connect(self.store.path)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
        return target

    def put_back(self, copy: Path, *, marked: bool = True) -> None:
        """End the engine, put the copy in the state's place, start on it as `serve` does."""
        self.end()
        self.store.close()
        for ending in ("-wal", "-shm"):
            Path(f"{self.store.path}{ending}").unlink(missing_ok=True)
        shutil.copy(copy, self.store.path)
        self.store = Store(self.store.path)
        if marked:
            self.store.write(recovering.begin)
        self.store.write(recovering.doubt)

    def end(self) -> None:
        self.stop()
        (self.data / "run" / "engine.ready").unlink(missing_ok=True)

    def restart(self, copy: Path, *, marked: bool = True) -> None:
        self.put_back(copy, marked=marked)
        self.start()
        self.recovered()

    def recovers(self) -> bool:
        with self.store.read() as session:
            return recovering.is_on(session)

    def recovered(self, seconds: float = 30) -> None:
        self.until(lambda: not self.recovers(), "the recovery ends", seconds)

    def launched(self, count: int = 1, **request: Any) -> list[str]:
        ids = self.launch(count, **{**ZONE, **request})
        self.wait("running", *ids)
        return ids

    def done(self, action: str, phase: Any, *ids: str, **request: Any) -> None:
        self.ask(action, InstanceIds=list(ids), **request)
        self.wait(phase, *ids)

    def paths(self) -> list[str]:
        return [path for host in self.world.snapshot().values() for path in host["files"]]

    def ids(self) -> list[str]:
        return [row.id for row in self.rows(models.Instance)]

    def strays(self) -> dict[str, str]:
        return {one["name"]: one["why"] for row in self.rows(models.Host) for one in row.strays}

    def address(self, instance: str) -> str:
        (found,) = self.seen(instance)
        return str(found["PrivateIpAddress"])

    def vm(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.vms() if one["name"] == name]
        return found


@pytest.fixture
def gateway(store: Store, tmp_path: Path) -> Iterator[Restored]:
    made = Restored(store, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.close()
        made.store.close()


SAME = (
    "ImageId",
    "InstanceType",
    "PrivateIpAddress",
    "SubnetId",
    "VpcId",
    "KeyName",
    "LaunchTime",
    "AmiLaunchIndex",
    "RootDeviceName",
    "SecurityGroups",
    "Architecture",
)


# -- what the copy does not know


def test_instances_that_the_copy_does_not_know_are_adopted_and_can_be_terminated(
    gateway: Restored,
) -> None:
    old = gateway.launched()
    copy = gateway.copy()
    young = gateway.launched(2)
    gateway.done("StopInstances", "stopped", young[1], Force=True)
    before = {one["InstanceId"]: one for one in gateway.seen(*young)}
    gateway.restart(copy)
    for shown in gateway.seen(*young):
        was = before[shown["InstanceId"]]
        assert {name: shown.get(name) for name in SAME} == {name: was.get(name) for name in SAME}
        assert shown["State"] == was["State"]
        (now,), (then,) = shown["NetworkInterfaces"], was["NetworkInterfaces"]
        assert now["NetworkInterfaceId"] == then["NetworkInterfaceId"]
        assert now["MacAddress"] == then["MacAddress"]
    assert len({gateway.address(one) for one in [*old, *young]}) == 3
    gateway.done("StartInstances", "running", young[1])
    gateway.assert_exactly([*old, *young])
    gateway.done("TerminateInstances", "terminated", *old, *young)
    gateway.assert_exactly([])


def test_an_adopted_windows_guest_s_password_is_told_again(gateway: Restored) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    gateway.ask("ImportKeyPair", KeyName="windows", PublicKeyMaterial=public)
    image_id = gateway.image(
        name="windows", platform="windows", file_name="ec2gw-lab-windows.vhdx", size_gib=30
    )
    copy = gateway.copy()
    [young] = gateway.launched(ImageId=image_id, KeyName="windows")

    def password() -> bytes:
        sealed = gateway.ask("GetPasswordData", InstanceId=young)["PasswordData"]
        return private.decrypt(base64.b64decode(sealed), padding.PKCS1v15())

    before = password()
    gateway.restart(copy)
    assert password() == before


def test_no_address_is_given_twice_after_a_restore(gateway: Restored) -> None:
    copy = gateway.copy()
    young = gateway.launched(3)
    taken = {gateway.address(one) for one in young}
    gateway.restart(copy)
    more = gateway.launched(3)
    assert not taken & {gateway.address(one) for one in more}
    gateway.assert_exactly([*young, *more])


def test_an_address_goes_to_the_instance_that_has_a_vm(gateway: Restored) -> None:
    """The copy's holder ended since, and gave it to another one."""
    (old,) = gateway.launched()
    address = gateway.address(old)
    copy = gateway.copy()
    gateway.done("TerminateInstances", "terminated", old)
    (young,) = gateway.launched(PrivateIpAddress=address)
    gateway.restart(copy)
    assert gateway.instance(old).phase == "terminated"
    assert gateway.address(young) == address
    gateway.assert_exactly([young])


@pytest.mark.parametrize("phase", ["pending", "shutting-down"])
def test_a_wish_without_a_vm_gives_its_address_to_the_one_that_has_it(
    gateway: Restored, phase: str
) -> None:
    (old,) = gateway.launched() if phase == "shutting-down" else [""]
    gateway.end()
    if old:
        gateway.ask("TerminateInstances", InstanceIds=[old])
    else:
        (old,) = gateway.launch(1, **ZONE)
    address = gateway.address(old) if phase == "pending" else _address(gateway, old)
    copy = gateway.copy()
    if phase == "pending":
        gateway.ask("TerminateInstances", InstanceIds=[old])
    gateway.start()
    gateway.wait("terminated", old)
    (young,) = gateway.launched(PrivateIpAddress=address)
    gateway.restart(copy)
    gateway.wait("terminated", old)
    assert gateway.address(young) == address
    gateway.assert_exactly([young])


def _address(gateway: Restored, instance: str) -> str:
    (row,) = [
        row
        for row in gateway.rows(models.NetworkInterface)
        if row.instance_key == gateway.instance(instance).key
    ]
    return str(row.private_ip)


def test_what_the_notes_name_and_the_copy_lacks_is_made_again(gateway: Restored) -> None:
    """An account, its networks, and an image are younger than the copy too."""
    copy = gateway.copy()
    gateway.account_key, gateway.account_id = gateway.account("two")
    gateway.image_id = gateway.image(file_name="ec2gw-lab-linux.vhdx", size_gib=8)
    (young,) = gateway.launched()
    address = gateway.address(young)
    gateway.restart(copy)
    with gateway.store.read() as session:
        account = session.scalars(
            sa.select(models.Account).where(models.Account.id == gateway.account_id)
        ).one()
        gateway.account_key = account.key
    (shown,) = gateway.seen(young)
    assert shown["PrivateIpAddress"] == address
    assert shown["ImageId"] == gateway.image_id
    assert shown["SecurityGroups"]
    gateway.done("TerminateInstances", "terminated", young)
    gateway.assert_exactly([])


# -- what the copy thinks that it knows


def test_an_instance_that_was_terminated_since_the_copy_is_not_made_again(
    gateway: Restored,
) -> None:
    old, kept = gateway.launched(2)
    copy = gateway.copy()
    gateway.done("TerminateInstances", "terminated", old)
    gateway.restart(copy)
    assert gateway.instance(old).phase == "terminated"
    assert gateway.instance(old).state_reason_code == "Server.InternalError"
    assert gateway.instance(kept).phase == "running"
    gateway.assert_exactly([kept])


def test_a_launch_of_the_copy_that_is_over_is_not_made_again(gateway: Restored) -> None:
    gateway.end()
    over, runs, stopped = gateway.launch(3, **ZONE)
    copy = gateway.copy()
    gateway.start()
    gateway.wait("running", over, runs, stopped)
    gateway.done("TerminateInstances", "terminated", over)
    gateway.done("StopInstances", "stopped", stopped, Force=True)
    gateway.restart(copy)
    assert gateway.instance(over).phase == "terminated"
    gateway.wait("running", runs)
    assert gateway.instance(stopped).phase == "stopped"
    assert {one["name"]: one["state"] for one in gateway.vms()} == {
        runs: "Running",
        stopped: "Off",
    }


def test_a_launch_of_the_copy_that_no_host_heard_of_goes_on(gateway: Restored) -> None:
    gateway.end()
    ids = gateway.launch(2, **ZONE)
    gateway.put_back(gateway.copy())
    gateway.start()
    gateway.recovered()
    gateway.wait("running", *ids)
    gateway.assert_exactly(ids)


def test_wishes_of_the_copy_that_are_outdated_give_way_to_what_the_hosts_show(
    gateway: Restored,
) -> None:
    starts, stops, reboots = gateway.launched(3)
    gateway.done("StopInstances", "stopped", starts, Force=True)
    gateway.end()
    gateway.ask("StartInstances", InstanceIds=[starts])
    gateway.ask("StopInstances", InstanceIds=[stops], Force=True)
    gateway.ask("RebootInstances", InstanceIds=[reboots])
    copy = gateway.copy()
    gateway.start()
    gateway.wait("running", starts, reboots)
    gateway.wait("stopped", stops)
    gateway.done("StopInstances", "stopped", starts, Force=True)
    gateway.done("StartInstances", "running", stops)
    gateway.until(lambda: gateway.vm(reboots)["state"] == "Running", "it is up again")
    before = _started(gateway)
    gateway.restart(copy)
    assert gateway.instance(starts).phase == "stopped"
    assert gateway.instance(stops).phase == "running"
    assert gateway.instance(reboots).phase == "running"
    states = {one["name"]: one["state"] for one in gateway.vms()}
    assert states == {starts: "Off", stops: "Running", reboots: "Running"}
    assert _started(gateway) == before  # nothing was cut off, started or rebooted
    # And what is asked for from now on is newer than whatever the host has heard.
    gateway.done("StartInstances", "running", starts)
    gateway.done("StopInstances", "stopped", stops, Force=True)


def _started(gateway: Restored) -> dict[str, float | None]:
    with gateway.world.changing(A) as session:
        return {one.name: one.started_at for one in session.vms()}


def test_a_termination_that_the_copy_knows_of_goes_on(gateway: Restored) -> None:
    (old,) = gateway.launched()
    gateway.end()
    gateway.ask("TerminateInstances", InstanceIds=[old])
    gateway.put_back(gateway.copy())
    assert [one["name"] for one in gateway.vms()] == [old]
    gateway.start()
    gateway.wait("terminated", old)
    gateway.assert_exactly([])


def test_what_rests_is_shown_as_its_vm_is_and_nothing_is_started(gateway: Restored) -> None:
    runs, off = gateway.launched(2)
    gateway.done("StopInstances", "stopped", off, Force=True)
    copy = gateway.copy()
    gateway.done("StopInstances", "stopped", runs, Force=True)
    gateway.done("StartInstances", "running", off)
    gateway.end()
    Console(gateway.world).reboot_host(A)
    gateway.until(lambda: gateway.vm(off)["state"] == "Running", "its host started it again")
    gateway.restart(copy)
    assert gateway.instance(runs).phase == "stopped"
    assert gateway.instance(off).phase == "running"
    assert gateway.vm(runs)["state"] == "Off"


def test_ports_are_held_to_the_rules_that_the_copy_knows(gateway: Restored) -> None:
    made = gateway.ask("CreateSecurityGroup", GroupName="web", Description="web")["GroupId"]
    allow(gateway, made, 443)
    (one,) = gateway.launched(SecurityGroupIds=[made])
    own = gateway.address(one)

    def open_ports() -> list[int]:
        console = Console(gateway.world)
        asked = ("Inbound", 6, own, "203.0.113.7")
        return [port for port in (80, 443) if console.would_pass(A, one, *asked, port)]

    gateway.until(lambda: open_ports() == [443], "it is behind its group")
    copy = gateway.copy()
    allow(gateway, made, 80)
    gateway.until(lambda: open_ports() == [80, 443], "more is let in")
    gateway.restart(copy)
    gateway.until(lambda: open_ports() == [443], "what the copy does not know is not let in")


def allow(gateway: Restored, group_id: str, port: int) -> None:
    ranges = [{"CidrIp": "0.0.0.0/0"}]
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}
    gateway.ask("AuthorizeSecurityGroupIngress", GroupId=group_id, IpPermissions=[rule])


def test_a_guest_that_went_off_since_the_copy_is_not_terminated_for_it(gateway: Restored) -> None:
    (one,) = gateway.launched(InstanceInitiatedShutdownBehavior="terminate")
    gateway.end()
    Console(gateway.world).guest_shuts_down(A, one)
    gateway.until(lambda: gateway.vm(one)["state"] == "Off", "its guest is off")
    gateway.put_back(gateway.copy())
    gateway.start()
    gateway.recovered()
    assert gateway.instance(one).phase == "stopped"


def test_a_vm_that_moved_since_the_copy_is_followed(gateway: Restored) -> None:
    gateway.update(models.Host, gateway.hosts["b"], zone_letter="a", state="draining")
    (one,) = gateway.launched()
    copy = gateway.copy()
    gateway.end()
    carry(gateway, one)
    gateway.restart(copy)
    assert gateway.instance(one).phase == "running"
    assert gateway.instance(one).host_key == gateway.hosts["b"]
    gateway.done("TerminateInstances", "terminated", one)
    gateway.assert_exactly([])


def test_a_launch_of_the_copy_that_was_cut_short_is_made_anew(gateway: Restored) -> None:
    gateway.end()
    (one,) = gateway.launch(1, **ZONE)
    copy = gateway.copy()
    gateway.start()
    gateway.wait("running", one)
    gateway.end()
    Console(gateway.world).turn_off(A, one)
    Console(gateway.world).edit_notes(A, one, "")  # they come last
    gateway.put_back(copy)
    gateway.start()
    gateway.wait("running", one)
    gateway.assert_exactly([one])


def test_a_copy_may_be_put_back_again_and_again(gateway: Restored) -> None:
    (old,) = gateway.launched()
    copy = gateway.copy()
    (young,) = gateway.launched()
    for _ in range(2):
        gateway.restart(copy)
        assert gateway.instance(young).phase == "running"
        for phase, action in (("stopped", "StopInstances"), ("running", "StartInstances")):
            more = {"Force": True} if phase == "stopped" else {}
            gateway.done(action, phase, old, young, **more)
    gateway.assert_exactly([old, young])


def test_a_disk_that_another_instance_has_by_now_is_not_deleted(gateway: Restored) -> None:
    """In the copy it goes with an instance that was terminated since."""
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": True}}
    (old,) = gateway.launched(BlockDeviceMappings=[mapping])
    (disk,) = [row.id for row in gateway.rows(models.Volume) if row.device == "/dev/sdf"]
    copy = gateway.copy()

    def volume() -> models.Volume:
        rows: list[models.Volume] = gateway.rows(models.Volume)
        return next(row for row in rows if row.id == disk)

    gateway.ask("DetachVolume", VolumeId=disk)
    gateway.until(lambda: volume().phase == "available", "it is detached")
    (young,) = gateway.launched()
    gateway.ask("AttachVolume", VolumeId=disk, InstanceId=young, Device="/dev/sdf")
    gateway.until(lambda: volume().phase == "in-use", "it is attached")
    gateway.done("TerminateInstances", "terminated", old)
    gateway.done("StopInstances", "stopped", young, Force=True)
    file = next(path for path in gateway.paths() if disk in path)
    gateway.restart(copy)
    assert gateway.instance(old).phase == "terminated"
    gateway.done("StartInstances", "running", young)
    assert file in gateway.paths()
    assert volume().phase == "available"


# -- how it is noticed


def test_a_copy_that_nobody_marked_is_noticed_by_what_hosts_were_told(gateway: Restored) -> None:
    copy = gateway.copy()
    (young,) = gateway.launched()
    gateway.done("TerminateInstances", "terminated", young)  # no VM tells of it
    gateway.until(lambda: _beat(gateway) > 0, "hosts are told")
    gateway.put_back(copy, marked=False)
    gateway.start()
    gateway.recovered()
    assert _beat(gateway) > 0
    assert not gateway.strays()


def _beat(gateway: Restored) -> int:
    with gateway.store.read() as session:
        return recovering.beat(session)


def test_a_copy_that_nobody_marked_is_noticed_by_a_vm_that_it_does_not_know(
    gateway: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ec2gw.engine.recovery.tell_beat", lambda *_: None)
    copy = gateway.copy()
    (young,) = gateway.launched()
    epochs = {row.name: row.epoch for row in gateway.rows(models.Host)}
    gateway.put_back(copy, marked=False)
    for row in gateway.rows(models.Host):  # as after a snapshot without any restart since
        gateway.update(models.Host, row.key, epoch=epochs[row.name])
    gateway.start()
    gateway.until(lambda: young in gateway.ids(), "it is adopted")
    assert gateway.instance(young).phase == "running"


def test_no_address_is_given_out_before_a_host_has_confirmed_the_state(gateway: Restored) -> None:
    for faults in gateway.laboratory.faults.values():
        faults.go_down()
    gateway.put_back(gateway.copy(), marked=False)
    with pytest.raises(Exception, match="Unavailable"):
        gateway.launch(1, **ZONE)
    for faults in gateway.laboratory.faults.values():
        faults.go_up()
    gateway.start()
    gateway.launched()


# -- while it lasts


def test_nothing_changes_while_a_host_was_not_looked_at(gateway: Restored) -> None:
    (old,) = gateway.launched()
    gateway.end()
    gateway.ask("TerminateInstances", InstanceIds=[old])
    copy = gateway.copy()
    gateway.laboratory.faults[C].go_down()
    gateway.put_back(copy)
    gateway.start()
    gateway.until(
        lambda: [row.name for row in gateway.rows(models.Host) if row.recovering] == ["host-c"],
        "only one is waited for",
    )
    assert gateway.recovers()
    assert gateway.instance(old).phase == "shutting-down"
    assert gateway.vm(old)["state"] == "Running"
    assert gateway.seen(old) != []
    gateway.laboratory.faults[C].go_up()
    gateway.wait("terminated", old)
    assert not gateway.recovers()


def test_a_host_that_is_removed_is_not_waited_for(gateway: Restored) -> None:
    gateway.laboratory.faults[C].go_down()
    copy = gateway.copy()
    gateway.put_back(copy)
    gateway.start()
    gateway.until(
        lambda: [row.name for row in gateway.rows(models.Host) if row.recovering] == ["host-c"],
        "only one is waited for",
    )
    gateway.update(models.Host, gateway.hosts["c"], state="removed")
    gateway.recovered()


# -- what cannot be adopted


def test_what_cannot_be_known_again_whole_is_told_counted_and_left_alone(
    gateway: Restored,
) -> None:
    (old,) = gateway.launched()
    copy = gateway.copy()
    early, foreign, nowhere, garbled, twice = gateway.launched(5)
    console = Console(gateway.world)
    taken = {gateway.address(early)}
    console.set_addresses(A, early, *taken)
    card = json.loads(gateway.vm(nowhere)["notes"])
    deployment = card["ec2gw"]
    console.edit_notes(A, early, vm.notes(deployment, early))
    console.edit_notes(A, foreign, vm.notes("0" * 16, foreign))
    console.edit_notes(A, nowhere, json.dumps({**card, "address": "203.0.113.7"}))
    console.edit_notes(A, garbled, json.dumps({**card, "instance": garbled, "size": "8"}))
    shared = {**json.loads(gateway.vm(twice)["notes"]), "address": gateway.address(old)}
    console.edit_notes(A, twice, json.dumps(shared))
    before = [(one["id"], one["state"], one["notes"]) for one in gateway.vms()]
    gateway.restart(copy)
    why = gateway.strays()
    assert why.keys() == {early, nowhere, garbled, twice}
    assert "early release" in why[early]
    assert "early release" in why[garbled]
    assert "203.0.113.7 is not in its subnet" in why[nowhere]
    assert f"{gateway.address(old)}, meets eni-" in why[twice]
    gateway.until(lambda: _foreign(gateway) == 5, "all are counted")
    gateway.until(lambda: not _held(gateway).isdisjoint(taken), "its guest told its address")
    more = gateway.launched(4)
    assert not taken & {gateway.address(one) for one in more}
    gateway.done("TerminateInstances", "terminated", *more)
    assert [(one["id"], one["state"], one["notes"]) for one in gateway.vms()] == before
    alive = [row.id for row in gateway.rows(models.Instance) if row.phase != "terminated"]
    assert alive == [old]
    assert not gateway.recovers()


def _held(gateway: Restored) -> set[str]:
    hosts = gateway.rows(models.Host)
    return {address for row in hosts for one in row.strays for address in one["addresses"]}


def _foreign(gateway: Restored) -> int:
    return max(int(row.foreign_vms) for row in gateway.rows(models.Host))


def test_of_a_replica_the_vm_that_runs_is_adopted(gateway: Restored) -> None:
    copy = gateway.copy()
    (young,) = gateway.launched()
    with gateway.world.changing(A) as session:
        (found,) = [one for one in session.vms() if one.name == young]
        replica = copying.deepcopy(found)
    with gateway.world.changing(B) as session:
        replica.state = "Off"
        session.put_vm(replica)
    gateway.restart(copy)
    assert gateway.instance(young).phase == "running"
    assert gateway.instance(young).host_key == gateway.hosts["a"]
