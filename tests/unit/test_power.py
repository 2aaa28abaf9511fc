"""Start, stop, reboot and terminate: what is answered, what is written, what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from state import lifecycle, models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.errors import Ec2Error
from translators.settings import InstanceType, Settings

ACTIONS: Final[dict[lifecycle.Ask, tuple[str, str]]] = {
    "start": ("StartInstances", "StartingInstances"),
    "stop": ("StopInstances", "StoppingInstances"),
    "reboot": ("RebootInstances", ""),
    "terminate": ("TerminateInstances", "TerminatingInstances"),
}


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def launched(cloud: Cloud, count: int = 1, **request: Any) -> list[str]:
    ids = cloud.run(count, **request)
    cloud.found("launched", *ids)
    cloud.waken.clear()
    return ids


def stopped(cloud: Cloud, count: int = 1) -> list[str]:
    ids = launched(cloud, count)
    cloud.call("StopInstances", InstanceIds=ids)
    cloud.found("stopped", *ids)
    cloud.waken.clear()
    return ids


def refused(cloud: Cloud, action: str, **request: Any) -> Ec2Error:
    before = [(row.id, row.phase, row.generation) for row in cloud.rows(models.Instance)]
    with pytest.raises(Ec2Error) as caught:
        cloud.call(action, **request)
    assert [(row.id, row.phase, row.generation) for row in cloud.rows(models.Instance)] == before
    return caught.value


def test_a_stop_is_answered_with_both_states_and_its_reason(cloud: Cloud) -> None:
    [instance_id] = launched(cloud)
    answer = cloud.call("StopInstances", InstanceIds=[instance_id])
    assert answer["StoppingInstances"] == [
        {
            "InstanceId": instance_id,
            "PreviousState": {"Code": 16, "Name": "running"},
            "CurrentState": {"Code": 64, "Name": "stopping"},
        }
    ]
    [shown] = cloud.seen(instance_id)
    assert shown["StateTransitionReason"] == "User initiated (2026-01-02 03:04:05 GMT)"
    assert shown["StateReason"] == {
        "Code": "Client.UserInitiatedShutdown",
        "Message": "Client.UserInitiatedShutdown: User initiated shutdown",
    }
    row = cloud.instance(instance_id)
    assert (row.phase, row.generation, row.force) == ("stopping", 2, False)
    assert cloud.waken == {row.host_key}


def test_a_start_counts_as_a_launch_and_forgets_the_reason(cloud: Cloud) -> None:
    [instance_id] = stopped(cloud)
    cloud.now = NOW + dt.timedelta(hours=1)
    answer = cloud.call("StartInstances", InstanceIds=[instance_id])
    assert answer["StartingInstances"][0]["CurrentState"] == {"Code": 0, "Name": "pending"}
    [shown] = cloud.seen(instance_id)
    assert shown["LaunchTime"] == cloud.now
    assert shown["UsageOperationUpdateTime"] == NOW
    assert (shown["StateTransitionReason"], shown["StateReason"]["Code"]) == ("", "pending")
    cloud.found("started", instance_id)
    [shown] = cloud.seen(instance_id)
    assert "StateReason" not in shown


def test_a_terminate_is_answered_and_may_be_repeated(cloud: Cloud) -> None:
    [instance_id] = launched(cloud)
    first = cloud.call("TerminateInstances", InstanceIds=[instance_id])
    again = cloud.call("TerminateInstances", InstanceIds=[instance_id])
    assert first["TerminatingInstances"][0]["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    assert again["TerminatingInstances"][0]["PreviousState"]["Name"] == "shutting-down"
    assert cloud.instance(instance_id).generation == 2
    cloud.found("removed", instance_id)
    last = cloud.call("TerminateInstances", InstanceIds=[instance_id])
    assert last["TerminatingInstances"][0]["CurrentState"] == {"Code": 48, "Name": "terminated"}


def test_a_reboot_answers_nothing_and_shows_running(cloud: Cloud) -> None:
    [instance_id] = launched(cloud)
    assert cloud.call("RebootInstances", InstanceIds=[instance_id]) == {}
    row = cloud.instance(instance_id)
    assert (row.phase, row.generation) == ("rebooting", 2)
    assert cloud.seen(instance_id)[0]["State"]["Name"] == "running"


@pytest.mark.parametrize("how", ["Force", "SkipOsShutdown"])
def test_a_forced_stop_cuts_off_what_is_stopping_already(cloud: Cloud, how: str) -> None:
    [instance_id] = launched(cloud)
    cloud.call("StopInstances", InstanceIds=[instance_id])
    cloud.waken.clear()
    answer = cloud.call("StopInstances", InstanceIds=[instance_id], **{how: True})
    assert answer["StoppingInstances"][0]["PreviousState"]["Name"] == "stopping"
    row = cloud.instance(instance_id)
    assert (row.phase, row.generation, row.force) == ("stopping", 3, True)
    assert cloud.waken == {row.host_key}
    cloud.call("StopInstances", InstanceIds=[instance_id], **{how: True})
    assert cloud.instance(instance_id).generation == 3


def test_a_forced_stop_does_not_force_the_next_one(cloud: Cloud) -> None:
    [instance_id] = launched(cloud)
    cloud.call("StopInstances", InstanceIds=[instance_id], Force=True)
    cloud.found("stopped", instance_id)
    cloud.call("StartInstances", InstanceIds=[instance_id])
    cloud.found("started", instance_id)
    cloud.call("StopInstances", InstanceIds=[instance_id])
    assert cloud.instance(instance_id).force is False


@pytest.mark.parametrize(
    ("verb", "make", "phase"),
    [("stop", stopped, "stopped"), ("start", launched, "running")],
)
def test_asking_for_what_is_changes_nothing(
    cloud: Cloud, verb: lifecycle.Ask, make: Any, phase: str
) -> None:
    [instance_id] = make(cloud)
    before = cloud.instance(instance_id)
    action, member = ACTIONS[verb]
    [change] = cloud.call(action, InstanceIds=[instance_id])[member]
    assert change["PreviousState"] == change["CurrentState"]
    after = cloud.instance(instance_id)
    assert (after.phase, after.generation, after.version) == (
        phase,
        before.generation,
        before.version,
    )
    assert cloud.waken == set()


def test_an_id_named_twice_is_one_instance_and_the_order_is_kept(cloud: Cloud) -> None:
    first, second = launched(cloud, 2)
    answer = cloud.call("StopInstances", InstanceIds=[second, first, second])
    assert [one["InstanceId"] for one in answer["StoppingInstances"]] == [second, first]


# -- refusals


@pytest.mark.parametrize("verb", get_args(lifecycle.Ask))
def test_unknown_and_malformed_ids_are_told_apart(cloud: Cloud, verb: lifecycle.Ask) -> None:
    action, _ = ACTIONS[verb]
    unknown = "i-0123456789abcdef0"
    error = refused(cloud, action, InstanceIds=[*cloud.run(), unknown])
    assert (error.code, error.status) == ("InvalidInstanceID.NotFound", 400)
    assert error.message == f"The instance ID '{unknown}' does not exist"
    error = refused(cloud, action, InstanceIds=[unknown, "i-1234567890abcdef1"])
    assert error.message == f"The instance IDs '{unknown}, i-1234567890abcdef1' do not exist"
    error = refused(cloud, action, InstanceIds=["i-xyz"])
    assert (error.code, error.message) == ("InvalidInstanceID.Malformed", 'Invalid id: "i-xyz"')


def test_another_accounts_instance_is_unknown(cloud: Cloud) -> None:
    [instance_id] = launched(cloud)
    cloud.account_key, cloud.account_id = cloud.account("two")
    error = refused(cloud, "TerminateInstances", InstanceIds=[instance_id])
    assert error.code == "InvalidInstanceID.NotFound"


def test_one_that_cannot_keeps_the_whole_batch_as_it_was(cloud: Cloud) -> None:
    [running] = launched(cloud)
    [pending] = cloud.run()
    error = refused(cloud, "StopInstances", InstanceIds=[running, pending])
    assert (error.code, error.status) == ("IncorrectInstanceState", 400)
    assert error.message == (
        f"Instance '{pending}' cannot be stopped as it has never reached the 'running' state."
    )
    assert cloud.waken == {cloud.instance(pending).host_key}  # of the launch alone


def test_a_state_that_admits_no_action_is_named_in_ec2s_words(cloud: Cloud) -> None:
    [instance_id] = stopped(cloud)
    error = refused(cloud, "RebootInstances", InstanceIds=[instance_id])
    assert error.code == "IncorrectInstanceState"
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    error = refused(cloud, "StartInstances", InstanceIds=[instance_id])
    assert error.code == "IncorrectInstanceState"
    assert error.message == (
        f"The instance '{instance_id}' is not in a state from which it can be started."
    )
    error = refused(cloud, "StopInstances", InstanceIds=[instance_id])
    assert error.message == (
        f"This instance '{instance_id}' is not in a state from which it can be stopped."
    )


@pytest.mark.parametrize(
    ("option", "action", "message"),
    [
        (
            "DisableApiTermination",
            "TerminateInstances",
            "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' "
            "instance attribute and try again.",
        ),
        (
            "DisableApiStop",
            "TerminateInstances",
            "The instance '{id}' may not be terminated. Modify its 'disableApiStop' instance "
            "attribute and try again.",
        ),
        (
            "DisableApiStop",
            "StopInstances",
            "The instance '{id}' may not be stopped. Modify its 'disableApiStop' instance "
            "attribute and try again.",
        ),
    ],
)
def test_a_protected_instance_keeps_the_whole_batch(
    cloud: Cloud, option: str, action: str, message: str
) -> None:
    [plain] = launched(cloud)
    [protected] = launched(cloud, **{option: True})
    error = refused(cloud, action, InstanceIds=[plain, protected])
    assert (error.code, error.status) == ("OperationNotPermitted", 400)
    assert error.message == message.format(id=protected)


def test_no_instance_is_set_up_to_hibernate(cloud: Cloud) -> None:
    [instance_id] = launched(cloud)
    error = refused(cloud, "StopInstances", InstanceIds=[instance_id], Hibernate=True)
    assert error.code == "UnsupportedHibernationConfiguration"


# -- any order of events

SUCCESSORS: Final = {
    "pending": {"pending", "running", "stopping", "stopped", "shutting-down", "terminated"},
    "running": {"running", "pending", "stopping", "stopped", "shutting-down", "terminated"},
    "stopping": {"stopping", "stopped", "shutting-down", "terminated"},
    "stopped": {"stopped", "pending", "running", "shutting-down", "terminated"},
    "shutting-down": {"shutting-down", "terminated"},
    "terminated": {"terminated"},
}
"""EC2 User Guide, instance state changes; pending is also what EC2 shows of a start."""


@pytest.fixture(scope="module")
def crowd(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    path = tmp_path_factory.mktemp("crowd") / "state.sqlite3"
    path.write_bytes(empty_database.read_bytes())
    store = Store(path)
    tiny = InstanceType("t3.micro", 1, 64)
    yield Cloud(store, Settings(instance_types={tiny.name: tiny}, laboratory=True))
    store.close()


@given(
    st.lists(
        st.one_of(
            st.sampled_from(get_args(lifecycle.Ask)), st.sampled_from(get_args(lifecycle.Found))
        ),
        max_size=12,
    ),
    st.booleans(),
)
@rules(max_examples=40, deadline=None)
def test_any_order_of_wishes_and_findings_is_one_that_ec2_knows(
    crowd: Cloud, events: list[Any], force: bool
) -> None:
    [instance_id] = crowd.run()
    for event in events:
        before = crowd.instance(instance_id)
        state = lifecycle.STATES[before.phase][1]
        try:
            if event in get_args(lifecycle.Ask):
                action, member = ACTIONS[event]
                more = {"Force": force} if event == "stop" else {}
                answer = crowd.call(action, InstanceIds=[instance_id], **more)
            else:
                answer, member = {}, ""
                crowd.found(event, instance_id)
        except (Ec2Error, lifecycle.Refused):
            after = crowd.instance(instance_id)
            assert (after.phase, after.generation) == (before.phase, before.generation)
            continue
        after = crowd.instance(instance_id)
        assert lifecycle.STATES[after.phase][1] in SUCCESSORS[state]
        assert after.generation >= before.generation
        if event in get_args(lifecycle.Ask) and after.phase != before.phase:
            assert after.generation == before.generation + 1
        if member:
            [change] = answer[member]
            assert change["PreviousState"]["Name"] == state
            assert change["CurrentState"]["Name"] == lifecycle.STATES[after.phase][1]
