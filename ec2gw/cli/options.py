"""What every command takes, and how one says that it cannot. Touches no state.

Source: docs/operations.md, "Configuration".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ec2gw import config

F = TypeVar("F", bound=Callable[..., Any])


class Failed(Exception):
    """The command cannot do it; one line says why."""


def data_option(command: F) -> F:
    """Give a command `--data` and `--config`, which every one has that touches the state."""
    for option in (
        click.option("--config", "file", type=click.Path(path_type=Path), help="TOML file."),
        click.option("--data", type=click.Path(path_type=Path), help="Data folder."),
    ):
        command = option(command)
    return command


def configured(file: Path | None, **given: object) -> config.Config:
    """Read the configuration; what was not given on the command line is None here."""
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return config.load(file, given=chosen)
    except config.Invalid as error:
        raise Failed(str(error)) from None


def text(path: Path | None) -> str | None:
    """A path as the configuration takes it."""
    return None if path is None else str(path.absolute())
