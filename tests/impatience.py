"""Waiters of botocore's that ask again after a second, for tools that bring their own botocore.

`aws ec2 wait` and Ansible wait as botocore's table says, fifteen seconds mostly; a folder that
AWS_DATA_PATH names is laid beside that table.

Source: botocore, `botocore/loaders.py`.
"""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Any


def lay(folder: Path) -> dict[str, str]:
    """Write the table into the folder; answer what the environment has to say of it."""
    versions = importlib.resources.files("botocore").joinpath("data/ec2").iterdir()
    data = max(versions, key=lambda version: version.name)
    waiters: Any = json.loads(data.joinpath("waiters-2.json").read_text(encoding="utf-8"))
    for one in waiters["waiters"].values():
        one["delay"] = 1
    beside = folder / "ec2" / data.name
    beside.mkdir(parents=True, exist_ok=True)
    (beside / "waiters-2.json").write_text(json.dumps(waiters))
    return {"AWS_DATA_PATH": str(folder)}
