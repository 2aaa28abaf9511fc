"""The entry point: makes sure that our three packages are ours, then starts the command line.

`state` and `translators` are names that other distributions use too; installing one of them into
our environment overwrites ours without a word. Imports nothing of ours until that is ruled out.

Source: docs/decisions/0001 (three packages in one distribution).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

ROOMS = ("ec2gw", "translators", "state")
DISTRIBUTION = "ec2gw"


def strangers() -> list[str]:
    """Say of each package that is not ours where it comes from; empty when all are."""
    home = Path(__file__).resolve().parent.parent
    claims = importlib.metadata.packages_distributions()
    found = []
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        origin = spec.origin if spec is not None else None
        if origin is None:
            found.append(f"{room} is missing beside {home / DISTRIBUTION}")
        elif Path(origin).resolve().parent.parent != home:
            found.append(f"{room} comes from {Path(origin).parent}, not from {home}")
        others = sorted({name.lower() for name in claims.get(room, [])} - {DISTRIBUTION})
        if others:
            found.append(f"{room} was overwritten by the distribution {', '.join(others)}")
    return found


def main() -> int:
    """Run `ec2gw`."""
    if found := strangers():
        for line in found:
            print(f"ec2gw: {line}", file=sys.stderr)
        print(
            "ec2gw: install it into an environment of its own: another distribution uses the same "
            "package names",
            file=sys.stderr,
        )
        return 1
    from ec2gw import cli  # only now: see above

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
