"""How the API's process joins its parts: what the configuration says, and what the hosts do."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from ec2gw import inventory, serve_api
from ec2gw.config import Config
from state import models
from state.secrets import Vault
from state.store import Store
from tests import old_signer


def _real_host(session: Session) -> None:
    session.add(
        models.Host(
            name="hv1",
            url="https://hv1.example.org:5986/wsman",
            transport="ntlm",
            root="C:\\ec2gw",
            region="eu-central-1",
            zone_letter="a",
            state="active",
            options={},
            created_at=dt.datetime.now(dt.UTC),
        )
    )


@pytest.mark.parametrize(
    ("real", "configured", "taken"),
    [(False, False, True), (True, False, False), (True, True, True)],
    ids=["laboratory", "real hosts", "real hosts, and configured"],
)
def test_old_signatures_are_taken_in_the_laboratory_and_where_it_is_configured(
    store: Store, vault: Vault, tmp_path: Path, real: bool, configured: bool, taken: bool
) -> None:
    given = inventory.prepare(store, vault)
    if real:
        store.write(_real_host)
    else:
        inventory.match_networks(store, inventory.LABORATORY_NETWORKS)
    app = serve_api.application(Config(data=tmp_path, sigv2=configured), store)
    key = (given.access_key_id, given.secret)
    asked = {"Action": "DescribeRegions", "Version": "2012-12-01"}
    answer = app.test_client().get("/?" + old_signer.signed(key, asked, host="localhost"))
    assert (answer.status_code == 200) == taken, answer.text
    if not taken:
        assert b"AWS was not able to validate the provided access credentials" in answer.data
