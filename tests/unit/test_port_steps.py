"""The one step of a port: what it does about a look, and when it pauses."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from tests.rows import NOW
from translators.ec2.instances import ports
from translators.ec2.instances.ports import Intent
from translators.hyperv import acl, nic
from translators.hyperv.acl import Rule, Weighed
from translators.hyperv.host import HostFault
from translators.settings import Settings
from translators.steps import Decision, Do, Last, Rest, Wait

RULES = acl.desired(acl.Port(("172.31.0.5",)))
HELD = nic.Sight(guarded=True, rules=acl.compare(RULES, ()).adds)
BARE = nic.Sight(guarded=True, rules=())
FAULT = HostFault("OperationFailed,X.AddVMNetworkAdapterExtendedAcl", "NotSpecified")


def intent(*, after: float = 0.0, last: Last | None = None) -> Intent:
    return Intent(
        key=1,
        id="eni-0123456789abcdef0",
        host_key=1,
        phase="open",
        generation=2,
        since=NOW,
        now=NOW + dt.timedelta(seconds=after),
        attempt=None,
        settings=Settings(instance_types={}),
        vm_id="6b29fc40-ca47-1067-b31d-00dd010662da",
        rules=RULES,
        tried={last.purpose: last} if last else {},
    )


def tried(tries: int, error: HostFault | None = None, *, ran: bool | None = True) -> Last:
    return Last("port-rules", NOW, ran=ran, error=error, tries=tries)


def verbs(decision: Decision) -> list[str]:
    assert isinstance(decision, Do)
    names = [call.cmdlet.partition("\\")[2].partition("-")[0] for call in decision.plan.calls]
    assert names[:2] == ["Get", "Get"]
    return sorted(set(names[2:]))


def test_a_port_that_is_as_wanted_rests() -> None:
    assert ports.hold(intent(), HELD) == Rest("applied")


def test_what_is_missing_is_added_and_what_is_too_much_removed() -> None:
    assert verbs(ports.hold(intent(), BARE)) == ["Add"]
    more = Weighed(Rule("Inbound", "Allow"), 1_500)
    too_much = dataclasses.replace(HELD, rules=(*HELD.rules, more))
    assert verbs(ports.hold(intent(), too_much)) == ["Remove"]


def test_guards_that_were_taken_off_are_put_back() -> None:
    assert verbs(ports.hold(intent(), dataclasses.replace(HELD, guarded=False))) == ["Set"]


@pytest.mark.parametrize(
    ("rules", "sight", "why"),
    [
        (RULES, None, "its adapter is not there"),
        (
            RULES,
            nic.Sight(
                guarded=True,
                rules=tuple(
                    Weighed(Rule("Inbound", "Deny", local_port=str(weight)), weight)
                    for weight in acl.DENIES
                ),
            ),
            "no weight is left",
        ),
        (
            RULES
            | {
                Rule("Inbound", "Allow", local_port=str(port), protocol="TCP", stateful=True)
                for port in range(1, acl.MOST_RULES)
            },
            HELD,
            "more than 5000 rules",
        ),
    ],
    ids=["adapter", "weights", "rules"],
)
def test_what_cannot_be_done_is_told_and_waits(
    rules: frozenset[Rule], sight: nic.Sight | None, why: str
) -> None:
    decision = ports.hold(dataclasses.replace(intent(), rules=rules), sight)
    assert isinstance(decision, Wait)
    assert decision.seconds == 60
    assert why in (decision.why or "")


def test_a_plan_that_went_well_is_followed_by_the_next_at_once() -> None:
    assert verbs(ports.hold(intent(last=tried(1)), BARE)) == ["Add"]
    assert verbs(ports.hold(intent(last=tried(9, ran=False)), BARE)) == ["Add"]


def test_a_plan_that_fails_is_tried_again_after_pauses_that_grow() -> None:
    for tries, pause in ((1, 0.5), (4, 4.0), (30, 60.0), (5000, 60.0)):
        last = tried(tries, FAULT)
        early = ports.hold(intent(after=pause - 0.1, last=last), BARE)
        assert isinstance(early, Wait)
        assert FAULT.id in (early.why or "")
        assert verbs(ports.hold(intent(after=pause, last=last), BARE)) == ["Add"]


def test_a_host_that_forgets_what_it_is_told_does_not_keep_us_busy() -> None:
    for tries in (3, 3000):
        early = ports.hold(intent(after=1.0, last=tried(tries)), BARE)
        assert isinstance(early, Wait)
        assert "does not keep" in (early.why or "")
        assert verbs(ports.hold(intent(after=60.0, last=tried(tries)), BARE)) == ["Add"]


def test_a_clock_that_was_set_back_ends_a_pause() -> None:
    assert verbs(ports.hold(intent(after=-5.0, last=tried(9, FAULT)), BARE)) == ["Add"]
