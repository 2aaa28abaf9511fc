"""The frame codec: what goes in comes out, and no line on the way can pass for another."""

from __future__ import annotations

import binascii
import gzip
import json
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2gw.winrm import framing

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(
    lambda name: name.lower() == name
)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=30)
messages = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def frame(text: bytes) -> bytes:
    """A frame with a true length and digest around any text."""
    body = binascii.b2a_base64(gzip.compress(text), newline=False)
    return b"\x1e%d %s %s\n" % (len(body), framing.digest(body).encode(), body)


def read(data: bytes) -> list[object]:
    decoder = framing.Decoder()
    found = decoder.feed(data)
    assert not decoder.pending
    return found


@given(messages, st.integers(1, 50))
@settings(max_examples=60)
def test_a_message_comes_back_however_the_stream_is_cut(message: object, size: int) -> None:
    data = framing.encode(message) * 2
    decoder = framing.Decoder()
    found: list[object] = []
    for start in range(0, len(data), size):
        found += decoder.feed(data[start : start + size])
    assert found == [message, message]
    assert all(byte < 128 for byte in data)


@given(messages, st.data())
@settings(max_examples=60)
def test_a_changed_cut_or_spliced_frame_is_told_and_the_next_one_is_read(
    message: object, data: st.DataObject
) -> None:
    whole = framing.encode(message)
    at = data.draw(st.integers(0, len(whole) - 2))
    until = data.draw(st.integers(at + 1, len(whole) - 1))
    damage = data.draw(st.sampled_from([b"", b"A", b"\x1e", b" ", b"=="]))
    changed = whole[:at] + damage + whole[until:]
    if changed.rpartition(b"\x1e")[2] == whole.rpartition(b"\x1e")[2]:
        return  # only what stands before the start was touched: still the same frame
    *bad, last = read(b"\n" + changed + b"\n" + whole)
    assert last == message
    assert all(isinstance(one, framing.BadFrame) for one in bad)
    assert bad or changed.strip(b"\n") == b""


@given(st.binary(max_size=200))
@settings(max_examples=60)
def test_noise_is_never_a_message(noise: bytes) -> None:
    found = read(noise.replace(b"\x1e", b"") + b"\n\n" + framing.encode("after"))
    assert found[-1] == "after"
    assert all(isinstance(one, framing.BadFrame) for one in found[:-1])


def test_noise_before_a_frame_on_its_line_costs_nothing() -> None:
    assert read(b"WARNING: slow \x1e 12 " + framing.encode({"id": 1})) == [{"id": 1}]


def test_a_carriage_return_before_the_line_feed_is_no_part_of_the_frame() -> None:
    assert read(framing.encode(5)[:-1] + b"\r\n") == [5]


def test_an_endless_line_is_told_once_and_takes_no_memory() -> None:
    decoder = framing.Decoder()
    piece = b"x" * 65536
    tracemalloc.start()
    for _ in range(200):
        assert decoder.feed(piece) == []
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * framing.MAX_LINE
    assert decoder.pending
    told = decoder.feed(b"\n" + framing.encode(1))
    assert told == [framing.BadFrame("frame too long"), 1]


def test_a_frame_that_inflates_too_far_is_told_by_its_digest() -> None:
    [bad] = read(frame(b" " * (framing.MAX_TEXT + 1)))
    assert isinstance(bad, framing.BadFrame)
    assert bad.why == "frame inflates too far"
    assert bad.digest is not None
    assert read(frame(b" " * (framing.MAX_TEXT - 1) + b"1")) == [1]


def test_an_agent_reads_no_longer_json_than_windows_powershell_does_and_tells_more() -> None:
    longest = "x" * (framing.MAX_ASK - 2)
    assert framing.Decoder(largest=framing.MAX_ASK).feed(framing.encode(longest)) == [longest]
    told = framing.encode(longest + "x", largest=framing.MAX_TEXT)
    assert read(told) == [longest + "x"]
    [bad] = framing.Decoder(largest=framing.MAX_ASK).feed(told)
    assert isinstance(bad, framing.BadFrame)
    assert bad.digest is not None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"NaN",
        b'{"a": 1, "A": 2}',
        b'{"a": 1, "a": 2}',
        b'{"": 1}',
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_windows_powershell_cannot_read_is_told_by_its_digest(text: bytes) -> None:
    whole = frame(text)
    [bad] = read(whole)
    assert isinstance(bad, framing.BadFrame)
    assert bad.digest == whole.split(b" ")[1].decode()


def test_a_cut_gzip_stream_under_a_true_digest_is_told() -> None:
    body = binascii.b2a_base64(gzip.compress(b'"' + b"ab" * 5000 + b'"')[:-20], newline=False)
    [bad] = read(b"\x1e%d %s %s\n" % (len(body), framing.digest(body).encode(), body))
    assert isinstance(bad, framing.BadFrame)


def test_what_no_frame_can_carry_is_refused_when_it_is_made() -> None:
    with pytest.raises(framing.TooLarge, match="bytes"):
        framing.encode("x" * framing.MAX_ASK)
    with pytest.raises(framing.TooLarge, match="bytes"):
        framing.encode("x" * framing.MAX_TEXT, largest=framing.MAX_TEXT)
    noise = random.Random(1).randbytes(900_000).hex()  # hexadecimal digits halve at best
    with pytest.raises(framing.TooLarge, match="characters"):
        framing.encode(noise)
    with pytest.raises(ValueError, match="Out of range"):
        framing.encode(float("nan"))


def test_the_frame_is_what_the_agent_reads() -> None:
    """Length, digest and body by the letter, as the agent's ConvertFrom-Frame takes them apart."""
    line = framing.encode({"id": 7, "text": "ü\u2028"})
    assert line[:1] == b"\x1e"
    length, told, body = line[1:-1].split(b" ")
    assert int(length) == len(body)
    assert told.decode() == framing.digest(body)
    assert json.loads(gzip.decompress(binascii.a2b_base64(body))) == {"id": 7, "text": "ü\u2028"}
