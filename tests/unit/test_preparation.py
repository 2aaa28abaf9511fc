"""The scripts that prepare a host and take it back: they parse, and no value becomes code.

Nothing is run: no PowerShell is needed.

Source: docs/hyperv.md; about_Quoting_Rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2gw import cli
from ec2gw.cli.opening import Failed
from ec2gw.winrm import endpoint, preparation
from tests.agent import syntax

SHARED = Path(__file__).resolve().parents[3] / "shared" / "hyperv-cmdlets.json"
NASTY = "it's $(calc) `\" ; & | %PATH% {0}"
OWN = {"Add-Note", "Join-Group", "Get-Note"}


def address(url: str = "https://hv1.example:5986/wsman") -> endpoint.HostAddress:
    return endpoint.HostAddress(url, "ntlm", "ec2gw", lambda: "never printed")


def prepared(**changed: Any) -> preparation.Preparation:
    given = {
        "name": "hv1",
        "address": address(),
        "account": "ec2gw",
        "root": "C:\\ec2gw",
        "switches": ("vm-network",),
    }
    return preparation.Preparation(**{**given, **changed})


def scripts(host: preparation.Preparation) -> dict[str, str]:
    return {
        "level 1": preparation.script(host, 1),
        "level 2": preparation.script(host, 2),
        "undo": preparation.undo(host),
    }


@pytest.mark.parametrize("which", ["level 1", "level 2", "undo"])
def test_every_script_parses_and_is_ascii(which: str) -> None:
    text = scripts(prepared())[which]
    assert syntax.read(text).faults == []
    assert text.isascii()


@pytest.mark.parametrize("which", ["level 1", "level 2", "undo"])
@pytest.mark.skipif(not SHARED.exists(), reason="the full table of cmdlets is not here")
def test_every_parameter_is_one_of_its_cmdlet_where_that_is_documented(which: str) -> None:
    table = {one["name"]: one for one in json.loads(SHARED.read_text())["cmdlets"]}
    providers = {"Port", "Transport", "Address", "CertificateThumbPrint"}  # of WSMan, for New-Item
    known = 0
    for name, parameters in syntax.read(scripts(prepared())[which]).commands:
        if name not in table:
            continue
        known += 1
        given = {one.casefold() for one in parameters} - {"erroraction"}
        taken = {one.casefold() for one in table[name]["parameters"]}
        if name == "New-Item":
            taken |= {one.casefold() for one in providers}
        assert given <= taken, name
    assert known > 10


@pytest.mark.parametrize("which", ["level 1", "level 2", "undo"])
def test_no_value_becomes_code(which: str) -> None:
    """Whatever the values are, the text outside of literals and comments stays the same."""
    plain, nasty = (
        scripts(prepared(account=value, root=value, switches=[value, value], adapter=value))[which]
        for value in ("x", NASTY)
    )
    assert syntax.read(nasty).faults == []

    def shape(text: str) -> str:
        return re.sub(r"[ ]+", " ", syntax.code(text))

    assert shape(nasty) == shape(plain)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40))
def test_a_literal_is_one_text_and_that_text(value: str) -> None:
    written = preparation.literal(value)
    assert written.isascii()
    quoted = re.fullmatch(r"'((?:[^']|'')*)'", written)
    if quoted:
        assert quoted[1].replace("''", "'") == value
    else:
        numbers = re.fullmatch(
            r"\(-join \[char\[\]\] \((0x[0-9A-F]{4}(?:, 0x[0-9A-F]{4})*)\)\)", written
        )
        assert numbers is not None
        units = [int(one, 16) for one in numbers[1].split(", ")]
        assert b"".join(one.to_bytes(2, "little") for one in units).decode("utf-16-le") == value


@pytest.mark.parametrize("value", ["a\nb", "a\0", "\x85", "\x1b[0m"])
def test_control_characters_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        preparation.script(prepared(account=value), 1)


def test_what_varies_is_assigned_at_the_head() -> None:
    host = prepared(
        address=address("https://10.0.0.7:15986/wsman"),
        gateways=("10.0.0.1",),
        adapter="Ethernet 2",
    )
    for line in (
        "$ComputerName = '10.0.0.7'",
        "$Scheme = 'HTTPS'",
        "$Port = 15986",
        "$Authentication = 'Negotiate'",
        "$Account = 'ec2gw'",
        "$Root = 'C:\\ec2gw'",
        "$Gateways = @('10.0.0.1')",
        "$Switches = @('vm-network')",
        "$Adapter = 'Ethernet 2'",
    ):
        assert f"\n{line}\n" in preparation.script(host, 1)


def test_each_level_grants_what_it_says_and_no_more() -> None:
    administrators, hyper_v, policy = (
        "S-1-5-32-544'    # Admin",
        "S-1-5-32-578",
        "TokenFilterPolicy",
    )
    one, two = (scripts(prepared())[f"level {level}"] for level in (1, 2))
    assert administrators in one
    assert policy in one
    assert hyper_v not in one
    assert "RootSDDL" not in one
    assert hyper_v in two
    assert "RootSDDL" in two
    assert administrators not in two
    assert policy not in two
    with pytest.raises(ValueError, match="no level 3"):
        preparation.script(prepared(), 3)


def test_whatever_is_noted_is_taken_back() -> None:
    texts = scripts(prepared())
    noted = {
        name.partition(" ")[0]
        for level in ("level 1", "level 2")
        for name in re.findall(r"Add-Note ['\"](\w+)", texts[level])
    }
    assert noted == {
        *("Listener", "Certificate", "Auth", "User", "Account", "Member", "Switch", "Root"),
        *("LocalAccountTokenFilterPolicy", "RootSDDL"),
    }
    for name in noted - {"Account"}:  # which is noted for whoever looks
        assert re.search(rf"'{name}( \*)?'", texts["undo"]), name


# -- the command


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        environment = {"EC2GW_DATA": str(tmp_path / "data"), "EC2GW_HOST_SECRET": "never printed"}
        return CliRunner().invoke(cli.commands, arguments, env=environment)

    return invoke


def test_the_command_prints_from_what_is_configured(run: Callable[..., Result]) -> None:
    url = ("--url", "https://hv1.example:5986/wsman", "--zone", "eu-central-1a")
    way = ("--transport", "ntlm", "--username", ".\\op", "--root", "D:\\vms")
    assert run("host", "add", "hv1", *url, *way).exit_code == 0
    printed = run("host", "script", "hv1", "--level", "2", "--gateway", "10.0.0.1")
    assert printed.exit_code == 0, printed.output
    assert "$Account = 'op'\n$Root = 'D:\\vms'\n$Gateways = @('10.0.0.1')" in printed.output
    assert "never printed" not in printed.output
    assert syntax.read(printed.output).faults == []
    taken_back = run("host", "script", "hv1", "--undo")
    assert taken_back.output.rstrip().endswith('ec2gw host remove $HostName"')
    assert isinstance(run("host", "script", "hv2").exception, Failed)
    odd = run("host", "script", "hv1", "--adapter", "a\nb")
    assert isinstance(odd.exception, Failed)


def test_an_account_without_a_name_has_to_be_named(run: Callable[..., Result]) -> None:
    url = ("--url", "https://hv1.example:5986/wsman", "--zone", "eu-central-1a")
    assert run("host", "add", "hv1", *url).exit_code == 0
    refused = run("host", "script", "hv1")
    assert "--account" in str(refused.exception)
    assert run("host", "script", "hv1", "--account", "EXAMPLE\\gateway$").exit_code == 0
