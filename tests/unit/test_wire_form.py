"""Whatever arrives is read or malformed, in bounded memory and time."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2gw.wire import form, model, parse

MEBIBYTE = 1024 * 1024


def operation(action: str, service: str = "ec2") -> model.Operation:
    found = model.operation(service, action)
    assert found is not None
    return found


def read(action: str, text: str, service: str = "ec2") -> dict[str, Any]:
    params, _ = parse.parse(operation(action, service), form.split(text.encode()))
    return params


def refusal(action: str, text: str | bytes) -> parse.Malformed:
    with pytest.raises(parse.Malformed) as caught:
        parse.parse(operation(action), form.split(text.encode() if isinstance(text, str) else text))
    return caught.value


Done = TypeVar("Done")


def attempt(act: Callable[[], Done]) -> tuple[parse.Malformed | None, Done | None]:
    """Answer the refusal or what was done; any other error is a failure."""
    try:
        return None, act()
    except parse.Malformed as malformed:
        return malformed, None


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (b"", []),
        (b"Action=A&Version=2016-11-15", [("Action", "A"), ("Version", "2016-11-15")]),
        (b"A=a+b%20c%2Bd", [("A", "a b c+d")]),
        (b"A=x=y&&B&=c&", [("A", "x=y"), ("B", ""), ("", "c")]),
        (b"A=1&A=2", [("A", "1"), ("A", "2")]),
        ("N%C3%A4me=\xe4%C3%A4".encode(), [("Näme", "ää")]),
        (b"Filter%2E1%2eName=%26", [("Filter.1.Name", "&")]),
    ],
)
def test_a_form_is_split_in_the_order_of_arrival(text: bytes, pairs: list[Any]) -> None:
    assert form.split(text) == pairs


@pytest.mark.parametrize(
    "text",
    [b"A=%", b"A=%2", b"A=%zz", b"A=%FF", b"%C3=1", b"A=\xff", b"A=%ED%A0%80", b"A=%C3&B=%A4"],
)
def test_a_form_that_is_no_utf8_or_badly_escaped_is_malformed(text: bytes) -> None:
    with pytest.raises(parse.Malformed) as caught:
        form.split(text)
    assert caught.value.code == "MalformedQueryString"


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=20))
def test_what_any_client_escapes_is_split_as_it_was(pairs: list[tuple[str, str]]) -> None:
    for escape in (quote, quote_plus):
        text = "&".join(
            f"{escape(name, safe='')}={escape(value, safe='')}" for name, value in pairs
        )
        assert form.split(text.encode()) == pairs


@given(st.binary(max_size=200))
def test_any_bytes_are_split_or_malformed(text: bytes) -> None:
    refused, pairs = attempt(lambda: form.split(text))
    if refused:
        assert refused.code == "MalformedQueryString"
    for name, value in pairs or ():
        (name + value).encode()  # no half of a surrogate pair got in


PARTS = st.sampled_from(
    ["Filter", "Name", "Value", "InstanceId", "Tag", "TagSpecification", "Ebs", "NetworkInterface",
     "BlockDeviceMapping", "MaxResults", "DryRun", "PrivateIpAddresses", "1", "0", "2", "00", "-1",
     "999999999", "1e3", "", "member", "x", "\u0661", "MinCount", "UserData", "Placement"]
)  # fmt: skip
NAMES = st.lists(PARTS, min_size=1, max_size=40).map(".".join)


@settings(max_examples=300)
@given(
    st.sampled_from(["DescribeInstances", "RunInstances", "CreateTags", "ImportKeyPair"]),
    st.lists(st.tuples(NAMES | st.text(max_size=20), st.text(max_size=10)), max_size=30),
)
def test_any_form_is_read_or_malformed(action: str, pairs: list[tuple[str, str]]) -> None:
    known = operation(action)
    refused, done = attempt(lambda: parse.parse(known, pairs))
    if refused:
        assert refused.code in ("MalformedQueryString", "InvalidParameterValue")
        assert len(refused.message) < 500
    if done:
        assert known.input is not None
        fits(done[0], known.input)
        assert len(done[1]) <= len(pairs)


def fits(value: Any, shape: model.Shape) -> None:
    """Check that nothing of the reading's own bookkeeping is left."""
    if shape.kind == "structure":
        assert type(value) is dict
        shapes = {member.name: member.shape for member in shape.members}
        for name, inner in value.items():
            fits(inner, shapes[name])
    elif shape.item is not None:
        assert type(value) is list
        for inner in value:
            fits(inner, shape.item.shape)
    else:
        types = {"integer": int, "boolean": bool, "blob": bytes, "timestamp": datetime}
        assert type(value) is types.get(shape.kind, str)


def repeated(parameter: str) -> bytes:
    """Fill a mebibyte with numbered parameters."""
    text = ""
    pieces = []
    number = size = 0
    while size < MEBIBYTE:
        number += 1
        text = parameter.format(number)
        size += len(text)
        pieces.append(text)
    return "".join(pieces).encode()[:MEBIBYTE]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"&" * MEBIBYTE, id="nothing but separators"),
        pytest.param(b"%41" * (MEBIBYTE // 3), id="escapes"),
        pytest.param(b"A=" + b"%C3%A4" * (MEBIBYTE // 6), id="escapes of two bytes"),
        pytest.param(b"." * MEBIBYTE, id="one name of many levels"),
        pytest.param(b"Filter" + b".1" * (MEBIBYTE // 2), id="one list of many levels"),
        pytest.param(b"InstanceId." + b"9" * MEBIBYTE, id="a number without end"),
        pytest.param(b"MaxResults=" + b"9" * MEBIBYTE, id="a value without end"),
        pytest.param(b"StartTime=" + b"9" * MEBIBYTE, id="a time without end"),
        pytest.param(repeated("InstanceId.{}=i-a&"), id="many items"),
        pytest.param(repeated("NetworkInterface.{}.PrivateIpAddresses.1.Primary=1&"), id="deep"),
        pytest.param(repeated("x{}" + ".y" * 25 + "=&"), id="many unknown names"),
    ],
)
@pytest.mark.parametrize(
    "action", ["DescribeInstances", "RunInstances", "DescribeSpotPriceHistory"]
)
def test_no_body_takes_much_memory_or_time(action: str, body: bytes) -> None:
    known = operation(action)
    parse.parse(known, [])
    tracemalloc.start()
    began = time.process_time()
    try:
        attempt(lambda: parse.parse(known, form.split(body)))
        spent = time.process_time() - began
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 24 * MEBIBYTE
    assert spent < 3  # most of it is the tracing of memory


def test_ten_thousand_parameters_are_read_and_one_more_is_malformed() -> None:
    text = "&".join(f"InstanceId.{n}=i-{n}" for n in range(form.MAX_PARAMETERS))
    assert len(read("DescribeInstances", text)["InstanceIds"]) == form.MAX_PARAMETERS
    assert refusal("DescribeInstances", f"{text}&A=b").code == "MalformedQueryString"
