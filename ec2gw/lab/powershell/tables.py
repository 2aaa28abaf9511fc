"""The rows that functions are generated from, out of the tables that calls are bound against.

Source: ec2gw/lab/binding/data/README.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ec2gw.lab.binding import tables

_FULL: Final = {"dictionary": "hashtable"}


def rows(cmdlets: Iterable[str], version: str = tables.LABORATORY) -> list[dict[str, Any]]:
    """Give the definitions of these module-qualified cmdlets, as far as that version has them."""
    found = (tables.cmdlet(one, version) for one in sorted(cmdlets))
    return [_row(one) for one in found if one is not None]


def _row(cmdlet: tables.Cmdlet) -> dict[str, Any]:
    return {
        "name": cmdlet.name,
        "module": cmdlet.module,
        "default_set": cmdlet.default_set if len(cmdlet.sets) > 1 else "",
        "parameters": {name: _parameter(one) for name, one in cmdlet.parameters.items()},
        "sets": [
            {
                "name": one.name,
                "parameters": [
                    [name, int(name in one.mandatory), None] for name in sorted(one.names)
                ],
            }
            for one in cmdlet.sets
        ],
    }


def _parameter(parameter: tables.Parameter) -> dict[str, Any]:
    if parameter.type == "switch":
        return {"switch": True}
    base = parameter.type.removesuffix("?")
    values = parameter.values or tuple(tables.enums().get(base.removesuffix("[]"), ()))
    row: dict[str, Any] = {
        "type": base if base == parameter.type else f"System.Nullable[{base}]",
        "checks": sorted(parameter.checks),
        "values": list(values),
    }
    single = base.removesuffix("[]")
    if single in _FULL:
        row["type"] = base.replace(single, _FULL[single])
    if parameter.range:
        row["range"] = [str(one) for one in parameter.range]
    return row
