"""GetPasswordData, and what a launch of a Windows image writes for it.

Where the guest's disc carries its administrator's password, the ciphertext is written with the
launch; else the guest posts it to the metadata service. Only who has the key pair's private half
can read either.

Source: EC2 API Reference, GetPasswordData; EC2 User Guide, "Connect to your Windows instance".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Instance
from state.statements import Statement
from translators import listing
from translators.ec2.instances import describe, instance_errors
from translators.guests import passwords, policy
from translators.registry import Context, Result, action
from translators.settings import Settings

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import GetPasswordDataRequestTypeDef

_KEPT: Final = Statement(
    sa.select(Instance.phase, Instance.launch_time, Instance.password_data).where(
        Instance.key == sa.bindparam("key")
    )
)


@action("GetPasswordData")
def get_password_data(ctx: Context, request: GetPasswordDataRequestTypeDef) -> Result:
    """Answer the administrator's password as it was encrypted; "" where there is none (yet).

    That is so of every instance that is no Windows, or has no key pair, as EC2 has it.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``
    """
    instance_id = request["InstanceId"]
    [(key, _)] = listing.find(ctx, describe.ONE, [instance_id]).values()
    [row] = _KEPT.named(ctx.session, {"key": key})
    # What its disc says nobody has read before the VM runs for the first time.
    there = row.password_data is not None and row.phase != "pending"
    return {
        "InstanceId": instance_id,
        "Timestamp": row.launch_time,
        "PasswordData": row.password_data if there else "",
    }


def check_key(image: Any, public_key: str | None) -> None:
    """Refuse a key pair that no password can be encrypted for, where there will be one.

    :raises Ec2Error: ``Unsupported``
    """
    is_windows = image.platform == "windows"
    if is_windows and public_key is not None and not passwords.is_rsa(public_key):
        raise instance_errors.ed25519_with_windows()


def of_disc(
    settings: Settings,
    image: Any,
    public_key: str | None,
    instance_id: str,
    options: Mapping[str, Any],
) -> str | None:
    """Encrypt the password that an instance's disc carries; None: it carries none.

    About 0.1 ms; each instance of a launch has a password of its own.
    """
    if public_key is None or not passwords.is_rsa(public_key):
        return None
    guest = policy.of_image(settings.guest, image.guest)
    if not passwords.is_ours(image.platform, guest, settings, options):
        return None
    given = passwords.given(instance_id, settings.password_key)
    return passwords.sealed(given, public_key)
