"""Every plan that the translators can make, on fixed arguments, in the words of a request.

Found by their type: each function of `translators.hyperv` that answers with a `Plan` (or several)
is called with arguments made from its annotations, once with the least and once with all of it.

Source: translators/hyperv; docs/architecture.md, "Plans are data".
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import hashlib
import importlib
import inspect
import json
import pkgutil
import types
import typing
from collections.abc import Iterator
from typing import Any

from ec2gw.winrm import request
from translators import hyperv
from translators.hyperv import host

GUID = "4f2e6a10-0000-4000-8000-00000000000a"
TEXT = "i-0123456789abcdef0"
NAMES: dict[str, Any] = {
    "mac": "02:00:00:00:00:01",
    "plan": host.Plan("sample", (host.Call("Hyper-V\\New-VHD", {"ParentPath": "C:\\x.vhdx"}),)),
    "protocol": "TCP",
    "sha256": "0" * 64,
}
"""Arguments whose type does not say what they have to look like, by name or by its end."""


class Unknown(Exception):
    """An argument that nothing here can make up: add it to `NAMES`."""


def samples() -> dict[str, host.Plan]:
    """`module.function/least|all[/number]` -> plan."""
    made: dict[str, host.Plan] = {}
    for name, function in builders():
        for kind, full in (("least", False), ("all", True)):
            answer = _call(name, function, full)
            plans = answer if isinstance(answer, list | tuple) else [answer]
            for number, plan in enumerate(plans):
                made[f"{name}/{kind}" + (f"/{number}" if len(plans) > 1 else "")] = plan
    return made


def builders() -> Iterator[tuple[str, Any]]:
    for found in pkgutil.walk_packages(hyperv.__path__, f"{hyperv.__name__}."):
        module = importlib.import_module(found.name)
        for name, function in sorted(vars(module).items()):
            if not inspect.isfunction(function) or name.startswith("_"):
                continue
            if function.__module__ == module.__name__ and _answers_plans(function):
                yield f"{module.__name__.removeprefix(hyperv.__name__ + '.')}.{name}", function


def digests() -> dict[str, str]:
    """Eight digits that stand for each plan; another plan has others."""
    found: dict[str, str] = {}
    for name, plan in sorted(samples().items(), reverse=True):  # the least comes before all of it
        found[name] = _digest(plan)
        other = name.replace("/least", "/all")
        if other != name and found.get(other) == found[name]:
            del found[other]
    return dict(sorted(found.items()))


def _digest(plan: host.Plan) -> str:
    fence = host.Fence("0" * 32, "i-0", 1) if plan.changes else None
    said = request.encode(plan, request_id=1, epoch=1, fence=fence)
    text = json.dumps(said, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _answers_plans(function: Any) -> bool:
    wanted = typing.get_type_hints(function).get("return")
    return wanted is host.Plan or host.Plan in typing.get_args(wanted)


def _call(name: str, function: Any, full: bool) -> Any:
    for text in (TEXT, GUID):
        try:
            return function(**_arguments(name, function, full, text))
        except (LookupError, ValueError) as odd:
            last = odd
    raise Unknown(f"{name}: {last!r}; NAMES may say what its arguments look like") from last


def _arguments(where: str, function: Any, full: bool, text: str) -> dict[str, Any]:
    hints = typing.get_type_hints(function)
    given = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if full or parameter.default is parameter.empty:
            given[name] = _value(f"{where}({name})", name, hints[name], full, text)
    return given


def _value(where: str, name: str, kind: Any, full: bool, text: str) -> Any:
    for known, value in NAMES.items():
        if name == known or name.endswith(f"_{known}"):
            return value
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if type(None) in inner and not full:
            return None
        return _value(where, name, next(one for one in inner if one is not type(None)), full, text)
    if origin is typing.Literal:
        return inner[-1 if full else 0]
    if origin is not None and issubclass(origin, collections.abc.Mapping):
        return {"sample": _value(where, name, inner[1], full, text)} if full else {}
    if origin is not None and issubclass(origin, collections.abc.Collection):
        count = 2 if full else 1
        return [_value(where, name, inner[0], full, text) for _ in range(count)]
    if dataclasses.is_dataclass(kind) and kind is not host.Path:
        hints = typing.get_type_hints(kind)
        given = {
            one.name: _value(f"{where}.{one.name}", one.name, hints[one.name], full, text)
            for one in dataclasses.fields(kind)
        }
        return typing.cast(Any, kind)(**given)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return list(kind)[-1 if full else 0]
    plain: dict[Any, Any] = {
        str: GUID if name == "id" or name.endswith("_id") else text,
        int: 2,
        bool: full,
        bytes: b"sample",
        host.Path: host.Path("images/sample.vhdx"),
        object: "sample",
    }
    if kind not in plain:
        raise Unknown(f"{where}: {kind}")
    return plain[kind]
