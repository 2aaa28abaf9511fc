"""The files of a NoCloud disc, which cloud-init reads: names, keys, user data, addresses.

What is YAML there is written as JSON, which is YAML too and leaves nothing to quote by hand. All of
it is ASCII: the form that JSON has for other characters is not YAML's.

Source: cloud-init's documentation, "NoCloud" and "Networking config Version 2".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from translators.guests.facts import Facts, Interface
from translators.settings import Settings

LABEL: Final = "cidata"
METADATA: Final = "169.254.169.254/32"

VENDOR_DATA: Final = "#cloud-config\n" + json.dumps({"manage_etc_hosts": "localhost"}) + "\n"
"""The guest knows its own name where no name server does: `sudo` looks it up. Only that line of
/etc/hosts is kept so; what users say wins."""


def files(facts: Facts, settings: Settings) -> dict[str, bytes]:
    """The disc's files by name."""
    return {
        "meta-data": _written(_meta_data(facts)),
        "user-data": user_data(facts),
        "vendor-data": VENDOR_DATA.encode(),
        "network-config": _written(_network_config(facts, settings)),
    }


def user_data(facts: Facts) -> bytes:
    """User data as cloud-init acts on it on EC2: what somebody encoded twice is decoded.

    Its EC2 datasource does that itself, to what is Base64 from end to end; that of a disc does not.
    """
    given = facts.user_data or b""
    try:
        return base64.b64decode(given, validate=True)
    except binascii.Error:
        return given


def authorized_keys(facts: Facts) -> dict[str, str]:
    """The key pair's line of authorized_keys, by the key's name; empty where there is none."""
    if facts.public_key is None:
        return {}
    name = facts.key_name or ""
    return {name or "key": f"{facts.public_key} {name}".rstrip()}


def metadata_via(facts: Facts, settings: Settings) -> str | None:
    """Through which neighbour the guest reaches its metadata; None: there is none, or its router.

    A route without one, to a neighbour of its own, is in no words that all systems have.
    """
    return settings.metadata_routes.get(facts.interfaces[0].network) if facts.guest.imds else None


def _meta_data(facts: Facts) -> dict[str, Any]:
    return {
        "instance-id": facts.id,
        "local-hostname": facts.hostname,
        # A list: cloud-init does not look into a mapping of names here.
        "public-keys": list(authorized_keys(facts).values()),
        # Which parts of user data are for which of several instances launched at once.
        "launch-index": facts.launch_index,
        # What its EC2 datasource calls so too; templates in user data ask for them.
        "ami-launch-index": facts.launch_index,
        "availability-zone": facts.zone,
        "region": facts.region,
    }


def _network_config(facts: Facts, settings: Settings) -> dict[str, Any]:
    return {
        "version": 2,
        "ethernets": {
            # Known by its MAC address; the name is what the guest's kernel gives most likely.
            f"eth{number}": _ethernet(facts, settings, one)
            for number, one in enumerate(facts.interfaces)
        },
    }


def _ethernet(facts: Facts, settings: Settings, interface: Interface) -> dict[str, Any]:
    said: dict[str, Any] = {
        "match": {"macaddress": interface.mac},
        "dhcp4": False,
        "dhcp6": False,
        "addresses": [f"{interface.private_ip}/{interface.prefix_length}"],
    }
    if interface is not facts.interfaces[0]:
        return said  # one default route, one list of name servers: the primary interface's
    # As a route it would need a program, `route`, that not every image with ifupdown has.
    said["gateway4"] = interface.router
    if (via := metadata_via(facts, settings)) is not None:
        said["routes"] = [{"to": METADATA, "via": via}]
    if interface.dns:
        said["nameservers"] = {"addresses": list(interface.dns), "search": [facts.domain]}
    return said


def _written(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode("ascii") + b"\n"
