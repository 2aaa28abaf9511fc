"""The tables. One class a resource: `key` is the row's own integer, `id` what EC2 calls it.

`version` of a resource is raised by triggers (`state.triggers`) on whatever changes its view:
the row itself, its tags, an instance's interfaces and volumes. Never set it by hand.

What the engine notes for itself (`Work`, `Look`) lives apart, so that it raises no version.

Source: docs/architecture.md, "State".
"""

from __future__ import annotations

from state.models.accounts import AccessKey, Account, AccountRegion, ClientToken, Deployment
from state.models.base import Base, BigKey, Utc
from state.models.compute import Image, ImagePermission, Instance, KeyPair, Reservation
from state.models.disks import (
    ImageDisk,
    Snapshot,
    SnapshotCopy,
    SnapshotPermission,
    Transfer,
    Volume,
    VolumeModification,
)
from state.models.guests import Console, HostEvent, Question, Seed, StatusReport
from state.models.intake import ImportImageTask, ImportSnapshotTask
from state.models.networks import (
    DhcpOptions,
    InterfaceGroup,
    InterfaceRules,
    InternetGateway,
    NetworkAcl,
    NetworkInterface,
    Route,
    RouteTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)
from state.models.places import Host, Network
from state.models.tags import Tag
from state.models.work import Look, Work

__all__ = [
    "AccessKey",
    "Account",
    "AccountRegion",
    "Base",
    "BigKey",
    "ClientToken",
    "Console",
    "Deployment",
    "DhcpOptions",
    "Host",
    "HostEvent",
    "Image",
    "ImageDisk",
    "ImagePermission",
    "ImportImageTask",
    "ImportSnapshotTask",
    "Instance",
    "InterfaceGroup",
    "InterfaceRules",
    "InternetGateway",
    "KeyPair",
    "Look",
    "Network",
    "NetworkAcl",
    "NetworkInterface",
    "Question",
    "Reservation",
    "Route",
    "RouteTable",
    "SecurityGroup",
    "SecurityGroupRule",
    "Seed",
    "Snapshot",
    "SnapshotCopy",
    "SnapshotPermission",
    "StatusReport",
    "Subnet",
    "Tag",
    "Transfer",
    "Utc",
    "Volume",
    "VolumeModification",
    "Vpc",
    "Work",
]
