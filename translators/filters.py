"""Filters as data: beside a resource stands a table from a filter's name to what it looks at.

A table for rows maps to `Filter`s, which become SQL over Core columns; a table for things that
are no rows maps to getters, and `select` filters them here. One meaning for both: names exact,
values with `*`, `?` and backslash and by case, values of one filter joined by OR, filters by AND.

Source: EC2 User Guide, "Filter Amazon EC2 resources"; EC2 API Reference, Filter.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, QueryableAttribute

from state.models import Tag
from translators import errors
from translators.registry import Context

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef

T = TypeVar("T")
Condition = sa.ColumnElement[bool]
Column = sa.ColumnElement[Any] | QueryableAttribute[Any] | InstrumentedAttribute[Any]
Filter = Callable[[Context, "Values"], Condition]
Getter = Callable[[T], object]

MOST_VALUES: Final = 200
_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_MANY: Final = None
"""Stands for `*` in a pattern; `?` is the empty text, any other text one literal character."""
_Pattern = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one filter, told apart: those that are plain text, and patterns.

    `checked` says that the rows are found by other means and are only to be checked here.
    """

    plain: tuple[str, ...]
    patterns: tuple[_Pattern, ...] = ()
    checked: bool = False

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Values:
        r"""Read the values as they come: a backslash takes its meaning from `*`, `?` or itself.

        >>> Values.parse([r"a\*b"]).plain
        ('a*b',)
        """
        plain: list[str] = []
        patterns: list[_Pattern] = []
        for text in texts:
            pattern = _parse(text)
            if _MANY in pattern or "" in pattern:
                patterns.append(pattern)
            else:
                plain.append("".join(part for part in pattern if part is not None))
        return cls(tuple(plain), tuple(patterns))

    def match(self, text: str) -> bool:
        """Tell whether any of the values matches.

        >>> Values.parse(["t3.*"]).match("t3.micro"), Values.parse(["t?"]).match("t3.micro")
        (True, False)
        """
        return text in self.plain or any(_matches(pattern, text) for pattern in self.patterns)


# -- what a filter of a row looks at


def text(column: Column | Callable[[Context], Column]) -> Filter:
    """A column of text, or what is made of one for the caller, as it stands."""
    if isinstance(column, sa.ColumnElement | QueryableAttribute):
        return lambda _, values: _sql(column, values)
    return lambda ctx, values: _sql(column(ctx), values)


def number(column: Column) -> Filter:
    """A column of whole numbers, compared as they are written."""

    def condition(_: Context, values: Values) -> Condition:
        whole = [int(value) for value in values.plain if _NUMBER.fullmatch(value)]
        globs = [_glob(sa.cast(column, sa.String), pattern) for pattern in values.patterns]
        return _any([_here(column, values).in_(whole), *globs] if whole else globs)

    return condition


def flag(column: Column) -> Filter:
    """A column of truth values, called "true" and "false"."""
    return mapped(column, {True: "true", False: "false"})


def time(column: Column) -> Filter:
    """A column of times, compared as EC2 writes them: 2026-01-31T12:00:00.000Z."""
    seconds = sa.type_coerce(column, sa.BigInteger) / sa.literal_column("1000000")
    written = sa.func.strftime(
        "%Y-%m-%dT%H:%M:%S.000Z", sa.cast(seconds, sa.BigInteger), "unixepoch"
    )
    return lambda _, values: _sql(written, values)


def mapped(
    column: Column, words: Mapping[Any, str] | Callable[[Context], Mapping[Any, str]]
) -> Filter:
    """A column whose few values have other words in EC2; None among them means no value."""

    def condition(ctx: Context, values: Values) -> Condition:
        table = words(ctx) if callable(words) else words
        kept = [value for value, word in table.items() if values.match(word)]
        present = [value for value in kept if value is not None]
        at = _here(column, values)
        found = [at.in_(present)] if present else []
        return _any([*found, at.is_(None)] if len(present) < len(kept) else found)

    return condition


def always(word: str | Callable[[Context], str]) -> Filter:
    """What is the same for all that the caller sees."""
    return lambda ctx, values: (
        sa.true() if values.match(word(ctx) if callable(word) else word) else sa.false()
    )


def never(_ctx: Context, _values: Values) -> Condition:
    """What EC2 knows and nothing here ever has: no value matches."""
    return sa.false()


owner: Final[Filter] = always(lambda ctx: ctx.account_id)


def through(here: Column, there: Column, inner: Filter, *also: Condition) -> Filter:
    """A filter of other rows: those whose column `there` is what this row has in `here`."""

    def condition(ctx: Context, values: Values) -> Condition:
        looked_up = dataclasses.replace(values, checked=False)
        found = sa.select(there).where(inner(ctx, looked_up), *also)
        return _here(here, values).in_(found)

    return condition


def within(entries: Column, member: str, words: Mapping[Any, str] | None = None) -> Filter:
    """A member of the objects in a JSON list; `words` are EC2's for its values, if they differ."""

    def condition(ctx: Context, values: Values) -> Condition:
        each = sa.func.json_each(_document(entries)).table_valued("value")
        found = sa.func.json_extract(each.c.value, f"$.{member}")
        inner = mapped(found, words) if words else text(sa.cast(found, sa.String))
        return sa.exists(sa.select(1).select_from(each).where(inner(ctx, values)))

    return condition


def among(document: Column, part: Literal["keys", "atoms"]) -> Filter:
    """The keys of a JSON object, or what is in it that is no object and no list."""

    def condition(ctx: Context, values: Values) -> Condition:
        if part == "keys":
            each = sa.func.json_each(_document(document)).table_valued("key")
            inner = text(each.c.key)
        else:
            each = sa.func.json_tree(_document(document)).table_valued("atom")
            inner = text(each.c.atom)
        return sa.exists(sa.select(1).select_from(each).where(inner(ctx, values)))

    return condition


def either(*filters: Filter) -> Filter:
    """Several things that one name looks at; one that matches is enough."""
    return lambda ctx, values: sa.or_(*(one(ctx, values) for one in filters))


def _document(column: Column) -> Column:
    return sa.type_coerce(column, sa.String)


# -- what becomes of a request's filters


@dataclass(frozen=True, slots=True)
class Compiled:
    """Conditions to be joined by AND; if `driven`, no index of the rows' own table is to help."""

    conditions: tuple[Condition, ...] = ()
    driven: bool = False


def compile(
    ctx: Context,
    requested: Sequence[FilterTypeDef],
    table: Mapping[str, Filter],
    *,
    kind: str | None,
    key: Column,
    driven: bool = False,
) -> Compiled:
    """Turn the request's filters into SQL; `kind` is the resource's type in a tag.

    Filters of tags drive the statement from the tag table; so do, with `driven`, known keys.

    :raises Ec2Error: ``InvalidParameterValue`` for an unknown name or more than 200 values
    """
    conditions: list[Condition] = []
    parsed = _parsed(requested)
    driven = driven or any(_is_tag(name) for name, _ in parsed)
    for name, values in parsed:
        if name in table:
            conditions.append(table[name](ctx, dataclasses.replace(values, checked=driven)))
        elif kind is not None and _is_tag(name):
            conditions.append(_tagged(ctx, kind, key, name, values))
        else:
            raise errors.invalid_filter(name)
    return Compiled(tuple(conditions), driven)


def select(
    things: Iterable[T],
    requested: Sequence[FilterTypeDef],
    table: Mapping[str, Getter[T]],
) -> list[T]:
    """Keep the things that pass the filters; a getter may answer one value, several, or None.

    :raises Ec2Error: as `compile`
    """
    wanted: list[tuple[Getter[T], Values]] = []
    for name, values in _parsed(requested):
        if name not in table:
            raise errors.invalid_filter(name)
        wanted.append((table[name], values))
    return [
        thing
        for thing in things
        if all(any(map(values.match, _written(get(thing)))) for get, values in wanted)
    ]


def _parsed(requested: Sequence[FilterTypeDef]) -> list[tuple[str, Values]]:
    if sum(len(item.get("Values", ())) for item in requested) > MOST_VALUES:
        raise errors.too_many_filter_values(MOST_VALUES)
    parsed: list[tuple[str, Values]] = []
    for item in requested:
        name = item.get("Name")
        if not name:
            raise errors.invalid_filter(name)
        parsed.append((name, Values.parse(item.get("Values", ()))))
    return parsed


def _is_tag(name: str) -> bool:
    return name == "tag-key" or name.startswith("tag:")


def _tagged(ctx: Context, kind: str, key: Column, name: str, values: Values) -> Condition:
    # An IN over the tag table's own index, never a correlated EXISTS: that asks each row.
    found = sa.select(Tag.resource_key).where(
        Tag.resource_type == kind, Tag.account_key == ctx.account_key
    )
    if name == "tag-key":
        found = found.where(_sql(Tag.key, values))
    else:
        found = found.where(Tag.key == name.removeprefix("tag:"), _sql(Tag.value, values))
    return key.in_(found)


def _sql(column: Column, values: Values) -> Condition:
    globs = [_glob(column, pattern) for pattern in values.patterns]
    if values.plain:
        globs.append(_here(column, values).in_(values.plain))
    return _any(globs)


def _any(conditions: Sequence[Condition]) -> Condition:
    return sa.or_(*conditions) if conditions else sa.false()


def unindexed(column: Column) -> Column:
    """The column as an expression that no index serves: kept out of what drives the plan."""
    return sa.func.coalesce(column, sa.null(), type_=column.type)


def _here(column: Column, values: Values) -> Column:
    return unindexed(column) if values.checked else column


def _glob(column: Column, pattern: _Pattern) -> Condition:
    # SQLite's GLOB: by case, and it gives up early where many stars could make it slow.
    written = "".join(
        "*" if part is _MANY else "?" if part == "" else f"[{part}]" if part in "*?[" else part
        for part in pattern
    )
    return column.bool_op("GLOB")(written)


def _parse(value: str) -> _Pattern:
    parts: list[str | None] = []
    position = 0
    while position < len(value):
        character = value[position]
        position += 1
        if character == "\\" and value[position : position + 1] in ("*", "?", "\\"):
            parts.append(value[position])
            position += 1
        elif character == "?":
            parts.append("")
        elif character != "*":
            parts.append(character)
        elif not parts or parts[-1] is not _MANY:
            parts.append(_MANY)
    return tuple(parts)


def _matches(pattern: _Pattern, value: str) -> bool:
    # Only the last star is ever tried again, so the time is bounded by pattern times value.
    at = here = 0
    star, resume = -1, 0
    while here < len(value):
        if at < len(pattern) and pattern[at] is _MANY:
            star, resume = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("", value[here]):
            at += 1
            here += 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return all(part is _MANY for part in pattern[at:])


def _written(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, dt.datetime):
        return [value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")]
    if isinstance(value, str | int | float):
        return [str(value)]
    assert isinstance(value, Iterable), f"a getter answered {type(value).__name__}"
    return [word for item in value for word in _written(item)]
