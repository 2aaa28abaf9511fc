"""What a guest is told, made up: facts of an instance with one interface, or changed as named."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from translators.guests.facts import METADATA_OPTIONS, Facts, Interface
from translators.settings import Guest

RSA_KEY: Final = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC8WUatfArfbGm6r+rsa41IdTBBfJU+oXCK+noNqFprQ469a2XxWY"
    "OmtzvJOKyUPuIH4j9j2mFq5OTG4eQ3E2DshSnYc7Tij/m+UbZ86SCj1flZ4Gtcb1LW/ibr8ZLDBGRAmZm508NioLlW"
    "oezCkyIB2Mwo5IRNhqJOCZtTYkD0VhGRsfYKFor7dTcyVjn6xivusjqpJfAbjn79RldXMgOttB2eK76LjsrV+Xd3nM"
    "SPmN4BqlL0EmGJBMW6V7Wwv/whb2J4k7t8n/uXNCGMo/QsdVfmWB5vSrNnRoooI4hg6dvVAxvbhcu20BpTFAQQp+IU"
    "I83cM4r8fHYYn8TPCaPb"
)
"""Made for this; nobody has kept its private part."""


def facts(**changes: Any) -> Facts:
    """An instance's facts, but for what is given."""
    plain: dict[str, Any] = {
        "instance_key": 1,
        "version": 1,
        "id": "i-0123456789abcdef0",
        "account_id": "123456789012",
        "region": "eu-central-1",
        "zone": "eu-central-1a",
        "zone_id": "euc1-az1",
        "partition": "aws",
        "image_id": "ami-0123456789abcdef0",
        "type": "t3.micro",
        "architecture": "x86_64",
        "platform": None,
        "reservation_id": "r-0123456789abcdef0",
        "launch_index": 0,
        "launched_at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "hostname": "ip-10-20-0-100.eu-central-1.compute.internal",
        "domain": "eu-central-1.compute.internal",
        "key_name": "mine",
        "public_key": RSA_KEY,
        "user_data": None,
        "interfaces": (interface(0),),
        "disks": (),
        "tags": {},
        "options": METADATA_OPTIONS,
        "guest": Guest(),
        "password_data": None,
    }
    return Facts(**{**plain, **changes})


def interface(index: int, **changes: Any) -> Interface:
    """An interface at that place of its instance."""
    plain: dict[str, Any] = {
        "id": f"eni-{index:017x}",
        "device_index": index,
        "mac": f"02:00:00:00:00:{index + 1:02x}",
        "private_ip": f"10.20.{index}.100",
        "private_dns_name": f"ip-10-20-{index}-100.eu-central-1.compute.internal",
        "owner_id": "123456789012",
        "subnet_id": f"subnet-{index:017x}",
        "subnet_cidr": f"10.20.{index}.0/24",
        "vpc_id": "vpc-0123456789abcdef0",
        "vpc_cidr": "10.20.0.0/16",
        "group_ids": ("sg-0123456789abcdef0",),
        "group_names": ("default",),
        "router": "10.20.0.1",
        "prefix_length": 20,
        "dns": ("10.1.1.53", "10.1.2.53"),
    }
    return Interface(**{**plain, **changes})
