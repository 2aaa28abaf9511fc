"""Key pairs: every form that EC2 takes, its fingerprints, its silence and its refusals."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from state import models
from state.store import Store
from tests.reads import Reads
from translators.ec2.key_pairs import material
from translators.errors import Ec2Error
from translators.settings import Settings

# Made by ssh-keygen; the fingerprints are openssl's and ssh-keygen's.
_RSA_BODY = (
    "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC/vq1F91uGEvM55GgrT+V7SSX1ubJPlXlfaEVaDzY+Vhg3Tr4KFyzTJhjBZjDhWl"
    "10Dn2MrjBLRaGjn17U1bCG2egTSfXbrO/3RX0BzDIj4iq8UtdmCGJ6NLMsptTpoF9WRLZU8xIUmsr++3mABL71lc07+YFC"
    "XGPXQ9KvJmLH3w=="
)
RSA = f"ssh-rsa {_RSA_BODY}"
RSA_FINGERPRINT = "04:92:80:74:70:2f:a2:a2:52:02:c0:f0:87:88:86:d3"
RSA_DER = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/vq1F91uGEvM55GgrT+V7SSX1\n"
    "ubJPlXlfaEVaDzY+Vhg3Tr4KFyzTJhjBZjDhWl10Dn2MrjBLRaGjn17U1bCG2egT\n"
    "SfXbrO/3RX0BzDIj4iq8UtdmCGJ6NLMsptTpoF9WRLZU8xIUmsr++3mABL71lc07\n"
    "+YFCXGPXQ9KvJmLH3wIDAQAB\n"
)
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBHHxlob15cwXQGXAt9iAVmtkXELd2VDuXY1p3gBFsGA"
ED25519_FINGERPRINT = "Y4UtO1JCATpEM+jOyWjfnFCQzzxef9A5afYeQ4Wym5s="
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHENdQFt+dAcYoNT1yXgVf"
    "PD2SBRElSI2t6y5cCQZdPU5llX5d4cR5HnhzVBbx4LolXMxgoInPZFkfajyP3xeAI="
)


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    return Reads(store, settings)


def ssh2(body: str, *headers: str) -> str:
    lines = [body[at : at + 70] for at in range(0, len(body), 70)]
    return "\n".join(
        ["---- BEGIN SSH2 PUBLIC KEY ----", *headers, *lines, "---- END SSH2 PUBLIC KEY ----", ""]
    )


@pytest.mark.parametrize(
    "written",
    [
        RSA,
        f"{RSA} me@home\n",
        ssh2(_RSA_BODY),
        ssh2(_RSA_BODY, 'Comment: "me"', "X-Long: goes \\", "on: here"),
        RSA_DER,
        RSA_DER.replace("\n", ""),
        f"-----BEGIN PUBLIC KEY-----\n{RSA_DER}-----END PUBLIC KEY-----\n",
    ],
)
def test_every_form_of_an_rsa_key_is_the_same_key(written: str) -> None:
    read = material.read(written.encode())
    assert (read.type, read.public_key, read.fingerprint) == ("rsa", RSA, RSA_FINGERPRINT)
    assert material.read(written.replace("\n", "\r\n").encode()) == read


@pytest.mark.parametrize("written", [ED25519, f"{ED25519} c", ssh2(ED25519.split()[1])])
def test_an_ed25519_key_is_known_by_sha_256(written: str) -> None:
    read = material.read(written.encode())
    assert (read.type, read.public_key) == ("ed25519", ED25519)
    assert read.fingerprint == ED25519_FINGERPRINT


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"ssh-rsa",
        b"ssh-rsa AAAA",
        b"hello",
        b"\xff\xfe",
        ECDSA.encode(),
        ssh2(ECDSA.split()[1]).encode(),
        ssh2(_RSA_BODY).replace("END", "FIN").encode(),
        ssh2("AAAA").encode(),
        RSA.replace("ssh-rsa", "ssh-ed25519").encode(),
        RSA.replace("ssh-rsa", "ssh-dss").encode(),
        RSA_DER[:-8].encode(),
        b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        base64.b64encode(RSA.encode()),
        RSA.encode() + b" " * material.MOST_BYTES,
    ],
)
def test_what_is_no_key_that_ec2_takes_is_refused(written: bytes, reads: Reads) -> None:
    with pytest.raises(Ec2Error) as caught:
        reads.call("ImportKeyPair", KeyName="k", PublicKeyMaterial=written)
    assert caught.value.code == "InvalidKey.Format"
    assert reads.rows(models.KeyPair) == []


def test_an_rsa_key_that_is_too_short_is_refused() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 511) + 111)
    written = numbers.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    with pytest.raises(material.Unreadable):
        material.read(written)


def test_a_made_rsa_pair_fits_together(reads: Reads) -> None:
    made = reads.call("CreateKeyPair", KeyName="web")
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    private = serialization.load_pem_private_key(made["KeyMaterial"].encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 2048
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert made["KeyFingerprint"].replace(":", "") == hashlib.sha1(der).hexdigest()
    [row] = reads.rows(models.KeyPair)
    assert row.public_key == f"{openssh(private.public_key())} web"
    assert row.fingerprint == made["KeyFingerprint"]


def test_a_made_ed25519_pair_fits_together(reads: Reads) -> None:
    made = reads.call("CreateKeyPair", KeyName="web", KeyType="ed25519", KeyFormat="pem")
    assert made["KeyMaterial"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    private = serialization.load_ssh_private_key(made["KeyMaterial"].encode(), None)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    read = material.read(openssh(private.public_key()).encode())
    assert made["KeyFingerprint"] == read.fingerprint


def openssh(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


def test_no_private_key_is_kept_or_shown_by_accident(reads: Reads, store: Store) -> None:
    made = reads.call("CreateKeyPair", KeyName="web", KeyType="ed25519")
    secret = made["KeyMaterial"].splitlines()[2]
    whole = b"".join(path.read_bytes() for path in store.path.parent.iterdir() if path.is_file())
    assert secret.encode() not in whole
    assert secret not in repr(material.make("ed25519"))
    assert "PRIVATE" not in repr(material.make("rsa"))


@pytest.mark.parametrize("action", ["CreateKeyPair", "ImportKeyPair"])
def test_a_name_is_good_for_one_pair(reads: Reads, action: str) -> None:
    reads.call("ImportKeyPair", KeyName="web", PublicKeyMaterial=RSA.encode())
    with pytest.raises(Ec2Error) as caught:
        reads.call(action, KeyName="web", PublicKeyMaterial=ED25519.encode(), KeyType="ed25519")
    assert caught.value.code == "InvalidKeyPair.Duplicate"
    assert caught.value.message == "The keypair 'web' already exists."
    reads.account_key, reads.account_id = reads.account("two")
    reads.call("ImportKeyPair", KeyName="web", PublicKeyMaterial=RSA.encode())


@pytest.mark.parametrize("name", ["", " web", "web ", "w" * 256, "wéb", "web\nssh-rsa AAAA", "a\t"])
def test_a_name_has_its_limits(reads: Reads, name: str) -> None:
    for action in ("CreateKeyPair", "ImportKeyPair"):
        with pytest.raises(Ec2Error) as caught:
            reads.call(action, KeyName=name, PublicKeyMaterial=RSA.encode(), KeyType="ed25519")
        assert caught.value.code == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"KeyType": "dsa"}, "InvalidParameterValue"),
        ({"KeyFormat": "der"}, "InvalidParameterValue"),
        ({"KeyFormat": "ppk"}, "UnsupportedOperation"),
    ],
)
def test_what_cannot_be_made_is_refused(reads: Reads, request_: Any, code: str) -> None:
    with pytest.raises(Ec2Error) as caught:
        reads.call("CreateKeyPair", KeyName="web", **request_)
    assert caught.value.code == code


def test_pairs_are_listed_by_name_id_and_filter(reads: Reads) -> None:
    tags = [{"ResourceType": "key-pair", "Tags": [{"Key": "team", "Value": "a"}]}]
    one = reads.call(
        "ImportKeyPair", KeyName="one", PublicKeyMaterial=RSA.encode(), TagSpecifications=tags
    )
    two = reads.call("ImportKeyPair", KeyName="two", PublicKeyMaterial=ED25519.encode())
    assert one["Tags"] == [{"Key": "team", "Value": "a"}]

    def names(**request: Any) -> list[str]:
        return [shown["KeyName"] for shown in reads.call("DescribeKeyPairs", **request)["KeyPairs"]]

    assert names() == ["one", "two"]
    assert names(KeyNames=["two"]) == ["two"]
    assert names(KeyPairIds=[one["KeyPairId"]]) == ["one"]
    assert names(KeyPairIds=[one["KeyPairId"]], KeyNames=["one", "two"]) == ["one", "two"]
    by_print = [{"Name": "fingerprint", "Values": [RSA_FINGERPRINT]}]
    assert names(Filters=by_print) == ["one"]
    assert names(Filters=[{"Name": "tag:team", "Values": ["a"]}]) == ["one"]
    for request in ({"KeyNames": ["one", "no"]}, {"KeyPairIds": ["key-" + "0" * 17]}):
        with pytest.raises(Ec2Error) as caught:
            names(**request)
        assert caught.value.code == "InvalidKeyPair.NotFound"
    [shown, _] = reads.call("DescribeKeyPairs", IncludePublicKey=True)["KeyPairs"]
    assert shown["PublicKey"] == f"{RSA} one"
    assert shown["KeyType"] == "rsa"
    assert "PublicKey" not in reads.call("DescribeKeyPairs")["KeyPairs"][0]
    assert two["KeyFingerprint"] == ED25519_FINGERPRINT


def test_deleting_is_silent_about_what_is_not_there(reads: Reads) -> None:
    made = reads.call("ImportKeyPair", KeyName="one", PublicKeyMaterial=RSA.encode())
    reads.call("CreateTags", Resources=[made["KeyPairId"]], Tags=[{"Key": "a", "Value": "b"}])
    assert reads.call("DeleteKeyPair", KeyName="other") == {"Return": True}
    assert reads.call("DeleteKeyPair", KeyPairId="key-" + "0" * 17) == {"Return": True}
    assert len(reads.rows(models.KeyPair)) == 1
    answer = reads.call("DeleteKeyPair", KeyPairId=made["KeyPairId"])
    assert answer == {"Return": True, "KeyPairId": made["KeyPairId"]}
    assert reads.rows(models.KeyPair) == reads.rows(models.Tag) == []
    with pytest.raises(Ec2Error, match="MissingParameter"):
        reads.call("DeleteKeyPair")


def test_a_pair_of_another_account_is_not_deleted(reads: Reads) -> None:
    made = reads.call("ImportKeyPair", KeyName="one", PublicKeyMaterial=RSA.encode())
    reads.account_key, reads.account_id = reads.account("two")
    reads.call("DeleteKeyPair", KeyName="one")
    reads.call("DeleteKeyPair", KeyPairId=made["KeyPairId"])
    assert len(reads.rows(models.KeyPair)) == 1
