"""The Flask application: one route for any method and path, in front of the pipeline.

Reads what was sent, within bounds, and sends what the pipeline answers; decides nothing. What
Flask has nothing to say about, a GET or POST of `/`, goes past its routing: that is two thirds of
what a small request costs.

Source: Flask, "Application Structure and Lifecycle", `Flask.wsgi_app`; PEP 3333.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ec2gw import exchange, pipeline, request_errors
from ec2gw.auth.request import Request
from translators import errors

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

_log = logging.getLogger("ec2gw.web")

Wsgi = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]
_DISCARDED_BYTES: Final = 16 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_LARGE_BYTES: Final = 64 * 1024
"""More is announced by no usual request: user data has 16 KB."""
_LARGE_AT_ONCE: Final = 32
_STATUS_LINES: Final = {
    status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus
}


class _Cut(Exception):
    """The body ended before its announced end: its client is gone, or was given up."""


def application(
    gateway: pipeline.Gateway, at_once: int = 8, make_room: Callable[[], object] = lambda: None
) -> flask.Flask:
    """Make the application; `at_once` requests are worked on, others only received.

    A client that sends slowly keeps one of the server's threads; it must not keep the service, nor
    its memory: of large bodies only so many are received at once. `make_room` is called when no
    more will do.
    """
    working = threading.BoundedSemaphore(at_once)
    large = threading.BoundedSemaphore(_LARGE_AT_ONCE)
    app = flask.Flask("ec2gw", static_folder=None, template_folder=None)
    # Rules without methods take all of them, and none may redirect: that would be HTML.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.add(Rule("/", endpoint="any"))
    app.url_map.add(Rule("/<path:path>", endpoint="any"))

    @contextlib.contextmanager
    def rest() -> Iterator[None]:
        working.release()
        try:
            yield
        finally:
            working.acquire()

    gateway.questions.rest = rest

    def work(environ: WSGIEnvironment) -> exchange.Response:
        if not _is_large(environ):
            return serve(environ)
        if not large.acquire(blocking=False):
            make_room()
            _discard(environ["wsgi.input"])
            return exchange.refused(errors.unavailable())
        try:
            return serve(environ)
        finally:
            large.release()

    def serve(environ: WSGIEnvironment) -> exchange.Response:
        try:
            received = _receive(environ)
        except _Cut:
            return exchange.refused(request_errors.cut_off())
        with working:
            return gateway.answer(received)

    def answer(path: str = "") -> flask.Response:
        return _send(work(flask.request.environ))

    def refuse(error: HTTPException) -> flask.Response:
        if (error.code or 500) >= 500:  # flask has logged what it was
            return _send(exchange.broken())
        # What werkzeug cannot route or read, an odd path or Host, is for the pipeline to refuse.
        lost = _received(flask.request.environ, b"")
        return _send(gateway.answer(dataclasses.replace(lost, path="?", query="")))

    app.view_functions["any"] = answer
    app.register_error_handler(HTTPException, refuse)
    app.wsgi_app = _past(app.wsgi_app, work)  # type: ignore[assignment, method-assign]
    return app


def _past(routed: Wsgi, work: Callable[[WSGIEnvironment], exchange.Response]) -> Wsgi:
    """Answer the usual requests directly, leave all others to Flask."""

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/" or environ["REQUEST_METHOD"] not in ("GET", "POST"):
            return routed(environ, start_response)
        try:
            answer = work(environ)
        except Exception:  # the boundary of the process: even then the answer is XML
            _log.exception("request-failed")
            answer = exchange.broken()
        length = ("Content-Length", str(len(answer.body)))
        start_response(_STATUS_LINES[answer.status], [*answer.headers, length])
        return [answer.body]

    return wsgi_app


def _receive(environ: WSGIEnvironment) -> Request:
    return _received(environ, _read(environ))


def _received(environ: WSGIEnvironment, body: bytes | None) -> Request:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return Request(
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", ""),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=body,
        remote=environ.get("REMOTE_ADDR", ""),
    )


def _announced(environ: WSGIEnvironment) -> int | None:
    """Answer the body's announced length, more than is taken for one that is absurd."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if not announced.isdecimal():
        return None
    return int(announced) if len(announced) < 10 else pipeline.BODY_LIMIT_BYTES + 1


def _is_large(environ: WSGIEnvironment) -> bool:
    length = _announced(environ)
    if length is None:
        return "HTTP_TRANSFER_ENCODING" in environ
    return _LARGE_BYTES < length <= pipeline.BODY_LIMIT_BYTES


def _read(environ: WSGIEnvironment) -> bytes | None:
    """Read the body; None when it is larger than is taken, whether that was announced or not.

    :raises _Cut: what is left of one request could be another
    """
    limit = pipeline.BODY_LIMIT_BYTES
    announced = _announced(environ)
    stream = environ["wsgi.input"]
    if announced is not None:
        if announced > limit:
            _discard(stream)
            return None
        limit = announced
    elif not environ.get("wsgi.input_terminated"):
        return b""  # a server that would wait for ever for the end of nothing
    body = b""
    while len(body) <= limit:
        piece = stream.read(limit + 1 - len(body))
        if not piece:
            break
        body += piece
    if announced is not None and len(body) < announced:
        raise _Cut
    if len(body) <= pipeline.BODY_LIMIT_BYTES:
        return body
    _discard(stream)
    return None


def _discard(stream: InputStream) -> None:
    """Take what is still sent off the wire, within bounds.

    A client that is not done sending does not read: closed on, it would see a reset and never the
    answer.
    """
    for _ in range(_DISCARDED_BYTES // _PIECE_BYTES):
        if not stream.read(_PIECE_BYTES):
            return


def _send(answer: exchange.Response) -> flask.Response:
    response = flask.Response(answer.body, status=answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response
