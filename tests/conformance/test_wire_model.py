"""Every operation of the model, both ways, against botocore's own serialiser and parser.

Requests and results are made from the shapes: all members, lists of two, values that need
escaping. Nothing is sampled.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from ec2gw.wire import form, model, parse, render

MAX_DEPTH = 20  # no shape of these services holds itself; a later one might


@pytest.fixture(scope="module", params=model.SERVICES)
def service(request: pytest.FixtureRequest) -> ServiceModel:
    loader = Loader(include_default_search_paths=False)
    loader.search_paths.append(Loader.BUILTIN_DATA_PATH)
    return ServiceModel(loader.load_service_model(request.param, "service-2"), request.param)


def operations(service: ServiceModel) -> Iterator[tuple[OperationModel, model.Operation]]:
    for name in service.operation_names:
        ours = model.operation(service.service_name, name)
        assert ours is not None
        yield service.operation_model(name), ours


def example(shape: Shape, number: Iterator[int], depth: int = 0) -> Any:
    """Make a value with everything that the shape may hold."""
    assert depth < MAX_DEPTH
    match shape.type_name:
        case "structure":
            return {
                name: example(inner, number, depth + 1)
                for name, inner in shape.members.items()  # type: ignore[attr-defined]
            }
        case "list":
            item = shape.member  # type: ignore[attr-defined]
            return [example(item, number, depth + 1), example(item, number, depth + 1)]
        case "map":
            value = shape.value  # type: ignore[attr-defined]
            return {f"key {next(number)}": example(value, number, depth + 1) for _ in range(2)}
        case "string":
            return f"ä<{next(number)}>&\t'x'\n+%"
        case "integer" | "long":
            return next(number) - 5
        case "float" | "double":
            return next(number) / 8
        case "boolean":
            return next(number) % 2 == 0
        case "blob":
            return b"\x00\xff" + str(next(number)).encode()
        case "timestamp":
            return datetime(2024, 2, 29, 1, 2, 3, 45000, UTC) + timedelta(hours=next(number))
    raise AssertionError(shape.type_name)


@pytest.mark.timeout(60)
def test_what_botocore_writes_is_read_as_it_was_meant(service: ServiceModel) -> None:
    serializer = create_serializer(service.metadata["protocol"], include_validation=False)
    for theirs, ours in operations(service):
        meant = example(theirs.input_shape, itertools.count()) if theirs.input_shape else {}
        body = serializer.serialize_to_request(meant, theirs)["body"]
        params, unknown = parse.parse(ours, form.split(urlencode(body).encode()))
        assert params == meant, theirs.name
        assert unknown == [], theirs.name


@pytest.mark.timeout(60)
def test_what_we_write_is_read_by_botocore_as_it_was_meant(service: ServiceModel) -> None:
    parser = create_parser(service.metadata["protocol"])
    for theirs, ours in operations(service):
        shape: Any = theirs.output_shape
        meant = example(shape, itertools.count()) if shape else {}
        body = render.success(ours, meant, "r-1", ours.api_version)
        response = {"status_code": 200, "headers": {}, "body": body, "context": {}}
        parsed = parser.parse(response, shape)
        assert parsed.pop("ResponseMetadata") == {"RequestId": "r-1", "HTTPHeaders": {}} | {
            "HTTPStatusCode": 200
        }
        assert parsed == meant, theirs.name


def test_what_is_known_of_an_operation_is_what_the_model_says(service: ServiceModel) -> None:
    for theirs, ours in operations(service):
        shape = theirs.input_shape
        members = shape.members if shape else {}
        assert ours.required == tuple(shape.required_members if shape else ())
        assert ours.has_dry_run == ("DryRun" in members)
        for member in theirs.idempotent_members:
            assert ours.client_token == member


def test_the_model_is_the_one_that_botocore_would_load(service: ServiceModel) -> None:
    loader = Loader(include_default_search_paths=False)
    loader.search_paths.append(Loader.BUILTIN_DATA_PATH)
    theirs = loader.load_service_model(service.service_name, "service-2")
    ours = model.read(service.service_name)
    assert ours["operations"].keys() == theirs["operations"].keys()
    assert json.dumps(ours["shapes"]) == json.dumps(_without_prose(theirs["shapes"]))


def _without_prose(shapes: dict[str, Any]) -> dict[str, Any]:
    for shape in shapes.values():
        shape.pop("documentation", None)
        for member in shape.get("members", {}).values():
            member.pop("documentation", None)
    return shapes
