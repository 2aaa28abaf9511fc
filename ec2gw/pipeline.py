"""The life of a request: one ordered list of named stages, from what was received to an answer.

No flask and no socket: `ec2gw.web` hands in what it read and sends what comes out. Every answer is
XML, whatever goes wrong. What an account may do is everything that is its own: authentication
settles it, and every query of an action is bound to the account.

Source: docs/architecture.md, "Life of a request"; EC2 API Reference, "Making API requests".
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from ec2gw import audit, inventory, questions, request_errors, transact
from ec2gw.auth import origins, refusals, sigv2, sigv4
from ec2gw.auth.accounts import Accounts, Key, TooMany
from ec2gw.auth.request import Request
from ec2gw.exchange import Exchange, Response, respond
from ec2gw.wire import form, fragments, model, parse, render
from state import models, stop_points
from state.store import Store
from translators import errors, forms, registry, zones
from translators.registry import Action, Context
from translators.settings import Settings

BODY_LIMIT_BYTES: Final = 1024 * 1024
_VERSION: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
_SERVICE_OF_VERSION: Final = {"2011-06-15": "sts", "2010-05-08": "iam"}
_SHOWN: Final = 100

# How EC2 names a parameter that is missing, where that is not its name in requests.
_MISSING: Final = {
    "InstanceIds": "instancesSet",
    "VolumeIds": "volumeSet",
    "Resources": "resourceIdSet",
}

Auth = Literal["signed", "open"]


class Gateway:
    """Answers requests. Thread-safe."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        settings: Settings,
        auth: Auth = "signed",
        wake: Callable[[set[int]], None] = lambda host_keys: None,
        actions: Mapping[tuple[str, str], Action] = registry.ACTIONS,
        first_request: Sequence[Callable[[Context], None]] = registry.FIRST_REQUEST,
        sigv2: bool = False,
    ) -> None:
        self.store = store
        self.accounts = accounts
        self.settings = settings
        self.auth = auth
        self.wake = wake
        self.actions = actions
        self.first_request = first_request
        self.sigv2 = sigv2
        self.verifier = sigv4.Verifier()
        self.cache = fragments.Cache()
        self.settled: set[tuple[int, str]] = set()
        """(account, region) that have made their first request; the table behind it is truth."""
        self.settling = threading.Lock()
        self.questions = questions.Questions()

    def answer(self, request: Request) -> Response:
        stop_points.reach("api before request")
        began = time.perf_counter()
        exchange = Exchange(request, str(uuid.uuid4()), dt.datetime.now(dt.UTC))
        code = "-"
        try:
            for _, stage in STAGES:
                stage(self, exchange)
            status, body = 200, exchange.body
        except Exception as error:  # the boundary of the process: every request is answered
            refusal = audit.refusal(error, exchange.id, exchange.service, exchange.action_name)
            code, status = refusal.code, refusal.status
            body = render.error(
                exchange.service, refusal.code, refusal.message, exchange.id, refusal.status
            )
        audit.tell(
            request=exchange.id,
            account=exchange.account.id if exchange.account else "-",
            key=exchange.key_id,
            service=exchange.service,
            action=exchange.action_name,
            region=exchange.region,
            status=status,
            code=code,
            ms=f"{(time.perf_counter() - began) * 1000:.1f}",
            unknown=len(exchange.unknown),
            remote=request.remote,
        )
        stop_points.reach("api after request")
        return respond(exchange.id, status, b"" if request.method == "HEAD" else body)

    def context(self, exchange: Exchange, session: Any) -> Context:
        assert exchange.account is not None
        return Context(
            session=session,
            account_id=exchange.account.id,
            account_key=exchange.account.key,
            region=exchange.region,
            request_id=exchange.id,
            now=exchange.now,
            settings=self.settings,
            access_key_id=exchange.key_id,
        )


Stage = Callable[[Gateway, Exchange], None]


# -- what was received


def _admit(gateway: Gateway, exchange: Exchange) -> None:
    request = exchange.request
    if gateway.auth == "open" and not origins.trusted(request):
        raise refusals.foreign_origin()
    if request.method not in ("GET", "POST"):
        raise request_errors.wrong_method()
    if request.path != "/":
        raise request_errors.nothing_here()
    if request.body is None or len(request.query) > BODY_LIMIT_BYTES:
        raise request_errors.too_large(BODY_LIMIT_BYTES)


def _read_form(gateway: Gateway, exchange: Exchange) -> None:
    request = exchange.request
    pairs = form.split(request.query.encode("utf-8", "surrogateescape"))
    if request.method == "POST" and request.body:
        pairs += form.split(request.body)
    exchange.form = pairs


def _route(gateway: Gateway, exchange: Exchange) -> None:
    """Find out which service is meant: by what was signed, else by the version."""
    for name, value in exchange.form:
        if name == "Action":
            exchange.action_name = value
        elif name == "Version":
            exchange.version = value
    exchange.service = _SERVICE_OF_VERSION.get(exchange.version, "ec2")
    exchange.claim = sigv4.claim(exchange.request)
    if exchange.claim is not None:
        exchange.service = exchange.claim.service
        exchange.region = exchange.claim.region
        exchange.key_id = exchange.claim.key_id


# -- who asks


def _authenticate(gateway: Gateway, exchange: Exchange) -> None:
    if gateway.auth == "open":
        _let_in(gateway, exchange)
        return
    claim = exchange.claim
    if claim is None:
        _authenticate_old(gateway, exchange)
        return
    key = _key(gateway, exchange, claim.key_id, claim.session_token)
    gateway.verifier.check(exchange.request, claim, key.secret, exchange.now)
    exchange.account = key.account


def _authenticate_old(gateway: Gateway, exchange: Exchange) -> None:
    """Do the same for what is signed by version 2, or not at all."""
    service = exchange.service
    if not gateway.sigv2 and any(name == "Signature" for name, _ in exchange.form):
        raise refusals.unknown_key(service)  # so do regions of AWS that know version 4 alone
    claim = sigv2.claim(service, exchange.form) if gateway.sigv2 else None
    if claim is None:
        raise refusals.not_signed(service)
    key = _key(gateway, exchange, claim.key_id, claim.session_token)
    sigv2.check(service, exchange.request, exchange.form, claim, key.secret, exchange.now)
    exchange.account = key.account
    exchange.region = _endpoint_region(gateway, exchange.request)


def _key(gateway: Gateway, exchange: Exchange, key_id: str, session_token: bool) -> Key:
    exchange.key_id = key_id
    if session_token:
        raise refusals.session_token(exchange.service)
    key = gateway.accounts.key(key_id)
    if key is None:
        raise refusals.unknown_key(exchange.service)
    return key


def _endpoint_region(gateway: Gateway, request: Request) -> str:
    """Answer the region that the endpoint's name has in it, else the usual one.

    Version 2 signs no region: it is the endpoint's, such as ec2.eu-west-1.example.org.
    """
    labels = origins.host_of(request.headers.get("host", "")).lower().split(".")
    with gateway.store.read() as session:
        known = set(zones.regions(session))
    named = next((label for label in labels if label in known), None)
    return named or inventory.usual_region(gateway.store)


def _let_in(gateway: Gateway, exchange: Exchange) -> None:
    if not exchange.key_id:
        named = [value for name, value in exchange.form if name == "AWSAccessKeyId"]
        exchange.key_id = named[-1] if named else ""
    try:
        exchange.account = gateway.accounts.opened(exchange.key_id)
    except TooMany:
        raise refusals.unknown_key(exchange.service) from None


# -- what is asked


def _find_action(gateway: Gateway, exchange: Exchange) -> None:
    name = exchange.action_name
    if not name:
        raise errors.missing_action()
    exchange.action = gateway.actions.get((exchange.service, name))
    exchange.operation = model.operation(exchange.service, name)
    if exchange.action is None or exchange.operation is None:
        raise errors.invalid_action(name[:_SHOWN])
    if not exchange.version:
        exchange.version = exchange.operation.api_version
    elif not _VERSION.fullmatch(exchange.version):
        raise request_errors.no_such_version(exchange.version[:_SHOWN], exchange.service)


def _parse(gateway: Gateway, exchange: Exchange) -> None:
    assert exchange.operation is not None
    signature = sigv4 if exchange.claim else sigv2
    asked = signature.without_signature(exchange.form)
    exchange.params, exchange.unknown = parse.parse(exchange.operation, asked)


def _require_members(gateway: Gateway, exchange: Exchange) -> None:
    operation = exchange.operation
    assert operation is not None
    for name in operation.required:
        if name not in exchange.params:
            asked = operation.asked_names[name]
            wire_name = _MISSING.get(name, asked[0].lower() + asked[1:])
            raise errors.missing_parameter(wire_name)


def _check_ids(gateway: Gateway, exchange: Exchange) -> None:
    assert exchange.action is not None
    if exchange.service == "ec2":
        (exchange.action.check or forms.check)(exchange.params)


def _settle(gateway: Gateway, exchange: Exchange) -> None:
    """Check the region; at an account's first request there, make what it finds in it."""
    if exchange.service != "ec2":
        return  # the others are the same in every region
    assert exchange.account is not None
    pair = (exchange.account.key, exchange.region)
    if pair in gateway.settled:
        return
    with gateway.settling:  # one at a time: tools begin with several requests at once
        if pair in gateway.settled:
            return
        with gateway.store.read() as session:
            if not zones.exists(session, exchange.region):
                raise refusals.wrong_scope("ec2", f"to a valid region, not '{exchange.region}'")
            known = session.get(models.AccountRegion, pair) is not None
        if not known:
            gateway.store.write(lambda session: _make_first(gateway, exchange, session))
        gateway.settled.add(pair)


def _make_first(gateway: Gateway, exchange: Exchange, session: Any) -> None:
    assert exchange.account is not None
    pair = (exchange.account.key, exchange.region)
    if session.get(models.AccountRegion, pair) is not None:
        return
    session.add(models.AccountRegion(account_key=pair[0], region=pair[1], created_at=exchange.now))
    session.flush()
    for make in gateway.first_request:
        make(gateway.context(exchange, session))


def _stop_dry_run(gateway: Gateway, exchange: Exchange) -> None:
    assert exchange.operation is not None
    if exchange.operation.has_dry_run and exchange.params.get("DryRun"):
        raise errors.dry_run_operation()


STAGES: Final[tuple[tuple[str, Stage], ...]] = (
    ("admit", _admit),
    ("read form", _read_form),
    ("route", _route),
    ("authenticate", _authenticate),
    ("find action", _find_action),
    ("parse", _parse),
    ("require members", _require_members),
    ("check ids", _check_ids),
    ("settle", _settle),
    ("stop dry run", _stop_dry_run),
    ("perform", transact.perform),
)
"""Order matters: nobody unknown learns what exists, nothing is made for who may not ask, and DryRun
says that a request would have succeeded only of one that has its form."""
