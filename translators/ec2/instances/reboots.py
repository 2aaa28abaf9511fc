"""What became of a reboot whose outcome nobody heard: asked of the host before it is tried again.

Source: docs/architecture.md, "The life of an instance".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from translators import driven
from translators.hyperv import reset, vm
from translators.hyperv.host import Failed

if TYPE_CHECKING:
    from translators.ec2.instances.intents import Intent

_MARGIN_SECONDS: Final = 1.0


def was_reset(intent: Intent, run: driven.Run) -> bool:
    """Tell whether the guest has rebooted since that was asked for, where it is not known."""
    last = intent.tried.get("reboot")
    if intent.phase != "rebooting" or intent.vm_id is None or last is None:
        return False
    if last.ran is False or vm.accepted(last.answer):
        return False
    try:
        answer = run(reset.look())
    except Failed:  # no such event, or no right to read the log
        return False
    return reset.happened(answer, intent.vm_id, intent.seconds_in_phase + _MARGIN_SECONDS)
