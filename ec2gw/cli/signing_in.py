"""What `ec2gw host add` sees to before a host is written down: the way in, its files, its secret.

Source: docs/operations.md, "Hosts".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ec2gw.cli.opening import Failed
from ec2gw.winrm import endpoint

SECRET_VARIABLE = "EC2GW_HOST_SECRET"


def checked(
    url: str, transport: str, username: str | None, options: Mapping[str, Any]
) -> endpoint.HostAddress:
    """Hold the way in against the policy, and its files against what will be done with them.

    :raises Failed: with what to do instead
    """
    from ec2gw.winrm import kerberos, tls  # heavy, and no other command needs them

    try:
        way_in = endpoint.HostAddress(
            url, endpoint.transport(transport), username or "", **dict(options)
        )
        tls.check(way_in)
        if way_in.transport == "kerberos":
            kerberos.credential(way_in, None)
            if lacking := kerberos.missing():
                click.echo(f"warning: {lacking}", err=True)
    except (endpoint.NotAllowed, tls.Unfit, kerberos.Failure) as error:
        raise Failed(str(error)) from None
    for file in (way_in.key_file, way_in.keytab_file):
        _warn_if_others_read(file)
    return way_in


def secret(name: str, file: Path | None) -> str:
    """Read the password from where no other process can see it.

    :raises Failed: it is not there, or empty
    """
    if file is not None:
        try:
            found = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"{file}: {error}") from None
        _warn_if_others_read(str(file))
    elif SECRET_VARIABLE in os.environ:
        found = os.environ[SECRET_VARIABLE]
    else:
        found = click.prompt(f"password on {name}", hide_input=True, err=True)
    if not found:
        raise Failed("the password is empty")
    return found


def _warn_if_others_read(file: str | None) -> None:
    if file is not None and os.name == "posix" and Path(file).stat().st_mode & stat.S_IRWXO:
        click.echo(f"warning: everybody here can read {file}: chmod o= {file}", err=True)
