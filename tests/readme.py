"""The README as data: its blocks by language, and the shell's commands in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
STORY: Final = "The first instances"


def blocks(section: str, language: str) -> list[str]:
    """The fenced blocks of that language below the heading, up to the next heading."""
    _, _, after = README.read_text(encoding="utf-8").partition(f"\n## {section}\n")
    below = after.partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """The commands of a shell block, each whole however many lines it takes."""
    found: list[str] = []
    pending = ""
    for line in block.splitlines():
        pending = f"{pending}\n{line}" if pending else line
        if line.endswith("\\") or pending.count("'") % 2:
            continue
        if pending.strip():
            found.append(pending)
        pending = ""
    assert not pending, f"a command has no end: {pending}"
    return found
