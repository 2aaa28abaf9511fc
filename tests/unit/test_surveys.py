"""What surveys of a host mean for the instances there."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models
from state.store import Store
from tests import rows
from translators.ec2.instances import intents, surveys
from translators.hyperv import vm
from translators.hyperv.survey import Ending, Survey

GUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
BOOT = rows.NOW - dt.timedelta(days=1)


class Scene:
    """A host with one instance, and surveys that follow each other."""

    def __init__(self, store: Store, phase: lifecycle.Phase = "running") -> None:
        self.store = store
        self.on = store.write(rows.ground)
        self.key = store.write(
            lambda session: rows.instance(session, self.on, phase, vm_id=GUID).key
        )
        self.watch = surveys.Watch(self.on.host, rows.DEPLOYMENT)
        self.now = rows.NOW

    def survey(
        self,
        state: str | None,
        *,
        boot: dt.datetime = BOOT,
        ending: Ending | None = None,
        others: tuple[vm.Vm, ...] = (),
    ) -> surveys.Report:
        self.now += dt.timedelta(seconds=2)
        seen = list(others)
        if state is not None:
            with self.store.read() as session:
                name = session.get_one(models.Instance, self.key).id
            notes = vm.notes(rows.DEPLOYMENT, name)
            seen.append(vm.Vm(GUID, name, state, notes, "x", 10, None, 2, 2**30))
        survey = Survey(self.now, tuple(seen), 64, 2**39, 2**38, 2**40, boot, self.now, ("ec2gw",))
        with self.store.read() as session:
            report = self.watch.compare(session, survey, {})
        endings = {GUID: (ending, self.now)} if ending else {}
        self.store.write(
            lambda session: surveys.apply(
                session, self.on.host, report, survey, endings, {}, self.now
            )
        )
        return report

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


def test_a_vanished_vm_ends_its_instance_and_gives_back_what_it_held(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    scene.survey(None)
    assert scene.phase() == "running"
    scene.survey(None)
    assert scene.phase() == "terminated"
    with store.read() as session:
        for model in (models.NetworkInterface, models.Volume, models.Look, models.Work):
            assert session.scalar(sa.select(sa.func.count()).select_from(model)) == 0


def test_nothing_vanishes_while_a_host_of_its_zone_is_out_of_sight(store: Store) -> None:
    scene = Scene(store)
    other = store.write(lambda session: rows.host(session, "host-2"))

    def see(reachable: bool, at: dt.datetime) -> None:
        store.write(
            lambda session: session.execute(
                sa.update(models.Host)
                .where(models.Host.key == other)
                .values(reachable=reachable, surveyed_at=at)
            ).close()
        )

    see(False, rows.NOW)
    for _ in range(3):
        scene.survey(None)
    assert scene.phase() == "running"
    see(True, scene.now)
    scene.survey(None)
    assert scene.phase() == "terminated"


def test_a_vm_that_moved_to_another_host_is_followed(store: Store) -> None:
    scene = Scene(store)
    other = store.write(lambda session: rows.host(session, "host-2"))
    scene.survey("Running")
    scene.on = rows.Ground(**{**scene.on.__dict__, "host": other})
    scene.watch = surveys.Watch(other, rows.DEPLOYMENT)
    scene.survey("Running")
    assert scene.instance.host_key == other
    assert scene.phase() == "running"


def test_a_survey_older_than_the_owners_wish_is_moot(store: Store) -> None:
    scene = Scene(store)
    scene.survey("Running")
    scene.survey("Off")
    future = scene.now + dt.timedelta(minutes=1)
    store.write(
        lambda session: session.execute(
            sa.update(models.Instance).values(phase_since=future)
        ).close()
    )
    scene.survey("Off", ending="guest")
    assert scene.phase() == "running"


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
    assert report.strays == ["i-1"]
    with store.read() as session:
        host = session.get_one(models.Host, scene.on.host)
        assert (host.foreign_vms, host.foreign_memory_bytes) == (2, 4 * 2**30)


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
