"""The live objects that cmdlets bring back: exactly the properties of the recorded classes.

A name that the class lacks is a `KeyError`. A property that the class has and the laboratory has
no model of is refused by name; it is never guessed.

Source: `ec2gw/lab/binding/data/README.md` (classes of Microsoft.HyperV.PowerShell, recorded).
"""

from __future__ import annotations

import datetime
import enum
import functools
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.binding import tables

ZERO_GUID = uuid.UUID(int=0)


@functools.cache
def enumeration(name: str) -> type[enum.Enum]:
    # Two names of one number become aliases, as in .NET.
    return enum.Enum(name, dict(tables.enums()[name]))  # type: ignore[return-value]


def named(name: str, value: str) -> enum.Enum:
    """Give the member of a recorded enumeration: ``named("VMState", "Running")``."""
    return enumeration(name)[value]


def time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


class Live:
    """An object of a host: what it is of, and how each of its properties is read.

    `identity` is what a cmdlet that gets the object back finds the record by.
    """

    __slots__ = ("_getters", "_subject", "class_name", "identity")

    def __init__(
        self,
        class_name: str,
        getters: Mapping[str, Callable[[Any], object]],
        subject: Any,
        identity: tuple[str, ...] = (),
    ) -> None:
        self.class_name = class_name
        self.identity = identity
        self._getters = getters
        self._subject = subject

    def property(self, name: str) -> object:
        """Read a property.

        :raises KeyError: for a name that the class lacks
        :raises CmdletError: for a property that the laboratory does not simulate
        """
        if name not in known_properties(self.class_name):
            raise KeyError(name)
        getter = self._getters.get(name)
        if getter is None:
            raise CmdletError(
                id="NotSimulated",
                category="NotImplemented",
                activity="",
                target=name,
                kind="System.NotImplementedException",
                hresult=("0x80004001",),
                text=f"The laboratory does not simulate {self.class_name}.{name}.",
            )
        return getter(self._subject)

    def known(self) -> frozenset[str]:
        """Names that the class has."""
        return known_properties(self.class_name)

    def modelled(self) -> frozenset[str]:
        """Names that the laboratory has a model of."""
        return frozenset(self._getters)

    def __repr__(self) -> str:
        return f"<{self.class_name} {' '.join(self.identity)}>"


@functools.cache
def known_properties(class_name: str) -> frozenset[str]:
    if ":" in class_name:
        found = tables.wmi(*class_name.split(":", 1))
        return frozenset(found["properties"]) if found else frozenset()
    return frozenset(tables.properties(class_name) or ())


class Values:
    """Getters over a plain mapping: for objects that are made with their values."""

    @staticmethod
    def of(class_name: str, values: Mapping[str, object], *identity: str) -> Live:
        getters = {name: functools.partial(_pick, name) for name in values}
        return Live(class_name, getters, values, identity)


def _pick(name: str, values: Mapping[str, object]) -> object:
    return values[name]
