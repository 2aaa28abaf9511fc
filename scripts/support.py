"""Tells what is offered, as the code has it: every action, its filters, and its parameters.

Nothing is listed by hand. Actions are the registry's, parameters botocore's, refusals the tables
of `refusals`; which parameters are read is found by walking from an action's function through what
it uses: a name that stands nowhere on the way is a name that nothing reads.

Source: docs/architecture.md, "The life of a request".
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Final

from ec2gw.wire import model
from translators import filters, listing, registry
from translators.ec2 import network_interfaces
from translators.ec2.images import refused
from translators.ec2.instances import refusals
from translators.ec2.nothing.asking import Nothing
from translators.ec2.snapshots import refused as snapshots
from translators.ec2.volumes import refused as volumes

TARGET: Final = Path(__file__).parents[1] / "docs" / "support.md"
EVERYWHERE: Final = ("DryRun", "ClientToken")
"""Done before any action, by the service."""
FILTERS: Final = ("Filters", "Filter")
"""The member for filters: some older actions have it in the singular."""
TABLES: Final = {
    "LAUNCH": ("", refusals.LAUNCH),
    "INTERFACE": ("NetworkInterfaces[].", refusals.INTERFACE),
    "DISK": ("BlockDeviceMappings[].Ebs.", refusals.DISK),
    "ATTRIBUTES": ("", refusals.ATTRIBUTES),
    "INTERFACE_ATTRIBUTES": ("", network_interfaces.INTERFACE_ATTRIBUTES),
    "MAPPING": ("BlockDeviceMappings[].", refusals.MAPPING),
    "METADATA": ("", refusals.METADATA),
    "MONITORING": ("", refusals.MONITORING),
    "REGISTRATION": ("", refused.REGISTRATION),
    "IMAGE_DISK": ("BlockDeviceMappings[].Ebs.", refused.IMAGE_DISK),
    "CREATION": ("", refused.CREATION),
    "COPY": ("", refused.COPY),
    "IMAGE_ATTRIBUTES": ("", refused.IMAGE_ATTRIBUTES),
    "PERMISSION": ("LaunchPermission.Add[].", refused.PERMISSION),
    "SNAPSHOT": ("", snapshots.SNAPSHOT),
    "SNAPSHOT_COPY": ("", snapshots.SNAPSHOT_COPY),
    "VOLUME": ("", volumes.VOLUME),
    "ATTACHMENT": ("", volumes.ATTACHMENT),
    "MODIFICATION": ("", volumes.MODIFICATION),
}
"""The families' tables of refusals: where their paths begin."""
SENTENCES: Final = {
    "on_the_wire.get(name, name)": "",  # what the tables hold
    "'Attachment.DeleteOnTermination'": "`Attachment.DeleteOnTermination` (except `true`)",
    "'IpPermissions.Groups.VpcPeeringConnectionId'": (
        "`IpPermissions[].UserIdGroupPairs[].VpcPeeringConnectionId`"
    ),
    "'IpPermissions.PrefixListIds'": "`IpPermissions[].PrefixListIds`",
    "'SecurityGroupRule.PrefixListId'": "`SecurityGroupRules[].SecurityGroupRule.PrefixListId`",
    "'SourceRegion'": "a `SourceRegion` of which no host of this one has the disks",
    "'Architecture'": "`Architecture` that no instance type has",
    "'BlockDeviceMapping.1.Ebs.VolumeSize'": (
        "`BlockDeviceMappings[].Ebs.VolumeSize` larger than a disk that is an image already"
    ),
    "'DiskContainer.2'": "more than one of `DiskContainers`",
    "f'{prefix}Format'": "the format `OVA`",
    "f'{prefix}Url'": "any disk, unless the deployment says where it may come from",
    "'EnaSupport'": "`EnaSupport` (except `true`)",
    "'EnclaveOptions'": "`EnclaveOptions` (except `false`)",
    "'KeyFormat'": "`KeyFormat` (except `pem`)",
    "'NetworkInterface.1.DeleteOnTermination'": (
        "`NetworkInterfaces[].DeleteOnTermination` (except `true`)"
    ),
    "'NetworkInterface.1.PrivateIpAddresses.2'": (
        "more than one of `NetworkInterfaces[].PrivateIpAddresses`"
    ),
    "'NetworkInterface.2'": "more than one of `NetworkInterfaces`",
    "named": "",  # the same by another name
    "prefix + 'Ebs'": "`BlockDeviceMappings[].Ebs` of other devices than the root device",
    "prefix + 'VirtualName'": "`BlockDeviceMappings[].VirtualName`",
}
"""What `unsupported_operation` is called with elsewhere -> that in words.

A plain name needs no words; whatever else is written there does.
"""
HEAD: Final = """\
# What is offered

Written by `scripts/support` from the code; a test keeps it true. What an action answers, and its
errors, are EC2's.

- **Honoured**: the parameter does what EC2 says of it, or is kept and shown.
- **Refused**: it would change the result and cannot be honoured; the answer is
  `UnsupportedOperation` and names it. Values that are the same as leaving it out are let through.
- **Ignored**: it changes nothing here, or asks for what does not exist here.
- A parameter that EC2 itself does not know is ignored, and counted in the log.
- An unknown filter is refused, as EC2 does. Filters marked ° are known and true of nothing here.
- Every other action answers `InvalidAction`, as EC2 does where it does not offer one.

Security groups are enforced at the ports of adapters; what is coarser there than on EC2 says
`docs/hyperv.md`. How guests are told of key pairs and user data says `docs/guests.md`.
"""


@dataclass
class Reached:
    """What an action's function uses, directly or not."""

    words: set[str] = field(default_factory=set)
    filters: dict[str, object] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """The arguments of `unsupported_operation`, as they are written."""


@dataclass(frozen=True)
class Support:
    """An action as it is offered."""

    service: str
    name: str
    changes: bool
    honoured: tuple[str, ...]
    ignored: tuple[str, ...]
    refused: tuple[str, ...]
    """Marked up, with what is let through."""
    filters: tuple[str, ...]
    empty_filters: frozenset[str]
    tag_filters: tuple[str, ...]
    pages: bool


def offered() -> list[Support]:
    """Every action, by service and name."""
    registry.load_families()
    return [_support(*key) for key in sorted(registry.ACTIONS)]


def page(actions: Sequence[Support]) -> str:
    """The page's text."""
    ec2 = [one for one in actions if one.service == "ec2"]
    known = model.service("ec2")
    assert known is not None
    names = ", ".join(f"[{one.name}](#{one.name.lower()})" for one in actions)
    count = (
        f"Of EC2's {len(known.actions)} actions {len(ec2)} are offered, and of STS and IAM what "
    )
    parts = [HEAD, _wrapped(count + "says who one is."), _wrapped(names)]
    parts += [_section(one) for one in actions]
    return "\n".join(parts)


def _section(one: Support) -> str:
    lines = [f"### {one.name}\n"]
    said = [*(["changes"] if one.changes else []), *(["pages"] if one.pages else [])]
    if one.service != "ec2":
        said.insert(0, f"service `{one.service}`")
    if said:
        lines.append(_wrapped(f"({', '.join(said)})"))
    for title, names in (
        ("Honoured", [f"`{name}`" for name in one.honoured]),
        ("Refused", one.refused),
        ("Ignored", [f"`{name}`" for name in one.ignored]),
    ):
        if names:
            lines.append(_wrapped(f"**{title}**: " + ", ".join(names)))
    if one.filters:
        marked = [f"`{name}`{'°' if name in one.empty_filters else ''}" for name in one.filters]
        marked += [f"`{name}`" for name in one.tag_filters]
        lines.append(_wrapped("**Filters**: " + ", ".join(marked)))
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def _support(service: str, name: str) -> Support:
    action = registry.ACTIONS[service, name]
    operation = model.operation(service, name)
    assert operation is not None
    reached = _of_nothing(action.handler) if isinstance(action.handler, Nothing) else Reached()
    seen: set[int] = set()
    for function in (action.handler, action.prepare):
        if function is not None:
            _walk(function, reached, seen)
    members = operation.input.members if operation.input else ()
    refused = {path for table in reached.tables for path in refused_paths(table)}
    honoured = [
        one.name
        for one in members
        if (one.name in EVERYWHERE or one.name in reached.words) and not _whole(one, refused)
    ]
    heads = {path.partition(".")[0].removesuffix("[]") for path in refused}
    ignored = [one.name for one in members if one.name not in {*honoured, *heads}]
    takes_filters = any(member in operation.asked_names for member in FILTERS)
    shown = reached.filters if takes_filters else {}
    return Support(
        service,
        name,
        action.changes,
        tuple(sorted(honoured)),
        tuple(sorted(ignored)),
        tuple(_in_words(reached)),
        tuple(sorted(shown)),
        frozenset(one for one, filter_ in shown.items() if filter_ is filters.never),
        _tag_filters(name, action.handler) if takes_filters else (),
        pages="NextToken" in honoured,
    )


def _of_nothing(row: Nothing) -> Reached:
    """What a row of the table of empty lists says of itself; there is no code to walk."""
    pages = ["MaxResults", "NextToken"] if row.pages is not None else []
    names = row.filter_names.split()
    return Reached(
        words={*(one.member for one in row.named), row.filters_member, *pages},
        filters=dict.fromkeys(names, filters.never),
    )


def _tag_filters(name: str, handler: registry.Handler) -> tuple[str, ...]:
    """The filters by tag: those of every resource that has tags, or what an action has itself."""
    if isinstance(handler, Nothing):
        return ("tag:KEY",) if "tag-key" in handler.filter_names.split() else ()
    module = sys.modules[handler.__module__]
    for value in vars(module).values():
        if isinstance(value, listing.Resource) and value.action == name:
            return ("tag:KEY", "tag-key") if value.kind is not None else ()
    own = ast.walk(_definitions(module)[handler.__name__])
    prefixed = any(isinstance(one, ast.Constant) and one.value == "tag:" for one in own)
    return ("tag:KEY",) if prefixed else ()


def refused_paths(table: str) -> Mapping[str, tuple[object, ...]]:
    """The paths of a table of refusals from the request's top, with the values let through."""
    prefix, paths = TABLES[table]
    return {f"{prefix}{path}": neutral for path, neutral in paths.items()}


def _whole(member: model.Member, refused: Collection[str]) -> bool:
    """Tell whether the parameter, or all that is in it, is refused."""
    inner = [f"{member.name}.{one.name}" for one in member.shape.members]
    return member.name in refused or (bool(inner) and all(path in refused for path in inner))


def _in_words(reached: Reached) -> Iterator[str]:
    for table in TABLES:
        if table not in reached.tables:
            continue
        for path, neutral in refused_paths(table).items():
            let = " or ".join(f"`{value}`" for value in neutral)
            yield f"`{path}` (except {let})" if let else f"`{path}`"
    yield from filter(None, map(_sentence, sorted(reached.refused)))


def _sentence(argument: str) -> str:
    if argument in SENTENCES:
        return SENTENCES[argument]
    name = argument.strip("'")
    if not re.fullmatch(r"[A-Za-z.]+", name) or name == argument:
        raise SystemExit(
            f"scripts/support.py: unsupported_operation({argument}): say what that is in SENTENCES"
        )
    return f"`{name}`"


# -- the walk


def _walk(function: object, reached: Reached, seen: set[int]) -> None:
    function = inspect.unwrap(function) if callable(function) else function
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    if not function.__module__.startswith("translators."):
        return
    seen.add(id(function))
    module = sys.modules[function.__module__]
    node = _definitions(module).get(function.__qualname__.partition(".")[0])
    if node is not None:
        _read(node, module, reached, seen)


def _read(node: ast.AST, module: ModuleType, reached: Reached, seen: set[int]) -> None:
    """Take in what the code says, and what it names: functions and tables of the translators."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            reached.words.add(one.value)
        elif isinstance(one, ast.Call):
            _refusal(one, reached)
        if isinstance(one, ast.Name):
            _follow(module, one.id, reached, seen)
        elif isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name):
            holder = getattr(module, one.value.id, None)
            if isinstance(holder, ModuleType):
                _follow(holder, one.attr, reached, seen)


def _follow(module: ModuleType, name: str, reached: Reached, seen: set[int]) -> None:
    value = getattr(module, name, None)
    if value is None or not module.__name__.startswith("translators"):
        return
    if isinstance(value, FunctionType | functools.partial) or hasattr(value, "__wrapped__"):
        _walk(value, reached, seen)
        return
    node = _definitions(module).get(name)
    if node is None or isinstance(node, ast.ClassDef) or id(node) in seen:
        return
    seen.add(id(node))
    if name in TABLES and value is TABLES[name][1]:
        reached.tables.add(name)
        return  # words of what is refused are none of what is read
    if name.endswith("FILTERS") and isinstance(value, Mapping):
        reached.filters.update(value)
    _read(node, module, reached, seen)


def _refusal(call: ast.Call, reached: Reached) -> None:
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name == "unsupported_operation":
        reached.refused.add(ast.unparse(call.args[0]))


@functools.cache
def _definitions(module: ModuleType) -> dict[str, ast.AST]:
    """What a module defines at its top, by name; docstrings are left out."""
    if not module.__file__:
        return {}
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    found: dict[str, ast.AST] = {}
    for one in tree.body:
        match one:
            case ast.FunctionDef() | ast.ClassDef():
                if ast.get_docstring(one) is not None:
                    one.body = one.body[1:]
                found[one.name] = one
            case ast.Assign(targets=[ast.Name(id=name)]):
                found[name] = one.value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                assert one.value is not None
                found[name] = one.value
    return found


if __name__ == "__main__":
    TARGET.write_text(page(offered()), encoding="utf-8")
    print(f"wrote {TARGET}")
