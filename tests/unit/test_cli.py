"""The command line, without a service: what is made, what is refused, where secrets come from."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from ec2gw import cli, config, inventory
from ec2gw.cli.opening import Failed
from state import models, storage
from state.secrets import host_context

Run = Callable[..., Result]
HOST = ("--url", "https://hv1.example:5986/wsman", "--zone", "eu-central-1a")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    def invoke(*arguments: str, typed: str | None = None, **environ: str) -> Result:
        return CliRunner().invoke(
            cli.commands,
            arguments,
            input=typed,
            env={"EC2GW_DATA": str(data), "EC2GW_HOST_SECRET": None, **environ},
        )

    return invoke


def _failed(result: Result) -> str:
    assert isinstance(result.exception, Failed), result.output
    return str(result.exception)


def _add(run: Run, *arguments: str, **environ: str) -> Result:
    given = {"EC2GW_HOST_SECRET": "from the environment", **environ}
    return run("host", "add", "hv1", *HOST, "--transport", "ntlm", *arguments, **given)


def _host(data: Path) -> tuple[models.Host, str | None]:
    store, vault = inventory.open_state(config.load(None, {}, {"data": str(data)}), migrate=False)
    try:
        with store.read() as session:
            (row,) = session.scalars(sa.select(models.Host))
            secret = vault.open(row.secret, host_context("hv1")).decode() if row.secret else None
            return row, secret
    finally:
        store.close()


def test_an_account_is_made_and_listed_without_its_secret(run: Run) -> None:
    made = run("account", "create", "team-a")
    assert made.exit_code == 0, made.output
    first, key, secret = made.output.splitlines()
    assert re.fullmatch(r"# account [0-9]{12}", first)
    listed = run("account", "list").output
    assert key.rpartition("=")[2] in listed
    assert secret.partition("=")[2] not in listed
    assert _failed(run("account", "create", "team-a")) == (
        "there is an account called team-a already"
    )


@pytest.mark.parametrize("name", ["", "a b", "-x", "open-123456789012", "x" * 65])
def test_a_name_that_is_none_is_refused(run: Run, name: str) -> None:
    assert "is no name for an account" in _failed(run("account", "create", "--", name))


def test_a_host_is_added_with_a_sealed_secret(run: Run, data: Path) -> None:
    added = _add(run, "--username", "svc")
    assert added.exit_code == 0, added.output
    assert added.stderr == ""
    assert "ec2gw host check hv1" in added.stdout
    row, secret = _host(data)
    assert (row.region, row.zone_letter, row.root) == ("eu-central-1", "a", "C:\\ec2gw")
    assert (row.transport, row.username, secret) == ("ntlm", "svc", "from the environment")
    assert "hv1" in run("host", "list").output
    assert "already" in _failed(_add(run, "--username", "svc"))


def test_a_secret_comes_from_a_file_or_from_the_keyboard(
    run: Run, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    assert _add(run, "--username", "svc", "--secret-file", str(file)).exit_code == 0
    assert _host(data)[1] == "from the file"
    assert run("host", "remove", "hv1").exit_code == 0
    assert _host(data)[1] is None
    arguments = ("host", "add", "hv1", *HOST, "--transport", "ntlm", "--username", "svc")
    typed = run(*arguments, typed="from the keyboard\n")
    assert typed.exit_code == 0, typed.output
    assert "from the keyboard" not in typed.output
    assert _host(data)[1] == "from the keyboard"


def test_a_host_with_volumes_stays_until_they_are_deleted_or_it_is_lost(
    run: Run, data: Path
) -> None:
    assert run("account", "create", "team-a").exit_code == 0
    assert _add(run, "--username", "svc").exit_code == 0
    store, _ = inventory.open_state(config.load(None, {}, {"data": str(data)}), migrate=False)
    now = dt.datetime.now(dt.UTC)
    row = models.Volume(
        id="vol-0123456789abcdef0",
        account_key=1,
        region="eu-central-1",
        zone="eu-central-1a",
        host_key=1,
        size_gib=1,
        created_at=now,
        file_name="volumes/vol-0123456789abcdef0.vhdx",
        **storage.entered("available"),
    )
    store.write(lambda session: session.add(row))
    store.close()
    assert "hv1 has 1 volumes" in _failed(run("host", "remove", "hv1"))
    removed = run("host", "remove", "hv1", "--lost")
    assert removed.output == "removed hv1\nlost vol-0123456789abcdef0\n"


def test_no_option_takes_a_secret_itself() -> None:
    for group in (cli.commands, *cli.commands.commands.values()):
        for command in getattr(group, "commands", {}).values():
            for parameter in command.params:
                assert not re.search("password|secret$", parameter.name or ""), parameter.name


WRONG = {
    "is no zone": ("--zone", "eu-central-1"),
    "is no folder on a local drive": ("--root", "\\\\server\\share"),
    "is no folder": ("--root", "C:\\a\\..\\b"),
    "needs a user name": (),
}


@pytest.mark.parametrize(("told", "arguments"), WRONG.items(), ids=WRONG)
def test_a_host_that_cannot_be_is_refused(run: Run, told: str, arguments: tuple[str, ...]) -> None:
    user = ("--username", "svc") if arguments else ()
    assert told in _failed(_add(run, *user, *arguments))
    assert "hv1" not in run("host", "list").output


def test_ntlm_without_tls_is_refused_unless_it_is_wanted(run: Run) -> None:
    plain = ("--url", "http://hv1.example:5985/wsman", "--username", "svc")
    assert "http" in _failed(_add(run, *plain))
    assert _add(run, *plain, "--allow-ntlm-over-http").exit_code == 0


def test_an_image_gets_an_id_and_a_name_of_its_own(run: Run) -> None:
    unseen = ("--no-check", "--size-gib", "30")
    made = run("image", "add", "ubuntu.vhdx", "ubuntu-24.04", *unseen)
    assert made.exit_code == 0, made.output
    assert re.fullmatch(r"ami-[0-9a-f]{17}", made.output.strip())
    again = run("image", "add", "other.vhdx", "ubuntu-24.04", *unseen)
    assert "already" in _failed(again)
    private = run("image", "add", "o.vhdx", "ubuntu-24.04", *unseen, "--private")
    assert private.exit_code == 0, private.output


def test_without_a_host_to_ask_an_image_wants_to_be_believed(run: Run) -> None:
    for given in ((), ("--size-gib", "30")):
        failed = _failed(run("image", "add", "ubuntu.vhdx", "ubuntu-24.04", *given))
        assert "no host answered" in failed
        assert "--no-check and --size-gib" in failed
    failed = _failed(run("image", "add", "ubuntu.vhdx", "ubuntu-24.04", "--no-check"))
    assert "needs --size-gib" in failed


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("../x.vhdx", "no plain file name"),
        ("C:\\x.vhdx", "no plain file name"),
        ("x.vhdx:stream", "no plain file name"),
        ("x.iso", "a disk is a .vhdx or a .vhd"),
        ("x.vhd", ".vhdx disks only"),
    ],
)
def test_what_is_no_disk_below_images_is_refused(run: Run, file: str, told: str) -> None:
    assert told in _failed(run("image", "add", file, "name", "--size-gib", "8"))
