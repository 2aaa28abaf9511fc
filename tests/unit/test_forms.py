"""The form of ids in a request, before anything else is asked."""

from __future__ import annotations

import pytest

from translators import forms
from translators.errors import Ec2Error


@pytest.mark.parametrize("name", ["SubnetId", "VpcId"])
def test_an_empty_network_is_one_that_was_not_named(name: str) -> None:
    forms.check({name: ""})
    with pytest.raises(Ec2Error):
        forms.check({name: "x"})


def test_an_empty_instance_is_none() -> None:
    with pytest.raises(Ec2Error):
        forms.check({"InstanceId": ""})
