"""What the agent's own text asks of Windows is there, and each lesson of its prototype is held.

Source: tests/unit/test_agent_lint.py, tests/agent/lessons.py.
"""

from __future__ import annotations

import pytest

from ec2gw.winrm import agent
from tests.agent import lessons, replay, syntax, test_prove
from tests.truth import scripted
from tests.truth.ledger import Ledger
from tests.unit import test_agent_lessons
from tests.unit import test_agent_lint as lint


def test_every_call_of_wmi_in_the_agents_text_is_one_of_live_hosts(ledger: Ledger) -> None:
    text = agent.text()
    assert scripted.wrong(text) == []
    assert scripted.calls(text) > 8
    ledger.note(
        "agent: calls of WMI in its text", "WMI of 2019 and 23H2", checked=scripted.calls(text)
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("'Msvm_VideoHead'", "'Msvm_VideoHeads'", "no class Msvm_VideoHeads"),
        ("'Msvm_SettingsDefineState'", "'Msvm_SettingsState'", "no class Msvm_SettingsState"),
        (
            "-MethodName 'ModifySystemSettings'",
            "-MethodName 'ModifySettings'",
            "Msvm_VirtualSystemManagementService has no method ModifySettings",
        ),
        (
            "@{ SystemSettings = ",
            "@{ SystemSetting = ",
            "ModifySystemSettings takes no SystemSetting",
        ),
        (
            "WidthPixels = [uint16]",
            "WidthPixels = [uint32]",
            "GetVirtualSystemThumbnailImage: WidthPixels is uint16, not [uint32] $wide",
        ),
        (
            "; HeightPixels = [uint16] $high",
            "",
            "GetVirtualSystemThumbnailImage lacks HeightPixels",
        ),
        ("Format = [uint16] 3", "Format = 3", "Msvm_VirtualHardDiskSettingData: Format is uint16"),
        ("; BlockSize =", "; BlockSizes =", "Msvm_VirtualHardDiskSettingData takes no BlockSizes"),
        ('"SystemName = ', '"System = ', "Msvm_VideoHead has no System"),
        ("$job.JobState -ne", "$job.State -ne", "Msvm_ConcreteJob has no State"),
        ("$said.ImageData", "$said.Image", "GetVirtualSystemThumbnailImage gives no Image"),
        (
            "$head[0].CurrentVerticalResolution",
            "$head[0].VerticalResolution",
            "Msvm_VideoHead has no VerticalResolution",
        ),
    ],
)
def test_each_change_of_such_a_call_is_told(old: str, new: str, said: str) -> None:
    text = agent.text()
    assert old in text, "the trial changes nothing"
    told = scripted.wrong(text.replace(old, new))
    assert any(one.startswith(said) for one in told), told


def test_every_lesson_of_the_prototype_is_held_by_a_test_that_runs_here(ledger: Ledger) -> None:
    test_agent_lessons.test_every_lesson_is_held_by_a_statement_or_a_test_that_is_there()
    assert [one.taught for one in lessons.LESSONS if not one.tested] == []
    here = 0 if test_prove.PWSH else len(lessons.statements())
    ledger.note(
        "agent: lessons; unknown: statements for a PowerShell",
        "tests and statements",
        checked=len(lessons.LESSONS),
        unknown=here,
    )


def test_what_the_agents_text_names_is_counted(ledger: Ledger) -> None:
    """The lint holds each; how many there are belongs into the table."""
    named = [syntax.read(source) for source in lint.SOURCES.values()]
    ledger.note(
        "agent: .NET types and members",
        ".NET Framework 4.6.2",
        checked=sum(len(one.types) + len(one.statics) for one in named),
    )
    ledger.note(
        "agent: commands",
        "PowerShell 5.1.14393",
        checked=sum(len(one.commands) for one in named),
    )


def test_the_frames_for_a_powershell_are_counted(ledger: Ledger) -> None:
    frames = len(replay.load()["frames"])
    ledger.note(
        "agent: recorded frames; unknown: in a PowerShell",
        "the laboratory's interpreter",
        checked=frames,
        unknown=0 if test_prove.PWSH else frames,
    )
