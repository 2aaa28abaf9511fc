"""The agent's PowerShell without a PowerShell: it parses, and names only what a host has.

Windows PowerShell 5.1 on .NET Framework 4.6.2 is what Windows Server 2016 has; what runs in
PowerShell 7 may be missing there.

Source: tests/data/agent/README.md; about_Operators, "What's new in PowerShell 7".
"""

from __future__ import annotations

import base64
import functools
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from ec2gw.winrm import agent, framing, timing
from tests.agent import syntax
from translators.hyperv import allowed, tasks

DATA = Path(__file__).parents[1] / "data" / "agent"
TASK = resources.files(tasks).joinpath("transfer.ps1").read_text(encoding="utf-8")
SENT = [one.name for one in resources.files(agent).iterdir() if one.name.endswith(".ps1")]
CONSOLE = tasks.console().decode("utf-8")
SOURCES = {
    "agent": agent.text(),
    "loader": agent.loader(),
    "task": TASK,
    "console task": CONSOLE,
}

NEWER_THAN_5_1 = {
    "pipeline chains": r"&&|\|\|",
    "null coalescing": r"\?\?",
    "null-conditional members": r"[\w\])}]\?[.\[]",
    "the ternary operator": r"\?\s[^\n]*?\s:\s",
    "binary literals": r"\b0b[01]+",
    "unsigned and byte suffixes": r"\b\d+(?:u|ul|us|uy|y|s|n)\b",
    "background jobs by ampersand": r"&\s*$",
    "parallel loops": r"-Parallel\b",
    "hashtables from JSON": r"-AsHashtable\b",
    "clean blocks": r"\bclean\s*\{",
    "dollar-switches of the engine": r"\$(?:IsWindows|IsLinux|IsMacOS|IsCoreCLR|PSStyle)\b",
}
PARSES_TEXT_AS_CODE = (
    *("Invoke-Expression", "iex", "InvokeScript", "AddScript", "ExpandString", "InvokeCommand"),
    *("NewScriptBlock", "Add-Type", "Invoke-Command", "Start-Process", "Start-Job"),
)

OF_POWERSHELL = {
    # System.Management.Automation, by the class that has them
    "PSObject": ("PSObject", "Properties", "Name", "Value"),
    "ErrorRecord": ("CategoryInfo", "Exception", "FullyQualifiedErrorId"),
    "ErrorCategoryInfo": ("Activity", "Category", "TargetName"),
    "PowerShell": ("AddCommand", "AddParameter", "BeginInvoke", "EndInvoke", "Invoke"),
    "PowerShell's properties": ("RunspacePool", "Dispose"),
    "RunspacePool": ("Open",),
    "InitialSessionState": ("Commands", "ImportPSModule", "Variables"),
    "CimSerializer": ("Serialize",),
    "CommandInfo": ("Parameters", "ScriptBlock"),
    "EngineIntrinsics": ("SessionState",),
    "SessionState": ("LanguageMode",),
    "PSVersionTable": ("PSVersion",),
}
FROM_HOSTS = {
    "CurrentHorizontalResolution": "Msvm_VideoHead",
    "CurrentVerticalResolution": "Msvm_VideoHead",
    "ImageData": "what GetVirtualSystemThumbnailImage answers",
    "InstanceID": "CIM_ConcreteJob",
    "JobState": "CIM_ConcreteJob",
    "LastBootUpTime": "Win32_OperatingSystem",
    "ParentPath": "what Get-VHD answers",
    "ReturnValue": "what Invoke-CimMethod answers",
    "MachineGuid": r"the registry, SOFTWARE\Microsoft\Cryptography",
}
MESSAGES = {"allowed", "do", "paths", "root", "take", "with"}
"""Members of frames that the agent reads and never writes."""
ORDERS = {"certificate", "direction", "generation", "length", "path", "sha256", "token", "url"}
"""Members of a task's order, and of its own state."""


@functools.cache
def named(source: str) -> syntax.Named:
    return syntax.read(SOURCES[source])


@functools.cache
def dotnet() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((DATA / "dotnet.json").read_text())
    return found


@functools.cache
def commands() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((DATA / "commands.json").read_text())
    return found


@pytest.mark.parametrize("name", sorted(SENT))
def test_each_file_parses_without_a_fault(name: str) -> None:
    text = (Path(agent.__file__).parent / name).read_text(encoding="utf-8")
    assert syntax.read(text).faults == []


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_sent_parses_without_a_fault_and_is_ascii(source: str) -> None:
    assert named(source).faults == []
    assert SOURCES[source].isascii()
    assert "\r" not in SOURCES[source]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("what", NEWER_THAN_5_1)
def test_nothing_newer_than_5_1_is_used(source: str, what: str) -> None:
    code = syntax.code(SOURCES[source])
    assert re.findall(NEWER_THAN_5_1[what], code, re.MULTILINE | re.IGNORECASE) == []


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("Get-A && Get-B", "pipeline chains"),
        ("$a = $b ?? 1", "null coalescing"),
        ("${a}?.Length", "null-conditional members"),
        ("$a = $b ? 1 : 2", "the ternary operator"),
        ("$a = 0b101", "binary literals"),
        ("$a = 5uy", "unsigned and byte suffixes"),
        ("1 | ForEach-Object -Parallel { 1 }", "parallel loops"),
        ("if ($IsWindows) { 1 }", "dollar-switches of the engine"),
    ],
)
def test_the_list_of_what_is_newer_finds_it(code: str, what: str) -> None:
    assert re.search(NEWER_THAN_5_1[what], syntax.code(code), re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("source", SOURCES)
def test_each_type_is_one_of_net_framework_4_6_2_or_of_powershell(source: str) -> None:
    known = dotnet().keys() | syntax.OF_POWERSHELL
    assert named(source).types - known == set()


@pytest.mark.parametrize("source", SOURCES)
def test_each_static_member_and_constructor_takes_that_many_arguments(source: str) -> None:
    odd = []
    for use in named(source).statics:
        if use.type in syntax.OF_POWERSHELL:
            continue
        member = "new" if use.member == "new" else f"::{use.member}"
        signatures = dotnet()[use.type].get(member)
        if signatures is None:
            odd.append(f"{use.type} has no {use.member}")
        elif use.arguments is not None:
            counts = {len(re.findall(r"[^(),\s][^,]*", one[1:-1])) for one in signatures}
            if use.arguments not in counts:
                odd.append(f"{use.type}::{use.member} with {use.arguments} of {signatures}")
    assert odd == []


@pytest.mark.parametrize("source", SOURCES)
def test_each_instance_member_is_one_that_something_has(source: str) -> None:
    """A guard against slips of the pen: whose member it is, no parser can tell."""
    known = {name[1:] for one in dotnet().values() for name in one if name[0] == "."}
    known |= {name for names in OF_POWERSHELL.values() for name in names}
    known |= FROM_HOSTS.keys() | MESSAGES | ORDERS | named(source).keys
    # A property's getter can be called as a method; of a hashtable it is the only safe way.
    used = {name.removeprefix("get_") for name in named(source).members}
    assert used - known == set()


@pytest.mark.parametrize("source", SOURCES)
def test_each_command_is_ours_or_one_of_5_1_with_those_parameters(source: str) -> None:
    odd = []
    for name, parameters in named(source).commands:
        bare = name.rpartition("\\")[2]
        if bare in {*named("agent").functions, *named(source).functions} or re.fullmatch(
            r"\d+MB", bare
        ):
            continue
        known = commands().get(bare)
        if known is None:
            odd.append(name)
            continue
        odd += [f"{name} -{one}" for one in parameters if one not in {*known, "ErrorAction"}]
    assert odd == []


def test_no_text_is_parsed_as_code() -> None:
    code = syntax.code(agent.text())
    assert [word for word in PARSES_TEXT_AS_CODE if re.search(rf"\b{word}\b", code)] == []
    assert "[scriptblock]::" not in code.lower()
    assert {name for name, _ in named("agent").commands if "$" in name} == set()


def test_a_lane_has_every_function_that_it_calls() -> None:
    """A runspace of the pool knows the functions that were put into it, and no others."""
    library, whole = _library(), named("agent")
    body = syntax.code(agent.text())
    lists = re.findall(r"\$(?:inside|own) \+?= @\(([^)]*)\)", agent.text())
    given = set(re.findall(r"'([^']+)'", " ".join(lists)))
    assert given == library.functions.keys() - {"Initialize-Root"}, "that one runs before lanes are"
    for name in given:
        called = {one for one, _ in syntax.read(whole.functions[name]).commands}
        assert called & whole.functions.keys() <= given, name
    assert "$script:" not in body
    assert "$global:" not in body


def test_every_function_of_ours_binds_the_parameters_of_the_allow_list() -> None:
    for do, parameters in allowed.ALLOWED.items():
        module, _, name = do.partition("\\")
        if module != "Agent":
            continue
        text = named("agent").functions[name]
        head = text[: text.index("\n", text.index("param("))]
        assert "[CmdletBinding()]" in text, "Invoke-Calls passes common parameters"
        assert re.findall(r"\] \$(\w+)", head) == list(parameters), do


def test_the_loader_is_one_short_plain_line() -> None:
    loader = agent.loader()
    assert len(loader) < 1024
    assert "\n" not in loader
    assert '"' not in loader
    assert "  " not in loader
    assert "#" not in loader


def test_the_loader_leaves_stdin_to_itself() -> None:
    """PowerShell drains stdin before it runs a command that names its pipeline input."""
    assert "$input" not in agent.loader().lower()
    assert "$input" not in syntax.code(agent.text()).lower()


def test_the_command_line_keeps_below_what_a_shell_takes() -> None:
    line = " ".join([agent.PROGRAM, *agent.arguments()])
    assert len(line) < 2048
    assert agent.arguments()[-2:] == ("-Command", agent.loader())


def test_the_text_goes_with_two_sends_and_comes_out_as_it_is() -> None:
    line = agent.first_line()
    assert len(line) <= 2 * timing.SEND_BYTES
    assert line.endswith(b"\n")
    assert base64.b64decode(line) == agent.text().encode()
    assert len(agent.digest()) == 64


def test_the_limits_of_both_ends_are_the_same() -> None:
    sizes = re.findall(r"\$Max(Line|Text|Ask) = (\d+)MB", agent.text())
    assert sizes == [
        ("Line", str(framing.MAX_LINE >> 20)),
        ("Text", str(framing.MAX_TEXT >> 20)),
        ("Ask", str(framing.MAX_ASK >> 20)),
    ]
    assert framing.MAX_ASK <= 2_097_152, "JavaScriptSerializer, which 5.1 reads JSON by, takes that"


def _library() -> syntax.Named:
    """The block that lanes are filled from."""
    text = agent.text()
    start = text.index("$library = {")
    return syntax.read(text[start : text.index("\n}\n", start) + 3])
