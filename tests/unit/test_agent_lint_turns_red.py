"""Each lint of the agent's text turns red over what it is there for.

Source: tests/unit/test_agent_lint.py, test_agent_lessons.py, which hold the text as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ec2gw.winrm import agent
from tests.unit import test_agent_lessons as lessons
from tests.unit import test_agent_lint as lint

Lint = Callable[[], None]
ANCHOR = " function Get-Flat("


def added(line: str) -> tuple[str, str]:
    """One more function in the library, which lanes have too."""
    text = agent.text()
    start = text.index(ANCHOR)
    old = text[start : text.index("\n", start)]
    return old, f" function Test-It($Value, $Path) {{ {line} }}\n{old}"


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
        lessons.test_one_command_a_pipeline,
    ),
    "a clock": (
        added("if ([datetime]::UtcNow -gt $Value) { 1 }"),
        lessons.test_no_deadline_is_kept_by_a_clock,
    ),
    "a dollar for an end": (
        ("'^[0-9a-f]{32}\\z'", "'^[0-9a-f]{32}$'"),
        lessons.test_patterns_end_where_the_text_ends_and_know_ascii_alone,
    ),
    "digits of any script": (
        ("'generation' '^[0-9]{1,15}\\z'", "'generation' '^\\d{1,15}\\z'"),
        lessons.test_patterns_end_where_the_text_ends_and_know_ascii_alone,
    ),
    "names without case": (
        ("$p.Value, [System.StringComparer]::Ordinal)", "$p.Value)"),
        lessons.test_sets_and_tables_of_names_are_ordinal,
    ),
    "names by culture": (
        (
            "-not $Allowed[$has['do']].Contains($p.Name)",
            "$Allowed[$has['do']] -notcontains $p.Name",
        ),
        lessons.test_sets_and_tables_of_names_are_ordinal,
    ),
    "no check before the first call": (
        ("foreach ($call in $Calls) { Test-Call $call $Allowed $Paths $named }", ""),
        lessons.test_a_plan_is_checked_whole_before_it_runs,
    ),
    "names of no properties": (
        added("$Value.PSObject.Properties.Name"),
        lessons.test_names_of_properties_are_looped_over,
    ),
    "options of a file as text": (
        ("[System.IO.FileOptions] $Then)", "$Then)"),
        lessons.test_file_streams_of_six_get_typed_arguments,
    ),
    "no digest": (
        (" -or (Get-Digest $body) -cne $digest", ""),
        lessons.test_each_frame_tells_length_and_digest_of_its_body,
    ),
    "a number of the host's culture": (
        (
            f"[System.Convert]::ToInt64($value, {lessons.INVARIANT})",
            "[System.Convert]::ToInt64($value)",
        ),
        lessons.test_everything_is_told_and_read_in_the_invariant_culture,
    ),
    "a time of the host's culture": (
        (f".ToString('o', {lessons.INVARIANT})", ".ToString('o')"),
        lessons.test_everything_is_told_and_read_in_the_invariant_culture,
    ),
    "an enumeration's number": (
        ("if ($Value -is [System.Enum]) { return $Value.ToString() }", ""),
        lessons.test_an_enumeration_is_told_by_its_name,
    ),
    "flat JSON": (
        (" -Depth 8", ""),
        lessons.test_json_is_written_deep_enough_and_as_a_whole,
    ),
    "a guessed encoding": (
        ("[System.Text.Encoding]::ASCII, $false)", "[System.Text.Encoding]::ASCII)"),
        lessons.test_the_journal_is_read_as_ascii_without_a_guess,
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
