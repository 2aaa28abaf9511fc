"""What the operator configured: a TOML file, EC2GW_* variables, the command line; frozen.

A key that nobody knows is refused with the nearest that is known, a value of the wrong kind with
what was expected; nothing is guessed. Secrets are in no file of these: they are asked for by the
commands that need them. No database is touched here.

Source: conf/ec2gw.example.toml (a test keeps both in step); TOML 1.0.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import re
import sysconfig
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from ec2gw import typed
from ec2gw.auth.origins import is_loopback
from ec2gw.typed import Invalid
from translators.guests import policy
from translators.settings import Guest, InstanceType, Settings

__all__ = [
    "Config",
    "Depot",
    "Intake",
    "Invalid",
    "Metadata",
    "Network",
    "Tls",
    "keys",
    "load",
    "resolved",
    "save",
    "shipped",
]

PREFIX: Final = "EC2GW_"
_NOT_KEYS: Final = (
    "EC2GW_CONFIG",
    "EC2GW_HOST_SECRET",
    "EC2GW_LAB_",
    "EC2GW_PARENT",
    "EC2GW_STOP_",
    "EC2GW_TEST_",
)
"""Beginnings of variables that are no keys: the file's path, our own, those of tests."""
DEFAULT_LISTEN: Final = "127.0.0.1:8773"
"""The port at which private EC2 endpoints have been since Eucalyptus."""
DEFAULT_REGION: Final = "us-east-1"
"""Where requests go that name no region, and where tools are pointed if it exists."""
RESOLVED: Final = "config.json"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TYPE: Final = re.compile(r"[a-z][a-z0-9-]{0,19}\.[a-z0-9-]{1,20}")
_ZONE: Final = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+[a-z]")
_DEPOT_URL: Final = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_NO_KEYS: Final = {
    "": ("tls", "settings", "network", "depot", "metadata", "intake"),
    "settings": (
        *("instance_types", "laboratory", "token_key", "password_key", "depot"),
        *("guest", "metadata_served", "metadata_routes", "import_prefixes"),
    ),
}
"""Members that are tables of their own, or that the service finds out by itself."""
_BESIDE: Final = (("tls", "certificate"), ("tls", "key"), ("metadata", "forwarder_key"))
"""Keys whose paths are relative to the file that they stand in."""
_PREFIX: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+/[^?#\s]*")


@dataclass(frozen=True, slots=True)
class Tls:
    """Of the API's listener; both PEM, the key unencrypted PKCS#8."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Network:
    """A layer 2 on the hosts' side, and the addresses of it that are ours to give."""

    name: str
    zone: str
    switch: str
    cidr: str
    vlan: int | None = None
    router: str | None = None
    dns: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    metadata_via: str | None = None
    """Through which address of it guests reach 169.254.169.254; None: through the router."""

    @property
    def region(self) -> str:
        return self.zone[:-1]

    @property
    def zone_letter(self) -> str:
        return self.zone[-1]


@dataclass(frozen=True, slots=True)
class Depot:
    """The HTTPS listener through which disks go from host to host."""

    listen: str
    url: str | None = None
    """How hosts reach it; None: https:// and what it listens on."""
    spare_gib: int = 10


@dataclass(frozen=True, slots=True)
class Metadata:
    """The listener that guests find at 169.254.169.254."""

    listen: str
    networks: tuple[str, ...] = ()
    """Names of those that reach it; none: all."""
    forwarder_key: Path | None = None
    """Signs for whom a forwarder asks; None: a source address is the only identity."""
    routers: int = 0
    """Between it and its guests; added to how far the reply with a token may go."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Disks that come from outside."""

    prefixes: tuple[str, ...] = ()
    largest_gib: int = 2048
    """Of a disk as its guest sees it."""
    spare_gib: int = 10


@dataclass(frozen=True, slots=True)
class Config:
    listen: str = DEFAULT_LISTEN
    data: Path = field(default_factory=lambda: default_data(os.environ))
    auth: Literal["signed", "open"] = "signed"
    sigv2: bool = False
    """Whether Signature Version 2 will do, too; in the laboratory it always does."""
    behind_tls_proxy: bool = False
    open_account_limit: int = 1000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tls: Tls | None = None
    depot: Depot | None = None
    metadata: Metadata | None = None
    intake: Intake = field(default_factory=Intake)
    settings: Settings = field(default_factory=Settings)
    network: tuple[Network, ...] = ()

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def database(self) -> Path:
        return self.data / "state.sqlite3"

    @property
    def key_file(self) -> Path:
        return self.data / "key"

    @property
    def run(self) -> Path:
        return self.data / "run"


_TABLES: Final[Mapping[str, type[Any]]] = {
    "tls": Tls,
    "depot": Depot,
    "guest": Guest,
    "metadata": Metadata,
    "intake": Intake,
}
"""Tables of their own: name -> what it is read into."""


def load(
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    given: Mapping[str, Any] | None = None,
) -> Config:
    """Join defaults, file, environment and what the command line gave, the later over the earlier.

    :raises Invalid:
    """
    if file is None and environ.get("EC2GW_CONFIG"):
        file = Path(environ["EC2GW_CONFIG"])
    document: dict[str, Any] = {}
    if file is not None:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise Invalid(f"{file}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"{file}: {error}") from None
        for table, name in _BESIDE:  # beside the file, wherever the service was started
            inner = document.get(table)
            if isinstance(inner, dict) and isinstance(inner.get(name), str):
                inner[name] = str(file.parent / inner[name])
    for path, value in _from_environment(environ):
        _put(document, path, value)
    for name, value in (given or {}).items():
        _put(document, name.split("."), value)
    return from_document(document, str(file) if file else "configuration", environ)


def from_document(
    document: Mapping[str, Any], where: str, environ: Mapping[str, str] = os.environ
) -> Config:
    """Make the configuration of a parsed file.

    :raises Invalid: naming `where`
    """
    rest = dict(document)
    shown = {name: rest.pop(name) for name in ("settings", *_TABLES) if name in rest}
    made: dict[str, Any] = {
        name: typed.build(holder, shown[name], where, name)
        for name, holder in _TABLES.items()
        if name in shown
    }
    guest = made.pop("guest", Guest())
    lists = {}
    for name in ("network", "instance_type"):
        lists[name] = rest.pop(name, [])
        if not isinstance(lists[name], list):
            raise Invalid(f"{where}: {name} is written [[{name}]]")
    instance_types = shipped_instance_types()
    for entry in lists["instance_type"]:
        own = typed.build(InstanceType, entry, where, "instance_type")
        instance_types[own.name] = own
    rest.setdefault("data", str(default_data(environ)))
    networks = tuple(typed.build(Network, entry, where, "network") for entry in lists["network"])
    fixed = {
        "settings": typed.build(
            Settings,
            shown.get("settings", {}),
            where,
            "settings",
            hidden=_NO_KEYS["settings"],
            fixed={
                "instance_types": MappingProxyType(instance_types),
                "guest": guest,
                "metadata_served": "metadata" in made,
                "metadata_routes": _metadata_routes(made.get("metadata"), networks),
                "import_prefixes": made["intake"].prefixes if "intake" in made else (),
            },
        ),
        "network": networks,
        **made,
    }
    beside = ("settings", *_TABLES, "network", "instance_type")
    config = typed.build(Config, rest, where, hidden=_NO_KEYS[""], fixed=fixed, beside=beside)
    _check(config, where)
    return config


def _metadata_routes(metadata: Metadata | None, networks: Collection[Network]) -> Mapping[str, str]:
    if metadata is None:
        return {}
    return {
        one.name: one.metadata_via
        for one in networks
        if one.metadata_via and (not metadata.networks or one.name in metadata.networks)
    }


def save(config: Config) -> Path:
    """Write what was resolved for the processes of this start; answers the file.

    So that one which is started again gets what the others have, whatever became of the file.
    """
    document: dict[str, Any] = typed.plain(config, _NO_KEYS[""])
    document["settings"] = typed.plain(config.settings, _NO_KEYS["settings"])
    document["network"] = [typed.plain(one) for one in config.network]
    document["instance_type"] = [
        typed.plain(one) for one in config.settings.instance_types.values()
    ]
    document["guest"] = typed.plain(config.settings.guest)
    for name in ("tls", "depot", "metadata", "intake"):
        if (table := getattr(config, name)) is not None:
            document[name] = typed.plain(table)
    path = config.run / RESOLVED
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document), encoding="utf-8")
    fresh.replace(path)
    return path


def make_folders(config: Config) -> None:
    """Make the data folder, for its owner alone; one that is there stays as it is."""
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.run.mkdir(mode=0o700, exist_ok=True)


def resolved(data: Path) -> Config:
    """Answer what `save` wrote for the service that runs on this data folder.

    :raises Invalid: where none runs
    """
    path = data / "run" / RESOLVED
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{path}: {error}; `ec2gw serve` writes it") from None
    return from_document(document, str(path))


def default_data(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME", "~"), ".local/share")
    return Path(home).expanduser() / "ec2gw"


def shipped(name: str) -> Path:
    """Find a file of `conf/`: beside the packages in a checkout, else where a wheel put it."""
    beside = Path(__file__).parent.parent / "conf" / name
    return beside if beside.exists() else Path(sysconfig.get_path("data"), "share", "ec2gw", name)


def shipped_instance_types() -> dict[str, InstanceType]:
    path = shipped("instance-types.toml")
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: typed.build(InstanceType, {"name": name, **entry}, str(path), name)
        for name, entry in document.items()
    }


def keys() -> dict[str, Any]:
    """Answer every key of the file with its type, tables as prefixes."""
    tables: dict[str, type[Any]] = {
        "": Config,
        **_TABLES,
        "settings": Settings,
        "network": Network,
        "instance_type": InstanceType,
    }
    return {
        f"{table}.{name}" if table else name: kind
        for table, holder in tables.items()
        for name, kind in typed.kinds(holder, _NO_KEYS.get(table, ())).items()
    }


def _from_environment(environ: Mapping[str, str]) -> list[tuple[list[str], Any]]:
    variables = {
        PREFIX + name.replace(".", "_").upper(): (name, kind)
        for name, kind in keys().items()
        if not name.startswith(("network.", "instance_type."))
    }
    found = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(_NOT_KEYS):
            continue
        if name not in variables:
            raise typed.unknown("environment", name, [*variables, "EC2GW_CONFIG"])
        key, kind = variables[name]
        value: Any = environ[name]
        if kind in (bool, int, float):
            try:
                value = tomllib.loads(f"value = {value}")["value"]
            except tomllib.TOMLDecodeError:
                raise Invalid(f"environment: {name} has to be {typed.say(kind)}") from None
        found.append((key.split("."), value))
    return found


def _put(document: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        document = document.setdefault(name, {})
    document[path[-1]] = value


# -- what belongs together


def _check(config: Config, where: str) -> None:
    _check_address(config.listen, f"{where}: listen", DEFAULT_LISTEN)
    _check_guests(config, where)
    if config.depot is not None:
        _check_address(config.depot.listen, f"{where}: depot.listen", "10.1.2.3:8774")
        if config.depot.url is not None and not _DEPOT_URL.fullmatch(config.depot.url):
            raise Invalid(f"{where}: depot.url has to be https://HOST:PORT, without a path")
    loopback = is_loopback(config.host)
    if not loopback and config.tls is None and not config.behind_tls_proxy:
        raise Invalid(
            f"{where}: {config.listen} is no loopback address: give --tls-cert and --tls-key, or "
            "--behind-tls-proxy if a proxy in front of it speaks TLS"
        )
    if config.auth == "open" and (not loopback or config.behind_tls_proxy):
        raise Invalid(f"{where}: auth open is for a loopback address without a proxy alone")
    names = [network.name for network in config.network]
    for network in config.network:
        if names.count(network.name) > 1:
            raise Invalid(f"{where}: there are two networks called {network.name}")
        _check_network(network, where)
    for one, other in itertools.combinations(config.network, 2):
        overlap = ipaddress.ip_network(one.cidr).overlaps(ipaddress.ip_network(other.cidr))
        if one.region == other.region and overlap:
            raise Invalid(f"{where}: the networks {one.name} and {other.name} overlap")
    for own in config.settings.instance_types.values():
        if not _TYPE.fullmatch(own.name) or not own.processors or not own.memory_mib:
            raise Invalid(f"{where}: instance_type {own.name!r} is no family.size with processors")
    if config.settings.default_instance_type not in config.settings.instance_types:
        raise Invalid(f"{where}: settings.default_instance_type is no instance type")


def _check_guests(config: Config, where: str) -> None:
    if not policy.is_time_to_eject(config.settings.guest.eject_seed_after):
        raise Invalid(
            f"{where}: guest.eject_seed_after has to be seconds as a text, first-heartbeat or never"
        )
    for prefix in config.intake.prefixes:
        if not _PREFIX.fullmatch(prefix):
            raise Invalid(f"{where}: intake.prefixes: {prefix} is not https://HOST/ with a path")
    if config.metadata is None:
        return
    _check_address(config.metadata.listen, f"{where}: metadata.listen", "169.254.169.254:80")
    if not 0 <= config.metadata.routers <= 64:
        raise Invalid(f"{where}: metadata.routers has to be between 0 and 64")
    known = {network.name for network in config.network}
    for name in config.metadata.networks:
        if name not in known:
            raise Invalid(f"{where}: metadata.networks: there is no network called {name}")


def _check_address(text: str, here: str, such_as: str) -> None:
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\s\[\]]+):([0-9]{1,5})", text)
    if match is None or int(match[2]) > 65535:
        raise Invalid(f"{here} has to be HOST:PORT, such as {such_as}")


def _check_network(network: Network, where: str) -> None:
    here = f"{where}: network {network.name}"
    if not _NAME.fullmatch(network.name):
        raise Invalid(f"{here}: a name is letters, digits, dot, dash and underscore")
    if not _ZONE.fullmatch(network.zone):
        raise Invalid(f"{here}: zone has to be a region and a letter, such as eu-central-1a")
    if not network.switch:
        raise Invalid(f"{here}: switch names the virtual switch of the hosts")
    if network.vlan is not None and not 1 <= network.vlan <= 4094:
        raise Invalid(f"{here}: vlan has to be between 1 and 4094")
    try:
        inside = ipaddress.IPv4Network(network.cidr)
    except ValueError as error:
        raise Invalid(f"{here}: cidr: {error}") from None
    if not 16 <= inside.prefixlen <= 28:
        raise Invalid(f"{here}: cidr has to be between /16 and /28, as subnets are")
    _addresses((network.router,) if network.router else (), f"{here}: router", inside)
    _addresses(network.dns, f"{here}: dns", None)
    via = (network.metadata_via,) if network.metadata_via else ()
    _addresses(via, f"{here}: metadata_via", inside)
    for reserved in network.reserved:
        first, last = _addresses((reserved.split("-") * 2)[:2], f"{here}: reserved", inside)
        if reserved.count("-") > 1 or first > last:
            raise Invalid(f"{here}: reserved: {reserved} is no address and no range of them")


def _addresses(
    texts: Collection[str], here: str, inside: ipaddress.IPv4Network | None
) -> list[ipaddress.IPv4Address]:
    try:
        addresses = [ipaddress.IPv4Address(text.strip()) for text in texts]
    except ValueError as error:
        raise Invalid(f"{here}: {error}") from None
    for address in addresses:
        if inside is not None and address not in inside:
            raise Invalid(f"{here}: {address} is not in {inside}")
    return addresses
