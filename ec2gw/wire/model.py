"""Operations and shapes of a service, resolved on first use from the model in botocore's data.

Knows names, not values: `parse` and `render` compile what is here. The file is read directly, not
through botocore's loader: that takes three times as long, imports botocore, and would let a model
in somebody's home directory change the service.

Source: https://github.com/boto/botocore/blob/develop/botocore/loaders.py (layout of the data)
Source: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html (names on the wire)
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import pathlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

SERVICES: Final = ("ec2", "sts", "iam")

# Where the model differs from what Amazon's servers say.
# `UserData` needs no line here, though the model calls it a string and base64 travels: SDKs encode
# it before they serialise, so the string *is* the base64 text, and that is what an action sees. In
# ModifyInstanceAttribute it is a blob, and arrives decoded.
#
# The API reference shows <return>true</return> in these beside a result; the model has the result
# alone. Clients older than the model read its absence as a failure.
RETURN_TRUE_TOO: Final = frozenset(
    {"AssignPrivateIpAddresses", "AssociateAddress", "CreatePlacementGroup", "CreateSecurityGroup"}
)
# An attribute without a value is told as an empty element: readers look for its value in it.
EMPTY_TOO: Final = frozenset({"AttributeValue"})
# Lists whose items have no name in the model, yet travel as all others do.
ITEM_NAMES: Final = {"InferenceDeviceInfoList": "item"}

Kind = Literal[
    "structure", "list", "map", "string", "integer", "long", "float", "double", "boolean", "blob",
    "timestamp",
]  # fmt: skip
NESTED: Final = frozenset({"structure", "list", "map"})


@dataclass(slots=True, eq=False)
class Shape:
    """What a value looks like. Filled after it is made, since shapes may hold themselves."""

    name: str
    kind: Kind
    members: tuple[Member, ...] = ()
    required: tuple[str, ...] = ()
    item: Member | None = None
    key: Member | None = None
    value: Member | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A shape in a place: a member of a structure, the item of a list, a map's key or value."""

    name: str
    shape: Shape
    asked: str
    """Its name in requests."""
    told: str
    """Its element in answers."""
    flattened: bool
    timestamp_format: str | None


class Operation:
    """One action of a service. Its shapes are resolved when they are first asked for."""

    def __init__(self, service: Service, description: Mapping[str, Any]) -> None:
        self.name: Final[str] = description["name"]
        self.service: Final = service.name
        self.protocol: Final = service.protocol
        self.api_version: Final = service.api_version
        self._service = service
        self._description = description

    def __repr__(self) -> str:
        return f"<Operation {self.service}.{self.name}>"

    @cached_property
    def input(self) -> Shape | None:
        return self._shape("input")

    @cached_property
    def output(self) -> Shape | None:
        return self._shape("output")

    def _shape(self, side: str) -> Shape | None:
        reference = self._description.get(side)
        return self._service.shape(reference["shape"]) if reference else None

    @cached_property
    def result_wrapper(self) -> str | None:
        """The element around the members of an answer; protocol `query` only."""
        if self.protocol == "ec2" or "output" not in self._description:
            return None
        wrapper: str = self._description["output"].get("resultWrapper", f"{self.name}Result")
        return wrapper

    @cached_property
    def required(self) -> tuple[str, ...]:
        return self.input.required if self.input else ()

    @cached_property
    def asked_names(self) -> Mapping[str, str]:
        """Member name -> its name in requests, for errors that name a parameter."""
        return {member.name: member.asked for member in self.input.members} if self.input else {}

    @cached_property
    def has_dry_run(self) -> bool:
        return "DryRun" in self.asked_names

    @cached_property
    def client_token(self) -> str | None:
        """The member that makes a repeated request harmless.

        Taken by its name, since the model marks only those that a client should invent.
        """
        return "ClientToken" if "ClientToken" in self.asked_names else None

    def namespace(self, version: str) -> str:
        """The namespace of answers to a request of `version`; empty if the model has none."""
        namespace = self._service.namespace.replace(self.api_version, version)
        if self.protocol == "ec2" and namespace and not namespace.endswith("/"):
            namespace += "/"  # the model leaves it out, Amazon's servers never do
        return namespace


class Service:
    """All operations of one description, such as botocore keeps in ``service-2.json``."""

    def __init__(self, name: str, description: Mapping[str, Any]) -> None:
        metadata = description["metadata"]
        self.name: Final = name
        self.protocol: Final[str] = metadata["protocol"]
        self.api_version: Final[str] = metadata["apiVersion"]
        self.namespace: Final[str] = metadata.get("xmlNamespace", "")
        self._operations: Final[Mapping[str, Any]] = description.get("operations", {})
        self._described: Final[Mapping[str, Any]] = description["shapes"]
        self._shapes: Final[dict[str, Shape]] = {}
        self._made: Final[dict[str, Operation]] = {}
        self._lock: Final = threading.Lock()

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(self._operations)

    def operation(self, action: str) -> Operation | None:
        made = self._made.get(action)
        if made is None and action in self._operations:
            made = self._made.setdefault(action, Operation(self, self._operations[action]))
        return made

    def shape(self, name: str) -> Shape:
        # Half-filled shapes of another thread must not be seen, hence one lock around a tree.
        with self._lock:
            return self._resolve(name)

    def _resolve(self, name: str) -> Shape:
        known = self._shapes.get(name)
        if known is not None:
            return known
        described = self._described[name]
        kind = described["type"]
        shape = self._shapes[name] = Shape(name, "string" if kind == "character" else kind)
        if kind == "structure":
            shape.required = tuple(described.get("required", ()))
            shape.members = tuple(
                self._member(member, reference)
                for member, reference in described["members"].items()
            )
        elif kind == "list":
            fallback = ITEM_NAMES.get(name, "member")
            shape.item = self._member(fallback, described["member"])
        elif kind == "map":
            shape.key = self._member("key", described["key"])
            shape.value = self._member("value", described["value"])
        return shape

    def _member(self, name: str, reference: Mapping[str, Any]) -> Member:
        described = self._described[reference["shape"]]
        shape = self._resolve(reference["shape"])
        # What the reference says comes before what the shape says of itself.
        location: str | None = reference.get("locationName", described.get("locationName"))
        flattened: bool = reference.get("flattened", described.get("flattened", False))
        if self.protocol == "ec2":
            bare = location or name
            asked = reference.get("queryName", bare[0].upper() + bare[1:])
        else:
            asked = location or name
        return Member(
            name=name,
            shape=shape,
            asked=asked,
            told=location or name,
            flattened=flattened,
            timestamp_format=reference.get("timestampFormat", described.get("timestampFormat")),
        )


_services: Final[dict[str, Service]] = {}
_loading: Final = threading.Lock()


def service(name: str) -> Service | None:
    """The newest model of a service that is spoken here, read on first use."""
    if name not in SERVICES:
        return None
    known = _services.get(name)
    if known is None:
        with _loading:
            known = _services.get(name)
            if known is None:
                known = _services[name] = Service(name, read(name))
    return known


def operation(service_name: str, action: str) -> Operation | None:
    """The operation of that name, or None if the service has none."""
    known = service(service_name)
    return known.operation(action) if known else None


def read(name: str) -> Mapping[str, Any]:
    """Read the newest description of a service, without its prose."""
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("botocore is not installed; its data is the model of the API")
    folder = pathlib.Path(spec.submodule_search_locations[0]) / "data" / name
    newest = max(folder.iterdir(), key=lambda version: version.name)
    packed = newest / "service-2.json.gz"
    if packed.exists():
        text = gzip.decompress(packed.read_bytes())
    else:
        text = (newest / "service-2.json").read_bytes()
    description: dict[str, Any] = json.loads(text)
    _forget_documentation(description)
    return description


def _forget_documentation(description: dict[str, Any]) -> None:
    """Drop the prose, which is most of the model's memory."""
    for described in description["operations"].values():
        described.pop("documentation", None)
    for described in description["shapes"].values():
        described.pop("documentation", None)
        for reference in described.get("members", {}).values():
            reference.pop("documentation", None)
