"""Makes the document of an answer or an error from a dict in the model's names.

Shapes are compiled to closures on first use. Within a structure, single values come before
structures, and these before lists, each in the model's order: readers of Amazon's own order
depend on that much. A member the shape lacks, or a value of another type, is our own fault and is
raised as `Misfit`.

Source: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html#response-serialization
Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#response-serialization
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ec2gw.wire import fragments, model, values
from ec2gw.wire.model import Member, Operation, Shape
from translators import views

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_VERSION: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Error documents must not need a model: a service that cannot be read still has to say so.
_ERROR_NAMESPACES: Final = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
}


class Misfit(Exception):
    """A result that its shape has no place for. Says where, never the value."""


def success(
    operation: Operation,
    result: Mapping[str, object],
    request_id: str,
    version: str,
    cache: fragments.Cache | None = None,
) -> bytes:
    """Render the answer of an operation to a request of API version `version`.

    Lists at the top that the result lacks are shown empty, `Return` as true. Without a `cache`
    every row of a `views.Fragments` is loaded and rendered.

    :raises Misfit:
    """
    root = _roots.get(operation) or _compile(operation)
    if not _VERSION.fullmatch(version):
        version = operation.api_version
    namespace = operation.namespace(version)
    sheet = _Sheet()
    name = f"{operation.name}Response"
    sheet.append(f"{_DECLARATION}<{name}")
    sheet.append(f' xmlns="{values.write_string(namespace)}">' if namespace else ">")
    shown_id = values.write_string(request_id)
    if operation.protocol == "ec2":
        sheet.append(f"<requestId>{shown_id}</requestId>")
        if root.says_true:
            sheet.append("<return>true</return>")
    if operation.result_wrapper:
        sheet.append(f"<{operation.result_wrapper}>")
    if root.write is not None:
        given = {member: value for member, value in result.items() if value is not None}
        root.write(sheet, {**root.always, **given})
    elif result:
        raise Misfit(f"{operation.name} has no result, but got {min(result)}")
    if operation.result_wrapper:
        sheet.append(f"</{operation.result_wrapper}>")
    if operation.protocol != "ec2":
        sheet.append(f"<ResponseMetadata><RequestId>{shown_id}</RequestId></ResponseMetadata>")
    sheet.append(f"</{name}>")
    return _finish([sheet], cache)[0]


def error(service: str, code: str, message: str, request_id: str, status: int) -> bytes:
    """Render an error in the protocol of a service; one that is not known is taken for `query`."""
    code, message, request_id = map(values.write_string, (code, message, request_id))
    fault = f"<Code>{code}</Code><Message>{message}</Message>"
    if service == "ec2":
        body = (
            f"<Response><Errors><Error>{fault}</Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    else:
        namespace = _ERROR_NAMESPACES.get(service)
        head = f'<ErrorResponse xmlns="{namespace}">' if namespace else "<ErrorResponse>"
        blamed = "Sender" if status < 500 else "Receiver"
        body = (
            f"{head}<Error><Type>{blamed}</Type>{fault}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return (_DECLARATION + body).encode()


class _Sheet(list[str]):
    """The text of a document, with the places where fragments are to be put between."""

    __slots__ = ("holes",)

    def __init__(self) -> None:
        super().__init__()
        self.holes: list[tuple[int, views.Fragments, _Put]] = []


_Put = Callable[[_Sheet, Any], None]


def _finish(sheets: Sequence[_Sheet], cache: fragments.Cache | None) -> list[bytes]:
    """Fill the holes of all sheets together, then join each."""
    filled = iter(_fill([hole for sheet in sheets for hole in sheet.holes], cache))
    documents = []
    for sheet in sheets:
        pieces: list[bytes] = []
        start = 0
        for end, _, _ in sheet.holes:
            pieces.append("".join(sheet[start:end]).encode())
            pieces.extend(next(filled))
            start = end
        pieces.append("".join(sheet[start:]).encode())
        documents.append(b"".join(pieces) if len(pieces) > 1 else pieces[0])
    return documents


def _fill(
    holes: Sequence[tuple[int, views.Fragments, _Put]], cache: fragments.Cache | None
) -> list[list[bytes]]:
    """Look up the rows of all holes; load those missing by one call of each loader."""
    filled: list[list[Any]] = []
    missing: dict[tuple[views.Load, str, _Put], list[tuple[list[Any], int, int, int]]] = {}
    for _, listed, put in holes:
        if cache is None:
            found: list[Any] = [None] * len(listed.pairs)
        else:
            found = list(cache.get(put, listed.kind, listed.pairs))
        filled.append(found)
        if None in found:
            wanted = missing.setdefault((listed.load, listed.kind, put), [])
            wanted.extend(
                (found, place, *listed.pairs[place])
                for place, piece in enumerate(found)
                if piece is None
            )
    for (load, kind, put), wanted in missing.items():
        rows = load(list(dict.fromkeys(key for _, _, key, _ in wanted)))
        sheets: dict[int, _Sheet] = {}
        for _, _, key, _ in wanted:
            if key not in sheets:
                if key not in rows:
                    raise Misfit(f"{kind} {key} was listed, but is not there to be shown")
                sheets[key] = _Sheet()
                put(sheets[key], rows[key])
        pieces = dict(zip(sheets, _finish(list(sheets.values()), cache), strict=True))
        for found, place, key, _ in wanted:
            found[place] = pieces[key]
        if cache is not None:
            cache.put(put, kind, ((key, version, pieces[key]) for _, _, key, version in wanted))
    return filled


class _Root:
    """A compiled operation: what writes its result, and what is in it whatever the result says."""

    __slots__ = ("always", "says_true", "write")

    def __init__(self, operation: Operation) -> None:
        self.write: _Put | None = None
        self.always: dict[str, object] = {}
        shape = operation.output
        members = shape.members if shape else ()
        self.says_true = not members or operation.name in model.RETURN_TRUE_TOO
        if shape is None:
            return
        self.write = _content(shape)
        for member in members:
            if member.told == "return" and member.shape.kind == "boolean":
                self.always[member.name] = True
            # What describes one attribute must not speak of the others.
            if member.shape.kind == "list" and not operation.name.endswith("Attribute"):
                self.always[member.name] = ()


_roots: Final[dict[Operation, _Root]] = {}
_contents: Final[dict[Shape, _Put]] = {}
_items: Final[dict[Member, _Put]] = {}
_compiling: Final = threading.Lock()


def _compile(operation: Operation) -> _Root:
    with _compiling:
        root = _roots[operation] = _Root(operation)
    return root


_Text = tuple[str, str, values.Write, str]  # member, opening tag, writer, closing tag


def _content(shape: Shape) -> _Put:
    """Make the writer of a structure's members, without the element around them."""
    known = _contents.get(shape)
    if known is not None:
        return known
    names = frozenset(member.name for member in shape.members)
    texts: list[_Text] = []
    nested: list[tuple[str, _Put]] = []

    def write(sheet: _Sheet, value: Any) -> None:
        get = value.get
        add = sheet.append
        shown = 0
        name = ""
        item: object = value
        try:
            for name, opening, text, closing in texts:
                item = get(name)
                if item is not None:
                    shown += 1
                    add(opening + text(item) + closing)
        except TypeError:
            raise Misfit(f"{shape.name}.{name} is {type(item).__name__}") from None
        for name, put in nested:
            item = get(name)
            if item is not None:
                shown += 1
                put(sheet, item)
        if shown != len(value) and not names.issuperset(value):
            raise Misfit(f"{shape.name} has no {min(set(value) - names)}")

    # Known before it is complete, since a shape may hold itself.
    _contents[shape] = write
    for member in sorted(shape.members, key=_rank):
        if member.shape.kind in model.NESTED:
            nested.append((member.name, _nested(member)))
        else:
            texts.append((member.name, f"<{member.told}>", _text(member), f"</{member.told}>"))
    return write


def _rank(member: Member) -> int:
    return {"structure": 1, "map": 2, "list": 2}.get(member.shape.kind, 0)


def _text(member: Member) -> values.Write:
    if member.shape.kind == "timestamp":
        return values.WRITE_TIME[member.timestamp_format]
    return values.WRITE[member.shape.kind]


def _nested(member: Member) -> _Put:
    if member.shape.kind == "structure":
        return _structure(member, optional=True)
    if member.shape.kind == "map":
        return _map(member)
    return _list(member)


def _element(member: Member) -> _Put:
    """Make the writer of one element that has to be there: a list's item, a map's value."""
    if member.shape.kind == "structure":
        return _structure(member, optional=False)
    if member.shape.kind in model.NESTED:
        return _nested(member)
    opening, text, closing = f"<{member.told}>", _text(member), f"</{member.told}>"
    kind = member.shape.kind

    def write(sheet: _Sheet, value: Any) -> None:
        try:
            sheet.append(opening + text(value) + closing)
        except TypeError:
            raise Misfit(f"{member.told} of {kind} is {type(value).__name__}") from None

    return write


def _structure(member: Member, *, optional: bool) -> _Put:
    opening, closing = f"<{member.told}>", f"</{member.told}>"
    content = _content(member.shape)
    name = member.shape.name
    optional = optional and name not in model.EMPTY_TOO

    def write(sheet: _Sheet, value: Any) -> None:
        # The exact type first: a check against an abstract class costs as much as three members.
        if type(value) is not dict and not isinstance(value, Mapping):
            raise Misfit(f"{name} is {type(value).__name__}")
        sheet.append(opening)
        length = len(sheet)
        content(sheet, value)
        if optional and len(sheet) == length:
            sheet.pop()  # clients take an empty structure for one that is set
        else:
            sheet.append(closing)

    return write


def _list(member: Member) -> _Put:
    item = member.shape.item
    assert item is not None
    opening, closing = f"<{member.told}>", f"</{member.told}>"
    if member.flattened:
        opening = closing = ""
        item = Member(item.name, item.shape, "", member.told, False, item.timestamp_format)
    put = _items.get(item)
    if put is None:
        put = _items[item] = _element(item)
    name = member.shape.name

    def write(sheet: _Sheet, value: Any) -> None:
        sheet.append(opening)
        if isinstance(value, views.Fragments):
            sheet.holes.append((len(sheet), value, put))
        elif type(value) is not list and isinstance(value, (str, bytes, Mapping)):
            raise Misfit(f"{name} is {type(value).__name__}")
        else:
            for element in value:
                put(sheet, element)
        sheet.append(closing)

    return write


def _map(member: Member) -> _Put:
    key, entry = member.shape.key, member.shape.value
    assert key is not None
    assert entry is not None
    opening, closing = (f"<{member.told}>", f"</{member.told}>")
    before, after = ("<entry>", "</entry>")
    if member.flattened:
        before, after = opening, closing
        opening = closing = ""
    put_key, put_value = _element(key), _element(entry)
    name = member.shape.name

    def write(sheet: _Sheet, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise Misfit(f"{name} is {type(value).__name__}")
        sheet.append(opening)
        for word, meaning in value.items():
            sheet.append(before)
            put_key(sheet, word)
            put_value(sheet, meaning)
            sheet.append(after)
        sheet.append(closing)

    return write
