"""The link's deadlines and bounds, in one table; no behaviour.

Source: docs/architecture.md, "The host link"; Microsoft Learn, "Quota management for remote
shells" (MaxTimeoutms, IdleTimeOut, MaxEnvelopeSizekb).
"""

from __future__ import annotations

from dataclasses import dataclass

SEND_BYTES = 64 * 1024
"""At most this much input in one Send: 150 KB envelopes exist, and base64 adds a third."""

MAX_ANSWER_BYTES = 1 << 20
"""No HTTP answer is longer: we ask for envelopes of 150 KB."""

MAX_WAITING = 256
"""Requests of one link that may wait at once."""


@dataclass(frozen=True, slots=True)
class Timing:
    connect_seconds: float = 3
    operation_seconds: int = 20
    """How long the host may hold a Receive; at most its MaxTimeoutms, usually 60."""
    read_seconds: float = 30
    send_seconds: float = 10
    """For a Send once the agent is there: it reads all the time, so its input is taken at once."""
    start_seconds: float = 60
    """From the first message to the hello: a cold host needs half a minute for the module."""
    ping_seconds: float = 25
    """http.sys closes idle connections after some 120 s, and with them what NTLM sealed."""
    silence_seconds: float = 30
    """How long a ping may stay unanswered while nothing else is asked."""
    busy_silence_seconds: float = 300
    """The same while calls run, which may hold up every lane of the agent."""
    renew_seconds: float = 50
    """A sealed connection idle for longer is rebuilt before use rather than found dead."""
    shell_idle: str = "PT180S"
    """After this the host removes a shell that we lost."""
    farewell_seconds: float = 2
    drain_seconds: float = 900
    recycle_seconds: float = 4 * 3600
    recycle_requests: int = 5000
    recycle_bytes: int = 400 * 1024 * 1024
    """The agent's own memory, when it tells it."""
    reconnects: int = 5
    """New connections in a row without a word before the process is given up."""
