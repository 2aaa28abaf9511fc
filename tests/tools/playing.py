"""Runs a playbook as somebody at a terminal would, and reads what it tells of each task.

Source: Ansible Documentation, "Ansible Configuration Settings"; the default callback's output.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import impatience
from tests.gateway import Gateway, clean_environment

PLAYBOOKS = Path(__file__).parent / "ansible"
SECONDS = 300
_TASK = re.compile(r"^TASK \[(?:amazon\.aws\.)?(.+?)\] \*+$")
_TOLD = re.compile(r"^(ok|changed|failed|fatal|skipping): \[localhost\]")


@dataclass(frozen=True)
class Play:
    """What a run told: its tasks in order, and of each `ok`, `changed`, `failed` and so on."""

    tasks: tuple[tuple[str, str], ...]
    output: str

    @property
    def changed(self) -> list[str]:
        return [task for task, verdict in self.tasks if verdict == "changed"]


@dataclass(frozen=True)
class Ansible:
    """`ansible-playbook`, with a home of its own; the endpoint is told by the environment."""

    tools: Path
    gateway: Gateway
    home: Path

    def play(self, name: str, **variables: object) -> Play:
        """Run a playbook to its end; it has to succeed.

        :raises AssertionError: with all that it wrote
        """
        done = subprocess.run(
            [
                str(self.tools / "venv" / "bin" / "ansible-playbook"),
                str(PLAYBOOKS / name),
                "--inventory=localhost,",
                "--extra-vars",
                json.dumps(variables),
            ],
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return Play(tuple(_tasks(done.stdout)), done.stdout)

    def _environment(self) -> Mapping[str, str]:
        return {
            **clean_environment(),
            **self.gateway.environment,
            **impatience.lay(self.home / "botocore"),
            "HOME": str(self.home),
            "ANSIBLE_HOME": str(self.home),
            "ANSIBLE_COLLECTIONS_PATH": str(self.tools / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
            "LC_ALL": "C.UTF-8",
        }


def _tasks(output: str) -> list[tuple[str, str]]:
    """Pair each task with its verdict; a task without one was not run."""
    found: list[tuple[str, str]] = []
    task = None
    for line in output.splitlines():
        if begun := _TASK.match(line):
            task = begun[1]
        elif task is not None and (told := _TOLD.match(line)):
            found.append((task, told[1]))
            task = None
    return found
