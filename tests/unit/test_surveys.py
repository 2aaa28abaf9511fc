"""What surveys of a host mean for the instances there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models
from state.store import Store
from tests import rows
from translators.ec2.instances import findings, intents, surveys
from translators.hyperv import vm
from translators.hyperv.survey import Ending, Survey
from translators.settings import Settings

GUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
BOOT = rows.NOW - dt.timedelta(days=1)
SETTINGS = Settings(survey_longest_seconds=3)


class Scene:
    """A host with one instance, and surveys that follow each other."""

    def __init__(self, store: Store, phase: lifecycle.Phase = "running") -> None:
        self.store = store
        self.on = store.write(rows.ground)
        self.key = store.write(
            lambda session: rows.instance(session, self.on, phase, vm_id=GUID).key
        )
        self.watch = surveys.Watch(self.on.host, rows.DEPLOYMENT, SETTINGS)
        self.now = rows.NOW

    def survey(
        self,
        state: str | None,
        *,
        boot: dt.datetime = BOOT,
        ending: Ending | None = None,
        others: tuple[vm.Vm, ...] = (),
        passed: dt.timedelta = dt.timedelta(seconds=2),
        meanwhile: Callable[[], object] = lambda: None,
        host_is_ahead_by: dt.timedelta = dt.timedelta(0),
        heartbeat: str | None = None,
    ) -> surveys.Report:
        self.now += passed
        with self.store.read() as session:
            self.watch.begin(session)
        seen = list(others)
        if state is not None:
            with self.store.read() as session:
                name = session.get_one(models.Instance, self.key).id
            notes = vm.notes(rows.DEPLOYMENT, name)
            seen.append(vm.Vm(GUID, name, state, notes, "x", 10, heartbeat, 2, 2**30))
        there = self.now + host_is_ahead_by
        survey = Survey(self.now, tuple(seen), 64, 2**39, 2**38, 2**40, boot, there, ("ec2gw",))
        meanwhile()
        with self.store.read() as session:
            report = self.watch.compare(session, survey, {})
        endings = {GUID: (ending, there)} if ending else {}
        self.store.write(
            lambda session: findings.apply(
                session, self.on.host, report, survey, endings, {}, self.now
            )
        )
        return report

    def change(self, model: type[Any], **columns: object) -> None:
        """Change all rows of a table behind everybody's back."""
        self.store.write(lambda session: session.execute(sa.update(model).values(columns)).close())

    def elsewhere(self, host: int) -> None:
        """From now on the surveys are of that host."""
        self.on = rows.Ground(**{**self.on.__dict__, "host": host})
        self.watch = surveys.Watch(host, rows.DEPLOYMENT, SETTINGS)

    def found(self, event: lifecycle.Found) -> None:
        """Let a step find so."""
        self.store.write(
            lambda session: intents.move(
                session, session.get_one(models.Instance, self.key), event, None, self.now
            )
        )

    def second_host(self) -> int:
        return self.store.write(lambda session: rows.host(session, "host-2"))

    @property
    def instance(self) -> models.Instance:
        with self.store.read() as session:
            found = session.get_one(models.Instance, self.key)
            session.expunge(found)
            return found

    def phase(self) -> str:
        return self.instance.phase


def test_one_survey_that_sees_a_vm_off_concludes_nothing(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    report = scene.survey("Off")
    assert report.unsettled
    assert scene.phase() == "running"
    scene.survey("Running")
    scene.survey("Off")
    assert scene.phase() == "running"


@pytest.mark.parametrize(
    ("behavior", "ending", "phase", "code"),
    [
        ("stop", "guest", "stopped", "Client.InstanceInitiatedShutdown"),
        ("terminate", "guest", "shutting-down", "Client.InstanceInitiatedShutdown"),
        ("terminate", "turned-off", "stopped", "Server.ScheduledStop"),
        ("terminate", "asked", "stopped", "Server.ScheduledStop"),
        ("terminate", None, "stopped", "Client.InstanceInitiatedShutdown"),
    ],
)
def test_who_stopped_a_vm_decides_what_becomes_of_it(
    store: Store, behavior: str, ending: Ending | None, phase: str, code: str
) -> None:
    scene = Scene(store)
    store.write(
        lambda session: session.execute(
            sa.update(models.Instance).values(shutdown_behavior=behavior)
        ).close()
    )
    scene.survey("Running")
    scene.survey("Off")
    scene.survey("Off", ending=ending)
    assert (scene.phase(), scene.instance.state_reason_code) == (phase, code)


def test_when_a_guest_was_first_heard_is_kept(store: Store) -> None:
    scene = Scene(store)
    heard: list[dt.datetime | None] = []
    for heartbeat in ("NoContact", "OkApplicationsUnknown", "NoContact", "OkApplicationsHealthy"):
        scene.survey("Running", heartbeat=heartbeat)
        with store.read() as session:
            heard.append(session.get_one(models.Look, scene.key).answered_at)
    first = rows.NOW + dt.timedelta(seconds=4)
    assert heard == [None, first, first, first]


def test_what_ran_before_the_hosts_restart_runs_again(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    generation = scene.instance.generation
    later = BOOT + dt.timedelta(hours=3)
    scene.survey("Off", boot=later)
    scene.survey("Off", boot=later)
    assert scene.phase() == "starting"
    assert scene.instance.generation == generation + 1


def test_an_administrators_start_is_shown(store: Store) -> None:
    scene = Scene(store, "stopped")
    scene.survey("Running")
    assert scene.phase() == "running"


def test_what_ran_before_the_hosts_restart_runs_again_once(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    later = BOOT + dt.timedelta(hours=3)
    scene.survey("Off", boot=later)
    scene.survey("Off", boot=later)
    assert scene.phase() == "starting"
    scene.change(models.Instance, phase="running")  # and off again before any survey saw it run
    scene.survey("Off", boot=later)
    scene.survey("Off", boot=later, ending="guest")
    assert scene.phase() == "stopped"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_host_whose_clock_was_set_did_not_restart(store: Store, hours: int) -> None:
    scene, by = Scene(store), dt.timedelta(hours=hours)
    scene.survey("Running")
    scene.survey("Off", boot=BOOT + by, host_is_ahead_by=by)
    scene.survey("Off", boot=BOOT + by, host_is_ahead_by=by, ending="guest")
    assert scene.phase() == "stopped"


def test_a_host_whose_clock_was_set_and_that_restarted_did_restart(store: Store) -> None:
    scene, by = Scene(store), dt.timedelta(hours=2)
    scene.survey("Running")
    scene.survey("Running", boot=BOOT + by, host_is_ahead_by=by)
    later = scene.now + by
    scene.survey("Off", boot=later, host_is_ahead_by=by)
    scene.survey("Off", boot=later, host_is_ahead_by=by)
    assert scene.phase() == "starting"


def test_what_no_survey_saw_run_before_the_hosts_restart_runs_again_too(store: Store) -> None:
    scene = Scene(store, "pending")
    scene.found("launched")
    later = BOOT + dt.timedelta(hours=3)
    scene.survey("Off", boot=later)
    scene.survey("Off", boot=later)
    assert scene.phase() == "starting"


def test_what_was_started_since_the_hosts_restart_was_not_ended_by_it(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    scene.change(models.Instance, phase="stopped")
    later = BOOT + dt.timedelta(hours=3)
    scene.survey("Off", boot=later)
    scene.change(models.Instance, phase="starting")
    scene.found("started")
    scene.survey("Off", boot=later)
    scene.survey("Off", boot=later, ending="guest")
    assert scene.phase() == "stopped"


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_hosts_wrong_clock_does_not_change_who_stopped_a_vm(store: Store, hours: int) -> None:
    scene = Scene(store)
    scene.change(models.Instance, shutdown_behavior="terminate", phase_since=rows.NOW)
    wrong = dt.timedelta(hours=hours)
    scene.survey("Running", host_is_ahead_by=wrong)
    scene.survey("Off", host_is_ahead_by=wrong)
    scene.survey("Off", host_is_ahead_by=wrong, ending="guest")
    assert scene.phase() == "shutting-down"


# -- not there


def test_a_vanished_vm_ends_its_instance_and_gives_back_what_it_held(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    for _ in range(2):
        scene.survey(None)
        assert scene.phase() == "running"
    scene.survey(None)
    assert scene.phase() == "terminated"
    with store.read() as session:
        for model in (models.NetworkInterface, models.Volume, models.Look, models.Work):
            assert session.scalar(sa.select(sa.func.count()).select_from(model)) == 0


def test_a_vm_that_is_seen_again_has_not_vanished(store: Store) -> None:
    scene = Scene(store)
    for state in ("Running", None, None, "Running", None, None):
        scene.survey(state)
    assert scene.phase() == "running"


def test_a_host_that_has_just_started_tells_of_nothing_that_is_missing(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    boot = scene.now + dt.timedelta(seconds=1)
    scene.survey(None, boot=boot)
    with store.read() as session:
        assert session.get_one(models.Look, scene.key).vm_state == "Running"


def test_nothing_vanishes_while_a_host_of_its_zone_is_out_of_sight(store: Store) -> None:
    scene = Scene(store)
    other = scene.second_host()

    def see(reachable: bool, at: dt.datetime) -> None:
        store.write(
            lambda session: session.execute(
                sa.update(models.Host)
                .where(models.Host.key == other)
                .values(reachable=reachable, surveyed_at=at)
            ).close()
        )

    see(False, rows.NOW)
    for _ in range(4):
        scene.survey(None)
    assert scene.phase() == "running"
    see(True, scene.now + dt.timedelta(hours=1))  # by a clock that was set back since
    scene.survey(None)
    assert scene.phase() == "running"
    see(True, scene.now)
    scene.survey(None)
    assert scene.phase() == "terminated"


def test_a_clock_that_was_set_back_holds_a_conclusion_up_and_no_more(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    scene.survey(None)
    scene.survey(None, passed=-dt.timedelta(hours=5))
    for _ in range(2):
        scene.survey(None)
    assert scene.phase() == "terminated"


# -- elsewhere


def test_a_vm_that_moved_to_another_host_is_followed(store: Store) -> None:
    scene = Scene(store)
    other = scene.second_host()
    scene.survey("Running")
    scene.survey(None)
    scene.elsewhere(other)
    scene.survey("Running")
    assert scene.instance.host_key == other
    assert scene.phase() == "running"
    with store.read() as session:
        assert session.get_one(models.Look, scene.key).vm_state == "Running"


def test_a_vm_whose_host_died_is_followed_where_it_runs(store: Store) -> None:
    scene = Scene(store)
    first, other = scene.on.host, scene.second_host()
    scene.survey("Running")
    store.write(
        lambda session: session.execute(
            sa.update(models.Host).where(models.Host.key == first).values(reachable=False)
        ).close()
    )
    scene.elsewhere(other)
    scene.survey("Off")
    assert scene.instance.host_key == first
    scene.survey("Running")
    assert scene.instance.host_key == other


@pytest.mark.parametrize("state", ["Off", "Running"])
def test_a_replica_of_the_same_guid_is_nobodys_instance(store: Store, state: str) -> None:
    scene = Scene(store)
    first, other = scene.on.host, scene.second_host()
    scene.survey("Running")
    scene.elsewhere(other)
    for _ in range(3):
        report = scene.survey(state)
        assert not report.says_something()
    assert scene.instance.host_key == first
    assert scene.phase() == "running"


# -- what happens meanwhile


def test_a_survey_older_than_the_rows_last_move_is_moot(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    scene.survey("Off")
    back = scene.now - dt.timedelta(days=1)
    scene.survey(
        "Off",
        ending="guest",
        meanwhile=lambda: scene.change(models.Instance, phase_since=back),
    )
    assert scene.phase() == "running"


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_was_set_makes_no_survey_moot(store: Store, days: int) -> None:
    scene = Scene(store)
    scene.change(models.Instance, phase_since=scene.now + dt.timedelta(days=days))
    scene.survey("Running")
    scene.survey("Off")
    scene.survey("Off")
    assert scene.phase() == "stopped"


def test_what_a_survey_saw_of_an_instance_that_ended_meanwhile_leaves_nothing(store: Store) -> None:
    scene = Scene(store, "shutting-down")
    scene.survey("Running")
    scene.survey("Off", meanwhile=lambda: scene.found("removed"))
    with store.read() as session:
        for model in (models.Look, models.Work):
            assert session.scalar(sa.select(sa.func.count()).select_from(model)) == 0


@pytest.mark.parametrize("phase", sorted(lifecycle.WORKING))
def test_rows_that_are_being_driven_are_left_to_their_step(
    store: Store, phase: lifecycle.Phase
) -> None:
    scene = Scene(store, phase)
    for state in ("Off", "Off", None, None):
        scene.survey(state)
    assert scene.phase() == phase


def test_foreign_vms_count_in_capacity_and_ours_without_a_row_are_told(store: Store) -> None:
    scene = Scene(store)
    size = (4, 4 * 2**30)
    foreign = vm.Vm("f" * 36, scene.instance.id, "Running", "", "D:\\vms", 1, None, *size)
    saved = vm.Vm("e" * 36, "theirs", "Off", "my notes", "D:\\vms", 1, None, *size)
    ours = vm.notes(rows.DEPLOYMENT, "i-1")
    stray = vm.Vm("d" * 36, "i-1", "Off", ours, "C:\\ec2gw", 1, None, *size)
    report = scene.survey("Running", others=(foreign, saved, stray))
    assert report.strays == [stray]
    with store.read() as session:
        host = session.get_one(models.Host, scene.on.host)
        assert (host.foreign_vms, host.foreign_memory_bytes) == (3, 4 * 2**30)


def test_an_unchanged_look_is_not_written_again(store: Store) -> None:
    scene = Scene(store)
    assert scene.survey("Running").says_something()
    assert not scene.survey("Running").says_something()


def test_what_was_terminated_long_ago_is_forgotten_with_its_tags(store: Store) -> None:
    on = store.write(rows.ground)
    keys = []
    for hours in (30, 2):

        def made(session: Session, ago: int = hours) -> int:
            instance = rows.instance(session, on, "shutting-down", vm_id=None)
            intents.move(session, instance, "removed", None, rows.NOW - dt.timedelta(hours=ago))
            session.add(
                models.Tag(
                    resource_type="instance",
                    resource_key=instance.key,
                    key="Name",
                    value="x",
                    resource_id=instance.id,
                    account_key=on.account,
                    region="us-east-1",
                )
            )
            return instance.key

        keys.append(store.write(made))
    before = rows.NOW - dt.timedelta(hours=24)
    assert store.write(lambda session: intents.forget(session, before)) == 1
    with store.read() as session:
        assert list(session.scalars(sa.select(models.Instance.key))) == [keys[1]]
        assert list(session.scalars(sa.select(models.Tag.resource_key))) == [keys[1]]
        assert session.scalar(sa.select(sa.func.count()).select_from(models.Reservation)) == 1
