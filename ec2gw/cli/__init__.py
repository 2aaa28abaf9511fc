"""The command line: what an operator does. Each group of commands is a module of its own.

Source: click, "Commands and Groups"; docs/operations.md.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from ec2gw.cli.options import Failed

_MODULES: Final = (
    *("serve", "env", "account", "host", "image", "snapshot", "report", "backup", "doctor"),
)
"""In the order of the help; `serve` comes first, and is found without importing the others."""


class _Modules(click.Group):
    """Commands of modules that are imported when they are looked for."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        for module in _MODULES:
            for command in _commands(module):
                if command.name == name:
                    return command
        return None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.name or "" for module in _MODULES for command in _commands(module)]


def _commands(module: str) -> tuple[click.Command, ...]:
    found: tuple[click.Command, ...] = importlib.import_module(f"ec2gw.cli.{module}").COMMANDS
    return found


@click.group(cls=_Modules, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ec2gw")
def commands() -> None:
    """An EC2-compatible API over Microsoft Hyper-V."""


def main() -> int:
    """Run the command of this process's arguments; one line says what went wrong."""
    try:
        status = commands.main(prog_name="ec2gw", standalone_mode=False)
    except Failed as failed:
        print(f"ec2gw: {failed}", file=sys.stderr)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    return status if isinstance(status, int) else 0
