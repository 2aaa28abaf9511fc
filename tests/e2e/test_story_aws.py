"""The README's story, taken from the README itself, in a shell, by the unmodified `aws`.

What is told to a newcomer is what is run here, to the letter. Only `aws ec2 wait` asks more often
than every fifteen seconds: its own table of waiters is laid beside it with a shorter delay.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import impatience, readme
from tests.gateway import LINUX_IMAGE, WINDOWS_IMAGE, Gateway, clean_environment

SCRIPT_SECONDS = 100
MARK = "@@ after "
ID = r"i-[0-9a-f]{17}"
Told = list[tuple[str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, quick: Mapping[str, str]) -> Iterator[Path]:
    """A newcomer's home, with a gateway that serves its default data folder."""
    home = tmp_path_factory.mktemp("home")
    data = home / ".local" / "share" / "ec2gw"
    data.parent.mkdir(parents=True)
    (home / ".venv").symlink_to(readme.ROOT / ".venv")  # the checkout, as its folder goes
    with Gateway(data, environ=quick):
        yield home


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What makes waiters ask again after a second."""
    return impatience.lay(tmp_path_factory.mktemp("botocore"))


@pytest.fixture(scope="module")
def told(home: Path, impatient: Mapping[str, str]) -> Told:
    """The story's commands, each with what it printed; all of them have succeeded."""
    (block,) = readme.blocks(readme.STORY, "sh")
    asked = readme.commands(block)
    script = "".join(f"{one}\nprintf '{MARK}%s\\n' {n}\n" for n, one in enumerate(asked))
    done = subprocess.run(
        ["sh", "-eu"],
        input=script,
        cwd=home,
        env={**clean_environment(), **impatient, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )
    printed = re.split(rf"^{MARK}\d+\n", done.stdout, flags=re.MULTILINE)[:-1]
    assert done.returncode == 0, f"{asked[len(printed)]}: {done.stderr}"
    assert done.stderr == ""
    return list(zip(asked, printed, strict=True))


def output(told: Told, word: str) -> str:
    """What the one command printed that has this word."""
    (found,) = [text for command, text in told if word in command]
    return found


def test_it_tells_all_that_a_first_hour_needs(told: Told) -> None:
    actions = [found[1] for one, _ in told if (found := re.search(r"aws ec2 ([a-z-]+)", one))]
    assert list(dict.fromkeys(actions)) == [
        "describe-images",
        "create-key-pair",
        "run-instances",
        "wait",
        "describe-instances",
        "stop-instances",
        "start-instances",
        "reboot-instances",
        "terminate-instances",
        "delete-key-pair",
    ]
    assert "--count 2" in next(one for one, _ in told if "run-instances" in one)


def test_images_are_listed_with_the_ids_of_the_story(told: Told) -> None:
    table = output(told, "describe-images")
    assert LINUX_IMAGE in table
    assert WINDOWS_IMAGE in table
    assert any(f"--image-id {LINUX_IMAGE} " in command for command, _ in told)


def test_the_private_key_is_in_a_file(told: Told, home: Path) -> None:
    assert output(told, "create-key-pair") == ""
    assert (home / "first.pem").read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")


def test_the_table_shows_two_running_instances(told: Told) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in output(told, "describe-instances").splitlines()
        if re.search(ID, line)
    ]
    assert len(rows) == 2
    for address, one, state, kind, zone in rows:
        assert re.fullmatch(r"172\.31\.\d+\.\d+", address)
        assert re.fullmatch(ID, one)
        assert (state, kind) == ("running", "t3.small")
        assert zone in ("us-east-1a", "us-east-1b", "us-east-1c")


@pytest.mark.parametrize(
    ("command", "member", "before", "after"),
    [
        ("stop-instances", "StoppingInstances", "running", "stopping"),
        ("start-instances", "StartingInstances", "stopped", "pending"),
        ("terminate-instances", "TerminatingInstances", "running", "shutting-down"),
    ],
)
def test_each_change_says_what_was_and_what_will_be(
    told: Told, command: str, member: str, before: str, after: str
) -> None:
    changes = json.loads(output(told, command))[member]
    states = [(one["PreviousState"]["Name"], one["CurrentState"]["Name"]) for one in changes]
    assert states == [(before, after)] * 2
