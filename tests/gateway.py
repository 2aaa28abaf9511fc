"""A gateway in processes of its own, as an operator starts it, and clients that speak to it."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ec2gw import config
from ec2gw.auth import accounts
from ec2gw.lab.cmdlets import machine
from state.secrets import Vault
from state.store import Store

LINUX_IMAGE = "ami-0ec20000000000001"
WINDOWS_IMAGE = "ami-0ec20000000000002"
KEPT = ("EC2GW_LAB_RECORD", "EC2GW_LAB_POWERSHELL")
"""Of the environment: what the laboratory writes down, and what runs the agent there."""
_READY_SECONDS = 60
_STOP_SECONDS = 10


class NotReady(Exception):
    """The gateway ended, or took too long; the text is what it wrote to stderr."""


class Gateway:
    """Starts `ec2gw serve` on a free port of loopback; `with` ends it, whatever happened."""

    def __init__(self, data: Path, *arguments: str, environ: Mapping[str, str] = {}) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self.environment: dict[str, str] = {}
        self._arguments = arguments
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._session = boto3.Session()

    def __enter__(self) -> Gateway:
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        self.begin()
        self.await_ready()

    def begin(self) -> None:
        """Start it and wait for nothing."""
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        arguments = ["--listen", "127.0.0.1:0", *self._arguments]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ec2gw", "serve", "--data", str(self.data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**clean_environment(), **self._environ},
            )

    def await_ready(self) -> None:
        output = self.process.stdout
        assert output is not None
        deadline = time.monotonic() + _READY_SECONDS
        told = b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                piece = os.read(output.fileno(), 4096)
                told += piece
                if not piece or b"\nready: " in told:
                    break
        *exports, last = told.decode().splitlines() or [""]
        for line in exports:
            name, _, value = line.removeprefix("export ").partition("=")
            self.environment[name] = value
        if last != f"ready: {self.environment.get('AWS_ENDPOINT_URL')}":
            raise NotReady(self.log.read_text())

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def pids(self) -> dict[str, int]:
        """The children's process ids by name: api, engine, lab."""
        found: dict[str, int] = json.loads((self.data / "run" / "pids.json").read_text())
        return found

    def client(
        self,
        service: str = "ec2",
        *,
        region: str = "us-east-1",
        credentials: accounts.Credentials | None = None,
        **settings: Any,
    ) -> Any:
        """Make a boto3 client, of the default account if none is given."""
        given = self.environment
        return self._session.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=credentials.access_key_id
            if credentials
            else given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials.secret
            if credentials
            else given["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, **settings),
        )

    def account(self, name: str) -> accounts.Credentials:
        """Make an account, as `ec2gw account create` does."""
        resolved = config.resolved(self.data)
        store = Store(resolved.database)
        try:
            return accounts.create(store, Vault(resolved.key_file), name)
        finally:
            store.close()

    def aws(self, *arguments: str) -> Any:
        """Run the AWS CLI, answer what its JSON says."""
        program = Path(sys.executable).with_name("aws")
        done = subprocess.run(
            [str(program), *arguments, "--output", "json"],
            env={**clean_environment(), **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def stop(self) -> int:
        """SIGTERM, as an operator or a service manager does; answers the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)

    def end(self) -> None:
        """End it however it is; the children end with it."""
        process = self._process
        if process is None:
            return
        pids = self.pids.values() if (self.data / "run" / "pids.json").exists() else []
        try:
            if process.poll() is None:
                self.stop()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        finally:
            if process.stdout is not None:
                process.stdout.close()
        wait_until(lambda: not any(is_alive(pid) for pid in pids if pid), 5)


def clean_environment() -> dict[str, str]:
    """Our own environment without what would configure the gateway or AWS tools.

    A laboratory in it takes what binds on every version of Windows, and nothing else.
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or not name.startswith(("AWS_", "EC2GW_", "XDG_"))
    }
    return {**ours, machine.VARIABLE: "yes"}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that its new parent has not reaped yet is no process any more.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    """Fail if it does not come to hold within so long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
