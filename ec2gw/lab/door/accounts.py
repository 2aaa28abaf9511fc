"""Who may sign in at a door, and the file in which the NTLM acceptor looks them up.

Holds no protocol. The acceptor (pyspnego) reads accounts from one file that a process-wide
variable names, so all doors of a process share it: 0600, in a private folder, gone when the last
door that needs it closes or the process exits. Give a folder, and what a killed process left
there is overwritten by the next.

Source: pyspnego, `NTLM_USER_FILE`; MS-NLMP 3.3.
"""

from __future__ import annotations

import atexit
import hmac
import os
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_VARIABLE = "NTLM_USER_FILE"
_UNWRITABLE = re.compile(r"[:\x00-\x1f\x7f\x85\u2028\u2029]")  # they would end a field or a line


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the simulated host; the password is in no representation.

    `certificate` is the principal name of the client certificates that are mapped to it.
    """

    name: str
    password: str = field(repr=False)
    domain: str = ""
    certificate: str = ""

    def __post_init__(self) -> None:
        """Refuse what the user file cannot hold.

        :raises ValueError: an empty name or password, or one with a colon or control character
        """
        if not self.name or not self.password:
            raise ValueError("an account needs a name and a password")
        if any(_UNWRITABLE.search(text) for text in (self.name, self.password, self.domain)):
            raise ValueError("a colon or a control character in an account")

    @property
    def principal(self) -> str:
        return f"{self.domain}\\{self.name}" if self.domain else self.name


class Credentials:
    """The accounts of one door. A name without a domain means the first account of that name.

    `folder`: where the process keeps its user file, else in a new temporary one.
    """

    def __init__(self, accounts: Iterable[Account], folder: Path | None = None) -> None:
        self._folder = folder
        self._accounts: dict[str, Account] = {}
        for account in accounts:
            for name in (account.principal, account.name):
                self._accounts.setdefault(name.casefold(), account)

    def find(self, principal: str) -> Account | None:
        """Find an account by name, with its domain before it or as Kerberos' realm behind it."""
        folded = principal.casefold()
        name, _, realm = folded.rpartition("@")
        return self._accounts.get(folded) or self._accounts.get(f"{realm}\\{name}")

    def mapped(self, certificate: str) -> Account | None:
        """Find the account that client certificates with this principal name are mapped to."""
        found = (one for one in self._accounts.values() if one.certificate == certificate)
        return next(found, None) if certificate else None

    def check(self, principal: str, password: str) -> Account | None:
        """Find the account if the password is its own, in the same time for any wrong one."""
        account = self.find(principal)
        expected = account.password if account else ""
        right = hmac.compare_digest(expected.encode(), password.encode())
        return account if right else None

    def publish(self) -> None:
        """Let the NTLM acceptor of this process know the accounts, until `withdraw`.

        :raises ValueError: another door knows one of the names with another password
        """
        _user_file.add(dict(self._lines()), self._folder)

    def withdraw(self) -> None:
        _user_file.remove(dict(self._lines()))

    def _lines(self) -> Iterator[tuple[str, str]]:
        for name, account in self._accounts.items():
            domain, _, user = name.rpartition("\\")
            yield f"{domain}:{user}", account.password


class _UserFile:
    """The process's one file of NTLM accounts, counted by who needs each line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passwords: dict[str, str] = {}
        self._uses: Counter[str] = Counter()
        self._path: Path | None = None

    def add(self, lines: dict[str, str], folder: Path | None) -> None:
        with self._lock:
            if any(self._passwords.get(key, word) != word for key, word in lines.items()):
                raise ValueError("two doors of a process know one account by two passwords")
            self._passwords.update(lines)
            self._uses.update(lines.keys())
            if self._path is None:
                self._path = _private(folder) / "accounts"
            self._write(self._path)

    def remove(self, lines: dict[str, str]) -> None:
        with self._lock:
            self._uses.subtract(lines.keys())
            for key in lines:
                if self._uses[key] <= 0:
                    del self._uses[key]
                    self._passwords.pop(key, None)
            if self._passwords and self._path is not None:
                self._write(self._path)
            else:
                self._discard()

    def discard(self) -> None:
        with self._lock:
            self._discard()

    def _write(self, path: Path) -> None:
        text = "".join(f"{key}:{word}\n" for key, word in self._passwords.items())
        # A reader sees the old file or the new one, never half of it.
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode())
        fresh.replace(path)
        os.environ[_VARIABLE] = str(path)

    def _discard(self) -> None:
        if self._path is None:
            return
        if os.environ.get(_VARIABLE) == str(self._path):
            del os.environ[_VARIABLE]
        shutil.rmtree(self._path.parent, ignore_errors=True)
        self._path = None


def _private(folder: Path | None) -> Path:
    """Make a folder that is only ours, below the one given or a temporary one."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="ec2gw-door-"))
    private = folder / "accounts.d"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    private.chmod(0o700)
    return private


_user_file = _UserFile()
atexit.register(_user_file.discard)
