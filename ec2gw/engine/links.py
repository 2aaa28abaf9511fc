"""Makes the link to a host out of its row.

Source: docs/architecture.md, "The host link".
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from ec2gw.winrm import endpoint, ledger, pool
from state import models, secrets
from translators.hyperv import allowed


def address(host: models.Host, vault: secrets.Vault) -> endpoint.HostAddress:
    """Say where a host is and how we sign in there; the password is opened at each sign-in."""
    options = host.options
    name, sealed = host.name, host.secret

    def password() -> str:
        assert sealed is not None
        return vault.open(sealed, secrets.host_context(name)).decode()

    return endpoint.HostAddress(
        url=host.url,
        transport=endpoint.transport(host.transport),
        username=host.username or "",
        password=password if sealed is not None else None,
        ca_file=options.get("ca_file"),
        certificate_file=options.get("certificate_file"),
        key_file=options.get("key_file"),
        keytab_file=options.get("keytab_file"),
        allow_ntlm_over_http=bool(options.get("allow_ntlm_over_http", False)),
        laboratory=host.laboratory,
    )


def way(host: models.Host) -> tuple[object, ...]:
    """All that a link is made of: when it changes, the link has to be made anew."""
    options = repr(sorted(host.options.items()))
    return host.url, host.transport, host.username, host.secret, options, host.root


def make(
    session: Session,
    vault: secrets.Vault,
    host_key: int,
    epoch: int,
    run_folder: Path | None = None,
) -> pool.HostLink:
    """Open the link of a host for a driver of that epoch.

    `run_folder`: where the driver of this host, and it alone, notes its shells.
    """
    host = session.get_one(models.Host, host_key)
    return pool.HostLink(
        address(host, vault),
        root=host.root,
        modules=allowed.MODULES,
        allowed=allowed.ALLOWED,
        paths=allowed.PATHS,
        epoch=epoch,
        name=host.name,
        shells=ledger.Ledger(run_folder / f"shells-{host_key}.json") if run_folder else None,
    )
