"""What is written is so: the support page, the dependencies, the README's commands, every link."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from ec2gw import inventory
from ec2gw.cli import commands
from ec2gw.wire import model
from scripts import support
from state import models
from state.store import Store
from tests import readme
from tests.launches import Cloud
from translators import listing, registry
from translators.errors import Ec2Error
from translators.settings import Settings

ROOT = readme.ROOT
OFFERED = {one.name: one for one in support.offered()}
LISTS = [one for one in OFFERED.values() if one.filters]


# -- docs/support.md


def sections() -> dict[str, str]:
    """Action -> what the page says of it."""
    parts = re.split(r"^### (\w+)$", support.TARGET.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def listed(action: str, title: str) -> list[str]:
    """The names in code that follow a title of the action's section."""
    found = re.search(rf"^\*\*{title}\*\*: (.*?)(?:\n\n|\Z)", sections()[action], re.M | re.S)
    return re.findall(r"`([^`]+)`", found[1]) if found else []


def test_the_support_page_is_up_to_date() -> None:
    assert support.TARGET.read_text() == support.page(list(OFFERED.values())), "run scripts/support"


def test_every_action_has_its_section_and_every_section_its_action() -> None:
    assert set(sections()) == {name for _, name in registry.ACTIONS}


def test_every_parameter_of_an_action_is_somewhere_in_its_section() -> None:
    for (service, name), text in ((key, sections()[key[1]]) for key in registry.ACTIONS):
        operation = model.operation(service, name)
        assert operation is not None
        for member in operation.asked_names:
            assert re.search(rf"`{member}\b", text), f"{name}: {member}"


def resources() -> Iterator[listing.Resource]:
    for name, module in list(sys.modules.items()):
        if name.startswith("translators.ec2"):
            yield from (one for one in vars(module).values() if isinstance(one, listing.Resource))


def test_every_filter_of_a_resource_is_on_the_page_and_no_other() -> None:
    described = {one.action: one for one in resources()}
    assert len(described) > 10
    for action, resource in described.items():
        tags = {"tag:KEY", "tag-key"} if resource.kind is not None else set()
        assert set(listed(action, "Filters")) == {*resource.filters, *tags}, action


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


@pytest.mark.parametrize("one", LISTS, ids=lambda one: one.name)
def test_an_action_takes_the_filters_that_the_page_names(
    cloud: Cloud, one: support.Support
) -> None:
    names = listed(one.name, "Filters")
    assert names
    operation = model.operation(one.service, one.name)
    assert operation is not None
    (member,) = [member for member in support.FILTERS if member in operation.asked_names]
    required = _required(cloud, one.name)
    for name in names:
        cloud.call(one.name, **required, **{member: [{"Name": name, "Values": ["x", "1*"]}]})
    with pytest.raises(Ec2Error, match="The filter 'colour' is invalid"):
        cloud.call(one.name, **required, **{member: [{"Name": "colour", "Values": ["x"]}]})


def _required(cloud: Cloud, action: str) -> dict[str, str]:
    """What a list cannot be asked without."""
    of_a_vpc = action == "GetSecurityGroupsForVpc"
    return {"VpcId": cloud.rows(models.Vpc)[0].id} if of_a_vpc else {}


def test_an_action_whose_section_has_no_filters_takes_none() -> None:
    for name, one in OFFERED.items():
        operation = model.operation(one.service, name)
        assert operation is not None
        assert bool(one.filters) == any(
            member in operation.asked_names for member in support.FILTERS
        )


OF_TABLES = {
    "ATTRIBUTES": "ModifyInstanceAttribute",
    "MAPPING": "ModifyInstanceAttribute",
    "METADATA": "ModifyInstanceMetadataOptions",
    "MONITORING": "MonitorInstances",
    "REGISTRATION": "RegisterImage",
    "IMAGE_DISK": "RegisterImage",
    "CREATION": "CreateImage",
    "COPY": "CopyImage",
    "IMAGE_ATTRIBUTES": "ModifyImageAttribute",
    "INTERFACE_ATTRIBUTES": "ModifyNetworkInterfaceAttribute",
    "PERMISSION": "ModifyImageAttribute",
    "SNAPSHOT": "CreateSnapshot",
    "SNAPSHOT_COPY": "CopySnapshot",
    "VOLUME": "CreateVolume",
    "ATTACHMENT": "AttachVolume",
    "MODIFICATION": "ModifyVolume",
}
"""Which action a table is of, where that is no launch."""
REFUSED = sorted(
    (OF_TABLES.get(table, "RunInstances"), path)
    for table in support.TABLES
    for path in support.refused_paths(table)
)
NEEDED: dict[str, dict[str, Any]] = {
    "RunInstances": {"ImageId": "", "MinCount": 1, "MaxCount": 1},
    "MonitorInstances": {"InstanceIds": ["i-0123456789abcdef0"]},
    "RegisterImage": {"Name": "image", "ImageLocation": "disk.vhdx"},
    "DeregisterImage": {"ImageId": ""},
    "ModifyImageAttribute": {"ImageId": ""},
}
"""What an action needs beside, an image's id being filled in; others need an instance's id."""


@pytest.mark.parametrize(("action", "path"), REFUSED)
def test_an_action_refuses_what_the_page_says(cloud: Cloud, action: str, path: str) -> None:
    assert path in listed(action, "Refused")
    operation = model.operation("ec2", action)
    assert operation is not None
    assert operation.input is not None
    asked = dict(NEEDED.get(action, {"InstanceId": "i-0123456789abcdef0"}))
    if "ImageId" in asked:
        asked["ImageId"] = cloud.image_id
    with pytest.raises(Ec2Error) as refused:
        cloud.call(action, **_with(operation.input, path.split("."), asked))
    named = _on_the_wire(operation.input, path.split("."))
    assert str(refused.value) == (
        f"UnsupportedOperation: The parameter {named} is not supported by this service."
    )
    assert cloud.call("DescribeInstances")["Reservations"] == []


def test_values_that_change_nothing_are_let_through(cloud: Cloud) -> None:
    asked: dict[str, Any] = {"ImageId": cloud.image_id, "MinCount": 1, "MaxCount": 1}
    neutral = {
        path: values[0] for path, values in support.refused_paths("LAUNCH").items() if values
    }
    for path, value in neutral.items():
        head, _, member = path.partition(".")
        asked.setdefault(head, {})[member] = value
        assert f"`{path}` (except `{value}`" in sections()["RunInstances"].replace("\n", " ")
    assert len(cloud.call("RunInstances", **asked)["Instances"]) == 1


def _with(shape: model.Shape, path: list[str], request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with something at that path; what a list holds is on the root device."""
    head = path[0].removesuffix("[]")
    (member,) = [one for one in shape.members if one.name == head]
    if len(path) == 1:
        return {**request, head: _something(member.shape)}
    if member.shape.item is None:
        return {**request, head: _with(member.shape, path[1:], {})}
    first = {"DeviceIndex": 0} if head == "NetworkInterfaces" else {"DeviceName": "/dev/sda1"}
    return {**request, head: [_with(member.shape.item.shape, path[1:], first)]}


def _on_the_wire(shape: model.Shape, path: list[str]) -> str:
    """The parameter's name in requests, as the model has it."""
    (member,) = [one for one in shape.members if one.name == path[0].removesuffix("[]")]
    if len(path) == 1:
        return member.asked
    if member.shape.item is None:
        return f"{member.asked}.{_on_the_wire(member.shape, path[1:])}"
    return f"{member.asked}.1.{_on_the_wire(member.shape.item.shape, path[1:])}"


def _something(shape: model.Shape) -> Any:
    if shape.kind == "structure":
        one = shape.members[0]
        return {one.name: _something(one.shape)}
    if shape.item is not None:
        return [_something(shape.item.shape)]
    return {"boolean": True, "integer": 3, "long": 3, "string": "something"}[shape.kind]


@pytest.mark.parametrize("one", LISTS, ids=lambda one: one.name)
def test_what_a_list_ignores_changes_nothing(cloud: Cloud, one: support.Support) -> None:
    required = _required(cloud, one.name)
    whole = cloud.call(one.name, **required)
    for name in listed(one.name, "Ignored"):
        assert cloud.call(one.name, **required, **{name: True}) == whole


# -- docs/dependencies.md


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = {
    "What the service needs": PYPROJECT["dependencies"],
    "What trying it needs (`client`)": PYPROJECT["optional-dependencies"]["client"],
    "What checks and tests need (`dev`)": PYPROJECT["optional-dependencies"]["dev"],
}


def distribution(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def rows(heading: str) -> dict[str, list[str]]:
    """Package -> the other cells of its row in the table below the heading."""
    _, _, after = (ROOT / "docs" / "dependencies.md").read_text().partition(f"## {heading}\n")
    lines = [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]
    return {row[0].strip(): row[1:] for row in cells}


@pytest.mark.parametrize("heading", GROUPS)
def test_every_dependency_is_explained_and_nothing_else(heading: str) -> None:
    named = [distribution(one) for one in GROUPS[heading]]
    assert list(rows(heading)) == sorted(named)
    for package, (what_for, why, licence, without) in rows(heading).items():
        assert what_for, package
        assert licence, package
        assert heading != "What the service needs" or (why and without), package


WORDS = {
    "Apache-2.0": ("apache",),
    "BSD-2-Clause": ("bsd",),
    "BSD-3-Clause": ("bsd",),
    "ISC": ("isc",),
    "LGPL-2.1-only": ("lgpl-2.1-only",),
    "MIT": ("mit",),
    "MIT-CMU": ("mit-cmu",),
    "MPL-2.0": ("mpl",),
}


@pytest.mark.parametrize("heading", GROUPS)
def test_licences_are_those_of_what_is_installed(heading: str) -> None:
    for package, (_, _, licence, _) in rows(heading).items():
        told = importlib.metadata.metadata(package).json
        said = [told.get("license_expression"), told.get("license"), told.get("classifier")]
        text = str(said).lower()
        for one in licence.split(" OR "):
            assert any(word in text for word in WORDS[one]), f"{package}: {licence}"


def test_everything_that_is_imported_is_a_dependency() -> None:
    names = importlib.metadata.packages_distributions()
    declared = {distribution(one) for one in PYPROJECT["dependencies"]}
    ours = ("ec2gw", "translators", "state")
    for path in (path for room in ours for path in (ROOT / room).rglob("*.py")):
        for top in imports(path) - {*sys.stdlib_module_names, *ours}:
            packages = {distribution(one) for one in names[top]}
            assert packages & declared, f"{path}: {top}"


def imports(path: Path) -> set[str]:
    """The packages that a module really imports, not only for the type checker."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    unread = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unread:
            continue
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


# -- README.md and the others


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target
    for target in re.findall(r"`(docs/[\w/-]+\.md)`", text):
        assert (ROOT / target).exists(), target


def written_commands() -> list[str]:
    """Every `ec2gw ...` line of the README's and the operators' pages that is no synopsis."""
    blocks = [block for section in ("A real host",) for block in readme.blocks(section, "sh")]
    pages = ("operations.md", "hyperv.md")
    text = "\n".join((ROOT / "docs" / page).read_text() for page in pages)
    joined = text.replace("\\\n", " ")
    lines = [line for block in blocks for line in readme.commands(block)]
    lines += [line.strip() for line in joined.splitlines() if line.startswith("    ec2gw ")]
    return [line for line in lines if line.startswith("ec2gw ") and "[" not in line]


@pytest.mark.parametrize("line", written_commands())
def test_a_command_that_is_written_down_is_understood(line: str) -> None:
    command: click.Command = commands
    arguments = shlex.split(line)[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), arguments.pop(0))
        assert found is not None, line
        command = found
    command.make_context(command.name, arguments).close()


def test_the_story_names_the_laboratorys_images() -> None:
    text = readme.README.read_text()
    named = set(re.findall(r"ami-[0-9a-f]{17}", text))
    assert named == {one.id for one in inventory.LABORATORY_IMAGES}
