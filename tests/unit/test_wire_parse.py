"""What a request means, however the client wrote it, and what is no request."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
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
    "text",
    [
        "InstanceId.1=i-a&InstanceId.2=i-b",
        "InstanceId.0=i-a&InstanceId.1=i-b",
        "InstanceId.3=i-a&InstanceId.6=i-b",
        "InstanceId.10=i-b&InstanceId.2=i-a",
        "InstanceId.2=i-b&InstanceId.1=i-a",
        "InstanceId.999999999=i-b&InstanceId.000000001=i-a",
        "InstanceId=i-a&InstanceId=i-b",
        "InstanceId.1=i-b&InstanceId=i-a",
        "InstanceId.1=i-x&InstanceId.2=i-b&InstanceId.1=i-a",
    ],
)
def test_a_list_is_in_the_order_of_its_numbers_whatever_they_are(text: str) -> None:
    assert read("DescribeInstances", text) == {"InstanceIds": ["i-a", "i-b"]}


def test_one_value_without_a_number_is_a_list_of_one() -> None:
    assert read("DescribeKeyPairs", "KeyName=x") == {"KeyNames": ["x"]}
    assert read("DescribeInstances", "Filter.Name=a&Filter.Value=b&Filter.Value=c") == {
        "Filters": [{"Name": "a", "Values": ["b", "c"]}]
    }


def test_a_number_after_a_single_value_is_left_out() -> None:
    assert read("GetConsoleOutput", "InstanceId.1=i-a") == {"InstanceId": "i-a"}
    assert read("GetConsoleOutput", "InstanceId=i-a&InstanceId.1=i-b") == {"InstanceId": "i-a"}
    assert read("GetConsoleOutput", "InstanceId.1=i-b&InstanceId=i-a") == {"InstanceId": "i-a"}


def test_of_a_single_value_that_comes_twice_the_last_counts() -> None:
    assert read("RunInstances", "MinCount=1&MinCount=2") == {"MinCount": 2}


def test_numbers_of_inner_lists_are_their_own() -> None:
    text = "Filter.5.Value.9=b&Filter.5.Value.3=a&Filter.5.Name=n&Filter.1.Name=m"
    assert read("DescribeInstances", text) == {
        "Filters": [{"Name": "m"}, {"Name": "n", "Values": ["a", "b"]}]
    }


@pytest.mark.parametrize(
    "name",
    [
        "InstanceId.x",
        "InstanceId.-1",
        "InstanceId.",
        "InstanceId.1x",
        "InstanceId.1000000000",
        "InstanceId.\u0663",
        "InstanceId.member.1",
        "Filter.Bogus",
        "Filter.one.Name",
        "InstanceId" + ".1" * 40,
        "Bogus" + ".x" * 40,
    ],
)
def test_an_odd_number_or_too_many_levels_are_malformed(name: str) -> None:
    assert refusal("DescribeInstances", f"{name}=v").code == "MalformedQueryString"


def test_a_text_where_a_structure_is_meant_is_invalid() -> None:
    refused = refusal("DescribeInstances", "Filter.1=x")
    assert refused.code == "InvalidParameterValue"
    assert refused.message == "Value (x) for parameter Filter.1 is invalid. Expected a structure."


def test_members_are_found_by_their_name_on_the_wire_only() -> None:
    params, unknown = parse.parse(
        operation("AuthorizeSecurityGroupIngress"),
        form.split(
            b"GroupId=sg-1&IpPermissions.1.Groups.1.GroupId=sg-2"
            b"&IpPermissions.1.UserIdGroupPairs.1.GroupId=sg-3&groupId=sg-4"
        ),
    )
    assert params == {
        "GroupId": "sg-1",
        "IpPermissions": [{"UserIdGroupPairs": [{"GroupId": "sg-2"}]}],
    }
    assert unknown == ["IpPermissions.N.UserIdGroupPairs.N.GroupId", "groupId"]


def test_unknown_parameters_are_told_once_and_not_without_end() -> None:
    text = "&".join(f"Bogus.{n}.Thing=1&Other{n}=2" for n in range(1000))
    _, unknown = parse.parse(operation("DescribeInstances"), form.split(text.encode()))
    assert unknown[:3] == ["Bogus.N.Thing", "Other0", "Other1"]
    assert len(unknown) == parse.MAX_UNKNOWN
    _, unknown = parse.parse(operation("DescribeInstances"), [("x" * 100_000, "1")])
    assert len(unknown[0]) <= 100


def test_what_is_about_the_request_is_no_parameter_of_the_operation() -> None:
    text = (
        "Action=DescribeInstances&Version=2014-10-01&AWSAccessKeyId=a&Signature=s&SignatureMethod=m"
        "&SignatureVersion=2&Timestamp=t&Expires=e&SecurityToken=k&X-Amz-Algorithm=a&X-Amz-Date=d"
    )
    assert parse.parse(operation("DescribeInstances"), form.split(text.encode())) == ({}, [])


def test_an_empty_list_is_said_by_name_in_the_query_protocol_alone() -> None:
    assert read("TagUser", "UserName=u&Tags=", "iam") == {"UserName": "u", "Tags": []}
    assert read("DescribeInstances", "InstanceId=") == {"InstanceIds": [""]}


@pytest.mark.parametrize("prefix", ["Tags.member.", "Tags."])
def test_the_query_protocol_may_leave_out_what_its_items_are_called(prefix: str) -> None:
    assert read("TagUser", f"{prefix}1.Key=k&{prefix}1.Value=v", "iam") == {
        "Tags": [{"Key": "k", "Value": "v"}]
    }


# Single values


@pytest.mark.parametrize("text", ["true", "TRUE", "True", "1"])
def test_truth_is_written_in_many_ways(text: str) -> None:
    assert read("RunInstances", f"EbsOptimized={text}") == {"EbsOptimized": True}


@pytest.mark.parametrize("text", ["false", "False", "0"])
def test_so_is_untruth(text: str) -> None:
    assert read("RunInstances", f"EbsOptimized={text}") == {"EbsOptimized": False}


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("EbsOptimized", "yes"),
        ("EbsOptimized", ""),
        ("MinCount", "one"),
        ("MinCount", ""),
        ("MinCount", "1.0"),
        ("MinCount", "1_0"),
        ("MinCount", "\u0661"),
        ("MinCount", "0x10"),
        ("MinCount", "2147483648"),
        ("MinCount", "-2147483649"),
        ("MinCount", "9" * 5000),
        ("Monitoring.Enabled", "None"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name_on_the_wire(
    parameter: str, text: str
) -> None:
    refused = refusal("RunInstances", f"{parameter}={quote(text)}")
    assert refused.code == "InvalidParameterValue"
    start = f"Value ({text[:100]}) for parameter {parameter} is invalid. "
    assert refused.message.startswith(start)
    assert len(refused.message) < 300


def test_numbers_reach_to_the_ends_of_their_type() -> None:
    assert read("RunInstances", "MinCount=-2147483648&MaxCount=%2B2147483647") == {
        "MinCount": -(2**31),
        "MaxCount": 2**31 - 1,
    }


def test_text_that_looks_like_something_else_stays_text() -> None:
    for text in ("0x1f", "1e5", "010", "True", "None", "null", " a "):
        assert read("RunInstances", f"KeyName={quote(text)}") == {"KeyName": text}


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29T01:02:03Z",
        "2024-02-29T01:02:03.000Z",
        "2024-02-29T01:02:03",
        "2024-02-29T03:02:03+02:00",
        "20240229T010203Z",
        "Thu, 29 Feb 2024 01:02:03 GMT",
        "1709168523",
        "1709168523.0",
    ],
)
def test_times_come_in_many_forms_and_leave_as_utc(text: str) -> None:
    params = read("DescribeSpotPriceHistory", f"StartTime={quote_plus(text)}")
    assert params == {"StartTime": datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)}
    assert params["StartTime"].tzinfo is UTC


def test_a_day_is_its_first_moment() -> None:
    for text in ("2024-02-29", "20240229"):
        assert read("DescribeSpotPriceHistory", f"StartTime={text}") == {
            "StartTime": datetime(2024, 2, 29, tzinfo=UTC)
        }


@pytest.mark.parametrize(
    "text", ["", "soon", "2024-02-30", "1e300", "-1e12", "9999-12-31T23:59:59-14:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    refused = refusal("DescribeSpotPriceHistory", f"StartTime={quote(text)}")
    assert refused.code == "InvalidParameterValue"


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    known = operation("DescribeSpotPriceHistory")
    refused, done = attempt(lambda: parse.parse(known, [("StartTime", text)]))
    if refused:
        assert refused.code == "InvalidParameterValue"
    if done:
        assert done[0]["StartTime"].tzinfo is UTC


@given(
    st.datetimes(
        datetime(1, 1, 2),
        datetime(9999, 12, 30),
        timezones=st.integers(-839, 839).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_any_time_with_its_zone_is_read_as_that_moment(moment: datetime) -> None:
    params, _ = parse.parse(
        operation("DescribeSpotPriceHistory"), [("StartTime", moment.isoformat())]
    )
    assert params == {"StartTime": moment}


def test_base64_may_hold_line_breaks() -> None:
    text = base64.encodebytes(b"#!/bin/sh\n" * 20).decode()
    assert "\n" in text.strip()
    params = read("ModifyInstanceAttribute", f"UserData.Value={quote(text)}")
    assert params == {"UserData": {"Value": b"#!/bin/sh\n" * 20}}


def test_user_data_of_a_launch_stays_the_base64_that_it_is() -> None:
    assert read("RunInstances", "UserData=aGVs%0AbG8%3D") == {"UserData": "aGVs\nbG8="}


@pytest.mark.parametrize("text", ["secret!", "c2VjcmV0x", "\u00e4"])
def test_bad_base64_is_refused_and_not_repeated(text: str) -> None:
    refused = refusal("ImportKeyPair", f"PublicKeyMaterial={quote(text)}")
    assert refused.code == "InvalidParameterValue"
    assert text not in refused.message


# What is known of an operation


def test_an_action_that_the_service_has_not_is_none() -> None:
    assert model.operation("ec2", "Bogus") is None
    assert model.operation("ec2", "") is None
    assert model.operation("s3", "ListBuckets") is None
    assert model.operation("../ec2", "RunInstances") is None


def test_an_operation_knows_what_a_dispatcher_asks() -> None:
    run = operation("RunInstances")
    assert run.required == ("MaxCount", "MinCount")
    assert run.has_dry_run
    assert run.client_token == "ClientToken"
    assert run.asked_names["SecurityGroupIds"] == "SecurityGroupId"
    assert operation("CreateEgressOnlyInternetGateway").client_token == "ClientToken"
    who = operation("GetCallerIdentity", "sts")
    assert (who.required, who.has_dry_run, who.client_token) == ((), False, None)


def test_reading_the_model_imports_neither_botocore_nor_anything_of_the_web() -> None:
    program = """
import sys
from ec2gw.wire import model, parse, render
run = model.operation("ec2", "RunInstances")
parse.parse(run, [("ImageId", "ami-1")])
render.success(run, {}, "r-1", "2016-11-15")
print(sorted({"botocore", "boto3", "flask", "urllib3", "requests"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
