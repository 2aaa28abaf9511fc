"""Holds the agent in a real PowerShell to what `prove.py` states, wherever there is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "tools" / "pwsh" / "pwsh"
PWSH = shutil.which("pwsh") or (str(SHARED) if SHARED.exists() else None)
TABLES = (("recorded", ""), ("2016", ""), ("2025", "de-DE"))


@pytest.mark.timeout(300)
@pytest.mark.skipif(PWSH is None, reason="no pwsh on PATH: the agent was not run by a PowerShell")
@pytest.mark.parametrize(("table", "culture"), TABLES)
def test_everything_holds_in_a_real_powershell(table: str, culture: str) -> None:
    command = [sys.executable, str(HERE / "prove.py"), str(PWSH), table, *filter(None, [culture])]
    said = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert said.returncode == 0, said.stdout[-8000:] + said.stderr[-2000:]
    assert ", 0 fail;" in said.stdout
