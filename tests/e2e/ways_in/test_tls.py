"""NTLM and Basic, over TLS and without: what the host's certificate must be, and who may do it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ec2gw.lab.door import certificates
from ec2gw.winrm import endpoint, session

from . import rig
from .authority import Authority
from .rig import Machine

YESTERDAY = dt.timedelta(days=-1)


def test_ntlm_over_tls_with_the_pinned_authority_gets_in(
    machine: Machine, authority: Authority
) -> None:
    door = machine.door(tls=authority.host())
    rig.works(rig.address(door, "ntlm", ca_file=str(authority.file)))


def test_the_hosts_own_certificate_may_be_pinned_though_an_authority_issued_it(
    machine: Machine, authority: Authority
) -> None:
    tls = authority.host()
    rig.works(rig.address(machine.door(tls=tls), "ntlm", ca_file=str(tls.certificate)))


def test_basic_over_tls_gets_in_where_the_host_takes_it(
    machine: Machine, authority: Authority
) -> None:
    door = machine.door(tls=authority.host(), basic=True)
    rig.works(rig.address(door, "basic", ca_file=str(authority.file)))
    cause, step = rig.refused(
        rig.address(machine.door(tls=authority.host()), "basic", ca_file=str(authority.file))
    )
    assert isinstance(cause, session.Denied)
    assert "must admit basic" in step.advice


def test_another_authoritys_host_is_not_trusted_whatever_the_environment_says(
    machine: Machine, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.file))
    other = Authority(tmp_path, "another")
    door = machine.door(tls=authority.host())
    for trusted in (str(other.file), None):
        cause, step = rig.refused(rig.address(door, "ntlm", ca_file=trusted))
        assert isinstance(cause, session.Untrusted)
        assert "unable to get local issuer certificate" in str(cause)
        assert (step.name, "ca_file" in step.advice) == ("TLS", True)


@pytest.mark.parametrize(
    ("address", "ends", "words"),
    [
        ("127.0.0.1", YESTERDAY, "certificate has expired"),
        ("127.0.0.2", dt.timedelta(days=9), "not valid for '127.0.0.1'"),
    ],
    ids=["expired", "another name"],
)
def test_an_expired_certificate_or_another_hosts_is_not_trusted(
    machine: Machine, authority: Authority, address: str, ends: dt.timedelta, words: str
) -> None:
    door = machine.door(tls=authority.host(address, ends=ends))
    cause, step = rig.refused(rig.address(door, "ntlm", ca_file=str(authority.file)))
    assert isinstance(cause, session.Untrusted)
    assert words in str(cause)
    assert (step.name, words in step.found) == ("TLS", True)


def test_a_sign_in_that_somebody_relays_from_another_channel_is_refused(
    machine: Machine, authority: Authority
) -> None:
    door = machine.door(tls=authority.host())
    # The relay has a certificate that the client trusts; the host sees that it is not its own.
    relay = authority.host(ends=dt.timedelta(days=7))
    door.binding = certificates.channel_binding(relay.certificate)
    cause, step = rig.refused(rig.address(door, "ntlm", ca_file=str(authority.file)))
    assert isinstance(cause, session.Denied)
    assert step.name == "sign-in"


def test_a_certificate_renewed_in_its_file_counts_from_the_next_sign_in(
    machine: Machine, authority: Authority, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Authority(tmp_path, "the old one").file.read_bytes())
    connection = session.Connection(
        rig.address(machine.door(tls=authority.host()), "ntlm", ca_file=str(trusted)), rig.QUICK
    )
    with pytest.raises(session.Untrusted):
        connection.create_shell()
    trusted.write_bytes(authority.file.read_bytes())
    connection.delete_shell(connection.create_shell())
    connection.close()


def test_ntlm_without_tls_gets_in_only_where_it_is_allowed(machine: Machine) -> None:
    door = machine.door()
    with pytest.raises(endpoint.NotAllowed, match="use https, or Kerberos"):
        rig.address(door, "ntlm")
    rig.works(rig.address(door, "ntlm", allow_ntlm_over_http=True))


def test_basic_without_tls_is_for_the_laboratory_alone(machine: Machine) -> None:
    door = machine.door(basic=True)
    with pytest.raises(endpoint.NotAllowed, match="sends the password in clear"):
        rig.address(door, "basic")
    rig.works(rig.address(door, "basic", laboratory=True))


def test_a_listener_that_speaks_no_tls_is_found_out(machine: Machine) -> None:
    plain = machine.door().endpoint.replace("http:", "https:")
    way = endpoint.HostAddress(plain, "ntlm", rig.USER, lambda: rig.PASSWORD)
    cause, step = rig.refused(way)
    assert isinstance(cause, session.LinkError)
    assert (step.name, "HTTPS listener" in step.advice) == ("TLS", True)
