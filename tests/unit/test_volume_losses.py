"""A host that is gone for good takes its volumes with it, and nobody else's."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from tests.volumes import attached, make, refused, second_host, shown, volume
from translators import transfers
from translators.ec2.instances import losses as of_instances
from translators.ec2.volumes import losses
from translators.settings import Settings


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def lose(cloud: Cloud, host_key: int) -> list[str]:
    def work(session: Session) -> list[str]:
        of_instances.give_up(session, host_key, NOW)
        return losses.give_up(session, host_key, NOW)

    lost = cloud.store.write(work)
    cloud.update(models.Host, host_key, state="removed")
    return lost


def test_volumes_of_a_lost_host_are_in_error_until_they_are_deleted(cloud: Cloud) -> None:
    _instance, one = attached(cloud)
    free = make(cloud)
    going = make(cloud)
    cloud.call("DeleteVolume", VolumeId=going)
    elsewhere = make(cloud, AvailabilityZone="us-east-1b")
    assert sorted(lose(cloud, cloud.hosts["a"])) == sorted([one, free])
    assert {row.id for row in cloud.rows(models.Volume)} == {one, free, elsewhere}
    for lost in (one, free):
        assert (shown(cloud, lost)["State"], shown(cloud, lost)["Attachments"]) == ("error", [])
    assert shown(cloud, elsewhere)["State"] == "available"
    cloud.call("DeleteVolume", VolumeId=one)
    assert refused(cloud, "DescribeVolumes", VolumeIds=[one]).code == "InvalidVolume.NotFound"


def test_what_was_on_its_way_to_a_lost_host_stays_where_it_is(cloud: Cloud) -> None:
    away = second_host(cloud)
    one = make(cloud)
    row = volume(cloud, one)
    assert row.host_key == away
    there = cloud.hosts["a"]
    cloud.store.write(
        lambda session: transfers.ask(session, row.file_name, away, there, NOW).generation
    )
    assert lose(cloud, there) == []
    assert cloud.rows(models.Transfer) == []
    assert shown(cloud, one)["State"] == "available"
    with cloud.store.read() as session:
        assert losses.count(session, away) == 1
