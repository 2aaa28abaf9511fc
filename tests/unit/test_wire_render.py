"""What an answer looks like, and that a result which does not fit is never sent."""

from __future__ import annotations

import math
import threading
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from concurrent import futures
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from ec2gw.wire import model, render

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
LAUNCH = datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)


def operation(action: str, service: str = "ec2") -> model.Operation:
    found = model.operation(service, action)
    assert found is not None
    return found


def answer(action: str, result: Mapping[str, object], version: str = "2016-11-15") -> str:
    """Render with ec2's frame taken off."""
    body = render.success(operation(action), result, "r-1", version).decode()
    start = f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/{version}/">'
    head = DECLARATION.decode() + start + "<requestId>r-1</requestId>"
    end = f"</{action}Response>"
    assert body.startswith(head)
    assert body.endswith(end)
    return body[len(head) : -len(end)]


# The frame


@pytest.mark.parametrize("version", ["2016-11-15", "2014-10-01", "2008-02-01"])
def test_the_namespace_is_the_version_of_the_request_to_the_letter(version: str) -> None:
    body = render.success(operation("DescribeRegions"), {}, "r-1", version)
    assert f'xmlns="http://ec2.amazonaws.com/doc/{version}/">'.encode() in body


@pytest.mark.parametrize(
    "version",
    [
        "",
        "latest",
        "2016-11-15/",
        "2016-11-155",
        '"><x>',
        "\uff12\uff10\uff11\uff16-11-15",
        "2016-11-15\n",
    ],
)
def test_a_version_of_another_form_is_not_repeated(version: str) -> None:
    body = render.success(operation("DescribeRegions"), {}, "r-1", version)
    assert b' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">' in body


def test_sts_and_iam_wrap_their_results() -> None:
    body = render.success(
        operation("GetCallerIdentity", "sts"), {"Account": "123456789012"}, "r-1", "2011-06-15"
    )
    assert body == DECLARATION + (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        b"<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
        b"<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
        b"</GetCallerIdentityResponse>"
    )
    body = render.success(operation("DeleteUser", "iam"), {}, "r-1", "2010-05-08")
    assert body == DECLARATION + (
        b'<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        b"<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></DeleteUserResponse>"
    )


def test_an_error_of_ec2_has_no_namespace_and_two_children() -> None:
    body = render.error("ec2", "InvalidInstanceID.NotFound", "no <i-1> & \x00more", "r-1", 400)
    assert body == DECLARATION + (
        b"<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code>"
        b"<Message>no &lt;i-1&gt; &amp; more</Message></Error></Errors>"
        b"<RequestID>r-1</RequestID></Response>"
    )


@pytest.mark.parametrize(
    ("service", "status", "head", "blamed"),
    [
        ("sts", 403, '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">', "Sender"),
        (
            "iam",
            500,
            '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">',
            "Receiver",
        ),
        ("sqs", 503, "<ErrorResponse>", "Receiver"),
        ('"><x>', 400, "<ErrorResponse>", "Sender"),
    ],
)
def test_an_error_of_another_service_says_who_is_to_blame(
    service: str, status: int, head: str, blamed: str
) -> None:
    assert render.error(service, "Code", "Words", "r-1", status).decode() == (
        f"{DECLARATION.decode()}{head}<Error><Type>{blamed}</Type><Code>Code</Code>"
        "<Message>Words</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )


# What is always there, and what is not


@pytest.mark.parametrize("action", ["CreateTags", "RebootInstances", "DeleteSubnet"])
def test_an_action_without_a_result_returns_true(action: str) -> None:
    assert answer(action, {}) == "<return>true</return>"


@pytest.mark.parametrize("action", sorted(model.RETURN_TRUE_TOO))
def test_some_actions_return_true_beside_a_result_that_lacks_it_in_the_model(action: str) -> None:
    assert answer(action, {}).startswith("<return>true</return>")
    output = operation(action).output
    assert output is not None
    assert "return" not in {member.told for member in output.members}


def test_return_is_true_unless_the_result_says_otherwise() -> None:
    assert answer("DeleteKeyPair", {}) == "<return>true</return>"
    assert answer("DeleteKeyPair", {"Return": False}) == "<return>false</return>"


def test_lists_at_the_top_are_there_without_items_and_the_token_is_not() -> None:
    given: list[dict[str, object]] = [
        {},
        {"Reservations": []},
        {"Reservations": None, "NextToken": None},
    ]
    for nothing in given:
        assert answer("DescribeInstances", nothing) == "<reservationSet></reservationSet>"


def test_lists_below_are_there_when_given() -> None:
    assert answer("DescribeInstances", {"Reservations": [{"Groups": []}, {}]}) == (
        "<reservationSet><item><groupSet></groupSet></item><item></item></reservationSet>"
    )


def test_an_answer_about_one_attribute_says_nothing_of_the_others() -> None:
    result = {"InstanceId": "i-1", "DisableApiStop": {"Value": False}}
    assert answer("DescribeInstanceAttribute", result) == (
        "<instanceId>i-1</instanceId><disableApiStop><value>false</value></disableApiStop>"
    )


def test_an_attribute_without_a_value_is_there_to_be_looked_into() -> None:
    text = answer("DescribeInstanceAttribute", {"InstanceId": "i-1", "UserData": {}})
    assert text == "<instanceId>i-1</instanceId><userData></userData>"


def test_what_is_none_and_structures_with_nothing_in_them_are_left_out() -> None:
    instance = {"InstanceId": "i-1", "KeyName": None, "State": {}, "Placement": {"Tenancy": None}}
    result = {"Reservations": [{"Instances": [instance], "OwnerId": ""}]}
    assert answer("DescribeInstances", result) == (
        "<reservationSet><item><ownerId></ownerId><instancesSet><item>"
        "<instanceId>i-1</instanceId></item></instancesSet></item></reservationSet>"
    )


def test_single_values_come_before_structures_and_these_before_lists() -> None:
    instance = {
        "Tags": [{"Key": "k", "Value": "v"}],
        "NetworkInterfaces": [],
        "Monitoring": {"State": "disabled"},
        "State": {"Name": "running", "Code": 16},
        "PrivateIpAddress": "10.0.0.1",
        "InstanceId": "i-1",
    }
    reservation = {"Instances": [instance], "Groups": [], "OwnerId": "o", "ReservationId": "r"}
    body = answer("DescribeInstances", {"Reservations": [reservation], "NextToken": "t"})
    names = [element.tag for element in ET.fromstring(f"<x>{body}</x>").iter()]
    assert " ".join(names) == (
        "x nextToken reservationSet item reservationId ownerId groupSet instancesSet item "
        "instanceId privateIpAddress instanceState code name monitoring state "
        "networkInterfaceSet tagSet item key value"
    )


def test_lists_whose_items_the_model_does_not_name_have_items_all_the_same() -> None:
    types = [{"InferenceAcceleratorInfo": {"Accelerators": [{"Count": 1}]}}]
    body = answer("DescribeInstanceTypes", {"InstanceTypes": types})
    assert "<accelerators><item><count>1</count></item></accelerators>" in body


def test_a_mend_of_the_model_is_dropped_when_the_model_is_mended() -> None:
    loader = Loader(include_default_search_paths=False)
    loader.search_paths.append(Loader.BUILTIN_DATA_PATH)
    shapes = loader.load_service_model("ec2", "service-2")["shapes"]
    for name in model.ITEM_NAMES:
        assert "locationName" not in shapes[name]["member"]


# Values


def described(**tag: object) -> str:
    body = answer("DescribeTags", {"Tags": [tag]})
    return body.removeprefix("<tagSet><item>").removesuffix("</item></tagSet>")


@given(st.text())
def test_any_text_is_read_as_it_was_but_for_what_xml_cannot_hold(text: str) -> None:
    value = ET.fromstring(described(Value=text))
    assert (value.text or "") == "".join(filter(allowed, text))


def allowed(character: str) -> bool:
    code = ord(character)
    return code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF


def test_half_a_surrogate_pair_is_left_out() -> None:
    assert described(Value="a\ud83db\ufffe") == "<value>ab</value>"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (LAUNCH, "2024-02-29T01:02:03.000Z"),
        (LAUNCH + timedelta(microseconds=45999), "2024-02-29T01:02:03.045Z"),
        (LAUNCH.astimezone(timezone(timedelta(hours=-5))), "2024-02-29T01:02:03.000Z"),
        (datetime(33, 1, 1, tzinfo=UTC), "0033-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert answer("CreateVolume", {"CreateTime": moment}).startswith(
        f"<createTime>{text}</createTime>"
    )


def test_numbers_and_truth_have_one_form() -> None:
    body = answer("CreateVolume", {"Size": -8, "Encrypted": True, "FastRestored": False})
    for element in ("<size>-8</size>", "<encrypted>true<", "<fastRestored>false<"):
        assert element in body
    memory = {"MemoryInfo": {"SizeInMiB": 2**40}}
    sizes = answer("DescribeInstanceTypes", {"InstanceTypes": [memory]})
    assert "<sizeInMiB>1099511627776</sizeInMiB>" in sizes
    for number, text in ((0.25, "0.25"), (3, "3"), (math.inf, "Infinity"), (math.nan, "NaN")):
        clock = {"ProcessorInfo": {"SustainedClockSpeedInGhz": number}}
        speeds = answer("DescribeInstanceTypes", {"InstanceTypes": [clock]})
        assert f"<sustainedClockSpeedInGhz>{text}</sustainedClockSpeedInGhz>" in speeds


@pytest.mark.parametrize(
    ("action", "result", "said"),
    [
        ("DescribeInstances", {"Bogus": 1}, "DescribeInstancesResult has no Bogus"),
        ("DescribeInstances", {"Reservations": [{"reservationId": "r"}]}, "Reservation has no"),
        ("DescribeInstances", {"Reservations": "r"}, "ReservationList is str"),
        ("DescribeInstances", {"Reservations": {"a": 1}}, "ReservationList is dict"),
        ("DescribeInstances", {"Reservations": ["r"]}, "Reservation is str"),
        ("DescribeInstances", {"Reservations": [None]}, "Reservation is NoneType"),
        ("CreateTags", {"Return": True}, "CreateTags has no result, but got Return"),
        ("CreateVolume", {"Size": "8"}, "Volume.Size is str"),
        ("CreateVolume", {"Size": True}, "Volume.Size is bool"),
        ("CreateVolume", {"Size": 8.0}, "Volume.Size is float"),
        ("CreateVolume", {"Encrypted": 1}, "Volume.Encrypted is int"),
        ("CreateVolume", {"VolumeId": 1}, "Volume.VolumeId is int"),
        ("CreateVolume", {"VolumeId": b"vol-1"}, "Volume.VolumeId is bytes"),
        ("CreateVolume", {"CreateTime": "2024-02-29"}, "Volume.CreateTime is str"),
        ("CreateVolume", {"CreateTime": datetime(2024, 2, 29)}, "Volume.CreateTime is datetime"),
        ("CreateVolume", {"CreateTime": {}}, "Volume.CreateTime is dict"),
        ("DescribeVpcEndpointServices", {"ServiceNames": [1]}, "item of string is int"),
    ],
)
def test_what_does_not_fit_its_shape_is_raised(
    action: str, result: dict[str, Any], said: str
) -> None:
    with pytest.raises(render.Misfit, match=said):
        render.success(operation(action), result, "r-1", "2016-11-15")


def test_a_misfit_never_repeats_the_value() -> None:
    with pytest.raises(render.Misfit) as caught:
        render.success(operation("CreateKeyPair"), {"KeyMaterial": b"secret"}, "r-1", "")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_operation_used_first_by_many_threads_is_compiled_whole() -> None:
    """Each round has a model of its own, so that each begins with nothing compiled."""
    description = model.read("ec2")
    instance = {"InstanceId": "i-1", "Placement": {"Tenancy": "default"}, "Tags": [{"Key": "k"}]}
    result = {"Reservations": [{"Instances": [instance]}]}
    expected = render.success(operation("DescribeInstances"), result, "r-1", "")
    for _ in range(5):
        fresh = model.Service("ec2", description).operation("DescribeInstances")
        assert fresh is not None
        start = threading.Barrier(8)

        def run(_: int, asked: model.Operation = fresh, start: threading.Barrier = start) -> bytes:
            start.wait(10)
            return render.success(asked, result, "r-1", "")

        with futures.ThreadPoolExecutor(8) as pool:
            assert list(pool.map(run, range(8), timeout=10)) == [expected] * 8
