"""Asks a metadata service by cloud-init's and cloudbase-init's own code; a program of its own.

It runs among their packages and not ours:

    askers.py cloud-init URL          what the datasource Ec2 crawls, and what it makes of it
    askers.py ec2 URL                 cloudbase-init's EC2Service
    askers.py openstack URL           cloudbase-init's HttpService
    askers.py password URL            its plugin that sets a password and posts it

What is printed is JSON.

Source: the packages themselves: cloudinit.sources.DataSourceEc2; cloudbaseinit.metadata.services,
cloudbaseinit.plugins.common.setuserpassword.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from typing import Any

module: Callable[[str], Any] = importlib.import_module


def cloud_init(url: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        paths = module("cloudinit.helpers").Paths({"cloud_dir": folder, "run_dir": folder})
        room = module("cloudinit.sources.DataSourceEc2")
        source = room.DataSourceEc2({"datasource": {"Ec2": {"metadata_urls": [url]}}}, None, paths)
        source._cloud_name = room.CloudNames.AWS  # as the firmware would have told
        crawled = source.crawl_metadata()
        if not crawled:
            return {}
        source.metadata = crawled["meta-data"]
        source.identity = crawled["dynamic"]["instance-identity"]["document"]
        interfaces = source.metadata["network"]["interfaces"]["macs"]
        devices = {mac: f"eth{number}" for number, mac in enumerate(interfaces)}
        hostname = source.get_hostname(fqdn=True)
        return {
            "version": crawled["_metadata_api_version"],
            "metadata": crawled["meta-data"],
            "user_data": bytes(crawled["user-data"] or b"").hex(),  # a text where there are none
            "identity": source.identity,
            "instance_id": source.get_instance_id(),
            "hostname": getattr(hostname, "hostname", hostname),
            "keys": source.get_public_ssh_keys(),
            "zone": source.availability_zone,
            "region": source.region,
            "classic": source.is_classic_instance(),
            "network": network(room, source.metadata, devices),
        }


def network(room: Any, metadata: Any, devices: dict[str, str]) -> Any:
    """What the guest would be configured by; its signature has grown over the years."""
    words = {"fallback_nic": "eth0", "full_network_config": True}
    make = room.convert_ec2_metadata_network_config
    taken = make.__code__.co_varnames
    return make(
        metadata["network"],
        **({"macs_to_nics": devices} if "macs_to_nics" in taken else {}),
        **{name: value for name, value in words.items() if name in taken},
        **({"distro": module("cloudinit.distros.debian").Distro("debian", {}, None)}
           if "distro" in taken else {}),
    )  # fmt: skip


def cloudbase(section: str, name: str, url: str) -> Any:
    """Make cloudbase-init's service, pointed at that URL, and load it."""
    configured = module("cloudbaseinit.conf").CONF
    configured.set_override("metadata_base_url", f"{url}/", group=section)
    configured.set_override("add_metadata_private_ip_route", False, group=section)
    configured.set_override("retry_count", 1)
    configured.set_override("retry_count_interval", 0)
    room = module(f"cloudbaseinit.metadata.services.{name.lower()}")
    service = getattr(room, name)()
    return service if service.load() else None


def by_cloudbase(section: str, name: str, url: str) -> Any:
    service = cloudbase(section, name, url)
    if service is None:
        return {}
    details = service.get_network_details_v2()
    return {
        "instance_id": service.get_instance_id(),
        "hostname": service.get_host_name(),
        "keys": service.get_public_keys(),
        "password": service.get_admin_password(),
        "can_post_password": service.can_post_password,
        "user_data": service.get_user_data().hex(),
        "addresses": [one.address_cidr for one in details.networks] if details else None,
    }


class Windows:
    """What the plugin asks of the system, which is Windows only."""

    def user_exists(self, name: str) -> bool:
        return name == "Admin"

    def generate_random_password(self, length: int) -> str:
        return "Aa1-" + "x" * (length - 4)

    def set_user_password(self, name: str, password: str) -> None:
        self.password = password


def password(url: str) -> Any:
    """Run the plugin twice, as two boots do; answers the password that it has set."""
    plugin = module("cloudbaseinit.plugins.common.setuserpassword")
    windows = Windows()
    plugin.osutils_factory.get_os_utils = lambda: windows
    for _boot in range(2):
        service = cloudbase("openstack", "HttpService", url)
        plugin.SetUserPasswordPlugin().execute(service, {})
    return {
        "password": windows.password,
        "is_set": service.is_password_set,
    }


def main(kind: str, url: str) -> None:
    ask = {
        "cloud-init": cloud_init,
        "ec2": lambda url: by_cloudbase("ec2", "EC2Service", url),
        "openstack": lambda url: by_cloudbase("openstack", "HttpService", url),
        "password": password,
    }[kind]
    print(json.dumps(ask(url)))


if __name__ == "__main__":
    main(*sys.argv[1:])
