"""What the agent's prototype taught, held on its text, and what the allow list lets through.

Source: tests/agent/lessons.py; Windows PowerShell 5.1 on .NET Framework 4.6.2.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ec2gw.lab.binding import tables
from ec2gw.winrm import agent
from tests.agent import lessons, syntax
from tests.unit import test_agent_lint as lint
from translators.hyperv import allowed

COMMON = frozenset(
    (
        *("Confirm", "Debug", "ErrorAction", "ErrorVariable", "InformationAction"),
        *("InformationVariable", "OutBuffer", "OutVariable", "PipelineVariable"),
        *("ProgressAction", "UseTransaction", "Verbose", "WarningAction", "WarningVariable"),
        "WhatIf",
    )
)
"""Source: about_CommonParameters of 5.1 and 7.4; -Confirm and -WhatIf come with ShouldProcess."""

INVARIANT = "[System.Globalization.CultureInfo]::InvariantCulture"


# -- lessons that a text can break


def test_every_lesson_is_held_by_a_statement_or_a_test_that_is_there() -> None:
    stated, tested = set(lessons.statements()), lessons.tests()
    for lesson in lessons.LESSONS:
        assert lesson.proved or lesson.tested, lesson.taught
        assert set(lesson.proved) <= stated, (lesson.taught, set(lesson.proved) - stated)
        assert set(lesson.tested) <= tested, (lesson.taught, set(lesson.tested) - tested)


def test_no_lesson_is_missing() -> None:
    numbers = [lesson.taught.split(" ")[0] for lesson in lessons.LESSONS]
    assert numbers == [*(str(number) for number in range(1, 16)), "a", "b", "c", "d", "e", "f"]


def test_one_command_a_pipeline() -> None:
    """Several statements of one pipeline never end on a runspace pool (seen)."""
    code = syntax.code(agent.text())
    assert "AddStatement" not in code
    assert "AddScript" not in code


def test_no_deadline_is_kept_by_a_clock() -> None:
    code = syntax.code(agent.text())
    # How old a file is only a clock can tell; nothing of the host waits for that.
    code = code.replace("[System.DateTime]::UtcNow.Subtract([System.IO.File]::GetLastWrite", "")
    clocks = r"Get-Date|\bUtcNow\b|\]::Now\b|TickCount|Stopwatch\]::GetTimestamp"
    assert re.findall(clocks, code, re.IGNORECASE) == []
    assert "[System.Diagnostics.Stopwatch]::StartNew()" in code


def test_patterns_end_where_the_text_ends_and_know_ascii_alone() -> None:
    patterns = re.findall(r"-c?(?:not)?match '([^']*)'", agent.text())
    patterns += re.findall(r"Get-Field \S+ '\w+' '([^']*)'", agent.text())
    assert len(patterns) > 8
    for pattern in patterns:
        assert not re.search(r"\\[dws]|(?<!\\)\$(?=\)|\||$)", pattern), pattern
        assert pattern.startswith("^"), pattern


def test_sets_and_tables_of_names_are_ordinal() -> None:
    """`-contains` and `@{}` compare by a culture: a soft hyphen passes (seen)."""
    text = agent.text()
    table = text[
        text.index("function ConvertTo-Table") : text.index("\ntry {", text.index("Conver"))
    ]
    assert table.count("[System.StringComparer]::Ordinal)") == 2
    call = text[text.index("function Test-Call") : text.index("function Invoke-Calls")]
    assert "$Allowed.ContainsKey($has['do'])" in call
    assert "-not $Allowed[$has['do']].Contains($p.Name)" in call
    assert "-contains" not in call
    assert text.count("HashSet[string]]::new(") == text.count("HashSet[string]]::new([string[]] $p")


def test_a_plan_is_checked_whole_before_it_runs() -> None:
    text = agent.text()
    run = text[text.index("function Invoke-Calls") : text.index("function Get-Fact")]
    checked = run.index("foreach ($call in $Calls) { Test-Call $call $Allowed $Paths $named }")
    assert checked < run.index("& $do @with")
    assert run.count("& $do") == 1


def test_names_of_properties_are_looped_over() -> None:
    """`.Properties.Name` fails on an object without any, in strict mode (seen)."""
    assert ".Properties.Name" not in syntax.code(agent.text())


def test_file_streams_of_six_get_typed_arguments() -> None:
    """Of texts PowerShell picks another overload: `useAsync` (seen)."""
    for one in re.findall(r"FileStream\]::new\(([^)]*)\)", agent.text()):
        if one.count(",") == 5:
            assert one.count("[System.IO.File") == 4, one


def test_each_frame_tells_length_and_digest_of_its_body() -> None:
    """A cut gzip stream is read without an error (seen): compression is no check."""
    text = agent.text()
    read = text[text.index("function ConvertFrom-Frame") : text.index("function Send-Frame")]
    assert read.index("$body.Length -ne [int] $length") < read.index("GZipStream")
    assert read.index("(Get-Digest $body) -cne $digest") < read.index("GZipStream")
    assert read.index("-gt $MaxLine") < read.index("GZipStream")


def test_everything_is_told_and_read_in_the_invariant_culture() -> None:
    for name in re.findall(r"\[System\.Convert\]::To(?:String|Int64)\(([^()]*)\)", agent.text()):
        assert name.endswith(INVARIANT), name
    formatted = re.findall(r"\.ToString\('(?!N')[^']*'(.?)", agent.text())  # N: a GUID's digits
    assert formatted
    assert set(formatted) == {","}, "a format without a culture is the host's own"


def test_an_enumeration_is_told_by_its_name() -> None:
    """Numbers of VMState moved between builds; which overload PowerShell picks is not ours."""
    text = agent.text()
    flat = text[text.index("function Get-Flat(") : text.index("function Get-Failure(")]
    assert flat.count("ConvertTo-Text $") == 2
    assert "::ToString(" not in flat
    made = text[text.index("function ConvertTo-Text(") : text.index("function Get-Flat(")]
    by_name = made.index("if ($Value -is [System.Enum]) { return $Value.ToString() }")
    assert by_name < made.index("[System.Convert]::ToString(")


def test_json_is_written_deep_enough_and_as_a_whole() -> None:
    """5.1 cuts at depth 2 in silence, and enumerates what comes through a pipe."""
    code = syntax.code(agent.text())
    for one in re.findall(r"ConvertTo-Json[^\n)]*", code):
        assert "-InputObject" in one
    frame = code[code.index("function ConvertTo-Frame") : code.index("function ConvertFrom-Frame")]
    assert "ConvertTo-Json -InputObject $Object -Depth 8 -Compress" in frame
    assert not re.search(r"\|\s*ConvertTo-Json", code)
    assert not re.search(r"\|\s*ConvertFrom-Json", code)


def test_the_journal_is_read_as_ascii_without_a_guess() -> None:
    """Two bytes FF FE made a journal look empty (seen)."""
    text = agent.text()
    for one in re.findall(r"StreamReader\]::new\(([^)]*)\)", text):
        assert "Encoding]::" in one
    assert "[System.Text.Encoding]::ASCII, $false).ReadToEnd()" in text


# -- the allow list


def test_no_common_or_abbreviated_parameter_is_let_through() -> None:
    problems(allowed.ALLOWED)


def problems(listed: dict[str, tuple[str, ...]]) -> None:
    for do, names in listed.items():
        assert not {one.lower() for one in names} & {one.lower() for one in COMMON}, do
        for version in tables.VERSIONS:
            known = tables.cmdlet(do, version)
            if known is not None:
                assert set(names) <= known.parameters.keys(), (do, version)
        assert any(tables.cmdlet(do, version) for version in tables.VERSIONS), do
        assert re.fullmatch(r"[A-Za-z.-]+\\[A-Z][a-z]+-[A-Za-z]+", do), "a cmdlet of a module"


@pytest.mark.parametrize(
    ("do", "names"),
    [
        ("Hyper-V\\Get-VM", ("Id", "OutVariable")),
        ("Hyper-V\\Get-VM", ("Id", "errorvariable")),
        ("Hyper-V\\Set-VMProcessor", ("VM", "Cou")),
        ("Hyper-V\\Get-VM", ("ID",)),
        ("Hyper-V\\Get-VMNothing", ()),
        ("Get-VM", ("Id",)),
        ("Hyper-V\\Remove-VM", ("VM", "Confirm")),
    ],
)
def test_the_allow_lists_lint_turns_red(do: str, names: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError):
        problems({do: names})


def test_the_data_of_the_lints_names_where_it_is_from() -> None:
    said = (Path(lint.DATA) / "README.md").read_text(encoding="utf-8")
    for file in Path(lint.DATA).glob("*.json"):
        assert f"`{file.name}`" in said, file.name
