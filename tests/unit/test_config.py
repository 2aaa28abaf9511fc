"""The configuration: what is read from where, and that nothing unknown or unsafe passes."""

from __future__ import annotations

import dataclasses
import re
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ec2gw import config, typed
from ec2gw.config import Invalid

EXAMPLE = config.shipped("ec2gw.example.toml")
NO_DEFAULT = {
    *("tls", "depot", "metadata", "network", "settings"),
    *("instance_types", "token_key", "password_key", "public_endpoint"),
    *("intake", "import_prefixes", "metadata_served", "metadata_routes"),
}
NETWORK = {"name": "a", "zone": "eu-central-1a", "switch": "vm", "cidr": "10.0.0.0/20"}


def _write(folder: Path, text: str) -> Path:
    path = folder / "ec2gw.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        inner = value[0] if isinstance(value, list) and isinstance(value[0], dict) else value
        found |= (
            _flat(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: value}
        )
    return found


def test_the_example_has_every_key_and_no_other() -> None:
    assert sorted(_flat(tomllib.loads(EXAMPLE.read_text()))) == sorted(config.keys())


def test_the_example_explains_every_key() -> None:
    commented, blank = False, True
    for line in EXAMPLE.read_text().splitlines():
        if re.match(r"[a-z_]+ = ", line):
            assert commented, f"nothing is said about: {line}"
            continue  # keys that follow at once share the comment
        commented = line.startswith("#") or (commented and not blank and bool(line))
        blank = not line


def test_the_example_can_be_used_and_shows_the_defaults(tmp_path: Path) -> None:
    used = config.load(EXAMPLE, environ={"HOME": "/home/you"})
    plain = config.load(None, environ={"HOME": "/home/you"})
    for holder, default in ((used, plain), (used.settings, plain.settings)):
        for field in dataclasses.fields(default):
            if field.name in NO_DEFAULT:
                continue
            if field.name == "data":
                assert plain.data == Path("/home/you/.local/share/ec2gw")
                continue
            assert getattr(holder, field.name) == getattr(default, field.name), field.name


def test_the_later_wins_default_file_environment_command_line(tmp_path: Path) -> None:
    file = _write(tmp_path, 'listen = "127.0.0.1:1"\n[settings]\ninstance_limit = 1\n')
    environ = {"EC2GW_SETTINGS_INSTANCE_LIMIT": "2"}
    assert config.load(file, {}).settings.instance_limit == 1
    loaded = config.load(file, environ)
    assert (loaded.port, loaded.settings.instance_limit) == (1, 2)
    loaded = config.load(file, environ, {"listen": "[::1]:3", "settings.instance_limit": 4})
    assert (loaded.host, loaded.port, loaded.settings.instance_limit) == ("::1", 3, 4)
    assert loaded.settings.stop_deadline_seconds == 240


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = _write(tmp_path, "open_account_limit = 7\n")
    assert config.load(None, {"EC2GW_CONFIG": str(file)}).open_account_limit == 7


def test_tls_files_are_looked_for_beside_the_file(tmp_path: Path) -> None:
    file = _write(tmp_path, '[tls]\ncertificate = "c.pem"\nkey = "/etc/k.pem"\n')
    assert config.load(file, {}).tls == config.Tls(tmp_path / "c.pem", Path("/etc/k.pem"))


def test_the_way_to_the_metadata_is_a_networks_and_only_where_it_is_served(tmp_path: Path) -> None:
    networks = "".join(
        f'[[network]]\nname = "{name}"\nzone = "eu-central-1{name}"\nswitch = "vm"\n'
        f'cidr = "10.{number}.0.0/20"\nmetadata_via = "10.{number}.0.5"\n'
        for number, name in enumerate("ab")
    )
    served = '[metadata]\nlisten = "127.0.0.1:80"\n'
    for text, routes in (
        (networks, {}),
        (served + networks, {"a": "10.0.0.5", "b": "10.1.0.5"}),
        (served + 'networks = ["b"]\n' + networks, {"b": "10.1.0.5"}),
    ):
        assert config.load(_write(tmp_path, text), {}).settings.metadata_routes == routes


UNKNOWN = {
    'listn = "x"': "unknown key listn; did you mean listen?",
    "[settings]\nstop_deadline_second = 1": "did you mean settings.stop_deadline_seconds?",
    "[setings]\na = 1": "did you mean settings?",
    "[settings]\nlaboratory = true": "unknown key settings.laboratory",
    "zzz = 1": "unknown key zzz",
}


@pytest.mark.parametrize(("text", "told"), UNKNOWN.items())
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, text: str, told: str) -> None:
    file = _write(tmp_path, text)
    with pytest.raises(Invalid, match=re.escape(told)) as caught:
        config.load(file, {})
    assert str(caught.value).startswith(str(file))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"listen": 1}, "listen has to be a text"),
    ({"listen": "localhost"}, "HOST:PORT"),
    ({"listen": "127.0.0.1:99999"}, "HOST:PORT"),
    ({"auth": "none"}, "one of: signed, open"),
    ({"behind_tls_proxy": "yes"}, "true or false"),
    ({"behind_tls_proxy": 1}, "true or false"),
    ({"open_account_limit": True}, "a whole number"),
    ({"open_account_limit": -1}, "out of range"),
    ({"data": ""}, "a path"),
    ({"settings": {"processor_overcommit": float("nan")}}, "out of range"),
    ({"settings": {"default_instance_type": "none.such"}}, "no instance type"),
    ({"settings": 1}, "has to be a table"),
    ({"tls": {"certificate": "/c"}}, "tls.key is missing"),
    ({"network": {}}, "written [[network]]"),
    ({"listen": "0.0.0.0:1"}, "no loopback address"),
    ({"listen": "gateway.example:1"}, "no loopback address"),
    ({"listen": "0.0.0.0:1", "behind_tls_proxy": True, "auth": "open"}, "loopback"),
    ({"behind_tls_proxy": True, "auth": "open"}, "loopback"),
    ({"instance_type": [{"name": "own.large", "processors": 0, "memory_mib": 1}]}, "processors"),
    ({"instance_type": [{"name": "large", "processors": 1, "memory_mib": 1}]}, "family.size"),
    ({"instance_type": [{"name": "own.large", "processors": 1}]}, "memory_mib is missing"),
]


@pytest.mark.parametrize(("document", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_cannot_be_is_refused_by_name(document: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid, match=re.escape(told)):
        config.from_document(document, "here", {})


WRONG_NETWORKS: dict[str, dict[str, Any]] = {
    "a name is": {"name": "a b"},
    "a region and a letter": {"zone": "eu-central-1"},
    "names the virtual switch": {"switch": ""},
    "between 1 and 4094": {"vlan": 4095},
    "has host bits set": {"cidr": "10.0.0.1/20"},
    "between /16 and /28": {"cidr": "10.0.0.0/8"},
    "router: 10.1.0.1 is not in": {"router": "10.1.0.1"},
    "dns: ": {"dns": ["dns.example"]},
    "metadata_via: ": {"metadata_via": "10.1.0.5"},
    "dns has to be a list of texts": {"dns": "10.0.0.2"},
    "reserved: 10.1.0.1 is not in": {"reserved": ["10.1.0.1"]},
    "no range of them": {"reserved": ["10.0.0.9-10.0.0.1"]},
}


@pytest.mark.parametrize(("told", "change"), WRONG_NETWORKS.items(), ids=WRONG_NETWORKS)
def test_a_network_that_cannot_be_is_refused(told: str, change: dict[str, Any]) -> None:
    config.from_document({"network": [NETWORK]}, "here", {})
    with pytest.raises(Invalid, match=re.escape(told)):
        config.from_document({"network": [NETWORK | change]}, "here", {})


def test_networks_of_a_region_may_not_overlap_nor_share_a_name() -> None:
    other = NETWORK | {"name": "b", "cidr": "10.0.8.0/22", "zone": "eu-central-1b"}
    with pytest.raises(Invalid, match="a and b overlap"):
        config.from_document({"network": [NETWORK, other]}, "here", {})
    elsewhere = other | {"zone": "eu-west-1a"}
    config.from_document({"network": [NETWORK, elsewhere]}, "here", {})
    with pytest.raises(Invalid, match="two networks called a"):
        config.from_document({"network": [NETWORK, elsewhere | {"name": "a"}]}, "here", {})


def test_shipped_types_are_there_and_own_ones_come_beside_or_in_their_place() -> None:
    own = {"name": "own.large", "processors": 3, "memory_mib": 5}
    mine = {"name": "t3.micro", "processors": 1, "memory_mib": 512}
    types = config.from_document({"instance_type": [own, mine]}, "x", {}).settings.instance_types
    assert (types["m5.large"].processors, types["m5.large"].memory_mib) == (2, 8192)
    assert (types["r5.24xlarge"].processors, types["r5.24xlarge"].memory_mib) == (96, 768 * 1024)
    assert types["own.large"].processors == 3
    assert types["t3.micro"].memory_mib == 512
    assert all(one.network_interfaces <= 8 for one in types.values())


def test_an_installed_wheel_finds_what_is_shipped_in_its_share_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config, "__file__", str(tmp_path / "site-packages/ec2gw/config.py"))
    found = config.shipped("instance-types.toml")
    assert found == Path(sysconfig.get_path("data"), "share/ec2gw/instance-types.toml")
    project = tomllib.loads((EXAMPLE.parent.parent / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {"conf": "share/ec2gw"}


def test_what_was_resolved_comes_back_the_same_for_the_children(tmp_path: Path) -> None:
    document = {
        "data": str(tmp_path),
        "tls": {"certificate": "/c.pem", "key": "/k.pem"},
        "network": [NETWORK | {"vlan": 5, "dns": ["10.0.0.2"]}],
        "settings": {"stop_deadline_seconds": 1.5},
        "instance_type": [{"name": "own.large", "processors": 3, "memory_mib": 5}],
    }
    resolved = config.from_document(document, "here", {})
    resolved.run.mkdir()
    config.save(resolved)
    back = config.resolved(tmp_path)
    same = typed.plain(back.settings, ("token_key", "password_key"))
    assert same == typed.plain(resolved.settings, ("token_key", "password_key"))
    assert dataclasses.replace(back, settings=resolved.settings) == resolved


def test_without_a_service_nothing_was_resolved(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="`ec2gw serve` writes it"):
        config.resolved(tmp_path)


def test_variables_that_are_no_keys_are_left_alone() -> None:
    config.load(None, {"EC2GW_STOP_POINTS": "/tmp/x", "EC2GW_LAB_FAULTS": "x", "PATH": "/bin"})
    with pytest.raises(Invalid, match="did you mean EC2GW_TLS_KEY"):
        config.load(None, {"EC2GW_TSL_KEY": "x"})
