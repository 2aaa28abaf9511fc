"""The wire against the vectors that AWS's SDKs are tested with, turned round for a server.

Source: tests/data/protocol/README.md
"""

from __future__ import annotations

import copy
import json
import math
import pathlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import EC2QueryParser, QueryParser

from ec2gw.wire import form, model, parse, render

VECTORS = pathlib.Path(__file__).parents[1] / "data" / "protocol"

GZIPPED = "a compressed body, which the vector does not show; compression is not the wire's"
INVENTED = "the client invents the token: a server sees one where the caller gave none"
NOT_SENT = "what is empty is not sent, so a server cannot see it"
MODELLED_ERROR = "an error with members of its own, which neither EC2 nor ours has"

NOT_READ = {
    "SDKAppliedContentEncoding_ec2Query": GZIPPED,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_ec2Query": GZIPPED,
    "SDKAppliedContentEncoding_awsQuery": GZIPPED,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery": GZIPPED,
    "Ec2ProtocolIdempotencyTokenAutoFill": INVENTED,
    "QueryProtocolIdempotencyTokenAutoFill": INVENTED,
    "Idempotency token auto fill 2": INVENTED,
    "Ec2EmptyQueryLists": NOT_SENT,
    "QueryEmptyQueryMaps": NOT_SENT,
}
NOT_WRITTEN = {
    "Ec2ComplexError": MODELLED_ERROR,
    "QueryComplexError": MODELLED_ERROR,
    "Modeled exceptions 1": MODELLED_ERROR,
    "Modeled exceptions 2": MODELLED_ERROR,
}
# Written otherwise than in the vector, and read alike.
OTHER_TEXT = {
    name: "a server writes times in one form, 2006-01-02T15:04:05.000Z"
    for name in (
        "Ec2QueryDateTimeWithNegativeOffset",
        "Ec2QueryDateTimeWithPositiveOffset",
        "AwsQueryDateTimeWithNegativeOffset",
        "AwsQueryDateTimeWithPositiveOffset",
        "Ec2XmlLists",
        "QueryXmlLists",
        "Ec2XmlTimestamps",
        "Ec2XmlTimestampsWithDateTimeFormat",
        "Ec2XmlTimestampsWithDateTimeOnTargetFormat",
        "QueryXmlTimestamps",
        "QueryXmlTimestampsWithDateTimeFormat",
        "QueryXmlTimestampsWithDateTimeOnTargetFormat",
    )
} | {
    "QueryEmptyInputAndEmptyOutput": "the vector has no body",
    "QueryNoInputAndOutput": "the vector has no body",
    "QueryNoInputAndNoOutput": "the vector has no body",
}
OTHER_READING = {
    name: "botocore reads a flattened list by its item's name; the vector has the member's"
    for name in ("Ec2XmlLists", "QueryXmlLists")
}

Case = tuple[str, dict[str, Any], dict[str, Any]]


def cases(*files: str) -> Iterator[Case]:
    """Yield id, the suite without its cases, case. Cases without an id are numbered."""
    for name in files:
        for suite in json.loads((VECTORS / name).read_text()):
            bare = {key: value for key, value in suite.items() if key != "cases"}
            for number, case in enumerate(suite["cases"], 1):
                yield case.get("id", f"{suite['description']} {number}"), bare, case


def operation(suite: dict[str, Any], case: dict[str, Any]) -> model.Operation:
    given = {"name": "OperationName"} | case["given"]
    metadata = {"apiVersion": "2020-01-08"} | suite["metadata"]
    service = model.Service("test", suite | {"metadata": metadata, "operations": {"it": given}})
    found = service.operation("it")
    assert found is not None
    return found


def plain(value: Any) -> Any:
    """Say a value as the vectors do."""
    match value:
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case datetime():
            return value.timestamp()
        case bytes():
            return value.decode()
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
    return value


def typed(value: Any, shape: model.Shape) -> Any:
    """Say a vector's value in the types of a result."""
    if shape.kind == "structure":
        shapes = {member.name: member.shape for member in shape.members}
        return {name: typed(inner, shapes[name]) for name, inner in value.items()}
    if shape.item is not None:
        return [typed(inner, shape.item.shape) for inner in value]
    if shape.value is not None:
        return {key: typed(inner, shape.value.shape) for key, inner in value.items()}
    match shape.kind:
        case "timestamp":
            return datetime.fromtimestamp(value, UTC)
        case "blob":
            return value.encode()
        case "float" | "double":
            return float(value)
    return value


INPUT = [
    case
    for case in cases("ec2-input.json", "ec2-input.classic.json", "query-input.json")
    if case[0] not in NOT_READ
]
OUTPUT = [
    case
    for case in cases("ec2-output.json", "ec2-output.serverside.json", "query-output.json")
    if case[0] not in NOT_WRITTEN
]
RESULTS = [case for case in OUTPUT if "result" in case[2]]
ERRORS = [case for case in OUTPUT if "result" not in case[2]]


def ids(of: list[Case]) -> list[str]:
    return [name for name, _, _ in of]


def test_every_case_left_out_exists() -> None:
    files = (path.name for path in VECTORS.glob("*.json"))
    known = {name for name, _, _ in cases(*files)}
    assert known.issuperset(NOT_READ | NOT_WRITTEN | OTHER_TEXT | OTHER_READING)
    assert len(INPUT) > 60
    assert len(OUTPUT) > 70


@pytest.mark.parametrize(("_id", "suite", "case"), INPUT, ids=ids(INPUT))
def test_a_request_is_read_as_the_caller_meant_it(
    _id: str, suite: dict[str, Any], case: dict[str, Any]
) -> None:
    sent = form.split(case["serialized"]["body"].encode())
    params, unknown = parse.parse(operation(suite, case), sent)
    assert plain(params) == case["params"]
    assert unknown == []


@pytest.mark.parametrize(
    ("_id", "suite", "case"),
    [case for case in RESULTS if case[0] not in OTHER_READING],
    ids=[name for name in ids(RESULTS) if name not in OTHER_READING],
)
def test_an_answer_is_understood_by_botocore(
    _id: str, suite: dict[str, Any], case: dict[str, Any]
) -> None:
    asked = operation(suite, case)
    result = typed(case["result"], asked.output) if asked.output else {}
    body = render.success(asked, result, "r-1", "2020-01-08")
    service = ServiceModel(copy.deepcopy(suite))
    shape: Any = OperationModel(copy.deepcopy(case["given"]), service).output_shape
    if asked.result_wrapper and shape is not None:
        shape.serialization["resultWrapper"] = asked.result_wrapper
    reader = EC2QueryParser() if asked.protocol == "ec2" else QueryParser()
    parsed = reader.parse({"status_code": 200, "headers": {}, "body": body, "context": {}}, shape)
    assert parsed.pop("ResponseMetadata")["RequestId"] == "r-1"
    for name in set(parsed) - set(case["result"]):
        assert parsed.pop(name) == []  # lists at the top are always there
    assert plain(parsed) == case["result"]


@pytest.mark.parametrize(
    ("_id", "suite", "case"),
    [case for case in RESULTS if case[0] not in OTHER_TEXT],
    ids=[name for name in ids(RESULTS) if name not in OTHER_TEXT],
)
def test_an_answer_has_the_elements_of_the_vector(
    _id: str, suite: dict[str, Any], case: dict[str, Any]
) -> None:
    asked = operation(suite, case)
    result = typed(case["result"], asked.output) if asked.output else {}
    ours = tree(render.success(asked, result, "r-1", "2020-01-08"))
    theirs = tree(case["response"]["body"].encode())
    assert ours[0] in (theirs[0], f"{asked.name}Response")
    wrapped = asked.result_wrapper is not None
    assert members(ours, wrapped, but_for=result) == members(theirs, wrapped, but_for=result)


Tree = tuple[str, Any]


def tree(body: bytes) -> Tree:
    """Names and texts in their order, without namespaces and blank texts."""

    def walk(element: ET.Element) -> Tree:
        children = [walk(child) for child in element]
        return element.tag.rpartition("}")[2], children or (element.text or "").strip()

    return walk(ET.fromstring(body))


def members(document: Tree, wrapped: bool, but_for: dict[str, Any]) -> list[Tree]:
    """Take out what says the request's id, and the empty lists that ours always has."""
    content = [one for one in document[1] if one[0] not in ("requestId", "ResponseMetadata")]
    if wrapped:
        ((_, content),) = content
    if not but_for:
        return [one for one in content if one[0] != "return"]
    return [one for one in content if one[1] or one[0] in but_for]


@pytest.mark.parametrize(("_id", "suite", "case"), ERRORS, ids=ids(ERRORS))
def test_an_error_is_understood_by_botocore_and_has_the_elements_of_the_vector(
    _id: str, suite: dict[str, Any], case: dict[str, Any]
) -> None:
    protocol = suite["metadata"]["protocol"]
    service = "ec2" if protocol == "ec2" else "other"
    theirs = case["response"]["body"].encode()
    request_id = ET.fromstring(theirs)[-1].text or ""
    said = case.get("errorMessage") or case.get("error", {}).get("Message") or "mymessage"
    body = render.error(service, case["errorCode"], said, request_id, 400)
    reader = EC2QueryParser() if protocol == "ec2" else QueryParser()
    nothing: Any = None  # an error has no shape, which the reader's types leave out
    response = {"status_code": 400, "headers": {}, "body": body, "context": {}}
    parsed = reader.parse(response, nothing)
    assert parsed["Error"]["Code"] == case["errorCode"]
    assert parsed["Error"]["Message"] == said
    assert parsed["ResponseMetadata"]["RequestId"] == request_id
    assert tree(body) == tree(theirs)
