"""The disc of the first boot, read back: its names on Linux and on Windows, and what it says."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import subprocess
import sys
from typing import Any, Literal

import pycdlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import told
from translators.guests import disc, nocloud, passwords
from translators.guests.facts import Interface
from translators.settings import Guest, Settings

Names = Literal["rr_path", "joliet_path", "iso_path"]
LINUX: Names = "rr_path"
WINDOWS: Names = "joliet_path"
NOCLOUD = {"meta-data", "user-data", "vendor-data", "network-config"}
LATEST = "openstack/latest"


def read(content: bytes, names: Names) -> dict[str, bytes]:
    """Answer the files of an image as a system finds them that goes by these names."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(content))
    found = {}
    for folder, _folders, files in iso.walk(**{names: "/"}):
        for name in files:
            path = f"{folder.rstrip('/')}/{name}"
            file = io.BytesIO()
            iso.get_file_from_iso_fp(file, **{names: path})
            found[path.lstrip("/")] = file.getvalue()
    iso.close()
    return found


def label(content: bytes) -> str:
    """The label that Linux reads, which has to be the one that Windows reads."""
    linux, windows = (content[at * 2048 + 40 : at * 2048 + 72] for at in (16, 17))
    assert linux.decode("ascii").rstrip() == windows.decode("utf-16-be").rstrip()
    return linux.decode("ascii").rstrip()


def windows(**changes: Any) -> Any:
    return told.facts(platform="windows", **changes)


def made(content: disc.Disc | None) -> bytes:
    assert content is not None
    return content.content


def nocloud_files(**changes: Any) -> dict[str, bytes]:
    return read(made(disc.make(told.facts(**changes), Settings())), LINUX)


def config_drive(**changes: Any) -> dict[str, Any]:
    found = read(made(disc.make(windows(**changes), Settings())), WINDOWS)
    return {
        path.removeprefix(f"{LATEST}/"): json.loads(content) if path.endswith("json") else content
        for path, content in found.items()
    }


# -- the image


@pytest.mark.parametrize("names", [LINUX, WINDOWS])
def test_linux_and_windows_find_the_same_files_by_their_real_names(names: Names) -> None:
    content = made(disc.make(told.facts(user_data=b"#!/bin/sh\n"), Settings()))
    assert label(content) == "cidata"
    found = read(content, names)
    assert set(found) == NOCLOUD
    assert found["user-data"] == b"#!/bin/sh\n"
    content = made(disc.make(windows(user_data=b"<powershell>"), Settings()))
    assert label(content) == "config-2"
    found = read(content, names)
    assert set(found) == {f"{LATEST}/{one}" for one in ("meta_data.json", "network_data.json")} | {
        f"{LATEST}/user_data"
    }
    assert found[f"{LATEST}/user_data"] == b"<powershell>"


def test_the_names_beneath_are_those_of_iso_9660_and_unlike_one_another() -> None:
    files = {f"some-folder/a-long-name-{number}.jsonl": b"%d" % number for number in range(12)}
    found = read(disc.image("label", files), "iso_path")
    assert sorted(found.values()) == sorted(files.values())
    for path in found:
        folder, _, name = path.removesuffix(";1").partition("/")
        stem, _, extension = name.partition(".")
        assert folder == "SOME_FOL"
        assert len(stem) <= 8
        assert extension == "JSO"
        assert set(stem) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def test_the_same_facts_give_the_same_bytes_at_another_time_and_place() -> None:
    program = (
        "import hashlib, time; time.time = lambda: 7.7e8\n"
        "from tests import told\n"
        "from translators.guests import disc\n"
        "from translators.settings import Settings\n"
        "made = disc.make(told.facts(platform='windows'), Settings(password_key=bytes(32)))\n"
        "print(made.content.hex())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    here = made(disc.make(windows(), Settings(password_key=bytes(32))))
    assert here.hex() == elsewhere.stdout.strip()


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=20).map(
            lambda name: f"folder/{name}.json"
        ),
        st.binary(max_size=5000),
        min_size=1,
        max_size=40,
    )
)
def test_any_files_come_back_by_either_names(files: dict[str, bytes]) -> None:
    content = disc.image("label", files)
    assert len(content) % 2048 == 0
    assert read(content, LINUX) == files
    assert read(content, WINDOWS) == files


def test_no_disc_is_made_where_none_is_wanted() -> None:
    assert disc.make(told.facts(guest=Guest(seed="none")), Settings()) is None
    linux = made(disc.make(told.facts(guest=Guest(seed="configdrive")), Settings()))
    assert label(linux) == "config-2"


def test_a_disc_does_not_show_its_content_where_it_is_printed() -> None:
    assert "secret" not in repr(disc.make(told.facts(user_data=b"secret"), Settings()))


# -- user data


@pytest.mark.parametrize(
    "data",
    [
        random.Random(1).randbytes(16384),
        "#cloud-config\nhostname: größe-\N{SNOWMAN}-\N{PILE OF POO}\n".encode(),
        b"\x1f\x8b\x08\x00compressed",
        b"\r\n\x00\xff",
    ],
)
def test_user_data_is_on_the_disc_byte_for_byte(data: bytes) -> None:
    assert nocloud_files(user_data=data)["user-data"] == data
    assert config_drive(user_data=data)["user_data"] == data


def test_without_user_data_the_files_are_what_their_readers_need() -> None:
    assert nocloud_files()["user-data"] == b""  # cloud-init takes no disc without the file
    assert "user_data" not in config_drive()


def test_user_data_that_was_encoded_twice_is_decoded_for_linux_as_its_ec2_datasource_does() -> None:
    script = b"#!/bin/sh\necho hello\n"
    twice = base64.b64encode(script)
    assert nocloud_files(user_data=twice)["user-data"] == script
    assert nocloud_files(user_data=twice + b"\n")["user-data"] == twice + b"\n"
    assert config_drive(user_data=twice)["user_data"] == twice


# -- what a NoCloud disc says


def test_cloud_init_is_told_its_id_its_name_and_its_key_in_a_list() -> None:
    said = json.loads(nocloud_files()["meta-data"])
    assert said["instance-id"] == "i-0123456789abcdef0"
    assert said["local-hostname"] == "ip-10-20-0-100.eu-central-1.compute.internal"
    assert said["public-keys"] == [f"{told.RSA_KEY} mine"]
    assert json.loads(nocloud_files(public_key=None)["meta-data"])["public-keys"] == []


def test_addresses_are_static_and_known_by_mac_and_the_first_interface_has_the_route() -> None:
    interfaces = (told.interface(0), told.interface(1, prefix_length=24, router="10.20.1.1"))
    said = json.loads(nocloud_files(interfaces=interfaces)["network-config"])
    assert said == {
        "version": 2,
        "ethernets": {
            "eth0": {
                "match": {"macaddress": "02:00:00:00:00:01"},
                "dhcp4": False,
                "dhcp6": False,
                "addresses": ["10.20.0.100/20"],
                "gateway4": "10.20.0.1",
                "nameservers": {
                    "addresses": ["10.1.1.53", "10.1.2.53"],
                    "search": ["eu-central-1.compute.internal"],
                },
            },
            "eth1": {
                "match": {"macaddress": "02:00:00:00:00:02"},
                "dhcp4": False,
                "dhcp6": False,
                "addresses": ["10.20.1.100/24"],
            },
        },
    }


def test_the_way_to_the_metadata_is_told_where_the_router_does_not_know_it() -> None:
    known = Settings(metadata_served=True, metadata_routes={"one": "10.20.0.5"})
    near, far = (told.interface(0, network=name) for name in ("one", "other"))

    def ways(imds: bool, interface: Interface) -> Any:
        said = []
        for form in (Guest(imds=imds), Guest(imds=imds, seed="configdrive")):
            facts = told.facts(guest=form, interfaces=(interface,))
            said.append(read(made(disc.make(facts, known)), LINUX))
        linux, drive = said
        [network] = json.loads(drive[f"{LATEST}/network_data.json"])["networks"]
        [nic] = json.loads(linux["network-config"])["ethernets"].values()
        return nic.get("routes", []), network["routes"][1:]

    assert ways(True, near) == (
        [{"to": "169.254.169.254/32", "via": "10.20.0.5"}],
        [{"network": "169.254.169.254", "netmask": "255.255.255.255", "gateway": "10.20.0.5"}],
    )
    assert ways(True, far) == ([], [])
    assert ways(False, near) == ([], [])


def test_name_servers_are_told_only_where_there_are_some() -> None:
    alone = (told.interface(0, dns=()),)
    said = json.loads(nocloud_files(interfaces=alone)["network-config"])
    assert "nameservers" not in said["ethernets"]["eth0"]
    drive = config_drive(interfaces=alone)["network_data.json"]
    assert drive["networks"][0]["services"] == []
    assert "dns_nameservers" not in drive["networks"][0]


def test_the_name_of_a_key_cannot_become_anything_but_its_comment() -> None:
    name = 'o\'neil "x": #!{{ a }} %s \\'
    said = json.loads(nocloud_files(key_name=name)["meta-data"])
    assert said["public-keys"] == [f"{told.RSA_KEY} {name}"]
    assert config_drive(key_name=name)["meta_data.json"]["public_keys"] == {
        name: f"{told.RSA_KEY} {name}"
    }


def test_what_readers_take_for_yaml_is_plain_text_of_lines() -> None:
    files = nocloud.files(told.facts(), Settings())
    for content in (files[name] for name in ("meta-data", "network-config")):
        assert content.isascii()
        assert b"\t" not in content
        assert content.endswith(b"\n")


# -- what a config drive says


def test_cloudbase_init_is_told_its_id_its_name_its_key_and_its_addresses() -> None:
    said = config_drive(interfaces=(told.interface(0), told.interface(1)))
    meta, network = said["meta_data.json"], said["network_data.json"]
    assert meta["uuid"] == "i-0123456789abcdef0"
    assert meta["hostname"] == "ip-10-20-0-100.eu-central-1.compute.internal"
    assert meta["public_keys"] == {"mine": f"{told.RSA_KEY} mine"}
    assert [one["ethernet_mac_address"] for one in network["links"]] == [
        "02:00:00:00:00:01",
        "02:00:00:00:00:02",
    ]
    first, second = network["networks"]
    assert (first["link"], first["ip_address"], first["netmask"]) == (
        network["links"][0]["id"],
        "10.20.0.100",
        "255.255.240.0",
    )
    assert first["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.20.0.1"}]
    assert [one["address"] for one in first["services"]] == ["10.1.1.53", "10.1.2.53"]
    assert (second["ip_address"], second["routes"]) == ("10.20.1.100", [])


def test_linux_is_told_of_its_own_name_in_either_form() -> None:
    assert b'{"manage_etc_hosts": "localhost"}' in nocloud_files()["vendor-data"]
    linux = made(disc.make(told.facts(guest=Guest(seed="configdrive")), Settings()))
    said = json.loads(read(linux, LINUX)[f"{LATEST}/vendor_data.json"])
    assert said["cloud-init"].encode() == nocloud_files()["vendor-data"]


# -- passwords


def test_a_windows_guest_without_metadata_is_given_its_password_and_the_disc_says_so() -> None:
    known = Settings(password_key=b"k" * 32)
    content = disc.make(windows(), known)
    assert content is not None
    assert content.has_password
    meta = json.loads(read(content.content, WINDOWS)[f"{LATEST}/meta_data.json"])
    assert meta["meta"] == {"admin_pass": passwords.given("i-0123456789abcdef0", b"k" * 32)}


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"platform": None, "guest": Guest(seed="configdrive")}, Settings()),
        ({"platform": None}, Settings()),
        ({"platform": "windows"}, Settings(metadata_served=True)),
        ({"platform": "windows", "public_key": None}, Settings()),
        ({"platform": "windows", "public_key": "ssh-ed25519 AAAA"}, Settings()),
    ],
)
def test_no_other_disc_holds_a_password(changes: dict[str, Any], settings: Settings) -> None:
    content = disc.make(told.facts(**changes), settings)
    assert content is not None
    assert not content.has_password
    assert b"admin_pass" not in content.content
