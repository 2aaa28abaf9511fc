"""What the agent's prototype taught, held on its text; and that each lint turns red when it must.

Source: tests/agent/lessons.py; Windows PowerShell 5.1 on .NET Framework 4.6.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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


# -- each lint turns red

Lint = Callable[[], None]
ANCHOR = "    function Get-Flat("
INVARIANT = "[System.Globalization.CultureInfo]::InvariantCulture"


def added(line: str) -> tuple[str, str]:
    """One more function in the library, which lanes have too."""
    text = agent.text()
    start = text.index(ANCHOR)
    old = text[start : text.index("\n", start)]
    return old, f"    function Test-It($Value, $Path) {{ {line} }}\n{old}"


RED: dict[str, tuple[tuple[str, str], Lint]] = {
    "a brace too few": (
        ("function Send-Frame($Object) {", "function Send-Frame($Object)"),
        lambda: lint.test_what_is_sent_parses_without_a_fault_and_is_ascii("agent"),
    ),
    "a letter beyond ASCII": (
        ("'no path goes there'", "'kein Pfad gehört dorthin'"),
        lambda: lint.test_what_is_sent_parses_without_a_fault_and_is_ascii("agent"),
    ),
    "null coalescing": (
        added("$a = $Value ?? 1"),
        lambda: lint.test_nothing_newer_than_5_1_is_used("agent", "null coalescing"),
    ),
    "a pipeline chain": (
        added("Get-Item $Value && Get-Item $Path"),
        lambda: lint.test_nothing_newer_than_5_1_is_used("agent", "pipeline chains"),
    ),
    "a ternary": (
        added("$a = $Value ? 1 : 2"),
        lambda: lint.test_nothing_newer_than_5_1_is_used("agent", "the ternary operator"),
    ),
    "a hashtable from JSON": (
        added("ConvertFrom-Json -InputObject $Value -AsHashtable"),
        lambda: lint.test_nothing_newer_than_5_1_is_used("agent", "hashtables from JSON"),
    ),
    "a variable of PowerShell 7": (
        added("if ($IsWindows) { $Value }"),
        lambda: lint.test_nothing_newer_than_5_1_is_used("agent", "dollar-switches of the engine"),
    ),
    "a type of .NET 8": (
        added("[System.Buffers.ArrayPool[byte]]::Shared"),
        lambda: lint.test_each_type_is_one_of_net_framework_4_6_2_or_of_powershell("agent"),
    ),
    "a member of .NET 5": (
        added("[System.Convert]::ToHexString($Value)"),
        lambda: lint.test_each_static_member_and_constructor_takes_that_many_arguments("agent"),
    ),
    "an overload of .NET Core 3": (
        added("[System.IO.File]::Move($Value, $Path, $true)"),
        lambda: lint.test_each_static_member_and_constructor_takes_that_many_arguments("agent"),
    ),
    "a constructor that is not there": (
        added("[System.IO.FileInfo]::new($Value, $Path)"),
        lambda: lint.test_each_static_member_and_constructor_takes_that_many_arguments("agent"),
    ),
    "a misspelt member": (
        added("$Value.Lenght"),
        lambda: lint.test_each_instance_member_is_one_that_something_has("agent"),
    ),
    "a command of PowerShell 7": (
        added("Get-Uptime"),
        lambda: lint.test_each_command_is_ours_or_one_of_5_1_with_those_parameters("agent"),
    ),
    "a parameter of PowerShell 7": (
        added("Get-Command -Name $Value -UseFuzzyMatching"),
        lambda: lint.test_each_command_is_ours_or_one_of_5_1_with_those_parameters("agent"),
    ),
    "text as code": (
        added("Invoke-Expression $Value"),
        lint.test_no_text_is_parsed_as_code,
    ),
    "a script block out of text": (
        added("& ([ScriptBlock]::Create($Value))"),
        lint.test_no_text_is_parsed_as_code,
    ),
    "a function that lanes lack": (
        ("'Get-Place', ", ""),
        lint.test_a_lane_has_every_function_that_it_calls,
    ),
    "state of a script": (
        added("$script:seen = $Value"),
        lint.test_a_lane_has_every_function_that_it_calls,
    ),
    "a parameter of ours that the list lacks": (
        ("[string] $Path, [switch] $Hash)", "[string] $Path, [switch] $Sum)"),
        lint.test_every_function_of_ours_binds_the_parameters_of_the_allow_list,
    ),
    "another limit": (
        ("$MaxAsk = 2MB", "$MaxAsk = 8MB"),
        lint.test_the_limits_of_both_ends_are_the_same,
    ),
    "drained stdin": (
        added("foreach ($one in $input) { $one }"),
        lint.test_the_loader_leaves_stdin_to_itself,
    ),
    "several statements": (
        added("$null = $Value.AddStatement()"),
        test_one_command_a_pipeline,
    ),
    "a clock": (
        added("if ([datetime]::UtcNow -gt $Value) { 1 }"),
        test_no_deadline_is_kept_by_a_clock,
    ),
    "a dollar for an end": (
        ("'^[0-9a-f]{32}\\z'", "'^[0-9a-f]{32}$'"),
        test_patterns_end_where_the_text_ends_and_know_ascii_alone,
    ),
    "digits of any script": (
        ("'generation' '^[0-9]{1,15}\\z'", "'generation' '^\\d{1,15}\\z'"),
        test_patterns_end_where_the_text_ends_and_know_ascii_alone,
    ),
    "names without case": (
        ("$p.Value, [System.StringComparer]::Ordinal)", "$p.Value)"),
        test_sets_and_tables_of_names_are_ordinal,
    ),
    "names by culture": (
        (
            "-not $Allowed[$has['do']].Contains($p.Name)",
            "$Allowed[$has['do']] -notcontains $p.Name",
        ),
        test_sets_and_tables_of_names_are_ordinal,
    ),
    "no check before the first call": (
        ("foreach ($call in $Calls) { Test-Call $call $Allowed $Paths $named }", ""),
        test_a_plan_is_checked_whole_before_it_runs,
    ),
    "names of no properties": (
        added("$Value.PSObject.Properties.Name"),
        test_names_of_properties_are_looped_over,
    ),
    "options of a file as text": (
        ("[System.IO.FileOptions] $Then)", "$Then)"),
        test_file_streams_of_six_get_typed_arguments,
    ),
    "no digest": (
        (" -or (Get-Digest $body) -cne $digest", ""),
        test_each_frame_tells_length_and_digest_of_its_body,
    ),
    "a number of the host's culture": (
        (f"[System.Convert]::ToInt64($value, {INVARIANT})", "[System.Convert]::ToInt64($value)"),
        test_everything_is_told_and_read_in_the_invariant_culture,
    ),
    "a time of the host's culture": (
        (f".ToString('o', {INVARIANT})", ".ToString('o')"),
        test_everything_is_told_and_read_in_the_invariant_culture,
    ),
    "an enumeration's number": (
        ("if ($Value -is [System.Enum]) { return $Value.ToString() }", ""),
        test_an_enumeration_is_told_by_its_name,
    ),
    "flat JSON": (
        (" -Depth 8", ""),
        test_json_is_written_deep_enough_and_as_a_whole,
    ),
    "a guessed encoding": (
        ("[System.Text.Encoding]::ASCII, $false)", "[System.Text.Encoding]::ASCII)"),
        test_the_journal_is_read_as_ascii_without_a_guess,
    ),
}


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Put another text in the agent's place, for every lint of it."""

    def change(old: str, new: str) -> None:
        whole = agent.text()
        assert old in whole, f"the agent has no such text to change: {old}"
        text = whole.replace(old, new)
        monkeypatch.setattr(agent, "text", lambda: text)
        monkeypatch.setitem(lint.SOURCES, "agent", text)
        lint.named.cache_clear()

    yield change
    monkeypatch.undo()
    lint.named.cache_clear()


@pytest.mark.parametrize("what", RED)
def test_a_lint_turns_red_over(what: str, changed: Callable[[str, str], None]) -> None:
    (old, new), check = RED[what]
    check()
    changed(old, new)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check()


LOADER: dict[str, tuple[str, Lint]] = {
    "a quotation mark": ('$text = "x"', lint.test_the_loader_is_one_short_plain_line),
    "two blanks": ("$text  = 1", lint.test_the_loader_is_one_short_plain_line),
    "its pipeline's input": ("$input", lint.test_the_loader_leaves_stdin_to_itself),
}


@pytest.mark.parametrize("what", LOADER)
def test_a_lint_of_the_loader_turns_red_over(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line, check = LOADER[what]
    check()
    text = f"{agent.loader()}; {line}"
    monkeypatch.setattr(agent, "loader", lambda: text)
    with pytest.raises(AssertionError):
        check()


def test_the_data_of_the_lints_names_where_it_is_from() -> None:
    said = (Path(lint.DATA) / "README.md").read_text(encoding="utf-8")
    for file in Path(lint.DATA).glob("*.json"):
        assert f"`{file.name}`" in said, file.name
