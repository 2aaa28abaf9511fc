"""The laboratory's agent as a process: how it is started, greets, hears noise, and ends."""

from __future__ import annotations

import base64
import binascii
import gzip
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ec2gw.lab.agent import powershell
from ec2gw.lab.door.process import ProgramNotFound
from ec2gw.winrm import agent, framing
from tests.unit import toy_host
from tests.unit.toy_host import Driver, Json, ToyHost, call, setup_frame, token

LOOK = call("Get-VM")


@pytest.fixture
def host() -> ToyHost:
    return ToyHost()


@pytest.fixture
def driver(host: ToyHost) -> Iterator[Driver]:
    driver = toy_host.start(host)
    yield driver
    driver.process.kill()
    assert driver.errors == b""


class Said:
    """An output that keeps what it is told."""

    def __init__(self) -> None:
        self.out, self.err, self.codes = b"", b"", list[int]()

    def stdout(self, data: bytes) -> None:
        self.out += data

    def stderr(self, data: bytes) -> None:
        self.err += data

    def exited(self, code: int) -> None:
        self.codes.append(code)


def test_the_hello_tells_host_agent_and_journal(host: ToyHost, driver: Driver) -> None:
    hello = driver.hello
    assert hello["hello"] == 1
    assert hello["host"] == host.host_id
    assert hello["boot"] == "2026-11-01T08:30:15.2500000Z"
    assert hello["modules"] == {"Hyper-V": "2.0.0.0", "CimCmdlets": "1.0.0.0"}
    assert hello["missing"] == []
    assert hello["agent"] == agent.digest()
    assert (hello["epoch"], hello["damaged"], hello["mode"]) == (0, 0, "FullLanguage")
    assert hello["limits"] == {"line": 1 << 20, "text": 8 << 20, "lanes": 2, "silence": 120}
    assert hello["journal"] == toy_host.start(host).hello["journal"] != ""


def test_the_hello_tells_what_of_the_allow_list_the_host_lacks() -> None:
    driver = toy_host.start(ToyHost(module_versions={"Hyper-V": "2.0.0.0"}))
    assert driver.hello["missing"] == ["CimCmdlets\\Get-CimInstance"]
    assert driver.hello["modules"] == {"Hyper-V": "2.0.0.0"}
    driver.process.kill()


def test_a_bare_name_finds_no_powershell(host: ToyHost) -> None:
    with pytest.raises(ProgramNotFound):
        powershell(host)("powershell.exe", agent.arguments(), {}, Said())


def test_quotes_around_the_loader_and_case_of_the_program_do_not_matter(host: ToyHost) -> None:
    *options, loader = agent.arguments()
    for arguments in ([*options, f'"{loader}"'], [*options, *loader.split(" ")]):
        said = Said()
        process = powershell(host)(agent.PROGRAM.upper(), arguments, {}, said)
        assert said.codes == []
        process.kill()


@pytest.mark.parametrize(
    "arguments", [["-Command", "Get-Date"], [*agent.arguments(), "; Get-Date"], []]
)
def test_any_other_command_line_is_refused_in_words(host: ToyHost, arguments: list[str]) -> None:
    said = Said()
    process = powershell(host)(agent.PROGRAM, arguments, {}, said)
    process.write(b"anything\n")
    assert process.unread() == 0
    assert said.codes == [1]
    assert b"nothing else" in said.err


def test_a_powershell_that_sleeps_reads_nothing_until_it_ends(host: ToyHost) -> None:
    said = Said()
    arguments = ["-NoProfile", "-Command", "Start-Sleep -Seconds 0"]
    process = powershell(host)(agent.PROGRAM, arguments, {}, said)
    process.write(b"anything\n")
    assert process.unread() == 9
    deadline = time.monotonic() + 5
    while not said.codes and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (said.codes, said.err) == ([0], b"")


def test_another_agents_text_is_refused_in_words(host: ToyHost) -> None:
    driver = Driver(powershell(host), greet=False)
    driver.put(base64.b64encode(agent.text().encode() + b"\n# and more") + b"\n")
    assert driver.wait_for_end() == 1
    assert b"its own version" in driver.errors


@pytest.mark.parametrize(
    "changed",
    [
        {"root": "ec2gw"},
        {"root": "C:\\"},
        {"root": "C:\\ec2gw\\"},
        {"root": "C:/ec2gw"},
        {"root": "C:\\a\\..\\b"},
        {"root": "\\\\server\\share"},
        {"root": 5},
        {"modules": "Hyper-V"},
        {"allowed": {"Hyper-V\\Get-VM": "Id"}},
        {"allowed": []},
        {"allowed": {"Agent\\Invoke-Expression": ["Command"]}, "paths": {}},
        {"paths": {"Hyper-V\\Get-VM": ["Path"]}},
        {"paths": {"Hyper-V\\Remove-VM": ["Path"]}},
        {"more": 1},
    ],
)
def test_a_setup_that_configures_nothing_is_told_and_ends_the_agent(
    host: ToyHost, changed: Json
) -> None:
    driver = Driver(powershell(host), setup=setup_frame(**changed))
    assert driver.hello["bad"] == "setup"
    assert driver.wait_for_end() == 1
    assert host.calls == []


@pytest.mark.parametrize(
    "odd",
    [
        {},
        5,
        "x",
        [],
        None,
        {"id": 1},
        {"id": 1, "epoch": "x", "calls": []},
        {"id": 1, "epoch": 1, "calls": {}},
        {"id": 1, "epoch": 1, "calls": [], "token": "a b"},
        {"id": 1, "epoch": 1, "calls": [], "token": token(7) + "\nP - 99999999"},
        {"id": 1, "epoch": 1, "calls": [], "token": token(7) + "\n"},
        {"id": 1, "epoch": 1, "calls": [], "token": token(0xA).upper()},
        {"id": 1, "epoch": 1, "calls": [], "subject": "i-1 2", "generation": 1},
        {"id": 1, "epoch": 1, "calls": [], "subject": "i-1", "generation": "9 9"},
        {"id": 1, "epoch": 1, "calls": [], "subject": "i-1", "generation": -1},
        {"id": 1, "epoch": 1, "calls": [], "subject": "i-1", "generation": 10**15},
        {"id": 1, "epoch": 1, "calls": [], "subject": "i-1"},
        {"id": 1, "epoch": 1, "calls": [], "tokn": token(3)},
        {"id": 1, "epoch": "9", "calls": []},
        {"id": 1, "epoch": "٣", "calls": []},
        {"id": 1, "epoch": True, "calls": []},
        {"id": 1, "epoch": 1.0, "calls": []},
        {"id": 1, "Epoch": 1, "calls": []},
    ],
)
def test_an_odd_request_is_told_and_nothing_dies(
    host: ToyHost, driver: Driver, odd: object
) -> None:
    driver.put(framing.encode(odd))
    told = driver.read()
    assert told["bad"] == "request"
    assert told["id"] == (odd.get("id") if isinstance(odd, dict) else None)
    assert driver.ask([LOOK])["ok"]
    assert len(host.calls) == 1


def test_broken_huge_and_inflating_frames_are_told_and_the_next_one_runs(
    host: ToyHost, driver: Driver
) -> None:
    whole = framing.encode({"id": 9, "epoch": 1, "calls": [call("New-VM", {"Name": "never"})]})
    bomb = binascii.b2a_base64(gzip.compress(b" " * 50_000_000), newline=False)
    cuts = [
        b"half a fra\n",
        b"\x1eAAAA\n",
        whole[:40] + b"\n",
        whole[:-30] + whole[-10:],
        whole.replace(b"A", b"B", 1),
        b"x" * 1_200_000 + b"\n",
        b"\x1e%d %s %s\n" % (len(bomb), framing.digest(bomb).encode(), bomb),
    ]
    for cut in cuts:
        driver.put(cut)
    told = [driver.read() for _ in cuts]
    assert all(one["bad"] == "frame" for one in told)
    assert [one.get("digest") for one in told] == [None] * 6 + [framing.digest(bomb)]
    assert driver.ask([LOOK])["ok"]
    assert host.vms == []


def test_a_frame_that_cannot_be_read_is_told_by_its_digest(driver: Driver) -> None:
    body = binascii.b2a_base64(gzip.compress(b'{"id": 7, "ID": 8}'), newline=False)
    driver.put(b"\x1e%d %s %s\n" % (len(body), framing.digest(body).encode(), body))
    assert driver.read()["digest"] == framing.digest(body)


@given(st.lists(st.binary(max_size=60), max_size=8))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_of_any_kind_is_told_and_the_next_request_runs(
    driver: Driver, noise: list[bytes]
) -> None:
    for one in noise:
        driver.put(one)
    driver.put(b"\n")
    its_id = driver.send([LOOK])
    while (told := driver.read()).get("id") != its_id:
        assert told["bad"] in ("frame", "request")
    assert told["ok"]


def test_end_of_input_ends_the_agent_after_what_runs(host: ToyHost) -> None:
    driver = toy_host.start(host)
    slow = driver.send([call("Checkpoint-VM", {"Name": "x"})], token=token(1))
    assert host.entered.acquire(timeout=toy_host.PATIENCE)
    driver.process.close_input()
    host.slow.set()
    assert driver.wait(slow)["ok"]
    assert driver.wait_for_end() == 0
    driver.process.write(b"late")
    assert driver.process.unread() == 0


def test_silence_ends_the_agent_and_any_line_breaks_it(host: ToyHost) -> None:
    driver = toy_host.start(host, silence_seconds=0.6)
    for _ in range(4):
        assert not driver.ended.wait(0.3)
        driver.put(b"\n")
    assert driver.wait_for_end() == 0


def test_a_killed_agent_is_silent_at_once_and_may_be_killed_again(host: ToyHost) -> None:
    driver = toy_host.start(host)
    driver.process.kill()
    driver.process.kill()
    driver.put(framing.encode({"id": 1, "epoch": 1, "calls": [LOOK]}))
    assert driver.process.unread() == 0
    assert not driver.ended.wait(0.3)
    assert driver.silent()
    assert host.calls == []
