"""Imports through the API: what is taken, what is refused in whose words, how far they show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import guests, models
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from tests.launches import NOW
from translators import imports
from translators.ec2.imports import actions
from translators.settings import Depot, Settings

PREFIX = "https://images.example.org/disks/"
URL = f"{PREFIX}debian.qcow2"
TASKS = {"ImportImage": "import-ami-0123456789abcdef0", "ImportSnapshot": "import-snap-01234567"}
DEPOT = Depot("https://127.0.0.1:8774", "0" * 64, b"k" * 32)


def image(url: str = URL, **more: Any) -> dict[str, Any]:
    return {"DiskContainers": [{"Url": url, "Format": "RAW"}], **more}


def snapshot(url: str = URL, **more: Any) -> dict[str, Any]:
    return {"DiskContainer": {"Url": url, "Format": "VMDK"}, **more}


ASKED: Mapping[str, Any] = {"ImportImage": image, "ImportSnapshot": snapshot}
TAG = {"Key": "Owner", "Value": "me"}


def kind_of(action: str) -> str:
    return "import-image-task" if action == "ImportImage" else "import-snapshot-task"


def importing(store: Store, vault: Vault, settings: Settings) -> InProcess:
    """Make a gateway that imports from one place."""
    told = dataclasses.replace(settings, import_prefixes=(PREFIX,), depot=DEPOT)
    return InProcess.fresh(store, vault, told)


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return importing(store, vault, settings)


def described(gateway: InProcess, task_id: str, **more: Any) -> dict[str, Any]:
    """The one task of that id, as it is listed."""
    word = "Image" if task_id.startswith("import-ami") else "Snapshot"
    action = f"DescribeImport{word}Tasks"
    [found] = gateway.call(action, ImportTaskIds=[task_id], **more)[f"Import{word}Tasks"]
    assert isinstance(found, dict)
    return found


def detail(task: Mapping[str, Any]) -> Mapping[str, Any]:
    one: Mapping[str, Any] = task.get("SnapshotTaskDetail") or task["SnapshotDetails"][0]
    return one


def change(gateway: InProcess, task_id: str, **columns: Any) -> None:
    kind: type[Any] = (
        models.ImportImageTask if task_id.startswith("import-ami") else models.ImportSnapshotTask
    )
    gateway.store.write(
        lambda session: session.execute(sa.update(kind).where(kind.id == task_id).values(**columns))
    )


def row_of(session: Session, task_id: str) -> imports.Task:
    if task_id.startswith("import-ami"):
        found: Any = models.ImportImageTask
    else:
        found = models.ImportSnapshotTask
    row: imports.Task = session.scalars(sa.select(found).where(found.id == task_id)).one()
    return row


# -- begun


def test_an_image_is_imported_by_a_task_that_waits(gateway: InProcess) -> None:
    made = gateway.call(
        "ImportImage",
        **image(
            Description="from outside",
            Platform="Linux",
            BootMode="uefi",
            LicenseType="BYOL",
            TagSpecifications=[{"ResourceType": "import-image-task", "Tags": [TAG]}],
        ),
    )
    assert made["ImportTaskId"].startswith("import-ami-")
    assert len(made["ImportTaskId"]) == len("import-ami-") + 17
    assert (made["Status"], made["StatusMessage"], made["Progress"]) == ("active", "pending", "1")
    assert (made["Platform"], made["LicenseType"]) == ("Linux", "BYOL")
    assert made["SnapshotDetails"] == [{"DiskImageSize": 0.0, "Format": "RAW", "Url": URL}]
    assert made["Tags"] == [TAG]
    shown = described(gateway, made["ImportTaskId"])
    assert (shown["Description"], shown["BootMode"]) == ("from outside", "uefi")
    assert "ImageId" not in shown
    assert gateway.call("DescribeImages", Owners=["self"])["Images"] == []


def test_a_snapshot_is_imported_by_a_task_that_waits(gateway: InProcess) -> None:
    tagged = [{"ResourceType": "import-snapshot-task", "Tags": [TAG]}]
    made = gateway.call("ImportSnapshot", **snapshot(Description="d", TagSpecifications=tagged))
    assert made["ImportTaskId"].startswith("import-snap-")
    assert made["Description"] == "d"
    assert made["SnapshotTaskDetail"] == {
        "Description": "d",
        "DiskImageSize": 0.0,
        "Format": "VMDK",
        "Progress": "1",
        "Status": "active",
        "StatusMessage": "pending",
        "Url": URL,
    }
    assert described(gateway, made["ImportTaskId"])["Tags"] == [TAG]


@pytest.mark.parametrize("action", ASKED)
def test_a_request_that_comes_again_begins_nothing_new(gateway: InProcess, action: str) -> None:
    first, again = (
        gateway.call(action, **ASKED[action](ClientToken="once"))["ImportTaskId"] for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize("action", ASKED)
def test_tasks_are_tagged_and_found_as_all_else_is(gateway: InProcess, action: str) -> None:
    task_id = gateway.call(action, **ASKED[action]())["ImportTaskId"]
    gateway.call("CreateTags", Resources=[task_id], Tags=[TAG])
    assert described(gateway, task_id)["Tags"] == [TAG]
    found = gateway.call("DescribeTags", Filters=[{"Name": "resource-id", "Values": [task_id]}])
    assert found["Tags"] == [{**TAG, "ResourceId": task_id, "ResourceType": kind_of(action)}]


@pytest.mark.parametrize("format_", ["vhd", "VHDX", "vmdk", "raw", "QCOW2", None])
def test_a_format_is_named_in_any_case_or_left_to_the_file(
    gateway: InProcess, format_: str | None
) -> None:
    container = {"Url": URL} if format_ is None else {"Url": URL, "Format": format_}
    made = gateway.call("ImportSnapshot", DiskContainer=container)["SnapshotTaskDetail"]
    assert made.get("Format") == (format_.upper() if format_ else None)


# -- refused


@pytest.mark.parametrize("action", ASKED)
@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example.org/disks/debian.qcow2",
        "https://images.example.org/other/debian.qcow2",
        "http://images.example.org/disks/debian.qcow2",
        "https://images.example.org.evil.example/disks/debian.qcow2",
        "https://images.example.org@evil.example/disks/debian.qcow2",
        f"{PREFIX}../secret/disk.vmdk",
        f"{PREFIX}%2e%2e/secret/disk.vmdk",
        f"{PREFIX}a/..%5c..%5csecret",
        f"{PREFIX}a b",
        f"{PREFIX}a\nb",
        f"{PREFIX}{'a' * 2048}",
        "file:///etc/passwd",
        "https://[",
        "disk.vmdk",
    ],
)
def test_what_is_below_no_prefix_is_not_fetched(gateway: InProcess, action: str, url: str) -> None:
    refused = gateway.refusal(action, **ASKED[action](url))
    assert refused == ("InvalidParameter", 400, "Invalid S3 source location.")
    with gateway.store.read() as session:
        for kind in (models.ImportImageTask, models.ImportSnapshotTask):
            assert session.scalars(sa.select(kind.key)).all() == []


@pytest.mark.parametrize("action", ASKED)
def test_a_bucket_is_one_that_nobody_may_read(gateway: InProcess, action: str) -> None:
    words = "User does not have access to the S3 object (disks/debian.vmdk)."
    assert gateway.refusal(action, **ASKED[action]("s3://disks/debian.vmdk"))[2] == words
    bucket = {"UserBucket": {"S3Bucket": "disks", "S3Key": "debian.vmdk"}}
    asked = {"DiskContainers": [bucket]} if action == "ImportImage" else {"DiskContainer": bucket}
    assert gateway.refusal(action, **asked) == ("InvalidParameter", 400, words)


@pytest.mark.parametrize("missing", ["import_prefixes", "depot"])
def test_without_prefixes_or_depot_nothing_is_imported(
    store: Store, vault: Vault, settings: Settings, missing: str
) -> None:
    told: dict[str, Any] = {"import_prefixes": (PREFIX,), "depot": DEPOT}
    told[missing] = () if missing == "import_prefixes" else None
    gateway = InProcess.fresh(store, vault, dataclasses.replace(settings, **told))
    for action, asked in ASKED.items():
        code, _, message = gateway.refusal(action, **asked())
        assert code == "UnsupportedOperation"
        assert "Url is not supported" in message


@pytest.mark.parametrize(
    ("more", "code", "named"),
    [
        ({"DiskContainers": []}, "MissingParameter", "DiskContainer"),
        ({"DiskContainers": [{"Format": "RAW"}]}, "MissingParameter", "DiskContainer.1.Url"),
        (
            {"DiskContainers": [{"Url": URL}, {"Url": URL}]},
            "UnsupportedOperation",
            "DiskContainer.2",
        ),
        (
            {"DiskContainers": [{"Url": URL, "Format": "OVA"}]},
            "UnsupportedOperation",
            "DiskContainer.1.Format",
        ),
        ({"DiskContainers": [{"Url": URL, "Format": "ISO"}]}, "InvalidParameterValue", "format"),
        (
            {"DiskContainers": [{"SnapshotId": "snap-01234567"}]},
            "UnsupportedOperation",
            "DiskContainer.1.SnapshotId",
        ),
        (
            {"DiskContainers": [{"Url": URL, "UserBucket": {"S3Bucket": "b"}}]},
            "InvalidParameterCombination",
            "userBucket",
        ),
        ({"Architecture": "arm64"}, "UnsupportedOperation", "Architecture"),
        ({"Hypervisor": "kvm"}, "UnsupportedOperation", "Hypervisor"),
        ({"Encrypted": True}, "UnsupportedOperation", "Encrypted"),
        ({"KmsKeyId": "alias/aws/ebs"}, "UnsupportedOperation", "KmsKeyId"),
        ({"LicenseType": "AWS"}, "UnsupportedOperation", "LicenseType"),
        ({"Platform": "BeOS"}, "InvalidParameterValue", "platform"),
        ({"BootMode": "floppy"}, "InvalidParameterValue", "bootMode"),
        ({"UsageOperation": "RunInstances:0800"}, "UnsupportedOperation", "UsageOperation"),
        (
            {"UsageOperation": "RunInstances:0002", "Platform": "Linux"},
            "UnsupportedOperation",
            "UsageOperation",
        ),
        ({"Description": "d" * 256}, "InvalidParameterValue", "description"),
        (
            {"TagSpecifications": [{"ResourceType": "image", "Tags": [TAG]}]},
            "InvalidParameterValue",
            "image",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    gateway: InProcess, more: Any, code: str, named: str
) -> None:
    refused = gateway.refusal("ImportImage", **{**image(), **more})
    assert refused[:2] == (code, 400)
    assert named in refused[2]


def test_what_changes_nothing_is_taken(gateway: InProcess) -> None:
    neutral: dict[str, Any] = {
        "Architecture": "x86_64",
        "Hypervisor": "xen",
        "RoleName": "vmimport",
        "LicenseType": "auto",
        "ClientData": {"Comment": "none", "UploadSize": 1.0},
        "UsageOperation": "RunInstances",
    }
    made = gateway.call("ImportImage", **image(**neutral))
    assert (made["Platform"], made["UsageOperation"]) == ("Linux", "RunInstances")


def test_so_many_imports_of_an_account_go_on_at_a_time(
    gateway: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MOST", 2)
    made = [gateway.call("ImportSnapshot", **snapshot())["ImportTaskId"] for _ in range(2)]
    assert gateway.refusal("ImportSnapshot", **snapshot())[0] == "ResourceLimitExceeded"
    gateway.call("ImportSnapshot", by=gateway.stranger, **snapshot())
    gateway.call("CancelImportTask", ImportTaskId=made[0])
    gateway.call("ImportSnapshot", **snapshot())


# -- described


PHASES: Mapping[guests.ImportPhase, tuple[str, str | None]] = {
    "queued": ("active", "pending"),
    "fetching": ("active", "downloading/converting"),
    "converting": ("active", "converting"),
    "sending": ("active", "updating"),
    "verifying": ("active", "validating"),
    "completed": ("completed", None),
    "cancelled": ("deleted", None),
    "failed": ("deleted", None),
}


@pytest.mark.parametrize("action", ASKED)
@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_shows_in_words_of_ec2(
    gateway: InProcess, action: str, phase: guests.ImportPhase
) -> None:
    task_id = gateway.call(action, **ASKED[action]())["ImportTaskId"]
    change(gateway, task_id, phase=phase, progress=42)
    state, message = PHASES[phase]
    shown = described(gateway, task_id)
    told = shown.get("SnapshotTaskDetail", shown)
    assert (told["Status"], told.get("StatusMessage")) == (state, message)
    assert told.get("Progress") == ("42" if state == "active" else None)
    listing = action.replace("Import", "DescribeImport") + "Tasks"
    for word in ("active", "completed", "deleting", "deleted"):
        wanted = [{"Name": "task-state", "Values": [word]}]
        found = gateway.call(listing, Filters=wanted)[f"{action}Tasks"]
        assert [one["ImportTaskId"] for one in found] == ([task_id] if word == state else [])


@pytest.mark.parametrize("action", ASKED)
def test_tasks_are_their_accounts_and_come_in_pages(gateway: InProcess, action: str) -> None:
    made = [gateway.call(action, **ASKED[action]())["ImportTaskId"] for _ in range(6)]
    listing = action.replace("Import", "DescribeImport") + "Tasks"
    first = gateway.call(listing, MaxResults=5)
    rest = gateway.call(listing, MaxResults=5, NextToken=first["NextToken"])
    pages = [*first[f"{action}Tasks"], *rest[f"{action}Tasks"]]
    assert [one["ImportTaskId"] for one in pages] == made
    assert gateway.call(listing, by=gateway.stranger)[f"{action}Tasks"] == []
    named = {"ImportTaskIds": made[:1]}
    assert gateway.refusal(listing, by=gateway.stranger, **named)[0] == "InvalidConversionTaskId"
    assert gateway.refusal(listing, ImportTaskIds=["import-i-ffffffff"])[0] == (
        "InvalidConversionTaskId.Malformed"
    )


# -- cancelled


@pytest.mark.parametrize("action", ASKED)
@pytest.mark.parametrize("phase", sorted(guests.IMPORT_WORKING - {"sending", "verifying"}))
def test_a_task_under_way_is_cancelled(
    gateway: InProcess, action: str, phase: guests.ImportPhase
) -> None:
    task_id = gateway.call(action, **ASKED[action]())["ImportTaskId"]
    change(gateway, task_id, phase=phase)
    answer = gateway.call("CancelImportTask", ImportTaskId=task_id, CancelReason="changed my mind")
    assert (answer["ImportTaskId"], answer["PreviousState"], answer["State"]) == (
        task_id,
        "active",
        "deleting",
    )
    shown = described(gateway, task_id)
    told = shown.get("SnapshotTaskDetail", shown)
    assert (told["Status"], told["StatusMessage"]) == ("deleted", "changed my mind")
    with gateway.store.read() as session:
        task = row_of(session, task_id)
        assert imports.is_cancelled(session, task)
        assert task.ended_at is not None
    assert not gateway.store.write(
        lambda session: imports.note(session, task, phase="converting", progress=60, now=NOW)
    )


@pytest.mark.parametrize("phase", ["completed", "cancelled", "failed"])
def test_what_has_ended_is_not_cancelled(gateway: InProcess, phase: str) -> None:
    task_id = gateway.call("ImportImage", **image())["ImportTaskId"]
    change(gateway, task_id, phase=phase)
    assert gateway.refusal("CancelImportTask", ImportTaskId=task_id)[0] == "IncorrectState"


def test_a_task_is_cancelled_by_its_owner_alone(gateway: InProcess) -> None:
    task_id = gateway.call("ImportImage", **image())["ImportTaskId"]
    refused = gateway.refusal("CancelImportTask", by=gateway.stranger, ImportTaskId=task_id)
    assert refused[0] == "InvalidConversionTaskId"
    assert gateway.refusal("CancelImportTask", ImportTaskId="import-vm-1")[0] == (
        "InvalidConversionTaskId.Malformed"
    )
    assert gateway.refusal("CancelImportTask")[0] == "MissingParameter"
    assert detail(described(gateway, task_id))["Url"] == URL
    assert described(gateway, task_id)["Status"] == "active"
