"""What a running agent tells about its host, step by step, in words for its administrator.

Holds the steps from PowerShell on; those on the way there are the probe's.

Source: docs/operations.md, "Checking a host"; Microsoft Learn, about_Language_Modes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ec2gw.winrm import reply
from translators.hyperv import console, host, host_checks, tasks

CLOCK_SECONDS = 60
_DEADLINE_SECONDS = 30.0
_GIB = 1024**3
_LOWEST_FREE_GIB = 10

NAMES = ("PowerShell", "Hyper-V module", "rights", "clock", "root folder", "switches")
READER = "console reader"


@dataclass(frozen=True, slots=True)
class Step:
    """What holds, and what to do when it does not; `ok` is None for what was not tried."""

    name: str
    ok: bool | None
    found: str
    advice: str = ""


def skipped(names: Sequence[str]) -> list[Step]:
    """The steps that an earlier failure left untried."""
    return [Step(name, None, "not tried") for name in names]


def check(
    link: host.Host, hello: reply.Hello, switches: Sequence[str] = (), *, reader: bool = False
) -> list[Step]:
    """Take all steps in order; after a failure the rest is not tried.

    `switches` are those that configured networks need on this host; `reader`: whether consoles are
    to be read there by a task of our own.
    """
    steps: list[Step] = []
    takes: tuple[Callable[[], Step], ...] = (
        lambda: _powershell(hello),
        lambda: _module(hello),
        lambda: _rights(link),
        lambda: _clock(link),
        lambda: _root(link),
        lambda: _switches(link, switches),
    )
    names: tuple[str, ...] = NAMES
    if reader:
        takes, names = (*takes, lambda: _reader(link)), (*names, READER)
    for name, take in zip(names, takes, strict=True):
        try:
            step = take()
        except host.Failed as error:
            step = Step(name, False, _words(error), _ADVICE[name])
        except host.HostError as error:
            step = Step(name, False, f"no answer: {error}", "Try again; see the log.")
        except (LookupError, ValueError):
            step = Step(name, False, "an answer that cannot be read", "See the log.")
        steps.append(step)
        if not step.ok:
            break
    return steps + skipped(names[len(steps) :])


_ADVICE = {
    "PowerShell": "Windows PowerShell 5.1 must be able to start for this account.",
    "Hyper-V module": (
        "Install it: Install-WindowsFeature Hyper-V-PowerShell (or the whole role:"
        " Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart)."
    ),
    "rights": (
        "Make the account a member of the host's Administrators, or of Hyper-V Administrators"
        " together with the rights that docs/hyperv.md lists."
    ),
    "clock": "Let host and gateway follow the same time source: w32tm /resync on the host.",
    "root folder": "The account needs full control of it, on a local NTFS or ReFS volume.",
    READER: (
        "The service makes the task within seconds, if its account may make scheduled tasks;"
        " ec2gw host console NAME off gives it up."
    ),
    "switches": "Make one: New-VMSwitch -Name NAME -NetAdapterName ADAPTER.",
}


def _powershell(hello: reply.Hello) -> Step:
    found = f"Windows PowerShell {hello.version}, {hello.mode}"
    if hello.damaged:
        found += f"; {hello.damaged} damaged lines in the journal"
    return Step("PowerShell", True, found)


def _module(hello: reply.Hello) -> Step:
    name = "Hyper-V module"
    version = hello.modules.get("Hyper-V")
    if not version:
        return Step(name, False, "it is not installed", _ADVICE[name])
    if hello.missing:
        lacking = ", ".join(hello.missing[:10])
        return Step(
            name,
            False,
            f"version {version} lacks {len(hello.missing)} cmdlets: {lacking}",
            "Windows Server 2016 or newer is needed, with all management tools.",
        )
    return Step(name, True, f"version {version}, all cmdlets are there")


def _rights(link: host.Host) -> Step:
    link.run(host_checks.rights(), deadline_seconds=_DEADLINE_SECONDS)
    return Step("rights", True, "the account may use Hyper-V")


def _clock(link: host.Host) -> Step:
    before = dt.datetime.now(dt.UTC)
    answer = link.run(host_checks.clock(), deadline_seconds=_DEADLINE_SECONDS)
    after = dt.datetime.now(dt.UTC)
    theirs = host_checks.read_clock(answer)
    off = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    found = f"{off:.0f} s from ours"
    if off > CLOCK_SECONDS:
        return Step("clock", False, found, _ADVICE["clock"])
    return Step("clock", True, found)


def _root(link: host.Host) -> Step:
    name = "root folder"
    answer = link.run(host_checks.root(), deadline_seconds=_DEADLINE_SECONDS)
    root = host_checks.read_root(answer)
    if not root.exists:
        return Step(name, False, "it does not exist and could not be made", _ADVICE[name])
    free_gib = root.free_bytes // _GIB
    found = f"{root.file_system or 'unknown file system'}, {free_gib} GiB free, of {root.owner}"
    if root.file_system.upper() not in ("NTFS", "REFS", "CSVFS"):
        return Step(name, False, found, _ADVICE[name])
    if free_gib < _LOWEST_FREE_GIB:
        return Step(name, False, found, f"Free at least {_LOWEST_FREE_GIB} GiB.")
    return Step(name, True, found)


def _reader(link: host.Host) -> Step:
    answer = link.run(console.reader(), deadline_seconds=_DEADLINE_SECONDS)
    found = console.read_reader(answer)
    if found is None:
        return Step(READER, False, "there is no such task", _ADVICE[READER])
    version = f"version {found.version}"
    if not found.running:
        return Step(READER, False, f"{version}, which does not run", _ADVICE[READER])
    if found.version != tasks.console_version():
        return Step(READER, False, f"{version}, which is not this release's", _ADVICE[READER])
    return Step(READER, True, f"{version} runs")


def _switches(link: host.Host, wanted: Sequence[str]) -> Step:
    name = "switches"
    answer = link.run(host_checks.switches(), deadline_seconds=_DEADLINE_SECONDS)
    there = host_checks.read_switches(answer)
    found = ", ".join(sorted(there)) or "none"
    if lacking := sorted(set(wanted) - set(there)):
        return Step(name, False, f"{found}; missing: {', '.join(lacking)}", _ADVICE[name])
    if not there:
        return Step(name, False, found, _ADVICE[name])
    return Step(name, True, found)


def _words(error: host.Failed) -> str:
    fault = error.error
    return f"{fault.category or 'error'} {fault.identifier}: {fault.text}"[:300]
