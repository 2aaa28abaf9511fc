"""What probes work with: the host's links, what is made there, what was measured and what failed.

Two links. `main` is the product's own, with the host's root and the product's table of what is
allowed; it only looks. `own` has a folder of its own below that root, with a journal of its own:
whatever a probe makes lies in there, and the agent itself keeps it in.

Source: docs/operations.md, "Proving a host"; docs/agent.md, "Frames".
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ec2gw.doctor.probe import NotSo, NotTried
from ec2gw.doctor.tokens import Tokens
from ec2gw.winrm import agent, endpoint, framing, pool, reply, shell, timing
from ec2gw.winrm.checks import Step
from translators.hyperv import allowed, trials, vm
from translators.hyperv import host as port
from translators.hyperv.survey import Survey

T = TypeVar("T")

SUBJECT: Final = "doctor-0"
"""Whose row a change is for that is no VM's."""
_LACKING: Final = frozenset({"CommandNotFoundException", "NotSimulated"})
_START_SECONDS: Final = 75.0
_LOOK_SECONDS: Final = 30.0
_CHANGE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Image:
    """A disk in the host's `images`, as `ec2gw image add` knows it."""

    name: str
    file_name: str
    generation: int
    secure_boot_template: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """The host that is to be proved, as it is configured."""

    name: str
    address: endpoint.HostAddress
    root: str
    deployment: str
    networks: tuple[tuple[str, int | None], ...] = ()
    """Switch and VLAN of each that is configured for its zone; VMs are put on the first."""
    image: Image | None = None

    @property
    def label(self) -> str:
        """What all that is made carries: the folder's name, and the deployment in the Notes."""
        return f"doctor-{self.deployment}"

    @property
    def switches(self) -> tuple[str, ...]:
        """What the configured networks need."""
        return tuple(sorted({switch for switch, _vlan in self.networks}))

    @property
    def folder(self) -> str:
        """The doctor's own root there."""
        return f"{self.root.rstrip(chr(92))}\\{self.label}"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds, and how much to measure."""

    poll: float = 0.25
    state: float = 120
    """For a VM's state, and for its files to be closed."""
    guest: float = 300
    """For a guest to come up or to go down."""
    uptime: int = 5
    """What a VM's uptime must show before a reset can be told."""
    busy: float = 2.0
    """How long a plan should take that is to be seen while it runs."""
    operation: int = 5
    """For a Receive of the probes of the connection."""
    sleeper: int = 30
    idle: float = 130
    """http.sys closes a connection that was silent for some two minutes."""
    sweep: float = 240
    """An agent that lost us ends after two minutes, and holds its folder until then."""
    round_trips: int = 50
    surveys: int = 5
    verbs: int = 1000


IN_LABORATORY: Final = Patience(
    poll=0.02, uptime=1, busy=2.0, operation=1, sleeper=10, round_trips=20, surveys=3, verbs=50
)
"""Nothing there is far away or takes long to be told apart."""


@dataclass(frozen=True, slots=True)
class Made:
    """A VM of the doctor's."""

    name: str
    vm_id: str
    has_guest: bool


@dataclass(slots=True)
class Findings:
    """What probes tell each other."""

    steps: Mapping[str, Step] = field(default_factory=dict)
    """Of `ec2gw host check`, by name."""
    facts: dict[str, str] = field(default_factory=dict)
    survey: Survey | None = None
    machines: dict[int, Made] = field(default_factory=dict)
    """By generation."""
    busy_looks: int = 0
    """How many looks keep an agent busy for `Patience.busy`; 0 while that is not known."""
    starts_ms: list[int] = field(default_factory=list)
    """Of each PowerShell, from the first message to the hello."""


class Bench(port.Host):
    """As a `Host` it is the own link, whose tokens and errors are kept."""

    def __init__(
        self,
        target: Target,
        tokens: Tokens,
        patience: Patience | None = None,
        limits: timing.Timing | None = None,
    ) -> None:
        self.target = target
        self.tokens = tokens
        self.patience = patience or (IN_LABORATORY if target.address.laboratory else Patience())
        self.limits = limits or timing.Timing()
        self.found = Findings()
        self.errors: list[port.HostFault] = []
        self.measured: dict[str, float] = {}
        self.epoch = 0
        self._main: pool.HostLink | None = None
        self._own: pool.HostLink | None = None

    # -- links

    @property
    def main(self) -> pool.HostLink:
        if self._main is None:
            self._main = self._link(
                self.target.root, allowed.MODULES, allowed.ALLOWED, allowed.PATHS, None
            )
        return self._main

    @property
    def own(self) -> pool.HostLink:
        """The link of the doctor's folder; its epoch is above all that the journal there saw.

        :raises port.HostError: there is no agent to be had
        """
        if self._own is None:
            # Seconds only grow, so that a later doctor's agents put an earlier one's to rest.
            self.epoch = max(int(time.time()), self.epoch + 1)
            link = self.another(self.epoch)
            try:
                seen = link.connect(_START_SECONDS).epoch
            except BaseException:
                link.close()
                raise
            if seen >= self.epoch:
                link.close()
                self.epoch = seen + 1
                link = self.another(self.epoch)
            self._own = link
        return self._own

    def another(self, epoch: int) -> pool.HostLink:
        """One more link of the doctor's folder; whoever asks for it closes it."""
        return self._link(self.target.folder, trials.MODULES, trials.ALLOWED, trials.PATHS, epoch)

    def replace_own(self, link: pool.HostLink, epoch: int) -> None:
        """Go on over another link, after a newer epoch was seen."""
        old, self._own, self.epoch = self._own, link, epoch
        if old is not None:
            old.close()

    def close_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.close()

    def close(self) -> None:
        self.close_own()
        main, self._main = self._main, None
        if main is not None:
            main.close()

    def hello(self) -> reply.Hello:
        """What the main link's agent told of itself.

        :raises port.HostError: there is no agent to be had
        """
        return self.main.connect(_START_SECONDS)

    def bootstrap(self) -> shell.Bootstrap:
        """What starts an agent of the doctor's folder without a link."""
        setup = {
            "root": self.target.folder,
            "modules": trials.MODULES,
            "allowed": trials.ALLOWED,
            "paths": trials.PATHS,
        }
        return shell.Bootstrap(
            agent.PROGRAM, agent.arguments(), agent.first_line() + framing.encode(setup)
        )

    def _link(
        self,
        root: str,
        modules: Sequence[str],
        table: Mapping[str, Sequence[str]],
        paths: Mapping[str, Sequence[str]],
        epoch: int | None,
    ) -> pool.HostLink:
        def note(event: str, fields: Mapping[str, object]) -> None:
            ms = fields.get("ms")
            if event == "worker-started" and isinstance(ms, int):
                self.found.starts_ms.append(ms)

        return pool.HostLink(
            self.target.address,
            root=root,
            modules=modules,
            allowed=table,
            paths=paths,
            epoch=epoch,
            name=self.target.name,
            limits=self.limits,
            on_event=note,
        )

    # -- plans

    def run(
        self,
        plan: port.Plan,
        *,
        fence: port.Fence | None = None,
        deadline_seconds: float = _LOOK_SECONDS,
    ) -> port.Answer:
        """Run a plan over the own link; its token is written down, its error kept.

        :raises NotTried: the host lacks one of its cmdlets
        """
        link = self.own
        if fence is not None and fence.token is not None:
            self.tokens.begin(fence.token)
        try:
            answer = link.run(plan, fence=fence, deadline_seconds=deadline_seconds)
        except port.Failed as failed:
            if failed.error not in self.errors:  # what is waited for fails the same way often
                self.errors.append(failed.error)
            self._ended(fence)
            if failed.error.identifier in _LACKING:
                raise NotTried(f"there is no {failed.error.target}") from failed
            raise
        except (port.Fenced, port.Faulty):
            self._ended(fence)
            raise
        except port.Token as known:
            if known.word != "running":
                self._ended(fence)
            raise
        self._ended(fence)
        return answer

    def _ended(self, fence: port.Fence | None) -> None:
        if fence is not None and fence.token is not None:
            self.tokens.end(fence.token)

    def look(self, plan: port.Plan) -> port.Answer:
        return self.run(plan)

    def change(
        self,
        plan: port.Plan,
        subject: str = SUBJECT,
        *,
        token: str | None = None,
        generation: int = 1,
    ) -> port.Answer:
        """Run a changing plan under a token of its own, and measure it."""
        fence = port.Fence(token or secrets.token_hex(16), subject, generation)
        began = time.monotonic()
        answer = self.run(plan, fence=fence, deadline_seconds=_CHANGE_SECONDS)
        self.measure(f"{plan.purpose}_ms", time.monotonic() - began)
        return answer

    def refused(self, plan: port.Plan, subject: str = SUBJECT) -> port.HostFault:
        """Run a plan that the host should refuse, and answer with how it does.

        :raises NotSo: it ran
        """
        try:
            self.change(plan, subject)
        except port.Failed as failed:
            return failed.error
        raise NotSo(f"{plan.purpose} was not refused")

    # -- measuring and waiting

    def measure(self, name: str, seconds: float) -> None:
        """Keep a duration, told in milliseconds."""
        self.measured[name] = round(seconds * 1000, 1)

    def percentiles(self, name: str, seconds: Sequence[float]) -> str:
        """Keep and word the median and the 95th percentile of durations."""
        ordered = sorted(seconds)
        for percent in (50, 95):
            at = max(math.ceil(len(ordered) * percent / 100) - 1, 0)
            self.measure(f"{name}_p{percent}_ms", ordered[at])
        p50, p95 = self.measured[f"{name}_p50_ms"], self.measured[f"{name}_p95_ms"]
        return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms of {len(ordered)}"

    def until(self, what: str, find: Callable[[], T | None], seconds: float) -> T:
        """Look again and again until there is something.

        :raises NotSo: there was nothing in that time
        """
        limit = time.monotonic() + seconds
        while (found := find()) is None:
            if time.monotonic() >= limit:
                raise NotSo(f"not {what} within {seconds:.0f} s")
            time.sleep(self.patience.poll)
        return found

    def sight(self, made: Made) -> vm.Vm:
        """Look at a VM by its GUID.

        :raises NotSo: there is not exactly one
        """
        found = vm.seen(self.look(vm.look(made.vm_id, made.name)))
        if len(found) != 1:
            raise NotSo(f"{len(found)} VMs have the id {made.vm_id}")
        return found[0]

    def until_state(self, made: Made, state: str) -> vm.Vm:
        def there() -> vm.Vm | None:
            found = self.sight(made)
            return found if found.state == state else None

        began = time.monotonic()
        found = self.until(state, there, self.patience.state)
        self.measure(f"until_{state.lower()}_ms", time.monotonic() - began)
        return found
