"""Runs Terraform in a folder of its own, where the program and AWS's provider are to be had.

Neither comes from a Python package, so neither is installed here: the program is the one on PATH,
the provider one that lies in a folder of plugins or that `terraform init` can fetch.

Source: Terraform documentation, "CLI Configuration" and "Provider Installation".
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.gateway import Gateway, clean_environment

CONFIGURATION: Final = Path(__file__).parent / "terraform"
PLUGINS: Final = Path(os.environ.get("EC2GW_TEST_TERRAFORM_PLUGINS", "/opt/tf-plugins"))
SECONDS: Final = 300
_SETTINGS: Final = """
disable_checkpoint = true
provider_installation {{
  {source}
}}
"""


class NotToBeHad(Exception):
    """There is no program, or no provider for it; the text says which."""


class Failed(Exception):
    """A run failed; the text is what it wrote."""


@dataclass(frozen=True)
class Terraform:
    """One configuration and its state, against one gateway."""

    gateway: Gateway
    folder: Path
    configuration: Path = CONFIGURATION
    _program: str = field(init=False)

    def __post_init__(self) -> None:
        """Copy the configuration, and initialise.

        :raises NotToBeHad:
        """
        program = shutil.which("terraform")
        if program is None:
            raise NotToBeHad("there is no `terraform` on PATH")
        object.__setattr__(self, "_program", program)
        source = "direct {}"
        if PLUGINS.is_dir():
            source = f"filesystem_mirror {{\n    path = {json.dumps(str(PLUGINS))}\n  }}"
        (self.folder / "settings.tfrc").write_text(_SETTINGS.format(source=source))
        for file in self.configuration.glob("*.tf"):
            shutil.copy(file, self.folder)
        try:
            self._run("init", "-no-color")
        except Failed as failed:
            raise NotToBeHad(f"terraform init: {failed}") from None

    def apply(self, **variables: object) -> list[Any]:
        """Make it so; answer the lines that told of it."""
        return self._told("apply", "-auto-approve", *_said(variables))

    def destroy(self, **variables: object) -> None:
        self._told("destroy", "-auto-approve", *_said(variables))

    def drift(self, **variables: object) -> list[str]:
        """Answer what would be changed, and how, if the same were applied again."""
        lines = self._told("plan", *_said(variables))
        changes = [one["change"] for one in lines if one["type"] == "planned_change"]
        return [f"{one['action']} {one['resource']['addr']}" for one in changes]

    def values(self) -> dict[str, Any]:
        """Answer the outputs, as the state has them."""
        told = json.loads(self._run("output", "-json"))
        return {name: one["value"] for name, one in told.items()}

    def _told(self, *arguments: str) -> list[Any]:
        lines = self._run(*arguments, "-json").splitlines()
        return [json.loads(line) for line in lines]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._program, *arguments],
            env={
                **clean_environment(),
                **self.gateway.environment,
                "HOME": str(self.folder),
                "TF_CLI_CONFIG_FILE": str(self.folder / "settings.tfrc"),
                "TF_IN_AUTOMATION": "1",
                "TF_INPUT": "0",
                "NO_COLOR": "1",
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}")
        return done.stdout


def _said(variables: dict[str, object]) -> list[str]:
    given = variables.items()
    # A text is taken as it stands, anything else as an expression.
    told = ((name, value if isinstance(value, str) else json.dumps(value)) for name, value in given)
    return [f"-var={name}={value}" for name, value in told]
