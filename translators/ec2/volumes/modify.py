"""ModifyVolume and DescribeVolumesModifications.

Source: EC2 API Reference, the two actions; EBS User Guide, "Requirements for Amazon EBS volume
modifications" and "Monitor the progress of Amazon EBS volume modifications".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Instance, Volume, VolumeModification
from translators import errors, forms, listing, refusals, volume_types
from translators.ec2.volumes import describe, find, placement, refused, volume_errors
from translators.filters import Filter, always, number, text, through, time
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeVolumesModificationsRequestTypeDef,
        ModifyVolumeRequestTypeDef,
    )

_UNDER_WAY: Final = ("modifying", "optimizing")
_PROVISIONED_IOPS: Final = 3000
"""What a volume gets whose new type wants them named, and whose request names none."""


@action("ModifyVolume", changes=True)
def modify_volume(ctx: Context, request: ModifyVolumeRequestTypeDef) -> Result:
    """Ask for a volume to become larger, faster or of another type, in use or not.

    The volume shows its new size once its host was seen with it.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``IncorrectState``,
        ``IncorrectModificationState``, ``VolumeModificationRateExceeded``,
        ``InvalidParameterValue``, ``InvalidParameterCombination``, ``MissingParameter``,
        ``InsufficientVolumeCapacity``, ``UnsupportedOperation``
    """
    refusals.check(request, refused.MODIFICATION)
    row = find.volume(ctx, request["VolumeId"])
    if not any(name in request for name in ("Size", "VolumeType", "Iops", "Throughput")):
        raise errors.missing_parameter("size or volumeType or iops or throughput")
    if row.state not in ("available", "in-use"):
        raise volume_errors.not_available(row.id)
    _check_rate(ctx, row)
    target = _target(row, request)
    if target.size_gib > row.size_gib:
        _check_growth(ctx, row, target.size_gib - row.size_gib)
    original = volume_types.Volume(row.size_gib, row.type, describe.iops_of(row), row.throughput)
    made = VolumeModification(
        volume_key=row.key,
        state="modifying",
        progress=0,
        original=original.columns(),
        target=target.columns(),
        started_at=ctx.now,
    )
    ctx.session.add(made)
    # The host keeps one floor for all modifications of a volume, so its generation goes up.
    ctx.session.execute(
        sa.update(Volume).where(Volume.key == row.key).values(generation=Volume.generation + 1)
    )
    ctx.session.flush()
    ctx.wake.add(row.host_key)
    return {"VolumeModification": _shown(row.id, made)}


def _check_rate(ctx: Context, row: Any) -> None:
    newest = ctx.session.scalars(
        sa.select(VolumeModification)
        .where(VolumeModification.volume_key == row.key)
        .order_by(VolumeModification.key.desc())
        .limit(1)
    ).one_or_none()
    if newest is None:
        return
    if newest.state in _UNDER_WAY:
        raise volume_errors.being_modified()
    pause = dt.timedelta(seconds=ctx.settings.volume_modification_pause_seconds)
    if newest.state == "completed" and ctx.now - newest.started_at < pause:
        raise volume_errors.modification_rate_exceeded()


def _target(row: Any, request: ModifyVolumeRequestTypeDef) -> volume_types.Volume:
    """What the volume is to be; what is not named stays, or is what a new type begins with."""
    kind: str = request.get("VolumeType", row.type)
    size = request.get("Size", row.size_gib)
    if size < row.size_gib:
        raise volume_errors.smaller()
    iops, throughput = request.get("Iops"), request.get("Throughput")
    rule = volume_types.rule_of(kind)
    if kind == row.type:
        if iops is None and rule.iops is not None:
            iops = row.iops
        if throughput is None and rule.throughput is not None:
            throughput = row.throughput
    return volume_types.settle(kind, size, iops, throughput, iops_default=_PROVISIONED_IOPS)


def _check_growth(ctx: Context, row: Any, more_gib: int) -> None:
    placement.check_room(ctx, row.host_key, more_gib)
    if row.instance_key is None or row.location is not None:
        return
    query = sa.select(Instance.phase, Instance.vm_generation).where(
        Instance.key == row.instance_key
    )
    instance = ctx.session.execute(query).one()
    if instance.vm_generation == 1 and instance.phase != "stopped":
        raise volume_errors.root_grows_while_off(row.id)


# -- what is shown of it

_NEWEST: Final = VolumeModification.key.in_(
    sa.select(sa.func.max(VolumeModification.key)).group_by(VolumeModification.volume_key)
)
_MODIFIED: Final = Volume.key.in_(sa.select(VolumeModification.volume_key))


def _of_newest(inner: Filter) -> Filter:
    return through(Volume.key, VolumeModification.volume_key, inner, _NEWEST)


def _whole(document: Any, member: str) -> Filter:
    return _of_newest(number(document[member].as_integer()))


FILTERS: Final[Mapping[str, Filter]] = {
    "modification-state": _of_newest(text(VolumeModification.state)),
    "original-iops": _whole(VolumeModification.original, "iops"),
    "original-size": _whole(VolumeModification.original, "size_gib"),
    "original-volume-type": _of_newest(text(VolumeModification.original["type"].as_string())),
    "originalMultiAttachEnabled": always("false"),
    "start-time": _of_newest(time(VolumeModification.started_at)),
    "target-iops": _whole(VolumeModification.target, "iops"),
    "target-size": _whole(VolumeModification.target, "size_gib"),
    "target-volume-type": _of_newest(text(VolumeModification.target["type"].as_string())),
    "targetMultiAttachEnabled": always("false"),
    "volume-id": text(Volume.id),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(VolumeModification, Volume.id)
        .join(Volume, Volume.key == VolumeModification.volume_key)
        .where(VolumeModification.volume_key.in_(keys), _NEWEST)
    )
    return {made.volume_key: _shown(volume_id, made) for made, volume_id in rows}


def _shown(volume_id: str, made: VolumeModification) -> Any:
    shown: dict[str, Any] = {
        "VolumeId": volume_id,
        "ModificationState": made.state,
        "Progress": made.progress,
        "StartTime": made.started_at,
    }
    for word, volume in (("Original", made.original), ("Target", made.target)):
        shown[f"{word}Size"] = volume["size_gib"]
        shown[f"{word}VolumeType"] = volume["type"]
        shown[f"{word}MultiAttachEnabled"] = False
        for name in ("iops", "throughput"):
            if volume[name] is not None:
                shown[word + name.capitalize()] = volume[name]
    if made.message is not None:
        shown["StatusMessage"] = made.message
    if made.ended_at is not None:
        shown["EndTime"] = made.ended_at
    return shown


MODIFICATIONS: Final = listing.Resource(
    action="DescribeVolumesModifications",
    kind=None,
    model=Volume,
    prefix="vol",
    id_member="VolumeIds",
    ids_word="volumeSet",
    malformed=forms.not_a_volume_id,
    not_found=lambda ids: volume_errors.modification_not_found(next(iter(ids))),
    filters=FILTERS,
    view=_view,
    exists=_MODIFIED,
    max_results=(5, 500),
    cut_max_results=True,
)


@action("DescribeVolumesModifications")
def describe_volumes_modifications(
    ctx: Context, request: DescribeVolumesModificationsRequestTypeDef
) -> Result:
    """List each volume's newest modification; one that was never modified has none.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``InvalidVolumeModification.NotFound``,
        ``InvalidParameterValue``
    """
    _check_known(ctx, request.get("VolumeIds", ()))
    page = listing.describe(ctx, MODIFICATIONS, request)
    return page.answer("VolumesModifications", page.views())


def _check_known(ctx: Context, named: Sequence[str]) -> None:
    """Tell a volume that was never modified from one that does not exist."""
    query = sa.select(Volume.id).where(Volume.id.in_(named), listing.owned(ctx, Volume))
    known = set(ctx.session.scalars(query))
    wanted = [text for text in named if ids.is_well_formed("vol", text)]
    if missing := [text for text in wanted if text not in known]:
        raise errors.invalid_volume_not_found(missing)
