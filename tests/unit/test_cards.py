"""The card in a VM's Notes: what is written is read again, and nothing else is taken for one."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import ids, models
from state.store import Store
from tests import rows
from translators.ec2.instances import cards
from translators.hyperv import vm

WHOLE = {
    "account": "123456789012",
    "region": "us-east-1",
    "reservation": "r-0123456789abcdef0",
    "index": 0,
    "launched": "2026-01-02T03:04:05.000006+00:00",
    "image": "ami-0123456789abcdef0",
    "file": "linux.vhdx",
    "generation": 2,
    "device": "/dev/sda1",
    "type": "t3.micro",
    "subnet": "subnet-0123456789abcdef0",
    "interface": "eni-0123456789abcdef0",
    "attachment": "eni-attach-0123456789abcdef0",
    "address": "172.31.0.4",
    "mac": "02:00:00:00:00:01",
    "volume": "vol-0123456789abcdef0",
    "size": 8,
    "disk": "gp3",
    "kept": False,
}


def written(store: Store, **columns: Any) -> tuple[str, str]:
    """An instance's id, and the Notes of its VM."""

    def work(session: Any) -> tuple[str, str]:
        on = rows.ground(session)
        instance = rows.instance(session, on, "pending")
        instance.image_id = ids.mint("ami")
        for name, value in columns.items():
            setattr(instance, name, value)
        interface = session.query(models.NetworkInterface).one()
        interface.attachment_id = ids.mint("eni-attach")
        session.query(models.Volume).one().device = instance.root_device_name
        session.flush()
        return instance.id, cards.notes(session, rows.DEPLOYMENT, instance)

    return store.write(work)


def test_a_card_is_read_as_it_was_written(store: Store) -> None:
    name, notes = written(store, key_name="my key", launch_index=3, platform="windows")
    assert vm.owner(notes) == (rows.DEPLOYMENT, name)
    card = cards.read(notes)
    assert card is not None
    assert (card.key, card.index, card.platform) == ("my key", 3, "windows")
    assert card.launched == rows.NOW - dt.timedelta(hours=1)
    with store.read() as session:
        instance = session.query(models.Instance).one()
        interface = session.query(models.NetworkInterface).one()
        assert card.account == session.get_one(models.Account, instance.account_key).id
        assert (card.address, card.mac) == (interface.private_ip, interface.mac)
        assert card.interface == interface.id


@pytest.mark.parametrize("letter", ["k", "ß", "鍵", "\x01", '"'])
def test_no_name_makes_notes_long(store: Store, letter: str) -> None:
    _, notes = written(store, key_name=letter * 255)
    assert len(notes) <= 2100
    assert cards.read(notes) is not None


def test_an_instance_without_an_interface_has_notes_without_a_card(store: Store) -> None:
    def work(session: Any) -> tuple[str, str]:
        instance = rows.instance(session, rows.ground(session), "starting")
        session.query(models.NetworkInterface).delete()
        return instance.id, cards.notes(session, rows.DEPLOYMENT, instance)

    name, notes = store.write(work)
    assert vm.owner(notes) == (rows.DEPLOYMENT, name)
    assert cards.read(notes) is None


def read(**changed: Any) -> cards.Card | None:
    card = {name: value for name, value in {**WHOLE, **changed}.items() if value is not None}
    return cards.read(vm.notes("d", "i-1", card))


def test_a_card_that_lacks_anything_is_none() -> None:
    assert read() is not None
    for name in WHOLE:
        assert read(**{name: None}) is None, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account", "12"),
        ("address", "172.31.0.400"),
        ("image", "ami-1"),
        ("index", "0"),
        ("kept", 0),
        ("launched", "yesterday"),
        ("launched", "2026-01-02T03:04:05"),
        ("size", True),
        ("subnet", ["subnet-0123456789abcdef0"]),
        ("volume", "eni-0123456789abcdef0"),
    ],
)
def test_a_card_with_something_odd_in_it_is_none(name: str, value: object) -> None:
    assert read(**{name: value}) is None


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WHOLE, "groups", "key"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(st.text(max_size=40) | JUNK.map(json.dumps))
def test_whatever_somebody_writes_is_read_without_a_fault(text: str) -> None:
    assert cards.read(text) is None
    assert vm.owner(text) is None or "instance" in text


def test_notes_that_are_nested_without_end_are_none() -> None:
    assert vm.owner("[" * 100_000) is None
