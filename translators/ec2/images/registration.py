"""RegisterImage and DeregisterImage.

An image is made of a disk that lies in the image store of the hosts already, or of the snapshot of
another image of the account. Whose disk that is nobody can tell, so only accounts may name one that
the administrator trusts with the whole store. Nothing here writes to a disk or deletes one: what an
image was made of stays, and so do the instances that run on it.

Source: EC2 API Reference, RegisterImage, DeregisterImage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Account, Image, ImagePermission
from translators import errors, refusals, tags
from translators.ec2.images import image_errors, names, refused, rights
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        BlockDeviceMappingTypeDef,
        DeregisterImageRequestTypeDef,
        EbsBlockDeviceTypeDef,
        RegisterImageRequestTypeDef,
    )

_GENERATIONS: Final[Mapping[str, int]] = {"legacy-bios": 1, "uefi": 2}
"""Boot mode -> generation of the VM."""
_ROOT_DEVICE: Final = "/dev/sda1"
_VOLUME_TYPES: Final = frozenset({"gp2", "gp3", "standard"})
_DESCRIPTION_CHARACTERS: Final = 255
_MOST_GIB: Final = 16384


@dataclass(frozen=True, slots=True)
class _Source:
    """The disk, and what is known of it from an image that it was registered as before."""

    file_name: str
    size_gib: int
    snapshot_id: str
    generation: int
    architecture: str
    platform: str | None = None
    secure_boot_template: str | None = None


@action("RegisterImage", changes=True)
def register_image(ctx: Context, request: RegisterImageRequestTypeDef) -> Result:
    """Make a disk known as a private image of the account.

    `ImageLocation` is the disk's bare name in the image store. Its size in GiB is the root device's
    VolumeSize; it may be left out for a disk that is an image already.

    :raises Ec2Error: ``InvalidAMIName.Malformed``, ``InvalidAMIName.Duplicate``,
        ``InvalidSnapshot.NotFound``, ``UnauthorizedOperation``, ``InvalidBlockDeviceMapping``,
        ``InvalidParameterValue``, ``InvalidParameterCombination``, ``UnsupportedOperation``
    """
    refusals.check(request, refused.REGISTRATION, "", refused.ON_THE_WIRE)
    name = request["Name"]
    if not names.is_name(name):
        raise image_errors.invalid_ami_name_malformed()
    description = request.get("Description") or None
    check_description(description)
    device = request.get("RootDeviceName") or _ROOT_DEVICE
    disk = _root_disk(request.get("BlockDeviceMappings", ()), device)
    given = tags.from_specifications(request, "image")
    source = _source(ctx, request, device, disk)
    generation = _generation(request, source)
    _check_free(ctx, name)
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
        root_device_name=device,
        size_gib=source.size_gib,
        snapshot_id=source.snapshot_id,
        ena_support=request.get("EnaSupport", True),
        volume_type=disk.get("VolumeType", "gp3"),
        delete_on_termination=disk.get("DeleteOnTermination", True),
        created_at=ctx.now,
    )
    ctx.session.add(row)
    ctx.session.flush()
    tags.put(ctx, "image", row.key, row.id, given)
    return {"ImageId": row.id}


@action("DeregisterImage", changes=True)
def deregister_image(ctx: Context, request: DeregisterImageRequestTypeDef) -> Result:
    """Take an image off the lists, for good.

    Its row stays for the instances that were launched from it, whose disks are children of its
    disk; and the disk stays, which ec2gw did not make.

    :raises Ec2Error: see `rights.owned`
    """
    refusals.check(request, refused.DEREGISTRATION)
    row = rights.owned(ctx, request["ImageId"])
    row.state, row.public = "deregistered", False
    ctx.session.execute(sa.delete(ImagePermission).where(ImagePermission.image_key == row.key))
    tags.remove_all(ctx, "image", row.key)
    return {"Return": True}


def check_description(text: str | None) -> None:
    """Refuse what is too long to be kept.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if text is not None and len(text) > _DESCRIPTION_CHARACTERS:
        raise errors.invalid_parameter_value(
            text[:_DESCRIPTION_CHARACTERS] + "...",
            "description",
            f"Up to {_DESCRIPTION_CHARACTERS} characters are expected.",
        )


# -- what the request says of the disk


def _root_disk(
    mappings: Sequence[BlockDeviceMappingTypeDef], root_device: str
) -> EbsBlockDeviceTypeDef:
    """Read the root device's mapping; other disks are refused."""
    asked: EbsBlockDeviceTypeDef = {}
    seen: set[str] = set()
    for number, mapping in enumerate(mappings, 1):
        prefix = f"BlockDeviceMapping.{number}."
        device = mapping.get("DeviceName")
        if not device:
            raise errors.missing_parameter("deviceName")
        if device in seen:
            raise errors.device_mapped_twice(device)
        seen.add(device)
        if device != root_device:
            if "Ebs" in mapping:
                raise errors.unsupported_operation(prefix + "Ebs")
            if "VirtualName" in mapping:
                raise errors.unsupported_operation(prefix + "VirtualName")
            continue  # that there is to be no such device is true here
        if "NoDevice" in mapping or "VirtualName" in mapping:
            raise errors.invalid_device_name(device)
        asked = mapping.get("Ebs", {})
        refusals.check(asked, refused.IMAGE_DISK, prefix + "Ebs.")
        _check_disk(asked)
    return asked


def _check_disk(asked: EbsBlockDeviceTypeDef) -> None:
    kind: str = asked.get("VolumeType", "gp3")
    if kind not in _VOLUME_TYPES:
        raise errors.invalid_parameter_value(
            kind, "volumeType", f"Valid values are {', '.join(sorted(_VOLUME_TYPES))}."
        )
    size = asked.get("VolumeSize")
    if size is not None and not 1 <= size <= _MOST_GIB:
        raise errors.invalid_parameter_value(
            size, "volumeSize", f"Expecting a value from 1 to {_MOST_GIB}."
        )
    snapshot = asked.get("SnapshotId")
    if snapshot is not None and not ids.is_well_formed("snap", snapshot):
        raise image_errors.invalid_snapshot_id_malformed(snapshot)


def _source(
    ctx: Context,
    request: RegisterImageRequestTypeDef,
    device: str,
    disk: EbsBlockDeviceTypeDef,
) -> _Source:
    location, snapshot = request.get("ImageLocation"), disk.get("SnapshotId")
    if location and snapshot:
        raise errors.invalid_parameter_combination("imageLocation", "snapshotId")
    if location:
        return _stored(ctx, location, device, disk.get("VolumeSize"))
    if snapshot:
        return _of_snapshot(ctx, snapshot, disk.get("VolumeSize"))
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
        raise image_errors.unauthorized_operation()
    known = _newest(ctx, Image.file_name == file_name)
    if known is not None:
        return _again(known, size_gib)
    if size_gib is None:
        raise image_errors.either_snapshot_or_size(device)
    generation = 2 if names.boots(file_name, 2) else 1
    return _Source(file_name, size_gib, ids.mint("snap"), generation, "x86_64")


def _of_snapshot(ctx: Context, snapshot_id: str, size_gib: int | None) -> _Source:
    """The disk of one of the account's own images; there are no other snapshots."""
    mine = sa.and_(Image.snapshot_id == snapshot_id, Image.account_key == ctx.account_key)
    known = _newest(ctx, sa.and_(mine, rights.HERE))
    if known is None:
        raise image_errors.invalid_snapshot_not_found(snapshot_id)
    return _again(known, size_gib)


def _newest(ctx: Context, condition: sa.ColumnElement[bool]) -> Any:
    query = sa.select(Image.__table__).where(condition).order_by(Image.key.desc()).limit(1)
    return ctx.session.execute(query, {"region": ctx.region}).one_or_none()


def _again(known: Any, size_gib: int | None) -> _Source:
    """A disk whose size is known: an image's disk is as large as it is."""
    if size_gib is not None and size_gib < known.size_gib:
        raise errors.volume_smaller_than_snapshot(size_gib, known.snapshot_id, known.size_gib)
    if size_gib is not None and size_gib > known.size_gib:
        raise errors.unsupported_operation("BlockDeviceMapping.1.Ebs.VolumeSize")
    return _Source(
        known.file_name,
        known.size_gib,
        known.snapshot_id,
        known.generation,
        known.architecture,
        known.platform,
        known.secure_boot_template,
    )


# -- what it says of the VM


def _generation(request: RegisterImageRequestTypeDef, source: _Source) -> int:
    mode: str | None = request.get("BootMode")
    if not mode:
        return source.generation
    if mode == "uefi-preferred":  # would be read back as another one
        raise errors.unsupported_operation("BootMode")
    if mode not in _GENERATIONS:
        raise errors.invalid_parameter_value(
            mode, "bootMode", "Valid values are legacy-bios and uefi."
        )
    generation = _GENERATIONS[mode]
    if not names.boots(source.file_name, generation):
        sentence = "A disk of the older format boots in the mode legacy-bios only."
        raise errors.invalid_parameter_value(mode, "bootMode", sentence)
    return generation


def _architecture(ctx: Context, request: RegisterImageRequestTypeDef, source: _Source) -> str:
    """EC2's default is i386, of which it says itself that nobody wants it."""
    wanted: str = request.get("Architecture") or source.architecture
    if wanted not in {one.architecture for one in ctx.settings.instance_types.values()}:
        raise errors.unsupported_operation("Architecture")
    return wanted


def _check_free(ctx: Context, name: str) -> None:
    query = sa.select(Image.id).where(
        Image.account_key == ctx.account_key, Image.name == name, rights.HERE, rights.AVAILABLE
    )
    taken = ctx.session.scalar(query, {"region": ctx.region})
    if taken is not None:
        raise image_errors.invalid_ami_name_duplicate(name, taken)
