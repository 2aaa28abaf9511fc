"""ModifyInstanceMetadataOptions: how an instance may be asked for its metadata, remembered.

Source: EC2 API Reference, ModifyInstanceMetadataOptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from translators.ec2.instances import attribute_changes, refusals, requested
from translators.guests import facts
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import ModifyInstanceMetadataOptionsRequestTypeDef


def read(ctx: Context, request: ModifyInstanceMetadataOptionsRequestTypeDef) -> dict[str, Any]:
    """Read the options that are to change.

    :raises Ec2Error: ``InvalidParameterValue``, ``UnsupportedOperation``
    """
    refusals.check(request, refusals.METADATA)
    return requested.metadata_options(request)


@action("ModifyInstanceMetadataOptions", changes=True, prepare=read)
def modify_instance_metadata_options(
    ctx: Context, request: ModifyInstanceMetadataOptionsRequestTypeDef
) -> Result:
    """Change the options that are given; the others stay.

    :raises Ec2Error: see `read`; ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``IncorrectInstanceState``
    """
    row = attribute_changes.find(ctx, request["InstanceId"])
    chosen = {**row.metadata_options, **ctx.prepared}
    attribute_changes.write(ctx, row, {"metadata_options": chosen})
    return {
        "InstanceId": row.id,
        # Pending in this answer, though they hold at once: EC2's clients wait for "applied".
        "InstanceMetadataOptions": {"State": "pending", **facts.METADATA_OPTIONS, **chosen},
    }
