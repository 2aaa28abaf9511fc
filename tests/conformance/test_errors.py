"""Errors are AWS's: the code is in its list, the status is its status, the wording where known.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType

import pytest

from translators import errors
from translators.ec2.nothing import table
from translators.errors import Ec2Error

ROOT = Path(__file__).parent.parent.parent
DATA = json.loads((ROOT / "tests" / "data" / "aws-errors.json").read_text())
CODES: set[str] = set(DATA["errors"]) | set(DATA["documented"]) | set(DATA["iam"])

OUR_WORDS = {
    "architecture_mismatch": "the wording of today; the sighting is of an older one",
    "cidr_malformed": "as users report it; the list of sightings has it not",
    "device_mapped_twice": "no sighting",
    "group_of_another_network": "as Terraform's users report it",
    "insufficient_capacity_anywhere": "no sighting without a zone; after the one with it",
    "different_networks": "as users report it; the list of sightings has it not",
    "duplicate_rule": "the sighting is of a rule with ports alone",
    "idempotent_instance_terminated": "the sighting breaks off before its end",
    "incorrect_instance_state": "no sighting for images",
    "incorrect_instance_state_reboot": "no sighting; after the one of a start",
    "instance_limit_exceeded": "without AWS's address for more",
    "insufficient_instance_capacity": "ends earlier where no other zone has room",
    "invalid_dhcp_options_id_malformed": "no sighting; as for route tables",
    "invalid_dhcp_options_id_not_found": "as an emulator has it",
    "invalid_internet_gateway_id_malformed": "no sighting; as for route tables",
    "invalid_network_acl_id_malformed": "no sighting; as for route tables",
    "invalid_network_acl_id_not_found": "as an emulator has it",
    "invalid_network_interface_id_malformed": "no sighting; as for route tables",
    "invalid_parameter_combination_text": "each of its callers has its own sentence",
    "invalid_parameter_value_text": "each of its callers has its own sentence",
    "invalid_route_table_id_malformed": "seen by the provider of Terraform",
    "invalid_subnet_id_malformed": "no sighting; as for route tables",
    "invalid_user_id_malformed": "no sighting",
    "invalid_block_device_mapping": "each of its callers has its own sentence",
    "key_pair_limit_exceeded": "no sighting",
    "missing_device_index": "as the tests of another service quote AWS",
    "multiple_attributes": "as users report it; the list of sightings has it not",
    "name_reserved": "as users report it; the list of sightings has it not",
    "no_root_device": "no sighting for images",
    "not_in_use": "the sighting is of an available one",
    "no_root_volume": "as users report it; the list of sightings has it not",
    "not_stopped": "no sighting; after the one of an instance that is to run",
    "no_attributes": "as users report it; the list of sightings has it not",
    "on_another_host": "AWS has no hosts to speak of",
    "peer_of_another_kind": "no sighting",
    "permission_twice": "as users report it; the list of sightings has it not",
    "port_out_of_range": "as users report it; the list of sightings has it not",
    "ports_reversed": "no sighting",
    "recovering": "AWS restores no old state; the code and status of what passes",
    "root_grows_while_off": "AWS has no IDE",
    "root_in_use": "as users report it; the list of sightings has it not",
    "security_group_limit_exceeded": "the sighting is of groups of an instance",
    "smaller_than_snapshot": "no sighting; that of a launch has another code",
    "text_invalid": "as users report it; the list of sightings has it not",
    "too_many_disks": "no sighting",
    "type_missing": "no sighting; after the one of ports",
    "type_out_of_range": "no sighting; after the one of ports",
    "unknown_protocol": "as users report it; the list of sightings has it not",
    "unsupported_operation": "AWS offers what it has; a sentence of its style",
}
"""Functions whose sentence is not held against AWS's, with the reason."""

SAMPLES = {
    "attribute": "disableApiStop",
    "expected": "greater than 5",
    "noun": "instance",
    "verb": "stopped",
}


def modules() -> list[ModuleType]:
    """The errors that all share, and each family's own."""
    paths = sorted((ROOT / "translators" / "ec2").rglob("*_errors.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [errors, *map(importlib.import_module, names)]


def functions() -> dict[str, Callable[..., Ec2Error]]:
    return {
        name: function
        for module in modules()
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__
    }


def samples(function: Callable[..., Ec2Error]) -> list[Ec2Error]:
    """What it answers for one thing, and for two where it takes several."""
    made = []
    for many in (["x-1"], ["x-1", "x-2"]):
        arguments: list[object] = []
        for parameter in inspect.signature(function, eval_str=True).parameters.values():
            if parameter.name in SAMPLES:
                arguments.append(SAMPLES[parameter.name])
            elif parameter.annotation is int:
                arguments.append(5)
            elif parameter.annotation == Collection[str]:
                arguments.append(many)
            else:
                arguments.append("word")
        made.append(function(*arguments))
    return made


def codes_raised_in(path: Path) -> set[str]:
    """The first argument of every `Ec2Error(...)` in a file; what is passed on is not literal."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Ec2Error"):
            first = node.args[0]
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def test_every_code_that_is_raised_is_aws_s() -> None:
    raised = {
        code
        for folder in ("translators", "ec2gw")
        for path in (ROOT / folder).rglob("*.py")
        for code in codes_raised_in(path)
    }
    assert len(raised) > 30
    in_tables = {
        code
        for row in table.TABLE
        for one in row.named
        for code in (one.not_found, one.malformed)
        if code is not None
    }
    assert len(in_tables) > 20
    assert (raised | in_tables) - CODES == set()


@pytest.mark.parametrize("name", sorted(functions()))
def test_an_error_has_aws_s_status_and_wording(name: str) -> None:
    for error in samples(functions()[name]):
        known = DATA["errors"].get(error.code)
        if known is None:
            assert error.code in DATA["documented"]
            assert error.status == 400
            continue
        statuses = {one.get("status", known["status"]) for one in known["messages"]}
        assert error.status in statuses | {known["status"]}
        if name not in OUR_WORDS and error.code not in DATA["missing"]:
            assert _worded(error), error.message


def test_no_exception_is_left_that_is_none() -> None:
    assert set(OUR_WORDS) <= set(functions())
    for name in OUR_WORDS:
        for error in samples(functions()[name]):
            if not _worded(error):
                break
        else:
            pytest.fail(f"{name} has AWS's words")


def _worded(error: Ec2Error) -> bool:
    known = DATA["errors"].get(error.code, {"messages": []})
    patterns = [_pattern(one["text"]) for one in known["messages"]]
    return any(
        re.fullmatch(pattern, _NUMBER.sub("0", message))
        for message in (error.message, _SEVERAL.sub(_one, error.message))
        for pattern in patterns
    )


_NUMBER = re.compile(r"\d+")
_SEVERAL = re.compile(r"(The [\w ]+)s '([^,']+), [^']+' do not exist")
"""The plural is made by one rule; most sightings are of one thing."""


def _one(match: re.Match[str]) -> str:
    return f"{match[1]} '{match[2]}' does not exist"


def _pattern(text: str) -> str:
    return re.sub(r"\\\{\w+\\\}", ".*", _NUMBER.sub("0", re.escape(text)))
