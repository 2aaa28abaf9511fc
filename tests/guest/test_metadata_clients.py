"""The metadata service asked by those who ask it in guests: SDKs, cloud-init, cloudbase-init."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.guest import outside
from tests.guest.imds import HERE, Imds, Scene

ASKERS = str(Path(__file__).with_name("askers.py"))
TAGS = {"Name": "web", "who+is.it@k:=,_": "it", "a/b": "1", "a b": "2", "0=x": "3"}


def ask(kind: str, imds: Imds) -> Any:
    return outside.python(ASKERS, kind, url(imds))


def url(imds: Imds) -> str:
    return f"http://{HERE}:{imds.port}"


@pytest.fixture(params=["optional", "required"])
def tokens(request: pytest.FixtureRequest, scene: Scene) -> str:
    """Whether the guest has to show tokens."""
    chosen: str = request.param
    scene.options(scene.here, HttpTokens=chosen)
    return chosen


@pytest.mark.usefixtures("tokens")
def test_botocore_finds_its_region(imds: Imds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")

    fetcher = InstanceMetadataRegionFetcher(base_url=f"{url(imds)}/")
    assert fetcher.retrieve_region() == "us-east-1"


@pytest.mark.usefixtures("tokens")
def test_botocore_finds_that_there_is_no_role(
    imds: Imds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    caplog.set_level("DEBUG", logger="botocore.utils")

    fetcher = InstanceMetadataFetcher(base_url=f"{url(imds)}/", num_attempts=2)
    assert fetcher.retrieve_iam_role_credentials() == {}
    assert "Max number of attempts exceeded" in caplog.text


def test_botocore_goes_by_v1_where_the_endpoint_is_switched_off(imds: Imds, scene: Scene) -> None:
    scene.options(scene.here, HttpEndpoint="disabled")

    fetcher = InstanceMetadataRegionFetcher(base_url=f"{url(imds)}/", num_attempts=1)
    assert fetcher.retrieve_region() is None


def test_a_session_that_looks_everywhere_for_credentials_ends_at_a_404(
    imds: Imds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="ec2gw.metadata")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{url(imds)}/")

    assert botocore.session.Session().get_credentials() is None
    asked = [vars(record) for record in caplog.records if record.message == "metadata-request"]
    assert [(one["method"], one["path"], one["status"]) for one in asked] == [
        ("PUT", "/latest/api/token", 200),
        ("GET", "/latest/meta-data/iam/security-credentials/", 404),
    ]


@pytest.mark.usefixtures("tokens")
def test_cloud_init_crawls_all_and_makes_a_guest_of_it(imds: Imds, scene: Scene) -> None:
    scene.options(
        scene.here,
        InstanceMetadataTags="enabled",
        HttpTokens=scene.row(scene.here).metadata_options["HttpTokens"],
    )
    scene.tag(scene.here, TAGS)
    told = ask("cloud-init", imds)

    shown = told["metadata"]
    [(mac, interface)] = shown["network"]["interfaces"]["macs"].items()
    assert told["version"] == "2021-03-23"
    assert told["instance_id"] == shown["instance-id"] == scene.here
    assert told["hostname"] == "ip-127-0-0-1.ec2.internal"
    assert told["user_data"] == b"#!/bin/sh\n\xff\x00".hex()
    assert (told["region"], told["zone"]) == ("us-east-1", "us-east-1a")
    assert [key.split()[0] for key in told["keys"]] == ["ssh-rsa"]
    assert shown["tags"]["instance"] == {"Name": "web", "who+is.it@k:=,_": "it"}
    assert shown["events"]["maintenance"] == {"history": "[]", "scheduled": "[]"}
    assert not told["classic"]
    assert interface["mac"] == mac
    assert interface["subnet-ipv4-cidr-block"] == "172.31.0.0/20"
    assert told["network"]["ethernets"]["eth0"]["match"] == {"macaddress": mac}
    assert told["identity"]["accountId"] == "123456789012"


def test_cloud_init_asks_nothing_that_is_not_answered(
    imds: Imds, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="ec2gw.metadata")
    ask("cloud-init", imds)

    asked = [vars(record) for record in caplog.records if record.message == "metadata-request"]
    assert len(asked) > 40
    assert {one["status"] for one in asked} == {200}
    assert asked[0]["method"] == "PUT"


def test_cloud_init_lives_without_key_pair_and_user_data(imds: Imds, scene: Scene) -> None:
    scene.change(scene.here, key_name=None, options={}, user_data=None)
    told = ask("cloud-init", imds)

    assert (told["instance_id"], told["keys"], told["user_data"]) == (scene.here, [], "")


def test_cloud_init_gives_up_where_the_endpoint_is_switched_off(imds: Imds, scene: Scene) -> None:
    scene.options(scene.here, HttpEndpoint="disabled")

    assert ask("cloud-init", imds) == {}


def test_cloudbase_init_reads_both_trees(imds: Imds, scene: Scene) -> None:
    by_ec2, by_openstack = ask("ec2", imds), ask("openstack", imds)

    for told in (by_ec2, by_openstack):
        assert told["instance_id"] == scene.here
        assert told["hostname"] == "ip-127-0-0-1.ec2.internal"
        assert told["user_data"] == b"#!/bin/sh\n\xff\x00".hex()
        assert [key.split()[0] for key in told["keys"]] == ["ssh-rsa"]
        assert told["password"] is None
    assert by_openstack["addresses"] == ["127.0.0.1/24"]
    assert [by_ec2["can_post_password"], by_openstack["can_post_password"]] == [False, True]


def test_cloudbase_init_finds_nothing_where_tokens_are_required(imds: Imds, scene: Scene) -> None:
    scene.options(scene.here, HttpTokens="required")

    assert [ask("ec2", imds), ask("openstack", imds)] == [{}, {}]


def test_cloudbase_init_posts_its_password_once_and_only_the_owner_can_read_it(
    imds: Imds, scene: Scene, key: rsa.RSAPrivateKey
) -> None:
    told = ask("password", imds)

    kept = scene.row(scene.here).password_data
    assert kept is not None
    plain = key.decrypt(base64.b64decode(kept), padding.PKCS1v15())
    assert plain.decode() == told["password"]
    assert told["is_set"]
