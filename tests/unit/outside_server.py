"""An HTTP server on loopback that serves disks, well or badly."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


class Outside:
    """What each path answers; `asked` are the requests in order."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ending = threading.Event()
        self.port: int = server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def gives(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        """Serve a body; headers given replace what would be said of it."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **named}.items():
                handler.send_header(name, value)
            handler.end_headers()
            with contextlib.suppress(OSError):
                handler.wfile.write(body)

        self.answers[path] = answer

    def redirects(self, path: str, target: str, status: int = 302) -> None:
        self.gives(path, b"", status, Location=target)

    def drips(self, path: str, piece: bytes, every_seconds: float, length: int) -> None:
        """Serve a body piece by piece, for as long as anybody listens."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(length))
            handler.end_headers()
            sent = 0
            with contextlib.suppress(OSError):
                while sent < length and not self.ending.wait(every_seconds):
                    handler.wfile.write(piece[: length - sent])
                    sent += len(piece)

        self.answers[path] = answer

    def says_nothing(self, path: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            self.ending.wait(30)

        self.answers[path] = answer


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Outside]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            outside.asked.append((self.path, dict(self.headers)))
            answer = outside.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that go away are what is tested."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    outside = Outside(server, "https" if tls else "http")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield outside
    finally:
        outside.ending.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
