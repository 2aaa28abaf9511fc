"""The UUID that firmware tells: one for each instance, and the same in either byte order."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import ids
from translators.guests import identity

INSTANCE_IDS = st.integers(0, 16**17 - 1).map(lambda number: f"i-{number:017x}")


@given(INSTANCE_IDS)
def test_a_uuid_leads_back_to_its_instance_in_either_byte_order(instance_id: str) -> None:
    text = identity.uuid(instance_id)
    read_the_other_way = uuid.UUID(bytes_le=uuid.UUID(text).bytes)
    assert str(read_the_other_way) == text
    assert text.startswith("ec2")
    assert identity.instance_id(text) == instance_id
    assert identity.instance_id(text.upper()) == instance_id


@given(st.uuids())
def test_a_uuid_of_somebody_else_is_no_instance_of_ours(other: uuid.UUID) -> None:
    assert identity.instance_id(str(other)) is None


def test_both_digits_of_a_uuid_that_tell_the_first_have_to_agree() -> None:
    text = identity.uuid("i-a123456789abcdef0")
    assert text == "ec2a2aec-c0c0-4a4a-1234-56789abcdef0"
    assert identity.instance_id(text.replace("2aec", "2bec")) is None
    assert identity.instance_id(text + "0") is None


def test_every_id_that_we_mint_has_a_uuid_and_the_older_short_form_has_none() -> None:
    minted = ids.mint("i")
    assert identity.instance_id(identity.uuid(minted)) == minted
    with pytest.raises(ValueError, match="no instance id"):
        identity.uuid("i-01234567")
