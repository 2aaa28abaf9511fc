"""Runs Packer on the templates beside this, where the program is to be had with AWS's builders.

Packer up to 1.6 brings them along (Debian packs that one); later ones fetch them, which nothing
here does.

Source: Packer documentation, "Amazon AMI Builder" and "Machine-Readable Output".
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.gateway import Gateway, clean_environment

TEMPLATES: Final = Path(__file__).parent / "packer"
SECONDS: Final = 300
_IMPATIENT: Final = {"AWS_POLL_DELAY_SECONDS": "1", "AWS_MAX_ATTEMPTS": "120"}
_NO_BUILDER: Final = "is unknown by Packer"


class NotToBeHad(Exception):
    """There is no program, or no builder in it; the text says which."""


class Failed(Exception):
    """A run failed; the text is what it wrote."""


@dataclass(frozen=True)
class Packer:
    """Packer with a home of its own; templates tell its builders of the endpoint."""

    gateway: Gateway
    home: Path
    _program: str = field(init=False)

    def __post_init__(self) -> None:
        """Look whether the program has what the templates name.

        :raises NotToBeHad:
        """
        program = shutil.which("packer")
        if program is None:
            raise NotToBeHad("there is no `packer` on PATH")
        object.__setattr__(self, "_program", program)
        try:
            self._run("validate", "-syntax-only", str(TEMPLATES / "images.json"))
        except Failed as failed:
            if _NO_BUILDER in str(failed):
                raise NotToBeHad(f"packer without AWS's builders: {failed}") from None
            raise

    def build(self, template: str, only: str = "", **variables: str) -> Mapping[str, str]:
        """Build; answer each builder's artifact, an id of EC2's.

        :raises Failed: with all that it wrote
        """
        told = [f"-var={name}={value}" for name, value in variables.items()]
        chosen = [f"-only={only}"] if only else []
        wrote = self._run("build", "-machine-readable", *chosen, *told, str(TEMPLATES / template))
        lines = [line.split(",") for line in wrote.splitlines()]
        ids = [line for line in lines if line[2:3] == ["artifact"] and line[4:5] == ["id"]]
        return {line[1]: line[5].rpartition(":")[2] for line in ids}

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._program, *arguments],
            env={
                **clean_environment(),
                **self.gateway.environment,
                **_IMPATIENT,
                "HOME": str(self.home),
                "TMPDIR": str(self.home),
                "CHECKPOINT_DISABLE": "1",
                "PACKER_NO_COLOR": "1",
            },
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}")
        return done.stdout
