"""Where actions and steps register, and what a handler is handed.

An action is one decorated function. Everything around it (signature, parsing, DryRun,
ClientToken, the transaction, rendering) is done by the service, at one place for all.
"""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy.orm import Session

from translators.settings import Settings

Result = Mapping[str, object]
"""An answer in botocore's member names; a list may be `translators.views.Fragments`."""
Handler = Callable[["Context", Any], Result]
Prepare = Callable[["Context", Any], object]
H = TypeVar("H", bound=Handler)


@dataclass(slots=True)
class Context:
    """All that a handler sees of the world.

    `session` is a read-only snapshot for reads, the writer's savepoint for changes. `prepared`
    is what the action's `prepare` made. Host keys put into `wake` are woken after the commit.
    """

    session: Session
    account_id: str
    account_key: int
    region: str
    request_id: str
    now: dt.datetime
    settings: Settings
    access_key_id: str = ""
    prepared: Any = None
    wake: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Awaits:
    """What a changing action waits for after its commit: an answer that only a host can give.

    `answer` is asked on fresh snapshots, with the handler's result, until it is not None. After
    the deadline `give_up` withdraws in one transaction what was asked, and answers the same or
    raises EC2's error. Its hosts are those that the handler put into `wake`.
    """

    answer: Callable[[Context, Any, Result], Result | None]
    give_up: Callable[[Context, Any, Result], Result | Exception]
    deadline_seconds: float = 25.0


@dataclass(frozen=True, slots=True)
class Action:
    """A registered action.

    `prepare` runs before the transaction, on a read-only snapshot: the place for key generation
    and other slow work. `replay` shapes the answer when a ClientToken comes again; it is handed
    the stored answer. `check` looks at the form of ids whose members' names do not tell it; see
    `translators.forms`.
    """

    service: str
    name: str
    handler: Handler
    changes: bool
    prepare: Prepare | None
    replay: Callable[[Context, Mapping[str, Any]], Result] | None
    awaits: Awaits | None = None
    check: Callable[[Any], None] | None = None


ACTIONS: Final[dict[tuple[str, str], Action]] = {}
"""(service, EC2's name) -> action."""
FIRST_REQUEST: Final[list[Callable[[Context], None]]] = []
"""Run once, in one transaction, at an account's first request in a region."""


def action(
    name: str,
    *,
    service: str = "ec2",
    changes: bool = False,
    prepare: Prepare | None = None,
    replay: Callable[[Context, Mapping[str, Any]], Result] | None = None,
    awaits: Awaits | None = None,
    check: Callable[[Any], None] | None = None,
) -> Callable[[H], H]:
    """Register the function as the AWS action of that name."""
    if awaits is not None and not changes:
        raise RuntimeError(f"{name} waits, though it changes nothing")

    def register(handler: H) -> H:
        if (service, name) in ACTIONS:
            raise RuntimeError(f"{service} {name} is registered twice")
        ACTIONS[service, name] = Action(
            service, name, handler, changes, prepare, replay, awaits, check
        )
        return handler

    return register


def first_request(function: Callable[[Context], None]) -> Callable[[Context], None]:
    """Register what an account finds in a region from its first request on (its default VPC)."""
    FIRST_REQUEST.append(function)
    return function


def load_families() -> None:
    """Import every family, so that its actions and steps register; no list is kept."""
    families = importlib.import_module("translators.ec2")
    for module in pkgutil.walk_packages(families.__path__, "translators.ec2."):
        importlib.import_module(module.name)
