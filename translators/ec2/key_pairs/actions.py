"""CreateKeyPair, ImportKeyPair, DescribeKeyPairs, DeleteKeyPair.

Source: EC2 API Reference, the actions of these names, data type KeyPairInfo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import KeyPair
from translators import errors, listing, tags
from translators.ec2.key_pairs import material
from translators.filters import Filter, text
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CreateKeyPairRequestTypeDef,
        DeleteKeyPairRequestTypeDef,
        DescribeKeyPairsRequestTypeDef,
        ImportKeyPairRequestTypeDef,
        KeyPairInfoTypeDef,
    )

_NAME_CHARACTERS: Final = 255
_MOST: Final = 5000
"""EC2's quota of key pairs in a region."""

FILTERS: Final[Mapping[str, Filter]] = {
    "key-pair-id": text(KeyPair.id),
    "fingerprint": text(KeyPair.fingerprint),
    "key-name": text(KeyPair.name),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(sa.select(KeyPair.__table__).where(KeyPair.key.in_(keys)))
    tagged = tags.of(ctx, "key-pair", keys)
    return {row.key: _shown(row, tagged[row.key]) for row in rows}


def _shown(row: Any, tagged: list[Any]) -> KeyPairInfoTypeDef:
    return {
        "CreateTime": row.created_at,
        "KeyFingerprint": row.fingerprint,
        "KeyName": row.name,
        "KeyPairId": row.id,
        "KeyType": row.type,
        "PublicKey": row.public_key,
        "Tags": tagged,
    }


KEY_PAIRS: Final = listing.Resource(
    action="DescribeKeyPairs",
    kind="key-pair",
    model=KeyPair,
    prefix="key",
    id_member="KeyPairIds",
    ids_word="keyPairIdSet",
    malformed=lambda given: errors.invalid_key_pair_not_found([given]),
    not_found=errors.invalid_key_pair_not_found,
    filters=FILTERS,
    view=_view,
)


def _make(ctx: Context, request: CreateKeyPairRequestTypeDef) -> material.Made:
    # All that can be refused comes first: nothing else in a request costs as much as a key.
    _check_free(ctx, request["KeyName"])
    tags.from_specifications(request, "key-pair")
    if request.get("KeyFormat", "pem") != "pem":
        if request["KeyFormat"] != "ppk":
            raise errors.invalid_parameter_value(
                request["KeyFormat"], "keyFormat", "Valid values are pem and ppk."
            )
        raise errors.unsupported_operation("KeyFormat")
    kind = request.get("KeyType", "rsa")
    if kind not in ("rsa", "ed25519"):
        raise errors.invalid_parameter_value(kind, "keyType", "Valid values are rsa and ed25519.")
    return material.make(kind)


@action("CreateKeyPair", changes=True, prepare=_make)
def create_key_pair(ctx: Context, request: CreateKeyPairRequestTypeDef) -> Result:
    """Make a key pair and answer its private half, this once.

    :raises Ec2Error: ``InvalidKeyPair.Duplicate``, ``InvalidParameterValue``
    """
    made: material.Made = ctx.prepared
    answer = _keep(ctx, request, material.Read(made.type, made.public_key, made.fingerprint))
    return {**answer, "KeyMaterial": made.private_key}


def _read(_ctx: Context, request: ImportKeyPairRequestTypeDef) -> material.Read:
    given = request["PublicKeyMaterial"]
    assert isinstance(given, bytes), "a blob of the model is bytes"
    try:
        return material.read(given)
    except material.Unreadable:
        raise errors.invalid_key_format() from None


@action("ImportKeyPair", changes=True, prepare=_read)
def import_key_pair(ctx: Context, request: ImportKeyPairRequestTypeDef) -> Result:
    """Take the public half of a key pair that was made elsewhere.

    :raises Ec2Error: ``InvalidKey.Format``, ``InvalidKeyPair.Duplicate``,
        ``InvalidParameterValue``
    """
    return _keep(ctx, request, ctx.prepared)


@action("DescribeKeyPairs")
def describe_key_pairs(ctx: Context, request: DescribeKeyPairsRequestTypeDef) -> Result:
    """List the account's key pairs, with their public halves if asked for.

    :raises Ec2Error: ``InvalidKeyPair.NotFound`` for a name or id that is not there
    """
    named = _ids(ctx, request.get("KeyNames") or ())
    if named:
        request = {**request, "KeyPairIds": [*(request.get("KeyPairIds") or ()), *named]}
    page = listing.describe(ctx, KEY_PAIRS, request)
    # No fragments: whether the public key shows differs by request.
    views = page.views()
    if not request.get("IncludePublicKey"):
        for view in views:
            del view["PublicKey"]
    return page.answer("KeyPairs", views)


@action("DeleteKeyPair", changes=True)
def delete_key_pair(ctx: Context, request: DeleteKeyPairRequestTypeDef) -> Result:
    """Delete a key pair; one that is not there is success, as EC2 has it.

    :raises Ec2Error: ``MissingParameter`` without name and id
    """
    name, key_id = request.get("KeyName"), request.get("KeyPairId")
    if not name and not key_id:
        raise errors.missing_parameter("KeyName")
    given = [KeyPair.name == name] if name else []
    given += [KeyPair.id == key_id] if key_id else []
    row = ctx.session.execute(
        sa.select(KeyPair.key, KeyPair.id).where(listing.owned(ctx, KeyPair), *given)
    ).one_or_none()
    if row is None:
        return {"Return": True}
    tags.remove_all(ctx, "key-pair", row.key)
    ctx.session.execute(sa.delete(KeyPair).where(KeyPair.key == row.key))
    return {"Return": True, "KeyPairId": row.id}


def _keep(
    ctx: Context,
    request: CreateKeyPairRequestTypeDef | ImportKeyPairRequestTypeDef,
    key: material.Read,
) -> dict[str, object]:
    name = request["KeyName"]
    _check_free(ctx, name)
    mine = sa.select(sa.func.count()).select_from(KeyPair).where(listing.owned(ctx, KeyPair))
    if (ctx.session.scalar(mine) or 0) >= _MOST:
        raise errors.key_pair_limit_exceeded(_MOST)
    given = tags.from_specifications(request, "key-pair")
    row = KeyPair(
        id=ids.mint("key"),
        account_key=ctx.account_key,
        region=ctx.region,
        name=name,
        type=key.type,
        fingerprint=key.fingerprint,
        public_key=f"{key.public_key} {name}",  # one line: the name is printable ASCII
        created_at=ctx.now,
    )
    ctx.session.add(row)
    ctx.session.flush()
    tags.put(ctx, "key-pair", row.key, row.id, given)
    return {
        "KeyFingerprint": key.fingerprint,
        "KeyName": name,
        "KeyPairId": row.id,
        "Tags": [{"Key": tag, "Value": value} for tag, value in sorted(given.items())],
    }


def _check_free(ctx: Context, name: str) -> None:
    if not name.isascii() or not name.isprintable():
        raise errors.invalid_parameter_value(
            name, "KeyName", "Character sets beyond ASCII are not supported."
        )
    if not name or len(name) > _NAME_CHARACTERS or name != name.strip():
        raise errors.invalid_parameter_value(
            name,
            "KeyName",
            f"Up to {_NAME_CHARACTERS} characters, without spaces at the ends, are expected.",
        )
    taken = sa.select(KeyPair.key).where(listing.owned(ctx, KeyPair), KeyPair.name == name)
    if ctx.session.scalar(taken) is not None:
        raise errors.invalid_key_pair_duplicate(name)


def _ids(ctx: Context, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    found = {
        name: key_id
        for name, key_id in ctx.session.execute(
            sa.select(KeyPair.name, KeyPair.id).where(
                listing.owned(ctx, KeyPair), KeyPair.name.in_(names)
            )
        )
    }
    if missing := [name for name in dict.fromkeys(names) if name not in found]:
        raise errors.invalid_key_pair_not_found(missing)
    return list(found.values())
