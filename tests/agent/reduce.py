"""Renews `tests/data/agent` from the full tables; run `python -m tests.agent.reduce TABLES`.

TABLES is the folder that holds dotnet-framework-462.json, hyperv-recorded.json and
hyperv-cmdlets.json. What the agent names and what its proof binds is kept, all of it unchanged.

Source: `tests/data/agent/README.md` names where each table comes from.
"""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from ec2gw.winrm import agent
from tests.agent import syntax
from translators.hyperv import allowed, tasks

DATA = Path(__file__).parents[1] / "data" / "agent"

REACHED = (
    "System.OperatingSystem",
    "System.Security.Cryptography.X509Certificates.X509Certificate",
    "System.Security.Principal.IdentityReference",
    "System.Threading.Tasks.Task",
    "System.Threading.Tasks.Task`1",
    "System.Version",
)
"""Types that the agent never names and still uses, since members of others return them."""

PROVED = (
    *("Add-VMHardDiskDrive", "Checkpoint-VM", "Get-CimInstance", "Get-VM", "Invoke-CimMethod"),
    *("New-VHD", "New-VM", "Set-VM", "Set-VMFirmware", "Set-VMNetworkAdapter", "Set-VMProcessor"),
    *("Set-VMDvdDrive", "Start-VM"),
)
"""The cmdlets that `prove.py` calls."""


_PIPE: dict[str, Any] = {
    ".Connect": ["()", "(Int32)"],
    ".Dispose": ["()"],
    ".IsConnected": ["Boolean"],
    "base": ["System.IO.Stream"],
    "new": [
        "(String)",
        "(String, String)",
        "(String, String, System.IO.Pipes.PipeDirection)",
        "(String, String, System.IO.Pipes.PipeDirection, System.IO.Pipes.PipeOptions)",
        "(String, String, System.IO.Pipes.PipeDirection, System.IO.Pipes.PipeOptions,"
        " System.Security.Principal.TokenImpersonationLevel)",
    ],
}
BY_HAND: dict[str, Any] = {
    "System.IO.Pipes.NamedPipeClientStream": _PIPE,
    "System.IO.Pipes.PipeDirection": {
        one: ["System.IO.Pipes.PipeDirection"] for one in ("::In", "::InOut", "::Out")
    },
    "System.IO.Pipes.PipeOptions": {
        one: ["System.IO.Pipes.PipeOptions"] for one in ("::Asynchronous", "::None")
    },
}
"""Types of System.Core, an assembly that the table does not hold.

Source: learn.microsoft.com/dotnet/api, .NET Framework 4.6.2.
"""


def main(tables: Path) -> None:
    dotnet: dict[str, Any] = json.loads((tables / "dotnet-framework-462.json").read_text())
    dotnet |= BY_HAND
    recorded: dict[str, Any] = json.loads((tables / "hyperv-recorded.json").read_text())
    documented: dict[str, Any] = json.loads((tables / "hyperv-cmdlets.json").read_text())
    task = resources.files(tasks).joinpath("transfer.ps1").read_text(encoding="utf-8")
    task += tasks.console().decode("utf-8")
    named = syntax.read(f"{agent.text()}\n{agent.loader()}\n{task}")
    _write("dotnet.json", _types(dotnet, named.types | {use.type for use in named.statics}))
    commands = {name.rpartition("\\")[2] for name, _ in named.commands}
    _write(
        "commands.json",
        {
            one["name"]: sorted(one["parameters"])
            for one in recorded["cmdlets"]["2016"]
            if one["name"] in commands
        },
    )
    wanted = {name.rpartition("\\")[2] for name in allowed.ALLOWED} | set(PROVED)
    modules = ("Hyper-V", "CimCmdlets")
    definitions = {
        "documented": documented["cmdlets"],
        "2016": recorded["cmdlets"]["2016"],
        "2019": recorded["cmdlets"]["2019"],
    }
    kept = {
        source: [one for one in rows if one["name"] in wanted and one["module"] in modules]
        for source, rows in definitions.items()
    }
    _write("cmdlets.json", {"cmdlets": kept, "enums": recorded["enums"]})


def _types(table: dict[str, Any], named: set[str]) -> dict[str, Any]:
    """The types named and reached, and what they inherit from."""
    kept: dict[str, Any] = {}
    wanted = [*named, *REACHED]
    while wanted:
        name = wanted.pop()
        if name in table and name not in kept:
            kept[name] = table[name]
            wanted += [_in_full(base) for base in table[name].get("base", ())]
    return dict(sorted(kept.items()))


def _in_full(name: str) -> str:
    return name if name.startswith("System.") else f"System.{name}"


def _write(name: str, value: dict[str, Any]) -> None:
    rows = ",\n".join(
        f"{json.dumps(key)}: {json.dumps(one, sort_keys=True, separators=(',', ':'))}"
        for key, one in value.items()
    )
    (DATA / name).write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
