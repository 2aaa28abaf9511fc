r"""Windows paths as text: canonical form, parents, keys. No file is touched.

Source: learn.microsoft.com, "Naming Files, Paths, and Namespaces"; System.IO.Path.GetFullPath.
"""

from __future__ import annotations

import functools


class BadPath(ValueError):
    """Not an absolute path on a local drive."""


@functools.lru_cache(maxsize=4096)
def canonical(path: str) -> str:
    r"""Bring ``C:/a/./b/../c`` into the form ``C:\a\c``; UNC and ``\\?\`` are refused."""
    text = path.replace("/", "\\")
    if len(text) < 3 or not text[0].isalpha() or text[1:3] != ":\\" or "\0" in text:
        raise BadPath(path)
    parts: list[str] = []
    for part in text[3:].split("\\"):
        # Windows drops blanks and dots at the end of a name.
        name = part if part in (".", "..") else part.rstrip(" .")
        if name in ("", "."):
            continue
        if name == "..":
            if parts:
                parts.pop()
            continue
        if any(sign in name for sign in '<>:"|?*'):
            raise BadPath(path)
        parts.append(name)
    return text[0].upper() + ":\\" + "\\".join(parts)


def key(path: str) -> str:
    """One key per file: names differ in more than upper and lower case."""
    return canonical(path).lower()


def parent(path: str) -> str:
    head, _, _ = canonical(path).rpartition("\\")
    return head if len(head) > 2 else head + "\\"


def name(path: str) -> str:
    return canonical(path).rpartition("\\")[2]


def join(folder: str, *names: str) -> str:
    return "\\".join([folder.rstrip("\\"), *names])


def below(path: str, folder: str) -> bool:
    """Whether the path lies in the folder or its subfolders; a folder is not below itself."""
    return key(path).startswith(key(folder).rstrip("\\") + "\\")
