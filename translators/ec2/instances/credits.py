"""DescribeInstanceCreditSpecifications: what each instance's processors may do beyond its share.

No instance is ever slowed down here; the option is the one that was chosen at its launch, or its
type's. Without ids, those that are unlimited are listed, as EC2 does.

Source: EC2 API Reference, DescribeInstanceCreditSpecifications; EC2 User Guide, "Key concepts for
burstable performance instances".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Instance
from translators import errors, listing
from translators.ec2.instances import views
from translators.filters import text
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeInstanceCreditSpecificationsRequestTypeDef

_UNLIMITED: Final = "unlimited"
_STANDARD_BY_DEFAULT: Final = "t2."


def _option(ctx: Context) -> sa.ColumnElement[str]:
    """The credit option, as SQL over an instance."""
    unlimited = [
        one.name
        for one in ctx.settings.instance_types.values()
        if one.burstable and not one.name.startswith(_STANDARD_BY_DEFAULT)
    ]
    by_type = sa.case((Instance.type.in_(unlimited), _UNLIMITED), else_="standard")
    return sa.func.coalesce(Instance.options["CpuCredits"].as_string(), by_type)


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, dict[str, object]]:
    rows = ctx.session.execute(
        sa.select(Instance.key, Instance.id, _option(ctx).label("option")).where(
            Instance.key.in_(keys)
        )
    )
    return {row.key: {"InstanceId": row.id, "CpuCredits": row.option} for row in rows}


FILTERS: Final[Mapping[str, Any]] = {"instance-id": text(Instance.id)}
RESOURCE: Final = listing.Resource(
    action="DescribeInstanceCreditSpecifications",
    kind=None,
    model=Instance,
    prefix="i",
    id_member="InstanceIds",
    ids_word="instancesSet",
    malformed=errors.invalid_instance_id_malformed,
    not_found=errors.invalid_instance_id_not_found,
    filters=FILTERS,
    view=_view,
    exists=views.LISTED,
    parameters=views.listed_since,
)


@action("DescribeInstanceCreditSpecifications")
def describe_instance_credit_specifications(
    ctx: Context, request: DescribeInstanceCreditSpecificationsRequestTypeDef
) -> Result:
    """Tell the credit options; one of a type that is not burstable is standard.

    :raises Ec2Error: as DescribeInstances
    """
    narrow = () if request.get("InstanceIds") else (_option(ctx) == _UNLIMITED,)
    page = listing.describe(ctx, RESOURCE, request, narrow=narrow)
    return page.answer("InstanceCreditSpecifications", page.views())
