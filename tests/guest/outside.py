"""What guests run, as others give it out: Debian's cloud-init, and cloudbase-init.

Both are fetched once, by this machine's own apt and pip, into `.guest`; nothing of them is ours. A
test that wants one is skipped, with the reason, where it cannot be had.

Source: apt-get(8), "download"; dpkg-deb(1), -x; pip's documentation, "pip install", --target.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

FOLDER: Final = Path(__file__).resolve().parents[2] / ".guest"
_NEEDS: Final = Path(__file__).with_name("requirements.txt")
_SECONDS: Final = 45
_failed: dict[str, str] = {}
"""What could not be had, and why: no other test of this process waits for it again."""


def cloud_init() -> Path:
    """The files of Debian's cloud-init package, below the folder that is answered."""
    if not all(map(shutil.which, ("apt-get", "dpkg-deb"))):
        pytest.skip("cloud-init is taken out of Debian's package: no apt-get and dpkg-deb here")
    return _once("cloud-init", "1", _take_cloud_init)


def python(*words: str, seconds: float = 60) -> Any:
    """Run Python where cloud-init and cloudbase-init can be imported; answers what it printed."""
    packages = cloud_init() / "usr/lib/python3/dist-packages"
    needs = _once("packages", _NEEDS.read_text(), _install)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words],
        env={**os.environ, "PYTHONPATH": f"{packages}:{needs}"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _take_cloud_init(folder: Path) -> str:
    fetched = folder.with_suffix(".deb")
    shutil.rmtree(fetched, ignore_errors=True)
    fetched.mkdir()
    quick = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15")
    trouble = _trouble("apt-get", "-q", *quick, "download", "cloud-init", within=fetched)
    for package in fetched.glob("*.deb"):
        trouble = _trouble("dpkg-deb", "-x", str(package), str(folder), within=fetched)
    shutil.rmtree(fetched)
    return trouble


def _install(folder: Path) -> str:
    words = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1")
    return _trouble(
        sys.executable, *words, "--target", str(folder), "-r", str(_NEEDS), within=folder
    )


def _trouble(*words: str, within: Path) -> str:
    """Run a program; answers why it failed, or nothing."""
    try:
        done = subprocess.run(
            words, cwd=within, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{words[0]} took over {_SECONDS} s"
    return done.stderr[-800:] or f"{words[0]} failed" if done.returncode else ""


def _once(name: str, version: str, fill: Callable[[Path], str]) -> Path:
    """Fill a folder by that name, unless it was filled as that version; skip where that fails."""
    folder, stamp = FOLDER / name, FOLDER / f"{name}.version"
    with _alone(name):
        if not stamp.exists() or stamp.read_text() != version:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            if trouble := _failed.get(name) or fill(folder):
                _failed[name] = trouble
                pytest.skip(f"{name} cannot be had here: {trouble}")
            stamp.write_text(version)
    return folder


@contextmanager
def _alone(name: str) -> Iterator[None]:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with this process
        yield
