"""Who asks at 169.254.169.254 and how often, forwarders, and the password that a guest posts."""

from __future__ import annotations

import base64
import time

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy.orm import Session

from ec2gw.metadata import forwarder
from ec2gw.metadata.throttle import Throttle
from state import models
from tests.gateway import wait_until
from tests.guest.imds import (
    HERE,
    OTHER,
    SECRET,
    TOKEN,
    TTL,
    Imds,
    Scene,
    instance,
    openssh,
)
from tests.guest.imds import network as make_network

ID = "/latest/meta-data/instance-id"
PASSWORD = "/openstack/2013-04-04/password"
SOON = 3.0
"""Seconds: a change takes effect within one, if the machine has nothing else to do."""


# -- who asks


def test_a_guest_is_known_by_its_address(imds: Imds, scene: Scene) -> None:
    assert imds.ask(ID).text == scene.here
    assert imds.ask(ID, source=OTHER).text == scene.other


@pytest.mark.parametrize("source", ["127.0.0.77", "127.0.1.1"])
def test_an_address_that_no_instance_has_is_404(imds: Imds, source: str) -> None:
    assert imds.ask(ID, source=source).status == 404
    assert imds.ask("/latest/api/token", {TTL: "60"}, method="PUT", source=source).status == 404


@pytest.mark.parametrize("phase", ["stopped", "terminated"])
def test_an_instance_that_does_not_run_is_404(imds: Imds, scene: Scene, phase: str) -> None:
    assert imds.ask(ID).status == 200
    scene.change(scene.here, phase=phase)

    wait_until(lambda: imds.ask(ID).status == 404, SOON)


@pytest.mark.parametrize("phase", ["pending", "starting", "rebooting", "stopping", "shutting-down"])
def test_a_guest_asks_while_it_comes_up_and_goes_down(scene: Scene, phase: str) -> None:
    scene.change(scene.here, phase=phase)
    with Imds(scene.store) as imds:
        assert imds.ask(ID).text == scene.here


def test_an_address_of_two_networks_is_nobodys(scene: Scene) -> None:
    def work(session: Session) -> None:
        twin = make_network(session, "twin", "127.0.0.0/28")
        instance(session, scene.on, HERE, twin)

    scene.store.write(work)
    with Imds(scene.store) as imds:
        assert imds.ask(ID).status == 404
    with Imds(scene.store, served=["loop"]) as imds:
        assert imds.ask(ID).text == scene.here
    with Imds(scene.store, served=["lan"]) as imds:
        assert imds.ask(ID).status == 404


# -- forwarders


def test_a_forwarder_asks_for_a_guest_that_is_elsewhere(imds: Imds, scene: Scene) -> None:
    headers = imds.forwarded(scene.away_address)

    assert imds.ask(ID, headers).text == scene.away
    token = imds.ask("/latest/api/token", {**headers, TTL: "60"}, method="PUT")
    assert token.headers["X-Ec2gw-Hop-Limit"] == "1"
    assert imds.ask(ID, {**headers, TOKEN: token.text}).text == scene.away
    assert imds.ask(ID, {TOKEN: token.text}).status == 401


def test_a_forwarder_names_the_network_where_addresses_are_twice(scene: Scene) -> None:
    def work(session: Session) -> str:
        return instance(session, scene.on, HERE, make_network(session, "twin", "127.0.0.0/28")).id

    twin = scene.store.write(work)
    with Imds(scene.store, forwarder_key=SECRET) as imds:
        assert imds.ask(ID, imds.forwarded(HERE, "twin")).text == twin
        assert imds.ask(ID, imds.forwarded(HERE, "loop")).text == scene.here
        assert imds.ask(ID, imds.forwarded(HERE, "lan")).status == 404
        assert imds.ask(ID, imds.forwarded(HERE, "nowhere")).status == 404


def test_a_forwarder_may_come_by_ipv6(scene: Scene) -> None:
    with Imds(scene.store, forwarder_key=SECRET, host="::1") as imds:
        headers = imds.forwarded(scene.away_address)
        assert imds.ask(ID, headers, source="::1").text == scene.away
        token = imds.ask("/latest/api/token", {**headers, TTL: "9"}, method="PUT", source="::1")
        assert token.status == 200
        assert imds.ask(ID, source="::1").status == 404


def test_without_a_key_a_forwarders_word_counts_for_nothing(scene: Scene) -> None:
    with Imds(scene.store) as imds:
        assert imds.ask(ID, imds.forwarded(scene.away_address)).text == scene.here


def test_a_word_that_is_not_to_be_believed_is_403(imds: Imds, scene: Scene) -> None:
    good = imds.forwarded(scene.away_address)
    said, proof = forwarder.FORWARDED.decode(), forwarder.SIGNATURE.decode()
    now = int(time.time())

    assert imds.ask(ID, {**good, proof: good[proof].upper()}).status == 200
    for bad in (
        {**good, said: good[said].replace("lan", "loop")},
        {**good, proof: "0" * 64},
        {**good, proof: ""},
        {said: good[said]},
        forwarder.sign(b"another secret of 32 bytes......", "lan", scene.away_address, now),
        forwarder.sign(SECRET, "lan", scene.away_address, now - 75),
        forwarder.sign(SECRET, "lan", scene.away_address, now + 75),
        forwarder.sign(SECRET, "lan;network=loop", scene.away_address, now),
        forwarder.sign(SECRET, "", scene.away_address, now),
    ):
        assert imds.ask(ID, bad).status == 403


# -- passwords


def sealed(key: rsa.RSAPrivateKey) -> bytes:
    return base64.b64encode(b"\x07" * (key.key_size // 8))


def test_a_password_is_posted_once(imds: Imds, scene: Scene, key: rsa.RSAPrivateKey) -> None:
    assert (imds.ask(PASSWORD).status, imds.ask(PASSWORD).text) == (200, "")

    assert imds.ask(PASSWORD, method="POST", body=sealed(key)).status == 200
    assert scene.row(scene.here).password_data == sealed(key).decode()
    assert imds.ask(PASSWORD, method="POST", body=sealed(key)).status == 409
    wait_until(lambda: imds.ask(PASSWORD).body == sealed(key), SOON)


@pytest.mark.parametrize(
    "body",
    [b"", b"short", base64.b64encode(b"\7" * 255), base64.b64encode(b"\7" * 257), b"\xff" * 344],
)
def test_what_cannot_be_a_password_is_400(imds: Imds, scene: Scene, body: bytes) -> None:
    assert imds.ask(PASSWORD, method="POST", body=body).status == 400
    assert scene.row(scene.here).password_data is None


def test_without_an_rsa_key_pair_there_is_no_password(
    imds: Imds, scene: Scene, key: rsa.RSAPrivateKey
) -> None:
    assert imds.ask(PASSWORD, method="POST", body=sealed(key), source=OTHER).status == 400
    short = openssh(ed25519.Ed25519PrivateKey.generate().public_key())
    scene.change(scene.other, key_name="short", options={"PublicKey": short})
    wait_until(
        lambda: "short" in imds.ask("/latest/meta-data/public-keys/", source=OTHER).text, SOON
    )
    assert imds.ask(PASSWORD, method="POST", body=sealed(key), source=OTHER).status == 400


def test_a_password_needs_a_token_where_tokens_are_required(
    imds: Imds, scene: Scene, key: rsa.RSAPrivateKey
) -> None:
    scene.options(scene.here, HttpTokens="required")
    wait_until(lambda: imds.ask(PASSWORD).status == 401, SOON)

    assert imds.ask(PASSWORD, method="POST", body=sealed(key)).status == 401
    assert imds.ask(PASSWORD, imds.token(), method="POST", body=sealed(key)).status == 200


def test_while_the_state_is_older_than_its_hosts_an_address_is_nobodys(
    imds: Imds, scene: Scene, key: rsa.RSAPrivateKey
) -> None:
    def recover(recovering: bool) -> None:
        change = sa.update(models.Deployment).values(recovering=recovering)
        scene.store.write(lambda session: session.execute(change))

    assert imds.ask(ID).status == 200
    recover(True)
    wait_until(lambda: imds.ask(ID).status == 503, SOON)
    assert imds.ask(PASSWORD, method="POST", body=sealed(key)).status == 503
    assert scene.row(scene.here).password_data is None
    recover(False)
    wait_until(lambda: imds.ask(ID).text == scene.here, SOON)


# -- too much


def test_who_asks_too_often_gets_503_and_the_others_do_not(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with Imds(scene.store, throttle=Throttle(rate=1, burst=20)) as imds:
        statuses = [imds.ask(ID).status for _ in range(30)]

        assert statuses[:20] == [200] * 20
        assert statuses.count(503) >= 8
        assert imds.ask(ID, source=OTHER).status == 200
    told = [vars(one) for one in caplog.records if one.message == "metadata-throttled"]
    assert [one["instance"] for one in told] == [scene.here]


def test_a_bucket_fills_again_and_the_longest_unused_is_forgotten() -> None:
    throttle = Throttle(rate=2, burst=2)

    assert [throttle.admits("a", 0.0) for _ in range(3)] == [True, True, False]
    assert throttle.admits("a", 0.5)
    assert not throttle.admits("a", 0.5)
    for number in range(20_000):
        throttle.admits(number, 0.5)
    assert throttle.admits("a", 0.5)
