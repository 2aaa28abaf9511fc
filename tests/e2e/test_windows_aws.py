"""Windows instances and their status, by the unmodified `aws`: password, events, reports."""

from __future__ import annotations

import datetime as dt
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw import config
from state import models
from state.secrets import Vault
from state.store import Store
from tests.gateway import WINDOWS_IMAGE, Gateway
from translators.guests import maintenance, passwords

REGION = "eu-west-3"
SECONDS = 60


def aws(gateway: Gateway, *arguments: str) -> Any:
    return gateway.aws("ec2", *arguments, "--region", REGION)


@pytest.fixture(scope="module")
def key_file(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = aws(gateway, "create-key-pair", "--key-name", "windows")
    file = tmp_path_factory.mktemp("keys") / "windows.pem"
    file.write_text(made["KeyMaterial"])
    file.chmod(stat.S_IRUSR)
    return file


@pytest.fixture(scope="module")
def instance_id(gateway: Gateway, key_file: Path) -> str:
    """A Windows instance that runs and whose guest answers."""
    made = aws(gateway, "run-instances", "--image-id", WINDOWS_IMAGE, "--key-name", key_file.stem)
    [one] = made["Instances"]
    assert (one["Platform"], one["UsageOperation"]) == ("windows", "RunInstances:0002")
    found: str = one["InstanceId"]
    ask = ("describe-instance-status", "--instance-ids", found)
    deadline = time.monotonic() + SECONDS
    while True:
        [*shown] = aws(gateway, *ask)["InstanceStatuses"]
        if shown and shown[0]["InstanceStatus"]["Status"] == "ok":
            return found
        assert time.monotonic() < deadline, shown
        time.sleep(0.5)


def test_the_aws_command_decrypts_the_administrator_s_password(
    gateway: Gateway, instance_id: str, key_file: Path
) -> None:
    asked = ("get-password-data", "--instance-id", instance_id)
    sealed = aws(gateway, *asked)
    assert sealed["InstanceId"] == instance_id
    assert len(sealed["PasswordData"]) == 344
    opened = aws(gateway, *asked, "--priv-launch-key", str(key_file))["PasswordData"]
    vault = Vault(config.resolved(gateway.data).key_file)
    assert opened == passwords.given(instance_id, vault.derive("guest passwords"))


def test_what_is_planned_for_a_host_is_shown_to_its_instances(
    gateway: Gateway, instance_id: str
) -> None:
    begin = dt.datetime(2126, 1, 31, 22, tzinfo=dt.UTC)
    row = models.HostEvent(
        code="system-reboot",
        description="firmware & more",
        not_before=begin,
        not_after=begin + dt.timedelta(hours=1),
        created_at=begin,
    )

    def plan(session: Any) -> int:
        instance = models.Instance
        row.host_key = session.scalar(
            sa.select(instance.host_key).where(instance.id == instance_id)
        )
        session.add(row)
        session.flush()
        return row.key

    store = Store(config.resolved(gateway.data).database)
    try:
        key = store.write(plan)
        expected = {
            "InstanceEventId": maintenance.event_id(key, instance_id),
            "Code": "system-reboot",
            "Description": "firmware & more",
            "NotBefore": "2126-01-31T22:00:00.000Z",
            "NotAfter": "2126-01-31T23:00:00.000Z",
        }
        [shown] = aws(
            gateway,
            *("describe-instance-status", "--filters"),
            *("Name=event.code,Values=system-reboot", "Name=event.not-before,Values=2126-*"),
            f"Name=event.instance-event-id,Values={expected['InstanceEventId']}",
        )["InstanceStatuses"]
        assert (shown["InstanceId"], shown["Events"]) == (instance_id, [expected])
    finally:
        store.write(lambda session: session.execute(sa.delete(models.HostEvent)).close())
        store.close()


def test_a_report_is_taken(gateway: Gateway, instance_id: str) -> None:
    answer = aws(
        gateway,
        *("report-instance-status", "--instances", instance_id, "--status", "impaired"),
        *("--reason-codes", "unresponsive", "other", "--start-time", "2026-01-02T03:04:05Z"),
    )
    assert answer is None
    assert "event=status-reported" in gateway.log.read_text()
