"""`ec2gw image import` where it cannot even begin, and what it calls an image."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ec2gw import cli
from ec2gw.cli import bars, importing
from ec2gw.cli.opening import Failed
from ec2gw.engine.lock import FileLock
from tests.unit.import_scene import Scene, make, raw, scene
from tests.unit.outside_disks import needs_qemu_img

__all__ = ["make", "raw", "scene"]  # fixtures


def why(scene: Scene, *arguments: str) -> str:
    done = CliRunner().invoke(
        cli.commands, ["image", "import", *arguments], env={"EC2GW_DATA": str(scene.config.data)}
    )
    assert isinstance(done.exception, Failed), done.output
    return str(done.exception)


def test_without_a_running_service_it_says_so(scene: Scene, raw: Path) -> None:
    assert "no service runs" in why(scene, str(raw), "debian-12")


@needs_qemu_img
def test_without_a_depot_it_says_what_is_not_configured(scene: Scene, raw: Path) -> None:
    lock = FileLock(scene.config.run / "serve.lock")  # as a service holds it
    try:
        assert "[depot] is not configured" in why(scene, str(raw), "debian-12")
    finally:
        lock.release()
    assert not (scene.config.data / "intake").exists()


def test_without_qemu_img_it_says_what_to_install(
    scene: Scene, raw: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    lock = FileLock(scene.config.run / "serve.lock")
    try:
        assert "qemu-utils" in why(scene, str(raw), "debian-12")
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/images/debian-12-amd64.qcow2", "debian-12-amd64"),
        ("https://host/path/web%20server.vhdx?sig=1.2#x", "web server"),
        ("/images/no#1.raw", "no-1"),
        ("disk", "disk"),
        ("/images/" + "x" * 200 + ".raw", "x" * 128),
    ],
)
def test_an_image_is_called_as_its_file(source: str, name: str) -> None:
    assert importing._name_of(source) == name


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with bars.Bars() as shown:
        for done in range(3):
            shown.tell("fetching", done, None)
        shown.tell("converting", 1, 2)
    assert capsys.readouterr().err.splitlines() == ["fetching", "converting"]
    assert bars._figures(3_000_000, None, 2.0) == "3.0 MB, 1.5 MB/s"
