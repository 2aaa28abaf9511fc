"""`ec2gw env`: pointing tools at the service."""

from __future__ import annotations

from pathlib import Path

import click

from ec2gw import inventory, supervise
from ec2gw.auth import accounts
from ec2gw.cli.opening import Failed, configured, data_option, opened
from ec2gw.cli.options import text


@click.command()
@data_option
def env(data: Path | None, file: Path | None) -> None:
    """Print the lines that point AWS tools at the service as the default account."""
    resolved = configured(file, data=text(data))
    with opened(resolved) as (store, vault):
        credentials = accounts.credentials(store, vault)
        region = inventory.usual_region(store)
    if credentials is None:
        raise Failed("the default account has no active access key")
    try:
        endpoint = (resolved.run / supervise.ENDPOINT).read_text().strip()
    except FileNotFoundError:
        endpoint = supervise.url(resolved, resolved.port)
    for line in supervise.environment(endpoint, credentials, region):
        click.echo(line)


COMMANDS = (env,)
