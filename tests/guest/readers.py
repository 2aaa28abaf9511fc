"""Asks cloud-init's and cloudbase-init's own code what a disc says; a program of its own.

It runs among their packages and not ours:

    readers.py nocloud|configdrive|windows FOLDER MAC...

FOLDER holds the disc's files, below `seed/nocloud` or `seed/config_drive` for cloud-init. What is
printed is JSON. MACs are those of the guest's adapters, which are called eth0, eth1...

Source: the packages themselves: cloudinit.sources, cloudinit.net; cloudbaseinit.metadata.services.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

module: Callable[[str], Any] = importlib.import_module


def by_cloud_init(name: str, folder: Path, macs: Sequence[str]) -> dict[str, Any]:
    """What a datasource tells the rest of cloud-init."""
    paths = module("cloudinit.helpers").Paths(
        {"cloud_dir": str(folder), "run_dir": str(folder / "run")}
    )
    room = module(f"cloudinit.sources.DataSource{name}")
    distribution = module("cloudinit.distros.debian").Distro("debian", {}, paths)
    source = getattr(room, f"DataSource{name}")({}, distribution, paths)
    (folder / "run").mkdir()
    if not source.get_data():
        return {"taken": False}
    source.known_macs = {mac: f"eth{number}" for number, mac in enumerate(macs)}
    hostname = source.get_hostname(fqdn=True)
    return {
        "taken": True,
        "instance_id": source.get_instance_id(),
        "hostname": getattr(hostname, "hostname", hostname),
        "keys": source.get_public_ssh_keys(),
        "user_data": (bytes_of(source.get_userdata_raw())).hex(),
        "vendor_data": bytes_of(source.get_vendordata_raw()).decode(),
        "zone": source.availability_zone,
        "network": rendered(source.network_config),
    }


def bytes_of(text: bytes | str | None) -> bytes:
    return text.encode() if isinstance(text, str) else text or b""


def rendered(config: Any) -> dict[str, dict[str, str]]:
    """What each system's network is configured by, by system and file."""
    rhel = module("cloudinit.distros.rhel").Distro.renderer_configs["sysconfig"]
    found = {}
    for name, options in {
        "eni": {"eni_path": "etc/network/interfaces", "netrules_path": None},
        "netplan": {"netplan_path": "etc/netplan/50-cloud-init.yaml"},
        "networkd": {},
        "network_manager": {},
        "sysconfig": rhel,
    }.items():
        renderer = module(f"cloudinit.net.{name}").Renderer(options)
        state = module("cloudinit.net.network_state").parse_net_config_data(
            config, renderer=renderer
        )
        with tempfile.TemporaryDirectory() as target:
            renderer.render_network_state(state, target=target)
            found[name] = {
                str(path.relative_to(target)): path.read_text()
                for path in Path(target).rglob("*")
                if path.is_file()
            }
    return found


def by_cloudbase_init(folder: Path) -> dict[str, Any]:
    """What cloudbase-init's config drive service tells its plugins."""
    service = module("cloudbaseinit.metadata.services.configdrive").ConfigDriveService()
    service._metadata_path = str(folder)  # as load() leaves it, which finds drives on Windows only
    details = service.get_network_details_v2()
    try:
        user_data = service.get_user_data()
    except module("cloudbaseinit.metadata.services.base").NotExistingMetadataException:
        user_data = None
    return {
        "instance_id": service.get_instance_id(),
        "hostname": service.get_host_name(),
        "keys": service.get_public_keys(),
        "password": service.get_admin_password(),
        "user_data": user_data and user_data.hex(),
        "links": [[link.name, link.type, link.mac_address] for link in details.links],
        "networks": [
            [
                one.link,
                one.address_cidr,
                one.dns_nameservers,
                [[to.network_cidr, to.gateway] for to in one.routes],
            ]
            for one in details.networks
        ],
    }


def main(kind: str, folder: str, *macs: str) -> None:
    if kind == "windows":
        said = by_cloudbase_init(Path(folder))
    else:
        name = {"nocloud": "NoCloud", "configdrive": "ConfigDrive"}[kind]
        said = by_cloud_init(name, Path(folder), macs)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
