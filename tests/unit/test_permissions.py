"""Whatever a permission says is a rule in one form, or EC2's error."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.ec2.security_groups import permissions
from translators.errors import Ec2Error

ADDRESSES = st.one_of(
    st.text(max_size=45),
    st.text(alphabet="0123456789abcdefABCDEF.:/%", max_size=45),
    st.builds("{}/{}".format, st.ip_addresses(), st.integers(-1, 130)),
)
TEXTS = st.one_of(st.text(max_size=5), st.integers(-2, 300).map(str))
REFUSED = ("MissingParameter", "InvalidParameterValue")


def read(by: Callable[[str], str | None], text: str) -> str | None:
    """What is read of the text; the code of the error for what is refused."""
    try:
        return by(text)
    except Ec2Error as error:
        return error.code


@given(ADDRESSES)
def test_a_range_of_addresses_is_written_one_way_or_refused(text: str) -> None:
    for by, version in ((permissions.cidr_ipv4, 4), (permissions.cidr_ipv6, 6)):
        cidr = read(by, text)
        if cidr in REFUSED:
            continue
        network = ipaddress.ip_network(str(cidr))
        assert network.version == version
        assert ipaddress.ip_interface(text).network == network
        assert by(str(cidr)) == cidr


@given(st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32)))
def test_every_range_of_ipv4_is_read(text: str) -> None:
    cidr = permissions.cidr_ipv4(text)
    assert ipaddress.ip_interface(text).network == ipaddress.ip_network(cidr)


@given(TEXTS)
def test_a_protocol_has_one_name_or_its_number(text: str) -> None:
    protocol = read(permissions.protocol, text)
    if protocol not in REFUSED:
        assert protocol is not None
        assert protocol in {"tcp", "udp", "icmp", "icmpv6", "-1"} or 0 <= int(protocol) <= 255
        assert protocol not in {"1", "6", "17", "58"}
        assert permissions.protocol(protocol) == protocol


@pytest.mark.parametrize("text", ["a" * 255, "Az09. _-:/()#,@[]+=&;{}!$*"])
def test_a_description_holds_what_ec2_lets_it(text: str) -> None:
    assert permissions.description(text) == text


@given(st.text(max_size=300))
def test_a_description_is_kept_as_it_is_or_refused(text: str) -> None:
    assert read(permissions.description, text) in (text or None, "InvalidParameterValue")


@pytest.mark.parametrize("text", ["a" * 256, "it's", "a\nb", "größer", "<b>"])
def test_a_description_that_ec2_does_not_take(text: str) -> None:
    assert read(permissions.description, text) == "InvalidParameterValue"
