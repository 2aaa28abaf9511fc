"""A guest's disc, made anew at starts and ejected, cut at every place, each process in turn.

One instance is stopped, given other user data and started, over and over; after each cut the
process is started again. In the end its disc holds what was given last, or, where discs go at the
first answer of their guest, a bare one has taken its place and the file is gone.

EC2GW_STOP_EVERY=N cuts at every 4N-th place only, unless N is 1;
EC2GW_STOP_FROM=M begins M places later.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable

import pycdlib
import pytest
from botocore.exceptions import ClientError

from tests.stop_points.test_cuts import EVERY, FROM, answered, launch, rest
from tests.stop_points.trio import Trio

STRIDE = EVERY if EVERY == 1 else 4 * EVERY
"""The usual run has less time for discs than for instances."""
Live = Callable[[Trio, str, int], None]


def disc(trio: Trio, instance_id: str) -> tuple[list[str | None], bytes | None]:
    """What is in the VM's DVD drives, and the disc's file."""
    at = f"C:\\ec2gw\\instances\\{instance_id}\\seed.iso"
    for host in trio.world.snapshot():
        with trio.world.reading(host) as session:
            for vm in session.vms():
                if vm.name == instance_id:
                    content = session.content(at) if session.file(at) else None
                    return [dvd.path for dvd in vm.dvds], content
    raise AssertionError(f"no VM of {instance_id}")


def user_data(content: bytes) -> bytes:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(content))
    found = io.BytesIO()
    iso.get_file_from_iso_fp(found, rr_path="/user-data")
    iso.close()
    return found.getvalue()


def start_anew(trio: Trio, instance_id: str, run: int) -> None:
    answered(trio, lambda: trio.ec2.stop_instances(InstanceIds=[instance_id], Force=True))
    rest(trio, [instance_id], "stopped")
    data = b"#!run-%d" % run
    answered(
        trio,
        lambda: trio.ec2.modify_instance_attribute(
            InstanceId=instance_id, UserData={"Value": data}
        ),
    )
    try:
        answered(trio, lambda: trio.ec2.start_instances(InstanceIds=[instance_id]))
    except ClientError as error:  # asked for again, since the answer was lost
        if error.response["Error"]["Code"] != "IncorrectInstanceState":
            raise
    rest(trio, [instance_id], "running")


def renew(trio: Trio, instance_id: str, run: int) -> None:
    """One run of a disc that stays."""
    start_anew(trio, instance_id, run)
    [path], content = disc(trio, instance_id)
    assert path is not None
    assert path.endswith(f"\\{instance_id}\\seed.iso")
    assert content is not None
    assert user_data(content) == b"#!run-%d" % run


def eject(trio: Trio, instance_id: str, run: int) -> None:
    """One run of a disc that goes."""
    start_anew(trio, instance_id, run)
    bare = f"C:\\ec2gw\\instances\\{instance_id}\\bare.iso"
    trio.until(lambda: disc(trio, instance_id) == ([bare], None), "the disc is gone")


@pytest.mark.stop_points
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("live", "stays", "processes"),
    [(renew, "never", ["engine"]), (eject, "first-heartbeat", ["engine", "lab"])],
)
def test_no_cut_loses_a_disc_or_leaves_one(
    tmp_path_factory: pytest.TempPathFactory, live: Live, stays: str, processes: list[str]
) -> None:
    trio = Trio(tmp_path_factory.mktemp("trio"), {"guest.eject_seed_after": stays})
    try:
        [one] = launch(trio, "one", 1)["Instances"]
        instance_id: str = one["InstanceId"]
        rest(trio, [instance_id], "running")
        for base, process in enumerate(processes, 7):
            cuts = cut_at_places(trio, instance_id, live, process, 100_000 * base)
            print(f"{process}: cut at {cuts} places")
    finally:
        trio.close()


def cut_at_places(trio: Trio, instance_id: str, live: Live, process: str, base: int) -> int:
    trio.plan(base, "none", 0)
    live(trio, instance_id, base)
    deaths, cuts, whole = trio.deaths, 0, 0
    for run in itertools.count(base + 1):
        trio.plan(run, process, 1 + FROM + STRIDE * (cuts + whole))
        live(trio, instance_id, run)
        if trio.cut(run) is not None:
            cuts += 1
            continue
        whole += 1
        if whole == 2:
            break
    assert cuts > 0
    assert trio.deaths - deaths >= cuts
    return cuts
