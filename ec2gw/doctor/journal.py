"""Tokens, generations, epochs: that nothing runs twice and nobody old runs, with two agents.

All in the journal of the doctor's own folder; the host's own is not touched.

Source: docs/agent.md, "Nothing runs twice, nobody old runs".
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Final

from ec2gw.doctor.bench import SUBJECT, Bench
from ec2gw.doctor.probe import NotSo, NotTried, Probe
from ec2gw.winrm.pool import HostLink
from translators.hyperv import file, journal, trials, vm
from translators.hyperv import host as port

_BURN: Final = port.Plan("burn", (), changes=True)
_ROW: Final = "doctor-1"
_SAMPLES: Final = port.Path("samples")
_BEGIN_SECONDS: Final = 30.0
_TELLING_MS: Final = 100
_MOST_LOOKS: Final = 15_000


def _token() -> str:
    return secrets.token_hex(16)


def _heard(host: port.Host, plan: port.Plan, token: str) -> port.Token:
    """Send a token that the host should know.

    :raises NotSo: it ran
    """
    try:
        host.run(plan, fence=port.Fence(token, SUBJECT, 1))
    except port.Token as known:
        return known
    raise NotSo("it ran again")


def _resend(bench: Bench) -> str:
    token = _token()
    plan = file.make_folder(port.Path("tmp"))
    bench.change(plan, token=token)
    known = _heard(bench, plan, token)
    if (known.word, known.outcome) != ("done", "ok"):
        raise NotSo(f"it is told as {known}")
    failing = _token()
    missing = vm.remove("00000000-0000-4000-8000-000000000000")
    with contextlib.suppress(port.Failed):
        bench.change(missing, token=failing)
    known = _heard(bench, missing, failing)
    if (known.word, known.outcome) != ("done", "failed"):
        raise NotSo(f"a failed one is told as {known}")
    return "done with ok, done with failed"


def _burn(bench: Bench) -> str:
    token = _token()
    bench.change(_BURN, token=token)
    known = _heard(bench, file.make_folder(port.Path("burnt")), token)
    if file.seen(bench.look(file.look(port.Path("burnt")))) is not None:
        raise NotSo("it ran all the same")
    return f"afterwards it is told as {known.word}"


def _generation(bench: Bench) -> str:
    bench.change(_BURN, _ROW, generation=5)
    try:
        bench.change(_BURN, _ROW, generation=4)
    except port.Fenced as fenced:
        if fenced.what == "generation" and fenced.seen == 5:
            return str(fenced)
        raise NotSo(str(fenced)) from None
    raise NotSo("the older one ran")


@contextlib.contextmanager
def _second(bench: Bench, epoch: int) -> Iterator[HostLink]:
    link = bench.another(epoch)
    try:
        link.connect(75)
        yield link
    finally:
        link.close()


def busy_plan(bench: Bench, mark: port.Path) -> port.Plan:
    """Looks enough to keep an agent busy for a while, by how long fewer of them take."""
    if not bench.found.busy_looks:
        count = 20
        took_ms = bench.change(trials.many_looks(count, _SAMPLES)).elapsed_ms
        while took_ms < _TELLING_MS and count < _MOST_LOOKS:
            count *= 5
            took_ms = bench.change(trials.many_looks(count, _SAMPLES)).elapsed_ms
        wanted = int(bench.patience.busy * 1000 / max(took_ms, 1) * count)
        bench.found.busy_looks = min(max(wanted, count), _MOST_LOOKS)
    return trials.many_looks(bench.found.busy_looks, mark)


def until_begun(bench: Bench, host: port.Host, mark: port.Path) -> None:
    """Wait for a busy plan's first call: a token that is asked for too soon would be burnt."""

    def begun() -> file.FileState | None:
        return file.seen(host.run(file.look(mark)))

    bench.until("begun", begun, _BEGIN_SECONDS)


def _two_agents(bench: Bench) -> str:
    """One agent runs a token's plan; another one is asked for that token meanwhile and after."""
    mark = port.Path("busy-agents")
    plan, token = busy_plan(bench, mark), _token()
    ended: list[Exception] = []

    def run() -> None:
        try:
            bench.change(plan, token=token)
        except (port.HostError, NotTried) as error:
            ended.append(error)

    said: list[str] = []
    with _second(bench, bench.epoch) as other:
        thread = threading.Thread(target=run, name="doctor-busy", daemon=True)
        thread.start()
        until_begun(bench, other, mark)
        while thread.is_alive():
            said.append(_asked(other, token, 0.2))
            time.sleep(0.02)
        said.append(_asked(other, token, 30))
    if ended:
        raise NotTried(f"the busy plan did not run: {ended[0]}")
    if said[-1] != "done":
        raise NotSo(f"afterwards the other agent says {said[-1]}")
    if "running" not in said:
        raise NotTried("the busy plan was over too soon")
    return "the other agent says running, then done"


def _asked(link: HostLink, token: str, seconds: float) -> str:
    fence = port.Fence(token, SUBJECT, 1)
    try:
        link.run(_BURN, fence=fence, deadline_seconds=seconds)
    except port.Token as known:
        return known.word
    except (port.Unreachable, port.Unknown) as error:
        return type(error).__name__
    return "nothing"


def _epoch(bench: Bench) -> str:
    """A newer driver comes; the older one's agent refuses, and ends by itself."""
    old = bench.own
    link = bench.another(bench.epoch + 1)
    try:
        link.connect(75)
        link.run(port.Plan("ping", ()))
        try:
            old.run(port.Plan("ping", ()))
        except port.Fenced as fenced:
            said = str(fenced)
        except (port.Unreachable, port.Busy):
            said = "the older agent has ended already"
        else:
            raise NotSo("the older one was answered")
    except BaseException:
        link.close()
        raise
    bench.replace_own(link, bench.epoch + 1)
    return said


def _compact(bench: Bench) -> str:
    token = _token()
    bench.change(_BURN, token=token)
    before = bench.look(journal.compact([])).results["journal"][0]["kept"]
    after = bench.look(journal.compact([token])).results["journal"][0]["kept"]
    if not (isinstance(before, int) and isinstance(after, int)) or after != before - 1:
        raise NotSo(f"it kept {before} tokens, then {after}")
    return f"{before} tokens, then {after}"


def _memory(bench: Bench) -> str:
    """Find out which process a new agent is, by those that were there before."""
    before = _processes(bench)
    with _second(bench, bench.epoch) as link:
        fresh = _processes(bench).keys() - before.keys()
        if len(fresh) != 1:
            raise NotTried(f"{len(fresh)} PowerShells started at once: which one is ours?")
        [ours] = fresh
        at_first = _processes(bench)[ours]
        began = time.monotonic()
        for _ in range(bench.patience.verbs):
            link.run(port.Plan("look", (port.Call("Hyper-V\\Get-VMHost"),)))
        seconds = time.monotonic() - began
        at_last = _processes(bench).get(ours, 0)
    grown_mib = (at_last - at_first) / 1024**2
    bench.measured["memory_mib"] = round(at_last / 1024**2, 1)
    bench.measured["grown_mib"] = round(grown_mib, 1)
    words = f"{at_last / 1024**2:.0f} MiB after {bench.patience.verbs} requests in {seconds:.0f} s"
    if grown_mib * 5000 / bench.patience.verbs > 300:
        raise NotSo(f"{words}: it grew by {grown_mib:.0f} MiB")
    return f"{words}, grown by {grown_mib:.1f} MiB"


def _processes(bench: Bench) -> dict[int, int]:
    rows = bench.look(trials.processes()).results["processes"]
    return {
        one["id"]: one["memory"]
        for one in rows
        if isinstance(one["id"], int) and isinstance(one["memory"], int)
    }


PROBES: Final = (
    Probe(
        "token-resent",
        "A token runs once: sent again, the host says what became of it.",
        "docs/agent.md, refusal done",
        _resend,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "token-burnt",
        "A token that was burnt never runs.",
        "docs/agent.md, calls []",
        _burn,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "older-generation",
        "What an older intent wants is refused.",
        "docs/agent.md, refusal generation",
        _generation,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "two-agents",
        "Two agents share one journal: what one runs, the other knows at once.",
        "docs/agent.md, refusals running and done",
        _two_agents,
        changes=True,
        needs=("token-resent",),
    ),
    Probe(
        "journal-compacted",
        "The journal forgets the tokens that it is told to forget.",
        "docs/agent.md, Compress-Journal",
        _compact,
        changes=True,
        needs=("token-burnt",),
    ),
    Probe(
        "memory",
        "An agent's memory stays in bounds for the 5 000 requests of its life.",
        "Get-Process",
        _memory,
        relied=False,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "older-epoch",
        "An older driver is refused from the moment that a newer one was heard.",
        "docs/agent.md, refusal epoch",
        _epoch,
        changes=True,
        needs=("versions",),
    ),
)
