"""The Flask application: one route for any method and path, in front of the pipeline.

Reads what was sent, within bounds, and sends what the pipeline answers; decides nothing.

Source: Flask, "Application Structure and Lifecycle"; PEP 3333.
"""

from __future__ import annotations

import threading
from typing import Any

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ec2gw import exchange, pipeline
from ec2gw.auth.request import Request


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

    def answer(path: str = "") -> flask.Response:
        received = _receive(flask.request)
        with working:
            return _send(gateway.answer(received))

    def refuse(error: HTTPException) -> flask.Response:
        if (error.code or 500) >= 500:  # flask has logged what it was
            return _send(exchange.broken())
        # What werkzeug cannot route or read, an odd path or Host, is for the pipeline to refuse.
        received = _receive(flask.request)
        lost = Request(received.method, "?", "", received.headers, b"", received.remote)
        return _send(gateway.answer(lost))

    app.view_functions["any"] = answer
    app.register_error_handler(HTTPException, refuse)
    return app


def _receive(request: flask.Request) -> Request:
    environ: dict[str, Any] = request.environ
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return Request(
        method=request.method,
        path=environ.get("PATH_INFO", ""),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=_read(environ),
        remote=environ.get("REMOTE_ADDR", ""),
    )


def _read(environ: dict[str, Any]) -> bytes | None:
    """Read the body; None when it is larger than is taken, whether that was announced or not."""
    limit = pipeline.BODY_LIMIT_BYTES
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced.isdecimal():
        if len(announced) > 9 or int(announced) > limit:
            return None
        limit = int(announced)
    elif not environ.get("wsgi.input_terminated"):
        return b""  # a server that would wait for ever for the end of nothing
    stream = environ["wsgi.input"]
    body = b""
    while len(body) <= limit:
        piece = stream.read(limit + 1 - len(body))
        if not piece:
            break
        body += piece
    return body if len(body) <= pipeline.BODY_LIMIT_BYTES else None


def _send(answer: exchange.Response) -> flask.Response:
    response = flask.Response(answer.body, status=answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response
