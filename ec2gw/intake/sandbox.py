"""Runs one program that reads what a stranger made, with as little as it needs for that.

    python -I -S sandbox.py PARENT ORDER PROGRAM ARGUMENT...
    python -I -S sandbox.py --probe

ORDER is JSON: paths to `read` and to `write`, and `limits`. A program of its own, of the standard
library alone: it limits itself, then becomes the other one.
Limits always hold: memory, processor time, size of files, open files, no core, no new rights, and
an end when the parent ends. Network and file system are taken away where the kernel lets us; the
probe says which.

Source: setrlimit(2), prctl(2), unshare(2), network_namespaces(7), landlock(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Sequence

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_LANDLOCK_CREATE = 444  # the numbers of these three are those of all architectures
_LANDLOCK_ADD = 445
_LANDLOCK_RESTRICT = 446
_LANDLOCK_VERSION = 1
_LANDLOCK_BENEATH = 1
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_FOLDER = 1 << 3
_ALL_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
"""What there is to be allowed or not: since version 2 links over folders, since 3 truncation."""
_TRUNCATE = 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_PROGRAMS = (
    *("/usr", "/bin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
)
_NEVER_BELOW = 0o077

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*(ctypes.c_ulong(one) for one in arguments)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def take_network() -> bool:
    """Leave for a network of our own that has nothing in it; False where that is forbidden."""
    for flags in (_CLONE_NEWNET, _CLONE_NEWNET | _CLONE_NEWUSER):
        with contextlib.suppress(OSError):
            _call("unshare", flags)
            return True
    return False


def can_take_files() -> int:
    """Tell the version of the kernel's Landlock; less than 1 where there is none."""
    _libc.syscall.restype = ctypes.c_long
    version: int = _libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    return version


def take_files(program: str, read: Iterable[str], write: Iterable[str]) -> bool:
    """Shut off all files but those; False where the kernel has no Landlock."""
    version = can_take_files()
    if version < 1:
        return False
    everything = _ALL_BY_VERSION[min(version, 3)]
    wanted = ctypes.create_string_buffer(struct.pack("=Q", everything))
    rules = _libc.syscall(_LANDLOCK_CREATE, wanted, ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    allowed = [(path, _EXECUTE | _READ_FILE | _READ_FOLDER) for path in _PROGRAMS]
    allowed += [(program, _EXECUTE | _READ_FILE)]
    allowed += [(path, _READ_FILE | _READ_FOLDER) for path in read]
    allowed += [("/dev/null", _READ_FILE | _WRITE_FILE)]
    allowed += [(path, everything & ~_EXECUTE) for path in write]
    for path, rights in allowed:
        _allow(rules, path, rights & everything)
    if _libc.syscall(_LANDLOCK_RESTRICT, rules, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(rules)
    return True


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place))
        if _libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    finally:
        os.close(place)


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--probe"]:
        print(json.dumps({"network": take_network(), "files": can_take_files() > 0}))
        return 0
    parent, told, program, *rest = arguments
    order = json.loads(told)
    os.umask(_NEVER_BELOW)
    for name, most in {"RLIMIT_CORE": 0, **order["limits"]}.items():
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))
    take_network()
    # After the namespaces: who changes their rights loses what they asked to be told.
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return 1
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    take_files(program, order["read"], order["write"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores both, and it is inherited
        signal.signal(number, signal.SIG_DFL)
    os.execve(program, [program, *rest], {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
