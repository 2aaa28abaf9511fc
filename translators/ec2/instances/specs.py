"""How an instance's VM is to be made, and what its guest is to be told: out of its rows.

Source: docs/architecture.md, "The life of an instance".
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models
from translators import port_rules, volume_types
from translators.ec2.instances import cards
from translators.guests import facts, identity, policy
from translators.hyperv import acl, drive, making
from translators.hyperv.host import Path
from translators.hyperv.identity import Identity
from translators.settings import GIB, Settings

_START_SPREAD_SECONDS: Final = 60
"""After a host's restart VMs start spread over so long, not all at once."""
_NOTED: Final = ("pending", "starting")
"""Phases that write a VM's Notes."""


def build(
    session: Session,
    instance: models.Instance,
    image: models.Image,
    volumes: Sequence[models.Volume],
    settings: Settings,
    deployment: str,
) -> making.Spec:
    """Read what the VM is to be; only of one that is to be made yet all of it, and no disc."""
    pending = instance.phase == "pending"
    interface = session.scalars(
        sa.select(models.NetworkInterface)
        .where(models.NetworkInterface.instance_key == instance.key)
        .order_by(models.NetworkInterface.device_index)
        .limit(1)
    ).one_or_none()
    volume = next((one for one in volumes if one.location is None), None)
    disk = session.get(models.Snapshot, image.snapshot_key) if image.snapshot_key else None
    return making.Spec(
        name=instance.id,
        generation=instance.vm_generation,
        processors=instance.processors,
        memory_bytes=instance.memory_bytes,
        parent=Path(disk.file_name if disk else f"images/{image.file_name}"),
        disk_bytes=_disk_bytes(volume, disk.size_gib if disk else image.size_gib),
        secure_boot_template=image.secure_boot_template,
        adapter=_adapter(session, interface, instance.phase),
        notes=cards.notes(session, deployment, instance) if instance.phase in _NOTED else "",
        start_delay_seconds=zlib.crc32(instance.id.encode()) % _START_SPREAD_SECONDS,
        maximum_iops=_maximum_iops(volume) if volume else 0,
        disks=tuple(
            _extra(session, one, one.location)
            for one in volumes
            if one.location is not None and pending
        ),
        identity=_identity(instance.id, settings, image) if pending else None,
        console=making.console(instance.id),
    )


def _identity(instance_id: str, settings: Settings, image: models.Image) -> Identity:
    """The asset tag always: Hyper-V's own may be Azure's, and its guest would wait for Azure."""
    ours = policy.of_image(settings.guest, image.guest).smbios_ec2
    return Identity(identity.ASSET_TAG, identity.uuid(instance_id) if ours else None)


def told(session: Session, instance: models.Instance, settings: Settings) -> facts.Facts | None:
    """What the disc of a VM that is to be made will say; None: it will have none."""
    if instance.phase != "pending" or session.get(models.Seed, instance.key) is None:
        return None
    return facts.read(session, instance.key, settings.guest)


def _disk_bytes(volume: models.Volume | None, parent_gib: int) -> int | None:
    if volume is None or volume.size_gib == parent_gib:
        return None
    return volume.size_gib * GIB


def _maximum_iops(volume: models.Volume) -> int:
    return volume_types.normalised_iops(
        volume.type, volume.size_gib, volume.iops, volume.throughput
    )


def _extra(session: Session, volume: models.Volume, location: int) -> drive.Extra:
    """A disk that the instance is launched with, beside its root disk."""
    parent = session.get(models.Snapshot, volume.snapshot_key) if volume.snapshot_key else None
    return drive.Extra(
        drive.Disk(
            Path(volume.file_name),
            Path(parent.file_name) if parent else None,
            _disk_bytes(volume, parent.size_gib if parent else 0),
        ),
        drive.Place("SCSI", location),
        _maximum_iops(volume),
    )


def _adapter(
    session: Session, interface: models.NetworkInterface | None, phase: lifecycle.Phase
) -> making.Adapter:
    if interface is None:  # already released: the VM is being removed and is not made again
        return making.Adapter("", "", "", None, acl.DENY)
    network = session.get_one(models.Network, interface.network_key)
    rules = acl.DENY
    if phase == "pending":  # in no other one an adapter is made
        rules = acl.desired(port_rules.port(session, interface.key))
    return making.Adapter(interface.id, interface.mac, network.switch, network.vlan, rules)
