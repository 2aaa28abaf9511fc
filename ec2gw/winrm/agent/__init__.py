"""The agent that is sent to a host: its text, and the command line that starts it there.

Holds no protocol; the PowerShell beside this file does. `agent.ps1` reads frames of calls, checks
and runs them; the others hold the functions that no cmdlet offers and are put into it here, since
one text is sent; `loader.ps1` is what stands on the command line.

Source: docs/agent.md.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import re

from translators.hyperv import tasks

PROGRAM = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
"""In full: without a cmd shell nothing on the host searches PATH."""

_INCLUDED = ("files.ps1", "transfer.ps1", "identity.ps1", "console.ps1")
_INDENT = re.compile(r"^ +")
_COMMENT = re.compile(r"(?:^|\s+)#(?: [^'\"]*|)$|^\s*#.*$")
"""One behind code too, if it has no quotes: a # in a text has its end behind it."""


@functools.cache
def text() -> str:
    """The agent as it is sent and runs: `agent.ps1` with the others in their places.

    Comments stay here, and of each indent all but a blank: two Sends carry the whole. It is not
    packed: what unpacks a text and runs it is what virus scanners look for.
    """
    whole = _source("agent.ps1")
    for name in _INCLUDED:
        place = f"    # {name} stands here.\n"
        if whole.count(place) != 1:
            raise ValueError(f"agent.ps1 says not once where {name} stands")
        lines = _source(name).splitlines(True)
        whole = whole.replace(place, "".join(f" {line}" for line in lines))
    first, *rest = whole.splitlines()
    bare = (_COMMENT.sub("", line).rstrip() for line in rest)
    return "".join(f"{_INDENT.sub(' ', line)}\n" for line in [first, *bare] if line)


@functools.cache
def first_line() -> bytes:
    """What the loader reads from stdin before the first frame."""
    return base64.b64encode(text().encode("utf-8")) + b"\n"


@functools.cache
def digest() -> str:
    """SHA-256 of the text in lower-case hexadecimal digits, as the agent's hello tells it."""
    return hashlib.sha256(text().encode("utf-8")).hexdigest()


@functools.cache
def loader() -> str:
    """The loader as one line without comments, double quotes or double blanks."""
    lines = (line.strip() for line in _source("loader.ps1").splitlines())
    return "; ".join(line for line in lines if line and not line.startswith("#"))


def arguments() -> tuple[str, ...]:
    """What follows `PROGRAM` on the command line."""
    # -Command rather than -EncodedCommand: virus scanners end encoded starts.
    return (
        *("-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"),
        *("-Command", loader()),
    )


def _source(name: str) -> str:
    text = importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    # A host runs it as a task, too, from a file of its own.
    return text.replace("# Read-Consoles stands here.\n", tasks.console_function())
