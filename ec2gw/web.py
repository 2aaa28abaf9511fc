"""The Flask application: one route for any method and path, in front of the pipeline.

Reads what was sent, within bounds, and sends what the pipeline answers; decides nothing.

Source: Flask, "Application Structure and Lifecycle"; PEP 3333.
"""

from __future__ import annotations

from typing import Any

import flask
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import Rule

from ec2gw import pipeline
from ec2gw.auth.request import Request


def application(gateway: pipeline.Gateway) -> flask.Flask:
    app = flask.Flask("ec2gw", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = pipeline.BODY_LIMIT_BYTES
    # Rules without methods take all of them, and none may redirect: that would be HTML.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.add(Rule("/", endpoint="any"))
    app.url_map.add(Rule("/<path:path>", endpoint="any"))

    def answer(path: str = "") -> flask.Response:
        return _send(gateway.answer(_receive(flask.request)))

    def refuse(error: HTTPException) -> flask.Response:
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
    body: bytes | None
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        body = None
    return Request(
        method=request.method,
        path=environ.get("PATH_INFO", ""),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=body,
        remote=environ.get("REMOTE_ADDR", ""),
    )


def _send(answer: pipeline.Response) -> flask.Response:
    response = flask.Response(answer.body, status=answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response
