"""Disks: volumes, snapshots, who may use them, and their way between hosts."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state import storage
from state.models.base import EPOCH, NEVER_AGAIN, Base, Keyed, Resource


class Volume(Resource, Base):
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
    phase_since: Mapped[dt.datetime] = mapped_column(default=EPOCH, server_default="0")
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
        NEVER_AGAIN,
    )


class VolumeModification(Keyed, Base):
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


class Snapshot(Resource, Base):
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
    instance_key: Mapped[int | None] = mapped_column(index=True)
    # The host that makes it, and its file below each root that has it.
    host_key: Mapped[int | None] = mapped_column(ForeignKey("host.key"))
    file_name: Mapped[str]
    # Of the VMs that start from it, where it came from outside; else the volume tells.
    vm_generation: Mapped[int | None]
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
        Index("ix_snapshot_phase_host", "phase", "host_key"),
        NEVER_AGAIN,
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


class Transfer(Keyed, Base):
    """A file on its way from one host to the same place on another, through the gateway."""

    __tablename__ = "transfer"
    path: Mapped[str]  # below each root
    source_host_key: Mapped[int] = mapped_column(ForeignKey("host.key"))
    target_host_key: Mapped[int] = mapped_column(ForeignKey("host.key"))
    phase: Mapped[storage.TransferPhase] = mapped_column(index=True)
    generation: Mapped[int] = mapped_column(default=1)
    phase_since: Mapped[dt.datetime]
    # Told by the depot: the length when a host announces the file, the digest once it is whole.
    length_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    done_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    trouble: Mapped[str | None]
    __table_args__ = (UniqueConstraint("path", "target_host_key"), NEVER_AGAIN)
