"""Binding: what PowerShell does with a call before its cmdlet runs, without PowerShell.

    bind(cmdlet, arguments, version)  one call, as a host of that version would bind it
    bind_plan(plan)                   a whole plan, against every version of the tables

Source: `data/README.md`.
"""

from __future__ import annotations

from ec2gw.lab.binding.binder import BindingError, BoundCall, bind
from ec2gw.lab.binding.plans import Problem, bind_plan
from ec2gw.lab.binding.tables import LABORATORY, VERSIONS

__all__ = [
    "LABORATORY",
    "VERSIONS",
    "BindingError",
    "BoundCall",
    "Problem",
    "bind",
    "bind_plan",
]
