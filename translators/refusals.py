"""How parameters are refused that would change the result and that we cannot honour.

A family has a table of them. Whatever stands in none is honoured, or is neutral.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API", UnsupportedOperation.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from translators import errors

Table = Mapping[str, tuple[object, ...]]
"""Path of a parameter -> its values that are the same as leaving it out (empty always is)."""
_SAME: Final[Mapping[str, str]] = MappingProxyType({})


def check(
    given: Mapping[str, Any], table: Table, prefix: str = "", on_the_wire: Mapping[str, str] = _SAME
) -> None:
    """Refuse the first parameter that asks for what we do not have.

    `prefix` is where those of the table stand; `on_the_wire` has the names that differ there.

    :raises Ec2Error: ``UnsupportedOperation`` that names it
    """
    for path, neutral in table.items():
        value: Any = given
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if _says_something(value) and value not in neutral:
            name = prefix + path
            raise errors.unsupported_operation(on_the_wire.get(name, name))


def _says_something(value: object) -> bool:
    """False for what is absent, empty, zero, or a structure of such."""
    if isinstance(value, Mapping):
        return any(_says_something(inner) for inner in value.values())
    return bool(value)
