"""A virtual disk below a host's root: what the host says of it; nothing here changes one.

Source: Get-VHD, and the class VirtualHardDisk that it answers with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from translators.hyperv.host import Answer, Call, HostFault, Path, Plan

_FORMAT_CODES: Final = "0xC03A"
"""How the codes of Windows' virtual disk facility begin: ERROR_VHD_FORMAT_UNKNOWN and others."""
_CORRUPT: Final = "0x80070570"
_NOT_FOUND: Final = "0x80070002"


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


def is_none(fault: HostFault) -> bool:
    """Tell whether a host surely said that the file is no disk, is damaged, or is not there.

    Anything else may be the host's own trouble.
    """
    codes = {code.upper().replace("0X", "0x") for code in fault.hresult}
    return (
        fault.identifier == "InvalidParameter"
        or bool(codes & {_CORRUPT, _NOT_FOUND})
        or any(code.startswith(_FORMAT_CODES) for code in codes)
    )


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
