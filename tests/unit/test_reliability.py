"""docs/reliability.md names for each fault the tests that hold it: all there, none missing."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
REFERENCE = ROOT.parent / "shared" / "reference"
_NOT_MET = "not met: "


def held() -> dict[str, str]:
    """Fault -> the tests that hold it, or why no action on offer can meet it."""
    _, _, text = PAGE.read_text().partition("## Which fault is held by which test")
    return dict(row for row in rows(text) if row[1] != "held by")


def rows(text: str) -> list[tuple[str, str]]:
    """The first two cells of every row of every table, without the lines below the heads."""
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [
        (one[0].strip(), one[1].strip()) for one in cells if not set("".join(one)) <= set("- :")
    ]


@functools.cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef))


def test_every_test_that_is_named_is_there() -> None:
    for fault, tests in held().items():
        if tests.startswith(_NOT_MET):
            continue
        named = re.findall(r"`([^`]+)`", tests)
        assert named, fault
        for one in named:
            file, _, name = one.partition("::")
            function, _, case = name.rstrip("]").partition("[")
            assert function in functions(ROOT / file), one
            assert not case or f'"{case}"' in (ROOT / file).read_text(), one


def _without_heads(text: str) -> set[str]:
    lines = text.splitlines()
    heads = {index - 1 for index, line in enumerate(lines) if line.startswith(("| ---", "|---"))}
    kept = "\n".join(line for index, line in enumerate(lines) if index not in heads)
    return {first for first, _ in rows(kept)}


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the list of faults is not beside this tree")
def test_no_fault_of_the_lists_is_left_out() -> None:
    link = (REFERENCE / "winrm.md").read_text()
    host = (REFERENCE / "hyperv.md").read_text()
    listed = _without_heads(_between(link, "\n## 2. ", "\n## 3. "))
    listed |= _without_heads(_between(link, "\n### 4.3 ", "\nChaos, "))
    sentence = _between(host, "\n## 4.6 ", "\n\n").splitlines()[1]
    listed |= {one.strip() for one in sentence.rstrip(".").split(";")}
    assert len(listed) > 45
    assert listed - held().keys() == set()
