"""Real readers of what we make: what cloud-init chooses, and takes with cloudbase-init from discs.

Nothing boots here: firmware is a folder, a disc is a file.

Source: cloud-init's documentation, "ds-identify"; blkid(8); cloudbase-init's documentation.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import pycdlib
import pytest

from tests import told
from tests.guest import outside
from translators.guests import disc, identity, passwords
from translators.settings import Guest, Settings

ID: Final = "i-0123456789abcdef0"
OURS: Final = identity.uuid(ID)
HYPERV_UUID: Final = "8d4c3a2b-57f0-4e19-9a5c-0b1d2e3f4a5b"
HYPERV_SERIAL: Final = "2871-9035-4416-8263-7750-1184-92"
AZURE_TAG: Final = "7783-7084-3265-9085-8269-3286-77"

Content = Callable[[], bytes]
PLAIN: Final = {"product_uuid": HYPERV_UUID, "product_serial": HYPERV_SERIAL}
EC2: Final = {"product_uuid": OURS, "product_serial": OURS}
EC2_UUID_ALONE: Final = {"product_uuid": OURS, "product_serial": HYPERV_SERIAL}
READERS: Final = Path(__file__).with_name("readers.py")

BLKID: Final = shutil.which("blkid", path="/usr/sbin:/sbin:/usr/bin:/bin")
needs_blkid = pytest.mark.skipif(BLKID is None, reason="no blkid here")


def nocloud(**changes: Any) -> bytes:
    found = disc.make(told.facts(**changes), Settings())
    assert found is not None
    return found.content


def config_drive(**changes: Any) -> bytes:
    return nocloud(guest=Guest(seed="configdrive"), **changes)


def blkid(content: bytes, folder: Path) -> str:
    """What the system's own blkid says of a disc."""
    assert BLKID is not None
    image = folder / "seed.iso"
    image.write_bytes(content)
    done = subprocess.run(
        [BLKID, "-p", "-o", "export", str(image)],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout.replace(str(image), "/dev/sr0")


def chosen(root: Path, firmware: Mapping[str, str], content: Content | None) -> list[str] | None:
    """Ask the real ds-identify which datasources a guest tries; None: it does nothing at all."""
    identify = outside.cloud_init() / "usr/lib/cloud-init/ds-identify"
    dmi = {
        "sys_vendor": "Microsoft Corporation",
        "product_name": "Virtual Machine",
        "board_name": "Virtual Machine",
        "chassis_asset_tag": identity.ASSET_TAG,
        **firmware,
    }
    root.mkdir(exist_ok=True)
    files = {f"sys/class/dmi/id/{name}": f"{text}\n" for name, text in dmi.items()}
    files |= {"proc/cmdline": "ro quiet\n", "proc/1/cmdline": "/sbin/init\n", "proc/uptime": "9\n"}
    files["proc/1/environ"] = ""
    discs = blkid(content(), root) if content is not None else ""
    files["blkid.txt"] = f"{discs}\nDEVNAME=/dev/sda1\nLABEL=root\nTYPE=ext4\n"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "run/systemd").mkdir(parents=True)
    programs = root / "programs"
    programs.mkdir()
    for name, script in {
        "blkid": f"cat '{root}/blkid.txt'",
        "systemd-detect-virt": "echo microsoft",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(identify), "--force"],
        env={"PATH": f"{programs}:{os.defpath}", "PATH_ROOT": str(root)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    log = (root / "run/cloud-init/ds-identify.log").read_text()
    assert "VIRT=microsoft" in log, log
    if done.returncode == 1:
        return None
    assert done.returncode == 0, done.stderr + log
    (line,) = (root / "run/cloud-init/cloud.cfg").read_text().splitlines()
    names = line.removeprefix("datasource_list: [ ").removesuffix(" ]").split(", ")
    return [name for name in names if name != "None"]  # the last resort, after all others


def version() -> tuple[int, ...]:
    """The version of the cloud-init that is asked here."""
    said = outside.cloud_init() / "usr/lib/python3/dist-packages/cloudinit/version.py"
    found = re.search(r'__VERSION__ = "([0-9]+)\.([0-9]+)', said.read_text())
    assert found is not None
    return int(found[1]), int(found[2])


# -- which datasource is chosen


@needs_blkid
@pytest.mark.parametrize(
    ("firmware", "content", "datasources"),
    [
        pytest.param(PLAIN, None, None, id="a plain VM does nothing"),
        pytest.param(EC2, None, ["Ec2"], id="our firmware alone is EC2"),
        pytest.param(
            {name: text.upper() for name, text in EC2.items()}, None, ["Ec2"], id="in capitals too"
        ),
        pytest.param(PLAIN, nocloud, ["NoCloud"], id="our disc alone is NoCloud"),
        pytest.param(EC2, nocloud, ["NoCloud", "Ec2"], id="the disc comes first"),
        pytest.param(PLAIN, config_drive, ["ConfigDrive"], id="a config drive is one"),
        pytest.param(EC2, config_drive, ["ConfigDrive", "Ec2"], id="a config drive comes first"),
    ],
)
def test_a_guest_looks_where_what_we_give_it_lies(
    tmp_path: Path,
    firmware: Mapping[str, str],
    content: Content | None,
    datasources: list[str] | None,
) -> None:
    assert chosen(tmp_path, firmware, content) == datasources


@needs_blkid
def test_a_host_that_refuses_our_serial_leaves_newer_guests_alone_on_ec2(tmp_path: Path) -> None:
    knows_by_uuid = version() >= (24, 2)
    assert chosen(tmp_path, EC2_UUID_ALONE, None) == (["Ec2"] if knows_by_uuid else None)


@needs_blkid
def test_azures_tag_would_make_a_guest_ask_azure_first_and_ours_takes_its_place(
    tmp_path: Path,
) -> None:
    tagged = chosen(tmp_path / "tagged", {**EC2, "chassis_asset_tag": AZURE_TAG}, nocloud)
    assert tagged == ["NoCloud", "Azure", "Ec2"]
    assert chosen(tmp_path / "ours", EC2, nocloud) == ["NoCloud", "Ec2"]


# -- what is read from a disc


@needs_blkid
@pytest.mark.parametrize(("content", "label"), [(nocloud, "cidata"), (config_drive, "config-2")])
def test_a_system_knows_the_disc_by_its_label(tmp_path: Path, content: Content, label: str) -> None:
    said = dict(line.split("=", 1) for line in blkid(content(), tmp_path).splitlines())
    assert said["LABEL"] == label
    assert said["TYPE"] == "iso9660"


def laid_out(content: bytes, names: Literal["rr_path", "joliet_path"], folder: Path) -> None:
    """Put a disc's files into a folder, as one system or the other sees them."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(content))
    for below, _folders, files in iso.walk(**{names: "/"}):
        (folder / below.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for name in files:
            path = f"{below.rstrip('/')}/{name}"
            iso.get_file_from_iso(str(folder / path.lstrip("/")), **{names: path})
    iso.close()


TWO: Final = (told.interface(0, network="one"), told.interface(1, prefix_length=24))
REACHED: Final = Settings(metadata_served=True, metadata_routes={"one": "10.20.0.5"})
MACS: Final = [one.mac for one in TWO]
SCRIPT: Final = b"#!/bin/sh\n\xff\n"


@pytest.mark.parametrize("kind", ["nocloud", "configdrive"])
def test_cloud_init_takes_all_from_the_disc_that_it_would_take_from_ec2(
    tmp_path: Path, kind: Literal["nocloud", "configdrive"]
) -> None:
    facts = told.facts(user_data=SCRIPT, interfaces=TWO, guest=Guest(seed=kind))
    made = disc.make(facts, REACHED)
    assert made is not None
    seed = {"nocloud": "nocloud", "configdrive": "config_drive"}[kind]
    laid_out(made.content, "rr_path", tmp_path / "seed" / seed)
    said = outside.python(str(READERS), kind, str(tmp_path), *MACS)
    network = said.pop("network")
    assert said == {
        "taken": True,
        "instance_id": ID,
        "hostname": facts.hostname,
        "keys": [f"{told.RSA_KEY} mine"],
        "user_data": SCRIPT.hex(),
        "vendor_data": '#cloud-config\n{"manage_etc_hosts": "localhost"}\n',
        "zone": "eu-central-1a",
    }
    for system, files in network.items():
        text = "\n".join(files.values())
        for line in CONFIGURED[system]:
            assert line in text, f"{system} has no {line!r} in:\n{text}"
        assert "dhcp4: true" not in text
        assert "inet dhcp" not in text
        assert "DHCP=yes" not in text


CONFIGURED: Final = {
    "eni": (
        "address 10.20.0.100/20",
        "10.20.0.1",
        "address 10.20.1.100/24",
        "10.1.2.53",
        "10.20.0.5",
    ),
    "netplan": (
        "- 10.20.0.100/20",
        "macaddress: 02:00:00:00:00:01",
        "10.20.0.1\n",
        "to: 169.254.169.254/32",
        "via: 10.20.0.5",
        "- 10.1.2.53",
        "- eu-central-1.compute.internal",
        "- 10.20.1.100/24",
    ),
    "networkd": (
        "Address=10.20.0.100/20",
        "Gateway=10.20.0.1",
        "DNS=10.1.1.53 10.1.2.53",
        "Destination=169.254.169.254/32",
        "Gateway=10.20.0.5",
    ),
    "network_manager": (
        "address1=10.20.0.100/20",
        "mac-address=02:00:00:00:00:02",
        "dns=10.1.1.53;10.1.2.53;",
        "=169.254.169.254/32,10.20.0.5",
    ),
    "sysconfig": (
        "IPADDR=10.20.0.100",
        "NETMASK=255.255.240.0",
        "GATEWAY=10.20.0.1",
        "HWADDR=02:00:00:00:00:02",
        "DNS2=10.1.2.53",
        "ADDRESS0=169.254.169.254",
        "GATEWAY0=10.20.0.5",
    ),
}
"""What each system's configuration has to say, in its own words."""


def test_cloudbase_init_takes_name_key_addresses_and_password_from_its_drive(
    tmp_path: Path,
) -> None:
    settings = Settings(password_key=bytes(32))
    facts = told.facts(platform="windows", user_data=b"<powershell>", interfaces=TWO)
    made = disc.make(facts, settings)
    assert made is not None
    laid_out(made.content, "joliet_path", tmp_path)
    assert outside.python(str(READERS), "windows", str(tmp_path)) == {
        "instance_id": ID,
        "hostname": facts.hostname,
        "keys": [f"{told.RSA_KEY} mine"],
        "password": passwords.given(ID, bytes(32)),
        "user_data": b"<powershell>".hex(),
        "links": [["Ethernet0", "physical", MACS[0]], ["Ethernet1", "physical", MACS[1]]],
        "networks": [
            [
                "Ethernet0",
                "10.20.0.100/20",
                ["10.1.1.53", "10.1.2.53"],
                [["0.0.0.0/0", "10.20.0.1"]],
            ],
            ["Ethernet1", "10.20.1.100/24", [], []],
        ],
    }


def test_cloudbase_init_finds_no_user_data_where_there_is_none(tmp_path: Path) -> None:
    made = disc.make(told.facts(platform="windows", public_key=None), Settings())
    assert made is not None
    laid_out(made.content, "joliet_path", tmp_path)
    said = outside.python(str(READERS), "windows", str(tmp_path))
    assert (said["user_data"], said["keys"], said["password"]) == (None, [], None)
