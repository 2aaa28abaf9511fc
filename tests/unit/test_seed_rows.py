"""What is remembered of guests' discs: which instances have one, when it goes, what is due."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.ec2.instances import attribute_changes, intents, seed_rows, seeds
from translators.ec2.key_pairs import actions
from translators.settings import Guest, InstanceType, Settings

SETTINGS = Settings(
    instance_types={"t3.micro": InstanceType("t3.micro", 2, 1024)},
    default_instance_type="t3.micro",
)
KIND = seeds.Seeds()
ROOMS = (attribute_changes, actions)
"""Imported for the actions that they register."""


@pytest.fixture
def cloud(store: Store) -> Cloud:
    return Cloud(store, SETTINGS)


@pytest.fixture(scope="module")
def public() -> bytes:
    """A key pair's half of RSA, as its owner imports it."""
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    )


def row(cloud: Cloud, instance_id: str) -> models.Seed | None:
    key = cloud.instance(instance_id).key
    return next((one for one in cloud.rows(models.Seed) if one.instance_key == key), None)


def run(cloud: Cloud, **request: Any) -> str:
    """Launch one and let it run."""
    [one] = cloud.run(1, **request)
    cloud.found("launched", one)
    cloud.store.write(lambda session: setattr(_of(session, one), "vm_id", f"guid-of-{one}"))
    return one


def _of(session: Any, instance_id: str) -> models.Instance:
    found: models.Instance = session.query(models.Instance).filter_by(id=instance_id).one()
    return found


def due(cloud: Cloud, instance_id: str, after_seconds: float = 0) -> list[int]:
    now = NOW + dt.timedelta(seconds=after_seconds)
    with cloud.store.read() as session:
        host_key = cloud.instance(instance_id).host_key
        found = [one.key for one in KIND.due(session, host_key, now)]
        loaded = [key for key in found if KIND.load(session, key, cloud.settings, now)]
    assert loaded == found, "what is due is driven"
    return found


def answer(cloud: Cloud, instance_id: str) -> None:
    """What a survey writes that hears the guest for the first time."""
    key = cloud.instance(instance_id).key

    def write(session: Any) -> None:
        [(_, seconds)] = seed_rows.lifetimes(session, [key], cloud.settings).items()
        seed_rows.note_answer(session, key, seconds, NOW)

    cloud.store.write(write)


def silent(cloud: Cloud, instance_id: str) -> frozenset[int]:
    with cloud.store.read() as session:
        return seed_rows.unanswered(session, cloud.instance(instance_id).host_key)


def stop(cloud: Cloud, instance_id: str) -> None:
    cloud.call("StopInstances", InstanceIds=[instance_id])
    cloud.found("stopped", instance_id)


def test_each_instance_of_a_launch_has_a_disc(cloud: Cloud) -> None:
    ids = cloud.run(3)
    assert [one.phase for one in cloud.rows(models.Seed)] == ["there"] * 3
    assert {one.instance_key for one in cloud.rows(models.Seed)} == {
        cloud.instance(one).key for one in ids
    }


def test_an_image_may_want_none(cloud: Cloud) -> None:
    one = run(cloud, ImageId=cloud.image(guest={"seed": "none"}))
    assert row(cloud, one) is None
    assert silent(cloud, one) == frozenset()


def test_a_disc_goes_so_long_after_its_guest_was_first_heard(cloud: Cloud) -> None:
    one = run(cloud)
    key = cloud.instance(one).key
    assert silent(cloud, one) == {key}
    assert due(cloud, one, 10**6) == []
    answer(cloud, one)
    assert silent(cloud, one) == frozenset()
    assert due(cloud, one, 599) == []
    assert due(cloud, one, 600) == [key]


@pytest.mark.parametrize(("said", "after"), [("never", None), ("first-heartbeat", 0), ("60", 60)])
def test_an_image_says_when(cloud: Cloud, said: str, after: int | None) -> None:
    one = run(cloud, ImageId=cloud.image(guest={"eject_seed_after": said}))
    answer(cloud, one)
    found = row(cloud, one)
    assert found is not None
    assert found.answered_at == NOW
    expected = None if after is None else NOW + dt.timedelta(seconds=after)
    assert found.eject_at == expected
    assert silent(cloud, one) == frozenset()


@pytest.mark.parametrize("said", ["never", "86400"])
def test_a_password_stays_on_no_disc(cloud: Cloud, public: bytes, said: str) -> None:
    cloud.call("ImportKeyPair", KeyName="rsa", PublicKeyMaterial=public)
    image = cloud.image(platform="windows", guest={"eject_seed_after": said})
    with_key, without = run(cloud, ImageId=image, KeyName="rsa"), run(cloud, ImageId=image)
    for one, seconds in ((with_key, 600), (without, None if said == "never" else 86400)):
        answer(cloud, one)
        found = row(cloud, one)
        assert found is not None
        assert found.has_password == (one == with_key)
        expected = None if seconds is None else NOW + dt.timedelta(seconds=seconds)
        assert found.eject_at == expected


def test_a_disc_is_ejected_only_of_an_instance_that_runs(cloud: Cloud) -> None:
    one = run(cloud)
    answer(cloud, one)
    stop(cloud, one)
    assert due(cloud, one, 10**6) == []


def test_other_user_data_makes_a_disc_stale_until_the_next_start(cloud: Cloud) -> None:
    one = run(cloud)
    before = row(cloud, one)
    stop(cloud, one)
    cloud.call("ModifyInstanceAttribute", InstanceId=one, UserData={"Value": b"#!other"})
    stale = row(cloud, one)
    assert before is not None
    assert stale is not None
    assert (stale.phase, stale.generation) == ("stale", before.generation + 1)
    assert due(cloud, one) == []
    cloud.call("StartInstances", InstanceIds=[one])
    assert due(cloud, one) == [cloud.instance(one).key]
    with cloud.store.read() as session:
        intent = KIND.load(session, cloud.instance(one).key, cloud.settings, NOW)
    assert intent is not None
    assert intent.told is not None
    assert intent.told.user_data == b"#!other"


def test_an_instance_waits_for_its_new_disc_before_it_starts(cloud: Cloud) -> None:
    cloud.store.write(
        lambda session: session.add(models.Deployment(id="feedfacefeedface", created_at=NOW))
    )
    one = run(cloud)
    stop(cloud, one)
    cloud.call("ModifyInstanceAttribute", InstanceId=one, UserData={"Value": b"#!other"})
    cloud.call("StartInstances", InstanceIds=[one])
    with cloud.store.read() as session:
        intent = intents.load(session, cloud.instance(one).key, cloud.settings, NOW)
    assert intent is not None
    assert intent.awaits_disc
    assert intent.told is None, "what a disc says is read only where a VM is made"


def test_an_instance_without_a_disc_gets_none_because_its_user_data_changed(
    store: Store,
) -> None:
    cloud = Cloud(store, Settings(guest=Guest(seed="none"), **_types()))
    one = run(cloud)
    stop(cloud, one)
    cloud.call("ModifyInstanceAttribute", InstanceId=one, UserData={"Value": b"#!other"})
    assert row(cloud, one) is None


def _types() -> dict[str, Any]:
    return {
        "instance_types": SETTINGS.instance_types,
        "default_instance_type": SETTINGS.default_instance_type,
    }


def test_nothing_is_remembered_of_an_instance_that_is_no_more(cloud: Cloud) -> None:
    one = run(cloud)
    key = cloud.instance(one).key
    cloud.store.write(
        lambda session: session.add(models.Work(kind="seed", key=key, trouble="a disc is stuck"))
    )
    cloud.call("TerminateInstances", InstanceIds=[one])
    cloud.found("removed", one)
    assert cloud.rows(models.Seed) == []
    assert cloud.rows(models.Work) == []


def test_an_old_state_looks_for_every_disc_again(cloud: Cloud) -> None:
    one = run(cloud)
    key = cloud.instance(one).key
    cloud.store.write(lambda session: setattr(session.get(models.Seed, key), "phase", "gone"))
    cloud.store.write(lambda session: seed_rows.distrust(session, 5000, NOW))
    found = row(cloud, one)
    assert found is not None
    assert (found.phase, found.generation) == ("there", 5000)
    assert due(cloud, one) == [key]
