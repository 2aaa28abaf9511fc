"""A recovery, cut at every place that the engine passes in it: still nothing is lost or doubled.

Each run launches one, copies the state, launches two more and stops one of them, and starts anew on
the copy. Whatever the cut, the two are adopted once, as they are, and can be terminated.

EC2GW_STOP_EVERY=N cuts at every N-th place only (default 20).
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from state import copies
from tests.stop_points.test_cuts import answered, launch, rest
from tests.stop_points.trio import Trio

EVERY = int(os.environ.get("EC2GW_STOP_EVERY", "20"))


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    made = Trio(tmp_path_factory.mktemp("trio"))
    yield made
    made.close()


def is_recovering(trio: Trio) -> bool:
    with closing(sqlite3.connect(trio.database, timeout=10)) as connection:
        return bool(connection.execute("SELECT recovering FROM deployment").fetchone()[0])


def addresses(trio: Trio, ids: list[str]) -> dict[str, str]:
    found = answered(trio, lambda: trio.ec2.describe_instances(InstanceIds=ids))["Reservations"]
    listed = [one for each in found for one in each["Instances"]]
    return {one["InstanceId"]: one["PrivateIpAddress"] for one in listed}


def copy_launch_restore(trio: Trio, run: int, at: int) -> None:
    old = [one["InstanceId"] for one in launch(trio, f"old-{run}", 1)["Instances"]]
    rest(trio, old, "running")
    copy = trio.data / f"copy-{run}"
    copies.take(trio.database, copy)
    young = [one["InstanceId"] for one in launch(trio, f"young-{run}", 2)["Instances"]]
    rest(trio, young, "running")
    off, *on = young
    answered(trio, lambda: trio.ec2.stop_instances(InstanceIds=[off], Force=True))
    rest(trio, [off], "stopped")
    before = addresses(trio, old + young)
    vms = {vm["id"]: vm["state"] for vm in trio.vms()}
    trio.plan(run, "engine", at)
    trio.put_back(copy)
    trio.until(lambda: not is_recovering(trio), "the recovery ends", seconds=120)
    trio.plan(run + 50_000, "none", 0)
    assert {vm["id"]: vm["state"] for vm in trio.vms()} == vms
    assert addresses(trio, old + young) == before
    rest(trio, old + on, "running")
    rest(trio, [off], "stopped")
    more = [one["InstanceId"] for one in launch(trio, f"more-{run}", 1)["Instances"]]
    rest(trio, more, "running")
    everyone = old + young + more
    assert len(set(addresses(trio, everyone).values())) == len(everyone)
    answered(trio, lambda: trio.ec2.terminate_instances(InstanceIds=everyone))
    rest(trio, everyone, "terminated")
    assert trio.vms() == []
    assert trio.folders() == set()


@pytest.mark.stop_points
@pytest.mark.timeout(3000)
def test_no_cut_of_a_recovery_loses_or_doubles_anything(trio: Trio) -> None:
    base, cuts = 400_000, 0
    for run in itertools.count(base):
        copy_launch_restore(trio, run, 1 + EVERY * (run - base))
        if trio.cut(run) is None:
            break
        cuts += 1
    assert cuts > 1
    print(f"recovery: cut at {cuts} places, nothing lost, nothing doubled")
