"""What runs: images, key pairs, instances."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state.lifecycle import Phase
from state.models.base import NEVER_AGAIN, Base, Resource


class Image(Resource, Base):
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
    boot_mode: Mapped[str | None]  # as it was registered; None: nobody said
    # What differs from the deployment's [guest], by the names there.
    guest: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")


class ImagePermission(Base):
    """An account that may launch somebody else's image."""

    __tablename__ = "image_permission"
    image_key: Mapped[int] = mapped_column(
        ForeignKey("image.key", ondelete="CASCADE"), primary_key=True
    )
    account_key: Mapped[int] = mapped_column(
        ForeignKey("account.key"), primary_key=True, index=True
    )


class KeyPair(Resource, Base):
    __tablename__ = "key_pair"
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(8))  # rsa, ed25519
    fingerprint: Mapped[str]
    public_key: Mapped[str]  # OpenSSH form
    created_at: Mapped[dt.datetime]
    __table_args__ = (UniqueConstraint("account_key", "region", "name"), NEVER_AGAIN)


class Reservation(Resource, Base):
    __tablename__ = "reservation"


class Instance(Resource, Base):
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
    # PasswordData: the administrator's password, encrypted for the key pair, in Base64.
    password_data: Mapped[str | None]
    __table_args__ = (
        Index("ix_instance_owner", "account_key", "region", "key"),
        # Both hold all that a launch adds up: what an account has, and what a host has promised.
        Index("ix_instance_owner_phase", "account_key", "region", "phase"),
        Index("ix_instance_host_phase", "host_key", "phase", "processors", "memory_bytes"),
        NEVER_AGAIN,
    )
