"""STS's GetCallerIdentity: which account signs.

Source: STS API Reference, GetCallerIdentity; IAM User Guide, "IAM identifiers".
"""

from __future__ import annotations

from translators import zones
from translators.registry import Context, Result, action


@action("GetCallerIdentity", service="sts")
def get_caller_identity(ctx: Context, _request: object) -> Result:
    """Answer the account; keys belong to the account itself, as a root user's do."""
    return {
        "Account": ctx.account_id,
        "Arn": f"arn:{zones.partition(ctx.region)}:iam::{ctx.account_id}:root",
        "UserId": ctx.account_id,
    }
