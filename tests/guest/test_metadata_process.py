"""The metadata service under `ec2gw serve`: started again, followed, refused, used by Windows."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.metadata import forwarder
from tests.gateway import LINUX_IMAGE, WINDOWS_IMAGE, Gateway, NotReady, is_alive, wait_until
from tests.guest import outside

SECRET = "0123456789abcdef0123456789abcdef"
ID = "/latest/meta-data/instance-id"
SOON = 2.0
"""Seconds: one to take effect, and one for a machine that does other things."""
ASKERS = str(Path(__file__).with_name("askers.py"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("metadata")
    with Gateway(folder / "data", "--config", str(configured(folder, 0o600))) as running:
        yield running


def configured(folder: Path, mode: int) -> Path:
    secret = folder / "forwarder.key"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(mode)
    file = folder / "ec2gw.toml"
    file.write_text('[metadata]\nlisten = "127.0.0.1:0"\nforwarder_key = "forwarder.key"\n')
    return file


def place(gateway: Gateway) -> tuple[str, int]:
    host, _, port = (gateway.data / "run" / "metadata").read_text().strip().rpartition(":")
    return host, int(port)


class Forwarder(http.server.ThreadingHTTPServer):
    """What an operator runs where a guest's address is lost on the way: it says whose it was."""

    daemon_threads = True

    def __init__(self, gateway: Gateway, address: str, network: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarding)
        self.gateway, self.address, self.network = gateway, address, network


class _Forwarding(http.server.BaseHTTPRequestHandler):
    server: Forwarder

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        signed = forwarder.sign(
            SECRET.encode(), self.server.network, self.server.address, time.time()
        )
        connection = http.client.HTTPConnection(*place(self.server.gateway), timeout=10)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, {**self.headers, **signed})
            answer = connection.getresponse()
            told = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_PUT = do_POST = _forward

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def forwarded(gateway: Gateway, instance: dict[str, Any]) -> Iterator[str]:
    """Answer the URL at which that instance's guest would find its metadata."""
    letter = instance["Placement"]["AvailabilityZone"][-1]
    with Forwarder(gateway, instance["PrivateIpAddress"], f"laboratory-{letter}") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def get(url: str) -> tuple[int, str]:
    host = url.removeprefix("http://")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        connection.request("GET", ID)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_windows_guest_posts_its_password_and_its_owner_reads_it(
    gateway: Gateway, tmp_path: Path
) -> None:
    key_file = tmp_path / "mine.pem"
    made = gateway.aws("ec2", "create-key-pair", "--key-name", "mine")
    key_file.write_text(made["KeyMaterial"])
    launch = ("--image-id", WINDOWS_IMAGE, "--key-name", "mine", "--instance-type", "t3.micro")
    [instance] = gateway.aws("ec2", "run-instances", *launch)["Instances"]
    instance_id = instance["InstanceId"]

    with forwarded(gateway, instance) as url:
        told = outside.python(ASKERS, "password", url)
    gateway.aws("ec2", "wait", "instance-running", "--instance-ids", instance_id)
    which = ("--instance-id", instance_id)
    sealed = gateway.aws("ec2", "get-password-data", *which)["PasswordData"]
    opened = gateway.aws("ec2", "get-password-data", *which, "--priv-launch-key", str(key_file))[
        "PasswordData"
    ]

    assert told["is_set"]
    assert len(sealed) == 344
    assert opened == told["password"]
    assert told["password"] not in gateway.log.read_text()


def test_what_the_owner_changes_by_the_api_takes_effect_within_a_second(gateway: Gateway) -> None:
    ec2 = gateway.client()
    [instance] = ec2.run_instances(ImageId=LINUX_IMAGE, MinCount=1, MaxCount=1)["Instances"]
    which = instance["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[which], WaiterConfig={"Delay": 1})
    with forwarded(gateway, instance) as url:
        assert get(url) == (200, which)
        for options, status in (
            ({"HttpTokens": "required"}, 401),
            ({"HttpEndpoint": "disabled"}, 403),
            ({"HttpEndpoint": "enabled", "HttpTokens": "optional"}, 200),
        ):
            ec2.modify_instance_metadata_options(InstanceId=which, **options)
            wait_until(lambda status=status: get(url)[0] == status, SOON)  # type: ignore[misc]
        ec2.terminate_instances(InstanceIds=[which])
        wait_until(lambda: get(url)[0] == 404, 30)


def test_killed_it_comes_back_by_itself_and_no_guest_is_refused(gateway: Gateway) -> None:
    ec2 = gateway.client()
    [instance] = ec2.run_instances(ImageId=LINUX_IMAGE, MinCount=1, MaxCount=1)["Instances"]
    with forwarded(gateway, instance) as url:
        assert get(url) == (200, instance["InstanceId"])
        for _ in range(2):
            pid = gateway.pids["metadata"]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not is_alive(pid), 5)  # type: ignore[misc]
            assert get(url) == (200, instance["InstanceId"])  # it waited in the backlog
            assert gateway.pids["metadata"] != pid


def test_it_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    with Gateway(tmp_path / "data", "--config", str(configured(tmp_path, 0o600))) as gateway:
        pid = gateway.pids["metadata"]
        gateway.process.kill()
        gateway.process.wait(5)

        wait_until(lambda: not is_alive(pid), 10)


def test_a_secret_that_others_can_read_is_refused_in_a_line(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", "--config", str(configured(tmp_path, 0o640)))

    with pytest.raises(NotReady, match=r"forwarder\.key is open to others: chmod 600"), gateway:
        pass
    assert SECRET not in gateway.log.read_text()


def test_a_secret_that_is_missing_or_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(forwarder.KeyUnusable, match="No such file"):
        forwarder.read_key(tmp_path / "none")
    short = tmp_path / "short"
    short.touch(0o600)
    for content in (b"", b"too short\n" + b" " * 100, b"x" * 5000):
        short.write_bytes(content)
        with pytest.raises(forwarder.KeyUnusable, match="openssl rand"):
            forwarder.read_key(short)
