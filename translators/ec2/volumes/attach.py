"""AttachVolume and DetachVolume: they write the intent; the engine does it on the host.

Source: EC2 API Reference, the two actions; EC2 User Guide, "Device names for volumes" and
"Amazon EBS volume limits".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import storage
from state.models import Instance, NetworkInterface, Snapshot, Volume
from translators import devices, refusals, snapshots, transfers
from translators.ec2.volumes import describe, find, intents, refused, volume_errors
from translators.ec2.volumes.create import change
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import AttachVolumeRequestTypeDef, DetachVolumeRequestTypeDef

_TAKES_DISKS: Final = ("running", "rebooting", "stopped")
"""Phases of an instance in which EC2 attaches a volume."""


@action("AttachVolume", changes=True)
def attach_volume(ctx: Context, request: AttachVolumeRequestTypeDef) -> Result:
    """Ask for a free volume to become a disk of an instance, whether that runs or not.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``InvalidInstanceID.NotFound``,
        ``InvalidVolume.ZoneMismatch``, ``VolumeInUse``, ``IncorrectState``,
        ``InvalidParameterValue``, ``AttachmentLimitExceeded``, ``UnsupportedOperation``
    """
    refusals.check(request, refused.ATTACHMENT)
    row = find.volume(ctx, request["VolumeId"])
    instance = find.instance(ctx, request["InstanceId"])
    device = request["Device"]
    if not devices.is_name(device):
        raise volume_errors.invalid_device_name(device)
    if row.phase in find.ATTACHED:
        raise volume_errors.already_attached(row.id)
    if row.phase != "available":
        raise volume_errors.not_available(row.id)
    if row.zone != instance.zone:
        raise volume_errors.different_zone(row.id, instance.id)
    if instance.phase not in _TAKES_DISKS:
        raise volume_errors.not_running(instance.id)
    location = _location(ctx, instance, device)
    if location is None and instance.phase != "stopped":
        raise volume_errors.not_stopped(instance.id)
    phase = _way(ctx, row, instance)
    change(
        ctx,
        row,
        instance_key=instance.key,
        device=device,
        location=location,
        attach_time=ctx.now,
        delete_on_termination=False,
        force=False,
        written=row.written or phase == "attaching",
        **storage.entered(phase),
    )
    return _answer(ctx, row.key, instance.id)


def _location(ctx: Context, instance: Any, device: str) -> int | None:
    """Find a place for the device on the VM's controller; None: that of the root disk."""
    query = sa.select(Volume.device, Volume.location).where(Volume.instance_key == instance.key)
    others = ctx.session.execute(query).all()
    if any(devices.same(other.device) == devices.same(device) for other in others):
        raise volume_errors.device_in_use(device)
    interfaces = ctx.session.scalars(
        sa.select(sa.func.count()).where(NetworkInterface.instance_key == instance.key)
    ).one()
    location = devices.location(device, [other.location for other in others])
    if len(others) + interfaces >= devices.MOST_ATTACHED or location is None:
        raise volume_errors.attachment_limit_exceeded()
    return None if devices.same(device) == devices.same(instance.root_device_name) else location


def _way(ctx: Context, row: Any, instance: Any) -> storage.VolumePhase:
    """Say how the volume comes to the instance's host, and send for what it takes.

    A disk that nobody wrote to yet is made anew there; one that holds data is carried over.
    """
    here, there = row.host_key, instance.host_key
    if here == there:
        return "attaching"
    missing: Snapshot | None = None
    if row.snapshot_key is not None:
        having = snapshots.hosts_with(ctx.session, [row.snapshot_key])
        if having is not None and there not in having:
            missing = ctx.session.get_one(Snapshot, row.snapshot_key)
    if (row.written or missing is not None) and ctx.settings.depot is None:
        raise volume_errors.on_another_host(row.id, instance.id)
    if missing is not None:
        transfers.ask(ctx.session, missing.file_name, here, there, ctx.now)
    if row.written:
        transfers.ask(ctx.session, row.file_name, here, there, ctx.now)
    return "moving"


@action("DetachVolume", changes=True)
def detach_volume(ctx: Context, request: DetachVolumeRequestTypeDef) -> Result:
    """Ask for a volume to be taken out of its instance; asking twice is no error.

    Hyper-V takes a disk out whatever the guest does with it, so `Force` adds nothing.

    :raises Ec2Error: ``IncorrectState``, ``InvalidAttachment.NotFound``,
        ``OperationNotPermitted``, ``InvalidVolume.NotFound``
    """
    row = find.volume(ctx, request["VolumeId"])
    asked, device = request.get("InstanceId"), request.get("Device")
    instance = find.instance(ctx, asked) if asked else None
    if row.phase not in find.ATTACHED or row.state == "creating":  # its instance is not made yet
        raise volume_errors.not_in_use(row.id, row.state)
    instance_id = find.instance_id(ctx, row.instance_key)
    elsewhere = instance is not None and instance.key != row.instance_key
    if elsewhere or (device and devices.same(device) != devices.same(row.device)):
        raise volume_errors.not_attached_there(row.id, asked or instance_id, device)
    if row.location is None and _phase(ctx, row.instance_key) != "stopped":
        raise volume_errors.root_in_use(row.id, instance_id)
    force = bool(request.get("Force"))
    if row.phase != "detaching" or (force and not row.force):
        # By a bare name a file is found through its instance, which it has no more after this.
        path = intents.path_of(row, instance_id).segments
        change(ctx, row, force=force, file_name=path, **storage.entered("detaching"))
    return _answer(ctx, row.key, instance_id)


def _phase(ctx: Context, instance_key: int) -> str:
    phase: str = ctx.session.scalars(
        sa.select(Instance.phase).where(Instance.key == instance_key)
    ).one()
    return phase


def _answer(ctx: Context, key: int, instance_id: str) -> Result:
    row = ctx.session.execute(sa.select(Volume.__table__).where(Volume.key == key)).one()
    shown = describe.attachment(row, instance_id)
    return {name: value for name, value in shown.items() if name != "DeleteOnTermination"}
