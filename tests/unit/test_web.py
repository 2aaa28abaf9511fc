"""The application in front of the pipeline: whatever is sent, XML comes back."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from ec2gw import web
from ec2gw.auth.request import Request
from ec2gw.exchange import Response
from ec2gw.pipeline import BODY_LIMIT_BYTES
from ec2gw.questions import Questions
from state.secrets import Vault
from state.store import Store
from tests.unit.doors import Door
from translators.settings import Settings


@pytest.fixture
def door(store: Store, vault: Vault, settings: Settings) -> Door:
    return Door(store, vault, settings, "open")


@pytest.fixture
def client(door: Door) -> FlaskClient:
    app = web.application(door.gateway)
    return app.test_client()


class Eyes:
    """In place of the pipeline: keeps what it was handed."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.questions = Questions()

    def answer(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(200, (), b"<ok/>")


METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "NONSENSE"]
PATHS = ["/", "/x", "/x//y", "/../../etc/passwd", "/%00", "/%ff", "/a" * 2000, "/static/x"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:20])
@pytest.mark.parametrize("method", METHODS)
def test_any_method_and_path_is_answered_in_xml(
    client: FlaskClient, method: str, path: str
) -> None:
    answer = client.open(path, method=method)
    assert answer.content_type == "text/xml;charset=UTF-8"
    root = ElementTree.fromstring(answer.data)
    expected = 405 if method not in ("GET", "POST") else 404 if path != "/" else 400
    assert (answer.status_code, root.tag) == (expected, "Response")


PARAMETERS = [
    *(b"Action=CreateVolume", b"Version=2016-11-15", b"Size=1", b"Size", b"Size.1.2.3=x"),
    *(b"TagSpecification.1.Tag.1.Key=a", b"TagSpecification." * 40 + b"1=x"),
    *(b"DryRun=maybe", b"ClientToken=" + b"x" * 99, b"=", b"&&&", b".", b"%zz=%", b"a%00b=%ff"),
    *(b"X-Amz-Algorithm=AWS4-HMAC-SHA256", b"X-Amz-Credential=a/b/c/d/e"),
]


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    method=st.sampled_from(["GET", "POST"]),
    query=st.binary(max_size=100),
    body=st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from(PARAMETERS)).map(b"&".join),
    ),
    authorization=st.one_of(
        st.just(""),
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=100),
        st.text("AKIA/20=, ", max_size=60).map(lambda text: f"AWS4-HMAC-SHA256 {text}"),
    ),
)
def test_no_bytes_bring_anything_but_xml(
    client: FlaskClient, method: str, query: bytes, body: bytes, authorization: str
) -> None:
    answer = client.open(
        "/",
        method=method,
        query_string=query.decode("latin-1"),
        data=body,
        headers={"Authorization": authorization} if authorization else {},
    )
    root = ElementTree.fromstring(answer.data)
    if answer.status_code != 200:
        assert root.find(".//{*}Code") is not None
    assert answer.status_code in (200, 400, 401, 403, 412)
    assert b"Traceback" not in answer.data


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(door: Door) -> None:
    client = web.application(door.gateway).test_client()
    fits = b"Action=DescribeRegions&" + b"&" * 500
    fits += b"x" * (BODY_LIMIT_BYTES - len(fits))
    assert client.post("/", data=fits).status_code == 200
    assert client.post("/", data=fits + b"x").status_code == 413


def test_a_body_without_an_announced_length_is_read_to_its_end_and_no_further() -> None:
    eyes = Eyes()
    app = web.application(eyes)  # type: ignore[arg-type]
    for size in (0, 10, BODY_LIMIT_BYTES, BODY_LIMIT_BYTES + 1, 4 * BODY_LIMIT_BYTES):
        stream = io.BytesIO(b"x" * size)
        environ = EnvironBuilder(method="POST").get_environ()
        environ.pop("CONTENT_LENGTH", None)
        environ |= {"wsgi.input": stream, "wsgi.input_terminated": True}
        run_wsgi_app(app, environ)
        assert stream.tell() == size  # who still sends would not see the answer
    taken = [len(request.body) if request.body is not None else None for request in eyes.seen]
    assert taken == [0, 10, BODY_LIMIT_BYTES, None, None]


def test_a_body_announced_too_large_is_taken_off_the_wire_within_bounds_and_not_kept() -> None:
    eyes = Eyes()
    app = web.application(eyes)  # type: ignore[arg-type]
    for length, sent in ((str(BODY_LIMIT_BYTES + 1), 100), ("9" * 400, 20 * BODY_LIMIT_BYTES)):
        stream = io.BytesIO(b"x" * sent)
        environ = EnvironBuilder(method="POST").get_environ()
        environ |= {"wsgi.input": stream, "CONTENT_LENGTH": length}
        run_wsgi_app(app, environ)
        assert stream.tell() == min(sent, 16 * BODY_LIMIT_BYTES)
    assert [request.body for request in eyes.seen] == [None, None]


def test_a_body_that_ends_before_its_announced_end_is_no_request() -> None:
    eyes = Eyes()
    app = web.application(eyes)  # type: ignore[arg-type]
    environ = EnvironBuilder(method="POST").get_environ()
    cut = io.BytesIO(b"Action=TerminateInstances&InstanceId.1=i-0")
    environ |= {"wsgi.input": cut, "CONTENT_LENGTH": "100"}
    body, status, _ = run_wsgi_app(app, environ)
    assert status.startswith("400")
    assert ElementTree.fromstring(b"".join(body)).findtext(".//Code") == "InvalidRequest"
    assert eyes.seen == []


class Slow(io.BytesIO):
    """A body whose sender waits before its end."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.begun.set()
        assert self.go_on.wait(20)
        return super().read(size)


def test_of_large_bodies_only_so_many_are_received_at_once() -> None:
    eyes = Eyes()
    asked: list[None] = []
    app = web.application(eyes, make_room=lambda: asked.append(None))  # type: ignore[arg-type]

    def post(stream: io.BytesIO) -> str:
        environ = EnvironBuilder(method="POST").get_environ()
        length = str(len(stream.getvalue()))
        return run_wsgi_app(app, {**environ, "wsgi.input": stream, "CONTENT_LENGTH": length})[1]

    large = b"x" * (64 * 1024 + 1)
    slow = [Slow(large) for _ in range(32)]
    with ThreadPoolExecutor(len(slow)) as pool:
        answers = [pool.submit(post, one) for one in slow]
        assert all(one.begun.wait(20) for one in slow)
        assert post(io.BytesIO(large)).startswith("503")
        assert len(asked) == 1
        assert post(io.BytesIO(large[:-1])).startswith("200")
        for one in slow:
            one.go_on.set()
        assert {answer.result(20)[:3] for answer in answers} == {"200"}
    assert post(io.BytesIO(large)).startswith("200")
    assert len(asked) == 1


def test_what_was_received_is_handed_on_as_it_came() -> None:
    eyes = Eyes()
    client = web.application(eyes).test_client()  # type: ignore[arg-type]
    client.post(
        "/",
        query_string="a=b%20c&d+e",
        data=b"body",
        headers={"Host": "Some.Host:1", "X-Two-Words": " a  b "},
        content_type="text/odd",
    )
    (seen,) = eyes.seen
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", "/", "a=b%20c&d+e", b"body")
    assert seen.headers["host"] == "Some.Host:1"
    assert seen.headers["x-two-words"] == " a  b "
    assert (seen.headers["content-type"], seen.headers["content-length"]) == ("text/odd", "4")


def test_a_pipeline_that_fails_as_a_whole_is_still_answered_in_xml(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        questions = Questions()

        def answer(self, request: Request) -> Response:
            raise MemoryError

    client = web.application(Broken()).test_client()  # type: ignore[arg-type]
    answer = client.get("/")
    assert answer.status_code == 500
    assert ElementTree.fromstring(answer.data).findtext(".//Code") == "InternalError"
    assert answer.headers["x-amzn-RequestId"]
