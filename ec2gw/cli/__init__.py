"""The command line: what an operator does. Each group of commands is a module of its own.

Source: click, "Commands and Groups"; docs/operations.md.
"""

from __future__ import annotations

import sys

import click

from ec2gw.cli import account, host, image, serve
from ec2gw.cli.opening import Failed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ec2gw")
def commands() -> None:
    """An EC2-compatible API over Microsoft Hyper-V."""


for group in (serve, account, host, image):
    for command in group.COMMANDS:
        commands.add_command(command)


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
