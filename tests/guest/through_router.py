"""Run in networks made for it: the service on 169.254.169.254, a router, and a guest behind it.

`python -m tests.guest.through_router NAMESPACE`; the argument is the guest's network. Fails with a
text where a token comes further, or less far, than its hop limit says.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa

from state import models, triggers
from state.store import Store
from tests import rows
from tests.guest import imds

ADDRESS = "10.9.0.5"
_ASK = """
import socket, sys
GET = b"GET /latest/meta-data/local-ipv4 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"
TTL = b"X-aws-ec2-metadata-token-ttl-seconds: 60"
PUT = b"PUT /latest/api/token HTTP/1.1\\r\\nHost: a\\r\\n" + TTL + b"\\r\\n\\r\\n"
for asked in (GET, PUT, PUT + GET):
    told = b""
    with socket.create_connection(("169.254.169.254", int(sys.argv[1])), 2) as connection:
        connection.sendall(asked)
        try:
            while told.count(b"HTTP/1.1 200") < asked.count(b"HTTP/1.1"):
                told += connection.recv(4096)
        except TimeoutError:
            pass
    print(told.count(b"HTTP/1.1 200"), end=" ")
"""
"""Asks, asks for a token, and asks at once behind that: tells how many replies each time came."""


def ask(namespace: str, port: int) -> str:
    return subprocess.run(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", _ASK, str(port)],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    ).stdout.strip()


def main(namespace: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.sqlite3"
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            models.Base.metadata.create_all(connection)
            for statement in triggers.statements():
                connection.exec_driver_sql(statement)
        engine.dispose()
        store = Store(path)
        try:
            store.write(
                lambda session: (
                    imds.instance(
                        session,
                        rows.ground(session),
                        ADDRESS,
                        imds.network(session, "behind", "10.9.0.0/24"),
                    ).id
                )
            )
            with imds.Imds(store, host="169.254.169.254") as served:
                told = ask(namespace, served.port)
                assert told == "1 0 0", told  # nor does it come when it is sent again
            with imds.Imds(store, host="169.254.169.254", routers=1) as served:
                told = ask(namespace, served.port)
                assert told == "1 1 2", told
        finally:
            store.close()


if __name__ == "__main__":
    main(sys.argv[1])
