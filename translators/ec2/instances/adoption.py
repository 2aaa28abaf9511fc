"""Makes the rows of an instance out of its VM's card, for a state that does not know it.

All or nothing: what cannot be known again whole is left alone, and why is told.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from translators import port_rules, registry
from translators.ec2.instances import block_devices, password, seed_rows
from translators.ec2.instances.cards import Card
from translators.hyperv import vm
from translators.settings import Settings

M = TypeVar("M", bound=models.Base)
_NO_SNAPSHOT: Final = "snap-ffffffff"


class Unadoptable(Exception):
    """The VM cannot be known again whole; one line says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A VM of ours that no row knows."""

    id: str
    card: Card
    host_key: int
    one: vm.Vm
    boot_time: dt.datetime


def adopt(
    session: Session,
    found: Found,
    generation: int,
    settings: Settings,
    now: dt.datetime,
    make_room: Callable[[int], None],
) -> models.Instance:
    """Write the instance with its reservation, interface and root disk.

    `make_room` is told the network's key and may free the address there. Whoever catches the
    exception undoes what was written.

    :raises Unadoptable:
    """
    card = found.card
    host = session.get_one(models.Host, found.host_key)
    if host.region not in {card.region, "*"}:
        raise Unadoptable(f"its region {card.region} is not its host's")
    account = _account(session, card, now)
    _prepare_region(session, account, card.region, settings, now)
    subnet = _subnet(session, account, card)
    make_room(subnet.network_key)
    _check_free(session, card, subnet.network_key)
    image = _image(session, account, card, now)
    public_key = _public_key(session, account, card)
    owner = {"account_key": account.key, "region": card.region}
    instance = models.Instance(
        id=found.id,
        **owner,
        reservation_key=_reservation(session, card.reservation, owner),
        launch_index=card.index,
        image_id=card.image,
        image_key=image.key,
        type=card.type,
        processors=found.one.processors,
        memory_bytes=found.one.memory_bytes,
        key_name=card.key,
        zone=subnet.zone,
        host_key=host.key,
        vpc_key=subnet.vpc_key,
        subnet_key=subnet.key,
        phase="stopped" if found.one.state in vm.OFF_STATES else "running",
        generation=generation,
        phase_since=now,
        launch_time=card.launched,
        platform=card.platform,
        vm_generation=card.generation,
        vm_id=found.one.id,
        root_device_name=card.device,
        options={"PublicKey": public_key} if public_key is not None else {},
        # The same as its disc said: the password is made of the instance's id.
        password_data=password.of_disc(settings, image, public_key, found.id, {}),
    )
    session.add(instance)
    session.flush()
    _interface(session, instance, subnet, card, owner)
    _volume(session, instance, image, card, owner)
    runs = found.one.state not in vm.OFF_STATES
    session.add(
        models.Look(
            instance_key=instance.key,
            vm_state=found.one.state,
            heartbeat=found.one.heartbeat,
            answered_at=now if (found.one.heartbeat or "").startswith("Ok") else None,
            addresses=[],
            host_boot_time=found.boot_time if runs else None,
            changed_at=now,
        )
    )
    session.add(seed_rows.adopted(instance.key, now))
    session.flush()
    return instance


def _account(session: Session, card: Card, now: dt.datetime) -> models.Account:
    account = _one(session, models.Account, models.Account.id == card.account)
    if account is None:  # made after the copy; `ec2gw account key` gives it a key again
        account = models.Account(id=card.account, name=f"recovered-{card.account}", created_at=now)
        session.add(account)
        session.flush()
    return account


def _prepare_region(
    session: Session, account: models.Account, region: str, settings: Settings, now: dt.datetime
) -> None:
    """Give the account what it finds in a region, if it comes there for the first time."""
    if session.get(models.AccountRegion, (account.key, region)) is not None:
        return
    session.add(models.AccountRegion(account_key=account.key, region=region, created_at=now))
    session.flush()
    ctx = registry.Context(
        session=session,
        account_id=account.id,
        account_key=account.key,
        region=region,
        request_id="recovery",
        now=now,
        settings=settings,
    )
    for make in registry.FIRST_REQUEST:
        make(ctx)
    session.flush()


def _subnet(session: Session, account: models.Account, card: Card) -> models.Subnet:
    """The subnet by its id; else, when it was made after the copy, one with that address in it."""
    row = models.Subnet
    query = sa.select(row).where(row.account_key == account.key, row.region == card.region)
    subnets = session.scalars(query.order_by(row.default_for_az.desc(), row.key)).all()
    address = ipaddress.IPv4Address(card.address)
    holding = [one for one in subnets if address in ipaddress.IPv4Network(one.cidr)]
    named = [one for one in subnets if one.id == card.subnet]
    if not (named or holding):
        raise Unadoptable(f"no subnet has its address {card.address}")
    if named and named[0] not in holding:
        raise Unadoptable(f"its address {card.address} is not in its subnet {card.subnet}")
    return (named or holding)[0]


def _check_free(session: Session, card: Card, network_key: int) -> None:
    interface, volume = models.NetworkInterface, models.Volume
    here = sa.and_(interface.network_key == network_key, interface.private_ip == card.address)
    other = _one(
        session, interface, here | (interface.id == card.interface) | (interface.mac == card.mac)
    )
    if other is not None:
        raise Unadoptable(f"its interface {card.interface}, {card.address}, meets {other.id}")
    if _one(session, volume, volume.id == card.volume) is not None:
        raise Unadoptable(f"its disk {card.volume} is known already, of something else")


def _image(session: Session, account: models.Account, card: Card, now: dt.datetime) -> models.Image:
    image = _one(session, models.Image, models.Image.id == card.image)
    if image is None:  # made after the copy: its disk is there, its name nobody knows
        image = models.Image(
            id=card.image,
            account_key=account.key,
            region=card.region,
            name=card.image,
            file_name=card.file,
            state="deregistered",
            platform=card.platform,
            generation=card.generation,
            root_device_name=card.device,
            size_gib=card.size,
            snapshot_id=_NO_SNAPSHOT,
            created_at=now,
        )
        session.add(image)
        session.flush()
    return image


def _public_key(session: Session, account: models.Account, card: Card) -> str | None:
    """The key pair of that name, if there is one still: it may be another one since."""
    pair = models.KeyPair
    query = sa.select(pair.public_key).where(
        pair.account_key == account.key, pair.region == card.region, pair.name == card.key
    )
    return session.scalar(query)


def _reservation(session: Session, name: str, owner: dict[str, Any]) -> int:
    found = _one(session, models.Reservation, models.Reservation.id == name)
    if found is None:
        found = models.Reservation(id=name, **owner)
        session.add(found)
        session.flush()
    return found.key


def _interface(
    session: Session,
    instance: models.Instance,
    subnet: models.Subnet,
    card: Card,
    owner: dict[str, Any],
) -> None:
    interface = models.NetworkInterface(
        id=card.interface,
        **owner,
        vpc_key=subnet.vpc_key,
        subnet_key=subnet.key,
        network_key=subnet.network_key,
        zone=subnet.zone,
        mac=card.mac,
        private_ip=card.address,
        instance_key=instance.key,
        attachment_id=card.attachment,
        attachment_status="attached",
        attach_time=card.launched,
    )
    session.add(interface)
    session.flush()
    groups = _groups(session, subnet.vpc_key, card.groups)
    for group_key in groups:
        session.add(models.InterfaceGroup(interface_key=interface.key, group_key=group_key))
    session.add(models.InterfaceRules(interface_key=interface.key, changed_at=instance.phase_since))
    port_rules.joined_or_left(session, groups, instance.phase_since)


def _groups(session: Session, vpc_key: int, names: Sequence[str]) -> Sequence[int]:
    """Its groups as far as they are there, else the VPC's own."""
    group = models.SecurityGroup
    query = sa.select(group.key).where(group.vpc_key == vpc_key)
    found = session.scalars(query.where(group.id.in_(names))).all()
    return found or session.scalars(query.where(group.name == "default")).all()


def _volume(
    session: Session,
    instance: models.Instance,
    image: models.Image,
    card: Card,
    owner: dict[str, Any],
) -> None:
    session.add(
        models.Volume(
            id=card.volume,
            **owner,
            zone=instance.zone,
            host_key=instance.host_key,
            size_gib=card.size,
            type=card.disk,
            snapshot_id=image.snapshot_id,
            image_key=image.key,
            snapshot_key=image.snapshot_key,
            state="in-use",
            phase="in-use",
            generation=instance.generation,
            phase_since=instance.phase_since,
            created_at=card.launched,
            instance_key=instance.key,
            device=card.device,
            attachment_state="attached",
            attach_time=card.launched,
            delete_on_termination=not card.kept,
            file_name=block_devices.ROOT_FILE,
        )
    )


def _one(session: Session, model: type[M], which: sa.ColumnElement[bool]) -> M | None:
    return session.scalars(sa.select(model).where(which).limit(1)).one_or_none()
