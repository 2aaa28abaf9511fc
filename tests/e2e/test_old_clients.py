"""What clients of fifteen years ago send and rely on, without an SDK in between.

Source: EC2 API Reference, "Query requests for Amazon EC2"; what boto 2, euca2ools, jclouds, fog and
others were seen to send and to read.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests import old_signer
from tests.e2e import raw
from tests.gateway import LINUX_IMAGE, Gateway, wait_until

VERSIONS = ("2016-11-15", "2014-10-01", "2012-12-01", "2009-11-30")
OLD = "2014-10-01"
REGION = "us-west-2"
NOT_VALIDATED = (
    401,
    "AuthFailure",
    "AWS was not able to validate the provided access credentials",
)


class Client:
    """Signs what it is told to send, in one region, in one API version."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def __call__(
        self, action: str, *pairs: tuple[str, str], method: str = "GET", version: str = OLD
    ) -> raw.Answer:
        asked = [("Action", action), ("Version", version), *pairs]
        return raw.sign(self.gateway, asked, method, region=REGION).send()

    def launch(self, *pairs: tuple[str, str]) -> raw.Answer:
        asked = {"ImageId": LINUX_IMAGE, "InstanceType": "t3.nano"}
        counts = (("MinCount", "1"), ("MaxCount", "1"))
        answer = self("RunInstances", *asked.items(), *counts, *pairs, method="POST")
        assert answer.status == 200, answer.text
        return answer

    def until(self, state: str, instance_id: str) -> raw.Answer:
        """Ask until the instance is in that state."""
        told: list[raw.Answer] = []

        def holds() -> bool:
            told.append(self("DescribeInstances", ("InstanceId.1", instance_id)))
            return told[-1].one(f"{ITEM}/instanceState/name") == state

        wait_until(holds, 30)
        return told[-1]


class OldClient:
    """Signs by Signature Version 2; the region is in the name of the endpoint."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        port = gateway.url.rpartition(":")[2]
        self.host = f"ec2.{REGION}.example.org:{port}"

    def __call__(
        self, action: str, *pairs: tuple[str, str], method: str = "GET", version: str = OLD
    ) -> raw.Answer:
        asked = [("Action", action), ("Version", version), *pairs]
        return self.send(self.signed(asked, method=method), method)

    def signed(
        self,
        pairs: Sequence[tuple[str, str]],
        time: dt.datetime | None = None,
        method: str = "GET",
    ) -> str:
        given = self.gateway.environment
        key = (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
        return old_signer.signed(key, dict(pairs), host=self.host, method=method, time=time)

    def send(self, sent: str, method: str = "GET") -> raw.Answer:
        headers = {"Host": self.host}
        if method == "GET":
            return raw.send(self.gateway.url, query=sent, headers=headers)
        headers["Content-Type"] = raw.FORM
        return raw.send(self.gateway.url, "POST", body=sent.encode(), headers=headers)


ITEM = "reservationSet/item/instancesSet/item"


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Client:
    return Client(gateway)


@pytest.fixture(scope="module")
def instance(client: Client) -> Iterator[str]:
    made = client.launch().one("instancesSet/item/instanceId")
    client.until("running", made)
    yield made
    client("TerminateInstances", ("InstanceId.1", made))
    client.until("terminated", made)


# -- the document


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_version_that_was_asked_in_is_the_one_answered_in(
    client: Client, version: str, method: str
) -> None:
    answer = client("DescribeInstances", method=method, version=version)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/xml;charset=UTF-8"
    assert answer.namespace == f"http://ec2.amazonaws.com/doc/{version}/"
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    assert f'<DescribeInstancesResponse xmlns="{answer.namespace}">' in answer.text
    assert answer.one("requestId") == answer.headers["x-amzn-requestid"]
    assert answer.text.count("xmlns") == 1


def test_an_error_has_no_namespace_and_code_and_message_alone(client: Client) -> None:
    answer = client("DescribeInstances", ("InstanceId.1", "i-0123456789abcdef0"))
    assert answer.status == 400
    assert answer.namespace is None
    root = answer.root
    assert (root.tag, [child.tag for child in root]) == ("Response", ["Errors", "RequestID"])
    (error,) = root[0]
    assert [child.tag for child in error] == ["Code", "Message"]
    assert answer.one("RequestID") == answer.headers["x-amzn-requestid"]


def test_empty_lists_are_there_and_tokens_are_not(client: Client) -> None:
    answer = client("DescribeTags")
    assert answer.root.find("{*}tagSet") is not None
    assert "nextToken" not in answer.text
    assert "/>" not in answer.text.replace("<tagSet/>", "")


def test_times_are_written_to_the_millisecond_in_utc(client: Client, instance: str) -> None:
    answer = client("DescribeInstances", ("InstanceId.1", instance))
    time = answer.one(f"{ITEM}/launchTime")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)


def test_what_a_parser_reads_first_stands_ahead_of_the_sets(client: Client, instance: str) -> None:
    root = client("DescribeInstances", ("InstanceId.1", instance)).root
    item = root.find("{*}reservationSet/{*}item")
    assert item is not None
    names = [child.tag.partition("}")[2] for child in item]
    assert names.index("reservationId") < names.index("instancesSet")
    assert names.index("ownerId") < names.index("instancesSet")
    one = item.find("{*}instancesSet/{*}item")
    assert one is not None
    order = [child.tag.partition("}")[2] for child in one]
    # Parsers keep the last `name`, `groupId` or `status` that they met, and an item's end is its
    # set's: what names the instance has to be read by then.
    assert (
        order.index("instanceId")
        < order.index("instanceState")
        < order.index("networkInterfaceSet")
    )


# -- actions that answer nothing else


def test_success_without_a_result_is_return_true(client: Client, instance: str) -> None:
    on_it = ("ResourceId.1", instance)
    tag = ("Tag.1.Key", "a")
    for answer in (
        client("CreateTags", on_it, tag, ("Tag.1.Value", "1")),
        client("DeleteTags", on_it, tag),
        client("RebootInstances", ("InstanceId.1", instance)),
        client("DeleteKeyPair", ("KeyName", "never was")),
    ):
        assert answer.status == 200, answer.text
        assert answer.one("return") == "true"
        assert answer.one("requestId")


# -- how lists are written


@pytest.mark.parametrize(
    "names",
    [
        ("InstanceId.1",),
        ("InstanceId.0",),
        ("InstanceId.3", "InstanceId.6"),
        ("InstanceId.10", "InstanceId.2"),
        ("InstanceId",),
        ("InstanceId", "InstanceId"),
    ],
)
def test_a_list_is_a_list_by_any_number_or_none(
    client: Client, instance: str, names: tuple[str, ...]
) -> None:
    answer = client("DescribeInstances", *((name, instance) for name in names))
    assert answer.all(f"{ITEM}/instanceId") == [instance]


def test_filters_are_numbered_from_anywhere(client: Client, instance: str) -> None:
    answer = client(
        "DescribeInstances",
        ("Filter.7.Name", "instance-id"),
        ("Filter.7.Value.4", instance),
        ("Filter.7.Value.9", "i-none"),
        ("Filter.0.Name", "instance-state-name"),
        ("Filter.0.Value", "running"),
    )
    assert answer.all(f"{ITEM}/instanceId") == [instance]


def test_a_key_pair_is_named_without_a_number_and_a_scalar_with_one(client: Client) -> None:
    made = client("CreateKeyPair", ("KeyName.1", "old"))
    assert made.one("keyName") == "old"
    listed = client("DescribeKeyPairs", ("KeyName", "old"))
    assert listed.all("keySet/item/keyName") == ["old"]
    private = serialization.load_pem_private_key(made.one("keyMaterial").encode(), None)
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert made.one("keyMaterial").startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert made.one("keyFingerprint") == hashlib.sha1(der).digest().hex(":")
    assert client("DeleteKeyPair", ("KeyName.1", "old")).status == 200
    assert client("DescribeKeyPairs").all("keySet/item/keyName") == []


def test_an_imported_rsa_key_has_the_fingerprint_of_its_public_half(client: Client) -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    material = ("PublicKeyMaterial", base64.b64encode(line + b" me@here").decode())
    answer = client("ImportKeyPair", ("KeyName", "brought"), material, method="POST")
    assert answer.one("keyFingerprint") == hashlib.md5(der).digest().hex(":")
    client("DeleteKeyPair", ("KeyName", "brought"))


def test_unknown_parameters_are_not_in_the_way(client: Client) -> None:
    answer = client("DescribeInstances", ("Colour", "red"), ("Colour.1.Shade", "dark"))
    assert answer.status == 200


# -- launches and states on the wire


def test_a_launch_by_interface_shows_subnet_and_groups_on_the_instance(client: Client) -> None:
    subnet = client("DescribeSubnets").all("subnetSet/item/subnetId")[1]
    group = client("DescribeSecurityGroups").one("securityGroupInfo/item/groupId")
    answer = client.launch(
        ("NetworkInterface.1.DeviceIndex", "0"),
        ("NetworkInterface.1.SubnetId", subnet),
        ("NetworkInterface.1.SecurityGroupId.1", group),
        ("NetworkInterface.1.DeleteOnTermination", "true"),
    )
    item = "instancesSet/item"
    assert answer.one(f"{item}/subnetId") == subnet
    assert answer.one(f"{item}/groupSet/item/groupId") == group
    assert answer.one(f"{item}/networkInterfaceSet/item/subnetId") == subnet
    assert answer.one(f"{item}/networkInterfaceSet/item/attachment/deviceIndex") == "0"
    client("TerminateInstances", ("InstanceId", answer.one(f"{item}/instanceId")))


def test_states_on_the_way_and_reasons_are_ec2s(client: Client) -> None:
    answer = client.launch()
    one = answer.one("instancesSet/item/instanceId")
    assert answer.one("instancesSet/item/instanceState/code") == "0"
    client.until("running", one)
    stopping = client("StopInstances", ("InstanceId.1", one))
    assert stopping.one("instancesSet/item/currentState/name") == "stopping"
    stopped = client.until("stopped", one)
    assert stopped.one(f"{ITEM}/reason").startswith("User initiated (")
    assert stopped.one(f"{ITEM}/stateReason/code") == "Client.UserInitiatedShutdown"
    starting = client("StartInstances", ("InstanceId.1", one))
    assert starting.one("instancesSet/item/currentState/name") == "pending"
    client.until("running", one)
    ending = client("TerminateInstances", ("InstanceId.1", one))
    assert ending.one("instancesSet/item/currentState/name") == "shutting-down"
    client.until("terminated", one)


# -- how requests are signed


REGIONS = (("Action", "DescribeRegions"), ("Version", OLD))


def test_a_presigned_request_is_a_plain_get(gateway: Gateway) -> None:
    signed = raw.sign(gateway, REGIONS, presigned_seconds=60)
    assert "Authorization" not in signed.headers
    assert signed.send().status == 200
    week = 7 * 24 * 3600
    assert raw.sign(gateway, REGIONS, presigned_seconds=week).send().status == 200
    too_long = raw.sign(gateway, REGIONS, presigned_seconds=week + 1).send()
    assert too_long.status in (400, 401)
    assert too_long.error[1]


def test_any_header_may_be_signed_but_none_changed(gateway: Gateway) -> None:
    signed = raw.sign(gateway, REGIONS, "POST", headers={"X-Odd": "a  b ", "Accept": "text/xml"})
    assert "x-odd" in signed.headers["Authorization"]
    assert signed.send().status == 200
    for name, value in (("X-Odd", "b"), ("Host", "elsewhere:8773")):
        changed = replace(signed, headers={**signed.headers, name: value}).send()
        assert changed.error == NOT_VALIDATED


def test_nothing_that_was_signed_may_be_changed(gateway: Gateway) -> None:
    signed = raw.sign(gateway, REGIONS, "POST")
    assert signed.body is not None
    other = signed.body.replace(b"DescribeRegions", b"DescribeVolumes")
    assert replace(signed, body=other).send().error == NOT_VALIDATED
    presigned = raw.sign(gateway, REGIONS, presigned_seconds=60)
    other_query = presigned.query.replace("DescribeRegions", "DescribeVpcs")
    assert replace(presigned, query=other_query).send().error == NOT_VALIDATED
    added = replace(signed, query="DryRun=true").send()
    assert added.error == NOT_VALIDATED


def test_a_request_without_a_signature_is_told_what_it_lacks(gateway: Gateway) -> None:
    unsigned = raw.send(
        gateway.url, "POST", body=urlencode(REGIONS).encode(), headers={"Content-Type": raw.FORM}
    )
    sentence = "The request must contain the parameter AWSAccessKeyId"
    assert unsigned.error == (400, "MissingParameter", sentence)


@pytest.fixture(scope="module")
def old(gateway: Gateway) -> OldClient:
    return OldClient(gateway)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_signatures_of_version_two_are_good_in_the_laboratory(
    old: OldClient, version: str, method: str
) -> None:
    answer = old("DescribeAvailabilityZones", method=method, version=version)
    assert answer.status == 200, answer.text
    assert answer.namespace == f"http://ec2.amazonaws.com/doc/{version}/"
    assert set(answer.all("availabilityZoneInfo/item/regionName")) == {REGION}


def test_a_client_that_knows_version_two_alone_goes_the_whole_way(old: OldClient) -> None:
    asked = {"ImageId": LINUX_IMAGE, "InstanceType": "t3.nano", "MinCount": "1", "MaxCount": "1"}
    made = old("RunInstances", *asked.items(), method="POST").one("instancesSet/item/instanceId")
    name = "a b+c/d~e*é=&"
    tag = (("ResourceId.1", made), ("Tag.1.Key", "Name"), ("Tag.1.Value", name))
    assert old("CreateTags", *tag, method="POST").one("return") == "true"
    filters = (("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", name.replace("*", "\\*")))
    for method in ("GET", "POST"):
        found = old("DescribeInstances", *filters, method=method)
        assert found.all(f"{ITEM}/instanceId") == [made]
        assert found.all(f"{ITEM}/tagSet/item/value") == [name]
    old("TerminateInstances", ("InstanceId.1", made))
    wait_until(
        lambda: (
            old("DescribeInstances", ("InstanceId.1", made)).one(f"{ITEM}/instanceState/name")
            == "terminated"
        ),
        30,
    )


def test_an_sdk_that_is_told_to_sign_by_version_two_is_let_in(gateway: Gateway) -> None:
    ec2 = gateway.client(signature_version="v2")
    name = "signed by two: +~*/&= %41"
    ec2.create_key_pair(KeyName=name, KeyType="ed25519")
    try:
        (found,) = ec2.describe_key_pairs(KeyNames=[name])["KeyPairs"]
        assert found["KeyName"] == name
    finally:
        ec2.delete_key_pair(KeyName=name)


def test_an_old_request_that_was_changed_or_is_too_old_is_refused(old: OldClient) -> None:
    query = old.signed([("Action", "DescribeRegions"), ("Version", OLD)])
    assert old.send(query).status == 200
    assert old.send(query).status == 200  # until it expires it may be sent again
    for changed in (
        query.replace("DescribeRegions", "DescribeVpcs"),
        query + "&DryRun=true",
        query.replace("Signature=", "Signature=A"),
    ):
        assert old.send(changed).error == NOT_VALIDATED
    late = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=16)
    expired = old.send(old.signed([("Action", "DescribeRegions"), ("Version", OLD)], late))
    assert expired.error == (400, "RequestExpired", "Request has expired.")


# -- other services, and what is no service


def test_sts_answers_at_the_same_endpoint_in_its_own_protocol(gateway: Gateway) -> None:
    asked = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]
    answer = raw.sign(gateway, asked, "POST", service="sts").send()
    assert answer.status == 200
    assert answer.namespace == "https://sts.amazonaws.com/doc/2011-06-15/"
    account = answer.one("GetCallerIdentityResult/Account")
    assert answer.one("GetCallerIdentityResult/Arn") == f"arn:aws:iam::{account}:root"
    assert answer.one("ResponseMetadata/RequestId") == answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("service", "action", "version"),
    [
        ("sts", "AssumeRole", "2011-06-15"),
        ("sts", "Nothing", "2011-06-15"),
        ("iam", "CreateRole", "2010-05-08"),
    ],
)
def test_what_another_service_does_not_have_is_an_error_of_its_protocol(
    gateway: Gateway, service: str, action: str, version: str
) -> None:
    asked = [("Action", action), ("Version", version)]
    answer = raw.sign(gateway, asked, "POST", service=service).send()
    assert answer.status == 400
    assert answer.root.tag.endswith("ErrorResponse")
    assert answer.one("Error/Code") == "InvalidAction"
    assert answer.one("Error/Type") == "Sender"
    assert answer.one("RequestId") == answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize("service", ["s3", "autoscaling", "nothing"])
def test_a_service_that_is_not_here_is_refused_in_xml(gateway: Gateway, service: str) -> None:
    asked = [("Action", "DescribeAutoScalingGroups"), ("Version", "2011-01-01")]
    answer = raw.sign(gateway, asked, "POST", service=service).send()
    assert (answer.status, answer.one("Error/Code")) == (400, "InvalidAction")


@pytest.mark.parametrize(
    ("action", "version", "code", "message"),
    [
        (
            "FlyToTheMoon",
            OLD,
            "InvalidAction",
            "The action FlyToTheMoon is not valid for this web service.",
        ),
        (
            "<b>&",
            OLD,
            "InvalidAction",
            "The action <b>& is not valid for this web service.",
        ),
        (
            "DescribeRegions",
            "yesterday",
            "NoSuchVersion",
            "The requested version (yesterday) of service AmazonEC2 does not exist",
        ),
        (
            "",
            OLD,
            "MissingAction",
            "The request is missing an action or a required parameter.",
        ),
    ],
)
def test_what_is_no_action_is_said_so(
    client: Client, action: str, version: str, code: str, message: str
) -> None:
    assert client(action, version=version).error == (400, code, message)


NO_REQUESTS = {
    "another path": ("GET", "/latest/meta-data/", b"", 404),
    "a path out of here": ("GET", "/../../etc/passwd", b"", 404),
    "another method": ("PUT", "/", b"", 405),
    "a deletion": ("DELETE", "/", b"", 405),
    "no form": ("POST", "/", b'{"Action": "DescribeRegions"}', 400),
    "no text": ("POST", "/", b"Action=\xff\xfe", 400),
    "a broken escape": ("POST", "/", b"Action=%zz", 400),
    "more than a megabyte": ("POST", "/", b"a" * (1024 * 1024 + 1), 413),
    "a dozen megabytes": ("POST", "/", b"a" * (12 * 1024 * 1024), 413),
    "ten thousand parameters": ("POST", "/", b"&".join([b"a=1"] * 10_001), 400),
}


@pytest.mark.parametrize("what", NO_REQUESTS)
def test_whatever_comes_the_answer_is_xml(gateway: Gateway, what: str) -> None:
    method, path, body, status = NO_REQUESTS[what]
    answer = raw.send(gateway.url, method, path, body=body, headers={"Content-Type": raw.FORM})
    assert answer.status == status
    assert answer.headers["content-type"] == "text/xml;charset=UTF-8"
    assert answer.error[1]
    assert "Traceback" not in answer.text


def test_a_head_request_has_no_body(gateway: Gateway) -> None:
    answer = raw.send(gateway.url, "HEAD")
    assert (answer.status, answer.text) == (405, "")
