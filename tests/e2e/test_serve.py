"""`ec2gw serve` as a process: what starts, what is refused, what survives which death."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.gateway import Gateway, clean_environment, is_alive, wait_until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests after which it runs, as it did before them."""
    with Gateway(tmp_path_factory.mktemp("served") / "data") as running:
        yield running


def _ec2gw(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ec2gw", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**clean_environment(), **environ},
    )


def _answers(gateway: Gateway) -> bool:
    client = gateway.client("sts", connect_timeout=2, read_timeout=5)
    try:
        account: str = client.get_caller_identity()["Account"]
    finally:
        client.close()
    return len(account) == 12


def test_it_prints_what_to_paste_and_then_answers_a_signed_request(served: Gateway) -> None:
    assert list(served.environment) == [
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
    ]
    assert served.environment["AWS_ACCESS_KEY_ID"].startswith("AKIA")
    assert _answers(served)
    names = {"api", "engine", "intake", "lab"}
    assert set(served.pids) == names
    ready = (served.data / "run" / "engine.ready").read_text().strip()
    assert ready == str(served.pids["engine"])


def test_env_tells_the_same_lines(served: Gateway) -> None:
    told = _ec2gw("env", "--data", str(served.data))
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        f"export {name}={value}" for name, value in served.environment.items()
    ]


def test_the_data_folder_is_for_its_owner_alone(served: Gateway) -> None:
    assert stat.S_IMODE(served.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((served.data / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((served.data / "state.sqlite3").stat().st_mode) == 0o600


def test_nothing_secret_is_logged(served: Gateway) -> None:
    assert _answers(served)
    log = served.log.read_text()
    assert "event=answered" in log
    assert served.environment["AWS_SECRET_ACCESS_KEY"] not in log
    assert "Signature=" not in log


def test_host_check_tells_each_step_on_the_way_to_a_host(served: Gateway) -> None:
    checked = _ec2gw("host", "check", "lab-a", "--data", str(served.data), COLUMNS="200")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    steps = [line.split("│")[1].strip() for line in checked.stdout.splitlines() if "│" in line]
    assert steps == [
        *("name", "TCP", "TLS", "sign-in", "PowerShell"),
        *("Hyper-V module", "rights", "clock", "root folder", "switches"),
    ]
    assert "FAILS" not in checked.stdout
    listed = _ec2gw("host", "list", "--data", str(served.data), COLUMNS="200")
    assert listed.stdout.count(" yes ") == 3, listed.stdout


def test_a_real_host_is_not_added_beside_a_running_laboratory(served: Gateway) -> None:
    host = ("hv1", "--url", "https://hv1.example:5986/wsman", "--zone", "eu-central-1a")
    added = _ec2gw("host", "add", *host, "--data", str(served.data))
    assert added.returncode == 1
    told = added.stderr.splitlines()[-1]  # before it, that Kerberos' libraries may be missing
    assert told == "ec2gw: the service runs on the laboratory now: stop it first"


def test_a_second_start_is_refused_with_one_line(served: Gateway) -> None:
    same_data = _ec2gw("serve", "--data", str(served.data), "--listen", "127.0.0.1:0")
    assert same_data.returncode == 1
    assert same_data.stderr == f"ec2gw: another ec2gw serves {served.data} already\n"
    port = served.url.rpartition(":")[2]
    other = served.data.with_name("other")
    same_port = _ec2gw("serve", "--data", str(other), "--listen", f"127.0.0.1:{port}")
    assert same_port.returncode == 1
    assert same_port.stderr.splitlines() == [
        f"ec2gw: cannot listen on 127.0.0.1:{port}: Address already in use (see --listen)"
    ]
    assert _answers(served)


@pytest.mark.parametrize("name", ["api", "engine", "intake", "lab"])
def test_a_child_that_is_killed_is_started_again_and_the_others_stay(
    served: Gateway, name: str
) -> None:
    before = served.pids
    os.kill(before[name], signal.SIGKILL)
    wait_until(lambda: served.pids[name] not in (None, before[name]), 10)
    assert _answers(served)  # of the API too: its socket is the parent's, clients wait
    after = served.pids
    assert {one: after[one] for one in before if one != name} == {
        one: before[one] for one in before if one != name
    }
    if name == "engine":
        ready = served.data / "run" / "engine.ready"
        wait_until(lambda: ready.exists() and ready.read_text().strip() == str(after[name]), 20)


def test_the_children_end_when_the_parent_is_killed(served: Gateway) -> None:
    pids = served.pids.values()
    served.process.kill()
    served.process.wait(5)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 10)
    served.start()  # what the killed one held is free again
    assert _answers(served)


def test_sigterm_ends_all_and_a_new_start_has_the_same_account_and_key(served: Gateway) -> None:
    pids, before = served.pids.values(), dict(served.environment)
    began = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - began < 10
    assert not any(is_alive(pid) for pid in pids)
    assert not (served.data / "run" / "endpoint").exists()
    served.environment.clear()
    served.start()
    del before["AWS_ENDPOINT_URL"]
    assert before.items() <= served.environment.items()
    assert _answers(served)


def test_with_a_real_host_there_is_no_laboratory_and_only_configured_regions(
    tmp_path: Path,
) -> None:
    data, file = tmp_path / "data", tmp_path / "ec2gw.toml"
    file.write_text(
        '[[network]]\nname = "lan"\nzone = "eu-central-1a"\nswitch = "vm"\ncidr = "10.0.0.0/20"\n'
    )
    place = ("--url", "https://127.0.0.1:1/wsman", "--zone", "eu-central-1a")
    added = _ec2gw("host", "add", "hv1", *place, "--data", str(data))
    assert added.returncode == 0, added.stderr
    with Gateway(data, "--config", str(file)) as served:
        assert set(served.pids) == {"api", "engine", "intake"}
        assert served.environment["AWS_DEFAULT_REGION"] == "eu-central-1"
        client: Any = served.client(region="eu-central-1")
        (subnet,) = client.describe_subnets()["Subnets"]
        assert (subnet["AvailabilityZone"], subnet["CidrBlock"]) == ("eu-central-1a", "10.0.0.0/20")
        assert [one["RegionName"] for one in client.describe_regions()["Regions"]] == [
            "eu-central-1"
        ]
        client.close()
        client = served.client(region="us-east-1")
        with pytest.raises(ClientError, match="AuthFailure"):
            client.describe_subnets()
        client.close()
        opened = _ec2gw("serve", "--data", str(data), "--auth", "open", "--listen", "127.0.0.1:0")
        assert "another ec2gw serves" in opened.stderr
    opened = _ec2gw("serve", "--data", str(data), "--auth", "open", "--listen", "127.0.0.1:0")
    assert opened.returncode == 1
    assert "open is for the laboratory alone" in opened.stderr.splitlines()[-1]


def test_open_mode_takes_an_account_id_for_a_key(tmp_path: Path) -> None:
    with Gateway(tmp_path / "data", "--auth", "open") as served:
        served.environment |= {"AWS_SECRET_ACCESS_KEY": "any"}
        for key, account in (("123456789012", "123456789012"), ("210987654321", "210987654321")):
            served.environment["AWS_ACCESS_KEY_ID"] = key
            client: Any = served.client("sts")
            assert client.get_caller_identity()["Account"] == account
            client.close()
        served.environment["AWS_ACCESS_KEY_ID"] = "test"
        client = served.client("sts")
        default = client.get_caller_identity()["Account"]
        client.close()
        assert default not in ("123456789012", "210987654321")


def test_tls_is_spoken_where_it_is_configured(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    arguments = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with Gateway(tmp_path / "data", *arguments) as served:
        assert served.url.startswith("https://")
        client: Any = served._session.client(
            "sts",
            region_name="us-east-1",
            endpoint_url=served.url.replace("127.0.0.1", "localhost"),
            aws_access_key_id=served.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=served.environment["AWS_SECRET_ACCESS_KEY"],
            verify=str(certificate),
        )
        assert len(client.get_caller_identity()["Account"]) == 12
        client.close()


REFUSED = {
    "no TLS on the network": (["--listen", "0.0.0.0:0"], "--behind-tls-proxy"),
    "open on the network": (
        ["--listen", "0.0.0.0:0", "--behind-tls-proxy", "--auth", "open"],
        "loopback",
    ),
    "no port": (["--listen", "127.0.0.1"], "HOST:PORT"),
    "no certificate": (["--tls-cert", "/none", "--tls-key", "/none"], "TLS certificate"),
    "half of TLS": (["--tls-cert", "/none"], "tls.key is missing"),
    "no file": (["--config", "/none/ec2gw.toml"], "/none/ec2gw.toml"),
}


@pytest.mark.parametrize(("arguments", "told"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_unsafe_or_cannot_be_is_refused_with_one_line(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    refused = _ec2gw("serve", "--data", str(tmp_path / "data"), *arguments)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("ec2gw: ")
    assert told in line


def test_an_unknown_variable_is_refused_with_the_nearest_key(tmp_path: Path) -> None:
    refused = _ec2gw("env", "--data", str(tmp_path / "data"), EC2GW_LISTN="127.0.0.1:1")
    assert refused.returncode == 1
    assert "unknown key EC2GW_LISTN; did you mean EC2GW_LISTEN?" in refused.stderr


def test_a_newer_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert _ec2gw("account", "create", "one", "--data", data).returncode == 0
    path = tmp_path / "data" / "state.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    refused = _ec2gw("serve", "--data", data, "--listen", "127.0.0.1:0")
    assert refused.returncode == 1
    assert "has schema 9999" in refused.stderr.splitlines()[-1]
    with closing(sqlite3.connect(path)) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert revision == "9999"


def test_a_slow_sender_does_not_keep_others_waiting(served: Gateway) -> None:
    host, _, port = served.url.removeprefix("http://").rpartition(":")
    slow = []
    try:
        for _ in range(20):
            connection = socket.create_connection((host, int(port)), timeout=5)
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nA")
            slow.append(connection)
        assert _answers(served)
    finally:
        for connection in slow:
            connection.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
