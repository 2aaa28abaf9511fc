"""A copy taken while launches go on, put into a fresh data folder beside the same hosts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.lab.world import World
from tests.gateway import LINUX_IMAGE, Gateway, clean_environment, wait_until


def command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ec2gw", *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def launch(ec2: Any, count: int = 1) -> list[str]:
    answer = ec2.run_instances(ImageId=LINUX_IMAGE, MinCount=count, MaxCount=count)
    return [one["InstanceId"] for one in answer["Instances"]]


def seen(ec2: Any, ids: list[str]) -> dict[str, tuple[str, str]]:
    found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    return {
        one["InstanceId"]: (one["State"]["Name"], one.get("PrivateIpAddress", ""))
        for each in found
        for one in each["Instances"]
    }


def all_are(ec2: Any, ids: list[str], state: str) -> bool:
    return {name for name, _ in seen(ec2, ids).values()} == {state}


@pytest.mark.timeout(180)
def test_a_copy_of_a_busy_service_is_restored_beside_its_hosts(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"pace": 0.02}))
    environ = {
        "EC2GW_LAB_FAULTS": str(faults),
        "EC2GW_SETTINGS_SURVEY_SHORTEST_SECONDS": "0.2",
        "EC2GW_SETTINGS_SURVEY_LONGEST_SECONDS": "2",
    }
    copy, key, old, new = (tmp_path / name for name in ("copy", "key", "old", "new"))
    launched: list[str] = []
    with Gateway(old, environ=environ) as gateway:
        ec2 = gateway.client()
        launched += launch(ec2, 2)
        ended = launched[1]
        wait_until(lambda: all_are(ec2, launched, "running"), 30)
        busy = threading.Thread(target=lambda: launched.extend(launch(ec2)[0] for _ in range(8)))
        busy.start()
        wait_until(lambda: len(launched) >= 4, 30)
        told = command("backup", str(copy), "--key-to", str(key), "--data", str(old))
        busy.join(60)
        assert len(launched) == 10
        wait_until(lambda: all_are(ec2, launched, "running"), 30)
        ec2.terminate_instances(InstanceIds=[ended])
        wait_until(lambda: all_are(ec2, [ended], "terminated"), 30)
        kept = [one for one in launched if one != ended]
        before = seen(ec2, kept)
    assert "instances" in told
    new.mkdir(mode=0o700)
    shutil.copytree(old / "lab", new / "lab")  # the hosts go on as they are
    command("restore", str(copy), "--key", str(key), "--data", str(new))
    down = {"pace": 0.02, "down": ["lab-c"]}
    faults.write_text(json.dumps(down))
    with Gateway(new, environ=environ) as gateway:
        ec2 = gateway.client()
        assert seen(ec2, [launched[0]])[launched[0]] == before[launched[0]]  # reads go on
        for change in (
            lambda: launch(ec2),
            lambda: ec2.stop_instances(InstanceIds=[launched[0]]),
            lambda: ec2.create_key_pair(KeyName="k"),
        ):
            with pytest.raises(ClientError) as refused:
                change()
            answer = refused.value.response
            assert answer["Error"]["Code"] == "Unavailable"
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert "recovery is on" in _host_list(new)
        faults.write_text(json.dumps({"pace": 0.02}))
        wait_until(lambda: "recovery is on" not in _host_list(new), 60)
        assert seen(ec2, kept) == before
        assert all_are(ec2, [ended], "terminated")
        more = launch(ec2, 3)
        wait_until(lambda: all_are(ec2, more, "running"), 30)
        addresses = {address for _, address in seen(ec2, kept + more).values()}
        assert len(addresses) == len(kept) + 3
        ec2.terminate_instances(InstanceIds=kept + more)
        wait_until(lambda: all_are(ec2, kept + more, "terminated"), 60)
    world = World(new / "lab" / "world.sqlite3", hosts=())
    try:
        assert [vm for host in world.snapshot().values() for vm in host["vms"]] == []
    finally:
        world.close()


def _host_list(data: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ec2gw", "host", "list", "--data", str(data)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout + done.stderr
