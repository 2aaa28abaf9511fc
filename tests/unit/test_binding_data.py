"""The reduced tables are what their script makes of the full ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
SHARED = HERE.parent / "shared"


@pytest.mark.skipif(not SHARED.exists(), reason="the full tables are not here")
def test_the_reduced_tables_are_fresh(tmp_path: Path) -> None:
    script = HERE / "scripts" / "renew-binding-data.py"
    command = [sys.executable, str(script), str(SHARED), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    kept = HERE / "ec2gw" / "lab" / "binding" / "data"
    for made in sorted(tmp_path.iterdir()):
        assert made.read_bytes() == (kept / made.name).read_bytes(), made.name
