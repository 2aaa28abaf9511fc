"""`ec2gw host add` for each way in, with `host check` behind it; what it refuses, and how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ec2gw import cli
from ec2gw.cli.opening import Failed

from . import rig
from .authority import Authority
from .domain import Domain
from .rig import Machine

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: object, **environ: str) -> Result:
        return CliRunner().invoke(
            cli.commands,
            [str(one) for one in arguments],
            standalone_mode=False,
            env={"EC2GW_DATA": str(tmp_path / "data"), "EC2GW_HOST_SECRET": None, **environ},
        )

    return invoke


def add(run: Run, url: str, transport: str, *arguments: object, **environ: str) -> Result:
    place = ("--zone", "eu-central-1a", "--root", rig.ROOT)
    return run(
        "host", "add", "hv1", "--url", url, *place, "--transport", transport, *arguments, **environ
    )


def gets_in(run: Run, *arguments: object, **environ: str) -> None:
    added = add(run, *arguments, **environ)  # type: ignore[arg-type]
    assert added.exit_code == 0, added.output
    checked = run("host", "check", "hv1")
    assert checked.return_value == 0, checked.output
    assert rig.PASSWORD not in added.output + checked.output


def told(result: Result) -> str:
    assert isinstance(result.exception, Failed), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_ntlm_over_tls_with_the_password_in_a_file(
    run: Run, machine: Machine, authority: Authority, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(rig.PASSWORD + "\n")
    secret.chmod(0o600)
    door = machine.door(tls=authority.host())
    arguments = ("--username", rig.USER, "--ca-file", authority.file, "--secret-file", secret)
    gets_in(run, door.endpoint, "ntlm", *arguments)


def test_ntlm_over_http_with_the_password_in_the_environment(run: Run, machine: Machine) -> None:
    url = machine.door().endpoint
    refused = add(run, url, "ntlm", "--username", rig.USER)
    assert "use https, or Kerberos in a domain" in told(refused)
    arguments = ("--username", rig.USER, "--allow-ntlm-over-http")
    gets_in(run, url, "ntlm", *arguments, EC2GW_HOST_SECRET=rig.PASSWORD)


def test_a_client_certificate(run: Run, machine: Machine, authority: Authority) -> None:
    certificate, key = authority.client(rig.PRINCIPAL)
    key.chmod(0o600)
    door = machine.door(tls=authority.host(clients=True))
    files = ("--ca-file", authority.file, "--certificate-file", certificate, "--key-file", key)
    gets_in(run, door.endpoint, "certificate", *files)


def test_kerberos_by_keytab_and_by_password(run: Run, machine: Machine, domain: Domain) -> None:
    url = machine.door(kerberos=True).endpoint.replace("127.0.0.1", "localhost")
    who = ("--username", rig.PRINCIPAL)
    gets_in(run, url, "kerberos", *who, "--keytab-file", domain.account)
    assert run("host", "remove", "hv1").exit_code == 0
    gets_in(run, url, "kerberos", *who, EC2GW_HOST_SECRET=rig.PASSWORD)


def test_a_host_is_reached_in_another_way_and_what_is_not_named_stays(
    run: Run, machine: Machine, authority: Authority, tmp_path: Path
) -> None:
    door = machine.door(tls=authority.host(clients=True))
    who = ("--username", rig.USER, "--ca-file", authority.file)
    assert add(run, door.endpoint, "ntlm", *who, EC2GW_HOST_SECRET="old").exit_code == 0
    checked = run("host", "check", "hv1")
    assert (checked.return_value, "FAILS" in checked.output) == (1, True)
    changed = run("host", "sign-in", "hv1", EC2GW_HOST_SECRET=rig.PASSWORD)
    assert changed.exit_code == 0, changed.output
    assert run("host", "check", "hv1").return_value == 0
    certificate, key = authority.client(rig.PRINCIPAL)
    files = ("--certificate-file", certificate, "--key-file", key)
    changed = run("host", "sign-in", "hv1", "--transport", "certificate", *files)
    assert changed.exit_code == 0, changed.output
    assert run("host", "check", "hv1").return_value == 0
    plain = ("--url", machine.door().endpoint, "--transport", "ntlm", "--username", rig.USER)
    assert "use https" in told(run("host", "sign-in", "hv1", *plain))
    changed = run(
        "host", "sign-in", "hv1", *plain, "--allow-ntlm-over-http", EC2GW_HOST_SECRET=rig.PASSWORD
    )
    assert changed.exit_code == 0, changed.output
    assert run("host", "check", "hv1").return_value == 0


def test_a_keytab_gives_way_to_a_password(
    run: Run, machine: Machine, domain: Domain, tmp_path: Path
) -> None:
    url = machine.door(kerberos=True).endpoint.replace("127.0.0.1", "localhost")
    who = ("--username", rig.PRINCIPAL, "--keytab-file", domain.account)
    assert add(run, url, "kerberos", *who).exit_code == 0
    (tmp_path / "secret").write_text("wrong")
    secret = ("--secret-file", tmp_path / "secret")
    assert run("host", "sign-in", "hv1", *secret).exit_code == 0
    assert "refuses the password" in run("host", "check", "hv1", COLUMNS="300").output


def test_only_a_host_of_ones_own_is_reached_in_another_way(run: Run) -> None:
    assert "no host called hv1" in told(run("host", "sign-in", "hv1"))
    assert "where is it?" in told(
        run("host", "add", "hv1", "--zone", "eu-central-1a", "--username", "svc@LAB.EXAMPLE")
    )


def test_basic_over_http_is_refused_for_any_host(run: Run, machine: Machine) -> None:
    door = machine.door(basic=True)
    refused = add(run, door.endpoint, "basic", "--username", rig.USER)
    assert "use https" in told(refused)


def test_a_password_where_none_is_used_is_refused(
    run: Run, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.client(rig.PRINCIPAL)
    (tmp_path / "secret").write_text("x")
    files = ("--certificate-file", certificate, "--key-file", key)
    secret = ("--secret-file", tmp_path / "secret")
    refused = add(run, "https://hv1.example", "certificate", *files, *secret)
    assert "leave --secret-file out" in told(refused)


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        ("ntlm", "a client certificate is for the transport certificate only"),
        ("certificate", "the key is another certificate's"),
    ],
)
def test_files_that_cannot_serve_are_refused_before_a_password_is_asked(
    run: Run, authority: Authority, transport: str, words: str
) -> None:
    certificate, _ = authority.client(rig.PRINCIPAL)
    _, key = authority.client("other@LAB.EXAMPLE")
    files = ("--certificate-file", certificate, "--key-file", key, "--username", "svc")
    assert words in told(add(run, "https://hv1.example", transport, *files))


def test_a_domains_account_is_named_as_kerberos_names_it(run: Run) -> None:
    refused = add(run, "http://hv1.example", "kerberos", "--username", "LAB\\svc")
    assert "USER@REALM" in told(refused)


def test_whoever_lets_others_read_a_secret_is_warned(
    run: Run, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.client(rig.PRINCIPAL)
    key.chmod(0o644)
    files = ("--certificate-file", certificate, "--key-file", key)
    added = add(run, "https://hv1.example", "certificate", *files)
    assert added.exit_code == 0, added.output
    assert f"everybody here can read {key}" in added.stderr


def test_without_kerberos_libraries_the_host_is_added_with_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    added = add(run, "http://hv1.example", "kerberos")
    assert added.exit_code == 0, added.output
    assert "pip install 'pyspnego[kerberos]'" in added.stderr
