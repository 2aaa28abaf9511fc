"""Holds the agent in a real PowerShell to what `prove.py` states and to the recorded frames.

Wherever there is one: on PATH or at ../shared/tools/pwsh/pwsh. Elsewhere it says that it was
skipped; docs/agent.md says what is unproved then.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ec2gw.lab.agent import POWERSHELL_VARIABLE
from tests.agent.lessons import statements
from translators.hyperv.allowed import ALLOWED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHARED = ROOT.parent / "shared" / "tools" / "pwsh" / "pwsh"
PWSH = shutil.which("pwsh") or (str(SHARED) if os.access(SHARED, os.X_OK) else None)
UNPROVED = {
    "Start-DiskCopy": "asks the management service of Windows",
    "Set-VMIdentity": "asks the management service of Windows",
    "Remove-Transfer": "asks the task scheduler of Windows",
    "Start-ConsoleReader": "asks the task scheduler of Windows",
    "Get-ConsoleReader": "asks the task scheduler of Windows",
    "Stop-ConsoleReader": "asks the task scheduler of Windows",
}
real = pytest.mark.skipif(PWSH is None, reason="no pwsh: the agent was not run by a PowerShell")
STORIES = ("test_story_boto3.py", "test_story_aws.py", "test_files_on_hosts.py")


def run(*command: str, seconds: int, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


@real
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("table", "culture"), [("recorded", ""), ("2016", ""), ("2025", "de-DE")])
def test_everything_holds_in_a_real_powershell(table: str, culture: str) -> None:
    options = [str(PWSH), table, *filter(None, [culture])]
    assert ", 0 fail;" in run(str(HERE / "prove.py"), *options, seconds=280)


@real
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("version", "culture"),
    [("recorded 2019", ""), ("recorded 2016", ""), ("documented 2025", "de-DE")],
)
def test_every_recorded_frame_is_bound_and_answered_in_a_real_powershell(
    version: str, culture: str
) -> None:
    options = [str(PWSH), version, *filter(None, [culture])]
    assert ", 0 fail;" in run(str(HERE / "replay.py"), *options, seconds=280)


@real
@pytest.mark.timeout(900)
@pytest.mark.parametrize("story", STORIES)
def test_the_stories_hold_with_the_agent_itself_behind_the_door(story: str) -> None:
    environment = {POWERSHELL_VARIABLE: str(PWSH)}
    said = run("-m", "pytest", "-q", f"tests/e2e/{story}", seconds=880, **environment)
    assert " passed" in said


def test_the_proof_needs_nothing_but_the_standard_library_and_ourselves() -> None:
    for name in ("prove.py", "replay.py"):
        nodes = list(ast.walk(ast.parse((HERE / name).read_text(encoding="utf-8"))))
        imports = [one for one in nodes if isinstance(one, ast.Import)]
        modules = {alias.name for one in imports for alias in one.names}
        modules |= {one.module or "" for one in nodes if isinstance(one, ast.ImportFrom)}
        strange = {one.partition(".")[0] for one in modules} - sys.stdlib_module_names - {"ec2gw"}
        assert strange == set(), name
    # What they take of ours stands on the standard library too: -S leaves out site-packages.
    code = (
        "import sys; sys.path.insert(0, '.'); sys.argv = ['x', 'y'];"
        "import tests.agent.replay; from ec2gw.lab.powershell import proxies"
    )
    run("-S", "-c", code, seconds=60)


def test_no_two_statements_of_the_proof_are_the_same() -> None:
    found = statements()
    assert len(found) == len(set(found))
    assert len(found) > 60


def test_the_proof_knows_every_function_of_ours_and_calls_it_or_says_why_not() -> None:
    text = (HERE / "prove.py").read_text(encoding="utf-8")
    table = text[text.index("OWN = ") + len("OWN = ") : text.index("\nPATHS = ")]
    ours = {do.partition("\\")[2]: names for do, names in ALLOWED.items() if "Agent\\" in do}
    assert {name: set(names) for name, names in ast.literal_eval(table).items()} == {
        name: set(names) for name, names in ours.items()
    }
    called = {name for name in ours if f'c("{name}"' in text}
    assert ours.keys() - called == UNPROVED.keys()
