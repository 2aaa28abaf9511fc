"""Properties of live objects as flat JSON values, the way .NET's invariant culture makes them.

Where PowerShell would print an object's type name instead of a value, this fails: a plan that
brings that back is wrong on every host.

Source: the agent's Get-Flat; System.Convert, TimeSpan.ToString("c"), DateTime.ToString("o").
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid

from ec2gw.lab.agent.host import CmdletError, Live

_TICKS = 10_000_000  # per second
_INVALID_CAST = "System.InvalidCastException"
_CODES = {
    _INVALID_CAST: "0x80004002",
    "System.FormatException": "0x80131537",
    "System.OverflowException": "0x80131516",
}


def flat(value: object, take: str) -> object:
    """What `Uptime.TotalSeconds:int` brings back of an object.

    :raises CmdletError: a property that is not there, or a value that the cast cannot take
    """
    path, _, cast = take.partition(":")
    for step in path.split("."):
        if value is None:
            break
        if step:
            value = member(value, step)
    if cast == "texts":
        if value is None:
            return []
        return [text(one) for one in value] if isinstance(value, list) else [text(value)]
    if value is None:
        return None
    match cast:
        case "int":
            return integer(value)
        case "bool":
            return truth(value)
        case "time":
            return time(value)
    return text(value)


def member(value: object, name: str) -> object:
    """One step of a property path; of a list it is the members' members.

    :raises CmdletError: there is no such property
    """
    if isinstance(value, list) and name not in ("Count", "Length"):
        found: list[object] = []
        for one in value:
            inner = member(one, name)
            found += inner if isinstance(inner, list) else [inner]
        if not found:
            raise _no_property(name)
        return found[0] if len(found) == 1 else found
    if isinstance(value, list):
        return len(value)
    if isinstance(value, dt.timedelta):
        return _of_timedelta(value, name)
    if isinstance(value, str) and name == "Length":
        return len(value.encode("utf-16-le")) // 2
    if isinstance(value, Live):
        try:
            return value.property(name)
        except KeyError:
            raise _no_property(name) from None
    raise _no_property(name)


def text(value: object) -> str:
    """Convert.ToString(value, InvariantCulture)."""
    match value:
        case None:
            return ""
        case enum.Enum():
            return value.name
        case str():
            return value
        case bool():
            return "True" if value else "False"
        case int():
            return str(value)
        case float():
            return repr(value).removesuffix(".0")
        case uuid.UUID():
            return str(value)
        case dt.datetime():
            return value.strftime("%m/%d/%Y %H:%M:%S")
        case dt.timedelta():
            return _constant_format(value)
    raise _no_cast(value, "String")


def integer(value: object) -> int:
    """Convert.ToInt64(value, InvariantCulture): halves go to the even number."""
    match value:
        case enum.Enum():
            number = integer(value.value)
        case int():
            number = int(value)
        case float() if math.isfinite(value):
            number = round(value)
        case float():
            raise _failed("OverflowException", f"{value} is no Int64")
        case str():
            try:
                number = int(value.strip()) if value.isascii() and "_" not in value else int("x")
            except ValueError:
                raise _failed("FormatException", f"no number: {value!r}") from None
        case _:
            raise _no_cast(value, "Int64")
    if not -(2**63) <= number < 2**63:
        raise _failed("OverflowException", f"{number} is no Int64")
    return number


def truth(value: object) -> bool:
    """[bool] of PowerShell: any text but the empty one is true, "False" included."""
    if isinstance(value, list):
        return truth(value[0]) if len(value) == 1 else bool(value)
    if isinstance(value, enum.Enum):
        return truth(value.value)
    if isinstance(value, bool | int | float | str):
        return bool(value)
    return value is not None


def time(value: object) -> str:
    """DateTime.ToUniversalTime().ToString("o"): seven digits of a second."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise _failed("FormatException", f"no time: {value!r}") from None
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise _no_cast(value, "DateTime")
    moment = value.astimezone(dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}0Z"


def _of_timedelta(value: dt.timedelta, name: str) -> object:
    micros = value // dt.timedelta(microseconds=1)
    # .NET cuts each part towards zero; Python's own fields floor.
    sign, rest = (-1, -micros) if micros < 0 else (1, micros)
    seconds, fraction = divmod(rest, 1_000_000)
    table: dict[str, float] = {
        "Ticks": micros * (_TICKS // 1_000_000),
        "Days": sign * (seconds // 86400),
        "Hours": sign * (seconds // 3600 % 24),
        "Minutes": sign * (seconds // 60 % 60),
        "Seconds": sign * (seconds % 60),
        "Milliseconds": sign * (fraction // 1000),
        "TotalDays": micros / 86400e6,
        "TotalHours": micros / 3600e6,
        "TotalMinutes": micros / 60e6,
        "TotalSeconds": micros / 1e6,
        "TotalMilliseconds": micros / 1e3,
    }
    if name not in table:
        raise _no_property(name)
    return table[name]


def _constant_format(value: dt.timedelta) -> str:
    micros = abs(value) // dt.timedelta(microseconds=1)
    seconds, fraction = divmod(micros, 1_000_000)
    days, seconds = divmod(seconds, 86400)
    sign = "-" if value < dt.timedelta() else ""
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{sign}{f'{days}.' if days else ''}{clock}{f'.{fraction:06}0' if fraction else ''}"


def _no_property(name: str) -> CmdletError:
    return CmdletError(
        "PropertyNotFoundStrict",
        "NotSpecified",
        f"The property '{name}' cannot be found on this object.",
        kind="System.Management.Automation.PropertyNotFoundException",
    )


def _no_cast(value: object, wanted: str) -> CmdletError:
    return _failed("InvalidCastException", f"a {type(value).__name__} is no {wanted}")


def _failed(kind: str, text: str) -> CmdletError:
    return CmdletError(
        kind,
        "NotSpecified",
        text,
        kind="System.Management.Automation.MethodInvocationException",
        hresult=("0x80131501", _CODES[f"System.{kind}"]),
    )
