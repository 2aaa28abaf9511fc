"""Ansible's amazon.aws against a running gateway: what is wanted becomes so, once.

A module that is added to the playbooks is held to the same: the first run changes, the second
finds nothing to do, the removal leaves nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway import LINUX_IMAGE, Gateway
from tests.tools import playing

pytestmark = pytest.mark.timeout(playing.SECONDS)


@pytest.fixture
def ansible(tools: Path, gateway: Gateway, tmp_path: Path) -> playing.Ansible:
    return playing.Ansible(tools, gateway, tmp_path)


def alive(gateway: Gateway, label: str) -> list[Any]:
    """What is there of that name, and not on its way out."""
    states = ["pending", "running", "stopping", "stopped"]
    filters = [
        {"Name": "tag:Name", "Values": [label]},
        {"Name": "instance-state-name", "Values": states},
    ]
    found = gateway.client().describe_instances(Filters=filters)["Reservations"]
    return [one for reservation in found for one in reservation["Instances"]]


def test_what_a_playbook_wants_becomes_so_once_until_it_is_taken_away(
    ansible: playing.Ansible, gateway: Gateway
) -> None:
    about = {"label": "story", "image_id": LINUX_IMAGE}
    assert ansible.play("present.yml", **about).changed == ["ec2_key", "ec2_instance", "ec2_tag"]
    [made] = alive(gateway, "story")
    assert ansible.play("present.yml", **about).changed == []
    assert alive(gateway, "story") == [made]

    acts = ["stop", "resize", "start, until its status is ok", "restart"]
    assert ansible.play("power.yml", **about).changed == acts

    assert ansible.play("absent.yml", **about).changed == ["unprotect", "ec2_instance", "ec2_key"]
    assert alive(gateway, "story") == []
    assert ansible.play("absent.yml", **about).changed == []
    assert gateway.client().describe_key_pairs()["KeyPairs"] == []


def test_there_are_as_many_as_are_wanted(ansible: playing.Ansible, gateway: Gateway) -> None:
    for wanted, changed in ((3, ["ec2_instance"]), (3, []), (1, ["ec2_instance"]), (1, [])):
        played = ansible.play("count.yml", label="many", image_id=LINUX_IMAGE, wanted=wanted)
        assert played.changed == changed, wanted
        assert len(alive(gateway, "many")) == wanted
