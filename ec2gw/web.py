"""The Flask application: one route for any method and path, in front of the pipeline.

Reads what was sent, within bounds, and sends what the pipeline answers; decides nothing. What
Flask has nothing to say about, a GET or POST of `/`, goes past its routing: that is two thirds of
what a small request costs.

Source: Flask, "Application Structure and Lifecycle", `Flask.wsgi_app`; PEP 3333.
"""

from __future__ import annotations

import http
import logging
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ec2gw import exchange, pipeline
from ec2gw.auth.request import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

_log = logging.getLogger("ec2gw.web")

Wsgi = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]
_DISCARDED_BYTES: Final = 16 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_STATUS_LINES: Final = {
    status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus
}


def application(gateway: pipeline.Gateway, at_once: int = 8) -> flask.Flask:
    """Make the application; `at_once` requests are worked on, others only received.

    A client that sends slowly keeps one of the server's threads; it must not keep the service.
    """
    working = threading.BoundedSemaphore(at_once)
    app = flask.Flask("ec2gw", static_folder=None, template_folder=None)
    # Rules without methods take all of them, and none may redirect: that would be HTML.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.add(Rule("/", endpoint="any"))
    app.url_map.add(Rule("/<path:path>", endpoint="any"))

    def work(environ: WSGIEnvironment) -> exchange.Response:
        received = _receive(environ)
        with working:
            return gateway.answer(received)

    def answer(path: str = "") -> flask.Response:
        return _send(work(flask.request.environ))

    def refuse(error: HTTPException) -> flask.Response:
        if (error.code or 500) >= 500:  # flask has logged what it was
            return _send(exchange.broken())
        # What werkzeug cannot route or read, an odd path or Host, is for the pipeline to refuse.
        received = _receive(flask.request.environ)
        lost = Request(received.method, "?", "", received.headers, b"", received.remote)
        return _send(gateway.answer(lost))

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
        body=_read(environ),
        remote=environ.get("REMOTE_ADDR", ""),
    )


def _read(environ: WSGIEnvironment) -> bytes | None:
    """Read the body; None when it is larger than is taken, whether that was announced or not."""
    limit = pipeline.BODY_LIMIT_BYTES
    announced = environ.get("CONTENT_LENGTH") or ""
    stream = environ["wsgi.input"]
    if announced.isdecimal():
        if len(announced) > 9 or int(announced) > limit:
            _discard(stream)
            return None
        limit = int(announced)
    elif not environ.get("wsgi.input_terminated"):
        return b""  # a server that would wait for ever for the end of nothing
    body = b""
    while len(body) <= limit:
        piece = stream.read(limit + 1 - len(body))
        if not piece:
            break
        body += piece
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
