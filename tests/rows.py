"""Rows for tests that start below the API: an account with its network, a host, an instance."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass

from sqlalchemy.orm import Session

from state import ids, lifecycle, models
from translators import snapshots

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
DEPLOYMENT = "feedfacefeedface"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Ground:
    """The keys of what an instance stands on."""

    account: int
    host: int
    network: int
    vpc: int
    subnet: int
    image: int


def ground(session: Session, *, region: str = "us-east-1") -> Ground:
    """Make an account, a host in zone a, and a default network."""
    session.add(models.Deployment(id=DEPLOYMENT, created_at=NOW))
    account = models.Account(id="123456789012", name="tests", created_at=NOW)
    session.add(account)
    network = models.Network(
        name="lan", region=region, zone_letter="a", switch="ec2gw", cidr="172.31.0.0/20"
    )
    session.add(network)
    session.flush()
    made = host(session, "host-1", region=region)
    owned = {"account_key": account.key, "region": region}
    dhcp = models.DhcpOptions(id=ids.mint("dopt"), configurations={}, **owned)
    session.add(dhcp)
    session.flush()
    vpc = models.Vpc(
        id=ids.mint("vpc"),
        cidr="172.31.0.0/16",
        dhcp_options_key=dhcp.key,
        association_id=ids.mint("vpc-cidr-assoc"),
        **owned,
    )
    session.add(vpc)
    session.flush()
    subnet = models.Subnet(
        id=ids.mint("subnet"),
        vpc_key=vpc.key,
        network_key=network.key,
        zone=f"{region}a",
        cidr=network.cidr,
        network_acl_association_id=ids.mint("aclassoc"),
        **owned,
    )
    disk = snapshots.of_store(
        session,
        account_key=account.key,
        region=region,
        file_name="linux.vhdx",
        size_gib=8,
        public=False,
        now=NOW,
    )
    image = models.Image(
        id=ids.mint("ami"),
        name="linux",
        file_name="linux.vhdx",
        generation=2,
        size_gib=8,
        snapshot_id=disk.id,
        snapshot_key=disk.key,
        created_at=NOW,
        **owned,
    )
    session.add_all([subnet, image])
    session.flush()
    return Ground(account.key, made, network.key, vpc.key, subnet.key, image.key)


def host(session: Session, name: str, *, region: str = "us-east-1", letter: str = "a") -> int:
    """Make a host that was just surveyed."""
    made = models.Host(
        name=name,
        url="http://127.0.0.1:5985/wsman",
        region=region,
        zone_letter=letter,
        transport="ntlm",
        root="C:\\ec2gw",
        reachable=True,
        surveyed_at=NOW,
        boot_time=NOW - dt.timedelta(days=1),
        processors=64,
        memory_bytes=512 * 2**30,
        free_memory_bytes=500 * 2**30,
        free_disk_bytes=4 * 2**40,
        created_at=NOW,
    )
    session.add(made)
    session.flush()
    return made.key


def instance(
    session: Session, on: Ground, phase: lifecycle.Phase, *, vm_id: str | None = None
) -> models.Instance:
    """Make an instance with its interface and root volume."""
    owned = {"account_key": on.account, "region": "us-east-1"}
    number = next(_numbers)
    reservation = models.Reservation(id=ids.mint("r"), **owned)
    session.add(reservation)
    session.flush()
    made = models.Instance(
        id=ids.mint("i"),
        reservation_key=reservation.key,
        image_id="ami-1",
        image_key=on.image,
        type="t3.micro",
        processors=2,
        memory_bytes=2**30,
        zone="us-east-1a",
        host_key=on.host,
        vpc_key=on.vpc,
        subnet_key=on.subnet,
        phase=phase,
        phase_since=NOW - dt.timedelta(hours=1),
        launch_time=NOW - dt.timedelta(hours=1),
        vm_generation=2,
        vm_id=vm_id,
        root_device_name="/dev/sda1",
        **owned,
    )
    session.add(made)
    session.flush()
    session.add(
        models.NetworkInterface(
            id=ids.mint("eni"),
            vpc_key=on.vpc,
            subnet_key=on.subnet,
            network_key=on.network,
            zone="us-east-1a",
            mac=ids.mint_mac(),
            private_ip=f"172.31.{number // 200}.{number % 200 + 4}",
            instance_key=made.key,
            **owned,
        )
    )
    session.add(
        models.Volume(
            id=ids.mint("vol"),
            zone="us-east-1a",
            host_key=on.host,
            size_gib=8,
            created_at=NOW,
            instance_key=made.key,
            delete_on_termination=True,
            file_name="root.vhdx",
            **owned,
        )
    )
    session.flush()
    return made
