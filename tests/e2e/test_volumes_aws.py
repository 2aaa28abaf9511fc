"""Volumes through the unmodified `aws`: what its pages of examples tell to type."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import LINUX_IMAGE, Gateway, clean_environment

REGION = "eu-central-1"
AWS = Path(__file__).parents[2] / ".venv" / "bin" / "aws"


def aws(gateway: Gateway, command: str) -> Any:
    """Run `aws ec2 ...`; answer what it prints, read."""
    done = subprocess.run(
        [str(AWS), "ec2", *command.split(), "--region", REGION, "--output", "json"],
        env={**clean_environment(), **gateway.environment, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def until(holds: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit, f"never happened: {what}"
        time.sleep(0.2)


@pytest.mark.timeout(180)
def test_a_volume_by_hand(gateway: Gateway) -> None:
    launched = aws(
        gateway,
        f"run-instances --image-id {LINUX_IMAGE} --instance-type t3.micro "
        f"--placement AvailabilityZone={REGION}a "
        "--block-device-mappings DeviceName=/dev/sdf,Ebs={VolumeSize=2}",
    )
    instance_id = launched["Instances"][0]["InstanceId"]
    made = aws(
        gateway,
        f"create-volume --availability-zone {REGION}a --size 3 --volume-type gp3 "
        "--tag-specifications ResourceType=volume,Tags=[{Key=Name,Value=hand}]",
    )
    volume_id = made["VolumeId"]

    def state(volume_id: str) -> str:
        [one] = aws(gateway, f"describe-volumes --volume-ids {volume_id}")["Volumes"]
        return str(one["Attachments"][0]["State"] if one["Attachments"] else one["State"])

    def running() -> bool:
        listed = aws(gateway, f"describe-instances --instance-ids {instance_id}")
        found = listed["Reservations"][0]["Instances"][0]
        return bool(found["State"]["Name"] == "running")

    until(lambda: state(volume_id) == "available", "it is made")
    until(running, "the instance runs")
    aws(
        gateway,
        f"attach-volume --volume-id {volume_id} --instance-id {instance_id} --device /dev/sdg",
    )
    until(lambda: state(volume_id) == "attached", "it is attached")
    found = aws(gateway, f"describe-instances --instance-ids {instance_id}")
    mapped = found["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
    assert [one["DeviceName"] for one in mapped] == ["/dev/sda1", "/dev/sdf", "/dev/sdg"]
    modified = aws(gateway, f"modify-volume --volume-id {volume_id} --size 5")
    assert modified["VolumeModification"]["TargetSize"] == 5

    def done() -> bool:
        listed = aws(gateway, f"describe-volumes-modifications --volume-ids {volume_id}")
        return bool(listed["VolumesModifications"][0]["ModificationState"] == "completed")

    until(done, "it has grown")
    aws(gateway, f"detach-volume --volume-id {volume_id}")
    until(lambda: state(volume_id) == "available", "it is detached")
    aws(gateway, f"delete-volume --volume-id {volume_id}")
    aws(gateway, f"terminate-instances --instance-ids {instance_id}")
