"""What the exceptions of four libraries mean, and sessions that obey nothing around us."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
import requests
import urllib3.exceptions
from winrm import exceptions as winrm_exceptions

from ec2gw.winrm import adapter, endpoint, kerberos, session, timing


def fault(code: int | None) -> winrm_exceptions.WSManFaultError:
    return winrm_exceptions.WSManFaultError(
        500, "Bad HTTP response", "<xml/>", "the reason", wsman_fault_code=code
    )


def wrapped(inner: Exception) -> Exception:
    """Wrap as requests wraps what urllib3 raised."""
    pool = urllib3.HTTPConnectionPool("127.0.0.1")
    return requests.exceptions.ConnectionError(
        urllib3.exceptions.MaxRetryError(pool, "/wsman", inner)
    )


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (winrm_exceptions.WinRMOperationTimeoutError(), session.NoOutput),
        (fault(2150858843), session.Gone),
        (fault(995), session.Gone),
        (fault(109), session.Gone),
        (fault(2147943418), session.Gone),
        (fault(2150859173), session.Quota),
        (fault(2150859174), session.Quota),
        (fault(5), session.Forbidden),
        (fault(1460), session.Lost),
        (fault(None), session.Lost),
        (winrm_exceptions.InvalidCredentialsError("401"), session.Denied),
        (PermissionError("Access denied: Server did not respond"), session.Denied),
        (PermissionError(13, "denied", "/etc/ec2gw/key.pem"), session.Unusable),
        (winrm_exceptions.WinRMTransportError("http", 400, ""), session.Lost),
        (winrm_exceptions.WinRMTransportError("http", 413, ""), session.Lost),
        (winrm_exceptions.WinRMTransportError("http", 403, ""), session.Forbidden),
        (kerberos.Refused("the account is disabled"), session.Denied),
        (kerberos.Unready("there is no ticket"), session.Unusable),
        (kerberos.NoAnswer("no domain controller"), session.Unconnected),
        (requests.exceptions.ReadTimeout(), session.Lost),
        (requests.exceptions.ChunkedEncodingError(), session.Lost),
        (requests.exceptions.ConnectionError("reset"), session.Lost),
        (requests.exceptions.ConnectTimeout(), session.Unconnected),
        (
            wrapped(urllib3.exceptions.NewConnectionError(None, "refused")),  # type: ignore[arg-type]
            session.Unconnected,
        ),
        (wrapped(urllib3.exceptions.ProtocolError("reset")), session.Lost),
        (
            requests.exceptions.SSLError(
                urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("unknown CA"))
            ),
            session.Untrusted,
        ),
        (requests.exceptions.SSLError("EOF occurred"), session.Lost),
        (requests.exceptions.TooManyRedirects(), session.Lost),
        (adapter.Oversized("endless"), session.Lost),
        (AssertionError(), session.Lost),
        (StopIteration(), session.Lost),
        (ValueError("half a sealed answer"), session.Lost),
    ],
)
def test_each_exception_means_one_thing(error: Exception, meaning: type[session.LinkError]) -> None:
    assert type(session.classify(error)) is meaning


def test_a_failure_tells_no_text_of_a_library_and_little_of_the_host() -> None:
    secret = requests.exceptions.ConnectionError("Authorization: Basic c2VjcmV0")
    assert "Basic" not in str(session.classify(secret))
    long = winrm_exceptions.WSManFaultError(500, "", "", "x" * 10_000, wsman_fault_code=7)
    assert len(str(session.classify(long))) < 400


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that would lead requests astray, with a client certificate's files."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine hv1.example login other password leaked\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "other-ca.pem"))
    for name in ("client.pem", "client.key"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_netrc_proxies_and_authorities_of_the_environment_count_for_nothing(
    environment: Path,
) -> None:
    address = endpoint.HostAddress(
        "https://hv1.example",
        "certificate",
        certificate_file=str(environment / "client.pem"),
        key_file=str(environment / "client.key"),
        ca_file=str(environment / "ca.pem"),
    )
    http = adapter.Adapter(1, 1)
    transport = session._protocol(address, timing.Timing(), http).transport
    for _ in range(2):
        built = transport.build_session()
        ready = built.prepare_request(requests.Request("POST", address.endpoint, data=b"x"))
        assert ready.headers["Authorization"].endswith("/https/mutual")
        assert built.proxies == {}
        assert built.verify is True
        assert built.get_adapter(address.endpoint) is http
        transport.close_session()


def test_without_a_file_of_authorities_the_usual_ones_count_never_none(
    environment: Path,
) -> None:
    address = endpoint.HostAddress("https://hv1.example", "ntlm", "op", lambda: "secret")
    transport = session._protocol(address, timing.Timing(), adapter.Adapter(1, 1)).transport
    assert transport.build_session().verify is True


def test_a_password_that_cannot_be_had_is_told_without_what_its_source_said() -> None:
    def broken() -> str:
        raise RuntimeError("the vault said: secret")

    address = endpoint.HostAddress("https://hv1.example", "ntlm", "op", broken)
    with pytest.raises(session.Unusable) as failed:
        session.Connection(address, timing.Timing()).create_shell()
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("lacking", ["gssapi", "krb5"])
def test_kerberos_without_its_libraries_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    monkeypatch.setitem(sys.modules, lacking, None)
    address = endpoint.HostAddress("http://127.0.0.1:9", "kerberos")
    with pytest.raises(session.Unusable, match=r"pip install 'pyspnego\[kerberos\]'"):
        session.Connection(address, timing.Timing()).create_shell()
