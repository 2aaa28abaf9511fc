"""Carries out an action: one snapshot for a read, one transaction for a change, then its answer.

Source: docs/architecture.md, "Life of a request"; EC2 API Reference, "Ensuring idempotency".
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from ec2gw import questions, tokens
from ec2gw.exchange import Exchange
from ec2gw.wire import render
from state import recovering
from translators import errors, views
from translators.registry import Awaits, Result

if TYPE_CHECKING:
    from ec2gw.pipeline import Gateway


def perform(gateway: Gateway, exchange: Exchange) -> None:
    assert exchange.action is not None
    (_change if exchange.action.changes else _look)(gateway, exchange)


def _look(gateway: Gateway, exchange: Exchange) -> None:
    assert exchange.action is not None
    # Rendered within the snapshot: rows that are not in the cache are loaded from it.
    with gateway.store.read() as session:
        result = exchange.action.handler(gateway.context(exchange, session), exchange.params)
        _render(gateway, exchange, result)


def _change(gateway: Gateway, exchange: Exchange) -> None:
    action, operation, account = exchange.action, exchange.operation, exchange.account
    assert action is not None
    assert operation is not None
    assert account is not None
    token = tokens.token(
        account.key, exchange.region, action.name, exchange.params, operation.client_token
    )
    oldest = exchange.now - dt.timedelta(seconds=gateway.settings.client_token_seconds)
    if token is not None and _replay(gateway, exchange, token, oldest):
        return
    prepared = None
    if action.prepare is not None:
        with gateway.store.read() as session:
            prepared = action.prepare(gateway.context(exchange, session), exchange.params)

    def work(session: Any) -> tuple[Result, set[int]] | None:
        if token is not None and token.find(session, oldest) is not None:
            return None  # the same request was quicker on another connection
        if recovering.is_on(session):
            raise errors.recovering()
        ctx = gateway.context(exchange, session)
        ctx.prepared = prepared
        result = _loaded(action.handler(ctx, exchange.params))
        if action.awaits is not None:
            gateway.questions.check(ctx.wake)
        if token is not None:
            session.flush()
            token.keep(session, result, exchange.now, oldest)
        return result, ctx.wake

    done = gateway.store.write(work)
    if done is None:
        assert token is not None
        if not _replay(gateway, exchange, token, oldest):
            raise errors.unavailable()  # it expired between the two: asking again is safe
        return
    result, host_keys = done
    gateway.wake(host_keys)
    if action.awaits is not None:
        with gateway.questions.waiting(host_keys):
            result = _await(gateway, exchange, action.awaits, result)
    _render(gateway, exchange, result)


def _await(gateway: Gateway, exchange: Exchange, awaits: Awaits, result: Result) -> Result:
    def look() -> Result | None:
        with gateway.store.read() as session:
            found = awaits.answer(gateway.context(exchange, session), exchange.params, result)
            return None if found is None else _loaded(found)

    found = questions.wait(look, awaits.deadline_seconds)
    if found is not None:
        return found

    def give_up(session: Any) -> tuple[Result | Exception, set[int]]:
        ctx = gateway.context(exchange, session)
        given = awaits.give_up(ctx, exchange.params, result)
        return given if isinstance(given, Exception) else _loaded(given), ctx.wake

    given, host_keys = gateway.store.write(give_up)
    gateway.wake(host_keys)
    if isinstance(given, Exception):
        raise given
    return given


def _replay(gateway: Gateway, exchange: Exchange, token: tokens.Token, oldest: dt.datetime) -> bool:
    assert exchange.action is not None
    with gateway.store.read() as session:
        answer = token.find(session, oldest)
        if answer is None:
            return False
        result: Result = answer
        if exchange.action.replay is not None:
            result = exchange.action.replay(gateway.context(exchange, session), answer)
        _render(gateway, exchange, result)
    return True


def _loaded(result: Result) -> Result:
    """Replace references by what they stand for: after the commit nothing can be loaded."""
    return {
        name: list(value) if isinstance(value, views.Fragments) else value
        for name, value in result.items()
    }


def _render(gateway: Gateway, exchange: Exchange, result: Result) -> None:
    assert exchange.operation is not None
    exchange.body = render.success(
        exchange.operation, result, exchange.id, exchange.version, gateway.cache
    )
