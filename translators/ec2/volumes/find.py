"""The rows that an action on one volume names: the volume, and the instance beside it.

Source: EC2 API Reference, the errors of AttachVolume.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Instance, Volume
from translators import errors, forms, listing
from translators.ec2.volumes.describe import VOLUMES
from translators.registry import Context

ONE: Final = dataclasses.replace(
    VOLUMES,
    ids_word="volumeId",
    malformed=lambda text: forms.not_a_volume_id(text, "volumeId"),
)
"""As actions on one volume name it."""
ATTACHED: Final = ("moving", "attaching", "in-use", "detaching")
"""Phases in which a volume is, or is to be, some instance's."""


def volume(ctx: Context, volume_id: str) -> Any:
    """Read a volume of the caller's.

    :raises Ec2Error: ``InvalidParameterValue``, ``InvalidVolume.NotFound``
    """
    key, _ = listing.find(ctx, ONE, [volume_id])[volume_id]
    return ctx.session.execute(sa.select(Volume.__table__).where(Volume.key == key)).one()


def instance(ctx: Context, instance_id: str) -> Any:
    """Read an instance of the caller's; one that is gone is not found.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``
    """
    if not ids.is_well_formed("i", instance_id):
        raise forms.not_an_instance_id(instance_id)
    row = ctx.session.execute(
        sa.select(Instance.__table__).where(
            Instance.id == instance_id,
            Instance.account_key == ctx.account_key,
            Instance.region == ctx.region,
            Instance.phase != "terminated",
        )
    ).one_or_none()
    if row is None:
        raise errors.invalid_instance_id_not_found([instance_id])
    return row


def instance_id(ctx: Context, key: int) -> str:
    """The id of the instance that a volume is attached to."""
    return ctx.session.scalars(sa.select(Instance.id).where(Instance.key == key)).one()
