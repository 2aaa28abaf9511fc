"""The disc that a guest reads at its first boot: an ISO 9660 image with Linux's and Windows' names.

Real names are Rock Ridge's (Linux) and Joliet's (Windows); those of ISO 9660 are made to fit.
The same facts give the same bytes, whenever and wherever: a disc whose writing broke off is told
from another, and its digest is known before it is there.

Source: ECMA-119 (ISO 9660), 8.4, 8.5, 9.1; IEEE P1281 (SUSP), IEEE P1282 (Rock Ridge), 4.1.6 "TF";
docs/guests.md, "Seed".
"""

from __future__ import annotations

import dataclasses
import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import pycdlib

from translators.guests import configdrive, nocloud, passwords, policy
from translators.guests.facts import Facts
from translators.settings import Settings

_SECTOR: Final = 2048
_VOLUME_DATE: Final = b"2026010100000000\x00"
_RECORD_DATE: Final = bytes([2026 - 1900, 1, 1, 0, 0, 0, 0])


@dataclass(frozen=True, slots=True)
class Disc:
    """An ISO 9660 image; it may hold secrets."""

    content: bytes = field(repr=False)
    has_password: bool


def make(facts: Facts, settings: Settings) -> Disc | None:
    """Make the guest's disc; None: it is to have none."""
    return _made(facts, settings, passwords.on_disc(facts, settings))


def bare(facts: Facts, settings: Settings) -> Disc | None:
    """Make what takes the place of an ejected disc; None: nothing does.

    It holds no user data and no password: what a guest needs at every boot to know itself and its
    addresses. For the instance's id is the same, nothing is run again.
    """
    if not facts.guest.bare_seed:
        return None
    return _made(dataclasses.replace(facts, user_data=None), settings, None)


def _made(facts: Facts, settings: Settings, password: str | None) -> Disc | None:
    form = policy.datasource(facts.guest, facts.platform)
    if form is None:
        return None
    if form == "nocloud":
        return Disc(image(nocloud.LABEL, nocloud.files(facts, settings)), has_password=False)
    content = image(configdrive.LABEL, configdrive.files(facts, settings, password))
    return Disc(content, has_password=password is not None)


def image(label: str, files: Mapping[str, bytes]) -> bytes:
    """Put files, by their paths, into an ISO 9660 image."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=1, joliet=3, rock_ridge="1.09", vol_ident=label)
    folders = {"": ""}  # real paths, and those of ISO 9660
    taken: set[str] = set()
    for path, content in files.items():
        parent = ""
        *parts, name = path.split("/")
        for part in parts:
            folder = f"{parent}/{part}"
            if folder not in folders:
                folders[folder] = _fitting(folders[parent], part, taken)
                iso.add_directory(folders[folder], rr_name=part, joliet_path=folder)
            parent = folder
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            f"{_fitting(folders[parent], name, taken, dot='.')};1",
            rr_name=name,
            joliet_path=f"{parent}/{name}",
        )
    written = io.BytesIO()
    iso.write_fp(written)
    iso.close()
    return _undated(bytearray(written.getvalue()))


def _fitting(parent: str, name: str, taken: set[str], dot: str = "") -> str:
    """Answer a path of ISO 9660, level 1: eight characters and three, of few kinds; used once."""
    stem, _, extension = name.upper().partition(".")
    stem, extension = (re.sub(r"[^A-Z0-9]", "_", text) for text in (stem, extension))
    for number in range(1000):
        tail = str(number or "")
        path = f"{parent}/{stem[: 8 - len(tail)]}{tail}{dot}{extension[:3] if dot else ''}"
        if path not in taken:
            taken.add(path)
            return path
    raise ValueError(f"a thousand names begin like {name!r}")


# -- dates: the library writes the present, in local time, wherever there is one


def _undated(content: bytearray) -> bytes:
    for sector in range(16, len(content) // _SECTOR):
        start = sector * _SECTOR
        kind = content[start]
        if kind == 255:  # the last volume descriptor
            break
        if kind in (1, 2):
            for date in (813, 830, 864):  # made, changed, valid from
                content[start + date : start + date + 17] = _VOLUME_DATE
            root = start + 156
            content[root + 18 : root + 25] = _RECORD_DATE
            _undate_folder(content, root)
    return bytes(content)


def _undate_folder(content: bytearray, folder: int) -> None:
    """Change the dates of all that the folder holds whose directory record lies at this place."""
    for record in _records(content, folder):
        content[record + 18 : record + 25] = _RECORD_DATE
        length, name_length = content[record], content[record + 32]
        name = bytes(content[record + 33 : record + 33 + name_length])
        _undate_extras(content, record + 33 + name_length + 1 - name_length % 2, record + length)
        is_folder = content[record + 25] & 2
        if is_folder and name not in (b"\0", b"\1"):  # itself, and the one above
            _undate_folder(content, record)


def _records(content: bytearray, folder: int) -> Iterator[int]:
    (sector,) = struct.unpack_from("<I", content, folder + 2)
    (size,) = struct.unpack_from("<I", content, folder + 10)
    place = sector * _SECTOR
    end = place + size
    while place < end:
        if length := content[place]:
            yield place
            place += length
        else:  # no record goes over the end of a sector
            place += _SECTOR - place % _SECTOR


def _undate_extras(content: bytearray, place: int, end: int) -> None:
    """Change the dates in Rock Ridge's entries between these places, and in what continues them."""
    while place + 4 <= end and (length := content[place + 2]):
        kind = bytes(content[place : place + 2])
        if kind == b"TF":
            stamps = content[place + 4].bit_count()
            content[place + 5 : place + 5 + 7 * stamps] = _RECORD_DATE * stamps
        elif kind == b"CE":
            sector, offset, size = (
                struct.unpack_from("<I", content, place + at)[0] for at in (4, 12, 20)
            )
            beyond = sector * _SECTOR + offset
            _undate_extras(content, beyond, beyond + size)
        place += length
