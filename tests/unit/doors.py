"""A gateway with actions of the tests' own, a signer in front of it, and eyes for its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ec2gw import inventory
from ec2gw.auth import accounts
from ec2gw.auth.request import Request
from ec2gw.exchange import Response
from ec2gw.pipeline import Gateway
from state.secrets import Vault
from state.store import Store
from translators.registry import Action, Context, Result
from translators.settings import Settings

HOST = "127.0.0.1:8773"
VERSION = "2016-11-15"


class Door:
    """A gateway whose actions are offered one by one."""

    def __init__(
        self, store: Store, vault: Vault, settings: Settings, auth: Any = "signed", limit: int = 10
    ) -> None:
        self.store = store
        self.credentials = inventory.prepare(store, vault)
        inventory.match_networks(store, inventory.LABORATORY_NETWORKS)
        self.made: list[Context] = []
        self.first: list[tuple[str, str]] = []
        self.woken: list[set[int]] = []
        self.accounts = accounts.Accounts(store, vault, limit)
        self.actions: dict[tuple[str, str], Action] = {}
        self.gateway = Gateway(
            store,
            self.accounts,
            settings,
            auth,
            wake=self.woken.append,
            actions=self.actions,
            first_request=[lambda ctx: self.first.append((ctx.account_id, ctx.region))],
        )
        self.offer("DescribeRegions", lambda ctx, request: {"Regions": []})
        self.offer("CreateVolume", self._create_volume, changes=True)
        self.offer("TerminateInstances", lambda ctx, request: {}, changes=True)
        self.offer("GetCallerIdentity", self._identity, service="sts")

    def offer(
        self,
        name: str,
        handler: Callable[[Context, Any], Result],
        *,
        service: str = "ec2",
        changes: bool = False,
        prepare: Any = None,
        replay: Any = None,
        awaits: Any = None,
    ) -> None:
        made = Action(service, name, handler, changes, prepare, replay, awaits)
        self.actions[service, name] = made

    def _create_volume(self, ctx: Context, request: Mapping[str, Any]) -> Result:
        self.made.append(ctx)
        ctx.wake.add(7)
        return {
            "VolumeId": f"vol-{len(self.made)}",
            "CreateTime": ctx.now,
            "Size": request.get("Size", 8),
        }

    @staticmethod
    def _identity(ctx: Context, request: Mapping[str, Any]) -> Result:
        return {"Account": ctx.account_id, "UserId": ctx.access_key_id}

    def ask(
        self,
        action: str | None = "DescribeRegions",
        *,
        service: str = "ec2",
        region: str = "us-east-1",
        key: tuple[str, str] | None = None,
        version: str | None = VERSION,
        **params: str,
    ) -> Response:
        form = {"Action": action, "Version": version, **params}
        body = urlencode({name: value for name, value in form.items() if value is not None})
        request = AWSRequest("POST", f"http://{HOST}/", data=body)
        signer = key or (self.credentials.access_key_id, self.credentials.secret)
        SigV4Auth(Credentials(*signer), service, region).add_auth(request)
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        return self.gateway.answer(
            Request("POST", "/", "", {**headers, "host": HOST}, body.encode())
        )

    def send(self, request: Request) -> Response:
        return self.gateway.answer(request)


def code(response: Response) -> tuple[str, int]:
    root = ElementTree.fromstring(response.body)
    found = [one for one in root.iter() if one.tag.rpartition("}")[2] == "Code"]
    return (found[0].text or "", response.status) if found else ("", response.status)


def text(response: Response, tag: str) -> str | None:
    root = ElementTree.fromstring(response.body)
    return next((one.text for one in root.iter() if one.tag.rpartition("}")[2] == tag), None)
