"""The tables. One class a resource: `key` is the row's own integer, `id` what EC2 calls it.

`version` of a resource is raised by triggers (`state.triggers`) on whatever changes its view:
the row itself, its tags, an instance's interfaces and volumes. Never set it by hand.

What the engine notes for itself (`Work`, `Look`) lives apart, so that it raises no version.

Source: docs/architecture.md, "State".
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from state import storage
from state.lifecycle import Phase

BigKey = BigInteger().with_variant(Integer, "sqlite")


class Utc(TypeDecorator[dt.datetime]):
    """An aware UTC time, kept as whole microseconds since 1970: sorts, compares, loses nothing."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return (value - _EPOCH) // dt.timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else _EPOCH + dt.timedelta(microseconds=value)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        dt.datetime: Utc,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        bytes: LargeBinary,
        Phase: String(16),
        storage.VolumePhase: String(16),
        storage.ModificationState: String(16),
        storage.SnapshotPhase: String(16),
        storage.TransferPhase: String(16),
    }


_NEVER_AGAIN: dict[str, Any] = {"sqlite_autoincrement": True}
"""A key is never given twice, so that what was kept by (key, version) never means another row."""


class _Keyed:
    __table_args__: Any = _NEVER_AGAIN
    key: Mapped[int] = mapped_column(BigKey, primary_key=True)


class _Resource(_Keyed):
    """What an account owns in a region."""

    id: Mapped[str] = mapped_column(String(32), unique=True)
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"))
    region: Mapped[str] = mapped_column(String(32))


# -- who


class Account(_Keyed, Base):
    __tablename__ = "account"
    id: Mapped[str] = mapped_column(String(12), unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    owner_alias: Mapped[str | None]  # "amazon" for the operator's account that owns public images
    made_by_request: Mapped[bool] = mapped_column(default=False)  # open mode makes them; capped
    # May register any disk in the hosts' image store, whoever put it there.
    image_store: Mapped[bool] = mapped_column(default=False, server_default="0")
    created_at: Mapped[dt.datetime]


class AccessKey(_Keyed, Base):
    __tablename__ = "access_key"
    id: Mapped[str] = mapped_column(String(32), unique=True)  # AKIA...
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"))
    secret: Mapped[bytes]  # encrypted by state.secrets
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime]


class AccountRegion(Base):
    """An account that has made its first request in a region, and so has its default VPC there."""

    __tablename__ = "account_region"
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"), primary_key=True)
    region: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[dt.datetime]


class ClientToken(Base):
    """What a request with this token was and what it was answered."""

    __tablename__ = "client_token"
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"), primary_key=True)
    region: Mapped[str] = mapped_column(String(32), primary_key=True)
    action: Mapped[str] = mapped_column(String(64), primary_key=True)
    token: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the parameters
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime] = mapped_column(index=True)


class Deployment(Base):
    """One row: who we are to the hosts, and whether we act yet."""

    __tablename__ = "deployment"
    key: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(32))  # in the Notes of every VM of ours
    # The state is older than its hosts, or may be: nothing changes until they were looked at.
    recovering: Mapped[bool] = mapped_column(default=False)
    # Raised after changes and told to every host: one that was told more knows a later state.
    beat: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # A host has said since the service started that this is the newest state it knows.
    confirmed: Mapped[bool] = mapped_column(default=True, server_default="1")
    # Instances that were being driven when it started: key -> generation. Later ones are our own.
    wishes: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    created_at: Mapped[dt.datetime]


# -- where


class Host(_Keyed, Base):
    __tablename__ = "host"
    name: Mapped[str] = mapped_column(String(64), unique=True)
    url: Mapped[str]  # http://HOST:5985/wsman
    region: Mapped[str] = mapped_column(String(32))  # "*" for the laboratory: any region
    zone_letter: Mapped[str] = mapped_column(String(1))
    transport: Mapped[str] = mapped_column(String(16))  # ntlm, kerberos, certificate, basic
    username: Mapped[str | None]
    secret: Mapped[bytes | None]  # encrypted by state.secrets
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)  # CA file, certificate files
    root: Mapped[str]  # the one folder that is ours on the host
    laboratory: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(16), default="active")  # active, draining, removed
    epoch: Mapped[int] = mapped_column(default=0)  # raised by each driver that takes the host
    # Still to be looked at before a recovery can end.
    recovering: Mapped[bool] = mapped_column(default=False, server_default="0")
    # What the last survey found; None before the first.
    reachable: Mapped[bool] = mapped_column(default=False)
    surveyed_at: Mapped[dt.datetime | None]
    trouble: Mapped[str | None]  # why it is not reachable, for the operator
    boot_time: Mapped[dt.datetime | None]
    processors: Mapped[int | None]
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    free_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    free_disk_bytes: Mapped[int | None] = mapped_column(BigInteger)
    foreign_vms: Mapped[int] = mapped_column(default=0)
    foreign_memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    switches: Mapped[list[Any]] = mapped_column(default=list)
    # VMs with our Notes that belong to no instance: {"name", "why"}.
    strays: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[dt.datetime]


class Network(_Keyed, Base):
    """A layer 2 on the hosts' side: addresses and MACs are unique in it, across accounts."""

    __tablename__ = "network"
    name: Mapped[str] = mapped_column(String(64), unique=True)
    region: Mapped[str] = mapped_column(String(32))  # "*" for the laboratory
    zone_letter: Mapped[str] = mapped_column(String(1))
    switch: Mapped[str]
    vlan: Mapped[int | None]
    cidr: Mapped[str]
    router: Mapped[str | None]
    dns: Mapped[list[Any]] = mapped_column(default=list)
    reserved: Mapped[list[Any]] = mapped_column(default=list)  # "a.b.c.d" or "a.b.c.d-e.f.g.h"
    next_offset: Mapped[int] = mapped_column(default=4)  # where the search for a free one begins


# -- networks as an account sees them


class Vpc(_Resource, Base):
    __tablename__ = "vpc"
    cidr: Mapped[str]
    state: Mapped[str] = mapped_column(default="available")
    is_default: Mapped[bool] = mapped_column(default=False)
    tenancy: Mapped[str] = mapped_column(default="default")
    dns_hostnames: Mapped[bool] = mapped_column(default=True)
    dns_support: Mapped[bool] = mapped_column(default=True)
    network_address_usage_metrics: Mapped[bool] = mapped_column(default=False)
    dhcp_options_key: Mapped[int] = mapped_column(ForeignKey("dhcp_options.key"))
    association_id: Mapped[str]


class Subnet(_Resource, Base):
    __tablename__ = "subnet"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"), index=True)
    network_key: Mapped[int] = mapped_column(ForeignKey("network.key"))
    zone: Mapped[str]
    cidr: Mapped[str]
    state: Mapped[str] = mapped_column(default="available")
    default_for_az: Mapped[bool] = mapped_column(default=False)
    map_public_ip_on_launch: Mapped[bool] = mapped_column(default=False)
    network_acl_association_id: Mapped[str]


class SecurityGroup(_Resource, Base):
    __tablename__ = "security_group"
    name: Mapped[str]
    description: Mapped[str]
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    __table_args__ = (UniqueConstraint("vpc_key", "name"), _NEVER_AGAIN)


class SecurityGroupRule(_Resource, Base):
    __tablename__ = "security_group_rule"
    group_key: Mapped[int] = mapped_column(ForeignKey("security_group.key"), index=True)
    is_egress: Mapped[bool]
    protocol: Mapped[str]  # tcp, udp, icmp, icmpv6, a number as text, or -1
    from_port: Mapped[int | None]
    to_port: Mapped[int | None]
    cidr_ipv4: Mapped[str | None]
    cidr_ipv6: Mapped[str | None]
    referenced_group_key: Mapped[int | None] = mapped_column(ForeignKey("security_group.key"))
    description: Mapped[str | None]


class RouteTable(_Resource, Base):
    __tablename__ = "route_table"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    main: Mapped[bool] = mapped_column(default=False)
    main_association_id: Mapped[str | None]


class Route(_Keyed, Base):
    __tablename__ = "route"
    route_table_key: Mapped[int] = mapped_column(ForeignKey("route_table.key"), index=True)
    destination_cidr: Mapped[str]
    gateway_id: Mapped[str]  # "local" or an internet gateway's id
    origin: Mapped[str] = mapped_column(default="CreateRouteTable")


class InternetGateway(_Resource, Base):
    __tablename__ = "internet_gateway"
    vpc_key: Mapped[int | None] = mapped_column(ForeignKey("vpc.key"))


class NetworkAcl(_Resource, Base):
    __tablename__ = "network_acl"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    is_default: Mapped[bool] = mapped_column(default=False)
    entries: Mapped[list[Any]] = mapped_column(default=list)  # as EC2 shows them


class DhcpOptions(_Resource, Base):
    __tablename__ = "dhcp_options"
    configurations: Mapped[dict[str, Any]]  # {"domain-name": ["..."], ...}


class NetworkInterface(_Resource, Base):
    __tablename__ = "network_interface"
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    subnet_key: Mapped[int] = mapped_column(ForeignKey("subnet.key"), index=True)
    network_key: Mapped[int] = mapped_column(ForeignKey("network.key"))
    zone: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    mac: Mapped[str] = mapped_column(unique=True)
    private_ip: Mapped[str]
    source_dest_check: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default="in-use")
    instance_key: Mapped[int | None] = mapped_column(ForeignKey("instance.key"), index=True)
    device_index: Mapped[int] = mapped_column(default=0)
    attachment_id: Mapped[str | None]
    attachment_status: Mapped[str | None]
    attach_time: Mapped[dt.datetime | None]
    delete_on_termination: Mapped[bool] = mapped_column(default=True)
    requester_managed: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (
        UniqueConstraint("network_key", "private_ip"),
        Index("ix_network_interface_owner", "account_key", "region", "key"),
        _NEVER_AGAIN,
    )


class InterfaceRules(Base):
    """Whether the port of an interface has the rules that its groups want by now."""

    __tablename__ = "interface_rules"
    interface_key: Mapped[int] = mapped_column(
        ForeignKey("network_interface.key", ondelete="CASCADE"), primary_key=True
    )
    wanted: Mapped[int] = mapped_column(default=1)  # raised by every change of the rules
    applied: Mapped[int] = mapped_column(default=0)  # what the host was seen with
    changed_at: Mapped[dt.datetime]
    __table_args__ = (Index("ix_interface_rules_due", "interface_key", "wanted", "applied"),)


class InterfaceGroup(Base):
    """Which security groups an interface is in."""

    __tablename__ = "interface_group"
    interface_key: Mapped[int] = mapped_column(
        ForeignKey("network_interface.key", ondelete="CASCADE"), primary_key=True
    )
    group_key: Mapped[int] = mapped_column(
        ForeignKey("security_group.key"), primary_key=True, index=True
    )


# -- what runs


class Image(_Resource, Base):
    """An AMI; its region is "*" for an operator's image that is the same everywhere."""

    __tablename__ = "image"
    name: Mapped[str]
    description: Mapped[str | None]
    file_name: Mapped[str]  # below images/ of a host's root
    public: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(default="available")  # deregistered: kept for its children
    architecture: Mapped[str] = mapped_column(default="x86_64")
    platform: Mapped[str | None]  # "windows", else None
    generation: Mapped[int]  # of the VM: 1 or 2
    secure_boot_template: Mapped[str | None]  # None: secure boot off
    root_device_name: Mapped[str] = mapped_column(default="/dev/sda1")
    size_gib: Mapped[int]
    snapshot_id: Mapped[str]
    created_at: Mapped[dt.datetime]
    # What its owner chose, shown and passed on to instances.
    ena_support: Mapped[bool] = mapped_column(default=True, server_default="1")
    volume_type: Mapped[str] = mapped_column(default="gp3", server_default="gp3")
    iops: Mapped[int | None]
    throughput: Mapped[int | None]
    delete_on_termination: Mapped[bool] = mapped_column(default=True, server_default="1")
    # What CreateImage and CopyImage made: the root disk's snapshot, and where it came from.
    snapshot_key: Mapped[int | None] = mapped_column(ForeignKey("snapshot.key"), index=True)
    source_image_id: Mapped[str | None]
    source_image_region: Mapped[str | None]
    source_instance_id: Mapped[str | None]
    deprecated_at: Mapped[dt.datetime | None]
    message: Mapped[str | None]  # why it failed


class ImagePermission(Base):
    """An account that may launch somebody else's image."""

    __tablename__ = "image_permission"
    image_key: Mapped[int] = mapped_column(
        ForeignKey("image.key", ondelete="CASCADE"), primary_key=True
    )
    account_key: Mapped[int] = mapped_column(
        ForeignKey("account.key"), primary_key=True, index=True
    )


class KeyPair(_Resource, Base):
    __tablename__ = "key_pair"
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(8))  # rsa, ed25519
    fingerprint: Mapped[str]
    public_key: Mapped[str]  # OpenSSH form
    created_at: Mapped[dt.datetime]
    __table_args__ = (UniqueConstraint("account_key", "region", "name"), _NEVER_AGAIN)


class Reservation(_Resource, Base):
    __tablename__ = "reservation"


class Instance(_Resource, Base):
    __tablename__ = "instance"
    reservation_key: Mapped[int] = mapped_column(ForeignKey("reservation.key"), index=True)
    launch_index: Mapped[int] = mapped_column(default=0)
    image_id: Mapped[str]
    image_key: Mapped[int] = mapped_column(ForeignKey("image.key"))
    type: Mapped[str]
    processors: Mapped[int]
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    key_name: Mapped[str | None]
    zone: Mapped[str]
    host_key: Mapped[int] = mapped_column(ForeignKey("host.key"), index=True)
    vpc_key: Mapped[int] = mapped_column(ForeignKey("vpc.key"))
    subnet_key: Mapped[int] = mapped_column(ForeignKey("subnet.key"))
    # The intent. `generation` is raised by every change of it: the host refuses older ones.
    phase: Mapped[Phase] = mapped_column(index=True)
    generation: Mapped[int] = mapped_column(default=1)
    force: Mapped[bool] = mapped_column(default=False)  # StopInstances Force: cut the power
    phase_since: Mapped[dt.datetime]
    launch_time: Mapped[dt.datetime]
    terminated_at: Mapped[dt.datetime | None]
    state_reason_code: Mapped[str | None]
    state_reason_message: Mapped[str | None]
    transition_reason: Mapped[str] = mapped_column(default="")
    # What the owner chose.
    user_data: Mapped[bytes | None]
    shutdown_behavior: Mapped[str] = mapped_column(default="stop")  # stop, terminate
    disable_api_termination: Mapped[bool] = mapped_column(default=False)
    disable_api_stop: Mapped[bool] = mapped_column(default=False)
    ebs_optimized: Mapped[bool] = mapped_column(default=False)
    monitoring: Mapped[bool] = mapped_column(default=False)
    source_dest_check: Mapped[bool] = mapped_column(default=True)
    metadata_options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    options: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # CpuOptions and other neutral ones
    client_token: Mapped[str] = mapped_column(default="")
    # The VM.
    platform: Mapped[str | None]
    vm_generation: Mapped[int]
    vm_id: Mapped[str | None]  # GUID, once known
    root_device_name: Mapped[str]
    __table_args__ = (
        Index("ix_instance_owner", "account_key", "region", "key"),
        # Both hold all that a launch adds up: what an account has, and what a host has promised.
        Index("ix_instance_owner_phase", "account_key", "region", "phase"),
        Index("ix_instance_host_phase", "host_key", "phase", "processors", "memory_bytes"),
        _NEVER_AGAIN,
    )


class Volume(_Resource, Base):
    """A disk: `state` is EC2's word, `phase` what the engine is to do about it (see storage)."""

    __tablename__ = "volume"
    zone: Mapped[str]
    host_key: Mapped[int] = mapped_column(ForeignKey("host.key"))
    size_gib: Mapped[int]
    type: Mapped[str] = mapped_column(default="gp3")
    iops: Mapped[int | None]
    throughput: Mapped[int | None]
    snapshot_id: Mapped[str | None]
    image_key: Mapped[int | None] = mapped_column(ForeignKey("image.key"))
    # Whose file is its parent disk.
    snapshot_key: Mapped[int | None] = mapped_column(ForeignKey("snapshot.key"), index=True)
    state: Mapped[str] = mapped_column(default="creating")
    phase: Mapped[storage.VolumePhase] = mapped_column(default="in-use", server_default="in-use")
    generation: Mapped[int] = mapped_column(default=1, server_default="1")
    phase_since: Mapped[dt.datetime] = mapped_column(default=_EPOCH, server_default="0")
    created_at: Mapped[dt.datetime]
    instance_key: Mapped[int | None] = mapped_column(ForeignKey("instance.key"), index=True)
    device: Mapped[str | None]
    # On the VM's SCSI controller 0; None: the root disk, or attached to nothing.
    location: Mapped[int | None]
    attachment_state: Mapped[str | None]
    attach_time: Mapped[dt.datetime | None]
    delete_on_termination: Mapped[bool] = mapped_column(default=False)
    force: Mapped[bool] = mapped_column(default=False, server_default="0")  # DetachVolume Force
    written: Mapped[bool] = mapped_column(default=True, server_default="1")  # was attached once
    auto_enable_io: Mapped[bool] = mapped_column(default=False, server_default="0")
    file_name: Mapped[str]  # below the host's root, or below instances/ID/ for a bare name
    __table_args__ = (
        Index("ix_volume_owner", "account_key", "region", "key"),
        Index("ix_volume_host_phase", "host_key", "phase"),
        _NEVER_AGAIN,
    )


class VolumeModification(_Keyed, Base):
    """ModifyVolume, one row each; the newest of a volume counts."""

    __tablename__ = "volume_modification"
    volume_key: Mapped[int] = mapped_column(
        ForeignKey("volume.key", ondelete="CASCADE"), index=True
    )
    state: Mapped[storage.ModificationState] = mapped_column(index=True)
    progress: Mapped[int] = mapped_column(default=0)
    message: Mapped[str | None]
    original: Mapped[dict[str, Any]]  # {"size_gib", "type", "iops", "throughput"}
    target: Mapped[dict[str, Any]]
    started_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]


class Snapshot(_Resource, Base):
    """A read-only disk: `state` is EC2's word, `phase` what the engine is to do about it."""

    __tablename__ = "snapshot"
    state: Mapped[str] = mapped_column(default="pending")
    phase: Mapped[storage.SnapshotPhase]
    generation: Mapped[int] = mapped_column(default=1)
    phase_since: Mapped[dt.datetime]
    description: Mapped[str] = mapped_column(default="")
    size_gib: Mapped[int]
    progress: Mapped[int] = mapped_column(default=0)  # percent
    message: Mapped[str | None]  # why it ended in error
    started_at: Mapped[dt.datetime]
    fixed_at: Mapped[dt.datetime | None]  # from then on writes to the volume do not matter
    completed_at: Mapped[dt.datetime | None]
    public: Mapped[bool] = mapped_column(default=False)
    # Where it came from; the volume and its instance may be long gone.
    volume_id: Mapped[str]
    volume_key: Mapped[int | None] = mapped_column(index=True)
    instance_key: Mapped[int | None]
    # The host that makes it, and its file below each root that has it.
    host_key: Mapped[int | None] = mapped_column(ForeignKey("host.key"))
    file_name: Mapped[str]
    everywhere: Mapped[bool] = mapped_column(default=False)  # an operator's, never deleted by us
    # The name of the VM's checkpoint that fixes it, shared by all of one moment; None: nothing of
    # it is on a VM (any more).
    point: Mapped[str | None]
    cold: Mapped[bool] = mapped_column(default=False)  # taken once the VM is off: CreateImage
    checkpoint: Mapped[str | None]  # GUID of the VM's, while it holds the disk still
    source_path: Mapped[str | None]  # what is copied, as the host tells it
    job: Mapped[str | None]  # of the host's management service
    __table_args__ = (
        Index("ix_snapshot_owner", "account_key", "region", "key"),
        Index("ix_snapshot_host_phase", "host_key", "phase"),
        _NEVER_AGAIN,
    )


class SnapshotCopy(Base):
    """A host that has, or is to have, a snapshot's file."""

    __tablename__ = "snapshot_copy"
    snapshot_key: Mapped[int] = mapped_column(
        ForeignKey("snapshot.key", ondelete="CASCADE"), primary_key=True
    )
    host_key: Mapped[int] = mapped_column(ForeignKey("host.key"), primary_key=True, index=True)
    ready: Mapped[bool] = mapped_column(default=False)


class SnapshotPermission(Base):
    """An account that may make volumes of somebody else's snapshot."""

    __tablename__ = "snapshot_permission"
    snapshot_key: Mapped[int] = mapped_column(
        ForeignKey("snapshot.key", ondelete="CASCADE"), primary_key=True
    )
    account_key: Mapped[int] = mapped_column(
        ForeignKey("account.key"), primary_key=True, index=True
    )


class ImageDisk(Base):
    """A disk of an image beside its root disk."""

    __tablename__ = "image_disk"
    image_key: Mapped[int] = mapped_column(
        ForeignKey("image.key", ondelete="CASCADE"), primary_key=True
    )
    device: Mapped[str] = mapped_column(String(64), primary_key=True)
    snapshot_key: Mapped[int | None] = mapped_column(ForeignKey("snapshot.key"), index=True)
    size_gib: Mapped[int]
    volume_type: Mapped[str]
    iops: Mapped[int | None]
    throughput: Mapped[int | None]
    delete_on_termination: Mapped[bool]


class Transfer(_Keyed, Base):
    """A file on its way from one host to the same place on another, through the gateway."""

    __tablename__ = "transfer"
    path: Mapped[str]  # below each root
    source_host_key: Mapped[int] = mapped_column(ForeignKey("host.key"))
    target_host_key: Mapped[int] = mapped_column(ForeignKey("host.key"))
    phase: Mapped[storage.TransferPhase] = mapped_column(index=True)
    generation: Mapped[int] = mapped_column(default=1)
    phase_since: Mapped[dt.datetime]
    # Told by the depot once it has the whole file.
    length_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    done_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    trouble: Mapped[str | None]
    __table_args__ = (UniqueConstraint("path", "target_host_key"), _NEVER_AGAIN)


class Tag(Base):
    __tablename__ = "tag"
    resource_type: Mapped[str] = mapped_column(String(32), primary_key=True)  # EC2's word
    resource_key: Mapped[int] = mapped_column(BigKey, primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    value: Mapped[str] = mapped_column(String(256))
    resource_id: Mapped[str] = mapped_column(String(32))
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"))
    region: Mapped[str] = mapped_column(String(32))
    __table_args__ = (
        Index("ix_tag_value", "resource_type", "account_key", "key", "value", "resource_key"),
        Index("ix_tag_owner", "account_key", "region", "resource_id"),
    )


# -- what the engine notes for itself


class Work(Base):
    """The attempt under way for a row that the engine drives, of whatever kind."""

    __tablename__ = "work"
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    token: Mapped[str | None] = mapped_column(String(32))  # written before it is sent
    purpose: Mapped[str | None]  # of the plan that the token guards
    generation: Mapped[int] = mapped_column(default=0)  # of the intent that it was made for
    begun_at: Mapped[dt.datetime | None]
    trouble: Mapped[str | None]


class Look(Base):
    """What the last survey saw of an instance's VM; written only when it changed."""

    __tablename__ = "look"
    instance_key: Mapped[int] = mapped_column(ForeignKey("instance.key"), primary_key=True)
    vm_state: Mapped[str | None]  # VMState by name; None: not seen
    heartbeat: Mapped[str | None]  # VMHeartbeatStatus by name
    addresses: Mapped[list[Any]] = mapped_column(default=list)
    host_boot_time: Mapped[dt.datetime | None]  # of the host, when the VM was last seen running
    changed_at: Mapped[dt.datetime]
