"""`ec2gw serve`, `ec2gw lab`: running the service. Imports little, so that it starts soon."""

from __future__ import annotations

from pathlib import Path

import click

from ec2gw import config, logs, supervise
from ec2gw.cli.options import Failed, configured, data_option, text
from state import trouble


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
        "data": text(data),
        "auth": auth,
        "behind_tls_proxy": behind_tls_proxy,
        "tls.certificate": text(tls_cert),
        "tls.key": text(tls_key),
    }
    resolved = configured(file, **given)
    logs.begin("serve", resolved.log_level)
    try:
        return supervise.serve(resolved, lambda line: click.echo(line))
    except (supervise.Refused, trouble.Unusable) as error:
        raise Failed(str(error)) from None


@click.command()
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:0", help="Loopback only.")
@data_option
def lab(listen: str, data: Path | None, file: Path | None) -> int:
    """Run the laboratory of simulated Hyper-V hosts by itself."""
    from ec2gw.lab import serve as laboratory  # heavy, and no other command needs it

    resolved = configured(file, data=text(data))
    return laboratory.main(["--data", str(resolved.data), "--listen", listen])


COMMANDS = (serve, lab)
