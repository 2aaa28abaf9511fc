"""GetPasswordData: the administrator's password of a Windows guest, for who has the private key."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.ec2.instances import password
from translators.ec2.key_pairs import actions
from translators.errors import Ec2Error
from translators.guests import facts, passwords
from translators.settings import Guest, Settings

ROOMS = (password, actions)
"""Imported for the actions that they register."""
ED25519 = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBHHxlob15cwXQGXAt9iAVmtkXELd2VDuXY1p3gBFsGA"


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def cloud(store: Store, settings: Settings, private: rsa.RSAPrivateKey) -> Cloud:
    cloud = Cloud(store, settings)
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    cloud.call("ImportKeyPair", KeyName="rsa", PublicKeyMaterial=public)
    cloud.call("ImportKeyPair", KeyName="ed25519", PublicKeyMaterial=ED25519)
    return cloud


@pytest.fixture
def windows(cloud: Cloud) -> str:
    return cloud.image(platform="windows", name="windows", file_name="windows.vhdx")


def told(cloud: Cloud, instance_id: str) -> str:
    answer = cloud.call("GetPasswordData", InstanceId=instance_id)
    assert answer.keys() == {"InstanceId", "Timestamp", "PasswordData"}
    assert (answer["InstanceId"], answer["Timestamp"]) == (instance_id, NOW)
    return str(answer["PasswordData"])


def launched(cloud: Cloud, image_id: str, count: int = 1, **request: Any) -> list[str]:
    ids = cloud.run(count, ImageId=image_id, **request)
    cloud.found("launched", *ids)
    return ids


def test_the_private_key_opens_the_password_that_the_disc_carries(
    cloud: Cloud, windows: str, private: rsa.RSAPrivateKey
) -> None:
    ids = launched(cloud, windows, 3, KeyName="rsa")
    opened = [
        private.decrypt(base64.b64decode(told(cloud, one)), padding.PKCS1v15()).decode()
        for one in ids
    ]
    with cloud.store.read() as session:
        guests = [facts.read(session, cloud.instance(one).key, cloud.settings.guest) for one in ids]
    assert opened == [passwords.on_disc(one, cloud.settings) for one in guests if one is not None]
    assert len(set(opened)) == 3


def test_nothing_that_is_kept_tells_the_password(cloud: Cloud, windows: str) -> None:
    [instance_id] = launched(cloud, windows, KeyName="rsa")
    plain = passwords.given(instance_id, cloud.settings.password_key).encode()
    for file in cloud.store.path.parent.glob(f"{cloud.store.path.name}*"):
        assert plain not in file.read_bytes()


def test_before_its_first_boot_there_is_no_password_yet(cloud: Cloud, windows: str) -> None:
    [instance_id] = cloud.run(ImageId=windows, KeyName="rsa")
    assert told(cloud, instance_id) == ""
    cloud.found("launched", instance_id)
    assert len(told(cloud, instance_id)) == 344


def test_a_password_stays_when_the_key_pair_is_deleted(cloud: Cloud, windows: str) -> None:
    [instance_id] = launched(cloud, windows, KeyName="rsa")
    before = told(cloud, instance_id)
    cloud.call("DeleteKeyPair", KeyName="rsa")
    assert told(cloud, instance_id) == before != ""


def test_without_a_key_pair_there_is_none(cloud: Cloud, windows: str) -> None:
    [instance_id] = launched(cloud, windows)
    assert told(cloud, instance_id) == ""


def test_no_other_platform_has_one(cloud: Cloud) -> None:
    for key in ("rsa", "ed25519"):
        [instance_id] = launched(cloud, cloud.image_id, KeyName=key)
        assert told(cloud, instance_id) == ""


@pytest.mark.parametrize(
    "differing",
    [
        {"metadata_served": True},
        {"guest": Guest(seed="none")},
        {"guest": Guest(seed="nocloud")},
    ],
)
def test_what_the_guest_makes_itself_is_told_when_it_was_posted(
    cloud: Cloud, windows: str, differing: dict[str, Any]
) -> None:
    cloud.settings = dataclasses.replace(cloud.settings, **differing)
    [instance_id] = launched(cloud, windows, KeyName="rsa")
    assert told(cloud, instance_id) == ""
    cloud.update(models.Instance, cloud.instance(instance_id).key, password_data="c2VjcmV0")
    assert told(cloud, instance_id) == "c2VjcmV0"


def test_an_image_says_otherwise_than_the_deployment(cloud: Cloud) -> None:
    cloud.settings = dataclasses.replace(cloud.settings, metadata_served=True)
    image_id = cloud.image(platform="windows", name="no imds", guest={"imds": False})
    [instance_id] = launched(cloud, image_id, KeyName="rsa")
    assert told(cloud, instance_id) != ""


def test_a_key_that_only_signs_is_refused_for_windows(cloud: Cloud, windows: str) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.run(ImageId=windows, KeyName="ed25519")
    assert (caught.value.code, caught.value.status) == ("Unsupported", 400)
    assert caught.value.message == (
        "ED25519 key pairs are not supported with Windows AMIs. "
        "Choose a different key pair type and try again."
    )
    assert cloud.rows(models.Instance) == []
    cloud.run(KeyName="ed25519")  # of Linux


def test_a_windows_instance_is_shown_as_one(cloud: Cloud, windows: str) -> None:
    [instance_id] = launched(cloud, windows, KeyName="rsa")
    [shown] = cloud.seen(instance_id)
    assert shown["Platform"] == "windows"
    assert shown["PlatformDetails"] == "Windows"
    assert shown["UsageOperation"] == "RunInstances:0002"
    by_platform = [{"Name": "platform", "Values": ["windows"]}]
    assert cloud.seen(Filters=by_platform) == [shown]


@pytest.mark.parametrize(
    ("instance_id", "code"),
    [
        ("i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
        ("i-xyz", "InvalidInstanceID.Malformed"),
        ("vol-0123456789abcdef0", "InvalidParameterValue"),
    ],
)
def test_an_instance_that_is_not_there_is_refused(
    cloud: Cloud, instance_id: str, code: str
) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.call("GetPasswordData", InstanceId=instance_id)
    assert caught.value.code == code


def test_somebody_else_s_password_is_not_told(cloud: Cloud, windows: str) -> None:
    [instance_id] = launched(cloud, windows, KeyName="rsa")
    cloud.account_key, cloud.account_id = cloud.account("two")
    with pytest.raises(Ec2Error) as caught:
        cloud.call("GetPasswordData", InstanceId=instance_id)
    assert caught.value.code == "InvalidInstanceID.NotFound"


def test_a_new_start_makes_no_new_password(cloud: Cloud, windows: str) -> None:
    [instance_id] = launched(cloud, windows, KeyName="rsa")
    before = cloud.instance(instance_id).password_data
    cloud.call("StopInstances", InstanceIds=[instance_id])
    cloud.found("stopped", instance_id)
    cloud.now += dt.timedelta(minutes=5)
    cloud.call("StartInstances", InstanceIds=[instance_id])
    answer = cloud.call("GetPasswordData", InstanceId=instance_id)
    assert (answer["PasswordData"], answer["Timestamp"]) == (before, cloud.now)
