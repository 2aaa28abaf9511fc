"""Whatever order things happen in, an instance goes only where EC2 lets it go, and comes to rest.

Owners, the engine's steps, lost messages, surveys, engines that start anew, hosts that restart and
their administrators take turns as hypothesis has it; what it finds it shrinks to the fewest turns.
EC2GW_TEST_INTERLEAVINGS=N tries so many, others each time; the usual run tries the same few.

Source: EC2 User Guide, "Amazon EC2 instance state changes"; `state/lifecycle.py`.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings, stateful
from hypothesis import strategies as st

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.console import NoSuchThing
from state import lifecycle, models
from state.store import Store
from tests.faults import interleaved
from tests.faults.interleaved import Fate
from translators.errors import Ec2Error
from translators.hyperv import host as port

TRIES: Final = int(os.environ.get("EC2GW_TEST_INTERLEAVINGS", "0"))
USUAL: Final = 8
TURNS: Final = 30
MOST: Final = 4
ALLOWED: Final[Mapping[lifecycle.State, frozenset[lifecycle.State]]] = {
    "pending": frozenset({"running", "stopping", "stopped", "shutting-down", "terminated"}),
    "running": frozenset({"pending", "stopping", "stopped", "shutting-down", "terminated"}),
    "stopping": frozenset({"stopped", "shutting-down", "terminated"}),
    "stopped": frozenset({"pending", "running", "shutting-down", "terminated"}),
    "shutting-down": frozenset({"terminated"}),
    "terminated": frozenset(),
}
"""What may follow what. Beside EC2's arrows: what went off or on by itself passes in one step what
EC2 passes in two, of which nobody who asks now and then need see the first."""
ASKS: Final[Mapping[str, tuple[str, dict[str, Any], lifecycle.Phase | None]]] = {
    "start": ("StartInstances", {}, "running"),
    "stop": ("StopInstances", {}, "stopped"),
    "force": ("StopInstances", {"Force": True}, "stopped"),
    "reboot": ("RebootInstances", {}, None),
    "terminate": ("TerminateInstances", {}, "terminated"),
}
"""Turn -> action, what else it is asked, and what its owner wants then."""
DEEDS: Final = (
    "start",
    "turn_off",
    "shut_down",
    "save",
    "remove",
    "guest_shuts_down",
    "guest_reboots",
    "guest_crashes",
)
REFUSALS: Final = {"IncorrectInstanceState", "OperationNotPermitted"}
SITE: Final = st.integers(0, len(interleaved.SITES[0]) - 1)
WHICH: Final = st.integers(0, MOST - 1)
FATE: Final[st.SearchStrategy[Fate]] = st.sampled_from(
    ["never sent", "lost on the way", "answer lost", "agent dies", "pass"]
)


@pytest.fixture
def every_plan_binds() -> None:
    """Plans are bound where each is tested; here the same ones are made by the thousand."""


class Interleavings(stateful.RuleBasedStateMachine):
    folders: Iterator[Path]
    empty_database: Path

    def __init__(self) -> None:
        super().__init__()
        folder = next(self.folders)
        folder.mkdir()
        shutil.copy(self.empty_database, folder / "state.sqlite3")
        self.store = Store(folder / "state.sqlite3")
        self.stage = interleaved.Stage(self.store, folder)
        self.ids: list[str] = []
        self.phases: dict[str, lifecycle.Phase] = {}
        self.wanted: dict[str, lifecycle.Phase] = {}
        self.disturbed: set[str] = set()
        """Those that somebody but the owner had a hand in since the owner last moved them."""
        self.tags: dict[str, str] = {}

    # -- owners

    @stateful.rule(count=st.integers(1, 2))
    def launch(self, count: int) -> None:
        if len(self.ids) + count > MOST:
            return
        made = self.stage.run(count, Placement={"AvailabilityZone": "us-east-1a"})
        self.ids += made
        for one in made:
            self.phases[one], self.wanted[one] = "pending", "running"

    @stateful.rule(turn=st.sampled_from(sorted(ASKS)), which=WHICH)
    def ask(self, turn: str, which: int) -> None:
        if which >= len(self.ids):
            return
        one = self.ids[which]
        action, more, wanted = ASKS[turn]
        answer = self.call(action, InstanceIds=[one], **more)
        if answer is None or wanted is None:
            return
        [[change]] = answer.values()
        before, after = change["PreviousState"]["Name"], change["CurrentState"]["Name"]
        assert after == before or after in ALLOWED[before]
        if after != before:
            self.wanted[one] = wanted
            self.disturbed.discard(one)

    @stateful.rule(
        which=WHICH,
        attribute=st.sampled_from(["DisableApiStop", "DisableApiTermination"]),
        value=st.booleans(),
    )
    def protect(self, which: int, attribute: str, value: bool) -> None:
        self.modify(which, **{attribute: {"Value": value}})

    @stateful.rule(which=WHICH, value=st.sampled_from(["stop", "terminate"]))
    def choose_what_a_shutdown_means(self, which: int, value: str) -> None:
        self.modify(which, InstanceInitiatedShutdownBehavior={"Value": value})

    @stateful.rule(which=WHICH, name=st.sampled_from(sorted(interleaved.SETTINGS.instance_types)))
    def resize(self, which: int, name: str) -> None:
        self.modify(which, InstanceType={"Value": name})

    def modify(self, which: int, **attribute: Any) -> None:
        if which < len(self.ids):
            self.call("ModifyInstanceAttribute", InstanceId=self.ids[which], **attribute)

    def call(self, action: str, **request: Any) -> dict[str, Any] | None:
        """Ask for what may be refused because of the state or a protection."""
        try:
            return self.stage.call(action, **request)
        except Ec2Error as refused:
            if refused.code not in REFUSALS:
                raise
            return None

    @stateful.rule(which=WHICH, value=st.sampled_from("abc"))
    def tag(self, which: int, value: str) -> None:
        if which < len(self.ids):
            one = self.ids[which]
            self.stage.call("CreateTags", Resources=[one], Tags=[{"Key": "turn", "Value": value}])
            self.tags[one] = value

    # -- the engine

    @stateful.rule(site=SITE, plans=st.integers(1, 8))
    def step(self, site: int, plans: int) -> None:
        for which in self.stage.due(site):
            self.stage.advance(site, which, plans)

    @stateful.rule(site=SITE, turn=st.sampled_from(sorted(ASKS)), which=WHICH)
    def step_while_the_owner_asks(self, site: int, turn: str, which: int) -> None:
        self.stage.sites[site].wire.meanwhile = lambda: self.ask(turn, which)
        self.step(site, 3)
        self.stage.sites[site].wire.meanwhile = None

    @stateful.rule(site=SITE)
    def survey(self, site: int) -> None:
        self.stage.survey(site)

    @stateful.rule(site=SITE, turn=st.sampled_from(sorted(ASKS)), which=WHICH)
    def survey_while_the_owner_asks(self, site: int, turn: str, which: int) -> None:
        self.stage.survey(site, lambda: self.ask(turn, which))

    @stateful.rule(site=SITE, other=SITE)
    def survey_while_the_engine_works(self, site: int, other: int) -> None:
        self.stage.survey(site, lambda: self.step(other, 8))

    @stateful.rule(site=SITE)
    def start_the_engine_anew(self, site: int) -> None:
        self.stage.replace_driver(site)

    @stateful.rule(site=SITE)
    def let_a_former_engine_work(self, site: int) -> None:
        """It has not heard that it was replaced; its host tells it, or nothing is to be done."""
        for wire, worker in self.stage.sites[site].former[-1:]:
            for which in self.stage.due(site):
                wire.left = 4
                try:
                    worker.advance(which)
                except port.Fenced as fenced:
                    if fenced.what != "epoch":
                        raise

    # -- the way to the hosts, the hosts, and who else is there

    @stateful.rule(site=SITE, fates=st.lists(FATE, min_size=1, max_size=4))
    def lose(self, site: int, fates: list[Fate]) -> None:
        self.stage.sites[site].wire.fates.extend(fates)

    @stateful.rule(site=SITE)
    def restart_host(self, site: int) -> None:
        one = self.stage.sites[site]
        self.stage.console.reboot_host(one.name)
        one.wire.end()
        self.disturbed |= set(self.ids)

    @stateful.rule(deed=st.sampled_from(DEEDS), which=WHICH)
    def meddle(self, deed: str, which: int) -> None:
        for vm in self.vms_of(which):
            try:
                getattr(self.stage.console, deed)(vm["host"], vm["id"])
            except (CmdletError, NoSuchThing):
                return  # Hyper-V refuses it as the VM is
            self.disturbed.add(self.ids[which])

    @stateful.rule(which=WHICH)
    def move(self, which: int) -> None:
        for vm in self.vms_of(which):
            [to] = {"host-a", "host-b"} - {vm["host"]}
            self.stage.console.move(vm["host"], vm["id"], to)
            self.disturbed.add(self.ids[which])

    def vms_of(self, which: int) -> list[dict[str, Any]]:
        """The VM of an instance that ran; of one being made no administrator takes notice."""
        named = self.ids[which : which + 1]
        ran = [one for one in named if self.stage.instance(one).vm_id is not None]
        return [vm for vm in self.stage.vms() if vm["name"] in ran]

    @stateful.rule(seconds=st.sampled_from([1, 6, 60]))
    def wait(self, seconds: int) -> None:
        self.stage.clock.advance(seconds)

    # -- what holds all the time, and in the end

    @stateful.invariant()
    def every_move_is_one_that_ec2_knows(self) -> None:
        for one, before, after in self.stage.moves():
            assert self.phases[one] == before
            self.phases[one] = after
            then, now = lifecycle.STATES[before][1], lifecycle.STATES[after][1]
            assert now == then or now in ALLOWED[then], f"{one}: {before} to {after}"

    @stateful.invariant()
    def no_vm_is_there_twice_and_none_outlives_its_instance(self) -> None:
        there = Counter(vm["name"] for vm in self.stage.vms())
        assert there.pop("payroll") == 1
        assert set(there.values()) <= {1}, there
        assert set(there) <= {one for one in self.ids if self.phases[one] != "terminated"}

    @stateful.invariant()
    def nobody_s_state_is_older_than_its_hosts(self) -> None:
        assert self.stage.outdated == []

    def teardown(self) -> None:
        try:
            self.stage.settle()
            self.every_move_is_one_that_ec2_knows()
            self.no_vm_is_there_twice_and_none_outlives_its_instance()
            self.all_is_as_its_owner_wants()
        finally:
            self.stage.close()
            self.store.close()

    def all_is_as_its_owner_wants(self) -> None:
        states = {"Running": "running", "Off": "stopped", "Saved": "stopped"}
        vms = {vm["name"]: vm for vm in self.stage.vms()}
        payroll = vms.pop("payroll")
        assert (payroll["state"], payroll["id"]) == ("Running", self.stage.stranger)
        told = {one["InstanceId"]: one for one in self.stage.seen()}
        assert set(told) == set(self.ids)
        for one, wanted in self.wanted.items():
            state = told[one]["State"]["Name"]
            assert lifecycle.STATES[self.phases[one]] == (told[one]["State"]["Code"], state)
            if wanted == "terminated" or one not in self.disturbed:
                assert state == wanted, one
            shown = states.get(vms[one]["state"]) if one in vms else "terminated"
            assert state == shown, one
            assert ("StateReason" in told[one]) == (state != "running")
            if one in self.tags:
                assert {"Key": "turn", "Value": self.tags[one]} in told[one]["Tags"]
            if state == "running" and one not in self.disturbed:
                size = interleaved.SETTINGS.instance_types[told[one]["InstanceType"]]
                assert vms[one]["memory_bytes"] == size.memory_mib * 2**20
        alive = {one for one in self.ids if self.phases[one] != "terminated"}
        assert self.stage.owners_of_files() - self.disturbed == alive - self.disturbed
        assert {row.phase for row in self.stage.rows(models.Instance)} & lifecycle.WORKING == set()


@pytest.mark.timeout(0 if TRIES else 300)
def test_any_interleaving_ends_in_a_state_that_ec2_allows(
    tmp_path: Path, empty_database: Path
) -> None:
    Interleavings.folders = (tmp_path / str(number) for number in itertools.count())
    Interleavings.empty_database = empty_database
    stateful.run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=TRIES or USUAL,
            stateful_step_count=TURNS,
            derandomize=not TRIES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
