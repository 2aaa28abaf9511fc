"""Signing in by Kerberos, against MIT's KDC: where tickets come from, and who refuses what."""

from __future__ import annotations

import datetime as dt
import http.server
import socket
import threading
from pathlib import Path

import pytest

from ec2gw.lab.door import certificates
from ec2gw.lab.door.server import Door
from ec2gw.winrm import endpoint, session
from translators.hyperv import host

from . import rig
from .authority import Authority
from .domain import Domain
from .rig import Machine


def way(door: Door | str, **options: object) -> endpoint.HostAddress:
    """The door by the name that the domain knows; with a keytab or password if given one."""
    url = door if isinstance(door, str) else door.endpoint
    return endpoint.HostAddress(
        url.replace("127.0.0.1", "localhost"),
        "kerberos",
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def door(machine: Machine, domain: Domain) -> Door:
    return machine.door(kerberos=True)


def test_a_keytab_gets_in_and_every_message_is_sealed(door: Door, domain: Domain) -> None:
    assert door.plain  # such a door answers nothing that is not sealed
    rig.works(way(door, username=rig.PRINCIPAL, keytab_file=str(domain.account)))


def test_a_password_gets_in(door: Door) -> None:
    rig.works(way(door, username=rig.PRINCIPAL, password=lambda: rig.PASSWORD))
    rig.works(way(door, username=rig.USER, password=lambda: rig.PASSWORD))  # the default realm's


def test_a_ticket_that_an_operator_keeps_gets_in(
    door: Door, domain: Domain, tmp_path: Path
) -> None:
    domain.sign_on(tmp_path / "tickets")
    rig.works(way(door))
    rig.works(way(door, username=rig.PRINCIPAL))


def test_a_keytab_of_the_services_account_gets_in(
    door: Door, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"FILE:{domain.account}")
    rig.works(way(door))


def test_over_tls_the_sign_in_is_bound_to_the_channel(
    machine: Machine, authority: Authority, domain: Domain
) -> None:
    door = machine.door(tls=authority.host(), kerberos=True)
    told = {"username": rig.PRINCIPAL, "keytab_file": str(domain.account)}
    bound = way(door, ca_file=str(authority.file), **told)
    rig.works(bound)
    relay = authority.host(ends=dt.timedelta(days=7))
    door.binding = certificates.channel_binding(relay.certificate)
    cause, step = rig.refused(bound)
    assert isinstance(cause, session.Denied)
    assert step.name == "sign-in"


def test_what_is_cut_goes_on_with_a_new_sign_in(door: Door, domain: Domain) -> None:
    with rig.linked(way(door, username=rig.PRINCIPAL, keytab_file=str(domain.account))) as link:
        rig.change_and_read(link)
        door.faults.plan("after", "Send")
        door.faults.plan("within", "Receive")
        rig.change_and_read(link)
        door.faults.go_down()
        door.faults.go_up()
        rig.change_and_read(link)


def test_the_domain_refuses_in_words(door: Door, domain: Domain, tmp_path: Path) -> None:
    domain.order(f"addprinc -pw x locked@{rig.REALM}")
    domain.order(f"modprinc -allow_tix locked@{rig.REALM}")
    domain.order(f"addprinc -pw x -pwexpire yesterday old@{rig.REALM}")
    stale = tmp_path / "stale.keytab"
    domain.order(f"addprinc -randkey changed@{rig.REALM}")
    domain.order(f"ktadd -norandkey -k {stale} changed@{rig.REALM}")
    domain.order(f"cpw -randkey changed@{rig.REALM}")
    domain.order(f"addprinc -pw x -requires_preauth lax@{rig.REALM}")
    for told, words in (
        ({"username": rig.PRINCIPAL, "password": lambda: "wrong"}, "refuses the password"),
        ({"username": f"lax@{rig.REALM}", "password": lambda: "wrong"}, "refuses the password"),
        ({"username": f"changed@{rig.REALM}", "keytab_file": str(stale)}, "not the latest"),
        ({"username": f"nobody@{rig.REALM}", "password": lambda: "x"}, "knows no such account"),
        ({"username": f"locked@{rig.REALM}", "password": lambda: "x"}, "disabled or locked"),
        ({"username": f"old@{rig.REALM}", "password": lambda: "x"}, "has expired"),
    ):
        cause, step = rig.refused(way(door, **told))
        assert isinstance(cause, session.Denied), told
        assert words in str(cause)
        assert (step.name, words in step.found) == ("sign-in", True)


def test_a_password_that_the_domain_refuses_is_tried_once(door: Door) -> None:
    asked: list[str] = []

    def wrong() -> str:
        asked.append("asked")
        return "wrong"

    with rig.linked(way(door, username=rig.PRINCIPAL, password=wrong)) as link:
        for _ in range(3):
            with pytest.raises(host.HostError):
                link.connect(2)
    assert asked == ["asked"]


def test_what_is_not_prepared_is_told_in_words(door: Door, domain: Domain, tmp_path: Path) -> None:
    keytab = {"username": rig.PRINCIPAL, "keytab_file": str(domain.account)}
    (tmp_path / "odd.keytab").write_text("no keytab")
    for told, words in (
        ({}, "there is no ticket"),
        ({"username": f"other@{rig.REALM}", "keytab_file": str(domain.account)}, "holds no key"),
        (keytab | {"keytab_file": str(tmp_path / "none")}, "none: No such file"),
        (keytab | {"keytab_file": str(tmp_path / "odd.keytab")}, "keytab's file is none"),
        ({"username": "op@NOWHERE.EXAMPLE", "password": lambda: "x"}, "no domain controller is"),
    ):
        cause, step = rig.refused(way(door, **told))
        assert isinstance(cause, session.Unusable), told
        assert words in str(cause)
        assert (step.name, "docs/operations.md" in step.advice) == ("sign-in", True)


def test_a_host_that_the_domain_does_not_know_by_this_name_is_not_asked(
    door: Door, domain: Domain
) -> None:
    unknown = endpoint.HostAddress(
        door.endpoint, "kerberos", rig.PRINCIPAL, keytab_file=str(domain.account)
    )
    cause, _ = rig.refused(unknown)
    assert isinstance(cause, session.Unusable)
    assert "knows no such host" in str(cause)


def test_a_domain_that_does_not_answer_is_tried_again_later(
    door: Door, domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("KRB5_CONFIG", str(domain.with_controller(tmp_path / "krb5.conf", port)))
    cause, step = rig.refused(way(door, username=rig.PRINCIPAL, keytab_file=str(domain.account)))
    assert type(cause) is session.Unconnected
    assert "no domain controller answers" in step.found


def test_a_host_that_takes_no_kerberos_refuses(
    machine: Machine, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    keytab = {"username": rig.PRINCIPAL, "keytab_file": str(domain.account)}
    cause, step = rig.refused(way(machine.door(), **keytab))
    assert isinstance(cause, session.Denied)
    assert "must admit kerberos" in step.advice
    # A host whose key is another one cannot read the ticket.
    monkeypatch.setenv("KRB5_KTNAME", f"FILE:{domain.account}")
    cause, _ = rig.refused(way(machine.door(kerberos=True), **keytab))
    assert isinstance(cause, session.Denied)


class _Impostor(http.server.BaseHTTPRequestHandler):
    """Lets everybody in, with the proof that the server has, which is none."""

    protocol_version = "HTTP/1.1"
    proof = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        signed_in = "Authorization" in self.headers
        self.send_response(200 if signed_in else 401)
        self.send_header("WWW-Authenticate", self.proof if signed_in else "Negotiate")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    "proof", ["Basic", "Negotiate", "Negotiate !", "Negotiate YWJj"], ids=lambda one: one
)
def test_a_host_that_does_not_prove_who_it_is_gets_nothing(domain: Domain, proof: str) -> None:
    handler = type("Handler", (_Impostor,), {"proof": proof})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = session.Connection(
            way(
                f"http://localhost:{server.server_address[1]}",
                username=rig.PRINCIPAL,
                keytab_file=str(domain.account),
            ),
            rig.QUICK,
        )
        with pytest.raises(session.Unusable) as failed:
            connection.create_shell()
        connection.close()
        server.shutdown()
    assert "prov" in str(failed.value) or "Kerberos" in str(failed.value)
