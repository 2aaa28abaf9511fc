"""The way into a host, as `ec2gw host add` and `sign-in` take it: options, files, the secret.

Source: docs/operations.md, "Hosts".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from ec2gw.cli.options import F, Failed
from ec2gw.winrm import endpoint
from state import models
from state.secrets import Vault, host_context

SECRET_VARIABLE = "EC2GW_HOST_SECRET"
_FILES: Final = {
    "ca_file": "PEM of who signed the host's certificate, or that itself.",
    "certificate_file": "Ours in PEM, to sign in by it.",
    "key_file": "Its key in PEM.",
    "keytab_file": "For Kerberos without a password.",
}


@dataclass(frozen=True, slots=True)
class Way:
    """A way into a host that may be written down."""

    url: str
    transport: str
    username: str | None
    secret: str | None
    options: Mapping[str, Any]

    def write(self, host: models.Host, vault: Vault) -> None:
        host.url, host.transport, host.username = self.url, self.transport, self.username
        host.options = dict(self.options)
        sealed = None
        if self.secret is not None:
            sealed = vault.seal(self.secret.encode(), host_context(host.name))
        host.secret = sealed


def options(command: F) -> F:
    """Give a command the options that `way` reads."""
    kinds = ["kerberos", "ntlm", "certificate", "basic"]
    secret_help = f"Its password; else ${SECRET_VARIABLE}, else it is asked for."
    told = [
        click.option("--url", help="https://HOST:5986/wsman or http://HOST:5985/wsman"),
        click.option("--transport", type=click.Choice(kinds), help="[default: kerberos]"),
        click.option("--username", help="The account on the host."),
        click.option("--secret-file", type=click.Path(path_type=Path), help=secret_help),
        *(
            click.option(f"--{name.replace('_', '-')}", type=click.Path(exists=True), help=text)
            for name, text in _FILES.items()
        ),
        click.option(
            "--allow-ntlm-over-http",
            is_flag=True,
            default=None,
            help="Messages are encrypted by NTLM.",
        ),
    ]
    for option in reversed(told):
        command = option(command)
    return command


def way(name: str, told: Mapping[str, Any], before: models.Host | None = None) -> Way:
    """Read the options; what is not told stays as it is, unless the transport is another.

    The way is held against the policy, and its files against what will be done with them, before
    a password is asked for.

    :raises Failed: with what to do instead
    """
    kept = _kept(told, before) if before is not None else {"transport": "kerberos"}
    given = {
        key: value for key, value in told.items() if value is not None and key != "secret_file"
    }
    given |= {key: str(Path(given[key]).absolute()) for key in _FILES if key in given}
    wanted = kept | given
    if "url" not in wanted:
        raise Failed("where is it? --url https://HOST:5986/wsman")
    checked = _checked(wanted)
    secret = _secret(name, told["secret_file"]) if checked.takes_password else None
    if told["secret_file"] is not None and secret is None:
        raise Failed("a password is not used to sign in this way: leave --secret-file out")
    url, transport = wanted.pop("url"), wanted.pop("transport")
    username = wanted.pop("username", None)
    return Way(url, transport, username, secret, {key: one for key, one in wanted.items() if one})


def _kept(told: Mapping[str, Any], before: models.Host) -> dict[str, Any]:
    """What of the way before goes with what is told of the new one."""
    kept = {"username": before.username, **before.options}
    if told["transport"] not in (None, before.transport):
        kept = {key: one for key, one in kept.items() if key == "ca_file"}
    kept |= {"url": before.url, "transport": before.transport}
    if not (told["url"] or before.url).startswith("https:"):
        kept.pop("ca_file", None)
    if told["secret_file"] is not None:
        kept.pop("keytab_file", None)
    return kept


def _checked(wanted: Mapping[str, Any]) -> endpoint.HostAddress:
    from ec2gw.winrm import kerberos, tls  # heavy, and no other command needs them

    try:
        address = endpoint.HostAddress(**{**wanted, "username": wanted.get("username") or ""})
        tls.check(address)
        if address.transport == "kerberos":
            kerberos.credential(address, None)
            if lacking := kerberos.missing():
                click.echo(f"warning: {lacking}", err=True)
    except (endpoint.NotAllowed, tls.Unfit, kerberos.Failure) as error:
        raise Failed(str(error)) from None
    for file in (address.key_file, address.keytab_file):
        _warn_if_others_read(file)
    return address


def _secret(name: str, file: Path | None) -> str:
    """Read the password from where no other process can see it."""
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
