"""`ec2gw serve`, `ec2gw env`, `ec2gw lab`: running the service and pointing tools at it."""

from __future__ import annotations

from pathlib import Path

import click

from ec2gw import config, inventory, logs, supervise
from ec2gw.auth import accounts
from ec2gw.cli.opening import Failed, configured, data_option, opened
from state import schema, secrets


@click.command()
@click.option("--listen", metavar="HOST:PORT", help=f"Default {config.DEFAULT_LISTEN}.")
@data_option
@click.option("--auth", type=click.Choice(["signed", "open"]), help="Default signed.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="PEM file with the chain.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="PEM file, PKCS#8.")
@click.option(
    "--behind-tls-proxy", is_flag=True, default=None, help="A proxy in front of it speaks TLS."
)
def serve(
    listen: str | None,
    data: Path | None,
    file: Path | None,
    auth: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    behind_tls_proxy: bool | None,
) -> int:
    """Serve the API, and drive the hosts; without any host, the embedded laboratory.

    Prints lines to paste into a shell, then `ready: URL`. SIGTERM ends it.
    """
    given = {
        "listen": listen,
        "data": _text(data),
        "auth": auth,
        "behind_tls_proxy": behind_tls_proxy,
        "tls.certificate": _text(tls_cert),
        "tls.key": _text(tls_key),
    }
    resolved = configured(file, **given)
    logs.begin("serve", resolved.log_level)
    try:
        return supervise.serve(resolved, lambda line: click.echo(line))
    except (supervise.Refused, schema.Newer, secrets.KeyFileUnusable) as error:
        raise Failed(str(error)) from None


@click.command()
@data_option
def env(data: Path | None, file: Path | None) -> None:
    """Print the lines that point AWS tools at the service as the default account."""
    resolved = configured(file, data=_text(data))
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


@click.command()
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:0", help="Loopback only.")
@data_option
def lab(listen: str, data: Path | None, file: Path | None) -> int:
    """Run the laboratory of simulated Hyper-V hosts by itself."""
    from ec2gw.lab import serve as laboratory  # heavy, and no other command needs it

    resolved = configured(file, data=_text(data))
    return laboratory.main(["--data", str(resolved.data), "--listen", listen])


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


COMMANDS = (serve, env, lab)
