"""What IAM says of an account without users, roles and profiles."""

from __future__ import annotations

import pytest

from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from translators.settings import Settings


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return InProcess.fresh(store, vault, settings)


def test_the_caller_is_the_account_itself(gateway: InProcess) -> None:
    user = gateway.call("GetUser", service="iam")["User"]
    account = gateway.default.account_id
    assert (user["Arn"], user["UserId"]) == (f"arn:aws:iam::{account}:root", account)
    assert user["CreateDate"].tzinfo is not None
    other = gateway.call("GetUser", service="iam", by=gateway.stranger)["User"]
    assert (other["UserId"], other["UserName"]) == (gateway.stranger.account_id, "stranger")


def test_nobody_else_and_no_profile_is_found(gateway: InProcess) -> None:
    refused = gateway.refusal("GetUser", service="iam", UserName="bob")
    assert refused == ("NoSuchEntity", 404, "The user with name bob cannot be found.")
    refused = gateway.refusal("GetInstanceProfile", service="iam", InstanceProfileName="web")
    assert refused == ("NoSuchEntity", 404, "Instance Profile web cannot be found.")


@pytest.mark.parametrize(
    ("action", "member"),
    [
        ("ListRoles", "Roles"),
        ("ListAccountAliases", "AccountAliases"),
        ("ListInstanceProfiles", "InstanceProfiles"),
    ],
)
def test_lists_are_empty_and_whole(gateway: InProcess, action: str, member: str) -> None:
    answer = gateway.call(action, service="iam", MaxItems=1000)
    assert (answer[member], answer["IsTruncated"]) == ([], False)
    for wrong in ({"MaxItems": 0}, {"MaxItems": 1001}, {"Marker": "x"}):
        code, status, _ = gateway.refusal(action, service="iam", **wrong)
        assert (code, status) == ("ValidationError", 400)
