"""The quotas of a door, as `winrm get winrm/config` names them, with a current server's values.

Source: recorded configuration of a live host; "Installation and configuration for Windows Remote
Management" and "WinRM quotas" (Microsoft Learn).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one host grants; tests make them smaller."""

    max_shells_per_user: int = 30
    max_processes_per_shell: int = 25
    max_concurrent_operations_per_user: int = 1500
    max_envelope_kb: int = 500
    max_timeout_seconds: float = 60.0
    max_connections: int = 300
    shell_idle_seconds: float = 7200.0
    connection_idle_seconds: float = 120.0  # http.sys closes what is silent for that long
    max_waiting_bytes: int = 1 << 20  # what a pipe of a process may hold, each way

    @property
    def max_envelope_bytes(self) -> int:
        return self.max_envelope_kb * 1024
