"""The port to a Hyper-V host: plans of calls as data, what a host answers, and how it can fail.

Holds no I/O and knows no EC2 word; `ec2gw.winrm` implements `Host`, the engine is handed one.

    HostError
    ├── Unreachable      nothing was sent, or reading again is harmless: try later
    ├── Busy             a quota or a closed breaker: try later
    ├── Unknown          it may or may not have run: look, then resend with the same token
    ├── Fenced           the host has seen a newer epoch or generation: stop
    ├── Damaged          the host's journal has damaged lines: nothing new runs until it is mended
    ├── Token            the host knows this token: `word` is done, running or begun
    ├── Failed           a call of the plan failed on the host; `error` says how
    └── Faulty           the agent did not understand us, or we it: a fault of ours

Source: docs/architecture.md, "The host link".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

Cast = Literal["text", "int", "bool", "time", "texts"]
Flat = str | int | bool | None | list[str]
"""What a cast brings back: times as ISO 8601 text in UTC, enumerations as names."""


@dataclass(frozen=True, slots=True)
class Ref:
    """All live objects of an earlier call, or one of them, or a property of it."""

    name: str
    at: int | None = None
    property: str | None = None


@dataclass(frozen=True, slots=True)
class Cim:
    """A WMI value of a given width, as methods want it: `Cim("uint32[]", [0, 1])`."""

    type: str
    value: object


@dataclass(frozen=True, slots=True)
class Path:
    """A place below the host's root, forward slashes: `Path("instances/i-0abc/root.vhdx")`.

    The host joins, canonicalises and checks it; a Windows path is never composed here.
    """

    segments: str

    def __truediv__(self, segment: str) -> Path:
        return Path(f"{self.segments}/{segment}")


Argument = (
    str | int | bool | None | Ref | Cim | Path | Sequence["Argument"] | Mapping[str, "Argument"]
)


@dataclass(frozen=True, slots=True)
class Call:
    """One cmdlet with its parameters by name.

    `keep` names the result for later calls; `take` maps the answer's member to a property path
    and a cast (``{"uptime": "Uptime.TotalSeconds:int"}``) and needs `keep`.
    """

    cmdlet: str
    parameters: Mapping[str, Argument] = field(default_factory=dict)
    keep: str | None = None
    take: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls that run in order and stop at the first failure.

    `purpose` is a word for logs ("launch"). A plan that `changes` travels with a token.
    """

    purpose: str
    calls: tuple[Call, ...]
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a plan brought back: per kept-and-taken call a list of flat objects."""

    results: Mapping[str, Sequence[Mapping[str, Flat]]]
    done: int
    warnings: Sequence[str] = ()
    elapsed_ms: int = 0


_PASSING: Final = frozenset({"InvalidState", "ObjectInUse", "FileInUse"})
_SHARING_VIOLATION: Final = "0x80070020"


@dataclass(frozen=True, slots=True)
class HostFault:
    """An error record of PowerShell, in the parts that no language changes (`text` is for logs)."""

    id: str
    category: str
    hresult: Sequence[str] = ()
    activity: str = ""
    target: str = ""
    kind: str = ""
    text: str = ""

    @property
    def identifier(self) -> str:
        """The first part of the id: `InvalidState` of `InvalidState,...Commands.StopVM`."""
        return self.id.split(",", 1)[0]

    @property
    def passes(self) -> bool:
        """Whether something else was under way: the same call may well succeed later."""
        return self.identifier in _PASSING or _SHARING_VIOLATION in self.hresult


class HostError(Exception):
    """Whatever kept a plan from a plain answer."""


class Unreachable(HostError):
    """No connection, no sign-in, no agent; nothing of the plan was sent."""


class Busy(HostError):
    """The host's quota or our breaker refuses now; nothing ran."""


class Unknown(HostError):
    """The deadline passed or the link broke after sending: it may have run, or run later."""


class Fenced(HostError):
    """A newer driver or a newer intent is known on the host; nothing ran."""

    def __init__(self, what: Literal["epoch", "generation"], seen: int) -> None:
        super().__init__(f"the host has seen {what} {seen}")
        self.what = what
        self.seen = seen


class Damaged(HostError):
    """Lines of the host's journal cannot be read; one of them may be of this token; nothing ran."""

    def __init__(self, lines: int) -> None:
        super().__init__(f"{lines} lines of the host's journal are damaged")
        self.lines = lines


class Token(HostError):
    """The host knows this token: done (`outcome` ok or failed), running, or begun by one dead."""

    def __init__(self, word: Literal["done", "running", "begun"], outcome: str | None) -> None:
        super().__init__(f"token {word}" + (f", {outcome}" if outcome else ""))
        self.word = word
        self.outcome = outcome


class Failed(HostError):
    """Call number `done` (from 0) failed; the calls before it have run."""

    def __init__(self, stage: str, error: HostFault, done: int) -> None:
        super().__init__(f"{stage} {done}: {error.id} ({error.category}) {' '.join(error.hresult)}")
        self.stage = stage
        self.error = error
        self.done = done


class Faulty(HostError):
    """A bad frame, request or answer between us and the agent."""


@dataclass(frozen=True, slots=True)
class Fence:
    """What a changing plan carries: an attempt's token, whose row it is for, its generation.

    Without a token, for plans of no calls alone: the host only notes the generation, or refuses it.
    """

    token: str | None
    subject: str
    generation: int


class Host(Protocol):
    """One Hyper-V host. Thread-safe. Every call carries the driver's epoch by itself."""

    def run(
        self, plan: Plan, *, fence: Fence | None = None, deadline_seconds: float = 30
    ) -> Answer:
        """Run the plan, wait for its answer.

        A plan that changes needs a fence; with the same token it runs at most once on the host,
        however often it is sent.

        :raises HostError: see the module's tree
        """
        ...
