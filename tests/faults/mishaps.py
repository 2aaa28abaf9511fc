"""What befalls the cmdlets of the laboratories in this process, and what they did all the same.

Cmdlets fail, take long or are interrupted as a test plans it; a host speaks German; its clock is
ahead. Every plan that ran under a token is counted, and every effect on a machine.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from ec2gw.lab.agent import session
from ec2gw.lab.agent.host import CmdletError, Invoked, Live
from ec2gw.lab.cmdlets import LabMachine, faults

GUEST = "CimCmdlets\\Invoke-CimMethod"
"""How guests are asked to shut down or to reboot."""
_SYSTEM = "Win32_OperatingSystem"


@dataclass
class _Planned:
    do: str
    skip: int
    times: int
    act: Callable[[], None]
    after: bool


class Mishaps:
    """In force as long as the monkeypatch is. Thread-safe, as the laboratory is."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.german = False
        self.told: list[str] = []
        """Every text of an error that a host told."""
        self.host_clock_ahead_by = dt.timedelta(0)
        self.guest_answers: int | None = None
        """What guests' shutdown components answer instead of doing what they are asked."""
        self.noise = False
        """Whether others write between the agents' frames too; the next answer is torn by it."""
        self.ran: Counter[str] = Counter()
        """Token -> how often a plan ran under it."""
        self.did: Counter[tuple[str, str]] = Counter()
        """What was done and to which machine -> how often: `Stop-VM`, `InitiateReboot`, `made`."""
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        self._lane = session.Session._lane
        self._send = session.Session._send
        self._invoke = LabMachine.invoke
        boot_time = vars(LabMachine)["boot_time"].fget
        patch.setattr(session.Session, "_lane", lambda *given: self._count_lane(*given))
        patch.setattr(session.Session, "_send", lambda *given: self._sent(*given))
        patch.setattr(LabMachine, "invoke", lambda *given: self._invoked(*given))
        ahead = property(lambda machine: boot_time(machine) + self.host_clock_ahead_by)
        patch.setattr(LabMachine, "boot_time", ahead)

    # -- what tests plan

    def fail(
        self,
        do: str,
        identifier: str,
        category: str = "NotSpecified",
        hresult: str = "0x80004005",
        *,
        times: int = 1,
        after: bool = False,
    ) -> None:
        """Let the next calls of a cmdlet fail; `after`: once they have done their work."""
        activity = do.partition("\\")[2]

        def act() -> None:
            raise faults.fault(
                activity,
                identifier,
                category,
                "The operation failed.",
                hresult=(hresult,),
                kind=faults.FAILED,
            )

        self._plan(_Planned(do, 0, times, act, after))

    def during(self, do: str, act: Callable[[], None], *, nth: int = 1) -> None:
        """Let that happen when a cmdlet has done its work and nobody knows of it yet."""
        self._plan(_Planned(do, nth - 1, 1, act, after=True))

    def slow(self, do: str, seconds: float, *, times: int = 1) -> None:
        """Let the next calls of a cmdlet take so much longer."""
        self._plan(_Planned(do, 0, times, lambda: time.sleep(seconds), after=True))

    def forget(self) -> None:
        """Let nothing that was planned happen any more."""
        with self._lock:
            self._planned.clear()

    def _plan(self, planned: _Planned) -> None:
        with self._lock:
            self._planned.append(planned)

    @property
    def pending(self) -> int:
        """How many are planned and have not happened yet."""
        return len(self._planned)

    # -- what was seen

    def twice(self) -> list[str]:
        """The tokens under which a plan ran more than once."""
        return [token for token, times in self.ran.items() if times > 1]

    # -- in the laboratory

    def _count_lane(self, agent: session.Session, job: session._Job) -> None:
        if job.request.token is not None and job.request.calls:
            with self._lock:
                self.ran[job.request.token] += 1
        self._lane(agent, job)

    def _sent(self, agent: session.Session, message: dict[str, object]) -> None:
        torn = self.noise and "results" in message
        if self.noise:
            agent._output.stdout(b"WARNING: somebody wrote to the console\r\n")
            agent._output.stderr(b"#< CLIXML\r\n<Objs/>")
        if torn:
            self.noise = False
            agent._output.stdout(b"\x1e40 01234567 half an answer\r\n")
        else:
            self._send(agent, message)

    def _invoked(self, machine: LabMachine, do: str, arguments: Mapping[str, object]) -> Invoked:
        try:
            return self._invoked_in_english(machine, do, arguments)
        except CmdletError as error:
            told = faults.in_german(error) if self.german else error
            self.told.append(told.text)
            raise told from None

    def _invoked_in_english(
        self, machine: LabMachine, do: str, arguments: Mapping[str, object]
    ) -> Invoked:
        planned = self._due(do)
        if planned is not None and not planned.after:
            planned.act()
        subject = _subject(machine, arguments)
        if self.guest_answers is not None and do == GUEST:
            return Invoked([_Fixed({"ReturnValue": self.guest_answers})])
        invoked = self._invoke(machine, do, arguments)
        self._note(do, subject, arguments, invoked)
        if planned is not None and planned.after:
            planned.act()
        if self.german and do == "Hyper-V\\New-VM":
            _name_adapters_in_german(machine, str(arguments["Name"]))
        warnings = [faults.GERMAN_WARNING if self.german else one for one in invoked.warnings]
        objects = invoked.objects
        tells_time = do.endswith("Get-WinEvent") or str(arguments.get("ClassName")) == _SYSTEM
        if tells_time and self.host_clock_ahead_by:
            objects = [_Ahead(one, self.host_clock_ahead_by) for one in objects]
        return Invoked(objects, warnings)

    def _due(self, do: str) -> _Planned | None:
        with self._lock:
            for planned in self._planned:
                if planned.do != do:
                    continue
                if planned.skip:
                    planned.skip -= 1
                    continue
                planned.times -= 1
                if planned.times == 0:
                    self._planned.remove(planned)
                return planned
        return None

    def _note(
        self, do: str, subject: str, arguments: Mapping[str, object], invoked: Invoked
    ) -> None:
        what = do.partition("\\")[2]
        if do == GUEST:
            codes = [
                one.property("ReturnValue") for one in invoked.objects if isinstance(one, Live)
            ]
            if codes != [0]:
                return
            what = str(arguments["MethodName"])
        elif invoked.warnings:  # it was so already
            return
        elif "AutomaticStartAction" in arguments:  # the last step of making a VM
            what = "made"
        with self._lock:
            self.did[what, subject] += 1


def _subject(machine: LabMachine, arguments: Mapping[str, object]) -> str:
    """The name of the machine that a call is about, if it is about one."""
    given = arguments.get("VM") or arguments.get("InputObject")
    one = given[0] if isinstance(given, list) and given else given
    identity = getattr(one, "identity", ())
    if not identity:
        return str(arguments.get("Name", ""))
    with machine._world.reading(machine.name) as seen:
        found = seen.vm(identity[0])
        return found.name if found is not None else ""


def _name_adapters_in_german(machine: LabMachine, name: str) -> None:
    with machine._world.changing(machine.name) as changed:
        for one in changed.vms():
            if one.name == name:
                for nic in one.nics:
                    nic.name = nic.name.replace("Network Adapter", "Netzwerkkarte")
                changed.put_vm(one)


@dataclass(frozen=True)
class _Fixed:
    values: Mapping[str, object]

    def property(self, name: str) -> object:
        return self.values[name]


class _Ahead:
    """An object whose times are told by a clock that is ahead."""

    def __init__(self, of: object, by: dt.timedelta) -> None:
        self._of = of
        self._by = by

    def __getattr__(self, name: str) -> object:
        return getattr(self._of, name)

    def property(self, name: str) -> object:
        assert isinstance(self._of, Live)
        value = self._of.property(name)
        return value + self._by if isinstance(value, dt.datetime) else value
