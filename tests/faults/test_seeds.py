"""The disc, the identity and the COM port of a VM, from its launch to its end, on the laboratory.

Source: docs/guests.md, "On the host".
"""

from __future__ import annotations

import base64
import dataclasses
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from ec2gw.lab.console import Console
from ec2gw.lab.world import model
from state import guests, models
from state.store import Store
from tests.faults.rig import SETTINGS, Rig, rig
from tests.faults.test_recovery import Restored
from tests.faults.test_volumes import HOST, ZONE, attach, rest, running
from translators.guests import identity
from translators.settings import Guest

BARE_AFTER = dataclasses.replace(SETTINGS, guest=Guest(eject_seed_after="first-heartbeat"))
AT_ONCE = dataclasses.replace(
    SETTINGS, guest=Guest(eject_seed_after="first-heartbeat", bare_seed=False)
)
_SET = "Hyper-V\\Set-VMDvdDrive"


@pytest.fixture
def at_once(store: Store, tmp_path: Path) -> Iterator[Rig]:
    """A started rig whose discs go when their guests first answer."""
    with rig(store, tmp_path, AT_ONCE) as made:
        made.start()
        yield made


def path(instance_id: str) -> str:
    return f"C:\\ec2gw\\instances\\{instance_id}\\seed.iso"


def vm(gateway: Rig, instance_id: str, host: str = HOST) -> model.Vm:
    with gateway.world.reading(host) as session:
        [found] = [one for one in session.vms() if one.name == instance_id]
        return found


def content(gateway: Rig, instance_id: str) -> bytes | None:
    with gateway.world.reading(HOST) as session:
        at = path(instance_id)
        return session.content(at) if session.file(at) else None


def read(gateway: Rig, instance_id: str, name: str) -> bytes:
    """A file of the disc, by the name that Linux sees."""
    whole = content(gateway, instance_id)
    assert whole is not None
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(whole))
    found = io.BytesIO()
    iso.get_file_from_iso_fp(found, rr_path=f"/{name}")
    iso.close()
    return found.getvalue()


def phase(gateway: Rig, instance_id: str) -> guests.SeedPhase | None:
    key = gateway.instance(instance_id).key
    rows = [one for one in gateway.rows(models.Seed) if one.instance_key == key]
    return rows[0].phase if rows else None


def is_gone(gateway: Rig, instance_id: str) -> None:
    gateway.until(lambda: phase(gateway, instance_id) == "gone", "the disc is gone")
    assert content(gateway, instance_id) is None
    assert [dvd.path for dvd in vm(gateway, instance_id).dvds] == [None]


def stop(gateway: Rig, instance_id: str) -> None:
    gateway.ask("StopInstances", InstanceIds=[instance_id], Force=True)
    gateway.wait("stopped", instance_id)


def start(gateway: Rig, instance_id: str) -> None:
    gateway.ask("StartInstances", InstanceIds=[instance_id])
    gateway.wait("running", instance_id)


def change(gateway: Rig, instance_id: str, data: bytes) -> None:
    gateway.ask("ModifyInstanceAttribute", InstanceId=instance_id, UserData={"Value": data})


def user_data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("generation", [1, 2])
def test_a_guest_finds_its_disc_its_identity_and_its_serial_port(
    gateway: Rig, generation: int
) -> None:
    for image in gateway.rows(models.Image):
        gateway.update(models.Image, image.key, generation=generation)
    one = running(gateway, UserData=user_data("#!/bin/sh\necho hello\n"))
    made = vm(gateway, one)
    place = ("IDE", 1, 0) if generation == 1 else ("SCSI", 0, 63)
    assert [(dvd.controller_type, dvd.number, dvd.location, dvd.path) for dvd in made.dvds] == [
        (*place, path(one))
    ]
    assert read(gateway, one, "user-data") == b"#!/bin/sh\necho hello\n"
    assert one.encode() in read(gateway, one, "meta-data")
    uuid = identity.uuid(one)
    assert made.bios_guid == f"{{{uuid.upper()}}}"
    assert (made.serial_number, made.asset_tag) == (uuid, "ec2gw")
    assert made.com_ports == [f"\\\\.\\pipe\\{one}", ""]
    if generation == 2:
        assert made.boot_order[0] == "SCSI 0 0"
    else:
        assert made.startup_order[0] == "IDE"


def test_a_disc_goes_after_the_guest_has_answered(at_once: Rig) -> None:
    one = running(at_once)
    is_gone(at_once, one)
    [row] = at_once.rows(models.Seed)
    assert row.answered_at is not None
    # The next boots have none, and the drive that was left is no hindrance.
    stop(at_once, one)
    start(at_once, one)
    is_gone(at_once, one)


def test_a_bare_disc_takes_the_place_of_an_ejected_one_and_goes_with_the_instance(
    store: Store, tmp_path: Path
) -> None:
    with rig(store, tmp_path, BARE_AFTER) as made:
        made.start()
        kept: dict[str, Any] = {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}
        one = running(made, UserData=user_data("#!secret"), BlockDeviceMappings=[kept])
        made.until(lambda: phase(made, one) == "gone", "the disc is gone")
        assert content(made, one) is None
        [dvd] = vm(made, one).dvds
        assert dvd.path is not None
        assert dvd.path.endswith(f"\\{one}\\bare.iso")
        with made.world.reading(HOST) as session:
            left = session.content(dvd.path)
        assert b"#!secret" not in left
        assert one.encode() in left
        stop(made, one)
        change(made, one, b"#!second")
        start(made, one)
        made.until(lambda: phase(made, one) == "gone", "the second is gone")
        assert [dvd.path for dvd in vm(made, one).dvds] == [dvd.path]
        made.ask("TerminateInstances", InstanceIds=[one])
        made.wait("terminated", one)
        files = {left.rpartition("\\")[2] for left in made.leftovers()}
        assert files - {one, "Virtual Machines"} == {"root.vhdx"}


def test_a_disc_stays_as_long_as_it_is_to(gateway: Rig) -> None:
    one = running(gateway)
    gateway.until(lambda: gateway.rows(models.Seed)[0].answered_at is not None, "it answered")
    [row] = gateway.rows(models.Seed)
    assert row.eject_at is not None
    assert (row.eject_at - row.answered_at).total_seconds() == 600
    assert row.phase == "there"
    assert content(gateway, one) is not None


def test_a_disc_without_password_stays_for_good_where_that_is_said(
    store: Store, tmp_path: Path
) -> None:
    settings = dataclasses.replace(SETTINGS, guest=Guest(eject_seed_after="never"))
    with rig(store, tmp_path, settings) as made:
        made.start()
        one = running(made)
        made.until(lambda: made.rows(models.Seed)[0].answered_at is not None, "it answered")
        assert made.rows(models.Seed)[0].eject_at is None
        assert content(made, one) is not None


@pytest.mark.parametrize("generation", [1, 2])
def test_changed_user_data_is_on_a_new_disc_at_the_next_start(
    at_once: Rig, generation: int
) -> None:
    for image in at_once.rows(models.Image):
        at_once.update(models.Image, image.key, generation=generation)
    one = running(at_once, UserData=user_data("first"))
    if generation == 2:  # the laboratory's guest knows no other firmware
        is_gone(at_once, one)
    stop(at_once, one)
    change(at_once, one, b"second")
    assert phase(at_once, one) == "stale"
    for image in at_once.rows(models.Image):
        at_once.update(models.Image, image.key, guest={"eject_seed_after": "never"})
    start(at_once, one)
    assert read(at_once, one, "user-data") == b"second"
    assert [dvd.path for dvd in vm(at_once, one).dvds] == [path(one)]


def test_the_same_user_data_makes_no_new_disc(at_once: Rig) -> None:
    one = running(at_once, UserData=user_data("same"))
    is_gone(at_once, one)
    stop(at_once, one)
    change(at_once, one, b"same")
    assert phase(at_once, one) == "gone"


def test_an_instance_that_never_had_a_disc_gets_one_with_its_user_data(gateway: Rig) -> None:
    for image in gateway.rows(models.Image):
        gateway.update(models.Image, image.key, guest={"seed": "none"})
    one = running(gateway)
    assert phase(gateway, one) is None
    assert vm(gateway, one).dvds == []
    stop(gateway, one)
    for image in gateway.rows(models.Image):
        gateway.update(models.Image, image.key, guest={})
    change(gateway, one, b"#!late")
    start(gateway, one)
    assert read(gateway, one, "user-data") == b"#!late"
    assert phase(gateway, one) == "there"


def test_a_start_whose_disc_cannot_be_put_in_ends(gateway: Rig) -> None:
    one = running(gateway)
    stop(gateway, one)
    change(gateway, one, b"new")
    Console(gateway.world).inject(HOST, "Agent\\Complete-File", "before", times=100)
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.until(lambda: gateway.instance(one).state_reason_code is not None, "it is told")
    gateway.wait("stopped", one)
    assert gateway.instance(one).state_reason_code == "Server.InternalError"
    assert phase(gateway, one) == "stale"


def test_a_disc_that_an_administrator_put_in_is_left_alone(at_once: Rig) -> None:
    one = running(at_once)
    is_gone(at_once, one)
    stop(at_once, one)
    theirs = "C:\\tools.iso"
    Console(at_once.world).put_file(HOST, theirs, "tools")
    with at_once.world.changing(HOST) as session:
        [found] = session.vms()
        found.dvds[0].path = theirs
        session.put_vm(found)
    change(at_once, one, b"new")
    start(at_once, one)
    at_once.until(lambda: phase(at_once, one) == "gone", "it was given up")
    assert vm(at_once, one).dvds[0].path == theirs


def test_an_image_that_wants_neither_disc_nor_identity_gets_neither(gateway: Rig) -> None:
    for image in gateway.rows(models.Image):
        gateway.update(models.Image, image.key, guest={"seed": "none", "smbios_ec2": False})
    one = running(gateway)
    made = vm(gateway, one)
    assert made.dvds == []
    assert not made.bios_guid.startswith("{EC2")
    assert made.asset_tag == "ec2gw"
    assert content(gateway, one) is None


def test_a_host_that_refuses_the_serial_number_runs_the_guest_and_is_told_of(
    gateway: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    Console(gateway.world).inject(HOST, "Agent\\Set-VMIdentity", "serial")
    with caplog.at_level(logging.INFO, "ec2gw.engine.hand"):
        one = running(gateway)
    made = vm(gateway, one)
    assert made.bios_guid == f"{{{identity.uuid(one).upper()}}}"
    assert made.serial_number != identity.uuid(one)
    [warned] = [one.__dict__ for one in caplog.records if one.message == "host-warned"]
    assert (warned["instance"], warned["purpose"]) == (one, "create")
    assert "serial number" in warned["warning"]


def test_nothing_of_a_disc_is_left_of_an_instance_that_is_no_more(gateway: Rig) -> None:
    one = running(gateway, UserData=user_data("#!secret"))
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert gateway.leftovers() == []
    assert gateway.rows(models.Seed) == []
    assert gateway.instance(one).user_data is None


def test_the_disc_goes_also_where_a_disk_is_kept(gateway: Rig) -> None:
    kept: dict[str, Any] = {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}
    one = running(gateway, BlockDeviceMappings=[kept])
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert content(gateway, one) is None
    files = {left.rpartition("\\")[2] for left in gateway.leftovers()}
    assert files - {one, "Virtual Machines"} == {"root.vhdx"}


def test_an_eject_that_fails_is_tried_again(at_once: Rig) -> None:
    console = Console(at_once.world)
    console.inject(HOST, _SET, "before:0x80070020", times=2)
    console.inject(HOST, _SET, "after")
    one = running(at_once)
    is_gone(at_once, one)


def test_no_volume_is_put_where_the_disc_is(gateway: Rig) -> None:
    one = running(gateway)
    made = gateway.ask("CreateVolume", **ZONE, Size=1)["VolumeId"]
    rest(gateway, made, "available")
    attach(gateway, made, one, "/dev/sdz")
    rest(gateway, made, "in-use")
    [disk] = [disk for disk in vm(gateway, one).disks if disk.location]
    assert disk.location == 25
    assert vm(gateway, one).dvds[0].location == 63


def test_no_disc_outlives_its_time_because_an_old_state_does_not_know_it(
    store: Store, tmp_path: Path
) -> None:
    gateway = Restored(store, tmp_path, AT_ONCE)
    try:
        gateway.start()
        [old] = gateway.launched()
        is_gone(gateway, old)
        copy = gateway.copy()
        for image in gateway.rows(models.Image):
            gateway.update(models.Image, image.key, guest={"eject_seed_after": "never"})
        [young] = gateway.launched()
        stop(gateway, old)
        change(gateway, old, b"#!new")
        start(gateway, old)
        assert content(gateway, old) is not None
        assert content(gateway, young) is not None
        gateway.restart(copy)
        is_gone(gateway, old)
        is_gone(gateway, young)
    finally:
        gateway.close()
        gateway.store.close()


def test_a_disc_is_ejected_on_the_host_that_its_vm_moved_to(at_once: Rig) -> None:
    console = Console(at_once.world)
    console.inject(HOST, _SET, "before", times=1000)
    one = running(at_once)
    at_once.until(lambda: at_once.rows(models.Seed)[0].eject_at is not None, "it answered")
    console.move(HOST, one, "lab-b")
    at_once.until(lambda: phase(at_once, one) == "gone", "the disc is gone")
    assert [dvd.path for dvd in vm(at_once, one, "lab-b").dvds] == [None]
    assert [path for path in at_once.leftovers() if path.endswith("seed.iso")] == []
