"""CreateImage: an image of all disks of an instance, at one moment.

Source: EC2 API Reference, CreateImage; EC2 User Guide, "Create an Amazon EBS-backed AMI".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids, lifecycle
from state.models import Image, Instance, Snapshot, Volume
from translators import devices, errors, filters, forms, refusals, snapshots, tags
from translators.ec2.images import disks, image_errors, names, refused, rights
from translators.registry import Awaits, Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import CreateImageRequestTypeDef

_IMAGED: Final = ("running", "rebooting", "starting", "stopping", "stopped")
"""Phases of an instance of which an image can be made."""


def _image(ctx: Context, result: Result) -> Image | None:
    return ctx.session.scalars(
        sa.select(Image).where(Image.id == str(result["ImageId"]))
    ).one_or_none()


def _snapshots(ctx: Context, image: Image) -> list[str]:
    """The ids of the snapshots that are made for an image, not of those that it was given."""
    made_for = [image.snapshot_key, *(one.snapshot_key for one in disks.of(ctx, image.key))]
    root = ctx.session.get_one(Snapshot, image.snapshot_key)
    query = sa.select(Snapshot.id).where(Snapshot.key.in_(made_for), Snapshot.point == root.point)
    return list(ctx.session.scalars(query))


def _fixed(ctx: Context, _request: Any, result: Result) -> Result | None:
    image = _image(ctx, result)
    if image is None or snapshots.fixed(ctx.session, _snapshots(ctx, image)):
        return result
    return None


def _not_fixed(ctx: Context, request: CreateImageRequestTypeDef, result: Result) -> Any:
    """Withdraw it all; but where the instance is on its way down, nothing is lost by waiting."""
    image = _image(ctx, result)
    if _fixed(ctx, request, result) is not None or image is None:
        return result
    if ctx.session.get_one(Snapshot, image.snapshot_key).cold:
        return result
    named = _snapshots(ctx, image)
    tags.remove_all(ctx, "image", image.key)
    ctx.session.delete(image)
    ctx.session.flush()
    return snapshots.withdraw(ctx, named)


@action("CreateImage", changes=True, awaits=Awaits(_fixed, _not_fixed))
def create_image(ctx: Context, request: CreateImageRequestTypeDef) -> Result:
    """Make an image of an instance: of its disks while it is down, or, with NoReboot, as they are.

    A running instance is shut down, and started again as soon as the moment is fixed.

    :raises Ec2Error: ``InvalidAMIName.Malformed``, ``InvalidAMIName.Duplicate``,
        ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``, ``IncorrectState``,
        ``InvalidBlockDeviceMapping``, ``InvalidParameterValue``, ``UnsupportedOperation``; after
        the deadline ``ConcurrentSnapshotLimitExceeded``, ``Unavailable``
    """
    refusals.check(request, refused.CREATION)
    name = names.checked(request["Name"])
    description = names.checked_description(request.get("Description"))
    asked = disks.read(request.get("BlockDeviceMappings", ()))
    image_tags = tags.from_specifications(request, "image", allowed=("snapshot",))
    snapshot_tags = tags.from_specifications(request, "snapshot", allowed=("image",))
    instance = _instance(ctx, request["InstanceId"])
    attached = _attached(ctx, instance)
    taken, others = _chosen(instance, attached, asked)
    rights.check_free(ctx, name)
    source = ctx.session.get_one(Image, instance.image_key)
    image_id = ids.mint("ami")
    rows = snapshots.take(
        ctx,
        list(taken.values()),
        snapshots.Wanted(
            f"Created by CreateImage({instance.id}) for {image_id}",
            cold=_goes_down(ctx, instance, request.get("NoReboot", False)),
        ),
    )
    tags.put_all(ctx, "snapshot", {row.key: row.id for row in rows}, snapshot_tags)
    kept = {
        device: disks.settle(ctx, device, _overridden(asked, device), _as_it_is(volume, row))
        for (device, volume), row in zip(taken.items(), rows, strict=True)
    }
    root = kept.pop(instance.root_device_name)
    disks.check_root(root)
    more = [disks.settle(ctx, device, one) for device, one in others.items()]
    image = Image(
        id=image_id,
        account_key=ctx.account_key,
        region=ctx.region,
        name=name,
        description=description,
        file_name="",
        state="pending",
        architecture=source.architecture,
        platform=instance.platform,
        generation=instance.vm_generation,
        secure_boot_template=source.secure_boot_template,
        boot_mode=source.boot_mode,
        root_device_name=instance.root_device_name,
        size_gib=root.size_gib,
        snapshot_id=rows[list(taken).index(instance.root_device_name)].id,
        snapshot_key=root.snapshot_key,
        guest=dict(source.guest),
        ena_support=source.ena_support,
        volume_type=root.volume_type,
        iops=root.iops,
        throughput=root.throughput,
        delete_on_termination=root.delete_on_termination,
        source_image_id=instance.image_id,
        source_image_region=ctx.region,
        source_instance_id=instance.id,
        created_at=ctx.now,
    )
    ctx.session.add(image)
    ctx.session.flush()
    disks.keep(ctx, image, [*kept.values(), *more])
    tags.put(ctx, "image", image.key, image.id, image_tags)
    return {"ImageId": image.id}


def _instance(ctx: Context, instance_id: str) -> Instance:
    if not ids.is_well_formed("i", instance_id):
        raise forms.not_an_instance_id(instance_id)
    query = sa.select(Instance).where(
        Instance.id == instance_id,
        filters.unindexed(Instance.account_key) == ctx.account_key,
        filters.unindexed(Instance.region) == ctx.region,
    )
    row = ctx.session.scalars(query).one_or_none()
    if row is None:
        raise errors.invalid_instance_id_not_found([instance_id])
    if row.phase not in _IMAGED:
        raise image_errors.incorrect_instance_state(instance_id)
    return row


def _goes_down(ctx: Context, instance: Instance, no_reboot: bool) -> bool:
    """Tell whether the disks are to be held still while the VM is off; a running one goes down."""
    if no_reboot or instance.phase == "stopped":
        return False
    if instance.phase == "running":
        instance.phase = lifecycle.ask(instance.phase, "reboot")
        instance.phase_since = ctx.now
        instance.generation += 1
        ctx.wake.add(instance.host_key)
    return True


# -- its disks


def _attached(ctx: Context, instance: Instance) -> dict[str, Volume]:
    """The instance's volumes by device, the root volume first.

    :raises Ec2Error: ``IncorrectState`` where one of them is on its way
    """
    query = sa.select(Volume).where(Volume.instance_key == instance.key).order_by(Volume.key)
    found = {volume.device or "": volume for volume in ctx.session.scalars(query)}
    for volume in found.values():
        if volume.phase != "in-use":
            raise snapshots.incorrect_volume_state(volume.id, volume.attachment_state or "")
    root = found.pop(instance.root_device_name, None)
    if root is None:
        raise image_errors.no_root_device(instance.id)
    return {instance.root_device_name: root, **found}


def _chosen(
    instance: Instance, attached: Mapping[str, Volume], asked: Mapping[str, disks.Asked]
) -> tuple[dict[str, Volume], dict[str, Any]]:
    """Tell the volumes that snapshots are taken of from the devices that are made otherwise."""
    known = {devices.same(device): device for device in attached}
    said = {known.get(devices.same(device), device): one for device, one in asked.items()}
    root = said.get(instance.root_device_name)
    if root is not None and (root.ebs is None or "SnapshotId" in root.ebs):
        raise errors.invalid_device_name(instance.root_device_name)
    taken: dict[str, Volume] = {}
    for device, volume in attached.items():
        one = said.get(device)
        if one is None or (one.ebs is not None and "SnapshotId" not in one.ebs):
            taken[device] = volume
    others = {
        device: one.ebs
        for device, one in said.items()
        if device not in taken and one.ebs is not None
    }
    return taken, others


def _overridden(asked: Mapping[str, disks.Asked], device: str) -> Mapping[str, Any]:
    for name, one in asked.items():
        if devices.same(name) == devices.same(device) and one.ebs is not None:
            return one.ebs
    return {}


def _as_it_is(volume: Volume, row: Snapshot) -> disks.Disk:
    return disks.Disk(
        volume.device or "",
        row.key,
        volume.size_gib,
        volume.type,
        volume.iops if volume.type != "gp2" else None,
        volume.throughput,
        volume.delete_on_termination,
    )
