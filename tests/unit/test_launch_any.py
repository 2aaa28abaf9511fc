"""RunInstances with any request the model lets through: EC2's error, or whole instances."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StringShape, StructureShape
from hypothesis import event, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from state import models
from state.store import Store
from tests.launches import Cloud
from translators.ec2.instances import refusals
from translators.errors import Ec2Error
from translators.settings import InstanceType, Settings

WORDS: Final = (
    "",
    "x",
    "default",
    "us-east-1b",
    "/dev/sda1",
    "172.31.0.77",
    "999.1.2.3",
    "QUJD\nREVG",
    "ami-0123456789abcdef0",
    "subnet-0123456789abcdef0",
    "sg-xyz",
    "\u00e9\U0001f600",
)
NUMBERS: Final = (-1, 0, 1, 2, 8, 40, 3000, 2**31, 2**63 - 1)


@pytest.fixture(scope="module")
def cloud(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    path = tmp_path_factory.mktemp("any") / "state.sqlite3"
    path.write_bytes(empty_database.read_bytes())
    store = Store(path)
    tiny = InstanceType("t3.micro", 2, 1)
    yield Cloud(store, Settings(instance_types={tiny.name: tiny}, laboratory=True))
    store.close()


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Make values of a shape, most of its members absent."""
    if isinstance(shape, StructureShape):
        members = {name: values(member) for name, member in shape.members.items()}
        chosen = (
            st.sets(st.sampled_from(sorted(members)), max_size=4) if members else st.just(set())
        )
        return chosen.flatmap(
            lambda names: st.fixed_dictionaries({name: members[name] for name in sorted(names)})
        )
    if isinstance(shape, ListShape):
        return st.lists(values(shape.member), max_size=2)
    if isinstance(shape, StringShape):
        return st.sampled_from((*WORDS, *shape.enum[:3]))
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name in ("integer", "long"):
        return st.sampled_from(NUMBERS)
    return st.sampled_from(WORDS)


def requests() -> st.SearchStrategy[dict[str, Any]]:
    model = botocore.session.get_session().get_service_model("ec2")
    shape = model.operation_model("RunInstances").input_shape
    assert shape is not None
    return values(shape)


@given(requests(), st.integers(0, 4))
@rules(max_examples=200, deadline=None)
def test_any_request_is_refused_in_ec2s_words_or_carried_out_whole(
    cloud: Cloud, request_: dict[str, Any], tame: int
) -> None:
    asked = {"MinCount": 1, "MaxCount": 2, **request_}
    if tame:  # else hardly any gets past the first checks
        asked = {name: value for name, value in asked.items() if name not in refusals.LAUNCH}
        asked |= {"ImageId": cloud.image_id, "MinCount": 1, "MaxCount": 2}
        asked.pop("InstanceType", None)
    before = len(cloud.rows(models.Instance))
    try:
        made = cloud.call("RunInstances", **asked)["Instances"]
    except Ec2Error as error:
        event(error.code)
        made = []
    assert len(cloud.rows(models.Instance)) == before + len(made)
    if not made:
        return
    event("launched")
    assert len(made) in range(asked["MinCount"], asked["MaxCount"] + 1)
    assert cloud.seen(*[one["InstanceId"] for one in made]) == made
