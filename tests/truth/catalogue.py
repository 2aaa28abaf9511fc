"""Every error that the service can answer with: code, status, wording, and who saw it on EC2.

Made from the functions that answer errors and from the sentences that their callers hand to them;
nothing is listed by hand. `python -m tests.truth.catalogue` prints it.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import inspect
import itertools
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ec2gw.wire import values
from tests.truth import source
from tests.unit import test_nothing
from translators import errors, registry
from translators.ec2.nothing import table

DATA: Final[Mapping[str, Any]] = json.loads(
    (source.ROOT / "tests" / "data" / "aws-errors.json").read_text()
)
CODES: Final[frozenset[str]] = frozenset(
    {*DATA["errors"], *DATA["documented"], *DATA["iam"], "MalformedQueryString"}
)
_SEVERAL: Final = re.compile(r"(The [\w ]+)s '([^']*)' do not exist")
Seen = Literal["recorded", "sdk text", "documentation", "emulator", "form", "unseen"]
"""Who saw a wording: answers of EC2 recorded; logs and issues of its users; its documentation; an
emulator, unconfirmed; the form of the sentence, but not its end, which is ours; or nobody."""

_SAMPLES: Final[Mapping[str, Sequence[object]]] = {
    "attribute": ("disableApiStop",),
    "item_type": ("userId",),
    "noun": ("instance",),
    "service": ("ec2", "sts", "iam"),
    "verb": ("stopped",),
}
"""Parameters that hold one of EC2's own words."""
_PASSED_ON: Final = {
    "ec2gw.audit:refusal": "hands on what the wire found: `_of_the_wire`",
    "translators.ec2.nothing.asking:_malformed": "has its codes from a table: `_of_nothing`",
    "translators.ec2.nothing.asking:_not_found": "has its codes from a table: `_of_nothing`",
}
"""Functions whose errors are found by other ways."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """An error: its wording has names in braces for what varies."""

    code: str
    status: int
    text: str
    where: str

    @property
    def of_one(self) -> str:
        """The wording for a single thing: the plural is made by one rule."""
        one = _SEVERAL.sub(lambda found: f"{found[1]} '{found[2]}' does not exist", self.text)
        return re.sub(r"(\{\w+\})(, \1)+", r"\1", one)


class _Number(int):
    """Shows as a name in braces, whatever format is asked for."""

    name: str

    def __format__(self, spec: str) -> str:
        return f"{{{self.name}}}"

    def __str__(self) -> str:
        return f"{{{self.name}}}"


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All errors, each wording once a place."""
    registry.load_families()
    found: set[Entry] = {*_of_the_wire(), *_of_nothing()}
    for maker in source.makers():
        where = f"{maker.module}:{maker.name}"
        if maker.takes_sentence:
            found.update(_of_callers(maker))
        elif maker.makes and where not in _PASSED_ON:
            found.update(_made(maker, {}, where))
    return tuple(sorted(found))


def _of_callers(maker: source.Maker) -> Iterator[Entry]:
    for place, given in source.callers(maker):
        for chosen in itertools.product(*given.values()):
            yield from _made(maker, dict(zip(given, chosen, strict=True)), place.name)


def _made(maker: source.Maker, given: Mapping[str, str], where: str) -> Iterator[Entry]:
    function = getattr(importlib.import_module(maker.module), maker.name)
    parameters = inspect.signature(function, eval_str=True).parameters
    choices = [_choices(one, given.get(name)) for name, one in parameters.items()]
    for chosen in itertools.product(*choices):
        arguments = dict(zip(parameters, chosen, strict=True))
        error = function(**arguments)
        yield Entry(error.code, error.status, error.message, where)


def _choices(parameter: inspect.Parameter, given: str | None) -> Sequence[object]:
    """What a parameter may be: samples of its type, or what its caller gives."""
    name, kind = parameter.name, parameter.annotation
    if name in _SAMPLES and (given is None or given.startswith("{")):
        return _SAMPLES[name]
    if kind is int:
        number = _Number(5)
        number.name = name
        return (number,)
    if kind is bool:
        return (True,) if given == "{value}" else (False, True)
    if kind is dt.datetime:
        return (dt.datetime(2026, 1, 2, tzinfo=dt.UTC),)
    if kind == Collection[str]:
        return ([f"{{{name}}}"], [f"{{{name}}}", f"{{{name}}}"])
    if given is not None:
        return (given,)
    if parameter.default is not inspect.Parameter.empty:
        return (parameter.default,)
    return (f"{{{name}}}", None) if kind == str | None else (f"{{{name}}}",)


def _of_the_wire() -> Iterator[Entry]:
    """What the reading of a form finds; it has a class of its own, with the same codes."""
    query = source.Maker("ec2gw.wire.values", "query", ("why",), True)
    unreadable = source.Maker("ec2gw.wire.values", "Unreadable", (source.SENTENCE,), True)
    for place in source.places():
        if not place.module.startswith("ec2gw.wire.") or not place.node.args:
            continue
        called = source.name_of(place.node)
        if called == query.name:
            for why in source.texts(place, place.node.args[0]):
                malformed = values.Malformed.query(why)
                yield Entry(malformed.code, 400, malformed.message, place.name)
        elif called == unreadable.name:
            for sentence in source.texts(place, place.node.args[0]):
                error = errors.invalid_parameter_value("{value}", "{name}", sentence)
                yield Entry(error.code, error.status, error.message, place.name)


def _of_nothing() -> Iterator[Entry]:
    """What is said of things of which there are none."""
    for row in table.TABLE:
        for one in row.named:
            known = test_nothing.known(one)
            for given in ([known], [known, known], ["x"]):
                error = one.refuse(given)
                text = re.sub(
                    rf"(?<=['\"(\[ ])({re.escape(known)}|x)(?=['\"),\] ])", "{id}", error.message
                )
                yield Entry(error.code, error.status, text, f"{row.name}.{one.member}")


# -- who saw a wording


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known of a wording; the status is that of the sighting, where there is one."""

    seen: Seen
    statuses: frozenset[int]


def sighting(entry: Entry, data: Mapping[str, Any] = DATA) -> Sighting:
    """Look an entry up: its exact wording, else the form that EC2 has for any value."""
    known = data["errors"].get(entry.code)
    if known is None:
        return Sighting("unseen", frozenset({404} if entry.code == "NoSuchEntity" else {400}))
    ours = [plain(entry.text), plain(entry.of_one)]
    for message in known["messages"]:
        if any(_same(one, plain(message["text"]), message.get("cut", False)) for one in ours):
            statuses = frozenset({message.get("status", known["status"])})
            return Sighting(message["real"], statuses)
    every = frozenset({known["status"], *_statuses(known)})
    if entry.code == "InvalidParameterValue" and _FORM.match(entry.text):
        return Sighting("form", every)
    return Sighting("unseen", every)


def plain(text: str) -> str:
    """The text with one sign for all that varies: names in braces, lists of them, and numbers."""
    return re.sub("§(, §)+", "§", re.sub(r"\{[^{}]*\}|\d+(\.\d+)?", "§", text))


def _same(ours: str, theirs: str, cut: bool) -> bool:
    """Whether two wordings are one; what varies in one may be a word in the sighting of the other.

    Where EC2's varies, a word alone may stand in ours; what varies in ours may be anything.
    """
    if cut:
        return ours.startswith(theirs)
    return (
        re.fullmatch(re.escape(ours).replace("§", ".*"), theirs) is not None
        or re.fullmatch(re.escape(theirs).replace("§", r"(§|[\w.-]+)"), ours) is not None
    )


_FORM: Final = re.compile(r"Value \(.*\) for parameter \S+ is invalid\.")


def _statuses(known: Mapping[str, Any]) -> set[int]:
    return {one["status"] for one in known["messages"] if "status" in one}


def main() -> None:
    for entry in entries():
        line = f"{entry.code}\t{entry.status}\t{sighting(entry).seen}\t{entry.text}\t{entry.where}"
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
