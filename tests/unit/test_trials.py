"""The doctor's own plans: each binds on every Windows, and is what its agent is told to allow."""

from __future__ import annotations

import pytest

from ec2gw.lab.binding import bind_plan
from translators.hyperv import allowed, making, trials
from translators.hyperv.host import Path, Plan

GUID = "6f5416f5-0304-4494-a55c-00afe1a709d3"
DISK = Path("images/empty.vhdx")
SPEC = making.Spec(
    name="i-0123456789abcdef0",
    generation=2,
    processors=1,
    memory_bytes=512 * 1024**2,
    parent=Path("images/empty.vhdx"),
    disk_bytes=None,
    secure_boot_template=None,
    adapter=making.Adapter("eni-0", "02:00:00:00:00:01", "vm-network", 7),
    notes="{}",
    start_delay_seconds=0,
)
PLANS = (
    trials.windows(),
    trials.shell_limits(),
    trials.processes(),
    trials.details(GUID),
    trials.disk(DISK),
    trials.new_disk(DISK, 1 << 30),
    trials.too_large_disk(DISK),
    trials.differing_from(making.create(SPEC), "C:\\ec2gw\\images\\debian.vhdx"),
    trials.namesake("i-0", Path("namesakes")),
    trials.save(GUID),
    trials.suspend(GUID),
    trials.resume(GUID),
    trials.rename(GUID, "i-1"),
    trials.set_notes(GUID, "{}"),
    trials.set_checkpoint_type(GUID),
    trials.set_processors(GUID, 2),
    trials.set_memory(GUID, 1 << 30),
    trials.set_secure_boot(GUID),
    trials.add_disk(GUID, DISK),
    trials.remove_disk(GUID),
    trials.disconnect(GUID),
    trials.connect(GUID, "vm-network"),
    trials.set_vlan(GUID, 4000),
    trials.set_bandwidth(GUID, 8_000_000),
    trials.set_iops(GUID, 1000),
    trials.deny_inbound(GUID),
    trials.many_looks(3, Path("busy")),
    trials.sweep(Path("doctor-0")),
)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.purpose)
def test_every_plan_of_the_doctor_binds_and_is_allowed(plan: Plan) -> None:
    assert [str(problem) for problem in bind_plan(plan)] == []
    for call in plan.calls:
        assert set(call.parameters) <= set(trials.ALLOWED[call.cmdlet])
        for name, value in call.parameters.items():
            assert isinstance(value, Path) == (name in trials.PATHS.get(call.cmdlet, ()))


def test_what_changes_nothing_is_the_only_thing_that_says_so() -> None:
    quiet = {plan.purpose for plan in PLANS if not plan.changes}
    looks = {plan.purpose for plan in PLANS if plan.purpose.startswith("look-")}
    assert quiet == looks | {"sweep-doctor"}  # which says itself why it needs no token


def test_the_doctor_may_what_the_product_may_and_only_looks_outside_its_folder() -> None:
    for do, parameters in allowed.ALLOWED.items():
        assert set(parameters) <= set(trials.ALLOWED[do])
    lost = {do: set(names) - set(trials.PATHS[do]) for do, names in allowed.PATHS.items()}
    assert {do: names for do, names in lost.items() if names} == {
        "Hyper-V\\New-VHD": {"ParentPath"}
    }
