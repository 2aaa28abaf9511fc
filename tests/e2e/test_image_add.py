"""`ec2gw image add` asks the hosts what they have, says so, and registers what they all have."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from ec2gw import cli, config, disks, inventory
from ec2gw.cli.image import judged
from ec2gw.cli.opening import Failed
from ec2gw.engine import links
from ec2gw.lab.console import Console
from ec2gw.lab.world import World, model
from state import models
from state.store import Store
from tests.gateway import Gateway

REGION = "eu-south-2"
HOSTS = ("lab-a", "lab-b", "lab-c")
Add = Callable[..., Result]


@pytest.fixture(scope="module")
def world(gateway: Gateway) -> Iterator[World]:
    opened = World(gateway.data / "lab" / "world.sqlite3")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def console(world: World) -> Console:
    return Console(world)


@pytest.fixture
def add(gateway: Gateway) -> Add:
    def invoke(file: str, name: str, *arguments: str) -> Result:
        command = ["image", "add", file, name, "--private", "--region", REGION, *arguments]
        environ = {"EC2GW_DATA": str(gateway.data), "COLUMNS": "200"}
        return CliRunner().invoke(cli.commands, command, env=environ)

    return invoke


def _failed(result: Result) -> str:
    assert isinstance(result.exception, Failed), result.output
    return str(result.exception)


def _change(world: World, host: str, path: str, **header: object) -> None:
    """Make the header of a disk say something else."""
    with world.changing(host) as session:
        file = session.file(path)
        assert file is not None
        assert file.vhd is not None
        vhd = dataclasses.replace(file.vhd, **header)  # type: ignore[arg-type]
        session.put_file(dataclasses.replace(file, vhd=vhd))


def _images(gateway: Gateway) -> dict[str, int]:
    resolved = config.resolved(gateway.data)
    store = Store(resolved.database)
    try:
        with store.read() as session:
            query = sa.select(models.Image.name, models.Image.size_gib)
            found = session.execute(query.where(models.Image.region == REGION))
            return {name: size for name, size in found}
    finally:
        store.close()


def test_the_size_is_the_hosts_to_tell(gateway: Gateway, add: Add) -> None:
    done = add("ec2gw-lab-linux.vhdx", "told by the hosts")
    assert done.exit_code == 0, done.output
    image_id = done.stdout.strip()
    assert image_id.startswith("ami-")  # nothing else, for scripts
    for host in HOSTS:
        (line,) = [line for line in done.stderr.splitlines() if host in line]
        assert "VHDX, dynamic; 8 GiB" in line
        assert "for generation 1 or 2" in line
    (told,) = gateway.client(region=REGION).describe_images(ImageIds=[image_id])["Images"]
    (mapping,) = told["BlockDeviceMappings"]
    assert mapping["Ebs"]["VolumeSize"] == 8
    assert _images(gateway)["told by the hosts"] == 8
    assert "8 GiB, not 9" in _failed(add("ec2gw-lab-linux.vhdx", "another", "--size-gib", "9"))
    assert add("ec2gw-lab-linux.vhdx", "the same", "--size-gib", "8").exit_code == 0


def test_a_file_that_a_host_lacks_is_told_of_and_refused(
    gateway: Gateway, add: Add, console: Console
) -> None:
    nowhere = add("nowhere.vhdx", "nowhere")
    assert nowhere.stderr.count("not there") == 3
    assert "on lab-a, lab-b, lab-c" in _failed(nowhere)
    for host in HOSTS[:2]:
        console.add_image(host, "half.vhdx", gib=12)
    half = add("half.vhdx", "half")
    assert half.stderr.count("12 GiB") == 2
    assert half.stderr.count("not there") == 1
    assert "on lab-c" in _failed(half)
    believed = add("half.vhdx", "half", "--no-check", "--size-gib", "12")
    assert believed.exit_code == 0
    assert believed.stderr == ""
    assert "nowhere" not in _images(gateway)


def test_what_is_no_disk_is_told_of(add: Add, console: Console) -> None:
    for host in HOSTS:
        console.put_file(host, "C:\\ec2gw\\images\\text.vhdx", "no disk")
    done = add("text.vhdx", "text")
    assert done.stderr.count("no disk that can be read") == 3
    assert "copy it" in _failed(done)


def test_disks_that_differ_between_hosts_are_refused(
    add: Add, console: Console, world: World
) -> None:
    for host in HOSTS:
        path = console.add_image(host, "differs.vhdx", gib=4)
        _change(world, host, path, identifier="6B29FC40-CA47-1067-B31D-00DD010662DA")
    _change(world, "lab-b", path, size=4 * model.GIB + 512)
    assert "differ in size" in _failed(add("differs.vhdx", "differs"))
    for host in HOSTS:
        _change(world, host, path, size=4 * model.GIB + 512)
    done = add("differs.vhdx", "rounded up")
    assert done.exit_code == 0, done.output
    assert "warning" not in done.stderr
    assert "5 GiB, not 4" in _failed(add("differs.vhdx", "smaller", "--size-gib", "4"))
    _change(world, "lab-b", path, identifier="00000000-CA47-1067-B31D-00DD010662DA")
    done = add("differs.vhdx", "no copies")
    assert done.exit_code == 0, done.output
    assert "warning: they are no copies of one another" in done.stderr


def test_a_host_out_of_reach_is_told_of_and_holds_nobody_up(gateway: Gateway) -> None:
    resolved = config.resolved(gateway.data)
    store, vault = inventory.open_state(resolved, migrate=False)
    try:
        with store.read() as session:
            row = session.scalars(sa.select(models.Host).where(models.Host.name == "lab-a")).one()
            near = disks.Place("near", "a", row.root, links.address(row, vault))
    finally:
        store.close()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nowhere = dataclasses.replace(near.address, url=f"http://127.0.0.1:{port}/wsman")
    far = disks.Place("far", "a", row.root, nowhere)
    found = disks.ask([far, near], "ec2gw-lab-linux.vhdx")
    assert [(one.host, one.answered, one.disk is not None) for one in found] == [
        ("far", False, False),
        ("near", True, True),
    ]
    assert found[0].why.startswith("out of reach: ")
    assert judged(found, "ec2gw-lab-linux.vhdx", 2, None) == 8
    with pytest.raises(Failed, match="no host answered"):
        judged(found[:1], "ec2gw-lab-linux.vhdx", 2, None)


HEADERS: dict[str, tuple[dict[str, object], str, str]] = {
    "4096 bytes a sector": ({"logical_sector": 4096}, "1", "generation 2"),
    "a child": ({"type": "Differencing", "parent": "C:\\x.vhdx"}, "2", "differencing disk"),
    "the old format": ({"format": "VHD"}, "2", "generation 1"),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_disk_that_would_not_start_is_refused(
    add: Add, console: Console, world: World, what: str
) -> None:
    header, generation, told = HEADERS[what]
    for host in HOSTS:
        path = console.add_image(host, "odd.vhdx")
        _change(world, host, path, **header)
    assert told in _failed(add("odd.vhdx", "odd", "--generation", generation))
