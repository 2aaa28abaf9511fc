"""Every probe, in the order in which they are tried: the one list.

Source: docs/operations.md, "Proving a host".
"""

from __future__ import annotations

from typing import Final

from ec2gw.doctor import (
    connections,
    consoles,
    copies,
    files,
    guests,
    journal,
    machines,
    ports,
    power,
    states,
    sweep,
    way,
)
from ec2gw.doctor.probe import Probe

_OPEN: Final = (
    Probe(
        "eight-hours",
        "A remote shell lives for more than eight hours.",
        "reported: shells seen dying at eight hours",
        relied=False,
        why="it takes eight hours; ec2gw replaces its agent after four",
    ),
    Probe(
        "host-restart",
        "While a host starts, WinRM may answer before Hyper-V does; ec2gw waits for both.",
        "derived",
        why="the host would have to be restarted",
    ),
    Probe(
        "channel-binding",
        "A host that demands channel binding (CbtHardeningLevel Strict) lets us in.",
        "Microsoft Learn, WinRM service configuration",
        relied=False,
        why="the service's configuration would have to be changed; sign-in tells, where it is set",
    ),
    Probe(
        "smbios-order",
        "A guest reads its SMBIOS UUID in the byte order in which it was given.",
        "derived; Msvm_VirtualSystemSettingData, BIOSGUID",
        relied=False,
        why="only a guest can tell; ours reads the same in either order",
    ),
    Probe(
        "disk-names",
        "A Linux guest finds a disk by its page 83 identifier under /dev/disk/by-id.",
        "derived; Get-VHD, DiskIdentifier",
        relied=False,
        why="only a guest can tell, and no volumes are attached yet",
    ),
    Probe(
        "converted-images",
        "A disk that qemu-img made has a size and an identifier that Hyper-V is content with.",
        "derived; Get-VHD",
        relied=False,
        why="it takes such a disk: name it by --image, and it is the parent of a VM's",
    ),
    Probe(
        "rules-migrate",
        "Rules of an adapter go along in a live migration.",
        "derived; Add-VMNetworkAdapterExtendedAcl",
        relied=False,
        why="it takes a second host; ec2gw looks at the rules again wherever a VM comes to stand",
    ),
)

PROBES: Final[tuple[Probe, ...]] = (
    *way.PROBES,
    *files.PROBES,
    *machines.MAKING,
    *consoles.RUNNING,
    *guests.RUNNING,
    *states.DISKS,
    *states.RUNNING,
    *ports.PROBES,
    *copies.PROBES,
    *power.PROBES,
    *states.OFF,
    *consoles.OFF,
    *states.LAST,
    machines.REMOVE_2,
    machines.REMOVE_1,
    *journal.PROBES,
    *connections.PROBES,
    *way.AFTER,
    *_OPEN,
)

CLEAN_UP: Final = Probe(
    "clean-up",
    "Nothing that the doctor made is left.",
    "docs/operations.md, Proving a host",
    sweep.proved,
    changes=True,
    needs=("leftovers",),
)
"""Comes last, whatever ended the others."""
