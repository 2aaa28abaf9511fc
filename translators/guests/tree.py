"""What the metadata service shows of one instance: every path below a version, and its answer.

Pure: facts in, answers out. A client such as cloud-init reads all that is listed and takes one
failure for the failure of all, so what is not true of an instance is not listed either.

Source: EC2 User Guide, "Instance metadata categories", "Retrieve instance metadata",
"Instance identity documents", "View scheduled events".
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from translators.guests.facts import Facts, Interface
from translators.guests.maintenance import Event

VERSIONS: Final = (
    *("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01"),
    *("2008-09-01", "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25"),
    *("2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28"),
    *("2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23"),
    *("2021-07-15", "2022-09-24", "2024-04-11", "latest"),
)
"""Below each is the same tree: what an old version did not have, its clients do not ask for."""
TEXT: Final = "text/plain"
BYTES: Final = "application/octet-stream"
_TAG: Final = re.compile(r"(?![0-9]+=)[A-Za-z0-9+\-=.,_:@]+")
"""Keys that can stand in a path. EC2 lets nobody enable tags with others; cloud-init would take one
that begins with `0=` for a key pair, ask for what is not there, and drop all metadata."""
_NO_TAGS: Final = frozenset({".", "..", "_index"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and its type."""

    body: bytes
    content_type: str = TEXT


Tree = Mapping[str, Answer]
"""Path without slashes at its ends -> answer; directories answer with their listings."""


def tree(facts: Facts, events: Iterable[Event]) -> Tree:
    """Make all that is below a version; the root is the empty path."""
    leaves = {f"meta-data/{path}": text for path, text in _metadata(facts, list(events)).items()}
    leaves["dynamic/instance-identity/document"] = identity_document(facts)
    made = {path: Answer(text.encode()) for path, text in leaves.items()}
    labels = {}
    if "meta-data/public-keys/0/openssh-key" in leaves:
        labels["meta-data/public-keys/0"] = f"0={facts.key_name}"
    made |= listings(made, labels)
    names = ["dynamic", "meta-data"]
    if facts.user_data:
        made["user-data"] = Answer(facts.user_data, BYTES)
        names.append("user-data")
    made[""] = Answer("\n".join(names).encode())  # the one directory whose entries have no slash
    return made


def listings(leaves: Iterable[str], labels: Mapping[str, str]) -> dict[str, Answer]:
    """Make the listing of each directory above the leaves; `labels` are shown instead of names."""
    entries: dict[str, set[str]] = {}
    for leaf in leaves:
        path, entry = leaf, leaf.rpartition("/")[2]
        while "/" in path:
            path = path.rpartition("/")[0]
            entries.setdefault(path, set()).add(entry)
            entry = labels.get(path) or f"{path.rpartition('/')[2]}/"
    return {path: Answer("\n".join(sorted(names)).encode()) for path, names in entries.items()}


def identity_document(facts: Facts) -> str:
    """Say who the instance is, in JSON as EC2 spaces it; nobody signs it here."""
    return _spaced(
        {
            "accountId": facts.account_id,
            "architecture": facts.architecture,
            "availabilityZone": facts.zone,
            "billingProducts": None,
            "devpayProductCodes": None,
            "marketplaceProductCodes": None,
            "imageId": facts.image_id,
            "instanceId": facts.id,
            "instanceType": facts.type,
            "kernelId": None,
            "pendingTime": f"{facts.launched_at:%Y-%m-%dT%H:%M:%SZ}",
            "privateIp": facts.interfaces[0].private_ip,
            "ramdiskId": None,
            "region": facts.region,
            "version": "2017-09-30",
        }
    )


def public_key(facts: Facts) -> str | None:
    """Answer the key pair's public key with the pair's name as its comment; None without one."""
    if facts.key_name is None or not facts.public_key:
        return None
    kind, key = facts.public_key.split()[:2]
    return f"{kind} {key} {facts.key_name}"


def _metadata(facts: Facts, events: list[Event]) -> dict[str, str]:
    primary = facts.interfaces[0]
    made = {
        "ami-id": facts.image_id,
        "ami-launch-index": str(facts.launch_index),
        "ami-manifest-path": "(unknown)",
        "events/maintenance/history": _events(events, scheduled=False),
        "events/maintenance/scheduled": _events(events, scheduled=True),
        "hostname": facts.hostname,
        "instance-action": "none",
        "instance-id": facts.id,
        "instance-life-cycle": "on-demand",
        "instance-type": facts.type,
        "local-hostname": facts.hostname,
        "local-ipv4": primary.private_ip,
        "mac": primary.mac,
        "placement/availability-zone": facts.zone,
        "placement/region": facts.region,
        "profile": "default-hvm",
        "reservation-id": facts.reservation_id,
        "security-groups": "\n".join(primary.group_names),
        "services/domain": "amazonaws.com.cn" if facts.partition == "aws-cn" else "amazonaws.com",
        "services/partition": facts.partition,
    }
    if facts.zone_id:
        made["placement/availability-zone-id"] = facts.zone_id
    if (key := public_key(facts)) is not None:
        made["public-keys/0/openssh-key"] = f"{key}\n"
    made |= {f"block-device-mapping/{disk.name}": disk.device for disk in facts.disks}
    for interface in facts.interfaces:
        above = f"network/interfaces/macs/{interface.mac}"
        made |= {f"{above}/{name}": text for name, text in _interface(interface).items()}
    if facts.options["InstanceMetadataTags"] == "enabled":
        made |= {
            f"tags/instance/{key}": value
            for key, value in facts.tags.items()
            if _TAG.fullmatch(key) and key not in _NO_TAGS
        }
    return made


def _interface(interface: Interface) -> dict[str, str]:
    return {
        "device-number": str(interface.device_index),
        "interface-id": interface.id,
        "local-hostname": interface.private_dns_name,
        "local-ipv4s": interface.private_ip,
        "mac": interface.mac,
        "owner-id": interface.owner_id,
        "security-group-ids": "\n".join(interface.group_ids),
        "security-groups": "\n".join(interface.group_names),
        "subnet-id": interface.subnet_id,
        "subnet-ipv4-cidr-block": interface.subnet_cidr,
        "vpc-id": interface.vpc_id,
        "vpc-ipv4-cidr-block": interface.vpc_cidr,
        "vpc-ipv4-cidr-blocks": interface.vpc_cidr,
    }


def _events(events: list[Event], *, scheduled: bool) -> str:
    shown = [_event(one) for one in events if (one.state == "active") == scheduled]
    return _spaced(shown) if shown else "[]"


def _event(event: Event) -> dict[str, Any]:
    made = {"NotBefore": _moment(event.not_before), "Code": event.code}
    made |= {"Description": event.description, "EventId": event.id}
    if event.not_after is not None:
        made["NotAfter"] = _moment(event.not_after)
    return {**made, "State": event.state}


def _moment(moment: dt.datetime) -> str:
    return email.utils.format_datetime(moment, usegmt=True).partition(", ")[2]


def _spaced(document: Any) -> str:
    return json.dumps(document, indent=2, separators=(",", " : "))
