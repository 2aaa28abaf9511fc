"""A virtual machine in QEMU with the firmware, the disc and the address of an instance of ours.

The devices are QEMU's own, what the firmware says is Hyper-V's and what the gateway set.

Source: qemu-system-x86_64(1); ip-tuntap(8); dnsmasq(8).
"""

from __future__ import annotations

import ipaddress
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEMORY_MIB = 768


@dataclass(frozen=True)
class Firmware:
    """What SMBIOS says of the machine."""

    uuid: str
    serial: str
    asset_tag: str


@dataclass(frozen=True)
class Machine:
    """A machine that is on; `console` is what its first serial port has written."""

    process: subprocess.Popen[bytes]
    console_file: Path

    def console(self) -> str:
        return self.console_file.read_text(errors="replace") if self.console_file.exists() else ""

    def wait_for(self, words: str, seconds: float) -> str:
        """Wait until the console says that; answers all that it said."""
        end = time.monotonic() + seconds
        while words not in self.console():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{words!r} was not said in:\n{self.console()[-6000:]}")
            time.sleep(0.25)
        return self.console()

    def wait_off(self, seconds: float) -> None:
        """Wait until the guest has switched itself off."""
        self.process.wait(seconds)


@contextmanager
def machine(
    image: Path,
    disk: Path,
    folder: Path,
    *,
    firmware: Firmware,
    mac: str,
    tap: str,
    disc: Path | None,
) -> Iterator[Machine]:
    """Switch a machine on, and off at the end whatever it does."""
    console = folder / f"console-{time.monotonic_ns()}.log"
    words = [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"),
        *("-m", str(MEMORY_MIB), "-smp", "2", "-no-reboot"),
        *("-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd.img")),
        *("-append", "root=/dev/sda ro console=ttyS0,115200 panic=5"),
        *("-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"),
        *("-device", "virtio-scsi-pci,id=scsi"),
        *("-drive", f"if=none,id=root,file={disk},format=qcow2,cache=unsafe"),
        *("-device", "scsi-hd,drive=root,bus=scsi.0"),
        *("-netdev", f"tap,id=net,ifname={tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net,mac={mac}"),
        *("-device", "virtio-rng-pci"),
        *("-smbios", "type=0,vendor=American Megatrends Inc.,version=090007"),
        "-smbios",
        "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine,"
        f"uuid={firmware.uuid},serial={firmware.serial}",
        *("-smbios", f"type=3,manufacturer=Microsoft Corporation,asset={firmware.asset_tag}"),
    ]
    if disc is not None:
        words += [
            *("-drive", f"if=none,id=seed,file={disc},format=raw,media=cdrom,readonly=on"),
            *("-device", "scsi-cd,drive=seed,bus=scsi.0"),
        ]
    with (folder / "qemu.log").open("ab") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield Machine(process, console)
    finally:
        process.kill()
        process.wait(10)


def overlay(image: Path, disk: Path, size_gib: int) -> None:
    """Make a disk of an instance's size over the image."""
    base = image / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(disk))
    run("qemu-img", "resize", "-q", str(disk), f"{size_gib}G")


def tap(name: str, addresses: Sequence[str]) -> None:
    """Make a port that the guest's card is on, with these addresses at our end."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "tuntap", "add", "dev", name, "mode", "tap")
    for address in addresses:
        run("ip", "address", "add", address, "dev", name)
    run("ip", "link", "set", name, "up")


@contextmanager
def dhcp(tap: str, folder: Path, router: str, mac: str, address: str) -> Iterator[None]:
    """Serve the guest its address by DHCP for as long as the block lasts."""
    network = ipaddress.IPv4Interface(router)
    words = [
        *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={tap}"),
        *("--bind-interfaces", f"--dhcp-leasefile={folder / 'leases'}", "--user=root"),
        f"--dhcp-range={network.network.network_address},static,{network.netmask}",
        *(f"--dhcp-host={mac},{address}", f"--dhcp-option=option:router,{network.ip}"),
    ]
    with (folder / "dhcp.log").open("ab") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def run(*words: str, seconds: float = 60) -> str:
    """Run a program; answers what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout
