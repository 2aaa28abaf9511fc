"""The one way in which rows are described: ids, filters, tags, order and pages, for every action.

A `Resource` says all that differs. Lists run on Core over (key, version) and never load a row:
what is shown of the rows is the view's, and only of those that are answered.

Source: EC2 API Reference, "Describe" actions; docs/performance.md, "Data access".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from state import ids, models
from state.statements import Statement, listed
from translators import errors, filters, paging
from translators.errors import Ec2Error
from translators.filters import Condition, Filter
from translators.registry import Context
from translators.views import Fragments

Row = Any
"""A row as a tuple: its key, its version, and what `Resource.also` asks for."""
View = Callable[[Context, Sequence[int]], Mapping[int, dict[str, object]]]
ACCOUNT: Final = sa.bindparam("account", type_=sa.BigInteger)
REGION: Final = sa.bindparam("region", type_=sa.String)
"""The caller, in conditions that are made once."""
_IDS_AT_ONCE: Final = 1000
_ROWS_AT_ONCE: Final = 1000
_UNBOUNDED: Final = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """What an action describes, and by which words.

    Conditions in it are made once: the caller is in their parameters `account` and `region`,
    what else they need is in those that `parameters` answers.
    """

    action: str
    kind: str | None
    """EC2's resource type, as in a tag; None where there are no tags."""
    model: type[models.Base]
    prefix: str
    id_member: str
    """The request's member for ids, "InstanceIds"."""
    ids_word: str
    """That member in EC2's sentences, "instancesSet"."""
    malformed: Callable[[str], Ec2Error]
    not_found: Callable[[Collection[str]], Ec2Error]
    filters: Mapping[str, Filter]
    view: View
    visible: Condition | None = None
    """Who sees it; by default the account that owns it, in its region."""
    exists: Condition | None = None
    """What else must hold: a row that is kept but not shown any more is not found."""
    parameters: Callable[[Context], Mapping[str, object]] | None = None
    also: tuple[sa.ColumnElement[Any], ...] = ()
    """What else of a row the action needs; read with its key and version."""
    max_results: tuple[int, int] = (5, 1000)
    cut_max_results: bool = False
    """Older actions lower a MaxResults that is too large, newer ones refuse it."""
    ids_limit: int = _IDS_AT_ONCE

    @property
    def columns(self) -> sa.ColumnCollection[str, sa.Column[Any]]:
        """The columns of its table."""
        return self.model.__table__.c  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows to answer, in order, and the token for the next page if there is one."""

    resource: Resource
    rows: Sequence[Row]
    next_token: str | None
    load: Callable[[Sequence[int]], Mapping[int, dict[str, object]]]

    @property
    def keys(self) -> list[int]:
        """The rows' keys, in order."""
        return [row[0] for row in self.rows]

    def fragments(self) -> Fragments:
        """The rows as references; only where the version is raised by all that the view shows."""
        pairs = [(row[0], row[1]) for row in self.rows]
        return Fragments(self.resource.kind or self.resource.action, pairs, self.load)

    def views(self) -> list[dict[str, object]]:
        """The rows as they are shown, loaded now."""
        loaded = self.load(self.keys)
        return [loaded[key] for key in self.keys]

    def answer(self, member: str, items: object) -> dict[str, object]:
        """The answer with that list; without a NextToken where there is no more."""
        if self.next_token is None:
            return {member: items}
        return {member: items, "NextToken": self.next_token}


def describe(
    ctx: Context,
    resource: Resource,
    request: Mapping[str, Any],
    *,
    where: Sequence[Condition] = (),
    narrow: Sequence[Condition] = (),
) -> Page:
    """Find what the request asks for, oldest first.

    Outside of `where` nothing exists for this request: an id there is not found. `narrow` only
    leaves out, as a filter does.

    :raises Ec2Error: malformed or unknown ids (the form first), unknown filters, MaxResults out
        of its bounds or beside ids, a NextToken of another query
    """
    named: Sequence[str] = request.get(resource.id_member) or ()
    limit = paging.limit(request, resource.max_results, cut=resource.cut_max_results)
    if named and limit is not None:
        raise errors.invalid_parameter_combination(resource.ids_word, "maxResults")
    after: int = paging.after(ctx, resource.action, request) or 0
    load = functools.partial(_load, ctx, resource)
    requested = request.get("Filters") or ()

    found: Mapping[str, Row] = {}
    if named:
        found = _found(ctx, resource, named, where)
        if not requested and not narrow:
            return Page(resource, sorted(found.values()), None, load)
    most = _UNBOUNDED if limit is None else limit + 1
    asked = {**_bound(ctx, resource), "after": after, "most": most}
    rows: Sequence[Row]
    if where or narrow or requested or named:
        columns = resource.columns
        compiled = filters.compile(
            ctx,
            requested,
            resource.filters,
            kind=resource.kind,
            key=columns.key,
            driven=bool(named),
        )
        query = _rows(resource, driven=compiled.driven)
        query = query.where(*where, *narrow, *compiled.conditions)
        if named:
            query = query.where(columns.key.in_([row[0] for row in found.values()]))
        rows = ctx.session.execute(query, asked).all()
    else:
        rows = _plain(resource).run(ctx.session, asked)
    if limit is None or len(rows) <= limit:
        return Page(resource, rows, None, load)
    rows = rows[:limit]
    following = paging.token(ctx, resource.action, request, rows[-1][0])
    return Page(resource, rows, following, load)


def find(
    ctx: Context,
    resource: Resource,
    named: Collection[str],
    *,
    where: Sequence[Condition] = (),
) -> dict[str, tuple[int, int]]:
    """The (key, version) of each id, in the order of the ids.

    :raises Ec2Error: for the first malformed id, else for all that do not exist
    """
    found = _found(ctx, resource, named, where)
    return {text: (row[0], row[1]) for text, row in found.items()}


def _found(
    ctx: Context, resource: Resource, named: Collection[str], where: Sequence[Condition]
) -> dict[str, Row]:
    if len(named) > resource.ids_limit:
        noun = (resource.kind or "resource").replace("-", " ")
        raise errors.too_many_ids(len(named), resource.ids_limit, noun)
    for text in named:
        if not text:
            raise errors.invalid_parameter_value("", resource.ids_word, "The value cannot be empty")
        if not ids.is_well_formed(resource.prefix, text):
            raise resource.malformed(text)
    wanted = list(dict.fromkeys(named))
    asked = {**_bound(ctx, resource), "ids": wanted}
    rows: Iterable[Any]
    if where:
        rows = ctx.session.execute(_identified(resource).where(*where), asked)
    else:
        rows = _by_id(resource).run(ctx.session, asked)
    found = {row[0]: row[1:] for row in rows}
    if missing := [text for text in wanted if text not in found]:
        raise resource.not_found(missing)
    return {text: found[text] for text in wanted}


def owned(ctx: Context, model: type[models.Base]) -> Condition:
    """What the account has in the region."""
    columns = model.__table__.c
    return sa.and_(columns.account_key == ctx.account_key, columns.region == ctx.region)


def _load(ctx: Context, resource: Resource, keys: Sequence[int]) -> Mapping[int, dict[str, object]]:
    """Load views a batch at a time: a statement takes only so many parameters."""
    if len(keys) <= _ROWS_AT_ONCE:
        return resource.view(ctx, keys)
    views: dict[int, dict[str, object]] = {}
    for first in range(0, len(keys), _ROWS_AT_ONCE):
        views.update(resource.view(ctx, keys[first : first + _ROWS_AT_ONCE]))
    return views


# To make a statement costs several times what it costs to run it, so those of the plain requests
# are made once.


@functools.cache
def _plain(resource: Resource) -> Statement:
    return Statement(_rows(resource, driven=False))


@functools.cache
def _by_id(resource: Resource) -> Statement:
    return Statement(_identified(resource))


def _identified(resource: Resource) -> sa.Select[Any]:
    columns = resource.columns
    return sa.select(columns.id, columns.key, columns.version, *resource.also).where(
        columns.id.in_(listed("ids", sa.String)), *_seen(resource, driven=True)
    )


def _rows(resource: Resource, *, driven: bool) -> sa.Select[Any]:
    columns = resource.columns
    return (
        sa.select(columns.key, columns.version, *resource.also)
        .where(columns.key > sa.bindparam("after"), *_seen(resource, driven=driven))
        .order_by(columns.key)
        .limit(sa.bindparam("most", type_=sa.BigInteger))
    )


def _seen(resource: Resource, *, driven: bool) -> list[Condition]:
    conditions: list[Condition] = []
    if resource.visible is not None:
        conditions.append(resource.visible)
    else:
        account: filters.Column = resource.columns.account_key
        region: filters.Column = resource.columns.region
        if driven:
            # Else the plan would walk all that the account has, one by one.
            account, region = filters.unindexed(account), filters.unindexed(region)
        conditions += [account == ACCOUNT, region == REGION]
    if resource.exists is not None:
        conditions.append(resource.exists)
    return conditions


def _bound(ctx: Context, resource: Resource) -> dict[str, object]:
    more = resource.parameters(ctx) if resource.parameters is not None else {}
    return {"account": ctx.account_key, "region": ctx.region, **more}
