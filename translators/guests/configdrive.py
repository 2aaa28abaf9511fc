"""The files of a config drive, version 2, which cloudbase-init reads first, and cloud-init as well.

Source: OpenStack Nova's documentation, "Config drives" and "Metadata" (network_data.json);
cloudbase-init's documentation, "OpenStack (configuration drive)".
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final

from translators.guests import nocloud
from translators.guests.facts import Facts, Interface
from translators.settings import Settings

LABEL: Final = "config-2"
_LATEST: Final = "openstack/latest"


def files(facts: Facts, settings: Settings, password: str | None) -> dict[str, bytes]:
    """The drive's files by path; `password` is the administrator's, if we make it."""
    made = {
        "meta_data.json": written(meta_data(facts, password)),
        "network_data.json": written(network_data(facts, nocloud.metadata_via(facts, settings))),
    }
    if facts.platform != "windows":
        made["user_data"] = nocloud.user_data(facts)
        made["vendor_data.json"] = written({"cloud-init": nocloud.VENDOR_DATA})
    elif facts.user_data is not None:
        made["user_data"] = facts.user_data  # nothing on Windows decodes it again
    return {f"{_LATEST}/{name}": content for name, content in made.items()}


def meta_data(facts: Facts, password: str | None) -> dict[str, Any]:
    """What OpenStack calls meta data; `password` is the administrator's, if we make it."""
    content: dict[str, Any] = {
        # Both take it for the instance's id; OpenStack's are UUIDs, nobody asks for one.
        "uuid": facts.id,
        "hostname": facts.hostname,
        "name": facts.hostname.partition(".")[0],
        "launch_index": facts.launch_index,
        "availability_zone": facts.zone,
        "project_id": facts.account_id,
    }
    if keys := nocloud.authorized_keys(facts):
        content["public_keys"] = keys
    if password is not None:
        content["meta"] = {"admin_pass": password}
    return content


def network_data(facts: Facts, metadata_via: str | None = None) -> dict[str, Any]:
    """The guest's adapters with their addresses, as OpenStack writes them.

    `metadata_via` is the neighbour that the way to the metadata service goes through.
    """
    return {
        "links": [
            {
                "id": _link(one),
                "type": "phy",
                "ethernet_mac_address": one.mac,
                "vif_id": one.id,
                "mtu": None,
            }
            for one in facts.interfaces
        ],
        "networks": [_network(facts, one, metadata_via) for one in facts.interfaces],
        # Name servers are told with the network: cloud-init gives these to every interface that
        # has no words of its own on names, and only to those.
        "services": [],
    }


def _network(facts: Facts, interface: Interface, metadata_via: str | None) -> dict[str, Any]:
    whole = ipaddress.IPv4Network(f"0.0.0.0/{interface.prefix_length}")
    content: dict[str, Any] = {
        "id": f"network{interface.device_index}",
        "network_id": interface.subnet_id,
        "link": _link(interface),
        "type": "ipv4",
        "ip_address": interface.private_ip,
        "netmask": str(whole.netmask),
        "routes": [],
        "services": [],
    }
    if interface is not facts.interfaces[0]:
        return content  # one default route, one list of name servers, as on a NoCloud disc
    content["routes"] = [_route("0.0.0.0/0", interface.router)]
    if metadata_via is not None:
        content["routes"].append(_route(nocloud.METADATA, metadata_via))
    if interface.dns:
        content["services"] = [{"type": "dns", "address": one} for one in interface.dns]
        # The same for cloud-init, which does not look there.
        content["dns_nameservers"] = list(interface.dns)
        content["dns_search"] = [facts.domain]
    return content


def _route(to: str, gateway: str) -> dict[str, str]:
    network = ipaddress.IPv4Network(to)
    return {
        "network": str(network.network_address),
        "netmask": str(network.netmask),
        "gateway": gateway,
    }


def _link(interface: Interface) -> str:
    # Windows calls its adapter so afterwards; none has such a name before, so none is in the way.
    return f"Ethernet{interface.device_index}"


def written(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode("ascii") + b"\n"
