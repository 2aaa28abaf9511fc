"""Token, fence and lock: each is shown to hold, and to be what holds.

Every guard is taken away once: then the very harm that it keeps off has to appear, or the test
that praises it proves nothing.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from ec2gw.engine import links, lock
from ec2gw.engine.service import Engine
from ec2gw.lab.agent.host import Invoked
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.winrm import request
from ec2gw.winrm.pool import HostLink
from state import models
from state.secrets import Vault
from tests.faults.rig import Rig
from translators.ec2.instances import intents, reboots
from translators.hyperv import host as port
from translators.hyperv import making


def _without(monkeypatch: pytest.MonkeyPatch, *members: str) -> None:
    """Let requests leave without these members; the agent then asks nothing of them."""
    whole = request.encode

    def encode(*arguments: Any, **named: Any) -> dict[str, object]:
        body: Mapping[str, object] = whole(*arguments, **named)
        return {name: value for name, value in body.items() if name not in members}

    monkeypatch.setattr(request, "encode", encode)


def _lose_answers(gateway: Rig) -> None:
    """What is sent arrives and runs; every third of what is told of it is not heard."""
    for faults in gateway.laboratory.faults.values():
        for nth in range(3, 63, 3):
            faults.plan("after", "Receive", nth=nth)


class Reboots:
    """Counts, in the laboratory, the reboots that each guest accepted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The host's log is not asked: where it may not be read, the token has to do alone."""
        monkeypatch.setattr(reboots, "was_reset", lambda intent, run: False)
        self.accepted = 0
        invoke = LabMachine.invoke

        def counting(machine: LabMachine, do: str, arguments: Mapping[str, object]) -> Invoked:
            invoked = invoke(machine, do, arguments)
            if arguments.get("MethodName") == "InitiateReboot":
                codes = [one.property("ReturnValue") for one in invoked.objects]  # type: ignore[attr-defined]
                self.accepted += codes.count(0)
            return invoked

        monkeypatch.setattr(LabMachine, "invoke", counting)


def _reboot_all(gateway: Rig) -> int:
    """Reboot twelve instances while every third answer is lost."""
    ids = gateway.launch(12)
    gateway.wait("running", *ids)
    gateway.until(
        lambda: all(vm["heartbeat"].startswith("Ok") for vm in gateway.vms()), "guests are up"
    )
    _lose_answers(gateway)
    gateway.ask("RebootInstances", InstanceIds=ids)
    gateway.wait("running", *ids)
    return len(ids)


def test_lost_replies_reboot_nobody_twice(gateway: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Reboots(monkeypatch)
    assert counted.accepted == 0
    assert _reboot_all(gateway) == counted.accepted


def test_without_tokens_lost_replies_reboot_guests_twice(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without(monkeypatch, "token")
    counted = Reboots(monkeypatch)
    assert _reboot_all(gateway) < counted.accepted


class _Undone(Exception):
    pass


def _as_if_launching(gateway: Rig, key: int) -> intents.Intent:
    """Load the intent that the instance had before it ran; nothing is changed by it."""
    found: list[intents.Intent | None] = []

    def work(session: Session) -> None:
        session.get_one(models.Instance, key).phase = "pending"
        session.flush()
        found.append(intents.load(session, key, gateway.settings, gateway.now))
        raise _Undone

    with pytest.raises(_Undone):
        gateway.store.write(work)
    assert found[0] is not None
    return found[0]


@pytest.fixture
def late(gateway: Rig) -> tuple[HostLink, port.Plan, port.Fence]:
    """A plan of an intent that is over: the launch of an instance that was terminated since."""
    (one,) = gateway.launch(1)
    gateway.wait("running", one)
    key = gateway.instance(one).key
    intent = _as_if_launching(gateway, key)
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    gateway.stop()
    with gateway.store.read() as session:
        epoch = session.get_one(models.Host, intent.host_key).epoch
        link = links.make(session, Vault(gateway.data / "key"), intent.host_key, epoch)
    plan = making.create(intent.spec)
    return link, plan, port.Fence(secrets.token_hex(16), one, intent.generation)


def test_a_plan_of_an_older_intent_is_refused(
    gateway: Rig, late: tuple[HostLink, port.Plan, port.Fence]
) -> None:
    link, plan, fence = late
    with pytest.raises(port.Fenced) as refused:
        link.run(plan, fence=fence)
    link.close()
    assert refused.value.what == "generation"
    assert gateway.vms() == []


def test_without_the_fence_an_older_intent_makes_an_orphan(
    gateway: Rig,
    late: tuple[HostLink, port.Plan, port.Fence],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _without(monkeypatch, "subject", "generation")
    link, plan, fence = late
    link.run(plan, fence=fence)
    link.close()
    assert [one["name"] for one in gateway.vms()] == [fence.subject]


def test_an_older_driver_is_refused(
    gateway: Rig, late: tuple[HostLink, port.Plan, port.Fence]
) -> None:
    link, plan, fence = late
    link.close()
    with gateway.store.read() as session:
        host = session.get_one(models.Host, gateway.hosts["a"])
        older = links.make(session, Vault(gateway.data / "key"), host.key, host.epoch - 1)
    with pytest.raises(port.Fenced) as refused:
        older.run(plan, fence=fence)
    older.close()
    assert refused.value.what == "epoch"


def _epochs(gateway: Rig) -> list[int]:
    return sorted(host.epoch for host in gateway.rows(models.Host))


def _second_engine(gateway: Rig, folder: Path) -> tuple[threading.Thread, threading.Event]:
    stopping = threading.Event()
    engine = Engine(gateway.data, gateway.store, gateway.settings)
    thread = threading.Thread(target=engine.run, args=(stopping,), daemon=True)
    thread.start()
    return thread, stopping


def test_a_second_engine_drives_nothing(gateway: Rig, tmp_path: Path) -> None:
    before = _epochs(gateway)
    thread, stopping = _second_engine(gateway, tmp_path)
    ids = gateway.launch(3)
    gateway.wait("running", *ids)
    stopping.set()
    thread.join(20)
    assert _epochs(gateway) == before


def test_without_the_lock_two_engines_depose_each_other(
    gateway: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoLock:
        def __init__(self, path: Path) -> None:
            pass

        def release(self) -> None:
            pass

    before = _epochs(gateway)
    monkeypatch.setattr(lock, "FileLock", NoLock)
    thread, stopping = _second_engine(gateway, tmp_path)
    gateway.until(lambda: sum(_epochs(gateway)) > sum(before), "a second driver took a host")
    stopping.set()
    thread.join(20)
