"""The laboratory's world: simulated Hyper-V hosts that outlive the processes that show them.

Source: docs/architecture.md, "The laboratory".
"""

from __future__ import annotations

from ec2gw.lab.world.world import DEFAULT_HOSTS, HostSpec, World

__all__ = ["DEFAULT_HOSTS", "HostSpec", "World"]
