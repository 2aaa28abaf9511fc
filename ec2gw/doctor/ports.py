"""Whether a host takes the rules of security groups, keeps them, and lists them as they were told.

On the adapter of a VM of our own that runs and is connected: what the switch refuses, it refuses
when rules reach a port that is in use.

Source: docs/hyperv.md, "Security groups".
"""

from __future__ import annotations

from typing import Final

from ec2gw.doctor.bench import Bench, Made
from ec2gw.doctor.probe import NotSo, Probe
from translators.hyperv import acl, nic, trials
from translators.hyperv.acl import Opening

_ADDRESSES: Final = ("192.0.2.5", "2001:db8::5")
_OPENINGS: Final = (
    Opening(inbound=True, protocol=acl.TCP, ports=(22, 22), peers=("198.51.100.0/24", "::/0")),
    Opening(inbound=True, protocol=acl.UDP, ports=(1024, 2048), peers=("198.51.100.7/32",)),
    Opening(inbound=True, protocol=1, ports=None, peers=("0.0.0.0/0",)),
    Opening(inbound=True, protocol=50, ports=None, peers=("203.0.113.0/25",)),
    Opening(inbound=False, protocol=None, ports=None, peers=("0.0.0.0/0", "2001:db8::/32")),
)
"""One of each kind that a group can have."""


def _held(bench: Bench) -> str:
    made = bench.found.machines[2]
    adapter = str(trials.read_details(bench.look(trials.details(made.vm_id))).adapters[0]["name"])
    wanted = acl.desired(acl.Port(_ADDRESSES, ("192.0.2.53",), _OPENINGS))
    rules = _bring(bench, made, adapter, wanted)
    took = bench.measured["port-rules_ms"]
    _bring(bench, made, adapter, acl.desired(acl.Port(_ADDRESSES)))
    return f"{rules} rules; so many and their look took {took:.0f} ms"


def _bring(bench: Bench, made: Made, adapter: str, wanted: frozenset[acl.Rule]) -> int:
    """Change the adapter's table as the product does; answer how many rules it has then."""
    for _ in range(2 + len(wanted) // nic.MOST_CHANGES):
        sight = nic.seen(bench.look(nic.look(made.vm_id, adapter)))
        change = acl.compare(wanted, sight.rules)
        if sight.guarded and not change:
            return len(sight.rules)
        bench.change(nic.change(made.vm_id, adapter, sight, change), made.name)
    sight = nic.seen(bench.look(nic.look(made.vm_id, adapter)))
    change = acl.compare(wanted, sight.rules)
    if sight.guarded and not change:
        return len(sight.rules)
    lists = "; ".join(str(one.rule) for one in change.removes[:3])
    raise NotSo(
        f"of {len(wanted)} rules {len(change.adds)} are not listed as they were told, "
        f"{len(change.removes)} are listed that were not: {lists}"
    )


PROBES: Final = (
    Probe(
        "port-rules",
        "The port of a running VM takes every kind of rule that a security group becomes, lists "
        "them as they were told, and changes while it is in use.",
        "Add-, Get- and Remove-VMNetworkAdapterExtendedAcl; reported: what is stateful is TCP or "
        "UDP, or the switch refuses it",
        _held,
        changes=True,
        needs=("start-2",),
    ),
)
