"""The steps of a guest's disc: what is decided for each sight of its drive and its file."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib

import pytest

from tests import told
from translators import steps
from translators.ec2.instances import seeds
from translators.guests import disc
from translators.hyperv import seed, vm
from translators.hyperv.drive import Place
from translators.hyperv.file import FileState
from translators.hyperv.host import HostFault, Plan
from translators.settings import Guest, Settings

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
GUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
FACTS = told.facts()
ID = FACTS.id
BARE = f"C:\\ec2gw\\instances\\{ID}\\bare.iso"
OURS = f"C:\\ec2gw\\instances\\{ID}\\seed.iso"
SCSI, IDE = Place("SCSI", 63), Place("IDE", 0, number=1)
THERE = seeds.Intent(
    key=1,
    id=ID,
    host_key=1,
    phase="there",
    generation=1,
    since=NOW - dt.timedelta(seconds=900),
    now=NOW,
    root="C:\\ec2gw",
    vm_id=GUID,
    vm_generation=2,
    stays_seconds=600,
    told=None,
    attempt=None,
    settings=Settings(),
)
STALE = dataclasses.replace(THERE, phase="stale", told=FACTS)


def made() -> bytes:
    found = disc.make(FACTS, Settings())
    assert found is not None
    return found.content


CONTENT = made()
WHOLE = FileState(len(CONTENT), False, hashlib.sha256(CONTENT).hexdigest())
OLD = FileState(len(CONTENT), False, "0" * 64)


def sight(
    path: str | None,
    file: FileState | None = None,
    *,
    state: str = "Running",
    uptime: int = 700,
    place: Place = SCSI,
) -> seed.Sight:
    """`path` None: there is no drive."""
    drives = () if path is None else (seed.Drive(place, path),)
    machine = vm.Vm(GUID, ID, state, "", "", uptime, "OkApplicationsUnknown", 2, 2**30)
    return seed.Sight(machine, drives, file)


def plan_of(decision: steps.Decision) -> Plan:
    assert isinstance(decision, steps.Do)
    return decision.plan


def off(path: str | None, file: FileState | None = None, **more: Place) -> seed.Sight:
    return sight(path, file, state="Off", uptime=0, **more)


def test_the_disc_is_taken_out_before_its_file_goes() -> None:
    assert plan_of(seeds.eject(THERE, sight(OURS, OLD))) == seed.eject(GUID, SCSI)
    assert plan_of(seeds.eject(THERE, sight("", OLD))) == seed.remove(ID)
    assert seeds.eject(THERE, sight("")) == steps.Rest("gone")


def test_a_bare_disc_takes_its_place_where_one_is_wanted() -> None:
    intent = dataclasses.replace(THERE, told=FACTS)
    bare = disc.bare(FACTS, Settings())
    assert bare is not None
    plan = plan_of(seeds.eject(intent, sight(OURS, OLD)))
    assert plan == seed.swap(GUID, SCSI, ID, bare.content)
    assert plan_of(seeds.eject(intent, sight(BARE, OLD))) == seed.remove(ID)
    assert seeds.eject(intent, sight(BARE)) == steps.Rest("gone")
    plain = dataclasses.replace(FACTS, guest=Guest(bare_seed=False))
    intent = dataclasses.replace(THERE, told=plain)
    assert plan_of(seeds.eject(intent, sight(OURS, OLD))) == seed.eject(GUID, SCSI)


def test_a_bare_disc_makes_room_for_a_new_one() -> None:
    plan = plan_of(seeds.renew(STALE, off(BARE)))
    assert plan == seed.put(GUID, 2, ID, CONTENT, has_drive=True)


def test_windows_writes_paths_in_any_case() -> None:
    assert plan_of(seeds.eject(THERE, sight(OURS.upper(), OLD))) == seed.eject(GUID, SCSI)


def test_it_is_taken_out_of_the_drive_that_it_is_in() -> None:
    assert plan_of(seeds.eject(THERE, sight(OURS, OLD, place=IDE))) == seed.eject(GUID, IDE)


@pytest.mark.parametrize("path", ["C:\\tools.iso", "D:\\moved\\seed.iso", None])
def test_what_is_not_ours_stays_in_the_drive(path: str | None) -> None:
    assert seeds.eject(THERE, sight(path)) == steps.Rest("gone")


def test_no_clock_makes_it_go_before_its_time() -> None:
    waited = seeds.eject(THERE, sight(OURS, OLD, uptime=590))
    assert waited == steps.Wait(10)
    at_once = dataclasses.replace(THERE, stays_seconds=0)
    assert isinstance(seeds.eject(at_once, sight(OURS, OLD, uptime=0)), steps.Do)


@pytest.mark.parametrize("step", [seeds.eject, seeds.renew])
def test_nothing_is_done_about_a_vm_that_is_not_here(step: steps.Step) -> None:
    assert isinstance(step(THERE, None), steps.Wait)


def test_an_eject_is_tried_for_ever_with_pauses_that_grow() -> None:
    error = HostFault("InvalidState,x", "InvalidOperation")
    last = steps.Last("eject-disc", NOW, ran=True, error=error, tries=500)
    intent = dataclasses.replace(THERE, tried={"eject-disc": last})
    waited = seeds.eject(intent, sight(OURS, OLD))
    assert waited == steps.Wait(1.0, "eject-disc: InvalidState,x")
    later = dataclasses.replace(intent, now=NOW + dt.timedelta(seconds=61))
    assert isinstance(seeds.eject(later, sight(OURS, OLD)), steps.Do)


@pytest.mark.parametrize(
    ("path", "has_drive"), [(None, False), ("", True), (OURS, True)], ids=["none", "empty", "old"]
)
def test_a_new_disc_is_put_in_while_the_vm_is_off(path: str | None, has_drive: bool) -> None:
    plan = plan_of(seeds.renew(STALE, off(path, OLD)))
    assert plan == seed.put(GUID, 2, ID, CONTENT, has_drive=has_drive)


def test_a_drive_of_the_first_generation_is_filled_where_it_is() -> None:
    intent = dataclasses.replace(STALE, vm_generation=1)
    plan = plan_of(seeds.renew(intent, off("", place=IDE)))
    assert plan == seed.put(GUID, 1, ID, CONTENT, has_drive=True)


def test_a_disc_that_is_there_and_whole_is_believed() -> None:
    rested = seeds.renew(STALE, off(OURS, WHOLE))
    assert rested == steps.Rest("put", facts={"has_password": False})


def test_a_file_that_is_whole_in_no_drive_is_not_enough() -> None:
    assert isinstance(seeds.renew(STALE, off("", WHOLE)), steps.Do)


@pytest.mark.parametrize("state", ["Running", "Saved", "Starting"])
def test_a_vm_that_is_not_off_keeps_what_it_has(state: str) -> None:
    assert isinstance(seeds.renew(STALE, sight(OURS, OLD, state=state)), steps.Wait)


def test_somebody_elses_disc_is_not_put_aside_for_a_new_one() -> None:
    assert seeds.renew(STALE, off("C:\\tools.iso")) == steps.Rest("gone")


def test_a_disc_that_is_wanted_no_more_goes() -> None:
    intent = dataclasses.replace(STALE, told=dataclasses.replace(FACTS, guest=Guest(seed="none")))
    assert plan_of(seeds.renew(intent, off(OURS, OLD))) == seed.eject(GUID, SCSI)
    assert plan_of(seeds.renew(intent, off("", OLD))) == seed.clear(ID)
    assert seeds.renew(intent, off("")) == steps.Rest("gone")
    assert plan_of(seeds.renew(intent, off(BARE))) == seed.eject(GUID, SCSI)
    left = dataclasses.replace(off(""), has_bare=True)
    assert plan_of(seeds.renew(intent, left)) == seed.clear(ID)


def test_a_disc_that_cannot_be_put_in_ends_the_start_that_waits_for_it() -> None:
    error = HostFault("DiskFull", "ResourceUnavailable")
    last = steps.Last("put-disc", NOW, ran=True, error=error, tries=6)
    rested = seeds.renew(dataclasses.replace(STALE, tried={"put-disc": last}), off(""))
    assert isinstance(rested, steps.Rest)
    assert (rested.found, rested.reason and rested.reason[0]) == ("failed", "Server.InternalError")


def test_a_disc_has_a_subject_of_its_own_on_the_host() -> None:
    assert THERE.subject == ID.replace("i-", "seed-")
