"""`ec2gw image add` and `image set`: how guests of one image are told what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from ec2gw import cli, config, inventory
from ec2gw.cli.options import Failed
from state import models

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        environ = {"EC2GW_DATA": str(data), "COLUMNS": "200"}
        return CliRunner().invoke(cli.commands, arguments, env=environ)

    return invoke


def add(run: Run, *arguments: str, name: str = "windows-2025") -> str:
    done = run("image", "add", "w.vhdx", name, "--no-check", "--size-gib", "30", *arguments)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def said(data: Path, image_id: str) -> Any:
    store, _vault = inventory.open_state(config.load(None, {}, {"data": str(data)}), migrate=False)
    try:
        with store.read() as session:
            return session.scalar(sa.select(models.Image.guest).where(models.Image.id == image_id))
    finally:
        store.close()


def test_an_image_says_only_what_its_operator_said_of_it(run: Run, data: Path) -> None:
    assert said(data, add(run)) == {}
    other = add(run, "--seed", "nocloud", "--no-imds", "--no-smbios-ec2", name="other")
    assert said(data, other) == {"seed": "nocloud", "imds": False, "smbios_ec2": False}


def test_what_was_said_is_added_to_shown_and_forgotten(run: Run, data: Path) -> None:
    image_id = add(run, "--no-imds")
    shown = run("image", "set", "windows-2025", "--eject-seed-after", "never").output
    assert said(data, image_id) == {"imds": False, "eject_seed_after": "never"}
    assert shown.splitlines() == [
        "seed = auto (as configured)",
        "imds = off",
        "smbios_ec2 = on (as configured)",
        "eject_seed_after = never",
        "bare_seed = on (as configured)",
    ]
    assert run("image", "set", image_id).output == shown  # nothing is said, nothing changes
    run("image", "set", image_id, "--as-usual", "--seed", "none")
    assert said(data, image_id) == {"seed": "none"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--eject-seed-after", "soon"), "seconds, first-heartbeat or never"),
        (("--eject-seed-after", "-1"), "seconds, first-heartbeat or never"),
        (("--seed", "floppy"), "floppy"),
    ],
)
def test_what_no_knob_can_be_is_refused(run: Run, arguments: tuple[str, ...], told: str) -> None:
    add(run)
    done = run("image", "set", "windows-2025", *arguments)
    assert done.exit_code == 2
    assert told in done.output


def test_an_image_that_is_not_there_or_not_alone_is_not_changed(run: Run) -> None:
    add(run)
    add(run, "--private")
    missing = run("image", "set", "nothing", "--no-imds").exception
    assert isinstance(missing, Failed)
    assert "no image nothing" in str(missing)
    several = run("image", "set", "windows-2025", "--no-imds").exception
    assert isinstance(several, Failed)
    assert "several images" in str(several)
