"""A virtual disk below a host's root: what the host says of it; nothing here changes one.

Source: Get-VHD, and the class VirtualHardDisk that it answers with.
"""

from __future__ import annotations

from dataclasses import dataclass

from translators.hyperv.host import Answer, Call, Path, Plan


@dataclass(frozen=True, slots=True)
class Disk:
    """The header of a disk; `identifier` stays the same in every copy of its file."""

    format: str
    type: str
    size_bytes: int
    file_bytes: int
    sector_bytes: int
    identifier: str
    attached: bool

    @property
    def generations(self) -> tuple[int, ...]:
        """Which generations of VMs could start from it, as far as a header tells."""
        if self.format != "VHDX":
            return (1,)
        return (2,) if self.sector_bytes != 512 else (1, 2)


def look(path: Path) -> Plan:
    """Read a disk's header; a file that is not there, or is no disk, is an error of the host."""
    call = Call(
        "Hyper-V\\Get-VHD",
        {"Path": path},
        keep="disk",
        take={
            "format": "VhdFormat:text",
            "type": "VhdType:text",
            "size": "Size:int",
            "file": "FileSize:int",
            "sector": "LogicalSectorSize:int",
            "identifier": "DiskIdentifier:text",
            "attached": "Attached:bool",
        },
    )
    return Plan("look-disk", (call,))


def read(answer: Answer) -> Disk:
    """Shape what `look` brought back."""
    row = answer.results["disk"][0]
    size, file, sector = (
        value if isinstance(value, int) else 0
        for value in (row["size"], row["file"], row["sector"])
    )
    return Disk(
        format=str(row["format"]),
        type=str(row["type"]),
        size_bytes=size,
        file_bytes=file,
        sector_bytes=sector,
        identifier=str(row["identifier"]),
        attached=row["attached"] is True,
    )
