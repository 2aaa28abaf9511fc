#!/usr/bin/env python3
"""Feeds the agent in a real PowerShell every frame that the end-to-end tests sent.

Usage: replay.py PWSH ["recorded 2019" | "recorded 2016" | "documented 2016" ... 2025] [culture]

`tests/data/agent/frames.json` holds the requests, which calls were bound of each and what came
back. Here the functions that `ec2gw/lab/powershell/proxies.py` generates from the tables bind the
calls: the same ones must be bound with the same values, and the same answers come back. Standard
library only. `tests/agent/test_frames.py` holds the laboratory's interpreter to the same frames.

Source: docs/agent.md, "How it is held true".
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))

from ec2gw.lab.binding import tables as binding  # noqa: E402 a tool has no path of its own
from ec2gw.lab.powershell import proxies, tables  # noqa: E402
from ec2gw.winrm import agent  # noqa: E402

FRAMES: Final = HERE.parent / "data" / "agent" / "frames.json"
WINDOWS: Final = "C:\\"
_KINDS: Final = {
    "boolean": "System.Boolean",
    "string": "System.String",
    "uint8": "System.Byte",
    "uint16": "System.UInt16",
    "uint32": "System.UInt32",
    "uint64": "System.UInt64",
    "sint8": "System.SByte",
    "sint16": "System.Int16",
    "sint32": "System.Int32",
    "sint64": "System.Int64",
}
_SECONDS: Final = 60.0

Json = Any


def load() -> dict[str, Json]:
    held: dict[str, Json] = json.loads(FRAMES.read_text(encoding="utf-8"))
    return held


class Frame:
    """One recorded request: hands out what came back, and notes what is not as it was.

    `base`: where the drive C of the recording lies for who replays it. `sets`: whether the names
    of parameter sets are those of the recording.
    """

    def __init__(self, held: Mapping[str, Json], base: str, *, sets: bool = True) -> None:
        self.held = held
        self.wrong: list[str] = []
        self._base = base
        self._sets = sets
        self._waiting = [one for one in held["bound"] if "with" in one]

    def here(self, value: Json) -> Json:
        """The value with its paths as they are on this machine."""
        if isinstance(value, str) and value.startswith(WINDOWS):
            return "/".join((self._base, *filter(None, value[len(WINDOWS) :].split("\\"))))
        if isinstance(value, dict):
            return {name: self.here(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.here(one) for one in value]
        return value

    def call(self, name: str, set_name: str, sent: Mapping[str, Json]) -> dict[str, Json]:
        """Answer a bound call in the words that the generated functions read."""
        if not self._waiting:
            self.wrong.append(f"{name} was bound, and nothing more was to be")
            return _failed(name)
        expected = self._waiting.pop(0)
        do = expected["do"]
        if do.rpartition("\\")[2] != name:
            self.wrong.append(f"{name} was bound, and {do} was to be")
            return _failed(name)
        wanted, given = self.here(_sent(expected["with"])), self.here(_plain(sent))
        kinds = wanted.pop("#kinds", {})
        if given != wanted:
            self.wrong.append(f"{do}: {given} was bound, and {wanted} was to be")
        told = sent.get("#kinds") or {}
        if any(told.get(one) != kind for one, kind in kinds.items()):
            self.wrong.append(f"{do}: of types {told}, and {kinds} were to be")
        known = binding.cmdlet(do, binding.LABORATORY)
        several = known is not None and len(known.sets) > 1
        if self._sets and several and set_name != expected["set"]:
            self.wrong.append(f"{do}: bound as {set_name}, and as {expected['set']} it was to be")
        if "error" in expected:
            return {"objects": [], "warnings": [], "error": _error(self.here(expected["error"]))}
        objects = [self._object(one) for one in expected["objects"]]
        return {"objects": objects, "warnings": expected["warnings"]}

    def _object(self, held: Mapping[str, Json]) -> Json:
        name = str(held.get("#class", "Object"))
        cim = ":" in name
        bases = () if cim else reversed(binding.BASES.get(name, ()))
        types = ["Lab.CimInstance"] if cim else [f"Lab.{one}" for one in (*bases, name)]
        return {**self.here(held), "#type": types}

    def judge(self, answer: Mapping[str, Json]) -> list[str]:
        """What is wrong with the answer, and with what was bound for it."""
        found = list(self.wrong)
        found += [f"{one['do']} was not bound" for one in self._waiting]
        wanted = self.held["answer"]
        for name in ("ok", "done", "stage", "warnings"):
            if answer.get(name) != wanted.get(name):
                found.append(f"{name} is {answer.get(name)!r}, and {wanted.get(name)!r} it was")
        if answer.get("results") != self.here(wanted["results"]):
            found.append(f"results are {answer.get('results')}, and {wanted['results']} they were")
        return found + self._misjudged(answer.get("error") or {}, wanted.get("error") or {})

    def _misjudged(self, error: Mapping[str, Json], wanted: Mapping[str, Json]) -> list[str]:
        if not any("error" in one for one in self.held["bound"] if "with" in one):
            # The binder's or the agent's own: functions have other ids than compiled cmdlets.
            return [] if bool(error) == bool(wanted) else [f"the error is {error}"]
        told = self.here(wanted)
        odd = [
            f"the error's {name} is {error.get(name)!r}, and {told[name]!r} it was"
            for name in ("category", "activity", "target", "text", "hresult")
            if error.get(name) != told[name]
        ]
        if not str(error.get("id", "")).startswith(told["id"]):
            odd.append(f"the error's id is {error.get('id')!r}, and {told['id']!r} it was")
        return odd


def _plain(value: Json) -> Json:
    """What was sent, less the types beside it; of an object its number alone."""
    if isinstance(value, dict):
        if "#ref" in value:
            return {"#ref": value["#ref"]}
        return {name: _plain(one) for name, one in value.items() if name != "#kinds"}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _sent(bound: Mapping[str, Json]) -> dict[str, Json]:
    """A recorded call as a function sends it: WMI values bare, their types beside."""
    kinds: dict[str, str] = {}
    plain: dict[str, Json] = {}
    for name, value in bound.items():
        plain[name] = value
        if isinstance(value, dict) and "#ref" not in value:
            plain[name] = {}
            for key, one in value.items():
                width = one.get("#cim") if isinstance(one, dict) else None
                plain[name][key] = one if width is None else one["value"]
                if width is not None:
                    base = _KINDS[width.removesuffix("[]")]
                    kinds[key] = base + ("[]" if width.endswith("[]") else "")
    return {**plain, "#kinds": kinds}


def _error(held: Mapping[str, Json]) -> dict[str, Json]:
    codes = [int(code, 16) for code in reversed(held["hresult"])]
    signed = [code - (1 << 32) if code >= 1 << 31 else code for code in codes]
    return {**{name: held[name] for name in held if name != "hresult"}, "codes": signed}


def _failed(name: str) -> dict[str, Json]:
    error = {"id": "Replay", "category": "NotSpecified", "text": name, "target": "", "activity": ""}
    return {"objects": [], "warnings": [], "error": {**error, "codes": [-2146233087]}}


def request(held: Mapping[str, Json], number: int) -> dict[str, Json]:
    """The frame as it goes out again: with an attempt of its own."""
    asked = held["request"]
    said = {"id": number, "epoch": 1, "calls": asked["calls"]}
    if asked["token"]:
        said |= {"token": f"{number:032x}", "generation": number, "subject": asked["subject"]}
    return said


# -- the agent in a PowerShell


class _World(socketserver.ThreadingTCPServer):
    daemon_threads = True
    frame: Frame


class _Door(socketserver.StreamRequestHandler):
    server: _World

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        answer = self.server.frame.call(asked["name"], asked["set"], asked["with"])
        self.wfile.write(json.dumps(answer).encode())


def _packed(message: Json) -> bytes:
    body = base64.b64encode(gzip.compress(json.dumps(message).encode()))
    return b"\x1e%d %s %s\n" % (len(body), _digest(body), body)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:8].upper().encode()


def _messages(lines: Iterator[bytes]) -> Iterator[dict[str, Json]]:
    for line in lines:
        if b"\x1e" not in line:
            continue
        length, told, body = line[line.rindex(b"\x1e") + 1 :].split()
        if len(body) != int(length) or _digest(body) != told:
            raise ValueError("a cut or changed frame")
        yield json.loads(gzip.decompress(base64.b64decode(body)))


def _loader(culture: str) -> str:
    set_culture = (
        f"[Threading.Thread]::CurrentThread.CurrentCulture='{culture}';" if culture else ""
    )
    return f"$env:PSModulePath=$env:PROXIES;{set_culture}\n{agent.loader()}\n"


def replay(
    command: Sequence[str], held: Mapping[str, Json], version: str, culture: str = ""
) -> Iterator[tuple[Frame, list[str]]]:
    """Run every frame in agents that the command starts, one for each setup."""
    with tempfile.TemporaryDirectory() as base, _World(("127.0.0.1", 0), _Door) as world:
        threading.Thread(target=world.serve_forever, daemon=True).start()
        for number, setup in enumerate(held["setups"]):
            folder = Path(base) / f"proxies-{number}"
            allowed = [do for do in setup["allowed"] if do != "Agent\\Compress-Journal"]
            proxies.write(tables.rows(allowed, version), folder)
            script = Path(base) / f"agent-{number}.ps1"
            script.write_text(_loader(culture), encoding="utf-8")
            environment = {
                **os.environ,
                "LAB_PORT": str(world.server_address[1]),
                "LAB_KEY": "",
                "PROXIES": str(folder),
                "POWERSHELL_TELEMETRY_OPTOUT": "1",
                "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "0" if culture else "1",
            }
            if culture:  # for the lanes, whose threads are not the script's
                environment["LC_ALL"] = f"{culture.replace('-', '_')}.UTF-8"
            mine = [one for one in held["frames"] if one["setup"] == number]
            where = str(Path(base) / f"disk-{number}")
            made = [Frame(one, where, sets=version == binding.LABORATORY) for one in mine]
            yield from _run([*command, str(script)], environment, setup, made, where, world)
        world.shutdown()


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    setup: Mapping[str, Json],
    frames: Sequence[Frame],
    base: str,
    world: _World,
) -> Iterator[tuple[Frame, list[str]]]:
    world.frame = Frame({"bound": [_CLOCK], "answer": {}, "request": {}}, base, sets=False)
    root = str(world.frame.here(setup["root"]))
    with subprocess.Popen(
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment)
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # A PowerShell that says nothing more must not hold this up for ever.
        watch = threading.Timer(_SECONDS + 5.0 * len(frames), process.kill)
        watch.daemon = True
        watch.start()
        process.stdin.write(agent.first_line() + _packed({**setup, "root": root}))
        process.stdin.flush()
        told = _messages(iter(process.stdout.readline, b""))
        hello = next(told)
        if hello.get("agent") != agent.digest():
            raise ValueError(f"no hello of this agent: {hello}")
        for number, frame in enumerate(frames, 1):
            world.frame = frame
            process.stdin.write(_packed(request(frame.held, number)))
            process.stdin.flush()
            answer = next(told, None)
            if answer is None:
                yield frame, ["the agent ended instead of an answer"]
                break
            yield frame, frame.judge(answer)
        process.stdin.close()
        process.wait(_SECONDS)
        watch.cancel()


_CLOCK: Final = {
    "do": "CimCmdlets\\Get-CimInstance",
    "set": "ClassNameComputerSet",
    "with": {"ClassName": "Win32_OperatingSystem"},
    "objects": [{"#class": "root/cimv2:Win32_OperatingSystem", "#ref": 1,
                 "LastBootUpTime": "2026-11-01T08:30:15.2500000Z"}],
    "warnings": [],
}  # fmt: skip
"""What the agent asks by itself, for its hello."""


def main() -> int:
    if len(sys.argv) < 2 or not shutil.which(sys.argv[1]):
        print(__doc__)
        return 2
    version = sys.argv[2] if len(sys.argv) > 2 else binding.LABORATORY
    culture = sys.argv[3] if len(sys.argv) > 3 else ""
    command = [sys.argv[1], "-NoLogo", "-NoProfile", "-NonInteractive", "-File"]
    held = load()
    if held["agent"] != agent.digest():
        print("the frames are older than the agent: scripts/test record-frames")
    good = bad = 0
    for frame, wrong in replay(command, held, version, culture):
        good, bad = good + (not wrong), bad + bool(wrong)
        if wrong:
            print("  FAILS ", [call.get("do") for call in frame.held["request"]["calls"]])
            print("\n".join(f"         {one}" for one in wrong))
    print(f"{good} frames hold, {bad} fail; functions of {version}, culture {culture or 'none'}")
    return int(bool(bad) or not good)


if __name__ == "__main__":
    sys.exit(main())
