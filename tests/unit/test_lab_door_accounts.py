"""The accounts of a door, and the file through which the NTLM acceptor knows them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ec2gw.lab.door.accounts import Account, Credentials

SECRET = "correct horse"


def user_file() -> Path:
    return Path(os.environ["NTLM_USER_FILE"])


def test_a_password_opens_its_own_account_in_any_spelling_of_the_name() -> None:
    credentials = Credentials([Account("Op", SECRET, "LAB"), Account("other", "else")])
    for name in ("LAB\\Op", "lab\\OP", "op"):
        account = credentials.check(name, SECRET)
        assert account is not None
        assert account.principal == "LAB\\Op"
    for name, password in (("op", "else"), ("op", ""), ("nobody", ""), ("nobody", SECRET)):
        assert credentials.check(name, password) is None


def test_an_account_is_found_by_its_kerberos_name_and_by_its_certificates() -> None:
    account = Account("op", SECRET, "LAB.EXAMPLE", certificate="op@lab")
    credentials = Credentials([account, Account("other", "else")])
    assert credentials.find("op@LAB.EXAMPLE") is account
    assert credentials.mapped("op@lab") is account
    for stranger in ("op@ELSEWHERE.EXAMPLE", "other@LAB.EXAMPLE", "@LAB.EXAMPLE", "op@", "@"):
        assert credentials.find(stranger) is None
        assert credentials.mapped(stranger) is None
    assert credentials.mapped("") is None


def test_the_password_is_in_no_representation() -> None:
    account = Account("op", SECRET, "LAB")
    assert SECRET not in repr(account)
    assert SECRET not in repr(Credentials([account]))


@pytest.mark.parametrize(
    ("name", "password"), [("", "x"), ("op", ""), ("o:p", "x"), ("op", "a:b"), ("op", "a\nb")]
)
def test_an_account_that_the_file_cannot_hold_is_refused(name: str, password: str) -> None:
    with pytest.raises(ValueError, match="account"):
        Account(name, password)


def test_the_file_is_private_and_gone_when_the_last_door_needs_it_no_more() -> None:
    first, second = (Credentials([Account(name, SECRET, "LAB")]) for name in ("ann", "bob"))
    first.publish()
    path = user_file()
    second.publish()
    second.publish()  # two doors with the same accounts

    assert user_file() == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert set(path.read_text().splitlines()) == {
        f"{domain}:{name}:{SECRET}" for domain in ("", "lab") for name in ("ann", "bob")
    }

    first.withdraw()
    second.withdraw()
    assert "ann" not in path.read_text()
    second.withdraw()
    assert not path.parent.exists()
    assert "NTLM_USER_FILE" not in os.environ


def test_two_doors_that_disagree_about_a_password_are_refused() -> None:
    right, wrong = Credentials([Account("op", SECRET)]), Credentials([Account("op", "other")])
    right.publish()
    try:
        with pytest.raises(ValueError, match="two passwords"):
            wrong.publish()
    finally:
        right.withdraw()
    assert "NTLM_USER_FILE" not in os.environ


LEFT_OPEN = """
import os, pathlib, sys
from ec2gw.lab.door.accounts import Account, Credentials
Credentials([Account("op", "word")], pathlib.Path(sys.argv[1])).publish()
assert pathlib.Path(os.environ["NTLM_USER_FILE"]).exists()
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
"""


def test_a_process_that_exits_leaves_no_file_and_a_killed_ones_is_overwritten(
    tmp_path: Path,
) -> None:
    run = [sys.executable, "-c", LEFT_OPEN, str(tmp_path)]
    assert subprocess.run([*run, "killed"], timeout=30).returncode == -9
    (left,) = tmp_path.rglob("accounts")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert stat.S_IMODE(left.parent.stat().st_mode) == 0o700

    subprocess.run([*run, "exits"], timeout=30, check=True)
    assert list(tmp_path.iterdir()) == []
