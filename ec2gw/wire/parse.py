"""Makes a dict in the model's names of a split form, driven by the names that are in it.

Checks what can be told from the model's types; required members, ranges and what belongs together
are checked by others. As lenient as EC2: lists by any numbers or none, one value for a list,
``InstanceId.1`` for one value; what the model does not know is told by name, not refused.

Source: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html#request-serialization
Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#request-serialization
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from ec2gw.wire import values
from ec2gw.wire.model import Operation, Shape
from ec2gw.wire.values import Malformed

__all__ = ["MAX_DEPTH", "Malformed", "parse"]

MAX_DEPTH: Final = 32  # EC2's deepest parameter has eleven levels
MAX_UNKNOWN: Final = 50
_SHOWN: Final = 100  # characters of a client's text that are repeated to it

# Parameters of the protocol itself: about the request, not of the operation.
ABOUT_THE_REQUEST: Final = frozenset(
    {
        "Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion",
        "Timestamp", "Expires", "SecurityToken",
    }
)  # fmt: skip


def parse(
    operation: Operation, form: Sequence[tuple[str, str]]
) -> tuple[dict[str, Any], list[str]]:
    """Read the parameters of an operation; of a name that comes twice the last counts.

    Answers the dict and the names that the model does not know, each once, with N for numbers.
    User data stays the base64 text that it is where the model says string.

    :raises Malformed: ``InvalidParameterValue``, ``MalformedQueryString``
    """
    root = _roots.get(operation) or _compile(operation)
    params: dict[str, Any] = {}
    unknown: dict[str, None] = {}
    lists: Lists = []
    for name, text in form:
        path = name.split(".", MAX_DEPTH)
        if len(path) > MAX_DEPTH:
            raise Malformed.query(f"a parameter has more than {MAX_DEPTH} levels")
        member = root.get(path[0])
        try:
            if member is not None and member[1].put(params, member[0], path, 1, text, lists):
                continue
        except values.Unreadable as unreadable:
            shown = text[:_SHOWN] if unreadable.showable else ""
            raise Malformed(
                "InvalidParameterValue",
                f"Value ({shown}) for parameter {name[:_SHOWN]} is invalid. {unreadable}",
            ) from None
        if len(unknown) < MAX_UNKNOWN and not _is_about_the_request(name):
            general = ".".join("N" if _is_number(part) else part for part in path)
            unknown[general[:_SHOWN]] = None
    # Inner lists were begun after the outer ones that hold them.
    for holder, slot, finish in reversed(lists):
        holder[slot] = finish(holder[slot])
    return params, list(unknown)


Path = list[str]
Holder = dict[Any, Any]
# Where values are gathered by number, and what makes a list or a dict of them.
Lists = list[tuple[Holder, Any, Callable[[dict[int, Any]], object]]]


class _Node(Protocol):
    """A compiled shape: puts the value that the rest of a path means into `holder[slot]`."""

    def put(self, holder: Holder, slot: Any, path: Path, at: int, text: str, lists: Lists) -> bool:
        """Answer False for a path that the model does not know."""


_Members = dict[str, tuple[str, _Node]]


class _Scalar:
    __slots__ = ("read",)

    def __init__(self, read: Callable[[str], object]) -> None:
        self.read = read

    def put(self, holder: Holder, slot: Any, path: Path, at: int, text: str, lists: Lists) -> bool:
        if at == len(path):
            holder[slot] = self.read(text)
            return True
        if at + 1 == len(path) and _is_number(path[at]):
            # Clients of old versions number what is one value today; the first of them counts.
            if slot not in holder:
                holder[slot] = self.read(text)
            return True
        return False


class _Structure:
    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: _Members = {}

    def put(self, holder: Holder, slot: Any, path: Path, at: int, text: str, lists: Lists) -> bool:
        inner = holder.get(slot)
        if inner is None:
            inner = holder[slot] = {}
        if at == len(path):
            if text:
                raise values.Unreadable("Expected a structure.")
            return True
        member = self.members.get(path[at])
        return member is not None and member[1].put(inner, member[0], path, at + 1, text, lists)


_UNNUMBERED: Final = -1_000_000  # before all numbers, in the order of arrival


class _List:
    __slots__ = ("item", "marker")

    def __init__(self, marker: str | None) -> None:
        self.item: _Node
        self.marker = marker
        """Protocol `query`: what may stand before the number."""

    def put(self, holder: Holder, slot: Any, path: Path, at: int, text: str, lists: Lists) -> bool:
        items = holder.get(slot)
        if items is None:
            items = holder[slot] = {}
            lists.append((holder, slot, _in_order))
        if at < len(path) and path[at] == self.marker:
            at += 1
        if at == len(path):
            if self.marker is not None and not text:
                return True  # how `query` says: an empty list
            return self.item.put(items, _UNNUMBERED + len(items), path, at, text, lists)
        part = path[at]
        if _is_number(part):
            return self.item.put(items, int(part), path, at + 1, text, lists)
        if isinstance(self.item, _Structure) and part in self.item.members:
            return self.item.put(items, _UNNUMBERED, path, at, text, lists)
        raise Malformed.query(f"{'.'.join(path)[:_SHOWN]} has no number in its list")


class _Map:
    __slots__ = ("key", "key_name", "value", "value_name")

    def __init__(self, key_name: str, value_name: str) -> None:
        self.key: _Node
        self.value: _Node
        self.key_name = key_name
        self.value_name = value_name

    def put(self, holder: Holder, slot: Any, path: Path, at: int, text: str, lists: Lists) -> bool:
        entries = holder.get(slot)
        if entries is None:
            entries = holder[slot] = {}
            lists.append((holder, slot, _by_key))
        if at < len(path) and path[at] == "entry":
            at += 1
        if at == len(path):
            if text:
                raise values.Unreadable("Expected a map.")
            return True
        if at + 1 == len(path) or not _is_number(path[at]):
            raise Malformed.query(f"{'.'.join(path)[:_SHOWN]} has no number in its map")
        entry = entries.setdefault(int(path[at]), {})
        if path[at + 1] == self.key_name:
            return self.key.put(entry, "key", path, at + 2, text, lists)
        if path[at + 1] == self.value_name:
            return self.value.put(entry, "value", path, at + 2, text, lists)
        return False


def _is_about_the_request(name: str) -> bool:
    return name in ABOUT_THE_REQUEST or name.startswith("X-Amz-")


def _is_number(part: str) -> bool:
    return part.isdecimal() and part.isascii() and len(part) <= 9


def _in_order(items: dict[int, Any]) -> list[Any]:
    return [items[number] for number in sorted(items)]


def _by_key(entries: dict[int, Any]) -> dict[str, Any]:
    ordered = (entries[number] for number in sorted(entries))
    return {
        entry["key"]: entry["value"] for entry in ordered if "key" in entry and "value" in entry
    }


_roots: Final[dict[Operation, _Members]] = {}
_nodes: Final[dict[Shape, _Node]] = {}
_compiling: Final = threading.Lock()


def _compile(operation: Operation) -> _Members:
    """Compile an operation's input, once; a root is seen only when all below it is filled."""
    members: _Members = {}
    if operation.input is not None:
        with _compiling:
            node = _node(operation.input, operation.protocol)
        assert isinstance(node, _Structure)
        members = node.members
    _roots[operation] = members
    return members


def _node(shape: Shape, protocol: str) -> _Node:
    known = _nodes.get(shape)
    if known is not None:
        return known
    if shape.kind == "structure":
        structure = _nodes[shape] = _Structure()
        for member in shape.members:
            structure.members[member.asked] = (member.name, _node(member.shape, protocol))
        return structure
    if shape.item is not None:
        listed = _nodes[shape] = _List(None if protocol == "ec2" else shape.item.told)
        listed.item = _node(shape.item.shape, protocol)
        return listed
    if shape.key is not None and shape.value is not None:
        mapped = _nodes[shape] = _Map(shape.key.asked, shape.value.asked)
        mapped.key = _node(shape.key.shape, protocol)
        mapped.value = _node(shape.value.shape, protocol)
        return mapped
    scalar = _nodes[shape] = _Scalar(values.READ[shape.kind])
    return scalar
