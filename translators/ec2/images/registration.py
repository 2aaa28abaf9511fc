"""RegisterImage.

An image is made of a disk that lies in the image store of the hosts already, or of snapshots that
the account may use. Whose disk of the store is which nobody can tell, so only accounts may name one
that the administrator trusts with the whole store. Nothing here writes to a disk.

Source: EC2 API Reference, RegisterImage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Account, Image, Snapshot, Volume
from translators import errors, refusals, snapshots, tags
from translators.ec2.images import disks, image_errors, names, refused, rights
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import RegisterImageRequestTypeDef

_GENERATIONS: Final[Mapping[str, tuple[int, ...]]] = {
    "legacy-bios": (1,),
    "uefi": (2,),
    "uefi-preferred": (2, 1),
}
"""Boot mode -> generations of VMs that it asks for, the first that the disk boots in."""
_ROOT_DEVICE: Final = "/dev/sda1"


@dataclass(frozen=True, slots=True)
class _Source:
    """The root disk's snapshot, and what is known of it from an image that has it."""

    snapshot_key: int
    snapshot_id: str
    file_name: str
    """Below `images`; empty for a disk that lies elsewhere."""
    size_gib: int
    generation: int
    architecture: str
    platform: str | None = None
    secure_boot_template: str | None = None
    guest: Mapping[str, Any] = field(default_factory=dict)

    def boots(self, generation: int) -> bool:
        return not self.file_name or names.boots(self.file_name, generation)


@action("RegisterImage", changes=True)
def register_image(ctx: Context, request: RegisterImageRequestTypeDef) -> Result:
    """Make disks known as a private image of the account.

    `ImageLocation` is the root disk's bare name in the image store; its size in GiB is the root
    device's VolumeSize, which may be left out for a disk that is an image already. Without it the
    root device's mapping names a snapshot. Other devices have snapshots, or are empty.

    :raises Ec2Error: ``InvalidAMIName.Malformed``, ``InvalidAMIName.Duplicate``,
        ``InvalidSnapshot.NotFound``, ``UnauthorizedOperation``, ``InvalidBlockDeviceMapping``,
        ``InvalidParameterValue``, ``InvalidParameterCombination``, ``UnsupportedOperation``
    """
    refusals.check(request, refused.REGISTRATION, "", refused.ON_THE_WIRE)
    name = names.checked(request["Name"])
    description = names.checked_description(request.get("Description"))
    device = request.get("RootDeviceName") or _ROOT_DEVICE
    asked = disks.read(request.get("BlockDeviceMappings", ()))
    given = tags.from_specifications(request, "image")
    root_asked: Any = {}
    if device in asked:
        root_asked = asked.pop(device).ebs
        if root_asked is None:
            raise errors.invalid_device_name(device)
    source = _source(ctx, request, device, root_asked)
    base = disks.Disk(device, source.snapshot_key, source.size_gib, "gp3", None, None, True)
    root = disks.settle(ctx, device, root_asked, base)
    disks.check_root(root)
    others = [
        disks.settle(ctx, name, one.ebs) for name, one in asked.items() if one.ebs is not None
    ]
    generation = _generation(request, source)
    rights.check_free(ctx, name)
    row = Image(
        id=ids.mint("ami"),
        account_key=ctx.account_key,
        region=ctx.region,
        name=name,
        description=description,
        file_name=source.file_name,
        architecture=_architecture(ctx, request, source),
        platform=source.platform,
        generation=generation,
        secure_boot_template=source.secure_boot_template if generation == 2 else None,
        boot_mode=request.get("BootMode") or None,
        root_device_name=device,
        size_gib=root.size_gib,
        snapshot_id=source.snapshot_id,
        snapshot_key=source.snapshot_key,
        guest=dict(source.guest),
        ena_support=request.get("EnaSupport", True),
        volume_type=root.volume_type,
        iops=root.iops,
        throughput=root.throughput,
        delete_on_termination=root.delete_on_termination,
        created_at=ctx.now,
    )
    ctx.session.add(row)
    ctx.session.flush()
    disks.keep(ctx, row, others)
    tags.put(ctx, "image", row.key, row.id, given)
    return {"ImageId": row.id}


# -- the root disk


def _source(
    ctx: Context, request: RegisterImageRequestTypeDef, device: str, asked: Mapping[str, Any]
) -> _Source:
    location, snapshot = request.get("ImageLocation"), asked.get("SnapshotId")
    if location and snapshot:
        raise errors.invalid_parameter_combination("imageLocation", "snapshotId")
    if location:
        return _stored(ctx, location, device, asked.get("VolumeSize"))
    if snapshot:
        return _of_snapshot(ctx, snapshots.usable(ctx, snapshot))
    raise errors.missing_parameter("imageLocation")


def _stored(ctx: Context, file_name: str, device: str, size_gib: int | None) -> _Source:
    """A disk in the image store.

    It may be one that no image was made of yet: nothing here asks a host whether it is there.
    """
    if not names.is_file(file_name) or not names.is_disk(file_name):
        raise errors.invalid_parameter_value(
            file_name, "imageLocation", "Expected: the name of a .vhdx or .vhd in the image store."
        )
    trusted = sa.select(Account.image_store).where(Account.key == ctx.account_key)
    if not ctx.session.scalar(trusted):
        raise errors.unauthorized_operation()
    known = sa.select(Snapshot).where(
        Snapshot.file_name == f"images/{file_name}",
        Snapshot.everywhere,
        snapshots.EXISTS,
        snapshots.HERE,
    )
    found = ctx.session.scalars(
        known.order_by(Snapshot.key.desc()).limit(1), {"region": ctx.region}
    ).one_or_none()
    if found is not None:
        return _of_snapshot(ctx, found)
    if size_gib is None:
        raise image_errors.either_snapshot_or_size(device)
    made = snapshots.of_store(
        ctx.session,
        account_key=ctx.account_key,
        region=ctx.region,
        file_name=file_name,
        size_gib=size_gib,
        public=False,
        now=ctx.now,
    )
    generation = 2 if names.boots(file_name, 2) else 1
    return _Source(made.key, made.id, file_name, size_gib, generation, "x86_64")


def _of_snapshot(ctx: Context, found: Any) -> _Source:
    """A disk that is known: what it boots as is told by an image, or by what it was taken of."""
    of_image = sa.select(Image).where(Image.snapshot_key == found.key)
    taken_of = sa.select(Image).join(Volume, Volume.image_key == Image.key)
    taken_of = taken_of.where(Volume.key == found.volume_key)
    known = ctx.session.scalars(of_image.order_by(Image.key.desc()).limit(1)).one_or_none()
    if known is None and found.volume_key is not None:
        known = ctx.session.scalars(taken_of).one_or_none()
    file_name = found.file_name.removeprefix("images/") if found.everywhere else ""
    if known is None:
        generation = found.vm_generation
        if generation is None:
            generation = 2 if not file_name or names.boots(file_name, 2) else 1
        return _Source(found.key, found.id, file_name, found.size_gib, generation, "x86_64")
    return _Source(
        found.key,
        found.id,
        file_name,
        found.size_gib,
        known.generation,
        known.architecture,
        known.platform,
        known.secure_boot_template,
        known.guest,
    )


# -- what it says of the VM


def _generation(request: RegisterImageRequestTypeDef, source: _Source) -> int:
    mode: str | None = request.get("BootMode")
    if not mode:
        return source.generation
    if mode not in _GENERATIONS:
        sentence = f"Valid values are {', '.join(_GENERATIONS)}."
        raise errors.invalid_parameter_value(mode, "bootMode", sentence)
    for generation in _GENERATIONS[mode]:
        if source.boots(generation):
            return generation
    sentence = "A disk of the older format does not boot in the mode uefi."
    raise errors.invalid_parameter_value(mode, "bootMode", sentence)


def _architecture(ctx: Context, request: RegisterImageRequestTypeDef, source: _Source) -> str:
    """EC2's default is i386, of which it says itself that nobody wants it."""
    wanted: str = request.get("Architecture") or source.architecture
    if wanted not in {one.architecture for one in ctx.settings.instance_types.values()}:
        raise errors.unsupported_operation("Architecture")
    return wanted
