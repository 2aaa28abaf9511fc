"""Reads a request of WS-Management: one SOAP envelope in, one `Request` out.

Holds no service: which actions exist and what they do is `service`'s. Whatever arrives is bounded
in depth and number of elements, and a document type is refused, so no entity is ever expanded.

Source: MS-WSMV 2.2.4 and 3.1.4.1; DSP0226 (WS-Management); XML 1.0, section 2.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ec2gw.lab.door import soapfault

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"

NAMES = {"s": SOAP, "a": ADDRESSING, "w": WSMAN, "rsp": SHELL, "wsmid": IDENTITY}
"""Prefixes for `Element.find`."""

KINDS = {
    f"{TRANSFER}/Create": "Create",
    f"{TRANSFER}/Delete": "Delete",
    f"{SHELL}/Command": "Command",
    f"{SHELL}/Send": "Send",
    f"{SHELL}/Receive": "Receive",
    f"{SHELL}/Signal": "Signal",
}

_MAX_DEPTH = 32
_MAX_ELEMENTS = 4096
_DEFAULT_ENVELOPE_BYTES = 153600
_MIN_ENVELOPE_BYTES = 8192  # DSP0226 R13.1-2: no client may ask for less
_DURATION = re.compile(
    r"P(?:([0-9]{1,6})D)?"
    r"(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)S)?)?"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One message as it was sent; nothing of it is checked but its XML."""

    action: str
    message_id: str = ""
    resource_uri: str = ""
    operation_timeout: str = ""
    max_envelope_bytes: int = _DEFAULT_ENVELOPE_BYTES
    selectors: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    body: Element | None = None

    @property
    def kind(self) -> str:
        """The short name: `Create`, `Receive`, `Identify` ..., or `Unknown`."""
        if not self.action and self.body is not None and self.body.tag == f"{{{IDENTITY}}}Identify":
            return "Identify"
        return KINDS.get(self.action, "Unknown")

    def option(self, name: str) -> bool:
        return self.options.get(name, "").casefold() in ("true", "1")


def read(xml: bytes) -> Request:
    """Read one envelope.

    :raises Fault: the XML is not well-formed, not UTF-8, has a DTD, or is no SOAP envelope
    """
    root = _parse(xml)
    header, body = root.find("s:Header", NAMES), root.find("s:Body", NAMES)
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        raise soapfault.schema_violated()
    content = body[0] if len(body) else None
    if header is None:
        return Request(action="", body=content)
    return Request(
        action=_text(header, "a:Action"),
        message_id=_text(header, "a:MessageID"),
        resource_uri=_text(header, "w:ResourceURI"),
        operation_timeout=_text(header, "w:OperationTimeout"),
        max_envelope_bytes=_envelope_bytes(_text(header, "w:MaxEnvelopeSize")),
        selectors=_named(header, "w:SelectorSet/w:Selector"),
        options=_named(header, "w:OptionSet/w:Option"),
        body=content,
    )


def duration_seconds(text: str) -> float | None:
    """Read an xs:duration of days and less, or nothing if it is none (or negative).

    >>> duration_seconds("PT1M0.5S"), duration_seconds("P0DT20S"), duration_seconds("PT-1S")
    (60.5, 20.0, None)
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _parse(xml: bytes) -> Element:
    builder = TreeBuilder()
    depth = elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > _MAX_DEPTH or elements > _MAX_ELEMENTS:
            raise soapfault.xml_invalid()
        builder.start(_name(name), {_name(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_name(name))

    def doctype(*_: object) -> None:
        raise soapfault.xml_invalid()

    # The encoding is given and not read from the document: nothing hides a DTD in another one.
    parser = expat.ParserCreate("utf-8", "}")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(xml, True)
    except expat.ExpatError:
        raise soapfault.xml_invalid() from None
    return builder.close()


def _name(name: str) -> str:
    return "{" + name if "}" in name else name


def _text(parent: Element, path: str) -> str:
    return (parent.findtext(path, "", NAMES) or "").strip()


def _named(header: Element, path: str) -> dict[str, str]:
    return {item.get("Name", ""): item.text or "" for item in header.iterfind(path, NAMES)}


def _envelope_bytes(text: str) -> int:
    if re.fullmatch("[0-9]{1,9}", text) is None:
        return _DEFAULT_ENVELOPE_BYTES
    return max(_MIN_ENVELOPE_BYTES, int(text))
