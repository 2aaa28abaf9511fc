"""Tables of the command line show what they are told, whole and as it stands."""

from __future__ import annotations

import re

import pytest

from ec2gw.cli import tables


def printed(table: tables.Table, capsys: pytest.CaptureFixture[str]) -> str:
    tables.show(table)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["[/red]", "[red]web[/red]", "[link=http://x.example.org]x[/link]"]
)
def test_a_name_that_reads_like_markup_is_shown_and_breaks_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tables.Table("id", "name")
    table.add_row("ami-1", name)
    assert f"│ {name} │" in printed(table, capsys)


def test_nothing_in_a_cell_moves_the_cursor_of_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = tables.Table("said")
    table.add_row("\x1b[2Jall is\r\nwell")
    out = printed(table, capsys)
    assert "\x1b" not in out
    assert "\r" not in out
    assert "[2Jall is  well" in out


def test_another_program_gets_every_cell_whole_and_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    ids = [f"i-{digit * 17}" for digit in "0123456789"]
    table = tables.Table(*ids)
    table.add_row(*ids)
    lines = printed(table, capsys).splitlines()
    assert len(lines) == 5
    assert all(one in lines[3] for one in ids)


def test_a_narrow_terminal_folds_ids_and_cuts_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    table = tables.Table("id", "name")
    table.add_row("i-0123456789abcdef0", "web")
    lines = printed(table, capsys).splitlines()
    assert len(lines) > 5
    bare = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines[3:-1]]
    assert "".join(line.split("│")[1].strip() for line in bare) == "i-0123456789abcdef0"
