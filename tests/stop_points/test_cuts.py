"""A launch of three and a terminate of three, cut at every place, each process in turn.

Places are counted until a run is over before it comes to its own.

After each cut the process is started again until all is quiet; then the laboratory's world is
held against what the API answered: every answered instance is what it should be, no VM is there
twice, none is left, none is unknown.

EC2GW_STOP_EVERY=N cuts at every N-th place only (default 12), and
EC2GW_STOP_FROM=K begins at another of them.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import figures
from tests.stop_points.trio import Trio

EVERY = int(os.environ.get("EC2GW_STOP_EVERY", "12"))
FROM = int(os.environ.get("EC2GW_STOP_FROM", "0")) % EVERY
BASES = {"api": 100_000, "engine": 200_000, "lab": 300_000}
"""Where the numbers of each process's runs begin; each may have a worker of its own."""
IMAGE = "ami-0ec20000000000001"


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    made = Trio(tmp_path_factory.mktemp("trio"))
    yield made
    made.close()


def answered(trio: Trio, call: Callable[[], Any]) -> Any:
    """Call the API while its process may die and is started again."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        done = threading.Event()
        future.add_done_callback(lambda _future: done.set())
        trio.until(done.is_set, "the API answers")
        return future.result()


def rest(trio: Trio, ids: list[str], state: str) -> None:
    def holds() -> bool:
        return bool(answered(trio, lambda: trio.states(ids)) == [state] * len(ids))

    trio.until(holds, f"all are {state}")


def launch(trio: Trio, token: str, count: int = 3) -> Any:
    """Launch so many; while no host is seen, as just after a cut, EC2's clients ask again."""
    limit = time.monotonic() + 60
    while True:
        try:
            return answered(
                trio,
                lambda: trio.ec2.run_instances(
                    ImageId=IMAGE, MinCount=count, MaxCount=count, ClientToken=token
                ),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "InsufficientInstanceCapacity":
                raise
            assert time.monotonic() < limit, "no host ever came back"


def launch_and_terminate(trio: Trio, run: int) -> None:
    """One run: three launched, seen to run, terminated, seen to be gone."""
    launched = launch(trio, f"run-{run}")
    ids = [one["InstanceId"] for one in launched["Instances"]]
    rest(trio, ids, "running")
    vms = trio.vms()
    assert sorted(vm["name"] for vm in vms) == sorted(ids)
    assert {vm["state"] for vm in vms} == {"Running"}
    assert trio.folders() == set(ids)
    answered(trio, lambda: trio.ec2.terminate_instances(InstanceIds=ids))
    rest(trio, ids, "terminated")
    assert trio.vms() == []
    assert trio.folders() == set()


@pytest.mark.stop_points
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    "process", [pytest.param(one, marks=pytest.mark.xdist_group(one)) for one in BASES]
)
def test_no_cut_loses_or_doubles_anything(trio: Trio, process: str) -> None:
    base = BASES[process]
    began = time.monotonic()
    trio.plan(base, "none", 0)
    launch_and_terminate(trio, base)  # what is done once, such as an account's network, is done
    cuts, whole = 0, 0
    for run in itertools.count(base + 1):
        trio.plan(run, process, 1 + FROM + EVERY * (cuts + whole))
        launch_and_terminate(trio, run)
        if trio.cut(run) is not None:
            cuts += 1
            continue
        # How many places a run passes varies a little with what happens to coincide.
        whole += 1
        if whole == 2:
            break
    assert cuts * EVERY > 10 - FROM
    assert trio.deaths >= cuts
    took = time.monotonic() - began
    figures.tell(f"{process}: cut at {cuts} places in {took:.0f} s, nothing lost, nothing doubled")
