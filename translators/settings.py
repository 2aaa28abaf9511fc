"""What actions and steps are told of the deployment's configuration; no file is read here."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

GIB: Final = 1024**3
MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A type as the configuration defines it."""

    name: str
    processors: int
    memory_mib: int
    burstable: bool = False
    current_generation: bool = True
    architecture: str = "x86_64"
    network_interfaces: int = 2
    network_performance: str = "Up to 5 Gigabit"


@dataclass(frozen=True, slots=True)
class Depot:
    """Where hosts leave and fetch disks that go from one to another, and how both are known."""

    url: str
    certificate: str
    """SHA-256 of the only certificate that hosts accept there, lower-case hex."""
    token_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Guest:
    """How guests are told what they are. An image may say otherwise (`translators.guests`)."""

    seed: Literal["auto", "nocloud", "configdrive", "none"] = "auto"
    """The disc of the first boot; auto: as the image's platform reads it."""
    imds: bool = True
    """Whether they may ask 169.254.169.254, where that is served at all."""
    smbios_ec2: bool = True
    """Whether their firmware says that they are on EC2."""
    eject_seed_after: str = "600"
    """Seconds after the first heartbeat, or `first-heartbeat`, or `never`."""
    bare_seed: bool = True
    """Whether a disc without user data and password takes the place of an ejected one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Frozen for the life of a process."""

    instance_types: Mapping[str, InstanceType] = field(default_factory=dict)
    default_instance_type: str = "t3.micro"
    stop_deadline_seconds: float = 240
    """After so long a guest that does not shut down is cut off, as EC2 does."""
    reboot_deadline_seconds: float = 240
    survey_shortest_seconds: float = 2
    survey_longest_seconds: float = 60
    """A host is surveyed at five times the survey's duration, kept between these two."""
    journal_mended_after_seconds: float = 200
    """A host's damaged journal is mended when whatever it may have known of has ended: an agent
    that nobody speaks to ends after two minutes, and gives what it runs another one."""
    terminated_visible_seconds: float = 3600
    client_token_seconds: float = 24 * 3600
    volume_modification_pause_seconds: float = 6 * 3600
    """A volume is modified once in so long, as EC2 has it."""
    processor_overcommit: float = 4.0
    """Virtual processors placed per logical processor of a host."""
    host_reserved_memory_mib: int = 2048
    instance_limit: int = 10_000
    """Instances not terminated, per account and region."""
    laboratory: bool = False
    guest: Guest = field(default_factory=Guest)
    metadata_served: bool = False
    """Whether the gateway itself answers at 169.254.169.254."""
    metadata_routes: Mapping[str, str] = field(default_factory=dict)
    """Through which address it is reached, by the name of the network; elsewhere by the router."""
    import_prefixes: tuple[str, ...] = ()
    """What the URL of a disk to be imported begins with; nothing else is fetched for anybody."""
    depot: Depot | None = None
    """None: no disk leaves the host that it lies on."""
    public_endpoint: str | None = None
    """What DescribeRegions says is every region's endpoint; None: AWS's own names for them."""
    password_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Makes the passwords of Windows guests that get theirs from us; the service derives it."""
    token_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Seals the tokens of pages. The service derives it from its key file, so that tokens outlive
    a restart and are good in every process; by default they die with the settings."""
