"""`python -m benchmarks.metadata`: what many guests that poll their metadata cost, in a minute.

Every guest has an instance in a state of its own, and asks from the address of that instance: all
of 127.0.0.0/8 is this machine. It gets a token, then polls as agents do: a connection, three
requests on it (its id, whether spot takes it back, planned maintenance), and the end of it. That is
done over a state at rest, and again over one that changes ten times a second, as surveys change it.

CPU and memory are those of the service's process; waiting times are a client's, which runs on the
same processors.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime as dt
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks import processes
from benchmarks.client import Answer, Connection
from ec2gw import config, inventory, listening
from state import ids, models
from state.store import Store

GUESTS: Final = 2000
POLL_SECONDS: Final = 5.0
RUN_SECONDS: Final = 8.0
_CIDR: Final = "127.1.0.0/20"
_FIRST: Final = 0x7F010010
_CLIENTS: Final = 32
_CHANGES_SECONDS: Final = 0.1
_PEAK_SECONDS: Final = 4.0
_POLLED: Final = (
    ("/latest/meta-data/instance-id", 200),
    ("/latest/meta-data/spot/instance-action", 404),
    ("/latest/meta-data/events/maintenance/scheduled", 200),
)


class Failed(Exception):
    """A guest was answered something else than it has to be."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metadata", description=__doc__)
    parser.add_argument("--guests", type=int, default=GUESTS)
    parser.add_argument("--seconds", type=float, default=RUN_SECONDS, help="of each of two runs")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="ec2gw-metadata-") as folder,
        _served(Path(folder), options.guests) as (program, store, port),
    ):
        run = Run(program, port, options.guests)
        run.row("process, before anybody asked", [], 0.0, 0.0)
        run.measured("tokens, all at once", run.tokens)
        run.measured("polls, state at rest", lambda: run.polls(options.seconds))
        with _changing(store):
            run.measured("polls, state changes", lambda: run.polls(options.seconds))
        run.measured("as fast as it can", run.peak)
    return 0


class Run:
    """The guests of a service, and a row of the table for each thing that they do."""

    def __init__(self, program: processes.Program, port: int, guests: int) -> None:
        self._pid = program.pid
        self._port = port
        self._sources = [_address(number) for number in range(guests)]
        self._tokens: list[bytes] = []
        print("| | requests/s | p50 ms | p99 ms | CPU ms each | of a CPU | MiB |")
        print("|---|---|---|---|---|---|---|")

    def row(self, name: str, waited: Sequence[float], cpu: float, wall: float) -> None:
        cells = ["", "", "", "", ""]
        if waited:
            cuts = statistics.quantiles(waited, n=100)
            cells = [
                f"{len(waited) / wall:.0f}",
                f"{1000 * cuts[49]:.2f}",
                f"{1000 * cuts[98]:.1f}",
                f"{1000 * cpu / len(waited):.3f}",
                f"{100 * cpu / wall:.0f} %",
            ]
        print(f"| {name} | {' | '.join(cells)} | {processes.pss_mib(self._pid):.0f} |", flush=True)

    def measured(self, name: str, work: Callable[[], list[float]]) -> None:
        """Have it done; `work` answers how long each request took."""
        cpu, began = processes.cpu_seconds([self._pid]), time.monotonic()
        waited = work()
        wall = time.monotonic() - began
        self.row(name, waited, processes.cpu_seconds([self._pid]) - cpu, wall)

    def tokens(self) -> list[float]:
        request = (
            b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
            b"X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n"
        )

        def get(source: str) -> Answer:
            with Connection(self._port, source=source) as connection:
                return _expected(connection.ask(request), 200)

        with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
            answers = list(pool.map(get, self._sources))
        self._tokens = [answer.body for answer in answers]
        return [answer.seconds for answer in answers]

    def polls(self, seconds: float) -> list[float]:
        """Let each guest poll every five seconds, evenly spread."""
        waited: list[float] = []
        began = time.monotonic()
        each = POLL_SECONDS / len(self._sources)
        due = zip(itertools.count(), itertools.cycle(range(len(self._sources))), strict=False)
        turn = threading.Lock()

        def poll() -> None:
            while True:
                with turn:
                    number, guest = next(due)
                at = began + number * each
                if at > began + seconds:
                    return
                time.sleep(max(0.0, at - time.monotonic()))
                with Connection(self._port, source=self._sources[guest]) as connection:
                    for path, status in _POLLED:
                        answer = connection.ask(self._get(guest, path))
                        waited.append(_expected(answer, status).seconds)

        self._all(poll)
        return waited

    def peak(self) -> list[float]:
        """Ask on kept connections, one thing after the other."""
        waited: list[float] = []
        guests = itertools.count()
        end = time.monotonic() + _PEAK_SECONDS

        def ask() -> None:
            while time.monotonic() < end:
                guest = next(guests) * 7 % len(self._sources)
                with Connection(self._port, source=self._sources[guest]) as connection:
                    for _ in range(40):
                        answer = connection.ask(self._get(guest, _POLLED[0][0]))
                        waited.append(_expected(answer, 200).seconds)

        self._all(ask)
        return waited

    def _all(self, work: Callable[[], None]) -> None:
        with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
            for done in [pool.submit(work) for _ in range(_CLIENTS)]:
                done.result()

    def _get(self, guest: int, path: str) -> bytes:
        token = b"X-aws-ec2-metadata-token: " + self._tokens[guest]
        return f"GET {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n".encode() + token + b"\r\n\r\n"


def _expected(answer: Answer, status: int) -> Answer:
    if answer.status != status:
        raise Failed(f"{answer.status} instead of {status}")
    return answer


def _address(number: int) -> str:
    return ".".join(str(byte) for byte in (_FIRST + number).to_bytes(4, "big"))


@contextmanager
def _served(folder: Path, guests: int) -> Iterator[tuple[processes.Program, Store, int]]:
    """Run the service on a state of its own with that many instances."""
    resolved = config.from_document(
        {"data": str(folder / "data"), "metadata": {"listen": "127.0.0.1:0"}}, "benchmark", {}
    )
    config.make_folders(resolved)
    config.save(resolved)
    store, vault = inventory.open_state(resolved, migrate=True)
    try:
        inventory.prepare(store, vault)
        network = config.Network("benchmark", "us-east-1a", "benchmark", _CIDR)
        inventory.match_networks(store, [network])
        store.write(lambda session: _write(session, guests))
        with listening.listen("127.0.0.1:0", "listen") as listener:
            number, port = listener.fileno(), listener.getsockname()[1]
            words = ["ec2gw.metadata", "--data", str(resolved.data), "--socket", str(number)]
            log = folder / "log"
            with processes.running(
                [sys.executable, "-m", *words], log, descriptors=(number,)
            ) as program:
                program.wait(lambda: "metadata-ready" in program.output, "metadata-ready")
                yield program, store, port
    finally:
        store.close()


def _write(session: Session, guests: int) -> None:
    """Make what instances need, and the instances, all running."""
    now = dt.datetime.now(dt.UTC)
    account = session.scalars(sa.select(models.Account.key)).first()
    network = session.scalars(sa.select(models.Network.key)).one()
    owned = {"account_key": account, "region": "us-east-1"}
    options = models.DhcpOptions(id=ids.mint("dopt"), configurations={}, **owned)
    host = models.Host(
        name="benchmark",
        url="http://127.0.0.1:1/wsman",
        region="us-east-1",
        zone_letter="a",
        transport="ntlm",
        root="C:\\ec2gw",
        created_at=now,
    )
    image = models.Image(
        id=ids.mint("ami"),
        name="benchmark",
        file_name="benchmark.vhdx",
        generation=2,
        size_gib=8,
        snapshot_id=ids.mint("snap"),
        created_at=now,
        **owned,
    )
    session.add_all([options, host, image])
    session.flush()
    vpc = models.Vpc(
        id=ids.mint("vpc"),
        cidr="127.1.0.0/16",
        dhcp_options_key=options.key,
        association_id=ids.mint("vpc-cidr-assoc"),
        **owned,
    )
    session.add(vpc)
    session.flush()
    subnet = models.Subnet(
        id=ids.mint("subnet"),
        vpc_key=vpc.key,
        network_key=network,
        zone="us-east-1a",
        cidr=_CIDR,
        network_acl_association_id=ids.mint("aclassoc"),
        **owned,
    )
    group = models.SecurityGroup(
        id=ids.mint("sg"), name="default", description="", vpc_key=vpc.key, **owned
    )
    reservation = models.Reservation(id=ids.mint("r"), **owned)
    session.add_all([subnet, group, reservation])
    session.flush()
    for number in range(guests):
        instance = models.Instance(
            id=ids.mint("i"),
            reservation_key=reservation.key,
            launch_index=number,
            image_id=image.id,
            image_key=image.key,
            type="t3.nano",
            processors=2,
            memory_bytes=2**29,
            key_name="benchmark",
            zone="us-east-1a",
            host_key=host.key,
            vpc_key=vpc.key,
            subnet_key=subnet.key,
            phase="running",
            phase_since=now,
            launch_time=now,
            vm_generation=2,
            root_device_name="/dev/sda1",
            user_data=b"#!/bin/sh\n" + b"#" * 1000,
            metadata_options={"HttpTokens": "required"},
            options={"PublicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA"},
            **owned,
        )
        session.add(instance)
        session.flush()
        interface = models.NetworkInterface(
            id=ids.mint("eni"),
            vpc_key=vpc.key,
            subnet_key=subnet.key,
            network_key=network,
            zone="us-east-1a",
            mac=ids.mint_mac(),
            private_ip=_address(number),
            instance_key=instance.key,
            **owned,
        )
        session.add(interface)
        session.flush()
        session.add(models.InterfaceGroup(interface_key=interface.key, group_key=group.key))


@contextmanager
def _changing(store: Store) -> Iterator[None]:
    """Change the state, though no guest, ten times a second."""
    over = threading.Event()

    def touch(session: Session) -> None:
        session.execute(sa.update(models.Host).values(surveyed_at=dt.datetime.now(dt.UTC)))

    def change() -> None:
        while not over.wait(_CHANGES_SECONDS):
            store.write(touch)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
