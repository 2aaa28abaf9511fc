"""Who may see and launch an image, and whose it is.

Source: EC2 User Guide, "Understand shared AMI usage in Amazon EC2".
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Image, ImagePermission
from translators import errors, listing, zones
from translators.ec2.images import image_errors
from translators.filters import Condition
from translators.registry import Context

HERE: Final[Condition] = sa.or_(Image.region == listing.REGION, Image.region == zones.ANY)
AVAILABLE: Final[Condition] = Image.state != "deregistered"


def shared_with(account: Any) -> Condition:
    """Images that the account was named for, one by one."""
    permitted = sa.select(ImagePermission.image_key).where(ImagePermission.account_key == account)
    return Image.key.in_(permitted)


VISIBLE: Final[Condition] = sa.and_(
    HERE,
    sa.or_(Image.account_key == listing.ACCOUNT, Image.public, shared_with(listing.ACCOUNT)),
)


def owned(ctx: Context, image_id: str) -> Image:
    """Load an image that the caller owns, for what only owners may do.

    :raises Ec2Error: ``InvalidAMIID.Malformed``, ``InvalidAMIID.NotFound``, ``AuthFailure``,
        ``InvalidAMIID.Unavailable`` for one that was deregistered
    """
    if not ids.is_well_formed("ami", image_id):
        raise errors.invalid_ami_id_malformed(image_id)
    query = sa.select(Image).where(Image.id == image_id, HERE)
    row = ctx.session.scalars(query, {"region": ctx.region}).one_or_none()
    if row is None:
        raise errors.invalid_ami_id_not_found([image_id])
    if row.account_key != ctx.account_key:
        raise image_errors.not_authorized_for_image(image_id)
    if row.state == "deregistered":
        raise errors.invalid_ami_id_unavailable(image_id)
    return row


def visible(ctx: Context, image_id: str, region: str) -> Image:
    """Load an image of a region that the caller may launch.

    :raises Ec2Error: ``InvalidAMIID.Malformed``, ``InvalidAMIID.NotFound``,
        ``InvalidAMIID.Unavailable``
    """
    if not ids.is_well_formed("ami", image_id):
        raise errors.invalid_ami_id_malformed(image_id)
    asked = {"region": region, "account": ctx.account_key}
    row = ctx.session.scalars(
        sa.select(Image).where(Image.id == image_id, VISIBLE, AVAILABLE), asked
    ).one_or_none()
    if row is None:
        raise errors.invalid_ami_id_not_found([image_id])
    if row.state != "available":
        raise errors.invalid_ami_id_unavailable(image_id)
    return row


def check_free(ctx: Context, name: str) -> None:
    """Refuse a name that an image of the caller has already.

    :raises Ec2Error: ``InvalidAMIName.Duplicate``
    """
    query = sa.select(Image.id).where(
        Image.account_key == ctx.account_key, Image.name == name, HERE, AVAILABLE
    )
    taken = ctx.session.scalar(query, {"region": ctx.region})
    if taken is not None:
        raise image_errors.invalid_ami_name_duplicate(name, taken)
