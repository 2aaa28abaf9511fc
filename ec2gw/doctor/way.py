"""Probes of the way to a host and of the link's pace: nothing of ours is needed there yet.

Source: docs/operations.md, "Checking a host"; Microsoft Learn, "Quota management for remote
shells"; Win32_OperatingSystem.
"""

from __future__ import annotations

import datetime as dt
import functools
import time
from typing import Final

from ec2gw.doctor import sweep
from ec2gw.doctor.bench import Bench
from ec2gw.doctor.probe import NotSo, NotTried, Probe
from ec2gw.winrm import agent, probe
from translators.hyperv import host as port
from translators.hyperv import survey as looks
from translators.hyperv import trials

_GIB: Final = 1024**3
_FEWEST: Final = {"MaxShellsPerUser": 5, "MaxProcessesPerShell": 2, "MaxMemoryPerShellMB": 500}
"""What a worker, its successor and an administrator's own shells need."""
_NOT_ELEVATED: Final = frozenset({"PermissionDenied", "SecurityError", "InvalidOperation"})
"""How the WSMan provider says that it is for administrators; the last one is its own."""


def _step(bench: Bench, name: str) -> str:
    if not bench.found.steps:
        steps = probe.probe(
            bench.target.address,
            bench.target.root,
            switches=bench.target.switches,
            limits=bench.limits,
        )
        bench.found.steps = {step.name: step for step in steps}
    step = bench.found.steps[name]
    if step.ok is None:
        raise NotTried("an earlier step on the way does not hold")
    if not step.ok:
        raise NotSo(f"{step.found}. {step.advice}")
    return step.found


def _versions(bench: Bench) -> str:
    hello = bench.hello()
    # The product's table has no property of Windows but its times: the own link asks.
    system = bench.look(trials.windows()).results["system"][0]
    bench.found.facts |= {
        "Windows": f"{system['caption']}, {system['version']}",
        "PowerShell": f"{hello.version}, {hello.mode}",
        "Hyper-V module": hello.modules.get("Hyper-V", "none"),
        "agent": hello.agent,
        "host's last start": hello.boot.isoformat() if hello.boot else "not told",
        "journal": f"epoch {hello.epoch}, {hello.damaged} damaged lines",
    }
    if hello.agent != agent.digest():
        raise NotSo(f"it answers with {hello.agent}, ours is {agent.digest()}")
    return f"{system['caption']} {system['version']}, PowerShell {hello.version}"


def _start(bench: Bench) -> str:
    starts = [one / 1000 for one in bench.found.starts_ms]
    if not starts:
        raise NotTried("no PowerShell was started")
    return bench.percentiles("start_to_hello", starts)


def _round_trip(bench: Bench) -> str:
    took = []
    for _ in range(bench.patience.round_trips):
        began = time.monotonic()
        bench.main.run(port.Plan("ping", ()))
        took.append(time.monotonic() - began)
    return bench.percentiles("round_trip", took)


def _survey(bench: Bench) -> str:
    took = []
    for _ in range(bench.patience.surveys):
        at = dt.datetime.now(dt.UTC)
        began = time.monotonic()
        answer = bench.main.run(looks.look(), deadline_seconds=300)
        took.append(time.monotonic() - began)
        bench.found.survey = looks.read(answer, at)
    seen = bench.found.survey
    if seen is None:
        raise NotTried("no survey was asked for")
    if not seen.processors or not seen.memory_bytes:
        raise NotSo("it tells no processors or no memory")
    bench.measured["vms"] = len(seen.vms)
    if seen.vms:
        bench.measure("survey_per_vm_ms", min(took) / len(seen.vms))
    words = bench.percentiles("survey", took)
    free_gib = seen.free_memory_bytes / _GIB
    return f"{len(seen.vms)} VMs, {free_gib:.1f} GiB of memory free; {words}"


def _shell_limits(bench: Bench) -> str:
    try:
        rows = bench.look(trials.shell_limits()).results["limits"]
    except port.Failed as failed:
        if failed.error.category in _NOT_ELEVATED:
            bench.found.facts["account"] = "no administrator"
        raise NotTried(f"they cannot be read: {failed.error.id}") from None
    bench.found.facts["account"] = "administrator"
    found = {str(row["name"]): str(row["value"]) for row in rows}
    for name, value in found.items():
        if value.isdecimal():
            bench.measured[name] = int(value)
    short = [
        f"{name} is {found[name]}, {fewest} are needed"
        for name, fewest in _FEWEST.items()
        if found.get(name, "").isdecimal() and 0 < int(found[name]) < fewest
    ]
    if short:
        raise NotSo("; ".join(short))
    return ", ".join(f"{name} {value}" for name, value in sorted(found.items()))


def _least_rights(bench: Bench) -> str:
    account = bench.found.facts.get("account", "not known")
    if account != "no administrator":
        raise NotTried(f"the account is {account}: run this again with one of level 2")
    if not bench.found.machines:
        raise NotTried("no VM was made")
    return "it made VMs"


def _signs_in(bench: Bench, transport: str) -> str:
    address = bench.target.address
    if address.transport != transport:
        raise NotTried(f"this host is configured for {address.transport}")
    return f"{bench.found.steps['TLS'].found}; {bench.found.steps['sign-in'].found}"


def _on_the_way(name: str, step: str, sentence: str, needs: tuple[str, ...]) -> Probe:
    return Probe(
        name,
        sentence,
        "docs/operations.md, Checking a host",
        functools.partial(_step, name=step),
        needs=needs,
    )


PROBES: Final = (
    _on_the_way("name", "name", "The host's name resolves.", ()),
    _on_the_way("tcp", "TCP", "Something listens on WinRM's port.", ("name",)),
    _on_the_way("tls", "TLS", "Its certificate is good for that name, if it is https.", ("tcp",)),
    _on_the_way("sign-in", "sign-in", "The account may open a remote shell.", ("tls",)),
    _on_the_way(
        "powershell",
        "PowerShell",
        "Windows PowerShell starts with our agent, in full language mode.",
        ("sign-in",),
    ),
    _on_the_way(
        "module", "Hyper-V module", "It has every cmdlet that ec2gw uses.", ("powershell",)
    ),
    _on_the_way("rights", "rights", "The account may use Hyper-V.", ("module",)),
    _on_the_way("clock", "clock", "Its clock and ours differ by less than a minute.", ("rights",)),
    _on_the_way(
        "root-folder",
        "root folder",
        "The root folder is on NTFS or ReFS, has room, and is ours to write.",
        ("clock",),
    ),
    _on_the_way(
        "switches", "switches", "The switches that the networks need are there.", ("root-folder",)
    ),
    Probe(
        "leftovers",
        "Of an earlier doctor nothing is there, or nothing any more.",
        "docs/operations.md, Proving a host",
        sweep.proved,
        changes=True,
        needs=("root-folder",),
    ),
    Probe(
        "versions",
        "Our agent runs in a folder of its own below the root, and tells what the host is.",
        "docs/agent.md, Frames; Win32_OperatingSystem",
        _versions,
        changes=True,
        needs=("leftovers",),
    ),
    Probe(
        "shell-limits",
        "The quotas of remote shells leave room for our agents.",
        "Microsoft Learn, Quota management for remote shells",
        _shell_limits,
        relied=False,
        needs=("versions",),
    ),
    Probe(
        "round-trip",
        "Requests of no calls come back one after another, each at once.",
        "[MS-WSMV] 3.1.4.13, 3.1.4.14",
        _round_trip,
        needs=("powershell",),
    ),
    Probe(
        "survey",
        "One request tells of the host and all its VMs.",
        "Get-VM, Get-VMHost, Win32_OperatingSystem",
        _survey,
        needs=("rights",),
    ),
)

AFTER: Final = (
    Probe(
        "start",
        "PowerShell says hello with our agent within a minute, module and lanes loaded.",
        "docs/agent.md, Start",
        _start,
        needs=("powershell",),
    ),
    Probe(
        "least-rights",
        "An account that is no administrator can do all this.",
        "derived; docs/hyperv.md, Level 2",
        _least_rights,
        relied=False,
        needs=("versions",),
    ),
    *(
        Probe(
            f"by-{transport}",
            f"Signing in by {words} works from here.",
            "Microsoft Learn, Authentication for remote connections",
            functools.partial(_signs_in, transport=transport),
            relied=False,
            needs=("sign-in",),
        )
        for transport, words in (
            ("kerberos", "Kerberos"),
            ("ntlm", "NTLM"),
            ("certificate", "a client certificate"),
        )
    ),
)
"""What the others have brought to light."""
