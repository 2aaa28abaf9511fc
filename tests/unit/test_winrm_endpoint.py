"""How a host may be addressed and signed in to, and what the policy refuses."""

from __future__ import annotations

import pytest

from ec2gw.winrm import endpoint
from ec2gw.winrm.endpoint import HostAddress, NotAllowed


def test_a_url_is_completed_with_port_and_path() -> None:
    kerberos = HostAddress("http://hv1.example", "kerberos")
    assert kerberos.endpoint == "http://hv1.example:5985/wsman"
    assert kerberos.is_sealed
    tls = HostAddress("https://[2001:db8::1]", "ntlm", "LAB\\op")
    assert tls.endpoint == "https://[2001:db8::1]:5986/wsman"
    assert (tls.host, tls.port, tls.is_sealed) == ("2001:db8::1", 5986, False)


@pytest.mark.parametrize(
    "url",
    [
        "hv1.example",
        "ftp://hv1.example",
        "http://",
        "http://hv1.example:99999",
        "https://op:secret@hv1.example",
        "https://hv1.example/wsman?PSVersion=5",
        "https://hv1.example/#x",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        HostAddress(url, "kerberos")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "transport", "options"),
    [
        ("http://hv1.example", "basic", {}),
        ("http://hv1.example", "basic", {"allow_ntlm_over_http": True}),
        ("http://127.0.0.1", "basic", {}),
        ("http://hv1.example", "basic", {"laboratory": True}),
        ("http://hv1.example", "ntlm", {}),
        ("https://hv1.example", "ntlm", {"laboratory": True}),
        ("http://hv1.example", "certificate", {"certificate_file": "c", "key_file": "k"}),
        ("https://hv1.example", "certificate", {"certificate_file": "c"}),
        ("https://hv1.example", "ntlm", {"username": ""}),
        ("http://hv1.example", "kerberos", {"username": "LAB\\op"}),
        ("http://hv1.example", "kerberos", {"username": "", "keytab_file": "k"}),
    ],
)
def test_what_would_show_or_misplace_a_secret_is_refused(
    url: str, transport: endpoint.Transport, options: dict[str, object]
) -> None:
    with pytest.raises(NotAllowed):
        HostAddress(url, transport, **({"username": "op"} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "transport", "options"),
    [
        ("http://hv1.example", "kerberos", {"ca_file": "ca.pem"}),
        ("https://hv1.example", "ntlm", {"certificate_file": "c", "key_file": "k"}),
        ("https://hv1.example", "kerberos", {"key_file": "k"}),
        ("https://hv1.example", "ntlm", {"keytab_file": "k"}),
    ],
)
def test_a_file_that_would_count_for_nothing_is_refused(
    url: str, transport: endpoint.Transport, options: dict[str, object]
) -> None:
    with pytest.raises(NotAllowed, match=r"only$"):
        HostAddress(url, transport, username="op", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "transport", "options"),
    [
        ("http://127.0.0.1:5985", "basic", {"laboratory": True}),
        ("http://[::1]:5985", "ntlm", {"laboratory": True}),
        ("http://localhost", "ntlm", {"laboratory": True}),
        ("http://hv1.example", "ntlm", {"allow_ntlm_over_http": True}),
        ("https://hv1.example", "basic", {}),
        ("https://hv1.example", "ntlm", {}),
        ("http://hv1.example", "kerberos", {}),
        ("http://hv1.example", "kerberos", {"keytab_file": "k"}),
        ("https://hv1.example", "kerberos", {"ca_file": "ca.pem"}),
    ],
)
def test_the_rest_is_allowed(
    url: str, transport: endpoint.Transport, options: dict[str, object]
) -> None:
    address = HostAddress(url, transport, username="op", **options)  # type: ignore[arg-type]
    assert address.endpoint.startswith(url)


def test_the_password_is_in_no_representation() -> None:
    address = HostAddress("https://hv1.example", "ntlm", "op", password=lambda: "secret")
    assert "password" not in repr(address)
    assert address == HostAddress("https://hv1.example", "ntlm", "op", password=lambda: "other")


def test_a_transport_is_one_of_four_words() -> None:
    assert endpoint.transport("ntlm") == "ntlm"
    with pytest.raises(NotAllowed, match="credssp"):
        endpoint.transport("credssp")
