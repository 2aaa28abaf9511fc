"""Disks from outside, the whole way: by the command and by the API, to an instance that runs."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ec2gw import cli
from ec2gw.cli.opening import Failed
from tests.gateway import Gateway, clean_environment, wait_until
from tests.unit.outside_disks import MIB, linux, made, needs_qemu_img, qemu_img
from tests.unit.outside_server import Outside, serving

pytestmark = needs_qemu_img


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def importing(
    tmp_path_factory: pytest.TempPathFactory, outside: Outside, quick: dict[str, str]
) -> Iterator[Gateway]:
    """A gateway that fetches disks from the server outside, and from nowhere else."""
    folder = tmp_path_factory.mktemp("importing")
    file = folder / "ec2gw.toml"
    file.write_text(f'[intake]\nprefixes = ["{outside.url}/disks/"]\nspare_gib = 0\n')
    with Gateway(folder / "data", "--config", str(file), environ=quick) as running:
        yield running


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disks")
    raw = folder / "disk.raw"
    raw.write_bytes(linux())
    return made(raw, "qcow2", folder / "debian 12 (cloud).qcow2")


def command(gateway: Gateway, *arguments: str) -> list[str]:
    data = ("--data", str(gateway.data))
    return [sys.executable, "-m", "ec2gw", "image", "import", *arguments, *data]


def run(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(gateway, *arguments),
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def left(gateway: Gateway) -> list[str]:
    return os.listdir(gateway.data / "intake")


def test_a_file_becomes_an_image_from_which_an_instance_runs(
    importing: Gateway, disk: Path
) -> None:
    done = run(importing, str(disk))
    assert done.returncode == 0, done.stderr
    image_id = done.stdout.strip()
    assert done.stderr.splitlines()[:4] == [
        "looking",
        "converting",
        "reading",
        "generation 2; linux",
    ]
    client = importing.client()
    (image,) = client.describe_images(ImageIds=[image_id])["Images"]
    assert (image["Name"], image["State"], image["Public"]) == (
        "debian 12 (cloud)",
        "available",
        True,
    )
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 1
    made_ = client.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)["Instances"][0]
    client.get_waiter("instance_running").wait(
        InstanceIds=[made_["InstanceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    assert left(importing) == []


def test_a_url_by_hand_needs_no_prefix(importing: Gateway, outside: Outside, disk: Path) -> None:
    outside.gives("/elsewhere/web.qcow2?signature=1", disk.read_bytes())
    done = run(importing, f"{outside.url}/elsewhere/web.qcow2?signature=1", "--no-wait")
    assert done.returncode == 0, done.stderr
    image_id = done.stdout.strip()
    client = importing.client()
    client.get_waiter("image_available").wait(
        ImageIds=[image_id], WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    (image,) = client.describe_images(ImageIds=[image_id])["Images"]
    assert image["Name"] == "web"


def test_what_cannot_be_imported_is_said_in_one_line_and_leaves_nothing(
    importing: Gateway, disk: Path, tmp_path: Path
) -> None:
    backed, cut, noise = tmp_path / "backed", tmp_path / "cut", tmp_path / "noise"
    qemu_img("create", "-f", "qcow2", "-b", disk, "-F", "qcow2", backed)
    cut.write_bytes(disk.read_bytes()[: disk.stat().st_size // 3])
    noise.write_bytes(b"\x17" * 777)
    named = ("--name", "not made")
    for arguments, said in (
        ((str(backed),), "has a backing file"),
        ((str(cut),), "truncated"),
        ((str(noise),), "no disk"),
        (("/dev/zero",), "no plain file"),
        ((str(tmp_path / "none"),), "no such file"),
        ((str(disk), "--format", "raw", *named), "is qcow2, not raw"),
        (("ftp://127.0.0.1/disk",), "http"),
        (("http://127.0.0.1:1/disk",), "nobody answers"),
        (("http://169.254.169.254/latest/",), "may come from"),
        ((str(disk), "one", "--name", "two"), "two names"),
        ((str(disk), "x"), "no image name"),
    ):
        given = (*arguments, *(() if len(arguments) > 1 else named))
        done = CliRunner().invoke(
            cli.commands, ["image", "import", *given], env={"EC2GW_DATA": str(importing.data)}
        )
        assert isinstance(done.exception, Failed), (given, done.output)
        assert said in str(done.exception)
        assert "\n" not in str(done.exception)
    assert left(importing) == []
    names = [one["Name"] for one in importing.client().describe_images()["Images"]]
    assert "not made" not in names


def test_ctrl_c_cancels_and_leaves_nothing(
    importing: Gateway, outside: Outside, disk: Path
) -> None:
    outside.drips("/elsewhere/slow", b"x", 20, 10 * MIB)
    process = subprocess.Popen(
        command(importing, f"{outside.url}/elsewhere/slow", "--name", "never"),
        env=clean_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        wait_until(lambda: any("slow" in path for path, _ in outside.asked), 20)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "cancelled; nothing of it is left"
    assert left(importing) == []
    tasks = importing.client().describe_import_image_tasks()["ImportImageTasks"]
    assert not [one for one in tasks if one["Status"] == "active"]


def test_on_a_terminal_there_is_a_bar(importing: Gateway, disk: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(importing, str(disk), "barred"),
        env={**clean_environment(), "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with process:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how a terminal says that nobody is there any more
                break
            if not piece:
                break
            shown += piece
        process.wait(30)
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    for words in ("converting", "sending", "MiB", "━"):
        assert words in shown.decode()


def _ended(client: Any, task_id: str) -> Any:
    def task() -> Any:
        (found,) = client.describe_import_image_tasks(ImportTaskIds=[task_id])["ImportImageTasks"]
        return found

    wait_until(lambda: task()["Status"] not in ("active", "deleting"), 60)
    return task()


def test_an_account_imports_from_where_it_may_and_from_nowhere_else(
    importing: Gateway, outside: Outside, disk: Path
) -> None:
    outside.gives("/disks/web.vhd", made_vhd(disk))
    outside.redirects("/disks/away", f"{outside.url}/elsewhere/secret")
    client = importing.client()
    begun = client.import_image(
        DiskContainers=[{"Format": "VHD", "Url": f"{outside.url}/disks/web.vhd"}]
    )
    task = _ended(client, begun["ImportTaskId"])
    assert task["Status"] == "completed", task
    (image,) = client.describe_images(ImageIds=[task["ImageId"]])["Images"]
    assert image["State"] == "available"
    away = client.import_image(
        DiskContainers=[{"Format": "RAW", "Url": f"{outside.url}/disks/away"}]
    )
    task = _ended(client, away["ImportTaskId"])
    assert task["Status"] in ("deleted", "failed"), task
    assert "may come from" in task["StatusMessage"]
    assert not [path for path, _ in outside.asked if path.endswith("secret")]
    assert left(importing) == []


def made_vhd(disk: Path) -> bytes:
    target = disk.with_name("web.vhd")
    qemu_img("convert", "-f", "qcow2", "-O", "vpc", disk, target)
    return target.read_bytes()
