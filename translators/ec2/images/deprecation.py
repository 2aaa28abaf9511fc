"""EnableImageDeprecation and DisableImageDeprecation: an image that is advised against.

It can still be launched; who does not own it no longer finds it in lists.

Source: EC2 User Guide, "Deprecate an AMI"; EC2 API Reference, the actions of these names.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from translators import errors
from translators.ec2.images import rights
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DisableImageDeprecationRequestTypeDef,
        EnableImageDeprecationRequestTypeDef,
    )

_LATEST_YEARS: Final = 10


@action("EnableImageDeprecation", changes=True)
def enable_image_deprecation(ctx: Context, request: EnableImageDeprecationRequestTypeDef) -> Result:
    """Say from when on an image is deprecated; seconds are rounded to the minute.

    :raises Ec2Error: ``InvalidParameterValue`` for the past and for more than ten years; see
        `rights.owned`
    """
    given: Any = request["DeprecateAt"]
    at: dt.datetime = given.astimezone(dt.UTC)
    at = (at + dt.timedelta(seconds=30)).replace(second=0, microsecond=0)
    row = rights.owned(ctx, request["ImageId"])
    if at < ctx.now:
        raise errors.invalid_parameter_value_text("The deprecation date must be in the future.")
    if at > ctx.now + dt.timedelta(days=366 * _LATEST_YEARS):
        sentence = f"The deprecation date must be within {_LATEST_YEARS} years from now."
        raise errors.invalid_parameter_value_text(sentence)
    row.deprecated_at = at
    return {"Return": True}


@action("DisableImageDeprecation", changes=True)
def disable_image_deprecation(
    ctx: Context, request: DisableImageDeprecationRequestTypeDef
) -> Result:
    """Advise against an image no more; of one that is not deprecated nothing is to be done.

    :raises Ec2Error: see `rights.owned`
    """
    rights.owned(ctx, request["ImageId"]).deprecated_at = None
    return {"Return": True}
