"""Tokens, epochs and generations on a laboratory host: nothing runs twice, nobody old runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ec2gw.lab.agent import powershell
from ec2gw.lab.door.process import Starter
from ec2gw.winrm import framing
from tests.unit import toy_host
from tests.unit.toy_host import Driver, Json, ToyHost, call, rows, token

NEW = call("New-VM", {"Name": "x"})
SLOW = call("Checkpoint-VM", {"Name": "x"})
LOOK = call("Get-VM")


@pytest.fixture
def host() -> ToyHost:
    return ToyHost()


@pytest.fixture
def start(host: ToyHost) -> Iterator[Callable[[], Driver]]:
    """Starts agents that live on the host at the same time; ends them all."""
    starter = powershell(host)
    drivers: list[Driver] = []

    def started() -> Driver:
        drivers.append(Driver(starter))
        return drivers[-1]

    yield started
    host.slow.set()
    for driver in drivers:
        driver.process.kill()
        assert driver.errors == b""


def restarted(host: ToyHost) -> Driver:
    """An agent of a laboratory that knows nothing but the file."""
    return toy_host.start(host)


def line(text: str) -> bytes:
    return text.encode() + b" " + framing.digest(text.encode()).encode() + b"\n"


def compress(tokens: list[str], damaged: int = 0) -> Json:
    given = {"Tokens": tokens, "Damaged": damaged}
    return call("Agent\\Compress-Journal", given, "kept", {"kept": "Kept:int"})


def test_a_known_token_runs_nothing(host: ToyHost, start: Callable[[], Driver]) -> None:
    driver = start()
    assert driver.ask([NEW], token=token(1))["ok"]
    assert driver.ask([NEW, {"do": "odd"}], token=token(2))["stage"] == "check"
    again = driver.ask([NEW], token=token(1))
    assert again == {"id": 3, "ok": False, "refused": "done", "outcome": "ok"}
    assert start().ask([NEW], token=token(2))["outcome"] == "failed"
    assert restarted(host).ask([NEW], token=token(1))["refused"] == "done"
    assert len(host.vms) == 1


def test_a_plan_of_no_calls_burns_its_token(host: ToyHost, start: Callable[[], Driver]) -> None:
    driver = start()
    burnt = driver.ask([], token=token(1), subject="i-1", generation=2)
    assert (burnt["ok"], burnt["done"]) == (True, 0)
    late = driver.ask([NEW], token=token(1), subject="i-1", generation=2)
    assert late["refused"] == "done"
    assert host.vms == []


def test_a_lower_generation_runs_nothing_a_higher_one_raises_the_floor(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    driver = start()
    assert driver.ask([NEW], subject="i-1", generation=5)["ok"]
    refused = driver.ask([NEW], subject="i-1", generation=4)
    assert (refused["refused"], refused["seen"]) == ("generation", 5)
    assert start().ask([NEW], subject="i-1", generation=4)["seen"] == 5
    assert restarted(host).ask([NEW], subject="i-1", generation=4)["seen"] == 5
    assert driver.ask([LOOK], subject="i-2", generation=1)["ok"]
    assert driver.ask([LOOK], subject="i-1", generation=5)["ok"]
    assert len(host.vms) == 1


def test_an_older_driver_runs_nothing(host: ToyHost, start: Callable[[], Driver]) -> None:
    driver = start()
    assert driver.ask([LOOK], epoch=3)["ok"]
    refused = driver.ask([NEW], epoch=2)
    assert (refused["refused"], refused["seen"]) == ("epoch", 3)
    assert restarted(host).ask([NEW], epoch=2)["seen"] == 3
    assert host.vms == []


def test_the_epoch_is_looked_at_before_the_generation_and_that_before_the_token(
    start: Callable[[], Driver],
) -> None:
    driver = start()
    driver.ask([LOOK], epoch=3, token=token(1), subject="i-1", generation=5)
    old: Json = {"token": token(1), "subject": "i-1", "generation": 4}
    assert driver.ask([NEW], epoch=2, **old)["refused"] == "epoch"
    assert driver.ask([NEW], epoch=3, **old)["refused"] == "generation"
    assert driver.ask([NEW], epoch=3, **(old | {"generation": 5}))["refused"] == "done"


def test_a_slow_call_holds_up_no_other_and_its_token_is_running_everywhere(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    first, second = start(), start()
    slow = first.send([SLOW], token=token(5))
    assert host.entered.acquire(timeout=toy_host.PATIENCE)
    assert first.ask([LOOK])["ok"]
    assert first.ask([NEW], token=token(5))["refused"] == "running"
    assert second.ask([NEW], token=token(5))["refused"] == "running"
    host.slow.set()
    assert first.wait(slow)["ok"]
    assert second.ask([NEW], token=token(5))["outcome"] == "ok"
    assert host.vms == []


def test_what_waited_behind_busy_lanes_is_checked_when_it_starts(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    first, second = start(), start()
    busy = [first.send([SLOW], epoch=9) for _ in range(3)]
    for _ in busy:
        assert host.entered.acquire(timeout=toy_host.PATIENCE)
    late = first.send([NEW], epoch=9, token=token(1), subject="i-2", generation=5)
    assert second.ask([LOOK], epoch=9, subject="i-2", generation=6)["ok"]
    host.slow.set()
    assert all(first.wait(one)["ok"] for one in busy)
    assert first.wait(late)["refused"] == "generation"
    assert host.vms == []


def test_what_only_looks_does_not_wait_behind_plans_that_take_long(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    driver = start()
    busy = [driver.send([SLOW], token=token(n)) for n in range(2)]
    for _ in busy:
        assert host.entered.acquire(timeout=toy_host.PATIENCE)
    late = driver.send([NEW], token=token(2))
    assert driver.ask([LOOK])["ok"]
    assert host.vms == [], "what changes waits"
    host.slow.set()
    assert all(driver.wait(one)["ok"] for one in [*busy, late])


def test_an_agent_of_an_older_driver_tells_what_waits_and_ends_by_itself(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    first, second = start(), start()
    busy = [first.send([SLOW], epoch=9, token=token(n)) for n in range(2)]
    late = first.send([NEW], epoch=9, token=token(2))
    for _ in busy:
        assert host.entered.acquire(timeout=toy_host.PATIENCE)
    second.ask([LOOK], epoch=10)
    assert first.wait(late) == {"id": late, "ok": False, "refused": "ending"}
    host.slow.set()
    assert all(first.wait(one)["ok"] for one in busy)
    assert first.wait_for_end() == 0
    assert second.ask([NEW], epoch=10, token=token(1))["outcome"] == "ok"
    assert host.vms == []


def test_killed_between_two_calls_the_rest_does_not_run_and_the_token_is_begun(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    first, second = start(), start()
    first.send([SLOW, NEW], token=token(9))
    assert host.entered.acquire(timeout=toy_host.PATIENCE)
    first.process.kill()
    assert second.ask([NEW], token=token(9))["refused"] == "begun"
    host.slow.set()
    assert restarted(host).ask([NEW], token=token(9))["refused"] == "begun"
    for thread in threading.enumerate():
        if thread.name.startswith("lane-"):
            thread.join(toy_host.PATIENCE)
    assert host.vms == []
    assert first.silent()


def test_a_torn_line_costs_nothing_before_or_after_it(host: ToyHost) -> None:
    assert restarted(host).ask([LOOK], epoch=4, token=token(1))["ok"]
    for tail in (b"B 00ff", b"P - 9", b"\0\0\0", line(f"B {token(7)} {'a' * 32}")[:-1]):
        host.journal += tail
        driver = restarted(host)
        assert driver.hello["damaged"] == 0
        assert driver.ask([NEW], epoch=4, token=token(1))["refused"] == "done"
        assert driver.ask([LOOK], epoch=4, token=f"{len(host.journal):032x}")["ok"]
    last = restarted(host)
    assert (last.hello["damaged"], last.hello["epoch"]) == (0, 4)
    assert last.ask([LOOK], epoch=4, token=token(7))["ok"], "its begin was never written"
    assert host.vms == []


def test_a_journal_that_vanished_under_a_living_agent_costs_it_nothing(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    driver = start()
    driver.ask([LOOK], epoch=10, token=token(1), subject="i-1", generation=5)
    host.journal = b""
    assert driver.ask([NEW], epoch=10, token=token(2))["ok"]
    assert driver.ask([NEW], epoch=10, token=token(2))["refused"] == "done"
    assert driver.ask([NEW], epoch=10, token=token(1))["refused"] == "done"
    assert driver.ask([NEW], epoch=10, subject="i-1", generation=4)["refused"] == "generation"
    assert driver.ask([NEW], epoch=9)["refused"] == "epoch"
    assert len(host.vms) == 1
    assert start().hello["journal"] != driver.hello["journal"], "whoever looks sees another file"


def test_a_journal_that_cannot_be_read_is_an_answer_and_no_death(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    driver = start()
    host.unreadable = True
    told = driver.ask([NEW], token=token(1))
    assert (told["bad"], told["why"]) == ("request", "the journal is locked by another program")
    time.sleep(1.1)  # the look of each second meets it too
    host.unreadable = False
    assert driver.ask([NEW], token=token(1))["ok"]


def test_a_begin_that_cannot_be_written_runs_nothing(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    driver = start()
    host.broken_disk = True
    assert driver.ask([NEW], token=token(1))["bad"] == "request"
    assert driver.ask([LOOK])["bad"] == "request", "its epoch is new and would be forgotten"
    host.broken_disk = False
    assert host.vms == []
    assert driver.ask([NEW], token=token(1))["ok"]


def test_an_end_that_could_not_be_written_is_kept_and_repeated(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    first, second = start(), start()
    slow = first.send([SLOW], token=token(1))
    assert host.entered.acquire(timeout=toy_host.PATIENCE)
    host.broken_disk = True
    host.slow.set()
    assert first.wait(slow)["ok"]
    assert first.ask([NEW], token=token(1))["outcome"] == "ok"
    assert second.ask([NEW], token=token(1))["refused"] == "running"
    host.broken_disk = False
    deadline = time.monotonic() + toy_host.PATIENCE
    while second.ask([NEW], token=token(1))["refused"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert restarted(host).ask([NEW], token=token(1))["outcome"] == "ok"
    assert host.vms == []


def test_whatever_byte_of_the_journal_changes_no_token_runs_twice(host: ToyHost) -> None:
    driver = restarted(host)
    driver.ask([NEW], token=token(0xA), subject="i-1", generation=5)
    driver.process.kill()
    whole = host.journal
    for at in range(len(whole)):
        for other in (whole[at] ^ 1, whole[at] ^ 0x10, ord("\n")):
            if other == whole[at]:
                continue
            host.journal = whole[:at] + bytes([other]) + whole[at + 1 :]
            again = restarted(host)
            answer = again.ask([NEW], token=token(0xA))
            again.process.kill()
            assert answer.get("refused") in ("done", "begun", "damaged"), (at, other)
    assert len(host.vms) == 1


def test_after_damage_no_new_token_runs_until_the_driver_has_looked(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    first = start()
    first.ask([LOOK], epoch=4, token=token(1), subject="i-1", generation=7)
    host.journal = host.journal.replace(b"\nB " + token(1)[:4].encode(), b"\nB ffff")
    host.journal += b"junk\n"
    second = restarted(host)
    assert second.hello["damaged"] == 2
    refused = second.ask([NEW], epoch=4, token=token(2))
    assert (refused["refused"], refused["seen"]) == ("damaged", 2)
    assert second.ask([LOOK], epoch=4)["ok"], "looking needs no token"
    assert second.ask([NEW], epoch=4, token=token(1))["refused"] == "done", "its end is whole"
    stale = second.ask([compress([], damaged=1)], epoch=4)
    assert stale["ok"] is False
    assert second.ask([NEW], epoch=4, token=token(2))["refused"] == "damaged"
    accepted = second.ask([compress([], damaged=2)], epoch=4)
    assert rows(accepted, "kept") == [{"kept": 1}]
    assert second.ask([NEW], epoch=4, token=token(2))["ok"]
    third = restarted(host)
    assert (third.hello["damaged"], third.hello["journal"]) == (0, first.hello["journal"])
    assert third.ask([NEW], epoch=4, token=token(1))["refused"] == "done"
    assert third.ask([NEW], epoch=4, subject="i-1", generation=6)["refused"] == "generation"
    assert len(host.vms) == 1


def test_compacting_drops_what_was_acknowledged_and_keeps_floors_and_what_runs(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    first, second = start(), start()
    for number in range(40):
        first.ask([LOOK], epoch=3, token=token(number), subject="i-1", generation=number)
    slow = first.send([SLOW], epoch=3, token=token(99))
    assert host.entered.acquire(timeout=toy_host.PATIENCE)
    long = len(host.journal)
    order = compress([*map(token, range(39)), token(99), token(12345)])
    assert rows(second.ask([order], epoch=3), "kept") == [{"kept": 2}]
    assert len(host.journal) < long / 8
    for driver in (first, second, restarted(host)):
        assert driver.ask([NEW], epoch=3, token=token(39))["refused"] == "done"
        assert driver.ask([NEW], epoch=3, subject="i-1", generation=38)["refused"] == "generation"
        assert driver.ask([NEW], epoch=2)["refused"] == "epoch"
    assert second.ask([NEW], epoch=3, token=token(99))["refused"] == "running"
    host.slow.set()
    assert first.wait(slow)["ok"]
    assert restarted(host).ask([NEW], epoch=3, token=token(99))["outcome"] == "ok"
    assert host.vms == []


def test_compacting_that_the_disk_does_not_take_changes_nothing(
    host: ToyHost, start: Callable[[], Driver]
) -> None:
    driver = start()
    driver.ask([LOOK], token=token(1))
    host.broken_disk = True
    assert driver.ask([compress([token(1)])])["ok"] is False
    host.broken_disk = False
    assert driver.ask([NEW], token=token(1))["refused"] == "done"


@pytest.mark.parametrize("given", [{}, {"Tokens": "x"}, {"Tokens": [1]}, {"Damaged": 1}])
def test_an_order_to_compact_that_does_not_bind_changes_nothing(
    start: Callable[[], Driver], given: Json
) -> None:
    driver = start()
    driver.ask([LOOK], token=token(1))
    answer = driver.ask([call("Agent\\Compress-Journal", given)])
    assert (answer["ok"], answer["stage"]) == (False, "call")
    assert driver.ask([NEW], token=token(1))["refused"] == "done"


def test_many_senders_at_several_agents_run_each_token_once(host: ToyHost) -> None:
    starter: Starter = powershell(host)
    drivers = [Driver(starter) for _ in range(3)]
    for number in range(60):
        for driver in drivers:
            name = call("New-VM", {"Name": f"n{number}"})
            driver.send([name], epoch=1, token=token(number), subject="i-1", generation=1)
    said = [driver.read() for driver in drivers for _ in range(60)]
    assert sum(answer["ok"] is True for answer in said) == 60
    names = [vm.properties["Name"] for vm in host.vms]
    assert sorted(map(str, names)) == sorted(f"n{number}" for number in range(60))
    for driver in drivers:
        driver.process.kill()
