"""DescribeImages: what may be launched, one's own, those shared with one, and the public ones.

An image of region "*" is the same in every region.

Source: EC2 API Reference, DescribeImages, data type Image.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Account, Image, ImageDisk, ImagePermission, Snapshot
from translators import errors, listing, tags
from translators.ec2.images import rights
from translators.filters import (
    Condition,
    Filter,
    always,
    either,
    flag,
    mapped,
    never,
    number,
    text,
    through,
    time,
)
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        BlockDeviceMappingTypeDef,
        DescribeImagesRequestTypeDef,
        EbsBlockDeviceTypeDef,
        ImageTypeDef,
    )

_PLATFORMS: Final[Mapping[str | None, tuple[str, str]]] = {
    None: ("Linux/UNIX", "RunInstances"),
    "windows": ("Windows", "RunInstances:0002"),
}
"""Platform -> PlatformDetails, UsageOperation."""
_ALIASES: Final = ("amazon", "aws-backup-vault", "aws-marketplace")


def _location(_ctx: Context) -> sa.ColumnElement[str]:
    owner = (
        sa.select(sa.func.coalesce(Account.owner_alias, Account.id))
        .where(Account.key == Image.account_key)
        .scalar_subquery()
    )
    return owner + "/" + Image.name


def _disk(inner: Filter) -> Filter:
    """What holds of a disk beside the root disk."""
    return through(Image.key, ImageDisk.image_key, inner)


_SNAPSHOT: Final = through(ImageDisk.snapshot_key, Snapshot.key, text(Snapshot.id))
_FAILURE: Final = "Server.InternalError"


def _failed(inner: Filter) -> Filter:
    return lambda ctx, values: sa.and_(Image.message.is_not(None), inner(ctx, values))


_SCAN: Final = (
    "scan-result.critical-fix-available-since",
    "scan-result.finding-scan-date",
    "scan-result.high-fix-available-since",
    "scan-result.highest-finding-severity-label",
    "scan-result.informational-fix-available-since",
    "scan-result.low-fix-available-since",
    "scan-result.medium-fix-available-since",
)
_WATERMARK: Final = (
    "image-watermark.source-image-creation-time",
    "image-watermark.source-image-id",
    "image-watermark.source-image-region",
    "image-watermark.watermark-creation-time",
    "image-watermark.watermark-key",
)
FILTERS: Final[Mapping[str, Filter]] = {
    "architecture": text(Image.architecture),
    "block-device-mapping.delete-on-termination": either(
        flag(Image.delete_on_termination), _disk(flag(ImageDisk.delete_on_termination))
    ),
    "block-device-mapping.device-name": either(
        text(Image.root_device_name), _disk(text(ImageDisk.device))
    ),
    "block-device-mapping.encrypted": always("false"),
    "block-device-mapping.snapshot-id": either(text(Image.snapshot_id), _disk(_SNAPSHOT)),
    "block-device-mapping.volume-size": either(
        number(Image.size_gib), _disk(number(ImageDisk.size_gib))
    ),
    "block-device-mapping.volume-type": either(
        text(Image.volume_type), _disk(text(ImageDisk.volume_type))
    ),
    "boot-mode": text(Image.boot_mode),
    "creation-date": time(Image.created_at),
    "description": text(Image.description),
    "ena-support": flag(Image.ena_support),
    "free-tier-eligible": always("false"),
    "hypervisor": always("xen"),
    "image-allowed": always("true"),
    "image-id": text(Image.id),
    "image-type": always("machine"),
    "instance-type-specification.supported-instance-type": never,
    "instance-type-specification.unsupported-instance-type": never,
    "is-public": flag(Image.public),
    "kernel-id": never,
    "manifest-location": text(_location),
    "name": text(Image.name),
    "owner-alias": through(Image.account_key, Account.key, text(Account.owner_alias)),
    "owner-id": through(Image.account_key, Account.key, text(Account.id)),
    "platform": text(Image.platform),
    "platform-details": mapped(Image.platform, {key: one[0] for key, one in _PLATFORMS.items()}),
    "product-code": never,
    "product-code.type": never,
    "public-ssm-parameter-name": never,
    "ramdisk-id": never,
    "root-device-name": text(Image.root_device_name),
    "root-device-type": always("ebs"),
    "source-image-id": text(Image.source_image_id),
    "source-image-region": text(Image.source_image_region),
    "source-instance-id": text(Image.source_instance_id),
    "sriov-net-support": always("simple"),
    "state": text(Image.state),
    "state-reason-code": _failed(always(_FAILURE)),
    "state-reason-message": text(Image.message),
    "usage-operation": mapped(Image.platform, {key: one[1] for key, one in _PLATFORMS.items()}),
    "virtualization-type": always("hvm"),
    **dict.fromkeys((*_SCAN, *_WATERMARK), never),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(Image.__table__, Account.id.label("owner_id"), Account.owner_alias)
        .join(Account, Account.key == Image.account_key)
        .where(Image.key.in_(keys))
    )
    tagged = tags.of(ctx, "image", keys)
    more = _more_disks(ctx, keys)
    return {row.key: _shown(row, tagged[row.key], more.get(row.key, [])) for row in rows}


def _more_disks(ctx: Context, keys: Sequence[int]) -> Mapping[int, list[Any]]:
    query = (
        sa.select(ImageDisk.__table__, Snapshot.id.label("snapshot_id"))
        .outerjoin(Snapshot, Snapshot.key == ImageDisk.snapshot_key)
        .where(ImageDisk.image_key.in_(keys))
        .order_by(ImageDisk.device)
    )
    found: dict[int, list[Any]] = {}
    for row in ctx.session.execute(query):
        found.setdefault(row.image_key, []).append(row)
    return found


def _mapping(device: str, row: Any) -> BlockDeviceMappingTypeDef:
    ebs: EbsBlockDeviceTypeDef = {
        "DeleteOnTermination": row.delete_on_termination,
        "Encrypted": False,
        "VolumeSize": row.size_gib,
        "VolumeType": row.volume_type,
    }
    if row.snapshot_id is not None:
        ebs["SnapshotId"] = row.snapshot_id
    if row.iops is not None:
        ebs["Iops"] = row.iops
    if row.throughput is not None:
        ebs["Throughput"] = row.throughput
    return {"DeviceName": device, "Ebs": ebs}


def _time(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _shown(row: Any, tagged: list[Any], more: Sequence[Any]) -> ImageTypeDef:
    details, usage = _PLATFORMS[row.platform]
    shown: ImageTypeDef = {
        "Architecture": row.architecture,
        "BlockDeviceMappings": [
            _mapping(row.root_device_name, row),
            *(_mapping(one.device, one) for one in more),
        ],
        "CreationDate": _time(row.created_at),
        "EnaSupport": row.ena_support,
        "Hypervisor": "xen",  # EC2 says so of every hypervisor
        "ImageId": row.id,
        "ImageLocation": f"{row.owner_alias or row.owner_id}/{row.name}",
        "ImageType": "machine",
        "Name": row.name,
        "OwnerId": row.owner_id,
        "PlatformDetails": details,
        "Public": row.public,
        "RootDeviceName": row.root_device_name,
        "RootDeviceType": "ebs",
        "SriovNetSupport": "simple",
        "State": row.state,
        "UsageOperation": usage,
        "VirtualizationType": "hvm",
    }
    if row.boot_mode is not None:
        shown["BootMode"] = row.boot_mode
    if row.description is not None:
        shown["Description"] = row.description
    if row.owner_alias is not None:
        shown["ImageOwnerAlias"] = row.owner_alias
    if row.platform is not None:
        shown["Platform"] = row.platform
    if row.source_image_id is not None:
        shown["SourceImageId"] = row.source_image_id
        shown["SourceImageRegion"] = row.source_image_region
    if row.source_instance_id is not None:
        shown["SourceInstanceId"] = row.source_instance_id
    if row.deprecated_at is not None:
        shown["DeprecationTime"] = _time(row.deprecated_at)
    if row.message is not None:
        shown["StateReason"] = {"Code": _FAILURE, "Message": row.message}
    if tagged:
        shown["Tags"] = tagged
    return shown


IMAGES: Final = listing.Resource(
    action="DescribeImages",
    kind="image",
    model=Image,
    prefix="ami",
    id_member="ImageIds",
    ids_word="imageSet",
    malformed=errors.invalid_ami_id_malformed,
    not_found=errors.invalid_ami_id_not_found,
    filters=FILTERS,
    view=_view,
    visible=rights.VISIBLE,
    exists=rights.AVAILABLE,
    max_results=(1, 1000),
    cut_max_results=True,
)

_NAMED: Final = dataclasses.replace(IMAGES, exists=None)
"""Named by its id, an image that its owner deregistered is left out, as EC2 does: no error."""


@action("DescribeImages")
def describe_images(ctx: Context, request: DescribeImagesRequestTypeDef) -> Result:
    """List images that the caller may launch.

    Owners and ExecutableUsers only narrow the list: an id outside of them is no error.

    :raises Ec2Error: ``InvalidAMIID.Malformed``, ``InvalidAMIID.NotFound``,
        ``InvalidUserID.Malformed``
    """
    narrow = [*_owned_by(ctx, request), *_executable_by(ctx, request)]
    if request.get("ImageIds"):
        page = listing.describe(ctx, _NAMED, request, narrow=[rights.AVAILABLE, *narrow])
        return page.answer("Images", page.views())
    if not request.get("IncludeDeprecated"):
        narrow.append(_advised(ctx))
    page = listing.describe(ctx, IMAGES, request, narrow=narrow)
    # No fragments: an image's tags show to its owner alone.
    return page.answer("Images", page.views())


def _advised(ctx: Context) -> Condition:
    """Deprecated images are in nobody's lists but their owner's, unless they are asked for."""
    return sa.or_(
        Image.account_key == ctx.account_key,
        Image.deprecated_at.is_(None),
        Image.deprecated_at > ctx.now,
    )


def _owned_by(ctx: Context, request: DescribeImagesRequestTypeDef) -> list[Condition]:
    owners = request.get("Owners")
    if not owners:
        return []
    accounts, aliases, own = [], [], False
    for owner in owners:
        if owner == "self":
            own = True
        elif ids.ACCOUNT.fullmatch(owner):
            accounts.append(owner)
        elif owner in _ALIASES:
            aliases.append(owner)
        else:
            raise errors.invalid_user_id_malformed(owner)
    of_others = sa.select(Account.key).where(
        sa.or_(Account.id.in_(accounts), Account.owner_alias.in_(aliases))
    )
    mine = Image.account_key == ctx.account_key if own else sa.false()
    return [sa.or_(mine, Image.account_key.in_(of_others))]


def _executable_by(ctx: Context, request: DescribeImagesRequestTypeDef) -> list[Condition]:
    """Images that somebody was named for: all, the caller, or, of the caller's own, another one."""
    users = request.get("ExecutableUsers")
    if not users:
        return []
    conditions: list[Condition] = []
    others: list[str] = []
    for user in users:
        if user == "all":
            conditions.append(Image.public.is_(True))
        elif user in ("self", ctx.account_id):
            conditions.append(rights.shared_with(ctx.account_key))
        elif ids.ACCOUNT.fullmatch(user):
            others.append(user)
        else:
            raise errors.invalid_user_id_malformed(user)
    if others:
        named = (
            sa.select(ImagePermission.image_key)
            .join(Account, Account.key == ImagePermission.account_key)
            .where(Account.id.in_(others))
        )
        mine = Image.account_key == ctx.account_key
        conditions.append(sa.and_(mine, Image.key.in_(named)))
    return [sa.or_(*conditions)]
