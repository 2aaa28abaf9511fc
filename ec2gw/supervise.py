"""`ec2gw serve`: the parent of API, engine, metadata service and laboratory, as far as configured.

Holds the data folder and the listening socket for as long as it lives, so a second start is
refused, and the API may be started again without a client being refused. Children end when it
does, whatever ended it.

What is heavy is imported only once the API's process has been started: it starts meanwhile.

Source: docs/architecture.md, "Processes"; signal(7), daemon(7) (clean stop on SIGTERM).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ec2gw import children, config, listening, signals
from ec2gw.children import Child
from ec2gw.config import DEFAULT_REGION, Config
from ec2gw.engine.lock import FileLock, Taken
from state import trouble

if TYPE_CHECKING:
    from ec2gw.auth.accounts import Credentials

LOCK: Final = "serve.lock"
ENDPOINT: Final = "endpoint"
PIDS: Final = "pids.json"
METADATA: Final = "metadata"
_LOOK_SECONDS: Final = 0.1
_IDLE_SECONDS: Final = 5.0
_UNSETTLED_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 7.0
_LABORATORY_STOP_SECONDS: Final = 1.5
_HOPELESS_DEATHS: Final = 5
"""A child that dies so often before all was ready will not come up."""

_log = logging.getLogger("ec2gw.supervise")


class Refused(Exception):
    """The service cannot start; one line says why and what to do."""


def serve(resolved: Config, say: Callable[[str], None]) -> int:
    """Run until SIGTERM or SIGINT; `say` is told what the operator pastes, then `ready: URL`.

    :raises Refused: before anything is served
    :raises state.trouble.Unusable: likewise
    """
    with trouble.in_words(resolved.data):
        config.make_folders(resolved)
        try:
            lock = FileLock(resolved.run / LOCK)
        except Taken:
            raise Refused(f"another ec2gw serves {resolved.data} already") from None
        try:
            with (
                listening.listen(resolved.listen, "--listen") as listener,
                signals.heard() as heard,
            ):
                return _Service(resolved, listener, heard, say).run()
        except listening.Unusable as error:
            raise Refused(str(error)) from None
        finally:
            lock.release()


class _Service:
    def __init__(
        self,
        resolved: Config,
        listener: socket.socket,
        heard: signals.Signals,
        say: Callable[[str], None],
    ) -> None:
        self._config = resolved
        self._signals = heard
        self._say = say
        self._address = (resolved.host, listener.getsockname()[1])
        self._url = url(resolved, self._address[1])
        self._hosts_file = resolved.data / "lab" / "hosts.json"
        data = str(resolved.data)
        number = listener.fileno()
        self._gate = children.Gate()
        gate = self._gate.descriptor
        api = ["ec2gw.serve_api", "--data", data, "--socket", str(number), "--gate", str(gate)]
        self._api = Child("api", api, descriptors=(number, gate))
        self._engine = Child("engine", ["ec2gw.engine", "--data", data])
        self._intake = Child("intake", ["ec2gw.intake", "--data", data])
        self._resources = contextlib.ExitStack()
        self._metadata: Child | None = None
        laboratory = ["ec2gw.lab.serve", "--data", data, "--listen", "127.0.0.1:0"]
        self._laboratory: Child | None = Child("lab", laboratory)
        self._told_hosts: object = None
        self._told_pids: object = None
        self._region = DEFAULT_REGION
        self._changed = 0.0

    def run(self) -> int:
        if self._config.tls is not None:
            listening.check_tls(self._config.tls.certificate, self._config.tls.key)
        config.save(self._config)
        try:
            self._api.tend()
            credentials = self._prepare()
            self._gate.open()
            (self._config.run / ENDPOINT).write_text(f"{self._url}\n")
            self._start()
            if not self._signals.stopping:
                for line in environment(self._url, credentials, self._region):
                    self._say(line)
                self._say(f"ready: {self._url}")
            while not self._signals.stopping:
                self._tend_on()
                self._signals.wait(self._pause())
        finally:
            _log.info("stopping")
            children.end([one for one in self._all() if one is not self._laboratory], _STOP_SECONDS)
            if self._laboratory is not None:  # after who still speaks to its hosts
                children.end([self._laboratory], _LABORATORY_STOP_SECONDS)
            for name in (PIDS, ENDPOINT, METADATA):
                (self._config.run / name).unlink(missing_ok=True)
            self._gate.close()
            self._resources.close()
        return 0

    def _prepare(self) -> Credentials:
        """Bring database and configuration together."""
        from ec2gw import inventory
        from state import copies, recovering, schema, secrets

        try:
            store, vault = inventory.open_state(self._config, migrate=True)
        except (schema.Newer, copies.Unfit, secrets.KeyFileUnusable) as error:
            raise Refused(str(error)) from None
        try:
            credentials = inventory.prepare(store, vault)
            store.write(recovering.doubt)
            with store.read() as session:
                real = inventory.real_hosts(session)
            if real:
                self._laboratory = None
                if self._config.auth == "open":
                    raise Refused("auth open is for the laboratory alone; there are real hosts")
            ours = () if real else inventory.LABORATORY_NETWORKS
            try:
                inventory.match_networks(store, (*self._config.network, *ours))
            except inventory.Conflict as error:
                raise Refused(str(error)) from None
            self._region = inventory.usual_region(store)
        finally:
            store.close()
        self._open_depot()
        self._open_metadata()
        self._told_hosts = _identity(self._hosts_file)
        return credentials

    def _open_depot(self) -> None:
        """Have a place for disks on their way, where one is configured or the hosts are ours."""
        from ec2gw.depot import certificate, places

        places.forget(self._config.run)
        wanted = self._config.depot
        if wanted is None and self._laboratory is not None:
            wanted = config.Depot("127.0.0.1:0")
        if wanted is None:
            return
        listener = self._resources.enter_context(listening.listen(wanted.listen, "depot.listen"))
        host, port = wanted.listen.rpartition(":")[0], listener.getsockname()[1]
        folder = self._config.data / "depot"
        folder.mkdir(mode=0o700, exist_ok=True)
        url = wanted.url or f"https://{host}:{port}"
        places.tell(self._config.run, url, certificate.ensured(folder).digest)
        number = listener.fileno()
        self._engine.arguments = [*self._engine.arguments, "--depot", str(number)]
        self._engine.descriptors = (number,)

    def _open_metadata(self) -> None:
        """Let guests come, where that is configured; they wait until its process is there."""
        wanted = self._config.metadata
        if wanted is None:
            return
        from ec2gw.metadata import forwarder

        if wanted.forwarder_key is not None:
            try:
                forwarder.read_key(wanted.forwarder_key)
            except forwarder.KeyUnusable as error:
                raise Refused(str(error)) from None
        listener = self._resources.enter_context(listening.listen(wanted.listen, "metadata.listen"))
        number = listener.fileno()
        arguments = ["--data", str(self._config.data), "--socket", str(number)]
        self._metadata = Child("metadata", ["ec2gw.metadata", *arguments], descriptors=(number,))
        host, port = wanted.listen.rpartition(":")[0], listener.getsockname()[1]
        (self._config.run / METADATA).write_text(f"{host}:{port}\n")

    def _all(self) -> list[Child]:
        those = (self._api, self._engine, self._intake, self._metadata, self._laboratory)
        return [child for child in those if child]

    def _start(self) -> None:
        """Bring all up; the engine after the laboratory's hosts are known."""
        (self._config.run / "engine.ready").unlink(missing_ok=True)
        met = self._laboratory is None
        while not self._signals.stopping:
            self._tend(engine=met)
            met = met or self._meet_laboratory()
            if met and self._engine_is_ready() and self._api_answers():
                return
            for child in self._all():
                if child.deaths >= _HOPELESS_DEATHS:
                    raise Refused(f"{child.name} does not come up; the lines above say why")
            self._signals.wait(_LOOK_SECONDS)

    def _tend_on(self) -> None:
        """Tend; a full disk is written about, and does not end what still runs."""
        try:
            with trouble.in_words(self._config.data):
                self._tend()
        except trouble.Unusable as error:
            _log.error("data-folder-unusable", extra={"error": str(error)})

    def _tend(self, *, engine: bool = True) -> None:
        for child in self._all():
            if child is not self._engine or engine:
                child.tend()
        pids = {child.name: child.pid for child in self._all()}
        if pids != self._told_pids:
            fresh = self._config.run / f"{PIDS}.new"
            fresh.write_text(json.dumps(pids))
            fresh.replace(self._config.run / PIDS)  # whoever reads it reads all of it
            self._told_pids = pids
            self._changed = time.monotonic()
        if self._laboratory is not None and engine:
            self._meet_laboratory()

    def _pause(self) -> float:
        """Look often while something comes up, rarely otherwise: a death sends a signal."""
        unsettled = time.monotonic() - self._changed < _UNSETTLED_SECONDS
        return _LOOK_SECONDS if unsettled else _IDLE_SECONDS

    def _meet_laboratory(self) -> bool:
        """Take over what the laboratory told, each time that it tells anew."""
        told = _identity(self._hosts_file)
        if told is None or told == self._told_hosts:
            return False
        from ec2gw import inventory

        store, vault = inventory.open_state(self._config, migrate=False)
        try:
            inventory.match_laboratory(store, vault, self._hosts_file)
        finally:
            store.close()
        self._told_hosts = told
        return True

    def _engine_is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            text = (self._config.run / "engine.ready").read_text()
            return text.strip() == str(self._engine.pid)
        return False

    def _api_answers(self) -> bool:
        host = _reachable(self._address[0])
        connection: http.client.HTTPConnection
        if self._config.tls:
            # Whose certificate it is does not matter here: the socket is our own.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = http.client.HTTPSConnection(
                host, self._address[1], timeout=2, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, self._address[1], timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().getheader("x-amzn-RequestId") is not None
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def url(resolved: Config, port: int) -> str:
    """Say where clients on this machine find the API."""
    host = _reachable(resolved.host)
    return f"{'https' if resolved.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def environment(endpoint: str, credentials: Credentials, region: str) -> list[str]:
    """Make the lines that point every AWS tool at the gateway."""
    return [
        f"export AWS_ENDPOINT_URL={endpoint}",
        f"export AWS_ACCESS_KEY_ID={credentials.access_key_id}",
        f"export AWS_SECRET_ACCESS_KEY={credentials.secret}",
        f"export AWS_DEFAULT_REGION={region}",
    ]


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _identity(path: Path) -> object:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
