"""The depot: who is let in, what is taken in pieces, and what a host gets back."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.depot import certificate, door, service
from ec2gw.depot.shelf import Full, Gap, Shelf
from state import models
from state.store import Store
from tests import rows
from translators import transfers

KEY = b"k" * 32
DISK = bytes(range(256)) * 40
PATH = "snapshots/snap-1.vhdx"


class Host:
    """What a host's task does: HTTPS to the one certificate that it was told of."""

    def __init__(self, port: int, digest: str) -> None:
        self.port, self.digest = port, digest

    def ask(
        self, method: str, path: str, token: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        try:
            connection.connect()
            assert isinstance(connection.sock, ssl.SSLSocket)
            shown = connection.sock.getpeercert(binary_form=True)
            assert shown is not None
            assert hashlib.sha256(shown).hexdigest() == self.digest
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(
                method, path, body or None, {"Authorization": f"Bearer {token}", **named}
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def send(self, key: int, token: str, first: int, piece: bytes, total: int) -> tuple[int, str]:
        span = f"bytes {first}-{first + len(piece) - 1}/{total}"
        status, headers, _ = self.ask("PUT", f"/files/{key}", token, piece, Content_Range=span)
        return status, headers.get("X-Ec2gw-Length", "")


class Scene:
    def __init__(self, store: Store, shelf: Shelf, host: Host) -> None:
        self.store, self.shelf, self.host = store, shelf, host
        self.now = rows.NOW
        on = store.write(rows.ground)
        self.key = store.write(
            lambda session: transfers.ask(session, PATH, on.host, on.host, rows.NOW).key
        )

    def row(self) -> models.Transfer:
        with self.store.read() as session:
            row = session.get_one(models.Transfer, self.key)
            session.expunge(row)
            return row

    def enter(self, phase: str) -> None:
        def work(session: object) -> None:
            row = session.get_one(models.Transfer, self.key)  # type: ignore[attr-defined]
            row.phase = phase

        self.store.write(work)

    @property
    def token(self) -> str:
        return transfers.token(KEY, self.row())


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Iterator[Scene]:
    shelf = Shelf(tmp_path / "depot", spare_bytes=0)
    shown = certificate.ensured(tmp_path / "depot")
    listening = socket.create_server(("127.0.0.1", 0))
    scene: list[Scene] = []
    depot = door.Depot(store, shelf, KEY, lambda: scene[0].now)
    server = door.Server(listening, depot, certificate.context(shown))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scene.append(Scene(store, shelf, Host(listening.getsockname()[1], shown.digest)))
    yield scene[0]
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_a_disk_sent_in_pieces_comes_back_whole_from_any_place_on(scene: Scene) -> None:
    half, total = len(DISK) // 2, len(DISK)
    host, token = scene.host, scene.token
    assert host.send(scene.key, token, 0, DISK[:half], total) == (204, str(half))
    assert scene.row().done_bytes == half
    assert scene.row().sha256 is None
    status, headers, _ = host.ask("HEAD", f"/files/{scene.key}", token)
    assert (status, headers["X-Ec2gw-Length"]) == (204, str(half))
    assert host.send(scene.key, token, half, DISK[half:], total) == (204, str(total))
    row = scene.row()
    assert (row.length_bytes, row.sha256) == (total, hashlib.sha256(DISK).hexdigest())
    scene.enter("receiving")
    status, _, body = host.ask("GET", f"/files/{scene.key}", scene.token)
    assert (status, body) == (200, DISK)
    status, headers, body = host.ask("GET", f"/files/{scene.key}", scene.token, Range="bytes=100-")
    assert (status, body) == (206, DISK[100:])
    assert headers["Content-Range"] == f"bytes 100-{total - 1}/{total}"


def test_a_piece_sent_again_or_too_early_is_told_where_to_go_on(scene: Scene) -> None:
    host, token, total = scene.host, scene.token, len(DISK)
    assert host.send(scene.key, token, 0, DISK[:10], total) == (204, "10")
    assert host.send(scene.key, token, 0, DISK[:10], total) == (409, "10")
    assert host.send(scene.key, token, 20, DISK[20:30], total) == (409, "10")
    assert host.send(scene.key, token, 10, DISK[10:], total) == (204, str(total))
    assert host.send(scene.key, token, 10, DISK[10:], total) == (409, str(total))
    assert scene.shelf.digest(scene.key) == hashlib.sha256(DISK).hexdigest()


def test_a_disk_that_came_whole_as_the_depot_died_is_told_of_when_its_sender_asks(
    scene: Scene,
) -> None:
    host, token, total = scene.host, scene.token, len(DISK)
    assert host.send(scene.key, token, 0, DISK[:10], total) == (204, "10")
    left = [DISK[10:], b""]
    scene.shelf.take(scene.key, 10, total - 10, total, lambda _: left.pop(0))
    assert scene.row().sha256 is None
    status, headers, _ = host.ask("HEAD", f"/files/{scene.key}", token)
    assert (status, headers["X-Ec2gw-Length"]) == (204, str(total))
    assert scene.row().sha256 == hashlib.sha256(DISK).hexdigest()


def test_what_is_left_of_an_earlier_attempt_counts_for_nothing(scene: Scene) -> None:
    scene.host.send(scene.key, scene.token, 0, DISK, len(DISK))
    scene.enter("failed")
    on = scene.row()
    scene.store.write(
        lambda session: transfers.ask(
            session, PATH, on.source_host_key, on.target_host_key, rows.NOW
        )
    )
    status, headers, _ = scene.host.ask("HEAD", f"/files/{scene.key}", scene.token)
    assert (status, headers["X-Ec2gw-Length"]) == (204, "0")
    other = DISK[::-1] + b"more"
    total = len(other)
    assert scene.host.send(scene.key, scene.token, 0, other, total) == (204, str(total))
    assert scene.row().sha256 == hashlib.sha256(other).hexdigest()


def test_what_came_before_a_sender_fell_silent_is_kept(scene: Scene) -> None:
    left = [b"abc", b""]
    assert scene.shelf.take(scene.key, 0, 10, 20, lambda _: left.pop(0)) == 3
    assert scene.shelf.received(scene.key) == 3


def test_only_the_token_of_the_present_phase_lets_in(scene: Scene) -> None:
    host, path = scene.host, f"/files/{scene.key}"
    sending = scene.token
    assert host.ask("GET", path, sending)[0] == 401
    assert host.ask("HEAD", path, "")[0] == 401
    assert host.ask("HEAD", path, "0" * 64)[0] == 401
    assert host.ask("HEAD", "/files/99", sending)[0] == 401
    assert host.ask("HEAD", f"/files/0{scene.key}", sending)[0] == 401
    assert host.ask("HEAD", "/../state.sqlite3", sending)[0] == 401
    scene.enter("receiving")
    assert host.ask("HEAD", path, sending)[0] == 401
    assert host.send(scene.key, scene.token, 0, b"x", 1)[0] == 401
    scene.enter("done")
    assert host.ask("GET", path, scene.token)[0] == 401


def test_a_token_ends_with_its_day(scene: Scene) -> None:
    path = f"/files/{scene.key}"
    assert scene.host.ask("HEAD", path, scene.token)[0] == 204
    scene.now += transfers.VALID + dt.timedelta(seconds=1)
    assert scene.host.ask("HEAD", path, scene.token)[0] == 401


@pytest.mark.parametrize(
    ("span", "status"),
    [
        ("", 411),
        ("bytes 0-9/*", 411),
        ("bytes 0-3/10", 413),  # not as long as the body
        ("bytes 9-0/10", 413),
        (f"bytes 0-9/{2**50}", 413),
        ("bytes 0-9/5", 409),  # beyond its own end
    ],
)
def test_a_piece_that_makes_no_sense_is_refused(scene: Scene, span: str, status: int) -> None:
    path = f"/files/{scene.key}"
    found = scene.host.ask("PUT", path, scene.token, b"0123456789", Content_Range=span)
    assert found[0] == status
    assert scene.shelf.received(scene.key) == 0


def test_a_range_that_is_none_is_refused(scene: Scene) -> None:
    scene.host.send(scene.key, scene.token, 0, DISK, len(DISK))
    scene.enter("receiving")
    path = f"/files/{scene.key}"
    for asked in (f"bytes={len(DISK)}-", "bytes=5-6", "bytes=-5", "lines=1-"):
        assert scene.host.ask("GET", path, scene.token, Range=asked)[0] == 416


def test_what_does_not_fit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, spare_bytes=2**60)
    with pytest.raises(Full):
        shelf.take(1, 0, 1, 10, lambda _: pytest.fail("read"))
    with pytest.raises(Gap):
        shelf.take(1, 5, 1, 10, lambda _: pytest.fail("read"))


def test_files_of_transfers_that_are_over_are_swept_out(scene: Scene) -> None:
    scene.host.send(scene.key, scene.token, 0, DISK, len(DISK))
    service.sweep_out(scene.store, scene.shelf)
    assert scene.shelf.numbers() == {scene.key}
    scene.enter("done")
    service.sweep_out(scene.store, scene.shelf)
    assert scene.shelf.numbers() == set()


def test_the_certificate_is_made_once_and_its_key_is_its_owners(tmp_path: Path) -> None:
    made = certificate.ensured(tmp_path)
    assert certificate.ensured(tmp_path) == made
    assert made.file.stat().st_mode & 0o777 == 0o600
