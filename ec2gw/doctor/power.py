"""What becomes of a running VM: its guest is asked, its power cut, it is reset; the log's word.

Source: docs/architecture.md, "The life of an instance" and "Surveys"; Msvm_ShutdownComponent.
"""

from __future__ import annotations

import time
from typing import Final

from ec2gw.doctor.bench import Bench, Made
from ec2gw.doctor.probe import NotSo, NotTried, Probe
from translators.hyperv import host as port
from translators.hyperv import survey as looks
from translators.hyperv import vm

_NO_GUEST: Final = "without an image no guest answers: name one by --image"
_ACCEPTED: Final = (0, 4096)
"""Done, or a job was started."""


def _answers(bench: Bench) -> str:
    made = bench.found.machines[2]
    answer = bench.change(vm.shut_down(made.vm_id), made.name)
    code = _code(answer)
    if code is None:
        raise NotSo("InitiateShutdown brought no number back")
    if code in _ACCEPTED:
        bench.until_state(made, "Off")
        bench.change(vm.start(made.vm_id), made.name)
        bench.until_state(made, "Running")
    return f"InitiateShutdown answered {code}"


def _guest_reboots(bench: Bench) -> str:
    made = bench.found.machines[2]
    before = _guest_up(bench, made)
    at = time.monotonic()
    code = _code(bench.change(vm.reboot(made.vm_id), made.name))
    if code not in _ACCEPTED:
        raise NotTried(f"InitiateReboot answered {code}")

    def away() -> vm.Vm | None:
        one = bench.sight(made)
        gone = not (one.heartbeat or "").startswith("Ok")
        return one if gone or one.uptime_seconds < before.uptime_seconds else None

    bench.until("rebooting", away, bench.patience.guest)
    after = _guest_up(bench, made)
    bench.measure("guest_reboot_ms", time.monotonic() - at)
    if after.uptime_seconds < before.uptime_seconds:
        raise NotSo(f"its uptime went from {before.uptime_seconds} s to {after.uptime_seconds} s")
    return f"its uptime went on from {before.uptime_seconds} s to {after.uptime_seconds} s"


def _guest_stops(bench: Bench) -> str:
    made = bench.found.machines[2]
    _guest_up(bench, made)
    at = time.monotonic()
    code = _code(bench.change(vm.shut_down(made.vm_id), made.name))
    if code not in _ACCEPTED:
        raise NotSo(f"InitiateShutdown answered {code}")
    bench.until("Off", lambda: True if _is_off(bench, made) else None, bench.patience.guest)
    bench.measure("guest_stop_ms", time.monotonic() - at)
    words = _ending(bench, made, "asked")
    bench.change(vm.start(made.vm_id), made.name)
    bench.until_state(made, "Running")
    return f"off after {bench.measured['guest_stop_ms']:.0f} ms; {words}"


def _is_off(bench: Bench, made: Made) -> bool:
    return bench.sight(made).state == "Off"


def _guest_up(bench: Bench, made: Made) -> vm.Vm:
    if not made.has_guest:
        raise NotTried(_NO_GUEST)

    def answering() -> vm.Vm | None:
        one = bench.sight(made)
        return one if (one.heartbeat or "").startswith("Ok") else None

    return bench.until("answering by a heartbeat", answering, bench.patience.guest)


def _code(answer: port.Answer) -> int | None:
    rows = answer.results.get("result", ())
    code = rows[0]["code"] if rows else None
    return code if isinstance(code, int) else None


def _cut(bench: Bench) -> str:
    made = bench.found.machines[2]
    bench.change(vm.turn_off(made.vm_id), made.name)
    found = bench.until_state(made, "Off")
    if found.heartbeat is not None:
        raise NotSo(f"off, its heartbeat reads {found.heartbeat}")
    return f"Off after {bench.measured['turn-off_ms']:.0f} ms"


def _logged(bench: Bench) -> str:
    return _ending(bench, bench.found.machines[2], "turned-off")


def _ending(bench: Bench, made: Made, wanted: looks.Ending) -> str:
    found = looks.read_endings(bench.look(looks.endings()))
    if made.vm_id not in found:
        raise NotSo("the log says nothing of it: stops by an administrator cannot be told")
    ending, _at = found[made.vm_id]
    if ending != wanted:
        raise NotSo(f"the log says {ending}, not {wanted}")
    return f"the log says {ending}"


def _reset(bench: Bench) -> str:
    made = bench.found.machines[2]
    bench.change(vm.start(made.vm_id), made.name)

    def old() -> vm.Vm | None:
        one = bench.sight(made)
        return one if one.uptime_seconds >= bench.patience.uptime else None

    before = bench.until(f"up for {bench.patience.uptime} s", old, bench.patience.state)
    at = time.monotonic()
    bench.change(vm.reset(made.vm_id), made.name)
    after = bench.until_state(made, "Running")
    passed = time.monotonic() - at
    if after.uptime_seconds > passed + 1 and after.uptime_seconds >= before.uptime_seconds:
        raise NotSo(f"its uptime went on to {after.uptime_seconds} s")
    return f"its uptime went from {before.uptime_seconds} s to {after.uptime_seconds} s"


PROBES: Final = (
    Probe(
        "guest-answer",
        "Whether a guest will shut down is told by a number, also when none answers.",
        "Msvm_ShutdownComponent.InitiateShutdown",
        _answers,
        changes=True,
        needs=("start-2",),
    ),
    Probe(
        "guest-stop",
        "A guest that answers shuts down when it is asked, and the log says so.",
        "Msvm_ShutdownComponent; event 18504",
        _guest_stops,
        changes=True,
        needs=("guest-answer",),
    ),
    Probe(
        "guest-reboot",
        "A guest's own reboot leaves the VM's uptime going on.",
        "derived; Msvm_ShutdownComponent.InitiateReboot",
        _guest_reboots,
        relied=False,
        changes=True,
        needs=("guest-answer",),
    ),
    Probe(
        "power-cut",
        "Its power can be cut, and its heartbeat is nothing then.",
        "Stop-VM -TurnOff",
        _cut,
        changes=True,
        needs=("start-2",),
    ),
    Probe(
        "log",
        "The host's log says of a VM that an administrator turned it off.",
        "Microsoft-Windows-Hyper-V-Worker-Admin, event 18502",
        _logged,
        needs=("power-cut",),
    ),
    Probe(
        "reset",
        "A reset starts a VM's uptime anew.",
        "Restart-VM",
        _reset,
        changes=True,
        needs=("power-cut",),
    ),
)
