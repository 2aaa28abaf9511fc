"""The rules of 169.254.169.254, over real connections: tokens, paths, what owners chose."""

from __future__ import annotations

import base64
import time

import pytest
from sqlalchemy.orm import Session

from ec2gw.metadata import tokens
from state import models
from tests.gateway import wait_until
from tests.guest.imds import OTHER, TOKEN, TOKEN_KEY, TTL, Imds, Scene
from translators.guests import tree
from translators.settings import Guest

ID = "/latest/meta-data/instance-id"
SOON = 3.0
"""Seconds: a change takes effect within one, if the machine has nothing else to do."""


# -- tokens


def test_a_token_is_told_with_its_life_and_opens_what_it_was_made_for(
    imds: Imds, scene: Scene
) -> None:
    scene.options(scene.here, HttpTokens="required")
    answer = imds.ask("/latest/api/token", {TTL: "21600"}, method="PUT")

    assert (answer.status, answer.headers[TTL]) == (200, "21600")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Server"] == "EC2ws"
    assert len(answer.text) == 56
    assert imds.ask(ID, {TOKEN: answer.text}).text == scene.here


@pytest.mark.parametrize("ttl", [None, "", "0", "21601", "-1", "1.5", "a", "1 ", "099999", "²"])
def test_a_life_that_is_missing_or_out_of_bounds_is_400(imds: Imds, ttl: str | None) -> None:
    headers = {} if ttl is None else {TTL: ttl.strip() + "x" * ttl.count(" ")}
    answer = imds.ask("/latest/api/token", headers, method="PUT")

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "text/html"
    assert "<title>400 - Bad Request</title>" in answer.text


def test_a_token_through_a_proxy_is_403(imds: Imds) -> None:
    headers = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}

    assert imds.ask("/latest/api/token", headers, method="PUT").status == 403


def test_without_token_it_answers_where_tokens_are_optional(imds: Imds, scene: Scene) -> None:
    assert imds.ask(ID).text == scene.here


def test_a_bad_token_is_401_even_where_none_is_needed(imds: Imds) -> None:
    assert imds.ask(ID, {TOKEN: "nonsense"}).status == 401
    assert imds.ask(ID, {TOKEN: ""}).status == 401


@pytest.mark.parametrize("path", [ID, "/", "/latest/user-data", "/openstack/latest/meta_data.json"])
def test_where_tokens_are_required_nothing_answers_without(
    imds: Imds, scene: Scene, path: str
) -> None:
    scene.options(scene.here, HttpTokens="required")
    token = imds.token()

    wait_until(lambda: imds.ask(path).status == 401, SOON)
    assert imds.ask(path, token).status == 200


def test_a_token_is_good_for_its_own_instance_alone(imds: Imds, scene: Scene) -> None:
    others = imds.token(source=OTHER)

    assert imds.ask(ID, others, source=OTHER).text == scene.other
    assert imds.ask(ID, others).status == 401


def test_a_token_ends_with_its_life_and_not_with_the_process(scene: Scene) -> None:
    with Imds(scene.store) as first:
        token = first.token(60)
    with Imds(scene.store) as second:
        assert second.ask(ID, token).status == 200
        second.clock.ahead = 61
        assert second.ask(ID, token).status == 401


def test_no_byte_of_a_token_can_be_changed() -> None:
    now = time.time()
    token = tokens.make(TOKEN_KEY, "i-1", now + 60)
    assert tokens.is_good(TOKEN_KEY, "i-1", token.encode(), now)

    raw = base64.urlsafe_b64decode(token)
    for at in range(len(raw)):
        forged = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert not tokens.is_good(TOKEN_KEY, "i-1", base64.urlsafe_b64encode(forged), now)
    for wrong in (token.encode()[:-1], token.encode() + b"=", b"\xff" * 56, b"=" * 56, b""):
        assert not tokens.is_good(TOKEN_KEY, "i-1", wrong, now)
    assert not tokens.is_good(b"u" * 32, "i-1", token.encode(), now)


# -- paths and methods


@pytest.mark.parametrize(
    ("path", "same_as"),
    [
        ("/latest/meta-data/placement/availability-zone/", None),
        ("/latest//meta-data///instance-id", ID),
        ("//latest/meta-data/instance-id//", ID),
        ("/2021-03-23/meta-data/instance-id", ID),
        ("/2018-09-24/meta-data/instance-id", ID),
        ("/2016-09-02/meta-data/instance-id", ID),
        ("/2009-04-04/meta-data/instance-id", ID),
        ("/1.0/meta-data/instance-id", ID),
        ("/latest/meta-data/instance%2did", ID),
        ("/latest/meta-data/instance-id?x=y", ID),
        ("http://169.254.169.254/latest/meta-data/instance-id", ID),
        ("/latest/meta-data", "/latest/meta-data/"),
        ("/latest/dynamic/instance-identity", "/latest/dynamic/instance-identity/"),
    ],
)
def test_slashes_versions_and_encodings_do_not_matter(
    imds: Imds, path: str, same_as: str | None
) -> None:
    answer = imds.ask(path)

    assert answer.status == 200
    if same_as is not None:
        assert answer.body == imds.ask(same_as).body


def test_the_root_lists_the_versions(imds: Imds) -> None:
    assert imds.ask("/").text == "\n".join(tree.VERSIONS)
    assert imds.ask("/openstack").text == "2013-04-04\nlatest"


def test_types_are_text_except_for_user_data(imds: Imds) -> None:
    assert imds.ask(ID).headers["Content-Type"] == "text/plain"
    answer = imds.ask("/latest/user-data")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.body == b"#!/bin/sh\n\xff\x00"
    assert imds.ask("/latest/user-data", source=OTHER).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/public-ipv4",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/instance-id/more",
        "/2099-01-01/meta-data/instance-id",
        "/meta-data/instance-id",
        "/LATEST/meta-data/instance-id",
        "/latest/../latest/meta-data/instance-id",
        "/latest/meta-data/../meta-data/instance-id",
        "/latest/%2e%2e/latest/meta-data/instance-id",
        "/latest/./meta-data/instance-id",
        "/latest%2fmeta-data%2finstance-id",
        "/latest/meta-data/instance-id%00",
        "/latest/meta-data/%ff",
        "/latest/meta-data/%252e",
        "/latest/meta-data/%",
        "/openstack/2099-01-01/meta_data.json",
        "/openstack/latest/nothing",
        "/" + "a" * 8192,
        "/latest" + "/meta-data" * 800,
    ],
)
def test_what_is_no_path_is_404(imds: Imds, path: str) -> None:
    answer = imds.ask(path)

    assert answer.status == 404
    assert "<h1>404 - Not Found</h1>" in answer.text
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Server"] == "EC2ws"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ID),
        ("DELETE", ID),
        ("PUT", ID),
        ("PATCH", "/nowhere"),
        ("OPTIONS", "/"),
        ("GET", "/latest/api/token"),
        ("POST", "/latest/api/token"),
        ("PUT", "/openstack/2013-04-04/password"),
        ("POST", "/openstack/latest/password"),
    ],
)
def test_other_methods_are_405(imds: Imds, method: str, path: str) -> None:
    answer = imds.ask(path, method=method)

    assert answer.status == 405
    assert method not in answer.headers["Allow"].split(", ")


def test_head_is_get_without_its_body(imds: Imds, scene: Scene) -> None:
    answer = imds.ask(ID, method="HEAD")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(scene.here))


# -- what its owner chose


def test_an_endpoint_that_is_switched_off_is_403_for_everything(imds: Imds, scene: Scene) -> None:
    token = imds.token()
    scene.options(scene.here, HttpEndpoint="disabled")

    wait_until(lambda: imds.ask(ID, token).status == 403, SOON)
    assert imds.ask("/latest/api/token", {TTL: "60"}, method="PUT").status == 403
    scene.options(scene.here, HttpEndpoint="enabled")
    wait_until(lambda: imds.ask(ID, token).status == 200, SOON)


def test_guests_that_policy_keeps_out_get_what_a_disabled_endpoint_says(scene: Scene) -> None:
    with Imds(scene.store, guest=Guest(imds=False)) as imds:
        assert imds.ask(ID).status == 403


def test_an_image_can_say_otherwise_than_the_deployment(scene: Scene) -> None:
    def work(session: Session) -> None:
        session.get_one(models.Image, scene.on.image).guest = {"imds": True}

    with Imds(scene.store, guest=Guest(imds=False)) as imds:
        assert imds.ask(ID).status == 403
        scene.store.write(work)
        wait_until(lambda: imds.ask(ID).status == 200, SOON)


def test_tags_come_and_go_with_the_option_and_with_the_tags(imds: Imds, scene: Scene) -> None:
    path = "/latest/meta-data/tags/instance/Name"
    scene.tag(scene.here, {"Name": "web"})
    assert imds.ask(path).status == 404
    scene.options(scene.here, InstanceMetadataTags="enabled")
    wait_until(lambda: imds.ask(path).status == 200, SOON)
    assert imds.ask(path).text == "web"
    scene.options(scene.here, InstanceMetadataTags="disabled")
    wait_until(lambda: imds.ask(path).status == 404, SOON)


def test_planned_maintenance_is_told_at_once(imds: Imds, scene: Scene) -> None:
    path = "/latest/meta-data/events/maintenance/scheduled"
    assert imds.ask(path).text == "[]"

    def plan(session: Session) -> None:
        now = scene.row(scene.here).launch_time
        session.add(
            models.HostEvent(
                host_key=scene.on.host,
                code="system-maintenance",
                description="new memory",
                not_before=now,
                created_at=now,
            )
        )

    scene.store.write(plan)
    wait_until(lambda: "new memory" in imds.ask(path).text, SOON)
