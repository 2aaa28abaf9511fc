"""What an operator sees of a recovery, and can do about it, without a service."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from ec2gw import cli, config, inventory
from ec2gw.cli.opening import Failed
from state import models, recovering
from state.store import Store
from tests import rows

Run = Callable[..., Result]
NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(
            cli.commands,
            arguments,
            env={"EC2GW_DATA": str(data), "EC2GW_HOST_SECRET": "s", "COLUMNS": "200"},
        )

    for name in ("hv1", "hv2"):
        url = f"https://{name}.example:5986/wsman"
        added = invoke(
            *("host", "add", name, "--url", url, "--zone", "eu-central-1a"),
            *("--transport", "ntlm", "--username", "svc"),
        )
        assert added.exit_code == 0, added.output
    return invoke


def change(data: Path, work: Callable[[Any], Any]) -> Any:
    resolved = config.load(None, {}, {"data": str(data)})
    store, _ = inventory.open_state(resolved, migrate=False)
    try:
        return store.write(work)
    finally:
        store.close()


def named(session: Any, name: str) -> models.Host:
    found: models.Host = session.scalars(
        sa.select(models.Host).where(models.Host.name == name)
    ).one()
    return found


def failed(result: Result) -> str:
    assert isinstance(result.exception, Failed), result.output
    return str(result.exception)


def test_a_recovery_says_what_it_waits_for(run: Run, data: Path) -> None:
    assert "recovery" not in run("host", "list").output
    assert run("recover").exit_code == 0
    assert "it waits for hv1, hv2\n" in run("host", "list").stderr
    change(data, lambda session: recovering.seen(session, named(session, "hv1").key))
    assert "it waits for hv2\n" in run("host", "list").stderr
    assert "it waits for hv2\n" in run("host", "check", "hv1").stderr
    run("host", "remove", "hv2")
    assert "it waits for the service to run\n" in run("host", "list").stderr


def test_a_host_that_comes_during_a_recovery_is_waited_for(run: Run) -> None:
    run("host", "remove", "hv2")
    run("recover")
    run(
        *("host", "add", "hv3", "--url", "https://hv3.example:5986/wsman"),
        *("--zone", "eu-central-1b", "--transport", "ntlm", "--username", "svc"),
    )
    assert "it waits for hv1, hv3\n" in run("host", "list").stderr


def test_vms_that_were_left_alone_are_listed_until_they_are_tried_again(
    run: Run, data: Path
) -> None:
    def leave(session: Any) -> None:
        stray = {"name": "i-1", "why": "its Notes are early", "addresses": []}
        named(session, "hv1").strays = [stray]

    change(data, leave)
    assert "hv1: VM i-1: its Notes are early" in run("host", "list").output
    run("recover")
    assert "its Notes are early" not in run("host", "list").output


def test_a_lost_host_is_given_up_with_its_instances(run: Run, data: Path) -> None:
    ids: list[str] = []

    def fill(session: Any) -> None:
        on = rows.ground(session, region="eu-central-1")
        named(session, "host-1").reachable = True
        for phase in ("pending", "running", "stopping", "stopped", "shutting-down"):
            ids.append(rows.instance(session, on, phase).id)

    change(data, fill)
    assert "has 5 instances" in failed(run("host", "remove", "host-1"))
    assert failed(run("host", "remove", "host-1", "--lost")) == "host-1 answers: it is not lost"

    def fall_silent(session: Any) -> None:
        named(session, "host-1").reachable = False

    change(data, fall_silent)
    done = run("host", "remove", "host-1", "--lost")
    assert done.exit_code == 0, done.output
    assert sorted(line for line in done.output.splitlines() if line.startswith("ended")) == sorted(
        f"ended {one}" for one in ids
    )

    def check(session: Any) -> None:
        found = session.scalars(sa.select(models.Instance)).all()
        assert {row.phase for row in found} == {"terminated"}
        assert session.scalars(sa.select(models.NetworkInterface)).all() == []
        assert named(session, "host-1").state == "removed"

    change(data, check)


def test_an_account_without_a_key_is_given_one(run: Run, data: Path) -> None:
    def recover(session: Any) -> None:
        session.add(models.Account(id="123456789012", name="recovered", created_at=NOW))

    change(data, recover)
    made = run("account", "key", "123456789012")
    assert made.exit_code == 0, made.output
    first, _ = made.output.splitlines()
    assert first.rpartition("=")[2] in run("account", "list").output
    assert run("account", "key", "recovered").output != made.output
    assert failed(run("account", "key", "nobody")) == "there is no account nobody"
    assert failed(run("account", "key", "operator")) == "there is no account operator"


def test_what_was_being_driven_when_the_service_started_is_remembered_once(store: Store) -> None:
    def fill(session: Any) -> models.Instance:
        return rows.instance(session, rows.ground(session), "stopping")

    instance = store.write(fill)
    store.write(recovering.doubt)

    def ask_again(session: Any) -> None:
        session.get_one(models.Instance, instance.key).generation += 1

    with store.read() as session:
        row = session.get_one(models.Instance, instance.key)
        assert recovering.is_old_wish(session, row)
        assert not recovering.may_place(session)
    store.write(ask_again)
    store.write(recovering.doubt)  # started again before any host could tell
    with store.read() as session:
        row = session.get_one(models.Instance, instance.key)
        assert not recovering.is_old_wish(session, row)
    store.write(recovering.confirm)
    with store.read() as session:
        assert recovering.may_place(session)
