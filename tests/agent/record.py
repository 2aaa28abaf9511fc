"""Renews `tests/data/agent/frames.json`: `scripts/test record-frames`, some minutes.

Runs end-to-end tests whose laboratory writes down every request, what was bound of it and what
came back; keeps the shortest of each kind (the same calls, parameters, properties and outcome),
with ids, tokens and times levelled. Renew it after each change of the agent or of a plan; tests
fail until then.

Source: ec2gw/lab/agent/recorder.py; docs/agent.md, "How it is held true".
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ec2gw.lab.agent import recorder
from ec2gw.winrm import agent
from tests.agent import plans

ROOT: Final = Path(__file__).parents[2]
FRAMES: Final = ROOT / "tests" / "data" / "agent" / "frames.json"
E2E: Final = ROOT / "tests" / "e2e"
FAULTS: Final = ROOT / "tests" / "faults"
ALSO: Final = ("test_snapshots.py", "test_transfers.py")
"""In tests/faults: what no end-to-end test asks of a host."""
NOT_RECORDED: Final = (
    *("test_bad_requests.py", "test_keep_alive.py", "test_lab_serve.py", "test_old_clients.py"),
    *("test_openmode.py", "test_serve.py", "test_slow_senders.py", "test_unusable_data.py"),
)
"""End-to-end tests whose requests reach no host, or ask it what others ask too."""
NOT_REPLAYED: Final = re.compile(r"Agent\\Compress-Journal|Microsoft\.PowerShell\.Management\\.*")
"""What works on the agent's own journal (`prove.py` holds it); what each PowerShell has itself."""
_LONGEST: Final = 256 * 1024  # a launch carries its disc, twice

_LEVELLED: Final = re.compile(
    r"(?P<guid>[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})"
    r"|(?P<id>(?<![a-z])[a-z]{1,12}-[0-9a-f]{17}(?![0-9a-f]))"
    r"|(?P<deployment>(?<=\"ec2gw\":\")[0-9a-f]{16})"
    r"|(?P<folder>doctor-[0-9a-f]{16})"
    r"|(?P<mac>(?<![0-9A-Fa-f])0[0-9A-F][0-9A-F]{10}(?![0-9A-Fa-f]))"
    r"|(?P<time>20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}Z)"
)


def kind(line: Mapping[str, Any]) -> str:
    """What tells frames apart: calls, parameters, what is read, and how it ended."""
    answer = line["answer"]
    error = answer.get("error", {})
    calls = [
        [call.get("do"), _form(call.get("with")), sorted(call.get("take", {}).items())]
        for call in line["request"]["calls"]
    ]
    calls = [one for one, _same in itertools.groupby(calls)]  # however often one is repeated
    counts = [[len(rows) for rows in answer["results"].values()]]
    counts = [[min(count, 2) for count in one] for one in counts]
    ended = [answer["ok"], answer.get("stage"), error.get("id", "").split(",")[0], counts]
    return _level(json.dumps([calls, ended, bool(line["request"]["token"])], sort_keys=True), {})


def _form(value: Any) -> Any:
    """A value less what varies: references and widths stay, texts and numbers go."""
    if isinstance(value, dict):
        if "$ref" in value:
            return {"$ref": "", "at": "at" in value, "property": value.get("property")}
        if "$path" in value:
            return "$path"
        if "$cim" in value:
            return value["$cim"]
        return {name: _form(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_form(one) for one in value[:1]]
    return type(value).__name__


def _level(text: str, known: dict[str, str]) -> str:
    """The text with each id, address and time replaced, the same one always by the same."""

    def stand_in(match: re.Match[str]) -> str:
        found, what = match[0], str(match.lastgroup)
        if what == "time":
            return "2026-11-01T08:30:15.2500000Z"
        if what == "guid" and not found.strip("0-"):
            return found
        key = found.lower()
        number = known.setdefault(key, f"{len(known) + 1:x}")
        made = {
            "guid": f"00000000-0000-4000-8000-{number:0>12}",
            "id": f"{key.partition('-')[0]}-{number:0>17}",
            "deployment": f"{number:0>16}",
            "folder": f"doctor-{number:0>16}",
            "mac": f"00155D{number:0>6}",
        }[what]
        return made.upper() if found == found.upper() else made

    return _LEVELLED.sub(stand_in, text)


def frames(lines: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """The shortest line of each kind, levelled."""
    shortest: dict[str, str] = {}
    for line in lines:
        if any(NOT_REPLAYED.fullmatch(str(call.get("do"))) for call in line["request"]["calls"]):
            continue
        text, its = json.dumps(line, sort_keys=True), kind(line)
        if len(text) > _LONGEST:
            continue  # what is long is held by prove.py
        if its not in shortest or len(text) < len(shortest[its]):
            shortest[its] = text
    return [_levelled(json.loads(text)) for _kind, text in sorted(shortest.items())]


def _levelled(line: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, str] = {}  # the setup first: many frames have the same one
    setup = json.loads(_level(json.dumps(line.pop("setup")), known))
    rest: dict[str, Any] = json.loads(_level(json.dumps(line, sort_keys=True), known))
    return {**rest, "setup": setup}


def shape(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What the file holds: setups told once, frames by the number of theirs."""
    setups: list[Any] = []
    for frame in found:
        setup = frame.pop("setup")
        if setup not in setups:
            setups.append(setup)
        frame["setup"] = setups.index(setup)
        frame["request"]["token"] = frame["request"]["token"] is not None
        frame["answer"].pop("ms", None)
        for name in ("epoch", "generation"):
            del frame["request"][name]
    return {
        "agent": agent.digest(),
        "plans": plans.digests(),
        "setups": setups,
        "frames": found,
    }


def write(held: Mapping[str, Any]) -> None:
    """A frame a line, so that a change can be read."""
    parts = []
    for name, value in held.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(one, sort_keys=True) for one in value)
            parts.append(f"{json.dumps(name)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(value, indent=0)}")
    FRAMES.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def main() -> int:
    tests = sorted(str(one) for one in E2E.glob("test_*.py") if one.name not in NOT_RECORDED)
    tests += sorted(str(one) for also in ALSO for one in FAULTS.glob(also))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", *tests]
        again = ["--last-failed", "--last-failed-no-failures", "none"]
        environment = {**os.environ, recorder.VARIABLE: folder}
        for options in (sys.argv[1:], again):  # what failed in a crowd, once more and alone
            run = subprocess.run([*command, *options], cwd=ROOT, env=environment, check=False)
            status = run.returncode
            if not status:
                break
        if status:
            print("not renewed: the end-to-end tests failed", file=sys.stderr)
            return status
        lines = (
            json.loads(line)
            for file in sorted(Path(folder).glob("*.jsonl"))
            for line in file.open(encoding="utf-8")
        )
        held = shape(frames(lines))
    write(held)
    print(f"{len(held['frames'])} frames of {len(held['setups'])} setups in {FRAMES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
