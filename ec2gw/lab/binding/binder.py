"""PowerShell's parameter binder: a call's parameters by name -> one parameter set, typed values.

Positions, pipelines, abbreviations and aliases are no part of it: plans name their parameters.

Source: about_Parameter_Sets, about_Functions_Advanced_Parameters (validation attributes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ec2gw.lab.binding import tables, values

CONVERSION = "System.Management.Automation.ParameterBindingException"
VALIDATION = "System.Management.Automation.ParameterBindingValidationException"


@dataclass(frozen=True, slots=True)
class BoundCall:
    """A call as its cmdlet gets it: which set, and the values in the parameters' types."""

    cmdlet: str
    set_name: str
    arguments: Mapping[str, object]


class BindingError(Exception):
    """A call that PowerShell would not hand to its cmdlet; `identifier` is PowerShell's own."""

    def __init__(
        self, identifier: str, category: str, text: str, parameter: str = "", kind: str = CONVERSION
    ) -> None:
        super().__init__(f"{identifier}: {text}")
        self.identifier = identifier
        self.category = category
        self.parameter = parameter
        self.kind = kind
        self.text = text


def bind(qualified: str, arguments: Mapping[str, object], version: str) -> BoundCall:
    """Bind a call against one version of the tables.

    :raises BindingError: with the id and category that PowerShell would give
    """
    cmdlet = tables.cmdlet(qualified, version)
    if cmdlet is None:
        raise BindingError("CommandNotFoundException", "ObjectNotFound", f"no cmdlet {qualified}")
    for name in arguments:
        if name not in cmdlet.parameters:
            raise BindingError(
                "NamedParameterNotFound", "InvalidArgument", f"no parameter -{name}", name
            )
    bound = {
        name: _value(cmdlet.parameters[name], value, _always_mandatory(cmdlet, name))
        for name, value in arguments.items()
    }
    return BoundCall(qualified, resolve_set(cmdlet, list(arguments), version), bound)


def _always_mandatory(cmdlet: tables.Cmdlet, name: str) -> bool:
    return all(name in one.mandatory for one in cmdlet.sets if name in one.names)


def _value(parameter: tables.Parameter, value: object, mandatory: bool) -> object:
    _check_presence(parameter, value, mandatory)
    try:
        converted = values.convert(value, parameter.type)
    except values.Misfit as misfit:
        raise BindingError(
            "CannotConvertArgumentNoMessage",
            "InvalidArgument",
            f"-{parameter.name}: {misfit}",
            parameter.name,
        ) from None
    for one in converted if isinstance(converted, list) else [converted]:
        _check_value(parameter, one)
    return converted


def _check_presence(parameter: tables.Parameter, value: object, mandatory: bool) -> None:
    identifier = ""
    if value is None:
        nullable = parameter.type == "string" or parameter.type.endswith("?")
        if nullable and not mandatory and not parameter.checks:
            return
        identifier = "ParameterArgumentValidationErrorNullNotAllowed"
    elif value == [] and "AllowEmptyCollection" in parameter.checks:
        return
    elif value == [] and (mandatory or parameter.checks):
        identifier = "ParameterArgumentValidationErrorEmptyArrayNotAllowed"
    elif value == "" and mandatory:
        identifier = "ParameterArgumentValidationErrorEmptyStringNotAllowed"
    elif value == "" and "ValidateNotNullOrEmpty" in parameter.checks:
        identifier = "ParameterArgumentValidationError"
    if identifier:
        what = "null" if value is None else "empty"
        raise BindingError(
            identifier,
            "InvalidData",
            f"-{parameter.name} must not be {what}",
            parameter.name,
            VALIDATION,
        )


def _check_value(parameter: tables.Parameter, value: object) -> None:
    if isinstance(value, values.Typed):
        return
    known = not parameter.values or str(value) in parameter.values
    low_high = parameter.range
    inside = not low_high or not isinstance(value, int) or low_high[0] <= value <= low_high[1]
    if not known or not inside:
        raise BindingError(
            "ParameterArgumentValidationError",
            "InvalidData",
            f"-{parameter.name} does not take {value!r}",
            parameter.name,
            VALIDATION,
        )


def resolve_set(cmdlet: tables.Cmdlet, given: Sequence[str], version: str) -> str:
    """Choose the parameter set that holds all given names and lacks no mandatory one.

    :raises BindingError: ``AmbiguousParameterSet`` or ``MissingMandatoryParameter``
    """
    names = frozenset(given)
    possible = [one for one in cmdlet.sets if names <= one.names]
    if not possible:
        raise BindingError(
            "AmbiguousParameterSet",
            "InvalidArgument",
            f"no parameter set holds all of {', '.join(sorted(names))}",
        )
    complete = [one for one in possible if one.mandatory <= names]
    if not complete:
        closest = min(possible, key=lambda one: len(one.mandatory - names))
        missing = ", ".join(sorted(closest.mandatory - names))
        raise BindingError(
            "MissingMandatoryParameter", "InvalidArgument", f"missing: {missing}", missing
        )
    for one in complete:
        if one.name == cmdlet.default_set:
            return one.name
    # The recording of 2016 is made of syntax lines, which print a mandatory switch as optional:
    # it cannot tell such sets apart, so it does not judge them.
    if len(complete) > 1 and version != "recorded 2016":
        which = ", ".join(one.name for one in complete)
        raise BindingError("AmbiguousParameterSet", "InvalidArgument", f"one of {which}?")
    return complete[0].name
