"""Lost messages: nothing is lost, nothing is doubled."""

from __future__ import annotations

from tests.faults.rig import Rig


def test_fifty_launches_and_their_end_survive_a_tenth_of_all_messages_lost(
    gateway: Rig,
) -> None:
    for seed, faults in enumerate(gateway.laboratory.faults.values()):
        faults.lose(0.10, seed=seed)
    ids = [one for _ in range(10) for one in gateway.launch(5)]
    gateway.wait("running", *ids, seconds=100)
    gateway.assert_exactly(ids)
    gateway.ask("TerminateInstances", InstanceIds=ids)
    gateway.wait("terminated", *ids, seconds=100)
    assert sum(faults.lost for faults in gateway.laboratory.faults.values()) > 20
    assert gateway.vms() == []
    assert gateway.leftovers() == []
