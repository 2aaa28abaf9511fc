"""Makes a Debian machine of the distribution's own packages, nothing in it changed for us.

`python -m tests.guest.debian FOLDER` leaves `disk.qcow2`, `vmlinuz` and `initrd.img` there; one
that is there already, and was made like this, stays. Needs root, debootstrap, mkfs.ext4, qemu-img.
The archive is the one that this machine's own apt is configured for.

Source: debootstrap(8); mke2fs(8), -d; cloud-init as packaged by Debian.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RELEASE = "bookworm"
PACKAGES = (
    *("systemd-sysv", "linux-image-cloud-amd64", "initramfs-tools"),
    *("cloud-init", "cloud-initramfs-growroot", "ifupdown", "isc-dhcp-client", "iproute2"),
    *("openssh-server", "sudo", "curl", "ca-certificates", "locales"),
)
DISK_MIB = 2048
_NO_SERVICES = "#!/bin/sh\nexit 101\n"


def make(folder: Path) -> None:
    """Make the machine, or leave the one that is there."""
    wanted = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    stamp = folder / "made"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch) / "tree"
        _debootstrap(tree)
        _install(tree)
        _take_kernel(tree, folder)
        _disk(tree, Path(scratch) / "disk.raw", folder / "disk.qcow2")
    stamp.write_text(wanted)


def _debootstrap(tree: Path) -> None:
    print(f"debian: a bare {RELEASE}", flush=True)
    _run("debootstrap", "--variant=minbase", "--arch=amd64", RELEASE, str(tree), _archive())


def _archive() -> str:
    """Where this machine's apt gets the release from."""
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for line in said.splitlines():
        site, _blank, release = line.partition(" ")
        if release == RELEASE:
            return site
    raise SystemExit(f"apt knows no archive of {RELEASE} here")


def _install(tree: Path) -> None:
    print("debian: packages", flush=True)
    refuse = tree / "usr/sbin/policy-rc.d"
    refuse.write_text(_NO_SERVICES)
    refuse.chmod(0o755)
    configured = Path("/etc/apt/apt.conf.d")
    for one in configured.glob("*proxy*"):
        shutil.copy(one, tree / "etc/apt/apt.conf.d" / one.name)
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    inside = ("chroot", str(tree), "apt-get", "-qq", "-y", "--no-install-recommends")
    _run(*inside, "update")
    _run(*inside, "install", *PACKAGES)
    _run("chroot", str(tree), "apt-get", "clean")
    # cloud-init sets Debian's usual locale, which every published image has.
    (tree / "etc/locale.gen").write_text("en_US.UTF-8 UTF-8\n")
    _run("chroot", str(tree), "locale-gen")
    refuse.unlink()
    for one in configured.glob("*proxy*"):
        (tree / "etc/apt/apt.conf.d" / one.name).unlink()
    # What a build leaves behind and an image must not have: the resolver of the machine that built
    # it costs cloud-init 40 s, keys and an id would be the same in every instance.
    for left in ("etc/resolv.conf", "etc/machine-id", "var/lib/dbus/machine-id"):
        (tree / left).unlink(missing_ok=True)
    (tree / "etc/machine-id").write_text("")
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for index in (tree / "var/lib/apt/lists").glob("*_*"):
        index.unlink()
    (tree / "etc/fstab").write_text("/dev/sda / ext4 errors=remount-ro 0 1\n")
    (tree / "etc/hostname").write_text("image\n")


def _take_kernel(tree: Path, folder: Path) -> None:
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (tree / "boot").glob(f"{name}-*")
        shutil.copy(found, folder / name)


def _disk(tree: Path, raw: Path, made: Path) -> None:
    print("debian: a disk", flush=True)
    with raw.open("wb") as file:
        file.truncate(DISK_MIB * 1024**2)
    _run("mkfs.ext4", "-q", "-F", "-L", "root", "-d", str(tree), str(raw))
    _run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made))


def _run(*words: str) -> None:
    plain = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }
    carried = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    done = subprocess.run(
        words, env={**plain, **carried}, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        raise SystemExit(
            f"{words[0]} failed ({done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )


if __name__ == "__main__":
    make(Path(sys.argv[1]))
