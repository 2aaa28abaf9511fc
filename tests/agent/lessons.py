"""What the agent's prototype taught, and what holds each lesson today.

A lesson is held by statements of `prove.py` (in a real PowerShell), by tests (anywhere), or both.

Source: the prototype's own list, "Found on the way" 1 to 15 and "Known holes"; docs/agent.md.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
TESTS: Final = HERE.parent


@dataclass(frozen=True, slots=True)
class Lesson:
    """`proved`: statements of `prove.py`. `tested`: `file::test`, below tests/."""

    taught: str
    proved: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()


def statements() -> list[str]:
    """What `prove.py` states, as it prints it less what is put in."""
    tree = ast.parse((HERE / "prove.py").read_text(encoding="utf-8"))
    calls = [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hold"
    ]
    return [_text(one) for one in calls if _text(one)]


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp):
        node = node.left
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def tests() -> set[str]:
    """Every test there is, as `file::test`."""
    return {
        f"{path.relative_to(TESTS)}::{name}"
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def _frames(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_framing.py::{name}" for name in names)


def _lint(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_agent_lint.py::{name}" for name in names)


def _text_of_it(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_agent_lessons.py::{name}" for name in names)


def _journal(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_lab_agent_journal.py::{name}" for name in names)


def _session(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_lab_agent_frames.py::{name}" for name in names)


LESSONS: Final = (
    Lesson(
        "1 A cut gzip stream is read without an error, a small frame inflates to gigabytes",
        ("seven broken, huge or inflating frames are told and the next one works",),
        (
            *_text_of_it("test_each_frame_tells_length_and_digest_of_its_body"),
            *_frames(
                "test_a_cut_gzip_stream_under_a_true_digest_is_told",
                "test_a_frame_that_inflates_too_far_is_told_by_its_digest",
                "test_a_changed_cut_or_spliced_frame_is_told_and_the_next_one_is_read",
            ),
        ),
    ),
    Lesson(
        "2 Names of the properties of an empty object throw; whatever reads a request may throw",
        ("sixteen odd requests are told, none runs or kills", "an odd request is told: %r"),
        (
            *_text_of_it("test_names_of_properties_are_looped_over"),
            *_session("test_an_odd_request_is_told_and_nothing_dies"),
        ),
    ),
    Lesson(
        "3 A pipeline of several statements never ends on a runspace pool",
        ("a launch of eight calls runs, results by reference",),
        _text_of_it("test_one_command_a_pipeline"),
    ),
    Lesson(
        "4 State of a script is the loader's: keep it in one object",
        (),
        _lint("test_a_lane_has_every_function_that_it_calls"),
    ),
    Lesson(
        "5 ConvertFrom-Json: dates, and 2 million characters at most",
        (
            "a request that Windows PowerShell's own JSON would not read is told; one just below"
            " is run",
            "the hello tells host, boot time, modules, limits, the text's hash, the journal's name",
        ),
        (
            *_lint("test_the_limits_of_both_ends_are_the_same"),
            *_frames(
                "test_an_agent_reads_no_longer_json_than_windows_powershell_does_and_tells_more"
            ),
            *_text_of_it("test_json_is_written_deep_enough_and_as_a_whole"),
        ),
    ),
    Lesson(
        "6 Abbreviated and common parameters and positions pass a list of cmdlets",
        ("refused before anything runs: %s",),
        (
            *_text_of_it(
                "test_no_common_or_abbreviated_parameter_is_let_through",
                "test_a_plan_is_checked_whole_before_it_runs",
                "test_sets_and_tables_of_names_are_ordinal",
            ),
            "unit/test_lab_agent.py::test_a_plan_is_refused_whole_before_anything_of_it_runs",
        ),
    ),
    Lesson(
        "7 Two agents on one host are normal: one lock, reading again, a digest a line, maxima",
        (
            "the same token at a second agent while it runs or after: nothing runs",
            "a second agent sees what the first one runs",
            "an epoch that another agent saw is known here",
            "torn lines cost nothing before or after them; a token of then is known",
            "killed between begin and end: begun, not run again",
            "epochs and generations outlive agents, whatever the tail says",
            "a storm of three agents that are killed and leave torn tails: no token runs twice",
            "what ran in it is known to a new agent",
        ),
        _journal(
            "test_a_torn_line_costs_nothing_before_or_after_it",
            "test_many_senders_at_several_agents_run_each_token_once",
            "test_whatever_byte_of_the_journal_changes_no_token_runs_twice",
        ),
    ),
    Lesson(
        "8 A function's binding errors have ids of their own: compare whether it bound",
        (
            "does not bind: %s (here %s)",
            "an error keeps its id, category, activity, codes from the outermost in, and its text"
            " in any language",
        ),
        ("agent/test_frames.py::test_a_width_of_wmi_and_each_part_of_an_error_count",),
    ),
    Lesson(
        "9 Check when the work starts; tell what waits when it ends; leave whatever hangs",
        (
            "what waited behind busy lanes is checked when it starts, not when it came",
            "an agent of an older driver ends by itself (rc %s)",
            "and that agent ends too (rc %s)",
        ),
        _journal(
            "test_what_waited_behind_busy_lanes_is_checked_when_it_starts",
            "test_an_agent_of_an_older_driver_tells_what_waits_and_ends_by_itself",
        ),
    ),
    Lesson(
        "10 The journal can vanish, shrink or be locked; no encoding of it is guessed",
        (
            "a journal that vanished under a living agent costs it nothing",
            "the other agent sees the new file",
        ),
        (
            *_journal(
                "test_a_journal_that_vanished_under_a_living_agent_costs_it_nothing",
                "test_a_journal_that_cannot_be_read_is_an_answer_and_no_death",
            ),
            *_text_of_it("test_the_journal_is_read_as_ascii_without_a_guess"),
        ),
    ),
    Lesson(
        "11 A dollar admits a line break, \\d other scripts; unknown keys are errors; ordinal sets",
        ("sixteen odd requests are told, none runs or kills", "refused before anything runs: %s"),
        (
            *_text_of_it(
                "test_patterns_end_where_the_text_ends_and_know_ascii_alone",
                "test_sets_and_tables_of_names_are_ordinal",
            ),
        ),
    ),
    Lesson(
        "12 PowerShell converts where it should refuse",
        (
            "nine odd values and references are refused, none is guessed",
            "an odd value is refused: %r",
            "switches and Booleans stay what they are",
        ),
        (
            "unit/test_lab_agent.py"
            "::test_an_odd_value_or_reference_is_an_error_of_its_call_and_none_is_guessed",
        ),
    ),
    Lesson(
        "13 Of texts PowerShell picks another overload; DeleteOnClose stays after kill on Linux",
        ("killed between begin and end: begun, not run again",),
        _text_of_it("test_file_streams_of_six_get_typed_arguments"),
    ),
    Lesson(
        "14 Time goes backwards and jumps: a stopwatch, never the clock",
        ("silence ends an agent, and any line breaks it (rc %s)",),
        _text_of_it("test_no_deadline_is_kept_by_a_clock"),
    ),
    Lesson(
        "15 Every member of .NET exists in 4.6.2; it parses without an error",
        (),
        _lint(
            "test_what_is_sent_parses_without_a_fault_and_is_ascii",
            "test_each_type_is_one_of_net_framework_4_6_2_or_of_powershell",
            "test_each_static_member_and_constructor_takes_that_many_arguments",
        ),
    ),
    Lesson(
        "a Damaged lines are counted, told, and stop new tokens until the driver has looked",
        (
            "damaged lines are counted in the hello",
            "after damage no new token runs",
            "looked at, they are gone and tokens run again",
        ),
        _journal("test_after_damage_no_new_token_runs_until_the_driver_has_looked"),
    ),
    Lesson(
        "b An end that could not be written is kept and tried again",
        ("an end that could not be written is kept and written later",),
        _journal("test_an_end_that_could_not_be_written_is_kept_and_repeated"),
    ),
    Lesson(
        "c A long journal is compacted, and read outside the lock",
        (
            "compacted: what was acknowledged goes, what runs stays",
            "a torn tail is no damage to a compaction either",
        ),
        _journal("test_compacting_drops_what_was_acknowledged_and_keeps_floors_and_what_runs"),
    ),
    Lesson(
        "d A frame that came whole and cannot be read is told by what names it",
        ("a frame that came whole and cannot be read is told by its digest",),
        _session("test_a_frame_that_cannot_be_read_is_told_by_its_digest"),
    ),
    Lesson(
        "e What of the allow list a host lacks is told in the hello",
        ("the hello tells what of the allow list is missing, and nothing else",),
        _session("test_the_hello_tells_what_of_the_allow_list_the_host_lacks"),
    ),
    Lesson(
        "f An agent that hears nothing ends",
        ("silence ends an agent, and any line breaks it (rc %s)",),
        _session("test_silence_ends_the_agent_and_any_line_breaks_it"),
    ),
)
"""Fifteen lessons, and six holes that the prototype left to the product's agent."""
