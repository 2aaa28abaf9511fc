"""Events of DescribeInstanceStatus: what is planned for a host, told by its instances."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import botocore.session
import pytest
from botocore.model import StringShape

from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.guests import maintenance
from translators.settings import Settings

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def planned(cloud: Cloud, letter: str = "a", **columns: Any) -> int:
    """Plan a reboot of a host for tomorrow."""

    def work(session: Any) -> int:
        row = models.HostEvent(
            **{
                "host_key": cloud.hosts[letter],
                "code": "system-reboot",
                "description": "firmware",
                "not_before": NOW + DAY,
                "not_after": NOW + DAY + HOUR,
                "created_at": NOW,
                **columns,
            }
        )
        session.add(row)
        session.flush()
        return row.key

    return cloud.store.write(work)


def running(cloud: Cloud, letter: str, count: int = 1) -> list[str]:
    ids = cloud.run(count, Placement={"AvailabilityZone": f"us-east-1{letter}"})
    cloud.found("launched", *ids)
    return ids


def told(cloud: Cloud, **request: Any) -> dict[str, list[dict[str, Any]]]:
    """Instance -> its events."""
    answer = cloud.call("DescribeInstanceStatus", **request)
    return {one["InstanceId"]: one["Events"] for one in answer["InstanceStatuses"]}


def test_each_instance_of_the_host_has_an_event_of_its_own(cloud: Cloud) -> None:
    here, there = running(cloud, "a", 2), running(cloud, "b")
    planned(cloud)
    events = told(cloud)
    assert events.keys() == {*here, *there}
    assert events[there[0]] == []
    ids = [events[one][0].pop("InstanceEventId") for one in here]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("instance-event-[0-9a-f]{17}", one) for one in ids)
    for one in here:
        assert events[one] == [
            {
                "Code": "system-reboot",
                "Description": "firmware",
                "NotBefore": NOW + DAY,
                "NotAfter": NOW + DAY + HOUR,
            }
        ]


def test_an_event_keeps_its_id_and_has_no_end_before_somebody_says_one(cloud: Cloud) -> None:
    [instance_id] = running(cloud, "a")
    key = planned(cloud, not_after=None)
    [before] = told(cloud)[instance_id]
    assert "NotAfter" not in before
    cloud.update(models.HostEvent, key, not_before=NOW + 2 * DAY)
    [after] = told(cloud)[instance_id]
    assert (after["InstanceEventId"], after["NotBefore"]) == (
        before["InstanceEventId"],
        NOW + 2 * DAY,
    )


@pytest.mark.parametrize(
    ("cancelled", "said"), [(False, "[Completed] firmware"), (True, "[Canceled] firmware")]
)
def test_what_is_over_is_told_for_a_week(cloud: Cloud, cancelled: bool, said: str) -> None:
    [instance_id] = running(cloud, "a")
    planned(cloud, ended_at=NOW + DAY, cancelled=cancelled)
    cloud.now = NOW + 8 * DAY - HOUR
    assert [one["Description"] for one in told(cloud)[instance_id]] == [said]
    cloud.now = NOW + 8 * DAY + HOUR
    assert told(cloud)[instance_id] == []


def test_what_was_launched_or_started_afterwards_hears_nothing_of_it(cloud: Cloud) -> None:
    [old] = running(cloud, "a")
    planned(cloud, ended_at=NOW + HOUR)
    cloud.now = NOW + 2 * HOUR
    [new] = running(cloud, "a")
    assert [len(events) for events in told(cloud).values()] == [1, 0]
    cloud.call("StopInstances", InstanceIds=[old])
    cloud.found("stopped", old)
    cloud.call("StartInstances", InstanceIds=[old])
    cloud.found("started", old)
    assert told(cloud) == {old: [], new: []}


def test_stopped_instances_are_told_and_terminated_ones_are_not(cloud: Cloud) -> None:
    ids = running(cloud, "a", 2)
    planned(cloud)
    cloud.call("StopInstances", InstanceIds=ids[:1])
    cloud.found("stopped", ids[0])
    cloud.call("TerminateInstances", InstanceIds=ids[1:])
    cloud.found("removed", ids[1])
    events = told(cloud, IncludeAllInstances=True)
    assert [len(events[one]) for one in ids] == [1, 0]


def test_events_go_with_the_instance_to_the_host_that_it_moves_to(cloud: Cloud) -> None:
    [instance_id] = running(cloud, "a")
    planned(cloud)
    cloud.update(models.Instance, cloud.instance(instance_id).key, host_key=cloud.hosts["b"])
    assert told(cloud) == {instance_id: []}
    planned(cloud, "b", code="instance-stop")
    assert [one["Code"] for one in told(cloud)[instance_id]] == ["instance-stop"]


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("event.code", "system-reboot", "instance-stop"),
        ("event.description", "[Completed] firmware", "firmware"),
        ("event.not-before", "2026-01-03T03:04:05.000Z", "2026-01-02T03:04:05.000Z"),
        ("event.not-after", "2026-01-03T04:04:05.000Z", "2026-01-03T03:04:05.000Z"),
    ],
)
def test_events_are_found_by_what_is_shown(cloud: Cloud, name: str, value: str, other: str) -> None:
    [here], _there = running(cloud, "a"), running(cloud, "b")
    planned(cloud, ended_at=NOW + HOUR)
    for values, found in (([value], [here]), ([other], []), ([f"{value[:6]}*"], [here])):
        assert list(told(cloud, Filters=[{"Name": name, "Values": values}])) == found


def test_events_are_found_by_their_id(cloud: Cloud) -> None:
    ids = running(cloud, "a", 2)
    key = planned(cloud)
    for one in ids:
        event_id = maintenance.event_id(key, one)
        by_id = {"Name": "event.instance-event-id", "Values": [event_id]}
        assert list(told(cloud, Filters=[by_id])) == [one]
        pattern = {"Name": "event.instance-event-id", "Values": [f"{event_id[:-1]}?"]}
        both = told(cloud, Filters=[pattern, by_id, {"Name": "event.code", "Values": ["*"]}])
        assert list(both) == [one]
        all_ = {"Name": "event.instance-event-id", "Values": ["instance-event-*"]}
        assert list(told(cloud, Filters=[all_, by_id])) == [one]
        assert list(told(cloud, Filters=[all_])) == ids


def test_filters_on_events_find_nothing_where_none_are(cloud: Cloud) -> None:
    running(cloud, "a")
    planned(cloud, "b")
    for name in (
        *("event.code", "event.description", "event.instance-event-id"),
        *("event.not-after", "event.not-before", "event.not-before-deadline"),
    ):
        assert told(cloud, Filters=[{"Name": name, "Values": ["*"]}]) == {}


def test_nobody_finds_another_account_s_instances_by_events(cloud: Cloud) -> None:
    running(cloud, "a")
    planned(cloud)
    cloud.account_key, cloud.account_id = cloud.account("two")
    assert told(cloud, Filters=[{"Name": "event.code", "Values": ["*"]}]) == {}


def test_a_guest_hears_of_its_own_events_with_their_state(cloud: Cloud) -> None:
    ids = running(cloud, "a", 2)
    planned(cloud, ended_at=NOW + HOUR, cancelled=True)
    planned(cloud)
    planned(cloud, "b")
    with cloud.store.read() as session:
        found = maintenance.events(session, cloud.instance(ids[0]).key, NOW + HOUR)
    assert [(one.state, one.description) for one in found] == [
        ("canceled", "[Canceled] firmware"),
        ("active", "firmware"),
    ]
    shown = told(cloud)[ids[0]]
    assert [one.id for one in found] == [one["InstanceEventId"] for one in shown]


def test_a_page_of_statuses_takes_as_many_statements_whatever_is_on_it(cloud: Cloud) -> None:
    counts = []
    for size in (1, 20):
        running(cloud, "a", size)
        planned(cloud)
        counts.append(_statements(cloud))
    assert counts[0] == counts[1]


def _statements(cloud: Cloud) -> int:
    """Count what SQLite is asked while all statuses are described."""
    seen: list[str] = []
    with cloud.store.read() as session:
        driver: Any = session.connection().connection.driver_connection
    driver.set_trace_callback(seen.append)
    try:
        told(cloud)
    finally:
        driver.set_trace_callback(None)
    assert any("host_event" in text for text in seen), "another connection was used"
    return len(seen)


def test_every_code_of_ec2_has_words() -> None:
    known = botocore.session.get_session().get_service_model("ec2").shape_for("EventCode")
    assert isinstance(known, StringShape)
    assert set(known.enum) == set(maintenance.DESCRIPTIONS)
