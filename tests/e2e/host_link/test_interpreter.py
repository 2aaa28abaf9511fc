"""The link against the laboratory: door in front, interpreter of frames behind, a toy host."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ec2gw.lab import agent
from ec2gw.lab.door.accounts import Account, Credentials
from ec2gw.lab.door.faults import Faults
from ec2gw.lab.door.server import Door
from ec2gw.winrm import endpoint, pool
from tests.unit import toy_host
from translators.hyperv.host import (
    Call,
    Failed,
    Fence,
    Fenced,
    HostError,
    Path,
    Plan,
    Ref,
    Token,
    Unknown,
)

from .scripted import PASSWORD, QUICK

Make = Callable[[int], pool.HostLink]


@pytest.fixture
def host() -> Iterator[toy_host.ToyHost]:
    host = toy_host.ToyHost()
    yield host
    host.slow.set()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def make(host: toy_host.ToyHost, faults: Faults) -> Iterator[Make]:
    door = Door(
        ("127.0.0.1", 0),
        agent.powershell(host),
        Credentials([Account("op", PASSWORD, "LAB")]),
        faults=faults,
    )
    door.start()
    address = endpoint.HostAddress(
        door.endpoint, "ntlm", "LAB\\op", lambda: PASSWORD, laboratory=True
    )
    links: list[pool.HostLink] = []

    def make(epoch: int) -> pool.HostLink:
        links.append(
            pool.HostLink(
                address,
                root=toy_host.ROOT,
                modules=["Hyper-V", "CimCmdlets"],
                allowed=toy_host.ALLOWED,
                paths=toy_host.PATHS,
                epoch=epoch,
                limits=QUICK,
            )
        )
        return links[-1]

    yield make
    for link in links:
        link.close()
    door.stop()


def fence(attempt: int, generation: int = 1) -> Fence:
    return Fence(f"{attempt:032x}", f"i-{attempt:x}", generation)


def launch(name: str) -> Plan:
    return Plan(
        "launch",
        (
            Call(
                "Hyper-V\\New-VM",
                {"Name": name, "Path": Path(f"instances/{name}")},
                keep="vm",
                take={"id": "Id:text", "path": "Path:text", "created": "Created:time"},
            ),
            Call("Hyper-V\\Set-VM", {"VM": Ref("vm"), "Notes": "ours"}),
            Call("Hyper-V\\Start-VM", {"VM": Ref("vm")}),
        ),
        changes=True,
    )


CHECKPOINT = Plan("checkpoint", (Call("Hyper-V\\Checkpoint-VM", {"Name": "c"}),), changes=True)


def test_a_plan_runs_with_references_and_brings_its_results_back(
    host: toy_host.ToyHost, make: Make
) -> None:
    link = make(1)
    answer = link.run(launch("i-1"), fence=fence(1))
    [vm] = answer.results["vm"]
    assert (vm["path"], vm["created"]) == (
        "C:\\ec2gw\\instances\\i-1",
        "2026-11-02T10:00:00.0000010Z",
    )
    assert answer.done == 3
    assert link.hello is not None
    assert (link.hello.host, link.hello.missing) == (host.host_id, ())


def test_a_failed_call_says_which_and_how(make: Make) -> None:
    nobody = Plan("look", (Call("Hyper-V\\Get-VM", {"Id": "00000000"}, keep="vm", take={}),))
    with pytest.raises(Failed) as failed:
        make(1).run(nobody)
    assert (failed.value.stage, failed.value.done) == ("call", 0)
    assert failed.value.error.identifier == "InvalidParameter"
    assert failed.value.error.hresult == ("0x80070057",)


def test_a_token_runs_once_whatever_link_brings_it(host: toy_host.ToyHost, make: Make) -> None:
    make(1).run(launch("i-1"), fence=fence(1))
    with pytest.raises(Token) as known:
        make(1).run(launch("i-1"), fence=fence(1))
    assert (known.value.word, known.value.outcome) == ("done", "ok")
    assert len(host.vms) == 1


def test_an_older_driver_and_an_older_intent_are_fenced(make: Make) -> None:
    old = make(1)
    old.run(launch("i-1"), fence=fence(1, generation=4))
    with pytest.raises(Fenced) as fenced:
        old.run(launch("i-1"), fence=Fence("f" * 32, "i-1", 3))
    assert (fenced.value.what, fenced.value.seen) == ("generation", 4)
    make(2).run(launch("i-2"), fence=fence(2))
    with pytest.raises(Fenced) as fenced:
        old.run(launch("i-3"), fence=fence(3))
    assert (fenced.value.what, fenced.value.seen) == ("epoch", 2)


def test_what_the_host_lost_in_a_restart_of_its_service_is_found_begun(
    host: toy_host.ToyHost, make: Make, faults: Faults
) -> None:
    link = make(1)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        waiting = threads.submit(link.run, CHECKPOINT, fence=fence(1), deadline_seconds=10)
        assert host.entered.acquire(timeout=5)
        faults.drop_shells()
        with pytest.raises(Token) as known:
            waiting.result(10)
    assert known.value.word == "begun"


def test_an_attempt_is_burnt_by_an_empty_plan_with_its_token(
    host: toy_host.ToyHost, make: Make
) -> None:
    link = make(1)
    link.run(Plan("burn", (), changes=True), fence=fence(1))
    with pytest.raises(Token) as known:
        link.run(launch("i-1"), fence=fence(1))
    assert known.value.word == "done"
    assert not host.vms


def test_calls_that_hold_every_lane_hold_up_the_rest_and_end_nothing(
    host: toy_host.ToyHost, make: Make
) -> None:
    link = make(1)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        slow = [threads.submit(link.run, CHECKPOINT, fence=fence(number)) for number in (1, 2)]
        for _ in slow:
            assert host.entered.acquire(timeout=5)
        with pytest.raises(HostError, match="deadline"):
            link.run(launch("i-3"), fence=fence(3), deadline_seconds=0.3)
        host.slow.set()
        for one in slow:
            assert one.result(5).done == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_with_a_tenth_of_all_messages_lost_every_launch_happens_once(
    host: toy_host.ToyHost, make: Make, faults: Faults, seed: int
) -> None:
    link = make(1)

    def one(number: int) -> str:
        name = f"i-{number:x}"
        for _ in range(5):
            try:
                link.run(launch(name), fence=fence(number), deadline_seconds=4)
            except Token as error:
                return error.word
            except Unknown:
                continue
            else:
                return "answered"
        return "unresolved"

    link.run(Plan("look", ()))
    faults.lose(0.1, seed)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        fates = Counter(threads.map(one, range(50)))
    faults.clear()
    assert fates["answered"] + fates["done"] == 50
    assert Counter(vm.properties["Name"] for vm in host.vms) == Counter(
        f"i-{number:x}" for number in range(50)
    )
    assert time.monotonic() - began < 10
