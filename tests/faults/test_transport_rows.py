"""What may befall the way to a host, each in the midst of a launch, a reboot, a stop and an end.

Whatever it is: each of them happens, once. The link's times are short here, not its ways.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

import pytest

from ec2gw.lab.console import Console
from ec2gw.winrm import breaker, timing
from tests.faults.mishaps import GUEST, Mishaps
from tests.faults.rig import Rig
from tests.faults.test_hosts import HOST, ZONE

Trap = Callable[[Rig, Mishaps], Callable[[], None]]
"""Makes what is to happen when a cmdlet has done its work and nobody knows of it yet."""


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """Times of the link that tests can wait for."""
    times = functools.partial(
        timing.Timing, operation_seconds=1, read_seconds=2, send_seconds=1, farewell_seconds=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "Timing", times)
        patch.setattr(breaker, "EXHAUSTED_SECONDS", 0.5)
        yield


def next_message(what: str, kind: str, code: int = 0, times: int = 1) -> Trap:
    """Spoil the next message of the kind."""

    def make(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
        faults = gateway.laboratory.faults[HOST]
        return lambda: faults.plan(what, kind, code=code, times=times)  # type: ignore[arg-type]

    return make


def restarted_and(what: str, kind: str, code: int = 0) -> Trap:
    """Lose all shells, and spoil the first message of the kind after that."""

    def make(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
        faults = gateway.laboratory.faults[HOST]

        def act() -> None:
            faults.plan(what, kind, code=code)  # type: ignore[arg-type]
            faults.drop_shells()

        return act

    return make


def service_restart(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
    return gateway.laboratory.faults[HOST].drop_shells


def crash(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
    return gateway.laboratory.faults[HOST].end_programs


def connections_closed(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
    """As http.sys does with idle ones: what was sealed for them is of no use on the next."""
    faults = gateway.laboratory.faults[HOST]

    def act() -> None:
        faults.go_down()
        faults.go_up()

    return act


def idled_out(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
    faults = gateway.laboratory.faults[HOST]

    def act() -> None:
        faults.go_down()
        gateway.until(lambda: not any(_in_work(gateway)), "nobody waits there", 5)
        faults.let_pass(200)
        faults.go_up()

    return act


def _in_work(gateway: Rig) -> Iterator[int]:
    shells = gateway.laboratory._doors[HOST].service.shells
    return (one.messages_in_work for one in list(shells._shells.values()))


def host_restart(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
    def act() -> None:
        Console(gateway.world).reboot_host(HOST)
        gateway.laboratory.faults[HOST].drop_shells()

    return act


def slow_call(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
    """Longer than the host holds a Receive."""
    return lambda: time.sleep(1.3)


def noise(gateway: Rig, mishaps: Mishaps) -> Callable[[], None]:
    """Text of others comes between the frames, and tears the next answer."""

    def act() -> None:
        mishaps.noise = True

    return act


TRAPS: dict[str, Trap] = {
    "a call longer than the operation's time": slow_call,
    "Send cut before it is processed": next_message("before", "Send"),
    "Send cut after it was processed": next_message("after", "Send"),
    "Send cut within its answer": next_message("within", "Send"),
    "Receive cut before it is processed": next_message("before", "Receive"),
    "Receive cut after it was processed": next_message("after", "Receive"),
    "Receive cut within its answer": next_message("within", "Receive"),
    "Send whose answer is swallowed": next_message("swallow", "Send"),
    "Receive whose answer is swallowed": next_message("swallow", "Receive"),
    "Send told 1460 though it was taken": next_message("fault after", "Send", 1460),
    "Send told 2150858793 though it was taken": next_message("fault after", "Send", 2150858793),
    "Send told 1460 and not taken": next_message("fault", "Send", 1460),
    "connections closed": connections_closed,
    "the shell idled out": idled_out,
    "the host restarted": host_restart,
    "the WinRM service restarted": service_restart,
    "the agent crashed": crash,
    "Receive told 995": next_message("fault", "Receive", 995),
    "Send told 2147943418": next_message("fault", "Send", 2147943418),
    "Create answered into the void": restarted_and("after", "Create"),
    "Create told 2150859173": restarted_and("fault", "Create", 2150859173),
    "Send told 2150859174": next_message("fault", "Send", 2150859174),
    "text of others between the frames": noise,
}


@pytest.mark.parametrize("name", TRAPS)
def test_everything_happens_once(shared: tuple[Rig, Mishaps], name: str) -> None:
    gateway, mishaps = shared
    trap = TRAPS[name]
    mishaps.during("Hyper-V\\New-VM", trap(gateway, mishaps))
    (one,) = gateway.launch(1, **ZONE)
    gateway.wait("running", one)
    gateway.assert_exactly([one])
    gateway.until(lambda: str(gateway.vms()[0]["heartbeat"]).startswith("Ok"), "the guest is up")
    mishaps.during(GUEST, trap(gateway, mishaps))
    gateway.ask("RebootInstances", InstanceIds=[one])
    gateway.wait("running", one)
    mishaps.during("Hyper-V\\Stop-VM", trap(gateway, mishaps))
    gateway.ask("StopInstances", InstanceIds=[one], Force=True)
    gateway.wait("stopped", one)
    assert [vm["state"] for vm in gateway.vms()] == ["Off"]
    mishaps.during("Hyper-V\\Remove-VM", trap(gateway, mishaps))
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert gateway.vms() == []
    assert gateway.leftovers() == []
    assert mishaps.pending == 0
    assert mishaps.twice() == []
    assert mishaps.did["InitiateReboot", one] == 1
