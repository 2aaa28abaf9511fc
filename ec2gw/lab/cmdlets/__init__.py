"""Simulated cmdlets: what PowerShell's modules do, over the laboratory's world.

Source: docs/laboratory.md.
"""

from __future__ import annotations

from ec2gw.lab.cmdlets.machine import LabMachine

__all__ = ["LabMachine"]
