"""Removes all that a doctor made, found by its label; touches nothing else.

Safe to repeat, and after a crash: plans that nobody waits for any more are burnt first, a VM is
ours only if it lies in our folder *and* has our Notes or none yet, and the folder goes last. It
cannot go while an agent that lost us still holds its journal, so nothing is made behind our back.

Source: docs/operations.md, "Proving a host"; docs/architecture.md, "Identity".
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from ec2gw.doctor.bench import SUBJECT, Bench
from ec2gw.doctor.probe import NotSo
from translators.hyperv import file, trials, vm
from translators.hyperv import host as port
from translators.hyperv import survey as looks

_SURVEY_SECONDS: Final = 300.0
_CHANGE_SECONDS: Final = 120.0


@dataclass(slots=True)
class Swept:
    """What was removed, and what carries the label and was left, in words."""

    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def words(self) -> str:
        removed = ", ".join(self.removed) or "nothing"
        return f"removed: {removed}" + (f"; LEFT: {'; '.join(self.left)}" if self.left else "")


def sweep(bench: Bench) -> Swept:
    """Remove VMs and folder, until a look finds neither.

    :raises port.HostError: the host cannot be asked
    """
    bench.close_own()
    swept = Swept()
    limit = time.monotonic() + bench.patience.sweep
    pause = bench.patience.poll
    while True:
        mine, swept.left = _find(bench)
        folder = _has_folder(bench)
        if not mine and not folder:
            bench.tokens.forget()
            return swept
        if time.monotonic() >= limit or (swept.left and not mine):
            swept.left += [f"VM {one.name} ({one.id})" for one in mine]
            swept.left += [f"folder {bench.target.folder}"] if folder else []
            return swept
        if _settled(bench, folder):
            for one in mine:
                _remove(bench, one, swept)
            if not mine:
                _remove_folder(bench, swept)
        time.sleep(pause)
        pause = min(2 * pause, 10 * bench.patience.poll)


def proved(bench: Bench) -> str:
    """Sweep, as a probe.

    :raises NotSo: something is left
    """
    swept = sweep(bench)
    if swept.left:
        raise NotSo(swept.words())
    return swept.words()


def _find(bench: Bench) -> tuple[list[vm.Vm], list[str]]:
    """Ours, and what looks like ours and is not plain enough to be touched."""
    answer = bench.main.run(looks.look(), deadline_seconds=_SURVEY_SECONDS)
    seen = looks.read(answer, dt.datetime.now(dt.UTC))
    folder = f"{bench.target.folder.lower()}\\"
    mine: list[vm.Vm] = []
    strange: list[str] = []
    for one in seen.vms:
        owner = vm.owner(one.notes)
        labelled = owner is not None and owner[0] == bench.target.label
        inside = one.folder.lower().startswith(folder)
        if inside and (labelled or not one.notes):
            mine.append(one)
        elif inside or labelled:
            strange.append(f"VM {one.name} ({one.id}) in {one.folder}: not as it was made")
    return mine, strange


def _has_folder(bench: Bench) -> bool:
    state = file.seen(bench.main.run(file.look(port.Path(bench.target.label))))
    return state is not None


def _settled(bench: Bench, folder: bool) -> bool:
    """See to it that no plan of ours begins any more; false while one still runs."""
    if not folder:
        return True  # no journal, so no agent that could begin one
    burn = port.Plan("burn", (), changes=True)
    for token in sorted(bench.tokens.open):
        try:
            bench.run(burn, fence=port.Fence(token, SUBJECT, 1))
        except port.Token as known:
            if known.word == "running":
                return False
        except port.Damaged:
            bench.tokens.end(token)  # what it may have made is found by its place
    return True


def _remove(bench: Bench, one: vm.Vm, swept: Swept) -> None:
    """Take one step; what fails now is tried again after the next look."""
    plan = vm.remove(one.id) if one.state == "Off" else vm.turn_off(one.id)
    fence = port.Fence(secrets.token_hex(16), SUBJECT, 1)
    try:
        bench.run(plan, fence=fence, deadline_seconds=_CHANGE_SECONDS)
    except (port.Failed, port.Unknown, port.Token):
        return
    if plan.purpose == "remove":
        swept.removed.append(f"VM {one.name}")


def _remove_folder(bench: Bench, swept: Swept) -> None:
    bench.close_own()
    plan = trials.sweep(port.Path(bench.target.label))
    try:
        bench.main.run(plan, deadline_seconds=_CHANGE_SECONDS)
    except port.Failed as failed:
        if failed.error.identifier != "FileInUse":
            bench.errors.append(failed.error)
        return
    swept.removed.append(f"folder {bench.target.folder}")
