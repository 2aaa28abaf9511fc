"""What the door accepts as a request, and that nothing in it can do harm."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2gw.lab.door import envelope, sealing, soapfault

SOAP = f'xmlns:s="{envelope.SOAP}"'
BOMB = "<!DOCTYPE b [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>"


def fault_of(xml: bytes) -> int:
    with pytest.raises(soapfault.Fault) as caught:
        envelope.read(xml)
    return caught.value.code


@pytest.mark.parametrize(
    "xml",
    [
        f"{BOMB}<s:Envelope {SOAP}><s:Body>&b;</s:Body></s:Envelope>".encode(),
        b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>",
        f'<?xml version="1.0" encoding="utf-16"?>{BOMB}<x/>'.encode("utf-16"),
        f"<s:Envelope {SOAP}><s:Body>\xff</s:Body></s:Envelope>".encode("latin-1"),
        f"<s:Envelope {SOAP}><s:Body>&b;</s:Body></s:Envelope>".encode(),
        b"<s:Envelope><s:Body/></s:Envelope>",
        b"",
        b"not xml",
        f"<s:Envelope {SOAP}><s:Body></s:Envelope>".encode(),
        b"<a>" * 10_000 + b"</a>" * 10_000,
        f"<s:Envelope {SOAP}><s:Body>{'<a/>' * 5000}</s:Body></s:Envelope>".encode(),
    ],
    ids=[
        "entities",
        "external DTD",
        "UTF-16 with a DTD",
        "not UTF-8",
        "undefined entity",
        "undeclared prefix",
        "empty",
        "text",
        "cut",
        "too deep",
        "too many elements",
    ],
)
def test_xml_that_is_no_plain_envelope_is_refused(xml: bytes) -> None:
    assert fault_of(xml) == 2150858819


@pytest.mark.parametrize("xml", [b"<x/>", f"<s:Envelope {SOAP}><s:Header/></s:Envelope>".encode()])
def test_xml_that_is_no_soap_message_is_refused(xml: bytes) -> None:
    assert fault_of(xml) == 2150858817


def test_identify_needs_no_addressing() -> None:
    body = f'<i:Identify xmlns:i="{envelope.IDENTITY}"/>'
    xml = f"<s:Envelope {SOAP}><s:Body>{body}</s:Body></s:Envelope>"
    assert envelope.read(xml.encode()).kind == "Identify"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT20S", 20.0),
        ("PT0.5S", 0.5),
        ("P0DT0H1M0.250S", 60.25),
        ("P1D", 86400.0),
        ("PT-1S", None),
        ("-PT1S", None),
        ("PT", None),
        ("P", None),
        ("20", None),
        ("PT1E9S", None),
        ("PT٣S", None),
        ("PT9999999999999999999999S", None),
    ],
)
def test_durations_are_read_as_xml_schema_writes_them(text: str, seconds: float | None) -> None:
    assert envelope.duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("told", "taken"), [("500000", 500000), ("1", 8192), ("-5", 153600), ("x", 153600)]
)
def test_an_envelope_size_that_makes_no_sense_is_not_taken(told: str, taken: int) -> None:
    header = f'<w:MaxEnvelopeSize xmlns:w="{envelope.WSMAN}">{told}</w:MaxEnvelopeSize>'
    xml = f"<s:Envelope {SOAP}><s:Header>{header}</s:Header><s:Body/></s:Envelope>"
    assert envelope.read(xml.encode()).max_envelope_bytes == taken


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_as_xml(xml: bytes) -> None:
    with pytest.raises(soapfault.Fault):
        envelope.read(xml)


@settings(max_examples=60, deadline=None)
@given(message=st.binary(min_size=1, max_size=200), signature=st.binary(min_size=1, max_size=64))
def test_what_was_sealed_is_opened_whatever_bytes_it_holds(
    message: bytes, signature: bytes
) -> None:
    body = sealing.seal(message, lambda plain: (signature, plain[::-1]))

    def unwrap(head: bytes, data: bytes) -> bytes:
        assert head == signature
        return data[::-1]

    assert sealing.unseal(body, unwrap) == message


def test_a_sealed_body_that_was_changed_in_form_or_length_is_refused() -> None:
    body = sealing.seal(b"message", lambda plain: (b"0123456789abcdef", plain))
    for broken in (
        b"",
        body[:-1],
        body[1:],
        body.replace(b"Length=7", b"Length=8"),
        body.replace(b"\x10\x00\x00\x00", b"\xff\xff\xff\x7f"),
        body.replace(b"\x10\x00\x00\x00", b"\x00\x00\x00\x00"),
        body[: body.index(b"octet-stream") + 14] + b"\x10\x00--Encrypted Boundary--\r\n",
    ):
        with pytest.raises(sealing.Broken):
            sealing.unseal(broken, lambda head, data: data)
