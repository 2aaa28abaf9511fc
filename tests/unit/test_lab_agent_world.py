"""The interpreter of frames over the laboratory's own hosts: files, roots, the journal there."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.agent import powershell
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.console import Console
from ec2gw.lab.world import World
from tests.unit.toy_host import Driver, Json, call, rows, setup_frame, token
from translators.hyperv import allowed

STATE: Json = {"length": "Length:int", "sum": "Sha256:text", "folder": "IsDirectory:bool"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world.sqlite3")
    yield made
    made.close()


@pytest.fixture
def driver(world: World) -> Iterator[Driver]:
    driver = started(world)
    yield driver
    driver.process.kill()
    assert driver.errors == b""


def started(world: World, **changed: object) -> Driver:
    """An agent of a laboratory that has just come up: it knows what the files say."""
    host = LabMachine(world, world.hosts[0])
    table = {name: list(parameters) for name, parameters in allowed.ALLOWED.items()}
    paths = {name: list(parameters) for name, parameters in allowed.PATHS.items()}
    setup = setup_frame(modules=list(allowed.MODULES), allowed=table, paths=paths, **changed)
    return Driver(powershell(host), setup=setup)


def pieces(path: str, content: bytes) -> list[Json]:
    return [
        call(
            "Agent\\Write-FileChunk",
            {
                "Path": {"$path": path},
                "Offset": at,
                "Base64": base64.b64encode(content[at : at + 65536]).decode(),
            },
        )
        for at in range(0, len(content), 65536)
    ]


def complete(path: str, content: bytes) -> Json:
    digest = hashlib.sha256(content).hexdigest()
    given = {"Path": {"$path": path}, "Sha256": digest, "Length": len(content)}
    return call("Agent\\Complete-File", given)


def look(path: str) -> Json:
    return call("Agent\\Get-FileState", {"Path": {"$path": path}, "Hash": True}, "state", STATE)


def test_a_laboratory_host_lacks_nothing_of_the_allow_list(driver: Driver) -> None:
    assert driver.hello["missing"] == []
    assert driver.hello["modules"] == {"Hyper-V": "2.0.0.0", "CimCmdlets": "1.0.0.0"}


def test_a_file_goes_through_the_agent_in_pieces(driver: Driver) -> None:
    content = bytes(range(256)) * 700
    sent = driver.ask([*pieces("images/seed.iso", content), complete("images/seed.iso", content)])
    assert sent["ok"], sent
    late = driver.ask([pieces("images/seed.iso", content)[0]])
    again = driver.ask([complete("images/seed.iso", content)])
    assert late["ok"]
    assert again["ok"], "what came again late does not undo what is complete"
    digest = hashlib.sha256(content).hexdigest()
    [state] = rows(driver.ask([look("images/seed.iso")]), "state")
    assert state == {"length": len(content), "sum": digest, "folder": False}
    assert rows(driver.ask([look("images/seed.iso.part")]), "state") == []


def test_a_shorter_file_follows_a_longer_one_that_was_never_completed(driver: Driver) -> None:
    assert driver.ask(pieces("images/seed.iso", bytes(200_000)))["ok"]
    short = b"much shorter"
    answer = driver.ask([*pieces("images/seed.iso", short), complete("images/seed.iso", short)])
    assert answer["ok"], answer
    [state] = rows(driver.ask([look("images/seed.iso")]), "state")
    assert state["length"] == len(short)


def test_tokens_outlive_the_laboratorys_processes(world: World, driver: Driver) -> None:
    made = call("Agent\\New-Folder", {"Path": {"$path": "instances/i-1"}})
    assert driver.ask([made], epoch=2, token=token(1), subject="i-1", generation=3)["ok"]
    second = started(world)
    assert second.hello["journal"] == driver.hello["journal"]
    assert second.hello["epoch"] == 2
    assert second.ask([made], epoch=2, token=token(1))["refused"] == "done"
    kept = second.ask(
        [call("Agent\\Compress-Journal", {"Tokens": [token(1)]}, "k", {"kept": "Kept:int"})],
        epoch=2,
    )
    assert rows(kept, "k") == [{"kept": 0}]
    third = started(world)
    assert third.hello["journal"] == driver.hello["journal"]
    assert third.ask([made], epoch=2, subject="i-1", generation=2)["refused"] == "generation"
    second.process.kill()
    third.process.kill()


def test_the_journal_is_no_file_that_a_plan_can_reach(driver: Driver) -> None:
    for path in ("journal", "journal.lock"):
        answer = driver.ask([call("Agent\\Remove-Tree", {"Path": {"$path": path}})])
        assert answer["stage"] == "check"


def test_a_folder_of_its_own_has_a_journal_of_its_own(world: World, driver: Driver) -> None:
    assert driver.ask([], epoch=7, token=token(1), subject="i-1", generation=3)["ok"]
    apart = started(world, root="C:\\ec2gw\\apart")
    assert apart.hello["journal"] != driver.hello["journal"]
    assert apart.hello["epoch"] == 0
    assert apart.ask([], epoch=1, token=token(1), subject="i-1", generation=1)["ok"]
    beside = [call("Agent\\Get-FileState", {"Path": {"$path": "images"}}, "s", {"n": "Name:text"})]
    assert rows(apart.ask(beside), "s") == []
    apart.process.kill()


def test_a_host_may_lack_cmdlets_and_deny_them(world: World, driver: Driver) -> None:
    console = Console(world)
    console.uninstall(world.hosts[0], "Hyper-V\\Set-VMBios")
    console.deny(world.hosts[0], "Hyper-V\\Get-VMHost")
    assert driver.hello["missing"] == []
    again = started(world)
    assert again.hello["missing"] == ["Hyper-V\\Set-VMBios"]
    refused = again.ask([call("Get-VMHost")])
    error = refused["error"]
    assert isinstance(error, dict)
    assert error["id"] == "AccessDenied,Microsoft.HyperV.PowerShell.Commands.GetVMHost"
    again.process.kill()
