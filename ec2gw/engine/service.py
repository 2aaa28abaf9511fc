"""The engine: a driver for each host in the database, and the bell that wakes them."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from ec2gw.engine import driver, links, recovery, standing, wake
from state import models, secrets, store
from translators.ec2.instances import intents
from translators.ec2.snapshots import outcomes
from translators.settings import Settings

_log = logging.getLogger("ec2gw.engine")
_HOSTS_EVERY_SECONDS: Final = 2.0
_FIRST_SURVEYS_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 6.0
_FORGET_EVERY_SECONDS: Final = 600.0
_KEEP_TERMINATED: Final = dt.timedelta(hours=24)


def now() -> dt.datetime:
    """Tell the time by the clock on the wall, which may be set at any moment."""
    return dt.datetime.now(dt.UTC)


class Engine:
    """Runs drivers for as long as `run` is not told to stop."""

    def __init__(self, data: Path, state: store.Store, settings: Settings) -> None:
        vault = secrets.Vault(data / "key")
        self._run_folder = data / "run"
        self._state = state
        self._drivers: dict[int, driver.Driver] = {}
        self._ways: dict[int, tuple[object, ...]] = {}
        """How each driver's link was made; another way needs another link."""
        self._forgot_at = -_FORGET_EVERY_SECONDS

        def make_link(host_key: int, epoch: int) -> standing.Link:
            with state.read() as session:
                return links.make(session, vault, host_key, epoch, self._run_folder)

        self._given = driver.Given(
            state=state,
            settings=settings,
            run_folder=self._run_folder,
            make_link=make_link,
            now=now,
            recovery=recovery.Recovery(state, settings, now),
        )

    def run(self, stopping: threading.Event) -> None:
        """Drive every host until told to stop; hosts may come and go meanwhile."""
        self._run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        bell = wake.Bell(self._run_folder / "engine.sock", self._ring)
        try:
            self._given.recovery.resume()
            self._match()
            waiting = _FIRST_SURVEYS_SECONDS
            for one in list(self._drivers.values()):
                while waiting > 0 and not stopping.is_set() and not one.surveyed.wait(0.05):
                    waiting -= 0.05
            (self._run_folder / "engine.ready").write_text(f"{os.getpid()}\n")
            _log.info("engine-ready", extra={"hosts": len(self._drivers)})
            while not stopping.wait(_HOSTS_EVERY_SECONDS):
                try:
                    self._match()
                    self._forget()
                except Exception as error:  # the drivers' boundary: theirs go on without it
                    _log.error("engine-failed", extra={"error": f"{type(error).__name__}: {error}"})
                    _log.debug("engine-failed", exc_info=True)
        finally:
            (self._run_folder / "engine.ready").unlink(missing_ok=True)
            bell.close()
            ending = [
                threading.Thread(target=one.stop, args=(_STOP_SECONDS,), daemon=True)
                for one in self._drivers.values()
            ]
            for thread in ending:
                thread.start()
            for thread in ending:
                thread.join(_STOP_SECONDS + 1)

    def _match(self) -> None:
        """Have a driver for every host that is not removed, and for no other."""
        with self._state.read() as session:
            query = sa.select(models.Host).where(models.Host.state != "removed")
            wanted = {host.key: (host.name, links.way(host)) for host in session.scalars(query)}
        ways = {key: way for key, (_name, way) in wanted.items()}
        for key in [key for key in self._drivers if ways.get(key) != self._ways[key]]:
            self._drivers.pop(key).stop(_STOP_SECONDS)
        for key, (name, way) in wanted.items():
            if key not in self._drivers:
                self._ways[key] = way
                self._drivers[key] = driver.Driver(self._given, key, name)

    def _forget(self) -> None:
        """Drop what was terminated long ago, now and then."""
        if time.monotonic() - self._forgot_at < _FORGET_EVERY_SECONDS:
            return
        self._forgot_at = time.monotonic()
        before = self._given.now() - _KEEP_TERMINATED
        gone = self._state.write(lambda session: intents.forget(session, before))
        if gone:
            _log.info("terminated-forgotten", extra={"instances": gone})
        self._state.write(outcomes.sweep)

    def _ring(self, host_keys: set[int]) -> None:
        for key in host_keys:
            one = self._drivers.get(key)
            if one is not None:
                one.wake()
