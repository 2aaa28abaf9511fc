"""The life of a request, stage by stage, without a socket: what is refused where, what is kept."""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ec2gw import logs
from ec2gw.auth.request import Request
from ec2gw.pipeline import BODY_LIMIT_BYTES
from state import models, recovering
from state.secrets import Vault
from state.store import Closed, Store
from tests.unit.doors import HOST, VERSION, Door, code, text
from translators import errors, views
from translators.registry import Context, Result
from translators.settings import Settings


@pytest.fixture
def door(store: Store, vault: Vault, settings: Settings) -> Door:
    return Door(store, vault, settings)


@pytest.fixture
def audit() -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = records.append  # type: ignore[assignment]
    loggers = [logging.getLogger(name) for name in ("ec2gw.audit", "ec2gw.pipeline")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def told(records: list[logging.LogRecord]) -> dict[str, str]:
    """Read the fields of the one line of audit, as they are written."""
    (record,) = [record for record in records if record.name == "ec2gw.audit"]
    _, _, fields = logs.KeyValue("api").format(record).partition(" event=answered ")
    return dict(field.split("=", 1) for field in fields.split(" "))


def test_a_signed_request_is_answered_with_its_id(door: Door) -> None:
    answer = door.ask()
    assert code(answer) == ("", 200)
    headers = dict(answer.headers)
    assert headers["Content-Type"] == "text/xml;charset=UTF-8"
    assert headers["x-amzn-RequestId"] == text(answer, "requestId")
    assert b"http://ec2.amazonaws.com/doc/2016-11-15/" in answer.body


def test_the_service_is_told_by_what_was_signed(door: Door) -> None:
    answer = door.ask("GetCallerIdentity", service="sts", version="2011-06-15")
    assert text(answer, "Account") == door.credentials.account_id
    assert code(door.ask("GetCallerIdentity", version="2011-06-15")) == ("InvalidAction", 400)


def test_a_service_that_is_not_spoken_gets_an_error_of_its_protocol(door: Door) -> None:
    answer = door.ask("DescribeAlarms", service="monitoring", version="2010-08-01")
    assert code(answer) == ("InvalidAction", 400)
    assert answer.body.count(b"<ErrorResponse>") == 1


NOT_SIGNED = {
    ("GET", VERSION): ("MissingParameter", 400),
    ("GET", "2011-06-15"): ("MissingAuthenticationToken", 403),
    ("GET", "2010-05-08"): ("MissingAuthenticationToken", 403),
}


@pytest.mark.parametrize(("asked", "told"), NOT_SIGNED.items())
def test_a_request_without_a_signature_is_refused(
    door: Door, asked: tuple[str, str], told: tuple[str, int]
) -> None:
    method, version = asked
    query = urlencode({"Action": "DescribeRegions", "Version": version})
    assert code(door.send(Request(method, "/", query, {"host": HOST}, b""))) == told


def test_unknown_and_inactive_keys_are_refused(door: Door, store: Store) -> None:
    unknown = ("AKIAUNKNOWN", "secret")
    assert code(door.ask(key=unknown)) == ("AuthFailure", 401)
    refused = door.ask("GetCallerIdentity", service="sts", key=unknown)
    assert code(refused) == ("InvalidClientTokenId", 403)

    def switch_off(session: Any) -> None:
        session.execute(sa.update(models.AccessKey).values(active=False))

    store.write(switch_off)
    assert code(door.ask()) == ("AuthFailure", 401)


def test_session_tokens_are_refused(door: Door) -> None:
    key = Credentials(door.credentials.access_key_id, door.credentials.secret, "token")
    request = AWSRequest("POST", f"http://{HOST}/", data="Action=DescribeRegions")
    SigV4Auth(key, "ec2", "us-east-1").add_auth(request)
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    sent = Request("POST", "/", "", {**headers, "host": HOST}, b"Action=DescribeRegions")
    assert code(door.send(sent)) == ("AuthFailure", 401)


def test_an_unknown_region_is_refused_and_nothing_is_made_for_it(door: Door, store: Store) -> None:
    assert code(door.ask(region="mars-1")) == ("AuthFailure", 401)
    assert door.first == []
    with store.read() as session:
        assert session.scalars(sa.select(models.AccountRegion.region)).all() == []


def test_what_is_not_offered_is_refused_as_aws_does(door: Door) -> None:
    for action in ("DescribeTransitGateways", "NoSuchThing", "<a>" * 200):
        answer = door.ask(action)
        assert code(answer) == ("InvalidAction", 400)
        message = f"The action {action[:100]} is not valid for this web service."
        assert text(answer, "Message") == message
    assert code(door.ask(None)) == ("MissingAction", 400)


def test_the_version_is_echoed_and_has_to_be_one(door: Door) -> None:
    assert b"doc/2014-10-01/" in door.ask(version="2014-10-01").body
    assert b"doc/2016-11-15/" in door.ask(version=None).body
    assert code(door.ask(version='"><x>')) == ("NoSuchVersion", 400)


def test_a_missing_required_member_is_named_as_on_the_wire(door: Door) -> None:
    answer = door.ask("TerminateInstances")
    assert code(answer) == ("MissingParameter", 400)
    assert text(answer, "Message") == "The request must contain the parameter instancesSet"
    answer = door.ask("CreateVolume", Size="1")
    # The zone may be told by name or by id, so that EC2's model does not require it.
    assert code(answer) == ("", 200)


def test_a_malformed_parameter_is_refused_before_anything_is_done(door: Door) -> None:
    assert code(door.ask("CreateVolume", Size="one")) == ("InvalidParameterValue", 400)
    assert door.made == []


def test_a_dry_run_stops_after_required_members_and_changes_nothing(door: Door) -> None:
    answer = door.ask("TerminateInstances", DryRun="true")
    assert code(answer) == ("MissingParameter", 400)
    answer = door.ask("CreateVolume", DryRun="true", Size="1")
    assert code(answer) == ("DryRunOperation", 412)
    assert text(answer, "Message") == "Request would have succeeded, but DryRun flag is set."
    assert door.made == []
    assert code(door.ask("CreateVolume", DryRun="false", Size="1")) == ("", 200)


def test_the_first_request_in_a_region_makes_what_is_found_there_once(
    door: Door, store: Store, vault: Vault, settings: Settings
) -> None:
    door.ask("GetCallerIdentity", service="sts", version="2011-06-15")
    assert door.first == []
    for region in ("us-east-1", "us-east-1", "eu-west-1"):
        assert door.ask(region=region).status == 200
    mine = door.credentials.account_id
    assert door.first == [(mine, "us-east-1"), (mine, "eu-west-1")]
    again = Door(store, vault, settings)  # another process: the table remembers
    again.ask()
    assert again.first == []


def test_many_first_requests_at_once_make_it_once(door: Door) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = [future.result() for future in [pool.submit(door.ask) for _ in range(16)]]
    assert {answer.status for answer in answers} == {200}
    assert len(door.first) == 1


def test_a_change_wakes_its_hosts_after_the_commit(door: Door) -> None:
    door.ask("CreateVolume", Size="1")
    assert door.woken == [{7}]


def test_an_old_state_is_read_and_not_changed(door: Door, store: Store) -> None:
    told = door.ask("CreateVolume", ClientToken="before", Size="1")
    store.write(recovering.begin)
    assert code(door.ask("CreateVolume", Size="1")) == ("Unavailable", 503)
    assert code(door.ask("DescribeRegions")) == ("", 200)
    again = door.ask("CreateVolume", ClientToken="before", Size="1")
    assert text(again, "volumeId") == text(told, "volumeId")
    store.write(recovering.end)
    assert code(door.ask("CreateVolume", Size="1")) == ("", 200)


def test_a_refused_change_keeps_nothing_and_wakes_nobody(door: Door, store: Store) -> None:
    def half(ctx: Context, request: Any) -> Result:
        row = models.Deployment(id="0" * 16, created_at=ctx.now)
        ctx.session.add(row)
        ctx.session.flush()
        ctx.wake.add(1)
        raise errors.insufficient_capacity()

    door.offer("CreateVolume", half, changes=True)
    assert code(door.ask("CreateVolume", Size="1")) == ("InsufficientInstanceCapacity", 500)
    assert door.woken == []
    with store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(models.Deployment)) == 1


def test_what_is_prepared_is_handed_to_the_change(door: Door) -> None:
    def create(ctx: Context, request: Any) -> Result:
        return {"VolumeId": ctx.prepared}

    door.offer("CreateVolume", create, changes=True, prepare=lambda ctx, request: "vol-ready")
    assert text(door.ask("CreateVolume", Size="1"), "volumeId") == "vol-ready"


def test_references_in_the_answer_of_a_change_are_loaded_before_the_commit(door: Door) -> None:
    def create(ctx: Context, request: Any) -> Result:
        def load(keys: Any) -> dict[int, dict[str, object]]:
            assert ctx.session.scalar(sa.select(sa.literal(1))) == 1
            return {key: {"Key": "a", "Value": str(key)} for key in keys}

        return {"VolumeId": "vol-1", "Tags": views.Fragments("tag", [(1, 1), (2, 1)], load)}

    door.offer("CreateVolume", create, changes=True)
    answer = door.ask("CreateVolume", Size="1", ClientToken="t")
    assert answer.body.count(b"<item>") == 2
    again = door.ask("CreateVolume", Size="1", ClientToken="t")
    assert again.body.count(b"<item>") == 2


def test_a_fault_of_ours_is_told_by_its_id_alone(
    door: Door, audit: list[logging.LogRecord]
) -> None:
    def fail(ctx: Context, request: Any) -> Result:
        raise ValueError("C:\\secret\\path")

    door.offer("DescribeRegions", fail)
    answer = door.ask()
    assert code(answer) == ("InternalError", 500)
    assert text(answer, "Message") == "An internal error has occurred"
    assert b"secret" not in answer.body
    (failed,) = [record for record in audit if record.levelno == logging.ERROR]
    assert failed.exc_info is not None
    assert vars(failed)["request"] == text(answer, "RequestID")


def test_what_a_statement_carried_is_not_in_the_log_of_its_failure(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    def twice(ctx: Context, request: Any) -> Result:
        for _ in range(2):
            row = models.Account(id="111111111111", name="private", created_at=ctx.now)
            ctx.session.add(row)
            ctx.session.flush()
        return {}

    door.offer("CreateVolume", twice, changes=True)
    assert code(door.ask("CreateVolume", Size="1")) == ("InternalError", 500)
    assert "IntegrityError" in caplog.text
    assert "private" not in caplog.text


def _locked() -> Exception:
    cause = sqlite3.OperationalError("database is locked")
    return sa.exc.OperationalError("statement", {"secret": "x"}, cause)


def _bare() -> Exception:
    return sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize(
    "make", [_locked, _bare, Closed, sa.exc.TimeoutError], ids=lambda make: make.__name__
)
def test_a_store_that_cannot_be_reached_is_told_as_unavailable(
    door: Door, audit: list[logging.LogRecord], make: Callable[[], Exception]
) -> None:
    def fail(ctx: Context, request: Any) -> Result:
        raise make()

    door.offer("CreateVolume", fail, changes=True)
    assert code(door.ask("CreateVolume", Size="1")) == ("Unavailable", 503)
    assert "secret" not in str([vars(record) for record in audit])


@pytest.mark.parametrize("holding", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_while_another_program_holds_the_database_changes_are_unavailable(
    tmp_path: Path,
    empty_database: Path,
    vault: Vault,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    holding: str,
) -> None:
    monkeypatch.setattr("state.store._BUSY_SECONDS", 0.2)
    path = tmp_path / "held.sqlite3"
    shutil.copy(empty_database, path)
    store = Store(path)
    try:
        door = Door(store, vault, settings)
        assert code(door.ask("CreateVolume", Size="1")) == ("", 200)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(holding)
            assert code(door.ask("CreateVolume", Size="1")) == ("Unavailable", 503)
            assert code(door.ask("DescribeRegions")) == ("", 200)
        assert code(door.ask("CreateVolume", Size="1")) == ("", 200)
        assert len(door.made) == 2
    finally:
        store.close()


REFUSED = {
    "method": (Request("PUT", "/", "", {"host": HOST}, b""), 405),
    "path": (Request("GET", "/other", "", {"host": HOST}, b""), 404),
    "no path": (Request("GET", "", "", {"host": HOST}, b""), 404),
    "body": (Request("POST", "/", "", {"host": HOST}, None), 413),
    "query": (Request("GET", "/", "a" * (BODY_LIMIT_BYTES + 1), {"host": HOST}, b""), 413),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_for_us_gets_an_error_in_xml(
    door: Door, request_: Request, status: int
) -> None:
    assert code(door.send(request_)) == ("InvalidRequest", status)


def test_an_answer_to_head_has_no_body(door: Door) -> None:
    answer = door.send(Request("HEAD", "/", "", {"host": HOST}, b""))
    assert (answer.status, answer.body) == (405, b"")


def test_the_audit_line_says_who_asked_for_what_and_never_what_was_in_it(
    door: Door, audit: list[logging.LogRecord]
) -> None:
    door.ask("CreateVolume", Size="1", Unheard="x", ClientToken="private-token")
    line = told(audit)
    assert line["account"] == door.credentials.account_id
    assert line["key"] == door.credentials.access_key_id
    assert (line["service"], line["action"], line["region"]) == ("ec2", "CreateVolume", "us-east-1")
    assert (line["status"], line["code"], line["unknown"]) == ("200", "-", "1")
    assert re.fullmatch(r"[0-9]+\.[0-9]", line["ms"])
    assert "private-token" not in str(line)
    assert door.credentials.secret not in str(line)


def test_no_client_can_forge_a_line(door: Door, audit: list[logging.LogRecord]) -> None:
    door.ask("Describe\nevent=forged status=200")
    line = told(audit)
    assert line["action"] == "-"
