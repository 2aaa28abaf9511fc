"""The card of an instance, in the Notes of its VM: what it takes to know it without its row.

Written when the VM is made, and anew when a start gives it another size; of what the owner changed
since, the card knows nothing. Hyper-V documents no longest Notes: ours stay below `_LONGEST`.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import ids, models
from translators.hyperv import vm

_LONGEST: Final = 2000
_PREFIXES: Final = {
    "reservation": "r",
    "image": "ami",
    "subnet": "subnet",
    "interface": "eni",
    "volume": "vol",
}
"""Field -> what its id begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the Notes tell of an instance."""

    account: str
    region: str
    reservation: str
    index: int
    launched: dt.datetime
    image: str
    file: str
    generation: int
    device: str
    type: str
    subnet: str
    interface: str
    attachment: str
    address: str
    mac: str
    volume: str
    size: int
    disk: str
    kept: bool
    platform: str | None = None
    key: str | None = None
    groups: tuple[str, ...] = ()


_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Card))
_KINDS: Final[Mapping[str, type]] = {
    "index": int,
    "generation": int,
    "size": int,
    "kept": bool,
}
"""Fields that are no text; `groups` is a list of texts."""
_OPTIONAL: Final = frozenset({"platform", "key", "groups"})


def notes(session: Session, deployment: str, instance: models.Instance) -> str:
    """Write the Notes of an instance's VM; without a card where a part of it is missing."""
    card = _card(session, instance)
    return vm.notes(deployment, instance.id, _plain(card) if card is not None else {})


def read(text: str) -> Card | None:
    """Read the card of a VM's Notes; None where there is none, or not a whole one."""
    plain = vm.card(text)
    known: dict[str, Any] = {}
    for name in _FIELDS:
        value = plain.get(name)
        if value is None and name in _OPTIONAL:
            continue
        kind = _KINDS.get(name, list if name == "groups" else str)
        if type(value) is not kind:
            return None
        known[name] = value
    try:
        known["launched"] = dt.datetime.fromisoformat(known["launched"])
        ipaddress.IPv4Address(known["address"])
    except ValueError:
        return None
    known["groups"] = tuple(str(one) for one in known.get("groups", ()))
    formed = all(ids.is_well_formed(prefix, known[name]) for name, prefix in _PREFIXES.items())
    is_whole = formed and known["launched"].tzinfo is not None
    return Card(**known) if is_whole and ids.ACCOUNT.fullmatch(known["account"]) else None


def _plain(card: Card) -> dict[str, Any]:
    plain = {
        name: value
        for name, value in dataclasses.asdict(card).items()
        if value is not None and value != ()
    }
    plain["launched"] = card.launched.isoformat(timespec="microseconds")
    if len(vm.notes("", "", plain)) > _LONGEST:  # a key pair's name may be long, and odd
        plain.pop("key", None)
    return plain


def _card(session: Session, instance: models.Instance) -> Card | None:
    interface, volume = models.NetworkInterface, models.Volume
    port = session.scalars(
        sa.select(interface).where(
            interface.instance_key == instance.key, interface.device_index == 0
        )
    ).one_or_none()
    root = session.scalars(
        sa.select(volume).where(
            volume.instance_key == instance.key, volume.device == instance.root_device_name
        )
    ).one_or_none()
    if port is None or root is None or port.attachment_id is None:
        return None
    group = models.InterfaceGroup
    groups = session.scalars(
        sa.select(models.SecurityGroup.id)
        .join(group, group.group_key == models.SecurityGroup.key)
        .where(group.interface_key == port.key)
        .order_by(models.SecurityGroup.key)
    )
    return Card(
        account=session.get_one(models.Account, instance.account_key).id,
        region=instance.region,
        reservation=session.get_one(models.Reservation, instance.reservation_key).id,
        index=instance.launch_index,
        launched=instance.launch_time,
        image=instance.image_id,
        file=session.get_one(models.Image, instance.image_key).file_name,
        platform=instance.platform,
        generation=instance.vm_generation,
        device=instance.root_device_name,
        type=instance.type,
        subnet=session.get_one(models.Subnet, instance.subnet_key).id,
        interface=port.id,
        attachment=port.attachment_id,
        address=port.private_ip,
        mac=port.mac,
        volume=root.id,
        size=root.size_gib,
        disk=root.type,
        kept=not root.delete_on_termination,
        key=instance.key_name,
        groups=tuple(groups),
    )
