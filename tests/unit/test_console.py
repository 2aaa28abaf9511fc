"""GetConsoleScreenshot and GetConsoleOutput: what is asked of a host, what is answered without."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import io
import random
import threading
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from ec2gw import questions as waiting
from ec2gw.engine import hand
from ec2gw.winrm import framing
from state import models
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from tests.unit.test_snapshot_requests import found
from translators import driven
from translators.ec2.instances.console import picture, questions
from translators.hyperv import console
from translators.hyperv import host as port
from translators.hyperv.host import Answer, Flat
from translators.registry import ACTIONS
from translators.settings import Settings

RED, GREEN, BLUE = b"\x00\xf8", b"\xe0\x07", b"\x1f\x00"


def shown(width: int, height: int, pixels: bytes) -> Answer:
    data = base64.b64encode(pixels).decode()
    row: dict[str, Flat] = {"width": width, "height": height, "pixels": data}
    return Answer({"picture": [row]}, 1)


def written(data: bytes, age: int = 0) -> Answer:
    return Answer({"console": [{"data": base64.b64encode(data).decode(), "age": age}]}, 1)


class Host:
    """A host that answers looks as a test has said; None: it does not answer in time."""

    def __init__(self) -> None:
        self.says: Answer | port.HostError | None = None
        self.asked: list[str] = []

    def run(
        self, plan: port.Plan, *, fence: port.Fence | None = None, deadline_seconds: float = 30
    ) -> Answer:
        assert not plan.changes
        self.asked.append(plan.purpose)
        if self.says is None:
            raise port.Unreachable("no answer within the deadline")
        if isinstance(self.says, port.HostError):
            raise self.says
        return self.says


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings, host: Host) -> InProcess:
    """A gateway whose engine answers at once what the host answers, and else never."""
    made = InProcess.fresh(store, vault, settings)
    made.gateway.actions = {
        key: dataclasses.replace(
            one, awaits=one.awaits and dataclasses.replace(one.awaits, deadline_seconds=0.0)
        )
        for key, one in ACTIONS.items()
    }
    store.write(lambda session: session.execute(sa.update(models.Host).values(reachable=True)))

    def wake(host_keys: set[int]) -> None:
        for key in host_keys:
            drive(made, host, key)

    made.gateway.wake = wake
    return made


def drive(gateway: InProcess, host: Host, host_key: int, later: float = 0.0) -> None:
    """Do what the engine does with the questions of a host, so much later."""
    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=later)
    worker = hand.Hand(
        gateway.store,
        host,
        gateway.gateway.settings,
        host_key=host_key,
        host_name="host",
        now=lambda: now,
        stopping=threading.Event(),
        outdated=lambda _why: None,
    )
    with gateway.store.read() as session:
        due = driven.KINDS["question"].due(session, host_key, now)
    for one in due:
        worker.advance(("question", one.key))


@pytest.fixture
def instance(gateway: InProcess) -> str:
    """An instance that was just seen to run."""
    image = gateway.call(
        "RegisterImage",
        Name="debian",
        ImageLocation="debian.vhdx",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
    )["ImageId"]
    launch = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}
    [one] = gateway.call("RunInstances", **launch)["Instances"]
    found(gateway, "launched")
    guid = "0f0e0d0c-0b0a-0908-0706-050403020100"
    gateway.store.write(lambda s: s.execute(sa.update(models.Instance).values(vm_id=guid)))
    made: str = one["InstanceId"]
    return made


def every(gateway: InProcess, model: type[Any]) -> list[Any]:
    with gateway.store.read() as session:
        return list(session.scalars(sa.select(model)).all())


# -- the screen


def test_a_screenshot_is_a_jpeg_of_what_the_host_shows(
    gateway: InProcess, host: Host, instance: str
) -> None:
    host.says = shown(48, 16, (RED * 16 + GREEN * 16 + BLUE * 16) * 16)
    answer = gateway.call("GetConsoleScreenshot", InstanceId=instance, WakeUp=True)
    assert answer["InstanceId"] == instance
    with Image.open(io.BytesIO(base64.b64decode(answer["ImageData"]))) as image:
        assert (image.format, image.size) == ("JPEG", (48, 16))
        seen = [image.convert("RGB").getpixel((x, 8)) for x in (4, 24, 44)]
    for colour, at in zip(seen, (0, 1, 2), strict=True):
        assert isinstance(colour, tuple)
        assert colour[at] > 200
        assert sum(colour) - colour[at] < 100


@pytest.mark.parametrize(
    ("width", "height", "pixels"),
    [
        (2, 2, b"\x00" * 7),
        (2, 2, b"\x00" * 9),
        (0, 2, b""),
        (-1, -1, b"\x00\x00"),
        (1024, 768, b"\x00" * (2 * 1024 * 768)),
        (60_000, 1, b"\x00" * 120_000),
    ],
)
def test_a_picture_of_another_size_than_it_says_is_none(
    gateway: InProcess, host: Host, instance: str, width: int, height: int, pixels: bytes
) -> None:
    host.says = shown(width, height, pixels)
    assert gateway.refusal("GetConsoleScreenshot", InstanceId=instance)[:2] == (
        "InternalError",
        500,
    )
    assert every(gateway, models.Question)[0].answer is None


def test_a_vm_that_is_off_has_no_screen(gateway: InProcess, host: Host, instance: str) -> None:
    host.says = shown(0, 0, b"")
    assert gateway.refusal("GetConsoleScreenshot", InstanceId=instance) == (
        "IncorrectInstanceState",
        400,
        f"The instance '{instance}' is not in the 'running' state.",
    )


@pytest.mark.parametrize("phase", ["pending", "starting", "stopping", "stopped", "terminated"])
def test_a_host_is_not_asked_for_the_screen_of_what_does_not_run(
    gateway: InProcess, host: Host, instance: str, phase: str
) -> None:
    now = dt.datetime.now(dt.UTC)
    changed = sa.update(models.Instance).values(phase=phase, phase_since=now, terminated_at=now)
    gateway.store.write(lambda session: session.execute(changed))
    code, status, _ = gateway.refusal("GetConsoleScreenshot", InstanceId=instance)
    assert (code, status) == ("IncorrectInstanceState", 400)
    assert host.asked == []


def test_a_host_that_cannot_take_the_picture_is_an_internal_error(
    gateway: InProcess, host: Host, instance: str
) -> None:
    fault = port.HostFault(id="NoThumbnail,Get-Thumbnail", category="NotSpecified", text="x")
    host.says = port.Failed("call", fault, 0)
    refused = gateway.refusal("GetConsoleScreenshot", InstanceId=instance)
    assert refused[:2] == ("InternalError", 500)
    assert "Thumbnail" not in refused[2]
    assert "NoThumbnail" in every(gateway, models.Question)[0].trouble


def test_a_host_that_does_not_answer_is_unavailable(
    gateway: InProcess, host: Host, instance: str
) -> None:
    assert gateway.refusal("GetConsoleScreenshot", InstanceId=instance)[:2] == ("Unavailable", 503)
    assert host.asked == ["look-screen"]


def test_a_host_that_is_known_to_be_out_of_reach_is_not_waited_for(
    gateway: InProcess, host: Host, instance: str
) -> None:
    unreachable = sa.update(models.Host).values(reachable=False)
    gateway.store.write(lambda session: session.execute(unreachable))
    for action in ("GetConsoleScreenshot", "GetConsoleOutput"):
        assert gateway.refusal(action, InstanceId=instance)[:2] == ("Unavailable", 503)
    assert host.asked == []
    assert every(gateway, models.Question) == []


def test_the_largest_picture_fits_a_frame_whatever_it_shows() -> None:
    noise = random.Random(1).randbytes(2 * console.MOST_PIXELS)
    row = {"width": 640, "height": 480, "pixels": base64.b64encode(noise).decode()}
    answer = {"id": 10**14, "ok": True, "done": 1, "results": {"picture": [row]}, "warnings": []}
    assert len(framing.encode(answer, largest=framing.MAX_TEXT)) < framing.MAX_LINE
    made = picture.jpeg(console.Picture(640, 480, noise))
    assert len(base64.b64encode(made)) < 2**20


# -- the serial console


def test_output_is_answered_as_it_came_with_the_time_of_its_last_byte(
    gateway: InProcess, host: Host, instance: str
) -> None:
    boot = bytes(range(256)) * 256
    host.says = written(boot, age=90)
    answer = gateway.call("GetConsoleOutput", InstanceId=instance, Latest=True)
    assert answer["Output"] == boot.decode("utf-8", "replace"), "botocore decodes it"
    assert every(gateway, models.Console)[0].output == boot
    age = dt.datetime.now(dt.UTC) - answer["Timestamp"]
    assert dt.timedelta(seconds=89) < age < dt.timedelta(seconds=100)


def test_without_output_there_is_none_in_the_answer(
    gateway: InProcess, host: Host, instance: str
) -> None:
    host.says = Answer({"console": []}, 1)
    answer = gateway.call("GetConsoleOutput", InstanceId=instance)
    assert answer["InstanceId"] == instance
    assert "Output" not in answer
    assert "Timestamp" in answer


def test_what_was_last_seen_is_answered_when_the_host_is_not(
    gateway: InProcess, host: Host, instance: str
) -> None:
    host.says = written(b"login: ", age=5)
    first = gateway.call("GetConsoleOutput", InstanceId=instance)
    host.says = None
    late(gateway)
    assert body(gateway.call("GetConsoleOutput", InstanceId=instance)) == body(first)
    host.says = port.Failed("call", port.HostFault(id="FileNotFound", category="x", text=""), 0)
    late(gateway)
    assert body(gateway.call("GetConsoleOutput", InstanceId=instance)) == body(first)
    for gone in (
        sa.update(models.Host).values(reachable=False),
        sa.update(models.Instance).values(
            phase="terminated", terminated_at=dt.datetime.now(dt.UTC)
        ),
    ):
        late(gateway)
        execute(gateway, gone)
        assert body(gateway.call("GetConsoleOutput", InstanceId=instance)) == body(first)
    assert len(host.asked) == 3


def execute(gateway: InProcess, statement: sa.Executable) -> None:
    gateway.store.write(lambda session: session.execute(statement))


def body(answer: Mapping[str, Any]) -> tuple[Any, Any]:
    return answer["Output"], answer["Timestamp"]


def late(gateway: InProcess) -> None:
    """Let what was asked be so long ago that nobody shares it."""
    gateway.store.write(lambda session: session.execute(sa.delete(models.Question)))


def test_a_host_that_cannot_say_and_never_said_is_an_internal_error(
    gateway: InProcess, host: Host, instance: str
) -> None:
    host.says = port.Failed("call", port.HostFault(id="DiskFull", category="x", text=""), 0)
    assert gateway.refusal("GetConsoleOutput", InstanceId=instance)[:2] == ("InternalError", 500)


@pytest.mark.parametrize("data", [b"\x00" * (console.OUTPUT_BYTES + 1)])
def test_more_than_was_asked_for_is_not_kept(
    gateway: InProcess, host: Host, instance: str, data: bytes
) -> None:
    host.says = written(data)
    assert gateway.refusal("GetConsoleOutput", InstanceId=instance)[:2] == ("InternalError", 500)
    assert every(gateway, models.Console) == []


def test_an_instance_of_somebody_else_is_not_found(gateway: InProcess, instance: str) -> None:
    for action in ("GetConsoleScreenshot", "GetConsoleOutput"):
        for asked, code in (
            (instance, "InvalidInstanceID.NotFound"),
            ("i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
            ("i-x", "InvalidInstanceID.Malformed"),
        ):
            refused = gateway.refusal(action, by=gateway.stranger, InstanceId=asked)
            assert refused[0] == code


# -- questions


def test_two_that_ask_at_once_share_one_question(
    gateway: InProcess, host: Host, instance: str
) -> None:
    for _ in range(2):
        gateway.refusal("GetConsoleScreenshot", InstanceId=instance)
    assert len(every(gateway, models.Question)) == 1
    host.says = shown(16, 16, RED * 256)
    gateway.call("GetConsoleScreenshot", InstanceId=instance)
    gateway.call("GetConsoleScreenshot", InstanceId=instance)
    assert len(every(gateway, models.Question)) == 2, "an answer is not given twice"


def test_questions_go_when_nobody_waits_any_more(
    gateway: InProcess, host: Host, instance: str
) -> None:
    gateway.refusal("GetConsoleScreenshot", InstanceId=instance)
    [question] = every(gateway, models.Question)
    assert len(every(gateway, models.Work)) == 1, "its trouble is told while it is asked"
    drive(gateway, host, question.host_key, later=questions.VALID_SECONDS + 1)
    assert every(gateway, models.Question) == []
    assert every(gateway, models.Work) == []
    host.says = shown(16, 16, RED * 256)
    gateway.call("GetConsoleScreenshot", InstanceId=instance)
    drive(gateway, host, question.host_key, later=5)
    assert [row.phase for row in every(gateway, models.Question)] == ["answered"]
    drive(gateway, host, question.host_key, later=15)
    assert every(gateway, models.Question) == []


def test_one_too_many_for_a_host_is_refused_and_asks_nothing(
    gateway: InProcess, host: Host, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.gateway, "questions", waiting.Questions(per_host=0))
    for action in ("GetConsoleScreenshot", "GetConsoleOutput"):
        refused = gateway.refusal(action, InstanceId=instance)
        assert refused[:2] == ("RequestLimitExceeded", 503)
    assert every(gateway, models.Question) == []


def test_a_dry_run_asks_nothing(gateway: InProcess, instance: str) -> None:
    refused = gateway.refusal("GetConsoleOutput", InstanceId=instance, DryRun=True)
    assert refused[:2] == ("DryRunOperation", 412)
    assert every(gateway, models.Question) == []
