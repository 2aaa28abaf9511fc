"""Figures that long tests find, for whoever runs them: printed, and kept where asked for.

EC2GW_TEST_FIGURES names a file to add them to; workers of a parallel run print nothing.
"""

from __future__ import annotations

import os


def tell(text: str) -> None:
    print(f"\n{text}")
    path = os.environ.get("EC2GW_TEST_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{text}\n")
