"""Makes frozen dataclasses of parsed TOML, refusing what they have no place for.

Knows no key by itself: names, kinds and defaults are those of the dataclass.

Source: TOML 1.0; PEP 557.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Invalid(Exception):
    """The configuration cannot be used; the text is one line for the operator."""


def kinds(holder: type[Any], hidden: Collection[str] = ()) -> dict[str, Any]:
    """Answer the keys of a table that is read into `holder`, with their types."""
    return {name: kind for name, kind in get_type_hints(holder).items() if name not in hidden}


def build(
    holder: type[T],
    table: Any,
    where: str,
    name: str = "",
    *,
    hidden: Collection[str] = (),
    fixed: Mapping[str, Any] | None = None,
    beside: Collection[str] = (),
) -> T:
    """Make a `holder` of a table called `name`; `fixed` are the members that are no keys.

    `beside` are names that are read by others; an unknown one may be meant for one of them.

    :raises Invalid: naming `where` and the key
    """
    prefix = f"{name}." if name else ""
    if not isinstance(table, Mapping):
        raise Invalid(f"{where}: {name} has to be a table")
    known = kinds(holder, hidden)
    for key in table:
        if key not in known:
            raise unknown(where, prefix + key, [prefix + one for one in (*known, *beside)])
    values = {key: _typed(value, known[key], where, prefix + key) for key, value in table.items()}
    values |= fixed or {}
    for member in dataclasses.fields(holder):  # type: ignore[arg-type]
        optional = (
            member.default is not dataclasses.MISSING
            or member.default_factory is not dataclasses.MISSING
        )
        if not optional and member.name not in values:
            raise Invalid(f"{where}: {prefix}{member.name} is missing")
    return holder(**values)


def unknown(where: str, name: str, known: Collection[str]) -> Invalid:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return Invalid(f"{where}: unknown key {name}" + (f"; did you mean {near[0]}?" if near else ""))


def plain(holder: Any, hidden: Collection[str] = ()) -> dict[str, Any]:
    """Turn a dataclass back into a table that `build` reads; what is None is left out."""
    table = {}
    for member in dataclasses.fields(holder):
        value = getattr(holder, member.name)
        if member.name not in hidden and value is not None:
            if isinstance(value, Path):
                value = str(value)
            table[member.name] = list(value) if isinstance(value, tuple) else value
    return table


def say(kind: Any) -> str:
    """Name a kind for the operator."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return words.get(kind, "a path")


def _typed(value: Any, kind: Any, where: str, key: str) -> Any:
    if isinstance(kind, types.UnionType):
        (kind,) = (one for one in get_args(kind) if one is not types.NoneType)
    if get_origin(kind) is tuple:
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise Invalid(f"{where}: {key} has to be a list of texts")
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        allowed = ", ".join(str(one) for one in get_args(kind))
        raise Invalid(f"{where}: {key} has to be one of: {allowed}")
    if kind is Path and isinstance(value, str) and value:
        return Path(value).expanduser()
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise Invalid(f"{where}: {key} has to be {say(kind)}")
    if kind in (int, float) and not 0 <= value < 2**53:  # nan is in no range
        raise Invalid(f"{where}: {key} is out of range")
    return value
