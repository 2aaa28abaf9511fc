"""CreateSnapshot and CreateSnapshots: answered when the point in time is fixed.

Whatever is written to a volume after the answer is not in its snapshot.

Source: EC2 API Reference, the actions of these names; EBS User Guide, "Create Amazon EBS
snapshots".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Instance, Snapshot, Volume
from translators import errors, filters, forms, refusals, snapshots, tags
from translators.ec2.snapshots import refused
from translators.errors import Ec2Error
from translators.registry import Awaits, Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CreateSnapshotRequestTypeDef,
        CreateSnapshotsRequestTypeDef,
        SnapshotInfoTypeDef,
    )

_DESCRIPTION_CHARACTERS: Final = 255
_ALIVE: Final = ("running", "rebooting", "starting", "stopping", "stopped")
"""Phases of an instance whose disks hold still when they are told to."""


# -- one volume


def _one(ctx: Context, _request: Any, result: Result) -> Result | None:
    shown = _answered(ctx, [str(result["SnapshotId"])])
    if shown is None:
        return None
    return shown[0] if shown else result  # deleted meanwhile, by who has listed it


def _no_one(ctx: Context, _request: Any, result: Result) -> Result | Exception:
    return _given_up(ctx, [str(result["SnapshotId"])]) or _one(ctx, _request, result) or result


@action("CreateSnapshot", changes=True, awaits=Awaits(_one, _no_one))
def create_snapshot(ctx: Context, request: CreateSnapshotRequestTypeDef) -> Result:
    """Make a snapshot of a volume, attached to an instance or to nothing.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``IncorrectState``, ``InvalidParameterValue``,
        ``UnsupportedOperation``; after the deadline ``ConcurrentSnapshotLimitExceeded``,
        ``Unavailable``
    """
    refusals.check(request, refused.SNAPSHOT)
    wanted = snapshots.Wanted(checked_description(request.get("Description")))
    given = tags.from_specifications(request, "snapshot")
    volume = _volume(ctx, request["VolumeId"])
    rows = snapshots.take(ctx, [volume], wanted)
    tags.put_all(ctx, "snapshot", {row.key: row.id for row in rows}, given)
    return _now(ctx, [rows[0].id])[0]


def _volume(ctx: Context, volume_id: str) -> Volume:
    if not ids.is_well_formed("vol", volume_id):
        raise forms.not_a_volume_id(volume_id, "volumeId")
    account, region = filters.unindexed(Volume.account_key), filters.unindexed(Volume.region)
    query = sa.select(Volume).where(
        Volume.id == volume_id, account == ctx.account_key, region == ctx.region
    )
    row = ctx.session.scalars(query).one_or_none()
    if row is None:
        raise errors.invalid_volume_not_found([volume_id])
    if row.phase not in snapshots.SNAPPED or row.state in ("creating", "deleting", "error"):
        raise snapshots.incorrect_volume_state(row.id, row.state)
    if row.instance_key is not None:
        instance = ctx.session.get_one(Instance, row.instance_key)
        if instance.phase not in _ALIVE:
            raise snapshots.incorrect_volume_state(row.id, row.state)
    return row


# -- all volumes of an instance


def _all(ctx: Context, _request: Any, result: Any) -> Result | None:
    shown = _answered(ctx, [one["SnapshotId"] for one in result["Snapshots"]])
    return {"Snapshots": shown} if shown is not None else None


def _not_all(ctx: Context, _request: Any, result: Any) -> Result | Exception:
    named = [one["SnapshotId"] for one in result["Snapshots"]]
    return _given_up(ctx, named) or {"Snapshots": _now(ctx, named)}


@action("CreateSnapshots", changes=True, awaits=Awaits(_all, _not_all))
def create_snapshots(ctx: Context, request: CreateSnapshotsRequestTypeDef) -> Result:
    """Make snapshots of an instance's volumes, all of one moment.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``IncorrectState``, ``InvalidParameterValue``, ``UnsupportedOperation``; after the
        deadline ``ConcurrentSnapshotLimitExceeded``, ``Unavailable``
    """
    refusals.check(request, refused.SNAPSHOT)
    wanted = snapshots.Wanted(checked_description(request.get("Description")))
    given = tags.from_specifications(request, "snapshot")
    copies_tags = _copies_tags(request.get("CopyTagsFromSource"))
    asked = request["InstanceSpecification"]
    volumes = _volumes(ctx, _instance(ctx, asked.get("InstanceId")), asked)
    rows = snapshots.take(ctx, volumes, wanted)
    theirs: Mapping[int, Sequence[Any]] = {}
    if copies_tags:
        theirs = tags.of(ctx, "volume", [volume.key for volume in volumes])
    for volume, row in zip(volumes, rows, strict=True):
        copied = {tag["Key"]: tag["Value"] for tag in theirs.get(volume.key, ())}
        tags.put(ctx, "snapshot", row.key, row.id, {**copied, **given})
    return {"Snapshots": _now(ctx, [row.id for row in rows])}


def _copies_tags(source: str | None) -> bool:
    if source not in (None, "volume"):
        raise errors.invalid_parameter_value(source, "copyTagsFromSource", "Expected: volume.")
    return source is not None


def _instance(ctx: Context, instance_id: str | None) -> Instance:
    if not instance_id:
        raise errors.missing_parameter("InstanceSpecification.InstanceId")
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
    if row.phase not in _ALIVE:
        raise _incorrect_instance_state(instance_id, row.phase)
    return row


def _incorrect_instance_state(instance_id: str, state: str) -> Ec2Error:
    return Ec2Error("IncorrectState", f"Instance '{instance_id}' is in the state '{state}'.")


def _volumes(ctx: Context, instance: Instance, asked: Mapping[str, Any]) -> list[Volume]:
    query = sa.select(Volume).where(Volume.instance_key == instance.key).order_by(Volume.key)
    attached = [one for one in ctx.session.scalars(query) if one.phase == "in-use"]
    kept = [
        one for one in attached if one.location is not None or not asked.get("ExcludeBootVolume")
    ]
    left_out = set(asked.get("ExcludeDataVolumeIds", ()))
    for volume_id in left_out - {one.id for one in attached if one.location is not None}:
        sentence = f"It is no data volume of the instance {instance.id}."
        raise errors.invalid_parameter_value(volume_id, "excludeDataVolumeId", sentence)
    kept = [one for one in kept if one.id not in left_out]
    if not kept:
        sentence = f"The instance {instance.id} has no volumes to make snapshots of."
        raise errors.invalid_parameter_value_text(sentence)
    return kept


# -- the answer


def checked_description(text: str | None) -> str:
    """Refuse what is too long to be kept.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if text is not None and len(text) > _DESCRIPTION_CHARACTERS:
        raise errors.invalid_parameter_value(
            text[:_DESCRIPTION_CHARACTERS] + "...",
            "description",
            f"Up to {_DESCRIPTION_CHARACTERS} characters are expected.",
        )
    return text or ""


def _answered(ctx: Context, named: list[str]) -> Sequence[Result] | None:
    return _now(ctx, named) if snapshots.fixed(ctx.session, named) else None


def _given_up(ctx: Context, named: list[str]) -> Exception | None:
    return None if snapshots.fixed(ctx.session, named) else snapshots.withdraw(ctx, named)


def _now(ctx: Context, named: Sequence[str]) -> Sequence[Result]:
    query = sa.select(Snapshot.__table__).where(Snapshot.id.in_(named)).order_by(Snapshot.key)
    rows = ctx.session.execute(query).all()
    tagged = tags.of(ctx, "snapshot", [row.key for row in rows])
    shown: list[SnapshotInfoTypeDef] = [
        {
            "Description": row.description,
            "Encrypted": False,
            "OwnerId": ctx.account_id,
            "Progress": f"{row.progress}%" if row.progress else "",
            "SnapshotId": row.id,
            "StartTime": row.started_at,
            "State": row.state,
            "VolumeId": row.volume_id,
            "VolumeSize": row.size_gib,
        }
        for row in rows
    ]
    for one, row in zip(shown, rows, strict=True):
        if tagged[row.key]:
            one["Tags"] = tagged[row.key]
    return [dict(one) for one in shown]
